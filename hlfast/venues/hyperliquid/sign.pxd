from libc.stdint cimport int64_t, uint64_t

cdef int keccak256_into(const unsigned char* data, size_t size, unsigned char* out32) noexcept nogil

cdef class Signer:
    cdef unsigned char* _key
    cdef readonly str address                # lower case, 0x + 40 hex
    cdef readonly object allow               # frozenset of action types, or None for all
    # r (32) s (32) recovery id (1) of an L1 action's msgpack. vault: 20 bytes or NULL; expires_after: -1 for none.
    cdef int sign_action_bytes(
        self, const unsigned char* packed, Py_ssize_t size, uint64_t nonce, const unsigned char* vault,
        int64_t expires_after, bint is_mainnet, unsigned char* out65) except -1
    cdef int sign_digest(self, const unsigned char* digest32, unsigned char* out65) noexcept nogil
    cdef int _check_allowed(self, object kind) except -1
