"""A perp account in one dex (local exchange, layer 5): its cash and positions, and what margin they need.

Every account has one purse for the main dex and one for each builder dex that it has touched; each holds the dex's own
collateral by 1e8. Perp accounting is the venue's: cross `cash` falls by signed size times price plus fee on each trade, and the
purse's value is cash plus each cross position at mark. What a cross position needs is the largest of what it is, what it
would be if all bids filled, and what it would be if all asks filled, at mark or limit price, over its leverage. An isolated
position has cash of its own (`raw_e8`): opening moves value / leverage into it, closing moves its share out again.

Purses stand alone in a standard account. Where an account joins its money (`Account.is_joined`), the spot balance of the
collateral and all purses of it stand behind each other: realised money lies in the spot balance, and a purse's value is the
unrealised profit of its cross positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hlfast.sim.markets import Token
from hlfast.sim.matching import Book
from hlfast.sim.numbers import half_even

if TYPE_CHECKING:
    from hlfast.sim.account import Account

DEFAULT_LEVERAGE = 20


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


class Purse:
    """The cash and the positions of one account in one dex ("" is the main one)."""

    __slots__ = ("account", "cash_e8", "collateral", "dex", "positions")

    def __init__(self, account: Account, dex: str, collateral: Token) -> None:
        self.account = account
        self.dex = dex
        self.collateral = collateral
        self.cash_e8 = 0
        self.positions: dict[int, PerpPosition] = {}

    def __repr__(self) -> str:
        return f"<Purse of {self.account.address} in {self.dex or 'the main dex'}>"

    @property
    def value_e8(self) -> int:
        """Cross value: cash and the cross positions at mark."""
        return self.cash_e8 + sum(position.value_e8 for position in self.positions.values() if position.is_cross)

    @property
    def raw_usd_e8(self) -> int:
        """`totalRawUsd`: cross cash and that of the isolated positions."""
        return self.cash_e8 + sum(position.raw_e8 for position in self.positions.values())

    @property
    def required_e8(self) -> int:
        """What all positions and resting orders need of the cross cash."""
        return sum(position.required_e8() for position in self.positions.values())

    @property
    def spare_e8(self) -> int:
        """What is there beyond what is needed; below zero if something lacks."""
        if self.account.is_joined:
            return self.account.joined_spare_e8(self.collateral)
        return self.value_e8 - self.required_e8

    @property
    def withdrawable_e8(self) -> int:
        if self.account.is_joined:
            return max(0, self.account.joined_spare_e8(self.collateral))
        ntl_e8 = sum(abs(position.value_e8) for position in self.positions.values() if position.is_cross)
        return max(0, self.value_e8 - max(self.required_e8, ntl_e8 // 10))

    def can_open(self, position: PerpPosition, is_buy: bool, ntl_e8: int) -> bool:
        """Whether there is margin for one more order; one that needs no more than before is always good."""
        return self.lacks_e8(position, is_buy, ntl_e8) <= 0

    def lacks_e8(self, position: PerpPosition, is_buy: bool, ntl_e8: int) -> int:
        """How much margin is missing for one more order; 0 or less if nothing is."""
        now = position.required_e8()
        then = position.required_e8(ntl_e8, 0) if is_buy else position.required_e8(0, ntl_e8)
        return 0 if then <= now else then - now - self.spare_e8

    def can_carry(self, position: PerpPosition, is_buy: bool, px_e8: int, lots: int) -> bool:
        """Whether a resting order may still trade: it reduces, or the position it makes has its margin."""
        old = position.lots
        if old and (old > 0) != is_buy and lots <= abs(old):
            return True
        market, mark = position.book.market, position.book.mark_e8
        has_e8, others = self._behind(position)
        signed = lots if is_buy else -lots
        if not position.is_cross:
            opened = lots if not old or (old > 0) == is_buy else lots - abs(old)
            return has_e8 >= others + -(-market.ntl_e8(px_e8, opened) // position.leverage)
        paper = market.ntl_e8(mark, signed) - market.ntl_e8(px_e8, signed)
        then = -(-abs(market.ntl_e8(mark, old + signed)) // position.leverage)
        return has_e8 + paper >= others + then

    def _behind(self, position: PerpPosition) -> tuple[int, int]:
        """What stands behind a position, and what the others of it need."""
        account = self.account
        if account.is_joined:
            purses = account.joined_purses(self.collateral)
            has_e8 = account.balance(self.collateral.index).free_wei + sum(purse.value_e8 for purse in purses)
        else:
            purses, has_e8 = [self], self.value_e8
        held = (p for purse in purses for p in purse.positions.values() if p is not position and p.is_cross)
        return has_e8, sum(p.initial_e8 for p in held)

    def settle(self, position: PerpPosition, is_buy: bool, px_e8: int, lots: int, fee_e8: int) -> int:
        """Book one side of a perp trade; returns the closed profit."""
        market, old = position.book.market, position.lots
        ntl_e8 = market.ntl_e8(px_e8, lots)
        flow_e8 = (-ntl_e8 if is_buy else ntl_e8) - fee_e8
        profit_e8 = position.apply_trade(is_buy, px_e8, lots)
        if position.is_cross:
            self.cash_e8 += flow_e8
            self.account.join(self)
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
        self.account.join(self)
        return profit_e8

    def pay(self, position: PerpPosition, e8: int) -> None:
        """Money that a position costs without a trade (funding); negative is received."""
        if position.is_cross:
            self.cash_e8 -= e8
            self.account.join(self)
        else:
            position.raw_e8 -= e8

    @property
    def realised_e8(self) -> int:
        """Cash without what the cross positions have cost: what would be here if each was worth its entry."""
        return self.cash_e8 + sum(
            p.entry_ntl_e8 if p.lots > 0 else -p.entry_ntl_e8 for p in self.positions.values() if p.is_cross and p.lots
        )
