"""BridgeAdapter (layer 4): orders at one venue by the caller's own ids, each call with an answer and never an exception.

    bridge = BridgeAdapter(hlfast.connect)
    if not bridge.initialize("0x...", "env:HL_KEY", testnet=True):
        raise SystemExit(bridge.reason)
    await bridge.connect()
    bridge.set_fill_callback(lambda cl_id, fill: print(cl_id, fill.amount, fill.fee))
    answer = bridge.place_order("mine-1", "BTCUSDT", "buy", "0.1", "50000", time_in_force="IOC")

An answer says what was handed over, not what became of it: that is told by the callbacks. Nothing is ever queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hlfast.core import events as ev
from hlfast.core.connector_base import ConnectorBase, VenueOrder
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import TradeUpdate
from hlfast.engine.gateway_messages import KINDS, TIFS
from hlfast.engine.gateway_symbols import SymbolTable
from hlfast.errors import ConfigError, HlfastError, NotReady
from hlfast.types import Number, OrderParams, OrderType, Trigger

RETRY_SECONDS, RETRY_MAX_SECONDS = 0.25, 5.0
_ORDER_TYPES = {"market": OrderType.MARKET, "stop": OrderType.STOP_MARKET, "stop_limit": OrderType.STOP_LIMIT}


@dataclass(frozen=True)
class BridgeAnswer:
    """`text`: why not, where `ok` is false. `order`: ours, or as the venue told it."""

    ok: bool
    cl_id: str
    text: str = ""
    order: InFlightOrder | VenueOrder | None = None


class BridgeAdapter:
    """`connect(network, key=..., account=...)` makes the connector: `hlfast.connect`."""

    name = "hyperliquid"

    def __init__(self, connect: Callable[..., ConnectorBase]) -> None:
        self._make = connect
        self._removers: list[Callable[[], None]] = []
        self._on_order: Callable[[str, InFlightOrder], object] | None = None
        self._on_fill: Callable[[str, TradeUpdate], object] | None = None
        self._on_error: Callable[[str, str], object] | None = None
        self.connector: ConnectorBase | None = None
        self.reason = ""

    # -- life -------------------------------------------------------------------------------------------------------
    def initialize(self, address: str | None, key: str | None, testnet: bool, *, network: Any = None) -> bool:
        """True if a connector could be made; else `reason` says why not (without the key). `network`: in place of the two."""
        where = network if network is not None else "testnet" if testnet else "mainnet"
        try:
            self.connector = self._make(where, key=key, account=address)
        except HlfastError as error:
            self.reason = str(error)
            return False
        self.reason = ""
        on = self.connector.on
        self._removers = [
            on(ev.OrderEvent, self._hear_order),
            on(ev.OrderFilled, self._hear_fill),
            on(ev.ConnectorError, self._hear_error),
        ]
        return True

    async def connect(self) -> None:
        """Returns when orders are taken; keeps trying until then. Raises `ConfigError` before `initialize`."""
        connector, pause = self._ready_made(), RETRY_SECONDS
        started = False
        while True:
            try:
                if not started:
                    await connector.initialize()
                    await connector.connect()
                    started = True
                await connector.wait_ready()
                return
            except NotReady as error:
                self.reason = str(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, RETRY_MAX_SECONDS)

    async def disconnect(self) -> None:
        if self.connector is not None:
            await self.connector.disconnect()
        while self._removers:
            self._removers.pop()()

    def _ready_made(self) -> ConnectorBase:
        if self.connector is None:
            raise ConfigError("initialize(address, key, testnet) comes first")
        return self.connector

    @property
    def is_connected(self) -> bool:
        return self.connector is not None and self.connector.is_connected

    # -- orders -----------------------------------------------------------------------------------------------------
    def place_order(
        self,
        cl_id: str,
        symbol: str,
        side: str,
        size: Number,
        price: Number | None = None,
        *,
        order_type: str = "limit",
        time_in_force: str | None = None,
        stop_price: Number | None = None,
        reduce_only: bool = False,
        product_type: str | None = None,
    ) -> BridgeAnswer:
        """Words are the gateway contract's (docs/gateway.md), without regard to case."""
        connector = self.connector
        if connector is None or not self.is_connected:
            return BridgeAnswer(False, cl_id, "not connected; nothing was sent")
        try:
            order = OrderParams(
                SymbolTable(connector.trading_rules.values()).resolve(symbol, product_type).coin,
                size,
                price,
                tif=None if time_in_force is None else _word(TIFS, "time_in_force", time_in_force),
                reduce_only=reduce_only,
                client_order_id=cl_id,
                **_kind(order_type, stop_price),
            )
            place = _word({"buy": connector.buy, "sell": connector.sell}, "side", side)
            return BridgeAnswer(True, cl_id, "", place(order))
        except HlfastError as error:
            return BridgeAnswer(False, cl_id, str(error))

    def cancel_order(self, cl_id: str) -> BridgeAnswer:
        return self._ask(cl_id, "it is not known here, or has ended", lambda c: c.cancel(cl_id))

    def modify_order(self, cl_id: str, *, price: Number | None = None, size: Number | None = None) -> BridgeAnswer:
        """A real modify: the same order with another price or total size."""
        return self._ask(
            cl_id, "it is not known here, or cannot be modified now", lambda c: c.modify(cl_id, price=price, size=size)
        )

    def _ask(self, cl_id: str, otherwise: str, ask: Callable[[ConnectorBase], bool]) -> BridgeAnswer:
        connector = self.connector
        if connector is None or not self.is_connected:
            return BridgeAnswer(False, cl_id, "not connected; nothing was sent")
        order = connector.get_order(cl_id)
        try:
            done = ask(connector)
        except HlfastError as error:
            return BridgeAnswer(False, cl_id, str(error), order)
        return BridgeAnswer(done, cl_id, "" if done else otherwise, order)

    async def query_order(self, cl_id: str) -> BridgeAnswer:
        """What is known of an order; the venue is asked for one that is not known here, by its number or cloid."""
        connector = self.connector
        if connector is None or not self.is_connected:
            return BridgeAnswer(False, cl_id, "not connected")
        order = connector.get_order(cl_id)
        if order is not None:
            return BridgeAnswer(True, cl_id, "", order)
        try:
            found = await connector.look_up_order(int(cl_id) if cl_id.isdigit() else cl_id)
        except HlfastError as error:
            return BridgeAnswer(False, cl_id, str(error))
        return BridgeAnswer(found is not None, cl_id, "" if found else "neither we nor the venue know it", found)

    def list_open_orders(self, symbol: str | None = None, product_type: str | None = None) -> list[InFlightOrder]:
        """Those that rest; none when not connected. Raises `ConfigError` for an unknown symbol."""
        connector = self.connector
        if connector is None or not self.is_connected:
            return []
        rules = connector.trading_rules
        coin = None if symbol is None else SymbolTable(rules.values()).resolve(symbol, product_type).coin
        wanted = None if product_type is None else product_type == "perpetual"
        return [
            order
            for order in connector.get_open_orders()
            if coin in (None, order.coin) and wanted in (None, rules[order.coin].is_perpetual)
        ]

    # -- callbacks --------------------------------------------------------------------------------------------------
    def set_order_callback(self, fn: Callable[[str, InFlightOrder], object] | None) -> None:
        """`fn(cl_id, order)` after every change of an order."""
        self._on_order = fn

    def set_fill_callback(self, fn: Callable[[str, TradeUpdate], object] | None) -> None:
        """`fn(cl_id, fill)`, once for each fill."""
        self._on_fill = fn

    def set_error_callback(self, fn: Callable[[str, str], object] | None) -> None:
        """`fn(code, text)`: what concerns no single call."""
        self._on_error = fn

    def _hear_order(self, event: ev.OrderEvent) -> None:
        if self._on_order is not None:
            self._on_order(event.client_order_id, event.order)

    def _hear_fill(self, event: ev.OrderFilled) -> None:
        if self._on_fill is not None:
            self._on_fill(event.client_order_id, event.fill)

    def _hear_error(self, event: ev.ConnectorError) -> None:
        if self._on_error is not None:
            self._on_error(event.code, event.text)


def _word(table: dict[str, Any], name: str, given: str) -> Any:
    found = table.get(given.lower())
    if found is None:
        raise ConfigError(f"{name} is one of {', '.join(table)}, got {given!r}")
    return found


def _kind(order_type: str, stop_price: Number | None) -> dict[str, Any]:
    kind, has_trigger = _word(KINDS, "order_type", order_type)
    if has_trigger != (stop_price is not None):
        raise ConfigError(f"stop_price goes with a stop order and with no other, got {order_type} and {stop_price}")
    found: dict[str, Any] = {"order_type": _ORDER_TYPES.get(kind)}
    if stop_price is not None:
        found["trigger"] = Trigger(stop_price, is_market=kind == "stop")
    return found
