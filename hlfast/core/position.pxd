from libc.stdint cimport int64_t

from hlfast.core.bus cimport EventBus
from hlfast.core.updates cimport TradeUpdate

cdef class Position:
    cdef readonly str symbol
    cdef readonly int sz_decimals
    cdef int64_t lots                        # signed
    cdef object _cost                        # entry price times signed size of what is open, exact
    cdef readonly object realized_pnl
    cdef readonly object funding
    cdef readonly object mark_price          # Decimal | None
    cdef readonly object liquidation_price   # Decimal | None
    cdef object _unrealized                  # the venue's figure, where no mark is known
    cdef readonly int leverage
    cdef readonly object margin
    cdef readonly int64_t timestamp_ns
    cdef dict _fees
    cdef int book(self, int64_t lots, object price, object told) except -1

cdef class PositionBook:
    cdef EventBus _bus
    cdef dict _positions
    cdef bint _shared
    cdef int64_t lots_of(self, str coin) except? -1
