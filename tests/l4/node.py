"""An order-book server on loopback that speaks section 8.3 from a `Stream`, and does to its frames what it is told.

`await node.block()` makes a block and sends it to whoever is subscribed. `node.fault` says what happens to it:
"gap" (never sent), "duplicate" (sent twice), "reorder" (sent after the next one), "wrong" (with a removal of an order
that does not rest), "cut" (the connection breaks inside it). Each fault is used up by one block and counted in `hits`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from .frames import COIN, l2book, snapshot, updates
from .model import Stream


class Node:
    def __init__(self, seed: int = 1, **options: Any) -> None:
        self.stream = Stream(seed, **options)
        self.fault = ""
        self.hits: Counter[str] = Counter()
        self.is_ready = True
        self.answers_subscriptions = True
        self.l2_every = 5
        self.snapshots = 0
        self.asked: list[Any] = []
        self.port = 0
        self._late: bytes | None = None
        self._links: dict[web.WebSocketResponse, set[str]] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/ws", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        self.break_links()
        await self._runner.cleanup()

    def break_links(self) -> None:
        for link in list(self._links):
            if link._req is not None and link._req.transport is not None:
                link._req.transport.abort()
        self._links.clear()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        link = web.WebSocketResponse(max_msg_size=0)
        await link.prepare(request)
        self._links[link] = set()
        try:
            async for message in link:
                if message.type is WSMsgType.TEXT:
                    await self._asked(link, orjson.loads(message.data))
        finally:
            self._links.pop(link, None)
        return link

    async def _asked(self, link: web.WebSocketResponse, request: Any) -> None:
        self.asked.append(request)
        subscription = request.get("subscription")
        if request.get("method") not in ("subscribe", "unsubscribe"):
            await link.send_str(
                '{"channel":"error","data":"Error parsing JSON into valid websocket request: {\\"method\\":\\"ping\\"}"}'
            )
            return
        kind, wanted = subscription["type"], self._links[link]
        if not self.answers_subscriptions:
            return
        if request["method"] == "unsubscribe":
            wanted.discard(kind)
            return
        if kind == "l4Book" and not self.is_ready:
            await self._send(
                link, {"channel": "error", "data": "Order book not ready for streaming (waiting for snapshot)"}
            )
            return
        if kind in wanted:
            await self._send(link, {"channel": "error", "data": f"Already subscribed: {subscription}"})
            return
        wanted.add(kind)
        await self._send(link, {"channel": "subscriptionResponse", "data": request})
        if kind == "l4Book":
            assert subscription["coin"] == COIN
            self.snapshots += 1
            await link.send_str(snapshot(self.stream).decode())

    async def _send(self, link: web.WebSocketResponse, message: Any) -> None:
        await link.send_str(orjson.dumps(message).decode())

    async def _tell(self, kind: str, *frames: bytes) -> None:
        for link, wanted in list(self._links.items()):
            if kind in wanted and not link.closed:
                for frame in frames:
                    try:
                        await link.send_str(frame.decode())
                    except ConnectionError:
                        pass

    async def block(self, diffs: int = 10) -> None:
        came, rows = self.stream.block(diffs)
        fault, self.fault = self.fault, ""
        frame = updates(self.stream.height, came, rows)
        if fault == "wrong":
            frame = updates(self.stream.height, came, [*rows, {**rows[-1], "kind": "remove", "oid": 10**12}])
        if fault and any("l4Book" in wanted for wanted in self._links.values()):
            self.hits[fault] += 1
        if fault == "cut":
            self.break_links()
            return
        if fault == "gap":
            return
        if fault == "reorder":
            self._late = frame
            return
        late, self._late = ([self._late] if self._late is not None else []), None
        await self._tell("l4Book", *([frame] * (2 if fault == "duplicate" else 1)), *late)
        if self.stream.height % self.l2_every == 0:
            await self._tell("l2Book", l2book(self.stream))
        await asyncio.sleep(0)
