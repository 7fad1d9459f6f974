from libc.stdint cimport int64_t, int32_t

cdef enum:
    BOOK_OK = 0          # applied
    BOOK_OLDER = 1       # dropped: `time_ms` older than the book's; counted, the book stays valid
    BOOK_BAD = 2         # refused: not monotone, size not positive, crossed; the old book stays and is marked stale

cdef struct Level:
    int64_t px_e8
    int64_t lots
    int64_t n            # number of orders; 0: not known

cdef class OrderBook:
    cdef readonly str coin
    cdef readonly int sz_decimals
    # front arrays, best first
    cdef Level* bids
    cdef Level* asks
    cdef int n_bids
    cdef int n_asks
    # back arrays, filled by a scanner, then committed
    cdef Level* back_bids
    cdef Level* back_asks
    cdef int capacity                        # levels per side that fit; reserve() grows all four
    cdef readonly int64_t epoch              # +1 for every applied change
    cdef readonly int64_t sequence
    cdef readonly int64_t time_ms            # venue time of the last applied change
    cdef readonly int64_t recv_ns            # local receive time of it
    cdef readonly bint is_stale
    cdef readonly str stale_reason
    cdef readonly int64_t older_count
    cdef readonly int64_t bad_count
    cdef int reserve(self, int levels) except -1
    # swap the back arrays in. Levels must be best first. Returns BOOK_OK, BOOK_OLDER or BOOK_BAD.
    cdef int commit_snapshot(self, int n_bids, int n_asks, int64_t time_ms, int64_t recv_ns) except -1
    cdef int set_stale(self, str reason) except -1
    cdef list _levels(self, object levels, bint descending)
    cdef list _top(self, Level* side, int have, int n)

cdef class Bbo:
    """Best bid and offer of one instrument: a view, overwritten in place by each bbo frame."""
    cdef readonly str coin
    cdef readonly int sz_decimals
    cdef readonly int64_t bid_px_e8          # 0: no bid
    cdef readonly int64_t bid_lots
    cdef readonly int64_t ask_px_e8          # 0: no ask
    cdef readonly int64_t ask_lots
    cdef readonly int64_t time_ms
    cdef readonly int64_t recv_ns
    cdef readonly int64_t epoch
    # -1 malformed input, else BOOK_*; a side without a level has px 0. Older times are dropped.
    cdef int set_bbo(self, int64_t bid_px, int64_t bid_lots, int64_t ask_px, int64_t ask_lots, int64_t time_ms, int64_t recv_ns) except -1
