"""Nonces (layer 2, hot): one counter for each signer in the process, max(now in ms, last + 1).

The venue accepts any unused value above the lowest of a signer's 100 kept ones, so uniqueness is all that counts:
`nonce_manager_for(address)` gives every connector of this process the same counter for the same signer. One atomic
compare-and-swap takes a number, from any thread.
"""

from libc.stdint cimport int64_t

import threading

from hlfast.clock cimport wall_ms

from hlfast.errors import ConfigError

cdef extern from *:
    """
    #include <stdint.h>
    static inline int64_t hlfast_take(int64_t *last, int64_t now) {
        int64_t seen = __atomic_load_n(last, __ATOMIC_RELAXED), next;
        do {
            next = now > seen ? now : seen + 1;
        } while (!__atomic_compare_exchange_n(last, &seen, next, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        return next;
    }
    static inline int64_t hlfast_raise_to(int64_t *last, int64_t floor) {
        int64_t seen = __atomic_load_n(last, __ATOMIC_RELAXED);
        while (seen < floor && !__atomic_compare_exchange_n(last, &seen, floor, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {}
        return seen;
    }
    """
    int64_t hlfast_take(int64_t* last, int64_t now) noexcept nogil
    int64_t hlfast_raise_to(int64_t* last, int64_t floor) noexcept nogil

_managers = {}
_lock = threading.Lock()


cdef class NonceManager:
    """The nonces of one signer. Use `nonce_manager_for`, so that connectors share it."""

    def __init__(self, str signer=""):
        self.signer = signer.lower()
        self._last = 0

    def __repr__(self):
        return f"<NonceManager {self.signer} last={self._last}>"

    cdef int64_t take(self) noexcept nogil:
        return hlfast_take(&self._last, wall_ms())

    def next(self):
        """An unused nonce: the time in ms, or one above the last where that is higher."""
        return self.take()

    def next_from(self, int64_t now_ms):
        """As `next`, by the caller's clock: `now_ms`, or one above the last nonce where that is higher."""
        return hlfast_take(&self._last, now_ms)

    @property
    def last(self):
        """The last nonce given out; 0 before the first."""
        return self._last

    def fast_forward(self, nonce):
        """Give out only numbers above `nonce` from now on (after a restart, or a "nonce too low")."""
        if not 0 <= nonce < 2**62:
            raise ConfigError(f"a nonce is a time in ms, got {nonce!r}")
        hlfast_raise_to(&self._last, nonce)

    def reset(self):
        """Forget the last nonce. Only safe when nothing of this signer is under way."""
        self._last = 0


def nonce_manager_for(str address):
    """The one nonce counter of this process for the signer `address`."""
    key = address.lower()
    with _lock:
        found = _managers.get(key)
        if found is None:
            found = _managers[key] = NonceManager(key)
        return found
