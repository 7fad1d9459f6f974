"""Signing (layer 2, hot): keccak, the venue's EIP-712 envelopes, and ECDSA by libsecp256k1 in process.

An L1 action is hashed as msgpack ++ nonce ++ vault ++ expiry, wrapped in the phantom agent and signed (protocol,
section 2.3), by RFC 6979 or with a prepared nonce (`nonce_pool`). libsecp256k1 is coincurve's own copy, called without
coincurve's Python API (`secp256k1`); at import one vector is signed by both ways and a difference is an ImportError.

The key lives in one C buffer, locked into memory where the system allows it, left out of core dumps, wiped on
`close()`. It is not in `repr`, cannot be pickled or copied, and is in no error text. Any thread may sign, and close.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from hlfast.venues.hyperliquid cimport secp256k1
from hlfast.venues.hyperliquid.nonce_pool cimport NoncePool, Pool, make_pool, sign_prepared
from hlfast.venues.hyperliquid.pack cimport pack_order_action

cimport cython

import os
import weakref

from hlfast.errors import BuildMismatch, ConfigError
from hlfast.venues.hyperliquid.nonce_pool import MAX_SIZE as MAX_NONCE_POOL
from hlfast.venues.hyperliquid.wire import encode_action

cdef extern from *:
    """
    #include <sched.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/mman.h>

    static const uint64_t hlfast_rc[24] = {
        0x0000000000000001ULL, 0x0000000000008082ULL, 0x800000000000808aULL, 0x8000000080008000ULL,
        0x000000000000808bULL, 0x0000000080000001ULL, 0x8000000080008081ULL, 0x8000000000008009ULL,
        0x000000000000008aULL, 0x0000000000000088ULL, 0x0000000080008009ULL, 0x000000008000000aULL,
        0x000000008000808bULL, 0x800000000000008bULL, 0x8000000000008089ULL, 0x8000000000008003ULL,
        0x8000000000008002ULL, 0x8000000000000080ULL, 0x000000000000800aULL, 0x800000008000000aULL,
        0x8000000080008081ULL, 0x8000000000008080ULL, 0x0000000080000001ULL, 0x8000000080008008ULL};

    #define ROL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

    /* Keccak-f[1600], the lanes held in registers: theta, then rho and pi by naming, then chi and iota. */
    static void hlfast_keccak_f(uint64_t s[25]) {
        uint64_t a0=s[0],a1=s[1],a2=s[2],a3=s[3],a4=s[4],a5=s[5],a6=s[6],a7=s[7],a8=s[8],a9=s[9],a10=s[10],a11=s[11],
                 a12=s[12],a13=s[13],a14=s[14],a15=s[15],a16=s[16],a17=s[17],a18=s[18],a19=s[19],a20=s[20],a21=s[21],
                 a22=s[22],a23=s[23],a24=s[24];
        uint64_t c0,c1,c2,c3,c4,d0,d1,d2,d3,d4,b0,b1,b2,b3,b4,b5,b6,b7,b8,b9,b10,b11,b12,b13,b14,b15,b16,b17,b18,b19,
                 b20,b21,b22,b23,b24;
        for (int r = 0; r < 24; r++) {
            c0=a0^a5^a10^a15^a20; c1=a1^a6^a11^a16^a21; c2=a2^a7^a12^a17^a22; c3=a3^a8^a13^a18^a23; c4=a4^a9^a14^a19^a24;
            d0=c4^ROL(c1,1); d1=c0^ROL(c2,1); d2=c1^ROL(c3,1); d3=c2^ROL(c4,1); d4=c3^ROL(c0,1);
            b0=a0^d0;            b10=ROL(a1^d1,1);   b20=ROL(a2^d2,62);  b5=ROL(a3^d3,28);   b15=ROL(a4^d4,27);
            b16=ROL(a5^d0,36);   b1=ROL(a6^d1,44);   b11=ROL(a7^d2,6);   b21=ROL(a8^d3,55);  b6=ROL(a9^d4,20);
            b7=ROL(a10^d0,3);    b17=ROL(a11^d1,10); b2=ROL(a12^d2,43);  b12=ROL(a13^d3,25); b22=ROL(a14^d4,39);
            b23=ROL(a15^d0,41);  b8=ROL(a16^d1,45);  b18=ROL(a17^d2,15); b3=ROL(a18^d3,21);  b13=ROL(a19^d4,8);
            b14=ROL(a20^d0,18);  b24=ROL(a21^d1,2);  b9=ROL(a22^d2,61);  b19=ROL(a23^d3,56); b4=ROL(a24^d4,14);
            a0=b0^(~b1&b2);    a1=b1^(~b2&b3);    a2=b2^(~b3&b4);    a3=b3^(~b4&b0);    a4=b4^(~b0&b1);
            a5=b5^(~b6&b7);    a6=b6^(~b7&b8);    a7=b7^(~b8&b9);    a8=b8^(~b9&b5);    a9=b9^(~b5&b6);
            a10=b10^(~b11&b12);a11=b11^(~b12&b13);a12=b12^(~b13&b14);a13=b13^(~b14&b10);a14=b14^(~b10&b11);
            a15=b15^(~b16&b17);a16=b16^(~b17&b18);a17=b17^(~b18&b19);a18=b18^(~b19&b15);a19=b19^(~b15&b16);
            a20=b20^(~b21&b22);a21=b21^(~b22&b23);a22=b22^(~b23&b24);a23=b23^(~b24&b20);a24=b24^(~b20&b21);
            a0 ^= hlfast_rc[r];
        }
        s[0]=a0;s[1]=a1;s[2]=a2;s[3]=a3;s[4]=a4;s[5]=a5;s[6]=a6;s[7]=a7;s[8]=a8;s[9]=a9;s[10]=a10;s[11]=a11;s[12]=a12;
        s[13]=a13;s[14]=a14;s[15]=a15;s[16]=a16;s[17]=a17;s[18]=a18;s[19]=a19;s[20]=a20;s[21]=a21;s[22]=a22;s[23]=a23;
        s[24]=a24;
    }

    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "hlfast's keccak reads lanes in place and needs a little-endian machine"
    #endif

    typedef struct { uint64_t s[25]; unsigned char block[136]; size_t fill; } hlfast_sponge;

    static void hlfast_absorb(hlfast_sponge *k, const unsigned char *data, size_t n) {
        while (n > 0) {
            size_t take = 136 - k->fill < n ? 136 - k->fill : n;
            memcpy(k->block + k->fill, data, take);
            k->fill += take; data += take; n -= take;
            if (k->fill == 136) {
                for (int i = 0; i < 17; i++) { uint64_t lane; memcpy(&lane, k->block + 8 * i, 8); k->s[i] ^= lane; }
                hlfast_keccak_f(k->s);
                k->fill = 0;
            }
        }
    }

    static void hlfast_squeeze(hlfast_sponge *k, unsigned char *out) {
        memset(k->block + k->fill, 0, 136 - k->fill);
        k->block[k->fill] ^= 0x01;
        k->block[135] ^= 0x80;
        for (int i = 0; i < 17; i++) { uint64_t lane; memcpy(&lane, k->block + 8 * i, 8); k->s[i] ^= lane; }
        hlfast_keccak_f(k->s);
        memcpy(out, k->s, 32);
    }

    static void hlfast_wipe(void *p, size_t n) {
        volatile unsigned char *v = (volatile unsigned char *)p;
        while (n--) *v++ = 0;
    }

    /* Whole pages of its own, so that the advice concerns the key alone. */
    static unsigned char *hlfast_key_page(void) {
        void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return NULL;
        (void)!mlock(page, 4096);
    #ifdef MADV_DONTDUMP
        (void)!madvise(page, 4096, MADV_DONTDUMP);
    #endif
        return (unsigned char *)page;
    }
    static void hlfast_key_free(unsigned char *page) {
        hlfast_wipe(page, 4096);
        munlock(page, 4096);
        munmap(page, 4096);
    }

    /* Who signs is counted, and who closes waits for them: the counter and the flag are each written before the other is read. */
    #define hlfast_enter(count) ((void)__atomic_fetch_add((count), 1, __ATOMIC_SEQ_CST), 0)
    #define hlfast_leave(count) ((void)__atomic_fetch_sub((count), 1, __ATOMIC_SEQ_CST), 0)
    #define hlfast_is_set(flag) __atomic_load_n((flag), __ATOMIC_SEQ_CST)
    #define hlfast_set(flag) __atomic_exchange_n((flag), 1, __ATOMIC_SEQ_CST)

    static char hlfast_hex_pairs[512];
    static int hlfast_fill_hex_pairs(void) {
        for (int i = 0; i < 256; i++) {
            hlfast_hex_pairs[2 * i] = "0123456789abcdef"[i >> 4];
            hlfast_hex_pairs[2 * i + 1] = "0123456789abcdef"[i & 15];
        }
        return 0;
    }
    static int hlfast_hex32(char *out64, const unsigned char *raw32) {
        for (int i = 0; i < 32; i++) memcpy(out64 + 2 * i, hlfast_hex_pairs + 2 * raw32[i], 2);
        return 0;
    }
    """
    ctypedef struct hlfast_sponge:
        uint64_t s[25]
        size_t fill
    void hlfast_absorb(hlfast_sponge* k, const unsigned char* data, size_t n) noexcept nogil
    void hlfast_squeeze(hlfast_sponge* k, unsigned char* out) noexcept nogil
    void hlfast_wipe(void* p, size_t n) noexcept nogil
    unsigned char* hlfast_key_page() noexcept nogil
    void hlfast_key_free(unsigned char* page) noexcept nogil
    int enter "hlfast_enter"(int* count) noexcept nogil
    int leave "hlfast_leave"(int* count) noexcept nogil
    int is_set "hlfast_is_set"(int* flag) noexcept nogil
    int set_flag "hlfast_set"(int* flag) noexcept nogil
    int sched_yield() noexcept nogil
    int hlfast_fill_hex_pairs() noexcept nogil
    int hlfast_hex32(char* out64, const unsigned char* raw32) noexcept nogil


cdef extern from *:
    int HLFAST_DEBUG

cdef extern from "Python.h":
    int PyUnicode_1BYTE_KIND
    str PyUnicode_FromKindAndData(int kind, const void* data, Py_ssize_t size)

_signers = weakref.WeakSet()


cdef int keccak256_into(const unsigned char* data, size_t size, unsigned char* out32) noexcept nogil:
    cdef hlfast_sponge k
    memset(&k, 0, sizeof(k))
    hlfast_absorb(&k, data, size)
    hlfast_squeeze(&k, out32)
    return 0


def keccak256(data):
    """Keccak-256 (the original padding, as Ethereum uses it) of bytes."""
    cdef bytes held = bytes(data)
    cdef unsigned char out[32]
    keccak256_into(<const unsigned char*><char*>held, len(held), out)
    return out[:32]


# -- the phantom agent: all but the connection id is constant ---------------------------------------------------------
cdef unsigned char _struct_main[96]      # type hash, keccak("a"), room for the connection id
cdef unsigned char _struct_test[96]
cdef unsigned char _envelope[66]         # 0x19 0x01, domain separator, room for the struct hash
DOMAIN_SEPARATOR = b""


def _prepare():
    global DOMAIN_SEPARATOR
    domain_type = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
    DOMAIN_SEPARATOR = keccak256(
        domain_type + keccak256(b"Exchange") + keccak256(b"1") + (1337).to_bytes(32, "big") + bytes(32)
    )
    agent_type = keccak256(b"Agent(string source,bytes32 connectionId)")
    cdef bytes main = agent_type + keccak256(b"a") + bytes(32)
    cdef bytes test = agent_type + keccak256(b"b") + bytes(32)
    cdef bytes envelope = b"\x19\x01" + DOMAIN_SEPARATOR + bytes(32)
    memcpy(_struct_main, <char*>main, 96)
    memcpy(_struct_test, <char*>test, 96)
    memcpy(_envelope, <char*>envelope, 66)


cdef inline int _write_u64(unsigned char* out, uint64_t value) noexcept nogil:
    cdef int i
    for i in range(8):
        out[7 - i] = <unsigned char>((value >> (8 * i)) & 0xFF)
    return 0


cdef int _connection_id(
    const unsigned char* packed, Py_ssize_t size, uint64_t nonce, const unsigned char* vault, int64_t expires_after,
    unsigned char* out32) noexcept nogil:
    cdef hlfast_sponge k
    cdef unsigned char tail[38]
    cdef int n = 9
    memset(&k, 0, sizeof(k))
    hlfast_absorb(&k, packed, size)
    _write_u64(tail, nonce)
    tail[8] = 0
    if vault != NULL:
        tail[8] = 1
        memcpy(tail + 9, vault, 20)
        n = 29
    if expires_after >= 0:
        tail[n] = 0
        _write_u64(tail + n + 1, <uint64_t>expires_after)
        n += 9
    hlfast_absorb(&k, tail, n)
    hlfast_squeeze(&k, out32)
    return 0


cdef int _agent_digest(const unsigned char* connection_id, bint is_mainnet, unsigned char* out32) noexcept nogil:
    cdef unsigned char struct_[96]
    cdef unsigned char envelope[66]
    if is_mainnet:
        memcpy(struct_, _struct_main, 64)
    else:
        memcpy(struct_, _struct_test, 64)
    memcpy(struct_ + 64, connection_id, 32)
    memcpy(envelope, _envelope, 34)
    keccak256_into(struct_, 96, envelope + 34)
    keccak256_into(envelope, 66, out32)
    return 0


cdef bytes _vault_bytes(object vault):
    """20 raw bytes of an address text, or None."""
    if vault is None:
        return None
    text = vault[2:] if isinstance(vault, str) and vault[:2] in ("0x", "0X") else vault
    try:
        raw = bytes.fromhex(text)
    except (TypeError, ValueError):
        raw = b""
    if len(raw) != 20:
        raise ConfigError(f"a vault address is 0x and 40 hex digits, got {vault!r}")
    return raw


cdef int64_t _expiry(object expires_after) except -2:
    if expires_after is None:
        return -1
    value = int(expires_after)
    if not 0 <= value < 2**63:
        raise ConfigError(f"expires_after is a time in ms since the epoch, got {expires_after!r}")
    return value


cdef uint64_t _nonce(object nonce) except? 0:
    value = int(nonce)
    if not 0 <= value < 2**64:
        raise ConfigError(f"a nonce is a whole number of 64 bits (the time in ms), got {nonce!r}")
    return value


def action_hash(action, nonce, vault_address=None, expires_after=None):
    """The connection id of an L1 action: keccak over its msgpack, nonce, vault and expiry. 32 bytes.

    `action` is a dict (encoded in the venue's field order) or already packed bytes.
    """
    cdef bytes packed = action if isinstance(action, bytes) else encode_action(action)
    cdef bytes vault = _vault_bytes(vault_address)
    cdef unsigned char out[32]
    _connection_id(
        <const unsigned char*><char*>packed, len(packed), _nonce(nonce),
        <const unsigned char*><char*>vault if vault is not None else NULL, _expiry(expires_after), out)
    return out[:32]


def agent_digest(connection_id, bint is_mainnet):
    """The EIP-712 digest of the phantom agent for a 32-byte connection id."""
    cdef bytes held = bytes(connection_id)
    cdef unsigned char out[32]
    if len(held) != 32:
        raise ConfigError(f"a connection id has 32 bytes, got {len(held)}")
    _agent_digest(<const unsigned char*><char*>held, is_mainnet, out)
    return out[:32]


cdef bytes _key_bytes(object key):
    """32 bytes from what was given as a key. No message shows any of it."""
    raw = b""
    if isinstance(key, (bytes, bytearray, memoryview)):
        raw = bytes(key)
    elif isinstance(key, str):
        text = key.strip()
        text = text[2:] if text[:2] in ("0x", "0X") else text
        if len(text) % 2 == 0:
            try:
                raw = bytes.fromhex(text)
            except ValueError:
                raw = b""
        if not raw:
            raise ConfigError(
                f"a private key is 64 hex digits, with or without 0x; got text of {len(text)} characters that is not that"
            )
    else:
        raise ConfigError(f"a private key is hex text or 32 bytes, got {type(key).__name__}")
    if len(raw) == 20:
        raise ConfigError(
            "this looks like an address, not a private key (20 bytes instead of 32); give the wallet's or agent's private key"
        )
    if len(raw) != 32:
        raise ConfigError(f"a private key has 32 bytes (64 hex digits), got {len(raw)} bytes")
    return raw


cdef int _pool_size(object size) except -1:
    if type(size) is not int or not 0 <= size <= MAX_NONCE_POOL:
        raise ConfigError(f"nonce_pool is how many nonces to prepare, 0 (none) to {MAX_NONCE_POOL}, got {size!r}")
    return size


@cython.no_gc_clear  # the pool is needed until the end
cdef class Signer:
    """Signs actions with one private key.

    `key`: hex text (with or without 0x) or 32 bytes. `allow`: the action types it will sign, None for all.
    `nonce_pool`: how many nonces to keep prepared for L1 actions (docs/prepared_nonces.md says what that risks); with 0
    everything is signed by RFC 6979. `pool` shows their state. Raises `ConfigError`, which never shows the key.
    """

    def __cinit__(self, key, *, nonce_pool=0, allow=None):
        cdef bytes raw
        cdef unsigned char pub[64]
        cdef unsigned char ser[65]
        cdef unsigned char hashed[32]
        cdef size_t n = 65
        cdef int size = _pool_size(nonce_pool)
        raw = _key_bytes(key)
        self._key = hlfast_key_page()
        if self._key == NULL:
            raise MemoryError("no memory page for the key")
        memcpy(self._key, <char*>raw, 32)
        hlfast_wipe(<void*><char*>raw, 32) if not isinstance(key, bytes) else None
        if not secp256k1.seckey_verify(secp256k1.ctx, self._key) or not secp256k1.pubkey_create(secp256k1.ctx, pub, self._key):
            raise ConfigError("this is not a private key of secp256k1: it must be above 0 and below the group order")
        secp256k1.pubkey_serialize(secp256k1.ctx, ser, &n, pub, secp256k1.UNCOMPRESSED)
        keccak256_into(ser + 1, 64, hashed)
        self.address = "0x" + (<bytes>hashed[12:32]).hex()
        self.allow = None if allow is None else frozenset(allow)
        _signers.add(self)
        if size:
            self.pool = make_pool(self._key, ser, size)
            self._prepared = self.pool._pool

    def __init__(self, key, *, nonce_pool=0, allow=None):
        pass

    def __dealloc__(self):
        self._close()

    def close(self):
        """Wipe the key and the prepared nonces, after whoever is signing. The signer signs no more."""
        self._close()

    cdef int _close(self) except -1:
        if set_flag(&self._closed):
            return 0
        with nogil:
            while is_set(&self._signing):
                sched_yield()
        if self.pool is not None:
            self.pool._close()
        if self._key != NULL:
            hlfast_key_free(self._key)
            self._key = NULL
        return 0

    def _after_fork(self):
        self._signing = 0  # threads that were signing are not in the child

    def __repr__(self):
        return f"<Signer {self.address}>"

    def __reduce__(self):
        raise TypeError("a Signer holds a private key and is never pickled or copied; make a new one from the key's source")

    def __reduce_ex__(self, protocol):
        raise TypeError("a Signer holds a private key and is never pickled or copied; make a new one from the key's source")

    def __copy__(self):
        raise TypeError("a Signer holds a private key and is never pickled or copied; make a new one from the key's source")

    def __deepcopy__(self, memo):
        raise TypeError("a Signer holds a private key and is never pickled or copied; make a new one from the key's source")

    cdef int sign_digest(self, const unsigned char* digest32, bint prepared, unsigned char* out65) except -1:
        """r, s and recovery id. `prepared`: with a prepared nonce, if there is one. Raises `ConfigError` once closed.

        The GIL is released for a signature by RFC 6979, which takes about 17 us, and not for a prepared one: another
        thread might keep it for milliseconds.
        """
        cdef unsigned char signature[65]
        cdef int recid = 0, ok = 0
        enter(&self._signing)
        if not is_set(&self._closed):
            ok = prepared and self._prepared != NULL and sign_prepared(self._prepared, digest32, out65)
            if not ok:
                with nogil:
                    ok = secp256k1.sign_recoverable(secp256k1.ctx, signature, digest32, self._key, NULL, NULL)
                    if ok:
                        secp256k1.serialize_compact(secp256k1.ctx, out65, &recid, signature)
                        out65[64] = <unsigned char>recid
        leave(&self._signing)
        if not ok:
            raise ConfigError("this signer is closed; make a new one")
        return 0

    cdef int sign_action_bytes(
        self, const unsigned char* packed, Py_ssize_t size, uint64_t nonce, const unsigned char* vault,
        int64_t expires_after, bint is_mainnet, unsigned char* out65) except -1:
        cdef unsigned char digest[32]
        _connection_id(packed, size, nonce, vault, expires_after, digest)
        _agent_digest(digest, is_mainnet, digest)
        return self.sign_digest(digest, True, out65)

    cdef Py_ssize_t write_signature(
        self, const unsigned char* packed, Py_ssize_t size, uint64_t nonce, const unsigned char* vault,
        int64_t expires_after, bint is_mainnet, unsigned char* out) except -1:
        cdef unsigned char made[65]
        self.sign_action_bytes(packed, size, nonce, vault, expires_after, is_mainnet, made)
        memcpy(out, b'{"r":"0x', 8)
        hlfast_hex32(<char*>out + 8, made)
        memcpy(out + 72, b'","s":"0x', 9)
        hlfast_hex32(<char*>out + 81, made + 32)
        memcpy(out + 145, b'","v":27}', 9)
        out[152] += made[64]  # 27 or 28: a recovery id of 2 or 3 does not occur
        return SIGNATURE_JSON

    cdef int _check_allowed(self, object kind) except -1:
        if self.allow is not None and kind not in self.allow:
            raise ConfigError(
                f"this signer does not sign {kind!r} actions; it signs {', '.join(sorted(self.allow))}. "
                f"Name it in allow=[...] if you mean to"
            )
        return 0

    def sign_l1_action(self, action, nonce, *, vault_address=None, expires_after=None, bint is_mainnet=True):
        """Sign an L1 action: {"r", "s", "v"} with un-padded hex as the official SDK writes it."""
        cdef bytes packed = None
        cdef bytes vault = _vault_bytes(vault_address)
        cdef unsigned char buffer[1024]
        cdef unsigned char out[65]
        cdef const unsigned char* text = buffer
        cdef Py_ssize_t size = pack_order_action(action, buffer, sizeof(buffer))
        if not size:
            packed = encode_action(action)
            text, size = <const unsigned char*><char*>packed, len(packed)
        if self.allow is not None:
            self._check_allowed(_kind_of(action))
        self.sign_action_bytes(
            text, size, _nonce(nonce), <const unsigned char*><char*>vault if vault is not None else NULL,
            _expiry(expires_after), is_mainnet, out)
        return _signature(out)

    def sign_user_action(self, action, *, bint is_mainnet=True):
        """Sign a user-signed action (transfers, approvals) as readable typed data: {"r", "s", "v"}.

        `signatureChainId` and `hyperliquidChain` are taken from the action where it has them, else the SDK's are used.
        eth-account encodes the typed data and is imported here; the key stays in this object.
        """
        from hlfast.venues.hyperliquid.user_signed import typed_data_digest

        cdef bytes digest
        cdef unsigned char out[65]
        self._check_allowed(action.get("type"))
        digest = typed_data_digest(action, is_mainnet)
        self.sign_digest(<const unsigned char*><char*>digest, False, out)
        return _signature(out)

    def sign_hash(self, bytes digest not None, kind=None):
        """Sign the 32 bytes of a digest that the caller has made: {"r", "s", "v"}. `kind`: the action type it stands for."""
        cdef unsigned char out[65]
        if len(digest) != 32:
            raise ConfigError(f"a digest has 32 bytes, got {len(digest)}")
        self._check_allowed(kind)
        self.sign_digest(<const unsigned char*><char*>digest, False, out)
        return _signature(out)


cdef object _kind_of(object action):
    """The type of an action, or of the one inside what the signers of a multi-sig account sign: (account, leader, action)."""
    if isinstance(action, (list, tuple)) and len(action):
        action = action[len(action) - 1]
    return action.get("type") if isinstance(action, dict) else None


cdef str _short_hex(const unsigned char* raw32):
    """0x and the digits of a number, without leading zeros, as the official SDK's `hex` writes it."""
    cdef char text[66]
    cdef int start = 2
    hlfast_hex32(text + 2, raw32)
    while start < 65 and text[start] == 48:
        start += 1
    text[start - 2], text[start - 1] = 48, 120
    return PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, text + start - 2, 68 - start)


cdef dict _signature(const unsigned char* out65):
    return {"r": _short_hex(out65), "s": _short_hex(out65 + 32), "v": 27 + out65[64]}


def _self_test():
    """One published vector by the function pointers and by coincurve's Python API; a difference refuses to run."""
    from coincurve import PrivateKey

    key = bytes.fromhex("0123456789012345678901234567890123456789012345678901234567890123")
    cdef Signer signer = Signer(key)
    cdef unsigned char out[65]
    digest = agent_digest(action_hash(b"\x80", 0), False)
    cdef bytes held = digest
    signer.sign_digest(<const unsigned char*><char*>held, False, out)
    theirs = PrivateKey(key).sign_recoverable(digest, hasher=None)
    known = "d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa4040"
    if out[:65] != theirs or signer.address != "0x14791697260e4c9a71f18484c9f997b308e59325" or DOMAIN_SEPARATOR.hex() != known:
        raise BuildMismatch(
            "the compiled signer and coincurve's Python API disagree on a known vector; reinstall hlfast and coincurve together"
        )


def _after_fork_in_child():
    for signer in list(_signers):
        (<Signer>signer)._after_fork()


def _debug_sign_digest(Signer signer not None, bytes digest not None):
    """A debug build signs a bare digest, with a prepared nonce if there is one: r, s and recovery id."""
    cdef unsigned char out[65]
    if len(digest) != 32:
        raise ConfigError("a digest has 32 bytes")
    signer.sign_digest(<const unsigned char*><char*>digest, True, out)
    return out[:65]


def _debug_sign_many(Signer signer not None, uint64_t start, int n):
    """A debug build signs `n` digests (numbers from `start`) without the GIL: what was made with prepared nonces, 65 bytes each."""
    cdef bytearray made = bytearray(65 * n)
    cdef unsigned char* out = made
    cdef unsigned char digest[32]
    cdef int i, done = 0
    memset(digest, 0, 32)
    with nogil:
        enter(&signer._signing)
        for i in range(n):
            _write_u64(digest + 24, start + <uint64_t>i)
            done += sign_prepared(signer._prepared, digest, out + 65 * done)
        leave(&signer._signing)
    return bytes(made[: 65 * done])


if not HLFAST_DEBUG:
    del _debug_sign_digest, _debug_sign_many

hlfast_fill_hex_pairs()
_prepare()
_self_test()
os.register_at_fork(after_in_child=_after_fork_in_child)
