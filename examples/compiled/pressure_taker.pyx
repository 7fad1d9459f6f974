"""A strategy whose on_book runs in compiled code: takes a little where one side of the book is much deeper than the other.

`Pressure.look` reads the levels from the book's C arrays; no Python object is made for a book that says nothing. Build it
against the installed hlfast (README.md beside this file), then

    hlfast run pressure_taker --seconds 10

`cimport` compiles the layout of hlfast's classes into this module: build it again after an update of hlfast.
"""

from libc.stdint cimport int64_t

from hlfast.core.order_book cimport OrderBook

from dataclasses import dataclass

from hlfast.core.events import OrderEvent
from hlfast.engine import Strategy, parameter


cdef class Pressure:
    """Lots within `levels` levels of both sides of one book."""

    cdef readonly int64_t books
    cdef readonly double share                 # of the bids in all of it, 0 to 1; a half where the book is empty
    cdef int levels
    cdef double high

    def __init__(self, int levels, double high):
        self.levels = levels
        self.high = high

    cdef int look(self, OrderBook book) noexcept:
        """1: the bids have `high` or more of it, -1: the asks have, 0: neither."""
        cdef int64_t bids = 0, asks = 0
        cdef int i
        self.books += 1
        for i in range(min(self.levels, book.n_bids)):
            bids += book.bids[i].lots
        for i in range(min(self.levels, book.n_asks)):
            asks += book.asks[i].lots
        self.share = <double>bids / <double>(bids + asks) if bids + asks > 0 else 0.5
        if self.share >= self.high:
            return 1
        return -1 if 1.0 - self.share >= self.high else 0


@dataclass(kw_only=True, eq=False)
class PressureTaker(Strategy):
    coins: tuple[str, ...] = ("BTC",)
    order_prefix: str = "pressure"
    size: str = "0.001"
    levels: int = parameter(5, unit="levels", at_least=1, at_most=20)
    high: float = parameter(0.8, above=0.5, at_most=1)
    max_orders: int = parameter(10, at_least=1)
    """It is an example: after so many orders it only watches."""

    def on_start(self):
        self.pressure = {self.connector.resolve(coin).coin: Pressure(self.levels, self.high) for coin in self.coins}
        self.sent = 0
        self.under_way = None

    def on_book(self, OrderBook book not None):
        cdef Pressure pressure = self.pressure[book.coin]
        cdef int way = pressure.look(book)
        if way == 0 or self.under_way is not None or self.sent >= self.max_orders or book.is_stale:
            return
        self.sent += 1
        verb = self.buy if way > 0 else self.sell
        order = verb(book.coin, self.size, book.best_ask if way > 0 else book.best_bid, tif="Ioc")
        self.under_way = None if order.is_done else order

    def on_order(self, event: OrderEvent):
        if self.under_way is not None and self.under_way.is_done:
            self.under_way = None
