"""Bad input: whatever comes is answered as the venue does or refused; no traceback, no crash, no money made or lost."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import socket
from typing import Any

import aiohttp
import pytest
from coincurve import PrivateKey

from hlfast.sim import Caps
from hlfast.sim.info import ANSWERS
from hlfast.sim.pace import VIRTUAL_START_MS
from hlfast.sim.shapes import Malformed
from hlfast.sim.streams import FEEDS
from hlfast.sim.verify import L1_ACTIONS, USER_ACTIONS, action_hash, agent_digest

from .desk import ALICE, BOB, Floor, wire

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

BODIES = [
    (b"{", 400),
    (b"", 400),
    (b"\xff\xfe{}", 400),
    (b'{"a":' * 3000, 400),
    (b"[" * 100_000, 400),
    (b"NaN", 400),
    (b"null", 422),
    (b"[]", 422),
    (b'{"type":["meta"]}', 422),
    (b'{"type":{"a":1}}', 422),
    (b'{"action":{"type":["order"]},"nonce":1,"signature":{"r":"0x1","s":"0x1","v":27}}', 422),
    (b'{"action":{"type":"order"},"nonce":1e400,"signature":{}}', None),
    (b'{"action":[],"nonce":1,"signature":{"r":"0x1","s":"0x1","v":27}}', 422),
    (b'{"type":"l2Book","coin":5}', 422),
    (b'{"type":"orderStatus","user":"0x' + b"1" * 40 + b'","oid":-1}', 422),
    (b'{"type":"orderStatus","user":"0x' + b"1" * 40 + b'","oid":99999999999999999999999}', 422),
    (b"x" * (4 * 2**20 + 1), 413),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("path", ["/info", "/exchange"])
async def test_bodies_that_are_no_request(floor: Floor, path: str, body: bytes, status: int | None) -> None:
    headers = {"Content-Type": "application/json"}
    async with floor.session.post(floor.exchange.http_url + path, data=body, headers=headers) as response:
        text = await response.text()
        assert response.status == (status or response.status) and 400 <= response.status < 500
        assert "Traceback" not in text and ".py" not in text
    assert await floor.client().info("exchangeStatus")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x82" + bytes(4) + b"\xff\xfe", 1007),  # text that is not UTF-8
        (b"\x81\xff" + (2**40).to_bytes(8, "big") + bytes(4), 1009),  # a terabyte is announced
        (b"\xf1\x82" + bytes(4) + b"{}", 1002),  # reserved bits
        (b"\x8f\x80" + bytes(4), 1002),  # an opcode that does not exist
    ],
)
async def test_frames_that_break_the_protocol_end_only_their_connection(floor: Floor, frame: bytes, code: int) -> None:
    other = await floor.connected()
    reader, writer = await asyncio.open_connection("127.0.0.1", floor.exchange.port)
    writer.write(UPGRADE)
    await reader.readuntil(b"established.")
    writer.write(frame)
    closing = await asyncio.wait_for(reader.read(), 3)
    assert closing[0] == 0x88 and int.from_bytes(closing[2:4], "big") == code
    assert b"Traceback" not in closing
    writer.close()
    await other.send({"method": "ping"})
    assert await other.until("pong") is None


async def test_thousands_of_subscriptions_are_served_or_refused(open_floor: Any) -> None:
    """With a cap the first ones stand, without it all do; and all go with their connection."""
    for limits, stand in ((Caps(subscriptions=1_000, users=10_000, messages_per_minute=10_000), 1_000), ("off", 3_000)):
        floor: Floor = await open_floor(limits=limits, block_ms=600_000)
        client = await floor.connected()
        for number in range(3_000):
            wanted = {"type": "orderUpdates", "user": f"0x{number:040x}"}
            await client.send({"method": "subscribe", "subscription": wanted})
        await client.send({"method": "ping"})
        await client.until("pong")
        (link,) = floor.exchange._hub.connections
        assert len(link.feeds) == stand
        refused = sum("Cannot subscribe to more than 1000 channels." in frame for frame in client.frames)
        assert refused == 3_000 - stand
        assert client.websocket is not None
        await client.websocket.close()
        for _ in range(200):
            if not floor.exchange._hub._user_feeds:
                break
            await asyncio.sleep(0.01)
        assert floor.exchange._hub._user_feeds == {}


async def test_a_client_that_does_not_read_is_reset_and_nobody_else_notices(open_floor: Any) -> None:
    """C6, from the other side: what waits for a slow reader is bounded."""
    floor: Floor = await open_floor(max_backlog=64 * 1024, book_interval_ms=0, block_ms=1)
    other = await floor.connected(BOB)
    await other.place(wire(1, "buy", "3000", "1"))
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, ("127.0.0.1", floor.exchange.port))
    await loop.sock_sendall(slow, UPGRADE)
    await loop.sock_recv(slow, 100)
    hub = floor.exchange._hub
    while len(hub.connections) < 2:
        await asyncio.sleep(0.01)
    frame = b'{"method":"post","id":1,"request":{"type":"info","payload":{"type":"allPerpMetas"}}}'
    masked = b"\x81" + bytes((0x80 | len(frame),)) + bytes(4) + frame
    with pytest.raises(ConnectionError):
        for _ in range(20_000):
            await loop.sock_sendall(slow, masked * 50)
            await asyncio.sleep(0)
    slow.close()
    while len(hub.connections) > 1:
        await asyncio.sleep(0.01)
    await other.send({"method": "ping"})
    assert await other.until("pong") is None


async def test_a_flood_is_answered_in_full(floor: Floor) -> None:
    client = await floor.connected()
    for _ in range(5_000):
        await client.send('{"method":"ping"}')
    for _ in range(5_000):
        await client.until("pong")


# -- fuzzing -----------------------------------------------------------------------------------------------------------

KEY = PrivateKey.from_hex(ALICE.key[2:])
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 7, 2**31, 2**63 - 1, 2**64 - 1, 1.5, "", "0", "-0", "-1", "0.00000001", "1e9", "9" * 40,
    "NaN", "inf", "0x", "0x" + "0" * 40, ALICE.address, BOB.address, "0x" + "f" * 32, "BTC", "@107", "PURR/USDC", "\x00",
    "é\u2028", [], {}, [[]], [None], {"a": 1}, "USDC:0x6d1e7cde53ba9467b783cb7c530ce054", "Gtc", "Ioc", "Alo", "tp", "sl",
]  # fmt: skip
BASES: list[dict[str, Any]] = [
    {"type": "order", "orders": [wire(1, "buy", "3100", "1")], "grouping": "na"},
    {"type": "order", "orders": [wire(1, "sell", "3100", "1", "Ioc"), wire(0, "buy", "65000", "0.01")], "grouping": "na"},
    {"type": "order", "orders": [{**wire(1, "sell", "3000", "1"),
        "t": {"trigger": {"isMarket": True, "triggerPx": "3000", "tpsl": "sl"}}}], "grouping": "positionTpsl"},
    {"type": "cancel", "cancels": [{"a": 1, "o": 500_000_000_001}]},
    {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": "0x" + "f" * 32}]},
    {"type": "modify", "oid": 500_000_000_001, "order": wire(1, "buy", "3000", "2")},
    {"type": "batchModify", "modifies": [{"oid": "0x" + "f" * 32, "order": wire(1, "buy", "3000", "2")}]},
    {"type": "scheduleCancel", "time": VIRTUAL_START_MS + 6_000},
    {"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": 5},
    {"type": "updateIsolatedMargin", "asset": 1, "isBuy": True, "ntli": 1_000_000},
    {"type": "subAccountTransfer", "subAccountUser": "0x" + "5b" * 20, "isDeposit": True, "usd": 5},
    {"type": "agentSendAsset", "destination": BOB.address, "sourceDex": "", "destinationDex": "spot", "token": "USDC",
        "amount": "5", "fromSubAccount": "", "nonce": 5},
    {"type": "usdSend", "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet", "destination": BOB.address,
        "amount": "5", "time": 5},
    {"type": "reserveRequestWeight", "weight": 5},
    {"type": "twapOrder", "twap": {"a": 1, "b": True, "s": "1", "r": False, "m": 5, "t": False}},
    {"type": "noop"},
]  # fmt: skip


def mutated(value: Any, dice: random.Random, rate: float) -> Any:
    if dice.random() < rate:
        return dice.choice(ODD)
    if isinstance(value, dict):
        changed = {key: mutated(item, dice, rate) for key, item in value.items() if dice.random() > rate / 4}
        if dice.random() < rate / 4:
            changed[dice.choice(("a", "type", "c", "f", "extra"))] = dice.choice(ODD)
        return changed
    if isinstance(value, list):
        return [mutated(item, dice, rate) for item in value for _ in range(dice.choice((1, 1, 1, 1, 2)))]
    return value


def signed(action: Any, nonce: Any, dice: random.Random) -> dict[str, Any]:
    """Signed for ALICE if it has a shape that can be, so that it reaches the engine; else by nobody."""
    body = {"action": action, "nonce": nonce, "signature": {"r": "0x1", "s": "0x1", "v": 27}}
    vault = dice.choice((None,) * 8 + (BOB.address, "0x" + "5b" * 20, 5))
    expires = dice.choice((None,) * 8 + (0, VIRTUAL_START_MS + 10**9, "x"))
    if vault is not None:
        body["vaultAddress"] = vault
    if expires is not None:
        body["expiresAfter"] = expires
    try:
        canonical = L1_ACTIONS[action["type"]](action)
        raw = KEY.sign_recoverable(agent_digest(action_hash(canonical, nonce, vault, expires), "b"), hasher=None)
        body["signature"] = {"r": f"0x{raw[:32].hex()}", "s": f"0x{raw[32:64].hex()}", "v": 27 + raw[64]}
    except (Malformed, KeyError, TypeError, AttributeError, OverflowError, ValueError):
        pass
    return body


@pytest.mark.parametrize("seed", range(4))
async def test_seeded_nonsense_never_breaks_the_exchange(open_floor: Any, caplog: Any, seed: int) -> None:
    """Mutated actions (signed, so that they execute), queries, subscriptions and raw text: each is answered."""
    dice = random.Random(seed)
    floor: Floor = await open_floor(pace="virtual", traders=True, sub_accounts={"0x" + "5b" * 20: ALICE.address})
    exchange = floor.exchange
    pipe = exchange.attach()
    nonce = VIRTUAL_START_MS
    answered = executed = 0
    caplog.set_level(logging.WARNING)
    for number in range(600):
        kind = dice.randrange(10)
        nonce += 1
        before = len(pipe.frames)
        if kind < 6:
            action = mutated(dice.choice(BASES), dice, dice.choice((0.0, 0.03, 0.15)))
            body = signed(action, nonce if dice.random() < 0.95 else dice.choice(ODD), dice)
            pipe.send({"method": "post", "id": number, "request": {"type": "action", "payload": body}})
        elif kind < 8:
            query = {"type": dice.choice(list(ANSWERS)), "user": ALICE.address, "coin": "ETH", "startTime": 0, "oid": 1}
            query |= {"nSigFigs": dice.choice((None, 5, 2)), "endTime": dice.choice((None, 5))}
            request = {"type": "info", "payload": mutated(query, dice, 0.1)}
            pipe.send({"method": "post", "id": number, "request": request})
        elif kind == 8:
            wanted = {"type": dice.choice(list(FEEDS)), "user": ALICE.address, "coin": "ETH"}
            method = dice.choice(("subscribe", "unsubscribe"))
            pipe.send({"method": method, "subscription": mutated(wanted, dice, 0.1)})
        else:
            text = json.dumps({"method": "post", "id": 1, "request": {"type": "info", "payload": {"type": "meta"}}})
            at = dice.randrange(len(text))
            pipe.send(text[:at] + dice.choice(("", "{", '"', "\x00", "]")) + text[at + dice.randrange(4) :])
        await exchange.step()
        assert len(pipe.frames) > before, "everything is answered"
        exchange.engine.assert_conserved()
        answered += 1
    executed = exchange.engine.actions_seen
    assert answered == 600 and executed > 150 and not pipe.ended
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], caplog.text
    assert not any("Traceback" in frame for frame in pipe.frames)


def test_every_shape_survives_every_odd_value() -> None:
    """Each action with each field replaced by each odd value: canonical or `Malformed`, nothing else."""
    seen = 0
    for action in BASES:
        shape = L1_ACTIONS.get(action["type"])
        if action["type"] in USER_ACTIONS or shape is None:
            continue
        for name in action:
            for odd in ODD:
                try:
                    shape({**action, name: odd})
                except Malformed:
                    seen += 1
    assert seen > 500


async def test_the_wire_survives_random_bytes(floor: Floor) -> None:
    """Raw bytes instead of HTTP: 400 or an end, and the exchange goes on."""
    dice = random.Random(3)
    for _ in range(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", floor.exchange.port)
        writer.write(dice.randbytes(dice.randrange(1, 300)) + b"\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b"Traceback" not in answer
        writer.close()
    async with aiohttp.ClientSession() as session, session.get(floor.exchange.http_url + "/sim/accounts") as response:
        assert response.status == 200
