"""L4Book: every resting order of one instrument, in the queues of its price levels (layer 1, hot).

For venues that tell each order's coming, change and end. An order keeps its place when its size changes; a new one joins
the end of its level's queue, or stands just before another where the venue says so. Whoever feeds it calls for each
block the changes in their order and then `end_block`; a change that does not fit what is here says that something was
missed: `ProtocolError`, and the book has to be marked stale and begun anew from a snapshot.

Finding an order (by oid, by cloid, all of a user) and changing it cost the same with ten orders and a million; its queue
position costs a walk over those ahead. About 110 bytes an order. Prices int64 scaled by 1e8, sizes in lots.

    book = L4Book("BTC", 5)
    book.begin_snapshot()
    book.insert(1, True, "50000", "0.5", user="0x" + "11" * 20)
    book.end_block(height=7, time_ms=1)
    book.position(1).orders_ahead                                # 0
"""

from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from hlfast.clock cimport now_ns
from hlfast.core.fixed cimport int128, number_to_scaled
from hlfast.core.order_book cimport OrderBook

from decimal import Decimal

from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.errors import ConfigError, ProtocolError, RangeError

cdef enum:
    ORDERS_IN_BLOCK = 8192
    BLOCK_SHIFT = 13
    RUN = 256                # keys of a ladder that are moved at most for one

cdef uint32_t NO_INDEX = 0xFFFFFFFF
cdef uint32_t MOST = 0xFFFFFFF0
cdef object _D = Decimal


# -- hashes and tables ------------------------------------------------------------------------------------------------
cdef inline uint32_t _mixed(uint64_t x) noexcept nogil:
    x ^= x >> 30
    x *= <uint64_t>0xBF58476D1CE4E5B9
    x ^= x >> 27
    x *= <uint64_t>0x94D049BB133111EB
    return <uint32_t>((x ^ (x >> 31)) >> 16)


cdef inline uint32_t _hash_cloid(const unsigned char* cloid) noexcept nogil:
    cdef uint64_t[2] part
    memcpy(part, cloid, 16)
    return _mixed(part[0] ^ (part[1] * <uint64_t>0x9E3779B97F4A7C15))


cdef inline uint32_t _hash_user(const unsigned char* address) noexcept nogil:
    cdef uint64_t[2] part
    cdef uint32_t rest
    memcpy(part, address, 16)
    memcpy(&rest, address + 16, 4)
    return _mixed(part[0] ^ (part[1] * <uint64_t>0x9E3779B97F4A7C15) ^ rest)


cdef int _table_resize(Table* t, uint64_t size) except -1:
    cdef TableSlot* fresh = <TableSlot*>malloc(size * sizeof(TableSlot))
    cdef uint64_t i, at, mask = size - 1
    if fresh == NULL:
        raise MemoryError()
    memset(fresh, 0xFF, size * sizeof(TableSlot))
    if t.slots != NULL:
        for i in range(t.mask + 1):
            if t.slots[i].index != NO_INDEX:
                at = t.slots[i].hash & mask
                while fresh[at].index != NO_INDEX:
                    at = (at + 1) & mask
                fresh[at] = t.slots[i]
        free(t.slots)
    t.slots = fresh
    t.mask = mask
    return 0


cdef inline int _table_insert(Table* t, uint32_t hash, uint32_t index) except -1:
    cdef uint64_t at
    if (t.n + 1) * 10 > (t.mask + 1) * 7:
        _table_resize(t, 2 * (t.mask + 1))
    at = hash & t.mask
    while t.slots[at].index != NO_INDEX:
        at = (at + 1) & t.mask
    t.slots[at].index = index
    t.slots[at].hash = hash
    t.n += 1
    return 0


cdef inline int _table_remove(Table* t, uint32_t hash, uint32_t index) noexcept nogil:
    """`index` is in there. What was pushed on by it moves back, so that no gap has to be remembered."""
    cdef uint64_t at = hash & t.mask, next_at
    while t.slots[at].index != index:
        at = (at + 1) & t.mask
    next_at = at
    while True:
        next_at = (next_at + 1) & t.mask
        if t.slots[next_at].index == NO_INDEX:
            break
        if ((next_at - (t.slots[next_at].hash & t.mask)) & t.mask) >= ((next_at - at) & t.mask):
            t.slots[at] = t.slots[next_at]
            at = next_at
    t.slots[at].index = NO_INDEX
    t.n -= 1
    return 0


# -- the keys of a side in order --------------------------------------------------------------------------------------
cdef inline int _run_of(Ladder* ladder, int64_t key) noexcept nogil:
    """The run that holds the key, or where it belongs. Most keys are near the front, so that is looked at first."""
    cdef int low = 0, high = ladder.n_runs - 1, middle
    if high <= 0 or ladder.runs[0][ladder.counts[0] - 1] >= key:
        return 0
    while low < high:
        middle = (low + high) // 2
        if ladder.runs[middle][ladder.counts[middle] - 1] < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline int _place_in(int64_t* run, int n, int64_t key) noexcept nogil:
    cdef int low = 0, high = n, middle
    while low < high:
        middle = (low + high) // 2
        if run[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef int _open_run(Ladder* ladder, int at) except -1:
    """An empty run at place `at`."""
    cdef int room
    cdef void* grown
    if ladder.n_runs == ladder.room:
        room = 2 * ladder.room if ladder.room else 8
        grown = realloc(ladder.runs, room * sizeof(int64_t*))
        if grown == NULL:
            raise MemoryError()
        ladder.runs = <int64_t**>grown
        grown = realloc(ladder.counts, room * sizeof(int))
        if grown == NULL:
            raise MemoryError()
        ladder.counts = <int*>grown
        ladder.room = room
    grown = malloc(RUN * sizeof(int64_t))
    if grown == NULL:
        raise MemoryError()
    memmove(&ladder.runs[at + 1], &ladder.runs[at], (ladder.n_runs - at) * sizeof(int64_t*))
    memmove(&ladder.counts[at + 1], &ladder.counts[at], (ladder.n_runs - at) * sizeof(int))
    ladder.runs[at] = <int64_t*>grown
    ladder.counts[at] = 0
    ladder.n_runs += 1
    return 0


cdef int _close_run(Ladder* ladder, int at) noexcept nogil:
    free(ladder.runs[at])
    ladder.n_runs -= 1
    memmove(&ladder.runs[at], &ladder.runs[at + 1], (ladder.n_runs - at) * sizeof(int64_t*))
    memmove(&ladder.counts[at], &ladder.counts[at + 1], (ladder.n_runs - at) * sizeof(int))
    return 0


cdef int _add_key(Ladder* ladder, int64_t key) except -1:
    cdef int at, place, half = RUN // 2
    if ladder.n_runs == 0:
        _open_run(ladder, 0)
    at = _run_of(ladder, key)
    if ladder.counts[at] == RUN:
        _open_run(ladder, at + 1)
        memcpy(ladder.runs[at + 1], ladder.runs[at] + half, half * sizeof(int64_t))
        ladder.counts[at] = ladder.counts[at + 1] = half
        if ladder.runs[at][half - 1] < key:
            at += 1
    place = _place_in(ladder.runs[at], ladder.counts[at], key)
    memmove(ladder.runs[at] + place + 1, ladder.runs[at] + place, (ladder.counts[at] - place) * sizeof(int64_t))
    ladder.runs[at][place] = key
    ladder.counts[at] += 1
    ladder.n += 1
    return 0


cdef int _drop_key(Ladder* ladder, int64_t key) noexcept nogil:
    """The key is in there."""
    cdef int at = _run_of(ladder, key)
    cdef int place = _place_in(ladder.runs[at], ladder.counts[at], key)
    ladder.counts[at] -= 1
    ladder.n -= 1
    memmove(ladder.runs[at] + place, ladder.runs[at] + place + 1, (ladder.counts[at] - place) * sizeof(int64_t))
    if ladder.counts[at] == 0:
        _close_run(ladder, at)
    elif at + 1 < ladder.n_runs and ladder.counts[at] + ladder.counts[at + 1] <= RUN // 2:
        memcpy(ladder.runs[at] + ladder.counts[at], ladder.runs[at + 1], ladder.counts[at + 1] * sizeof(int64_t))
        ladder.counts[at] += ladder.counts[at + 1]
        _close_run(ladder, at + 1)
    return 0


cdef inline int64_t _best_key(Ladder* ladder) noexcept nogil:
    return ladder.runs[0][0] if ladder.n else 0


# -- bytes and text ---------------------------------------------------------------------------------------------------
cdef int _read_hex(str text, unsigned char* out, int n, str what) except -1:
    try:
        raw = bytes.fromhex(text[2:]) if text[:2] in ("0x", "0X") else b""
    except ValueError:
        raw = b""
    if len(raw) != n:
        raise RangeError(f"{what} is 0x and {2 * n} hex digits, got {text!r}")
    memcpy(out, <const unsigned char*>raw, n)
    return 0


cdef str _hex(const unsigned char* p, int n):
    return "0x" + (<const char*>p)[:n].hex()


cdef class QueuePosition:
    """Where one order stood in its level's queue when it was asked for. Sizes are `Decimal`, `*_lots` ints."""

    cdef readonly int64_t oid
    cdef readonly object cloid               # str | None
    cdef readonly object user                # str | None, lower case
    cdef readonly bint is_buy
    cdef readonly int64_t px_e8, lots, time_ms
    cdef readonly int64_t orders_ahead, lots_ahead
    cdef readonly int64_t orders_at_level, lots_at_level
    cdef int sz_decimals

    def __repr__(self):
        return f"<QueuePosition {self.oid} {'buy' if self.is_buy else 'sell'} {self.size} at {self.price}: {self.orders_ahead} orders, {self.size_ahead} ahead>"

    @property
    def price(self):
        return scaled_to_decimal(self.px_e8, 8)

    @property
    def size(self):
        """What remains of the order."""
        return scaled_to_decimal(self.lots, self.sz_decimals)

    @property
    def size_ahead(self):
        return scaled_to_decimal(self.lots_ahead, self.sz_decimals)

    @property
    def size_at_level(self):
        return scaled_to_decimal(self.lots_at_level, self.sz_decimals)


cdef tuple _WHY = (
    "", "an order with this oid rests already", "no order with this oid rests",
    "the order that it should stand before does not rest at its price", "its price or size is not what the book has",
    "price or size is not above 0",
)


cdef class L4Book:
    """One instrument, order by order. `best_*` are `Decimal`, or None where a side is empty."""

    def __cinit__(self, str coin, int sz_decimals):
        if sz_decimals < 0 or sz_decimals > 18:
            raise RangeError(f"sz_decimals must be 0 to 18, got {sz_decimals}")
        self.coin = coin
        self.sz_decimals = sz_decimals
        self.is_stale = True
        self.stale_reason = "no snapshot yet"
        self.free_order = self.free_level = self.free_user = NO_INDEX
        self._clear()
        for table in range(4):
            _table_resize(_table(self, table), 64)

    def __init__(self, str coin, int sz_decimals):
        pass

    def __dealloc__(self):
        cdef uint32_t i
        cdef int at
        self._clear()
        for i in range(self.n_blocks):
            free(self.blocks[i])
        free(self.blocks)
        free(self.price_levels)
        free(self.users)
        for at in range(4):
            free(_table(self, at).slots)
        free(self.bids.runs)
        free(self.bids.counts)
        free(self.asks.runs)
        free(self.asks.counts)

    def __repr__(self):
        return f"<L4Book {self.coin} {self.best_bid} @ {self.best_ask} orders={self.n_orders} height={self.height}{' STALE' if self.is_stale else ''}>"

    def __reduce__(self):
        raise TypeError("an L4Book is a view and cannot be pickled")

    def __len__(self):
        return self.n_orders

    # -- storage ----------------------------------------------------------------------------------------------------
    cdef inline L4Order* at(self, uint32_t index) noexcept:
        return &self.blocks[index >> BLOCK_SHIFT][index & (ORDERS_IN_BLOCK - 1)]

    cdef int _clear(self) noexcept:
        """No order, level or user; memory stays, but for the runs of the ladders."""
        cdef int at
        for at in range(4):
            if _table(self, at).slots != NULL:
                memset(_table(self, at).slots, 0xFF, (_table(self, at).mask + 1) * sizeof(TableSlot))
            _table(self, at).n = 0
        while self.bids.n_runs:
            _close_run(&self.bids, self.bids.n_runs - 1)
        while self.asks.n_runs:
            _close_run(&self.asks, self.asks.n_runs - 1)
        self.bids.n = self.asks.n = 0
        self.used = self.n_levels = self.n_users = 0
        self.free_order = self.free_level = self.free_user = NO_INDEX
        self.n_orders = 0
        return 0

    cdef uint32_t find(self, int64_t oid) noexcept:
        cdef uint32_t hash = _mixed(<uint64_t>oid)
        cdef uint64_t at = hash & self.by_oid.mask
        while self.by_oid.slots[at].index != NO_INDEX:
            if self.by_oid.slots[at].hash == hash and self.at(self.by_oid.slots[at].index).oid == oid:
                return self.by_oid.slots[at].index
            at = (at + 1) & self.by_oid.mask
        return NO_INDEX

    cdef uint32_t _find_level(self, int64_t key) noexcept:
        cdef uint32_t hash = _mixed(<uint64_t>key)
        cdef uint64_t at = hash & self.by_key.mask
        while self.by_key.slots[at].index != NO_INDEX:
            if self.by_key.slots[at].hash == hash and self.price_levels[self.by_key.slots[at].index].key == key:
                return self.by_key.slots[at].index
            at = (at + 1) & self.by_key.mask
        return NO_INDEX

    cdef uint32_t _find_user(self, const unsigned char* address) noexcept:
        cdef uint32_t hash = _hash_user(address)
        cdef uint64_t at = hash & self.by_user.mask
        while self.by_user.slots[at].index != NO_INDEX:
            if self.by_user.slots[at].hash == hash and memcmp(self.users[self.by_user.slots[at].index].address, address, 20) == 0:
                return self.by_user.slots[at].index
            at = (at + 1) & self.by_user.mask
        return NO_INDEX

    cdef uint32_t _new_order(self) except? 0xFFFFFFFE:
        cdef uint32_t index = self.free_order
        cdef void* grown
        if index != NO_INDEX:
            self.free_order = self.at(index).behind
            return index
        if self.used >> BLOCK_SHIFT == self.n_blocks:
            if self.used >= MOST:
                raise MemoryError()
            if self.n_blocks == self.blocks_room:
                self.blocks_room = 2 * self.blocks_room if self.blocks_room else 16
                grown = realloc(self.blocks, self.blocks_room * sizeof(L4Order*))
                if grown == NULL:
                    raise MemoryError()
                self.blocks = <L4Order**>grown
            self.blocks[self.n_blocks] = <L4Order*>malloc(ORDERS_IN_BLOCK * sizeof(L4Order))
            if self.blocks[self.n_blocks] == NULL:
                raise MemoryError()
            self.n_blocks += 1
        self.used += 1
        return self.used - 1

    cdef uint32_t _level_of(self, int64_t key) except? 0xFFFFFFFE:
        """The level of a key, made if there is none."""
        cdef uint32_t index = self._find_level(key)
        cdef void* grown
        if index != NO_INDEX:
            return index
        index = self.free_level
        if index != NO_INDEX:
            self.free_level = self.price_levels[index].head
        else:
            if self.n_levels == self.levels_room:
                self.levels_room = 2 * self.levels_room if self.levels_room else 256
                grown = realloc(self.price_levels, self.levels_room * sizeof(L4Level))
                if grown == NULL:
                    raise MemoryError()
                self.price_levels = <L4Level*>grown
            index = self.n_levels
            self.n_levels += 1
        self.price_levels[index].key = key
        self.price_levels[index].lots = 0
        self.price_levels[index].head = self.price_levels[index].tail = NO_INDEX
        self.price_levels[index].n = 0
        _table_insert(&self.by_key, _mixed(<uint64_t>key), index)
        _add_key(&self.asks if key > 0 else &self.bids, key)
        return index

    cdef uint32_t _user_of(self, const unsigned char* address) except? 0xFFFFFFFE:
        cdef uint32_t index = self._find_user(address)
        cdef void* grown
        if index != NO_INDEX:
            return index
        index = self.free_user
        if index != NO_INDEX:
            self.free_user = self.users[index].head
        else:
            if self.n_users == self.users_room:
                self.users_room = 2 * self.users_room if self.users_room else 256
                grown = realloc(self.users, self.users_room * sizeof(L4User))
                if grown == NULL:
                    raise MemoryError()
                self.users = <L4User*>grown
            index = self.n_users
            self.n_users += 1
        self.users[index].head = NO_INDEX
        self.users[index].n = 0
        memcpy(self.users[index].address, address, 20)
        _table_insert(&self.by_user, _hash_user(address), index)
        return index

    # -- changes ----------------------------------------------------------------------------------------------------
    cdef int begin(self) except -1:
        self._clear()
        self.is_stale = True
        self.stale_reason = "a snapshot is being read"
        return 0

    cdef int insert_order(self, NewOrder* new) except -1:
        cdef uint32_t index, level_at, before = NO_INDEX, user_at
        cdef L4Order* order
        cdef L4Order* other
        cdef L4Level* level
        cdef int64_t key = -new.px_e8 if new.is_buy else new.px_e8
        if new.px_e8 <= 0 or new.lots <= 0:
            return L4_BAD
        if self.find(new.oid) != NO_INDEX:
            return L4_DUPLICATE
        if new.before:
            before = self.find(new.before)
            if before == NO_INDEX or self.price_levels[self.at(before).level].key != key:
                return L4_MISPLACED
        index = self._new_order()
        level_at = self._level_of(key)
        level = &self.price_levels[level_at]
        order = self.at(index)
        order.oid, order.lots, order.time_ms, order.level = new.oid, new.lots, new.time_ms, level_at
        order.behind = before
        if before != NO_INDEX:
            other = self.at(before)
            order.ahead = other.ahead
            other.ahead = index
        else:
            order.ahead = level.tail
            level.tail = index
        if order.ahead != NO_INDEX:
            self.at(order.ahead).behind = index
        else:
            level.head = index
        level.lots += new.lots
        level.n += 1
        _table_insert(&self.by_oid, _mixed(<uint64_t>new.oid), index)
        order.has_cloid = new.has_cloid
        if new.has_cloid:
            memcpy(order.cloid, new.cloid, 16)
            _table_insert(&self.by_cloid, _hash_cloid(new.cloid), index)
        order.user = NO_INDEX
        if new.has_user:
            user_at = self._user_of(new.user)
            order.user = user_at
            order.user_ahead = NO_INDEX
            order.user_behind = self.users[user_at].head
            if order.user_behind != NO_INDEX:
                self.at(order.user_behind).user_ahead = index
            self.users[user_at].head = index
            self.users[user_at].n += 1
        self.n_orders += 1
        return L4_OK

    cdef int resize_order(self, int64_t oid, int64_t px_e8, int64_t was, int64_t lots) except -1:
        cdef uint32_t index = self.find(oid)
        cdef L4Order* order
        cdef L4Level* level
        if index == NO_INDEX:
            return L4_UNKNOWN
        if lots <= 0:
            return L4_BAD
        order = self.at(index)
        level = &self.price_levels[order.level]
        if (was >= 0 and order.lots != was) or (px_e8 and level.key != px_e8 and level.key != -px_e8):
            return L4_DIFFERS
        level.lots += lots - order.lots
        order.lots = lots
        return L4_OK

    cdef int remove_order(self, int64_t oid, int64_t px_e8) except -1:
        cdef uint32_t index = self.find(oid)
        cdef int64_t key
        if index == NO_INDEX:
            return L4_UNKNOWN
        key = self.price_levels[self.at(index).level].key
        if px_e8 and key != px_e8 and key != -px_e8:
            return L4_DIFFERS
        self._unlink(index)
        return L4_OK

    cdef int _unlink(self, uint32_t index) except -1:
        cdef L4Order* order = self.at(index)
        cdef L4Level* level = &self.price_levels[order.level]
        cdef L4User* user
        if order.ahead != NO_INDEX:
            self.at(order.ahead).behind = order.behind
        else:
            level.head = order.behind
        if order.behind != NO_INDEX:
            self.at(order.behind).ahead = order.ahead
        else:
            level.tail = order.ahead
        level.lots -= order.lots
        level.n -= 1
        if level.n == 0:
            _table_remove(&self.by_key, _mixed(<uint64_t>level.key), order.level)
            _drop_key(&self.asks if level.key > 0 else &self.bids, level.key)
            level.head = self.free_level
            self.free_level = order.level
        _table_remove(&self.by_oid, _mixed(<uint64_t>order.oid), index)
        if order.has_cloid:
            _table_remove(&self.by_cloid, _hash_cloid(order.cloid), index)
        if order.user != NO_INDEX:
            user = &self.users[order.user]
            if order.user_ahead != NO_INDEX:
                self.at(order.user_ahead).user_behind = order.user_behind
            else:
                user.head = order.user_behind
            if order.user_behind != NO_INDEX:
                self.at(order.user_behind).user_ahead = order.user_ahead
            user.n -= 1
            if user.n == 0:
                _table_remove(&self.by_user, _hash_user(user.address), order.user)
                user.head = self.free_user
                self.free_user = order.user
        order.behind = self.free_order
        self.free_order = index
        self.n_orders -= 1
        return 0

    cdef int finish(self, int64_t height, int64_t time_ms, int64_t recv_ns) except -1:
        self.height = height
        self.time_ms = time_ms
        self.recv_ns = recv_ns
        self.epoch += 1
        if self.bids.n and self.asks.n and -_best_key(&self.bids) >= _best_key(&self.asks):
            self.is_stale = True
            self.stale_reason = f"crossed at the end of block {height}"
            return 0
        self.is_stale = False
        self.stale_reason = ""
        return 1

    def begin_snapshot(self):
        """Empty the book; it is stale until `end_block`."""
        self.begin()

    def insert(self, int64_t oid, bint is_buy, price, size, *, user=None, cloid=None, int64_t time_ms=0, before=None):
        """A new order at the end of its queue, or just before the order with oid `before`. Raises `ProtocolError`."""
        cdef NewOrder new
        new.oid, new.is_buy, new.time_ms = oid, is_buy, time_ms
        new.px_e8, new.lots = number_to_scaled(price, 8, True), number_to_scaled(size, self.sz_decimals, True)
        new.before = 0 if before is None else before
        new.has_user, new.has_cloid = user is not None, cloid is not None
        if new.has_user:
            _read_hex(user, new.user, 20, "a user")
        if new.has_cloid:
            _read_hex(cloid, new.cloid, 16, "a cloid")
        self._told(self.insert_order(&new), "insert", oid)

    def resize(self, int64_t oid, size, was=None):
        """What remains of an order; it keeps its place. `was`: what the venue says it was. Raises `ProtocolError`."""
        cdef int64_t before = -1 if was is None else number_to_scaled(was, self.sz_decimals, True)
        self._told(self.resize_order(oid, 0, before, number_to_scaled(size, self.sz_decimals, True)), "resize", oid)

    def remove(self, int64_t oid):
        """An order has left. Raises `ProtocolError`."""
        self._told(self.remove_order(oid, 0), "remove", oid)

    def end_block(self, int64_t height, int64_t time_ms, recv_ns=None):
        """All changes of a block, or a snapshot, are in: the book is of this height. False, and stale, if it is crossed."""
        return self.finish(height, time_ms, now_ns() if recv_ns is None else recv_ns) == 1

    def _told(self, int status, str what, oid):
        if status != L4_OK:
            raise ProtocolError(f"{self.coin}: {what} of order {oid}: {_WHY[status]}")

    def mark_stale(self, str reason):
        """Something was missed: nothing here can be trusted until the next snapshot."""
        self.is_stale = True
        self.stale_reason = reason

    # -- reading ----------------------------------------------------------------------------------------------------
    @property
    def best_bid_e8(self):
        """Best bid scaled by 1e8, 0 if there is none."""
        return -_best_key(&self.bids)

    @property
    def best_ask_e8(self):
        """Best ask scaled by 1e8, 0 if there is none."""
        return _best_key(&self.asks)

    @property
    def best_bid(self):
        return scaled_to_decimal(-_best_key(&self.bids), 8) if self.bids.n else None

    @property
    def best_ask(self):
        return scaled_to_decimal(_best_key(&self.asks), 8) if self.asks.n else None

    @property
    def depth_levels(self):
        """(number of bid levels, number of ask levels)."""
        return self.bids.n, self.asks.n

    @property
    def age_ns(self):
        """Nanoseconds since the last block was received; None before the first."""
        return now_ns() - self.recv_ns if self.recv_ns else None

    @property
    def memory_bytes(self):
        """What orders, levels, users and tables take."""
        cdef uint64_t total = self.n_blocks * <uint64_t>ORDERS_IN_BLOCK * sizeof(L4Order)
        total += self.levels_room * sizeof(L4Level) + self.users_room * sizeof(L4User)
        total += (self.bids.n_runs + self.asks.n_runs) * <uint64_t>RUN * sizeof(int64_t)
        for at in range(4):
            total += (_table(self, at).mask + 1) * sizeof(TableSlot)
        return total

    def levels(self, int n=20):
        """The best `n` levels of both sides as ([(price, size, orders)], [...]), prices and sizes in Decimals, best first."""
        return tuple(
            [(scaled_to_decimal(px, 8), scaled_to_decimal(lots, self.sz_decimals), orders) for px, lots, orders in side]
            for side in self.raw_levels(n)
        )

    def raw_levels(self, int n=20):
        """The same as ([(px_e8, lots, orders)], [...]): scaled integers."""
        return self._levels(&self.bids, n), self._levels(&self.asks, n)

    cdef list _levels(self, Ladder* ladder, int n):
        cdef int i, j
        cdef L4Level* level
        cdef list out = []
        for i in range(ladder.n_runs):
            for j in range(ladder.counts[i]):
                if len(out) >= n:
                    return out
                level = &self.price_levels[self._find_level(ladder.runs[i][j])]
                out.append((level.key if level.key > 0 else -level.key, level.lots, level.n))
        return out

    def queue(self, bint is_buy, price):
        """The oids that rest at a price, first in the queue first."""
        cdef int64_t px = number_to_scaled(price, 8, True)
        cdef uint32_t at = self._find_level(-px if is_buy else px)
        cdef list out = []
        if at == NO_INDEX:
            return out
        at = self.price_levels[at].head
        while at != NO_INDEX:
            out.append(self.at(at).oid)
            at = self.at(at).behind
        return out

    def position(self, int64_t oid):
        """Where an order stands in its queue: a `QueuePosition`, or None if it does not rest."""
        return self._position(self.find(oid))

    def position_of_cloid(self, str cloid not None, user=None):
        """The same by cloid. Cloids are unique for a user only: without `user` one that several use raises `ConfigError`."""
        cdef unsigned char[16] wanted
        cdef unsigned char[20] address
        cdef uint32_t hash, owner = NO_INDEX, found = NO_INDEX, index
        cdef uint64_t at
        _read_hex(cloid, wanted, 16, "a cloid")
        if user is not None:
            _read_hex(user, address, 20, "a user")
            owner = self._find_user(address)
            if owner == NO_INDEX:
                return None
        hash = _hash_cloid(wanted)
        at = hash & self.by_cloid.mask
        while self.by_cloid.slots[at].index != NO_INDEX:
            index = self.by_cloid.slots[at].index
            if self.by_cloid.slots[at].hash == hash and memcmp(self.at(index).cloid, wanted, 16) == 0:
                if owner == NO_INDEX or self.at(index).user == owner:
                    if found != NO_INDEX:
                        raise ConfigError(f"{self.coin}: several orders have the cloid {cloid}; say whose with user=")
                    found = index
            at = (at + 1) & self.by_cloid.mask
        return self._position(found)

    def positions_of_user(self, str user not None):
        """A `QueuePosition` for every order of a user, the newest first."""
        cdef unsigned char[20] address
        cdef uint32_t at
        cdef list out = []
        _read_hex(user, address, 20, "a user")
        at = self._find_user(address)
        if at == NO_INDEX:
            return out
        at = self.users[at].head
        while at != NO_INDEX:
            out.append(self._position(at))
            at = self.at(at).user_behind
        return out

    cdef object _position(self, uint32_t index):
        cdef QueuePosition found
        cdef L4Order* order
        cdef L4Level* level
        if index == NO_INDEX:
            return None
        order = self.at(index)
        level = &self.price_levels[order.level]
        found = QueuePosition.__new__(QueuePosition)
        found.oid, found.lots, found.time_ms, found.sz_decimals = order.oid, order.lots, order.time_ms, self.sz_decimals
        found.cloid = _hex(order.cloid, 16) if order.has_cloid else None
        found.user = _hex(self.users[order.user].address, 20) if order.user != NO_INDEX else None
        found.is_buy = level.key < 0
        found.px_e8 = level.key if level.key > 0 else -level.key
        found.orders_at_level, found.lots_at_level = level.n, level.lots
        index = order.ahead
        while index != NO_INDEX:
            found.orders_ahead += 1
            found.lots_ahead += self.at(index).lots
            index = self.at(index).ahead
        return found

    # -- checks -----------------------------------------------------------------------------------------------------
    def differs_from(self, OrderBook book not None, int depth=20):
        """The first difference to an aggregated book of the same block with up to `depth` levels a side; "" if there is none.

        A side of `book` with fewer levels than `depth` is the whole side. Numbers of orders count where it has them.
        """
        bids, asks = book.levels()
        return self._differs(&self.bids, bids, "bid", depth) or self._differs(&self.asks, asks, "ask", depth)

    cdef str _differs(self, Ladder* ladder, list rows, str side, int depth):
        cdef list own = self._levels(ladder, max(depth, <int>len(rows)))
        if len(own) > len(rows) and len(rows) < depth:
            return f"{side}s: {ladder.n} levels order by order, {len(rows)} aggregated"
        for mine, theirs in zip(own, rows):
            if mine[:2] != theirs[:2] or (theirs[2] and mine[2] != theirs[2]):
                return f"{side} level (px_e8, lots, orders): {mine} order by order, {theirs} aggregated"
        if len(own) < len(rows):
            return f"{side}s: {len(own)} levels order by order, {len(rows)} aggregated"
        return ""

    def self_check(self):
        """What is wrong with the structure, walking all of it; "" if nothing. For tests."""
        cdef uint32_t user_at, index
        cdef int64_t users = 0, n
        found = self._check_side(&self.bids, "bids") or self._check_side(&self.asks, "asks")
        if found:
            return found
        for user_at in range(self.n_users):
            if self.users[user_at].n:
                n = 0
                index = self.users[user_at].head
                while index != NO_INDEX:
                    if self.at(index).user != user_at or self.find(self.at(index).oid) != index:
                        return f"a wrong order among those of user {user_at}"
                    n += 1
                    index = self.at(index).user_behind
                if n != self.users[user_at].n:
                    return f"user {user_at} has {n} orders, counted {self.users[user_at].n}"
                users += 1
        if users != <int64_t>self.by_user.n or self.by_oid.n != <uint64_t>self.n_orders:
            return f"{users} users in use, {self.by_user.n} in the table; {self.n_orders} orders, {self.by_oid.n} in the table"
        if self.by_key.n != <uint64_t>(self.bids.n + self.asks.n):
            return f"{self.by_key.n} levels in the table, {self.bids.n + self.asks.n} on the ladders"
        return ""

    cdef str _check_side(self, Ladder* ladder, str side):
        cdef int i, j
        cdef int64_t last = -0x7FFFFFFFFFFFFFFF, keys = 0, lots
        cdef uint32_t level_at, index, ahead, n
        for i in range(ladder.n_runs):
            for j in range(ladder.counts[i]):
                if ladder.runs[i][j] <= last:
                    return f"{side}: key {ladder.runs[i][j]} after {last}"
                last = ladder.runs[i][j]
                keys += 1
                level_at = self._find_level(last)
                if level_at == NO_INDEX or self.price_levels[level_at].n == 0:
                    return f"{side}: key {last} has no level, or an empty one"
                lots, n, ahead, index = 0, 0, NO_INDEX, self.price_levels[level_at].head
                while index != NO_INDEX:
                    if self.at(index).ahead != ahead or self.at(index).level != level_at or self.find(self.at(index).oid) != index:
                        return f"{side}: order {self.at(index).oid} is linked wrongly"
                    lots += self.at(index).lots
                    n += 1
                    ahead, index = index, self.at(index).behind
                if ahead != self.price_levels[level_at].tail or n != self.price_levels[level_at].n or lots != self.price_levels[level_at].lots:
                    return f"{side}: level {last} does not add up"
        return "" if keys == ladder.n else f"{side}: {keys} keys, counted {ladder.n}"


cdef inline Table* _table(L4Book book, int at) noexcept:
    if at == 0:
        return &book.by_oid
    if at == 1:
        return &book.by_key
    return &book.by_cloid if at == 2 else &book.by_user
