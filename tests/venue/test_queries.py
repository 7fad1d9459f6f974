"""Info requests: every one of the protocol's reference is an entry, is sent as the venue takes it, and reads back typed."""

from __future__ import annotations

import re

import orjson
import pytest

from hlfast.errors import ConfigError, ProtocolError
from hlfast.sim.info import ANSWERS
from hlfast.venues.hyperliquid.endpoints import QUERIES
from hlfast.venues.hyperliquid.info import Info

from .conforming import misfits

ME = "0x" + "ab" * 20


@pytest.fixture
def info():
    """Queries whose answer is what was sent."""

    async def ask(payload):
        return payload

    return Info(ask)


def recorded(shared, name):
    path = shared / "fixtures" / "venue" / f"http_info_{name}.jsonl"
    for line in path.read_text().splitlines():
        row = orjson.loads(line)
        yield row, line.split(', "response": ', 1)[1][:-1]


def test_every_request_of_the_reference_has_an_entry(shared):
    text = (shared / "reference" / "hyperliquid.md").read_text()
    section = text[text.index("## 5.2") : text.index("## 5.4")]
    firsts = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = set(re.findall(r'"type":"(\w+)"', section.replace('"type":"deposit"', "").replace('"type":"funding"', "")))
    for cell in firsts:
        named |= {each for each in re.findall(r"`(\w+)[`{(]", cell) if each[0].islower()}
    named -= {"order", "cross", "isolated", "by"}
    missing = {name for name in named if name not in QUERIES} - {"type"}
    assert not missing and len(named) > 60


async def test_arguments_become_the_venue_s_fields(info):
    assert await info.l2_book("BTC") == {"type": "l2Book", "coin": "BTC"}
    assert await info.l2_book("BTC", 5, mantissa=2) == {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 2}
    got = await info.candle_snapshot("BTC", "1h", 1, end_time=2)
    assert got == {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "1h", "startTime": 1, "endTime": 2}}
    got = await info.user_fills_by_time(ME.upper().replace("0X", "0x"), 5)
    assert got == {"type": "userFillsByTime", "user": ME, "startTime": 5}
    assert await info.sub_accounts_2(ME) == {"type": "subAccounts2", "user": ME}
    assert await info.request("somethingNew", user=ME, x=None) == {"type": "somethingNew", "user": ME}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda i: i.l2_book(), "lacks 'coin'"),
        (lambda i: i.l2_book("BTC", sigfigs=5), "no argument 'sigfigs'"),
        (lambda i: i.l2_book("BTC", n_sig_fig=5), "did you mean 'n_sig_figs'"),
        (lambda i: i.l2_book("BTC", 6), "2 to 5"),
        (lambda i: i.open_orders("bob"), "40 hex digits"),
        (lambda i: i.candle_snapshot("BTC", "1H", 0), "did you mean '1h'"),
        (lambda i: i.user_fills_by_time(ME, "yesterday"), "whole number"),
        (lambda i: i.order_status(ME, "0x12"), "oid"),
        (lambda i: i.meta("a", "b"), "takes dex"),
    ],
)
async def test_a_wrong_argument_is_named_before_anything_is_sent(info, call, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        await call(info)


def test_every_recorded_answer_reads_as_its_type(shared):
    """Each recording from the venue has the keys that its type promises, with values of that kind; the rest stays reachable."""
    seen = 0
    for path in sorted((shared / "fixtures" / "venue").glob("http_info_*.jsonl")):
        name = path.stem.removeprefix("http_info_")
        for row, text in recorded(shared, name):
            answer = orjson.loads(text)
            assert answer == row["response"]
            if row["recorded"] and "its own model" not in row.get("note", ""):
                assert not misfits(answer, QUERIES[name].answer), (name, row["id"])
                seen += 1
    for name, kind in (("meta*.json", "meta"), ("spot_meta*.json", "spotMeta"), ("perp_dexs*.json", "perpDexs")):
        for path in (shared / "fixtures" / "venue").glob(name):
            assert not misfits(orjson.loads(path.read_bytes()), QUERIES[kind].answer), path.name
            seen += 1
    assert seen > 35


async def test_a_typed_answer_costs_what_orjson_costs(shared):
    """The answer is the parsed JSON itself, not a copy: the same object, so nothing is dropped and nothing is added to its cost."""
    _, text = next(recorded(shared, "userFills"))
    parsed = []

    async def ask(payload):
        parsed.append(orjson.loads(text))
        return parsed[-1]

    assert await Info(ask).user_fills(ME) is parsed[0]


def test_what_the_local_exchange_answers_is_in_the_table():
    assert set(ANSWERS) <= set(QUERIES)


@pytest.mark.parametrize("per_ms", [1, 3, 499])
async def test_ledger_rows_are_read_across_page_edges(per_ms):
    rows = [
        {"time": 1000 + n // per_ms, "hash": f"0x{n}", "delta": {"type": "deposit", "usdc": str(n)}}
        for n in range(1700)
    ]

    async def ask(payload):
        return [row for row in rows if row["time"] >= payload["startTime"]][:500]

    assert [row async for page in Info(ask).ledger_pages(ME, 1000) for row in page] == rows


@pytest.mark.parametrize(
    "answer",
    [None, {}, "x", 5, [None], ["x"], [[]], [{}], [{"time": None}], [{"time": "x", "hash": "0x", "delta": {}}]],
)
async def test_pages_of_a_broken_answer_raise_a_typed_error_that_shows_the_row(answer):
    """G19: nulls where rows were, rows without their identity or time."""

    async def ask(payload):
        return answer

    info = Info(ask)
    for pages in (
        info.ledger_pages(ME, 0),
        info.user_fills_pages(ME, 0),
        info.user_funding_pages(ME, 0),
        info.funding_history_pages("BTC", 0),
    ):
        with pytest.raises(ProtocolError, match="row"):
            async for _ in pages:
                pass
