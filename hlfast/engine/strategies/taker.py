"""Taker: what strategies have in common that take a small position, hold it for a while, and take it back (layer 4, warm).

One order at a time a coin, always Ioc with a limit `slippage_bps` through the best price, so nothing ever rests. Nothing is sent
on prices older than `max_data_age`, on a stale book or while the account is not live. A position ends after `hold` seconds, at a
loss of `stop_bps` on the middle price, when `wants_out` says so, and (with `flatten`) when the strategy
stops. What says when
to begin is a strategy derived from this. Integers: `_e8` prices and values in quote currency, `_lots` sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hlfast import clock
from hlfast.core.events import OrderCancelled, OrderCompleted, OrderEvent, OrderExpired, OrderFailed, OrderFilled
from hlfast.core.fixed import scaled_to_decimal, to_e8
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.engine.parameters import parameter
from hlfast.engine.strategy import Strategy
from hlfast.errors import ConfigError, HlfastError
from hlfast.types import Number, TradeType

CLOSE_TRIES = 5
"""At the stop."""


@dataclass(eq=False)
class TakerMarket:
    """One coin: its views, the order under way, since when a position is held, and when the next may begin."""

    rule: TradingRule
    book: OrderBook
    bbo: Bbo
    order: InFlightOrder | None = None
    held_since_ns: int = 0
    not_before_ns: int = 0
    entries: int = field(default=0)

    @property
    def touch(self) -> tuple[int, int, int]:
        """Best bid and ask (`_e8`, 0 for none) and their venue time in ms, of the newer of bbo and book."""
        book, bbo = self.book, self.bbo
        if bbo.time_ms >= book.time_ms:
            return bbo.bid_px_e8, bbo.ask_px_e8, bbo.time_ms
        return book.best_bid_e8, book.best_ask_e8, book.time_ms


@dataclass(kw_only=True, eq=False)
class Taker(Strategy):
    timer_interval: float = parameter(0.1, unit="s", above=0)
    trade_value: Number = parameter(500, unit="quote currency", above=0)
    """Value of a position when it is opened."""
    slippage_bps: Number = parameter(5, unit="bps", at_least=0, at_most=500)
    """How far through the best price an order may take."""
    hold: float = parameter(5.0, unit="s", above=0)
    """A position is closed after this."""
    stop_bps: Number = parameter(20, unit="bps", above=0)
    """A position is closed at this loss, by the middle price."""
    cooldown: float = parameter(2.0, unit="s", at_least=0)
    """After a position, or a refused order, nothing new begins for so long."""
    max_data_age: float = parameter(2.0, unit="s", above=0)
    """With older prices nothing is sent."""
    flatten: bool = True
    """Close the positions when the strategy stops."""

    def on_start(self) -> None:
        self.trade_value_e8 = to_e8(self.trade_value)
        self.markets: dict[str, TakerMarket] = {}
        for name in self.coins:
            rule = self.connector.resolve(name)
            if self.trade_value_e8 < rule.min_notional_e8:
                raise ConfigError(
                    f"{type(self).__name__}.trade_value: got {self.trade_value}, expected at least {rule.coin}'s minimum of "
                    f"{rule.min_notional}; give for example trade_value={2 * rule.min_notional}"
                )
            self.markets[rule.coin] = TakerMarket(rule, self.connector.book(rule.coin), self.connector.bbo(rule.coin))

    # -- for the strategy to say ------------------------------------------------------------------------------------
    def wants_out(self, market: TakerMarket, is_long: bool) -> bool:
        """The reason for the position is gone."""
        return False

    # -- what ends a position ---------------------------------------------------------------------------------------
    def on_timer(self, now_ns: int) -> None:
        for market in self.markets.values():
            self.look_after(market)

    def look_after(self, market: TakerMarket) -> None:
        """Close what is to be closed. Prices that are not fresh close nothing: they would say nothing of the loss."""
        lots = self.position_lots(market.rule.coin)
        if not lots or market.order is not None or not self.may_trade or not self.is_fresh(market):
            return
        now_ns = clock.epoch_ns()
        if now_ns < market.not_before_ns:
            return
        bid, ask, _ = market.touch
        position = self.position(market.rule.coin)
        assert position is not None
        entry_e8 = int(position.entry_price * 100_000_000)
        loss_e8 = entry_e8 - (bid + ask) // 2 if lots > 0 else (bid + ask) // 2 - entry_e8
        if (
            now_ns - market.held_since_ns > int(self.hold * 1e9)
            or loss_e8 * 10_000 > entry_e8 * float(self.stop_bps)
            or self.wants_out(market, lots > 0)
        ):
            self.close(market)

    async def on_stop(self) -> None:
        """What is under way ends, then what is held is closed, again while it fills in part. Given up where prices are not fresh."""
        for market in self.markets.values() if self.flatten else ():
            for _ in range(CLOSE_TRIES):
                if market.order is not None:
                    await market.order.done()
                if not self.position_lots(market.rule.coin):
                    break
                if not self.is_fresh(market) or not self.close(market):
                    self.log.warning(
                        "%s is not closed: its prices are not fresh, or the order was refused", market.rule.coin
                    )
                    break

    # -- orders -----------------------------------------------------------------------------------------------------
    def is_fresh(self, market: TakerMarket) -> bool:
        """Both best prices are known, not crossed, and young enough."""
        bid, ask, _ = market.touch
        newest_ns = max(market.book.recv_ns, market.bbo.recv_ns)
        return (
            0 < bid < ask
            and self.connector.ready
            and not market.book.is_stale
            and clock.epoch_ns() - newest_ns <= int(self.max_data_age * 1e9)
        )

    def may_begin(self, market: TakerMarket) -> bool:
        """Flat, nothing under way, past the cooldown, on fresh prices."""
        return (
            self.may_trade
            and market.order is None
            and not self.position_lots(market.rule.coin)
            and clock.epoch_ns() >= market.not_before_ns
            and self.is_fresh(market)
        )

    def begin(self, market: TakerMarket, is_buy: bool) -> bool:
        """Take `trade_value`; True if an order was sent. Call it where `may_begin`."""
        px_e8 = self._limit(market, is_buy)
        rule = market.rule
        lots = self.trade_value_e8 * 10**rule.sz_decimals // px_e8
        lots -= lots % rule.step_lots
        if lots * px_e8 < rule.min_notional_e8 * 10**rule.sz_decimals:
            lots += rule.step_lots
        sent = self._take(market, is_buy, lots, px_e8, False)
        market.entries += sent
        return sent

    def close(self, market: TakerMarket) -> bool:
        """Take the own position back. Reduce-only where the account's covers it, which frees a small rest of the minimum value."""
        coin = market.rule.coin
        lots = self.position_lots(coin)
        account = self.connector.positions.get(coin)
        of_account = account.signed_lots if account is not None else 0
        covered = of_account >= lots if lots > 0 else of_account <= lots
        return self._take(market, lots < 0, abs(lots), self._limit(market, lots < 0), covered)

    def _limit(self, market: TakerMarket, is_buy: bool) -> int:
        bid, ask, _ = market.touch
        best = ask if is_buy else bid
        through = int(best * float(self.slippage_bps) / 10_000)
        side = TradeType.BUY if is_buy else TradeType.SELL
        return market.rule.price_e8(scaled_to_decimal(best + through if is_buy else best - through, 8), side, "passive")

    def _take(self, market: TakerMarket, is_buy: bool, lots: int, px_e8: int, reduce_only: bool) -> bool:
        rule = market.rule
        verb = self.buy if is_buy else self.sell
        size, price = scaled_to_decimal(lots, rule.sz_decimals), scaled_to_decimal(px_e8, 8)
        try:
            order = verb(rule.coin, size, price, tif="Ioc", reduce_only=reduce_only)
        except HlfastError as error:
            self._pause(market)
            self.log.info("%s not sent: %s", rule.coin, error)
            return False
        if not order.is_done:  # one that failed at once has been heard of in on_order
            market.order = order
        return True

    def _pause(self, market: TakerMarket) -> None:
        market.not_before_ns = clock.epoch_ns() + int(self.cooldown * 1e9)

    # -- news -------------------------------------------------------------------------------------------------------
    def on_order(self, event: OrderEvent) -> None:
        market = self.markets.get(event.coin)
        if market is None or (market.order is not None and market.order is not event.order):
            return
        if isinstance(event, OrderFailed):
            self._pause(market)
        if isinstance(event, OrderCompleted | OrderCancelled | OrderFailed | OrderExpired):
            market.order = None

    def on_fill(self, event: OrderFilled) -> None:
        market = self.markets.get(event.coin)
        if market is None:
            return
        if not self.position_lots(event.coin):
            market.held_since_ns = 0
            self._pause(market)
        elif not market.held_since_ns:
            market.held_since_ns = event.recv_ns
