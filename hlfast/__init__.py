"""hlfast: a compiled, dependable Hyperliquid connector with its own local exchange.

Public names only; each is imported when it is first used, so that `import hlfast` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "OrderBook": "hlfast.core.order_book",
    "Bbo": "hlfast.core.order_book",
    "TradingRule": "hlfast.core.trading_rule",
    "float_to_wire": "hlfast.core.fixed",
    "Network": "hlfast.config",
    "OrderParams": "hlfast.types",
    "OrderState": "hlfast.types",
    "HlfastError": "hlfast.errors",
}

__all__ = [*_PUBLIC, "build_info"]

if TYPE_CHECKING:
    from hlfast.config import Network
    from hlfast.core.fixed import float_to_wire
    from hlfast.core.order_book import Bbo, OrderBook
    from hlfast.core.trading_rule import TradingRule
    from hlfast.errors import HlfastError
    from hlfast.types import OrderParams, OrderState


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
