"""Outcome markets: sides are made and merged in sets, trade between 0 and 1, and settle; nothing is made or lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hlfast.errors import ConfigError
from hlfast.sim.info import Info
from hlfast.sim.rows import spot_state
from hlfast.sim.shapes import Malformed
from hlfast.sim.verify import L1_ACTIONS

from .desk import ALICE, BOB, Desk, wire

YES, NO = 100_000_010, 100_000_011
DEFAULT = {"status": "ok", "response": {"type": "default"}}


def user_outcome(desk: Desk, who: Any, what: str, **fields: Any) -> Any:
    return desk.act(who, {"type": "userOutcome", what: fields})


def held(desk: Desk, who: Any) -> dict[str, Decimal]:
    return {row["coin"]: Decimal(row["total"]) for row in spot_state(desk.account(who))["balances"]}


def test_they_are_listed_and_have_books(desk: Desk) -> None:
    info = Info(desk.exchange)
    listed = info.answer({"type": "outcomeMeta"})
    assert [row["outcome"] for row in listed["outcomes"]] == [1, 10, 11, 12]
    (question,) = listed["questions"]
    assert (question["fallbackOutcome"], question["namedOutcomes"]) == (10, [11, 12])
    assert info.answer({"type": "allMids"})["#10"] == "0.5"
    assert info.answer({"type": "l2Book", "coin": "#11"})["levels"] == [[], []]
    assert "#10" not in {row["name"] for row in info.answer({"type": "spotMeta"})["universe"]}


def test_a_set_is_split_and_merged(desk: Desk) -> None:
    """Given 100 USDC, then 100 of each side, whose balances have no token number, and back."""
    assert user_outcome(desk, ALICE, "splitOutcome", outcome=1, amount="100") == DEFAULT
    assert held(desk, ALICE) == {"USDC": 99_900, "+10": 100, "+11": 100}
    assert [set(row) & {"token"} for row in spot_state(desk.account(ALICE))["balances"]] == [{"token"}, set(), set()]
    assert user_outcome(desk, ALICE, "mergeOutcome", outcome=1, amount="40") == DEFAULT
    assert user_outcome(desk, ALICE, "mergeOutcome", outcome=1, amount=None) == DEFAULT, "all of it"
    assert held(desk, ALICE) == {"USDC": 100_000}


def test_sides_trade_between_zero_and_one_and_only_sales_pay(desk: Desk) -> None:
    user_outcome(desk, BOB, "splitOutcome", outcome=1, amount="500")
    assert "resting" in desk.order(BOB, YES, "sell", "0.62", "200")
    filled = desk.order(ALICE, YES, "buy", "0.62", "200", "Ioc")
    assert filled["filled"]["avgPx"] == "0.62"
    bought, sold = desk.account(ALICE).fills[-1], desk.account(BOB).fills[-1]
    assert (bought["fee"], bought["dir"], bought["coin"]) == ("0.0", "Buy", "#10")
    assert (sold["fee"], sold["feeToken"]) == ("0.0496", "USDC"), "0.04 % of 124 USDC, as a maker"
    assert held(desk, ALICE) == {"USDC": 99_876, "+10": 200}
    for px in ("1", "1.5"):
        assert desk.order(ALICE, YES, "buy", px, "50") == {"error": "Order has invalid price."}
    assert "tick size" in desk.order(ALICE, YES, "buy", "0.51234", "50")["error"]
    assert desk.order(ALICE, NO, "sell", "0.4", "50")["error"].startswith("Insufficient spot balance")
    mixed = desk.orders(ALICE, wire(YES, "buy", "0.4", "50"), wire(10_000, "buy", "0.2", "100"))
    assert mixed == [{"error": "Order action has different asset classes"}]


def test_a_settled_outcome_pays_its_holders_and_ends_its_orders(desk: Desk) -> None:
    """Given Yes at three quarters, then a Yes is worth 0.75 and a No 0.25, what rested is cancelled, and nothing trades."""
    user_outcome(desk, BOB, "splitOutcome", outcome=1, amount="500")
    desk.order(BOB, YES, "sell", "0.6", "200")
    desk.order(ALICE, YES, "buy", "0.6", "100", "Ioc")
    before = held(desk, BOB)["USDC"]
    desk.exchange.settle_outcome(1, "0.75", "decided by the test")
    desk.send()
    assert desk.block.outcome_updates == [{"outcomeSettled": {"outcome": 1}}]
    assert desk.rows(BOB) == [("outcomeSettledCanceled", "100.0")]
    assert held(desk, ALICE) == {"USDC": 100_000 - 60 + 75}
    assert held(desk, BOB) == {"USDC": before + 300 + 125}
    assert [(fill["dir"], fill["px"], fill["sz"]) for fill in desk.account(ALICE).fills[-1:]] == [
        ("Settlement", "0.75", "100.0")
    ]
    assert desk.order(ALICE, YES, "buy", "0.5", "50") == {"error": "Trading is halted."}
    assert user_outcome(desk, ALICE, "splitOutcome", outcome=1, amount="1")["status"] == "err"
    info = Info(desk.exchange)
    assert 1 not in [row["outcome"] for row in info.answer({"type": "outcomeMeta"})["outcomes"]]
    found = info.answer({"type": "settledOutcome", "outcome": 1})
    assert (found["settleFraction"], found["details"]) == ("0.75", "decided by the test")
    assert info.answer({"type": "settledOutcome", "outcome": 11}) is None


def test_answers_to_a_question_are_merged_and_negated(desk: Desk) -> None:
    """Given a Yes of each answer, then they are a USDC; a No of one is a Yes of all others, whatever comes true."""
    for outcome in (10, 11, 12):
        user_outcome(desk, ALICE, "splitOutcome", outcome=outcome, amount="30")
    assert user_outcome(desk, ALICE, "mergeQuestion", question=1, amount="10") == DEFAULT
    assert held(desk, ALICE)["USDC"] == 100_000 - 90 + 10
    assert user_outcome(desk, ALICE, "negateOutcome", question=1, outcome=11, amount="5") == DEFAULT
    assert held(desk, ALICE) == {"USDC": 99_920, "+100": 25, "+101": 30, "+110": 20, "+111": 25, "+120": 25, "+121": 30}
    for outcome, share in ((10, 0), (11, 0), (12, 1)):
        desk.exchange.settle_outcome(outcome, share)
    desk.send()
    assert held(desk, ALICE) == {"USDC": 100_000}, "sets are worth what they cost"


REFUSED = [
    ("splitOutcome", {"outcome": 5, "amount": "1"}, "Outcome 5 is not active."),
    ("splitOutcome", {"outcome": 1, "amount": "0.001"}, "Invalid send"),
    ("splitOutcome", {"outcome": 1, "amount": "200000"}, "Insufficient balance for token transfer."),
    ("mergeOutcome", {"outcome": 1, "amount": "1"}, "Insufficient balance for token transfer."),
    ("mergeOutcome", {"outcome": 1, "amount": None}, "Invalid send"),
    ("mergeQuestion", {"question": 7, "amount": "1"}, "Question 7 is not active."),
    ("negateOutcome", {"question": 1, "outcome": 1, "amount": "1"}, "Outcome 1 is no answer to question 1."),
]


@pytest.mark.parametrize("what,fields,why", REFUSED)
def test_what_is_not_there_is_refused(desk: Desk, what: str, fields: dict[str, Any], why: str) -> None:
    assert user_outcome(desk, ALICE, what, **fields) == {"status": "err", "response": why}


def test_one_thing_at_a_time_and_shares_from_zero_to_one(desk: Desk) -> None:
    both = {
        "type": "userOutcome",
        "splitOutcome": {"outcome": 1, "amount": "1"},
        "mergeOutcome": {"outcome": 1, "amount": "1"},
    }
    for action in (both, {"type": "userOutcome"}):
        with pytest.raises(Malformed):
            L1_ACTIONS["userOutcome"](action)
    for number, share in ((1, "1.5"), (77, "1")):
        with pytest.raises(ConfigError):
            desk.exchange.settle_outcome(number, share)
