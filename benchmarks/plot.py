"""Pictures of a run, from its figures as they stand in the JSON file.

    python -m benchmarks --plot DIR
    python -m benchmarks.plot FIGURES.json DIR

Distributions (tick to trade, the universe), stages, cost against levels, instruments, orders, handlers and bursts, and the
kernels beside the best peer. matplotlib is imported when something is drawn: it is an extra (`pip install '.[plot]'`).
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.registry import amount

OURS, FLOOR = "#c0392b", "#7f8c8d"
PEERS = ("#2980b9", "#27ae60", "#8e44ad", "#d68910", "#16a085", "#2c3e50", "#b03a8c", "#7d6608")
WIDTH, HEIGHT = 9.0, 5.4


def is_possible() -> bool:
    return find_spec("matplotlib") is not None


def draw(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Write every picture that the figures allow; returns their paths."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    machine = figures["machine"]
    caption = f"{machine['processor']}, {machine['cores']} cores · {machine['python']} · {machine['date'][:10]}"
    if figures["quick"]:
        caption += " · --quick, rough"
    made = []
    for name, figure in _pictures(figures["benchmarks"], pyplot):
        figure.text(0.995, 0.005, caption, ha="right", va="bottom", fontsize=7, color="#666666")
        path = folder / f"{name}.png"
        figure.tight_layout(rect=(0, 0.02, 1, 1))
        figure.savefig(path, dpi=130)
        pyplot.close(figure)
        made.append(path)
    return made


def _pictures(benchmarks: list[dict[str, Any]], pyplot: Any) -> Iterator[tuple[str, Any]]:
    shown = [one for one in benchmarks if not one["mismatch"] and one["rows"]]
    for one in shown:
        if one["axis"]:
            yield one["name"], _curve(one, pyplot)
        elif one["area"] == "tick_to_trade" or one["name"] == "universe":
            yield one["name"], _distribution(one, pyplot)
        if one["area"] == "tick_to_trade":
            yield f"{one['name']}_stages", _stages(one, pyplot)
    kernels = [
        one for one in shown if one["area"] == "kernels" and _best(one["rows"], "peer") and _best(one["rows"], "hlfast")
    ]
    if kernels:
        yield "kernels", _kernels(kernels, pyplot)


def _best(rows: list[dict[str, Any]], role: str) -> dict[str, Any] | None:
    return min((row for row in rows if row["role"] == role), key=lambda row: row["value"], default=None)


def _style(row: dict[str, Any], peer: int) -> dict[str, Any]:
    """Red: hlfast. Grey and dashed: the floor. Other colours: peers."""
    if row["role"] == "hlfast":
        return {"color": OURS, "linewidth": 2.2, "zorder": 5}
    if row["role"] == "floor":
        return {"color": FLOOR, "linewidth": 1.6, "linestyle": "--"}
    return {"color": PEERS[peer % len(PEERS)], "linewidth": 1.4}


def _time_axis(axis: Any) -> None:
    """Nanoseconds, written with the unit that fits."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=40))
    axis.set_major_formatter(FuncFormatter(lambda ns, _: amount(ns)))
    axis.set_minor_formatter(NullFormatter())


def _distribution(one: dict[str, Any], pyplot: Any) -> Any:
    """Latency against the share of events that took longer: the tail has as much room as the middle."""
    rows = [row for row in one["rows"] if row["role"] != "stage" and row["distribution"]]
    figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT + 0.1 * len(rows)))
    lines = []
    dashes = iter(("-", "-.", ":", (0, (5, 1))))
    for at, row in enumerate(sorted(rows, key=lambda row: -row["value"])):
        # The last point, the maximum, stands where one event of all that there were is.
        points = [(1 - q if q < 1 else 1 / row["count"], ns) for q, ns in row["distribution"]]
        points = [(over, ns) for over, ns in points if over >= 1 / row["count"]]
        style = _style(row, at)
        if row["role"] == "hlfast":
            style["linestyle"] = next(dashes)
        xs, ys = zip(*points, strict=True)
        lines += axes.plot(xs, ys, label=f"{row['who']}, p50 {amount(row['value'])}", **style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.invert_xaxis()
    least = min(1 / row["count"] for row in rows)
    ticks = [tick for tick in (0.5, 0.1, 0.01, 0.001, 0.0001) if tick >= least]
    axes.set_xlim(1, least * 0.9)
    axes.set_xticks(ticks, [f"p{100 * (1 - tick):g}" for tick in ticks])
    axes.minorticks_off()
    _time_axis(axes.yaxis)
    axes.grid(True, alpha=0.3)
    axes.set_title(one["what"], fontsize=11)
    axes.legend(handles=lines, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.07), ncol=2, frameon=False)
    return figure


def _stages(one: dict[str, Any], pyplot: Any) -> Any:
    """The recorder's stages: the bar is the median, the whisker reaches p99."""
    rows = [row for row in one["rows"] if row["role"] == "stage" and not row["distribution"]]
    figure, axes = pyplot.subplots(figsize=(WIDTH, 0.5 * len(rows) + 1.4))
    for at, row in enumerate(rows):
        median, high = row["percentiles"]["p50"], row["percentiles"]["p99"]
        axes.barh(at, median, color=OURS, alpha=0.85)
        axes.plot((median, high), (at, at), color="#333333", linewidth=1.2, marker="|", markevery=[1])
        axes.text(high * 1.08, at, f"{amount(median)}, p99 {amount(high)}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row["who"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(max(100.0, min(row["value"] for row in rows) / 3), max(row["percentiles"]["p99"] for row in rows) * 6)
    _time_axis(axes.xaxis)
    axes.grid(True, axis="x", alpha=0.3)
    axes.set_title(f"{one['what']}: stages inside hlfast", fontsize=11)
    return figure


def _curve(one: dict[str, Any], pyplot: Any) -> Any:
    """Cost against what grows, both logarithmic; a dotted line is what is proportional to it."""
    figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT))
    sides: dict[str, list[dict[str, Any]]] = {}
    for row in one["rows"]:
        sides.setdefault(row["who"], []).append(row)
    for at, (who, rows) in enumerate(sides.items()):
        rows.sort(key=lambda row: row["at"])
        xs, ys = [row["at"] for row in rows], [row["value"] for row in rows]
        has_tail = bool(rows[0]["percentiles"])
        axes.plot(xs, ys, marker="o", label=f"{who}, p50" if has_tail else who, **_style(rows[0], at))
        if has_tail:
            for name, style in (("p99", "--"), ("max", ":")):
                ys = [row["percentiles"][name] for row in rows]
                axes.plot(xs, ys, style, marker=".", color=OURS, label=f"{who}, {name}", linewidth=1.2)
    ours = [row for row in one["rows"] if row["role"] == "hlfast"]
    last = max(ours, key=lambda row: row["at"])
    xs = sorted({row["at"] for row in ours})
    axes.plot(xs, [last["value"] * x / last["at"] for x in xs], ":", color="#999999", label="proportional", zorder=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(xs, [f"{x:,g}" for x in xs])
    axes.minorticks_off()
    values = [row["value"] for row in one["rows"]] + [
        row["percentiles"].get("max", row["value"]) for row in one["rows"]
    ]
    low, high = min(values), max(values)
    room = max(1.6, math.sqrt(10 / max(high / low, 1.0)))
    axes.set_ylim(low / room, high * room)
    _time_axis(axes.yaxis)
    axes.grid(True, alpha=0.3)
    axes.set_xlabel(one["axis"])
    axes.set_title(one["what"], fontsize=11)
    axes.legend(fontsize=8)
    return figure


def _kernels(kernels: list[dict[str, Any]], pyplot: Any) -> Any:
    """How many times as long the best peer and the slowest one take as hlfast."""
    figure, axes = pyplot.subplots(figsize=(WIDTH, 0.42 * len(kernels) + 1.6))
    least, most = 1.0, 1.0
    for at, one in enumerate(kernels):
        ours, best = _best(one["rows"], "hlfast"), _best(one["rows"], "peer")
        assert ours is not None and best is not None
        slowest = max((row for row in one["rows"] if row["role"] == "peer"), key=lambda row: row["value"])
        near, far = best["value"] / ours["value"], slowest["value"] / ours["value"]
        axes.plot((near, far), (at, at), color="#bbbbbb", linewidth=1.2, zorder=1)
        axes.plot(far, at, "o", color=PEERS[2], label="slowest peer" if at == 0 else None)
        axes.plot(near, at, "o", color=PEERS[0], label="best peer" if at == 0 else None)
        axes.text(far * 1.25, at, f"best: {best['who']}, {near:.1f} ×", va="center", fontsize=7.5)
        least, most = min(least, near), max(most, far)
    axes.axvline(1, color=OURS, linewidth=2)
    names = [f"{one['what']}  ({amount(_best(one['rows'], 'hlfast')['value'])})" for one in kernels]  # type: ignore[index]
    axes.set_yticks(range(len(kernels)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(0.7 * least, most * 1_000)
    axes.set_xticks([1, 10, 100, 1_000, 10_000], ["1 ×", "10 ×", "100 ×", "1,000 ×", "10,000 ×"])
    axes.grid(True, axis="x", alpha=0.3)
    axes.set_xlabel("times as long as hlfast (red line; its own time in brackets)")
    axes.legend(fontsize=8, loc="lower right")
    axes.set_title("kernels, looped from Python", fontsize=11)
    return figure


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m benchmarks.plot FIGURES.json DIR")
    if not is_possible():
        sys.exit("error: this needs matplotlib: pip install '.[plot]'")
    for picture in draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])):
        print(picture)
