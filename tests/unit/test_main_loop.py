"""`hlfast.run`: results and errors, spinning, pinning, and the collector's policy."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import subprocess
import sys
import weakref

import pytest

import hlfast
from hlfast import main_loop
from hlfast.errors import ConfigError
from tests.children import HOME, surroundings

on_linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to a core")


async def answer() -> int:
    return 42


def test_it_returns_what_the_coroutine_returns_and_raises_what_it_raises():
    async def fails() -> None:
        raise KeyError("x")

    assert hlfast.run(answer()) == 42
    with pytest.raises(KeyError):
        hlfast.run(fails())


def test_a_spinning_loop_polls_without_waiting_and_says_what_it_costs(monkeypatch, caplog):
    """Given an idle coroutine, the loop goes round over and over; without spin it sleeps."""
    calls = []
    original = main_loop._spin

    def counting(loop: asyncio.AbstractEventLoop) -> None:
        call_soon = loop.call_soon

        class Loop:
            @staticmethod
            def call_soon(fn):
                calls.append(1)
                return call_soon(fn)

        original(Loop)  # type: ignore[arg-type]

    monkeypatch.setattr(main_loop, "_spin", counting)
    with caplog.at_level(logging.WARNING, "hlfast"):
        hlfast.run(asyncio.sleep(0.05), spin=True)
    assert len(calls) > 100 and "takes one core fully" in caplog.text
    calls.clear()
    hlfast.run(asyncio.sleep(0.05))
    assert not calls


@on_linux
def test_a_core_is_taken_for_the_run_and_given_back():
    before = os.sched_getaffinity(0)
    one = min(before)

    async def where() -> set[int]:
        return os.sched_getaffinity(0)

    assert hlfast.run(where(), cpu=one) == {one}
    assert hlfast.run(where(), cpu=[one]) == {one}
    assert hlfast.run(where()) == before == os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cpu": 4095}, r"cpu names the cores \[4095\]; this process may use"),
        ({"cpu": []}, "cpu names"),
        ({"gc": "off"}, "gc is"),
    ],
)
@on_linux
def test_what_cannot_be_had_is_refused_before_anything_runs(options, text):
    coro = answer()
    with pytest.raises(ConfigError, match=text):
        hlfast.run(coro, **options)
    assert coro.cr_frame is None  # closed: no "was never awaited"


def test_what_a_gap_left_is_collected_before_trading_goes_on():
    """Given garbage in a cycle after start-up, the end of a gap collects it inside run(), and touches nothing outside."""

    class Node:
        pass

    def cycle() -> weakref.ref[Node]:
        node = Node()
        node.me = node  # type: ignore[attr-defined]
        return weakref.ref(node)

    async def after_a_gap() -> tuple[bool, bool]:
        main_loop.start_up_is_over()
        gc.disable()
        try:
            seen = cycle()
            was_there = seen() is not None
            main_loop.gap_is_over()
            return was_there, seen() is None
        finally:
            gc.enable()

    assert hlfast.run(after_a_gap()) == (True, True)
    assert hlfast.run(after_a_gap(), gc="leave") == (True, False)


def test_start_up_is_frozen_once_and_all_is_put_back():
    """Given the end of a start-up inside run(), the collector leaves what is there alone and comes less often; afterwards
    everything is as before."""
    before, frozen_before = gc.get_threshold(), gc.get_freeze_count()

    async def started() -> tuple[int, tuple[int, ...], int]:
        main_loop.start_up_is_over()
        count = gc.get_freeze_count()
        main_loop.start_up_is_over()  # a second connector: no second pause
        return count, gc.get_threshold(), gc.get_freeze_count()

    frozen, thresholds, again = hlfast.run(started())
    assert frozen > 1000 and again == frozen and thresholds == main_loop.GC_THRESHOLDS
    assert gc.get_threshold() == before and gc.get_freeze_count() <= frozen_before
    assert hlfast.run(started(), gc="leave")[1] == before
    main_loop.start_up_is_over()
    assert gc.get_threshold() == before


MAPPED = """
import ctypes, hlfast

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks mapped usm fsm used free keep".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info

async def main():
    bytes(8 << 20)  # freed at once: glibc takes such blocks from its heap from then on, if it is let
    before = libc.mallinfo2().mapped
    held = [bytes(512 << 10) for _ in range(8)]
    print((libc.mallinfo2().mapped - before) >> 20)

hlfast.run(main())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc 2.33 or newer")
def test_large_blocks_go_back_to_the_system_and_not_into_the_heap():
    """L98: a long run does not grow by the holes that large frames and answers leave among small objects."""
    done = subprocess.run(
        [sys.executable, "-c", MAPPED], capture_output=True, text=True, cwd=HOME, env=surroundings(), timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 4
