"""The frames of an order-book server (section 8.3): snapshots and blocks of one coin into an `L4Book` (layer 2, hot).

One `L4Router` reads one connection that is subscribed to one coin, as a block does not name its coin. `l2Book`, `trades`
and all else go the way of any `Router`. Blocks follow each other by height: one that is missing, or a change that does
not fit what rests, makes the book stale, is told to `gap_sink` once, and whatever comes then is held until a snapshot
is there and replayed upon it. A block is read whole before anything changes; spelled otherwise than the server does it,
it goes through orjson with the same result (`fallbacks`). Per block (section 8.4): statuses by oid, then diffs in order.

    router = L4Router(rule)
    router.gap_sink = lambda reason: ask_for_a_snapshot()
    router.feed(frame)
    router.l4.position(oid)
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from hlfast.core.fixed cimport NUM_OK, parse_scaled
from hlfast.core.l4_book cimport L4_OK, L4Book, NewOrder
from hlfast.core.order_book cimport Bbo, OrderBook
from hlfast.core.trading_rule cimport TradingRule
from hlfast.venues.hyperliquid.json_cursor cimport (
    Text, after_row, int_of, literal, read_decimal, read_int, read_text, scan_bool, text_of,
)
from hlfast.venues.hyperliquid.scan cimport Frame, Router

import orjson

cdef enum:               # as in scan.pyx
    DONE = 0
    SURPRISE = 1

cdef Py_ssize_t MOST_HELD_FRAMES = 8192
cdef Py_ssize_t MOST_HELD_BYTES = 128 * 1024 * 1024
cdef uint32_t NO_ROW = 0xFFFFFFFF
cdef object _loads = orjson.loads

cdef tuple _WHY = (
    "", "rests already", "does not rest", "should stand before an order that does not rest at its price",
    "has another price or former size than was held", "has a price or size that is not above 0",
)


# -- pieces of a row --------------------------------------------------------------------------------------------------
cdef inline bint _is(Text* t, const char* word, Py_ssize_t n) noexcept nogil:
    return t.p != NULL and t.n == n and memcmp(t.p, word, n) == 0


cdef extern from *:
    """
    /* The value of a hex digit; 255 for every other byte. */
    #define X 255
    #define X16 X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X
    static const unsigned char hlfast_hex_value[256] = {
        X16, X16, X16, 0,1,2,3,4,5,6,7,8,9,X,X,X,X,X,X, X,10,11,12,13,14,15,X,X,X,X,X,X,X,X,X, X16,
        X,10,11,12,13,14,15,X,X,X,X,X,X,X,X,X, X16, X16, X16, X16, X16, X16, X16, X16, X16};
    #undef X16
    #undef X

    /* "0x" and 2n hex digits into n bytes; 0 if it is anything else. n is a constant, so this is unrolled. */
    static inline __attribute__((always_inline)) int hlfast_hex(const char *p, unsigned char *out, int n)
    {
        unsigned char bad = (p[0] != '0') | (p[1] != 'x');
        p += 2;
        for (int i = 0; i < n; i++) {
            unsigned char high = hlfast_hex_value[(unsigned char)p[2 * i]];
            unsigned char low = hlfast_hex_value[(unsigned char)p[2 * i + 1]];
            bad |= (high | low) >> 4;
            out[i] = (unsigned char)(high << 4 | low);
        }
        return bad == 0;
    }
    """
    bint hex_bytes "hlfast_hex"(const char* p, unsigned char* out, int n) noexcept nogil


cdef inline bint _hex(Text* t, unsigned char* out, int n) noexcept nogil:
    """0x and 2·n hex digits."""
    return t.n == 2 + 2 * n and hex_bytes(t.p, out, n)


cdef inline const char* _read_user(const char* p, const char* end, unsigned char* out) noexcept nogil:
    """Behind an opening quote: an address, and its closing quote."""
    if p == NULL or end - p < 43 or p[42] != b'"' or not hex_bytes(p, out, 20):
        return NULL
    return p + 43


cdef inline const char* _user_or_null(const char* p, const char* end, bint* given, unsigned char* out) noexcept nogil:
    cdef const char* q = literal(p, end, b"null")
    given[0] = q == NULL
    return q if q != NULL else _read_user(literal(p, end, b'"'), end, out)


cdef inline const char* _cloid_or_null(const char* p, const char* end, bint* given, unsigned char* out) noexcept nogil:
    cdef const char* q = literal(p, end, b"null")
    given[0] = q == NULL
    if q != NULL:
        return q
    p = literal(p, end, b'"')
    if p == NULL or end - p < 35 or p[34] != b'"' or not hex_bytes(p, out, 16):
        return NULL
    return p + 35


cdef inline int64_t _digits(const char* p, int n) noexcept nogil:
    cdef int64_t value = 0
    cdef int i
    for i in range(n):
        if not b"0" <= p[i] <= b"9":
            return -1
        value = value * 10 + (p[i] - 48)
    return value


cdef int64_t _iso_ms(Text* t) noexcept nogil:
    """Epoch ms of "2025-07-02T03:34:19.727" (UTC; further digits are cut); -1: no such text."""
    cdef int64_t year, month, day, hour, minute, second, ms = 0, days, era
    cdef int i
    if t.n < 19 or t.p[4] != b"-" or t.p[7] != b"-" or t.p[10] != b"T" or t.p[13] != b":" or t.p[16] != b":":
        return -1
    year, month, day = _digits(t.p, 4), _digits(t.p + 5, 2), _digits(t.p + 8, 2)
    hour, minute, second = _digits(t.p + 11, 2), _digits(t.p + 14, 2), _digits(t.p + 17, 2)
    if year < 1970 or not 1 <= month <= 12 or not 1 <= day <= 31 or hour < 0 or minute < 0 or second < 0:
        return -1
    if t.n > 19 and t.p[19] == b".":
        for i in range(3):
            ms *= 10
            if 20 + i < t.n and b"0" <= t.p[20 + i] <= b"9":
                ms += t.p[20 + i] - 48
    if month <= 2:                               # days since 0000-03-01, the leap day last
        year -= 1
        month += 12
    era = 365 * year + year // 4 - year // 100 + year // 400
    days = era + (153 * (month - 3) + 2) // 5 + day - 1 - 719468
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms


cdef inline const char* _text_or_null(const char* p, const char* end, Text* out) noexcept nogil:
    cdef const char* q = literal(p, end, b"null")
    out.p = NULL
    out.n = 0
    if q != NULL:
        return q
    return read_text(literal(p, end, b'"'), end, out)


cdef inline bint _owner(NewOrder* order, Text* user, Text* cloid) noexcept nogil:
    """False if either is given and is no hex number of its length."""
    order.has_user = user.p != NULL
    order.has_cloid = cloid.p != NULL
    if order.has_user and not _hex(user, order.user, 20):
        return False
    return not order.has_cloid or _hex(cloid, order.cloid, 16)


cdef inline bint _side(Text* side, bint* is_buy) noexcept nogil:
    is_buy[0] = _is(side, b"B", 1)
    return is_buy[0] or _is(side, b"A", 1)


cdef inline const char* _scan_order(
    const char* p, const char* end, int sz_decimals, Text* coin, Text* tif, Resting* row,
) noexcept nogil:
    """A whole order object, as a status and a snapshot have it."""
    cdef Text side, skipped
    cdef bint flag
    cdef const char* q
    side.p = NULL
    side.n = 0
    p = _user_or_null(literal(p, end, b'{"user":'), end, &row.order.has_user, row.order.user)
    p = read_text(literal(p, end, b',"coin":"'), end, coin)
    p = read_text(literal(p, end, b',"side":"'), end, &side)
    p = read_decimal(literal(p, end, b',"limitPx":"'), end, 8, &row.order.px_e8)
    p = read_decimal(literal(p, end, b',"sz":"'), end, sz_decimals, &row.order.lots)
    p = read_int(literal(p, end, b',"oid":'), end, &row.order.oid)
    p = read_int(literal(p, end, b',"timestamp":'), end, &row.order.time_ms)
    p = read_text(literal(p, end, b',"triggerCondition":"'), end, &skipped)
    p = scan_bool(literal(p, end, b',"isTrigger":'), end, &row.is_trigger)
    p = read_text(literal(p, end, b',"triggerPx":"'), end, &skipped)
    q = literal(p, end, b',"children":[]')
    if q != NULL:
        p = q
    p = scan_bool(literal(p, end, b',"isPositionTpsl":'), end, &flag)
    p = scan_bool(literal(p, end, b',"reduceOnly":'), end, &flag)
    p = read_text(literal(p, end, b',"orderType":"'), end, &skipped)
    q = literal(p, end, b',"origSz":"')
    if q != NULL:
        p = read_text(q, end, &skipped)
    p = _text_or_null(literal(p, end, b',"tif":'), end, tif)
    p = _cloid_or_null(literal(p, end, b',"cloid":'), end, &row.order.has_cloid, row.order.cloid)
    p = literal(p, end, b"}")
    row.order.before = 0
    if p == NULL or not _side(&side, &row.order.is_buy):
        return NULL
    return p


cdef inline bint _rests(Text* status, Text* tif, bint is_trigger) noexcept nogil:
    """Whether a status says that an order may come to rest in this block (section 8.4)."""
    if _is(status, b"open", 4):
        return not is_trigger and not _is(tif, b"Ioc", 3)
    return is_trigger and _is(status, b"triggered", 9)


cdef inline const char* _scan_status(const char* p, const char* end, int sz_decimals, Text* coin, Resting* row) noexcept nogil:
    cdef Text when, status, tif
    cdef unsigned char[20] user
    cdef int64_t time_ms
    when.p = status.p = NULL
    when.n = status.n = 0
    p = read_text(literal(p, end, b'{"time":"'), end, &when)
    p = _read_user(literal(p, end, b',"user":"'), end, user)
    p = read_text(literal(p, end, b',"status":"'), end, &status)
    p = literal(_scan_order(literal(p, end, b',"order":'), end, sz_decimals, coin, &tif, row), end, b"}")
    if p == NULL:
        return NULL
    time_ms = _iso_ms(&when)
    if time_ms < 0:
        return NULL
    row.order.has_user = True
    memcpy(row.order.user, user, 20)
    row.order.time_ms = time_ms
    row.rests = _rests(&status, &tif, row.is_trigger)
    return p


cdef inline const char* _scan_diff(const char* p, const char* end, int sz_decimals, Text* coin, Diff* diff) noexcept nogil:
    cdef Text side
    cdef unsigned char[20] user
    cdef const char* q
    p = _read_user(literal(p, end, b'{"user":"'), end, user)
    p = read_int(literal(p, end, b',"oid":'), end, &diff.oid)
    p = read_decimal(literal(p, end, b',"px":"'), end, 8, &diff.px_e8)
    p = read_text(literal(p, end, b',"coin":"'), end, coin)
    q = literal(p, end, b',"side":"')
    if q != NULL:
        p = read_text(q, end, &side)
    p = literal(p, end, b',"raw_book_diff":')
    diff.before = diff.was = 0
    q = literal(p, end, b'{"new":{"sz":"')
    if q != NULL:
        diff.kind = DIFF_NEW
        p = read_decimal(q, end, sz_decimals, &diff.lots)
        q = literal(p, end, b',"insertBefore":')
        if q != NULL:
            p = literal(q, end, b"null")
            if p == NULL:
                p = read_int(q, end, &diff.before)
        return literal(p, end, b"}}}")
    q = literal(p, end, b'{"update":{"origSz":"')
    if q != NULL:
        diff.kind = DIFF_UPDATE
        p = read_decimal(q, end, sz_decimals, &diff.was)
        p = read_decimal(literal(p, end, b',"newSz":"'), end, sz_decimals, &diff.lots)
        return literal(p, end, b"}}}")
    diff.kind = DIFF_REMOVE
    diff.lots = 0
    return literal(p, end, b'"remove"}')


# -- the same rows from orjson's objects ------------------------------------------------------------------------------
cdef bint _scaled_of(object value, int decimals, int64_t* out) except -1:
    cdef Text text
    return text_of(value, &text) and parse_scaled(text.p, text.n, decimals, out) == NUM_OK


cdef bint _order_of(object order, object user, int sz_decimals, Resting* row) except -1:
    cdef Text side, owner, cloid
    if type(order) is not dict or type(order.get("isTrigger", False)) is not bool:
        return False
    text_of(order.get("side"), &side)
    text_of(user, &owner)
    text_of(order.get("cloid"), &cloid)
    if not text_of(order.get("cloid"), &cloid) and order.get("cloid") is not None:
        return False
    if not text_of(user, &owner) and user is not None:
        return False
    row.is_trigger = order.get("isTrigger", False)
    row.order.before = 0
    if not int_of(order.get("timestamp"), &row.order.time_ms):
        return False
    return (
        _side(&side, &row.order.is_buy)
        and _owner(&row.order, &owner, &cloid)
        and _scaled_of(order.get("limitPx"), 8, &row.order.px_e8)
        and _scaled_of(order.get("sz"), sz_decimals, &row.order.lots)
        and int_of(order.get("oid"), &row.order.oid)
    )


cdef bint _status_of(object entry, int sz_decimals, Resting* row) except -1:
    cdef Text when, status, tif
    cdef int64_t time_ms
    order = entry["order"]
    if not _order_of(order, entry.get("user"), sz_decimals, row):
        return False
    if not text_of(entry.get("time"), &when) or not text_of(entry.get("status"), &status):
        return False
    time_ms = _iso_ms(&when)
    text_of(order.get("tif"), &tif)
    row.order.time_ms = time_ms
    row.rests = _rests(&status, &tif, row.is_trigger)
    return time_ms >= 0


cdef bint _diff_of(object entry, int sz_decimals, Diff* diff) except -1:
    what = entry.get("raw_book_diff")
    diff.before = diff.was = diff.lots = 0
    if not int_of(entry.get("oid"), &diff.oid) or not _scaled_of(entry.get("px"), 8, &diff.px_e8):
        return False
    if what == "remove":
        diff.kind = DIFF_REMOVE
        return True
    if type(what) is not dict or len(what) != 1:
        return False
    ((word, body),) = what.items()
    if type(body) is not dict:
        return False
    if word == "new":
        diff.kind = DIFF_NEW
        if body.get("insertBefore") is not None and not int_of(body["insertBefore"], &diff.before):
            return False
        return _scaled_of(body.get("sz"), sz_decimals, &diff.lots)
    diff.kind = DIFF_UPDATE
    return (
        word == "update"
        and _scaled_of(body.get("origSz"), sz_decimals, &diff.was)
        and _scaled_of(body.get("newSz"), sz_decimals, &diff.lots)
    )


cdef class L4Router(Router):
    """Keeps an `L4Book` of `rule.coin` in step with the frames of one connection."""

    def __cinit__(self, TradingRule rule not None):
        self.rule = rule
        self.l4 = L4Book(rule.coin, rule.sz_decimals)
        self.l2 = OrderBook(rule.coin, rule.sz_decimals)
        self.block_handlers = ()
        self.every_height = True
        self.l2_depth = 20
        self.is_waiting = True
        self._held = []
        self.l4_counters = dict.fromkeys((
            "blocks", "snapshots", "diffs", "duplicates", "held", "held_dropped", "gaps", "diverged", "l2_compared",
            "l2_different",
        ), 0)

    def __init__(self, rule):
        self.add_instrument(rule, self.l2, Bbo(rule.coin, rule.sz_decimals))
        self.set_book_handlers(rule.coin, (self._l2_came,))

    def __dealloc__(self):
        free(self._diffs)
        free(self._rows)
        free(self._by_oid)

    def expect_snapshot(self, str reason not None):
        """What is here no longer follows the server: stale, and blocks are held, until a snapshot comes."""
        self.l4.mark_stale(reason)
        self.is_waiting = True
        self._held.clear()
        self._held_bytes = 0

    def _l2_came(self, book):
        self._compare()

    # -- the frame ----------------------------------------------------------------------------------------------------
    cdef int _scan(self, Frame* f) except -1:
        cdef const char* p = literal(f.start, f.end, b'{"channel":"l4Book","data":{')
        cdef const char* q
        if p == NULL:
            return Router._scan(self, f)
        try:
            q = literal(p, f.end, b'"Updates":{')
            if q != NULL:
                return self._scan_updates(q, f)
            q = literal(p, f.end, b'"Snapshot":{')
            return self._scan_snapshot(q, f) if q != NULL else SURPRISE
        except Exception as error:
            self._lost("diverged", f"reading a frame failed with {type(error).__name__}: {error}")
            raise

    cdef int _parse(self, Frame* f, bint is_fallback) except -1:
        cdef bytes raw = f.start[:f.end - f.start]
        if b'"l4Book"' in raw:
            try:
                message = _loads(raw)
            except ValueError:
                message = None
                self._lost("diverged", "a frame of the l4Book cannot be read (cut off?)")
            if type(message) is dict and message.get("channel") == "l4Book":
                self._count[1] += is_fallback            # FALLBACKS
                try:
                    return self._parse_l4(message.get("data"), f)
                except Exception as error:
                    self._lost("diverged", f"reading a frame failed with {type(error).__name__}: {error}")
                    raise
        return Router._parse(self, f, is_fallback)

    cdef int _admit(self, int64_t height, Frame* f) except -1:
        """1 if the block of this height is the next one; else it was held, dropped, or shows a gap."""
        if not self.is_waiting and height <= self.l4.height:
            self.l4_counters["duplicates"] += 1
            return 0
        if not self.is_waiting and self.every_height and height != self.l4.height + 1:
            self._lost("gaps", f"block {self.l4.height + 1} is missing: {height} came after {self.l4.height}")
            if self._replaying:
                return 0                                 # held once already: a height that is wrong would come for ever
        if self.is_waiting:
            if len(self._held) >= MOST_HELD_FRAMES or self._held_bytes > MOST_HELD_BYTES:
                self.l4_counters["held_dropped"] += len(self._held)
                self._held.clear()
                self._held_bytes = 0
            self._held.append((f.start[:f.end - f.start], f.recv_ns))
            self._held_bytes += f.end - f.start
            self.l4_counters["held"] += 1
            return 0
        return 1

    cdef int _scan_updates(self, const char* p, Frame* f) except -1:
        cdef int64_t height = 0, time_ms = 0
        cdef Text coin
        cdef bint last
        cdef const char* q
        cdef int sz_decimals = self.rule.sz_decimals
        cdef str name = self.rule.coin
        cdef bytes wanted = name.encode()
        cdef const char* own = wanted
        cdef Py_ssize_t own_n = len(wanted)
        p = read_int(literal(p, f.end, b'"time":'), f.end, &time_ms)
        p = read_int(literal(p, f.end, b',"height":'), f.end, &height)
        p = literal(p, f.end, b',"order_statuses":[')
        if p == NULL:
            return SURPRISE
        if not self.is_waiting and height > self.l4.height and (not self.every_height or height == self.l4.height + 1):
            self._n_rows = self._n_diffs = 0
            q = literal(p, f.end, b"]")
            last = q != NULL
            p = q if last else p
            while not last:
                p = after_row(_scan_status(p, f.end, sz_decimals, &coin, self._next_row()), f.end, &last)
                if p == NULL:
                    return SURPRISE
                if coin.n == own_n and memcmp(coin.p, own, own_n) == 0:
                    self._n_rows += 1
            p = literal(p, f.end, b',"book_diffs":[')
            q = literal(p, f.end, b"]")
            last = q != NULL or p == NULL
            p = q if q != NULL else p
            while not last:
                p = after_row(_scan_diff(p, f.end, sz_decimals, &coin, self._next_diff()), f.end, &last)
                if p == NULL:
                    return SURPRISE
                if coin.n == own_n and memcmp(coin.p, own, own_n) == 0:
                    self._n_diffs += 1
            if literal(p, f.end, b"}}}") != f.end:
                return SURPRISE
            return self._apply_block(height, time_ms, f)
        self._admit(height, f)
        return DONE

    cdef int _scan_snapshot(self, const char* p, Frame* f) except -1:
        """Read twice: once to see that all of it can be read, once to take it. So it needs no memory beside the book."""
        cdef int64_t height = 0, time_ms = 0, counted = 0
        cdef Text coin
        cdef const char* levels
        p = read_text(literal(p, f.end, b'"coin":"'), f.end, &coin)
        p = read_int(literal(p, f.end, b',"time":'), f.end, &time_ms)
        p = read_int(literal(p, f.end, b',"height":'), f.end, &height)
        p = literal(p, f.end, b',"levels":[[')
        if p == NULL or coin.p[:coin.n] != (<str>self.rule.coin).encode():
            return SURPRISE
        levels = p
        p = self._scan_orders_of(p, f.end, False, &counted)
        p = self._scan_orders_of(literal(p, f.end, b",["), f.end, False, &counted)
        if literal(p, f.end, b"]}}}") != f.end:
            return SURPRISE
        self.l4.begin()
        p = self._scan_orders_of(levels, f.end, True, &counted)
        if p != NULL:
            p = self._scan_orders_of(literal(p, f.end, b",["), f.end, True, &counted)
        if p == NULL:
            return self._lost("diverged", f"the snapshot of block {height} has an order twice, or without price or size")
        return self._end_snapshot(height, time_ms, f)

    cdef const char* _scan_orders_of(self, const char* p, const char* end, bint insert, int64_t* counted) except? NULL:
        cdef Resting row
        cdef Text coin, tif
        cdef bint last
        cdef const char* q = literal(p, end, b"]")
        if q != NULL:
            return q
        last = p == NULL
        while not last:
            p = after_row(_scan_order(p, end, self.rule.sz_decimals, &coin, &tif, &row), end, &last)
            if p == NULL:
                return NULL
            counted[0] += 1
            if insert and not row.is_trigger and self.l4.insert_order(&row.order) != L4_OK:
                return NULL
        return p

    # -- orjson -------------------------------------------------------------------------------------------------------
    cdef int _parse_l4(self, object data, Frame* f) except -1:
        if type(data) is dict and type(data.get("Updates")) is dict:
            return self._parse_updates(data["Updates"], f)
        if type(data) is dict and type(data.get("Snapshot")) is dict:
            return self._parse_snapshot(data["Snapshot"], f)
        self._malformed("l4Book: expected Snapshot or Updates", f)
        return self._lost("diverged", "an l4Book frame was neither a snapshot nor a block")

    cdef int _parse_updates(self, object updates, Frame* f) except -1:
        cdef int64_t height = 0, time_ms = 0
        cdef Resting* row
        cdef Diff* diff
        statuses, diffs = updates.get("order_statuses"), updates.get("book_diffs")
        if not (int_of(updates.get("height"), &height) and int_of(updates.get("time"), &time_ms)
                and type(statuses) is list and type(diffs) is list):
            self._malformed("l4Book: a block has time, height, order_statuses and book_diffs", f)
            return self._lost("diverged", "a block without time, height, order_statuses or book_diffs")
        if not self._admit(height, f):
            return DONE
        self._n_rows = self._n_diffs = 0
        for entry in statuses:
            order = entry.get("order") if type(entry) is dict else None
            row = self._next_row()
            if type(order) is not dict or not _status_of(entry, self.rule.sz_decimals, row):
                # One that says nothing about a resting order may look as it likes; a `new` without its status shows.
                continue
            self._n_rows += order.get("coin") == self.rule.coin
        for entry in diffs:
            diff = self._next_diff()
            if type(entry) is not dict or not _diff_of(entry, self.rule.sz_decimals, diff):
                self._malformed(f"l4Book: a diff of block {height} cannot be read", f)
                return self._lost("diverged", f"a diff of block {height} cannot be read")
            self._n_diffs += entry.get("coin") == self.rule.coin
        return self._apply_block(height, time_ms, f)

    cdef int _parse_snapshot(self, object snapshot, Frame* f) except -1:
        cdef int64_t height = 0, time_ms = 0
        cdef Resting row
        sides = snapshot.get("levels")
        if snapshot.get("coin") != self.rule.coin:
            self._malformed(f"l4Book: a snapshot of {snapshot.get('coin')!r} on the connection of {self.rule.coin}", f)
            return DONE
        if not (int_of(snapshot.get("height"), &height) and int_of(snapshot.get("time"), &time_ms)
                and type(sides) is list and len(sides) == 2):
            self._malformed("l4Book: a snapshot has coin, time, height and two sides", f)
            return self._lost("diverged", "a snapshot without time, height or two sides")
        self.l4.begin()
        for side in sides:
            for order in side:
                user = order.get("user") if type(order) is dict else None
                if not _order_of(order, user, self.rule.sz_decimals, &row):
                    self._malformed(f"l4Book: an order of the snapshot of block {height} cannot be read", f)
                    return self._lost("diverged", f"an order of the snapshot of block {height} cannot be read")
                if not row.is_trigger and self.l4.insert_order(&row.order) != L4_OK:
                    return self._lost("diverged", f"the snapshot of block {height} has an order twice, or without price or size")
        return self._end_snapshot(height, time_ms, f)

    # -- what both ways lead to ---------------------------------------------------------------------------------------
    cdef int _end_snapshot(self, int64_t height, int64_t time_ms, Frame* f) except -1:
        cdef list held
        if not self.l4.finish(height, time_ms, f.recv_ns):
            return self._lost("diverged", self.l4.stale_reason)
        self.l4_counters["snapshots"] += 1
        self.is_waiting = False
        held, self._held = self._held, []
        self._held_bytes = 0
        self._replaying = True
        for frame, recv_ns in held:
            if self.is_waiting:
                break                                    # they do not follow it either: a further snapshot is due
            self.feed(frame, recv_ns)
        self._replaying = False
        if self.is_waiting:
            return DONE
        self._call(self.snapshot_sink, ())
        for fn in self.block_handlers:
            self._call_view(fn, self.l4)
        return self._compare()

    cdef int _apply_block(self, int64_t height, int64_t time_ms, Frame* f) except -1:
        cdef int i, status
        cdef Diff* diff
        cdef Resting* row
        if self._n_rows:
            self._index_rows()
        for i in range(self._n_diffs):
            diff = &self._diffs[i]
            if diff.kind == DIFF_REMOVE:
                status = self.l4.remove_order(diff.oid, diff.px_e8)
            elif diff.kind == DIFF_UPDATE:
                status = self.l4.resize_order(diff.oid, diff.px_e8, diff.was, diff.lots)
            else:
                row = self._row_of(diff.oid)
                if row == NULL:
                    return self._lost("diverged", f"block {height}: order {diff.oid} rests, and no status says what it is")
                row.order.px_e8, row.order.lots, row.order.before = diff.px_e8, diff.lots, diff.before
                status = self.l4.insert_order(&row.order)
            if status != L4_OK:
                return self._lost("diverged", f"block {height}: order {diff.oid} {_WHY[status]}")
        self.l4_counters["blocks"] += 1
        self.l4_counters["diffs"] += self._n_diffs
        if not self.l4.finish(height, time_ms, f.recv_ns):
            return self._lost("diverged", self.l4.stale_reason)
        self._compare()
        if not self.is_waiting:
            for fn in self.block_handlers:
                self._call_view(fn, self.l4)
        return DONE

    cdef int _compare(self) except -1:
        """Where the aggregated book is of the same block, the two have to be equal. Compared once a frame."""
        if not self.l2_depth or self.is_waiting or self.l2.time_ms != self.l4.time_ms or self.l2.epoch == self._l2_epoch:
            return DONE
        self._l2_epoch = self.l2.epoch
        self.l4_counters["l2_compared"] += 1
        found = self.l4.differs_from(self.l2, self.l2_depth)
        if found:
            self.l4_counters["l2_different"] += 1
            self._lost("diverged", f"block {self.l4.height} differs from its l2Book: {found}")
        return DONE

    cdef int _lost(self, str counter, str reason) except -1:
        self.l4_counters[counter] += 1
        self.expect_snapshot(reason)
        self._call(self.gap_sink, (reason,))
        return DONE

    # -- rows of a block ----------------------------------------------------------------------------------------------
    cdef Diff* _next_diff(self) except NULL:
        cdef void* grown
        if self._n_diffs == self._diffs_room:
            self._diffs_room = 2 * self._diffs_room if self._diffs_room else 256
            grown = realloc(self._diffs, self._diffs_room * sizeof(Diff))
            if grown == NULL:
                raise MemoryError()
            self._diffs = <Diff*>grown
        return &self._diffs[self._n_diffs]

    cdef Resting* _next_row(self) except NULL:
        cdef void* grown
        if self._n_rows == self._rows_room:
            self._rows_room = 2 * self._rows_room if self._rows_room else 256
            grown = realloc(self._rows, self._rows_room * sizeof(Resting))
            if grown == NULL:
                raise MemoryError()
            self._rows = <Resting*>grown
        return &self._rows[self._n_rows]

    cdef int _index_rows(self) except -1:
        cdef uint64_t size = 64, at
        cdef int i
        cdef void* grown
        while size < 2 * <uint64_t>self._n_rows:
            size *= 2
        if size > self._by_oid_mask + 1 or self._by_oid == NULL:
            grown = realloc(self._by_oid, size * sizeof(uint32_t))
            if grown == NULL:
                raise MemoryError()
            self._by_oid = <uint32_t*>grown
        self._by_oid_mask = size - 1
        memset(self._by_oid, 0xFF, size * sizeof(uint32_t))
        for i in range(self._n_rows):
            if self._rows[i].rests:
                at = (<uint64_t>self._rows[i].order.oid * <uint64_t>0x9E3779B97F4A7C15) >> 32 & self._by_oid_mask
                while self._by_oid[at] != NO_ROW and self._rows[self._by_oid[at]].order.oid != self._rows[i].order.oid:
                    at = (at + 1) & self._by_oid_mask
                self._by_oid[at] = <uint32_t>i           # of several that qualify, the last
        return 0

    cdef Resting* _row_of(self, int64_t oid) noexcept:
        cdef uint64_t at
        if self._n_rows == 0:
            return NULL
        at = (<uint64_t>oid * <uint64_t>0x9E3779B97F4A7C15) >> 32 & self._by_oid_mask
        while self._by_oid[at] != NO_ROW:
            if self._rows[self._by_oid[at]].order.oid == oid:
                return &self._rows[self._by_oid[at]]
            at = (at + 1) & self._by_oid_mask
        return NULL
