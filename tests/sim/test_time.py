"""The exchange's time: real, faster, virtual; and that a virtual run repeats byte for byte."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast.errors import ConfigError
from hlfast.sim import SimExchange
from hlfast.sim.pace import VIRTUAL_START_MS, VirtualPace

from .desk import ALICE, BOB, Floor, wire

SCRIPT = """
import asyncio, hashlib, json
from hlfast.sim import SimExchange

async def main():
    async with SimExchange(port=0, pace="virtual", seed=11) as exchange:
        pipe = exchange.attach()
        for kind in ("l2Book", "bbo", "trades"):
            pipe.send({"method": "subscribe", "subscription": {"type": kind, "coin": "BTC"}})
        await exchange.step(60)
        told = json.dumps([pipe.frames, exchange.truth()])
        print(len(pipe.frames), hashlib.sha256(told.encode()).hexdigest())

asyncio.run(main())
"""


async def a_day(seed: int) -> tuple[str, list[list[str]]]:
    """Two clients, a market that lives, seeded faults: (the truth as JSON, the frames of each client)."""
    async with SimExchange(port=0, pace="virtual", seed=seed, record=True) as exchange:
        floor = Floor(exchange, None)  # type: ignore[arg-type]
        clients = [floor.client(ALICE), floor.client(BOB)]
        pipes = [exchange.attach(), exchange.attach()]
        exchange.faults.arm("lost_frame", probability=0.05)
        exchange.faults.arm("late", channel="userFills", probability=0.3, ms=500)
        exchange.faults.arm("garbage", channel="bbo", probability=0.05)
        for client, pipe in zip(clients, pipes, strict=True):
            client._nonce = VIRTUAL_START_MS
            for kind in ("orderUpdates", "userFills", "userEvents", "clearinghouseState"):
                pipe.send({"method": "subscribe", "subscription": {"type": kind, "user": client.address}})
            for kind in ("l2Book", "bbo", "trades"):
                pipe.send({"method": "subscribe", "subscription": {"type": kind, "coin": "ETH"}})
        for number in range(30):
            for client, pipe in zip(clients, pipes, strict=True):
                side = "buy" if (number + len(pipe.frames)) % 2 else "sell"
                px = "4000" if side == "buy" else "2800"
                orders = [wire(1, side, px, "0.1", "Ioc"), wire(1, "buy", "2000", "0.1")]
                payload = client.sign({"type": "order", "orders": orders, "grouping": "na"})
                pipe.send({"method": "post", "id": number, "request": {"type": "action", "payload": payload}})
            await exchange.step(2)
        await exchange.advance(1_000)
        exchange.engine.assert_conserved()
        return json.dumps(exchange.truth()), [pipe.frames for pipe in pipes]


async def test_the_same_seed_and_inputs_give_the_same_bytes() -> None:
    first, again, other = await a_day(5), await a_day(5), await a_day(6)
    assert first[0] == again[0], "the truth"
    assert first[1] == again[1], "every frame of every client"
    assert first[1] != other[1]
    truth = json.loads(first[0])
    assert any(user["fills"] for user in truth["users"].values()), "the day was not empty"
    assert all(fault["hits"] for fault in truth["faults"]) and len(truth["sent"]) > 300


async def test_the_interpreters_hash_seed_changes_nothing() -> None:
    """Two processes with another PYTHONHASHSEED: no order of a set of text reaches what is told."""
    environment = {**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])}
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**environment, "PYTHONHASHSEED": seed},
            cwd=tempfile.gettempdir(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert int(runs[0].split()[0]) > 60 and len(runs[0].split()[1]) == len(hashlib.sha256().hexdigest())


async def test_nothing_passes_between_steps(open_floor: Any) -> None:
    floor: Floor = await open_floor(pace="virtual", block_ms=70)
    exchange, client = floor.exchange, floor.client()
    client._nonce = VIRTUAL_START_MS
    block, pipe = exchange.engine.block_number, exchange.attach()
    order = {"type": "order", "orders": [wire(1, "buy", "3000", "1")], "grouping": "na"}
    request = {"type": "action", "payload": client.sign(order)}
    pipe.send({"method": "post", "id": 1, "request": request})
    await asyncio.sleep(0.1)
    assert exchange.engine.block_number == block and len(pipe.frames) == 1
    await exchange.advance(69)
    assert exchange.engine.block_number == block + 1, "the block that was due at once, and no other"
    assert '"resting"' in pipe.frames[-1]
    await exchange.advance(1)
    await exchange.step(3)
    assert exchange.engine.block_number == block + 5
    assert exchange.engine.time_ms == VIRTUAL_START_MS + 4 * 70


async def test_time_is_stepped_over_http_and_only_if_virtual(open_floor: Any) -> None:
    floor: Floor = await open_floor(pace="virtual")
    url = floor.exchange.http_url + "/sim/step"
    before = floor.exchange.engine.block_number
    async with floor.session.post(url, json={"blocks": 3}) as response:
        assert (await response.json())["block"] == before + 3
    for bad in ({"blocks": 0}, {"blocks": "x"}, {"steps": 1}, []):
        async with floor.session.post(url, json=bad) as response:
            assert response.status == 422
    real: Floor = await open_floor()
    with pytest.raises(ConfigError, match='only with pace="virtual"'):
        await real.exchange.step()
    async with real.session.post(real.exchange.http_url + "/sim/step", json={}) as response:
        assert response.status == 422


async def test_delays_fall_due_in_the_order_of_their_time() -> None:
    pace, told = VirtualPace(1_000), []
    for delay_ms in (30, 10, 20, 10):
        pace.call_later(delay_ms, lambda delay_ms=delay_ms: told.append((pace.now_ms(), delay_ms)))  # type: ignore[misc]
    pace.call_later(15, lambda: pace.call_later(1, lambda: told.append((pace.now_ms(), 1))))
    pace.call_later(5, lambda: told.append((0, 0))).cancel()
    pace.advance_to(1_025)
    assert told == [(1_010, 10), (1_010, 10), (1_016, 1), (1_020, 20)] and pace.now_ms() == 1_025
    pace.advance_to(1_000)
    assert pace.now_ms() == 1_025, "time never goes back"


async def test_a_faster_pace_scales_blocks_delays_and_silence(open_floor: Any) -> None:
    """Given 50 times the speed, then a delay of 5 s and the 60 s of silence are over within the test's patience."""
    floor: Floor = await open_floor(speed=50, block_ms=70)
    exchange = floor.exchange
    start_ms = exchange.engine.time_ms
    quiet, client = exchange.attach(), await floor.connected()
    await client.receive()
    exchange.faults.arm("late", channel="pong", ms=5_000)
    await client.send({"method": "ping"})
    assert await client.until("pong") is None
    assert exchange.pace.now_ms() - start_ms >= 5_000
    for _ in range(400):
        if quiet.ended:
            break
        await asyncio.sleep(0.01)
    assert quiet.ended == "closed 1000" and exchange.engine.time_ms - start_ms >= 60_000


async def test_silence_in_virtual_time(open_floor: Any) -> None:
    floor: Floor = await open_floor(pace="virtual", block_ms=500)
    quiet, chatty = floor.exchange.attach(), floor.exchange.attach()
    for _ in range(62):
        chatty.send({"method": "ping"})
        await floor.exchange.advance(1_000)
    assert (quiet.ended, chatty.ended) == ("closed 1000", "")


@pytest.mark.parametrize(
    "options", [{"pace": "slow"}, {"speed": 0}, {"speed": -1}, {"record": -1}, {"max_backlog": -1}]
)
def test_paces_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        SimExchange(port=0, **options)
