"""What hlfast takes before and beside its work: time to import, memory, objects a frame.

Import time and memory are those of a fresh interpreter. `python -m benchmarks.pipeline.footprint` is that interpreter
for the memory: it prints how many megabytes the books and orders of a large desk add to the bare imports.
"""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

import hlfast
from benchmarks import ROOT
from benchmarks.kernels.receive import Desk
from benchmarks.kernels.tracking import Crowd
from benchmarks.measure import timed
from benchmarks.peers import module_of
from benchmarks.pipeline.live import HOME
from benchmarks.registry import Effort, Measured, Role, at_most, pipeline
from benchmarks.wire import BTC, HYPE, KPEPE, Feed, Market
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.scan import BookHandler, Router

IMPORTS = {
    "hlfast": "from hlfast import connect",
    "official SDK": "from hyperliquid.exchange import Exchange",
}
FLOOR_IMPORTS = "import uvloop, picows, orjson, coincurve"


def start_up(code: str, starts: int) -> float:
    """Nanoseconds of a fresh interpreter that runs `code`: the median."""
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False)  # fills the caches of bytecode
    if run.returncode:
        raise RuntimeError(f"{code!r} failed: {run.stderr}")
    return median(timed(subprocess.run, command, cwd=HOME, check=True)[0] for _ in range(starts))


@pipeline("import_time", "import of the connector, over a bare interpreter", at_most(120e6))
def import_time(effort: Effort) -> list[Measured]:
    bare = start_up("pass", effort.starts)

    def over_bare(code: str) -> float:
        return start_up(code, effort.starts) - bare

    rows = [Measured("hlfast", Role.HLFAST, over_bare(IMPORTS["hlfast"]), count=effort.starts)]
    rows.append(Measured("import hlfast, nothing used", Role.STAGE, over_bare("import hlfast"), count=effort.starts))
    if module_of("hyperliquid-python-sdk") is not None:
        rows.append(Measured("official SDK", Role.PEER, over_bare(IMPORTS["official SDK"]), count=effort.starts))
    rows.append(
        Measured("uvloop, picows, orjson, coincurve", Role.FLOOR, over_bare(FLOOR_IMPORTS), count=effort.starts)
    )
    return rows


# -- objects ------------------------------------------------------------------------------------------------------------
FRAMES = 10_000


@pipeline(
    "objects_per_frame",
    "Python objects left by an l2Book frame, compiled handler",
    at_most(0, "objects"),
    unit="objects",
)
def objects_per_frame(effort: Effort) -> list[Measured]:
    desk = Desk()
    desk.router.set_book_handlers(BTC.coin, (BookHandler(),))
    calls = desk.calls([Feed(seed).book(BTC) for seed in range(10)])
    feed = desk.router.feed
    for call in calls:
        feed(*call)
    gc.collect()
    gc.disable()
    before = sys.getallocatedblocks()
    for _ in range(FRAMES // len(calls)):
        for call in calls:
            feed(*call)
    left = sys.getallocatedblocks() - before
    gc.enable()
    return [Measured("hlfast", Role.HLFAST, max(0.0, round(left / FRAMES, 2)), count=FRAMES)]  # the loop holds a few


# -- memory -------------------------------------------------------------------------------------------------------------
INSTRUMENTS, ORDERS = 500, 10_000


@pipeline("memory", f"memory of {INSTRUMENTS} books and {ORDERS:,} live orders", at_most(60, "MB"), unit="MB")
def memory(effort: Effort) -> list[Measured]:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.pipeline.footprint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(f"the process that measures memory failed: {run.stderr}")
    return [Measured("hlfast", Role.HLFAST, float(run.stdout), count=1)]


def megabytes() -> float:
    """The memory that this process has now."""
    try:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:  # no /proc
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
        return int(told.stdout) / 2**10


def large_desk() -> tuple[Router, Sequence[OrderBook], Crowd]:
    router, books, feed = Router(), [], Feed()
    for at in range(INSTRUMENTS):
        like = (BTC, HYPE, KPEPE)[at % 3]
        market = Market(f"COIN{at}", like.sz_decimals, like.px_decimals, like.mid, like.most)
        book = OrderBook(market.coin, market.sz_decimals)
        router.add_instrument(
            TradingRule(market.coin, sz_decimals=market.sz_decimals), book, Bbo(market.coin, market.sz_decimals)
        )
        router.feed(feed.book(market))
        books.append(book)
    return router, books, Crowd(ORDERS)


if __name__ == "__main__":
    hlfast.connect  # noqa: B018  the imports of a connector are no part of it
    imported = megabytes()
    kept = large_desk()
    print(megabytes() - imported)
