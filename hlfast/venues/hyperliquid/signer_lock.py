"""One process a signer (layer 2, cold): a lock file, which also keeps nonces rising over restarts.

The venue takes a nonce once for each signing key, so two processes with one key would refuse each other's orders at
random. Connecting takes an exclusive `flock` on a file for (network, signer) under the state directory; connectors of
one process share it. The file holds the owner's pid, and a nonce that is ahead of all that were given out: after a
restart nonces begin above it, whatever the clock says then. Loopback networks take no lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from hlfast.config import Network, StateDirectory
from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.nonce import NonceManager, nonce_manager_for

AHEAD_MS = 10_000
"""How far the kept nonce is ahead of the last one: what may be given out before it is written again."""

_held: dict[Path, SignerLock] = {}


class SignerLock:
    """Use `SignerLock.take(...)` and `release()`; each taker releases once."""

    def __init__(self, path: Path, descriptor: int, nonces: NonceManager) -> None:
        self.path, self._descriptor, self._nonces = path, descriptor, nonces
        self._users = 1
        self._pid = os.getpid()
        self._kept = 0

    @classmethod
    def take(cls, network: Network, signer: str, directory: Path | None = None) -> SignerLock | None:
        """The lock of this signer; None for a loopback network. Raises `ConfigError` if another process has it."""
        if network.is_loopback:
            return None
        folder = (directory or StateDirectory().ensure()) / "signers"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{network.name}-{signer.lower()}"
        shared = _held.get(path)
        if shared is not None and shared._pid != os.getpid():
            del _held[path]  # inherited by a fork: it is the parent's
            shared = None
        if shared is not None:
            shared._users += 1
            return shared
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(descriptor, 64, 0).split()
            os.close(descriptor)
            raise ConfigError(
                f"another process (pid {owner[0].decode() if owner else 'not known'}) trades with the signer {signer} on "
                f"{network.name}; two would refuse each other's nonces: stop it, use another agent key, or go through the gateway"
            ) from None
        lock = cls(path, descriptor, nonce_manager_for(signer))
        kept = os.pread(descriptor, 64, 0).split()
        if len(kept) == 2 and kept[1].isdigit():
            lock._nonces.fast_forward(int(kept[1]))
        _held[path] = lock
        lock.keep()
        return lock

    def keep(self) -> None:
        """Write down a nonce ahead of the last one, where that has been caught up with. Call about once a second."""
        last = self._nonces.last
        if last + AHEAD_MS // 2 < self._kept:
            return
        self._kept = last + AHEAD_MS
        os.pwrite(self._descriptor, f"{os.getpid():>10} {self._kept:>20}\n".encode(), 0)

    def release(self) -> None:
        self._users -= 1
        if self._users:
            return
        self.keep()
        os.close(self._descriptor)  # which ends the flock
        del _held[self.path]
