from libc.stdint cimport int64_t

from hlfast.core.in_flight_order cimport InFlightOrder
from hlfast.core.updates cimport TradeUpdate

cdef class OrderEvent:
    cdef readonly InFlightOrder order
    cdef readonly int64_t time_ms            # venue time, 0: not known
    cdef readonly int64_t recv_ns
    cdef readonly bint recovered             # found by a query after a gap, not told by a stream

cdef class OrderCreated(OrderEvent):
    pass

cdef class OrderStateChanged(OrderEvent):
    cdef readonly object old_state
    cdef readonly object new_state

cdef class OrderFilled(OrderEvent):
    cdef readonly TradeUpdate fill
    cdef readonly bint is_partial
    cdef readonly bint is_late               # it came after the order's end had been told

cdef class OrderCompleted(OrderEvent):
    cdef readonly bint incomplete            # the wait for due fills ran out

cdef class OrderCancelled(OrderEvent):
    cdef readonly str reason
    cdef readonly bint incomplete

cdef class OrderFailed(OrderEvent):
    cdef readonly str reason
    cdef readonly object reject              # VenueReject | None

cdef class OrderExpired(OrderEvent):
    cdef readonly str reason

cdef class OrderCancelRejected(OrderEvent):
    cdef readonly str reason

cdef class OrderModified(OrderEvent):
    cdef readonly int64_t old_px_e8
    cdef readonly int64_t old_lots

cdef class OrderModifyRejected(OrderEvent):
    cdef readonly str reason

cdef OrderEvent order_event(type cls, InFlightOrder order, int64_t time_ms, int64_t recv_ns, bint recovered)
