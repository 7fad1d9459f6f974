"""A handler of somebody else's, compiled against the package that is installed: the shipped `.pxd` are a public face."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hlfast.core.order_book import OrderBook
from hlfast.core.updates import TradeUpdate

from ..downstream import build

HANDLER = """
from libc.stdint cimport int64_t
from hlfast.core.fixed cimport NUM_OK, int128, parse_scaled
from hlfast.core.order_book cimport Level, OrderBook
from hlfast.core.updates cimport TradeUpdate

cdef class TopValue:
    '''Price times size of the best bid, from the C arrays of the book.'''
    cdef readonly int64_t calls
    cdef int128 value

    def __call__(self, OrderBook book not None):
        cdef Level best
        self.calls += 1
        if book.n_bids:
            best = book.bids[0]
            self.value = <int128>best.px_e8 * best.lots

    @property
    def whole(self):
        return int(<int64_t>(self.value / 100000000))


def read(bytes text, int decimals):
    cdef int64_t out = 0
    return out if parse_scaled(text, len(text), decimals, &out) == NUM_OK else None


def signed_lots(TradeUpdate fill not None):
    return fill.lots if fill.is_buy else -fill.lots
"""


@pytest.fixture(scope="module")
def downstream(tmp_path_factory):
    return build("downstream", HANDLER, tmp_path_factory.mktemp("downstream"))


def test_a_compiled_handler_reads_the_books_levels(downstream):
    """Architecture 11: a handler without a Python object per level."""
    handler, book = downstream.TopValue(), OrderBook("BTC", 3)
    handler(book)
    book.apply_snapshot([("50000.5", "0.25"), ("50000", 1)], [("50001", 2)])
    handler(book)
    assert (handler.calls, handler.whole) == (2, int(Decimal("50000.5") * 250))
    with pytest.raises(TypeError):
        handler(object())


def test_the_number_kernels_and_the_records_are_usable_too(downstream):
    """Architecture 2.8: kernels are inline functions in a `.pxd`."""
    assert (
        downstream.read(b"-12.5", 2) == -1250
        and downstream.read(b"12.555", 2) is None
        and downstream.read(b"1e5", 2) is None
    )
    fill = TradeUpdate(coin="BTC", tid=1, price=1, amount="0.5", sz_decimals=3, is_buy=False)
    assert downstream.signed_lots(fill) == -500
