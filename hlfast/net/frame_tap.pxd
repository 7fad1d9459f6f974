from libc.stdint cimport int64_t

from hlfast.core.frame_sink cimport FrameSink

cdef class FrameTap(FrameSink):
    cdef public FrameSink next_sink
    cdef readonly Py_ssize_t max_bytes
    cdef readonly int64_t frames             # kept
    cdef readonly int64_t dropped
    cdef readonly int64_t dropped_bytes
    cdef readonly int64_t reflowed
    cdef readonly int64_t skipped            # no JSON object
    cdef readonly int64_t last_ns            # receive time of the newest kept frame
    cdef bytearray _lines
    cdef Py_ssize_t _taken

    cdef int _keep(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1
