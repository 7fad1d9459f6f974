"""What is traded on the local exchange (layer 5): tokens, markets, their grids, and the metadata that names them.

Prices are integers by 1e8 (`_e8`), sizes are lots of 10^-szDecimals (`_lots`). On the venue's grid price times size is
exact in 1e-8 USDC: a perp price has at most 6 - szDecimals decimals (spot: 8 - szDecimals), so nothing is rounded.

To add a market, add a line to PERPS or SPOTS (and its tokens to TOKENS). The asset id of a perp is its position,
delisted rows included; of a spot pair 10000 + its `index`, which has gaps, as on the venue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hlfast.sim.numbers import E8, POW10, short, text

SPOT_ASSETS = 10_000
"""Asset ids from here on are spot pairs."""


@dataclass(frozen=True)
class Token:
    name: str
    index: int
    sz_decimals: int
    wei_decimals: int
    token_id: str

    @property
    def wire_name(self) -> str:
        """How transfers name it: `NAME:0x<token id>`."""
        return f"{self.name}:{self.token_id}"


USDC = Token("USDC", 0, 8, 8, "0x6d1e7cde53ba9467b783cb7c530ce054")
PURR = Token("PURR", 1, 0, 5, "0xc1fb593aeffbeb02f85e0308e9956a90")
HYPE = Token("HYPE", 150, 2, 8, "0x0d01dc56dcaaca66ad901c959b4011ec")
TOKENS = (USDC, PURR, HYPE)


class Market:
    """One instrument and its grid.

    `start_px_e8` is the price that the background traders start from, and the reference while there is no book.
    """

    def __init__(
        self,
        coin: str,
        asset: int,
        sz_decimals: int,
        start_px: int,
        start_px_decimals: int = 0,
        *,
        max_leverage: int = 1,
        base: Token = USDC,
        is_delisted: bool = False,
    ) -> None:
        self.coin = coin
        self.asset = asset
        self.sz_decimals = sz_decimals
        self.is_spot = asset >= SPOT_ASSETS
        self.px_decimals = (8 if self.is_spot else 6) - sz_decimals
        self.max_leverage = max_leverage
        self.base = base
        self.is_delisted = is_delisted
        self.start_px_e8 = start_px * POW10[8 - start_px_decimals]
        self._lot_scale = POW10[sz_decimals]
        self.px_step_e8 = POW10[8 - self.px_decimals]

    def __repr__(self) -> str:
        return f"<Market {self.coin} asset={self.asset}>"

    def ntl_e8(self, px_e8: int, lots: int) -> int:
        """Price times size in 1e-8 USDC; exact on the grid."""
        return px_e8 * lots // self._lot_scale

    def lots_for(self, ntl_e8: int, px_e8: int) -> int:
        """The largest size that costs no more than `ntl_e8`."""
        return ntl_e8 * self._lot_scale // px_e8

    def base_wei(self, lots: int) -> int:
        return lots * POW10[self.base.wei_decimals - self.sz_decimals]

    def tick_e8(self, px_e8: int) -> int:
        """The price step at a price: 5 significant figures, at most `px_decimals` decimals, integers always allowed."""
        return min(max(self.px_step_e8, POW10[max(0, len(str(px_e8)) - 5)]), E8)

    def is_on_grid(self, px_e8: int) -> bool:
        return px_e8 % self.tick_e8(px_e8) == 0

    def px_text(self, px_e8: int) -> str:
        return text(px_e8, 8)

    def sz_text(self, lots: int) -> str:
        return text(lots, self.sz_decimals)

    @property
    def minimum_text(self) -> str:
        return "Order must have minimum value of 10 USDC." if self.is_spot else "Order must have minimum value of $10."

    def max_order_ntl_e8(self, is_market: bool) -> int:
        """The venue's cap on one order's value: by leverage for market orders, ten times that for limit orders."""
        millions_e8 = next(cap for floor, cap in MAX_MARKET_NTL_E8 if self.max_leverage >= floor)
        return millions_e8 if is_market else 10 * millions_e8


MAX_MARKET_NTL_E8 = ((25, 30_000_000 * E8), (20, 5_000_000 * E8), (10, 2_000_000 * E8), (0, 500_000 * E8))
MIN_NTL_E8 = 10 * E8

PERPS = (
    Market("BTC", 0, 5, 65_000, max_leverage=40),
    Market("ETH", 1, 4, 3_500, max_leverage=25),
    Market("SOL", 2, 2, 150, max_leverage=20),
    Market("MATIC", 3, 1, 375, 3, max_leverage=20, is_delisted=True),
    Market("HYPE", 4, 2, 40, max_leverage=10),
    Market("kPEPE", 5, 0, 125, 4, max_leverage=10),
)
SPOTS = (
    Market("PURR/USDC", SPOT_ASSETS, 0, 2, 1, base=PURR),
    Market("@107", SPOT_ASSETS + 107, 2, 40, base=HYPE),
)
MARKETS = PERPS + SPOTS


def meta() -> dict[str, Any]:
    """The perp universe, as `meta` answers it. A delisted row keeps its place, because its place is its asset id."""
    leverages = sorted({market.max_leverage for market in PERPS})
    return {
        "universe": [
            {
                "szDecimals": market.sz_decimals,
                "name": market.coin,
                "maxLeverage": market.max_leverage,
                "marginTableId": market.max_leverage,
                **({"isDelisted": True} if market.is_delisted else {}),
            }
            for market in PERPS
        ],
        "marginTables": [[leverage, margin_table(leverage)] for leverage in leverages],
        "collateralToken": USDC.index,
    }


def margin_table(leverage: int) -> dict[str, Any]:
    return {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": leverage}]}


def spot_meta() -> dict[str, Any]:
    """The spot universe and its tokens, as `spotMeta` answers it."""
    return {
        "universe": [
            {
                "tokens": [market.base.index, USDC.index],
                "name": market.coin,
                "index": market.asset - SPOT_ASSETS,
                "isCanonical": "/" in market.coin,
            }
            for market in SPOTS
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
            for token in TOKENS
        ],
    }


def dollars(ntl_e8: int) -> str:
    """An amount inside one of the venue's sentences: `$5000000`."""
    return "$" + short(ntl_e8, 8)
