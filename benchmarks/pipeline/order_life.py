"""The tracker's tail: every step of an order's life timed by itself, long enough that tables grow and are rebuilt.

The kernels say what a step usually costs; this says what the worst one does to a trading process.
"""

from __future__ import annotations

from benchmarks.kernels.tracking import Crowd
from benchmarks.measure import frozen, same, summarise, timed
from benchmarks.registry import Effort, Measured, Role, pipeline
from hlfast.types import OrderState

LIVES_PER_ORDER = 10
"""How many times as many orders live here as are sent elsewhere: it takes more than 10,000 to turn the tracker over."""


@pipeline("order_life", "tracker: an order's life, step by step (1,000 live, 10,000 ended)")
def order_life(effort: Effort) -> list[Measured]:
    crowd = Crowd(1_000)
    tracker = crowd.tracker
    steps: dict[str, list[int]] = {"start": [], "`open` row": [], "fill": [], "`canceled` row": []}
    started, opened, filled, ended = steps.values()
    lives = effort.orders * LIVES_PER_ORDER
    with frozen():
        for _ in range(lives):
            (order,) = crowd.unknown(1)
            open_row, fill = crowd.row(order), crowd.fill_row(order)
            end_row = crowd.row(order, OrderState.CANCELLED, "canceled")
            started.append(timed(tracker.start_tracking, order)[0])
            opened.append(timed(tracker.process_order_update, open_row)[0])
            filled.append(timed(tracker.process_trade_update, fill)[0])
            ended.append(timed(tracker.process_order_update, end_row)[0])
    left = [tracker.counters["fills"], tracker.active_order_count, order.state]
    same("order_life", "hlfast", left, "what is expected", [lives, crowd.live, OrderState.CANCELLED])
    return [summarise(f"hlfast, {step}", Role.HLFAST, taken) for step, taken in steps.items()]
