from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    # why a signature was made by RFC 6979 although there is a pool
    EMPTY = 0
    DISCONTINUITY = 1
    EDGE = 2
    FORKED = 3
    STOPPED = 4
    MISMATCH = 5
    UNAVAILABLE = 6
    REASONS = 7

cdef struct Pool:
    # what is not secret; it outlives a fork, `memory` does not
    void* memory                             # hlfast_pool_memory, known to this module alone; NULL once it is gone
    size_t bytes
    uint32_t size
    uint32_t off                             # 0: on, else the reason among the above
    uint32_t told                            # a mismatch was handed to the interpreter
    uint32_t word                            # the thread sleeps on it; 1: it is to stop
    unsigned char pubkey[65]
    uint64_t used
    uint64_t verified
    uint64_t mismatches
    uint64_t prepared
    uint64_t discarded
    uint64_t emptied
    uint64_t fallbacks[7]
    uint32_t inject                          # debug builds: edges to come
    uint32_t hits                            # debug builds: those that came

# 1: r, s and recovery id are in out65. 0: sign by RFC 6979. From any thread.
cdef int sign_prepared(Pool* p, const unsigned char* digest32, unsigned char* out65) noexcept nogil

cdef class NoncePool:
    cdef Pool* _pool
    cdef unsigned long _thread               # a pthread_t
    cdef bint _running
    cdef object _lock
    cdef readonly str error                  # what disabled the pool; None while all is well
    cdef public object on_disabled           # called with that text, in the main thread
    cdef object __weakref__
    cdef bint _is_forked(self) noexcept nogil
    cdef int _halt(self) noexcept
    cdef int _unmap(self) noexcept
    cdef int _close(self) except -1

cdef NoncePool make_pool(const unsigned char* key32, const unsigned char* pubkey65, uint32_t size)
