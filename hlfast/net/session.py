"""One WebSocket that stays up (layer 2, cold: frames go from the `Listener` to the sink without passing here).

    DOWN -> CONNECTING -> SUBSCRIBING -> (the owner: SYNCING, LIVE) -> DOWN with a reason -> back-off -> CONNECTING ...

for ever, until `stop()`, which is final. Every change is told to `on_state(state, reason)`, every end is counted by its
reason (`closes`). A connection lives as long as its pings are answered: the text ping goes out every `ping_interval`,
and no pong within `pong_timeout`, or no frame at all for `stall_timeout`, ends it. Only inbound frames feed that watch;
time in which this process itself stood still does not count against the peer. New connections draw on a
`ConnectionBudget`. TLS is verified, always; plain ws:// is for loopback, unless `allow_insecure=True`. Seconds; `_ns` in ns.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import picows

from hlfast import clock
from hlfast.config import is_loopback
from hlfast.core.frame_sink import FrameSink
from hlfast.errors import ConfigError
from hlfast.net.backoff import Backoff
from hlfast.net.frame_tap import FrameTap
from hlfast.net.listener import MAX_MESSAGE, Listener
from hlfast.types import StreamState

log = logging.getLogger("hlfast.net")

GOODBYE_SECONDS = 0.5
"""How long an orderly close may take before the connection is dropped."""

Sleep = Callable[[float], Awaitable[object]]


class ConnectionBudget:
    """The venue's limits on connections, shared by all sockets: `per_minute` new ones, `max_open` at a time.

    Whoever is over a limit waits; nobody fails. `window` is the minute, in seconds (tests scale it).
    """

    def __init__(
        self, per_minute: int = 30, max_open: int = 10, *, window: float = 60.0, sleep: Sleep = asyncio.sleep
    ) -> None:
        if per_minute < 1 or max_open < 1:
            raise ConfigError(f"a connection budget allows at least one, got {per_minute} a minute, {max_open} open")
        self.per_minute, self.max_open, self.window = per_minute, max_open, window
        self._window_ns = int(window * 1e9)
        self._sleep = sleep
        self._taken_ns: deque[int] = deque()
        self._open = asyncio.Semaphore(max_open)

    def wait_seconds(self) -> float:
        """How long a new connection would have to wait for the minute's limit; 0.0 if it would not."""
        now = clock.epoch_ns()
        while self._taken_ns and now - self._taken_ns[0] >= self._window_ns:
            self._taken_ns.popleft()
        if len(self._taken_ns) < self.per_minute:
            return 0.0
        return (self._taken_ns[0] + self._window_ns - now) / 1e9

    async def acquire(self) -> None:
        """Wait for a place, and take it. Every `acquire` needs its `release`."""
        await self._open.acquire()
        try:
            while (wait := self.wait_seconds()) > 0:
                await self._sleep(wait)
            self._taken_ns.append(clock.epoch_ns())
        except BaseException:
            self._open.release()
            raise

    def release(self) -> None:
        """A connection has ended (its place in the minute stays taken)."""
        self._open.release()


class WebSocketSession:
    """A WebSocket to `url` whose frames go to `sink`. The constructor starts nothing; `start()` needs a running loop.

    `on_connected()` is called after each upgrade, in state SUBSCRIBING. Both hooks are plain functions, called from the
    loop. `stable_after`: a connection that lasted so many seconds starts the back-off anew. A message of more than
    `max_message` bytes ends the connection.
    """

    def __init__(
        self,
        url: str,
        sink: FrameSink,
        *,
        name: str = "websocket",
        ping_interval: float = 15.0,
        pong_timeout: float = 10.0,
        backoff: Backoff | None = None,
        on_state: Callable[[StreamState, str], object] | None = None,
        on_connected: Callable[[], object] | None = None,
        connection_budget: ConnectionBudget | None = None,
        allow_insecure: bool = False,
        ping_message: bytes = b'{"method":"ping"}',
        stall_timeout: float | None = None,
        connect_timeout: float = 10.0,
        stable_after: float = 1.0,
        ssl_context: ssl.SSLContext | None = None,
        max_message: int = MAX_MESSAGE,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        scheme = urlsplit(url).scheme
        if scheme not in ("ws", "wss"):
            raise ConfigError(f"a WebSocket address looks like wss://host/path, got {url!r}")
        if scheme == "ws" and not is_loopback(url) and not allow_insecure:
            raise ConfigError(
                f"{url!r} is not encrypted and not on this machine; use wss://, or say allow_insecure=True if you mean it"
            )
        if ssl_context is not None and (ssl_context.verify_mode != ssl.CERT_REQUIRED or not ssl_context.check_hostname):
            raise ConfigError("TLS is always verified; give an ssl context with CERT_REQUIRED and check_hostname")
        if min(ping_interval, pong_timeout, connect_timeout) <= 0:
            raise ConfigError(
                f"intervals are above 0 s, got ping {ping_interval}, pong {pong_timeout}, connect {connect_timeout}"
            )
        self.url, self.name = url, name
        self.ping_interval, self.pong_timeout = ping_interval, pong_timeout
        self.stall_timeout = ping_interval + pong_timeout if stall_timeout is None else stall_timeout
        self.connect_timeout, self.stable_after = connect_timeout, stable_after
        self.max_message = max_message
        self.state = StreamState.DOWN
        self.reason = "not started"
        self.connections = 0
        self.sink_errors = 0
        self.closes: dict[str, int] = {}
        self._sink, self._ping_message, self._ssl_context, self._sleep = sink, ping_message, ssl_context, sleep
        self._backoff = backoff or Backoff()
        self._budget = connection_budget or ConnectionBudget()
        self._on_state, self._on_connected = on_state, on_connected
        self._listener: Listener | None = None
        self._task: asyncio.Task[None] | None = None
        self._pinged_ns = 0

    def __repr__(self) -> str:
        return f"<WebSocketSession {self.name} {self.url} {self.state}: {self.reason}>"

    # -- what the owner uses ----------------------------------------------------------------------------------------
    @property
    def listener(self) -> Listener | None:
        """The connection of the moment, for compiled senders; None while there is none."""
        return self._listener

    @property
    def is_open(self) -> bool:
        """True if a message can be handed to a live connection now."""
        return self._listener is not None and self._listener.is_open

    @property
    def age_ms(self) -> float | None:
        """Since the last frame of this connection, pongs included; None while there is none."""
        listener = self._listener
        if listener is None or not listener.last_recv_ns:
            return None
        return max(0, clock.epoch_ns() - listener.last_recv_ns) / 1e6

    def send(self, data: bytes) -> bool:
        """Send one text message. False: nothing was sent, as there is no connection. Nothing is ever queued for later."""
        return self._listener is not None and self._listener.send(data)

    def add_tap(self, tap: FrameTap) -> None:
        """Have `tap` copy every frame on its way to the sink, from the next connection on."""
        tap.next_sink = self._sink
        self._sink = tap

    def note_pong(self) -> None:
        """The answer to a ping has come (the owner reads it from its frames)."""
        self._pinged_ns = 0

    def set_state(self, state: StreamState, reason: str) -> None:
        """Move to `state` and tell `on_state`. A connection that is gone cannot be declared up again by a late caller."""
        up = state not in (StreamState.DOWN, StreamState.CONNECTING)
        if state is self.state or (up and not self.is_open):
            return
        self.state, self.reason = state, reason
        lost = state is StreamState.DOWN and reason != "stopped"
        log.log(logging.WARNING if lost else logging.INFO, "%s %s: %s", self.name, state, reason)
        if self._on_state is not None:
            try:
                self._on_state(state, reason)
            except Exception:
                log.exception("%s: the hook for changes of state raised", self.name)

    def start(self) -> None:
        """Connect, and stay connected until `stop()`. Does nothing if it runs already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"hlfast-{self.name}")

    async def stop(self) -> None:
        """Close for good: no reconnect, and no task or socket is left. `start()` may follow."""
        task = self._task
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if self._task is task:
            self._task = None
        self.set_state(StreamState.DOWN, "stopped")

    # -- the loop ---------------------------------------------------------------------------------------------------
    async def _run(self) -> None:
        while True:
            began_ns = clock.epoch_ns()
            opened = self.connections
            reason = await self._one_connection()
            self._note_end(reason)
            if self.connections > opened and clock.epoch_ns() - began_ns >= self.stable_after * 1e9:
                self._backoff.reset()
            delay = self._backoff.next()
            log.info("%s: next attempt in %.2f s", self.name, delay)
            await self._sleep(delay)

    async def _one_connection(self) -> str:
        """From the first packet to the end. Returns why it ended; cancelled, it closes in good order."""
        wait = self._budget.wait_seconds()
        self.set_state(StreamState.CONNECTING, f"in {wait:.1f} s: connection budget used up" if wait else self.url)
        await self._budget.acquire()
        closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_open() -> None:
            self._opened(listener)

        def on_closed(reason: str) -> None:
            self._listener = None
            self.set_state(StreamState.DOWN, reason)
            if not closed.done():
                closed.set_result(reason)

        listener = Listener(
            self._sink,
            on_open=on_open,
            on_closed=on_closed,
            on_error=self._sink_failed,
            max_message=self.max_message,
        )
        try:
            try:
                await self._open(listener)
            except Exception as error:
                log.debug("%s: the attempt failed", self.name, exc_info=error)
                return _why_not(error, self.url, self.connect_timeout)
            await self._watch(listener, closed)
            return await closed
        except asyncio.CancelledError:
            self._note_end("stopped")
            raise
        finally:
            await _end(listener, closed, "stopped")
            self._budget.release()

    def _opened(self, listener: Listener) -> None:
        self._listener = listener
        self.connections += 1
        self._pinged_ns = 0
        self.set_state(StreamState.SUBSCRIBING, "connected")
        if self._on_connected is not None:
            try:
                self._on_connected()
            except Exception as error:
                log.exception("%s: the hook for new connections raised", self.name)
                listener.abort(f"hook failed: {type(error).__name__}: {error}")

    async def _open(self, listener: Listener) -> None:
        """TCP, TLS, upgrade, within `connect_timeout`; on any failure nothing is left behind."""
        made: list[socket.socket] = []

        async def make_socket(target: picows.url.WSParsedURL) -> socket.socket:
            made.append(await _connected_socket(target.host, target.port))
            return made[0]

        secure = self.url.startswith("wss:")
        if secure and self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()  # verifies, with the system's certificates
        connecting = asyncio.ensure_future(
            picows.ws_connect(
                lambda request, response: listener,
                self.url,
                ssl_context=self._ssl_context,
                socket_factory=make_socket,
                websocket_handshake_timeout=None,  # one limit for the whole attempt, below
                disconnect_on_exception=False,
                max_frame_size=self.max_message,
                max_redirects=0,
                logger_name=log,  # its own words belong to ours, not to a logger that nobody has heard of
                # For TLS only: aiofastnet 1.2.0 leaves a plain socket's descriptor registered with the loop when the
                # peer resets it before the upgrade is sent, and the next socket with that number suffers.
                use_aiofastnet=None if secure else False,
            )
        )
        try:
            # Not wait_for: before Python 3.12 it swallows a cancellation that meets the result.
            await asyncio.wait({connecting}, timeout=self.connect_timeout)
            if not connecting.done():
                raise asyncio.TimeoutError
            connecting.result()
        except BaseException as error:
            # picows does not close a connection whose attempt is cancelled during the upgrade. So the attempt is not
            # cancelled once there is a socket: its socket is shut down, and it ends as if the peer had hung up.
            if listener.transport is None:
                known = isinstance(error, Exception)
                listener.abort(_why_not(error, self.url, self.connect_timeout) if known else "stopped")
                if made:
                    with contextlib.suppress(OSError):
                        made[0].shutdown(socket.SHUT_RDWR)
                else:
                    connecting.cancel()
            await asyncio.wait({connecting}, timeout=GOODBYE_SECONDS)
            if connecting.done() and not connecting.cancelled():
                connecting.exception()
            raise
        if listener.transport is None:
            raise ConnectionResetError("hung up during the upgrade")

    async def _watch(self, listener: Listener, closed: asyncio.Future[str]) -> None:
        """Ping, and abort the connection when it is dead. Returns when it has ended."""
        tick = min(self.ping_interval, self.pong_timeout, self.stall_timeout) / 4
        standstill_ns = int(max(2 * tick, tick + 0.25) * 1e9)
        woke = trusted = clock.epoch_ns()  # before `trusted`, silence may have been our own
        ping_due = woke
        while not closed.done():
            if not listener.is_open:
                await _end(listener, closed, "aborted")
                return
            now = clock.epoch_ns()
            if now - woke > standstill_ns:
                trusted = now
            woke = now
            if self._pinged_ns and now - max(self._pinged_ns, trusted) > self.pong_timeout * 1e9:
                listener.abort(f"no pong: {self.pong_timeout:g} s after a ping")
            elif now - max(listener.last_recv_ns, trusted) > self.stall_timeout * 1e9:
                listener.abort(f"stalled: no frame for {self.stall_timeout:g} s")
            elif now >= ping_due:
                ping_due = now + int(self.ping_interval * 1e9)
                if listener.send(self._ping_message) and not self._pinged_ns:
                    self._pinged_ns = now
            await asyncio.wait({closed}, timeout=tick)

    # -- what is counted --------------------------------------------------------------------------------------------
    def _note_end(self, reason: str) -> None:
        kind = reason.partition(":")[0]
        self.closes[kind] = self.closes.get(kind, 0) + 1
        self.set_state(StreamState.DOWN, reason)

    def _sink_failed(self, error: Exception) -> None:
        self.sink_errors += 1
        log.error("%s: the sink of its frames raised", self.name, exc_info=error)


async def _connected_socket(host: str, port: int) -> socket.socket:
    """A connected, non-blocking TCP socket without Nagle's delay; addresses are tried one after the other."""
    loop = asyncio.get_running_loop()
    try:  # a numeric address needs no resolver, and so no thread
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError(f"no address found for {host}")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
            if not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY):
                raise OSError("the system did not switch Nagle's delay off")
            return sock
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
    raise failure


async def _end(listener: Listener, closed: asyncio.Future[str], reason: str) -> None:
    """Close in good order, then by force; returns when nothing is left."""
    if listener.transport is None:
        return
    if listener.is_open:
        listener.close(reason)
    if not closed.done():
        await asyncio.wait({closed}, timeout=GOODBYE_SECONDS)
    if not closed.done():
        listener.abort(reason)
        await asyncio.wait({closed}, timeout=GOODBYE_SECONDS)


def _why_not(error: BaseException, url: str, limit: float) -> str:
    """The reason of a connection that was not made: what happened, where."""
    if isinstance(error, asyncio.TimeoutError):
        return f"timed out: no connection to {url} within {limit:g} s"
    if isinstance(error, ConnectionRefusedError):
        return f"refused: nothing listens at {url}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {url}: {error}"
    if isinstance(error, OSError):
        return f"no connection: {url}: {error}"
    if isinstance(error, picows.WSError):
        return f"upgrade refused: {url}: {error}"
    return f"failed: {type(error).__name__}: {error}"
