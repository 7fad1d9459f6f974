"""tests/README.md, the index of what the tests show: made from their docstrings, and checked against them.

    python tests/arch/test_index.py          writes the index anew

A test names what it shows in its docstring: "Behaviour 36.", "Behaviours 73 and 74.", "G7" (an order guarantee), "C2" (a
guarantee of the connection), "L51" (a lesson from another project), "D4" (a defect of Hummingbot's connectors).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
INDEX = TESTS / "README.md"
BEHAVIOURS = range(
    1, 79
)  # of the phases that the connector consists of; later ones belong to the gateway and the engine
GUARANTEES = {"G": range(1, 21), "C": range(1, 10)}

LISTED = re.compile(r"\bbehaviours?\s+(\d+(?:(?:,\s*|\s+and\s+|-|–)\d+)*)", re.IGNORECASE)
DEFECTS = range(1, 28)
CODE = re.compile(r"\b([GCLD])(\d{1,3})\b")

HEAD = """# What the tests show

Written by `python tests/arch/test_index.py` from the docstrings of the tests; a test fails when it is not up to date.

| folder | holds |
|---|---|
| `unit/` | one part at a time: numbers, books, orders, the tracker, positions, events, settings |
| `property/` | the same parts beside slow models, on generated input |
| `venue/` | the venue's formats: scanners, action writer, signatures, nonces, metadata, request budgets |
| `session/` | real sockets: listener, reconnects, HTTP |
| `connector/` | the connector against the local exchange, over real sockets |
| `sim/` | the local exchange itself: matching, money, refusals, verification of signatures, its streams |
| `engine/`, `cli/`, `examples/` | strategies and their runner, the command line and the demo, the shipped examples |
| `compat/` | the interfaces of other projects on hlfast, by their own rules and beside the native one |
| `leaks/` | what frames and objects leave behind: memory stays where it was |
| `judge.py` `life.py` `virtual_time.py` | what the proofs share: the comparison with the exchange's record, a connector and an exchange told what to do step by step, a loop in made time |
| `chaos.py` `fault_matrix.py` | proofs that are also commands: `python -m tests.chaos`, `python -m tests.fault_matrix` |
| `arch/` | layers, what a wheel holds, a downstream module compiled against it, this index |

`pytest` runs all of it; `pytest --long` the long versions too. The suite also has to pass on a build with
`HLFAST_DEBUG=1`. Tests that read recordings of the venue skip, with the reason, where those are absent.
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
        "## Defects of Hummingbot's connectors, absent here\n",
        table(shown, "D", "defect"),
    ]
    return "\n".join(parts)


def test_every_behaviour_of_the_connector_is_shown_by_a_test():
    shown = index(TESTS)
    assert [n for n in BEHAVIOURS if ("B", n) not in shown] == []


def test_every_defect_is_shown_to_be_absent():
    shown = index(TESTS)
    assert [n for n in DEFECTS if ("D", n) not in shown] == []


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
