"""From the core to the vocabulary: states, ids, pairs and fees of what happens underneath; what a stale book answers."""

from __future__ import annotations

import asyncio
import logging
import math
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from hlfast import clock
from hlfast.compat.hummingbot.connector.client_order_tracker import ClientOrderTracker
from hlfast.compat.hummingbot.connector.order_relay import STATES, OrderRelay
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, PriceType, TradeType
from hlfast.compat.hummingbot.core.data_type.in_flight_order import InFlightOrder, OrderState
from hlfast.compat.hummingbot.core.data_type.limit_order import LimitOrder
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder as CoreOrder
from hlfast.core.order_tracker import ClientOrderTracker as CoreTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.errors import ConfigError
from hlfast.types import OrderState as CoreState
from hlfast.types import TradeType as CoreSide

OPEN, CLOSE = PositionAction.OPEN, PositionAction.CLOSE
D = Decimal
CLOID = "0x" + "1" * 32


class Desk:
    """A core tracker whose one order is told in the vocabulary."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.core = CoreTracker()
        self.tracker = ClientOrderTracker(
            SimpleNamespace(current_timestamp=1.0, trigger_event=lambda tag, event: self.told.append((tag.name, event)))
        )
        self.relay = OrderRelay(self.tracker, lambda fill: fill.fee_token)
        self.core.bus.on(ev.OrderEvent, self.relay.on_order_event)
        self.order = CoreOrder(
            client_order_id="hl-1", cloid=CLOID, coin="BTC", trade_type=CoreSide.BUY, amount=D(1), price=D(100),
            sz_decimals=5,
        )  # fmt: skip
        self.core.start_tracking(self.order)
        self.core.mark_submitted(self.order)
        self.record = InFlightOrder(CLOID, "BTC-USD", OrderType.LIMIT, TradeType.BUY, D(1), 1.0, D(100))
        self.relay.expect(self.record)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def fill(self, amount: str, tid: int, time_ms: int, direction: str = "Open Long") -> None:
        self.core.process_trade_update(
            TradeUpdate(
                coin="BTC",
                tid=tid,
                exchange_order_id=7,
                cloid=CLOID,
                price=D(100),
                amount=amount,
                sz_decimals=5,
                is_buy=True,
                fee="0.5",
                direction=direction,
                time_ms=time_ms,
            )
        )


def test_every_state_of_the_core_has_its_word_and_four_words_are_never_said() -> None:
    assert set(STATES) == set(CoreState)
    assert {state.value for state in STATES.values()} == set(range(7))
    assert STATES[CoreState.EXPIRED] is STATES[CoreState.CANCELLED] is OrderState.CANCELED


def test_an_order_whose_outcome_is_not_known_stays_pending() -> None:
    """G8: unresolved is no state; nobody waits for an exchange that has not spoken."""
    desk = Desk()
    desk.core.mark_unresolved(desk.order)
    assert desk.record.is_pending_create and not desk.record.processed_by_exchange_event.is_set()
    assert desk.told == [] and CLOID in desk.tracker.active_orders
    desk.core.acknowledge(desk.order, 7)
    assert desk.names == ["BuyOrderCreated"] and desk.record.exchange_order_id == "7"
    assert desk.record.processed_by_exchange_event.is_set() and desk.record.exchange_order_id_update_event.is_set()


def test_a_second_fill_with_the_same_trade_id_is_another_fill() -> None:
    """G7: identity has the time in it."""
    desk = Desk()
    desk.core.acknowledge(desk.order, 7)
    desk.fill("0.4", 55, 1000)
    desk.fill("0.4", 55, 1000)
    desk.fill("0.6", 55, 2000, "Close Short")
    fills = [event for name, event in desk.told if name == "OrderFilled"]
    assert [fill.exchange_trade_id for fill in fills] == ["55", "55-2000"]
    assert [fill.trade_fee.type_descriptor_for_json() for fill in fills] == ["AddedToCost", "DeductedFromReturns"]
    assert desk.names == ["BuyOrderCreated", "OrderFilled", "OrderFilled", "BuyOrderCompleted"]
    assert desk.record.is_filled and list(desk.record.order_fills) == ["55", "55-2000"]


@pytest.mark.parametrize(("status", "end"), [("canceled", "OrderCancelled"), ("filled", "BuyOrderCompleted")])
def test_an_end_ahead_of_its_fills_is_marked_and_the_late_fill_told(status: str, end: str) -> None:
    """G3, G4: the venue says that something was filled, and its fill has been lost on the way."""
    desk = Desk()
    desk.core.acknowledge(desk.order, 7)
    size = desk.order.lots
    left = size // 2 if status == "canceled" else 0
    desk.core.process_order_update(
        OrderUpdate(
            coin="BTC",
            exchange_order_id=7,
            cloid=CLOID,
            status=status,
            lots=left,
            orig_lots=size,
            time_ms=5,
            new_state=CoreState.CANCELLED.value if status == "canceled" else CoreState.FILLED.value,
        )
    )
    assert desk.names == ["BuyOrderCreated"], "it is held for its fills"
    desk.core.tick(clock.epoch_ns() + 60_000_000_000)
    assert desk.names == ["BuyOrderCreated", end] and desk.record.fills_incomplete
    desk.fill("0.5", 1, 4)
    assert desk.names[-1] == "OrderFilled"


def test_an_order_whose_time_has_passed_is_cancelled() -> None:
    desk = Desk()
    desk.core.expire(desk.order, "Action already expired")
    assert desk.names[-1] == "OrderCancelled" and desk.record.is_cancelled and desk.tracker.active_orders == {}
    assert "OrderExpired" not in desk.names


async def test_a_modified_order_stays_one_order_and_its_exchange_id_follows(
    perp: Any, heard: Any, eventually: Any
) -> None:
    """G16."""
    c = await perp()
    told = heard(c)
    order_id = c.buy("BTC-USD", D("0.01"), OrderType.LIMIT, D(40000), position_action=OPEN)
    await eventually(lambda: c.in_flight_orders[order_id].exchange_order_id)
    first = c.in_flight_orders[order_id].exchange_order_id
    assert c.engine.modify(c._core_order(order_id), price=41000)
    await eventually(lambda: c.in_flight_orders[order_id].exchange_order_id != first)
    record = c.in_flight_orders[order_id]
    assert (record.price, record.amount, record.current_state) == (41000, D("0.01"), OrderState.OPEN)
    assert record.exchange_order_id.isdigit() and told.names(order_id) == ["BuyOrderCreated"]


async def test_orders_that_are_not_ours_are_not_in_flight(perp: Any, heard: Any, eventually: Any) -> None:
    first = await perp()
    rest = first.engine.buy("BTC", D("0.01"), 40000, tif="Alo")
    await rest.accepted()
    await first.stop_network()
    told: list[Any] = []
    c = await perp(before=lambda connector: told.append(heard(connector)))
    assert c.in_flight_orders == {} and c.limit_orders == []
    assert [order.cloid for order in c.engine.tracker.external_orders] == [rest.cloid]
    assert c.engine.cancel(c.engine.tracker.external_orders[0])
    await eventually(lambda: not c.engine.tracker.external_orders)
    assert [name for name, event in told[0].events if hasattr(event, "order_id")] == []


async def test_a_stale_book_answers_no_query(perp: Any, caplog: pytest.LogCaptureFixture) -> None:
    """C2: what was there before is no price now."""
    c = await perp()
    assert c.get_vwap_for_volume("BTC-USD", True, D("0.1")).result_price == 50010
    c.engine.book("BTC").mark_stale("shown")
    with caplog.at_level(logging.CRITICAL):
        for ask in (
            c.get_vwap_for_volume("BTC-USD", True, D("0.1")).result_price,
            c.get_price_for_volume("BTC-USD", True, D("0.1")).result_price,
            c.get_price_for_quote_volume("BTC-USD", True, D(100)).result_price,
            c.get_volume_for_price("BTC-USD", True, D(50_020)).result_price,
            c.get_quote_volume_for_price("BTC-USD", True, D(50_020)).result_price,
            await c.get_quote_price("BTC-USD", True, D("0.1")),
            await c.get_order_price("BTC-USD", True, D("0.1")),
            c.get_mid_price("BTC-USD"),
            *(c.get_price_by_type("BTC-USD", kind) for kind in (PriceType.BestBid, PriceType.BestAsk)),
        ):
            assert ask.is_nan()
        assert list(c.order_book_bid_entries("BTC-USD")) == list(c.order_book_ask_entries("BTC-USD")) == []
        assert c.get_quote_volume_for_base_amount("BTC-USD", True, D("0.1")).result_volume == 0
        with pytest.raises(EnvironmentError, match="no price quote is possible"):
            c.get_order_book("BTC-USD").get_price(True)


async def test_prices_of_the_last_trade_and_of_amounts(perp: Any, exchange: Any, eventually: Any) -> None:
    c = await perp()
    assert await c.get_quote_price("BTC-USD", True, D("0.5")) == 50010
    assert await c.get_order_price("BTC-USD", True, D("0.6")) == 50020
    assert math.isclose(await c.get_quote_price("BTC-USD", True, D(1)), 50015)
    assert (await c.get_last_traded_prices(["ETH-USD"]))["ETH-USD"] > 0
    exchange.change("take", "BTC", "buy", "0.1")
    await eventually(lambda: c.get_price_by_type("BTC-USD", PriceType.LastTrade) == 50010)
    assert await c.get_last_traded_prices(["BTC-USD"]) == {"BTC-USD": 50010.0}


@pytest.mark.parametrize(
    ("pair", "action", "error", "words"),
    [
        ("NOPE-USD", OPEN, ConfigError, "no trading pair 'NOPE-USD'; see trading_rules for the pairs"),
        ("BTC-USDC", OPEN, ConfigError, "did you mean BTC-USD"),
        ("btcusd", OPEN, ConfigError, "did you mean BTC-USD"),
        ("BTC/USD", OPEN, ConfigError, "did you mean BTC-USD"),
        ("XYZ:AAPL-USD", OPEN, ConfigError, "a builder dex's pairs are loaded with"),
        ("BTC-USD", PositionAction.NIL, ValueError, "position_action=PositionAction.OPEN or PositionAction.CLOSE"),
    ],
)
async def test_a_wrong_order_of_a_batch_raises_before_any_is_sent(
    perp: Any, pair: str, action: PositionAction, error: type[Exception], words: str
) -> None:
    """L34: at once, and nothing is half done."""
    c = await perp()
    good = LimitOrder("", "BTC-USD", True, "BTC", "USD", D(40000), D("0.01"), position=OPEN)
    bad = LimitOrder("", pair, True, "X", "USD", D(40000), D("0.01"), position=action)
    with pytest.raises(error) as caught:
        c.batch_order_create([good, bad])
    assert words in str(caught.value)
    for verb in (c.buy, c.sell):
        with pytest.raises(error):
            verb(pair, D("0.01"), OrderType.LIMIT, D(40000), position_action=action)
    await asyncio.sleep(0)
    assert c.in_flight_orders == {} and c.engine.entry.orders_sent == 0


@pytest.mark.parametrize(
    ("pairs", "words"),
    [(("NOPE-USD",), "no trading pair 'NOPE-USD'"), (("BTC-USD", "btc-usd"), "did you mean BTC-USD")],
)
async def test_a_wrong_pair_raises_at_the_start(perp: Any, pairs: tuple[str, ...], words: str) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(ConfigError, match=words):
        await perp(pairs=pairs)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() <= before
