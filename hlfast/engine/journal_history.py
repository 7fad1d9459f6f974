"""What a journal holds of earlier runs' fills and funding, for the books of strategies (layer 4, cold): read once, at the start.

In the order in which they were heard of. Whose a fill is say the names of its order (`strategy_books`).
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from decimal import Decimal

from hlfast.core.journal_ring import restore_fill
from hlfast.engine.strategy_books import PastFill, PastFunding

_Row = tuple[int, int, PastFill | PastFunding]


def read_history(db: sqlite3.Connection) -> Iterator[PastFill | PastFunding]:
    """Every fill and every funding payment, oldest first."""
    fills: Iterator[_Row] = (
        (row["recv_ns"], 0, PastFill(row["client_order_id"] or "", row["cloid"], restore_fill(row)))
        for row in db.execute("SELECT * FROM fills ORDER BY id")
    )
    payments: Iterator[_Row] = (
        (row["recv_ns"], 1, PastFunding(row["coin"], Decimal(row["amount"]), row["time_ms"]))
        for row in db.execute("SELECT * FROM funding ORDER BY recv_ns, time_ms")
    )
    by_time = heapq.merge(fills, payments, key=lambda found: found[:2])
    yield from (past for _, _, past in by_time)
