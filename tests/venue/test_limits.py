"""Weights and budgets as the venue counts them."""

import pytest

from hlfast.errors import NotReady
from hlfast.venues.hyperliquid import limits


@pytest.mark.parametrize(("items", "weight"), [(1, 1), (39, 1), (40, 2), (79, 2), (80, 3)])
def test_an_action_weighs_one_and_one_more_for_each_forty(items, weight):
    """L97."""
    assert limits.action_weight(items) == weight


@pytest.mark.parametrize(
    ("kind", "rows", "weight"),
    [("l2Book", 0, 2), ("userRole", 0, 60), ("meta", 0, 20), ("userFills", 2000, 120), ("candleSnapshot", 120, 22)],
)
def test_the_table_of_query_weights(kind, rows, weight):
    """L97."""
    assert limits.query_weight(kind, rows) == weight


def test_a_window_forgets_after_a_minute_and_not_before():
    """L93."""
    window = limits.Window(100)
    window.add(60, 1_000_000)
    window.add(30, 1_030_000)
    assert window.left(1_059_000) == 10
    assert window.left(1_060_500) == 70
    assert window.left(1_091_000) == 100


def test_orders_stop_before_the_reserve_of_the_cancels():
    """C5."""
    budget = limits.Limits(cancel_reserve=100)
    budget.spend("order", 1099, 5_000)
    budget.check_order(1, 5_000)
    budget.spend("order", 1, 5_000)
    with pytest.raises(NotReady, match="kept for cancels"):
        budget.check_order(1, 5_000)
    budget.check_order(1, 66_000)
    assert budget.spent_on == {"order": 1100}
