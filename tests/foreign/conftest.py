"""A running exchange with books made by hand, so that what a foreign client reads can be known beforehand."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hlfast.sim import SimExchange

BOOKS = {"ETH": (3499, 3501), "BTC": (64_990, 65_010)}
"""The house bids and asks 5 of each at these prices and at the next three."""

PACKAGES = {
    "@nktkas/hyperliquid": "^0.33.3",
    "viem": "^2",
    "ajv": "^8",
    "ts-json-schema-generator": "^2",
    "typescript": "^5",
    "node": "^22",
}


async def make_books(exchange: SimExchange) -> None:
    """Marks, four levels a side of every perp in BOOKS, and 1,000 PURR on either side of 0.2."""
    for coin, (bid, ask) in BOOKS.items():
        exchange.engine.set_mark(coin, (bid + ask) // 2)
        for reach in range(4):
            exchange.engine.house.rest(coin, "buy", bid - reach, 5)
            exchange.engine.house.rest(coin, "sell", ask + reach, 5)
    exchange.engine.house.rest("PURR/USDC", "sell", "0.2", 1000)
    exchange.engine.house.rest("PURR/USDC", "buy", "0.19", 1000)
    while not exchange.engine.book("PURR/USDC").bids:
        await asyncio.sleep(0.01)


@pytest.fixture
async def exchange() -> AsyncIterator[Any]:
    """An exchange with quick blocks whose every coin is accounted for at the end."""
    async with SimExchange(port=0, block_ms=10, traders=False, book_interval_ms=50, record=True) as running:
        await make_books(running)
        yield running
        running.engine.assert_conserved()


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which npm has installed the TypeScript SDK, what its test needs, and Node where it is too old here."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on this machine")
    path = tmp_path_factory.mktemp("typescript")
    (path / "package.json").write_text(json.dumps({"private": True, "type": "module", "dependencies": PACKAGES}))
    ran = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund"],
        cwd=path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if ran.returncode:
        pytest.skip(f"npm could not install the SDK: {ran.stderr.strip().splitlines()[-1:]}")
    return path
