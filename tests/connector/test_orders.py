"""The connector's order verbs against the local exchange over real sockets: what is tracked, sent, told and held."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

import hlfast
from hlfast.config import RiskLimits
from hlfast.core import events as ev
from hlfast.errors import ConfigError, NotReady, OrderDenied, RangeError
from hlfast.types import OrderParams, OrderState, OrderType, PositionAction, TradeType, Trigger

S = OrderState


async def test_an_order_rests_is_cancelled_and_every_step_is_told(trader, heard, exchange):
    """Behaviours 62, 65 and 71: tracked with its values when the call returns, and the states in their order."""
    hl = await trader()
    told = heard(hl)
    order = hl.buy("BTC", "0.001", "50000", order_type=OrderType.LIMIT_MAKER)
    assert hl.get_order(order.client_order_id) is order is hl.tracker.get_order_by_cloid(order.cloid)
    assert (order.state, order.price, order.amount, order.tif) == (S.PENDING_SUBMIT, 50000, Decimal("0.001"), "Alo")
    assert order.client_order_id.startswith("hl-") and order.exchange_order_id is None
    assert await order.accepted() is True
    assert order.state is S.OPEN and order.exchange_order_id
    assert hl.get_open_orders() == [order]
    assert hl.cancel(order.client_order_id) is True
    assert await order.done() is S.CANCELLED
    assert told.states(order) == ["PENDING_SUBMIT", "OPEN", "PENDING_CANCEL", "CANCELLED"]
    assert told.names(order) == ["OrderCreated", "OrderCancelled"]
    (row,) = exchange.truth(hl.account)["orders"]
    assert (row["cloid"], row["side"], row["tif"], row["status"]) == (order.cloid, "B", "Alo", "canceled")
    assert hl.cancel(order) is False and hl.get_open_orders() == []


async def test_two_accounts_trade_and_both_know_exactly_what_they_hold(trader, heard, exchange, eventually):
    """Behaviours 63, 64 and 77: created, filled, completed in this order; positions, fees and cash equal the record."""
    maker, taker = await trader(0), await trader(1)
    told = heard(maker), heard(taker)
    bid = maker.buy("BTC", "0.01", "50000", tif="Alo")
    assert await bid.accepted()
    await eventually(lambda: taker.book("BTC").best_bid == 50000)
    hit = taker.sell("BTC", "0.01", "50000", tif="Ioc")
    assert hit.state is S.PENDING_SUBMIT, "the call has not waited for anything"
    assert await hit.done() is S.FILLED and await bid.done() is S.FILLED
    for events, order in zip(told, (bid, hit), strict=True):
        assert events.names(order) == ["OrderCreated", "OrderFilled", "OrderCompleted"]
    assert bid.fills[0].liquidity == "maker" and hit.fills[0].liquidity == "taker"
    assert maker.positions["BTC"].signed_size == Decimal("0.01") == -taker.positions["BTC"].signed_size
    assert maker.positions["BTC"].entry_price == 50000
    for hl, rate in ((maker, "0.00015"), (taker, "0.00045")):
        record = exchange.truth(hl.account)
        figures = hl.ledger
        assert figures["cash"] == Decimal(record["cash"])
        assert figures["fees"] == {"USDC": Decimal(record["fees"]["USDC"])} == {"USDC": 500 * Decimal(rate)}
        assert [key[1:] for key in figures["fill_keys"]] == [(f["tid"], f["oid"], f["time"]) for f in record["fills"]]


async def test_a_market_order_is_an_ioc_capped_near_the_book(trader, exchange, eventually):
    """Behaviour 64, L109; must not 4."""
    maker, taker = await trader(0), await trader(1)
    with pytest.raises(NotReady, match="the book has no asks"):
        taker.buy("BTC", "0.001")
    maker.sell("BTC", "0.002", "50001", tif="Alo")
    await eventually(lambda: taker.book("BTC").best_ask == 50001)
    order = taker.buy("BTC", "0.001")
    assert order.order_type is OrderType.MARKET and order.tif == "Ioc"
    assert order.price == 50251, "50 bps above 50001, down to the grid"
    assert await order.done() is S.FILLED and order.average_fill_price == 50001
    with pytest.raises(NotReady, match=r"watch\('ETH'\) first"):
        taker.buy("ETH", 1)


async def test_the_remainder_of_an_ioc_ends_the_order_with_its_reason(trader, heard, eventually):
    """G3, seed fill rule 9: no cancel row comes for the remainder, and the order still ends once."""
    maker, taker = await trader(0), await trader(1)
    maker.sell("BTC", "0.001", "50000", tif="Alo")
    await eventually(lambda: taker.book("BTC").best_ask == 50000)
    told = heard(taker)
    order = taker.buy("BTC", "0.005", "50000", tif="Ioc")
    assert await order.done() is S.CANCELLED
    assert (order.reason, order.filled_amount, order.effective_amount) == (
        "ioc_remainder",
        Decimal("0.001"),
        Decimal("0.001"),
    )
    assert told.names(order) == ["OrderCreated", "OrderFilled", "OrderCancelled"]
    assert taker.tracker.counters["anomalies"] == 0


async def test_a_refusal_is_one_failed_event_with_the_venues_reason(trader, heard, eventually):
    """Behaviour 70; the venue's verdict is never an exception."""
    maker, hl = await trader(0), await trader(1)
    maker.sell("BTC", "0.001", "50000", tif="Alo")
    await eventually(lambda: hl.book("BTC").best_ask == 50000)
    told = heard(hl)
    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert await order.accepted() is False and await order.done() is S.FAILED
    assert told.names(order) == ["OrderFailed"]
    (failed,) = told.of(ev.OrderFailed)
    assert failed.reject.code == "post_only_crossed" and failed.reject.remedy and failed.reject.cause
    # The row may be ahead of the answer; the answer adds the venue's own words.
    await eventually(lambda: "immediately matched, bbo was" in order.reject.text)
    nothing = hl.sell("BTC", "0.001", "60000", tif="Ioc")
    assert await nothing.done() is S.FAILED and nothing.reject.code == "ioc_no_match"


async def test_closing_sends_reduce_only(trader, exchange, eventually):
    """Behaviour 66."""
    maker, hl = await trader(0), await trader(1)
    maker.sell("BTC", "0.001", "50000", tif="Alo")
    maker.buy("BTC", "0.001", "49000", tif="Alo")
    await eventually(lambda: hl.book("BTC").is_valid)
    opened = hl.buy("BTC", "0.001", "50000", tif="Ioc", position_action=PositionAction.OPEN)
    assert await opened.done() is S.FILLED
    closing = hl.sell("BTC", "0.001", "49000", tif="Ioc", position_action=PositionAction.CLOSE)
    assert closing.reduce_only and await closing.done() is S.FILLED
    record = exchange.truth(hl.account)
    assert [row["reduceOnly"] for row in record["orders"]] == [False, True]
    assert hl.positions["BTC"].is_flat and hl.positions["BTC"].realized_pnl == -1
    again = hl.sell("BTC", "0.001", "49000", tif="Gtc", reduce_only=True)
    assert await again.done() is S.FAILED and again.reject.code == "reduce_only"


async def test_a_cloid_of_ones_own_is_on_the_wire_and_in_the_tracker(trader, exchange):
    """Behaviour 67."""
    hl = await trader()
    cloid = "0x" + "ab" * 16
    order = hl.buy("BTC", "0.001", "50000", cloid=cloid, client_order_id="mine-1")
    assert order.cloid == cloid and hl.tracker.get_order_by_cloid(cloid) is order is hl.get_order("mine-1")
    await order.accepted()
    assert exchange.truth(hl.account)["orders"][0]["cloid"] == cloid
    for wrong in ("0x12", "ab" * 16, "0x" + "G" * 32, "0x" + "0" * 32, 7):
        with pytest.raises(ConfigError, match="32 lower-case hex digits"):
            hl.buy("BTC", "0.001", "50000", cloid=wrong)
    with pytest.raises(ConfigError, match="in use already"):
        hl.buy("BTC", "0.001", "50000", cloid=cloid)
    with pytest.raises(ConfigError, match="in use already"):
        hl.buy("BTC", "0.001", "50000", client_order_id="mine-1")
    assert len(hl.orders) == 1


async def test_open_orders_are_exactly_those_that_rest(trader):
    """Behaviours 68 and 69."""
    hl = await trader()
    orders = [hl.buy("BTC", "0.001", price, tif="Alo") for price in (50000, 49000, 48000)]
    for order in orders:
        await order.accepted()
    assert hl.get_open_orders() == orders
    assert hl.get_order("hl-nothing") is None and hl.cancel("hl-nothing") is False
    assert hl.cancel_all("BTC") == 3 and hl.cancel_all("ETH") == 0
    assert [await order.done() for order in orders] == [S.CANCELLED] * 3
    assert hl.cancel_all() == 0


async def test_a_hundred_orders_from_ten_callers_are_each_confirmed_once(trader, heard, exchange):
    """Behaviour 72."""
    hl = await trader()
    told = heard(hl, ev.OrderCreated)

    async def caller(n: int) -> list:
        mine = []
        for i in range(10):
            mine.append(hl.buy("BTC", "0.001", 40000 + 100 * n + i, tif="Alo"))
            await mine[-1].accepted()
        return mine

    orders = [order for mine in await asyncio.gather(*(caller(n) for n in range(10))) for order in mine]
    assert all([await order.accepted() for order in orders])
    assert len({o.exchange_order_id for o in orders}) == len({o.cloid for o in orders}) == 100
    assert sorted(e.client_order_id for e in told.events) == sorted(o.client_order_id for o in orders)
    assert len(exchange.truth(hl.account)["orders"]) == 100


async def test_a_batch_is_one_signature_and_one_result_an_item(trader, exchange):
    """G17, L36: a mix of outcomes, in the order of the items; post-only orders go in an action of their own."""
    hl = await trader()
    batch = [
        OrderParams("BTC", "0.001", "50000", TradeType.BUY, tif="Alo"),
        OrderParams("BTC", "0.001", "60000", TradeType.SELL, reduce_only=True, tif="Alo"),
        OrderParams("BTC", "0.002", "49000", TradeType.BUY, tif="Gtc"),
        OrderParams("BTC", "0.001", "70000", TradeType.SELL, tif="Alo"),
    ]
    orders = hl.place(batch)
    assert [await o.accepted() for o in orders] == [True, False, True, True]
    assert [o.price for o in orders] == [50000, 60000, 49000, 70000]
    assert orders[1].reject.code == "reduce_only"
    (nonces,) = exchange.truth(hl.account)["nonces"].values()
    assert len(nonces) == 2, "one action for the post-only orders, one for the other"
    assert hl.entry.orders_sent == 4


async def test_a_whole_batch_refused_by_one_error_ends_each_order(trader):
    """G17, L60: one static error answers the whole batch."""
    hl = await trader()
    orders = hl.place(
        [
            OrderParams("BTC", "0.001", "50000", TradeType.BUY),
            OrderParams("BTC", "0.001", "5000000", TradeType.BUY),
            OrderParams("BTC", "0.001", "49000", TradeType.BUY),
        ]
    )
    assert [await o.done() for o in orders] == [S.FAILED] * 3
    assert {o.reject.code for o in orders} == {"price_band"}


async def test_a_bad_item_refuses_the_batch_before_anything_is_tracked(trader, exchange):
    hl = await trader()
    good = OrderParams("BTC", "0.001", "50000", TradeType.BUY)
    for bad, error, text in (
        (OrderParams("BTC", "0.001", "50000.5", TradeType.BUY), RangeError, "order 1 of 2: .*nearest valid"),
        (OrderParams("BTC", "0.001", "50000"), ConfigError, "order 1 of 2: side is needed"),
        (OrderParams("NOPE", "0.001", "50000", TradeType.BUY), ConfigError, "order 1 of 2"),
        ("BTC", ConfigError, "order 1 of 2: expected an OrderParams"),
    ):
        with pytest.raises(error, match=text):
            hl.place([good, bad])
    same = OrderParams("BTC", "0.001", "50000", TradeType.BUY, client_order_id="twice")
    with pytest.raises(ConfigError, match="same client_order_id"):
        hl.place([same, same])
    with pytest.raises(ConfigError, match="at least one"):
        hl.place([])
    with pytest.raises(OrderDenied, match="at most 200"):
        hl.place([good] * 201)
    assert hl.orders == [] and hl.entry.orders_sent == 0 and exchange.truth(hl.account)["orders"] == []


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "text"),
    [
        (("", 1, 50000), {}, ConfigError, "which instrument"),
        ((None, 1, 50000), {}, ConfigError, "which instrument"),
        (("BTX", 1, 50000), {}, ConfigError, "BTC"),
        (("btc", 1, 50000), {}, ConfigError, "BTC"),
        (("MATIC", 1, 1), {}, OrderDenied, "delisted"),
        (("BTC", None, 50000), {}, ConfigError, "size is needed"),
        (("BTC", 0, 50000), {}, RangeError, "above 0"),
        (("BTC", -1, 50000), {}, RangeError, "above 0"),
        (("BTC", "0.0000123", 50000), {}, RangeError, "nearest valid: 0.00001 or 0.00002"),
        (("BTC", float("nan"), 50000), {}, RangeError, "finite"),
        (("BTC", "1", "50000.7"), {}, RangeError, "nearest valid: 50000 or 50001"),
        (("BTC", "1", 0), {}, RangeError, "above 0"),
        (("BTC", "1", "many"), {}, RangeError, "expected a number"),
        (("BTC", "0.0001", "50000"), {}, OrderDenied, "below the minimum 10"),
        (("BTC", "1", "50000"), {"tif": "Fok"}, ConfigError, "Gtc, Ioc, Alo"),
        (("BTC", "1", None), {"order_type": OrderType.LIMIT}, ConfigError, "needs a price"),
        (("BTC", "1", None), {"tif": "Gtc"}, ConfigError, "a market order is Ioc"),
        (("BTC", "1", "50000"), {"order_type": OrderType.STOP_LIMIT}, ConfigError, "needs trigger=Trigger"),
        (("BTC", "1", "50000"), {"order_type": OrderType.LIMIT_MAKER, "tif": "Gtc"}, ConfigError, "is Alo"),
        (("BTC", "1", "50000"), {"order_type": OrderType.LIMIT, "trigger": Trigger(1)}, ConfigError, "has no trigger"),
        (("BTC", "1", "50000"), {"position_action": PositionAction.OPEN, "reduce_only": True}, ConfigError, "contradict"),
        (("BTC", "1", "50000"), {"rounding": "up"}, RangeError, "'refuse', 'passive' or 'nearest'"),
        (("BTC", "1", "50000"), {"client_order_id": ""}, ConfigError, "1 to 36"),
        (("BTC", "1", "50000"), {"client_order_id": "x" * 37}, ConfigError, "1 to 36"),
        (("BTC", "1", "50000"), {"expires_after_ms": -5}, ConfigError, "ms from now"),
        (("PURR/USDC", "100", "0.2"), {"reduce_only": True}, OrderDenied, "spot has no positions"),
    ],
)  # fmt: skip
async def test_what_is_known_to_be_wrong_raises_and_leaves_no_trace(trader, exchange, args, kwargs, error, text):
    """Behaviour 60, L34, L86, G20: refused at once, with what was given and what would be right."""
    hl = await trader()
    with pytest.raises(error, match=text):
        hl.buy(*args, **kwargs)
    assert hl.orders == [] and hl.entry.orders_sent == 0 and not exchange.truth(hl.account)["orders"]


async def test_rounding_on_request_is_never_worse_for_the_sender(trader):
    """L87: silent rounding is refused, asked-for rounding is by side."""
    hl = await trader()
    buy = hl.buy("BTC", "0.0010049", "50000.7", rounding="passive")
    sell = hl.sell("BTC", "0.0010049", "60000.2", rounding="passive")
    nearest = hl.buy("BTC", "0.001006", "40000.7", rounding="nearest")
    assert (buy.price, buy.amount) == (50000, Decimal("0.001"))
    assert (sell.price, sell.amount) == (60001, Decimal("0.001"))
    assert (nearest.price, nearest.amount) == (40001, Decimal("0.00101"))
    assert all([await order.accepted() for order in (buy, sell, nearest)])


async def test_an_order_params_object_goes_through_buy_and_sell(trader):
    hl = await trader()
    params = OrderParams("BTC", "0.001", "50000", tif="Alo")
    order = hl.buy(params)
    assert order.is_buy and await order.accepted()
    with pytest.raises(ConfigError, match="say side BUY, the call says SELL"):
        hl.sell(OrderParams("BTC", "0.001", "50000", TradeType.BUY))
    with pytest.raises(ConfigError, match="pass it alone"):
        hl.buy(params, "0.001")


async def test_orders_that_do_not_rest_carry_an_expiry_and_others_none(trader, exchange, eventually):
    """L82: the defaults of the design's table; an expired action ends as EXPIRED."""
    hl = await trader()
    resting = hl.buy("BTC", "0.001", "50000")
    taking = hl.sell("BTC", "0.001", "60000", tif="Ioc")
    assert resting.expires_after_ms == 0 and taking.expires_after_ms > taking.nonce
    assert 14_000 <= taking.expires_after_ms - taking.nonce <= 16_000
    chosen = hl.buy("BTC", "0.001", "50000", expires_after_ms=3000)
    assert 2_000 <= chosen.expires_after_ms - chosen.nonce <= 4_000
    assert await chosen.accepted()


async def test_an_order_is_tracked_before_its_bytes_leave(trader, heard, exchange):
    """G1, behaviour 62: with a signer that cannot sign, the order is known and ends as failed, not sent."""
    hl = await trader()
    told = heard(hl)
    hl.signer.close()
    with pytest.raises(ConfigError, match="signer is closed"):
        hl.buy("BTC", "0.001", "50000", client_order_id="mine")
    order = hl.get_order("mine")
    assert (order.state, order.price, order.sent_ns) == (S.FAILED, 50000, 0) and "not sent" in order.reason
    assert told.names() == ["OrderFailed"] and hl.entry.in_flight == 0
    assert not exchange.truth(hl.account)["orders"]


async def test_orders_over_a_local_limit_are_refused(trader):
    hl = await trader(settings=hlfast.Settings(risk=RiskLimits(max_open_orders=2)))
    for price in (50000, 49000):
        await hl.buy("BTC", "0.001", price).accepted()
    with pytest.raises(OrderDenied, match="max_open_orders is 2"):
        hl.buy("BTC", "0.001", "48000")
    hl.limits.spend("test", 1150, hlfast.clock.monotonic_ns() // 10**6)
    hl.cancel_all()
    with pytest.raises((NotReady, OrderDenied)):
        hl.buy("BTC", "0.001", "48000")


async def test_a_signer_that_may_not_place_orders_is_refused_before_tracking(trader):
    """L127."""
    signer = hlfast.Signer("0x0123456789012345678901234567890123456789012345678901234567890123", allow=["cancel"])
    hl = await trader(key=signer)
    with pytest.raises(ConfigError, match="does not sign 'order'"):
        hl.buy("BTC", "0.001", "50000")
    assert hl.orders == []
    with pytest.raises(ConfigError, match="does not sign 'updateLeverage'"):
        await hl.actions.update_leverage("BTC", 5)


async def test_other_actions_are_answered_or_refused_by_name(trader):
    hl = await trader()
    assert (await hl.actions.update_leverage("BTC", 5))["type"] == "default"
    with pytest.raises(hlfast.errors.VenueReject) as refused:
        await hl.actions.update_leverage("BTC", 1000)
    assert refused.value.code == "leverage" and refused.value.remedy
    with pytest.raises(ConfigError, match="does not sign 'usdClassTransfer'"):
        await hl.actions.send({"type": "usdClassTransfer", "amount": "1", "toPerp": True})
    assert (await hl.actions.noop())["type"] == "default"


async def test_queries_go_over_the_socket_and_over_http_before_it(exchange, trader):
    hl = await trader()
    assert (await hl.info.l2_book("BTC"))["coin"] == "BTC"
    assert await hl.info.l2_book("NOPE") is None
    assert (await hl.info.order_status(hl.account, 1))["status"] == "unknownOid"
    early = hlfast.connect(exchange.network)
    assert (await early.info.meta())["universe"][0]["name"] == "BTC"
    await early.disconnect()


async def test_an_order_from_a_foreign_thread_is_refused_and_leaves_no_trace(trader):
    """Architecture, section 8."""
    hl = await trader()
    with pytest.raises(ConfigError, match="call_soon_threadsafe"):
        await asyncio.to_thread(hl.buy, "BTC", "0.001", "50000")
    with pytest.raises(ConfigError, match="call_soon_threadsafe"):
        await asyncio.to_thread(hl.entry.cancel_many, [hl.buy("BTC", "0.001", "50000")])
    assert len(hl.orders) == 1
