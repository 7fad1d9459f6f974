from libc.stdint cimport int64_t

from cpython.pythread cimport PyThread_type_lock

from hlfast.core.bus cimport EventBus
from hlfast.core.in_flight_order cimport InFlightOrder
from hlfast.core.updates cimport OrderUpdate, TradeUpdate

cdef class Resting:
    # what own live orders of one instrument may still take, in lots
    cdef int64_t buy_lots
    cdef int64_t sell_lots

cdef class ClientOrderTracker:
    cdef readonly EventBus bus
    cdef public object waiter_factory        # makes a future; given by the connector
    cdef public object timer_factory         # (seconds, fn) -> something with cancel(); given by the connector
    cdef public object waker                 # (future, value): sets a result from any thread; given by the connector
    cdef public object book                  # new fill -> event to be told behind it, or None; given by the connector
    cdef public object decimals_of           # coin -> size decimals, for orders placed elsewhere
    cdef dict _by_id                         # every order that can still be found
    cdef dict _by_oid
    cdef dict _by_cloid
    cdef dict _active                        # own orders that have not ended
    cdef dict _external                      # the same, placed elsewhere on the account
    cdef object _finished                    # deque of ended ones, oldest first, until the limits below
    cdef dict _held                          # ends that wait for fills
    cdef dict _resting                       # coin -> Resting
    cdef dict _due                           # orders about which the venue is to be asked
    cdef set _fill_keys                      # identities of booked fills
    cdef object _fill_order                  # deque of them, oldest first
    cdef list _queue                         # events that arose and are not told yet
    cdef bint _draining
    cdef object _callback
    cdef bint _auto_cleanup
    cdef int64_t _hold_ns
    cdef int64_t _retention_ns
    cdef int64_t _max_finished
    cdef PyThread_type_lock _lock
    cdef long _owner
    cdef int _depth
    cdef int64_t _late
    cdef int64_t _anomalies
    cdef int64_t _fills
    cdef int64_t _fills_repeated
    cdef int64_t _fills_late
    cdef int64_t _external_seen
    cdef int64_t _unknown_status
    cdef int64_t _incomplete_ends

    cdef int _ask(self, InFlightOrder o) except -1
    cdef int _enter(self) except -1
    cdef int _leave(self) except -1
    cdef int _emit(self, list out) except -1
    cdef int _drain(self) except -1
    cdef int _tell(self, object event) except -1
    cdef object _book(self, TradeUpdate fill)
    cdef bint _wants(self, object cls) except -1
    cdef InFlightOrder _find(self, object client_order_id, object cloid, int64_t oid)
    cdef int _bind_oid(self, InFlightOrder o, int64_t oid) except -1
    cdef InFlightOrder _adopt(self, str name, str coin, bint is_buy, int64_t px_e8, int64_t lots, int sz_decimals, object cloid, int64_t oid, int64_t recv_ns)
    cdef int _decimals(self, str coin) except -1
    cdef int _back_from_cancel(self, InFlightOrder o, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1
    cdef int _set_state(self, InFlightOrder o, int to, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1
    cdef int _create(self, InFlightOrder o, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1
    cdef int _anomaly(self, InFlightOrder o, str text, int64_t recv_ns, list out) except -1
    cdef int _apply(
        self, InFlightOrder o, int to, int64_t time_ms, int64_t recv_ns, str reason, bint recovered,
        int64_t row_lots, int64_t row_orig_lots, object reject, bint from_row, list out) except -1
    cdef int _modified(self, InFlightOrder o, int64_t oid, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1
    cdef int _hold(self, InFlightOrder o, int end, int64_t lots, int64_t recv_ns) except -1
    cdef int _release(self, InFlightOrder o, bint incomplete, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1
    cdef int _end(self, InFlightOrder o, bint incomplete, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1
    cdef int _wake(self, InFlightOrder o, list out) except -1
    cdef int _finish(self, InFlightOrder o) except -1
    cdef int _drop(self, InFlightOrder o) except -1

    cdef int _count_in(self, InFlightOrder o) except -1

    # for compiled callers
    cdef int64_t resting_lots(self, str coin, bint is_buy) except -1
    cdef int start(self, InFlightOrder o) except -1
    cdef int submitted(self, list actions, int64_t now_ns) except -1
