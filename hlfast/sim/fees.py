"""What trading costs (local exchange, layer 5): the venue's tiers by 14-day volume, discounts and maker rebates.

Rates are integers by 1e8 (0.045 % = 45,000). The tier follows the weighted volume (perp + 2 x spot) of the 14 whole UTC
days before today; sub-accounts share their master's. `FeeTerms` sets for one account what volume cannot show on a small
exchange: a fixed tier, the venue's maker rebate, a staking discount (both in the shown rates) and a referral discount
(taken off when the fee is charged, from positive rates). Perp fees are truncated to 6 decimals, towards zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hlfast.errors import ConfigError
from hlfast.sim.numbers import E8

DAY_MS = 86_400_000
WINDOW_DAYS = 14
TIERS: tuple[tuple[int, tuple[int, int, int, int]], ...] = (
    (0, (45_000, 15_000, 70_000, 40_000)),
    (5_000_000, (40_000, 12_000, 60_000, 30_000)),
    (25_000_000, (35_000, 8_000, 50_000, 20_000)),
    (100_000_000, (30_000, 4_000, 40_000, 10_000)),
    (500_000_000, (28_000, 0, 35_000, 0)),
    (2_000_000_000, (26_000, 0, 30_000, 0)),
    (7_000_000_000, (24_000, 0, 25_000, 0)),
)
"""(14-day volume in USDC above which it holds, (perp taker, perp maker, spot taker, spot maker))."""
REBATES: tuple[tuple[str, int], ...] = (("0.005", -1_000), ("0.015", -2_000), ("0.03", -3_000))
"""(share of the venue's maker volume, perp maker rate)."""


@dataclass(frozen=True)
class FeeTerms:
    """What one account pays beside its volume. `maker_rebate` is 0 (none) to 3; discounts are in percent."""

    tier: int | None = None
    maker_rebate: int = 0
    staking_discount: int = 0
    referral_discount: int = 0

    def __post_init__(self) -> None:
        if self.tier is not None and not 0 <= self.tier < len(TIERS):
            raise ConfigError(f"tier must be None (by volume) or 0 to {len(TIERS) - 1}, got {self.tier}")
        if not 0 <= self.maker_rebate <= len(REBATES):
            raise ConfigError(f"maker_rebate must be 0 (none) to {len(REBATES)}, got {self.maker_rebate}")
        for name in ("staking_discount", "referral_discount"):
            if not 0 <= getattr(self, name) <= 100:
                raise ConfigError(f"{name} must be 0 to 100 percent, got {getattr(self, name)}")


@dataclass
class Volumes:
    """Traded value by UTC day, in 1e-8 USDC: [perp taken, perp made, spot taken, spot made]. One a master."""

    days: dict[int, list[int]] = field(default_factory=dict)

    def add(self, day: int, is_spot: bool, crossed: bool, ntl_e8: int) -> None:
        traded = self.days.get(day)
        if traded is None:
            traded = self.days[day] = [0, 0, 0, 0]
            for old in [old for old in self.days if old < day - WINDOW_DAYS]:
                del self.days[old]
        traded[2 * is_spot + (not crossed)] += ntl_e8

    def weighted_e8(self, day: int) -> int:
        """Of the whole days before `day`."""
        return sum(
            sum(traded[:2]) + 2 * sum(traded[2:])
            for when, traded in self.days.items()
            if day - WINDOW_DAYS <= when < day
        )


class FeeRates:
    """The rates of one account; worked out once a day."""

    def __init__(self, volumes: Volumes) -> None:
        self.volumes = volumes
        self._terms = FeeTerms()
        self._day = -1
        self._shown = TIERS[0][1]
        self._charged = TIERS[0][1]

    @property
    def terms(self) -> FeeTerms:
        return self._terms

    @terms.setter
    def terms(self, terms: FeeTerms) -> None:
        self._terms, self._day = terms, -1

    def _work_out(self, day: int) -> None:
        terms, self._day = self._terms, day
        if terms.tier is None:
            volume_e8 = self.volumes.weighted_e8(day)
            rates = next(rates for floor, rates in reversed(TIERS) if volume_e8 > floor * E8 or not floor)
        else:
            rates = TIERS[terms.tier][1]
        shown = [rate * (100 - terms.staking_discount) // 100 for rate in rates]
        if terms.maker_rebate:
            shown[1] = REBATES[terms.maker_rebate - 1][1]
        off = 100 - terms.referral_discount
        self._shown = (shown[0], shown[1], shown[2], shown[3])
        charged = [rate * off // 100 if rate > 0 else rate for rate in shown]
        self._charged = (charged[0], charged[1], charged[2], charged[3])

    def shown(self, day: int) -> tuple[int, int, int, int]:
        """As `userFees` tells: perp taker, perp maker, spot taker, spot maker."""
        if day != self._day:
            self._work_out(day)
        return self._shown

    def charged(self, day: int, is_spot: bool, crossed: bool) -> int:
        if day != self._day:
            self._work_out(day)
        return self._charged[2 * is_spot + (not crossed)]


def perp_fee_e8(ntl_e8: int, rate_e8: int) -> int:
    """Value times rate, truncated to 6 decimals; a rebate is negative."""
    size = ntl_e8 * abs(rate_e8) // E8 // 100 * 100
    return size if rate_e8 >= 0 else -size
