"""Order entry of the local exchange (layer 5): the venue's checks and texts, matching, fills, and what follows.

One order goes: oid -> checks in CHECKS' order (the first that fails names the status and the text; a rejected order
has an oid and a row too) -> match, at the resting order's price -> rest or end. Answers are the venue's status entries.

What must hold: a GTC that trades in part answers `filled` and rests under its oid; an IOC's remainder leaves no row;
the resting order dies in a self-trade; a reduce-only order never flips a position, and resting ones shrink with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hlfast.sim.account import Account
from hlfast.sim.block import Block
from hlfast.sim.markets import MARKETS, MIN_NTL_E8, TOKENS, USDC, Market
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import half_even, short, text
from hlfast.sim.rows import order_row

FIRST_OID = 500_000_000_000
MAX_OPEN_ORDERS = 1000
PERP_FEES = (45, 15)
"""Taker and maker, in 1e-5: the venue's tier 0."""
SPOT_FEES = (70, 40)
FEE_SCALE = 100_000
NEVER_PLACED = "Order was never placed, already canceled, or filled."


@dataclass(frozen=True)
class Ticket:
    """One order as asked for."""

    market: Market
    is_buy: bool
    px_e8: int
    lots: int
    tif: str = "Gtc"
    reduce_only: bool = False
    cloid: str | None = None


class Execution:
    """The books, and everything that changes them. `block` collects what is to be told; the exchange sets it."""

    def __init__(self, seed: int) -> None:
        self.books = {market.asset: Book(market) for market in MARKETS}
        self.by_coin = {book.market.coin: book for book in self.books.values()}
        self.block = Block(0, 0)
        self.fees_wei = {token.name: 0 for token in TOKENS}
        self.counters = {"orders": 0, "rejects": 0, "cancels": 0, "trades": 0}
        self._seed = seed
        self._oid = FIRST_OID
        self._transactions = 0
        self._hash: str | None = None

    # -- what callers ask for --------------------------------------------------------------------------------------

    def begin_transaction(self) -> None:
        """All fills until the next call carry one hash."""
        self._transactions += 1
        self._hash = None

    def place(self, account: Account, ticket: Ticket) -> dict[str, Any]:
        """Place one order; returns its status entry: `resting`, `filled` or `error`."""
        self._oid += 1
        self.counters["orders"] += 1
        order = Order(
            account,
            ticket.market,
            self._oid,
            ticket.is_buy,
            ticket.px_e8,
            ticket.lots,
            ticket.tif,
            ticket.reduce_only,
            ticket.cloid,
            self.block.time_ms,
        )
        book = self.books[ticket.market.asset]
        if not account.is_house:
            account.orders[order.oid] = order
            if order.cloid is not None:
                account.by_cloid[order.cloid] = order
        for status, check in CHECKS:
            refusal = check(order, book)
            if refusal is not None:
                return self._reject(order, status, refusal)
        if order.reduce_only:
            self._fit_reduce_only(order, book)
        self._match(order, book)
        if order.lots and order.rests:
            self._rest(order, book)
        elif not order.filled_lots:
            return self._reject(
                order, "iocCancelRejected", "Order could not immediately match against any resting orders."
            )
        else:
            self._set_status(order, "filled", 0)
        return self._answer(order)

    def cancel(self, order: Order, status: str = "canceled") -> None:
        """Take a resting order out. Ends that its user did not ask for are told on `user` as nonUserCancel too."""
        self._unrest(order)
        self.counters["cancels"] += 1
        self._set_status(order, status, order.lots)
        if status not in ("canceled", "reduceOnlyCanceled") and not order.account.is_house:
            self.block.add_non_user_cancel(order.account, order.market.coin, order.oid)

    # -- matching --------------------------------------------------------------------------------------------------

    def _match(self, order: Order, book: Book) -> None:
        while order.lots:
            level = book.touch(order.is_buy, order.px_e8)
            if level is None:
                return
            maker = level.first
            if maker.account is order.account:
                self.cancel(maker, "selfTradeCanceled")
                continue
            lots = min(order.lots, maker.lots)
            if not order.market.is_spot:
                position = maker.account.position(book)
                if not maker.account.can_carry(position, maker.is_buy, maker.px_e8, lots):
                    self.cancel(maker, "marginCanceled")
                    continue
            if not order.filled_lots:
                self._set_status(order, "open", order.lots)
            self._trade(order, maker, lots, book)

    def _trade(self, taker: Order, maker: Order, lots: int, book: Book) -> None:
        market, px_e8 = book.market, maker.px_e8
        ntl_e8 = market.ntl_e8(px_e8, lots)
        maker.account.reserve(maker, book, -lots)
        book.reduce(maker, lots)
        taker.lots -= lots
        buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
        tid = int.from_bytes(_digest(f"{buyer.oid}:{seller.oid}", 8), "big") >> 14  # 50 bits, as the venue's
        self.counters["trades"] += 1
        for order, crossed in ((taker, True), (maker, False)):
            self._fill(order, px_e8, lots, ntl_e8, crossed, tid, book)
        book.last_px_e8 = px_e8
        book.day_ntl_e8 += ntl_e8
        book.day_lots += lots
        trade = {
            "coin": market.coin,
            "side": taker.side,
            "px": market.px_text(px_e8),
            "sz": market.sz_text(lots),
            "time": self.block.time_ms,
            "hash": self.transaction_hash(),
            "tid": tid,
            "users": [buyer.account.address, seller.account.address],
        }
        book.trades.append(trade)
        self.block.add_trade(trade)
        if not maker.lots:
            maker.account.unseat(maker)
            self._set_status(maker, "filled", 0)
        if not market.is_spot:
            for account in (taker.account, maker.account):
                if account.reduce_only:
                    self._trim_reduce_only(account, book)

    def _fill(self, order: Order, px_e8: int, lots: int, ntl_e8: int, crossed: bool, tid: int, book: Book) -> None:
        """Move the money of one side of a trade, and write its row."""
        account, market = order.account, order.market
        order.filled_lots += lots
        order.filled_ntl_e8 += ntl_e8
        account.volume_e8 += ntl_e8
        if market.is_spot:
            start, kind, profit, fee_token, fee_wei = self._settle_spot(order, lots, ntl_e8, crossed)
            fee, closed = text(fee_wei, fee_token.wei_decimals), text(profit, 8)
        else:
            fee_token = USDC
            fee_wei = ntl_e8 * PERP_FEES[not crossed] // FEE_SCALE // 100 * 100  # truncated to 6 decimals
            position = account.position(book)
            before = position.lots
            profit = position.apply_trade(order.is_buy, px_e8, lots)
            account.cash_e8 -= (ntl_e8 if order.is_buy else -ntl_e8) + fee_wei
            start, kind = market.sz_text(before), _direction(before, position.lots, order.is_buy)
            fee, closed = text(fee_wei, 8), text(half_even(profit, 100), 6)
        account.pay_fee(fee_token.name, fee_wei)
        self.fees_wei[fee_token.name] += fee_wei
        if account.is_house:
            return
        row: dict[str, Any] = {
            "coin": market.coin,
            "px": market.px_text(px_e8),
            "sz": market.sz_text(lots),
            "side": order.side,
            "time": self.block.time_ms,
            "startPosition": start,
            "dir": kind,
            "closedPnl": closed,
            "hash": self.transaction_hash(),
            "oid": order.oid,
            "crossed": crossed,
            "fee": fee,
            "tid": tid,
        }
        if order.cloid is not None:
            row["cloid"] = order.cloid
        row["feeToken"] = fee_token.name
        row["twapId"] = None
        account.fills.append(row)
        self.block.add_fill(account, row)

    def _settle_spot(self, order: Order, lots: int, ntl_e8: int, crossed: bool) -> tuple[str, str, int, Any, int]:
        """Exchange base for USDC. A buy pays its fee in the base token, a sale in USDC."""
        account, token = order.account, order.market.base
        base, quote = account.balance(token.index), account.balance(USDC.index)
        wei = order.market.base_wei(lots)
        start = text(base.total_wei, token.wei_decimals)
        rate = SPOT_FEES[not crossed]
        if order.is_buy:
            fee = wei * rate // FEE_SCALE
            base.total_wei += wei - fee
            base.entry_ntl_e8 += ntl_e8
            quote.total_wei -= ntl_e8
            return start, "Buy", 0, token, fee
        fee = ntl_e8 * rate // FEE_SCALE
        entry = half_even(base.entry_ntl_e8 * wei, base.total_wei)
        base.total_wei -= wei
        base.entry_ntl_e8 -= entry
        quote.total_wei += ntl_e8 - fee
        return start, "Sell", ntl_e8 - entry, USDC, fee

    # -- resting, ending -------------------------------------------------------------------------------------------

    def _rest(self, order: Order, book: Book) -> None:
        if not order.filled_lots:
            self._set_status(order, "open", order.lots)
        book.add(order)
        order.account.seat(order)
        order.account.reserve(order, book, order.lots)
        if order.reduce_only:
            self._make_room(order, book)

    def _unrest(self, order: Order) -> None:
        book = self.books[order.market.asset]
        order.account.reserve(order, book, -order.lots)
        book.remove(order)
        order.account.unseat(order)

    def _fit_reduce_only(self, order: Order, book: Book) -> None:
        """A reduce-only order larger than the position is accepted and shrunk; origSz keeps the request."""
        order.lots = min(order.lots, abs(order.account.position(book).lots))

    def _make_room(self, newest: Order, book: Book) -> None:
        """Together they may not exceed the position: older reduce-only orders die when a newer one comes to rest."""
        room = abs(newest.account.position(book).lots)
        resting = newest.account.resting_reduce_only(book.market)
        total = sum(order.lots for order in resting)
        for oldest in reversed(resting):
            if total <= room:
                return
            total -= oldest.lots
            self.cancel(oldest, "reduceOnlyCanceled")

    def _trim_reduce_only(self, account: Account, book: Book) -> None:
        """Resting reduce-only orders follow a position that shrinks: the newest keep their size longest."""
        position = account.position(book).lots
        room = abs(position)
        for order in account.resting_reduce_only(book.market):
            if room == 0 or order.is_buy == (position > 0):
                self.cancel(order, "reduceOnlyCanceled")
            elif order.lots > room:
                book.reduce(order, order.lots - room)
                room = 0
            else:
                room -= order.lots

    def _reject(self, order: Order, status: str, refusal: str) -> dict[str, Any]:
        self.counters["rejects"] += 1
        self._set_status(order, status, order.lots)
        return {"error": f"{refusal} asset={order.market.asset}"}

    def _set_status(self, order: Order, status: str, lots: int) -> None:
        order.status, order.status_ms, order.status_lots = status, self.block.time_ms, lots
        if not order.account.is_house:
            row = {"order": order_row(order, lots), "status": status, "statusTimestamp": order.status_ms}
            self.block.add_order_row(order.account, row)

    def _answer(self, order: Order) -> dict[str, Any]:
        market = order.market
        if not order.filled_lots:
            entry: dict[str, Any] = {"oid": order.oid}
            kind = "resting"
        else:
            average = order.filled_ntl_e8 * 10**market.sz_decimals // order.filled_lots
            entry = {
                "totalSz": market.sz_text(order.filled_lots),
                "avgPx": market.px_text(average - average % market.px_step_e8),
                "oid": order.oid,
            }
            kind = "filled"
        if order.cloid is not None:
            entry["cloid"] = order.cloid
        return {kind: entry}

    def transaction_hash(self) -> str:
        if self._hash is None:
            self._hash = "0x" + _digest(f"{self._seed}:{self._transactions}", 32).hex()
        return self._hash


def _digest(what: str, size: int) -> bytes:
    return hashlib.blake2b(what.encode(), digest_size=size).digest()


def _direction(before: int, after: int, is_buy: bool) -> str:
    if before == 0 or (before > 0) == is_buy:
        return "Open Long" if is_buy else "Open Short"
    if after == 0 or (after > 0) == (before > 0):
        return "Close Short" if is_buy else "Close Long"
    return "Short > Long" if is_buy else "Long > Short"


# -- checks: each returns the venue's text without its " asset=N", or None -------------------------------------------


def _off_tick(order: Order, book: Book) -> str | None:
    return None if order.market.is_on_grid(order.px_e8) else "Price must be divisible by tick size."


def _not_reducing(order: Order, book: Book) -> str | None:
    if not order.reduce_only:
        return None
    lots = order.account.position(book).lots
    return "Reduce only order would increase position." if lots == 0 or (lots > 0) == order.is_buy else None


def _too_small(order: Order, book: Book) -> str | None:
    """Closing the whole position is exempt. An order that trades at once counts at the price that it meets first."""
    level = None if order.rests else book.touch(order.is_buy, order.px_e8)
    px_e8 = order.px_e8 if level is None else level.px_e8
    if order.market.ntl_e8(px_e8, order.lots) >= MIN_NTL_E8:
        return None
    if not order.market.is_spot:
        lots = order.account.position(book).lots
        closes = lots and (lots > 0) != order.is_buy
        if closes and (order.lots == abs(lots) or (order.reduce_only and order.lots > abs(lots))):
            return None
    return order.market.minimum_text


def _too_many_open(order: Order, book: Book) -> str | None:
    return "Too many open orders" if order.rests and len(order.account.open) >= MAX_OPEN_ORDERS else None


def _post_only_crosses(order: Order, book: Book) -> str | None:
    if order.tif != "Alo" or book.touch(order.is_buy, order.px_e8) is None:
        return None
    bid, ask = (short(level.px_e8, 8) if level else "0" for level in (book.bids.best, book.asks.best))
    return f"Post only order would have immediately matched, bbo was {bid} @ {ask}."


def _market_without_book(order: Order, book: Book) -> str | None:
    if order.tif == "FrontendMarket" and not book.opposite(order.is_buy):
        return "No liquidity available for market order."
    return None


def _without_margin(order: Order, book: Book) -> str | None:
    if order.market.is_spot or order.reduce_only:
        return None
    ntl_e8 = order.market.ntl_e8(order.px_e8, order.lots)
    affordable = order.account.can_open(order.account.position(book), order.is_buy, ntl_e8)
    return None if affordable else "Insufficient margin to place order."


def _without_balance(order: Order, book: Book) -> str | None:
    if not order.market.is_spot:
        return None
    if order.is_buy:
        covered = order.account.balance(USDC.index).free_wei >= order.market.ntl_e8(order.px_e8, order.lots)
    else:
        covered = order.account.balance(order.market.base.index).free_wei >= order.market.base_wei(order.lots)
    return None if covered else "Insufficient spot balance"


CHECKS: tuple[tuple[str, Callable[[Order, Book], str | None]], ...] = (
    ("tickRejected", _off_tick),
    ("reduceOnlyRejected", _not_reducing),
    ("minTradeNtlRejected", _too_small),
    ("tooManyOpenOrdersRejected", _too_many_open),
    ("badAloPxRejected", _post_only_crosses),
    ("marketOrderNoLiquidityRejected", _market_without_book),
    ("perpMarginRejected", _without_margin),
    ("insufficientSpotBalanceRejected", _without_balance),
)
