"""What an order-book server says of a `Stream`, spelled as the server spells it (section 8.3 of the protocol)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import orjson

from .model import Stream, time_of

COIN = "BTC"


def number(value: int) -> str:
    return f"{value}.0"


def order_json(
    order: dict[str, Any], *, user: str | None, tif: str = "Gtc", is_trigger: bool = False
) -> dict[str, Any]:
    return {
        "user": user, "coin": COIN, "side": "B" if order["is_buy"] else "A", "limitPx": number(order["px"]),
        "sz": number(order["sz"]), "oid": order["oid"], "timestamp": order["time"], "triggerCondition": "N/A",
        "isTrigger": is_trigger, "triggerPx": "0.0", "isPositionTpsl": False, "reduceOnly": False, "orderType": "Limit",
        "tif": tif, "cloid": order["cloid"],
    }  # fmt: skip


def iso(ms: int) -> str:
    text = datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % 1000:03d}"


def status_json(order: dict[str, Any], status: str = "open", **more: Any) -> dict[str, Any]:
    return {
        "time": iso(order["time"]),
        "user": order["user"],
        "status": status,
        "order": order_json(order, user=None, **more),
    }


def diff_json(row: dict[str, Any]) -> dict[str, Any]:
    what: Any = "remove"
    if row["kind"] == "new":
        what = {"new": {"sz": number(row["sz"])}}
        if row["before"] is not None:
            what["new"]["insertBefore"] = row["before"]
    elif row["kind"] == "update":
        what = {"update": {"origSz": number(row["was"]), "newSz": number(row["sz"])}}
    return {"user": row["user"], "oid": row["oid"], "px": number(row["px"]), "coin": COIN, "raw_book_diff": what}


def updates(height: int, came: list[dict[str, Any]], rows: list[dict[str, Any]], extra: tuple[Any, ...] = ()) -> bytes:
    block = {
        "time": time_of(height), "height": height, "order_statuses": [*(status_json(order) for order in came), *extra],
        "book_diffs": [diff_json(row) for row in rows],
    }  # fmt: skip
    return orjson.dumps({"channel": "l4Book", "data": {"Updates": block}})


def snapshot(stream: Stream) -> bytes:
    sides: list[list[Any]] = [[], []]
    for (is_buy, _), queue in stream.model.queues.items():
        for oid in queue:
            order = stream.model.orders[oid]
            sides[0 if is_buy else 1].append(order_json(order, user=order["user"]))
    content = {"coin": COIN, "time": time_of(stream.height), "height": stream.height, "levels": sides}
    return orjson.dumps({"channel": "l4Book", "data": {"Snapshot": content}})


def l2book(stream: Stream, depth: int = 20) -> bytes:
    levels = [
        [{"px": number(px), "sz": number(sz), "n": n} for px, sz, n in stream.model.levels(is_buy)[:depth]]
        for is_buy in (True, False)
    ]
    content = {"coin": COIN, "time": time_of(stream.height), "levels": levels}
    return orjson.dumps({"channel": "l2Book", "data": content})
