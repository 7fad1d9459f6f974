"""What this process has spent of the venue's request budget, by endpoint (layer 5). Counted, and never in the way.

report("https://api.hyperliquid.xyz")       # weight used and left in this minute, and on what
"""

from __future__ import annotations

from typing import Any

from hlfast.clock import wall_clock_ms
from hlfast.compat.hyperliquid.endpoints import target
from hlfast.venues.hyperliquid.limits import IP_WEIGHT_PER_MINUTE, Limits, action_weight, query_weight

_by_endpoint: dict[str, Limits] = {}


def limits_of(base_url: str) -> Limits:
    where = target(base_url)
    found = _by_endpoint.get(where)
    if found is None:
        found = _by_endpoint.setdefault(where, Limits(enforced=False))
    return found


def spend(base_url: str, payload: Any, is_action: bool) -> None:
    """Count one request."""
    try:
        kind = payload["action"]["type"] if is_action else payload["type"]
        items = 1
        if is_action:
            action = payload["action"]
            listed = action.get("orders") or action.get("cancels") or action.get("modifies") or ()
            items = len(listed) or 1
        weight = action_weight(items) if is_action else query_weight(kind)
        limits_of(base_url).spend(kind, weight, wall_clock_ms(), items if is_action else 0)
    except (KeyError, TypeError, AttributeError):
        pass  # not a request of the venue's


def note_429(base_url: str, headers: Any) -> float:
    """Seconds until a request may succeed: what the answer says, else what the budget of the minute says."""
    limits, now_ms = limits_of(base_url), wall_clock_ms()
    limits.note_429(now_ms)
    try:
        return max(0.0, float(headers.get("Retry-After")))
    except (TypeError, ValueError, AttributeError):
        pass
    wait_ms = limits.blocked_until_ms - now_ms
    if limits.weight.left(now_ms) <= 0:
        wait_ms = max(wait_ms, 10_000)
    return max(0.0, wait_ms / 1000)


def report(base_url: str) -> dict[str, Any]:
    """What is used and left, and who spent it; `weight_used` is out of 1200 a minute."""
    now_ms = wall_clock_ms()
    told = limits_of(base_url).report(now_ms)
    return {**told, "weight_used": IP_WEIGHT_PER_MINUTE - told["weight_left"]}
