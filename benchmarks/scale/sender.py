"""The far end of bursts and of the whole universe, a process of its own: `python -m benchmarks.scale.sender`.

It prints its port, and does what lines on stdin say:

    burst N REPEATS        so many times N frames in one write, each after the receiver's "done"; prints when each write began
    universe TIMES SECONDS [FIRST] every instrument's (or the first FIRST instruments') traffic at so many times the venue's
                           rates; prints when each frame was sent
    end

Times are of the system's monotonic clock, which both processes read.
"""

from __future__ import annotations

import asyncio
import json
import sys
from random import Random
from typing import Any

import picows
import uvloop

from benchmarks.scale.universe_of import instruments
from benchmarks.wire import MARKETS, Feed, Market
from hlfast.clock import monotonic_ns

TEXT = picows.WSMsgType.TEXT
SEED = 5

TIERS = ((10, 10.0, 5.0), (50, 3.0, 0.7), (10_000, 0.7, 0.1))
"""(the so-many first instruments, changes of the best price a second, trades a second): a guess at a busy hour."""

FAST_BOOKS = 2.0
"""`fast` books a second and instrument, as the venue documents it."""


def burst_frames(n: int) -> list[bytes]:
    """What falls due at once after a block: best prices, short books, trades, of 20 instruments."""
    feed, random = Feed(SEED), Random(SEED)
    frames = []
    for kind in random.choices(("bbo", "book", "trades"), (6, 3, 2), k=n):
        market = random.choice(MARKETS)
        frames.append({"bbo": feed.bbo, "book": _fast(feed), "trades": _one_trade(feed)}[kind](market))
    return frames


def _fast(feed: Feed) -> Any:
    return lambda market: feed.book(market, 5)


def _one_trade(feed: Feed) -> Any:
    return lambda market: feed.trades(market, 1)


def schedule(markets: list[Market], times: float, seconds: float) -> list[tuple[int, bytes]]:
    """(ns after the start, frame) of everything, in order. Books come at their cadence, the rest by chance."""
    feed, random = Feed(SEED), Random(SEED)
    due: list[tuple[float, bytes]] = []
    makers = {"book": _fast(feed), "bbo": feed.bbo, "trades": _one_trade(feed)}
    for rank, market in enumerate(markets):
        _, changes, trades = next(tier for tier in TIERS if rank < tier[0])
        for kind, rate in (("book", FAST_BOOKS), ("bbo", changes), ("trades", trades)):
            pool = [makers[kind](market) for _ in range(8)]
            at = random.random() / (rate * times)
            while at < seconds:
                due.append((at, random.choice(pool)))
                gap = 1 / (rate * times)
                at += gap if kind == "book" else random.expovariate(1 / gap)
    return [(int(at * 1e9), frame) for at, frame in sorted(due, key=lambda one: one[0])]


def framed(message: bytes) -> bytes:
    """A text message as a server puts it on the wire."""
    size = len(message)
    if size < 126:
        return bytes((0x81, size)) + message
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + message
    return b"\x81\x7f" + size.to_bytes(8, "big") + message


class Peer(picows.WSListener):
    """The receiver's socket."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.said = asyncio.Event()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == TEXT:
            self.said.set()

    async def burst(self, n: int, repeats: int) -> list[int]:
        wire = b"".join(map(framed, burst_frames(n)))
        began = []
        for _ in range(repeats):
            await asyncio.sleep(0.005)
            self.said.clear()
            began.append(monotonic_ns())
            self.transport.underlying_transport.write(wire)
            await asyncio.wait_for(self.said.wait(), 30)
        return began

    async def universe(self, times: float, seconds: float, first: int | None = None) -> list[int]:
        plan = schedule(instruments()[1][:first], times, seconds)
        sent, next_ = [], 0
        start = monotonic_ns() + 50_000_000
        while next_ < len(plan):
            now = monotonic_ns() - start
            while next_ < len(plan) and plan[next_][0] <= now:
                sent.append(monotonic_ns())
                self.transport.send(TEXT, plan[next_][1])
                next_ += 1
            await asyncio.sleep(0)  # polls: a late sender would look like a late receiver
        await asyncio.wait_for(self.said.wait(), 60)
        return sent


async def main() -> None:
    peer = Peer()
    server = await picows.ws_create_server(lambda _: peer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while not (line := await loop.run_in_executor(None, sys.stdin.readline)).startswith("end") and line:
        what, first, second, *rest = line.split()
        told = await (
            peer.burst(int(first), int(second))
            if what == "burst"
            else peer.universe(float(first), float(second), *map(int, rest))
        )
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main())
