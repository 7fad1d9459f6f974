"""Bursts over a socket: N frames in one write of another process, and how long until the last callback has run.

Each row's samples are single callbacks: the time from the start of the write. So the median is half of the drain, and
the maximum is all of it; what a frame costs is the drain over the frames.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import hlfast
from benchmarks.measure import frozen, summarise
from benchmarks.registry import Effort, Measured, Mismatch, Role, pipeline
from benchmarks.scale.receiver import Receiver
from benchmarks.wire import MARKETS

SIZES = (1, 10, 100, 1_000, 5_000)


async def bursts(repeats: int) -> list[Measured]:
    rows = []
    async with Receiver(MARKETS) as receiver:
        with frozen():
            for size in SIZES:
                times = max(3, min(repeats, 20_000 // size))
                receiver.sender.say(f"burst {size} {times}")
                heard = [await receiver.take(size) for _ in range(times)]
                began = json.loads(await asyncio.get_running_loop().run_in_executor(None, receiver.sender.hear))
                delays = [at - start for start, stamps in zip(began, heard, strict=True) for at in stamps]
                drains = sorted(stamps[-1] - start for start, stamps in zip(began, heard, strict=True))
                row = summarise("hlfast", Role.HLFAST, delays, float(size))
                rows.append(row)
                each = drains[len(drains) // 2] / size
                rows.append(
                    replace(
                        row,
                        who="drained, a frame",
                        role=Role.STAGE,
                        value=each,
                        percentiles={},
                        distribution=(),
                    )
                )
        if receiver.problems:
            raise Mismatch(f"bursts: the router has {receiver.problems}")
    return rows


@pipeline("scale_bursts", "burst over a socket → callbacks", area="scale", axis="frames in a burst")
def scale_bursts(effort: Effort) -> list[Measured]:
    return hlfast.run(bursts(40 if effort.ticks > 1_000 else 8))
