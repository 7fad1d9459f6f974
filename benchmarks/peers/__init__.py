"""The other ways to do hlfast's work. A peer that is not installed is said to be missing; nothing fails for it.

`floors`: what nobody can go below, an empty call and a bare libsecp256k1 signature. `plain`: the best that a careful
Python programmer assembles from wheels. `sdk`: the official SDK's own functions.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module, metadata
from typing import Any

PEERS = {
    "hyperliquid-python-sdk": "hyperliquid.utils.signing",
    "eth-account": "eth_account",
    "coincurve": "coincurve",
    "orjson": "orjson",
    "msgpack": "msgpack",
    "pycryptodome": "Crypto.Hash.keccak",
    "msgspec": "msgspec",
    "safe-pysha3": "sha3",
}
"""Distribution → the module that the benchmarks use of it."""


@cache
def module_of(distribution: str) -> Any:
    """The module of an installed peer, or None."""
    try:
        return import_module(PEERS[distribution])
    except ImportError:
        return None


def versions() -> dict[str, str | None]:
    """The version of every peer, None for one that is missing."""
    return {name: metadata.version(name) if module_of(name) is not None else None for name in PEERS}
