"""The compiled example: built by its own setup.py against the hlfast that is tested, and run."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast.cli.run import RunOptions, run_replay
from hlfast.cli.strategy_files import load
from hlfast.engine import StrategyGroup
from hlfast.sim import SimExchange
from hlfast.venues.hyperliquid.recorder import Recorder

from ..children import surroundings

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "compiled"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension module, made as the README says."""
    if not EXAMPLE.is_dir():
        pytest.skip("the examples do not lie beside the tests")
    for needed in ("Cython", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed here: nothing to compile the example with")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"no C compiler {compiler!r} here")
    folder = tmp_path_factory.mktemp("compiled") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.so", "*.c", "build"))
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    made = subprocess.run(
        command, cwd=folder, env=surroundings(), capture_output=True, text=True, timeout=300, check=False
    )
    assert made.returncode == 0, made.stderr[-3000:]
    [module] = [p for p in folder.iterdir() if p.name.endswith(sysconfig.get_config_var("EXT_SUFFIX"))]
    return module


async def test_its_on_book_is_compiled_and_trades_on_the_exchange(built: Path) -> None:
    """Issue 8.1: given a book with nine tenths of its depth on the bid, then the compiled handler buys, by the exchange's record."""
    kind: Any = load(str(built)).kind
    assert type(kind.on_book).__name__ == "cython_function_or_method"
    strategy = kind(max_orders=3)
    async with SimExchange(port=0, block_ms=20, traders=False, book_interval_ms=0) as exchange:
        exchange.engine.house.set_book("BTC", bids=[("64990", "1")], asks=[("65000", "1")])
        hl = hlfast.connect(exchange.network)
        heard = [0]
        async with hl, StrategyGroup(hl, [strategy]) as group:
            hl.on_book("BTC", lambda book: heard.__setitem__(0, heard[0] + 1))
            await asyncio.sleep(0.1)
            assert exchange.truth(hl.account)["orders"] == []
            for turn in range(400):
                exchange.engine.house.set_book("BTC", bids=[("64990", f"9.{turn % 10}")], asks=[("65000", "1")])
                await asyncio.sleep(0.03)
                if len(exchange.truth(hl.account)["fills"]) >= 3:
                    break
            truth, figures = exchange.truth(hl.account), group.figures()["pressure"]
            pressure = strategy.pressure["BTC"]
            assert pressure.books >= heard[0] > 3 and pressure.share > 0.8
    assert [row["side"] for row in truth["fills"]] == ["B"] * 3 and figures["fills"] == 3
    assert truth["positions"]["BTC"]["szi"] == "0.003"


def test_it_runs_over_a_recording_like_any_other(built: Path, tmp_path: Path) -> None:
    async def record() -> None:
        async with SimExchange(port=0, seed=5, block_ms=40) as exchange:
            recorder = Recorder(exchange.network, ["BTC"], tmp_path)
            await recorder.start()
            for _ in range(1000):
                await asyncio.sleep(0.02)
                if recorder.tap.frames > 100:
                    break
            await recorder.stop()

    asyncio.run(record())
    (path,) = tmp_path.glob("*.gz")
    results = []
    for _ in range(2):
        strategy: Any = load(str(built)).kind(high=0.51)
        results.append(run_replay([strategy], [path], RunOptions()).as_json())
        assert strategy.pressure["BTC"].books >= 1
    assert results[0] == results[1] and results[0]["replay"]["handler_errors"] == 0


async def test_the_readmes_command_runs_it_by_its_name(built: Path, tmp_path: Path) -> None:
    code = "from hlfast.cli import main; main()"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "run", "pressure_taker", "--seconds", "2", "--no-ui", "--set", "high=0.55",
        cwd=built.parent, env=surroundings(HLFAST_STATE=str(tmp_path)), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, out.decode()
    assert "running: pressure (PressureTaker)" in out.decode()
