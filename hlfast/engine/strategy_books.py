"""StrategyBooks: whose fill, whose money; the strategies' sum against the account (layer 4, warm).

Every fill of the account belongs to the strategy that placed its order: by the client order id's prefix, or by the tag in
the cloid where the order is known by its cloid alone. What no strategy placed (by hand, another program, a liquidation) is
`manual`. A funding payment is shared out by the positions that were held at its time, so that opposite positions of two
strategies pay each other; what rounding leaves is `manual` too.

    books = StrategyBooks(connector, strategies)
    books.take_up(journal.history())      # what earlier runs did
    books.attach()                        # before connecting: fills found after a gap are heard of too
    ...
    rows = await books.compare()          # against the venue's word
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from hlfast.config import RiskLimits
from hlfast.core.connector_base import ConnectorBase, Unsubscribe
from hlfast.core.events import (
    FundingPayment,
    OrderCancelled,
    OrderCompleted,
    OrderEvent,
    OrderExpired,
    OrderFailed,
    OrderFilled,
    OrderModified,
    OrderModifyRejected,
)
from hlfast.core.fixed import EXACT
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import TradeUpdate
from hlfast.engine.strategy import Strategy, cloid_tag
from hlfast.engine.strategy_account import StrategyAccount
from hlfast.errors import ConfigError

ZERO = Decimal(0)
E8 = Decimal("0.00000001")
MANUAL = "manual"
NO_LIMITS = RiskLimits()


@dataclass(frozen=True)
class PastFill:
    """A fill of an earlier run, with the names of its order."""

    client_order_id: str
    cloid: str | None
    fill: TradeUpdate


@dataclass(frozen=True)
class PastFunding:
    coin: str
    amount: Decimal
    time_ms: int


@dataclass(frozen=True)
class Holding:
    """One instrument of the account: signed sizes. `account`: by the venue's word; `before`: held when the strategies started
    and not theirs; `unattributed`: what of the account nobody's fills explain, 0 if all is well."""

    coin: str
    account: Decimal
    strategies: dict[str, Decimal] = field(default_factory=dict)
    manual: Decimal = ZERO
    before: Decimal = ZERO

    @property
    def unattributed(self) -> Decimal:
        return self.account - sum(self.strategies.values(), ZERO) - self.manual - self.before

    def __str__(self) -> str:
        parts = [f"{name} {size:f}" for name, size in self.strategies.items() if size]
        parts += [f"{name} {size:f}" for name, size in ((MANUAL, self.manual), ("before", self.before)) if size]
        return f"{self.coin}: account {self.account:f}; {', '.join(parts) or 'nobody holds any'}; unattributed {self.unattributed:f}"


class StrategyBooks:
    """The accounts of `strategies` on one connector, by `order_prefix`, and `manual` for the rest."""

    def __init__(self, connector: ConnectorBase, strategies: Sequence[Strategy]) -> None:
        self.connector = connector
        self.accounts = {s.order_prefix: StrategyAccount(s.order_prefix, s.limits) for s in strategies}
        if len(self.accounts) < len(strategies):
            names = [s.order_prefix for s in strategies]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(
                f"{names.count(twice)} strategies have the order_prefix {twice!r}, which says whose an order is; give each its own: "
                "order_prefix='...', or NAME=FILE.py:CLASS on the command line"
            )
        self._by_tag = {cloid_tag(name): account for name, account in self.accounts.items()}
        if len(self._by_tag) < len(self.accounts):
            raise ConfigError("two order_prefixes give the same cloid tag; change one of them")
        self.manual = StrategyAccount(MANUAL)
        self.before: dict[str, Decimal] = {}
        self._account_sizes: dict[str, Decimal] = {}
        self._untold: list[tuple[StrategyAccount, Any]] = []
        self._handlers: list[Unsubscribe] = []
        self._late: Unsubscribe | None = None
        self._is_limited = any(account.limits != NO_LIMITS for account in self.accounts.values())
        self._is_open = False

    # -- whose ------------------------------------------------------------------------------------------------------
    def owner(self, client_order_id: str, cloid: str | None) -> StrategyAccount:
        """Whose order this is; `manual` for nobody's."""
        found = self.accounts.get(client_order_id.partition("-")[0])
        if found is None and cloid and client_order_id.startswith("external-"):
            found = self._by_tag.get(cloid[2:10])
        return self.manual if found is None else found

    def _all(self) -> list[StrategyAccount]:
        return [*self.accounts.values(), self.manual]

    # -- life -------------------------------------------------------------------------------------------------------
    def take_up(self, history: Iterable[PastFill | PastFunding]) -> None:
        """Book what earlier runs did, in the order in which they heard of it. Before `attach`."""
        if self._handlers:
            raise ConfigError("what earlier runs did is taken up before the connector is connected")
        for past in history:
            if isinstance(past, PastFill):
                fill = past.fill
                self.owner(past.client_order_id, past.cloid).book_fill(fill, self._quote_of(fill.coin))
                if fill.start_position is not None:
                    step = fill.amount if fill.is_buy else -fill.amount
                    self._account_sizes[fill.coin] = fill.start_position + step
            else:
                self._share(past.coin, past.amount, past.time_ms, self._account_sizes.get(past.coin))

    def attach(self) -> None:
        """Hear every fill and payment from now on, ahead of every strategy. Once; repeating it is harmless."""
        if self._handlers:
            return
        on = self.connector.on
        if self._is_limited:
            self.connector.set_order_gate(self._gate)
            self._handlers.append(lambda: self.connector.set_order_gate(None))
            self._handlers += [on(OrderEvent, self._on_order)]
        self._handlers += [on(OrderFilled, self._on_fill), on(FundingPayment, self._on_funding)]

    def open(self) -> None:
        """The connector is ready: what the account holds beyond the known fills was there before."""
        if self._is_open:
            return
        self._is_open = True
        self._account_sizes = {coin: p.signed_size for coin, p in self.connector.positions.items()}
        for coin in {*self._account_sizes, *self._coins()}:
            if self._is_perpetual(coin):
                left = self._account_sizes.get(coin, ZERO) - sum((a.size(coin) for a in self._all()), ZERO)
                if left:
                    self.before[coin] = left
        for account in self._all():
            account.bus.on_error = self.connector.bus.on_error
            account.bus.task_factory = self.connector.bus.task_factory
        for order in [*self.connector.orders, *self.connector.tracker.external_orders]:
            self.owner(order.client_order_id, order.cloid).count_in([order])

    def tell_last(self) -> None:
        """Tell position events after the handlers that were registered so far: an order's fill is told first."""
        if self._late is None:
            self._late = self.connector.on(OrderFilled, self._tell_positions)

    def detach(self) -> None:
        if self._late is not None:
            self._late()
            self._late = None
        while self._handlers:
            self._handlers.pop()()

    # -- what is heard ----------------------------------------------------------------------------------------------
    def _on_fill(self, event: OrderFilled) -> None:
        fill, order = event.fill, event.order
        account = self.owner(order.client_order_id, order.cloid)
        told = account.book_fill(fill, self._quote_of(fill.coin))
        if told is not None:
            self._untold.append((account, told))
        if not self._is_open:
            return
        position = self.connector.positions.get(fill.coin)
        size = position.signed_size if position is not None else ZERO
        if event.recovered and size == self._account_sizes.get(fill.coin, ZERO) and self._is_perpetual(fill.coin):
            # Of the time before the account's first state, which contains it.
            step = fill.amount if fill.is_buy else -fill.amount
            self.before[fill.coin] = self.before.get(fill.coin, ZERO) - step
        self._account_sizes[fill.coin] = size

    def _tell_positions(self, event: OrderFilled) -> None:
        untold, self._untold = self._untold, []
        for account, told in untold:
            account.bus.emit(told)

    def _on_funding(self, event: FundingPayment) -> None:
        position = self.connector.positions.get(event.coin)
        shares = self._share(
            event.coin, event.amount, event.time_ms, position.signed_size if position is not None else None
        )
        for account, amount in shares:
            account.bus.emit(replace(event, amount=amount))

    def _share(
        self, coin: str, amount: Decimal, time_ms: int, account_size: Decimal | None
    ) -> list[tuple[StrategyAccount, Decimal]]:
        """Book a payment to those that held the instrument at its time."""
        moved = {account.name: account.moved_since(coin, time_ms) for account in self._all()}
        if account_size is None:
            account_size = sum((account.size(coin) for account in self._all()), ZERO)
        then = account_size - sum(moved.values(), ZERO)
        shares, left = [], amount
        for account in self.accounts.values():
            size = account.size(coin) - moved[account.name]
            if not size or not then:
                continue
            share = EXACT.divide(EXACT.multiply(amount, size), then).quantize(E8, ROUND_DOWN, EXACT)
            account.book_funding(coin, share)
            shares.append((account, share))
            left -= share
        if left:
            self.manual.book_funding(coin, left)
        return shares

    # -- limits -----------------------------------------------------------------------------------------------------
    def _gate(self, order: InFlightOrder) -> None:
        account = self.owner(order.client_order_id, order.cloid)
        if account is self.manual:
            return
        book = self.connector.book(order.coin) if account.limits.price_band_bps else None
        account.reserve(order, book)

    def _on_order(self, event: OrderEvent) -> None:
        if isinstance(event, OrderCompleted | OrderCancelled | OrderFailed | OrderExpired):
            self.owner(event.client_order_id, event.order.cloid).forget((event.client_order_id,))
        elif isinstance(event, OrderModified | OrderModifyRejected):
            self.owner(event.client_order_id, event.order.cloid).forget_change(event.client_order_id)

    # -- figures ----------------------------------------------------------------------------------------------------
    def mark(self, coin: str) -> Decimal | None:
        """The middle of the best prices of a watched instrument."""
        try:
            return self.connector.bbo(coin).mid_price or self.connector.book(coin).mid_price
        except ConfigError:  # not watched
            return None

    def figures(self) -> dict[str, dict[str, Any]]:
        """Of each strategy, and of `manual` where there is something."""
        found = {name: account.figures(self.mark) for name, account in self.accounts.items()}
        if self.manual.fills or self.manual.funding:
            found[MANUAL] = self.manual.figures(self.mark)
        return found

    async def compare(self) -> list[Holding]:
        """Every perpetual that the account or a strategy holds. Raises `NotReady` if the venue does not answer."""
        told = await self.connector.account_positions()
        coins = {*told, *self._coins(), *self.before}
        return [
            Holding(
                coin,
                told.get(coin, ZERO),
                {name: account.size(coin) for name, account in self.accounts.items()},
                self.manual.size(coin),
                self.before.get(coin, ZERO),
            )
            for coin in sorted(coins)
            if self._is_perpetual(coin)
        ]

    def _coins(self) -> set[str]:
        return {coin for account in self._all() for coin in account.positions}

    def _is_perpetual(self, coin: str) -> bool:
        rule = self._rule(coin)
        return rule is None or rule.is_perpetual

    def _quote_of(self, coin: str) -> str:
        rule = self._rule(coin)
        return "USDC" if rule is None else rule.collateral

    def _rule(self, coin: str) -> Any:
        """None while instruments are not loaded, or for one that is gone."""
        try:
            return self.connector.trading_rules.get(coin)
        except Exception:
            return None
