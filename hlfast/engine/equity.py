"""Points of the equity curve, as the journal keeps them (layer 4, cold): cheap, exact, and honest about what has no price.

`equity` is what the account is worth by its own figures: the perpetuals' cash, each position at its mark, and USDC on
the spot side. What is held without a price that is known here (another spot token, a coin of a builder dex, a position
whose market is not watched and was never marked) is named in `unvalued` and not in any sum; while a position is among
them, `equity` and `unrealized` are None: a wrong figure is worse than none.

    Sampler(journal, connector, every_s=10).start()        # on the connector's loop; `stop()` takes a last point
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, Protocol

import orjson

from hlfast.core.connector_base import ConnectorBase
from hlfast.core.fixed import EXACT
from hlfast.core.position import Position
from hlfast.errors import ConfigError, HlfastError

CASH_TOKEN = "USDC"
LATENCY_SECONDS = 60.0


class _Takes(Protocol):
    def equity(self, point: dict[str, Any]) -> None: ...
    def latency(self, stages: dict[str, Any]) -> None: ...
    @property
    def has_baseline(self) -> bool: ...


def mark_of(connector: ConnectorBase, coin: str, position: Position | None) -> Decimal | None:
    """The middle of the best prices where `coin` is watched, else the venue's mark, else None."""
    try:
        mid = connector.bbo(coin).mid_price
    except (HlfastError, KeyError):
        mid = None
    if mid is None:
        try:
            mid = connector.book(coin).mid_price
        except (HlfastError, KeyError):
            mid = None
    if mid is None and position is not None:
        mid = position.mark_price
    return mid


def equity_point(connector: ConnectorBase) -> dict[str, Any]:
    """One point: every figure as exact text, `marks` and `unvalued` as JSON."""
    ledger = connector.ledger
    worth = cash = ledger["cash"]
    unrealized, realized, marks, unvalued = Decimal(0), Decimal(0), {}, []
    for coin, position in sorted(connector.positions.items()):
        realized = EXACT.add(realized, position.realized_pnl)
        mark = mark_of(connector, coin, position)
        if mark is not None:
            marks[coin] = f"{mark:f}"
        if position.is_flat:
            continue
        if mark is None or ":" in coin:
            unvalued.append(coin)
            continue
        size = position.signed_size
        worth = EXACT.add(worth, EXACT.multiply(size, mark))
        unrealized = EXACT.add(unrealized, EXACT.multiply(size, EXACT.subtract(mark, position.entry_price)))
    has_all = not unvalued
    for token, held in sorted(ledger["spot"].items()):
        if token == CASH_TOKEN:
            worth = EXACT.add(worth, held)
        elif held:
            unvalued.append(token)
    return {
        "strategy": None,
        "equity": f"{worth:f}" if has_all else None,
        "cash": f"{cash:f}",
        "unrealized": f"{unrealized:f}" if has_all else None,
        "realized": f"{realized:f}",
        "fees": f"{ledger['fees'].get(CASH_TOKEN, Decimal(0)):f}",
        "funding": f"{ledger.get('funding', Decimal(0)):f}",
        "marks": orjson.dumps(marks).decode(),
        "unvalued": orjson.dumps(unvalued).decode(),
    }


class Sampler:
    """Puts a point and the latencies so far into the journal every `every_s` seconds, on the running loop."""

    def __init__(self, journal: _Takes, connector: ConnectorBase, every_s: float) -> None:
        if every_s <= 0:
            raise ConfigError(f"equity points are taken every so many seconds, got {every_s!r}; None switches them off")
        self._journal, self._connector, self._every_s = journal, connector, every_s
        self._handle: asyncio.TimerHandle | None = None
        self._points = 0
        self.errors = 0
        self.last_error = ""

    def start(self) -> None:
        """On the running loop; without one (a journal used on its own) there are only the points that are asked for."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._handle = loop.call_later(min(self._every_s, 1.0), self._tick, loop)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._points = 0
            self.sample()

    def sample(self) -> None:
        """A point now, if the account's state is known; with the latencies about once a minute, and at the end."""
        if not self._journal.has_baseline:
            return
        try:
            self._journal.equity(equity_point(self._connector))
            if self._points % max(1, round(LATENCY_SECONDS / self._every_s)) == 0:
                self._journal.latency(self._connector.latency.summary())
            self._points += 1
        except Exception as error:  # a report's figure must not end anything
            self.errors += 1
            self.last_error = f"{type(error).__name__}: {error}"

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = loop.call_later(self._every_s, self._tick, loop)
        self.sample()
