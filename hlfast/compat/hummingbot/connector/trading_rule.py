"""TradingRule with Hummingbot's fields, made from the core's rule of an instrument."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hlfast.core.trading_rule import TradingRule as CoreRule

s_decimal_0 = Decimal(0)
s_decimal_max = Decimal("1e56")
s_decimal_min = 1 / s_decimal_max


@dataclass
class TradingRule:
    """All amounts are `Decimal` and mean what their names say; collateral is the pair's quote unless given."""

    trading_pair: str
    min_order_size: Decimal = s_decimal_0
    max_order_size: Decimal = s_decimal_max
    min_price_increment: Decimal = s_decimal_min
    min_base_amount_increment: Decimal = s_decimal_min
    min_quote_amount_increment: Decimal = s_decimal_min
    min_notional_size: Decimal = s_decimal_0
    min_order_value: Decimal = s_decimal_0
    max_price_significant_digits: Decimal = s_decimal_max
    supports_limit_orders: bool = True
    supports_market_orders: bool = True
    buy_order_collateral_token: str | None = None
    sell_order_collateral_token: str | None = None

    def __post_init__(self) -> None:
        quote = self.trading_pair.rpartition("-")[2]
        self.buy_order_collateral_token = self.buy_order_collateral_token or quote
        self.sell_order_collateral_token = self.sell_order_collateral_token or quote

    @classmethod
    def from_core(cls, rule: CoreRule, trading_pair: str) -> TradingRule:
        """From the instrument's decimals alone, never from its prices."""
        step = Decimal(1).scaleb(-rule.sz_decimals)
        return cls(
            trading_pair,
            min_order_size=step,
            min_base_amount_increment=step,
            min_price_increment=Decimal(1).scaleb(-rule.price_decimals),
            max_price_significant_digits=Decimal(rule.significant_figures),
            min_notional_size=rule.min_notional,
        )
