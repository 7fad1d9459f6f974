"""The adapters: an order-book source over a shared stream, a bridge for orders, a router, and the assembly of them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

import hlfast
from hlfast import clock
from hlfast.core.events import StreamStatus
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade
from hlfast.engine.adapters import BridgeAdapter, IntegratedConnector, MarketStream, MarketStreamAdapter, VenueRouter
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange
from hlfast.types import OrderState

from .conftest import QUICK, FakeConnector, open_sim

KEY = FUNDED_ACCOUNTS[0].key
ADDRESS = FUNDED_ACCOUNTS[0].address


# -- the market-stream adapter ------------------------------------------------------------------------------------------
class Stream(FakeConnector):
    """A connector whose market data is watched and let go of as a real one's: a book exists for what is watched."""

    def __init__(self) -> None:
        super().__init__()
        for coin in ("SOL", "kPEPE", "xyz:NVDA"):
            self.rules[coin] = TradingRule(
                coin, sz_decimals=2, is_perpetual=True, asset=len(self.rules), min_notional=10
            )
        self.unwatched: list[str] = []

    def book(self, coin: str) -> Any:
        if coin not in self.watched:
            raise ConfigError(f"{coin} is not watched")
        return self.books[coin]

    def unwatch(self, coin: str) -> None:
        super().unwatch(coin)
        self.unwatched.append(coin)

    def market_is(self, state: str) -> None:
        self.bus.emit(StreamStatus(stream="market", state=state, reason="", recv_ns=clock.epoch_ns()))


@pytest.fixture
def connector() -> Stream:
    return Stream()


@pytest.fixture
def stream(connector: Stream) -> MarketStream:
    return MarketStream(connector)


def test_without_a_stream_there_is_no_adapter():
    """Behaviour 94."""
    with pytest.raises(ConfigError, match="needs a MarketStream"):
        MarketStreamAdapter(None)  # type: ignore[arg-type]


async def test_making_and_initialising_an_adapter_does_nothing_to_the_stream(connector, stream):
    """Behaviours 95 and 96."""
    source = MarketStreamAdapter(stream)
    assert await source.initialize() is True
    assert (connector.watched, connector.handlers, stream.coins) == ({}, {}, [])


def test_connected_is_what_the_stream_is(connector, stream):
    """Behaviour 97."""
    source, seen = MarketStreamAdapter(stream), []
    seen.append(source.is_connected)
    for state in ("CONNECTING", "LIVE", "DOWN", "LIVE"):
        connector.market_is(state)
        seen.append(source.is_connected)
    assert seen == [False, False, True, False, True]
    connector.bus.emit(StreamStatus(stream="account", state="DOWN", reason="", recv_ns=0))
    assert source.is_connected


def test_a_pair_is_watched_as_the_venues_coin(connector, stream):
    """Behaviour 98."""
    source = MarketStreamAdapter(stream)
    source.subscribe_orderbook("BTC-USD")
    source.subscribe_orderbook("BTC-USD")
    assert stream.coins == ["BTC"] and connector.watched["BTC"]["book"] and connector.watched["BTC"]["trades"]
    assert connector.handler_count("book") == 1


def test_the_last_user_lets_an_instrument_go(connector, stream):
    """Behaviour 99: one subscription however many users."""
    one, other = MarketStreamAdapter(stream), MarketStreamAdapter(stream)
    one.subscribe_orderbook("ETH-USD")
    other.subscribe_orderbook("ETH")
    one.unsubscribe_orderbook("ETH-USD")
    assert stream.coins == ["ETH"] and connector.unwatched == []
    one.unsubscribe_orderbook("ETH-USD")  # once more is nothing more
    assert stream.coins == ["ETH"]
    other.unsubscribe_orderbook("ETH")
    assert stream.coins == [] and connector.unwatched == ["ETH"] and connector.handler_count("book") == 0


def test_what_somebody_watches_already_is_left_to_them(connector, stream):
    """Behaviour 99: a strategy on the same connector keeps its book."""
    connector.watch("BTC")
    source = MarketStreamAdapter(stream)
    source.subscribe_orderbook("BTC")
    source.unsubscribe_orderbook("BTC")
    assert connector.unwatched == [] and "BTC" in connector.watched


def test_the_pairs_are_the_streams(stream):
    """Behaviour 100."""
    one, other = MarketStreamAdapter(stream), MarketStreamAdapter(stream)
    for pair in ("BTC-USD", "ETH-USD", "SOL-USD"):
        one.subscribe_orderbook(pair)
    assert one.get_trading_pairs() == other.get_trading_pairs() == ["BTC", "ETH", "SOL"]


def test_the_adapters_name(stream):
    """Behaviour 101."""
    assert MarketStreamAdapter(stream).name == "hyperliquid_marketstream_adapter"


@pytest.mark.parametrize(
    ("pair", "coin"),
    [("BTC-USD", "BTC"), ("ETH-USDT", "ETH"), ("SOL-PERP", "SOL"), ("kPEPE", "kPEPE"), ("xyz:NVDA", "xyz:NVDA")],
)
def test_pairs_are_looked_up(stream, pair, coin):
    """Behaviour 102."""
    assert stream.resolve(pair) == coin


async def test_starting_and_stopping_an_adapter_leaves_the_stream_alone(connector, stream):
    """Behaviour 103: messages pause, subscriptions stay."""
    source, heard = MarketStreamAdapter(stream), []
    source.set_message_callback(heard.append)
    source.subscribe_orderbook("BTC-USD")
    connector.market_is("LIVE")
    before = (dict(connector.watched), stream.coins, source.is_connected)
    await source.start()
    connector.quote("BTC", [("64990", "1")], [("65010", "1")])
    await source.stop()
    connector.quote("BTC", [("64991", "1")], [("65010", "1")])
    assert (dict(connector.watched), stream.coins, source.is_connected) == before
    assert [message.kind for message in heard] == ["SNAPSHOT"]


@pytest.mark.parametrize("pair", ["", "  ", "DOGE-NONE"])
def test_an_empty_or_unknown_pair_is_an_error_and_no_subscription(connector, stream, pair):
    """Behaviour 104."""
    with pytest.raises(ConfigError):
        MarketStreamAdapter(stream).subscribe_orderbook(pair)
    assert connector.watched == {} and stream.coins == []


def test_books_and_trades_are_forwarded_and_a_snapshot_is_a_copy(connector, stream):
    """The caller's own spelling comes back with each message."""
    source, heard = MarketStreamAdapter(stream), []
    source.subscribe_orderbook("BTC-USD")
    connector.quote("BTC", [("64990", "1")], [("65010", "1")])  # nobody listens yet
    source.set_message_callback(heard.append)
    connector.quote("BTC", [("64991", "1")], [("65010", "1")])
    trade = Trade(coin="BTC", price="65000", amount="0.1", sz_decimals=5, is_buy=True, tid=1, time_ms=7)
    for handler in connector.handlers[("trade", "BTC")]:
        handler(trade)
    assert [(m.kind, m.pair) for m in heard] == [("SNAPSHOT", "BTC-USD"), ("TRADE", "BTC-USD")]
    assert heard[1].data is trade and heard[1].time_ns == 7_000_000
    copy = source.get_snapshot("BTC-USD")
    connector.quote("BTC", [("64992", "1")], [("65010", "1")])
    assert (copy.best_bid, connector.books["BTC"].best_bid) == (64991, 64992)


# -- the bridge adapter -------------------------------------------------------------------------------------------------
@pytest.fixture
async def exchange() -> AsyncIterator[SimExchange]:
    made = await open_sim()
    yield made
    await made.stop()


@pytest.fixture
async def bridge(exchange: SimExchange) -> AsyncIterator[BridgeAdapter]:
    made = BridgeAdapter(lambda where, **options: hlfast.connect(where, settings=QUICK, **options))
    assert made.initialize(ADDRESS, KEY, True, network=exchange.network)
    await made.connect()
    yield made
    await made.disconnect()


async def eventually(check: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline_ns = clock.monotonic_ns() + int(seconds * 1e9)
    while not (found := check()):
        assert clock.monotonic_ns() < deadline_ns, "it did not come true"
        await asyncio.sleep(0.005)
    return found


def test_a_new_adapter_is_not_connected_and_has_its_name():
    """Behaviours 105 and 107."""
    made = BridgeAdapter(hlfast.connect)
    assert not made.is_connected and made.name == "hyperliquid" and made.list_open_orders() == []


@pytest.mark.parametrize(
    ("address", "key", "good"),
    [
        (ADDRESS, KEY, True),
        (None, KEY, True),
        (ADDRESS[:-1], KEY, False),
        (ADDRESS, KEY[:-1], False),
        (ADDRESS, "zz" * 32, False),
    ],
)
async def test_credentials_are_taken_or_refused_with_a_reason(address, key, good):
    """Behaviour 106; must not 37: the reason holds no key."""
    made = BridgeAdapter(hlfast.connect)
    assert made.initialize(address, key, True) is good
    assert bool(made.reason) is not good and key[2:] not in made.reason
    await made.disconnect()


async def test_before_a_connection_nothing_is_done_and_nothing_queued(exchange):
    """Behaviours 110-112: refused with a text, the id echoed."""
    made = BridgeAdapter(hlfast.connect)
    for _ in range(2):
        placed = made.place_order("mine", "BTC", "buy", "0.1", "50000")
        answers = [
            placed,
            made.cancel_order("mine"),
            made.modify_order("mine", price=1),
            await made.query_order("mine"),
        ]
        assert [(one.ok, one.cl_id) for one in answers] == [(False, "mine")] * 4
        assert all("not connected" in one.text for one in answers)
        made.initialize(ADDRESS, KEY, True, network=exchange.network)
    await made.connect()
    await asyncio.sleep(0.05)
    assert exchange.truth(ADDRESS)["orders"] == [] and made.connector.orders == []
    await made.disconnect()


async def test_the_wire_has_what_the_caller_said(bridge, exchange):
    """Behaviour 108: coin, side, size, price, time in force."""
    answer = bridge.place_order("mine-1", "BTCUSDT", "buy", "0.1", "50000", time_in_force="IOC")
    assert answer.ok and answer.order.client_order_id == "mine-1"
    await answer.order.done()
    (row,) = exchange.truth(ADDRESS)["orders"]
    got = (row["coin"], row["side"], Decimal(row["sz"]), Decimal(row["px"]), row["tif"])
    assert got == ("BTC", "B", Decimal("0.1"), Decimal(50000), "Ioc")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_in_force": "FOK"}, "time_in_force"),
        ({"side": "long"}, "side"),
        ({"symbol": "NONE"}, "NONE"),
        ({"order_type": "iceberg"}, "order_type"),
        ({"order_type": "stop"}, "stop_price"),
        ({"price": "50000.123"}, "50000"),
        ({"size": "0"}, "size"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_a_text(bridge, exchange, change, words):
    """Must not 26 and 27: nothing is softened or guessed."""
    given = {"symbol": "BTC", "side": "buy", "size": "0.1", "price": "50000", **change}
    answer = bridge.place_order("bad", **given)
    assert not answer.ok and words in answer.text
    assert exchange.truth(ADDRESS)["orders"] == []


async def test_callbacks_carry_the_callers_id_and_the_fee(bridge):
    """Behaviour 109."""
    states, fills = [], []
    bridge.set_order_callback(lambda cl_id, order: states.append((cl_id, order.state)))
    bridge.set_fill_callback(lambda cl_id, fill: fills.append((cl_id, fill.amount, fill.fee)))
    answer = bridge.place_order("mine-2", "BTC", "buy", "0.01", "66000", time_in_force="IOC")
    await answer.order.done()
    assert fills == [("mine-2", Decimal("0.01"), Decimal("0.01") * 65010 * Decimal("0.00045"))]
    assert {cl_id for cl_id, _ in states} == {"mine-2"} and states[-1][1] is OrderState.FILLED


async def test_a_modify_is_a_real_one(bridge, exchange):
    """Behaviour 113: the same id, the new price and size, one live order."""
    order = bridge.place_order("mine-3", "BTC", "buy", "0.01", "60000", time_in_force="PO").order
    assert await order.accepted()
    before = order.exchange_order_id
    assert bridge.modify_order("mine-3", price="60001", size="0.02").ok
    await eventually(lambda: order.exchange_order_id != before)
    (live,) = bridge.list_open_orders()
    assert (live.client_order_id, live.price, live.amount) == ("mine-3", 60001, Decimal("0.02"))
    resting = [row for row in exchange.truth(ADDRESS)["orders"] if row["status"] == "open"]
    assert len(resting) == 1 and not bridge.modify_order("nobody", price=1).ok


async def test_a_query_knows_our_orders_and_asks_the_venue_for_others(bridge, exchange):
    """Behaviour 112: by number or cloid; what nobody knows is said to be unknown."""
    order = bridge.place_order("mine-4", "BTC", "buy", "0.01", "60000").order
    assert await order.accepted()
    assert (await bridge.query_order("mine-4")).order is order
    found = await bridge.query_order(str(order.exchange_order_id))
    assert found.ok and (found.order.cloid, found.order.price, found.order.status) == (order.cloid, 60000, "open")
    assert (await bridge.query_order(order.cloid)).order.exchange_order_id == order.exchange_order_id
    for nobody in ("mine-5", "999999999", "0x" + "7" * 32):
        answer = await bridge.query_order(nobody)
        assert not answer.ok and "know" in answer.text
    assert bridge.cancel_order("mine-4").ok
    await order.done()
    assert not bridge.cancel_order("mine-4").ok


async def test_open_orders_are_listed_by_product_and_symbol(bridge):
    """Behaviour 114."""
    spot = next(name for name, rule in bridge.connector.trading_rules.items() if not rule.is_perpetual)
    placed = [
        bridge.place_order("p1", "BTC", "buy", "0.01", "60000"),
        bridge.place_order("p2", "ETH", "buy", "0.1", "1500"),
        bridge.place_order("s1", spot, "buy", "200", "0.1", product_type="spot"),
    ]
    for answer in placed:
        assert answer.ok and await answer.order.accepted(), answer
    ids = lambda *wanted: sorted(order.client_order_id for order in bridge.list_open_orders(*wanted))  # noqa: E731
    assert ids() == ["p1", "p2", "s1"]
    assert ids(None, "perpetual") == ["p1", "p2"] and ids(None, "spot") == ["s1"]
    assert ids("BTC") == ["p1"] and ids(spot, "spot") == ["s1"]
    await bridge.disconnect()
    assert bridge.list_open_orders() == []


async def test_connecting_keeps_trying():
    """Must not 22: the venue is not there yet, and then it is."""
    first = await open_sim()
    port = first.port
    await first.stop()
    made = BridgeAdapter(lambda where, **options: hlfast.connect(where, settings=QUICK, **options))
    assert made.initialize(ADDRESS, KEY, True, network=first.network)
    connecting = asyncio.ensure_future(made.connect())
    await eventually(lambda: made.reason)
    assert not connecting.done() and not made.is_connected
    exchange = await open_sim(port=port)
    try:
        await asyncio.wait_for(connecting, 30)
        assert made.is_connected
    finally:
        await made.disconnect()
        await exchange.stop()


@pytest.mark.skipif(not os.environ.get("HLFAST_TESTNET_KEY"), reason="opt-in: set HLFAST_TESTNET_KEY to a test key")
async def test_on_the_test_network_an_order_is_placed_found_and_cancelled():
    """Behaviour 115 (opt-in)."""
    made = BridgeAdapter(hlfast.connect)
    assert made.initialize(os.environ.get("HLFAST_TESTNET_ACCOUNT"), "env:HLFAST_TESTNET_KEY", True), made.reason
    await made.connect()
    try:
        mids = await made.connector.info.all_mids()  # type: ignore[attr-defined]
        price = made.connector.quantize_order_price("BTC", Decimal(mids["BTC"]) * Decimal("0.9"))
        order = made.place_order("hlfast-bridge-test", "BTC", "buy", "0.001", price, time_in_force="PO").order
        assert await order.accepted()
        assert (await made.query_order(str(order.exchange_order_id))).ok
        assert made.cancel_order("hlfast-bridge-test").ok
        assert await order.done() is OrderState.CANCELLED
    finally:
        await made.disconnect()


# -- router and assembly ------------------------------------------------------------------------------------------------
class Venue:
    def __init__(self, log: list[str], name: str, fails: str = "") -> None:
        self.log, self.name, self.fails, self.is_connected = log, name, fails, False

    async def connect(self) -> None:
        self.log.append(f"+{self.name}")
        if self.fails == "connect":
            raise ConfigError("no")
        self.is_connected = True

    async def disconnect(self) -> None:
        self.log.append(f"-{self.name}")
        self.is_connected = False
        if self.fails == "disconnect":
            raise ConfigError("no")


async def test_a_router_starts_watches_and_stops_all_of_its_venues():
    """Register, get, iterate, health, start and stop."""
    log: list[str] = []
    router = VenueRouter()
    one, other = (
        router.register("Hyperliquid", Venue(log, "a")),
        router.register("second", Venue(log, "b", "disconnect")),
    )
    assert router.get("HYPERLIQUID") is one and [name for name, _ in router] == ["hyperliquid", "second"]
    assert router.health() == {"hyperliquid": False, "second": False}
    for name in ("hyperliquid", " "):
        with pytest.raises(ConfigError, match="name of its own"):
            router.register(name, Venue(log, "c"))
    with pytest.raises(ConfigError, match="no venue 'third'; there are hyperliquid, second"):
        router.get("third")
    await router.start_all()
    assert log == ["+a", "+b"] and router.health() == {"hyperliquid": True, "second": True} and len(router) == 2
    with pytest.raises(ConfigError):
        await router.stop_all()
    assert log == ["+a", "+b", "-b", "-a"] and not one.is_connected and not other.is_connected


async def test_a_venue_that_cannot_start_stops_those_before_it():
    log: list[str] = []
    router = VenueRouter()
    for name, fails in (("a", ""), ("b", "connect"), ("c", "")):
        router.register(name, Venue(log, name, fails))
    with pytest.raises(ConfigError):
        await router.start_all()
    assert log == ["+a", "+b", "-b", "-a"]


async def test_the_assembly_is_its_parts(exchange):
    """Market adapter, tracker and publisher of one connector; every change of an order is published once."""
    zmq = pytest.importorskip("zmq", reason="the publisher needs pyzmq")
    from hlfast.engine.gateway_events import OrderEventPublisher

    context = zmq.Context()
    publisher = OrderEventPublisher(context, "tcp://127.0.0.1:*", "orders.hyperliquid")
    sub = context.socket(zmq.SUB)
    sub.subscribe(b"")
    sub.connect(publisher._socket.getsockopt_string(zmq.LAST_ENDPOINT))
    connector = hlfast.connect(exchange.network, key=KEY, settings=QUICK)
    whole = IntegratedConnector(connector, publisher)
    assert whole.tracker is connector.tracker and whole.name == connector.name
    router = VenueRouter()
    router.register("hyperliquid", whole)
    await router.start_all()
    try:
        await asyncio.sleep(0.3)  # the subscription is in place
        assert whole.is_connected and router.health() == {"hyperliquid": True}
        books: list[Any] = []
        whole.market.set_message_callback(lambda message: books.append(message.pair))
        whole.market.subscribe_orderbook("BTC-USD")
        await eventually(lambda: books)
        resting = connector.buy("BTC", "0.001", "60000")
        assert await resting.accepted()
        connector.cancel(resting)
        await resting.done()
        taking = connector.buy("BTC", "0.001", "65010", tif="Ioc")
        await taking.done()
        told: list[tuple[str, str]] = []

        def all_told() -> bool:
            while sub.poll(0):
                topic, payload = sub.recv_multipart()
                told.append((topic.decode().rpartition(".")[2], json.loads(payload)["data"]["client_order_id"]))
            return ("filled", taking.client_order_id) in told

        await eventually(all_told)
        of = lambda order: [kind for kind, cl_id in told if cl_id == order.client_order_id]  # noqa: E731
        assert of(resting) == ["update", "created", "update", "cancelled"]
        assert of(taking) == ["update", "created", "filled"]
    finally:
        await router.stop_all()
        publisher.close()
        context.destroy(0)
    assert not whole.is_connected
