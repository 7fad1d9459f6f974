"""EventBus: events to handlers, each handler isolated from the others (layer 1, hot).

Handlers of one class are kept in a tuple and called in the order of registration, synchronously, where the event
happened. One that raises is caught, counted and reported to `on_error`; the next still runs (G12). A coroutine
function becomes a supervised task through `task_factory`. A handler for a base class (`OrderEvent`) gets the events of
every class below it. `wants(cls)` lets a producer make no event that nobody would hear.

    bus = EventBus()
    remove = bus.on(OrderFilled, lambda event: print(event.fill))
    remove()
"""

from libc.stdint cimport int64_t

import inspect

from hlfast.errors import ConfigError


def _with_subclasses(cls):
    found = [cls]
    for child in cls.__subclasses__():
        found.extend(_with_subclasses(child))
    return found


cdef class EventBus:
    """The one registry of a connector's listeners."""

    def __init__(self):
        self._handlers = {}
        self.task_factory = None
        self.on_error = None
        self.handler_errors = 0

    cdef bint wants(self, object event_class) except -1:
        return event_class in self._handlers

    cdef int emit_event(self, object event) except -1:
        cdef tuple handlers = <tuple>self._handlers.get(type(event))
        if handlers is None:
            return 0
        for handler in handlers:
            try:
                handler(event)
            except Exception as error:
                self.handler_errors += 1
                self._report(handler, error)
        return 0

    def _report(self, handler, error):
        if self.on_error is not None:
            try:
                self.on_error(handler, error)
            except Exception:
                self.handler_errors += 1  # the reporter failed: nothing is left but to count

    def has(self, event_class):
        """True if a handler would hear an event of this class."""
        return self.wants(event_class)

    def emit(self, event):
        """Call every handler of the event's class."""
        self.emit_event(event)

    def on(self, event_class, fn):
        """Call `fn(event)` for every event of `event_class`. Returns a function that removes it again."""
        if not isinstance(event_class, type):
            raise ConfigError(f"on() takes an event class such as OrderFilled, got {event_class!r}")
        if not callable(fn):
            raise ConfigError(f"a handler must be callable, got {type(fn).__name__}")
        handler = self._as_task(fn) if inspect.iscoroutinefunction(fn) else fn
        classes = _with_subclasses(event_class)
        for cls in classes:
            self._handlers[cls] = (*self._handlers.get(cls, ()), handler)
        removed = False

        def remove():
            nonlocal removed
            if removed:
                return
            removed = True
            for cls in classes:
                left = list(self._handlers[cls])
                left.remove(handler)
                if left:
                    self._handlers[cls] = tuple(left)
                else:
                    del self._handlers[cls]

        return remove

    def _as_task(self, fn):
        def start(event):
            if self.task_factory is None:
                raise ConfigError(f"{getattr(fn, '__qualname__', fn)!r} is a coroutine function and no event loop is running it; connect first")
            self.task_factory(fn(event))

        start.__qualname__ = getattr(fn, "__qualname__", repr(fn))
        return start
