"""StrategyGroup: several strategies on one connector, each with positions, money and limits of its own (layer 4, cold).

    group = StrategyGroup(hl, [MarketMaker(coins=("BTC",)), Momentum(coins=("ETH",))])
    async with hl, group:
        await asyncio.sleep(60)
        print(group.figures(), await group.verify())

With a journal: `group.take_up(journal)` before connecting, and the books go on where the last run ended. One connector
has one group at a time. `on_stop`: "cancel" ends what the strategies have resting, "leave" leaves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from hlfast import clock
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.engine.parameters import fields_of
from hlfast.engine.runtime import ON_STOP, StrategyRunner
from hlfast.engine.strategy import Strategy
from hlfast.engine.strategy_books import Holding, PastFill, PastFunding, StrategyBooks
from hlfast.errors import ConfigError, OrdersLeft

VERIFY_SECONDS = 3.0
"""How long the two sides may take to agree: news may be on their way."""
VERIFY_AGAIN_SECONDS = 0.2


class History(Protocol):
    """What `take_up` asks of a journal."""

    def history(self) -> Iterable[PastFill | PastFunding]: ...
    def strategies(self, strategies: Iterable[dict[str, Any]]) -> None: ...


class StrategyGroup:
    """Runs `strategies` on `connector`. One start and one stop; `async with` does both, and raises `OrdersLeft` at its end if
    orders may still rest that were to be cancelled."""

    def __init__(
        self,
        connector: ConnectorBase,
        strategies: Sequence[Strategy],
        *,
        on_stop: str = "cancel",
        stop_timeout: float = 10.0,
    ) -> None:
        if not strategies:
            raise ConfigError("a group needs a strategy, got none")
        if on_stop not in ON_STOP:
            raise ConfigError(f"on_stop is one of {', '.join(ON_STOP)}, got {on_stop!r}")
        self.connector = connector
        self.books = StrategyBooks(connector, strategies)
        self.runners = [
            StrategyRunner(connector, s, account=self.books.accounts[s.order_prefix], on_stop=on_stop)
            for s in strategies
        ]
        self.stop_timeout = stop_timeout
        self._journal: History | None = None

    @property
    def strategies(self) -> list[Strategy]:
        return [runner.strategy for runner in self.runners]

    def take_up(self, journal: History) -> None:
        """Go on from what earlier runs did, by their journal, which is told who trades now. Before connecting."""
        self._journal = journal
        self.books.take_up(journal.history())
        self.books.attach()

    async def start(self, timeout: float | None = None) -> None:
        """All strategies, one after the other. If one fails, those before it are stopped again, and its error is raised."""
        self.books.attach()
        try:
            for runner in self.runners:
                await runner.prepare(timeout)
            if self._journal is not None:
                self._journal.strategies(
                    {
                        "name": strategy.order_prefix,
                        "prefix": strategy.order_prefix,
                        "class": type(strategy).__name__,
                        "parameters": {name: getattr(strategy, name) for name in fields_of(type(strategy))},
                    }
                    for strategy in self.strategies
                )
            self.books.open()
            for runner in self.runners:
                await runner.start(timeout)
            self.books.tell_last()
        except BaseException:
            await self.stop()
            raise

    async def stop(self, timeout: float | None = None) -> list[InFlightOrder]:
        """Returns the orders that had not ended in time (none, unless the venue is away, or they were to be left)."""
        seconds = self.stop_timeout if timeout is None else timeout
        try:
            ended = await asyncio.gather(*(runner.stop(seconds) for runner in self.runners))
        finally:
            self.books.detach()
        return [order for left in ended for order in left]

    async def __aenter__(self) -> StrategyGroup:
        await self.start()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        orders = [] if self.runners[0].on_stop == "leave" else [o for s in self.strategies for o in s.orders]
        why = f"not ended {self.stop_timeout:g} s after their cancel"
        try:
            left = await self.stop()
        except asyncio.CancelledError:
            left, why = [order for order in orders if not order.is_done], "the wait for their ends was interrupted"
            if not left:
                raise
        if left:
            raise OrdersLeft(left, why)

    # -- figures ----------------------------------------------------------------------------------------------------
    def figures(self) -> dict[str, dict[str, Any]]:
        """Positions, PnL, fees and funding of each strategy, and of `manual` where there is something."""
        return self.books.figures()

    async def verify(self, seconds: float = VERIFY_SECONDS) -> list[Holding]:
        """The strategies' sum beside the venue's account, once the two had `seconds` to agree. What differs then is
        `Holding.unattributed`. Raises `NotReady` if the venue does not answer."""
        deadline_ns = clock.monotonic_ns() + int(seconds * 1e9)
        while True:
            rows = await self.books.compare()
            if not any(row.unattributed for row in rows) or clock.monotonic_ns() > deadline_ns:
                return rows
            await asyncio.sleep(VERIFY_AGAIN_SECONDS)
