"""Resident memory of this process, and how fast it grows."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path


def resident_mb() -> float:
    """Where there is no /proc (macOS): the most that it ever was."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Of the least-squares line through (x, y)."""
    n = len(samples)
    if n < 2:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in samples) / n, sum(y for _, y in samples) / n
    over = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / over if over else 0.0
