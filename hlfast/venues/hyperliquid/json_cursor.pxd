# Cursor kernels, inline for the scanners (layer 2, hot): read known JSON from a frame that is not NUL-terminated.
#
# Every reader takes the place to read at and the frame's end, and returns the place behind what it read, or NULL: not
# what was expected, or not all there. Given NULL it returns NULL, so a row is a list of reads with one check at its
# end. No reader looks at or beyond `end`. NULL means "let orjson decide", never "malformed": the readers take less than
# JSON allows (printable ASCII without escapes, whole numbers without sign), and nothing that JSON forbids.
from libc.stdint cimport int64_t, uint64_t

from hlfast.core.fixed cimport NUM_OK, hlfast_pow10, parse_scaled
from hlfast.core.order_book cimport Level

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object unicode, Py_ssize_t* size) except NULL

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* The literal's length and the comparison are folded at compile time, hence always_inline. */
    static inline __attribute__((always_inline)) const char *
    hlfast_literal(const char *p, const char *end, const char *expected)
    {
        size_t n = strlen(expected);
        return p != NULL && (size_t)(end - p) >= n && memcmp(p, expected, n) == 0 ? p + n : NULL;
    }

    /* The eight bytes at p with the first of them in the lowest place, and '0'..'9' turned into 0..9. */
    static inline __attribute__((always_inline)) unsigned long long hlfast_load8(const char *p)
    {
        unsigned long long chunk;
        memcpy(&chunk, p, 8);
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        chunk = __builtin_bswap64(chunk);
    #endif
        return chunk ^ 0x3030303030303030ULL;
    }

    /* How many of them, from the first on, are digits. A carry can only spoil places behind the first other byte. */
    static inline __attribute__((always_inline)) int hlfast_digits8(unsigned long long chunk)
    {
        unsigned long long other = ((chunk + 0x7676767676767676ULL) | chunk) & 0x8080808080808080ULL;
        return other ? __builtin_ctzll(other) >> 3 : 8;
    }

    #define HLFAST_TENTH_OF_MAX (INT64_MAX / 10)

    /* The value of the first n (1 to 8) of them: pairs, then fours, then all eight. */
    static inline __attribute__((always_inline)) long long hlfast_value8(unsigned long long chunk, int n)
    {
        chunk <<= 64 - 8 * n;
        chunk = (chunk * 2561) >> 8;
        chunk = ((chunk & 0x00FF00FF00FF00FFULL) * 6553601) >> 16;
        return (long long)(((chunk & 0x0000FFFF0000FFFFULL) * 42949672960001ULL) >> 32);
    }
    """
    const int64_t TENTH_OF_MAX "HLFAST_TENTH_OF_MAX"
    const char* literal "hlfast_literal"(const char* p, const char* end, const char* expected) noexcept nogil
    uint64_t load8 "hlfast_load8"(const char* p) noexcept nogil
    int digits8 "hlfast_digits8"(uint64_t chunk) noexcept nogil
    int64_t value8 "hlfast_value8"(uint64_t chunk, int n) noexcept nogil


cdef struct Text:        # UTF-8 bytes of somebody else's memory; p NULL: absent or null
    const char* p
    Py_ssize_t n

cdef struct OrderRow:
    Text coin, px, sz, orig_sz, cloid, status, side
    int64_t oid, time_ms

cdef struct FillRow:
    Text coin, px, sz, side, start, direction, pnl, fee, cloid, fee_token
    int64_t oid, tid, time_ms
    bint crossed

cdef struct TradeRow:
    Text coin, px, sz, side, buyer, seller
    int64_t tid, time_ms


cdef inline const char* read_text(const char* p, const char* end, Text* out) noexcept nogil:
    """Behind an opening quote: the text up to the closing one, which is passed."""
    cdef unsigned char c
    if p == NULL:
        return NULL
    out.p = p
    while p < end:
        c = <unsigned char>p[0]
        if c == b'"':
            out.n = p - out.p
            return p + 1
        if c < 0x20 or c > 0x7E or c == b"\\":
            return NULL
        p += 1
    return NULL


cdef inline const char* read_int(const char* p, const char* end, int64_t* out) noexcept nogil:
    """A whole number from 0 to INT64_MAX, as JSON writes it (no leading zero)."""
    cdef int64_t value = 0
    cdef int digit
    cdef const char* start = p
    if p == NULL:
        return NULL
    while p < end:
        digit = <unsigned char>p[0] - 48
        if digit < 0 or digit > 9:
            break
        if value > TENTH_OF_MAX or (value == TENTH_OF_MAX and digit > 7):
            return NULL
        value = value * 10 + digit
        p += 1
    if p == start or (start[0] == b"0" and p - start > 1):
        return NULL
    out[0] = value
    return p


cdef inline const char* read_decimal(const char* p, const char* end, int decimals, int64_t* out) noexcept nogil:
    """Behind an opening quote: decimal text scaled by 10**decimals, and its closing quote. As `parse_scaled` reads it.

    Up to 8 digits on either side of the point go eight at a time, without a branch on their number (a mispredicted end
    of a number costs more than its digits); all else takes `parse_scaled` itself.
    """
    cdef uint64_t chunk
    cdef int64_t whole, fraction
    cdef int n
    cdef const char* at = p
    cdef Text text
    if p == NULL:
        return NULL
    if end - p >= 24 and 0 <= decimals <= 8:
        chunk = load8(at)
        n = digits8(chunk)
        if n > 0:
            whole = value8(chunk, n) * hlfast_pow10[decimals]
            at += n
            if at[0] == b'"':
                out[0] = whole
                return at + 1
            if at[0] == b".":
                chunk = load8(at + 1)
                n = digits8(chunk)
                if n > 0 and at[n + 1] == b'"':
                    fraction = value8(chunk, n)
                    if n <= decimals:
                        out[0] = whole + fraction * hlfast_pow10[decimals - n]
                        return at + n + 2
                    if fraction == 0:
                        out[0] = whole
                        return at + n + 2
    p = read_text(p, end, &text)
    if p == NULL or parse_scaled(text.p, text.n, decimals, out) != NUM_OK:
        return NULL
    return p


cdef inline bint text_of(object value, Text* out) except -1:
    """Point `out` into a str that outlives it; False (and absent) if it is none."""
    out.p = NULL
    out.n = 0
    if type(value) is not str:
        return False
    out.p = PyUnicode_AsUTF8AndSize(value, &out.n)
    return True


cdef inline bint int_of(object value, int64_t* out) except -1:
    """False unless `value` is an int from 0 to INT64_MAX."""
    if type(value) is not int or value < 0 or value > 0x7FFFFFFFFFFFFFFF:
        return False
    out[0] = value
    return True


# -- scanners of one row: bytes in the venue's order to a struct of slices; NULL: a surprise --------------------------
cdef inline const char* scan_cloid(const char* p, const char* end, Text* out) noexcept nogil:
    """The optional member cloid, a text or null."""
    cdef const char* q = literal(p, end, b',"cloid":')
    out.p = NULL
    out.n = 0
    if q == NULL:
        return p
    p = literal(q, end, b"null")
    if p != NULL:
        return p
    return read_text(literal(q, end, b'"'), end, out)


cdef inline const char* scan_bool(const char* p, const char* end, bint* out) noexcept nogil:
    cdef const char* q = literal(p, end, b"true")
    out[0] = q != NULL
    return q if q != NULL else literal(p, end, b"false")


cdef inline const char* scan_order(const char* p, const char* end, OrderRow* row) noexcept nogil:
    cdef int64_t skipped
    cdef const char* q
    p = read_text(literal(p, end, b'{"order":{"coin":"'), end, &row.coin)
    p = read_text(literal(p, end, b',"side":"'), end, &row.side)
    p = read_text(literal(p, end, b',"limitPx":"'), end, &row.px)
    p = read_text(literal(p, end, b',"sz":"'), end, &row.sz)
    p = read_int(literal(p, end, b',"oid":'), end, &row.oid)
    p = read_int(literal(p, end, b',"timestamp":'), end, &skipped)
    p = read_text(literal(p, end, b',"origSz":"'), end, &row.orig_sz)
    p = scan_cloid(p, end, &row.cloid)
    q = literal(p, end, b',"reduceOnly":true')
    if q != NULL:
        p = q
    p = read_text(literal(p, end, b'},"status":"'), end, &row.status)
    p = read_int(literal(p, end, b',"statusTimestamp":'), end, &row.time_ms)
    return literal(p, end, b"}")


cdef inline const char* scan_fill(const char* p, const char* end, FillRow* row) noexcept nogil:
    cdef Text skipped
    cdef int64_t twap_id
    cdef const char* q
    p = read_text(literal(p, end, b'{"coin":"'), end, &row.coin)
    p = read_text(literal(p, end, b',"px":"'), end, &row.px)
    p = read_text(literal(p, end, b',"sz":"'), end, &row.sz)
    p = read_text(literal(p, end, b',"side":"'), end, &row.side)
    p = read_int(literal(p, end, b',"time":'), end, &row.time_ms)
    p = read_text(literal(p, end, b',"startPosition":"'), end, &row.start)
    p = read_text(literal(p, end, b',"dir":"'), end, &row.direction)
    p = read_text(literal(p, end, b',"closedPnl":"'), end, &row.pnl)
    p = read_text(literal(p, end, b',"hash":"'), end, &skipped)
    p = read_int(literal(p, end, b',"oid":'), end, &row.oid)
    p = scan_bool(literal(p, end, b',"crossed":'), end, &row.crossed)
    p = read_text(literal(p, end, b',"fee":"'), end, &row.fee)
    q = literal(p, end, b',"builderFee":"')        # contained in fee
    if q != NULL:
        p = read_text(q, end, &skipped)
    p = read_int(literal(p, end, b',"tid":'), end, &row.tid)
    p = scan_cloid(p, end, &row.cloid)
    p = read_text(literal(p, end, b',"feeToken":"'), end, &row.fee_token)
    q = literal(p, end, b',"twapId":')
    if q != NULL:
        p = literal(q, end, b"null")
        if p == NULL:
            p = read_int(q, end, &twap_id)
    return literal(p, end, b"}")


cdef inline const char* scan_trade(const char* p, const char* end, TradeRow* row) noexcept nogil:
    cdef Text skipped
    p = read_text(literal(p, end, b'{"coin":"'), end, &row.coin)
    p = read_text(literal(p, end, b',"side":"'), end, &row.side)
    p = read_text(literal(p, end, b',"px":"'), end, &row.px)
    p = read_text(literal(p, end, b',"sz":"'), end, &row.sz)
    p = read_int(literal(p, end, b',"time":'), end, &row.time_ms)
    p = read_text(literal(p, end, b',"hash":"'), end, &skipped)
    p = read_int(literal(p, end, b',"tid":'), end, &row.tid)
    p = read_text(literal(p, end, b',"users":["'), end, &row.buyer)
    p = read_text(literal(p, end, b',"'), end, &row.seller)
    return literal(p, end, b"]}")


cdef inline const char* scan_level(const char* p, const char* end, int sz_decimals, Level* out) noexcept nogil:
    p = read_decimal(literal(p, end, b'{"px":"'), end, 8, &out.px_e8)
    p = read_decimal(literal(p, end, b',"sz":"'), end, sz_decimals, &out.lots)
    p = read_int(literal(p, end, b',"n":'), end, &out.n)
    return literal(p, end, b"}")


cdef inline const char* after_row(const char* p, const char* end, bint* last) noexcept nogil:
    """Pass the comma before a further row, or the bracket behind the last one."""
    if p == NULL or p >= end or (p[0] != b"," and p[0] != b"]"):
        return NULL
    last[0] = p[0] == b"]"
    return p + 1


# -- rows from orjson's objects: the same structs, pointing into its strings ------------------------------------------
cdef inline bint level_of(object entry, int sz_decimals, Level* out) except -1:
    cdef Text px, sz
    if type(entry) is not dict or not (text_of(entry.get("px"), &px) and text_of(entry.get("sz"), &sz)):
        return False
    if parse_scaled(px.p, px.n, 8, &out.px_e8) != NUM_OK or parse_scaled(sz.p, sz.n, sz_decimals, &out.lots) != NUM_OK:
        return False
    return int_of(entry.get("n", 0), &out.n)


cdef inline bint trade_of(object entry, TradeRow* row) except -1:
    if type(entry) is not dict or not (int_of(entry.get("time"), &row.time_ms) and int_of(entry.get("tid"), &row.tid)):
        return False
    text_of(entry.get("side"), &row.side)
    text_of(entry.get("px"), &row.px)
    text_of(entry.get("sz"), &row.sz)
    users = entry.get("users")
    is_pair = type(users) is list and len(users) == 2
    text_of(users[0] if is_pair else None, &row.buyer)
    text_of(users[1] if is_pair else None, &row.seller)
    return text_of(entry.get("coin"), &row.coin)


cdef inline bint order_of(object entry, OrderRow* row) except -1:
    order = entry.get("order") if type(entry) is dict else None
    if type(order) is not dict or not int_of(order.get("oid"), &row.oid):
        return False
    if not int_of(entry.get("statusTimestamp"), &row.time_ms):
        row.time_ms = 0
    text_of(order.get("side"), &row.side)
    text_of(order.get("limitPx"), &row.px)
    text_of(order.get("sz"), &row.sz)
    text_of(order.get("origSz"), &row.orig_sz)
    text_of(order.get("cloid"), &row.cloid)
    return text_of(order.get("coin"), &row.coin) and text_of(entry.get("status"), &row.status)


cdef inline bint fill_of(object entry, FillRow* row) except -1:
    if type(entry) is not dict or not (int_of(entry.get("time"), &row.time_ms) and int_of(entry.get("tid"), &row.tid)):
        return False
    row.crossed = entry.get("crossed") is not False
    text_of(entry.get("px"), &row.px)
    text_of(entry.get("side"), &row.side)
    text_of(entry.get("startPosition"), &row.start)
    text_of(entry.get("dir"), &row.direction)
    text_of(entry.get("closedPnl"), &row.pnl)
    text_of(entry.get("cloid"), &row.cloid)
    text_of(entry.get("feeToken"), &row.fee_token)
    fee = entry.get("fee")
    if not text_of(fee, &row.fee) and fee is not None:
        return False
    return int_of(entry.get("oid"), &row.oid) and text_of(entry.get("coin"), &row.coin) and text_of(
        entry.get("sz"), &row.sz
    )
