"""Matching (L66: partial fills and queues): price, then time; what each order answers, and the rows it leaves."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.sim import rows
from hlfast.sim.info import Info

from .desk import ALICE, BOB, CAROL, DAVE, Desk, wire

BTC, ETH, PURR = 0, 1, 10_000


def test_the_better_price_trades_first_and_at_one_price_the_older_order(desk: Desk) -> None:
    """Given three asks, when buys take from them, then price decides, then time; at the resting prices."""
    desk.order(DAVE, ETH, "sell", "3501", "1")
    older = desk.order(ALICE, ETH, "sell", "3500", "1")["resting"]["oid"]
    newer = desk.order(CAROL, ETH, "sell", "3500", "1")["resting"]["oid"]
    desk.order(BOB, ETH, "buy", "3510", "0.4", "Ioc")
    assert [fill["oid"] for fill in desk.account(ALICE).fills] == [older] and desk.account(CAROL).fills == []
    answer = desk.order(BOB, ETH, "buy", "3510", "1.1", "Ioc")
    assert (answer["filled"]["totalSz"], answer["filled"]["avgPx"]) == ("1.1", "3500.0")
    assert [(fill["oid"], fill["sz"]) for fill in desk.account(CAROL).fills] == [(newer, "0.5")]
    assert desk.book(ETH)[1] == [("3500.0", "0.5", 1), ("3501.0", "1.0", 1)]
    swept = desk.order(BOB, ETH, "buy", "3510", "1.5", "Ioc")
    assert swept["filled"]["avgPx"] == "3500.66", "(0.5 * 3500 + 1 * 3501) / 1.5, cut to the market's decimals"


def test_a_gtc_that_trades_in_part_answers_filled_and_rests_under_its_oid(desk: Desk) -> None:
    """Given 0.4 on offer, when a GTC buys 1.0, then the answer is `filled` 0.4 and 0.6 rests. (Reference 3.2.)"""
    desk.order(ALICE, ETH, "sell", "3500", "0.4")
    answer = desk.order(BOB, ETH, "buy", "3500", "1", cloid="0x" + "0" * 31 + "7")
    assert answer["filled"]["totalSz"] == "0.4"
    assert answer["filled"]["cloid"] == "0x" + "0" * 31 + "7"
    oid = answer["filled"]["oid"]
    assert desk.account(BOB).open[oid].lots == 6000
    assert desk.rows(BOB) == [("open", "1.0")]
    assert desk.rows(ALICE) == [("filled", "0.0")]
    assert desk.cancel(BOB, ETH, oid) == "success"
    assert desk.rows(BOB) == [("canceled", "0.6")]


def test_an_ioc_leaves_no_row_for_its_remainder(desk: Desk) -> None:
    """Given 0.4 on offer, when an IOC buys 1.0, then rows `open`, `filled`, no cancel, and nothing rests."""
    desk.order(ALICE, ETH, "sell", "3500", "0.4")
    answer = desk.order(BOB, ETH, "buy", "3500", "1", "Ioc")
    assert answer["filled"]["totalSz"] == "0.4"
    assert desk.rows(BOB) == [("open", "1.0"), ("filled", "0.0")]
    assert desk.account(BOB).open == {}


def test_frontend_market_is_an_ioc_that_is_called_market(desk: Desk) -> None:
    desk.order(ALICE, ETH, "sell", "3500", "1")
    answer = desk.order(BOB, ETH, "buy", "3600", "2", "FrontendMarket")
    assert answer["filled"]["totalSz"] == "1.0"
    assert desk.account(BOB).open == {}


def test_a_partial_fill_of_a_resting_order_is_no_status_change(desk: Desk) -> None:
    """Life cycle A of the reference: ALO rests, is hit for 0.4, is cancelled with 0.6 left, cannot be cancelled twice."""
    oid = desk.order(ALICE, ETH, "buy", "3499", "1", "Alo")["resting"]["oid"]
    assert desk.rows(ALICE) == [("open", "1.0")]
    desk.order(BOB, ETH, "sell", "3499", "0.4", "Ioc")
    assert desk.rows(ALICE) == []
    (fill,) = desk.block.fills[ALICE.address]
    assert (fill["crossed"], fill["oid"], fill["sz"]) == (False, oid, "0.4")
    order = desk.account(ALICE).orders[oid]
    assert (order.lots, order.status_lots) == (6000, 10000)
    assert desk.cancel(ALICE, ETH, oid) == "success"
    assert desk.rows(ALICE) == [("canceled", "0.6")]
    refusal = {"error": "Order was never placed, already canceled, or filled. asset=1"}
    assert desk.cancel(ALICE, ETH, oid) == refusal


def test_in_a_self_trade_the_resting_order_dies_and_the_aggressor_goes_on(desk: Desk) -> None:
    """Life cycle I: no fee, no trade print, row `selfTradeCanceled`, and the next order behind is taken."""
    own = desk.order(ALICE, ETH, "sell", "3500", "1")["resting"]["oid"]
    desk.order(BOB, ETH, "sell", "3501", "1")
    answer = desk.order(ALICE, ETH, "buy", "3501", "1", "Ioc")
    assert answer["filled"]["avgPx"] == "3501.0"
    assert desk.rows(ALICE) == [("selfTradeCanceled", "1.0"), ("open", "1.0"), ("filled", "0.0")]
    assert desk.block.non_user_cancels == {ALICE.address: [{"coin": "ETH", "oid": own}]}
    assert [trade["px"] for trade in desk.block.trades["ETH"]] == ["3501.0"]


def test_an_ioc_whose_only_liquidity_is_its_own_is_rejected(desk: Desk) -> None:
    desk.order(ALICE, ETH, "sell", "3500", "1")
    answer = desk.order(ALICE, ETH, "buy", "3500", "1", "Ioc")
    assert answer == {"error": "Order could not immediately match against any resting orders. asset=1"}
    assert desk.rows(ALICE) == [("selfTradeCanceled", "1.0"), ("iocCancelRejected", "1.0")]


def test_both_sides_of_a_trade_share_tid_hash_and_time(desk: Desk) -> None:
    desk.order(ALICE, ETH, "sell", "3500", "1")
    desk.order(BOB, ETH, "buy", "3500", "1", "Ioc")
    (maker,), (taker,) = desk.block.fills[ALICE.address], desk.block.fills[BOB.address]
    (trade,) = desk.block.trades["ETH"]
    for name in ("tid", "hash", "time", "px", "sz", "coin"):
        assert maker[name] == taker[name] == trade[name]
    assert (maker["crossed"], taker["crossed"]) == (False, True)
    assert trade["side"] == "B" and trade["users"] == [BOB.address, ALICE.address]
    assert 0 < trade["tid"] < 2**50


def test_a_fill_row_has_the_venues_keys_in_the_venues_order(desk: Desk) -> None:
    keys = [
        "coin",
        "px",
        "sz",
        "side",
        "time",
        "startPosition",
        "dir",
        "closedPnl",
        "hash",
        "oid",
        "crossed",
        "fee",
        "tid",
        "feeToken",
        "twapId",
    ]
    desk.order(ALICE, ETH, "sell", "3500", "1", cloid="0x" + "ab" * 16)
    desk.order(BOB, ETH, "buy", "3500", "1", "Ioc")
    (maker,), (taker,) = desk.block.fills[ALICE.address], desk.block.fills[BOB.address]
    assert list(taker) == keys
    assert list(maker) == [*keys[:13], "cloid", *keys[13:]]
    assert taker["twapId"] is None and maker["cloid"] == "0x" + "ab" * 16


def test_rejected_orders_take_an_oid_of_the_one_rising_count(desk: Desk) -> None:
    first = desk.order(ALICE, ETH, "buy", "3000", "1")["resting"]["oid"]
    desk.order(ALICE, ETH, "buy", "3000", "0.001")
    rejected = desk.block.order_rows[ALICE.address][0]["order"]["oid"]
    third = desk.order(BOB, BTC, "buy", "60000", "1")["resting"]["oid"]
    assert (rejected, third) == (first + 1, first + 2)
    assert first > 2**32


def test_levels_put_together_by_figures_floor_bids_and_raise_asks(desk: Desk) -> None:
    for side, px in (("buy", "3499.7"), ("buy", "3498.1"), ("sell", "3500.2"), ("sell", "3512")):
        desk.order(ALICE, ETH, side, px, "1")
    book = desk.exchange.execution.books[ETH]
    assert book.rounded_levels(4, 1) == [
        [{"px": "3499.0", "sz": "1.0", "n": 1}, {"px": "3498.0", "sz": "1.0", "n": 1}],
        [{"px": "3501.0", "sz": "1.0", "n": 1}, {"px": "3512.0", "sz": "1.0", "n": 1}],
    ]
    assert book.rounded_levels(3, 1) == [
        [{"px": "3490.0", "sz": "2.0", "n": 2}],
        [{"px": "3510.0", "sz": "1.0", "n": 1}, {"px": "3520.0", "sz": "1.0", "n": 1}],
    ]
    assert book.rounded_levels(5, 5)[0][0]["px"] == "3499.5"


order_flow = st.lists(
    st.tuples(
        st.sampled_from((ALICE, BOB, CAROL)),
        st.sampled_from(("buy", "sell")),
        st.integers(3498, 3502),
        st.integers(1, 30),
        st.sampled_from(("Gtc", "Ioc", "Alo")),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(order_flow)
def test_any_flow_matches_as_a_naive_list_of_orders_does(flow: list) -> None:
    """Given any sequence of orders, then trades and what rests equal those of a model that sorts a list each time."""
    desk = Desk()
    resting: list[list] = []  # [who, is_buy, px, size, seq]
    for seq, (who, side, px, tenths, tif) in enumerate(flow):
        size, is_buy, expected = Decimal(tenths) / 10, side == "buy", []
        sign = 1 if is_buy else -1
        crossing = sorted(
            (o for o in resting if o[1] != is_buy and sign * o[2] <= sign * px), key=lambda o: (sign * o[2], o[4])
        )
        if tif != "Alo" or not crossing:
            for order in crossing:
                if not size:
                    break
                if order[0] is who:
                    resting.remove(order)
                    continue
                traded = min(size, order[3])
                expected.append((order[0].address, order[2], traded))
                size, order[3] = size - traded, order[3] - traded
                if not order[3]:
                    resting.remove(order)
            if size and tif != "Ioc":
                resting.append([who, is_buy, px, size, seq])
        desk.order(who, ETH, side, str(px), str(Decimal(tenths) / 10), tif)
        trades = [
            (t["users"][1 if is_buy else 0], int(float(t["px"])), Decimal(t["sz"]))
            for t in desk.block.trades.get("ETH", [])
        ]
        assert trades == expected
    ours = sorted(
        (o.account.address, o.px_e8, o.lots) for a in desk.exchange.accounts.values() for o in a.open.values()
    )
    assert ours == sorted((o[0].address, o[2] * 10**8, int(o[3] * 10**4)) for o in resting)


def test_actions_of_one_block_run_post_only_first_then_cancels_then_takers(desk: Desk) -> None:
    """Given a taker, a cancel and a post-only order in one block, then the taker comes last whatever came first."""
    victim = desk.order(ALICE, ETH, "sell", "3500", "1")["resting"]["oid"]
    taker = {"type": "order", "orders": [wire(ETH, "buy", "3502", "1", "Ioc")], "grouping": "na"}
    cancel = {"type": "cancel", "cancels": [{"a": ETH, "o": victim}]}
    maker = {"type": "order", "orders": [wire(ETH, "sell", "3502", "1", "Alo")], "grouping": "na"}
    took, cancelled, made = desk.send(
        desk.signed(BOB.address, taker), desk.signed(ALICE.address, cancel), desk.signed(CAROL.address, maker)
    )
    assert cancelled["response"]["data"]["statuses"] == ["success"]
    assert "resting" in made["response"]["data"]["statuses"][0]
    assert took["response"]["data"]["statuses"][0]["filled"]["avgPx"] == "3502.0"


def test_one_gtc_in_a_batch_of_alos_demotes_the_whole_action(desk: Desk) -> None:
    victim = desk.order(ALICE, ETH, "sell", "3500", "1")["resting"]["oid"]
    mixed = {
        "type": "order",
        "orders": [wire(ETH, "buy", "3400", "1", "Alo"), wire(ETH, "buy", "3500", "1", "Gtc")],
        "grouping": "na",
    }
    cancel = {"type": "cancel", "cancels": [{"a": ETH, "o": victim}]}
    placed, cancelled = desk.send(desk.signed(BOB.address, mixed), desk.signed(ALICE.address, cancel))
    assert cancelled["response"]["data"]["statuses"] == ["success"]
    assert ["resting" in status for status in placed["response"]["data"]["statuses"]] == [True, True]


def test_the_mark_follows_the_mid_on_the_price_grid_and_stays_when_a_side_is_empty(desk: Desk) -> None:
    book = desk.exchange.execution.books[ETH]
    assert book.mark_e8 == 3500 * 10**8
    desk.order(ALICE, ETH, "buy", "3509.9", "1")
    assert book.mark_e8 == 3500 * 10**8
    ask = desk.order(ALICE, ETH, "sell", "3510", "1")["resting"]["oid"]
    assert (book.mid_e8, book.mark_e8) == (350_995 * 10**6, 350_990 * 10**6)
    desk.cancel(ALICE, ETH, ask)
    assert (book.mid_e8, book.mark_e8) == (None, 350_990 * 10**6)


def test_without_a_book_the_mid_is_the_last_trade(desk: Desk) -> None:
    desk.order(ALICE, ETH, "sell", "3501", "1")
    desk.order(BOB, ETH, "buy", "3501", "1", "Ioc")
    assert Info(desk.exchange).answer({"type": "allMids"})["ETH"] == "3501.0"


def test_contexts_have_nulls_where_there_is_no_book_and_impact_prices_where_it_is_deep_enough(desk: Desk) -> None:
    """Null midPx, premium and impactPxs on an empty book; else what 20,000 USDC of ETH would cost on average."""
    context = rows.perp_context(desk.exchange.execution.books[ETH])
    assert (context["midPx"], context["premium"], context["impactPxs"]) == (None, None, None)
    assert (context["markPx"], context["openInterest"]) == ("3500.0", "0.0")
    for side, px, sz in (("buy", "3400", "100"), ("sell", "3500", "4"), ("sell", "3600", "100")):
        desk.order(ALICE, ETH, side, px, sz)
    context = rows.perp_context(desk.exchange.execution.books[ETH])
    bid, ask = (Decimal(px) for px in context["impactPxs"])
    assert (context["midPx"], context["premium"], bid) == ("3450.0", "0.0", 3400)
    assert ask == (Decimal(20_000) / (4 + Decimal(6000) / 3600)).quantize(Decimal("0.00000001"), ROUND_DOWN)
    desk.order(BOB, ETH, "buy", "3500", "1", "Ioc")
    context = rows.perp_context(desk.exchange.execution.books[ETH])
    shown = (context["openInterest"], context["dayNtlVlm"], context["dayBaseVlm"])
    assert shown == ("1.0", "3500.0", "1.0")


def test_block_time_never_goes_back(desk: Desk) -> None:
    desk.order(ALICE, ETH, "buy", "3400", "1")
    before = desk.block.time_ms
    desk.now_ms -= 5000
    desk.order(ALICE, ETH, "buy", "3400", "1")
    assert desk.block.time_ms == before and desk.block.number == 2
