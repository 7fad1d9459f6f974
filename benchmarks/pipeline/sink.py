"""An order entry on a real socket whose far end answers every request at once with a refusal, so that nothing piles up.

    async with OrderDesk() as desk:
        desk.entry.submit("BTC", True, 0.01, 60_000.0, tif="Alo")
        await desk.settle()                     # every request has its answer, every order its end

The far end lives in this process and reads only while the order path waits. What the connector counts against the
venue's budgets is given back: the sink has none.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

import picows

import hlfast
from benchmarks.kernels.signing import KEY, RULE
from benchmarks.registry import Mismatch
from hlfast import Network, Settings, clock
from hlfast.net.session import WebSocketSession
from hlfast.venues.hyperliquid.limits import Limits
from hlfast.venues.hyperliquid.scan import Router

REFUSAL = "Order must have minimum value of $10. asset=0"
PING = b'{"method":"ping"}'
PATIENCE_SECONDS = 10.0


def refund(limits: Limits) -> None:
    """Give back what `limits` has counted."""
    for window in (limits.weight, limits.messages):
        window.add(-window.used, clock.wall_clock_ms())


class _Sink(picows.WSListener):
    """The far end of one connection."""

    def __init__(self, received: list[bytes]) -> None:
        self._received = received

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            transport.disconnect()
            return
        request = frame.get_payload_as_bytes()
        if request == PING:
            transport.send(picows.WSMsgType.TEXT, b'{"channel":"pong"}')
            return
        self._received[:] = [request]
        id_ = int(request.partition(b'"id":')[2].partition(b",")[0])
        transport.send(
            picows.WSMsgType.TEXT,
            b'{"channel":"post","data":{"id":%d,"response":{"type":"action","payload":{"status":"ok","response":'
            b'{"type":"order","data":{"statuses":[{"error":"%s"}]}}}}}}' % (id_, REFUSAL.encode()),
        )


class OrderDesk:
    """`entry`: the order entry of a connector that is never connected, live for BTC on a socket of its own."""

    def __init__(self, nonce_pool: int = 0) -> None:
        self._received: list[bytes] = []
        nowhere = Network("http://127.0.0.1:1", "ws://127.0.0.1:1/ws", is_mainnet=True)
        self._connector = hlfast.connect(
            nowhere, key=KEY, settings=Settings(post_timeout_ms=60_000, nonce_pool=nonce_pool)
        )
        self.entry = self._connector.entry
        self.entry.rules = {RULE.coin: RULE}
        self._router = Router()
        self._router.post_sink = self.entry.on_reply

    async def __aenter__(self) -> OrderDesk:
        connected = asyncio.Event()
        self._server = await picows.ws_create_server(lambda request: _Sink(self._received), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        hour = 3600.0
        self._session = WebSocketSession(
            f"ws://127.0.0.1:{port}/",
            self._router,
            ping_interval=hour,
            pong_timeout=hour,
            stall_timeout=hour,
            on_connected=connected.set,
        )
        self._session.start()
        await asyncio.wait_for(connected.wait(), PATIENCE_SECONDS)
        listener = self._session.listener
        assert listener is not None
        self.entry.attach(listener)
        self.entry.go_live()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.stop()
        self._server.close()

    async def settle(self) -> None:
        """Wait for every answer. Raises `Mismatch` if one does not come, or is not the sink's."""
        give_up_ns = clock.monotonic_ns() + int(PATIENCE_SECONDS * 1e9)
        while self.entry.in_flight:
            await asyncio.sleep(0)
            if clock.monotonic_ns() > give_up_ns:
                raise Mismatch(f"{self.entry.in_flight} requests have no answer after {PATIENCE_SECONDS:g} s")
        if self.entry.unresolved_count or self.entry.stray_answers:
            raise Mismatch("the order entry did not understand an answer")
        refund(self.entry.limits)

    def received(self) -> bytes:
        """The last request, as the far end read it."""
        return self._received[0]
