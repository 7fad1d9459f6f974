"""Money is exact: fees, closed profit, cash, balances; and none of it appears or vanishes."""

from __future__ import annotations

import random
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Any

import pytest

from hlfast.sim import rows
from hlfast.sim.truth import truth

from .desk import ALICE, BOB, CAROL, DAVE, Desk, wire

BTC, ETH, SOL, HYPE, KPEPE, PURR, HYPE_SPOT = 0, 1, 2, 4, 5, 10_000, 10_107
MICRO = Decimal("0.000001")


def trade(desk: Desk, buyer: Any, seller: Any, asset: int, px: str, sz: str) -> None:
    """The seller rests, the buyer takes."""
    assert "resting" in desk.order(seller, asset, "sell", px, sz)
    assert "filled" in desk.order(buyer, asset, "buy", px, sz, "Ioc")


@pytest.mark.parametrize(
    ("asset", "px", "sz", "taker_fee", "maker_fee"),
    [
        (ETH, "3500.1", "0.0123", "0.019373", "0.006457"),
        (BTC, "65001", "0.00077", "0.022522", "0.007507"),
        (KPEPE, "0.012345", "1234567", "6.858328", "2.286109"),
    ],
)
def test_perp_fees_are_truncated_to_six_decimals(
    desk: Desk, asset: int, px: str, sz: str, taker_fee: str, maker_fee: str
) -> None:
    """Tier 0: 0.045 % for the taker, 0.015 % for the maker, of price times size, cut after 6 decimals."""
    trade(desk, BOB, ALICE, asset, px, sz)
    for who, rate, fee in ((BOB, "0.00045", taker_fee), (ALICE, "0.00015", maker_fee)):
        (fill,) = desk.account(who).fills
        assert fill["fee"] == fee
        assert Decimal(fee) == (Decimal(px) * Decimal(sz) * Decimal(rate)).quantize(MICRO, ROUND_DOWN)
        assert fill["feeToken"] == "USDC"


def test_spot_buys_pay_in_the_base_token_and_sales_in_usdc(desk: Desk) -> None:
    desk.account(ALICE).balance(1).total_wei = 1_000_00000  # money is made before the first block only
    desk.order(CAROL, PURR, "buy", "0.2", "100")
    desk.order(ALICE, PURR, "sell", "0.2", "100", "Ioc")
    (sold,), (bought,) = desk.account(ALICE).fills, desk.account(CAROL).fills
    assert (sold["fee"], sold["feeToken"], sold["dir"]) == ("0.014", "USDC", "Sell")
    assert (bought["fee"], bought["feeToken"], bought["dir"]) == ("0.04", "PURR", "Buy")
    assert (sold["startPosition"], bought["startPosition"]) == ("1000.0", "0.0")
    assert desk.account(CAROL).balance(1).total_wei == 99_96000
    assert desk.account(CAROL).balance(0).total_wei == 99_980 * 10**8
    assert desk.account(ALICE).balance(0).total_wei == 100_019_98600000


def test_spot_sales_realise_against_the_average_cost(desk: Desk) -> None:
    """Buy 100 at 0.2 and 100 at 0.3, sell 100 at 0.35: cost is (20 + 30) over what is left after fees in the token."""
    desk.account(ALICE).balance(1).total_wei = 1_000_00000
    for px in ("0.2", "0.3"):
        desk.order(ALICE, PURR, "sell", px, "100")
        desk.order(BOB, PURR, "buy", px, "100", "Ioc")
    balance = desk.account(BOB).balance(1)
    assert (balance.total_wei, balance.entry_ntl_e8) == (199_86000, 50 * 10**8)
    desk.order(ALICE, PURR, "buy", "0.35", "100")
    desk.order(BOB, PURR, "sell", "0.35", "100", "Ioc")
    fill = desk.account(BOB).fills[-1]
    cost = Decimal(50) * 100 / Decimal("199.86")
    assert Decimal(fill["closedPnl"]) == (35 - cost).quantize(Decimal("0.00000001"))
    assert fill["startPosition"] == "199.86" and fill["feeToken"] == "USDC"
    assert abs(Decimal(balance.entry_ntl_e8) / 10**8 - (50 - cost)) < Decimal("0.00000001")


def test_resting_spot_orders_hold_what_they_may_cost(desk: Desk) -> None:
    oid = desk.order(ALICE, PURR, "buy", "0.19", "1000")["resting"]["oid"]
    (usdc,) = rows.spot_state(desk.account(ALICE))["balances"]
    assert (usdc["total"], usdc["hold"]) == ("100000.0", "190.0")
    assert "error" in desk.order(ALICE, PURR, "buy", "0.2", "499051")
    desk.cancel(ALICE, PURR, oid)
    assert desk.account(ALICE).balance(0).hold_wei == 0


def test_closed_profit_start_position_and_direction_through_a_flip(desk: Desk) -> None:
    """Long 2 at an average of 3505, sell 3 at 3510: 2 closed for +10, 1 opened short at 3510. Fees are apart."""
    trade(desk, ALICE, BOB, ETH, "3500", "1")
    trade(desk, ALICE, BOB, ETH, "3510", "1")
    trade(desk, BOB, ALICE, ETH, "3510", "3")
    trade(desk, ALICE, BOB, ETH, "3520", "1")
    shown = [(f["startPosition"], f["dir"], f["closedPnl"]) for f in desk.account(ALICE).fills]
    assert shown == [
        ("0.0", "Open Long", "0.0"),
        ("1.0", "Open Long", "0.0"),
        ("2.0", "Long > Short", "10.0"),
        ("-1.0", "Close Short", "-10.0"),
    ]
    others = [(f["dir"], f["closedPnl"]) for f in desk.account(BOB).fills]
    assert others == [("Open Short", "0.0"), ("Open Short", "0.0"), ("Short > Long", "-10.0"), ("Close Long", "10.0")]
    assert desk.account(ALICE).positions[ETH].entry_ntl_e8 == 0


def test_the_account_state_follows_the_venues_algebra(desk: Desk) -> None:
    """accountValue = totalRawUsd + size times mark; margin = value over leverage; liquidation price by the formula."""
    trade(desk, ALICE, BOB, ETH, "3500", "100")
    desk.order(CAROL, ETH, "buy", "3509.9", "1")
    desk.order(CAROL, ETH, "sell", "3510.1", "1")
    state = rows.clearinghouse_state(desk.account(ALICE), 0)
    summary = state["marginSummary"]
    fee = Decimal("157.5")
    assert Decimal(summary["totalRawUsd"]) == 1_000_000 - 350_000 - fee
    assert Decimal(summary["accountValue"]) == 1_000_000 + 1_000 - fee
    assert (summary["totalNtlPos"], summary["totalMarginUsed"]) == ("351000.0", "17550.0")
    assert Decimal(state["withdrawable"]) == 1_001_000 - fee - Decimal("35100")
    (entry,) = state["assetPositions"]
    position = entry["position"]
    assert entry["type"] == "oneWay"
    assert (position["szi"], position["entryPx"], position["positionValue"]) == ("100.0", "3500.0", "351000.0")
    assert (position["unrealizedPnl"], position["marginUsed"]) == ("1000.0", "17550.0")
    assert position["returnOnEquity"] == "0.0571428571"
    assert position["leverage"] == {"type": "cross", "value": 20} and position["maxLeverage"] == 25
    assert position["liquidationPx"] is None, "the account is worth more than the position"
    short = rows.clearinghouse_state(desk.account(BOB), 0)["assetPositions"][0]["position"]
    value = 1_000_000 - 1_000 - Decimal("52.5")
    expected = 3510 + (value - Decimal("7020")) / 100 / (1 + Decimal(1) / 50)
    assert abs(Decimal(short["liquidationPx"]) - expected) < Decimal("0.0000001")


def test_closed_profit_equals_an_exact_average_over_many_fills(desk: Desk) -> None:
    """Given 300 random trades, then each closedPnl is within 1e-6 of exact rational accounting, and cash is exact."""
    draw = random.Random(5)
    lots, entry, cash = 0, Fraction(0), Fraction(1_000_000)
    for _ in range(300):
        px, sz, is_buy = f"{draw.randint(34900, 35100)}", draw.randint(30, 900), draw.random() < 0.5
        px = f"{px[:4]}.{px[4]}".removesuffix(".0")
        first, second = ("sell", "buy") if is_buy else ("buy", "sell")
        size = str(Decimal(sz) / 10_000)
        desk.order(BOB, ETH, first, px, size)
        desk.order(ALICE, ETH, second, px, size, "Ioc")
        fill = desk.account(ALICE).fills[-1]
        signed = sz if is_buy else -sz
        value = Fraction(px) * Fraction(sz, 10_000)
        expected = Fraction(0)
        if lots * signed >= 0:
            entry += value
        else:
            closing = min(sz, abs(lots))
            closed_entry = entry * closing / abs(lots)
            closed_value = Fraction(px) * Fraction(closing, 10_000)
            expected = (closed_value - closed_entry) * (1 if lots > 0 else -1)
            entry = value - closed_value if sz > abs(lots) else entry - closed_entry
        lots += signed
        cash -= value * (1 if is_buy else -1) + Fraction(fill["fee"])
        assert abs(Fraction(fill["closedPnl"]) - expected) <= Fraction(1, 10**6)
    account = desk.account(ALICE)
    assert account.positions[ETH].lots == lots
    assert Fraction(account.cash_e8, 10**8) == cash


def test_random_trading_of_four_accounts_conserves_everything(desk: Desk) -> None:
    """Given 400 blocks of random orders, cancels and modifies in all markets, then after each block (the desk checks)
    cash, tokens and fees add up, positions add up to zero, and reserves fit the resting orders; and every account's
    cash and position is what its own fills say."""
    draw = random.Random(11)
    markets = {
        BTC: (65_000, 0, 5),
        ETH: (35_000, 1, 4),
        SOL: (15_000, 2, 2),
        KPEPE: (12_500, 6, 0),
        PURR: (20_000, 5, 0),
        HYPE_SPOT: (40_000, 3, 2),
    }
    people = (ALICE, BOB, CAROL, DAVE)
    for who in people:
        desk.account(who).balance(1).total_wei = 50_000_00000
        desk.account(who).balance(150).total_wei = 500 * 10**8
    for _ in range(400):
        requests = []
        for who in draw.sample(people, draw.randint(1, 4)):
            asset = draw.choice(list(markets))
            middle, px_decimals, sz_decimals = markets[asset]
            px = Decimal(middle + draw.randint(-4, 4)).scaleb(-px_decimals)
            sz = (Decimal(draw.randint(15, 4000)) / px).quantize(Decimal(1).scaleb(-sz_decimals))
            order = wire(
                asset,
                draw.choice(("buy", "sell")),
                f"{px:f}",
                f"{sz:f}",
                draw.choice(("Gtc", "Gtc", "Alo", "Ioc")),
                reduce_only=asset < 10_000 and draw.random() < 0.2,
            )
            mine = list(desk.account(who).open.values())
            dice = draw.random()
            if mine and dice < 0.2:
                old = draw.choice(mine)
                action: dict[str, Any] = {"type": "cancel", "cancels": [{"a": old.market.asset, "o": old.oid}]}
            elif mine and dice < 0.35:
                modifies = [{"oid": draw.choice(mine).oid, "order": order}]
                action = {"type": "batchModify", "modifies": modifies, **({"a": True} if dice < 0.3 else {})}
            else:
                action = {"type": "order", "orders": [order], "grouping": "na"}
            requests.append(desk.signed(who.address, action))
        desk.send(*requests)
    assert desk.exchange.execution.counters["trades"] > 100
    for who in people:
        record = truth(desk.exchange, who.address)
        cash, fees, positions = Decimal(1_000_000), Decimal(0), {}
        for fill in record["fills"]:
            if "/" in fill["coin"] or fill["coin"][0] == "@":
                continue
            sign = 1 if fill["side"] == "B" else -1
            cash -= sign * Decimal(fill["px"]) * Decimal(fill["sz"]) + Decimal(fill["fee"])
            fees += Decimal(fill["fee"])
            assert Decimal(fill["startPosition"]) == positions.get(fill["coin"], 0)
            positions[fill["coin"]] = positions.get(fill["coin"], 0) + sign * Decimal(fill["sz"])
        assert Decimal(record["cash"]) == cash
        assert {coin: Decimal(p["szi"]) for coin, p in record["positions"].items()} == {
            coin: szi for coin, szi in positions.items() if szi
        }
        by_oid: dict[int, Decimal] = {}
        for fill in record["fills"]:
            by_oid[fill["oid"]] = by_oid.get(fill["oid"], Decimal(0)) + Decimal(fill["sz"])
        assert {o["oid"]: Decimal(o["filled"]) for o in record["orders"] if Decimal(o["filled"])} == by_oid


def test_conservation_is_really_checked(desk: Desk) -> None:
    """One lost 1e-8 of USDC, or one lot held by nobody's counterpart, is found."""
    trade(desk, ALICE, BOB, ETH, "3500", "1")
    desk.account(ALICE).cash_e8 -= 1
    with pytest.raises(AssertionError, match="not conserved"):
        desk.exchange.assert_conserved()
    desk.account(ALICE).cash_e8 += 1
    desk.account(ALICE).positions[ETH].lots += 1
    with pytest.raises(AssertionError, match="do not add up to 0"):
        desk.exchange.assert_conserved()
    desk.account(ALICE).positions[ETH].lots -= 1
    desk.account(ALICE).positions[ETH].bid_ntl_e8 += 1
    with pytest.raises(AssertionError, match="reserves"):
        desk.exchange.assert_conserved()


def test_fills_of_one_order_in_one_block_can_be_shown_as_one() -> None:
    """aggregateByTime: sizes, fees and profits add up, the price is the average by size."""
    fills = [
        {"oid": 1, "time": 5, "px": "100.0", "sz": "1.0", "fee": "0.1", "closedPnl": "0.0", "tid": 1},
        {"oid": 1, "time": 5, "px": "100.5", "sz": "3.0", "fee": "0.2", "closedPnl": "-1.5", "tid": 2},
        {"oid": 1, "time": 6, "px": "100.5", "sz": "3.0", "fee": "0.2", "closedPnl": "-1.5", "tid": 3},
    ]
    merged = rows.aggregated(fills)
    assert [(f["px"], f["sz"], f["fee"], f["closedPnl"]) for f in merged] == [
        ("100.4", "4.0", "0.3", "-1.5"),
        ("100.5", "3.0", "0.2", "-1.5"),
    ]
    assert fills[0]["sz"] == "1.0"
