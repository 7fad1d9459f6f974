"""OrderRelay: the core's facts about orders, told as Hummingbot's records and events. It decides nothing.

The core's tracker has decided what happened and in which order (G2-G6, G11); here each of its events changes one record
and triggers one event. What arises inside a `holding()` block is told in the loop's next turn; states follow at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from hlfast.compat.hummingbot.connector.client_order_tracker import ClientOrderTracker
from hlfast.compat.hummingbot.core.data_type.in_flight_order import InFlightOrder, OrderState, OrderUpdate, TradeUpdate
from hlfast.compat.hummingbot.core.data_type.trade_fee import (
    AddedToCostTradeFee,
    DeductedFromReturnsTradeFee,
    TokenAmount,
    TradeFeeBase,
)
from hlfast.core import events as ev
from hlfast.core.updates import TradeUpdate as CoreFill
from hlfast.types import OrderState as CoreState

STATES = {
    CoreState.PENDING_CREATE: OrderState.PENDING_CREATE,
    CoreState.PENDING_SUBMIT: OrderState.PENDING_CREATE,
    CoreState.OPEN: OrderState.OPEN,
    CoreState.PARTIALLY_FILLED: OrderState.PARTIALLY_FILLED,
    CoreState.PENDING_CANCEL: OrderState.PENDING_CANCEL,
    CoreState.FILLED: OrderState.FILLED,
    CoreState.CANCELLED: OrderState.CANCELED,
    CoreState.EXPIRED: OrderState.CANCELED,
    CoreState.FAILED: OrderState.FAILED,
}


class OrderRelay:
    """`fee_token_of(fill)`: the name under which a fill's fee is told."""

    def __init__(self, tracker: ClientOrderTracker, fee_token_of: Callable[[CoreFill], str]) -> None:
        self._tracker = tracker
        self._fee_token_of = fee_token_of
        self._uncreated: set[str] = set()
        self._held: list[ev.OrderEvent] = []
        self._is_holding = False

    def expect(self, order: InFlightOrder) -> None:
        """Track a record whose creation is still to be told, if it is pending."""
        if order.is_pending_create:
            self._uncreated.add(order.client_order_id)
        self._tracker.start_tracking_order(order)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Events that arise within are told in the loop's next turn."""
        self._is_holding = True
        try:
            yield
        finally:
            self._is_holding = False
            if self._held:
                asyncio.get_running_loop().call_soon(self._tell_held)

    def _tell_held(self) -> None:
        held, self._held = self._held, []
        for event in held:
            self._tell(event)

    def on_order_event(self, event: ev.OrderEvent) -> None:
        """For the core's bus."""
        if (self._is_holding or self._held) and not isinstance(event, ev.OrderStateChanged):
            self._held.append(event)
        else:
            self._tell(event)

    def fail(self, order: InFlightOrder, message: str, error_type: str) -> None:
        """Tell of an order that was refused before anything was sent."""
        self._end(order, OrderState.FAILED, {"error_message": message, "error_type": error_type})

    # -- one fact, one event ----------------------------------------------------------------------------------------
    def _tell(self, event: ev.OrderEvent) -> None:
        core = event.order
        order = self._tracker._find_for_fill(core.cloid) if core.cloid is not None else None
        if order is None:
            return  # not ours: the core's own event tells of it
        if order.exchange_order_id is None and core.exchange_order_id is not None:
            order.update_exchange_order_id(str(core.exchange_order_id))
        if isinstance(event, ev.OrderStateChanged):
            if not event.new_state.is_done and not order.current_state.name.startswith(
                ("CANCELED", "FILLED", "FAILED")
            ):
                self._set_state(order, STATES[event.new_state], event)
        elif isinstance(event, ev.OrderFilled):
            self._tracker._book(order, self._fill(order, event.fill))
        elif isinstance(event, ev.OrderCreated):
            if order.client_order_id in self._uncreated:
                self._uncreated.discard(order.client_order_id)
                if order.is_pending_create:
                    self._set_state(order, OrderState.OPEN, event)
                self._tracker._trigger_order_creation(order, OrderState.PENDING_CREATE, OrderState.OPEN)
        elif isinstance(event, ev.OrderCompleted):
            if event.incomplete:
                self._tracker._end_without_fills(order)
            self._end(order, OrderState.FILLED)
        elif isinstance(event, ev.OrderCancelled | ev.OrderExpired):
            if isinstance(event, ev.OrderCancelled) and event.incomplete:
                self._tracker._end_without_fills(order)
            self._end(order, OrderState.CANCELED)
        elif isinstance(event, ev.OrderFailed):
            reject = event.reject
            message = str(reject) if reject is not None else event.reason
            kind = reject.code if reject is not None else "Rejected"
            self._end(order, OrderState.FAILED, {"error_message": message, "error_type": kind})
        elif isinstance(event, ev.OrderModified):
            order.update_exchange_order_id(str(core.exchange_order_id))
            order.price, order.amount = core.price, core.amount

    def _set_state(self, order: InFlightOrder, state: OrderState, event: ev.OrderEvent) -> None:
        order.current_state = state
        order.last_update_timestamp = event.time_ms / 1000 if event.time_ms else event.recv_ns / 1e9
        order.check_processed_by_exchange_condition()

    def _end(self, order: InFlightOrder, state: OrderState, misc: dict[str, Any] | None = None) -> None:
        if order.client_order_id not in self._tracker.active_orders:
            return
        self._uncreated.discard(order.client_order_id)
        now = self._tracker.current_timestamp
        update = OrderUpdate(order.trading_pair, now, state, order.client_order_id, order.exchange_order_id, misc)
        order.update_with_order_update(update)
        if state is OrderState.FILLED:
            self._tracker._trigger_completed(order)
        elif state is OrderState.CANCELED:
            self._tracker._trigger_cancelled(order)
        else:
            self._tracker._trigger_failed(order, update)
        self._tracker.stop_tracking_order(order.client_order_id)

    def _fill(self, order: InFlightOrder, fill: CoreFill) -> TradeUpdate:
        seconds = fill.time_ms / 1000
        trade_id = str(fill.tid)
        booked = order.order_fills.get(trade_id)
        if booked is not None and booked.fill_timestamp != seconds:
            trade_id = f"{trade_id}-{fill.time_ms}"
        return TradeUpdate(
            trade_id=trade_id,
            client_order_id=order.client_order_id,
            exchange_order_id=str(fill.oid) if fill.oid else order.exchange_order_id or "",
            trading_pair=order.trading_pair,
            fill_timestamp=seconds,
            fill_price=fill.price,
            fill_base_amount=fill.amount,
            fill_quote_amount=fill.quote_amount,
            fee=self._fee(fill),
            is_taker=fill.is_taker,
        )

    def _fee(self, fill: CoreFill) -> TradeFeeBase:
        kind = AddedToCostTradeFee if fill.direction.startswith("Open") else DeductedFromReturnsTradeFee
        return kind(flat_fees=[TokenAmount(self._fee_token_of(fill), fill.fee)])
