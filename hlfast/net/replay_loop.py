"""ReplayLoop: an event loop in which recorded frames make the time pass (layer 2, cold).

When nothing is left to do but wait, time moves on to the next frame or the next timer, whichever comes first, and
`hlfast.clock` with it; then the frame is delivered, or the timer runs. So timers, sleeps and frames fall into the same order
in every run, whatever the `speed`: 1 is recorded time, N is N times as fast, 0 does not wait at all. The speed only says
how much real time goes by meanwhile. Frames flow from `play` on; when they are over, time goes on by timers alone.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from hlfast import clock
from hlfast.errors import ConfigError

T = TypeVar("T")
LOOK_EVERY = 256
"""At full speed, sockets and signals are looked at once in so many steps."""


class _Passage(selectors.DefaultSelector):
    """Where the loop waits; here time passes instead."""

    def __init__(self, start_ns: int, speed: float) -> None:
        super().__init__()
        self.start_ns = self.now_ns = start_ns
        self.speed = speed
        self.frames: Iterator[tuple[int, bytes]] | None = None
        self.next: tuple[int, bytes] | None = None
        self.deliver: Callable[[bytes, int], object]
        self.ended: Callable[[], object]
        self._steps = 0
        self._real_start_ns = clock.real_monotonic_ns()

    def play(
        self,
        frames: Iterator[tuple[int, bytes]],
        deliver: Callable[[bytes, int], object],
        ended: Callable[[], object],
    ) -> None:
        self.frames, self.deliver, self.ended = frames, deliver, ended
        self.next = next(frames, None)
        self._real_start_ns = clock.real_monotonic_ns() - self._real_for(self.now_ns)
        if self.next is None:
            ended()

    def _real_for(self, when_ns: int) -> int:
        return int((when_ns - self.start_ns) / self.speed) if self.speed else 0

    def select(self, timeout: float | None = None) -> Any:
        self._steps += 1
        if self._steps % LOOK_EVERY == 0 or (timeout == 0 and self.speed):
            ready = super().select(0)
            if ready or timeout == 0:
                return ready
        if timeout is not None and timeout <= 0:
            return []
        frame = self.next
        if frame is None and timeout is None:
            return super().select(None)
        due_ns = self.now_ns + max(1_000, math.ceil(timeout * 1e9)) if timeout is not None else 0
        is_frame = frame is not None and (timeout is None or frame[0] <= due_ns)
        when_ns = max(self.now_ns, frame[0]) if is_frame and frame is not None else due_ns
        if self.speed:
            wait_ns = self._real_start_ns + self._real_for(when_ns) - clock.real_monotonic_ns()
            if wait_ns > 0:
                ready = super().select(wait_ns / 1e9)
                if ready or self._real_start_ns + self._real_for(when_ns) > clock.real_monotonic_ns():
                    return ready
        self.now_ns = when_ns
        clock.set_virtual(when_ns)
        if is_frame and frame is not None:
            assert self.frames is not None
            self.deliver(frame[1], when_ns)
            self.next = next(self.frames, None)
            if self.next is None:
                self.ended()
        return []


class ReplayLoop(asyncio.SelectorEventLoop):
    """`start_ns`: the epoch time at which it begins. `speed`: 0 or more."""

    def __init__(self, start_ns: int, speed: float = 0.0) -> None:
        if not 0 <= speed < 1e9:
            raise ConfigError(
                f"a replay's speed is 1 for recorded time, N for N times as fast, 0 for no waiting; got {speed}"
            )
        self._passage = _Passage(start_ns, speed)
        super().__init__(self._passage)

    def time(self) -> float:
        return (self._passage.now_ns - self._passage.start_ns) / 1e9

    def play(
        self,
        frames: Iterator[tuple[int, bytes]],
        deliver: Callable[[bytes, int], object],
        ended: Callable[[], object],
    ) -> None:
        """Let `frames` come by, as (receive time, frame), times never stepping back: `deliver(frame, recv_ns)` each, then `ended()`."""
        self._passage.play(frames, deliver, ended)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end, then end what it left running, close the loop, and let the clock be real again."""
        clock.set_virtual(self._passage.now_ns)
        try:
            asyncio.set_event_loop(self)
            return self.run_until_complete(work)
        finally:
            try:
                left = asyncio.all_tasks(self)
                for task in left:
                    task.cancel()
                if left:
                    self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
                self.run_until_complete(self.shutdown_asyncgens())
                self.close()
            finally:
                asyncio.set_event_loop(None)
                clock.set_virtual(None)
