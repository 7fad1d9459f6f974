"""Fee tiers by volume, discounts and rebates; the address budget."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hlfast.errors import ConfigError
from hlfast.sim.fees import DAY_MS, FeeRates, FeeTerms, Volumes, perp_fee_e8
from hlfast.sim.info import Info

from .desk import ALICE, BOB, SUB_ACCOUNT, Desk, wire

ETH = 1
MILLION_E8 = 10**6 * 10**8


@pytest.mark.parametrize(
    ("ntl", "rate", "fee"),
    [("66.653", 15_000, "0.009997"), ("895.6316", 3_000, "0.026868"), ("20.672", 43_200, "0.00893")],
)
def test_three_real_fills_pay_what_they_paid(ntl: str, rate: int, fee: str) -> None:
    """Value times rate, cut after 6 decimals. (Reference 7.1)"""
    assert perp_fee_e8(int(Decimal(ntl) * 10**8), rate) == int(Decimal(fee) * 10**8)
    assert perp_fee_e8(int(Decimal(ntl) * 10**8), -rate) == -int(Decimal(fee) * 10**8), "a rebate is cut towards zero"


@pytest.mark.parametrize(
    ("millions", "is_spot", "rates"),
    [
        (5, False, (45_000, 15_000, 70_000, 40_000)),
        (6, False, (40_000, 12_000, 60_000, 30_000)),
        (13, True, (35_000, 8_000, 50_000, 20_000)),
        (501, False, (28_000, 0, 35_000, 0)),
        (7_001, False, (24_000, 0, 25_000, 0)),
    ],
)
def test_the_tier_follows_fourteen_whole_days_of_weighted_volume(
    millions: int, is_spot: bool, rates: tuple[int, ...]
) -> None:
    """Spot counts twice; today does not count yet; after 14 days it no longer does."""
    account = FeeRates(Volumes())
    account.volumes.add(100, is_spot, True, millions * MILLION_E8)
    lowest = (45_000, 15_000, 70_000, 40_000)
    assert account.shown(100) == lowest
    assert account.shown(101) == rates and account.shown(114) == rates
    assert account.shown(115) == lowest


def test_discounts_and_rebates_are_set_per_account(desk: Desk) -> None:
    """A staking discount shows in the rates, a referral discount when the fee is charged; a rebate is paid out."""
    desk.exchange.set_fee_terms(ALICE.address, FeeTerms(staking_discount=30, referral_discount=4))
    desk.exchange.set_fee_terms(BOB.address, FeeTerms(tier=4, maker_rebate=2))
    shown = Info(desk.exchange).answer({"type": "userFees", "user": ALICE.address})
    assert (shown["userCrossRate"], shown["userAddRate"], shown["activeReferralDiscount"]) == (
        "0.000315",
        "0.000105",
        "0.04",
    )
    assert Info(desk.exchange).answer({"type": "userFees", "user": BOB.address})["userAddRate"] == "-0.00002"
    desk.order(BOB, ETH, "sell", "3500", "1")
    desk.order(ALICE, ETH, "buy", "3500", "1", "Ioc")
    assert desk.account(ALICE).fills[-1]["fee"] == "1.0584", "3500 * 0.00045 * 0.7 * 0.96"
    assert desk.account(BOB).fills[-1]["fee"] == "-0.07"
    with pytest.raises(ConfigError, match="tier must be None"):
        FeeTerms(tier=7)


def test_sub_accounts_share_their_masters_tier() -> None:
    desk = Desk(sub_accounts={SUB_ACCOUNT: ALICE.address})
    desk.account(ALICE).fee_rates.volumes.add(desk.now_ms // DAY_MS - 1, False, True, 30 * MILLION_E8)
    fees = Info(desk.exchange).answer({"type": "userFees", "user": SUB_ACCOUNT})
    assert fees["userCrossRate"] == "0.00045", "worked out when the first block tells the day"
    desk.send()
    fees = Info(desk.exchange).answer({"type": "userFees", "user": SUB_ACCOUNT})
    assert fees["userCrossRate"] == "0.00035"
    assert fees["dailyUserVlm"][0]["userCross"] == "30000000.0"


# -- the address budget ----------------------------------------------------------------------------------------------


def noops(desk: Desk, who: Any, count: int) -> list[str]:
    answers = desk.send(*(desk.signed(who.address, {"type": "noop"}) for _ in range(count)))
    return [answer["response"] if answer["status"] == "err" else "ok" for answer in answers]


def limit(desk: Desk, who: Any) -> dict[str, Any]:
    found: dict[str, Any] = Info(desk.exchange).answer({"type": "userRateLimit", "user": who.address})
    return found


def test_a_spent_budget_refuses_with_the_venues_text_and_costs_nothing() -> None:
    """Life cycle J; L99. 5 free requests; then one each 10 s, whatever was refused in between; cancels go on."""
    desk = Desk(address_limits=0.0005)
    oid = desk.order(ALICE, ETH, "buy", "3400", "1")["resting"]["oid"]
    text = (
        "Too many cumulative requests sent (6 > 5) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    desk.exchange.accounts[ALICE.address].dripped_ms = desk.now_ms
    assert noops(desk, ALICE, 6) == ["ok"] * 4 + [text] * 2
    assert (limit(desk, ALICE)["nRequestsUsed"], limit(desk, ALICE)["nRequestsCap"]) == (5, 5)
    assert desk.cancel(ALICE, ETH, oid) == "success", "cancels have a cap of their own"
    assert noops(desk, BOB, 1) == ["ok"], "and others a budget of their own"
    desk.now_ms += 10_000
    assert noops(desk, ALICE, 2)[0] == "ok"
    assert noops(desk, ALICE, 1)[0].startswith("Too many cumulative requests sent (8 > 5)")
    desk.now_ms += 9_000
    assert noops(desk, ALICE, 1)[0] != "ok"
    desk.now_ms += 1_500
    assert noops(desk, ALICE, 1) == ["ok"]


def test_cancels_end_at_twice_the_limit_and_volume_earns_requests() -> None:
    desk = Desk(address_limits=0.0005)
    desk.exchange.accounts[ALICE.address].dripped_ms = desk.now_ms + 10**9
    cancel = {"type": "cancel", "cancels": [{"a": ETH, "o": 1}] * 5}
    answers = [desk.act(ALICE, cancel)["status"] for _ in range(3)]
    assert answers == ["ok", "ok", "err"]
    desk.account(ALICE).volume_e8 = 100 * 10**8
    assert desk.act(ALICE, cancel)["status"] == "ok"
    assert limit(desk, ALICE) == {
        "cumVlm": "100.0",
        "nRequestsUsed": 15,
        "nRequestsCap": 105,
        "nRequestsSurplus": 0,
    }


def test_an_expired_action_costs_five_times_its_requests(desk: Desk) -> None:
    action = {"type": "order", "orders": [wire(ETH, "buy", "3400", "1")] * 2, "grouping": "na"}
    assert desk.act(ALICE, action, expires_after=desk.now_ms - 1)["response"] == "Action already expired"
    assert limit(desk, ALICE)["nRequestsUsed"] == 10


def test_requests_can_be_bought(desk: Desk) -> None:
    cash = desk.account(ALICE).cash_e8
    desk.act(ALICE, {"type": "reserveRequestWeight", "weight": 1000})
    assert desk.account(ALICE).cash_e8 == cash - 50_000_000
    assert (limit(desk, ALICE)["nRequestsUsed"], limit(desk, ALICE)["nRequestsSurplus"]) == (0, 999)


def test_limits_must_make_sense() -> None:
    for wrong in ("on", 0, -1.0):
        with pytest.raises(ConfigError, match="address_limits must be"):
            Desk(address_limits=wrong)
