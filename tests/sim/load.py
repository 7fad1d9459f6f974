"""How many signed orders a second the exchange takes over WebSocket post, and how much memory it grows by.

    python tests/sim/load.py --orders 20000 --block-ms 0

The exchange runs in a process of its own; this one signs everything beforehand, then keeps 100 posts in flight on one
socket. Printed: orders by the wall, orders by the exchange's own processor time (what one free core would do), and its
resident memory before and after. Not a test: run it by hand. Linux and macOS; memory is read from `ps`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from coincurve import PrivateKey

import hlfast
from hlfast import clock
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.sim.verify import action_hash, agent_digest

IN_FLIGHT = 100


def signed(key: PrivateKey, action: dict[str, Any], nonce: int) -> dict[str, Any]:
    raw = key.sign_recoverable(agent_digest(action_hash(action, nonce, None, None), "b"), hasher=None)
    signature = {"r": f"0x{raw[:32].hex()}", "s": f"0x{raw[32:64].hex()}", "v": 27 + raw[64]}
    return {"action": action, "nonce": nonce, "signature": signature}


def messages(count: int) -> list[str]:
    """Orders far from the market and their cancels in turn."""
    key = PrivateKey.from_hex(FUNDED_ACCOUNTS[0].key[2:])
    nonce = clock.wall_clock_ms()
    made = []
    for number in range(count):
        cloid = f"0x{number // 2:032x}"
        if number % 2 == 0:
            wire = {"a": 1, "b": True, "p": "2000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Gtc"}}, "c": cloid}
            action: dict[str, Any] = {"type": "order", "orders": [wire], "grouping": "na"}
        else:
            action = {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": cloid}]}
        payload = signed(key, action, nonce + number)
        message = {"method": "post", "id": number, "request": {"type": "action", "payload": payload}}
        made.append(json.dumps(message, separators=(",", ":")))
    return made


def rss_mb(pid: int) -> float:
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True).stdout) / 1024


async def run(count: int, block_ms: int) -> None:
    prepared = messages(count)
    arguments = [
        sys.executable,
        "-m",
        "hlfast.sim",
        "--port",
        "0",
        "--block-ms",
        str(block_ms),
        "--json",
        "--no-traders",
    ]
    started_ns = clock.monotonic_ns()
    environment = {**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])}
    child = await asyncio.create_subprocess_exec(
        *arguments, cwd=tempfile.gettempdir(), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    ready = json.loads(await child.stdout.readline())
    print(f"process ready in {(clock.monotonic_ns() - started_ns) / 1e6:.0f} ms")
    before_mb = rss_mb(child.pid)
    idle_s = _cpu_of(child.pid)
    async with aiohttp.ClientSession() as session, session.ws_connect(ready["ws_url"]) as websocket:
        await websocket.receive()
        started_ns = clock.monotonic_ns()
        sent = answered = refused = 0
        while answered < count:
            while sent < count and sent - answered < IN_FLIGHT:
                await websocket.send_str(prepared[sent])
                sent += 1
            text = (await websocket.receive()).data
            answered += 1
            refused += '"status":"ok"' not in text or '"error"' in text
        seconds = (clock.monotonic_ns() - started_ns) / 1e9
    busy_s = _cpu_of(child.pid) - idle_s
    after_mb = rss_mb(child.pid)
    child.terminate()
    await child.wait()
    print(f"{count} actions ({refused} refused) in {seconds:.2f} s: {count / seconds:,.0f} a second by the wall")
    print(f"exchange busy {busy_s:.2f} s: {count / busy_s:,.0f} a second on a core of its own")
    print(f"memory {before_mb:.1f} MB before, {after_mb:.1f} MB after")


def _cpu_of(pid: int) -> float:
    """Seconds of processor time of a process, from `[[dd-]hh:]mm:ss[.cc]`."""
    told = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, check=True, text=True).stdout
    try:  # finer where there is a /proc
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        seconds = 0.0
        for part in told.strip().replace("-", ":").split(":"):
            seconds = seconds * 60 + float(part)
        return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=20_000, help="actions in all: half orders, half cancels")
    parser.add_argument("--block-ms", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(run(given.orders, given.block_ms))
    print(f"client busy {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.2f} s")
