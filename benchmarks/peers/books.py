"""Order books from wheels: msgspec reads the frame, a container keeps its levels sorted.

A snapshot replaces both sides, as the venue's l2Book does; best bid and ask are read by the caller afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.peers import module_of
from benchmarks.peers.plain import typed_decoder

Read = Callable[[bytes], Any]
Levels = Callable[[Any], list[list[tuple[float, float]]]]


def sorted_dicts() -> tuple[Read, Levels] | None:
    """msgspec into two `SortedDict`s of price → size, a pair for each coin."""
    containers, decode = module_of("sortedcontainers"), typed_decoder()
    if containers is None or decode is None:
        return None
    make = containers.SortedDict
    books: dict[str, tuple[Any, Any]] = {}

    def read(frame: bytes) -> tuple[Any, Any]:
        data = decode(frame).data
        book = books.get(data.coin)
        if book is None:
            book = books[data.coin] = (make(), make())
        for side, rows in zip(book, data.levels, strict=True):
            side.clear()
            side.update({level.px: level.sz for level in rows})
        return book

    def levels(book: tuple[Any, Any]) -> list[list[tuple[float, float]]]:
        bids, asks = book
        return [list(reversed(bids.items())), list(asks.items())]

    return read, levels


def order_book() -> tuple[Read, Levels] | None:
    """msgspec into the sides of `order_book.OrderBook`, which is written in C."""
    module, decode = module_of("order-book"), typed_decoder()
    if module is None or decode is None:
        return None
    books: dict[str, Any] = {}

    def read(frame: bytes) -> Any:
        data = decode(frame).data
        book = books.get(data.coin)
        if book is None:
            book = books[data.coin] = module.OrderBook()
        bids, asks = data.levels
        book.bids = {level.px: level.sz for level in bids}
        book.asks = {level.px: level.sz for level in asks}
        return book

    def levels(book: Any) -> list[list[tuple[float, float]]]:
        return [list(book.bids.to_list()), list(book.asks.to_list())]

    return read, levels
