"""TWAP orders of the local exchange (layer 5): a size that is traded in slices over time, in block time.

A TWAP of m minutes has 2 m slices, one every 30 s from its start on; fewer and further apart if a slice would be below
10 USDC. Each takes what is due by then and not done yet, at most three times the even share (that is the catching up), as an
IOC up to 3 % through the mid; `randomize` varies it by up to a fifth. A slice that finds no liquidity is caught up later; one
that is refused (margin, balance, reduce-only) ends the TWAP as `error`. What the last slice leaves is left.

Chosen where the venue's rule is not known: the first slice comes with the start; a stop price ends a buy at or above it and
a sale at or below; at most 50 run for an account; orders of slices have rows like others, of the type "Twap Slice".
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from hlfast.sim.account import Account
from hlfast.sim.block import Block
from hlfast.sim.execution import Execution, Ticket
from hlfast.sim.matching import Book
from hlfast.sim.numbers import E8, scaled, text
from hlfast.sim.refusals import Refused

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

SLICE_MS = 30_000
MIN_MINUTES, MAX_MINUTES = 5, 7 * 24 * 60
MIN_NTL_E8, MIN_SLICE_E8 = 100 * E8, 10 * E8
SLIPPAGE_PERCENT = 3
CATCH_UP = 3
MAX_ACTIVE = 50
GONE = "TWAP was never placed, already canceled, or filled."


class Twap:
    """One TWAP. `slices` have been done of `count`, `gap_ms` apart."""

    def __init__(
        self,
        number: int,
        account: Account,
        book: Book,
        is_buy: bool,
        lots: int,
        reduce_only: bool,
        minutes: int,
        randomize: bool,
        stop_e8: int | None,
        trigger: tuple[int, bool] | None,
        now_ms: int,
    ) -> None:
        self.number = number
        self.account = account
        self.book = book
        self.is_buy = is_buy
        self.lots = lots
        self.reduce_only = reduce_only
        self.minutes = minutes
        self.randomize = randomize
        self.stop_e8 = stop_e8
        self.trigger = trigger
        """(price, whether the mark must be at or above it) that it waits for."""
        self.time_ms = now_ms
        self.executed_lots = self.executed_ntl_e8 = 0
        self.slices = 0
        self.started_ms: int | None = None
        ntl_e8 = book.market.ntl_e8(book.mark_e8, lots)
        self.count = max(1, min(minutes * 60_000 // SLICE_MS, ntl_e8 // MIN_SLICE_E8))
        self.gap_ms = minutes * 60_000 // self.count

    @property
    def state(self) -> dict[str, Any]:
        """As the wire tells it."""
        market = self.book.market
        trigger = None
        if self.trigger is not None:
            trigger = {"px": market.px_text(self.trigger[0]), "above": self.trigger[1]}
        return {
            "coin": market.coin,
            "user": self.account.address,
            "side": "B" if self.is_buy else "A",
            "sz": market.sz_text(self.lots),
            "executedSz": market.sz_text(self.executed_lots),
            "executedNtl": text(self.executed_ntl_e8, 8),
            "minutes": self.minutes,
            "reduceOnly": self.reduce_only,
            "randomize": self.randomize,
            "timestamp": self.time_ms,
            "stopPx": None if self.stop_e8 is None else market.px_text(self.stop_e8),
            "trigger": trigger,
        }

    def is_triggered(self) -> bool:
        if self.trigger is None:
            return True
        px_e8, above = self.trigger
        return self.book.mark_e8 >= px_e8 if above else self.book.mark_e8 <= px_e8

    def is_stopped(self) -> bool:
        if self.stop_e8 is None:
            return False
        return self.book.mark_e8 >= self.stop_e8 if self.is_buy else self.book.mark_e8 <= self.stop_e8

    def due_lots(self, seed: int) -> int:
        """What the next slice should trade."""
        due = self.lots * (self.slices + 1) // self.count - self.executed_lots
        is_last = self.slices + 1 == self.count
        if self.randomize and not is_last:
            draw = random.Random(f"{seed}:twap:{self.number}:{self.slices}")
            due = due * draw.randint(800, 1200) // 1000
        most = max(1, CATCH_UP * self.lots // self.count)
        return max(0, min(due, most, self.lots - self.executed_lots))


class Twaps:
    """All that run or wait."""

    def __init__(self, execution: Execution, seed: int) -> None:
        self._execution = execution
        self._seed = seed
        self._number = 0
        self.active: dict[int, Twap] = {}

    def of(self, user: str, dex: str) -> list[Twap]:
        return [t for t in self.active.values() if t.account.address == user and t.book.market.dex == dex]

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def add(self, twap: Twap) -> None:
        self.active[twap.number] = twap
        if not twap.is_triggered():
            self._tell(twap, "waitingForTrigger")

    def end(self, twap: Twap, status: str, description: str = "") -> None:
        del self.active[twap.number]
        self._tell(twap, status, description)

    def on_block(self, block: Block) -> None:
        """Start what is triggered, trade what is due."""
        for twap in list(self.active.values()):
            if twap.started_ms is None and twap.is_triggered():
                twap.started_ms = block.time_ms
                self._tell(twap, "activated")
            if twap.started_ms is None:
                continue
            if twap.is_stopped():
                self.end(twap, "stopped")
                continue
            while twap.slices < twap.count and block.time_ms >= twap.started_ms + twap.slices * twap.gap_ms:
                refusal = self._slice(twap)
                if refusal:
                    self.end(twap, "error", refusal)
                    break
                twap.slices += 1
            if twap.number in self.active and (twap.slices == twap.count or twap.executed_lots == twap.lots):
                self.end(twap, "finished")

    def _slice(self, twap: Twap) -> str:
        """Why the TWAP cannot go on, or ""."""
        book, lots = twap.book, twap.due_lots(self._seed)
        middle_e8 = book.mid_e8 or book.mark_e8
        px_e8 = middle_e8 * (100 + (SLIPPAGE_PERCENT if twap.is_buy else -SLIPPAGE_PERCENT)) // 100
        px_e8 -= px_e8 % book.market.tick_e8(px_e8)
        if not lots or book.touch(twap.is_buy, px_e8) is None:
            return ""
        ticket = Ticket(book.market, twap.is_buy, px_e8, lots, "Ioc", twap.reduce_only)
        refusal, filled_lots, filled_e8 = self._execution.place_slice(twap.account, ticket, twap.number)
        twap.executed_lots += filled_lots
        twap.executed_ntl_e8 += filled_e8
        return refusal

    def _tell(self, twap: Twap, status: str, description: str = "") -> None:
        block = self._execution.block
        told = {"status": status, "description": description} if description else {"status": status}
        row = {"time": block.time_ms // 1000, "state": twap.state, "status": told, "twapId": twap.number}
        twap.account.twap_history.append(row)
        block.add_twap_row(twap.account, row)


# -- actions ---------------------------------------------------------------------------------------------------------


def twap_order(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    wanted, details = action["twap"], action.get("details") or {}
    book = exchange.execution.books.get(wanted["a"])
    if book is None:
        raise Refused(f"Invalid asset {wanted['a']}: not in this universe.")
    lots = scaled(wanted["s"], book.market.sz_decimals)
    stop_e8 = None if details.get("s") is None else scaled(details["s"], 8)
    trigger = details.get("t")
    if trigger is not None:
        trigger = (scaled(trigger["p"], 8) or 0, trigger["a"])
    refusal = _refusal(exchange, account, book, wanted, lots)
    if refusal or lots is None:
        return {"type": "twapOrder", "data": {"status": {"error": refusal}}}
    twap = Twap(
        exchange.twaps.next_number(),
        account,
        book,
        wanted["b"],
        lots,
        wanted["r"],
        wanted["m"],
        wanted["t"],
        stop_e8,
        trigger,
        exchange.time_ms,
    )
    exchange.twaps.add(twap)
    return {"type": "twapOrder", "data": {"status": {"running": {"twapId": twap.number}}}}


def _refusal(exchange: Exchange, account: Account, book: Book, wanted: dict[str, Any], lots: int | None) -> str:
    market = book.market
    if lots is None or lots <= 0:
        return "Order has invalid size." if lots is None else "Order has zero size."
    if market.is_delisted:
        return "Trading is halted."
    if not MIN_MINUTES <= wanted["m"] <= MAX_MINUTES:
        return f"Invalid TWAP duration: {wanted['m']} min(s)"
    if market.ntl_e8(book.mark_e8, lots) < MIN_NTL_E8:
        return "TWAP order value too small. Min is $100."
    if wanted["r"]:
        held = 0 if market.is_spot else account.position(book).lots
        if market.is_spot:
            return "Reduce-only is invalid for spot trading."
        if held == 0 or (held > 0) == wanted["b"]:
            return "Reduce-only TWAP order would increase position."
    if sum(1 for twap in exchange.twaps.active.values() if twap.account is account) >= MAX_ACTIVE:
        return "Exceeded max number of active TWAP orders."
    return ""


def twap_cancel(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    twap = exchange.twaps.active.get(action["t"])
    if twap is None or twap.account is not account or twap.book.market.asset != action["a"]:
        return {"type": "twapCancel", "data": {"status": {"error": GONE}}}
    exchange.twaps.end(twap, "terminated")
    return {"type": "twapCancel", "data": {"status": "success"}}
