from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    TIF_GTC = 0
    TIF_IOC = 1
    TIF_ALO = 2
    TIF_FRONTEND_MARKET = 3

cdef enum:
    # the most that one order takes, with room to spare: numbers have at most 22 characters
    ORDER_PACKED_MAX = 224
    ORDER_JSON_MAX = 320

cdef struct WireOrder:
    uint32_t asset
    bint is_buy
    bint reduce_only
    bint has_cloid
    bint trigger_is_market
    bint trigger_is_tp
    int tif
    int sz_decimals
    int64_t px_e8
    int64_t lots
    int64_t trigger_px_e8                    # 0: a limit order
    char cloid[34]

cdef struct WireBuffer:
    # msgpack and JSON of one action, growing side by side; the caller owns the memory and its bounds
    unsigned char* packed
    unsigned char* json
    Py_ssize_t packed_size
    Py_ssize_t json_size                     # begin_* appends to what is there already
    int items

cdef Py_ssize_t put_digits(unsigned char* out, Py_ssize_t at, uint64_t value) noexcept nogil
cdef Py_ssize_t put_hex(unsigned char* out, Py_ssize_t at, const unsigned char* raw, int n) noexcept nogil
cdef int begin_orders(WireBuffer* w, int count) noexcept nogil
cdef int add_order(WireBuffer* w, const WireOrder* o) noexcept nogil
cdef int end_orders(WireBuffer* w) noexcept nogil
cdef int end_linked_orders(WireBuffer* w) noexcept nogil
cdef int begin_modifies(WireBuffer* w, int count) noexcept nogil
cdef int add_modify(WireBuffer* w, const char* cloid, const WireOrder* o) noexcept nogil
cdef int end_modifies(WireBuffer* w) noexcept nogil
cdef int begin_cancels(WireBuffer* w, int count, bint by_cloid, bint fast) noexcept nogil
cdef int add_cancel(WireBuffer* w, uint32_t asset, uint64_t oid, const char* cloid) noexcept nogil
cdef int end_cancels(WireBuffer* w, bint fast) noexcept nogil
cdef int tif_code(object tif) except -1
cdef int read_cloid(object cloid, char* out34) except -1
cdef int copy_cloid(str cloid, char* out34) except -1
