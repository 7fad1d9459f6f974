"""Whether a process is able to trade, and why not; and how late its event loop is."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import hlfast
from hlfast import clock
from hlfast.engine.health import LoopWatch, health
from hlfast.sim import SimExchange


async def test_health_names_what_is_wrong() -> None:
    """Given a connection that is cut, then health says so; given it is back, then all is well."""
    async with SimExchange(port=0, seed=5, block_ms=20) as exchange:
        hl = hlfast.connect(exchange.network, settings=hlfast.Settings(backoff_min=0.05, backoff_max=0.1))
        async with hl:
            hl.watch("BTC")
            await hl.wait_ready()
            assert health(hl)["ok"] and health(hl)["why"] == []
            await exchange.cut(0.5)
            for _ in range(500):
                await asyncio.sleep(0.01)
                if not health(hl)["ok"]:
                    break
            said = health(hl)
            assert not said["ok"] and not said["ready"]
            assert any("not live" in why or "stale books: BTC" in why for why in said["why"]), said
            await hl.wait_ready(20)
            for _ in range(500):
                if health(hl)["ok"]:
                    break
                await asyncio.sleep(0.01)
            assert health(hl)["ok"], health(hl)


async def test_a_loop_that_is_held_up_is_told_once_and_measured(caplog: pytest.LogCaptureFixture) -> None:
    """Given a callback of 0.3 s, then the delay is known, and the log says it once."""
    watch = LoopWatch()
    watch.start()
    with caplog.at_level(logging.WARNING, logger="hlfast"):
        await asyncio.sleep(0.06)
        until_ns = clock.monotonic_ns() + 300_000_000
        while clock.monotonic_ns() < until_ns:
            pass
        await asyncio.sleep(0.12)
    watch.stop()
    assert watch.worst_ms >= 240 and watch.slow >= 1
    assert sum("held up" in record.message for record in caplog.records) >= 1


async def test_orders_without_a_known_outcome_are_counted(connector: Any) -> None:
    order = connector.buy("BTC", "0.001", "64000", client_order_id="hl-1-1")
    connector.tracker.mark_unresolved(order)
    said = health(connector)
    assert said["unresolved_orders"] == ["hl-1-1"] and not said["ok"] and said["loop_delay_ms"] is None
