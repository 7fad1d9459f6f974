"""Rounding, scaling and reading of numbers: the specification's own examples, through the functions that orders use."""

import decimal
from decimal import Decimal

import pytest

from hlfast.core import fixed
from hlfast.core.order_book import OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.errors import RangeError


def nearest(x, decimals: int) -> Decimal:
    return TradingRule("X", sz_decimals=decimals).quantize_size(x, "nearest")


@pytest.mark.parametrize(
    ("x", "decimals", "text"),
    [(0.12345, 3, "0.123"), (0.12355, 3, "0.124"), (0.123456, 5, "0.12346"), (1.23456, 4, "1.2346"), (1.0, 3, "1"),
     (1.5, 3, "1.5"), (50000, 2, "50000")],
)  # fmt: skip
def test_a_number_is_rounded_then_written_as_plain_text(x, decimals, text):
    """Behaviour 43."""
    assert fixed.float_to_wire(nearest(x, decimals)) == text


@pytest.mark.parametrize(
    ("x", "decimals", "scaled"), [(0.123, 3, 123), (1.5, 2, 150), (50000, 0, 50000), (0.00001, 5, 1)]
)
def test_a_number_is_scaled_exactly(x, decimals, scaled):
    """Behaviour 44."""
    assert fixed.to_scaled(x, decimals) == fixed.to_scaled(str(x), decimals) == scaled


def test_text_from_the_wire_is_read_exactly_and_must_be_a_whole_number():
    """Behaviour 45."""
    assert [fixed.number_to_decimal(t) for t in ("0.123", "50000.0", "1.5")] == [
        Decimal(t) for t in ["0.123", "50000", "1.5"]
    ]
    assert [fixed.to_e8(t) for t in ("0.123", "50000.0", "1.5")] == [12_300_000, 5_000_000_000_000, 150_000_000]
    for wrong in ("1abc", "", "nan", "1.2.3", "--1", "."):
        with pytest.raises(RangeError):
            fixed.number_to_decimal(wrong)
        with pytest.raises(RangeError):
            fixed.to_e8(wrong)


@pytest.mark.parametrize(
    ("x", "decimals", "rounded"),
    [(0.12345, 3, "0.123"), (0.12355, 3, "0.124"), (1.23456, 4, "1.2346"), (1.005, 2, "1.01"), ("1.0049", 2, "1")],
)
def test_a_float_is_rounded_by_its_decimal_text_and_ties_go_away_from_zero(x, decimals, rounded):
    """Behaviour 46."""
    assert nearest(x, decimals) == Decimal(rounded)


def test_a_size_is_tested_against_its_grid_at_any_magnitude():
    """Behaviour 49."""
    rule = TradingRule("X", sz_decimals=3, min_size="0.001")
    sizes = (0.123, 1.0, 0.0001, 0.1234, 12345678.123)
    assert [rule.is_valid_size(s) for s in sizes] == [True, True, False, False, True]


@pytest.mark.parametrize(
    ("notional", "price", "decimals", "size"),
    [("5000", "50000", 5, "0.1"), ("1000", "2000", 4, "0.5"), ("1234.56", "50000", 5, "0.02469")],
)
def test_the_size_of_a_notional_is_rounded_down_and_never_exceeds_it(notional, price, decimals, size):
    """Behaviour 50."""
    got = TradingRule("X", sz_decimals=decimals).quantize_size(Decimal(notional) / Decimal(price))
    assert got == Decimal(size)
    assert got * Decimal(price) <= Decimal(notional) < (got + Decimal(1).scaleb(-decimals)) * Decimal(price)


def test_the_callers_decimal_context_never_rounds_a_price_or_a_size():
    """G20: a strategy may set its own precision; nothing is rounded silently."""
    rule = TradingRule("BTC", sz_decimals=5)
    with decimal.localcontext() as context:
        context.prec = 4
        assert fixed.to_e8(Decimal("50123.57")) == fixed.to_e8("50123.57") == 5_012_357_000_000
        assert fixed.to_lots(Decimal("12345.67891"), 5) == 1_234_567_891
        assert rule.price_e8(Decimal("50123.57"), "buy", "passive") == 5_012_300_000_000
        assert rule.price_e8("50123.123456789", "sell", "passive") == 5_012_400_000_000
        with pytest.raises(RangeError, match="nearest valid: 50123 or 50124"):
            rule.price_e8(Decimal("50123.57"))
        book = OrderBook("BTC", 5)
        book.apply_snapshot([("50000.5", 1)], [("50001.1", 1)])
        assert book.mid_price == fixed.number_to_decimal("50000.8")


def test_digits_beyond_any_precision_are_refused_and_not_dropped():
    """G20."""
    with pytest.raises(RangeError, match="more than 8 decimals"):
        fixed.to_e8("1.0000000000000000000000000001")
    with pytest.raises(RangeError, match="more than 8 decimals"):
        fixed.to_e8(Decimal("1.0000000000000000000000000001"))


def test_nearest_looks_at_every_digit_also_below_the_wire_precision():
    """G20."""
    token = TradingRule("X", sz_decimals=0, is_perpetual=False)
    assert token.quantize_price("0.000123456") == Decimal("0.00012346")
    assert TradingRule("X", step="0.003").quantize_size("0.0016", "nearest") == Decimal("0.003")


def test_passive_rounding_needs_a_side():
    """G20: without one nobody can say which way is not worse for the sender."""
    with pytest.raises(RangeError, match="side"):
        TradingRule("BTC", sz_decimals=5).price_e8("50000.7", None, "passive")


def test_an_older_crossed_snapshot_is_dropped_like_any_other_older_one():
    """L18: another server may lag; the book keeps the newer content."""
    book = OrderBook("X", 0)
    book.apply_snapshot([(10, 1)], [(11, 1)], time_ms=100)
    assert not book.apply_snapshot([(30, 1)], [(20, 1)], time_ms=50)
    assert (book.best_bid, book.time_ms, book.older_count, book.is_stale) == (10, 100, 1, False)


def test_levels_that_the_caller_gives_are_not_changed():
    """L119: inputs are never changed."""
    bids, asks = [(1, 1), (3, 1), (2, 0)], [[5, 1], [4, 1]]
    book = OrderBook("X", 0)
    book.apply_snapshot(bids, asks)
    book.apply_delta(3, 0, True)
    assert bids == [(1, 1), (3, 1), (2, 0)] and asks == [[5, 1], [4, 1]]
    assert book.best_bid == 1 and book.best_ask == 4
