"""The gateway's market data (layer 4): trades, books, deltas and checkpoints of the configured instruments.

Prices and sizes leave as the exact decimals that came in, with what `gateway_features` derives from them. A book that was
refused (crossed, for example) is counted and not published; after it, and after a reconnect, windows restart and a
checkpoint comes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import orjson

from hlfast import clock
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.events import StreamStatus
from hlfast.core.order_book import OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade
from hlfast.engine.gateway_features import InstrumentFeatures
from hlfast.engine.gateway_settings import Feed
from hlfast.engine.gateway_text import price, size
from hlfast.types import StreamState

EXCHANGE = "HYPERLIQUID"
SEEN_TRADES = 2_000
Level = tuple[int, int]
Send = Callable[[list[bytes]], object]


class MarketDataPublisher:
    """`send_trade`, `send_book`: of the two sockets. The other arguments are those of the settings."""

    def __init__(
        self,
        connector: ConnectorBase,
        send_trade: Send,
        send_book: Send,
        *,
        depth_levels: int = 10,
        deltas: bool = False,
        checkpoint_every_ms: int = 1_000,
        with_snapshots: bool = False,
        window_size: int = 20,
        ofi: str = "cks",
    ) -> None:
        self._connector = connector
        self._send_trade, self._send_book = send_trade, send_book
        self._depth, self._deltas, self._with_snapshots = depth_levels, deltas, with_snapshots
        self._checkpoint_ns = checkpoint_every_ms * 1_000_000
        self._window_size, self._ofi = window_size, ofi
        self._instruments: list[_Instrument] = []
        self._removers: list[Callable[[], None]] = []
        self.refused_books = 0
        """Crossed, locked or out of order; the venue's next frame takes their place."""

    def start(self, feeds: tuple[Feed, ...], resolve: Callable[[str], TradingRule]) -> None:
        """Watch and publish. `resolve(symbol)`: an instrument's rule. Raises `ConfigError` for an unknown one."""
        for feed in feeds:
            for symbol in feed.symbols:
                rule = resolve(symbol)
                coin = rule.coin
                self._connector.watch(
                    coin, book=feed.enable_orderbook, bbo=not feed.enable_orderbook, trades=feed.enable_trades
                )
                features = InstrumentFeatures(
                    rule, window_size=self._window_size, depth_levels=self._depth, ofi=self._ofi
                )
                one = _Instrument(self, symbol, features, feed, self._deltas and not feed.snapshots_only)
                self._instruments.append(one)
                if feed.enable_orderbook:
                    self._removers.append(self._connector.on_book(coin, one.on_book))
                if feed.enable_trades:
                    self._removers.append(self._connector.on_trade(coin, one.on_trade))
        self._removers.append(self._connector.on(StreamStatus, self._on_stream))

    def stop(self) -> None:
        while self._removers:
            self._removers.pop()()

    def tick(self) -> None:
        """Checkpoints that are due although no book came. Call it a few times a second."""
        for one in self._instruments:
            one.tick()

    def _on_stream(self, event: StreamStatus) -> None:
        if event.stream == "market" and event.state in (str(StreamState.DOWN), str(StreamState.CONNECTING)):
            for one in self._instruments:
                one.restart()


class _Instrument:
    """One symbol's numbers, windows and last published levels."""

    def __init__(
        self, of: MarketDataPublisher, symbol: str, features: InstrumentFeatures, feed: Feed, deltas: bool
    ) -> None:
        self._of, self._symbol, self._features = of, symbol, features
        self._deltas = deltas
        self._interval_ns = int(feed.snapshot_interval * 1e9)
        topic = f"{EXCHANGE}-preprocessed_{{}}-{symbol}"
        self._topics = {kind: topic.format(kind).encode() for kind in ("trades", "book", "book_delta", "book_ckpt")}
        self._seq = {"trades": 0, "book": 0, "book_stream": 0}
        self._seen: set[tuple[int, int]] = set()
        self._seen_order: deque[tuple[int, int]] = deque()
        self._subscribed_ms = clock.wall_clock_ms()
        self._window: tuple[list[Level], list[Level]] | None = None
        self._decimals = self._refused = 0
        self._book_ns = self._checkpoint_ns = self._recv_ns = 0

    def restart(self) -> None:
        self._window = None
        self._subscribed_ms = clock.wall_clock_ms()
        self._features.restart()

    def _number(self, stream: str) -> int:
        self._seq[stream] += 1
        return self._seq[stream]

    # -- trades -----------------------------------------------------------------------------------------------------
    def on_trade(self, trade: Trade) -> None:
        key = (trade.time_ms, trade.tid)
        if key in self._seen:
            return
        self._seen.add(key)
        self._seen_order.append(key)
        if len(self._seen_order) > SEEN_TRADES:
            self._seen.discard(self._seen_order.popleft())
        body: dict[str, Any] = {
            "receipt_timestamp_ns": trade.recv_ns,
            "exchange_timestamp_ns": trade.time_ms * 1_000_000,
            "symbol": self._symbol,
            "exchange": EXCHANGE,
            "price": price(trade.px_e8),
            "amount": size(trade.lots, trade.sz_decimals),
            "side": "buy" if trade.is_buy else "sell",
            "trade_id": str(trade.tid),
            **self._features.on_trade(trade),
            "seq": self._number("trades"),
            "schema_version": 1,
            "preprocessing_timestamp": _second(clock.epoch_ns()),
        }
        if trade.time_ms < self._subscribed_ms:
            body["replay"] = True
        self._of._send_trade([self._topics["trades"], orjson.dumps(body)])

    # -- books ------------------------------------------------------------------------------------------------------
    def on_book(self, book: OrderBook) -> None:
        if book.bad_count != self._refused:  # refused frames between the last book and this one
            self._of.refused_books += book.bad_count - self._refused
            self._refused = book.bad_count
            self._window = None
            self._features.restart_book()
        if book.is_stale:
            return
        derived = self._features.on_book(book)
        depth = self._of._depth
        bids, asks = ([(px, lots) for px, lots, _ in side[:depth]] for side in book.levels())
        self._decimals, self._recv_ns = book.sz_decimals, book.recv_ns
        if self._deltas:
            self._tell_change(bids, asks, book.recv_ns)
            if not self._of._with_snapshots:
                return
        if self._interval_ns and book.recv_ns - self._book_ns < self._interval_ns:
            return
        self._book_ns = book.recv_ns
        body = {
            "receipt_timestamp_ns": book.recv_ns,
            "exchange_timestamp_ns": book.time_ms * 1_000_000,
            "symbol": self._symbol,
            "exchange": EXCHANGE,
            "seq": self._number("book"),
            **derived,
            "schema_version": 1,
            "preprocessing_timestamp": _second(clock.epoch_ns()),
            "bids": [[price(px), size(lots, self._decimals)] for px, lots in bids],
            "asks": [[price(px), size(lots, self._decimals)] for px, lots in asks],
        }
        self._of._send_book([self._topics["book"], orjson.dumps(body)])

    def _tell_change(self, bids: list[Level], asks: list[Level], recv_ns: int) -> None:
        before, self._window = self._window, (bids, asks)
        if before is None:
            self._tell_checkpoint()
            return
        changes = [
            (side, px, lots)
            for side, old, new in ((0, before[0], bids), (1, before[1], asks))
            for px, lots in _changed(old, new)
        ]
        if changes:
            body = {
                "symbol": self._symbol,
                "exchange": EXCHANGE,
                "receipt_timestamp_ns": recv_ns,
                "seq": self._number("book_stream"),
                "side": [side for side, _, _ in changes],
                "px": [price(px) for _, px, _ in changes],
                "sz": [size(lots, self._decimals) for _, _, lots in changes],
            }
            self._of._send_book([self._topics["book_delta"], orjson.dumps(body)])
        self.tick()

    def tick(self) -> None:
        if (
            self._deltas
            and self._window is not None
            and clock.monotonic_ns() - self._checkpoint_ns >= self._of._checkpoint_ns
        ):
            self._tell_checkpoint()

    def _tell_checkpoint(self) -> None:
        assert self._window is not None
        self._checkpoint_ns = clock.monotonic_ns()
        bids, asks = self._window
        body = {
            "symbol": self._symbol,
            "exchange": EXCHANGE,
            "receipt_timestamp_ns": self._recv_ns,
            "seq": self._number("book_stream"),
            "bid_px": [price(px) for px, _ in bids],
            "bid_sz": [size(lots, self._decimals) for _, lots in bids],
            "ask_px": [price(px) for px, _ in asks],
            "ask_sz": [size(lots, self._decimals) for _, lots in asks],
        }
        self._of._send_book([self._topics["book_ckpt"], orjson.dumps(body)])


def _changed(old: list[Level], new: list[Level]) -> list[Level]:
    """What turns `old` into `new`, by ascending price; size 0 removes."""
    before, after = dict(old), dict(new)
    changes = [(px, lots) for px, lots in new if before.get(px) != lots]
    return sorted([*changes, *((px, 0) for px in before if px not in after)])


def _second(epoch_ns: int) -> str:
    return datetime.fromtimestamp(epoch_ns // 1_000_000_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
