"""The shipped market maker, on a connector whose exchange is played by the test. BTC: tick 1, ETH: tick 0.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from hlfast import clock
from hlfast.core.events import StreamStatus
from hlfast.engine.runtime import StrategyRunner
from hlfast.engine.strategies.market_maker import MarketMaker
from hlfast.errors import ConfigError, OrderDenied
from hlfast.types import OrderState

BTC_BOOK = ([("64990", "1"), ("64980", "2")], [("65010", "1"), ("65020", "2")])


@pytest.fixture
async def maker(connector: Any) -> AsyncIterator[MarketMaker]:
    """Running on BTC alone, 650 a quote, at most 3250 either way, without a timer of its own."""
    strategy = MarketMaker(
        coins=("BTC",), timer_interval=60, quote_value=650, max_position_value=3250, skew_bps=2, refusal_pause=0.0
    )
    runner = StrategyRunner(connector, strategy)
    await runner.start()
    yield strategy
    connector.is_up = True
    connector.cancels_by_itself = True
    assert await runner.stop(2) == []


def live(connector: Any, is_buy: bool, coin: str = "BTC") -> list[Any]:
    return [order for order in connector.orders if order.coin == coin and order.is_buy is is_buy]


def start(connector: Any) -> tuple[Any, Any]:
    """The first bid and ask, accepted."""
    connector.quote("BTC", *BTC_BOOK)
    bid, ask = live(connector, True)[0], live(connector, False)[0]
    connector.ack(bid)
    connector.ack(ask)
    return bid, ask


async def test_it_quotes_both_sides_post_only_one_tick_inside(connector: Any, maker: MarketMaker) -> None:
    bid, ask = start(connector)
    assert (bid.price, ask.price) == (Decimal(64991), Decimal(65009))
    assert (bid.tif, ask.tif) == ("Alo", "Alo")
    assert bid.amount == Decimal("0.01") and ask.amount == Decimal("0.00999")


async def test_it_joins_the_best_prices_where_there_is_no_room(connector: Any, maker: MarketMaker) -> None:
    connector.quote("BTC", [("64999", "1")], [("65000", "1")])
    assert live(connector, True)[0].price == Decimal(64999) and live(connector, False)[0].price == Decimal(65000)


async def test_it_does_not_chase_itself(connector: Any, maker: MarketMaker) -> None:
    """Given its own quotes are the best of the book, when the book comes again, then they stay."""
    bid, ask = start(connector)
    for _ in range(5):
        connector.quote("BTC", [("64991", "0.01"), ("64990", "1")], [("65009", "0.00999"), ("65010", "1")])
    assert connector.sent == [bid, ask] and not connector.cancels


async def test_it_outbids_others_at_its_price(connector: Any, maker: MarketMaker) -> None:
    """Given somebody else at its price too, then it moves one tick inside of them."""
    bid, _ = start(connector)
    connector.quote("BTC", [("64991", "0.5"), ("64990", "1")], [("65009", "0.00999"), ("65010", "1")])
    assert connector.cancels == []  # within the threshold of 0.2 bps
    connector.quote("BTC", [("64993", "0.5"), ("64990", "1")], [("65009", "0.00999"), ("65010", "1")])
    assert connector.cancels == [bid]


async def test_a_moved_market_is_followed_by_cancel_then_new_never_two_a_side(
    connector: Any, maker: MarketMaker
) -> None:
    """Given a quote that has to move, when its cancel is on the way, then its successor waits for the end."""
    bid, ask = start(connector)
    # when
    for step in range(5):
        connector.quote("BTC", [(str(65100 + step), "1")], [(str(65120 + step), "1")])
        assert len(live(connector, True)) == len(live(connector, False)) == 1
    assert connector.cancels == [bid, ask]
    # then
    connector.end(bid)
    connector.end(ask)
    maker.on_timer(clock.epoch_ns())
    assert live(connector, True)[0].price == Decimal(65105) and live(connector, False)[0].price == Decimal(65123)


async def test_a_new_quote_does_not_cross_its_own_old_one(connector: Any, maker: MarketMaker) -> None:
    """Given the old ask still in the book, when the market rises above it, then the new bid waits until it is gone."""
    bid, ask = start(connector)
    connector.quote("BTC", [("65200", "1")], [("65220", "1")])
    connector.end(bid)
    maker.on_timer(clock.epoch_ns())
    assert live(connector, True) == []
    connector.end(ask)
    maker.on_timer(clock.epoch_ns())
    assert live(connector, True)[0].price == Decimal(65201)


async def test_an_order_that_waits_for_its_fills_blocks_its_own_side_only(connector: Any, maker: MarketMaker) -> None:
    """Given an ask that the venue calls filled ahead of its fill, then no second ask; a bid above it is sent."""
    bid, ask = start(connector)
    connector.end(ask, OrderState.FILLED)
    connector.end(bid)
    connector.quote("BTC", [("65200", "1")], [("65220", "1")])
    assert [order.price for order in live(connector, True)] == [Decimal(65201)] and live(connector, False) == []
    connector.fill(ask, str(ask.amount))
    connector.quote("BTC", [("65200", "1")], [("65220", "1")])
    assert len(live(connector, False)) == 1


async def test_quotes_lean_against_the_inventory(connector: Any, maker: MarketMaker) -> None:
    """Given a long position of 40 % of the limit, then both quotes are 40 % of 2 bps lower, and the ask is inside."""
    bid, ask = start(connector)
    for _ in range(2):
        connector.fill(bid, "0.01")
        connector.quote("BTC", *BTC_BOOK)
        bid = live(connector, True)[0]
        connector.ack(bid)
    assert maker.targets("BTC") == (64985_00000000, 65004_00000000)
    assert connector.cancels[0] is ask


async def test_at_the_limit_only_the_reducing_side_is_quoted(connector: Any, maker: MarketMaker) -> None:
    """Given fills until the limit, then no bid is sent that could take the position beyond it; the ask stays."""
    bid, _ = start(connector)
    bought = 0
    while live(connector, True):
        bid = live(connector, True)[0]
        connector.ack(bid)
        connector.fill(bid, str(bid.amount))
        connector.quote("BTC", *BTC_BOOK)
        bought += 1
        assert bought < 10
    assert bought == 5
    assert connector.positions["BTC"].signed_size * 65000 <= 3250
    assert maker.targets("BTC")[0] == 0 and maker.targets("BTC")[1] > 0


async def test_after_a_fill_it_waits_for_prices_and_quotes_with_the_new_inventory(
    connector: Any, maker: MarketMaker
) -> None:
    """News of an order may be ahead of the prices of the same block: the successor waits for those, or the timer."""
    bid, _ = start(connector)
    connector.fill(bid, "0.01")
    assert bid.state is OrderState.FILLED and live(connector, True) == []
    connector.quote("BTC", *BTC_BOOK)
    assert live(connector, True)[0].price == Decimal(64988)  # 64991 less 20 % of 2 bps, to the passive side


async def test_a_partly_filled_quote_stays(connector: Any, maker: MarketMaker) -> None:
    bid, _ = start(connector)
    connector.fill(bid, "0.00001")
    assert live(connector, True) == [bid] and not connector.cancels


async def test_a_refused_quote_is_tried_again_later_and_later(connector: Any, maker: MarketMaker) -> None:
    """Given refusals in a row, then the pause doubles; an accepted order ends that."""
    maker._pause_ns = 1_000_000_000
    connector.quote("BTC", *BTC_BOOK)
    connector.reject(live(connector, True)[0])
    connector.quote("BTC", *BTC_BOOK)
    assert live(connector, True) == []
    quote = maker._markets["BTC"].bid
    pauses = []
    for _ in range(8):
        quote.not_before_ns = 0
        connector.quote("BTC", *BTC_BOOK)
        connector.reject(live(connector, True)[0])
        pauses.append(round((quote.not_before_ns - clock.epoch_ns()) / 1e9))
    assert pauses == [2, 4, 8, 16, 32, 32, 32, 32]
    quote.not_before_ns = 0
    connector.quote("BTC", *BTC_BOOK)
    connector.ack(live(connector, True)[0])
    assert quote.refusals == 0


async def test_a_send_that_fails_at_once_leaves_no_ghost(connector: Any, maker: MarketMaker) -> None:
    """Given an order that ended inside buy(), or a local refusal, then the side is free and quoted later."""
    for failure in ("socket", "denied"):
        connector.fail_sends = failure == "socket"
        connector.deny = OrderDenied("over a limit") if failure == "denied" else None
        connector.quote("BTC", *BTC_BOOK)
        assert live(connector, True) == [] and maker._markets["BTC"].bid.order is None
    connector.fail_sends, connector.deny = False, None
    for quote in (maker._markets["BTC"].bid, maker._markets["BTC"].ask):
        quote.not_before_ns = 0
    connector.quote("BTC", *BTC_BOOK)
    assert len(live(connector, True)) == len(live(connector, False)) == 1


async def test_stale_data_pulls_the_quotes(connector: Any, maker: MarketMaker) -> None:
    """L18: given a stale book, when the timer comes, then the quotes are cancelled and none is sent until it is fresh."""
    bid, ask = start(connector)
    connector.books["BTC"].mark_stale("cut")
    maker.on_timer(clock.epoch_ns())
    assert connector.cancels == [bid, ask]
    connector.end(bid)
    connector.end(ask)
    assert connector.orders == []
    connector.quote("BTC", *BTC_BOOK)
    assert len(connector.orders) == 2


async def test_old_data_pulls_the_quotes(connector: Any, maker: MarketMaker) -> None:
    bid, ask = start(connector)
    maker._max_age_ns = 0
    maker.on_timer(clock.epoch_ns())
    assert connector.cancels == [bid, ask]


async def test_nothing_is_sent_while_the_connector_is_not_ready(connector: Any, maker: MarketMaker) -> None:
    """Given a lost connection, then no order; when it is back, then quotes that no longer fit are cancelled."""
    bid, ask = start(connector)
    connector.is_up = False
    connector.bus.emit(StreamStatus("account", "DOWN", "cut"))
    connector.quote("BTC", [("65100", "1")], [("65120", "1")])
    assert connector.sent == [bid, ask] and not connector.cancels
    connector.is_up = True
    connector.bus.emit(StreamStatus("account", "LIVE", "synchronised"))
    assert connector.cancels == [bid, ask]


async def test_a_cancel_without_effect_is_asked_for_again(
    connector: Any, maker: MarketMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    bid, ask = start(connector)
    connector.quote("BTC", [("65100", "1")], [("65120", "1")])
    connector.tracker.cancel_refused(bid, "try later")
    connector.quote("BTC", [("65100", "1")], [("65120", "1")])
    assert connector.cancels == [bid, ask]
    monkeypatch.setattr("hlfast.engine.strategies.market_maker.CANCEL_AGAIN_NS", 0)
    connector.quote("BTC", [("65100", "1")], [("65120", "1")])
    assert connector.cancels[2:4] == [bid, ask]


async def test_an_empty_side_pulls_the_quotes(connector: Any, maker: MarketMaker) -> None:
    bid, ask = start(connector)
    connector.quote("BTC", [], [("65010", "1")])
    assert connector.cancels == [bid, ask]


async def test_its_settings_are_checked_at_the_start(connector: Any) -> None:
    for wrong in ({"quote_value": 5}, {"quote_value": 500, "max_position_value": 100}):
        with pytest.raises(ConfigError, match="quote_value"):
            await StrategyRunner(connector, MarketMaker(coins=("BTC",), **wrong)).start()  # type: ignore[arg-type]
