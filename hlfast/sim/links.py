"""Where answers and frames go (local exchange, layer 5): a WebSocket, one HTTP request, or a pipe inside the process.

A `Link` writes whole messages and can be spoilt: reset, ended, half-closed, torn in the middle of a frame, muted, made
deaf. `write` never waits. WebSocket frames are put together here, one system call for all that a loop's turn wrote; a
client that reads so slowly that more than `max_backlog` bytes wait for it is reset.

What must hold: a dead or muted link takes every call and does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct as binary
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

MAX_BACKLOG = 8 * 2**20
"""Bytes that may wait for a slow reader."""
CLOSE_SECONDS = 1.0
"""How long the peer has to answer a close frame."""
PHRASES = {
    200: "OK",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Link:
    """One way out. `now_ms` is the exchange's time."""

    transport = ""

    def __init__(self, number: int, ip: str, now_ms: Callable[[], int]) -> None:
        self.number = number
        self.ip = ip
        self.is_muted = False
        self.is_deaf = False
        self.lag_blocks = 0
        self.pending_posts = 0
        self.feeds: dict[str, Any] = {}
        self.now_ms = now_ms
        self.last_sent_ms = now_ms()
        self._after_next: list[Callable[[], object]] = []

    def __str__(self) -> str:
        return f"{self.transport}#{self.number}"

    def write(self, frame: bytes) -> bool:
        """Send one message, and what was waiting for a next one. False if it went nowhere."""
        if self.is_muted or not self._put(frame):
            return False
        self.last_sent_ms = self.now_ms()
        if self._after_next:
            self.release()
        return True

    def swap(self, send: Callable[[], object]) -> None:
        """`send` runs after the next message."""
        self._after_next.append(send)

    def release(self) -> None:
        """Send what waits for a next message."""
        waiting, self._after_next = self._after_next, []
        for send in waiting:
            send()

    def deafen(self) -> None:
        """A black hole: what comes in is ignored, nothing goes out, the socket stays open."""
        self.is_deaf = self.is_muted = True

    def _put(self, frame: bytes) -> bool:
        """Bytes on their way; False if this link is dead."""
        raise TypeError(f"{type(self).__name__} cannot write")

    def refuse(self, status: int, body: str) -> None:
        """An HTTP status instead of an answer."""

    def close(self, code: int, reason: bytes) -> None:
        """With a close frame."""

    def reset(self) -> None:
        """RST: what waits is lost, the peer sees ECONNRESET."""

    def finish(self) -> None:
        """FIN, without a word."""

    def half_close(self) -> None:
        """FIN, and yet what comes in is still read and executed."""

    def tear(self, frame: bytes) -> None:
        """The first half of a message."""

    def stop_reading(self) -> None:
        """Let the peer's bytes pile up in its socket."""

    def resume_reading(self) -> None: ...


class SocketLink(Link):
    """What an asyncio transport can be made to do."""

    def __init__(self, number: int, ip: str, now_ms: Callable[[], int], transport: asyncio.Transport | None) -> None:
        super().__init__(number, ip, now_ms)
        self._transport = transport

    @property
    def is_dead(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _flush(self) -> None:
        """What `_put` has kept back goes to the transport."""

    def reset(self) -> None:
        self.is_muted = True
        if self._transport is None or self._transport.is_closing():
            return
        raw = self._transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, binary.pack("ii", 1, 0))
        self._transport.abort()

    def finish(self) -> None:
        self._flush()
        self.is_muted = True
        if self._transport is not None:
            self._transport.close()

    def half_close(self) -> None:
        self._flush()
        self.is_muted = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def tear(self, frame: bytes) -> None:
        self._flush()
        if self._transport is not None and not self._transport.is_closing() and not self.is_muted:
            self._transport.write(self._torn(frame))

    def _torn(self, frame: bytes) -> bytes:
        return frame[: len(frame) // 2]


class Connection(SocketLink):
    """One WebSocket."""

    transport = "ws"

    def __init__(
        self,
        number: int,
        ip: str,
        now_ms: Callable[[], int],
        transport: asyncio.Transport | None,
        websocket: web.WebSocketResponse,
    ) -> None:
        super().__init__(number, ip, now_ms, transport)
        self.reading = asyncio.Event()
        self.reading.set()
        self.max_backlog = MAX_BACKLOG
        self._socket = websocket
        self._waiting: list[bytes] = []
        self._flushing = False
        self._gate: Gate | None = None

    def look(self, takes: Callable[[str, Callable[[], None]], bool]) -> None:
        """From now on `takes(text, half)` sees each message of the client before it is read, and may take it away."""
        transport = self._transport
        if self._gate is None and transport is not None and not transport.is_closing():
            self._gate = Gate(transport.get_protocol(), takes)
            transport.set_protocol(self._gate)

    def _put(self, frame: bytes) -> bool:
        if self.is_dead or self._socket.closed:
            return False
        self._waiting.append(header(len(frame)))
        self._waiting.append(frame)
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)
        return True

    def _flush(self) -> None:
        self._flushing = False
        waiting, self._waiting = self._waiting, []
        transport = self._transport
        if not waiting or transport is None or transport.is_closing() or self._socket.closed:
            return
        transport.write(b"".join(waiting))
        if transport.get_write_buffer_size() > self.max_backlog:
            self.reset()

    def _torn(self, frame: bytes) -> bytes:
        """The header promises the whole."""
        return header(len(frame)) + frame[: len(frame) // 2]

    def pong(self, data: bytes) -> None:
        """The answer to a ping frame, unless this link is silent."""
        if not self.is_muted and not self.is_dead and not self._socket.closed:
            self._waiting.append(bytes((0x8A, len(data))) + data)
            self._flush()

    def close(self, code: int, reason: bytes) -> None:
        self._flush()
        self.is_muted = True
        transport = self._transport
        if transport is not None and not transport.is_closing() and not self._socket.closed:
            transport.write(bytes((0x88, 2 + len(reason))) + code.to_bytes(2, "big") + reason)
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, transport.close)

    def stop_reading(self) -> None:
        self.reading.clear()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self.reading.set()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            if self._gate is not None:
                self._gate.release()


class Gate(asyncio.Protocol):
    """Between a socket and its reader: passes bytes on message by message, or half of one and the rest when released."""

    def __init__(self, reader: Any, takes: Callable[[str, Callable[[], None]], bool]) -> None:
        self._reader, self._takes = reader, takes
        self._kept = b""
        self._is_shut = False

    def data_received(self, data: bytes) -> None:
        self._kept += data
        while not self._is_shut and (size := message_size(self._kept)):
            message, self._kept = self._kept[:size], self._kept[size:]
            if not self._takes(text_of(message), lambda message=message: self._halve(message)):  # type: ignore[misc]
                self._reader.data_received(message)

    def _halve(self, message: bytes) -> None:
        half = len(message) // 2
        self._reader.data_received(message[:half])
        self._kept = message[half:] + self._kept
        self._is_shut = True

    def release(self) -> None:
        """What was kept back goes on as it is."""
        if self._is_shut:
            self._is_shut = False
            kept, self._kept = self._kept, b""
            self._reader.data_received(kept)

    def eof_received(self) -> bool | None:
        still_open: bool | None = self._reader.eof_received()
        return still_open

    def connection_lost(self, error: Exception | None) -> None:
        self._reader.connection_lost(error)

    def pause_writing(self) -> None:
        self._reader.pause_writing()

    def resume_writing(self) -> None:
        self._reader.resume_writing()


def message_size(data: bytes) -> int:
    """Bytes of the masked frame at the beginning of `data`; 0 if it is not all there."""
    if len(data) < 6:
        return 0
    length, head = data[1] & 0x7F, 6
    if length >= 126:
        head += 2 if length == 126 else 8
        length = int.from_bytes(data[2 : head - 4], "big")
    return head + length if len(data) >= head + length else 0


def text_of(message: bytes) -> str:
    """What a masked frame says."""
    short = message[1] & 0x7F
    head = 6 if short < 126 else 8 if short == 126 else 14
    mask, body = message[head - 4 : head], message[head:]
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(body)).decode(errors="replace")


def header(length: int) -> bytes:
    """Of an unmasked, whole text frame (RFC 6455, section 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    return binary.pack("!BBH", 0x81, 126, length) if length < 65_536 else binary.pack("!BBQ", 0x81, 127, length)


class HttpLink(SocketLink):
    """One HTTP request: the first message is its answer."""

    transport = "http"

    def __init__(self, number: int, ip: str, now_ms: Callable[[], int], transport: asyncio.Transport | None) -> None:
        super().__init__(number, ip, now_ms, transport)
        self.response: asyncio.Future[web.Response] = asyncio.get_running_loop().create_future()

    def _put(self, frame: bytes) -> bool:
        return self._answer(web.Response(body=frame, content_type="application/json"))

    def _answer(self, response: web.Response) -> bool:
        if self.response.done():
            return False
        self.response.set_result(response)
        return True

    def refuse(self, status: int, body: str) -> None:
        kind = "text/html" if body.startswith("<") else "text/plain"
        self._answer(web.Response(status=status, text=body, content_type=kind))

    def reset(self) -> None:
        super().reset()
        self._answer(web.Response())  # to nobody: it ends the request's task

    def finish(self) -> None:
        super().finish()
        self._answer(web.Response())

    def _torn(self, frame: bytes) -> bytes:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(frame)}\r\n\r\n"
        return head.encode() + frame[: len(frame) // 2]


class Pipe(Link):
    """A client inside the process, without a socket: `frames` is what it got, in order."""

    transport = "ws"

    def __init__(self, number: int, now_ms: Callable[[], int], receive: Callable[[Link, str], None]) -> None:
        super().__init__(number, "pipe", now_ms)
        self.frames: list[str] = []
        self.ended = ""
        self._receive = receive

    def send(self, message: Any) -> None:
        """One message to the exchange: text, or what becomes JSON."""
        if not self.ended:
            self._receive(self, message if isinstance(message, str) else orjson.dumps(message).decode())

    def _put(self, frame: bytes) -> bool:
        if self.ended:
            return False
        with contextlib.suppress(UnicodeDecodeError):
            self.frames.append(frame.decode())
        return True

    def reset(self) -> None:
        self.ended = self.ended or "reset"

    def finish(self) -> None:
        self.ended = self.ended or "finished"

    def half_close(self) -> None:
        self.is_muted = True

    def tear(self, frame: bytes) -> None:
        self._put(frame[: len(frame) // 2])

    def close(self, code: int, reason: bytes) -> None:
        self.ended = self.ended or f"closed {code}"
