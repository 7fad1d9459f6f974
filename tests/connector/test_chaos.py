"""The chaos run of `tests/chaos.py`, bounded: random orders against random faults, and the truth afterwards."""

from __future__ import annotations

import logging

import pytest

from ..chaos import Chaos


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", [1, *[pytest.param(n, marks=pytest.mark.long) for n in range(2, 20)]])
async def test_the_connector_knows_the_truth_after_every_fault(seed):
    """G1-G10, G13, G14, G16, G17, C1, C4, L24, L25, L28, L30: 0 differences in orders, fills, cash, fees and positions."""
    report = await Chaos(seed, round_seconds=3.0).run(60.0 if seed > 1 else 6.0)
    assert report.differences == []
    assert report.rounds >= 1 and report.orders > 20 and sum(report.hits.values()) > 5
