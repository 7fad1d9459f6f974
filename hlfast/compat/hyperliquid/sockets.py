"""The drop-in's WebSockets (layer 5): one reading thread for the process, connections that stay up, what each wants.

Reading, pings and reconnects happen on the reading thread, which runs `hlfast.net.session`. Frames go from there, as
bytes and in their order, into the manager's queue; the manager's own thread calls the callbacks. So a callback may
block: the reading goes on. When it has fallen far behind, frames that a newer one of the same stream replaces are left
out; frames of accounts never are.

Acknowledgements, `error` frames and pongs are read here. Each connection wants a set of streams; after every connect all
are asked for, and those that are neither acknowledged nor bring data are asked for again.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from hlfast.clock import epoch_ns, wall_clock_ms
from hlfast.compat.hyperliquid import endpoints, transport
from hlfast.compat.hyperliquid.streams import CADENCE, LATEST_COUNTS, WITHOUT_USER, echoes
from hlfast.core.frame_sink import FrameSink
from hlfast.errors import HlfastError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from hlfast.net.session import WebSocketSession

log = logging.getLogger("hlfast.compat")

PING_SECONDS, PONG_SECONDS = 15.0, 10.0
ACK_SECONDS = 5.0
"""A subscription that is neither acknowledged nor brings data is sent again after this."""
STALE_SECONDS = 30.0
"""A stream that should speak and is silent for so long is asked for anew; after twice that its connection is replaced."""
WATCH_SECONDS = 0.5
MAX_BACKLOG = 10_000
"""Frames that may wait for callbacks before market data is thinned out."""
MAX_TRADES = 1_000
"""Frames of trades of one coin that are kept then."""

_CONTROL = tuple(
    f'{{"channel":{gap}"{name}'.encode() for name in ("subscriptionResponse", "error", "pong") for gap in ("", " ")
)
_HINTS = frozenset((b"s", b"e", b"p", b'"'))  # what stands after {"channel":" in those
_CHANNEL = re.compile(rb'\{"channel": ?"(\w+)"')
_COIN = re.compile(rb'"(?:coin|s|dex)": ?"([^"]*)"')
_CANDLE = re.compile(rb'"t": ?(\d+).*?"i": ?"(\w+)"')


class Reader:
    """The reading thread and its event loop."""

    def __init__(self) -> None:
        import uvloop

        from hlfast.net.session import ConnectionBudget

        self.pid = os.getpid()
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self.budget = ConnectionBudget()
        self.thread = threading.Thread(target=self._run, name="hlfast-reader", daemon=True)
        self.thread.start()
        atexit.register(self._stop)

    def _run(self) -> None:
        import asyncio

        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def _stop(self) -> None:
        if self.pid == os.getpid() and self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(1.0)

    def soon(self, call: Callable[..., object], *arguments: Any) -> None:
        """Call on the reading thread."""
        if threading.current_thread() is self.thread:
            call(*arguments)
        else:
            self.loop.call_soon_threadsafe(call, *arguments)

    def run(self, work: Coroutine[Any, Any, Any], seconds: float) -> None:
        """Run on the reading thread, and wait for the end, but not for ever."""
        import asyncio
        from concurrent.futures import TimeoutError as TooLong

        done = asyncio.run_coroutine_threadsafe(work, self.loop)
        if threading.current_thread() is not self.thread:
            try:
                done.result(seconds)
            except (TooLong, TimeoutError):
                log.warning("a WebSocket did not close within %g s", seconds)


_reader: Reader | None = None
_reader_lock = threading.Lock()


def reader() -> Reader:
    global _reader
    with _reader_lock:
        if _reader is None or _reader.pid != os.getpid() or not _reader.thread.is_alive():
            _reader = Reader()
        return _reader


class Stream:
    """One wire subscription of one connection."""

    __slots__ = (
        "asked_again",
        "confirmed",
        "connection",
        "down_ms",
        "filled",
        "identifier",
        "ids",
        "key",
        "missed",
        "refused",
        "seen",
        "sent_ns",
        "since_ms",
        "subscription",
    )

    def __init__(self, key: str, identifier: str, subscription: dict[str, Any], connection: Connection) -> None:
        self.key, self.identifier, self.subscription, self.connection = key, identifier, subscription, connection
        self.ids: list[int] = []
        self.sent_ns = 0
        self.confirmed = self.refused = self.asked_again = False
        self.since_ms = self.down_ms = 0  # first confirmed; last sign of life before a drop
        self.missed = self.filled = False  # the connection was lost since; a gap has been filled
        self.seen: dict[Any, None] = {}

    @property
    def kind(self) -> str:
        return str(self.subscription["type"])

    def message(self, method: str) -> bytes:
        import orjson

        return orjson.dumps({"method": method, "subscription": self.subscription})


class _Sink(FrameSink):
    """Takes a connection's frames on the reading thread."""

    def __init__(self, connection: Connection) -> None:
        put, size = connection.queue.put, connection.queue.qsize

        def on_text(data: bytes, recv_ns: int) -> None:
            if data[12:13] in _HINTS and data.startswith(_CONTROL):
                connection.on_control(data)
            put((connection, data, recv_ns))
            if size() > connection.backlog_limit:
                connection.thin_out()

        self.on_text = on_text  # type: ignore[method-assign]  # of the instance: no method is bound for each frame


class Connection:
    """One WebSocket of a manager. The first is the manager's `ws`, with the names of websocket-client's app."""

    def __init__(self, url: str, queue: SimpleQueue[Any], latest: dict[str, Any], number: int) -> None:
        self.url, self.queue, self.number = url, queue, number
        self.keep_running = False
        self.streams: dict[str, Stream] = {}
        self.backlog_limit = MAX_BACKLOG
        self.left_out = 0
        self._latest = latest
        self._session: WebSocketSession | None = None
        self._watching: Any = None
        self._reader: Reader | None = None
        self._ended = False
        self.serve: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<Connection {self.number} {self.url} {'open' if self.connected else 'down'}>"

    # -- the names of websocket-client --------------------------------------------------------------------------------
    @property
    def sock(self) -> Connection:
        return self

    @property
    def connected(self) -> bool:
        session = self._session
        return session is not None and session.is_open

    def send(self, data: Any, opcode: int = 1) -> None:
        """Send one text message. Raises a `ConnectionError` if there is no connection: nothing is kept for later."""
        raw = data.encode() if isinstance(data, str) else bytes(data)
        if not self.connected or self._reader is None:
            text = f"{self.url}: there is no connection at the moment; nothing was sent"
            raise transport.error(text, was_sent=False, is_action=False, is_timeout=False)
        self._reader.soon(self._send, raw)

    def run_forever(self, **_: Any) -> None:
        """Connect, call callbacks until the end, and return then. Options of websocket-client are not needed."""
        self.serve()

    def close(self, **_: Any) -> None:
        """End it, for good."""
        self.keep_running = False
        self._ended = True
        running, session = self._reader, self._session
        if running is not None and running.pid == os.getpid():
            running.run(self._stop(session), 2.0)
        if self.number == 0:
            self.queue.put(None)

    # -- life ---------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._ended:
            return
        self.keep_running = True
        self._reader = reader()
        self._reader.soon(self._start)

    def _start(self) -> None:
        from hlfast.net.session import WebSocketSession

        if self._ended or self._session is not None or self._reader is None:
            return
        try:
            self._session = self._session_of(WebSocketSession)
        except HlfastError as error:  # an address that is none: the thread that serves must end, not wait for ever
            log.error("there can be no WebSocket at %s: %s", self.url, error)
            self.close()
            return
        self._session.start()
        self._watching = self._reader.loop.create_task(self._watch())

    def _session_of(self, session_class: type[WebSocketSession]) -> WebSocketSession:
        assert self._reader is not None
        return session_class(
            self.url,
            _Sink(self),
            name="sdk" if self.number == 0 else f"sdk-{self.number}",
            ping_interval=PING_SECONDS,
            pong_timeout=PONG_SECONDS,
            on_state=self._on_state,
            on_connected=self._on_connected,
            connection_budget=self._reader.budget,
            allow_insecure=True,
        )

    async def _stop(self, session: WebSocketSession | None) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if session is not None:
            await session.stop()

    def _on_state(self, state: Any, reason: str) -> None:
        if str(state.value) == "DOWN":
            now_ms = wall_clock_ms()
            for stream in self.streams.values():
                if stream.since_ms and not stream.missed:
                    stream.missed, stream.down_ms = True, now_ms
        self.queue.put((self, ("status", state.value, reason), 0))

    def _on_connected(self) -> None:
        self.queue.put((self, ("open",), epoch_ns()))
        for stream in list(self.streams.values()):
            stream.confirmed = stream.asked_again = False
            stream.sent_ns = 0
        self.sync()

    def _send(self, data: bytes) -> bool:
        return self._session is not None and self._session.send(data)

    # -- subscriptions (on the reading thread) --------------------------------------------------------------------------
    def want(self) -> None:
        """Streams were added: ask for them as soon as that is possible."""
        if self._reader is not None:
            self._reader.soon(self.sync)

    def leave(self, stream: Stream) -> None:
        """A stream is wanted no more."""
        if self._reader is not None:
            self._reader.soon(self._leave, stream)

    def _leave(self, stream: Stream) -> None:
        if stream.sent_ns:
            self._send(stream.message("unsubscribe"))

    def sync(self) -> None:
        """Ask for every stream that has not been asked for on this connection."""
        for stream in list(self.streams.values()):
            if not stream.sent_ns and self._send(stream.message("subscribe")):
                stream.sent_ns = epoch_ns()

    def on_control(self, data: bytes) -> None:
        import orjson

        try:
            frame = orjson.loads(data)
            channel, said = frame["channel"], frame.get("data")
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if channel == "pong":
            if self._session is not None:
                self._session.note_pong()
        elif channel == "subscriptionResponse" and isinstance(said, dict) and said.get("method") == "subscribe":
            stream = self._stream_of(said.get("subscription"))
            if stream is not None:
                self._confirm(stream)
        elif channel == "error":
            self._on_error(said)

    def _stream_of(self, echo: Any) -> Stream | None:
        return next((stream for stream in list(self.streams.values()) if echoes(stream.subscription, echo)), None)

    def _confirm(self, stream: Stream) -> None:
        if stream.confirmed:
            return
        stream.confirmed, stream.refused = True, False
        if not stream.since_ms:
            stream.since_ms = wall_clock_ms()
        if stream.missed:
            stream.missed = False
            if stream.kind in WITHOUT_USER and endpoints.defaults.gap_fill:
                self.queue.put((self, ("gap", stream), 0))

    def _on_error(self, said: Any) -> None:
        text = said if isinstance(said, str) else json.dumps(said)
        start = text.find("{")
        echo = None
        if start >= 0:
            try:
                echo, _ = json.JSONDecoder().raw_decode(text[start:])
            except ValueError:
                pass
        stream = self._stream_of(echo)
        if text.startswith("Already subscribed"):
            if stream is not None:
                self._confirm(stream)
                return
        elif text.startswith("Already unsubscribed"):
            return
        if stream is not None and not stream.confirmed:
            stream.refused = True
        self.queue.put((self, ("error", text, None if stream is None else dict(stream.subscription)), 0))

    # -- the watch ------------------------------------------------------------------------------------------------------
    async def _watch(self) -> None:
        import asyncio

        while not self._ended:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                if self.connected and self.queue.qsize() == 0:  # what waits there may be what is missed here
                    self._check(epoch_ns())
            except Exception:
                log.exception("the watch over subscriptions failed")

    def _check(self, now_ns: int) -> None:
        stale_ns = int((endpoints.defaults.stale_after or STALE_SECONDS) * 1e9)
        for stream in list(self.streams.values()):
            if stream.refused or not stream.sent_ns:
                continue
            held = self._latest.get(stream.identifier)
            heard_ns = held[2] if held is not None and held[0] is self else 0
            if not stream.confirmed:
                if heard_ns > stream.sent_ns:
                    self._confirm(stream)
                elif now_ns - stream.sent_ns > ACK_SECONDS * 1e9:
                    log.warning("%s is not acknowledged; asking again", stream.identifier)
                    stream.sent_ns = 0
                    self.sync()
            elif stream.kind in CADENCE:
                silent_ns = now_ns - max(heard_ns, stream.sent_ns)
                if silent_ns <= stale_ns:
                    if heard_ns > stream.sent_ns:
                        stream.asked_again = False
                elif not stream.asked_again:
                    self._tell_stale(stream, "asked for anew")
                    self._send(stream.message("unsubscribe"))
                    stream.asked_again, stream.confirmed, stream.sent_ns = True, False, 0
                    self.sync()
                else:
                    self._tell_stale(stream, "still silent, the connection is replaced")
                    listener = self._session.listener if self._session is not None else None
                    if listener is not None:
                        listener.abort(f"stale: {stream.identifier} is silent")
                    return

    def _tell_stale(self, stream: Stream, what: str) -> None:
        self.queue.put((self, ("status", "STALE", f"{stream.identifier}: {what}"), 0))

    # -- slow callbacks ---------------------------------------------------------------------------------------------------
    def thin_out(self) -> None:
        """Leave out of the queue what newer frames replace. Only the reading thread adds frames, so order is kept."""
        waiting: list[Any] = []
        try:
            while True:
                waiting.append(self.queue.get_nowait())
        except Empty:
            pass
        kept: list[Any] = []
        counted: dict[Any, int] = {}
        for item in reversed(waiting):
            key, most = _replaceable(item)
            if key is not None:
                counted[key] = counted.get(key, 0) + 1
                if counted[key] > most:
                    continue
            kept.append(item)
        for item in reversed(kept):
            self.queue.put(item)
        if not self.left_out:
            log.warning("callbacks are slower than the streams: older frames of market data are left out")
        self.left_out += len(waiting) - len(kept)
        self.backlog_limit = max(MAX_BACKLOG, 2 * len(kept))


def _replaceable(item: Any) -> tuple[Any, int]:
    """(which frames replace each other, how many of them are kept); (None, 0) for what must not be left out."""
    if item is None or type(item[1]) is not bytes:
        return None, 0
    data: bytes = item[1]
    channel = _CHANNEL.match(data)
    if channel is None:
        return None, 0
    name = channel[1].decode()
    coin = _COIN.search(data, 0, 200)
    where = (item[0].number, name, coin[1] if coin and name != "allMids" else b"")
    if name in LATEST_COUNTS:
        return where, 1
    if name == "trades":
        return where, MAX_TRADES
    if name == "candle":
        candle = _CANDLE.search(data, 0, 300)
        return (*where, candle.groups() if candle else None), 1
    return None, 0
