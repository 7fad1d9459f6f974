"""The fault matrix of `tests/fault_matrix.py`, every cell of it, in made time."""

from __future__ import annotations

import itertools
import logging

import pytest

from .. import fault_matrix as matrix

SETTLED_WITHIN_MS = 10_000
"""Generous: `python -m tests.fault_matrix` has the figures."""


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


CELLS = pytest.mark.parametrize("cell", list(matrix.cells()), ids=" - ".join)


def check(cell: tuple[str, str, str], seed: int) -> None:
    outcome = matrix.run_cell_in_made_time(*cell, seed)
    assert outcome.hits, "the armed fault never hit"
    assert outcome.differences == []
    assert outcome.resolved_ms < SETTLED_WITHIN_MS


@pytest.mark.parametrize("seed", [0, 1], ids=["rows first", "acks first"])
@CELLS
def test_no_fault_at_no_moment_of_no_action_hides_the_truth(cell, seed):
    """G5, G7, G8, G9, G10, G14, G16, G17, L24: 0 false rejects, 0 orders twice, settled in bounded time, in each cell."""
    check(cell, seed)


@pytest.mark.long
@CELLS
def test_nor_at_any_other_time_within_a_block(cell):
    """The same as above, at other moments of a block."""
    for seed in range(2, 40):
        check(cell, seed)


def test_every_cell_is_run_or_has_a_reason_why_it_cannot_be():
    every = set(itertools.product(matrix.MOMENTS, matrix.FAULTS))
    assert set(matrix.CELLS) | set(matrix.IMPOSSIBLE) == every and not set(matrix.CELLS) & set(matrix.IMPOSSIBLE)
    assert all(reason for reason in matrix.IMPOSSIBLE.values())
    assert {cell[:2] for cell in matrix.cells()} == set(matrix.CELLS)


def test_a_cell_whose_fault_does_not_hit_is_found_out(monkeypatch):
    second = (("rst", {"channel": "order", "at": "answer", "after": 1}),)
    monkeypatch.setitem(matrix.CELLS, ("before ack, executed", "RST"), second)
    assert matrix.run_cell_in_made_time("before ack, executed", "RST", "order").hits == 0
