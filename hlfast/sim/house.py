"""The house's own desk (layer 5): books made by hand, by calls or by a recording, without background traders.

    exchange.house.rest("BTC", "buy", "64999", "0.5")     # in the book from the next block on
    exchange.house.take("BTC", "sell", "0.2")              # hits it, after everybody else in that block
    exchange.house.set_book("BTC", bids=[("64999", "0.5")], asks=[("65001", "0.5")])
    exchange.house.clear("BTC")

Calls are kept and executed in the next block, in order: quotes before other people's takers, takes after them. The
house has money without end; it leaves no rows of its own. Prices and sizes are text, int or Decimal.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from hlfast.errors import ConfigError
from hlfast.sim.account import Account
from hlfast.sim.execution import Ticket
from hlfast.sim.matching import Book
from hlfast.sim.numbers import price_e8

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

MAKER = "0x" + "51ae".rjust(40, "0")
TAKER = "0x" + "51af".rjust(40, "0")
"""Two accounts, so that the house may hit its own quotes."""
HOUSE_USDC = 10_000_000_000
HOUSE_TOKENS = 1_000_000_000

Number: TypeAlias = "str | int | Decimal"
Levels: TypeAlias = "Sequence[tuple[Number, Number]]"
"""(price, size), in any order."""


class House:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._execution = exchange.execution
        self._quotes: list[tuple[Book, Ticket | None]] = []
        self._takes: list[tuple[Book, bool, int, int | None]] = []
        self.off_grid = 0
        """Levels that were left out because they do not fit the market's grid."""

    def _account(self, address: str) -> Account:
        found = self._exchange.accounts.get(address)
        return (
            self._exchange.open_account(address, HOUSE_USDC, HOUSE_USDC, HOUSE_USDC, is_house=True)
            if found is None
            else found
        )

    @property
    def coins(self) -> dict[str, Book]:
        return self._execution.by_coin

    def rest(self, coin: str, side: str, px: Number, sz: Number) -> None:
        """A limit order; it trades first if it crosses. Raises ConfigError for what does not fit the grid."""
        book = self._exchange.book(coin)
        ticket = _ticket(book, _is_buy(side), price_e8(px), _lots(book, sz))
        if ticket is None:
            raise ConfigError(f"{px} x {sz} is not on the grid of {coin}")
        self._quotes.append((book, ticket))

    def take(self, coin: str, side: str, sz: Number, px: Number | None = None) -> None:
        """Take from the book, at any price or up to `px`."""
        book = self._exchange.book(coin)
        self._takes.append((book, _is_buy(side), _lots(book, sz) or 0, None if px is None else price_e8(px)))

    def clear(self, coin: str) -> None:
        """Cancel all that the house has in this book."""
        self._quotes.append((self._exchange.book(coin), None))

    def set_book(self, coin: str, *, bids: Levels, asks: Levels) -> None:
        """Replace the house's quotes. What is off the grid is left out and counted."""
        book = self._exchange.book(coin)
        self._quotes.append((book, None))
        for is_buy, levels in ((True, bids), (False, asks)):
            for px, sz in levels:
                ticket = _ticket(book, is_buy, price_e8(px), _lots(book, sz))
                if ticket is None:
                    self.off_grid += 1
                else:
                    self._quotes.append((book, ticket))

    # -- in a block ------------------------------------------------------------------------------------------------

    def quote(self) -> None:
        quotes, self._quotes = self._quotes, []
        for book, ticket in quotes:
            if ticket is None:
                maker = self._account(MAKER)
                for order in [order for order in maker.open.values() if order.market is book.market]:
                    self._execution.cancel(order)
            else:
                self._place(MAKER, book, ticket)

    def take_booked(self) -> None:
        takes, self._takes = self._takes, []
        for book, is_buy, lots, limit_e8 in takes:
            side = list(book.opposite(is_buy))
            if side and lots:
                px_e8 = side[-1].px_e8 if limit_e8 is None else limit_e8
                self._place(TAKER, book, Ticket(book.market, is_buy, px_e8, lots, "Ioc"))

    def _place(self, address: str, book: Book, ticket: Ticket) -> None:
        account = self._account(address)
        for token in (book.market.base, book.market.quote) if book.market.is_spot else ():
            if token.index not in account.spot:  # made when it is first needed
                self._exchange.grant(address, token.index, HOUSE_TOKENS * 10**token.wei_decimals)
        self._execution.begin_transaction()
        self._execution.place(account, ticket)


def _is_buy(side: str) -> bool:
    if side not in ("buy", "sell"):
        raise ConfigError(f'side must be "buy" or "sell", got {side!r}')
    return side == "buy"


def _lots(book: Book, sz: Number) -> int | None:
    """None for a size off the grid."""
    lots = Decimal(sz).scaleb(book.market.sz_decimals)
    return int(lots) if lots == int(lots) and lots > 0 else None


def _ticket(book: Book, is_buy: bool, px_e8: int, lots: int | None) -> Ticket | None:
    if lots is None or not book.market.is_on_grid(px_e8):
        return None
    return Ticket(book.market, is_buy, px_e8, lots, "Gtc")
