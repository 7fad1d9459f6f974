"""What one block of the local exchange did (layer 5): rows by user, trades by coin, and the answers that wait for it.

A block is filled while its actions run, then read once by the streams. House accounts leave no rows: nobody can
subscribe to what they do, but their trades are public.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from hlfast.sim.account import Account

Reply: TypeAlias = Callable[[dict[str, Any]], None]


class Block:
    def __init__(self, number: int, time_ms: int) -> None:
        self.number = number
        self.time_ms = time_ms
        self.order_rows: dict[str, list[dict[str, Any]]] = {}
        self.fills: dict[str, list[dict[str, Any]]] = {}
        self.non_user_cancels: dict[str, list[dict[str, Any]]] = {}
        self.fundings: dict[str, list[dict[str, Any]]] = {}
        self.liquidations: dict[str, list[dict[str, Any]]] = {}
        self.trades: dict[str, list[dict[str, Any]]] = {}
        self.twap_rows: dict[str, list[dict[str, Any]]] = {}
        self.twap_fills: dict[str, list[dict[str, Any]]] = {}
        self.outcome_updates: list[dict[str, Any]] = []
        self.touched: set[str] = set()
        self.answers: list[tuple[Reply, dict[str, Any]]] = []

    def add_order_row(self, account: Account, row: dict[str, Any]) -> None:
        self.touched.add(account.address)
        self.order_rows.setdefault(account.address, []).append(row)

    def add_fill(self, account: Account, row: dict[str, Any]) -> None:
        self.touched.add(account.address)
        self.fills.setdefault(account.address, []).append(row)

    def add_non_user_cancel(self, account: Account, coin: str, oid: int) -> None:
        self.non_user_cancels.setdefault(account.address, []).append({"coin": coin, "oid": oid})

    def add_funding(self, account: Account, row: dict[str, Any]) -> None:
        self.touched.add(account.address)
        self.fundings.setdefault(account.address, []).append(row)

    def add_liquidation(self, account: Account, row: dict[str, Any]) -> None:
        self.touched.add(account.address)
        self.liquidations.setdefault(account.address, []).append(row)

    def add_twap_row(self, account: Account, row: dict[str, Any]) -> None:
        self.touched.add(account.address)
        self.twap_rows.setdefault(account.address, []).append(row)

    def add_twap_fill(self, account: Account, row: dict[str, Any]) -> None:
        self.twap_fills.setdefault(account.address, []).append(row)

    def add_trade(self, row: dict[str, Any]) -> None:
        self.trades.setdefault(row["coin"], []).append(row)
