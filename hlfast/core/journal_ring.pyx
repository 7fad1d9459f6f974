"""JournalRing: the record of an intent, in a memory-mapped file before a byte leaves (layer 1, hot).

The file is allocated in full and mapped shared: what was put survives a killed process, though not a power loss. One
loop puts, one thread (engine.journal) reads and releases; both hold the interpreter lock, which makes every call here
one step, also from other threads. Records have a number, a size and a check; the number is stored last, so that a torn
record is known as one. A message longer than a record takes several in a row, published by its first.

Nothing that waits is ever overwritten. Three quarters full, or with a drain that fails, `blocked` is set and intents
are refused; what happens to live orders goes into the last quarter, and after that waits in memory, in order.
Prices are int64 scaled by 1e8, sizes int64 in lots. Keys and signatures have no place in any record.

File (little-endian): a page with magic, version, record size, capacity, journal id, run id, and on cache lines of
their own the next number and the oldest undrained one; then the records.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.stdint cimport INT64_MIN, int8_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from hlfast.core.events cimport (
    OrderCancelled, OrderCancelRejected, OrderCompleted, OrderCreated, OrderEvent, OrderExpired, OrderFailed,
    OrderFilled, OrderModified, OrderModifyRejected, OrderStateChanged,
)
from hlfast.core.in_flight_order cimport (
    S_OPEN, S_PARTIALLY_FILLED, S_PENDING_SUBMIT, InFlightOrder, is_finished, lots_in, make_order,
)
from hlfast.core.journal_records cimport (
    CHECKED_AT, E_CANCEL_REJECTED, E_CANCEL_SENT, E_CANCELLED, E_COMPLETED, E_CREATED, E_EXPIRED, E_FAILED, E_MODIFIED,
    E_MODIFY_REJECTED, E_MODIFY_SENT, E_STATE, HEAD_AT, INCOMPLETE, K_EVENT, K_FILL, K_NONCE, K_NOTE, K_ORDER, K_POSITION,
    MESSAGE_MAX, NO_TEXT, PAGE, PAYLOAD, PAYLOAD_AT, REASON_MAX, RECORD, RECORDS_A_PAGE, RECOVERED, TAIL_AT, WARM, EventPart,
    FillPart, NoncePart, NotePart, OrderPart, PositionPart, RecordHead,
)
from hlfast.core.order_tracker cimport ClientOrderTracker
from hlfast.core.position cimport Position
from hlfast.core.updates cimport TradeUpdate, make_trade_update

import mmap
import os
import sys
from decimal import Decimal

from hlfast.core.fixed import scaled_to_decimal
from hlfast.errors import BuildMismatch, ConfigError, ProtocolError, RangeError, VenueReject
from hlfast.types import OrderState, OrderType, PositionAction, Trigger

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #define hlfast_store(where, value) __atomic_store_n((where), (value), __ATOMIC_RELEASE)
    #define hlfast_load(where) __atomic_load_n((where), __ATOMIC_ACQUIRE)
    #define hlfast_fetch(where) __builtin_prefetch((where), 1)
    /* fasthash64: eight bytes a step; 5 to 10 times as quick as a table-driven CRC, and a torn record needs no more */
    static inline uint64_t hlfast_check(const uint8_t *p, size_t n, uint64_t seed) {
        const uint64_t m = 0x880355f21e6d1965ULL;
        uint64_t h = seed ^ (n * m), v;
        for (; n > 0; p += 8, n = n > 8 ? n - 8 : 0) {
            v = 0;
            memcpy(&v, p, n >= 8 ? 8 : n);
            v ^= v >> 23; v *= 0x2127599bf4325c37ULL; v ^= v >> 47;
            h = (h ^ v) * m;
        }
        h ^= h >> 23; h *= 0x2127599bf4325c37ULL;
        return h ^ (h >> 47);
    }
    """
    void hlfast_store(int64_t* where, int64_t value) noexcept nogil
    int64_t hlfast_load(int64_t* where) noexcept nogil
    void hlfast_fetch(void* where) noexcept nogil
    uint64_t hlfast_check(const uint8_t* p, size_t n, uint64_t seed) noexcept nogil

if sys.byteorder != "little":
    raise BuildMismatch("the journal's ring is little-endian, as are all machines that hlfast is built for; this one is not")

KINDS = ("", "order", "event", "fill", "nonce", "position", "note")
EVENTS = (
    "cancel_sent", "modify_sent", "state", "created", "completed", "cancelled", "failed", "expired", "cancel_rejected",
    "modified", "modify_rejected",
)
ENDS = ("completed", "cancelled", "failed", "expired")
BLOCKED = ("", "FULL", "FAILED", "CLOSED")
cdef dict _CODES = {
    OrderCreated: E_CREATED, OrderCompleted: E_COMPLETED, OrderCancelled: E_CANCELLED, OrderFailed: E_FAILED,
    OrderExpired: E_EXPIRED, OrderCancelRejected: E_CANCEL_REJECTED, OrderModifyRejected: E_MODIFY_REJECTED,
}
cdef bytes MAGIC = b"HLFRING\x01"
cdef tuple _TYPES = tuple(OrderType)
cdef tuple _ACTIONS = tuple(PositionAction)
cdef tuple _TYPE_NAMES = tuple([member.name for member in OrderType])
cdef tuple _ACTION_NAMES = tuple([member.name for member in PositionAction])
cdef tuple _STATE_NAMES = tuple([member.name for member in OrderState])
cdef object _D = Decimal


cdef int _place_of(object member, tuple members) except -1:
    """Its place among `members`, by identity: hashing an Enum costs 100 ns."""
    cdef int i
    for i in range(<int>len(members)):
        if members[i] is member:
            return i
    raise ConfigError(f"expected one of {', '.join(str(m) for m in members)}, got {member!r}")


cdef class JournalRing:
    """The ring in the file `path`, which is made with room for `records` if it is not there.

    `records` is rounded up to a power of two; a file that exists keeps its size (see `resize`). Raises `ConfigError`
    for a file that is no ring, `OSError` where the disk has no room.
    """

    def __cinit__(self, *args, **kwargs):
        self.blocked = RING_CLOSED
        self._scratch = <uint8_t*>malloc(MESSAGE_MAX)
        if self._scratch == NULL:
            raise MemoryError()

    def __init__(self, path, records=65_536, *, int64_t journal_id=0):
        self.path = os.fspath(path)
        self.reason = ""
        self._waiting = []
        if not os.path.exists(self.path):
            _make_file(self.path, _capacity_of(records), journal_id, 0, 1)
        self._open()

    def __dealloc__(self):
        if self._mapped:
            PyBuffer_Release(&self._view)
        free(self._scratch)

    def __repr__(self):
        return f"<JournalRing {self.path} {self.used} of {self.capacity} wait{' ' + BLOCKED[self.blocked] if self.blocked else ''}>"

    def _open(self):
        cdef int64_t head, tail
        self._file = open(self.path, "r+b", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        start = self._file.read(PAGE)
        capacity = int.from_bytes(start[16:24], "little")
        if start[:8] != MAGIC or start[12:16] != RECORD.to_bytes(4, "little") or size != PAGE + RECORD * capacity:
            self._file.close()
            raise ConfigError(
                f"{self.path} is not a journal ring of this version ({size} bytes); it was written by something else: "
                "move it away, and the journal makes a new one"
            )
        self._map = mmap.mmap(self._file.fileno(), size)
        PyObject_GetBuffer(self._map, &self._view, PyBUF_WRITABLE)
        self._mapped = True
        self._header = <uint8_t*>self._view.buf
        self._slots = self._header + PAGE
        self.capacity = capacity
        self._limit = capacity - capacity // 4
        tail = hlfast_load(<int64_t*>(self._header + TAIL_AT))
        head = hlfast_load(<int64_t*>(self._header + HEAD_AT))
        self._tail = tail if tail > 0 else 1
        self._find_head(head if head > self._tail else self._tail)
        self.blocked = RING_OPEN

    cdef int _warm(self) noexcept nogil:
        """Touch the pages ahead, so that the order path meets no page fault (2.4 us each): the kernel protects a page anew
        whenever it has written it out. To be called with the interpreter lock held, as everything here."""
        cdef int64_t i = 0
        cdef int64_t* number
        while i < WARM and self._head + i - self._tail < self.capacity:
            number = <int64_t*>(self._slots + ((self._head + i) & (self.capacity - 1)) * RECORD)
            hlfast_store(number, number[0])
            i += RECORDS_A_PAGE
        return 0

    cdef int _find_head(self, int64_t head) except -1:
        """Records that were whole when the process died may be ahead of the page's own count."""
        cdef int64_t i, number
        for i in range(self.capacity):
            number = (<RecordHead*>(self._slots + i * RECORD)).number
            if number >= head and (number & (self.capacity - 1)) == i and self._is_whole(number):
                head = number + 1
        if head - self._tail > self.capacity:
            self.torn += head - self._tail - self.capacity
            self._tail = head - self.capacity
        self._head = head
        hlfast_store(<int64_t*>(self._header + HEAD_AT), head)
        return 0

    def close(self):
        """Unmap the file. What waits in it is found again; repeating it is harmless."""
        self.blocked = RING_CLOSED
        if self._mapped:
            self._mapped = False
            self._header = self._slots = NULL
            PyBuffer_Release(&self._view)
            self._map.close()
            self._file.close()

    def resize(self, records):
        """Another file of this size in place of an empty ring, unless it has it; the numbering goes on."""
        self._check_open()
        if _capacity_of(records) == self.capacity:
            return
        if self.used or self._waits:
            raise ConfigError(f"{self.path}: {self.used} records wait to be drained; only an empty ring can be resized")
        journal_id, run_id, head = self.journal_id, self.run_id, self._head
        self.close()
        _make_file(self.path, _capacity_of(records), journal_id, run_id, head)
        self._open()

    # -- its state --------------------------------------------------------------------------------------------------
    @property
    def head(self):
        """The number that the next record gets."""
        return self._head

    @property
    def tail(self):
        """The number of the oldest record that is not drained."""
        return self._tail

    @property
    def used(self):
        """Records that wait in the file."""
        return self._head - self._tail

    @property
    def waiting(self):
        """Messages that did not fit and wait in memory."""
        return self._waits

    @property
    def journal_id(self):
        self._check_open()
        return (<int64_t*>(self._header + 24))[0]

    @property
    def run_id(self):
        """The run whose records the ring holds."""
        self._check_open()
        return (<int64_t*>(self._header + 32))[0]

    def begin_run(self, int64_t journal_id, int64_t run_id):
        """Name the journal and the run that the records belong to from now on. The ring has to be empty."""
        self._check_open()
        if self.used:
            raise ConfigError(f"{self.path}: {self.used} records of run {self.run_id} wait; drain them first")
        (<int64_t*>(self._header + 24))[0] = journal_id
        (<int64_t*>(self._header + 32))[0] = run_id

    cdef int _check_open(self) except -1:
        if not self._mapped:
            raise ConfigError(f"{self.path} is closed; open the journal again")
        return 0

    def fail(self, str reason):
        """The drain cannot write: refuse intents until `resume`. `reason`: why, and what to do."""
        if self._mapped:
            self.blocked = RING_FAILED
            self.reason = reason

    def resume(self):
        """The drain writes again."""
        if self.blocked == RING_FAILED:
            self.blocked = RING_OPEN
            self.reason = ""
            self.takes(1)

    @property
    def refusal(self):
        """Why intents are refused, for the one whose order it is; empty while they are not."""
        if self.blocked == RING_OPEN:
            return ""
        if self.blocked == RING_FULL:
            return f"the journal is FULL: {self.used} records wait to be drained; it takes orders again when they are"
        if self.blocked == RING_FAILED:
            return f"the journal is FAILED: {self.reason}"
        return "the journal is CLOSED; open it again"

    cdef bint takes(self, int64_t n) noexcept nogil:
        # Two records each: an intent with long names may need them.
        cdef bint full
        if self.blocked == RING_OPEN or self.blocked == RING_FULL:
            full = self._waits > 0 or self._head - self._tail + 2 * n > self._limit
            self.blocked = RING_FULL if full else RING_OPEN
        return self.blocked == RING_OPEN

    def has_room(self, int64_t n):
        """True if `n` more intents would be taken now."""
        return self.takes(n)

    # -- putting ----------------------------------------------------------------------------------------------------
    cpdef int put_intent(self, InFlightOrder order, int64_t nonce, int64_t expires_ms, int64_t now_ns) except -1:
        """What is about to be sent: the whole order, the nonce of its action and its expiry (0: none)."""
        if not self.takes(1):
            return 0
        return self._put_order(order, nonce, expires_ms, now_ns)

    cdef int _put_order(self, InFlightOrder order, int64_t nonce, int64_t expires_ms, int64_t now_ns) except -1:
        cdef OrderPart* p = <OrderPart*>self._scratch
        cdef object trigger = order.trigger
        cdef bint has_trigger = trigger is not None
        cdef bint is_market = trigger.is_market if has_trigger else False
        cdef str kind = trigger.kind if has_trigger else None
        cdef int order_type = _place_of(order.order_type, _TYPES)
        cdef int action = _place_of(order.position_action, _ACTIONS)
        p.nonce = nonce
        p.expires_ms = expires_ms
        p.now_ns = now_ns
        p.created_ns = order.created_ns
        p.px_e8 = order.px_e8
        p.lots = order.lots
        p.trigger_px_e8 = order.trigger_px_e8
        p.asset = order.asset
        p.leverage = order.leverage
        p.sz_decimals = <uint8_t>order.sz_decimals
        p.is_buy = order.is_buy
        p.reduce_only = order.reduce_only
        p.is_external = order.is_external
        p.order_type = <uint8_t>order_type
        p.position_action = <uint8_t>action
        p.trigger_is_market = is_market
        p.has_trigger = has_trigger
        self._size = sizeof(OrderPart)
        self._text(order.client_order_id)
        self._text(order.cloid)
        self._text(order.coin)
        self._text(order.trading_pair)
        self._text(order.tif)
        self._text(kind)
        self._text(order.strategy)
        return self._put(K_ORDER, order.is_external)

    cdef int _put_event(
        self, InFlightOrder order, int event, int old_state, int new_state, int64_t time_ms, int64_t now_ns, int64_t nonce,
        int64_t px_e8, int64_t lots, int64_t leg_lots, int flags, str reason, object reject,
    ) except -1:
        cdef EventPart* p = <EventPart*>self._scratch
        cdef str code = None, text = None
        if reject is not None:
            code, text = reject.code, reject.text
            if text is not None and len(text) > REASON_MAX:
                text = text[:REASON_MAX]
        if reason is not None and len(reason) > REASON_MAX:
            reason = reason[:REASON_MAX]
        p.recv_ns = now_ns
        p.time_ms = time_ms
        p.oid = order.oid
        p.nonce = nonce
        p.px_e8 = px_e8
        p.lots = lots
        p.leg_lots = leg_lots
        p.event = <uint8_t>event
        p.old_state = <int8_t>old_state
        p.new_state = <int8_t>new_state
        p.flags = <uint8_t>flags
        self._size = sizeof(EventPart)
        self._text(order.client_order_id)
        self._text(reason)
        self._text(code)
        self._text(text)
        return self._put(K_EVENT, True)

    cpdef int put_cancel(self, InFlightOrder order, int64_t nonce, int64_t now_ns) except -1:
        """A cancel is about to leave. Never refused: in a full ring it waits in memory."""
        return self._put_event(order, E_CANCEL_SENT, -1, -1, 0, now_ns, nonce, 0, 0, 0, 0, "", None)

    cpdef int put_modify(self, InFlightOrder order, int64_t px_e8, int64_t leg_lots, int64_t nonce, int64_t now_ns) except -1:
        """A modify into a leg of `leg_lots` at `px_e8` is about to leave. Refused as an intent is."""
        if not self.takes(1):
            return 0
        return self._put_event(order, E_MODIFY_SENT, -1, -1, 0, now_ns, nonce, px_e8, 0, leg_lots, 0, "", None)

    cpdef int put_state(self, InFlightOrder order, int old_state, int new_state, int64_t time_ms, int64_t now_ns) except -1:
        return self._put_event(order, E_STATE, old_state, new_state, time_ms, now_ns, 0, 0, 0, 0, 0, order.reason, None)

    cpdef int put_fill(self, TradeUpdate fill, str client_order_id) except -1:
        """A booked fill, and the order that it belongs to."""
        cdef FillPart* p = <FillPart*>self._scratch
        cdef str fee = None if fill.fee_exact is None else f"{fill.fee_exact:f}"
        cdef str cloid = fill.cloid
        p.tid = fill.tid
        p.oid = fill.oid
        p.px_e8 = fill.px_e8
        p.lots = fill.lots
        p.fee_e8 = fill.fee_e8
        p.closed_pnl_e8 = fill.closed_pnl_e8
        p.start_lots = fill.start_lots
        p.time_ms = fill.time_ms
        p.recv_ns = fill.recv_ns
        p.sz_decimals = <uint8_t>fill.sz_decimals
        p.is_buy = fill.is_buy
        p.is_taker = fill.is_taker
        p.recovered = fill.recovered
        self._size = sizeof(FillPart)
        self._text(fill.coin)
        self._text(cloid)
        self._text(client_order_id)
        self._text(fill.size_text)
        self._text(fee)
        self._text(fill.fee_token)
        self._text(fill.direction)
        return self._put(K_FILL, True)

    cpdef int put_nonce(self, int64_t nonce, int64_t now_ns) except -1:
        """A nonce that was used for something that is no order, cancel or modify."""
        cdef NoncePart* p = <NoncePart*>self._scratch
        p.nonce = nonce
        p.now_ns = now_ns
        self._size = sizeof(NoncePart)
        return self._put(K_NONCE, True)

    cpdef int put_position(self, Position position, int64_t time_ms, int64_t now_ns) except -1:
        """A position as the own fills have made it."""
        cdef PositionPart* p = <PositionPart*>self._scratch
        cdef str cost = f"{abs(position._cost):f}", realized = f"{position.realized_pnl:f}", funding = f"{position.funding:f}"
        p.lots = position.lots
        p.time_ms = time_ms
        p.recv_ns = now_ns
        p.sz_decimals = <uint8_t>position.sz_decimals
        self._size = sizeof(PositionPart)
        self._text(position.symbol)
        self._text(cost)
        self._text(realized)
        self._text(funding)
        return self._put(K_POSITION, True)

    cpdef int put_note(self, str name, bytes body, int64_t now_ns) except -1:
        """A cold fact: its name, and a body in JSON."""
        cdef NotePart* p = <NotePart*>self._scratch
        cdef Py_ssize_t n = PyBytes_GET_SIZE(body)
        p.recv_ns = now_ns
        self._size = sizeof(NotePart)
        self._text(name)
        if n > MESSAGE_MAX - self._size:
            raise RangeError(f"a note of {n} bytes does not fit; {MESSAGE_MAX - self._size} do")
        memcpy(self._scratch + self._size, PyBytes_AS_STRING(body), n)
        self._size += n
        return self._put(K_NOTE, True)

    cpdef int put_order_event(self, OrderEvent event) except -1:
        """Any event about an order; for `bus.on(OrderEvent, ring.put_order_event)`."""
        cdef InFlightOrder o = event.order
        cdef OrderStateChanged changed
        cdef int64_t t = event.time_ms, now = event.recv_ns
        cdef int flags = RECOVERED if event.recovered else 0
        cdef type kind = type(event)
        if o.is_external:  # never an intent of ours: it is described with its news
            self._put_order(o, 0, 0, now)
        if kind is OrderFilled:
            return self.put_fill((<OrderFilled>event).fill, o.client_order_id)
        if kind is OrderStateChanged:
            changed = event
            return self._put_event(
                o, E_STATE, changed.old_state, changed.new_state, t, now, 0, 0, 0, 0, flags, o.reason, None)
        if kind is OrderModified:
            return self._put_event(o, E_MODIFIED, -1, -1, t, now, 0, o.px_e8, o.lots, o.leg_lots, flags, "", None)
        code = _CODES.get(kind)
        if code is None:
            raise ConfigError(f"{kind.__name__} has no record in the journal; give it a row in journal_ring.EVENTS")
        if getattr(event, "incomplete", False):
            flags |= INCOMPLETE
        return self._put_event(
            o, code, -1, -1, t, now, 0, 0, 0, 0, flags, getattr(event, "reason", ""), getattr(event, "reject", None))

    cdef int _text(self, str text) except -1:
        """Append a text, or that there is none."""
        cdef Py_ssize_t n = 0
        cdef const char* p = NULL
        cdef uint32_t length = NO_TEXT
        if text is not None:
            p = PyUnicode_AsUTF8AndSize(text, &n)
            if n > MESSAGE_MAX // 2 or self._size + n + 64 > MESSAGE_MAX:
                raise RangeError(f"a text of {n} bytes does not fit into the journal")
            length = <uint32_t>n
        memcpy(self._scratch + self._size, &length, 4)
        self._size += 4
        if n:
            memcpy(self._scratch + self._size, p, n)
            self._size += n
        return 0

    cdef int _put(self, int kind, bint wait) except -1:
        """Publish the message that stands in the scratch. `wait`: keep it in memory if there is no room."""
        if not self._mapped:
            return 0
        if (self._size + PAYLOAD - 1) // PAYLOAD > self.capacity:
            raise RangeError(f"a message of {self._size} bytes does not fit into a ring of {self.capacity} records")
        if self._waits:
            self._settle()
        if not self._waits and self._write(kind, self._scratch, self._size):
            return 1
        if wait:
            self._waiting.append((kind, PyBytes_FromStringAndSize(<char*>self._scratch, self._size)))
            self._waits = len(self._waiting)
        return 0

    cdef int _settle(self) except -1:
        """Move what waits in memory into the file, in order, as far as there is room."""
        cdef Py_ssize_t moved = 0
        for kind, message in self._waiting:
            if not self._write(kind, <const uint8_t*>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message)):
                break
            moved += 1
        if moved:
            del self._waiting[:moved]
            self._waits = len(self._waiting)
        return 0

    cdef int _write(self, int kind, const uint8_t* message, Py_ssize_t size) noexcept nogil:
        """1: in the file. 0: there is no room."""
        cdef int64_t parts = (size + PAYLOAD - 1) // PAYLOAD
        cdef int64_t i, mask = self.capacity - 1
        cdef Py_ssize_t at, n
        cdef uint8_t* slot
        cdef RecordHead* head
        if parts > self.capacity - (self._head - self._tail):
            return 0
        for i in range(parts - 1, -1, -1):  # the first part last: it publishes the others
            at = <Py_ssize_t>i * PAYLOAD
            n = size - at if i == parts - 1 else PAYLOAD
            slot = self._slots + ((self._head + i) & mask) * RECORD
            head = <RecordHead*>slot
            head.kind = <uint16_t>kind
            head.part = <uint16_t>i
            head.parts = <uint16_t>parts
            head.size = <uint16_t>n
            memcpy(slot + PAYLOAD_AT, message + at, n)
            head.check = hlfast_check(slot + CHECKED_AT, n + PAYLOAD_AT - CHECKED_AT, <uint64_t>(self._head + i))
            hlfast_store(<int64_t*>slot, self._head + i)
        self._head = self._head + parts  # not in place: the debug build would want the interpreter lock for that
        hlfast_store(<int64_t*>(self._header + HEAD_AT), self._head)
        slot = self._slots + (self._head & mask) * RECORD
        for i in range(4):  # the next record's lines are cold by the time it comes round
            hlfast_fetch(slot + 64 * i)
        return 1

    # -- draining ---------------------------------------------------------------------------------------------------
    cdef int _is_whole(self, int64_t number) noexcept nogil:
        cdef uint8_t* slot = self._slots + (number & (self.capacity - 1)) * RECORD
        cdef RecordHead* head = <RecordHead*>slot
        return (
            hlfast_load(<int64_t*>slot) == number and head.size <= PAYLOAD
            and head.check == hlfast_check(slot + CHECKED_AT, head.size + PAYLOAD_AT - CHECKED_AT, <uint64_t>number)
        )

    def read(self, limit):
        """The oldest records, at most `limit`, as (last number, kind, fields). They stay until they are released.

        One that is torn is left out and counted in `torn`.
        """
        cdef int64_t number = self._tail
        cdef list out = []
        self._check_open()
        self._settle()
        self._warm()
        while number < self._head and len(out) < limit:
            message = self._message(number)
            if message is None:
                if not out:  # counted once: nothing before it is left to be read again
                    self.torn += 1
                    self.release(number)
                    number = self._tail
                    continue
                break
            kind, data, parts = message
            number += parts
            out.append((number - 1, KINDS[kind], _decode(kind, data)))
        return out

    def _message(self, int64_t number):
        """(kind, bytes, parts) of the message that starts at `number`; None if it is torn."""
        cdef RecordHead* head
        cdef int64_t i
        cdef int kind = 0, parts = 1
        cdef bytes data = b""
        i = 0
        while i < parts:
            if number + i >= self._head or not self._is_whole(number + i):
                return None
            head = <RecordHead*>(self._slots + ((number + i) & (self.capacity - 1)) * RECORD)
            if i == 0:
                kind, parts = head.kind, head.parts
            if head.part != i or head.parts != parts or head.kind != kind or not K_ORDER <= kind <= K_NOTE:
                return None
            data += PyBytes_FromStringAndSize(<char*>head + PAYLOAD_AT, head.size)
            i += 1
        return kind, data, parts

    def release(self, int64_t last):
        """Everything up to the record `last` is in safe hands: its room may be used again."""
        self._check_open()
        if last < self._tail:
            return
        if last >= self._head:  # the journal knows more than the file: an old copy was put back, or it was deleted
            self._head = last + 1
            hlfast_store(<int64_t*>(self._header + HEAD_AT), self._head)
        self._tail = last + 1
        hlfast_store(<int64_t*>(self._header + TAIL_AT), self._tail)
        self._settle()
        self.takes(1)


# -- the file -----------------------------------------------------------------------------------------------------------
def _capacity_of(records):
    if not 16 <= records <= 1 << 24:
        raise ConfigError(f"a ring has 16 to {1 << 24} records, got {records!r}")
    return 1 << (records - 1).bit_length()


def _make_file(path, capacity, journal_id, run_id, first):
    """A new ring in one step: written aside in full (a hole could fail later, in a store to memory), then renamed."""
    page = bytearray(PAGE)
    page[:8] = MAGIC
    page[8:12] = (1).to_bytes(4, "little")
    page[12:16] = RECORD.to_bytes(4, "little")
    for at, value in ((16, capacity), (24, journal_id), (32, run_id), (HEAD_AT, first), (TAIL_AT, first)):
        page[at : at + 8] = value.to_bytes(8, "little", signed=True)
    aside = f"{path}.new"
    fd = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(page)
            chunk = bytes(min(capacity, 2048) * RECORD)
            for _ in range(capacity * RECORD // len(chunk)):
                file.write(chunk)
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise


def undrained(path):
    """How many records wait in the ring file `path`, by its own page. Reads only; 0 for a file that is no ring."""
    with open(path, "rb") as file:
        page = file.read(PAGE)
    if page[:8] != MAGIC:
        return 0
    head, tail = (int.from_bytes(page[at : at + 8], "little", signed=True) for at in (HEAD_AT, TAIL_AT))
    return max(0, head - tail)


# -- reading records ----------------------------------------------------------------------------------------------------
cdef class _Texts:
    """The texts behind a message's fixed part. Outside data: every bound is checked."""
    cdef const uint8_t* data
    cdef Py_ssize_t size
    cdef Py_ssize_t at

    cdef object take(self):
        cdef uint32_t length = 0
        if self.at + 4 > self.size:
            raise ProtocolError("a record of the journal ends in mid-text; it was written by another version")
        memcpy(&length, self.data + self.at, 4)
        self.at += 4
        if length == NO_TEXT:
            return None
        if length > self.size - self.at:
            raise ProtocolError("a record of the journal ends in mid-text; it was written by another version")
        text = PyUnicode_DecodeUTF8(<const char*>self.data + self.at, length, NULL)
        self.at += length
        return text

    cdef object take_if_there(self):
        """A text that records of earlier versions end without."""
        return self.take() if self.at < self.size else None


cdef int _of_size(Py_ssize_t size, Py_ssize_t least) except -1:
    if size < least:
        raise ProtocolError(f"a record of the journal has {size} bytes, expected {least} or more; it was written by another version")
    return 0


cdef dict _decode(int kind, bytes data):
    """The fields of a message, named as the columns of the journal's tables are."""
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef _Texts t = _Texts.__new__(_Texts)
    cdef OrderPart* o
    cdef EventPart* e
    cdef FillPart* f
    cdef PositionPart* n
    t.data = p
    t.size = size
    if kind == K_ORDER:
        _of_size(size, sizeof(OrderPart))
        o = <OrderPart*>p
        t.at = sizeof(OrderPart)
        if o.order_type >= len(_TYPES) or o.position_action >= len(_ACTIONS):
            raise ProtocolError("a record of the journal has an unknown order type; it was written by another version")
        return {
            "client_order_id": t.take(), "cloid": t.take(), "coin": t.take(), "trading_pair": t.take(), "tif": t.take(),
            "trigger_kind": t.take(), "strategy": t.take_if_there(), "nonce": o.nonce, "expires_ms": o.expires_ms, "recv_ns": o.now_ns,
            "created_ns": o.created_ns, "px_e8": o.px_e8, "lots": o.lots,
            "trigger_px_e8": o.trigger_px_e8 if o.has_trigger or o.trigger_px_e8 else None,
            "trigger_is_market": o.trigger_is_market if o.has_trigger else None, "asset": o.asset, "leverage": o.leverage,
            "sz_decimals": o.sz_decimals, "side": "B" if o.is_buy else "A", "reduce_only": o.reduce_only,
            "is_external": o.is_external, "order_type": _TYPE_NAMES[o.order_type],
            "position_action": _ACTION_NAMES[o.position_action],
        }
    if kind == K_EVENT:
        _of_size(size, sizeof(EventPart))
        e = <EventPart*>p
        t.at = sizeof(EventPart)
        if e.event >= len(EVENTS):
            raise ProtocolError("a record of the journal has an unknown event; it was written by another version")
        return {
            "client_order_id": t.take(), "reason": t.take(), "reject_code": t.take(), "reject_text": t.take(),
            "event": EVENTS[e.event], "old_state": _state_name(e.old_state), "new_state": _state_name(e.new_state),
            "oid": e.oid if e.oid else None, "time_ms": e.time_ms, "recv_ns": e.recv_ns, "nonce": e.nonce, "px_e8": e.px_e8,
            "lots": e.lots, "leg_lots": e.leg_lots, "recovered": e.flags & RECOVERED,
            "incomplete": 1 if e.flags & INCOMPLETE else 0,
        }
    if kind == K_FILL:
        _of_size(size, sizeof(FillPart))
        f = <FillPart*>p
        t.at = sizeof(FillPart)
        return {
            "coin": t.take(), "cloid": t.take(), "client_order_id": t.take(), "size_text": t.take(), "fee_text": t.take(),
            "fee_token": t.take(), "direction": t.take(), "tid": f.tid, "oid": f.oid, "px_e8": f.px_e8, "lots": f.lots,
            "fee_e8": f.fee_e8, "closed_pnl_e8": f.closed_pnl_e8,
            "start_lots": None if f.start_lots == INT64_MIN else f.start_lots, "time_ms": f.time_ms, "recv_ns": f.recv_ns,
            "sz_decimals": f.sz_decimals, "side": "B" if f.is_buy else "A", "crossed": f.is_taker, "recovered": f.recovered,
        }
    if kind == K_NONCE:
        _of_size(size, sizeof(NoncePart))
        return {"nonce": (<NoncePart*>p).nonce, "recv_ns": (<NoncePart*>p).now_ns}
    if kind == K_POSITION:
        _of_size(size, sizeof(PositionPart))
        n = <PositionPart*>p
        t.at = sizeof(PositionPart)
        return {
            "coin": t.take(), "cost": t.take(), "realized_pnl": t.take(), "funding": t.take(), "lots": n.lots,
            "time_ms": n.time_ms, "recv_ns": n.recv_ns, "sz_decimals": n.sz_decimals,
        }
    _of_size(size, sizeof(NotePart))
    t.at = sizeof(NotePart)
    name = t.take()
    return {"name": name, "body": data[t.at:], "recv_ns": (<NotePart*>p).recv_ns}


cdef object _state_name(int state):
    return _STATE_NAMES[state] if 0 <= state <= 8 else None


# -- from records back to objects ---------------------------------------------------------------------------------------
def restore_fill(row):
    """The `TradeUpdate` that a row of the journal's fills was made of."""
    start = row["start_lots"]
    return make_trade_update(
        row["coin"], row["tid"], row["oid"], row["cloid"], row["px_e8"], row["lots"], row["size_text"], row["sz_decimals"],
        row["side"] == "B", bool(row["crossed"]), row["fee_e8"], None if row["fee_text"] is None else _D(row["fee_text"]),
        row["fee_token"], row["closed_pnl_e8"], INT64_MIN if start is None else start, row["direction"], row["time_ms"],
        row["recv_ns"], bool(row["recovered"]))


def restore_order(row, fills, oids, int64_t modify_nonce=0):
    """The order that a row of the journal's orders tells of, with its `fills` and every id that the venue gave it.

    `modify_nonce`: of its last modify, which decides what became of one under way. `row` has the columns of table `orders`. An order whose end has not been told is not in a final state: the venue, when
    it is asked, tells the end again.
    """
    cdef InFlightOrder o = make_order(
        row["client_order_id"], row["cloid"], row["coin"], row["trading_pair"], row["asset"], row["sz_decimals"],
        row["side"] == "B", row["px_e8"], row["lots"], row["tif"], bool(row["reduce_only"]), OrderType[row["order_type"]],
        PositionAction[row["position_action"]], row["created_ns"])
    cdef TradeUpdate fill
    o.is_external = bool(row["is_external"])
    o.leverage = row["leverage"]
    o.strategy = row["strategy"]
    if row["trigger_px_e8"] is not None:
        o.trigger_px_e8 = row["trigger_px_e8"]
    if row["trigger_kind"] is not None:
        o.trigger = Trigger(scaled_to_decimal(o.trigger_px_e8, 8), bool(row["trigger_is_market"]), row["trigger_kind"])
    o.nonce = row["nonce"]
    o.expires_after_ms = row["expires_ms"]
    o.sent_ns = row["sent_ns"]
    for oid in oids:
        o.add_oid(oid)
    for fill in fills:
        o.add_fill(fill, lots_in(fill, o.sz_decimals))
    if row["leg_lots"]:  # modified: its size is what other legs filled, and its newest leg
        o.leg_lots = row["leg_lots"]
        o.leg_filled = sum([lots_in(f, o.sz_decimals) for f in fills if f.oid == o.oid and f.lots > 0])
        o.lots = o.filled_lots - o.leg_filled + o.leg_lots
    if row["modify_leg_lots"]:
        o.modify_pending = True
        o.modify_nonce = modify_nonce
        o.new_px_e8, o.new_leg_lots = row["modify_px_e8"], row["modify_leg_lots"]
    o.was_created = bool(row["created"])
    o.end_emitted = bool(row["ended"])
    o.state_ = OrderState[row["state"]]
    if not o.end_emitted and (o.state_ < S_PENDING_SUBMIT or is_finished(o.state_)):
        if not o.was_created:
            o.state_ = S_PENDING_SUBMIT  # its bytes may have left
        else:
            o.state_ = S_PARTIALLY_FILLED if o.filled_lots else S_OPEN
    o.reason = row["reason"]
    if row["reject_code"] is not None:
        o.reject = VenueReject(row["reject_code"], row["reject_text"])
    o.updated_ns = row["updated_ns"]
    o.time_ms = row["time_ms"]
    o.end_time_ms = row["time_ms"] if is_finished(o.state_) else 0
    return o


def restore_into(ClientOrderTracker tracker not None, orders, fill_keys):
    """Track what a journal found: live orders, ended ones (oldest first), and the identities of booked fills.

    To be called before anything is heard from the venue. An order whose last request has no known result is marked
    unresolved, so that the venue is asked about it. Raises `ConfigError` if one is tracked already.
    """
    cdef InFlightOrder o
    for key in fill_keys:
        if key not in tracker._fill_keys:
            tracker._fill_keys.add(key)
            tracker._fill_order.append(key)
    for order in orders:
        o = order
        tracker.start(o)
        for oid in o.exchange_order_ids:
            tracker._bind_oid(o, oid)
        if o.end_emitted:
            tracker._finish(o)
        elif not o.is_fillable or o.modify_pending:
            tracker.mark_unresolved(o)
