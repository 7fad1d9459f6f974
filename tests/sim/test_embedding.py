"""The exchange inside other programs: many clients, faucet, changes from outside, the command line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner

from hlfast.cli.sim_command import FLOWS, fault_table, sim
from hlfast.errors import ConfigError
from hlfast.sim import SimExchange
from hlfast.sim.faults import KINDS
from hlfast.sim.state import CHANGES
from hlfast.sim.traders import FLOWS as ENGINE_FLOWS

from .desk import ALICE, Client, Floor, wire

STRANGER_KEY = "0x" + "77" * 32
COINS = ("BTC", "ETH", "SOL", "HYPE", "kPEPE", "PURR/USDC", "@107")


async def test_fifty_clients_with_full_subscriptions_hear_the_same(open_floor: Any) -> None:
    """Given 50 sockets that listen to everything, then each gets every frame of each block, in one order."""
    floor: Floor = await open_floor(pace="virtual", traders=True, book_interval_ms=0)
    clients = [await floor.connected() for _ in range(50)]
    wanted = [{"type": kind, "coin": coin} for kind in ("l2Book", "bbo", "trades", "activeAssetCtx") for coin in COINS]
    kinds = ("orderUpdates", "userFills", "userEvents", "openOrders", "clearinghouseState", "spotState")
    wanted += [{"type": kind, "user": ALICE.address} for kind in kinds] + [{"type": "allMids"}]
    for client in clients:
        for subscription in wanted:
            await client.send({"method": "subscribe", "subscription": subscription})
        await client.send({"method": "ping"})
    for client in clients:
        await client.until("pong")
        client.frames.clear()
    await floor.exchange.step(10)
    for client in clients:
        await client.send({"method": "ping"})
    for client in clients:
        await client.until("pong")
    assert len(clients[0].frames) > 10 * len(COINS)
    assert all(client.frames == clients[0].frames for client in clients[1:])


async def test_the_faucet_opens_accounts_that_can_trade(floor: Floor) -> None:
    stranger = Client(floor.exchange, floor.session, STRANGER_KEY)
    order = {"type": "order", "orders": [wire(1, "buy", "3000", "0.1")], "grouping": "na"}
    assert "does not exist" in (await stranger.exchange_action(order))["response"]
    url = floor.exchange.http_url + "/sim/faucet"
    async with floor.session.post(url, json={"user": stranger.address, "usdc": 500}) as response:
        assert await response.json() == {"user": stranger.address, "usdc": 500}
    assert (await stranger.exchange_action(order))["status"] == "ok"
    state = await stranger.info("clearinghouseState", user=stranger.address)
    assert state["marginSummary"]["accountValue"] == "500.0"
    floor.exchange.faucet(stranger.address, 7)
    assert floor.exchange.truth(stranger.address)["cash"] == "507.0"
    for bad in ({}, [], {"user": "0x12", "usdc": 5}, {"user": stranger.address, "usdc": -5}, {"user": 5},
                {"user": stranger.address, "usdc": 1.5}, {"user": stranger.address, "usdc": 10**12}):  # fmt: skip
        async with floor.session.post(url, json=bad) as response:
            assert response.status == 422 and "expected" in await response.text(), bad
    floor.exchange.engine.assert_conserved()


async def test_any_number_of_accounts_can_be_funded_at_the_start() -> None:
    addresses = [f"0x{number:040x}" for number in range(1, 1_001)]
    async with SimExchange(port=0, traders=False, accounts=addresses) as exchange:
        users = exchange.truth()["users"]
        assert all(users[address]["cash"] == "1000000.0" for address in addresses)


async def test_changes_from_outside_by_call_and_over_http(floor: Floor) -> None:
    exchange, client = floor.exchange, floor.client()
    exchange.change("rest", "ETH", "sell", "3500", "2")
    url = exchange.http_url + "/sim/change"
    async with floor.session.post(url, json={"change": "set_mark", "arguments": ["ETH", "3400"]}) as response:
        assert response.status == 200
    filled = await client.exchange_action(
        {"type": "order", "orders": [wire(1, "buy", "3500", "0.5", "Ioc")], "grouping": "na"}
    )
    assert filled["response"]["data"]["statuses"][0]["filled"]["avgPx"] == "3500.0"
    contexts = (await client.info("metaAndAssetCtxs"))[1]
    assert contexts[1]["markPx"] == "3400.0"
    with pytest.raises(ConfigError, match=f"the kinds are {', '.join(CHANGES)}"):
        exchange.change("fly")
    for bad in ([], {"change": 5}, {"change": "fly"}, {"change": "set_mark", "arguments": ["NOPE", "1"]},
                {"change": "set_mark", "arguments": ["ETH", "x"]}, {"change": "set_mark", "arguments": ["ETH", {}]},
                {"change": "set_mark"}, {"change": "grant", "arguments": ["0x0", 0, 1]}, {"change": "faucet"},
                {"change": "set_fee_terms", "arguments": [client.address, {"tier": 99}]},
                {"change": "set_book", "arguments": ["ETH", 5, 5]}, {"change": "rest", "arguments": [[], {}, 1, 1]}):  # fmt: skip
        async with floor.session.post(url, json=bad) as response:
            assert response.status == 422 and "Traceback" not in await response.text(), bad


def test_a_host_beyond_loopback_needs_to_be_allowed_by_name() -> None:
    """Secrets, simulator part."""
    with pytest.raises(ConfigError, match="loopback only"):
        SimExchange(host="0.0.0.0")
    assert SimExchange(host="0.0.0.0", allow_remote=True).http_url == "http://0.0.0.0:8000"


def test_the_command_lists_every_fault_and_explains_every_option() -> None:
    listed = CliRunner().invoke(sim, ["--faults"])
    assert listed.exit_code == 0 and listed.output.strip() == fault_table()
    for name, kind in KINDS.items():
        assert f"\n{name}" in listed.output and kind.doc in listed.output
    assert all(getattr(parameter, "help", None) for parameter in sim.params)
    told = CliRunner().invoke(sim, ["--help"]).output
    for word in ("/sim/truth", "/sim/faucet", "/sim/faults", "/sim/explain", "--state", "--limits", "--log"):
        assert word in told
    assert set(ENGINE_FLOWS) == set(FLOWS)


async def test_an_order_that_waits_in_a_virtual_exchange_is_answered_over_http_by_a_step(open_floor: Any) -> None:
    floor: Floor = await open_floor(pace="virtual")
    client = floor.client()
    order = {"type": "order", "orders": [wire(1, "buy", "3000", "1")], "grouping": "na"}
    body = client.sign(order, nonce=floor.exchange.pace.now_ms())
    waiting = asyncio.create_task(client.http("/exchange", body))
    for _ in range(100):
        if floor.exchange.engine._queue:
            break
        await asyncio.sleep(0.01)
    assert not waiting.done()
    async with floor.session.post(floor.exchange.http_url + "/sim/step", json={"blocks": 1}) as response:
        assert response.status == 200
    assert "resting" in json.dumps(await asyncio.wait_for(waiting, 3))
