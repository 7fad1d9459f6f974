"""Pictures of a trading report as inline SVG (layer 4, cold): curves over time, fills on a price, spans on a log scale.

    svg = Picture("Profit", 1000, 260).curve(points, "line-a", steps=True).svg()

Every picture is text of its own: no script, no font, no file beside it. Colours are classes that the page's style sheet
sets for light and dark. Points are (epoch ns, number); long curves are thinned to what a screen can show, keeping each
stretch's first, last, lowest and highest point. Numbers are floats here and nowhere else: they are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from html import escape
from typing import Any

Point = tuple[float, float]

LEFT, RIGHT, TOP, BOTTOM = 76.0, 16.0, 12.0, 26.0
SHOWN = 600
"""Stretches of a thinned curve; twice to four times as many points are drawn."""
MARKS_SHOWN = 4000
CROWD = 300
"""With more marks each is drawn smaller."""
TIME_STEPS_S = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800,
    604800, 1209600, 2592000, 7776000, 31536000,
)  # fmt: skip


def thin(points: Sequence[Point], shown: int = SHOWN) -> list[Point]:
    """At most about four points for each of `shown` stretches of time; all of them if there are few."""
    if len(points) <= 4 * shown:
        return list(points)
    first, last = points[0][0], points[-1][0]
    width = (last - first) / shown or 1
    stretches: dict[int, list[Point]] = {}
    for point in points:
        stretches.setdefault(int((point[0] - first) / width), []).append(point)
    kept = []
    for stretch in stretches.values():
        chosen = {0, len(stretch) - 1}
        chosen.add(min(range(len(stretch)), key=lambda i: stretch[i][1]))
        chosen.add(max(range(len(stretch)), key=lambda i: stretch[i][1]))
        kept += [stretch[i] for i in sorted(chosen)]
    return kept


def nice_steps(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers from `low` to `high`, about `wanted` of them."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    rough = span / max(1, wanted)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float, step: float) -> str:
    """A tick's text: as many decimals as its step needs, thousands apart."""
    decimals = min(10, max(0, -math.floor(math.log10(step) + 1e-9))) if step > 0 else 2
    if decimals and abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1  # steps of 2.5
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "\u2212") if float(text.replace(",", "")) else text.replace("-", "")


@dataclass
class Picture:
    """One panel: what is drawn is collected, and put on a scale that holds all of it by `svg()`."""

    title: str
    width: float = 1000.0
    height: float = 260.0
    zero: bool = False
    """Zero is always in sight, as a line."""
    shown: tuple[float, float] | None = None
    """The stretch of time that is shown, where it is not that of the points: so that panels stand beneath each other."""
    curves: list[tuple[str, list[Point], bool, str]] = field(default_factory=list)
    marks: list[tuple[float, float, str, str]] = field(default_factory=list)
    breaks: list[float] = field(default_factory=list)

    def curve(self, points: Iterable[tuple[Any, Any]], style: str, *, steps: bool = False, area: str = "") -> Picture:
        """A line through `points`, in steps if its value holds until the next; `area`: the class of what is below it."""
        found = thin([(float(x), float(y)) for x, y in points])
        if found:
            self.curves.append((style, found, steps, area))
        return self

    def mark(self, x: Any, y: Any, style: str, label: str) -> Picture:
        """A triangle for a fill; `style`: buy or sell, and maker or taker. `label` is shown by the pointer."""
        self.marks.append((float(x), float(y), style, label))
        return self

    def breaks_at(self, times: Iterable[Any]) -> Picture:
        """Thin vertical lines, for the starts of runs."""
        self.breaks += [float(time) for time in times]
        return self

    # -- drawing ----------------------------------------------------------------------------------------------------
    def svg(self) -> str:
        points = [point for _, found, _, _ in self.curves for point in found] + [(x, y) for x, y, _, _ in self.marks]
        if not points:
            return ""
        x0, x1 = self.shown or (min(p[0] for p in points), max(p[0] for p in points))
        y0, y1 = min(p[1] for p in points), max(p[1] for p in points)
        if self.zero:
            y0, y1 = min(y0, 0.0), max(y1, 0.0)
        if x1 <= x0:
            x0, x1 = x0 - 5e8, x1 + 5e8
        if y1 <= y0:
            apart = abs(y0) * 1e-3 or 1.0
            y0, y1 = y0 - apart, y1 + apart
        room = (y1 - y0) * 0.06
        y0, y1 = y0 - room, y1 + room

        def at_x(x: float) -> float:
            return LEFT + (x - x0) / (x1 - x0) * (self.width - LEFT - RIGHT)

        def at_y(y: float) -> float:
            return self.height - BOTTOM - (y - y0) / (y1 - y0) * (self.height - TOP - BOTTOM)

        parts = [
            f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(self.title)}" '
            'xmlns="http://www.w3.org/2000/svg">'
        ]
        steps = nice_steps(y0, y1, max(4, int((self.height - TOP - BOTTOM) / 46)))
        apart = steps[1] - steps[0] if len(steps) > 1 else abs(steps[0]) or 1.0
        for y in steps:
            zero = " zero" if self.zero and abs(y) < apart * 1e-6 else ""
            parts.append(
                f'<line class="grid{zero}" x1="{LEFT:g}" x2="{self.width - RIGHT:g}" y1="{at_y(y):.1f}" y2="{at_y(y):.1f}"/>'
            )
            parts.append(
                f'<text class="tick" x="{LEFT - 8:g}" y="{at_y(y) + 4:.1f}" text-anchor="end">{number(y, apart)}</text>'
            )
        parts += self._time_axis(x0, x1, at_x)
        for x in self.breaks:
            if x0 < x < x1:
                parts.append(
                    f'<line class="break" x1="{at_x(x):.1f}" x2="{at_x(x):.1f}" y1="{TOP:g}" y2="{self.height - BOTTOM:g}"/>'
                )
        for style, found, stepped, area in self.curves:
            line = _path([(at_x(x), at_y(y)) for x, y in found], stepped, at_x(x1) if stepped else None)
            if area:
                floor = at_y(0.0) if self.zero else self.height - BOTTOM
                end = at_x(x1) if stepped else at_x(found[-1][0])
                parts.append(
                    f'<path class="{area}" d="{line}L{end:.1f} {floor:.1f}L{at_x(found[0][0]):.1f} {floor:.1f}Z"/>'
                )
            parts.append(f'<path class="line {style}" d="{line}"/>')
            if len(found) == 1:
                parts.append(
                    f'<circle class="dot {style}" cx="{at_x(found[0][0]):.1f}" cy="{at_y(found[0][1]):.1f}" r="3"/>'
                )
        for x, y, style, label in self.marks:
            parts.append(_triangle(at_x(x), at_y(y), style, label, 5.0 if len(self.marks) <= CROWD else 3.4))
        parts.append("</svg>")
        return "".join(parts)

    def _time_axis(self, x0: float, x1: float, at_x: Any) -> list[str]:
        seconds = (x1 - x0) / 1e9
        year = TIME_STEPS_S[-1]
        step = next((s for s in TIME_STEPS_S if seconds / s <= 8), year * math.ceil(seconds / year / 8))
        parts, previous = [], ""
        first = math.ceil(x0 / 1e9 / step)
        for n in range(first, math.floor(x1 / 1e9 / step) + 1):
            at = n * step
            when = datetime.fromtimestamp(at, timezone.utc)
            text = _clock(when, step)
            if (day := f"{when:%b} {when.day}") != previous and step < 86400:
                text, previous = (f"{day} {text}" if step >= 60 or not previous else text), day
            parts.append(
                f'<line class="grid" x1="{at_x(at * 1e9):.1f}" x2="{at_x(at * 1e9):.1f}" y1="{TOP:g}" y2="{self.height - BOTTOM:g}"/>'
            )
            parts.append(
                f'<text class="tick" x="{at_x(at * 1e9):.1f}" y="{self.height - 8:g}" text-anchor="middle">{text}</text>'
            )
        return parts


def _clock(when: datetime, step: float) -> str:
    if step < 1:
        return f"{when:%H:%M:%S}.{when.microsecond // 100_000}"
    if step < 60:
        return f"{when:%H:%M:%S}"
    if step < 86400:
        return f"{when:%H:%M}"
    return f"{when:%b} {when.day}" if step < 2592000 else f"{when:%b %Y}"


def _path(points: Sequence[Point], stepped: bool, end: float | None) -> str:
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for x, y in points[1:]:
        parts.append(f"H{x:.1f}V{y:.1f}" if stepped else f"L{x:.1f} {y:.1f}")
    if end is not None:
        parts.append(f"H{end:.1f}")
    return "".join(parts)


def _triangle(x: float, y: float, style: str, label: str, r: float) -> str:
    up = "buy" in style
    d = f"M{x:.1f} {y - r if up else y + r:.1f}l{r:g} {1.72 * r if up else -1.72 * r:.1f}h{-2 * r:g}z"
    return f'<path class="mark {style}" d="{d}"><title>{escape(label)}</title></path>'


def spans(rows: Sequence[tuple[str, float, float, float]], unit: str, width: float = 1000.0) -> str:
    """Rows (name, p50, p99, max) as a bar from p50 to p99 and a tick at the maximum, on one logarithmic scale."""
    rows = [(name, max(p50, 1e-6), max(p99, 1e-6), max(most, 1e-6)) for name, p50, p99, most in rows]
    if not rows:
        return ""
    low = 10.0 ** math.floor(math.log10(min(row[1] for row in rows)))
    high = 10.0 ** math.ceil(math.log10(max(row[3] for row in rows)) + 1e-9)
    left, height = 210.0, 30.0 * len(rows) + 34.0
    scale = (width - left - 48.0) / max(1e-9, math.log10(high) - math.log10(low))

    def at(value: float) -> float:
        return left + (math.log10(value) - math.log10(low)) * scale

    parts = [
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="latency" xmlns="http://www.w3.org/2000/svg">'
    ]
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        x = at(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 26:g}"/>')
        label = f"{10.0**power:,.0f}" if power >= 0 else f"{10.0**power:.{-power}f}"
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8:g}" text-anchor="middle">{label} {unit}</text>')
    for i, (name, p50, p99, most) in enumerate(rows):
        y = 18.0 + 30.0 * i
        parts.append(f'<text class="name" x="{left - 12:g}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<line class="whisker" x1="{at(p99):.1f}" x2="{at(most):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<line class="whisker" x1="{at(most):.1f}" x2="{at(most):.1f}" y1="{y - 5:.1f}" y2="{y + 5:.1f}"/>'
        )
        parts.append(
            f'<rect class="span" x="{at(p50):.1f}" y="{y - 7:.1f}" width="{max(2.0, at(p99) - at(p50)):.1f}" height="14" rx="3">'
            f"<title>{escape(name)}: p50 {p50:g}, p99 {p99:g}, max {most:g} {unit}</title></rect>"
        )
        parts.append(f'<circle class="median" cx="{at(p50):.1f}" cy="{y:.1f}" r="4.5"/>')
    parts.append("</svg>")
    return "".join(parts)
