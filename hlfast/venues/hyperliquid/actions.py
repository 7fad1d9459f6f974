"""Actions (layer 3, cold): `await connector.actions.<name>(...)`, one method for each of `endpoints.ACTIONS`.

    await hl.actions.update_leverage("BTC", 5)
    await hl.actions.order([parent, take_profit, stop], grouping="normalTpsl")

Each is signed with the connector's signer, which refuses what its allow-list does not name, and answered by the venue's
`response`, a dict. A wrong argument raises `ConfigError` before anything is signed. A refusal raises `VenueReject`; no
answer in time raises `UnknownOutcome`, because the venue may have executed the action. Orders placed here are not tracked:
they show as `tracker.external_orders`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.endpoints import ACTIONS
from hlfast.venues.hyperliquid.endpoints.actions_account import AccountActions
from hlfast.venues.hyperliquid.endpoints.actions_deploy import DeployActions
from hlfast.venues.hyperliquid.endpoints.actions_trading import TradingActions
from hlfast.venues.hyperliquid.endpoints.kinds import AssetOf, near
from hlfast.venues.hyperliquid.endpoints.table import Action
from hlfast.venues.hyperliquid.multi_sig import Signature, multi_sig_fields

Send = Callable[[Action, dict[str, Any], int | None], Awaitable[dict[str, Any]]]


class Actions(TradingActions, AccountActions, DeployActions):
    def __init__(self, send: Send, asset_of: AssetOf, leader: str = "", is_mainnet: bool = False) -> None:
        """`leader`: the address of the signer, who leads multi-sig users' actions."""
        self._send = send
        self._asset_of = asset_of
        self._leader, self._is_mainnet = leader, is_mainnet

    async def _act(self, entry: Action, fields: dict[str, Any]) -> dict[str, Any]:
        return await self._send(entry, {"type": entry.name, **fields}, None)

    async def send(self, action: dict[str, Any]) -> dict[str, Any]:
        """Sign and send an action as it stands, `type` first and fields in the venue's order, its nonce left out.

        Raises `ConfigError` for a type or field that is unknown, missing, misplaced or unfit. Nothing is put right.
        """
        entry = entry_of(action)
        given = dict(action)
        if entry.nonce and entry.nonce in given:
            raise ConfigError(
                f"{entry.name}.{entry.nonce} repeats the envelope's nonce, which is taken at sending: leave it out"
            )
        entry.check({**given, entry.nonce: 0} if entry.nonce else given, self._asset_of)
        return await self._send(entry, given, None)

    async def send_multi_sig(
        self, multi_sig_user: str, action: dict[str, Any], signatures: Sequence[Signature], nonce: int
    ) -> dict[str, Any]:
        """Send an action of a multi-sig user, signed by its members for this leader and this nonce."""
        entry = entry_of(action)
        entry.check(action, self._asset_of)
        outer = ACTIONS["multiSig"]
        fields = multi_sig_fields(action, multi_sig_user, self._leader, signatures, is_mainnet=self._is_mainnet)
        whole = {"type": outer.name, **fields}
        outer.check(whole)
        return await self._send(outer, whole, nonce)


def entry_of(action: dict[str, Any]) -> Action:
    """The entry of an action's `type`, or `ConfigError` with the nearest one."""
    kind = action.get("type") if isinstance(action, dict) else None
    entry = ACTIONS.get(kind) if isinstance(kind, str) else None
    if entry is None:
        raise ConfigError(f"there is no action {kind!r}{near(kind, ACTIONS)}")
    return entry
