"""A gateway request's numbers on the instrument's grid (layer 4, cold): never to the sender's disadvantage, or refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hlfast.core.fixed import scaled_to_decimal
from hlfast.core.trading_rule import TradingRule
from hlfast.engine.gateway_envelope import Refused
from hlfast.errors import RangeError
from hlfast.types import TradeType

STOP_CAP_BPS = 1_000
"""A stop without a price is capped this far beyond its trigger, as the venue's own interface does it."""


class Grid:
    """A request's numbers on the instrument's grid. `is_adjusted`: one of them is not what was asked for."""

    def __init__(self, rule: TradingRule, is_strict: bool) -> None:
        self._rule, self._is_strict = rule, is_strict
        self.is_adjusted = False

    def _fit(self, given: Decimal, fit: Callable[[str], int], mode: str, decimals: int, raw: str) -> Decimal:
        try:
            value = scaled_to_decimal(fit("refuse" if self._is_strict else mode), decimals)
        except RangeError as error:
            raise Refused(raw, str(error)) from None
        self.is_adjusted = self.is_adjusted or value != given
        return value

    def price(self, given: Decimal, is_buy: bool) -> Decimal:
        """Never worse for the sender: down for a buy, up for a sell."""
        side = TradeType.BUY if is_buy else TradeType.SELL
        return self._fit(given, lambda mode: self._rule.price_e8(given, side, mode), "passive", 8, "parameter_error")

    def trigger(self, given: Decimal) -> Decimal:
        return self._fit(given, lambda mode: self._rule.price_e8(given, None, mode), "nearest", 8, "parameter_error")

    def cap(self, trigger: Decimal, is_buy: bool) -> Decimal:
        """The worst price of a stop that names none."""
        far = trigger * (10_000 + (STOP_CAP_BPS if is_buy else -STOP_CAP_BPS)) / 10_000
        side = TradeType.BUY if is_buy else TradeType.SELL
        return scaled_to_decimal(self._rule.price_e8(far, side, "passive"), 8)

    def size(self, given: Decimal) -> Decimal:
        step = self._rule.step_size
        if given < step and not self._is_strict:
            raise Refused("size_too_small", f"size {given} is less than the step {step} of {self._rule.coin}")
        return self._fit(
            given, lambda mode: self._rule.lots(given, mode), "passive", self._rule.sz_decimals, "invalid_size"
        )
