"""The number kernels against the official SDK, Decimal and hand-written cases."""

import math
import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast.core import fixed
from hlfast.errors import RangeError


def reference(x: float) -> str:
    """The venue's rule, restated with Decimal: 8 decimals, within 1e-12, no trailing zeros, no negative zero."""
    text = f"{x:.8f}"
    if abs(float(text) - x) >= 1e-12:
        raise ValueError(x)
    text = f"{Decimal(text).normalize():f}"
    return "0" if text == "-0" else text


def outcome(fn, x):
    try:
        return fn(x)
    except ValueError:
        return "refused"


@given(st.floats(-1e20, 1e20))
def test_float_to_wire_follows_the_rule_on_any_float(x):
    assert outcome(fixed.float_to_wire, x) == outcome(reference, x)


def test_float_to_wire_equals_the_official_sdk_on_random_market_numbers():
    """L74."""
    sdk = pytest.importorskip("hyperliquid.utils.signing", reason="official SDK not installed").float_to_wire
    rng = random.Random(7)
    refused = 0
    for _ in range(100_000):
        x = rng.choice(
            [
                rng.random() * 10 ** rng.randint(-9, 12),
                round(rng.random() * 10 ** rng.randint(-3, 7), rng.randint(0, 8)),
                float(rng.randint(1, 10 ** rng.randint(1, 17))),
            ]
        )
        want = outcome(sdk, x)
        refused += want == "refused"
        assert outcome(fixed.float_to_wire, x) == want
    assert 0 < refused < 100_000


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 1.000000001, "nan", "1abc", "", None, True, [1]])
def test_what_is_no_number_or_has_more_than_8_decimals_raises(x):
    """Behaviour 51, L74."""
    with pytest.raises(RangeError):
        fixed.float_to_wire(x)


@pytest.mark.parametrize(
    ("x", "text"),
    [(-0.0, "0"), (0, "0"), (1e16, "10000000000000000"), (0.1, "0.1"), (1e-8, "0.00000001"), ("12.50", "12.5"),
     (Decimal("3.0"), "3"), (100, "100"), (-1.5, "-1.5")],
)  # fmt: skip
def test_float_to_wire_writes_plain_text(x, text):
    assert fixed.float_to_wire(x) == text


@given(st.integers(-(2**62), 2**62), st.integers(0, 18))
def test_scaled_text_and_back_is_exact(value, decimals):
    text = fixed.scaled_to_text(value, decimals)
    assert Decimal(text) == Decimal(value).scaleb(-decimals)
    assert "e" not in text.lower() and not (("." in text) and text.endswith("0"))
    assert fixed.to_scaled(text, decimals) == value


@given(st.floats(-1e7, 1e7, allow_nan=False), st.integers(0, 8))
def test_a_float_is_read_by_its_shortest_text(x, decimals):
    exact = Decimal(repr(x)).scaleb(decimals)
    nearest = exact.to_integral_value()
    if exact == nearest:
        assert fixed.to_scaled(x, decimals) == int(nearest)
    elif abs(exact - nearest) >= Decimal("1e-12").scaleb(decimals):
        with pytest.raises(RangeError):
            fixed.to_scaled(x, decimals)


def test_overflow_is_a_range_error_and_never_a_wrap():
    for big in ("92233720368.54775808", 10**12, 1e12, Decimal(10) ** 30, "9" * 40):
        with pytest.raises(RangeError):
            fixed.to_e8(big)
    assert fixed.to_e8("92233720368.54775806") == 2**63 - 2


def test_the_message_says_what_was_given():
    with pytest.raises(RangeError, match=r"0\.123456789.*more than 8 decimals"):
        fixed.to_e8("0.123456789")
