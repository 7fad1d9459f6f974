"""What the exchange's tests work with: a desk without sockets, and clients that sign with the official SDK."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import aiohttp
import eth_account
from hyperliquid.utils import signing

from hlfast import clock
from hlfast.sim import FUNDED_ACCOUNTS, Exchange, SimExchange
from hlfast.sim.block import Block
from hlfast.sim.verify import L1_ACTIONS, USER_ACTIONS, Signed

ALICE, BOB, CAROL, DAVE = FUNDED_ACCOUNTS[:4]
START_MS = 1_785_000_000_000
SUB_ACCOUNT = "0x" + "5b" * 20
AGENT_KEY = "0x" + "a9" * 32
AGENT = eth_account.Account.from_key(AGENT_KEY).address.lower()


class Desk:
    """The engine, driven action by action: each is a block of its own unless several are sent at once."""

    def __init__(self, **options: Any) -> None:
        self.exchange = Exchange(**{"traders": False, "mark_ms": 0, **options})
        self.now_ms = START_MS
        self.block = Block(0, 0)
        self._nonces = itertools.count(START_MS)

    def signed(self, address: str, action: dict[str, Any], **envelope: Any) -> Signed:
        """A request as it is after verification."""
        kind = action["type"]
        canonical = L1_ACTIONS[kind](action) if kind in L1_ACTIONS else action
        nonce = envelope.get("nonce", next(self._nonces))
        return Signed(
            canonical,
            nonce,
            envelope.get("vault"),
            envelope.get("expires_after"),
            address,
            kind in USER_ACTIONS,
            {"r": "0x1", "s": "0x1", "v": 27},
        )

    def send(self, *requests: Signed) -> list[Any]:
        """One block with these requests; the answers come in the order of the requests."""
        answers: dict[int, Any] = {}
        for at, request in enumerate(requests):
            self.exchange.submit(request, lambda answer, at=at: answers.__setitem__(at, answer))
        self.now_ms += 70
        self.block = self.exchange.run_block(self.now_ms)
        for reply, answer in self.block.answers:
            reply(answer)
        self.exchange.assert_conserved()
        return [answers[at] for at in range(len(requests))]

    def act(self, who: Any, action: dict[str, Any], **envelope: Any) -> Any:
        return self.send(self.signed(who.address, action, **envelope))[0]

    def orders(self, who: Any, *wires: dict[str, Any], grouping: Any = "na") -> list[Any]:
        """Status entries of one order action."""
        answer = self.act(who, {"type": "order", "orders": list(wires), "grouping": grouping})
        assert answer["status"] == "ok", answer
        return answer["response"]["data"]["statuses"]

    def order(self, who: Any, *args: Any, **options: Any) -> Any:
        return self.orders(who, wire(*args, **options))[0]

    def cancel(self, who: Any, asset: int, oid: int) -> Any:
        answer = self.act(who, {"type": "cancel", "cancels": [{"a": asset, "o": oid}]})
        return answer["response"]["data"]["statuses"][0]

    def account(self, who: Any) -> Any:
        return self.exchange.accounts[who.address]

    def rows(self, who: Any) -> list[tuple[str, str]]:
        """(status, sz) of the last block's orderUpdates rows."""
        return [(row["status"], row["order"]["sz"]) for row in self.block.order_rows.get(who.address, [])]

    def book(self, asset: int) -> list[list[tuple[str, str, int]]]:
        return [
            [(level["px"], level["sz"], level["n"]) for level in side]
            for side in self.exchange.execution.books[asset].levels()
        ]


def wire(
    asset: int,
    side: str,
    px: str,
    sz: str,
    tif: str = "Gtc",
    *,
    reduce_only: bool = False,
    cloid: str | None = None,
) -> dict[str, Any]:
    """One order as the venue reads it; `side` is "buy" or "sell"."""
    order = {"a": asset, "b": side == "buy", "p": px, "s": sz, "r": reduce_only, "t": {"limit": {"tif": tif}}}
    return {**order, "c": cloid} if cloid else order


def trigger(
    asset: int,
    side: str,
    px: str,
    sz: str,
    trigger_px: str,
    tpsl: str,
    *,
    is_market: bool = True,
    reduce_only: bool = True,
    cloid: str | None = None,
) -> dict[str, Any]:
    """One stop or take profit as the venue reads it."""
    order = wire(asset, side, px, sz, reduce_only=reduce_only, cloid=cloid)
    return {**order, "t": {"trigger": {"isMarket": is_market, "triggerPx": trigger_px, "tpsl": tpsl}}}


class Client:
    """One account on real sockets: raw frames in, raw frames out, signed by the official SDK's own functions."""

    def __init__(self, exchange: SimExchange, session: aiohttp.ClientSession, key: str) -> None:
        self.exchange = exchange
        self.session = session
        self.wallet = eth_account.Account.from_key(key)
        self.address = self.wallet.address.lower()
        self.websocket: aiohttp.ClientWebSocketResponse | None = None
        self.frames: list[str] = []
        self._nonce = clock.wall_clock_ms()
        self._ids = itertools.count(1)

    def sign(
        self,
        action: dict[str, Any],
        *,
        nonce: int | None = None,
        vault: str | None = None,
        expires_after: int | None = None,
        is_mainnet: bool = False,
    ) -> dict[str, Any]:
        self._nonce += 1
        nonce = self._nonce if nonce is None else nonce
        signature = signing.sign_l1_action(self.wallet, action, vault, nonce, expires_after, is_mainnet)
        return {
            "action": action,
            "nonce": nonce,
            "signature": signature,
            "vaultAddress": vault,
            "expiresAfter": expires_after,
        }

    async def http(self, path: str, body: Any) -> Any:
        async with self.session.post(self.exchange.http_url + path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def info(self, kind: str, **query: Any) -> Any:
        return await self.http("/info", {"type": kind, **query})

    async def exchange_action(self, action: dict[str, Any], **envelope: Any) -> Any:
        return await self.http("/exchange", self.sign(action, **envelope))

    async def connect(self) -> Client:
        self.websocket = await self.session.ws_connect(self.exchange.ws_url)
        return self

    async def send(self, message: Any) -> None:
        assert self.websocket is not None
        await self.websocket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def receive(self) -> Any:
        """The next frame, parsed if it is JSON; its text stays in `frames`."""
        assert self.websocket is not None
        message = await asyncio.wait_for(self.websocket.receive(), 5)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        self.frames.append(message.data)
        try:
            return json.loads(message.data)
        except ValueError:
            return message.data

    async def until(self, channel: str) -> Any:
        """The data of the next frame on this channel; what comes before it stays in `frames`."""
        while True:
            frame = await self.receive()
            if isinstance(frame, dict) and frame["channel"] == channel:
                return frame.get("data")

    async def subscribe(self, kind: str, **fields: Any) -> Any:
        await self.send({"method": "subscribe", "subscription": {"type": kind, **fields}})
        return await self.until("subscriptionResponse")

    async def post(self, action: dict[str, Any], **envelope: Any) -> Any:
        """A signed action over the socket; returns its envelope."""
        request = {"type": "action", "payload": self.sign(action, **envelope)}
        await self.send({"method": "post", "id": next(self._ids), "request": request})
        return (await self.until("post"))["response"]["payload"]

    async def place(self, *wires: dict[str, Any]) -> list[Any]:
        answer = await self.post({"type": "order", "orders": list(wires), "grouping": "na"})
        assert answer["status"] == "ok", answer
        return answer["response"]["data"]["statuses"]


class Floor:
    """A running exchange and its clients."""

    def __init__(self, exchange: SimExchange, session: aiohttp.ClientSession) -> None:
        self.exchange = exchange
        self.session = session

    def client(self, who: Any = ALICE) -> Client:
        return Client(self.exchange, self.session, who.key)

    async def connected(self, who: Any = ALICE) -> Client:
        return await self.client(who).connect()
