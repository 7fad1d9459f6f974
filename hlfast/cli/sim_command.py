"""`hlfast sim` (layer 5): the local exchange in this process, and what a newcomer needs to connect to it."""

from __future__ import annotations

from typing import Any

import click
import orjson

from hlfast.config import SIMULATOR
from hlfast.sim import serve


async def sim_command(*, port: int, block_ms: int, seed: int, traders: bool, as_json: bool) -> None:
    """Run until SIGINT or SIGTERM. Raises `ConfigError` if the port cannot be had."""

    def on_ready(line: str) -> None:
        click.echo(line if as_json else welcome(orjson.loads(line), seed=seed, block_ms=block_ms))

    await serve(port=port, block_ms=block_ms, seed=seed, traders=traders, json=True, out=on_ready)


def welcome(ready: dict[str, Any], *, seed: int, block_ms: int) -> str:
    """What to print for a person, from the exchange's ready line."""
    url = ready["http_url"]
    network = '"simulator"' if url == SIMULATOR.http_url else f"hlfast.Network({url!r}, {ready['ws_url']!r}, False)"
    accounts = "\n".join(f"  {a['name']}  {a['address']}  {a['key']}" for a in ready["accounts"])
    return f"""Local exchange on {url} (seed {seed}, blocks of {block_ms} ms). Ctrl-C ends it.

Funded accounts, 1,000,000 USDC perp and 100,000 USDC spot each.
THESE KEYS ARE PUBLIC: anybody can take what is sent to them on a real network. Never use them there.
{accounts}

Connect to it (the first key is the default):

  async with hlfast.connect({network}) as hl:
      order = hl.buy("BTC", "0.001", "60000")
      print(await order.accepted(), order)
"""
