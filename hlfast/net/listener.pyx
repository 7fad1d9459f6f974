"""The one module that compiles against picows (layer 2, hot): frames in, frames out.

`Listener` is one connection's ear and mouth. Every whole text message goes to a `FrameSink` as (pointer, length,
receive time), with one reading of the clock a frame and no Python object. The pointer is valid until the sink returns:
picows reuses its buffer. Fragmented messages are put together first, up to `max_message` bytes. A sink that raises is
counted and reported; it never closes the feed.

Life: `on_open()` after the upgrade, then frames, then `on_closed(reason)` exactly once. The reason begins with who
closed and how: "server closed", "protocol error", "connection lost", or the words given to `close` or `abort`.
Receive times are epoch ns of `hlfast.clock.now_ns`. WebSocket pings are answered by picows and are no sign of life.
"""

import logging

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport int64_t

from picows.picows cimport WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from hlfast.clock cimport now_ns
from hlfast.core.frame_sink cimport FrameSink

from picows import WSProtocolError

log = logging.getLogger("hlfast.net")

cdef enum Assembling:
    NOTHING = 0
    TEXT_PARTS = 1
    BINARY_PARTS = 2  # dropped as they come

MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes of the largest message that is accepted, whole or in parts."""


cdef class Listener(WSListener):
    """One connection. Hazard: `write` masks the caller's buffer in place and writes up to 14 bytes in front of it."""

    def __init__(self, FrameSink sink not None, *, on_open, on_closed, on_error=None, Py_ssize_t max_message=MAX_MESSAGE):
        """`on_open()`, `on_closed(reason: str)`, `on_error(exception)`: plain functions, called from the event loop."""
        self._sink = sink
        self._on_open = on_open
        self._on_closed = on_closed
        self._on_error = on_error
        self.max_message = max_message
        self.close_reason = ""

    # -- out --------------------------------------------------------------------------------------------------------
    cdef int write(self, unsigned char* text, Py_ssize_t n) except -1:
        cdef WSTransport transport = self._transport
        if not self._open or transport.is_disconnected or transport.is_close_frame_sent:
            return 0
        if PyThread_get_thread_ident() != self._thread:
            raise RuntimeError("a socket belongs to its event loop's thread; use loop.call_soon_threadsafe")
        if n < 0:
            raise ValueError(f"a message has 0 or more bytes, got {n}")
        try:
            transport.send_reuse_external_buffer(WSMsgType.TEXT, <char*>text, n)
        except Exception as error:
            # Some of it may have left: the connection is done for, and the outcome is not known.
            self.abort(f"write failed: {error}")
        return 1

    def send(self, bytes data not None):
        """Send one text message. True: handed to a live transport. False: nothing was sent, the connection is gone."""
        cdef bytearray room = bytearray(14) + data
        return self.write(<unsigned char*>PyByteArray_AS_STRING(room) + 14, len(data)) == 1

    @property
    def is_open(self):
        """True between the upgrade and the first sign of an end, from either side."""
        return self._open and not self._transport.is_disconnected and not self._transport.is_close_frame_sent

    @property
    def transport(self):
        """The picows transport, None before the upgrade."""
        return self._transport

    def close(self, str reason not None):
        """Say goodbye with a CLOSE frame, send what is buffered, then close. `reason` goes to `on_closed`."""
        if self._open:
            self._open = False
            self.close_reason = self._first_reason(reason)
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()

    def abort(self, str reason not None):
        """Drop the connection at once, with whatever is buffered. `reason` goes to `on_closed`.

        Before the upgrade: drop it as soon as it is made, without `on_open`.
        """
        if self._transport is None:
            self.close_reason = self.close_reason or reason
        elif not self._transport.is_disconnected:
            self._open = False
            self.close_reason = self._first_reason(reason)
            self._transport.disconnect(False)

    def _first_reason(self, str reason):
        if self.close_reason:
            return self.close_reason
        return reason if self._transport.close_handshake is None else _reason(self._transport)

    # -- in ---------------------------------------------------------------------------------------------------------
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        cdef int64_t recv_ns = now_ns()
        self.last_recv_ns = recv_ns
        self.frames += 1
        if frame.rsv1 | frame.rsv2 | frame.rsv3:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a reserved bit is set; no extension was agreed on")
        if frame.msg_type == WSMsgType.TEXT and frame.fin and self._assembling == NOTHING:
            self._deliver(frame.payload_ptr, frame.payload_size, recv_ns)
        elif frame.msg_type == WSMsgType.CLOSE:
            # Who closes first is in picows' record of the handshake, which `on_ws_disconnected` reads.
            self._open = False
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type <= WSMsgType.BINARY:
            self._take_part(frame, recv_ns)

    cdef int _take_part(self, WSFrame frame, int64_t recv_ns) except -1:
        """Everything that is not a whole text message: parts of one, and binary data (which nobody here expects)."""
        cdef bytearray whole
        if frame.msg_type == WSMsgType.CONTINUATION:
            if self._assembling == NOTHING:
                raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a continuation of no message")
        elif self._assembling != NOTHING:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a new message inside an unfinished one")
        else:
            self._assembling = TEXT_PARTS if frame.msg_type == WSMsgType.TEXT else BINARY_PARTS
            self._parts = bytearray()
        if self._assembling == TEXT_PARTS:
            if PyByteArray_GET_SIZE(self._parts) + frame.payload_size > self.max_message:
                raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, f"a message of more than {self.max_message} bytes")
            self._parts += frame.payload_ptr[:frame.payload_size]
        if not frame.fin:
            return 0
        whole, self._parts = self._parts, None
        if self._assembling == TEXT_PARTS:
            self._assembling = NOTHING
            self._deliver(PyByteArray_AS_STRING(whole), PyByteArray_GET_SIZE(whole), recv_ns)
        else:
            self._assembling = NOTHING
            self.binary_frames += 1
        return 0

    cdef int _deliver(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1:
        try:
            self._sink.on_frame(data, size, recv_ns)
        except Exception as error:
            self._sink_failed(error)
        return 0

    cdef int _sink_failed(self, object error) except -1:
        self.sink_errors += 1
        if self._on_error is None:
            log.error("a frame's sink raised", exc_info=error)
            return 0
        try:
            self._on_error(error)
        except Exception:
            log.exception("the hook for sink errors raised")
        return 0

    # -- life -------------------------------------------------------------------------------------------------------
    cpdef on_ws_connected(self, WSTransport transport):
        self._transport = transport
        self._thread = PyThread_get_thread_ident()
        # picows leaves its own failures there; unread, asyncio would complain when it is collected.
        transport.disconnected_future.add_done_callback(_read)
        if self.close_reason:  # given up during the upgrade
            transport.disconnect(False)
            return
        self._open = True
        self.last_recv_ns = now_ns()
        self._on_open()

    cpdef on_ws_disconnected(self, WSTransport transport):
        self._open = False
        self._parts = None
        if not self.close_reason:
            self.close_reason = _reason(transport)
        on_closed, self._on_closed = self._on_closed, None
        self._on_open = self._on_error = None
        if on_closed is not None:
            on_closed(self.close_reason)

    cpdef pause_writing(self):
        log.warning("the peer does not read: %d bytes wait to be sent", self._unsent())

    cpdef resume_writing(self):
        log.info("the peer reads again")

    def _unsent(self):
        return self._transport.underlying_transport.get_write_buffer_size() if self._transport is not None else 0


def _read(future):
    if not future.cancelled():
        future.exception()


def _reason(WSTransport transport):
    """Who ended it, from the CLOSE frames that picows saw."""
    handshake = transport.close_handshake
    if handshake is None:
        return "connection lost: it ended without a CLOSE frame (code 1006)"
    if handshake.recv is not None and (handshake.recv_then_sent or handshake.sent is None):
        return f"server closed: code {int(handshake.recv.code)}" + (f" {handshake.recv.reason!r}" if handshake.recv.reason else "")
    return f"protocol error: {handshake.sent.reason or 'unreadable frame'} (code {int(handshake.sent.code)})"
