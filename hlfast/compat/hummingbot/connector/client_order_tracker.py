"""ClientOrderTracker: Hummingbot's tracker, strict by the core's table of transitions.

Records hold what they are told; this decides what they may be told. Updates are applied inside the call. Only an end
whose fills are still due waits (FILLED, and CANCELED that says how much was filled), bounded, delaying nothing else.

    tracker.process_order_update(update)      # an awaitable; need not be awaited
    tracker.process_trade_update(fill)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Iterator, MutableMapping
from decimal import Decimal
from typing import Any

from hlfast import clock
from hlfast.compat.hummingbot.core.data_type.common import TradeType
from hlfast.compat.hummingbot.core.data_type.in_flight_order import InFlightOrder, OrderState, OrderUpdate, TradeUpdate
from hlfast.compat.hummingbot.core.event.events import (
    BuyOrderCompletedEvent,
    BuyOrderCreatedEvent,
    MarketEvent,
    MarketOrderFailureEvent,
    OrderCancelledEvent,
    OrderFilledEvent,
    SellOrderCompletedEvent,
    SellOrderCreatedEvent,
)
from hlfast.compat.hummingbot.logger import HummingbotLogger, logger_for
from hlfast.core.in_flight_order import transition
from hlfast.types import OrderState as CoreState

TO_CORE = {
    OrderState.PENDING_CREATE: CoreState.PENDING_SUBMIT,
    OrderState.PENDING_APPROVAL: CoreState.PENDING_SUBMIT,
    OrderState.APPROVED: CoreState.PENDING_SUBMIT,
    OrderState.CREATED: CoreState.OPEN,
    OrderState.OPEN: CoreState.OPEN,
    OrderState.PARTIALLY_FILLED: CoreState.PARTIALLY_FILLED,
    OrderState.PENDING_CANCEL: CoreState.PENDING_CANCEL,
    OrderState.CANCELED: CoreState.CANCELLED,
    OrderState.FILLED: CoreState.FILLED,
    OrderState.COMPLETED: CoreState.FILLED,
    OrderState.FAILED: CoreState.FAILED,
}
"""Where a state stands in the core's table. PENDING_CREATE is an order that has been sent."""

FINAL = frozenset((OrderState.CANCELED, OrderState.FILLED, OrderState.FAILED))
_NOT_CREATED = frozenset((OrderState.PENDING_CREATE, OrderState.CANCELED, OrderState.FAILED, OrderState.PENDING_CANCEL))
ENDED_KEPT = 10_000
"""So many ended orders are remembered for late fills, beyond what the views show."""


class _Recent(MutableMapping[str, InFlightOrder]):
    """The newest `maxsize` entries, each for `ttl` seconds."""

    def __init__(self, maxsize: int, ttl: float) -> None:
        self._maxsize, self._ttl_ns = maxsize, int(ttl * 1e9)
        self._items: dict[str, tuple[int, InFlightOrder]] = {}

    def _expire(self) -> None:
        now = clock.monotonic_ns()
        while self._items:
            key = next(iter(self._items))
            if self._items[key][0] > now:
                return
            del self._items[key]

    def __getitem__(self, key: str) -> InFlightOrder:
        self._expire()
        return self._items[key][1]

    def __setitem__(self, key: str, order: InFlightOrder) -> None:
        self._items.pop(key, None)
        self._expire()
        while len(self._items) >= self._maxsize:
            del self._items[next(iter(self._items))]
        self._items[key] = clock.monotonic_ns() + self._ttl_ns, order

    def __delitem__(self, key: str) -> None:
        del self._items[key]

    def __iter__(self) -> Iterator[str]:
        self._expire()
        return iter(tuple(self._items))

    def __len__(self) -> int:
        self._expire()
        return len(self._items)


class _Finished:
    """What is awaited where nothing waits and no loop is there."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class ClientOrderTracker:
    """`connector` offers `current_timestamp` and `trigger_event(tag, event)`."""

    MAX_CACHE_SIZE = 1000
    CACHED_ORDER_TTL = 30.0
    TRADE_FILLS_WAIT_TIMEOUT: float = 5

    def __init__(self, connector: Any, lost_order_count_limit: int = 3) -> None:
        self._connector = connector
        self._lost_order_count_limit = lost_order_count_limit
        self._in_flight_orders: dict[str, InFlightOrder] = {}
        self._cached_orders: MutableMapping[str, InFlightOrder] = _Recent(self.MAX_CACHE_SIZE, self.CACHED_ORDER_TTL)
        self._lost_orders: dict[str, InFlightOrder] = {}
        self._order_not_found_records: dict[str, int] = {}
        self._ended: dict[str, InFlightOrder] = {}
        self._by_exchange_id: dict[str, InFlightOrder] = {}
        self._waiting: dict[str, list[tuple[Decimal, asyncio.Event]]] = {}
        self._tasks: set[asyncio.Future[None]] = set()
        self.ignored_updates = 0

    @classmethod
    def logger(cls) -> HummingbotLogger:
        return logger_for(ClientOrderTracker)

    # -- views ------------------------------------------------------------------------------------------------------
    @property
    def active_orders(self) -> dict[str, InFlightOrder]:
        return self._in_flight_orders

    @property
    def cached_orders(self) -> dict[str, InFlightOrder]:
        return dict(self._cached_orders)

    @property
    def lost_orders(self) -> dict[str, InFlightOrder]:
        return dict(self._lost_orders)

    @property
    def all_orders(self) -> dict[str, InFlightOrder]:
        return {**self._in_flight_orders, **self._cached_orders}

    @property
    def all_fillable_orders(self) -> dict[str, InFlightOrder]:
        return {**self.all_orders, **self._lost_orders}

    @property
    def all_updatable_orders(self) -> dict[str, InFlightOrder]:
        return {**self._in_flight_orders, **self._lost_orders}

    @property
    def all_fillable_orders_by_exchange_order_id(self) -> dict[str, InFlightOrder]:
        return _by_exchange_order_id(self.all_fillable_orders)

    @property
    def all_updatable_orders_by_exchange_order_id(self) -> dict[str, InFlightOrder]:
        return _by_exchange_order_id(self.all_updatable_orders)

    @property
    def current_timestamp(self) -> float:
        return float(self._connector.current_timestamp)

    @property
    def lost_order_count_limit(self) -> int:
        return self._lost_order_count_limit

    @lost_order_count_limit.setter
    def lost_order_count_limit(self, value: int) -> None:
        self._lost_order_count_limit = value

    # -- tracking ---------------------------------------------------------------------------------------------------
    def start_tracking_order(self, order: InFlightOrder) -> None:
        self._in_flight_orders[order.client_order_id] = order

    def stop_tracking_order(self, client_order_id: str) -> None:
        order = self._in_flight_orders.pop(client_order_id, None)
        if order is None:
            return
        self._cached_orders[client_order_id] = order
        self._ended[client_order_id] = order
        if len(self._ended) > ENDED_KEPT:
            oldest = self._ended.pop(next(iter(self._ended)))
            self._by_exchange_id.pop(str(oldest.exchange_order_id), None)
        self._order_not_found_records.pop(client_order_id, None)

    def restore_tracking_states(self, tracking_states: dict[str, Any]) -> None:
        """Take up saved orders: open ones are tracked, failed ones are lost, others are dropped."""
        for serialized in tracking_states.values():
            order = InFlightOrder.from_json(serialized)
            if order.is_open:
                self.start_tracking_order(order)
            elif order.is_failure:
                self._lost_orders[order.client_order_id] = order

    def fetch_tracked_order(self, client_order_id: str) -> InFlightOrder | None:
        return self._in_flight_orders.get(client_order_id)

    def fetch_cached_order(self, client_order_id: str) -> InFlightOrder | None:
        return self._cached_orders.get(client_order_id)

    def fetch_order(
        self, client_order_id: str | None = None, exchange_order_id: str | None = None
    ) -> InFlightOrder | None:
        """An active or cached order, by client id first, else by the venue's."""
        if client_order_id is not None:
            found = self._in_flight_orders.get(client_order_id) or self._cached_orders.get(client_order_id)
            if found is not None:
                return found
        if exchange_order_id is None:
            return None
        known = self._by_exchange_id.get(exchange_order_id)
        if known is not None and (
            known.client_order_id in self._in_flight_orders or known.client_order_id in self._cached_orders
        ):
            return known
        for orders in (self._in_flight_orders, self._cached_orders):
            for order in orders.values():
                if order.exchange_order_id == exchange_order_id:
                    self._by_exchange_id[exchange_order_id] = order
                    return order
        return None

    def fetch_lost_order(
        self, client_order_id: str | None = None, exchange_order_id: str | None = None
    ) -> InFlightOrder | None:
        found = self._lost_orders.get(client_order_id) if client_order_id is not None else None
        if found is None and exchange_order_id is not None:
            found = next((o for o in self._lost_orders.values() if o.exchange_order_id == exchange_order_id), None)
        return found

    # -- order updates ----------------------------------------------------------------------------------------------
    def process_order_update(self, order_update: OrderUpdate) -> Awaitable[None]:
        """Apply an update. The awaitable is done at once, unless the update waits for fills that are due."""
        if not order_update.client_order_id and not order_update.exchange_order_id:
            self.logger().error("OrderUpdate does not contain any client_order_id or exchange_order_id", exc_info=True)
            return self._finished()
        order = self.fetch_order(order_update.client_order_id, order_update.exchange_order_id)
        if order is None:
            lost = self.fetch_lost_order(order_update.client_order_id, order_update.exchange_order_id)
            if lost is not None:
                if order_update.new_state in FINAL:
                    del self._lost_orders[lost.client_order_id]
            else:
                self.logger().debug(f"Order is not/no longer being tracked ({order_update})")
            return self._finished()
        self._order_not_found_records.pop(order.client_order_id, None)
        due = self._due(order, order_update)
        if due is not None:
            loop = _loop()
            if loop is not None:
                task = loop.create_task(self._apply_later(order, order_update, due))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return task
            self._end_without_fills(order)
        self._apply(order, order_update)
        return self._finished()

    def _finished(self) -> Awaitable[None]:
        loop = _loop()
        if loop is None:
            return _Finished()
        future = loop.create_future()
        future.set_result(None)
        return future

    def _due(self, order: InFlightOrder, update: OrderUpdate) -> Decimal | None:
        """The executed amount that an end has to wait for, or None if it need not wait."""
        if order.is_done:
            return None
        if update.new_state is OrderState.FILLED:
            return None if order.completely_filled_event.is_set() else abs(order.amount)
        if update.new_state is OrderState.CANCELED and update.misc_updates and "filled_base" in update.misc_updates:
            filled = Decimal(update.misc_updates["filled_base"])
            return filled if order.executed_amount_base < filled else None
        return None

    async def _apply_later(self, order: InFlightOrder, update: OrderUpdate, due: Decimal) -> None:
        arrived = asyncio.Event()
        entry = due, arrived
        waiting = self._waiting.setdefault(order.client_order_id, [])
        waiting.append(entry)
        try:
            if not _has(order, due):
                await asyncio.wait_for(arrived.wait(), self.TRADE_FILLS_WAIT_TIMEOUT)
        except asyncio.TimeoutError:
            self._end_without_fills(order)
        finally:
            waiting.remove(entry)
            if not waiting:
                self._waiting.pop(order.client_order_id, None)
        self._apply(order, update)

    def _end_without_fills(self, order: InFlightOrder) -> None:
        """Say that an end is told before all fills have come."""
        order.fills_incomplete = True
        self.logger().warning(
            f"The order fill updates did not arrive on time for {order.client_order_id}. "
            "The complete update will be processed with incomplete information."
        )

    def _apply(self, order: InFlightOrder, update: OrderUpdate) -> None:
        if not self._is_allowed(order, update.new_state):
            self.ignored_updates += 1
            if order.exchange_order_id is None and update.exchange_order_id is not None:
                order.update_exchange_order_id(update.exchange_order_id)
            return
        previous = order.current_state
        if order.update_with_order_update(update):
            self._trigger_order_creation(order, previous, update.new_state)
            self._trigger_order_completion(order, update)

    @staticmethod
    def _is_allowed(order: InFlightOrder, new_state: OrderState) -> bool:
        """By the core's table; an order that has not ended may fail, since who says so has proof."""
        state = order.current_state
        if state in FINAL:
            return False
        return new_state in (state, OrderState.FAILED) or transition(TO_CORE[state], TO_CORE[new_state]) == "A"

    # -- fills ------------------------------------------------------------------------------------------------------
    def process_trade_update(self, trade_update: TradeUpdate) -> None:
        """Book a fill, also of an order that ended long ago. Acts before it returns."""
        order = self._find_for_fill(trade_update.client_order_id)
        if order is None:
            return
        known = trade_update.trade_id in order.order_fills
        if known or order.client_order_id != trade_update.client_order_id:
            return
        if order.current_state is OrderState.PENDING_CREATE:
            self._apply(
                order,
                OrderUpdate(
                    trading_pair=order.trading_pair,
                    update_timestamp=trade_update.fill_timestamp,
                    new_state=OrderState.OPEN,
                    client_order_id=order.client_order_id,
                    exchange_order_id=trade_update.exchange_order_id,
                ),
            )
        self._book(order, trade_update)

    def _book(self, order: InFlightOrder, trade_update: TradeUpdate) -> bool:
        before = order.executed_amount_base
        if not order.update_with_trade_update(trade_update):
            return False
        if order.executed_amount_base > before:
            self._trigger_order_fills(order, trade_update)
        for due, arrived in self._waiting.get(order.client_order_id, ()):
            if _has(order, due):
                arrived.set()
        return True

    def _find_for_fill(self, client_order_id: str) -> InFlightOrder | None:
        for orders in (self._in_flight_orders, self._cached_orders, self._lost_orders, self._ended):
            found = orders.get(client_order_id)
            if found is not None:
                return found
        return None

    # -- absence ----------------------------------------------------------------------------------------------------
    async def process_order_not_found(self, client_order_id: str) -> None:
        """The venue says that it does not know the order. Counted; above the limit the order is given up as lost."""
        order = self._in_flight_orders.get(client_order_id)
        if order is not None:
            count = self._order_not_found_records[client_order_id] = (
                self._order_not_found_records.get(client_order_id, 0) + 1
            )
            if count > self._lost_order_count_limit and order.current_state not in FINAL:
                self.logger().warning(
                    f"The order {order.client_order_id}({order.exchange_order_id}) will be considered lost. "
                    "Please check its status in the exchange."
                )
                self._apply(
                    order,
                    OrderUpdate(
                        trading_pair=order.trading_pair,
                        update_timestamp=self.current_timestamp,
                        new_state=OrderState.FAILED,
                        client_order_id=client_order_id,
                    ),
                )
                self._cached_orders.pop(client_order_id, None)
                self._lost_orders[client_order_id] = order
        elif client_order_id in self._lost_orders:
            lost = self._lost_orders.pop(client_order_id)
            self.logger().info(
                f"The lost order {lost.client_order_id}({lost.exchange_order_id}) was not found and will be removed"
            )
        else:
            self.logger().debug(f"Order is not/no longer being tracked ({client_order_id})")

    # -- events -----------------------------------------------------------------------------------------------------
    def _trigger_order_creation(self, order: InFlightOrder, previous: OrderState, new: OrderState) -> None:
        if previous is not OrderState.PENDING_CREATE or new in _NOT_CREATED:
            return
        self.logger().info(order.build_order_created_message())
        is_buy = order.trade_type is TradeType.BUY
        self._connector.trigger_event(
            MarketEvent.BuyOrderCreated if is_buy else MarketEvent.SellOrderCreated,
            (BuyOrderCreatedEvent if is_buy else SellOrderCreatedEvent)(
                timestamp=self.current_timestamp,
                type=order.order_type,
                trading_pair=order.trading_pair,
                amount=order.amount,
                price=order.price,
                order_id=order.client_order_id,
                creation_timestamp=order.creation_timestamp,
                exchange_order_id=order.exchange_order_id,
                leverage=order.leverage,
                position=order.position.value,
            ),
        )

    def _trigger_order_fills(self, order: InFlightOrder, fill: TradeUpdate) -> None:
        self.logger().info(
            f"The {order.trade_type.name.upper()} order {order.client_order_id} amounting to "
            f"{order.executed_amount_base}/{order.amount} {order.base_asset} has been filled at {fill.fill_price} "
            f"{order.quote_asset}."
        )
        self._connector.trigger_event(
            MarketEvent.OrderFilled,
            OrderFilledEvent(
                timestamp=self.current_timestamp,
                order_id=order.client_order_id,
                trading_pair=order.trading_pair,
                trade_type=order.trade_type,
                order_type=order.order_type,
                price=fill.fill_price,
                amount=fill.fill_base_amount,
                trade_fee=fill.fee,
                exchange_trade_id=fill.trade_id,
                exchange_order_id=order.exchange_order_id,
                leverage=int(order.leverage),
                position=order.position.value,
            ),
        )

    def _trigger_order_completion(self, order: InFlightOrder, update: OrderUpdate) -> None:
        if order.is_open:
            return
        if order.is_cancelled:
            self._trigger_cancelled(order)
        elif order.is_filled:
            order.fills_incomplete = not _has(order, abs(order.amount))
            self._trigger_completed(order)
        elif order.is_failure:
            self._trigger_failed(order, update)
        self.stop_tracking_order(order.client_order_id)

    def _trigger_cancelled(self, order: InFlightOrder) -> None:
        self.logger().info(f"Successfully canceled order {order.client_order_id}.")
        self._connector.trigger_event(
            MarketEvent.OrderCancelled,
            OrderCancelledEvent(self.current_timestamp, order.client_order_id, order.exchange_order_id),
        )

    def _trigger_failed(self, order: InFlightOrder, update: OrderUpdate) -> None:
        misc = update.misc_updates or {}
        self.logger().info(f"Order {order.client_order_id} has failed. Order Update: {update}")
        self._connector.trigger_event(
            MarketEvent.OrderFailure,
            MarketOrderFailureEvent(
                timestamp=self.current_timestamp,
                order_id=order.client_order_id,
                order_type=order.order_type,
                error_message=misc.get("error_message"),
                error_type=misc.get("error_type"),
            ),
        )

    def _trigger_completed(self, order: InFlightOrder) -> None:
        is_buy = order.trade_type is TradeType.BUY
        self.logger().info(f"{order.trade_type.name.upper()} order {order.client_order_id} completely filled.")
        self._connector.trigger_event(
            MarketEvent.BuyOrderCompleted if is_buy else MarketEvent.SellOrderCompleted,
            (BuyOrderCompletedEvent if is_buy else SellOrderCompletedEvent)(
                timestamp=self.current_timestamp,
                order_id=order.client_order_id,
                base_asset=order.base_asset,
                quote_asset=order.quote_asset,
                base_asset_amount=order.executed_amount_base,
                quote_asset_amount=order.executed_amount_quote,
                order_type=order.order_type,
                exchange_order_id=order.exchange_order_id,
            ),
        )


def _has(order: InFlightOrder, amount: Decimal) -> bool:
    return (amount - order.executed_amount_base).quantize(Decimal("1e-8")) <= 0


def _by_exchange_order_id(orders: dict[str, InFlightOrder]) -> dict[str, InFlightOrder]:
    return {order.exchange_order_id: order for order in orders.values() if order.exchange_order_id is not None}


def _loop() -> asyncio.AbstractEventLoop | None:
    """The running loop, else the thread's current one, else None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        pass
    try:
        return asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        return None
