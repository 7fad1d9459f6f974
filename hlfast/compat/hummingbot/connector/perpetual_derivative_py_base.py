"""PerpetualDerivativePyBase: positions, leverage and funding beside the orders."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from hlfast import clock
from hlfast.compat.hummingbot.connector.constants import s_decimal_0, s_decimal_NaN
from hlfast.compat.hummingbot.connector.derivative.position import Position
from hlfast.compat.hummingbot.connector.exchange_py_base import ExchangePyBase
from hlfast.compat.hummingbot.connector.perpetual_trading import PerpetualTrading
from hlfast.compat.hummingbot.core.data_type.common import (
    OrderType,
    PositionAction,
    PositionMode,
    PositionSide,
    TradeType,
)
from hlfast.compat.hummingbot.core.data_type.funding_info import FundingInfo, FundingInfoUpdate
from hlfast.compat.hummingbot.core.data_type.in_flight_order import PerpetualDerivativeInFlightOrder
from hlfast.compat.hummingbot.core.data_type.trade_fee import TradeFeeBase, TradeFeeSchema
from hlfast.compat.hummingbot.core.event.events import (
    AccountEvent,
    FundingPaymentCompletedEvent,
    MarketEvent,
    PositionModeChangeEvent,
    PositionUpdateEvent,
)
from hlfast.core import events as ev
from hlfast.core.position import Position as CorePosition
from hlfast.core.updates import TradeUpdate as CoreFill
from hlfast.errors import ConfigError, HlfastError

HOUR = 3600
QUOTE = "USD"


class PerpetualDerivativePyBase(ExchangePyBase):
    order_record = PerpetualDerivativeInFlightOrder
    connector_name = "hyperliquid_perpetual"
    is_perpetual = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._perpetual_trading = PerpetualTrading(self._trading_pairs)

    async def start_network(self) -> None:
        if not self._is_started:
            for event, handler in (
                (ev.AssetContext, self._on_context),
                (ev.FundingPayment, self._on_funding_payment),
                (ev.PositionUpdate, self._on_position),
            ):
                self._removers.append(self.engine.on(event, handler))
        await super().start_network()

    @property
    def status_dict(self) -> dict[str, bool]:
        return {**super().status_dict, "funding_info": self._perpetual_trading.is_funding_info_initialized()}

    async def add_trading_pair(self, trading_pair: str) -> bool:
        await self._look_for(trading_pair)
        self._coin(trading_pair)
        self._perpetual_trading.add_trading_pair(trading_pair)
        return await super().add_trading_pair(trading_pair)

    async def remove_trading_pair(self, trading_pair: str) -> bool:
        self._perpetual_trading.remove_trading_pair(trading_pair)
        return await super().remove_trading_pair(trading_pair)

    def _position_action(self, given: Any) -> PositionAction:
        if given not in (PositionAction.OPEN, PositionAction.CLOSE):
            raise ValueError(
                f"a perpetual order needs position_action=PositionAction.OPEN or PositionAction.CLOSE, got {given!r}"
            )
        assert isinstance(given, PositionAction)
        return given

    # -- positions --------------------------------------------------------------------------------------------------
    @property
    def account_positions(self) -> dict[str, Position]:
        """By pair; one that is not listed is flat."""
        return {
            self._pairs.get(coin, f"{coin}-{QUOTE}"): self._position(coin, held)
            for coin, held in self.engine.positions.items()
            if not held.is_flat
        }

    def get_position(self, trading_pair: str, side: PositionSide | None = None) -> Position | None:
        return self.account_positions.get(trading_pair)

    def _position(self, coin: str, held: CorePosition) -> Position:
        pair = self._pairs.get(coin, f"{coin}-{QUOTE}")
        info = self._perpetual_trading.current_funding_info(pair)
        pnl = held.unrealized_pnl if info is None else (info.mark_price - held.entry_price) * held.signed_size
        return Position(
            trading_pair=pair,
            position_side=PositionSide.LONG if held.is_long else PositionSide.SHORT,
            unrealized_pnl=pnl,
            entry_price=held.entry_price,
            amount=held.signed_size,
            leverage=Decimal(held.leverage),
        )

    def _on_position(self, event: ev.PositionUpdate) -> None:
        is_flat = event.position is None or event.position.is_flat
        held = None if is_flat else self._position(event.coin, event.position)
        self.trigger_event(
            AccountEvent.PositionUpdate,
            PositionUpdateEvent(
                timestamp=self.current_timestamp,
                trading_pair=self._pairs.get(event.coin, f"{event.coin}-{QUOTE}"),
                position_side=held.position_side if held is not None else None,
                unrealized_pnl=held.unrealized_pnl if held is not None else s_decimal_0,
                entry_price=held.entry_price if held is not None else None,
                amount=held.amount if held is not None else s_decimal_0,
                leverage=held.leverage if held is not None else None,
            ),
        )

    @property
    def position_mode(self) -> PositionMode:
        return self._perpetual_trading.position_mode

    def supported_position_modes(self) -> list[PositionMode]:
        return [PositionMode.ONEWAY]

    def set_position_mode(self, mode: PositionMode) -> None:
        """The venue knows ONEWAY only: HEDGE fails, for each pair, in the loop's next turn."""
        asyncio.get_running_loop().call_soon(self._tell_position_mode, mode)

    def _tell_position_mode(self, mode: PositionMode) -> None:
        is_offered = mode is PositionMode.ONEWAY
        tag = AccountEvent.PositionModeChangeSucceeded if is_offered else AccountEvent.PositionModeChangeFailed
        message = None if is_offered else "Hyperliquid only supports the ONEWAY position mode."
        for pair in self._trading_pairs:
            self.trigger_event(tag, PositionModeChangeEvent(self.current_timestamp, pair, mode, message))

    def get_leverage(self, trading_pair: str) -> int:
        return self._perpetual_trading.get_leverage(trading_pair)

    def _leverage_of(self, trading_pair: str) -> int:
        return self._perpetual_trading.get_leverage(trading_pair)

    def set_leverage(self, trading_pair: str, leverage: int = 1) -> None:
        """Ask the venue for it. Out of range raises at once; a refusal by the venue is logged as an error."""
        rule = self._core_rule(trading_pair)
        if not isinstance(leverage, (int, float, Decimal)) or leverage != int(leverage):
            raise ConfigError(
                f"the leverage of {trading_pair} is a whole number, 1 to {rule.max_leverage}, got {leverage!r}"
            )
        if not 1 <= leverage <= rule.max_leverage:
            raise ConfigError(f"the leverage of {trading_pair} is 1 to {rule.max_leverage}, got {leverage}")
        self.engine.spawn(self._set_leverage(trading_pair, rule.coin, int(leverage), not rule.only_isolated))

    async def _set_leverage(self, trading_pair: str, coin: str, leverage: int, is_cross: bool) -> None:
        try:
            await self.engine.actions.update_leverage(coin, leverage, cross=is_cross)
        except (HlfastError, asyncio.TimeoutError) as error:
            self.logger().error(f"Error setting leverage {leverage} for {trading_pair}: {error}")
            return
        self._perpetual_trading.set_leverage(trading_pair, leverage)

    def get_buy_collateral_token(self, trading_pair: str) -> str:
        return str(self._rules[trading_pair].buy_order_collateral_token)

    def get_sell_collateral_token(self, trading_pair: str) -> str:
        return str(self._rules[trading_pair].sell_order_collateral_token)

    # -- funding ----------------------------------------------------------------------------------------------------
    def get_funding_info(self, trading_pair: str) -> FundingInfo:
        """KeyError until the venue has told it."""
        return self._perpetual_trading.get_funding_info(trading_pair)

    def _on_context(self, event: ev.AssetContext) -> None:
        pair = self._pairs.get(event.coin)
        if pair is None or pair not in self._trading_pairs:
            return
        next_hour = (clock.epoch_ns() // 1_000_000_000 // HOUR + 1) * HOUR
        known = self._perpetual_trading.current_funding_info(pair)
        values = event.oracle_price, event.mark_price, next_hour, event.funding_rate
        if known is None:
            self._perpetual_trading.initialize_funding_info(FundingInfo(pair, *values))
        else:
            known.update(FundingInfoUpdate(pair, *values))

    def _on_funding_payment(self, event: ev.FundingPayment) -> None:
        self.trigger_event(
            MarketEvent.FundingPaymentCompleted,
            FundingPaymentCompletedEvent(
                timestamp=event.time_ms / 1000,
                market=self.name,
                trading_pair=self._pairs.get(event.coin, f"{event.coin}-{QUOTE}"),
                amount=event.amount,
                funding_rate=Decimal(event.rate or 0),
            ),
        )

    # -- money ------------------------------------------------------------------------------------------------------
    def _purse(self) -> tuple[Decimal, Decimal]:
        """(total, free) in USD: the perpetuals' account, or the spot USDC of an account whose mode joins both."""
        balances = self.engine.balances
        if self.engine.recovery.cash_kept_by_venue:
            row = balances.get("USDC", {"total": 0, "hold": 0})
            return Decimal(row["total"]), Decimal(row["total"]) - Decimal(row["hold"])
        row = balances.get("perp", {"account_value": 0, "withdrawable": 0})
        return Decimal(row["account_value"]), Decimal(row["withdrawable"])

    def get_all_balances(self) -> dict[str, Decimal]:
        return {QUOTE: self._purse()[0]} if self.engine.balances else {}

    @property
    def available_balances(self) -> dict[str, Decimal]:
        return {QUOTE: self._purse()[1]} if self.engine.balances else {}

    def _fee_token(self, fill: CoreFill) -> str:
        return QUOTE if fill.fee_token == "USDC" else fill.fee_token

    def _schema_of(self, rates: dict[str, Any]) -> TradeFeeSchema:
        return TradeFeeSchema(
            maker_percent_fee_decimal=Decimal(rates["userAddRate"]),
            taker_percent_fee_decimal=Decimal(rates["userCrossRate"]),
        )

    def get_fee(  # type: ignore[override]  # upstream's perpetual signature has the action in the middle
        self,
        base_currency: str,
        quote_currency: str,
        order_type: OrderType,
        order_side: TradeType,
        position_action: PositionAction,
        amount: Decimal,
        price: Decimal = s_decimal_NaN,
        is_maker: bool | None = None,
    ) -> TradeFeeBase:
        maker = order_type is OrderType.LIMIT_MAKER if is_maker is None else is_maker
        return TradeFeeBase.new_perpetual_fee(self._fee_schema, position_action, self.estimate_fee_pct(maker))
