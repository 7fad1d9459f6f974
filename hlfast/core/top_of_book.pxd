from libc.stdint cimport int64_t

from hlfast.core.order_book cimport Bbo, OrderBook

cdef enum:
    TOP_LEVELS = 128         # a side; the deepest go when there are more
    TOP_EVENTS = 128         # remembered since the newest book, in venue time

cdef enum:                   # where a level is known from
    FROM_BOOK = 1
    FROM_BBO = 2
    FROM_TRADE = 3           # one of the above, less what was traded since

cdef enum:
    EVENT_TRADE = 0          # of one time, trades come first: a bbo says what they left
    EVENT_BBO = 1

cdef struct TopLevel:
    int64_t px_e8
    int64_t lots
    int64_t time_ms          # of what said so last
    int source               # FROM_*
    bint in_book             # the newest l2 book has this price

cdef struct TopSide:
    TopLevel* levels         # worst first, so that the best comes and goes at the end
    int n
    int sign                 # 1: asks, -1: bids; sign * price grows away from the touch

cdef struct TopEvent:        # px 0: no such level (bbo), or nothing follows for the side (trade)
    int64_t time_ms
    int kind
    int64_t bid_px, bid_lots         # a trade's: levels above are gone, and so many lots at it
    int64_t ask_px, ask_lots

cdef class TopOfBook:
    cdef readonly str coin
    cdef readonly int sz_decimals
    cdef readonly int64_t epoch              # +1 for every input that was taken
    cdef readonly int64_t book_time_ms, bbo_time_ms, trade_time_ms      # venue time of each part, 0: none yet
    cdef readonly int64_t book_recv_ns, bbo_recv_ns, trade_recv_ns
    cdef readonly int64_t older_count        # inputs that came too late to say anything
    cdef readonly bint is_stale
    cdef readonly str stale_reason
    cdef TopSide bids, asks                  # the view
    cdef TopSide base_bids, base_asks        # what the events are applied to: the newest book, and events that were folded in
    cdef TopEvent* events
    cdef int n_events
    cdef int64_t base_ms                     # older input says nothing
    cdef int64_t folded_ms                   # a book older than this cannot be taken: events since are folded in
    cdef int book_bids, book_asks            # levels of the newest book
    cdef int64_t seen_tid[64]
    cdef int64_t seen_ms[64]
    cdef int seen_at

    # Each returns 1 if the best price or size of a side changed, else 0.
    cdef int take_book(self, OrderBook book) except -1
    cdef int take_bbo(self, Bbo bbo) except -1
    cdef int take_trade(self, int64_t px_e8, int64_t lots, bint is_buy, int64_t tid, int64_t time_ms, int64_t recv_ns) except -1

    cdef int _place(self, TopEvent* event) except -1
    cdef int _rebuild(self) noexcept
    cdef int _fold(self) noexcept
    cdef int _fresh(self) except -1
    cdef int _same_grid(self, str coin, int sz_decimals) except -1
    cdef list _levels(self, TopSide* side, int n)
