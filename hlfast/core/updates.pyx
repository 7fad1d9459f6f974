"""What streams say about orders and trades (layer 1, warm): one plain, immutable record for each piece of news.

`OrderUpdate`: a status row, an answer or a query's result about one order. `TradeUpdate`: one fill of the account.
`Trade`: one public trade. Prices are int64 scaled by 1e8, sizes int64 in lots of 10**-sz_decimals; the `Decimal`
views (`price`, `amount`, `fee`) are made when they are read. Scanners build the records by the factories of
`updates.pxd`; Python by keyword.
"""

from libc.stdint cimport INT64_MIN, int64_t

from hlfast.core.fixed cimport scaled_text

from decimal import Decimal

from hlfast.core.fixed import EXACT, number_to_decimal, scaled_to_decimal, to_scaled
from hlfast.errors import RangeError
from hlfast.types import OrderState, TradeType

cdef object _D = Decimal
cdef int64_t NOT_KNOWN = INT64_MIN


cdef class OrderUpdate:
    """One piece of news about an order. `new_state` is an `OrderState` value, or -1 where only `status` is known."""

    def __init__(
        self, *, client_order_id=None, cloid=None, exchange_order_id=None, str coin="", new_state=-1, str status="",
        str side="", int64_t px_e8=0, int64_t lots=-1, int64_t orig_lots=-1, int64_t time_ms=0, int64_t recv_ns=0,
        str reason="", bint recovered=False,
    ):
        self.client_order_id = client_order_id
        self.cloid = cloid
        self.oid = 0 if exchange_order_id is None else exchange_order_id
        self.coin = coin
        self.new_state = new_state
        self.status = status
        self.side = side
        self.px_e8 = px_e8
        self.lots = lots
        self.orig_lots = orig_lots
        self.time_ms = time_ms
        self.recv_ns = recv_ns
        self.reason = reason
        self.recovered = recovered

    def as_recovered(self):
        """The same news, marked as found by asking."""
        return make_order_update(
            self.client_order_id, self.cloid, self.oid, self.coin, self.new_state, self.status, self.side, self.px_e8,
            self.lots, self.orig_lots, self.time_ms, self.recv_ns, self.reason, True)

    @property
    def exchange_order_id(self):
        """The venue's order id, or None."""
        return self.oid if self.oid else None

    def __repr__(self):
        state = OrderState(self.new_state).name if 0 <= self.new_state <= 8 else "?"
        return f"<OrderUpdate {self.client_order_id or self.cloid or self.oid} {state} {self.status} {self.reason}>"


cdef class TradeUpdate:
    """One fill of the account, identified by (coin, tid, oid, time_ms): a trade id alone is not unique."""

    def __init__(
        self, *, str coin, int64_t tid, exchange_order_id=None, cloid=None, price, amount, int sz_decimals=8,
        bint is_buy, bint is_taker=True, fee=0, str fee_token="USDC", closed_pnl=0, start_position=None,
        str direction="", int64_t time_ms=0, int64_t recv_ns=0, bint recovered=False,
    ):
        self.coin = coin
        self.tid = tid
        self.oid = 0 if exchange_order_id is None else exchange_order_id
        self.cloid = cloid
        self.px_e8 = to_scaled(price, 8)
        if sz_decimals < 0 or sz_decimals > 18:
            raise RangeError(f"sz_decimals must be 0 to 18, got {sz_decimals}")
        self.sz_decimals = sz_decimals
        try:
            self.lots = to_scaled(amount, sz_decimals)
            self.size_text = ""
        except RangeError:
            self.lots = -1
            self.size_text = f"{number_to_decimal(amount):f}"
        self.is_buy = is_buy
        self.is_taker = is_taker
        try:
            self.fee_e8 = to_scaled(fee, 8)
            self.fee_exact = None
        except RangeError:
            self.fee_e8 = 0
            self.fee_exact = number_to_decimal(fee)
        self.fee_token = fee_token
        self.closed_pnl_e8 = to_scaled(closed_pnl, 8)
        self.start_lots = NOT_KNOWN if start_position is None else to_scaled(start_position, sz_decimals)
        self.direction = direction
        self.time_ms = time_ms
        self.recv_ns = recv_ns
        self.recovered = recovered

    def as_recovered(self):
        """The same fill, marked as found by asking."""
        return make_trade_update(
            self.coin, self.tid, self.oid, self.cloid, self.px_e8, self.lots, self.size_text, self.sz_decimals, self.is_buy,
            self.is_taker, self.fee_e8, self.fee_exact, self.fee_token, self.closed_pnl_e8, self.start_lots, self.direction,
            self.time_ms, self.recv_ns, True)

    @property
    def key(self):
        """What makes this fill the same fill wherever it is seen."""
        return (self.coin, self.tid, self.oid, self.time_ms)

    @property
    def trade_id(self):
        return self.tid

    @property
    def exchange_order_id(self):
        return self.oid if self.oid else None

    @property
    def trade_type(self):
        return TradeType.BUY if self.is_buy else TradeType.SELL

    @property
    def liquidity(self):
        """"taker" or "maker"."""
        return "taker" if self.is_taker else "maker"

    @property
    def price(self):
        return scaled_to_decimal(self.px_e8, 8)

    @property
    def amount(self):
        """The size in base units, exact also where it is off the lot grid."""
        return scaled_to_decimal(self.lots, self.sz_decimals) if self.lots >= 0 else _D(self.size_text)

    @property
    def quote_amount(self):
        """Price times size, exact."""
        return EXACT.multiply(self.price, self.amount)

    @property
    def fee(self):
        """The fee in `fee_token`; negative is a rebate."""
        return scaled_to_decimal(self.fee_e8, 8) if self.fee_exact is None else self.fee_exact

    @property
    def closed_pnl(self):
        """The venue's own figure, without fees."""
        return scaled_to_decimal(self.closed_pnl_e8, 8)

    @property
    def start_position(self):
        """The signed position before this fill, as the venue says, or None."""
        return None if self.start_lots == NOT_KNOWN else scaled_to_decimal(self.start_lots, self.sz_decimals)

    def __repr__(self):
        size = scaled_text(self.lots, self.sz_decimals) if self.lots >= 0 else self.size_text
        return f"<TradeUpdate {self.coin} {'buy' if self.is_buy else 'sell'} {size} at {scaled_text(self.px_e8, 8)} oid={self.oid} tid={self.tid}>"


cdef class Trade:
    """One public trade; `is_buy` is the aggressor's side."""

    def __init__(
        self, *, str coin, price, amount, int sz_decimals=8, bint is_buy, int64_t tid=0, int64_t time_ms=0,
        int64_t recv_ns=0, str buyer="", str seller="",
    ):
        self.coin = coin
        self.px_e8 = to_scaled(price, 8)
        self.lots = to_scaled(amount, sz_decimals)
        self.sz_decimals = sz_decimals
        self.is_buy = is_buy
        self.tid = tid
        self.time_ms = time_ms
        self.recv_ns = recv_ns
        self.buyer = buyer
        self.seller = seller

    @property
    def price(self):
        return scaled_to_decimal(self.px_e8, 8)

    @property
    def amount(self):
        return scaled_to_decimal(self.lots, self.sz_decimals)

    @property
    def side(self):
        """The aggressor's side in the venue's letters: "B" or "A"."""
        return "B" if self.is_buy else "A"

    def __repr__(self):
        return f"<Trade {self.coin} {self.side} {scaled_text(self.lots, self.sz_decimals)} at {scaled_text(self.px_e8, 8)} tid={self.tid}>"


cdef OrderUpdate make_order_update(
    object client_order_id, object cloid, int64_t oid, str coin, int new_state, str status, str side, int64_t px_e8,
    int64_t lots, int64_t orig_lots, int64_t time_ms, int64_t recv_ns, str reason, bint recovered,
):
    cdef OrderUpdate u = OrderUpdate.__new__(OrderUpdate)
    u.client_order_id = client_order_id
    u.cloid = cloid
    u.oid = oid
    u.coin = coin
    u.new_state = new_state
    u.status = status
    u.side = side
    u.px_e8 = px_e8
    u.lots = lots
    u.orig_lots = orig_lots
    u.time_ms = time_ms
    u.recv_ns = recv_ns
    u.reason = reason
    u.recovered = recovered
    return u


cdef TradeUpdate make_trade_update(
    str coin, int64_t tid, int64_t oid, object cloid, int64_t px_e8, int64_t lots, str size_text, int sz_decimals,
    bint is_buy, bint is_taker, int64_t fee_e8, object fee_exact, str fee_token, int64_t closed_pnl_e8,
    int64_t start_lots, str direction, int64_t time_ms, int64_t recv_ns, bint recovered,
):
    cdef TradeUpdate t = TradeUpdate.__new__(TradeUpdate)
    t.coin = coin
    t.tid = tid
    t.oid = oid
    t.cloid = cloid
    t.px_e8 = px_e8
    t.lots = lots
    t.size_text = size_text
    t.sz_decimals = sz_decimals
    t.is_buy = is_buy
    t.is_taker = is_taker
    t.fee_e8 = fee_e8
    t.fee_exact = fee_exact
    t.fee_token = fee_token
    t.closed_pnl_e8 = closed_pnl_e8
    t.start_lots = start_lots
    t.direction = direction
    t.time_ms = time_ms
    t.recv_ns = recv_ns
    t.recovered = recovered
    return t


cdef Trade make_trade(
    str coin, int64_t px_e8, int64_t lots, int sz_decimals, bint is_buy, int64_t tid, int64_t time_ms, int64_t recv_ns,
    str buyer, str seller,
):
    cdef Trade t = Trade.__new__(Trade)
    t.coin = coin
    t.px_e8 = px_e8
    t.lots = lots
    t.sz_decimals = sz_decimals
    t.is_buy = is_buy
    t.tid = tid
    t.time_ms = time_ms
    t.recv_ns = recv_ns
    t.buyer = buyer
    t.seller = seller
    return t
