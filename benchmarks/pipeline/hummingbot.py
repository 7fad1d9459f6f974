"""What the Hummingbot-style interface costs beside the native calls under it, which are the floor of each row, and
beside Hummingbot's own tracker where that can be imported (`peers/hummingbot.py`).

Orders go to a local exchange in this process and are cancelled between the bursts; updates and fills are handed to the
trackers directly. The same orders and fills must leave the same figures on all sides. Hummingbot applies an update in a
task: its figure ends when the update has been applied, in a loop that has nothing else to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import hlfast
from benchmarks.measure import frozen, same, summarise, timed
from benchmarks.peers import hummingbot as upstream
from benchmarks.registry import Effort, Measured, Role, Target, at_most, pipeline
from hlfast.clock import monotonic_ns
from hlfast.compat.hummingbot.connector.client_order_tracker import ClientOrderTracker
from hlfast.compat.hummingbot.connector.derivative.hyperliquid_perpetual.hyperliquid_perpetual_derivative import (
    HyperliquidPerpetualDerivative,
)
from hlfast.compat.hummingbot.connector.order_relay import OrderRelay
from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction
from hlfast.compat.hummingbot.core.data_type.common import TradeType as Side
from hlfast.compat.hummingbot.core.data_type.in_flight_order import InFlightOrder, OrderState, OrderUpdate
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder as CoreOrder
from hlfast.core.order_tracker import ClientOrderTracker as CoreTracker
from hlfast.core.updates import TradeUpdate
from hlfast.sim import SimExchange
from hlfast.types import TradeType

NATIVE, STYLED = "native call", "hlfast, Hummingbot's call"
SIZE, PRICE = Decimal("0.01"), Decimal(40_000)
BURST = 20
TRACKED = (10, 10_000)
BUSY = 10
STATES = (OrderState.OPEN, OrderState.PENDING_CANCEL, OrderState.PARTIALLY_FILLED)


@pipeline("hummingbot_buy", "Hummingbot's buy() → bytes in the socket, beside the native buy()", at_most(60_000))
def hummingbot_buy(effort: Effort) -> list[Measured]:
    return hlfast.run(_orders(effort.orders))


async def _orders(samples: int) -> list[Measured]:
    native: list[int] = []
    styled: list[int] = []
    async with SimExchange(port=0, block_ms=5, traders=False, book_interval_ms=0) as exchange:
        connector = HyperliquidPerpetualDerivative(trading_pairs=["BTC-USD"], domain=exchange.network)
        await connector.start_network()
        engine = connector.engine
        while not connector.ready:
            await asyncio.sleep(0.01)

        def buy_native() -> Any:
            return engine.buy("BTC", SIZE, PRICE, tif="Alo")

        def buy_styled() -> Any:
            return connector.buy("BTC-USD", SIZE, OrderType.LIMIT_MAKER, PRICE, position_action=PositionAction.OPEN)

        one, other = buy_native(), engine.tracker.get_order_by_cloid(buy_styled())
        assert other is not None
        same("hummingbot_buy", STYLED, [_sent(other)], NATIVE, [_sent(one)])
        with frozen():
            for _ in range(0, samples, BURST):
                for call, taken in ((buy_native, native), (buy_styled, styled)):
                    taken.extend(timed(call)[0] for _ in range(BURST))
                await engine.end_orders(engine.orders)
        await connector.stop_network()
    return [summarise(STYLED, Role.HLFAST, styled), summarise(NATIVE, Role.FLOOR, native)]


def _sent(order: CoreOrder) -> tuple[Any, ...]:
    return order.coin, order.is_buy, order.px_e8, order.lots, order.tif, order.reduce_only


def _flat(rows: Any) -> float | None:
    """How many times as much an update costs in the largest crowd as in the smallest."""
    by_size = {row.at: row.value for row in rows if row.role is Role.HLFAST}
    return by_size[TRACKED[-1]] / by_size[TRACKED[0]]


@pipeline(
    "hummingbot_update",
    "Hummingbot's tracker: one order update, by how many orders are tracked",
    at_most(10_000),
    Target("flat: ≤ 1.5 × from 10 to 10,000", lambda rows: 1.5, value=_flat),
    axis="tracked orders",
)
def hummingbot_update(effort: Effort) -> list[Measured]:
    logger = ClientOrderTracker.logger()
    level, logger.level = logger.level, logging.WARNING
    try:
        rows = [_updates(tracked, effort.orders) for tracked in TRACKED]
    finally:
        logger.level = level
    theirs = upstream.vocabulary()
    if theirs is not None:
        rows += [asyncio.run(_their_updates(theirs, tracked, effort.orders)) for tracked in TRACKED]
    return rows


def _updates(tracked: int, samples: int) -> Measured:
    told: list[Any] = []
    tracker = ClientOrderTracker(
        SimpleNamespace(current_timestamp=1.0, trigger_event=lambda tag, event: told.append(event))
    )
    for n in range(tracked):
        tracker.start_tracking_order(_record(str(n)))
    taken: list[int] = []
    busy = [str(n) for n in range(0, tracked, tracked // BUSY)]  # the same work in every crowd, spread over it
    updates = [
        OrderUpdate("BTC-USD", 1.0, STATES[n // BUSY % 3], busy[n % BUSY], busy[n % BUSY]) for n in range(samples)
    ]
    with frozen():
        for update in updates:
            taken.append(timed(tracker.process_order_update, update)[0])
    same("hummingbot_update", STYLED, [len(told)], "what is expected", [BUSY])
    return summarise(f"hlfast, {tracked:,} tracked", Role.HLFAST, taken, at=tracked)


def _record(name: str) -> InFlightOrder:
    return InFlightOrder(name, "BTC-USD", OrderType.LIMIT, Side.BUY, SIZE, 1.0, PRICE)


def _their_tracker(names: Any, told: list[Any]) -> Any:
    names.ClientOrderTracker.logger().setLevel(logging.WARNING)
    return names.ClientOrderTracker(
        SimpleNamespace(current_timestamp=1.0, trigger_event=lambda tag, event: told.append(event))
    )


def _their_record(names: Any, name: str) -> Any:
    return names.InFlightOrder(
        client_order_id=name,
        trading_pair="BTC-USD",
        order_type=names.OrderType.LIMIT,
        trade_type=names.TradeType.BUY,
        amount=SIZE,
        creation_timestamp=1.0,
        price=PRICE,
    )


async def _their_updates(names: Any, tracked: int, samples: int) -> Measured:
    """The same updates through Hummingbot's tracker, each awaited until it has been applied."""
    told: list[Any] = []
    tracker = _their_tracker(names, told)
    for n in range(tracked):
        tracker.start_tracking_order(_their_record(names, str(n)))
    taken: list[int] = []
    states = [names.OrderState[state.name] for state in STATES]
    busy = [str(n) for n in range(0, tracked, tracked // BUSY)]
    with frozen():
        for n in range(samples):
            name = busy[n % BUSY]
            update = names.OrderUpdate("BTC-USD", 1.0, states[n // BUSY % 3], name, name)
            began = monotonic_ns()
            await tracker.process_order_update(update)
            taken.append(monotonic_ns() - began)
    same("hummingbot_update", "Hummingbot", [len(told)], "what is expected", [BUSY])
    return summarise(f"Hummingbot {names.version}, {tracked:,} tracked", Role.PEER, taken, at=tracked)


@pipeline("hummingbot_fill", "a fill → OrderFilled event, beside the native event", at_most(40_000))
def hummingbot_fill(effort: Effort) -> list[Measured]:
    logger = ClientOrderTracker.logger()
    level, logger.level = logger.level, logging.WARNING
    try:
        native, told_native = _fills(effort.orders, False)
        styled, told_styled = _fills(effort.orders, True)
    finally:
        logger.level = level
    same("hummingbot_fill", STYLED, told_styled, NATIVE, told_native)
    rows = [summarise(STYLED, Role.HLFAST, styled), summarise(NATIVE, Role.FLOOR, native)]
    theirs = upstream.vocabulary()
    if theirs is not None:
        taken, told = _their_fills(theirs, effort.orders)
        same("hummingbot_fill", "Hummingbot", told, NATIVE, told_native)
        rows.append(summarise(f"Hummingbot {theirs.version}, from its own TradeUpdate", Role.PEER, taken))
    return rows


def _their_fills(names: Any, samples: int) -> tuple[list[int], list[Any]]:
    """A fill of each of `samples` orders, from a record that its connector has made already."""
    told: list[Any] = []
    tracker = _their_tracker(names, told)
    fee = names.AddedToCostTradeFee(flat_fees=[names.TokenAmount("USD", Decimal("0.018"))])
    size = Decimal("0.001")
    fills = []
    for n in range(samples):
        name = f"0x{n:032x}"
        record = _their_record(names, name)
        record.current_state = names.OrderState.OPEN
        tracker.start_tracking_order(record)
        fills.append(names.TradeUpdate(str(n), name, str(n + 1), "BTC-USD", 1.0, PRICE, size, PRICE * size, fee))
    told.clear()
    with frozen():
        taken = [timed(tracker.process_trade_update, fill)[0] for fill in fills]
    return taken, [(event.price, event.amount) for event in told]


def _fills(samples: int, is_styled: bool) -> tuple[list[int], list[Any]]:
    told: list[Any] = []
    core = CoreTracker()
    hear: Callable[[Any, Any], object] = lambda tag, event: told.append((event.price, event.amount))  # noqa: E731
    if is_styled:
        tracker = ClientOrderTracker(SimpleNamespace(current_timestamp=1.0, trigger_event=hear))
        relay = OrderRelay(tracker, lambda fill: "USD")
        core.bus.on(ev.OrderEvent, relay.on_order_event)
    else:
        core.bus.on(ev.OrderFilled, lambda event: told.append((event.price, event.amount)))
    fills = []
    for n in range(samples):
        cloid = f"0x{n:032x}"
        order = CoreOrder(
            client_order_id=f"hl-{n}", cloid=cloid, coin="BTC", trade_type=TradeType.BUY, amount=SIZE, price=PRICE,
            sz_decimals=5, exchange_order_id=n + 1,
        )  # fmt: skip
        core.start_tracking(order)
        core.mark_submitted(order)
        if is_styled:
            relay.expect(_record(cloid))
        core.acknowledge(order, n + 1)
        fills.append(
            TradeUpdate(
                coin="BTC",
                tid=n,
                exchange_order_id=n + 1,
                cloid=cloid,
                price=PRICE,
                amount="0.001",
                sz_decimals=5,
                is_buy=True,
                fee="0.018",
                direction="Open Long",
                time_ms=n,
            )
        )
    told.clear()
    with frozen():
        taken = [timed(core.process_trade_update, fill)[0] for fill in fills]
    return taken, told
