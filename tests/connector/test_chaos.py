"""The chaos run of `tests/chaos.py`, bounded: random orders against random faults, and the truth afterwards."""

from __future__ import annotations

import logging

import pytest

from ..chaos import Chaos
from ..virtual_time import VirtualTime


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def check(report):
    assert report.differences == []
    assert report.rounds >= 1 and report.orders > 20 and sum(report.hits.values()) > 5


async def test_the_connector_knows_the_truth_after_every_fault():
    """G1-G10, G13, G14, G16, G17, C1, C4, L24, L25, L28, L30: 0 differences in orders, fills, cash, fees and positions."""
    check(await Chaos(1, round_seconds=3.0).run(6.0))


def test_the_connector_knows_the_truth_of_a_builder_dex_too():
    """The same with a market of a builder dex, whose cash and positions are apart (G1-G10, L63)."""
    with VirtualTime(6) as time:
        check(time.run(Chaos(6, round_seconds=3.0, coins=("BTC", "demo:GOLD")).run(30.0)))


@pytest.mark.parametrize("seed", [3, 4, *[pytest.param(n, marks=pytest.mark.long) for n in range(5, 20)]])
def test_the_connector_knows_the_truth_after_every_fault_in_made_time(seed):
    """The same in made time. Seed 3 has found a modify that was executed after it was thought refused (G9, G16)."""
    with VirtualTime(seed) as time:
        check(time.run(Chaos(seed, round_seconds=3.0).run(30.0 if seed < 5 else 600.0)))
