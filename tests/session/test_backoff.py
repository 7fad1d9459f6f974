"""How long to wait: doubling, the cap, the jitter, the seed."""

from __future__ import annotations

import pytest

from hlfast.errors import ConfigError
from hlfast.net.backoff import Backoff


def test_delays_double_to_the_cap_and_never_exceed_it() -> None:
    """Behaviour 78, C1."""
    backoff = Backoff(0.25, 5.0, seed=1)
    for whole in (0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0):
        assert 0.75 * whole < backoff.next() <= whole
    assert backoff.attempts == 8


def test_without_jitter_the_delays_are_exact_and_reset_starts_anew() -> None:
    """Behaviour 78."""
    backoff = Backoff(0.5, 3.0, jitter=0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert (backoff.next(), backoff.attempts) == (0.5, 1)


def test_sockets_cut_together_come_back_apart_and_a_seed_repeats_the_delays() -> None:
    """L8: eight sockets, cut at once, do not come back at once."""
    assert len({Backoff(1, 5, seed=n).next() for n in range(8)}) == 8
    a, b = Backoff(1, 5, seed=7), Backoff(1, 5, seed=7)
    assert [a.next() for _ in range(5)] == [b.next() for _ in range(5)]


@pytest.mark.parametrize(("low", "high", "jitter"), [(0, 1, 0), (2, 1, 0), (1, 2, 1), (1, 2, -0.1), (-1, 2, 0)])
def test_limits_that_make_no_sense_are_refused(low: float, high: float, jitter: float) -> None:
    with pytest.raises(ConfigError, match="0 < minimum <= maximum"):
        Backoff(low, high, jitter=jitter)
