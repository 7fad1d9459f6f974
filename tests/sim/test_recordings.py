"""Every answer and frame of the exchange has the keys and types of the venue's recordings of its kind. L66.

A *shape* is a set of paths with their types: `assetPositions[].position.szi: str`. Ours must have every path that all
recordings of the kind have, and none that no recording and no line of the protocol reference (EXTRA) has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .desk import ALICE, BOB, SUB_ACCOUNT, Client, Desk, Floor, trigger, wire

ETH, PURR = 1, 10_000

EXTRA: dict[str, set[str]] = {
    "historicalOrders": {"[].order.tif: NoneType"},
    "userRateLimit": {".nRequestsSurplus: int"},
}
"""Newer than the recordings; in the protocol reference."""
MAY_LACK: dict[str, set[str]] = {
    "clearinghouseState": {".assetPositions[].position.leverage.rawUsd: str"},
    "metaAndAssetCtxs": {"[].universe[].marginMode: str", "[].universe[].onlyIsolated: bool"},
}
"""Only where it applies."""


def shape(value: Any, path: str = "") -> Iterator[str]:
    """All paths of a JSON value with their types."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from shape(item, f"{path}.{key}")
    elif isinstance(value, list):
        yield f"{path}: list"
        for item in value:
            yield from shape(item, path + "[]")
    else:
        yield f"{path}: {type(value).__name__}"


def bare(paths: set[str]) -> set[str]:
    return {path.rpartition(": ")[0] for path in paths}


def compare(kind: str, ours: Any, recorded: list[Any]) -> None:
    """Ours against all recordings of its kind."""
    assert recorded, f"nothing recorded of {kind}"
    found = set(shape(ours))
    theirs = [set(shape(value)) for value in recorded]
    known = set().union(*theirs) | EXTRA.get(kind, set())
    nullable = {path.rpartition(": ")[0] for path in known if path.endswith(": NoneType")}
    strange = {p for p in found - known if not (p.endswith(": NoneType") and p.rpartition(": ")[0] in nullable)}
    # a value may be null here and text there, and the other way round
    strange = {p for p in strange if p.rpartition(": ")[0] not in nullable}
    assert not strange, f"{kind}: no recording has {sorted(strange)}"
    full = [bare(paths) for paths in theirs]
    always = set.intersection(*full) - bare(MAY_LACK.get(kind, set()))
    reached = {path for path in always if parent(path) in parents(bare(found))}
    missing = reached - bare(found)
    assert not missing, f"{kind}: every recording has {sorted(missing)}"


def parent(path: str) -> str:
    return path.removesuffix("[]").rpartition(".")[0]


def parents(paths: set[str]) -> set[str]:
    return {parent(path) for path in paths}


def replies(shared: Path, kind: str, wanted: str = "") -> list[Any]:
    """Recorded replies of an info request, those with `wanted` in them."""
    lines = (shared / "fixtures" / "venue" / f"http_info_{kind}.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [e["response"] for e in entries if e["recorded"] and wanted in json.dumps(e["response"])]


def frames(shared: Path, channel: str, wanted: str = "") -> list[Any]:
    lines = (shared / "fixtures" / "venue" / f"ws_{channel}.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [json.loads(entry["raw"]) for entry in entries if entry["recorded"] and wanted in entry["raw"]]


@pytest.fixture
async def busy(open_floor: Any) -> tuple[Floor, Client]:
    """An exchange on which Alice has done a little of everything."""
    floor: Floor = await open_floor(traders=True, agents={"0x" + "a1" * 20: ALICE.address})
    client = await floor.connected(ALICE)
    alice = floor.exchange.engine.accounts[client.address]
    await client.place(wire(ETH, "buy", "3800", "0.5", "Ioc"))
    await client.place(
        wire(ETH, "buy", "3000", "0.5", cloid="0x" + "c1" * 16), wire(ETH, "sell", "3900", "0.1", reduce_only=True)
    )
    await client.post(
        {"type": "order", "orders": [trigger(ETH, "sell", "2000", "0.2", "2500", "sl")], "grouping": "na"}
    )
    await client.place(wire(PURR, "buy", "0.3", "200", "Ioc"))
    alice.fundings.append(
        {
            "time": 1,
            "hash": "0x0",
            "delta": {
                "type": "funding",
                "coin": "ETH",
                "usdc": "1.0",
                "szi": "1.0",
                "fundingRate": "0.1",
                "nSamples": None,
            },
        }
    )
    return floor, client


INFO: list[tuple[str, dict[str, Any], str]] = [
    ("meta", {}, "marginTables"),
    ("spotMeta", {}, "isCanonical"),
    ("metaAndAssetCtxs", {}, "marginTableId"),
    ("spotMetaAndAssetCtxs", {}, "circulatingSupply"),
    ("l2Book", {"coin": "ETH"}, '"levels"'),
    ("clearinghouseState", {"user": ALICE.address}, '"cumFunding"'),
    ("spotClearinghouseState", {"user": ALICE.address}, '"entryNtl"'),
    ("openOrders", {"user": ALICE.address}, '"oid"'),
    ("frontendOpenOrders", {"user": ALICE.address}, '"oid"'),
    ("orderStatus", {"user": ALICE.address, "oid": "0x" + "c1" * 16}, '"tif"'),
    ("historicalOrders", {"user": ALICE.address}, '"oid"'),
    ("userFills", {"user": ALICE.address}, '"twapId"'),
    ("userFillsByTime", {"user": ALICE.address, "startTime": 0}, '"oid"'),
    ("userFunding", {"user": ALICE.address}, '"fundingRate"'),
    ("userRateLimit", {"user": ALICE.address}, "cumVlm"),
    ("activeAssetData", {"user": ALICE.address, "coin": "ETH"}, "maxTradeSzs"),
]


async def test_answers_have_the_keys_and_types_of_the_recordings(busy: tuple[Floor, Client], shared: Path) -> None:
    _, client = busy
    compared = 0
    for kind, query, wanted in INFO:
        recorded = replies(shared, kind, wanted)
        if recorded:
            compare(kind, await client.info(kind, **query), recorded)
            compared += 1
    assert compared >= 12


async def test_frames_have_the_keys_and_types_of_the_recordings(busy: tuple[Floor, Client], shared: Path) -> None:
    floor, client = busy
    seen: dict[str, Any] = {}
    subscriptions: list[tuple[str, str, dict[str, Any]]] = [
        ("l2Book", "l2Book", {"coin": "ETH"}),
        ("bbo", "bbo", {"coin": "ETH"}),
        ("trades", "trades", {"coin": "ETH"}),
        ("activeAssetCtx", "activeAssetCtx", {"coin": "ETH"}),
        ("orderUpdates", "orderUpdates", {"user": client.address}),
        ("userEvents", "user", {"user": client.address}),
    ]
    for kind, channel, fields in subscriptions:
        await client.subscribe(kind, **fields)
        if kind in ("orderUpdates", "userEvents"):
            other = await floor.connected(BOB)
            await other.subscribe(kind, user=other.address)
            await other.place(wire(ETH, "buy", "3800", "0.1", "Ioc"))
            parsed = [json.loads(frame) for frame in other.frames if frame.startswith("{")]
            seen[channel] = next(frame["data"] for frame in parsed if frame["channel"] == channel)
        else:
            seen[channel] = await client.until(channel)
    compared = 0
    for channel, frame in seen.items():
        recorded = frames(shared, channel, '"channel"')
        if recorded:
            compare(channel, {"channel": channel, "data": frame}, recorded)
            compared += 1
    assert compared >= 4


def test_answers_of_actions_have_the_recorded_form(desk: Desk, shared: Path) -> None:
    """Recorded testnet answers: resting with and without cloid, an item's error, a cancel, a whole-action error."""
    lines = (shared / "fixtures" / "venue" / "exchange_responses.jsonl").read_text().splitlines()
    recorded = [entry["response"] for entry in map(json.loads, lines) if entry["recorded"]]
    ours = [
        desk.act(ALICE, {"type": "order", "orders": [wire(ETH, "buy", "3000", "1", cloid=c)], "grouping": "na"})
        for c in (None, "0x" + "1" * 32)
    ]
    ours.append(desk.act(ALICE, {"type": "order", "orders": [wire(ETH, "buy", "3000", "0.001")], "grouping": "na"}))
    ours.append(desk.act(ALICE, {"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 99}))
    forms = {tuple(sorted(shape(answer))) for answer in recorded}
    assert len(forms) >= 3
    for answer in ours:
        assert tuple(sorted(shape(answer))) in forms, answer


async def test_brackets_show_as_recorded(open_floor: Any, shared: Path) -> None:
    """The recording lists a bracket's children both by themselves and under their parent; so do we."""
    floor: Floor = await open_floor(sub_accounts={SUB_ACCOUNT: ALICE.address})
    client = await floor.connected(ALICE)
    legs = [
        wire(ETH, "buy", "3400", "1"),
        trigger(ETH, "sell", "3300", "1", "3350", "sl"),
        trigger(ETH, "sell", "3700", "1", "3600", "tp"),
    ]
    await client.post({"type": "order", "orders": legs, "grouping": "normalTpsl"})
    lines = (shared / "fixtures" / "venue" / "http_info_frontendOpenOrders.jsonl").read_text().splitlines()
    recorded = [entry["response"] for entry in map(json.loads, lines) if entry["recorded"]]
    ours = await client.info("frontendOpenOrders", user=client.address)
    (theirs,) = (rows for rows in recorded if any(row["children"] for row in rows))
    summary = [
        sorted((row["orderType"], row["isTrigger"], row["tif"], len(row["children"])) for row in rows)
        for rows in ([{**r, "tif": r["tif"] or ""} for r in answer] for answer in (ours, theirs))
    ]
    assert summary[0] == summary[1]
    conditions = {row["triggerCondition"] for row in ours}
    assert conditions == {"N/A", "Price below 3350", "Price above 3600"}
    parent_row = next(row for row in ours if row["children"])
    assert {child["oid"] for child in parent_row["children"]} < {row["oid"] for row in ours}
