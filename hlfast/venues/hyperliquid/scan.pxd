from libc.stdint cimport int64_t, uint64_t

from hlfast.core.frame_sink cimport FrameSink
from hlfast.core.order_book cimport Bbo, OrderBook
from hlfast.core.top_of_book cimport TopOfBook
from hlfast.core.trading_rule cimport TradingRule
from hlfast.venues.hyperliquid.json_cursor cimport FillRow, OrderRow, Text, TradeRow

# What an order answer says about one item; the values of `ItemKind`.
cdef enum:
    ITEM_UNKNOWN = 0
    ITEM_RESTING = 1
    ITEM_FILLED = 2
    ITEM_ERROR = 3
    ITEM_SUCCESS = 4
    ITEM_WAITING_FILL = 5
    ITEM_WAITING_TRIGGER = 6

cdef enum:
    N_COUNTERS = 16

cdef class BookHandler:
    cpdef int on_book(self, OrderBook book) except -1

cdef class ItemStatus:
    cdef readonly int kind                   # ItemKind
    cdef readonly int64_t oid                # 0: not said
    cdef readonly object cloid               # str | None
    cdef readonly str total_sz               # FILLED: how much is filled, decimal text
    cdef readonly str avg_px                 # FILLED: average price, decimal text
    cdef readonly str error                  # ERROR: the venue's words; UNKNOWN: the item as JSON

cdef class PostReply:
    cdef readonly int64_t id
    cdef readonly str kind
    cdef readonly str text
    cdef readonly list statuses              # of ItemStatus
    cdef readonly object data
    cdef readonly int64_t recv_ns

cdef struct Frame:       # valid until on_frame returns
    const char* start
    const char* end
    int64_t recv_ns

cdef class _Instrument:
    cdef bytes name                          # the coin as the wire spells it; the table points into it
    cdef TradingRule rule
    cdef OrderBook book
    cdef Bbo bbo
    cdef tuple book_handlers
    cdef tuple bbo_handlers
    cdef tuple trade_handlers
    cdef TopOfBook top                       # None: nobody asked for it
    cdef tuple top_handlers

cdef struct Slot:
    void* instrument                         # borrowed from Router._instruments; NULL: free
    const char* name
    Py_ssize_t n

cdef class Router(FrameSink):
    cdef public object order_sink
    cdef public object fill_sink
    cdef public object post_sink
    cdef public object cold_sink
    cdef public object error_sink
    cdef public object on_handler_error
    cdef public object rule_for
    cdef dict _instruments                   # coin -> _Instrument
    cdef dict _cold_counts                   # channel -> frames
    cdef Slot* _slots
    cdef uint64_t _mask                      # number of slots - 1, a power of two less one
    cdef int64_t _count[N_COUNTERS]

    cdef int _scan(self, Frame* f) except -1
    cdef int _scan_book(self, const char* p, Frame* f) except -1
    cdef int _scan_bbo(self, const char* p, Frame* f) except -1
    cdef int _scan_trades(self, const char* p, Frame* f) except -1
    cdef int _scan_orders(self, const char* p, Frame* f) except -1
    cdef int _scan_fills(self, const char* p, Frame* f) except -1
    cdef int _scan_post(self, const char* p, Frame* f) except -1
    cdef int _scan_answer(self, int64_t id, const char* p, Frame* f) except -1

    cdef int _parse(self, Frame* f, bint is_fallback) except -1
    cdef int _parse_book(self, object data, Frame* f) except -1
    cdef int _parse_bbo(self, object data, Frame* f) except -1
    cdef int _parse_trades(self, object data, Frame* f) except -1
    cdef int _parse_orders(self, object data, Frame* f) except -1
    cdef int _parse_fills(self, object data, Frame* f) except -1
    cdef int _parse_post(self, object data, Frame* f) except -1

    cdef int _commit_book(self, _Instrument market, int bids, int asks, int64_t time_ms, Frame* f) except -1
    cdef int _commit_bbo(self, _Instrument market, int64_t* level, int64_t time_ms, Frame* f) except -1
    cdef bint _take_trade(self, TradeRow* row, Frame* f, list out) except -1
    cdef bint _take_order(self, OrderRow* row, Frame* f, list out) except -1
    cdef bint _take_fill(self, FillRow* row, Frame* f, list out) except -1
    cdef int _deliver_trades(self, list trades) except -1
    cdef int _deliver_orders(self, list updates, Frame* f) except -1
    cdef int _deliver_fills(self, list fills, bint is_snapshot) except -1
    cdef int _deliver_reply(self, PostReply reply, Frame* f) except -1

    cdef _Instrument _market(self, str coin)
    cdef _Instrument _find(self, Text* coin)
    cdef TradingRule _rule(self, Text* coin)
    cdef int _rebuild(self) except -1
    cdef object _call(self, object fn, tuple arguments)
    cdef int _call_view(self, object fn, object view) except -1
    cdef int _tell_top(self, _Instrument market) except -1
    cdef int _failed(self, object fn, object error) except -1
    cdef int _report(self, str kind, str detail, Frame* f) except -1
    cdef int _malformed(self, str detail, Frame* f) except -1
    cdef int _malformed_book(self, _Instrument market, str detail, Frame* f) except -1
    cdef int _not_json(self, Frame* f) except -1
    cdef int _bad_rows(self, str channel, list bad, Py_ssize_t total, Frame* f) except -1
