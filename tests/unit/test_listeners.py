"""Listener objects: each overridden method once with its arguments, nothing else registered."""

import asyncio
from decimal import Decimal

import pytest

from hlfast.core import events as ev
from hlfast.core.bus import EventBus
from hlfast.core.listeners import EventListener, add_listener
from hlfast.core.position import PositionBook
from hlfast.errors import ConfigError
from hlfast.types import OrderState, PositionSide

S = OrderState
METHODS = [name for name in vars(EventListener) if name.startswith("on_")]


class Recorder(EventListener):
    """Overrides every method."""

    def __init__(self):
        self.heard = []


for _name in METHODS:
    setattr(Recorder, _name, lambda self, *args, _name=_name: self.heard.append((_name, *args)))


def test_the_listener_has_the_methods_of_the_specification():
    assert METHODS == [
        "on_order_created", "on_order_filled", "on_order_completed", "on_order_cancelled", "on_order_failed",
        "on_order_expired", "on_trade", "on_error", "on_balance_update", "on_position_update",
    ]  # fmt: skip


def test_each_kind_of_event_calls_its_method_once_with_its_arguments(Desk):
    """Behaviour 11."""
    desk, listener = Desk(), Recorder()
    remove = add_listener(desk.tracker.bus, listener)

    def heard():
        listener.heard, news = [], listener.heard
        return news

    filled, cancelled, failed, expired = (desk.order() for _ in range(4))
    desk.tracker.acknowledge(filled, 7)
    assert heard() == [("on_order_created", "hl-1", 7)]
    desk.apply(filled, Desk.fill(filled, "0.4", 1, price=90, fee="0.5", fee_token="HYPE", oid=7))
    assert heard() == [
        ("on_order_filled", "hl-1", 90, Decimal("0.4")),
        ("on_trade", "hl-1", 1, 90, Decimal("0.4"), "HYPE", Decimal("0.5")),
    ]
    desk.apply(filled, Desk.fill(filled, "0.6", 2, price=95, oid=7))
    assert heard()[-1] == ("on_order_completed", "hl-1", 93, 1)
    desk.apply(cancelled, Desk.row(cancelled, S.CANCELLED, oid=8))
    assert heard() == [("on_order_created", "hl-2", 8), ("on_order_cancelled", "hl-2")]
    desk.tracker.reject(failed, "tick")
    desk.tracker.expire(expired, "too late")
    assert heard() == [("on_order_failed", "hl-3", "tick"), ("on_order_expired", "hl-4")]

    bus = desk.tracker.bus
    bus.emit(ev.ConnectorError(code="venue_error", text="Too many requests"))
    bus.emit(ev.BalanceUpdate(asset="USDC", available=Decimal(1), total=Decimal(2)))
    PositionBook(bus).apply_fill(Desk.fill(filled, 2, 9, price=50, is_buy=False))
    assert heard() == [
        ("on_error", "venue_error", "Too many requests"),
        ("on_balance_update", "USDC", 1, 2),
        ("on_position_update", "BTC", PositionSide.SHORT, 2, 50, 0),
    ]
    remove()
    remove()
    for cls in (ev.OrderCreated, ev.OrderFilled, ev.ConnectorError, ev.PositionUpdate, ev.OrderExpired):
        assert bus.has(cls) is (
            cls in (ev.OrderCreated, ev.OrderFilled, ev.ConnectorError, ev.OrderExpired)
        )  # the desk's
    bus.emit(ev.ConnectorError(code="x", text="y"))
    desk.tracker.acknowledge(desk.order(), 99)
    assert heard() == []


def test_only_overridden_methods_are_registered():
    """Issue: only overridden hooks cost."""
    bus = EventBus()

    class OnlyErrors(EventListener):
        def on_error(self, code, text):
            pass

    remove = add_listener(bus, EventListener())
    classes = [ev.OrderCreated, ev.OrderFilled, ev.OrderCompleted, ev.OrderCancelled, ev.OrderFailed, ev.OrderExpired,
               ev.ConnectorError, ev.BalanceUpdate, ev.PositionUpdate]  # fmt: skip
    assert not any(map(bus.has, classes))
    add_listener(bus, OnlyErrors())
    assert [cls for cls in classes if bus.has(cls)] == [ev.ConnectorError]
    remove()
    assert bus.has(ev.ConnectorError)


def test_expired_is_heard_as_cancelled_unless_it_is_overridden(Desk):
    """Section 1 of the specification."""
    heard = []

    class Plain(EventListener):
        def on_order_cancelled(self, client_order_id):
            heard.append((type(self).__name__, client_order_id))

    class Both(Plain):
        def on_order_expired(self, client_order_id):
            heard.append("expired")
            super().on_order_expired(client_order_id)

    desk = Desk()
    for listener in (Plain(), Both()):
        add_listener(desk.tracker.bus, listener)
    desk.tracker.expire(desk.order(), "too late")
    assert heard == [("Plain", "hl-1"), "expired", ("Both", "hl-1")]


def test_listeners_do_not_hurt_each_other_and_the_report_names_the_method(Desk):
    """G12."""
    desk, good, reported = Desk(), Recorder(), []
    desk.tracker.bus.on_error = lambda handler, error: reported.append(handler.__qualname__)

    class Bad(EventListener):
        def on_order_created(self, client_order_id, exchange_order_id):
            raise RuntimeError

    for listener in (Bad(), good, Bad()):
        add_listener(desk.tracker.bus, listener)
    desk.tracker.acknowledge(desk.order(), 7)
    assert good.heard == [("on_order_created", "hl-1", 7)] and len(reported) == 2
    assert all(name.endswith("Bad.on_order_created") for name in reported)


async def test_methods_may_be_coroutine_functions_also_the_one_that_expired_defaults_to(Desk):
    """Architecture 2.2."""
    heard, tasks = [], []

    class Slow(EventListener):
        async def on_order_cancelled(self, client_order_id):
            await asyncio.sleep(0)
            heard.append(client_order_id)

    desk = Desk()
    desk.tracker.bus.task_factory = lambda coro: tasks.append(asyncio.ensure_future(coro))
    add_listener(desk.tracker.bus, Slow())
    first, second = desk.order(), desk.order()
    desk.tracker.expire(first, "too late")
    desk.apply(second, Desk.row(second, S.CANCELLED))
    await asyncio.gather(*tasks)
    assert sorted(heard) == ["hl-1", "hl-2"] and desk.tracker.bus.handler_errors == 0


def test_what_is_no_listener_is_refused():
    with pytest.raises(ConfigError, match="EventListener"):
        add_listener(EventBus(), object())
