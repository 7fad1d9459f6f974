"""TradingRule: one instrument and what its venue accepts (layer 1, hot).

Prices are int64 scaled by 1e8, sizes int64 in lots of 10**-sz_decimals. A price is valid if it is a whole number, or
has at most `significant_figures` significant figures and at most `price_decimals` decimals (protocol, section 4.2); a
rule with a fixed `tick` takes its multiples instead. All tests are integer arithmetic. What is off the grid is refused
with the nearest valid values named, unless the caller asks for rounding.
"""

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from libc.math cimport fabs, rint
from libc.stdint cimport int64_t

from hlfast.core.fixed cimport int128, number_to_scaled, pow10_i64, scaled_text

from decimal import Decimal

from hlfast.core.fixed import EXACT, number_to_decimal, scaled_to_decimal
from hlfast.errors import ConfigError, RangeError
from hlfast.types import TradeType

cdef int64_t E8 = 100000000
cdef int64_t MAX64 = 9223372036854775807
cdef object _BUY = TradeType.BUY
cdef object _SELL = TradeType.SELL


cdef inline bint between(double value, double scale, int64_t* below, double* part) noexcept nogil:
    """True if value * scale lies clearly between two whole numbers from 1 up: farther from them than the noise of a
    float (1e-12 of the value snaps to the grid) and than the errors of the product and of the shortest text."""
    cdef double x = value * scale
    cdef double margin = 1.1e-12 * scale + x * 4.5e-16
    if not 1 <= x < 4e14 or margin > 0.1:
        return False
    below[0] = <int64_t>x
    part[0] = x - <double>below[0]
    return margin < part[0] < 1 - margin


cdef object _down_to_e8(object value):
    """The multiple of 1e-8 at or below `value` > 0."""
    return value.scaleb(8, EXACT).to_integral_value(rounding="ROUND_FLOOR").scaleb(-8, EXACT)


cdef inline int _side(object side) except -2:
    if side is None:
        return -1
    if side is _BUY:
        return 1
    if side is _SELL:
        return 0
    if isinstance(side, str):
        text = side.lower()
        if text in ("buy", "b"):
            return 1
        if text in ("sell", "a"):
            return 0
    raise RangeError(f"side must be TradeType.BUY or TradeType.SELL (or 'buy', 'sell'), got {side!r}")


cdef class TradingRule:
    """An instrument's grid, limits and support flags. Immutable; limits of 0 mean "none"."""

    def __init__(
        self,
        str coin,
        *,
        sz_decimals=None,
        trading_pair=None,
        asset=0,
        price_decimals=None,
        significant_figures=5,
        tick=None,
        step=None,
        min_size=0,
        max_size=0,
        min_price=0,
        max_price=0,
        min_notional="10",
        max_leverage=1,
        max_open_orders=1000,
        is_perpetual=True,
        is_delisted=False,
        supports_post_only=True,
        supports_market=True,
        supports_stop=True,
        only_isolated=False,
        collateral="USDC",
    ):
        if step is not None:
            exponent = number_to_decimal(step).normalize().as_tuple().exponent
            if sz_decimals is None:
                sz_decimals = max(0, -exponent)
        if sz_decimals is None:
            raise ConfigError(f"{coin}: a rule needs sz_decimals or step")
        if not 0 <= sz_decimals <= 8:
            raise ConfigError(f"{coin}: sz_decimals must be 0 to 8, got {sz_decimals}")
        if price_decimals is None:
            price_decimals = max(0, (6 if is_perpetual else 8) - sz_decimals)
        if not 0 <= price_decimals <= 8:
            raise ConfigError(f"{coin}: price_decimals must be 0 to 8, got {price_decimals}")
        self.coin = coin
        self.trading_pair = trading_pair if trading_pair is not None else coin
        self.asset = asset
        self.sz_decimals = sz_decimals
        self.price_decimals = price_decimals
        self.significant_figures = significant_figures
        self.tick_e8 = number_to_scaled(tick, 8, True) if tick is not None else 0
        self.step_lots = number_to_scaled(step, sz_decimals, True) if step is not None else 1
        if self.step_lots <= 0 or self.tick_e8 < 0:
            raise ConfigError(f"{coin}: step and tick must be positive, got step {step!r}, tick {tick!r}")
        self.min_lots = number_to_scaled(min_size, sz_decimals, True)
        self.max_lots = number_to_scaled(max_size, sz_decimals, True)
        self.min_price_e8 = number_to_scaled(min_price, 8, True)
        self.max_price_e8 = number_to_scaled(max_price, 8, True)
        self.min_notional_e8 = number_to_scaled(min_notional, 8, True)
        self.max_leverage = max_leverage
        self.max_open_orders = max_open_orders
        self.is_perpetual = is_perpetual
        self.is_delisted = is_delisted
        self.supports_post_only = supports_post_only
        self.supports_market = supports_market
        self.supports_stop = supports_stop
        self.only_isolated = only_isolated
        self.collateral = collateral

    def __repr__(self):
        return f"TradingRule({self.coin!r}, asset={self.asset}, sz_decimals={self.sz_decimals}, price_decimals={self.price_decimals})"

    # -- the price grid ---------------------------------------------------------------------------------------------
    cdef int64_t _tick_e8(self, int64_t px_e8) noexcept nogil:
        """The distance of valid prices at px_e8 > 0, in 1e-8."""
        cdef int64_t by_decimals, by_figures, whole
        cdef int digits
        if self.tick_e8 > 0:
            return self.tick_e8
        by_decimals = pow10_i64(8 - self.price_decimals)
        if self.significant_figures <= 0:
            return by_decimals
        digits = 0
        whole = px_e8
        while whole > 0:
            whole = whole // 10
            digits += 1
        by_figures = pow10_i64(digits - self.significant_figures) if digits > self.significant_figures else 1
        if by_figures > E8:
            by_figures = E8  # whole numbers are always valid
        return by_figures if by_figures > by_decimals else by_decimals

    cdef bint price_is_valid(self, int64_t px_e8) noexcept nogil:
        return px_e8 > 0 and px_e8 % self._tick_e8(px_e8) == 0

    cdef int64_t price_floor(self, int64_t px_e8) noexcept nogil:
        if px_e8 <= 0:
            return 0
        return px_e8 - px_e8 % self._tick_e8(px_e8)

    cdef int64_t price_ceil(self, int64_t px_e8) noexcept nogil:
        cdef int64_t tick, low
        if px_e8 <= 0:
            return 0
        tick = self._tick_e8(px_e8)
        low = px_e8 - px_e8 % tick
        if low == px_e8:
            return px_e8
        if low > MAX64 - tick:
            return -1
        return low + tick

    cdef int64_t _price_nearest(self, int64_t px_e8) noexcept nogil:
        cdef int64_t low = self.price_floor(px_e8), high = self.price_ceil(px_e8)
        if high < 0 or px_e8 - low < high - px_e8:
            return low
        return high

    cdef int64_t price_to_e8(self, object price, int is_buy, int rounding) except -1:
        cdef int64_t px, low, high, twice
        cdef bint exact = True
        cdef double x, rest
        if rounding != ROUND_REFUSE and PyFloat_CheckExact(price):
            x = PyFloat_AS_DOUBLE(price)
            if between(x, 1e8, &px, &rest):
                # Strictly between two multiples of 1e-8, which is finer than every grid: what is below and above it on
                # the grid follows from them.
                low, high = self.price_floor(px), self.price_ceil(px + 1)
                twice = 2 * px + 1
            elif 1e-8 <= x < 4e6:
                # At a multiple of 1e-8 or within a float's noise of it, as a sum of prices is. Off the grid by a whole
                # 1e-8 or more, it lies between the same two grid prices as that multiple does.
                px = <int64_t>rint(x * 1e8)
                low, high = self.price_floor(px), self.price_ceil(px)
                twice = 2 * px
                if low == px or -2 < twice - low - high < 2:
                    low = 0
            else:
                low = high = twice = 0
            if low > 0 and high > 0:
                if rounding == ROUND_PASSIVE and is_buy >= 0:
                    return low if is_buy else high
                if twice != low + high:
                    return high if twice > low + high else low
        try:
            px = number_to_scaled(price, 8, True)
        except RangeError:
            exact = False
            value = number_to_decimal(price)
            if rounding == ROUND_REFUSE or value <= 0:
                self._refuse_price(price)
            # Finer than 1e-8: every valid price near it is found from the 1e-8 below it, and one above that.
            px = number_to_scaled(_down_to_e8(value), 8, False)
        if px <= 0 and exact:
            raise RangeError(f"{self.coin}: a price must be above 0, got {price!r}")
        if exact and self.price_is_valid(px):
            return px
        if rounding == ROUND_REFUSE:
            if isinstance(price, float):
                low = self._price_nearest(px)
                if low > 0 and EXACT.abs(EXACT.subtract(scaled_to_decimal(low, 8), number_to_decimal(price))) < Decimal("1e-12"):
                    return low
            self._refuse_price(price)
        if rounding == ROUND_PASSIVE and is_buy == 1:
            px = self.price_floor(px)
        elif rounding == ROUND_PASSIVE and is_buy == 0:
            px = self.price_ceil(px if exact else px + 1)
        elif exact:
            px = self._price_nearest(px)
        else:
            low, high = self.price_floor(px), self.price_ceil(px + 1)
            px = high if high > 0 and 2 * value.scaleb(8, EXACT) >= int(low) + high else low
        if px <= 0:
            raise RangeError(f"{self.coin}: {price!r} rounds to no valid price; the smallest step is {scaled_text(self._tick_e8(1), 8)}")
        return px

    cdef object _refuse_price(self, object price):
        value = number_to_decimal(price)
        if value <= 0:
            raise RangeError(f"{self.coin}: a price must be above 0, got {price!r}")
        if value > Decimal("9e10"):
            raise RangeError(f"{self.coin}: a price of {price!r} is out of range; the largest is 90000000000")
        floor_e8 = int(value.scaleb(8, EXACT).to_integral_value(rounding="ROUND_FLOOR"))
        low = self.price_floor(floor_e8)
        high = self.price_ceil(floor_e8 + 1 if self.price_is_valid(floor_e8) or floor_e8 == 0 else floor_e8)
        below = f"{scaled_text(low, 8)} or " if low > 0 else ""
        raise RangeError(
            f"{self.coin}: price {price!r} is not on the venue's grid ({self._grid_text()}); nearest valid: "
            f"{below}{scaled_text(high, 8)}; or pass rounding='passive' or 'nearest'"
        )

    def _grid_text(self):
        if self.tick_e8:
            return f"multiples of {scaled_text(self.tick_e8, 8)}"
        return f"whole numbers, or at most {self.significant_figures} significant figures and {self.price_decimals} decimals"

    # -- sizes ------------------------------------------------------------------------------------------------------
    cdef int64_t size_to_lots(self, object size, int rounding) except -1:
        cdef int64_t lots, rest
        cdef bint exact = True
        cdef double part
        if rounding != ROUND_REFUSE and self.step_lots == 1 and PyFloat_CheckExact(size):
            if between(PyFloat_AS_DOUBLE(size), <double>pow10_i64(self.sz_decimals), &lots, &part):
                if rounding == ROUND_PASSIVE:
                    return lots
                if fabs(part - 0.5) > 1e-3:
                    return lots + 1 if part > 0.5 else lots
        try:
            lots = number_to_scaled(size, self.sz_decimals, True)
        except RangeError:
            exact = False
            value = number_to_decimal(size)
            if value <= 0:
                raise RangeError(f"{self.coin}: a size must be above 0, got {size!r}") from None
            if value.scaleb(self.sz_decimals, EXACT) > Decimal(MAX64 // 2):
                raise
            if rounding == ROUND_NEAREST:
                steps = EXACT.divide(value.scaleb(self.sz_decimals, EXACT), self.step_lots)
                lots = int(steps.to_integral_value(rounding="ROUND_HALF_UP")) * self.step_lots
            else:
                lots = int(value.scaleb(self.sz_decimals, EXACT).to_integral_value(rounding="ROUND_FLOOR"))
        if lots <= 0 and exact:
            raise RangeError(f"{self.coin}: a size must be above 0, got {size!r}")
        rest = lots % self.step_lots
        if exact and rest == 0:
            return lots
        if rounding == ROUND_REFUSE:
            lots -= rest
            below = f"{scaled_text(lots, self.sz_decimals)} or " if lots > 0 else ""
            raise RangeError(
                f"{self.coin}: size {size!r} is not a multiple of {scaled_text(self.step_lots, self.sz_decimals)}; nearest valid: "
                f"{below}{scaled_text(lots + self.step_lots, self.sz_decimals)}; or pass rounding='passive' or 'nearest'"
            )
        if rounding == ROUND_NEAREST and 2 * rest >= self.step_lots:
            lots += self.step_lots
        lots -= rest
        if lots <= 0:
            raise RangeError(
                f"{self.coin}: size {size!r} rounds to nothing; the smallest step is {scaled_text(self.step_lots, self.sz_decimals)}"
            )
        return lots

    # -- for Python -------------------------------------------------------------------------------------------------
    def quantize_price(self, price, side=None):
        """The valid price nearest to `price` as a Decimal: ties away from zero; with a side never worse for the sender."""
        cdef int which = _side(side)
        return scaled_to_decimal(self.price_to_e8(price, which, ROUND_NEAREST if which < 0 else ROUND_PASSIVE), 8)

    def quantize_size(self, size, mode="down"):
        """`size` on the step as a Decimal: down (0 if smaller than a step), or `mode="nearest"`."""
        if mode not in ("down", "nearest"):
            raise RangeError(f"mode must be 'down' or 'nearest', got {mode!r}")
        if self.step_lots == 1 and PyFloat_CheckExact(size) and PyFloat_AS_DOUBLE(size) * <double>pow10_i64(self.sz_decimals) >= 1:
            return scaled_to_decimal(self.size_to_lots(size, ROUND_PASSIVE if mode == "down" else ROUND_NEAREST), self.sz_decimals)
        value = number_to_decimal(size)
        if value < 0:
            raise RangeError(f"{self.coin}: a size must not be negative, got {size!r}")
        step = scaled_to_decimal(self.step_lots, self.sz_decimals)
        if value < (step if mode == "down" else EXACT.divide(step, 2)):
            return Decimal(0)
        return scaled_to_decimal(self.size_to_lots(size, ROUND_PASSIVE if mode == "down" else ROUND_NEAREST), self.sz_decimals)

    def price_e8(self, price, side=None, str rounding="refuse"):
        """`price` as int64 scaled by 1e8, on the grid. `rounding`: "refuse", "passive" (needs a side) or "nearest"."""
        cdef int which = _side(side), mode = rounding_mode(rounding)
        if mode == ROUND_PASSIVE and which < 0:
            raise RangeError(f"{self.coin}: passive rounding needs a side: down for a buy, up for a sell")
        return self.price_to_e8(price, which, mode)

    def lots(self, size, str rounding="refuse"):
        """`size` in lots, on the step. `rounding`: "refuse", "passive" (down) or "nearest"."""
        return self.size_to_lots(size, rounding_mode(rounding))

    def is_valid_price(self, price):
        """True if the venue takes `price` as it is."""
        try:
            return bool(self.price_is_valid(number_to_scaled(price, 8, False)))
        except RangeError:
            return False

    def is_valid_size(self, size):
        """True if `size` is a positive multiple of the step."""
        cdef int64_t lots
        try:
            lots = number_to_scaled(size, self.sz_decimals, False)
        except RangeError:
            return False
        return lots > 0 and lots % self.step_lots == 0

    def tick_at(self, price):
        """The distance between valid prices at `price`."""
        return scaled_to_decimal(self._tick_e8(number_to_scaled(price, 8, True)), 8)

    cdef str check_limits(self, int64_t px_e8, int64_t lots, bint exempt):
        """Empty, or the first limit that the order breaks. px_e8 0: a market order, its price is not tested."""
        cdef int128 notional
        if self.min_lots and lots < self.min_lots:
            return f"size {scaled_text(lots, self.sz_decimals)} is below the minimum {scaled_text(self.min_lots, self.sz_decimals)}"
        if self.max_lots and lots > self.max_lots:
            return f"size {scaled_text(lots, self.sz_decimals)} is above the maximum {scaled_text(self.max_lots, self.sz_decimals)}"
        if px_e8 == 0:
            return ""
        if self.min_price_e8 and px_e8 < self.min_price_e8:
            return f"price {scaled_text(px_e8, 8)} is below the minimum {scaled_text(self.min_price_e8, 8)}"
        if self.max_price_e8 and px_e8 > self.max_price_e8:
            return f"price {scaled_text(px_e8, 8)} is above the maximum {scaled_text(self.max_price_e8, 8)}"
        if self.min_notional_e8 and not exempt:
            notional = <int128>px_e8 * lots
            if notional < <int128>self.min_notional_e8 * pow10_i64(self.sz_decimals):
                value = EXACT.multiply(scaled_to_decimal(px_e8, 8), scaled_to_decimal(lots, self.sz_decimals))
                return (
                    f"value {value.normalize(EXACT):f} (size {scaled_text(lots, self.sz_decimals)} at {scaled_text(px_e8, 8)}) "
                    f"is below the minimum {scaled_text(self.min_notional_e8, 8)}"
                )
        return ""

    def validate_order(self, price, size, *, bint reduce_only=False):
        """Empty text if the order may be sent, else the first failure: sizes, then prices, then the minimum value.

        `reduce_only` orders are exempt from the minimum value.
        """
        try:
            lots = number_to_scaled(size, self.sz_decimals, True)
            px = number_to_scaled(price, 8, True)
        except RangeError as error:
            return str(error)
        return self.check_limits(px, lots, reduce_only)

    cdef bint trades(self) noexcept nogil:
        return self.step_lots > 0 and not self.is_delisted

    @property
    def is_trading_enabled(self):
        """Step and tick known and the instrument not delisted."""
        return self.trades()

    @property
    def tick_size(self):
        return scaled_to_decimal(self.tick_e8 if self.tick_e8 else pow10_i64(8 - self.price_decimals), 8)

    @property
    def step_size(self):
        return scaled_to_decimal(self.step_lots, self.sz_decimals)

    @property
    def min_size(self):
        return scaled_to_decimal(self.min_lots, self.sz_decimals)

    @property
    def max_size(self):
        return scaled_to_decimal(self.max_lots, self.sz_decimals)

    @property
    def min_price(self):
        return scaled_to_decimal(self.min_price_e8, 8)

    @property
    def max_price(self):
        return scaled_to_decimal(self.max_price_e8, 8)

    @property
    def min_notional(self):
        return scaled_to_decimal(self.min_notional_e8, 8)


cdef dict _MODES = {"refuse": ROUND_REFUSE, "passive": ROUND_PASSIVE, "nearest": ROUND_NEAREST}


cdef int rounding_mode(object name) except -1:
    found = _MODES.get(name)
    if found is None:
        raise RangeError(f"rounding must be 'refuse', 'passive' or 'nearest', got {name!r}")
    return found
