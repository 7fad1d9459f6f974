"""`hlfast orders` and `hlfast fills` (layer 5): what a journal holds, as a table, JSON or CSV.

From SQLite or PostgreSQL, read-only, also while a connector writes. Prices and sizes are exact decimal text, times
are UTC. Only click is imported here; the rest when a command runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hlfast.engine.journal_reader import JournalReader

Row = dict[str, Any]

UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
STATES = (
    "live",
    "ended",
    "pending_create",
    "pending_submit",
    "open",
    "partially_filled",
    "filled",
    "pending_cancel",
    "cancelled",
    "failed",
    "expired",
)


def _shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """What both commands take."""
    for option in reversed(
        (
            click.option("--journal", "folder", metavar="DIR", help="The journal's folder; in PostgreSQL its number."),
            click.option(
                "--postgres", metavar="DSN", help="Read from PostgreSQL: postgresql://user@host/name, or env:NAME."
            ),
            click.option(
                "--network", metavar="NAME", help="mainnet, testnet or simulator. [default: whichever has one]"
            ),
            click.option("--account", metavar="ADDRESS", help="[default: the only one that has a journal]"),
            click.option("--coin", metavar="NAME", help="Of this instrument only, exactly as the venue spells it."),
            click.option(
                "--since", metavar="WHEN", help="30m, 12h, 7d; 2026-01-31 or 2026-01-31T12:00 (UTC); or ms since 1970."
            ),
            click.option(
                "--limit", type=click.IntRange(0), default=50, show_default=True, help="The newest so many; 0: all."
            ),
            click.option("--json", "as_json", is_flag=True, help="As a JSON array."),
            click.option("--csv", "as_csv", is_flag=True, help="As CSV with a head line."),
        )
    ):
        command = option(command)
    return command


@click.command(short_help="Show the orders in a journal.")
@_shared_options
@click.option(
    "--state",
    "states",
    type=click.Choice(STATES, case_sensitive=False),
    metavar="STATE",
    multiple=True,
    help=f"One of {', '.join(STATES)}; may be given more than once.",
)
def orders(
    folder: str | None,
    postgres: str | None,
    network: str | None,
    account: str | None,
    as_json: bool,
    as_csv: bool,
    **filters: Any,
) -> None:
    """Show the orders in a journal, the newest last.

    \b
    Examples:
      hlfast orders --state live
      hlfast orders --coin BTC --since 12h --json
      hlfast orders --journal DIR --limit 0 --csv > orders.csv
    """
    with opened(folder, postgres, network, account) as journal:
        rows = _orders(journal, filters)
    _show(rows, ORDER_COLUMNS, "orders", as_json, as_csv)


@click.command(short_help="Show the fills in a journal.")
@_shared_options
@click.option("--order", metavar="ID", help="Of one order: its client id, cloid or number at the venue.")
def fills(
    folder: str | None,
    postgres: str | None,
    network: str | None,
    account: str | None,
    as_json: bool,
    as_csv: bool,
    **filters: Any,
) -> None:
    """Show the fills in a journal, the newest last.

    \b
    Examples:
      hlfast fills --since 1d
      hlfast fills --order 0x00000000000000000000000000000001 --json
      hlfast fills --journal DIR --limit 0 --csv > fills.csv
    """
    with opened(folder, postgres, network, account) as journal:
        rows = [_fill(row) for row in _select(journal, "fills", "time_ms", 1_000, filters)]
    _show(rows, FILL_COLUMNS, "fills", as_json, as_csv)


# -- finding a journal --------------------------------------------------------------------------------------------------
@contextmanager
def opened(
    folder: str | None, postgres: str | None, network: str | None, account: str | None
) -> Iterator[JournalReader]:
    """A journal, read-only. Raises `ConfigError` where there is none, or which one is not clear."""
    from hlfast.engine.journal_reader import open_journal

    with open_journal(folder, postgres=postgres, network=network, account=account) as journal:
        yield journal
    if journal.note:
        click.echo(f"note: {journal.note}", err=True)


# -- asking it ----------------------------------------------------------------------------------------------------------
def since_ns(text: str) -> int:
    """When `text` says, in ns since 1970: an age (12h), a date or time in UTC, or ms since 1970."""
    from hlfast import clock

    if age := re.fullmatch(r"(\d+)([smhdw])", text):
        return clock.epoch_ns() - int(age[1]) * UNITS_S[age[2]] * 1_000_000_000
    if re.fullmatch(r"\d{12,}", text):
        return int(text) * 1_000_000
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no time; give an age such as 30m, 12h or 7d, a date such as 2026-01-31, or ms since 1970",
            param_hint="--since",
        ) from None
    return int((when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()) * 1_000_000_000


def _select(journal: JournalReader, table: str, time: str, per_s: int, filters: Row) -> list[Row]:
    """Rows of `table` that pass the filters, oldest first. `time`: its column, with `per_s` units a second."""
    where, values = ["1 = 1"], []
    if filters["coin"] is not None:
        where.append("coin = ?")
        values.append(filters["coin"])
    if filters["since"] is not None:
        where.append(f"{time} >= ?")
        values.append(since_ns(filters["since"]) // (1_000_000_000 // per_s))
    if states := filters.get("states"):
        named = [state.upper() for state in states if state not in ("live", "ended")]
        parts = [f"state IN ({', '.join('?' * len(named))})"] if named else []
        parts += ["ended = 0"] if "live" in states else []
        parts += ["ended = 1"] if "ended" in states else []
        where.append(f"({' OR '.join(parts)})")
        values += named
    if (order := filters.get("order")) is not None:
        mine = ["client_order_id = ?", "cloid = ?"]
        values += [order, order.lower()]
        if order.isdigit() and int(order) < 2**63:
            legs = {row["order_id"] for row in journal.select("order_events", "oid = ?", (int(order),))} - {None}
            mine += ["oid = ?", f"order_id IN ({', '.join('?' * len(legs))})" if legs else "1 = 0"]
            values += [int(order), *legs]
        where.append(f"({' OR '.join(mine)})")
    found = journal.select(table, " AND ".join(where), values, order="id DESC", limit=filters["limit"] or None)
    return list(reversed(found))


def _orders(journal: JournalReader, filters: Row) -> list[Row]:
    rows = _select(journal, "orders", "created_ns", 1_000_000_000, filters)
    fills: dict[int, list[Row]] = {}
    for first in range(0, len(rows), 500):
        ids = [row["id"] for row in rows[first : first + 500]]
        for fill in journal.select("fills", f"order_id IN ({', '.join('?' * len(ids))})", ids):
            fills.setdefault(fill["order_id"], []).append(fill)
    return [_order(row, fills.get(row["id"], [])) for row in rows]


def _order(row: Row, fills: list[Row]) -> Row:
    from hlfast.core.fixed import e8_to_text
    from hlfast.core.journal_ring import restore_fill, restore_order

    own = [restore_fill(fill) for fill in fills]
    order = restore_order(row, own, [] if row["oid"] is None else [row["oid"]])
    return {
        "time": _utc(row["created_ns"]),
        "client_order_id": row["client_order_id"],
        "cloid": row["cloid"],
        "oid": row["oid"],
        "coin": row["coin"],
        "side": "buy" if row["side"] == "B" else "sell",
        "type": row["order_type"],
        "tif": row["tif"],
        "reduce_only": bool(row["reduce_only"]),
        "price": _text(order.price),
        "trigger": None if row["trigger_px_e8"] is None else e8_to_text(row["trigger_px_e8"]),
        "size": _text(order.amount),
        "filled": _text(order.filled_amount),
        "average_price": _text(order.average_fill_price),
        "state": row["state"],
        "live": not row["ended"],
        "incomplete": bool(row["incomplete"]),
        "reason": row["reject_text"] or row["reason"],
        "external": bool(row["is_external"]),
        "strategy": row["strategy"],
        "updated": _utc(row["updated_ns"]),
    }


def _fill(row: Row) -> Row:
    from hlfast.core.journal_ring import restore_fill

    fill = restore_fill(row)
    return {
        "time": _utc(row["time_ms"] * 1_000_000),
        "coin": row["coin"],
        "side": "buy" if row["side"] == "B" else "sell",
        "price": _text(fill.price),
        "size": _text(fill.amount),
        "fee": _text(fill.fee),
        "fee_token": row["fee_token"],
        "closed_pnl": _text(fill.closed_pnl),
        "liquidity": fill.liquidity,
        "direction": row["direction"],
        "client_order_id": row["client_order_id"],
        "cloid": row["cloid"],
        "oid": row["oid"],
        "tid": row["tid"],
        "time_ms": row["time_ms"],
        "recovered": bool(row["recovered"]),
        "strategy": row["strategy"],
    }


def _text(number: Any) -> str | None:
    """Plain decimal text without trailing zeros."""
    if number is None:
        return None
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _utc(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


# -- showing it ---------------------------------------------------------------------------------------------------------
FIELDS = {
    "orders": (
        "time", "client_order_id", "cloid", "oid", "coin", "side", "type", "tif", "reduce_only", "price", "trigger", "size",
        "filled", "average_price", "state", "live", "incomplete", "reason", "external", "strategy", "updated",
    ),
    "fills": (
        "time", "coin", "side", "price", "size", "fee", "fee_token", "closed_pnl", "liquidity", "direction",
        "client_order_id", "cloid", "oid", "tid", "time_ms", "recovered", "strategy",
    ),
}  # fmt: skip
ORDER_COLUMNS = (
    "time",
    "coin",
    "side",
    "price",
    "size",
    "filled",
    "average_price",
    "tif",
    "state",
    "client_order_id",
    "oid",
    "reason",
)
FILL_COLUMNS = (
    "time",
    "coin",
    "side",
    "price",
    "size",
    "fee",
    "closed_pnl",
    "liquidity",
    "direction",
    "client_order_id",
    "oid",
    "tid",
)
EXPENDABLE = (
    "tid",
    "reason",
    "direction",
    "oid",
    "average_price",
    "closed_pnl",
    "client_order_id",
    "liquidity",
    "fee",
    "tif",
)
"""What a narrow terminal does without, in this order."""

NUMBERS = ("price", "size", "filled", "average_price", "fee", "closed_pnl", "oid", "tid")


def _show(rows: list[Row], columns: Sequence[str], what: str, as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if as_json:
        import orjson

        click.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    elif as_csv:
        import csv
        import sys

        names = FIELDS[what]
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(names)
        out.writerows([row[name] for name in names] for row in rows)
    elif not rows:
        click.echo(f"no {what} match")
    else:
        _table(rows, columns)


def _table(rows: list[Row], columns: Sequence[str]) -> None:
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table

    # Without a terminal lines must not be folded at 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 220)
    columns = _that_fit(rows, columns, console.width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(
            name.replace("_", " "), justify="right" if name in NUMBERS else "left", no_wrap=name != "reason"
        )
    for row in rows:
        cells = [row[name] for name in columns]
        table.add_row(
            *["" if cell is None else str(cell) for cell in cells], style="" if row.get("live", True) else "dim"
        )
    console.print(table)


def _that_fit(rows: list[Row], columns: Sequence[str], width: int) -> list[str]:
    """The columns without those that matter least, until none has to be cut. `--json` and `--csv` have them all."""
    widest = {
        name: max(len(name), *(len("" if row[name] is None else str(row[name])) for row in rows)) for name in columns
    }
    left = list(columns)
    for name in EXPENDABLE:
        if sum(widest[column] + 3 for column in left) <= width:
            break
        if name in left:
            left.remove(name)
    return left
