"""What a journal holds of earlier runs, as objects again (layer 4, cold): read once, at the start.

Orders come back with their state, ids, fills and fees, ready to be tracked; a fill is known by its identity. Sizes and
prices are exact: nothing is stored that can be summed from the fills.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.journal_ring import restore_fill, restore_into, restore_order
from hlfast.core.order_tracker import ClientOrderTracker

FillKey = tuple[str, int, int, int]


@dataclass(frozen=True)
class JournalPosition:
    """A position as the own fills had made it. `size` is signed."""

    coin: str
    size: Decimal
    entry_price: Decimal
    realized_pnl: Decimal
    funding: Decimal
    time_ms: int


@dataclass(frozen=True)
class JournalState:
    """What the runs before have left. Orders are ready to be tracked; `ended` are recent ones, oldest first."""

    orders: list[InFlightOrder]
    ended: list[InFlightOrder]
    fill_keys: list[FillKey]
    last_fill_ms: int
    """Venue time of the newest fill; 0 without one."""
    nonces: dict[str, int]
    """The last nonce by signer."""
    positions: dict[str, JournalPosition]
    baseline: dict[str, Any] | None
    """What the last run's ledger started from, as it was given to `Journal.baseline`."""
    was_killed: bool
    """The last run did not come to its end."""
    torn: int = 0
    """Records that could not be read back (never after a killed process, perhaps after a power loss)."""

    def restore(self, tracker: ClientOrderTracker) -> None:
        """Track the orders, and know the fills. Before anything is heard from the venue."""
        restore_into(tracker, [*self.ended, *self.orders], self.fill_keys)


def read_state(
    db: sqlite3.Connection, *, fill_keys: int, ended_s: int, ended: int, was_killed: bool, torn: int
) -> JournalState:
    """See `Journal.recover`."""
    newest = db.execute("SELECT coalesce(max(updated_ns), 0) FROM orders").fetchone()[0]
    since = newest - ended_s * 1_000_000_000
    keys = db.execute("SELECT coin, tid, oid, time_ms FROM fills ORDER BY id DESC LIMIT ?", (fill_keys,))
    baseline = db.execute("SELECT baseline FROM runs WHERE baseline IS NOT NULL ORDER BY run DESC LIMIT 1").fetchone()
    return JournalState(
        orders=_orders(db, "ended = 0 ORDER BY id", ()),
        ended=_orders(
            db,
            "id IN (SELECT id FROM orders WHERE ended = 1 AND updated_ns >= ? ORDER BY updated_ns DESC LIMIT ?) "
            "ORDER BY updated_ns, id",
            (since, ended),
        ),
        fill_keys=[tuple(row) for row in reversed(keys.fetchall())],
        last_fill_ms=db.execute("SELECT coalesce(max(time_ms), 0) FROM fills").fetchone()[0],
        nonces=dict(db.execute("SELECT signer, nonce FROM nonces").fetchall()),
        positions={row["coin"]: _position(row) for row in db.execute("SELECT * FROM positions")},
        baseline=None if baseline is None else orjson.loads(baseline[0]),
        was_killed=was_killed,
        torn=torn,
    )


def _orders(db: sqlite3.Connection, where: str, values: tuple[int, ...]) -> list[InFlightOrder]:
    rows = db.execute(f"SELECT * FROM orders WHERE {where}", values).fetchall()
    orders = []
    for row in rows:
        fills = [
            restore_fill(fill)
            for fill in db.execute("SELECT * FROM fills WHERE order_id = ? ORDER BY id", (row["id"],))
        ]
        oids = db.execute("SELECT DISTINCT oid FROM order_events WHERE order_id = ? AND oid > 0", (row["id"],))
        known = sorted({oid for (oid,) in oids} | {f.oid for f in fills if f.oid})
        (modified,) = db.execute(
            "SELECT coalesce(max(nonce), 0) FROM order_events WHERE order_id = ? AND event = 'modify_sent'",
            (row["id"],),
        ).fetchone()
        orders.append(restore_order(row, fills, known, modified))
    return orders


def _position(row: sqlite3.Row) -> JournalPosition:
    size = scaled_to_decimal(row["lots"], row["sz_decimals"])
    cost = Decimal(row["cost"])
    return JournalPosition(
        coin=row["coin"],
        size=size,
        entry_price=EXACT.divide(cost, size.copy_abs()) if size else Decimal(0),
        realized_pnl=Decimal(row["realized_pnl"]),
        funding=Decimal(row["funding"]),
        time_ms=row["time_ms"],
    )
