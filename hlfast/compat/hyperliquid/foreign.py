"""Names of other libraries that the official SDK's modules show (layer 5): imported when somebody asks for one.

Importing eth-account alone costs about half a second, so nothing here is loaded for those who do not look.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def names(module: str, **where: str) -> Callable[[str], Any]:
    """A module's `__getattr__`: `name="package.module"` or `name="package.module:attribute"`."""

    def look_up(name: str) -> Any:
        place = where.get(name)
        if place is not None:
            path, _, attribute = place.partition(":")
            try:
                found: Any = import_module(path)
                return getattr(found, attribute) if attribute else found
            except ImportError:
                pass
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return look_up
