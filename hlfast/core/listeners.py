"""Listener objects (layer 1, cold to warm): one object with a method for each kind of event, on the one bus.

For those who would rather override a method than register a function. `add_listener` registers only what a listener
overrides, so an event that nobody overrides is never made. Prices, sizes, fees and PnL are `Decimal`; order ids are
client order ids. A method may be a coroutine function: it runs as a supervised task, once `connect()` gave a loop.

    class Printer(EventListener):
        def on_order_filled(self, client_order_id, price, amount):
            print(client_order_id, amount, "at", price)

    remove = add_listener(connector.bus, Printer())
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hlfast.core import events as ev
from hlfast.core.bus import EventBus
from hlfast.errors import ConfigError
from hlfast.types import PositionSide


class EventListener:
    """Override what you want to hear. What raises is caught, counted and reported, and hurts no other listener."""

    def on_order_created(self, client_order_id: str, exchange_order_id: int | None) -> Any:
        """The venue has the order."""

    def on_order_filled(self, client_order_id: str, price: Decimal, amount: Decimal) -> Any:
        """One fill, partial or the last one."""

    def on_order_completed(self, client_order_id: str, average_price: Decimal | None, total: Decimal) -> Any:
        """The whole amount is filled; comes after its last fill."""

    def on_order_cancelled(self, client_order_id: str) -> Any:
        """The order is gone from the venue, whoever removed it."""

    def on_order_failed(self, client_order_id: str, reason: str) -> Any:
        """The venue does not have the order, and why."""

    def on_order_expired(self, client_order_id: str) -> Any:
        """Its time had passed before the venue executed it. Unless overridden: as cancelled."""
        return self.on_order_cancelled(client_order_id)

    def on_trade(
        self, client_order_id: str, trade_id: int, price: Decimal, amount: Decimal, fee_token: str, fee: Decimal
    ) -> Any:
        """The same fill as in `on_order_filled`, with the venue's trade id and its fee (negative: a rebate)."""

    def on_error(self, code: str, text: str) -> Any:
        """Something went wrong that concerns no single call; `code` is stable."""

    def on_balance_update(self, asset: str, available: Decimal, total: Decimal) -> Any:
        """A balance changed."""

    def on_position_update(
        self, symbol: str, side: PositionSide, size: Decimal, entry: Decimal, unrealized_pnl: Decimal
    ) -> Any:
        """A position opened, changed or closed (size 0)."""


# Method, the event that it hears, and its arguments.
_CALLS: tuple[tuple[str, type, Callable[[Any], tuple[Any, ...]]], ...] = (
    ("on_order_created", ev.OrderCreated, lambda e: (e.client_order_id, e.exchange_order_id)),
    ("on_order_filled", ev.OrderFilled, lambda e: (e.client_order_id, e.price, e.amount)),
    ("on_order_completed", ev.OrderCompleted, lambda e: (e.client_order_id, e.average_price, e.total)),
    ("on_order_cancelled", ev.OrderCancelled, lambda e: (e.client_order_id,)),
    ("on_order_failed", ev.OrderFailed, lambda e: (e.client_order_id, e.reason)),
    ("on_order_expired", ev.OrderExpired, lambda e: (e.client_order_id,)),
    (
        "on_trade",
        ev.OrderFilled,
        lambda e: (e.client_order_id, e.fill.trade_id, e.price, e.amount, e.fill.fee_token, e.fill.fee),
    ),
    ("on_error", ev.ConnectorError, lambda e: (e.code, e.text)),
    ("on_balance_update", ev.BalanceUpdate, lambda e: (e.asset, e.available, e.total)),
    (
        "on_position_update",
        ev.PositionUpdate,
        lambda e: (e.coin, e.position.side, e.position.size, e.position.entry_price, e.position.unrealized_pnl),
    ),
)

_DEFAULTS_TO = {"on_order_expired": "on_order_cancelled"}


def add_listener(bus: EventBus, listener: EventListener) -> Callable[[], None]:
    """Let `listener` hear the events whose methods it overrides. Returns a function that removes it again."""
    if not isinstance(listener, EventListener):
        raise ConfigError(f"a listener derives from EventListener and overrides its methods, got {listener!r}")
    removers = [
        bus.on(event_class, _handler(method, arguments))
        for name, event_class, arguments in _CALLS
        if (method := _overridden(listener, name) or _overridden(listener, _DEFAULTS_TO.get(name, name))) is not None
    ]

    def remove() -> None:
        for each in removers:
            each()

    return remove


def _overridden(listener: EventListener, name: str) -> Callable[..., Any] | None:
    method: Callable[..., Any] = getattr(listener, name)
    return None if getattr(method, "__func__", None) is getattr(EventListener, name) else method


def _handler(method: Callable[..., Any], arguments: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], object]:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)  # the reporter of errors names the method
        async def start(event: Any) -> None:
            await method(*arguments(event))

        return start

    @functools.wraps(method)
    def call(event: Any) -> None:
        method(*arguments(event))

    return call
