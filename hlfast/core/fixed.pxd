# Number kernels, inline for every compiled module: decimal text <-> int64 scaled by a power of ten. No floats, no
# allocation, every bound checked. `parse_scaled` reads outside data; `write_scaled` writes what goes on the wire.
from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    typedef __int128 hlfast_int128;
    """
    ctypedef long long int128 "hlfast_int128"

cdef enum:
    NUM_OK = 0
    NUM_MALFORMED = -1   # not a plain decimal number
    NUM_RANGE = -2       # does not fit
    NUM_OFF_GRID = -3    # non-zero digits beyond `decimals`

cdef extern from *:
    """
    static const long long hlfast_pow10[19] = {
        1LL, 10LL, 100LL, 1000LL, 10000LL, 100000LL, 1000000LL, 10000000LL, 100000000LL, 1000000000LL, 10000000000LL,
        100000000000LL, 1000000000000LL, 10000000000000LL, 100000000000000LL, 1000000000000000LL, 10000000000000000LL,
        100000000000000000LL, 1000000000000000000LL};
    """
    const int64_t hlfast_pow10[19]


cdef inline int64_t pow10_i64(int n) noexcept nogil:
    """10**n for 0 <= n <= 18; 0 outside."""
    if n < 0 or n > 18:
        return 0
    return hlfast_pow10[n]


cdef inline int parse_scaled(const char* p, Py_ssize_t n, int decimals, int64_t* out) noexcept nogil:
    """Read p[:n] as plain decimal text (digits, one point, a leading '-') into out, scaled by 10**decimals.

    Zeros beyond the grid are fine; other digits there are NUM_OFF_GRID. No exponent, blank, '+' or missing digit.
    """
    cdef Py_ssize_t i = 0
    cdef int fraction = 0, digits = 0, result = NUM_OK
    cdef bint negative = False, point = False
    cdef uint64_t value = 0
    cdef uint64_t limit = <uint64_t>922337203685477580
    cdef int d
    if n > 0 and p[0] == b'-':
        negative = True
        i = 1
    if i >= n or decimals < 0 or decimals > 18:
        return NUM_MALFORMED
    while i < n:
        d = p[i] - 48
        if 0 <= d <= 9:
            digits += 1
            if point:
                if fraction >= decimals:
                    if d != 0:
                        result = NUM_OFF_GRID
                    i += 1
                    continue
                fraction += 1
            if value > limit or (value == limit and d > 7):
                return NUM_RANGE
            value = value * 10 + <uint64_t>d
        elif p[i] == b'.' and not point and digits > 0:
            point = True
            digits = 0
        else:
            return NUM_MALFORMED
        i += 1
    if digits == 0:
        return NUM_MALFORMED
    while fraction < decimals:
        if value > limit:
            return NUM_RANGE
        value = value * 10
        fraction += 1
    if result == NUM_OK:
        out[0] = -<int64_t>value if negative else <int64_t>value
    return result


cdef inline int write_scaled(char* out, int64_t value, int decimals) noexcept nogil:
    """Write value / 10**decimals as the shortest plain text: no trailing zeros, no trailing point, "-0" is "0".

    `out` holds at least 32 bytes; 0 <= decimals <= 18. Returns the number of bytes.
    """
    cdef char buf[24]
    cdef int n = 0, at = 0, i, lead
    cdef uint64_t v
    if value == 0:
        out[0] = b'0'
        return 1
    if value < 0:
        out[0] = b'-'
        at = 1
        v = <uint64_t>(-(value + 1)) + 1
    else:
        v = <uint64_t>value
    while decimals > 0 and v % 10 == 0:
        v = v // 10
        decimals -= 1
    while v > 0:
        buf[n] = <char>(48 + v % 10)
        v = v // 10
        n += 1
    lead = n - decimals
    if lead <= 0:
        out[at] = b'0'
        out[at + 1] = b'.'
        at += 2
        for i in range(-lead):
            out[at] = b'0'
            at += 1
        for i in range(n):
            out[at] = buf[n - 1 - i]
            at += 1
        return at
    for i in range(n):
        if i == lead:
            out[at] = b'.'
            at += 1
        out[at] = buf[n - 1 - i]
        at += 1
    return at


cdef int64_t number_to_scaled(object number, int decimals, int snap) except? -9223372036854775807
cdef str scaled_text(int64_t value, int decimals)
