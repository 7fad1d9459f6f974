"""A process that trades until it is killed, and what has to be there after it: shared by the tests of kill -9.

    python killed.py PORT FOLDER SEED        trades with the journal in FOLDER; says "ready" when it begins

`HLFAST_CRASH_AT` (`hlfast.core.crash_points`) makes it die at a named point. With `--nursery` in place of the arguments
it reads lines "PORT FOLDER SEED [POINT:HIT]" and forks one such process for each, which saves its start: a thousand
kills are then a matter of minutes. `assert_all_is_found` restarts on the same journal, in this process, and compares with
the exchange's own record.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import random
import signal
import sqlite3
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import hlfast
from hlfast import clock
from hlfast.config import Settings, simulator
from hlfast.core import crash_points
from hlfast.errors import NotReady
from hlfast.types import OrderState

S = OrderState
QUICK = Settings(backoff_min=0.02, backoff_max=0.2, hold_ms=500)
SETTLED_SECONDS = 15.0


# -- the process that is killed -----------------------------------------------------------------------------------------
async def trade(port: int, folder: str, seed: int) -> None:
    """Orders that rest and orders that take, cancels and modifies, as fast as the exchange answers."""
    rng = random.Random(seed)
    async with hlfast.connect(simulator(port), journal=folder, settings=QUICK) as hl:
        hl.watch("BTC")
        await hl.wait_ready(10)
        print("ready", flush=True)
        while True:
            bbo = hl.bbo("BTC")
            with contextlib.suppress(NotReady):
                if bbo.bid_px and bbo.ask_px and len(hl.orders) < 40:
                    price = rng.choice((bbo.bid_px * 99 / 100, bbo.ask_px * 101 / 100, bbo.bid_px * 98 / 100))
                    hl.buy("BTC", "0.001", price, tif="Gtc", rounding="passive")
                live = hl.get_open_orders()
                if live and rng.random() < 0.3:
                    hl.cancel(rng.choice(live))
                if live and rng.random() < 0.1:
                    order = rng.choice(live)
                    hl.modify(order, price=order.price * Decimal("0.999"), rounding="passive")
            await asyncio.sleep(0.002)


def nursery() -> None:
    for module in ("hlfast.venues.hyperliquid.connector", "hlfast.engine.journal", "uvloop"):
        importlib.import_module(module)  # once, and not in each child
    for line in sys.stdin:
        port, folder, seed, *point = line.split()
        pid = os.fork()
        if pid == 0:
            if point:
                crash_points.arm_from(point[0])
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # its "ready" is no line of ours
            hlfast.run(trade(int(port), folder, int(seed)))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)


def environment(**more: str) -> dict[str, str]:
    """Children start where the tested package lies: a tree that is not compiled would hide it."""
    return {**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1]), **more}


async def start(exchange: Any, folder: Path, seed: int, **variables: str) -> asyncio.subprocess.Process:
    """A process of its own, once it says that it is ready to trade."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        str(exchange.port),
        str(folder),
        str(seed),
        cwd=folder.parent,
        env=environment(**variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    assert (await asyncio.wait_for(child.stdout.readline(), 30)).strip() in (b"ready", b"")
    return child


class Nursery:
    """Processes by fork: `await kill(...)` starts one, and returns once it is dead."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Nursery:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--nursery", env=environment(), stdin=pipe, stdout=pipe, stderr=pipe
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def kill(self, exchange: Any, folder: Path, seed: int, *, point: str = "", after: float) -> bool:
        """Die at `point`, or by a kill -9 `after` so many seconds. Returns whether it died at the point."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{exchange.port} {folder} {seed} {point}\n".encode())
        pid = int(await process.stdout.readline())
        ended = asyncio.ensure_future(process.stdout.readline())
        done, _ = await asyncio.wait({ended}, timeout=after)
        if not done:
            with contextlib.suppress(ProcessLookupError):  # it has just died at its point
                os.kill(pid, signal.SIGKILL)
        code = int(await ended)
        if code != -signal.SIGKILL:
            told = await process.stderr.read(20_000) if process.stderr is not None else b""
            raise AssertionError(f"it ended with {code}, not by a kill: {told.decode(errors='replace')}")
        return bool(done)


# -- what must be there afterwards --------------------------------------------------------------------------------------
@dataclass
class Found:
    ready_s: float
    settled_s: float
    live: int
    orders: int
    fills: int
    never_there: int
    """Intents of the journal that the exchange never had."""


async def assert_all_is_found(exchange: Any, folder: Path) -> Found:
    """Restart on the journal: every live order is own, every order as the exchange has it, every fill there once."""
    began = clock.monotonic_ns()
    hl = hlfast.connect(exchange.network, journal=folder, settings=QUICK)
    try:
        await hl.__aenter__()
        hl.watch("BTC")
        await hl.wait_ready(30)
        ready_s = (clock.monotonic_ns() - began) / 1e9
        while hl.tracker.orders_to_ask_about and clock.monotonic_ns() - began < SETTLED_SECONDS * 1e9:
            await asyncio.sleep(0.01)
        settled_s = (clock.monotonic_ns() - began) / 1e9
        record = exchange.truth(hl.account)
        with contextlib.closing(sqlite3.connect(folder / "journal.sqlite")) as database:
            kept = [cloid for (cloid,) in database.execute("select cloid from orders")]
        never_there = _compare_orders(hl, record, kept)
        held = hl.positions.get("BTC")
        assert (held.signed_size if held else 0) == Decimal(record["positions"].get("BTC", {}).get("szi", "0"))
        assert hl.ledger["cash"] == Decimal(record["cash"])
        live = len(hl.orders)
    finally:
        await hl.disconnect()
    _compare_fills(folder, record)
    return Found(ready_s, settled_s, live, len(kept), len(record["fills"]), never_there)


def _compare_orders(hl: Any, record: dict[str, Any], kept: list[str]) -> int:
    legs: dict[str, list[dict[str, Any]]] = {}
    for row in record["orders"]:
        legs.setdefault(row["cloid"], []).append(row)
    resting = {cloid for cloid, rows in legs.items() if any(row["status"] == "open" for row in rows)}
    assert {order.cloid for order in hl.orders} == resting
    assert not hl.tracker.external_orders and not hl.tracker.orders_to_ask_about
    assert len(kept) == len(set(kept)) and set(legs) <= set(kept), "the exchange has orders that the journal has not"
    for cloid in kept:
        order, rows = hl.tracker.get_order_by_cloid(cloid), legs.get(cloid, [])
        filled = sum((Decimal(row["filled"]) for row in rows), Decimal(0))
        assert order is not None and order.filled_amount == filled, (order, rows)
        lived = [row for row in rows if not row["status"].endswith("Rejected")]
        if cloid in resting:
            assert order.state in (S.OPEN, S.PARTIALLY_FILLED), (order, rows)
        elif lived:
            assert order.state is (S.FILLED if filled == order.amount else S.CANCELLED), (order, rows)
        else:
            assert order.state is S.FAILED, (order, rows)
    return sum(cloid not in legs for cloid in kept)


def _compare_fills(folder: Path, record: dict[str, Any]) -> None:
    """By identity; and position and cash once more, from the journal's fills alone."""
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite")) as database:
        rows = database.execute(
            "select coin, tid, oid, time_ms, side, px_e8, lots, sz_decimals, fee_e8 from fills"
        ).fetchall()
    assert sorted(row[:4] for row in rows) == sorted(
        (f["coin"], f["tid"], f["oid"], f["time"]) for f in record["fills"]
    )
    size = cash = Decimal(0)
    for _, _, _, _, side, px_e8, lots, decimals, fee_e8 in rows:
        signed = Decimal(lots if side in ("B", "BUY") else -lots).scaleb(-decimals)
        size += signed
        cash -= signed * Decimal(px_e8).scaleb(-8) + Decimal(fee_e8).scaleb(-8)
    assert size == Decimal(record["positions"].get("BTC", {}).get("szi", "0"))
    cash += sum(Decimal(row["delta"]["usdc"]) for row in record["fundings"])
    assert 1_000_000 + cash == Decimal(record["cash"])


if __name__ == "__main__":
    if sys.argv[1:] == ["--nursery"]:
        nursery()
    else:
        hlfast.run(trade(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
