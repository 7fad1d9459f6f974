"""CallbackDigest: one number for everything that a connector called back with, in its order (layer 4, cold).

Books with all levels, best prices, trades, and events of orders, positions and streams, each with its receive time. Names
that differ from run to run (client order ids, cloids) count by the order of their first appearance. Two runs with the
same digest told the same story.
"""

from __future__ import annotations

import hashlib
from typing import Any

from hlfast.core.connector_base import ConnectorBase, Unsubscribe
from hlfast.core.events import ConnectorError, OrderEvent, OrderFilled, PositionUpdate, StreamStatus
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.updates import Trade


class CallbackDigest:
    """`attach(connector, coins)` once the coins are watched. `count` says how many of each kind there were."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self._hash = hashlib.blake2b(digest_size=16)
        self._names: dict[str, int] = {}
        self._removers: list[Unsubscribe] = []

    def attach(self, connector: ConnectorBase, coins: list[str]) -> None:
        for coin in coins:
            self._removers += [
                connector.on_book(coin, self._on_book),
                connector.on_bbo(coin, self._on_bbo),
                connector.on_trade(coin, self._on_trade),
            ]
        for event_class in (OrderEvent, PositionUpdate, StreamStatus, ConnectorError):
            self._removers.append(connector.on(event_class, self._on_event))

    def detach(self) -> None:
        while self._removers:
            self._removers.pop()()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def _add(self, kind: str, *values: Any) -> None:
        self.count[kind] = self.count.get(kind, 0) + 1
        self._hash.update(repr((kind, *values)).encode())

    def _on_book(self, book: OrderBook) -> None:
        self._add("book", book.coin, book.time_ms, book.recv_ns, book.levels())

    def _on_bbo(self, bbo: Bbo) -> None:
        self._add("bbo", bbo.coin, bbo.time_ms, bbo.recv_ns, bbo.bid_px_e8, bbo.bid_lots, bbo.ask_px_e8, bbo.ask_lots)

    def _on_trade(self, trade: Trade) -> None:
        self._add("trade", trade.coin, trade.tid, trade.px_e8, trade.lots, trade.is_buy, trade.time_ms, trade.recv_ns)

    def _on_event(self, event: Any) -> None:
        kind = type(event).__name__
        if isinstance(event, OrderEvent):
            order = event.order
            number = self._names.setdefault(event.client_order_id, len(self._names))
            fill = (event.fill.px_e8, event.fill.lots, event.fill.is_taker) if isinstance(event, OrderFilled) else ()
            self._add(
                kind, number, order.coin, order.is_buy, order.px_e8, order.lots, order.filled_lots, order.state.name, fill,
                event.recv_ns,
            )  # fmt: skip
        elif isinstance(event, PositionUpdate):
            self._add(kind, event.coin, str(event.position.signed_size), event.recv_ns)
        elif isinstance(event, StreamStatus):
            self._add(kind, event.stream, event.state, event.recv_ns)
        else:
            self._add(kind, event.code, event.text, event.recv_ns)
