"""The programs of the README and of docs/ run as they stand, on a local exchange in the simulator's place."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hlfast.sim import SimExchange
from tests.children import HOME, surroundings

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "docs/orders.md"]
SECONDS = 60.0

MOVED = """
import sys
from hlfast import config
config._NETWORKS["simulator"] = config.simulator(int(sys.argv[1]))
exec(compile(open(sys.argv[2]).read(), sys.argv[2], "exec"), {"__name__": "__main__"})
"""


def programs() -> list[tuple[str, int, str]]:
    """Each whole program of the pages, as (page, number, text)."""
    found = []
    for page in PAGES:
        path = ROOT / page
        blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL) if path.exists() else []
        found += [(page, number, text) for number, text in enumerate(blocks) if "hlfast.run(" in text]
    return found


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="no README.md beside tests/")
@pytest.mark.parametrize(("page", "number", "text"), programs(), ids=lambda value: value if isinstance(value, str) and value.endswith(".md") else "")  # fmt: skip
async def test_a_program_of_the_documents_runs_as_it_stands(page: str, number: int, text: str, tmp_path: Path) -> None:
    (tmp_path / "shown.py").write_text(text)
    (tmp_path / "moved.py").write_text(MOVED)
    async with SimExchange(port=0, block_ms=20, seed=5) as exchange:
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(tmp_path / "moved.py"), str(exchange.port), str(tmp_path / "shown.py"),
            cwd=HOME, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        said, errors = await asyncio.wait_for(child.communicate(), SECONDS)
    assert child.returncode == 0, errors.decode()
    assert said.strip() or "on_fill" in text, f"{page}, program {number}, printed nothing"
