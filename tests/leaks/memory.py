"""How much memory is in use: Python's blocks, and the bytes that C code holds.

`growth(work, times)` runs `work` so often, after a tenth of it to warm up, and returns what was not given back.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from typing import NamedTuple


class _MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


def _mallinfo() -> Callable[[], _MallInfo] | None:
    try:
        told = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return None  # not glibc, or one before 2.33
    told.restype = _MallInfo
    return told


_TOLD = _mallinfo()


class Held(NamedTuple):
    """`blocks` of Python's allocator, `c_bytes` of C's (0 where they cannot be told), `rss` bytes of the process."""

    blocks: int
    c_bytes: int
    rss: int

    def since(self, before: Held) -> Held:
        return Held(*(now - then for now, then in zip(self, before, strict=True)))


def held() -> Held:
    gc.collect()
    info = _TOLD() if _TOLD is not None else None
    c_bytes = info.uordblks + info.hblkhd if info is not None else 0
    return Held(sys.getallocatedblocks(), c_bytes, _rss())


def _rss() -> int:
    try:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def growth(work: Callable[[], object], times: int) -> Held:
    """What `times` calls of `work` leave behind."""
    for _ in range(max(20, times // 10)):
        work()
    before = held()
    for _ in range(times):
        work()
    return held().since(before)
