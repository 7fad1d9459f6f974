"""What the gateway derives from books and trades, as its messages carry it (layer 4): exact values, and statistics.

Prices and values are exact decimals; ratios, deviations and order flow are shortest round-trip doubles. The windows are
`hlfast.core.features`; here are only the keys and their order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from hlfast.core.features import BookFeatures, TradeFeatures
from hlfast.core.fixed import EXACT
from hlfast.core.order_book import OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import Trade
from hlfast.engine.gateway_text import number, price, size


def _exact(value: Decimal | None) -> orjson.Fragment | None:
    return None if value is None else number(value)


def _statistic(value: float | None) -> orjson.Fragment | None:
    return None if value is None else orjson.Fragment(repr(value))


class InstrumentFeatures:
    """One instrument's windows. Arguments as in the settings: samples of a window, levels a side, kind of order flow."""

    def __init__(self, rule: TradingRule, *, window_size: int = 20, depth_levels: int = 10, ofi: str = "cks") -> None:
        self._book = BookFeatures(rule.coin, rule.sz_decimals, depth=depth_levels, samples=window_size, ofi=ofi)
        self._trades = TradeFeatures(rule.coin, rule.sz_decimals, samples=window_size)

    def restart(self) -> None:
        """There was a gap: both windows begin anew."""
        self._book.restart()
        self._trades.restart()

    def restart_book(self) -> None:
        self._book.restart()

    def on_trade(self, trade: Trade) -> dict[str, Any]:
        """A trade that is older than the newest one moves no window; its own price and volume are told all the same."""
        self._trades.update(trade)
        return {
            "transaction_price": price(trade.px_e8),
            "trading_volume": number(EXACT.multiply(trade.price, trade.amount)),
            "volatility_transaction_price": _statistic(self._trades.volatility_transaction_price),
            "window_size": self._trades.window_size,
        }

    def on_book(self, book: OrderBook) -> dict[str, Any]:
        """Where a side is empty, what needs it is None and no window moves."""
        derived, decimals = self._book, book.sz_decimals
        has_bid, has_ask = book.best_bid_e8 != 0, book.best_ask_e8 != 0
        found: dict[str, Any] = {
            "best_bid_price": price(book.best_bid_e8) if has_bid else None,
            "best_bid_size": size(book.best_bid_lots, decimals) if has_bid else None,
            "best_ask_price": price(book.best_ask_e8) if has_ask else None,
            "best_ask_size": size(book.best_ask_lots, decimals) if has_ask else None,
        }
        if not derived.update(book):
            return found
        return found | {
            "midpoint": _exact(derived.midpoint),
            "relative_spread": _statistic(derived.relative_spread),
            "breadth": _exact(derived.breadth),
            "imbalance_lvl1": _statistic(derived.imbalance_lvl1),
            "bid_depth_n": _exact(derived.bid_depth_n),
            "ask_depth_n": _exact(derived.ask_depth_n),
            "depth_n": _exact(derived.depth_n),
            "volatility_mid": _statistic(derived.volatility_mid),
            "ofi_rolling": _statistic(derived.ofi_rolling),
            "ofi_method": derived.ofi_method,
            "window_size": derived.window_size,
        }
