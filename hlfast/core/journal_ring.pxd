from libc.stdint cimport int64_t, uint8_t, uint64_t

from cpython.buffer cimport Py_buffer

from hlfast.core.events cimport OrderEvent
from hlfast.core.in_flight_order cimport InFlightOrder
from hlfast.core.position cimport Position
from hlfast.core.updates cimport TradeUpdate

cdef enum:
    # why the ring takes no more intents; JournalRing.blocked
    RING_OPEN = 0
    RING_FULL = 1        # three quarters of it wait for the drain: the rest is for what happens to live orders
    RING_FAILED = 2      # the drain says that it cannot write
    RING_CLOSED = 3

cdef class JournalRing:
    cdef readonly str path
    cdef readonly int64_t capacity           # records
    cdef readonly int blocked                # RING_OPEN, or why intents are refused
    cdef readonly str reason                 # of RING_FAILED
    cdef readonly int64_t torn               # records that could not be read back
    cdef list _waiting                       # messages that did not fit, as bytes, oldest first
    cdef Py_ssize_t _waits                   # how many they are
    cdef object _file
    cdef object _map
    cdef Py_buffer _view
    cdef bint _mapped
    cdef uint8_t* _header
    cdef uint8_t* _slots
    cdef uint8_t* _scratch                   # the message that is being written
    cdef Py_ssize_t _size                    # its length
    cdef int64_t _head                       # number of the next record; records are numbered from 1
    cdef int64_t _tail                       # number of the oldest record that is not drained
    cdef int64_t _limit                      # intents are refused when so many records wait

    # for the order path: True if n more intents would be taken now
    cdef bint takes(self, int64_t n) noexcept nogil
    # each returns 1 if the record is in the file; 0 if not: an intent is refused, anything else waits in memory
    cpdef int put_intent(self, InFlightOrder order, int64_t nonce, int64_t expires_ms, int64_t now_ns) except -1
    cpdef int put_cancel(self, InFlightOrder order, int64_t nonce, int64_t now_ns) except -1
    cpdef int put_modify(self, InFlightOrder order, int64_t px_e8, int64_t leg_lots, int64_t nonce, int64_t now_ns) except -1
    cpdef int put_state(self, InFlightOrder order, int old_state, int new_state, int64_t time_ms, int64_t now_ns) except -1
    cpdef int put_fill(self, TradeUpdate fill, str client_order_id) except -1
    cpdef int put_nonce(self, int64_t nonce, int64_t now_ns) except -1
    cpdef int put_position(self, Position position, int64_t time_ms, int64_t now_ns) except -1
    cpdef int put_note(self, str name, bytes body, int64_t now_ns) except -1
    cpdef int put_order_event(self, OrderEvent event) except -1

    cdef int _put_order(self, InFlightOrder order, int64_t nonce, int64_t expires_ms, int64_t now_ns) except -1
    cdef int _put_event(
        self, InFlightOrder order, int event, int old_state, int new_state, int64_t time_ms, int64_t now_ns, int64_t nonce,
        int64_t px_e8, int64_t lots, int64_t leg_lots, int flags, str reason, object reject) except -1
    cdef int _text(self, str text) except -1
    cdef int _put(self, int kind, bint wait) except -1
    cdef int _write(self, int kind, const uint8_t* message, Py_ssize_t size) noexcept nogil
    cdef int _is_whole(self, int64_t number) noexcept nogil
    cdef int _warm(self) noexcept nogil
    cdef int _check_open(self) except -1
    cdef int _settle(self) except -1
    cdef int _find_head(self, int64_t head) except -1
