"""Features of books and trades beside their formulas in exact fractions, and the worked examples of the engine's contract."""

from __future__ import annotations

import math
from collections import deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.core.features import BookFeatures, RollingWindow, TradeFeatures
from hlfast.core.order_book import OrderBook
from hlfast.core.updates import Trade
from hlfast.errors import ConfigError, RangeError


def agrees(found: float | None, exact: Fraction | None, *, rel: float = 1e-14) -> bool:
    if found is None or exact is None:
        return found is None and exact is None
    return math.isclose(found, float(exact), rel_tol=rel, abs_tol=0.0)


def squared_deviation(values: list[Fraction]) -> Fraction:
    """The two-pass formula."""
    if len(values) < 2:
        return Fraction(0)
    mean = sum(values, Fraction(0)) / len(values)
    return sum(((x - mean) ** 2 for x in values), Fraction(0)) / len(values)


def is_root_of(found: float, square: Fraction) -> bool:
    """Compared as squares, so that the reference needs no root of its own."""
    return math.isclose(found * found, float(square), rel_tol=1e-14, abs_tol=0.0)


class Window:
    """A rolling window that keeps its samples as they are: (time, value, weight)."""

    def __init__(self, samples: int, window_ms: int) -> None:
        self.kept: deque[tuple[int, Any, Any]] = deque(maxlen=samples)
        self.window_ms = window_ms

    def add(self, time: int, value: Any, weight: Any = 0) -> bool:
        if self.kept and time < self.kept[-1][0]:
            return False
        while self.window_ms and self.kept and self.kept[0][0] <= time - self.window_ms:
            self.kept.popleft()
        self.kept.append((time, value, weight))
        return True

    @property
    def values(self) -> list[Fraction]:
        return [Fraction(value) for _, value, _ in self.kept]


# -- the window -----------------------------------------------------------------------------------------------------------
@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 12),
    st.sampled_from([0, 1, 5, 40]),
    st.lists(
        st.tuples(
            st.integers(-2, 12),
            st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), st.integers(10**13, 10**13 + 5)),
            st.integers(-(2**57) + 1, 2**57 - 1),
        ),
        max_size=80,
    ),
)
def test_a_window_agrees_with_its_formulas(samples: int, window_ms: int, steps: list[tuple[int, int, int]]) -> None:
    # Given any samples whose time mostly goes on,
    window, plain = RollingWindow(samples, window_ms), Window(samples, window_ms)
    time = 100
    for step, value, weight in steps:
        # when each is added,
        assert window.add(time + step, value, weight) == plain.add(time + step, value, weight)
        time = max(time, time + step)
        # then the window holds the same samples, and its statistics are those of them.
        assert len(window) == len(plain.kept)
        weights = sum(w for _, _, w in plain.kept)
        assert window.weight == weights
        assert is_root_of(window.deviation, squared_deviation(plain.values))
        assert agrees(window.mean, sum(plain.values, Fraction(0)) / len(plain.kept))
        products = sum(v * w for _, v, w in plain.kept)
        assert agrees(window.weighted_mean, Fraction(products, weights) if weights else None)


def test_a_small_spread_around_a_large_value_is_not_lost():
    """The contract's example: on these the difference of squares, in floats, yields 0."""
    window = RollingWindow(3)
    for at, price in enumerate(("100000", "100000.0001", "100000.0002")):
        window.add(at, int(Decimal(price) * 10**8))
    assert math.isclose(window.deviation / 1e8, 8.164965809277261e-05, rel_tol=1e-12)


def test_a_spike_that_has_left_leaves_no_trace():
    # Given a window that a price a million times as high went through, when it has left,
    window = RollingWindow(5)
    for at in range(5):
        window.add(at, 10**9 + at)
    window.add(5, 9 * 10**15)
    for at in range(6, 11):
        window.add(at, 10**9 + at % 2)
    # then the deviation is that of what is there: 0, 1, 0, 1, 0.
    assert is_root_of(window.deviation, Fraction(6, 25))


def test_a_window_of_time_lets_go_without_a_sample_and_its_memory_is_bounded():
    window = RollingWindow(4, window_ms=100)
    for at in (0, 1, 2, 3, 4, 5):
        window.add(at, at)
    assert len(window) == 4 and window.cut_count == 2, "two left for want of room, and that is counted"
    window.advance(103)
    assert len(window) == 2 and window.mean == 4.5
    window.advance(1_000)
    assert (len(window), window.deviation, window.mean, window.weighted_mean) == (0, 0.0, 0.0, None)
    assert not window.add(999, 1) and window.older_count == 1
    window.clear()
    assert window.add(1, 7) and window.mean == 7


def test_what_could_overflow_is_refused():
    window = RollingWindow(2)
    for bad in ((0, 2**53, 0), (0, -(2**53), 0), (0, 0, 2**57)):
        with pytest.raises(RangeError):
            window.add(*bad)
    assert len(window) == 0
    for bad in ((0, 0), (65_537, 0), (1, -1)):
        with pytest.raises(ConfigError):
            RollingWindow(*bad)


def test_the_largest_samples_in_the_largest_window_do_not_overflow():
    window = RollingWindow(65_536)
    for at in range(65_536):
        window.add(at, (2**53 - 1) * (-1) ** at, 2**57 - 1)
    assert window.deviation == pytest.approx(2**53 - 1, rel=1e-15) and window.mean == 0.0
    assert window.weight == 65_536 * (2**57 - 1)


# -- books ----------------------------------------------------------------------------------------------------------------
Levels = list[tuple[Fraction, Fraction]]


class PlainBook:
    """Every formula of the contract's section 12, and microprice, imbalance and VWAP over the levels."""

    def __init__(self, depth: int, samples: int, window_ms: int, ofi: str) -> None:
        self.depth, self.by_size = depth, ofi == "size_delta"
        self.mids, self.flow = Window(samples, window_ms), Window(samples, window_ms)
        self.before: Any = None
        self.bids: Levels = []
        self.asks: Levels = []

    def update(self, time: int, bids: Levels, asks: Levels) -> None:
        self.bids, self.asks = bids, asks
        if not bids or not asks:
            self.before = None
            return
        (b, qb), (a, qa) = bids[0], asks[0]
        self.mids.add(time, (a + b) / 2)
        if self.before is not None:
            (b0, qb0), (a0, qa0) = self.before
            e = (b >= b0) * qb - (b <= b0) * qb0 - (a <= a0) * qa + (a >= a0) * qa0
            self.flow.add(time, (qb - qb0) - (qa - qa0) if self.by_size else e)
        self.before = bids[0], asks[0]

    def features(self) -> dict[str, Fraction | None]:
        bids, asks = self.bids[: self.depth], self.asks[: self.depth]
        bid_value, ask_value = (sum((p * q for p, q in side), Fraction(0)) for side in (bids, asks))
        bid_size, ask_size = (sum((q for _, q in side), Fraction(0)) for side in (bids, asks))
        flow = self.flow.values
        found: dict[str, Fraction | None] = {
            "bid_depth_n": bid_value,
            "ask_depth_n": ask_value,
            "depth_n": bid_value + ask_value,
            "bid_vwap_n": bid_value / bid_size if bids else None,
            "ask_vwap_n": ask_value / ask_size if asks else None,
            "imbalance_n": (bid_size - ask_size) / (bid_size + ask_size) if bids or asks else None,
            "ofi_rolling": sum(flow, Fraction(0)) / len(flow) if flow else Fraction(0),
        }
        of_both = dict.fromkeys(("midpoint", "microprice", "relative_spread", "breadth", "imbalance_lvl1"))
        if not bids or not asks:
            return {**found, **of_both}
        (b, qb), (a, qa) = bids[0], asks[0]
        return found | {
            "midpoint": (a + b) / 2,
            "microprice": (b * qa + a * qb) / (qa + qb),
            "relative_spread": (a - b) / ((a + b) / 2),
            "breadth": b * qb + a * qa,
            "imbalance_lvl1": (qb - qa) / (qb + qa),
        }


EXACT = {"midpoint", "breadth", "bid_depth_n", "ask_depth_n", "depth_n"}
side = st.dictionaries(st.integers(1, 400), st.integers(1, 10**6), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from([0, 30]),
    st.sampled_from(["cks", "size_delta"]),
    st.lists(st.tuples(st.integers(0, 20), st.integers(401, 405), side, side), min_size=1, max_size=25),
)
def test_book_features_agree_with_their_formulas(
    depth: int, samples: int, window_ms: int, ofi: str, books: list[Any]
) -> None:
    # Given books with ticks of 0.0625 and lots of 0.001, sides empty at times,
    book = OrderBook("X", 3)
    features = BookFeatures("X", 3, depth=depth, samples=samples, window_ms=window_ms, ofi=ofi)
    plain = PlainBook(depth, samples, window_ms, ofi)
    time = 1
    for step, middle, below, above in books:
        time += step
        bids = sorted(((Fraction(middle - px, 16), Fraction(n, 1000)) for px, n in below.items()), reverse=True)
        asks = sorted((Fraction(middle + px, 16), Fraction(n, 1000)) for px, n in above.items())
        as_decimals = [
            [(Decimal(p.numerator) / p.denominator, Decimal(q.numerator) / q.denominator) for p, q in s]
            for s in (bids, asks)
        ]
        book.apply_snapshot(*as_decimals, time_ms=time)
        # when each is taken,
        assert features.update(book)
        plain.update(time, bids, asks)
        # then values are exact, and statistics within a few units in the last place.
        for name, exact in plain.features().items():
            found = getattr(features, name)
            if name in EXACT:
                assert (None if found is None else Fraction(found)) == exact, name
            else:
                assert agrees(found, exact), name
        assert is_root_of(features.volatility_mid, squared_deviation(plain.mids.values))
        assert features.window_size == len(plain.mids.kept)


BOOKS = [
    ([("83757", "22.61305")], [("83758", "0.00016")]),
    ([("83757", "20.11305")], [("83758", "1.25")]),
    ([("83758", "0.5")], [("83759", "3.75")]),
]


@pytest.mark.parametrize(("ofi", "events"), [("cks", (-3.74984, 1.75)), ("size_delta", (-3.74984, -22.11305))])
def test_the_contracts_table_of_order_flow(ofi: str, events: tuple[float, float]) -> None:
    book, features = OrderBook("BTC", 5), BookFeatures("BTC", 5, ofi=ofi)
    found = []
    for at, sides in enumerate(BOOKS):
        book.apply_snapshot(*sides, time_ms=at + 1)
        features(book)
        found.append(features.ofi)
    assert found == [0.0, *events]
    assert features.ofi_rolling == pytest.approx(sum(events) / 2, rel=1e-15)


def test_the_contracts_example_of_a_book():
    """Its figures, of the last of three books."""
    book, features = OrderBook("BTC", 5), BookFeatures("BTC", 5)
    for at, sides in enumerate(BOOKS[:2]):
        book.apply_snapshot(*sides, time_ms=at + 1)
        features(book)
    book.apply_snapshot(
        [("83758", "0.5"), ("83757", "20.11305"), ("83756", "4.2")],
        [("83759", "3.75"), ("83760", "1.5"), ("83762", "0.8")],
        time_ms=3,
    )
    features(book)
    assert features.midpoint == Decimal("83758.5")
    assert features.relative_spread == pytest.approx(1.1939086779252255e-05, rel=1e-15)
    assert features.breadth == Decimal("355975.25")
    assert features.imbalance_lvl1 == pytest.approx(-0.7647058823529411, rel=1e-15)
    assert (features.bid_depth_n, features.ask_depth_n) == (Decimal("2078262.92885"), Decimal("506745.85"))
    assert features.depth_n == Decimal("2585008.77885")
    assert features.volatility_mid == pytest.approx(0.4714045207910317, rel=1e-14)
    assert features.ofi_rolling == pytest.approx(-0.99992, rel=1e-14)
    assert features.window_size == 3


def test_a_book_that_says_nothing_moves_nothing():
    # Given a good book,
    book, features = OrderBook("BTC", 5), BookFeatures("BTC", 5)
    book.apply_snapshot([(10, 1)], [(11, 1)], time_ms=5)
    assert features.update(book)
    # when it is stale or crossed, or belongs to another instrument, then it is not taken,
    book.mark_stale("test")
    assert not features.update(book)
    book.apply_snapshot([(12, 1)], [(11, 1)], time_ms=6)
    assert not features.update(book) and features.midpoint == Decimal("10.5")
    with pytest.raises(ConfigError):
        features.update(OrderBook("ETH", 5))
    # and after a restart the windows begin anew.
    book.apply_snapshot([(10, 1)], [(12, 1)], time_ms=7)
    features.restart()
    assert features.update(book) and features.window_size == 1 and features.ofi_rolling == 0.0


# -- trades ---------------------------------------------------------------------------------------------------------------
@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 8),
    st.sampled_from([0, 25]),
    st.lists(st.tuples(st.integers(-3, 15), st.integers(1, 10**9), st.integers(1, 10**7)), min_size=1, max_size=40),
)
def test_trade_features_agree_with_their_formulas(samples: int, window_ms: int, trades: list[Any]) -> None:
    features, plain = TradeFeatures("X", 2, samples=samples, window_ms=window_ms), Window(samples, window_ms)
    time = 50
    for step, px, lots in trades:
        price, size = Fraction(px, 10**4), Fraction(lots, 100)
        trade = Trade(
            coin="X",
            price=Decimal(px).scaleb(-4),
            amount=Decimal(lots).scaleb(-2),
            sz_decimals=2,
            is_buy=True,
            time_ms=time + step,
        )
        taken = features.update(trade)
        assert taken == plain.add(time + step, price, size)
        time = max(time, time + step)
        if taken:
            assert Fraction(features.transaction_price) == price
            assert Fraction(features.trading_volume) == price * size
        volume = sum((w for _, _, w in plain.kept), Fraction(0))
        assert Fraction(features.volume) == volume
        assert agrees(features.vwap, sum(v * w for _, v, w in plain.kept) / volume)
        assert is_root_of(features.volatility_transaction_price, squared_deviation(plain.values))
        assert features.window_size == len(plain.kept)


def test_the_contracts_example_of_a_trade_and_a_window_that_runs_dry():
    features = TradeFeatures("BTC", 5, window_ms=1000)
    assert (features.transaction_price, features.vwap, features.trading_volume) == (None, None, None)
    for at, price in enumerate((83770, 83770, 83769)):
        features(Trade(coin="BTC", price=price, amount="0.0048", sz_decimals=5, is_buy=False, time_ms=at + 1))
    assert features.trading_volume == Decimal("402.0912")
    assert features.volatility_transaction_price == pytest.approx(0.4714045207910317, rel=1e-14)
    features.advance(5000)
    assert (features.window_size, features.vwap, features.volume) == (0, None, 0)
    with pytest.raises(ConfigError):
        features.update(Trade(coin="ETH", price=1, amount=1, sz_decimals=5, is_buy=False))
