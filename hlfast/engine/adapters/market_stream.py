"""MarketStreamAdapter (layer 4): one running market stream as an order-book source for any number of users.

    stream = MarketStream(connector)                       # one for each connector
    source = MarketStreamAdapter(stream)                   # one for each user
    source.set_message_callback(lambda message: ...)
    source.subscribe_orderbook("BTC-USD")

The stream counts its users: an instrument is subscribed to once, and let go by the last user. One that was watched before
is left alone. Starting or stopping an adapter never touches the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hlfast.core.connector_base import ConnectorBase, Unsubscribe
from hlfast.core.events import StreamStatus
from hlfast.core.order_book import OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade
from hlfast.engine.gateway_symbols import SymbolTable
from hlfast.errors import ConfigError
from hlfast.types import StreamState


@dataclass(frozen=True)
class OrderBookMessage:
    """`kind`: "SNAPSHOT" (`data`: the book, valid until the callback returns) or "TRADE" (`data`: the `Trade`)."""

    kind: str
    pair: str
    time_ns: int
    data: Any


MessageCallback = Callable[[OrderBookMessage], object]


class MarketStream:
    """A connector's market data with a count of users. Nothing happens to the connector before the first `acquire`."""

    def __init__(self, connector: ConnectorBase) -> None:
        self.connector = connector
        self._users: dict[str, int] = {}
        self._not_ours: set[str] = set()
        self._table: SymbolTable | None = None
        self._table_of: Mapping[str, TradingRule] | None = None
        self._state = str(connector.status.get("market", ""))
        self._leave = connector.on(StreamStatus, self._on_status)

    def _on_status(self, event: StreamStatus) -> None:
        if event.stream == "market":
            self._state = event.state

    @property
    def is_connected(self) -> bool:
        return self._state == str(StreamState.LIVE)

    @property
    def coins(self) -> list[str]:
        return list(self._users)

    def resolve(self, pair: str) -> str:
        """The venue's name of an instrument. Raises `ConfigError` for an empty or unknown pair."""
        if not pair or not pair.strip():
            raise ConfigError("a trading pair is needed, for example BTC-USD, got an empty one")
        rules = self.connector.trading_rules
        if self._table is None or rules is not self._table_of:
            self._table, self._table_of = SymbolTable(rules.values()), rules
        return self._table.resolve(pair, None).coin

    def acquire(self, coin: str) -> None:
        if coin not in self._users:
            try:
                self.connector.book(coin)
                self._not_ours.add(coin)
            except ConfigError:
                pass
            self.connector.watch(coin, trades=True)
        self._users[coin] = self._users.get(coin, 0) + 1

    def release(self, coin: str) -> None:
        left = self._users[coin] - 1
        if left:
            self._users[coin] = left
            return
        del self._users[coin]
        if coin in self._not_ours:
            self._not_ours.discard(coin)
        else:
            self.connector.unwatch(coin)

    def close(self) -> None:
        """Hear nothing more of the connector. Users have to be gone."""
        self._leave()


class MarketStreamAdapter:
    """An order-book source over `stream`. Raises `ConfigError` without one."""

    name = "hyperliquid_marketstream_adapter"

    def __init__(self, stream: MarketStream) -> None:
        if stream is None:
            raise ConfigError("a MarketStreamAdapter needs a MarketStream, got None")
        self._stream = stream
        self._callback: MessageCallback | None = None
        self._handlers: dict[str, list[Unsubscribe]] = {}
        self._pairs: dict[str, str] = {}
        self._runs = True

    async def initialize(self) -> bool:
        return True

    async def start(self) -> None:
        """Messages are forwarded from now on. The stream is its owner's to start."""
        self._runs = True

    async def stop(self) -> None:
        """No more messages; the stream and its subscriptions stay as they are."""
        self._runs = False

    @property
    def is_connected(self) -> bool:
        return self._stream.is_connected

    def set_message_callback(self, callback: MessageCallback | None) -> None:
        """`callback(OrderBookMessage)`, inside the frame: a plain function."""
        self._callback = callback

    def subscribe_orderbook(self, pair: str) -> None:
        """Books and trades of an instrument; twice is once. Raises `ConfigError` for an empty or unknown pair."""
        coin = self._stream.resolve(pair)
        if coin in self._handlers:
            return
        self._stream.acquire(coin)
        self._pairs[coin] = pair
        connector = self._stream.connector
        self._handlers[coin] = [
            connector.on_book(coin, lambda book: self._forward_book(pair, book)),
            connector.on_trade(coin, lambda trade: self._forward_trade(pair, trade)),
        ]

    def unsubscribe_orderbook(self, pair: str) -> None:
        coin = self._stream.resolve(pair)
        for remove in self._handlers.pop(coin, []):
            remove()
        if self._pairs.pop(coin, None) is not None:
            self._stream.release(coin)

    def get_snapshot(self, pair: str) -> Any:
        """A copy of the book as it is now. Raises `ConfigError` if nobody watches the instrument."""
        return self._stream.connector.book(self._stream.resolve(pair)).snapshot()

    def get_trading_pairs(self) -> list[str]:
        """What the stream carries, for all its users."""
        return self._stream.coins

    def _forward_book(self, pair: str, book: OrderBook) -> None:
        if self._callback is not None and self._runs:
            self._callback(OrderBookMessage("SNAPSHOT", pair, book.time_ms * 1_000_000, book))

    def _forward_trade(self, pair: str, trade: Trade) -> None:
        if self._callback is not None and self._runs:
            self._callback(OrderBookMessage("TRADE", pair, trade.time_ms * 1_000_000, trade))
