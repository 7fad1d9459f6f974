"""Signed actions over a WebSocket (layer 5), for `configure(orders_over_ws=True)`: one socket an endpoint, kept up.

    answer = post("https://api.hyperliquid.xyz", {"action": ..., "nonce": ..., "signature": ...}, (5, 10))

The answer is what HTTP would have brought, and so are the errors: `ClientError` and `ServerError` by the status that the
venue names, else what `transport` describes. Nothing is kept for a connection that is not there, and nothing is sent
twice: an action whose socket broke has an unknown outcome.
"""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from typing import TYPE_CHECKING, Any

import orjson

from hlfast.compat.hyperliquid import transport
from hlfast.compat.hyperliquid.endpoints import socket_url
from hlfast.compat.hyperliquid.session import body_of
from hlfast.compat.hyperliquid.sockets import PING_SECONDS, PONG_SECONDS, Reader, reader
from hlfast.compat.hyperliquid.utils.error import ClientError, ServerError
from hlfast.core.frame_sink import FrameSink

if TYPE_CHECKING:
    from hlfast.net.session import WebSocketSession

_sockets: dict[str, _PostSocket] = {}
_opening = threading.Lock()


def post(base_url: str, payload: Any, limits: tuple[float | None, float | None]) -> Any:
    """Send a signed action and return the venue's answer. `limits`: seconds to connect, and to wait for the answer."""
    url = socket_url(base_url)
    with _opening:
        held = _sockets.get(url)
        if held is None or not held.is_usable():
            held = _sockets[url] = _PostSocket(url)
    return held.post(payload, limits)


def close() -> None:
    """Close every socket. A later action opens a new one."""
    with _opening:
        held = list(_sockets.values())
        _sockets.clear()
    for one in held:
        one.close()


class _PostSocket(FrameSink):
    def __init__(self, url: str) -> None:
        self.url = url
        self._reader: Reader = reader()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}
        self._open = threading.Event()
        self._session: WebSocketSession | None = None
        self._reader.soon(self._start)

    def is_usable(self) -> bool:
        return self._reader is reader()

    # -- on the reading thread --------------------------------------------------------------------------------------
    def _start(self) -> None:
        from hlfast.net.session import WebSocketSession

        self._session = WebSocketSession(
            self.url,
            self,
            name="sdk-posts",
            ping_interval=PING_SECONDS,
            pong_timeout=PONG_SECONDS,
            on_state=self._on_state,
            on_connected=self._open.set,
            connection_budget=self._reader.budget,
            allow_insecure=True,
        )
        self._session.start()

    def on_text(self, data: bytes, recv_ns: int) -> None:
        try:
            frame = orjson.loads(data)
            channel, said = frame["channel"], frame.get("data")
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if channel == "pong" and self._session is not None:
            self._session.note_pong()
        elif channel == "post" and isinstance(said, dict):
            future = self._waiting.pop(said.get("id", 0), None)
            if future is not None:
                future.set_result(said.get("response"))
        elif channel == "error" and isinstance(said, str) and said.startswith("too many pending post requests id="):
            number = said.rpartition("=")[2]
            future = self._waiting.pop(int(number), None) if number.isdigit() else None
            if future is not None:
                future.set_result({"type": "error", "payload": f"429 Too Many Requests: {said}"})

    def _on_state(self, state: Any, reason: str) -> None:
        if str(state.value) == "DOWN":
            self._open.clear()
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                future.set_exception(ConnectionResetError(reason))

    def _send(self, number: int, message: bytes, future: Future[Any]) -> None:
        self._waiting[number] = future
        if self._session is None or not self._session.send(message):
            self._waiting.pop(number, None)
            future.set_exception(BrokenPipeError("there is no connection"))

    # -- on the caller's thread ---------------------------------------------------------------------------------------
    def post(self, payload: Any, limits: tuple[float | None, float | None]) -> Any:
        connect, patience = limits
        number = next(self._numbers)
        message = b'{"method":"post","id":%d,"request":{"type":"action","payload":%b}}' % (number, body_of(payload))
        if not self._open.wait(connect):
            raise self._error(f"no connection within {connect} s; nothing was sent", was_sent=False, is_timeout=True)
        future: Future[Any] = Future()
        self._reader.soon(self._send, number, message, future)
        try:
            response = future.result(patience)
        except (TooLong, TimeoutError):
            self._waiting.pop(number, None)
            raise self._error("no answer in time", was_sent=True, is_timeout=True) from None
        except BrokenPipeError:
            raise self._error("there is no connection; nothing was sent", was_sent=False, is_timeout=False) from None
        except ConnectionResetError as error:
            raise self._error(f"the connection ended: {error}", was_sent=True, is_timeout=False) from None
        return _read(response)

    def _error(self, why: str, *, was_sent: bool, is_timeout: bool) -> transport.TransportError:
        if was_sent:
            why += "; it may have been executed: ask by cloid or open orders before you repeat it"
        return transport.error(f"{self.url}: {why}", was_sent=was_sent, is_action=True, is_timeout=is_timeout)

    def close(self) -> None:
        if self._session is not None and self._reader.thread.is_alive():
            self._reader.run(self._session.stop(), 2.0)


def _read(response: Any) -> Any:
    """The answer in a `post` frame. Raises for an HTTP status that it names."""
    payload = response.get("payload") if isinstance(response, dict) else response
    if isinstance(response, dict) and response.get("type") == "error":
        text = str(payload)
        status = int(text[:3]) if text[:3].isdigit() else 500
        if status < 500:
            raise ClientError(status, None, text, {}, None)
        raise ServerError(status, text)
    return payload
