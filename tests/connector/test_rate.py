"""A thousand orders a second: all accounted for, and memory stays where it was. In made time, so that no machine is too slow."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import hlfast
from hlfast.config import RiskLimits, Settings
from hlfast.core.events import OrderEvent
from hlfast.sim import SimExchange

from ..memory import resident_mb
from ..virtual_time import VirtualTime

A_SECOND, AT_ONCE = 1_000, 10
KEPT = 10_000
"""Ended orders that a tracker keeps: memory grows until there are so many."""


async def trade(seconds: float) -> dict[str, Any]:
    """Post-only orders at prices that never trade, each cancelled a little later, and every tenth one that takes."""
    settings = replace(Settings(), risk=RiskLimits(max_open_orders=0), audit_interval=1e9)
    told: dict[str, int] = {}
    async with (
        SimExchange(port=0, block_ms=1, traders=False, book_interval_ms=0) as exchange,
        hlfast.connect(exchange.network, settings=settings) as hl,
    ):
        exchange.engine.house.set_book("BTC", bids=[("64990", "1000")], asks=[("65010", "1000")])
        await asyncio.sleep(0.05)
        hl.on(OrderEvent, lambda e: told.update({type(e).__name__: told.get(type(e).__name__, 0) + 1}))
        ends: list[Any] = []
        samples: list[float] = []
        count = 0
        resting: list[Any] = []
        for _ in range(int(seconds * A_SECOND / AT_ONCE)):
            for _ in range(AT_ONCE):
                count += 1
                if count % 10 == 0:
                    ends.append(hl.buy("BTC", "0.001", "65010", tif="Ioc"))
                else:
                    resting.append(hl.buy("BTC", "0.001", str(40_000 + count % 10_000), tif="Alo"))
            for order in resting[:-200]:
                hl.cancel(order)
            ends += resting[:-200]
            del resting[:-200]
            await asyncio.sleep(AT_ONCE / A_SECOND)
            while ends and ends[0].is_done:
                ends.pop(0)
            if count > 2 * KEPT and count % 5_000 == 0:
                samples.append(resident_mb())
        for order in resting:
            hl.cancel(order)
        for order in [*ends, *resting]:
            await order.done()
        record = exchange.truth(hl.account)
        return {
            "count": count, "told": told, "samples": samples, "live": len(hl.orders), "counters": hl.counters,
            "fills": hl.ledger["fills"], "cash": hl.ledger["cash"] - Decimal(record["cash"]), "exchange": record["counters"],
        }  # fmt: skip


@pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.long)])
def test_a_thousand_orders_a_second_are_all_accounted_for(seconds):
    """Behaviour 136: none lost, none told twice, memory flat once the tracker keeps what it keeps."""
    with VirtualTime(7) as time:
        found = time.run(trade(seconds))
    taking = found["count"] // 10
    assert found["count"] == seconds * A_SECOND and found["live"] == 0
    told = found["told"]
    assert told["OrderCreated"] == found["count"]
    assert (told["OrderFilled"], told["OrderCompleted"], found["fills"]) == (taking, taking, taking)
    assert told["OrderCancelled"] == found["count"] - taking and not {"OrderFailed", "OrderExpired"} & set(told)
    assert found["cash"] == 0 and found["counters"]["tracker_anomalies"] == 0
    if found["samples"]:
        print(f"\n{found['count']} orders: memory {found['samples'][0]:.1f} → {found['samples'][-1]:.1f} MB")
        assert found["samples"][-1] - found["samples"][0] < 10, found["samples"]
