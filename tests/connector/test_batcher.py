"""The micro-batcher: single orders of a short window as one action, and what happens to those that wait."""

from __future__ import annotations

import asyncio

import pytest

from hlfast.config import Settings
from hlfast.core import events as ev
from hlfast.errors import ConfigError
from hlfast.types import OrderState

S = OrderState


def batching(window_ms: float) -> Settings:
    return Settings(batch_window_ms=window_ms, backoff_min=0.02, backoff_max=0.2, hold_ms=500)


def actions(exchange) -> list[list[str]]:
    """The times in force of each order action that the exchange has taken, in their order."""
    return [[row["t"]["limit"]["tif"] for row in action["orders"]] for action in exchange.taken]


@pytest.fixture
def taken(exchange):
    """Records the order actions that reach the exchange."""
    exchange.taken = []
    execute = exchange.engine.submit

    def submit(*arguments):
        for argument in arguments:
            action = getattr(argument, "action", argument)
            if isinstance(action, dict) and action.get("type") == "order":
                exchange.taken.append(action)
        return execute(*arguments)

    exchange.engine.submit = submit
    yield exchange
    exchange.engine.submit = execute


async def test_orders_of_one_turn_leave_as_one_action_and_post_only_ones_apart(trader, taken):
    """G1, G17: given window 0, when a handler places orders, each is tracked at once, and two actions leave, Alo first."""
    hl = await trader(settings=batching(0))
    orders = []
    for n in range(5):
        orders.append(hl.buy("BTC", "0.001", 50_000 + n))
        orders.append(hl.buy("BTC", "0.001", 49_000 + n, tif="Alo"))
    assert {order.state for order in orders} == {S.PENDING_CREATE} and len(hl.entry.batcher) == 10
    assert all([await order.accepted() for order in orders])
    assert actions(taken) == [["Alo"] * 5, ["Gtc"] * 5]
    assert hl.limits.spent_on["order"] == 2 and hl.entry.orders_sent == 10


async def test_a_full_action_leaves_at_once_and_the_rest_with_the_window(trader, taken):
    """Given a window of 50 ms and 50 orders, 39 leave when they are there, 11 with the window."""
    hl = await trader(settings=batching(50))
    orders = [hl.buy("BTC", "0.001", 50_000 + n, tif="Alo") for n in range(50)]
    assert [order.state for order in orders].count(S.PENDING_SUBMIT) == 39 and len(hl.entry.batcher) == 11
    assert all([await order.accepted() for order in orders])
    assert [len(action) for action in actions(taken)] == [39, 11]


async def test_a_cancel_sends_what_waits_ahead_of_itself(trader, exchange):
    hl = await trader(settings=batching(100))
    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert hl.cancel(order)
    assert await order.done() is S.CANCELLED
    assert [row["status"] for row in exchange.truth(hl.account)["orders"]] == ["canceled"]


async def test_nothing_waits_beyond_the_connection_or_the_kill_switch(trader, exchange, eventually):
    """G8, G14: what was not sent when the connection ended has failed, and nothing of it is sent later."""
    hl = await trader(settings=batching(100))
    failed = []
    hl.on(ev.OrderFailed, failed.append)
    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    hl._account_session.listener.abort("test")
    await eventually(lambda: order.is_done)
    assert order.state is S.FAILED and order.reason.startswith("not sent: the connection was lost")
    await eventually(lambda: hl.is_connected)
    killed = hl.buy("BTC", "0.001", "50000", tif="Alo")
    hl.kill("enough")
    assert killed.state is S.FAILED and killed.reason == "not sent: enough"
    await asyncio.sleep(0.2)
    assert exchange.truth(hl.account)["orders"] == [] and len(failed) == 2 and len(hl.entry.batcher) == 0


@pytest.mark.parametrize("window", [-1, 101, float("nan")])
def test_a_window_that_makes_no_sense_is_refused(window):
    with pytest.raises(ConfigError, match="batch_window_ms is None"):
        Settings(batch_window_ms=window)
