"""The official SDK's own tests and examples: they run where a checkout is at hand; what runs them is tested on our own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .run_upstream import main, masked, run_examples

CHECKOUT = "HLFAST_SDK_CHECKOUT"

SAME = """
import json, os
import eth_account
from hyperliquid.exchange import Exchange
from hyperliquid.utils import constants

with open(os.path.join(os.path.dirname(__file__), "config.json")) as f:
    account = eth_account.Account.from_key(json.load(f)["secret_key"])
print(Exchange(account, constants.TESTNET_API_URL).order("ETH", True, 0.2, 1100, {"limit": {"tif": "Gtc"}}))
"""
OTHER = """
import hyperliquid.exchange
print(hyperliquid.exchange.__name__)
"""


def test_an_example_that_does_the_same_is_equal_and_another_is_shown(
    sdk: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """sdk_dropin 12.4."""
    sdk("exchange")  # type: ignore[operator]
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "same.py").write_text(SAME)
    (tmp_path / "examples" / "other.py").write_text(OTHER)
    assert run_examples(tmp_path, None, show=False) == 1
    said = capsys.readouterr().out
    assert "DIFFERS in said" in said and "+hlfast.compat.hyperliquid.exchange" in said
    (line,) = [line for line in said.splitlines() if line.startswith("same ")]
    assert "equal" in line and "1 actions" in line and "exit 0" in line


def test_addresses_stay_and_drawn_values_are_numbered() -> None:
    key, funded = "0x" + "ab" * 32, "0x14791697260e4c9a71f18484c9f997b308e59325"
    (line,) = masked(
        f"{key} {funded.upper().replace('0X', '0x')} {key} at http://x:1 since 1700000000000", "http://x:1"
    )
    assert line == f"HEX0 {funded} HEX0 at URL since N"


@pytest.mark.long
@pytest.mark.skipif(CHECKOUT not in os.environ, reason=f"{CHECKOUT} names no checkout of the SDK")
def test_the_sdks_own_tests_and_examples_pass(sdk: object, capfd: pytest.CaptureFixture[str]) -> None:
    """sdk_dropin 12.3, 12.4."""
    sdk("exchange")  # type: ignore[operator]
    pytest.importorskip("pytest_recording", reason="the SDK's tests replay recorded answers")
    assert main([os.environ[CHECKOUT]]) == 0, capfd.readouterr().out
