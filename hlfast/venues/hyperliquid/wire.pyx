"""Actions on the wire (layer 2, hot): the venue's field order, msgpack for hashing and JSON for sending.

The venue hashes what it packs from the parsed action in its own field order, so the order of keys decides whether a
signature is right. Orders and cancels are written straight into two buffers, msgpack and JSON side by side, from
integers (protocol, section 2.9). Every other action is ordered by its entry in the table of endpoints; an action with its
keys in another order is put right, one of a type that is not in the table keeps the order it was given.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from hlfast.core.fixed cimport write_digits, write_scaled

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object unicode, Py_ssize_t* size) except NULL

import msgpack

from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid import endpoints
from hlfast.venues.hyperliquid.endpoints import kinds

FIELD_ORDER = {name: entry.struct.names for name, entry in endpoints.ACTIONS.items()}
"""The order in which each action's fields are hashed, from the table of endpoints."""

cdef enum:
    S_STRUCT = 1
    S_LIST = 2
    S_ROW = 3


def _shape(kind):
    """How the objects inside a value of this kind are ordered; None where there are none."""
    if isinstance(kind, kinds.Struct):
        inner = {field.name: shape for field in kind.fields if (shape := _shape(field.kind)) is not None}
        return S_STRUCT, kind.names, inner
    if isinstance(kind, kinds.List):
        inner = _shape(kind.kind)
        return None if inner is None else (S_LIST, inner, None)
    if isinstance(kind, kinds.Row):
        rows = [_shape(each) for each in kind.kinds]
        return (S_ROW, rows, None) if any(each is not None for each in rows) else None
    if isinstance(kind, kinds.Null):
        return _shape(kind.kind)
    if isinstance(kind, kinds.Either):
        return next((shape for each in kind.kinds if (shape := _shape(each)) is not None), None)
    return None


_SHAPES = {name: _shape(entry.struct) for name, entry in endpoints.ACTIONS.items()}


cdef object _ordered(object value, tuple shape):
    """`value` with the keys of its objects in order; keys that the order does not name follow as given."""
    cdef int what = shape[0]
    cdef dict given, out, inner
    if what == S_STRUCT:
        if not isinstance(value, dict):
            return value
        given, inner, out = value, shape[2], {}
        for key in <tuple>shape[1]:
            if key in given:
                below = inner.get(key)
                out[key] = given[key] if below is None else _ordered(given[key], <tuple>below)
        if len(out) != len(given):
            for key, item in given.items():
                if key not in out:
                    out[key] = item
        return out
    if not isinstance(value, (list, tuple)):
        return value
    if what == S_LIST:
        return [_ordered(item, <tuple>shape[1]) for item in value]
    return [item if below is None else _ordered(item, <tuple>below) for item, below in zip(value, shape[1])]


def canonical(action):
    """`action` with the keys of every map in the venue's order. The given dict is not changed.

    Also of a multi-sig user's inner action, alone (`[user, signer, action]`, as it is signed) and inside its outer one.
    """
    if isinstance(action, (list, tuple)) and len(action) == 3 and isinstance(action[2], dict):
        return [action[0], action[1], canonical(action[2])]
    if not isinstance(action, dict):
        return action
    shape = _SHAPES.get(action.get("type"))
    if shape is None:
        return action
    out = _ordered(action, shape)
    if out["type"] == "multiSig" and isinstance(out.get("payload"), dict):
        out["payload"] = {**out["payload"], "action": canonical(out["payload"].get("action"))}
    return out


_pack = msgpack.Packer(use_bin_type=True).pack


cdef int _check(object value, str where) except -1:
    """No float is ever packed: the venue takes numbers as text, and a float would hash differently."""
    if type(value) is str or type(value) is bool or type(value) is int:
        return 0
    if isinstance(value, float):
        raise ConfigError(f"{where!r} of the action is the float {value!r}; the venue takes decimal text: use float_to_wire({value!r})")
    if isinstance(value, dict):
        for key, inner in value.items():
            _check(inner, key if isinstance(key, str) else where)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check(inner, where)
    return 0


cdef bint _is_exact(object value, int depth) except -1:
    if depth > 100:
        return False
    if type(value) is str or value is None or type(value) is bool:
        return True
    if type(value) is int:
        return -9223372036854775808 <= value <= 9223372036854775807
    if type(value) is dict:
        for key, inner in (<dict>value).items():
            if type(key) is not str or not _is_exact(inner, depth + 1):
                return False
        return True
    if type(value) is list or type(value) is tuple:
        for inner in value:
            if not _is_exact(inner, depth + 1):
                return False
        return True
    return False


def is_exact(value):
    """True if `value` holds dicts with text keys, lists, tuples, text, 64-bit integers, bools and None alone: then every
    JSON writer says the same of it. No float among them: NaN has no JSON."""
    return _is_exact(value, 0)


def encode_action(action):
    """The msgpack of an action in the venue's field order, as its hash takes it."""
    _check(action, "action")
    return _pack(canonical(action))


# -- orders and cancels, from integers --------------------------------------------------------------------------------
TIFS = ("Gtc", "Ioc", "Alo", "FrontendMarket")


cdef inline Py_ssize_t _put(unsigned char* out, Py_ssize_t at, const char* text, Py_ssize_t n) noexcept nogil:
    memcpy(out + at, text, n)
    return at + n


cdef extern from *:
    """
    static unsigned char hlfast_hex[512];
    static void hlfast_make_hex(void) {
        static const char digits[] = "0123456789abcdef";
        for (int i = 0; i < 256; i++) {
            hlfast_hex[2 * i] = digits[i >> 4];
            hlfast_hex[2 * i + 1] = digits[i & 15];
        }
    }
    """
    unsigned char hlfast_hex[512]            # the two hex digits of each byte
    void hlfast_make_hex() noexcept nogil

hlfast_make_hex()


cdef Py_ssize_t put_digits(unsigned char* out, Py_ssize_t at, uint64_t value) noexcept nogil:
    """`value` in decimal; at most 20 bytes."""
    return at + write_digits(<char*>out + at, value)


cdef Py_ssize_t put_hex(unsigned char* out, Py_ssize_t at, const unsigned char* raw, int n) noexcept nogil:
    """`n` bytes as 2n lower-case hex digits."""
    cdef int i
    for i in range(n):
        memcpy(out + at + 2 * i, hlfast_hex + 2 * raw[i], 2)
    return at + 2 * n


cdef Py_ssize_t _pack_uint(unsigned char* out, Py_ssize_t at, uint64_t value) noexcept nogil:
    """The shortest msgpack of an unsigned number; at most 9 bytes."""
    cdef int size, i
    if value < 128:
        out[at] = <unsigned char>value
        return at + 1
    if value < 256:
        out[at] = 0xCC
        size = 1
    elif value < 65536:
        out[at] = 0xCD
        size = 2
    elif value <= <uint64_t>0xFFFFFFFFU:
        out[at] = 0xCE
        size = 4
    else:
        out[at] = 0xCF
        size = 8
    for i in range(size):
        out[at + size - i] = <unsigned char>((value >> (8 * i)) & 0xFF)
    return at + 1 + size


cdef Py_ssize_t _pack_array(unsigned char* out, Py_ssize_t at, int n) noexcept nogil:
    if n < 16:
        out[at] = <unsigned char>(0x90 | n)
        return at + 1
    out[at] = 0xDC
    out[at + 1] = <unsigned char>(n >> 8)
    out[at + 2] = <unsigned char>(n & 0xFF)
    return at + 3


cdef Py_ssize_t _pack_text(unsigned char* out, Py_ssize_t at, const char* text, int n) noexcept nogil:
    """A string of less than 32 bytes."""
    out[at] = <unsigned char>(0xA0 | n)
    return _put(out, at + 1, text, n)


cdef int begin_orders(WireBuffer* w, int count) noexcept nogil:
    w.packed_size = _put(w.packed, 0, b"\x83\xa4type\xa5order\xa6orders", 19)
    w.packed_size = _pack_array(w.packed, w.packed_size, count)
    w.json_size = _put(w.json, w.json_size, b'{"type":"order","orders":[', 26)
    w.items = 0
    return 0


cdef int end_orders(WireBuffer* w) noexcept nogil:
    w.packed_size = _put(w.packed, w.packed_size, b"\xa8grouping\xa2na", 12)
    w.json_size = _put(w.json, w.json_size, b'],"grouping":"na"}', 18)
    return 0


cdef int end_linked_orders(WireBuffer* w) noexcept nogil:
    """Of an entry and its closing triggers."""
    w.packed_size = _put(w.packed, w.packed_size, b"\xa8grouping\xaanormalTpsl", 20)
    w.json_size = _put(w.json, w.json_size, b'],"grouping":"normalTpsl"}', 26)
    return 0


cdef int begin_modifies(WireBuffer* w, int count) noexcept nogil:
    w.packed_size = _put(w.packed, 0, b"\x82\xa4type\xabbatchModify\xa8modifies", 27)
    w.packed_size = _pack_array(w.packed, w.packed_size, count)
    w.json_size = _put(w.json, w.json_size, b'{"type":"batchModify","modifies":[', 34)
    w.items = 0
    return 0


cdef int end_modifies(WireBuffer* w) noexcept nogil:
    w.json_size = _put(w.json, w.json_size, b"]}", 2)
    return 0


cdef int add_modify(WireBuffer* w, const char* cloid, const WireOrder* o) noexcept nogil:
    """Append the change of the order named by `cloid` (34 bytes) into `o`. Room as for two orders."""
    cdef int items = w.items
    w.packed[w.packed_size] = 0x82
    w.packed_size = _put(w.packed, w.packed_size + 1, b"\xa3oid\xd9\x22", 6)
    w.packed_size = _put(w.packed, w.packed_size, cloid, 34)
    w.packed_size = _put(w.packed, w.packed_size, b"\xa5order", 6)
    if items > 0:
        w.json_size = _put(w.json, w.json_size, b",", 1)
    w.json_size = _put(w.json, w.json_size, b'{"oid":"', 8)
    w.json_size = _put(w.json, w.json_size, cloid, 34)
    w.json_size = _put(w.json, w.json_size, b'","order":', 10)
    w.items = 0
    add_order(w, o)
    w.items = items + 1
    w.json_size = _put(w.json, w.json_size, b"}", 1)
    return 0


# An order's constant parts are laid out once: what stands before its price for each instrument and side, what follows its
# size for each time in force. Copies are of fixed length (the compiler makes a few moves of each), so they may write some
# bytes beyond what counts: within the room that the caller has left, and overwritten by what follows.
cdef enum:
    HEADS = 512              # instruments whose heads are kept at a time, by the low bits of their number

cdef struct Head:
    bint is_made
    uint32_t asset
    Py_ssize_t packed_size
    Py_ssize_t json_size
    unsigned char packed[16]
    unsigned char json[40]

cdef struct Tail:
    Py_ssize_t packed_size
    Py_ssize_t json_size
    unsigned char packed[48]
    unsigned char json[72]

cdef Head _heads[2][HEADS]
cdef Tail _tails[4][2][2]    # by time in force, reduce-only, with a cloid


cdef Head* _head(uint32_t asset, bint is_buy) noexcept nogil:
    cdef Head* h = &_heads[1 if is_buy else 0][asset % HEADS]
    cdef Py_ssize_t a, b
    if h.is_made and h.asset == asset:
        return h
    a = _put(h.packed, 1, b"\xa1a", 2)       # the first byte, the number of fields, is written with each order
    a = _pack_uint(h.packed, a, asset)
    a = _put(h.packed, a, b"\xa1b", 2)
    h.packed[a] = 0xC3 if is_buy else 0xC2
    h.packed_size = _put(h.packed, a + 1, b"\xa1p", 2)
    b = _put(h.json, 0, b'{"a":', 5)
    b = put_digits(h.json, b, asset)
    if is_buy:
        b = _put(h.json, b, b',"b":true,"p":"', 15)
    else:
        b = _put(h.json, b, b',"b":false,"p":"', 16)
    h.json_size = b
    h.asset = asset
    h.is_made = True
    return h


cdef int _make_tails() except -1:
    cdef Tail* t
    cdef int tif, reduce_only, has_cloid
    for tif in range(4):
        for reduce_only in range(2):
            for has_cloid in range(2):
                name = TIFS[tif].encode()
                packed = b"\xa1r" + (b"\xc3" if reduce_only else b"\xc2") + b"\xa1t\x81\xa5limit\x81\xa3tif"
                packed += bytes([0xA0 | len(name)]) + name + (b"\xa1c\xd9\x22" if has_cloid else b"")
                text = b'","r":' + (b"true" if reduce_only else b"false") + b',"t":{"limit":{"tif":"' + name + b'"}}'
                text += b',"c":"' if has_cloid else b""
                t = &_tails[tif][reduce_only][has_cloid]
                t.packed_size, t.json_size = len(packed), len(text)
                if t.packed_size > 48 or t.json_size > 72:
                    raise AssertionError("an order's tail is longer than its place")
                memcpy(t.packed, <const char*>packed, t.packed_size)
                memcpy(t.json, <const char*>text, t.json_size)
    return 0

_make_tails()


cdef int add_order(WireBuffer* w, const WireOrder* o) noexcept nogil:
    """Append one order to both texts. The caller has left ORDER_PACKED_MAX and ORDER_JSON_MAX bytes, and holds the
    interpreter's lock: templates are made on the way."""
    cdef unsigned char* p = w.packed
    cdef unsigned char* j = w.json
    cdef Py_ssize_t a = w.packed_size, b = w.json_size
    cdef Head* head = _head(o.asset, o.is_buy)
    cdef Tail* tail
    # Both numbers are written well ahead of their copies: a wide load right after narrow stores has to wait for them.
    cdef char px[32]
    cdef char sz[32]
    cdef int n_px = write_scaled(px, o.px_e8, 8)
    cdef int n_sz = write_scaled(sz, o.lots, o.sz_decimals)
    if w.items > 0:
        j[b] = 44  # ,
        b += 1
    w.items += 1
    memcpy(p + a, head.packed, 16)
    memcpy(j + b, head.json, 40)
    p[a] = 0x87 if o.has_cloid else 0x86
    a += head.packed_size
    b += head.json_size
    p[a] = <unsigned char>(0xA0 | n_px)
    memcpy(p + a + 1, px, 24)
    memcpy(j + b, px, 24)
    a = _put(p, a + 1 + n_px, b"\xa1s", 2)
    b = _put(j, b + n_px, b'","s":"', 7)
    p[a] = <unsigned char>(0xA0 | n_sz)
    memcpy(p + a + 1, sz, 24)
    memcpy(j + b, sz, 24)
    a += 1 + n_sz
    b += n_sz
    if o.trigger_px_e8 > 0:
        w.packed_size = a
        w.json_size = b
        _put_trigger(w, o)
        a = w.packed_size
        b = w.json_size
    else:
        tail = &_tails[o.tif][1 if o.reduce_only else 0][1 if o.has_cloid else 0]
        memcpy(p + a, tail.packed, 48)
        memcpy(j + b, tail.json, 72)
        a += tail.packed_size
        b += tail.json_size
    if o.has_cloid:
        a = _put(p, a, o.cloid, 34)
        b = _put(j, b, o.cloid, 34)
        j[b] = 34  # "
        b += 1
    j[b] = 125  # }
    w.packed_size = a
    w.json_size = b + 1
    return 0


cdef int _put_trigger(WireBuffer* w, const WireOrder* o) noexcept nogil:
    """What follows the size of an order that waits for a price, up to its cloid."""
    cdef unsigned char* p = w.packed
    cdef unsigned char* j = w.json
    cdef Py_ssize_t a = w.packed_size, b = w.json_size
    cdef const char* tpsl = b"sl"
    cdef int n
    if o.trigger_is_tp:
        tpsl = b"tp"
    a = _put(p, a, b"\xa1r", 2)
    p[a] = 0xC3 if o.reduce_only else 0xC2
    a = _put(p, a + 1, b"\xa1t\x81\xa7trigger\x83\xa8isMarket", 21)
    p[a] = 0xC3 if o.trigger_is_market else 0xC2
    a = _put(p, a + 1, b"\xa9triggerPx", 10)
    if o.reduce_only:
        b = _put(j, b, b'","r":true,"t":', 15)
    else:
        b = _put(j, b, b'","r":false,"t":', 16)
    if o.trigger_is_market:
        b = _put(j, b, b'{"trigger":{"isMarket":true,"triggerPx":"', 41)
    else:
        b = _put(j, b, b'{"trigger":{"isMarket":false,"triggerPx":"', 42)
    n = write_scaled(<char*>j + b, o.trigger_px_e8, 8)
    p[a] = <unsigned char>(0xA0 | n)
    a = _put(p, a + 1, <const char*>j + b, n)
    b += n
    a = _put(p, a, b"\xa4tpsl\xa2", 6)
    a = _put(p, a, tpsl, 2)
    b = _put(j, b, b'","tpsl":"', 10)
    b = _put(j, b, tpsl, 2)
    b = _put(j, b, b'"}}', 3)
    if o.has_cloid:
        a = _put(p, a, b"\xa1c\xd9\x22", 4)
        b = _put(j, b, b',"c":"', 6)
    w.packed_size = a
    w.json_size = b
    return 0


cdef int begin_cancels(WireBuffer* w, int count, bint by_cloid, bint fast) noexcept nogil:
    w.packed[0] = 0x83 if fast else 0x82
    if by_cloid:
        w.packed_size = _put(w.packed, 1, b"\xa4type\xadcancelByCloid\xa7cancels", 27)
        w.json_size = _put(w.json, w.json_size, b'{"type":"cancelByCloid","cancels":[', 35)
    else:
        w.packed_size = _put(w.packed, 1, b"\xa4type\xa6cancel\xa7cancels", 20)
        w.json_size = _put(w.json, w.json_size, b'{"type":"cancel","cancels":[', 28)
    w.packed_size = _pack_array(w.packed, w.packed_size, count)
    w.items = 0
    return 0


cdef int end_cancels(WireBuffer* w, bint fast) noexcept nogil:
    if fast:
        w.packed_size = _put(w.packed, w.packed_size, b"\xa1f\xc3", 3)
        w.json_size = _put(w.json, w.json_size, b'],"f":true}', 11)
    else:
        w.json_size = _put(w.json, w.json_size, b"]}", 2)
    return 0


cdef int add_cancel(WireBuffer* w, uint32_t asset, uint64_t oid, const char* cloid) noexcept nogil:
    """Append one cancel, by `cloid` (34 bytes) where it is not NULL, else by oid."""
    cdef unsigned char* p = w.packed
    cdef unsigned char* j = w.json
    cdef Py_ssize_t a = w.packed_size, b = w.json_size
    if w.items > 0:
        j[b] = 44
        b += 1
    w.items += 1
    p[a] = 0x82
    if cloid != NULL:
        a = _put(p, a + 1, b"\xa5asset", 6)
        a = _pack_uint(p, a, asset)
        a = _put(p, a, b"\xa5cloid\xd9\x22", 8)
        a = _put(p, a, cloid, 34)
        b = _put(j, b, b'{"asset":', 9)
        b = put_digits(j, b, asset)
        b = _put(j, b, b',"cloid":"', 10)
        b = _put(j, b, cloid, 34)
        b = _put(j, b, b'"}', 2)
    else:
        a = _put(p, a + 1, b"\xa1a", 2)
        a = _pack_uint(p, a, asset)
        a = _put(p, a, b"\xa1o", 2)
        a = _pack_uint(p, a, oid)
        b = _put(j, b, b'{"a":', 5)
        b = put_digits(j, b, asset)
        b = _put(j, b, b',"o":', 5)
        b = put_digits(j, b, oid)
        j[b] = 125
        b += 1
    w.packed_size = a
    w.json_size = b
    return 0


cdef object _GTC = "Gtc"
cdef object _IOC = "Ioc"
cdef object _ALO = "Alo"


cdef int tif_code(object tif) except -1:
    if tif is _GTC:  # these words are interned: mostly it is the very object
        return TIF_GTC
    if tif is _ALO:
        return TIF_ALO
    if tif is _IOC:
        return TIF_IOC
    if tif in TIFS:
        return TIFS.index(tif)
    raise ConfigError(f"tif must be one of {', '.join(TIFS)}, got {tif!r}")


cdef int read_cloid(object cloid, char* out34) except -1:
    """Check and copy a cloid's text."""
    cdef const char* text = NULL
    cdef Py_ssize_t n = 0
    cdef int i
    cdef unsigned char c
    cdef bint zero = True, ok = isinstance(cloid, str)
    if ok:
        text = PyUnicode_AsUTF8AndSize(cloid, &n)
        ok = n == 34 and text[0] == b"0" and text[1] == b"x"
    if ok:
        for i in range(2, 34):
            c = text[i]
            if c != 48:
                zero = False
            if not (48 <= c <= 57 or 97 <= c <= 102):
                ok = False
    if not ok or zero:
        raise ConfigError(f"a cloid is 0x and 32 lower-case hex digits (128 bits, not all zero), got {cloid!r}")
    memcpy(out34, text, 34)
    return 0


cdef int copy_cloid(str cloid, char* out34) except -1:
    """Copy the text of an order's cloid, which was checked when the order was made."""
    cdef Py_ssize_t n = 0
    cdef const char* text = PyUnicode_AsUTF8AndSize(cloid, &n)
    if n != 34:
        return read_cloid(cloid, out34)
    memcpy(out34, text, 34)
    return 0


def is_cloid(cloid):
    """True for "0x" and 32 lower-case hex digits that are not all zero."""
    cdef char text[34]
    try:
        read_cloid(cloid, text)
    except ConfigError:
        return False
    return True


def encode_orders(orders):
    """(msgpack, JSON) of an `order` action, by the writers of the hot path.

    `orders`: tuples (asset, is_buy, px_e8, lots, sz_decimals, reduce_only, tif, cloid or None[, trigger]) where trigger
    is (px_e8, is_market, "tp" or "sl").
    """
    cdef WireBuffer w
    cdef WireOrder o
    cdef bytearray packed, text
    n = len(orders)
    if not 0 < n <= 65535:
        raise ConfigError(f"an action has 1 to 65535 orders, got {n}")
    packed = bytearray(64 + n * ORDER_PACKED_MAX)
    text = bytearray(64 + n * ORDER_JSON_MAX)
    w.packed, w.json = packed, text
    w.packed_size = w.json_size = 0
    begin_orders(&w, n)
    for row in orders:
        _wire_order(&o, row)
        add_order(&w, &o)
    end_orders(&w)
    return bytes(packed[: w.packed_size]), bytes(text[: w.json_size])


def encode_modifies(modifies):
    """(msgpack, JSON) of a `batchModify` action: tuples (cloid, order), the order as in `encode_orders`."""
    cdef WireBuffer w
    cdef WireOrder o
    cdef bytearray packed, text
    cdef char cloid[34]
    n = len(modifies)
    if not 0 < n <= 65535:
        raise ConfigError(f"an action has 1 to 65535 modifies, got {n}")
    packed = bytearray(64 + 2 * n * ORDER_PACKED_MAX)
    text = bytearray(64 + 2 * n * ORDER_JSON_MAX)
    w.packed, w.json = packed, text
    w.packed_size = w.json_size = 0
    begin_modifies(&w, n)
    for handle, row in modifies:
        read_cloid(handle, cloid)
        _wire_order(&o, row)
        add_modify(&w, cloid, &o)
    end_modifies(&w)
    return bytes(packed[: w.packed_size]), bytes(text[: w.json_size])


cdef int _wire_order(WireOrder* o, object row) except -1:
    asset, is_buy, px_e8, lots, sz_decimals, reduce_only, tif, cloid = row[:8]
    o.asset = asset
    o.is_buy = is_buy
    o.px_e8 = px_e8
    o.lots = lots
    o.sz_decimals = sz_decimals
    if not 0 <= o.sz_decimals <= 18:
        raise ConfigError(f"sz_decimals must be 0 to 18, got {sz_decimals}")
    o.reduce_only = reduce_only
    o.tif = tif_code(tif)
    o.has_cloid = cloid is not None
    if cloid is not None:
        read_cloid(cloid, o.cloid)
    o.trigger_px_e8 = 0
    if len(row) > 8 and row[8] is not None:
        o.trigger_px_e8, o.trigger_is_market = row[8][0], row[8][1]
        o.trigger_is_tp = row[8][2] == "tp"
    return 0


def encode_cancels(cancels, *, bint fast=False):
    """(msgpack, JSON) of a `cancel` action for (asset, oid) pairs, or `cancelByCloid` for (asset, cloid) pairs."""
    cdef WireBuffer w
    cdef bytearray packed, text
    cdef char cloid[34]
    n = len(cancels)
    if not 0 < n <= 65535:
        raise ConfigError(f"an action has 1 to 65535 cancels, got {n}")
    by_cloid = isinstance(cancels[0][1], str)
    packed = bytearray(64 + n * ORDER_PACKED_MAX)
    text = bytearray(64 + n * ORDER_JSON_MAX)
    w.packed, w.json = packed, text
    w.packed_size = w.json_size = 0
    begin_cancels(&w, n, by_cloid, fast)
    for asset, handle in cancels:
        if by_cloid:
            read_cloid(handle, cloid)
            add_cancel(&w, asset, 0, cloid)
        else:
            add_cancel(&w, asset, handle, NULL)
    end_cancels(&w, fast)
    return bytes(packed[: w.packed_size]), bytes(text[: w.json_size])
