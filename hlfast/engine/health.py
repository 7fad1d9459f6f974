"""Health: is this process able to trade, and why not (layer 4, cold); one look, without asking the venue.

A loop that is held up hears of nothing: `LoopWatch` measures by how much a timer of its own comes too late, and warns when
that grows. The usual cause is a hook that takes too long; a full collection or a machine without a free core are others.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from hlfast import clock
from hlfast.core.connector_base import ConnectorBase

log = logging.getLogger("hlfast")

LOOK_SECONDS = 0.05
SLOW_MS = 100.0
"""From here on a delay is told; again each time that it doubles."""


class LoopWatch:
    """Delays of the running event loop, in ms, between `start` and `stop`."""

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self.last_ms = 0.0
        self.slow = 0
        """How often it was later than `SLOW_MS`."""
        self._told_ms = SLOW_MS
        self._due_ns = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due_ns = clock.monotonic_ns() + int(LOOK_SECONDS * 1e9)
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.last_ms = max(0.0, (clock.monotonic_ns() - self._due_ns) / 1e6)
        self.worst_ms = max(self.worst_ms, self.last_ms)
        if self.last_ms > SLOW_MS:
            self.slow += 1
        if self.last_ms > self._told_ms:
            self._told_ms = 2 * self.last_ms
            log.warning(
                "the event loop was held up for %.0f ms: a hook that takes so long, or no free core", self.last_ms
            )
        self.start()


def health(connector: ConnectorBase, watch: LoopWatch | None = None) -> dict[str, Any]:
    """`ok`, `why` (a list of sentences, empty if ok), and the figures behind it."""
    unresolved = [order.client_order_id for order in connector.orders if order.unresolved]
    stale = [coin for coin in connector.status.get("watched", ()) if connector.book(coin).is_stale]
    journal = getattr(connector, "journal", None)
    state = str(journal.state) if journal is not None and hasattr(journal, "state") else ""
    why = []
    if not connector.is_connected:
        why.append("the account's stream is not live")
    elif not connector.ready:
        why.append(connector.status.get("why_not_ready") or "the connector is not ready")
    if stale:
        why.append(f"stale books: {', '.join(stale)}")
    if unresolved:
        why.append(f"{len(unresolved)} orders have no known outcome yet")
    if state not in ("", "RUNNING"):
        why.append(f"the journal is {state}")
    return {
        "ok": not why,
        "why": why,
        "ready": connector.ready,
        "unresolved_orders": unresolved,
        "stale_books": stale,
        "journal": state or None,
        "loop_delay_ms": {"last": round(watch.last_ms, 3), "worst": round(watch.worst_ms, 3), "slow": watch.slow}
        if watch is not None
        else None,
    }
