"""A bad signature is explained: who was recovered from which bytes, and which mistake fits. The log says it too."""

from __future__ import annotations

import re
from typing import Any

import eth_account
import pytest
from hyperliquid.utils import signing

from hlfast.sim import SimExchange
from hlfast.sim.explain import RIGHT, describe, verdict

from .desk import AGENT, AGENT_KEY, ALICE, BOB, Client, Floor, wire

ORDER = {"type": "order", "orders": [wire(1, "buy", "3000", "1")], "grouping": "na"}
NONCE = 1_785_000_000_000


@pytest.fixture
def exchange() -> SimExchange:
    return SimExchange(port=0, traders=False, agents={AGENT: BOB.address})


@pytest.fixture
def client(exchange: SimExchange) -> Client:
    return Client(exchange, None, ALICE.key)  # type: ignore[arg-type]


def test_a_right_signature_is_called_right_with_its_bytes(exchange: SimExchange, client: Client) -> None:
    """The msgpack of the published worked example (reference 2.8), so that it can be compared byte for byte."""
    action = {
        "type": "order",
        "orders": [{"a": 0, "b": True, "p": "50000", "s": "0.1", "r": False, "t": {"limit": {"tif": "Gtc"}}}],
        "grouping": "na",
    }
    told = exchange.explain(client.sign(action, nonce=1640995200000))
    assert told["cause"] == RIGHT and told["known"] and told["signer"] == client.address
    assert told["msgpack"].startswith("83a474797065a56f72646572a66f72646572739186a16100a162c3a170a53530303030")
    assert told["connectionId"] == "0x207b9fb52defb524f5a7f1c80f069ff8b58556b018532401de0e1342bcb13b40"
    assert told["digest"] == "0x5242f54e0c01d3e7ef449f91b25c1a27802fdd221f7f24bc211da6bf7b847d8d"
    agent = Client(exchange, None, AGENT_KEY)  # type: ignore[arg-type]
    assert exchange.explain(agent.sign(ORDER))["cause"] == RIGHT


def mistakes(client: Client) -> list[tuple[dict[str, Any], str]]:
    zeros = {**ORDER, "orders": [{**ORDER["orders"][0], "p": "3000.0"}]}  # type: ignore[dict-item]
    swapped = {"type": "order", "grouping": "na", "orders": ORDER["orders"]}
    explicit = {"type": "cancel", "cancels": [{"a": 1, "o": 5}], "f": False}
    vault, expires = BOB.address, NONCE + 5_000
    shuffled = {key: ORDER[key] for key in sorted(ORDER)}
    shuffled["orders"] = [dict(sorted(ORDER["orders"][0].items()))]  # type: ignore[attr-defined,index]
    return [
        (client.sign(ORDER, is_mainnet=True), 'source "a"'),
        (client.sign(zeros), "hashed as sent and not in canonical form"),
        (client.sign(swapped), "hashed as sent and not in canonical form"),
        (client.sign(explicit), "hashed as sent and not in canonical form"),
        ({**client.sign(shuffled), "action": ORDER}, "keys in alphabetical order"),
        ({**client.sign(ORDER), "vaultAddress": vault}, "vaultAddress is in the envelope and not in the hash"),
        ({**client.sign(ORDER), "expiresAfter": expires}, "expiresAfter is in the envelope and not in the hash"),
        ({**client.sign(zeros, is_mainnet=True), "vaultAddress": vault}, "vaultAddress is in the envelope"),
        ({**client.sign(ORDER), "nonce": 5}, "no likely mistake leads to an account"),
        ({**client.sign(ORDER), "signature": {"r": "0x0", "s": "0x1", "v": 27}}, "belong to no key"),
    ]


def test_each_likely_mistake_is_named(exchange: SimExchange, client: Client) -> None:
    """L73, L75. The mistakes that the reference calls the most common ones, alone and together."""
    for body, words in mistakes(client):
        told = exchange.explain(body)
        assert words in told["cause"] and not told["known"], (words, told["cause"])
        if "no likely" not in words and "no key" not in words:
            assert client.address in told["cause"]


def test_a_stranger_with_the_right_bytes_is_told_to_get_an_account(exchange: SimExchange) -> None:
    stranger = Client(exchange, None, "0x" + "77" * 32)  # type: ignore[arg-type]
    told = exchange.explain(stranger.sign(ORDER))
    assert told["signer"] == stranger.address and f"If {stranger.address} is your own" in told["cause"]


def test_user_signed_actions_are_explained_too(exchange: SimExchange, client: Client) -> None:
    action = {"destination": BOB.address, "amount": "5", "time": NONCE, "type": "usdSend"}
    wallet = eth_account.Account.from_key(ALICE.key)
    signature = signing.sign_usd_transfer_action(wallet, action, True)
    action["hyperliquidChain"] = "Testnet"
    told = exchange.explain({"action": action, "nonce": NONCE, "signature": signature})
    assert "the other network" in told["cause"] and client.address in told["cause"]
    right = signing.sign_usd_transfer_action(wallet, action, False)
    assert exchange.explain({"action": action, "nonce": NONCE, "signature": right})["cause"] == RIGHT


async def test_it_is_asked_over_http(floor: Floor) -> None:
    client = floor.client()
    url = floor.exchange.http_url + "/sim/explain"
    async with floor.session.post(url, json=client.sign(ORDER, is_mainnet=True)) as response:
        assert 'source "a"' in (await response.json())["cause"]
    for bad in ({}, [], {"action": {"type": "fly"}}):
        async with floor.session.post(url, json=bad) as response:
            assert response.status == 422 and "no signed request" in await response.text()


async def test_the_log_has_a_line_a_request_and_the_cause_of_a_bad_signature(open_floor: Any) -> None:
    lines: list[str] = []
    floor: Floor = await open_floor(log=lines.append, log_requests=True)
    client = await floor.connected()
    await client.place({**wire(1, "buy", "3000", "1"), "c": "0x" + "1" * 32})
    await client.info("openOrders", user=client.address)
    await client.exchange_action({"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": "0x" + "2" * 32}]})
    await client.exchange_action({**ORDER, "orders": [{**wire(1, "buy", "3000.0", "1")}]})
    await client.post({"type": "noop"}, is_mainnet=True)
    requests = [line for line in lines if "->" in line or line.startswith("    ")]
    assert re.fullmatch(rf"ws#\d+ {client.address} order a=1 buy 1 @ 3000 Gtc -> resting \d+", requests[0])
    assert re.fullmatch(rf"http#\d+ {client.address} openOrders -> ok", requests[1])
    assert "cancelByCloid 0x2222" in requests[2] and "-> error: Order was never placed" in requests[2]
    assert "-> refused: User or API Wallet 0x" in requests[3]
    assert requests[4].startswith("    hashed as sent and not in canonical form")
    assert "noop -> refused: This is a mainnet signature" in requests[5] and len(requests) == 6


def test_words_for_actions_and_answers() -> None:
    order, ok = wire(0, "sell", "65000", "0.1", "Ioc"), {"type": "order"}
    trigger = {**order, "r": True, "t": {"trigger": {"isMarket": True, "triggerPx": "9", "tpsl": "sl"}}}
    assert describe({"type": "order", "orders": [trigger] * 5, "grouping": "na"}) == (
        "order a=0 sell 0.1 @ 65000 sl at 9 reduce-only, a=0 sell 0.1 @ 65000 sl at 9 reduce-only and 3 more"
    )
    assert describe({"type": "modify", "oid": 7, "order": order}) == "modify 7 to a=0 sell 0.1 @ 65000 Ioc"
    assert describe({"type": "batchModify", "modifies": [{"oid": 7, "order": order}]}).startswith("batchModify 7 to")
    assert describe({"type": "scheduleCancel", "time": 5}) == "scheduleCancel {'time': 5}"
    assert describe({"type": "noop"}) == "noop"
    filled = {"filled": {"totalSz": "1.0", "avgPx": "5.0", "oid": 9}}
    statuses = [filled, {"error": "no"}, "success"]
    assert verdict({"status": "ok", "response": {**ok, "data": {"statuses": statuses}}}) == (
        "filled 9 (1.0 @ 5.0), error: no and 1 more"
    )
    assert verdict({"status": "ok", "response": {"type": "default"}}) == "ok"
    assert verdict({"status": "err", "response": "no"}) == "refused: no"
