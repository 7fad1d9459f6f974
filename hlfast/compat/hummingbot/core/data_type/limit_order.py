"""LimitOrder: a limit order as strategies see it. Times are microseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from hlfast import clock
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction
from hlfast.compat.hummingbot.core.event.events import LimitOrderStatus as LimitOrderStatus


@dataclass(frozen=True)
class LimitOrder:
    client_order_id: str
    trading_pair: str
    is_buy: bool
    base_currency: str
    quote_currency: str
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal = Decimal("NaN")
    creation_timestamp: int = 0
    status: LimitOrderStatus = LimitOrderStatus.UNKNOWN
    position: PositionAction = PositionAction.NIL

    def order_type(self) -> OrderType:
        return OrderType.LIMIT

    def copy_with_id(self, client_order_id: str) -> LimitOrder:
        return replace(self, client_order_id=client_order_id)

    def age(self) -> int:
        """Seconds since it was made, -1 if that is not known."""
        return self.age_til(clock.epoch_ns() // 1000)

    def age_til(self, timestamp: int) -> int:
        """Seconds from its creation to `timestamp` (µs), -1 if that is not known or lies before."""
        if self.creation_timestamp <= 0 or timestamp < self.creation_timestamp:
            return -1
        return int((timestamp - self.creation_timestamp) / 1e6)

    @classmethod
    def to_pandas(
        cls,
        limit_orders: list[LimitOrder],
        mid_price: float = 0.0,
        hanging_ids: list[str] | None = None,
        end_time_order_age: int = 0,
    ) -> Any:
        """A frame with one row an order, the dearest sell first."""
        import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]

        rows = []
        for order in sorted(limit_orders, key=lambda one: (one.is_buy, -one.price)):
            seconds = order.age_til(end_time_order_age) if end_time_order_age else order.age()
            age = "n/a" if seconds < 0 else f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
            spread = abs(float(order.price) - mid_price) / mid_price if mid_price else 0.0
            hangs = "n/a" if hanging_ids is None else "yes" if order.client_order_id in hanging_ids else "no"
            side = "buy" if order.is_buy else "sell"
            full_id = order.client_order_id
            short_id = full_id if len(full_id) <= 7 else f"...{full_id[-4:]}"
            rows.append([short_id, side, float(order.price), f"{spread:.2%}", float(order.quantity), age, hangs])
        return pandas.DataFrame(rows, columns=["Order ID", "Type", "Price", "Spread", "Amount", "Age", "Hang"])
