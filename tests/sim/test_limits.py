"""What one IP may do: off by default, the venue's figures and texts when real, a share of them when scaled."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from hlfast.errors import ConfigError
from hlfast.sim import Caps, SimExchange
from hlfast.sim.weights import OFF, caps, weight_of_action, weight_of_query

from .desk import ALICE, Floor, wire

ORDER = {"type": "order", "orders": [wire(1, "buy", "3000", "1")], "grouping": "na"}


def test_weights_are_those_of_the_table() -> None:
    """Reference 6.1, row by row."""
    for orders, weight in ((1, 1), (39, 1), (40, 2), (79, 2), (80, 3), (200, 6)):
        assert weight_of_action({"type": "order", "orders": [0] * orders}) == weight
        assert weight_of_action({"type": "cancel", "cancels": [0] * orders}) == weight
    assert weight_of_action({"type": "noop"}) == 1
    for kind in ("l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"):
        assert weight_of_query(kind, [0] * 500) == 2
    assert weight_of_query("userRole", {}) == 60
    assert weight_of_query("meta", {}) == weight_of_query("openOrders", [0] * 500) == 20
    assert [weight_of_query("userFills", [0] * rows) for rows in (0, 19, 20, 2000)] == [20, 20, 21, 120]
    assert [weight_of_query("candleSnapshot", [0] * rows) for rows in (59, 60, 5000)] == [20, 21, 103]


def test_caps_are_off_real_or_scaled() -> None:
    assert caps("off") is OFF and caps("real") == Caps(1200, 10, 30, 1000, 10, 2000, 100)
    assert caps(0.1) == caps("0.1") == Caps(120, 1, 3, 100, 1, 200, 10)
    assert caps(0.001).connections == 1, "never none at all"
    for bad in ("fast", 0, -1, "", True, float("nan")):
        with pytest.raises(ConfigError, match="limits must be"):
            SimExchange(port=0, limits=bad)


async def test_weight_beyond_the_minutes_is_429_over_both_transports_until_the_next(open_floor: Any) -> None:
    """C5: 1200 a minute and IP, over HTTP and posts together; the next minute is a new one."""
    floor: Floor = await open_floor(limits="real", pace="virtual", block_ms=0)
    exchange, client = floor.exchange, floor.client()
    client._nonce = exchange.pace.now_ms()
    for _ in range(60):
        assert await client.info("meta")
    for path, body in (("/info", {"type": "meta"}), ("/exchange", client.sign(ORDER))):
        async with floor.session.post(exchange.http_url + path, json=body) as response:
            assert (response.status, await response.text()) == (429, "null")
    await client.connect()
    await client.receive()
    for request in (
        {"type": "info", "payload": {"type": "meta"}},
        {"type": "action", "payload": client.sign(ORDER)},
    ):
        await client.send({"method": "post", "id": 4, "request": request})
        told = (await client.until("post"))["response"]
        assert told == {"type": "error", "payload": "429 Too Many Requests: null"}
    truth = exchange.truth()
    assert truth["counters"]["refused"]["weight"] == 4 and not truth["users"][client.address]["orders"]
    await exchange.advance(60_000)
    (status,) = await client.place(wire(1, "buy", "3000", "1"))
    assert "resting" in status


async def test_connections_open_and_new_ones_a_minute(open_floor: Any) -> None:
    """C1: 10 at a time, 30 new ones a minute; more are refused with 429 at the handshake."""
    floor: Floor = await open_floor(limits="real", pace="virtual")
    held = [await floor.connected() for _ in range(10)]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await floor.connected()
    assert refused.value.status == 429
    hub = floor.exchange._hub
    for number in range(20):
        assert held[-1].websocket is not None
        await held.pop().websocket.close()
        while len(hub.connections) > 9:
            await held[0].send({"method": "ping"})
            await held[0].until("pong")
        held.append(await floor.connected())
        assert len(held) == 10, number
    await held.pop().websocket.close()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await floor.connected()
    await floor.exchange.advance(60_000)
    assert await (await floor.connected()).receive()


async def test_subscriptions_and_users_count_over_all_connections_of_an_ip(open_floor: Any) -> None:
    floor: Floor = await open_floor(limits=Caps(subscriptions=3, users=2))
    one, other = floor.exchange.attach(), floor.exchange.attach()

    def subscribe(pipe: Any, kind: str, **fields: str) -> Any:
        pipe.send({"method": "subscribe", "subscription": {"type": kind, **fields}})
        told = json.loads(pipe.frames[-1])
        return told["data"] if told["channel"] == "error" else told["channel"]

    assert subscribe(one, "orderUpdates", user=f"0x{1:040x}") == "subscriptionResponse"
    assert subscribe(other, "orderUpdates", user=f"0x{2:040x}") == "subscriptionResponse"
    assert subscribe(other, "orderUpdates", user=f"0x{3:040x}") == "Cannot track more than 2 total users."
    assert subscribe(one, "orderUpdates", user=f"0x{2:040x}") == "subscriptionResponse"
    assert subscribe(one, "allMids") == "Cannot subscribe to more than 3 channels."
    other.send({"method": "unsubscribe", "subscription": {"type": "orderUpdates", "user": f"0x{2:040x}"}})
    assert subscribe(one, "allMids") == "allMids"


async def test_messages_beyond_the_minutes_end_the_connection(open_floor: Any) -> None:
    floor: Floor = await open_floor(limits=0.01)
    client = await floor.connected(ALICE)
    for _ in range(21):
        await client.send({"method": "ping"})
    assert client.websocket is not None
    pongs = 0
    while (message := await client.websocket.receive(timeout=3)).type is aiohttp.WSMsgType.TEXT:
        pongs += "pong" in message.data
    assert pongs == 20 and message.type is aiohttp.WSMsgType.CLOSE and message.data == 1008
    assert floor.exchange.truth()["counters"]["refused"]["messages"] == 1


async def test_without_limits_fifty_clients_are_welcome(open_floor: Any) -> None:
    floor: Floor = await open_floor(block_ms=600_000)
    clients = [await floor.connected() for _ in range(50)]
    for number, client in enumerate(clients):
        await client.subscribe("orderUpdates", user=f"0x{number:040x}")
    assert len(floor.exchange._hub.connections) == 50
