"""The migration page: its code runs, and what it promises about the untested part stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ...children import HOME, surroundings

DOCS = Path(__file__).resolve().parents[3] / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="no docs/ beside tests/")


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / "migrate_from_hummingbot.md").read_text(), re.DOTALL)


async def test_the_code_after_the_move_runs(exchange: Any, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(blocks()[0], "quoter.py", "exec"), names)
    await names["main"](exchange.network, 2)
    said = capsys.readouterr().out
    assert said.count("is on the wire") == 2 and said.count("cancelled 0x") == 2 and "success=True" in said


def test_imports_of_hummingbot_run_under_the_alias() -> None:
    """In a process of its own: the alias is global."""
    done = subprocess.run(
        [sys.executable, "-c", blocks()[1]], capture_output=True, text=True, cwd=HOME, env=surroundings()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "hlfast.compat.hummingbot.connector.client_order_tracker",
        "hlfast.compat.hummingbot.core.data_type.in_flight_order",
    ]


def test_the_swap_compiles_and_is_marked_as_not_tested() -> None:
    page = (DOCS / "hummingbot_swap.md").read_text()
    (code,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    compile(code, "hlfast_swap.py", "exec")
    assert "not tested" in page.partition("## Why a swap")[0] and code.startswith("# NOT TESTED")
