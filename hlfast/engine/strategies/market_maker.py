"""MarketMaker: a small inventory-aware two-sided quoter (layer 4, warm); what `hlfast demo` runs.

The idea: earn the spread by quoting both sides, and lean against what has been filled, so that the position comes back.
A post-only bid and ask per coin, at the best prices of the others or one tick inside, both shifted against the
inventory; past the limit only the side that reduces it. At most one live order a side and coin: a quote that has to
move is cancelled, and its successor is sent once its end is a fact. Without fresh data or a live account nothing is
quoted, and what rests is cancelled. Integers throughout: `_e8` prices and values in quote currency scaled by 1e8,
fractions scaled by 1e8 as well, `_lots` sizes.

    MarketMaker(coins=("BTC",), quote_value=200, max_position_value=1000)

Risks: who trades with a quote often knows more than the quote (adverse selection), and on a thin spread the maker's fee is
more than it earns; in a trend the position goes to `max_position_value` and stays there, at a loss; a position is not
closed at the end; `max_data_age` bounds how old a price can be that it quotes on, not how far the market can have moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hlfast import clock
from hlfast.core.events import (
    OrderCancelled,
    OrderCompleted,
    OrderCreated,
    OrderEvent,
    OrderExpired,
    OrderFailed,
    StreamStatus,
)
from hlfast.core.fixed import scaled_to_decimal, to_e8
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.engine.parameters import parameter
from hlfast.engine.strategy import Strategy
from hlfast.errors import ConfigError, HlfastError
from hlfast.types import Number, TradeType

ONE_E8 = 100_000_000
CANCEL_AGAIN_NS = 2_000_000_000
"""A cancel without effect is asked for again after this."""
MAX_PAUSE_DOUBLINGS = 5


@dataclass(eq=False)
class _Quote:
    """One side of one coin: the live order, if any, and when the next one may be sent."""

    is_buy: bool
    order: InFlightOrder | None = None
    cancel_sent_ns: int = 0
    not_before_ns: int = 0
    refusals: int = 0


@dataclass(eq=False)
class _Market:
    rule: TradingRule
    book: OrderBook
    bbo: Bbo
    bid: _Quote = field(default_factory=lambda: _Quote(is_buy=True))
    ask: _Quote = field(default_factory=lambda: _Quote(is_buy=False))


@dataclass(kw_only=True, eq=False)
class MarketMaker(Strategy):
    coins: tuple[str, ...] = ("BTC", "ETH")
    timer_interval: float = parameter(0.05, unit="s", above=0)
    order_prefix: str = "hlmm"
    quote_value: Number = parameter(500, unit="quote currency", above=0)
    """Value of one order in quote currency."""
    max_position_value: Number = parameter(5_000, unit="quote currency", above=0)
    """A side is not quoted if its fill could take the position beyond this value."""
    improve_ticks: int = parameter(1, unit="ticks", at_least=0)
    """How far inside the spread to quote where it is wide enough; 0 joins the best price."""
    skew_bps: Number = parameter(2, unit="bps", at_least=0, at_most=1_000)
    """At the full position both quotes are shifted by this against it; in proportion below."""
    requote_bps: Number = parameter("0.2", unit="bps", at_least=0)
    """A quote stays while it is no further than this from where it should be."""
    max_data_age: float = parameter(5.0, unit="s", above=0)
    """Seconds; with older data nothing is quoted."""
    refusal_pause: float = parameter(0.1, unit="s", at_least=0)
    """Seconds before a refused quote is tried again; doubled with each refusal in a row, up to 32 times."""

    def on_start(self) -> None:
        self._quote_value_e8 = to_e8(self.quote_value)
        self._max_value_e8 = to_e8(self.max_position_value)
        self._skew_e8 = to_e8(self.skew_bps) // 10_000
        self._requote_e8 = to_e8(self.requote_bps) // 10_000
        self._max_age_ns = int(self.max_data_age * 1e9)
        self._pause_ns = int(self.refusal_pause * 1e9)
        self._markets: dict[str, _Market] = {}
        for name in self.coins:
            rule = self.connector.resolve(name)
            if self._quote_value_e8 < rule.min_notional_e8 or self._max_value_e8 < self._quote_value_e8:
                raise ConfigError(
                    f"{rule.coin}: quote_value {self.quote_value} must be at least the venue's minimum "
                    f"{rule.min_notional} and at most max_position_value {self.max_position_value}"
                )
            self._markets[rule.coin] = _Market(rule, self.connector.book(rule.coin), self.connector.bbo(rule.coin))
        for order in self.orders:  # an earlier run's; nothing moves them any more
            self.cancel(order)

    # -- what makes it look again -----------------------------------------------------------------------------------
    def on_book(self, book: OrderBook) -> None:
        self._review(self._markets[book.coin])

    def on_bbo(self, bbo: Bbo) -> None:
        self._review(self._markets[bbo.coin])

    def on_stream(self, event: StreamStatus) -> None:
        self.on_timer(event.recv_ns)

    def on_timer(self, now_ns: int) -> None:
        for market in self._markets.values():
            self._review(market)

    def on_order(self, event: OrderEvent) -> None:
        market = self._markets.get(event.coin)
        if market is None:
            return  # of an earlier run, in another coin
        quote = market.bid if event.order.is_buy else market.ask
        if quote.order is not None and quote.order is not event.order:
            return  # of an earlier run
        if isinstance(event, OrderCreated):
            quote.refusals = 0
        elif isinstance(event, OrderFailed):
            quote.order = None
            self._pause(quote)
            self.log.info("%s refused: %s", event.order, event.reason)
        elif isinstance(event, OrderCompleted | OrderCancelled | OrderExpired):
            # The successor waits for the next market data or the timer: news of an order may be ahead of the prices of
            # the same block, and quoting on the old ones was refused one time in five (post-only would have crossed).
            quote.order = None

    # -- where to quote ---------------------------------------------------------------------------------------------
    def targets(self, coin: str) -> tuple[int, int]:
        """Where the bid and the ask of `coin` should be (`_e8`, on the grid); 0 for none."""
        market = self._markets[coin]
        if not self.connector.ready or self._is_old(market):
            return 0, 0
        best_bid, best_ask = _others_best(market, market.bid), _others_best(market, market.ask)
        if not 0 < best_bid < best_ask:
            return 0, 0
        rule = market.rule
        mid = (best_bid + best_ask) // 2
        tick = to_e8(rule.tick_at(scaled_to_decimal(mid, 8)))
        inside = max(0, min(self.improve_ticks, ((best_ask - best_bid) // tick - 1) // 2)) * tick
        value = self.position_lots(coin) * mid // 10**rule.sz_decimals
        limited = max(-self._max_value_e8, min(self._max_value_e8, value))
        shift = -(mid * self._skew_e8 // ONE_E8) * limited // self._max_value_e8
        bid = min(best_bid + inside + shift, best_ask - tick)
        ask = max(best_ask - inside + shift, best_bid + tick)
        return (
            _on_grid(rule, bid, TradeType.BUY) if value + self._quote_value_e8 <= self._max_value_e8 else 0,
            _on_grid(rule, ask, TradeType.SELL) if value - self._quote_value_e8 >= -self._max_value_e8 else 0,
        )

    def _is_old(self, market: _Market) -> bool:
        newest_ns = max(market.book.recv_ns, market.bbo.recv_ns)
        return market.book.is_stale or clock.epoch_ns() - newest_ns > self._max_age_ns

    # -- getting there ----------------------------------------------------------------------------------------------
    def _review(self, market: _Market) -> None:
        if not self.may_trade:
            return  # stopping: the runner cancels
        bid_e8, ask_e8 = self.targets(market.rule.coin)
        self._move(market, market.bid, bid_e8)
        self._move(market, market.ask, ask_e8)

    def _move(self, market: _Market, quote: _Quote, target_e8: int) -> None:
        order = quote.order
        if order is None:
            if target_e8 and clock.epoch_ns() >= quote.not_before_ns and not _would_cross(market, quote, target_e8):
                self._send(market, quote, target_e8)
        elif not target_e8 or abs(target_e8 - order.px_e8) * ONE_E8 > self._requote_e8 * target_e8:
            self._withdraw(quote, order)

    def _send(self, market: _Market, quote: _Quote, px_e8: int) -> None:
        rule = market.rule
        lots = self._quote_value_e8 * 10**rule.sz_decimals // px_e8
        lots -= lots % rule.step_lots
        if lots * px_e8 < rule.min_notional_e8 * 10**rule.sz_decimals:
            lots += rule.step_lots
        verb = self.buy if quote.is_buy else self.sell
        try:
            order = verb(
                rule.coin,
                scaled_to_decimal(lots, rule.sz_decimals),
                scaled_to_decimal(px_e8, 8),
                tif="Alo",
                rounding="passive",
            )
        except HlfastError as error:
            self._pause(quote)
            self.log.info("%s %s not sent: %s", rule.coin, "bid" if quote.is_buy else "ask", error)
            return
        if not order.is_done:  # a send that failed at once has been heard of in on_order
            quote.order = order
            quote.cancel_sent_ns = 0

    def _withdraw(self, quote: _Quote, order: InFlightOrder) -> None:
        now_ns = clock.epoch_ns()
        if now_ns - quote.cancel_sent_ns < CANCEL_AGAIN_NS:
            return
        try:
            if self.cancel(order):
                quote.cancel_sent_ns = now_ns
        except HlfastError as error:
            self.log.info("%s not cancelled yet: %s", order, error)

    def _pause(self, quote: _Quote) -> None:
        doublings = min(quote.refusals, MAX_PAUSE_DOUBLINGS)
        quote.not_before_ns = clock.epoch_ns() + (self._pause_ns << doublings)
        quote.refusals += 1


def _others_best(market: _Market, quote: _Quote) -> int:
    """The best price on the side of `quote` that is not our own order alone, from the newer of bbo and book; 0 if none."""
    book, bbo, own = market.book, market.bbo, quote.order
    if bbo.time_ms >= book.time_ms:
        px, lots = (bbo.bid_px_e8, bbo.bid_lots) if quote.is_buy else (bbo.ask_px_e8, bbo.ask_lots)
    elif quote.is_buy:
        px, lots = book.best_bid_e8, book.best_bid_lots
    else:
        px, lots = book.best_ask_e8, book.best_ask_lots
    if own is None or px != own.px_e8 or lots > own.remaining_lots:
        return px
    for level_px, _, _ in book.levels()[0 if quote.is_buy else 1]:
        if level_px < px if quote.is_buy else level_px > px:
            return level_px
    return 0


def _would_cross(market: _Market, quote: _Quote, px_e8: int) -> bool:
    """Our own order on the other side, perhaps about to be cancelled, still stands in the way."""
    other = (market.ask if quote.is_buy else market.bid).order
    if other is None or other.is_done:  # done without its end told: its last fills are on their way
        return False
    return px_e8 >= other.px_e8 if quote.is_buy else px_e8 <= other.px_e8


def _on_grid(rule: TradingRule, px_e8: int, side: TradeType) -> int:
    return rule.price_e8(scaled_to_decimal(px_e8, 8), side, "passive") if px_e8 > 0 else 0
