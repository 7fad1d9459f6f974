"""Nonces of the drop-in (layer 5): unique and rising for each signer, over threads, instances and processes.

    next_nonce(address, clock_function, is_shared)

The time in ms by the caller's clock, or one above the last nonce. hlfast's own connectors in this process draw from the
same counter. For the venue's networks the counter also lies in a file that every process of this user maps, and draws
are made under its lock; a second process with the same key is warned about and not refused, because a script beside a
bot is normal use of this library. A counter belongs to a signer and a clock: where a program has put its own function
in the place of `get_timestamp_ms`, it counts from that one alone.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import threading
import weakref
from collections.abc import Callable
from typing import Any

from hlfast.venues.hyperliquid.nonce import NonceManager, nonce_manager_for

log = logging.getLogger("hlfast.compat")

_CELL = struct.Struct("<qq")  # last nonce, pid of who took it
MAX_AHEAD_MS = 3_600_000
"""A counter that is further ahead of the clock than this is taken for damage, and begun anew."""

_files: dict[str, _SharedCounter | None] = {}
_own_clocks: dict[tuple[str, int], tuple[Any, NonceManager]] = {}
_lock = threading.Lock()


def next_nonce(address: str, now: Callable[[], int], system_clock: Callable[[], int], is_shared: bool) -> int:
    """An unused nonce. `is_shared`: other processes may use the key as well, on the same network."""
    if now is not system_clock:
        return _for_clock(address, now).next_from(int(now()))
    manager = nonce_manager_for(address)
    if not is_shared:
        return manager.next_from(now())
    key = address.lower()
    shared = _files.get(key)
    if (shared is None and key not in _files) or (shared is not None and shared.pid != os.getpid()):
        with _lock:
            shared = _files[key] = _SharedCounter.open(key)
    return manager.next_from(now()) if shared is None else shared.take(manager, now())


def _for_clock(address: str, now: Callable[[], int]) -> NonceManager:
    key = (address.lower(), id(now))
    found = _own_clocks.get(key)
    if found is not None and found[0]() is now:
        return found[1]
    manager = NonceManager(address)
    try:
        reference: Any = weakref.ref(now, lambda _: _own_clocks.pop(key, None))
    except TypeError:

        def reference() -> Callable[[], int]:
            return now

    _own_clocks[key] = (reference, manager)
    return manager


class _SharedCounter:
    """One signer's last nonce in a mapped file."""

    def __init__(self, address: str, descriptor: int) -> None:
        self.pid = os.getpid()
        self._address, self._descriptor = address, descriptor
        self._cell = mmap.mmap(descriptor, _CELL.size)
        self._mutex = threading.Lock()
        self._warned = False

    @classmethod
    def open(cls, address: str) -> _SharedCounter | None:
        """The counter in the state folder; None where there can be none: then this process counts alone."""
        from hlfast.config import StateDirectory

        try:
            folder = StateDirectory().ensure() / "signers"
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(folder / f"nonces-{address}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.fstat(descriptor).st_size < _CELL.size:
                os.ftruncate(descriptor, _CELL.size)
            return cls(address, descriptor)
        except OSError as error:
            log.warning("the nonces of %s are not shared with other processes: %s", address, error)
            return None

    def take(self, manager: NonceManager, now_ms: int) -> int:
        with self._mutex:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                last, pid = _CELL.unpack(self._cell[:])
                wanted = max(now_ms, last + 1) if last < now_ms + MAX_AHEAD_MS else now_ms
                nonce = manager.next_from(wanted)
                self._cell[:] = _CELL.pack(nonce, self.pid)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        if pid not in (0, self.pid) and not self._warned and _is_alive(pid):
            self._warned = True
            log.warning(
                "process %d also signs with the key of %s: its requests and yours share one budget, and either may "
                "cancel the other's orders; an agent key for each is better",
                pid,
                self._address,
            )
        return nonce


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
