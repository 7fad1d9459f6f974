"""OrderCandidate: an order that is thought of. Budget checks are not offered here (see the connector's `budget_checker`)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from hlfast.compat.hummingbot.core.data_type.common import OrderType, TradeType


@dataclass
class OrderCandidate:
    trading_pair: str
    is_maker: bool
    order_type: OrderType
    order_side: TradeType
    amount: Decimal
    price: Decimal
    from_total_balances: bool = True


@dataclass
class PerpetualOrderCandidate(OrderCandidate):
    leverage: Decimal = Decimal(1)
    position_close: bool = False
