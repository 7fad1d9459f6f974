"""Order verbs as other connectors have taught: batches, many cancels, closes that are repeated or late, amends, and names."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hlfast.config import Settings
from hlfast.errors import ConfigError, OrderDenied
from hlfast.types import OrderParams, OrderState, PositionAction, TradeType, Trigger

from ..life import Life, Wish

S = OrderState
BUY, SELL = TradeType.BUY, TradeType.SELL
OPEN, CLOSE = PositionAction.OPEN, PositionAction.CLOSE


@pytest.fixture
def actions(exchange) -> list[dict[str, Any]]:
    """Every signed action that reaches the exchange, as it was written."""
    seen: list[dict[str, Any]] = []
    submit = exchange.engine.submit

    def keep(signed, reply):
        seen.append(signed.action)
        submit(signed, reply)

    exchange.engine.submit = keep
    return seen


async def bought(hl, other, size: str, price: str = "50000") -> None:
    """`hl` holds `size` BTC, from `other`."""
    sale = other.sell("BTC", size, price, tif="Alo")
    assert await sale.accepted()
    assert await hl.buy("BTC", size, price, tif="Ioc").done() is S.FILLED
    assert hl.positions["BTC"].signed_size == Decimal(size)


async def test_a_batch_of_opening_and_closing_orders_is_on_the_wire_as_it_was_meant(trader, actions):
    """L35, G17: one action; side, price, size, reduce-only, time in force, trigger and cloid of each item."""
    hl, other = await trader(0), await trader(1)
    await bought(hl, other, "0.01")
    actions.clear()
    cloids = ["0x" + f"{n:x}" * 32 for n in (1, 2, 3, 4)]
    stop = Trigger("45000", kind="sl", is_market=True)
    orders = hl.place(
        [
            OrderParams("BTC", "0.001", "49000", BUY, position_action=OPEN, cloid=cloids[0]),
            OrderParams("BTC", "0.002", "51000", SELL, position_action=CLOSE, cloid=cloids[1]),
            OrderParams("BTC", "0.003", "44000", SELL, position_action=CLOSE, trigger=stop, cloid=cloids[2]),
            OrderParams("ETH", "0.04", "3600", SELL, tif="Ioc", cloid=cloids[3]),
        ]
    )
    assert [await order.accepted() for order in orders] == [True, True, True, False]
    (action,) = actions
    limit = {"limit": {"tif": "Gtc"}}
    assert [tuple(item[key] for key in ("a", "b", "p", "s", "r", "t", "c")) for item in action["orders"]] == [
        (0, True, "49000", "0.001", False, limit, cloids[0]),
        (0, False, "51000", "0.002", True, limit, cloids[1]),
        (
            0,
            False,
            "44000",
            "0.003",
            True,
            {"trigger": {"isMarket": True, "triggerPx": "45000", "tpsl": "sl"}},
            cloids[2],
        ),
        (1, False, "3600", "0.04", False, {"limit": {"tif": "Ioc"}}, cloids[3]),
    ]


async def test_nothing_is_on_the_wire_that_was_not_asked_for(trader, actions):
    """L77: no builder, no grouping of one's own, no vault: the fields of an order and nothing else."""
    hl = await trader()
    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert await order.accepted()
    (action,) = actions
    assert action == {
        "type": "order",
        "orders": [
            {
                "a": 0,
                "b": True,
                "p": "50000",
                "s": "0.001",
                "r": False,
                "t": {"limit": {"tif": "Alo"}},
                "c": order.cloid,
            }
        ],
        "grouping": "na",
    }


async def test_orders_are_cancelled_and_modified_by_each_of_their_names(trader, eventually):
    """L43: the object, the client order id, the cloid, and the venue's id."""
    hl = await trader()
    names = (lambda o: o, lambda o: o.client_order_id, lambda o: o.cloid, lambda o: o.exchange_order_id)
    for n, name in enumerate(names):
        order = hl.buy("BTC", "0.001", 40_000 + n, tif="Alo")
        assert await order.accepted()
        assert hl.modify(name(order), price=41_000 + n) is True
        await eventually(lambda order=order, n=n: order.price == 41_000 + n)
        assert hl.cancel(name(order)) is True
        assert await order.done() is S.CANCELLED
        assert hl.cancel(name(order)) is False
    for unknown in ("hl-nothing", "0x" + "e" * 32, 1, -1, 10**18, True):
        assert hl.cancel(unknown) is False and hl.modify(unknown, price=1) is False
    assert await hl.cancel_inflight("0x" + "e" * 32) is False and await hl.cancel_inflight(10**18) is False


def test_five_hundred_orders_are_cancelled_within_a_second_and_one_that_was_filled_ends_as_filled():
    """L39: batched, none is left at the venue, and "already gone" is the true end, not an error or a loop."""
    with Life() as life:
        orders = [
            order
            for start in (0, 200, 400)
            for order in life.batch(
                *[Wish("buy", -10 - n, "0.003", tif="Alo") for n in range(start, min(start + 200, 500))]
            )
        ]
        best = life.place(Wish("buy", 2, "0.002", tif="Alo"))
        life.wait(200)
        assert len(orders) == 500 and all(order.state is S.OPEN for order in orders)
        life.fault("lost_frame", channel="userFills")
        life.fault("lost_frame", channel="orderUpdates")
        life.others_trade("sell", "0.002")
        life.wait(60)
        assert best.state is S.OPEN, "filled, and nobody has told"
        before = life.exchange.truth()["counters"]["actions"]
        life.cancel_all()
        life.wait(1_000)
        assert {order.state for order in orders} == {S.CANCELLED}
        sent = life.exchange.truth()["counters"]["actions"] - before
        assert sent == -(-501 // 39), "as few actions as the weights allow, and none again"
        account = life.exchange.engine.accounts[life.hl.account]
        assert not account.open
        life.wait(3_000)
        assert best.state is S.FILLED and best.filled_amount == best.amount


@pytest.mark.parametrize("fault", ["lost_answer", "lost_request", "duplicate", "rst", "fin", "late", "garbage"])
def test_a_close_that_is_repeated_under_faults_closes_once(fault):
    """L40: a close only ever reduces, and its cloid is used once; after ten of them the position is exactly 0."""
    with Life() as life:
        life.place(Wish("buy", 5, "0.02"))
        life.wait(200)
        held = life.hl.positions["BTC"].signed_size
        assert held == Decimal("0.02")
        for n in range(10):
            if n < 5:
                life.fault(fault)
            elif n == 5:
                life.faults_end()
                life.wait(1_000)
            life.place(Wish("sell", 6, str(held), tif="Ioc", reduce_only=True))
            life.wait(150)
        life.settle()
        assert life.hl.positions["BTC"].is_flat and life.hl.positions["BTC"].signed_size == 0
        assert not life.exchange.truth(life.hl.account)["positions"]


async def test_a_close_is_reduce_only_and_a_cloid_is_taken_once(trader, actions):
    """L40: the same close again is refused here, by its name."""
    hl, other = await trader(0), await trader(1)
    await bought(hl, other, "0.01")
    actions.clear()
    close = hl.sell("BTC", "0.01", "52000", position_action=CLOSE, cloid="0x" + "c" * 32)
    assert await close.accepted() and close.reduce_only and actions[0]["orders"][0]["r"] is True
    with pytest.raises(ConfigError, match="in use already"):
        hl.sell("BTC", "0.01", "52000", position_action=CLOSE, cloid="0x" + "c" * 32)
    with pytest.raises(ConfigError, match="contradicts"):
        hl.sell("BTC", "0.01", "52000", position_action=OPEN, reduce_only=True)
    assert len(actions) == 1


def test_a_stop_that_trails_a_thousand_steps_is_amended_and_every_request_is_counted():
    """L41: one order, one request a step, and the budget shows what the exchange has counted."""
    with Life() as life:
        order = life.place(Wish("buy", -2000, "0.003", tif="Alo"))
        life.wait(60)
        before = life.hl.limits.spent_on.get("modify", 0)
        counted = life.exchange.truth()["counters"]["actions"]

        async def trail() -> None:
            for step in range(1, 1001):
                assert life.hl.modify(order, price=30_000 + step)
                while order.modify_pending:
                    await asyncio.sleep(0.01)

        life.time.run(trail())
        assert order.price == 31_000 and order.state is S.OPEN
        spent = life.hl.limits.spent_on
        assert spent["modify"] - before == 1000 == life.exchange.truth()["counters"]["actions"] - counted
        assert len(life.exchange.engine.accounts[life.hl.account].open) == 1
        life._modifies[order.client_order_id] += 1000


async def test_a_close_that_races_a_fill_never_goes_through_zero(trader, exchange, eventually):
    """L61: the position has shrunk on the way; the close takes what is left of it, and says so."""
    hl, other = await trader(0), await trader(1)
    await bought(hl, other, "0.01")
    resting = hl.sell("BTC", "0.006", "50010", tif="Alo", reduce_only=True)
    assert await resting.accepted()
    bid = other.buy("BTC", "0.02", "49990", tif="Alo")
    assert await bid.accepted()
    exchange.frame_filter = lambda user, channel, frame: (
        not (user == hl.account and channel in ("userFills", "orderUpdates"))
    )
    exchange.change("take", "BTC", "buy", "0.006", 50010)
    await eventually(lambda: exchange.truth(hl.account)["positions"]["BTC"]["szi"] == "0.004")
    exchange.frame_filter = None
    close = hl.sell("BTC", "0.01", "49990", tif="Ioc", position_action=CLOSE)
    assert hl.positions["BTC"].signed_size == Decimal("0.01"), "sent before the fill was known"
    await close.done()
    await hl.recovery.audit()
    await eventually(lambda: hl.positions["BTC"].is_flat)
    assert await resting.done() is S.FILLED
    assert close.filled_amount == Decimal("0.004") and close.state is not S.FAILED
    assert not exchange.truth(hl.account)["positions"]


async def test_a_position_below_the_minimum_can_be_closed(trader, exchange):
    """L62: the whole of it is exempt from the venue's minimum, here and there; less than the whole is refused by name."""
    hl, other = await trader(0), await trader(1)
    await bought(hl, other, "0.01")
    for order in (hl.buy("BTC", "0.001", "40000"), other.buy("BTC", "0.02", "49990", tif="Alo")):
        assert await order.accepted()
    assert await hl.sell("BTC", "0.00994", "49990", tif="Ioc", reduce_only=True).done() is S.FILLED
    assert hl.positions["BTC"].signed_size == Decimal("0.00006"), "$3"
    with pytest.raises(OrderDenied, match="below the minimum 10"):
        hl.buy("BTC", "0.00006", "49990")
    part = hl.sell("BTC", "0.00003", "49990", tif="Ioc", reduce_only=True)
    assert await part.done() is S.FAILED and part.reject.code == "min_notional"
    assert await hl.sell("BTC", "0.00006", "49990", tif="Ioc", position_action=CLOSE).done() is S.FILLED
    assert hl.positions["BTC"].is_flat and not exchange.truth(hl.account)["positions"]


async def test_a_position_closed_by_another_client_is_flat_also_if_its_fill_was_lost(trader, exchange, eventually):
    """L59: by its fill at once; and what the venue's state no longer lists is flat."""
    hl, other = await trader(0, settings=Settings(backoff_min=0.02, backoff_max=0.2)), await trader(1)
    elsewhere = await trader(0)
    await bought(hl, other, "0.01")
    bid = other.buy("BTC", "0.02", "49990", tif="Alo")
    assert await bid.accepted()
    assert await elsewhere.sell("BTC", "0.01", "49990", tif="Ioc", reduce_only=True).done() is S.FILLED
    await eventually(lambda: hl.positions["BTC"].is_flat, 1.0)
    assert await hl.recovery.audit() == []
    hl.position_book.reset("BTC", 5, "0.5", "50000")
    (text,) = await hl.recovery.audit()
    assert "the venue holds 0" in text and hl.positions["BTC"].is_flat


async def test_market_orders_have_a_valid_price_on_every_market(trader, exchange, eventually):
    """L90: the cap of a market order, both ways, near books of any price: on the grid, and taken by the exchange."""
    hl = await trader(watch="")
    rules = [rule for rule in hl.trading_rules.values() if rule.is_trading_enabled]
    assert len({rule.sz_decimals for rule in rules}) > 3 and {rule.is_perpetual for rule in rules} == {True, False}
    start = {market.coin: Decimal(market.start_px_e8).scaleb(-8) for market in exchange.engine.universe.markets}
    for rule in rules:
        middle = rule.quantize_price(start[rule.coin] * Decimal("1.00123457"))
        bid, ask = middle - rule.tick_at(middle), middle + rule.tick_at(middle)
        size = rule.quantize_size(Decimal(100) / middle) + rule.step_size
        exchange.change("set_book", rule.coin, [(str(bid), str(size))], [(str(ask), str(size))])
        hl.watch(rule.coin)
    await hl.wait_ready(5)
    for rule in rules:
        await eventually(lambda rule=rule: hl.book(rule.coin).is_valid)
        size = rule.quantize_size(Decimal(50) / hl.book(rule.coin).best_ask) + rule.step_size
        bought, cap = hl.buy(rule.coin, size), hl.book(rule.coin).best_ask * Decimal("1.005")
        assert rule.is_valid_price(bought.price) and hl.book(rule.coin).best_ask <= bought.price <= cap, rule
        assert await bought.done() is S.FILLED, bought.reason
        if rule.is_perpetual:
            sold, cap = hl.sell(rule.coin, size), hl.book(rule.coin).best_bid * Decimal("0.995")
            assert rule.is_valid_price(sold.price) and cap <= sold.price <= hl.book(rule.coin).best_bid, rule
            assert await sold.done() is S.FILLED, sold.reason


async def test_the_children_of_an_entry_that_fills_in_the_reply_are_tracked_as_triggers(trader, exchange, eventually):
    """L37: entry and closing triggers in one action; the entry fills at once, and each child has its own state and end."""
    maker, hl = await trader(1), await trader(0)
    assert await maker.sell("BTC", "0.01", "60000", tif="Alo").accepted()
    exit_up, exit_down = Trigger("66000", is_market=True, kind="tp"), Trigger("54000", is_market=True, kind="sl")
    entry, up, down = hl.place(
        [
            OrderParams("BTC", "0.001", "60000", TradeType.BUY),
            OrderParams("BTC", "0.001", "66000", TradeType.SELL, reduce_only=True, trigger=exit_up),
            OrderParams("BTC", "0.001", "54000", TradeType.SELL, reduce_only=True, trigger=exit_down),
        ],
        grouping="normalTpsl",
    )
    assert await entry.done() is OrderState.FILLED
    assert await up.accepted() and await down.accepted()
    statuses = {row["cloid"]: row["status"] for row in exchange.truth(hl.account)["orders"]}
    assert statuses[entry.cloid] == "filled" and statuses[up.cloid] == statuses[down.cloid] == "open"
    assert hl.cancel(up) and await up.done() is OrderState.CANCELLED and not down.is_done
