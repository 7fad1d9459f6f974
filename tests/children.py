"""Processes of the tests: wherever they are started, they import the hlfast that is tested."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hlfast

HOME = Path(hlfast.__file__).resolve().parents[1]
"""Where the tested package lies: the place to start a child in that names no other. The source tree may not be compiled."""


def surroundings(**more: str) -> dict[str, str]:
    """This process's environment, with everything that it can import, the tested package first."""
    source = Path(__file__).resolve().parents[1]
    paths = [str(HOME), *(entry for entry in sys.path if entry and Path(entry).resolve() not in (HOME, source))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}
