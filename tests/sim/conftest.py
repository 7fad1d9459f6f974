"""A desk without sockets, and running exchanges that end with their test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from hlfast.sim import SimExchange

from .desk import Desk, Floor


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def open_floor() -> AsyncIterator[Any]:
    """Starts exchanges: `await open_floor(block_ms=20)`; all end with the test."""
    running: list[tuple[SimExchange, aiohttp.ClientSession]] = []

    async def start(**options: Any) -> Floor:
        exchange = SimExchange(**{"port": 0, "block_ms": 10, "traders": False, **options})
        await exchange.start()
        session = aiohttp.ClientSession()
        running.append((exchange, session))
        return Floor(exchange, session)

    yield start
    for exchange, session in running:
        await session.close()
        exchange.engine.assert_conserved()
        await exchange.stop()


@pytest.fixture
async def floor(open_floor: Any) -> Floor:
    """An exchange with empty books and quick blocks."""
    return await open_floor()
