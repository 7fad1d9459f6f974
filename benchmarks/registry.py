"""What a benchmark is, and the one table of them all.

A kernel is a function that returns `Arm`s: the same work done by hlfast, by peers, and the floor below which nobody
gets. Its results are compared, then every arm is looped. A pipeline benchmark measures itself, in a running process,
and returns `Measured` rows. A `Target` is a limit on hlfast's rows, either a figure or relative to the floor or to the
best peer of the same run; of several floors the first counts. To add one: write the function in the area's folder, decorate it, name its module below.

    @kernel("float_to_wire", "float_to_wire(x)", at_most(80), times_faster(10))
    def float_to_wire() -> list[Arm]: ...

All values are nanoseconds, but where `unit` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from typing import Any

MODULES = (
    "benchmarks.kernels.numbers",
    "benchmarks.kernels.receive",
    "benchmarks.kernels.books",
    "benchmarks.kernels.signing",
    "benchmarks.kernels.tracking",
    "benchmarks.pipeline.order_path",
    "benchmarks.pipeline.live",
    "benchmarks.tick_to_trade.harness",
    "benchmarks.pipeline.order_life",
    "benchmarks.pipeline.hummingbot",
    "benchmarks.pipeline.gateway",
    "benchmarks.pipeline.gateway_market",
    "benchmarks.scale.curves",
    "benchmarks.scale.bursts",
    "benchmarks.scale.universe",
    "benchmarks.pipeline.footprint",
    "benchmarks.pipeline.sdk_dropin",
)

NOT_SAID = object()


class Role(str, Enum):
    """What a row is: hlfast itself, a stage of it, somebody else doing the same work, or the least that it can cost."""

    HLFAST = "hlfast"
    STAGE = "stage"
    PEER = "peer"
    FLOOR = "floor"


class Mismatch(Exception):
    """Two sides that should do the same work do not have the same result: their times say nothing."""


@dataclass(frozen=True)
class Arm:
    """One side of a kernel: `call(*args)` for every tuple of `calls`; `read` brings its result into a form common to all.

    Where a call uses up its input, `fresh(n)` makes n new tuples before each round, untimed, and `clean()` follows it.
    Floors are not compared. `expected`: what every result must be, for work that no peer does.
    """

    who: str
    role: Role
    call: Callable[..., Any]
    calls: Sequence[tuple[Any, ...]] = ()
    read: Callable[[Any], Any] = field(default=lambda result: result)
    fresh: Callable[[int], Sequence[tuple[Any, ...]]] | None = None
    clean: Callable[[], object] | None = None
    expected: Any = NOT_SAID


@dataclass(frozen=True)
class Measured:
    """One row of the table. `value`: the least of the medians of a loop, or the median of single calls.

    `net`: the same kernel looped in C, less an empty call. `percentiles`: of single calls, by name. `distribution`: the
    same, finer, as (quantile, value). `at`: where on its benchmark's axis the row stands (see `Benchmark.axis`).
    """

    who: str
    role: Role
    value: float
    net: float | None = None
    percentiles: dict[str, float] = field(default_factory=dict)
    count: int = 0
    at: float | None = None
    distribution: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Target:
    """`limit(rows)` is the most that the rows of `who` (all of hlfast's where it is None) may have; None: nothing to compare with.

    `value(rows)`: what is compared with it, where that is not their highest.
    """

    text: str
    limit: Callable[[Sequence[Measured]], float | None]
    who: str | None = None
    net: bool = False
    value: Callable[[Sequence[Measured]], float | None] | None = None

    def worst(self, rows: Sequence[Measured]) -> float | None:
        """The highest value (or net value) that the target speaks of."""
        if self.value is not None:
            return self.value(rows)
        concerned = [row for row in rows if (row.who == self.who if self.who else row.role is Role.HLFAST)]
        values = [row.net if self.net else row.value for row in concerned]
        return max((value for value in values if value is not None), default=None)

    def is_met(self, rows: Sequence[Measured]) -> bool | None:
        worst, limit = self.worst(rows), self.limit(rows)
        return None if worst is None or limit is None else worst <= limit


@dataclass(frozen=True)
class Effort:
    """How long to measure: `groups` × `rounds` loops of about `round_ms` an arm; `orders` and `starts` where single ones count.

    `ticks` of tick to trade come in `tick_rounds` turns.
    """

    groups: int
    rounds: int
    round_ms: float
    orders: int
    starts: int
    ticks: int
    tick_rounds: int


QUICK = Effort(groups=3, rounds=2, round_ms=2.0, orders=400, starts=2, ticks=120, tick_rounds=1)
FULL = Effort(groups=9, rounds=7, round_ms=8.0, orders=3_000, starts=7, ticks=5_100, tick_rounds=3)


@dataclass(frozen=True)
class Benchmark:
    """An entry of the table. `arms`: only a kernel has them. `axis`: what its rows' `at` counts, of a curve."""

    name: str
    what: str
    area: str
    unit: str
    targets: tuple[Target, ...]
    measure: Callable[[Effort], list[Measured]]
    arms: Callable[[], list[Arm]] | None = None
    axis: str | None = None


_TABLE: dict[str, Benchmark] = {}


def benchmarks() -> dict[str, Benchmark]:
    """Every benchmark by its name, in the order of `MODULES`."""
    for module in MODULES:
        import_module(module)
    return _TABLE


def _add(benchmark: Benchmark) -> None:
    if benchmark.name in _TABLE:
        raise ValueError(f"two benchmarks are called {benchmark.name!r}")
    _TABLE[benchmark.name] = benchmark


def kernel(name: str, what: str, *targets: Target) -> Callable[[Callable[[], list[Arm]]], Callable[[], list[Arm]]]:
    """Register a function that returns the arms of a kernel."""

    def register(arms: Callable[[], list[Arm]]) -> Callable[[], list[Arm]]:
        from benchmarks.measure import measure_arms

        _add(Benchmark(name, what, "kernels", "ns", targets, lambda effort: measure_arms(name, arms(), effort), arms))
        return arms

    return register


def pipeline(
    name: str, what: str, *targets: Target, unit: str = "ns", area: str = "pipeline", axis: str | None = None
) -> Callable[[Callable[[Effort], list[Measured]]], Callable[[Effort], list[Measured]]]:
    """Register a function that measures itself."""

    def register(measure: Callable[[Effort], list[Measured]]) -> Callable[[Effort], list[Measured]]:
        _add(Benchmark(name, what, area, unit, targets, measure, axis=axis))
        return measure

    return register


# -- arms ---------------------------------------------------------------------------------------------------------------
def ours(call: Callable[..., Any], calls: Sequence[tuple[Any, ...]] = (), who: str = "hlfast", **more: Any) -> Arm:
    return Arm(who, Role.HLFAST, call, calls, **more)


def peer(who: str, call: Callable[..., Any], calls: Sequence[tuple[Any, ...]] = (), **more: Any) -> Arm:
    return Arm(who, Role.PEER, call, calls, **more)


def floor(who: str, call: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Arm:
    return Arm(who, Role.FLOOR, call, calls)


def amount(value: float | None, unit: str = "ns") -> str:
    """`value` with three digits and a unit that fits it; empty for None."""
    if value is None:
        return ""
    if unit != "ns":
        return f"{value:.3g} {unit}"
    for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} ns"


# -- targets ------------------------------------------------------------------------------------------------------------
def at_most(value: float, unit: str = "ns", *, who: str | None = None, net: bool = False) -> Target:
    """A figure, for orientation: it depends on the machine."""
    return Target(_of(who) + f"≤ {amount(value, unit)}" + (" net" if net else ""), lambda rows: value, who, net)


def _of(who: str | None) -> str:
    return f"{who} " if who else ""


def times_floor(factor: float, plus: float = 0.0, *, who: str | None = None) -> Target:
    """At most `factor` times the floor of the same run, and `plus` ns."""

    def limit(rows: Sequence[Measured]) -> float | None:
        floors = [row.value for row in rows if row.role is Role.FLOOR]
        return factor * floors[0] + plus if floors else None

    return Target(_of(who) + f"≤ {factor:g} × floor" + (f" + {amount(plus)}" if plus else ""), limit, who)


def times_faster(factor: float, *, who: str | None = None) -> Target:
    """At least `factor` times as fast as the best peer of the same run."""

    def limit(rows: Sequence[Measured]) -> float | None:
        peers = [row.value for row in rows if row.role is Role.PEER]
        return min(peers) / factor if peers else None

    return Target(_of(who) + f"≥ {factor:g} × as fast as the best peer", limit, who)
