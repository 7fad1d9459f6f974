"""The other ways to do hlfast's work. A peer that is not installed is said to be missing; nothing fails for it.

`floors`: what nobody can go below, an empty call and a bare libsecp256k1 signature. `plain`: the best that a careful
Python programmer assembles from wheels. `books`: order-book containers from wheels. `sdk`, `async_hyperliquid`, `ccxt`,
`nautilus`: whole libraries, through their own functions.

Every peer gets its best setting: accelerators are installed by the extra and are switched on here. A "default install"
row hides what `pip install` of that library alone would not bring, and says so.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

PEERS = {
    "hyperliquid-python-sdk": "hyperliquid.utils.signing",
    "async-hyperliquid": "async_hyperliquid.utils.signing",
    "ccxt": "ccxt",
    "nautilus_trader": "nautilus_trader.model.book",
    "sortedcontainers": "sortedcontainers",
    "order-book": "order_book",
    "eth-account": "eth_account",
    "coincurve": "coincurve",
    "orjson": "orjson",
    "msgpack": "msgpack",
    "pycryptodome": "Crypto.Hash.keccak",
    "msgspec": "msgspec",
    "safe-pysha3": "sha3",
    "picows": "picows",
    "uvloop": "uvloop",
}
"""Distribution → the module that the benchmarks use of it."""

if find_spec("sha3") is not None:
    os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")  # eth-hash would take pycryptodome, which is slower


@cache
def module_of(distribution: str) -> Any:
    """The module of an installed peer, or None."""
    try:
        return import_module(PEERS[distribution])
    except ImportError:
        return None


def is_installed(distribution: str) -> bool:
    return module_of(distribution) is not None


def versions() -> dict[str, str | None]:
    """The version of every peer, None for one that is missing."""
    return {name: metadata.version(name) if is_installed(name) else None for name in PEERS}
