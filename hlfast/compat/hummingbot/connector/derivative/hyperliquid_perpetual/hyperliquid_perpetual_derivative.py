"""HyperliquidPerpetualDerivative: the standalone perpetual connector, with the stock one's parameters.

connector = HyperliquidPerpetualDerivative(trading_pairs=["BTC-USD"], domain="simulator")
await connector.start_network()
order_id = connector.buy("BTC-USD", Decimal("0.001"), OrderType.LIMIT, Decimal(60000), position_action=PositionAction.OPEN)
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hlfast.compat.hummingbot.connector.engine_of import engine_for
from hlfast.compat.hummingbot.connector.perpetual_derivative_py_base import PerpetualDerivativePyBase
from hlfast.config import Network, Settings
from hlfast.venues.hyperliquid.sign import Signer


class HyperliquidPerpetualDerivative(PerpetualDerivativePyBase):
    """`domain`: "hyperliquid_perpetual", "hyperliquid_perpetual_testnet", "simulator", or a `Network` (ours)."""

    def __init__(
        self,
        balance_asset_limit: Any = None,
        rate_limits_share_pct: Decimal = Decimal("100"),
        hyperliquid_perpetual_secret_key: str | bytes | Signer | None = None,
        hyperliquid_perpetual_address: str | None = None,
        use_vault: bool = False,
        hyperliquid_perpetual_mode: str = "arb_wallet",
        trading_pairs: Sequence[str] | None = None,
        trading_required: bool = True,
        domain: str | Network = "hyperliquid_perpetual",
        enable_hip3_markets: bool = True,
        settings: Settings | None = None,
    ) -> None:
        engine = engine_for(
            "hyperliquid_perpetual",
            domain,
            hyperliquid_perpetual_secret_key,
            hyperliquid_perpetual_address,
            use_vault,
            settings,
        )
        name = domain if isinstance(domain, str) else f"hyperliquid_perpetual_{domain.name}"
        super().__init__(engine, name, trading_pairs, trading_required, balance_asset_limit, rate_limits_share_pct)
        self._offers_dexs = enable_hip3_markets
