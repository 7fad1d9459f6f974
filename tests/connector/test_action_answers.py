"""What `hl.actions` gives back: the venue's response, statuses as it spelled them."""

from __future__ import annotations

from typing import Any


def order(px: str, sz: str, tif: str = "Gtc", side: bool = True, **more: Any) -> dict[str, Any]:
    return {"a": 0, "b": side, "p": px, "s": sz, "r": False, "t": {"limit": {"tif": tif}}, **more}


async def test_statuses_of_orders_and_cancels_are_in_the_answer(exchange: Any, trader: Any) -> None:
    """Given orders that rest, fill, are refused or wait, and cancels, then each status stands in the answer in its place."""
    exchange.change("set_mark", "BTC", "50000")
    exchange.change("rest", "BTC", "sell", "50010", "1")
    hl = await trader(0)
    cloid = "0x" + "0f" * 16
    answer = await hl.actions.order(
        [order("49000", "0.01", c=cloid), order("50010", "0.01", "Ioc"), order("50010", "0.01", "Alo")]
    )
    resting, filled, refused = answer["data"]["statuses"]
    assert answer["type"] == "order" and resting["resting"]["cloid"] == cloid
    assert (filled["filled"]["totalSz"], filled["filled"]["avgPx"]) == ("0.01", "50010.0")
    assert refused["error"].startswith("Post only order would have immediately matched")
    stop = {"trigger": {"isMarket": True, "triggerPx": "45000", "tpsl": "sl"}}
    child = {"a": 0, "b": False, "p": "44000", "s": "0.01", "r": True, "t": stop}
    bracket = await hl.actions.order([order("48000", "0.01"), child], grouping="normalTpsl")
    assert bracket["data"]["statuses"][1] == "waitingForFill"
    oid = resting["resting"]["oid"]
    cancels = await hl.actions.cancel([{"a": 0, "o": oid}, {"a": 0, "o": oid}])
    assert cancels["data"]["statuses"][0] == "success" and "never placed" in cancels["data"]["statuses"][1]["error"]
