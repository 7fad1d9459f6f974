"""What strategies compute from books and trades, kept up to date in compiled code (layer 1, hot).

`BookFeatures` takes every book, `TradeFeatures` every trade; each is a callable, so it can be a handler itself:

    features = BookFeatures("BTC", 5, depth=10, samples=20)
    hl.on_book("BTC", features)
    features.microprice, features.imbalance_n, features.ofi_rolling, features.volatility_mid

Prices and values are exact (`Decimal`); statistics (ratios, deviations, order flow, averages) are floats, within a few
units in the last place of the exact result. Every sum is kept in integers, so nothing drifts, whatever went through a
window: a price spike that has left it leaves no trace. A window is of the last `samples` inputs and, with `window_ms`,
of those no older than so many ms of *venue* time before the newest (time - window_ms < t <= time). Its memory is fixed.
After a gap call `restart()`: samples from before it say nothing of what was missed.
"""

from libc.math cimport fma, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free

from hlfast.core.fixed cimport int128
from hlfast.core.order_book cimport Level, OrderBook
from hlfast.core.updates cimport Trade

from decimal import Decimal

from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.errors import ConfigError, RangeError

cdef object _D = Decimal
cdef int64_t MOST_VALUE = <int64_t>1 << 53
cdef int64_t MOST_WEIGHT = <int64_t>1 << 57

OFI_METHODS = ("cks", "size_delta")
"""Cont, Kukanov and Stoikov; the plain change of sizes at the best prices, which ignores moves of the price."""


cdef inline double _real(int128 value) noexcept:
    return <double>value


cdef inline double _root_over(double square, double divisor) noexcept:
    """sqrt(square) / divisor, with what both steps round off put back: the nearest double, but for rare ties."""
    cdef double root = sqrt(square), quotient = root / divisor
    if root == 0.0:
        return 0.0
    return quotient + (fma(-root, root, square) / (2.0 * root) + fma(-quotient, divisor, root)) / divisor


cdef object _int(int128 value):
    """A Python int."""
    cdef bint negative = value < 0
    cdef int128 rest = -value if negative else value
    high = <object><int64_t>(rest >> 62)
    low = <object><int64_t>(rest & ((<int128>1 << 62) - 1))
    whole = (high << 62) + low
    return -whole if negative else whole


cdef object _exact(int128 value, int decimals):
    return _D(_int(value)).scaleb(-decimals, EXACT).normalize(EXACT)


cdef class RollingWindow:
    """Integer samples by venue time: their mean, standard deviation and weighted mean. At most 65,536 of them.

    `value` below 2**53 in size, `weight` below 2**57; statistics are in the units of these.
    """

    def __cinit__(self, int samples=20, int64_t window_ms=0):
        if samples < 1 or samples > MOST_SAMPLES or window_ms < 0:
            raise ConfigError(
                f"a window has 1 to {MOST_SAMPLES} samples and window_ms of at least 0, got {samples} and {window_ms}"
            )
        self.samples = samples
        self.window_ms = window_ms
        self.ring = <Sample*>calloc(samples, sizeof(Sample))
        if self.ring == NULL:
            raise MemoryError()

    def __init__(self, int samples=20, int64_t window_ms=0):
        pass

    def __dealloc__(self):
        free(self.ring)

    def __len__(self):
        return self.n

    cdef int push(self, int64_t time_ms, int64_t value, int64_t weight) except -1:
        cdef Sample* sample
        cdef int at
        if not (-MOST_VALUE < value < MOST_VALUE) or not (-MOST_WEIGHT < weight < MOST_WEIGHT):
            raise RangeError(f"a sample of value {value} and weight {weight} is beyond ±2**53 and ±2**57")
        if time_ms < self.newest_ms:
            self.older_count += 1
            return 0
        self.expire(time_ms)
        if self.n == self.samples:
            self._drop()
            self.cut_count += self.window_ms > 0
        at = self.first + self.n
        sample = &self.ring[at - self.samples if at >= self.samples else at]
        sample.time_ms, sample.value, sample.weight = time_ms, value, weight
        self.n += 1
        self.sum += value
        self.squares += <int128>value * value
        self.weights += weight
        self.products += <int128>value * weight
        return 1

    cdef int expire(self, int64_t time_ms) noexcept:
        if time_ms > self.newest_ms:
            self.newest_ms = time_ms
        if self.window_ms:
            while self.n and self.ring[self.first].time_ms <= self.newest_ms - self.window_ms:
                self._drop()
        return 0

    cdef int _drop(self) noexcept:
        cdef Sample* sample = &self.ring[self.first]
        self.sum -= sample.value
        self.squares -= <int128>sample.value * sample.value
        self.weights -= sample.weight
        self.products -= <int128>sample.value * sample.weight
        self.first = 0 if self.first + 1 == self.samples else self.first + 1
        self.n -= 1
        return 0

    cdef int restart(self) noexcept:
        self.first = self.n = 0
        self.newest_ms = 0
        self.sum = self.squares = self.weights = self.products = 0
        return 0

    cdef double deviation_in(self, double unit) noexcept:
        """In units of so many values. With s = q·n + r, the sum of squares around q less r²/n is that around the mean:
        integers, but for one quotient."""
        cdef int128 q, r, around
        if self.n < 2:
            return 0.0
        q = self.sum // self.n
        r = self.sum - q * self.n
        around = self.squares - 2 * q * self.sum + q * q * self.n
        if around < (<int128>1 << 100):
            return _root_over(_real(around * self.n - r * r), self.n * unit)
        return sqrt(_real(around) / self.n) / unit

    def add(self, int64_t time_ms, int64_t value, int64_t weight=0):
        """Take a sample. False if it is older than the newest; `RangeError` if it is too large."""
        return self.push(time_ms, value, weight) == 1

    def advance(self, int64_t time_ms):
        """Venue time has come to `time_ms`: let go what is too old for the window."""
        self.expire(time_ms)

    def clear(self):
        """Forget every sample."""
        self.restart()

    @property
    def mean(self):
        """Of the values; 0.0 without samples."""
        return _real(self.sum) / self.n if self.n else 0.0

    @property
    def deviation(self):
        """Population standard deviation of the values; 0.0 for fewer than two."""
        return self.deviation_in(1.0)

    @property
    def weight(self):
        """Sum of the weights, an exact int."""
        return _int(self.weights)

    @property
    def weighted_mean(self):
        """Σ value·weight / Σ weight; None where the weights sum to 0."""
        return _real(self.products) / _real(self.weights) if self.weights else None


cdef class BookFeatures:
    """Features of one instrument's book, updated by every book that is valid.

    `depth`: levels a side of `imbalance_n`, `*_depth_n` and `*_vwap_n`. Where a side is empty, what needs it is None and no
    window moves. `ofi`: one of `OFI_METHODS`.
    """

    def __init__(self, str coin, int sz_decimals, *, int depth=10, int samples=20, int64_t window_ms=0, str ofi="cks"):
        if ofi not in OFI_METHODS:
            raise ConfigError(f"ofi is one of {', '.join(OFI_METHODS)}, got {ofi!r}")
        if depth < 1:
            raise ConfigError(f"depth is at least 1 level, got {depth}")
        self.coin = coin
        self.sz_decimals = sz_decimals
        self.depth = depth
        self.ofi_method = ofi
        self.by_size = ofi == "size_delta"
        self.mids = RollingWindow(samples, window_ms)
        self.flow = RollingWindow(samples, window_ms)

    def __repr__(self):
        return f"<BookFeatures {self.coin} midpoint={self.midpoint} ofi={self.ofi_rolling:g}>"

    cdef int update_book(self, OrderBook book) except -1:
        cdef Level bid, ask
        cdef int i
        cdef int64_t e = 0
        cdef int128 value, lots
        if book.is_stale or not book.epoch or book.time_ms < self.time_ms:
            return 0
        if book.n_bids and book.n_asks and book.bids[0].px_e8 >= book.asks[0].px_e8:
            return 0
        bid.px_e8 = bid.lots = bid.n = ask.px_e8 = ask.lots = ask.n = 0
        if book.n_bids:
            bid = book.bids[0]
        if book.n_asks:
            ask = book.asks[0]
        if bid.px_e8 and ask.px_e8:
            if self.has_before:
                if self.by_size:
                    e = (bid.lots - self.bid.lots) - (ask.lots - self.ask.lots)
                else:
                    if bid.px_e8 >= self.bid.px_e8:
                        e += bid.lots
                    if bid.px_e8 <= self.bid.px_e8:
                        e -= self.bid.lots
                    if ask.px_e8 <= self.ask.px_e8:
                        e -= ask.lots
                    if ask.px_e8 >= self.ask.px_e8:
                        e += self.ask.lots
            self.mids.push(book.time_ms, bid.px_e8 + ask.px_e8, 0)
            if self.has_before:
                self.flow.push(book.time_ms, 0, e)
                self.last_flow = e
        # An event is between consecutive books: one with an empty side has none, and neither has the next.
        self.has_before = bid.px_e8 != 0 and ask.px_e8 != 0
        self.bid, self.ask = bid, ask
        value = lots = 0
        for i in range(book.n_bids if book.n_bids < self.depth else self.depth):
            value += <int128>book.bids[i].px_e8 * book.bids[i].lots
            lots += book.bids[i].lots
        self.bid_value, self.bid_lots = value, lots
        value = lots = 0
        for i in range(book.n_asks if book.n_asks < self.depth else self.depth):
            value += <int128>book.asks[i].px_e8 * book.asks[i].lots
            lots += book.asks[i].lots
        self.ask_value, self.ask_lots = value, lots
        self.time_ms = book.time_ms
        self.epoch += 1
        return 1

    def update(self, OrderBook book not None):
        """Take the book as it is now. False, with nothing changed, if it is stale, crossed, or older than the one before."""
        if book.coin != self.coin or book.sz_decimals != self.sz_decimals:
            raise ConfigError(f"features of {self.coin} ({self.sz_decimals} size decimals) were given {book!r}")
        return self.update_book(book) == 1

    def __call__(self, OrderBook book not None):
        """`update`, as a handler."""
        self.update(book)

    def restart(self):
        """Start both windows anew, as after a reconnect; the next book gives no order-flow event."""
        self.mids.restart()
        self.flow.restart()
        self.has_before = False
        self.last_flow = 0

    # -- one book ---------------------------------------------------------------------------------------------------
    @property
    def midpoint(self):
        """(bid + ask) / 2, exact."""
        if not self.bid.px_e8 or not self.ask.px_e8:
            return None
        return _exact(<int128>(self.bid.px_e8 + self.ask.px_e8) * 5, 9)

    @property
    def microprice(self):
        """(bid · ask size + ask · bid size) / (bid size + ask size), in price units."""
        cdef int128 above
        if not self.bid.px_e8 or not self.ask.px_e8:
            return None
        above = <int128>self.bid.px_e8 * self.ask.lots + <int128>self.ask.px_e8 * self.bid.lots
        return _real(above) / (_real(<int128>self.bid.lots + self.ask.lots) * 1e8)

    @property
    def relative_spread(self):
        """(ask - bid) / midpoint."""
        if not self.bid.px_e8 or not self.ask.px_e8:
            return None
        return 2.0 * <double>(self.ask.px_e8 - self.bid.px_e8) / <double>(self.bid.px_e8 + self.ask.px_e8)

    @property
    def breadth(self):
        """bid · bid size + ask · ask size, in quote units, exact."""
        if not self.bid.px_e8 or not self.ask.px_e8:
            return None
        return _exact(<int128>self.bid.px_e8 * self.bid.lots + <int128>self.ask.px_e8 * self.ask.lots, 8 + self.sz_decimals)

    @property
    def imbalance_lvl1(self):
        """(bid size - ask size) / (bid size + ask size) at the best prices: -1.0 to 1.0."""
        if not self.bid.px_e8 or not self.ask.px_e8:
            return None
        return <double>(self.bid.lots - self.ask.lots) / _real(<int128>self.bid.lots + self.ask.lots)

    @property
    def imbalance_n(self):
        """The same over the sizes of the best `depth` levels; None where both sides are empty."""
        if not self.bid_lots + self.ask_lots:
            return None
        return _real(self.bid_lots - self.ask_lots) / _real(self.bid_lots + self.ask_lots)

    @property
    def bid_depth_n(self):
        """Σ price·size over the best `depth` bids, in quote units, exact."""
        return _exact(self.bid_value, 8 + self.sz_decimals)

    @property
    def ask_depth_n(self):
        """Σ price·size over the best `depth` asks, in quote units, exact."""
        return _exact(self.ask_value, 8 + self.sz_decimals)

    @property
    def depth_n(self):
        return _exact(self.bid_value + self.ask_value, 8 + self.sz_decimals)

    @property
    def bid_vwap_n(self):
        """Average price of the best `depth` bids by their sizes; None without bids. For a given size: `OrderBook.vwap`."""
        return _real(self.bid_value) / (_real(self.bid_lots) * 1e8) if self.bid_lots else None

    @property
    def ask_vwap_n(self):
        """The same of the asks."""
        return _real(self.ask_value) / (_real(self.ask_lots) * 1e8) if self.ask_lots else None

    # -- windows ----------------------------------------------------------------------------------------------------
    @property
    def volatility_mid(self):
        """Population standard deviation of the midpoints in the window (levels, not returns), in price units."""
        return self.mids.deviation_in(2e8)

    @property
    def window_size(self):
        """Midpoints now in the window."""
        return self.mids.n

    @property
    def ofi(self):
        """The newest order-flow event, in base units; 0.0 before the first."""
        return <double>self.last_flow / 10.0 ** self.sz_decimals

    @property
    def ofi_rolling(self):
        """Mean of the order-flow events in the window, in base units; 0.0 before the first."""
        return _real(self.flow.weights) / (self.flow.n * 10.0 ** self.sz_decimals) if self.flow.n else 0.0


cdef class TradeFeatures:
    """Features of one instrument's public trades, updated by each. A trade older than the one before it is not taken."""

    def __init__(self, str coin, int sz_decimals, *, int samples=20, int64_t window_ms=0):
        self.coin = coin
        self.sz_decimals = sz_decimals
        self.trades = RollingWindow(samples, window_ms)

    def __repr__(self):
        return f"<TradeFeatures {self.coin} price={self.transaction_price} vwap={self.vwap}>"

    cdef int update_trade(self, Trade trade) except -1:
        if not self.trades.push(trade.time_ms, trade.px_e8, trade.lots):
            return 0
        self.px_e8, self.lots, self.time_ms = trade.px_e8, trade.lots, trade.time_ms
        self.epoch += 1
        return 1

    def update(self, Trade trade not None):
        """Take a trade. False, with nothing changed, if it is older than the newest (a replay, for example)."""
        if trade.coin != self.coin or trade.sz_decimals != self.sz_decimals:
            raise ConfigError(f"features of {self.coin} ({self.sz_decimals} size decimals) were given {trade!r}")
        return self.update_trade(trade) == 1

    def __call__(self, Trade trade not None):
        """`update`, as a handler."""
        self.update(trade)

    def advance(self, int64_t time_ms):
        """Venue time has come to `time_ms` without a trade: let go what is too old for the window."""
        self.trades.expire(time_ms)

    def restart(self):
        """Start the window anew, as after a reconnect."""
        self.trades.restart()

    @property
    def transaction_price(self):
        """Price of the newest trade, exact; None before the first."""
        return scaled_to_decimal(self.px_e8, 8) if self.epoch else None

    @property
    def trading_volume(self):
        """price · size of the newest trade, in quote units, exact; None before the first."""
        return _exact(<int128>self.px_e8 * self.lots, 8 + self.sz_decimals) if self.epoch else None

    @property
    def volatility_transaction_price(self):
        """Population standard deviation of the prices in the window, in price units; 0.0 for fewer than two."""
        return self.trades.deviation_in(1e8)

    @property
    def window_size(self):
        """Trades now in the window."""
        return self.trades.n

    @property
    def volume(self):
        """Σ size over the window, in base units, exact."""
        return _exact(self.trades.weights, self.sz_decimals)

    @property
    def vwap(self):
        """Σ price·size / Σ size over the window, in price units; None without volume."""
        return _real(self.trades.products) / (_real(self.trades.weights) * 1e8) if self.trades.weights else None
