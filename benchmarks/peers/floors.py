"""What nobody can go below: an empty call, and one bare libsecp256k1 signature through coincurve's cffi library."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

BARE_SIGN = "bare libsecp256k1 sign"


def nothing(_: object) -> None:
    """The empty Python function."""


def bare_sign(key: bytes) -> Callable[[bytes], Any]:
    """`sign(digest)` that does nothing but `secp256k1_ecdsa_sign_recoverable`, into one buffer."""
    library: Any = import_module("coincurve._libsecp256k1")
    context: Any = import_module("coincurve.context").GLOBAL_CONTEXT.ctx
    signature = library.ffi.new("secp256k1_ecdsa_recoverable_signature *")
    null, sign = library.ffi.NULL, library.lib.secp256k1_ecdsa_sign_recoverable

    def call(digest: bytes) -> Any:
        return sign(context, signature, digest, key, null, null)

    return call
