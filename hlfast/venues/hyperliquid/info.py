"""Queries to the venue (layer 3, cold): `await connector.info.<name>(...)`, one method for each of `endpoints.QUERIES`.

    book = await hl.info.l2_book("BTC")
    async for page in hl.info.user_fills_pages(hl.account, since_ms): ...

A query goes over the account's WebSocket as a `post` where that is up, else over HTTP; both weigh the same. The answer is
the venue's JSON as orjson reads it, named by a TypedDict: prices and sizes stay text, and what the type does not name is
there too. A wrong argument raises `ConfigError` before anything is sent. `request(type, **params)` sends any query that
has no method of its own. The `..._pages` read on where an answer has a limit, without a gap or a repeat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import Any

from hlfast.errors import ProtocolError
from hlfast.venues.hyperliquid.endpoints.account_answers import LedgerRow, UserFill
from hlfast.venues.hyperliquid.endpoints.answers import FundingRate
from hlfast.venues.hyperliquid.endpoints.queries_account import AccountQueries
from hlfast.venues.hyperliquid.endpoints.queries_market import MarketQueries
from hlfast.venues.hyperliquid.endpoints.table import Query

Ask = Callable[[dict[str, Any]], Awaitable[Any]]
Unreachable = Callable[[int], object]
"""Called with the time (ms) at which more rows share a millisecond than an answer holds."""

FILLS_PAGE = 2_000
ROWS_PAGE = 500
"""Rows of one answer, at most."""


class Info(MarketQueries, AccountQueries):
    """Typed by the venue's own names; see the protocol's sections 5.2 and 5.3 for the answers' shapes."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def _query(self, entry: Query, fields: dict[str, Any]) -> Any:
        return await self._ask(entry.payload(fields))

    async def request(self, kind: str, **params: Any) -> Any:
        """Any query: `type` = `kind`, and `params` but those that are None."""
        return await self._ask({"type": kind, **{k: v for k, v in params.items() if v is not None}})

    # -- what comes in pages ----------------------------------------------------------------------------------------
    def user_fills_pages(
        self, user: str, start_time: int, end_time: int | None = None, *, unreachable: Unreachable | None = None
    ) -> AsyncIterator[list[UserFill]]:
        """Fills from `start_time` on, oldest first; the venue keeps the newest 10,000."""

        async def ask(since_ms: int) -> list[UserFill]:
            return await self.user_fills_by_time(user, since_ms, end_time)

        return _pages(ask, start_time, FILLS_PAGE, fill_identity, unreachable)

    def user_funding_pages(
        self, user: str, start_time: int, end_time: int | None = None
    ) -> AsyncIterator[list[LedgerRow]]:
        """Funding payments from `start_time` on, oldest first."""

        async def ask(since_ms: int) -> list[LedgerRow]:
            return await self.user_funding(user, since_ms, end_time)

        return _pages(ask, start_time, ROWS_PAGE, _ledger_identity)

    def ledger_pages(self, user: str, start_time: int, end_time: int | None = None) -> AsyncIterator[list[LedgerRow]]:
        """Deposits, transfers and the like from `start_time` on, oldest first."""

        async def ask(since_ms: int) -> list[LedgerRow]:
            return await self.user_non_funding_ledger_updates(user, since_ms, end_time)

        return _pages(ask, start_time, ROWS_PAGE, _ledger_identity)

    def funding_history_pages(
        self, coin: str, start_time: int, end_time: int | None = None
    ) -> AsyncIterator[list[FundingRate]]:
        """Hourly rates of a coin from `start_time` on, oldest first."""

        async def ask(since_ms: int) -> list[FundingRate]:
            return await self.funding_history(coin, since_ms, end_time)

        return _pages(ask, start_time, ROWS_PAGE, lambda row: row["time"])


async def _pages(
    ask: Callable[[int], Awaitable[list[Any]]],
    since_ms: int,
    page: int,
    identity: Callable[[Any], Hashable],
    unreachable: Unreachable | None = None,
) -> AsyncIterator[list[Any]]:
    """Answers of at most `page` rows, whose bounds are inclusive: the next one begins in the last row's millisecond, and
    what was seen of that is left out by identity. Raises `ProtocolError` for an answer that is no such rows."""
    edge: set[Hashable] = set()
    while True:
        rows = await ask(since_ms)
        times, names = _read_rows(rows, identity)
        fresh = [row for row, name in zip(rows, names, strict=True) if name not in edge]
        if fresh:
            yield fresh
        if len(rows) < page:
            return
        last_ms = times[-1]
        if last_ms == since_ms and not fresh:
            # More rows in one millisecond than an answer holds: the rest of it cannot be asked for.
            if unreachable is not None:
                unreachable(last_ms)
            last_ms += 1
        edge = {name for name, at_ms in zip(names, times, strict=True) if at_ms == last_ms}
        since_ms = last_ms


def _read_rows(rows: Any, identity: Callable[[Any], Hashable]) -> tuple[list[int], list[Hashable]]:
    """When each row happened, and which it is."""
    if not isinstance(rows, list):
        raise ProtocolError(f"the venue's answer should be rows, got {str(rows)[:200]}")
    times, names = [], []
    for row in rows:
        try:
            times.append(int(row["time"]))
            names.append(identity(row))
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(
                f"a row of the venue's answer cannot be told from others ({error!r}): {str(row)[:200]}"
            ) from None
    return times, names


def fill_identity(row: Any) -> tuple[Any, ...]:
    """A fill's trade id is unique only together with its coin, order and time."""
    return row["coin"], row["tid"], row["oid"], row["time"]


def _ledger_identity(row: Any) -> tuple[Any, ...]:
    return row["time"], row["hash"], repr(row["delta"])
