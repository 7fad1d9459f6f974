"""The exchange as a process of its own, on uvloop; and what it refuses to start with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import hlfast
from hlfast.config import Network
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange

from .desk import Client


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hlfast.sim",
        *arguments,
        cwd=tempfile.gettempdir(),
        env={**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def ready_line(running: asyncio.subprocess.Process) -> Any:
    assert running.stdout is not None
    return json.loads(await asyncio.wait_for(running.stdout.readline(), 20))


async def test_it_says_when_it_is_ready_can_be_cut_over_http_and_ends_with_0() -> None:
    """Given --json, then one ready line; cut by POST resets a socket and comes back; SIGTERM ends it with 0."""
    async with process("--port", "0", "--block-ms", "20", "--seed", "3", "--json") as running:
        ready = await ready_line(running)
        assert ready["event"] == "ready" and ready["http_url"] == f"http://127.0.0.1:{ready['port']}"
        assert len(ready["accounts"]) >= 6 and set(ready["accounts"][0]) == {"name", "key", "address"}
        async with aiohttp.ClientSession() as session:
            websocket = await session.ws_connect(ready["ws_url"])
            await websocket.send_json({"method": "subscribe", "subscription": {"type": "l2Book", "coin": "BTC"}})
            for _ in range(3):
                message = await asyncio.wait_for(websocket.receive(), 5)
            levels = json.loads(message.data)["data"]["levels"]
            assert [len(side) for side in levels] == [20, 20]
            async with session.post(f"{ready['http_url']}/sim/cut", json={"refuse_seconds": "x"}) as response:
                assert response.status == 422
            async with session.post(f"{ready['http_url']}/sim/cut", json={"refuse_seconds": 0.8}) as response:
                assert await response.json() == {"cut": 1, "refuse_seconds": 0.8}
            while message.type is aiohttp.WSMsgType.TEXT:
                message = await asyncio.wait_for(websocket.receive(), 5)
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", ready["port"])
            for _ in range(100):
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", ready["port"])
                    writer.close()
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.03)
            async with session.get(f"{ready['http_url']}/sim/truth") as response:
                assert (await response.json())["counters"]["cuts"] == 1
        running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), 5) == 0
        assert running.stderr is not None and await running.stderr.read() == b""


async def test_for_people_it_prints_the_address_and_the_public_keys_and_ends_on_ctrl_c() -> None:
    async with process("--port", "0", "--no-traders") as running:
        assert running.stdout is not None
        first = (await asyncio.wait_for(running.stdout.readline(), 20)).decode()
        assert first.startswith("Local exchange on http://127.0.0.1:")
        lines = [(await asyncio.wait_for(running.stdout.readline(), 5)).decode() for _ in range(2)]
        assert "0x0123456789012345678901234567890123456789012345678901234567890123" in lines[1]
        running.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(running.wait(), 5) == 0


async def test_options_of_a_process_log_state_faucet_and_faults(tmp_path: Path) -> None:
    """Given a log and a state file, then requests are told on standard error, and a second life has the money."""
    state, user = tmp_path / "exchange.state", "0x" + "7e" * 20
    for life in range(2):
        async with process("--port", "0", "--no-traders", "--log", "--json", "--state", str(state)) as running:
            ready = await ready_line(running)
            async with aiohttp.ClientSession(ready["http_url"]) as session:
                async with session.get("/sim/truth", params={"user": user}) as response:
                    assert (await response.json())["cash"] == ("250.0" if life else "0.0")
                if not life:
                    async with session.post("/sim/faucet", json={"user": user, "usdc": 250}) as response:
                        assert response.status == 200
                async with session.post("/sim/faults", json={"kind": "http_502", "channel": "meta"}) as response:
                    assert response.status == 200
                async with session.post("/info", json={"type": "meta"}) as response:
                    assert response.status == 502
            running.kill()  # no goodbye
            await running.wait()
            assert running.stderr is not None
            told = (await running.stderr.read()).decode()
            assert "meta -> 502 Bad Gateway" in told and ("goes on after block" in told) == bool(life)


async def test_a_port_in_use_is_a_clear_error() -> None:
    """Bad input: port in use. The message says which, and what to do; the process exits with 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use .* choose another port"):
            await SimExchange(port=port).start()
        async with process("--port", str(port)) as running:
            assert await asyncio.wait_for(running.wait(), 20) == 2
            assert running.stderr is not None
            assert f"error: port {port}" in (await running.stderr.read()).decode()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_it_binds_loopback_only(host: str) -> None:
    """Secrets, simulator part."""
    with pytest.raises(ConfigError, match="loopback only"):
        SimExchange(host=host)


@pytest.mark.parametrize("options", [{"port": 70_000}, {"port": -1}, {"block_ms": -1}, {"book_interval_ms": -5}])
def test_numbers_that_make_no_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        SimExchange(**options)


async def test_its_network_is_a_loopback_one_and_it_starts_once() -> None:
    async with SimExchange(host="localhost", port=0, traders=False) as exchange:
        network = exchange.network
        assert isinstance(network, Network)
        assert not network.is_mainnet and network.is_loopback
        assert network.ws_url == f"ws://127.0.0.1:{exchange.port}/ws"
        with pytest.raises(ConfigError, match="already started"):
            await exchange.start()
    await exchange.stop()


@pytest.mark.parametrize("block_ms", [5, 0])
async def test_what_breaks_a_block_is_raised_and_not_hidden(block_ms: int) -> None:
    """With blocks of their own, an action's too: its client gets 500, and the exchange ends with what broke it."""
    exchange = SimExchange(port=0, block_ms=block_ms, traders=False)
    await exchange.start()

    def break_it(now_ms: int, *, traders_act: bool = True) -> None:
        raise RuntimeError("broken block")

    exchange.engine.run_block = break_it  # type: ignore[assignment,method-assign]
    if not block_ms:
        async with aiohttp.ClientSession() as session:
            client = Client(exchange, session, FUNDED_ACCOUNTS[0].key)
            async with session.post(exchange.http_url + "/exchange", json=client.sign({"type": "noop"})) as response:
                assert (response.status, await response.text()) == (500, "null")
    with pytest.raises(RuntimeError, match="broken block"):
        await asyncio.wait_for(exchange.wait_failed(), 3)
    with pytest.raises(RuntimeError, match="broken block"):
        await exchange.stop()
