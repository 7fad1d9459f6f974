"""hlfast: a compiled, dependable Hyperliquid connector with its own local exchange.

Public names only; each is imported when it is first used, so that `import hlfast` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
}

__all__ = [*_PUBLIC, "build_info", "connect", "run"]

if TYPE_CHECKING:
    from collections.abc import Coroutine

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
    from hlfast.types import OrderParams as OrderParams
    from hlfast.types import OrderState as OrderState
    from hlfast.types import Trigger as Trigger
    from hlfast.venues.hyperliquid.connector import HyperliquidConnector as HyperliquidConnector
    from hlfast.venues.hyperliquid.sign import Signer as Signer

_T = TypeVar("_T")

ORDERS_LEFT_EXIT = 3
"""Exit code of a process that was told to stop and could not cancel all of its orders."""


def run(coro: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end on uvloop, as `asyncio.run` does on the standard loop.

    Ctrl-C and SIGTERM end it in good order: the coroutine is cancelled, its `finally` and `async with` parts run (with
    `Settings(on_stop="cancel")` a connector then cancels its orders), and the process ends with 130 or 143. With 3 it
    ends where orders may still rest that were to be cancelled. A second signal cuts the waiting short.
    """
    import asyncio
    import signal
    import sys
    import threading

    import uvloop

    from hlfast.errors import OrdersLeft

    async def until_told() -> _T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        told: list[int] = []

        def stop(number: int) -> None:
            told.append(number)
            task.cancel()

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop, number)
        try:
            return await coro
        except asyncio.CancelledError:
            if not told:
                raise
            if told[0] == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(128 + told[0]) from None
        except OrdersLeft as left:
            if told:
                print(f"hlfast: {left}", file=sys.stderr)
                raise SystemExit(ORDERS_LEFT_EXIT) from None
            raise

    if sys.version_info >= (3, 11):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(until_told())
    uvloop.install()
    return asyncio.run(until_told())


def connect(network: str | Network, *, journal: Any = None, **options: Any) -> HyperliquidConnector:
    """A connector for `network`: "mainnet", "testnet", "simulator" or a `Network`. Use it with `async with`.

    `key`: private key (hex or 32 bytes), "env:NAME", a file with mode 0600 or a keystore; the simulator needs none.
    `account`: the address to trade for, where the key is an agent's. `vault`: act for a vault or sub-account.
    `settings`: `hlfast.Settings`. `allow`: action types to sign beyond trading. `journal`: a folder in which every
    intent, outcome and fill is kept, and from which a restart takes up its orders; True for the usual one.
    """
    from hlfast.venues.hyperliquid.connector import HyperliquidConnector

    connector = HyperliquidConnector(network, **options)
    if journal is not None and journal is not False:
        from hlfast.engine.journal import Journal, journal_path

        name, account = connector.network.name, connector.account
        path = journal_path(name, account) if journal is True else journal
        connector.use_journal(Journal(path, network=name, account=account, signer=connector.signer.address))
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
