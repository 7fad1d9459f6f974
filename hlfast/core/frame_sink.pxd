from libc.stdint cimport int64_t

cdef class FrameSink:
    # Called by the listener for every whole text message. `data` is valid until the call returns.
    cdef int on_frame(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1
