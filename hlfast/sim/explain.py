"""Why a signature names nobody (local exchange, layer 5): what the exchange hashed, and which mistake fits.

    explain(body, knows)["cause"]
    # 'signed for mainnet (source "a"): sign with is_mainnet=False'

A wrong byte recovers some other address, so the venue's answer alone tells nothing. Here the likely mistakes are tried
one after the other (network, key order and zeros as sent, vault and expiry in or out of the hash) until one recovers an
address that the exchange knows. Also the words of the request log: `describe` an action, `verdict` of an answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import msgpack  # type: ignore[import-untyped]

from hlfast.sim.shapes import Malformed
from hlfast.sim.verify import USER_ACTIONS, action_hash, agent_digest, recover, user_digest, verify

RIGHT = "the signature is right: it recovers an account or agent that this exchange knows"
NO_KEY = "r, s, v belong to no key: v must be 27 or 28, r and s hex numbers below the curve's order"
OUTER = (
    "the leader's signature does not recover outerSigner: it is over the hash of {signatureChainId, signatures, payload} "
    "(addresses in lower case, r and s without leading zeros), for Testnet"
)
UNKNOWN = (
    "no likely mistake leads to an account that this exchange knows. If {signer} is your own address, the bytes are right "
    "and it has no account here: fund it (accounts=, POST /sim/faucet) or approve the agent. If it is not, the hash is "
    "wrong: compare your msgpack with this one, byte for byte"
)


def explain(body: Any, knows: Callable[[str], bool]) -> dict[str, Any]:
    """What was recovered from which bytes, and the likely cause. Raises `Malformed` for what is no request."""
    signed = verify(body)
    told: dict[str, Any] = {"signer": signed.signer, "known": signed.signer is not None and knows(signed.signer)}
    if signed.multi_sig is not None:
        claim = signed.multi_sig
        return {
            **told,
            "canonical": signed.action,
            "multiSigUser": claim.user,
            "outerSigner": claim.outer_signer,
            "members": list(claim.members),
            "cause": RIGHT if told["known"] and signed.signer == claim.outer_signer else OUTER,
        }
    if signed.is_user_signed:
        told |= {"canonical": signed.action, "digest": "0x" + user_digest(signed.kind, signed.action).hex()}
    else:
        connection_id = action_hash(signed.action, signed.nonce, signed.vault, signed.expires_after)
        told |= {
            "canonical": signed.action,
            "msgpack": msgpack.packb(signed.action).hex(),
            "nonce": signed.nonce,
            "vaultAddress": signed.vault,
            "expiresAfter": signed.expires_after,
            "connectionId": "0x" + connection_id.hex(),
            "digest": "0x" + agent_digest(connection_id, "b").hex(),
        }
    if told["known"]:
        told["cause"] = RIGHT
    elif signed.is_user_signed:
        told["cause"] = _cause_of_user_signed(body, knows) or (
            NO_KEY if signed.signer is None else UNKNOWN.format(signer=signed.signer)
        )
    else:
        told["cause"] = _cause(body, signed.action, knows) or (
            NO_KEY if signed.signer is None else UNKNOWN.format(signer=signed.signer)
        )
    return told


def _cause(body: dict[str, Any], canonical: dict[str, Any], knows: Callable[[str], bool]) -> str | None:
    """The mistakes of an L1 signature, fewest at once first."""
    vault, expires_after = body.get("vaultAddress"), body.get("expiresAfter")
    actions = [("", canonical)]
    if body["action"] != canonical or list(body["action"]) != list(canonical):
        actions.append(("hashed as sent and not in canonical form (field order, trailing zeros, explicit defaults, "
                        "upper-case addresses)", body["action"]))  # fmt: skip
    reordered = _sorted(canonical)
    actions.append(("hashed with its keys in alphabetical order", reordered))
    sources = [("", "b"), ('signed for mainnet (source "a"): sign with is_mainnet=False', "a")]
    vaults = [("", vault)] + ([("vaultAddress is in the envelope and not in the hash", None)] if vault else [])
    expiries = [("", expires_after)]
    if expires_after is not None:
        expiries.append(("expiresAfter is in the envelope and not in the hash", None))
    tried = list(itertools.product(actions, sources, vaults, expiries))
    for combination in sorted(tried, key=lambda each: sum(bool(words) for words, _ in each)):
        (_, action), (_, source), (_, in_vault), (_, in_expiry) = combination
        try:
            digest = agent_digest(action_hash(action, body["nonce"], in_vault, in_expiry), source)
        except (ValueError, TypeError, OverflowError):  # what was sent cannot even be packed
            continue
        signer = recover(digest, body["signature"])
        if signer is not None and knows(signer):
            return f"{'; '.join(words for words, _ in combination if words)} ({signer} signed it)"
    return None


def _cause_of_user_signed(body: dict[str, Any], knows: Callable[[str], bool]) -> str | None:
    action = body["action"]
    for words, changes in (
        ("signed for the other network: hyperliquidChain in the action is not the one that was signed",
         {"hyperliquidChain": "Mainnet" if action.get("hyperliquidChain") == "Testnet" else "Testnet"}),
        ("signed with another signatureChainId than the action says", {"signatureChainId": "0x66eee"}),
        ("signed with another signatureChainId than the action says", {"signatureChainId": "0xa4b1"}),
    ):  # fmt: skip
        try:
            signed = verify({**body, "action": {**action, **changes}})
        except Malformed:
            continue
        if signed.signer is not None and knows(signed.signer):
            return f"{words} ({signed.signer} signed it)"
    return None


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def describe(action: dict[str, Any]) -> str:
    """An action in a few words: `order a=0 buy 0.1 @ 60000 Gtc`."""
    kind = str(action["type"])
    if kind == "order":
        return "order " + _several([_order(order) for order in action["orders"]])
    if kind == "modify":
        return f"modify {action['oid']} to {_order(action['order'])}"
    if kind == "batchModify":
        return "batchModify " + _several([f"{each['oid']} to {_order(each['order'])}" for each in action["modifies"]])
    if kind in ("cancel", "cancelByCloid"):
        return f"{kind} " + _several([str(each.get("o", each.get("cloid"))) for each in action["cancels"]])
    fields = {name: value for name, value in action.items() if name not in ("type", "signatureChainId")}
    return kind + (f" {fields}" if fields and kind not in USER_ACTIONS else "")


def _several(words: list[str]) -> str:
    return ", ".join(words[:2]) + (f" and {len(words) - 2} more" if len(words) > 2 else "")


def _order(order: dict[str, Any]) -> str:
    (how,) = order["t"].values()
    way = how["tif"] if "tif" in how else f"{how['tpsl']} at {how['triggerPx']}"
    only = " reduce-only" if order["r"] else ""
    return f"a={order['a']} {'buy' if order['b'] else 'sell'} {order['s']} @ {order['p']} {way}{only}"


def verdict(envelope: Any) -> str:
    """An answer in a few words: `resting 5001`, `error: ...`."""
    if envelope["status"] != "ok":
        return f"refused: {envelope['response']}"
    data = envelope["response"].get("data")
    statuses = data.get("statuses") if isinstance(data, dict) else None
    return _several([_status(each) for each in statuses]) if statuses else "ok"


def _status(status: Any) -> str:
    if isinstance(status, str):
        return status
    ((name, value),) = list(status.items())[:1]
    if name == "error":
        return f"error: {value}"
    return f"{name} {value['oid']}" + (f" ({value['totalSz']} @ {value['avgPx']})" if "avgPx" in value else "")
