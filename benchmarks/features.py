"""What this build of hlfast can do, for arms that appear by themselves once it can.

spin           `hlfast.run(..., spin=True)`: the loop polls instead of sleeping
nonce pool     `Settings(nonce_pool=N)` and `Signer(key, nonce_pool=N)`: prepared nonces
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

import hlfast
from hlfast.errors import ConfigError

T = TypeVar("T")

POOL = 8_192
"""Prepared nonces of a connector: more than one turn of tick to trade uses."""


def can_spin() -> bool:
    return "spin" in inspect.signature(hlfast.run).parameters


@cache
def has_nonce_pool() -> bool:
    """Whether the settings know of a pool, and a signer takes one."""
    if not any(one.name == "nonce_pool" for one in fields(hlfast.Settings)):
        return False
    try:
        hlfast.Signer(bytes(31) + b"\1", nonce_pool=1).close()
    except ConfigError:
        return False
    return True


def missing() -> list[str]:
    """What is not in this build, and so has no row."""
    absent = []
    if not can_spin():
        absent.append("spinning (hlfast.run has no `spin`)")
    if not has_nonce_pool():
        absent.append("prepared nonces (no Settings.nonce_pool, or a Signer that refuses a pool)")
    return absent


def run(main: Coroutine[Any, Any, T], *, spin: bool = False) -> T:
    """`hlfast.run`, polling if `spin`."""
    return hlfast.run(main, **({"spin": True} if spin else {}))
