"""An engine as bytes, and back (local exchange, layer 5): what keeps state files short.

    engine = thaw(freeze(engine), engine.universe)          # goes on exactly as the first one would have

Pickle, with two limits: tokens, markets and the universe are constants and are named, not copied (the engine compares
them by identity); and only classes of the exchange and a few plain containers are read back, so that a file from
somewhere else cannot name a function to call. Bytes of one version of hlfast are not for another.
"""

from __future__ import annotations

import importlib
import io
import pickle
from typing import Any

from hlfast.sim.exchange import Exchange
from hlfast.sim.markets import TOKENS, Market, Token
from hlfast.sim.universe import Universe

PLAIN = frozenset(
    {
        ("collections", "deque"),
        ("collections", "defaultdict"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("decimal", "Decimal"),
        ("random", "Random"),
    }
)


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> tuple[str, int] | None:
        if isinstance(obj, Token):
            built_in = next((index for index, token in enumerate(TOKENS) if token is obj), None)
            return ("token", obj.index) if built_in is None else ("built-in", built_in)
        if isinstance(obj, Market):
            return ("market", obj.asset)
        return ("universe", 0) if isinstance(obj, Universe) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, universe: Universe) -> None:
        super().__init__(io.BytesIO(data))
        markets = {market.asset: market for market in universe.markets}
        self._constants: dict[str, Any] = {
            "token": universe.all_tokens,
            "built-in": dict(enumerate(TOKENS)),
            "market": markets,
            "universe": {0: universe},
        }

    def persistent_load(self, pid: Any) -> Any:
        name, index = pid
        return self._constants[name][index]

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) in PLAIN or module_name.startswith("hlfast.sim."):
            found = getattr(importlib.import_module(module_name), global_name, None)
            if isinstance(found, type):
                return found
        raise pickle.UnpicklingError(f"{module_name}.{global_name} does not belong in a snapshot")


def freeze(engine: Exchange) -> bytes:
    """The whole state, between blocks."""
    stream = io.BytesIO()
    _Pickler(stream, protocol=5).dump(engine)
    return stream.getvalue()


def thaw(data: bytes, universe: Universe) -> Exchange:
    """An engine in this state. Raises ValueError for bytes that are no snapshot."""
    try:
        engine = _Unpickler(data, universe).load()
    except (pickle.UnpicklingError, AttributeError, EOFError, ImportError, LookupError, TypeError) as error:
        raise ValueError(f"not a snapshot: {error}") from None
    if not isinstance(engine, Exchange):
        raise ValueError(f"not a snapshot of an exchange: {type(engine).__name__}")
    return engine
