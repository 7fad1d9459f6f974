"""The trading report as one HTML page (layer 4, cold): style, tables and pictures in one file, readable in light and dark.

    text = page(figures(journal))

No script, nothing is loaded from anywhere. Every text of the venue or of a strategy is escaped. Sums in tables are
rounded for reading; the exact figure is in the cell's title, and in `hlfast report --json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from decimal import Decimal
from html import escape
from typing import Any

from hlfast.core.fixed import EXACT
from hlfast.engine.report_charts import MARKS_SHOWN, Picture, spans

COINS_SHOWN = 8
RUNS_SHOWN = 50

STYLE = """
:root { color-scheme: light dark;
  --bg: #f7f8fa; --card: #ffffff; --ink: #16202c; --dim: #5d6b7c; --rule: #e2e7ed; --grid: #e9edf2; --zero: #9aa7b5;
  --a: #2563c9; --a-fill: #2563c91f; --b: #8a5a00; --buy: #0b7f6b; --sell: #c4314b; --good: #0b7f6b; --bad: #c4314b; }
@media (prefers-color-scheme: dark) { :root {
  --bg: #10151c; --card: #18202a; --ink: #e6ebf1; --dim: #93a1b1; --rule: #2a3542; --grid: #253040; --zero: #5d6d80;
  --a: #6ea8ff; --a-fill: #6ea8ff2b; --b: #e0a84a; --buy: #35c9ab; --sell: #ff7186; --good: #35c9ab; --bad: #ff7186; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 34px 0 10px; } h3 { font-size: 15px; margin: 0 0 6px; }
p { margin: 4px 0 10px; } .dim, caption { color: var(--dim); } .small { font-size: 13px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(196px, 1fr)); gap: 10px; margin: 18px 0 0; }
.tile, .card { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
.tile { padding: 10px 14px; } .tile b { display: block; font-size: 20px; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile > span { color: var(--dim); font-size: 13px; display: block; line-height: 1.35; }
.card { padding: 14px 16px; margin: 0 0 12px; overflow-x: auto; }
.good { color: var(--good); } .bad { color: var(--bad); }
.note { border-left: 3px solid var(--b); padding-left: 10px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { color: var(--dim); font-weight: 500; text-align: right; } td { text-align: right; white-space: nowrap; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--rule); } tr:last-child td { border-bottom: 0; }
th.t, td.t { text-align: left; } td.w { white-space: normal; overflow-wrap: anywhere; min-width: 180px; }
tr.sum td { font-weight: 600; border-top: 2px solid var(--rule); }
svg { display: block; width: 100%; height: auto; min-width: 640px; }
.grid { stroke: var(--grid); stroke-width: 1; } .zero { stroke: var(--zero); } .break { stroke: var(--b); stroke-dasharray: 3 4; opacity: .8; }
.tick { fill: var(--dim); font-size: 12px; font-family: inherit; } .name { fill: var(--ink); font-size: 13px; }
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.line.a, .dot.a { stroke: var(--a); } .line.b, .dot.b { stroke: var(--b); } .line.price { stroke: var(--dim); stroke-width: 1.2; opacity: .75; }
.dot.a { fill: var(--a); } .dot.b { fill: var(--b); }
.area { fill: var(--a-fill); stroke: none; }
.mark { stroke-width: 1.3; } .buy { stroke: var(--buy); } .sell { stroke: var(--sell); }
.buy.maker { fill: var(--buy); } .sell.maker { fill: var(--sell); } .taker { fill: var(--card); }
.span { fill: var(--a); opacity: .45; } .median { fill: var(--a); } .whisker { stroke: var(--dim); stroke-width: 1.4; }
.key { display: inline-block; width: 11px; height: 11px; margin: 0 5px 0 14px; vertical-align: -1px; } .key:first-child { margin-left: 0; }
"""

KEYS = (
    ("buy maker", "buy, maker"),
    ("buy taker", "buy, taker"),
    ("sell maker", "sell, maker"),
    ("sell taker", "sell, taker"),
)


def page(report: dict[str, Any], title: str = "Trading report") -> str:
    """The whole page of what `report_figures.figures` has found."""
    parts = [_head(report, title)]
    if not report["totals"]["orders"] and not report["totals"]["fills"] and not report["curves"]["equity"]:
        parts.append(_nothing(report))
    else:
        parts += [_tiles(report), _profit(report), _coin_pictures(report)]
        parts += [_strategies(report), _coins(report), _orders(report), _latency(report), _streams(report)]
    parts.append(_runs(report))
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


# -- numbers and times --------------------------------------------------------------------------------------------------
def rounded(value: Decimal | None, decimals: int = 2) -> str:
    """For reading: thousands apart, `decimals` digits, more where a small amount would be gone."""
    if value is None:
        return "\u2013"
    if value and abs(value) < Decimal(1).scaleb(-decimals):
        decimals = min(12, -value.adjusted() + 1)
    if abs(value) >= 10_000_000:
        decimals = 0
    text = f"{value:,.{decimals}f}"
    return text.replace("-", "\u2212")


def exact(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: Decimal | None) -> str:
    return "\u2013" if value is None else f"{value * 100:.1f} %"


def when(ns: int | None, seconds: bool = True) -> str:
    if ns is None:
        return "\u2013"
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, timezone.utc):{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"


def lasting(ns: int) -> str:
    seconds = ns / 1e9
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size * 2:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def money(value: Decimal | None, *, sign: bool = False) -> str:
    """A cell or a tile's text: coloured by sign, the exact figure in its title."""
    if value is None:
        return "\u2013"
    style = "" if not sign or not value else ' class="good"' if value > 0 else ' class="bad"'
    plus = "+" if sign and value > 0 else ""
    return f'<span{style} title="{exact(value)}">{plus}{rounded(value)}</span>'


def price(value: Decimal | None) -> str:
    """To seven digits that count, the exact figure in its title."""
    if value is None:
        return "\u2013"
    return f'<span title="{exact(value)}">{value:,.{max(0, 6 - value.adjusted())}f}</span>'


def size(value: Decimal | None) -> str:
    return "\u2013" if value is None else exact(value).replace("-", "\u2212")


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], text: Sequence[int] = (0,), wide: Sequence[int] = ()
) -> str:
    """`text`: columns that stand to the left; `wide`: those that may be folded. Cells are HTML."""

    def style(i: int) -> str:
        names = ["t"] * (i in text) + ["w"] * (i in wide)
        return f' class="{" ".join(names)}"' if names else ""

    titles = "".join(f"<th{style(i)}>{name}</th>" for i, name in enumerate(head))
    lines = "".join(f"<tr>{''.join(f'<td{style(i)}>{cell}</td>' for i, cell in enumerate(row))}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"


# -- sections -----------------------------------------------------------------------------------------------------------
def _head(report: dict[str, Any], title: str) -> str:
    run = report["runs"][-1] if report["runs"] else None
    whose = f"{escape(run['account'] or '')} on {escape(run['network'] or '')}" if run else "no run yet"
    since = f", from {when(report['since_ns'])} on" if report["since_ns"] else ""
    coin = f", {escape(report['coin'])} only" if report["coin"] else ""
    span = (
        f"{when(report['from_ns'])} to {when(report['to_ns'])} UTC"
        if report["from_ns"] is not None
        else "Nothing recorded"
    )
    note = f'<p class="note">{escape(report["note"])}</p>' if report["note"] else ""
    return (
        f"<h1>{escape(title)}</h1><p>{whose}{coin}</p>"
        f'<p class="dim small">{span}{since}. Source: {escape(report["journal"])}. Amounts in USDC.</p>{note}'
    )


def _nothing(report: dict[str, Any]) -> str:
    asked = "in this period" if report["since_ns"] else "in this journal"
    coin = f" of {escape(report['coin'])}" if report["coin"] else ""
    return f'<div class="card" style="margin-top:18px"><h3>Nothing to report</h3><p>There is no order, no fill and no equity point{coin} {asked}.</p></div>'


def _tiles(report: dict[str, Any]) -> str:
    total = report["totals"]
    filled = f"{total['orders_filled']:,} whole, {total['orders_partly']:,} in part"
    tiles = [
        (money(total["net"], sign=True), "profit, closed, after fees and funding"),
        (money(total["realized"], sign=True), "closed profit before fees"),
        (money(total["fees"]), "fees paid" if total["fees"] >= 0 else "fees (a rebate)"),
        (money(total["funding"], sign=True), "funding"),
        (money(total["volume"]), "volume"),
        (f"{total['fills']:,}", f"fills of {total['orders']:,} orders"),
        (percent(total["fill_ratio"]), f"filled of what the venue took ({filled})"),
        (percent(total["maker_share"]), "of the volume as maker"),
        (money(total["max_drawdown"]), "deepest fall of the account's value"),
    ]
    cells = "".join(f'<div class="tile"><b>{value}</b><span>{label}</span></div>' for value, label in tiles)
    unvalued = report["unvalued_fees"]
    note = ""
    if unvalued:
        listed = ", ".join(f"{exact(amount)} {escape(token)}" for token, amount in unvalued.items())
        note = f'<p class="note">Fees in other tokens, in no sum here: {listed}.</p>'
    return f'<div class="tiles">{cells}</div>{note}'


def _profit(report: dict[str, Any]) -> str:
    curves = report["curves"]
    starts = [run["started_ns"] for run in report["runs"]]
    known = [ns for name in ("profit", "equity", "fees") for ns in (curve[0] for curve in curves[name])]
    if not known:
        return '<h2>Profit</h2><p class="dim">No fill, no funding and no account value was recorded in this period.</p>'
    shown = float(min(known)), float(max(known))
    parts = ["<h2>Profit</h2>"]
    if curves["profit"]:
        first = [(shown[0], 0.0), *curves["profit"]]
        picture = Picture("Closed profit", zero=True, shown=shown).curve(first, "a", steps=True, area="area")
        parts.append(
            '<div class="card"><h3>Closed profit, after fees and funding</h3>'
            f"{picture.curve([(ns, -fee) for ns, fee in curves['fees']], 'b', steps=True).breaks_at(starts).svg()}"
            '<p class="dim small"><span class="key" style="background:var(--a)"></span>profit'
            '<span class="key" style="background:var(--b)"></span>of it fees'
            "; dashed lines: a run starts. The venue's own figures of each fill.</p></div>"
        )
    else:
        parts.append('<div class="card"><p>No fill and no funding in this period.</p></div>')
    if len(curves["equity"]) > 1:
        picture = Picture("Account value", shown=shown).breaks_at(starts)
        for points in _by_run(curves["equity"]):
            picture.curve(points, "a")
        first_value, last_value = curves["equity"][0][1], curves["equity"][-1][1]
        change = EXACT.subtract(last_value, first_value)
        parts.append(
            f'<div class="card"><h3>Account value: {money(last_value)} ({money(change, sign=True)})</h3>{picture.svg()}'
            '<p class="dim small">Cash, positions at their marks, and USDC on the spot side. Deposits, withdrawals and '
            "transfers move it too.</p></div>"
        )
    else:
        parts.append('<p class="dim">Fewer than two points of the account\'s value were recorded in this period.</p>')
    return "".join(parts)


def _by_run(points: Sequence[tuple[int, Decimal, int]]) -> list[list[tuple[int, Decimal]]]:
    """A curve for each run: nothing is known of the time between them."""
    found: dict[int, list[tuple[int, Decimal]]] = {}
    for ns, value, run in points:
        found.setdefault(run, []).append((ns, value))
    return list(found.values())


def _coin_pictures(report: dict[str, Any]) -> str:
    curves = report["curves"]["coins"]
    names = [row["coin"] for row in report["coins"] if row["coin"] in curves]
    if not names:
        return ""
    keys = "".join(
        f'<svg class="key" style="min-width:0;width:13px;height:13px;display:inline-block" viewBox="-7 -7 14 14">'
        f'<path class="mark {style}" d="{"M0 -5l5 8.6h-10z" if "buy" in style else "M0 5l5 -8.6h-10z"}"/></svg>{label}'
        for style, label in KEYS
    )
    parts = [f'<h2>Fills on price</h2><p class="dim small">{keys}. Below: the position.</p>']
    for coin in names[:COINS_SHOWN]:
        found = curves[coin]
        fills, prices = found["fills"], found["prices"]
        times = [fill[0] for fill in fills] + [ns for ns, _, _ in prices]
        shown = float(min(times)), float(max(times))
        picture = Picture(f"{coin}: fills on price", height=300.0, shown=shown)
        for known in _by_run(prices) if len(prices) > 1 else [[(fill[0], fill[1]) for fill in fills]]:
            picture.curve(known, "price")
        step = max(1, -(-len(fills) // MARKS_SHOWN))
        for ns, at, amount, is_buy, is_maker in fills[::step]:
            label = f"{when(ns)} {'bought' if is_buy else 'sold'} {exact(amount)} at {exact(at)}"
            picture.mark(ns, at, f"{'buy' if is_buy else 'sell'} {'maker' if is_maker else 'taker'}", label)
        held = Picture(f"{coin}: position", height=110.0, zero=True, shown=shown)
        held.curve(found["position"], "a", steps=True, area="area")
        said = [] if len(prices) > 1 else ["the line joins the fills: no other prices were recorded"]
        said += [f"every {step}th fill is drawn"] if step > 1 else []
        note = f'<p class="dim small">{"; ".join(said)[:1].upper()}{"; ".join(said)[1:]}.</p>' if said else ""
        parts.append(f'<div class="card"><h3>{escape(coin)}</h3>{picture.svg()}{held.svg()}{note}</div>')
    if len(names) > COINS_SHOWN:
        rest = ", ".join(escape(coin) for coin in names[COINS_SHOWN:])
        parts.append(f'<p class="dim">Not drawn, in the table below: {rest}.</p>')
    return "".join(parts)


TALLY_HEAD = ("orders", "fill ratio", "fills", "volume", "maker", "closed", "fees", "funding", "net")


def _tally(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['orders']:,}",
        percent(row["fill_ratio"]),
        f"{row['fills']:,}",
        money(row["volume"]),
        percent(row["maker_share"]),
        money(row["realized"], sign=True),
        money(row["fees"]),
        money(row["funding"], sign=True),
        money(row["net"], sign=True),
    ]


def _strategies(report: dict[str, Any]) -> str:
    rows = report["strategies"]
    if not any(row["strategy"] for row in rows):
        return '<h2>Strategies</h2><p class="dim">No order in this period names its strategy, so there is nothing to tell apart.</p>'
    lines = []
    for row in rows:
        cells = _tally(row)
        del cells[7]  # funding is the account's
        held = ", ".join(f"{size(amount)} {escape(coin)}" for coin, amount in row["positions"].items()) or "flat"
        name = escape(row["strategy"]) or '<span class="dim">not named</span>'
        lines.append([name, *cells, money(row["open"], sign=True), held])
    head = ("strategy", *TALLY_HEAD[:7], "net", "open", "holds")
    return (
        f'<h2>Strategies</h2><div class="card">{table(head, lines, text=(0, 10))}</div>'
        '<p class="dim small">By each strategy\'s own fills at average cost, from a flat start; what is open is valued at the last '
        "known price. The account's figures are the venue's, which nets all that trades on it, so the sums may differ.</p>"
    )


def _coins(report: dict[str, Any]) -> str:
    lines = [
        [
            escape(row["coin"]),
            *_tally(row),
            price(row["average_buy"]),
            price(row["average_sell"]),
            size(row["position"]),
        ]
        for row in report["coins"]
    ]
    head = ("coin", *TALLY_HEAD, "average buy", "average sell", "position")
    return f'<h2>Coins</h2><div class="card">{table(head, lines)}</div>' if lines else ""


def _orders(report: dict[str, Any]) -> str:
    states = report["states"]
    if not states:
        return ""
    whole = sum(states.values())
    lines = [
        [escape(name.lower().replace("_", " ")), f"{n:,}", f"{100 * n / whole:.1f} %"] for name, n in states.items()
    ]
    parts = [f'<h2>Orders</h2><div class="card">{table(("state", "orders", "share"), lines)}</div>']
    if report["reasons"]:
        refused = [[escape(r["text"] or "no reason"), escape(r["code"]), f"{r['orders']:,}"] for r in report["reasons"]]
        head = ("why orders failed", "code", "orders")
        parts.append(f'<div class="card">{table(head, refused, text=(0, 1), wide=(0,))}</div>')
    return "".join(parts)


def _latency(report: dict[str, Any]) -> str:
    measured, stages = report["latency"]["journal_ms"], report["latency"]["stages_ns"]
    if not measured and not stages:
        return '<h2>Latency</h2><p class="dim">No order was answered and no stage was timed in this period.</p>'
    parts = ["<h2>Latency</h2>"]
    if measured:
        rows = [(name, float(m["p50"]), float(m["p99"]), float(m["max"])) for name, m in measured.items()]
        lines = [
            [escape(name), f"{m['count']:,}", *(f"{m[p]:,.2f}" for p in ("p50", "p90", "p99", "max"))]
            for name, m in measured.items()
        ]
        parts.append(
            f'<div class="card"><h3>To the venue and back, ms</h3>{spans(rows, "ms")}'
            f"{table(('', 'times', 'p50', 'p90', 'p99', 'max'), lines)}"
            "<p class=\"dim small\">By the journal's own times: from the written intent to the venue's first word.</p></div>"
        )
    if stages:
        found = stages["stages"]
        rows = [(name, s["p50_ns"] / 1e3, s["p99_ns"] / 1e3, s["max_ns"] / 1e3) for name, s in found.items()]
        lines = [
            [
                escape(name.replace("_", " ")),
                f"{s['count']:,}",
                *(f"{s[p] / 1e3:,.1f}" for p in ("p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")),
            ]
            for name, s in found.items()
        ]
        parts.append(
            f'<div class="card"><h3>Stages in this process, µs (run {stages["run"]})</h3>'
            f"{spans([(name.replace('_', ' '), *rest) for name, *rest in rows], 'µs')}"
            f"{table(('stage', 'times', 'p50', 'p90', 'p99', 'p99.9', 'max'), lines)}"
            '<p class="dim small">Bar: p50 to p99; tick: the longest. Percentiles are upper bounds of histogram steps.</p></div>'
        )
    return "".join(parts)


def _streams(report: dict[str, Any]) -> str:
    streams = report["streams"]
    down = ", ".join(f"{escape(name)} {n}" for name, n in streams["down"].items()) or "never"
    return (
        f'<h2>Connection</h2><div class="card"><p>Streams that went down: {down}. Gaps that were closed: {streams["recovered"]}, '
        f"with {streams['fills_found_after_gaps']} fills found after them.</p></div>"
    )


def _runs(report: dict[str, Any]) -> str:
    runs = report["runs"]
    if not runs:
        return ""
    lines = []
    for run in reversed(runs[-RUNS_SHOWN:]):
        names = "; ".join(
            f"{escape(str(s.get('name') or s.get('prefix')))}"
            + (f" <span class='dim'>({_parameters(s['parameters'])})</span>" if s.get("parameters") else "")
            for s in run["strategies"]
        )
        ended = when(run["ended_ns"]) if run["ended_ns"] else '<span class="dim">running, or killed</span>'
        last = lasting(run["ended_ns"] - run["started_ns"]) if run["ended_ns"] else "\u2013"
        lines.append([
            str(run["run"]), when(run["started_ns"]), ended, last, escape(run["version"] or "\u2013"), f"{run['orders']:,}",
            f"{run['fills']:,}", names or '<span class="dim">not named</span>',
        ])  # fmt: skip
    head = ("run", "start (UTC)", "end", "lasted", "hlfast", "orders", "fills", "strategies")
    more = f'<p class="dim small">The newest {RUNS_SHOWN} of {len(runs)} runs.</p>' if len(runs) > RUNS_SHOWN else ""
    return f'<h2>Runs</h2><div class="card">{table(head, lines, text=(0, 1, 2, 4, 7), wide=(7,))}</div>{more}'


def _parameters(given: Any) -> str:
    if not isinstance(given, dict):
        return escape(str(given))
    return escape(", ".join(f"{name}={value}" for name, value in given.items()))
