"""The tracker at 10, 1,000 and 100,000 live orders and 10,000 that have ended, and an event's way to Python callables.

Orders and news are made before each round; what a round starts is ended after it, so that the number of live orders
stays what the row says. No peer of the same scope is among the wheels that are compared here: results are compared with
what they must be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from benchmarks.peers import plain
from benchmarks.peers.floors import nothing
from benchmarks.registry import Arm, at_most, floor, kernel, ours, peer
from hlfast.core.bus import EventBus
from hlfast.core.events import BalanceUpdate, PositionUpdate
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.types import OrderState, TradeType

LIVE = (10, 1_000, 100_000)
ENDED = 10_000
COIN, DECIMALS = "BTC", 5

Rows = Sequence[tuple[Any, ...]]


class Crowd:
    """A tracker with `live` open orders and all the ended ones that it keeps, and rounds of further ones."""

    def __init__(self, live: int) -> None:
        self.live = live
        self.tracker = ClientOrderTracker(max_finished=ENDED)
        self._made = 0
        self._residents = self.opened(live)
        self._round = self.opened(ENDED)
        self.end_round()

    def _order(self) -> InFlightOrder:
        self._made += 1
        return InFlightOrder(
            client_order_id=f"bench-{self._made}",
            cloid=f"0x{self._made:032x}",
            coin=COIN,
            trade_type=TradeType.BUY,
            amount="0.5",
            price="60000",
            sz_decimals=DECIMALS,
        )

    @staticmethod
    def oid(order: InFlightOrder) -> int:
        return 500_000_000_000 + int(order.client_order_id[6:])

    def row(self, order: InFlightOrder, state: OrderState = OrderState.OPEN, status: str = "open") -> OrderUpdate:
        """What the venue says of an order."""
        return OrderUpdate(
            cloid=order.cloid, exchange_order_id=self.oid(order), coin=COIN, new_state=state, status=status,
            side="B", px_e8=order.px_e8, lots=order.lots, orig_lots=order.lots, time_ms=1_790_358_575_700,
        )  # fmt: skip

    def fill_row(self, order: InFlightOrder) -> TradeUpdate:
        """A part of it, filled."""
        oid = self.oid(order)
        return TradeUpdate(
            coin=COIN, tid=oid * 7, exchange_order_id=oid, cloid=order.cloid, price="60000", amount="0.1",
            sz_decimals=DECIMALS, is_buy=True, fee="0.9", time_ms=1_790_358_575_700,
        )  # fmt: skip

    # -- a round ----------------------------------------------------------------------------------------------------
    def unknown(self, n: int) -> list[InFlightOrder]:
        self._round = [self._order() for _ in range(n)]
        return self._round

    def started(self, n: int) -> list[InFlightOrder]:
        for order in self.unknown(n):
            self.tracker.start_tracking(order)
        return self._round

    def opened(self, n: int) -> list[InFlightOrder]:
        for order in self.started(n):
            self.tracker.process_order_update(self.row(order))
        return self._round

    def end_round(self) -> None:
        for order in self._round:
            self.tracker.stop_tracking(order.client_order_id)
        self._round = []

    def residents(self, n: int) -> list[InFlightOrder]:
        """Live orders, in no order."""
        return Random(1).choices(self._residents, k=n)


@cache
def crowd(live: int) -> Crowd:
    return Crowd(live)


def of_each_crowd(
    call: Callable[[ClientOrderTracker], Callable[..., Any]],
    fresh: Callable[[Crowd, int], Rows],
    expected: Any,
    read: Callable[[Any], Any] = lambda result: result,
) -> list[Arm]:
    """One arm for each number of live orders."""
    arms = []
    for one in map(crowd, LIVE):

        def rows(n: int, one: Crowd = one) -> Rows:
            return fresh(one, n)

        arms.append(
            ours(
                call(one.tracker),
                who=f"hlfast, {one.live:,} live",
                fresh=rows,
                clean=one.end_round,
                expected=expected,
                read=read,
            )
        )
    return [*arms, floor("Python function, empty", nothing, [(1.5,)] * 100)]


@kernel("tracker_start", "tracker: start an order", at_most(400))
def tracker_start() -> list[Arm]:
    return of_each_crowd(
        lambda tracker: tracker.start_tracking, lambda one, n: [(order,) for order in one.unknown(n)], None
    )


@kernel("tracker_update", "tracker: an `open` row, found by cloid", at_most(400))
def tracker_update() -> list[Arm]:
    return of_each_crowd(
        lambda tracker: tracker.process_order_update,
        lambda one, n: [(one.row(order),) for order in one.started(n)],
        OrderState.OPEN,
        lambda order: order.state,
    )


@kernel("tracker_fill", "tracker: a fill, deduplicated and booked", at_most(400))
def tracker_fill() -> list[Arm]:
    return of_each_crowd(
        lambda tracker: tracker.process_trade_update,
        lambda one, n: [(one.fill_row(order),) for order in one.opened(n)],
        True,
    )


@kernel("tracker_end", "tracker: a `canceled` row, the oldest ended order forgotten", at_most(400))
def tracker_end() -> list[Arm]:
    return of_each_crowd(
        lambda tracker: tracker.process_order_update,
        lambda one, n: [(one.row(order, OrderState.CANCELLED, "canceled"),) for order in one.opened(n)],
        OrderState.CANCELLED,
        lambda order: order.state,
    )


@kernel("tracker_by_cloid", "tracker: look up by cloid", at_most(400))
def tracker_by_cloid() -> list[Arm]:
    return of_each_crowd(
        lambda tracker: tracker.get_order_by_cloid,
        lambda one, n: [(order.cloid,) for order in one.residents(n)],
        OrderState.OPEN,
        lambda order: order.state,
    )


@kernel("tracker_by_oid", "tracker: look up by the venue's id", at_most(400))
def tracker_by_oid() -> list[Arm]:
    return of_each_crowd(
        lambda tracker: tracker.get_order_by_exchange_id,
        lambda one, n: [(one.oid(order),) for order in one.residents(n)],
        OrderState.OPEN,
        lambda order: order.state,
    )


# -- events -------------------------------------------------------------------------------------------------------------
def event_arms(handlers: int) -> list[Arm]:
    """One event to so many handlers; each side counts what was heard."""
    event = PositionUpdate(coin=COIN, position=None, recv_ns=1)
    heard: list[int] = [0]

    def count(_: object) -> None:
        heard[0] += 1

    def told(_: object) -> int:
        heard[0], seen = 0, heard[0]
        return seen

    bus, theirs = EventBus(), plain.Dispatcher()
    for _ in range(handlers):
        bus.on(PositionUpdate, count)
        theirs.on(PositionUpdate, count)
    bus.on(BalanceUpdate, count)
    theirs.on(BalanceUpdate, count)
    events = [(event,)] * 20
    return [
        ours(bus.emit, events, read=told, expected=handlers),
        peer("plain Python", theirs.emit, events, read=told),
        floor("the handler, called", count, events),
    ]


@kernel("event_1", "event → 1 Python handler", at_most(100))
def event_1() -> list[Arm]:
    return event_arms(1)


@kernel("event_50", "event → 50 Python handlers", at_most(100 * 50))
def event_50() -> list[Arm]:
    return event_arms(50)
