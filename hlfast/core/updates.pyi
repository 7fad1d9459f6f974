from decimal import Decimal

from hlfast.types import Number, TradeType

class OrderUpdate:
    client_order_id: str | None
    cloid: str | None
    oid: int
    coin: str
    new_state: int
    status: str
    side: str
    px_e8: int
    lots: int
    orig_lots: int
    time_ms: int
    recv_ns: int
    reason: str
    recovered: bool
    def __init__(
        self,
        *,
        client_order_id: str | None = None,
        cloid: str | None = None,
        exchange_order_id: int | None = None,
        coin: str = "",
        new_state: int = -1,
        status: str = "",
        side: str = "",
        px_e8: int = 0,
        lots: int = -1,
        orig_lots: int = -1,
        time_ms: int = 0,
        recv_ns: int = 0,
        reason: str = "",
        recovered: bool = False,
    ) -> None: ...
    def as_recovered(self) -> OrderUpdate: ...
    @property
    def exchange_order_id(self) -> int | None: ...

class TradeUpdate:
    coin: str
    tid: int
    oid: int
    cloid: str | None
    px_e8: int
    lots: int
    size_text: str
    sz_decimals: int
    is_buy: bool
    is_taker: bool
    fee_e8: int
    fee_exact: Decimal | None
    fee_token: str
    closed_pnl_e8: int
    start_lots: int
    direction: str
    time_ms: int
    recv_ns: int
    recovered: bool
    def __init__(
        self,
        *,
        coin: str,
        tid: int,
        exchange_order_id: int | None = None,
        cloid: str | None = None,
        price: Number,
        amount: Number,
        sz_decimals: int = 8,
        is_buy: bool,
        is_taker: bool = True,
        fee: Number = 0,
        fee_token: str = "USDC",
        closed_pnl: Number = 0,
        start_position: Number | None = None,
        direction: str = "",
        time_ms: int = 0,
        recv_ns: int = 0,
        recovered: bool = False,
    ) -> None: ...
    def as_recovered(self) -> TradeUpdate: ...
    @property
    def key(self) -> tuple[str, int, int, int]: ...
    @property
    def trade_id(self) -> int: ...
    @property
    def exchange_order_id(self) -> int | None: ...
    @property
    def trade_type(self) -> TradeType: ...
    @property
    def liquidity(self) -> str: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def quote_amount(self) -> Decimal: ...
    @property
    def fee(self) -> Decimal: ...
    @property
    def closed_pnl(self) -> Decimal: ...
    @property
    def start_position(self) -> Decimal | None: ...

class Trade:
    coin: str
    px_e8: int
    lots: int
    sz_decimals: int
    is_buy: bool
    tid: int
    time_ms: int
    recv_ns: int
    buyer: str
    seller: str
    def __init__(
        self,
        *,
        coin: str,
        price: Number,
        amount: Number,
        sz_decimals: int = 8,
        is_buy: bool,
        tid: int = 0,
        time_ms: int = 0,
        recv_ns: int = 0,
        buyer: str = "",
        seller: str = "",
    ) -> None: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def amount(self) -> Decimal: ...
    @property
    def side(self) -> str: ...
