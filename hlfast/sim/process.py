"""The exchange in a process of its own (local exchange, layer 5): it runs until SIGINT or SIGTERM.

    await serve(port=0, json=True, out=print, state="exchange.log", limits="real")

Options beyond its own are those of `SimExchange`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from hlfast.sim.admin import funded_accounts
from hlfast.sim.server import SimExchange
from hlfast.sim.streams import dumps


async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    block_ms: int = 70,
    seed: int = 7,
    traders: bool = True,
    json: bool = False,
    out: Callable[[str], None] = print,
    **options: Any,
) -> None:
    """Run an exchange. `out` gets its lines: for people, or one JSON `ready` line."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with SimExchange(host=host, port=port, block_ms=block_ms, seed=seed, traders=traders, **options) as exchange:
        accounts = funded_accounts()
        if json:
            ready = {"event": "ready", "port": exchange.port, "http_url": exchange.http_url, "ws_url": exchange.ws_url}
            out(dumps({**ready, "accounts": accounts}))
        else:
            out(f"Local exchange on {exchange.http_url} (seed {seed}, blocks of {block_ms} ms). Ctrl-C ends it.")
            out("Public test keys, 1,000,000 USDC perp and 100,000 USDC spot each; never send anything real to them:")
            for account in accounts:
                out(f"  {account['name']}  {account['address']}  {account['key']}")
        waits = [asyncio.ensure_future(stopped.wait()), asyncio.ensure_future(exchange.wait_failed())]
        done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()
        for wait in done:
            wait.result()
