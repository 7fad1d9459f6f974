from libc.stdint cimport int64_t, uint64_t

from picows.picows cimport WSFrame, WSListener, WSTransport

from hlfast.core.frame_sink cimport FrameSink


cdef class Listener(WSListener):
    cdef readonly int64_t last_recv_ns
    cdef readonly uint64_t frames
    cdef readonly uint64_t binary_frames
    cdef readonly uint64_t sink_errors
    cdef readonly Py_ssize_t max_message
    cdef readonly str close_reason
    cdef FrameSink _sink
    cdef WSTransport _transport
    cdef bint _open
    cdef unsigned long _thread
    cdef int _assembling
    cdef bytearray _parts
    cdef object _on_open
    cdef object _on_closed
    cdef object _on_error

    # One text message, sent now. `text` is masked in place and at least 14 writable bytes lie in front of it.
    # 1: handed to a live transport; from here on only the other side can say whether it arrived.
    # 0: nothing was sent, the connection is gone. -1: called from a foreign thread (nothing was sent).
    cdef int write(self, unsigned char* text, Py_ssize_t n) except -1
    cdef int _take_part(self, WSFrame frame, int64_t recv_ns) except -1
    cdef int _deliver(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1
    cdef int _sink_failed(self, object error) except -1
