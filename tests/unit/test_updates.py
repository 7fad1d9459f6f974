"""The records of news: every field kept, exact sizes and fees, one identity for a fill."""

import copy
import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast.core.updates import OrderUpdate, Trade, TradeUpdate
from hlfast.errors import RangeError
from hlfast.types import OrderState, TradeType

TRADE_UPDATE = {
    "coin": "kPEPE", "tid": 2**50 + 1, "exchange_order_id": 2**40 + 2, "cloid": "0x" + "0f" * 16, "price": Decimal("3.25"),
    "amount": Decimal("12.345"), "sz_decimals": 3, "is_buy": False, "is_taker": False, "fee": Decimal("-0.0125"),
    "fee_token": "HYPE", "closed_pnl": Decimal("-7.5"), "start_position": Decimal("-4.002"), "direction": "Open Short",
    "time_ms": 1_700_000_000_001, "recv_ns": 1_700_000_000_002_000_003, "recovered": True,
}  # fmt: skip
ORDER_UPDATE = {
    "client_order_id": "hl-1", "cloid": "0x" + "a0" * 16, "exchange_order_id": 2**40 + 5, "coin": "BTC",
    "new_state": int(OrderState.CANCELLED), "status": "marginCanceled", "side": "A", "px_e8": 11, "lots": 12,
    "orig_lots": 13, "time_ms": 14, "recv_ns": 15, "reason": "margin", "recovered": True,
}  # fmt: skip
TRADE = {
    "coin": "@107", "price": Decimal("0.00000001"), "amount": Decimal("5.5"), "sz_decimals": 1, "is_buy": True, "tid": 21,
    "time_ms": 22, "recv_ns": 23, "buyer": "0x01", "seller": "0x02",
}  # fmt: skip
RECORDS = [(TradeUpdate, TRADE_UPDATE), (OrderUpdate, ORDER_UPDATE), (Trade, TRADE)]


def fields(record, given: dict) -> dict:
    return {name: getattr(record, name) for name in given}


@pytest.mark.parametrize(("cls", "given"), RECORDS)
def test_every_field_comes_back_as_it_was_given(cls, given):
    """L54, L67: distinct values in each field, so that none is read from another."""
    record = cls(**given)
    assert fields(record, given) == given
    assert fields(cls(**fields(record, given)), given) == given


@pytest.mark.parametrize(("cls", "given"), RECORDS)
@pytest.mark.parametrize("through", [copy.copy, lambda record: pickle.loads(pickle.dumps(record))])
def test_a_record_survives_copying_and_pickling(cls, given, through):
    """L67."""
    assert fields(through(cls(**given)), given) == given


@pytest.mark.parametrize(("cls", "given"), RECORDS)
def test_a_record_cannot_be_changed(cls, given):
    record = cls(**given)
    for name in given:
        with pytest.raises(AttributeError):
            setattr(record, name, given[name])


def test_what_is_not_known_is_none_or_minus_one_and_never_a_false_zero():
    """L54."""
    u = OrderUpdate(new_state=OrderState.OPEN)
    assert (u.exchange_order_id, u.client_order_id, u.cloid, u.lots, u.orig_lots) == (None, None, None, -1, -1)
    f = TradeUpdate(coin="X", tid=1, price=1, amount=1, is_buy=True)
    assert (f.exchange_order_id, f.cloid, f.start_position) == (None, None, None)
    assert TradeUpdate(coin="X", tid=1, price=1, amount=1, is_buy=True, start_position=0).start_position == 0


def test_words_of_a_fill():
    """Behaviour 134."""
    f = TradeUpdate(**TRADE_UPDATE)
    assert (f.trade_type, f.liquidity, f.trade_id) == (TradeType.SELL, "maker", f.tid)
    assert TradeUpdate(**{**TRADE_UPDATE, "is_buy": True, "is_taker": True}).liquidity == "taker"
    assert Trade(**TRADE).side == "B" and Trade(**{**TRADE, "is_buy": False}).side == "A"
    assert "kPEPE sell 12.345 at 3.25" in repr(f) and "@107 B 5.5 at 0.00000001" in repr(Trade(**TRADE))


def test_a_fill_is_the_same_by_coin_trade_order_and_time():
    """G7, L50: whatever stream or run it came from, and whatever else differs."""
    one = TradeUpdate(**TRADE_UPDATE)
    assert one.key == ("kPEPE", 2**50 + 1, 2**40 + 2, 1_700_000_000_001)
    assert TradeUpdate(**{**TRADE_UPDATE, "recv_ns": 5, "recovered": False, "cloid": None}).key == one.key
    for name in ("coin", "tid", "exchange_order_id", "time_ms"):
        other = {**TRADE_UPDATE, name: "PEPE" if name == "coin" else 7}
        assert TradeUpdate(**other).key != one.key


@given(st.integers(1, 10**17), st.integers(1, 10**17), st.integers(-(10**17), 10**17))
def test_sizes_prices_and_fees_are_exact(px_e8, lots, fee_e8):
    """Architecture 2.3: no float takes part."""
    price, amount, fee = (Decimal(n).scaleb(-8) for n in (px_e8, lots, fee_e8))
    f = TradeUpdate(coin="X", tid=1, price=price, amount=amount, is_buy=True, fee=fee)
    assert (f.px_e8, f.lots, f.fee_e8, f.price, f.amount, f.fee) == (px_e8, lots, fee_e8, price, amount, fee)
    sign, digits, exponent = f.quote_amount.as_tuple()
    assert int("".join(map(str, digits))) * 10 ** (16 + exponent) == px_e8 * lots and not sign


@given(st.integers(1, 10**15))
def test_a_size_off_the_grid_is_kept_exactly_as_text(n):
    """Architecture 2.3: dust conversions."""
    size = Decimal(10 * n + 1).scaleb(-12)
    f = TradeUpdate(coin="@1", tid=1, price=2, amount=size, sz_decimals=3, is_buy=False)
    assert (f.lots, f.amount, f.quote_amount) == (-1, size, 2 * size)
    assert Decimal(f.size_text) == size and "E" not in f.size_text and f.size_text in repr(f)


def test_a_fee_finer_than_1e_8_is_kept_exactly():
    """Protocol oddity 3: precision exceeds 8 decimals in places."""
    f = TradeUpdate(coin="X", tid=1, price=1, amount=1, is_buy=True, fee="0.1234567890123456789")
    assert f.fee == Decimal("0.1234567890123456789") == f.fee_exact and f.fee_e8 == 0


@pytest.mark.parametrize(
    "wrong", [{"price": "nan"}, {"amount": "1abc"}, {"amount": "inf"}, {"fee": "x"}, {"sz_decimals": 40}]
)
def test_what_is_no_number_is_refused_and_not_taken_for_dust(wrong):
    """Behaviour 51."""
    with pytest.raises(RangeError):
        TradeUpdate(**{**TRADE_UPDATE, **wrong})


@pytest.mark.parametrize(("state", "word"), [(OrderState.OPEN, "OPEN"), (-1, "?"), (99, "?")])
def test_the_text_of_an_update_never_fails(state, word):
    """G19."""
    assert word in repr(OrderUpdate(cloid="0x01", new_state=state, status="odd"))
