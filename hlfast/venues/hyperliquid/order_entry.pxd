from libc.stdint cimport int64_t

from hlfast.core.checks cimport PreTradeChecks
from hlfast.core.in_flight_order cimport InFlightOrder
from hlfast.core.journal_ring cimport JournalRing
from hlfast.core.order_ids cimport ClientOrderIds, Cloids
from hlfast.core.order_tracker cimport ClientOrderTracker
from hlfast.core.position cimport PositionBook
from hlfast.core.trading_rule cimport TradingRule
from hlfast.net.listener cimport Listener
from hlfast.order_params cimport OrderParams
from hlfast.venues.hyperliquid.limits cimport Limits
from hlfast.venues.hyperliquid.nonce cimport NonceManager
from hlfast.venues.hyperliquid.scan cimport PostReply
from hlfast.venues.hyperliquid.sign cimport Signer
from hlfast.venues.hyperliquid.wire cimport WireBuffer, WireOrder

cdef class _Request:
    cdef int kind
    cdef tuple orders
    cdef object future
    cdef str what
    cdef int64_t sent_ns
    cdef int64_t nonce                       # of a modify
    cdef int64_t generation                  # the id of the post: generation number times SLOTS, plus the slot
    cdef bint timed_out

cdef class OrderEntry:
    cdef readonly Signer signer
    cdef readonly NonceManager nonces
    cdef readonly ClientOrderTracker tracker
    cdef readonly Limits limits
    cdef readonly PreTradeChecks checks
    cdef readonly object settings
    cdef public JournalRing ring             # where a journal is kept; None without one
    cdef readonly bint is_mainnet
    cdef readonly str vault
    cdef readonly ClientOrderIds ids
    cdef readonly Cloids cloids
    cdef public dict rules                   # wire coin -> TradingRule
    cdef readonly bint live
    cdef readonly str not_live_reason
    cdef public object on_post_only
    cdef readonly object batcher             # OrderBatcher, or None: every order is an action of its own
    cdef readonly int64_t orders_sent
    cdef readonly int64_t cancels_sent
    cdef readonly int64_t unresolved_count
    cdef readonly int64_t stray_answers
    cdef bytes _vault
    cdef object _resolve
    cdef object _book_of
    cdef PositionBook _positions
    cdef Listener _listener
    cdef unsigned char* _json                # HEADROOM bytes, then the text
    cdef unsigned char* _packed
    cdef list _slots
    cdef list _free
    cdef dict _pending
    cdef object _confirmed                   # deque of (mono ns, order): cancels that the venue confirmed
    cdef int64_t _generation
    cdef int64_t _expiry_ms
    cdef int64_t _timeout_ns
    cdef bint _fast_cancel
    cdef bint _linked        # the action that is about to be written is an entry with its closing triggers

    cdef int _check_thread(self) except -1
    cdef int _check_live(self) except -1
    cdef int _check_open(self) except -1
    cdef int _check_room(self, int n, int64_t now) except -1
    cdef _Request _open_request(self, int kind, tuple orders, object future, str what, int64_t now)
    cdef int _close_request(self, _Request request) except -1
    cdef object _refusal(self, str text)
    cdef int _on_orders(self, _Request request, PostReply reply) except -1
    cdef int _on_modify(self, _Request request, PostReply reply) except -1
    cdef int _on_cancels(self, _Request request, PostReply reply) except -1
    cdef int _check_risk(self, InFlightOrder order, int64_t ahead, int64_t ahead_lots) except -1
    cdef InFlightOrder _from_params(self, int64_t now, OrderParams p, bint is_buy)
    cdef TradingRule _rule(self, object coin)
    cdef InFlightOrder _prepare(
        self, int64_t now, object coin, bint is_buy, object size, object price, object tif, bint reduce_only, object trigger,
        object rounding, object client_order_id, object cloid, object order_type, object position_action)
    cdef int64_t _market_cap(self, TradingRule rule, bint is_buy) except -1
    cdef int64_t _expiry(self, InFlightOrder order, object expires_after_ms) except -1
    cdef int64_t _write_orders(self, tuple orders, int64_t expires, int64_t started, int64_t checked) except -1
    cdef int _send_actions(self, list waiting, int64_t started, int64_t checked) except -1
    cdef int _flush_batch(self) except -1
    cdef int _write(self, WireBuffer* w) except -1
    cdef int _tell_written(self, list written) except -1
    cdef int _check_changed(self, InFlightOrder order, int64_t px, int64_t leg) except -1
    cdef int _wire_order(self, WireOrder* o, InFlightOrder order, int64_t px_e8, int64_t lots, object tif) except -1
    cdef InFlightOrder _order_of(self, object given)
    cdef int _send_cancels(self, tuple orders) except -1
    cdef int _begin(self, WireBuffer* w, int64_t id_) noexcept nogil
    cdef int _sign_and_close(self, WireBuffer* w, int64_t nonce, int64_t expires) except -1
