"""The life of one order as a state machine, beside a slow model written from the words of the specification.

Whatever arrives in whatever order: after each step state, filled amount, events, counters and flags are the model's
(behaviour 120; G2-G8). The model sums its fills anew each time and reads a table typed from the specification.
"""

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.types import OrderState, TradeType

AMOUNT = 1000
HOLD_NS = 5_000_000_000
COLUMNS = [
    "PENDING_CREATE",
    "PENDING_SUBMIT",
    "OPEN",
    "PARTIALLY_FILLED",
    "FILLED",
    "PENDING_CANCEL",
    "CANCELLED",
    "FAILED",
    "EXPIRED",
]
TABLE = {
    "PENDING_CREATE": "LAAAAXAAA",
    "PENDING_SUBMIT": "XLAAAAAAA",
    "OPEN": "XLLAAAAAA",
    "PARTIALLY_FILLED": "XLLAAAAXA",
    "PENDING_CANCEL": "XLAAALAAA",
    "FILLED": "XLLLLLXXX",
    "CANCELLED": "XLLLXLLXL",
    "FAILED": "XLXXXLXLL",
    "EXPIRED": "XLLLXLLLL",
}
FINAL = {"FILLED": "OrderCompleted", "CANCELLED": "OrderCancelled", "FAILED": "OrderFailed", "EXPIRED": "OrderExpired"}


class Model:
    """What the specification says should be there, told as simply as possible."""

    def __init__(self, is_ioc: bool) -> None:
        self.is_ioc = is_ioc
        self.state = "PENDING_CREATE"
        self.fills: dict[int, int] = {}
        self.created = self.unresolved = self.cancel_refused = self.ended_by_remainder = False
        self.ended = ""
        self.end_ms = 0
        self.effective: int | None = None
        self.hold: tuple[int, int] | None = None  # lots that are due, deadline in ns
        self.told: list[str] = []
        self.counts = dict.fromkeys(("late", "anomalies", "fills_repeated", "fills_late", "incomplete_ends"), 0)

    @property
    def filled(self) -> int:
        return sum(self.fills.values())

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    def create(self) -> None:
        if not self.created:
            self.created = True
            self.told.append("OrderCreated")

    def odd(self) -> None:
        self.counts["anomalies"] += 1
        self.told.append("ConnectorError")

    def wait_for(self, lots: int, now_ns: int) -> None:
        self.hold = (lots, self.hold[1] if self.hold else now_ns + HOLD_NS)

    def end(self, incomplete: bool = False) -> None:
        self.hold = None
        self.unresolved = False
        self.ended = FINAL[self.state]
        self.told.append(self.ended + (" incomplete" if incomplete else ""))

    def release(self, ms: int, incomplete: bool = False) -> None:
        """The due fills are in, or the wait is over."""
        if not self.is_final:
            self.state = "FILLED" if self.filled >= AMOUNT or self.effective == AMOUNT else "CANCELLED"
            self.end_ms = ms
        self.counts["incomplete_ends"] += incomplete
        self.end(incomplete)

    def back_from_cancel(self) -> None:
        if self.state == "PENDING_CANCEL" and self.cancel_refused and self.created:
            self.state = "PARTIALLY_FILLED" if self.filled else "OPEN"
            self.cancel_refused = False

    def news(self, to: str, ms: int, now_ns: int, *, is_row: bool, left: int | None = None) -> None:
        verdict = TABLE[self.state][COLUMNS.index(to)]
        if to in ("OPEN", "PARTIALLY_FILLED"):
            if self.state == "PENDING_CANCEL":
                verdict = "L"
                self.create()
                self.back_from_cancel()
            elif self.is_final and verdict == "L" and self.end_ms and ms > self.end_ms:
                verdict = "X"
            elif self.state == "FAILED" and to == "OPEN" and 0 < ms <= self.end_ms:
                verdict = "L"
        if to == "FAILED" and not is_row and self.created and not self.is_final:
            verdict = "X"
        if to == "FILLED" and self.state == "CANCELLED" and self.is_ioc and self.ended_by_remainder:
            verdict = "L"
        if verdict == "L":
            self.counts["late"] += 1
        elif verdict == "X":
            self.odd()
        else:
            self.applied(to, ms, now_ns, left)

    def applied(self, to: str, ms: int, now_ns: int, left: int | None) -> None:
        if to not in ("PENDING_SUBMIT", "PENDING_CANCEL"):
            self.unresolved = False
        if to in ("OPEN", "PARTIALLY_FILLED", "FILLED") or (to == "CANCELLED" and self.state != "PENDING_CREATE"):
            self.create()
        if to == "FILLED" and self.filled < AMOUNT:
            if not self.is_ioc:
                self.state, self.end_ms = to, ms
                self.wait_for(AMOUNT, now_ns)
                return
            if self.state in ("PENDING_CREATE", "PENDING_SUBMIT"):
                self.state = "OPEN"
            self.wait_for(AMOUNT if self.effective is None else self.effective, now_ns)
            if self.filled >= self.hold[0]:
                self.by_remainder(ms)
            return
        self.state = to
        if to in FINAL:
            self.end_ms = ms
            if to == "CANCELLED" and left is not None and AMOUNT - left > self.filled:
                self.wait_for(AMOUNT - left, now_ns)
            else:
                self.end()

    def by_remainder(self, ms: int, incomplete: bool = False) -> None:
        self.ended_by_remainder = not self.is_final
        self.release(ms, incomplete)

    def fill(self, tid: int, lots: int, ms: int) -> None:
        if tid in self.fills:
            self.counts["fills_repeated"] += 1
            return
        was = self.state
        self.fills[tid] = lots
        full = self.filled >= AMOUNT
        if was != "PENDING_CANCEL":
            self.unresolved = False
        if self.ended:
            self.counts["fills_late"] += 1
        else:
            self.create()
        self.told.append("OrderFilled late" if self.ended else "OrderFilled")
        if self.filled > AMOUNT:
            self.odd()
        if self.ended:
            verdict = TABLE[was][COLUMNS.index("FILLED" if full else "PARTIALLY_FILLED")]
            if verdict == "X" or (not full and 0 < self.end_ms < ms):
                self.odd()
        elif self.hold is not None:
            if full and was == "CANCELLED":
                self.odd()
            if self.filled >= self.hold[0] or full:
                self.by_remainder(ms)
            elif was in ("OPEN", "PENDING_SUBMIT"):
                self.state = "PARTIALLY_FILLED"
        elif full:
            self.state, self.end_ms = "FILLED", ms
            self.end()
        elif was == "PENDING_CANCEL":
            self.back_from_cancel()
        else:
            self.state = "PARTIALLY_FILLED"

    def answer(self) -> None:
        if self.state != "PENDING_CANCEL":
            self.unresolved = False

    def due(self, total: int, newest_ms: int, now_ns: int) -> None:
        if self.ended or self.is_final:
            self.counts["late"] += 1
            return
        self.effective = total
        self.wait_for(total, now_ns)
        if self.filled >= total:
            self.by_remainder(newest_ms)

    def tick(self, now_ns: int, newest_ms: int) -> None:
        if self.hold is not None and now_ns >= self.hold[1]:
            self.by_remainder(newest_ms, incomplete=True)


class OrderLife(RuleBasedStateMachine):
    """Behaviour 120, G2, G3, G4, G5, G6, G7, G8: any sequence of news, repeated and late ones among them."""

    @initialize(is_ioc=st.booleans(), calm=st.integers(0, 20))
    def born(self, is_ioc: bool, calm: int) -> None:
        """`calm`: so many steps bring nothing that ends the order, so that the living states are walked through too."""
        self.tracker = ClientOrderTracker(hold_ms=HOLD_NS // 1_000_000)
        self.events: list = []
        for kind in (ev.OrderEvent, ev.ConnectorError):
            self.tracker.bus.on(kind, self.events.append)
        self.order = InFlightOrder(
            client_order_id="hl-1", cloid="0x01", coin="BTC", trade_type=TradeType.BUY, amount=1, price=100,
            sz_decimals=3, tif="Ioc" if is_ioc else "Gtc",
        )  # fmt: skip
        self.tracker.start_tracking(self.order)
        self.model = Model(is_ioc)
        self.now_ns, self.ms, self.tids, self.calm = 1_000, 1_000, 0, calm
        self.sent: list[tuple[int, int, int]] = []

    def time(self, back: int) -> int:
        """A venue time: newer than all before, or as old as news may be."""
        self.ms += 10
        return self.ms - back

    @rule()
    def submit(self) -> None:
        self.tracker.mark_submitted(self.order, nonce=1)
        if self.model.state == "PENDING_CREATE":
            self.model.state = "PENDING_SUBMIT"

    @rule()
    def answer_resting(self) -> None:
        self.tracker.acknowledge(self.order, 7, self.now_ns)
        self.model.answer()
        self.model.news("OPEN", 0, self.now_ns, is_row=False)

    @rule(total=st.integers(1, AMOUNT))
    def answer_filled(self, total: int) -> None:
        newest = self.order.time_ms
        self.tracker.note_due(self.order, total, 7, self.now_ns)
        self.model.answer()
        self.model.news("OPEN", 0, self.now_ns, is_row=False)
        if self.model.is_ioc:
            self.model.due(total, newest, self.now_ns)

    @precondition(lambda self: not self.calm)
    @rule(expired=st.booleans())
    def answer_error(self, expired: bool) -> None:
        if expired:
            self.tracker.expire(self.order, "Action already expired", self.now_ns)
        else:
            self.tracker.reject(self.order, "no", None, self.now_ns)
        self.model.news("EXPIRED" if expired else "FAILED", 0, self.now_ns, is_row=False)

    @rule(back=st.integers(0, 60))
    def open_row(self, back: int) -> None:
        self.row("OPEN", back, None)

    @precondition(lambda self: not self.calm)
    @rule(to=st.sampled_from(list(FINAL)), back=st.integers(0, 60), left=st.none() | st.integers(0, AMOUNT))
    def last_row(self, to: str, back: int, left: int | None) -> None:
        self.row(to, back, left)

    def row(self, to: str, back: int, left: int | None) -> None:
        ms = self.time(back)
        sizes = {} if left is None else {"lots": left, "orig_lots": AMOUNT}
        self.tracker.process_order_update(
            OrderUpdate(cloid="0x01", exchange_order_id=7, coin="BTC", new_state=OrderState[to], status="a row", side="B",
                        time_ms=ms, recv_ns=self.now_ns, **sizes)
        )  # fmt: skip
        self.model.news(to, ms, self.now_ns, is_row=True, left=left)

    def take(self, tid: int, lots: int, ms: int) -> None:
        is_new = self.tracker.process_trade_update(
            TradeUpdate(coin="BTC", tid=tid, exchange_order_id=7, cloid="0x01", price=100, amount=Decimal(lots).scaleb(-3),
                        sz_decimals=3, is_buy=True, time_ms=ms, recv_ns=self.now_ns)
        )  # fmt: skip
        assert is_new is (tid not in self.model.fills)
        self.model.fill(tid, lots, ms)

    @rule(lots=st.integers(1, 250), back=st.integers(0, 60))
    def fill(self, lots: int, back: int) -> None:
        self.tids += 1
        self.sent.append((self.tids, lots, self.time(back)))
        self.take(*self.sent[-1])

    @precondition(lambda self: not self.calm)
    @rule(back=st.integers(0, 60))
    def last_fill(self, back: int) -> None:
        """What is missing, in one fill."""
        if self.model.filled < AMOUNT:
            self.fill(AMOUNT - self.model.filled, back)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def fill_again(self, data: st.DataObject) -> None:
        self.take(*data.draw(st.sampled_from(self.sent)))

    @rule()
    def request_cancel(self) -> None:
        could = self.tracker.request_cancel(self.order, self.now_ns)
        assert could is not self.model.is_final
        if not self.model.is_final:
            self.model.cancel_refused = False
            if self.model.state == "PENDING_CREATE":
                self.model.news("CANCELLED", 0, self.now_ns, is_row=False)
            else:
                self.model.state = "PENDING_CANCEL"

    @rule()
    def cancel_refused(self) -> None:
        self.tracker.cancel_refused(self.order, "no", self.now_ns)
        if self.model.state == "PENDING_CANCEL":
            self.model.cancel_refused = True
            self.model.back_from_cancel()
        self.model.told.append("OrderCancelRejected")

    @rule()
    def no_answer(self) -> None:
        self.tracker.mark_unresolved(self.order)
        if not self.model.ended:
            self.model.unresolved = True

    @rule(seconds=st.sampled_from([1, 4, 5]))
    def time_passes(self, seconds: int) -> None:
        self.now_ns += seconds * 10**9
        newest = self.order.time_ms
        self.tracker.tick(self.now_ns)
        self.model.tick(self.now_ns, newest)

    @invariant()
    def agrees(self) -> None:
        model, order = self.model, self.order
        self.calm = max(0, self.calm - 1)
        assert order.state.name == model.state
        assert order.filled_lots == model.filled == sum(f.lots for f in order.fills)
        assert (order.was_created, order.unresolved) == (model.created, model.unresolved)
        assert {name: self.tracker.counters[name] for name in model.counts} == model.counts
        told = [self.word(e) for e in self.events if not isinstance(e, ev.OrderStateChanged)]
        assert told == model.told
        states = [e for e in self.events if isinstance(e, ev.OrderStateChanged)]
        path = [OrderState.PENDING_CREATE, *(e.new_state for e in states)]
        assert [e.old_state for e in states] == path[:-1] and path[-1] is order.state
        assert self.tracker.active_order_count == (not model.is_final)

    @staticmethod
    def word(event) -> str:
        flags = [flag for flag in ("incomplete", "is_late") if getattr(event, flag, False)]
        return type(event).__name__ + "".join(" " + flag.removeprefix("is_") for flag in flags)

    def teardown(self) -> None:
        """However it went: one end at most, created before fills and end, no fill lost."""
        told = self.model.told
        ends = [i for i, word in enumerate(told) if word.split()[0] in FINAL.values()]
        assert len(ends) <= 1
        if "OrderFilled" in told:
            assert told.index("OrderCreated") < told.index("OrderFilled")


class TestOrderLife(OrderLife.TestCase):
    """Behaviour 120, G2, G3, G4, G5, G6, G7, G8."""

    settings = settings(max_examples=300, stateful_step_count=40, deadline=None, derandomize=True)


@pytest.mark.long
class TestLongOrderLife(OrderLife.TestCase):
    """The same, a million steps from a new seed."""

    settings = settings(max_examples=20_000, stateful_step_count=50, deadline=None)
