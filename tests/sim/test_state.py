"""The record, and an exchange that outlives its process: what was answered is there after a restart, even after kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import hlfast
from hlfast.errors import ConfigError
from hlfast.sim import Exchange, SimExchange
from hlfast.sim.snapshot import freeze, thaw
from hlfast.sim.state import StateFile
from hlfast.sim.truth import truth

from .desk import ALICE, BOB, START_MS, Client, Floor, wire

ETH = 1
NEWCOMER = "0x" + "7e" * 20
LASTING = ("users", "house", "fees", "block", "time")


def lasting(truth: dict[str, Any]) -> dict[str, Any]:
    """What a restart must keep: everything but counters of sockets."""
    return {name: truth[name] for name in LASTING if name in truth}


async def trade(floor: Floor) -> None:
    alice, bob = await floor.connected(ALICE), await floor.connected(BOB)
    await alice.place(wire(ETH, "sell", "3500", "1"), wire(ETH, "sell", "3600", "1"))
    await bob.place(wire(ETH, "buy", "3500", "0.4"), wire(ETH, "buy", "3000", "1"))
    oid = floor.exchange.truth(bob.address)["orders"][-1]["oid"]
    order = wire(ETH, "buy", "3001", "1")
    assert (await bob.post({"type": "modify", "oid": oid, "order": order}))["status"] == "ok"
    await bob.place(wire(ETH, "buy", "3500", "100", "Alo"))  # refused, and yet a row
    await alice.post({"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 7})
    floor.exchange.faucet(NEWCOMER, 250)


async def test_a_restart_goes_on_with_the_same_orders_oids_money_and_nonces(open_floor: Any, tmp_path: Path) -> None:
    """Given an exchange with a state file, when started anew, then its truth is the same and ids go on from there."""
    options = {"state": tmp_path / "exchange.state", "traders": True}
    floor: Floor = await open_floor(**options)
    await trade(floor)
    await asyncio.sleep(0.1)
    await floor.exchange.stop()
    before = floor.exchange.truth()
    assert before["users"][NEWCOMER]["cash"] == "250.0"

    log: list[str] = []
    floor = await open_floor(**options, log=log.append)
    after = floor.exchange.truth()
    assert after["users"] == before["users"]
    assert after["block"] == before["block"] + 1, "the block at the start"
    assert log[0].startswith(f"goes on after block {before['block']} of ")
    client = await floor.connected(BOB)
    (placed,) = await client.place(wire(ETH, "buy", "2999", "1"))
    oids = [row["oid"] for row in before["users"][client.address]["orders"]]
    assert placed["resting"]["oid"] > max(oids)
    (used,) = before["users"][client.address]["nonces"].values()
    again = await client.post({"type": "noop"}, nonce=used[0])
    assert again["response"] == f"Invalid nonce: duplicate nonce {used[0]}"


async def test_kill_9_at_random_moments_loses_nothing_that_was_told(tmp_path: Path) -> None:
    """Given a child that is killed in the middle of orders, when started anew, then every answered order is there."""
    state, dice = tmp_path / "exchange.state", random.Random(9)
    told: dict[str, int] = {}
    known: dict[str, Any] = {}
    async with aiohttp.ClientSession() as session:
        for life in range(3):
            child, ready = await start_child(state)
            try:
                floor = Floor(FakeExchange(ready), session)  # type: ignore[arg-type]
                client = await floor.connected()
                told_now = await get_truth(session, ready, client.address)
                found = {row["cloid"]: row["oid"] for row in told_now["orders"]}
                assert told.items() <= found.items(), "answered before the kill"
                assert [row["oid"] for row in told_now["orders"]][: len(known.get("orders", ()))] == [
                    row["oid"] for row in known.get("orders", ())
                ], "and in the same order"
                assert told_now["fills"][: len(known.get("fills", ()))] == known.get("fills", [])
                assert told_now["time"] >= known.get("time", 0)
                answers = asyncio.create_task(send_orders(client, told, life))
                await wait_for_more(told, dice.randrange(5, 30), answers)
                known = await get_truth(session, ready, client.address)
                await asyncio.sleep(dice.random() * 0.02)
            finally:
                child.kill()
                await child.wait()
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
        assert len(told) > 15 and known["fills"]


class FakeExchange:
    def __init__(self, ready: dict[str, Any]) -> None:
        self.http_url, self.ws_url = ready["http_url"], ready["ws_url"]


async def start_child(state: Path) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hlfast.sim", "--port", "0", "--block-ms", "5", "--json", "--state", str(state)),
        cwd=state.parent,
        env={**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])},
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    return child, json.loads(await asyncio.wait_for(child.stdout.readline(), 20))


async def get_truth(session: aiohttp.ClientSession, ready: dict[str, Any], user: str) -> Any:
    async with session.get(ready["http_url"] + "/sim/truth", params={"user": user}) as response:
        return await response.json()


async def send_orders(client: Client, told: dict[str, int], life: int) -> None:
    """One after the other; what was answered goes to `told`."""
    for number in range(10_000):
        cloid = f"0x{life * 10_000 + number:032x}"
        px, tif = ("4000", "Ioc") if number % 2 else ("2000", "Gtc")
        (status,) = await client.place({**wire(ETH, "buy", px, "0.01", tif), "c": cloid})
        ((_, entry),) = status.items()
        if isinstance(entry, dict):
            told[cloid] = entry["oid"]


async def wait_for_more(told: dict[str, int], more: int, answers: asyncio.Task[None]) -> None:
    until = len(told) + more
    for _ in range(1_000):
        if len(told) >= until or answers.done():
            break
        await asyncio.sleep(0.01)
    assert len(told) >= until, answers


async def test_a_file_that_begins_with_a_snapshot_goes_on_as_if_nothing_had_been(
    open_floor: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """Given two runs with the same inputs, one restarted from snapshots, then frames and truth are the same."""
    monkeypatch.setattr("hlfast.sim.state.SNAPSHOT_BLOCKS", 20)
    path = tmp_path / "exchange.state"
    told = []
    for restarts in (0, 2):
        path.unlink(missing_ok=True)
        frames: list[str] = []
        for _ in range(restarts + 1):
            floor: Floor = await open_floor(state=path, pace="virtual", traders=True)
            pipe = floor.exchange.attach()
            pipe.send({"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}})
            client = floor.client()
            client._nonce = floor.exchange.pace.now_ms()
            for number in range(90 // (restarts + 1)):
                action = {"type": "order", "orders": [wire(1, "buy", "4000", "0.1", "Ioc")], "grouping": "na"}
                request = {
                    "type": "action",
                    "payload": client.sign(action, nonce=floor.exchange.pace.now_ms() + number),
                }
                pipe.send({"method": "post", "id": 1, "request": request})
                await floor.exchange.step()
            frames += [frame for frame in pipe.frames if '"channel":"post"' in frame]
            await floor.exchange.stop()
        truth = floor.exchange.truth()
        told.append((frames, {name: truth[name] for name in ("users", "house")}))
        assert b'"snapshot"' in path.read_bytes()[:400] and len(path.read_bytes().splitlines()) < 40
    assert len(told[0][0]) == len(told[1][0]) == 90


def test_a_snapshot_is_the_engine_and_no_program() -> None:
    """Bytes that name a function are refused; an engine comes back as the same one, to the last draw."""
    engine = Exchange(seed=3)
    for number in range(30):
        engine.run_block(START_MS + number * 70)
    other = thaw(freeze(engine), engine.universe)
    for each in (engine, other):
        for number in range(30, 60):
            each.run_block(START_MS + number * 70)
        each.assert_conserved()
    assert truth(engine) == truth(other)
    assert [b.levels(20) for b in engine.execution.books.values()] == [
        b.levels(20) for b in other.execution.books.values()
    ]
    for evil in (b"cos\nsystem\n(S'true'\ntR.", b"chlfast.sim.process\nserve\n.", b"junk", b""):
        with pytest.raises(ValueError, match="not a snapshot"):
            thaw(evil, engine.universe)


# -- the file itself ---------------------------------------------------------------------------------------------------

OPTIONS = {"seed": 7}


def filled(path: Path, entries: int = 3) -> bytes:
    state = StateFile(path, OPTIONS)
    for number in range(entries):
        state.append(("block", number, False, []))
    state.close()
    return path.read_bytes()


def test_a_file_cut_at_any_byte_loses_no_more_than_the_torn_entry(tmp_path: Path) -> None:
    path = tmp_path / "state"
    whole = filled(path)
    lines = whole.splitlines(keepends=True)
    kept = sum(map(len, lines[:-1]))
    for size in range(kept, len(whole)):
        path.write_bytes(whole[:size])
        state = StateFile(path, OPTIONS)
        assert [entry[1] for entry in state.entries] == [0, 1] and state.cut_bytes == size - kept
        state.append(("block", 9, False, []))
        state.close()
        again = StateFile(path, OPTIONS)
        assert [entry[1] for entry in again.entries] == [0, 1, 9], "and it goes on from there"
        again.close()


def test_what_is_no_state_of_this_exchange_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "state"
    whole = filled(path)
    with pytest.raises(ConfigError, match=r"other options.*start with the same options"):
        StateFile(path, {"seed": 8})
    open_one = StateFile(path, OPTIONS)
    with pytest.raises(ConfigError, match="in use by another exchange"):
        StateFile(path, OPTIONS)
    open_one.close()
    middle = whole.index(b"\n", len(whole) // 2) - 3
    path.write_bytes(whole[:middle] + b"X" + whole[middle + 1 :])
    with pytest.raises(ConfigError, match=r"damaged in line \d; move it away"):
        StateFile(path, OPTIONS)
    path.write_text("something else entirely\nand more\n")
    with pytest.raises(ConfigError, match="damaged in line 1"):
        StateFile(path, OPTIONS)
    with pytest.raises(ConfigError, match="cannot open the state file"):
        StateFile(tmp_path, OPTIONS)
    path.write_bytes(whole)
    with pytest.raises(ConfigError, match="other options"):
        SimExchange(port=0, state=path, seed=99)


# -- the record --------------------------------------------------------------------------------------------------------


async def test_the_record_tells_what_was_sent_to_whom_and_when_and_every_state(open_floor: Any) -> None:
    floor: Floor = await open_floor(record=True)
    alice, bob = await floor.connected(ALICE), await floor.connected(BOB)
    await alice.subscribe("orderUpdates", user=alice.address)
    floor.exchange.faults.arm("lost_frame", channel="orderUpdates")
    await alice.place(wire(ETH, "sell", "3500", "1"))
    await bob.place(wire(ETH, "buy", "3500", "1", "Ioc"))
    await alice.until("orderUpdates")
    record = floor.exchange.truth(alice.address)
    (order,) = record["orders"]
    assert [state for state, _ in order["states"]] == ["open", "filled"]
    times = [ms for _, ms in order["states"]]
    assert times == sorted(times) and times[0] == order["timestamp"]
    sent = [row for row in record["sent"] if row["channel"] == "orderUpdates"]
    assert len(sent) == 1 and '"filled"' in sent[0]["text"], "the lost frame was not sent"
    assert {row["user"] for row in record["sent"]} == {alice.address}
    answers = [row for row in record["sent"] if row["channel"] == "post"]
    assert len(answers) == 1 and answers[0]["text"] in alice.frames and answers[0]["to"] != ""
    async with floor.session.get(f"{floor.exchange.http_url}/sim/truth", params={"user": alice.address}) as response:
        over_http = await response.json()
    assert over_http["orders"] == record["orders"] and over_http["sent"] == record["sent"]


async def test_the_record_is_bounded_and_off_unless_asked_for(open_floor: Any) -> None:
    floor: Floor = await open_floor(record=5)
    pipe = floor.exchange.attach()
    for _ in range(20):
        pipe.send({"method": "ping"})
    assert len(floor.exchange.truth()["sent"]) == 5
    quiet: Floor = await open_floor()
    record = quiet.exchange.truth()
    assert "sent" not in record and "states" not in json.dumps(record)
