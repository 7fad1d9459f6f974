"""Every refusal of an order: the venue's text, its status, and that nothing else happened."""

from __future__ import annotations

from typing import Any

import pytest

from .desk import ALICE, BOB, CAROL, SUB_ACCOUNT, Desk, trigger, wire

BTC, ETH, SOL, MATIC, HYPE, KPEPE, PURR = 0, 1, 2, 3, 4, 5, 10_000

MINIMUM = "Order must have minimum value of $10. asset=1"
INCREASES = "Reduce only order would increase position. asset=1"
NO_MATCH = "Order could not immediately match against any resting orders. asset=1"
TOO_FAR = "Order price cannot be more than 95% away from the reference price"


REJECTED = [
    (wire(ETH, "buy", "3000.01", "1"), "Price must be divisible by tick size. asset=1", "tickRejected"),
    (wire(BTC, "buy", "60000.5", "1"), "Price must be divisible by tick size. asset=0", "tickRejected"),
    (wire(ETH, "buy", "3000", "0.0001"), MINIMUM, "minTradeNtlRejected"),
    (wire(PURR, "buy", "0.2", "1"), "Order must have minimum value of 10 USDC. asset=10000", "minTradeNtlRejected"),
    (wire(ETH, "buy", "3000", "1", reduce_only=True), INCREASES, "reduceOnlyRejected"),
    (wire(ETH, "buy", "3000", "1", "Ioc"), NO_MATCH, "iocCancelRejected"),
    (
        wire(SOL, "buy", "150", "1", "FrontendMarket"),
        "No liquidity available for market order. asset=2",
        "marketOrderNoLiquidityRejected",
    ),
    (wire(ETH, "buy", "3400", "6000"), "Insufficient margin to place order. asset=1", "perpMarginRejected"),
    (wire(PURR, "buy", "0.2", "600000"), "Insufficient spot balance asset=10000", "insufficientSpotBalanceRejected"),
    (wire(PURR, "sell", "0.2", "100"), "Insufficient spot balance asset=10000", "insufficientSpotBalanceRejected"),
    (
        wire(ETH, "buy", "3502", "1", "Alo"),
        "Post only order would have immediately matched, bbo was 3499.9 @ 3501. asset=1",
        "badAloPxRejected",
    ),
]


@pytest.mark.parametrize(("order", "text", "status"), REJECTED, ids=[case[2] for case in REJECTED])
def test_a_rejected_order_says_why_and_leaves_a_row_with_an_oid(
    desk: Desk, order: dict[str, Any], text: str, status: str
) -> None:
    """Given a bad order, then its own status entry has the venue's text, and a row of this status has an oid."""
    desk.order(BOB, ETH, "buy", "3499.9", "1")
    desk.order(BOB, ETH, "sell", "3501", "1")
    before = (desk.account(ALICE).cash_e8, desk.book(order["a"]))
    assert desk.orders(ALICE, order) == [{"error": text}]
    (row,) = desk.block.order_rows[ALICE.address]
    assert row["status"] == status and row["order"]["oid"] > 0
    assert row["order"]["sz"] == row["order"]["origSz"]
    assert (desk.account(ALICE).cash_e8, desk.book(order["a"])) == before
    assert desk.account(ALICE).open == {} and desk.account(ALICE).fills == []


INVALID = [
    (wire(ETH, "buy", "0", "1"), "Order has invalid price."),
    (wire(ETH, "buy", "-1", "1"), "Order has invalid price."),
    (wire(ETH, "buy", "3000.000000001", "1"), "Order has invalid price."),
    (wire(ETH, "buy", "3000", "0"), "Order has zero size."),
    (wire(ETH, "buy", "3000", "-1"), "Order has invalid size."),
    (wire(ETH, "buy", "3000", "1.00001"), "Order has invalid size."),
    (wire(KPEPE, "buy", "0.012", "1000.5"), "Order has invalid size."),
    (wire(ETH, "buy", "100", "1"), TOO_FAR),
    (wire(ETH, "sell", "7000", "1"), TOO_FAR),
    (wire(PURR, "buy", "0.2", "100", reduce_only=True), "Reduce-only is invalid for spot trading."),
    (wire(ETH, "buy", "3400", "1", "LiquidationMarket"), "Invalid TIF"),
    (wire(MATIC, "buy", "0.37", "100"), "Trading is halted."),
    (wire(SOL, "buy", "150", "40000", "Ioc"), "Order value too large. Max is $5000000."),
    (wire(SOL, "buy", "150", "400000"), "Order value too large. Max is $50000000."),
]


@pytest.mark.parametrize(("order", "text"), INVALID, ids=[f"{case[1]}-{case[0]['p']}" for case in INVALID])
def test_one_invalid_order_refuses_the_whole_batch_with_one_error(desk: Desk, order: dict[str, Any], text: str) -> None:
    """Life cycle K. Given a good and a bad order in one action, then one error for both, and nothing is placed. G17."""
    same_class = wire(PURR, "buy", "0.2", "100") if order["a"] >= 10_000 else wire(BTC, "buy", "60000", "1")
    assert desk.orders(ALICE, same_class, order) == [{"error": text}]
    assert desk.account(ALICE).orders == {}
    assert desk.block.order_rows == {}


def test_a_price_just_inside_the_band_is_taken(desk: Desk) -> None:
    assert "resting" in desk.order(ALICE, ETH, "buy", "175", "1")
    assert desk.order(ALICE, ETH, "buy", "174.9", "1") == {"error": TOO_FAR}


def test_batches_that_cannot_be_one_action(desk: Desk) -> None:
    assert desk.orders(ALICE) == [{"error": "Orders are empty."}]
    mixed = desk.orders(ALICE, wire(ETH, "buy", "3000", "1"), wire(PURR, "buy", "0.2", "100"))
    assert mixed == [{"error": "Order action has different asset classes"}]
    built = {"type": "order", "orders": [wire(ETH, "buy", "3000", "1")], "grouping": "na"}
    answer = desk.act(ALICE, {**built, "builder": {"b": BOB.address, "f": 10}})
    assert answer["response"]["data"]["statuses"] == [{"error": "Builder fee has not been approved"}]
    hurried = desk.orders(ALICE, wire(ETH, "buy", "3000", "1", "Ioc"), grouping={"p": 10_000})
    assert hurried == [{"error": "Insufficient delegatable balance for priority order"}]


def test_good_and_bad_orders_of_one_batch_answer_one_by_one(desk: Desk) -> None:
    """G17: same length, same order, whatever mix."""
    statuses = desk.orders(
        ALICE, wire(ETH, "buy", "3000", "1"), wire(ETH, "buy", "3000", "0.0001"), wire(ETH, "buy", "2999", "1")
    )
    assert [next(iter(status)) for status in statuses] == ["resting", "error", "resting"]


WHOLE = [
    ({"type": "order", "orders": [wire(10_001, "buy", "1", "1")], "grouping": "na"}, "Invalid spot"),
    (
        {"type": "order", "orders": [wire(77, "buy", "1", "1")], "grouping": "na"},
        "Invalid asset 77: not in this universe.",
    ),
    ({"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 26}, "Invalid leverage value"),
    ({"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 0}, "Invalid leverage value"),
    ({"type": "updateLeverage", "asset": PURR, "isCross": True, "leverage": 1}, "Spot has no leverage."),
    (
        {"type": "claimRewards"},
        "The local exchange does not simulate the action 'claimRewards' yet.",
    ),
    (
        {"type": "cancel", "cancels": [{"a": ETH, "o": oid} for oid in range(201)]},
        "Signed action over weight limit of 200.",
    ),
]


@pytest.mark.parametrize(("action", "text"), WHOLE, ids=[case[1] for case in WHOLE])
def test_an_action_that_is_refused_as_a_whole_answers_err(desk: Desk, action: dict[str, Any], text: str) -> None:
    assert desk.act(ALICE, action) == {"status": "err", "response": text}
    assert desk.account(ALICE).orders == {}


def test_cancels_answer_one_by_one_and_unknown_ones_all_alike(desk: Desk) -> None:
    """Unknown, another's, wrong asset: all the same error. G17."""
    own = desk.order(ALICE, ETH, "buy", "3000", "1", cloid="0x" + "1" * 32)["resting"]["oid"]
    others = desk.order(BOB, ETH, "buy", "3000", "1")["resting"]["oid"]
    cancels = [{"a": ETH, "o": 1}, {"a": ETH, "o": others}, {"a": BTC, "o": own}, {"a": ETH, "o": own}]
    answer = desk.act(ALICE, {"type": "cancel", "cancels": cancels, "f": True})
    never = "Order was never placed, already canceled, or filled. asset={}"
    assert answer["response"] == {
        "type": "cancel",
        "data": {"statuses": [{"error": never.format(a)} for a in (1, 1, 0)] + ["success"]},
    }
    by_cloid = {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": "0x" + "1" * 32}]}
    assert desk.act(ALICE, by_cloid)["response"]["data"]["statuses"] == [{"error": never.format(1)}]


def test_cancel_by_cloid_finds_the_resting_order(desk: Desk) -> None:
    cloid = "0x" + "c1" * 16
    desk.order(ALICE, ETH, "buy", "3000", "1", cloid=cloid)
    answer = desk.act(ALICE, {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": cloid}]})
    assert answer["response"] == {"type": "cancel", "data": {"statuses": ["success"]}}
    assert desk.rows(ALICE) == [("canceled", "1.0")]


def test_an_account_may_have_a_thousand_open_orders(desk: Desk) -> None:
    for _ in range(5):
        desk.orders(ALICE, *[wire(ETH, "buy", "3000", "0.01") for _ in range(200)])
    assert desk.order(ALICE, ETH, "buy", "3000", "0.01") == {"error": "Too many open orders asset=1"}
    assert desk.rows(ALICE) == [("tooManyOpenOrdersRejected", "0.01")]


# -- the minimum value's exceptions ----------------------------------------------------------------------------------


def long_eth(desk: Desk, who: Any, sz: str) -> None:
    desk.order(CAROL, ETH, "sell", "3500", sz)
    desk.order(who, ETH, "buy", "3500", sz, "Ioc")


def test_an_order_that_closes_the_whole_position_may_be_small(desk: Desk) -> None:
    """Given a position worth less than 10, then closing all of it works, a part of it does not."""
    long_eth(desk, ALICE, "0.01")
    desk.order(CAROL, ETH, "buy", "3500", "0.008")
    desk.order(ALICE, ETH, "sell", "3500", "0.008", "Ioc")
    desk.order(CAROL, ETH, "buy", "3500", "1")
    assert desk.order(ALICE, ETH, "sell", "3500", "0.001", "Ioc") == {"error": MINIMUM}
    assert desk.order(ALICE, ETH, "sell", "3500", "0.002", "Ioc")["filled"]["totalSz"] == "0.002"


def test_a_reduce_only_order_beyond_a_small_position_is_taken_and_shrunk(desk: Desk) -> None:
    long_eth(desk, ALICE, "0.01")
    desk.order(CAROL, ETH, "buy", "3500", "0.008")
    desk.order(ALICE, ETH, "sell", "3500", "0.008", "Ioc")
    desk.order(CAROL, ETH, "buy", "3500", "1")
    answer = desk.order(ALICE, ETH, "sell", "3500", "0.0025", "Ioc", reduce_only=True)
    assert answer["filled"]["totalSz"] == "0.002"


def test_an_ioc_counts_at_the_price_that_it_meets(desk: Desk) -> None:
    """A limit price far above the market does not make a small order large."""
    desk.order(CAROL, ETH, "sell", "3500", "1")
    assert desk.order(ALICE, ETH, "buy", "4000", "0.0026", "Ioc") == {"error": MINIMUM}


# -- reduce-only -----------------------------------------------------------------------------------------------------


def test_reduce_only_never_flips_and_refuses_to_add(desk: Desk) -> None:
    long_eth(desk, ALICE, "1")
    assert desk.order(ALICE, ETH, "buy", "3400", "1", reduce_only=True) == {"error": INCREASES}
    desk.order(CAROL, ETH, "buy", "3500", "5")
    answer = desk.order(ALICE, ETH, "sell", "3500", "3", "Ioc", reduce_only=True)
    assert answer["filled"]["totalSz"] == "1.0"
    assert desk.account(ALICE).positions[ETH].lots == 0


def test_a_resting_reduce_only_order_is_shrunk_and_keeps_its_origsz(desk: Desk) -> None:
    long_eth(desk, ALICE, "1")
    oid = desk.order(ALICE, ETH, "sell", "3600", "3", reduce_only=True)["resting"]["oid"]
    (row,) = desk.block.order_rows[ALICE.address]
    assert (row["order"]["sz"], row["order"]["origSz"]) == ("1.0", "3.0")
    desk.order(CAROL, ETH, "buy", "3500", "0.4")
    desk.order(ALICE, ETH, "sell", "3500", "0.4", "Ioc")
    assert desk.account(ALICE).open[oid].lots == 6000
    desk.order(CAROL, ETH, "buy", "3500", "0.6")
    desk.order(ALICE, ETH, "sell", "3500", "0.6", "Ioc")
    assert desk.rows(ALICE) == [("open", "0.6"), ("reduceOnlyCanceled", "0.6"), ("filled", "0.0")]
    assert desk.block.non_user_cancels == {}, "the venue sends none for these"


def test_a_newer_reduce_only_order_ends_the_older_one_that_no_longer_fits(desk: Desk) -> None:
    long_eth(desk, ALICE, "1")
    older = desk.order(ALICE, ETH, "sell", "3600", "0.5", reduce_only=True)["resting"]["oid"]
    newer = desk.order(ALICE, ETH, "sell", "3700", "0.7", reduce_only=True)["resting"]["oid"]
    assert list(desk.account(ALICE).open) == [newer]
    assert desk.account(ALICE).orders[older].status == "reduceOnlyCanceled"


# -- margin ----------------------------------------------------------------------------------------------------------


def test_resting_orders_reserve_margin_and_give_it_back(desk: Desk) -> None:
    """1,000,000 USDC at 20x carries 20,000,000 of orders on one side."""
    oid = desk.order(ALICE, ETH, "buy", "3400", "5880")["resting"]["oid"]
    assert "error" in desk.order(ALICE, ETH, "buy", "3400", "100")
    assert "resting" in desk.order(ALICE, ETH, "sell", "3600", "100"), "the other side needs no more than this one"
    desk.cancel(ALICE, ETH, oid)
    assert "resting" in desk.order(ALICE, ETH, "buy", "3400", "100")


def test_a_resting_order_without_margin_dies_when_it_is_hit(desk: Desk) -> None:
    """Margin is checked again for the resting side at each match: `marginCanceled`."""
    desk.order(ALICE, ETH, "buy", "3490", "5000")
    account = desk.account(ALICE)
    receiver = desk.account(BOB)
    moved = account.cash_e8 - 10**8
    account.cash_e8, receiver.cash_e8 = account.cash_e8 - moved, receiver.cash_e8 + moved  # the money left elsewhere
    assert "error" in desk.order(CAROL, ETH, "sell", "3490", "100", "Ioc")
    assert desk.rows(ALICE) == [("marginCanceled", "5000.0")]
    assert desk.block.non_user_cancels[ALICE.address][0]["coin"] == "ETH"


def test_lower_leverage_needs_the_margin_for_it(desk: Desk) -> None:
    long_eth(desk, ALICE, "1000")
    low = {"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 3}
    answer = desk.act(ALICE, low)
    assert answer["status"] == "err"
    assert answer["response"].startswith("Cross position does not have sufficient margin available to decrease")
    assert desk.account(ALICE).positions[ETH].leverage == 20
    assert desk.act(ALICE, {**low, "leverage": 10})["response"] == {"type": "default"}


# -- modify ----------------------------------------------------------------------------------------------------------


def modify(desk: Desk, which: int | str, order: dict[str, Any], *, kind: str = "batchModify", always: bool = False):
    body = {"modifies": [{"oid": which, "order": order}]} if kind == "batchModify" else {"oid": which, "order": order}
    return desk.act(ALICE, {"type": kind, **body, **({"a": True} if always else {})})


def test_a_modify_is_a_cancel_and_a_new_oid_under_one_cloid(desk: Desk) -> None:
    """Life cycle F, G16: answer type `order` with the new oid; rows for both in one frame, one cloid."""
    cloid = "0x" + "f0" * 16
    old = desk.order(ALICE, ETH, "buy", "3000", "1", cloid=cloid)["resting"]["oid"]
    answer = modify(desk, old, wire(ETH, "buy", "3001", "2", cloid=cloid))
    (status,) = answer["response"]["data"]["statuses"]
    assert answer["response"]["type"] == "order" and status["resting"]["oid"] == old + 1
    rows = {row["order"]["oid"]: (row["status"], row["order"]["cloid"]) for row in desk.block.order_rows[ALICE.address]}
    assert rows == {old: ("canceled", cloid), old + 1: ("open", cloid)}
    assert desk.account(ALICE).open[old + 1].tif == "Alo", "a Gtc becomes Alo"
    by_cloid = modify(desk, cloid, wire(ETH, "buy", "3002", "2", "Alo", cloid=cloid), kind="modify")
    assert by_cloid == {"status": "ok", "response": {"type": "default"}}


def test_a_modify_that_cannot_be_is_refused_and_the_old_order_stays(desk: Desk) -> None:
    desk.order(BOB, ETH, "sell", "3500", "1")
    old = desk.order(ALICE, ETH, "buy", "3000", "1")["resting"]["oid"]
    for order in (wire(ETH, "buy", "3500", "1"), wire(ETH, "buy", "3001", "1", "Ioc"), wire(BTC, "buy", "60000", "1")):
        (status,) = modify(desk, old, order)["response"]["data"]["statuses"]
        assert status == {"error": "Attempted to modify to invalid new order"}
    assert old in desk.account(ALICE).open
    (gone,) = modify(desk, 12345, wire(ETH, "buy", "3001", "1"))["response"]["data"]["statuses"]
    assert gone == {"error": "Cannot modify canceled or filled order"}
    single = modify(desk, 12345, wire(ETH, "buy", "3001", "1"), kind="modify")
    assert single == {"status": "err", "response": "Cannot modify canceled or filled order"}


def test_a_modify_whose_new_order_fails_has_lost_the_old_one(desk: Desk) -> None:
    old = desk.order(ALICE, ETH, "buy", "3000", "1")["resting"]["oid"]
    answer = modify(desk, old, wire(ETH, "buy", "3000.01", "1"), kind="modify")
    assert answer["response"].startswith("Error placing new order during modify: Price must be divisible by tick size.")
    assert desk.account(ALICE).open == {}


def test_always_place_places_whatever_became_of_the_old_order(desk: Desk) -> None:
    desk.order(BOB, ETH, "sell", "3500", "1")
    (status,) = modify(desk, 999, wire(ETH, "buy", "3500", "1", "Ioc"), always=True)["response"]["data"]["statuses"]
    assert status["filled"]["totalSz"] == "1.0"


# -- scheduleCancel --------------------------------------------------------------------------------------------------


def test_a_scheduled_cancel_fires_once_at_its_time(desk: Desk) -> None:
    """C8's other side: all open orders end as `scheduledCancel`, and the user is told on `user`."""
    oid = desk.order(ALICE, ETH, "buy", "3000", "1")["resting"]["oid"]
    desk.order(BOB, ETH, "buy", "3000", "1")
    early = desk.act(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 4000})
    assert early["response"] == "Scheduled cancel time too early, must be at least 5 seconds from now."
    assert desk.act(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 6000})["status"] == "ok"
    desk.now_ms += 5800
    desk.send()
    assert desk.rows(ALICE) == []
    desk.now_ms += 200
    desk.send()
    assert desk.rows(ALICE) == [("scheduledCancel", "1.0")] and desk.rows(BOB) == []
    assert desk.block.non_user_cancels == {ALICE.address: [{"coin": "ETH", "oid": oid}]}


def test_a_scheduled_cancel_can_be_cleared_and_needs_volume_where_that_is_asked_for() -> None:
    desk = Desk(schedule_cancel_volume_usdc=1_000_000)
    answer = desk.act(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 6000})
    text = "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $0."
    assert answer == {"status": "err", "response": text}
    assert desk.act(ALICE, {"type": "scheduleCancel"}) == {"status": "ok", "response": {"type": "default"}}


def test_a_scheduled_cancel_fires_ten_times_a_day_and_takes_brackets_with_it(desk: Desk) -> None:
    """Ten firings in a UTC day, then none until the next; a parent and its waiting child end once each."""
    desk.now_ms -= desk.now_ms % 86_400_000
    for _ in range(10):
        legs = [wire(ETH, "buy", "3000", "1"), trigger(ETH, "sell", "2900", "1", "2950", "sl")]
        desk.orders(ALICE, *legs, grouping="normalTpsl")
        desk.act(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 6_000})
        desk.now_ms += 6_000
        desk.send()
        assert desk.rows(ALICE) == [("scheduledCancel", "1.0")] * 2
    refused = desk.act(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 6_000})
    assert refused["response"] == "Too many scheduled cancels triggered for the day. Limit is 10."
    desk.now_ms += 86_400_000
    assert desk.act(ALICE, {"type": "scheduleCancel", "time": desk.now_ms + 6_000})["status"] == "ok"


# -- transfers -------------------------------------------------------------------------------------------------------


def user_action(desk: Desk, who: Any, action: dict[str, Any], time_name: str = "nonce") -> Any:
    nonce = desk.now_ms + 1
    signed = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet", **action, time_name: nonce}
    return desk.act(who, signed, nonce=nonce)


def test_usdc_moves_between_perp_and_spot(desk: Desk) -> None:
    move = {"type": "usdClassTransfer", "amount": "1234.5", "toPerp": False}
    assert user_action(desk, ALICE, move) == {"status": "ok", "response": {"type": "default"}}
    account = desk.account(ALICE)
    assert (account.cash_e8, account.spot[0].total_wei) == (998_765_50000000, 101_234_50000000)
    too_much = user_action(desk, ALICE, {**move, "amount": "998765.51"})
    assert too_much == {"status": "err", "response": "Insufficient balance for withdrawal."}
    back = user_action(desk, ALICE, {**move, "toPerp": True, "amount": "101234.51"})
    assert back == {"status": "err", "response": "Insufficient balance for token transfer."}
    for amount in ("0", "-5", "1.0000001", "1e3", "much"):
        assert user_action(desk, ALICE, {**move, "amount": amount})["response"] == "Invalid send"


def test_a_sub_accounts_usdc_is_moved_by_its_master() -> None:
    desk = Desk(sub_accounts={SUB_ACCOUNT: ALICE.address})
    move = {"type": "usdClassTransfer", "amount": f"5 subaccount:{SUB_ACCOUNT}", "toPerp": False}
    assert user_action(desk, ALICE, move)["status"] == "ok"
    assert desk.exchange.accounts[SUB_ACCOUNT].cash_e8 == 999_995 * 10**8
    assert user_action(desk, BOB, move)["response"] == f"Sub-account {SUB_ACCOUNT} is not registered to {BOB.address}"


def test_usdc_and_tokens_are_sent_and_a_first_transfer_opens_the_account_for_one_usdc(desk: Desk) -> None:
    send = {"type": "usdSend", "destination": BOB.address.upper().replace("0X", "0x"), "amount": "10"}
    assert user_action(desk, ALICE, send, "time")["status"] == "ok"
    assert desk.account(BOB).cash_e8 == 1_000_010 * 10**8
    new = "0x" + "9" * 40
    poor = user_action(desk, ALICE, {**send, "destination": new, "amount": "999989.5"}, "time")
    assert "Insufficient balance" in poor["response"] and new not in desk.exchange.accounts
    assert user_action(desk, ALICE, {**send, "destination": "0x12"}, "time")["response"] == "Invalid send"
    for fee in (1, 0):
        cash = desk.account(ALICE).cash_e8
        assert user_action(desk, ALICE, {**send, "destination": new}, "time")["status"] == "ok"
        assert cash - desk.account(ALICE).cash_e8 == (10 + fee) * 10**8
        assert desk.account(ALICE).ledger[-1]["delta"]["fee"] == f"{fee}.0"
    assert desk.exchange.accounts[new].cash_e8 == 20 * 10**8
    token = "USDC:0x6d1e7cde53ba9467b783cb7c530ce054"
    spot = {"type": "spotSend", "destination": BOB.address, "token": token, "amount": "0.00000001"}
    assert user_action(desk, ALICE, spot, "time")["status"] == "ok"
    assert desk.account(BOB).spot[0].total_wei == 100_000 * 10**8 + 1
    assert user_action(desk, ALICE, {**spot, "token": "JUNK:0x00"}, "time")["status"] == "err"
    usdc = desk.account(ALICE).spot[0].total_wei
    assert user_action(desk, ALICE, {**spot, "destination": "0x" + "8" * 40}, "time")["status"] == "ok"
    assert usdc - desk.account(ALICE).spot[0].total_wei == 10**8 + 1
    assert desk.exchange.accounts["0x" + "8" * 40].spot[0].total_wei == 1


def test_the_nonce_inside_a_user_signed_action_must_be_its_envelopes(desk: Desk) -> None:
    action = {
        "type": "usdClassTransfer",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "amount": "1",
        "toPerp": True,
        "nonce": desk.now_ms,
    }
    answer = desk.act(ALICE, action, nonce=desk.now_ms + 1)
    assert answer["response"].startswith("Invalid nonce:")
