"""EventLogger: the last 50 events and the last 100,000 fills, and waiting for one of a kind."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, TypeVar

from hlfast.compat.hummingbot.core.event.event_listener import EventListener
from hlfast.compat.hummingbot.core.event.events import OrderFilledEvent

T = TypeVar("T")
EVENTS_KEPT = 50
FILLS_KEPT = 100_000


class EventLogger(EventListener):
    def __init__(self, event_source: str | None = None) -> None:
        super().__init__()
        self._event_source = event_source
        self._generic: deque[Any] = deque(maxlen=EVENTS_KEPT)
        self._fills: deque[OrderFilledEvent] = deque(maxlen=FILLS_KEPT)
        self._waiting: list[tuple[type, asyncio.Future[Any]]] = []

    @property
    def event_log(self) -> list[Any]:
        return [*self._generic, *self._fills]

    @property
    def event_source(self) -> str | None:
        return self._event_source

    def clear(self) -> None:
        self._generic.clear()
        self._fills.clear()

    async def wait_for(self, event_type: type[T], timeout_seconds: float = 180) -> T:
        """The next event of `event_type`, or `asyncio.TimeoutError`."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        entry = event_type, future
        self._waiting.append(entry)
        try:
            return await asyncio.wait_for(future, timeout_seconds)
        finally:
            self._waiting.remove(entry)

    def __call__(self, event_object: Any) -> None:
        (self._fills if isinstance(event_object, OrderFilledEvent) else self._generic).append(event_object)
        for event_type, future in self._waiting:
            if isinstance(event_object, event_type) and not future.done():
                future.set_result(event_object)
