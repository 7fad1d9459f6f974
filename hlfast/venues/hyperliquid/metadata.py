"""The venue's instruments as trading rules, and the one resolver of their names (layer 2, cold).

    metadata = Metadata.from_json(meta, spot_meta)           # answers of /info `meta` and `spotMeta`
    metadata = Metadata.from_json(meta, spot_meta, {"xyz": (1, xyz_meta)}, outcome_meta)    # builder dexs, outcomes
    metadata.resolve("BTC"), metadata.resolve("HYPE/USDC"), metadata.resolve("@107"), metadata.resolve(10107)
    metadata.skipped                                         # what could not be read, one line each

Asset ids: a perp's is its raw position in the universe (delisted rows keep theirs), a spot pair's is 10000 plus its
`index` field, which is not its position; a builder dex's perp is 100000 + 10000 x the dex's place in `perpDexs` + its own
position; an outcome's side is 100000000 + 10 x outcome + side. Ids and names differ between networks, so nothing is
remembered across them. Outcomes have a name and an id and no rule: the protocol does not fix their grids.
A row that cannot be read, or whose name and id do not agree, is skipped and reported, and never stops the start: a
name resolves to the right market or to none (G18). Rules come from the rows alone, never from prices.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError, RangeError

SPOT_OFFSET = 10_000
BUILDER_OFFSET = 100_000
"""Ids from here on belong to builder dexs."""
DEX_STEP = 10_000
OUTCOME_OFFSET = 100_000_000
MIN_NOTIONAL = "10"
"""The least value of an order, in the quote token."""
ISOLATED_MODES = ("strictIsolated", "noCross")

T = TypeVar("T")


class SizeDecimals(NamedTuple):
    """How many decimals a size has; a guess is for display only and never used to send."""

    decimals: int
    is_guess: bool


def guessed_size_decimals(coin: str) -> SizeDecimals:
    """What to show with before the instruments are loaded: 5 for BTC, 4 for ETH, 3 for others."""
    return SizeDecimals({"BTC": 5, "ETH": 4}.get(coin, 3), True)


class _Unreadable(Exception):
    """Why a row is skipped."""


class OutcomeSide(NamedTuple):
    """One side of an outcome market: its wire coin (`#<10 x outcome + side>`), its id, and what it is called."""

    coin: str
    asset: int
    outcome: int
    side: int
    name: str
    quote: str


class _Token(NamedTuple):
    name: str
    sz_decimals: int


class Metadata:
    """Rules by wire coin (`rules`), reports of what was left out (`skipped`), and the ways to name an instrument."""

    def __init__(
        self,
        rules: list[TradingRule],
        tokens: dict[str, tuple[str, str]],
        skipped: list[str],
        dexs: Mapping[str, int] | None = None,
        outcomes: Iterable[OutcomeSide] = (),
    ) -> None:
        self.dexs: dict[str, int] = dict(dexs or {})
        """Builder dexs that are loaded, with their place among all dexs."""
        self.outcomes: dict[str, OutcomeSide] = {each.coin: each for each in outcomes}
        self.rules: dict[str, TradingRule] = {rule.coin: rule for rule in rules}
        self.skipped: list[str] = skipped
        self._tokens = tokens
        self._by_asset: dict[int, TradingRule] = {rule.asset: rule for rule in rules}
        self._by_pair: dict[str, list[TradingRule]] = {}
        for rule in rules:
            self._by_pair.setdefault(rule.trading_pair, []).append(rule)

    @classmethod
    def from_json(
        cls,
        meta: Any,
        spot_meta: Any,
        dexs: Mapping[str, tuple[int, Any]] | None = None,
        outcome_meta: Any = None,
    ) -> Metadata:
        """Read the answers of `meta` (main dex) and `spotMeta`, and those of builder dexs with their place in `perpDexs`.

        Never raises for what they contain: see `skipped`.
        """
        skipped: list[str] = []
        tokens = _tokens(spot_meta, skipped)
        collateral = _collateral(meta, tokens, skipped)
        rules: list[TradingRule] = []
        pairs: dict[str, tuple[str, str]] = {}

        def perp(position: int, row: dict[str, Any]) -> None:
            rules.append(_perp_rule(position, row, collateral))

        def of_dex(dex: str, index: int, answer: Any) -> None:
            unit = _collateral(answer, tokens, skipped)

            def row_of_dex(position: int, row: dict[str, Any]) -> None:
                rules.append(_perp_rule(position, row, unit, dex, index))

            _each_row(f"dex {dex!r}", answer, "universe", row_of_dex, skipped)

        def spot(position: int, row: dict[str, Any]) -> None:
            rule, pair = _spot_rule(row, tokens)
            rules.append(rule)
            pairs[rule.coin] = pair

        _each_row("perp", meta, "universe", perp, skipped)
        _each_row("spot", spot_meta, "universe", spot, skipped)
        for dex, (index, answer) in (dexs or {}).items():
            of_dex(dex, index, answer)
        outcomes = _outcomes(outcome_meta, skipped) if outcome_meta is not None else []
        repeated = _repeated(rules)
        for rule in rules:
            if rule.coin in repeated or rule.asset in repeated:
                skipped.append(f"{rule.coin!r} (asset {rule.asset}): another row has the same name or id")
        rules = [rule for rule in rules if rule.coin not in repeated and rule.asset not in repeated]
        kept = {rule.coin: pairs[rule.coin] for rule in rules if rule.coin in pairs}
        return cls(rules, kept, skipped, {dex: index for dex, (index, _) in (dexs or {}).items()}, outcomes)

    # -- the one resolver -------------------------------------------------------------------------------------------
    def resolve(self, name: str | int) -> TradingRule:
        """The rule of a wire coin ("BTC", "@107"), a human name ("HYPE/USDC", "BTC-USD") or an asset id (int or digits).

        Raises `ConfigError` for a name that is unknown (with the nearest ones) or that stands for several instruments.
        """
        if isinstance(name, int) and not isinstance(name, bool):
            return self.by_asset(name)
        if not isinstance(name, str):
            raise ConfigError(f"an instrument is named by text or by its asset id, got {type(name).__name__}")
        found = self.rules.get(name)
        if name.isascii() and name.isdigit():
            if found is None:
                return self.by_asset(int(name))
            if int(name) != found.asset and int(name) in self._by_asset:
                other = self._by_asset[int(name)]
                raise ConfigError(
                    f"{name!r} is the name of {_shown(found)} and the id of {_shown(other)}; give the id as an int"
                )
        if found is not None:
            return found
        pair = self._by_pair.get(name, [])
        if len(pair) == 1:
            return pair[0]
        if pair:
            raise ConfigError(
                f"{name!r} stands for {len(pair)} instruments: {', '.join(map(_shown, pair))}; give the wire name or the id"
            )
        raise ConfigError(self._unknown(name))

    def by_asset(self, asset: int) -> TradingRule:
        """The rule of an asset id, or `ConfigError`."""
        found = self._by_asset.get(asset)
        if found is None:
            raise ConfigError(f"no instrument has the asset id {asset}; {self._where(asset)}")
        return found

    def _where(self, asset: int) -> str:
        """Which list an id would stand in."""
        if asset >= OUTCOME_OFFSET:
            number = asset - OUTCOME_OFFSET
            return f"it would be side {number % 10} of outcome {number // 10}: outcomes have names and ids, but no grid"
        if asset >= BUILDER_OFFSET:
            index, position = divmod(asset - BUILDER_OFFSET, DEX_STEP)
            dex = next((name for name, at in self.dexs.items() if at == index), None)
            where = (
                f"dex {dex!r}, which has no such row"
                if dex
                else f"the builder dex at place {index}, which is not loaded"
            )
            return f"it would be position {position} of {where}: await load_dex(name)"
        return f"perps count from 0, spot pairs from {SPOT_OFFSET} (ids differ between networks)"

    def asset_of(self, name: str | int) -> int:
        """The id to sign with, for anything that can be named: instruments, and sides of outcomes (`#1230`, or their id)."""
        if isinstance(name, str) and name.startswith("#"):
            side = self.outcomes.get(name)
            if side is None:
                known = ", ".join(list(self.outcomes)[:3]) or "none are loaded: await load_outcomes()"
                raise ConfigError(f"unknown outcome {name!r}; known are {known}")
            return side.asset
        if type(name) is int and name >= OUTCOME_OFFSET:
            return self.asset_of(f"#{name - OUTCOME_OFFSET}")
        return int(self.resolve(name).asset)

    @property
    def duplicates(self) -> dict[str, list[TradingRule]]:
        """Names that stand for several instruments, with all of them."""
        return {pair: list(rules) for pair, rules in self._by_pair.items() if len(rules) > 1}

    def size_decimals(self, coin: str) -> SizeDecimals:
        """The venue's size decimals of a wire coin; a guess, marked as such, for one that is not known."""
        rule = self.rules.get(coin)
        return SizeDecimals(rule.sz_decimals, False) if rule is not None else guessed_size_decimals(coin)

    def tokens_of(self, coin: str) -> tuple[str, str]:
        """(base, quote) token names of a spot pair's wire coin. `ConfigError` for anything else."""
        found = self._tokens.get(coin)
        if found is None:
            raise ConfigError(f"{coin!r} is not the wire name of a spot pair, so it has no base and quote token")
        return found

    def _unknown(self, name: str) -> str:
        told = [line for line in self.skipped if repr(name) in line]
        if told:
            return f"instrument {name!r} was left out when the venue's list was read: {told[0]}"
        dex = name.partition(":")[0] if ":" in name else ""
        if dex and dex not in self.dexs:
            loaded = ", ".join(self.dexs) or "none"
            return f"unknown instrument {name!r}: the builder dex {dex!r} is not loaded (loaded: {loaded}); await load_dex({dex!r})"
        if name.startswith("#"):
            return f"{name!r} names an outcome, which has no grid to trade by; hl.actions takes it"
        near = self._near(name)
        hint = f"did you mean {' or '.join(near)}?" if near else "see trading_rules for the names"
        return f"unknown instrument {name!r}; {hint} (names are case-sensitive)"

    def _near(self, name: str) -> list[str]:
        """Up to five names: the same in other case, then pairs of that token, then those of similar spelling."""
        known = [*self.rules, *(pair for pair in self._by_pair if pair not in self.rules)]
        folded = name.casefold()
        same = [one for one in known if one.casefold() == folded]
        of_token = [f"{b}/{q}" for b, q in self._tokens.values() if folded in (b.casefold(), f"{b}-{q}".casefold())]
        return list(dict.fromkeys([*same, *of_token, *difflib.get_close_matches(name, known, 3)]))[:5]


def _shown(rule: TradingRule) -> str:
    return f"{rule.coin} (asset {rule.asset})"


# -- reading ------------------------------------------------------------------------------------------------------------
def _each_row(
    what: str, answer: Any, key: str, read: Callable[[int, dict[str, Any]], None], skipped: list[str]
) -> None:
    """Call `read(position, row)` for each row of `answer[key]`, and report those that it cannot read."""
    rows = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        skipped.append(f"{what}: the answer has no list {key!r}, so nothing of it was read")
        return
    for position, row in enumerate(rows):
        name = row.get("name") if isinstance(row, dict) else None
        try:
            if not isinstance(row, dict):
                raise _Unreadable(f"the row is {type(row).__name__}, not an object")
            read(position, row)
        except (_Unreadable, ConfigError, RangeError) as error:
            skipped.append(f"{what} {str(name)[:40]!r} at position {position}: {error}")


def _perp_rule(position: int, row: dict[str, Any], collateral: str, dex: str = "", index: int = 0) -> TradingRule:
    """Of the main dex, or of the builder dex at place `index`, whose names begin with its own."""
    name = _name(row)
    if dex and name.partition(":")[0] != dex:
        raise _Unreadable(f"the name is not one of dex {dex!r}, whose names begin with {dex!r} and a colon")
    if ":" in name and not dex:
        raise _Unreadable("the name is a builder dex's, whose ids count elsewhere")
    if name[0] in "@#+" or "/" in name:
        raise _Unreadable("the name is not a perp's")
    if position >= SPOT_OFFSET:
        raise _Unreadable(f"position {position} would be a spot pair's id")
    mode = row.get("marginMode")
    if mode is not None and not isinstance(mode, str):
        raise _Unreadable(f"marginMode must be text, got {type(mode).__name__}")
    return TradingRule(
        name,
        trading_pair=f"{name}-USD",
        asset=BUILDER_OFFSET + index * DEX_STEP + position if dex else position,
        sz_decimals=_whole(row, "szDecimals", 0, 6),
        min_notional=MIN_NOTIONAL,
        max_leverage=_whole(row, "maxLeverage", 1, 1000) if row.get("maxLeverage") is not None else 1,
        is_perpetual=True,
        is_delisted=_flag(row, "isDelisted"),
        only_isolated=_flag(row, "onlyIsolated") or mode in ISOLATED_MODES,
        collateral=collateral,
    )


def _spot_rule(row: dict[str, Any], tokens: dict[int, _Token]) -> tuple[TradingRule, tuple[str, str]]:
    name = _name(row)
    index = _whole(row, "index", 0, BUILDER_OFFSET - SPOT_OFFSET - 1)
    legs = row.get("tokens")
    if not isinstance(legs, list) or len(legs) != 2 or not all(type(leg) is int for leg in legs) or legs[0] == legs[1]:
        raise _Unreadable(f"tokens must be the numbers of two different tokens, got {_brief(legs)}")
    missing = [leg for leg in legs if leg not in tokens]
    if missing:
        raise _Unreadable(f"its token {missing[0]} is not in the list of tokens, or could not be read")
    base, quote = tokens[legs[0]], tokens[legs[1]]
    human = f"{base.name}/{quote.name}"
    if name not in (f"@{index}", human):
        raise _Unreadable(f"the name agrees neither with its index (@{index}) nor with its tokens ({human})")
    rule = TradingRule(
        name,
        trading_pair=human,
        asset=SPOT_OFFSET + index,
        sz_decimals=base.sz_decimals,
        min_notional=MIN_NOTIONAL,
        is_perpetual=False,
        collateral=quote.name,
    )
    return rule, (base.name, quote.name)


def _outcomes(answer: Any, skipped: list[str]) -> list[OutcomeSide]:
    """Every side of every outcome; two outcomes with one number are nobody's."""
    found: dict[int, list[OutcomeSide]] = {}
    repeated: set[int] = set()

    def read(position: int, row: dict[str, Any]) -> None:
        number = _whole(row, "outcome", 0, (2**32 - 1 - OUTCOME_OFFSET) // 10 - 1)
        name, specs, quote = _name(row), row.get("sideSpecs"), row.get("quoteToken", "USDC")
        if not isinstance(specs, list) or len(specs) != 2 or not all(isinstance(each, dict) for each in specs):
            raise _Unreadable(f"sideSpecs must be two sides, got {_brief(specs)}")
        if not isinstance(quote, str):
            raise _Unreadable(f"quoteToken must be text, got {_brief(quote)}")
        if number in found:
            repeated.add(number)
            raise _Unreadable(f"another outcome has the number {number} too")
        found[number] = [
            OutcomeSide(
                f"#{10 * number + side}",
                OUTCOME_OFFSET + 10 * number + side,
                number,
                side,
                f"{name}: {_name(spec)}",
                quote,
            )
            for side, spec in enumerate(specs)
        ]

    _each_row("outcome", answer, "outcomes", read, skipped)
    return [side for number, sides in found.items() if number not in repeated for side in sides]


def _tokens(spot_meta: Any, skipped: list[str]) -> dict[int, _Token]:
    """Tokens by their `index` field; a number that two of them claim is nobody's."""
    found: dict[int, _Token] = {}
    claimed: set[int] = set()

    def read(position: int, row: dict[str, Any]) -> None:
        index = _whole(row, "index", 0, 1_000_000_000)
        if index in claimed:
            found.pop(index, None)
            raise _Unreadable(f"another token has the number {index} too")
        claimed.add(index)
        found[index] = _Token(_name(row), _whole(row, "szDecimals", 0, 8))

    _each_row("token", spot_meta, "tokens", read, skipped)
    return found


def _collateral(meta: Any, tokens: dict[int, _Token], skipped: list[str]) -> str:
    """The token that the dex's perps are settled in; the main dex names none, or token 0, which is USDC."""
    number = meta.get("collateralToken") if isinstance(meta, dict) else None
    if number is None:
        return "USDC"
    if type(number) is int and number in tokens:
        return tokens[number].name
    if type(number) is int and number == 0:
        return "USDC"
    skipped.append(f"perp: collateralToken {_brief(number)} is not in the list of tokens; perps show it as unknown")
    return "unknown"


def _repeated(rules: list[TradingRule]) -> set[str | int]:
    """Names and ids that more than one rule claims. Which of them is meant cannot be known, so none is kept."""

    def twice(keys: Iterator[T]) -> set[T]:
        seen: set[T] = set()
        return {key for key in keys if key in seen or seen.add(key)}  # type: ignore[func-returns-value]

    return {*twice(rule.coin for rule in rules), *twice(rule.asset for rule in rules)}


def _name(row: dict[str, Any]) -> str:
    name = row.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > 64 or not name.isprintable():
        raise _Unreadable(f"name must be readable text of 1 to 64 characters, got {_brief(name)}")
    return name


def _whole(row: dict[str, Any], key: str, low: int, high: int) -> int:
    value = row.get(key)
    if type(value) is not int or not low <= value <= high:
        raise _Unreadable(f"{key} must be a whole number from {low} to {high}, got {_brief(value)}")
    return value


def _flag(row: dict[str, Any], key: str) -> bool:
    value = row.get(key)
    if value is not None and not isinstance(value, bool):
        raise _Unreadable(f"{key} must be true, false or absent, got {_brief(value)}")
    return bool(value)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
