"""`python -m benchmarks`: what it writes, and that it does not time what is not the same. Nothing here looks at a figure.

Runs from the checkout; skipped where the folder benchmarks/ is not beside tests/.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="no benchmarks/ beside tests/")

CHEAP = ("--quick", "--debug-ok", "--only", "float_to_wire", "--only", "event_1")


def run(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks *arguments`, after the statements `before` in the same interpreter."""
    command = [sys.executable, "-m", "benchmarks"]
    if before:
        main = f"import sys; import benchmarks.__main__ as run; {before}; sys.exit(run.main(sys.argv[1:]))"
        command = [sys.executable, "-c", main]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_json_has_every_side_of_what_was_asked_for(tmp_path: Path) -> None:
    # Given two cheap benchmarks, when they are run with --json,
    file = tmp_path / "figures.json"
    done = run(*CHEAP, "--json", str(file))
    # then the file says where it ran, and has a row for each side with a time above nothing.
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(file.read_text())
    assert figures.keys() == {"machine", "build", "peers", "quick", "benchmarks"}
    assert figures["machine"].keys() >= {"processor", "cores", "python", "date"}
    assert figures["build"]["version"]
    assert figures["peers"]["coincurve"]
    assert figures["quick"] is True
    assert [one["name"] for one in figures["benchmarks"]] == ["float_to_wire", "event_1"]
    for one in figures["benchmarks"]:
        assert one["mismatch"] is None
        assert {row["role"] for row in one["rows"]} == {"hlfast", "peer", "floor"}
        assert all(row["value"] > 0 and row["count"] > 0 for row in one["rows"])
        assert all(isinstance(target["met"], bool) for target in one["targets"])
    # and the table names them too.
    assert "float_to_wire(x)" in done.stdout
    assert figures["machine"]["date"] in done.stdout


def test_a_peer_with_another_result_is_an_error_and_is_not_timed(tmp_path: Path) -> None:
    # Given a peer that spells numbers in its own way, when it is run,
    file = tmp_path / "figures.json"
    plant = "from benchmarks.peers import plain; plain.float_to_wire = lambda x: f'{x:.3f}'"
    done = run(*CHEAP, "--json", str(file), before=plant)
    # then the run fails and says who differs, and only what agreed has figures.
    assert done.returncode == 1
    assert "float_to_wire: on input" in done.stderr
    assert "plain Python says" in done.stderr
    differs, agrees = json.loads(file.read_text())["benchmarks"]
    assert differs["rows"] == []
    assert "plain Python" in differs["mismatch"]
    assert agrees["rows"]


def test_a_wrong_result_of_hlfast_where_no_peer_is_compared_is_found() -> None:
    # Given a tracker that books no fill, when its benchmark is run, which no peer shares,
    plant = (
        "from benchmarks.kernels import tracking; tracking.LIVE = (2,); tracking.ENDED = 1; "
        "deaf = {'process_trade_update': lambda self, fill: False}; "
        "tracking.ClientOrderTracker = type('Deaf', (tracking.ClientOrderTracker,), deaf)"
    )
    done = run("--quick", "--debug-ok", "--only", "tracker_fill", before=plant)
    # then it is an error.
    assert done.returncode == 1
    assert "what is expected" in done.stderr


def test_a_debug_build_is_refused_with_what_to_do() -> None:
    plant = "run.machine.build_info = lambda: {'debug': True, 'trace': False, 'sanitize': False}"
    done = run("--quick", "--only", "event_1", before=plant)
    assert done.returncode == 2
    assert "debug build" in done.stderr
    assert "--debug-ok" in done.stderr
    assert done.stdout == ""


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    done = run("--quick", "--debug-ok", "--only", "flaot_to_wire")
    assert done.returncode == 2
    assert "'flaot_to_wire'" in done.stderr
    assert "float_to_wire" in done.stderr.replace("'flaot_to_wire'", "")


def test_a_missing_peer_is_named_and_nothing_fails() -> None:
    # Given a machine without the official SDK, when a benchmark that would compare it is run,
    plant = "import sys; sys.modules['hyperliquid'] = None; sys.modules['hyperliquid.utils.signing'] = None"
    done = run(*CHEAP, before=plant)
    # then it runs without it and says so.
    assert done.returncode == 0, done.stderr
    missing = next(line for line in done.stdout.splitlines() if line.startswith("missing"))
    assert "hyperliquid-python-sdk" in missing
    assert "official SDK" not in done.stdout


def test_markdown_has_a_row_for_every_side() -> None:
    done = run(*CHEAP, "--markdown")
    assert done.returncode == 0, done.stderr
    assert "| float_to_wire(x) | **hlfast** |" in done.stdout
    assert "| what | target | limit | value | met |" in done.stdout


def test_pictures_without_matplotlib_are_refused_with_what_to_install(tmp_path: Path) -> None:
    done = run(*CHEAP, "--plot", str(tmp_path), before="run.plot.is_possible = lambda: False")
    assert done.returncode == 2
    assert "'.[plot]'" in done.stderr
    assert done.stdout == ""


def test_pictures_are_drawn_from_the_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: an extra")
    done = run("--quick", "--debug-ok", "--only", "scale_handlers", "--only", "event_1", "--plot", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"scale_handlers.png", "kernels.png"}


def test_a_curve_says_where_on_its_axis_each_row_stands(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = run("--quick", "--debug-ok", "--only", "scale_handlers", "--json", str(file))
    assert done.returncode == 0, done.stderr
    (curve,) = json.loads(file.read_text())["benchmarks"]
    assert curve["axis"] == "handlers"
    assert {row["at"] for row in curve["rows"] if row["role"] == "hlfast"} == {1, 5, 10, 20, 50}


# -- tick to trade --------------------------------------------------------------------------------------------------------
def test_tick_to_trade_runs_plain_and_over_verified_tls(tmp_path: Path) -> None:
    # Given the floor and hlfast alone, when ticks are sent to both,
    file = tmp_path / "figures.json"
    plant = (
        "from benchmarks.tick_to_trade import harness; everyone = harness.entrants(tls=True); "
        "harness.entrants = lambda tls: [one for one in everyone if one.trader in ('echo', 'hlfast')]"
    )
    done = run("--quick", "--debug-ok", "--only", "tick_to_trade", "--json", str(file), before=plant)
    # then each has as many samples as ticks, and hlfast's stages are there.
    assert done.returncode == 0, done.stderr + done.stdout
    for benchmark in json.loads(file.read_text())["benchmarks"]:
        rows = {row["who"]: row for row in benchmark["rows"]}
        assert rows["hlfast"]["count"] == rows["bare picows echo"]["count"] > 0
        assert rows["hlfast"]["percentiles"].keys() == {"p50", "p90", "p99", "p99.9", "max"}
        assert rows["sign"]["count"] >= rows["hlfast"]["count"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("", ""),
        ("order['p'] = '1'", "was answered by"),
        ("order['a'] = 7", "was answered by"),
        ("payload['nonce'] += 1", "signature of order 0"),
    ],
)
def test_tick_to_trade_accepts_no_order_but_what_was_meant(change: str, said: str) -> None:
    code = f"""
import orjson
from benchmarks.kernels.signing import KEY
from benchmarks.peers import plain
from benchmarks.tick_to_trade import answers, exchange
tick = exchange.Tick(0)
wanted = plain.Intent("BTC", 0, True, float(tick.best_bid), answers.SIZES["BTC"], "Alo", "0x" + "1" * 32, 5)
body = plain.OrderSigner(KEY, plain.keccak(), is_mainnet=False).request((wanted,), 1_790_358_575_700)
message = orjson.loads(body)
payload = message["request"]["payload"]
(order,) = payload["action"]["orders"]
{change}
print(exchange.wrong([(tick, orjson.dumps(message))]))
"""
    done = code_in_checkout(code)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout if said else done.stdout.strip() == ""


def code_in_checkout(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


# -- the guard ------------------------------------------------------------------------------------------------------------
def guard(folder: Path, counts: dict[str, float], *arguments: str, more: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks.guard *arguments` with these counts, as if valgrind had made them, on a release build."""
    return code_in_checkout(
        f"""
import sys
from pathlib import Path
import benchmarks.guard.__main__ as guard
guard.FOLDER, guard.ROOT, guard.count = Path({str(folder)!r}), Path({str(folder)!r}), lambda: {counts!r}
guard.shutil.which = lambda name: name
guard.machine.unfit_build = lambda build: None
{more}
sys.exit(guard.main({list(arguments)!r}))
"""
    )


def test_the_guard_fails_above_its_tolerance_only(tmp_path: Path) -> None:
    # Given no baseline, the guard reports and passes;
    first = guard(tmp_path, {"sign": 100.0, "bbo": 100.0})
    assert first.returncode == 0 and "not compared: no baseline" in first.stdout
    # and with one, 4 % more passes and 6 % more fails, with the kernel's name.
    assert guard(tmp_path, {"sign": 100.0, "bbo": 100.0}, "--renew").returncode == 0
    assert guard(tmp_path, {"sign": 104.0, "bbo": 50.0}).returncode == 0
    slower = guard(tmp_path, {"sign": 106.0, "bbo": 100.0})
    assert slower.returncode == 1 and "sign: +6.0%" in slower.stderr and "bbo" not in slower.stderr
    gone = guard(tmp_path, {"sign": 100.0})
    assert gone.returncode == 1 and "bbo: gone" in gone.stderr


def test_the_guard_compares_nothing_with_another_interpreters_baseline(tmp_path: Path) -> None:
    assert guard(tmp_path, {"sign": 100.0}, "--renew").returncode == 0
    other = guard(tmp_path, {"sign": 200.0}, more="guard.made_with = lambda build: {'cython': 'x', 'interpreter': 'y'}")
    assert other.returncode == 0 and "cython and interpreter differ" in other.stdout


def test_the_guard_says_so_where_there_is_no_valgrind(tmp_path: Path) -> None:
    without = guard(tmp_path, {}, more="guard.shutil.which = lambda name: None")
    assert without.returncode == 0 and "skipped: valgrind is not installed" in without.stdout


def test_one_signature_is_among_the_kernels_that_the_guard_counts() -> None:
    """L80: constants of the typed data are computed once: building them anew would show in a signature's instructions."""
    baselines = sorted((ROOT / "benchmarks" / "guard" / "baseline").glob("*.json"))
    assert baselines
    for baseline in baselines:
        counted = json.loads(baseline.read_text())["instructions"]
        assert counted["sign 1 order"] < 30 * counted["keccak256, 180 B"]  # libsecp256k1 is some 23 of them


def test_the_gateways_market_data_reaches_a_reader_without_loss(tmp_path: Path) -> None:
    # Given 100 instruments at ten times the venue's rates and a reader in another process, when it is run,
    pytest.importorskip("zmq", reason="the gateway needs pyzmq")
    file = tmp_path / "figures.json"
    done = run("--quick", "--debug-ok", "--only", "gateway_market", "--json", str(file))
    # then every message has arrived: one that had not would be a mismatch, and no figure.
    assert done.returncode in (0, 1), done.stderr
    (one,) = json.loads(file.read_text())["benchmarks"]
    assert one["mismatch"] is None, one["mismatch"]
    assert one["rows"][0]["count"] > 1_000
