"""Every kernel under pytest-benchmark: `pytest benchmarks/`. The results of all sides are compared before each is timed.

One round is one pass over the arm's pool of inputs; `extra_info` says how many calls that is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from benchmarks.measure import check, columns_of, python_loop
from benchmarks.registry import Arm, benchmarks

ROUNDS = 20
FRESH_CALLS = 100

KERNELS = {name: benchmark.arms for name, benchmark in benchmarks().items() if benchmark.arms is not None}


@cache
def arms_of(name: str) -> list[Arm]:
    return KERNELS[name]()


@cache
def compared(name: str) -> bool:
    """Once for a kernel, before any arm of it is timed."""
    check(name, arms_of(name))
    return True


@pytest.mark.parametrize(
    ("name", "arm"), [pytest.param(name, arm, id=f"{name}[{arm.who}]") for name in KERNELS for arm in arms_of(name)]
)
def test_kernel(name: str, arm: Arm, benchmark: Any) -> None:
    assert compared(name)
    calls = FRESH_CALLS if arm.fresh is not None else len(arm.calls)

    def inputs() -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (arm.call, columns_of(arm, calls)), {}

    def clean(*_: Any) -> None:
        if arm.clean is not None:
            arm.clean()

    benchmark.group = f"{name}, {calls} calls"
    benchmark.extra_info.update(name=name, who=arm.who, role=arm.role.value, calls=calls)
    took = benchmark.pedantic(python_loop, setup=inputs, teardown=clean, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    assert took > 0
