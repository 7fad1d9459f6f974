"""OrderEventPublisher: topics, JSON, numbers, threads (the plan's behaviours 79 to 93)."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import TradeUpdate
from hlfast.engine.gateway_events import OrderEventPublisher
from hlfast.errors import ConfigError
from hlfast.types import OrderType, TradeType

zmq = pytest.importorskip("zmq", reason="the gateway needs pyzmq")


@pytest.fixture
def context():
    made = zmq.Context()
    yield made
    made.destroy(0)


class Reader:
    def __init__(self, context: Any, publisher: OrderEventPublisher, prefix: str = "") -> None:
        self.socket = context.socket(zmq.SUB)
        self.socket.set_hwm(0)
        self.socket.subscribe(prefix)
        self.socket.connect(publisher._socket.getsockopt_string(zmq.LAST_ENDPOINT))
        order = InFlightOrder(client_order_id="probe", coin="BTC", trade_type=TradeType.BUY, amount="1", price="1")
        while not self.socket.poll(20):  # until the subscription is known to be in place
            publisher.update(order)
        while self.socket.poll(100):
            self.socket.recv_multipart()

    def next(self) -> tuple[str, dict[str, Any]]:
        assert self.socket.poll(1_000), "nothing came within a second"
        topic, payload = self.socket.recv_multipart()
        return topic.decode(), json.loads(payload)


@pytest.fixture
def publisher(context) -> OrderEventPublisher:
    return OrderEventPublisher(context, "tcp://127.0.0.1:*", "orders.hyperliquid")


def live_order(**more: Any) -> tuple[ClientOrderTracker, InFlightOrder]:
    tracker = ClientOrderTracker()
    order = InFlightOrder(
        client_order_id="mm-42-17", cloid="0x" + "1" * 32, coin="BTC", trading_pair="BTC-USDC-PERP",
        trade_type=TradeType.BUY, amount="0.012", price="83750", sz_decimals=5, tif="Alo", order_type=OrderType.LIMIT_MAKER,
        creation_ns=1790358617889000000, **more,
    )  # fmt: skip
    tracker.start_tracking(order)
    tracker.mark_submitted(order)
    return tracker, order


def fill(size: str, tid: int = 343484124188045) -> TradeUpdate:
    return TradeUpdate(
        coin="BTC", tid=tid, exchange_order_id=315452584853, price="83750", amount=size, sz_decimals=5, is_buy=True,
        is_taker=False, fee="0.062813", time_ms=1790358624050,
    )  # fmt: skip


def test_no_context_raises_cleanly():
    """Behaviour 79."""
    with pytest.raises(ConfigError, match=r"zmq\.Context"):
        OrderEventPublisher(None, "tcp://127.0.0.1:*")


def test_a_taken_endpoint_is_a_bind_error(context, publisher):
    """Behaviour 80."""
    taken = publisher._socket.getsockopt_string(zmq.LAST_ENDPOINT)
    with pytest.raises(ConfigError, match="cannot be bound"):
        OrderEventPublisher(context, taken)


def test_endpoint_and_prefix_are_read_back(publisher):
    """Behaviour 81."""
    assert (publisher.endpoint, publisher.prefix) == ("tcp://127.0.0.1:*", "orders.hyperliquid")


def test_each_kind_has_its_topic_and_its_type(context, publisher):
    """Behaviours 82-85, 87 and 88."""
    reader = Reader(context, publisher)
    tracker, order = live_order()
    tracker.acknowledge(order, 315452584853)
    publisher.created(order)
    topic, event = reader.next()
    assert (topic, event["event_type"], event["data"]["order_state"]) == (
        "orders.hyperliquid.created",
        "order_created",
        "OPEN",
    )
    publisher.update(order)
    assert reader.next()[1]["event_type"] == "order_update"
    publisher.failed(order, reason="no: funds")
    topic, event = reader.next()
    assert topic.endswith(".failed") and event["failure_reason"] == "no: funds"
    publisher.cancelled(order, reason="canceled")
    topic, event = reader.next()
    assert (topic, event["event_type"]) == ("orders.hyperliquid.cancelled", "order_cancelled")
    tracker.process_trade_update(fill("0.012"))
    publisher.fill(order, order.fills[0])
    topic, event = reader.next()
    assert (
        topic.endswith(".filled") and event["event_type"] == "order_filled" and event["data"]["order_state"] == "FILLED"
    )
    assert event["trade"]["fill_base_amount"] == 0.012


def test_a_partial_fill_has_the_contracts_bytes(context, publisher):
    """Behaviours 86, 90, 91; contract 10, first example, byte for byte but for the clock and the number."""
    reader = Reader(context, publisher)
    tracker, order = live_order()
    tracker.acknowledge(order, 315452584853)
    tracker.process_trade_update(fill("0.005"))
    publisher.fill(order, order.fills[0])
    assert reader.socket.poll(1_000)
    payload = reader.socket.recv_multipart()[1].decode()
    event = json.loads(payload)
    updated = event["data"]["last_update_timestamp"]
    assert payload == (
        f'{{"event_type":"order_partially_filled","timestamp":{event["timestamp"]},"seq":{event["seq"]},"data":'
        '{"client_order_id":"mm-42-17","exchange_order_id":"315452584853","trading_pair":"BTC-USDC-PERP",'
        '"order_type":"LIMIT_MAKER","trade_type":"BUY","price":83750.0,"amount":0.012,"filled_amount":0.005,'
        '"average_fill_price":83750.0,"remaining_amount":0.007,"order_state":"PARTIALLY_FILLED","is_done":false,'
        f'"creation_timestamp":1790358617889000000,"last_update_timestamp":{updated}}},"trade":{{"trade_id":'
        '"343484124188045","client_order_id":"mm-42-17","exchange_order_id":"315452584853","trading_pair":'
        '"BTC-USDC-PERP","fill_price":83750.0,"fill_base_amount":0.005,"fill_quote_amount":418.75,"fill_timestamp":'
        '1790358624050000000,"fee_amount":0.062813,"fee_currency":"USDC","liquidity":"maker"}}'
    )


def test_a_minimal_order_is_valid_json_with_empty_ids(context, publisher):
    """Behaviour 92."""
    reader = Reader(context, publisher)
    publisher.created(InFlightOrder(client_order_id="m", coin="BTC", trade_type=TradeType.SELL, amount="1", price="2"))
    data = reader.next()[1]["data"]
    assert data["exchange_order_id"] == "" and data["average_fill_price"] == 0.0 and data["trade_type"] == "SELL"


def test_a_thousand_events_of_four_threads_arrive_in_order_without_gaps(context, publisher):
    """Behaviour 89."""
    reader = Reader(context, publisher)
    first = publisher.seq + 1

    def publish(thread: int) -> None:
        for number in range(250):
            order = InFlightOrder(
                client_order_id=f"{thread}:{number}", coin="BTC", trade_type=TradeType.BUY, amount="1", price="1"
            )
            publisher.update(order)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    events = [reader.next()[1] for _ in range(1_000)]
    for thread in threads:
        thread.join()
    assert [event["seq"] for event in events] == list(range(first, first + 1_000))
    for n in range(4):
        own = [e["data"]["client_order_id"] for e in events if e["data"]["client_order_id"].startswith(f"{n}:")]
        assert own == [f"{n}:{number}" for number in range(250)]


def test_readers_hear_their_prefix_only(context, publisher):
    """Behaviour 93."""
    other = OrderEventPublisher(context, "tcp://127.0.0.1:*", "other")
    reader = Reader(context, publisher, "orders.hyperliquid.")
    reader.socket.connect(other._socket.getsockopt_string(zmq.LAST_ENDPOINT))
    _, order = live_order()
    for _ in range(5):
        other.created(order)
    publisher.created(order)
    assert reader.next()[0] == "orders.hyperliquid.created"
    other.close()
