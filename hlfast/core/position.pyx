"""Position and PositionBook: what own fills make of a position (layer 1, warm).

One net position an instrument: signed size, average entry, realised PnL without fees, fees by token, funding. All
exact `Decimal` (60 digits); an average is the one division, taken when it is read. Opening moves the average, closing
realises `closed size x (price - entry) x sign`, a fill through zero closes and then opens at its own price (protocol,
section 7.4). Fills that come out of the venue's order are given its own figure for what they closed. The account's
state verifies a position and never overwrites it.
"""

from libc.stdint cimport INT64_MIN, int64_t

from hlfast.clock cimport now_ns
from hlfast.core.bus cimport EventBus
from hlfast.core.in_flight_order cimport lots_in
from hlfast.core.updates cimport TradeUpdate

from decimal import Decimal
from types import MappingProxyType

from hlfast.core.events import PositionUpdate
from hlfast.core.fixed import EXACT, number_to_decimal, scaled_to_decimal, to_scaled
from hlfast.errors import RangeError
from hlfast.types import PositionSide

cdef object _X = EXACT
cdef object ZERO = Decimal(0)
cdef object HUNDRED = Decimal(100)
cdef object ROUNDING = Decimal("0.000001")  # of the venue's closedPnl: half of it, and as much for its average
cdef object FLAT_REST = Decimal("0.001")    # what its rounding may leave of a cost once all is closed


cdef object _optional(object number):
    return None if number is None else number_to_decimal(number)


cdef str _shown(object amount):
    """An exact amount for people: 12 significant digits are plenty to look at."""
    return f"{float(amount):.12g}" if amount is not None else "None"


cdef class Position:
    """One instrument's net position. `size` is never negative; `signed_size` and `side` tell the direction."""

    def __init__(
        self, str symbol, *, int sz_decimals=8, size=0, side=None, entry_price=0, mark_price=None, liquidation_price=None,
        unrealized_pnl=0, realized_pnl=0, leverage=1, margin=0, funding=0, timestamp_ns=None,
    ):
        self.symbol = symbol
        self.sz_decimals = sz_decimals
        self.lots = to_scaled(size, sz_decimals)
        if side is PositionSide.SHORT and self.lots > 0:
            self.lots = -self.lots
        elif side is PositionSide.LONG and self.lots < 0:
            raise RangeError(f"{symbol}: a long position has a size of at least 0, got {size!r}")
        self._cost = _X.multiply(number_to_decimal(entry_price), self.signed_size)
        self.realized_pnl = number_to_decimal(realized_pnl)
        self.funding = number_to_decimal(funding)
        self.mark_price = _optional(mark_price)
        self.liquidation_price = _optional(liquidation_price)
        self._unrealized = number_to_decimal(unrealized_pnl)
        self.leverage = leverage
        self.margin = number_to_decimal(margin)
        self.timestamp_ns = now_ns() if timestamp_ns is None else timestamp_ns
        self._fees = {}

    def __repr__(self):
        return f"<Position {self.symbol} {self.side.name} {self.size} entry={_shown(self.entry_price)} realized={_shown(self.realized_pnl)}>"

    cdef int book(self, int64_t lots, object price, object told) except -1:
        """Move the position by `lots` (signed) at `price`. `told`: the venue's closedPnl of the fill, None if not known.

        What a fill adds to realised PnL and to the cost of what is open depends on its place among the others. Where the
        own average and the venue's word differ by more than its rounding, fills have come out of order, and its word is
        taken: the sums are then those of the venue's order, whatever order they came in.
        """
        cdef int64_t held = self.lots
        cdef object step = scaled_to_decimal(lots, self.sz_decimals), gain = ZERO
        if lots == 0:
            return 0
        if (lots > 0 and held > 9223372036854775807 - lots) or (lots < 0 and held < -9223372036854775807 - lots):
            raise RangeError(f"{self.symbol}: the position does not fit into 63 bits of lots")
        if held != 0 and (held > 0) != (lots > 0):
            closed = scaled_to_decimal(min(abs(held), abs(lots)), self.sz_decimals)
            gain = _X.multiply(closed, _X.subtract(price, self.entry_price))
            if held < 0:
                gain = gain.copy_negate()
        if told is not None and _X.abs(_X.subtract(gain, told)) > ROUNDING:
            gain = told
        self.realized_pnl = _X.add(self.realized_pnl, gain)
        self.lots = held + lots
        self._cost = _X.add(_X.add(self._cost, _X.multiply(step, price)), gain)
        if self.lots == 0 and _X.abs(self._cost) < FLAT_REST:
            self._cost = ZERO
        return 0

    @property
    def signed_size(self):
        """Positive long, negative short."""
        return scaled_to_decimal(self.lots, self.sz_decimals)

    @property
    def signed_lots(self):
        return self.lots

    @property
    def size(self):
        return scaled_to_decimal(abs(self.lots), self.sz_decimals)

    @property
    def side(self):
        """LONG, SHORT, or BOTH when flat."""
        return PositionSide.LONG if self.lots > 0 else PositionSide.SHORT if self.lots < 0 else PositionSide.BOTH

    @property
    def is_long(self):
        return self.lots > 0

    @property
    def is_short(self):
        return self.lots < 0

    @property
    def is_flat(self):
        return self.lots == 0

    @property
    def entry_price(self):
        """Average price of what is open; 0 when flat."""
        return _X.divide(self._cost, self.signed_size) if self.lots else ZERO

    @property
    def fees(self):
        """Fees by token; negative is a rebate."""
        return dict(self._fees)

    @property
    def unrealized_pnl(self):
        """size x (mark - entry) with the sign of the position; the venue's own figure where no mark is known."""
        if self.mark_price is None or self._unrealized:
            return self._unrealized
        return _X.subtract(_X.multiply(self.signed_size, self.mark_price), self._cost) if self.lots else ZERO

    @property
    def position_value(self):
        """size x mark (x entry where no mark is known)."""
        return _X.multiply(self.size, self.mark_price) if self.mark_price is not None else _X.abs(self._cost)

    @property
    def roe(self):
        """Unrealised PnL over margin in percent; 0 without margin."""
        return _X.multiply(_X.divide(self.unrealized_pnl, self.margin), HUNDRED) if self.margin > 0 else ZERO

    @property
    def distance_to_liquidation(self):
        """|liquidation - mark| / mark in percent; 0 without a mark, None without a liquidation price."""
        if self.liquidation_price is None:
            return None
        if self.mark_price is None or self.mark_price <= 0:
            return ZERO
        return _X.multiply(_X.divide(_X.abs(_X.subtract(self.liquidation_price, self.mark_price)), self.mark_price), HUNDRED)

    def snapshot(self):
        """An independent copy that never changes."""
        cdef Position copy = Position.__new__(Position)
        copy.symbol = self.symbol
        copy.sz_decimals = self.sz_decimals
        copy.lots = self.lots
        copy._cost = self._cost
        copy.realized_pnl = self.realized_pnl
        copy.funding = self.funding
        copy.mark_price = self.mark_price
        copy.liquidation_price = self.liquidation_price
        copy._unrealized = self._unrealized
        copy.leverage = self.leverage
        copy.margin = self.margin
        copy.timestamp_ns = self.timestamp_ns
        copy._fees = dict(self._fees)
        return copy


cdef class PositionBook:
    """The positions of one account by own fills. Emits a `PositionUpdate` on open, change and close.

    `shared`: the fills are a part of the account's, one strategy's for example; what the venue says a fill closed is of the
    whole account's position then, and is not taken.
    """

    def __init__(self, EventBus bus, *, bint shared=False):
        self._bus = bus
        self._shared = shared
        self._positions = {}

    @property
    def positions(self):
        """By coin, read-only. A closed position stays with size 0 and its realised PnL."""
        return MappingProxyType(self._positions)

    cdef int64_t lots_of(self, str coin) except? -1:
        """The signed position in lots; 0 where there is none."""
        cdef Position position = self._positions.get(coin)
        return 0 if position is None else position.lots

    def start(self, str coin, int sz_decimals, size, entry_price):
        """Take a position that was there before the first fill (`size` signed)."""
        self._positions[coin] = Position(coin, sz_decimals=sz_decimals, size=size, entry_price=entry_price)

    def book(self, TradeUpdate fill not None):
        """Book a fill. Returns the `PositionUpdate` that tells of it, or None where nobody would hear it."""
        cdef Position position = self._positions.get(fill.coin)
        if fill.lots < 0:
            raise RangeError(f"{fill.coin}: a fill of {fill.size_text} is off the lot grid of a perpetual")
        if position is None:
            position = self._positions[fill.coin] = Position(fill.coin, sz_decimals=fill.sz_decimals)
        lots = lots_in(fill, position.sz_decimals)
        told = None if self._shared or fill.start_lots == INT64_MIN else scaled_to_decimal(fill.closed_pnl_e8, 8)
        position.book(lots if fill.is_buy else -lots, fill.price, told)
        position._fees[fill.fee_token] = _X.add(position._fees.get(fill.fee_token, ZERO), fill.fee)
        position.timestamp_ns = fill.recv_ns if fill.recv_ns else now_ns()
        if not self._bus.wants(PositionUpdate):
            return None
        return PositionUpdate(coin=position.symbol, position=position, time_ms=fill.time_ms, recv_ns=position.timestamp_ns)

    def apply_fill(self, TradeUpdate fill not None):
        """Book a fill and tell of it. Returns the position."""
        event = self.book(fill)
        if event is not None:
            self._bus.emit_event(event)
        return self._positions[fill.coin]

    def apply_funding(self, str coin, amount):
        """Book a funding payment; positive is received."""
        cdef Position position = self._positions.get(coin)
        if position is not None:
            position.funding = _X.add(position.funding, number_to_decimal(amount))

    def reset(self, str coin, int sz_decimals, size, entry_price):
        """Take the venue's word for a position that does not agree with the own fills; realised PnL and fees stay."""
        cdef Position position = self._positions.get(coin)
        if position is None:
            self.start(coin, sz_decimals, size, entry_price)
            return
        position.lots = to_scaled(size, position.sz_decimals)
        position._cost = _X.multiply(number_to_decimal(entry_price), position.signed_size)

    def set_mark(self, str coin, price):
        """The venue's mark price, for unrealised PnL."""
        cdef Position position = self._positions.get(coin)
        if position is not None:
            position.mark_price = number_to_decimal(price)
            position._unrealized = ZERO

    def set_account_view(self, str coin, *, leverage, margin, liquidation_price):
        """What only the venue's account state knows of a position."""
        cdef Position position = self._positions.get(coin)
        if position is not None:
            position.leverage = leverage
            position.margin = number_to_decimal(margin)
            position.liquidation_price = _optional(liquidation_price)
