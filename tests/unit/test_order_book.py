"""OrderBook against a plain dictionary model and the examples of the specification."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast.core.order_book import OrderBook
from hlfast.errors import RangeError


@pytest.fixture
def book() -> OrderBook:
    b = OrderBook("BTC", 5)
    b.apply_snapshot([(49999, 2), (50000, 1.5), (49998, 3)], [(50002, 2), (50001, 1), (50003, 3)], seq=12345)
    return b


def test_an_empty_book_has_no_prices_and_is_not_valid():
    """Behaviour 27."""
    b = OrderBook("BTC", 5)
    assert (b.best_bid, b.best_ask, b.mid_price, b.spread, b.spread_bps) == (None,) * 5
    assert not b.is_valid and not b.is_stale


def test_a_snapshot_replaces_both_sides_in_any_order(book):
    """Behaviour 28."""
    assert book.sequence == 12345 and book.depth_levels == (3, 3)
    assert (book.best_bid, book.best_ask) == (50000, 50001)
    assert (book.best_bid_size, book.best_ask_size) == (Decimal("1.5"), 1)
    assert book.is_valid


def test_deltas_set_and_remove_levels_and_the_sequence_follows(book):
    """Behaviour 29."""
    book.apply_delta(50000, "0.7", True, 12346)
    assert book.best_bid_size == Decimal("0.7") and book.sequence == 12346
    book.apply_delta(50000, 0, True, 12347)
    assert book.best_bid == 49999 and book.sequence == 12347 and not book.is_stale
    book.apply_delta(50000, 1, True, 12400)
    assert book.is_stale and "12347 to 12400" in book.stale_reason and not book.is_valid


def test_mid_spread_and_basis_points():
    """Behaviour 30."""
    b = OrderBook("BTC", 5)
    b.apply_snapshot([(50000, 1)], [(50010, 1)])
    assert (b.mid_price, b.spread) == (50005, 10)
    assert round(b.spread_bps, 4) == Decimal("1.9998")


def test_the_top_comes_best_first(book):
    """Behaviour 31."""
    assert [px for px, _ in book.get_top_bids(2)] == [50000, 49999]
    assert [px for px, _ in book.get_top_asks(10)] == [50001, 50002, 50003]


def test_clear_empties_the_book(book):
    """Behaviour 32."""
    book.clear()
    assert not book.is_valid and book.sequence == 0 and book.depth_levels == (0, 0)


def test_crossed_is_stale_and_one_sided_is_not():
    """Behaviour 41."""
    b = OrderBook("BTC", 5)
    assert b.apply_snapshot([(50001, 1)], [(50000, 1)]) is False
    assert b.is_stale and b.is_crossed and not b.is_valid
    assert b.apply_snapshot([(50001, 1)], [])
    assert not b.is_stale and not b.is_valid and b.best_ask is None and b.mid_price is None and b.best_bid == 50001


def test_an_older_snapshot_is_dropped_and_counted(book):
    """L91: what is stale is not replayed over what is newer."""
    book.apply_snapshot([(1, 1)], [(2, 1)], time_ms=100)
    assert not book.apply_snapshot([(3, 1)], [(4, 1)], time_ms=99)
    assert book.best_bid == 1 and book.older_count == 1 and not book.is_stale


def test_vwap_depth_and_price_for_notional(book):
    """L91: by hand; a notional is in quote units, a depth in base units."""
    assert book.vwap("buy", 2) == Decimal("50001.5")
    assert book.vwap("sell", 100) is None
    assert book.price_for_notional("buy", 50002) == 50002
    assert book.price_for_notional("sell", 10**9) is None
    assert book.depth("sell", 2) == Decimal("3.5")
    assert book.imbalance(1) == pytest.approx(0.2)
    with pytest.raises(RangeError):
        book.vwap("up", 1)


def test_a_snapshot_copy_is_independent(book):
    copy = book.snapshot()
    book.apply_delta(50000, 0, True)
    assert copy.best_bid == 50000 and book.best_bid == 49999


levels = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5)), max_size=50)


@given(levels, levels)
def test_deltas_equal_a_dictionary(bids, asks):
    b = OrderBook("X", 0)
    want: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for is_bid, changes in ((True, bids), (False, asks)):
        side = want[0 if is_bid else 1]
        for px, size in changes:
            px = px if is_bid else px + 100
            b.apply_delta(px, size, is_bid)
            if size:
                side[px] = size
            else:
                side.pop(px, None)
    assert b.get_top_bids(200) == sorted(want[0].items(), reverse=True)
    assert b.get_top_asks(200) == sorted(want[1].items())
