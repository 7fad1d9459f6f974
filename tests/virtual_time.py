"""An event loop whose time is made: real sockets on loopback, and no second is waited for.

    with VirtualTime() as time:
        time.run(main())                # a minute of timeouts, pings and blocks in the time that its work takes

When nothing is left to do but wait, the clock jumps to the next timer, and `hlfast.clock` with it. So a slow machine is
no slower for the code under test than a quick one, and the same inputs give the same run: what loopback carries is there
when the sender's call returns. Before each jump the kernel gets `GRACE_S` of real time, for the case that it was busy.
One at a time in a process: the clock is the process's.
"""

from __future__ import annotations

import asyncio
import math
import random
import selectors
import time as real
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from hlfast import clock
from hlfast.venues.hyperliquid.nonce import _managers

START_NS = 1_785_000_600_000_000_000
"""Half an hour from any funding."""
GRACE_S = 0.000_05
STUCK_S = 10.0
"""So long may a loop without timers wait for a socket."""

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Looks what is there; if nothing is, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = START_NS

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        real.sleep(GRACE_S)
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            return super().select(STUCK_S)
        self.now_ns += max(1_000, math.ceil(timeout * 1e9))
        clock.set_virtual(self.now_ns)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return (self._virtual.now_ns - START_NS) / 1e9


class VirtualTime:
    """A loop with a clock of its own, from `START_NS` on; afterwards the clock is real again."""

    def __init__(self, seed: int = 0) -> None:
        self.loop = VirtualLoop()
        self._random = random.getstate()
        random.seed(seed)
        clock.set_virtual(START_NS)
        _forget_nonces()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """End what still runs, and the loop."""
        try:
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
        finally:
            clock.set_virtual(None)
            _forget_nonces()
            random.setstate(self._random)

    def __enter__(self) -> VirtualTime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _forget_nonces() -> None:
    """Those given out at another time mean nothing at this one, or are refused as far ahead of it."""
    for nonces in _managers.values():
        nonces.reset()
