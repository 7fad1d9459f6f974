"""The life of orders as a state machine over connector AND exchange: real sockets, made time, every kind of fault.

Hypothesis draws orders, batches, modifies, cancels, other people's trades, faults and time; after each step the judge
says what no fault excuses, and when the faults are over all must agree with the exchange's record by itself, to the last
decimal. A failing example shrinks to a few lines that can be written down as a test (`tests/connector/test_finds.py`).
"""

from __future__ import annotations

import logging

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hlfast.sim.faults import ANSWER, ARRIVAL, KINDS, REQUEST

from ..chaos import FAULTS
from ..life import PRICES, SIZES, Life, Wish

SIDES = st.sampled_from(("buy", "sell"))
WISHES = st.builds(
    Wish,
    side=SIDES,
    step=st.sampled_from(PRICES),
    size=st.sampled_from(SIZES),
    tif=st.sampled_from(("Gtc", "Alo", "Ioc")),
    reduce_only=st.sampled_from((False, False, False, True)),
    expires_ms=st.sampled_from((None, None, None, 30, 300)),
    trigger=st.sampled_from((None, None, None, None, 2, 5)),
)
PICK = st.integers(0, 5)
POINTS = {kind: KINDS[kind.split()[0]].points for kind in FAULTS}
ON_REQUESTS = [kind for kind in FAULTS if {ARRIVAL, REQUEST, ANSWER} & set(POINTS[kind]) and kind != "unknown_oid"]


class ConnectorLife(RuleBasedStateMachine):
    """One connector, one exchange, one loop; `life` does what the rules say."""

    def __init__(self) -> None:
        super().__init__()
        self.life: Life | None = None

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed: int) -> None:
        self.life = Life(seed)

    @rule(wish=WISHES)
    def order(self, wish: Wish) -> None:
        self.life.place(wish)

    @rule(wishes=st.lists(WISHES, min_size=2, max_size=4))
    def batch(self, wishes: list[Wish]) -> None:
        self.life.batch(*wishes)

    @rule(pick=PICK, step=st.none() | st.sampled_from(PRICES), size=st.none() | st.sampled_from(SIZES))
    def modify(self, pick: int, step: int | None, size: str | None) -> None:
        self.life.modify(pick, step, size)

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        self.life.cancel(pick)

    @rule()
    def cancel_all(self) -> None:
        self.life.cancel_all()

    @rule(pick=PICK)
    def cancel_inflight(self, pick: int) -> None:
        self.life.cancel_inflight(pick)

    @rule(side=SIDES, size=st.sampled_from(SIZES))
    def others_trade(self, side: str, size: str) -> None:
        self.life.others_trade(side, size)

    @rule(step=st.sampled_from((-6, -3, 0, 3, 6)))
    def mark_moves(self, step: int) -> None:
        self.life.mark_moves(step)

    @rule()
    def restart(self) -> None:
        self.life.restart()

    @rule()
    def house_quotes(self) -> None:
        self.life.house_quotes()

    @rule(kind=st.sampled_from(list(FAULTS)), after=st.integers(0, 3))
    def fault(self, kind: str, after: int) -> None:
        self.life.fault(kind, after)

    @rule(kind=st.sampled_from(ON_REQUESTS), at=st.sampled_from((None, "request", "answer")), what=st.data())
    def action_under_fault(self, kind: str, at: str | None, what: st.DataObject) -> None:
        """The fault strikes the very request that follows it."""
        name = what.draw(st.sampled_from(("order", "batch", "modify", "cancel")))
        channel = {"modify": "batchModify", "cancel": "cancelByCloid"}.get(name, "order")
        self.life.fault(kind, channel=channel, at=at if at in POINTS[kind] else None)
        if name == "order":
            self.life.place(what.draw(WISHES))
        elif name == "batch":
            self.life.batch(*what.draw(st.lists(WISHES, min_size=2, max_size=3)))
        elif name == "modify":
            self.life.modify(
                what.draw(PICK), what.draw(st.sampled_from(PRICES)), what.draw(st.none() | st.sampled_from(SIZES))
            )
        else:
            self.life.cancel(what.draw(PICK))

    @rule(ms=st.sampled_from((1, 5, 13, 40, 40, 150, 600, 2_000)))
    def time_passes(self, ms: int) -> None:
        self.life.wait(ms)

    @rule(refuse_seconds=st.sampled_from((0.0, 0.3)))
    def cut(self, refuse_seconds: float) -> None:
        self.life.cut(refuse_seconds)

    @rule()
    def faults_end(self) -> None:
        self.life.faults_end()

    @rule()
    def settle(self) -> None:
        self.life.settle()

    @invariant()
    def nothing_false_is_told(self) -> None:
        if self.life is not None:
            self.life.check()

    def teardown(self) -> None:
        if self.life is not None:
            self.life.end()


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


CI = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class TestConnectorLife(ConnectorLife.TestCase):
    """G2, G3, G4, G5, G6, G7, G8, G9, G10, G13, G14, G16, G17, C1: whatever happens, in whatever order."""

    settings = CI


@pytest.mark.long
class TestLongConnectorLife(ConnectorLife.TestCase):
    """The same, longer and from a new seed."""

    settings = settings(CI, max_examples=300, stateful_step_count=50, derandomize=False)
