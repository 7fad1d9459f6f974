"""The standalone connectors against the local exchange, over real sockets."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal
from typing import Any

import pytest

from hlfast import clock
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, PriceType, TradeType
from hlfast.compat.hummingbot.core.data_type.in_flight_order import OrderState
from hlfast.compat.hummingbot.core.data_type.limit_order import LimitOrder
from hlfast.config import Settings
from hlfast.errors import ConfigError
from hlfast.sim import info

OPEN, CLOSE = PositionAction.OPEN, PositionAction.CLOSE
D = Decimal


async def test_an_order_is_on_the_wire_when_buy_returns_and_tells_its_life_in_order(
    perp: Any, heard: Any, eventually: Any
) -> None:
    """G1, G2, G3: created, filled, completed, each once, and none of them inside the call."""
    c = await perp()
    told = heard(c)
    sent = c.engine.entry.orders_sent
    ask = c.get_price("BTC-USD", True)
    order_id = c.buy("BTC-USD", D("0.01"), OrderType.LIMIT, ask, position_action=OPEN)
    assert c.engine.entry.orders_sent == sent + 1
    assert told.names(order_id) == [] and order_id in c.in_flight_orders
    assert order_id.startswith("0x") and len(order_id) == 34
    await eventually(lambda: "BuyOrderCompleted" in told.names(order_id))
    names = told.names(order_id)
    assert names[0] == "BuyOrderCreated" and names[-1] == "BuyOrderCompleted"
    assert set(names[1:-1]) == {"OrderFilled"}
    done = told.of("BuyOrderCompleted")[0]
    assert done.base_asset_amount == D("0.01") and done.base_asset == "BTC" and done.quote_asset == "USD"
    fill = told.of("OrderFilled")[0]
    assert fill.trade_fee.flat_fees[0].token == "USD" and fill.position == "OPEN" and fill.exchange_order_id.isdigit()
    assert fill.trade_fee.type_descriptor_for_json() == "AddedToCost"
    assert order_id not in c.in_flight_orders
    await eventually(lambda: c.account_positions)
    assert c.account_positions["BTC-USD"].amount == D("0.01")


async def test_a_resting_order_is_cancelled_once(perp: Any, heard: Any, eventually: Any) -> None:
    """G5: one terminal event, also where the cancel is asked for twice."""
    c = await perp()
    told = heard(c)
    order_id = c.buy("BTC-USD", D("0.01"), OrderType.LIMIT_MAKER, D(30000), position_action=OPEN)
    await eventually(lambda: c.in_flight_orders[order_id].current_state is OrderState.OPEN)
    assert c.in_flight_orders[order_id].exchange_order_id.isdigit()
    assert c.cancel("BTC-USD", order_id) == order_id
    c.cancel("BTC-USD", order_id)
    await eventually(lambda: "OrderCancelled" in told.names(order_id))
    await asyncio.sleep(0.1)
    assert told.names(order_id) == ["BuyOrderCreated", "OrderCancelled"]


async def test_a_cancel_before_the_answer_keeps_the_order_of_events(perp: Any, heard: Any, eventually: Any) -> None:
    """G2, G6: the venue takes cancels first, so this one finds nothing; the order is created once and rests again."""
    c = await perp()
    told = heard(c)
    order_id = c.sell("BTC-USD", D("0.01"), OrderType.LIMIT, D(90000), position_action=OPEN)
    c.cancel("BTC-USD", order_id)
    assert c.in_flight_orders[order_id].is_pending_cancel_confirmation
    await eventually(lambda: c.in_flight_orders[order_id].current_state is OrderState.OPEN)
    assert told.names(order_id) == ["SellOrderCreated"]
    c.cancel("BTC-USD", order_id)
    await eventually(lambda: "OrderCancelled" in told.names(order_id))
    assert told.names(order_id) == ["SellOrderCreated", "OrderCancelled"]


async def test_market_orders_take_and_close_is_reduce_only(perp: Any, heard: Any, eventually: Any) -> None:
    c = await perp()
    told = heard(c)
    opened = c.buy("BTC-USD", D("0.01"), OrderType.MARKET, position_action=OPEN)
    await eventually(lambda: "BuyOrderCompleted" in told.names(opened))
    closed = c.sell("BTC-USD", D("0.03"), OrderType.MARKET, position_action=CLOSE)
    await eventually(lambda: not c.account_positions and closed not in c.in_flight_orders)
    fills = [event for event in told.of("OrderFilled") if event.order_id == closed]
    assert sum(fill.amount for fill in fills) == D("0.01")
    assert all(fill.trade_fee.type_descriptor_for_json() == "DeductedFromReturns" for fill in fills)


@pytest.mark.parametrize(
    ("amount", "kind", "price", "words"),
    [
        ("0.000001", OrderType.LIMIT, "60000", "is lower than minimum order size 0.00001 for the pair BTC-USD"),
        ("0.0001", OrderType.LIMIT, "60000", "is lower than minimum notional size 10 for the pair BTC-USD"),
        ("0.01", OrderType.AMM_SWAP, "60000", "OrderType.AMM_SWAP is not in the list of supported order types"),
        ("0.01", OrderType.LIMIT, "NaN", "needs a price"),
        ("0.01", OrderType.LIMIT, "-5", "price"),
        ("0.01", OrderType.LIMIT, None, "needs a price"),
        ("0.01", "LIMIT", "60000", "LIMIT is not in the list of supported order types"),
        ("0", OrderType.LIMIT, "60000", "is lower than minimum order size 0.00001 for the pair BTC-USD"),
    ],
)
async def test_what_is_refused_locally_is_a_failed_order_of_the_next_turn(
    perp: Any, heard: Any, eventually: Any, amount: str, kind: Any, price: str | None, words: str
) -> None:
    c = await perp()
    told = heard(c)
    sent = c.engine.entry.orders_sent
    order_id = c.buy("BTC-USD", D(amount), kind, None if price is None else D(price), position_action=OPEN)
    assert told.events == []
    await eventually(lambda: told.names(order_id))
    (failure,) = told.of("OrderFailure")
    assert words in failure.error_message and failure.error_type == "ValueError"
    assert c.engine.entry.orders_sent == sent and order_id not in c.in_flight_orders


async def test_a_refusal_by_the_venue_is_a_failed_order_that_says_why(perp: Any, heard: Any, eventually: Any) -> None:
    c = await perp()
    told = heard(c)
    order_id = c.buy("BTC-USD", D("0.01"), OrderType.LIMIT_MAKER, D(50020), position_action=OPEN)
    await eventually(lambda: told.names(order_id))
    (failure,) = told.of("OrderFailure")
    assert failure.error_type == "post_only_crossed" and "remedy" in failure.error_message
    assert told.names(order_id) == ["OrderFailure"]


async def test_a_connector_that_is_not_live_refuses_and_never_queues(perp: Any, heard: Any, eventually: Any) -> None:
    """G14."""
    c = await perp()
    await c.stop_network()
    told = heard(c)
    sent = c.engine.entry.orders_sent
    order_id = c.buy("BTC-USD", D("0.01"), OrderType.LIMIT, D(60000), position_action=OPEN)
    await eventually(lambda: told.names(order_id))
    assert told.of("OrderFailure")[0].error_type == "NotReady" and c.engine.entry.orders_sent == sent


async def test_cancel_all_tells_of_each_order_once_successes_first(perp: Any, heard: Any, eventually: Any) -> None:
    c = await perp()
    ids = [c.buy("BTC-USD", D("0.01"), OrderType.LIMIT, D(30000 + n), position_action=OPEN) for n in range(5)]
    results = await c.cancel_all(5)
    assert sorted(result.order_id for result in results) == sorted(ids)
    assert all(result.success for result in results) and c.in_flight_orders == {}
    c.buy("BTC-USD", D("0.000001"), OrderType.LIMIT, D(30000), position_action=OPEN)  # refused in this turn
    assert await c.cancel_all(1) == [] and c.in_flight_orders == {}


async def test_prices_are_the_books_own_and_a_stale_book_has_none(
    perp: Any, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    c = await perp()
    core = c.engine.book("BTC")
    assert c.get_price("BTC-USD", True) == core.best_ask and c.get_price("BTC-USD", False) == core.best_bid
    assert c.get_mid_price("BTC-USD") == c.get_price_by_type("BTC-USD", PriceType.MidPrice) == core.mid_price
    bids = list(c.order_book_bid_entries("BTC-USD"))
    assert [(row.price, row.amount) for row in bids] == core.get_top_bids(100)
    asked = c.get_vwap_for_volume("BTC-USD", True, D("0.01"))
    assert abs(asked.result_price - core.best_ask) < 1 and asked.result_volume == D("0.01")
    assert c.get_quote_volume_for_price("BTC-USD", False, bids[0].price).result_volume == pytest.approx(
        bids[0].price * bids[0].amount
    )
    with pytest.raises(ValueError, match="No order book exists for 'ETH-USD'"):
        c.get_price("ETH-USD", True)
    core.mark_stale("shown")
    with caplog.at_level(logging.WARNING):
        assert c.get_price("BTC-USD", True).is_nan()
    assert "Ask orderbook for BTC-USD is empty." in caplog.text and not c.ready


async def test_rules_balances_fees_and_symbols_say_what_the_venue_says(perp: Any, eventually: Any) -> None:
    c = await perp()
    rule = c.trading_rules["BTC-USD"]
    assert (rule.min_order_size, rule.min_price_increment) == (D("0.00001"), D("0.1"))
    assert (rule.max_price_significant_digits, rule.min_notional_size) == (5, 10)
    assert c.get_buy_collateral_token("BTC-USD") == "USD"
    assert c.get_order_size_quantum("BTC-USD", D(1)) == D("0.00001")
    assert c.get_balance("USD") == D(c.engine.balances["perp"]["account_value"]) > 0
    assert c.get_available_balance("USD") > 0 and list(c.get_all_balances()) == ["USD"]
    rates = await c.engine.info.request("userFees", user=c.engine.account)
    await eventually(lambda: c.trade_fee_schema().taker_percent_fee_decimal == D(rates["userCrossRate"]))
    fee = c.get_fee("BTC", "USD", OrderType.LIMIT, TradeType.BUY, OPEN, D(1), D(1))
    assert fee.percent == D(rates["userCrossRate"]) and c.estimate_fee_pct(True) == D(rates["userAddRate"])
    assert await c.exchange_symbol_associated_to_pair("BTC-USD") == "BTC"
    assert (await c.trading_pair_symbol_map()).inverse["BTC-USD"] == "BTC"
    with pytest.raises(KeyError):
        await c.trading_pair_associated_to_exchange_symbol("NOPE")
    assert c.name == c.domain and c.supported_order_types()[0] is OrderType.LIMIT


async def test_bad_input_raises_at_once_and_says_what_to_do(perp: Any) -> None:
    c = await perp()
    with pytest.raises(ConfigError, match=r"did you mean BTC-USD\?"):
        c.buy("btc-usd", D("0.01"), OrderType.LIMIT, D(60000), position_action=OPEN)
    for wrong in (None, 5, ["BTC-USD"]):
        with pytest.raises(ConfigError, match="a trading pair is text"):
            c.buy(wrong, D("0.01"), OrderType.LIMIT, D(60000), position_action=OPEN)
    for leverage in (0, 1000, 2.5, D("2.5"), "5", None):
        with pytest.raises(ConfigError, match="1 to"):
            c.set_leverage("BTC-USD", leverage)
    for amount in (None, "much", object(), D("NaN"), float("inf"), D("-0.01")):
        with pytest.raises(ConfigError, match="amount"):
            c.buy("BTC-USD", amount, OrderType.LIMIT, D(60000), position_action=OPEN)
    for price in ("dear", D("Infinity")):
        with pytest.raises(ConfigError, match="price"):
            c.buy("BTC-USD", D("0.01"), OrderType.LIMIT, price, position_action=OPEN)
    with pytest.raises(NotImplementedError, match="margin rules"):
        _ = c.budget_checker
    with pytest.raises(ConfigError, match="before start_network"):
        c.start_tracking_order("0x" + "1" * 32, None, "BTC-USD", TradeType.BUY, D(1), D(1), OrderType.LIMIT)
    assert c.in_flight_orders == {}


async def test_leverage_and_position_mode_are_the_venues(perp: Any, heard: Any, eventually: Any) -> None:
    from hlfast.compat.hummingbot.core.data_type.common import PositionMode

    c = await perp()
    told = heard(c)
    c.set_leverage("BTC-USD", 7)
    await eventually(lambda: c.get_leverage("BTC-USD") == 7)
    c.set_position_mode(PositionMode.HEDGE)
    await eventually(lambda: told.of("PositionModeChangeFailed"))
    assert c.position_mode is PositionMode.ONEWAY and c.supported_position_modes() == [PositionMode.ONEWAY]


async def test_a_restart_takes_up_saved_orders_and_what_became_of_them(
    perp: Any, exchange: Any, heard: Any, eventually: Any
) -> None:
    """G10, G13: an order that filled, one that was cancelled and one that rests, while nobody listened."""
    first = await perp()
    ids = [
        first.buy("BTC-USD", D("0.01"), OrderType.LIMIT, D(price), position_action=OPEN)
        for price in (30000, 31000, 32000)
    ]
    await eventually(lambda: all(first.in_flight_orders[one].exchange_order_id for one in ids))
    saved = first.tracking_states
    await first.stop_network()

    helper = await perp(1)
    best = helper.get_price("BTC-USD", False)
    assert best > 32000
    other = await perp(0)  # another program with the same key cancels the second
    other.engine.cancel(other.engine.tracker.get_order_by_cloid(ids[1]))
    await eventually(lambda: other.engine.tracker.get_order_by_cloid(ids[1]).is_done)
    await other.stop_network()
    exchange.change("take", "BTC", "sell", "100000")  # the book down to nothing, the two others with it

    told: list[Any] = []

    def before(connector: Any) -> None:
        connector.restore_tracking_states(saved)
        told.append(heard(connector))

    again = await perp(0, before=before)
    assert sorted(told[0].names(ids[1])) == ["OrderCancelled"]
    await eventually(lambda: "BuyOrderCompleted" in told[0].names(ids[2]))
    assert told[0].names(ids[2])[-1] == "BuyOrderCompleted" and told[0].names(ids[2])[0] == "OrderFilled"
    assert again.in_flight_orders == {} or list(again.in_flight_orders) == [ids[0]]


async def test_spot_trades_by_token_names(spot: Any, heard: Any, eventually: Any) -> None:
    told = heard(spot)
    rule = spot.trading_rules["HYPE-USDC"]
    price = spot.get_price("HYPE-USDC", True)
    order_id = spot.buy("HYPE-USDC", rule.min_order_size * 200, OrderType.LIMIT, price)
    await eventually(lambda: "BuyOrderCompleted" in told.names(order_id))
    assert told.names(order_id)[0] == "BuyOrderCreated"
    assert told.of("OrderFilled")[0].trade_fee.flat_fees[0].token in ("HYPE", "USDC")
    await eventually(lambda: spot.get_balance("USDC") > 0)
    assert spot.get_available_balance("USDC") <= spot.get_balance("USDC")


async def test_a_batch_is_one_action_for_each_class(perp: Any, heard: Any, eventually: Any) -> None:
    """G17: ids in the orders' order; a bad one fails alone."""
    c = await perp()
    told = heard(c)
    orders = [
        LimitOrder("", "BTC-USD", True, "BTC", "USD", D(30000 + n), D("0.01") if n != 2 else D("0.0001"), position=OPEN)
        for n in range(4)
    ]
    sent = c.engine.entry.orders_sent
    placed = c.batch_order_create(orders)
    assert [(order.price, order.quantity) for order in placed] == [(order.price, order.quantity) for order in orders]
    assert c.engine.entry.orders_sent == sent + 3
    await eventually(lambda: told.of("OrderFailure") and len(told.of("BuyOrderCreated")) == 3)
    assert told.names(placed[2].client_order_id) == ["OrderFailure"]
    c.batch_order_cancel([order for order in placed if order.client_order_id in c.in_flight_orders])
    await eventually(lambda: len(told.of("OrderCancelled")) == 3)


async def test_a_market_order_is_an_ioc_within_the_slippage(perp: Any) -> None:
    """Around the touch, or around the price that is given; each valid for the venue."""
    c = await perp()
    c.market_order_slippage = D("0.01")
    orders = [
        c._core_order(verb("BTC-USD", D("0.01"), OrderType.MARKET, price, position_action=OPEN))
        for verb, price in ((c.buy, D("NaN")), (c.sell, D("NaN")), (c.buy, D(40_000)))
    ]
    assert [order.price for order in orders] == [50_510, 49_491, 40_400]  # 50510.1 down, 49490.1 up
    assert {order.tif for order in orders} == {"Ioc"}


async def test_a_cancel_that_cannot_be_sent_is_said_and_not_sent_later(
    perp: Any, exchange: Any, heard: Any, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G14."""
    c = await perp()
    told = heard(c)
    order_id = c.buy("BTC-USD", D("0.01"), OrderType.LIMIT, D(40000), position_action=OPEN)
    await eventually(lambda: c.in_flight_orders[order_id].current_state is OrderState.OPEN)
    await exchange.cut(0.2)
    await eventually(lambda: not c.ready)
    with caplog.at_level(logging.WARNING):
        c.cancel("BTC-USD", order_id)
    assert f"The cancel of {order_id} was not sent" in caplog.text
    await eventually(lambda: c.ready)
    await asyncio.sleep(0.1)
    assert told.names(order_id) == ["BuyOrderCreated"] and order_id in c.in_flight_orders


async def test_orders_stay_at_the_venue_unless_the_settings_say_otherwise(
    perp: Any, exchange: Any, eventually: Any
) -> None:
    """C7."""
    for on_stop, left in (("leave", 1), ("cancel", 0)):
        c = await perp(settings=Settings(on_stop=on_stop))
        order_id = c.buy("BTC-USD", D("0.01"), OrderType.LIMIT, D(40000), position_action=OPEN)
        await eventually(lambda c=c, one=order_id: c.in_flight_orders[one].current_state is OrderState.OPEN)
        await c.stop_network()
        resting = [row for row in exchange.truth(c.engine.account)["orders"] if row.get("cloid") == order_id]
        assert len([row for row in resting if row["status"] == "open"]) == left


async def test_events_carry_the_wall_clocks_seconds(perp: Any, heard: Any, eventually: Any) -> None:
    c = await perp()
    told = heard(c)
    before = clock.epoch_ns() / 1e9
    order_id = c.buy("BTC-USD", D("0.01"), OrderType.MARKET, position_action=OPEN)
    await eventually(lambda: "BuyOrderCompleted" in told.names(order_id))
    after = clock.epoch_ns() / 1e9
    times = [event.timestamp for _, event in told.events if getattr(event, "order_id", None) == order_id]
    assert len(times) >= 3 and times == sorted(times) and before <= times[0] <= times[-1] <= after


async def test_a_market_that_is_listed_later_can_be_added(
    perp: Any, exchange: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L103: the venue's list is read again for a name that is not in it; an unknown one is refused as ever."""
    exchange.change("set_book", "ETH", [("2999", "5")], [("3001", "5")])
    told = info.ANSWERS["meta"]

    def without_eth(self: Any, query: Any) -> Any:
        answer = told(self, query)
        return {**answer, "universe": answer["universe"][:1]}

    with monkeypatch.context() as before_the_listing:
        before_the_listing.setitem(info.ANSWERS, "meta", without_eth)
        c = await perp()
        assert "ETH-USD" not in c.trading_rules
    with pytest.raises(ConfigError, match="no trading pair 'ETH-USD'"):
        await c.add_trading_pair("ETH-USD")  # the list has been read just now
    c.engine.markets._looked_ns = 0  # a minute later
    assert await c.add_trading_pair("ETH-USD") and c.get_price("ETH-USD", True) == 3001
    order_id = c.buy("ETH-USD", D("0.01"), OrderType.LIMIT, D(2000), position_action=OPEN)
    await eventually(lambda: c.in_flight_orders[order_id].current_state is OrderState.OPEN)
    with pytest.raises(ConfigError, match="no trading pair 'NOPE-USD'"):
        await c.add_trading_pair("NOPE-USD")
    assert c.trading_pairs == ["BTC-USD", "ETH-USD"]
