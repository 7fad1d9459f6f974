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
    assert figures.keys() == {"machine", "build", "peers", "absent", "quick", "benchmarks"}
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
