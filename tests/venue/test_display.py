"""Numbers for people: prices as text, and size decimals before the instruments are known."""

import pytest

import hlfast
from hlfast.core.fixed import format_price
from hlfast.errors import RangeError
from hlfast.venues.hyperliquid.metadata import Metadata, guessed_size_decimals


def test_size_decimals_come_from_the_metadata_and_else_are_a_marked_guess():
    """Behaviour 47."""
    metadata = Metadata.from_json({"universe": [{"name": "SOL", "szDecimals": 2, "maxLeverage": 20}]}, {})
    assert metadata.size_decimals("SOL") == (2, False)
    guesses = [metadata.size_decimals(coin) for coin in ("BTC", "ETH", "XYZ")]
    assert guesses == [(5, True), (4, True), (3, True)] == [guessed_size_decimals(c) for c in ("BTC", "ETH", "XYZ")]


@pytest.mark.parametrize(
    ("price", "least", "most", "text"),
    [
        (50000.123456, 2, 8, "50000.123456"),
        (50000.1, 2, 8, "50000.10"),
        (50000.0, 2, 8, "50000.00"),
        (1.23456789, 4, 6, "1.234568"),
        ("-0.5", 0, 2, "-0.5"),
        (7, 0, 0, "7"),
    ],
)
def test_a_price_is_shown_with_so_many_decimals(price, least, most, text):
    """Behaviour 48."""
    assert format_price(price, least, most) == text


def test_wrong_decimals_are_refused():
    with pytest.raises(RangeError, match="min_decimals"):
        format_price(1, 3, 2)
    with pytest.raises(RangeError, match="0 to 8 decimals"):
        hlfast.float_to_wire(1.0, 9)


@pytest.mark.parametrize(
    ("x", "decimals", "text"), [(0.12355, 3, "0.124"), (1.0, 3, "1"), (50000, 2, "50000"), (1.005, 2, "1.01")]
)
def test_float_to_wire_rounds_on_request(x, decimals, text):
    """Behaviour 43."""
    assert hlfast.float_to_wire(x, decimals) == text
