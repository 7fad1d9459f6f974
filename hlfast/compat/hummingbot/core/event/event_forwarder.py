"""Listeners that hand events on to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlfast.compat.hummingbot.core.event.event_listener import EventListener


class EventForwarder(EventListener):
    """`to_function(event)`."""

    def __init__(self, to_function: Callable[[Any], object]) -> None:
        super().__init__()
        self._to_function = to_function

    def __call__(self, arg: Any) -> None:
        self._to_function(arg)


class SourceInfoEventForwarder(EventListener):
    """`to_function(tag, caller, event)`."""

    def __init__(self, to_function: Callable[[int, Any, Any], object]) -> None:
        super().__init__()
        self._to_function = to_function

    def __call__(self, arg: Any) -> None:
        self._to_function(self.current_event_tag, self.current_event_caller, arg)
