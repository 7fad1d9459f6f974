"""The build tells how it was made, and importing hlfast stays cheap."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hlfast


def test_build_info_names_every_compiled_module():
    info = hlfast.build_info()
    assert {"hlfast.clock", "hlfast.core.fixed", "hlfast.core.order_book"} <= set(info["modules"])
    assert info["compiler"] and isinstance(info["debug"], bool)


def test_import_does_not_load_the_heavy_parts(tmp_path):
    """L110: no eth-* library, web client or terminal library on import."""
    code = "import sys, hlfast, hlfast.core.fixed; print(*{'eth_account', 'aiohttp', 'rich'} & set(sys.modules))"
    # From an empty folder: the tree's own hlfast/ must not stand before the one under test.
    where = {**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=where
    )
    assert ran.stdout.strip() == ""


def test_a_wrong_name_suggests_the_right_one():
    """L117."""
    with pytest.raises(AttributeError, match="did you mean 'OrderBook'"):
        hlfast.Orderbook  # noqa: B018
