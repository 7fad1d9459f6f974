from libc.stdint cimport int64_t

cdef int64_t now_ns() noexcept nogil
cdef int64_t mono_ns() noexcept nogil
cdef int64_t mono_of(int64_t now) noexcept nogil    # the monotonic time of a reading of now_ns()
cdef int64_t wall_ms() noexcept nogil
cdef int64_t wall_less_mono_ns() noexcept nogil
