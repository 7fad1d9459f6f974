"""Position and ledger: what own fills make of a position and of cash, against exact fractions."""

import decimal
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlfast.core.bus import EventBus
from hlfast.core.events import PositionUpdate
from hlfast.core.ledger import FILL_KEYS_KEPT, Ledger
from hlfast.core.position import Position, PositionBook
from hlfast.core.updates import TradeUpdate
from hlfast.errors import RangeError
from hlfast.types import PositionSide


def fill(size, price, *, tid=1, **fields) -> TradeUpdate:
    """A fill of `size` BTC, negative for a sale. 1 BTC is 1000 lots."""
    size = Decimal(size)
    given = {"coin": "BTC", "tid": tid, "price": price, "amount": abs(size), "is_buy": size > 0, "sz_decimals": 3}
    return TradeUpdate(**{**given, **fields})


def booked(*fills: TradeUpdate) -> Position:
    book = PositionBook(EventBus())
    for each in fills:
        book.apply_fill(each)
    return book.positions["BTC"]


@pytest.mark.parametrize("seed", range(20))
def test_fills_that_come_out_of_order_give_the_same_position(seed):
    """G7, L57: lost frames come back late; realised PnL and entry are the venue's as if each fill had come in its place."""
    rng, told, fills = random.Random(seed), Decimal(0), []
    model = PositionBook(EventBus())
    for n in range(200):
        size, price = (
            Decimal(rng.choice((-1, 1)) * rng.randint(1, 3000)).scaleb(-3),
            Decimal(rng.randint(59_000, 61_000)),
        )
        position = model.positions.get("BTC")
        start, before = (position.signed_size, position.realized_pnl) if position else (Decimal(0), Decimal(0))
        gain = model.apply_fill(fill(size, price, tid=n)).realized_pnl - before
        closed = gain.quantize(Decimal("0.000001"))  # as the venue tells it
        told += closed
        fills.append(fill(size, price, tid=n, closed_pnl=closed, start_position=start))
    exact = model.positions["BTC"]
    late = [each for each in fills if rng.random() < 0.1]
    ours = booked(*[each for each in fills if each not in late], *late)
    assert ours.signed_size == exact.signed_size
    assert abs(ours.realized_pnl - told) <= len(fills) * Decimal("0.000001")
    assert abs(ours.entry_price - exact.entry_price) * ours.size <= len(fills) * Decimal("0.000001")


def test_a_shared_book_realises_by_its_own_entry_and_not_by_the_accounts():
    """Given a sell that closed another's long, then the whole account's book takes the venue's word and a shared one does not."""
    sell = TradeUpdate(
        coin="BTC", tid=1, price=110, amount=1, sz_decimals=2, is_buy=False, start_position=1, closed_pnl=10
    )
    for shared, realized in ((False, 10), (True, 0)):
        book = PositionBook(EventBus(), shared=shared)
        book.book(sell)
        position = book.positions["BTC"]
        assert (position.signed_size, position.realized_pnl) == (-1, realized)


def test_a_position_that_is_closed_has_no_cost_left():
    """Given fills out of order, then what the venue's rounding leaves over does not show in the next position."""
    news = (
        fill(1, "100", tid=1, closed_pnl=0, start_position=0),
        fill(-3, "101.0000004", tid=3, closed_pnl="3.000001", start_position=3),
        fill(2, "100.0000003", tid=2, closed_pnl=0, start_position=1),
    )
    p = booked(*news)
    assert p.is_flat and p.entry_price == 0 and abs(p.realized_pnl - 3) < Decimal("0.000002")
    p = booked(*news, fill("0.001", "50", tid=4, closed_pnl=0, start_position=0))
    assert p.entry_price == 50


def test_the_figures_of_a_position():
    """Behaviour 12."""
    p = Position(
        "BTC", size="0.1", entry_price=50000, mark_price=51000, liquidation_price=45000, unrealized_pnl=100, margin=500
    )
    assert (p.position_value, p.roe, round(p.distance_to_liquidation, 2)) == (5100, 20, Decimal("11.76"))
    assert (p.side, p.is_long, p.is_short, p.size, p.entry_price) == (
        PositionSide.LONG,
        True,
        False,
        Decimal("0.1"),
        50000,
    )


def test_everything_is_defined_from_birth():
    """Behaviour 12."""
    p = Position("BTC")
    assert (p.size, p.signed_size, p.entry_price, p.unrealized_pnl, p.realized_pnl, p.funding, p.margin) == (0,) * 7
    assert (p.side, p.is_flat, p.mark_price, p.liquidation_price, p.fees) == (PositionSide.BOTH, True, None, None, {})
    assert (p.position_value, p.roe, p.distance_to_liquidation) == (0, 0, None)
    assert Position("BTC", mark_price=0, liquidation_price=5).distance_to_liquidation == 0
    assert p.timestamp_ns > 1_600_000_000_000_000_000


def test_a_short_is_told_by_its_side_or_by_its_sign():
    short = Position("BTC", size=2, side=PositionSide.SHORT, entry_price=100, mark_price=90)
    assert (short.signed_size, short.size, short.is_short, short.unrealized_pnl) == (-2, 2, True, 20)
    assert Position("BTC", size=-2).side is PositionSide.SHORT
    with pytest.raises(RangeError, match="long"):
        Position("BTC", size=-2, side=PositionSide.LONG)


@pytest.mark.parametrize(
    ("fills", "size", "entry", "realized"),
    [
        ([(1, 100), (1, 110)], 2, 105, 0),  # adding moves the average
        ([(2, 100), (-1, 130)], 1, 100, 30),  # closing realises and keeps the average
        ([(2, 100), (-2, 90)], 0, 0, -20),
        ([(-2, 100), (1, 90)], -1, 100, 10),  # a short gains when the price falls
        ([(1, 100), (-3, 120)], -2, 120, 20),  # through zero: closes, then opens at its own price
        ([(-1, 100), (3, 120)], 2, 120, -20),
        ([(1, 100), (-1, 100), (1, 50)], 1, 50, 0),  # opened again, the old average is gone
        ([(3, 100), (-1, 110), (-1, 90), (2, 80)], 3, Decimal(260) / 3, 0),
    ],
)
def test_opening_averages_closing_realises_and_a_flip_does_both(fills, size, entry, realized):
    """Behaviour 135, protocol section 7.4."""
    p = booked(*(fill(s, px, tid=n) for n, (s, px) in enumerate(fills)))
    assert (p.signed_size, p.realized_pnl) == (size, realized)
    assert abs(p.entry_price - entry) < Decimal("1e-25")


trades = st.lists(
    st.tuples(st.integers(-5000, 5000).filter(bool), st.integers(1, 10**15), st.integers(-(10**6), 10**6)), max_size=30
)


@given(trades)
def test_any_fills_equal_exact_fractions(news):
    """Behaviour 135, L58: size, average, realised PnL and fees from fills only, to 40 digits; their sum is the cash."""
    book = PositionBook(EventBus())
    lots, entry, realized, cash, fees = 0, Fraction(0), Fraction(0), Fraction(0), Fraction(0)
    for n, (size, px_e8, fee_e8) in enumerate(news):
        price, left = Fraction(px_e8, 10**8), size
        if lots * size < 0:
            closing = min(abs(size), abs(lots)) * (1 if size > 0 else -1)
            realized += Fraction(-closing, 1000) * (price - entry)
            lots += closing
            left -= closing
        if left:
            entry = (entry * abs(lots) + price * abs(left)) / (abs(lots) + abs(left)) if lots else price
            lots += left
        cash -= Fraction(size, 1000) * price
        fees += Fraction(fee_e8, 10**8)
        book.apply_fill(
            fill(Decimal(size).scaleb(-3), Decimal(px_e8).scaleb(-8), tid=n, fee=Decimal(fee_e8).scaleb(-8))
        )
    if not news:
        return
    p = book.positions["BTC"]
    assert p.signed_lots == lots and Fraction(p.fees["USDC"]) == fees
    assert abs(Fraction(p.realized_pnl) - realized) < Fraction(1, 10**40)
    assert p.entry_price == 0 if not lots else abs(Fraction(p.entry_price) - entry) < Fraction(1, 10**40)
    book.set_mark("BTC", 7)
    worth = cash + Fraction(lots, 1000) * 7
    assert abs(Fraction(p.realized_pnl) + Fraction(p.unrealized_pnl) - worth) < Fraction(1, 10**40)


def test_events_tell_open_change_and_close_and_handlers_see_the_new_state():
    """Behaviour 135: also the closing one, with size 0."""
    bus, told = EventBus(), []
    bus.on(PositionUpdate, lambda e: told.append((e.coin, e.position.signed_size, e.time_ms, e.recv_ns)))
    book = PositionBook(bus)
    for n, size in enumerate((1, 1, -3, 1)):
        book.apply_fill(fill(size, 100, tid=n, time_ms=50 + n, recv_ns=9 + n))
    assert told == [("BTC", 1, 50, 9), ("BTC", 2, 51, 10), ("BTC", -1, 52, 11), ("BTC", 0, 53, 12)]
    assert book.positions["BTC"].is_flat and book.positions["BTC"].timestamp_ns == 12


def test_fees_are_kept_by_token_and_funding_and_account_views_are_booked():
    """Behaviour 134."""
    book = PositionBook(EventBus())
    book.apply_fill(fill(1, 100, fee="0.05"))
    book.apply_fill(fill(1, 100, tid=2, fee="-0.02"))
    book.apply_fill(fill(1, 100, tid=3, fee="0.123456789012", fee_token="HYPE"))
    book.apply_funding("BTC", "-1.5")
    book.apply_funding("BTC", "0.25")
    book.set_account_view("BTC", leverage=5, margin=60, liquidation_price="80.123456789")
    book.set_mark("BTC", 110)
    p = book.positions["BTC"]
    assert p.fees == {"USDC": Decimal("0.03"), "HYPE": Decimal("0.123456789012")} and p.funding == Decimal("-1.25")
    assert (p.leverage, p.unrealized_pnl, p.roe, p.liquidation_price) == (5, 30, 50, Decimal("80.123456789"))
    assert p.realized_pnl == 0  # fees and funding are not part of it


def test_a_position_from_before_the_first_fill_is_taken_as_it_was():
    book = PositionBook(EventBus())
    book.start("BTC", 3, "-2", "100")
    book.apply_fill(fill(2, 90))
    assert (book.positions["BTC"].is_flat, book.positions["BTC"].realized_pnl) == (True, 20)
    with pytest.raises(TypeError):
        book.positions["ETH"] = None


def test_a_fill_in_other_decimals_than_the_position_is_booked_in_its_lots():
    """L54: one unit per field."""
    book = PositionBook(EventBus())
    book.start("BTC", 3, 1, 100)
    book.apply_fill(fill("0.5", 100, sz_decimals=8))
    assert book.positions["BTC"].size == Decimal("1.5")


def test_dust_is_refused_and_leaves_no_trace():
    book = PositionBook(EventBus())
    with pytest.raises(RangeError, match=r"0\.0000001 is off the lot grid"):
        book.apply_fill(fill("0.0000001", 100))
    assert dict(book.positions) == {}


def test_a_position_that_does_not_fit_is_refused_and_unchanged():
    """Architecture 2.3: overflow is a range error, never a wrap."""
    book = PositionBook(EventBus())
    big = TradeUpdate(coin="BTC", tid=1, price=1, amount=9_000_000_000_000_000_000, sz_decimals=0, is_buy=True)
    book.apply_fill(big)
    with pytest.raises(RangeError, match="63 bits"):
        book.apply_fill(big)
    assert book.positions["BTC"].size == 9_000_000_000_000_000_000


def test_a_snapshot_never_changes():
    """Behaviour 18."""
    book = PositionBook(EventBus())
    book.apply_fill(fill(1, 100, fee=1))
    before = book.positions["BTC"].snapshot()
    book.apply_fill(fill(-3, 120, tid=2, fee=1))
    assert (before.signed_size, before.realized_pnl, before.fees) == (1, 0, {"USDC": 1})


def test_the_callers_decimal_context_rounds_nothing():
    """Soak figure of the guarantees: equal to the last decimal."""
    ledger = Ledger()
    with decimal.localcontext() as context:
        context.prec = 4
        news = [
            fill(-1, "50123.25", fee="0.12345678"),
            fill("1", "49000.5", tid=2),
            fill("-1.234", "92345.12345678", tid=3),
        ]
        p = booked(*news)
        p_mark = Position("BTC", size="-1.234", entry_price="92345.12345678", mark_price="92345.12345679")
        ledger.start(Decimal("1000000.5"), {}, {"USDC": Decimal(0)})
        for each in news:
            ledger.book_fill(each, base="BTC")
            ledger.book_fill(each)
        upnl, quote = p_mark.unrealized_pnl, news[2].quote_amount
    assert (p.realized_pnl, p.entry_price) == (Decimal("1122.75"), Decimal("92345.12345678"))
    assert upnl == Decimal("-0.00000001234") and quote == Decimal("113953.88234566652")
    assert ledger.spot == {
        "BTC": Decimal("-1.234"),
        "USDC": Decimal("50123.25") - Decimal("49000.5") + quote - Decimal("0.12345678"),
    }
    assert ledger.cash == Decimal("1000000.5") + ledger.spot["USDC"]


spot_or_perp = st.lists(
    st.tuples(st.booleans(), st.integers(-(10**18), 10**18).filter(bool), st.integers(1, 10**18), st.integers(-(10**9), 10**9)),
    max_size=20,
)  # fmt: skip


@given(spot_or_perp)
def test_the_ledger_is_exact_in_every_figure(news):
    """L58: cash, tokens, fees and positions from fills only."""
    ledger = Ledger()
    ledger.start(Decimal(5), {"BTC": Decimal(2), "ETH": Decimal(0)}, {"PURR": Decimal(1)})
    ledger.start(Decimal(99), {}, {})  # only the first counts
    cash, fees, perp = Fraction(5), Fraction(0), Fraction(2)
    tokens = {"PURR": Fraction(1), "USDC": Fraction(0)}
    for n, (is_spot, lots, px_e8, fee_e8) in enumerate(news):
        size, cost, fee = Fraction(lots, 10**8), Fraction(lots * px_e8, 10**16), Fraction(fee_e8, 10**8)
        ledger.book_fill(
            fill(
                Decimal(lots).scaleb(-8),
                Decimal(px_e8).scaleb(-8),
                tid=n,
                sz_decimals=8,
                fee=Decimal(fee_e8).scaleb(-8),
            ),
            base="PURR" if is_spot else "",
        )
        fees += fee
        if is_spot:
            tokens["PURR"] += size
            tokens["USDC"] -= cost + fee
        else:
            cash -= cost + fee
            perp += size
    figures = ledger.figures()
    assert Fraction(figures["cash"]) == cash and Fraction(figures["fees"].get("USDC", 0)) == fees
    assert {t: Fraction(figures["spot"].get(t, 0)) for t in tokens} == tokens
    assert Fraction(figures["positions"].get("BTC", 0)) == perp and "ETH" not in figures["positions"]
    assert figures["fills"] == len(news) == len(set(figures["fill_keys"]))


def test_the_ledger_keeps_the_identities_of_the_newest_fills_only():
    """Given a run without an end, then its memory has one; the sums and the count are of all fills."""
    ledger = Ledger()
    ledger.start(Decimal(0), {}, {})
    for n in range(FILL_KEYS_KEPT + 10):
        ledger.book_fill(fill(1, 2, tid=n))
    figures = ledger.figures()
    assert figures["fills"] == FILL_KEYS_KEPT + 10 and figures["cash"] == -2 * (FILL_KEYS_KEPT + 10)
    assert [key[1] for key in figures["fill_keys"]] == list(range(10, FILL_KEYS_KEPT + 10))


def test_funding_moves_cash_and_the_figures_are_a_copy():
    ledger = Ledger()
    ledger.start(Decimal(100), {}, {})
    ledger.book_funding(Decimal("-1.5"))
    ledger.book_funding(Decimal("0.25"))
    figures = ledger.figures()
    figures["positions"]["BTC"] = 1
    assert (ledger.cash, ledger.funding, ledger.positions) == (Decimal("98.75"), Decimal("-1.25"), {})


def test_what_the_caller_gives_is_neither_changed_nor_kept():
    """L119: inputs are never changed."""
    positions, spot = {"BTC": Decimal(2), "ETH": Decimal(0)}, {"PURR": Decimal(1)}
    ledger = Ledger()
    ledger.start(Decimal(5), positions, spot)
    ledger.book_fill(fill(-2, 100))
    ledger.book_fill(fill(3, 1, tid=2), base="PURR")
    assert (positions, spot) == ({"BTC": 2, "ETH": 0}, {"PURR": 1})
    positions["SOL"] = spot["SOL"] = Decimal(9)
    assert "SOL" not in ledger.figures()["positions"] and "SOL" not in ledger.figures()["spot"]
