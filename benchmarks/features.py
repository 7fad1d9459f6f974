"""What this build of hlfast can do, for arms that appear by themselves once it can.

spin           `hlfast.run(..., spin=True)`: the loop polls instead of sleeping
nonce pool     `Settings(nonce_pool=N)` and `Signer(key, nonce_pool=N)`: prepared nonces
"""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from dataclasses import fields
from typing import Any, TypeVar

import hlfast
from hlfast.errors import ConfigError

T = TypeVar("T")

POOL = 8_192
"""Prepared nonces of a connector: more than one tick-to-trade block uses."""

FILLS = ("fill_pool", "refill", "fill", "prepare")
"""The signer's method that fills its pool at once, by whichever of these names it has."""


def can_spin() -> bool:
    return "spin" in inspect.signature(hlfast.run).parameters


def has_nonce_pool() -> bool:
    return (
        any(one.name == "nonce_pool" for one in fields(hlfast.Settings))
        and prepared_signer(bytes(31) + b"\1", 1) is not None
    )


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


def prepared_signer(key: bytes, nonces: int) -> Any:
    """A signer with `nonces` prepared; None where this build has none."""
    try:
        signer: Any = hlfast.Signer(key, nonce_pool=nonces)
    except ConfigError:
        return None
    for name in FILLS:
        fill = getattr(signer, name, None)
        if fill is not None:
            try:
                fill()
            except TypeError:
                fill(nonces)
            break
    return signer
