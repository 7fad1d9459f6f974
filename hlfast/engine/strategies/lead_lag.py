"""LeadLag: when one instrument has moved and another, which follows it, has not yet (layer 4, warm).

The idea: news reach the larger market first. Over the last `lookback` ms the leader's middle price has gone by so much, the
follower's by so much; where beta x leader - follower reaches `threshold_bps`, it takes `trade_value` of the follower in the
leader's direction, and leaves after `hold`, at a loss of `stop_bps`, or once the difference is gone.

    LeadLag(coins=("BTC", "ETH"), lookback_ms=500, threshold_bps=4)         # the first leads, the second follows

Both moves are read at the same moments of *venue* time, not when frames came: each instrument keeps its prices by the time of
its block, and both are looked up at the newest time that both have reached. It does not trade where the newest prices of the two
are further apart than `max_skew_ms`, where one has no price that old or a hole of more than `max_hole_ms` in between, on prices
older than `max_data_age`, on a stale book, or after a gap until both windows are full again.

Parameters: `lookback_ms`, `max_skew_ms`, `max_hole_ms` in ms of venue time; `hold`, `cooldown`, `max_data_age` in seconds;
`threshold_bps`, `stop_bps`, `slippage_bps` in basis points; `beta` a factor; `trade_value` in quote currency.

Risks: what looks like a lag is often a price that means something else; others are faster; the follower's spread and two taker
fees cost more than a small difference; the position is in one leg only, so it is a bet on the follower and no hedge.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hlfast.core.events import Recovered, StreamStatus
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.engine.parameters import parameter
from hlfast.engine.strategies.taker import Taker, TakerMarket
from hlfast.errors import ConfigError
from hlfast.types import Number


class Prices:
    """Middle prices (doubled, `_e8`) of one instrument by venue time, for `span_ms`; a hole starts it anew."""

    def __init__(self, span_ms: int, max_hole_ms: int) -> None:
        self.span_ms, self.max_hole_ms = span_ms, max_hole_ms
        self.samples: deque[tuple[int, int]] = deque()

    def add(self, time_ms: int, twice_mid_e8: int) -> None:
        """One that is older than the newest is left out; one of the same time replaces it."""
        samples = self.samples
        if samples:
            newest = samples[-1][0]
            if time_ms < newest:
                return
            if time_ms == newest:
                samples.pop()
            elif time_ms - newest > self.max_hole_ms:
                samples.clear()
        samples.append((time_ms, twice_mid_e8))
        while len(samples) > 1 and samples[1][0] <= time_ms - self.span_ms:
            samples.popleft()  # the one at or before the span's begin stays

    def at(self, time_ms: int) -> int:
        """The newest price at or before `time_ms`; 0 if there is none."""
        for sample_ms, price in reversed(self.samples):
            if sample_ms <= time_ms:
                return price
        return 0

    @property
    def newest_ms(self) -> int:
        return self.samples[-1][0] if self.samples else 0


@dataclass(kw_only=True, eq=False)
class LeadLag(Taker):
    coins: tuple[str, ...] = ("BTC", "ETH")
    order_prefix: str = "hllag"
    lookback_ms: int = parameter(500, unit="ms", above=0, at_most=600_000)
    """The moves of both are over this much venue time."""
    threshold_bps: Number = parameter(4, unit="bps", above=0)
    """beta x the leader's move less the follower's, from which on it trades."""
    beta: float = parameter(1.0, above=0)
    """How far the follower usually goes when the leader goes 1."""
    max_skew_ms: int = parameter(200, unit="ms", at_least=0)
    """The newest prices of the two may be so far apart."""
    max_hole_ms: int = parameter(2_000, unit="ms", above=0)
    """A longer silence of one starts its window anew."""

    def on_start(self) -> None:
        if len(self.coins) != 2:
            raise ConfigError(
                f"LeadLag.coins: got {list(self.coins)}, expected two: the one that leads, then the one that follows; give for "
                'example coins = ["BTC", "ETH"]'
            )
        super().on_start()
        if len(self.markets) != 2:
            raise ConfigError(f"LeadLag.coins: {list(self.coins)} are the same instrument; give two different ones")
        self.leader, self.follower = self.markets.values()
        span_ms = self.lookback_ms + self.max_skew_ms
        self.prices = {coin: Prices(span_ms, self.max_hole_ms) for coin in self.markets}
        self.skewed = 0
        """How often the two were too far apart to compare."""

    # -- what makes it look -----------------------------------------------------------------------------------------
    def on_book(self, book: OrderBook) -> None:
        self._note(self.markets[book.coin])

    def on_bbo(self, bbo: Bbo) -> None:
        self._note(self.markets[bbo.coin])

    def _note(self, market: TakerMarket) -> None:
        bid, ask, time_ms = market.touch
        if market.book.is_stale or not 0 < bid < ask:
            return
        self.prices[market.rule.coin].add(time_ms, bid + ask)
        if self.may_begin(self.follower) and self.is_fresh(self.leader):
            gap = self.gap_bps()
            if gap is not None and abs(gap) >= float(self.threshold_bps):
                self.begin(self.follower, gap > 0)
        elif market is self.follower:
            self.look_after(market)

    def gap_bps(self) -> float | None:
        """beta x the leader's move less the follower's, over the same venue time. None where the two cannot be compared."""
        leader, follower = (self.prices[market.rule.coin] for market in (self.leader, self.follower))
        now_ms = min(leader.newest_ms, follower.newest_ms)
        if max(leader.newest_ms, follower.newest_ms) - now_ms > self.max_skew_ms:
            self.skewed += 1
            return None
        moves = []
        for prices in (leader, follower):
            then, now = prices.at(now_ms - self.lookback_ms), prices.at(now_ms)
            if not then or not now:
                return None
            moves.append((now - then) * 10_000 / then)
        return self.beta * moves[0] - moves[1]

    def wants_out(self, market: TakerMarket, is_long: bool) -> bool:
        """The follower has caught up."""
        gap = self.gap_bps()
        return gap is not None and (gap <= 0 if is_long else gap >= 0)

    def look_after(self, market: TakerMarket) -> None:
        if market is self.follower:
            super().look_after(market)

    # -- what makes the past worthless ------------------------------------------------------------------------------
    def on_stream(self, event: StreamStatus) -> None:
        if event.stream == "market" and event.state in ("DOWN", "CONNECTING"):
            self.forget_prices()

    def on_recovered(self, event: Recovered) -> None:
        self.forget_prices()

    def forget_prices(self) -> None:
        """Both windows have to fill again before anything is compared."""
        for prices in self.prices.values():
            prices.samples.clear()
