"""A running exchange without background traders, and connectors to it that are closed with their test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import hlfast
from hlfast.config import Settings
from hlfast.core import events as ev
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange
from hlfast.venues.hyperliquid.connector import HyperliquidConnector

Open = Callable[..., Awaitable[HyperliquidConnector]]

QUICK = Settings(backoff_min=0.02, backoff_max=0.2, hold_ms=500)


@pytest.fixture
async def open_exchange() -> AsyncIterator[Callable[..., Awaitable[SimExchange]]]:
    running: list[SimExchange] = []

    async def start(**options: Any) -> SimExchange:
        exchange = SimExchange(**{"port": 0, "block_ms": 10, "traders": False, "book_interval_ms": 0, **options})
        await exchange.start()
        running.append(exchange)
        return exchange

    yield start
    for exchange in running:
        exchange.engine.assert_conserved()
        await exchange.stop()


@pytest.fixture
async def exchange(open_exchange: Any) -> SimExchange:
    return await open_exchange()


@pytest.fixture
async def trader(exchange: SimExchange) -> AsyncIterator[Open]:
    """`await trader(0)`: a connector for funded account 0 that watches BTC and is ready."""
    opened: list[HyperliquidConnector] = []

    async def open_one(n: int = 0, *, on: SimExchange | None = None, watch: str = "BTC", **options: Any) -> Any:
        options.setdefault("settings", QUICK)
        options.setdefault("key", FUNDED_ACCOUNTS[n].key)
        connector = hlfast.connect((on or exchange).network, **options)
        await connector.__aenter__()
        opened.append(connector)
        if watch:
            connector.watch(watch, trades=True)
            await connector.wait_ready(5)
        return connector

    yield open_one
    for connector in opened:
        await connector.disconnect()


class Heard:
    """Every event of one connector, in the order in which it was told."""

    def __init__(self, connector: HyperliquidConnector, *classes: type) -> None:
        self.events: list[Any] = []
        for cls in classes or (ev.OrderEvent,):
            connector.on(cls, self.events.append)

    def names(self, order: Any = None) -> list[str]:
        return [
            type(e).__name__
            for e in self.events
            if not isinstance(e, ev.OrderStateChanged) and (order is None or e.order is order)
        ]

    def states(self, order: Any) -> list[str]:
        return [e.new_state.name for e in self.events if isinstance(e, ev.OrderStateChanged) and e.order is order]

    def of(self, cls: type) -> list[Any]:
        return [e for e in self.events if isinstance(e, cls)]


@pytest.fixture
def heard() -> type[Heard]:
    return Heard


async def eventually(check: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Wait until `check()` is true and return it; fail with its last value after `seconds`."""
    import asyncio

    for _ in range(int(seconds / 0.01)):
        found = check()
        if found:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"not true within {seconds} s: {check()!r}")


@pytest.fixture(name="eventually")
def _eventually() -> Any:
    return eventually
