"""ConnectorBase: a named source of events with balances, as Hummingbot's strategies know it. It does no I/O."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from hlfast import clock
from hlfast.compat.hummingbot.connector.constants import s_decimal_0
from hlfast.compat.hummingbot.core.data_type.in_flight_order import InFlightOrder
from hlfast.compat.hummingbot.core.event.event_logger import EventLogger
from hlfast.compat.hummingbot.core.event.events import MarketEvent
from hlfast.compat.hummingbot.core.pubsub import PubSub


class ConnectorBase(PubSub):
    MARKET_EVENTS = [
        MarketEvent.ReceivedAsset,
        MarketEvent.BuyOrderCompleted,
        MarketEvent.SellOrderCompleted,
        MarketEvent.WithdrawAsset,
        MarketEvent.OrderCancelled,
        MarketEvent.OrderFilled,
        MarketEvent.OrderExpired,
        MarketEvent.OrderFailure,
        MarketEvent.TransactionFailure,
        MarketEvent.BuyOrderCreated,
        MarketEvent.SellOrderCreated,
        MarketEvent.FundingPaymentCompleted,
        MarketEvent.RangePositionLiquidityAdded,
        MarketEvent.RangePositionLiquidityRemoved,
        MarketEvent.RangePositionUpdateFailure,
    ]

    def __init__(
        self, balance_asset_limit: Any = None, rate_limits_share_pct: Decimal = Decimal("100"), **_: Any
    ) -> None:
        super().__init__()
        self._balance_asset_limit = balance_asset_limit or {}
        self._rate_limits_share_pct = rate_limits_share_pct
        self._current_timestamp = float("nan")
        self._account_balances: dict[str, Decimal] = {}
        self._account_available_balances: dict[str, Decimal] = {}
        self._event_logger = EventLogger(event_source=self.name)
        for event in self.MARKET_EVENTS:
            self.add_listener(event, self._event_logger)

    # -- identity and time ------------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def display_name(self) -> str:
        return self.name

    @property
    def name_cap(self) -> str:
        return self.name.capitalize()

    @property
    def current_timestamp(self) -> float:
        """Seconds; NaN until set."""
        return self._current_timestamp

    def _set_current_timestamp(self, timestamp: float) -> None:
        self._current_timestamp = timestamp

    def _time(self) -> float:
        """The wall clock in seconds; tests replace it."""
        return clock.epoch_ns() / 1e9

    async def _sleep(self, delay: float) -> None:
        """`asyncio.sleep`; tests replace it."""
        await asyncio.sleep(delay)

    @property
    def event_logs(self) -> list[Any]:
        return self._event_logger.event_log

    @property
    def ready(self) -> bool:
        raise NotImplementedError

    @property
    def status_dict(self) -> dict[str, bool]:
        return {}

    # -- orders -----------------------------------------------------------------------------------------------------
    @property
    def in_flight_orders(self) -> dict[str, InFlightOrder]:
        return {}

    @property
    def tracking_states(self) -> dict[str, Any]:
        return {}

    def restore_tracking_states(self, saved_states: dict[str, Any]) -> None:
        pass

    # -- balances ---------------------------------------------------------------------------------------------------
    def get_balance(self, currency: str) -> Decimal:
        return self._account_balances.get(currency, s_decimal_0)

    def get_available_balance(self, currency: str) -> Decimal:
        return self._account_available_balances.get(currency, s_decimal_0)

    def get_all_balances(self) -> dict[str, Decimal]:
        return dict(self._account_balances)

    @property
    def available_balances(self) -> dict[str, Decimal]:
        return dict(self._account_available_balances)

    # -- quanta -----------------------------------------------------------------------------------------------------
    def get_order_price_quantum(self, trading_pair: str, price: Decimal) -> Decimal:
        raise NotImplementedError

    def get_order_size_quantum(self, trading_pair: str, order_size: Decimal) -> Decimal:
        raise NotImplementedError
