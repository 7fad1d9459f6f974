"""Builder dexs: purses of their own, fees with a deployer's share, funding, liquidation, transfers, and account modes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hlfast.errors import ConfigError
from hlfast.sim.dexs import DEXS, Dex
from hlfast.sim.info import BadQuery, Info
from hlfast.sim.markets import TOKENS, Token
from hlfast.sim.rows import clearinghouse_state, spot_state
from hlfast.sim.universe import Universe

from .desk import ALICE, BOB, CAROL, Desk, wire

E8 = 10**8
GOLD, OIL, CORN = 110_000, 110_001, 120_000
USDH = Token("USDH", 360, 2, 8, "0x" + "5d" * 16)
FARM = Dex("farm", 2, "Farm goods", USDH, [("CORN", 1, 450, 2, 10, "")], fee_scale_percent=50)
DEFAULT = {"status": "ok", "response": {"type": "default"}}


@pytest.fixture
def desk() -> Desk:
    """With a second dex, whose collateral is not USDC."""
    desk = Desk(universe=Universe(tokens=(*TOKENS, USDH), dexs=(*DEXS, FARM)))
    for coin, px in (("demo:GOLD", 2_400), ("demo:OIL", 75), ("farm:CORN", "4.5"), ("BTC", 65_000)):
        desk.exchange.set_mark(coin, px)
    return desk


def cash(desk: Desk, who: Any, dex: str) -> Decimal:
    return Decimal(desk.account(who).purse(dex).raw_usd_e8) / E8


def send_asset(
    desk: Desk, who: Any, source: str, destination: str, amount: str, token: str = "USDC", to: Any = None
) -> Any:
    action = {
        "type": "sendAsset",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "destination": (to or who).address,
        "sourceDex": source,
        "destinationDex": destination,
        "token": token,
        "amount": amount,
        "fromSubAccount": "",
    }
    nonce = next(desk._nonces)
    return desk.act(who, {**action, "nonce": nonce}, nonce=nonce)


def mode(desk: Desk, who: Any, abstraction: str) -> Any:
    action = {
        "type": "userSetAbstraction",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "user": who.address,
        "abstraction": abstraction,
    }
    nonce = next(desk._nonces)
    return desk.act(who, {**action, "nonce": nonce}, nonce=nonce)


# -- what is listed --------------------------------------------------------------------------------------------------


def test_dexs_are_listed_with_ids_by_their_place(desk: Desk) -> None:
    """L106: each dex names its collateral, and an id is 100000 + 10000 x place + position."""
    info = Info(desk.exchange)
    listed = info.answer({"type": "perpDexs"})
    assert [row and row["name"] for row in listed] == [None, "demo", "farm"]
    assert [row["deployerFeeScale"] for row in listed[1:]] == ["1.0", "0.5"]
    metas = info.answer({"type": "allPerpMetas"})
    assert [meta["collateralToken"] for meta in metas] == [0, 0, 360]
    assert metas[2] == info.answer({"type": "meta", "dex": "farm"})
    assert metas[1]["universe"][1]["marginMode"] == "noCross"
    assert set(info.answer({"type": "allMids", "dex": "demo"})) == {"demo:GOLD", "demo:OIL"}
    assert "demo:GOLD" not in info.answer({"type": "allMids"})
    meta, contexts = info.answer({"type": "metaAndAssetCtxs", "dex": "farm"})
    assert meta == metas[2] and [context["markPx"] for context in contexts] == ["4.5"]
    assert info.answer({"type": "perpDexLimits", "dex": "demo"})["coinToOiCap"][0][0] == "demo:GOLD"
    assert info.answer({"type": "perpDexLimits", "dex": "nowhere"}) is None
    assert Info(desk.exchange).answer({"type": "perpDexStatus", "dex": "demo"}) == {"totalNetDeposit": "600000.0"}
    with pytest.raises(BadQuery):
        info.answer({"type": "meta", "dex": "nowhere"})
    with pytest.raises(ConfigError, match="place from 1"):
        Dex("x", 0, "", USDH, [])
    with pytest.raises(ConfigError, match="8 wei decimals"):
        Dex("x", 1, "", TOKENS[1], [])


# -- money -----------------------------------------------------------------------------------------------------------


def test_a_trade_moves_the_dexs_own_purse_and_pays_its_deployer(desk: Desk) -> None:
    """Given a trade of 10 GOLD at 2400, then only purses of that dex moved; the rates are twice the usual ones (scale 1),
    and half of each fee is the deployer's."""
    before = {(who.name, dex): cash(desk, who, dex) for who in (ALICE, BOB) for dex in ("", "demo", "farm")}
    desk.order(BOB, GOLD, "sell", "2400", "10")
    desk.order(ALICE, GOLD, "buy", "2400", "10", "Ioc")
    fill = desk.account(ALICE).fills[-1]
    assert (fill["coin"], fill["fee"], fill["feeToken"]) == ("demo:GOLD", "21.6", "USDC")
    assert cash(desk, ALICE, "demo") - before["test-0", "demo"] == -24_000 - Decimal("21.6")
    assert cash(desk, BOB, "demo") - before["test-1", "demo"] == 24_000 - Decimal("7.2")
    assert all(cash(desk, w, d) == before[w.name, d] for w in (ALICE, BOB) for d in ("", "farm"))
    deployer = desk.exchange.accounts[DEXS[0].fee_recipient]
    assert Decimal(deployer.purse("demo").cash_e8) / E8 == Decimal("14.4")
    info = Info(desk.exchange)
    assert [
        [
            entry["position"]["coin"]
            for entry in info.answer({"type": "clearinghouseState", "user": ALICE.address, **dex})["assetPositions"]
        ]
        for dex in ({}, {"dex": "demo"}, {"dex": "farm"})
    ] == [[], ["demo:GOLD"], []]
    states = dict(info.states_by_dex({"user": ALICE.address}))
    assert list(states) == ["", "demo", "farm"] and states["demo"]["marginSummary"]["totalNtlPos"] == "24000.0"


def test_fees_and_funding_are_in_the_dexs_collateral(desk: Desk) -> None:
    """L63 (D27), L106: on a dex that is settled in USDH, `feeToken` says so, and no USDC moves."""
    usdc = cash(desk, ALICE, "")
    desk.order(BOB, CORN, "sell", "4.5", "1000")
    desk.order(ALICE, CORN, "buy", "4.5", "1000", "Ioc")
    fill = desk.account(ALICE).fills[-1]
    assert (fill["feeToken"], fill["fee"]) == ("USDH", "3.0375"), "1.5 times the usual rate for a scale of 0.5"
    assert desk.exchange.execution.fees_wei["USDC"] == 0
    desk.exchange.set_oracle("farm:CORN", "4.4")
    desk.order(BOB, CORN, "buy", "4.49", "20000")
    desk.order(CAROL, CORN, "sell", "4.51", "20000")
    for _ in range(2):
        desk.now_ms += 3_600_000
        desk.send()
    paid = desk.account(ALICE).fundings[-1]["delta"]
    assert paid["coin"] == "farm:CORN" and Decimal(paid["usdc"]) < 0
    assert cash(desk, ALICE, "") == usdc
    assert cash(desk, ALICE, "farm") == 100_000 - 4_500 - Decimal("3.0375") + sum(
        Decimal(row["delta"]["usdc"]) for row in desk.account(ALICE).fundings
    )


def test_margin_is_that_of_the_dex_alone(desk: Desk) -> None:
    """Given a million in the main dex, then an order that the dex's hundred thousand does not carry is refused."""
    entry = desk.order(ALICE, GOLD, "buy", "2400", "900")
    assert entry == {"error": f"Insufficient margin to place order. asset={GOLD}"}
    assert "resting" in desk.order(ALICE, GOLD, "buy", "2400", "800")
    assert desk.account(ALICE).purse("demo").withdrawable_e8 == 4_000 * E8
    assert desk.account(ALICE).withdrawable_e8 == 1_000_000 * E8
    orders = [
        Info(desk.exchange).answer({"type": "openOrders", "user": ALICE.address, **d}) for d in ({}, {"dex": "demo"})
    ]
    assert [[order["coin"] for order in listed] for listed in orders] == [[], ["demo:GOLD"]]


def test_money_moves_between_dexs_by_transfer(desk: Desk) -> None:
    """Given sendAsset between purses, then both change by the amount; a dex takes its own collateral only."""
    assert send_asset(desk, ALICE, "", "demo", "1000") == DEFAULT
    assert (cash(desk, ALICE, ""), cash(desk, ALICE, "demo")) == (999_000, 101_000)
    assert send_asset(desk, ALICE, "demo", "spot", "500", to=BOB) == DEFAULT
    assert Decimal(desk.account(BOB).balance(0).total_wei) / E8 == 100_500
    assert desk.account(ALICE).ledger[-1]["delta"]["sourceDex"] == "demo"
    assert send_asset(desk, ALICE, "", "farm", "1") == {"status": "err", "response": "Invalid send"}
    assert send_asset(desk, ALICE, "", "moon", "1") == {"status": "err", "response": "Invalid dex moon"}
    assert send_asset(desk, ALICE, "farm", "spot", "250", USDH.wire_name) == DEFAULT
    assert desk.account(ALICE).balance(USDH.index).total_wei == 250 * E8
    refused = send_asset(desk, ALICE, "demo", "", "100501")
    assert refused == {"status": "err", "response": "Insufficient balance for withdrawal."}


def test_a_liquidation_in_a_dex_leaves_the_other_purses_alone(desk: Desk) -> None:
    desk.exchange.set_mark("demo:GOLD", 2_400)
    desk.order(BOB, GOLD, "sell", "2400", "800")
    desk.order(ALICE, GOLD, "buy", "2400", "800", "Ioc")
    desk.order(ALICE, 0, "buy", "64000", "0.1")
    desk.exchange.set_mark("demo:GOLD", 2_310)
    desk.send()
    assert desk.account(ALICE).positions[GOLD].lots == 0 and cash(desk, ALICE, "demo") == 0
    assert cash(desk, ALICE, "") == 1_000_000 and len(desk.account(ALICE).open) == 1
    assert desk.account(ALICE).fills[-1]["dir"] == "Liquidated Cross Long"


def test_isolated_only_markets_of_a_dex(desk: Desk) -> None:
    leverage = {"type": "updateLeverage", "asset": OIL, "isCross": True, "leverage": 5}
    assert desk.act(ALICE, leverage)["response"] == "Cross margin is not allowed for this asset."
    assert desk.act(ALICE, {**leverage, "isCross": False}) == DEFAULT
    desk.order(BOB, OIL, "sell", "75", "100")
    desk.order(ALICE, OIL, "buy", "75", "100", "Ioc")
    position = desk.account(ALICE).positions[OIL]
    assert position.raw_e8 == -600_675_000_000 and not position.is_cross
    add = {"type": "updateIsolatedMargin", "asset": OIL, "isBuy": True, "ntli": 100_000_000}
    assert desk.act(ALICE, add) == DEFAULT and position.raw_e8 == -590_675_000_000
    assert cash(desk, ALICE, "demo") == 100_000 - 7_500 - Decimal("6.75"), "cross and isolated together"


# -- account modes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstraction", ["unifiedAccount", "portfolioMargin"])
def test_joined_accounts_have_one_balance_an_asset(desk: Desk, abstraction: str) -> None:
    """L63: given a joined account, then all its USDC backs an order anywhere, and its spot state tells total and hold."""
    assert mode(desk, ALICE, abstraction) == DEFAULT
    assert Info(desk.exchange).answer({"type": "userAbstraction", "user": ALICE.address}) == abstraction
    (usdc, usdh) = spot_state(desk.account(ALICE))["balances"]
    assert (usdc["total"], usdc["hold"], usdh["total"]) == ("1200000.0", "0.0", "100000.0")
    desk.order(BOB, GOLD, "sell", "2400", "450")
    desk.order(CAROL, GOLD, "sell", "2400", "450")
    filled = desk.order(ALICE, GOLD, "buy", "2400", "900", "Ioc")
    assert "filled" in filled, "90,000 and more than the dex itself had"
    fee = sum(Decimal(fill["fee"]) for fill in desk.account(ALICE).fills)
    (usdc, _) = spot_state(desk.account(ALICE))["balances"]
    assert (Decimal(usdc["total"]), usdc["hold"]) == (1_200_000 - fee, "108000.0")
    state = clearinghouse_state(desk.account(ALICE), 0, "demo")
    assert Decimal(state["withdrawable"]) == 1_092_000 - fee
    assert spot_state(desk.account(ALICE)).get("portfolioMarginEnabled", False) == (abstraction == "portfolioMargin")
    desk.order(CAROL, GOLD, "buy", "2410", "900")
    desk.order(ALICE, GOLD, "sell", "2410", "900", "Ioc")
    fee = sum(Decimal(fill["fee"]) for fill in desk.account(ALICE).fills)
    (usdc, _) = spot_state(desk.account(ALICE))["balances"]
    assert (Decimal(usdc["total"]), usdc["hold"]) == (1_209_000 - fee, "0.0"), (
        "realised profit is in the balance at once"
    )
    refused = {"status": "err", "response": "Action disabled when unified account is active"}
    assert send_asset(desk, ALICE, "", "demo", "1") == refused
    assert send_asset(desk, ALICE, "", "spot", "10", to=BOB) == DEFAULT
    assert mode(desk, ALICE, "disabled") == DEFAULT and desk.account(ALICE).cash_e8 == 0


def test_a_joined_account_is_liquidated_on_all_that_it_has(desk: Desk) -> None:
    """Given positions in two dexs with one collateral, then the loss of one is borne by the whole balance first."""
    assert mode(desk, ALICE, "unifiedAccount") == DEFAULT
    desk.order(BOB, GOLD, "sell", "2400", "800")
    desk.order(ALICE, GOLD, "buy", "2400", "800", "Ioc")
    desk.exchange.set_mark("demo:GOLD", 2_200)
    desk.send()
    assert desk.account(ALICE).positions[GOLD].lots, "160,000 lost, of more than a million"
    desk.exchange.set_mark("demo:GOLD", 905)
    desk.send()
    assert desk.account(ALICE).positions[GOLD].lots == 0
    assert desk.account(ALICE).balance(0).total_wei == 0


def test_a_mode_is_not_changed_with_open_orders_or_by_strangers(desk: Desk) -> None:
    desk.order(ALICE, GOLD, "buy", "2000", "1")
    assert mode(desk, ALICE, "unifiedAccount")["status"] == "err"
    assert desk.act(BOB, {"type": "agentSetAbstraction", "abstraction": "u"}) == DEFAULT
    assert desk.account(BOB).mode == "unifiedAccount"
    action = {"type": "userSetAbstraction", "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
    nonce = next(desk._nonces)
    wrong = {**action, "user": CAROL.address, "abstraction": "unifiedAccount", "nonce": nonce}
    assert desk.act(BOB, wrong, nonce=nonce)["response"] == f"User or API Wallet {CAROL.address} does not exist."


def test_dex_abstraction_brings_the_margin_that_an_order_lacks(desk: Desk) -> None:
    """Given dex abstraction, then an order beyond the dex's purse draws what it lacks from the main dex, and says so."""
    assert desk.act(ALICE, {"type": "agentEnableDexAbstraction"}) == DEFAULT
    assert Info(desk.exchange).answer({"type": "userDexAbstraction", "user": ALICE.address}) is True
    assert Info(desk.exchange).answer({"type": "userAbstraction", "user": ALICE.address}) == "dexAbstraction"
    assert desk.act(ALICE, {"type": "agentEnableDexAbstraction"})["status"] == "err", "only what was never set"
    assert "resting" in desk.order(ALICE, GOLD, "buy", "2400", "900")
    delta = desk.account(ALICE).ledger[-1]["delta"]
    assert delta == {"type": "activateDexAbstraction", "dex": "demo", "token": "USDC", "amount": "10160.0"}
    assert (cash(desk, ALICE, ""), cash(desk, ALICE, "demo")) == (989_840, 110_160)


def test_random_work_in_all_purses_conserves_everything(desk: Desk) -> None:
    """Given 300 blocks of trades in four markets of three dexs, transfers, mode changes and marks that jump, then (the desk
    checks after each) no token appears or vanishes."""
    import random

    draw = random.Random(5)
    prices = {GOLD: 2_400, OIL: 75, CORN: 4.5, 0: 65_000}
    for _ in range(300):
        who = draw.choice((ALICE, BOB, CAROL))
        asset = draw.choice(list(prices))
        step = draw.randint(-20, 20)
        px = prices[asset]
        shown = f"{px * (1 + step / 1000):.1f}" if asset != CORN else f"{4.5 * (1 + step / 1000):.3f}"
        shown = shown.rstrip("0").rstrip(".") if asset != 0 else str(int(px * (1 + step / 1000)))
        size = {GOLD: "30", OIL: "400", CORN: "9000", 0: "2"}[asset]
        kind = draw.random()
        if kind < 0.75:
            desk.order(who, asset, draw.choice(("buy", "sell")), shown, size, draw.choice(("Gtc", "Ioc")))
        elif kind < 0.85:
            send_asset(desk, who, draw.choice(("", "demo")), draw.choice(("demo", "spot")), "777.25")
        elif kind < 0.9:
            for order in list(desk.account(who).open.values()):
                desk.cancel(who, order.market.asset, order.oid)
            mode(desk, who, draw.choice(("unifiedAccount", "disabled")))
        elif kind < 0.95:
            desk.act(who, {"type": "updateLeverage", "asset": asset, "isCross": False, "leverage": draw.randint(1, 10)})
        else:
            coin = desk.exchange.execution.books[asset].market.coin
            desk.exchange.set_mark(coin, shown)
            desk.send(desk.signed(who.address, {"type": "noop"}))
    assert desk.exchange.execution.counters["trades"] > 15


def test_orders_of_a_dex_are_refused_on_another_id(desk: Desk) -> None:
    assert (
        desk.act(ALICE, {"type": "order", "orders": [wire(110_009, "buy", "1", "1")], "grouping": "na"})["status"]
        == "err"
    )


def test_an_isolated_position_is_topped_up_to_a_leverage(desk: Desk) -> None:
    """Given 7500 USDC of OIL at five times, then a top-up to 2.5 times brings its margin to 3000; none is taken out."""
    desk.act(ALICE, {"type": "updateLeverage", "asset": OIL, "isCross": False, "leverage": 5})
    desk.order(BOB, OIL, "sell", "75", "100")
    desk.order(ALICE, OIL, "buy", "75", "100", "Ioc")
    top_up = {"type": "topUpIsolatedOnlyMargin", "asset": OIL, "leverage": "2.5"}
    assert desk.act(ALICE, top_up) == DEFAULT
    assert desk.account(ALICE).positions[OIL].equity_e8 == 3_000 * E8
    for asset, leverage, why in (
        (OIL, "4", "Update to isolated margin cannot be zero."),
        (OIL, "11", "Invalid leverage value"),
        (GOLD, "2", "Cannot update margin for empty position."),
    ):
        refused = desk.act(ALICE, {**top_up, "asset": asset, "leverage": leverage})
        assert refused == {"status": "err", "response": why}


def test_portfolio_margin_by_its_old_name(desk: Desk) -> None:
    chain = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet", "user": ALICE.address}
    for enabled, found in ((True, "portfolioMargin"), (False, "disabled")):
        nonce = next(desk._nonces)
        action = {"type": "userPortfolioMargin", **chain, "enabled": enabled, "nonce": nonce}
        assert desk.act(ALICE, action, nonce=nonce) == DEFAULT and desk.account(ALICE).mode == found
