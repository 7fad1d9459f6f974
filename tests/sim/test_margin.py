"""Isolated margin, leverage, margin tiers and liquidation: the venue's algebra, rules and texts, and where money goes."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from hlfast.sim import rows
from hlfast.sim.info import Info
from hlfast.sim.universe import Universe

from .desk import ALICE, BOB, CAROL, DAVE, Desk, trigger, wire

BTC, ETH, SOL = 0, 1, 2
DEFAULT = {"status": "ok", "response": {"type": "default"}}


def err(text: str) -> dict[str, str]:
    return {"status": "err", "response": text}


def leverage(desk: Desk, who: Any, asset: int, value: int, *, cross: bool = True) -> Any:
    return desk.act(who, {"type": "updateLeverage", "asset": asset, "isCross": cross, "leverage": value})


def add_margin(desk: Desk, who: Any, asset: int, usd: str) -> Any:
    ntli = int(Decimal(usd) * 10**6)
    return desk.act(who, {"type": "updateIsolatedMargin", "asset": asset, "isBuy": True, "ntli": ntli})


def trade(desk: Desk, buyer: Any, seller: Any, px: str, sz: str, asset: int = ETH) -> None:
    """The seller rests, the buyer takes; the mark is pinned at the price."""
    desk.exchange.set_mark("ETH", px)
    assert "resting" in desk.order(seller, asset, "sell", px, sz)
    assert "filled" in desk.order(buyer, asset, "buy", px, sz, "Ioc")


def position(desk: Desk, who: Any) -> dict[str, Any]:
    (entry,) = rows.clearinghouse_state(desk.account(who), 0)["assetPositions"]
    found: dict[str, Any] = entry["position"]
    return found


@pytest.fixture
def isolated(desk: Desk) -> Desk:
    """Alice is long 10 ETH at 3500, isolated at 10x: margin 3500, less the fee."""
    assert leverage(desk, ALICE, ETH, 10, cross=False) == DEFAULT
    trade(desk, ALICE, BOB, "3500", "10")
    return desk


# -- isolated --------------------------------------------------------------------------------------------------------


def test_an_isolated_position_has_its_own_margin_and_the_venues_algebra(isolated: Desk) -> None:
    """marginUsed = rawUsd + value; liquidationPx = -rawUsd / (size * (1 - l)); cross sees what is left. (7.4)"""
    state = rows.clearinghouse_state(isolated.account(ALICE), 0)
    shown = position(isolated, ALICE)
    fee = Decimal("15.75")
    raw = Decimal(3500) - 35_000 - fee
    assert shown["leverage"] == {"type": "isolated", "value": 10, "rawUsd": "-31515.75"}
    assert Decimal(shown["marginUsed"]) == raw + 35_000
    expected = -raw / (10 * (1 - Decimal(1) / 50))
    assert abs(Decimal(shown["liquidationPx"]) - expected) < Decimal("0.00000002")
    assert Decimal(state["crossMarginSummary"]["accountValue"]) == 1_000_000 - 3_500
    assert Decimal(state["marginSummary"]["accountValue"]) == 1_000_000 - fee
    assert Decimal(state["marginSummary"]["totalRawUsd"]) == 1_000_000 - 35_000 - fee
    assert (state["crossMarginSummary"]["totalNtlPos"], state["marginSummary"]["totalNtlPos"]) == ("0.0", "35000.0")
    assert state["withdrawable"] == "996500.0"


@pytest.mark.parametrize("px", ["3600", "3400"])
def test_closing_an_isolated_position_brings_its_margin_back(isolated: Desk, px: str) -> None:
    """Half of it closed frees half of what it is worth at the trade's price; all of it, all."""
    before = isolated.account(ALICE).cash_e8
    trade(isolated, BOB, ALICE, px, "5")
    worth = (Decimal(3500) - Decimal("15.75") + (Decimal(px) - 3500) * 10) - Decimal(px) * 5 * Decimal("0.00015")
    freed = Decimal(isolated.account(ALICE).cash_e8 - before) / 10**8
    assert abs(freed - worth / 2) < Decimal("0.00001")
    assert abs(Decimal(position(isolated, ALICE)["marginUsed"]) - worth / 2) < Decimal("0.00001")
    trade(isolated, BOB, ALICE, px, "5")
    assert isolated.account(ALICE).raw_usd_e8 == isolated.account(ALICE).cash_e8
    fees = sum(Decimal(fill["fee"]) for fill in isolated.account(ALICE).fills)
    assert Decimal(isolated.account(ALICE).cash_e8) / 10**8 == 1_000_000 + (Decimal(px) - 3500) * 10 - fees


def test_an_isolated_position_turned_round_gets_new_margin(isolated: Desk) -> None:
    trade(isolated, BOB, ALICE, "3500", "14")
    shown = position(isolated, ALICE)
    assert (shown["szi"], shown["marginUsed"]) == ("-4.0", "1400.0")
    assert shown["leverage"]["rawUsd"] == "15400.0"


def test_resting_isolated_orders_reserve_cross_margin_only_for_what_they_open(isolated: Desk) -> None:
    free = isolated.account(ALICE).withdrawable_e8
    isolated.order(ALICE, ETH, "sell", "3600", "10")
    assert isolated.account(ALICE).withdrawable_e8 == free, "an order that closes needs nothing"
    isolated.order(ALICE, ETH, "buy", "3000", "10")
    assert isolated.account(ALICE).withdrawable_e8 == free - 3_000 * 10**8


def test_leverage_rules_of_isolated_positions(isolated: Desk) -> None:
    """Raising never moves margin; lowering needs enough; the mode cannot change under a position."""
    raw = position(isolated, ALICE)["leverage"]["rawUsd"]
    assert leverage(isolated, ALICE, ETH, 20, cross=False) == DEFAULT
    assert position(isolated, ALICE)["leverage"] == {"type": "isolated", "value": 20, "rawUsd": raw}
    assert leverage(isolated, ALICE, ETH, 10, cross=True) == err("Cannot switch leverage type with open position.")
    assert leverage(isolated, ALICE, ETH, 5, cross=False) == err(
        "Isolated position does not have sufficient margin available to decrease leverage. "
        "To decrease leverage, add margin to the position."
    )
    assert add_margin(isolated, ALICE, ETH, "5000") == DEFAULT
    assert leverage(isolated, ALICE, ETH, 5, cross=False) == DEFAULT
    assert leverage(isolated, ALICE, SOL, 3, cross=False) == DEFAULT and leverage(isolated, ALICE, SOL, 3) == DEFAULT


def test_cross_leverage_cannot_fall_below_what_the_account_can_carry(desk: Desk) -> None:
    trade(desk, ALICE, BOB, "3500", "2000")
    assert leverage(desk, ALICE, ETH, 6) == err(
        "Cross position does not have sufficient margin available to decrease leverage. "
        "To decrease leverage, deposit more collateral."
    )
    assert leverage(desk, ALICE, ETH, 8) == DEFAULT


def test_margin_is_added_and_taken_within_the_rules(isolated: Desk) -> None:
    """Removal must leave the initial margin and 10 % of the position's value."""
    assert add_margin(isolated, ALICE, ETH, "0") == err("Update to isolated margin cannot be zero.")
    assert add_margin(isolated, ALICE, BTC, "5") == err("Cannot update margin for empty position.")
    assert add_margin(isolated, BOB, ETH, "5") == err("Position does not use isolated margin.")
    assert add_margin(isolated, ALICE, ETH, "996500.01") == err(
        "Account does not have sufficient margin available for increase."
    )
    assert add_margin(isolated, ALICE, ETH, "100.25") == DEFAULT
    assert position(isolated, ALICE)["marginUsed"] == "3584.5"
    assert add_margin(isolated, ALICE, ETH, "-84.500001") == err(
        "Position does not have sufficient margin for reduction."
    )
    assert add_margin(isolated, ALICE, ETH, "-84.5") == DEFAULT
    assert position(isolated, ALICE)["marginUsed"] == "3500.0"


def test_assets_without_cross_margin_say_so() -> None:
    row = {"szDecimals": 2, "name": "ODD", "maxLeverage": 10, "marginTableId": 10}
    strict = {**row, "name": "STRICT", "marginMode": "strictIsolated"}
    desk = Desk(universe={"universe": [{**row, "marginMode": "noCross"}, strict], "marginTables": []})
    for asset in (0, 1):
        assert leverage(desk, ALICE, asset, 5) == err("Cross margin is not allowed for this asset.")
        desk.order(BOB, asset, "sell", "100", "10")
        assert "filled" in desk.order(ALICE, asset, "buy", "100", "10", "Ioc")
        assert desk.account(ALICE).positions[asset].is_cross is False
        assert add_margin(desk, ALICE, asset, "100") == DEFAULT
    assert add_margin(desk, ALICE, 0, "-50") == DEFAULT
    assert add_margin(desk, ALICE, 1, "-50") == err(
        "Cannot remove isolated margin for this asset. To remove margin, reduce the position."
    )


def test_what_an_account_can_trade_is_its_free_margin_and_what_it_can_close(isolated: Desk) -> None:
    data = Info(isolated.exchange).answer({"type": "activeAssetData", "user": ALICE.address, "coin": "SOL"})
    assert data == {
        "user": ALICE.address,
        "coin": "SOL",
        "leverage": {"type": "cross", "value": 20},
        "maxTradeSzs": ["132866.66", "132866.66"],
        "availableToTrade": ["996500.0", "996500.0"],
        "markPx": "150.0",
    }


# -- tiers -----------------------------------------------------------------------------------------------------------


def test_margin_tiers_limit_positions_and_raise_maintenance() -> None:
    """10x to 20,000 then 5x: maintenance = value * rate - deduction; beyond the tier the leverage must be lower."""
    tiers = [{"lowerBound": "0.0", "maxLeverage": 10}, {"lowerBound": "20000.0", "maxLeverage": 5}]
    meta = {
        "universe": [{"szDecimals": 2, "name": "T", "maxLeverage": 10, "marginTableId": 51}],
        "marginTables": [[51, {"description": "tiered 10x", "marginTiers": tiers}]],
    }
    desk = Desk(universe=meta)
    assert leverage(desk, BOB, 0, 5) == DEFAULT
    desk.order(BOB, 0, "sell", "100", "1000")
    assert desk.order(ALICE, 0, "buy", "100", "201", "Ioc") == {
        "error": "Order would cause position to exceed margin tier limit at current leverage asset=0"
    }
    assert desk.rows(ALICE) == [("perpMaxPositionRejected", "201.0")]
    assert leverage(desk, ALICE, 0, 5) == DEFAULT
    assert "filled" in desk.order(ALICE, 0, "buy", "100", "300", "Ioc")
    state = rows.clearinghouse_state(desk.account(ALICE), 0)
    assert Decimal(state["crossMaintenanceMarginUsed"]) == Decimal(30_000) / 10 - (
        20_000 * (Decimal(1) / 10 - Decimal(1) / 20)
    )


def test_recorded_margin_tables_are_answered_again() -> None:
    universe = Universe.load({"universe": [], "marginTables": [[51, {"description": "x", "marginTiers": []}]]})
    assert universe.margin_table(51)["description"] == "x"
    assert universe.margin_table(25)["marginTiers"] == [{"lowerBound": "0.0", "maxLeverage": 25}]


# -- liquidation -----------------------------------------------------------------------------------------------------


def leveraged(desk: Desk, sz: str = "6000") -> None:
    """Alice is long 6000 ETH at 3500 with a million: maintenance 420,000, so trouble begins near 3400."""
    desk.exchange.set_mark("ETH", 3500)
    assert leverage(desk, ALICE, ETH, 25) == DEFAULT
    desk.order(BOB, ETH, "sell", "3500", "3000")
    desk.order(CAROL, ETH, "sell", "3500", "3000")
    desk.order(ALICE, ETH, "buy", "3500", sz, "Ioc")


def test_a_cross_account_below_maintenance_is_sold_into_the_book(desk: Desk) -> None:
    """Given equity below maintenance but above two thirds, then its orders die as liquidatedCanceled, a fifth of the large
    position is sold at the book's prices without a fee, and what is left stays with the user."""
    leveraged(desk)
    resting = desk.order(ALICE, ETH, "buy", "3000", "1")["resting"]["oid"]
    stop = desk.orders(ALICE, trigger(ETH, "sell", "3000", "1", "3100", "sl"))[0]["resting"]["oid"]
    desk.order(DAVE, ETH, "buy", "3395", "4000")
    desk.exchange.set_mark("ETH", "3398")
    desk.send()
    statuses = {order.oid: order.status for order in desk.account(ALICE).orders.values()}
    assert (statuses[resting], statuses[stop]) == ("liquidatedCanceled", "liquidatedCanceled")
    fill = desk.account(ALICE).fills[-1]
    assert (fill["dir"], fill["sz"], fill["fee"]) == ("Liquidated Cross Long", "1200.0", "0.0")
    note = {"liquidatedUser": ALICE.address, "markPx": "3398.0", "method": "market"}
    assert fill["liquidation"] == note and desk.account(DAVE).fills[-1]["liquidation"] == note
    (event,) = desk.block.liquidations[ALICE.address]
    assert (event["liquidated_user"], event["liquidated_ntl_pos"]) == (ALICE.address, "20388000.0")
    (row,) = desk.account(ALICE).ledger
    assert row["delta"]["leverageType"] == "Cross"
    assert row["delta"]["liquidatedPositions"] == [{"coin": "ETH", "szi": "6000.0"}]
    desk.send()
    assert desk.account(ALICE).positions[ETH].lots == 4800 * 10**4, "healthy again: the rest is kept"
    assert desk.account(ALICE).value_e8 > 0


def test_after_a_fifth_the_whole_position_goes_for_half_a_minute(desk: Desk) -> None:
    """Given a position over 100,000 USDC that a fifth does not save, then the next order is for all that is left; a position
    that is in trouble again 30 s later begins with a fifth again."""
    leveraged(desk)
    desk.order(DAVE, ETH, "buy", "3380", "1200")
    desk.exchange.set_mark("ETH", "3385")
    desk.send()
    assert [fill["sz"] for fill in desk.account(ALICE).fills[-1:]] == ["1200.0"]
    desk.order(CAROL, ETH, "buy", "3384", "3000")
    assert desk.account(ALICE).fills[-1]["sz"] == "3000.0", "as much of 4800 as the book takes"
    desk.now_ms += 31_000
    account, position = desk.account(ALICE), desk.account(ALICE).positions[ETH]
    desk.exchange.set_mark("ETH", px := str(3385 - (account.value_e8 - position.maintenance_e8) // (1800 * 10**8) - 5))
    desk.order(DAVE, ETH, "buy", px, "1800")
    assert desk.account(ALICE).fills[-1]["sz"] == "360.0", "a fifth of 1800"


def test_a_position_below_a_hundred_thousand_goes_at_once(desk: Desk) -> None:
    desk.exchange.set_mark("ETH", 3500)
    desk.account(ALICE).cash_e8 = 4_000 * 10**8
    desk.exchange._supply_wei = None  # the money left elsewhere
    leverage(desk, ALICE, ETH, 25)
    desk.order(BOB, ETH, "sell", "3500", "28")
    desk.order(ALICE, ETH, "buy", "3500", "28", "Ioc")
    desk.order(DAVE, ETH, "buy", "3415", "28")
    desk.exchange.set_mark("ETH", "3416")
    desk.send()
    assert desk.account(ALICE).fills[-1]["sz"] == "28.0" and desk.account(ALICE).positions[ETH].lots == 0


def test_far_below_maintenance_the_backstop_takes_position_and_margin(desk: Desk) -> None:
    leveraged(desk)
    desk.exchange.set_mark("ETH", "3370")
    desk.send()
    account = desk.account(ALICE)
    assert (account.positions[ETH].lots, account.cash_e8) == (0, 0)
    fill = account.fills[-1]
    assert (fill["liquidation"]["method"], fill["px"], fill["sz"]) == ("backstop", "3370.0", "6000.0")
    backstop = next(a for a in desk.exchange.accounts.values() if a.is_house and a.positions)
    assert backstop.positions[ETH].lots == 6000 * 10**4 and backstop.value_e8 > 0


def test_an_isolated_position_is_liquidated_alone(isolated: Desk) -> None:
    """The rest of the account is untouched: only the position's own margin is lost."""
    cash = isolated.account(ALICE).cash_e8
    isolated.order(ALICE, BTC, "buy", "60000", "0.1")
    isolated.exchange.set_mark("ETH", "3190")
    isolated.send()
    assert isolated.account(ALICE).positions[ETH].lots == 0
    assert isolated.account(ALICE).cash_e8 == cash and len(isolated.account(ALICE).open) == 1
    assert isolated.account(ALICE).fills[-1]["dir"] == "Liquidated Isolated Long"


def test_a_healthy_account_is_left_alone(desk: Desk) -> None:
    leveraged(desk)
    desk.exchange.set_mark("ETH", "3420")
    desk.send()
    assert desk.account(ALICE).positions[ETH].lots == 6000 * 10**4


def test_random_margin_work_conserves_everything(desk: Desk) -> None:
    """Given 300 blocks of trades, leverage and mode changes, margin moves and marks that jump, then (the desk checks
    after each) no money appears or vanishes, and positions add up to zero, liquidations and all."""
    draw = random.Random(23)
    people = (ALICE, BOB, CAROL, DAVE)
    for who in people:
        desk.account(who).cash_e8 = 20_000 * 10**8
    liquidated = 0
    for number in range(300):
        mark = 3500 + draw.randint(-400, 400)
        if number % 3 == 0:
            desk.exchange.set_mark("ETH", mark)
        requests = []
        for who in people:
            dice, asset = draw.random(), draw.choice((ETH, SOL))
            action: dict[str, Any]
            if dice < 0.15:
                action = {
                    "type": "updateLeverage",
                    "asset": asset,
                    "isCross": draw.random() < 0.5,
                    "leverage": draw.randint(1, 20),
                }
            elif dice < 0.25:
                ntli = draw.randint(-300, 300) * 10**6
                action = {"type": "updateIsolatedMargin", "asset": asset, "isBuy": True, "ntli": ntli}
            else:
                px = str(mark + draw.randint(-3, 3)) if asset == ETH else str(150 + draw.randint(-2, 2))
                sz = str(draw.randint(1, 40))
                order = wire(asset, draw.choice(("buy", "sell")), px, sz, draw.choice(("Gtc", "Ioc")))
                action = {"type": "order", "orders": [order], "grouping": "na"}
            requests.append(desk.signed(who.address, action))
        desk.send(*requests)
        liquidated += len(desk.block.liquidations)
    assert liquidated >= 2 and desk.exchange.execution.counters["trades"] > 100
