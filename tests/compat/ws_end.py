"""The other end of a WebSocket, made to do what a test says: it acknowledges, answers pings, and can be told not to.

with WsEnd() as far:
    manager = WebsocketManager(far.url); manager.start()
    far.push({"channel": "bbo", "data": {...}})      # to every connection, or `to=` one of them
    far.cut()                                        # drops all connections
    far.subscriptions(0)                             # what the first connection has asked for, in order
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import picows


class Peer(picows.WSListener):
    """One connection from the client."""

    def __init__(self, far: WsEnd) -> None:
        self.far = far
        self.messages: list[Any] = []
        self.transport: picows.WSTransport | None = None
        self.is_open = True

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport
        if self.far.greet:
            transport.send(picows.WSMsgType.TEXT, b"Websocket connection established.")
        self.far.peers.append(self)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self.is_open = False

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        message = json.loads(frame.get_payload_as_utf8_text())
        self.messages.append(message)
        if message["method"] == "ping":
            if self.far.pongs:
                self.send({"channel": "pong"})
        elif self.far.acks:
            echo = {**message["subscription"]}
            if "user" in echo:
                echo["user"] = echo["user"].lower()
            if echo["type"] == "l2Book":
                echo = {"nSigFigs": None, "mantissa": None, **echo}
            said = {"method": message["method"], "subscription": echo}
            self.send({"channel": "subscriptionResponse", "data": said})

    def send(self, frame: Any) -> None:
        assert self.transport is not None
        text = frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":"))
        self.transport.send(picows.WSMsgType.TEXT, text.encode())


class WsEnd:
    def __init__(self, *, acks: bool = True, pongs: bool = True, greet: bool = True) -> None:
        self.acks, self.pongs, self.greet = acks, pongs, greet
        self.peers: list[Peer] = []
        self._ready = threading.Event()

    def __enter__(self) -> WsEnd:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await picows.ws_create_server(lambda request: Peer(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        server.close()
        for peer in self.peers:
            if peer.transport is not None:
                peer.transport.disconnect(False)

    def _do(self, fn: Any) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (fn(), done.set()))
        assert done.wait(20)

    def open_peers(self) -> list[Peer]:
        return [peer for peer in list(self.peers) if peer.is_open]

    def push(self, *frames: Any, to: Peer | None = None) -> None:
        peers = self.open_peers() if to is None else [to]
        self._do(lambda: [peer.send(frame) for peer in peers for frame in frames])

    def cut(self, peer: Peer | None = None) -> None:
        peers = self.open_peers() if peer is None else [peer]
        self._do(lambda: [p.transport.disconnect(False) for p in peers if p.transport is not None])

    def subscriptions(self, peer: int | Peer, method: str = "subscribe") -> list[Any]:
        chosen = self.peers[peer] if isinstance(peer, int) else peer
        return [m["subscription"] for m in list(chosen.messages) if m["method"] == method]
