from libc.stdint cimport int64_t

from hlfast.core.in_flight_order cimport InFlightOrder
from hlfast.core.order_book cimport OrderBook

cdef class PreTradeChecks:
    cdef readonly bint killed
    cdef readonly str kill_reason
    cdef readonly int64_t refused
    cdef public object gate                  # asked last: fn(order), raises OrderDenied
    cdef int64_t _max_order_value
    cdef int64_t _max_position_value
    cdef int64_t _max_open_orders
    cdef int64_t _max_per_second
    cdef int64_t _band_bps
    cdef int64_t _tokens                     # of the order rate, in thousandths
    cdef int64_t _refilled_ns
    cdef bint counts_positions               # the position and what rests are wanted by `check`
    cdef bint bounds_prices                  # the book is
    # Raises OrderDenied. position_lots: signed; resting_lots: on the order's side; book: OrderBook or None.
    cdef int check(self, InFlightOrder order, int64_t position_lots, int64_t resting_lots, int64_t open_orders, object book) except -1
    cdef int _refuse(self, str text) except -1
