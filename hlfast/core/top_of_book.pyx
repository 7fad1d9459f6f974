"""TopOfBook: the freshest top of one instrument, merged from its l2 book, its bbo and trades (layer 1, hot).

The venue's times decide. A deep book comes slowly; a newer bbo replaces its best level and *passes* those in front of
it, a trade passes what it went through and takes its size from what it hit. What was passed is left out (`left_out`
counts it) until a newer book: so the view is never crossed by a level that is gone, and never shows more than was
known to rest. At the same venue time a bbo counts before a book (which may be aggregated), and both before the trades
of that time, which they contain. Input may come in any order; what a newer part contains already is ignored.

A trade that did not touch the book (a backstop liquidation) leaves levels out until the next bbo or book. Prices int64
scaled by 1e8, sizes in lots; memory is fixed. The object is a view, overwritten in place.

    top = TopOfBook("BTC", 5)
    top.apply_book(book); top.apply_bbo(bbo)
    top.best_bid, top.best_ask, top.microprice, top.ages["bbo"]
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove

from hlfast.clock cimport now_ns
from hlfast.core.order_book cimport Bbo, Level, OrderBook
from hlfast.core.updates cimport Trade, TradeUpdate

from decimal import Decimal

from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.errors import ConfigError

cdef object _D = Decimal
cdef tuple SOURCES = ("", "book", "bbo", "trade")


cdef inline int _set_best(TopSide* side, int64_t px, int64_t lots, int64_t time_ms) noexcept nogil:
    """This is the best level now; what stood in front of it is gone. px 0: the side is empty."""
    cdef TopLevel* level
    cdef int64_t key = side.sign * px
    if px == 0:
        side.n = 0
        return 0
    while side.n and side.sign * side.levels[side.n - 1].px_e8 < key:
        side.n -= 1
    if not side.n or side.levels[side.n - 1].px_e8 != px:
        if side.n == TOP_LEVELS:
            memmove(side.levels, side.levels + 1, (TOP_LEVELS - 1) * sizeof(TopLevel))
            side.n -= 1
        side.levels[side.n].px_e8 = px
        side.levels[side.n].in_book = False
        side.n += 1
    level = &side.levels[side.n - 1]
    level.lots = lots
    level.time_ms = time_ms
    level.source = FROM_BBO
    return 0


cdef inline int _pass(TopSide* side, int64_t px, int64_t used, int64_t time_ms) noexcept nogil:
    """Levels better than `px` are gone, and so are `used` lots at it. px 0: nothing is known."""
    cdef TopLevel* level
    cdef int64_t key = side.sign * px
    if px == 0:
        return 0
    while side.n and side.sign * side.levels[side.n - 1].px_e8 < key:
        side.n -= 1
    if used and side.n and side.levels[side.n - 1].px_e8 == px:
        level = &side.levels[side.n - 1]
        level.lots -= used
        level.time_ms = time_ms
        level.source = FROM_TRADE
        if level.lots <= 0:
            side.n -= 1
    return 0


cdef inline int _apply(TopSide* bids, TopSide* asks, TopEvent* event) noexcept nogil:
    if event.kind == EVENT_BBO:
        _set_best(bids, event.bid_px, event.bid_lots, event.time_ms)
        _set_best(asks, event.ask_px, event.ask_lots, event.time_ms)
    else:
        _pass(bids, event.bid_px, event.bid_lots, event.time_ms)
        _pass(asks, event.ask_px, event.ask_lots, event.time_ms)
    return 0


cdef inline int _add_bound(int64_t* px, int64_t* used, int64_t bound, int64_t lots, int sign) noexcept nogil:
    """Of two trades in one block the further one says more; at the same price their sizes add up."""
    if px[0] == 0 or sign * bound > sign * px[0]:
        px[0] = bound
        used[0] = lots
    elif bound == px[0]:
        used[0] += lots
    return 0


cdef inline int _copy(TopSide* to, TopSide* source) noexcept nogil:
    memcpy(to.levels, source.levels, source.n * sizeof(TopLevel))
    to.n = source.n
    return 0


cdef int _take_side(TopSide* side, Level* levels, int n, int64_t time_ms) noexcept nogil:
    """The best levels of a book, worst first."""
    cdef int i, used = n if n < TOP_LEVELS else TOP_LEVELS
    for i in range(used):
        side.levels[used - 1 - i].px_e8 = levels[i].px_e8
        side.levels[used - 1 - i].lots = levels[i].lots
        side.levels[used - 1 - i].time_ms = time_ms
        side.levels[used - 1 - i].source = FROM_BOOK
        side.levels[used - 1 - i].in_book = True
    side.n = used
    return used


cdef struct Best:
    int64_t bid_px, bid_lots, ask_px, ask_lots


cdef inline Best _best(TopOfBook top) noexcept:
    cdef Best best
    best.bid_px = best.bid_lots = best.ask_px = best.ask_lots = 0
    if top.bids.n:
        best.bid_px, best.bid_lots = top.bids.levels[top.bids.n - 1].px_e8, top.bids.levels[top.bids.n - 1].lots
    if top.asks.n:
        best.ask_px, best.ask_lots = top.asks.levels[top.asks.n - 1].px_e8, top.asks.levels[top.asks.n - 1].lots
    return best


cdef inline bint _differ(Best* a, Best* b) noexcept nogil:
    return a.bid_px != b.bid_px or a.bid_lots != b.bid_lots or a.ask_px != b.ask_px or a.ask_lots != b.ask_lots


cdef class TopOfBook:
    """The merged view. `best_*`, `mid`, `microprice` and `spread` are `Decimal`, or None where a side is empty."""

    def __cinit__(self, str coin, int sz_decimals):
        self.coin = coin
        self.sz_decimals = sz_decimals
        self.stale_reason = "no data yet"
        self.is_stale = True
        self.bids.sign = self.base_bids.sign = -1
        self.asks.sign = self.base_asks.sign = 1
        self.bids.levels = <TopLevel*>calloc(TOP_LEVELS, sizeof(TopLevel))
        self.asks.levels = <TopLevel*>calloc(TOP_LEVELS, sizeof(TopLevel))
        self.base_bids.levels = <TopLevel*>calloc(TOP_LEVELS, sizeof(TopLevel))
        self.base_asks.levels = <TopLevel*>calloc(TOP_LEVELS, sizeof(TopLevel))
        self.events = <TopEvent*>calloc(TOP_EVENTS, sizeof(TopEvent))
        if not (self.bids.levels and self.asks.levels and self.base_bids.levels and self.base_asks.levels and self.events):
            raise MemoryError()

    def __init__(self, str coin, int sz_decimals):
        pass

    def __dealloc__(self):
        free(self.bids.levels)
        free(self.asks.levels)
        free(self.base_bids.levels)
        free(self.base_asks.levels)
        free(self.events)

    def __repr__(self):
        return f"<TopOfBook {self.coin} {self.best_bid} @ {self.best_ask}{' STALE' if self.is_stale else ''}>"

    def __reduce__(self):
        raise TypeError("a TopOfBook is a view and cannot be pickled; take levels() instead")

    # -- input ------------------------------------------------------------------------------------------------------
    cdef int take_book(self, OrderBook book) except -1:
        cdef Best before = _best(self), after
        cdef int i, kept = 0
        cdef TopEvent* event
        if book.time_ms < self.folded_ms or book.time_ms < self.book_time_ms:
            self.older_count += 1
            return 0
        if book.n_bids and book.n_asks and book.bids[0].px_e8 >= book.asks[0].px_e8:
            return 0                             # it is marked stale, and says nothing
        self.book_bids = _take_side(&self.base_bids, book.bids, book.n_bids, book.time_ms)
        self.book_asks = _take_side(&self.base_asks, book.asks, book.n_asks, book.time_ms)
        self.book_time_ms = self.base_ms = book.time_ms
        self.folded_ms = 0
        self.book_recv_ns = book.recv_ns
        for i in range(self.n_events):           # what is left is newer, or a bbo of the same block
            event = &self.events[i]
            if event.time_ms > book.time_ms or (event.time_ms == book.time_ms and event.kind == EVENT_BBO):
                self.events[kept] = event[0]
                kept += 1
        self.n_events = kept
        self._rebuild()
        self._fresh()
        after = _best(self)
        return _differ(&before, &after)

    cdef int take_bbo(self, Bbo bbo) except -1:
        cdef Best before = _best(self), after
        cdef TopEvent event
        if bbo.time_ms < self.base_ms or bbo.time_ms < self.bbo_time_ms:
            self.older_count += 1
            return 0
        if self.is_stale:                        # what lies deeper is from before the gap
            self.base_bids.n = self.base_asks.n = self.bids.n = self.asks.n = 0
            self.n_events = self.book_bids = self.book_asks = 0
        event.time_ms, event.kind = bbo.time_ms, EVENT_BBO
        event.bid_px, event.bid_lots = bbo.bid_px_e8, bbo.bid_lots
        event.ask_px, event.ask_lots = bbo.ask_px_e8, bbo.ask_lots
        self.bbo_time_ms, self.bbo_recv_ns = bbo.time_ms, bbo.recv_ns
        self._place(&event)
        self._fresh()
        after = _best(self)
        return _differ(&before, &after)

    cdef int take_trade(self, int64_t px_e8, int64_t lots, bint is_buy, int64_t tid, int64_t time_ms, int64_t recv_ns) except -1:
        cdef Best before, after
        cdef TopEvent event
        cdef int i
        if self.is_stale or px_e8 <= 0 or lots < 0:
            return 0
        if time_ms <= self.base_ms:
            self.older_count += 1
            return 0
        if tid:
            for i in range(64):
                if self.seen_tid[i] == tid and self.seen_ms[i] == time_ms:
                    return 0                     # an own fill is a public trade too
            self.seen_tid[self.seen_at], self.seen_ms[self.seen_at] = tid, time_ms
            self.seen_at = (self.seen_at + 1) & 63
        else:
            lots = 0                             # cannot be told from a replay: it passes, and takes no size
        before = _best(self)
        event.time_ms, event.kind = time_ms, EVENT_TRADE
        # Whoever rested at the price was the best of that side, and nothing of the other side crossed it.
        if is_buy:
            event.ask_px, event.ask_lots, event.bid_px, event.bid_lots = px_e8, lots, px_e8 - 1, 0
        else:
            event.bid_px, event.bid_lots, event.ask_px, event.ask_lots = px_e8, lots, px_e8 + 1, 0
        if time_ms >= self.trade_time_ms:
            self.trade_time_ms, self.trade_recv_ns = time_ms, recv_ns
        self._place(&event)
        self.epoch += 1
        after = _best(self)
        return _differ(&before, &after)

    cdef int _place(self, TopEvent* event) except -1:
        """Put the event where its time belongs, and bring the view up to date."""
        cdef int at = self.n_events
        cdef TopEvent* there
        while at and (
            self.events[at - 1].time_ms > event.time_ms
            or (self.events[at - 1].time_ms == event.time_ms and self.events[at - 1].kind > event.kind)
        ):
            at -= 1
        if at and self.events[at - 1].time_ms == event.time_ms and self.events[at - 1].kind == event.kind:
            there = &self.events[at - 1]
            if event.kind == EVENT_BBO:
                there[0] = event[0]
                return self._rebuild()
            _add_bound(&there.bid_px, &there.bid_lots, event.bid_px, event.bid_lots, -1)
            _add_bound(&there.ask_px, &there.ask_lots, event.ask_px, event.ask_lots, 1)
        else:
            if self.n_events == TOP_EVENTS:
                if at <= TOP_EVENTS // 2:        # older than what is about to be folded in
                    self.older_count += 1
                    return 0
                at -= self._fold()
            memmove(&self.events[at + 1], &self.events[at], (self.n_events - at) * sizeof(TopEvent))
            self.events[at] = event[0]
            self.n_events += 1
            at += 1
        if at == self.n_events:                  # in order, as nearly always
            _apply(&self.bids, &self.asks, event)
        else:
            self._rebuild()
        return 0

    cdef int _rebuild(self) noexcept:
        cdef int i
        _copy(&self.bids, &self.base_bids)
        _copy(&self.asks, &self.base_asks)
        for i in range(self.n_events):
            _apply(&self.bids, &self.asks, &self.events[i])
        return 0

    cdef int _fold(self) noexcept:
        """Apply the older half of the events to the base for good. Returns how many."""
        cdef int i, half = TOP_EVENTS // 2
        for i in range(half):
            _apply(&self.base_bids, &self.base_asks, &self.events[i])
        self.base_ms = self.folded_ms = self.events[half - 1].time_ms
        self.n_events -= half
        memmove(self.events, &self.events[half], self.n_events * sizeof(TopEvent))
        return half

    cdef int _fresh(self) except -1:
        self.epoch += 1
        if self.is_stale:
            self.is_stale = False
            self.stale_reason = ""
        return 0

    def apply_book(self, OrderBook book not None):
        """Merge the book as it is now. True if the best price or size of a side changed."""
        self._same_grid(book.coin, book.sz_decimals)
        return self.take_book(book) == 1

    def apply_bbo(self, Bbo bbo not None):
        """Merge the best bid and offer as they are now. True if the best price or size of a side changed."""
        self._same_grid(bbo.coin, bbo.sz_decimals)
        return self.take_bbo(bbo) == 1

    def apply_trade(self, Trade trade not None):
        """Merge a public trade. True if the best price or size of a side changed."""
        self._same_grid(trade.coin, trade.sz_decimals)
        return self.take_trade(trade.px_e8, trade.lots, trade.is_buy, trade.tid, trade.time_ms, trade.recv_ns) == 1

    def apply_fill(self, TradeUpdate fill not None):
        """Merge an own fill, which may come before the public trade that it is. True if the best changed."""
        self._same_grid(fill.coin, fill.sz_decimals)
        return self.take_trade(
            fill.px_e8, fill.lots if fill.lots > 0 else 0, fill.is_buy == fill.is_taker, fill.tid, fill.time_ms,
            fill.recv_ns,
        ) == 1

    cdef int _same_grid(self, str coin, int sz_decimals) except -1:
        if coin != self.coin or sz_decimals != self.sz_decimals:
            raise ConfigError(
                f"the top of {self.coin} ({self.sz_decimals} size decimals) was given {coin} ({sz_decimals} size decimals)"
            )
        return 0

    def mark_stale(self, str reason):
        """Input was missed: nothing here can be trusted until the next bbo (which brings no depth) or book."""
        self.is_stale = True
        self.stale_reason = reason

    # -- reading ----------------------------------------------------------------------------------------------------
    @property
    def best_bid_e8(self):
        """Best bid scaled by 1e8, 0 if there is none."""
        return _best(self).bid_px

    @property
    def best_ask_e8(self):
        """Best ask scaled by 1e8, 0 if there is none."""
        return _best(self).ask_px

    @property
    def best_bid_lots(self):
        return _best(self).bid_lots

    @property
    def best_ask_lots(self):
        return _best(self).ask_lots

    @property
    def best_bid(self):
        return scaled_to_decimal(_best(self).bid_px, 8) if self.bids.n else None

    @property
    def best_ask(self):
        return scaled_to_decimal(_best(self).ask_px, 8) if self.asks.n else None

    @property
    def best_bid_size(self):
        return scaled_to_decimal(_best(self).bid_lots, self.sz_decimals) if self.bids.n else None

    @property
    def best_ask_size(self):
        return scaled_to_decimal(_best(self).ask_lots, self.sz_decimals) if self.asks.n else None

    @property
    def bid_source(self):
        """What the best bid is known from: "book", "bbo", "trade" (one of these, less what was traded since), or ""."""
        return SOURCES[self.bids.levels[self.bids.n - 1].source] if self.bids.n else ""

    @property
    def ask_source(self):
        """The same of the best ask."""
        return SOURCES[self.asks.levels[self.asks.n - 1].source] if self.asks.n else ""

    @property
    def is_valid(self):
        """Both sides present and nothing missed since."""
        return self.bids.n > 0 and self.asks.n > 0 and not self.is_stale

    @property
    def spread(self):
        if not self.bids.n or not self.asks.n:
            return None
        return scaled_to_decimal(_best(self).ask_px - _best(self).bid_px, 8)

    @property
    def mid(self):
        """(bid + ask) / 2."""
        if not self.bids.n or not self.asks.n:
            return None
        return EXACT.divide(EXACT.add(self.best_bid, self.best_ask), 2)

    @property
    def microprice(self):
        """(bid · ask size + ask · bid size) / (bid size + ask size): the mid, drawn to the thinner side."""
        cdef Best best = _best(self)
        if not self.bids.n or not self.asks.n:
            return None
        above = <object>best.bid_px * best.ask_lots + <object>best.ask_px * best.bid_lots
        return EXACT.divide(_D(above).scaleb(-8, EXACT), _D(<object>best.bid_lots + best.ask_lots))

    @property
    def time_ms(self):
        """Venue time of the newest part."""
        return max(self.book_time_ms, self.bbo_time_ms, self.trade_time_ms)

    @property
    def times_ms(self):
        """Venue time of each part: {"book", "bbo", "trades"}; None for one that has not come yet."""
        return {
            "book": self.book_time_ms or None, "bbo": self.bbo_time_ms or None, "trades": self.trade_time_ms or None,
        }

    @property
    def ages(self):
        """Nanoseconds since each part was received: {"book", "bbo", "trades"}; None for one that has not come yet."""
        cdef int64_t now = now_ns()
        return {
            "book": now - self.book_recv_ns if self.book_recv_ns else None,
            "bbo": now - self.bbo_recv_ns if self.bbo_recv_ns else None,
            "trades": now - self.trade_recv_ns if self.trade_recv_ns else None,
        }

    @property
    def left_out(self):
        """(bids, asks): how many levels of the newest book are not shown, as something newer has passed them."""
        cdef int i, bids = 0, asks = 0
        for i in range(self.bids.n):
            bids += self.bids.levels[i].in_book
        for i in range(self.asks.n):
            asks += self.asks.levels[i].in_book
        return self.book_bids - bids, self.book_asks - asks

    def levels(self, int n=10):
        """The best `n` of both sides as ([(price, size)], [...]) in Decimals, best first."""
        return (
            [(scaled_to_decimal(px, 8), scaled_to_decimal(lots, self.sz_decimals)) for px, lots, _ in self._levels(&self.bids, n)],
            [(scaled_to_decimal(px, 8), scaled_to_decimal(lots, self.sz_decimals)) for px, lots, _ in self._levels(&self.asks, n)],
        )

    def raw_levels(self, int n=10):
        """The same as ([(px_e8, lots, time_ms)], [...]): scaled integers, and the venue time at which each was so."""
        return self._levels(&self.bids, n), self._levels(&self.asks, n)

    cdef list _levels(self, TopSide* side, int n):
        cdef int i
        cdef TopLevel* level
        cdef list out = []
        for i in range(min(max(n, 0), side.n)):
            level = &side.levels[side.n - 1 - i]
            out.append((level.px_e8, level.lots, level.time_ms))
        return out
