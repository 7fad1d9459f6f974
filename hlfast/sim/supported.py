"""What of the venue the local exchange answers (layer 5): by the tables that answer it, so that no list can lag behind."""

from __future__ import annotations

from hlfast.sim.actions import HANDLERS
from hlfast.sim.feeds import FEEDS
from hlfast.sim.info import ANSWERS

SUPPORTED: dict[str, frozenset[str]] = {
    "info requests": frozenset(ANSWERS),
    "actions": frozenset((*HANDLERS, "multiSig")),
    "subscriptions": frozenset(FEEDS),
}
