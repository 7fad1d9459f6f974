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


class Given:
    """Stands in for what derives values: the examples' figures."""

    restarts = 0

    def on_trade(self, trade: Trade) -> dict[str, Any]:
        return {
            "transaction_price": 83769.0, "trading_volume": 402.0912, "volatility_transaction_price": 0.4714045207910317,
            "window_size": 3,
        }  # fmt: skip

    def on_book(self, book: Any) -> dict[str, Any]:
        return {
            "best_bid_price": 83758.0, "best_bid_size": 0.5, "best_ask_price": 83759.0, "best_ask_size": 3.75,
            "midpoint": 83758.5, "relative_spread": 1.1939086779252255e-05, "breadth": 355975.25,
            "imbalance_lvl1": -0.7647058823529411, "bid_depth_n": 2078262.92885, "ask_depth_n": 506745.85,
            "depth_n": 2585008.77885, "volatility_mid": 0.4714045207910317, "ofi_rolling": -0.99992, "ofi_method": "cks",
            "window_size": 3,
        }  # fmt: skip

    def restart(self) -> None:
        self.restarts += 1


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
    def open_(symbol: str = "BTC-USDC-PERP", features: Any = None, feed: Any = None, **options: Any) -> Any:
        trades, books = Told(), Told()
        more = {} if features is None else {"features": lambda symbol: features}
        made = MarketDataPublisher(connector, trades, books, **options, **more)
        made.start((feed or Feed((symbol,)),), lambda name: name.split("-")[0])
        return made, trades, books

    return open_


def test_a_trade_has_the_contracts_bytes(connector, opened):
    """Contract 11.1, the example, but for number and clock."""
    _, trades, _ = opened(features=Given())
    trade = Trade(
        coin="BTC", price="83769", amount="0.0048", sz_decimals=5, is_buy=False, tid=784469253141982,
        time_ms=1790358606027, recv_ns=1790358606061000000,
    )  # fmt: skip
    for handler in connector.handlers[("trade", "BTC")]:
        handler(trade)
        handler(trade)  # the venue repeats itself after a reconnect
    ((topic, payload),) = trades.frames
    assert topic == b"HYPERLIQUID-preprocessed_trades-BTC-USDC-PERP"
    message = json.loads(payload)
    replay = ',"replay":true' if "replay" in message else ""
    assert payload.decode() == (
        '{"receipt_timestamp_ns":1790358606061000000,"exchange_timestamp_ns":1790358606027000000,"symbol":"BTC-USDC-PERP",'
        '"exchange":"HYPERLIQUID","price":83769.0,"amount":0.0048,"side":"sell","trade_id":"784469253141982",'
        '"transaction_price":83769.0,"trading_volume":402.0912,"volatility_transaction_price":0.4714045207910317,'
        f'"window_size":3,"seq":1,"schema_version":1,"preprocessing_timestamp":"{message["preprocessing_timestamp"]}"{replay}}}'
    )


def test_a_book_has_the_contracts_bytes(connector, opened):
    """Contract 11.2, the example, but for number and clocks."""
    _, _, books = opened(features=Given())
    connector.quote("BTC", BIDS, ASKS)
    ((topic, payload),) = books.frames
    assert topic == b"HYPERLIQUID-preprocessed_book-BTC-USDC-PERP"
    m = json.loads(payload)
    assert payload.decode() == (
        f'{{"receipt_timestamp_ns":{m["receipt_timestamp_ns"]},"exchange_timestamp_ns":{m["exchange_timestamp_ns"]},'
        '"symbol":"BTC-USDC-PERP","exchange":"HYPERLIQUID","seq":1,"best_bid_price":83758.0,"best_bid_size":0.5,'
        '"best_ask_price":83759.0,"best_ask_size":3.75,"midpoint":83758.5,"relative_spread":0.000011939086779252255,'
        '"breadth":355975.25,"imbalance_lvl1":-0.7647058823529411,"bid_depth_n":2078262.92885,"ask_depth_n":506745.85,'
        '"depth_n":2585008.77885,"volatility_mid":0.4714045207910317,"ofi_rolling":-0.99992,"ofi_method":"cks",'
        f'"window_size":3,"schema_version":1,"preprocessing_timestamp":"{m["preprocessing_timestamp"]}",'
        '"bids":[[83758.0,0.5],[83757.0,20.11305],[83756.0,4.2]],"asks":[[83759.0,3.75],[83760.0,1.5],[83762.0,0.8]]}'
    ).replace("0.000011939086779252255", _double(payload, "relative_spread"))


def _double(payload: bytes, key: str) -> str:
    """A statistic is a shortest round-trip double; how its exponent is written is the writer's."""
    text = payload.decode().split(f'"{key}":')[1].split(",")[0]
    assert float(text) == 1.1939086779252255e-05
    return text


def test_without_derived_values_their_keys_are_left_out(connector, opened):
    """Contract 12: never a constant in place of a value."""
    _, _, books = opened()
    connector.quote("BTC", BIDS, [])
    assert books.last["best_bid_price"] == 83758.0 and books.last["best_ask_price"] is None
    assert "midpoint" not in books.last and "ofi_rolling" not in books.last


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
