"""Queries to the venue (layer 3, cold): `await connector.info.<name>(...)`.

A query goes over the account's WebSocket as a `post` where that is up, else over HTTP; both weigh the same. Prices and
sizes stay the venue's text. `request(type, **params)` sends any query that has no method of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Ask = Callable[[dict[str, Any]], Awaitable[Any]]


class Info:
    """Typed by the venue's own names; see the protocol's sections 5.2 and 5.3 for the answers' shapes."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def request(self, kind: str, **params: Any) -> Any:
        """Any query: `type` = `kind`, and `params` but those that are None."""
        return await self._ask({"type": kind, **{k: v for k, v in params.items() if v is not None}})

    async def meta(self, dex: str | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request("meta", dex=dex)
        return answer

    async def spot_meta(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request("spotMeta")
        return answer

    async def l2_book(self, coin: str) -> dict[str, Any] | None:
        """The book of a wire coin, or None if the venue does not know it."""
        answer: dict[str, Any] | None = await self.request("l2Book", coin=coin)
        return answer

    async def all_mids(self, dex: str | None = None) -> dict[str, str]:
        answer: dict[str, str] = await self.request("allMids", dex=dex)
        return answer

    async def open_orders(self, user: str, dex: str | None = None) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = await self.request("openOrders", user=user, dex=dex)
        return answer

    async def frontend_open_orders(self, user: str, dex: str | None = None) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = await self.request("frontendOpenOrders", user=user, dex=dex)
        return answer

    async def order_status(self, user: str, oid: int | str) -> dict[str, Any]:
        """`oid` is the venue's number or a cloid. An unknown one answers `{"status": "unknownOid"}`."""
        answer: dict[str, Any] = await self.request("orderStatus", user=user, oid=oid)
        return answer

    async def user_fills(self, user: str) -> list[dict[str, Any]]:
        """The newest 2000 fills, newest first."""
        answer: list[dict[str, Any]] = await self.request("userFills", user=user)
        return answer

    async def user_fills_by_time(self, user: str, start_ms: int, end_ms: int | None = None) -> list[dict[str, Any]]:
        """Fills from `start_ms` (inclusive), oldest first, at most 2000."""
        answer: list[dict[str, Any]] = await self.request(
            "userFillsByTime", user=user, startTime=start_ms, endTime=end_ms
        )
        return answer

    async def clearinghouse_state(self, user: str, dex: str | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request("clearinghouseState", user=user, dex=dex)
        return answer

    async def spot_clearinghouse_state(self, user: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request("spotClearinghouseState", user=user)
        return answer

    async def user_role(self, user: str) -> dict[str, Any]:
        """Weighs 60 of the minute's 1200."""
        answer: dict[str, Any] = await self.request("userRole", user=user)
        return answer

    async def user_rate_limit(self, user: str) -> dict[str, Any]:
        answer: dict[str, Any] = await self.request("userRateLimit", user=user)
        return answer
