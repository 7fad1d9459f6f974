"""Outcome markets through the connector: sets by their typed action, orders by `actions`, fills booked as tokens."""

from __future__ import annotations

from typing import Any


async def test_sets_are_split_traded_and_settled(exchange: Any, trader: Any, eventually: Any) -> None:
    """Given a set split by one user and a side bought by another, then fills and the settlement are in the ledger as tokens of
    that side, never as cash of perpetuals."""
    maker = await trader(1, allow=["userOutcome"])
    await maker.actions.user_outcome(split_outcome={"outcome": 1, "amount": "100"})
    hl = await trader(0)
    await maker.load_outcomes()
    sides = await hl.load_outcomes()
    assert sides["#10"].asset == 100_000_010 and sides["#10"].name == "Coin: Yes"
    heard: list[Any] = []
    hl.streams.on("outcomeMetaUpdates", heard.append)

    def order(is_buy: bool, tif: str) -> dict[str, Any]:
        return {"a": "#10", "b": is_buy, "p": "0.6", "s": "50", "r": False, "t": {"limit": {"tif": tif}}}

    await maker.actions.order([order(False, "Gtc")])
    cash = hl.own_ledger.cash
    answer = await hl.actions.order([order(True, "Ioc")])
    assert answer["data"]["statuses"][0]["filled"]["totalSz"] == "50.0"
    await eventually(lambda: hl.ledger["spot"].get("+10") == 50)
    assert hl.ledger["spot"]["USDC"] == 100_000 - 30 and hl.own_ledger.cash == cash
    assert await hl.recovery.audit() == []
    exchange.change("settle_outcome", 1, "1")
    await eventually(lambda: hl.ledger["spot"]["USDC"] == 100_020)
    await eventually(lambda: heard)
    assert heard[0].data == {"updates": [{"outcomeSettled": {"outcome": 1}}]}
    assert hl.ledger["spot"]["+10"] == 0 and await hl.recovery.audit() == []
