"""What the chaos run and the state machine have found: each as the few steps to which it shrank (`tests/life.py`)."""

from __future__ import annotations

import logging

import pytest

from hlfast.types import OrderState

from ..life import Life, Wish

S = OrderState
BLOCK_MS = 40


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("phase_ms", range(0, BLOCK_MS, 5))
def test_a_modify_that_is_executed_after_the_reconnect_still_ends_its_order(phase_ms):
    """G8, G9, G16: the venue lists the order as it was, and then executes the modify: cancelled, and no new order.

    The listing was taken for a refusal, and what the venue tells of a cloid is its newest leg, a refused one here: the
    order was believed open for ever.
    """
    with Life() as life:
        order = life.place(Wish("buy", -1, "0.003", "Alo"))
        life.wait(100 + phase_ms)
        life.modify(0, step=3)
        life.cut()
        life.settle()
        assert order.state is S.CANCELLED
        assert "OrderModified" not in life.judge.told[order.client_order_id]


@pytest.mark.parametrize("phase_ms", range(0, BLOCK_MS, 5))
def test_a_modify_that_is_executed_after_the_reconnect_moves_its_order(phase_ms):
    """G9, G16: the same with a new leg that rests: it was told as refused first, and is not."""
    with Life() as life:
        order = life.place(Wish("buy", -1, "0.003", "Alo"))
        life.wait(100 + phase_ms)
        life.modify(0, step=0)
        life.cut()
        life.settle()
        assert (order.state, order.price) == (S.OPEN, 50_000)
        assert life.judge.told[order.client_order_id] == ["OrderCreated", "OrderModified"]
