"""The whole exchange on one core: every perpetual's books, best prices and trades, at ten times the venue's rates.

The delay of a callback is counted from just before its frame was handed to the sender's socket: the loopback, this
process's wake-up and the queue behind other frames are in it. Where the system allows it, receiver and sender each
have a core of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from time import process_time_ns

import hlfast
from benchmarks.measure import frozen, summarise
from benchmarks.registry import Effort, Measured, Mismatch, Role, pipeline
from benchmarks.scale.receiver import Receiver
from benchmarks.scale.sender import schedule
from benchmarks.scale.universe_of import instruments

TIMES = 10.0


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """This process on the first of its cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def whole_universe(seconds: float) -> list[Measured]:
    source, markets = instruments()
    frames = len(schedule(markets, TIMES, seconds))
    async with Receiver(markets) as receiver:
        with frozen(), one_core():
            receiver.sender.say(f"universe {TIMES} {seconds}")
            await asyncio.sleep(0)
            busy = process_time_ns()
            heard = await receiver.take(frames)
            busy = process_time_ns() - busy
            sent = json.loads(await asyncio.get_running_loop().run_in_executor(None, receiver.sender.hear))
        if receiver.problems:
            raise Mismatch(f"universe: the router has {receiver.problems}")
    delays = [at - start for start, at in zip(sent, heard, strict=True)]
    span = (heard[-1] - sent[0]) / 1e9
    who = f"hlfast, {len(markets)} perps ({source}), {frames / span:,.0f} frames/s"
    return [
        summarise(who, Role.HLFAST, delays),
        Measured("this process's time on its core, a frame", Role.STAGE, busy / frames, count=frames),
    ]


@pipeline("universe", f"all perpetuals at {TIMES:g} × the venue's rates, one core: delay of the callback", area="scale")
def universe(effort: Effort) -> list[Measured]:
    return hlfast.run(whole_universe(10.0 if effort.ticks > 1_000 else 1.0))
