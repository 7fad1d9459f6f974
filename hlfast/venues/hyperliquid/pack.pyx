"""Order actions from the caller's dict straight to msgpack (layer 2, hot).

`wire.encode_action` puts any action's keys into the venue's order, refuses floats and packs the result: three passes, and
new dicts on the way. An order action whose fields are exactly those of the protocol (2.4) is written here in one pass. A
surprise of any kind (another field or type, a negative number, no room) returns 0, and the caller takes the general way,
with the same bytes or its error.
"""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object unicode, Py_ssize_t* size) except NULL
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef struct Cursor:
    unsigned char* out
    Py_ssize_t at
    Py_ssize_t room

cdef str _TYPE = "type", _ORDERS = "orders", _GROUPING = "grouping", _LIMIT = "limit", _TIF = "tif", _TRIGGER = "trigger"
cdef str _IS_MARKET = "isMarket", _TRIGGER_PX = "triggerPx", _TPSL = "tpsl"
cdef str _A = "a", _B = "b", _P = "p", _S = "s", _R = "r", _T = "t", _C = "c"


cdef inline int _byte(Cursor* w, int value) noexcept nogil:
    if w.at >= w.room:
        return 0
    w.out[w.at] = <unsigned char>value
    w.at += 1
    return 1


cdef inline int _raw(Cursor* w, const void* text, Py_ssize_t n) noexcept nogil:
    if w.at + n > w.room:
        return 0
    memcpy(w.out + w.at, text, n)
    w.at += n
    return 1


cdef inline int _text(Cursor* w, object value) except -1:
    cdef Py_ssize_t n = 0
    cdef const char* utf8
    if type(value) is not str:
        return 0
    utf8 = PyUnicode_AsUTF8AndSize(value, &n)
    if n < 32:
        return _byte(w, 0xA0 | <int>n) and _raw(w, utf8, n)
    if n < 256:
        return _byte(w, 0xD9) and _byte(w, <int>n) and _raw(w, utf8, n)
    return 0


cdef inline int _flag(Cursor* w, object value) except -1:
    if value is True:
        return _byte(w, 0xC3)
    return _byte(w, 0xC2) if value is False else 0


cdef inline int _number(Cursor* w, object value) except -1:
    cdef int overflow = 0, size, i
    cdef long long number
    if type(value) is not int:
        return 0
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow or number < 0:
        return 0
    if number < 128:
        return _byte(w, <int>number)
    size = 1 if number < 256 else 2 if number < 65536 else 4 if number < 4294967296 else 8
    if not _byte(w, 0xCC if size == 1 else 0xCD if size == 2 else 0xCE if size == 4 else 0xCF):
        return 0
    for i in range(size - 1, -1, -1):
        if not _byte(w, <int>((<uint64_t>number >> (8 * i)) & 0xFF)):
            return 0
    return 1


cdef inline object _value(dict given, str key):
    """The value of `key`; None where there is none, which no field of an order may be."""
    cdef PyObject* found = PyDict_GetItemWithError(given, key)
    return None if found == NULL else <object>found


cdef int _kind(Cursor* w, object kind) except -1:
    """{"limit": {"tif"}} or {"trigger": {"isMarket", "triggerPx", "tpsl"}}."""
    if type(kind) is not dict or len(<dict>kind) != 1:
        return 0
    inner = _value(<dict>kind, _LIMIT)
    if type(inner) is dict and len(<dict>inner) == 1:
        return _raw(w, b"\x81\xa5limit\x81\xa3tif", 12) and _text(w, _value(<dict>inner, _TIF))
    inner = _value(<dict>kind, _TRIGGER)
    if type(inner) is dict and len(<dict>inner) == 3:
        return (
            _raw(w, b"\x81\xa7trigger\x83\xa8isMarket", 19) and _flag(w, _value(<dict>inner, _IS_MARKET))
            and _raw(w, b"\xa9triggerPx", 10) and _text(w, _value(<dict>inner, _TRIGGER_PX))
            and _raw(w, b"\xa4tpsl", 5) and _text(w, _value(<dict>inner, _TPSL))
        )
    return 0


cdef int _order(Cursor* w, object given) except -1:
    cdef dict row
    cdef object cloid
    if type(given) is not dict:
        return 0
    row = <dict>given
    cloid = _value(row, _C)
    if len(row) != (6 if cloid is None else 7):
        return 0
    return (
        _byte(w, 0x86 if cloid is None else 0x87)
        and _raw(w, b"\xa1a", 2) and _number(w, _value(row, _A))
        and _raw(w, b"\xa1b", 2) and _flag(w, _value(row, _B))
        and _raw(w, b"\xa1p", 2) and _text(w, _value(row, _P))
        and _raw(w, b"\xa1s", 2) and _text(w, _value(row, _S))
        and _raw(w, b"\xa1r", 2) and _flag(w, _value(row, _R))
        and _raw(w, b"\xa1t", 2) and _kind(w, _value(row, _T))
        and (cloid is None or (_raw(w, b"\xa1c", 2) and _text(w, cloid)))
    )


cdef Py_ssize_t pack_order_action(object given, unsigned char* out, Py_ssize_t room) except -1:
    """The msgpack of an order action in `out`: how many bytes, or 0 if this is to go the general way."""
    cdef Cursor w
    cdef dict action
    cdef list orders
    cdef object rows
    cdef Py_ssize_t n = 0
    if type(given) is not dict:
        return 0
    action = <dict>given
    rows = _value(action, _ORDERS)
    if len(action) != 3 or type(rows) is not list or len(<list>rows) > 15 or _value(action, _TYPE) != "order":
        return 0
    orders = <list>rows
    w.out, w.at, w.room = out, 0, room
    if not (_raw(&w, b"\x83\xa4type\xa5order\xa6orders", 19) and _byte(&w, 0x90 | <int>len(orders))):
        return 0
    for row in orders:
        if not _order(&w, row):
            return 0
        n += 1
    if n != len(orders) or not (_raw(&w, b"\xa8grouping", 9) and _text(&w, _value(action, _GROUPING))):
        return 0
    return w.at
