"""tests/README.md, the index of what the tests show: made from their docstrings, and checked against them.

    python tests/arch/test_index.py          writes the index anew

A test names what it shows in its docstring: "Behaviour 36.", "Behaviours 73 and 74.", "G7" (an order guarantee), "C2" (a
guarantee of the connection), "L51" (a lesson from another project), "S6" (a defect of the official SDK), "D4" (a defect
of Hummingbot's connectors).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
INDEX = TESTS / "README.md"
BEHAVIOURS = range(1, 137)
GUARANTEES = {"G": range(1, 21), "C": range(1, 10)}
DEFECTS = {"S": range(1, 37), "D": range(1, 28)}  # of the official SDK, of Hummingbot's connectors

LISTED = re.compile(r"\bbehaviours?\s+(\d+(?:(?:,\s*|\s+and\s+|-|–)\d+)*)", re.IGNORECASE)
CODE = re.compile(r"\b([GCLSD])(\d{1,3})\b")

HEAD = """# What the tests show

Written by `python tests/arch/test_index.py` from the docstrings of the tests; a test fails when it is not up to date.

| folder | holds |
|---|---|
| `unit/` | one part at a time: numbers, books, orders, the tracker, positions, events, settings |
| `property/` | the same parts beside slow models, on generated input |
| `venue/` | the venue's formats: scanners, action writer, signatures, nonces, metadata, request budgets |
| `session/` | real sockets: listener, reconnects, HTTP |
| `connector/` | the connector against the local exchange, over real sockets |
| `l4/` | the order-by-order book: the book itself, its frames, and a node that does its worst |
| `sim/` | the local exchange itself: matching, money, refusals, verification of signatures, its streams |
| `compat/` | the drop-in for the official SDK: beside the original, against far ends that misbehave, on the local exchange; `python -m tests.compat.run_upstream PATH` runs the SDK's own tests and examples, from a checkout |
| `compat/hummingbot/` | Hummingbot's vocabulary, by its own rules and beside the native interface; `python -m tests.compat.hummingbot.run_upstream PATH` runs Hummingbot's own unit tests, from a checkout, under the import alias |
| `engine/`, `cli/`, `examples/` | strategies and their runner, the command line and the demo, the shipped examples |
| `leaks/` | what frames and objects leave behind: memory stays where it was |
| `judge.py` `life.py` `virtual_time.py` | what the proofs share: the comparison with the exchange's record, a connector and an exchange told what to do step by step, a loop in made time |
| `chaos.py` `soak.py` `fault_matrix.py` | proofs that are also commands, for minutes or hours: `python -m tests.chaos`, `tests.soak`, `tests.fault_matrix`; run in bounded form by `connector/` |
| `arch/` | layers, what a wheel holds, a downstream module compiled against it, this index |

`pytest` runs all of it; `pytest --long` the long versions too. The suite also has to pass on a build with
`HLFAST_DEBUG=1`. Tests that read recordings of the venue skip, with the reason, where those are absent.

## Figures

What the long runs have shown, once in full. `pytest -s` prints a run's own figures.

| what | command | date | figure |
|---|---|---|---|
| 1,000,000 fills as frames: 5 % twice, 5 % reordered, 1 % 30 s late, 209 snapshots replayed | `pytest --long -s tests/property/test_fills.py` | 2026-11-24 | 0 lost, 0 doubled (467,852 repeats told apart); position, cash, fees exact; +3.8 MB from the 300,000th to the last |
| 10,000 forced reconnects, in 7 ways | `pytest --long -s tests/connector/test_reconnects.py` | 2026-11-25 | 0 descriptors, tasks or objects more, +0.5 MB; no connection refused at 200 times the venue's budget |
| 1,000 stops in each state of a reconnect | the same | 2026-11-24 | 0 tasks, 0 descriptors left |
| kill -9 at 1,000 random points, 493 of them named ones, on a machine at load 2 to 13 | `pytest --long -s tests/connector/test_kill.py` | 2026-11-25 | 29,593 live orders found, all; 0 fills lost or doubled; 631 intents proven absent; ready p50 0.16 s, max 5.2 s (0.75 s on the day before, at load 2); settled max 5.2 s |
| each named crash point, at hits 1 and 17 | `pytest -s tests/connector/test_kill.py` | 2026-11-24 | 12 of 12 hit; ready max 0.12 s |
| fault matrix: 29 moments and faults × 4 actions, twice, real time | `python -m tests.fault_matrix --repeat 2` | 2026-11-25 | 232 runs, 232 hits, 0 wrong; resolved p50 25 ms, p99 870 ms, max 871 ms after the link is back |
| the same in made time, 60 times | `python -m tests.fault_matrix --virtual --repeat 60` | 2026-11-25 | 6,960 runs, 6,960 hits, 0 wrong; p99 860 ms |
| the life of orders as a state machine over connector and exchange | `pytest --long tests/property/test_connector_life.py -k Long` | 2026-11-25 | 300 examples × 50 steps, four passes: 0 differences |
| the SDK's own 35 tests after `install()`, and 40 of its example programs on the SDK and on hlfast | `python -m tests.compat.run_upstream PATH` | 2026-11-25 | all passed; all equal |
| Hummingbot 2.16.0's own unit tests of tracker, orders, books, messages, fees, positions and events, under the alias | `python -m tests.compat.hummingbot.run_upstream PATH` | 2026-11-25 | 10 files, 111 tests, all passed |
| gateway, strategy, database and exchange under 27 kinds of fault, 5 minutes | `pytest --long -s tests/engine/test_gateway_day.py -k 300` | 2026-11-25 | 19,703 requests, 2,262 fills, 5,271 hits: book, journal and exchange equal (cash, position, fees, each fill); 60,110 market messages without a gap |
| gateway killed -9 a hundred times under load | `pytest --long -s tests/engine/test_gateway_faults.py -k 100` | 2026-11-25 | 7,913 orders, 7,318 cancels: all answered; none executed twice, none after its deadline, no accepted one missing |
| 100,000 random frames through ZeroMQ | `pytest --long tests/engine/test_gateway_load.py -k 100000` | 2026-11-25 | each answered with a canonical reason, no internal error, and it trades on |
| a thousand orders a second for a minute of made time | `pytest --long -s tests/connector/test_rate.py` | 2026-11-25 | 60,000 orders, all accounted for; +4.1 MB from the 20,000th to the last |
| soak, 58 minutes: 4,300 frames/s, 12.9 orders/s, all kinds of fault hit, on two cores at load 2 to 13 | `python -m tests.soak --minutes 58 --seed 22` | 2026-11-25 | 44,969 orders, 17,362 fills, 741 reconnects, 369 fundings: cash, position, fees, funding equal, PnL 2e-9 a fill off; 0 unhandled errors; settled max 3.6 s; memory +1.6 MB after the warm-up, slope 0.95 MB an hour |
"""


def numbers(listed: str) -> Iterator[int]:
    for first, last in re.findall(r"(\d+)(?:[-–](\d+))?", listed):
        yield from range(int(first), int(last or first) + 1)


def codes(docstring: str) -> set[tuple[str, int]]:
    """("B", 36), ("G", 7), ("L", 51): everything that a docstring names."""
    named = {("B", n) for listed in LISTED.findall(docstring) for n in numbers(listed)}
    return named | {(letter, int(n)) for letter, n in CODE.findall(docstring)}


def index(tests: Path) -> dict[tuple[str, int], list[str]]:
    """What is named, and the tests that name it as "folder/file.py::test"."""
    shown: dict[tuple[str, int], list[str]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        file, tree = path.relative_to(tests).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            if is_test or (isinstance(node, ast.ClassDef) and node.name.startswith("Test")):
                for code in codes(ast.get_docstring(node) or ""):
                    shown.setdefault(code, []).append(f"{file}::{node.name}")
    return shown


def table(shown: dict[tuple[str, int], list[str]], letter: str, title: str) -> str:
    rows = [f"| {title} | tests |", "|---|---|"]
    for code in sorted(code for code in shown if code[0] == letter):
        name = str(code[1]) if letter == "B" else f"{letter}{code[1]}"
        rows.append(f"| {name} | {'<br>'.join(f'`{test}`' for test in shown[code])} |")
    return "\n".join(rows) + "\n"


def text(shown: dict[tuple[str, int], list[str]]) -> str:
    open_ones = [f"{c}{n}" for c, known in GUARANTEES.items() for n in known if (c, n) not in shown]
    parts = [
        HEAD,
        "## Behaviours\n",
        table(shown, "B", "behaviour"),
        "## Guarantees\n",
        table(shown, "G", "an order's life"),
        table(shown, "C", "the connection"),
        f"Not named by a test: {', '.join(open_ones)}.\n" if open_ones else "Every guarantee is named by a test.\n",
        "## Lessons\n",
        table(shown, "L", "lesson"),
        "## Defects of the official SDK, mended in the drop-in\n",
        table(shown, "S", "defect"),
        "## Defects of Hummingbot's connectors, absent here\n",
        table(shown, "D", "defect"),
    ]
    return "\n".join(parts)


def test_every_behaviour_is_shown_by_a_test():
    shown = index(TESTS)
    assert [n for n in BEHAVIOURS if ("B", n) not in shown] == []


def test_every_defect_of_other_projects_is_shown_mended_by_a_test():
    shown = index(TESTS)
    assert [(letter, n) for letter, numbers in DEFECTS.items() for n in numbers if (letter, n) not in shown] == []


def test_the_index_is_up_to_date():
    assert INDEX.read_text(encoding="utf-8") == text(index(TESTS)), "run: python tests/arch/test_index.py"


def test_the_index_reads_what_docstrings_name(tmp_path):
    (tmp_path / "test_x.py").write_text(
        '"""Behaviour 9 in a file\'s head is no test."""\n'
        'def test_a():\n    """Behaviours 3, 5-7 and 9, G2: text with 40 numbers. L51, L7."""\n'
        'class TestB:\n    """behaviour 12, C7"""\n'
        'def helper():\n    """Behaviour 13."""\n'
    )
    shown = index(tmp_path)
    assert sorted(n for letter, n in shown if letter == "B") == [3, 5, 6, 7, 9, 12]
    assert {code for code in shown if code[0] != "B"} == {("G", 2), ("L", 51), ("L", 7), ("C", 7)}
    assert shown["B", 12] == ["test_x.py::TestB"] and "| 12 | `test_x.py::TestB` |" in text(shown)
    assert "Not named by a test: G1, G3" in text(shown)


if __name__ == "__main__":
    INDEX.write_text(text(index(TESTS)), encoding="utf-8")
