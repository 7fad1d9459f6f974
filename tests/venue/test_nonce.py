"""Nonces are unique and rise, over threads, connectors and steps of the clock."""

import threading

import pytest

from hlfast import clock
from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.nonce import NonceManager, nonce_manager_for


def test_eight_threads_take_different_rising_nonces():
    """Behaviour 57; G15."""
    manager = NonceManager("0xAB")
    taken: list[list[int]] = [[] for _ in range(8)]

    def work(out: list[int]) -> None:
        for _ in range(10_000):
            out.append(manager.next())

    threads = [threading.Thread(target=work, args=(out,)) for out in taken]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({n for out in taken for n in out}) == 80_000
    assert all(out == sorted(out) for out in taken)


def test_a_clock_that_steps_back_repeats_nothing():
    """L71."""
    manager = NonceManager()
    try:
        clock.set_virtual(2_000_000_000_000 * 1_000_000)
        first = manager.next()
        clock.set_virtual(1_999_999_990_000 * 1_000_000)
        assert first == 2_000_000_000_000 and manager.next() == first + 1 == manager.last
        clock.set_virtual(2_000_000_010_000 * 1_000_000)
        assert manager.next() == 2_000_000_010_000
    finally:
        clock.set_virtual(None)


def test_connectors_of_one_signer_share_the_counter():
    """L70."""
    assert nonce_manager_for("0xAbC") is nonce_manager_for("0xabc")
    assert nonce_manager_for("0xabc") is not nonce_manager_for("0xabd")


def test_fast_forward_only_raises_and_reset_forgets():
    manager = NonceManager()
    manager.fast_forward(5_000_000_000_000)
    manager.fast_forward(1)
    assert manager.next() == 5_000_000_000_001
    manager.reset()
    assert manager.last == 0
    with pytest.raises(ConfigError, match="time in ms"):
        manager.fast_forward(-1)


def test_a_callers_clock_gives_the_time_or_one_above_the_last():
    """L69."""
    manager = NonceManager()
    assert [manager.next_from(n) for n in (100, 100, 90, 200)] == [100, 101, 102, 200]
