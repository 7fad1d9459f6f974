"""Benchmarks of hlfast beside its peers: `python -m benchmarks` prints one table; `pytest benchmarks/` holds the kernels.

    registry, measure    what a benchmark is; how a call is timed and results are compared first
    machine, report      where it ran; the table and the JSON
    wire, peers/         frames as the venue sends them; the other ways to do the same work
    kernels/             single calls, looped            pipeline/    what only shows in a running process, sampled

Nothing here is imported by hlfast. Times are nanoseconds inside and are read through `hlfast.clock`.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds this package."""


def _prefer_compiled() -> None:
    """`python -m benchmarks` puts this folder first on the path, where an hlfast that was never compiled in place would
    hide the installed one."""
    if not any((ROOT / "hlfast" / f"_build{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
        sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]


_prefer_compiled()
