"""The local exchange on real sockets (layer 5): HTTP `/info` and `/exchange`, WebSocket `/ws`, and `/sim/*` for tests.

    async with SimExchange(port=0, block_ms=70) as exchange:
        print(exchange.http_url, exchange.ws_url)
        exchange.faults.arm("lost_answer", channel="order")
        ...
        exchange.truth("0x14791697260e4c9a71f18484c9f997b308e59325")

Loopback only. Actions wait for the next block; their answers go out after the frames of that block. With `block_ms=0`
each action is a block of its own and is answered at once, while the background traders still act every 70 ms. With
`pace="virtual"` no block runs but by `await exchange.step()` or `advance(ms)`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web

from hlfast.config import Network
from hlfast.errors import ConfigError
from hlfast.sim.admin import ADMIN, read_json
from hlfast.sim.block import Block
from hlfast.sim.exchange import Exchange
from hlfast.sim.explain import explain
from hlfast.sim.faults import ARRIVAL, BLOCK, CONNECT, FILLS, UPGRADING, Faults, Message
from hlfast.sim.info import Info
from hlfast.sim.links import MAX_BACKLOG, Connection, HttpLink, Link, Pipe
from hlfast.sim.listener import Listener, loopback_host
from hlfast.sim.pace import VIRTUAL_START_MS, Pace, RealPace, Timer, VirtualPace
from hlfast.sim.requests import ACTION, INFO, Call, Requests
from hlfast.sim.state import CHANGES, Entry, Followers, StateFile, apply
from hlfast.sim.streams import GREETING, FrameFilter, Hub
from hlfast.sim.truth import truth
from hlfast.sim.verify import Signed
from hlfast.sim.weights import Limits, LimitsOption, caps

IDLE_BLOCK_MS = 70
"""With `block_ms=0`: how often the background traders act and feeds with a cadence speak."""
MAX_MESSAGE = 4 * 2**20
"""Bytes of a request's body or of a WebSocket message; more is 413, or close code 1009."""
RECORDED_FRAMES = 100_000
"""With `record=True`: how many of the last written frames, and the states of how many orders, are kept."""


class SimExchange:
    """The whole exchange. `engine` is the state without sockets, `truth()` its record, `faults` what can be armed."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        block_ms: int = 70,
        seed: int = 7,
        traders: bool = True,
        log: Callable[[str], None] | None = None,
        log_requests: bool = False,
        book_interval_ms: int = 500,
        greeting: bool = True,
        answers_last: bool = True,
        silent_close_seconds: float = 60.0,
        accounts: Iterable[str] = (),
        sub_accounts: Mapping[str, str] | None = None,
        agents: Mapping[str, str] | None = None,
        schedule_cancel_volume_usdc: int = 0,
        engine: Mapping[str, Any] | None = None,
        pace: str = "real",
        speed: float = 1.0,
        start_ms: int = VIRTUAL_START_MS,
        limits: LimitsOption = "off",
        record: bool | int = False,
        state: str | os.PathLike[str] | None = None,
        max_backlog: int = MAX_BACKLOG,
        allow_remote: bool = False,
    ) -> None:
        """`accounts` are further addresses to fund; `sub_accounts` and `agents` map an address to its master.

        `book_interval_ms` is the least time between two l2Book frames of a coin; 0 sends one each block. The venue's
        `scheduleCancel` needs 1,000,000 USDC of volume; here `schedule_cancel_volume_usdc`, by default none. `engine`
        holds further options of `Exchange`. `pace` is "real" (`speed` times as fast) or "virtual" (from `start_ms`, by
        `step` and `advance` only). `limits` are the venue's per IP: "off", "real" or a factor. `record` keeps the last
        frames that were written (True: 100,000) for `truth`. `state` is a file that carries the exchange over a
        restart. A client for which more than `max_backlog` bytes wait is reset. `allow_remote` lets `host` be any
        address: everybody who reaches it can trade and read everything.
        Raises ConfigError for a host beyond loopback or a number that makes no sense.
        """
        host = host if allow_remote else loopback_host(host)
        if not 0 <= port <= 65_535:
            raise ConfigError(f"port must be 0 (any free one) to 65535, got {port}")
        if block_ms < 0 or book_interval_ms < 0 or max_backlog < 0 or record < 0:
            raise ConfigError(
                "block_ms, book_interval_ms, max_backlog and record must be >= 0, "
                f"got {block_ms}, {book_interval_ms}, {max_backlog} and {record}"
            )
        if pace not in ("real", "virtual") or not 0 < speed <= 1e6:
            raise ConfigError(f'pace must be "real" or "virtual" and speed above 0, got {pace!r} and {speed!r}')
        self._listener = Listener(host, port)
        self._block_ms = block_ms
        self._log = log or (lambda line: None)
        self._greeting = greeting
        self._answers_last = answers_last
        self._silent_close_ms = silent_close_seconds * 1e3
        self._max_backlog = max_backlog
        options: dict[str, Any] = {
            "seed": seed,
            "traders": traders,
            "accounts": tuple(accounts),
            "sub_accounts": sub_accounts,
            "agents": agents,
            "schedule_cancel_volume_usdc": schedule_cancel_volume_usdc,
            **(engine or {}),
        }
        self.pace: Pace = VirtualPace(start_ms) if pace == "virtual" else RealPace(speed)
        self.engine = Exchange(**options)
        self._state = None if state is None else StateFile(state, {**options, "block_ms": block_ms})
        if self._state is not None:
            self.engine = self._state.restore(self.engine)
            if isinstance(self.pace, VirtualPace):
                self.pace.advance_to(self.engine.time_ms)
        self.faults = Faults(seed, self)
        self.limits = Limits(caps(limits), self.pace)
        self._info = Info(self.engine)
        self._kept = RECORDED_FRAMES if record is True else int(record)
        self._hub = Hub(self.engine, self._info, book_interval_ms, self.faults, self.limits.caps, self._kept)
        self._requests = Requests(
            self._hub,
            self.faults,
            self.limits,
            self._submit,
            self._info_of,
            self.acting,
            self.explain,
            self._log if log_requests else None,
        )
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: set[asyncio.Future[web.Response]] = set()
        self._bodies: list[tuple[Signed, Any]] = []
        self._followers = Followers(self.engine)
        self._states: dict[int, list[tuple[str, int]]] = {}
        self._numbers = itertools.count(1)
        self._skew_ms = 0
        self._broken: Exception | None = None
        self._is_down = False
        self._upgrade: Timer | None = None
        self._next_block_ms = 0
        self._cuts = 0

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> SimExchange:
        """Bind, and run blocks until `stop`. Raises ConfigError if the port is taken or the state file is not ours."""
        if self._runner is not None:
            raise ConfigError("this exchange is already started; make another SimExchange for another port")
        if self._state is not None and self._state.is_closed:
            raise ConfigError("this exchange's state file is closed; make another SimExchange to go on with it")
        self._listener.open()
        app = web.Application(client_max_size=MAX_MESSAGE)
        app.add_routes(
            [
                web.post("/info", self._on_http(INFO)),
                web.post("/exchange", self._on_http(ACTION)),
                web.get("/ws", self._on_websocket),
            ]
        )
        for method, path, handler in ADMIN:
            app.router.add_route(method, path, _bound(handler, self))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        if self._state is not None and self.engine.block_number:
            self._log(f"goes on after block {self.engine.block_number} of {self._state.path}")
        self._next_block_ms = self.pace.now_ms()
        self._run_block()  # there is a book before there is a reader
        assert self._runner.server is not None
        await self._listener.serve(self._runner.server)
        if not self.pace.is_virtual:
            self._tasks = [asyncio.create_task(self._run_blocks())]
        self.pace.call_later(self._silence_ms, self._close_silent)
        self._log(f"local exchange on {self.http_url}")
        return self

    async def stop(self) -> None:
        """End everything: sockets reset, waiting requests dropped. Raises what a block raised, if one did."""
        if self._upgrade is not None:
            self._upgrade.cancel()
        if self._runner is None:
            if self._state is not None:
                self._state.close()
            return
        await self._listener.close()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for link in list(self._hub.connections):
            link.reset()
        for future in self._waiting:
            future.cancel()
        await self._runner.cleanup()
        self._runner = None
        if self._state is not None:
            self._state.close()
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
        if not self._tasks:
            await asyncio.get_running_loop().create_future()
        ended, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in ended:
            task.result()

    @property
    def port(self) -> int:
        """The real port once started."""
        return self._listener.port

    @property
    def http_url(self) -> str:
        return f"http://{self._authority}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self._authority}/ws"

    @property
    def _authority(self) -> str:
        host, port = self._listener.host, self._listener.port
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

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
        record = truth(self.engine, user, self._states, self._hub.record)
        record["counters"] |= {**self._hub.counters, "cuts": self._cuts, "refused": dict(self.limits.refused)}
        record["faults"] = self.faults.report()
        return record

    def faucet(self, user: str, usdc: int) -> None:
        """Give an address this many USDC of perp cash; it has an account from then on."""
        self.change("faucet", user.lower(), usdc)

    def change(self, kind: str, *arguments: Any) -> None:
        """Change the engine from outside, in a way that a state file and lagging answers follow.

            exchange.change("set_mark", "BTC", "65000")           exchange.change("take", "BTC", "buy", "0.5")
            exchange.change("rest", "BTC", "sell", "65001", "2")  exchange.change("set_fee_terms", user, {"tier": 3})

        The kinds are `hlfast.sim.state.CHANGES`; the arguments are those of the engine's methods, numbers as text or
        int. Raises ConfigError for an unknown kind, and what the engine raises.
        """
        if kind not in CHANGES:
            raise ConfigError(f"there is no change {kind!r}; the kinds are {', '.join(CHANGES)}")
        self._input((kind, *arguments))

    def explain(self, body: Any) -> dict[str, Any]:
        """Who signed this request, over which bytes, and if that is nobody known, why (`hlfast.sim.explain`)."""
        return explain(body, self.engine.knows)

    def acting(self, signed: Signed) -> str | None:
        """The account that a request acts for, if its signer is known: what `user` of a fault is compared with."""
        if signed.vault is not None or signed.signer is None:
            return signed.vault
        if signed.multi_sig is not None:
            return signed.multi_sig.user
        agent = self.engine.agents.get(signed.signer)
        return signed.signer if agent is None else agent.master

    def attach(self) -> Pipe:
        """A client in this process without a socket: `pipe.send({...})`, `pipe.frames`."""
        pipe = Pipe(next(self._numbers), self.pace.now_ms, self._requests.on_frame)
        self._hub.add(pipe)
        if self._greeting:
            pipe.write(GREETING)
        return pipe

    async def step(self, blocks: int = 1) -> None:
        """With `pace="virtual"`: run this many blocks, each one interval later."""
        for _ in range(blocks):
            await self.advance(max(0, self._next_block_ms - self.pace.now_ms()))

    async def advance(self, ms: int) -> None:
        """With `pace="virtual"`: let this much time pass, with the blocks that fall due in it."""
        if not isinstance(self.pace, VirtualPace):
            raise ConfigError('time can be stepped only with pace="virtual"')
        until_ms = self.pace.now_ms() + ms
        while self._next_block_ms <= until_ms:
            self.pace.advance_to(self._next_block_ms)
            self._next_block_ms += self._interval_ms
            self._run_block()
            await asyncio.sleep(0)  # sockets have their turn
        self.pace.advance_to(until_ms)

    def open_post_only(self, seconds: float) -> None:
        """From now on, for so long, only post-only orders are taken, as after an upgrade."""
        self.change("post_only", self.pace.now_ms() + int(seconds * 1e3))
        self._log(f"post-only for {seconds:g} s")

    async def drill(self, down_seconds: float = 2.0, post_only_seconds: float = 10.0) -> int:
        """A network upgrade: see `start_drill`."""
        return self.start_drill(down_seconds, post_only_seconds)

    def start_drill(self, down_seconds: float, post_only_seconds: float) -> int:
        """Every WebSocket is reset and everything answers 503 for so long, without blocks; then a post-only window.

        Requests that wait for a block wait on, and run in the first one after. Returns how many sockets were reset.
        """
        self._is_down = True
        self._cuts += 1
        if self._upgrade is not None:
            self._upgrade.cancel()

        def over() -> None:
            self._is_down, self._upgrade = False, None
            self.open_post_only(post_only_seconds)

        self._upgrade = self.pace.call_later(down_seconds * 1e3, over)
        self._log(f"upgrade: down for {down_seconds:g} s, then post-only for {post_only_seconds:g} s")
        return self._reset_all()

    def look_at_bytes(self) -> None:
        """A fault is armed that takes messages before they are read."""
        for link in self._hub.connections:
            if isinstance(link, Connection):
                self._look_at(link)

    def _look_at(self, link: Connection) -> None:
        def takes(text: str, half: Callable[[], None]) -> bool:
            if not any(ARRIVAL in fault.points for fault in self.faults.armed):
                return False
            channel, user = self._requests.about(text)
            return self.faults.apply(Message(ARRIVAL, "ws", channel, user, link, lambda: text, _nothing, half=half))

        link.look(takes)

    def skew_block(self, offset_ms: int) -> None:
        """The next block's time is off by this much."""
        self._skew_ms = offset_ms

    async def cut(self, refuse_seconds: float = 0.0) -> int:
        """Reset every WebSocket now and refuse TCP connections for that long. Returns how many were reset.

        Returns at once; the listener comes back by itself. HTTP connections that are open stay open. A further cut
        starts the time anew.
        """
        self._cuts += 1
        await self._listener.refuse(refuse_seconds)
        cut = self._reset_all()
        self._log(f"cut {cut} connections, refusing new ones for {refuse_seconds:g} s")
        return cut

    def _reset_all(self) -> int:
        cut = list(self._hub.connections)
        for link in cut:
            link.reset()
            self._hub.drop(link)
        return len(cut)

    # -- blocks ----------------------------------------------------------------------------------------------------

    @property
    def _interval_ms(self) -> int:
        return self._block_ms or IDLE_BLOCK_MS

    async def _run_blocks(self) -> None:
        """By the clock. After a stall: no long burst."""
        interval_s = self._interval_ms / 1e3 / self.pace.speed
        now = asyncio.get_running_loop().time
        due = now()
        while True:
            due = max(due + interval_s, now() - 10 * interval_s)
            await asyncio.sleep(max(0.0, due - now()))
            if self._broken is not None:
                raise self._broken
            self._run_block()

    def _run_block(self, *, traders_act: bool = True) -> None:
        if self._is_down:
            return
        self._skew_ms = 0
        if self.faults.armed:
            self.faults.apply(Message(BLOCK, "", "block", None, _NOBODY, str, _nothing))
        now_ms = self.pace.now_ms() + self._skew_ms
        block = self.engine.run_block(now_ms, traders_act=traders_act)
        bodies, self._bodies = self._bodies, []
        if self._state is not None:
            self._state.append(("block", now_ms, traders_act, [body for _, body in bodies]))
        if self._followers:
            self._feed_followers(("block", now_ms, traders_act, [signed for signed, _ in bodies]))
        if self._hub.record is not None:
            self._note_states(block)
        self._publish(block)
        if self._state is not None:
            self._state.compact(self.engine)

    def _publish(self, block: Block) -> None:
        """Frames and answers; an answer that `fill_before_ack` has hit comes last in any case."""
        held: list[tuple[Any, dict[str, Any]]] = []
        fills_first: set[str] = set()
        if self.faults.wants("fill_before_ack"):
            for reply, answer in block.answers:
                if isinstance(reply, Call) and reply.user in block.fills and self._fills_go_first(reply):
                    fills_first.add(reply.user)
                    held.append((reply, answer))
        if self._answers_last:
            self._hub.publish(block, fills_first)
        for reply, answer in block.answers:
            if not any(reply is other for other, _ in held):
                reply(answer)
        if not self._answers_last:
            self._hub.publish(block, fills_first)
        for reply, answer in held:
            reply(answer)
        self._requests.block_is_out(block.number)
        block.answers.clear()  # the engine keeps its last block, and a copy of it must not copy sockets

    def _fills_go_first(self, call: Call) -> bool:
        return self.faults.apply(Message(FILLS, call.link.transport, call.channel, call.user, call.link, str, _nothing))

    def _submit(self, signed: Signed, body: Any, call: Call) -> None:
        """Queue a verified request; with `block_ms=0` it is a block at once."""
        self.engine.submit(signed, call)
        self._bodies.append((signed, body))
        if not self._block_ms:
            try:
                self._run_block(traders_act=False)
            except Exception as error:
                self._broken = error  # the block loop raises it: a client's answer must not hide a broken engine
                raise

    def _input(self, entry: Entry) -> None:
        """What changes the engine from outside, between blocks."""
        apply(self.engine, entry)
        if self._state is not None:
            self._state.append(entry)
        self._feed_followers(entry)

    def _note_states(self, block: Block) -> None:
        for rows in block.order_rows.values():
            for row in rows:
                self._states.setdefault(row["order"]["oid"], []).append((row["status"], row["statusTimestamp"]))
        while len(self._states) > self._kept:
            del self._states[next(iter(self._states))]

    def _info_of(self, link: Link) -> Info:
        """What answers queries on this link: the engine, or one that is some blocks behind."""
        return self._followers.info(link.lag_blocks) if link.lag_blocks else self._info

    def _feed_followers(self, entry: Entry) -> None:
        """Followers whom no connection and no armed fault needs any more end here."""
        needed = {link.lag_blocks for link in self._hub.connections}
        needed.update(int(fault.options["blocks"]) for fault in self.faults.armed if fault.kind == "lag")
        self._followers.feed(entry, needed)

    # -- sockets ---------------------------------------------------------------------------------------------------

    @property
    def _silence_ms(self) -> float:
        return min(1_000.0, self._silent_close_ms / 4)

    def _close_silent(self) -> None:
        """The venue closes a connection to which it has not sent anything for 60 s. A fault's silence is no reason."""
        if self._runner is None:
            return
        self.pace.call_later(self._silence_ms, self._close_silent)
        now_ms = self.pace.now_ms()
        for link in list(self._hub.connections):
            if now_ms - link.last_sent_ms > self._silent_close_ms and not link.is_muted:
                self._hub.drop(link)
                link.close(1000, b"Inactive")

    def _on_http(self, kind: str) -> Callable[[web.Request], Any]:
        async def on_request(request: web.Request) -> web.Response:
            if self._is_down:
                return web.Response(status=503, text=UPGRADING, content_type="text/html")
            link = HttpLink(next(self._numbers), ip_of(request), self.pace.now_ms, request.transport)
            body = await read_json(request)
            self._waiting.add(link.response)
            try:
                self._requests.call(link, kind, body)
                return await link.response
            finally:
                self._waiting.discard(link.response)

        return on_request

    async def _on_websocket(self, request: web.Request) -> web.StreamResponse:
        ip = ip_of(request)
        if self._is_down:
            return web.Response(status=503, text=UPGRADING, content_type="text/html")
        if not self.limits.admits_connection(ip):
            return web.Response(status=429, text="null")
        try:
            return await self._serve_websocket(request, ip)
        finally:
            self.limits.disconnected(ip)

    async def _serve_websocket(self, request: web.Request, ip: str) -> web.StreamResponse:
        if self.faults.armed:
            hand = HttpLink(next(self._numbers), ip, self.pace.now_ms, request.transport)
            handshake = Message(CONNECT, "ws", "connect", None, hand, str, _nothing, refuse=hand.refuse)
            if self.faults.apply(handshake):
                self._waiting.add(hand.response)
                return await hand.response
        websocket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE, timeout=1.0, autoping=False)
        await websocket.prepare(request)
        link = Connection(next(self._numbers), ip, self.pace.now_ms, request.transport, websocket)
        link.max_backlog = self._max_backlog
        self._hub.add(link)
        if any(ARRIVAL in fault.points for fault in self.faults.armed):
            self._look_at(link)
        if self._greeting:
            link.write(GREETING)
        try:
            async for message in websocket:
                if not link.reading.is_set():
                    await link.reading.wait()
                if not self.limits.admits_message(ip):
                    link.close(1008, b"Too many messages")
                    break
                if message.type is WSMsgType.TEXT:
                    self._requests.on_frame(link, message.data)
                elif message.type is WSMsgType.BINARY:
                    self._requests.on_frame(link, message.data.decode(errors="replace"))
                elif message.type is WSMsgType.PING:
                    link.pong(message.data)
        finally:
            self._hub.drop(link)
        return websocket


def _nothing() -> None:
    pass


_NOBODY = Link(0, "", lambda: 0)


def _bound(handler: Callable[[SimExchange, web.Request], Any], exchange: SimExchange) -> Callable[[web.Request], Any]:
    async def on_request(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await handler(exchange, request)
        return response

    return on_request


def ip_of(request: web.Request) -> str:
    return request.remote or ""
