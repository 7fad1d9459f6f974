from libc.stdint cimport int64_t, uint32_t, uint64_t

from hlfast.core.l4_book cimport L4Book, NewOrder
from hlfast.core.order_book cimport OrderBook
from hlfast.core.trading_rule cimport TradingRule
from hlfast.venues.hyperliquid.json_cursor cimport Text
from hlfast.venues.hyperliquid.scan cimport Frame, Router

cdef enum:               # kind of a diff
    DIFF_NEW = 0
    DIFF_UPDATE = 1
    DIFF_REMOVE = 2

cdef struct Diff:
    int64_t oid
    int64_t px_e8
    int64_t lots             # new: what rests; update: what remains
    int64_t was              # update only
    int64_t before           # new only; 0: at the end
    int kind

cdef struct Resting:         # what a status or a snapshot says of an order, and whether that means that it rests
    NewOrder order
    bint rests
    bint is_trigger

cdef class L4Router(Router):
    cdef readonly L4Book l4
    cdef readonly OrderBook l2               # of the same feed, compared where both are of one block
    cdef readonly TradingRule rule
    cdef public object gap_sink              # fn(reason): what is held does not follow from what came; wants a snapshot
    cdef public object snapshot_sink         # fn(): a snapshot was taken
    cdef public tuple block_handlers         # fn(L4Book) after each block and snapshot
    cdef public bint every_height            # the server sends a message for every height, changed or not
    cdef public int l2_depth                 # levels a side of its l2Book; 0: not compared
    cdef readonly bint is_waiting            # for a snapshot; what comes meanwhile is held
    cdef readonly dict l4_counters
    cdef list _held
    cdef Py_ssize_t _held_bytes
    cdef bint _replaying
    cdef int64_t _l2_epoch
    cdef Diff* _diffs
    cdef Resting* _rows
    cdef int _diffs_room, _rows_room, _n_diffs, _n_rows
    cdef uint32_t* _by_oid                   # row of an oid, for the block at hand
    cdef uint64_t _by_oid_mask

    cdef int _scan_updates(self, const char* p, Frame* f) except -1
    cdef int _scan_snapshot(self, const char* p, Frame* f) except -1
    cdef const char* _scan_orders_of(self, const char* p, const char* end, bint insert, int64_t* counted) except? NULL
    cdef int _parse_l4(self, object data, Frame* f) except -1
    cdef int _parse_updates(self, object updates, Frame* f) except -1
    cdef int _parse_snapshot(self, object snapshot, Frame* f) except -1
    cdef int _admit(self, int64_t height, Frame* f) except -1
    cdef int _apply_block(self, int64_t height, int64_t time_ms, Frame* f) except -1
    cdef int _end_snapshot(self, int64_t height, int64_t time_ms, Frame* f) except -1
    cdef int _compare(self) except -1
    cdef int _lost(self, str counter, str reason) except -1
    cdef Diff* _next_diff(self) except NULL
    cdef Resting* _next_row(self) except NULL
    cdef int _index_rows(self) except -1
    cdef Resting* _row_of(self, int64_t oid) noexcept
