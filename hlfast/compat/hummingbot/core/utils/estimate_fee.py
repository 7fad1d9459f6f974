"""Fees from a schema: what an order would cost."""

from __future__ import annotations

from decimal import Decimal

from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, TradeType
from hlfast.compat.hummingbot.core.data_type.trade_fee import TradeFeeBase, TradeFeeSchema

HYPERLIQUID_FEES = {
    "hyperliquid": TradeFeeSchema(
        maker_percent_fee_decimal=Decimal("0.0004"), taker_percent_fee_decimal=Decimal("0.0007")
    ),
    "hyperliquid_perpetual": TradeFeeSchema(
        maker_percent_fee_decimal=Decimal("0.00015"), taker_percent_fee_decimal=Decimal("0.00045")
    ),
}
"""The venue's lowest tier, until the account's own rates are known."""


def schema_of(exchange: str) -> TradeFeeSchema:
    """The schema of a connector's name, with or without `_testnet`."""
    found = HYPERLIQUID_FEES.get(exchange.removesuffix("_testnet"))
    if found is None:
        raise ValueError(f"no fee schema of {exchange!r}; known: {', '.join(HYPERLIQUID_FEES)}")
    return found


def build_trade_fee(
    exchange: str,
    is_maker: bool,
    base_currency: str,
    quote_currency: str,
    order_type: OrderType,
    order_side: TradeType,
    amount: Decimal,
    price: Decimal = Decimal("NaN"),
    extra_flat_fees: list[object] | None = None,
    fee_schema: TradeFeeSchema | None = None,
) -> TradeFeeBase:
    schema = fee_schema or schema_of(exchange)
    percent = schema.maker_percent_fee_decimal if is_maker else schema.taker_percent_fee_decimal
    flat = list(schema.maker_fixed_fees if is_maker else schema.taker_fixed_fees)
    return TradeFeeBase.new_spot_fee(
        schema,
        order_side,
        percent,
        schema.percent_fee_token,
        [*flat, *(extra_flat_fees or [])],  # type: ignore[list-item]
    )


def build_perpetual_trade_fee(
    exchange: str,
    is_maker: bool,
    position_action: PositionAction,
    base_currency: str,
    quote_currency: str,
    order_type: OrderType,
    order_side: TradeType,
    amount: Decimal,
    price: Decimal = Decimal("NaN"),
    fee_schema: TradeFeeSchema | None = None,
) -> TradeFeeBase:
    schema = fee_schema or schema_of(exchange)
    percent = schema.maker_percent_fee_decimal if is_maker else schema.taker_percent_fee_decimal
    flat = list(schema.maker_fixed_fees if is_maker else schema.taker_fixed_fees)
    return TradeFeeBase.new_perpetual_fee(schema, position_action, percent, schema.percent_fee_token, flat)


def estimate_fee(exchange: str, is_maker: bool) -> TradeFeeBase:
    """The percentage of a venue, as a fee of a BUY."""
    schema = schema_of(exchange)
    percent = schema.maker_percent_fee_decimal if is_maker else schema.taker_percent_fee_decimal
    return TradeFeeBase.new_spot_fee(schema, TradeType.BUY, percent, schema.percent_fee_token)
