"""InFlightOrder: one order from birth to its end, and the table of the changes that its state may make (layer 1, hot).

The tracker alone changes an order; for everybody else its fields are read-only. Prices are int64 scaled by 1e8, sizes
int64 in lots; `price`, `amount`, `average_fill_price` and the like are `Decimal`. *Unresolved* is a flag beside the
state: something was sent and its result is not known. No locks inside.

    order = hl.buy("BTC", "0.001", "60000")
    if await order.accepted():               # False: it ended without ever being on the venue; order.reason says why
        state = await order.done()           # the final OrderState, after every fill has been told
"""

from libc.stdint cimport int64_t, uint64_t

from hlfast.clock cimport now_ns as _now_ns
from hlfast.core.fixed cimport int128, number_to_scaled, pow10_i64, scaled_text
from hlfast.core.updates cimport TradeUpdate

from decimal import Decimal

from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.errors import ConfigError, RangeError
from hlfast.types import OrderState, OrderType, PositionAction, TradeType

cdef object _D = Decimal
cdef int64_t MAX_FILLED = 4611686018427387904
cdef tuple _STATES = tuple(OrderState)

# From (row) to (column), both in the order of OrderState. A applied, L late or repeated, X anomaly: 31, 30 and 20.
TRANSITIONS = (
    "LAAAAXAAA",  # PENDING_CREATE
    "XLAAAAAAA",  # PENDING_SUBMIT
    "XLLAAAAAA",  # OPEN
    "XLLAAAAXA",  # PARTIALLY_FILLED
    "XLLLLLXXX",  # FILLED
    "XLAAALAAA",  # PENDING_CANCEL
    "XLLLXLLXL",  # CANCELLED
    "XLXXXLXLL",  # FAILED
    "XLLLXLLLL",  # EXPIRED
)

cdef char _table[9][9]


cdef int _fill_table() except -1:
    cdef int i, j
    for i in range(9):
        for j in range(9):
            _table[i][j] = <char>ord(TRANSITIONS[i][j])
    return 0


_fill_table()


cdef int verdict(int state, int new_state) noexcept nogil:
    if state < 0 or state > 8 or new_state < 0 or new_state > 8:
        return ANOMALY
    return _table[state][new_state]


cdef bint is_finished(int state) noexcept nogil:
    return state == S_FILLED or state >= S_CANCELLED


def transition(state, new_state):
    """What the table says of a change from `state` to `new_state`: "A", "L" or "X"."""
    return chr(verdict(OrderState(state), OrderState(new_state)))


cdef class InFlightOrder:
    """One order. Made by the connector; from Python by keyword (`amount`, `price` as text, int, float or Decimal)."""

    def __init__(
        self, *, str client_order_id, str coin, trade_type, amount, price=None, str cloid=None, str trading_pair=None,
        int asset=0, int sz_decimals=8, str tif="Gtc", bint reduce_only=False, order_type=OrderType.LIMIT,
        position_action=PositionAction.NIL, int leverage=0, trigger_price=None, exchange_order_id=None,
        bint is_external=False, creation_ns=None, str strategy=None,
    ):
        if not client_order_id:
            raise ConfigError("an order needs a client_order_id")
        self.client_order_id = client_order_id
        self.cloid = cloid
        self.coin = coin
        self.trading_pair = trading_pair if trading_pair is not None else coin
        self.asset = asset
        self.sz_decimals = sz_decimals
        self.is_buy = _is_buy(trade_type)
        self.lots = number_to_scaled(amount, sz_decimals, True)
        self.px_e8 = number_to_scaled(price, 8, True) if price is not None else 0
        self.trigger_px_e8 = number_to_scaled(trigger_price, 8, True) if trigger_price is not None else 0
        if self.lots < 0 or self.px_e8 < 0:
            raise RangeError(f"{coin}: an order needs a size and price of at least 0, got {amount!r} at {price!r}")
        self.tif = tif
        self.reduce_only = reduce_only
        self.order_type = order_type
        self.position_action = position_action
        self.leverage = leverage
        self.is_external = is_external
        self.strategy = strategy
        self.created_ns = _now_ns() if creation_ns is None else creation_ns
        _born(self)
        if exchange_order_id is not None:
            self.add_oid(exchange_order_id)

    def __repr__(self):
        return (
            f"<InFlightOrder {self.client_order_id} {'buy' if self.is_buy else 'sell'} {scaled_text(self.lots, self.sz_decimals)} "
            f"{self.coin} at {scaled_text(self.px_e8, 8)} {self.state.name}"
            f"{' filled ' + scaled_text(self.filled_lots, self.sz_decimals) if self.filled_lots else ''}"
            f"{' unresolved' if self.unresolved else ''}{' ' + self.reason if self.reason else ''}>"
        )

    def __reduce__(self):
        raise TypeError("an InFlightOrder is a live handle and cannot be pickled; take what you need from snapshot()")

    cdef int add_fill(self, TradeUpdate fill, int64_t lots) except -1:
        """Count a fill of `lots` in: amount, quote and fees. Changes no state."""
        if lots > 0:
            if self.filled_lots > MAX_FILLED - lots:
                raise RangeError(f"{self.client_order_id}: the filled amount does not fit into 62 bits of lots")
            self.filled_lots += lots
            self.quote += <int128>fill.px_e8 * lots
        if self.fill_list is None:  # most orders end without a fill: nothing is allocated for those
            self.fill_list, self.fees_e8, self.fees_exact = [], {}, {}
        if fill.fee_exact is None:
            self.fees_e8[fill.fee_token] = self.fees_e8.get(fill.fee_token, 0) + fill.fee_e8
        else:
            self.fees_exact[fill.fee_token] = EXACT.add(self.fees_exact.get(fill.fee_token, _D(0)), fill.fee_exact)
        self.fill_list.append(fill)
        return 0

    cdef int add_oid(self, int64_t oid) except -1:
        """Another id of the venue for this order."""
        if self.oids is None:
            self.oids = [oid]
        elif oid not in self.oids:
            self.oids = sorted([*self.oids, oid])
        self.oid = max(self.oids)  # the venue numbers upward: the newest leg has the highest
        return 0

    # -- waiting ----------------------------------------------------------------------------------------------------
    def accepted(self):
        """Awaitable: True once the venue has the order, False if it ended without ever being there. Never raises for that."""
        return self._wait("accepted")

    def done(self):
        """Awaitable: the final `OrderState`, once the order's last event has been emitted."""
        return self._wait("done")

    def _wait(self, str what):
        if self.home is None:
            raise ConfigError(f"{self.client_order_id} is a copy or untracked; wait on the order that the connector gave out")
        return self.home.wait_for(self, what)

    # -- reading ----------------------------------------------------------------------------------------------------
    @property
    def state(self):
        """The `OrderState`."""
        return _STATES[self.state_]

    @property
    def current_state(self):
        return _STATES[self.state_]

    @property
    def exchange_order_id(self):
        """The venue's id of the order as it is now, or None while that is not known."""
        return self.oid if self.oid else None

    @property
    def exchange_order_ids(self):
        """Every id that the venue has given it, oldest first."""
        return tuple(self.oids) if self.oids is not None else ()

    @property
    def trade_type(self):
        return TradeType.BUY if self.is_buy else TradeType.SELL

    @property
    def side(self):
        """The venue's letter: "B" or "A"."""
        return "B" if self.is_buy else "A"

    @property
    def price(self):
        """The limit price (of a market order its cap), or None."""
        return scaled_to_decimal(self.px_e8, 8) if self.px_e8 else None

    @property
    def trigger_price(self):
        return scaled_to_decimal(self.trigger_px_e8, 8) if self.trigger_px_e8 else None

    @property
    def amount(self):
        return scaled_to_decimal(self.lots, self.sz_decimals)

    @property
    def filled_amount(self):
        return scaled_to_decimal(self.filled_lots, self.sz_decimals)

    @property
    def effective_amount(self):
        """What will be filled at most: less than `amount` for the filled part of an Ioc or a shrunk reduce-only order."""
        return scaled_to_decimal(self.lots if self.effective_lots < 0 else self.effective_lots, self.sz_decimals)

    @property
    def remaining_lots(self):
        return self.lots - self.filled_lots if self.lots > self.filled_lots else 0

    @property
    def remaining_amount(self):
        """max(0, amount - filled)."""
        return scaled_to_decimal(self.remaining_lots, self.sz_decimals)

    @property
    def quote_amount(self):
        """Sum of price times size over the fills, exact."""
        return _D(_wide(self.quote)).scaleb(-8 - self.sz_decimals, EXACT)

    @property
    def average_fill_price(self):
        """Sum of quote over sum of base, or None without a fill."""
        if not self.filled_lots:
            return None
        return _trimmed(EXACT.divide(_D(_wide(self.quote)).scaleb(-8, EXACT), _D(self.filled_lots)))

    @property
    def fills(self):
        """Its fills as a tuple of `TradeUpdate`, in the order of arrival."""
        return tuple(self.fill_list) if self.fill_list is not None else ()

    @property
    def fees(self):
        """Fees by token as Decimals; negative is a rebate."""
        if self.fill_list is None:
            return {}
        out = {token: scaled_to_decimal(fee, 8) for token, fee in self.fees_e8.items()}
        for token, fee in self.fees_exact.items():
            out[token] = EXACT.add(out.get(token, _D(0)), fee)
        return out

    @property
    def is_done(self):
        """FILLED, CANCELLED, FAILED or EXPIRED."""
        return is_finished(self.state_)

    @property
    def is_active(self):
        return not is_finished(self.state_)

    @property
    def is_fillable(self):
        """Known to rest: OPEN or PARTIALLY_FILLED."""
        return self.state_ == S_OPEN or self.state_ == S_PARTIALLY_FILLED

    @property
    def can_receive_fills(self):
        """PENDING_SUBMIT, OPEN, PARTIALLY_FILLED or PENDING_CANCEL: a fill is normal here."""
        return self.state_ in (S_PENDING_SUBMIT, S_OPEN, S_PARTIALLY_FILLED, S_PENDING_CANCEL)

    def snapshot(self):
        """An independent copy that never changes."""
        cdef InFlightOrder copy = InFlightOrder.__new__(InFlightOrder)
        copy.client_order_id = self.client_order_id
        copy.cloid = self.cloid
        copy.coin = self.coin
        copy.trading_pair = self.trading_pair
        copy.asset = self.asset
        copy.sz_decimals = self.sz_decimals
        copy.is_buy = self.is_buy
        copy.reduce_only = self.reduce_only
        copy.is_external = self.is_external
        copy.tif = self.tif
        copy.order_type = self.order_type
        copy.position_action = self.position_action
        copy.px_e8 = self.px_e8
        copy.trigger_px_e8 = self.trigger_px_e8
        copy.trigger = self.trigger
        copy.lots = self.lots
        copy.nonce = self.nonce
        copy.expires_after_ms = self.expires_after_ms
        copy.leverage = self.leverage
        copy.strategy = self.strategy
        _born(copy)
        copy.state_ = self.state_
        copy.oid = self.oid
        copy.oids = self.oids  # replaced, never changed in place
        copy.unresolved = self.unresolved
        copy.query_due = self.query_due
        copy.was_created = self.was_created
        copy.filled_lots = self.filled_lots
        copy.quote = self.quote
        if self.fill_list is not None:
            copy.fees_e8 = dict(self.fees_e8)
            copy.fees_exact = dict(self.fees_exact)
            copy.fill_list = list(self.fill_list)
        copy.reason = self.reason
        copy.reject = self.reject
        copy.created_ns = self.created_ns
        copy.updated_ns = self.updated_ns
        copy.sent_ns = self.sent_ns
        copy.time_ms = self.time_ms
        copy.end_time_ms = self.end_time_ms
        copy.effective_lots = self.effective_lots
        copy.modify_pending = self.modify_pending
        copy.modify_doubted = self.modify_doubted
        copy.modify_nonce = self.modify_nonce
        copy.leg_lots = self.leg_lots
        copy.leg_filled = self.leg_filled
        copy.end_emitted = self.end_emitted
        copy.cancel_refused = self.cancel_refused
        return copy


cdef object _wide(int128 value):
    """A Python int of 128 bits."""
    cdef int128 high = value >> 64
    return (int(<int64_t>high) << 64) + int(<uint64_t>value)


cdef int64_t lots_in(TradeUpdate fill, int sz_decimals) except -2:
    """The fill's size in lots of 10**-sz_decimals; -1 if it is off every grid (dust). Raises `RangeError`."""
    cdef int64_t scale
    if fill.lots < 0 or fill.sz_decimals == sz_decimals:
        return fill.lots
    scale = pow10_i64(abs(sz_decimals - fill.sz_decimals))
    if fill.sz_decimals > sz_decimals:
        if fill.lots % scale == 0:
            return fill.lots // scale
    elif fill.lots <= MAX_FILLED // scale:
        return fill.lots * scale
    raise RangeError(f"{fill.coin}: a fill of {fill.amount} does not fit an order with {sz_decimals} size decimals")


cdef object _trimmed(object value):
    """Without trailing zeros and without an exponent."""
    value = value.normalize(EXACT)
    return value.quantize(_D(1), context=EXACT) if value.as_tuple().exponent > 0 else value


cdef bint _is_buy(object side) except -1:
    if side is TradeType.BUY:
        return True
    if side is TradeType.SELL:
        return False
    raise RangeError(f"trade_type must be TradeType.BUY or TradeType.SELL, got {side!r}")


cdef int _born(InFlightOrder order) except -1:
    order.state_ = S_PENDING_CREATE
    order.reason = ""
    order.updated_ns = order.created_ns
    order.effective_lots = -1
    order.held = -1
    return 0


cdef InFlightOrder make_order(
    str client_order_id, str cloid, str coin, str trading_pair, int asset, int sz_decimals, bint is_buy,
    int64_t px_e8, int64_t lots, str tif, bint reduce_only, object order_type, object position_action, int64_t now_ns,
):
    """An order from numbers that have been checked already."""
    cdef InFlightOrder order = InFlightOrder.__new__(InFlightOrder)
    order.client_order_id = client_order_id
    order.cloid = cloid
    order.coin = coin
    order.trading_pair = trading_pair
    order.asset = asset
    order.sz_decimals = sz_decimals
    order.is_buy = is_buy
    order.px_e8 = px_e8
    order.lots = lots
    order.tif = tif
    order.reduce_only = reduce_only
    order.order_type = order_type
    order.position_action = position_action
    order.created_ns = now_ns
    _born(order)
    return order
