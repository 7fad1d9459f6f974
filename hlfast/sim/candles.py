"""Candles of one market of the local exchange (layer 5): of its own trades, at every interval of the venue.

`t` is the open, a multiple of the interval since 1970 (a month's first day for "1M"), `T` the last millisecond. An interval
without a trade has no candle here; the last one is still forming. The newest 5000 of each interval are kept, as the venue
answers no more.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timezone

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
MONTH = "1M"
INTERVALS_MS = {
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    MONTH: 0,
}
KEPT = 5000


class Candle:
    __slots__ = ("close_e8", "end_ms", "high_e8", "lots", "low_e8", "open_e8", "start_ms", "trades")

    def __init__(self, start_ms: int, end_ms: int, px_e8: int) -> None:
        self.start_ms, self.end_ms = start_ms, end_ms
        self.open_e8 = self.high_e8 = self.low_e8 = self.close_e8 = px_e8
        self.lots = self.trades = 0

    def add(self, px_e8: int, lots: int) -> None:
        self.close_e8 = px_e8
        if px_e8 > self.high_e8:
            self.high_e8 = px_e8
        elif px_e8 < self.low_e8:
            self.low_e8 = px_e8
        self.lots += lots
        self.trades += 1


class Candles:
    """All intervals of one market."""

    __slots__ = ("_open", "_series")

    def __init__(self) -> None:
        self._series: dict[str, deque[Candle]] = {}
        self._open: list[tuple[str, int]] = list(INTERVALS_MS.items())

    def add(self, time_ms: int, px_e8: int, lots: int) -> None:
        """A trade. Times do not go back."""
        for interval, ms in self._open:
            series = self._series.get(interval)
            if series is None:
                series = self._series[interval] = deque(maxlen=KEPT)
            candle = series[-1] if series else None
            if candle is None or time_ms > candle.end_ms:
                start_ms, end_ms = (time_ms - time_ms % ms, time_ms - time_ms % ms + ms - 1) if ms else _month(time_ms)
                candle = Candle(start_ms, end_ms, px_e8)
                series.append(candle)
            candle.add(px_e8, lots)

    def of(self, interval: str) -> deque[Candle]:
        """Oldest first."""
        return self._series.get(interval) or deque()


def _month(time_ms: int) -> tuple[int, int]:
    """First and last millisecond of the UTC month."""
    day = datetime.fromtimestamp(time_ms / 1000, timezone.utc)
    first = datetime(day.year, day.month, 1, tzinfo=timezone.utc)
    following = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=timezone.utc)
    return round(first.timestamp() * 1000), round(following.timestamp() * 1000) - 1
