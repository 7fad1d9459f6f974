"""The whole connector against the local exchange in a process of its own, over real sockets: `buy()` and `cancel()`.

One order at a time, each waits for its answer and is then cancelled: so caches are as cold as they are in trading, and
the market's frames run beside it. The exchange verifies every signature by itself; an order that it does not accept
ends the run. What the connector counts against the venue's budgets is given back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hlfast
from benchmarks.kernels.signing import KEY
from benchmarks.measure import frozen, summarise, timed
from benchmarks.peers.floors import BARE_SIGN, bare_sign
from benchmarks.pipeline.order_path import DIGEST, READY, stages
from benchmarks.pipeline.sink import refund
from benchmarks.registry import Effort, Measured, Mismatch, Role, at_most, pipeline, times_floor
from hlfast.config import simulator
from hlfast.core import latency

WARM_UP = 50
HOME = Path(hlfast.__file__).parents[1]
"""Where a child process finds the hlfast of this one."""


@contextmanager
def exchange() -> Iterator[int]:
    """The local exchange's port, while it runs; every action is a block of its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "hlfast.sim", "--port", "0", "--block-ms", "0", "--json"],
        stdout=subprocess.PIPE,
        cwd=HOME,
        text=True,
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise RuntimeError(f"the local exchange did not start; run `{' '.join(child.args)}` to see why")  # type: ignore[arg-type]
        yield json.loads(line)["port"]
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


async def trade(port: int, orders: int) -> list[Measured]:
    buys: list[int] = []
    cancels: list[int] = []
    floor: list[int] = []
    sign = bare_sign(KEY)
    hl = hlfast.connect(simulator(port))
    async with hl:
        hl.watch("BTC")
        await hl.wait_ready(10)
        best = hl.book("BTC").best_bid
        if best is None:
            raise RuntimeError("the local exchange shows no bid for BTC")
        prices = [float(int(best) - 2_000 - at % 97) for at in range(orders + WARM_UP)]
        with frozen():
            for at, price in enumerate(prices):
                if at == WARM_UP:
                    for warm in (buys, cancels, floor):
                        warm.clear()
                    latency.reset()
                took, order = timed(hl.buy, "BTC", 0.001, price, tif="Alo")
                buys.append(took)
                if not await order.accepted():
                    raise Mismatch(f"buy: the exchange did not accept what was signed: {order!r} {order.reason}")
                took, sent = timed(hl.cancel, order)
                cancels.append(took)
                if not sent:
                    raise Mismatch(f"buy: {order!r} could not be cancelled")
                await order.done()
                floor.append(timed(sign, DIGEST)[0])
                refund(hl.limits)
        ack = latency.summary()["ack"]
    rows = stages()
    rows.append(
        Measured(
            "answer (the local exchange's time)",
            Role.STAGE,
            float(ack["p50_ns"]),
            percentiles={
                "p50": float(ack["p50_ns"]),
                "p90": float(ack["p90_ns"]),
                "p99": float(ack["p99_ns"]),
                "max": float(ack["max_ns"]),
            },
            count=ack["count"],
        )
    )
    return [
        summarise("hlfast", Role.HLFAST, buys),
        summarise("cancel()", Role.STAGE, cancels),
        *rows,
        summarise(BARE_SIGN, Role.FLOOR, floor),
    ]


@pipeline(
    "buy",
    "buy() on a running connector, one at a time → bytes in the socket",
    at_most(40_000),
    times_floor(1.3, who=READY),
)
def buy(effort: Effort) -> list[Measured]:
    with exchange() as port:
        return hlfast.run(trade(port, effort.orders))
