from collections.abc import Awaitable
from decimal import Decimal

from hlfast.core.updates import TradeUpdate
from hlfast.errors import VenueReject
from hlfast.types import Number, OrderState, OrderType, PositionAction, TradeType, Trigger

TRANSITIONS: tuple[str, ...]

def transition(state: OrderState, new_state: OrderState) -> str: ...

class InFlightOrder:
    client_order_id: str
    cloid: str | None
    coin: str
    trading_pair: str
    asset: int
    sz_decimals: int
    is_buy: bool
    reduce_only: bool
    is_external: bool
    tif: str
    order_type: OrderType
    position_action: PositionAction
    px_e8: int
    trigger_px_e8: int
    trigger: Trigger | None
    lots: int
    nonce: int
    expires_after_ms: int
    leverage: int
    strategy: str | None
    unresolved: bool
    query_due: bool
    modify_pending: bool
    modify_doubted: bool
    modify_nonce: int
    was_created: bool
    filled_lots: int
    reason: str
    reject: VenueReject | None
    created_ns: int
    updated_ns: int
    sent_ns: int
    time_ms: int
    end_time_ms: int
    def __init__(
        self,
        *,
        client_order_id: str,
        coin: str,
        trade_type: TradeType,
        amount: Number,
        price: Number | None = None,
        cloid: str | None = None,
        trading_pair: str | None = None,
        asset: int = 0,
        sz_decimals: int = 8,
        tif: str = "Gtc",
        reduce_only: bool = False,
        order_type: OrderType = ...,
        position_action: PositionAction = ...,
        leverage: int = 0,
        trigger_price: Number | None = None,
        exchange_order_id: int | None = None,
        is_external: bool = False,
        creation_ns: int | None = None,
        strategy: str | None = None,
    ) -> None: ...
    def accepted(self) -> Awaitable[bool]: ...
    def done(self) -> Awaitable[OrderState]: ...
    @property
    def state(self) -> OrderState: ...
    @property
    def current_state(self) -> OrderState: ...
    @property
    def exchange_order_id(self) -> int | None: ...
    @property
    def exchange_order_ids(self) -> tuple[int, ...]: ...
    @property
    def trade_type(self) -> TradeType: ...
    @property
    def side(self) -> str: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def trigger_price(self) -> Decimal | None: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def filled_amount(self) -> Decimal: ...
    @property
    def effective_amount(self) -> Decimal: ...
    @property
    def remaining_lots(self) -> int: ...
    @property
    def remaining_amount(self) -> Decimal: ...
    @property
    def quote_amount(self) -> Decimal: ...
    @property
    def average_fill_price(self) -> Decimal | None: ...
    @property
    def fills(self) -> tuple[TradeUpdate, ...]: ...
    @property
    def fees(self) -> dict[str, Decimal]: ...
    @property
    def is_done(self) -> bool: ...
    @property
    def is_active(self) -> bool: ...
    @property
    def is_fillable(self) -> bool: ...
    @property
    def can_receive_fills(self) -> bool: ...
    def snapshot(self) -> InFlightOrder: ...
