"""Gateway (layer 4): strategies in other processes trade and read market data through one connector, over ZeroMQ.

    connector = hlfast.connect("simulator", journal=True)
    async with Gateway(connector, GatewaySettings()) as gateway:
        await asyncio.Event().wait()                       # gateway.endpoints: where the five sockets are

The gateway owns the key; clients send intents and hear what became of them (docs/gateway.md, the contract in full).
Orders are taken only once open orders and what earlier runs left have been told. One process and one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hlfast import clock
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.events import StreamStatus
from hlfast.engine.gateway_events import OrderEventPublisher
from hlfast.engine.gateway_market_data import MarketDataPublisher
from hlfast.engine.gateway_memory import ENDED_NS, Memory, read_facts
from hlfast.engine.gateway_orders import DeskSettings, OrderDesk
from hlfast.engine.gateway_reports import Reports
from hlfast.engine.gateway_settings import GatewaySettings
from hlfast.engine.gateway_sockets import Sockets, default_directory, endpoints_of, load_zmq
from hlfast.engine.gateway_text import RisingClock, Stream
from hlfast.engine.journal import DATABASE, Journal
from hlfast.engine.metrics import MetricsServer, family, gauge, of_connector
from hlfast.errors import ConfigError

log = logging.getLogger("hlfast")

STATUS_SECONDS = 1.0
TICK_SECONDS = 0.25
STOP_SECONDS = 3.0
"""How long a stop waits for answers to what was sent."""
VENUE = "hyperliquid"


class Gateway:
    """Serves `connector`, which it starts and ends with itself unless it is connected already.

    `journal`: the one that the connector was given; what clients were told outlives the process by it. Raises
    `ConfigError` where a socket cannot be bound.
    """

    def __init__(
        self,
        connector: ConnectorBase,
        settings: GatewaySettings | None = None,
        *,
        journal: Journal | None = None,
        version: str = "",
    ) -> None:
        load_zmq()
        self.connector = connector
        self.settings = settings or GatewaySettings()
        self.journal = journal
        self.version = version
        self.state = "new"
        self.run_id = ""
        self.sockets: Sockets | None = None
        self.desk: OrderDesk | None = None
        self.market_data: MarketDataPublisher | None = None
        self.metrics: MetricsServer | None = None
        self._owns_connector = False
        self._ticking: asyncio.Task[None] | None = None
        self._leave_stream: Callable[[], None] | None = None
        self._told_state = ""
        self._status_due_ns = 0

    @property
    def endpoints(self) -> dict[str, str]:
        """Socket → endpoint, as bound."""
        if self.sockets is None:
            raise ConfigError("the gateway is not started")
        return dict(self.sockets.endpoints)

    async def __aenter__(self) -> Gateway:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    # -- start ------------------------------------------------------------------------------------------------------
    async def start(self, timeout: float | None = None) -> None:
        """Returns when orders are served. Raises `NotReady` if the venue cannot be reached within `timeout` seconds."""
        if self.state != "new":
            raise ConfigError("this gateway was started before; make a new one")
        self.state = "starting"
        settings = self.settings
        self.run_id = str(clock.epoch_ns())
        directory = Path(settings.directory) if settings.directory else default_directory(self._account_name())
        endpoints = endpoints_of(settings.transport, directory, settings.endpoints, settings.host, settings.port)
        self.sockets = Sockets(endpoints, settings.curve)
        self._make_desk()
        await self._serve_metrics()
        await self._connect(timeout)
        assert self.desk is not None
        self.desk.news.announce()
        self._start_market_data()
        self._ticking = asyncio.get_running_loop().create_task(self._tick_on(), name="hlfast-gateway")
        self._leave_stream = self.connector.on(StreamStatus, lambda event: self._tell_state())
        self.state = "running"
        self.sockets.read(self.desk.on_message)
        self._tell_state()
        log.info("gateway: %s", ", ".join(f"{name} {at}" for name, at in self.endpoints.items()))

    def _account_name(self) -> str:
        return str(getattr(self.connector, "account", self.connector.name))[:16]

    def _make_desk(self) -> None:
        assert self.sockets is not None
        settings, loop = self.settings, asyncio.get_running_loop()
        report = self._sender("reports")
        now = RisingClock()
        streams = [Stream(topic, self.run_id, report, now=now) for topic in ("exec.report", "exec.fill", "exec.status")]
        memory = Memory(self.journal.ring if self.journal is not None else None)
        if self.journal is not None:
            memory.load(read_facts(self.journal.path / DATABASE, clock.epoch_ns() - ENDED_NS))
        self.desk = OrderDesk(
            self.connector,
            Reports(streams[0], streams[1], streams[2], VENUE),
            OrderEventPublisher(
                self.sockets.context,
                self.sockets.endpoints["events"],
                settings.events_prefix,
                socket=self.sockets.sockets["events"],
            ),
            memory,
            DeskSettings(
                venues=(VENUE, *settings.venue_aliases),
                max_order_age_ms=settings.max_order_age_ms,
                is_strict=settings.quantize == "strict",
            ),
            loop.call_soon,
        )
        self._tell_state()

    async def _connect(self, timeout: float | None) -> None:
        """Hear the connector's events from the first one on, behind its journal: what is told has been written."""
        connector, desk = self.connector, self.desk
        assert desk is not None
        died_ns = 0 if self.journal is None else self.journal.died_ns
        if connector.is_connected:
            desk.news.attach(died_ns)
            return
        self._owns_connector = True
        await connector.initialize()
        connecting = asyncio.get_running_loop().create_task(connector.connect())
        await asyncio.sleep(0)  # the journal is attached in the first step; nothing has been heard from the venue yet
        desk.news.attach(died_ns)
        await connecting
        await connector.wait_ready(timeout)

    def client_id_of(self, coid: str) -> str | None:
        """What the client calls the order that the connector knows by this id."""
        record = None if self.desk is None else self.desk.memory.record_of(coid)
        return None if record is None else record.cl_id

    async def _serve_metrics(self) -> None:
        settings = self.settings
        if settings.metrics:
            sections = [*of_connector(self.connector, self.journal, version=self.version), self._metrics_text]
            self.metrics = MetricsServer(settings.metrics, sections, allow_remote=settings.metrics_remote)
            await self.metrics.start()

    def _metrics_text(self) -> str:
        desk = self.desk
        assert desk is not None
        sent = {"exec.report": desk.reports.stream.seq, "exec.fill": desk.reports.fills.seq, "orders": desk.events.seq}
        return "".join([
            family("hlfast_gateway_messages_total", "counter", "Messages published by this run, by topic.",
                   [({"topic": topic}, count) for topic, count in sent.items()]),
            family("hlfast_gateway_counts_total", "counter", "What the gateway has counted: bad messages, unknown clients.",
                   [({"kind": kind}, count) for kind, count in self.counters.items()]),
            gauge("hlfast_gateway_live", "Orders are served: 1 or 0.", self._state_word() == "live"),
        ])  # fmt: skip

    def _start_market_data(self) -> None:
        settings, desk = self.settings, self.desk
        assert desk is not None
        if not settings.market_data or not settings.feeds:
            return

        self.market_data = MarketDataPublisher(
            self.connector,
            self._sender("trades"),
            self._sender("books"),
            depth_levels=settings.depth_levels,
            deltas=settings.deltas,
            checkpoint_every_ms=settings.checkpoint_every_ms,
            with_snapshots=settings.with_snapshots,
            window_size=settings.window_size,
            ofi=settings.ofi,
        )
        self.market_data.start(settings.feeds, lambda symbol: desk.symbols().resolve(symbol, None))

    def _sender(self, name: str) -> Callable[[list[bytes]], object]:
        assert self.sockets is not None
        socket, noblock = self.sockets.sockets[name], load_zmq().NOBLOCK

        def send(frames: list[bytes]) -> None:
            socket.send_multipart(frames, noblock)  # a PUB socket never waits for a reader

        return send

    # -- running ----------------------------------------------------------------------------------------------------
    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                self._tick()
            except Exception:
                log.exception("the gateway's timer failed")

    def _tick(self) -> None:
        assert self.desk is not None
        self.desk.ask_again()
        if self.market_data is not None:
            self.market_data.tick()
        if clock.monotonic_ns() >= self._status_due_ns or self._state_word() != self._told_state:
            self._tell_state()

    def _state_word(self) -> str:
        if self.state in ("starting", "stopping"):
            return self.state
        return "live" if self.connector.is_connected else "degraded"

    def _tell_state(self) -> None:
        desk = self.desk
        assert desk is not None
        self._told_state = self._state_word()
        self._status_due_ns = clock.monotonic_ns() + int(STATUS_SECONDS * 1e9)
        orders = self.connector.orders
        unresolved = sum(order.unresolved for order in orders)
        desk.reports.tell_status(self._told_state, len(orders), unresolved, desk.bad_messages, 0)

    @property
    def counters(self) -> dict[str, int]:
        found = (
            {}
            if self.desk is None
            else {"bad_messages": self.desk.bad_messages, "unknown_params": self.desk.unknown_params}
        )
        if self.sockets is not None:
            found["unknown_clients"] = self.sockets.unknown_clients
        if self.market_data is not None:
            found["refused_books"] = self.market_data.refused_books
        return found

    # -- stop -------------------------------------------------------------------------------------------------------
    async def stop(self) -> None:
        """Take nothing more, answer what was read, publish, close. Orders are left as the connector's settings say."""
        if self.state in ("stopped", "new"):
            self.state = "stopped"
            return
        self.state = "stopping"
        if self.desk is not None and self.sockets is not None:
            self.desk.is_stopping = True
            self.sockets.stop_reading()
            self._tell_state()
            deadline_ns = clock.monotonic_ns() + int(STOP_SECONDS * 1e9)
            while self._is_owing() and clock.monotonic_ns() < deadline_ns:
                await asyncio.sleep(0.02)
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        if self.market_data is not None:
            self.market_data.stop()
        if self.metrics is not None:
            await self.metrics.stop()
        if self._leave_stream is not None:
            self._leave_stream()
        try:
            if self._owns_connector:
                await self.connector.disconnect()
        finally:
            if self.desk is not None:
                self.desk.news.detach()
            self.state = "stopped"
            if self.sockets is not None:
                self.sockets.detach()
                await asyncio.get_running_loop().run_in_executor(None, self.sockets.close)

    def _is_owing(self) -> bool:
        """A place, cancel or replace that was sent has no answer yet."""
        assert self.desk is not None
        if not self.connector.is_connected:
            return False
        live: list[Any] = list(self.desk.memory.live.values())
        return any(one.state == "pending" or one.cancels or one.replace for one in live if not one.is_external)
