"""Strategy: the base of everything that trades on its own (layer 4; its hooks run where the connector's handlers run).

Derive, state parameters as dataclass fields, and override the hooks that are needed; a `StrategyRunner` registers only
the overridden ones. `on_book`, `on_bbo` and `on_trade` run inside the frame, synchronously: be quick, and read what is
needed before returning. The order hooks hear the orders of this strategy only, the position hooks its coins only.

    @dataclass(kw_only=True, eq=False)
    class Joiner(Strategy):
        size: str = "0.001"

        def on_bbo(self, bbo: Bbo) -> None:
            if not self.orders and bbo.bid_px:
                self.buy(bbo.coin, self.size, bbo.bid_px, tif="Alo")

What a strategy places with its own verbs (`buy`, `sell`, `place`) carries `order_prefix` in the client order id: that
alone says whose order it is. Orders placed on `self.connector` directly belong to nobody: no hook hears of them, and
nobody cancels them at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hlfast.core.connector_base import ConnectorBase
from hlfast.core.events import FundingPayment, OrderEvent, OrderFilled, PositionUpdate, Recovered, StreamStatus
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_ids import ClientOrderIds
from hlfast.core.updates import Trade
from hlfast.errors import OrderDenied
from hlfast.types import Number, OrderParams


@dataclass(kw_only=True, eq=False)
class Strategy:
    """Parameters (fields), hooks to override, and the verbs to trade with.

    `connector` (for books, rules, positions, `ready`) is there from `on_start` on.
    """

    coins: tuple[str, ...] = ()
    """Instruments that the runner watches, by any of their names."""
    timer_interval: float = 0.0
    """Seconds between calls of `on_timer`."""
    order_prefix: str = "hls"
    """1 to 8 letters or digits, different for each strategy on one connector."""

    connector: ConnectorBase = field(init=False, repr=False)
    log: logging.Logger = field(init=False, repr=False)
    may_trade: bool = field(init=False, repr=False, default=False)
    """Orders can be placed: set by the runner at the start, cleared after `on_stop`. Cancels are always possible."""

    def __post_init__(self) -> None:
        self.coins = tuple(self.coins)
        self.log = logging.getLogger(f"hlfast.strategy.{self.order_prefix}")
        self._ids = ClientOrderIds(self.order_prefix)

    # -- hooks ------------------------------------------------------------------------------------------------------
    def on_start(self) -> None:
        """The connector is ready, and every other hook is in place."""

    def on_stop(self) -> None:
        """The last call in which orders may be sent. What still rests afterwards is cancelled by the runner."""

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
        """The position in one of `coins` changed."""

    def on_funding(self, event: FundingPayment) -> None:
        """Funding was paid or received for one of `coins`."""

    def on_stream(self, event: StreamStatus) -> None:
        """A stream of the connector changed its state, or (`stream` "venue") the venue its mode: see `VenueMode`."""

    def on_recovered(self, event: Recovered) -> None:
        """The connector agrees with the venue again after a gap."""

    def on_timer(self, now_ns: int) -> None:
        """Every `timer_interval` seconds. `now_ns`: epoch nanoseconds."""

    # -- verbs ------------------------------------------------------------------------------------------------------
    def buy(self, coin: str, size: Number, price: Number | None = None, **options: Any) -> InFlightOrder:
        """As `ConnectorBase.buy`, with a client order id of this strategy. Raises `OrderDenied` outside start and stop."""
        client_order_id = self._next_id()
        return self.connector.buy(coin, size, price, client_order_id=client_order_id, **options)

    def sell(self, coin: str, size: Number, price: Number | None = None, **options: Any) -> InFlightOrder:
        """As `ConnectorBase.sell`, with a client order id of this strategy. Raises `OrderDenied` outside start and stop."""
        client_order_id = self._next_id()
        return self.connector.sell(coin, size, price, client_order_id=client_order_id, **options)

    def place(self, orders: Sequence[OrderParams]) -> list[InFlightOrder]:
        """Several orders under one signature, each with a client order id of this strategy."""
        named = [params.replace(client_order_id=self._next_id()) for params in orders]
        return self.connector.place(named)

    def cancel(self, order: InFlightOrder) -> bool:
        """True: the request was sent; the outcome is an event."""
        return self.connector.cancel(order)

    def owns(self, client_order_id: str) -> bool:
        """True for an order that this strategy placed, in this run or an earlier one with the same prefix."""
        return client_order_id.startswith(self.order_prefix + "-")

    @property
    def orders(self) -> list[InFlightOrder]:
        """Orders of this strategy that have not ended, a new list."""
        return [order for order in self.connector.orders if self.owns(order.client_order_id)]

    def _next_id(self) -> str:
        if not self.may_trade:
            raise OrderDenied(
                f"strategy {self.order_prefix!r} is not running; orders are placed between on_start and the end of on_stop"
            )
        return self._ids.next()
