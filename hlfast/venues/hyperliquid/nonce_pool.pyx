# cython: linetrace=False
# Tracing takes the GIL for each line, also in the thread that must never hold it.
"""Prepared nonces (layer 2, hot): the curve multiplication of a signature, done before there is anything to sign.

ECDSA is s = 1/k (z + r d) mod n, and only r = x(k G) is slow; it does not depend on the message. A thread at the lowest
priority, which never holds the GIL, prepares triples (1/k, r, recovery id). `sign_prepared` takes one out and wipes it,
and then needs three multiplications and additions mod n, all libsecp256k1's own constant-time code. docs/prepared_nonces.md
says what this risks: whoever sees two signatures with one k has the key. Hence:

* k is libsecp256k1's RFC 6979 generator over the key, 32 fresh bytes of the system's generator, a counter and the clocks.
* A triple is claimed by one compare-and-swap of `head`, and wiped in its slot before it is used.
* Key, counter, triples and all that is secret on the way lie in one private mapping that a fork wipes. Where the system
  cannot do that, the pool stays off and says so. It is never pickled or copied.
* A step of the wall clock against the monotonic one (a suspend) empties the pool. Each triple carries its era.
* Every signature is recovered by the thread, and its slot is not filled anew before that. One that is not the key's own
  ends the pool: `error` is set, `on_disabled` called, and everything after it is signed by RFC 6979, as is whatever the
  pool cannot serve.

Slots are a ring: checked <= head <= tail <= checked + size. Only the thread (or who has stopped it) moves `checked` and
`tail`; `head` belongs to who signs.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from hlfast.clock cimport mono_ns, now_ns, wall_less_mono_ns
from hlfast.venues.hyperliquid cimport secp256k1 as ec

cimport cython

import atexit
import logging
import os
import threading
import warnings
import weakref

from hlfast.errors import BuildMismatch, ConfigError

cdef extern from *:
    """
    #include <pthread.h>
    #include <signal.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <unistd.h>
    #if defined(__linux__)
    #include <linux/futex.h>
    #include <sys/random.h>
    #include <sys/resource.h>
    #include <sys/syscall.h>
    #endif

    typedef struct { unsigned char inverse[32], r[32]; } hlfast_triple;      /* the recovery id stands in the slot */
    typedef struct { unsigned char digest[32], signature[65]; } hlfast_made; /* once it is signed, until it is verified */
    typedef struct { _Alignas(64) uint64_t era; uint32_t state, recid; hlfast_triple triple; hlfast_made made; } hlfast_slot;
    typedef struct { unsigned char k[32], entropy[32], seed[32], inverse[32], square[32], powers[16][32]; } hlfast_work;

    typedef struct {
        uint32_t magic;                           /* 0 after a fork */
        int64_t clock_offset;
        uint64_t era, counter;
        unsigned char key[32];
        hlfast_work work;
        _Alignas(64) uint64_t head;
        _Alignas(64) uint64_t tail, checked;
        hlfast_slot slots[];
    } hlfast_pool_memory;

    #define hlfast_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define hlfast_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define hlfast_count(p) ((void)__atomic_fetch_add((p), 1, __ATOMIC_RELAXED), 1)
    #define hlfast_next_era(p) ((void)__atomic_fetch_add((p), 1, __ATOMIC_ACQ_REL), 1)
    #define hlfast_swap(p, seen, next) __atomic_compare_exchange_n((p), (seen), (next), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

    static inline int hlfast_clear(void *p, size_t n) {
        memset(p, 0, n);
        __asm__ __volatile__("" : : "r"(p) : "memory");  /* as far as the compiler knows, somebody reads the zeros */
        return 0;
    }

    #if HLFAST_DEBUG
    static int hlfast_no_advice = 0, hlfast_keep_mapping = 0;
    static int hlfast_switch(int advice, int keep) { hlfast_no_advice = advice; hlfast_keep_mapping = keep; return 0; }
    static int hlfast_injected(uint32_t *inject, uint32_t *hits, uint32_t which) {
        if (!(__atomic_fetch_and(inject, ~which, __ATOMIC_ACQ_REL) & which)) return 0;
        __atomic_fetch_add(hits, 1, __ATOMIC_ACQ_REL);
        return 1;
    }
    #else
    enum { hlfast_no_advice = 0, hlfast_keep_mapping = 0 };
    #define hlfast_injected(inject, hits, which) 0
    #define hlfast_switch(advice, keep) 0
    #endif

    /* Memory that a fork wipes; NULL where there is none. */
    static hlfast_pool_memory *hlfast_map(uint32_t slots, size_t *bytes) {
    #if defined(__linux__) && defined(MADV_WIPEONFORK) && defined(MADV_DONTDUMP)
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        size_t size = (sizeof(hlfast_pool_memory) + slots * sizeof(hlfast_slot) + page - 1) / page * page;
        void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) return NULL;
        if (hlfast_no_advice || madvise(at, size, MADV_WIPEONFORK) != 0 || madvise(at, size, MADV_DONTDUMP) != 0) {
            munmap(at, size);
            return NULL;
        }
        (void)!mlock(at, size);
        *bytes = size;
        return (hlfast_pool_memory *)at;
    #else
        (void)slots; (void)bytes;
        return NULL;
    #endif
    }

    static int hlfast_unmap(hlfast_pool_memory *m, size_t bytes) {
        hlfast_clear(m, bytes);
        if (hlfast_keep_mapping) return 0;
        munlock(m, bytes);
        return munmap(m, bytes);
    }

    static int hlfast_entropy(unsigned char *out32) {
    #if defined(__linux__)
        return getentropy(out32, 32) == 0;
    #else
        (void)out32;
        return 0;
    #endif
    }

    /* Until `word` is not 0 or the time has passed. */
    static int hlfast_doze(uint32_t *word, int64_t ns) {
    #if defined(__linux__)
        struct timespec t = {ns / 1000000000, ns % 1000000000};
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
    #endif
        return 0;
    }

    static int hlfast_rouse(uint32_t *word) {
        hlfast_store(word, 1);
    #if defined(__linux__)
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    #endif
        return 0;
    }

    static int hlfast_lowest_priority(void) {
    #if defined(__linux__)
        pthread_setname_np(pthread_self(), "hlfast-nonces");
        return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);  /* of this thread alone */
    #endif
        return 0;
    }

    /* Signals are for the interpreter's threads. */
    static int hlfast_spawn(unsigned long *thread, void *(*run)(void *), void *argument) {
        sigset_t all, before;
        pthread_t made;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int failed = pthread_create(&made, NULL, run, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (!failed) *thread = (unsigned long)made;
        return failed;
    }
    static int hlfast_join(unsigned long thread) { return pthread_join((pthread_t)thread, NULL); }
    """
    ctypedef struct Triple "hlfast_triple":
        unsigned char inverse[32]
        unsigned char r[32]
    ctypedef struct Made "hlfast_made":
        unsigned char digest[32]
        unsigned char signature[65]
    ctypedef struct Slot "hlfast_slot":
        uint64_t era
        uint32_t state
        uint32_t recid
        Triple triple
        Made made
    ctypedef struct Work "hlfast_work":
        unsigned char k[32]
        unsigned char entropy[32]
        unsigned char seed[32]
        unsigned char inverse[32]
        unsigned char square[32]
        unsigned char powers[16][32]
    ctypedef struct Memory "hlfast_pool_memory":
        uint32_t magic
        int64_t clock_offset
        uint64_t era
        uint64_t counter
        unsigned char key[32]
        Work work
        uint64_t head
        uint64_t tail
        uint64_t checked
        Slot slots[1]
    int HLFAST_DEBUG
    int debug_switch "hlfast_switch"(bint no_advice, bint keep_mapping) noexcept nogil
    uint32_t load32 "hlfast_load"(uint32_t* p) noexcept nogil
    uint64_t load "hlfast_load"(uint64_t* p) noexcept nogil
    int64_t load_signed "hlfast_load"(int64_t* p) noexcept nogil
    int store32 "hlfast_store"(uint32_t* p, uint32_t value) noexcept nogil
    int store "hlfast_store"(uint64_t* p, uint64_t value) noexcept nogil
    int count "hlfast_count"(uint64_t* p) noexcept nogil
    int next_era "hlfast_next_era"(uint64_t* p) noexcept nogil
    bint swap "hlfast_swap"(uint64_t* p, uint64_t* seen, uint64_t next) noexcept nogil
    bint swap_signed "hlfast_swap"(int64_t* p, int64_t* seen, int64_t next) noexcept nogil
    int wipe "hlfast_clear"(void* p, size_t n) noexcept nogil
    bint injected "hlfast_injected"(uint32_t* inject, uint32_t* hits, uint32_t which) noexcept nogil
    Memory* map_memory "hlfast_map"(uint32_t slots, size_t* size) noexcept nogil
    int unmap_memory "hlfast_unmap"(Memory* m, size_t size) noexcept nogil
    bint entropy "hlfast_entropy"(unsigned char* out32) noexcept nogil
    int doze "hlfast_doze"(uint32_t* word, int64_t ns) noexcept nogil
    int rouse "hlfast_rouse"(uint32_t* word) noexcept nogil
    int lowest_priority "hlfast_lowest_priority"() noexcept nogil
    int spawn "hlfast_spawn"(unsigned long* thread, void* (*run)(void*) noexcept nogil, void* argument) noexcept nogil
    int join "hlfast_join"(unsigned long thread) noexcept nogil

cdef extern from "Python.h":
    int Py_AddPendingCall(int (*call)(void*) noexcept, void* argument) noexcept nogil

cdef enum:
    MAGIC = 0x706F6F6C
    # the states of a slot
    READY = 1
    SIGNED = 2
    DISCARDED = 3
    # edges that a debug build injects, once each
    NO_ENTROPY = 1
    NONCE_OUT_OF_RANGE = 2
    X_ABOVE_ORDER = 4
    WRONG_INVERSE = 8
    RECID_HIGH = 16
    MUL_R_FAILS = 32
    ADD_Z_FAILS = 64
    MUL_INVERSE_FAILS = 128
    WRONG_SIGNATURE = 256
    # the thread: so many triples and checks (about 30 us each) in one go, then so long a rest: half a core at the most
    CHUNK = 4
    REST_NS = 250000
    # with nothing to do it looks again after a while, longer and longer: who signs never wakes it, which would be a system call
    SHORTEST_NAP_NS = 1000000
    LONGEST_NAP_NS = 32000000
    STEP_NS = 100000000

MAX_SIZE = 16384

cdef unsigned char ORDER[32]
cdef unsigned char HALF_ORDER[32]
cdef unsigned char ORDER_LESS_2[32]
cdef unsigned char ONE[32]
cdef const char* DOMAIN = "hlfast/prepared1"  # 16 bytes: never the generator's stream for a signature of RFC 6979

_REASONS = ("empty", "discontinuity", "edge", "forked", "stopped", "mismatch", "unavailable")
_STATES = {
    FORKED: "off: this process was forked from the signer's",
    STOPPED: "off: stopped",
    MISMATCH: "off: a signature did not verify",
    UNAVAILABLE: "off: this system cannot wipe memory in a forked child",
}
_pools = weakref.WeakSet()
_log = logging.getLogger(__name__)


# -- arithmetic mod n, by libsecp256k1 ----------------------------------------------------------------------------------
cdef int _times(unsigned char* value, const unsigned char* factor) noexcept nogil:
    return ec.seckey_tweak_mul(ec.ctx, value, factor)


cdef int _invert(Work* w) noexcept nogil:
    """inverse = 1/k = k^(n-2), four bits of the exponent at a time. It is public: what is done never depends on k.

    libsecp256k1 exports no inverse. Two signatures with one k hold 1/k and r too, as their difference; that costs the same
    (26 us against 14 here and 12 for the point), and gives no k to check the result with.
    """
    cdef int i, j, digit
    cdef int ok = 1
    memcpy(w.powers[1], w.k, 32)
    for i in range(2, 16):
        memcpy(w.powers[i], w.powers[i - 1], 32)
        ok &= _times(w.powers[i], w.k)
    memcpy(w.inverse, w.powers[15], 32)  # the first digit of n - 2 is 15
    for i in range(1, 64):
        for j in range(4):
            memcpy(w.square, w.inverse, 32)
            ok &= _times(w.inverse, w.square)
        digit = (ORDER_LESS_2[i // 2] >> (0 if i & 1 else 4)) & 15
        if digit:
            ok &= _times(w.inverse, w.powers[digit])
    return ok


cdef int _subtract_order(unsigned char* value) noexcept nogil:
    """`value` less n, where it is not below n. Digests are public."""
    cdef int i, digit, borrow = 0
    for i in range(31, -1, -1):
        digit = <int>value[i] - <int>ORDER[i] - borrow
        borrow = digit < 0
        value[i] = <unsigned char>(digit & 0xFF)
    return 0


cdef int _finish(
    const unsigned char* key, const Triple* triple, uint32_t recid, const unsigned char* digest32, unsigned char* out65,
    Pool* p) noexcept nogil:
    """s = 1/k (z + r d), made low; 0 where an operation refuses. `p`: for injected edges, or NULL."""
    cdef unsigned char s[32]
    cdef unsigned char z[32]
    cdef int ok
    memcpy(z, digest32, 32)
    if memcmp(z, ORDER, 32) >= 0:
        _subtract_order(z)
    memcpy(s, key, 32)
    ok = recid < 2 and _times(s, triple.r) and not (p != NULL and injected(&p.inject, &p.hits, MUL_R_FAILS))
    ok = ok and ec.seckey_tweak_add(ec.ctx, s, z) and not (p != NULL and injected(&p.inject, &p.hits, ADD_Z_FAILS))
    ok = ok and _times(s, triple.inverse) and not (p != NULL and injected(&p.inject, &p.hits, MUL_INVERSE_FAILS))
    if ok and memcmp(s, HALF_ORDER, 32) > 0:  # -s is the signature with -k, whose point has the other parity
        ok = ec.seckey_negate(ec.ctx, s)
        recid ^= 1
    if ok:
        memcpy(out65, triple.r, 32)
        memcpy(out65 + 32, s, 32)
        out65[64] = <unsigned char>recid
    wipe(s, 32)
    return ok


cdef int _is_by(const unsigned char* pubkey65, const unsigned char* digest32, const unsigned char* signature65) noexcept nogil:
    """1 if the signature is low and the key that it recovers to is `pubkey65`."""
    cdef unsigned char parsed[65]
    cdef unsigned char pubkey[64]
    cdef unsigned char text[65]
    cdef size_t n = 65
    if signature65[64] > 3 or memcmp(signature65 + 32, HALF_ORDER, 32) > 0:
        return 0
    if not ec.parse_compact(ec.ctx, parsed, signature65, signature65[64]) or not ec.recover(ec.ctx, pubkey, parsed, digest32):
        return 0
    ec.pubkey_serialize(ec.ctx, text, &n, pubkey, ec.UNCOMPRESSED)
    return memcmp(text, pubkey65, 65) == 0


# -- preparing ----------------------------------------------------------------------------------------------------------
cdef int _draw(Memory* m) noexcept nogil:
    """A nonce in `m.work.k`: hedged, so that neither a weak generator nor a repeated state of it alone gives one twice."""
    cdef int64_t mono = mono_ns(), wall = now_ns(), offset = wall_less_mono_ns()
    cdef Work* w = &m.work
    if not entropy(w.entropy):
        return 0
    m.counter += 1
    memcpy(w.seed, &m.counter, 8)
    memcpy(w.seed + 8, &mono, 8)
    memcpy(w.seed + 16, &wall, 8)
    memcpy(w.seed + 24, &offset, 8)
    return ec.nonce_rfc6979(w.k, w.seed, m.key, <const unsigned char*>DOMAIN, w.entropy, 0)


cdef int _prepare(Pool* p, Slot* slot) noexcept nogil:
    """A triple in `slot`; 0 if this nonce cannot be used. Leaves nothing secret elsewhere."""
    cdef Memory* m = <Memory*>p.memory
    cdef Work* w = &m.work
    cdef unsigned char pubkey[64]
    cdef unsigned char point[33]
    cdef size_t n = 33
    cdef int ok
    ok = not injected(&p.inject, &p.hits, NO_ENTROPY) and _draw(m)
    if injected(&p.inject, &p.hits, NONCE_OUT_OF_RANGE):
        memcpy(w.k, ORDER, 32)
    ok = ok and ec.seckey_verify(ec.ctx, w.k) and ec.pubkey_create(ec.ctx, pubkey, w.k)
    if ok:
        ec.pubkey_serialize(ec.ctx, point, &n, pubkey, ec.COMPRESSED)
        if injected(&p.inject, &p.hits, X_ABOVE_ORDER):
            memcpy(point + 1, ORDER, 32)
        ok = memcmp(point + 1, ORDER, 32) < 0 and _invert(w)  # else the recovery id would be 2 or 3
    if ok:
        slot.recid = point[0] & 1
        memcpy(slot.triple.r, point + 1, 32)
        memcpy(slot.triple.inverse, w.inverse, 32)
        if injected(&p.inject, &p.hits, WRONG_INVERSE):
            w.inverse[31] ^= 1
        ok = _times(w.inverse, w.k) and memcmp(w.inverse, ONE, 32) == 0
    wipe(w, sizeof(Work))
    if not ok:
        wipe(&slot.triple, sizeof(Triple))
    return ok


cdef bint _stepped(Memory* m) noexcept nogil:
    """Whether the wall clock has stepped against the monotonic one. A reading that was interrupted is taken again."""
    cdef int64_t step
    cdef int i
    for i in range(8):
        step = wall_less_mono_ns() - load_signed(&m.clock_offset)
        if -STEP_NS < step < STEP_NS:
            return False
    return True


cdef int _empty(Pool* p, bint reanchor) noexcept nogil:
    """Discard every triple that is ready. `reanchor`: because the clocks stepped, and this is the offset from now on."""
    cdef Memory* m = <Memory*>p.memory
    cdef int64_t before = load_signed(&m.clock_offset)
    cdef uint64_t at, head, tail
    cdef Slot* slot
    next_era(&m.era)  # first: a triple that is prepared or claimed meanwhile is of the old one
    head = load(&m.head)
    while True:
        tail = load(&m.tail)
        if head >= tail:
            break
        if swap(&m.head, &head, tail):
            for at in range(head, tail):
                slot = &m.slots[at % p.size]
                wipe(&slot.triple, sizeof(Triple))
                count(&p.discarded)
                store32(&slot.state, DISCARDED)
            break
    if reanchor and swap_signed(&m.clock_offset, &before, wall_less_mono_ns()):
        count(&p.emptied)
    return 0


cdef int _fill_one(Pool* p) noexcept nogil:
    """Prepare the next triple: 1 if there is one more."""
    cdef Memory* m = <Memory*>p.memory
    cdef Slot* slot
    if load32(&p.off) or m.tail - m.checked >= p.size:
        return 0
    slot = &m.slots[m.tail % p.size]
    slot.era = load(&m.era)
    if _prepare(p, slot):
        store32(&slot.state, READY)
        store(&m.tail, m.tail + 1)
        count(&p.prepared)
        return 1
    count(&p.discarded)
    return 0


# -- signing ------------------------------------------------------------------------------------------------------------
cdef int sign_prepared(Pool* p, const unsigned char* digest32, unsigned char* out65) noexcept nogil:
    cdef Memory* m = <Memory*>p.memory
    cdef Slot* slot
    cdef uint64_t head
    cdef Triple triple
    cdef uint32_t recid
    cdef int ok
    if load32(&p.off):
        count(&p.fallbacks[load32(&p.off)])
        return 0
    if m.magic != MAGIC:
        count(&p.fallbacks[FORKED])
        return 0
    if _stepped(m):
        _empty(p, True)
        count(&p.fallbacks[DISCONTINUITY])
        return 0
    head = load(&m.head)
    while True:
        if head >= load(&m.tail):
            count(&p.fallbacks[EMPTY])
            return 0
        if swap(&m.head, &head, head + 1):
            break
    slot = &m.slots[head % p.size]
    triple = slot.triple
    recid = slot.recid
    wipe(&slot.triple, sizeof(Triple))
    if injected(&p.inject, &p.hits, RECID_HIGH):
        recid |= 2
    if slot.era != load(&m.era):
        ok = 0
        count(&p.fallbacks[DISCONTINUITY])
    else:
        ok = _finish(m.key, &triple, recid, digest32, out65, p)
        if not ok:
            count(&p.fallbacks[EDGE])
    wipe(&triple, sizeof(triple))
    if not ok:
        count(&p.discarded)
        store32(&slot.state, DISCARDED)
        return 0
    memcpy(slot.made.digest, digest32, 32)
    memcpy(slot.made.signature, out65, 65)
    if injected(&p.inject, &p.hits, WRONG_SIGNATURE):
        slot.made.signature[40] ^= 1
    count(&p.used)
    store32(&slot.state, SIGNED)
    return 1


# -- verifying, and the thread ------------------------------------------------------------------------------------------
cdef int _check_one(Pool* p) noexcept nogil:
    """Verify the oldest signature that is not verified, and give its slot back: 1 if there was something to do."""
    cdef Memory* m = <Memory*>p.memory
    cdef Slot* slot
    cdef uint32_t state
    if m.checked >= load(&m.head):
        return 0
    slot = &m.slots[m.checked % p.size]
    state = load32(&slot.state)
    if state == READY:
        return 0  # claimed, and being signed with
    if state == SIGNED:
        if _is_by(p.pubkey, slot.made.digest, slot.made.signature):
            count(&p.verified)
        else:
            store32(&p.off, MISMATCH)
            count(&p.mismatches)
            _empty(p, False)
    wipe(&slot.made, sizeof(Made))
    m.checked += 1
    return 1


cdef void* _run(void* argument) noexcept nogil:
    cdef Pool* p = <Pool*>argument
    cdef int64_t nap = SHORTEST_NAP_NS
    cdef int i, did, worked
    lowest_priority()
    while not load32(&p.word):
        if _stepped(<Memory*>p.memory):
            _empty(p, True)
        worked = 0
        for i in range(CHUNK):
            did = _check_one(p)
            did |= _fill_one(p)  # in turn, so that after a burst neither waits for all of the other
            if not did or load32(&p.word):
                break
            worked = 1
        if p.mismatches and not p.told and Py_AddPendingCall(_tell, NULL) == 0:
            p.told = 1
        nap = SHORTEST_NAP_NS if worked else min(2 * nap, <int64_t>LONGEST_NAP_NS)
        doze(&p.word, REST_NS if i == CHUNK - 1 else nap)
    return NULL


cdef int _tell(void* unused) noexcept:
    """In the main thread, between two of its instructions: say what disabled a pool."""
    for pool in list(_pools):
        (<NoncePool>pool)._tell_owner()
    return 0


@cython.no_gc_clear  # a signer that is collected together with it closes it
cdef class NoncePool:
    """The prepared nonces of one `Signer(key, nonce_pool=N)`: `signer.pool`.

    `size` triples at most, `left` ready, `used` for signatures, `verified` of those in the background, `mismatches` (any
    disables the pool), `prepared` and `discarded` triples, `emptied` times by a step of the clocks, `fallbacks` by reason:
    signatures that were made by RFC 6979 instead. In a forked child the counts go on from the parent's.
    """

    def __cinit__(self, *args, **kwargs):
        self._pool = <Pool*>calloc(1, sizeof(Pool))
        if self._pool == NULL:
            raise MemoryError()
        self._pool.off = STOPPED
        self._lock = threading.Lock()

    def __init__(self, *args, **kwargs):
        raise ConfigError("a pool is made by its signer: Signer(key, nonce_pool=N)")

    def __dealloc__(self):
        if self._pool != NULL:
            self._halt()
            self._unmap()
            free(self._pool)
            self._pool = NULL

    def __repr__(self):
        return f"<NoncePool {self.state}, {self.left} of {self.size} left, {self.used} used>"

    def __reduce__(self):
        raise TypeError("prepared nonces are never pickled or copied: one that is used twice reveals the key")

    def __reduce_ex__(self, protocol):
        raise TypeError("prepared nonces are never pickled or copied: one that is used twice reveals the key")

    def __copy__(self):
        raise TypeError("prepared nonces are never pickled or copied: one that is used twice reveals the key")

    def __deepcopy__(self, memo):
        raise TypeError("prepared nonces are never pickled or copied: one that is used twice reveals the key")

    # -- life ---------------------------------------------------------------------------------------------------------
    def start(self):
        """Prepare nonces in the background. A new signer's pool has been started; this is for after `stop()`."""
        with self._lock:
            if self._running or self._pool.memory == NULL or self._is_forked() or load32(&self._pool.off) not in (0, STOPPED):
                return
            self._pool.word = 0
            store32(&self._pool.off, 0)
            if spawn(&self._thread, _run, self._pool):
                store32(&self._pool.off, STOPPED)
                raise ConfigError("the system gives no thread for prepared nonces; use nonce_pool=0")
            self._running = True

    def stop(self):
        """End the thread, verify what is left to verify, and discard all triples. Signatures are made by RFC 6979."""
        with self._lock:
            self._halt()

    cdef bint _is_forked(self) noexcept nogil:
        cdef Memory* m = <Memory*>self._pool.memory
        return load32(&self._pool.off) == FORKED or (m != NULL and m.magic != MAGIC)

    cdef int _halt(self) noexcept:
        """End the thread; without it, verify and discard what is there."""
        cdef Pool* p = self._pool
        if p.memory == NULL or self._is_forked():
            self._running = False  # a child has not the thread of its parent
            return 0
        with nogil:
            if self._running:
                rouse(&p.word)
                join(self._thread)
            if not load32(&p.off):
                store32(&p.off, STOPPED)
            _empty(p, False)
            while _check_one(p):
                pass
        self._running = False
        self._tell_owner()
        return 0

    cdef int _close(self) except -1:
        """Stop and wipe for good. Nobody may be signing."""
        with self._lock:
            self._halt()
            self._unmap()
        return 0

    cdef int _unmap(self) noexcept:
        if self._pool.memory != NULL:
            unmap_memory(<Memory*>self._pool.memory, self._pool.bytes)
            self._pool.memory = NULL
            if not self._pool.off:
                self._pool.off = STOPPED
        return 0

    def _after_fork(self):
        self._lock = threading.Lock()
        self._running = False
        if self._pool.memory != NULL:
            store32(&self._pool.off, FORKED)

    def _tell_owner(self):
        if not self._pool.mismatches or self.error is not None:
            return
        self.error = (
            "a signature made with a prepared nonce is not this key's: prepared nonces are off, everything is signed by "
            "RFC 6979 from now on. This is a fault of the machine or of hlfast; please report it, and replace the key"
        )
        _log.critical("%s", self.error)
        if self.on_disabled is not None:
            try:
                self.on_disabled(self.error)
            except Exception:
                _log.exception("on_disabled raised")

    def wait_full(self, double timeout=1.0):
        """Wait until every nonce is prepared, at most `timeout` seconds; returns whether they are. Blocks: for start-up."""
        cdef Pool* p = self._pool
        cdef int64_t deadline
        cdef uint32_t never = 0
        cdef int64_t naps = <int64_t>(timeout * 1000) + 1
        while naps > 0 and self._running and self.left < p.size:
            with nogil:
                doze(&never, 1000000)
            naps -= 1
        return self.left == p.size

    # -- what it says -----------------------------------------------------------------------------------------------
    @property
    def state(self):
        """"on", or "off: " and why."""
        return _STATES[FORKED] if self._is_forked() else _STATES.get(self._pool.off, "on")

    @property
    def size(self):
        return self._pool.size

    @property
    def left(self):
        cdef Memory* m = <Memory*>self._pool.memory
        if m == NULL or m.magic != MAGIC:
            return 0
        return load(&m.tail) - load(&m.head)

    @property
    def used(self):
        return load(&self._pool.used)

    @property
    def verified(self):
        return load(&self._pool.verified)

    @property
    def mismatches(self):
        return load(&self._pool.mismatches)

    @property
    def prepared(self):
        return load(&self._pool.prepared)

    @property
    def discarded(self):
        return load(&self._pool.discarded)

    @property
    def emptied(self):
        return load(&self._pool.emptied)

    @property
    def fallbacks(self):
        return {reason: load(&self._pool.fallbacks[i]) for i, reason in enumerate(_REASONS)}


cdef NoncePool make_pool(const unsigned char* key32, const unsigned char* pubkey65, uint32_t size):
    """A pool of `size` nonces for a key, and its thread. Off, with a warning, where a fork would not wipe it."""
    cdef NoncePool pool = NoncePool.__new__(NoncePool)
    cdef Pool* p = pool._pool
    cdef Memory* m
    p.size = size
    memcpy(p.pubkey, pubkey65, 65)
    p.memory = map_memory(size, &p.bytes)
    if p.memory == NULL:
        p.off = UNAVAILABLE
        warnings.warn(
            "prepared nonces stay off: this system cannot wipe memory in a forked child; signing by RFC 6979",
            RuntimeWarning, stacklevel=2)
        return pool
    m = <Memory*>p.memory
    memcpy(m.key, key32, 32)
    m.clock_offset = wall_less_mono_ns()
    m.magic = MAGIC
    _pools.add(pool)
    pool.start()
    return pool


def _constants():
    cdef bytes order = (2**256 - 0x14551231950B75FC4402DA1732FC9BEBF).to_bytes(32, "big")
    number = int.from_bytes(order, "big")
    cdef bytes half = (number // 2).to_bytes(32, "big"), less_2 = (number - 2).to_bytes(32, "big"), one = (1).to_bytes(32, "big")
    memcpy(ORDER, <char*>order, 32)
    memcpy(HALF_ORDER, <char*>half, 32)
    memcpy(ORDER_LESS_2, <char*>less_2, 32)
    memcpy(ONE, <char*>one, 32)


def _self_test():
    """A triple made and used on the way that the pool takes, and the signatures recovered; a failure refuses to run.

    The key is no secret. Half of the signatures have to be made low.
    """
    cdef bytes key = bytes(range(1, 33)), digest
    cdef unsigned char pubkey[64]
    cdef unsigned char text[65]
    cdef unsigned char out[65]
    cdef size_t n = 65
    cdef Pool p
    cdef Slot slot
    cdef Memory memory
    cdef bint ok
    p.inject = 0
    p.memory = &memory
    memory.counter = 0
    memcpy(memory.key, <char*>key, 32)
    ec.pubkey_create(ec.ctx, pubkey, <const unsigned char*><char*>key)
    ec.pubkey_serialize(ec.ctx, text, &n, pubkey, ec.UNCOMPRESSED)
    ok = _prepare(&p, &slot)
    for first in (0, 1, 2, 3, 252, 253, 254, 255):
        digest = bytes([first]) + b"\xff" * 31  # the last one is above n
        ok = (
            ok and _finish(memory.key, &slot.triple, slot.recid, <const unsigned char*><char*>digest, out, NULL)
            and _is_by(text, <const unsigned char*><char*>digest, out)
        )
    if not ok:
        raise BuildMismatch("signing with a prepared nonce fails on a known key; reinstall hlfast and coincurve together")


def _after_fork_in_child():
    for pool in list(_pools):
        (<NoncePool>pool)._after_fork()


def _stop_all():
    """Before the interpreter takes libsecp256k1's context away."""
    for pool in list(_pools):
        (<NoncePool>pool).stop()


_constants()
_self_test()
os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_stop_all)


# -- debug builds only: inject the edges, and look at the memory ----------------------------------------------------------
_EDGES = {
    "no_entropy": NO_ENTROPY, "nonce_out_of_range": NONCE_OUT_OF_RANGE, "x_above_order": X_ABOVE_ORDER,
    "wrong_inverse": WRONG_INVERSE, "recid_high": RECID_HIGH, "mul_r_fails": MUL_R_FAILS, "add_z_fails": ADD_Z_FAILS,
    "mul_inverse_fails": MUL_INVERSE_FAILS, "wrong_signature": WRONG_SIGNATURE,
}


def _debug_inject(NoncePool pool not None, str edge):
    """The edge happens at its next occasion, once."""
    cdef uint32_t bits = load32(&pool._pool.inject)
    store32(&pool._pool.inject, bits | <uint32_t>_EDGES[edge])


def _debug_hits(NoncePool pool not None):
    return load32(&pool._pool.hits)


def _debug_memory(NoncePool pool not None):
    """All of the pool's mapping; its address and length."""
    cdef char* at = <char*>pool._pool.memory
    return at[: pool._pool.bytes], <size_t>at, pool._pool.bytes


def _debug_at(size_t address, size_t size):
    return (<char*>address)[:size]


def _debug_switch(*, bint no_advice=False, bint keep_mapping=False):
    """`no_advice`: the system refuses it. `keep_mapping`: a closed pool's memory stays mapped, to be looked at."""
    debug_switch(no_advice, keep_mapping)


if not HLFAST_DEBUG:
    del _debug_inject, _debug_hits, _debug_memory, _debug_at, _debug_switch, _EDGES
