"""Hummingbot's events: tags with their values, and one record for each. Timestamps are seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, PositionMode, PositionSide
from hlfast.compat.hummingbot.core.data_type.common import TradeType as TradeType
from hlfast.compat.hummingbot.core.data_type.order_book_row import OrderBookRow
from hlfast.compat.hummingbot.core.data_type.trade_fee import AddedToCostTradeFee as AddedToCostTradeFee
from hlfast.compat.hummingbot.core.data_type.trade_fee import DeductedFromReturnsTradeFee as DeductedFromReturnsTradeFee
from hlfast.compat.hummingbot.core.data_type.trade_fee import TokenAmount as TokenAmount
from hlfast.compat.hummingbot.core.data_type.trade_fee import TradeFeeBase as TradeFeeBase


class MarketEvent(Enum):
    ReceivedAsset = 101
    BuyOrderCompleted = 102
    SellOrderCompleted = 103
    WithdrawAsset = 105
    OrderCancelled = 106
    OrderFilled = 107
    OrderExpired = 108
    OrderUpdate = 109
    TradeUpdate = 110
    OrderFailure = 198
    TransactionFailure = 199
    BuyOrderCreated = 200
    SellOrderCreated = 201
    FundingPaymentCompleted = 202
    FundingInfo = 203
    RangePositionLiquidityAdded = 300
    RangePositionLiquidityRemoved = 301
    RangePositionUpdateFailure = 303


class OrderBookEvent(int, Enum):
    TradeEvent = 901
    OrderBookDataSourceUpdateEvent = 904


class OrderBookDataSourceEvent(int, Enum):
    SNAPSHOT_EVENT = 1001
    DIFF_EVENT = 1002
    TRADE_EVENT = 1003


class AccountEvent(Enum):
    PositionModeChangeSucceeded = 400
    PositionModeChangeFailed = 401
    BalanceEvent = 402
    PositionUpdate = 403
    MarginCall = 404
    LiquidationEvent = 405


class LimitOrderStatus(Enum):
    UNKNOWN = 0
    NEW = 1
    OPEN = 2
    CANCELING = 3
    CANCELED = 4
    COMPLETED = 5
    FAILED = 6


class MarketOrderFailureEvent(NamedTuple):
    timestamp: float
    order_id: str
    order_type: OrderType
    error_message: str | None = None
    error_type: str | None = None


@dataclass
class BuyOrderCompletedEvent:
    timestamp: float
    order_id: str
    base_asset: str
    quote_asset: str
    base_asset_amount: Decimal
    quote_asset_amount: Decimal
    order_type: OrderType
    exchange_order_id: str | None = None


@dataclass
class SellOrderCompletedEvent:
    timestamp: float
    order_id: str
    base_asset: str
    quote_asset: str
    base_asset_amount: Decimal
    quote_asset_amount: Decimal
    order_type: OrderType
    exchange_order_id: str | None = None


@dataclass
class OrderCancelledEvent:
    timestamp: float
    order_id: str
    exchange_order_id: str | None = None


class OrderExpiredEvent(NamedTuple):
    timestamp: float
    order_id: str


@dataclass
class FundingPaymentCompletedEvent:
    timestamp: float
    market: str
    trading_pair: str
    amount: Decimal
    funding_rate: Decimal


@dataclass
class PositionModeChangeEvent:
    timestamp: float
    trading_pair: str
    position_mode: PositionMode
    message: str | None = None


@dataclass
class BalanceUpdateEvent:
    timestamp: float
    asset_name: str
    total_balance: Decimal | None
    available_balance: Decimal | None


@dataclass
class PositionUpdateEvent:
    timestamp: float
    trading_pair: str
    position_side: PositionSide | None
    unrealized_pnl: Decimal | None
    entry_price: Decimal | None
    amount: Decimal | None
    leverage: Decimal | None


class OrderBookTradeEvent(NamedTuple):
    trading_pair: str
    timestamp: float
    type: TradeType
    price: Any
    amount: Any
    trade_id: str | None = None
    is_taker: bool = True


class OrderFilledEvent(NamedTuple):
    timestamp: float
    order_id: str
    trading_pair: str
    trade_type: TradeType
    order_type: OrderType
    price: Decimal
    amount: Decimal
    trade_fee: TradeFeeBase
    exchange_trade_id: str = ""
    exchange_order_id: str | None = ""
    leverage: int | None = 1
    position: str | None = PositionAction.NIL.value

    @classmethod
    def order_filled_events_from_order_book_rows(
        cls,
        timestamp: float,
        order_id: str,
        trading_pair: str,
        trade_type: TradeType,
        order_type: OrderType,
        trade_fee: TradeFeeBase,
        order_book_rows: Iterable[OrderBookRow],
        exchange_trade_id: str | None = None,
    ) -> list[OrderFilledEvent]:
        """One event a row, each with its own trade id `{id}_{index}`."""
        return [
            cls(
                timestamp,
                order_id,
                trading_pair,
                trade_type,
                order_type,
                Decimal(str(row.price)),
                Decimal(str(row.amount)),
                trade_fee,
                exchange_trade_id=f"{order_id if exchange_trade_id is None else exchange_trade_id}_{index}",
            )
            for index, row in enumerate(order_book_rows)
        ]


@dataclass
class BuyOrderCreatedEvent:
    timestamp: float
    type: OrderType
    trading_pair: str
    amount: Decimal
    price: Decimal | None
    order_id: str
    creation_timestamp: float
    exchange_order_id: str | None = None
    leverage: int | None = 1
    position: str | None = PositionAction.NIL.value


@dataclass
class SellOrderCreatedEvent:
    timestamp: float
    type: OrderType
    trading_pair: str
    amount: Decimal
    price: Decimal | None
    order_id: str
    creation_timestamp: float
    exchange_order_id: str | None = None
    leverage: int | None = 1
    position: str | None = PositionAction.NIL.value
