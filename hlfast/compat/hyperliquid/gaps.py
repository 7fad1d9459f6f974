"""What a lost connection missed (layer 5): the venue repeats neither `userEvents` nor `orderUpdates`, so it is asked.

After a reconnect, once the subscription is acknowledged, one `userFillsByTime` (or one for each 2,000 fills) or
`historicalOrders` says what happened;
what no frame has told becomes an ordinary frame of its channel, oldest first, before the frames that follow. Fills are
told apart by (coin, time, tid, oid), changes of orders by (oid, status, statusTimestamp). Funding payments and
`nonUserCancel` rows are not asked for: `userFundings` repeats the former, `orderUpdates` has the latter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlfast.compat.hyperliquid.sockets import Stream

MARGIN_MS = 60_000
"""How far before the drop to look: a connection may be mute before it is found out."""
KEPT = 20_000
ATTEMPTS = 3
PAGE = 2_000
"""Fills in one answer of the venue: so many mean that there are more."""
_ROW = ("coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz", "cloid")


def _fill_key(fill: Any) -> Any:
    return fill["coin"], fill["time"], fill.get("tid"), fill["oid"]


def _row_key(row: Any) -> Any:
    return row["order"]["oid"], row["status"], row["statusTimestamp"]


def _rows_of(stream: Stream, frame: Any) -> tuple[list[Any] | None, Callable[[Any], Any]]:
    data = frame["data"]
    if stream.kind == "orderUpdates":
        return data, _row_key
    return data.get("fills"), _fill_key


def note(stream: Stream, frame: Any) -> Any:
    """Remember what a live frame tells. Returns the frame without what has been told already, or None if that was all."""
    try:
        rows, key_of = _rows_of(stream, frame)
        if not rows:
            return frame
        seen = stream.seen
        keys = [key_of(row) for row in rows]
        news = [row for row, key in zip(rows, keys, strict=True) if key not in seen] if stream.filled else rows
    except (KeyError, TypeError, AttributeError):
        return frame
    seen.update(dict.fromkeys(keys))
    if len(seen) > 2 * KEPT:
        for key in list(seen)[:KEPT]:
            del seen[key]
    if len(news) == len(rows):
        return frame
    if not news:
        return None
    return {**frame, "data": news if stream.kind == "orderUpdates" else {**frame["data"], "fills": news}}


def _asked(ask: Callable[[dict[str, Any]], Any], query: dict[str, Any], is_over: Callable[[float], bool]) -> Any:
    for attempt in range(ATTEMPTS):
        try:
            return ask(query)
        except Exception:
            if attempt == ATTEMPTS - 1 or is_over(0.5 * 2**attempt):
                raise
    raise AssertionError("unreachable")


def missed(stream: Stream, ask: Callable[[dict[str, Any]], Any], is_over: Callable[[float], bool]) -> Any:
    """A frame with what `stream` has missed, or None. `ask(query)` posts to /info; `is_over(seconds)` waits or says stop.

    Raises what `ask` raises after some attempts.
    """
    start_ms = max(stream.since_ms, stream.down_ms - MARGIN_MS)
    user = stream.subscription.get("user", "")
    is_orders = stream.kind == "orderUpdates"
    query: dict[str, Any] = {"type": "historicalOrders", "user": user}
    if not is_orders:
        query = {
            "type": "userFillsByTime",
            "user": user,
            "startTime": start_ms,
            "endTime": None,
            "aggregateByTime": False,
        }
    answer = _asked(ask, query, is_over)
    page = answer
    while not is_orders and len(page) >= PAGE and page[-1]["time"] > query["startTime"]:
        query = {**query, "startTime": page[-1]["time"]}  # the oldest come first; those of that moment come again
        page = _asked(ask, query, is_over)
        answer = answer + page
    stream.filled = True
    rows = []
    for row in answer:
        try:
            key = _row_key(row) if is_orders else _fill_key(row)
            when = row["statusTimestamp"] if is_orders else row["time"]
        except (KeyError, TypeError):
            continue
        if when >= start_ms and key not in stream.seen:
            stream.seen[key] = None
            rows.append((when, row))
    if not rows:
        return None
    if is_orders:
        rows.reverse()  # this answer begins with the newest
    rows.sort(key=lambda pair: pair[0])
    if is_orders:
        found = [
            {
                "order": {name: row["order"][name] for name in _ROW if row["order"].get(name) is not None},
                "status": row["status"],
                "statusTimestamp": row["statusTimestamp"],
            }
            for _, row in rows
        ]
        return {"channel": "orderUpdates", "data": found}
    return {"channel": "user", "data": {"fills": [row for _, row in rows]}}
