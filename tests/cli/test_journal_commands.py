"""`hlfast orders` and `hlfast fills`: exact figures, filters, three formats, and what is said where there is no journal."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hlfast import clock
from hlfast.cli.app import cli
from hlfast.cli.journal_commands import FIELDS
from hlfast.core.events import OrderEvent
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import TradeUpdate
from hlfast.engine.journal import Journal, journal_path
from hlfast.errors import VenueReject
from hlfast.types import OrderType, TradeType

START_NS = 1_790_000_000 * 10**9
ACCOUNT = "0x00000000000000000000000000000000000000ab"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def shown(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def names(*arguments: str) -> list[str]:
    return [row["client_order_id"] for row in shown(*arguments)]


def write(folder: Path) -> Journal:
    """Six orders an hour apart: BTC filled at two prices, resting, refused, cancelled; ETH resting; one placed elsewhere."""
    journal = Journal(folder, network="simulator", account=ACCOUNT, ring_records=256)
    tracker = ClientOrderTracker()
    tracker.bus.on(OrderEvent, journal.ring.put_order_event)

    def order(n: int, coin: str = "BTC", **fields: Any) -> InFlightOrder:
        clock.set_virtual(START_NS + n * 3_600 * 10**9)
        given = {"client_order_id": f"o-{n}", "cloid": f"0x{n:032x}", "coin": coin, "trade_type": TradeType.BUY}
        made = InFlightOrder(**{**given, "amount": "0.5", "price": "60000.5", "sz_decimals": 5, **fields})
        tracker.start_tracking(made)
        assert journal.ring.put_intent(made, n, 0, clock.epoch_ns())
        tracker.mark_submitted(made, n)
        return made

    def fill(made: InFlightOrder, tid: int, amount: str, price: str, **fields: Any) -> None:
        given = {"coin": made.coin, "tid": tid, "exchange_order_id": made.exchange_order_id, "cloid": made.cloid}
        more = {"sz_decimals": 5, "is_buy": True, "time_ms": clock.epoch_ns() // 10**6, "direction": "Open Long"}
        tracker.process_trade_update(TradeUpdate(**{**given, **more, "price": price, "amount": amount, **fields}))

    first = order(1)
    tracker.acknowledge(first, 101)
    fill(first, 1, "0.2", "60000", fee="4.500000000001", is_taker=False)
    fill(first, 2, "0.3", "60000.5", fee="-0.1", closed_pnl="-7.25")
    tracker.acknowledge(order(2, tif="Alo"), 102)
    tracker.reject(order(3), "no", VenueReject("margin", "Insufficient margin to place order."))
    tracker.request_cancel(order(4, trade_type=TradeType.SELL, reduce_only=True))
    eth = order(5, "ETH", trigger_price="1234.5", order_type=OrderType.STOP_MARKET)
    tracker.acknowledge(eth, 105)
    fill(eth, 3, "0.00000000001", "1", fee_token="ETH")  # dust, off the grid
    clock.set_virtual(START_NS + 6 * 3_600 * 10**9)
    tracker.process_trade_update(
        TradeUpdate(
            coin="SOL", tid=4, exchange_order_id=777, price=1, amount=2, is_buy=False, time_ms=clock.epoch_ns() // 10**6
        )
    )
    return journal


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("state") / "journal" / "simulator" / ACCOUNT
    try:
        assert write(path).stop()
        yield path
    finally:
        clock.set_virtual(None)


@pytest.fixture
def at(folder: Path) -> str:
    return str(folder)


# -- what it shows ------------------------------------------------------------------------------------------------------
def test_an_order_is_shown_with_exact_figures(at: str) -> None:
    """Size, fill and average are the exact decimals of the fills, as text."""
    first = shown("orders", "--journal", at)[0]
    assert tuple(first) == FIELDS["orders"]
    assert first == {
        "time": "2026-09-21T15:13:20.000Z", "client_order_id": "o-1", "cloid": f"0x{1:032x}", "oid": 101, "coin": "BTC",
        "side": "buy", "type": "LIMIT", "tif": "Gtc", "reduce_only": False, "price": "60000.5", "trigger": None,
        "size": "0.5", "filled": "0.5", "average_price": "60000.3", "state": "FILLED", "live": False, "incomplete": False,
        "reason": "", "external": False, "strategy": None, "updated": first["updated"],
    }  # fmt: skip
    by_name = {row["client_order_id"]: row for row in shown("orders", "--journal", at)}
    assert by_name["o-3"]["reason"] == "Insufficient margin to place order."
    assert (by_name["o-5"]["trigger"], by_name["o-5"]["type"]) == ("1234.5", "STOP_MARKET")
    assert (by_name["o-4"]["side"], by_name["o-4"]["reduce_only"], by_name["o-4"]["state"]) == (
        "sell",
        True,
        "PENDING_CANCEL",
    )
    assert by_name["external-777"]["external"] and by_name["external-777"]["filled"] == "2"


def test_a_fill_is_shown_with_exact_figures(at: str) -> None:
    fills = shown("fills", "--journal", at)
    assert tuple(fills[0]) == FIELDS["fills"]
    assert [
        (f["tid"], f["size"], f["price"], f["fee"], f["fee_token"], f["closed_pnl"], f["liquidity"]) for f in fills
    ] == [
        (1, "0.2", "60000", "4.500000000001", "USDC", "0", "maker"),
        (2, "0.3", "60000.5", "-0.1", "USDC", "-7.25", "taker"),
        (3, "0.00000000001", "1", "0", "ETH", "0", "taker"),
        (4, "2", "1", "0", "USDC", "0", "taker"),
    ]
    assert fills[0]["client_order_id"] == "o-1" and fills[0]["direction"] == "Open Long" and fills[3]["side"] == "sell"


def test_the_filters_of_orders(at: str) -> None:
    every = ["o-1", "o-2", "o-3", "o-4", "o-5", "external-777"]
    for arguments, expected in (
        ([], every),
        (["--limit", "2"], every[-2:]),
        (["--limit", "0"], every),
        (["--coin", "BTC"], every[:4]),
        (["--coin", "btc"], []),  # the venue's spelling: kPEPE is not KPEPE
        (["--state", "filled"], ["o-1"]),
        (["--state", "OPEN", "--state", "failed"], ["o-2", "o-3"]),
        (["--state", "ended"], ["o-1", "o-3"]),
        (["--state", "live", "--coin", "BTC"], ["o-2", "o-4"]),
        (["--since", "2h"], ["o-4", "o-5", "external-777"]),
        (["--since", "2026-09-21T17:13:20"], every[2:]),
        (["--since", "2026-09-22"], []),
        (["--since", str((START_NS + 4 * 3_600 * 10**9) // 10**6)], every[3:]),
    ):
        assert names("orders", "--journal", at, *arguments) == expected, arguments


def test_the_filters_of_fills(at: str) -> None:
    for arguments, expected in (
        (["--order", "o-1"], [1, 2]),
        (["--order", f"0x{1:032x}"], [1, 2]),
        (["--order", "101"], [1, 2]),
        (["--order", "o-2"], []),
        (["--coin", "ETH"], [3]),
        (["--since", "90m"], [3, 4]),
        (["--limit", "1"], [4]),
    ):
        assert [row["tid"] for row in shown("fills", "--journal", at, *arguments)] == expected, arguments


@pytest.mark.parametrize("what", ["orders", "fills"])
def test_csv_holds_what_json_holds(what: str, at: str) -> None:
    result = run(what, "--journal", at, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    as_json = [{k: "" if v is None else str(v) for k, v in row.items()} for row in shown(what, "--journal", at)]
    assert rows == as_json and len(rows) > 3
    empty = run(what, "--journal", at, "--csv", "--coin", "NONE").stdout
    assert empty == ",".join(FIELDS[what]) + "\n"
    assert shown(what, "--journal", at, "--coin", "NONE") == []


@pytest.mark.parametrize(
    ("what", "expected"), [("orders", ("o-1", "60000.3", "PENDING_CANCEL")), ("fills", ("4.500000000001", "maker"))]
)
def test_a_table_for_people(what: str, expected: tuple[str, ...], at: str) -> None:
    output = run(what, "--journal", at).stdout
    lines = output.strip().splitlines()
    assert all(text in output for text in expected) and "client order id" in lines[0]
    assert len(lines) == 2 + len(shown(what, "--journal", at))  # a line a row: nothing is folded
    assert run(what, "--journal", at, "--coin", "NONE").stdout == f"no {what} match\n"


def test_it_reads_while_a_connector_writes(tmp_path: Path) -> None:
    """Given an open journal, when it is shown, then nothing waits and nothing is in the way."""
    journal = write(tmp_path)
    journal.start()
    assert journal.stop()
    with Journal(tmp_path, network="simulator", account=ACCOUNT, ring_records=256) as journal:
        result = run("orders", "--journal", str(tmp_path), "--json")
        assert len(json.loads(result.stdout)) == 6 and result.stderr == ""
        assert journal.failures == 0


def test_records_of_a_killed_run_are_mentioned(tmp_path: Path) -> None:
    """Given a run that was killed, then its last records are not in the tables yet, and that is said."""
    journal = write(tmp_path / "a")
    copy = shutil.copytree(tmp_path / "a", tmp_path / "b")
    left = journal.ring.used
    journal.stop()
    result = run("orders", "--journal", str(copy))
    assert result.exit_code == 0 and f"note: {left} records of a run that was killed are not in yet" in result.stderr


# -- finding it ---------------------------------------------------------------------------------------------------------
def test_the_only_journal_is_found_and_several_are_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HLFAST_STATE", str(folder.parents[2]))
    assert names("orders", "--limit", "1") == ["external-777"]
    assert names(
        "orders", "--network", "simulator", "--account", ACCOUNT.upper().replace("X", "x"), "--limit", "1"
    ) == ["external-777"]
    assert "there is no journal of mainnet below" in run("orders", "--network", "mainnet").stderr
    monkeypatch.setenv("HLFAST_STATE", str(tmp_path))
    for account in ("0xaa", "0xbb"):
        Journal(journal_path("testnet", account), network="testnet", account=account, ring_records=64).stop()
    result = run("fills")
    assert result.exit_code == 1
    assert "there are 2 journals" in result.stderr and "--network testnet --account 0xbb" in result.stderr
    assert shown("fills", "--account", "0xAA") == []


def test_no_journal_another_file_and_a_newer_version_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HLFAST_STATE", str(tmp_path / "none"))
    newer = tmp_path / "newer"
    shutil.copytree(folder, newer)
    with closing(sqlite3.connect(newer / "journal.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    garbage = tmp_path / "garbage"
    garbage.mkdir()
    (garbage / "journal.sqlite").write_bytes(b"x" * 5_000)
    for arguments, said in (
        ([], "a connector keeps one when it is given journal="),
        (["--journal", str(tmp_path)], "there is no journal in"),
        (["--journal", str(newer)], "schema version 99, and this hlfast knows 2; update hlfast"),
        (["--journal", str(garbage)], "cannot be read: file is not a database"),
    ):
        for command in ("orders", "fills"):
            result = run(command, *arguments)
            assert result.exit_code == 1 and said in result.stderr, (arguments, result.stderr)
            assert len(result.stderr.strip().splitlines()) == 1 and result.stdout == ""
    assert not (tmp_path / "none").exists()  # looking for a journal makes nothing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is no time; give an age such as 30m"),
        (["--limit", "-1"], "--limit"),
        (["--json", "--csv"], "exclude each other"),
        (["--nope"], "--nope"),
    ],
)
def test_wrong_usage_is_told_with_exit_code_2(arguments: list[str], said: str, at: str) -> None:
    for command in ("orders", "fills"):
        result = run(command, "--journal", at, *arguments)
        assert result.exit_code == 2 and said in result.stderr
    assert run("orders", "--journal", at, "--state", "done").exit_code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_journal_of_somebody_else_is_told(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "journal.sqlite").chmod(0)
    result = run("orders", "--journal", str(copy))
    assert result.exit_code == 1 and "cannot be read" in result.stderr


@pytest.mark.parametrize("command", ["orders", "fills"])
def test_both_explain_themselves_with_examples(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    for expected in ("Examples:", f"hlfast {command} --", "--json", "--csv", "--since"):
        assert expected in result.output
    assert command in run("--help").output
