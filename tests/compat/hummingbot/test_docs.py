"""The migration page: its code runs, and what it promises about the untested part stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="no docs/ beside tests/")


async def test_the_code_after_the_move_runs(exchange: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "migrate_from_hummingbot.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(code, "migrate_from_hummingbot.md", "exec"), names)
    await names["main"](exchange.network)
    said = capsys.readouterr().out
    assert "is on the wire" in said and "cancelled 0x" in said and "success=True" in said


def test_the_swap_compiles_and_is_marked_as_not_tested() -> None:
    page = (DOCS / "hummingbot_swap.md").read_text()
    (code,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    compile(code, "hlfast_swap.py", "exec")
    assert "not tested" in page.partition("## Why a swap")[0] and code.startswith("# NOT TESTED")
