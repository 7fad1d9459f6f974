"""One account of the local exchange (layer 5): cash, positions, spot balances, fees, and what its orders reserve.

All amounts are integers: USDC by 1e8, tokens in wei, sizes in lots. Nothing is ever created here: a trade moves
amounts between two accounts and the fee box (`Exchange.assert_conserved` checks it after each block in the tests).

Perp accounting is the venue's cross margin: `cash` is totalRawUsd, which falls by signed size times price plus fee on
each trade; account value is cash plus each position at mark. What a position needs is the largest of what it is, what
it would be if all bids filled, and what it would be if all asks filled, at mark or limit price, over its leverage.
"""

from __future__ import annotations

from typing import Any

from hlfast.sim.markets import USDC, Market
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import half_even

DEFAULT_LEVERAGE = 20


class PerpPosition:
    """An account's stake in one perp: the position, its leverage, and the value of its resting opening orders."""

    __slots__ = ("ask_ntl_e8", "bid_ntl_e8", "book", "entry_ntl_e8", "leverage", "lots")

    def __init__(self, book: Book) -> None:
        self.book = book
        self.lots = 0
        self.entry_ntl_e8 = 0
        self.leverage = min(DEFAULT_LEVERAGE, book.market.max_leverage)
        self.bid_ntl_e8 = self.ask_ntl_e8 = 0

    @property
    def value_e8(self) -> int:
        """Signed value at mark."""
        return self.book.market.ntl_e8(self.book.mark_e8, self.lots)

    @property
    def unrealized_pnl_e8(self) -> int:
        return self.value_e8 - (self.entry_ntl_e8 if self.lots > 0 else -self.entry_ntl_e8)

    @property
    def margin_e8(self) -> int:
        """Initial margin of the position alone."""
        return -(-abs(self.value_e8) // self.leverage)

    def required_e8(self, more_bids_e8: int = 0, more_asks_e8: int = 0) -> int:
        """Initial margin of the position and its resting orders, and of further ones if given."""
        value = self.value_e8
        bids, asks = self.bid_ntl_e8 + more_bids_e8, self.ask_ntl_e8 + more_asks_e8
        return -(-max(abs(value), abs(value + bids), abs(value - asks)) // self.leverage)

    def apply_trade(self, is_buy: bool, px_e8: int, lots: int) -> int:
        """Move the position; returns the closed profit in 1e-8 USDC, fees not counted."""
        market, old = self.book.market, self.lots
        self.lots = old + (lots if is_buy else -lots)
        self.book.open_interest_lots += max(self.lots, 0) - max(old, 0)
        if old == 0 or (old > 0) == is_buy:
            self.entry_ntl_e8 += market.ntl_e8(px_e8, lots)
            return 0
        closing = min(lots, abs(old))
        closed_entry = half_even(self.entry_ntl_e8 * closing, abs(old))
        self.entry_ntl_e8 -= closed_entry
        if lots > closing:  # a flip: closed in full, then opened the other way at the trade's price
            self.entry_ntl_e8 = market.ntl_e8(px_e8, lots - closing)
        closed_ntl = market.ntl_e8(px_e8, closing)
        return closed_ntl - closed_entry if old > 0 else closed_entry - closed_ntl


class SpotBalance:
    """One token of one account, in wei. `hold` is what resting orders reserve; `entry_ntl_e8` what it cost."""

    __slots__ = ("entry_ntl_e8", "hold_wei", "total_wei")

    def __init__(self, total_wei: int = 0) -> None:
        self.total_wei = total_wei
        self.hold_wei = 0
        self.entry_ntl_e8 = 0

    @property
    def free_wei(self) -> int:
        return self.total_wei - self.hold_wei


class Account:
    """`is_house` marks the background traders: they have balances, but nobody asks for their history."""

    def __init__(self, address: str, *, is_house: bool = False, master: Account | None = None) -> None:
        self.address = address
        self.is_house = is_house
        self.master = master
        self.cash_e8 = 0
        self.positions: dict[int, PerpPosition] = {}
        self.spot: dict[int, SpotBalance] = {USDC.index: SpotBalance()}
        self.fees_wei: dict[str, int] = {}
        self.volume_e8 = 0
        self.open: dict[int, Order] = {}
        self.reduce_only: dict[int, Order] = {}
        self.orders: dict[int, Order] = {}
        self.by_cloid: dict[str, Order] = {}
        self.fills: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.nonces: dict[str, list[int]] = {}
        self.requests_used = 0
        self.cancel_at_ms: int | None = None
        self.scheduled_cancels: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Account {self.address}>"

    def position(self, book: Book) -> PerpPosition:
        found = self.positions.get(book.market.asset)
        if found is None:
            found = self.positions[book.market.asset] = PerpPosition(book)
        return found

    def balance(self, token_index: int) -> SpotBalance:
        return self.spot.setdefault(token_index, SpotBalance())

    @property
    def value_e8(self) -> int:
        return self.cash_e8 + sum(position.value_e8 for position in self.positions.values())

    @property
    def required_e8(self) -> int:
        """Initial margin of all positions and resting orders."""
        return sum(position.required_e8() for position in self.positions.values())

    @property
    def withdrawable_e8(self) -> int:
        tenth = sum(abs(position.value_e8) for position in self.positions.values()) // 10
        return max(0, self.value_e8 - max(self.required_e8, tenth))

    def can_open(self, position: PerpPosition, is_buy: bool, ntl_e8: int) -> bool:
        """Whether there is margin for one more order; one that needs no more than before is always good."""
        now = position.required_e8()
        then = position.required_e8(ntl_e8, 0) if is_buy else position.required_e8(0, ntl_e8)
        return then <= now or self.value_e8 >= self.required_e8 - now + then

    def can_carry(self, position: PerpPosition, is_buy: bool, px_e8: int, lots: int) -> bool:
        """Whether a resting order may still trade: it reduces, or the position it makes has its margin."""
        if position.lots and (position.lots > 0) != is_buy and lots <= abs(position.lots):
            return True
        market, mark = position.book.market, position.book.mark_e8
        signed = lots if is_buy else -lots
        paper = market.ntl_e8(mark, signed) - market.ntl_e8(px_e8, signed)
        then = -(-abs(market.ntl_e8(mark, position.lots + signed)) // position.leverage)
        others = sum(other.margin_e8 for other in self.positions.values() if other is not position)
        return self.value_e8 + paper >= others + then

    def reserve(self, order: Order, book: Book, lots: int) -> None:
        """Reserve margin or balance for `lots` of a resting order; negative `lots` give it back."""
        market = order.market
        ntl_e8 = market.ntl_e8(order.px_e8, lots)
        if market.is_spot:
            if order.is_buy:
                self.balance(USDC.index).hold_wei += ntl_e8
            else:
                self.balance(market.base.index).hold_wei += market.base_wei(lots)
        elif not order.reduce_only:
            position = self.position(book)
            if order.is_buy:
                position.bid_ntl_e8 += ntl_e8
            else:
                position.ask_ntl_e8 += ntl_e8

    def pay_fee(self, token_name: str, wei: int) -> None:
        self.fees_wei[token_name] = self.fees_wei.get(token_name, 0) + wei

    def seat(self, order: Order) -> None:
        """The order rests now."""
        self.open[order.oid] = order
        if order.reduce_only:
            self.reduce_only[order.oid] = order

    def unseat(self, order: Order) -> None:
        del self.open[order.oid]
        self.reduce_only.pop(order.oid, None)

    def resting_reduce_only(self, market: Market) -> list[Order]:
        """Newest first."""
        return [order for order in reversed(self.reduce_only.values()) if order.market is market]
