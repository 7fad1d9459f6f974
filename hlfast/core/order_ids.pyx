"""Names for orders (layer 1, hot): client order ids for people, cloids for the venue.

A client order id is `PREFIX-<epoch ns>-<counter>`, at most 36 characters; its ns part rises strictly. A cloid is `0x`
and 128 bits in hex: a 4-byte tag of this connector, 4 random bytes of this run, an 8-byte counter from a random start.
Both are unique over threads (one step under the interpreter lock), instances (random starts) and restarts.
"""

from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from hlfast.clock cimport now_ns
from hlfast.core.fixed cimport write_digits

import os

from hlfast.errors import ConfigError


# One clock and counter for all instances of the process: two of them never give the same id, also on a frozen clock.
cdef int64_t _last_ns = 0
cdef int64_t _counter = int.from_bytes(os.urandom(4), "big") % 1_000_000


cdef class ClientOrderIds:
    """`next()` gives a client order id that no other order has. `prefix`: 1 to 8 letters or digits."""

    def __init__(self, str prefix="hl"):
        if not 1 <= len(prefix) <= 8 or not prefix.isalnum() or not prefix.isascii():
            raise ConfigError(f"a client order id prefix has 1 to 8 letters or digits, got {prefix!r}")
        self.prefix = prefix
        self._size = <int>len(prefix)
        head = prefix.encode()
        memcpy(self._head, <char*>head, self._size)

    cdef str take(self, int64_t now):
        """`now`: epoch ns."""
        global _last_ns, _counter
        cdef char text[40]
        cdef int n, size = self._size
        _last_ns = now if now > _last_ns else _last_ns + 1
        _counter = (_counter + 1) % 1_000_000
        memcpy(text, self._head, size)
        text[size] = 45  # -
        n = size + 1
        n += write_digits(text + n, <uint64_t>_last_ns)
        text[n] = 45
        n += 1
        n += write_digits(text + n, <uint64_t>_counter)
        return PyUnicode_DecodeASCII(text, n, NULL)

    def next(self):
        return self.take(now_ns())


cdef class Cloids:
    """`next()` gives a cloid. `is_own(cloid)` tells whether it carries this tag (8 hex digits; a random one if None)."""

    def __init__(self, tag=None):
        tag = os.urandom(4).hex() if tag is None else tag
        if len(tag) != 8 or any(c not in "0123456789abcdef" for c in tag):
            raise ConfigError(f"a cloid tag is 8 lower-case hex digits, got {tag!r}")
        self.tag = tag
        head = f"0x{tag}{os.urandom(4).hex()}".encode()
        memcpy(self._head, <char*>head, 18)
        self._counter = int.from_bytes(os.urandom(6), "big") + 1

    cdef str take(self):
        cdef char text[34]
        cdef const char* digits = "0123456789abcdef"
        cdef uint64_t value
        cdef int i
        self._counter += 1
        value = self._counter
        memcpy(text, self._head, 18)
        for i in range(16):
            text[33 - i] = digits[value & 15]
            value >>= 4
        return PyUnicode_DecodeASCII(text, 34, NULL)

    def next(self):
        return self.take()

    cpdef bint is_own(self, str cloid) except -1:
        return cloid is not None and cloid[2:10] == self.tag
