"""The exchange's time (local exchange, layer 5): real, real but faster, or virtual and stepped by calls.

    RealPace(speed=10)          ten seconds of the exchange pass in one; blocks, delays, limits and windows with them
    VirtualPace(start_ms)       nothing passes until `advance_to`; delays fall due in the order of their time

Units: ms since 1970. What must hold: everything in the exchange that waits or asks what time it is does so here, so
that with a virtual pace the same inputs give the same bytes. Nonces and `expiresAfter` are compared with this time: a
client of a virtual exchange uses nonces near `now_ms()` (a connector in the same process: `clock.set_virtual`), and in
scaled time a client that keeps the wall's time for its nonces is two days behind after 2 days / speed.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Protocol, TypeAlias

from hlfast import clock

VIRTUAL_START_MS = 1_785_000_000_000


class Timer(Protocol):
    def cancel(self) -> None: ...


class RealPace:
    """The wall's time, from the start on `speed` times as fast."""

    is_virtual = False

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = speed
        self._wall_ms = clock.wall_clock_ms()
        self._started_ns = clock.monotonic_ns()

    def now_ms(self) -> int:
        if self.speed == 1.0:
            return clock.wall_clock_ms()
        return self._wall_ms + int((clock.monotonic_ns() - self._started_ns) * self.speed / 1e6)

    def call_later(self, delay_ms: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_ms / 1e3 / self.speed, callback)


class VirtualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualPace:
    """Time that stands still between calls."""

    is_virtual = True
    speed = 1.0

    def __init__(self, start_ms: int = VIRTUAL_START_MS) -> None:
        self._now_ms = start_ms
        self._timers: list[tuple[int, int, VirtualTimer]] = []
        self._order = itertools.count()

    def now_ms(self) -> int:
        return self._now_ms

    def call_later(self, delay_ms: float, callback: Callable[[], object]) -> Timer:
        timer = VirtualTimer(callback)
        heapq.heappush(self._timers, (self._now_ms + max(0, round(delay_ms)), next(self._order), timer))
        return timer

    def advance_to(self, when_ms: int) -> None:
        """Move to this time; what falls due on the way runs at its own time, in order."""
        while self._timers and self._timers[0][0] <= when_ms:
            due_ms, _, timer = heapq.heappop(self._timers)
            self._now_ms = max(self._now_ms, due_ms)
            if timer.callback is not None:
                timer.callback()
        self._now_ms = max(self._now_ms, when_ms)


Pace: TypeAlias = RealPace | VirtualPace
