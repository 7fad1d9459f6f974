"""The other end of HTTP, made to misbehave: a server on this machine that does with each request what a test says.

    with FarEnd(answer({"a": 1}), cut_before_answer, answer({})) as far:       # what the 1st, 2nd and 3rd request get
        API(far.url).post("/info", {}); far.requests[0].body

The last behaviour serves all further requests. Behaviours get the socket and the request; what they return is sent.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, NamedTuple


class Request(NamedTuple):
    connection: int
    path: str
    headers: dict[str, str]
    raw_body: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw_body)


Behaviour = Callable[[socket.socket, Request], "bytes | None"]


def answer(value: Any, status: int = 200, *, text: str | None = None, **headers: str) -> Behaviour:
    """Answer JSON (or `text` as it is)."""
    said = (json.dumps(value) if text is None else text).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(said)), **headers}
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in lines.items())
    return lambda sock, request: head.encode() + b"\r\n" + said


def reset(sock: socket.socket, request: Request) -> None:
    """Read the request, then reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def hang_up(sock: socket.socket, request: Request) -> None:
    """Read the request, then close in good order."""
    sock.close()


def say_nothing(sock: socket.socket, request: Request) -> None:
    """Read the request and never answer."""


def half(value: Any) -> Behaviour:
    """Half an answer, then the end."""

    def cut(sock: socket.socket, request: Request) -> None:
        whole = answer(value)(sock, request)
        assert whole is not None
        sock.sendall(whole[:-2])
        sock.close()

    return cut


def then_close(behaviour: Behaviour) -> Behaviour:
    """Answer, and hang up without a word about it: what an idle connection that dies looks like."""

    def run(sock: socket.socket, request: Request) -> None:
        said = behaviour(sock, request)
        assert said is not None
        sock.sendall(said)
        sock.close()

    return run


class FarEnd:
    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours)
        self.requests: list[Request] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    def __enter__(self) -> FarEnd:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes the thread that accepts
        self._listener.close()
        for sock in self._open:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    more = sock.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                length = int(headers.get("content-length", 0))
                while len(data) < length:
                    data += sock.recv(65536)
                request = Request(number, first.split(" ")[1], headers, data[:length])
                data = data[length:]
                with self._lock:
                    self.requests.append(request)
                    behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
                said = behaviour(sock, request)
                if said:
                    sock.sendall(said)
        except OSError:
            pass
