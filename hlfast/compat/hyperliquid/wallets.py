"""Which wallet signs how (layer 5).

eth-account's own `LocalAccount`, and `hlfast.Signer`, sign in compiled code; the result is the wallet's own, bit for bit,
as both follow RFC 6979. Every other wallet (a subclass, a hardware key, a service) is asked by its `sign_message`: one
that overrides signing is never bypassed. Signers made here live as long as their wallet, and the key with them.
"""

from __future__ import annotations

import sys
import threading
import weakref
from typing import Any

from hlfast.compat.hyperliquid.typed_data import SignableMessage, digest_of
from hlfast.venues.hyperliquid.sign import Signer

_made: dict[int, tuple[Any, Signer, Any]] = {}  # id(wallet) → weak reference, signer, the method that it stands for
_lock = threading.Lock()


def signer_of(wallet: Any) -> Signer | None:
    """The compiled signer for `wallet`; None if it has to sign itself."""
    found = _made.get(id(wallet))
    if found is not None and found[0]() is wallet:
        replaced = "sign_message" in wallet.__dict__ or type(wallet).sign_message is not found[2]
        return None if replaced else found[1]
    if type(wallet) is Signer:
        return wallet
    return _make(wallet) if _is_local_account(wallet) else None


def _is_local_account(wallet: Any) -> bool:
    cls = type(wallet)
    if cls.__module__ != "eth_account.signers.local" or cls.__qualname__ != "LocalAccount":
        return False
    method = cls.__dict__.get("sign_message")
    is_its_own = getattr(method, "__module__", None) == cls.__module__ and "sign_message" not in wallet.__dict__
    api = wallet._publicapi
    api = api if isinstance(api, type) else type(api)
    return is_its_own and (api.__module__, api.__qualname__) == ("eth_account.account", "Account")


def _make(wallet: Any) -> Signer:
    with _lock:
        key = id(wallet)
        signer = Signer(bytes(wallet.key))
        _made[key] = (weakref.ref(wallet, lambda _: _made.pop(key, None)), signer, type(wallet).sign_message)
    return signer


def sign(wallet: Any, message: SignableMessage, kind: str | None = None) -> dict[str, Any]:
    """{"r", "s", "v"} of an EIP-712 message. `kind`: the action's type, for signers that allow some only."""
    signer = signer_of(wallet)
    if signer is not None:
        return signer.sign_hash(digest_of(message.header, message.body), kind)
    theirs = sys.modules.get("eth_account.messages")
    signed = wallet.sign_message(message if theirs is None else theirs.SignableMessage(*message))
    r, s, v = (_part(signed, name) for name in ("r", "s", "v"))
    return {"r": _hex(r), "s": _hex(s), "v": v}


def _part(signed: Any, name: str) -> Any:
    try:
        return signed[name]
    except (TypeError, KeyError, IndexError):
        return getattr(signed, name)


def _hex(value: Any) -> str:
    """As eth-utils' `to_hex`: an integer without padding, bytes as they are."""
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    text = str(value)
    return text.lower() if text[:2] in ("0x", "0X") else "0x" + text.encode().hex()
