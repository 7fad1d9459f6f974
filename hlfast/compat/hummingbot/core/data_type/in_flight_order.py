"""InFlightOrder, OrderUpdate and TradeUpdate: the permissive records that Hummingbot's code and tests write to.

An order here holds the very Decimals that it was given. Which change of state is allowed is not decided here: that is
the tracker's, by the core's table.
"""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from hlfast.compat.hummingbot.connector.utils import split_hb_trading_pair
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, TradeType
from hlfast.compat.hummingbot.core.data_type.limit_order import LimitOrder
from hlfast.compat.hummingbot.core.data_type.trade_fee import TradeFeeBase
from hlfast.compat.hummingbot.logger import logger_for

s_decimal_0 = Decimal(0)
GET_EX_ORDER_ID_TIMEOUT: float = 10
_DUST = Decimal("1e-8")

_Order = TypeVar("_Order", bound="InFlightOrder")


class OrderState(Enum):
    PENDING_CREATE = 0
    OPEN = 1
    PENDING_CANCEL = 2
    CANCELED = 3
    PARTIALLY_FILLED = 4
    FILLED = 5
    FAILED = 6
    PENDING_APPROVAL = 7
    APPROVED = 8
    CREATED = 9
    COMPLETED = 10


_OPEN = frozenset((OrderState.PENDING_CREATE, OrderState.OPEN, OrderState.PARTIALLY_FILLED, OrderState.PENDING_CANCEL))
_DONE = frozenset((OrderState.CANCELED, OrderState.FILLED, OrderState.FAILED))


class OrderUpdate(NamedTuple):
    trading_pair: str
    update_timestamp: float
    new_state: OrderState
    client_order_id: str | None = None
    exchange_order_id: str | None = None
    misc_updates: dict[str, Any] | None = None


class TradeUpdate(NamedTuple):
    trade_id: Any
    client_order_id: str
    exchange_order_id: str
    trading_pair: str
    fill_timestamp: float
    fill_price: Decimal
    fill_base_amount: Decimal
    fill_quote_amount: Decimal
    fee: TradeFeeBase
    is_taker: bool = True

    @property
    def fee_asset(self) -> str | None:
        return self.fee.fee_asset

    def to_json(self) -> dict[str, Any]:
        return {
            **self._asdict(),
            "fill_price": str(self.fill_price),
            "fill_base_amount": str(self.fill_base_amount),
            "fill_quote_amount": str(self.fill_quote_amount),
            "fee": self.fee.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TradeUpdate:
        return cls(
            trade_id=data["trade_id"],
            client_order_id=data["client_order_id"],
            exchange_order_id=data["exchange_order_id"],
            trading_pair=data["trading_pair"],
            fill_timestamp=data["fill_timestamp"],
            fill_price=Decimal(data["fill_price"]),
            fill_base_amount=Decimal(data["fill_base_amount"]),
            fill_quote_amount=Decimal(data["fill_quote_amount"]),
            fee=TradeFeeBase.from_json(data["fee"]),
            is_taker=data.get("is_taker", True),
        )


class InFlightOrder:
    """One order. `fills_incomplete`: its end was told before all of its fills had arrived (ours; False upstream)."""

    def __init__(
        self,
        client_order_id: str,
        trading_pair: str,
        order_type: OrderType,
        trade_type: TradeType,
        amount: Decimal,
        creation_timestamp: float,
        price: Decimal | None = None,
        exchange_order_id: str | None = None,
        initial_state: OrderState = OrderState.PENDING_CREATE,
        leverage: int = 1,
        position: PositionAction = PositionAction.NIL,
    ) -> None:
        self.client_order_id = client_order_id
        self.trading_pair = trading_pair
        self.order_type = order_type
        self.trade_type = trade_type
        self.amount = amount
        self.creation_timestamp = creation_timestamp
        self.price = price
        self.exchange_order_id = exchange_order_id
        self.current_state = initial_state
        self.leverage = leverage
        self.position = position
        self.executed_amount_base = s_decimal_0
        self.executed_amount_quote = s_decimal_0
        self.last_update_timestamp: float = creation_timestamp
        self.order_fills: dict[Any, TradeUpdate] = {}
        self.fills_incomplete = False
        self.exchange_order_id_update_event = asyncio.Event()
        self.completely_filled_event = asyncio.Event()
        self.processed_by_exchange_event = asyncio.Event()
        if exchange_order_id is not None:
            self.exchange_order_id_update_event.set()
        self.check_processed_by_exchange_condition()

    @property
    def attributes(self) -> tuple[Any, ...]:
        return (
            self.client_order_id,
            self.trading_pair,
            self.order_type,
            self.trade_type,
            self.price,
            self.amount,
            self.exchange_order_id,
            self.current_state,
            self.leverage,
            self.position,
            self.executed_amount_base,
            self.executed_amount_quote,
            self.creation_timestamp,
            self.last_update_timestamp,
        )

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, InFlightOrder) and self.attributes == other.attributes

    __hash__ = None  # type: ignore[assignment]  # a mutable record, as upstream

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.attributes}"

    # -- questions --------------------------------------------------------------------------------------------------
    @property
    def base_asset(self) -> str:
        return split_hb_trading_pair(self.trading_pair)[0]

    @property
    def quote_asset(self) -> str:
        return split_hb_trading_pair(self.trading_pair)[1]

    @property
    def is_pending_create(self) -> bool:
        return self.current_state is OrderState.PENDING_CREATE

    @property
    def is_pending_cancel_confirmation(self) -> bool:
        return self.current_state is OrderState.PENDING_CANCEL

    @property
    def is_open(self) -> bool:
        return self.current_state in _OPEN

    @property
    def is_failure(self) -> bool:
        return self.current_state is OrderState.FAILED

    @property
    def is_cancelled(self) -> bool:
        return self.current_state is OrderState.CANCELED

    @property
    def _is_executed(self) -> bool:
        return self.executed_amount_base >= self.amount or math.isclose(self.executed_amount_base, self.amount)

    @property
    def is_done(self) -> bool:
        return self.current_state in _DONE or self._is_executed

    @property
    def is_filled(self) -> bool:
        return self.current_state is OrderState.FILLED or (self.amount != s_decimal_0 and self._is_executed)

    @property
    def average_executed_price(self) -> Decimal | None:
        base = sum((fill.fill_base_amount for fill in self.order_fills.values()), s_decimal_0)
        quote = sum((fill.fill_price * fill.fill_base_amount for fill in self.order_fills.values()), s_decimal_0)
        return quote / base if base and quote else None

    def cumulative_fee_paid(self, token: str, rate_source: Any = None) -> Decimal:
        """All fees in `token`. What cannot be converted is logged and left out, with all fees after it."""
        total = s_decimal_0
        for fill in self.order_fills.values():
            try:
                total += fill.fee.fee_amount_in_token(
                    trading_pair=self.trading_pair,
                    price=fill.fill_price,
                    order_amount=fill.fill_base_amount,
                    token=token,
                    rate_source=rate_source,
                )
            except Exception as error:
                self.logger().error(f"Error calculating fee paid: {error}", exc_info=True)
                break
        return total

    @classmethod
    def logger(cls) -> Any:
        return logger_for(InFlightOrder)

    # -- changes ----------------------------------------------------------------------------------------------------
    def update_exchange_order_id(self, exchange_order_id: str) -> None:
        self.exchange_order_id = exchange_order_id
        self.exchange_order_id_update_event.set()

    async def get_exchange_order_id(self) -> str | None:
        """The venue's id, waited for `GET_EX_ORDER_ID_TIMEOUT` seconds at most, then `asyncio.TimeoutError`."""
        if self.exchange_order_id is None:
            await asyncio.wait_for(self.exchange_order_id_update_event.wait(), GET_EX_ORDER_ID_TIMEOUT)
        return self.exchange_order_id

    def _is_about_this(self, client_order_id: str | None, exchange_order_id: str | None) -> bool:
        return client_order_id == self.client_order_id or exchange_order_id == self.exchange_order_id

    def update_with_order_update(self, order_update: OrderUpdate) -> bool:
        """Take state and, if it was not known, the venue's id. True if either changed."""
        if not self._is_about_this(order_update.client_order_id, order_update.exchange_order_id):
            return False
        before = self.exchange_order_id, self.current_state
        if self.exchange_order_id is None and order_update.exchange_order_id is not None:
            self.update_exchange_order_id(order_update.exchange_order_id)
        self.current_state = order_update.new_state
        self.check_processed_by_exchange_condition()
        if (self.exchange_order_id, self.current_state) == before:
            return False
        self.last_update_timestamp = order_update.update_timestamp
        return True

    def update_with_trade_update(self, trade_update: TradeUpdate) -> bool:
        """Add a fill once. Never changes the state."""
        if trade_update.trade_id in self.order_fills or not self._is_about_this(
            trade_update.client_order_id, trade_update.exchange_order_id
        ):
            return False
        self.order_fills[trade_update.trade_id] = trade_update
        self.executed_amount_base += trade_update.fill_base_amount
        self.executed_amount_quote += trade_update.fill_quote_amount
        self.last_update_timestamp = trade_update.fill_timestamp
        self.check_filled_condition()
        return True

    def check_filled_condition(self) -> None:
        if (abs(self.amount) - self.executed_amount_base).quantize(_DUST) <= 0:
            self.completely_filled_event.set()

    def check_processed_by_exchange_condition(self) -> None:
        if self.current_state.value > OrderState.PENDING_CREATE.value:
            self.processed_by_exchange_event.set()

    async def wait_until_completely_filled(self) -> None:
        await self.completely_filled_event.wait()

    async def wait_until_processed_by_exchange(self) -> None:
        await self.processed_by_exchange_event.wait()

    # -- forms ------------------------------------------------------------------------------------------------------
    def to_limit_order(self) -> LimitOrder:
        return LimitOrder(
            client_order_id=self.client_order_id,
            trading_pair=self.trading_pair,
            is_buy=self.trade_type is TradeType.BUY,
            base_currency=self.base_asset,
            quote_currency=self.quote_asset,
            price=self.price if self.price is not None else Decimal("NaN"),
            quantity=self.amount,
            filled_quantity=self.executed_amount_base,
            creation_timestamp=int(self.creation_timestamp * 1e6),
            position=self.position,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "client_order_id": self.client_order_id,
            "exchange_order_id": self.exchange_order_id,
            "trading_pair": self.trading_pair,
            "order_type": self.order_type.name,
            "trade_type": self.trade_type.name,
            "price": str(self.price),
            "amount": str(self.amount),
            "executed_amount_base": str(self.executed_amount_base),
            "executed_amount_quote": str(self.executed_amount_quote),
            "last_state": str(self.current_state.value),
            "leverage": str(self.leverage),
            "position": self.position.value,
            "creation_timestamp": self.creation_timestamp,
            "last_update_timestamp": self.last_update_timestamp,
            "order_fills": {key: fill.to_json() for key, fill in self.order_fills.items()},
            "cumulative_fee_paid_base": float(self.cumulative_fee_paid(self.base_asset)),
            "cumulative_fee_paid_quote": float(self.cumulative_fee_paid(self.quote_asset)),
        }

    @classmethod
    def from_json(cls: type[_Order], data: dict[str, Any]) -> _Order:
        order = cls(
            client_order_id=data["client_order_id"],
            trading_pair=data["trading_pair"],
            order_type=OrderType[data["order_type"]],
            trade_type=TradeType[data["trade_type"]],
            amount=Decimal(data["amount"]),
            creation_timestamp=data.get("creation_timestamp", -1),
            price=None if data["price"] in (None, "None") else Decimal(data["price"]),
            exchange_order_id=data["exchange_order_id"],
            initial_state=OrderState(int(data["last_state"])),
            leverage=int(data["leverage"]),
            position=PositionAction(data["position"]),
        )
        order.executed_amount_base = Decimal(data["executed_amount_base"])
        order.executed_amount_quote = Decimal(data["executed_amount_quote"])
        order.order_fills.update(
            {key: TradeUpdate.from_json(fill) for key, fill in data.get("order_fills", {}).items()}
        )
        order.last_update_timestamp = data.get("last_update_timestamp", order.creation_timestamp)
        order.check_filled_condition()
        order.check_processed_by_exchange_condition()
        return order

    def build_order_created_message(self) -> str:
        return (
            f"Created {self.order_type.name.upper()} {self.trade_type.name.upper()} order {self.client_order_id} for "
            f"{self.amount} {self.trading_pair} at {self.price}."
        )


class PerpetualDerivativeInFlightOrder(InFlightOrder):
    def build_order_created_message(self) -> str:
        return (
            f"Created {self.order_type.name.upper()} {self.trade_type.name.upper()} order {self.client_order_id} for "
            f"{self.amount} to {self.position.name.upper()} a {self.trading_pair} position at {self.price}."
        )
