"""HyperliquidExchange: the standalone spot connector, with the stock one's parameters. Pairs are token names: "HYPE-USDC"."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hlfast.compat.hummingbot.connector.engine_of import engine_for
from hlfast.compat.hummingbot.connector.exchange_py_base import ExchangePyBase
from hlfast.config import Network, Settings
from hlfast.venues.hyperliquid.sign import Signer


class HyperliquidExchange(ExchangePyBase):
    """`domain`: "hyperliquid", "hyperliquid_testnet", "simulator", or a `Network` (ours)."""

    def __init__(
        self,
        balance_asset_limit: Any = None,
        rate_limits_share_pct: Decimal = Decimal("100"),
        hyperliquid_secret_key: str | bytes | Signer | None = None,
        hyperliquid_address: str | None = None,
        use_vault: bool = False,
        hyperliquid_mode: str = "arb_wallet",
        trading_pairs: Sequence[str] | None = None,
        trading_required: bool = True,
        domain: str | Network = "hyperliquid",
        settings: Settings | None = None,
    ) -> None:
        engine = engine_for("hyperliquid", domain, hyperliquid_secret_key, hyperliquid_address, use_vault, settings)
        name = domain if isinstance(domain, str) else f"hyperliquid_{domain.name}"
        super().__init__(engine, name, trading_pairs, trading_required, balance_asset_limit, rate_limits_share_pct)
