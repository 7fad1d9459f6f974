"""The one table, and the same as JSON. A terminal gets colours, anything else plain text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from benchmarks.registry import Benchmark, Measured, Role, amount

COLUMNS = ("what", "who", "each", "net", "p50", "p90", "p99", "max", "× hlfast", "targets")
SHOWN_PERCENTILES = ("p50", "p90", "p99", "max")


@dataclass(frozen=True)
class Outcome:
    """What came of one benchmark: its rows, or why there are none."""

    benchmark: Benchmark
    rows: Sequence[Measured]
    mismatch: str | None = None


def verdict(outcome: Outcome) -> list[str]:
    """Every target of the benchmark, and whether it was met in this run."""
    said = {True: "met", False: "MISSED", None: "not told"}
    return [f"{target.text}: {said[target.is_met(outcome.rows)]}" for target in outcome.benchmark.targets]


def lines_of(outcome: Outcome) -> list[tuple[str, ...]]:
    """The table's lines for one benchmark: hlfast, its stages, the peers from the fastest on, the floors."""
    benchmark = outcome.benchmark
    if outcome.mismatch:
        return [(benchmark.what, "MISMATCH", *[""] * 7, outcome.mismatch)]
    order = list(Role)
    rows = sorted(outcome.rows, key=lambda row: (order.index(row.role), row.value if row.role is Role.PEER else 0.0))
    first = next((row.value for row in rows if row.role is Role.HLFAST), None)
    targets = verdict(outcome)
    lines = []
    for at in range(max(len(rows), len(targets))):
        told = targets[at] if at < len(targets) else ""
        what = benchmark.what if at == 0 else ""
        if at >= len(rows):
            lines.append((what, *[""] * 8, told))
            continue
        row = rows[at]
        who = {Role.STAGE: f"  {row.who}", Role.FLOOR: f"floor: {row.who}"}.get(row.role, row.who)
        percentiles = [amount(row.percentiles.get(name), benchmark.unit) for name in SHOWN_PERCENTILES]
        each = "" if row.percentiles else amount(row.value, benchmark.unit)
        ratio = f"{row.value / first:.2f}" if first else ""
        lines.append((what, who, each, amount(row.net), *percentiles, ratio, told))
    return lines


def print_table(outcomes: Iterable[Outcome], out: TextIO = sys.stdout) -> None:
    """All of it, at the end of a run."""
    groups = [lines_of(outcome) for outcome in outcomes]
    if out.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*COLUMNS, show_lines=False)
        for lines in groups:
            for line in lines:
                table.add_row(*(Text(cell) for cell in line), style="bold" if line[0] else None)
            table.add_section()
        Console(file=out).print(table)
        return
    groups.insert(0, [COLUMNS])
    widths = [max(len(line[at]) for lines in groups for line in lines) for at in range(len(COLUMNS) - 1)]
    for lines in groups:
        for line in lines:
            cells = [
                cell.ljust(width) if at < 2 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=False))
            ]
            print("  ".join([*cells, line[-1]]).rstrip(), file=out)
        print(file=out)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """One benchmark as it stands in the JSON file."""
    benchmark = outcome.benchmark
    return {
        "name": benchmark.name,
        "what": benchmark.what,
        "area": benchmark.area,
        "unit": benchmark.unit,
        "mismatch": outcome.mismatch,
        "rows": [
            {
                "who": row.who,
                "role": row.role.value,
                "value": row.value,
                "net": row.net,
                "percentiles": row.percentiles,
                "count": row.count,
            }
            for row in outcome.rows
        ],
        "targets": [
            {
                "text": target.text,
                "limit": target.limit(outcome.rows),
                "value": target.worst(outcome.rows),
                "met": target.is_met(outcome.rows),
            }
            for target in benchmark.targets
        ],
    }
