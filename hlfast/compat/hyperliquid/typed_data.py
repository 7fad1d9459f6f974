"""EIP-712 for the drop-in (layer 5): the two hashes of a full message, and who signed them.

Flat messages of text, unsigned numbers, bools, addresses and 32-byte values are hashed here, which is all that the venue
signs. Whatever else a caller brings (nested types, arrays, values that have to be converted) goes to eth-account, so
that its results and its errors are what they are there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from hlfast.venues.hyperliquid.sign import keccak256

VERSION = b"\x01"
_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_DOMAIN_KEYS = {"name", "version", "chainId", "verifyingContract"}


class SignableMessage(NamedTuple):
    """What a wallet's `sign_message` is given: EIP-191 version, domain separator, struct hash."""

    version: bytes
    header: bytes
    body: bytes


def digest_of(header: bytes, body: bytes) -> bytes:
    """The 32 bytes that are signed."""
    return keccak256(b"\x19\x01" + header + body)


def encode(data: Any) -> SignableMessage:
    """The hashes of a full message (`domain`, `types`, `primaryType`, `message`). Raises as eth-account does."""
    own = _own(data)
    if own is not None:
        return SignableMessage(VERSION, *own)
    from eth_account.messages import encode_typed_data

    theirs = encode_typed_data(full_message=data)
    return SignableMessage(bytes(theirs.version), bytes(theirs.header), bytes(theirs.body))


def _own(data: Any) -> tuple[bytes, bytes] | None:
    """Domain separator and struct hash; None if the message is not of the plain kind."""
    try:
        domain, types, message = data["domain"], data["types"], data["message"]
        primary = data["primaryType"]
        if set(data) != {"domain", "types", "primaryType", "message"} or set(domain) != _DOMAIN_KEYS:
            return None
        if set(types) != {primary, "EIP712Domain"} or [f["name"] for f in types["EIP712Domain"]] != list(_DOMAIN_ORDER):
            return None
        separator = _separator(domain["name"], domain["version"], domain["chainId"], domain["verifyingContract"])
        fields = tuple((field["name"], field["type"]) for field in types[primary])
        kind = _type_hash(primary, fields)
        if separator is None or kind is None:
            return None
        words = [kind]
        for name, type_name in fields:
            word = _word(type_name, message[name])
            if word is None:
                return None
            words.append(word)
        return separator, keccak256(b"".join(words))
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
        return None


_DOMAIN_ORDER = ("name", "version", "chainId", "verifyingContract")


@lru_cache(maxsize=64)
def _separator(name: Any, version: Any, chain_id: Any, contract: Any) -> bytes | None:
    words = [_word("string", name), _word("string", version), _word("uint256", chain_id), _word("address", contract)]
    if None in words:
        return None
    return keccak256(keccak256(_DOMAIN_TYPE) + b"".join(word for word in words if word is not None))


@lru_cache(maxsize=256)
def _type_hash(primary: str, fields: tuple[tuple[str, str], ...]) -> bytes | None:
    names = [name for name, _ in fields]
    if any(kind not in _KINDS for _, kind in fields) or len(set(names)) != len(names):
        return None
    listed = ",".join(f"{kind} {name}" for name, kind in fields)
    return keccak256(f"{primary}({listed})".encode())


_UINTS = {f"uint{bits}": bits for bits in range(8, 257, 8)}
_KINDS = {"string", "bool", "address", "bytes32", *_UINTS}


def _word(kind: str, value: Any) -> bytes | None:
    if kind == "string":
        return keccak256(value.encode()) if type(value) is str else None
    if kind == "bool":
        return int(value).to_bytes(32, "big") if type(value) is bool else None
    if kind == "address":
        if type(value) is not str or len(value) != 42 or value[:2] != "0x":
            return None
        try:
            raw = bytes.fromhex(value[2:])
        except ValueError:
            return None
        is_one_case = value[2:] in (value[2:].lower(), value[2:].upper())
        return raw.rjust(32, b"\x00") if len(raw) == 20 and (is_one_case or checksummed(raw) == value) else None
    if kind == "bytes32":
        return value if type(value) is bytes and len(value) == 32 else None
    bits = _UINTS[kind]
    return value.to_bytes(32, "big") if type(value) is int and 0 <= value < 1 << bits else None


# -- addresses ----------------------------------------------------------------------------------------------------------
def checksummed(raw: bytes) -> str:
    """20 bytes as an address with the capitals of EIP-55."""
    digits = raw.hex()
    marks = keccak256(digits.encode()).hex()
    return "0x" + "".join(c.upper() if mark >= "8" else c for c, mark in zip(digits, marks, strict=False))


def recover(message: SignableMessage, signature: Any) -> str:
    """Who signed: the checksummed address. Raises as eth-account's `recover_message` does."""
    v, r, s = signature["v"], signature["r"], signature["s"]
    try:
        from coincurve import PublicKey

        r_int, s_int = (int(x, 16) if type(x) is str and x[:2] == "0x" else x for x in (r, s))
        if type(v) is int and v in (27, 28) and type(r_int) is int and type(s_int) is int:
            raw = r_int.to_bytes(32, "big") + s_int.to_bytes(32, "big") + bytes([v - 27])
            key = PublicKey.from_signature_and_message(raw, digest_of(message.header, message.body), hasher=None)
            return checksummed(keccak256(key.format(compressed=False)[1:])[12:])
    except Exception:  # coincurve raises bare Exception for what libsecp256k1 refuses: eth-account names it below
        pass
    from eth_account import Account
    from eth_account.messages import SignableMessage as Theirs

    return str(Account.recover_message(Theirs(*message), vrs=(v, r, s)))
