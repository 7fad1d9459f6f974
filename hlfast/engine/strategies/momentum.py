"""Momentum: goes with the public trades when they lean one way and the price goes with them (layer 4, warm).

The idea: who has to buy or sell much splits it into many trades, so a one-sided minute is often followed by another one. In the
last `window` seconds of venue time the sizes bought and sold are summed; where (bought - sold) / all reaches `imbalance` with at
least `min_trades` trades, and the price has moved `min_move_bps` the same way, it takes `trade_value` in that direction. It leaves
after `hold`, at a loss of `stop_bps`, or once the flow leans as much the other way. Own trades are left out of the flow.

    Momentum(coins=("BTC",), window=2.0, imbalance=0.6, trade_value=500)

Parameters: `window`, `hold`, `cooldown`, `max_data_age` in seconds; `min_move_bps`, `stop_bps`, `slippage_bps` in basis points;
`imbalance` a share from 0 to 1; `trade_value` in quote currency.

Risks: it pays the spread and the taker's fee twice, more than most moves are worth; a burst of trades is as often the end of a
move as its beginning; `stop_bps` says when an order is sent, not at which price it fills. It shows how a strategy on trades is
written, and promises no profit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hlfast.core.events import OrderFilled, StreamStatus
from hlfast.core.updates import Trade
from hlfast.engine.parameters import parameter
from hlfast.engine.strategies.taker import Taker, TakerMarket
from hlfast.types import Number

OWN_TRADES = 1_000


class Flow:
    """Public trades of one coin within a window of venue time: sums of sizes, first and last price."""

    def __init__(self, window_ms: int) -> None:
        self.window_ms = window_ms
        self.trades: deque[tuple[int, int, int, int]] = deque()
        """(time_ms, tid, px_e8, lots), lots positive where the buyer took."""
        self.bought = self.sold = 0
        self.newest_ms = 0

    def add(self, trade: Trade) -> None:
        """One that is older than the window is left out; one out of order stands where it came."""
        self.newest_ms = max(self.newest_ms, trade.time_ms)
        self._put(trade.time_ms, trade.tid, trade.px_e8, trade.lots if trade.is_buy else -trade.lots, 1)
        self.expire(self.newest_ms)

    def expire(self, now_ms: int) -> None:
        while self.trades and self.trades[0][0] <= now_ms - self.window_ms:
            self._put(*self.trades.popleft(), -1)

    def drop(self, tid: int) -> None:
        """Leave a trade out that was counted."""
        for at, (time_ms, of, px_e8, lots) in enumerate(self.trades):
            if of == tid:
                del self.trades[at]
                self._put(time_ms, of, px_e8, lots, -1)
                return

    def clear(self) -> None:
        self.trades.clear()
        self.bought = self.sold = 0

    def _put(self, time_ms: int, tid: int, px_e8: int, lots: int, sign: int) -> None:
        if sign > 0:
            self.trades.append((time_ms, tid, px_e8, lots))
        if lots > 0:
            self.bought += sign * lots
        else:
            self.sold -= sign * lots

    @property
    def imbalance(self) -> float:
        """From -1 (all sold) to 1 (all bought)."""
        whole = self.bought + self.sold
        return (self.bought - self.sold) / whole if whole else 0.0

    @property
    def move_bps(self) -> float:
        """Of the price, from the first trade of the window to the last."""
        if not self.trades:
            return 0.0
        first, last = self.trades[0][2], self.trades[-1][2]
        return (last - first) * 10_000 / first


@dataclass(kw_only=True, eq=False)
class Momentum(Taker):
    coins: tuple[str, ...] = ("BTC",)
    order_prefix: str = "hlmom"
    window: float = parameter(2.0, unit="s", above=0, at_most=3600)
    """Of the venue's time over which trades count."""
    imbalance: float = parameter(0.6, above=0, at_most=1)
    """(bought - sold) / all, by size, from which on it goes along."""
    min_trades: int = parameter(5, at_least=1)
    """Fewer in the window say nothing."""
    min_move_bps: Number = parameter(1, unit="bps", at_least=0)
    """The price has to have moved so far the same way."""

    def on_start(self) -> None:
        super().on_start()
        self.flows = {coin: Flow(int(self.window * 1000)) for coin in self.markets}
        self._own: deque[int] = deque(maxlen=OWN_TRADES)

    def on_trade(self, trade: Trade) -> None:
        market, flow = self.markets[trade.coin], self.flows[trade.coin]
        if trade.tid in self._own:
            return
        flow.add(trade)
        direction = self.direction(market)
        if not direction:
            return
        if self.may_begin(market):
            self.begin(market, direction > 0)
        else:
            self.look_after(market)

    def direction(self, market: TakerMarket) -> int:
        """1 to buy, -1 to sell, 0 for nothing. The window ends at the newest time that is known: a new subscription begins with
        trades of long ago."""
        flow = self.flows[market.rule.coin]
        flow.expire(max(flow.newest_ms, market.touch[2]))
        if len(flow.trades) < self.min_trades or abs(flow.imbalance) < self.imbalance:
            return 0
        direction = 1 if flow.imbalance > 0 else -1
        return direction if direction * flow.move_bps >= float(self.min_move_bps) else 0

    def wants_out(self, market: TakerMarket, is_long: bool) -> bool:
        return self.direction(market) == (-1 if is_long else 1)

    def on_fill(self, event: OrderFilled) -> None:
        super().on_fill(event)
        self._own.append(event.fill.tid)
        if (flow := self.flows.get(event.coin)) is not None:
            flow.drop(event.fill.tid)

    def on_stream(self, event: StreamStatus) -> None:
        """Trades of a gap are missing: the window begins anew."""
        if event.stream == "market" and event.state != "LIVE":
            for flow in self.flows.values():
                flow.clear()
