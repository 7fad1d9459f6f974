"""Numbers at the edge (layer 1, hot): text, float, int and Decimal to and from scaled integers.

Inside the library a price is int64 scaled by 1e8 and a size is int64 in lots; both are made here and nowhere else. A
float is read by its shortest decimal text, so 0.1 is one tenth. Nothing is rounded unless the caller says so; what
does not fit raises `RangeError`. The inline kernels for compiled callers are in `fixed.pxd`.
"""

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.math cimport fabs, rint
from libc.stdint cimport int64_t

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

from hlfast.errors import RangeError

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object unicode, Py_ssize_t* size) except NULL

cdef object _decimal = Decimal

EXACT = Context(prec=60)
"""For arithmetic on `Decimal` that must not depend on the caller's decimal context."""

cdef object _no_rounding = Context(prec=60, traps=[Inexact, InvalidOperation])


cdef str scaled_text(int64_t value, int decimals):
    cdef char buf[32]
    cdef int n
    if decimals < 0 or decimals > 18:
        raise RangeError(f"decimals must be 0 to 18, got {decimals}")
    n = write_scaled(buf, value, decimals)
    return PyUnicode_DecodeASCII(buf, n, NULL)


cdef object _as_decimal(object number):
    """The exact value of a number given at the edge, as a Decimal. Refuses bool, NaN, infinities and other types."""
    if isinstance(number, bool):
        raise RangeError(f"expected a number, got the bool {number!r}")
    try:
        if isinstance(number, float):
            value = _decimal(repr(float(number)))
        elif isinstance(number, (int, str, _decimal)):
            value = _decimal(number)
        else:
            value = _decimal(str(number)) if hasattr(number, "__float__") else None
    except (InvalidOperation, ValueError):
        value = None
    if value is None:
        raise RangeError(f"expected a number (int, float, Decimal or decimal text), got {number!r}")
    if not value.is_finite():
        raise RangeError(f"expected a finite number, got {number!r}")
    return value


cdef int64_t number_to_scaled(object number, int decimals, int snap) except? -9223372036854775807:
    """`number` times 10**decimals, exactly. With `snap`, noise of a float under 1e-12 goes to the grid first."""
    cdef int64_t out = 0
    cdef Py_ssize_t n
    cdef const char* p
    cdef int status
    cdef double x, scaled, nearest
    if decimals < 0 or decimals > 18:
        raise RangeError(f"decimals must be 0 to 18, got {decimals}")
    if PyFloat_CheckExact(number):
        x = PyFloat_AS_DOUBLE(number)
        scaled = x * <double>pow10_i64(decimals)
        nearest = rint(scaled)
        # Below 2**53 / 100 the shortest text of the nearest grid value is that float, so equality proves the value.
        if fabs(nearest) < 9e13 and decimals <= 8 and nearest / <double>pow10_i64(decimals) == x:
            return <int64_t>nearest
        # Noise: nearer to the grid than the limit, by more than the product and the shortest text can be off.
        if snap and fabs(nearest) < 4e15 and fabs(scaled - nearest) + fabs(scaled) * 4.5e-16 < 0.99e-12 * <double>pow10_i64(decimals):
            return <int64_t>nearest
    elif isinstance(number, str):
        p = PyUnicode_AsUTF8AndSize(number, &n)
        status = parse_scaled(p, n, decimals, &out)
        if status == NUM_OK:
            return out
    elif type(number) is _decimal:  # its text says all, and is read faster than its arithmetic is done
        text = str(number)
        p = PyUnicode_AsUTF8AndSize(text, &n)
        status = parse_scaled(p, n, decimals, &out)
        if status == NUM_OK:
            return out
    value = _as_decimal(number)
    try:
        scaled_value = value.scaleb(decimals, _no_rounding)
    except DecimalException:
        raise RangeError(f"{number!r} has too many digits; a number has at most 60") from None
    whole = scaled_value.to_integral_value()
    if whole != scaled_value:
        if not snap or not isinstance(number, float) or abs(EXACT.subtract(scaled_value, whole)) >= _decimal("1e-12").scaleb(decimals):
            raise RangeError(f"{number!r} has more than {decimals} decimals; round it first")
    if not -9223372036854775807 < whole < 9223372036854775807:
        raise RangeError(f"{number!r} does not fit: with {decimals} decimals at most {scaled_text(9223372036854775806, decimals)}")
    return <int64_t>int(whole)


def to_scaled(number, int decimals):
    """`number` (text, int, float, Decimal) as an integer scaled by 10**decimals. Raises `RangeError` off the grid."""
    return number_to_scaled(number, decimals, True)


def to_e8(price):
    """A price as int64 scaled by 1e8."""
    return number_to_scaled(price, 8, True)


def to_lots(size, int sz_decimals):
    """A size in lots of 10**-sz_decimals. Raises `RangeError` if it is not a whole number of lots."""
    return to_scaled(size, sz_decimals)


def scaled_to_text(int64_t value, int decimals):
    """value / 10**decimals as the shortest plain decimal text."""
    return scaled_text(value, decimals)


def e8_to_text(int64_t value):
    """A price's text from its int64 scaled by 1e8."""
    return scaled_text(value, 8)


def scaled_to_decimal(value, int decimals):
    """value / 10**decimals as an exact Decimal without trailing zeros."""
    return _decimal(scaled_to_text(value, decimals))


def e8_to_float(int64_t value):
    """The float nearest to value / 1e8."""
    return <double>value / 1e8


def number_to_decimal(number):
    """The exact Decimal of a number given at the edge; a float by its shortest text. Raises `RangeError`."""
    return _as_decimal(number)


def format_price(price, int min_decimals=2, int max_decimals=8):
    """A price for people: rounded to `max_decimals`, at least `min_decimals` shown. Never for sending."""
    if not 0 <= min_decimals <= max_decimals <= 18:
        raise RangeError(f"0 <= min_decimals <= max_decimals <= 18 is needed, got {min_decimals} and {max_decimals}")
    text = f"{_rounded(price, max_decimals):f}"
    whole, _, part = text.partition(".")
    part = part.rstrip("0").ljust(min_decimals, "0")
    return f"{whole}.{part}" if part else whole


cdef object _rounded(object number, int decimals):
    """The multiple of 10**-decimals nearest to the number's shortest text; ties away from zero."""
    return _as_decimal(number).quantize(_decimal(1).scaleb(-decimals), rounding="ROUND_HALF_UP", context=EXACT)


def float_to_wire(x, decimals=None):
    """The venue's text of a number: at most 8 decimals, no trailing zeros, no exponent. With `decimals`: rounded to them
    first, ties away from zero.

    As the official SDK's function of this name: a value that 8 decimals cannot hold to 1e-12 raises. NaN and
    infinities raise too, and -0.0 is "0". int, Decimal and decimal text are taken as well.

    Raises `RangeError` (a ValueError).
    """
    cdef double v, scaled, nearest
    if decimals is not None:
        if not 0 <= decimals <= 8:
            raise RangeError(f"the venue takes 0 to 8 decimals, got {decimals}")
        return _float_to_wire_exact(_rounded(x, decimals))
    if PyFloat_CheckExact(x):
        v = PyFloat_AS_DOUBLE(x)
        scaled = v * 1e8
        nearest = rint(scaled)
        # The nearest grid value divides back to the same float: it is the text that "%.8f" prints.
        if fabs(nearest) < 9e14 and nearest / 1e8 == v:
            return scaled_text(<int64_t>nearest, 8)
    return _float_to_wire_exact(x)


def _float_to_wire_exact(x):
    value = _as_decimal(x)
    if isinstance(x, float):
        text = "%.8f" % x
        if abs(float(text) - x) >= 1e-12:
            raise RangeError(f"{x!r} has more than 8 decimals; the venue takes at most 8: round it to the instrument's grid first")
    else:
        text = format(value, ".8f")
        if _decimal(text) != value:
            raise RangeError(f"{x!r} has more than 8 decimals; the venue takes at most 8: round it to the instrument's grid first")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
