"""FrameTap: a copy of every frame of a socket, as lines, for another thread to take (layer 2, hot).

It stands between a listener and its sink: the frame goes to `next_sink` first, untouched, and is copied afterwards, so
what trades is not behind what records. A line is the receive time in ns (19 digits), a space, the frame, a newline;
a newline inside a frame (JSON knows it only between tokens) becomes a space and is counted in `reflowed`. What is no JSON
object (the greeting of a connection) is passed on, not kept, and counted in `skipped`: readers parse every line.

Memory is bounded: `pending_bytes` (not taken yet, or taken and not `done`) never exceeds `max_bytes`. A frame beyond that
is not kept, and counted in `dropped`. One thread feeds, one takes; both hold the interpreter's lock, and need no other.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from libc.stdint cimport int64_t
from libc.string cimport memchr, memcpy

from hlfast.core.frame_sink cimport FrameSink

cdef enum:
    DIGITS = 19


cdef class FrameTap(FrameSink):
    """`FrameTap(next_sink, max_bytes)`; `next_sink` may be None and be set later."""

    def __init__(self, FrameSink next_sink=None, Py_ssize_t max_bytes=64 * 1024 * 1024):
        if max_bytes < 1:
            raise ValueError(f"a tap keeps at least one byte, got {max_bytes}")
        self.next_sink = next_sink
        self.max_bytes = max_bytes
        self._lines = bytearray()

    cdef int on_frame(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1:
        try:
            if self.next_sink is not None:
                self.next_sink.on_frame(data, size, recv_ns)
        finally:
            self._keep(data, size, recv_ns)
        return 0

    cdef int _keep(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1:
        cdef Py_ssize_t at = PyByteArray_GET_SIZE(self._lines)
        cdef Py_ssize_t line = DIGITS + 1 + size + 1
        cdef char* out
        cdef char* found
        cdef int i
        if size == 0 or data[0] != b"{":
            self.skipped += 1
            return 0
        if at + self._taken + line > self.max_bytes:
            self.dropped += 1
            self.dropped_bytes += size
            return 0
        PyByteArray_Resize(self._lines, at + line)
        out = PyByteArray_AS_STRING(self._lines) + at
        self.last_ns = recv_ns
        for i in range(DIGITS - 1, -1, -1):
            out[i] = <char>(48 + recv_ns % 10)
            recv_ns //= 10
        out[DIGITS] = b" "
        out += DIGITS + 1
        memcpy(out, data, size)
        out[size] = b"\n"
        found = <char*>memchr(out, b"\n", size)
        if found != NULL:
            self.reflowed += 1
            while found != NULL:
                found[0] = b" "
                found = <char*>memchr(found, b"\n", size - (found - out))
        self.frames += 1
        return 0

    @property
    def pending_bytes(self):
        """Bytes of lines that are not safe yet."""
        return PyByteArray_GET_SIZE(self._lines) + self._taken

    def take(self):
        """The lines so far, which count as pending until `done()`. Empty: nothing came."""
        cdef bytearray lines = self._lines
        self._taken += PyByteArray_GET_SIZE(lines)
        self._lines = bytearray()
        return lines

    def done(self):
        """What was taken has been written, or given up: its room is free again."""
        self._taken = 0
