from libc.stdint cimport int64_t, uint64_t

cdef class ClientOrderIds:
    cdef readonly str prefix
    cdef char _head[8]
    cdef int _size
    cdef str take(self, int64_t now)

cdef class Cloids:
    cdef readonly str tag
    cdef uint64_t _counter
    cdef char _head[18]
    cdef str take(self)
    cpdef bint is_own(self, str cloid) except -1
