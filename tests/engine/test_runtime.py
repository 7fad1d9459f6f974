"""Strategies and their runner: what is registered, what is heard, and what is left at the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from hlfast.core.events import (
    FundingPayment,
    OrderCancelled,
    OrderCreated,
    OrderEvent,
    OrderFilled,
    PositionUpdate,
    Recovered,
    StreamStatus,
)
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.engine.runtime import EVENT_HOOKS, StrategyRunner
from hlfast.engine.strategy import Strategy
from hlfast.errors import ConfigError, NotReady, OrderDenied
from hlfast.types import OrderParams, TradeType

MARKET_KINDS = ("book", "bbo", "trade")


@dataclass(kw_only=True, eq=False)
class Idle(Strategy):
    """Overrides nothing."""


def one_hook(hook: str) -> Strategy:
    """A strategy that overrides `hook` only, and keeps what it hears in `heard`."""
    heard: list[Any] = []

    def hear(self: Strategy, *what: Any) -> None:
        heard.append(what)

    strategy = type("OneHook", (Strategy,), {hook: hear, "heard": heard})(coins=("BTC",), timer_interval=60.0)
    assert isinstance(strategy, Strategy)
    return strategy


def registered(connector: Any) -> set[str]:
    """The hooks that somebody would hear."""
    found = {f"on_{kind}" for kind in MARKET_KINDS if connector.handler_count(kind)}
    probes = {hook: cls for hook, cls in EVENT_HOOKS.items() if hook != "on_order"} | {"on_order": OrderCreated}
    return found | {hook for hook, cls in probes.items() if connector.bus.has(cls)}


async def test_a_strategy_that_overrides_nothing_registers_nothing(connector: Any) -> None:
    """Issue 2, item 5: only overridden hooks cost."""
    async with StrategyRunner(connector, Idle(coins=("BTC",))):
        assert registered(connector) == set()
        assert connector.watched == {"BTC": {"book": True, "bbo": True, "trades": False}}


@pytest.mark.parametrize("hook", ["on_book", "on_bbo", "on_trade", *EVENT_HOOKS])
async def test_only_the_overridden_hook_is_registered_and_removed_at_the_end(connector: Any, hook: str) -> None:
    """Issue 2, item 5: only overridden hooks cost; nothing is left after the stop."""
    # when
    async with StrategyRunner(connector, one_hook(hook)):
        # then: `on_fill` listens to one of the order events and so is all that hears of fills
        assert registered(connector) == ({"on_order", "on_fill"} if hook == "on_order" else {hook})
        assert not connector.bus.has(OrderCancelled) or hook == "on_order"
    assert registered(connector) == set()


async def test_trades_are_watched_where_they_are_heard(connector: Any) -> None:
    async with StrategyRunner(connector, one_hook("on_trade")):
        assert connector.watched["BTC"]["trades"]


async def test_market_hooks_hear_their_coins(connector: Any) -> None:
    strategy = one_hook("on_bbo")
    async with StrategyRunner(connector, strategy):
        connector.quote("ETH", [("3498", "10")], [("3502", "10")])
        connector.quote("BTC", [("64991", "1")], [("65010", "1")])
    assert [bbo.coin for (bbo,) in strategy.heard] == ["BTC"]  # type: ignore[attr-defined]


async def test_order_hooks_hear_own_orders_only(connector: Any) -> None:
    """Given an own order and one placed beside the strategy, when both are filled, then the own one is heard of."""
    # given
    strategy = one_hook("on_fill")
    async with StrategyRunner(connector, strategy):
        own = strategy.buy("BTC", "0.001", "64000")
        other = connector.buy("BTC", "0.001", "64000", client_order_id="hl-1-1")
        # when
        for order in (own, other):
            connector.ack(order)
            connector.fill(order, "0.001")
        # then
        assert [event.client_order_id for (event,) in strategy.heard] == [own.client_order_id]  # type: ignore[attr-defined]
        assert strategy.owns(own.client_order_id) and not strategy.owns(other.client_order_id)


async def test_position_and_funding_hooks_hear_their_coins_only(connector: Any) -> None:
    for hook, make in (
        ("on_position", lambda coin: PositionUpdate(coin=coin, position=None, recv_ns=1)),
        ("on_funding", lambda coin: FundingPayment(coin=coin, amount=1, rate="0", time_ms=1)),  # type: ignore[arg-type]
    ):
        strategy = one_hook(hook)
        async with StrategyRunner(connector, strategy):
            connector.bus.emit(make("SOL"))
            connector.bus.emit(make("BTC"))
        assert [event.coin for (event,) in strategy.heard] == ["BTC"]  # type: ignore[attr-defined]


async def test_stream_and_recovery_hooks_hear_everything(connector: Any) -> None:
    strategy = one_hook("on_stream")
    async with StrategyRunner(connector, strategy):
        connector.bus.emit(StreamStatus("market", "DOWN", "cut"))
    assert strategy.heard[0][0].reason == "cut"  # type: ignore[attr-defined]
    strategy = one_hook("on_recovered")
    async with StrategyRunner(connector, strategy):
        connector.bus.emit(Recovered(gap_ns=1, fills=2, orders=3, consistent=True))
    assert strategy.heard[0][0].fills == 2  # type: ignore[attr-defined]


async def test_orders_are_refused_before_start_and_after_stop(connector: Any) -> None:
    strategy = Idle(coins=("BTC",))
    with pytest.raises(OrderDenied, match="not running"):
        strategy.buy("BTC", "0.001", "64000")
    connector.cancels_by_itself = True
    async with StrategyRunner(connector, strategy):
        strategy.buy("BTC", "0.001", "64000")
    with pytest.raises(OrderDenied, match="not running"):
        strategy.sell("BTC", "0.001", "66000")
    assert len(connector.sent) == 1


async def test_place_marks_every_order_as_own(connector: Any) -> None:
    strategy = Idle(coins=("BTC",), order_prefix="mine")
    connector.cancels_by_itself = True
    async with StrategyRunner(connector, strategy):
        orders = strategy.place(
            [OrderParams("BTC", "0.001", "64000", TradeType.BUY), OrderParams("BTC", "0.001", "66000", TradeType.SELL)]
        )
        assert [order.client_order_id.split("-")[0] for order in orders] == ["mine", "mine"]
        assert strategy.orders == orders


async def test_stop_cancels_own_orders_and_waits_for_their_ends(connector: Any) -> None:
    """C7: given resting orders, when stopped, then each has ended, and its end was heard of."""
    # given
    strategy = one_hook("on_order")
    runner = StrategyRunner(connector, strategy)
    await runner.start()
    own = [strategy.buy("BTC", "0.001", "64000"), strategy.sell("ETH", "0.1", "3600")]
    other = connector.buy("BTC", "0.001", "64000", client_order_id="hl-1-1")
    connector.ack(own[0])  # the second has no answer yet: it is cancelled all the same
    connector.cancels_by_itself = True
    # when
    left = await runner.stop()
    # then
    assert left == []
    assert all(order.is_done for order in own) and not other.is_done
    ends = [event for (event,) in strategy.heard if isinstance(event, OrderCancelled)]  # type: ignore[attr-defined]
    assert {event.client_order_id for event in ends} == {order.client_order_id for order in own}


async def test_stop_is_bounded_and_returns_what_has_not_ended(connector: Any) -> None:
    """Given a venue that does not answer, when stopped, then the orders without an end are returned in time."""
    strategy = Idle(coins=("BTC",))
    runner = StrategyRunner(connector, strategy)
    await runner.start()
    order = strategy.buy("BTC", "0.001", "64000")
    assert await asyncio.wait_for(runner.stop(timeout=0.1), 5) == [order]
    assert connector.cancels == [order]


async def test_stop_asks_again_when_the_connection_is_back(connector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given no connection at the stop, when it is back, then the cancel goes out."""
    monkeypatch.setattr("hlfast.core.connector_base.CANCEL_AGAIN_SECONDS", 0.02)
    strategy = Idle(coins=("BTC",))
    runner = StrategyRunner(connector, strategy)
    await runner.start()
    order = strategy.buy("BTC", "0.001", "64000")
    connector.is_up, connector.cancels_by_itself = False, True
    stopping = asyncio.ensure_future(runner.stop())
    await asyncio.sleep(0.05)
    assert not stopping.done() and not connector.cancels
    connector.is_up = True
    assert await asyncio.wait_for(stopping, 5) == []
    assert order.is_done


async def test_on_stop_may_still_trade_and_may_fail(connector: Any) -> None:
    """Given an on_stop that sends an order and raises, when stopped, then the order is cancelled with the others."""

    @dataclass(kw_only=True, eq=False)
    class Flattens(Strategy):
        def on_stop(self) -> None:
            self.sell("BTC", "0.001", "66000")
            raise RuntimeError("halfway")

    connector.cancels_by_itself = True
    async with StrategyRunner(connector, Flattens(coins=("BTC",))):
        pass
    assert [order.is_done for order in connector.sent] == [True]


async def test_a_failing_on_start_leaves_nothing_registered(connector: Any) -> None:
    @dataclass(kw_only=True, eq=False)
    class Broken(Strategy):
        def on_start(self) -> None:
            raise RuntimeError("no")

        def on_book(self, book: OrderBook) -> None: ...

        def on_order(self, event: OrderEvent) -> None: ...

    strategy = Broken(coins=("BTC",))
    with pytest.raises(RuntimeError, match="no"):
        await StrategyRunner(connector, strategy).start()
    assert registered(connector) == set() and not strategy.may_trade


async def test_timer_calls_survive_an_exception_and_end_with_the_strategy(connector: Any) -> None:
    """G12: a raising callback breaks nothing."""
    calls: list[int] = []

    @dataclass(kw_only=True, eq=False)
    class Ticks(Strategy):
        def on_timer(self, now_ns: int) -> None:
            calls.append(now_ns)
            raise ValueError("every time")

    runner = StrategyRunner(connector, Ticks(coins=("BTC",), timer_interval=0.01))
    async with runner:
        while len(calls) < 3:
            await asyncio.sleep(0.005)
    assert runner.timer_errors >= 3 and calls == sorted(calls)
    seen = len(calls)
    await asyncio.sleep(0.03)
    assert len(calls) == seen


async def test_a_coroutine_hook_for_events_becomes_a_task(connector: Any) -> None:
    """Given `async def on_fill`, when an own fill comes, then it runs as a task of the bus."""
    done = asyncio.Event()

    @dataclass(kw_only=True, eq=False)
    class Slow(Strategy):
        async def on_fill(self, event: OrderFilled) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            done.set()

    strategy = Slow(coins=("BTC",))
    connector.cancels_by_itself = True
    async with StrategyRunner(connector, strategy):
        order = strategy.buy("BTC", "0.001", "64000")
        connector.ack(order)
        connector.fill(order, "0.001")
        assert not done.is_set()
        await asyncio.wait_for(done.wait(), 2)


async def test_what_cannot_run_is_refused_when_it_is_made(connector: Any) -> None:
    @dataclass(kw_only=True, eq=False)
    class Hot(Strategy):
        async def on_bbo(self, bbo: Bbo) -> None: ...  # type: ignore[override]

    with pytest.raises(ConfigError, match="on_bbo is a coroutine function"):
        StrategyRunner(connector, Hot(coins=("BTC",)))
    with pytest.raises(ConfigError, match="timer_interval"):
        strategy = one_hook("on_timer")
        strategy.timer_interval = 0
        StrategyRunner(connector, strategy)
    with pytest.raises(ConfigError, match="no coins"):
        StrategyRunner(connector, Idle())
    with pytest.raises(ConfigError, match="letters or digits"):
        Idle(coins=("BTC",), order_prefix="not-good")
    with pytest.raises(ConfigError, match="unknown coin"):
        await StrategyRunner(connector, Idle(coins=("NOPE",))).start()


async def test_start_waits_for_ready_and_happens_once(connector: Any) -> None:
    connector.is_up = False
    runner = StrategyRunner(connector, Idle(coins=("BTC",)))
    with pytest.raises(NotReady):
        await runner.start()
    with pytest.raises(ConfigError, match="started before"):
        await runner.start()
    assert await runner.stop() == []
