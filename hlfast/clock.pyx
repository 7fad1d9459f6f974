"""The only reader of clocks (layer 0, hot).

Three uses of time, never mixed:

* `now_ns()`: epoch nanoseconds from the monotonic clock, anchored to the wall clock at import. It never steps back;
  `reanchor()` moves it forward after a suspend. Receive times (`recv_ns`) and event times come from it.
* `mono_ns()`: monotonic nanoseconds, for intervals.
* `wall_ms()`: the wall clock in ms, for nonces and `expiresAfter` only.

`set_virtual(ns)` freezes all three at a given epoch time, for replay and tests; `set_virtual(None)` ends that.
`real_monotonic_ns()` is what passes outside meanwhile: to pace a replay, and for nothing that a replay has to repeat.
"""

from libc.stdint cimport int64_t

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock_id, timespec *ts)
    int CLOCK_MONOTONIC
    int CLOCK_REALTIME

cdef int64_t _offset = 0
cdef int64_t _virtual = -1


cdef inline int64_t _read(int which) noexcept nogil:
    cdef timespec ts
    clock_gettime(which, &ts)
    return <int64_t>ts.tv_sec * 1000000000 + ts.tv_nsec


cdef int64_t now_ns() noexcept nogil:
    if _virtual >= 0:
        return _virtual
    return _read(CLOCK_MONOTONIC) + _offset


cdef int64_t mono_ns() noexcept nogil:
    if _virtual >= 0:
        return _virtual
    return _read(CLOCK_MONOTONIC)


cdef int64_t mono_of(int64_t now) noexcept nogil:
    return now if _virtual >= 0 else now - _offset


cdef int64_t wall_ms() noexcept nogil:
    if _virtual >= 0:
        return _virtual // 1000000
    return _read(CLOCK_REALTIME) // 1000000


cdef int64_t wall_less_mono_ns() noexcept nogil:
    """The wall clock less the monotonic one. Steps and suspends change it, slewing moves both.

    The two are read one after the other: a thread that is interrupted between them sees a step that is none.
    """
    if _virtual >= 0:
        return 0
    return _read(CLOCK_REALTIME) - _read(CLOCK_MONOTONIC)


def epoch_ns():
    """Epoch nanoseconds that never step back."""
    return now_ns()


def monotonic_ns():
    """Monotonic nanoseconds, for intervals."""
    return mono_ns()


def real_monotonic_ns():
    """Monotonic nanoseconds, also while time is virtual."""
    return _read(CLOCK_MONOTONIC)


def wall_clock_ms():
    """The wall clock in milliseconds, for nonces and expiries."""
    return wall_ms()


def reanchor():
    """Move the anchored clock forward to the wall clock (after a suspend). Returns the step in ns; never negative."""
    global _offset
    cdef int64_t step = _read(CLOCK_REALTIME) - _read(CLOCK_MONOTONIC) - _offset
    if step <= 0:
        return 0
    _offset += step
    return step


def set_virtual(ns):
    """Freeze every clock at `ns` epoch nanoseconds; None returns to real time."""
    global _virtual
    cdef int64_t value = -1
    if ns is not None:
        value = ns
        if value < 0:
            raise ValueError(f"virtual time must be >= 0 ns since the epoch, got {ns}")
    _virtual = value


_offset = _read(CLOCK_REALTIME) - _read(CLOCK_MONOTONIC)
