"""OrderEventPublisher (layer 4): every change of an order as an event on a ZeroMQ PUB socket, numbered without gaps.

    publisher = OrderEventPublisher(context, "tcp://127.0.0.1:5603", "orders.hyperliquid")
    publisher.created(order)                              # topic orders.hyperliquid.created

May be called from any thread: one lock covers the number and the send. The socket's high water mark bounds what a slow
reader can hold; a reader sees by `seq` what it missed.
"""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import orjson

from hlfast import clock
from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import TradeUpdate
from hlfast.engine.gateway_sockets import HIGH_WATER, load_zmq
from hlfast.engine.gateway_text import average, number, price, size
from hlfast.errors import ConfigError

KINDS: dict[str, str] = {
    "created": "order_created",
    "partial_fill": "order_partially_filled",
    "filled": "order_filled",
    "cancelled": "order_cancelled",
    "failed": "order_failed",
    "update": "order_update",
}


class OrderEventPublisher:
    """`context`: a `zmq.Context`. `endpoint` is bound here; or give a bound `socket`, which stays its owner's.

    Raises `ConfigError` without a context, and where the endpoint cannot be bound.
    """

    def __init__(self, context: Any, endpoint: str, prefix: str = "orders", *, socket: Any = None) -> None:
        zmq = load_zmq()
        if context is None:
            raise ConfigError("an OrderEventPublisher needs a zmq.Context, got None")
        if not prefix or not prefix.isprintable():
            raise ConfigError(f"prefix is readable text, got {prefix!r}")
        self._owns = socket is None
        self.prefix = prefix
        self.seq = 0
        self._ts_ns = 0
        self._lock = threading.Lock()
        self._noblock = zmq.NOBLOCK
        if socket is None:
            socket = context.socket(zmq.PUB)
            socket.linger = 1_000
            socket.set_hwm(HIGH_WATER["events"])
            try:
                socket.bind(endpoint)
            except zmq.ZMQError as error:
                socket.close(0)
                raise ConfigError(f"{endpoint} cannot be bound: {error}") from None
        self._socket = socket
        self.endpoint = endpoint

    def close(self) -> None:
        if self._owns:
            self._socket.close()

    # -- the six kinds ----------------------------------------------------------------------------------------------
    def created(self, order: InFlightOrder, name: str | None = None, pair: str | None = None) -> None:
        self._publish("created", _data(order, name, pair))

    def fill(
        self,
        order: InFlightOrder,
        fill: TradeUpdate,
        name: str | None = None,
        pair: str | None = None,
        cum_lots: int | None = None,
        is_partial: bool | None = None,
    ) -> None:
        """`cum_lots`: filled with this fill, where the order is ahead of it already."""
        cum = order.filled_lots if cum_lots is None else cum_lots
        partial = cum < order.lots if is_partial is None else is_partial
        data = _data(order, name, pair, cum)
        data["order_state"] = "PARTIALLY_FILLED" if partial else "FILLED"
        data["is_done"] = not partial
        trade = {
            "trade_id": str(fill.tid),
            "client_order_id": data["client_order_id"],
            "exchange_order_id": str(fill.exchange_order_id or ""),
            "trading_pair": data["trading_pair"],
            "fill_price": price(fill.px_e8),
            "fill_base_amount": number(fill.amount),
            "fill_quote_amount": number(fill.quote_amount),
            "fill_timestamp": fill.time_ms * 1_000_000,
            "fee_amount": number(fill.fee),
            "fee_currency": fill.fee_token,
            "liquidity": "taker" if fill.is_taker else "maker",
        }
        self._publish("partial_fill" if partial else "filled", data, trade=trade)

    def cancelled(
        self, order: InFlightOrder, name: str | None = None, pair: str | None = None, reason: str = ""
    ) -> None:
        self._publish("cancelled", _data(order, name, pair, reason=reason))

    def failed(self, order: InFlightOrder, name: str | None = None, pair: str | None = None, reason: str = "") -> None:
        self._publish("failed", _data(order, name, pair), failure_reason=reason or order.reason)

    def update(self, order: InFlightOrder, name: str | None = None, pair: str | None = None) -> None:
        self._publish("update", _data(order, name, pair))

    def _publish(
        self, kind: str, data: dict[str, Any], *, failure_reason: str | None = None, trade: dict[str, Any] | None = None
    ) -> None:
        topic = f"{self.prefix}.{kind}".encode()
        with self._lock:
            self.seq += 1
            self._ts_ns = max(self._ts_ns, clock.epoch_ns())
            event: dict[str, Any] = {"event_type": KINDS[kind], "timestamp": self._ts_ns, "seq": self.seq}
            if failure_reason is not None:
                event["failure_reason"] = failure_reason
            event["data"] = data
            if trade is not None:
                event["trade"] = trade
            self._socket.send_multipart([topic, orjson.dumps(event)], self._noblock)


def _data(
    order: InFlightOrder, name: str | None, pair: str | None, cum_lots: int | None = None, reason: str = ""
) -> dict[str, Any]:
    cum = order.filled_lots if cum_lots is None else cum_lots
    decimals = order.sz_decimals
    data: dict[str, Any] = {
        "client_order_id": order.client_order_id if name is None else name,
        "exchange_order_id": str(order.exchange_order_id or ""),
        "trading_pair": pair or order.trading_pair,
        "order_type": str(order.order_type),
        "trade_type": str(order.trade_type),
        "price": price(order.px_e8),
        "amount": size(order.lots, decimals),
        "filled_amount": size(cum, decimals),
        "average_fill_price": average(_average(order, cum)),
        "remaining_amount": size(max(order.lots - cum, 0), decimals),
        "order_state": str(order.state),
        "is_done": order.is_done,
        "creation_timestamp": order.created_ns,
        "last_update_timestamp": order.updated_ns or order.created_ns,
    }
    if reason:
        data["reason"] = reason
    if order.unresolved:
        data["unresolved"] = True
    return data


def _average(order: InFlightOrder, cum_lots: int) -> Decimal:
    """Of the first `cum_lots`: the order may have more fills than have been told."""
    if cum_lots == order.filled_lots:
        return order.average_fill_price or Decimal(0)
    total, lots = Decimal(0), 0
    for fill in order.fills:
        if lots >= cum_lots:
            break
        lots += fill.lots
        total = EXACT.add(total, fill.quote_amount)
    return total / scaled_to_decimal(lots, order.sz_decimals) if lots else Decimal(0)
