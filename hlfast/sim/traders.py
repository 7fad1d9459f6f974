"""The background traders of the local exchange (layer 5): they make books move and quotes fill.

FLOWS names the kinds there are. For each market a *fair price* walks at random, pulled softly to its start. Two makers keep ladders around it (a tight
one near the touch, a wide one behind), a taker hits one side at random with a size that often sweeps several levels,
and an arbitrageur takes what other people leave on the wrong side of the fair price. They act straight on the engine.

Every block draws the same number of random values per market, whatever the books look like: so one seed gives one
sequence of fair prices and takes, block by block, with or without other people's orders.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hlfast.sim.account import Account
from hlfast.sim.execution import Ticket
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import E8

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

HOUSE_USDC = 10_000_000_000
HOUSE_TOKENS = 1_000_000_000
PULL = 0.0005
"""Share of its distance from the start price that a fair price gives back each block."""
BAND = 0.1
"""A fair price stays within this share of its start."""


@dataclass(frozen=True)
class Temper:
    """How one market behaves. Amounts are USDC, `volatility_bps` is per block."""

    coin: str
    volatility_bps: float
    step_ticks: int
    level_usd: int
    take_usd: int
    take_chance: float


TEMPERS = (
    Temper("BTC", 0.7, 2, 20_000, 80_000, 0.7),
    Temper("ETH", 0.8, 1, 12_000, 50_000, 0.7),
    Temper("SOL", 0.8, 1, 6_000, 15_000, 0.4),
    Temper("HYPE", 1.0, 1, 4_000, 10_000, 0.4),
    Temper("kPEPE", 1.0, 1, 2_000, 5_000, 0.2),
    Temper("PURR/USDC", 0.8, 1, 500, 1_000, 0.2),
    Temper("@107", 1.0, 1, 2_000, 5_000, 0.2),
    Temper("demo:GOLD", 0.6, 1, 4_000, 10_000, 0.2),
    Temper("demo:OIL", 0.8, 1, 2_000, 5_000, 0.2),
)
USUAL = Temper("", 0.9, 1, 2_000, 5_000, 0.2)
"""For markets of a universe that has none of the above."""
USUAL_MARKETS = 5


@dataclass(frozen=True)
class Flow:
    """Who is there, and how fair prices move: pulled to their start, or drifting `drift_bps` a block one way for long."""

    makes: bool = True
    takes: bool = True
    drift_bps: float = 0.0


FLOWS = {
    "noise": Flow(),
    "trend": Flow(drift_bps=0.4),
    "makers": Flow(takes=False),
    "takers": Flow(makes=False),
    "none": Flow(makes=False, takes=False),
}
TURN_CHANCE = 0.001
"""That a drift turns, per block."""
DRIFT_BAND = 0.9
TIGHT, WIDE = (1, 6), (2, 20)
"""The two makers: (steps between their levels, levels a side)."""


class Ladder:
    """One maker's resting orders in one market, kept at whole multiples of its step around the fair price."""

    def __init__(self, account: Account, book: Book, step_e8: int, depth: int, lots: int) -> None:
        self.account = account
        self.book = book
        self.step_e8 = step_e8
        self.depth = depth
        self.lots = lots
        self.orders: dict[tuple[bool, int], Order] = {}

    def wanted(self, fair_e8: int) -> list[tuple[bool, int]]:
        """(is_buy, price) of each level, nearest first."""
        below = fair_e8 // self.step_e8 * self.step_e8
        bids = [(True, below - i * self.step_e8) for i in range(self.depth)]
        asks = [(False, below + (i + 1) * self.step_e8) for i in range(self.depth)]
        return [level for pair in zip(bids, asks, strict=True) for level in pair]


class Street:
    """One market and those who trade in it."""

    def __init__(self, temper: Temper, book: Book, makers: list[Account], seed: int, flow: Flow) -> None:
        market = book.market
        self.temper = temper
        self.flow = flow
        self.book = book
        self.random = random.Random(f"{seed}:{market.coin}")
        self._drift_bps = flow.drift_bps
        self.start_e8 = self.fair_e8 = market.start_px_e8
        self.step_e8 = temper.step_ticks * market.tick_e8(market.start_px_e8)
        lots = market.lots_for(temper.level_usd * E8, market.start_px_e8)
        self.ladders = [
            Ladder(maker, book, self.step_e8 * steps, depth, lots)
            for maker, (steps, depth) in zip(makers, (TIGHT, WIDE), strict=True)
        ]
        self.take: tuple[bool, int] | None = None

    def draw(self) -> None:
        """The next fair price, and whether somebody takes: (is_buy, value in 1e-8 USDC)."""
        temper, draw = self.temper, self.random
        moved = self.fair_e8 * (1 + draw.gauss(self._drift_bps / 10_000, temper.volatility_bps / 10_000))
        band = BAND
        if self._drift_bps:
            band = DRIFT_BAND
            if draw.random() < TURN_CHANCE:
                self._drift_bps = -self._drift_bps
            self._fit_steps()
        else:
            moved += (self.start_e8 - moved) * PULL
        low, high = self.start_e8 * (1 - band), self.start_e8 * (1 + band)
        self.fair_e8 = int(min(max(moved, low), high))
        takes, is_buy, size = draw.random() < temper.take_chance, draw.random() < 0.5, draw.expovariate(1.0)
        self.take = (is_buy, int(size * temper.take_usd * E8)) if takes and self.flow.takes else None

    def _fit_steps(self) -> None:
        """A price that has gone far may be on another grid."""
        step_e8 = self.temper.step_ticks * self.book.market.tick_e8(self.fair_e8)
        if step_e8 != self.step_e8:
            self.step_e8 = step_e8
            for ladder, (steps, _) in zip(self.ladders, (TIGHT, WIDE), strict=True):
                ladder.step_e8 = step_e8 * steps


class Traders:
    """All of them. `quote` runs before other people's takers in a block, `take` after."""

    def __init__(self, exchange: Exchange, seed: int, flow: Flow) -> None:
        self._execution = exchange.execution
        self.flow = flow
        self.blocks = 0
        tempers = _tempers(list(self._execution.books.values()))
        accounts = []
        for index in range(4):
            account = exchange.open_account(
                f"0x{0x51A0 + index:040x}", HOUSE_USDC, HOUSE_USDC, HOUSE_USDC, is_house=True
            )
            for _, book in tempers:
                for token in (book.market.base, book.market.quote) if book.market.is_spot else ():
                    balance = account.balance(token.index)
                    balance.total_wei = max(balance.total_wei, HOUSE_TOKENS * 10**token.wei_decimals)
            accounts.append(account)
        self.makers, self.taker, self.arbitrageur = accounts[:2], accounts[2], accounts[3]
        self.streets = [Street(temper, book, self.makers, seed, flow) for temper, book in tempers]

    def fair_e8(self) -> dict[int, int]:
        """The prices outside, by asset, on the price grid."""
        fair = {street.book.market: street.fair_e8 for street in self.streets}
        return {market.asset: px_e8 - px_e8 % market.tick_e8(px_e8) for market, px_e8 in fair.items()}

    def quote(self) -> None:
        """Move the fair prices and the ladders with them: what is out of place goes first, then the gaps are filled."""
        self.blocks += 1
        for street in self.streets:
            street.draw()
            if not self.flow.makes:
                continue
            levels = [(ladder, ladder.wanted(street.fair_e8)) for ladder in street.ladders]
            for ladder, wanted in levels:
                self._clear(ladder, wanted)
            for ladder, wanted in levels:
                self._fill_gaps(ladder, wanted)

    def _clear(self, ladder: Ladder, wanted: list[tuple[bool, int]]) -> None:
        keep = set(wanted)
        for level, order in list(ladder.orders.items()):
            if order.oid not in ladder.account.open:  # filled or cancelled meanwhile
                del ladder.orders[level]
            elif level not in keep:
                self._execution.cancel(order)
                del ladder.orders[level]

    def _fill_gaps(self, ladder: Ladder, wanted: list[tuple[bool, int]]) -> None:
        """Post-only, so that a price on which somebody else stands in the way simply stays empty."""
        book, account = ladder.book, ladder.account
        for level in wanted:
            is_buy, px_e8 = level
            if level in ladder.orders or book.touch(is_buy, px_e8) is not None:
                continue
            self._execution.begin_transaction()
            entry = self._execution.place(account, Ticket(book.market, is_buy, px_e8, ladder.lots, "Alo"))
            if "resting" in entry:
                ladder.orders[level] = account.open[entry["resting"]["oid"]]

    def take(self) -> None:
        """Arbitrage first, then this block's takes."""
        if not self.flow.takes:
            return
        for street in self.streets:
            for is_buy in (True, False):
                self._arbitrage(street, is_buy)
            if street.take is not None:
                is_buy, ntl_e8 = street.take
                self._hit(street, self.taker, is_buy, ntl_e8, 20)

    def _arbitrage(self, street: Street, is_buy: bool) -> None:
        """Take other people's orders that are a step or more on the wrong side of the fair price."""
        edge_e8 = street.fair_e8 - street.step_e8 if is_buy else street.fair_e8 + street.step_e8
        level = street.book.touch(is_buy, edge_e8)
        if level is not None:
            self._hit(street, self.arbitrageur, is_buy, street.book.market.ntl_e8(level.px_e8, level.lots), 0)

    def _hit(self, street: Street, account: Account, is_buy: bool, ntl_e8: int, reach: int) -> None:
        """An IOC for this value, up to `reach` steps beyond the best price."""
        book = street.book
        best = book.opposite(is_buy).best
        if best is None:
            return
        px_e8 = best.px_e8 + (reach if is_buy else -reach) * street.step_e8
        lots = book.market.lots_for(ntl_e8, best.px_e8)
        if lots:
            self._execution.begin_transaction()
            self._execution.place(account, Ticket(book.market, is_buy, px_e8, lots, "Ioc"))


def _tempers(books: list[Book]) -> list[tuple[Temper, Book]]:
    """The markets that are traded: those with a temper of their own, else the first perps."""
    open_books = {book.market.coin: book for book in books if not book.market.is_delisted}
    known = [(temper, open_books[temper.coin]) for temper in TEMPERS if temper.coin in open_books]
    return known or [(USUAL, book) for book in list(open_books.values())[:USUAL_MARKETS]]
