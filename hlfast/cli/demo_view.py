"""The screens of the demo and of runs (layer 5): the live view and the demo's summary, as pure functions from figures to rich renderables.

Drawing takes milliseconds, so the live view is drawn by a process of its own: this module run as a script reads one
snapshot (JSON, see `demo_meter`) a line from standard input until it is closed, and draws the newest. The trading
process only writes a line into a pipe, and drops it if the pipe is full.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hlfast.cli.child import python_module

if TYPE_CHECKING:
    from hlfast.cli.demo import DemoResult

STAGE_NAMES = {
    "frame_book": "frame→book",
    "book_callback": "book→callback",
    "check": "check",
    "encode": "encode",
    "sign": "sign",
    "write": "write",
    "total": "buy() in all",
    "tick_to_trade": "tick→trade",
    "ack": "acknowledged",
}
PERCENTILES = {"p50": "p50_ns", "p90": "p90_ns", "p99": "p99_ns", "p99.9": "p999_ns", "max": "max_ns"}
FEW_PERCENTILES = ("p50", "p99", "max")
WIDE = 98
"""Columns from which on the live view has all percentiles."""
TALL = 30
"""Lines from which on events and fills have a panel each, and books five levels."""
STATE_STYLES = {"LIVE": "green", "DOWN": "bold red"}
SIDE_STYLES = {"B": "green", "A": "red"}
START_SECONDS = 1.0
MANY_EVENTS = 30
MANY_BOOKS = 3
"""As many have room side by side."""
FULL_PIPE = 256 * 1024


class Screen:
    """The process that draws. `show()` never waits."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def open(cls) -> Screen:
        process = await asyncio.create_subprocess_exec(
            *python_module("hlfast.cli.demo_view"), stdin=asyncio.subprocess.PIPE
        )
        return cls(process)

    def show(self, snapshot: dict[str, Any]) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing() or pipe.transport.get_write_buffer_size() > FULL_PIPE:
            return
        pipe.write(orjson.dumps(snapshot) + b"\n")

    async def close(self) -> None:
        """Give the terminal back."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 2.0)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()


# -- live -----------------------------------------------------------------------------------------------------------
def live_view(snapshot: dict[str, Any], width: int = WIDE, height: int = TALL) -> RenderableType:
    """The whole screen of `width` columns and `height` lines; drawn for 80 x 24 or more."""
    root = Layout()
    books, wide, tall = snapshot["books"], width >= WIDE, height >= TALL
    coins = {book["coin"] for book in books} | {position["coin"] for position in snapshot["positions"]}
    strategies = snapshot.get("strategies") or {}
    run = [Layout(_panel("strategies", strategies_table(strategies)), size=len(strategies) + 3)] if strategies else []
    root.split_column(
        Layout(_header(snapshot), size=1),
        Layout(name="books", size=8 if tall else 6),
        *run,
        Layout(
            _panel(f"positions, volume {float(snapshot['totals']['volume']):,.0f}", _positions(snapshot)),
            size=len(coins) + 4,
        ),
        Layout(name="bottom", ratio=1, minimum_size=6),
    )
    root["books"].split_row(*(Layout(_book(book, snapshot["orders"])) for book in books[: MANY_BOOKS if wide else 2]))
    percentiles = tuple(PERCENTILES) if wide else FEW_PERCENTILES
    root["bottom"].split_row(
        Layout(_panel("latency", latency_table(snapshot["latency"], percentiles)), size=58 if wide else 44),
        Layout(name="activity"),
    )
    root["activity"].split_column(
        Layout(_panel("activity", _activity(snapshot)), size=6),
        *(
            (
                Layout(_panel("events", _said(snapshot["events"], "cyan")), ratio=1),
                Layout(_panel("fills", _said(snapshot["fills"], "")), ratio=1),
            )
            if tall
            else (Layout(_panel("news", _said(sorted([*snapshot["events"], *snapshot["fills"]]), "")), ratio=1),)
        ),
    )
    return root


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="bright_black", padding=(0, 1))


def _header(snapshot: dict[str, Any]) -> Text:
    limit, seed = snapshot.get("seconds"), snapshot.get("seed")
    text = Text(snapshot.get("title", "hlfast demo"))
    text.append(f"  {snapshot['elapsed']:.1f}{f' / {limit:g}' if limit else ''} s")
    for stream, state in sorted(snapshot["streams"].items(), reverse=True):
        text.append(f"  {stream} ")
        text.append(f"● {state}", style=STATE_STYLES.get(state, "yellow"))
    facts = [] if limit else ["Ctrl-C ends"]
    health = snapshot.get("health") or {}
    if health.get("why"):
        text.append(f"  {health['why'][0]}", style="bold yellow")
    facts += [f"seed {seed}"] if seed is not None else []
    text.append("  ".join(["", *facts, snapshot["url"]]), style="bright_black")
    return text


def _book(book: dict[str, Any], orders: list[dict[str, Any]]) -> Panel:
    """Bids left, asks right, best on top; a price where an own order rests is marked."""
    own = {(order["side"], order["px"]) for order in orders if order["coin"] == book["coin"]}
    table = Table.grid(padding=(0, 1), expand=True)
    for _ in range(4):
        table.add_column(justify="right", ratio=1, no_wrap=True)
    table.add_row(*(Text(name, style="bright_black") for name in ("size", "bid", "ask", "size")))
    for i in range(max(len(book["bids"]), len(book["asks"]))):
        bid = book["bids"][i] if i < len(book["bids"]) else ("", "")
        ask = book["asks"][i] if i < len(book["asks"]) else ("", "")
        table.add_row(bid[1], _level(bid[0], "B", own), _level(ask[0], "A", own), ask[1])
    title = Text(f"{book['coin']} {book['best_bid']} / {book['best_ask']}", style="bold")
    if book["stale"]:
        return Panel(
            table, title=title, subtitle=Text(f"STALE: {book['stale'][:32]}…", style="bold red"), border_style="red"
        )
    facts = f"spread {book['spread_bps']} bps · {book['age_ms']} ms old" if book["bids"] and book["asks"] else "no book"
    return Panel(table, title=title, subtitle=Text(facts, style="bright_black"), border_style="bright_black")


def _level(px: str, side: str, own: set[tuple[str, str]]) -> Text:
    style = SIDE_STYLES[side]
    return Text(f"▸{px}", style=f"bold reverse {style}") if (side, px) in own else Text(px, style=style)


def _positions(snapshot: dict[str, Any]) -> Table:
    """A row for each coin, own quotes with it, and the sum."""
    table = plain_table("", "own bid", "own ask", "position", "entry", "unrealized", "realized", "fees")
    held = {position["coin"]: position for position in snapshot["positions"]}
    for coin in dict.fromkeys([*(book["coin"] for book in snapshot["books"]), *held]):
        position = held.get(coin)
        quotes = [_quote(snapshot["orders"], coin, side) for side in ("B", "A")]
        if position is None:
            table.add_row(coin, *quotes, "0", "", "", "", "")
            continue
        table.add_row(
            coin,
            *quotes,
            signed(position["size"]),
            _short(position["entry"]) if position["size"] != "0" else "",
            money(position["unrealized"]),
            money(position["realized"]),
            fees_text(position["fees"]),
        )
    totals = snapshot["totals"]
    table.add_row(
        "all", "", "", "", "", money(totals["unrealized_pnl"]), money(totals["realized_pnl"]), fees_text(totals["fees"])
    )
    return table


def strategies_table(strategies: dict[str, dict[str, Any]]) -> Table:
    """A row a strategy of `hlfast run`; amounts are decimal text."""
    table = plain_table("", "position", "realized", "unrealized", "fees", "funding", "net", "fills", "refused")
    for name, figures in strategies.items():
        held = [f"{row['size']} {row['coin']}" for row in figures["positions"] if row["size"] != "0"]
        table.add_row(
            name,
            " ".join(held) or "flat",
            money(figures["realized_pnl"]),
            money(figures["unrealized_pnl"]),
            fees_text(figures["fees"]),
            money(figures["funding"]),
            money(figures["net_pnl"]),
            f"{figures['fills']:,}",
            f"{figures['refused']:,}",
        )
    return table


def _quote(orders: Iterable[dict[str, Any]], coin: str, side: str) -> Text:
    colour = SIDE_STYLES[side]
    found = [order for order in orders if order["coin"] == coin and order["side"] == side]
    if not found:
        return Text("–", style="bright_black")
    order = found[0]
    text = Text(order["px"], style=colour)
    if order["unresolved"]:
        text.append(" ?", style="bold yellow")
    elif order["state"] not in ("OPEN", "PARTIALLY_FILLED"):
        text.append(" …", style="yellow")
    return text


def _activity(snapshot: dict[str, Any]) -> Table:
    totals, rates = snapshot["totals"], snapshot["rates"]
    table = Table.grid(padding=(0, 1))
    for width in (10, 5, 10, None):
        table.add_column(no_wrap=True, width=width)
    table.add_row("frames/s", f"{rates['frames']:.0f}", "orders/s", f"{rates['orders']:.1f}")
    table.add_row("orders", f"{totals['orders']:,}", "fills", f"[bold]{totals['fills']:,}[/]")
    table.add_row("cancels", f"{totals['cancels']:,}", "rejects", f"{totals['rejects']:,}")
    table.add_row("reconnects", f"{totals['reconnects']}", "unresolved", f"{totals['unresolved']}")
    return table


def _said(lines: list[list[Any]], style: str) -> Table:
    """Newest on top."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", style="bright_black", no_wrap=True, width=6)
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    for at, text in reversed(lines):
        table.add_row(f"{at:.1f}", Text(text, style=style))
    return table


def latency_table(stages: dict[str, dict[str, int]], percentiles: Iterable[str] = tuple(PERCENTILES)) -> Table:
    table = plain_table("", *percentiles, "count", gap=1)
    for stage, figures in stages.items():
        if figures["count"]:
            values = (_duration(figures[PERCENTILES[name]]) for name in percentiles)
            table.add_row(STAGE_NAMES.get(stage, stage), *values, f"{figures['count']:,}")
    return table


# -- the end --------------------------------------------------------------------------------------------------------
def summary_view(result: DemoResult, *, with_events: bool = True) -> RenderableType:
    """What the run came to, for a person. `with_events`: also what happened between the start and the stop."""
    totals = result.totals
    facts = Table.grid(padding=(0, 2))
    for _ in range(6):
        facts.add_column(no_wrap=True)
    facts.add_row(
        "orders",
        f"{totals['orders']:,}",
        "fills",
        f"[bold]{totals['fills']:,}[/]",
        "volume",
        f"{float(totals['volume']):,.0f}",
    )
    facts.add_row(
        "cancels",
        f"{totals['cancels']:,}",
        "rejects",
        f"{totals['rejects']:,}",
        "reconnects",
        f"{totals['reconnects']}",
    )
    facts.add_row(
        "realized",
        money(totals["realized_pnl"]),
        "unrealized",
        money(totals["unrealized_pnl"]),
        "fees",
        fees_text(totals["fees"]),
    )
    positions = plain_table("", "position", "entry", "mark", "unrealized", "realized", "fees")
    for position in result.positions:
        positions.add_row(
            position["coin"],
            signed(position["size"]),
            _short(position["entry"]),
            _short(position["mark"] or ""),
            money(position["unrealized"]),
            money(position["realized"]),
            fees_text(position["fees"]),
        )
    seed = f", seed {result.seed}" if result.seed is not None else ""
    return Group(
        Text(f"hlfast demo: {result.seconds:.1f} s{seed}, account {result.account}", style="bold"),
        facts,
        Text(),
        positions,
        Text(),
        latency_table(result.latency),
        Text(),
        *(_what_happened(result) if with_events else ()),
        _verdict(result),
    )


def _what_happened(result: DemoResult) -> list[Text]:
    """The events between start and stop, if there were any: outages, recoveries, warnings."""
    told = [said for said in result.events if START_SECONDS < said.at < round(result.stopped_at, 3)]
    lines = [Text(str(said), style="cyan") for said in told if " CONNECTING: " not in said.text]
    return (
        [
            *lines[:MANY_EVENTS],
            *([Text(f"… and {len(lines) - MANY_EVENTS} more")] if lines[MANY_EVENTS:] else []),
            Text(),
        ]
        if lines
        else []
    )


def _verdict(result: DemoResult) -> RenderableType:
    if not result.differences:
        return Text(
            f"✓ cash, positions, fees and all {result.totals['fills']} fills agree with the exchange's own record",
            style="bold green",
        )
    lines = [Text(f"✗ {len(result.differences)} differences to the exchange's own record", style="bold red")]
    lines += [Text(f"  {difference}", style="red") for difference in result.differences]
    return Group(*lines)


# -- pieces ---------------------------------------------------------------------------------------------------------
def plain_table(first: str, *names: str, gap: int = 2) -> Table:
    table = Table(box=None, padding=(0, 0, 0, gap), pad_edge=False, header_style="bright_black")
    table.add_column(first, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _duration(ns: int) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            value = ns / size
            return f"{value:.2f}{unit}" if value < 10 else f"{value:.1f}{unit}" if value < 100 else f"{value:.0f}{unit}"
    return f"{ns}ns"


def money(text: str) -> Text:
    value = float(text)
    return Text(f"{value:+,.2f}", style="green" if value > 0 else "red" if value < 0 else "")


def signed(size: str) -> Text:
    return Text(size, style="" if size == "0" else "red" if size.startswith("-") else "green")


def _short(text: str) -> str:
    return f"{float(text):,.6g}" if text else ""


def fees_text(fees: dict[str, str]) -> str:
    return " ".join(f"{float(fee):,.2f}{'' if token == 'USDC' else ' ' + token}" for token, fee in fees.items())


def draw_from_stdin(console: Console) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trading process ends, and closes the pipe
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for line in sys.stdin.buffer:
            live.update(live_view(orjson.loads(line), console.width, console.height), refresh=True)


if __name__ == "__main__":
    draw_from_stdin(Console())
