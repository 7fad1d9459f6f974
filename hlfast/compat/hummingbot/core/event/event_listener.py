"""EventListener: called with an event; during the call it knows the event's tag and who triggered it."""

from __future__ import annotations

from typing import Any


class EventListener:
    def __init__(self) -> None:
        self._current_event_tag = 0
        self._current_event_caller: Any = None

    def __call__(self, arg: Any) -> None:
        raise NotImplementedError

    @property
    def current_event_tag(self) -> int:
        return self._current_event_tag

    @property
    def current_event_caller(self) -> Any:
        return self._current_event_caller

    def set_event_info(self, current_event_tag: int, current_event_caller: Any) -> None:
        self._current_event_tag = current_event_tag
        self._current_event_caller = current_event_caller
