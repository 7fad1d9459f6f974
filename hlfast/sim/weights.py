"""What one IP may do (local exchange, layer 5): the venue's REST weights and WebSocket caps, off unless asked for.

    Limits(caps("real"), pace).spend("127.0.0.1", weight_of_query("l2Book", None))

`caps(limits)` takes "off" (bounds that only keep memory finite), "real", or a factor of the real ones (0.1: a tenth).
Minutes are those of the exchange's time, so a faster pace has shorter ones; a budget is whole again with each minute.
The venue does not publish what it does to a client beyond its 2000 messages a minute: here the connection is closed
with code 1008. Handshakes beyond the connection caps are answered with HTTP 429.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from hlfast.errors import ConfigError
from hlfast.sim.actions import items
from hlfast.sim.pace import Pace
from hlfast.venues.hyperliquid.endpoints import QUERIES

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Caps:
    """Of one IP: per minute where the name says so, at the same time otherwise."""

    weight_per_minute: int = 1200
    connections: int = 10
    new_connections_per_minute: int = 30
    subscriptions: int = 1000
    users: int = 10
    messages_per_minute: int = 2000
    posts_in_flight: int = 100


OFF = Caps(1 << 60, 10_000, 1 << 60, 100_000, 100_000, 1 << 60, 100_000)

LimitsOption: TypeAlias = str | float | Caps


def caps(limits: LimitsOption) -> Caps:
    """What an option means. Raises ConfigError."""
    if isinstance(limits, Caps):
        return limits
    if limits == "off":
        return OFF
    try:
        factor = 1.0 if limits == "real" else float(limits)
    except ValueError:
        factor = 0.0
    if isinstance(limits, bool) or not 0 < factor < 1e6:
        raise ConfigError(f'limits must be "off", "real" or a factor of the real ones above 0, got {limits!r}')
    real = Caps()
    return Caps(*(max(1, int(getattr(real, each.name) * factor)) for each in fields(Caps)))


def weight_of_action(action: dict[str, Any]) -> int:
    return 1 + items(action) // 40


def weight_of_query(kind: str, answer: Any) -> int:
    """Of one info request with this answer."""
    entry = QUERIES.get(kind)
    rows = len(answer) if isinstance(answer, list) else 0
    return 20 if entry is None else entry.weight + (rows // entry.per_rows if entry.per_rows else 0)


class Spent:
    """What one IP has used in the present minute, and what it holds open."""

    __slots__ = ("connections", "messages", "minute", "new_connections", "weight")

    def __init__(self) -> None:
        self.minute = -1
        self.weight = self.messages = self.new_connections = self.connections = 0


class Limits:
    """Counts by IP."""

    def __init__(self, caps: Caps, pace: Pace) -> None:
        self.caps = caps
        self.refused = {"weight": 0, "messages": 0, "connections": 0}
        self._pace = pace
        self._spent: dict[str, Spent] = {}

    def _of(self, ip: str) -> Spent:
        spent = self._spent.get(ip)
        if spent is None:
            spent = self._spent[ip] = Spent()
        minute = self._pace.now_ms() // MINUTE_MS
        if minute != spent.minute:
            spent.minute = minute
            spent.weight = spent.messages = spent.new_connections = 0
        return spent

    def has_weight(self, ip: str) -> bool:
        """Whether another request may be made now; if not, that is a 429."""
        if self._of(ip).weight < self.caps.weight_per_minute:
            return True
        self.refused["weight"] += 1
        return False

    def spend(self, ip: str, weight: int) -> None:
        self._of(ip).weight += weight

    def admits_connection(self, ip: str) -> bool:
        """Count a handshake; if admitted, `disconnected` must follow."""
        spent = self._of(ip)
        if spent.connections >= self.caps.connections or spent.new_connections >= self.caps.new_connections_per_minute:
            self.refused["connections"] += 1
            return False
        spent.connections += 1
        spent.new_connections += 1
        return True

    def disconnected(self, ip: str) -> None:
        self._of(ip).connections -= 1

    def admits_message(self, ip: str) -> bool:
        spent = self._of(ip)
        spent.messages += 1
        if spent.messages <= self.caps.messages_per_minute:
            return True
        self.refused["messages"] += 1
        return False
