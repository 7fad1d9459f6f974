"""Hourly funding of the local exchange (layer 5), by the venue's formula, in block time.

Every 5 s each perp's premium is sampled: (max(impactBid - oracle, 0) - max(oracle - impactAsk, 0)) / oracle. On the hour
F = P + clamp(0.0001 - P, -0.0005, 0.0005) with P the hour's average; each position pays size x oracle x F / 8 (at most
4 % an hour), longs when it is positive, in whole 1e-6 USDC. Rates are integers by 1e10. What rounding leaves over lies
in `Execution.rounding_e8`, so that nothing is made or lost. A gap of several hours pays each of them; an hour without a
sample uses the last one.
"""

from __future__ import annotations

from typing import Any

from hlfast.sim.account import Account
from hlfast.sim.execution import Execution
from hlfast.sim.funding_rate import E10, hourly_e10, premium_e10
from hlfast.sim.matching import Book
from hlfast.sim.numbers import half_even, text
from hlfast.sim.purse import PerpPosition

HOUR_MS = 3_600_000
SAMPLE_MS = 5_000
MAX_HOURS = 24 * 7
"""A jump in time pays for at most so many hours."""
NO_HASH = "0x" + "0" * 64


class Funding:
    def __init__(self, execution: Execution, accounts: dict[str, Account]) -> None:
        self._execution = execution
        self._accounts = accounts
        self._books = [b for b in execution.books.values() if not b.market.is_spot and not b.market.is_delisted]
        self._sums = {book.market.asset: [0, 0, 0] for book in self._books}
        """By asset: sum and count of the hour's samples, and the last one."""
        self._next_sample_ms = 0
        self._next_hour_ms = 0

    @property
    def next_hour_ms(self) -> int:
        return self._next_hour_ms

    def on_block(self, now_ms: int) -> None:
        if now_ms >= self._next_sample_ms:
            self._next_sample_ms = now_ms - now_ms % SAMPLE_MS + SAMPLE_MS
            for book in self._books:
                self._sample(book)
        if not self._next_hour_ms:
            self._next_hour_ms = now_ms - now_ms % HOUR_MS + HOUR_MS
        if now_ms >= self._next_hour_ms:
            hours = min((now_ms - self._next_hour_ms) // HOUR_MS + 1, MAX_HOURS)
            self._next_hour_ms = now_ms - now_ms % HOUR_MS + HOUR_MS
            for _ in range(hours):
                self._pay(now_ms)

    def _sample(self, book: Book) -> None:
        sums = self._sums[book.market.asset]
        premium = premium_e10(book)
        if premium is not None:
            sums[0], sums[1], sums[2] = sums[0] + premium, sums[1] + 1, premium
        book.funding_rate_e10 = hourly_e10(self._average(book))

    def _average(self, book: Book) -> int:
        total, count, last = self._sums[book.market.asset]
        return half_even(total, count) if count else last

    def _pay(self, now_ms: int) -> None:
        rates = {}
        for book in self._books:
            premium = self._average(book)
            rate = hourly_e10(premium)
            rates[book.market.asset] = rate
            book.fundings.append(
                {
                    "coin": book.market.coin,
                    "fundingRate": text(rate, 10),
                    "premium": text(premium, 10),
                    "time": now_ms,
                }
            )
            self._sums[book.market.asset][:2] = [0, 0]
        for account in self._accounts.values():
            for asset, position in account.positions.items():
                if position.lots and asset in rates:
                    self._pay_one(account, position, rates[asset], now_ms)

    def _pay_one(self, account: Account, position: PerpPosition, rate: int, now_ms: int) -> None:
        book = position.book
        ntl_e8 = book.market.ntl_e8(book.oracle_e8, position.lots)
        paid_e8 = half_even(ntl_e8 * rate, E10 * 100) * 100  # whole 1e-6 USDC
        account.purse_of(position).pay(position, paid_e8)
        kept, name = self._execution.rounding_e8, book.market.quote.name
        kept[name] = kept.get(name, 0) + paid_e8
        position.funding_e8 += paid_e8
        position.funding_open_e8 += paid_e8
        position.funding_change_e8 += paid_e8
        account.funding_e8 -= paid_e8
        if account.is_house:
            return
        delta: dict[str, Any] = {
            "coin": book.market.coin,
            "usdc": text(-paid_e8, 8),
            "szi": book.market.sz_text(position.lots),
            "fundingRate": text(rate, 10),
            "nSamples": None,
        }
        account.fundings.append({"time": now_ms, "hash": NO_HASH, "delta": {"type": "funding", **delta}})
        self._execution.block.add_funding(account, {"time": now_ms, **delta})
