"""The background traders: one seed is one sequence, books are deep, and quotes near the touch are filled."""

from __future__ import annotations

from typing import Any

from hlfast.sim import Exchange
from hlfast.sim.execution import Ticket

from .desk import ALICE, START_MS

THIRTY_SECONDS = 30_000 // 70


def tape(exchange: Exchange, blocks: int) -> list[Any]:
    """Every public trade and the touch of every market, block by block."""
    seen: list[Any] = []
    for number in range(blocks):
        block = exchange.run_block(START_MS + number * 70)
        seen.append([(t["px"], t["sz"], t["side"], t["tid"]) for trades in block.trades.values() for t in trades])
        seen.append([book.bbo() for book in exchange.execution.by_coin.values()])
    return seen


def test_one_seed_gives_one_sequence_block_by_block() -> None:
    first, again, other = (tape(Exchange(seed=seed), 150) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    trades = [trade for block in first[::2] for trade in block]
    buys = sum(1 for trade in trades if trade[2] == "B")
    assert len(trades) > 300 and 0.3 < buys / len(trades) < 0.7


def test_other_peoples_orders_do_not_change_what_the_background_wants() -> None:
    """Fair prices and takes are drawn alike whether or not somebody quotes."""
    alone, crowded = Exchange(seed=7), Exchange(seed=7)
    assert alone.traders and crowded.traders
    for number in range(100):
        alone.run_block(START_MS + number * 70)
        account = crowded.accounts[ALICE.address]
        for street in crowded.traders.streets:
            best = street.book.bids.best
            if best is not None:
                crowded.execution.place(account, Ticket(street.book.market, True, best.px_e8, 10, "Alo"))
        crowded.run_block(START_MS + number * 70)
        wishes = [
            [(street.temper.coin, street.fair_e8, street.take) for street in exchange.traders.streets]
            for exchange in (alone, crowded)
            if exchange.traders
        ]
        assert wishes[0] == wishes[1]


def test_books_are_twenty_levels_deep_and_never_crossed() -> None:
    """Given 300 blocks, then every traded market has about 20 levels a side, and a bid below its ask."""
    exchange = Exchange(seed=7)
    for number in range(300):
        exchange.run_block(START_MS + number * 70)
        for book in exchange.execution.books.values():
            if book.bids.best and book.asks.best:
                assert book.bids.best.px_e8 < book.asks.best.px_e8
    exchange.assert_conserved()
    for book in exchange.execution.books.values():
        expected = 0 if book.market.is_delisted or book.market.is_outcome else 15  # nobody trades outcomes unasked
        assert min(len(book.bids), len(book.asks)) >= expected
        assert abs(book.mark_e8 / book.market.start_px_e8 - 1) <= 0.11


def quote(exchange: Exchange, number: int, away: int, every: int) -> None:
    """Alice quotes both sides of BTC and ETH `away` ticks from the touch, anew every so many blocks."""
    account = exchange.accounts[ALICE.address]
    if number % every:
        return
    for order in list(account.open.values()):
        exchange.execution.cancel(order)
    for coin, lots in (("BTC", 100), ("ETH", 200)):
        book = exchange.execution.by_coin[coin]
        bid, ask = book.bids.best, book.asks.best
        assert bid is not None and ask is not None
        tick_e8 = book.market.tick_e8(bid.px_e8)
        for is_buy, px_e8 in ((True, bid.px_e8 - away * tick_e8), (False, ask.px_e8 + away * tick_e8)):
            exchange.execution.place(account, Ticket(book.market, is_buy, px_e8, lots, "Alo"))


def test_a_two_sided_quoter_at_the_touch_is_filled_far_more_than_fifty_times_in_thirty_seconds() -> None:
    """The demo's need: more than 50 fills in 30 s on the default seed, at the touch and some ticks behind it."""
    for away, every, least in ((0, 3, 150), (0, 10, 75), (3, 10, 50)):
        exchange = Exchange(seed=7)
        for number in range(THIRTY_SECONDS):
            exchange.run_block(START_MS + number * 70)
            quote(exchange, number, away, every)
        exchange.assert_conserved()
        fills = exchange.accounts[ALICE.address].fills
        assert len(fills) > least, (away, every)
        assert {fill["coin"] for fill in fills} == {"BTC", "ETH"}
        assert {fill["side"] for fill in fills} == {"A", "B"}


def test_stale_quotes_are_picked_off() -> None:
    """An order that the fair price has left behind is taken by the arbitrageur: adverse selection, as in life."""
    exchange = Exchange(seed=7)
    exchange.run_block(START_MS)
    account, book = exchange.accounts[ALICE.address], exchange.execution.by_coin["BTC"]
    exchange.execution.place(account, Ticket(book.market, False, 64_900 * 10**8, 5_000_000, "Gtc"))
    exchange.run_block(START_MS + 70)
    assert account.open == {} or next(iter(account.open.values())).filled_lots
    for number in range(2, 200):
        exchange.run_block(START_MS + number * 70)
    assert account.open == {}


def test_the_background_costs_little_enough_for_seventy_millisecond_blocks() -> None:
    """Counted work, not time: some dozens of order operations a block on average."""
    exchange = Exchange(seed=7)
    for number in range(200):
        exchange.run_block(START_MS + number * 70)
    counters = exchange.execution.counters
    assert (counters["orders"] + counters["cancels"] + counters["trades"]) / 200 < 200


def test_house_accounts_cannot_be_used_by_anybody() -> None:
    exchange = Exchange(seed=7)
    assert exchange.traders
    for account in (*exchange.traders.makers, exchange.traders.taker, exchange.traders.arbitrageur):
        assert account.is_house and not account.orders and not account.fills
