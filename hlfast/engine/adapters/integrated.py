"""IntegratedConnector (layer 4): a connector, its market adapter and an order-event publisher as one thing to hold.

    async with hlfast.connect("testnet", key="env:HL_KEY") as hl:
        with IntegratedConnector(hl, OrderEventPublisher(zmq.Context(), "tcp://127.0.0.1:5603")) as whole:
            whole.market.subscribe_orderbook("BTC-USD")
            whole.connector.buy(...)                       # its events leave by the publisher

The parts are the connector's own: user stream and tracker are those that it has anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlfast.core import events as ev
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.engine.adapters.market_stream import MarketStream, MarketStreamAdapter
from hlfast.engine.gateway_events import OrderEventPublisher


class IntegratedConnector:
    """`publisher`: what order events leave by; None for none. `stream`: a shared market stream; else one of its own."""

    def __init__(
        self,
        connector: ConnectorBase,
        publisher: OrderEventPublisher | None = None,
        *,
        stream: MarketStream | None = None,
    ) -> None:
        self.connector = connector
        self.publisher = publisher
        self.market = MarketStreamAdapter(MarketStream(connector) if stream is None else stream)
        self._removers: list[Callable[[], None]] = []

    @property
    def name(self) -> str:
        return self.connector.name

    @property
    def tracker(self) -> ClientOrderTracker:
        return self.connector.tracker

    @property
    def is_connected(self) -> bool:
        return self.connector.is_connected

    async def connect(self) -> None:
        self.start()
        await self.connector.initialize()
        await self.connector.connect()
        await self.connector.wait_ready()

    async def disconnect(self) -> None:
        try:
            await self.connector.disconnect()
        finally:
            self.stop()

    def start(self) -> None:
        """Publish the connector's order events from now on."""
        publisher, on = self.publisher, self.connector.on
        if publisher is None or self._removers:
            return
        self._removers = [
            on(ev.OrderCreated, lambda e: publisher.created(e.order)),
            on(ev.OrderFilled, lambda e: publisher.fill(e.order, e.fill, is_partial=e.is_partial)),
            on(ev.OrderCancelled, lambda e: publisher.cancelled(e.order, reason=e.reason)),
            on(ev.OrderFailed, lambda e: publisher.failed(e.order, reason=e.reason)),
            on(ev.OrderExpired, lambda e: publisher.cancelled(e.order, reason=e.reason)),
            on(ev.OrderModified, lambda e: publisher.update(e.order)),
            on(ev.OrderStateChanged, self._on_state),
        ]

    def _on_state(self, event: ev.OrderStateChanged) -> None:
        assert self.publisher is not None
        if str(event.new_state) in ("PENDING_SUBMIT", "PENDING_CANCEL") or event.old_state == event.new_state:
            self.publisher.update(event.order)

    def stop(self) -> None:
        while self._removers:
            self._removers.pop()()

    def __enter__(self) -> IntegratedConnector:
        self.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stop()
