"""Cost against levels, instruments, live orders and handlers, looped in one process.

The venue sends at most 20 levels a side: the point at 100 shows only how the cost grows, and no peer stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import orjson

from benchmarks.kernels.receive import Desk, our_levels, plain_levels
from benchmarks.kernels.tracking import COIN, crowd
from benchmarks.measure import measure_arms
from benchmarks.peers import plain
from benchmarks.registry import Arm, Effort, Measured, Role, Target, ours, peer, pipeline
from benchmarks.wire import BTC, HYPE, KPEPE, Feed, Market
from hlfast import clock
from hlfast.core.bus import EventBus
from hlfast.core.events import PositionUpdate
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.types import OrderState
from hlfast.venues.hyperliquid.scan import Router

LEVELS, VENUES_MOST = (1, 5, 20, 100), 20
INSTRUMENTS = (1, 5, 20, 100, 500)
ORDERS = (10, 100, 1_000, 10_000, 100_000)
HANDLERS = (1, 5, 10, 20, 50)


def grows(factor: float, first: float, last: float) -> Target:
    """From `first` to `last` on the axis, hlfast's cost grows at most so many times."""

    def limit(rows: Sequence[Measured]) -> float | None:
        values = [row.value for row in rows if row.role is Role.HLFAST and row.at == first]
        return factor * min(values) if values else None

    def last_only(rows: Sequence[Measured]) -> float | None:
        return max((row.value for row in rows if row.role is Role.HLFAST and row.at == last), default=None)

    return Target(f"≤ {factor:g} × from {first:,g} to {last:,g}", limit, value=last_only)


def curve(name: str, points: dict[float, list[Arm]], effort: Effort) -> list[Measured]:
    """The rows of every point, each with its place on the axis."""
    rows = []
    for at, arms in points.items():
        rows += [replace(row, at=float(at)) for row in measure_arms(f"{name}, {at:,}", arms, effort)]
    return rows


@pipeline("scale_levels", "l2Book → book, by levels a side", grows(5.5, 20, 100), area="scale", axis="levels a side")
def scale_levels(effort: Effort) -> list[Measured]:
    points = {}
    for levels in LEVELS:
        frames = [Feed(seed).book(BTC, levels) for seed in range(32)]
        desk = Desk()
        book = desk.books[BTC.coin]

        def read_ours(_: Any, book: OrderBook = book) -> Any:
            return our_levels(book)

        arms = [ours(desk.router.feed, desk.calls(frames), read=read_ours)]
        if levels <= VENUES_MOST:
            arms += _peers(frames)
        points[float(levels)] = arms
    return curve("scale_levels", points, effort)


def _peers(frames: list[bytes]) -> list[Arm]:
    reader = plain.Reader(orjson.loads, float)
    typed = plain.typed_book_reader()
    calls = [(frame,) for frame in frames]

    def read(_: Any) -> Any:
        return [plain_levels(side, BTC.sz_decimals) for side in reader.books[BTC.coin][1:]]

    def read_typed(sides: Any) -> Any:
        return [plain_levels([(level.px, level.sz) for level in side], BTC.sz_decimals) for side in sides]

    arms = [peer("orjson, float", reader.feed, calls, read=read)]
    return [*arms, peer("msgspec, typed", typed, calls, read=read_typed)] if typed is not None else arms


@pipeline(
    "scale_instruments", "bbo → callback, by instruments in turn", grows(2, 1, 500), area="scale", axis="instruments"
)
def scale_instruments(effort: Effort) -> list[Measured]:
    points = {}
    for count in INSTRUMENTS:
        router, feed = Router(), Feed()
        heard: list[Any] = [None]
        frames = []
        for at in range(count):
            like = (BTC, HYPE, KPEPE)[at % 3]
            market = Market(f"COIN{at}", like.sz_decimals, like.px_decimals, like.mid, like.most)
            rule = TradingRule(market.coin, sz_decimals=market.sz_decimals)
            router.add_instrument(
                rule, OrderBook(market.coin, market.sz_decimals), Bbo(market.coin, market.sz_decimals)
            )
            router.set_bbo_handlers(market.coin, (_keeper(heard),))
            frames.append((feed.bbo(market), clock.epoch_ns()))
        Random(1).shuffle(frames)
        coins = iter([orjson.loads(frame)["data"]["coin"] for frame, _ in frames])

        def told(_: Any, heard: list[Any] = heard, coins: Any = coins) -> bool:
            """Whether the frame's own instrument was heard; the first pass is the one that is compared."""
            return bool(heard[0].coin == next(coins))

        points[float(count)] = [ours(router.feed, frames, read=told, expected=True)]
    return curve("scale_instruments", points, effort)


def _keeper(heard: list[Any]) -> Callable[[Any], object]:
    def keep(bbo: Any) -> None:
        heard[0] = bbo

    return keep


@pipeline(
    "scale_orders", "tracker: an `open` row, by live orders", grows(1.5, 10, 100_000), area="scale", axis="live orders"
)
def scale_orders(effort: Effort) -> list[Measured]:
    points = {}
    for live in ORDERS:
        one = crowd(live)

        def fresh(n: int, one: Any = one) -> list[tuple[Any, ...]]:
            return [(one.row(order),) for order in one.started(n)]

        points[float(live)] = [
            ours(
                one.tracker.process_order_update,
                fresh=fresh,
                clean=one.end_round,
                expected=OrderState.OPEN,
                read=lambda order: order.state,
            )
        ]
    return curve("scale_orders", points, effort)


@pipeline("scale_handlers", "event → Python handlers, by their number", grows(55, 1, 50), area="scale", axis="handlers")
def scale_handlers(effort: Effort) -> list[Measured]:
    event = PositionUpdate(coin=COIN, position=None, recv_ns=1)
    points = {}
    for handlers in HANDLERS:
        heard = [0]

        def count(_: object, heard: list[int] = heard) -> None:
            heard[0] += 1

        def told(_: object, heard: list[int] = heard) -> int:
            heard[0], seen = 0, heard[0]
            return seen

        bus, theirs = EventBus(), plain.Dispatcher()
        for _ in range(handlers):
            bus.on(PositionUpdate, count)
            theirs.on(PositionUpdate, count)
        points[float(handlers)] = [
            ours(bus.emit, [(event,)] * 20, read=told, expected=handlers),
            peer("plain Python", theirs.emit, [(event,)] * 20, read=told),
        ]
    return curve("scale_handlers", points, effort)
