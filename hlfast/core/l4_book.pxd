from libc.stdint cimport int64_t, uint32_t, uint64_t

from hlfast.core.order_book cimport OrderBook

cdef enum:                   # what became of a change
    L4_OK = 0
    L4_DUPLICATE = 1         # an order with this oid rests already
    L4_UNKNOWN = 2           # no order with this oid
    L4_MISPLACED = 3         # the order to stand before is not there, or at another price
    L4_DIFFERS = 4           # price or former size are not what the book has
    L4_BAD = 5               # price or size not positive

cdef struct NewOrder:        # an order that comes to rest
    int64_t oid
    int64_t px_e8
    int64_t lots
    int64_t time_ms
    int64_t before           # stands just before this oid; 0: at the end of the queue
    bint is_buy
    bint has_user
    bint has_cloid
    unsigned char user[20]
    unsigned char cloid[16]

cdef struct L4Order:         # 72 bytes
    int64_t oid
    int64_t lots
    int64_t time_ms
    uint32_t level
    uint32_t ahead, behind               # neighbours in the queue
    uint32_t user
    uint32_t user_ahead, user_behind     # neighbours among the orders of the user
    unsigned char cloid[16]
    bint has_cloid

cdef struct L4Level:
    int64_t key              # price scaled by 1e8, negative for bids: smaller is better
    int64_t lots
    uint32_t head, tail      # `head` links the free ones
    uint32_t n

cdef struct L4User:
    uint32_t head            # `head` links the free ones
    uint32_t n
    unsigned char address[20]

cdef struct TableSlot:
    uint32_t index           # NO_INDEX: free
    uint32_t hash

cdef struct Table:           # hash -> index; whoever looks compares the key itself
    TableSlot* slots
    uint64_t mask
    uint64_t n

cdef struct Ladder:          # the keys of one side in order, best first, in short runs
    int64_t** runs
    int* counts
    int n_runs
    int room
    int64_t n

cdef class L4Book:
    cdef readonly str coin
    cdef readonly int sz_decimals
    cdef readonly int64_t height             # of the last block that was applied
    cdef readonly int64_t time_ms            # venue time of it
    cdef readonly int64_t recv_ns
    cdef readonly int64_t epoch              # blocks and snapshots that were applied
    cdef readonly int64_t n_orders
    cdef readonly bint is_stale
    cdef readonly str stale_reason
    cdef L4Order** blocks                    # of ORDERS_IN_BLOCK each, so that growing copies none
    cdef uint32_t n_blocks, blocks_room
    cdef uint32_t used, free_order           # orders ever used; the first of those given back
    cdef L4Level* price_levels
    cdef uint32_t n_levels, levels_room, free_level
    cdef L4User* users
    cdef uint32_t n_users, users_room, free_user
    cdef Table by_oid, by_key, by_cloid, by_user
    cdef Ladder bids, asks

    cdef int begin(self) except -1                               # empty, before a snapshot
    cdef int insert_order(self, NewOrder* order) except -1
    # px 0: not said; was -1: not said
    cdef int resize_order(self, int64_t oid, int64_t px_e8, int64_t was, int64_t lots) except -1
    cdef int remove_order(self, int64_t oid, int64_t px_e8) except -1
    cdef int finish(self, int64_t height, int64_t time_ms, int64_t recv_ns) except -1    # 1: the book is good, 0: crossed

    cdef inline L4Order* at(self, uint32_t index) noexcept
    cdef uint32_t find(self, int64_t oid) noexcept
    cdef uint32_t _find_level(self, int64_t key) noexcept
    cdef uint32_t _find_user(self, const unsigned char* address) noexcept
    cdef uint32_t _new_order(self) except? 0xFFFFFFFE
    cdef uint32_t _level_of(self, int64_t key) except? 0xFFFFFFFE
    cdef uint32_t _user_of(self, const unsigned char* address) except? 0xFFFFFFFE
    cdef int _unlink(self, uint32_t index) except -1
    cdef int _clear(self) noexcept
    cdef object _position(self, uint32_t index)
    cdef list _levels(self, Ladder* ladder, int n)
    cdef str _differs(self, Ladder* ladder, list rows, str side, int depth)
    cdef str _check_side(self, Ladder* ladder, str side)
