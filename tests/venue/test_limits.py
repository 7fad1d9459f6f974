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


@pytest.mark.parametrize("now_ms", [0, 59_999, -1, -90_000, -(10**15)])
def test_a_time_before_the_first_minute_is_counted_like_any_other(now_ms):
    """Given the time 0 or one below it, as a caller of `report` may say, then no bucket before the first one is touched."""
    window = limits.Window(100)
    for _ in range(3):
        window.add(5, 10**12)
        window.add(7, now_ms)
        assert (window.limit, window.used, window.left(now_ms)) == (100, 7, 93)
    kept = limits.Limits(enforced=False)
    kept.spend("order", 3, 10**12, 1)
    assert kept.report(now_ms)["spent_on"] == {"order": 3} and kept.weight.limit == 1200
    kept.check_order(1, 10**12)


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


def test_a_429_silences_orders_and_queries_but_not_cancels():
    """Back-off doubles with each refusal and starts anew after a quiet minute; L92: a 429 is never evidence."""
    budget = limits.Limits()
    now = 1_000_000
    budget.note_429(now)
    budget.note_429(now + 1)
    for check in (lambda: budget.check_order(1, now + 1_999), lambda: budget.check_query(now + 1_999)):
        with pytest.raises(NotReady, match="nothing but cancels"):
            check()
    budget.spend("cancel", 1, now + 1_000, 1)
    assert budget.check_order(1, now + 2_000) == 0
    budget.note_429(now + 2_500)
    with pytest.raises(NotReady):
        budget.check_order(1, now + 6_000)
    budget.check_order(1, now + 6_500)
    budget.note_429(now + 200_000)
    assert budget.check_order(1, now + 202_000) == 0 and budget.refusals == 4


def test_the_accounts_requests_are_forecast_and_orders_stop_before_cancels():
    """L99: the cap is 10,000 and one for each USDC; cancels have a larger one."""
    budget = limits.Limits()
    assert budget.report(0)["orders_stop_in_minutes"] is None
    budget.set_address(9_900, 10_000)
    budget.spend("order", 1, 60_000, 50)
    report = budget.report(61_000)
    assert (report["address_used"], report["requests_a_minute"]) == (9_950, 50)
    assert report["orders_stop_in_minutes"] == 1.0 and report["cancels_stop_in_minutes"] == (20_000 - 9_950) / 50
    with pytest.raises(NotReady, match="9950 of 10000"):
        budget.check_order(51, 61_000)
    budget.trade(0.6)
    budget.trade(0.6)
    assert budget.address_cap == 10_001
    assert budget.check_order(51, 61_000) == 0
