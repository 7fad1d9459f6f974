from libc.stdint cimport int64_t

cdef class OrderParams:
    cdef readonly object coin
    cdef readonly object size
    cdef readonly object price
    cdef readonly object side
    cdef readonly object tif
    cdef readonly bint reduce_only
    cdef readonly object trigger
    cdef readonly object rounding
    cdef readonly object client_order_id
    cdef readonly object cloid
    cdef readonly object order_type
    cdef readonly object position_action
    cdef readonly object expires_after_ms
