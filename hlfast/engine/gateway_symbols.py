"""What an instrument may be called in a gateway's messages, and what it is called in its answers (layer 4, cold).

One table, built from the venue's own list: exact names first, then without case where exactly one instrument fits.
No suffix is cut and nothing is upper-cased, so `kPEPE` and `xyz:NVDA` stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError

QUOTES = ("USD", "USDC", "USDT")
"""Of a perpetual: all of them mean its collateral."""


class SymbolTable:
    """Names → rules. `resolve` raises `ConfigError` for a name that is unknown, ambiguous or a contradiction."""

    def __init__(self, rules: Iterable[TradingRule]) -> None:
        self._names: dict[str, dict[str, list[TradingRule]]] = {"perpetual": {}, "spot": {}}
        self._folded: dict[str, dict[str, list[TradingRule]]] = {"perpetual": {}, "spot": {}}
        self._canonical: dict[str, str] = {}
        self._explicit: dict[str, str] = {}
        pairs: dict[str, int] = {}
        rules = list(rules)
        for rule in rules:
            if not rule.is_perpetual:
                pairs[rule.trading_pair] = pairs.get(rule.trading_pair, 0) + 1
        for rule in rules:
            if rule.is_perpetual:
                self._perpetual(rule)
            else:
                self._spot(rule, pairs[rule.trading_pair] > 1)

    def _perpetual(self, rule: TradingRule) -> None:
        coin = rule.coin
        self._canonical[coin] = f"{coin}-{rule.collateral}-PERP"
        explicit = [f"{coin}-PERP"]
        for quote in dict.fromkeys((rule.collateral, *QUOTES)):
            explicit += [f"{coin}-{quote}-PERP", f"{coin}/{quote}:{quote}"]
            for pair in (f"{coin}-{quote}", f"{coin}/{quote}", f"{coin}{quote}"):
                self._add("perpetual", pair, rule)
        for name in (coin, *explicit):
            self._add("perpetual", name, rule)
            self._explicit[name.casefold()] = "perpetual"

    def _spot(self, rule: TradingRule, collides: bool) -> None:
        base, _, quote = rule.trading_pair.partition("/")
        self._canonical[rule.coin] = rule.coin if collides else f"{base}-{quote}"
        if rule.coin.startswith("@"):
            self._explicit[rule.coin] = "spot"
        for name in dict.fromkeys((rule.coin, f"{base}/{quote}", f"{base}-{quote}", f"{base}{quote}")):
            self._add("spot", name, rule)

    def _add(self, product: str, name: str, rule: TradingRule) -> None:
        for table, key in ((self._names, name), (self._folded, name.casefold())):
            found = table[product].setdefault(key, [])
            if rule not in found:
                found.append(rule)

    def canonical(self, coin: str) -> str:
        """The name in answers: `BTC-USDC-PERP`, `HYPE-USDC`, or `@n` where token names collide."""
        return self._canonical.get(coin, coin)

    def resolve(self, name: str, product: str | None) -> TradingRule:
        """`product`: "perpetual", "spot" or None. Raises `ConfigError`."""
        explicit = self._explicit.get(name) or self._explicit.get(name.casefold())
        if explicit is not None and product is not None and explicit != product and not self._names[product].get(name):
            raise ConfigError(f"{name!r} names a {explicit} instrument, and product_type says {product}")
        wanted = product or explicit or ("spot" if "/" in name else "perpetual")
        for table, key in ((self._names, name), (self._folded, name.casefold())):
            found = table[wanted].get(key, [])
            if len(found) == 1:
                return found[0]
            if found:
                raise ConfigError(f"{name!r} stands for {len(found)} instruments; give the venue's own name")
        raise ConfigError(f"no {wanted} instrument is called {name!r}")
