"""MarketOrder: a market order as a strategy asks for it."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction


class MarketOrder(NamedTuple):
    order_id: str
    trading_pair: str
    is_buy: bool
    base_asset: str
    quote_asset: str
    amount: Decimal
    timestamp: float
    position: PositionAction = PositionAction.NIL

    @property
    def client_order_id(self) -> str:
        return self.order_id

    @property
    def quantity(self) -> Decimal:
        return self.amount

    @property
    def price(self) -> None:
        return None

    def order_type(self) -> OrderType:
        return OrderType.MARKET

    def copy_with_id(self, client_order_id: str) -> MarketOrder:
        return self._replace(order_id=client_order_id)
