"""Enums and small frozen records (layer 0): the words that every layer shares.

Prices are int64 scaled by 1e8 (`_e8`), sizes are int64 in lots of 10^-sz_decimals (`_lots`) inside the library;
`Decimal`, text, int and float are accepted at the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from typing import TypeAlias

Number: TypeAlias = str | int | float | Decimal
"""What is accepted for a price or size. A float is read by its shortest decimal text."""


class _Named(Enum):
    def __str__(self) -> str:
        return self.name


class ConnectorType(_Named):
    SPOT = "SPOT"
    DERIVATIVE_PERPETUAL = "DERIVATIVE_PERPETUAL"
    DERIVATIVE_FUTURES = "DERIVATIVE_FUTURES"
    AMM_DEX = "AMM_DEX"
    ORDERBOOK_DEX = "ORDERBOOK_DEX"


class OrderType(_Named):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LIMIT = "STOP_LIMIT"
    STOP_MARKET = "STOP_MARKET"

    @property
    def is_limit_type(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.STOP_LIMIT)

    @property
    def is_market_type(self) -> bool:
        return self in (OrderType.MARKET, OrderType.STOP_MARKET)


class TradeType(_Named):
    BUY = "BUY"
    SELL = "SELL"


class PositionAction(_Named):
    NIL = "NIL"
    OPEN = "OPEN"
    CLOSE = "CLOSE"


class PositionSide(_Named):
    LONG = "LONG"
    SHORT = "SHORT"
    BOTH = "BOTH"


class PositionMode(_Named):
    ONE_WAY = "ONE_WAY"
    HEDGE = "HEDGE"


class OrderState(IntEnum):
    """The nine states, in the order of the transition table's columns."""

    PENDING_CREATE = 0
    PENDING_SUBMIT = 1
    OPEN = 2
    PARTIALLY_FILLED = 3
    FILLED = 4
    PENDING_CANCEL = 5
    CANCELLED = 6
    FAILED = 7
    EXPIRED = 8

    def __str__(self) -> str:
        return self.name

    @property
    def is_done(self) -> bool:
        return self in (OrderState.FILLED, OrderState.CANCELLED, OrderState.FAILED, OrderState.EXPIRED)


class EventType(_Named):
    """The plan's names of order events, as `ClientOrderTracker.set_event_callback` hands them out."""

    ORDER_CREATED = "ORDER_CREATED"
    ORDER_UPDATE = "ORDER_UPDATE"
    ORDER_PARTIALLY_FILLED = "ORDER_PARTIALLY_FILLED"
    ORDER_FILLED = "ORDER_FILLED"
    ORDER_COMPLETED = "ORDER_COMPLETED"
    ORDER_CANCELLED = "ORDER_CANCELLED"
    ORDER_EXPIRED = "ORDER_EXPIRED"
    ORDER_FAILED = "ORDER_FAILED"
    ORDER_MODIFIED = "ORDER_MODIFIED"


class StreamState(_Named):
    """Life of one stream: every change is a `StreamStatus` event."""

    DOWN = "DOWN"
    CONNECTING = "CONNECTING"
    SUBSCRIBING = "SUBSCRIBING"
    SYNCING = "SYNCING"
    LIVE = "LIVE"


class VenueMode(_Named):
    """What the venue as a whole takes at the moment: every change is a `StreamStatus` event of the stream "venue"."""

    NORMAL = "NORMAL"
    POST_ONLY = "POST_ONLY"
    """After an upgrade: only post-only (Alo) orders and cancels are taken."""
    RESTRICTED = "RESTRICTED"
    """Another special status; the event's reason has the venue's words."""
    UNAVAILABLE = "UNAVAILABLE"
    """Its gateway answers 5xx: an upgrade or maintenance."""


@dataclass(frozen=True)
class Trigger:
    """Makes an order wait for the mark price. `kind`: "sl" (stop) or "tp" (take profit)."""

    price: Number
    is_market: bool = True
    kind: str = "sl"


from hlfast.order_params import OrderParams as OrderParams  # noqa: E402  (it needs the enums above)
