"""One account of the local exchange (layer 5): cash, positions, spot balances, fees, and what its orders reserve.

All amounts are integers: USDC by 1e8, tokens in wei, sizes in lots. Nothing is ever created here: a trade moves
amounts between two accounts and the fee box (`Exchange.assert_conserved` checks it after each block in the tests).

Perp accounting is the venue's: cross `cash` falls by signed size times price plus fee on each trade, and the account's
value is cash plus each cross position at mark. What a cross position needs is the largest of what it is, what it would
be if all bids filled, and what it would be if all asks filled, at mark or limit price, over its leverage. An isolated
position has cash of its own (`raw_e8`): opening moves value / leverage into it, closing moves its share out again.

History is bounded: `trim` drops the oldest finished orders, fills and rows beyond `history`, and counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hlfast.sim.fees import FeeRates, Volumes
from hlfast.sim.markets import TOKENS, USD, Market, Token
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import half_even

DEFAULT_LEVERAGE = 20
HISTORY = 10_000
_BUILT_IN_TOKENS = {token.index: token for token in TOKENS}


class PerpPosition:
    """An account's stake in one perp: the position, its margin, and the value of its resting opening orders."""

    __slots__ = (
        "ask_ntl_e8",
        "bid_ntl_e8",
        "book",
        "entry_ntl_e8",
        "funding_change_e8",
        "funding_e8",
        "funding_open_e8",
        "is_cross",
        "leverage",
        "lots",
        "raw_e8",
    )

    def __init__(self, book: Book) -> None:
        self.book = book
        self.lots = 0
        self.entry_ntl_e8 = 0
        self.leverage = min(DEFAULT_LEVERAGE, book.market.max_leverage)
        self.is_cross = not book.market.margin_mode
        self.raw_e8 = 0
        self.bid_ntl_e8 = self.ask_ntl_e8 = 0
        self.funding_e8 = self.funding_open_e8 = self.funding_change_e8 = 0
        """Paid so far: in all, since the position was opened, since it last changed."""

    @property
    def value_e8(self) -> int:
        """Signed value at mark."""
        return self.book.market.ntl_e8(self.book.mark_e8, self.lots)

    @property
    def equity_e8(self) -> int:
        """What an isolated position is worth with its margin."""
        return self.raw_e8 + self.value_e8

    @property
    def unrealized_pnl_e8(self) -> int:
        return self.value_e8 - (self.entry_ntl_e8 if self.lots > 0 else -self.entry_ntl_e8)

    @property
    def initial_e8(self) -> int:
        """Initial margin of the position alone."""
        return -(-abs(self.value_e8) // self.leverage)

    @property
    def margin_e8(self) -> int:
        """`marginUsed`: the initial margin of a cross position, all that an isolated one has."""
        return self.initial_e8 if self.is_cross else self.equity_e8

    @property
    def maintenance_e8(self) -> int:
        return self.book.market.maintenance_e8(abs(self.value_e8))

    def required_e8(self, more_bids_e8: int = 0, more_asks_e8: int = 0) -> int:
        """What it needs of the account: margin of a cross position and of resting orders, and of further ones."""
        value = self.value_e8
        bids, asks = self.bid_ntl_e8 + more_bids_e8, self.ask_ntl_e8 + more_asks_e8
        most = max(abs(value), abs(value + bids), abs(value - asks))
        return -(-(most if self.is_cross else most - abs(value)) // self.leverage)

    def apply_trade(self, is_buy: bool, px_e8: int, lots: int) -> int:
        """Move the position; returns the closed profit in 1e-8 USDC, fees not counted."""
        market, old = self.book.market, self.lots
        self.lots = old + (lots if is_buy else -lots)
        self.book.open_interest_lots += max(self.lots, 0) - max(old, 0)
        self.funding_change_e8 = 0
        if old == 0 or (old > 0) == is_buy:
            if old == 0:
                self.funding_open_e8 = 0
            self.entry_ntl_e8 += market.ntl_e8(px_e8, lots)
            return 0
        closing = min(lots, abs(old))
        closed_entry = half_even(self.entry_ntl_e8 * closing, abs(old))
        self.entry_ntl_e8 -= closed_entry
        if lots > closing:  # a flip: closed in full, then opened the other way at the trade's price
            self.entry_ntl_e8 = market.ntl_e8(px_e8, lots - closing)
            self.funding_open_e8 = 0
        closed_ntl = market.ntl_e8(px_e8, closing)
        return closed_ntl - closed_entry if old > 0 else closed_entry - closed_ntl


class SpotBalance:
    """One token of one account, in wei. `hold` is what resting orders reserve; `entry_ntl_e8` what it cost."""

    __slots__ = ("entry_ntl_e8", "hold_wei", "token", "total_wei")

    def __init__(self, token: Token) -> None:
        self.token = token
        self.total_wei = 0
        self.hold_wei = 0
        self.entry_ntl_e8 = 0

    @property
    def free_wei(self) -> int:
        return self.total_wei - self.hold_wei


class Account:
    """`is_house` marks the background traders: they have balances, but nobody asks for their history."""

    def __init__(
        self,
        address: str,
        *,
        is_house: bool = False,
        master: Account | None = None,
        tokens: Mapping[int, Token] = _BUILT_IN_TOKENS,
        history: int = HISTORY,
    ) -> None:
        self.address = address
        self.is_house = is_house
        self.master = master
        self.leader: Account | None = None
        """Who trades for it, if it is a vault."""
        self.name = ""
        self.builders: dict[str, int] = {}
        """The highest fee approved for each builder, in tenths of a basis point."""
        self.referred_by: tuple[str, str] | None = None
        self.referred_at = (0, 0)
        """When, and what volume there was by then."""
        self.history = history
        self._tokens = tokens
        self.cash_e8 = 0
        self.positions: dict[int, PerpPosition] = {}
        self.spot: dict[int, SpotBalance] = {}
        self.fees_wei: dict[str, int] = {}
        self.volume_e8 = 0
        self.fee_rates: FeeRates = FeeRates(Volumes() if master is None else master.fee_rates.volumes)
        self.open: dict[int, Order] = {}
        self.reduce_only: dict[int, Order] = {}
        self.bound: dict[int, Order] = {}
        self.orders: dict[int, Order] = {}
        self.by_cloid: dict[str, Order] = {}
        self.fills: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.fundings: list[dict[str, Any]] = []
        self.nonces: dict[str, list[int]] = {}
        self.dropped = {"orders": 0, "fills": 0, "ledger": 0, "fundings": 0, "nonces": 0}
        self.requests_used = self.requests_reserved = 0
        self.dripped_ms = 0
        self.liquidation_ms = -(1 << 62)
        self.cancel_at_ms: int | None = None
        self.scheduled_cancels: dict[int, int] = {}
        self.balance(USD)

    def __repr__(self) -> str:
        return f"<Account {self.address}>"

    def position(self, book: Book) -> PerpPosition:
        found = self.positions.get(book.market.asset)
        if found is None:
            found = self.positions[book.market.asset] = PerpPosition(book)
        return found

    def balance(self, token_index: int) -> SpotBalance:
        found = self.spot.get(token_index)
        if found is None:
            found = self.spot[token_index] = SpotBalance(self._tokens[token_index])
        return found

    # -- margin ----------------------------------------------------------------------------------------------------

    @property
    def value_e8(self) -> int:
        """Cross account value: cash and the cross positions at mark."""
        return self.cash_e8 + sum(position.value_e8 for position in self.positions.values() if position.is_cross)

    @property
    def raw_usd_e8(self) -> int:
        """`totalRawUsd`: cross cash and that of the isolated positions."""
        return self.cash_e8 + sum(position.raw_e8 for position in self.positions.values())

    @property
    def required_e8(self) -> int:
        """What all positions and resting orders need of the cross account."""
        return sum(position.required_e8() for position in self.positions.values())

    @property
    def withdrawable_e8(self) -> int:
        ntl_e8 = sum(abs(position.value_e8) for position in self.positions.values() if position.is_cross)
        return max(0, self.value_e8 - max(self.required_e8, ntl_e8 // 10))

    def can_open(self, position: PerpPosition, is_buy: bool, ntl_e8: int) -> bool:
        """Whether there is margin for one more order; one that needs no more than before is always good."""
        now = position.required_e8()
        then = position.required_e8(ntl_e8, 0) if is_buy else position.required_e8(0, ntl_e8)
        return then <= now or self.value_e8 >= self.required_e8 - now + then

    def can_carry(self, position: PerpPosition, is_buy: bool, px_e8: int, lots: int) -> bool:
        """Whether a resting order may still trade: it reduces, or the position it makes has its margin."""
        old = position.lots
        if old and (old > 0) != is_buy and lots <= abs(old):
            return True
        market, mark = position.book.market, position.book.mark_e8
        others = sum(p.initial_e8 for p in self.positions.values() if p is not position and p.is_cross)
        signed = lots if is_buy else -lots
        if not position.is_cross:
            opened = lots if not old or (old > 0) == is_buy else lots - abs(old)
            return self.value_e8 >= others + -(-market.ntl_e8(px_e8, opened) // position.leverage)
        paper = market.ntl_e8(mark, signed) - market.ntl_e8(px_e8, signed)
        then = -(-abs(market.ntl_e8(mark, old + signed)) // position.leverage)
        return self.value_e8 + paper >= others + then

    def settle(self, position: PerpPosition, is_buy: bool, px_e8: int, lots: int, fee_e8: int) -> int:
        """Book one side of a perp trade; returns the closed profit."""
        market, old = position.book.market, position.lots
        ntl_e8 = market.ntl_e8(px_e8, lots)
        flow_e8 = (-ntl_e8 if is_buy else ntl_e8) - fee_e8
        profit_e8 = position.apply_trade(is_buy, px_e8, lots)
        if position.is_cross:
            self.cash_e8 += flow_e8
            return profit_e8
        position.raw_e8 += flow_e8
        kept_e8 = 0
        if old == 0 or (old > 0) == is_buy:
            kept_e8 = position.raw_e8 - -ntl_e8 // position.leverage
        elif (position.lots > 0) == (old > 0) and position.lots:  # closed in part: the closed share of its worth leaves
            worth_e8 = position.raw_e8 + market.ntl_e8(px_e8, position.lots)
            kept_e8 = position.raw_e8 - max(0, worth_e8) * lots // abs(old)
        elif position.lots:  # turned round: all of the old leaves, the new gets its own margin
            opened_e8 = market.ntl_e8(px_e8, position.lots)
            kept_e8 = -opened_e8 - -abs(opened_e8) // position.leverage
        self.cash_e8 += position.raw_e8 - kept_e8
        position.raw_e8 = kept_e8
        return profit_e8

    def reserve(self, order: Order, book: Book, lots: int) -> None:
        """Reserve margin or balance for `lots` of a resting order; negative `lots` give it back."""
        market = order.market
        ntl_e8 = market.ntl_e8(order.px_e8, lots)
        if market.is_spot:
            if order.is_buy:
                self.balance(market.quote.index).hold_wei += ntl_e8
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

    # -- orders ----------------------------------------------------------------------------------------------------

    def seat(self, order: Order) -> None:
        """The order is open now: in the book, or waiting."""
        self.open[order.oid] = order
        if order.waits:
            if order.is_position_bound:
                self.bound[order.oid] = order
        elif order.reduce_only:
            self.reduce_only[order.oid] = order

    def unseat(self, order: Order) -> None:
        del self.open[order.oid]
        self.reduce_only.pop(order.oid, None)
        self.bound.pop(order.oid, None)

    def resting_reduce_only(self, market: Market) -> list[Order]:
        """Newest first."""
        return [order for order in reversed(self.reduce_only.values()) if order.market is market]

    def named(self, cloid: str) -> Order | None:
        """The open order of this cloid (the newest if a client gave it twice), else the last one that had it."""
        order = self.by_cloid.get(cloid)
        if order is None or order.oid in self.open:
            return order
        return next((other for other in reversed(self.open.values()) if other.cloid == cloid), order)

    # -- history ---------------------------------------------------------------------------------------------------

    def trim(self) -> None:
        """Drop the oldest of what is over the limit, an eighth at a time; open orders stay."""
        most = self.history + self.history // 8
        if len(self.orders) > most:
            ended = [order for order in self.orders.values() if order.oid not in self.open]
            for order in ended[: len(self.orders) - self.history]:
                del self.orders[order.oid]
                self.dropped["orders"] += 1
                if order.cloid is not None and self.by_cloid.get(order.cloid) is order:
                    del self.by_cloid[order.cloid]
        kept: tuple[tuple[str, list[Any]], ...] = (
            ("fills", self.fills),
            ("ledger", self.ledger),
            ("fundings", self.fundings),
            *(("nonces", nonces) for nonces in self.nonces.values()),
        )
        for name, listed in kept:
            over = len(listed) - self.history
            if len(listed) > most:
                del listed[:over]
                self.dropped[name] += over
