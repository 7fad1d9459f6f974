from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import TradeUpdate
from hlfast.errors import VenueReject
from hlfast.types import OrderState

class OrderEvent:
    order: InFlightOrder
    time_ms: int
    recv_ns: int
    recovered: bool
    @property
    def client_order_id(self) -> str: ...
    @property
    def exchange_order_id(self) -> int | None: ...
    @property
    def coin(self) -> str: ...

class OrderCreated(OrderEvent): ...

class OrderStateChanged(OrderEvent):
    old_state: OrderState
    new_state: OrderState

class OrderFilled(OrderEvent):
    fill: TradeUpdate
    is_partial: bool
    is_late: bool
    @property
    def price(self) -> Decimal: ...
    @property
    def amount(self) -> Decimal: ...

class OrderCompleted(OrderEvent):
    incomplete: bool
    @property
    def average_price(self) -> Decimal | None: ...
    @property
    def total(self) -> Decimal: ...

class OrderCancelled(OrderEvent):
    reason: str
    incomplete: bool

class OrderFailed(OrderEvent):
    reason: str
    reject: VenueReject | None

class OrderExpired(OrderEvent):
    reason: str

class OrderCancelRejected(OrderEvent):
    reason: str

class OrderModified(OrderEvent):
    old_px_e8: int
    old_lots: int

class OrderModifyRejected(OrderEvent):
    reason: str

@dataclass(frozen=True)
class PositionUpdate:
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
    coin: str
    amount: Decimal
    rate: str
    time_ms: int
    recv_ns: int = 0

@dataclass(frozen=True)
class AssetContext:
    coin: str
    mark_price: Decimal
    oracle_price: Decimal
    funding_rate: Decimal
    open_interest: Decimal
    recv_ns: int = 0

@dataclass(frozen=True)
class Liquidation:
    data: dict[str, Any]
    recv_ns: int = 0

@dataclass(frozen=True)
class StreamStatus:
    stream: str
    state: str
    reason: str
    recv_ns: int = 0

@dataclass(frozen=True)
class Recovered:
    gap_ns: int
    fills: int
    orders: int
    consistent: bool
    detail: str = ""
    recv_ns: int = 0

@dataclass(frozen=True)
class ConnectorError:
    code: str
    text: str
    recv_ns: int = 0
    context: dict[str, Any] = field(default_factory=dict)
