"""One order: what it shows, the table of its states (typed again from the specification), and waiting for it."""

import asyncio
import copy
import pickle
import threading
from decimal import Decimal

import pytest

from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder, transition
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.errors import ConfigError, RangeError, VenueReject
from hlfast.types import OrderState, OrderType, PositionAction, TradeType

S = OrderState
CLOID = "0x" + "ab" * 16
OID = 77
END_MS = 100


def order(**fields) -> InFlightOrder:
    given = {"client_order_id": "hl-1", "cloid": CLOID, "coin": "BTC", "trade_type": TradeType.BUY, "amount": 1}
    return InFlightOrder(**{**given, "price": 100, "sz_decimals": 3, **fields})


def row(state: int, *, time_ms: int = END_MS, **fields) -> OrderUpdate:
    given = {"cloid": CLOID, "exchange_order_id": OID, "coin": "BTC", "status": "a row", "side": "B"}
    return OrderUpdate(**{**given, "new_state": state, "time_ms": time_ms, "recv_ns": 1, **fields})


def fill(amount, tid: int, price=100, *, time_ms: int = END_MS, **fields) -> TradeUpdate:
    given = {"coin": "BTC", "exchange_order_id": OID, "cloid": CLOID, "sz_decimals": 3, "is_buy": True, "recv_ns": 1}
    return TradeUpdate(**{**given, "tid": tid, "price": price, "amount": amount, "time_ms": time_ms, **fields})


class Desk:
    """A tracker with one order, and all that it says."""

    def __init__(self, **fields):
        self.tracker = ClientOrderTracker()
        self.log: list = []
        self.tracker.bus.on(ev.OrderEvent, self.log.append)
        self.tracker.bus.on(ev.ConnectorError, self.log.append)
        self.order = order(**fields)
        self.tracker.start_tracking(self.order)

    def submit(self):
        self.tracker.mark_submitted(self.order, nonce=5)
        return self

    def open(self):
        self.submit().tracker.acknowledge(self.order, OID)
        return self

    def feed(self, *news):
        for each in news:
            take = (
                self.tracker.process_trade_update
                if isinstance(each, TradeUpdate)
                else self.tracker.process_order_update
            )
            take(each)
        return self

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.log]


# -- the table --------------------------------------------------------------------------------------------------------
COLUMNS = (
    "PENDING_CREATE", "PENDING_SUBMIT", "OPEN", "PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL", "CANCELLED", "FAILED",
    "EXPIRED",
)  # fmt: skip
# Typed from the specification's table 2.1, never computed: A applied, L late or repeated, X anomaly.
TABLE = {
    "PENDING_CREATE":   "L A A A A X A A A",
    "PENDING_SUBMIT":   "X L A A A A A A A",
    "OPEN":             "X L L A A A A A A",
    "PARTIALLY_FILLED": "X L L A A A A X A",
    "PENDING_CANCEL":   "X L A A A L A A A",
    "FILLED":           "X L L L L L X X X",
    "CANCELLED":        "X L L L X L L X L",
    "FAILED":           "X L X X X L X L L",
    "EXPIRED":          "X L L L X L L L L",
}  # fmt: skip
CELLS = [(a, b, v) for a, verdicts in TABLE.items() for b, v in zip(COLUMNS, verdicts.split(), strict=True)]


def bring_to(state: str) -> Desk:
    """A desk whose order is in `state`, reached as in life."""
    desk = Desk()
    if state == "PENDING_CREATE":
        return desk
    desk.submit()
    if state in ("OPEN", "PARTIALLY_FILLED", "PENDING_CANCEL", "FILLED"):
        desk.tracker.acknowledge(desk.order, OID)
    if state == "PARTIALLY_FILLED":
        desk.feed(fill("0.4", 1))
    elif state == "PENDING_CANCEL":
        desk.tracker.request_cancel(desk.order)
    elif state == "FILLED":
        desk.feed(fill("0.4", 1), fill("0.6", 2))
    elif state in ("CANCELLED", "FAILED", "EXPIRED"):
        desk.feed(row(S[state]))
    assert desk.order.state is S[state]
    return desk


def test_the_table_has_31_allowed_30_late_and_20_odd_cells():
    assert [sum(v == letter for _, _, v in CELLS) for letter in "ALX"] == [31, 30, 20]


@pytest.mark.parametrize(("before", "after", "verdict"), CELLS)
def test_the_compiled_table_says_the_same(before, after, verdict):
    """Behaviour 119."""
    assert transition(S[before], S[after]) == verdict


@pytest.mark.parametrize(("before", "after", "verdict"), CELLS)
def test_each_cell_is_applied_counted_or_reported(before, after, verdict):
    """Behaviour 119, G6: A changes the state and tells, L only counts, X alarms and has the venue asked."""
    desk = bring_to(before)
    desk.log.clear()
    was = desk.tracker.counters
    if before == "PENDING_CANCEL" and after in ("OPEN", "PARTIALLY_FILLED"):  # by a refused cancel and nothing else
        if after == "PARTIALLY_FILLED":
            desk.feed(fill("0.4", 1))
            desk.log.clear()
        desk.tracker.cancel_refused(desk.order, "too late")
    elif before == after == "PARTIALLY_FILLED":  # by a further fill
        desk.feed(fill("0.1", 3))
    else:  # what a refused order says of resting is odd only if it is newer than the refusal
        desk.feed(row(S[after], time_ms=END_MS + 1 if (before, after) == ("FAILED", "OPEN") else END_MS))
    late, odd = (desk.tracker.counters[k] - was[k] for k in ("late", "anomalies"))
    changes = [(e.old_state.name, e.new_state.name) for e in desk.log if isinstance(e, ev.OrderStateChanged)]
    alarms = [e.code for e in desk.log if isinstance(e, ev.ConnectorError)]
    if verdict == "A":
        assert desk.order.state is S[after]
        assert (late, odd, alarms) == (0, 0, [])
        assert changes == ([] if before == after else [(before, after)])
        ends = {"CANCELLED": "OrderCancelled", "FAILED": "OrderFailed", "EXPIRED": "OrderExpired"}
        assert [k for k in desk.kinds() if k in (*ends.values(), "OrderCompleted")] == (
            [ends[after]] if after in ends else []
        )
    else:
        assert desk.order.state is S[before] and changes == []
        assert (late, odd, alarms) == ((1, 0, []) if verdict == "L" else (0, 1, ["order_anomaly"]))
        assert desk.order.query_due is (verdict == "X")
        assert desk.kinds() == ["ConnectorError"] * odd


@pytest.mark.parametrize("state", ["CANCELLED", "EXPIRED"])
@pytest.mark.parametrize("news", [row(S.OPEN, time_ms=END_MS + 1), row(S.PARTIALLY_FILLED, time_ms=END_MS + 1),
                                  fill("0.4", 9, time_ms=END_MS + 1)])  # fmt: skip
def test_what_is_newer_than_the_end_is_an_anomaly_and_what_is_older_is_late(state, news):
    """G6: venue time decides the doubtful cells."""
    newer = bring_to(state).feed(news)
    assert newer.tracker.counters["anomalies"] == 1 and newer.order.query_due
    assert newer.order.state is S[state]
    older = bring_to(state).feed(row(S.OPEN, time_ms=END_MS - 1), fill("0.4", 9, time_ms=END_MS - 1))
    assert older.tracker.counters["anomalies"] == 0 and not older.order.query_due


@pytest.mark.parametrize(("time_ms", "counter"), [(END_MS - 1, "late"), (END_MS, "late"), (END_MS + 1, "anomalies")])
def test_an_open_row_of_a_refused_order_is_late_unless_it_is_newer(time_ms, counter):
    """G6."""
    desk = bring_to("FAILED").feed(row(S.OPEN, time_ms=time_ms))
    assert (desk.tracker.counters["late"], desk.tracker.counters["anomalies"])[counter == "anomalies"] == 1
    assert desk.order.state is S.FAILED and desk.kinds().count("OrderFailed") == 1


def test_an_open_row_while_a_cancel_is_under_way_is_late_but_proves_that_the_order_is_there():
    """G2: created comes with the first proof; only a refused cancel leads back."""
    desk = Desk().submit()
    desk.tracker.request_cancel(desk.order)
    desk.feed(row(S.OPEN))
    assert desk.order.state is S.PENDING_CANCEL and desk.order.was_created
    assert desk.kinds().count("OrderCreated") == 1 and desk.tracker.counters["late"] == 1
    desk.tracker.cancel_refused(desk.order, "no")
    assert desk.order.state is S.OPEN


@pytest.mark.parametrize("proof", ["answer", "row", "fill"])
def test_a_cancel_that_overtook_its_order_and_was_refused_leaves_it_resting(proof):
    """L31: the venue sorts cancels ahead of orders: the refusal comes first, the order then rests."""
    desk = Desk().submit()
    desk.tracker.request_cancel(desk.order)
    desk.tracker.cancel_refused(desk.order, "Order was never placed, already canceled, or filled.")
    assert desk.order.state is S.PENDING_CANCEL and not desk.order.was_created
    if proof == "answer":
        desk.tracker.acknowledge(desk.order, OID)
    else:
        desk.feed(row(S.OPEN) if proof == "row" else fill("0.4", 1))
    assert desk.order.state is (S.PARTIALLY_FILLED if proof == "fill" else S.OPEN) and desk.order.is_fillable
    assert desk.kinds().count("OrderCreated") == 1 and desk.tracker.counters["anomalies"] == 0


def test_a_refusal_by_answer_never_ends_an_order_that_rested_but_a_row_does():
    """G8: only the venue's word about this order counts."""
    desk = Desk().open()
    desk.tracker.reject(desk.order, "some answer that came late")
    assert desk.order.state is S.OPEN and desk.tracker.counters["anomalies"] == 1
    desk.feed(row(S.FAILED, reason="badTriggerPxRejected"))
    assert desk.order.state is S.FAILED and desk.order.reason == "badTriggerPxRejected"


def test_a_cancel_before_sending_ends_the_order_at_once_without_created():
    """Section 1: the end of an order that was never sent stands alone."""
    desk = Desk()
    desk.tracker.request_cancel(desk.order)
    assert desk.order.state is S.CANCELLED
    assert desk.kinds() == ["OrderStateChanged", "OrderCancelled"]


def test_an_unknown_state_is_reported_raw_and_changes_nothing():
    """G19: also a number that is no state at all."""
    for unknown in (-1, 9, 99, -100):
        desk = Desk().open().feed(row(unknown, status="frozenSolid"))
        assert desk.order.state is S.OPEN and desk.order.query_due
        assert "frozenSolid" in desk.log[-1].text and desk.log[-1].code == "unknown_status"
        assert desk.tracker.counters["unknown_status"] == 1


# -- what an order shows ----------------------------------------------------------------------------------------------
def test_a_new_order_is_pending_and_empty():
    """Behaviour 14."""
    o = order()
    assert o.state is o.current_state is S.PENDING_CREATE
    assert (o.filled_amount, o.average_fill_price, o.exchange_order_id) == (0, None, None)
    assert (o.fills, o.fees, o.exchange_order_ids, o.reason) == ((), {}, (), "")
    assert not (o.unresolved or o.was_created or o.is_external)
    assert o.created_ns == o.updated_ns > 1_600_000_000_000_000_000


# active, done, fillable, can receive fills
ANSWERS = {
    "PENDING_CREATE": "1 0 0 0", "PENDING_SUBMIT": "1 0 0 1", "OPEN": "1 0 1 1", "PARTIALLY_FILLED": "1 0 1 1",
    "PENDING_CANCEL": "1 0 0 1", "FILLED": "0 1 0 0", "CANCELLED": "0 1 0 0", "FAILED": "0 1 0 0", "EXPIRED": "0 1 0 0",
}  # fmt: skip


@pytest.mark.parametrize("state", ANSWERS)
def test_the_four_questions_in_each_of_the_nine_states(state):
    """Behaviour 15."""
    o = bring_to(state).order
    assert [o.is_active, o.is_done, o.is_fillable, o.can_receive_fills] == [a == "1" for a in ANSWERS[state].split()]


@pytest.mark.parametrize(
    ("filled", "left"), [((), "1"), (("0.3",), "0.7"), (("0.3", "0.7"), "0"), (("0.7", "0.5"), "0")]
)
def test_what_remains_is_the_amount_less_the_filled_and_never_negative(filled, left):
    """Behaviour 16."""
    desk = Desk().open().feed(*(fill(size, i) for i, size in enumerate(filled)))
    assert desk.order.remaining_amount == Decimal(left)
    assert desk.order.filled_amount == sum(map(Decimal, filled))


def test_two_fills_give_partial_then_filled_and_the_average():
    """Behaviour 20."""
    desk = Desk(amount="0.1").open()
    desk.feed(fill("0.05", 1, 50100))
    assert desk.order.state is S.PARTIALLY_FILLED
    desk.feed(fill("0.05", 2, 50200))
    assert desk.order.state is S.FILLED
    assert (desk.order.average_fill_price, len(desk.order.fills), desk.order.quote_amount) == (
        50150,
        2,
        Decimal("5015"),
    )


def test_fields_cannot_be_set_and_a_snapshot_never_changes():
    """Behaviour 18."""
    desk = Desk().open().feed(fill("0.4", 1, fee="0.01"))
    for field in ("state", "filled_lots", "lots", "client_order_id", "unresolved", "reason", "fills", "end_time_ms"):
        with pytest.raises(AttributeError):
            setattr(desk.order, field, 1)
    before = desk.order.snapshot()
    before.fees["USDC"] = 99
    desk.feed(fill("0.6", 2, fee="0.02"))
    assert (before.state, before.filled_amount, len(before.fills)) == (S.PARTIALLY_FILLED, Decimal("0.4"), 1)
    assert before.fees == {"USDC": Decimal("0.01")} and desk.order.fees == {"USDC": Decimal("0.03")}
    with pytest.raises(ConfigError, match="copy"):
        before.done()


def test_a_live_handle_cannot_be_pickled_or_copied_by_accident():
    for make in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="snapshot"):
            make(order())


def test_fees_are_summed_exactly_by_token_and_rebates_are_negative():
    """Behaviour 134."""
    exact = Decimal("0.123456789012")
    desk = Desk(amount=4).open().feed(
        fill(1, 1, fee="0.1"), fill(1, 2, fee="-0.03"), fill(1, 3, fee=exact, fee_token="HYPE"), fill("0.5", 4, fee=exact)
    )  # fmt: skip
    assert desk.order.fees == {"USDC": Decimal("0.193456789012"), "HYPE": exact}
    assert [f.liquidity for f in desk.order.fills] == ["taker"] * 4


def test_the_average_of_large_fills_is_exact():
    """L54: 128 bits of quote; sizes and prices near their limits."""
    desk = Desk(amount=9_000_000_000_000, price=1).open()
    desk.feed(fill(4_000_000_000_000, 1, "80000000000.00000001"), fill("0.001", 2, 1))
    quote = Decimal(4_000_000_000_000) * Decimal("80000000000.00000001") + Decimal("0.001")
    assert desk.order.quote_amount == quote


def test_every_id_of_the_venue_is_kept_oldest_first():
    """G16: a modified order is one order."""
    desk = Desk().open()
    desk.tracker.acknowledge(desk.order, OID + 9)
    desk.feed(row(S.OPEN, exchange_order_id=OID + 5))
    assert desk.order.exchange_order_ids == (OID, OID + 5, OID + 9)
    assert desk.order.exchange_order_id == OID + 9
    assert all(desk.tracker.get_order_by_exchange_id(oid) is desk.order for oid in desk.order.exchange_order_ids)


@pytest.mark.parametrize("oid", [0, -1])
def test_what_is_no_id_of_the_venue_is_not_taken_for_one(oid):
    desk = Desk().submit()
    desk.tracker.acknowledge(desk.order, oid)
    assert desk.order.exchange_order_ids == () and desk.order.state is S.OPEN


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"client_order_id": ""}, ConfigError), ({"amount": "-1"}, RangeError), ({"price": "-1"}, RangeError),
     ({"amount": "0.0001"}, RangeError), ({"amount": "nan"}, RangeError), ({"trade_type": "up"}, RangeError),
     ({"sz_decimals": 40}, ValueError), ({"sz_decimals": -1}, ValueError)],
)  # fmt: skip
def test_what_is_no_order_is_refused(fields, error):
    with pytest.raises(error):
        order(**fields)


def test_text_and_words_of_an_order():
    o = order(trade_type=TradeType.SELL, order_type=OrderType.LIMIT_MAKER, position_action=PositionAction.CLOSE)
    assert (o.side, o.trade_type, o.price, o.amount, o.trading_pair) == ("A", TradeType.SELL, 100, 1, "BTC")
    assert "hl-1 sell 1 BTC at 100 PENDING_CREATE" in repr(o)


# -- waiting ----------------------------------------------------------------------------------------------------------
def looped() -> Desk:
    desk = Desk().submit()
    loop = asyncio.get_running_loop()
    desk.tracker.waiter_factory = loop.create_future
    desk.tracker.timer_factory = loop.call_later
    desk.tracker.waker = lambda future, value: future.done() or future.set_result(value)
    return desk


async def test_accepted_is_true_on_the_answer_and_done_gives_the_final_state_after_its_last_event():
    """G5: `done()` wakes once the end has been told."""
    desk = looped()
    accepted, done = asyncio.ensure_future(desk.order.accepted()), asyncio.ensure_future(desk.order.done())
    await asyncio.sleep(0)
    desk.tracker.acknowledge(desk.order, OID)
    assert await accepted is True and not done.done()
    told_at_waking = []
    wake = desk.tracker.waker
    desk.tracker.waker = lambda future, value: (told_at_waking.extend(desk.kinds()), wake(future, value))
    desk.feed(row(S.FILLED))
    await asyncio.sleep(0)
    assert desk.order.is_done and not done.done()  # its fills are due
    desk.feed(fill(1, 1))
    assert await done is S.FILLED and told_at_waking[-1] == "OrderCompleted"
    assert await desk.order.accepted() is True and await desk.order.done() is S.FILLED  # and later, at once


@pytest.mark.parametrize("end", ["reject", "expire"])
async def test_accepted_is_false_for_an_order_that_was_never_there_and_the_reason_stays(end):
    """Behaviour 70, G8."""
    desk = looped()
    waiting = asyncio.ensure_future(desk.order.accepted())
    await asyncio.sleep(0)
    if end == "reject":
        desk.tracker.reject(desk.order, "tick", VenueReject("tick", "Price must be divisible by tick size."))
        assert desk.order.reject.code == desk.log[-1].reject.code == "tick"
    else:
        desk.tracker.expire(desk.order, "Action already expired")
    assert await waiting is False and desk.order.reason == desk.log[-1].reason != ""
    assert await desk.order.done() is (S.FAILED if end == "reject" else S.EXPIRED)
    assert desk.order.state.name in ("FAILED", "EXPIRED") and desk.kinds().count("OrderCreated") == 0


async def test_a_waiter_for_the_venues_id_wakes_on_the_answer():
    """Behaviour 25."""
    desk = looped()
    asyncio.get_running_loop().call_later(0.05, desk.tracker.acknowledge, desk.order, OID)
    assert await desk.tracker.wait_for_exchange_order_id("hl-1", timeout=5) == OID
    assert await desk.tracker.wait_for_exchange_order_id("hl-1", timeout=5) == OID


async def test_a_waiter_for_the_venues_id_ends_with_none_at_the_timeout_or_when_the_order_ends():
    """Behaviour 26."""
    desk = looped()
    assert await desk.tracker.wait_for_exchange_order_id("hl-1", timeout=0.05) is None
    waiting = asyncio.ensure_future(desk.tracker.wait_for_exchange_order_id("hl-1", timeout=60))
    await asyncio.sleep(0)
    desk.tracker.reject(desk.order, "no")
    assert await asyncio.wait_for(waiting, 1) is None
    assert await desk.tracker.wait_for_exchange_order_id("unknown", timeout=60) is None


async def test_waiters_are_woken_by_news_from_another_thread():
    """G11: the waker is the connector's, and may go through the loop."""
    desk = looped()
    loop = asyncio.get_running_loop()
    desk.tracker.waker = lambda future, value: loop.call_soon_threadsafe(
        lambda: future.done() or future.set_result(value)
    )
    done = asyncio.ensure_future(desk.order.done())
    await asyncio.sleep(0)
    reader = threading.Thread(target=desk.feed, args=(fill(1, 1),))
    reader.start()
    assert await asyncio.wait_for(done, 5) is S.FILLED
    reader.join()


async def test_a_waiter_that_was_given_up_disturbs_nobody():
    desk = looped()
    given_up, kept = asyncio.ensure_future(desk.order.done()), asyncio.ensure_future(desk.order.done())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    desk.open().feed(fill(1, 1))
    assert await asyncio.wait_for(kept, 1) is S.FILLED


def test_a_waker_that_fails_is_reported_and_loses_no_event():
    """G12: for example a loop that is closed already."""
    desk = Desk().submit()
    reported = []
    desk.tracker.bus.on_error = lambda fn, error: reported.append(type(error))

    def broken(future, value):
        raise RuntimeError("Event loop is closed")

    desk.tracker.waiter_factory, desk.tracker.waker = object, broken
    desk.order.accepted()
    desk.feed(fill(1, 1))
    assert reported == [RuntimeError] and desk.kinds()[-1] == "OrderCompleted"


def test_waiting_before_there_is_a_loop_is_an_error_and_not_a_hang():
    with pytest.raises(ConfigError, match="before connect"):
        Desk().order.accepted()
    with pytest.raises(ConfigError, match="untracked"):
        order().done()
