"""Pre-trade limits through the order entry's own path: what is refused, and what the sums of resting orders count."""

from __future__ import annotations

import pytest

from hlfast.config import RiskLimits, Settings
from hlfast.core.checks import PreTradeChecks
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.errors import ConfigError, OrderDenied
from hlfast.types import OrderState, TradeType


def made(tracker: ClientOrderTracker, n: int, side: TradeType, amount: str) -> InFlightOrder:
    order = InFlightOrder(
        client_order_id=f"hl-{n}",
        cloid=f"0x{n:032x}",
        coin="BTC",
        trade_type=side,
        amount=amount,
        price=100,
        sz_decimals=3,
    )
    tracker.start_tracking(order)
    tracker.mark_submitted(order)
    return order


def test_the_sums_of_resting_orders_follow_fills_ends_and_modifies():
    tracker = ClientOrderTracker()
    one, two = made(tracker, 1, TradeType.BUY, "1"), made(tracker, 2, TradeType.BUY, "0.5")
    made(tracker, 3, TradeType.SELL, "2")
    assert (tracker.resting_amount("BTC", True), tracker.resting_amount("BTC", False)) == (1500, 2000)
    assert tracker.resting_amount("ETH", True) == 0
    tracker.acknowledge(one, 10)
    tracker.process_trade_update(
        TradeUpdate(
            coin="BTC", tid=1, exchange_order_id=10, price=100, amount="0.4", sz_decimals=3, is_buy=True, time_ms=1
        )
    )
    assert tracker.resting_amount("BTC", True) == 1100
    assert tracker.request_modify(one, 101 * 10**8, 1000)
    tracker.modify_accepted(one, 20)
    assert tracker.resting_amount("BTC", True) == 1500
    tracker.reject(two, "no")
    assert tracker.resting_amount("BTC", True) == 1000
    tracker.process_order_update(
        OrderUpdate(cloid=one.cloid, exchange_order_id=20, new_state=OrderState.CANCELLED, status="canceled", time_ms=2)
    )
    assert tracker.resting_amount("BTC", True) == 0 and tracker.resting_amount("BTC", False) == 2000


def test_a_wrong_limit_or_policy_is_named():
    with pytest.raises(ConfigError, match="max_order_value is a whole number"):
        RiskLimits(max_order_value=-1)
    with pytest.raises(ConfigError, match="foreign_orders is one of adopt, report, cancel"):
        Settings(foreign_orders="ignore")
    with pytest.raises(ConfigError, match="on_handler_error is one of"):
        Settings(on_handler_error="panic")


def test_the_same_limits_can_be_asked_for_a_share_of_the_account():
    """Issue 8.1: `allow` is what the order path asks, with the figures that the caller counts."""
    checks = PreTradeChecks(RiskLimits(max_position_value=100, max_open_orders=3))
    order = InFlightOrder(
        client_order_id="a-1", coin="BTC", trade_type=TradeType.SELL, amount="0.5", price=100, sz_decimals=3
    )
    checks.allow(order, 500, 500, 2)  # 0.5 held, 0.5 resting on the same side, 0.5 more: 0.5 short
    with pytest.raises(OrderDenied, match="could be worth 150, above max_position_value 100"):
        checks.allow(order, 0, 1000, 0)
    with pytest.raises(OrderDenied, match="3 orders are live"):
        checks.allow(order, 0, 0, 3)
    assert checks.refused == 2


def test_the_gate_is_asked_last_and_its_refusal_is_the_callers():
    asked = []

    def gate(order):
        asked.append(order.client_order_id)
        raise OrderDenied("not this one")

    checks = PreTradeChecks(RiskLimits(max_order_value=10))
    checks.gate = gate
    small, large = (
        InFlightOrder(client_order_id=f"a-{size}", coin="BTC", trade_type=TradeType.BUY, amount=size, price=100)
        for size in ("0.05", "5")
    )
    with pytest.raises(OrderDenied, match="max_order_value"):
        checks.allow(large, 0, 0, 0)
    with pytest.raises(OrderDenied, match="not this one"):
        checks.allow(small, 0, 0, 0)
    assert asked == ["a-0.05"]
