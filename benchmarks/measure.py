"""How a call is timed, and how results are compared before that.

A kernel is looped as a Python program would call it (`for x in inputs: call(x)`), over a pool of different inputs, with
the collector off. A group is some rounds of every arm in turn, so that all sides see the same machine; the figure is
the least over the groups of the median of a group's rounds. The same inputs are looped in C beside it (`map` drained by
a `deque`), and an empty call so looped is taken off: that is `net`.

Single calls are timed one by one where the tail counts: the collector stays on, and what was there before is frozen.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.registry import NOT_SAID, Arm, Effort, Measured, Mismatch, Role
from hlfast.clock import monotonic_ns

Columns = tuple[Sequence[Any], ...]

MOST_CALLS = 200
"""Of a round, where every call needs an input of its own."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def python_loop(call: Callable[..., Any], columns: Columns) -> int:
    """Nanoseconds of calling `call` with each row of `columns` from Python."""
    if len(columns) == 1:
        (first,) = columns
        start = monotonic_ns()
        for a in first:
            call(a)
        return monotonic_ns() - start
    if len(columns) == 2:
        start = monotonic_ns()
        for a, b in zip(*columns, strict=True):
            call(a, b)
        return monotonic_ns() - start
    start = monotonic_ns()
    for row in zip(*columns, strict=True):
        call(*row)
    return monotonic_ns() - start


def c_loop(call: Callable[..., Any], columns: Columns) -> int:
    """The same, looped in C."""
    results = map(call, *columns)
    start = monotonic_ns()
    deque(results, maxlen=0)
    return monotonic_ns() - start


def columns_of(arm: Arm, calls: int) -> Columns:
    """Inputs of at least one and about `calls` calls, whole passes over the arm's pool, as `map` takes them."""
    if arm.fresh is not None:
        return tuple(zip(*arm.fresh(min(calls, MOST_CALLS)), strict=True))
    passes = max(1, round(calls / len(arm.calls)))
    return tuple(list(column) * passes for column in zip(*arm.calls, strict=True))


# -- the same result, first ---------------------------------------------------------------------------------------------
def results_of(arm: Arm, calls: int) -> list[Any]:
    """What `arm` makes of its inputs, in the common form."""
    rows = arm.fresh(calls) if arm.fresh is not None else arm.calls
    results = [arm.read(arm.call(*row)) for row in rows]
    if arm.clean is not None:
        arm.clean()
    return results


def check(name: str, arms: Sequence[Arm]) -> None:
    """Raise `Mismatch` unless every arm (floors apart) has the results of the first, and those that were expected."""
    compared = [arm for arm in arms if arm.role is not Role.FLOOR]
    found = {arm.who: results_of(arm, 20) for arm in compared}
    for arm in compared:
        same(name, arm.who, found[arm.who], compared[0].who, found[compared[0].who])
        if arm.expected is not NOT_SAID:
            same(name, arm.who, found[arm.who], "what is expected", [arm.expected] * len(found[arm.who]))


def same(name: str, who: str, theirs: Sequence[Any], other: str, reference: Sequence[Any]) -> None:
    """Raise `Mismatch`, naming the first result that differs."""
    if len(theirs) != len(reference):
        raise Mismatch(f"{name}: {who} has {len(theirs)} results, {other} {len(reference)}")
    for at, (one, two) in enumerate(zip(theirs, reference, strict=True)):
        if one != two:
            left, right = _around_difference(repr(one), repr(two))
            raise Mismatch(f"{name}: on input {at} {who} says {left}, {other} {right}")


def _around_difference(one: str, two: str) -> tuple[str, str]:
    """Both texts, cut to what stands around the first character that differs."""
    differs = next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    start = max(0, differs - 30)
    return tuple(f"{'…' if start else ''}{text[start : start + 80]}" for text in (one, two))  # type: ignore[return-value]


# -- loops --------------------------------------------------------------------------------------------------------------
def measure_arms(name: str, arms: list[Arm], effort: Effort) -> list[Measured]:
    """Compare, then time, every arm of a kernel; a kernel without arms is one that this build cannot run."""
    if not arms:
        return []
    check(name, arms)
    loops = (python_loop, c_loop)
    with collector_off():
        calls = [_calls_of_a_round(arm, effort) for arm in arms]
        least = [[float("inf")] * len(loops) for _ in arms]
        for _ in range(effort.groups):
            for arm, n, figures in zip(arms, calls, least, strict=True):
                for which, loop in enumerate(loops):
                    figures[which] = min(figures[which], median(_round(arm, n, loop) for _ in range(effort.rounds)))
        empty = empty_call(c_loop, effort)
    return [
        Measured(arm.who, arm.role, figures[0], max(0.0, figures[1] - empty), count=effort.groups * effort.rounds * n)
        for arm, n, figures in zip(arms, calls, least, strict=True)
    ]


def _calls_of_a_round(arm: Arm, effort: Effort) -> int:
    n = 1 if arm.fresh is None else 100
    took = _round(arm, n, python_loop)  # warms the arm up, and says how long one call takes
    return max(1, int(effort.round_ms * 1e6 / max(took, 1.0)))


def _round(arm: Arm, calls: int, loop: Callable[[Callable[..., Any], Columns], int]) -> float:
    """Nanoseconds a call, of one round."""
    columns = columns_of(arm, calls)
    took = loop(arm.call, columns) / len(columns[0])
    if arm.clean is not None:
        arm.clean()
    return took


def empty_call(loop: Callable[[Callable[..., Any], Columns], int], effort: Effort) -> float:
    """What a call of a C function that does next to nothing costs in `loop`."""
    columns = ([1.5] * 20_000,)
    return min(median(loop(callable, columns) / 20_000 for _ in range(effort.rounds)) for _ in range(effort.groups))


@contextmanager
def collector_off() -> Iterator[None]:
    """No collection in between, as `timeit` does it."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


# -- single calls -------------------------------------------------------------------------------------------------------
@contextmanager
def frozen() -> Iterator[None]:
    """The collector on, as in a trading process after its start: it looks only at what is made from here on."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def timed(call: Callable[..., Any], *args: Any, **more: Any) -> tuple[int, Any]:
    """(nanoseconds, result) of one call, the reading of the clock (about 50 ns) included."""
    start = monotonic_ns()
    result = call(*args, **more)
    return monotonic_ns() - start, result


FINE = (*(at / 100 for at in range(100)), 0.995, 0.999, 0.9995, 0.9999, 1.0)
"""Quantiles of a distribution that is drawn."""


def summarise(who: str, role: Role, samples: Sequence[int], at: float | None = None) -> Measured:
    """A row from single calls: its value is their median."""
    ordered = sorted(samples)
    last = len(ordered) - 1

    def quantile(q: float) -> float:
        return float(ordered[min(last, int(q * len(ordered)))])

    percentiles = {name: quantile(q) for name, q in QUANTILES.items()}
    finer = tuple((q, quantile(q)) for q in FINE)
    return Measured(who, role, percentiles["p50"], None, percentiles, len(ordered), at, finer)
