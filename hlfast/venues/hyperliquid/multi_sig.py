"""Actions of multi-sig users (layer 2, cold): what each member signs, and what their leader sends. Protocol, section 2.7.

    signed = sign_for_multi_sig(member, action, user, leader.address, nonce, is_mainnet=False)      # each member, offline
    await hl.actions.send_multi_sig(user, action, [signed, ...], nonce)                             # the leader

All sign the same nonce; only the leader's nonces count. Signatures are hashed as text, so `r` and `s` are without leading
zeros. A member's signer must allow the inner action, the leader's both that and "multiSig".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.endpoints import ACTIONS
from hlfast.venues.hyperliquid.sign import Signer, action_hash
from hlfast.venues.hyperliquid.user_signed import DEFAULT_CHAIN_ID, USER_SIGNED, complete
from hlfast.venues.hyperliquid.wire import canonical

Signature = dict[str, Any]
ABSTRACTION_CODES = {"disabled": "i", "unifiedAccount": "u", "portfolioMargin": "p"}


def sign_for_multi_sig(
    signer: Signer,
    action: dict[str, Any],
    multi_sig_user: str,
    outer_signer: str,
    nonce: int,
    *,
    is_mainnet: bool,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> Signature:
    """One member's signature of `action`. Raises `ConfigError` for an action that is malformed or not allowed."""
    user, leader = multi_sig_user.lower(), outer_signer.lower()
    kind = str(action.get("type"))
    require_allowed(signer, kind)
    if kind in USER_SIGNED:
        typed = {**action, "payloadMultiSigUser": user, "outerSigner": leader}
        return signer.sign_user_action(typed, is_mainnet=is_mainnet)
    return signer.sign_l1_action(
        [user, leader, action], nonce, vault_address=vault_address, expires_after=expires_after, is_mainnet=is_mainnet
    )


def require_allowed(signer: Signer, kind: str) -> None:
    """The inner action counts too: what a signer does not sign alone, it does not sign for others."""
    if signer.allow is not None and kind not in signer.allow:
        raise ConfigError(
            f"this signer does not sign {kind!r} actions, nor for a multi-sig user; name it in allow=[...]"
        )


def multi_sig_fields(
    action: dict[str, Any],
    multi_sig_user: str,
    outer_signer: str,
    signatures: Sequence[Signature],
    *,
    is_mainnet: bool,
) -> dict[str, Any]:
    """The fields of the outer action, with signatures as the venue hashes them."""
    inner = complete(action, is_mainnet) if ACTIONS[str(action["type"])].primary else action
    if inner["type"] == "userSetAbstraction":  # members sign the word, the payload carries the code
        inner = {**inner, "abstraction": ABSTRACTION_CODES.get(inner["abstraction"], inner["abstraction"])}
    return {
        "signatureChainId": DEFAULT_CHAIN_ID,
        "signatures": [{"r": _trimmed(each["r"]), "s": _trimmed(each["s"]), "v": each["v"]} for each in signatures],
        "payload": {
            "multiSigUser": multi_sig_user.lower(),
            "outerSigner": outer_signer.lower(),
            "action": canonical(inner),
        },
    }


def sign_outer(
    signer: Signer,
    action: dict[str, Any],
    nonce: int,
    *,
    is_mainnet: bool,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> Signature:
    """The leader's signature of a whole `multiSig` action: of the hash of it without its type."""
    without_type = {name: value for name, value in canonical(action).items() if name != "type"}
    hashed = action_hash(without_type, nonce, vault_address, expires_after)
    envelope = {
        "type": "multiSig",
        "signatureChainId": action["signatureChainId"],
        "multiSigActionHash": "0x" + hashed.hex(),
        "nonce": nonce,
    }
    return signer.sign_user_action(envelope, is_mainnet=is_mainnet)


def _trimmed(number: str) -> str:
    return hex(int(number, 16))
