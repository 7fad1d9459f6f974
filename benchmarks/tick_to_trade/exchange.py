"""The far end, a process of its own: `python -m benchmarks.tick_to_trade.exchange [--tls CHAIN KEY]`.

It prints its two ports as JSON, WebSocket and HTTP, and then obeys lines on stdin:

    go TICKS PAUSE_MS     once a trader listens: send so many ticks, print the samples as JSON
    end

A sample is the time from just before a book is handed to the socket until the whole order has been read, of one clock.
While it waits the process polls. Every order is checked afterwards: instrument, side, price, size; the signatures of some.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
from collections.abc import Callable
from typing import Any

import coincurve
import orjson
import picows
import uvloop

from benchmarks.kernels.signing import KEY
from benchmarks.tick_to_trade.answers import ASSETS, SHAPES, SIZE_TEXTS, info, refusal
from benchmarks.wire import BLOCK_MS, Feed
from hlfast.clock import monotonic_ns, wall_clock_ms
from hlfast.venues.hyperliquid.sign import action_hash, agent_digest

ECHO = b'{"method":"echo"'
PATIENCE_SECONDS = 10.0
VERIFIED = 25
"""Orders of a run whose signature is verified, spread over it."""

POOL = 64
TEXT = picows.WSMsgType.TEXT


class Tick:
    """A frame of the pool, cut where its block time stands."""

    def __init__(self, at: int) -> None:
        self.market, self.levels = SHAPES[at % len(SHAPES)]
        frame = Feed(at).book(self.market, self.levels)
        self._head, self._tail = frame.split(str(BLOCK_MS).encode(), 1)
        self.best_bid = orjson.loads(frame)["data"]["levels"][0][0]["px"]

    def frame(self, time_ms: int) -> bytes:
        return b"%s%d%s" % (self._head, time_ms, self._tail)


class Venue:
    """Who listens, what is waited for, what has arrived."""

    def __init__(self) -> None:
        self.listeners: dict[str, picows.WSTransport] = {}
        self._ticks = [Tick(at) for at in range(POOL)]
        self._time_ms = wall_clock_ms()
        self._waiting: asyncio.Future[None] | None = None
        self._arrived_ns = 0
        self._order = b""
        self._loop = asyncio.get_running_loop()

    def book(self, coin: str) -> bytes:
        """A book of `coin`, newer than any before."""
        self._time_ms += 1
        return next(tick for tick in self._ticks if tick.market.coin == coin).frame(self._time_ms)

    def arrived(self, ns: int, order: bytes) -> None:
        """An order was there at `ns`."""
        if self._waiting is not None and not self._waiting.done():
            self._arrived_ns, self._order = ns, order
            self._waiting.set_result(None)

    def _poll(self) -> None:
        """Keep the loop from sleeping while an order is awaited."""
        if self._waiting is not None and not self._waiting.done():
            self._loop.call_soon(self._poll)

    async def listened_to(self) -> None:
        give_up_ns = monotonic_ns() + int(PATIENCE_SECONDS * 1e9)
        while not {market.coin for market, _ in SHAPES} <= self.listeners.keys():
            await asyncio.sleep(0.01)
            if monotonic_ns() > give_up_ns:
                raise RuntimeError(f"no trader listens: {sorted(self.listeners)}")

    async def run(self, ticks: int, pause: float) -> dict[str, Any]:
        """Samples by shape, and what was wrong with an order, if any."""
        await self.listened_to()
        samples: list[int] = []
        orders: list[tuple[Tick, bytes]] = []
        for at in range(ticks):
            tick = self._ticks[at % POOL]
            transport = self.listeners[tick.market.coin]
            self._time_ms = max(self._time_ms + 1, wall_clock_ms())
            frame = tick.frame(self._time_ms)
            self._waiting = self._loop.create_future()
            sent_ns = monotonic_ns()
            transport.send(TEXT, frame)
            self._poll()
            await asyncio.wait_for(self._waiting, PATIENCE_SECONDS)
            took = self._arrived_ns - sent_ns
            samples.append(took)
            orders.append((tick, self._order))
            await asyncio.sleep(max(pause, took / 1e9))
        return {"samples": samples, "wrong": wrong(orders)}


def wrong(orders: list[tuple[Tick, bytes]]) -> str:
    """What is wrong with the first order that is; empty if none is."""
    public = coincurve.PrivateKey(KEY).public_key.format()
    every = max(1, len(orders) // VERIFIED)
    for at, (tick, body) in enumerate(orders):
        if body.startswith(ECHO):
            continue
        message = orjson.loads(body)
        payload = message["request"]["payload"] if "request" in message else message
        (order,) = payload["action"]["orders"]
        coin = tick.market.coin
        said = (order["a"], order["b"], order["p"], order["s"], order["t"])
        tidy = tick.best_bid.removesuffix(".0")
        meant = (ASSETS[coin], True, tidy, SIZE_TEXTS[coin], {"limit": {"tif": "Alo"}})
        if said != meant:
            return f"tick {at} was answered by {said}, not by {meant}"
        if at % every == 0:
            connection = action_hash(payload["action"], payload["nonce"], None, payload.get("expiresAfter"))
            if recovered(payload["signature"], agent_digest(connection, False)) != public:
                return f"the signature of order {at} is not of the trader's key"
    return ""


def recovered(signature: dict[str, Any], digest: bytes) -> bytes:
    """The public key that made `signature` of `digest`. With prepared nonces that is all that can be compared."""
    r, s = (int(signature[name], 16).to_bytes(32, "big") for name in ("r", "s"))
    compact = r + s + bytes([signature["v"] - 27])
    key: bytes = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None).format()
    return key


class Socket(picows.WSListener):
    """One WebSocket of a trader."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._coins: list[str] = []

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        now_ns = monotonic_ns()
        if frame.msg_type == picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            return
        if frame.msg_type != TEXT:
            transport.disconnect()
            return
        body = frame.get_payload_as_bytes()
        if body.startswith(ECHO):
            self._venue.arrived(now_ns, body)
            return
        message = orjson.loads(body)
        method = message.get("method")
        if method == "post":
            request, id_ = message["request"], int(message["id"])
            if request["type"] == "action":
                self._venue.arrived(now_ns, body)
                response = {"type": "action", "payload": refusal(request["payload"]["action"])}
            else:
                query = request["payload"]
                response = {"type": "info", "payload": {"type": query["type"], "data": info(query)}}
            self._say(transport, "post", {"id": id_, "response": response})
        elif method == "subscribe":
            self._say(
                transport, "subscriptionResponse", {"method": "subscribe", "subscription": message["subscription"]}
            )
            self._subscribed(transport, message["subscription"])
        elif method == "ping":
            transport.send(TEXT, b'{"channel":"pong"}')

    def _subscribed(self, transport: picows.WSTransport, subscription: dict[str, Any]) -> None:
        coin = subscription.get("coin", "")
        if subscription["type"] == "l2Book":
            transport.send(TEXT, self._venue.book(coin))
            self._venue.listeners[coin] = transport
            self._coins.append(coin)
        elif subscription["type"] == "userFills":
            self._say(transport, "userFills", {"user": subscription["user"], "isSnapshot": True, "fills": []})

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        for coin in self._coins:
            if self._venue.listeners.get(coin) is transport:
                del self._venue.listeners[coin]

    @staticmethod
    def _say(transport: picows.WSTransport, channel: str, data: Any) -> None:
        transport.send(TEXT, orjson.dumps({"channel": channel, "data": data}))


class Http(asyncio.Protocol):
    """POST /info and /exchange, kept alive, as little code as that needs: no peer pays for a framework's server."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now_ns = monotonic_ns()
        self._read += data
        head, found, rest = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        fields = head.lower().split(b"\r\n")
        length = next(int(field[15:]) for field in fields if field.startswith(b"content-length:"))
        if len(rest) < length:
            if b"expect: 100-continue" in fields:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body, self._read = rest[:length], rest[length:]
        message = orjson.loads(body)
        if fields[0].startswith(b"post /exchange"):
            self._venue.arrived(now_ns, body)
            answer: Any = refusal(message["action"])
        else:
            answer = info(message)
        text = orjson.dumps(answer)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)
        )


async def serve(tls: tuple[str, str] | None, read_line: Callable[[], str]) -> None:
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
    venue, loop = Venue(), asyncio.get_running_loop()
    sockets = await picows.ws_create_server(lambda _: Socket(venue), "127.0.0.1", 0, ssl=context)
    http = await loop.create_server(lambda: Http(venue), "127.0.0.1", 0, ssl=context)
    ports = {"ws": sockets.sockets[0].getsockname()[1], "http": http.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    while (line := await loop.run_in_executor(None, read_line)).startswith("go"):
        _, ticks, pause_ms = line.split()
        try:
            told = await venue.run(int(ticks), float(pause_ms) / 1e3)
        except (asyncio.TimeoutError, RuntimeError) as error:
            told = {"samples": [], "wrong": str(error) or f"a tick was not answered within {PATIENCE_SECONDS:g} s"}
        print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tick_to_trade.exchange")
    parser.add_argument("--tls", nargs=2, metavar=("CHAIN", "KEY"))
    given = parser.parse_args()
    uvloop.install()
    asyncio.run(serve(tuple(given.tls) if given.tls else None, sys.stdin.readline))


if __name__ == "__main__":
    main()
