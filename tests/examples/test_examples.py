"""Every example runs as it stands, against an exchange in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

import hlfast
from hlfast.sim import SimExchange

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OPTIONS = {"my_strategy.py": ["--seconds", "2"]}
SAYS = {"first_order.py": "ended as CANCELLED, filled 0", "my_strategy.py": "fills; position"}


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples do not lie beside the tests")
def test_every_example_is_run_here():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", sorted(SAYS))
async def test_an_example_runs(name, tmp_path):
    """L116: the first run needs nothing but the local exchange."""
    if not EXAMPLES.is_dir():
        pytest.skip("the examples do not lie beside the tests")
    async with SimExchange(port=0) as exchange:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(EXAMPLES / name),
            "--exchange",
            exchange.http_url,
            *OPTIONS.get(name, []),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 0, printed.decode()
    assert SAYS[name] in printed.decode()
