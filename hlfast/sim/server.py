"""The local exchange on real sockets (layer 5): HTTP `/info` and `/exchange`, WebSocket `/ws`, and `/sim/*` for tests.

    async with SimExchange(port=0, block_ms=70) as exchange:
        print(exchange.http_url, exchange.ws_url)
        ...
        exchange.truth("0x14791697260e4c9a71f18484c9f997b308e59325")

Loopback only. Actions wait for the next block; their answers go out after the frames of that block. With `block_ms=0`
each action is a block of its own and is answered at once, while the background traders still act every 70 ms.

Beside the venue's own paths: `GET /sim/accounts` (funded public test keys), `GET /sim/truth[?user=0x..]` (what really
happened), `POST /sim/cut {"refuse_seconds": 5}` (reset every WebSocket and refuse connections for that long).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from hlfast import clock
from hlfast.config import Network
from hlfast.errors import ConfigError
from hlfast.sim.block import Block
from hlfast.sim.exchange import Exchange
from hlfast.sim.info import BadQuery, Info
from hlfast.sim.keys import FUNDED_ACCOUNTS
from hlfast.sim.shapes import Malformed, string, struct, uint
from hlfast.sim.streams import GREETING, Connection, FrameFilter, Hub, dumps
from hlfast.sim.truth import truth
from hlfast.sim.verify import verify

IDLE_BLOCK_MS = 70
"""With `block_ms=0`: how often the background traders act and feeds with a cadence speak."""
MAX_PENDING_POSTS = 100
UNFIT = "Failed to deserialize the JSON body into the target type"
UNPROCESSABLE = f"422 Unprocessable Entity: {UNFIT}"
_POST = struct(("id", uint), ("request", struct(("type", string), ("payload", lambda value: value))))


class SimExchange:
    """The whole exchange. `engine` is the state without sockets, `truth()` its record, `cut()` an outage."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        block_ms: int = 70,
        seed: int = 7,
        traders: bool = True,
        log: Callable[[str], None] | None = None,
        book_interval_ms: int = 500,
        greeting: bool = True,
        answers_last: bool = True,
        silent_close_seconds: float = 60.0,
        accounts: Iterable[str] = (),
        sub_accounts: Mapping[str, str] | None = None,
        agents: Mapping[str, str] | None = None,
        schedule_cancel_volume_usdc: int = 0,
    ) -> None:
        """`accounts` are further addresses to fund; `sub_accounts` and `agents` map an address to its master.

        `book_interval_ms` is the least time between two l2Book frames of a coin; 0 sends one each block. The venue's
        `scheduleCancel` needs 1,000,000 USDC of volume; here `schedule_cancel_volume_usdc`, by default none.
        Raises ConfigError for a host beyond loopback or a number that makes no sense.
        """
        self._host = loopback_host(host)
        if not 0 <= port <= 65_535:
            raise ConfigError(f"port must be 0 (any free one) to 65535, got {port}")
        if block_ms < 0 or book_interval_ms < 0:
            raise ConfigError(f"block_ms and book_interval_ms must be >= 0, got {block_ms} and {book_interval_ms}")
        self._port = port
        self._block_ms = block_ms
        self._log = log or (lambda line: None)
        self._greeting = greeting
        self._answers_last = answers_last
        self._silent_close_ns = int(silent_close_seconds * 1e9)
        self.engine = Exchange(
            seed=seed,
            traders=traders,
            accounts=accounts,
            sub_accounts=sub_accounts,
            agents=agents,
            schedule_cancel_volume_usdc=schedule_cancel_volume_usdc,
        )
        self._info = Info(self.engine)
        self._hub = Hub(self.engine, self._info, book_interval_ms)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._reopening: asyncio.Task[None] | None = None
        self._kept_port: socket.socket | None = None
        self._waiting: set[asyncio.Future[dict[str, Any]]] = set()
        self._cuts = 0

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> SimExchange:
        """Bind, and run blocks until `stop`. Raises ConfigError if the port is taken."""
        if self._runner is not None:
            raise ConfigError("this exchange is already started; make another SimExchange for another port")
        sock = bind(self._host, self._port)
        self._port = sock.getsockname()[1]
        app = web.Application(client_max_size=4 * 2**20)
        app.add_routes(
            [
                web.post("/info", self._on_info),
                web.post("/exchange", self._on_exchange),
                web.get("/ws", self._on_websocket),
                web.get("/sim/accounts", self._on_accounts),
                web.get("/sim/truth", self._on_truth),
                web.post("/sim/cut", self._on_cut),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        self._run_block()  # there is a book before there is a reader
        await self._listen(sock)
        self._tasks = [asyncio.create_task(self._run_blocks()), asyncio.create_task(self._close_silent())]
        self._log(f"local exchange on {self.http_url}")
        return self

    async def stop(self) -> None:
        """End everything: sockets reset, waiting requests dropped. Raises what a block raised, if one did."""
        if self._runner is None:
            return
        await self._end_refusal()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self._hub.connections):
            connection.abort()
        for future in self._waiting:
            future.cancel()
        await self._runner.cleanup()
        self._runner = None
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def __aenter__(self) -> SimExchange:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def wait_failed(self) -> None:
        """Raises what broke the block loop, if something does; it does not return while the exchange runs."""
        ended, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in ended:
            task.result()

    @property
    def port(self) -> int:
        """The real port once started."""
        return self._port

    @property
    def http_url(self) -> str:
        return f"http://{self._authority}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self._authority}/ws"

    @property
    def _authority(self) -> str:
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def network(self) -> Network:
        return Network(self.http_url, self.ws_url, False, "simulator")

    # -- for tests -------------------------------------------------------------------------------------------------

    @property
    def frame_filter(self) -> FrameFilter | None:
        """`(user or None, channel, frame text) -> bool`; False drops that frame."""
        return self._hub.frame_filter

    @frame_filter.setter
    def frame_filter(self, keep: FrameFilter | None) -> None:
        self._hub.frame_filter = keep

    def truth(self, user: str | None = None) -> dict[str, Any]:
        """The exchange's own record: see `hlfast.sim.truth`."""
        record = truth(self.engine, user)
        record["counters"] |= {**self._hub.counters, "cuts": self._cuts}
        return record

    async def cut(self, refuse_seconds: float = 0.0) -> int:
        """Reset every WebSocket now and refuse TCP connections for that long. Returns how many were reset.

        Returns at once; the listener comes back by itself. HTTP connections that are open stay open. A further cut
        starts the time anew.
        """
        self._cuts += 1
        was_refusing = self._kept_port is not None
        await self._end_refusal()
        if refuse_seconds > 0 or was_refusing:
            if self._listener is not None:
                self._listener.close()
                self._listener = None
            self._kept_port = await self._keep_port()
            self._reopening = asyncio.create_task(self._reopen(refuse_seconds))
        cut = list(self._hub.connections)
        for connection in cut:
            connection.abort()
            self._hub.drop(connection)
        self._log(f"cut {len(cut)} connections, refusing new ones for {refuse_seconds:g} s")
        return len(cut)

    async def _keep_port(self) -> socket.socket:
        """Bound but not listening: connections are refused, and nobody else can take the port meanwhile."""
        for _ in range(50):
            try:
                return bind(self._host, self._port)
            except ConfigError:
                await asyncio.sleep(0.01)
        return bind(self._host, self._port)

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        sock, self._kept_port = self._kept_port, None
        assert sock is not None
        await self._listen(sock)

    async def _end_refusal(self) -> None:
        """Give up the wait of a cut that is still refusing, and its port."""
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.gather(self._reopening, return_exceptions=True)
            self._reopening = None
        if self._kept_port is not None:
            self._kept_port.close()
            self._kept_port = None

    async def _listen(self, sock: socket.socket) -> None:
        assert self._runner is not None and self._runner.server is not None
        self._listener = await asyncio.get_running_loop().create_server(self._runner.server, sock=sock, backlog=256)

    # -- blocks ----------------------------------------------------------------------------------------------------

    async def _run_blocks(self) -> None:
        interval_ns = (self._block_ms or IDLE_BLOCK_MS) * 1_000_000
        due = clock.monotonic_ns()
        while True:
            due = max(due + interval_ns, clock.monotonic_ns() - 10 * interval_ns)  # after a stall: no long burst
            await asyncio.sleep(max(0, due - clock.monotonic_ns()) / 1e9)
            self._run_block()

    def _run_block(self, *, traders_act: bool = True) -> None:
        self._publish(self.engine.run_block(clock.wall_clock_ms(), traders_act=traders_act))

    def _publish(self, block: Block) -> None:
        if self._answers_last:
            self._hub.publish(block)
        for reply, answer in block.answers:
            reply(answer)
        if not self._answers_last:
            self._hub.publish(block)

    def _submit(self, body: Any, reply: Callable[[dict[str, Any]], None]) -> None:
        """Verify and queue. Raises `Malformed`."""
        self.engine.submit(verify(body), reply)
        if not self._block_ms:
            self._run_block(traders_act=False)

    async def _close_silent(self) -> None:
        """The venue closes a connection to which it has not sent anything for 60 s."""
        while True:
            await asyncio.sleep(min(1.0, self._silent_close_ns / 4e9))
            now_ns = clock.monotonic_ns()
            for connection in list(self._hub.connections):
                if now_ns - connection.last_sent_ns > self._silent_close_ns:
                    self._hub.drop(connection)
                    await connection.close(b"Inactive")

    # -- HTTP ------------------------------------------------------------------------------------------------------

    async def _on_info(self, request: web.Request) -> web.Response:
        try:
            return json_response(self._info.answer(await read_json(request)))
        except Malformed:
            return web.Response(status=422, text=UNFIT)
        except BadQuery:
            return web.Response(status=500, text="null")

    async def _on_exchange(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.add(answered)
        try:
            self._submit(body, lambda answer: None if answered.done() else answered.set_result(answer))
            return json_response(await answered)
        except Malformed:
            return web.Response(status=422, text=UNFIT)
        finally:
            self._waiting.discard(answered)

    async def _on_accounts(self, request: web.Request) -> web.Response:
        return json_response(funded_accounts())

    async def _on_truth(self, request: web.Request) -> web.Response:
        return json_response(self.truth(request.query.get("user")))

    async def _on_cut(self, request: web.Request) -> web.Response:
        body = await read_json(request) if request.can_read_body else {}
        seconds = body.get("refuse_seconds", 0) if isinstance(body, dict) else None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 3600:
            return web.Response(status=422, text='expected {"refuse_seconds": <0 to 3600>}')
        return json_response({"cut": await self.cut(seconds), "refuse_seconds": seconds})

    # -- WebSocket -------------------------------------------------------------------------------------------------

    async def _on_websocket(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False, max_msg_size=4 * 2**20, timeout=1.0)
        await websocket.prepare(request)
        connection = Connection(websocket, request.transport)
        self._hub.connections.add(connection)
        self._hub.counters["connections"] += 1
        if self._greeting:
            connection.write(GREETING)
        writer = asyncio.create_task(connection.write_all())
        try:
            async for message in websocket:
                if message.type is WSMsgType.TEXT:
                    self._on_frame(connection, message.data)
                elif message.type is WSMsgType.BINARY:
                    self._on_frame(connection, message.data.decode(errors="replace"))
        finally:
            self._hub.drop(connection)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writer
        return websocket

    def _on_frame(self, connection: Connection, frame: str) -> None:
        try:
            message = orjson.loads(frame)
        except ValueError:
            message = None
        method = message.get("method") if isinstance(message, dict) else None
        if method == "ping":
            self._hub.send(connection, "pong", None)
        elif method == "subscribe" and "subscription" in message:
            self._hub.subscribe(connection, message["subscription"])
        elif method == "unsubscribe" and "subscription" in message:
            self._hub.unsubscribe(connection, message["subscription"])
        elif method == "post" and is_post(message):
            self._on_post(connection, message["id"], message["request"])
        else:
            self._hub.send(connection, "error", f"Error parsing JSON into valid websocket request: {frame}")

    def _on_post(self, connection: Connection, post_id: int, request: dict[str, Any]) -> None:
        def answer(kind: str, payload: Any) -> None:
            self._hub.send(connection, "post", {"id": post_id, "response": {"type": kind, "payload": payload}})

        def answer_action(envelope: dict[str, Any]) -> None:
            connection.pending_posts -= 1
            answer("action", envelope)

        kind, payload = request["type"], request["payload"]
        try:
            if kind == "info":
                data = self._info.answer(payload)
                answer("info", {"type": payload["type"], "data": data})
            elif kind == "action":
                if sum(other.pending_posts for other in self._hub.connections) >= MAX_PENDING_POSTS:
                    self._hub.send(connection, "error", f"too many pending post requests id={post_id}")
                    return
                connection.pending_posts += 1
                try:
                    self._submit(payload, answer_action)
                except Malformed:
                    connection.pending_posts -= 1
                    raise
            else:
                raise Malformed(f"unknown request type {kind!r}")
        except Malformed:
            answer("error", UNPROCESSABLE)
        except BadQuery:
            answer("error", "500 Internal Server Error: null")


def is_post(message: dict[str, Any]) -> bool:
    try:
        _POST(message)
    except Malformed:
        return False
    return True


async def read_json(request: web.Request) -> Any:
    """The body as JSON; 415 for another content type, 400 for what is not JSON."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="Expected request with `Content-Type: application/json`")
    try:
        return orjson.loads(await request.read())
    except ValueError:
        raise web.HTTPBadRequest(text="Failed to parse the request body as JSON") from None


def json_response(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")


def funded_accounts() -> list[dict[str, str]]:
    """Name, key and address of each public test account."""
    return [{"name": a.name, "key": a.key, "address": a.address} for a in FUNDED_ACCOUNTS]


def loopback_host(host: str) -> str:
    """The loopback address that `host` names. Raises ConfigError for any other."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ConfigError(f"the local exchange binds loopback only (127.0.0.1, ::1 or localhost), got {host!r}")
    return str(address)


def bind(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ConfigError if the port is taken or not allowed."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
        return sock
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is in use by another process; "
                "stop that one, or choose another port (0 takes any free one)"
            ) from None
        raise ConfigError(f"cannot bind port {port} on {host}: {error.strerror}; choose another port") from None


async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    block_ms: int = 70,
    seed: int = 7,
    traders: bool = True,
    json: bool = False,
    out: Callable[[str], None] = print,
) -> None:
    """Run an exchange until SIGINT or SIGTERM. `out` gets its lines: for people, or one JSON `ready` line."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with SimExchange(host=host, port=port, block_ms=block_ms, seed=seed, traders=traders) as exchange:
        accounts = funded_accounts()
        if json:
            ready = {"event": "ready", "port": exchange.port, "http_url": exchange.http_url, "ws_url": exchange.ws_url}
            out(dumps({**ready, "accounts": accounts}))
        else:
            out(f"Local exchange on {exchange.http_url} (seed {seed}, blocks of {block_ms} ms). Ctrl-C ends it.")
            out("Public test keys, 1,000,000 USDC perp and 100,000 USDC spot each; never send anything real to them:")
            for account in accounts:
                out(f"  {account['name']}  {account['address']}  {account['key']}")
        waits = [asyncio.ensure_future(stopped.wait()), asyncio.ensure_future(exchange.wait_failed())]
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        for wait in done:
            wait.result()
