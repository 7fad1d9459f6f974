"""Hummingbot's order record and tracker: the contract's rules, in sequences of updates and fills."""

from __future__ import annotations

import asyncio
import itertools
import logging
import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from hlfast import clock
from hlfast.compat.hummingbot.connector.client_order_tracker import ClientOrderTracker
from hlfast.compat.hummingbot.connector.exchange_base import ExchangeBase
from hlfast.compat.hummingbot.core.data_type import in_flight_order as module
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, TradeType
from hlfast.compat.hummingbot.core.data_type.in_flight_order import (
    InFlightOrder,
    OrderState,
    OrderUpdate,
    PerpetualDerivativeInFlightOrder,
    TradeUpdate,
)
from hlfast.compat.hummingbot.core.data_type.trade_fee import AddedToCostTradeFee, TokenAmount
from hlfast.compat.hummingbot.core.event.event_forwarder import SourceInfoEventForwarder
from hlfast.compat.hummingbot.core.event.events import MarketEvent

D = Decimal
S = OrderState
LIVE = (S.PENDING_CREATE, S.OPEN, S.PARTIALLY_FILLED, S.PENDING_CANCEL)


class Connector(ExchangeBase):
    @property
    def order_books(self) -> dict[str, Any]:
        return {}


class Desk:
    """A tracker, and what it tells."""

    def __init__(self) -> None:
        self.connector = Connector()
        self.connector._set_current_timestamp(1_640_000_000.0)
        self.tracker = ClientOrderTracker(self.connector)
        self.events: list[tuple[str, Any]] = []
        self._names = {tag.value: tag.name for tag in MarketEvent}
        self._listener = SourceInfoEventForwarder(lambda tag, _, event: self.events.append((self._names[tag], event)))
        for tag in MarketEvent:
            self.connector.add_listener(tag, self._listener)
        self.logged: list[tuple[str, str]] = []
        self._handler = logging.Handler(1)
        self._handler.emit = lambda record: self.logged.append((record.levelname, record.getMessage()))  # type: ignore
        self.tracker.logger().setLevel(1)
        self.tracker.logger().addHandler(self._handler)

    def close(self) -> None:
        self.tracker.logger().removeHandler(self._handler)

    @property
    def told(self) -> list[str]:
        return [name for name, _ in self.events]

    def order(self, client_id: str = "A", state: OrderState = S.PENDING_CREATE, **more: Any) -> InFlightOrder:
        order = InFlightOrder(
            **{  # type: ignore[arg-type]
                "client_order_id": client_id,
                "trading_pair": "HBOT-USD",
                "order_type": OrderType.LIMIT,
                "trade_type": TradeType.BUY,
                "amount": D("1000.0"),
                "creation_timestamp": 1_640_000_000.0,
                "price": D("1.0"),
                "initial_state": state,
                **more,
            }
        )
        self.tracker.start_tracking_order(order)
        return order

    def say(self, state: OrderState, client_id: str | None = "A", oid: str | None = "77", misc: Any = None) -> Any:
        return self.tracker.process_order_update(OrderUpdate("HBOT-USD", 1_640_000_001.0, state, client_id, oid, misc))

    def fill(self, amount: str = "1000.0", trade_id: Any = 1, client_id: str = "A") -> None:
        self.tracker.process_trade_update(fill(amount, trade_id, client_id))


def fill(amount: str = "1000.0", trade_id: Any = 1, client_id: str = "A", **more: Any) -> TradeUpdate:
    fee = AddedToCostTradeFee(flat_fees=[TokenAmount("USD", D("0.5"))])
    return TradeUpdate(
        trade_id, client_id, "77", "HBOT-USD", 1_640_000_002.0, D("1.0"), D(amount), D(amount), fee, **more
    )


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


# -- the record ---------------------------------------------------------------------------------------------------------
def test_a_record_holds_the_decimals_that_it_was_given(desk: Desk) -> None:
    order = desk.order()
    assert str(order.amount) == "1000.0" and order.executed_amount_base == 0
    assert order.build_order_created_message() == "Created LIMIT BUY order A for 1000.0 HBOT-USD at 1.0."
    perp = PerpetualDerivativeInFlightOrder(
        "A", "HBOT-USD", OrderType.LIMIT, TradeType.SELL, D(5), 0.0, D(2), position=PositionAction.CLOSE
    )
    assert perp.build_order_created_message() == "Created LIMIT SELL order A for 5 to CLOSE a HBOT-USD position at 2."
    assert (order.base_asset, order.quote_asset) == ("HBOT", "USD")


@pytest.mark.parametrize("state", S)
def test_questions_about_a_state(desk: Desk, state: OrderState) -> None:
    order = desk.order(state=state)
    assert order.is_open is (state in LIVE)
    assert order.is_done is (state in (S.CANCELED, S.FILLED, S.FAILED))
    assert (order.is_cancelled, order.is_failure) == (state is S.CANCELED, state is S.FAILED)
    assert order.processed_by_exchange_event.is_set() is (state.value > 0)
    order.executed_amount_base = order.amount
    assert order.is_done and order.is_filled and order.is_open is (state in LIVE)


def test_an_update_changes_state_and_a_missing_id_and_never_amounts(desk: Desk) -> None:
    order = desk.order()
    assert not order.update_with_order_update(OrderUpdate("HBOT-USD", 2.0, S.OPEN, "other", "other"))
    assert order.update_with_order_update(OrderUpdate("HBOT-USD", 2.0, S.PARTIALLY_FILLED, "A", "77"))
    assert (order.exchange_order_id, order.last_update_timestamp) == ("77", 2.0)
    assert not order.update_with_order_update(OrderUpdate("HBOT-USD", 3.0, S.PARTIALLY_FILLED, "A", "78"))
    assert (order.exchange_order_id, order.last_update_timestamp) == ("77", 2.0) and order.executed_amount_base == 0


def test_a_fill_counts_once_and_never_changes_the_state(desk: Desk) -> None:
    order = desk.order(state=S.OPEN)
    assert order.update_with_trade_update(fill("400", 1)) and not order.update_with_trade_update(fill("400", 1))
    assert not order.update_with_trade_update(fill("400", 2, "B")._replace(exchange_order_id="99"))
    assert not order.completely_filled_event.is_set() and order.current_state is S.OPEN
    assert order.update_with_trade_update(fill("600", 2)._replace(fill_price=D(2), fill_quote_amount=D(1200)))
    assert order.completely_filled_event.is_set() and order.current_state is S.OPEN
    assert order.average_executed_price == D("1.6") and order.executed_amount_quote == 1600
    assert order.cumulative_fee_paid("USD") == 1


async def test_waiting_for_an_id_ends_at_the_modules_timeout(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GET_EX_ORDER_ID_TIMEOUT", 0.01)
    order = desk.order()
    with pytest.raises(asyncio.TimeoutError):
        await order.get_exchange_order_id()
    order.update_exchange_order_id("5")
    assert await order.get_exchange_order_id() == "5"


def test_json_and_back(desk: Desk) -> None:
    order = desk.order(exchange_order_id="77", state=S.OPEN, leverage=3, position=PositionAction.OPEN)
    order.update_with_trade_update(fill("400", "1", is_taker=False))
    data = order.to_json()
    assert data["last_state"] == "1" and data["amount"] == "1000.0" and data["cumulative_fee_paid_quote"] == 0.5
    again = InFlightOrder.from_json({**data, "unknown": 1})
    assert again == order and again.order_fills == order.order_fills
    del data["creation_timestamp"], data["order_fills"], data["last_update_timestamp"]
    bare = InFlightOrder.from_json(data)
    assert bare.creation_timestamp == bare.last_update_timestamp == -1 and bare.order_fills == {}
    limit = order.to_limit_order()
    assert limit.creation_timestamp == 1_640_000_000_000_000 and limit.filled_quantity == 400


# -- the tracker --------------------------------------------------------------------------------------------------------
def test_a_life_is_told_in_its_order_without_any_loop(desk: Desk) -> None:
    """G3, G11."""
    order = desk.order()
    desk.say(S.OPEN)
    desk.fill("400", 1)
    desk.fill("600", 2)
    assert desk.told == ["BuyOrderCreated", "OrderFilled", "OrderFilled"] and order.is_open
    desk.say(S.FILLED)
    assert desk.told[3:] == ["BuyOrderCompleted"] and desk.tracker.active_orders == {}
    assert desk.tracker.fetch_cached_order("A") is order and not order.fills_incomplete
    assert desk.logged == [
        ("INFO", "Created LIMIT BUY order A for 1000.0 HBOT-USD at 1.0."),
        ("INFO", "The BUY order A amounting to 400/1000.0 HBOT has been filled at 1.0 USD."),
        ("INFO", "The BUY order A amounting to 1000/1000.0 HBOT has been filled at 1.0 USD."),
        ("INFO", "BUY order A completely filled."),
    ]
    created, filled = desk.events[0][1], desk.events[1][1]
    assert (created.timestamp, created.order_id, created.exchange_order_id) == (1_640_000_000.0, "A", "77")
    assert filled.trade_fee == AddedToCostTradeFee(flat_fees=[TokenAmount("USD", D("0.5"))])


def test_a_fill_ahead_of_the_answer_creates_the_order_first(desk: Desk) -> None:
    """G2."""
    desk.order()
    desk.fill()
    desk.say(S.OPEN)
    desk.say(S.FILLED)
    assert desk.told == ["BuyOrderCreated", "OrderFilled", "BuyOrderCompleted"]


async def test_a_filled_order_waits_for_its_fills_and_nothing_else_does(desk: Desk) -> None:
    """G3: the wait delays this one update only."""
    desk.order(state=S.OPEN)
    desk.order("B", exchange_order_id="78")
    waiting = desk.say(S.FILLED)
    desk.say(S.OPEN, "B", "78")
    desk.fill()
    assert desk.told == ["BuyOrderCreated", "OrderFilled"]
    desk.connector._set_current_timestamp(1_640_000_009.0)
    await waiting
    assert desk.told[2:] == ["BuyOrderCompleted"] and desk.events[-1][1].timestamp == 1_640_000_009.0


async def test_a_completion_without_its_fills_says_so(desk: Desk) -> None:
    """G3, G7: bounded, warned of, marked; the late fill is still told, also after it left the views."""
    desk.tracker.TRADE_FILLS_WAIT_TIMEOUT = 0.01
    order = desk.order(state=S.OPEN)
    desk.fill("400", 1)
    await desk.say(S.FILLED)
    assert desk.told == ["OrderFilled", "BuyOrderCompleted"] and order.fills_incomplete
    text = (
        "The order fill updates did not arrive on time for A. The complete update will be processed with incomplete "
        "information."
    )
    assert ("WARNING", text) in desk.logged
    desk.tracker._cached_orders.clear()
    desk.fill("600", 2)
    assert desk.told[2:] == ["OrderFilled"]


async def test_a_cancel_that_knows_of_fills_waits_for_them(desk: Desk) -> None:
    """G4."""
    desk.order(state=S.OPEN)
    waiting = desk.say(S.CANCELED, misc={"filled_base": "400"})
    desk.fill("400", 1)
    await waiting
    assert desk.told == ["OrderFilled", "OrderCancelled"]


async def test_a_cancel_without_its_fills_says_so(desk: Desk) -> None:
    """G4: bounded as a completion is, warned of, marked; the late fill is still told."""
    desk.tracker.TRADE_FILLS_WAIT_TIMEOUT = 0.01
    order = desk.order(state=S.OPEN)
    await desk.say(S.CANCELED, misc={"filled_base": "400"})
    assert desk.told == ["OrderCancelled"] and order.fills_incomplete
    assert [level for level, text in desk.logged if "did not arrive on time" in text] == ["WARNING"]
    desk.fill("400", 1)
    assert desk.told == ["OrderCancelled", "OrderFilled"]


def test_a_cancel_that_knows_nothing_is_immediate(desk: Desk) -> None:
    desk.order(state=S.OPEN)
    desk.say(S.CANCELED)
    assert desk.told == ["OrderCancelled"] and ("INFO", "Successfully canceled order A.") in desk.logged


@pytest.mark.parametrize("first", [S.OPEN, S.CANCELED, S.FILLED, S.FAILED])
def test_whatever_order_words_arrive_in_there_is_one_end_and_no_way_back(first: OrderState) -> None:
    """G5, G6: every order of three words, each said twice."""
    ends = {"OrderCancelled", "BuyOrderCompleted", "OrderFailure"}
    for rest in itertools.permutations([S.OPEN, S.PENDING_CREATE, S.CANCELED, S.FILLED, S.PENDING_CANCEL], 3):
        desk = Desk()
        desk.order(state=S.OPEN)
        desk.fill()
        for state in (first, first, *rest, *rest, S.CANCELED):
            desk.say(state)
        desk.close()
        assert len([name for name in desk.told if name in ends]) == 1, (first, rest)
        assert desk.tracker.active_orders == {}


def test_a_late_open_changes_nothing_but_supplies_the_id(desk: Desk) -> None:
    """G6."""
    order = desk.order(state=S.PARTIALLY_FILLED)
    desk.say(S.OPEN)
    assert order.current_state is S.PARTIALLY_FILLED and order.exchange_order_id == "77"
    desk.say(S.PENDING_CANCEL)
    assert order.is_pending_cancel_confirmation
    desk.say(S.PARTIALLY_FILLED)
    assert order.current_state is S.PARTIALLY_FILLED and desk.tracker.ignored_updates == 1


def test_a_failure_tells_its_reason(desk: Desk) -> None:
    desk.order()
    update = OrderUpdate("HBOT-USD", 1.0, S.FAILED, "A", None, {"error_message": "no", "error_type": "ValueError"})
    desk.tracker.process_order_update(update)
    ((name, event),) = desk.events
    assert name == "OrderFailure" and (event.error_message, event.error_type) == ("no", "ValueError")
    assert ("INFO", f"Order A has failed. Order Update: {update}") in desk.logged


def test_updates_of_nothing_and_of_nobody_are_logged(desk: Desk) -> None:
    desk.say(S.OPEN, None, None)
    desk.say(S.OPEN, "X", "Y")
    update = OrderUpdate("HBOT-USD", 1_640_000_001.0, S.OPEN, "X", "Y", None)
    assert desk.logged == [
        ("ERROR", "OrderUpdate does not contain any client_order_id or exchange_order_id"),
        ("DEBUG", f"Order is not/no longer being tracked ({update})"),
    ]


def test_an_order_is_found_by_either_id_and_never_by_none(desk: Desk) -> None:
    order = desk.order(exchange_order_id="77")
    bare = desk.order("B")
    assert desk.tracker.fetch_order(exchange_order_id="77") is order is desk.tracker.fetch_order("A")
    assert desk.tracker.fetch_order() is None and desk.tracker.fetch_order("C", None) is None
    assert desk.tracker.all_fillable_orders_by_exchange_order_id == {"77": order}
    desk.say(S.OPEN, None, "77")
    assert order.current_state is S.OPEN and bare.is_pending_create


async def test_an_order_is_lost_at_the_fourth_absence_in_a_row(desk: Desk) -> None:
    """G9, G10."""
    order = desk.order(exchange_order_id="77", state=S.OPEN)
    for _ in range(3):
        await desk.tracker.process_order_not_found("A")
    assert desk.tracker._order_not_found_records == {"A": 3} and desk.told == []
    await desk.tracker.process_order_not_found("A")
    assert desk.told == ["OrderFailure"] and desk.tracker.lost_orders == {"A": order}
    assert desk.tracker.all_orders == {} and desk.tracker.all_updatable_orders == {"A": order}
    text = "The order A(77) will be considered lost. Please check its status in the exchange."
    assert ("WARNING", text) in desk.logged
    desk.fill("400", 1)
    assert desk.told[1:] == ["OrderFilled"]
    desk.say(S.OPEN)
    assert "A" in desk.tracker.lost_orders
    await desk.tracker.process_order_not_found("A")
    assert desk.tracker.lost_orders == {}
    assert ("INFO", "The lost order A(77) was not found and will be removed") in desk.logged
    await desk.tracker.process_order_not_found("A")
    assert ("DEBUG", "Order is not/no longer being tracked (A)") in desk.logged


async def test_absences_with_news_between_never_make_an_order_lost(desk: Desk) -> None:
    """G9: any status of the order clears the count, also one that says nothing new."""
    desk.order(exchange_order_id="77", state=S.OPEN)
    for _ in range(8):
        await desk.tracker.process_order_not_found("A")
        desk.say(S.OPEN)
        assert desk.tracker._order_not_found_records == {}
    assert desk.told == [] and "A" in desk.tracker.active_orders and desk.tracker.lost_orders == {}


async def test_a_word_of_a_lost_orders_end_removes_it_silently(desk: Desk) -> None:
    desk.order(exchange_order_id="77", state=S.OPEN)
    desk.tracker.lost_order_count_limit = 0
    await desk.tracker.process_order_not_found("A")
    desk.say(S.CANCELED)
    assert desk.told == ["OrderFailure"] and desk.tracker.lost_orders == {}


def test_the_cache_has_a_size_and_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientOrderTracker, "MAX_CACHE_SIZE", 3)
    tracker = ClientOrderTracker(desk.connector)
    for n in range(4):
        tracker._cached_orders[str(n)] = desk.order(str(n))
    assert list(tracker.cached_orders) == ["1", "2", "3"] and "0" not in tracker._cached_orders
    now = clock.epoch_ns()
    try:
        clock.set_virtual(now)
        fresh = ClientOrderTracker(desk.connector)
        fresh.start_tracking_order(desk.order("Z"))
        fresh.stop_tracking_order("Z")
        fresh.stop_tracking_order("Z")
        assert "Z" in fresh.cached_orders
        clock.set_virtual(now + 31_000_000_000)
        assert fresh.cached_orders == {} and fresh.fetch_cached_order("Z") is None
    finally:
        clock.set_virtual(None)


def test_saved_orders_are_taken_up_by_their_state(desk: Desk) -> None:
    states = {n: desk.order(n, state).to_json() for n, state in (("o", S.OPEN), ("f", S.FAILED), ("c", S.CANCELED))}
    tracker = ClientOrderTracker(desk.connector)
    tracker.restore_tracking_states(states)
    assert list(tracker.active_orders) == ["o"] and list(tracker.lost_orders) == ["f"] and tracker.cached_orders == {}


def test_the_tracker_needs_of_its_connector_a_time_and_a_trigger() -> None:
    told: list[Any] = []
    bare = types.SimpleNamespace(current_timestamp=1.0, trigger_event=lambda tag, event: told.append(tag))
    tracker = ClientOrderTracker(bare)
    tracker.start_tracking_order(InFlightOrder("A", "A-B", OrderType.LIMIT, TradeType.SELL, D(1), 0.0))
    tracker.process_order_update(OrderUpdate("A-B", 1.0, S.OPEN, "A"))
    assert told == [MarketEvent.SellOrderCreated]


def test_an_update_may_come_while_no_loop_runs(desk: Desk) -> None:
    """G11: with a current loop a future comes back, finished unless the update waits; without one it is applied at once."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        desk.order()
        done = desk.say(S.OPEN)
        assert isinstance(done, asyncio.Future) and done.done()
        waits = desk.say(S.FILLED)
        assert not waits.done()
        desk.fill()
        loop.run_until_complete(waits)
        assert desk.told == ["BuyOrderCreated", "OrderFilled", "BuyOrderCompleted"]
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_an_order_of_ten_thousand_is_found_by_the_venues_id_again(desk: Desk) -> None:
    for n in range(10_000):
        desk.order(str(n), exchange_order_id=f"x{n}")
    desk.say(S.OPEN, None, "x9999")
    assert "x9999" in desk.tracker._by_exchange_id
    desk.say(S.CANCELED, None, "x9999")
    assert desk.told == ["BuyOrderCreated", "OrderCancelled"]
