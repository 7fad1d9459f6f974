from libc.stdint cimport int64_t

cdef class NonceManager:
    cdef int64_t _last
    cdef readonly str signer
    cdef int64_t take(self) noexcept nogil
