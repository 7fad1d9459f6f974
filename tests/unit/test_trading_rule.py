"""Price and size grids against a slow Decimal reference and the examples of the specification."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast.core.trading_rule import TradingRule
from hlfast.errors import RangeError
from hlfast.types import TradeType

PLAIN = TradingRule("BTC-USD", tick="0.1", step="0.001", significant_figures=0)
BTC = TradingRule("BTC", sz_decimals=5)


def valid(rule: TradingRule, price: Decimal) -> bool:
    """The venue's rule read from its documentation, on the decimal text."""
    if price <= 0:
        return False
    price = price.normalize()
    _, digits, exponent = price.as_tuple()
    return exponent >= 0 or (len(digits) <= 5 and -exponent <= rule.price_decimals)


def test_price_goes_to_the_nearest_step_and_with_a_side_to_the_safe_one():
    """Behaviour 5."""
    assert [PLAIN.quantize_price(p) for p in (50123.456, 50123.44, 50123.46)] == [
        Decimal("50123.5"),
        Decimal("50123.4"),
        Decimal("50123.5"),
    ]
    assert PLAIN.quantize_price(50123.456, TradeType.BUY) == Decimal("50123.4")
    assert PLAIN.quantize_price(50123.456, TradeType.SELL) == Decimal("50123.5")
    assert PLAIN.quantize_price("50123.45") == Decimal("50123.5")


def test_size_goes_down_or_to_the_nearest_step():
    """Behaviour 6."""
    assert [PLAIN.quantize_size(s) for s in (0.1234, 0.1235, 0.1236)] == [Decimal("0.123")] * 3
    nearest = [PLAIN.quantize_size(s, "nearest") for s in (0.1234, 0.1235, 0.1236)]
    assert nearest == [Decimal("0.123"), Decimal("0.124"), Decimal("0.124")]
    assert PLAIN.quantize_size("0.0001") == 0


def test_an_order_is_validated_in_the_stated_order():
    """Behaviour 7."""
    rule = TradingRule(
        "X", tick="0.1", step="0.001", min_size="0.001", max_size=10, min_price=1, max_price=100000, min_notional=10
    )
    assert rule.validate_order(50000, 1) == ""
    for price, size, word in (
        (50000, "0", "size"), (50000, 11, "maximum"), ("0.5", 5, "price"), (200000, 1, "price"), (5, 1, "value"),
    ):  # fmt: skip
        assert word in rule.validate_order(price, size)
    assert rule.validate_order(5, 1, reduce_only=True) == ""


def test_btc_prices_and_sizes_of_the_specification():
    """Behaviours 73 and 74."""
    assert BTC.quantize_price(50000.123456789) == 50000
    assert BTC.quantize_size(0.001234567) == Decimal("0.00123")


@pytest.mark.parametrize(
    ("price", "ok"),
    [("123456", True), ("123456.5", False), ("12345.6", False), ("99999.5", False), ("100000", True), ("9999.5", True),
     ("9999.55", False), ("0", False), ("-1", False)],
)  # fmt: skip
def test_integers_are_always_valid_and_else_five_figures(price, ok):
    assert BTC.is_valid_price(price) is ok


@pytest.mark.parametrize(
    ("price", "tick"), [("0.5", "0.0001"), ("9.5", "0.0001"), ("99.98", "0.001"), ("137", "0.01"), ("1234", "0.1"),
                        ("12345", "1"), ("123456", "1")],
)  # fmt: skip
def test_the_tick_table_of_the_protocol(price, tick):
    assert TradingRule("X", sz_decimals=2).tick_at(price) == Decimal(tick)


@given(
    st.integers(0, 5),
    st.booleans(),
    st.decimals("0.00000001", "900000", places=8),
    st.sampled_from([None, "buy", "sell"]),
)
def test_rounded_prices_are_valid_and_on_the_senders_side(sz_decimals, perp, price, side):
    """G20, L83: every rounded price is valid for the venue and never worse for the sender."""
    rule = TradingRule("X", sz_decimals=sz_decimals, is_perpetual=perp)
    assert rule.is_valid_price(price) is valid(rule, price)
    try:
        got = rule.quantize_price(price, side)
    except RangeError:
        assert price < Decimal(1).scaleb(-rule.price_decimals)
        return
    assert valid(rule, got)
    step = rule.tick_at(price)
    if valid(rule, price):
        assert got == price
    elif side == "buy":
        assert price - step < got < price
    elif side == "sell":
        assert price < got < price + step
    else:
        assert abs(got - price) <= step / 2


def test_refusals_name_the_nearest_valid_values():
    with pytest.raises(RangeError, match=r"65000\.57.*nearest valid: 65000 or 65001"):
        BTC.price_e8(65000.57)
    with pytest.raises(RangeError, match=r"nearest valid: 0\.00001 or 0\.00002"):
        BTC.lots("0.0000123")
    with pytest.raises(RangeError, match="above 0"):
        BTC.price_e8(0)


def test_noise_of_a_float_snaps_to_the_grid():
    assert BTC.lots(0.1 + 0.2) == 30000
    assert BTC.price_e8(1234.1 + 0.1) == 123420000000


def test_a_delisted_instrument_is_not_enabled():
    assert BTC.is_trading_enabled
    assert not TradingRule("MATIC", sz_decimals=1, is_delisted=True).is_trading_enabled


def without_noise(number: float, decimals: int) -> str:
    """What a float means: the decimal of so many digits that lies within 1e-12 of it, else its shortest text."""
    exact = Decimal(repr(number))
    short = round(exact.scaleb(decimals)) * Decimal(10) ** -decimals
    return format(short if abs(short - exact) < Decimal("1e-12") else exact, "f")


@given(
    st.integers(0, 5),
    st.floats(1e-6, 3e6)
    | st.floats(1e-9, 1e12)
    | st.builds(lambda start, step, n: start / 100 + step / 1000 * n, *[st.integers(1, 10**7)] * 2, st.integers(0, 500))
    | st.builds(lambda n, decimals: n / 10**decimals, st.integers(1, 10**9), st.integers(1, 10)),
    st.sampled_from([("passive", "buy"), ("passive", "sell"), ("nearest", None)]),
)
def test_floats_round_as_their_shortest_text_does(sz_decimals, number, how):
    """The shortcuts for floats, sums of floats among them, give what the exact path gives for the text that is meant."""
    rule = TradingRule("X", sz_decimals=sz_decimals)
    rounding, side = how

    def tried(call, value):
        try:
            return call(value)
        except RangeError:
            return "refused"

    price, size = without_noise(number, 8), without_noise(number, sz_decimals)
    assert tried(lambda v: rule.price_e8(v, side, rounding), number) == tried(
        lambda v: rule.price_e8(v, side, rounding), price
    )
    assert tried(lambda v: rule.lots(v, rounding), number) == tried(lambda v: rule.lots(v, rounding), size)
