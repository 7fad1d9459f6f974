"""L4Book: queues of orders, where each stands, and what does not fit."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from hlfast.core.l4_book import L4Book
from hlfast.core.order_book import OrderBook
from hlfast.errors import ConfigError, ProtocolError, RangeError

from .model import USERS, Stream, apply, assert_equal, load, time_of

ALICE, BOB = USERS[0], USERS[1]
CLOID = "0x" + "ab" * 16


@pytest.fixture
def book() -> L4Book:
    book = L4Book("BTC", 5)
    book.begin_snapshot()
    book.insert(1, True, 50000, "0.5", user=ALICE, time_ms=1)
    book.insert(2, True, 50000, "0.25", user=BOB, cloid=CLOID, time_ms=2)
    book.insert(3, True, 50000, "1", user=ALICE, time_ms=3)
    book.insert(4, True, 49999, "2", time_ms=4)
    book.insert(5, False, 50001, "0.75", user=BOB, time_ms=5)
    assert book.end_block(100, 1000, 7)
    return book


def test_the_queue_of_a_level_and_where_an_order_stands(book):
    assert book.queue(True, 50000) == [1, 2, 3] and book.queue(False, 50000) == []
    third = book.position(3)
    assert (third.orders_ahead, third.size_ahead, third.size) == (2, Decimal("0.75"), 1)
    assert (third.orders_at_level, third.size_at_level, third.price, third.is_buy) == (3, Decimal("1.75"), 50000, True)
    assert (third.user, third.cloid, third.time_ms) == (ALICE, None, 3)
    assert book.position(1).orders_ahead == 0 and book.position(99) is None
    assert repr(third) == "<QueuePosition 3 buy 1 at 50000: 2 orders, 0.75 ahead>"


def test_orders_are_found_by_cloid_and_by_user(book):
    assert book.position_of_cloid(CLOID.upper().replace("0X", "0x")).oid == 2
    assert book.position_of_cloid(CLOID, BOB.upper().replace("0X", "0x")).oid == 2
    assert book.position_of_cloid(CLOID, ALICE) is None and book.position_of_cloid("0x" + "00" * 16) is None
    assert {place.oid for place in book.positions_of_user(ALICE)} == {1, 3}
    assert book.positions_of_user(USERS[9]) == []
    # Two users may choose the same cloid; then it takes a user to tell them apart.
    book.insert(6, False, 50002, 1, user=ALICE, cloid=CLOID)
    with pytest.raises(ConfigError, match="say whose"):
        book.position_of_cloid(CLOID)
    assert book.position_of_cloid(CLOID, ALICE).oid == 6
    book.remove(2)
    assert book.position_of_cloid(CLOID).oid == 6 and book.position_of_cloid(CLOID, BOB) is None
    for wrong in ("0x12", "12" * 17, "0x" + "zz" * 16):
        with pytest.raises(RangeError):
            book.position_of_cloid(wrong)


def test_a_change_of_size_keeps_the_place_and_a_removal_moves_the_rest_up(book):
    book.resize(1, "0.1", was="0.5")
    assert book.queue(True, 50000) == [1, 2, 3] and book.position(3).size_ahead == Decimal("0.35")
    book.remove(2)
    assert book.queue(True, 50000) == [1, 3] and book.position(3).orders_ahead == 1
    assert book.levels()[0] == [(50000, Decimal("1.1"), 2), (49999, 2, 1)]
    book.remove(1)
    book.remove(3)
    assert book.best_bid == 49999 and book.queue(True, 50000) == [] and book.self_check() == ""


def test_an_order_may_stand_before_another(book):
    book.insert(10, True, 50000, 1, before=2)
    book.insert(11, True, 50000, 1, before=1)
    assert book.queue(True, 50000) == [11, 1, 10, 2, 3]
    assert (book.position(10).orders_ahead, book.position(2).orders_ahead) == (2, 3)
    assert book.self_check() == ""


def test_what_does_not_fit_is_refused_and_changes_nothing(book):
    before = book.raw_levels()
    for wrong in (
        lambda: book.insert(1, True, 50000, 1),
        lambda: book.insert(7, True, 50000, 1, before=99),
        lambda: book.insert(7, True, 50000, 1, before=4),
        lambda: book.insert(7, False, 50000, 1, before=1),
        lambda: book.insert(7, True, 50000, 0),
        lambda: book.insert(7, True, 0, 1),
        lambda: book.resize(99, 1),
        lambda: book.resize(1, "0.1", was="0.4"),
        lambda: book.resize(1, 0),
        lambda: book.remove(99),
    ):
        with pytest.raises(ProtocolError, match="BTC"):
            wrong()
    assert book.raw_levels() == before and book.self_check() == ""


def test_a_block_that_ends_crossed_makes_the_book_stale(book):
    book.insert(7, False, 49999, 1)
    assert not book.end_block(101, 1070)
    assert book.is_stale and book.stale_reason == "crossed at the end of block 101"
    book.begin_snapshot()
    assert len(book) == 0 and book.is_stale and book.best_bid is None and book.best_ask_e8 == 0
    assert book.end_block(102, 1140) and not book.is_stale


def test_it_agrees_with_the_aggregated_book_of_the_same_block_or_says_where_not(book):
    l2 = OrderBook("BTC", 5)
    bids, asks = [(50000, "1.75", 3), (49999, 2, 1)], [(50001, "0.75", 1)]
    l2.apply_snapshot(bids, asks, time_ms=1)
    assert book.differs_from(l2) == ""
    # Cut to one level it is still the same, if that is said.
    l2.apply_snapshot(bids[:1], asks, time_ms=2)
    assert (
        book.differs_from(l2, depth=1) == "" and book.differs_from(l2) == "bids: 2 levels order by order, 1 aggregated"
    )
    for wrong in ([(50000, "1.76", 3), bids[1]], [(50000, "1.75", 4), bids[1]], [(49998, 1, 1)], [*bids, (1, 1, 1)]):
        l2.apply_snapshot(wrong, asks, time_ms=3)
        assert book.differs_from(l2).startswith("bid")
    l2.apply_snapshot(bids, [], time_ms=4)
    assert book.differs_from(l2) == "asks: 1 levels order by order, 0 aggregated"


@pytest.mark.parametrize(("seed", "live", "width"), [(1, 40, 6), (2, 400, 40), (3, 3_000, 2_000), (4, 8, 1)])
def test_it_equals_the_plain_model_after_every_block(seed: int, live: int, width: int) -> None:
    # Given a snapshot, when blocks follow,
    stream, book = Stream(seed, live=live, width=width), L4Book("BTC", 0)
    load(book, stream)
    for at in range(400):
        _, rows = stream.block(25)
        apply(book, rows)
        assert book.end_block(stream.height, time_of(stream.height))
        # then all levels, and queues, owners and positions are the model's.
        assert_equal(book, stream.model, queues=20, chance=stream.chance)
        if at % 50 == 0:
            assert_equal(book, stream.model)
            assert book.self_check() == ""


def test_levels_come_and_go_in_any_order():
    """The ladder's runs split and are joined again: ten thousand prices in, all but a few out."""
    book, chance = L4Book("X", 0), random.Random(5)
    book.begin_snapshot()
    prices = list(range(1, 10_001))
    chance.shuffle(prices)
    for px in prices:
        book.insert(px, False, px, px)
    assert book.self_check() == "" and [px for px, _, _ in book.levels(1 << 20)[1]] == sorted(prices)
    chance.shuffle(prices)
    for px in prices[:9_950]:
        book.remove(px)
    assert book.self_check() == "" and [px for px, _, _ in book.levels(1 << 20)[1]] == sorted(prices[9_950:])
    assert book.memory_bytes < 3_000_000


@pytest.mark.long
def test_a_million_orders_take_less_than_200_megabytes():
    book = L4Book("X", 0)
    book.begin_snapshot()
    for oid in range(1, 1_000_001):
        book.insert(oid, oid % 2 == 0, 100_000 - oid % 5_000 if oid % 2 == 0 else 100_001 + oid % 5_000, 1,
                    user=f"0x{oid % 100_000:040x}", cloid=f"0x{oid:032x}")  # fmt: skip
    assert book.end_block(1, 1) and len(book) == 1_000_000
    assert book.memory_bytes < 200_000_000
    assert book.position(1_000_000).orders_ahead == 199
