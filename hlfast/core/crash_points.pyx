"""Named points at which a process can be made to die by SIGKILL, for tests of what a killed process leaves (layer 1).

    HLFAST_CRASH_AT=mid_write:3 python bot.py          dies at the third hit of `mid_write`

A kill at a random moment rarely meets the few microseconds that matter; a named point meets them each time. They are
compiled into every build, so that what is tested is what is shipped: without the variable a point costs one load and
one branch that is never taken. The process dies as by `kill -9`: no handler, no `finally`, no flush. One line on
standard error says where, so that a test can tell which point was hit.

A point's name is told in POINTS; where it stands is said in the `.pxd`. `mid_write` is for plain sockets (the local
exchange): over TLS its half frame would be no half frame.
"""

from libc.signal cimport SIGKILL, raise_ as raise_signal
from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import os

from hlfast.errors import ConfigError

cdef extern from "unistd.h" nogil:
    ssize_t write(int fd, const void* data, size_t n)

cdef extern from *:
    """
    #define _HLFAST_STATUSES "\\"statuses\\":["
    static int hlfast_has_statuses(const char* p, int64_t n) {
        const int64_t k = (int64_t)sizeof(_HLFAST_STATUSES) - 1;
        for (int64_t i = 0; i + k <= n; i++)
            if (!memcmp(p + i, _HLFAST_STATUSES, (size_t)k)) return 1;
        return 0;
    }
    static const char* const hlfast_points[] = {
        "nowhere", "after_ring", "mid_write", "after_write", "before_parse", "before_commit", "after_commit"};
    """
    const char* const* hlfast_points
    int hlfast_has_statuses(const char* p, int64_t n) nogil

POINTS = tuple([hlfast_points[i].decode() for i in range(AFTER_RING, N_POINTS)])
"""The names, in the order of `Point`."""

VARIABLE = "HLFAST_CRASH_AT"

cdef int64_t _wanted = 1
cdef int64_t _hits = 0
armed = NOWHERE


def arm(str name, int64_t hit=1):
    """Die at the `hit`-th time (1 is the next) that the point `name` is reached; None disarms. Raises `ConfigError` for another name."""
    global armed, _wanted, _hits
    if name is not None and name not in POINTS:
        raise ConfigError(f"a crash point is one of {', '.join(POINTS)}, got {name!r}")
    if hit < 1:
        raise ConfigError(f"the hit at which to die is 1 or more, got {hit}")
    _hits, _wanted = 0, hit
    armed = NOWHERE if name is None else POINTS.index(name) + 1


def arm_from(str text):
    """As `arm`, from text like "mid_write" or "mid_write:3"."""
    name, _, hit = text.partition(":")
    if hit and not hit.isdecimal():
        raise ConfigError(f"{VARIABLE} is a point and the hit at which to die, such as 'mid_write:3', got {text!r}")
    arm(name, int(hit) if hit else 1)


def is_armed():
    return armed != NOWHERE


def before_commit():
    """For the journal's drain, which is Python."""
    at(BEFORE_COMMIT)


def after_commit():
    at(AFTER_COMMIT)


cdef bint _is_wanted() noexcept nogil:
    global _hits
    _hits += 1
    return _hits == _wanted


cdef int _die(int point) noexcept nogil:
    cdef char[96] line
    cdef int n = snprintf(line, 96, b"hlfast: died at the crash point %s, hit %lld\n", hlfast_points[point], <long long>_hits)
    write(2, line, <size_t>n)
    return raise_signal(SIGKILL)


cdef int reached(int point) noexcept nogil:
    if _is_wanted():
        return _die(point)
    return 0


cdef int reached_mid_write(int fd, const unsigned char* text, int64_t n) noexcept nogil:
    cdef unsigned char* frame
    cdef int64_t head = 8, i
    if not _is_wanted():
        return 0
    frame = <unsigned char*>malloc(<size_t>n + 14)
    if frame != NULL:
        frame[0] = 0x81  # a whole text message
        if n < 126:
            frame[1] = <unsigned char>(0x80 | n)
            head = 2
        elif n < 65536:
            frame[1] = 0x80 | 126
            frame[2], frame[3] = <unsigned char>(n >> 8), <unsigned char>(n & 255)
            head = 4
        else:
            frame[1] = 0x80 | 127
            for i in range(8):
                frame[2 + i] = <unsigned char>((n >> (56 - 8 * i)) & 255)
            head = 10
        for i in range(4):
            frame[head + i] = 0  # the mask of zeros leaves the text as it is
        memcpy(frame + head + 4, text, <size_t>n)
        write(fd, frame, <size_t>((head + 4 + n) // 2))
        free(frame)
    return _die(MID_WRITE)


cdef int reached_before_parse(const char* data, int64_t n) noexcept nogil:
    if hlfast_has_statuses(data, n):
        return reached(BEFORE_PARSE)
    return 0


if os.environ.get(VARIABLE):
    arm_from(os.environ[VARIABLE])
