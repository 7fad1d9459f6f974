"""The user-stream data source (layer 3, cold; rows and fills go from the socket through `scan` to the tracker).

One connection for one account, because some of its frames do not name their user. After every connection: subscribe,
buffer what comes in, let the connector synchronise with the venue's record, replay the buffer, and only then LIVE.
Replaying is safe: fills have an identity and states have a table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from hlfast import clock
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.net.session import WebSocketSession

RETRY_NS = 2_000_000_000
"""A subscription that is not acknowledged is asked for again after this."""

KINDS = ("orderUpdates", "userFills", "userEvents")


class UserStream:
    """Subscriptions of one account, and the buffer that holds its news while the connector synchronises."""

    def __init__(
        self,
        account: str,
        on_order: Callable[[OrderUpdate], object],
        on_fill: Callable[[TradeUpdate, bool], object],
    ) -> None:
        self.account = account.lower()
        self.session: WebSocketSession | None = None
        self._on_order, self._on_fill = on_order, on_fill
        self._buffer: list[tuple[Any, bool | None]] | None = []
        self._confirmed: set[str] = set()
        self._subscribed: Callable[[], None] | None = None
        self._passing = False
        self._asked_ns = 0

    def on_connected(self, subscribed: Callable[[], None]) -> None:
        """A new connection: hold news back, subscribe, and call `subscribed` once all is acknowledged."""
        self._buffer = []
        self._confirmed.clear()
        self._subscribed = subscribed
        self._subscribe()

    def _subscribe(self) -> None:
        """Ask for what is not confirmed."""
        assert self.session is not None
        self._asked_ns = clock.epoch_ns()
        for kind in KINDS:
            if kind not in self._confirmed:
                self.session.send(
                    orjson.dumps({"method": "subscribe", "subscription": {"type": kind, "user": self.account}})
                )

    def tick(self, now_ns: int) -> None:
        """Ask again where no acknowledgement has come."""
        waiting = self._subscribed is not None and self.session is not None and self.session.is_open
        if waiting and now_ns - self._asked_ns > RETRY_NS:
            self._subscribe()

    def on_error(self, text: str) -> None:
        """The venue's word that a subscription exists already confirms it as an acknowledgement would."""
        start = text.find("{")
        if text.startswith("Already subscribed") and start >= 0:
            try:
                about = orjson.loads(text[start:])
            except orjson.JSONDecodeError:
                return
            self.on_subscription_response({"method": "subscribe", "subscription": about})

    def on_subscription_response(self, data: dict[str, Any]) -> None:
        subscription = data.get("subscription") or {}
        if data.get("method") != "subscribe" or str(subscription.get("user", "")).lower() != self.account:
            return
        self._confirmed.add(str(subscription.get("type")))
        if self._subscribed is not None and self._confirmed >= set(KINDS):
            subscribed, self._subscribed = self._subscribed, None
            subscribed()

    # -- the router's sinks -----------------------------------------------------------------------------------------
    def order_sink(self, update: OrderUpdate) -> None:
        if self._passing:
            self._on_order(update.as_recovered())
        elif self._buffer is not None:
            self._buffer.append((update, None))
        else:
            self._on_order(update)

    def fill_sink(self, fill: TradeUpdate, is_snapshot: bool) -> None:
        if self._passing:
            self._on_fill(fill.as_recovered(), is_snapshot)
        elif self._buffer is not None:
            self._buffer.append((fill, is_snapshot))
        else:
            self._on_fill(fill, is_snapshot)

    def release(self) -> None:
        """Replay what was held back, in the order of arrival, and let news through from now on."""
        held, self._buffer = self._buffer or [], None
        for news, is_snapshot in held:
            if is_snapshot is None:
                self._on_order(news)
            else:
                self._on_fill(news, is_snapshot)

    def hold(self) -> None:
        """Hold news back again: the connection is gone."""
        if self._buffer is None:
            self._buffer = []

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Inside, news go straight through: the venue's record is being fed in, ahead of what is held back."""
        before, self._passing = self._passing, True
        try:
            yield
        finally:
            self._passing = before
