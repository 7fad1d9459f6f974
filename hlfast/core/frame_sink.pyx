"""The seam between sockets and venues (layer 1): a listener hands each whole text message to one `FrameSink`.

`net` knows this class and no venue; a venue's router derives from it and knows no socket. Hot.
"""

from libc.stdint cimport int64_t


cdef class FrameSink:
    """Receives whole text messages. Derive in Cython and override `on_frame`, or in Python and override `on_text`."""

    cdef int on_frame(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1:
        self.on_text(data[:size], recv_ns)
        return 0

    def on_text(self, data, recv_ns):
        """`data`: the message's bytes (a copy); `recv_ns`: when it was read. The default ignores it."""

    def feed(self, data, recv_ns=0):
        """Hand `data` (bytes) to the sink as if a socket had delivered it: for tests, replay and HTTP answers."""
        cdef bytes held = bytes(data)
        cdef const char* p = held
        self.on_frame(p, len(held), recv_ns)
