"""Builder dexs (HIP-3) of the local exchange (layer 5): markets of their own, with collateral and fees of their own.

    Dex("demo", 1, "Demo dex", USDC, [("GOLD", 3, 2400, 0, 20, "")])

A dex has a place among all dexs (`perpDexs`, where the main one is null at place 0), from which its asset ids count:
100000 + 10000 x place + position. Money of an account in a dex is apart from its money elsewhere (`purse`), and is the dex's
collateral token, which needs 8 wei decimals here. Its deployer takes a share of the fees: with a scale s of 1 or more the
rates are 2 s times the usual ones and half of them is the deployer's; below 1, (1 + s) times and s / (1 + s).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, TypeAlias

from hlfast.errors import ConfigError
from hlfast.sim.markets import BUILDER_ASSETS, DEX_STEP, USDC, Market, Token

Row: TypeAlias = "tuple[str, int, int, int, int, str]"
"""(coin without the dex's name, szDecimals, start price, decimals of that, max leverage, margin mode)."""
OI_CAP = "1000000000.0"


class Dex:
    """One builder dex. Raises ConfigError for a place or a collateral that cannot be."""

    def __init__(
        self,
        name: str,
        place: int,
        full_name: str,
        collateral: Token,
        rows: Iterable[Row],
        *,
        fee_scale_percent: int = 100,
    ) -> None:
        if place < 1 or not name or ":" in name:
            raise ConfigError(
                f"a builder dex has a name without a colon and a place from 1 up, got {name!r} at {place}"
            )
        if collateral.wei_decimals != 8:
            raise ConfigError(f"the collateral of a dex needs 8 wei decimals here, {collateral.name} has others")
        self.name = name
        self.place = place
        self.full_name = full_name
        self.collateral = collateral
        self.fee_scale_percent = fee_scale_percent
        self.deployer = _address(f"deployer of {name}")
        self.fee_recipient = _address(f"fees of {name}")
        scale = fee_scale_percent
        self.share = (scale, 100 + scale) if scale < 100 else (1, 2)
        """What of each fee is the deployer's, as a fraction."""
        self.markets = tuple(
            Market(
                f"{name}:{coin}",
                BUILDER_ASSETS + DEX_STEP * place + position,
                sz_decimals,
                px,
                px_decimals,
                max_leverage=leverage,
                margin_mode=mode,
                quote=collateral,
                dex=name,
                fee_percent=100 + scale if scale < 100 else 2 * scale,
            )
            for position, (coin, sz_decimals, px, px_decimals, leverage, mode) in enumerate(rows)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Dex:
        return self

    @property
    def row(self) -> dict[str, Any]:
        """As `perpDexs` lists it."""
        scale = self.fee_scale_percent
        return {
            "name": self.name,
            "fullName": self.full_name,
            "deployer": self.deployer,
            "oracleUpdater": None,
            "feeRecipient": self.fee_recipient,
            "assetToStreamingOiCap": [[market.coin, OI_CAP] for market in self.markets],
            "subDeployers": [],
            "deployerFeeScale": f"{scale // 100}.{scale % 100:02d}".rstrip("0") + "0" * (scale % 100 == 0),
            "lastDeployerFeeScaleChangeTime": "1970-01-01T00:00:00",
            "assetToFundingMultiplier": [[market.coin, "1.0"] for market in self.markets],
            "assetToFundingInterestRate": [],
        }

    @property
    def limits(self) -> dict[str, Any]:
        """As `perpDexLimits` tells them: nothing is that large here."""
        return {
            "totalOiCap": OI_CAP,
            "oiSzCapPerPerp": OI_CAP,
            "maxTransferNtl": OI_CAP,
            "coinToOiCap": [[market.coin, OI_CAP] for market in self.markets],
        }


def _address(what: str) -> str:
    return "0x" + hashlib.sha256(what.encode()).hexdigest()[:40]


DEXS = (Dex("demo", 1, "Demonstration dex", USDC, [("GOLD", 3, 2_400, 0, 20, ""), ("OIL", 2, 75, 0, 10, "noCross")]),)
