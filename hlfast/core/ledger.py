"""What own fills say (layer 1, warm): cash, fees, fills and positions since a starting point, exact.

The ledger books each fill once and never looks at the venue's account state after its start: that state is the other
side of an audit, and is taken over only where a difference has been told (`take_over`). Perpetuals: `cash` is the collateral as the venue's `totalRawUsd` counts it, so a buy
lowers it by size times price; cash that a venue keeps apart from it, by place, lies in `purses`. Spot: `spot` holds one
balance a token. All figures are `Decimal`, without rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hlfast.core.fixed import EXACT
from hlfast.core.updates import TradeUpdate

Key = tuple[str, int, int, int]

FILL_KEYS_KEPT = 100_000
"""Identities of the newest fills that are kept for an audit, as many as the tracker knows. The sums are of all fills."""


class Ledger:
    """Figures from own fills alone. Not thread-safe: it belongs to the connector's loop."""

    def __init__(self) -> None:
        self.started = False
        self.cash = Decimal(0)
        self.fees: dict[str, Decimal] = {}
        self.spot: dict[str, Decimal] = {}
        self.purses: dict[str, Decimal] = {}
        self.positions: dict[str, Decimal] = {}
        self.fills = 0
        self.fill_keys: deque[Key] = deque(maxlen=FILL_KEYS_KEPT)
        self.funding = Decimal(0)

    def start(self, cash: Decimal, positions: Mapping[str, Decimal], spot: Mapping[str, Decimal]) -> None:
        """Take the account's state at the beginning. Only the first call counts."""
        if self.started:
            return
        self.started = True
        self.cash = cash
        self.positions = {coin: size for coin, size in positions.items() if size}
        self.spot = dict(spot)

    def open_purse(self, place: str, cash: Decimal, positions: Mapping[str, Decimal]) -> None:
        """Take the state of a place with cash of its own at its beginning. Only the first call counts."""
        if place not in self.purses:
            self.purses[place] = cash
            self.positions.update({coin: size for coin, size in positions.items() if size})

    def book_fill(self, fill: TradeUpdate, *, base: str = "", quote: str = "USDC", purse: str = "") -> None:
        """Book a fill. `base` names the token of a spot instrument; empty for a perpetual, whose cash may be a `purse`'s."""
        size = fill.amount if fill.is_buy else fill.amount.copy_negate()
        cost = EXACT.multiply(size, fill.price)
        fee = fill.fee
        self.fills += 1
        self.fill_keys.append((fill.coin, fill.tid, fill.oid, fill.time_ms))
        self.fees[fill.fee_token] = EXACT.add(self.fees.get(fill.fee_token, Decimal(0)), fee)
        if base:
            self._move(base, size)
            self._move(quote, cost.copy_negate())
            self._move(fill.fee_token, fee.copy_negate())
            return
        self._pay(purse, EXACT.add(cost, fee))
        held = EXACT.add(self.positions.get(fill.coin, Decimal(0)), size)
        if held:
            self.positions[fill.coin] = held
        else:
            self.positions.pop(fill.coin, None)

    def book_funding(self, amount: Decimal, purse: str = "") -> None:
        """Book a funding payment: positive when received."""
        self.funding = EXACT.add(self.funding, amount)
        self._pay(purse, amount.copy_negate())

    def book_transfer(self, token: str, amount: Decimal, purse: str = "") -> None:
        """Book money that came (positive) or went without a fill: of the perpetuals' cash (`token` ""; of a `purse`), or a
        spot balance."""
        if token:
            self._move(token, amount)
        else:
            self._pay(purse, amount.copy_negate())

    def take_over(self, token: str, amount: Decimal, purse: str = "") -> None:
        """Set the perpetuals' cash (`token` ""; of a `purse`) or a spot balance to what the venue says it is."""
        if token:
            self.spot[token] = amount
        elif purse:
            self.purses[purse] = amount
        else:
            self.cash = amount

    def _pay(self, purse: str, amount: Decimal) -> None:
        if purse:
            self.purses[purse] = EXACT.subtract(self.purses[purse], amount)
        else:
            self.cash = EXACT.subtract(self.cash, amount)

    def _move(self, token: str, amount: Decimal) -> None:
        self.spot[token] = EXACT.add(self.spot.get(token, Decimal(0)), amount)

    def figures(self) -> dict[str, Any]:
        """A copy of every figure; `fill_keys` of the newest FILL_KEYS_KEPT fills, oldest first."""
        return {**self.sums(), "fill_keys": list(self.fill_keys)}

    def sums(self) -> dict[str, Any]:
        """The same without the fills' identities: little work, however many there were."""
        return {
            "cash": self.cash,
            "fees": dict(self.fees),
            "funding": self.funding,
            "fills": self.fills,
            "positions": dict(self.positions),
            "spot": dict(self.spot),
            "purses": dict(self.purses),
        }
