"""What the demo shows of a run (layer 5, warm): counts from events, and snapshots for the view and the summary.

Counting happens in event handlers and costs an addition; all else is read from the connector when a snapshot is made.
Snapshots are plain JSON values: prices, sizes and money as decimal text, `_ns` nanoseconds, rates per second.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hlfast import clock
from hlfast.core import latency
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.events import (
    ConnectorError,
    OrderCancelled,
    OrderCreated,
    OrderFailed,
    OrderFilled,
    Recovered,
    StreamStatus,
)
from hlfast.core.in_flight_order import InFlightOrder

STREAMS = ("market", "account")
LEVELS = 5
RATE_WINDOW_NS = 2_000_000_000
KEPT_EVENTS = 500
MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Said:
    """Something that happened, `at` seconds after the start."""

    at: float
    text: str

    def __str__(self) -> str:
        return f"[{self.at:6.1f} s] {self.text}"


@dataclass
class Counts:
    orders: int = 0
    cancels: int = 0
    rejects: int = 0
    fills: int = 0
    volume: Decimal = field(default_factory=lambda: Decimal(0))


class Meter:
    """Counts what happens on `connector` from now until `close()`. `on_event` hears each text of the event list."""

    def __init__(
        self, connector: ConnectorBase, coins: Sequence[str], on_event: Callable[[Said], object] | None = None
    ) -> None:
        self.connector = connector
        self.coins = tuple(coins)
        self.counts = Counts()
        self.events: deque[Said] = deque(maxlen=KEPT_EVENTS)
        self.fills: deque[Said] = deque(maxlen=KEPT_EVENTS)
        self.streams: dict[str, str] = {}
        self._on_event = on_event
        self._started_ns = clock.monotonic_ns()
        self._samples: deque[tuple[int, int, int, int]] = deque()
        self._remove = [
            connector.on(OrderCreated, self._created),
            connector.on(OrderCancelled, self._cancelled),
            connector.on(OrderFailed, self._failed),
            connector.on(OrderFilled, self._filled),
            connector.on(StreamStatus, self._stream),
            connector.on(Recovered, self._recovered),
            connector.on(ConnectorError, lambda event: self.say(f"{event.code}: {event.text}")),
        ]
        self._log = _ToMeter(self)
        self._logger = logging.getLogger("hlfast")
        self._propagated = self._logger.propagate
        self._logger.propagate = False  # the terminal belongs to the view
        self._logger.addHandler(self._log)
        latency.reset()

    def close(self) -> None:
        while self._remove:
            self._remove.pop()()
        self._logger.removeHandler(self._log)
        self._logger.propagate = self._propagated

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return (clock.monotonic_ns() - self._started_ns) / 1e9

    def say(self, text: str) -> None:
        said = Said(round(self.elapsed, 3), text)
        self.events.append(said)
        if self._on_event is not None:
            try:
                self._on_event(said)
            except OSError:  # whoever read our lines is gone; the run must still end in good order
                self._on_event = None

    # -- events -----------------------------------------------------------------------------------------------------
    def _created(self, event: OrderCreated) -> None:
        self.counts.orders += 1

    def _cancelled(self, event: OrderCancelled) -> None:
        self.counts.cancels += 1

    def _failed(self, event: OrderFailed) -> None:
        self.counts.rejects += 1
        if not event.order.was_created:
            self.counts.orders += 1

    def _filled(self, event: OrderFilled) -> None:
        fill = event.fill
        self.counts.fills += 1
        self.counts.volume += fill.quote_amount
        verb = "bought" if fill.is_buy else "sold"
        late = " (late)" if event.is_late else ""
        self.fills.append(
            Said(round(self.elapsed, 3), f"{verb} {_text(fill.amount)} {fill.coin} at {_text(fill.price)}{late}")
        )

    def _stream(self, event: StreamStatus) -> None:
        self.streams[event.stream] = event.state
        self.say(f"{event.stream} {event.state}: {event.reason}")

    def _recovered(self, event: Recovered) -> None:
        outcome = event.detail or ("all agrees again" if event.consistent else "not all agrees yet")
        self.say(
            f"recovered after {event.gap_ns / 1e9:.1f} s: {event.fills} fills and {event.orders} orders were missed; {outcome}"
        )

    # -- what is shown ----------------------------------------------------------------------------------------------
    def snapshot(self) -> dict[str, Any]:
        """Everything the live view shows, as it is now."""
        positions = self.positions()
        return {
            "elapsed": self.elapsed,
            "ready": self.connector.ready,
            "streams": dict(self.streams),
            "books": [self._book(coin) for coin in self.coins],
            "orders": [_order(order) for order in self.connector.orders],
            "positions": positions,
            "totals": self.totals(positions),
            "rates": self._rates(),
            "latency": latency.summary(),
            "events": [[said.at, said.text] for said in list(self.events)[-12:]],
            "fills": [[said.at, said.text] for said in list(self.fills)[-12:]],
        }

    def positions(self) -> list[dict[str, Any]]:
        held, out = self.connector.positions, []
        for coin in dict.fromkeys([*self.coins, *held]):
            position = held.get(coin)
            if position is None:
                continue
            mark = self._mid(coin)
            unrealized = position.signed_size * (mark - position.entry_price) if mark is not None else Decimal(0)
            out.append(
                {
                    "coin": coin,
                    "size": _text(position.signed_size),
                    "entry": _text(position.entry_price.quantize(MICRO)),
                    "mark": _text(mark) if mark is not None else None,
                    "unrealized": _text(unrealized.quantize(MICRO)),
                    "realized": _text(position.realized_pnl.quantize(MICRO)),
                    "fees": {token: _text(fee) for token, fee in position.fees.items()},
                }
            )
        return out

    def totals(self, positions: list[dict[str, Any]]) -> dict[str, Any]:
        figures = self.connector.ledger
        return {
            "orders": self.counts.orders,
            "cancels": self.counts.cancels,
            "rejects": self.counts.rejects,
            "fills": self.counts.fills,
            "volume": _text(self.counts.volume.quantize(MICRO)),
            "realized_pnl": _text(sum((Decimal(p["realized"]) for p in positions), Decimal(0))),
            "unrealized_pnl": _text(sum((Decimal(p["unrealized"]) for p in positions), Decimal(0))),
            "fees": {token: _text(fee) for token, fee in figures["fees"].items()},
            "cash": _text(figures["cash"]),
            "reconnects": max(0, self.counted("connections") - len(STREAMS)),
            "fallbacks": self.counted("fallbacks"),
            "unresolved": sum(1 for order in self.connector.orders if order.unresolved),
        }

    def counted(self, name: str) -> int:
        """A counter of the connector, over its streams."""
        counters = self.connector.counters
        return sum(counters.get(f"{stream}_{name}", 0) for stream in STREAMS)

    def _rates(self) -> dict[str, float]:
        now_ns = clock.monotonic_ns()
        self._samples.append((now_ns, self.counted("frames"), self.counts.orders, self.counts.fills))
        while len(self._samples) > 2 and now_ns - self._samples[0][0] > RATE_WINDOW_NS:
            self._samples.popleft()
        first, last = self._samples[0], self._samples[-1]
        seconds = (last[0] - first[0]) / 1e9
        frames, orders, fills = ((last[i] - first[i]) / seconds if seconds else 0.0 for i in (1, 2, 3))
        return {"frames": frames, "orders": orders, "fills": fills}

    def _book(self, coin: str) -> dict[str, Any]:
        """The freshest top: an own quote is in it as soon as any stream has told of it."""
        top = self.connector.top(coin)
        bids, asks = top.levels(LEVELS)
        ages = [age for age in top.ages.values() if age is not None]
        return {
            "coin": coin,
            "bids": [[_text(px), _text(size)] for px, size in bids],
            "asks": [[_text(px), _text(size)] for px, size in asks],
            "best_bid": _text(top.best_bid),
            "best_ask": _text(top.best_ask),
            "spread_bps": f"{top.spread / top.mid * 10_000:.2f}" if top.spread is not None and top.mid else None,
            "age_ms": min(ages) // 1_000_000 if ages else None,
            "stale": top.stale_reason if top.is_stale else "",
        }

    def _mid(self, coin: str) -> Decimal | None:
        bbo = self.connector.bbo(coin)
        return bbo.mid_price or self.connector.book(coin).mid_price


class _ToMeter(logging.Handler):
    """Warnings of the library join the event list, but for those of its sockets: stream events say the same."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(logging.WARNING)
        self._meter = meter

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("hlfast.net"):
            self._meter.say(f"{record.levelname.lower()}: {record.getMessage()}")


def _order(order: InFlightOrder) -> dict[str, Any]:
    return {
        "coin": order.coin,
        "side": order.side,
        "px": _text(order.price),
        "size": _text(order.amount),
        "filled": _text(order.filled_amount),
        "state": order.state.name,
        "unresolved": order.unresolved,
        "age_ms": (clock.epoch_ns() - order.created_ns) // 1_000_000,
    }


def _text(number: Decimal | None) -> str:
    """Plain decimal text without trailing zeros."""
    if number is None:
        return ""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
