"""Strategy: the base of everything that trades on its own (layer 4; its hooks run where the connector's handlers run).

Derive, state parameters as dataclass fields, and override the hooks that are needed; only the overridden ones are
registered. `on_book`, `on_bbo` and `on_trade` run inside the frame, synchronously: be quick, and read what is needed
before returning. The order hooks hear the orders of this strategy only, the position hooks its coins only.

    @dataclass(kw_only=True, eq=False)
    class Joiner(Strategy):
        size: Number = parameter("0.001", unit="coins", above=0)

        def on_bbo(self, bbo: Bbo) -> None:
            if not self.orders and bbo.bid_px:
                self.buy(bbo.coin, self.size, bbo.bid_px, tif="Alo")

What a strategy places with its own verbs (`buy`, `sell`, `place`) carries `order_prefix` in the client order id and a tag
made of it in the cloid: these say whose order it is, also after a restart and for fills that come late. Orders placed on
`self.connector` directly belong to nobody: no hook hears of them, and nobody cancels them at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import TYPE_CHECKING, Any

from hlfast.config import RiskLimits
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.events import FundingPayment, OrderEvent, OrderFilled, PositionUpdate, Recovered, StreamStatus
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_ids import ClientOrderIds, Cloids
from hlfast.core.position import Position
from hlfast.core.updates import Trade
from hlfast.engine.parameters import check, fields_of, parameter
from hlfast.errors import ConfigError, OrderDenied
from hlfast.types import Number, OrderParams

if TYPE_CHECKING:
    from hlfast.engine.strategy_account import StrategyAccount

TAKEN_PREFIXES = ("hl", "external", "paper", "manual")
"""Of orders that no strategy placed, and of their figures."""


@dataclass(kw_only=True, eq=False)
class Strategy:
    """Parameters (fields), hooks to override, and the verbs to trade with.

    `connector` (for books, rules, positions, `ready`) is there from `on_start` on.
    """

    coins: tuple[str, ...] = ()
    """Instruments that the runner watches, by any of their names."""
    timer_interval: float = parameter(0.0, unit="s", at_least=0)
    """Seconds between calls of `on_timer`."""
    order_prefix: str = ""
    """The strategy's name: 1 to 8 letters or digits, different for each on one account, and the same after a restart. Empty:
    the first letters of the class's name."""
    limits: RiskLimits = field(default_factory=RiskLimits)
    """Local limits of this strategy's orders, beside those of the account. They need a `StrategyGroup` (`hlfast run` has one)."""

    connector: ConnectorBase = field(init=False, repr=False)
    account: StrategyAccount | None = field(init=False, repr=False, default=None)
    """Its own positions and money, where a `StrategyGroup` runs it."""
    log: logging.Logger = field(init=False, repr=False)
    may_trade: bool = field(init=False, repr=False, default=False)
    """Orders can be placed: set by the runner at the start, cleared after `on_stop`. Cancels are always possible."""

    def __post_init__(self) -> None:
        if isinstance(self.coins, str):
            raise ConfigError(
                f"{type(self).__name__}.coins: got {self.coins!r}, expected a list; give for example coins=('BTC',)"
            )
        self.coins = tuple(self.coins)
        kind = type(self)
        if "__dataclass_fields__" not in vars(kind) and (given := [n for n in fields_of(kind) if n in vars(kind)]):
            raise ConfigError(
                f"{kind.__name__} gives {', '.join(given)} and is no dataclass, so that would be ignored; put "
                "@dataclass(kw_only=True, eq=False) above the class"
            )
        check(self)
        self.order_prefix = self.order_prefix or prefix_of(type(self).__name__)
        if self.order_prefix in TAKEN_PREFIXES:
            raise ConfigError(
                f"order_prefix {self.order_prefix!r} means orders that no strategy placed; take another one, 1 to 8 letters or digits"
            )
        self.log = logging.getLogger(f"hlfast.strategy.{self.order_prefix}")
        self.__ids = ClientOrderIds(self.order_prefix)
        self.__cloids = Cloids(cloid_tag(self.order_prefix))

    # -- hooks ------------------------------------------------------------------------------------------------------
    def on_start(self) -> None:
        """The connector is ready, and every other hook is in place. `orders` holds what an earlier run left."""

    def on_stop(self) -> Awaitable[None] | None:
        """The last call in which orders may be sent. What still rests afterwards is cancelled by the runner. It may be a coroutine
        function: it is awaited, for half of what the stop may take, while the order hooks go on and market hooks have ended."""
        return None

    def on_book(self, book: OrderBook) -> None:
        """A book of `coins` changed. `book` is a view: `book.snapshot()` outlives the call."""

    def on_bbo(self, bbo: Bbo) -> None:
        """The best prices of one of `coins` changed."""

    def on_trade(self, trade: Trade) -> None:
        """Somebody traded in one of `coins`."""

    def on_order(self, event: OrderEvent) -> None:
        """Anything that happened to an order of this strategy: created, filled, ended, a refused cancel."""

    def on_fill(self, event: OrderFilled) -> None:
        """A fill of an order of this strategy, told once."""

    def on_position(self, event: PositionUpdate) -> None:
        """The position in one of `coins` changed: this strategy's own in a `StrategyGroup`, else the account's."""

    def on_funding(self, event: FundingPayment) -> None:
        """Funding was paid or received for one of `coins`: this strategy's share in a `StrategyGroup`, else the account's."""

    def on_stream(self, event: StreamStatus) -> None:
        """A stream of the connector changed its state, or (`stream` "venue") the venue its mode: see `VenueMode`."""

    def on_recovered(self, event: Recovered) -> None:
        """The connector agrees with the venue again after a gap."""

    def on_timer(self, now_ns: int) -> None:
        """Every `timer_interval` seconds. `now_ns`: epoch nanoseconds."""

    # -- verbs ------------------------------------------------------------------------------------------------------
    def buy(self, coin: str, size: Number, price: Number | None = None, **options: Any) -> InFlightOrder:
        """As `ConnectorBase.buy`, with names of this strategy. Raises `OrderDenied` outside start and stop or over a limit."""
        return self.__send("buy", coin, size, price, options)

    def sell(self, coin: str, size: Number, price: Number | None = None, **options: Any) -> InFlightOrder:
        """As `ConnectorBase.sell`, with names of this strategy. Raises `OrderDenied` outside start and stop or over a limit."""
        return self.__send("sell", coin, size, price, options)

    def place(self, orders: Sequence[OrderParams]) -> list[InFlightOrder]:
        """Several orders under one signature, each with names of this strategy."""
        named = [
            params.replace(client_order_id=self.__next_id(), cloid=params.cloid or self.__cloids.next())
            for params in orders
        ]
        try:
            return self.connector.place(named)
        except BaseException:
            self.__forget(*(params.client_order_id or "" for params in named))
            raise

    def modify(
        self, order: InFlightOrder, *, price: Number | None = None, size: Number | None = None, rounding: str = "refuse"
    ) -> bool:
        """As `ConnectorBase.modify`: True if the request was sent. Raises `OrderDenied` outside start and stop or over a limit."""
        self.__check_running()
        sent = False
        try:
            sent = self.connector.modify(order, price=price, size=size, rounding=rounding)
        finally:
            if not sent and self.account is not None:
                self.account.forget_change(order.client_order_id)
        return sent

    def cancel(self, order: InFlightOrder) -> bool:
        """True: the request was sent; the outcome is an event."""
        return self.connector.cancel(order)

    # -- what is its own --------------------------------------------------------------------------------------------
    def owns(self, client_order_id: str) -> bool:
        """True for the id of an order that this strategy placed, in this run or an earlier one with the same prefix."""
        return client_order_id.startswith(self.order_prefix + "-")

    def owns_order(self, order: InFlightOrder) -> bool:
        """True for an order that this strategy placed, also one that is known by its cloid alone (an earlier run without a journal)."""
        return self.owns(order.client_order_id) or (order.is_external and self.__cloids.is_own(order.cloid or ""))

    @property
    def orders(self) -> list[InFlightOrder]:
        """Orders of this strategy that have not ended, a new list."""
        own = [order for order in self.connector.orders if self.owns(order.client_order_id)]
        return own + [order for order in self.connector.tracker.external_orders if self.owns_order(order)]

    def position(self, coin: str) -> Position | None:
        """Its position in `coin` (the venue's name): by its own fills in a `StrategyGroup`, else the account's."""
        held = self.connector.positions if self.account is None else self.account.positions
        return held.get(coin)

    def position_lots(self, coin: str) -> int:
        """Its signed position in lots; 0 for none."""
        found = self.position(coin)
        return found.signed_lots if found is not None else 0

    # -- names (mangled: whoever derives may call things as they like) ------------------------------------------------
    def __send(
        self, verb: Any, coin: str, size: Number, price: Number | None, options: dict[str, Any]
    ) -> InFlightOrder:
        client_order_id = self.__next_id()
        if "cloid" not in options:
            options["cloid"] = self.__cloids.next()
        try:
            order: InFlightOrder = getattr(self.connector, verb)(
                coin, size, price, client_order_id=client_order_id, **options
            )
        except BaseException:
            self.__forget(client_order_id)
            raise
        return order

    def __next_id(self) -> str:
        self.__check_running()
        return self.__ids.next()

    def __check_running(self) -> None:
        if not self.may_trade:
            raise OrderDenied(
                f"strategy {self.order_prefix!r} is not running; orders are placed between on_start and the end of on_stop"
            )

    def __forget(self, *client_order_ids: str) -> None:
        """What was reserved for orders that were refused after all."""
        if self.account is not None:
            self.account.forget(client_order_ids)


def prefix_of(name: str) -> str:
    """A prefix made of a class's name."""
    return "".join(c for c in name.lower() if c.isascii() and c.isalnum())[:8] or "strategy"


def cloid_tag(prefix: str) -> str:
    """The first 8 digits of every cloid of the strategy with this prefix: the same in each run."""
    return blake2s(prefix.encode(), digest_size=4).hexdigest()
