"""What frames leave behind: nothing with a compiled handler, nothing that grows with Python handlers.

Frames are of the venue's shapes and go through the same scanners as a socket's.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import pytest

from hlfast import clock
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.scan import Router

from ..downstream import build

FRAMES, WARM = 10_000, 500
TIME_MS = 1_790_358_575_700
USER = "0x61fb9e7583dc92cc76eb52f93d88addaa0f02265"

HANDLER = """
from hlfast.core.order_book cimport OrderBook
from hlfast.venues.hyperliquid.scan cimport BookHandler

cdef class Widest(BookHandler):
    '''The widest spread seen, from the C arrays of the book.'''
    cdef readonly long long spread_e8, calls

    cpdef int on_book(self, OrderBook book) except -1:
        self.calls += 1
        if book.n_bids and book.n_asks:
            self.spread_e8 = max(self.spread_e8, book.asks[0].px_e8 - book.bids[0].px_e8)
        return 0
"""


def book(n: int, levels: int = 20) -> bytes:
    def side(px: int, step: int) -> str:
        return ",".join(f'{{"px":"{px + step * at}.0","sz":"{0.5 + at / 8}","n":{at + 1}}}' for at in range(levels))

    bid = 60_000 + n % 50
    return (
        f'{{"channel":"l2Book","data":{{"coin":"BTC","time":{TIME_MS},"levels":[[{side(bid, -1)}],[{side(bid + 1, 1)}]]}}}}'
    ).encode()


def bbo(n: int) -> bytes:
    bid, ask = (f'{{"px":"{60_000 + n % 50 + more}.0","sz":"1.5","n":3}}' for more in (0, 1))
    return f'{{"channel":"bbo","data":{{"coin":"BTC","time":{TIME_MS},"bbo":[{bid},{ask}]}}}}'.encode()


def trades(n: int) -> bytes:
    row = (
        f'{{"coin":"BTC","side":"B","px":"60001.0","sz":"0.25","time":{TIME_MS},"hash":"0x{n:064x}","tid":{n},'
        f'"users":["{USER}","{USER}"]}}'
    )
    return f'{{"channel":"trades","data":[{row}]}}'.encode()


def own_row(n: int) -> bytes:
    order = (
        f'{{"coin":"BTC","side":"B","limitPx":"60000.0","sz":"0.5","oid":{n + 1},"timestamp":{TIME_MS},"origSz":"0.5",'
        f'"cloid":"0x{n + 1:032x}"}}'
    )
    return (
        f'{{"channel":"orderUpdates","data":[{{"order":{order},"status":"open","statusTimestamp":{TIME_MS}}}]}}'
    ).encode()


def desk() -> Router:
    router, rule = Router(), TradingRule("BTC", sz_decimals=5)
    router.add_instrument(rule, OrderBook("BTC", 5), Bbo("BTC", 5))
    router.rule_for = {"BTC": rule}.get
    return router


def left_by(feed: Callable[[int], object], warm: int = WARM) -> int:
    """Blocks of Python's allocator that `FRAMES` frames leave behind."""
    for n in range(warm):
        feed(n)
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        for n in range(FRAMES):
            feed(n)
        return sys.getallocatedblocks() - before
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def widest(tmp_path_factory):
    return build("widest", HANDLER, tmp_path_factory.mktemp("widest")).Widest


@pytest.mark.parametrize("levels", [20, 5])
def test_frames_with_a_compiled_handler_leave_no_object(widest, levels: int):
    """Performance: Python objects a frame, compiled handler: 0."""
    # Given a book with a compiled handler, and frames that are there already,
    router, handler = desk(), widest()
    router.set_book_handlers("BTC", (handler,))
    frames, now = [book(n, levels) for n in range(100)], clock.epoch_ns()
    # when 10,000 of them are read,
    left = left_by(lambda n: router.feed(frames[n % 100], now))
    # then every one was heard, and the few blocks that are left belong to the loop.
    assert (handler.calls, handler.spread_e8) == (FRAMES + WARM, 10**8)
    assert left <= 8


def test_the_measure_sees_an_object_a_frame(widest):
    """The counter-test: a handler that keeps what it hears is found out."""
    router, kept = desk(), []
    router.set_bbo_handlers("BTC", (lambda view: kept.append(view.bid_px),))
    frames, now = [bbo(n) for n in range(100)], clock.epoch_ns()
    assert left_by(lambda n: router.feed(frames[n % 100], now)) >= FRAMES


def test_frames_with_python_handlers_leave_nothing_that_grows():
    """Books, best prices, trades and own rows, each to a Python function that keeps only the newest."""
    router, newest = desk(), {}

    def hear(said: object) -> None:
        newest[type(said)] = said

    router.set_book_handlers("BTC", (hear,))
    router.set_bbo_handlers("BTC", (hear,))
    router.set_trade_handlers("BTC", (hear,))
    router.order_sink = hear
    frames = [kind(n) for n in range(100) for kind in (book, bbo, trades, own_row)]
    now = clock.epoch_ns()
    left = left_by(lambda n: router.feed(frames[n % 400], now))
    assert len(newest) == 4 and router.counters["fallbacks"] == 0
    assert left <= 100


def test_frames_that_are_spelled_otherwise_or_broken_leave_nothing_that_grows():
    """G19: the slow way and the errors give back what they take."""
    router, errors = desk(), [0]

    def count(*_: object) -> None:
        errors[0] += 1

    router.error_sink = count
    odd = [frame.replace(b":", b": ") for frame in (book(1), bbo(1), trades(1))]
    broken = [frame[: len(frame) // 2] for frame in (book(2), bbo(2), trades(2))] + [b"", b"[]", b'{"channel":7}']
    frames = odd + broken
    now = clock.epoch_ns()
    left = left_by(lambda n: router.feed(frames[n % len(frames)], now))
    assert errors[0] > 0
    assert left <= 100
