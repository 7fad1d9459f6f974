from libc.stdint cimport int64_t

cdef class Window:
    cdef readonly int64_t limit
    cdef readonly int64_t used
    cdef int64_t _buckets[60]
    cdef int64_t _second
    cdef int _advance(self, int64_t now_ms) except -1
    cdef int take(self, int64_t units, int64_t now_ms) except -1
    cdef int64_t rest(self, int64_t now_ms) except? -1

cdef class Limits:
    cdef readonly Window weight
    cdef readonly Window messages
    cdef readonly int64_t cancel_reserve
    cdef readonly bint enforced
    cdef readonly int64_t address_used       # requests of the account, as the venue counts them
    cdef readonly int64_t address_cap        # 0: not known
    cdef readonly int64_t blocked_until_ms
    cdef readonly int64_t refusals
    cdef int64_t _silence_ms
    cdef double _traded
    cdef Window _requests                    # of the account, in the last minute
    cdef readonly dict spent_on
    cpdef int check_order(self, int64_t items, int64_t now_ms) except -1
    cpdef int check_query(self, int64_t now_ms) except -1
    cpdef int spend(self, str what, int64_t weight, int64_t now_ms, int64_t items=?) except -1
