"""Signatures, from the other side (local exchange, layer 5).

A request is verified from its *parsed* action: canonical form by the tables below, msgpack, keccak, EIP-712, and the
signer recovered from the signature. So a wrong field order, a trailing zero or one wrong byte recovers some other
address, and the answer names it. Shares no code with hlfast's signer: msgpack, pycryptodome's keccak and coincurve's
recovery here, everything compiled by hand there; the official SDK signs the tests of both.

    signed = verify({"action": {...}, "nonce": n, "signature": {"r": "0x..", "s": "0x..", "v": 27}})
    signed.signer          # "0x..." of a testnet signature (source "b"), None if nothing can be recovered
    signed.as_mainnet()    # who it would be if it were a mainnet signature: only used to explain the refusal

`Malformed` is raised for what does not have a request's shape (HTTP 422), an unknown action type among it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgpack  # type: ignore[import-untyped]
from coincurve import PublicKey
from Crypto.Hash import keccak as _keccak

from hlfast.sim.shapes import (
    Kind,
    Malformed,
    address,
    array,
    boolean,
    cloid,
    dec,
    either,
    integer,
    literal,
    nullable,
    one_more,
    string,
    struct,
    true_only,
    uint,
    variant,
)

LIMIT = struct(("tif", literal("Gtc", "Ioc", "Alo", "FrontendMarket", "LiquidationMarket")))
TRIGGER = struct(("isMarket", boolean), ("triggerPx", dec), ("tpsl", literal("tp", "sl")))
ORDER = struct(
    ("a", uint),
    ("b", boolean),
    ("p", dec),
    ("s", dec),
    ("r", boolean),
    ("t", variant(limit=LIMIT, trigger=TRIGGER)),
    ("c?", cloid),
)
GROUPING = either(literal("na", "normalTpsl", "positionTpsl"), struct(("p", uint)))
BUILDER = struct(("b", address), ("f", uint))
OID = either(uint, cloid)
MODIFY = struct(("oid", OID), ("order", ORDER))
TWAP = struct(("a", uint), ("b", boolean), ("s", dec), ("r", boolean), ("m", uint), ("t", boolean))
TWAP_DETAILS = struct(("t", nullable(struct(("p", dec), ("a", boolean)))), ("s", nullable(dec)))


def _action(*fields: tuple[str, Kind]) -> Kind:
    return struct(("type", string), *fields)


L1_ACTIONS: dict[str, Kind] = {
    "order": _action(("orders", array(ORDER)), ("grouping", GROUPING), ("builder?", BUILDER)),
    "cancel": _action(("cancels", array(struct(("a", uint), ("o", uint)))), ("f?", true_only)),
    "cancelByCloid": _action(("cancels", array(struct(("asset", uint), ("cloid", cloid)))), ("f?", true_only)),
    "modify": _action(("oid", OID), ("order", ORDER), ("a?", true_only)),
    "batchModify": _action(("modifies", array(MODIFY)), ("a?", true_only)),
    "scheduleCancel": _action(("time?", uint)),
    "twapOrder": _action(("twap", TWAP), ("details?", TWAP_DETAILS)),
    "twapCancel": _action(("a", uint), ("t", uint)),
    "noop": _action(),
    "reserveRequestWeight": _action(("weight", uint), ("destination?", address)),
    "updateLeverage": _action(("asset", uint), ("isCross", boolean), ("leverage", uint)),
    "updateIsolatedMargin": _action(("asset", uint), ("isBuy", boolean), ("ntli", integer)),
    "topUpIsolatedOnlyMargin": _action(("asset", uint), ("leverage", dec)),
    "createSubAccount": _action(("name", string)),
    "subAccountModify": _action(("subAccountUser", address), ("name", string)),
    "subAccountTransfer": _action(("subAccountUser", address), ("isDeposit", boolean), ("usd", uint)),
    "subAccountSpotTransfer": _action(
        ("subAccountUser", address), ("isDeposit", boolean), ("token", string), ("amount", dec)
    ),
    "agentSendAsset": _action(
        ("destination", address),
        ("sourceDex", string),
        ("destinationDex", string),
        ("token", string),
        ("amount", dec),
        ("fromSubAccount", string),
        ("nonce", uint),
    ),
    "agentSetAbstraction": _action(("abstraction", literal("i", "u", "p"))),
    "agentEnableDexAbstraction": _action(),
    "createVault": _action(("name", string), ("description", string), ("initialUsd", uint), ("nonce", uint)),
    "vaultModify": _action(
        ("vaultAddress", address), ("allowDeposits", nullable(boolean)), ("alwaysCloseOnWithdraw", nullable(boolean))
    ),
    "vaultTransfer": _action(("vaultAddress", address), ("isDeposit", boolean), ("usd", uint)),
    "vaultDistribute": _action(("vaultAddress", address), ("usd", uint)),
    "setReferrer": _action(("code", string)),
    "registerReferrer": _action(("code", string)),
    "setDisplayName": _action(("displayName", string)),
    "claimRewards": _action(),
    "spotUser": _action(("toggleSpotDusting", struct(("optOut", boolean)))),
    "evmUserModify": _action(("usingBigBlocks", boolean)),
    "userOutcome": one_more(
        _action(
            ("splitOutcome?", struct(("outcome", uint), ("amount", dec))),
            ("mergeOutcome?", struct(("outcome", uint), ("amount", nullable(dec)))),
            ("mergeQuestion?", struct(("question", uint), ("amount", nullable(dec)))),
            ("negateOutcome?", struct(("question", uint), ("outcome", uint), ("amount", dec))),
        )
    ),
    "borrowLend": _action(
        ("operation", literal("supply", "withdraw", "repay", "borrow")), ("token", uint), ("amount", nullable(dec))
    ),
}

_CHAIN = ("hyperliquidChain", "string")
USER_ACTIONS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "usdSend": ("UsdSend", (_CHAIN, ("destination", "string"), ("amount", "string"), ("time", "uint64"))),
    "spotSend": (
        "SpotSend",
        (_CHAIN, ("destination", "string"), ("token", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "withdraw3": ("Withdraw", (_CHAIN, ("destination", "string"), ("amount", "string"), ("time", "uint64"))),
    "usdClassTransfer": (
        "UsdClassTransfer",
        (_CHAIN, ("amount", "string"), ("toPerp", "bool"), ("nonce", "uint64")),
    ),
    "sendAsset": (
        "SendAsset",
        (
            _CHAIN,
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            ("nonce", "uint64"),
        ),
    ),
    "approveAgent": (
        "ApproveAgent",
        (_CHAIN, ("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64")),
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (_CHAIN, ("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64")),
    ),
    "tokenDelegate": (
        "TokenDelegate",
        (_CHAIN, ("validator", "address"), ("wei", "uint64"), ("isUndelegate", "bool"), ("nonce", "uint64")),
    ),
    "cDeposit": ("CDeposit", (_CHAIN, ("wei", "uint64"), ("nonce", "uint64"))),
    "cWithdraw": ("CWithdraw", (_CHAIN, ("wei", "uint64"), ("nonce", "uint64"))),
    "userSetAbstraction": (
        "UserSetAbstraction",
        (_CHAIN, ("user", "address"), ("abstraction", "string"), ("nonce", "uint64")),
    ),
    "userPortfolioMargin": (
        "UserPortfolioMargin",
        (_CHAIN, ("user", "address"), ("enabled", "bool"), ("nonce", "uint64")),
    ),
    "userDexAbstraction": (
        "UserDexAbstraction",
        (_CHAIN, ("user", "address"), ("enabled", "bool"), ("nonce", "uint64")),
    ),
    "convertToMultiSigUser": ("ConvertToMultiSigUser", (_CHAIN, ("signers", "string"), ("nonce", "uint64"))),
}
"""Primary type and fields, in the order in which EIP-712 hashes them."""

_TYPED = {
    **USER_ACTIONS,
    "multiSig": ("SendMultiSig", (_CHAIN, ("multiSigActionHash", "bytes32"), ("nonce", "uint64"))),
}
_ABSTRACTIONS = {"i": "disabled", "u": "unifiedAccount", "p": "portfolioMargin"}
_ZERO = bytes(32)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,64}")
_CHAIN_ID = re.compile(r"0x[0-9a-fA-F]{1,16}")
_KINDS: dict[str, Kind] = {"string": string, "uint64": uint, "bool": boolean, "address": address}
_ENVELOPE = struct(
    ("action", lambda value: value),
    ("nonce", uint),
    ("signature", struct(("r", string), ("s", string), ("v", uint))),
    ("vaultAddress?", address),
    ("expiresAfter?", uint),
)


def _trimmed(value: Any) -> str:
    """A hex number as the exchange hashes it: without leading zeros."""
    if not _HEX.fullmatch(string(value)):
        raise Malformed(f"not a hex number: {value!r}")
    return hex(int(value, 16))


_MULTI_SIG = struct(
    ("type", string),
    ("signatureChainId", string),
    ("signatures", array(struct(("r", _trimmed), ("s", _trimmed), ("v", uint)))),
    (
        "payload",
        struct(("multiSigUser", address), ("outerSigner", address), ("action", lambda value: value)),
    ),
)


def keccak(data: bytes) -> bytes:
    return _keccak.new(digest_bits=256, data=data).digest()


def address_of(public_key: PublicKey) -> str:
    return "0x" + keccak(public_key.format(compressed=False)[1:])[12:].hex()


def _domain(name: str, chain_id: int) -> bytes:
    kind = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    return keccak(kind + keccak(name.encode()) + keccak(b"1") + chain_id.to_bytes(32, "big") + _ZERO)


_L1_DOMAIN = _domain("Exchange", 1337)
_AGENT_TYPE = keccak(b"Agent(string source,bytes32 connectionId)")
_SOURCES = {source: keccak(source.encode()) for source in ("a", "b")}


def action_hash(action: Any, nonce: int, vault: str | None, expires_after: int | None) -> bytes:
    """The L1 `connectionId` of a canonical action."""
    data = msgpack.packb(action) + nonce.to_bytes(8, "big")
    data += b"\x00" if vault is None else b"\x01" + bytes.fromhex(vault[2:])
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return keccak(data)


def agent_digest(connection_id: bytes, source: str) -> bytes:
    """What an L1 signature signs; `source` is "a" on mainnet, "b" elsewhere."""
    return keccak(b"\x19\x01" + _L1_DOMAIN + keccak(_AGENT_TYPE + _SOURCES[source] + connection_id))


def user_digest(kind: str, action: dict[str, Any], of_multi_sig: tuple[str, str] | None = None) -> bytes:
    """What a user-signed action signs: EIP-712 over the listed fields. `of_multi_sig`: the multi-sig user and the leader for
    whom a member signs."""
    primary, fields = _TYPED[kind]
    if of_multi_sig is not None:
        fields = (fields[0], ("payloadMultiSigUser", "address"), ("outerSigner", "address"), *fields[1:])
        action = {**action, "payloadMultiSigUser": of_multi_sig[0], "outerSigner": of_multi_sig[1]}
    described = ",".join(f"{type_name} {name}" for name, type_name in fields)
    encoded = keccak(f"HyperliquidTransaction:{primary}({described})".encode())
    for name, type_name in fields:
        value = action[name]
        if type_name == "string":
            encoded += keccak(value.encode())
        elif type_name == "address":
            encoded += bytes.fromhex(value[2:]).rjust(32, b"\x00")
        elif type_name == "bytes32":
            encoded += value
        else:
            encoded += int(value).to_bytes(32, "big")
    domain = _domain("HyperliquidSignTransaction", int(action["signatureChainId"], 16))
    return keccak(b"\x19\x01" + domain + keccak(encoded))


def recover(digest: bytes, signature: dict[str, Any]) -> str | None:
    """The signer's address, or None if these r, s, v belong to no key."""
    r, s, v = signature["r"], signature["s"], signature["v"]
    if v not in (27, 28) or not _HEX.fullmatch(r) or not _HEX.fullmatch(s):
        return None
    raw = int(r, 16).to_bytes(32, "big") + int(s, 16).to_bytes(32, "big") + bytes([v - 27])
    try:
        return address_of(PublicKey.from_signature_and_message(raw, digest, hasher=None))
    except Exception:  # coincurve raises bare Exception for what libsecp256k1 refuses
        return None


@dataclass(frozen=True)
class MultiSig:
    """For whom a leader claims to act, and who has signed the inner action: None where a signature is nobody's."""

    user: str
    outer_signer: str
    members: tuple[str | None, ...]


@dataclass(frozen=True)
class Signed:
    """A request that has the right shape, and who signed it. Of a `multiSig`, `action` is the inner one, `signer` the leader."""

    action: dict[str, Any]
    nonce: int
    vault: str | None
    expires_after: int | None
    signer: str | None
    is_user_signed: bool
    _signature: dict[str, Any] = field(repr=False)
    multi_sig: MultiSig | None = None

    @property
    def kind(self) -> str:
        return str(self.action["type"])

    def as_mainnet(self) -> str | None:
        """Who signed it, if it was signed for mainnet."""
        if self.multi_sig is not None:
            return None
        if self.is_user_signed:
            return self.signer if self.action["hyperliquidChain"] == "Mainnet" else None
        connection_id = action_hash(self.action, self.nonce, self.vault, self.expires_after)
        return recover(agent_digest(connection_id, "a"), self._signature)


def verify(body: Any) -> Signed:
    """Read a request and recover its signer. Raises `Malformed`."""
    envelope = _ENVELOPE(body)
    action = envelope["action"]
    kind = action.get("type") if type(action) is dict else None
    if type(kind) is not str:
        raise Malformed(f"not an action: {action!r}")
    nonce, signature = envelope["nonce"], envelope["signature"]
    vault, expires_after = envelope.get("vaultAddress"), envelope.get("expiresAfter")
    if kind == "multiSig":
        return _multi_sig(action, nonce, vault, expires_after, signature)
    if kind in L1_ACTIONS:
        canonical = L1_ACTIONS[kind](action)
        digest = agent_digest(action_hash(canonical, nonce, vault, expires_after), "b")
    elif kind in USER_ACTIONS:
        canonical = _user_action(kind, action)
        digest = user_digest(kind, canonical)
    else:
        raise Malformed(f"unknown action type {kind!r}")
    return Signed(canonical, nonce, vault, expires_after, recover(digest, signature), kind in USER_ACTIONS, signature)


def _multi_sig(
    action: dict[str, Any], nonce: int, vault: str | None, expires_after: int | None, signature: dict[str, Any]
) -> Signed:
    """The leader's signature is over the hash of all but the type; each member's over the inner action for this leader."""
    outer = _MULTI_SIG(action)
    if not _CHAIN_ID.fullmatch(outer["signatureChainId"]):
        raise Malformed(f"signatureChainId is not a hex number: {outer['signatureChainId']!r}")
    payload = outer["payload"]
    inner, user, leader = payload["action"], payload["multiSigUser"], payload["outerSigner"]
    kind = inner.get("type") if type(inner) is dict else None
    if kind in L1_ACTIONS:
        inner = L1_ACTIONS[kind](inner)
        digest = agent_digest(action_hash([user, leader, inner], nonce, vault, expires_after), "b")
    elif kind in USER_ACTIONS:
        inner = _user_action(kind, inner)
        signed = inner
        if kind == "userSetAbstraction":  # the payload has the short code, and the long word is signed
            signed = {**inner, "abstraction": _ABSTRACTIONS.get(inner["abstraction"], inner["abstraction"])}
        digest = user_digest(kind, signed, (user, leader))
    else:
        raise Malformed(f"unknown action type {kind!r}")
    hashed = {**outer, "payload": {**payload, "action": inner}}
    del hashed["type"]
    envelope = {
        "signatureChainId": outer["signatureChainId"],
        "hyperliquidChain": "Testnet",
        "multiSigActionHash": action_hash(hashed, nonce, vault, expires_after),
        "nonce": nonce,
    }
    claim = MultiSig(user, leader, tuple(recover(digest, each) for each in outer["signatures"]))
    signer = recover(user_digest("multiSig", envelope), signature)
    return Signed(inner, nonce, vault, expires_after, signer, kind in USER_ACTIONS, signature, claim)


def _user_action(kind: str, action: dict[str, Any]) -> dict[str, Any]:
    if kind == "approveAgent":
        action = {"agentName": "", **{name: value for name, value in action.items() if value is not None}}
    fields = [(name, _KINDS[type_name]) for name, type_name in USER_ACTIONS[kind][1]]
    canonical: dict[str, Any] = struct(("type", string), ("signatureChainId", string), *fields)(action)
    if not _CHAIN_ID.fullmatch(canonical["signatureChainId"]):
        raise Malformed(f"signatureChainId is not a hex number: {canonical['signatureChainId']!r}")
    literal("Mainnet", "Testnet")(canonical["hyperliquidChain"])
    return canonical
