"""Fixtures: a local exchange with a book of its own, and standalone connectors on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from hlfast.compat.hummingbot.connector.derivative.hyperliquid_perpetual.hyperliquid_perpetual_derivative import (
    HyperliquidPerpetualDerivative,
)
from hlfast.compat.hummingbot.connector.exchange.hyperliquid.hyperliquid_exchange import HyperliquidExchange
from hlfast.compat.hummingbot.core.event.event_forwarder import SourceInfoEventForwarder
from hlfast.compat.hummingbot.core.event.events import AccountEvent, MarketEvent
from hlfast.config import Settings
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange

QUICK = Settings(backoff_min=0.02, backoff_max=0.2, hold_ms=500)


@pytest.fixture
async def exchange() -> AsyncIterator[SimExchange]:
    sim = SimExchange(port=0, block_ms=10, traders=False, book_interval_ms=0)
    await sim.start()
    sim.change("set_mark", "BTC", 50_000)
    sim.change("set_book", "BTC", [("49990", "0.5"), ("49980", "5")], [("50010", "0.5"), ("50020", "5")])
    sim.change("set_book", "@107", [("19.9", "500")], [("20.1", "500")])
    yield sim
    sim.engine.assert_conserved()
    await sim.stop()


class Heard:
    """Every market event of a connector in its order, as (name of the tag, event)."""

    def __init__(self, connector: Any, tags: Any = (*MarketEvent, *AccountEvent)) -> None:
        self.events: list[tuple[str, Any]] = []
        self._names = {tag.value: tag.name for tag in tags}
        self._listener = SourceInfoEventForwarder(self._hear)
        for tag in tags:
            connector.add_listener(tag, self._listener)

    def _hear(self, tag: int, caller: Any, event: Any) -> None:
        self.events.append((self._names[tag], event))

    def names(self, order_id: str) -> list[str]:
        return [name for name, event in self.events if getattr(event, "order_id", None) == order_id]

    def of(self, name: str) -> list[Any]:
        return [event for one, event in self.events if one == name]


@pytest.fixture
def heard() -> type[Heard]:
    return Heard


@pytest.fixture
async def perp(exchange: SimExchange) -> AsyncIterator[Callable[..., Any]]:
    """`await perp(0)`: a ready perpetual connector of funded account 0 for BTC-USD."""
    opened: list[Any] = []

    async def start(n: int = 0, *, pairs: tuple[str, ...] = ("BTC-USD",), before: Any = None, **more: Any) -> Any:
        more.setdefault("settings", QUICK)
        connector = HyperliquidPerpetualDerivative(
            hyperliquid_perpetual_secret_key=FUNDED_ACCOUNTS[n].key,
            trading_pairs=list(pairs),
            domain=exchange.network,
            **more,
        )
        opened.append(connector)
        if before is not None:
            before(connector)
        await connector.start_network()
        await eventually(lambda: connector.ready)
        return connector

    yield start
    for connector in opened:
        await connector.stop_network()


@pytest.fixture
async def spot(exchange: SimExchange) -> AsyncIterator[HyperliquidExchange]:
    connector = HyperliquidExchange(
        hyperliquid_secret_key=FUNDED_ACCOUNTS[1].key,
        trading_pairs=["HYPE-USDC"],
        domain=exchange.network,
        settings=QUICK,
    )
    await connector.start_network()
    await eventually(lambda: connector.ready)
    yield connector
    await connector.stop_network()


async def eventually(check: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until `check()` is true and return it; fail with its last value after `seconds`."""
    for _ in range(int(seconds / 0.01)):
        found = check()
        if found:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"not true within {seconds} s: {check()!r}")


@pytest.fixture(name="eventually")
def _eventually() -> Any:
    return eventually
