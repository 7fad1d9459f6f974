"""`hlfast run`: from the command line to the exchange's record, over signals, a kill, and a recording."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hlfast.cli.app import cli
from hlfast.cli.demo_view import live_view
from hlfast.cli.run import RunOptions, run_live
from hlfast.cli.run_view import run_summary
from hlfast.cli.strategy_files import load, make
from hlfast.config import RiskLimits
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange
from hlfast.venues.hyperliquid.connector import HyperliquidConnector
from hlfast.venues.hyperliquid.recorder import Recorder

from ..children import HOME, surroundings
from .test_demo import shown

ACCOUNT = FUNDED_ACCOUNTS[0].address

BIDDER = '''
"""Bids at the best price, one order at a time."""
from dataclasses import dataclass
from hlfast.engine import Strategy, parameter

@dataclass(kw_only=True, eq=False)
class Bidder(Strategy):
    coins: tuple[str, ...] = ("BTC",)
    size: str = "0.001"
    away_bps: int = parameter(0, unit="bps", at_least=0)

    def on_bbo(self, bbo):
        if bbo.bid_px and not self.orders:
            self.buy(bbo.coin, self.size, bbo.bid_px * (10000 - self.away_bps) / 10000, tif="Alo", rounding="passive")
            print("sent one")
            self.log.info("logged %s", "one")
'''


@pytest.fixture
def bidder(tmp_path: Path) -> Path:
    path = tmp_path / "bidder.py"
    path.write_text(BIDDER)
    return path


@pytest.fixture
async def exchange() -> AsyncIterator[SimExchange]:
    async with SimExchange(port=0, seed=5, block_ms=40) as made:
        yield made


class Child:
    """`hlfast run ...` in a process of its own."""

    def __init__(self, tmp_path: Path, *arguments: str) -> None:
        self.command = [sys.executable, "-c", "from hlfast.cli import main; main()", "run", *map(str, arguments)]
        self.environment = surroundings(HLFAST_STATE=str(tmp_path / "state"))

    async def start(self) -> Child:
        self.process = await asyncio.create_subprocess_exec(
            *self.command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment,
            cwd=HOME,
        )
        return self

    async def end(self, number: int | None = None) -> tuple[int, str, str]:
        if number is not None:
            self.process.send_signal(number)
        out, err = await asyncio.wait_for(self.process.communicate(), 60)
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


async def until(check: Callable[[], Any], seconds: float = 30.0) -> None:
    for _ in range(int(seconds / 0.02)):
        if check():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not so within {seconds} s")


def resting(exchange: SimExchange) -> list[Any]:
    return [row for row in exchange.truth(ACCOUNT)["orders"] if row["status"] == "open"]


async def run(tmp_path: Path, *arguments: Any) -> tuple[int, str, str]:
    return await (await Child(tmp_path, *arguments).start()).end()


# -- a run --------------------------------------------------------------------------------------------------------------
async def test_two_files_on_one_connector_each_with_its_own_figures(
    exchange: SimExchange, bidder: Path, tmp_path: Path
) -> None:
    """Issue 8.1: several strategies in one process; the summary is the exchange's record, and nothing else is printed."""
    params = tmp_path / "p.toml"
    params.write_text('[far]\naway_bps = 100\n[hlmm]\ncoins = ["ETH"]\nquote_value = 300\n')
    code, out, err = await run(
        tmp_path, f"far={bidder}", "market_maker", "--network", exchange.http_url, "--params", params, "--seconds", "3", "--json",
        "--set", "far.size=0.002",
    )  # fmt: skip
    assert code == 0, err
    said, truth = json.loads(out), exchange.truth(ACCOUNT)
    assert "sent one" in err  # what a strategy prints is no JSON
    assert said["strategies"]["far"]["class"] == "Bidder" and said["strategies"]["far"]["fills"] == 0
    assert said["strategies"]["hlmm"]["fills"] == len(truth["fills"]) and said["differences"] == []
    assert {row["coin"] for row in truth["fills"]} <= {"ETH"}
    assert {row["sz"] for row in truth["orders"] if row["coin"] == "BTC"} == {"0.002"}
    assert resting(exchange) == []
    assert said["health"]["ok"], said["health"]
    assert [row["unattributed"] for row in said["holdings"]] == ["0"] * len(said["holdings"])
    assert said["ended_by"] == "the time is up" and said["network"] == "simulator"


async def test_without_an_exchange_one_is_started_for_the_run(bidder: Path, tmp_path: Path) -> None:
    """L116: the first run needs nothing. Where somebody listens on port 8000, that is what is used."""
    code, out, err = await run(tmp_path, bidder, "--seconds", "2", "--no-ui", "--block-ms", "40")
    assert code == 0, (out, err)
    assert "running: bidder (Bidder)" in out and "add up to the account" in out
    assert "sent one" in out and "] bidder: logged one" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_ends_it_in_good_order(
    exchange: SimExchange, bidder: Path, tmp_path: Path, number: int, code: int
) -> None:
    """C7: given a resting order, when told to stop, then it is cancelled, the summary is told, and the exit code says why."""
    child = await Child(tmp_path, bidder, "--network", exchange.http_url, "--set", "away_bps=300", "--json").start()
    await until(lambda: resting(exchange))
    returned, out, err = await child.end(number)
    assert returned == code, err
    said = json.loads(out)
    assert said["ended_by"] == "a signal" and said["orders_left"] == [] and resting(exchange) == []


async def test_leave_leaves_the_orders_and_the_next_run_knows_them_by_their_cloid(
    exchange: SimExchange, bidder: Path, tmp_path: Path
) -> None:
    """Given an order left without a journal, when run again, then it is the strategy's: no second one, and cancelled at the end."""
    common = (bidder, "--network", exchange.http_url, "--set", "away_bps=300", "--json")
    child = await Child(tmp_path, *common, "--on-stop", "leave").start()
    await until(lambda: resting(exchange))
    code, _, err = await child.end(signal.SIGTERM)
    assert code == 143, err
    (order,) = resting(exchange)
    code, _, err = await run(tmp_path, *common, "--seconds", "1.5")
    assert code == 0, err
    assert len(exchange.truth(ACCOUNT)["orders"]) == 1 and resting(exchange) == []
    assert exchange.truth(ACCOUNT)["orders"][0]["oid"] == order["oid"]


async def test_orders_that_may_still_rest_make_the_exit_code_3(bidder: Path, tmp_path: Path) -> None:
    """Given an exchange that is gone, when told to stop, then the orders that nobody cancelled are named."""
    exchange = SimExchange(port=0, seed=5, block_ms=40)
    await exchange.start()
    child = await Child(
        tmp_path, bidder, "--network", exchange.http_url, "--set", "away_bps=300", "--stop-timeout", "0.5", "--json"
    ).start()
    await until(lambda: resting(exchange))
    await exchange.stop()
    code, out, err = await child.end(signal.SIGTERM)
    assert code == 3, (out, err)
    assert "may still rest at the venue" in err and len(json.loads(out)["orders_left"]) == 1


async def test_a_killed_run_goes_on_where_it_was(exchange: SimExchange, bidder: Path, tmp_path: Path) -> None:
    """Issue 8.1, G13: given kill -9 and fills while it was down, when run again with its journal, then every fill of both runs is
    its strategy's, and the sum is the account."""
    common = (f"a={bidder}", "b=market_maker", "--network", exchange.http_url, "--journal", tmp_path / "j", "--json")
    child = await Child(tmp_path, *common).start()
    await until(lambda: len(exchange.truth(ACCOUNT)["fills"]) > 5, 60)
    await child.end(signal.SIGKILL)
    await asyncio.sleep(1.0)  # what rests may be filled meanwhile
    code, out, err = await run(tmp_path, *common, "--seconds", "3")
    assert code == 0, err
    said, truth = json.loads(out), exchange.truth(ACCOUNT)
    assert set(said["strategies"]) == {"a", "b"}
    assert sum(figures["fills"] for figures in said["strategies"].values()) == len(truth["fills"])
    fees = sum(Decimal(figures["fees"].get("USDC", "0")) for figures in said["strategies"].values())
    assert fees == Decimal(truth["fees"]["USDC"])
    for row in said["holdings"]:
        assert (row["before"], row["manual"], row["unattributed"]) == ("0", "0", "0"), row
    held = {row["coin"]: row["account"] for row in said["holdings"] if row["account"] != "0"}
    assert {coin: Decimal(size) for coin, size in held.items()} == {
        coin: Decimal(row["szi"]) for coin, row in truth["positions"].items()
    }
    with contextlib.closing(sqlite3.connect(tmp_path / "j" / "journal.sqlite")) as db:  # what reports group by
        assert {name for (name,) in db.execute("SELECT DISTINCT strategy FROM orders")} == {"a", "b"}
        (told,) = db.execute("SELECT strategies FROM runs ORDER BY run DESC LIMIT 1").fetchone()
    assert [(one["name"], one["class"]) for one in json.loads(told)] == [("a", "Bidder"), ("b", "MarketMaker")]


async def test_limits_hold_on_the_exchange(exchange: SimExchange, bidder: Path, tmp_path: Path) -> None:
    """Given a position limit of two orders' value, then the record never holds more, and the refusals are counted."""
    code, out, err = await run(
        tmp_path, bidder, "--network", exchange.http_url, "--seconds", "4", "--json", "--set", "size=0.01",
        "--set", "limits.max_position_value=1400",
    )  # fmt: skip
    assert code == 0, err
    said, truth = json.loads(out), exchange.truth(ACCOUNT)
    assert Decimal(truth["positions"].get("BTC", {"szi": "0"})["szi"]) <= Decimal("0.02")
    if truth["positions"]:  # two were filled: the third was refused
        assert said["strategies"]["bidder"]["refused"] > 0 or Decimal(truth["positions"]["BTC"]["szi"]) < Decimal(
            "0.02"
        )


# -- over a recording -----------------------------------------------------------------------------------------------------
def test_the_same_file_over_a_recording_gives_the_same_each_time(bidder: Path, tmp_path: Path) -> None:
    async def record() -> None:
        async with SimExchange(port=0, seed=5, block_ms=40) as exchange:
            recorder = Recorder(exchange.network, ["BTC"], tmp_path / "data", trades=True)
            await recorder.start()
            await until(lambda: recorder.tap.frames > 100)
            await recorder.stop()

    asyncio.run(record())
    (path,) = (tmp_path / "data").glob("*.gz")
    command = ["run", str(bidder), "--replay", str(path), "--json"]
    said = [CliRunner().invoke(cli, command) for _ in range(2)]
    assert [each.exit_code for each in said] == [0, 0], said[0].output
    first, second = (json.loads(each.stdout) for each in said)
    assert first == second and first["orders"] >= 1 and first["network"] == "replay"
    assert first["replay"]["digest"] and first["replay"]["paper_fills"] == first["fills"]
    short = json.loads(CliRunner().invoke(cli, [*command, "--seconds", "0.5"]).stdout)
    assert short["ended_by"] == "the time is up" and short["replay"]["frames"] < first["replay"]["frames"]
    shown = CliRunner().invoke(cli, ["run", str(bidder), "--replay", str(path)])
    assert shown.exit_code == 0 and "PAPER orders" in shown.output


# -- what is given --------------------------------------------------------------------------------------------------------
def test_files_classes_names_and_shipped_ones_are_found(bidder: Path) -> None:
    assert load(str(bidder)).label == "bidder" and load(f"{bidder}:Bidder").kind.__name__ == "Bidder"
    assert load(f"fast={bidder}").label == "fast" and load("market_maker").label == "hlmm"
    assert load("hlfast.engine.strategies.momentum:Momentum").label == "hlmom"
    assert load(str(bidder)).kind is load(f"x={bidder}").kind  # one module a file


def test_parameters_go_to_all_to_one_and_the_command_line_wins(bidder: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        'coins = ["ETH"]\n[limits]\nmax_order_value = 100\n[fast]\naway_bps = 5\n[fast.limits]\nmax_open_orders = 3\n'
    )
    fast, slow = make(
        [f"fast={bidder}", f"slow={bidder}"], path, ["slow.away_bps=7", "limits.max_position_value=900", "size=1"]
    )
    assert fast.coins == slow.coins == ("ETH",)
    assert (fast.away_bps, slow.away_bps, fast.size) == (5, 7, "1")  # type: ignore[attr-defined]
    assert fast.limits == RiskLimits(max_open_orders=3, max_position_value=900)
    assert slow.limits == RiskLimits(max_order_value=100, max_position_value=900)
    assert (fast.order_prefix, slow.order_prefix) == ("fast", "slow")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import hlfast\n", "has 0 Strategy classes"),
        (BIDDER + "\nclass Other(Bidder): ...\n", "has 2 Strategy classes; name one as .*:CLASS; it has Bidder, Other"),
        ("def f(:\n", "is no Python: line 1"),
        ("import nothing_of_that_name\n", "cannot be imported: No module named 'nothing_of_that_name'"),
        ("1 / 0\n", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_file_that_cannot_be_run_says_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "wrong.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(str(path))


def test_what_does_not_go_together_is_named(bidder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("[nobody]\nsize = 1\n")
    for arguments, code, says in (
        (["nowhere.py"], 1, "there is no file 'nowhere.py'"),
        (["no_such_strategy"], 1, "market_maker, momentum, lead_lag"),
        ([f"{bidder}:Nope"], 1, "no Strategy named 'Nope'; it has Bidder"),
        ([bidder, bidder], 1, "2 strategies have the order_prefix 'bidder'"),
        ([bidder, "--params", tmp_path / "p.toml"], 1, "'nobody' is neither a strategy of this run (bidder)"),
        ([bidder, "--set", "sise=1"], 1, "did you mean size?"),
        ([bidder, "--set", "away_bps=-1"], 1, "got '-1', expected a whole number (bps) of at least 0"),
        ([bidder, "--network", "mainnet", "--no-journal"], 1, "needs a key"),
        ([bidder, "--network", "nonet"], 1, "unknown network 'nonet'"),
        ([bidder, "--journal", "x", "--no-journal"], 2, "exclude each other"),
        ([bidder, "--replay", bidder, "--spin"], 2, "--replay goes with no network"),
        ([bidder, "--postgres", "postgresql:///x"], 2, "this run keeps none; give --journal DIR"),
        ([], 2, "Missing argument"),
    ):
        result = CliRunner().invoke(cli, ["run", *map(str, arguments)])
        assert result.exit_code == code and says in result.output, (arguments, result.output)


def test_parameters_are_described_without_a_run(bidder: Path) -> None:
    said = CliRunner().invoke(cli, ["run", str(bidder), "--describe"])
    assert said.exit_code == 0 and "away_bps" in said.output and "a whole number (bps) of at least 0" in said.output
    assert "bidder (Bidder): Bids at the best price" in said.output


DOCS = Path(__file__).resolve().parents[2] / "docs" / "strategies.md"


def documented(language: str) -> str:
    return DOCS.read_text().split(f"```{language}\n")[1].split("```")[0]


@pytest.mark.skipif(not DOCS.is_file(), reason="the documents do not lie beside the tests")
async def test_the_documented_strategy_runs_with_the_documented_file(exchange: SimExchange, tmp_path: Path) -> None:
    (tmp_path / "my_strategy.py").write_text(documented("python"))
    (tmp_path / "my.toml").write_text(documented("toml"))
    code, out, err = await run(
        tmp_path, tmp_path / "my_strategy.py", "--params", tmp_path / "my.toml", "--network", exchange.http_url, "--seconds", "2",
        "--json", "--set", "size=0.003",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["strategies"]["joiner"]["class"] == "Joiner"
    orders = exchange.truth(ACCOUNT)["orders"]
    assert orders and {row["sz"] for row in orders} == {"0.003"}


@pytest.mark.skipif(not DOCS.is_file(), reason="the documents do not lie beside the tests")
def test_the_documented_errors_are_those_that_are_told(tmp_path: Path) -> None:
    path = tmp_path / "my_strategy.py"
    path.write_text(documented("python"))
    (tmp_path / "my.toml").write_text('size = "lots"\n')
    said = DOCS.read_text()
    for params, settings in ((tmp_path / "my.toml", ()), (None, ("sise=1",))):
        with pytest.raises(ConfigError) as caught:
            make([str(path)], params, settings)
        assert str(caught.value).replace(str(tmp_path) + "/", "") in said


async def test_the_live_view_and_the_summary_show_each_strategy(exchange: SimExchange) -> None:
    last: dict[str, Any] = {}
    result = await run_live(
        make(["market_maker", "momentum", "lead_lag"], None, ["hlmm.quote_value=300"]),
        RunOptions(network=exchange.network, seconds=2.5),
        on_snapshot=last.update,
    )
    assert not result.differences and last["health"]["why"] == []
    for width in (80, 120):
        view, summary = shown(live_view(last, width), width), shown(run_summary(result), width)
        for text in (view, summary):
            assert all(name in text for name in ("hlmm", "hlmom", "hllag", "net")), text
        assert "hlfast run  hlmm" in view and "BTC" in view
        assert "add up to the account" in summary and "ended by: the time is up" in summary


async def test_what_nobodys_fills_explain_is_a_difference(
    exchange: SimExchange, bidder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a venue that says more than all fills made, then the run lists it, and its exit code is 1."""

    async def told(self: HyperliquidConnector) -> dict[str, Decimal]:
        return {"BTC": Decimal("7")}

    monkeypatch.setattr(HyperliquidConnector, "account_positions", told)
    options = RunOptions(network=exchange.network, seconds=0.5)
    result = await run_live(make([str(bidder)], None, ["away_bps=300"]), options)
    (difference,) = result.differences
    assert (difference.kind, difference.subject, difference.exchange) == ("position", "BTC", "7")
    assert "1 differences to the venue's account" in shown(run_summary(result), 100)
