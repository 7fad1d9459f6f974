"""hlfast: a compiled, dependable Hyperliquid connector with its own local exchange.

Public names only; each is imported when it is first used, so that `import hlfast` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if not any((Path(__file__).parent / f"_build{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
    raise ImportError(
        f"{Path(__file__).parent} is hlfast's source folder and is not compiled, and it hides the installed package: run from "
        "another folder, or install with `pip install -e .`"
    )

_PUBLIC = {
    "HyperliquidConnector": "hlfast.venues.hyperliquid.connector",
    "Signer": "hlfast.venues.hyperliquid.sign",
    "InFlightOrder": "hlfast.core.in_flight_order",
    "ClientOrderTracker": "hlfast.core.order_tracker",
    "OrderUpdate": "hlfast.core.updates",
    "TradeUpdate": "hlfast.core.updates",
    "OrderBook": "hlfast.core.order_book",
    "Bbo": "hlfast.core.order_book",
    "TradingRule": "hlfast.core.trading_rule",
    "float_to_wire": "hlfast.core.fixed",
    "Network": "hlfast.config",
    "OrderParams": "hlfast.types",
    "OrderState": "hlfast.types",
    "Trigger": "hlfast.types",
    "Settings": "hlfast.config",
    "HlfastError": "hlfast.errors",
    "OrdersLeft": "hlfast.errors",
    "run": "hlfast.main_loop",
}

__all__ = [*_PUBLIC, "build_info", "connect"]

if TYPE_CHECKING:
    from hlfast.config import Network as Network
    from hlfast.config import Settings as Settings
    from hlfast.core.fixed import float_to_wire as float_to_wire
    from hlfast.core.in_flight_order import InFlightOrder as InFlightOrder
    from hlfast.core.order_book import Bbo as Bbo
    from hlfast.core.order_book import OrderBook as OrderBook
    from hlfast.core.order_tracker import ClientOrderTracker as ClientOrderTracker
    from hlfast.core.trading_rule import TradingRule as TradingRule
    from hlfast.core.updates import OrderUpdate as OrderUpdate
    from hlfast.core.updates import TradeUpdate as TradeUpdate
    from hlfast.errors import HlfastError as HlfastError
    from hlfast.errors import OrdersLeft as OrdersLeft
    from hlfast.main_loop import run as run
    from hlfast.types import OrderParams as OrderParams
    from hlfast.types import OrderState as OrderState
    from hlfast.types import Trigger as Trigger
    from hlfast.venues.hyperliquid.connector import HyperliquidConnector as HyperliquidConnector
    from hlfast.venues.hyperliquid.sign import Signer as Signer


def connect(
    network: str | Network, *, journal: Any = None, metrics: str | None = None, **options: Any
) -> HyperliquidConnector:
    """A connector for `network`: "mainnet", "testnet", "simulator" or a `Network`. Use it with `async with`.

    `key`: private key (hex or 32 bytes), "env:NAME", a file with mode 0600 or a keystore; the simulator needs none.
    `account`: the address to trade for, where the key is an agent's. `vault`: act for a vault or sub-account.
    `settings`: `hlfast.Settings`. `allow`: action types to sign beyond trading. `journal`: a folder in which every
    intent, outcome and fill is kept, and from which a restart takes up its orders; True for the usual one. `metrics`: serve
    them to Prometheus there, for example "127.0.0.1:9090" (docs/metrics.md).
    """
    from hlfast.errors import ConfigError
    from hlfast.venues.hyperliquid.connector import HyperliquidConnector

    connector = HyperliquidConnector(network, **options)
    if connector.settings.postgres is not None:
        if journal is False:
            raise ConfigError("Settings(postgres=...) follows the journal, and journal=False switches that off")
        journal = True if journal is None else journal
    if journal is not None and journal is not False:
        from hlfast.engine.journal import Journal, journal_path

        name, account = connector.network.name, connector.account
        path = journal_path(name, account) if journal is True else journal
        connector.use_journal(Journal(path, network=name, account=account, signer=connector.signer.address))
    if metrics:
        from hlfast.engine.metrics import MetricsServer, of_connector

        connector.serve(MetricsServer(metrics, of_connector(connector, connector.journal, version=__version__)))
    return connector


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        import difflib

        near = difflib.get_close_matches(name, __all__, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module 'hlfast' has no attribute {name!r}{hint}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


def build_info() -> dict[str, Any]:
    """How this build was made: version, compiler, Cython, the switches of setup.py, and its compiled modules."""
    import importlib.machinery
    import platform
    from pathlib import Path

    from hlfast import _build

    root = Path(__file__).parent
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    modules = sorted(
        ".".join(("hlfast", *path.relative_to(root).with_name(path.name.split(".")[0]).parts))
        for path in root.rglob("*")
        if path.name.endswith(suffixes)
    )
    return {
        "version": __version__,
        "debug": _build.DEBUG,
        "trace": _build.TRACE,
        "sanitize": _build.SANITIZE,
        "compiler": _build.COMPILER,
        "cython": _build.CYTHON,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "modules": modules,
    }
