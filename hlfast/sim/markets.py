"""What can be traded on the local exchange (layer 5): tokens, markets and their grids, and the small built-in set.

Prices are integers by 1e8 (`_e8`), sizes are lots of 10^-szDecimals (`_lots`). On the venue's grid price times size is
exact in 1e-8 of the quote token: a perp price has at most 6 - szDecimals decimals (spot: 8 - szDecimals), so nothing is
rounded. Margin comes in tiers: the larger a position, the lower its leverage and the higher its maintenance margin.

To add a built-in market, add a line to PERPS or SPOTS (and its tokens to TOKENS). The asset id of a perp is its
position, delisted rows included; of a spot pair 10000 + its `index`, which has gaps, as on the venue. Whole recorded
universes are read by `universe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hlfast.sim.numbers import E8, POW10, short, text

SPOT_ASSETS = 10_000
"""Asset ids from here on are spot pairs."""
BUILDER_ASSETS = 100_000
"""Asset ids from here on are perps of builder dexs: 10,000 a dex, by its place among all dexs."""
DEX_STEP = 10_000
OUTCOME_ASSETS = 100_000_000
"""Asset ids from here on are sides of outcomes, which trade like spot pairs."""
USD = 0
"""The index of USDC, in which perps are margined."""


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

    def __deepcopy__(self, memo: dict[int, Any]) -> Token:
        """Tokens and markets are constants: a copied exchange trades the same ones."""
        return self


USDC = Token("USDC", USD, 8, 8, "0x6d1e7cde53ba9467b783cb7c530ce054")
PURR = Token("PURR", 1, 0, 5, "0xc1fb593aeffbeb02f85e0308e9956a90")
HYPE = Token("HYPE", 150, 2, 8, "0x0d01dc56dcaaca66ad901c959b4011ec")
TOKENS = (USDC, PURR, HYPE)


class Market:
    """One instrument and its grid. A perp's `quote` is what it is settled in; `fee_percent` is of the usual rates.

    `start_px_e8` is the price that the background traders start from, and the reference while there is no book.
    `tiers` are (lower bound of a position's value in 1e-8 USDC, max leverage). `margin_mode` is the venue's: "" allows
    cross margin, "noCross" isolated margin only, "strictIsolated" isolated margin that cannot be taken out again.
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
        tiers: tuple[tuple[int, int], ...] = (),
        margin_mode: str = "",
        base: Token = USDC,
        quote: Token = USDC,
        is_delisted: bool = False,
        dex: str = "",
        fee_percent: int = 100,
        px_decimals: int | None = None,
    ) -> None:
        self.coin = coin
        self.asset = asset
        self.sz_decimals = sz_decimals
        self.is_spot = SPOT_ASSETS <= asset < BUILDER_ASSETS or asset >= OUTCOME_ASSETS
        self.is_outcome = asset >= OUTCOME_ASSETS
        self.dex = dex
        self.fee_percent = fee_percent
        self.px_decimals = (8 if self.is_spot else 6) - sz_decimals if px_decimals is None else px_decimals
        self.max_leverage = max_leverage
        self.tiers = tiers or ((0, max_leverage),)
        self.margin_mode = margin_mode
        self.base = base
        self.quote = quote
        self.is_delisted = is_delisted
        self.start_px_e8 = start_px * POW10[8 - start_px_decimals]
        self._lot_scale = POW10[sz_decimals]
        self.px_step_e8 = POW10[8 - self.px_decimals]
        self._maintenance = _maintenance_tiers(self.tiers)

    def __repr__(self) -> str:
        return f"<Market {self.coin} asset={self.asset}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Market:
        return self

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
        return f"Order must have minimum value of {f'10 {self.quote.name}' if self.is_spot else '$10'}."

    def max_order_ntl_e8(self, is_market: bool) -> int:
        """The venue's cap on one order's value: by leverage for market orders, ten times that for limit orders."""
        millions_e8 = next(cap for floor, cap in MAX_MARKET_NTL_E8 if self.max_leverage >= floor)
        return millions_e8 if is_market else 10 * millions_e8

    def max_position_e8(self, leverage: int) -> int | None:
        """The value up to which a position may have this leverage; None for no limit."""
        return next((lower for lower, most in self.tiers if most < leverage), None)

    def maintenance_e8(self, ntl_e8: int) -> int:
        """Maintenance margin of a position of this value: value / (2 * max leverage), tier by tier."""
        _, twice, deduction = self._tier(ntl_e8)
        return ntl_e8 // twice - deduction

    def maintenance_leverage(self, ntl_e8: int) -> int:
        """Twice the max leverage of the tier that a position of this value is in."""
        return self._tier(ntl_e8)[1]

    def _tier(self, ntl_e8: int) -> tuple[int, int, int]:
        return next(tier for tier in reversed(self._maintenance) if ntl_e8 >= tier[0])


def _maintenance_tiers(tiers: tuple[tuple[int, int], ...]) -> list[tuple[int, int, int]]:
    """(lower bound, twice the max leverage, deduction): maintenance is value over the second, less the third."""
    found: list[tuple[int, int, int]] = []
    deduction = 0
    for lower, leverage in tiers:
        if found:
            deduction += lower // (2 * leverage) - lower // found[-1][1]
        found.append((lower, 2 * leverage, deduction))
    return found


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


def dollars(ntl_e8: int) -> str:
    """An amount inside one of the venue's sentences: `$5000000`."""
    return "$" + short(ntl_e8, 8)
