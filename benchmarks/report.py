"""The one table, and the same as JSON. A terminal gets colours, anything else plain text.

python -m benchmarks --json figures.json && python -m benchmarks.report figures.json     # Markdown, to be pasted
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from benchmarks.registry import Benchmark, Measured, Role, amount

COLUMNS = ("what", "who", "each", "net", "p50", "p90", "p99", "p99.9", "max", "× hlfast", "targets")
SHOWN_PERCENTILES = ("p50", "p90", "p99", "p99.9", "max")
BLANKS = len(COLUMNS) - 2


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
        return [(benchmark.what, "MISMATCH", *[""] * (BLANKS - 1), outcome.mismatch)]
    order = list(Role)

    def place(row: Measured) -> tuple[Any, ...]:
        if row.at is not None:
            return row.at, order.index(row.role), row.value
        return 0.0, order.index(row.role), row.value if row.role is Role.PEER else 0.0

    rows = sorted(outcome.rows, key=place)
    first = next((row.value for row in rows if row.role is Role.HLFAST), None)
    targets = verdict(outcome)
    lines = []
    for at in range(max(len(rows), len(targets))):
        told = targets[at] if at < len(targets) else ""
        what = benchmark.what if at == 0 else ""
        if at >= len(rows):
            lines.append((what, *[""] * BLANKS, told))
            continue
        row = rows[at]
        who = {Role.STAGE: f"  {row.who}", Role.FLOOR: f"floor: {row.who}"}.get(row.role, row.who)
        if row.at is not None:
            who = f"{row.at:,g} {benchmark.axis}: {who.strip()}"
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
        "axis": benchmark.axis,
        "mismatch": outcome.mismatch,
        "rows": [
            {
                "who": row.who,
                "role": row.role.value,
                "value": row.value,
                "net": row.net,
                "percentiles": row.percentiles,
                "count": row.count,
                "at": row.at,
                "distribution": row.distribution,
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


# -- Markdown -----------------------------------------------------------------------------------------------------------
MARKDOWN_COLUMNS = ("what", "who", "each or p50", "p90", "p99", "p99.9", "max", "× hlfast")


def markdown(figures: dict[str, Any]) -> str:
    """The figures of a JSON file as a heading and one table for each area, then the targets."""
    machine, build = figures["machine"], figures["build"]
    versions = ", ".join(f"{name} {version}" for name, version in figures["peers"].items() if version)
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load']} at the start; {machine['system']};",
        f"{machine['python']}; hlfast {build['version']}, {build['compiler']}, Cython {build['cython']}; {machine['date']};",
        f"`python -m benchmarks{' --quick' if figures['quick'] else ''}`. {versions}.",
    ]
    areas: dict[str, list[dict[str, Any]]] = {}
    for benchmark in figures["benchmarks"]:
        areas.setdefault(benchmark["area"], []).append(benchmark)
    for area, benchmarks in areas.items():
        lines += ["", f"### {area.replace('_', ' ')}", "", _row(MARKDOWN_COLUMNS), _row(("---", "---", *["---:"] * 6))]
        for benchmark in benchmarks:
            lines += _markdown_rows(benchmark)
    lines += [
        "",
        "### Targets",
        "",
        _row(("what", "target", "limit", "value", "met")),
        _row(("---",) * 2 + ("---:",) * 3),
    ]
    for benchmark in figures["benchmarks"]:
        for target in benchmark["targets"]:
            said = {True: "yes", False: "**no**", None: "not told"}[target["met"]]
            bounds = (amount(target[key], benchmark["unit"]) for key in ("limit", "value"))
            lines.append(_row((benchmark["what"], target["text"], *bounds, said)))
    return "\n".join(lines)


def _markdown_rows(benchmark: dict[str, Any]) -> list[str]:
    if benchmark["mismatch"]:
        return [_row((benchmark["what"], "MISMATCH", benchmark["mismatch"], *[""] * 5))]
    order = [role.value for role in Role]

    def place(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["at"] or 0.0, order.index(row["role"]), row["value"] if row["role"] == "peer" else 0.0

    rows = sorted(benchmark["rows"], key=place)
    first = next((row["value"] for row in rows if row["role"] == "hlfast"), None)
    lines = []
    for at, row in enumerate(rows):
        who = {"stage": f"↳ {row['who']}", "floor": f"floor: {row['who']}"}.get(row["role"], row["who"])
        if row["role"] == "hlfast":
            who = f"**{who}**"
        if row["at"] is not None:
            who = f"{row['at']:,g} {benchmark['axis']}: {who}"
        tail = [amount(row["percentiles"].get(name), benchmark["unit"]) for name in SHOWN_PERCENTILES[1:]]
        ratio = f"{row['value'] / first:.2f}" if first else ""
        what = benchmark["what"] if at == 0 else ""
        lines.append(_row((what, who, amount(row["value"], benchmark["unit"]), *tail, ratio)))
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.report FIGURES.json")
    print(markdown(json.loads(Path(sys.argv[1]).read_text())))
