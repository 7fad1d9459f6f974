# Number kernels, inline for every compiled module: decimal text <-> int64 scaled by a power of ten. No floats, no
# allocation, every bound checked. `parse_scaled` reads outside data; `write_scaled` writes what goes on the wire.
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

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


cdef extern from *:
    """
    static const char hlfast_pairs[201] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
    """
    const char* hlfast_pairs                 # "00" to "99": decimal digits two at a time


cdef inline int write_digits(char* out, uint64_t value) noexcept nogil:
    """`value` in decimal digits; at most 20 bytes. Returns how many."""
    cdef char text[20]
    cdef int at = 20
    cdef uint64_t rest
    while value >= 100:
        rest = value % 100
        value = value // 100
        at -= 2
        memcpy(text + at, hlfast_pairs + 2 * rest, 2)
    if value >= 10:
        at -= 2
        memcpy(text + at, hlfast_pairs + 2 * value, 2)
    else:
        at -= 1
        text[at] = <char>(48 + value)
    memcpy(out, text + at, 20 - at)
    return 20 - at


cdef inline int write_scaled(char* out, int64_t value, int decimals) noexcept nogil:
    """Write value / 10**decimals as the shortest plain text: no trailing zeros, no trailing point, "-0" is "0".

    `out` holds at least 32 bytes; 0 <= decimals <= 18. Returns the number of bytes.
    """
    cdef int n = 0, i
    cdef uint64_t v, whole, part, rest
    if value < 0:
        out[0] = b'-'
        n = 1
        v = <uint64_t>(-(value + 1)) + 1
    else:
        v = <uint64_t>value
    whole = v // <uint64_t>hlfast_pow10[decimals]
    part = v - whole * <uint64_t>hlfast_pow10[decimals]
    n += write_digits(out + n, whole)
    if part == 0:
        return n
    while part % 10000 == 0:
        part = part // 10000
        decimals -= 4
    while part % 10 == 0:
        part = part // 10
        decimals -= 1
    out[n] = b'.'
    n += 1
    i = n + decimals
    while i - n >= 2:
        i -= 2
        rest = part % 100
        part = part // 100
        memcpy(out + i, hlfast_pairs + 2 * rest, 2)
    if i > n:
        out[n] = <char>(48 + part)
    return n + decimals


cdef int64_t number_to_scaled(object number, int decimals, int snap) except? -9223372036854775807
cdef str scaled_text(int64_t value, int decimals)
