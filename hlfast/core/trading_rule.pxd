from libc.stdint cimport int64_t

cdef enum:
    ROUND_NEAREST = 0    # ties away from zero
    ROUND_PASSIVE = 1    # never worse for the sender: buy down, sell up
    ROUND_REFUSE = 2     # off the grid is an error (noise under 1e-12 of a float snaps first)

cdef class TradingRule:
    cdef readonly str coin                   # the venue's wire name
    cdef readonly str trading_pair           # human name, for example BTC-USD
    cdef readonly int64_t asset              # the venue's asset id
    cdef readonly int sz_decimals
    cdef readonly int price_decimals         # most decimals of a price (perp 6 - szDecimals, spot 8 - szDecimals)
    cdef readonly int significant_figures    # 5; 0: no limit
    cdef readonly int64_t tick_e8            # fixed tick; 0: the significant-figures rule decides
    cdef readonly int64_t step_lots          # size step in lots, 1 at this venue
    cdef readonly int64_t min_lots, max_lots           # 0: no limit
    cdef readonly int64_t min_price_e8, max_price_e8   # 0: no limit
    cdef readonly int64_t min_notional_e8              # 0: no limit
    cdef readonly int max_leverage
    cdef readonly int max_open_orders
    cdef readonly bint is_perpetual
    cdef readonly bint is_delisted
    cdef readonly bint supports_post_only, supports_market, supports_stop
    cdef readonly bint only_isolated
    cdef readonly str collateral
    # 1: on the grid, 0: not
    cdef bint trades(self) noexcept nogil
    cdef bint price_is_valid(self, int64_t px_e8) noexcept nogil
    # the nearest valid price at or below / at or above; 0 below the smallest, -1 out of range
    cdef int64_t price_floor(self, int64_t px_e8) noexcept nogil
    cdef int64_t price_ceil(self, int64_t px_e8) noexcept nogil
    # from any accepted number to the grid; is_buy: 1 buy, 0 sell, -1 no side. Raises RangeError.
    cdef int64_t price_to_e8(self, object price, int is_buy, int rounding) except -1
    cdef int64_t size_to_lots(self, object size, int rounding) except -1
    cdef int64_t _tick_e8(self, int64_t px_e8) noexcept nogil
    cdef int64_t _price_nearest(self, int64_t px_e8) noexcept nogil
    cdef object _refuse_price(self, object price)
    # "" or the first limit that the order breaks
    cdef str check_limits(self, int64_t px_e8, int64_t lots, bint exempt)

# ROUND_* from "refuse", "passive" or "nearest"
cdef int rounding_mode(object name) except -1
