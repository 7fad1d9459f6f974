"""ExchangePyBase: Hummingbot's connector methods on a `HyperliquidConnector` (section 9 of its contract in the docs).

`buy` and `sell` have written their request when they return the order's id, which is the venue's cloid. What can be
known to be wrong raises at once (an unknown pair, a missing position action); what Hummingbot reports as a failed order
is reported so, in the loop's next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hlfast.compat.hummingbot.connector.client_order_tracker import ClientOrderTracker
from hlfast.compat.hummingbot.connector.constants import s_decimal_NaN
from hlfast.compat.hummingbot.connector.engine_face import EngineFace
from hlfast.compat.hummingbot.connector.order_relay import OrderRelay
from hlfast.compat.hummingbot.core.data_type.cancellation_result import CancellationResult
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, TradeType
from hlfast.compat.hummingbot.core.data_type.in_flight_order import InFlightOrder
from hlfast.compat.hummingbot.core.data_type.limit_order import LimitOrder
from hlfast.compat.hummingbot.core.data_type.market_order import MarketOrder
from hlfast.compat.hummingbot.core.data_type.order_book import LiveOrderBook
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder as CoreOrder
from hlfast.core.journal_ring import restore_into
from hlfast.core.updates import TradeUpdate as CoreFill
from hlfast.errors import ConfigError, HlfastError, NotReady, OrderDenied
from hlfast.types import OrderParams
from hlfast.types import TradeType as CoreTradeType

TIFS = {OrderType.LIMIT: "Gtc", OrderType.LIMIT_MAKER: "Alo", OrderType.MARKET: "Ioc"}
ORDERS_PER_ACTION = 39
"""The most for one unit of weight."""


class ExchangePyBase(EngineFace):
    market_order_slippage = Decimal("0.05")
    order_record: type[InFlightOrder] = InFlightOrder

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As `EngineFace`."""
        super().__init__(*args, **kwargs)
        self._order_tracker = ClientOrderTracker(self)
        self._relay = OrderRelay(self._order_tracker, self._fee_token)
        self._restored: dict[str, InFlightOrder] = {}

    def _before_connect(self) -> None:
        self._take_up_restored()
        self._removers.append(self.engine.on(ev.OrderEvent, self._relay.on_order_event))

    def supported_order_types(self) -> list[OrderType]:
        return [OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET]

    def _fee_token(self, fill: CoreFill) -> str:
        return fill.fee_token

    # -- orders -----------------------------------------------------------------------------------------------------
    def buy(
        self,
        trading_pair: str,
        amount: Decimal,
        order_type: OrderType = OrderType.LIMIT,
        price: Decimal = s_decimal_NaN,
        **kwargs: Any,
    ) -> str:
        return self._submit([self._wish(TradeType.BUY, trading_pair, amount, order_type, price, **kwargs)])[0]

    def sell(
        self,
        trading_pair: str,
        amount: Decimal,
        order_type: OrderType = OrderType.LIMIT,
        price: Decimal = s_decimal_NaN,
        **kwargs: Any,
    ) -> str:
        return self._submit([self._wish(TradeType.SELL, trading_pair, amount, order_type, price, **kwargs)])[0]

    def batch_order_create(
        self, orders_to_create: Sequence[LimitOrder | MarketOrder]
    ) -> list[LimitOrder | MarketOrder]:
        """One signed action for the post-only orders and one for the others, up to 39 each; the orders with their ids."""
        wishes = [
            self._wish(
                TradeType.BUY if order.is_buy else TradeType.SELL,
                order.trading_pair,
                order.quantity,
                order.order_type(),
                order.price if order.price is not None else s_decimal_NaN,
                position_action=order.position,
            )
            for order in orders_to_create
        ]
        ids = self._submit(wishes)
        return [order.copy_with_id(order_id) for order, order_id in zip(orders_to_create, ids, strict=True)]

    def _position_action(self, given: Any) -> PositionAction:
        return PositionAction.NIL

    def _wish(
        self,
        side: TradeType,
        trading_pair: str,
        amount: Decimal,
        order_type: OrderType,
        price: Decimal,
        position_action: PositionAction | None = None,
        **_: Any,
    ) -> tuple[InFlightOrder, OrderParams | None, str]:
        """The record, and either what to send or the reason why nothing is sent."""
        rule = self._core_rule(trading_pair)
        action = self._position_action(position_action)
        size = _number("amount", amount)
        if not (size.is_finite() and size >= 0):
            raise ConfigError(f"the amount of an order is a positive number, got {amount!r}")
        core_side = CoreTradeType.BUY if side is TradeType.BUY else CoreTradeType.SELL
        cloid = self.engine.entry.cloids.next()
        wanted, refusal = s_decimal_NaN if price is None else _number("price", price), ""
        if wanted.is_infinite():
            raise ConfigError(f"the price of an order is a finite number, got {price!r}")
        if order_type not in TIFS:
            refusal = f"{order_type} is not in the list of supported order types"
        elif order_type is OrderType.MARKET:
            if wanted.is_nan():
                book = self._books.get(trading_pair)
                best = None if book is None or book.core.is_stale else _touch(book, side)
                if best is None:
                    refusal = f"There is no price to make a market order from for {trading_pair}: no fresh order book"
                else:
                    wanted = best
            away = self.market_order_slippage if side is TradeType.BUY else -self.market_order_slippage
            wanted = wanted * (1 + away)
        elif wanted.is_nan():
            refusal = f"A {order_type.name} order for {trading_pair} needs a price"
        if not refusal:
            try:
                size = rule.quantize_size(size)
                wanted = rule.quantize_price(wanted, core_side)
            except HlfastError as error:
                refusal = str(error)
        is_closing = action is PositionAction.CLOSE
        if not refusal:
            limits = self._rules[trading_pair]
            if size < limits.min_order_size:
                refusal = (
                    f"Order amount {amount} is lower than minimum order size {limits.min_order_size} for the pair "
                    f"{trading_pair}. The order will not be created."
                )
            elif not is_closing and size * wanted < limits.min_notional_size:
                refusal = (
                    f"Order notional {size * wanted} is lower than minimum notional size {limits.min_notional_size} "
                    f"for the pair {trading_pair}. The order will not be created."
                )
        record = self.order_record(
            client_order_id=cloid,
            trading_pair=trading_pair,
            order_type=order_type,
            trade_type=side,
            amount=size,
            creation_timestamp=self.current_timestamp,
            price=wanted,
            leverage=self._leverage_of(trading_pair),
            position=action,
        )
        if refusal:
            return record, None, refusal
        params = OrderParams(
            rule.coin, size, wanted, core_side, TIFS[order_type], is_closing, cloid=cloid, expires_after_ms=None
        )
        return record, params, ""

    def _leverage_of(self, trading_pair: str) -> int:
        return 1

    def _submit(self, wishes: list[tuple[InFlightOrder, OrderParams | None, str]]) -> list[str]:
        groups: dict[bool, list[tuple[InFlightOrder, OrderParams]]] = {True: [], False: []}
        for record, params, refusal in wishes:
            self._relay.expect(record)
            if params is None:
                self._fail_soon(record, refusal, "ValueError")
            else:
                groups[params.tif == "Alo"].append((record, params))
        with self._relay.holding():
            for group in groups.values():
                for start in range(0, len(group), ORDERS_PER_ACTION):
                    self._send(group[start : start + ORDERS_PER_ACTION])
        return [record.client_order_id for record, _, _ in wishes]

    def _send(self, group: list[tuple[InFlightOrder, OrderParams]]) -> None:
        try:
            if len(group) == 1:
                params = group[0][1]
                (self.engine.buy if params.side is CoreTradeType.BUY else self.engine.sell)(params)
            else:
                self.engine.place([params for _, params in group])
        except (NotReady, OrderDenied, ConfigError) as error:  # all of them before anything is tracked or sent
            for record, _ in group:
                self._fail_soon(record, str(error), type(error).__name__)

    def _fail_soon(self, record: InFlightOrder, message: str, error_type: str) -> None:
        asyncio.get_running_loop().call_soon(self._relay.fail, record, message, error_type)

    def _core_order(self, client_order_id: str) -> CoreOrder | None:
        return self.engine.tracker.get_order_by_cloid(client_order_id)

    def cancel(self, trading_pair: str, client_order_id: str) -> str:
        """Sent at once. An unknown id is a DEBUG message; the outcome is an event."""
        self._cancel([client_order_id])
        return client_order_id

    def batch_order_cancel(self, orders_to_cancel: Sequence[LimitOrder | InFlightOrder]) -> None:
        self._cancel([order.client_order_id for order in orders_to_cancel])

    def _cancel(self, ids: list[str]) -> None:
        found: list[CoreOrder] = []
        for one in ids:
            core = self._core_order(one) if one in self._order_tracker.active_orders else None
            if core is None:
                self.logger().debug(f"Order is not/no longer being tracked ({one})")
            else:
                found.append(core)
        try:
            if len(found) == 1:
                self.engine.cancel(found[0])
            elif found:
                self.engine.cancel_many(found)
        except (NotReady, OrderDenied) as error:
            self.logger().warning(f"The cancel of {', '.join(ids)} was not sent: {error}")

    async def cancel_all(self, timeout_seconds: float) -> list[CancellationResult]:
        """One result an order, successes first. Success: known to be off the book, also when it was gone already."""
        await asyncio.sleep(0)  # what was refused in this turn of the loop ends first
        cores = {one: self._core_order(one) for one in self._order_tracker.active_orders}
        await self.engine.end_orders([core for core in cores.values() if core is not None], timeout_seconds)
        results = [
            CancellationResult(one, core.is_done if core is not None else one not in self._order_tracker.active_orders)
            for one, core in cores.items()
        ]
        return sorted(results, key=lambda result: not result.success)

    @property
    def in_flight_orders(self) -> dict[str, InFlightOrder]:
        return self._order_tracker.active_orders

    @property
    def limit_orders(self) -> list[LimitOrder]:
        return [order.to_limit_order() for order in self.in_flight_orders.values()]

    def start_tracking_order(
        self,
        order_id: str,
        exchange_order_id: str | None,
        trading_pair: str,
        trade_type: TradeType,
        price: Decimal,
        amount: Decimal,
        order_type: OrderType,
        position_action: PositionAction = PositionAction.NIL,
        **_: Any,
    ) -> None:
        """Take up an order that was placed elsewhere under the cloid `order_id`; before `start_network()`, as `restore_tracking_states`."""
        record = self.order_record(
            order_id,
            trading_pair,
            order_type,
            trade_type,
            amount,
            self.current_timestamp,
            price,
            exchange_order_id,
            position=position_action,
        )
        self._restore(record)

    def stop_tracking_order(self, order_id: str) -> None:
        """Take it out of the view. The engine keeps following it: what rests at the venue is never forgotten."""
        self._order_tracker.stop_tracking_order(order_id)

    # -- a restart --------------------------------------------------------------------------------------------------
    @property
    def tracking_states(self) -> dict[str, Any]:
        return {order_id: order.to_json() for order_id, order in self.in_flight_orders.items()}

    def restore_tracking_states(self, saved_states: dict[str, Any]) -> None:
        """Take up saved orders; before `start_network()`, which agrees about them with the venue before `ready`."""
        for state in saved_states.values():
            record = self.order_record.from_json(state)
            if record.is_open:
                self._restore(record)

    def _restore(self, record: InFlightOrder) -> None:
        if self._is_started:
            raise ConfigError("orders are restored before start_network(), which reconciles them with the venue")
        self._restored[record.client_order_id] = record
        self._relay.expect(record)

    def _take_up_restored(self) -> None:
        """Give the core the restored orders, without their fills: it reads those since the oldest anew, and the records
        know which of them have been told."""
        orders: list[CoreOrder] = []
        known = {order.cloid for order in self.engine.orders}
        for record in self._restored.values():
            if record.client_order_id in known:
                continue
            rule = self._core_rule(record.trading_pair)
            oid = record.exchange_order_id
            orders.append(
                CoreOrder(
                    client_order_id=self.engine.generate_client_order_id(),
                    cloid=record.client_order_id,
                    coin=rule.coin,
                    trading_pair=rule.trading_pair,
                    asset=rule.asset,
                    sz_decimals=rule.sz_decimals,
                    trade_type=CoreTradeType.BUY if record.trade_type is TradeType.BUY else CoreTradeType.SELL,
                    amount=record.amount,
                    price=record.price,
                    tif=TIFS[record.order_type],
                    reduce_only=record.position is PositionAction.CLOSE,
                    exchange_order_id=int(oid) if oid is not None and oid.isdigit() else None,
                    creation_ns=int(record.creation_timestamp * 1e9),
                )
            )
        if orders:
            restore_into(self.engine.tracker, orders, [])
            oldest_ms = min(order.created_ns for order in orders) // 1_000_000
            self.engine.recovery.take_up(max(1, oldest_ms))
        self._restored.clear()


def _number(what: str, value: Any) -> Decimal:
    try:
        return Decimal(value)
    except (TypeError, ValueError, ArithmeticError):
        raise ConfigError(f"the {what} of an order is a Decimal or a number, got {value!r}") from None


def _touch(book: LiveOrderBook, side: TradeType) -> Decimal | None:
    return book.core.best_ask if side is TradeType.BUY else book.core.best_bid
