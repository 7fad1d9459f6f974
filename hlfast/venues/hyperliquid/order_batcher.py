"""The micro-batcher (layer 3, warm): single orders that are placed within a short window leave as one action.

Off unless `Settings(batch_window_ms=...)` says otherwise. One action weighs 1 for up to 39 orders, where 39 actions weigh
39, and costs one signature. An order is checked and tracked at once, and waits PENDING_CREATE; window 0 sends what one turn
of the event loop has placed. Post-only orders go in an action of their own, ahead of the rest: one Gtc or Ioc would cost
the whole action its priority (protocol, section 3.9). Nothing waits beyond the connection: what was not sent then has
failed, locally and definitely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hlfast.core.in_flight_order import InFlightOrder

ORDERS_PER_ACTION = 39
"""The most for one unit of weight."""

Action = tuple[tuple[InFlightOrder, ...], int]


class OrderBatcher:
    """`send(actions)` signs and writes (orders, expiry in ms or 0) each; `reject(order, reason)` ends one that was not sent."""

    def __init__(
        self,
        window_ms: float,
        send: Callable[[list[Action]], object],
        reject: Callable[[InFlightOrder, str], object],
    ) -> None:
        self._window = window_ms / 1000
        self._send, self._reject = send, reject
        self._post_only: list[tuple[InFlightOrder, int]] = []
        self._others: list[tuple[InFlightOrder, int]] = []
        self._timer: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._post_only) + len(self._others)

    def add(self, order: InFlightOrder, expires_ms: int) -> None:
        """Take a tracked order. A full action leaves at once."""
        group = self._post_only if order.tif == "Alo" else self._others
        group.append((order, expires_ms))
        if len(group) == ORDERS_PER_ACTION:
            self.flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._window, self.flush) if self._window else loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what waits, now. Raises nothing: what cannot be sent has failed, with the reason."""
        groups = self._take()
        actions: list[Action] = []
        for group in groups:
            if group:
                # One expiry an action: the earliest, and none if an order of it is to rest without one.
                actions.append((tuple(order for order, _ in group), min(expires for _, expires in group)))
        if not actions:
            return
        try:
            self._send(actions)
        except Exception as error:
            for orders, _ in actions:
                for order in orders:
                    if not order.is_done and not order.nonce:
                        self._reject(order, f"not sent: {error}")

    def discard(self, reason: str) -> None:
        """Nothing that waits is sent."""
        for group in self._take():
            for order, _ in group:
                self._reject(order, f"not sent: {reason}")

    def _take(self) -> tuple[list[tuple[InFlightOrder, int]], list[tuple[InFlightOrder, int]]]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        groups = self._post_only, self._others
        self._post_only, self._others = [], []
        return groups
