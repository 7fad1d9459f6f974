"""Candles: of the exchange's own trades, at every interval, by query and by stream."""

from __future__ import annotations

from typing import Any

import pytest

from hlfast.sim.candles import INTERVALS_MS, KEPT, Candles
from hlfast.sim.info import BadQuery, Info
from hlfast.sim.shapes import Malformed
from hlfast.venues.hyperliquid.endpoints import QUERIES

from .desk import ALICE, BOB, Desk, Floor, wire

ETH = 1
DAY_MS = 86_400_000


def snapshot(desk: Desk, interval: str, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    request = {"coin": "ETH", "interval": interval, "startTime": start, **more}
    return Info(desk.exchange).answer({"type": "candleSnapshot", "req": request})


def trade(desk: Desk, px: str, sz: str) -> None:
    desk.order(BOB, ETH, "sell", px, sz)
    desk.order(ALICE, ETH, "buy", px, sz, "Ioc")


def test_every_interval_of_the_protocol_is_kept() -> None:
    (kind,) = [field.kind for field in QUERIES["candleSnapshot"].body.fields if field.name == "interval"]
    assert set(kind.values) == set(INTERVALS_MS)


def test_a_candle_is_what_its_trades_were(desk: Desk) -> None:
    """Given four trades in one minute and one in the next, then two candles of a minute and one of the longer intervals."""
    start = desk.now_ms = desk.now_ms - desk.now_ms % DAY_MS + DAY_MS
    for px, sz in (("3500", "1"), ("3520", "0.5"), ("3490", "2"), ("3510", "0.25")):
        trade(desk, px, sz)
    desk.now_ms += 60_000
    trade(desk, "3505", "1")
    first, last = snapshot(desk, "1m")
    assert first == {
        "t": start, "T": start + 59_999, "s": "ETH", "i": "1m",
        "o": "3500.0", "c": "3510.0", "h": "3520.0", "l": "3490.0", "v": "3.75", "n": 4,
    }  # fmt: skip
    assert (last["t"], last["o"], last["n"]) == (start + 60_000, "3505.0", 1)
    for interval in set(INTERVALS_MS) - {"1m"}:
        (whole,) = snapshot(desk, interval)
        assert (whole["o"], whole["c"], whole["h"], whole["l"], whole["v"], whole["n"]) == (
            "3500.0", "3505.0", "3520.0", "3490.0", "4.75", 5,
        ), interval  # fmt: skip
    assert snapshot(desk, "1m", last["t"]) == [last] and snapshot(desk, "1m", endTime=start + 1) == [first]
    assert snapshot(desk, "1m", start + 600_000) == []


def test_months_are_the_calendars() -> None:
    candles = Candles()
    for day in (0, 30, 31, 59, 60, 400):
        candles.add(1_704_067_200_000 + day * DAY_MS, 10**8, 1)  # 2024-01-01
    months = candles.of("1M")
    assert [(each.start_ms - 1_704_067_200_000) // DAY_MS for each in months] == [0, 31, 60, 397]
    assert (months[0].end_ms + 1 - months[0].start_ms) // DAY_MS == 31 and months[0].trades == 2


def test_only_the_newest_are_kept() -> None:
    candles = Candles()
    for minute in range(KEPT + 10):
        candles.add(minute * 60_000, 10**8, 1)
    assert len(candles.of("1m")) == KEPT and candles.of("1m")[0].start_ms == 600_000
    assert sum(each.trades for each in candles.of("1h")) == KEPT + 10


def test_nonsense_is_answered_as_the_venue_does(desk: Desk) -> None:
    info = Info(desk.exchange)
    with pytest.raises(BadQuery):
        info.answer({"type": "candleSnapshot", "req": {"coin": "NOPE", "interval": "1m", "startTime": 0}})
    with pytest.raises(Malformed):
        info.answer({"type": "candleSnapshot", "req": {"coin": "ETH", "interval": "7m", "startTime": 0}})
    assert snapshot(desk, "1m") == [], "nothing traded yet"


async def test_the_stream_tells_each_change(floor: Floor) -> None:
    """Given a subscription, then a frame for each block that traded, the same as the query's last row."""
    alice, bob = await floor.connected(), await floor.connected(BOB)
    assert await alice.subscribe("candle", coin="ETH", interval="15m")
    for sz in ("0.1", "0.2"):
        await bob.place(wire(ETH, "sell", "3500", sz))
        await alice.place(wire(ETH, "buy", "3500", sz, "Ioc"))
    request = {"coin": "ETH", "interval": "15m", "startTime": 0}
    (row,) = await alice.http("/info", {"type": "candleSnapshot", "req": request})
    frames = [frame for frame in alice.frames if '"channel":"candle"' in frame]
    assert len(frames) == 2 and f'"v":"{row["v"]}"' in frames[-1] and row["v"] == "0.3"
