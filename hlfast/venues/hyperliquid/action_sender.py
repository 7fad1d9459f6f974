"""The way of an action from its fields to the venue's answer (layer 3, cold): nonce, signature by its kind, one post.

An L1 action is signed through its hash, for the connector's vault where the action takes one; a user-signed one as
readable typed data; a multi-sig one by its leader. Nothing is retried. What can open a position waits for the same doors
as orders do: the account live, the kill switch off, the venue's budget.
"""

from __future__ import annotations

from typing import Any

import orjson

from hlfast import clock
from hlfast.errors import NotReady, OrderDenied, UnknownOutcome
from hlfast.venues.hyperliquid.endpoints.table import Action
from hlfast.venues.hyperliquid.limits import Limits, action_weight
from hlfast.venues.hyperliquid.multi_sig import require_allowed, sign_outer
from hlfast.venues.hyperliquid.order_entry import OrderEntry
from hlfast.venues.hyperliquid.reject_texts import venue_reject
from hlfast.venues.hyperliquid.scan import ItemKind, ItemStatus, PostReply
from hlfast.venues.hyperliquid.sign import Signer
from hlfast.venues.hyperliquid.user_signed import complete

BARE_STATUSES = {
    ItemKind.SUCCESS: "success",
    ItemKind.WAITING_FILL: "waitingForFill",
    ItemKind.WAITING_TRIGGER: "waitingForTrigger",
}


class ActionSender:
    def __init__(self, entry: OrderEntry, signer: Signer, limits: Limits) -> None:
        self._entry, self._limits = entry, limits
        self.signer = signer
        self.is_mainnet = entry.is_mainnet

    async def send(self, endpoint: Action, action: dict[str, Any], nonce: int | None = None) -> dict[str, Any]:
        """Sign and send; the venue's `response`. Raises `VenueReject`, `NotReady`, `OrderDenied` or `UnknownOutcome`.

        `nonce`: the one that the members of a multi-sig user signed.
        """
        kind, items = endpoint.name, _items(action)
        self._check_doors(endpoint, items)
        if nonce is None:
            nonce = self._entry.nonces.next()
        if self._entry.ring is not None:
            self._entry.ring.put_nonce(nonce, clock.epoch_ns())
        if endpoint.nonce:
            action = {**action, endpoint.nonce: nonce}
        vault = self._entry.vault if endpoint.vault else None
        if endpoint.primary:
            action = complete(action, self.is_mainnet)
        signature = self._sign(endpoint, action, nonce, vault)
        payload = {
            "action": action,
            "nonce": nonce,
            "signature": signature,
            "vaultAddress": vault,
            "expiresAfter": None,
        }
        reply = await self._entry.call({"type": "action", "payload": payload}, f"the action {kind!r}")
        self._limits.spend(f"action {kind}", action_weight(items), _now_ms(), items)
        if reply.kind == "err":
            raise venue_reject(reply.text)
        if reply.kind in ("error", "unknown"):
            raise UnknownOutcome(f"the venue answered {reply.text!r} to {kind!r}; whether it was executed is not known")
        status = reply.data.get("status") if isinstance(reply.data, dict) else None
        if isinstance(status, dict) and isinstance(status.get("error"), str):  # a TWAP's refusal comes in an `ok`
            raise venue_reject(status["error"])
        return {"type": reply.kind, "data": _data(reply)}

    def _check_doors(self, endpoint: Action, items: int) -> None:
        if not endpoint.places:
            self._limits.check_query(_now_ms())
            return
        if self._entry.checks.killed:
            raise OrderDenied(f"the kill switch is on: no {endpoint.name!r} is sent until resume()")
        if not self._entry.live:
            raise NotReady(f"{endpoint.name!r} can open a position, and {self._entry.not_live_reason}")
        self._limits.check_order(items, _now_ms())

    def _sign(self, endpoint: Action, action: dict[str, Any], nonce: int, vault: str | None) -> dict[str, Any]:
        if endpoint.primary:
            return self.signer.sign_user_action(action, is_mainnet=self.is_mainnet)
        if endpoint.name == "multiSig":
            require_allowed(self.signer, str(action["payload"]["action"].get("type")))
            return sign_outer(self.signer, action, nonce, is_mainnet=self.is_mainnet)
        return self.signer.sign_l1_action(action, nonce, vault_address=vault, is_mainnet=self.is_mainnet)


def _data(reply: PostReply) -> Any:
    """The response's data as the venue spelled it: the scanner has read statuses apart."""
    return {"statuses": [_status(item) for item in reply.statuses]} if reply.statuses else reply.data


def _status(item: ItemStatus) -> Any:
    named = {} if item.cloid is None else {"cloid": item.cloid}
    match item.kind:
        case ItemKind.RESTING:
            return {"resting": {"oid": item.oid, **named}}
        case ItemKind.FILLED:
            return {"filled": {"totalSz": item.total_sz, "avgPx": item.avg_px, "oid": item.oid, **named}}
        case ItemKind.ERROR:
            return {"error": item.error}
        case ItemKind.UNKNOWN:
            return orjson.loads(item.error)
    return BARE_STATUSES[ItemKind(item.kind)]


def _items(action: dict[str, Any]) -> int:
    """Orders, cancels or modifies: what the action costs of the account's requests."""
    for name in ("orders", "cancels", "modifies"):
        if name in action:
            return len(action[name])
    return 1


def _now_ms() -> int:
    return clock.monotonic_ns() // 1_000_000
