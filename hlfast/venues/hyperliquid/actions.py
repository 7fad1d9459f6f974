"""Actions other than orders (layer 3, cold): `await connector.actions.<name>(...)`.

Each is signed with the connector's signer and answered by the venue's reply, a dict. A refusal raises `VenueReject`;
no answer in time raises `UnknownOutcome`, because the venue may have executed the action.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hlfast.errors import OrderDenied

Send = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
AssetOf = Callable[[str], int]


class Actions:
    def __init__(self, send: Send, asset_of: AssetOf) -> None:
        self._send = send
        self._asset_of = asset_of

    async def send(self, action: dict[str, Any]) -> dict[str, Any]:
        """Sign and send any L1 action that the signer allows."""
        return await self._send(dict(action))

    async def update_leverage(self, coin: str, leverage: int, *, cross: bool = True) -> dict[str, Any]:
        """Set the leverage of an instrument, 1 up to its maximum."""
        if leverage < 1:
            raise OrderDenied(f"leverage is a whole number from 1 up, got {leverage}")
        return await self._send(
            {"type": "updateLeverage", "asset": self._asset_of(coin), "isCross": cross, "leverage": int(leverage)}
        )

    async def schedule_cancel(self, time_ms: int | None) -> dict[str, Any]:
        """Arm the dead man's switch for `time_ms` (at least 5 s ahead), or clear it with None."""
        action: dict[str, Any] = {"type": "scheduleCancel"}
        if time_ms is not None:
            action["time"] = int(time_ms)
        return await self._send(action)

    async def noop(self) -> dict[str, Any]:
        """Burn a nonce and nothing else."""
        return await self._send({"type": "noop"})
