from decimal import Decimal

from hlfast.types import Number, TradeType

class TradingRule:
    coin: str
    trading_pair: str
    asset: int
    sz_decimals: int
    price_decimals: int
    significant_figures: int
    tick_e8: int
    step_lots: int
    min_lots: int
    max_lots: int
    min_price_e8: int
    max_price_e8: int
    min_notional_e8: int
    max_leverage: int
    max_open_orders: int
    is_perpetual: bool
    is_delisted: bool
    supports_post_only: bool
    supports_market: bool
    supports_stop: bool
    only_isolated: bool
    collateral: str
    def __init__(
        self,
        coin: str,
        *,
        sz_decimals: int | None = None,
        trading_pair: str | None = None,
        asset: int = 0,
        price_decimals: int | None = None,
        significant_figures: int = 5,
        tick: Number | None = None,
        step: Number | None = None,
        min_size: Number = 0,
        max_size: Number = 0,
        min_price: Number = 0,
        max_price: Number = 0,
        min_notional: Number = "10",
        max_leverage: int = 1,
        max_open_orders: int = 1000,
        is_perpetual: bool = True,
        is_delisted: bool = False,
        supports_post_only: bool = True,
        supports_market: bool = True,
        supports_stop: bool = True,
        only_isolated: bool = False,
        collateral: str = "USDC",
    ) -> None: ...
    def quantize_price(self, price: Number, side: TradeType | str | None = None) -> Decimal: ...
    def quantize_size(self, size: Number, mode: str = "down") -> Decimal: ...
    def price_e8(self, price: Number, side: TradeType | str | None = None, rounding: str = "refuse") -> int: ...
    def lots(self, size: Number, rounding: str = "refuse") -> int: ...
    def is_valid_price(self, price: Number) -> bool: ...
    def is_valid_size(self, size: Number) -> bool: ...
    def tick_at(self, price: Number) -> Decimal: ...
    def validate_order(self, price: Number, size: Number, *, reduce_only: bool = False) -> str: ...
    @property
    def is_trading_enabled(self) -> bool: ...
    @property
    def tick_size(self) -> Decimal: ...
    @property
    def step_size(self) -> Decimal: ...
    @property
    def min_size(self) -> Decimal: ...
    @property
    def max_size(self) -> Decimal: ...
    @property
    def min_price(self) -> Decimal: ...
    @property
    def max_price(self) -> Decimal: ...
    @property
    def min_notional(self) -> Decimal: ...
