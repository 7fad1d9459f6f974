"""NodeFeed: one coin order by order, from an order-book server beside an own node (layer 3; frames go to `l4_scan`).

    feed = NodeFeed("ws://127.0.0.1:8000/ws", hl.resolve("BTC"))
    feed.start()
    await feed.wait_live()
    feed.book.position(order.exchange_order_id)                  # orders and size ahead of an own order
    feed.book.position_of_cloid(order.cloid)

One connection a coin: the server's blocks do not name their coin. It reconnects for ever, takes a snapshot, and follows
the blocks by height; a gap, a change that does not fit, or an `l2Book` of the same block that differs makes the book
stale and asks for a new snapshot, with growing pauses if that does not help. `book.is_stale` says at any time whether
it can be trusted. The server's stream is never silent, so silence ends a connection; it is not asked for pongs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import orjson

from hlfast.core.l4_book import L4Book
from hlfast.core.order_book import OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError, NotReady
from hlfast.net.backoff import Backoff
from hlfast.net.session import ConnectionBudget, WebSocketSession
from hlfast.types import StreamState
from hlfast.venues.hyperliquid.l4_scan import L4Router

log = logging.getLogger("hlfast")

MAX_SNAPSHOT = 1 << 30
"""Bytes of the largest snapshot that is accepted; a million orders take about 350 MB."""

BLOCKS_IN_STEP = 20
"""So many blocks after a snapshot show that it was good: the next pause is the shortest again."""

NO_PONG_SECONDS = 1e6
SERVER_DEFAULT_DEPTH = 20


class NodeFeed:
    """Keeps `book` in step with the server at `url`. The constructor starts nothing.

    `l2_depth`: levels a side of the server's own `l2Book` to compare with (1 to 100, 0: no comparison).
    `every_height=False`: the server leaves out blocks that change nothing of the coin, so a height may be missing; a gap
    is then noticed by the first change that does not fit. `snapshot_timeout`, `stall_timeout`: seconds.
    """

    def __init__(
        self,
        url: str,
        rule: TradingRule,
        *,
        l2_depth: int = 20,
        every_height: bool = True,
        snapshot_timeout: float = 10.0,
        stall_timeout: float = 10.0,
        backoff: Backoff | None = None,
        resync_backoff: Backoff | None = None,
        allow_insecure: bool = False,
        on_state: Callable[[StreamState, str], object] | None = None,
    ) -> None:
        if not 0 <= l2_depth <= 100:
            raise ConfigError(f"l2_depth is 0 to 100 levels, got {l2_depth}")
        self.rule = rule
        self.snapshot_timeout = snapshot_timeout
        self.handler_errors = 0
        self.server_errors: dict[str, int] = {}
        self._router = L4Router(rule)
        self._router.every_height = every_height
        self._router.l2_depth = l2_depth
        self._router.gap_sink = self._on_gap
        self._router.snapshot_sink = self._on_snapshot
        self._router.cold_sink = self._on_cold
        self._router.error_sink = self._on_unreadable
        self._router.on_handler_error = self._on_handler_error
        self._resync_backoff = resync_backoff or Backoff(0.05, 5.0)
        self._timer: asyncio.TimerHandle | None = None
        self._blocks_before = 0
        self._on_state = on_state
        self._waiters: set[asyncio.Future[None]] = set()
        self.session = WebSocketSession(
            url,
            self._router,
            name=f"node {rule.coin}",
            ping_interval=stall_timeout,
            pong_timeout=NO_PONG_SECONDS,
            stall_timeout=stall_timeout,
            backoff=backoff,
            on_state=self._on_stream_state,
            on_connected=self._subscribe,
            connection_budget=ConnectionBudget(per_minute=600),
            allow_insecure=allow_insecure,
            max_message=MAX_SNAPSHOT,
        )

    def __repr__(self) -> str:
        return f"<NodeFeed {self.rule.coin} {self.state} {self.book!r}>"

    # -- what the owner uses ----------------------------------------------------------------------------------------
    @property
    def book(self) -> L4Book:
        return self._router.l4

    @property
    def l2(self) -> OrderBook:
        """The server's aggregated book, which the other is compared with; empty with `l2_depth=0`."""
        return self._router.l2

    @property
    def state(self) -> StreamState:
        return self.session.state

    @property
    def counters(self) -> dict[str, int]:
        """Blocks, snapshots, diffs, gaps and the like; connections; frames that orjson had to read."""
        counts = dict(self._router.l4_counters)
        counts |= {"connections": self.session.connections, "fallbacks": self._router.counters["fallbacks"]}
        return counts | {"handler_errors": self.handler_errors}

    def on_block(self, fn: Callable[[L4Book], object]) -> Callable[[], None]:
        """Call `fn(book)` after each block and snapshot, from the frame. Returns its remover."""
        if not callable(fn) or asyncio.iscoroutinefunction(fn):
            raise ConfigError(f"a handler of blocks is a plain function, got {fn!r}")
        self._router.block_handlers = (*self._router.block_handlers, fn)

        def remove() -> None:
            left = list(self._router.block_handlers)
            if fn in left:
                left.remove(fn)
                self._router.block_handlers = tuple(left)

        return remove

    def start(self) -> None:
        """Connect, and stay in step until `stop()`. Needs a running loop."""
        self.session.start()

    async def stop(self) -> None:
        """Close for good: no task, timer or socket is left."""
        await self.session.stop()
        self._cancel_timer()

    async def wait_live(self, timeout: float = 30.0) -> None:
        """Return when the book is in step. Raises `NotReady` after `timeout` seconds."""
        if self.state is StreamState.LIVE:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait({waiter}, timeout=timeout)
        finally:
            self._waiters.discard(waiter)
        if not waiter.done():
            raise NotReady(
                f"no order-by-order book of {self.rule.coin} from {self.session.url} within {timeout:g} s: {self.session.reason}"
            )

    # -- the subscription -------------------------------------------------------------------------------------------
    def _send(self, method: str, kind: str, **more: Any) -> None:
        subscription = {"type": kind, "coin": self.rule.coin, **more}
        self.session.send(orjson.dumps({"method": method, "subscription": subscription}))

    def _subscribe(self) -> None:
        """Both subscriptions of a new connection."""
        self._router.expect_snapshot("connected: waiting for a snapshot")
        if self._router.l2_depth:
            depth = None if self._router.l2_depth == SERVER_DEFAULT_DEPTH else self._router.l2_depth
            self._send("subscribe", "l2Book", nLevels=depth)
        self._send("subscribe", "l4Book")
        self._arm(self.snapshot_timeout)

    def _subscribe_again(self) -> None:
        """The same connection, a new snapshot."""
        self._timer = None
        if self.session.is_open:
            self._send("unsubscribe", "l4Book")
            self._send("subscribe", "l4Book")
            self._arm(self.snapshot_timeout)

    def _arm(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._subscribe_again)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- what the frames say ----------------------------------------------------------------------------------------
    def _on_gap(self, reason: str) -> None:
        log.warning("%s: out of step: %s", self.session.name, reason)
        self.session.set_state(StreamState.SYNCING, reason)
        if self._router.l4_counters["blocks"] - self._blocks_before >= BLOCKS_IN_STEP:
            self._resync_backoff.reset()
        self._arm(self._resync_backoff.next())

    def _on_snapshot(self) -> None:
        self._cancel_timer()
        self._blocks_before = self._router.l4_counters["blocks"]
        self.session.set_state(StreamState.LIVE, f"in step since block {self.book.height}")
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _on_cold(self, channel: str, data: Any, recv_ns: int) -> None:
        if channel != "error":
            return
        text = str(data)
        kind = text.partition(":")[0][:60]
        self.server_errors[kind] = self.server_errors.get(kind, 0) + 1
        if self._router.is_waiting and '"ping"' not in text:
            log.warning("%s: the server says: %s", self.session.name, text[:200])
            self._arm(self._resync_backoff.next())

    def _on_unreadable(self, kind: str, detail: str, excerpt: bytes) -> None:
        log.warning("%s: %s: %s", self.session.name, kind, detail)

    def _on_handler_error(self, fn: Any, error: BaseException) -> None:
        self.handler_errors += 1
        log.error("a handler of %s raised: %r", self.session.name, fn, exc_info=error)

    def _on_stream_state(self, state: StreamState, reason: str) -> None:
        if state in (StreamState.DOWN, StreamState.CONNECTING):
            self._cancel_timer()
            self._router.expect_snapshot(f"{state}: {reason}")
        if self._on_state is not None:
            self._on_state(state, reason)
