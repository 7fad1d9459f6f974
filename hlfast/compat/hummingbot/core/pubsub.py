"""PubSub: events to weakly held listeners, called in the order in which they were added, each isolated from the others."""

from __future__ import annotations

import weakref
from enum import Enum
from typing import Any

from hlfast.compat.hummingbot.core.event.event_listener import EventListener
from hlfast.compat.hummingbot.logger import HummingbotLogger, logger_for


class PubSub:
    """A listener that nobody else holds vanishes. Keys are the tags' values, so an int and its enum are the same."""

    def __init__(self) -> None:
        self._events: dict[Any, list[weakref.ref[Any]]] = {}

    @classmethod
    def logger(cls) -> HummingbotLogger:
        return logger_for(cls)

    def add_listener(self, event_tag: Enum, listener: EventListener) -> None:
        refs = self._events.setdefault(_key(event_tag), [])
        refs[:] = [ref for ref in refs if ref() is not None]
        if not any(ref() is listener or ref() == listener for ref in refs):
            refs.append(_weakly(listener))

    def remove_listener(self, event_tag: Enum, listener: EventListener) -> None:
        refs = self._events.get(_key(event_tag))
        if refs is not None:
            refs[:] = [ref for ref in refs if (one := ref()) is not None and one is not listener and one != listener]

    def get_listeners(self, event_tag: Enum) -> list[Any]:
        return [one for ref in self._events.get(_key(event_tag), ()) if (one := ref()) is not None]

    def trigger_event(self, event_tag: Enum, message: Any) -> None:
        key = _key(event_tag)
        refs = self._events.get(key)
        if not refs:
            return
        for ref in tuple(refs):
            listener = ref()
            if listener is None:
                continue
            try:
                if isinstance(listener, EventListener):
                    listener.set_event_info(key, self)
                    try:
                        listener(message)
                    finally:
                        listener.set_event_info(0, None)
                else:
                    listener(message)
            except Exception:
                self.logger().error(f"Unexpected error while processing event {key}.", exc_info=True)
        listener = None  # a logged error holds this frame, which must not hold the last listener


def _key(event_tag: Any) -> Any:
    return event_tag.value if isinstance(event_tag, Enum) else event_tag


def _weakly(listener: Any) -> weakref.ref[Any]:
    return weakref.WeakMethod(listener) if hasattr(listener, "__self__") else weakref.ref(listener)
