"""RateOracle: conversion rates, set by the caller. Nothing is fetched; without a rate a fee in another token is an error."""

from __future__ import annotations

from decimal import Decimal


class RateOracle:
    _shared: RateOracle | None = None

    def __init__(self) -> None:
        self._prices: dict[str, Decimal] = {}

    @classmethod
    def get_instance(cls) -> RateOracle:
        if cls._shared is None:
            cls._shared = cls()
        return cls._shared

    def set_price(self, pair: str, price: Decimal) -> None:
        """One BASE of `pair` (`BASE-QUOTE`) is worth `price` QUOTE."""
        self._prices[pair] = price

    def get_pair_rate(self, pair: str) -> Decimal | None:
        """The rate of a pair, from its own or its inverse's price; 1 for a token against itself; None if not known."""
        base, _, quote = pair.partition("-")
        if base == quote:
            return Decimal(1)
        found = self._prices.get(pair)
        if found is None and (inverse := self._prices.get(f"{quote}-{base}")):
            found = Decimal(1) / inverse
        return found
