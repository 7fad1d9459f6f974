"""A TWAP through the connector: placed, watched on its streams, cancelled; its fills are the account's fills."""

from __future__ import annotations

from typing import Any

import pytest

from hlfast.engine.audit import differences
from hlfast.errors import VenueReject


async def test_a_twap_is_placed_watched_and_cancelled(open_exchange: Any, trader: Any, eventually: Any) -> None:
    """Given made time at the exchange, then slices come every 30 s as fills of the account, on the TWAP's own streams too, and
    cash, fees and position agree with the exchange's record."""
    exchange = await open_exchange(speed=300.0)
    exchange.change("set_mark", "BTC", "50000")
    exchange.change("rest", "BTC", "sell", "50010", "10")
    hl = await trader(0, on=exchange, allow=["twapOrder", "twapCancel"])
    before = exchange.truth(hl.account)
    seen: dict[str, list[Any]] = {"userTwapHistory": [], "userTwapSliceFills": [], "twapStates": []}
    for name, events in seen.items():
        hl.streams.on(name, events.append)
    await eventually(lambda: all(seen.values()))
    answer = await hl.actions.twap_order({"a": 0, "b": True, "s": "0.1", "r": False, "m": 30, "t": False})
    twap_id = answer["data"]["status"]["running"]["twapId"]
    await eventually(lambda: len(seen["userTwapSliceFills"]) > 3)
    await hl.actions.twap_cancel("BTC", twap_id)
    await eventually(lambda: len(seen["userTwapHistory"]) >= 3)
    rows = [row for event in seen["userTwapHistory"] for row in event.data["history"]]
    assert [row["status"]["status"] for row in rows] == ["activated", "terminated"]
    assert [row["status"]["status"] for row in await hl.info.twap_history(hl.account)] == ["terminated", "activated"]
    fills = await hl.info.user_twap_slice_fills(hl.account)
    assert {fill["twapId"] for fill in fills} == {twap_id} and seen["twapStates"][-1].data["states"] == []
    await eventually(lambda: hl.ledger["fills"] == len(fills))
    assert differences(hl.ledger, exchange.truth(hl.account), before) == []
    assert str(hl.positions["BTC"].signed_size) == rows[-1]["state"]["executedSz"].rstrip("0")
    with pytest.raises(VenueReject, match="never placed, already canceled, or filled") as gone:
        await hl.actions.twap_cancel("BTC", twap_id)
    assert gone.value.code == "not_live"
    with pytest.raises(VenueReject, match="Invalid TWAP duration"):
        await hl.actions.twap_order({"a": 0, "b": True, "s": "0.1", "r": False, "m": 1, "t": False})
