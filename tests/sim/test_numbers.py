"""Decimal text, grids and request shapes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast.sim.numbers import half_even, scaled, short, text
from hlfast.sim.shapes import Malformed, cloid, dec, struct, true_only, uint, variant
from hlfast.sim.universe import BUILT_IN


@given(st.integers(-(10**20), 10**20), st.integers(0, 12))
def test_text_and_back(value: int, decimals: int) -> None:
    shown = text(value, decimals)
    assert Decimal(shown) == Decimal(value).scaleb(-decimals)
    assert "." in shown and not (shown.endswith("0") and not shown.endswith(".0"))
    assert scaled(dec(shown), decimals) == value


def test_numbers_as_the_venue_prints_them() -> None:
    assert (text(8375700000000, 8), text(0, 8), text(-5, 6), text(7, 0)) == ("83757.0", "0.0", "-0.000005", "7.0")
    assert (short(90000000, 8), short(6500000000000, 8)) == ("0.9", "65000")
    assert scaled("1.23", 1) is None and scaled("-0.5", 1) == -5


@given(st.integers(-1000, 1000), st.integers(1, 40))
def test_half_even_is_pythons_round(numerator: int, denominator: int) -> None:
    assert half_even(numerator, denominator) == round(Decimal(numerator) / Decimal(denominator)) or (
        numerator * 2 % denominator != 0
        and abs(half_even(numerator, denominator) * denominator - numerator) * 2 <= denominator
    )


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [("65000.0", "65000"), ("0.10", "0.1"), ("007", "7"), ("-0", "0"), ("-0.00", "0"), ("-1.50", "-1.5"), ("0", "0")],
)
def test_decimals_have_one_canonical_form(given_text: str, canonical: str) -> None:
    assert dec(given_text) == canonical


@pytest.mark.parametrize("bad", ["", "1.", ".5", "1e5", "+1", " 1", "nan", "0x1", "1_0", 1, 1.5, None, True, "٣"])
def test_what_is_no_decimal_string_is_malformed(bad: object) -> None:
    with pytest.raises(Malformed):
        dec(bad)


def test_a_struct_puts_its_own_order_and_drops_what_it_does_not_know() -> None:
    read = struct(("a", uint), ("f?", true_only), ("c?", cloid))
    name = "0x" + "AB" * 16
    assert list(read({"c": name, "junk": 1, "a": 7}).items()) == [("a", 7), ("c", name.lower())]
    assert read({"a": 7, "f": False, "c": None}) == {"a": 7}
    for bad in ({}, [], {"a": True}, {"a": -1}, {"a": 1 << 64}, {"a": 1, "f": 1}, {"a": 1, "c": "0x12"}):
        with pytest.raises(Malformed):
            read(bad)
    with pytest.raises(Malformed):
        variant(limit=uint)({"limit": 1, "trigger": 2})


@pytest.mark.parametrize(
    ("coin", "px", "valid"),
    [
        ("BTC", "65000.5", False),
        ("BTC", "9999.5", True),
        ("BTC", "123456", True),
        ("BTC", "999.55", False),
        ("ETH", "3500.1", True),
        ("ETH", "3500.15", False),
        ("ETH", "99.99", True),
        ("ETH", "99.999", False),
        ("SOL", "150.01", True),
        ("SOL", "1.2345", True),
        ("SOL", "0.12345", False),
        ("kPEPE", "0.012345", True),
        ("kPEPE", "0.0000001", False),
        ("PURR/USDC", "0.20432", True),
        ("PURR/USDC", "0.00000001", True),
        ("@107", "40.123", True),
        ("@107", "0.1234567", False),
    ],
)
def test_the_price_rule(coin: str, px: str, valid: bool) -> None:
    """Five significant figures, at most 6 (spot: 8) minus szDecimals decimals, integers always. (Reference 4.2.)"""
    market = next(market for market in BUILT_IN.markets if market.coin == coin)
    px_e8 = scaled(px, 8)
    assert px_e8 is not None
    assert market.is_on_grid(px_e8) is valid


def test_price_times_size_is_exact_on_every_grid() -> None:
    for market in BUILT_IN.markets:
        for px_e8 in (market.start_px_e8, market.start_px_e8 + market.tick_e8(market.start_px_e8)):
            for lots in (1, 3, 12_345):
                exact = Decimal(px_e8) * lots / 10**market.sz_decimals
                assert market.ntl_e8(px_e8, lots) == exact


def test_delisted_markets_keep_their_index_and_spot_ids_their_gaps() -> None:
    universe = BUILT_IN.meta["universe"]
    assert [row["name"] for row in universe] == ["BTC", "ETH", "SOL", "MATIC", "HYPE", "kPEPE"]
    assert [market.asset for market in BUILT_IN.perps] == list(range(6))
    assert [row.get("isDelisted") for row in universe] == [None, None, None, True, None, None]
    assert [(pair["name"], pair["index"]) for pair in BUILT_IN.spot_meta["universe"]] == [
        ("PURR/USDC", 0),
        ("@107", 107),
    ]
