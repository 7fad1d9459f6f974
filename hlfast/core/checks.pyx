"""PreTradeChecks: what every order must pass before it is tracked (layer 1, hot).

Integers only: products in 128 bits, no float, no Decimal unless something is refused. A refusal raises `OrderDenied`
and says what was asked, what the limit is and what would pass. The kill switch is the first check. Cancels are never
checked. `gate` is asked last, for the limits of whoever shares the connector (engine/strategy_account).
"""

from libc.stdint cimport int64_t

from hlfast.clock cimport mono_ns
from hlfast.core.fixed cimport int128, pow10_i64
from hlfast.core.in_flight_order cimport InFlightOrder
from hlfast.core.order_book cimport OrderBook

from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.errors import OrderDenied

cdef int64_t E8 = 100000000


cdef class PreTradeChecks:
    """`limits`: `hlfast.config.RiskLimits`."""

    def __init__(self, limits):
        self._max_order_value = limits.max_order_value
        self._max_position_value = limits.max_position_value
        self._max_open_orders = limits.max_open_orders
        self._max_per_second = limits.max_orders_per_second
        self._band_bps = limits.price_band_bps
        self.counts_positions = self._max_position_value != 0
        self.bounds_prices = self._band_bps != 0
        self._tokens = self._max_per_second * 1000
        self.kill_reason = ""

    def kill(self, str reason):
        """Refuse every order from now on."""
        self.killed = True
        self.kill_reason = reason

    def resume(self):
        """Take orders again."""
        self.killed = False
        self.kill_reason = ""

    def allow(
        self, InFlightOrder order not None, int64_t position_lots, int64_t resting_lots, int64_t open_orders, OrderBook book=None,
    ):
        """Raise `OrderDenied` if `order` is against these limits. `position_lots`: held, signed; `resting_lots`: what live orders of
        its side may still take; `open_orders`: how many are live; `book`: for the price band."""
        self.check(order, position_lots, resting_lots, open_orders, book)

    cdef int _refuse(self, str text) except -1:
        self.refused += 1
        raise OrderDenied(text)

    cdef int check(self, InFlightOrder order, int64_t position_lots, int64_t resting_lots, int64_t open_orders, object book) except -1:
        cdef int128 value, unit, exposure
        cdef OrderBook levels
        cdef int64_t best, through, gained, now_ns
        if self.killed:
            self._refuse(f"the kill switch is on ({self.kill_reason}); resume() takes orders again")
        if self._max_open_orders and open_orders >= self._max_open_orders:
            self._refuse(f"{open_orders} orders are live; max_open_orders is {self._max_open_orders}: cancel some first")
        unit = <int128>E8 * pow10_i64(order.sz_decimals)  # one unit of quote, in px_e8 * lots
        value = <int128>order.px_e8 * order.lots
        if self._max_order_value and value > unit * self._max_order_value:
            self._refuse(f"{order.coin}: the order's value {_value(order, order.lots)} is above max_order_value {self._max_order_value}")
        if self._max_position_value and not order.reduce_only:
            exposure = <int128>(position_lots if order.is_buy else -position_lots) + resting_lots + order.lots
            if exposure > 0 and exposure * order.px_e8 > unit * self._max_position_value:
                self._refuse(
                    f"{order.coin}: with this order the position could be worth {_value(order, <int64_t>exposure)}, above "
                    f"max_position_value {self._max_position_value}; it counts what is held and what rests on the same side")
        if self._band_bps and book is not None:
            levels = book
            best = 0
            if order.is_buy and levels.n_asks:
                best = levels.asks[0].px_e8
                through = order.px_e8 - best
            elif not order.is_buy and levels.n_bids:
                best = levels.bids[0].px_e8
                through = best - order.px_e8
            if best and through > 0 and <int128>through * 10000 > <int128>best * self._band_bps:
                self._refuse(
                    f"{order.coin}: the price {order.price} goes more than {self._band_bps} bps through the best opposite price "
                    f"{scaled_to_decimal(best, 8)}")
        if self._max_per_second:
            now_ns = mono_ns()
            gained = min(now_ns - self._refilled_ns, 1000000000) * self._max_per_second // 1000000  # a second fills it
            if gained > 0:
                self._refilled_ns = now_ns
                self._tokens = min(self._tokens + gained, self._max_per_second * 1000)
            if self._tokens < 1000:
                self._refuse(f"more than {self._max_per_second} orders a second (max_orders_per_second); slow down or batch")
            self._tokens -= 1000
        if self.gate is not None:
            self.gate(order)
        return 0


cdef object _value(InFlightOrder order, int64_t lots):
    """What `lots` are worth at the order's price, as plain text."""
    value = EXACT.multiply(scaled_to_decimal(order.px_e8, 8), scaled_to_decimal(lots, order.sz_decimals))
    return f"{value.normalize(EXACT):f}"
