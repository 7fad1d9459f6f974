"""One class for each fact that a connector tells (layer 1, warm).

Events are immutable and are made only where somebody listens. `recv_ns` is local epoch ns on the anchored clock,
`time_ms` the venue's own ms (0 where it gave none). For one order they come in this order: created, any number of
fills, then exactly one of completed, cancelled, expired, failed; a fill after that is marked late. `OrderFailed` may
stand alone. `on(OrderEvent, fn)` hears all that happens to orders.
"""

from libc.stdint cimport int64_t

from hlfast.core.in_flight_order cimport InFlightOrder

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


cdef OrderEvent order_event(type cls, InFlightOrder order, int64_t time_ms, int64_t recv_ns, bint recovered):
    cdef OrderEvent event = cls.__new__(cls)
    event.order = order
    event.time_ms = time_ms
    event.recv_ns = recv_ns
    event.recovered = recovered
    return event


cdef class OrderEvent:
    """Base of every event about one order. `order` is the live handle: it shows the state as it is now."""

    def __init__(self):
        raise TypeError(f"{type(self).__name__} events are made by the tracker; register for them with on({type(self).__name__}, fn)")

    @property
    def client_order_id(self):
        return self.order.client_order_id

    @property
    def exchange_order_id(self):
        return self.order.exchange_order_id

    @property
    def coin(self):
        return self.order.coin

    def __repr__(self):
        return f"<{type(self).__name__} {self.order!r}>"


cdef class OrderCreated(OrderEvent):
    """The venue has the order."""


cdef class OrderStateChanged(OrderEvent):
    """The order's state changed from `old_state` to `new_state`. Both are the same where the venue has fired a trigger order."""


cdef class OrderFilled(OrderEvent):
    """A fill was booked; `fill` has price, amount, fee and liquidity."""

    @property
    def price(self):
        return self.fill.price

    @property
    def amount(self):
        return self.fill.amount


cdef class OrderCompleted(OrderEvent):
    """The whole amount is filled, and every fill has been told (unless `incomplete`)."""

    @property
    def average_price(self):
        return self.order.average_fill_price

    @property
    def total(self):
        return self.order.filled_amount


cdef class OrderCancelled(OrderEvent):
    """The order is gone from the venue. `reason`: "" for a plain cancel, `ioc_remainder`, `reduced`, or the venue's word."""


cdef class OrderFailed(OrderEvent):
    """The venue does not have the order: refused by it (`reject`), refused before sending, or proven absent."""


cdef class OrderExpired(OrderEvent):
    """The venue did not execute the order because its time had passed."""


cdef class OrderCancelRejected(OrderEvent):
    """The venue refused to cancel; the order is as before unless other news says otherwise."""


cdef class OrderModified(OrderEvent):
    """The order rests with a new price or size, under a new id of the venue."""


cdef class OrderModifyRejected(OrderEvent):
    """The venue refused to modify the order."""


@dataclass(frozen=True)
class PositionUpdate:
    """A position opened, changed or closed (size 0)."""

    coin: str
    position: Any
    recv_ns: int
    time_ms: int = 0


@dataclass(frozen=True)
class BalanceUpdate:
    asset: str
    available: Decimal
    total: Decimal
    time_ms: int = 0
    recv_ns: int = 0


@dataclass(frozen=True)
class FundingPayment:
    """Positive `amount`: received."""

    coin: str
    amount: Decimal
    rate: str
    time_ms: int
    recv_ns: int = 0


@dataclass(frozen=True)
class AssetContext:
    """An instrument's mark and oracle price and its funding rate (a fraction an hour); of those that are watched with `context`."""

    coin: str
    mark_price: Decimal
    oracle_price: Decimal
    funding_rate: Decimal
    open_interest: Decimal
    recv_ns: int = 0


@dataclass(frozen=True)
class Liquidation:
    """The venue's notice of a liquidation that concerns the account, as it was sent."""

    data: dict
    recv_ns: int = 0


@dataclass(frozen=True)
class StreamStatus:
    """A stream changed its state: DOWN, CONNECTING, SUBSCRIBING, SYNCING or LIVE; the stream "venue": a `VenueMode`."""

    stream: str
    state: str
    reason: str
    recv_ns: int = 0


@dataclass(frozen=True)
class Recovered:
    """The account agrees with the venue again after a gap. `fills` and `orders` count what no stream had told."""

    gap_ns: int
    fills: int
    orders: int
    consistent: bool
    detail: str = ""
    recv_ns: int = 0


@dataclass(frozen=True)
class ConnectorError:
    """Something went wrong that concerns no single call. `code` is ours and stable."""

    code: str
    text: str
    recv_ns: int = 0
    context: dict = field(default_factory=dict)
