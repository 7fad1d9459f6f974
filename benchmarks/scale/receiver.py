"""hlfast's receiving side on a socket to the sender: session, listener, router, books, a Python callback on everything.

async with Receiver(markets) as receiver:
    stamps = await receiver.take(n)             # when the callback of each of the next n frames ran
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from benchmarks.tick_to_trade.harness import Child
from benchmarks.wire import Market
from hlfast.clock import monotonic_ns
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.net.session import WebSocketSession
from hlfast.venues.hyperliquid.scan import Router

PATIENCE_SECONDS = 120.0


class Receiver:
    """Every frame of the sender has one callback: its trades frames have one row."""

    def __init__(self, markets: Sequence[Market]) -> None:
        self.sender = Child("benchmarks.scale.sender")
        self._router = Router()
        self._stamps = array("q")
        self._wanted = 0
        self._all = asyncio.Event()
        for market in markets:
            coin = market.coin
            rule = TradingRule(coin, sz_decimals=market.sz_decimals)
            self._router.add_instrument(rule, OrderBook(coin, market.sz_decimals), Bbo(coin, market.sz_decimals))
            for install in (
                self._router.set_book_handlers,
                self._router.set_bbo_handlers,
                self._router.set_trade_handlers,
            ):
                install(coin, (self._heard,))

    def _heard(self, _: Any) -> None:
        self._stamps.append(monotonic_ns())
        if len(self._stamps) == self._wanted:
            self._session.send(b"done")
            self._all.set()

    async def __aenter__(self) -> Receiver:
        connected, hour = asyncio.Event(), 3600.0
        self._session = WebSocketSession(
            f"ws://127.0.0.1:{self.sender.hear()}/",
            self._router,
            ping_interval=hour,
            pong_timeout=hour,
            stall_timeout=hour,
            on_connected=connected.set,
        )
        self._session.start()
        await asyncio.wait_for(connected.wait(), 10)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.stop()
        self.sender.__exit__()

    async def take(self, frames: int) -> array[int]:
        """The monotonic times at which the callbacks of the next `frames` frames ran."""
        self._wanted = frames
        self._stamps = array("q")
        self._all.clear()
        await asyncio.wait_for(self._all.wait(), PATIENCE_SECONDS)
        return self._stamps

    @property
    def problems(self) -> dict[str, int]:
        """Counters of the router that ought to be nothing."""
        told = self._router.counters
        return {name: told[name] for name in ("fallbacks", "errors", "unknown") if told.get(name)}
