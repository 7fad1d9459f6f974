"""Reconnect after reconnect, and stops in the middle of one: nothing is left behind, and the connection budget is kept."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import hlfast
from hlfast.config import Settings
from hlfast.core import events as ev
from hlfast.errors import ConfigError, NotReady
from hlfast.net.session import ConnectionBudget
from hlfast.sim.weights import Caps
from hlfast.types import OrderState

from ..memory import resident_mb

S = OrderState
PER_MINUTE = 6_000
"""New connections a minute, 200 times the venue's 30: for the connector's budget and for the exchange's own count."""
QUICK = Settings(backoff_min=0.001, backoff_max=0.01, hold_ms=500, audit_interval=5.0)
STATES = ("DOWN", "CONNECTING", "SUBSCRIBING", "SYNCING", "LIVE")
LIMITS = Caps(1 << 40, 10, PER_MINUTE, 1000, 10, 1 << 40, 100)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def open_below(open_exchange: Any, rng: random.Random) -> Any:
    """On a port that the system gives to no client: while the exchange refuses, a client's socket might get its port."""
    while True:
        with contextlib.suppress(ConfigError):
            return await open_exchange(port=rng.randint(20_000, 32_000), limits=LIMITS, book_interval_ms=100)


def connector(exchange: Any) -> Any:
    hl = hlfast.connect(exchange.network, settings=QUICK)
    hl._budget = hl._market_session._budget = hl._account_session._budget = ConnectionBudget(per_minute=PER_MINUTE)
    return hl


async def break_one(hl: Any, exchange: Any, rng: random.Random, seen: Counter[str]) -> None:
    """One of the ways in which connections end."""
    kind = rng.choice(("cut", "cut", "rst", "fin", "torn", "half_close", "own abort", "refuse"))
    seen[kind] += 1
    if kind == "cut":
        await exchange.cut()
    elif kind == "refuse":
        await exchange.cut(refuse_seconds=rng.uniform(0.001, 0.02))
    elif kind == "own abort":
        for session in (hl._account_session, hl._market_session):
            if session.listener is not None:
                session.listener.abort("aborted by the test")
    else:
        for _ in range(2):
            exchange.faults.arm(kind)
        try:
            await hl.info.clearinghouse_state(hl.account)  # something for the fault to meet
        except Exception:
            pass
        exchange.faults.clear()
        await exchange.cut()


async def live(hl: Any, seconds: float = 90.0) -> None:
    """Both streams agree with the venue; the budget may make that wait for a good part of a minute."""
    for _ in range(int(seconds / 0.002)):
        if hl.ready:
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"not ready within {seconds} s: {hl.status}")


async def what_is_there(hl: Any) -> dict[str, Any]:
    """After the second look: open descriptors, tasks, handlers, resident memory, and living objects by their type."""
    await live(hl)
    await hl._http.close()  # warm connections for queries are kept on purpose; they are made again when needed
    await asyncio.sleep(1.3)
    for _ in range(3):
        gc.collect()
    return {
        "descriptors": len(os.listdir("/dev/fd")),
        "tasks": sorted(task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("hlfast")),
        "all tasks": len(asyncio.all_tasks()),
        "memory": resident_mb(),
        "objects": Counter(f"{type(o).__module__}.{type(o).__qualname__}" for o in gc.get_objects()),
    }


@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.long)])
async def test_forced_reconnects_leave_nothing_behind(open_exchange: Any, count: int) -> None:
    """C1, C3, C7, G13, the row of reconnects: 0 descriptors, tasks, callbacks or objects more; the budget is kept."""
    rng, seen = random.Random(count), Counter[str]()
    exchange = await open_below(open_exchange, random.Random())
    hl = connector(exchange)
    told: Counter[str] = Counter()
    books: list[int] = []
    hl.on(ev.OrderEvent, lambda event: told.update([type(event).__name__]))
    hl.on(ev.ConnectorError, lambda event: told.update([event.code]))
    async with hl:
        hl.watch("BTC")
        await live(hl)
        order = hl.buy("BTC", "0.001", "50000", tif="Alo")
        assert await order.accepted()
        hl.on_book("BTC", lambda book: books.append(book.time_ms))
        before: dict[str, Any] = {}
        while (made := hl.counters["account_connections"]) < count:
            if not before and made > count // 10:
                await what_is_there(hl)  # what looking itself leaves behind, such as the caches of abstract classes
                before = await what_is_there(hl)
            await break_one(hl, exchange, rng, seen)
            if rng.random() < 0.5:  # and once more, wherever it has got to
                await asyncio.sleep(rng.uniform(0, 0.01))
                await break_one(hl, exchange, rng, seen)
            await live(hl)
        after = await what_is_there(hl)
        connections = {name: hl.counters[f"{name}_connections"] for name in ("account", "market")}
        more = {kind: n for kind, n in (after["objects"] - before["objects"]).items() if n > 100}
        grown_mb = after["memory"] - before["memory"]
        refused = {kind: n for kind, n in exchange.truth()["counters"]["refused"].items() if n}
        print(
            f"{connections}, {dict(seen)}, refused by the exchange {refused}, told {dict(told)}, memory {grown_mb:+.1f} MB"
        )
        for what in ("descriptors", "tasks", "all tasks"):
            assert after[what] == before[what], what
        assert more == {} and grown_mb < 8
        await asyncio.sleep(0.5)
        newest = books[-5:]
        assert len(newest) == len(set(newest)) == 5, "each frame of the book reaches its handler once"
        assert refused == {}, "the budget is below what the exchange allows"
        assert order.state is S.OPEN and told["OrderCreated"] == 1 and told["handler_error"] == 0
        assert hl.bus.handler_errors == 0 and len(seen) == 7
        assert hl.cancel(order) and await order.done() is S.CANCELLED
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("hlfast")]


@pytest.mark.parametrize("count", [40, pytest.param(1_000, marks=pytest.mark.long)])
async def test_a_stop_in_the_middle_of_a_reconnect_is_final(open_exchange: Any, count: int) -> None:
    """C7, L13: wherever a reconnect has got to, after `disconnect` there is no task, no socket, and no way to send."""
    exchange = await open_below(open_exchange, random.Random())
    rng, states, hl = random.Random(count), Counter[str](), connector(exchange)
    await hl.initialize()
    await hl._http.close()
    descriptors = 0
    for n in range(count):
        await hl.connect()
        if n == 0:
            hl.watch("BTC")
        if rng.random() < 0.7:  # else stopped in its first connection
            await live(hl)
            await exchange.cut(rng.choice((0.0, 0.0, 0.005)))
        target = STATES[n % len(STATES)]
        for _ in range(5_000):
            if str(hl._account_session.state) == target:
                break
            await asyncio.sleep(0)
        for _ in range(rng.randint(0, 3)):
            await asyncio.sleep(0)
        states[str(hl._account_session.state)] += 1
        await hl.disconnect()
        left = [task for task in asyncio.all_tasks() if task.get_name().startswith("hlfast") and not task.done()]
        assert left == [] and not hl.is_connected
        with pytest.raises(NotReady):
            hl.buy("BTC", "0.001", "50000")
        await asyncio.sleep(0.03)  # the exchange's ends of the sockets, and a listener that comes back
        assert hl.counters["account_connections"] == hl._account_session.connections
        found = len(os.listdir("/dev/fd"))
        descriptors = descriptors or found
        assert found <= descriptors
    print(dict(states))
    assert set(states) == set(STATES), "a stop in each state"
