"""Putting the drop-in in the place of the official SDK, in this process (layer 5). Nothing is written to disk."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from types import ModuleType

OURS = "hlfast.compat.hyperliquid"
MODULES = (
    "",
    ".api",
    ".exchange",
    ".info",
    ".utils",
    ".utils.constants",
    ".utils.error",
    ".utils.signing",
    ".utils.types",
    ".websocket_manager",
)
"""The SDK's modules, by what follows its name."""

_replaced: dict[str, ModuleType] | None = None


def install(*, force: bool = False) -> None:
    """From now on `import hyperliquid` gives the drop-in: the same module objects, so patches reach it.

    Raises `RuntimeError` if the real one has been imported (half of the classes would be its); `force` replaces it.
    """
    global _replaced
    ours = {f"hyperliquid{part}": import_module(OURS + part) for part in MODULES}
    there = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "hyperliquid"}
    foreign = {name: module for name, module in there.items() if ours.get(name) is not module}
    if foreign and not force:
        raise RuntimeError(
            f"{', '.join(sorted(foreign))} of the official SDK is imported already: call install() before the first "
            "`import hyperliquid`, or install(force=True) to replace it where it is imported from now on"
        )
    if foreign:
        warnings.warn(
            f"replacing {', '.join(sorted(foreign))}: what was imported from there before stays the official SDK's",
            RuntimeWarning,
            stacklevel=2,
        )
    if _replaced is None:
        _replaced = there
    for name in there:
        del sys.modules[name]
    sys.modules.update(ours)


def uninstall() -> None:
    """Put back what `install` replaced. Does nothing if it is not installed."""
    global _replaced
    if _replaced is None:
        return
    for name in [name for name in sys.modules if name.split(".")[0] == "hyperliquid"]:
        del sys.modules[name]
    sys.modules.update(_replaced)
    _replaced = None
