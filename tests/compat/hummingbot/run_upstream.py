"""Hummingbot's own unit tests, unchanged, against `hlfast.compat.hummingbot` under its import alias.

    python -m tests.compat.hummingbot.run_upstream PATH       # PATH: a checkout of Hummingbot, with test/ in it

Nothing of the checkout's package is imported: `hummingbot` is ours. Each file runs in a process of its own; the tests of
books need numpy and pandas. Files that the drop-in does not cover are listed with the reason. Exits with 1 if a test that
is covered fails, or a file of the required ones is missing.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import unittest
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
if __name__ == "__main__" and not any((ROOT / "hlfast" / f"_build{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
    # `python -m` puts this folder first on the path, where a tree that is not compiled would hide the installed package
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

COVERED = (
    "connector/test_client_order_tracker.py",
    "connector/test_perpetual_trading.py",
    "core/data_type/test_in_flight_order.py",
    "core/data_type/test_order_book.py",
    "core/data_type/test_order_book_message.py",
    "core/data_type/test_trade_fee.py",
    "core/data_type/test_common.py",
    "core/data_type/test_limit_order.py",
    "core/test_events.py",
    "core/test_pubsub.py",
)
"""Under test/hummingbot."""

FRAMEWORK = (
    "the clock, its iterators and the trading core are Hummingbot's framework; there is none around this connector"
)
SOURCES = "Hummingbot's data sources and their queues; the streams go from the socket into the book and the tracker"
TRANSPORT = "Hummingbot's HTTP and WebSocket assistants, throttler and clocks of requests; hlfast has its own transport"
STOCK = (
    "pins the stock connector's own requests by mocking aiohttp; this connector has its own (docs/hummingbot_swap.md)"
)
NOT_COVERED = {
    "connector/test_budget_checker.py": "no budget checker: `budget_checker` raises and says what to look at",
    "connector/test_connector_base.py": "estimates balances between polls from InFlightOrderBase; here the venue pushes them",
    "connector/test_connector_metrics_collector.py": "telemetry",
    "connector/test_markets_recorder.py": "the database",
    "connector/test_parrot.py": "a rewards service",
    "connector/test_time_synchronizer.py": TRANSPORT,
    "connector/test_utils.py": "imports the client's configuration; ids are restated in test_vocabulary.py",
    "connector/utilities": TRANSPORT,
    "connector/derivative/hyperliquid_perpetual": STOCK,
    "connector/exchange/hyperliquid": STOCK,
    "core/api_throttler": TRANSPORT,
    "core/data_type/test_order_book_tracker": SOURCES,
    "core/data_type/test_user_stream_tracker": SOURCES,
    "core/rate_oracle": "rates fetched from many venues; here `RateOracle` knows what `set_price` was told",
    "core/test_clock.py": FRAMEWORK,
    "core/test_connector_manager.py": FRAMEWORK,
    "core/test_network_base.py": FRAMEWORK,
    "core/test_network_iterator.py": FRAMEWORK,
    "core/test_py_time_iterator.py": FRAMEWORK,
    "core/test_time_iterator.py": FRAMEWORK,
    "core/test_trading_core.py": FRAMEWORK,
    "core/utils/test_estimate_fee.py": "asks for another venue's fees",
    "core/utils": "tools of the client and of other venues' connectors",
    "core/web_assistant": TRANSPORT,
    "logger": "what the client's log files look like",
}
"""Files and folders (by the beginning of their path), and why."""

LOOKED_AT = ("connector/*.py", "connector/utilities", "core", "logger", "connector/derivative/hyperliquid_perpetual",
             "connector/exchange/hyperliquid")  # fmt: skip


def run_file(checkout: Path, name: str) -> dict[str, Any]:
    """Run one file of the checkout in this process: how many ran, and `[test, last line of the error]` of each that failed."""
    import hlfast.compat.hummingbot as ours

    ours.install_alias()
    sys.path.insert(0, str(checkout))
    module = "test.hummingbot." + name.removesuffix(".py").replace("/", ".")
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    result = unittest.TestResult()
    suite.run(result)
    bad = [[str(test), error.strip().splitlines()[-1]] for test, error in (*result.failures, *result.errors)]
    return {"ran": result.testsRun, "skipped": len(result.skipped), "bad": bad}


def run_in_child(checkout: Path, name: str, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), str(checkout), "--file", name]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found
    except (IndexError, ValueError):
        said = done.stderr.strip().splitlines() or [f"ended with {done.returncode} and said nothing"]
        return {"ran": 0, "skipped": 0, "bad": [[name, said[-1]]]}


def count_tests(path: Path) -> int:
    return sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        for node in ast.walk(ast.parse(path.read_text()))
    )


def rule(name: str) -> str:
    """The longest beginning of a file's path that has a reason; without one, the path."""
    return max((start for start in NOT_COVERED if name.startswith(start)), key=len, default=name)


def others(root: Path) -> Iterable[str]:
    """Test files beside the covered ones."""
    found: set[Path] = set()
    for pattern in LOOKED_AT:
        found |= set(root.glob(pattern) if "*" in pattern else (root / pattern).rglob("*.py"))
    names = {path.relative_to(root).as_posix() for path in found if path.name.startswith("test_")}
    return sorted(names - set(COVERED))


def run(checkout: Path, environment: dict[str, str]) -> bool:
    """Run all, print the table; True if every covered test passed and none was missing."""
    root = checkout / "test" / "hummingbot"
    if not root.is_dir():
        print(f"{checkout} has no test/hummingbot in it: give the folder of a checkout of Hummingbot")
        return False
    passed = failed = skipped = 0
    print(f"{'file':50} {'ran':>4} {'passed':>7} {'failed':>7}")
    for name in COVERED:
        if not (root / name).is_file():
            failed += 1
            print(f"{name:50} is not in the checkout")
            continue
        found = run_in_child(checkout, name, environment)
        bad = len(found["bad"])
        passed, failed = passed + found["ran"] - bad - found["skipped"], failed + bad
        skipped += found["skipped"]
        print(f"{name:50} {found['ran']:4} {found['ran'] - bad - found['skipped']:7} {bad:7}")
        for test, error in found["bad"]:
            print(f"    {test}: {error}")
    print(f"{'together':50} {passed + failed + skipped:4} {passed:7} {failed:7}")
    print("\nnot run, because the drop-in does not cover what they test:")
    groups: dict[str, list[str]] = {}
    for name in others(root):
        groups.setdefault(rule(name), []).append(name)
    for start, names in groups.items():
        why = NOT_COVERED.get(start, "NEW in this checkout: nobody has looked at it yet")
        tests = sum(count_tests(root / name) for name in names)
        print(f"{start:45} {len(names):3} files {tests:4} tests  {why}")
    return not failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    checkout = options.checkout.resolve()
    if options.file is not None:
        print(json.dumps(run_file(checkout, options.file)))
        return 0
    from ...children import surroundings

    return 0 if run(checkout, surroundings()) else 1


if __name__ == "__main__":
    sys.exit(main())
