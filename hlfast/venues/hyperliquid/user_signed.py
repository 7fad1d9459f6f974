"""Typed data of user-signed actions (layer 2, cold): which fields each one hashes, in which order.

eth-account encodes the typed data; it is imported here, on first use, because its import costs about half a second.
Protocol, section 2.4. The chain id comes from `signatureChainId` of the action; `hyperliquidChain` binds the network.
"""

from __future__ import annotations

from typing import Any

from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.endpoints import ACTIONS

USER_SIGNED: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    name: (entry.primary, entry.typed_fields) for name, entry in ACTIONS.items() if entry.primary
}
"""Action type → (primary type without its prefix, hashed fields in order)."""

USER_SIGNED["multiSig"] = (
    "SendMultiSig",
    (("hyperliquidChain", "string"), ("multiSigActionHash", "bytes32"), ("nonce", "uint64")),
)  # what its leader signs: the hash stands for the whole action

MULTI_SIG_FIELDS = (("payloadMultiSigUser", "address"), ("outerSigner", "address"))
"""Of an action that a multi-sig user's member signs: they follow `hyperliquidChain`."""

DEFAULT_CHAIN_ID = "0x66eee"
_DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


def complete(action: dict[str, Any], is_mainnet: bool) -> dict[str, Any]:
    """A copy of `action` with `signatureChainId` and `hyperliquidChain` where they were missing."""
    chain = "Mainnet" if is_mainnet else "Testnet"
    given = action.get("hyperliquidChain", chain)
    if given != chain:
        raise ConfigError(
            f"the action says hyperliquidChain {given!r}, the connection is to {chain!r}; they must agree"
        )
    return {"signatureChainId": DEFAULT_CHAIN_ID, **action, "hyperliquidChain": chain}


def typed_data(action: dict[str, Any], is_mainnet: bool) -> dict[str, Any]:
    """The EIP-712 typed data of a user-signed action."""
    kind = action.get("type")
    if kind not in USER_SIGNED:
        raise ConfigError(
            f"{kind!r} is not a user-signed action; those are {', '.join(USER_SIGNED)}. Others go through sign_l1_action"
        )
    full = complete(action, is_mainnet)
    suffix, fields = USER_SIGNED[kind]
    if kind == "approveAgent":
        full.setdefault("agentName", "")
        full["agentName"] = full["agentName"] or ""
    if MULTI_SIG_FIELDS[0][0] in full:
        fields = (fields[0], *MULTI_SIG_FIELDS, *fields[1:])
    missing = [name for name, _ in fields if name not in full]
    if missing:
        raise ConfigError(
            f"a {kind} action needs {', '.join(name for name, _ in fields)}; missing: {', '.join(missing)}"
        )
    primary = f"HyperliquidTransaction:{suffix}"
    return {
        "domain": {
            "name": "HyperliquidSignTransaction",
            "version": "1",
            "chainId": int(str(full["signatureChainId"]), 16),
            "verifyingContract": "0x" + "0" * 40,
        },
        "types": {primary: [{"name": n, "type": t} for n, t in fields], "EIP712Domain": _DOMAIN_FIELDS},
        "primaryType": primary,
        "message": {name: full[name] for name, _ in fields},
    }


def typed_data_digest(action: dict[str, Any], is_mainnet: bool) -> bytes:
    """The 32 bytes that are signed for a user-signed action."""
    from eth_account.messages import encode_typed_data

    from hlfast.venues.hyperliquid.sign import keccak256

    message = encode_typed_data(full_message=typed_data(action, is_mainnet))
    return keccak256(b"\x19" + message.version + message.header + message.body)
