from libc.stdint cimport int64_t

from hlfast.core.fixed cimport int128
from hlfast.core.order_book cimport Level, OrderBook
from hlfast.core.updates cimport Trade

cdef enum:
    MOST_SAMPLES = 65536         # so many bounded samples cannot overflow the sums

cdef struct Sample:
    int64_t time_ms
    int64_t value
    int64_t weight

cdef class RollingWindow:
    cdef Sample* ring
    cdef readonly int samples                # room; the oldest leaves when it is used up
    cdef readonly int64_t window_ms          # 0: no limit of time
    cdef int first, n
    cdef readonly int64_t newest_ms
    cdef readonly int64_t cut_count          # left for want of room before their time was up
    cdef readonly int64_t older_count        # refused: older than the newest sample
    cdef int128 sum, squares, weights, products

    # 1: taken, 0: older than the newest. RangeError beyond the bounds, with nothing changed.
    cdef int push(self, int64_t time_ms, int64_t value, int64_t weight) except -1
    cdef int expire(self, int64_t time_ms) noexcept
    cdef int _drop(self) noexcept
    cdef int restart(self) noexcept
    cdef double deviation_in(self, double unit) noexcept

cdef class BookFeatures:
    cdef readonly str coin
    cdef readonly int sz_decimals
    cdef readonly int depth                  # levels of `*_n` features
    cdef readonly str ofi_method
    cdef readonly int64_t time_ms
    cdef readonly int64_t epoch              # books that were taken
    cdef RollingWindow mids, flow
    cdef bint by_size
    cdef bint has_before
    cdef int64_t last_flow                   # lots
    cdef Level bid, ask                      # best; px 0: none
    cdef int128 bid_value, ask_value         # sum of px_e8 * lots over `depth` levels
    cdef int128 bid_lots, ask_lots           # sum of lots over them
    cdef int update_book(self, OrderBook book) except -1

cdef class TradeFeatures:
    cdef readonly str coin
    cdef readonly int sz_decimals
    cdef readonly int64_t time_ms
    cdef readonly int64_t epoch
    cdef RollingWindow trades
    cdef int64_t px_e8, lots
    cdef int update_trade(self, Trade trade) except -1
