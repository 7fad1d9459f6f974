"""The guarded kernels, run under `valgrind --tool=callgrind`: `... -m benchmarks.guard.loops MARKER`.

Prints their names and calls as JSON. Only what happens inside the marker's `hlfast_guarded` is counted, with one file for
each call of it: each kernel's loop runs in there, and the interpreter's start, the imports and the making of inputs are
left out. An empty kernel is measured like the others: it is what the way there costs.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import hlfast
from benchmarks.wire import BTC, KPEPE, Feed
from hlfast.config import SIMULATOR_TEST_KEY
from hlfast.core.bus import EventBus
from hlfast.core.events import PositionUpdate
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.types import OrderState, TradeType
from hlfast.venues.hyperliquid.scan import Router
from hlfast.venues.hyperliquid.sign import keccak256
from hlfast.venues.hyperliquid.wire import encode_orders

CALLS, WARM_PASSES = 500, 3
TIME_MS = 1_790_358_575_700
RECV_NS = TIME_MS * 1_000_000
RULE = TradingRule("BTC", sz_decimals=5)

Kernel = tuple[Callable[..., Any], Sequence[tuple[Any, ...]]]
"""A function and the arguments of each call of the loop."""


def numbers() -> Iterator[tuple[str, Kernel]]:
    random = Random(2)
    prices = [random.uniform(60_000, 98_000) for _ in range(CALLS)]
    sizes = [random.uniform(0.001, 9.0) for _ in range(CALLS)]
    sums = [61_003.17 + 7.31 * at for at in range(CALLS)]
    yield "float_to_wire", (hlfast.float_to_wire, [(round(price, at % 5),) for at, price in enumerate(prices)])
    yield "price_e8, nearest", (RULE.price_e8, [(price, None, "nearest") for price in prices])
    yield "price_e8, a sum's noise", (RULE.price_e8, [(price, None, "nearest") for price in sums])
    yield "lots, passive", (RULE.lots, [(size, "passive") for size in sizes])
    yield "quantize_price", (RULE.quantize_price, [(price, "BUY") for price in prices])


def frames() -> Iterator[tuple[str, Kernel]]:
    router = Router()
    for market in (BTC, KPEPE):
        rule = TradingRule(market.coin, sz_decimals=market.sz_decimals)
        router.add_instrument(rule, OrderBook(market.coin, market.sz_decimals), Bbo(market.coin, market.sz_decimals))
        router.set_bbo_handlers(market.coin, (bool,))
    router.rule_for = {BTC.coin: RULE}.get
    router.order_sink = bool

    def calls(pool: list[bytes]) -> list[tuple[bytes, int]]:
        return [(frame, RECV_NS) for frame in pool]

    for market in (BTC, KPEPE):
        for levels in (20, 5):
            pool = [Feed(seed).book(market, levels) for seed in range(20)]
            yield f"l2Book 2x{levels}, {market.coin}", (router.feed, calls(pool))
    yield "bbo", (router.feed, calls([Feed(seed).bbo(BTC) for seed in range(50)]))
    yield "orderUpdates, 2 rows", (router.feed, calls([Feed(seed).order_updates(BTC) for seed in range(50)]))


def orders() -> Iterator[tuple[str, Kernel]]:
    feed = Feed()
    rows = [(0, at % 2 == 0, (60_000 + at) * 10**8, 1_000 + at, 5, False, "Alo", feed.cloid()) for at in range(39)]
    actions = [
        {
            "type": "order",
            "orders": [
                {"a": 0, "b": True, "p": str(60_000 + at), "s": "0.01", "r": False, "t": {"limit": {"tif": "Alo"}}, "c": feed.cloid()}
            ],
            "grouping": "na",
        }
        for at in range(5)
    ]  # fmt: skip
    yield "encode 1 order", (encode_orders, [([row],) for row in rows])
    yield "encode 39 orders", (encode_orders, [(rows,)] * 5)
    yield "keccak256, 180 B", (keccak256, [(bytes([at] * 180),) for at in range(50)])
    sign = hlfast.Signer(SIMULATOR_TEST_KEY).sign_l1_action
    yield "sign 1 order", (sign, [(action, TIME_MS + at) for at, action in enumerate(actions)])


def tracking() -> Iterator[tuple[str, Kernel]]:
    tracker = ClientOrderTracker(max_finished=100)

    def life(order: Any, opened: Any, fill: Any, ended: Any) -> None:
        tracker.start_tracking(order)
        tracker.process_order_update(opened)
        tracker.process_trade_update(fill)
        tracker.process_order_update(ended)

    made = 0

    def one() -> tuple[Any, ...]:
        nonlocal made
        made += 1
        order = InFlightOrder(
            client_order_id=f"guard-{made}", cloid=f"0x{made:032x}", coin="BTC", trade_type=TradeType.BUY,
            amount="0.5", price="60000", sz_decimals=5,
        )  # fmt: skip

        def row(state: OrderState, status: str) -> OrderUpdate:
            return OrderUpdate(
                cloid=order.cloid, exchange_order_id=500_000 + made, coin="BTC", new_state=state, status=status, side="B",
                px_e8=order.px_e8, lots=order.lots, orig_lots=order.lots, time_ms=TIME_MS,
            )  # fmt: skip

        fill = TradeUpdate(
            coin="BTC", tid=made * 7, exchange_order_id=500_000 + made, cloid=order.cloid, price="60000", amount="0.1",
            sz_decimals=5, is_buy=True, fee="0.9", time_ms=TIME_MS,
        )  # fmt: skip
        return order, row(OrderState.OPEN, "open"), fill, row(OrderState.CANCELLED, "canceled")

    for warm in [one() for _ in range(300)]:
        life(*warm)
    yield "tracker: start, open, fill, end", (life, [one() for _ in range(100)])
    bus = EventBus()
    bus.on(PositionUpdate, bool)
    yield "event, 1 handler", (bus.emit, [(PositionUpdate(coin="BTC", position=None, recv_ns=1),)] * 100)


def kernels() -> Iterator[tuple[str, Kernel]]:
    yield "nothing", (bool, [(1.5,)] * 100)
    for part in (numbers, frames, orders, tracking):
        yield from part()


def main(marker: str) -> None:
    done = []
    enter = ctypes.PyDLL(marker).enter
    looped = ctypes.PYFUNCTYPE(None)
    gc.disable()
    for name, (call, calls) in kernels():
        columns = list(zip(*calls, strict=True))
        if not name.startswith("tracker"):  # an order lives once, and has been warmed up
            for _ in range(WARM_PASSES):
                deque(map(call, *columns), maxlen=0)
        enter(looped(lambda call=call, columns=columns: deque(map(call, *columns), maxlen=0) and None))
        done.append({"name": name, "calls": len(calls)})
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
