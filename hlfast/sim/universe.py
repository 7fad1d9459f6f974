"""All that one local exchange trades (layer 5): the built-in set, or a universe recorded from the venue.

    Universe.load(["meta.json", "spot_meta.json"])     # whole reply bodies of `meta` and `spotMeta`
    Universe.load("metaAndAssetCtxs.json")             # with contexts: markets start at their recorded mark prices

Recorded universes are taken as they are: delisted rows keep their place (it is their asset id), spot pairs their
`index`, and `meta` and `spotMeta` answer the recorded body again. What cannot be traded in exact integers (a quote
token without 8 wei decimals, a base with fewer wei decimals than size decimals) is kept and halted, like a delisted
market. Without contexts a market starts at its built-in price, or near 10^szDecimals, which is where real ones are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import orjson

from hlfast.errors import ConfigError
from hlfast.sim.dexs import DEXS, Dex
from hlfast.sim.markets import PERPS, SPOT_ASSETS, SPOTS, TOKENS, USDC, Market, Token
from hlfast.sim.numbers import E8, POW10, scaled
from hlfast.sim.outcomes import OUTCOMES, Outcome, markets_of

Source: TypeAlias = "str | Path | Mapping[str, Any] | list[Any]"
"""A file, or its parsed body: a meta, a spotMeta, or a pair of one of them and its contexts."""

TICK_FIGURES = 5
START_PX_E8 = {market.coin: market.start_px_e8 for market in (*PERPS, *SPOTS)}


class Universe:
    """Tokens and markets, and the metadata that names them."""

    def __init__(
        self,
        tokens: Iterable[Token] = TOKENS,
        perps: Iterable[Market] = PERPS,
        spots: Iterable[Market] = SPOTS,
        dexs: Iterable[Dex] = (),
        outcomes: Iterable[Outcome] = (),
        *,
        meta: dict[str, Any] | None = None,
        spot_meta: dict[str, Any] | None = None,
    ) -> None:
        self.tokens = {token.index: token for token in tokens}
        self.by_wire_name = {token.wire_name: token for token in self.tokens.values()}
        self.outcomes = tuple(outcomes)
        self.outcome_markets = tuple(markets_of(self.outcomes))
        self.all_tokens = {**self.tokens, **{market.base.index: market.base for market in self.outcome_markets}}
        self.wei_decimals = {token.name: token.wei_decimals for token in self.all_tokens.values()}
        self.perps, self.spots = tuple(perps), tuple(spots)
        self.dexs = {dex.name: dex for dex in dexs}
        self.collaterals = {"": self.tokens.get(USDC.index, USDC), **{d.name: d.collateral for d in self.dexs.values()}}
        self.meta = meta or _meta(self.perps, USDC)
        self.metas = {"": self.meta, **{dex.name: _meta(dex.markets, dex.collateral) for dex in self.dexs.values()}}
        """As `meta` answers it, by dex."""
        self.spot_meta = spot_meta or _spot_meta(self.spots, self.tokens)
        self.margin_tables: dict[int, Any] = dict(self.meta.get("marginTables", ()))

    def __deepcopy__(self, memo: dict[int, Any]) -> Universe:
        return self

    @property
    def markets(self) -> tuple[Market, ...]:
        return self.perps + self.spots + self.builder_perps + self.outcome_markets

    @property
    def builder_perps(self) -> tuple[Market, ...]:
        return tuple(market for dex in self.dexs.values() for market in dex.markets)

    def perps_of(self, dex: str) -> tuple[Market, ...]:
        return self.dexs[dex].markets if dex else self.perps

    def margin_table(self, table: int) -> dict[str, Any]:
        """A recorded table, or the single tier that an id below 50 stands for."""
        return self.margin_tables.get(table) or margin_table(table)

    @classmethod
    def load(cls, sources: Source | Iterable[Source]) -> Universe:
        """Read recorded metadata. Raises ConfigError for what is neither a meta nor a spotMeta."""
        is_one = isinstance(sources, (str, Path, Mapping)) or _is_pair(sources)
        listed: list[Any] = [sources] if is_one else list(cast("Iterable[Source]", sources))
        meta, spot_meta = None, None
        start_px_e8 = dict(START_PX_E8)
        for source in listed:
            body: Any = orjson.loads(Path(source).read_bytes()) if isinstance(source, (str, Path)) else source
            body, contexts = (body[0], body[1]) if _is_pair(body) else (body, [])
            if not isinstance(body, Mapping) or "universe" not in body:
                raise ConfigError(
                    f"{str(source)[:200]} is no universe: expected the whole reply body of meta, spotMeta, "
                    "metaAndAssetCtxs or spotMetaAndAssetCtxs, which has a `universe`"
                )
            for name, context in _named(body, contexts):
                px_e8 = scaled(context["markPx"], 8) or 0
                if px_e8:
                    start_px_e8[name] = px_e8
            if "tokens" in body:
                spot_meta = dict(body)
            else:
                meta = dict(body)
        tokens = [USDC] if spot_meta is None else [_token(row) for row in spot_meta["tokens"]]
        perps = [] if meta is None else _perps(meta, start_px_e8)
        spots = [] if spot_meta is None else _spots(spot_meta, {t.index: t for t in tokens}, start_px_e8)
        return cls(tokens, perps, spots, meta=meta, spot_meta=spot_meta)


def _is_pair(body: Any) -> bool:
    return isinstance(body, list) and len(body) == 2 and isinstance(body[0], Mapping) and isinstance(body[1], list)


def _named(body: Mapping[str, Any], contexts: list[Any]) -> Iterable[tuple[str, Any]]:
    """Spot contexts say their coin; perp contexts stand in the order of the universe."""
    if "tokens" in body:
        return [(context["coin"], context) for context in contexts]
    return [(row["name"], context) for row, context in zip(body["universe"], contexts, strict=False)]


def _start(coin: str, sz_decimals: int, is_spot: bool, known: dict[str, int]) -> int:
    """A start price on the coin's grid."""
    px_e8 = known.get(coin, POW10[sz_decimals] * E8)
    step_e8 = POW10[sz_decimals] if is_spot else POW10[2 + sz_decimals]
    tick_e8 = min(max(step_e8, POW10[max(0, len(str(px_e8)) - TICK_FIGURES)]), E8)
    return max(px_e8 - px_e8 % tick_e8, tick_e8)


def _token(row: Mapping[str, Any]) -> Token:
    return Token(row["name"], row["index"], row["szDecimals"], row["weiDecimals"], row["tokenId"])


def _perps(meta: Mapping[str, Any], start_px_e8: dict[str, int]) -> list[Market]:
    tables = dict(meta.get("marginTables", ()))
    found = []
    for asset, row in enumerate(meta["universe"]):
        coin, leverage, sz_decimals = row["name"], row["maxLeverage"], row["szDecimals"]
        table = tables.get(row.get("marginTableId"))
        tiers = (
            [] if table is None else [(scaled_floor(t["lowerBound"]), t["maxLeverage"]) for t in table["marginTiers"]]
        )
        found.append(
            Market(
                coin,
                asset,
                sz_decimals,
                _start(coin, sz_decimals, False, start_px_e8),
                8,
                max_leverage=leverage,
                tiers=tuple(tiers),
                margin_mode=row.get("marginMode") or ("strictIsolated" if row.get("onlyIsolated") else ""),
                is_delisted=bool(row.get("isDelisted")),
            )
        )
    return found


def scaled_floor(number: str) -> int:
    return int(number.partition(".")[0]) * E8


def _spots(spot_meta: Mapping[str, Any], tokens: dict[int, Token], start_px_e8: dict[str, int]) -> list[Market]:
    found = []
    for row in spot_meta["universe"]:
        base, quote = (tokens[index] for index in row["tokens"][:2])
        is_exact = quote.wei_decimals == 8 and base.wei_decimals >= base.sz_decimals
        found.append(
            Market(
                row["name"],
                SPOT_ASSETS + row["index"],
                base.sz_decimals,
                _start(row["name"], base.sz_decimals, True, start_px_e8),
                8,
                base=base,
                quote=quote,
                is_delisted=not is_exact,
            )
        )
    return found


def margin_table(leverage: int) -> dict[str, Any]:
    return {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": leverage}]}


def _meta(perps: Sequence[Market], collateral: Token) -> dict[str, Any]:
    """As `meta` answers it. A delisted row keeps its place, because its place is its asset id."""
    leverages = sorted({market.max_leverage for market in perps})
    return {
        "universe": [
            {
                "szDecimals": market.sz_decimals,
                "name": market.coin,
                "maxLeverage": market.max_leverage,
                "marginTableId": market.max_leverage,
                **({"isDelisted": True} if market.is_delisted else {}),
                **({"onlyIsolated": True, "marginMode": market.margin_mode} if market.margin_mode else {}),
            }
            for market in perps
        ],
        "marginTables": [[leverage, margin_table(leverage)] for leverage in leverages],
        "collateralToken": collateral.index,
    }


def _spot_meta(spots: Iterable[Market], tokens: Mapping[int, Token]) -> dict[str, Any]:
    """As `spotMeta` answers it."""
    return {
        "universe": [
            {
                "tokens": [market.base.index, market.quote.index],
                "name": market.coin,
                "index": market.asset - SPOT_ASSETS,
                "isCanonical": "/" in market.coin,
            }
            for market in spots
        ],
        "tokens": [
            {
                "name": token.name,
                "szDecimals": token.sz_decimals,
                "weiDecimals": token.wei_decimals,
                "index": token.index,
                "tokenId": token.token_id,
                "isCanonical": True,
                "evmContract": None,
                "fullName": None,
                "deployerTradingFeeShare": "0.0",
            }
            for token in tokens.values()
        ],
    }


BUILT_IN = Universe(dexs=DEXS, outcomes=OUTCOMES)
