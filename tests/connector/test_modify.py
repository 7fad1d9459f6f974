"""Modify: cancel and a new leg under one cloid stay one order, whatever comes first (G16)."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal

import pytest

from hlfast.config import Settings
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.errors import ConfigError, OrderDenied, RangeError
from hlfast.types import OrderState, TradeType

S = OrderState
ENDS = ("OrderCompleted", "OrderCancelled", "OrderFailed", "OrderExpired")
D = Decimal


async def test_a_modified_order_keeps_its_names_and_gets_a_new_id(trader, heard, exchange, eventually):
    hl = await trader()
    told = heard(hl)
    order = hl.buy("BTC", "0.002", "50000", tif="Alo")
    assert await order.accepted()
    first = order.exchange_order_id
    assert hl.modify(order, price="50100") is True
    assert hl.modify(order, price="50200") is False, "one change at a time"
    await eventually(lambda: order.price == 50100)
    assert hl.modify(order.client_order_id, size="0.003", price="49000.4", rounding="passive") is True
    await eventually(lambda: order.amount == D("0.003"))
    assert order.price == 49000 and order.state is S.OPEN
    assert len(order.exchange_order_ids) == 3 and order.exchange_order_ids[0] == first < order.exchange_order_id
    assert all(hl.tracker.get_order_by_exchange_id(oid) is order for oid in order.exchange_order_ids)
    assert told.names(order) == ["OrderCreated", "OrderModified", "OrderModified"]
    assert hl.cancel(order) and await order.done() is S.CANCELLED
    statuses = [row["status"] for row in exchange.truth(hl.account)["orders"]]
    assert statuses == ["canceled", "canceled", "canceled"]
    assert told.names(order)[-1] == "OrderCancelled" and hl.modify(order, price=1) is False


async def test_the_size_of_a_modify_is_the_new_total(trader, exchange, eventually):
    """L49: the venue is sent what is left of it, from the fills known then."""
    maker, taker = await trader(0), await trader(1)
    order = maker.buy("BTC", "0.003", "50000", tif="Gtc")
    assert await order.accepted()
    assert await taker.sell("BTC", "0.001", "50000", tif="Ioc").done() is S.FILLED
    await eventually(lambda: order.filled_amount == D("0.001"))
    assert maker.modify(order, size="0.005")
    await eventually(lambda: order.amount == D("0.005"))
    assert exchange.truth(maker.account)["orders"][-1]["sz"] == "0.004", "what is left of the new total"
    with pytest.raises(OrderDenied, match="is filled already"):
        maker.modify(order, size="0.001")
    assert await taker.sell("BTC", "0.004", "50000", tif="Ioc").done() is S.FILLED
    assert await order.done() is S.FILLED and order.filled_amount == D("0.005")


async def test_a_modify_that_is_late_never_ends_its_order(trader, heard, exchange, eventually):
    """G8, G9, G16: asked before the modify is executed, the venue shows the order as it was; that proves nothing yet."""
    hl = await trader(settings=Settings(post_timeout_ms=100, backoff_min=0.02, backoff_max=0.2, hold_ms=500))
    told = heard(hl)
    order = hl.buy("BTC", "0.002", "50000", tif="Alo")
    assert await order.accepted()
    submit, late = exchange.engine.submit, []

    def hold_back(signed, reply):
        if signed.kind == "batchModify" and not late:
            late.append((signed, reply))
        else:
            submit(signed, reply)

    exchange.engine.submit = hold_back
    assert hl.modify(order, price="50100")
    await eventually(lambda: late)
    await asyncio.sleep(0.7)  # it has been asked about
    submit(*late[0])
    await eventually(lambda: not order.unresolved and not order.modify_pending)
    await asyncio.sleep(0.3)
    (resting,) = [row for row in exchange.truth(hl.account)["orders"] if row["status"] == "open"]
    assert order.state is S.OPEN and not order.is_done and "OrderCancelled" not in told.names(order)
    assert (D(resting["px"]), resting["oid"]) == (order.price, order.exchange_order_id)
    assert hl.cancel(order) and await order.done() is S.CANCELLED


async def test_a_refused_modify_of_which_nothing_was_heard_ends_the_order_that_it_cancelled(
    trader, heard, exchange, eventually
):
    """G8, G16: answer and rows are lost; by its cloid the venue tells of the refused leg only, and the order is gone."""
    maker, other = (
        await trader(0, settings=Settings(post_timeout_ms=100, backoff_min=0.02, backoff_max=0.2, hold_ms=500)),
        await trader(1),
    )
    told = heard(maker)
    assert await other.sell("BTC", "0.1", "60000", tif="Alo").accepted()
    order = maker.buy("BTC", "0.002", "50000", tif="Alo")
    assert await order.accepted()
    account = maker.account
    exchange.frame_filter = lambda user, channel, frame: channel not in ("post", "orderUpdates")
    assert maker.modify(order, price="60001")
    statuses = ["canceled", "badAloPxRejected"]
    await eventually(lambda: [row["status"] for row in exchange.truth(account)["orders"]] == statuses)
    await asyncio.sleep(0.05)
    exchange.frame_filter = None
    assert await asyncio.wait_for(order.done(), 8) is S.CANCELLED
    assert told.names(order) == ["OrderCreated", "OrderModifyRejected", "OrderCancelled"] and not order.unresolved


async def test_a_modify_whose_new_order_is_refused_ends_the_old_one(trader, heard, exchange, eventually):
    """Protocol, section 3.5: the cancel worked, the new order failed: the old order is gone."""
    maker, other = await trader(0), await trader(1)
    told = heard(maker)
    order = maker.buy("BTC", "0.001", "50000", tif="Alo")
    await order.accepted()
    await other.sell("BTC", "0.001", "51000", tif="Alo").accepted()
    assert maker.modify(order, price="52000")
    await eventually(lambda: "OrderModifyRejected" in told.names(order))
    assert await order.done() is S.CANCELLED
    assert told.names(order) == ["OrderCreated", "OrderModifyRejected", "OrderCancelled"]
    assert [row["status"] for row in exchange.truth(maker.account)["orders"]] == ["canceled", "badAloPxRejected"]
    assert maker.tracker.counters["anomalies"] == 0


async def test_wrong_modifies_are_refused_before_anything_is_sent(trader):
    hl = await trader()
    order = hl.buy("BTC", "0.001", "50000")
    assert hl.modify(order, price="49000") is False, "not known to rest yet"
    await order.accepted()
    with pytest.raises(ConfigError, match="a new price or a new size"):
        hl.modify(order)
    with pytest.raises(RangeError, match="nearest valid"):
        hl.modify(order, price="49000.3")
    with pytest.raises(OrderDenied, match="below the minimum"):
        hl.modify(order, size="0.0001")
    assert hl.modify(order, price="50000") is False, "nothing would change"
    assert hl.modify("hl-nothing", price=1) is False
    assert not order.modify_pending


def tracked() -> tuple[ClientOrderTracker, InFlightOrder, list]:
    tracker = ClientOrderTracker()
    told: list = []
    tracker.bus.on(ev.OrderEvent, lambda e: told.append(e) if not isinstance(e, ev.OrderStateChanged) else None)
    order = InFlightOrder(
        client_order_id="hl-1",
        cloid="0x" + "1" * 32,
        coin="BTC",
        trade_type=TradeType.BUY,
        amount="1",
        price="100",
        sz_decimals=3,
    )
    tracker.start_tracking(order)
    tracker.mark_submitted(order)
    tracker.acknowledge(order, 10)
    return tracker, order, told


def row(order: InFlightOrder, oid: int, state: OrderState, word: str, px: int, sz: int, orig: int) -> OrderUpdate:
    return OrderUpdate(
        cloid=order.cloid,
        exchange_order_id=oid,
        coin="BTC",
        new_state=state,
        status=word,
        side="B",
        px_e8=px * 10**8,
        lots=sz,
        orig_lots=orig,
        time_ms=5,
        recv_ns=1,
    )


def fill(order: InFlightOrder, oid: int, amount: str, tid: int) -> TradeUpdate:
    return TradeUpdate(
        coin="BTC",
        tid=tid,
        exchange_order_id=oid,
        cloid=order.cloid,
        price=100,
        amount=amount,
        sz_decimals=3,
        is_buy=True,
        time_ms=5,
        recv_ns=1,
    )


NEWS = {
    "answer": lambda t, o: t.modify_accepted(o, 20),
    "cancel of the old": lambda t, o: t.process_order_update(row(o, 10, S.CANCELLED, "canceled", 100, 700, 1000)),
    "open of the new": lambda t, o: t.process_order_update(row(o, 20, S.OPEN, "open", 101, 1200, 1200)),
    "fill of the old": lambda t, o: t.process_trade_update(fill(o, 10, "0.3", 1)),
    "fill of the new": lambda t, o: t.process_trade_update(fill(o, 20, "0.5", 2)),
}


@pytest.mark.parametrize("order_of_news", list(itertools.permutations(NEWS)), ids=lambda p: " > ".join(p))
def test_sizes_and_fills_are_exact_in_every_order_of_the_news(order_of_news):
    """G16, L49: ack, cancel of the old, open of the new and fills on either, in all 120 orders, each also told twice."""
    tracker, order, told = tracked()
    assert tracker.request_modify(order, 101 * 10**8, 1200)
    for name in order_of_news:
        NEWS[name](tracker, order)
        NEWS[name](tracker, order)
    assert (order.price, order.filled_amount, order.amount) == (101, D("0.8"), D("1.5"))
    assert order.exchange_order_ids == (10, 20) and order.exchange_order_id == 20
    assert order.state is S.PARTIALLY_FILLED and not order.modify_pending
    names = [type(e).__name__ for e in told]
    assert names.count("OrderModified") == 1 and names.count("OrderFilled") == 2
    assert not {"OrderCancelled", "OrderCompleted", "OrderFailed"} & set(names)
    assert tracker.counters["anomalies"] == 0
    tracker.process_trade_update(fill(order, 20, "0.7", 3))
    assert order.state is S.FILLED and order.filled_amount == order.amount == D("1.5")


def test_a_late_answer_to_a_modify_says_nothing_of_the_next_one():
    """G16: the rows of a first modify come ahead of its answer, and a second is under way when that comes."""
    tracker, order, told = tracked()
    assert tracker.request_modify(order, 101 * 10**8, 1000)
    tracker.process_order_update(row(order, 10, S.CANCELLED, "canceled", 100, 1000, 1000))
    tracker.process_order_update(row(order, 20, S.OPEN, "open", 101, 1000, 1000))
    assert tracker.request_modify(order, 102 * 10**8, 1000)
    tracker.modify_accepted(order, 20)
    assert order.modify_pending and order.price == 101
    tracker.process_order_update(row(order, 20, S.CANCELLED, "canceled", 101, 1000, 1000))
    tracker.process_order_update(row(order, 30, S.OPEN, "open", 102, 1000, 1000))
    assert order.state is S.OPEN and order.price == 102 and order.exchange_order_id == 30
    assert [type(e).__name__ for e in told] == ["OrderCreated", "OrderModified", "OrderModified"]


async def test_a_late_refusal_of_a_modify_says_nothing_of_the_next_one(trader, exchange, eventually):
    """G16: a first modify is held for refused, as it can no longer be executed; its answer comes during the second."""
    hl = await trader(settings=Settings(post_timeout_ms=100, backoff_min=0.02, backoff_max=0.2, hold_ms=500))
    order = hl.buy("BTC", "0.002", "50000", tif="Alo")
    assert await order.accepted()
    submit, held = exchange.engine.submit, []
    exchange.engine.submit = lambda signed, reply: (
        held.append((signed, reply)) if signed.kind == "batchModify" else submit(signed, reply)
    )
    assert hl.modify(order, price="50100")
    await eventually(lambda: held and not order.modify_pending)
    assert hl.modify(order, price="50200")
    await eventually(lambda: len(held) == 2)
    submit(*held[0])  # its nonce is used up: refused
    await asyncio.sleep(0.1)
    assert order.modify_pending and order.price == 50000
    submit(*held[1])
    await eventually(lambda: not order.modify_pending and not order.unresolved)
    (resting,) = [row for row in exchange.truth(hl.account)["orders"] if row["status"] == "open"]
    assert order.state is S.OPEN and (D(resting["px"]), resting["oid"]) == (order.price, order.exchange_order_id)


def test_a_modify_that_lost_the_old_order_ends_it():
    """Protocol, section 3.5: the cancel leg worked, the new order failed: the old order is gone."""
    for early in (True, False):
        tracker, order, told = tracked()
        assert tracker.request_modify(order, 101 * 10**8, 1200)
        if early:
            tracker.process_order_update(row(order, 10, S.CANCELLED, "canceled", 100, 1000, 1000))
            assert order.state is S.OPEN, "the outcome will tell what the cancel meant"
        tracker.modify_refused(order, "Error placing new order during modify: ...", True)
        if not early:
            tracker.process_order_update(row(order, 10, S.CANCELLED, "canceled", 100, 1000, 1000))
        assert order.state is S.CANCELLED
        assert [type(e).__name__ for e in told] == ["OrderCreated", "OrderModifyRejected", "OrderCancelled"]


def test_a_cancel_without_a_new_leg_is_the_end_once_the_venue_has_been_asked():
    tracker, order, told = tracked()
    tracker.request_modify(order, 101 * 10**8, 1200)
    tracker.mark_unresolved(order)
    tracker.process_order_update(row(order, 10, S.CANCELLED, "canceled", 100, 1000, 1000))
    assert order.state is S.OPEN
    tracker.resolve(order)
    assert order.state is S.CANCELLED and [type(e).__name__ for e in told] == ["OrderCreated", "OrderCancelled"]


FULL = {
    **{name: NEWS[name] for name in ("answer", "cancel of the old", "open of the new", "fill of the old")},
    "whole fill of the new": lambda t, o: t.process_trade_update(fill(o, 20, "1.2", 2)),
    "filled row of the new": lambda t, o: t.process_order_update(row(o, 20, S.FILLED, "filled", 101, 0, 1200)),
}


@pytest.mark.parametrize("last", FULL)
def test_a_new_leg_that_is_filled_at_once_completes_the_order_once_in_every_order_of_the_news(last):
    """G3, G5, G16: the same with a new leg that is filled whole: 720 orders of its six pieces of news, each told twice."""
    for order_of_news in itertools.permutations(name for name in FULL if name != last):
        tracker, order, told = tracked()
        assert tracker.request_modify(order, 101 * 10**8, 1200)
        for name in (*order_of_news, last):
            FULL[name](tracker, order)
            FULL[name](tracker, order)
        tracker.tick(order.updated_ns + 10**18)
        names = [type(e).__name__ for e in told]
        where = f"{' > '.join(order_of_news)} > {last}: {names}"
        assert order.state is S.FILLED and order.filled_amount == D("1.5"), where
        assert [name for name in names if name in ENDS] == ["OrderCompleted"], where
        assert names.count("OrderModified") <= 1 and names.count("OrderFilled") == 2, where
        late = [e.is_late for e in told if isinstance(e, ev.OrderFilled)]
        assert names.index("OrderCompleted") > names.index("OrderFilled"), where
        assert late[0] is False and tracker.counters["anomalies"] == 0, where
