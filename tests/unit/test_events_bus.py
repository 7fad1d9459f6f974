"""The event bus: every handler once, in order, isolated from the others; and the events themselves."""

import asyncio
import dataclasses
import functools
import gc
import inspect
import weakref
from decimal import Decimal

import pytest

from hlfast.core import events as ev
from hlfast.core.bus import EventBus
from hlfast.errors import ConfigError

DATA_EVENTS = {
    ev.PositionUpdate: {"coin": "BTC", "position": None, "recv_ns": 1},
    ev.BalanceUpdate: {"asset": "USDC", "available": Decimal(1), "total": Decimal(2)},
    ev.FundingPayment: {"coin": "BTC", "amount": Decimal("-0.5"), "rate": "0.0000125", "time_ms": 1},
    ev.Liquidation: {"data": {"lid": 1}},
    ev.AssetContext: {
        "coin": "BTC",
        "mark_price": Decimal("1"),
        "oracle_price": Decimal("2"),
        "funding_rate": Decimal("0.0000125"),
        "open_interest": Decimal("3"),
    },
    ev.StreamStatus: {"stream": "account", "state": "LIVE", "reason": "synchronised"},
    ev.Recovered: {"gap_ns": 5, "fills": 2, "orders": 1, "consistent": True},
    ev.ConnectorError: {"code": "venue_error", "text": "Too many requests"},
}


@pytest.mark.parametrize("cls", DATA_EVENTS)
def test_every_event_class_reaches_its_own_handlers_only(cls):
    """Behaviour 11."""
    bus = EventBus()
    heard = {each: [] for each in DATA_EVENTS}
    for each in DATA_EVENTS:
        bus.on(each, heard[each].append)
    event = cls(**DATA_EVENTS[cls])
    bus.emit(event)
    assert heard == {each: ([event] if each is cls else []) for each in DATA_EVENTS}


@pytest.mark.parametrize("cls", DATA_EVENTS)
def test_events_are_immutable(cls):
    """Architecture 6."""
    event = cls(**DATA_EVENTS[cls])
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.recv_ns = 5
    assert event == cls(**DATA_EVENTS[cls])


ORDER_EVENTS = [cls for _, cls in inspect.getmembers(ev, inspect.isclass) if issubclass(cls, ev.OrderEvent)]


@pytest.mark.parametrize("cls", ORDER_EVENTS)
def test_an_order_event_is_made_by_the_tracker_only_and_cannot_be_changed(cls):
    """Architecture 6: an event without its order would show nothing true."""
    with pytest.raises(TypeError):
        cls()
    for name in ("order", "recv_ns", "recovered"):
        with pytest.raises(AttributeError):
            setattr(cls.__new__(cls), name, 1)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_handler_that_raises_is_counted_and_reported_and_the_next_one_runs(position):
    """G12, L120."""
    bus, heard, reported = EventBus(), [], []
    bus.on_error = lambda handler, error: reported.append((handler, str(error)))

    def bad(event):
        raise RuntimeError("mine")

    for n in range(3):
        bus.on(str, bad if n == position else functools.partial(lambda n, _: heard.append(n), n))
    bus.emit("x")
    bus.emit("y")
    assert heard == [n for n in range(3) if n != position] * 2
    assert reported == [(bad, "mine")] * 2 and bus.handler_errors == 2


def test_a_reporter_that_raises_is_counted_too_and_hurts_nobody():
    """G12."""
    bus, heard = EventBus(), []
    bus.on_error = lambda *_: 1 / 0
    bus.on(str, lambda _: 1 / 0)
    bus.on(str, heard.append)
    bus.emit("x")
    assert heard == ["x"] and bus.handler_errors == 2
    bus.on_error = None
    bus.emit("y")
    assert heard == ["x", "y"] and bus.handler_errors == 3


def test_handlers_run_in_the_order_of_registration_synchronously():
    """Architecture 2.2."""
    bus, heard = EventBus(), []
    for n in range(5):
        bus.on(str, functools.partial(lambda n, _: heard.append(n), n))
    bus.emit("x")
    assert heard == [0, 1, 2, 3, 4]


class Base:
    pass


class Child(Base):
    pass


class Grandchild(Child):
    pass


def test_a_handler_of_a_base_class_hears_every_class_below_it():
    """Behaviour 11."""
    bus, low, high = EventBus(), [], []
    bus.on(Child, low.append)
    bus.on(Base, high.append)
    events = [Base(), Child(), Grandchild()]
    for event in events:
        bus.emit(event)
    assert low == events[1:] and high == events
    assert set(ORDER_EVENTS) == {ev.OrderEvent, *ev.OrderEvent.__subclasses__()} and len(ORDER_EVENTS) == 11


def test_what_nobody_hears_need_not_be_made():
    """Architecture 6: events are created only where somebody listens."""
    bus = EventBus()
    assert not bus.has(Child)
    remove = bus.on(Base, print)
    assert bus.has(Child) and bus.has(Base) and not bus.has(str)
    remove()
    assert not bus.has(Child) and not bus.has(Base)


def test_a_removed_handler_is_silent_and_removing_twice_is_harmless():
    """Behaviour 11."""
    bus, one, two = EventBus(), [], []
    remove = bus.on(str, one.append)
    bus.on(str, two.append)
    bus.emit("a")
    remove()
    remove()
    bus.emit("b")
    assert (one, two) == (["a"], ["a", "b"])


def test_a_handler_registered_twice_is_called_twice_and_removed_one_at_a_time():
    bus, heard = EventBus(), []
    removers = [bus.on(str, heard.append) for _ in range(2)]
    bus.emit("a")
    removers[1]()
    bus.emit("b")
    removers[1]()
    bus.emit("c")
    removers[0]()
    bus.emit("d")
    assert heard == ["a", "a", "b", "c"]


def test_handlers_may_remove_and_add_handlers_while_an_event_is_told():
    """Behaviour 131."""
    bus, heard = EventBus(), []

    def first(event):
        heard.append("first")
        remove()
        bus.on(str, lambda _: heard.append("new"))

    remove = bus.on(str, first)
    bus.on(str, lambda _: heard.append("second"))
    bus.emit("x")
    assert heard == ["first", "second"]
    bus.emit("y")
    assert heard == ["first", "second", "second", "new"]


def test_a_removed_handler_is_not_kept_alive():
    """C7: no leaked callbacks."""
    bus = EventBus()

    class Holder:
        def on_event(self, event):
            pass

    holder = Holder()
    gone = weakref.ref(holder)
    remove = bus.on(Base, holder.on_event)
    remove()
    del holder, remove
    gc.collect()
    assert gone() is None


async def test_a_coroutine_handler_becomes_a_task_and_its_error_is_the_tasks():
    """Architecture 2.2: coroutines are welcome for cold events."""
    bus, heard, tasks = EventBus(), [], []

    async def slow(event):
        await asyncio.sleep(0)
        heard.append(event)
        raise RuntimeError("in the task")

    bus.task_factory = lambda coro: tasks.append(asyncio.ensure_future(coro))
    bus.on(str, slow)
    bus.on(str, heard.append)
    bus.emit("x")
    assert heard == ["x"]  # the plain handler did not wait
    outcome = await asyncio.gather(*tasks, return_exceptions=True)
    assert heard == ["x", "x"] and str(outcome[0]) == "in the task" and bus.handler_errors == 0


def test_a_coroutine_handler_without_a_loop_is_reported_and_leaves_no_coroutine_behind(recwarn):
    """G12."""
    bus, reported = EventBus(), []
    bus.on_error = lambda handler, error: reported.append((handler.__qualname__, str(error)))

    async def slow(event):
        pass

    bus.on(str, slow)
    bus.emit("x")
    gc.collect()
    assert len(reported) == 1 and "slow" in reported[0][0] and "connect first" in reported[0][1]
    assert not [w for w in recwarn if "never awaited" in str(w.message)]


@pytest.mark.parametrize(("event_class", "fn"), [("OrderFilled", print), (None, print), (str, "print"), (str, None)])
def test_what_is_no_event_class_or_no_handler_is_refused(event_class, fn):
    with pytest.raises(ConfigError):
        EventBus().on(event_class, fn)


def test_an_event_without_handlers_goes_nowhere():
    bus = EventBus()
    bus.emit("x")
    assert bus.handler_errors == 0
