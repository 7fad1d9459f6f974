"""Typed actions of modes, margin and queries of dexs against the exchange: signed by hlfast, judged by its verifier."""

from __future__ import annotations

from typing import Any

from hlfast.sim import FUNDED_ACCOUNTS

BOB = FUNDED_ACCOUNTS[1].address


async def test_every_action_of_modes_and_margin_is_taken(exchange: Any, trader: Any) -> None:
    """Every hop is real: typed method, signature, socket, verifier, handler; the queries then say what changed."""
    names = ["userSetAbstraction", "userPortfolioMargin", "userDexAbstraction", "agentSetAbstraction", "sendAsset"]
    exchange.change("set_mark", "demo:OIL", "75")
    exchange.change("rest", "demo:OIL", "sell", "75", "100")
    hl = await trader(0, watch="", allow=names)
    a, i = hl.actions, hl.info
    await hl.load_dex("demo")
    await a.update_leverage("demo:OIL", 5, cross=False)
    assert await hl.buy("demo:OIL", "100", "75").done()
    await a.update_isolated_margin("demo:OIL", 100)
    await a.top_up_isolated_only_margin("demo:OIL", "2.5")
    (entry,) = (await i.clearinghouse_state(hl.account, "demo"))["assetPositions"]
    assert entry["position"]["marginUsed"] == "3000.0" and entry["position"]["leverage"]["value"] == 5
    assert await hl.recovery.audit() == [], "margin that moves inside a dex is no loss"
    await a.send_asset(BOB, "demo", "demo", "USDC", "10", "")
    assert (await i.clearinghouse_state(BOB, "demo"))["withdrawable"] == "100010.0"
    await a.user_dex_abstraction(hl.account, True)
    assert await i.user_dex_abstraction(hl.account) is True
    assert await hl.sell("demo:OIL", "100", "74.9", reduce_only=True, tif="Gtc").accepted()
    hl.cancel_all()
    exchange.change("rest", "demo:OIL", "buy", "75", "100")
    assert await hl.sell("demo:OIL", "100", "75", reduce_only=True).done()
    for act, found in (
        (lambda: a.agent_set_abstraction("u"), "unifiedAccount"),
        (lambda: a.user_set_abstraction(hl.account, "disabled"), "dexAbstraction"),
        (lambda: a.user_portfolio_margin(hl.account, True), "portfolioMargin"),
    ):
        await act()
        assert await i.user_abstraction(hl.account) == found
    assert await hl.recovery.audit() == []
    assert [row and row["name"] for row in await i.perp_dexs()] == [None, "demo"]
    assert (await i.perp_dex_limits("demo"))["coinToOiCap"][1][0] == "demo:OIL"
    candles = await i.candle_snapshot("demo:OIL", "1h", 0)
    assert candles[-1]["v"] == "200.0" and candles[-1]["n"] == 2
