"""A strategy's intent in another process → the venue's bytes in the socket, through the gateway, over ipc.

The sender puts its monotonic clock, which all processes of a machine share, into each message; here it is read again
when the connector has written. The floor is the same message over the same kind of socket, read by the same loop and
dropped: what ZeroMQ and two processes cost by themselves. Orders are paced: 500 a second, as a busy strategy's are, and
2,000 a second, the most that the gateway is built for.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measure import frozen, summarise
from benchmarks.pipeline.sink import OrderDesk as Sink
from benchmarks.registry import Effort, Measured, Role, at_most, pipeline
from hlfast import clock

ROOT = Path(__file__).resolve().parents[2]
RATES = (500, 2_000)
"""Orders a second."""
WARM = 100
PATIENCE_SECONDS = 120.0
BARE = "bare ZeroMQ hop (PUSH → PULL, the same loop)"
BUDGET_NS = 1_000_000


class Wired:
    """The sink's connector, which has never been connected, as one that is; it notes when each order was written."""

    def __init__(self, sink: Sink) -> None:
        self._connector = sink._connector
        self._entry = sink.entry
        self.trading_rules = sink.entry.rules
        self.is_connected = True
        self.written: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    def buy(self, order: Any) -> Any:
        placed = self._entry.submit(order, True)
        self.written.append(clock.monotonic_ns())
        return placed


@pipeline("gateway", "intent in another process → the venue's bytes, over ipc", at_most(BUDGET_NS, "ns"))
def gateway(effort: Effort) -> list[Measured]:
    if find_spec("zmq") is None:
        return []
    import hlfast

    return hlfast.run(measure(effort.orders), gc="leave")


async def measure(samples: int) -> list[Measured]:
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for rate in RATES:
            through = await through_the_gateway(Path(folder) / f"g{rate}", samples, rate)
            bare = await bare_hop(Path(folder) / f"b{rate}", samples, rate)
            rows.append(summarise(f"hlfast, {rate:,}/s", Role.HLFAST, through))
            rows.append(summarise(f"{BARE}, {rate:,}/s", Role.FLOOR, bare))
    return rows


async def through_the_gateway(folder: Path, samples: int, rate: int) -> list[int]:
    from hlfast.engine.gateway_events import OrderEventPublisher
    from hlfast.engine.gateway_memory import Memory
    from hlfast.engine.gateway_orders import DeskSettings, OrderDesk
    from hlfast.engine.gateway_reports import Reports
    from hlfast.engine.gateway_text import Stream

    sent: list[int] = []
    async with Sink() as sink:
        wired = Wired(sink)
        async with _sockets(folder) as sockets:
            send = sockets.sockets["reports"].send_multipart
            streams = [
                Stream(topic, "1", lambda frames: send(frames, 1))
                for topic in ("exec.report", "exec.fill", "exec.status")
            ]
            events = OrderEventPublisher(sockets.context, "", socket=sockets.sockets["events"])
            reports = Reports(streams[0], streams[1], streams[2], "hyperliquid")
            loop = asyncio.get_running_loop()
            desk = OrderDesk(wired, reports, events, Memory(), DeskSettings(), loop.call_soon)  # type: ignore[arg-type]
            desk.news.attach()

            def on_message(frames: list[bytes], may_trade: bool) -> None:
                before = len(wired.written)
                desk.on_message(frames, may_trade)
                if len(wired.written) > before:
                    sent.append(int(frames[0][-22:-3]))

            sockets.read(on_message)
            with frozen():
                await _send(sockets.endpoints["orders"], samples + WARM, rate, lambda: len(sent))
            desk.news.detach()
    took = [written - at for at, written in zip(sent, wired.written, strict=True)]
    return took[WARM:]


async def bare_hop(folder: Path, samples: int, rate: int) -> list[int]:
    took: list[int] = []
    async with _sockets(folder) as sockets:
        sockets.read(lambda frames, may_trade: took.append(clock.monotonic_ns() - int(frames[0][-22:-3])))
        with frozen():
            await _send(sockets.endpoints["orders"], samples + WARM, rate, lambda: len(took))
    return took[WARM:]


class _sockets:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __aenter__(self) -> Any:
        from hlfast.engine.gateway_sockets import Sockets, endpoints_of

        self._open = Sockets(endpoints_of("ipc", self._folder, {}, "127.0.0.1", 5556))
        return self._open

    async def __aexit__(self, *exc: object) -> None:
        self._open.detach()
        self._open.abandon()


async def _send(endpoint: str, count: int, rate: int, seen: Callable[[], int]) -> None:
    """Have another process send `count` orders, and wait until `seen()` says that all have been here."""
    command = [sys.executable, "-m", "benchmarks.pipeline.gateway", endpoint, str(count), str(rate)]
    sender = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=subprocess.PIPE)
    for _ in range(int(PATIENCE_SECONDS / 0.05)):
        if seen() >= count:
            break
        await asyncio.sleep(0.05)
    _, errors = await sender.communicate()
    if seen() < count:
        raise RuntimeError(f"{seen()} of {count} orders arrived; the sender said: {errors.decode()}")


def send_orders(endpoint: str, count: int, rate: int) -> None:
    """The sender's process: orders at the pace, each with the clock as its last tag, 19 digits."""
    import zmq

    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.connect(endpoint)
    details = {
        "symbol": "BTC",
        "side": "buy",
        "order_type": "limit",
        "time_in_force": "PO",
        "size": "0.001",
        "price": "60000",
    }
    body = {"version": 1, "action": "place", "venue": "hyperliquid", "product_type": "perpetual", "details": details}
    due = clock.monotonic_ns()
    for number in range(count):
        due += 1_000_000_000 // rate
        time.sleep(max(0, due - clock.monotonic_ns()) / 1e9)  # polling would take a core from the gateway
        text = json.dumps({**body, "cl_id": f"bench-{number}", "tags": {"t": "0" * 19}})
        socket.send(f'{text[:-22]}{clock.monotonic_ns():019d}"}}}}'.encode())
    socket.close(5_000)
    context.term()


if __name__ == "__main__":
    send_orders(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
