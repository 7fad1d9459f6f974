"""TopOfBook beside a model that sorts all it was told and starts anew each time, and beside a market whose truth is known."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade
from hlfast.venues.hyperliquid.scan import Router

Side = list[tuple[int, int]]


class Model:
    """The newest book, and what came since in venue time: trades of a time, then its bbo. No memory is bounded here."""

    def __init__(self) -> None:
        self.book: tuple[int, dict[int, int], dict[int, int]] = (0, {}, {})
        self.bbos: dict[int, tuple[int, int, int]] = {}
        self.trades: dict[int, list[tuple[int, int, bool]]] = {}

    def view(self) -> tuple[Side, Side]:
        at, bids, asks = self.book[0], dict(self.book[1]), dict(self.book[2])
        for time in sorted({*self.bbos, *self.trades}):
            for px, lots, is_buy in self.trades.get(time, ()) if time > at else ():
                hit = asks if is_buy else bids
                for level in [x for x in asks if (x < px if is_buy else x <= px)]:
                    del asks[level]
                for level in [x for x in bids if (x >= px if is_buy else x > px)]:
                    del bids[level]
                if px in hit:
                    hit[px] -= lots
                    if hit[px] <= 0:
                        del hit[px]
            if time in self.bbos and time >= at:
                bid, ask, lots = self.bbos[time]
                bids = {px: n for px, n in bids.items() if bid and px < bid} | ({bid: lots} if bid else {})
                asks = {px: n for px, n in asks.items() if ask and px > ask} | ({ask: lots} if ask else {})
        return sorted(bids.items(), reverse=True), sorted(asks.items())


class Desk:
    """A view and what feeds it; whole prices and sizes."""

    def __init__(self) -> None:
        self.router, self.book, self.bbo = Router(), OrderBook("BTC", 0), Bbo("BTC", 0)
        self.top = TopOfBook("BTC", 0)
        self.router.add_instrument(TradingRule("BTC", sz_decimals=0), self.book, self.bbo)
        self.router.set_top("BTC", self.top)

    def give_book(self, time: int, bids: dict[int, int], asks: dict[int, int]) -> bool:
        taken = self.book.apply_snapshot(bids.items(), asks.items(), time_ms=time)
        if taken:
            self.top.apply_book(self.book)
        return taken

    def give_bbo(self, time: int, bid: Any, ask: Any) -> None:
        sides = ",".join(f'{{"px":"{s[0]}.0","sz":"{s[1]}.0","n":1}}' if s else "null" for s in (bid, ask))
        self.router.feed(f'{{"channel":"bbo","data":{{"coin":"BTC","time":{time},"bbo":[{sides}]}}}}'.encode())

    def give_trade(self, time: int, px: int, lots: int, is_buy: bool, tid: int) -> None:
        self.top.apply_trade(
            Trade(coin="BTC", price=px, amount=lots, sz_decimals=0, is_buy=is_buy, tid=tid, time_ms=time)
        )

    def shown(self) -> tuple[Side, Side]:
        bids, asks = ([(px // 10**8, lots) for px, lots, _ in side] for side in self.top.raw_levels(1000))
        assert not (bids and asks and bids[0][0] >= asks[0][0]), "crossed"
        return bids, asks


levels = st.dictionaries(st.integers(1, 12), st.integers(1, 9), max_size=6)
times = st.integers(1, 30)
inputs = st.one_of(
    st.tuples(st.just("book"), times, st.integers(13, 18), levels, levels),
    st.tuples(st.just("bbo"), times, st.integers(0, 20), st.integers(1, 6), st.integers(1, 9)),
    st.tuples(st.just("trade"), times, st.integers(6, 25), st.integers(0, 9), st.booleans()),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(inputs, max_size=60))
def test_the_view_equals_the_model_in_whatever_order_input_comes(said: list[Any]) -> None:
    # Given a book, and then books, bbos and trades of any times,
    desk, model = Desk(), Model()
    model.book = (1, {14: 3, 13: 4}, {15: 2, 17: 5})
    desk.give_book(*model.book)
    newest_bbo = 0
    for n, (kind, time, *rest) in enumerate(said):
        if kind == "book":
            middle, below, above = rest
            book = (
                time,
                {middle - px: lots for px, lots in below.items()},
                {middle + px: lots for px, lots in above.items()},
            )
            if desk.give_book(*book):
                model.book = book
        elif kind == "bbo" and time >= newest_bbo:
            bid, spread, lots = rest
            ask = bid + spread if spread < 6 else 0
            desk.give_bbo(time, (bid, lots) if bid else None, (ask, lots) if ask else None)
            newest_bbo = time
            if time >= model.book[0]:
                model.bbos[time] = (bid, ask, lots)
        elif kind == "trade":
            px, lots, is_buy = rest
            desk.give_trade(time, px, lots, is_buy, tid=n + 1)
            if time > model.book[0]:
                model.trades.setdefault(time, []).append((px, lots, is_buy))
        # then the view is what sorting it all gives, and is never crossed.
        assert desk.shown() == model.view()


class Market:
    """A book that lives by blocks; `history` has its sides at the end of each."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.bids = {100 - n: self.chance.randint(1, 9) for n in range(1, 9)}
        self.asks = {100 + n: self.chance.randint(1, 9) for n in range(1, 9)}
        self.history: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
        self.tid = 0

    def block(self, time: int) -> list[tuple[str, Any]]:
        """One block's orders; returns its frames as (channel, content)."""
        frames: list[tuple[str, Any]] = []
        for _ in range(self.chance.randint(0, 4)):
            is_buy = self.chance.random() < 0.5
            own, other, sign = (self.bids, self.asks, 1) if is_buy else (self.asks, self.bids, -1)
            best = min(other, key=lambda px: sign * px)
            if self.chance.random() < 0.35:  # takes
                left = self.chance.randint(1, 12)
                while left and len(other) > 2:
                    px = min(other, key=lambda at: sign * at)
                    lots = min(left, other[px])
                    left -= lots
                    other[px] -= lots
                    if not other[px]:
                        del other[px]
                    self.tid += 1
                    frames.append(("trades", (px, lots, is_buy, self.tid)))
            elif self.chance.random() < 0.3 and len(own) > 3:  # a cancel
                del own[self.chance.choice(sorted(own))]
            else:  # rests
                px = best - sign * self.chance.randint(1, 6)
                own[px] = own.get(px, 0) + self.chance.randint(1, 9)
        before = self.history.get(time - 1)
        self.history[time] = dict(self.bids), dict(self.asks)
        if before is None or _top(*before) != _top(self.bids, self.asks):
            frames.append(("bbo", _top(self.bids, self.asks)))
        if time % 9 == 0:
            frames.append(("book", self.history[time]))
        return frames


def _top(bids: dict[int, int], asks: dict[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    return max(bids.items()), min(asks.items())


def deliveries(market: Market, blocks: int) -> list[tuple[str, int, Any]]:
    """(channel, block, content) as they arrive: each channel in its order, and late by up to 20 blocks."""
    rows: list[tuple[int, float, str, int, Any]] = []
    last_due = {"book": 0, "bbo": 0, "trades": 0}
    for time in range(1, blocks + 1):
        for channel, content in market.block(time):
            last_due[channel] = max(last_due[channel], time + market.chance.choice((0, 0, 0, 0, 0, 0, 1, 3, 20)))
            rows.append((last_due[channel], list(last_due).index(channel), channel, time, content))
    return [(channel, time, content) for _, _, channel, time, content in sorted(rows, key=lambda row: row[:2])]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_shown_that_the_market_did_not_have(seed: int) -> None:
    # Given a market, and frames that come late,
    market, desk = Market(seed), Desk()
    newest = {"book": 0, "bbo": 0, "trades": 0}
    traded, left_out = set(), 0
    for channel, time, content in deliveries(market, 1_500):
        newest[channel] = time
        if channel == "book":
            desk.give_book(time, *content)
        elif channel == "bbo":
            desk.give_bbo(time, *content)
        else:
            traded.add(time)
            desk.give_trade(time, *content)
        bids, asks = desk.shown()
        # then each level is one that the market had at the time that the view names for it (less what was traded),
        for side, truth in zip(desk.top.raw_levels(1000), (0, 1), strict=True):
            for px_e8, lots, known_at in side:
                if known_at not in traded:
                    assert market.history[known_at][truth][px_e8 // 10**8] == lots
        # and whenever a bbo or a book is the newest of all, its best prices are the view's.
        known = max(newest["book"], newest["bbo"])
        if known and known >= newest["trades"]:
            assert (bids[0], asks[0]) == _top(*market.history[known])
        left_out += sum(desk.top.left_out)
    assert newest["book"] > 1_400 and desk.top.epoch > 500 and left_out > 1_000
