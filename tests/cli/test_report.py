"""`hlfast report`: exact figures, one readable page without anything to load, and honest words where there is no data."""

from __future__ import annotations

import json
import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast import clock
from hlfast.cli.app import cli
from hlfast.core.events import FundingPayment, Recovered, StreamStatus
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import PositionBook
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.engine.journal import Journal
from hlfast.engine.report_charts import Picture, nice_steps, number, spans, thin
from hlfast.engine.report_figures import Fill, Holding
from hlfast.errors import VenueReject
from hlfast.types import OrderState, TradeType

START_NS = 1_790_000_000 * 10**9
ACCOUNT = "0x00000000000000000000000000000000000000ab"
EVIL = "<script>alert('x')</script>"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["report", *arguments])


def shown(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


class Desk:
    """Writes a journal at made times."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder, network="simulator", account=ACCOUNT, ring_records=1024)
        self.tracker = ClientOrderTracker()
        self.positions = PositionBook(self.tracker.bus)
        self.tracker.book = self.positions.book
        self.journal.attach(self.tracker.bus)
        self.n = 0

    def at(self, seconds: float) -> None:
        clock.set_virtual(START_NS + int(seconds * 1e9))

    def order(self, coin: str = "BTC", side: TradeType = TradeType.BUY, **fields: Any) -> InFlightOrder:
        self.n += 1
        given = {"client_order_id": f"hl-{self.n}", "cloid": f"0x{self.n:032x}", "coin": coin, "trade_type": side}
        made = InFlightOrder(**{**given, "amount": "1", "price": "100", "sz_decimals": 3, **fields})
        self.tracker.start_tracking(made)
        assert self.journal.ring.put_intent(made, self.n, 0, clock.epoch_ns())
        self.tracker.mark_submitted(made, self.n)
        return made

    def rest(self, *arguments: Any, after_ms: int = 10, **fields: Any) -> InFlightOrder:
        made = self.order(*arguments, **fields)
        clock.set_virtual(clock.epoch_ns() + after_ms * 10**6)
        self.tracker.acknowledge(made, 1000 + self.n)
        return made

    def fill(self, made: InFlightOrder, amount: str, price: str, **fields: Any) -> None:
        self.n += 1
        self.tracker.process_trade_update(
            TradeUpdate(**{
                "coin": made.coin, "tid": self.n, "exchange_order_id": made.exchange_order_id, "cloid": made.cloid,
                "sz_decimals": 3, "is_buy": made.is_buy, "time_ms": clock.epoch_ns() // 10**6, "direction": "",
                "price": price, "amount": amount, **fields,
            })
        )  # fmt: skip

    def point(self, equity: str | None, **marks: str) -> None:
        self.journal.equity({
            "strategy": None, "equity": equity, "cash": "0", "unrealized": None, "realized": "0", "fees": "0", "funding": "0",
            "marks": json.dumps(marks), "unvalued": "[]",
        })  # fmt: skip


def write(folder: Path) -> None:
    """Two strategies, three coins, every kind of end; funding, points, latencies, streams; some words that are code."""
    clock.set_virtual(START_NS)
    desk = Desk(folder)
    desk.journal.strategies([
        {"name": "maker", "prefix": "mk", "parameters": {"size": "1", "word": EVIL}},
        {"name": "taker", "prefix": "tk"},
    ])  # fmt: skip
    desk.at(0)
    desk.point("1000", BTC="100")
    maker = desk.rest(strategy="maker", amount="2")
    desk.at(1)
    desk.fill(maker, "2", "100", fee="0.02", is_taker=False)
    taker = desk.rest("BTC", TradeType.SELL, client_order_id="tk-1", tif="Ioc", amount="3", price="110")
    desk.fill(taker, "1", "110", fee="0.05", is_taker=True, closed_pnl="10")
    desk.at(2)
    desk.point("1008", BTC="109")
    desk.fill(taker, "2", "111", fee="0.05", is_taker=True, closed_pnl="11")
    eth = desk.rest("ETH", amount="4", price="10")
    desk.fill(eth, "1", "10", fee="-0.001", is_taker=False)
    desk.tracker.request_cancel(eth)
    desk.journal.ring.put_cancel(eth, 9, clock.epoch_ns())
    clock.set_virtual(clock.epoch_ns() + 20 * 10**6)
    desk.tracker.process_order_update(
        OrderUpdate(
            cloid=eth.cloid, exchange_order_id=eth.exchange_order_id, coin="ETH", new_state=OrderState.CANCELLED,
            status="canceled", side="B", lots=3000, orig_lots=4000, time_ms=clock.epoch_ns() // 10**6,
        )
    )  # fmt: skip
    spot = desk.rest("@107", amount="10", price="2")
    desk.fill(spot, "10", "2", fee="0.01", fee_token="HYPE")
    sale = desk.rest("@107", TradeType.SELL, amount="1", price="3")
    desk.fill(sale, "1", "3", fee="0.5", fee_token="PURR")
    desk.at(3)
    desk.tracker.reject(desk.order(EVIL), "no", VenueReject("margin", EVIL))
    desk.tracker.reject(desk.order(EVIL), "no", VenueReject("margin", EVIL))
    bus = desk.tracker.bus
    bus.emit(FundingPayment("BTC", Decimal("-1.25"), "0.0001", clock.epoch_ns() // 10**6, clock.epoch_ns()))
    bus.emit(StreamStatus("account", "DOWN", "cut", clock.epoch_ns()))
    bus.emit(StreamStatus("account", "DOWN", "stopped", clock.epoch_ns()))
    bus.emit(Recovered(10**9, 3, 1, True, "all", clock.epoch_ns()))
    desk.journal.latency({
        "sign": {"count": 5, "mean_ns": 1, "p50_ns": 20_000, "p90_ns": 21_000, "p99_ns": 40_000, "p999_ns": 50_000, "max_ns": 90_000},
        "ack": {"count": 0, "mean_ns": 0, "p50_ns": 0, "p90_ns": 0, "p99_ns": 0, "p999_ns": 0, "max_ns": 0},
    })  # fmt: skip
    desk.point("1005.5", BTC="112")
    assert desk.journal.stop()


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("report") / "j"
    try:
        write(folder)
        yield str(folder)
    finally:
        clock.set_virtual(None)


# -- figures ------------------------------------------------------------------------------------------------------------
def test_the_sums_are_exact(at: str) -> None:
    """The account's by the venue's closedPnl, each fee in USDC, rebates included; shares by value."""
    total = shown("--journal", at)["totals"]
    assert Decimal(total["realized"]) == 21 and Decimal(total["funding"]) == Decimal("-1.25")
    fees = Decimal("0.02") + Decimal("0.05") * 2 - Decimal("0.001") + Decimal("0.01") * 2
    assert Decimal(total["fees"]) == fees and Decimal(total["net"]) == 21 - fees - Decimal("1.25")
    volume = 200 + 110 + 222 + 10 + 20 + 3
    assert (Decimal(total["volume"]), total["fills"], total["orders"]) == (volume, 6, 7)
    assert abs(Decimal(total["maker_share"]) - Decimal(210) / volume) < Decimal("1e-16")
    assert (total["orders_filled"], total["orders_partly"], total["orders_refused"]) == (4, 1, 2)
    ordered = 200 + 330 + 40 + 20 + 3
    assert abs(Decimal(total["fill_ratio"]) - Decimal(ordered - 30) / ordered) < Decimal("1e-16")
    assert Decimal(total["max_drawdown"]) == Decimal("2.5")


def test_a_fee_that_has_no_price_is_named_and_in_no_sum(at: str) -> None:
    assert shown("--journal", at)["unvalued_fees"] == {"PURR": "0.5"}


def test_strategies_are_told_apart_by_their_own_fills(at: str) -> None:
    """By the order's strategy, else by its id's prefix, from a flat start: the venue nets what they trade against each other."""
    rows = {row["strategy"]: row for row in shown("--journal", at)["strategies"]}
    assert set(rows) == {"maker", "taker", ""}
    maker, taker, nobody = rows["maker"], rows["taker"], rows[""]
    assert maker["positions"] == {"BTC": "2"} and Decimal(maker["open"]) == 2 * (112 - 100)
    assert taker["positions"] == {"BTC": "-3"} and Decimal(taker["open"]) == 110 + 222 - 3 * 112
    assert Decimal(maker["realized"]) == Decimal(taker["realized"]) == 0 and taker["maker_share"] == "0"
    assert Decimal(nobody["realized"]) == 1, "the spot sale, bought at 2 and sold at 3"


def test_coins_reasons_latencies_streams_and_runs(at: str) -> None:
    found = shown("--journal", at)
    btc = found["coins"][0]
    assert (btc["coin"], btc["position"], btc["last_price"]) == ("BTC", "-1", "112")
    assert Decimal(btc["average_sell"]).quantize(Decimal("1e-14")) == (Decimal(332) / 3).quantize(Decimal("1e-14"))
    assert found["reasons"] == [{"code": "margin", "text": EVIL, "orders": 2}]
    assert found["states"] == {"FILLED": 4, "FAILED": 2, "CANCELLED": 1}
    measured = found["latency"]["journal_ms"]
    assert measured["cancel to the end"] == {"count": 1, "p50": 20.0, "p90": 20.0, "p99": 20.0, "max": 20.0}
    assert measured["order to the venue's answer"]["count"] == 7
    assert found["latency"]["stages_ns"]["stages"].keys() == {"sign"}
    assert found["streams"] == {"down": {"account": 1}, "recovered": 1, "fills_found_after_gaps": 3}
    [run] = found["runs"]
    assert (run["orders"], run["fills"], run["version"]) == (7, 6, "0.1.0") and run["ended_ns"] > run["started_ns"]
    assert [s["name"] for s in run["strategies"]] == ["maker", "taker"]
    assert [Decimal(y) for _, y in found["curves"]["profit"]][-1] == Decimal(found["totals"]["net"])


def test_a_period_and_a_coin_are_cut_out_exactly(at: str) -> None:
    """Given a start after some fills, positions are still those of all fills, and sums only those of the period."""
    late = shown("--journal", at, "--since", str((START_NS + 2 * 10**9) // 10**6))
    assert late["totals"]["fills"] == 4 and Decimal(late["totals"]["realized"]) == 11
    assert next(row for row in late["strategies"] if row["strategy"] == "taker")["positions"] == {"BTC": "-3"}
    eth = shown("--journal", at, "--coin", "ETH")
    assert [row["coin"] for row in eth["coins"]] == ["ETH"] and Decimal(eth["totals"]["fees"]) == Decimal("-0.001")


steps = st.lists(st.tuples(st.booleans(), st.integers(1, 5000), st.integers(1, 10**6)), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(steps=steps)
def test_profit_by_own_fills_agrees_with_cash(steps: list[tuple[bool, int, int]]) -> None:
    """Closed and open profit together are what the fills have moved in cash, plus what is held, at any mark."""
    held, cash = Holding(), Decimal(0)
    for is_buy, lots, px in steps:
        size, price = Decimal(lots).scaleb(-3), Decimal(px).scaleb(-2)
        fill = Fill(
            0,
            "X",
            is_buy,
            True,
            price,
            size,
            price * size,
            Decimal(0),
            "USDC",
            Decimal(0),
            Decimal(0),
            None,
            None,
            None,
        )
        held.book(fill)
        cash += -price * size if is_buy else price * size
    mark = Decimal("123.45")
    assert abs(held.realized + held.open_profit(mark) - cash - held.size * mark) < Decimal("1e-15")


# -- the page -----------------------------------------------------------------------------------------------------------
class Page(HTMLParser):
    """Every tag has its end, and nothing is loaded."""

    EMPTY = ("meta", "path", "line", "circle", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        for name, value in attrs:
            assert name not in ("src", "href", "srcset", "data", "onload", "onclick"), (tag, name, value)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def written(*arguments: str, to: Path) -> Page:
    result = run(*arguments, "--out", str(to))
    assert result.exit_code == 0, result.stderr
    return Page(to.read_text(encoding="utf-8"))


def test_the_page_is_one_file_with_every_picture_and_no_code(at: str, tmp_path: Path) -> None:
    """Also where a coin, a refusal or a parameter is spelled as markup: it is shown as text."""
    page = written("--journal", at, to=tmp_path / "r.html")
    assert "script" not in page.tags and "link" not in page.tags and "img" not in page.tags
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)
    assert "url(" not in text and "@import" not in text and "http" not in re.sub(r'xmlns="[^"]*"', "", text)
    words = " ".join(page.words)
    for said in (
        "Closed profit", "Account value", "Fills on price", "Strategies", "Coins", "Orders", "Latency", "Connection", "Runs",
        "maker", "taker", EVIL, "Fees in other tokens, in no sum here: 0.5 PURR", "+19.", "prefers-color-scheme: dark",
    ):  # fmt: skip
        assert said in words, said
    assert page.tags.count("svg") >= 2 + 2 * 3 + 2


def test_every_fill_is_drawn_where_its_kind_shows(at: str, tmp_path: Path) -> None:
    text = (tmp_path / "r.html", written("--journal", at, to=tmp_path / "r.html"))[0].read_text(encoding="utf-8")
    marks = re.findall(r'class="mark (\w+ \w+)" d="[^"]*"><title>([^<]*)</title>', text)
    assert sorted(style for style, _ in marks) == [
        "buy maker", "buy maker", "buy taker", "sell taker", "sell taker", "sell taker",
    ]  # fmt: skip
    assert "2026-09-21 14:13:21 bought 2 at 100" in [label for _, label in marks]


def test_a_journal_without_trades_says_so(tmp_path: Path) -> None:
    """No empty axes, no zeros that look like results; the exit code is 0."""
    Journal(tmp_path / "j", network="simulator", account=ACCOUNT).stop()
    result = run("--journal", str(tmp_path / "j"), "--out", str(tmp_path / "r.html"))
    assert result.exit_code == 0 and "there is no order and no fill to report" in result.stdout
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "There is no order, no fill and no equity point in this journal." in page.words and "svg" not in page.tags


def test_orders_without_fills_and_a_single_fill_are_shown_as_that(tmp_path: Path) -> None:
    try:
        desk = Desk(tmp_path / "j")
        desk.at(0)
        one = desk.rest()
        desk.journal.start()
        while desk.journal.ring.used:
            threading.Event().wait(0.005)
        page = written("--journal", str(tmp_path / "j"), to=tmp_path / "a.html")
        desk.fill(one, "0.5", "100")
        desk.journal.stop()
        assert "No fill, no funding and no account value was recorded in this period." in page.words
        page = written("--journal", str(tmp_path / "j"), to=tmp_path / "b.html")
        assert "Fewer than two points" in " ".join(page.words)
        assert "The line joins the fills: no other prices were recorded." in page.words
        assert "No order in this period names its strategy" in " ".join(page.words)
    finally:
        clock.set_virtual(None)


def test_what_cannot_be_done_is_told(at: str, tmp_path: Path) -> None:
    result = run("--journal", str(tmp_path))
    assert result.exit_code == 1 and "there is no journal in" in result.stderr
    result = run("--journal", at, "--out", str(tmp_path / "no" / "r.html"))
    assert result.exit_code == 1 and "cannot be written" in result.stderr and "give another --out FILE" in result.stderr
    assert "Examples:" in run("--help").output


# -- pictures -----------------------------------------------------------------------------------------------------------
@settings(max_examples=100, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.integers(0, 2**61), st.decimals(-(10**12), 10**12, allow_nan=False, places=8)),
        min_size=1,
        max_size=30,
    )
)
def test_any_curve_is_drawn_within_its_picture(points: list[tuple[int, Decimal]]) -> None:
    svg = (
        Picture("any", zero=True)
        .curve(sorted(points), "a", steps=True, area="area")
        .mark(*points[0], "buy taker", "x")
        .svg()
    )
    tree = ElementTree.fromstring(svg)
    for path in tree.iter("{http://www.w3.org/2000/svg}path"):
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path.attrib["d"]):
            assert -10 <= float(x) <= 1010 and -10 <= float(y) <= 270, svg


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e9), wanted=st.integers(2, 8))
def test_steps_are_few_and_within(low: float, span: float, wanted: int) -> None:
    found = nice_steps(low, low + span, wanted)
    assert len(found) <= wanted + 2 and all(low - span * 1e-4 <= step <= low + span * 1.0001 for step in found)


def test_a_step_has_as_many_digits_as_it_needs() -> None:
    assert [number(value, step) for value, step in ((1234.5, 0.5), (-0.25, 0.25), (0.0, 10.0), (-0.0, 1.0), (2e6, 1e6))] == [
        "1,234.5", "\u22120.25", "0", "0", "2,000,000",
    ]  # fmt: skip


def test_a_long_curve_keeps_its_heights_and_depths() -> None:
    points = [(float(i), 0.0) for i in range(100_000)]
    points[77_777], points[33_333] = (77_777.0, 9.0), (33_333.0, -9.0)
    kept = thin(points)
    assert len(kept) <= 2400 + 4 and kept == sorted(kept) and {9.0, -9.0} <= {y for _, y in kept}
    assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_spans_need_no_positive_times() -> None:
    ElementTree.fromstring(spans([("a<b", 0.0, 0.0, 0.0), ("c", 1.0, 10.0, 100.0)], "ms"))
    assert spans([], "ms") == ""
