"""A connector without a venue: the real tracker, bus, books and positions; the test plays the exchange."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast import clock
from hlfast.core.bus import EventBus
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import OrderBook
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import PositionBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.engine.gateway import Gateway
from hlfast.engine.gateway_settings import GatewaySettings
from hlfast.engine.journal import Journal
from hlfast.errors import ConfigError, NotReady, OrderDenied
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange
from hlfast.types import ConnectorType, OrderParams, OrderState, TradeType

from ..children import HOME, surroundings


@dataclass
class FakeBbo:
    coin: str
    bid_px_e8: int = 0
    bid_lots: int = 0
    ask_px_e8: int = 0
    ask_lots: int = 0
    time_ms: int = 0
    recv_ns: int = 0

    @property
    def mid_price(self) -> Decimal | None:
        return Decimal(self.bid_px_e8 + self.ask_px_e8).scaleb(-8) / 2 if self.bid_px_e8 and self.ask_px_e8 else None


class FakeConnector(ConnectorBase):
    """`sent` and `cancels` record what a strategy asked for; `ack`, `fill`, `end`, `reject` are the exchange's news."""

    asks_order_gate = True

    def __init__(self) -> None:
        self.bus = EventBus()
        self.tracker = ClientOrderTracker(self.bus)
        self.position_book = PositionBook(self.bus)
        self.tracker.book = self.position_book.book
        self.rules = {
            "BTC": TradingRule("BTC", sz_decimals=5, is_perpetual=True, asset=0, min_notional=10),
            "ETH": TradingRule("ETH", sz_decimals=4, is_perpetual=True, asset=1, min_notional=10),
        }
        self.books = {coin: OrderBook(coin, rule.sz_decimals) for coin, rule in self.rules.items()}
        self.bbos = {coin: FakeBbo(coin) for coin in self.rules}
        self.watched: dict[str, dict[str, bool]] = {}
        self.handlers: dict[tuple[str, str], list[Callable[[Any], object]]] = {}
        self.sent: list[InFlightOrder] = []
        self.cancels: list[InFlightOrder] = []
        self.is_up = True
        self.fail_sends = False
        self.deny: Exception | None = None
        self.cancels_by_itself = False
        self._tid = self._oid = 1000
        self._time_ms = clock.wall_clock_ms()

    # -- the exchange's side ----------------------------------------------------------------------------------------
    def quote(self, coin: str, bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> None:
        """New levels of a book, as (price, size), told to its handlers."""
        self._time_ms += 70
        book, bbo, rule = self.books[coin], self.bbos[coin], self.rules[coin]
        assert book.apply_snapshot(bids, asks, time_ms=self._time_ms, recv_ns=clock.epoch_ns())
        bbo.bid_px_e8 = rule.price_e8(bids[0][0]) if bids else 0
        bbo.bid_lots = rule.lots(bids[0][1]) if bids else 0
        bbo.ask_px_e8 = rule.price_e8(asks[0][0]) if asks else 0
        bbo.ask_lots = rule.lots(asks[0][1]) if asks else 0
        bbo.time_ms, bbo.recv_ns = self._time_ms, clock.epoch_ns()
        for kind, view in (("book", book), ("bbo", bbo)):
            for handler in self.handlers.get((kind, coin), []):
                handler(view)

    def ack(self, order: InFlightOrder) -> None:
        self._oid += 1
        self.tracker.acknowledge(order, self._oid)

    def fill(self, order: InFlightOrder, size: str) -> None:
        self._tid += 1
        fill = TradeUpdate(
            coin=order.coin,
            tid=self._tid,
            exchange_order_id=order.exchange_order_id,
            cloid=order.cloid,
            price=order.price,
            amount=size,
            sz_decimals=order.sz_decimals,
            is_buy=order.is_buy,
            is_taker=False,
            fee="0.01",
            time_ms=self._time_ms,
        )
        assert self.tracker.process_trade_update(fill)

    def end(self, order: InFlightOrder, state: OrderState = OrderState.CANCELLED) -> None:
        self.tracker.process_order_update(
            OrderUpdate(
                client_order_id=order.client_order_id, new_state=state, status="canceled", time_ms=self._time_ms
            )
        )

    def reject(self, order: InFlightOrder, reason: str = "badAloPxRejected") -> None:
        self.tracker.reject(order, reason)

    def handler_count(self, kind: str) -> int:
        return sum(len(found) for (of, _), found in self.handlers.items() if of == kind)

    # -- ConnectorBase ----------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        return "fake"

    @property
    def domain(self) -> str:
        return "fake"

    @property
    def connector_type(self) -> ConnectorType:
        return ConnectorType.DERIVATIVE_PERPETUAL

    async def initialize(self) -> None: ...

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self.bus.task_factory = loop.create_task
        self.tracker.waiter_factory = loop.create_future
        self.tracker.timer_factory = loop.call_later
        self.tracker.waker = lambda future, value: None if future.done() else future.set_result(value)

    async def disconnect(self) -> None: ...

    async def wait_ready(self, timeout: float | None = None) -> None:
        if not self.is_up:
            raise NotReady("the fake is down")

    @property
    def is_connected(self) -> bool:
        return self.is_up

    @property
    def ready(self) -> bool:
        return self.is_up

    @property
    def status(self) -> dict[str, Any]:
        return {}

    def watch(self, coin: str, *, book: bool = True, bbo: bool = True, trades: bool = False) -> None:
        self.watched[coin] = {"book": book, "bbo": bbo, "trades": trades}

    def unwatch(self, coin: str) -> None:
        del self.watched[coin]

    def book(self, coin: str) -> OrderBook:
        return self.books[coin]

    def bbo(self, coin: str) -> Any:
        return self.bbos[coin]

    def _add(self, kind: str, coin: str, fn: Callable[[Any], object]) -> Callable[[], None]:
        handlers = self.handlers.setdefault((kind, coin), [])
        handlers.append(fn)
        return lambda: handlers.remove(fn)

    def on_book(self, coin: str, fn: Callable[[Any], object], *, conflate: bool = False) -> Callable[[], None]:
        return self._add("book", coin, fn)

    def on_bbo(self, coin: str, fn: Callable[[Any], object], *, conflate: bool = False) -> Callable[[], None]:
        return self._add("bbo", coin, fn)

    def on_trade(self, coin: str, fn: Callable[[Any], object]) -> Callable[[], None]:
        return self._add("trade", coin, fn)

    @property
    def trading_rules(self) -> Mapping[str, TradingRule]:
        return self.rules

    def resolve(self, coin: str) -> TradingRule:
        if coin not in self.rules:
            raise ConfigError(f"unknown coin {coin!r}")
        return self.rules[coin]

    def _submit(self, coin: Any, side: TradeType, size: Any, price: Any, kw: dict[str, Any]) -> InFlightOrder:
        if not self.is_up:
            raise NotReady("the fake is down")
        if self.deny is not None:
            raise self.deny
        if isinstance(coin, OrderParams):
            given, coin = coin, coin.coin
            size, price = given.size, given.price if given.price is not None else "65000"
            kw = {"client_order_id": given.client_order_id, "cloid": given.cloid, "tif": given.tif or "Gtc"}
            if error := self.rules[coin].validate_order(price, size, reduce_only=given.reduce_only):
                raise OrderDenied(f"{coin}: {error}")
        rule = self.rules[coin]
        order = InFlightOrder(
            client_order_id=kw["client_order_id"],
            coin=coin,
            trade_type=side,
            amount=size,
            price=price,
            cloid=kw.get("cloid") or "0x" + f"{len(self.sent):032x}",
            sz_decimals=rule.sz_decimals,
            tif=kw.get("tif", "Gtc"),
        )
        assert rule.is_valid_price(price) and rule.is_valid_size(size), (price, size)
        if self.order_gate is not None:
            self.order_gate(order)
        self.tracker.start_tracking(order)
        self.sent.append(order)
        if self.fail_sends:
            self.tracker.reject(order, "the socket was closed before anything was sent")
        else:
            self.tracker.mark_submitted(order)
        return order

    def buy(self, coin: Any, size: Any = None, price: Any = None, **kw: Any) -> InFlightOrder:
        return self._submit(coin, TradeType.BUY, size, price, kw)

    def sell(self, coin: Any, size: Any = None, price: Any = None, **kw: Any) -> InFlightOrder:
        return self._submit(coin, TradeType.SELL, size, price, kw)

    def place(self, orders: Sequence[OrderParams], *, grouping: str | None = None) -> list[InFlightOrder]:
        return [self._submit(p, p.side or TradeType.BUY, None, None, {}) for p in orders]

    def modify(self, order: InFlightOrder | str, **changes: Any) -> bool:
        raise AssertionError("no strategy under test modifies orders")

    def cancel(self, order: Any) -> bool:
        if not self.is_up:
            raise NotReady("the fake is down")
        if not self.tracker.request_cancel(order):
            return False
        self.cancels.append(order)
        if self.cancels_by_itself:
            asyncio.get_running_loop().call_soon(self.end, order)
        return True

    def cancel_all(self, coin: str | None = None) -> int:
        return sum(self.cancel(order) for order in self.orders if coin in (None, order.coin))

    def generate_client_order_id(self) -> str:
        return f"hl-{len(self.sent)}"

    @property
    def positions(self) -> Mapping[str, Any]:
        return self.position_book.positions

    @property
    def balances(self) -> Mapping[str, Any]:
        return {}

    @property
    def ledger(self) -> dict[str, Any]:
        return {"cash": Decimal(0), "fees": {}, "fills": 0, "fill_keys": [], "positions": {}, "spot": {}}

    @property
    def counters(self) -> dict[str, int]:
        return {}


@pytest.fixture(scope="module")
def quiet_connector() -> FakeConnector:
    """One for many messages, whose orders nobody can modify."""
    made = FakeConnector()
    made.modify = lambda *args, **changes: False  # type: ignore[method-assign]
    return made


@pytest.fixture
async def connector() -> FakeConnector:
    """A connected one with a BTC book 64990 @ 65010 and an ETH book 3499 @ 3501."""
    made = FakeConnector()
    await made.connect()
    made.quote("BTC", [("64990", "1"), ("64980", "2")], [("65010", "1"), ("65020", "2")])
    made.quote("ETH", [("3499", "10"), ("3498.5", "20")], [("3501", "10"), ("3501.5", "20")])
    return made


@pytest.fixture
async def scripted_desk(monkeypatch: pytest.MonkeyPatch) -> Any:
    from .scripted import Desk, Scripted

    connector = Scripted()
    await connector.connect()
    connector.quote("BTC", [("83757", "20")], [("83758", "1")])
    return Desk(connector, monkeypatch)


# -- the gateway --------------------------------------------------------------------------------------------------------
QUICK = hlfast.Settings(backoff_min=0.02, backoff_max=0.2, hold_ms=500, post_timeout_ms=1_000)


class Desk:
    """A gateway on a local exchange, and a strategy's sockets to it: `send` what you like, `heard` has what it said."""

    def __init__(self, exchange: SimExchange, gateway: Any) -> None:
        import zmq

        self.exchange, self.gateway = exchange, gateway
        self._zmq = zmq
        self.context = zmq.Context()
        self.push, self.sub = self.context.socket(zmq.PUSH), self.context.socket(zmq.SUB)
        for socket in (self.push, self.sub):
            socket.linger = 0
            socket.set_hwm(0)
        self.sub.subscribe(b"")
        self.raw: list[tuple[str, bytes]] = []
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.push.connect(gateway.endpoints["orders"])
        for name in ("reports", "events", "trades", "books"):
            self.sub.connect(gateway.endpoints[name])

    async def ready(self) -> Desk:
        """Until the subscriptions are known to be in place: the next status was heard."""
        await self.until(lambda: any(topic == "exec.status" for topic, _ in self.heard))
        return self

    def close(self) -> None:
        self.context.destroy(0)

    # -- a strategy's side ------------------------------------------------------------------------------------------
    def send(self, message: Any) -> None:
        self.push.send(message if isinstance(message, bytes) else json.dumps(message).encode())

    def place(
        self, cl_id: str, side: str = "buy", size: str = "0.001", price: str | None = "60000", **more: Any
    ) -> None:
        """Further keys go into the details; `tags`, `ts_ns`, `venue`, `product_type` and so on beside them."""
        beside = {key: more.pop(key) for key in ("tags", "ts_ns", "venue", "product_type", "version") if key in more}
        details = {"symbol": "BTC", "side": side, "order_type": "limit", "size": size, **more}
        if price is not None:
            details.setdefault("price", price)
        self.send({
            "version": 1, "cl_id": cl_id, "action": "place", "venue": "hyperliquid", "product_type": "perpetual",
            "details": details, **beside,
        })  # fmt: skip

    def cancel(self, cl_id: str, target: str) -> None:
        details = {"cancel": {"cl_id_to_cancel": target}}
        self.send({"version": 1, "cl_id": cl_id, "action": "cancel", "venue": "hyperliquid", "details": details})

    def replace(self, cl_id: str, target: str, **new: str) -> None:
        details = {"replace": {"cl_id_to_replace": target, **new}}
        self.send({"version": 1, "cl_id": cl_id, "action": "replace", "venue": "hyperliquid", "details": details})

    def pump(self) -> None:
        while True:
            try:
                topic, payload = self.sub.recv_multipart(self._zmq.NOBLOCK)
            except self._zmq.Again:
                return
            self.raw.append((topic.decode(), payload))
            self.heard.append((topic.decode(), json.loads(payload, parse_float=Decimal)))

    async def until(self, check: Callable[[], Any], seconds: float = 20.0) -> Any:
        deadline_ns = clock.monotonic_ns() + int(seconds * 1e9)
        while True:
            self.pump()
            if found := check():
                return found
            if clock.monotonic_ns() > deadline_ns:
                raise AssertionError(f"not true within {seconds} s; heard {self.heard[-12:]}")
            await asyncio.sleep(0.005)

    def of(self, topic: str, cl_id: str | None = None) -> list[dict[str, Any]]:
        return [m for t, m in self.heard if t == topic and cl_id in (None, m.get("cl_id"))]

    def reports(self, cl_id: str | None = None) -> list[dict[str, Any]]:
        return self.of("exec.report", cl_id)

    def fills(self, cl_id: str | None = None) -> list[dict[str, Any]]:
        return self.of("exec.fill", cl_id)

    def events(self, kind: str, cl_id: str | None = None) -> list[dict[str, Any]]:
        told = [m for t, m in self.heard if t == f"orders.hyperliquid.{kind}"]
        return [m for m in told if cl_id in (None, m["data"]["client_order_id"])]

    async def report(self, cl_id: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th report about this id."""
        await self.until(lambda: len(self.reports(cl_id)) >= count)
        return self.reports(cl_id)[count - 1]

    async def quiet(self, seconds: float = 0.3) -> None:
        deadline_ns = clock.monotonic_ns() + int(seconds * 1e9)
        while clock.monotonic_ns() < deadline_ns:
            self.pump()
            await asyncio.sleep(0.01)

    def open_orders(self) -> list[Any]:
        """What rests at the exchange, by its own record."""
        account = self.exchange.engine.accounts[FUNDED_ACCOUNTS[0].address]
        return list(account.open.values())


OpenDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def open_desk(tmp_path: Path) -> AsyncIterator[OpenDesk]:
    """`await open_desk(GatewaySettings(...), exchange=..., journal=True)`: a running gateway with BTC at 64990 @ 65010."""
    pytest.importorskip("zmq", reason="the gateway needs pyzmq")
    ends: list[Callable[[], Any]] = []

    async def start(
        settings: GatewaySettings | None = None,
        *,
        exchange: SimExchange | None = None,
        journal: Path | None = None,
        connector_settings: hlfast.Settings = QUICK,
        directory: Path | None = None,
        **options: Any,
    ) -> Desk:
        from dataclasses import replace

        if exchange is None:
            exchange = await open_sim(**options)
            ends.append(exchange.stop)
        settings = settings or GatewaySettings()
        folder = directory or Path(tmp_path) / f"s{len(ends)}"
        settings = replace(settings, directory=str(folder))
        key = FUNDED_ACCOUNTS[0].key
        connector = hlfast.connect(exchange.network, key=key, settings=connector_settings)
        book = None
        if journal is not None:
            book = Journal(
                journal, network=connector.network.name, account=connector.account, signer=connector.signer.address
            )
            connector.use_journal(book)
        gateway = Gateway(connector, settings, journal=book)
        await gateway.start(20)
        ends.append(gateway.stop)
        desk = Desk(exchange, gateway)
        ends.append(desk.close)
        return await desk.ready()

    yield start
    for end in reversed(ends):
        found = end()
        if found is not None:
            await found


async def open_sim(**options: Any) -> SimExchange:
    exchange = SimExchange(**{"port": 0, "block_ms": 5, "traders": False, "book_interval_ms": 0, **options})
    await exchange.start()
    exchange.engine.house.set_book("BTC", bids=[("64990", "1")], asks=[("65010", "1")])
    return exchange


class Process:
    """`hlfast gateway` in a process of its own, which can be killed."""

    def __init__(self, exchange: Any, folder: Path, *arguments: str) -> None:
        self.command = [
            sys.executable, "-c", "from hlfast.cli import main; main()", "gateway", "--network", exchange.http_url, "--json",
            "--directory", str(folder / "s"), "--journal", str(folder / "j"), *arguments,
        ]  # fmt: skip
        self.endpoints: dict[str, str] = {}
        self.stderr: Any = None
        self.environment = surroundings(HLFAST_STATE=str(folder / "state"))

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdout=asyncio.subprocess.PIPE, stderr=self.stderr, env=self.environment, cwd=HOME
        )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        self.endpoints = json.loads(line)

    async def end(self, number: int = signal.SIGKILL) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 30)


@pytest.fixture
async def open_process(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """`exchange, gateway, desk`: an exchange here, `hlfast gateway` in another process, and a strategy's sockets to it."""
    pytest.importorskip("zmq", reason="the gateway needs pyzmq")
    ends: list[Callable[[], Any]] = []

    async def start(settings: dict[str, Any] | None = None) -> Any:
        exchange = await open_sim()
        ends.append(exchange.stop)
        more: tuple[str, ...] = ()
        if settings:
            (tmp_path / "settings.json").write_text(json.dumps(settings))
            more = ("--settings", str(tmp_path / "settings.json"))
        gateway = Process(exchange, tmp_path, *more)
        await gateway.start()
        ends.append(gateway.end)
        desk = Desk(exchange, gateway)
        ends.append(desk.close)
        return exchange, gateway, await desk.ready()

    yield start
    for end in reversed(ends):
        found = end()
        if found is not None:
            await found


@pytest.fixture
async def open_gateway() -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """A gateway on a local exchange, for clients that bring their own sockets."""
    import tempfile
    from dataclasses import replace

    pytest.importorskip("zmq", reason="the gateway needs pyzmq")
    ends: list[Callable[[], Any]] = []
    with tempfile.TemporaryDirectory() as folder:

        async def start(settings: GatewaySettings) -> Gateway:
            exchange = await open_sim()
            ends.append(exchange.stop)
            connector = hlfast.connect(exchange.network, key=FUNDED_ACCOUNTS[0].key, settings=QUICK)
            gateway = Gateway(connector, replace(settings, directory=f"{folder}/s"))
            await gateway.start(20)
            ends.append(gateway.stop)
            return gateway

        yield start
        for end in reversed(ends):
            await end()
