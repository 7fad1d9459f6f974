"""`hlfast.run`: the process's event loop, its signals, and what is done for a flat tail (layer 0, cold).

    hlfast.run(main())                               # uvloop; Ctrl-C and SIGTERM end it in good order
    hlfast.run(main(), spin=True, cpu=3)             # the loop polls on core 3 and never sleeps

Spinning takes one core fully (power, heat, a core less for everything else) and saves the wake-up: 40-110 µs on a virtual
machine, a few µs on bare metal. It only helps on a core that nothing else uses.

Garbage collection: once a connector is ready, what start-up made is collected and frozen (`gc.freeze`), and collections
become rarer, so that no collection walks the modules and instruments in the middle of trading; after a gap, before orders are
taken again, what it left is collected; `gc="leave"` touches nothing. Spinning, pinning and collecting are put back when `run`
returns.

Memory: blocks of 128 kB and more go back to the system when they are freed. Left to itself, glibc keeps them in the heap once
one has been freed, where small objects settle in the holes: half an hour under load grew by 9 MB an hour so, and by none like
this.
"""

from __future__ import annotations

import asyncio
import gc as collector
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

from hlfast.errors import ConfigError, OrdersLeft

_T = TypeVar("_T")

log = logging.getLogger("hlfast")

ORDERS_LEFT_EXIT = 3
"""Exit code of a process that was told to stop and could not cancel all of its orders."""

GC_THRESHOLDS = (10_000, 10, 10)
"""Python's own are (700, 10, 10); orders, fills and events are reference counted and hardly ever part of a cycle."""

_tunes_gc = False
_is_frozen = False


def run(
    coro: Coroutine[Any, Any, _T],
    *,
    spin: bool = False,
    cpu: int | Collection[int] | None = None,
    gc: str = "freeze",
) -> _T:
    """Run a coroutine to its end on uvloop, as `asyncio.run` does on the standard loop.

    Ctrl-C and SIGTERM end it in good order: the coroutine is cancelled, its `finally` and `async with` parts run (with
    `Settings(on_stop="cancel")` a connector then cancels its orders), and the process ends with 130 or 143. With 3 it
    ends where orders may still rest that were to be cancelled. A second signal cuts the waiting short.

    `spin`: poll instead of sleeping; takes a whole core. `cpu`: run on this core, or these (Linux). `gc`: "freeze" after
    start-up, or "leave". Raises `ConfigError` for a core that this process may not use.
    """
    if gc not in ("freeze", "leave"):
        coro.close()
        raise ConfigError(f"gc is 'freeze' or 'leave', got {gc!r}")
    try:
        pinned = _pinned(cpu)
    except BaseException:
        coro.close()
        raise
    _return_large_blocks()
    with pinned, _gc_policy(gc == "freeze"):
        if sys.version_info >= (3, 11):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_until_told(coro, spin))
        uvloop.install()
        return asyncio.run(_until_told(coro, spin))


async def _until_told(coro: Coroutine[Any, Any, _T], spin: bool) -> _T:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        task.cancel()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
    if spin:
        _spin(loop)
    try:
        return await coro
    except asyncio.CancelledError:
        if not told:
            raise
        if told[0] == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + told[0]) from None
    except OrdersLeft as left:
        if told:
            print(f"hlfast: {left}", file=sys.stderr)
            raise SystemExit(ORDERS_LEFT_EXIT) from None
        raise


# -- spinning ---------------------------------------------------------------------------------------------------------
def _spin(loop: asyncio.AbstractEventLoop) -> None:
    """Keep something due at all times: the loop then polls its sockets without waiting, over and over."""
    if len(usable_cpus()) < 2:
        log.warning(
            "spinning on the only core that this process may use: whatever it talks to on this machine is starved"
        )
    log.warning("spinning: this process takes one core fully until it ends")
    call_soon: Callable[[Callable[[], object]], object] = loop.call_soon

    def again() -> None:
        call_soon(again)

    again()


# -- pinning ----------------------------------------------------------------------------------------------------------
def usable_cpus() -> set[int]:
    """The cores that this process may run on; all of them where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _pinned(cpu: int | Collection[int] | None) -> Any:
    """A context in which this thread runs on `cpu` only. Threads that are started inside inherit it."""
    before = usable_cpus()
    if cpu is None:
        wanted = before
    else:
        wanted = {cpu} if isinstance(cpu, int) else set(cpu)
        if not hasattr(os, "sched_setaffinity"):
            raise ConfigError("cpu= needs Linux: this system has no call to pin a process to a core")
        if not wanted or not wanted <= before:
            raise ConfigError(f"cpu names the cores {sorted(wanted)}; this process may use {sorted(before)}")

    @contextmanager
    def pinned() -> Iterator[None]:
        if wanted == before:
            yield
            return
        os.sched_setaffinity(0, wanted)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    return pinned()


# -- memory -----------------------------------------------------------------------------------------------------------
LARGE_BLOCK, KEPT_AT_THE_TOP = 128 << 10, 4 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def _return_large_blocks() -> None:
    """Pin glibc's threshold, which it would raise otherwise. The second one keeps it from trimming the heap all the time."""
    import ctypes

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, LARGE_BLOCK)
        set_option(_M_TRIM_THRESHOLD, KEPT_AT_THE_TOP)


# -- garbage collection -----------------------------------------------------------------------------------------------
@contextmanager
def _gc_policy(tunes: bool) -> Iterator[None]:
    global _tunes_gc, _is_frozen
    before, thresholds = _tunes_gc, collector.get_threshold()
    _tunes_gc = tunes
    try:
        yield
    finally:
        _tunes_gc = before
        if tunes:
            _is_frozen = False
            collector.set_threshold(*thresholds)
            collector.unfreeze()


def start_up_is_over() -> None:
    """A connector is ready: what there is now stays for long. Once in a `run`; nothing outside, or with `gc="leave"`."""
    global _is_frozen
    if _tunes_gc and not _is_frozen:
        _is_frozen = True
        collector.collect()
        collector.freeze()
        collector.set_threshold(*GC_THRESHOLDS)


def gap_is_over() -> None:
    """Orders are about to be taken again: what a lost connection left (tasks, errors with their frames: cycles all) goes now,
    and not in the middle of trading. Does nothing where the collector is left alone."""
    if _is_frozen:
        collector.collect()
