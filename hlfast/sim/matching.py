"""The order book of one market (local exchange, layer 5): price-time priority, nothing else.

A `Book` holds resting orders and answers questions about them; it knows no accounts, no money and no rules. Who may
trade what is `execution`'s business. Prices are `_e8`, sizes `_lots`. `version` grows with every change, so that a
feed can tell in one comparison whether there is something to say.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hlfast.sim.candles import Candles
from hlfast.sim.markets import Market

if TYPE_CHECKING:
    from hlfast.sim.account import Account
    from hlfast.sim.triggers import Family


@dataclass(frozen=True)
class Trigger:
    """What wakes an order up: the mark price at or beyond `px_e8`, take profit ("tp") or stop loss ("sl")."""

    px_e8: int
    is_market: bool
    tpsl: str

    def fires_above(self, is_buy: bool) -> bool:
        """A sale takes profit above and stops its loss below; a buy the other way round."""
        return (self.tpsl == "tp") != is_buy

    def is_met(self, is_buy: bool, mark_e8: int) -> bool:
        return mark_e8 >= self.px_e8 if self.fires_above(is_buy) else mark_e8 <= self.px_e8


class Order:
    """One order, from its oid on. `lots` is what is left, `status_lots` what was left when the status last changed.

    `waits` says what an order that is open but not in the book waits for: its parent's "fill" or the "trigger".
    A `is_position_bound` order has no size until it fires: then it has the position's.
    """

    __slots__ = (
        "account",
        "builder",
        "cloid",
        "family",
        "filled_lots",
        "filled_ntl_e8",
        "is_buy",
        "is_position_bound",
        "lots",
        "market",
        "oid",
        "orig_lots",
        "px_e8",
        "reduce_only",
        "status",
        "status_lots",
        "status_ms",
        "tif",
        "time_ms",
        "trigger",
        "twap",
        "waits",
    )

    def __init__(
        self,
        account: Account,
        market: Market,
        oid: int,
        is_buy: bool,
        px_e8: int,
        lots: int,
        tif: str,
        reduce_only: bool,
        cloid: str | None,
        time_ms: int,
        trigger: Trigger | None = None,
    ) -> None:
        self.account = account
        self.builder: tuple[Account, int] | None = None
        self.market = market
        self.oid = oid
        self.is_buy = is_buy
        self.px_e8 = px_e8
        self.orig_lots = self.lots = self.status_lots = lots
        self.filled_lots = self.filled_ntl_e8 = 0
        self.tif = tif
        self.reduce_only = reduce_only
        self.cloid = cloid
        self.time_ms = self.status_ms = time_ms
        self.status = ""
        self.trigger = trigger
        self.waits = ""
        self.family: Family | None = None
        self.is_position_bound = False
        self.twap: int | None = None
        """The TWAP of which it is a slice."""

    @property
    def side(self) -> str:
        return "B" if self.is_buy else "A"

    @property
    def rests(self) -> bool:
        """Whether this kind of order may rest in the book."""
        return self.tif in ("Gtc", "Alo")


class Level:
    """All orders at one price, oldest first."""

    __slots__ = ("lots", "orders", "px_e8")

    def __init__(self, px_e8: int) -> None:
        self.px_e8 = px_e8
        self.lots = 0
        self.orders: dict[int, Order] = {}

    @property
    def first(self) -> Order:
        return next(iter(self.orders.values()))


class Side:
    """One side of a book. Keys are prices, negated for asks, so that the best level is always the last key."""

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, is_bid: bool) -> None:
        self._sign = 1 if is_bid else -1
        self._keys: list[int] = []
        self._levels: dict[int, Level] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Level]:
        """Levels, best first."""
        for key in reversed(self._keys):
            yield self._levels[key]

    @property
    def best(self) -> Level | None:
        return self._levels[self._keys[-1]] if self._keys else None

    def add(self, order: Order) -> None:
        key = self._sign * order.px_e8
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = Level(order.px_e8)
            insort(self._keys, key)
        level.orders[order.oid] = order
        level.lots += order.lots

    def reduce(self, order: Order, lots: int) -> None:
        """Take `lots` from a resting order; at 0 it leaves the book."""
        key = self._sign * order.px_e8
        level = self._levels[key]
        level.lots -= lots
        order.lots -= lots
        if not order.lots:
            del level.orders[order.oid]
            if not level.orders:
                del self._levels[key]
                del self._keys[bisect_left(self._keys, key)]

    def remove(self, order: Order) -> None:
        """Take the order out; its `lots` stay what they were."""
        left = order.lots
        self.reduce(order, left)
        order.lots = left


class Book:
    """A market's resting orders, last trades and mark price."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.bids, self.asks = Side(True), Side(False)
        self.version = 0
        self.mark_e8 = self.last_px_e8 = market.start_px_e8
        self.outside_e8: int | None = None
        self.is_mark_pinned = self.is_outside_pinned = False
        self.is_halted = market.is_delisted
        self.open_interest_cap_e8: int | None = None
        """The value that all long positions together may have; None for no cap."""
        self.oracle_band_percent: int | None = None
        """How far from the price outside a limit price may be; None for any."""
        self.trades: deque[dict[str, Any]] = deque(maxlen=100)
        self.candles = Candles()
        self.day_ntl_e8 = self.day_lots = 0
        self.open_interest_lots = 0
        self.funding_rate_e10 = 0
        self.fundings: deque[dict[str, Any]] = deque(maxlen=1000)

    @property
    def oracle_e8(self) -> int:
        """The price outside; the mark where nobody says one."""
        return self.mark_e8 if self.outside_e8 is None else self.outside_e8

    @property
    def is_at_cap(self) -> bool:
        cap_e8 = self.open_interest_cap_e8
        return cap_e8 is not None and self.market.ntl_e8(self.mark_e8, self.open_interest_lots) >= cap_e8

    def own(self, is_buy: bool) -> Side:
        return self.bids if is_buy else self.asks

    def opposite(self, is_buy: bool) -> Side:
        return self.asks if is_buy else self.bids

    def touch(self, is_buy: bool, px_e8: int) -> Level | None:
        """The level that an order at this limit would trade with first; None if it would not trade."""
        level = self.opposite(is_buy).best
        if level is None or (level.px_e8 > px_e8 if is_buy else level.px_e8 < px_e8):
            return None
        return level

    def add(self, order: Order) -> None:
        self.version += 1
        self.own(order.is_buy).add(order)

    def reduce(self, order: Order, lots: int) -> None:
        self.version += 1
        self.own(order.is_buy).reduce(order, lots)

    def remove(self, order: Order) -> None:
        self.version += 1
        self.own(order.is_buy).remove(order)

    @property
    def mid_e8(self) -> int | None:
        """The middle of a two-sided book."""
        bid, ask = self.bids.best, self.asks.best
        return None if bid is None or ask is None else (bid.px_e8 + ask.px_e8) // 2

    def average_px_e8(self, is_buy: bool, ntl_e8: int) -> int | None:
        """What taking `ntl_e8` of value from the book would cost on average (the impact price); None if too thin."""
        left, size = ntl_e8, Fraction(0)
        for level in self.opposite(is_buy):
            level_ntl = self.market.ntl_e8(level.px_e8, level.lots)
            size += Fraction(min(level_ntl, left), level.px_e8)
            left -= level_ntl
            if left <= 0:
                return int(ntl_e8 / size)
        return None

    def levels(self, depth: int = 20) -> list[list[dict[str, Any]]]:
        """Both sides as the wire shows them, bids first."""
        market = self.market
        sides = []
        for side in (self.bids, self.asks):
            rows: list[dict[str, Any]] = []
            for level in side:
                if len(rows) == depth:
                    break
                rows.append(
                    {"px": market.px_text(level.px_e8), "sz": market.sz_text(level.lots), "n": len(level.orders)}
                )
            sides.append(rows)
        return sides

    def rounded_levels(self, figures: int, mantissa: int, depth: int = 20) -> list[list[dict[str, Any]]]:
        """Levels put together by significant figures: bids floored, asks raised to the bucket."""
        sides = []
        for side, is_bid in ((self.bids, True), (self.asks, False)):
            buckets: dict[int, list[int]] = {}
            for level in side:
                step = mantissa * 10 ** max(0, len(str(level.px_e8)) - figures)
                px_e8 = level.px_e8 // step * step if is_bid else -(-level.px_e8 // step) * step
                if px_e8 not in buckets and len(buckets) == depth:
                    break
                bucket = buckets.setdefault(px_e8, [0, 0])
                bucket[0] += level.lots
                bucket[1] += len(level.orders)
            sides.append(
                [
                    {"px": self.market.px_text(px_e8), "sz": self.market.sz_text(lots), "n": count}
                    for px_e8, (lots, count) in buckets.items()
                ]
            )
        return sides

    def bbo(self) -> list[dict[str, Any] | None]:
        bids, asks = self.levels(1)
        return [bids[0] if bids else None, asks[0] if asks else None]
