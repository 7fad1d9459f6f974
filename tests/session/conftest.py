"""A server that does to a WebSocket what a venue, a proxy or a cable may do, byte by byte; and what every test here owes.

`run(scenario)` runs `scenario(venue)` on the stock loop and on uvloop, and then asks for what must hold after every
scenario (C7): no task left, no socket left, nothing that asyncio complained about.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from hlfast.core.frame_sink import FrameSink
from hlfast.net.backoff import Backoff
from hlfast.net.session import WebSocketSession

PING, PONG = b'{"method":"ping"}', b'{"channel":"pong"}'


class Peer:
    """The server's end of one connection."""

    def __init__(self, venue: Venue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._venue, self._reader, self._writer = venue, reader, writer
        self.received: list[bytes] = []
        self.pongs: list[bytes] = []
        self.close_code: int | None = None
        self.ended = False

    def raw(self, data: bytes) -> None:
        self._writer.write(data)

    def frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> None:
        self.raw(make_frame(opcode, payload, fin=fin, rsv=rsv))

    def text(self, message: bytes) -> None:
        self.frame(1, message)

    def hang_up(self) -> None:
        """FIN, without a CLOSE frame."""
        self._writer.close()

    def reset(self) -> None:
        """RST."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def serve(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            if self._venue.upgrade == "reset":
                self.reset()
                return
            head = await self._reader.readuntil(b"\r\n\r\n")
            if self._venue.upgrade == "silent":
                await self._reader.read()
                return
            if self._venue.upgrade == "hang up":
                return
            if self._venue.upgrade == "refuse":
                self.raw(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                return
            key = next(line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: "))
            proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            self.raw(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
            )
            self._venue.peers.append(self)
            self._venue.on_peer(self)
            while self.close_code is None:
                await self._read_frame()

    async def _read_frame(self) -> None:
        first, second = await self._reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self._reader.readexactly(8))
        assert second & 0x80, "a client masks every frame"
        mask = await self._reader.readexactly(4)
        payload = await self._reader.readexactly(size)
        payload = bytes(a ^ b for a, b in zip(payload, mask * (size // 4 + 1), strict=False))
        opcode = first & 0x0F
        if opcode == 1:
            self.received.append(payload)
            if payload == PING and self._venue.answer_pings:
                self.text(PONG)
        elif opcode == 10:
            self.pongs.append(payload)
        elif opcode == 8:
            self.close_code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 0
            self.frame(8, payload)


def make_frame(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 1 << 16:
        return head + b"\x7e" + struct.pack(">H", len(payload)) + payload
    return head + b"\x7f" + struct.pack(">Q", len(payload)) + payload


class Venue:
    """Listens on loopback. `upgrade`: "accept", "silent", "reset", "hang up" or "refuse"."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.peers: list[Peer] = []
        self.upgrade = "accept"
        self.answer_pings = True
        self.on_peer: Callable[[Peer], object] = lambda peer: None
        self.accepted = 0
        self.port = 0
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def peer(self) -> Peer:
        return self.peers[-1]

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.accepted += 1
        peer = Peer(self, reader, writer)
        try:
            await peer.serve()
        finally:
            peer.ended = True
            writer.close()
            self._tasks.discard(task)

    async def close(self) -> None:
        self.stop_listening()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)


class Recorder(FrameSink):
    """Keeps every message; raises for the one that says so; tells its session about pongs."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.times: list[int] = []
        self.session: WebSocketSession | None = None

    def on_text(self, data: bytes, recv_ns: int) -> None:
        if data == PONG and self.session is not None:
            self.session.note_pong()
            return
        self.texts.append(data)
        self.times.append(recv_ns)
        if data == b"raise":
            raise ValueError("the sink was told to raise")


class Watched(WebSocketSession):
    """A session that keeps its changes of state, and its sink at hand. Times are scaled down."""

    def __init__(self, url: str, **options: Any) -> None:
        self.history: list[tuple[str, str]] = []
        self.recorder = Recorder()
        options.setdefault("backoff", Backoff(0.01, 0.04))
        options.setdefault("on_state", lambda state, reason: self.history.append((str(state), reason)))
        super().__init__(url, self.recorder, **{"ping_interval": 5.0, "pong_timeout": 5.0, **options})
        self.recorder.session = self

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.history]

    @property
    def why_down(self) -> list[str]:
        return [reason for state, reason in self.history if state == "DOWN"]


def open_sockets() -> set[str]:
    found = set()
    for fd in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            name = os.fstat(int(fd))
            if (name.st_mode & 0o170000) == 0o140000:
                found.add(f"{fd}:{name.st_ino}")
    return found


@pytest.fixture
def session_class() -> type[Watched]:
    return Watched


@pytest.fixture
def recorder_class() -> type[Recorder]:
    return Recorder


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    async def wait(condition: Callable[[], object], what: str = "", seconds: float = 10.0) -> None:
        for _ in range(int(seconds / 0.005)):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"did not come about within {seconds:g} s: {what or condition}")

    return wait


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Run `scenario(venue)`, and check that it left nothing behind."""

    def runner(scenario: Callable[[Venue], Awaitable[None]], tls: ssl.SSLContext | None = None) -> None:
        complaints: list[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
            venue = Venue(tls)
            await venue.listen()
            try:
                await asyncio.wait_for(scenario(venue), 30)
            finally:
                await venue.close()
            for _ in range(100):
                left = asyncio.all_tasks() - {asyncio.current_task()}
                if not left:
                    break
                await asyncio.sleep(0.01)
            assert not left, f"tasks left: {left}"
            gc.collect()
            await asyncio.sleep(0)

        gc.collect()
        before = open_sockets()
        (asyncio.run if request.param == "asyncio" else uvloop.run)(main())
        gc.collect()
        assert open_sockets() <= before, "a socket was left open"
        assert not complaints

    return runner
