"""Hummingbot's own unit tests: they run where a checkout is at hand; what runs them is tested on files of our own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ...children import surroundings
from .run_upstream import COVERED, NOT_COVERED, rule, run

CHECKOUT = "HLFAST_HUMMINGBOT_CHECKOUT"

GOOD = """
import unittest
from hummingbot.core.data_type.common import OrderType


class T(unittest.TestCase):
    def test_values(self):
        self.assertEqual(OrderType.LIMIT.value, 2)
"""
BAD = """
import unittest


class T(unittest.TestCase):
    def test_that_fails(self):
        self.assertEqual(1, 2)

    def test_that_passes(self):
        pass
"""


def lay_out(folder: Path, bad: str | None = None) -> None:
    for name in COVERED:
        path = folder / "test" / "hummingbot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BAD if name == bad else GOOD)
        for parent in path.relative_to(folder).parents[:-1]:
            (folder / parent / "__init__.py").touch()
    real = folder / "hummingbot" / "core" / "data_type"
    real.mkdir(parents=True)
    (real / "common.py").write_text("raise SystemExit('the real package was imported')")
    for name in ("core/test_clock.py", "core/test_news.py"):
        (folder / "test" / "hummingbot" / name).write_text(BAD)


def test_a_checkouts_files_run_against_the_alias_and_not_against_its_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(tmp_path)
    assert run(tmp_path, surroundings())
    said = capsys.readouterr().out
    assert f"{'together':50} {len(COVERED):4} {len(COVERED):7} {0:7}" in said
    assert "core/test_clock.py" in said and "core/test_news.py" in said and "NEW in this checkout" in said


def test_a_failure_and_a_missing_file_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(tmp_path, bad="core/test_events.py")
    (tmp_path / "test" / "hummingbot" / "core" / "test_pubsub.py").unlink()
    assert not run(tmp_path, surroundings())
    said = capsys.readouterr().out
    assert "test_that_fails" in said and "AssertionError: 1 != 2" in said
    assert "core/test_pubsub.py" in said and "is not in the checkout" in said
    assert not run(tmp_path / "nowhere", surroundings())


def test_every_reason_is_the_longest_that_fits() -> None:
    assert rule("core/utils/test_estimate_fee.py") == "core/utils/test_estimate_fee.py"
    assert rule("core/utils/test_x.py") == "core/utils" and rule("core/test_x.py") == "core/test_x.py"
    assert not set(COVERED) & set(NOT_COVERED)


@pytest.mark.skipif(CHECKOUT not in os.environ, reason=f"{CHECKOUT} names no checkout of Hummingbot")
def test_hummingbots_own_tests_pass(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas", reason="its tests of books need numpy and pandas")
    assert run(Path(os.environ[CHECKOUT]), surroundings()), capsys.readouterr().out
