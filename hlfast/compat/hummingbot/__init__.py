"""Hummingbot's vocabulary and connector interface on hlfast's compiled core (layer 5).

The folders below mirror Hummingbot's module paths: names, enums, records, events, tracker, book, fees (testable alone), and two standalone
connectors. `install_alias()` makes `import hummingbot.…` give these very modules, where no real Hummingbot is.

    from hlfast.compat.hummingbot.connector.derivative.hyperliquid_perpetual.hyperliquid_perpetual_derivative import (
        HyperliquidPerpetualDerivative,
    )
    connector = HyperliquidPerpetualDerivative(trading_pairs=["BTC-USD"], domain="simulator")
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

ALIAS = "hummingbot"


class _SameModule(Loader):
    """Gives the module object that stands here: `hummingbot.x is hlfast.compat.hummingbot.x`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_here(spec.name))
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has put the alias's in its place


class _Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != ALIAS and not name.startswith(ALIAS + "."):
            return None
        there = importlib.util.find_spec(_here(name))
        if there is None:
            return None
        return ModuleSpec(name, _SameModule(), is_package=there.submodule_search_locations is not None)


_finder = _Finder()


def _here(name: str) -> str:
    return __name__ + name[len(ALIAS) :]


def install_alias() -> None:
    """From here on `hummingbot` and its submodules are the modules of this package. Sets the global logger class too.

    Raises `RuntimeError` where a real Hummingbot is importable or already imported. May be called again.
    """
    if _finder in sys.meta_path:
        return
    loaded = sys.modules.get(ALIAS)
    if loaded is not None or importlib.util.find_spec(ALIAS) is not None:
        raise RuntimeError(
            "a real Hummingbot is installed or imported here; the alias would hide it. Import "
            "hlfast.compat.hummingbot... by its own name, or use another environment"
        )
    from hlfast.compat.hummingbot.logger import HummingbotLogger

    sys.meta_path.insert(0, _finder)
    logging.setLoggerClass(HummingbotLogger)


def remove_alias() -> None:
    """Undo `install_alias()`."""
    if _finder not in sys.meta_path:
        return
    sys.meta_path.remove(_finder)
    for name in [name for name in sys.modules if name == ALIAS or name.startswith(ALIAS + ".")]:
        del sys.modules[name]
    logging.setLoggerClass(logging.Logger)
