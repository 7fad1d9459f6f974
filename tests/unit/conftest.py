"""The desk that the tracker's tests work at: orders, news about them, and all that the tracker says."""

from __future__ import annotations

import itertools
from decimal import Decimal

import pytest

from hlfast import clock
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.types import OrderState, TradeType


class TrackerDesk:
    """A tracker, its orders, and its log. Orders are for 1 BTC at 100 unless said otherwise; 1 BTC is 1000 lots."""

    OID = 77
    HOLD_NS = 5_000_000_000
    ENDS = ("OrderCompleted", "OrderCancelled", "OrderFailed", "OrderExpired")

    def __init__(self, **settings) -> None:
        self.tracker = ClientOrderTracker(**settings)
        self.log: list = []
        self.tracker.bus.on(ev.OrderEvent, self.log.append)
        self.tracker.bus.on(ev.ConnectorError, self.log.append)
        self.made = 0

    @staticmethod
    def cloid(n: int) -> str:
        return f"0x{n:032x}"

    @classmethod
    def untracked(cls, n: int, **fields) -> InFlightOrder:
        given = {"client_order_id": f"hl-{n}", "cloid": cls.cloid(n), "coin": "BTC", "amount": 1, "price": 100}
        return InFlightOrder(**{**given, "trade_type": TradeType.BUY, "sz_decimals": 3, **fields})

    def order(self, *, submitted=True, **fields) -> InFlightOrder:
        self.made += 1
        order = self.untracked(self.made, **fields)
        self.tracker.start_tracking(order)
        if submitted:
            self.tracker.mark_submitted(order, nonce=self.made)
        return order

    @classmethod
    def row(cls, order, state, *, left=None, of=1000, time_ms=10, recv_ns=1, oid=OID, **fields) -> OrderUpdate:
        """A status row by which `left` lots remain of `of`."""
        given = {"cloid": order.cloid, "exchange_order_id": oid, "coin": order.coin, "status": "a row", "side": "B"}
        sizes = {"lots": -1 if left is None else left, "orig_lots": -1 if left is None else of}
        return OrderUpdate(**{**given, **sizes, "new_state": state, "time_ms": time_ms, "recv_ns": recv_ns, **fields})

    @classmethod
    def fill(cls, order, amount, tid, *, time_ms=11, recv_ns=1, oid=OID, **fields) -> TradeUpdate:
        given = {"coin": order.coin, "exchange_order_id": oid, "cloid": order.cloid, "sz_decimals": 3, "price": 100}
        times = {"time_ms": time_ms, "recv_ns": recv_ns}
        return TradeUpdate(**{**given, **times, "tid": tid, "amount": amount, "is_buy": True, **fields})

    def apply(self, order: InFlightOrder, *news) -> None:
        """Feed rows, fills, "ack" (the answer `resting`) and ("due", lots) (the answer `filled`)."""
        for each in news:
            match each:
                case "ack":
                    self.tracker.acknowledge(order, self.OID, 1)
                case ("due", lots):
                    self.tracker.note_due(order, lots, self.OID, 1)
                case OrderUpdate():
                    self.tracker.process_order_update(each)
                case TradeUpdate():
                    self.tracker.process_trade_update(each)

    def kinds(self, *without: str) -> list[str]:
        return [type(e).__name__ for e in self.log if type(e).__name__ not in without]

    def ends(self) -> list[str]:
        return [kind for kind in self.kinds() if kind in self.ENDS]

    def count(self, counter: str) -> int:
        return self.tracker.counters[counter]

    def check_ended(self, order: InFlightOrder, filled: Decimal) -> None:
        """What holds for every order that was sent, whatever came in whatever order: G2, G3, G5, G7."""
        told = self.kinds("OrderStateChanged", "ConnectorError")
        ends = [i for i, kind in enumerate(told) if kind in self.ENDS]
        assert told[0] == "OrderCreated" and told.count("OrderCreated") == 1 and len(ends) == 1, told
        late = [e.is_late for e in self.log if isinstance(e, ev.OrderFilled)]
        assert [i > ends[0] for i, kind in enumerate(told) if kind == "OrderFilled"] == late
        assert order.filled_amount == sum(f.amount for f in order.fills) == filled
        assert order.quote_amount == filled * 100
        steps = [(e.old_state, e.new_state) for e in self.log if isinstance(e, ev.OrderStateChanged)]
        assert steps[0][0] is OrderState.PENDING_CREATE and steps[-1][1] is order.state
        assert all(a[1] is b[0] for a, b in itertools.pairwise(steps)), steps
        assert order.is_done and not order.unresolved and self.tracker.active_order_count == 0


@pytest.fixture(scope="session")
def Desk() -> type[TrackerDesk]:
    return TrackerDesk


@pytest.fixture
def at():
    """Sets every clock to so many seconds after a fixed instant."""
    yield lambda seconds: clock.set_virtual(1_800_000_000 * 10**9 + int(seconds * 10**9))
    clock.set_virtual(None)
