"""Prices that this process's own streams have just shown (layer 5): they save `market_open` a query.

The WebSocket managers keep the newest frame of each market stream; `mid(base_url, coin)` reads one that came within the
last second, as the venue makes its mids: half way between best bid and best ask.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from typing import Any

from hlfast.clock import epoch_ns
from hlfast.compat.hyperliquid.endpoints import target

MAX_AGE_NS = 1_000_000_000

_managers: weakref.WeakSet[Any] = weakref.WeakSet()


def register(manager: Any) -> None:
    """`manager.base_url`, and `manager.latest`: identifier → (source, frame as bytes, epoch ns of its arrival)."""
    _managers.add(manager)


def mid(base_url: str, coin: str, dex: str) -> float | None:
    """The coin's mid price, if a fresh frame has it."""
    if not _managers:
        return None
    where, oldest = target(base_url), epoch_ns() - MAX_AGE_NS
    name = coin.lower()
    for manager in list(_managers):
        if target(manager.base_url) != where:
            continue
        for identifier in (f"bbo:{name}", f"l2Book:{name}", "allMids"):
            held = manager.latest.get(identifier)
            if held is not None and held[2] >= oldest:
                for price in _read(identifier, held[1], coin, dex):
                    return price
    return None


def _read(identifier: str, frame: bytes, coin: str, dex: str) -> Iterator[float]:
    try:
        data = json.loads(frame)["data"]
        if identifier == "allMids":
            if data.get("dex", "") == dex:
                yield float(data["mids"][coin])
            return
        if data["coin"] != coin or "spread" in data:  # aggregated books have rounded prices
            return
        bid, ask = data["bbo"] if "bbo" in data else (side[0] for side in data["levels"])
        yield (float(bid["px"]) + float(ask["px"])) / 2
    except (KeyError, TypeError, ValueError, IndexError):
        pass  # a side is empty, or another shape
