"""The abstract connector (layer 1): what every venue offers, and all that a strategy may call.

A venue derives `ConnectorBase` and supplies metadata, market data, a user stream and order entry. Engine code and
strategies import this module and never a venue's. Nothing here does I/O or starts work in a constructor.

    def quote(connector: ConnectorBase) -> None:
        order = connector.buy("BTC", "0.001", "65000", tif="Alo")     # tracked and sent when this returns
        connector.on(OrderFilled, lambda event: print(event))
"""

from __future__ import annotations

import contextlib
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from hlfast import clock
from hlfast.core import latency as _latency
from hlfast.core.bus import EventBus
from hlfast.core.events import OrderEvent
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.journal_ring import JournalRing
from hlfast.core.listeners import EventListener, add_listener
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import Position
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade
from hlfast.errors import ConfigError, HlfastError, OrdersLeft
from hlfast.types import ConnectorType, Number, OrderParams, OrderType, PositionAction, TradeType, Trigger

Unsubscribe = Callable[[], None]
CANCEL_AGAIN_SECONDS = 1.0
"""At the end, an order whose cancel has shown no effect by then is cancelled again."""

_Connector = TypeVar("_Connector", bound="ConnectorBase")


@dataclass(frozen=True)
class VenueOrder:
    """An order as the venue's record has it. `status`: the venue's word; `size`: ordered; `remaining`: of it, unfilled."""

    coin: str
    exchange_order_id: int
    cloid: str | None
    is_buy: bool
    price: Decimal
    size: Decimal
    remaining: Decimal
    status: str
    time_ms: int


class JournalBook(Protocol):
    """What a connector asks of a journal (`hlfast.engine.journal.Journal` is one)."""

    ring: JournalRing

    @property
    def status(self) -> dict[str, Any]: ...
    def recover(self) -> Any: ...
    def attach(self, bus: EventBus) -> Unsubscribe: ...
    def baseline(self, figures: dict[str, Any]) -> None: ...
    def sample(self, connector: ConnectorBase, every_s: float | None) -> None: ...
    def replicate(self, postgres: Any) -> None: ...
    def start(self) -> None: ...
    def stop(self, timeout: float = 10.0) -> bool: ...


class Service(Protocol):
    """What runs beside a connector for as long as it is connected (`hlfast.engine.metrics.MetricsServer` is one)."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class ConnectorBase(ABC):
    """One account at one venue, on one event loop.

    `initialize` → `connect` → `disconnect` may be called again in any order after the previous one ended;
    `async with` does all three and waits until ready. Order verbs are plain functions that never wait for the network.
    """

    bus: EventBus
    tracker: ClientOrderTracker
    order_gate: Callable[[InFlightOrder], object] | None = None
    asks_order_gate = False
    """A venue that asks `order_gate` says so here."""

    # -- identity ---------------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def name(self) -> str:
        """The venue's connector name, for example `toy_perpetual`."""

    @property
    @abstractmethod
    def domain(self) -> str:
        """The name with the network's suffix (`_testnet`) where it is not the main one."""

    @property
    @abstractmethod
    def connector_type(self) -> ConnectorType: ...

    # -- life cycle -------------------------------------------------------------------------------------------------
    @abstractmethod
    async def initialize(self) -> None:
        """Load instruments and rules."""

    @abstractmethod
    async def connect(self) -> None:
        """Open the streams. Returns when they have been started; `wait_ready()` waits for data."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Close everything: final, and nothing is left running. Raises `OrdersLeft`, when closed, if orders may still rest
        that were to be cancelled."""

    @abstractmethod
    async def wait_ready(self, timeout: float | None = None) -> None:
        """Return when `ready`; raise `NotReady` with the state of each stream after `timeout` seconds."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """The account stream is up."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Connected, account reconciled, instruments loaded, data fresh for the watched markets."""

    @property
    def is_ready(self) -> bool:
        return self.ready

    @property
    @abstractmethod
    def status(self) -> dict[str, Any]: ...

    # -- market data ------------------------------------------------------------------------------------------------
    @abstractmethod
    def watch(self, coin: str, *, book: bool = True, bbo: bool = True, trades: bool = False) -> None: ...

    @abstractmethod
    def unwatch(self, coin: str) -> None: ...

    @abstractmethod
    def book(self, coin: str) -> OrderBook: ...

    @abstractmethod
    def bbo(self, coin: str) -> Bbo: ...

    @abstractmethod
    def on_book(self, coin: str, fn: Callable[[OrderBook], object], *, conflate: bool = False) -> Unsubscribe:
        """Call `fn(book)` from every frame that changed it; with `conflate` once for all frames that are at hand."""

    @abstractmethod
    def on_bbo(self, coin: str, fn: Callable[[Bbo], object], *, conflate: bool = False) -> Unsubscribe:
        """Call `fn(bbo)` when the best prices changed; with `conflate` once for all frames that are at hand."""

    @abstractmethod
    def on_trade(self, coin: str, fn: Callable[[Trade], object]) -> Unsubscribe: ...

    def top(self, coin: str) -> TopOfBook:
        """The freshest top of the book, merged from all that is watched of `coin`, and from own fills. Kept from the first
        call on. Raises `ConfigError` where a venue does not offer it."""
        raise ConfigError(f"{self.name} offers no merged top of book; use book() or bbo()")

    def on_top(self, coin: str, fn: Callable[[TopOfBook], object], *, conflate: bool = False) -> Unsubscribe:
        """Call `fn(top)` when the best price or size of a side changed, whichever frame or fill said so."""
        raise ConfigError(f"{self.name} offers no merged top of book; use on_book() or on_bbo()")

    def on(self, event_class: type, fn: Callable[[Any], object]) -> Unsubscribe:
        """Call `fn(event)` for every event of `event_class`, after those registered before. Returns its remover."""
        return self.bus.on(event_class, fn)

    def add_listener(self, listener: EventListener) -> Unsubscribe:
        """Call the methods that `listener` overrides for their events. Returns its remover."""
        return add_listener(self.bus, listener)

    # -- rules ------------------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def trading_rules(self) -> Mapping[str, TradingRule]:
        """Every instrument's rule, by the venue's name."""

    @abstractmethod
    def resolve(self, coin: str) -> TradingRule:
        """The rule of an instrument by any of its names. Raises `ConfigError` with near matches."""

    def get_trading_rule(self, coin: str) -> TradingRule:
        return self.resolve(coin)

    def get_all_trading_rules(self) -> Mapping[str, TradingRule]:
        return self.trading_rules

    def quantize_order_price(self, coin: str, price: Number, side: TradeType | None = None) -> Decimal:
        return self.resolve(coin).quantize_price(price, side)

    def quantize_order_amount(self, coin: str, amount: Number) -> Decimal:
        return self.resolve(coin).quantize_size(amount)

    # -- orders -----------------------------------------------------------------------------------------------------
    @abstractmethod
    def buy(
        self,
        coin: str | OrderParams,
        size: Number | None = None,
        price: Number | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        trigger: Trigger | None = None,
        rounding: str = "refuse",
        client_order_id: str | None = None,
        cloid: str | None = None,
        order_type: OrderType | None = None,
        position_action: PositionAction = PositionAction.NIL,
        expires_after_ms: int | None = None,
    ) -> InFlightOrder: ...

    @abstractmethod
    def sell(
        self,
        coin: str | OrderParams,
        size: Number | None = None,
        price: Number | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        trigger: Trigger | None = None,
        rounding: str = "refuse",
        client_order_id: str | None = None,
        cloid: str | None = None,
        order_type: OrderType | None = None,
        position_action: PositionAction = PositionAction.NIL,
        expires_after_ms: int | None = None,
    ) -> InFlightOrder: ...

    @abstractmethod
    def place(self, orders: Sequence[OrderParams], *, grouping: str | None = None) -> list[InFlightOrder]:
        """Several orders in as few signed actions as their kinds allow; with a `grouping` ("na", or "normalTpsl": the first
        is the entry, the others its closing triggers) in one, in the given order."""

    def set_order_gate(self, gate: Callable[[InFlightOrder], object] | None) -> None:
        """Have `gate(order)` asked about every order and changed order, after the connector's own checks and before anything is
        tracked; it raises `OrderDenied` to refuse. One at a time; None removes it. Raises `ConfigError` where none is asked."""
        if gate is not None and not self.asks_order_gate:
            raise ConfigError(f"{self.name} asks no gate, so limits of strategies cannot be kept; leave them out")
        if gate is not None and self.order_gate is not None:
            raise ConfigError("another gate is set: a connector has one group of strategies at a time")
        self.order_gate = gate

    @abstractmethod
    def modify(
        self,
        order: InFlightOrder | str | int,
        *,
        price: Number | None = None,
        size: Number | None = None,
        rounding: str = "refuse",
    ) -> bool: ...

    @abstractmethod
    def cancel(self, order: InFlightOrder | str | int) -> bool:
        """Ask for a cancel. An order is meant by itself, its client order id, its cloid or the venue's id (an int)."""

    @abstractmethod
    def cancel_all(self, coin: str | None = None) -> int: ...

    def cancel_many(self, orders: Sequence[InFlightOrder]) -> int:
        """Ask for the cancel of these orders, in as few requests as the venue allows; returns how many were asked for."""
        return sum(self.cancel(order) for order in orders)

    async def end_orders(self, orders: Sequence[InFlightOrder], timeout: float = 10.0) -> list[InFlightOrder]:
        """Ask for the cancel of `orders`, again every second, until each has ended. Returns those that had not in time."""
        tracker = self.tracker
        assert tracker.waiter_factory is not None and tracker.timer_factory is not None and tracker.waker is not None
        deadline_ns = clock.monotonic_ns() + int(timeout * 1e9)
        while left := [order for order in orders if not order.is_done]:
            seconds = (deadline_ns - clock.monotonic_ns()) / 1e9
            if seconds <= 0:
                break
            with contextlib.suppress(HlfastError):  # not connected, for example: asked again in the next round
                self.cancel_many(left)
            if all(order.is_done for order in left):
                continue
            pause = tracker.waiter_factory()
            wake = functools.partial(tracker.waker, pause, None)
            timer = tracker.timer_factory(min(seconds, CANCEL_AGAIN_SECONDS), wake)
            waiting = list(left)

            def on_event(event: OrderEvent, waiting: list[InFlightOrder] = waiting, wake: Any = wake) -> None:
                if all(order.is_done for order in waiting):
                    wake()

            remove = self.bus.on(OrderEvent, on_event)
            try:
                await pause
            finally:
                timer.cancel()
                remove()
        return left

    def get_order(self, order_id: str) -> InFlightOrder | None:
        """The order with this client order id, live or recently finished; None if there is none."""
        return self.tracker.get_order(order_id)

    async def look_up_order(self, handle: int | str) -> VenueOrder | None:
        """What the venue's record says of an order of this account, by its number there or its cloid; None if it knows none.
        Changes nothing here. Raises `NotReady` without an answer."""
        raise ConfigError(f"{self.name} offers no look-up of orders")

    def get_open_orders(self) -> list[InFlightOrder]:
        return [order for order in self.orders if order.is_fillable]

    @property
    def orders(self) -> list[InFlightOrder]:
        """Own orders that have not ended."""
        return self.tracker.active_orders

    @abstractmethod
    def generate_client_order_id(self) -> str: ...

    # -- account ----------------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def positions(self) -> Mapping[str, Position]: ...

    async def account_positions(self) -> dict[str, Decimal]:
        """Signed sizes of the open positions by the venue's own word, asked for now; by own fills where none can be asked."""
        return {coin: position.signed_size for coin, position in self.positions.items() if position.signed_lots}

    @property
    @abstractmethod
    def balances(self) -> Mapping[str, Any]: ...

    @property
    @abstractmethod
    def ledger(self) -> dict[str, Any]:
        """Cash, fees, fills and positions by own fills alone since the account's state was first read."""

    @property
    def sums(self) -> dict[str, Any]:
        """As `ledger`, without the identities of fills."""
        return {name: value for name, value in self.ledger.items() if name != "fill_keys"}

    @property
    @abstractmethod
    def counters(self) -> dict[str, int]: ...

    # -- time and measurements --------------------------------------------------------------------------------------
    @staticmethod
    def current_timestamp_ns() -> int:
        return clock.epoch_ns()

    latency = _latency
    """The recorder of the whole process: `summary()`, `text()`, `as_json()`, `prometheus()`, `worst()`, `reset()`."""

    async def __aenter__(self: _Connector) -> _Connector:
        try:
            await self.initialize()
            await self.connect()
            await self.wait_ready()
        except BaseException:
            with contextlib.suppress(OrdersLeft):  # what went wrong first is what has to be told
                await self.disconnect()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.disconnect()
