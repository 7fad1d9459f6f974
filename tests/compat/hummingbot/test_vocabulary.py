"""Hummingbot's names, values, fields, events, fees, positions, books: the contract by introspection and by use."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import importlib
import logging
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from hlfast import clock
from hlfast.compat.hummingbot.connector.derivative.position import Position
from hlfast.compat.hummingbot.connector.perpetual_trading import PerpetualTrading
from hlfast.compat.hummingbot.connector.trading_rule import TradingRule
from hlfast.compat.hummingbot.connector.utils import (
    combine_to_hb_trading_pair,
    get_new_client_order_id,
    split_hb_trading_pair,
    validate_trading_pair,
)
from hlfast.compat.hummingbot.core.data_type import common, limit_order, order_book_message
from hlfast.compat.hummingbot.core.data_type.funding_info import FundingInfo, FundingInfoUpdate
from hlfast.compat.hummingbot.core.data_type.in_flight_order import OrderState, OrderUpdate, TradeUpdate
from hlfast.compat.hummingbot.core.data_type.market_order import MarketOrder
from hlfast.compat.hummingbot.core.data_type.order_book import OrderBook
from hlfast.compat.hummingbot.core.data_type.order_book_message import OrderBookMessage, OrderBookMessageType
from hlfast.compat.hummingbot.core.data_type.order_book_row import OrderBookRow
from hlfast.compat.hummingbot.core.data_type.trade_fee import (
    AddedToCostTradeFee,
    DeductedFromReturnsTradeFee,
    TokenAmount,
    TradeFeeBase,
    TradeFeeSchema,
)
from hlfast.compat.hummingbot.core.event import events
from hlfast.compat.hummingbot.core.event.event_forwarder import EventForwarder, SourceInfoEventForwarder
from hlfast.compat.hummingbot.core.event.event_logger import EventLogger
from hlfast.compat.hummingbot.core.network_iterator import NetworkStatus
from hlfast.compat.hummingbot.core.pubsub import PubSub
from hlfast.compat.hummingbot.core.rate_oracle import rate_oracle

from ...children import HOME, surroundings

D = Decimal
ROOT = "hlfast.compat.hummingbot."


# -- names, values and fields -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("enum", "members"),
    [
        (common.OrderType, "MARKET 1 LIMIT 2 LIMIT_MAKER 3 AMM_SWAP 4 AMM_ADD 5 AMM_REMOVE 6"),
        (common.TradeType, "BUY 1 SELL 2 RANGE 3"),
        (common.PositionAction, "OPEN OPEN CLOSE CLOSE NIL NIL"),
        (common.PositionSide, "LONG LONG SHORT SHORT BOTH BOTH"),
        (common.PositionMode, "HEDGE HEDGE ONEWAY ONEWAY"),
        (
            common.PriceType,
            "MidPrice 1 BestBid 2 BestAsk 3 LastTrade 4 LastOwnTrade 5 InventoryCost 6 Custom 7",
        ),
        (common.LPType, "ADD 1 REMOVE 2 COLLECT 3"),
        (
            OrderState,
            "PENDING_CREATE 0 OPEN 1 PENDING_CANCEL 2 CANCELED 3 PARTIALLY_FILLED 4 FILLED 5 FAILED 6 "
            "PENDING_APPROVAL 7 APPROVED 8 CREATED 9 COMPLETED 10",
        ),
        (
            events.LimitOrderStatus,
            "UNKNOWN 0 NEW 1 OPEN 2 CANCELING 3 CANCELED 4 COMPLETED 5 FAILED 6",
        ),
        (order_book_message.OrderBookMessageType, "SNAPSHOT 1 DIFF 2 TRADE 3"),
        (NetworkStatus, "STOPPED 0 NOT_CONNECTED 1 CONNECTED 2"),
        (
            events.AccountEvent,
            "PositionModeChangeSucceeded 400 PositionModeChangeFailed 401 BalanceEvent 402 PositionUpdate 403 "
            "MarginCall 404 LiquidationEvent 405",
        ),
        (events.OrderBookEvent, "TradeEvent 901 OrderBookDataSourceUpdateEvent 904"),
    ],
)
def test_enums_have_hummingbots_members_in_its_order(enum: Any, members: str) -> None:
    words = members.split()
    assert [(one.name, str(one.value)) for one in enum] == list(zip(words[::2], words[1::2], strict=True))


def test_market_events_have_their_values() -> None:
    values = {
        101: "ReceivedAsset", 102: "BuyOrderCompleted", 103: "SellOrderCompleted", 105: "WithdrawAsset",
        106: "OrderCancelled", 107: "OrderFilled", 108: "OrderExpired", 109: "OrderUpdate", 110: "TradeUpdate",
        198: "OrderFailure", 199: "TransactionFailure", 200: "BuyOrderCreated", 201: "SellOrderCreated",
        202: "FundingPaymentCompleted", 203: "FundingInfo", 300: "RangePositionLiquidityAdded",
        301: "RangePositionLiquidityRemoved", 303: "RangePositionUpdateFailure",
    }  # fmt: skip
    assert {one.value: one.name for one in events.MarketEvent} == values


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (OrderUpdate, "trading_pair update_timestamp new_state client_order_id exchange_order_id misc_updates"),
        (
            TradeUpdate,
            "trade_id client_order_id exchange_order_id trading_pair fill_timestamp fill_price fill_base_amount "
            "fill_quote_amount fee is_taker",
        ),
        (
            common.OpenOrder,
            "client_order_id trading_pair price amount executed_amount status order_type is_buy time exchange_order_id",
        ),
        (MarketOrder, "order_id trading_pair is_buy base_asset quote_asset amount timestamp position"),
        (
            events.OrderFilledEvent,
            "timestamp order_id trading_pair trade_type order_type price amount trade_fee exchange_trade_id "
            "exchange_order_id leverage position",
        ),
        (
            events.BuyOrderCreatedEvent,
            "timestamp type trading_pair amount price order_id creation_timestamp exchange_order_id leverage position",
        ),
        (
            events.SellOrderCompletedEvent,
            "timestamp order_id base_asset quote_asset base_asset_amount quote_asset_amount order_type exchange_order_id",
        ),
        (events.MarketOrderFailureEvent, "timestamp order_id order_type error_message error_type"),
        (events.FundingPaymentCompletedEvent, "timestamp market trading_pair amount funding_rate"),
        (events.OrderBookTradeEvent, "trading_pair timestamp type price amount trade_id is_taker"),
        (
            TradingRule,
            "trading_pair min_order_size max_order_size min_price_increment min_base_amount_increment "
            "min_quote_amount_increment min_notional_size min_order_value max_price_significant_digits "
            "supports_limit_orders supports_market_orders buy_order_collateral_token sell_order_collateral_token",
        ),
        (FundingInfoUpdate, "trading_pair index_price mark_price next_funding_utc_timestamp rate"),
    ],
)
def test_records_have_hummingbots_fields_in_its_order(record: Any, fields: str) -> None:
    names = record._fields if hasattr(record, "_fields") else [field.name for field in dataclasses.fields(record)]
    assert list(names) == fields.split()


def test_a_rules_collateral_is_the_quote_unless_given() -> None:
    rule = TradingRule("A-B", sell_order_collateral_token="A")
    assert (rule.buy_order_collateral_token, rule.sell_order_collateral_token) == ("B", "A")
    assert rule.max_order_size == D("1e56") and rule.min_price_increment == D("1e-56")


def test_pairs_and_ids() -> None:
    assert split_hb_trading_pair("A-B") == ("A", "B") and combine_to_hb_trading_pair("A", "B") == "A-B"
    assert validate_trading_pair("A-B") and not validate_trading_pair("AB") and not validate_trading_pair("A B-C")
    ids = {get_new_client_order_id(True, "BTC-USD", "HB", 32) for _ in range(1000)}
    assert len(ids) == 1000 and all(one.startswith("HBB") and len(one) <= 32 for one in ids)


def test_the_alias_is_the_same_modules_and_gives_way_to_a_real_hummingbot() -> None:
    """In a process of its own: the alias is global."""
    code = """
import logging
import hlfast.compat.hummingbot as ours
import hlfast.compat.hummingbot.core.data_type.in_flight_order as mine
assert logging.getLoggerClass() is logging.Logger
ours.install_alias(); ours.install_alias()
import hummingbot.core.data_type.in_flight_order as theirs
from hummingbot.logger import HummingbotLogger
from hummingbot.connector.derivative.hyperliquid_perpetual.hyperliquid_perpetual_derivative import HyperliquidPerpetualDerivative
assert theirs is mine and logging.getLoggerClass() is HummingbotLogger
from unittest.mock import patch
with patch("hummingbot.core.data_type.in_flight_order.GET_EX_ORDER_ID_TIMEOUT", 0.1):
    assert mine.GET_EX_ORDER_ID_TIMEOUT == 0.1
try:
    import hummingbot.nothing
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("a module that is not here was found")
ours.remove_alias()
import sys, types
sys.modules["hummingbot"] = types.ModuleType("hummingbot")
try:
    ours.install_alias()
except RuntimeError as error:
    assert "real Hummingbot" in str(error)
else:
    raise SystemExit("it hid a real one")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, env=surroundings())
    assert done.returncode == 0, done.stderr


def test_importing_changes_nothing_in_logging() -> None:
    assert logging.getLoggerClass() is logging.Logger
    logger = importlib.import_module(ROOT + "logger")
    one = logger.logger_for(PubSub)
    assert isinstance(one, logger.HummingbotLogger) and logger.NETWORK == 16
    assert one.name == f"{ROOT}core.pubsub.PubSub" == logger.HummingbotLogger.logger_name_for_class(PubSub)


# -- events and listeners -----------------------------------------------------------------------------------------------
def test_listeners_are_weak_ordered_isolated_and_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    """G12."""
    pubsub, calls = PubSub(), []
    tag = events.MarketEvent.OrderFilled

    def bad(_: Any) -> None:
        raise RuntimeError("mine")

    first, second = EventForwarder(bad), SourceInfoEventForwarder(lambda *what: calls.append(what))
    third = EventForwarder(lambda event: calls.append(event))
    for listener in (first, second, second, third):
        pubsub.add_listener(tag, listener)
    pubsub.trigger_event(tag, "x")
    assert calls == [(107, pubsub, "x"), "x"] and second.current_event_caller is None
    assert "Unexpected error while processing event 107." in caplog.text
    pubsub.remove_listener(tag, second)
    del third, listener
    gc.collect()
    assert pubsub.get_listeners(tag) == [first]


async def test_the_logger_keeps_the_last_events_and_waits_for_one() -> None:
    log = EventLogger("source")
    task = asyncio.ensure_future(log.wait_for(events.OrderCancelledEvent, 1))
    await asyncio.sleep(0)
    filled = events.OrderFilledEvent(1, "a", "A-B", common.TradeType.BUY, common.OrderType.LIMIT, D(1), D(1), None)  # type: ignore
    log(filled)
    for n in range(60):
        log(events.OrderCancelledEvent(n, "a"))
    assert (await task).timestamp == 0
    assert len(log.event_log) == 51 and log.event_log[-1] is filled
    log.clear()
    assert log.event_log == []
    with pytest.raises(asyncio.TimeoutError):
        await log.wait_for(events.OrderCancelledEvent, 0.01)


def test_fills_of_book_rows_have_ids_of_their_own() -> None:
    rows = [OrderBookRow(1.5, 2.0, 1), OrderBookRow(1.6, 3.0, 1)]
    made = events.OrderFilledEvent.order_filled_events_from_order_book_rows(
        1.0, "a", "A-B", common.TradeType.BUY, common.OrderType.MARKET, AddedToCostTradeFee(), rows
    )
    assert [(one.exchange_trade_id, one.price) for one in made] == [("a_0", D("1.5")), ("a_1", D("1.6"))]


# -- fees ---------------------------------------------------------------------------------------------------------------
def test_which_kind_of_fee_an_order_has() -> None:
    plain, token = TradeFeeSchema(), TradeFeeSchema(percent_fee_token="X")
    deducted = TradeFeeSchema(buy_percent_fee_deducted_from_returns=True)
    added, returns = AddedToCostTradeFee, DeductedFromReturnsTradeFee
    buy, sell = common.TradeType.BUY, common.TradeType.SELL
    both = TradeFeeSchema(percent_fee_token="X")
    both.buy_percent_fee_deducted_from_returns = True  # refused at construction; a token of its own wins
    for schema, side, kind in (
        (plain, buy, added), (plain, sell, returns), (deducted, buy, returns), (token, sell, returns),
        (token, buy, added), (both, buy, added),
    ):  # fmt: skip
        assert type(TradeFeeBase.new_spot_fee(schema, side)) is kind
    opening, closing = common.PositionAction.OPEN, common.PositionAction.CLOSE
    for schema, action, kind in ((plain, opening, added), (plain, closing, returns), (token, closing, added)):
        assert type(TradeFeeBase.new_perpetual_fee(schema, action)) is kind
    with pytest.raises(AssertionError):
        TradeFeeSchema(percent_fee_token="X", buy_percent_fee_deducted_from_returns=True)


def test_fees_round_trip_and_convert(monkeypatch: pytest.MonkeyPatch) -> None:
    fee = AddedToCostTradeFee(D("0.01"), "X", [TokenAmount("A", D(2)), TokenAmount("B", D(3))])
    assert TradeFeeBase.from_json(fee.to_json()) == fee and fee.fee_asset == "X"
    assert fee.fee_amount_in_token("A-B", D(10), D(5), "B") == D("0.5") + 20 + 3
    oracle = rate_oracle.RateOracle()
    oracle.set_price("B-Z", D(2))
    oracle.set_price("Z-A", D(4))
    assert oracle.get_pair_rate("A-Z") == D("0.25") and oracle.get_pair_rate("Q-A") is None
    assert fee.fee_amount_in_token("A-B", D(10), D(5), "Z", rate_source=oracle) == D("0.5") * 2 + 2 * D("0.25") + 3 * 2
    with pytest.raises(ValueError, match="Could not find the exchange rate for A-Z"):
        AddedToCostTradeFee(flat_fees=[TokenAmount("A", D(1))]).fee_amount_in_token("C-D", D(1), D(1), "Z")
    assert AddedToCostTradeFee(percent_token="X").fee_amount_in_token("C-D", D(1), D(1), "Z") == 0
    assert fee.fee_amount_in_token("A-B", D(10), D(5), "Z", oracle) == D("7.5"), "the fifth argument is the rate source"
    assert TradeFeeBase._get_exchange_rate("B-Z", rate_source=oracle) == 2
    with pytest.raises(ValueError, match="exchange rate for Q-Z"):
        TradeFeeBase._get_exchange_rate("Q-Z", oracle)
    monkeypatch.setattr(rate_oracle.RateOracle, "get_pair_rate", lambda self, pair: D(7))
    assert AddedToCostTradeFee(flat_fees=[TokenAmount("A", D(1))]).fee_amount_in_token("C-D", D(1), D(1), "Z") == 7


@pytest.mark.parametrize(
    "pair", ["WETH ETH", "WBTC BTC", "USOL SOL", "UETH ETH", "UBTC BTC", "USDC USDC.E", "WONE ONE"]
)
def test_some_tokens_are_worth_the_same(pair: str) -> None:
    one, other = pair.split()
    fee = DeductedFromReturnsTradeFee(flat_fees=[TokenAmount(one, D(2))])
    assert fee.fee_amount_in_token("C-D", D(1), D(1), other) == 2


# -- positions, funding, limit orders -----------------------------------------------------------------------------------
async def test_funding_updates_reach_known_pairs_and_errors_are_survived(caplog: pytest.LogCaptureFixture) -> None:
    trading = PerpetualTrading(["A-B"])
    assert not trading.is_funding_info_initialized() and trading.get_leverage("A-B") == 1
    trading.initialize_funding_info(FundingInfo("A-B", D(1), D(2), 3, D(4)))
    trading.start()
    trading.funding_info_stream.put_nowait(None)  # type: ignore[arg-type]
    trading.funding_info_stream.put_nowait(FundingInfoUpdate("C-D", rate=D(9)))
    trading.funding_info_stream.put_nowait(FundingInfoUpdate("A-B", rate=D(9)))
    for _ in range(100):
        await asyncio.sleep(0.01)
        if trading.get_funding_info("A-B").rate == 9:
            break
    info = trading.get_funding_info("A-B")
    assert (info.index_price, info.mark_price, info.next_funding_utc_timestamp, info.rate) == (1, 2, 3, 9)
    assert "Unexpected error updating funding info." in caplog.text
    trading.stop()


def test_positions_by_key_and_mode() -> None:
    trading = PerpetualTrading(["A-B"])
    assert trading.position_mode is common.PositionMode.ONEWAY
    assert trading.position_key("A-B", common.PositionSide.SHORT, common.PositionMode.HEDGE) == "A-BSHORT"
    position = Position("A-B", common.PositionSide.SHORT, D(1), D(2), D(-3), D(4))
    trading.set_position(trading.position_key("A-B"), position)
    assert trading.get_position("A-B") is position and list(trading.account_positions) == ["A-B"]
    trading.set_position_mode(common.PositionMode.HEDGE)
    assert trading.position_key("A-B", common.PositionSide.LONG) == "A-BLONG"
    position.update_position(amount=D(-5))
    assert (position.amount, position.entry_price, position.leverage) == (-5, 2, 4)
    with pytest.raises(AttributeError):
        position.amount = D(1)  # type: ignore[misc]


def test_a_pair_that_is_removed_leaves_nothing_and_copies_of_funding_change_nothing() -> None:
    trading = PerpetualTrading(["A-B"])
    trading.initialize_funding_info(FundingInfo("A-B", D(1), D(2), 3, D(4)))
    trading.set_leverage("A-B", 5)
    trading.funding_info["A-B"].update(FundingInfoUpdate("A-B", rate=D(9)))
    assert trading.get_funding_info("A-B").rate == 4
    trading.remove_trading_pair("A-B")
    assert trading.get_leverage("A-B") == 1 and trading.funding_info == {}
    assert trading.current_funding_info("A-B") is None


def test_a_limit_orders_age() -> None:
    order = limit_order.LimitOrder("id", "A-B", True, "A", "B", D(1), D(2), creation_timestamp=1_000_000)
    assert order.age_til(4_500_000) == 3 and order.age_til(1) == -1
    assert order.copy_with_id("x").client_order_id == "x" and order.filled_quantity.is_nan()
    assert limit_order.LimitOrder("id", "A-B", True, "A", "B", D(1), D(2)).age() == -1


def test_small_dictionaries() -> None:
    grouped: common.GroupedSetDict[str, str] = common.GroupedSetDict()
    grouped.add_or_update("a", "1", "2").add_or_update("a", "3").remove("a", "1")
    assert grouped == {"a": {"2", "3"}}
    grouped.remove("a", "2").remove("a", "3").remove("b", "x")
    assert grouped == {}
    lazy: common.LazyDict[str, int] = common.LazyDict(len)
    assert lazy["abc"] == 3 == lazy.get("abc") and lazy.get_or_add("x", lambda: 9) == 9
    empty: common.LazyDict[str, int] = common.LazyDict()
    for missing in (lambda: empty["a"], lambda: empty.get("a")):
        with pytest.raises(KeyError):
            missing()
    assert empty.get("a", 5) == 5 == common.LazyDict(lambda _: 5).get("a", 6)


# -- the book -----------------------------------------------------------------------------------------------------------
def rows(*levels: tuple[float, float, int]) -> list[OrderBookRow]:
    return [OrderBookRow(*level) for level in levels]


def book() -> OrderBook:
    made = OrderBook()
    made.apply_snapshot(rows((99, 1, 1), (98, 2, 1), (97, 3, 1)), rows((102, 2, 1), (101, 1, 1)), 1)
    return made


def test_a_book_answers_by_hand_computed_values() -> None:
    b = book()
    assert [row.price for row in b.bid_entries()] == [99, 98, 97] and b.get_price(True) == 101
    assert b.get_price_for_volume(True, 2).result_price == 102
    assert b.get_vwap_for_volume(False, 3).result_price == pytest.approx((99 + 2 * 98) / 3)
    thin = b.get_price_for_volume(True, 10)
    assert thin.result_price != thin.result_price and thin.result_volume == 3
    assert b.get_volume_for_price(True, 101.5)[2:] == (101, 1)
    assert b.get_quote_volume_for_price(False, 98)[2:] == (98, 99 + 196)
    assert b.get_quote_volume_for_base_amount(True, 2).result_volume == 101 + 102
    assert b.get_price_for_quote_volume(True, 150).result_price == 102
    assert [tuple(row) for row in b.simulate_sell(2)] == [(99, 1, 1), (98, 1, 1)]
    with pytest.raises(EnvironmentError, match="no price quote is possible"):
        OrderBook().get_price(True)


def test_diffs_delete_and_uncross_by_age_or_by_value() -> None:
    b = book()
    b.apply_diffs(rows((99, 0, 2), (101, 5, 2)), [], 2)
    assert b.get_price(False) == 101 and b.get_price(True) == 102 and b.last_diff_uid == 2
    dex = OrderBook(dex=True)
    dex.apply_numpy_snapshot([[99, 1, 1]], [[101, 1, 7]])
    assert dex.snapshot_uid == 7
    dex.apply_numpy_diffs([[102, 0.1, 8]], [])
    assert dex.get_price(False) == 99
    tie = OrderBook()
    tie.apply_diffs(rows((100, 1, 5)), rows((100, 1, 5)), 5)
    assert list(tie.bid_entries()) == [] and tie.get_price(True) == 100


def test_trades_reach_listeners_and_the_last_price() -> None:
    b, heard = book(), []
    listener = EventForwarder(heard.append)
    b.add_listener(events.OrderBookEvent.TradeEvent, listener)
    assert b.last_trade_price != b.last_trade_price and b.last_applied_trade == -1000
    trade = events.OrderBookTradeEvent("A-B", 5.0, common.TradeType.BUY, 100.5, 1)
    b.apply_trade(trade)
    assert heard == [trade] and b.last_trade_price == 100.5 and b.last_applied_trade == 5.0


def test_frames_and_arrays_are_taken_and_given() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    b = OrderBook()
    b.apply_numpy_snapshot(numpy.array([[99, 1, 4]]), numpy.array([[101, 1, 5]]))
    columns = ["price", "amount", "update_id"]
    b.apply_pandas_diffs(pandas.DataFrame([[98.0, 2.0, 6]], columns=columns), pandas.DataFrame(columns=columns))
    bids, asks = b.snapshot
    assert bids.values.tolist() == [[99, 1, 4], [98, 2, 6]] and list(asks.columns) == columns
    assert (b.snapshot_uid, b.last_diff_uid) == (5, 6) and str(bids.dtypes["update_id"]) == "float64"
    orders = [
        limit_order.LimitOrder(name, "A-B", is_buy, "A", "B", D(price), D(2), creation_timestamp=created)
        for name, is_buy, price, created in (("short", True, 1, 0), ("0x" + "1" * 32, False, 3, 1_000_000))
    ]
    frame = limit_order.LimitOrder.to_pandas(orders, 2.0, ["short"], end_time_order_age=101_000_000)
    assert frame.values.tolist() == [
        ["...1111", "sell", 3.0, "50.00%", 2.0, "00:01:40", "no"],
        ["short", "buy", 1.0, "50.00%", 2.0, "n/a", "yes"],
    ]


def test_messages_tell_their_ids_and_rows() -> None:
    content = {"trading_pair": "A-B", "update_id": 5, "bids": [["1.5", "2", "x"]], "asks": []}
    diff = OrderBookMessage(OrderBookMessageType.DIFF, content, timestamp=1)
    assert (diff.update_id, diff.first_update_id, diff.trade_id, diff.trading_pair) == (5, 5, -1, "A-B")
    assert diff.bids == rows((1.5, 2.0, 5)) and diff.has_update_id and not diff.has_trade_id
    trade = OrderBookMessage(OrderBookMessageType.TRADE, {"trade_id": 9}, 1)
    assert (trade.update_id, trade.first_update_id, trade.trade_id) == (-1, -1, 9)
    assert diff < trade and not trade < diff and diff != trade
    assert diff == OrderBookMessage(OrderBookMessageType.DIFF, {"update_id": 5}, 2)
    texts = {"update_id": "b", "first_update_id": "a", "bids": [[1, 2]], "asks": []}
    named = OrderBookMessage(OrderBookMessageType.DIFF, texts)
    assert (named.update_id, named.first_update_id, named.timestamp) == ("b", "a", None)
    assert named.bids[0].update_id == "b" and named < trade and not trade < named


async def test_a_connectors_time_and_sleep_can_be_replaced() -> None:
    from hlfast.compat.hummingbot.connector.exchange_base import ExchangeBase

    class Mine(ExchangeBase):
        pass

    one = Mine()
    assert one.current_timestamp != one.current_timestamp and abs(one._time() - clock.epoch_ns() / 1e9) < 60
    one._set_current_timestamp(5.0)
    assert one.current_timestamp == 5.0
    await one._sleep(0)
