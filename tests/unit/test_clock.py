"""One reader of clocks: never back, freezable."""

import time

import pytest

from hlfast import clock


def test_the_anchored_clock_is_epoch_time_and_never_falls():
    reads = [clock.epoch_ns() for _ in range(10_000)]
    assert reads == sorted(reads)
    assert abs(reads[-1] - time.time_ns()) < 1_000_000_000
    assert abs(clock.wall_clock_ms() - time.time() * 1000) < 1000


def test_virtual_time_freezes_all_three():
    clock.set_virtual(1_700_000_000_123_456_789)
    try:
        assert clock.epoch_ns() == clock.monotonic_ns() == 1_700_000_000_123_456_789
        assert clock.wall_clock_ms() == 1_700_000_000_123
    finally:
        clock.set_virtual(None)
    assert clock.epoch_ns() > 1_700_000_000_123_456_789
    with pytest.raises(ValueError, match=">= 0"):
        clock.set_virtual(-5)


def test_reanchoring_only_moves_forward():
    before = clock.epoch_ns()
    assert clock.reanchor() >= 0
    assert clock.epoch_ns() >= before
