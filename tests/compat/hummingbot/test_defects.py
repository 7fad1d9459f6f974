"""The 27 defects that were read or run in Hummingbot 2.16.0's Hyperliquid connectors: each is shown to be absent here."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from typing import Any

import orjson
import pytest

from hlfast.compat.hummingbot.connector.client_order_tracker import ClientOrderTracker
from hlfast.compat.hummingbot.connector.exchange_base import ExchangeBase
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, TradeType
from hlfast.compat.hummingbot.core.data_type.in_flight_order import (
    InFlightOrder,
    OrderState,
    OrderUpdate,
    PerpetualDerivativeInFlightOrder,
    TradeUpdate,
)
from hlfast.compat.hummingbot.core.data_type.limit_order import LimitOrder
from hlfast.compat.hummingbot.core.data_type.market_order import MarketOrder
from hlfast.compat.hummingbot.core.data_type.order_book import OrderBook
from hlfast.compat.hummingbot.core.data_type.order_book_message import OrderBookMessage, OrderBookMessageType
from hlfast.compat.hummingbot.core.data_type.order_book_row import OrderBookRow
from hlfast.compat.hummingbot.core.data_type.trade_fee import AddedToCostTradeFee
from hlfast.errors import ConfigError

OPEN, CLOSE = PositionAction.OPEN, PositionAction.CLOSE
D = Decimal


def rest(c: Any, price: int = 40_000, size: str = "0.01", pair: str = "BTC-USD") -> str:
    order_id: str = c.buy(pair, D(size), OrderType.LIMIT, D(price), position_action=OPEN)
    return order_id


async def resting(c: Any, eventually: Any, price: int = 40_000) -> str:
    order_id = rest(c, price)
    await eventually(lambda: c.in_flight_orders[order_id].current_state is OrderState.OPEN)
    return order_id


async def test_network_errors_never_make_an_order_lost(perp: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D1: outages and failing queries spread over an order's life; it stays tracked, and can be cancelled."""
    c = await perp()
    told = heard(c)
    order_id = await resting(c, eventually)
    for n in range(5):
        exchange.faults.arm("http_502", channel="orderStatus")
        await exchange.cut(0.05)
        await eventually(lambda n=n: c.engine.counters["account_connections"] >= n + 2 and c.ready)
    assert told.names(order_id) == ["BuyOrderCreated"] and order_id in c.in_flight_orders
    assert c._order_tracker._order_not_found_records == {} and c._order_tracker.lost_orders == {}
    c.cancel("BTC-USD", order_id)
    await eventually(lambda: told.names(order_id)[-1] == "OrderCancelled")


async def test_a_refused_cancel_counts_as_nothing(perp: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D2, D26: the cancel of an order that has just filled, whose refusal has the word "order" in it: one end, no loss."""
    c = await perp()
    told = heard(c)
    order_id = await resting(c, eventually, 49_990)
    fault = exchange.faults.arm("late_request", ms=200, channel="cancelByCloid")
    c.cancel("BTC-USD", order_id)
    exchange.change("take", "BTC", "sell", "0.6")
    await eventually(lambda: order_id not in c.in_flight_orders)
    await asyncio.sleep(0.4)
    assert fault.hits
    assert told.names(order_id) == ["BuyOrderCreated", "OrderFilled", "BuyOrderCompleted"]
    assert c._order_tracker._order_not_found_records == {} and c._order_tracker.lost_orders == {}


class Bare(ExchangeBase):
    @property
    def order_books(self) -> dict[str, Any]:
        return {}


def test_a_late_open_revives_nothing() -> None:
    """D3: cancelled, then a late open, then cancelled again: one event."""
    connector = Bare()
    tracker = ClientOrderTracker(connector)
    order = InFlightOrder("A", "A-B", OrderType.LIMIT, TradeType.BUY, D(1), 0.0, D(1), "7", OrderState.OPEN)
    tracker.start_tracking_order(order)
    for state in (OrderState.CANCELED, OrderState.OPEN, OrderState.CANCELED):
        tracker.process_order_update(OrderUpdate("A-B", 1.0, state, "A", "7"))
    assert [type(event).__name__ for event in connector.event_logs] == ["OrderCancelledEvent"]
    assert order.is_cancelled


async def test_created_comes_before_filled_and_fills_before_the_end(
    perp: Any, exchange: Any, heard: Any, eventually: Any
) -> None:
    """D4, D6: fills ahead of the answer, so that no exchange id is known yet: told at once, in the right order."""
    c = await perp()
    told = heard(c)
    fault = exchange.faults.arm("fill_before_ack", times=3)
    ids = [rest(c, 50_010, "0.001") for _ in range(3)]
    await eventually(lambda: not c.in_flight_orders)
    assert fault.hits
    for one in ids:
        assert told.names(one) == ["BuyOrderCreated", "OrderFilled", "BuyOrderCompleted"]
    assert all(event.exchange_order_id.isdigit() for event in told.of("OrderFilled"))


async def test_an_unknown_status_stops_nothing(perp: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D5: the next row in the same turn is read, the order stays as it was."""
    c = await perp()
    told = heard(c)
    order_id = await resting(c, eventually)
    oid = int(c.in_flight_orders[order_id].exchange_order_id)
    order = {
        "coin": "BTC",
        "side": "B",
        "limitPx": "40000.0",
        "sz": "0.01",
        "oid": oid,
        "timestamp": 1,
        "origSz": "0.01",
    }
    rows = [
        {"order": {**order, "cloid": order_id}, "status": status, "statusTimestamp": n}
        for n, status in enumerate(("frozenByMoonlight", "marginCanceled"), c.engine.tracker.counters["fills"] + 10**13)
    ]
    c.engine.feed_account(orjson.dumps({"channel": "orderUpdates", "data": rows}))
    assert told.names(order_id) == ["BuyOrderCreated", "OrderCancelled"]
    assert c.engine.tracker.counters["unknown_status"] == 1
    await c.engine.info.request("meta")


async def test_coins_with_a_small_k_fill(perp: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D7: names are compared as they are."""
    exchange.change("set_book", "kPEPE", [("0.0099", "100000")], [("0.0101", "100000")])
    c = await perp(pairs=("kPEPE-USD",))
    told = heard(c)
    order_id = c.buy("kPEPE-USD", D(5000), OrderType.LIMIT, c.get_price("kPEPE-USD", True), position_action=OPEN)
    await eventually(lambda: "BuyOrderCompleted" in told.names(order_id))
    assert told.of("OrderFilled")[0].trading_pair == "kPEPE-USD" and "kPEPE-USD" in c.account_positions


async def test_orders_of_one_millisecond_have_nonces_of_their_own(perp: Any, heard: Any, eventually: Any) -> None:
    """D8: 20 orders in one turn of the loop, none refused for its nonce."""
    c = await perp()
    told = heard(c)
    ids = [rest(c, 40_000 + n) for n in range(20)]
    await eventually(lambda: len(told.of("BuyOrderCreated")) == 20)
    assert told.of("OrderFailure") == []
    assert len({c._core_order(one).nonce for one in ids}) == 20


async def test_funding_comes_from_the_funding_field(perp: Any) -> None:
    """D9: rate, mark and oracle, each from its own field."""
    c = await perp()
    info = c.get_funding_info("BTC-USD")
    universe, contexts = await c.engine.info.request("metaAndAssetCtxs")
    context = contexts[[row["name"] for row in universe["universe"]].index("BTC")]
    assert info.rate == D(context["funding"]) != D(context["openInterest"])
    assert (info.mark_price, info.index_price) == (D(context["markPx"]), D(context["oraclePx"]))
    assert info.next_funding_utc_timestamp % 3600 == 0
    assert 0 < info.next_funding_utc_timestamp - c.current_timestamp <= 3600


async def test_valid_prices_are_left_alone_and_orders_round_away_from_the_touch(perp: Any) -> None:
    """D10: integers are always valid, and half-up never moves an order through the spread."""
    c = await perp()
    for price in ("104337", "49990", "0.1", "123456"):
        assert c.quantize_order_price("BTC-USD", D(price)) == D(price)
    assert c.quantize_order_price("BTC-USD", D("49990.4")) == 49990
    assert c.quantize_order_price("BTC-USD", D("49990.5")) == 49991
    bought = c.in_flight_orders[rest(c, D("40000.9"))]  # type: ignore[arg-type]
    sold = c.in_flight_orders[c.sell("BTC-USD", D("0.01"), OrderType.LIMIT, D("60000.1"), position_action=OPEN)]
    assert (bought.price, sold.price) == (40000, 60001)
    assert c.quantize_order_amount("BTC-USD", D("0.0123456789")) == D("0.01234")


async def test_asset_ids_are_raw_positions(perp: Any) -> None:
    """D11: a delisted row keeps its place, so the ids behind it do not move."""
    c = await perp()
    universe = (await c.engine.info.meta())["universe"]
    names = [row["name"] for row in universe]
    assert any(row.get("isDelisted") for row in universe)
    for pair in await c.all_trading_pairs():
        coin = await c.exchange_symbol_associated_to_pair(pair)
        assert c.engine.resolve(coin).asset == names.index(coin)


async def test_an_unknown_exchange_id_is_none_and_never_a_text(perp: Any, eventually: Any) -> None:
    """D12."""
    c = await perp()
    order_id = rest(c)
    saved = c.tracking_states[order_id]
    assert c.in_flight_orders[order_id].exchange_order_id is None is saved["exchange_order_id"]
    await eventually(lambda: c.in_flight_orders[order_id].exchange_order_id)
    assert c.in_flight_orders[order_id].exchange_order_id.isdigit()


async def test_a_bare_status_entry_is_no_failure(perp: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D13: "waitingForFill" where a dict was expected: the order is live."""
    c = await perp()
    told = heard(c)
    place = exchange.engine.execution.place

    def bare(account: Any, ticket: Any) -> Any:
        place(account, ticket)
        return "waitingForFill"

    exchange.engine.execution.place = bare
    order_id = rest(c)
    await eventually(lambda: told.names(order_id))
    await asyncio.sleep(0.1)
    assert told.names(order_id) == ["BuyOrderCreated"] and order_id in c.in_flight_orders


async def test_requests_are_counted_as_the_venue_counts_them(perp: Any, eventually: Any) -> None:
    """D14: 39 orders in one action weigh 1, 40 weigh 2 in two actions; cancels keep a reserve."""
    c = await perp()
    spent = c.engine.limits.spent_on

    def batch(n: int) -> list[LimitOrder]:
        return [LimitOrder("", "BTC-USD", True, "BTC", "USD", D(40000 + i), D("0.01"), position=OPEN) for i in range(n)]

    before = spent.get("order", 0)
    c.batch_order_create(batch(39))
    assert spent["order"] == before + 1
    c.batch_order_create(batch(40))
    assert spent["order"] == before + 3
    assert c.engine.limits.cancel_reserve > 0
    assert all(result.success for result in await c.cancel_all(10))


async def test_a_pair_that_is_added_later_has_funding_too(perp: Any, exchange: Any, eventually: Any) -> None:
    """D15: book, trades and funding of ETH-USD."""
    exchange.change("set_book", "ETH", [("2999", "5")], [("3001", "5")])
    c = await perp()
    assert await c.add_trading_pair("ETH-USD")
    assert c.get_price("ETH-USD", True) == 3001
    await eventually(lambda: c.ready and c.get_funding_info("ETH-USD").mark_price > 0)
    exchange.change("take", "ETH", "buy", "0.1")
    await eventually(lambda: c.get_order_book("ETH-USD").last_trade_price == 3001)
    assert await c.remove_trading_pair("ETH-USD") and c.trading_pairs == ["BTC-USD"] and c.ready


async def test_trade_ids_are_the_venues_and_times_are_seconds(
    perp: Any, exchange: Any, heard: Any, eventually: Any
) -> None:
    """D16: two fills of one order have two ids; each time is in the unit of its field."""
    c = await perp()
    told = heard(c)
    order_id = c.buy("BTC-USD", D("0.6"), OrderType.LIMIT, D(50_020), position_action=OPEN)
    record = c.in_flight_orders[order_id]
    await eventually(lambda: "BuyOrderCompleted" in told.names(order_id))
    rows = exchange.truth(c.engine.account)["fills"]
    assert len(rows) == 2
    assert [event.exchange_trade_id for event in told.of("OrderFilled")] == [str(row["tid"]) for row in rows]
    assert [fill.fill_timestamp for fill in record.order_fills.values()] == [row["time"] / 1000 for row in rows]
    assert abs(told.of("OrderFilled")[0].timestamp - rows[0]["time"] / 1000) < 60


async def test_what_happens_in_an_outage_is_told_after_it(
    perp: Any, exchange: Any, heard: Any, eventually: Any
) -> None:
    """D17: a fill while the link is down is an event after it is up, once."""
    c = await perp()
    told = heard(c)
    order_id = await resting(c, eventually, 49_990)
    await exchange.cut(0.3)
    exchange.change("take", "BTC", "sell", "0.6")
    await eventually(lambda: "BuyOrderCompleted" in told.names(order_id))
    await asyncio.sleep(0.2)
    assert told.names(order_id) == ["BuyOrderCreated", "OrderFilled", "BuyOrderCompleted"]


async def test_a_wrong_call_raises_and_vanishes_in_no_task(perp: Any) -> None:
    """D18: an unknown pair, a missing position action."""
    c = await perp()
    with pytest.raises(ConfigError, match="no trading pair 'NOPE-USD'"):
        c.buy("NOPE-USD", D(1), OrderType.LIMIT, D(1), position_action=OPEN)
    for more in ({}, {"position_action": PositionAction.NIL}, {"position_action": "OPEN"}):
        with pytest.raises(ValueError, match=r"position_action=PositionAction\.OPEN or PositionAction\.CLOSE"):
            c.sell("BTC-USD", D(1), OrderType.LIMIT, D(60000), **more)
    assert c.in_flight_orders == {} and c.engine.entry.orders_sent == 0


@pytest.mark.parametrize("kind", ["lost_answer", "garbage", "rst", "torn", "truncated"])
async def test_an_order_whose_answer_is_lost_has_not_failed(
    perp: Any, exchange: Any, heard: Any, eventually: Any, kind: str
) -> None:
    """D19: it is asked for by its id, and found."""
    c = await perp()
    told = heard(c)
    where = {"channel": "order"} if kind == "lost_answer" else {}
    fault = exchange.faults.arm(kind, **where)
    order_id = rest(c)
    await eventually(lambda: told.names(order_id) and not c._core_order(order_id).unresolved and c.ready)
    on_exchange = any(row.get("cloid") == order_id for row in await c.engine.info.open_orders(c.engine.account))
    assert fault.hits and told.names(order_id) == (["BuyOrderCreated"] if on_exchange else ["OrderFailure"])


async def test_a_batch_keeps_each_orders_position_action(perp: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D20: an opening and a closing order; only the closing one is reduce-only on the wire."""
    c = await perp()
    told = heard(c)
    first = c.buy("BTC-USD", D("0.01"), OrderType.MARKET, position_action=OPEN)
    await eventually(lambda: "BuyOrderCompleted" in told.names(first))
    opened, closed = c.batch_order_create(
        [
            LimitOrder("", "BTC-USD", True, "BTC", "USD", D(40000), D("0.01"), position=OPEN),
            MarketOrder("", "BTC-USD", False, "BTC", "USD", D("0.02"), 0.0, CLOSE),
        ]
    )
    await eventually(lambda: not c.account_positions and closed.client_order_id not in c.in_flight_orders)
    assert isinstance(closed, MarketOrder) and "BuyOrderCreated" in told.names(opened.client_order_id)
    assert c._core_order(closed.client_order_id).reduce_only
    assert not c._core_order(opened.client_order_id).reduce_only


def diff(update_id: int, price: float) -> OrderBookMessage:
    content = {"update_id": update_id, "bids": [[price, 1]], "asks": []}
    return OrderBookMessage(OrderBookMessageType.DIFF, content, timestamp=update_id)


def test_a_restored_book_takes_newer_diffs_only() -> None:
    """D21: and messages have a total order."""
    book = OrderBook()
    snapshot = OrderBookMessage(
        OrderBookMessageType.SNAPSHOT, {"update_id": 5, "bids": [[10, 1]], "asks": [[99, 1]]}, timestamp=5
    )
    book.restore_from_snapshot_and_diffs(snapshot, [diff(3, 50), diff(5, 60), diff(6, 20)])
    assert [row.price for row in book.bid_entries()] == [20, 10] and book.last_diff_uid == 6
    trade = OrderBookMessage(OrderBookMessageType.TRADE, {"trade_id": 1}, timestamp=5)
    messages = [trade, diff(6, 1), snapshot, diff(3, 1), diff(5, 1)]
    for one, other in itertools.product(messages, repeat=2):
        assert (one < other) + (one == other) + (one > other) == 1
    for order in itertools.permutations(messages):
        assert sorted(order) == [diff(3, 1), snapshot, diff(5, 1), trade, diff(6, 1)]


def test_messages_can_be_keys() -> None:
    """D22."""
    assert {diff(1, 1): "a"}[diff(1, 2)] == "a" and len({diff(1, 1), diff(2, 1)}) == 2


async def test_a_quote_volume_is_in_quote(perp: Any) -> None:
    """D23: of a book by hand, and through the connector."""
    book = OrderBook()
    book.apply_snapshot([], [OrderBookRow(10.0, 2.0, 1), OrderBookRow(11.0, 3.0, 1)], 1)
    assert book.get_quote_volume_for_price(True, 11).result_volume == 53
    c = await perp()
    found = c.get_quote_volume_for_price("BTC-USD", True, D(50_010))
    assert found.result_volume == D("0.5") * 50_010 and found.result_price == 50_010


async def test_stopping_leaves_nothing_behind(perp: Any, eventually: Any) -> None:
    """D24: no task, and a stop may come twice."""
    before = asyncio.all_tasks()
    c = await perp()
    await c.stop_network()
    await c.stop_network()
    await eventually(lambda: asyncio.all_tasks() <= before)
    assert (await c.check_network()).name == "STOPPED"


def test_records_come_back_from_json_as_they_were() -> None:
    """D25: maker or taker, and the order's class."""
    fill = TradeUpdate("1", "A", "7", "A-B", 1.0, D(1), D(1), D(1), AddedToCostTradeFee(), is_taker=False)
    assert TradeUpdate.from_json(fill.to_json()) == fill
    order = PerpetualDerivativeInFlightOrder("A", "A-B", OrderType.LIMIT, TradeType.BUY, D(1), 0.0, D(1))
    again = PerpetualDerivativeInFlightOrder.from_json(order.to_json())
    assert type(again) is PerpetualDerivativeInFlightOrder and again == order


async def test_a_refusal_is_told_by_its_whole_text(perp: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D26: the word "order" in a refusal makes nothing lost."""
    c = await perp()
    told = heard(c)
    resting_id = await resting(c, eventually)
    refused = c.sell("BTC-USD", D("0.01"), OrderType.LIMIT, D(60000), position_action=CLOSE)
    await eventually(lambda: told.names(refused))
    (failure,) = told.of("OrderFailure")
    assert failure.order_id == refused and failure.error_type == "reduce_only"
    assert resting_id in c.in_flight_orders and c._order_tracker._order_not_found_records == {}


async def test_fees_are_in_the_token_that_the_venue_says(spot: Any, exchange: Any, heard: Any, eventually: Any) -> None:
    """D27: spot, both sides."""
    told = heard(spot)
    for verb, size, price in ((spot.buy, D(2), D("20.1")), (spot.sell, D(1), D("19.9"))):
        order_id = verb("HYPE-USDC", size, OrderType.LIMIT, price)
        await eventually(lambda order_id=order_id: order_id not in spot.in_flight_orders)
    rows = exchange.truth(spot.engine.account)["fills"]
    fees = [event.trade_fee.flat_fees[0] for event in told.of("OrderFilled")]
    assert [(fee.token, fee.amount) for fee in fees] == [(row["feeToken"], D(row["fee"])) for row in rows]
    assert {row["feeToken"] for row in rows} == {"HYPE", "USDC"}
