"""The life of orders as a state machine over connector AND exchange: real sockets, made time, every kind of fault.

Hypothesis draws orders, batches, modifies, cancels, other people's trades, faults and time; after each step the judge
says what no fault excuses, and when the faults are over all must agree with the exchange's record by itself, to the last
decimal. A failing example shrinks to a few lines that can be written down as a test (`tests/connector/test_finds.py`).
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hlfast.sim.faults import ANSWER, ARRIVAL, KINDS, REQUEST

from ..chaos import FAULTS
from ..life import PRICES, SIZES, Life, Wish

SIDES = st.sampled_from(("buy", "sell"))


def often(usual: list[Any], odd: list[Any]) -> st.SearchStrategy[Any]:
    """Four of five times a usual value: what is refused at once, or waits for nothing, leaves nothing to happen."""
    return st.integers(0, 4).flatmap(lambda n: st.sampled_from(odd if n == 4 else usual))


STEPS = often([-1, 0, 1, -2], list(PRICES))
TAKEN = often(["0.02", "0.003", "0.001"], list(SIZES))
WISHES = st.builds(
    Wish,
    side=SIDES,
    step=STEPS,
    size=TAKEN,
    tif=often(["Gtc", "Alo"], ["Ioc"]),
    reduce_only=often([False], [True]),
    expires_ms=often([None], [30, 300]),
    trigger=often([None], [2, 5]),
)
PICK = st.integers(0, 4)
THEN_MS = often([100, 60], [0, 5, 13, 40])
POINT = st.sampled_from((REQUEST, ANSWER))
CHANNELS = {"order": "order", "batch": "order", "modify": "batchModify", "cancel": "cancelByCloid"}
SELDOM = ("cancel_all", "cancel_inflight", "mark_moves", "house_quotes", "restart", "cut", "faults_end", "settle")
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
        self.life.batch(Wish("buy", -1, "0.02", "Alo"), Wish("sell", -1, "0.02"))
        self.life.wait(100)

    @rule(wish=WISHES, ms=THEN_MS)
    def order(self, wish: Wish, ms: int) -> None:
        self.life.place(wish)
        self.life.wait(ms)

    @rule(wishes=st.lists(WISHES, min_size=2, max_size=4), ms=THEN_MS)
    def batch(self, wishes: list[Wish], ms: int) -> None:
        self.life.batch(*wishes)
        self.life.wait(ms)

    @rule(pick=PICK, step=st.none() | STEPS, size=st.none() | TAKEN, ms=THEN_MS)
    def modify(self, pick: int, step: int | None, size: str | None, ms: int) -> None:
        self.life.modify(pick, step, size)
        self.life.wait(ms)

    @rule(pick=PICK, ms=THEN_MS)
    def cancel(self, pick: int, ms: int) -> None:
        self.life.cancel(pick)
        self.life.wait(ms)

    @rule(side=SIDES, size=TAKEN, ms=THEN_MS)
    def others_trade(self, side: str, size: str, ms: int) -> None:
        self.life.others_trade(side, size)
        self.life.wait(ms)

    @rule(kind=st.sampled_from(list(FAULTS)), after=st.integers(0, 3))
    def fault(self, kind: str, after: int) -> None:
        self.life.fault(kind, after)

    @rule(what=st.sampled_from(list(CHANNELS)), kind=st.sampled_from(ON_REQUESTS), at=st.none() | POINT, data=st.data())
    def action_under_fault(self, what: str, kind: str, at: str | None, data: st.DataObject) -> None:
        """The fault strikes the very request that follows it."""
        self.life.fault(kind, channel=CHANNELS[what], at=at if at in POINTS[kind] else None)
        self._act(what, data)

    @rule(what=st.sampled_from(list(CHANNELS)), refuse_seconds=st.sampled_from((0.0, 0.0, 0.1)), data=st.data())
    def action_and_cut(self, what: str, refuse_seconds: float, data: st.DataObject) -> None:
        """The request is at the exchange, its block is not: then every connection is reset."""
        self._act(what, data)
        self.life.cut(refuse_seconds)

    def _act(self, what: str, data: st.DataObject) -> None:
        if what == "order":
            self.life.place(data.draw(WISHES))
        elif what == "batch":
            self.life.batch(*data.draw(st.lists(WISHES, min_size=2, max_size=3)))
        elif what == "modify":
            self.life.modify(data.draw(PICK), data.draw(st.none() | STEPS), data.draw(st.none() | TAKEN))
        else:
            self.life.cancel(data.draw(PICK))

    @rule(ms=often([600, 150, 2_000], [1, 5, 13, 40]))
    def time_passes(self, ms: int) -> None:
        self.life.wait(ms)

    @rule(wish=WISHES)
    def elsewhere(self, wish: Wish) -> None:
        self.life.elsewhere(wish)

    @rule(what=st.sampled_from(SELDOM), pick=PICK)
    def seldom(self, what: str, pick: int) -> None:
        if what == "mark_moves":
            self.life.mark_moves(3 * (pick - 2))
        elif what == "cancel_inflight":
            self.life.cancel_inflight(pick)
        else:
            getattr(self.life, what)()

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
