"""Mark and outside prices of the local exchange (layer 5): what margin, liquidation, triggers and funding go by.

Every `interval_ms` of block time (the venue: about 3 s) each market's mark is set anew. With an outside price (the
background traders' fair price, or one that was set) it is the venue's median of three: outside price plus the 150 s
average of how far the mid has been from it; the median of best bid, best ask and last trade; the outside price itself,
in place of other venues' mids. Without an outside price the mark is the mid, and a one-sided book keeps its last mark.
All are cut to the price grid. A price that was set by `pin` stays until it is released with None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from hlfast.sim.matching import Book

MARK_INTERVAL_MS = 3_000
AVERAGE_MS = 150_000
_SCALE = 1 << 32


class Marks:
    def __init__(self, books: dict[int, Book], interval_ms: int) -> None:
        self._books = books
        self._interval_ms = interval_ms
        self._averages: dict[int, tuple[int, int]] = {}
        self._next_ms = 0
        self._last_ms = 0
        self._was_pinned = False

    def pin_mark(self, book: Book, px_e8: int | None) -> None:
        """Takes effect at once; what it fires or liquidates does so at the end of the next block."""
        book.is_mark_pinned = px_e8 is not None
        if px_e8 is not None:
            book.mark_e8 = px_e8
            self._was_pinned = True

    def pin_outside(self, book: Book, px_e8: int | None) -> None:
        book.is_outside_pinned = px_e8 is not None
        book.outside_e8 = px_e8

    def on_block(self, now_ms: int, outside_e8: Mapping[int, int]) -> bool:
        """Whether there are new marks. `outside_e8` has the prices elsewhere, by asset, as far as there are any."""
        was_pinned, self._was_pinned = self._was_pinned, False
        if now_ms < self._next_ms:
            return was_pinned
        passed_ms = min(now_ms - self._last_ms, 10 * AVERAGE_MS)
        self._next_ms, self._last_ms = now_ms + self._interval_ms, now_ms
        for book in self._books.values():
            if not book.is_outside_pinned:
                book.outside_e8 = outside_e8.get(book.market.asset)
            if not book.is_mark_pinned:
                self._update(book, passed_ms)
        return True

    def _update(self, book: Book, passed_ms: int) -> None:
        mid, outside = book.mid_e8, book.outside_e8
        if outside is None:
            fresh = mid
        else:
            average = 0 if mid is None else self._average(book.market.asset, mid - outside, passed_ms)
            fresh = _median(outside + average, _inside(book), outside)
        if fresh is not None and fresh > 0:
            book.mark_e8 = max(fresh - fresh % book.market.tick_e8(fresh), book.market.px_step_e8)

    def _average(self, asset: int, sample: int, passed_ms: int) -> int:
        """num = num * exp(-t/150s) + sample * t; den likewise; in integers, so that it is the same everywhere."""
        num, den = self._averages.get(asset, (0, 0))
        kept = round(math.exp(-passed_ms / AVERAGE_MS) * _SCALE)
        num, den = num * kept // _SCALE + sample * passed_ms, den * kept // _SCALE + passed_ms
        self._averages[asset] = (num, den)
        return num // den if den else sample


def _inside(book: Book) -> int:
    """The median of best bid, best ask and last trade; the last trade on a one-sided book."""
    bid, ask = book.bids.best, book.asks.best
    if bid is None or ask is None:
        return book.last_px_e8
    return _median(bid.px_e8, ask.px_e8, book.last_px_e8)


def _median(a: int, b: int, c: int) -> int:
    return max(min(a, b), min(max(a, b), c))
