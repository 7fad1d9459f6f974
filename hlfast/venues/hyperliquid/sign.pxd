from libc.stdint cimport int64_t, uint64_t

from hlfast.venues.hyperliquid.nonce_pool cimport NoncePool, Pool

cdef enum:
    SIGNATURE_JSON = 154                     # bytes that write_signature writes

cdef int keccak256_into(const unsigned char* data, size_t size, unsigned char* out32) noexcept nogil

cdef class Signer:
    cdef unsigned char* _key
    cdef Pool* _prepared                     # NULL without a pool
    cdef int _signing                        # how many threads are
    cdef int _closed
    cdef readonly str address                # lower case, 0x + 40 hex
    cdef readonly object allow               # frozenset of action types, or None for all
    cdef readonly NoncePool pool             # None without prepared nonces
    cdef object __weakref__
    # r (32) s (32) recovery id (1) of an L1 action's msgpack. vault: 20 bytes or NULL; expires_after: -1 for none.
    cdef int sign_action_bytes(
        self, const unsigned char* packed, Py_ssize_t size, uint64_t nonce, const unsigned char* vault,
        int64_t expires_after, bint is_mainnet, unsigned char* out65) except -1
    # the same as JSON, {"r":"0x...","s":"0x...","v":27}: SIGNATURE_JSON bytes
    cdef Py_ssize_t write_signature(
        self, const unsigned char* packed, Py_ssize_t size, uint64_t nonce, const unsigned char* vault,
        int64_t expires_after, bint is_mainnet, unsigned char* out) except -1
    cdef int sign_digest(self, const unsigned char* digest32, bint prepared, unsigned char* out65) except -1
    cdef int _check_allowed(self, object kind) except -1
    cdef int _close(self) except -1
