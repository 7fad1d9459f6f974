"""What every connector offers, shown on a toy venue that lives in this file: core needs no edit for a new venue."""

import asyncio
import itertools
import threading
from collections.abc import Callable

import pytest

from hlfast import clock
from hlfast.core import events as ev
from hlfast.core.bus import EventBus
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_ids import ClientOrderIds, Cloids
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError, NotReady
from hlfast.types import ConnectorType, OrderParams, OrderState, TradeType


class ToyVenue:
    """Answers each order after `delay` seconds on the loop: it rests, unless `refuse` names a reason."""

    def __init__(self) -> None:
        self.received: list[tuple[str, InFlightOrder]] = []
        self.delay, self.refuse, self.next_oid = 0.0, "", 1000

    def send(self, verb: str, order: InFlightOrder, tracker: ClientOrderTracker) -> None:
        self.received.append((verb, order))
        asyncio.get_running_loop().call_later(self.delay, self.answer, order, tracker)

    def answer(self, order: InFlightOrder, tracker: ClientOrderTracker) -> None:
        self.next_oid += 1
        if self.refuse:
            tracker.reject(order, self.refuse)
        else:
            tracker.acknowledge(order, self.next_oid)


class ToyConnector(ConnectorBase):
    """A venue in memory: metadata, books, an account and order entry behind `ConnectorBase`."""

    name, domain, connector_type = "toy_spot", "toy_spot_testnet", ConnectorType.SPOT
    positions, balances, ledger, counters = {}, {}, {}, {}
    is_connected = False

    def __init__(self, venue: ToyVenue) -> None:
        self.venue = venue
        self.bus = EventBus()
        self.tracker = ClientOrderTracker(self.bus)
        self._rules: dict[str, TradingRule] = {}
        self._books: dict[str, OrderBook] = {}
        self._ids, self._cloids = ClientOrderIds(), Cloids()
        self.has_data = True

    async def initialize(self) -> None:
        self._rules = {"BTC-USD": TradingRule("BTC-USD", tick="0.1", step="0.001", significant_figures=0)}

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self.tracker.waiter_factory = loop.create_future
        self.tracker.waker = lambda future, value: future.done() or future.set_result(value)
        self.is_connected = True

    async def disconnect(self) -> None:
        self.is_connected = False

    @property
    def ready(self) -> bool:
        return self.is_connected and bool(self._rules) and self.has_data

    async def wait_ready(self, timeout: float | None = None) -> None:
        if not self.ready:
            raise NotReady(f"not ready: {self.status}")

    @property
    def status(self) -> dict:
        return {"connected": self.is_connected, "instruments": len(self._rules), "data": self.has_data}

    @property
    def trading_rules(self) -> dict[str, TradingRule]:
        return self._rules

    def resolve(self, coin: str) -> TradingRule:
        if coin not in self._rules:
            raise ConfigError(f"{coin!r} is not known; near: {list(self._rules)}")
        return self._rules[coin]

    def watch(self, coin: str, *, book: bool = True, bbo: bool = True, trades: bool = False) -> None:
        self._books[self.resolve(coin).coin] = OrderBook(coin, 3)

    def unwatch(self, coin: str) -> None:
        self._books.pop(coin, None)

    def book(self, coin: str) -> OrderBook:
        return self._books[coin]

    def bbo(self, coin: str) -> Bbo:
        return Bbo(coin, 3)

    def _no_stream(self, coin: str, fn: Callable) -> Callable[[], None]:
        raise NotReady("the toy venue has no streams")

    on_book = on_bbo = on_trade = _no_stream

    def _order(self, side: TradeType, coin: str, size, price) -> InFlightOrder:
        if not self.ready:
            raise NotReady("connect first")
        rule = self.resolve(coin)
        order = InFlightOrder(
            client_order_id=self.generate_client_order_id(), cloid=self._cloids.next(), coin=coin, trade_type=side,
            amount=rule.quantize_size(size), price=rule.quantize_price(price, side), sz_decimals=3,
        )  # fmt: skip
        self.tracker.start_tracking(order)
        self.tracker.mark_submitted(order)
        self.venue.send("order", order, self.tracker)
        return order

    def buy(self, coin, size=None, price=None, **kw) -> InFlightOrder:
        return self._order(TradeType.BUY, coin, size, price)

    def sell(self, coin, size=None, price=None, **kw) -> InFlightOrder:
        return self._order(TradeType.SELL, coin, size, price)

    def place(self, orders: list[OrderParams], *, grouping: str | None = None) -> list[InFlightOrder]:
        return [self._order(p.side, p.coin, p.size, p.price) for p in orders]

    def modify(self, order, *, price=None, size=None, rounding="refuse") -> bool:
        return False

    def cancel(self, order: InFlightOrder | str) -> bool:
        found = self.get_order(order) if isinstance(order, str) else order
        if found is None or not self.tracker.request_cancel(found):
            return False
        self.venue.received.append(("cancel", found))
        return True

    def cancel_all(self, coin: str | None = None) -> int:
        return sum(self.cancel(order) for order in self.orders)

    def generate_client_order_id(self) -> str:
        return self._ids.next()


@pytest.fixture
async def toy():
    async with ToyConnector(ToyVenue()) as connector:
        yield connector


async def test_connected_and_ready_follow_each_step_of_the_life_cycle():
    """Behaviour 8."""
    toy = ToyConnector(ToyVenue())
    seen = [(toy.is_connected, toy.is_ready)]
    for step in (toy.initialize, toy.connect, toy.disconnect, toy.connect):
        await step()
        seen.append((toy.is_connected, toy.is_ready))
    assert seen == [(False, False), (False, False), (True, True), (False, False), (True, True)]


async def test_entering_waits_until_ready_and_a_failure_leaves_nothing_open():
    """C7, behaviour 8."""
    toy = ToyConnector(ToyVenue())
    toy.has_data = False
    with pytest.raises(NotReady, match="data"):
        async with toy:
            pytest.fail("entered though not ready")
    assert not toy.is_connected
    toy.has_data = True
    async with toy as entered:
        assert entered is toy and toy.is_ready
    assert not toy.is_connected


async def test_buy_gives_an_id_of_ours_and_exactly_one_order_reaches_the_sender(toy):
    """Behaviour 9."""
    order = toy.buy("BTC-USD", "0.1239", "50123.456")
    assert order.client_order_id.startswith("hl-")
    assert toy.venue.received == [("order", order)] and toy.orders == [order]
    assert (str(order.amount), str(order.price), order.state) == ("0.123", "50123.4", OrderState.PENDING_SUBMIT)
    assert await order.accepted() and order.state is OrderState.OPEN


async def test_price_and_amount_are_quantized_by_the_pairs_rule_and_an_unknown_pair_raises(toy):
    """Behaviour 10."""
    assert str(toy.quantize_order_price("BTC-USD", 50123.456)) == "50123.5"
    assert str(toy.quantize_order_price("BTC-USD", 50123.456, TradeType.BUY)) == "50123.4"
    assert str(toy.quantize_order_amount("BTC-USD", 0.1234)) == "0.123"
    assert toy.get_trading_rule("BTC-USD") is toy.get_all_trading_rules()["BTC-USD"]
    for ask in (
        toy.get_trading_rule,
        lambda c: toy.quantize_order_price(c, 1),
        lambda c: toy.quantize_order_amount(c, 1),
    ):
        with pytest.raises(ConfigError, match="DOGE"):
            ask("DOGE")


async def test_open_orders_are_exactly_the_accepted_ones(toy):
    """Behaviours 68 and 69."""
    accepted = [toy.buy("BTC-USD", 1, 100 + n) for n in range(3)]
    for order in accepted:
        assert await order.accepted()
    toy.venue.refuse = "no"
    refused = toy.sell("BTC-USD", 1, 100)
    assert not await refused.accepted()
    toy.venue.refuse, toy.venue.delay = "", 60
    pending = toy.sell("BTC-USD", 1, 100)
    assert toy.get_open_orders() == accepted and pending in toy.orders
    assert toy.get_order(refused.client_order_id) is refused and toy.get_order("hl-0-0") is None
    assert toy.cancel("hl-0-0") is toy.cancel(refused) is False and toy.cancel(accepted[0]) is True


async def test_states_are_recorded_in_the_order_of_life(toy):
    """Behaviour 71."""
    path = [OrderState.PENDING_CREATE]
    remove = toy.on(ev.OrderStateChanged, lambda e: path.append(e.new_state))
    await toy.buy("BTC-USD", 1, 100).accepted()
    assert path == [OrderState.PENDING_CREATE, OrderState.PENDING_SUBMIT, OrderState.OPEN]
    remove()
    toy.buy("BTC-USD", 1, 100)
    assert len(path) == 3


async def test_a_refusal_is_one_failed_event_with_the_venues_reason(toy):
    """Behaviour 70."""
    failed = []
    toy.on(ev.OrderEvent, lambda e: failed.append(e) if not isinstance(e, ev.OrderStateChanged) else None)
    toy.venue.refuse = "Price must be divisible by tick size. asset=0"
    order = toy.buy("BTC-USD", 1, 100)
    assert await order.done() is OrderState.FAILED
    assert [(type(e), e.reason) for e in failed] == [(ev.OrderFailed, toy.venue.refuse)]


async def test_ten_callers_at_once_get_a_hundred_distinct_orders_each_confirmed_once(toy):
    """Behaviour 72."""
    created = []
    toy.on(ev.OrderCreated, created.append)
    toy.venue.delay = 0.01

    async def caller(n: int) -> list[InFlightOrder]:
        orders = []
        for k in range(10):
            orders.append(toy.buy("BTC-USD", 1, 100 + n + k))
            await asyncio.sleep(0)
        assert all([await order.accepted() for order in orders])
        return orders

    orders = list(itertools.chain.from_iterable(await asyncio.gather(*map(caller, range(10)))))
    assert len({o.client_order_id for o in orders}) == len({o.cloid for o in orders}) == 100
    assert sorted(e.client_order_id for e in created) == sorted(o.client_order_id for o in orders)
    assert len({o.exchange_order_id for o in orders}) == 100


def test_a_connector_is_complete_or_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        ConnectorBase()


def test_time_and_latency_come_from_the_one_clock_and_recorder():
    clock.set_virtual(5)
    try:
        assert ConnectorBase.current_timestamp_ns() == 5
    finally:
        clock.set_virtual(None)
    assert {"encode", "sign", "write", "ack"} <= set(ConnectorBase.latency.summary())


# -- ids --------------------------------------------------------------------------------------------------------------
def from_threads(n: int, make: Callable[[], list]) -> list[list]:
    made: list[list] = []
    threads = [threading.Thread(target=lambda: made.append(make())) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return made


def test_a_hundred_thousand_ids_from_four_threads_all_differ():
    """Behaviour 3."""
    ids, cloids = ClientOrderIds(), Cloids()
    made = from_threads(4, lambda: [(ids.next(), cloids.next()) for _ in range(25_000)])
    names, keys = zip(*(pair for batch in made for pair in batch), strict=True)
    assert len(set(names)) == len(set(keys)) == 100_000
    assert all(name.startswith("hl-") and len(name) <= 36 for name in names)
    assert all(len(key) == 34 and key[:2] == "0x" and int(key, 16) > 0 and key == key.lower() for key in keys)
    for batch in made:
        ns = [int(name.split("-")[1]) for name, _ in batch]
        assert all(a < b for a, b in itertools.pairwise(ns))


def test_the_prefix_is_the_callers():
    """Behaviour 4."""
    assert ClientOrderIds().prefix == "hl" and ClientOrderIds("TEST").next().startswith("TEST-")
    assert len(ClientOrderIds("ABCDEFGH").next()) <= 36


@pytest.mark.parametrize("prefix", ["", "a-b", "toolongone", "é", "a b", "²"])
def test_a_prefix_that_would_break_an_id_is_refused(prefix):
    """Behaviour 4."""
    with pytest.raises(ConfigError, match="prefix"):
        ClientOrderIds(prefix)


def test_ids_rise_while_the_clock_stands_still_and_instances_differ():
    """Section 1: unique across instances; a replay freezes the clock."""
    clock.set_virtual(1_800_000_000 * 10**9)
    try:
        makers = [ClientOrderIds() for _ in range(200)]
        ids = [maker.next() for _ in range(5) for maker in makers]
        first = ids[0].split("-")[1]
    finally:
        clock.set_virtual(None)
    assert len(set(ids)) == 1000 and first == str(1_800_000_000 * 10**9)


def test_a_cloid_tells_whose_it_is():
    """Architecture 7: own orders are known again without a journal."""
    ours, again, others = Cloids("00c0ffee"), Cloids("00c0ffee"), Cloids()
    assert ours.is_own(again.next()) and not ours.is_own(others.next())
    assert ours.next() != again.next() and not ours.is_own(None) and not ours.is_own("")
    for wrong in ("c0ffee", "00C0FFEE", "zzzzzzzz"):
        with pytest.raises(ConfigError, match="tag"):
            Cloids(wrong)
