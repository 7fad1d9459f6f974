"""The account in builder dexs (layer 3, cold): each dex has cash, positions and a first state of its own.

A dex is taken up when it is loaded (`load_dex`, `Settings(dexs=...)`, or orders of an earlier run there): its state is read,
and from then on own fills, funding and transfers make its figures, which recovery and audit compare as those of the main
dex. Fills that come while its state is being read are kept, and booked if that state does not contain them. Until then
nothing there can be traded, and fills there move no figures: what the first state says will contain them.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hlfast.errors import NotReady
from hlfast.venues.hyperliquid.transfers import dex_purse

if TYPE_CHECKING:
    from hlfast.core.events import PositionUpdate
    from hlfast.core.updates import TradeUpdate
    from hlfast.venues.hyperliquid.connector import HyperliquidConnector


def dex_of(coin: str) -> str:
    """The builder dex of a wire coin; "" for the main dex and spot."""
    return coin.partition(":")[0] if ":" in coin else ""


class DexAccounts:
    def __init__(self, hl: HyperliquidConnector) -> None:
        self._hl = hl
        self._lock = asyncio.Lock()
        self._kept: dict[str, list[TradeUpdate]] = {}
        self.started: dict[str, int] = {}
        """Dex → block time of its first state, which contains its fills and payments up to then."""
        self.states: dict[str, Any] = {}
        """The last state that was read, by dex."""
        self.baselines: dict[str, Any] = {}

    def check(self, coin: str) -> None:
        """Raise `NotReady` for a market of a dex whose state has not been read."""
        dex = dex_of(coin)
        if dex and dex not in self.started:
            raise NotReady(f"the account's state in dex {dex!r} has not been read yet; await load_dex({dex!r}) first")

    async def start(self, dex: str) -> None:
        """Read the account's first state in a dex, and what rests there. Does nothing for one that is started."""
        async with self._lock:
            if dex in self.started:
                return
            kept = self._kept.setdefault(dex, [])
            try:
                state = await self._hl.info.clearinghouse_state(self._hl.account, dex)
                self._take_up(dex, state, kept)
            finally:
                del self._kept[dex]
        await self._hl.recovery.read_open_orders()

    def _take_up(self, dex: str, state: Any, kept: list[TradeUpdate]) -> None:
        hl = self._hl
        positions: dict[str, Decimal] = {}
        for entry in state["assetPositions"]:
            position = entry["position"]
            rule, size = hl.rule_for(position["coin"]), Decimal(position["szi"])
            if rule is not None and size:
                positions[rule.coin] = size
                hl.position_book.start(rule.coin, rule.sz_decimals, size, Decimal(position["entryPx"] or "0"))
        cash = Decimal(state["marginSummary"]["totalRawUsd"])
        hl.own_ledger.open_purse(dex, cash, positions)
        self.started[dex] = int(state["time"])
        self.states[dex] = state
        for fill in kept:
            self.book(fill)
        hl.recovery.view_positions(state)
        hl.offer_rules()
        self.baselines[dex] = {
            "time_ms": self.started[dex],
            "cash": str(cash),
            "positions": {coin: str(size) for coin, size in positions.items()},
        }
        hl.recovery.write_baseline()

    async def read(self) -> dict[str, Any]:
        """The account's state in every dex that is started."""
        names = list(self.started)
        states = await asyncio.gather(*(self._hl.info.clearinghouse_state(self._hl.account, name) for name in names))
        self.states.update(zip(names, states, strict=True))
        return dict(zip(names, states, strict=True))

    # -- what moves its money ---------------------------------------------------------------------------------------
    def baseline_ms(self, coin: str) -> int | None:
        """The block time up to which the first state contains what happened in a market; None before it was read."""
        dex = dex_of(coin)
        return self.started.get(dex) if dex else self._hl.recovery.baseline_ms

    def book(self, fill: TradeUpdate) -> PositionUpdate | None:
        """Cash and position of a new fill in a builder dex."""
        dex = dex_of(fill.coin)
        since_ms = self.started.get(dex)
        if since_ms is None:
            if dex in self._kept:
                self._kept[dex].append(fill)
            return None
        if fill.time_ms <= since_ms:
            return None
        self._hl.own_ledger.book_fill(fill, purse=dex)
        return self._hl.position_book.book(fill)

    def different_cash(self, states: dict[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
        """Purse → (ours, the venue's)."""
        ours = self._hl.own_ledger.purses
        return {
            dex_purse(dex): (ours[dex], Decimal(state["marginSummary"]["totalRawUsd"]))
            for dex, state in states.items()
            if dex in ours
        }
