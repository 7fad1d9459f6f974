"""StrategyRunner: the life of one strategy on one connector (layer 4, cold).

Start: watch the coins, wait until the connector is ready, register the overridden hooks, call `on_start`, run the
timer. Stop: no more market data and timer, `on_stop`, then cancel what the strategy has resting and wait, bounded,
until every order has ended; its order hooks hear those ends; then nothing is left registered. Coins stay watched.

    async with hlfast.connect("simulator") as hl, StrategyRunner(hl, MarketMaker(coins=("BTC",))):
        await asyncio.sleep(60)

Several strategies on one connector, each with positions and limits of its own: `strategy_group`.

A hook that raises is caught and reported by the connector; one of the timer, here. Neither stops the strategy.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable
from typing import Any

from hlfast import clock
from hlfast.config import RiskLimits
from hlfast.core.connector_base import ConnectorBase, Unsubscribe
from hlfast.core.events import FundingPayment, OrderEvent, OrderFilled, PositionUpdate, Recovered, StreamStatus
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.engine.strategy import Strategy
from hlfast.engine.strategy_account import StrategyAccount
from hlfast.errors import ConfigError

EVENT_HOOKS: dict[str, type] = {
    "on_order": OrderEvent,
    "on_fill": OrderFilled,
    "on_position": PositionUpdate,
    "on_funding": FundingPayment,
    "on_stream": StreamStatus,
    "on_recovered": Recovered,
}
OWN_ORDERS_ONLY = ("on_order", "on_fill")
OWN_COINS_ONLY = ("on_position", "on_funding")
ON_STOP = ("cancel", "leave")
PLAIN_ONLY = ("on_start", "on_timer", "on_book", "on_bbo", "on_trade")


class StrategyRunner:
    """Runs `strategy` on `connector`. One start and one stop; `async with` does both. `account`: its own, from a group.
    `on_stop`: "cancel" what it has resting at the end, or "leave" it."""

    def __init__(
        self,
        connector: ConnectorBase,
        strategy: Strategy,
        *,
        account: StrategyAccount | None = None,
        on_stop: str = "cancel",
    ) -> None:
        for hook in PLAIN_ONLY:
            if inspect.iscoroutinefunction(getattr(strategy, hook)):
                raise ConfigError(
                    f"{type(strategy).__name__}.{hook} is a coroutine function; make it a plain one (start a task if needed)"
                )
        if self._overrides(strategy, "on_timer") and strategy.timer_interval <= 0:
            raise ConfigError(
                f"{type(strategy).__name__} overrides on_timer; timer_interval must be above 0 s, got {strategy.timer_interval!r}"
            )
        if not strategy.coins:
            raise ConfigError(f"{type(strategy).__name__} has no coins; give for example coins=('BTC',)")
        if account is None and strategy.limits != RiskLimits():
            raise ConfigError(
                f"{type(strategy).__name__} has limits, which a group keeps; run it as StrategyGroup(connector, [strategy])"
            )
        if on_stop not in ON_STOP:
            raise ConfigError(f"on_stop is one of {', '.join(ON_STOP)}, got {on_stop!r}")
        self.connector = connector
        self.strategy = strategy
        self.account = account
        self.on_stop = on_stop
        self.timer_errors = 0
        self._market_hooks: list[Unsubscribe] = []
        self._event_hooks: list[Unsubscribe] = []
        self._timer: asyncio.Task[None] | None = None
        self._coins: list[str] = []
        self._state = "new"

    @staticmethod
    def _overrides(strategy: Strategy, hook: str) -> bool:
        return getattr(type(strategy), hook) is not getattr(Strategy, hook)

    async def prepare(self, timeout: float | None = None) -> None:
        """Watch the coins, and wait until the connector is ready. `start` does it too. Raises as `start`."""
        connector, strategy = self.connector, self.strategy
        strategy.connector, strategy.account = connector, self.account
        self._coins = [connector.resolve(coin).coin for coin in strategy.coins]
        for coin in self._coins:
            connector.watch(coin, trades=self._overrides(strategy, "on_trade"))
        await connector.wait_ready(timeout)

    async def start(self, timeout: float | None = None) -> None:
        """Raises `ConfigError` for an unknown coin, `NotReady` if the connector is not ready within `timeout` seconds."""
        if self._state != "new":
            raise ConfigError("this runner was started before; make a new one")
        self._state = "starting"
        strategy = self.strategy
        await self.prepare(timeout)
        strategy.may_trade = True
        try:
            self._register(self._coins)
            strategy.on_start()
        except BaseException:
            strategy.may_trade = False
            self._remove(self._market_hooks)
            self._remove(self._event_hooks)
            raise
        self._state = "running"
        if self._overrides(strategy, "on_timer"):
            self._timer = asyncio.get_running_loop().create_task(self._run_timer(), name="hlfast-strategy-timer")

    async def stop(self, timeout: float = 10.0) -> list[InFlightOrder]:
        """Returns the strategy's orders that had not ended after `timeout` seconds (none, unless the venue is away, or they
        were to be left)."""
        if self._state != "running":
            return []
        self._state = "stopped"
        self._remove(self._market_hooks)
        if self._timer is not None:
            self._timer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._timer
        deadline_ns = clock.monotonic_ns() + int(timeout * 1e9)
        try:
            last = self.strategy.on_stop()
            if last is not None:
                await asyncio.wait_for(last, timeout / 2)
        except Exception as error:
            if isinstance(error, asyncio.TimeoutError):
                self.strategy.log.error(
                    "on_stop was not done after %g s; its orders are ended all the same", timeout / 2
                )
            else:
                self.strategy.log.exception("on_stop failed; its orders are ended all the same")
        finally:
            self.strategy.may_trade = False
        try:
            if self.on_stop == "leave":
                return []
            left_s = max(0.0, (deadline_ns - clock.monotonic_ns()) / 1e9)
            return await self.connector.end_orders(self.strategy.orders, left_s)  # no new ones from here on
        finally:
            self._remove(self._event_hooks)

    async def __aenter__(self) -> StrategyRunner:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    # -- hooks ------------------------------------------------------------------------------------------------------
    def _register(self, coins: list[str]) -> None:
        connector, strategy = self.connector, self.strategy
        for hook, register in (
            ("on_book", connector.on_book),
            ("on_bbo", connector.on_bbo),
            ("on_trade", connector.on_trade),
        ):
            if self._overrides(strategy, hook):
                self._market_hooks += [register(coin, getattr(strategy, hook)) for coin in coins]
        for hook, event_class in EVENT_HOOKS.items():
            if self._overrides(strategy, hook):
                fn = getattr(strategy, hook)
                on = connector.on
                if hook in OWN_ORDERS_ONLY:
                    fn = _only(fn, lambda event: strategy.owns_order(event.order))
                elif hook in OWN_COINS_ONLY:
                    fn = _only(fn, lambda event: event.coin in coins)
                    if self.account is not None:
                        on = self.account.bus.on
                self._event_hooks.append(on(event_class, fn))

    @staticmethod
    def _remove(hooks: list[Unsubscribe]) -> None:
        while hooks:
            hooks.pop()()

    async def _run_timer(self) -> None:
        interval_ns = int(self.strategy.timer_interval * 1e9)
        due_ns = clock.monotonic_ns()
        while True:
            due_ns = max(due_ns + interval_ns, clock.monotonic_ns())  # late calls are dropped, not made up for
            await asyncio.sleep((due_ns - clock.monotonic_ns()) / 1e9)
            try:
                self.strategy.on_timer(clock.epoch_ns())
            except Exception:
                self.timer_errors += 1
                self.strategy.log.exception("on_timer failed")


def _only(fn: Callable[[Any], Any], wanted: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """`fn`, called for the events that are `wanted`. A coroutine function stays one: the bus makes a task of it."""
    if inspect.iscoroutinefunction(fn):

        async def start(event: Any) -> None:
            if wanted(event):
                await fn(event)

        return start

    def call(event: Any) -> None:
        if wanted(event):
            fn(event)

    return call
