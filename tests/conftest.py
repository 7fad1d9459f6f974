"""Options and fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="long: runs with --long"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded payloads and vectors that may lie beside the project; skips where it is absent."""
    named = os.environ.get("HLFAST_SHARED")
    path = Path(named) if named else Path(__file__).resolve().parents[1].parent / "shared"
    if not (path / "fixtures").is_dir():
        pytest.skip(f"no recorded payloads at {path} (set HLFAST_SHARED to the folder that holds fixtures/)")
    return path
