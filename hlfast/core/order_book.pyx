"""OrderBook and Bbo: price levels of one instrument (layer 1, hot).

Levels are C arrays, best first: prices int64 scaled by 1e8, sizes in lots of 10**-sz_decimals. A scanner fills the back
arrays and commits them; what is not strictly ordered and positive is refused, the old book stays and turns stale. In
steady state nothing is allocated. The object is a view: a handler sees it as it is then; `snapshot()` copies.

    book = OrderBook("BTC", 5)
    book.apply_snapshot([("50000", "1.5")], [("50001", "1")], seq=1)
    book.best_bid, book.spread                                   # Decimal('50000'), Decimal('1')
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove

from hlfast.clock cimport now_ns
from hlfast.core.fixed cimport int128, number_to_scaled, pow10_i64

from decimal import Decimal

from hlfast.core.fixed import EXACT, number_to_decimal, scaled_to_decimal
from hlfast.errors import RangeError
from hlfast.types import TradeType

cdef object _D = Decimal
cdef int MAX_LEVELS = 100000


cdef bint _is_bid_side(object side) except -1:
    """True for the side that a seller trades against. `side` is the taker's: buying takes asks."""
    if side is TradeType.BUY or (isinstance(side, str) and side.lower() in ("buy", "b")):
        return False
    if side is TradeType.SELL or (isinstance(side, str) and side.lower() in ("sell", "a")):
        return True
    raise RangeError(f"side must be TradeType.BUY or TradeType.SELL (or 'buy', 'sell'), got {side!r}")


cdef class OrderBook:
    """One instrument's book. `best_*`, `mid_price` and the like are `Decimal`, or None where a side is empty."""

    def __cinit__(self, str coin, int sz_decimals, *args, **kwargs):
        if sz_decimals < 0 or sz_decimals > 18:
            raise RangeError(f"sz_decimals must be 0 to 18, got {sz_decimals}")
        self.coin = coin
        self.sz_decimals = sz_decimals
        self.capacity = 0
        self.stale_reason = "no data yet"
        self.is_stale = False
        self.reserve(32)

    def __init__(self, str coin, int sz_decimals):
        pass

    def __dealloc__(self):
        free(self.bids)
        free(self.asks)
        free(self.back_bids)
        free(self.back_asks)

    def __repr__(self):
        return f"<OrderBook {self.coin} {self.best_bid} @ {self.best_ask} levels={self.n_bids}/{self.n_asks}{' STALE' if self.is_stale else ''}>"

    def __reduce__(self):
        raise TypeError("an OrderBook is a view and cannot be pickled; take its snapshot() as lists instead")

    cdef int reserve(self, int levels) except -1:
        cdef int wanted = self.capacity if self.capacity > 0 else 32
        cdef Level* fresh
        if levels <= self.capacity:
            return 0
        if levels > MAX_LEVELS:
            raise RangeError(f"{self.coin}: a book of {levels} levels a side is not plausible; at most {MAX_LEVELS}")
        while wanted < levels:
            wanted *= 2
        self.bids = _grown(self.bids, self.n_bids, wanted)
        self.asks = _grown(self.asks, self.n_asks, wanted)
        self.back_bids = _grown(self.back_bids, self.capacity, wanted)
        self.back_asks = _grown(self.back_asks, self.capacity, wanted)
        self.capacity = wanted
        return 0

    cdef int commit_snapshot(self, int n_bids, int n_asks, int64_t time_ms, int64_t recv_ns) except -1:
        cdef int i
        cdef Level* swap
        cdef bint ok = True
        if time_ms < self.time_ms:
            self.older_count += 1
            return BOOK_OLDER
        if n_bids < 0 or n_asks < 0 or n_bids > self.capacity or n_asks > self.capacity:
            ok = False
        else:
            for i in range(n_bids):
                if self.back_bids[i].px_e8 <= 0 or self.back_bids[i].lots <= 0:
                    ok = False
                if i > 0 and self.back_bids[i].px_e8 >= self.back_bids[i - 1].px_e8:
                    ok = False
            for i in range(n_asks):
                if self.back_asks[i].px_e8 <= 0 or self.back_asks[i].lots <= 0:
                    ok = False
                if i > 0 and self.back_asks[i].px_e8 <= self.back_asks[i - 1].px_e8:
                    ok = False
            if ok and n_bids > 0 and n_asks > 0 and self.back_bids[0].px_e8 >= self.back_asks[0].px_e8:
                ok = False
        if not ok:
            self.bad_count += 1
            self.set_stale("a snapshot was refused: levels out of order, not positive, or crossed")
            return BOOK_BAD
        swap = self.bids
        self.bids = self.back_bids
        self.back_bids = swap
        swap = self.asks
        self.asks = self.back_asks
        self.back_asks = swap
        self.n_bids = n_bids
        self.n_asks = n_asks
        self.time_ms = time_ms
        self.recv_ns = recv_ns
        self.epoch += 1
        if self.is_stale:
            self.is_stale = False
        self.stale_reason = ""
        return BOOK_OK

    cdef int set_stale(self, str reason) except -1:
        self.is_stale = True
        self.stale_reason = reason
        return 0

    def mark_stale(self, str reason):
        """Say that the book can no longer be trusted, until the next good snapshot."""
        self.set_stale(reason)

    # -- input from Python ------------------------------------------------------------------------------------------
    def apply_snapshot(self, bids, asks, seq=0, time_ms=None, recv_ns=None):
        """Replace both sides by (price, size) or (price, size, orders) levels, in any order; sizes <= 0 are skipped.

        Returns True if the book was taken. A crossed snapshot is taken as the new content but marked stale; a price
        that comes twice, or is not positive, refuses the whole snapshot.
        """
        cdef int nb, na, status
        cdef int64_t when = self.time_ms if time_ms is None else time_ms
        new_bids = self._levels(bids, True)
        new_asks = self._levels(asks, False)
        nb, na = len(new_bids), len(new_asks)
        self.reserve(max(nb, na))
        _fill(self.back_bids, new_bids)
        _fill(self.back_asks, new_asks)
        if when < self.time_ms:
            self.older_count += 1
            return False
        crossed = nb > 0 and na > 0 and self.back_bids[0].px_e8 >= self.back_asks[0].px_e8
        if crossed:
            memcpy(self.bids, self.back_bids, nb * sizeof(Level))
            memcpy(self.asks, self.back_asks, na * sizeof(Level))
            self.n_bids, self.n_asks = nb, na
            self.time_ms = when
            self.epoch += 1
            self.bad_count += 1
            self.sequence = seq
            self.set_stale("crossed: best bid is not below best ask")
            return False
        status = self.commit_snapshot(nb, na, when, now_ns() if recv_ns is None else recv_ns)
        if status == BOOK_OK:
            self.sequence = seq
        return status == BOOK_OK

    cdef list _levels(self, object levels, bint descending):
        out = []
        for level in levels:
            px = number_to_scaled(level[0], 8, True)
            lots = number_to_scaled(level[1], self.sz_decimals, True)
            if lots > 0:
                out.append((px, lots, int(level[2]) if len(level) > 2 else 0))
        out.sort(reverse=descending)
        return out

    def apply_delta(self, price, size, bint is_bid, seq=None):
        """Set the size at a price, or remove the level with size 0. A `seq` that is not the next one marks the book stale."""
        cdef int64_t px = number_to_scaled(price, 8, True), lots = number_to_scaled(size, self.sz_decimals, True)
        cdef Level* side
        cdef int n, low = 0, high, mid
        cdef bint found
        if px <= 0 or lots < 0:
            raise RangeError(f"{self.coin}: a level needs a price above 0 and a size of at least 0, got {price!r}, {size!r}")
        if seq is not None:
            if self.sequence and seq != self.sequence + 1:
                self.set_stale(f"sequence jumped from {self.sequence} to {seq}")
            self.sequence = seq
        n = self.n_bids if is_bid else self.n_asks
        self.reserve(n + 1)
        side = self.bids if is_bid else self.asks
        high = n
        while low < high:
            mid = (low + high) // 2
            if (side[mid].px_e8 > px) if is_bid else (side[mid].px_e8 < px):
                low = mid + 1
            else:
                high = mid
        found = low < n and side[low].px_e8 == px
        if lots == 0:
            if found:
                memmove(&side[low], &side[low + 1], (n - low - 1) * sizeof(Level))
                n -= 1
        else:
            if not found:
                memmove(&side[low + 1], &side[low], (n - low) * sizeof(Level))
                n += 1
                side[low].n = 0
            side[low].px_e8 = px
            side[low].lots = lots
        if is_bid:
            self.n_bids = n
        else:
            self.n_asks = n
        self.epoch += 1
        self.recv_ns = now_ns()

    def clear(self):
        """Empty, sequence 0, not valid."""
        self.n_bids = self.n_asks = 0
        self.sequence = self.time_ms = self.recv_ns = 0
        self.epoch += 1
        self.is_stale = False
        self.stale_reason = "cleared"

    # -- reading ----------------------------------------------------------------------------------------------------
    @property
    def best_bid_e8(self):
        """Best bid scaled by 1e8, 0 if there is none."""
        return self.bids[0].px_e8 if self.n_bids else 0

    @property
    def best_ask_e8(self):
        """Best ask scaled by 1e8, 0 if there is none."""
        return self.asks[0].px_e8 if self.n_asks else 0

    @property
    def best_bid_lots(self):
        return self.bids[0].lots if self.n_bids else 0

    @property
    def best_ask_lots(self):
        return self.asks[0].lots if self.n_asks else 0

    @property
    def best_bid(self):
        return scaled_to_decimal(self.bids[0].px_e8, 8) if self.n_bids else None

    @property
    def best_ask(self):
        return scaled_to_decimal(self.asks[0].px_e8, 8) if self.n_asks else None

    @property
    def best_bid_size(self):
        return scaled_to_decimal(self.bids[0].lots, self.sz_decimals) if self.n_bids else None

    @property
    def best_ask_size(self):
        return scaled_to_decimal(self.asks[0].lots, self.sz_decimals) if self.n_asks else None

    @property
    def depth_levels(self):
        """(number of bid levels, number of ask levels)."""
        return self.n_bids, self.n_asks

    @property
    def is_crossed(self):
        return self.n_bids > 0 and self.n_asks > 0 and self.bids[0].px_e8 >= self.asks[0].px_e8

    @property
    def is_valid(self):
        """Both sides present, best bid below best ask, not stale."""
        return self.n_bids > 0 and self.n_asks > 0 and self.bids[0].px_e8 < self.asks[0].px_e8 and not self.is_stale

    @property
    def mid_price(self):
        if not self.n_bids or not self.n_asks:
            return None
        return EXACT.divide(EXACT.add(self.best_bid, self.best_ask), 2)

    @property
    def spread(self):
        if not self.n_bids or not self.n_asks:
            return None
        return scaled_to_decimal(self.asks[0].px_e8 - self.bids[0].px_e8, 8)

    @property
    def spread_bps(self):
        """Spread over mid in basis points, a Decimal."""
        if not self.n_bids or not self.n_asks:
            return None
        return EXACT.multiply(EXACT.divide(self.spread, self.mid_price), 10000)

    @property
    def age_ns(self):
        """Nanoseconds since the last change was received; None before the first."""
        return now_ns() - self.recv_ns if self.recv_ns else None

    def get_top_bids(self, int n=10):
        """The best `n` bids as (price, size) Decimals, best first."""
        return self._top(self.bids, self.n_bids, n)

    def get_top_asks(self, int n=10):
        """The best `n` asks as (price, size) Decimals, best first."""
        return self._top(self.asks, self.n_asks, n)

    cdef list _top(self, Level* side, int have, int n):
        cdef int i
        return [
            (scaled_to_decimal(side[i].px_e8, 8), scaled_to_decimal(side[i].lots, self.sz_decimals))
            for i in range(min(max(n, 0), have))
        ]

    def levels(self):
        """Both sides as ([(px_e8, lots, orders)], [...]), best first."""
        cdef int i
        return (
            [(self.bids[i].px_e8, self.bids[i].lots, self.bids[i].n) for i in range(self.n_bids)],
            [(self.asks[i].px_e8, self.asks[i].lots, self.asks[i].n) for i in range(self.n_asks)],
        )

    def vwap(self, side, size):
        """Average price of taking `size` at once (`side` is the taker's), exact; None if the depth is not there."""
        cdef bint from_bids = _is_bid_side(side)
        cdef Level* levels = self.bids if from_bids else self.asks
        cdef int n = self.n_bids if from_bids else self.n_asks, i
        cdef int64_t wanted = number_to_scaled(size, self.sz_decimals, True), left, take
        if wanted <= 0:
            raise RangeError(f"{self.coin}: vwap needs a size above 0, got {size!r}")
        left = wanted
        cost = 0
        for i in range(n):
            take = levels[i].lots if levels[i].lots < left else left
            cost += <object>levels[i].px_e8 * take
            left -= take
            if left == 0:
                return EXACT.divide(_D(cost).scaleb(-8, EXACT), _D(wanted))
        return None

    def price_for_notional(self, side, notional):
        """The limit price that takes at least `notional` (price times size) at once; None if the depth is not there."""
        cdef bint from_bids = _is_bid_side(side)
        cdef Level* levels = self.bids if from_bids else self.asks
        cdef int n = self.n_bids if from_bids else self.n_asks, i
        value = number_to_decimal(notional)
        if value <= 0:
            raise RangeError(f"{self.coin}: price_for_notional needs a value above 0, got {notional!r}")
        target = value.scaleb(8 + self.sz_decimals, EXACT)
        seen = 0
        for i in range(n):
            seen += <object>levels[i].px_e8 * levels[i].lots
            if seen >= target:
                return scaled_to_decimal(levels[i].px_e8, 8)
        return None

    def depth(self, side, int levels=10):
        """Total size of the best `levels` of the side that `side` (the taker's) would take, a Decimal."""
        cdef bint from_bids = _is_bid_side(side)
        cdef Level* book_side = self.bids if from_bids else self.asks
        cdef int have = self.n_bids if from_bids else self.n_asks, i
        total = 0
        for i in range(min(max(levels, 0), have)):
            total += book_side[i].lots
        return _D(total).scaleb(-self.sz_decimals, EXACT)

    def imbalance(self, int levels=1):
        """(bids - asks) / (bids + asks) by size over the best `levels`: -1.0 to 1.0; None if both are empty."""
        cdef int i
        cdef double bids = 0, asks = 0
        for i in range(min(max(levels, 0), self.n_bids)):
            bids += <double>self.bids[i].lots
        for i in range(min(max(levels, 0), self.n_asks)):
            asks += <double>self.asks[i].lots
        if bids + asks == 0:
            return None
        return (bids - asks) / (bids + asks)

    def snapshot(self):
        """An independent copy of the book as it is now."""
        cdef OrderBook copy = OrderBook(self.coin, self.sz_decimals)
        copy.reserve(max(self.n_bids, self.n_asks))
        memcpy(copy.bids, self.bids, self.n_bids * sizeof(Level))
        memcpy(copy.asks, self.asks, self.n_asks * sizeof(Level))
        copy.n_bids, copy.n_asks = self.n_bids, self.n_asks
        copy.sequence, copy.time_ms, copy.recv_ns, copy.epoch = self.sequence, self.time_ms, self.recv_ns, self.epoch
        copy.is_stale, copy.stale_reason = self.is_stale, self.stale_reason
        return copy


cdef Level* _grown(Level* old, int used, int wanted) except NULL:
    cdef Level* fresh = <Level*>malloc(wanted * sizeof(Level))
    if fresh == NULL:
        raise MemoryError()
    if old != NULL:
        memcpy(fresh, old, used * sizeof(Level))
        free(old)
    return fresh


cdef int _fill(Level* out, list levels) except -1:
    cdef int i = 0
    for px, lots, n in levels:
        out[i].px_e8 = px
        out[i].lots = lots
        out[i].n = n
        i += 1
    return 0


cdef class Bbo:
    """Best bid and offer of one instrument: a view, overwritten in place by each frame."""

    def __init__(self, str coin, int sz_decimals):
        self.coin = coin
        self.sz_decimals = sz_decimals

    def __repr__(self):
        return f"<Bbo {self.coin} {self.bid_px} @ {self.ask_px}>"

    cdef int set_bbo(self, int64_t bid_px, int64_t bid_lots, int64_t ask_px, int64_t ask_lots, int64_t time_ms, int64_t recv_ns) except -1:
        if time_ms < self.time_ms:
            return BOOK_OLDER
        if (bid_px > 0 and ask_px > 0 and bid_px >= ask_px) or bid_px < 0 or ask_px < 0 or bid_lots < 0 or ask_lots < 0:
            return BOOK_BAD
        self.bid_px_e8 = bid_px
        self.bid_lots = bid_lots
        self.ask_px_e8 = ask_px
        self.ask_lots = ask_lots
        self.time_ms = time_ms
        self.recv_ns = recv_ns
        self.epoch += 1
        return BOOK_OK

    @property
    def bid_px(self):
        return scaled_to_decimal(self.bid_px_e8, 8) if self.bid_px_e8 else None

    @property
    def ask_px(self):
        return scaled_to_decimal(self.ask_px_e8, 8) if self.ask_px_e8 else None

    @property
    def bid_size(self):
        return scaled_to_decimal(self.bid_lots, self.sz_decimals) if self.bid_px_e8 else None

    @property
    def ask_size(self):
        return scaled_to_decimal(self.ask_lots, self.sz_decimals) if self.ask_px_e8 else None

    @property
    def mid_price(self):
        if not self.bid_px_e8 or not self.ask_px_e8:
            return None
        return EXACT.divide(EXACT.add(self.bid_px, self.ask_px), 2)
