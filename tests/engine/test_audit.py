"""The audit finds every kind of difference, and nothing else."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from hlfast.engine.audit import Difference, differences

KEY_1, KEY_2 = ("BTC", 11, 101, 1000), ("ETH", 12, 102, 1001)


def ledger() -> dict[str, Any]:
    return {
        "cash": Decimal("934903.99"),
        "fees": {"USDC": Decimal("0.39")},
        "fill_keys": [KEY_1, KEY_2],
        "positions": {"BTC": Decimal("0.01"), "ETH": Decimal("-0.1")},
        "spot": {"USDC": Decimal(100000)},
    }


def truth() -> dict[str, Any]:
    return {
        "cash": "934903.990",
        "fees": {"USDC": "0.39"},
        "fills": [row(KEY_1, "B", "0.01"), row(KEY_2, "A", "0.1")],
        "positions": {"BTC": {"szi": "0.01"}, "ETH": {"szi": "-0.1"}},
        "spot": {"USDC": {"total": "100000.0"}, "PURR": {"total": "0.0"}},
        "orders": [{"coin": "BTC", "oid": 101, "side": "B", "px": "65000", "sz": "0.01", "status": "filled"}],
    }


def row(key: tuple[str, int, int, int], side: str, size: str) -> dict[str, Any]:
    coin, tid, oid, time = key
    return {"coin": coin, "tid": tid, "oid": oid, "time": time, "side": side, "sz": size, "px": "65000"}


def test_equal_figures_have_no_difference() -> None:
    """Given the same amounts in other spellings, then none."""
    assert differences(ledger(), truth()) == []


def test_cash_is_compared_to_the_last_digit() -> None:
    ours = ledger() | {"cash": Decimal("934903.99000001")}
    assert differences(ours, truth()) == [Difference("cash", "USDC", "934903.99000001", "934903.990")]


@pytest.mark.parametrize(
    ("held", "subject", "ours", "exchange"),
    [
        ({"BTC": Decimal("0.02"), "ETH": Decimal("-0.1")}, "BTC", "0.02", "0.01"),
        ({"ETH": Decimal("-0.1")}, "BTC", "0", "0.01"),
        ({"BTC": Decimal("0.01"), "ETH": Decimal("-0.1"), "SOL": Decimal(1)}, "SOL", "1", "0"),
    ],
)
def test_a_position_that_differs_is_named(held: dict[str, Decimal], subject: str, ours: str, exchange: str) -> None:
    """A wrong size, one that we do not have, and one that only we have."""
    assert differences(ledger() | {"positions": held}, truth()) == [Difference("position", subject, ours, exchange)]


def test_fees_and_balances_are_compared_by_token() -> None:
    ours = ledger() | {"fees": {"USDC": Decimal("0.38"), "PURR": Decimal(1)}, "spot": {"USDC": Decimal(99999)}}
    assert {(d.kind, d.subject) for d in differences(ours, truth())} == {
        ("fees", "USDC"),
        ("fees", "PURR"),
        ("balance", "USDC"),
    }


def test_a_lost_fill_is_named() -> None:
    """G7: a fill that never reached us is a difference even where amounts cancel out."""
    found = differences(ledger() | {"fill_keys": [KEY_1]}, truth())
    assert [(d.kind, d.ours) for d in found] == [("fill", "missing")]
    assert "ETH tid 12 oid 102" in str(found[0]) and "A 0.1 at 65000" in str(found[0])


def test_a_fill_booked_twice_is_named() -> None:
    """G7: a fill is booked once."""
    found = differences(ledger() | {"fill_keys": [KEY_1, KEY_2, KEY_2]}, truth())
    assert [(d.kind, d.ours, d.exchange) for d in found] == [("fill", "booked 2 times", "once")]


def test_an_invented_fill_is_named() -> None:
    found = differences(ledger() | {"fill_keys": [KEY_1, KEY_2, ("BTC", 99, 9, 9)]}, truth())
    assert [(d.kind, d.ours, d.exchange) for d in found] == [("fill", "booked", "unknown")]


def test_an_order_still_resting_is_named() -> None:
    now = truth()
    now["orders"].append({"coin": "ETH", "oid": 102, "side": "A", "px": "3500", "sz": "0.1", "status": "open"})
    found = differences(ledger(), now)
    assert [(d.kind, d.subject, d.ours) for d in found] == [("order", "ETH oid 102", "ended")]


def test_what_was_there_before_does_not_count() -> None:
    """Given an account with a past, then its old fills, fees and resting orders are not ours to have."""
    before, now = truth(), truth()
    old = row(("SOL", 1, 2, 3), "B", "5")
    resting = {"coin": "SOL", "oid": 7, "side": "B", "px": "100", "sz": "5", "status": "open"}
    before |= {"fills": [old], "fees": {"USDC": "2.5"}, "orders": [resting]}
    now["fills"].insert(0, old)
    now["orders"].append(copy.deepcopy(resting))
    now["fees"] = {"USDC": "2.89"}
    assert differences(ledger(), now, before) == []
    assert {d.kind for d in differences(ledger(), now)} == {"fees", "fill", "order"}


def test_fills_that_one_side_no_longer_keeps_are_left_to_the_sums() -> None:
    """Given a run so long that the exchange, or the ledger, has dropped its oldest fills, then that is no difference."""
    now = truth()
    now["fills"], now["dropped"] = [row(KEY_2, "A", "0.1")], {"fills": 1}
    assert differences(ledger() | {"fills": 2}, now) == []
    assert differences(ledger() | {"fills": 2, "fill_keys": [KEY_2]}, truth()) == []
    newer = row(("ETH", 13, 103, 1002), "A", "0.1")
    now["fills"].append(newer)
    assert [(d.kind, d.ours) for d in differences(ledger() | {"fills": 2}, now)] == [("fill", "missing")]
