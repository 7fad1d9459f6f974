"""The engine of a standalone connector, from the stock connector's parameters."""

from __future__ import annotations

from hlfast.config import MAINNET, SIMULATOR, TESTNET, Network, Settings
from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.connector import HyperliquidConnector
from hlfast.venues.hyperliquid.sign import Signer


def engine_for(
    name: str,
    domain: str | Network,
    key: str | bytes | Signer | None,
    address: str | None,
    use_vault: bool,
    settings: Settings | None,
) -> HyperliquidConnector:
    """`address` is the account that the key trades for, or with `use_vault` the vault."""
    networks = {name: MAINNET, f"{name}_testnet": TESTNET, "simulator": SIMULATOR}
    network = domain if isinstance(domain, Network) else networks.get(domain)
    if network is None:
        raise ConfigError(f"unknown domain {domain!r}; give one of {', '.join(networks)} or a hlfast.config.Network")
    if use_vault and not address:
        raise ConfigError("use_vault=True needs the vault's address")
    account, vault = (None, address) if use_vault else (address, None)
    return HyperliquidConnector(network, key=key, account=account or None, vault=vault, settings=settings)
