"""TopOfBook: what each part says of the top, which of them counts, and what is left out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade, TradeUpdate
from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.scan import Router

BIDS = [(100, 5), (99, 6), (98, 7)]
ASKS = [(101, 1), (102, 2), (103, 3)]


class Desk:
    """A router that fills a book and a bbo of BTC and merges them; `changes` has the best prices at each call."""

    def __init__(self) -> None:
        self.router, self.book, self.bbo = Router(), OrderBook("BTC", 2), Bbo("BTC", 2)
        self.top = TopOfBook("BTC", 2)
        self.changes: list[tuple[Any, Any]] = []
        self.router.add_instrument(TradingRule("BTC", sz_decimals=2), self.book, self.bbo)
        self.router.set_top("BTC", self.top, [lambda top: self.changes.append((top.best_bid, top.best_ask))])

    def give_book(self, time_ms: int, bids: Any = BIDS, asks: Any = ASKS) -> None:
        levels = ",".join(
            "[" + ",".join(f'{{"px":"{px}.0","sz":"{sz}.0","n":1}}' for px, sz in side) + "]" for side in (bids, asks)
        )
        self.feed(f'{{"channel":"l2Book","data":{{"coin":"BTC","time":{time_ms},"levels":[{levels}]}}}}')

    def give_bbo(self, time_ms: int, *sides: tuple[int, int] | None) -> None:
        levels = ",".join("null" if s is None else f'{{"px":"{s[0]}.0","sz":"{s[1]}.0","n":1}}' for s in sides)
        self.feed(f'{{"channel":"bbo","data":{{"coin":"BTC","time":{time_ms},"bbo":[{levels}]}}}}')

    def give_trade(self, time_ms: int, side: str, px: int, sz: str, tid: int = 1) -> None:
        self.feed(
            f'{{"channel":"trades","data":[{{"coin":"BTC","side":"{side}","px":"{px}.0","sz":"{sz}","time":{time_ms},'
            f'"hash":"0x0","tid":{tid},"users":["0xa","0xb"]}}]}}'
        )

    def feed(self, frame: str) -> None:
        self.router.feed(frame.encode(), 7)

    def asks(self) -> list[tuple[Any, Any]]:
        return self.top.levels()[1]

    def bids(self) -> list[tuple[Any, Any]]:
        return self.top.levels()[0]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.give_book(10)
    return desk


def test_a_newer_bbo_replaces_the_best_level_and_leaves_out_what_it_passed(desk):
    # Given a book of time 10, when a bbo of time 11 has an ask behind the book's first two,
    desk.give_bbo(11, (100, 4), (103, 9))
    # then those two are left out, sizes are the bbo's where it has any, and the view says what it left out.
    assert desk.bids() == [(100, 4), (99, 6), (98, 7)]
    assert desk.asks() == [(103, 9)]
    assert desk.top.left_out == (0, 2)
    assert (desk.top.bid_source, desk.top.ask_source) == ("bbo", "bbo")
    assert desk.top.times_ms == {"book": 10, "bbo": 11, "trades": None}
    assert desk.changes == [(100, 101), (100, 103)]


def test_what_a_bbo_passed_does_not_come_back_with_the_next_one(desk):
    # Given a bbo that shows everything below 103 gone, when liquidity comes back at 101,
    desk.give_bbo(11, (100, 4), (103, 9))
    desk.give_bbo(12, (100, 4), (101, 2))
    # then 102 is still not shown: nothing says that it is there again.
    assert desk.asks() == [(101, 2), (103, 9)]
    assert desk.top.raw_levels()[1][1] == (103 * 10**8, 900, 11)
    # A newer book knows.
    desk.give_book(13)
    assert desk.asks() == ASKS and desk.top.left_out == (0, 0) and desk.top.ask_source == "book"


def test_the_view_is_not_crossed_by_the_older_side(desk):
    # Given old bids up to 100, when the bbo has moved below them,
    desk.give_bbo(11, (97, 1), (98, 1))
    # then every old bid is gone.
    assert desk.bids() == [(97, 1)] and desk.asks()[0] == (98, 1)
    assert desk.top.left_out == (3, 0)
    assert desk.asks()[1:] == ASKS


def test_venue_time_decides_and_not_arrival(desk):
    # Given a bbo of time 20, when a book of time 15 comes after it,
    desk.give_bbo(20, (100, 4), (102, 9))
    desk.give_book(15, bids=[(100, 1), (97, 1)], asks=[(101, 4), (102, 1), (104, 8)])
    # then the bbo still has the top, over the depth of the new book.
    assert desk.bids() == [(100, 4), (97, 1)] and desk.asks() == [(102, 9), (104, 8)]
    # and a bbo older than the book is dropped.
    desk.give_book(30)
    desk.give_bbo(25, (90, 1), (91, 1))
    assert (desk.bids(), desk.asks()) == (BIDS, ASKS) and desk.top.older_count == 1


def test_at_the_same_time_the_bbo_counts_whichever_comes_first():
    for book_first in (True, False):
        desk = Desk()
        steps = [
            lambda d: d.give_book(10, bids=[(99, 50)], asks=[(103, 50)]),
            lambda d: d.give_bbo(10, (100, 1), (102, 1)),
        ]
        for step in steps if book_first else reversed(steps):
            step(desk)
        assert (desk.bids(), desk.asks()) == ([(100, 1), (99, 50)], [(102, 1), (103, 50)])


def test_an_empty_side_of_a_bbo_empties_it(desk):
    desk.give_bbo(11, None, (101, 3))
    assert desk.bids() == [] and desk.top.best_bid is None and desk.top.mid is None and desk.top.microprice is None
    assert desk.top.bid_source == "" and not desk.top.is_valid
    assert desk.changes[-1] == (None, 101)


def test_a_trade_takes_size_passes_levels_and_proves_the_other_side(desk):
    # When a buyer takes half a lot unit of the best ask,
    desk.give_trade(11, "B", 101, "0.5")
    # then that is missing there.
    assert desk.asks()[0] == (101, Decimal("0.5")) and desk.top.ask_source == "trade"
    # When one goes through to 103,
    desk.give_trade(12, "B", 103, "1.0", tid=2)
    assert desk.asks() == [(103, 2)] and desk.top.left_out == (0, 2)
    # When a seller hits 99, asks are all above it and bids above it are gone.
    desk.give_trade(13, "A", 99, "6.0", tid=3)
    assert desk.bids() == [(98, 7)] and desk.asks() == [(103, 2)]
    # When a buyer lifts an ask at 98, no bid is left at 98 or above.
    desk.give_trade(14, "B", 98, "1.0", tid=4)
    assert desk.bids() == []
    assert desk.top.times_ms["trades"] == 14


def test_a_trade_that_a_newer_part_contains_changes_nothing(desk):
    desk.give_bbo(11, (100, 4), (101, 9))
    desk.give_trade(11, "B", 101, "1.0")
    assert desk.asks()[0] == (101, 9), "the bbo says what the trades of its block left"
    desk.give_trade(10, "B", 103, "1.0", tid=2)
    assert desk.asks()[1:] == ASKS[1:]
    # But deeper levels, of the older book, were passed by a trade of the bbo's block.
    desk.give_trade(11, "B", 103, "1.0", tid=3)
    assert desk.asks() == [(101, 9), (103, 2)]


def test_an_own_fill_and_its_public_trade_count_once(desk):
    # Given an own taker fill, when the public trade of the same match follows, or a replay of it,
    fill = TradeUpdate(coin="BTC", tid=77, price=101, amount="0.25", sz_decimals=2, is_buy=True, time_ms=11)
    assert desk.top.apply_fill(fill)
    for _ in range(2):
        desk.give_trade(11, "B", 101, "0.25", tid=77)
    # then its size is taken once.
    assert desk.asks()[0] == (101, Decimal("0.75"))
    # An own maker fill is the other side's trade.
    maker = TradeUpdate(coin="BTC", tid=78, price=100, amount=1, sz_decimals=2, is_buy=True, is_taker=False, time_ms=12)
    assert desk.top.apply_fill(maker)
    assert desk.bids()[0] == (100, 4)


def test_a_trade_without_an_id_takes_no_size(desk):
    """A replay of it could not be told from a second one."""
    desk.give_trade(11, "B", 102, "1.0", tid=0)
    assert desk.asks() == [(102, 2), (103, 3)]


def test_after_a_gap_nothing_older_is_shown(desk):
    # Given a gap, when only a bbo has come after it,
    desk.top.mark_stale("reconnected")
    assert desk.top.is_stale and not desk.top.is_valid and desk.top.stale_reason == "reconnected"
    desk.give_trade(11, "B", 103, "1.0")
    assert desk.asks() == ASKS, "a trade alone says too little"
    desk.give_bbo(12, (100, 4), (101, 9))
    # then there is a top without depth; the next book brings it.
    assert (desk.bids(), desk.asks()) == ([(100, 4)], [(101, 9)]) and desk.top.is_valid
    desk.give_book(13)
    assert desk.asks() == ASKS


def test_mid_microprice_and_spread(desk):
    desk.give_bbo(11, (100, 3), (101, 1))
    assert (desk.top.mid, desk.top.spread) == (Decimal("100.5"), 1)
    assert desk.top.microprice == Decimal("100.75")
    assert (desk.top.best_bid_e8, desk.top.best_bid_lots) == (100 * 10**8, 300)
    assert (desk.top.best_ask_size, desk.top.best_ask_lots) == (1, 100)


def test_every_part_has_its_age(desk):
    assert desk.top.ages["bbo"] is None and desk.top.ages["trades"] is None
    first = desk.top.ages["book"]
    assert first > 0 and desk.top.ages["book"] >= first
    assert desk.top.time_ms == 10


def test_handlers_hear_changes_of_the_top_only(desk):
    # Given a view, when frames confirm it or change what lies deeper,
    heard = len(desk.changes)
    desk.give_bbo(11, (100, 5), (101, 1))
    desk.give_book(12, bids=[(100, 5), (97, 1)])
    # then nobody is called; a new size at the best price is a change.
    assert len(desk.changes) == heard
    desk.give_bbo(13, (100, 6), (101, 1))
    assert len(desk.changes) == heard + 1


def test_more_events_than_are_remembered_are_folded_in():
    """Memory is fixed: 5,000 bbos without a book between them, then a book that is too old, then one that is not."""
    desk = Desk()
    desk.give_book(10)
    for n in range(5000):
        desk.give_bbo(11 + n, (50, n + 1), (1000 - n % 900, n + 1))
    assert desk.asks()[0] == (1000 - 4999 % 900, 5000) and desk.bids()[0] == (50, 5000)
    desk.give_book(2000)
    assert desk.top.book_time_ms == 10 and desk.top.older_count == 1
    desk.give_book(5500, bids=[(49, 1)], asks=[(1001, 1)])
    assert desk.asks() == [(1001, 1)] and desk.bids() == [(49, 1)]


def test_what_belongs_to_another_instrument_is_refused():
    top = TopOfBook("BTC", 2)
    for give in (
        lambda: top.apply_book(OrderBook("ETH", 2)),
        lambda: top.apply_bbo(Bbo("BTC", 3)),
        lambda: top.apply_trade(Trade(coin="ETH", price=1, amount=1, sz_decimals=2, is_buy=True)),
    ):
        with pytest.raises(ConfigError):
            give()


def test_a_crossed_book_is_not_taken():
    book, top = OrderBook("BTC", 2), TopOfBook("BTC", 2)
    book.apply_snapshot([(102, 1)], [(101, 1)], time_ms=5)
    assert not top.apply_book(book) and top.best_bid is None and top.is_stale
