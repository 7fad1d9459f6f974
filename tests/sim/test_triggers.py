"""Stops and take profits on the mark price: directions, answers, rows, families, and what the frontend shows."""

from __future__ import annotations

from typing import Any

import pytest

from hlfast.sim.info import Info

from .desk import ALICE, BOB, CAROL, Desk, trigger, wire

ETH = 1
NO_PRICE = {"error": "Invalid TP/SL price. asset=1"}


def long_eth(desk: Desk, who: Any, sz: str) -> None:
    """`who` is long at 3500; the mark is 3500, pinned."""
    desk.exchange.set_mark("ETH", 3500)
    desk.order(CAROL, ETH, "sell", "3500", sz)
    desk.order(who, ETH, "buy", "3500", sz, "Ioc")


def mark(desk: Desk, px: str) -> list[tuple[str, str]]:
    """A block with this mark; Alice's rows of it."""
    desk.exchange.set_mark("ETH", px)
    desk.send()
    return desk.rows(ALICE)


def frontend(desk: Desk, who: Any = ALICE) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = Info(desk.exchange).answer({"type": "frontendOpenOrders", "user": who.address})
    return answer


@pytest.mark.parametrize(
    ("side", "tpsl", "fires_at", "not_at"),
    [
        ("sell", "sl", "3400", "3400.1"),
        ("sell", "tp", "3600", "3599.9"),
        ("buy", "sl", "3600", "3599.9"),
        ("buy", "tp", "3400", "3400.1"),
    ],
)
def test_a_trigger_fires_at_the_mark_in_its_own_direction(
    desk: Desk, side: str, tpsl: str, fires_at: str, not_at: str
) -> None:
    """Given a position and a trigger that closes it, then the mark one step before it does nothing, at it it fires."""
    desk.exchange.set_mark("ETH", 3500)
    first, second = ("sell", "buy") if side == "sell" else ("buy", "sell")
    desk.order(CAROL, ETH, first, "3500", "1")
    desk.order(ALICE, ETH, second, "3500", "1", "Ioc")
    desk.order(BOB, ETH, second, "3500", "5")
    px = "3000" if side == "sell" else "4000"
    answer = desk.orders(ALICE, trigger(ETH, side, px, "1", fires_at, tpsl))
    assert list(answer[0]) == ["resting"] and desk.rows(ALICE) == [("open", "1.0")]
    assert mark(desk, not_at) == []
    assert mark(desk, fires_at) == [("triggered", "1.0"), ("filled", "0.0")]
    assert desk.account(ALICE).positions[ETH].lots == 0 and desk.account(ALICE).open == {}
    assert desk.account(ALICE).fills[-1]["dir"] == ("Close Long" if side == "sell" else "Close Short")


@pytest.mark.parametrize(
    ("side", "tpsl", "px"),
    [("sell", "sl", "3500"), ("sell", "tp", "3400"), ("buy", "sl", "3400"), ("buy", "tp", "3600")],
)
def test_a_trigger_that_is_already_met_is_refused_with_a_row(desk: Desk, side: str, tpsl: str, px: str) -> None:
    long_eth(desk, ALICE, "1")
    assert desk.orders(ALICE, trigger(ETH, side, "3500", "1", px, tpsl)) == [NO_PRICE]
    assert desk.rows(ALICE) == [("badTriggerPxRejected", "1.0")]


def test_a_trigger_holds_nothing_and_shows_its_condition(desk: Desk) -> None:
    """frontendOpenOrders says what it waits for, openOrders shows a plain reduce-only row; L42: every field comes back."""
    long_eth(desk, ALICE, "1")
    free = desk.account(ALICE).withdrawable_e8
    (stop,) = desk.orders(
        ALICE, trigger(ETH, "sell", "3390", "0.7", "3400", "sl", is_market=False, cloid="0x" + "7" * 32)
    )
    assert stop["resting"]["cloid"] == "0x" + "7" * 32
    (row,) = frontend(desk)
    assert row == {
        "coin": "ETH",
        "side": "A",
        "limitPx": "3390.0",
        "sz": "0.7",
        "oid": stop["resting"]["oid"],
        "timestamp": desk.block.time_ms,
        "triggerCondition": "Price below 3400",
        "isTrigger": True,
        "triggerPx": "3400.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": True,
        "orderType": "Stop Limit",
        "origSz": "0.7",
        "tif": None,
        "cloid": "0x" + "7" * 32,
    }
    (plain,) = Info(desk.exchange).answer({"type": "openOrders", "user": ALICE.address})
    assert plain["reduceOnly"] is True and "triggerPx" not in plain
    assert desk.account(ALICE).withdrawable_e8 == free
    assert desk.book(ETH) == [[], []]


def test_a_trigger_limit_rests_after_it_has_fired(desk: Desk) -> None:
    long_eth(desk, ALICE, "1")
    desk.orders(ALICE, trigger(ETH, "sell", "3450", "1", "3400", "sl", is_market=False))
    assert mark(desk, "3399.9") == [("triggered", "1.0")]
    (row,) = frontend(desk)
    assert (row["triggerCondition"], row["sz"], row["orderType"]) == ("Triggered", "1.0", "Stop Limit")
    assert desk.book(ETH)[1] == [("3450.0", "1.0", 1)]
    desk.order(BOB, ETH, "buy", "3450", "1", "Ioc")
    assert desk.rows(ALICE) == [("filled", "0.0")]


@pytest.mark.parametrize(
    ("size", "with_position", "status"), [("1", False, "reduceOnlyRejected"), ("1", True, "iocCancelRejected")]
)
def test_an_order_can_be_refused_when_it_fires(desk: Desk, size: str, with_position: bool, status: str) -> None:
    """Without a position there is nothing to reduce; with one and no book there is nothing to trade with."""
    desk.exchange.set_mark("ETH", 3500)
    if with_position:
        long_eth(desk, ALICE, "1")
    desk.orders(ALICE, trigger(ETH, "sell", "3300", size, "3400", "sl"))
    assert mark(desk, "3400") == [("triggered", "1.0"), (status, "1.0")]
    assert desk.account(ALICE).open == {}


WRONG = [
    ([trigger(ETH, "sell", "3300", "1", "3400", "sl", reduce_only=False)], "na", "Trigger order is not reduce only."),
    ([trigger(ETH, "sell", "3300", "0", "3400", "sl")], "na", "Order has zero size."),
    ([trigger(ETH, "sell", "3300", "1", "0", "sl")], "na", "Order has invalid price."),
    ([wire(ETH, "buy", "3400", "1")], "normalTpsl", "Unexpected number of trigger orders"),
    ([wire(ETH, "buy", "3400", "1")], "positionTpsl", "Unexpected number of trigger orders"),
    (
        [wire(ETH, "buy", "3400", "1"), wire(ETH, "sell", "3600", "1", reduce_only=True)],
        "normalTpsl",
        "Unexpected number of trigger orders",
    ),
    (
        [wire(ETH, "buy", "3400", "1")] + [trigger(ETH, "sell", "3300", "1", "3300", "sl")] * 3,
        "normalTpsl",
        "Unexpected number of trigger orders",
    ),
    (
        [wire(ETH, "buy", "3400", "1"), trigger(ETH, "buy", "3700", "1", "3600", "sl")],
        "normalTpsl",
        "Trigger order has unexpected side.",
    ),
]


@pytest.mark.parametrize(("wires", "grouping", "text"), WRONG, ids=range(len(WRONG)))
def test_groups_of_a_wrong_shape_are_refused_with_one_error(
    desk: Desk, wires: list[dict[str, Any]], grouping: str, text: str
) -> None:
    assert desk.orders(ALICE, *wires, grouping=grouping) == [{"error": text}]
    assert desk.account(ALICE).orders == {}


def bracket(desk: Desk, parent: dict[str, Any]) -> list[Any]:
    return desk.orders(
        ALICE,
        parent,
        trigger(ETH, "sell", "3700", "1", "3600", "tp", is_market=False),
        trigger(ETH, "sell", "3300", "1", "3400", "sl"),
        grouping="normalTpsl",
    )


def test_a_bracket_waits_for_its_parent_and_dies_with_it(desk: Desk) -> None:
    """Life cycle G. Children wait without oids in the answer, are listed under their parent, and end with it."""
    desk.exchange.set_mark("ETH", 3500)
    parent, *children = bracket(desk, wire(ETH, "buy", "3450", "1"))
    assert children == ["waitingForFill", "waitingForFill"]
    assert desk.rows(ALICE) == [("open", "1.0")] * 3
    rows = {row["oid"]: row for row in frontend(desk)}
    oid = parent["resting"]["oid"]
    assert [child["oid"] for child in rows[oid]["children"]] == [oid + 1, oid + 2]
    assert [rows[oid + 1]["orderType"], rows[oid + 2]["orderType"]] == ["Take Profit Limit", "Stop Market"]
    assert mark(desk, "3390") == [], "children that wait for the fill do not fire"
    mark(desk, "3500")
    assert desk.cancel(ALICE, ETH, oid) == "success"
    assert desk.rows(ALICE) == [("canceled", "1.0")] * 3
    times = {order.status_ms for order in desk.account(ALICE).orders.values()}
    assert len(times) == 1 and desk.account(ALICE).open == {}


def test_a_bracket_wakes_up_when_its_parent_is_filled_whole_and_one_child_ends_the_other(desk: Desk) -> None:
    desk.exchange.set_mark("ETH", 3500)
    oid = bracket(desk, wire(ETH, "buy", "3450", "1"))[0]["resting"]["oid"]
    desk.order(BOB, ETH, "sell", "3450", "0.4", "Ioc")
    assert mark(desk, "3390") == [], "a part fill does not wake them"
    mark(desk, "3500")
    desk.order(BOB, ETH, "sell", "3450", "0.6", "Ioc")
    assert desk.rows(ALICE) == [("filled", "0.0")]
    assert [row["children"] for row in frontend(desk)] == [[], []]
    desk.order(BOB, ETH, "buy", "3395", "2")
    assert mark(desk, "3399") == [("triggered", "1.0"), ("filled", "0.0"), ("siblingFilledCanceled", "1.0")]
    assert desk.block.non_user_cancels[ALICE.address] == [{"coin": "ETH", "oid": oid + 1}]
    assert desk.account(ALICE).positions[ETH].lots == 0


@pytest.mark.parametrize(("end", "children"), [("canceled", ["canceled"] * 2), ("marginCanceled", ["open"] * 2)])
def test_a_parent_that_ends_after_a_part_fill(desk: Desk, end: str, children: list[str]) -> None:
    """Cancelled, it takes its children with it; out of margin, it leaves them to guard what was filled."""
    desk.exchange.set_mark("ETH", 3500)
    oid = bracket(desk, wire(ETH, "buy", "3450", "1"))[0]["resting"]["oid"]
    desk.order(BOB, ETH, "sell", "3450", "0.4", "Ioc")
    desk.exchange.execution.cancel(desk.account(ALICE).open[oid], end)
    assert [desk.account(ALICE).orders[oid + n].status for n in (1, 2)] == children
    desk.order(BOB, ETH, "buy", "3395", "2")
    mark(desk, "3399")
    assert desk.account(ALICE).positions[ETH].lots == (4000 if end == "canceled" else 0)


def test_a_bracket_whose_parent_fills_at_once_waits_for_its_triggers(desk: Desk) -> None:
    desk.exchange.set_mark("ETH", 3500)
    desk.order(BOB, ETH, "sell", "3500", "1")
    answer = bracket(desk, wire(ETH, "buy", "3500", "1"))
    assert answer[0]["filled"]["totalSz"] == "1.0" and answer[1:] == ["waitingForTrigger", "waitingForTrigger"]
    desk.order(BOB, ETH, "buy", "3710", "1")
    assert mark(desk, "3600") == [("triggered", "1.0"), ("filled", "0.0"), ("siblingFilledCanceled", "1.0")]


def test_a_bracket_whose_parent_is_refused_is_not_placed(desk: Desk) -> None:
    assert (
        bracket(desk, wire(ETH, "buy", "3500", "1", "Ioc"))
        == [{"error": "Order could not immediately match against any resting orders. asset=1"}] * 3
    )
    assert desk.account(ALICE).open == {}


def test_position_tpsl_needs_a_position_follows_its_size_and_ends_with_it(desk: Desk) -> None:
    """Given triggers without a size, then they close whatever the position is when they fire; its end is theirs."""
    desk.exchange.set_mark("ETH", 3500)
    pair = [trigger(ETH, "sell", "3500", "0", "3600", "tp"), trigger(ETH, "sell", "3200", "0", "3400", "sl")]
    refused = desk.orders(ALICE, *pair, grouping="positionTpsl")
    assert refused == [{"error": "Reduce only order would increase position. asset=1"}] * 2
    long_eth(desk, ALICE, "1")
    assert desk.orders(ALICE, *pair, grouping="positionTpsl") == ["waitingForTrigger"] * 2
    rows = frontend(desk)
    assert [(row["isPositionTpsl"], row["sz"], row["origSz"]) for row in rows] == [(True, "0.0", "0.0")] * 2
    desk.order(CAROL, ETH, "sell", "3500", "0.5")
    desk.order(ALICE, ETH, "buy", "3500", "0.5", "Ioc")
    desk.order(BOB, ETH, "buy", "3300", "5")
    assert mark(desk, "3400") == [("triggered", "1.5"), ("siblingFilledCanceled", "0.0"), ("filled", "0.0")]
    assert desk.account(ALICE).positions[ETH].lots == 0
    long_eth(desk, ALICE, "1")
    desk.orders(ALICE, *pair, grouping="positionTpsl")
    desk.order(ALICE, ETH, "sell", "3300", "1", "Ioc")
    assert [row[0] for row in desk.rows(ALICE)] == ["open", "reduceOnlyCanceled", "reduceOnlyCanceled", "filled"]


def test_a_waiting_order_can_be_cancelled_but_not_in_haste(desk: Desk) -> None:
    """A cancel with the fast flag is refused for an order that waits for its trigger."""
    long_eth(desk, ALICE, "1")
    oid = desk.orders(ALICE, trigger(ETH, "sell", "3300", "1", "3400", "sl"))[0]["resting"]["oid"]
    fast = desk.act(ALICE, {"type": "cancel", "cancels": [{"a": ETH, "o": oid}], "f": True})
    assert "error" in fast["response"]["data"]["statuses"][0]
    assert desk.cancel(ALICE, ETH, oid) == "success" and desk.rows(ALICE) == [("canceled", "1.0")]
    assert len(desk.exchange.execution.triggers) == 0


def test_a_modify_takes_a_trigger_only_with_always_place(desk: Desk) -> None:
    long_eth(desk, ALICE, "1")
    oid = desk.orders(ALICE, trigger(ETH, "sell", "3300", "1", "3400", "sl"))[0]["resting"]["oid"]
    modifies = [{"oid": oid, "order": trigger(ETH, "sell", "3300", "1", "3450", "sl")}]
    plain = desk.act(ALICE, {"type": "batchModify", "modifies": modifies})
    assert plain["response"]["data"]["statuses"] == [{"error": "Attempted to modify to invalid new order"}]
    placed = desk.act(ALICE, {"type": "batchModify", "modifies": modifies, "a": True})
    assert list(placed["response"]["data"]["statuses"][0]) == ["resting"]
    assert sorted(row[0] for row in desk.rows(ALICE)) == ["canceled", "open"]
    assert [row["triggerPx"] for row in frontend(desk)] == ["3450.0"]


def test_with_a_thousand_open_orders_no_trigger_and_no_reduce_only_order_is_taken(desk: Desk) -> None:
    long_eth(desk, ALICE, "1")
    for _ in range(5):
        desk.orders(ALICE, *[wire(ETH, "buy", "3000", "0.01") for _ in range(200)])
    full = {"error": "Too many open orders asset=1"}
    assert desk.orders(ALICE, trigger(ETH, "sell", "3300", "1", "3400", "sl")) == [full]
    assert desk.order(ALICE, ETH, "sell", "3300", "1", "Ioc", reduce_only=True) == full
    desk.account(ALICE).volume_e8 = 10_000_000 * 10**8
    assert "resting" in desk.order(ALICE, ETH, "buy", "3000", "0.01"), "volume allows more of the others"
