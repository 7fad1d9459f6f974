"""OrderBook: levels with update ids, fed by snapshots and diffs; and `LiveOrderBook`, the same face over a compiled book.

Prices and amounts are floats, as upstream. A connector's books are `LiveOrderBook`s: nothing is copied when a frame
comes, levels are made when they are asked for.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hlfast.compat.hummingbot.core.data_type.order_book_message import OrderBookMessage
from hlfast.compat.hummingbot.core.data_type.order_book_query_result import OrderBookQueryResult
from hlfast.compat.hummingbot.core.data_type.order_book_row import OrderBookRow
from hlfast.compat.hummingbot.core.event.events import OrderBookEvent, OrderBookTradeEvent
from hlfast.compat.hummingbot.core.pubsub import PubSub
from hlfast.core.order_book import OrderBook as CoreBook

NaN = math.nan
EMPTY = "Order book is empty - no price quote is possible."


class _Side:
    """One side's rows by price, prices ascending."""

    def __init__(self) -> None:
        self.rows: dict[float, OrderBookRow] = {}
        self.prices: list[float] = []

    def put(self, row: OrderBookRow) -> None:
        if row.amount == 0:
            self.remove(row.price)
            return
        if row.price not in self.rows:
            insort(self.prices, row.price)
        self.rows[row.price] = row

    def remove(self, price: float) -> None:
        if self.rows.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]

    def clear(self) -> None:
        self.rows.clear()
        self.prices.clear()


class OrderBook(PubSub):
    """`dex`: of two levels that cross, the one with less value goes; else the one with the older update id."""

    def __init__(self, dex: bool = False) -> None:
        super().__init__()
        self._dex = dex
        self._bids, self._asks = _Side(), _Side()
        self._snapshot_uid = 0
        self._last_diff_uid = 0
        self._last_trade_price = NaN
        self._last_applied_trade = -1000.0
        self._last_trade_price_rest_updated = -1000.0

    # -- what is fed ------------------------------------------------------------------------------------------------
    def apply_snapshot(self, bids: Iterable[OrderBookRow], asks: Iterable[OrderBookRow], update_id: int) -> None:
        for side, rows in ((self._bids, bids), (self._asks, asks)):
            side.clear()
            for row in rows:
                side.put(row)
        if self._dex:
            self._uncross()
        self._snapshot_uid = update_id

    def apply_diffs(self, bids: Iterable[OrderBookRow], asks: Iterable[OrderBookRow], update_id: int) -> None:
        for side, rows in ((self._bids, bids), (self._asks, asks)):
            for row in rows:
                side.put(row)
        self._uncross()
        self._last_diff_uid = update_id

    def _uncross(self) -> None:
        bids, asks = self._bids, self._asks
        while bids.prices and asks.prices and bids.prices[-1] >= asks.prices[0]:
            bid, ask = bids.rows[bids.prices[-1]], asks.rows[asks.prices[0]]
            if self._dex:
                ask_goes = ask.price * ask.amount < bid.price * bid.amount
            else:
                ask_goes = ask.update_id < bid.update_id
            if ask_goes:
                asks.remove(ask.price)
            else:
                bids.remove(bid.price)

    def apply_numpy_snapshot(
        self, bids_array: Sequence[Sequence[float]], asks_array: Sequence[Sequence[float]]
    ) -> None:
        """Rows of [price, amount, update id]; the snapshot's id is the highest of them."""
        bids, asks = _rows(bids_array), _rows(asks_array)
        self.apply_snapshot(bids, asks, _newest(bids, asks))

    def apply_numpy_diffs(self, bids_array: Sequence[Sequence[float]], asks_array: Sequence[Sequence[float]]) -> None:
        bids, asks = _rows(bids_array), _rows(asks_array)
        self.apply_diffs(bids, asks, _newest(bids, asks))

    def apply_pandas_diffs(self, bids_df: Any, asks_df: Any) -> None:
        columns = ["price", "amount", "update_id"]
        self.apply_numpy_diffs(bids_df[columns].values, asks_df[columns].values)

    def apply_trade(self, trade_event: OrderBookTradeEvent) -> None:
        self._last_trade_price = float(trade_event.price)
        self._last_applied_trade = trade_event.timestamp
        self.trigger_event(OrderBookEvent.TradeEvent, trade_event)

    def restore_from_snapshot_and_diffs(self, snapshot: OrderBookMessage, diffs: list[OrderBookMessage]) -> None:
        """Take the snapshot, then the diffs that are newer than it (upstream replays the stale ones too)."""
        self.apply_snapshot(snapshot.bids, snapshot.asks, snapshot.update_id)
        for diff in diffs:
            if diff.update_id > snapshot.update_id:
                self.apply_diffs(diff.bids, diff.asks, diff.update_id)

    # -- what it says -----------------------------------------------------------------------------------------------
    def bid_entries(self) -> Iterator[OrderBookRow]:
        """Best first."""
        return (self._bids.rows[price] for price in reversed(self._bids.prices))

    def ask_entries(self) -> Iterator[OrderBookRow]:
        return (self._asks.rows[price] for price in self._asks.prices)

    def _opposite(self, is_buy: bool) -> Iterator[OrderBookRow]:
        return self.ask_entries() if is_buy else self.bid_entries()

    def get_price(self, is_buy: bool) -> float:
        """The best ask for a buy, the best bid for a sell."""
        best = next(self._opposite(is_buy), None)
        if best is None:
            raise OSError(EMPTY)
        return float(best.price)

    @property
    def snapshot(self) -> tuple[Any, Any]:
        """(bids, asks) as pandas frames, best first."""
        import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]

        columns = ["price", "amount", "update_id"]
        bids, asks = (
            pandas.DataFrame(list(entries), columns=columns, dtype="float64")
            for entries in (self.bid_entries(), self.ask_entries())
        )
        return bids, asks

    @property
    def snapshot_uid(self) -> int:
        return self._snapshot_uid

    @snapshot_uid.setter
    def snapshot_uid(self, update_id: int) -> None:
        self._snapshot_uid = update_id

    @property
    def last_diff_uid(self) -> int:
        return self._last_diff_uid

    @property
    def last_trade_price(self) -> float:
        return self._last_trade_price

    @last_trade_price.setter
    def last_trade_price(self, value: float) -> None:
        self._last_trade_price = value

    @property
    def last_applied_trade(self) -> float:
        return self._last_applied_trade

    @property
    def last_trade_price_rest_updated(self) -> float:
        return self._last_trade_price_rest_updated

    @last_trade_price_rest_updated.setter
    def last_trade_price_rest_updated(self, value: float) -> None:
        self._last_trade_price_rest_updated = value

    # -- queries ----------------------------------------------------------------------------------------------------
    def get_price_for_volume(self, is_buy: bool, volume: float) -> OrderBookQueryResult:
        """The worst price that taking `volume` reaches."""
        total, reached = 0.0, NaN
        for row in self._opposite(is_buy):
            total += row.amount
            if total >= volume:
                reached = row.price
                break
        return OrderBookQueryResult(NaN, float(volume), reached, min(total, float(volume)))

    def get_price_for_quote_volume(self, is_buy: bool, quote_volume: float) -> OrderBookQueryResult:
        total, reached = 0.0, NaN
        for row in self._opposite(is_buy):
            total += row.amount * row.price
            if total >= quote_volume:
                reached = row.price
                break
        return OrderBookQueryResult(NaN, float(quote_volume), reached, min(total, float(quote_volume)))

    def get_vwap_for_volume(self, is_buy: bool, volume: float) -> OrderBookQueryResult:
        """The average price of taking `volume`; NaN where the book is too thin."""
        base = cost = 0.0
        for row in self._opposite(is_buy):
            taken = min(row.amount, volume - base)
            base += taken
            cost += taken * row.price
            if base >= volume:
                return OrderBookQueryResult(NaN, float(volume), cost / base if base else NaN, base)
        return OrderBookQueryResult(NaN, float(volume), NaN, base)

    def get_quote_volume_for_base_amount(self, is_buy: bool, base_amount: float) -> OrderBookQueryResult:
        left, quote = float(base_amount), 0.0
        for row in self._opposite(is_buy):
            taken = min(row.amount, left)
            quote += taken * row.price
            left -= taken
            if left <= 0:
                break
        return OrderBookQueryResult(NaN, float(base_amount), NaN, quote)

    def get_volume_for_price(self, is_buy: bool, price: float) -> OrderBookQueryResult:
        """What can be had up to `price`, in base."""
        total, reached = 0.0, NaN
        for row in self._up_to(is_buy, price):
            total += row.amount
            reached = row.price
        return OrderBookQueryResult(float(price), NaN, reached, total)

    def get_quote_volume_for_price(self, is_buy: bool, price: float) -> OrderBookQueryResult:
        """What can be had up to `price`, in quote."""
        total, reached = 0.0, NaN
        for row in self._up_to(is_buy, price):
            total += row.amount * row.price
            reached = row.price
        return OrderBookQueryResult(float(price), NaN, reached, total)

    def _up_to(self, is_buy: bool, price: float) -> Iterator[OrderBookRow]:
        for row in self._opposite(is_buy):
            if (row.price > price) if is_buy else (row.price < price):
                return
            yield row

    def simulate_buy(self, amount: float) -> list[OrderBookRow]:
        return self._simulate(True, amount)

    def simulate_sell(self, amount: float) -> list[OrderBookRow]:
        return self._simulate(False, amount)

    def _simulate(self, is_buy: bool, amount: float) -> list[OrderBookRow]:
        taken: list[OrderBookRow] = []
        for row in self._opposite(is_buy):
            if amount <= row.amount:
                taken.append(OrderBookRow(row.price, amount, row.update_id))
                break
            taken.append(row)
            amount -= row.amount
        return taken


class LiveOrderBook(OrderBook):
    """A compiled book that a connector feeds, read where it stands: while it is stale, it is empty. It cannot be fed from here."""

    def __init__(self, core: CoreBook) -> None:
        super().__init__()
        self.core = core

    def _entries(self, levels: list[tuple[int, int, int]]) -> Iterator[OrderBookRow]:
        scale, update_id = 10.0**self.core.sz_decimals, self.core.time_ms
        return (OrderBookRow(px_e8 / 1e8, lots / scale, update_id) for px_e8, lots, _ in levels)

    def bid_entries(self) -> Iterator[OrderBookRow]:
        return self._entries([] if self.core.is_stale else self.core.levels()[0])

    def ask_entries(self) -> Iterator[OrderBookRow]:
        return self._entries([] if self.core.is_stale else self.core.levels()[1])

    def get_price(self, is_buy: bool) -> float:
        px_e8 = self.core.best_ask_e8 if is_buy else self.core.best_bid_e8
        if not px_e8 or self.core.is_stale:
            raise OSError(EMPTY)
        return px_e8 / 1e8

    @property
    def snapshot_uid(self) -> int:
        """The venue's time of the newest frame, in ms: Hyperliquid's books have no other number."""
        return self.core.time_ms

    @snapshot_uid.setter
    def snapshot_uid(self, update_id: int) -> None:
        raise TypeError("this book is fed by its connector")

    def apply_snapshot(self, bids: Any, asks: Any, update_id: int) -> None:
        raise TypeError("this book is fed by its connector")

    apply_diffs = apply_snapshot


def _rows(array: Sequence[Sequence[float]]) -> list[OrderBookRow]:
    return [OrderBookRow(float(price), float(amount), int(update_id)) for price, amount, update_id in array]


def _newest(bids: list[OrderBookRow], asks: list[OrderBookRow]) -> int:
    return max((row.update_id for row in (*bids, *asks)), default=0)
