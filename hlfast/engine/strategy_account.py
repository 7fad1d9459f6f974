"""StrategyAccount: what one strategy's own fills make of positions and money, and its limits (layer 4, warm).

Exact `Decimal` figures. A position is net, at its average entry; the sum realised + unrealised + funding - fees does not
depend on how an average is kept. Spot holdings are positions too (before fees that were taken in the bought token).

Limits count what is reserved: a new order from the moment it is allowed, so before it is sent; what it has filled is part of
the position from then on, and its rest is free once its end has been told.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import reduce
from typing import Any

from hlfast.config import RiskLimits
from hlfast.core.bus import EventBus
from hlfast.core.checks import PreTradeChecks
from hlfast.core.events import PositionUpdate
from hlfast.core.fixed import EXACT
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import OrderBook
from hlfast.core.position import Position, PositionBook
from hlfast.core.updates import TradeUpdate
from hlfast.errors import OrderDenied

ZERO = Decimal(0)
RECENT_FILLS = 10_000
"""Of so many the time is kept: what was held when a funding payment was due that is heard of later."""

Mark = Callable[[str], "Decimal | None"]


class StrategyAccount:
    """`name`: the strategy's `order_prefix`. `bus` tells its `PositionUpdate` and `FundingPayment` events."""

    def __init__(self, name: str, limits: RiskLimits | None = None) -> None:
        self.name = name
        self.limits = limits or RiskLimits()
        self.bus = EventBus()
        self.checks = PreTradeChecks(self.limits)
        self.fills = 0
        self.volume = ZERO
        self.fees: dict[str, Decimal] = {}
        """By token; negative is a rebate."""
        self.fee_cost = ZERO
        """All fees in quote currency; those in the bought token at the price of their fill."""
        self.funding = ZERO
        self._book = PositionBook(self.bus, shared=True)
        self._recent: list[tuple[int, int, str, Decimal]] = []  # by time
        self._live: dict[str, InFlightOrder] = {}
        self._changing: dict[str, int] = {}

    def __repr__(self) -> str:
        held = {coin: str(p.signed_size) for coin, p in self.positions.items() if not p.is_flat}
        return f"<StrategyAccount {self.name} fills={self.fills} positions={held}>"

    # -- booking ----------------------------------------------------------------------------------------------------
    def book_fill(self, fill: TradeUpdate, quote: str = "USDC") -> PositionUpdate | None:
        """Book a fill; `quote` is the token that the instrument is priced in. Returns the event that tells of it, if it is wanted."""
        event = self._book.book(fill)
        size = fill.amount if fill.is_buy else fill.amount.copy_negate()
        self.fills += 1
        self.volume = EXACT.add(self.volume, fill.quote_amount)
        self.fees[fill.fee_token] = EXACT.add(self.fees.get(fill.fee_token, ZERO), fill.fee)
        cost = fill.fee if fill.fee_token == quote or not fill.is_buy else EXACT.multiply(fill.fee, fill.price)
        self.fee_cost = EXACT.add(self.fee_cost, cost)
        insort(self._recent, (fill.time_ms, self.fills, fill.coin, size))
        if len(self._recent) > 2 * RECENT_FILLS:
            del self._recent[:RECENT_FILLS]
        return event

    def book_funding(self, coin: str, amount: Decimal) -> None:
        """Book its share of a payment; positive is received."""
        self.funding = EXACT.add(self.funding, amount)
        self._book.apply_funding(coin, amount)

    # -- figures ----------------------------------------------------------------------------------------------------
    @property
    def positions(self) -> Mapping[str, Position]:
        """By coin, read-only. A closed one stays, with its realised PnL."""
        return self._book.positions

    def size(self, coin: str) -> Decimal:
        """Signed."""
        position = self.positions.get(coin)
        return position.signed_size if position is not None else ZERO

    def moved_since(self, coin: str, time_ms: int) -> Decimal:
        """What its fills later than `time_ms` (the venue's time) have added to the position."""
        moved = ZERO
        for at, _, of, size in reversed(self._recent):
            if at <= time_ms:
                break
            if of == coin:
                moved = EXACT.add(moved, size)
        return moved

    @property
    def realized_pnl(self) -> Decimal:
        """Without fees and funding."""
        return _sum(p.realized_pnl for p in self.positions.values())

    def unrealized_pnl(self, mark: Mark) -> Decimal:
        """At `mark(coin)`; a position without a mark counts nothing."""
        return _sum(_unrealized(p, mark(coin)) or ZERO for coin, p in self.positions.items())

    def figures(self, mark: Mark) -> dict[str, Any]:
        """Everything, as `Decimal`s and plain values."""
        unrealized = self.unrealized_pnl(mark)
        rows = [
            {
                "coin": coin,
                "size": p.signed_size,
                "entry": p.entry_price,
                "mark": mark(coin),
                "realized": p.realized_pnl,
                "unrealized": _unrealized(p, mark(coin)),
                "funding": p.funding,
                "fees": p.fees,
            }
            for coin, p in self.positions.items()
        ]
        return {
            "positions": rows,
            "fills": self.fills,
            "volume": self.volume,
            "realized_pnl": self.realized_pnl,
            "unrealized_pnl": unrealized,
            "fees": dict(self.fees),
            "funding": self.funding,
            "net_pnl": EXACT.subtract(EXACT.add(EXACT.add(self.realized_pnl, unrealized), self.funding), self.fee_cost),
            "refused": self.checks.refused,
        }

    # -- limits -----------------------------------------------------------------------------------------------------
    def reserve(self, order: InFlightOrder, book: OrderBook | None) -> None:
        """Check a new order, or a changed one (by its client order id), and count it from now on. Raises `OrderDenied`."""
        resting = open_orders = 0
        for name, live in self._live.items():
            if name == order.client_order_id:
                continue
            open_orders += 1
            if live.coin == order.coin and live.is_buy is order.is_buy:
                resting += max(live.remaining_lots, self._changing.get(name, 0))
        position = self.positions.get(order.coin)
        held = position.signed_lots if position is not None else 0
        try:
            self.checks.allow(order, held, resting, open_orders, book)
        except OrderDenied as error:
            raise OrderDenied(f"strategy {self.name!r}: {error}") from None
        if order.client_order_id in self._live:
            self._changing[order.client_order_id] = order.remaining_lots
        else:
            self._live[order.client_order_id] = order

    def count_in(self, orders: Iterable[InFlightOrder]) -> None:
        """Orders that were live before."""
        self._live.update({order.client_order_id: order for order in orders})

    def forget(self, client_order_ids: Iterable[str]) -> None:
        """These have ended, or were never sent."""
        for name in client_order_ids:
            self._live.pop(name, None)
            self._changing.pop(name, None)

    def forget_change(self, client_order_id: str) -> None:
        """A change has been decided, or was never sent."""
        self._changing.pop(client_order_id, None)

    def reserved_lots(self, coin: str, is_buy: bool) -> int:
        """What its live orders of one side may still take. Known where limits are set."""
        return sum(
            max(live.remaining_lots, self._changing.get(name, 0))
            for name, live in self._live.items()
            if live.coin == coin and live.is_buy is is_buy
        )


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    """Without rounding."""
    return reduce(EXACT.add, amounts, ZERO)


def _unrealized(position: Position, mark: Decimal | None) -> Decimal | None:
    if position.is_flat:
        return ZERO
    if mark is None:
        return None
    return EXACT.multiply(position.signed_size, EXACT.subtract(mark, position.entry_price))
