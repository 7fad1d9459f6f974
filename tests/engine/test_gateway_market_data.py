"""The gateway's market data: trades, books, deltas and checkpoints, by the contract's examples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hlfast import clock
from hlfast.core.events import StreamStatus
from hlfast.core.updates import Trade
from hlfast.engine.gateway_market_data import MarketDataPublisher
from hlfast.engine.gateway_settings import Feed, GatewaySettings

BIDS = [("83758", "0.5"), ("83757", "20.11305"), ("83756", "4.2")]
ASKS = [("83759", "3.75"), ("83760", "1.5"), ("83762", "0.8")]


class Told:
    def __init__(self) -> None:
        self.frames: list[list[bytes]] = []

    def __call__(self, frames: list[bytes]) -> None:
        self.frames.append(frames)

    @property
    def topics(self) -> list[str]:
        return [topic.decode() for topic, _ in self.frames]

    @property
    def last(self) -> dict[str, Any]:
        return json.loads(self.frames[-1][1])


@pytest.fixture
def opened(connector):
    def open_(symbol: str = "BTC-USDC-PERP", feed: Any = None, **options: Any) -> Any:
        trades, books = Told(), Told()
        made = MarketDataPublisher(connector, trades, books, **options)
        made.start((feed or Feed((symbol,)),), lambda name: connector.rules[name.split("-")[0]])
        return made, trades, books

    return open_


def test_with_an_empty_side_what_needs_it_is_null_and_no_window_moves(connector, opened):
    """Contract 11.2, 12: never a constant in place of a value."""
    _, _, books = opened()
    connector.quote("BTC", BIDS, ASKS)
    before = books.last
    connector.quote("BTC", BIDS, [])
    told = books.last
    empty = ("best_ask_price", "best_ask_size", "midpoint", "relative_spread", "breadth", "imbalance_lvl1")
    assert told["best_bid_price"] == 83758.0 and [told[key] for key in empty] == [None] * len(empty)
    assert told["ask_depth_n"] == 0.0 and told["bid_depth_n"] == before["bid_depth_n"] > 0
    assert told["window_size"] == before["window_size"] == 1
    connector.quote("BTC", BIDS, ASKS)
    assert books.last["window_size"] == 2 and books.last["ofi_rolling"] == 0.0  # no event over the gap


def test_a_refused_book_is_counted_and_windows_and_deltas_begin_anew(connector, opened):
    """Contract 11.2, 11.3 (must not 35): a crossed frame is not published; the next message is a checkpoint."""
    made, _, books = opened(deltas=True, with_snapshots=True, checkpoint_every_ms=10_000_000)
    connector.quote("BTC", BIDS, ASKS)
    connector.quote("BTC", BIDS, ASKS[1:])
    assert books.last["window_size"] == 2
    seen = len(books.frames)
    book = connector.books["BTC"]
    assert not book.apply_snapshot([("83770", "1")], ASKS, time_ms=book.time_ms + 1) and book.is_stale
    connector.quote("BTC", BIDS, ASKS)
    assert [topic.split("-")[1] for topic in books.topics[seen:]] == ["preprocessed_book_ckpt", "preprocessed_book"]
    assert books.last["window_size"] == 1 and made.refused_books == 1


def test_a_reconnect_restarts_both_windows(connector, opened):
    """Contract 11.2."""
    _, trades, books = opened()
    trade = Trade(coin="BTC", price="83769", amount="0.0048", sz_decimals=5, is_buy=False, tid=1, time_ms=1)
    for handler in connector.handlers[("trade", "BTC")]:
        handler(trade)
    connector.quote("BTC", BIDS, ASKS)
    connector.bus.emit(StreamStatus(stream="market", state="DOWN", reason="cut", recv_ns=clock.epoch_ns()))
    connector.quote("BTC", BIDS, ASKS)
    later = Trade(coin="BTC", price="83770", amount="0.0048", sz_decimals=5, is_buy=False, tid=2, time_ms=2)
    for handler in connector.handlers[("trade", "BTC")]:
        handler(later)
    assert books.last["window_size"] == 1 and trades.last["window_size"] == 1


def test_a_replayed_trade_is_told_once_and_marked(connector, opened):
    """Contract 11.1, 14 (19): what the venue repeats on subscribing; every element of an array is a message."""
    _, trades, _ = opened()
    old, new = clock.wall_clock_ms() - 60_000, clock.wall_clock_ms() + 1_000
    for time_ms, tid in ((old, 1), (old, 2), (old, 1), (new, 3), (new, 4)):
        trade = Trade(coin="BTC", price="83769", amount="0.0048", sz_decimals=5, is_buy=False, tid=tid, time_ms=time_ms)
        for handler in connector.handlers[("trade", "BTC")]:
            handler(trade)
    told = [json.loads(payload) for _, payload in trades.frames]
    assert [(one["trade_id"], one.get("replay")) for one in told] == [
        ("1", True),
        ("2", True),
        ("3", None),
        ("4", None),
    ]
    assert [one["seq"] for one in told] == [1, 2, 3, 4]


def test_deltas_turn_the_last_checkpoint_into_the_book(connector, opened):
    """Contract 11.3: the example's delta and checkpoint, and the consumer's rule."""
    _, _, books = opened(deltas=True, checkpoint_every_ms=10_000_000)
    connector.quote("BTC", BIDS, ASKS)
    assert books.topics == ["HYPERLIQUID-preprocessed_book_ckpt-BTC-USDC-PERP"] and books.last["seq"] == 1
    connector.quote("BTC", [("83758", "0.75"), ("83757", "20.11305")], [("83759", "3.5"), *ASKS[1:]])
    assert books.topics[1:] == ["HYPERLIQUID-preprocessed_book_delta-BTC-USDC-PERP"]
    receipt = books.last["receipt_timestamp_ns"]
    assert books.frames[-1][1].decode() == (
        f'{{"symbol":"BTC-USDC-PERP","exchange":"HYPERLIQUID","receipt_timestamp_ns":{receipt},"seq":2,'
        '"side":[0,0,1],"px":[83756.0,83758.0,83759.0],"sz":[0.0,0.75,3.5]}'
    )
    connector.quote("BTC", [("83758", "0.75"), ("83757", "20.11305")], [("83759", "3.5"), *ASKS[1:]])
    assert len(books.frames) == 2  # no change, no message
    connector.bus.emit(StreamStatus(stream="market", state="DOWN", reason="cut", recv_ns=clock.epoch_ns()))
    connector.quote("BTC", [("83758", "0.75"), ("83757", "20.11305")], ASKS)
    receipt = books.last["receipt_timestamp_ns"]
    assert books.frames[-1][1].decode() == (
        f'{{"symbol":"BTC-USDC-PERP","exchange":"HYPERLIQUID","receipt_timestamp_ns":{receipt},"seq":3,'
        '"bid_px":[83758.0,83757.0],"bid_sz":[0.75,20.11305],"ask_px":[83759.0,83760.0,83762.0],"ask_sz":[3.75,1.5,0.8]}'
    )


def test_a_consumer_that_follows_the_rule_has_the_book(connector, opened):
    """Contract 11.3: random books, each rebuilt from checkpoint and deltas alone."""
    import random

    _, _, books = opened(deltas=True, depth_levels=4, checkpoint_every_ms=10_000_000)
    draw = random.Random(3)
    sides: list[dict[float, float]] = [{}, {}]
    for _ in range(200):
        mid = draw.randrange(60_000, 60_010)
        bids = sorted(draw.sample(range(mid - 8, mid), draw.randrange(7)), reverse=True)
        asks = sorted(draw.sample(range(mid + 1, mid + 9), draw.randrange(7)))
        given = [[(str(px), f"0.{draw.randrange(1, 4)}") for px in side] for side in (bids, asks)]
        seen = len(books.frames)
        connector.quote("BTC", given[0], given[1])
        for topic, payload in books.frames[seen:]:
            message = json.loads(payload)
            if b"_ckpt-" in topic:
                sides = [dict(zip(message[f"{s}_px"], message[f"{s}_sz"], strict=True)) for s in ("bid", "ask")]
                continue
            for side, px, sz in zip(message["side"], message["px"], message["sz"], strict=True):
                sides[side].pop(px, None)
                if sz:
                    sides[side][px] = sz
        wanted = [{float(px): float(sz) for px, sz in side[:4]} for side in given]
        assert sides == wanted


def test_books_come_no_more_often_than_asked_for(connector, opened):
    """Contract 13: snapshot_interval."""
    _, _, books = opened(feed=Feed(("BTC",), snapshot_interval=1_000))
    for _ in range(3):
        connector.quote("BTC", BIDS, ASKS)
    assert len(books.frames) == 1


async def test_market_data_of_a_running_exchange_arrives(open_desk):
    """Contract 11, end to end: numbers count per symbol, each trade once."""
    desk = await open_desk(GatewaySettings(feeds=(Feed(("BTC-PERP",)),)))
    topic = "HYPERLIQUID-preprocessed_book-BTC-PERP"
    desk.exchange.engine.house.set_book("BTC", bids=[("64000", "1")], asks=[("64100", "2")])
    book = await desk.until(lambda: [m for m in desk.of(topic) if m["best_ask_price"] == 64100])
    assert book[0]["bids"] == [[64000, 1]] and book[0]["symbol"] == "BTC-PERP"
    desk.exchange.engine.house.take("BTC", "buy", "0.5")
    (trade,) = await desk.until(
        lambda: [m for m in desk.of("HYPERLIQUID-preprocessed_trades-BTC-PERP") if m["side"] == "buy"]
    )
    assert (trade["price"], str(trade["amount"])) == (64100, "0.5") and "replay" not in trade
    seqs = [m["seq"] for m in desk.of(topic)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
