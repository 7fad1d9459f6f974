"""The soak of `tests/soak.py`, bounded: an exchange in another process, its flood of frames, faults, and the truth afterwards."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from ..soak import Soak


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Errors still reach the soak's own handler at the root."""
    logger = logging.getLogger("hlfast")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    ("seconds", "grown_mb"), [(8.0, 60.0), pytest.param(600.0, 30.0, marks=pytest.mark.long)], ids=["8 s", "10 min"]
)
async def test_a_soak_with_faults_ends_with_equal_figures_and_no_error(seconds: float, grown_mb: float) -> None:
    """G1-G10, G13, C6, the rows of the soak: cash, position, fees, funding exact; PnL within 1e-6 a fill; memory bounded."""
    report = await Soak(int(seconds), round_seconds=3.0 if seconds < 60 else 8.0).run(seconds)
    print({k: v for k, v in report.as_json().items() if k not in ("faults", "hits")})
    assert report.differences == [] and report.unhandled == []
    assert report.orders > 40 and report.fills > 10 and sum(report.hits.values()) > 10 and report.frames_a_second > 0
    assert report.funding != "0" and report.fees != "0", "both have to have been paid"
    assert report.rss_grown_mb < grown_mb
