"""`hlfast coverage` and `hlfast sim --supported`: nothing of the protocol is left out, and nothing is missing without a reason."""

from __future__ import annotations

import json
import re

from click.testing import CliRunner

from hlfast.cli.app import cli
from hlfast.cli.coverage_command import NOT_SIMULATED, rows
from hlfast.sim.supported import SUPPORTED
from hlfast.venues.hyperliquid.endpoints import SUBSCRIPTIONS


def test_every_row_that_lacks_something_says_why():
    for row in rows():
        assert bool(row["reason"]) == (row["client"] is None or not row["exchange"]), row


def test_no_reason_is_kept_for_what_is_there():
    there = {row["name"] for row in rows() if row["exchange"]}
    assert not {name for name in NOT_SIMULATED if name in there} - {
        "userTwapSliceFills"
    }  # a request and a subscription


def test_every_name_of_the_reference_is_in_it(shared):
    text = (shared / "reference" / "hyperliquid.md").read_text()
    section = text[text.index("## 5.4") : text.index("### l2Book in detail")]
    named = set(re.findall(r'"type":"(\w+)"', section)) | set(re.findall(r"`(userTwapHistory|webData2)`", section))
    explorer = text[text.index("## 1.4") : text.index("# 2. Signing")]
    named |= set(re.findall(r'\{"type":"(\w+)","(?:height|hash|user)"', explorer)) | {"explorerTxs", "explorerBlock"}
    listed = {row["name"] for row in rows()}
    assert named <= listed and len(named) > 28
    assert {row["name"] for row in rows() if row["kind"] == "subscription"} >= set(SUBSCRIPTIONS)


def test_it_prints_text_and_json():
    run = CliRunner()
    text = run.invoke(cli, ["coverage"]).output
    assert "l2Book" in text and "info.l2_book" in text and "actions.withdraw" in text
    body = json.loads(run.invoke(cli, ["coverage", "--json"]).output)
    assert len(body["rows"]) == sum(total["of"] for total in body["totals"].values())
    missing = json.loads(run.invoke(cli, ["coverage", "--json", "--missing"]).output)["rows"]
    assert missing and all(row["reason"] for row in missing)


def test_the_exchange_lists_what_it_answers():
    text = CliRunner().invoke(cli, ["sim", "--supported"]).output
    assert all(name in text for names in SUPPORTED.values() for name in names)
    assert "answered as an unknown type" in text and "claimRewards" in text
