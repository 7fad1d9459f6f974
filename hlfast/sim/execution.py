"""Order entry of the local exchange (layer 5): the venue's checks and texts, matching, fills, and what follows.

One order goes: oid -> checks in CHECKS' order (the first that fails names the status and the text; a rejected order
has an oid and a row too) -> match, at the resting order's price -> rest or end. Answers are the venue's status entries.
An order with a trigger waits instead (`triggers`), and goes the rest of that way when it fires.

What must hold: a GTC that trades in part answers `filled` and rests under its oid; an IOC's remainder leaves no row;
the resting order dies in a self-trade; a reduce-only order never flips a position, and resting ones shrink with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from hlfast.sim.account import Account
from hlfast.sim.block import Block
from hlfast.sim.checks import (
    CHECKS,
    CHILD_CHECKS,
    FIRED_CHECKS,
    POSITION_CHECKS,
    SLICE_CHECKS,
    WAITING_CHECKS,
    Checks,
)
from hlfast.sim.fees import DAY_MS, perp_fee_e8
from hlfast.sim.markets import Market, Token
from hlfast.sim.matching import Book, Order, Trigger
from hlfast.sim.numbers import E8, half_even, text
from hlfast.sim.purse import PerpPosition
from hlfast.sim.rows import order_row
from hlfast.sim.triggers import Family, Triggers
from hlfast.sim.universe import Universe

FIRST_OID = 500_000_000_000
NEVER_PLACED = "Order was never placed, already canceled, or filled."
NO_HASH = "0x" + "0" * 64
"""Of what no user's action did."""
QUIET_ENDS = ("canceled", "reduceOnlyCanceled")
"""Cancels of which the venue sends no nonUserCancel."""


@dataclass(frozen=True)
class Ticket:
    """One order as asked for. An order with a trigger has no tif until it fires."""

    market: Market
    is_buy: bool
    px_e8: int
    lots: int
    tif: str = "Gtc"
    reduce_only: bool = False
    cloid: str | None = None
    trigger: Trigger | None = None
    builder: tuple[Account, int] | None = None
    """Whose software sent it, and the fee for that in tenths of a basis point."""


class Execution:
    """The books, and everything that changes them. `block` collects what is to be told; the exchange sets it."""

    def __init__(self, seed: int, universe: Universe) -> None:
        self.books = {market.asset: Book(market) for market in universe.markets}
        self.by_coin = {book.market.coin: book for book in self.books.values()}
        self.block = Block(0, 0)
        self.triggers = Triggers(self)
        self.fees_wei = {token.name: 0 for token in universe.all_tokens.values()}
        self.rounding_e8: dict[str, int] = {}
        """What funding's rounding leaves over, in 1e-8 of each collateral token."""
        self.deployers: dict[str, tuple[Account, tuple[int, int]]] = {}
        """Of each builder dex: who gets its share of the fees, and the share as a fraction."""
        self.counters = {"orders": 0, "rejects": 0, "cancels": 0, "trades": 0}
        self._seed = seed
        self._oid = FIRST_OID
        self._transactions = 0
        self._hash: str | None = None
        self._liquidation: tuple[Account, bool, dict[str, Any]] | None = None
        """Whose liquidation is being executed, whether it is cross, and what its fills say."""

    # -- what callers ask for --------------------------------------------------------------------------------------

    def begin_transaction(self) -> None:
        """All fills until the next call carry one hash."""
        self._transactions += 1
        self._hash = None

    def place(self, account: Account, ticket: Ticket) -> dict[str, Any]:
        """Place one order; returns its status entry: `resting`, `filled` or `error`."""
        return self._enter(self._new(account, ticket))

    def place_bracket(self, account: Account, tickets: list[Ticket]) -> list[Any]:
        """normalTpsl: a parent, and children that wait for its whole fill."""
        parent = self._new(account, tickets[0])
        answers: list[Any] = [self._enter(parent)]
        if "error" in answers[0]:
            return answers * len(tickets)
        children = []
        for ticket in tickets[1:]:
            child = self._new(account, ticket)
            refusal = self._wait(child, "fill", CHILD_CHECKS)
            if refusal is None:
                children.append(child)
            answers.append(refusal or ("waitingForFill" if parent.oid in account.open else "waitingForTrigger"))
        Family(parent, children)
        if parent.oid not in account.open:
            self.triggers.on_filled(parent)
        return answers

    def place_position_tpsl(self, account: Account, tickets: list[Ticket]) -> list[Any]:
        """positionTpsl: triggers that end with the position; without a size they take all of it."""
        answers: list[Any] = []
        placed = []
        for ticket in tickets:
            order = self._new(account, ticket)
            order.is_position_bound = True
            refusal = self._wait(order, "trigger", POSITION_CHECKS)
            if refusal is None:
                placed.append(order)
            answers.append(refusal or "waitingForTrigger")
        Family(None, placed)
        return answers

    def cancel(self, order: Order, status: str = "canceled") -> None:
        """Take an open order out. Ends that its user did not ask for are told on `user` as nonUserCancel too."""
        self._unrest(order)
        self.counters["cancels"] += 1
        self._set_status(order, status, order.lots)
        if status not in QUIET_ENDS and not order.account.is_house:
            self.block.add_non_user_cancel(order.account, order.market.coin, order.oid)
        self.triggers.on_ended(order, status)

    def fire(self, order: Order) -> None:
        """The mark has reached a waiting order's trigger: it becomes an IOC or a GTC now."""
        book = self.books[order.market.asset]
        self._unrest(order)
        assert order.trigger is not None
        order.tif = "Ioc" if order.trigger.is_market else "Gtc"
        if order.is_position_bound and not order.lots:
            order.lots = order.orig_lots = abs(order.account.position(book).lots)
        self.begin_transaction()
        self._set_status(order, "triggered", order.lots)
        if self._refused(order, book, FIRED_CHECKS) is None:
            self._execute(order, book)

    def place_slice(self, account: Account, ticket: Ticket, twap: int) -> tuple[str, int, int]:
        """A slice of a TWAP: why it was refused (or ""), what of it was filled, and the value of that."""
        self.begin_transaction()
        self._hash = NO_HASH
        order = self._new(account, ticket)
        order.twap = twap
        book = self.books[order.market.asset]
        entry = self._refused(order, book, SLICE_CHECKS)
        if entry is None:
            self._execute(order, book)
        refusal = "" if entry is None else str(entry["error"]).partition(" asset=")[0]
        return refusal, order.filled_lots, order.filled_ntl_e8

    def liquidate(self, account: Account, position: PerpPosition, ticket: Ticket) -> None:
        """A liquidation's market order: no checks, no fee; what the book does not take is left."""
        self.begin_transaction()
        self._liquidation = (account, position.is_cross, self._liquidation_note(account, position, "market"))
        try:
            self._execute(self._new(account, ticket), position.book)
        finally:
            self._liquidation = None

    def take_over(self, liquidator: Account, account: Account, position: PerpPosition) -> None:
        """The backstop takes a position at mark with its margin; no book, no fee."""
        book, lots, is_cross = position.book, position.lots, position.is_cross
        market = book.market
        equity_e8 = position.equity_e8
        self.begin_transaction()
        note = self._liquidation_note(account, position, "backstop")
        self._liquidation = (account, is_cross, note)
        px_e8, is_buy = book.mark_e8, lots < 0
        ticket = Ticket(book.market, is_buy, px_e8, abs(lots), "LiquidationMarket", True)
        order = self._new(account, ticket)
        other = self._new(liquidator, Ticket(book.market, not is_buy, px_e8, abs(lots), "LiquidationMarket"))
        order.lots = other.lots = 0
        tid = _tid(order, other)
        for side in (order, other):
            self._fill(side, px_e8, abs(lots), book.market.ntl_e8(px_e8, abs(lots)), True, tid, book)
        self._liquidation = None
        if not is_cross:
            account.move(market.dex, market.quote.index, -equity_e8)
            liquidator.purse(market.dex).cash_e8 += equity_e8
        self._set_status(order, "filled", 0)
        self._follow(account, book, None)

    # -- entry -----------------------------------------------------------------------------------------------------

    def _new(self, account: Account, ticket: Ticket) -> Order:
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
            ticket.trigger,
        )
        order.builder = ticket.builder
        if not account.is_house:
            account.orders[order.oid] = order
            if order.cloid is not None:
                account.by_cloid[order.cloid] = order
        return order

    def _enter(self, order: Order) -> dict[str, Any]:
        if order.trigger is not None:
            return self._wait(order, "trigger", WAITING_CHECKS) or _named("resting", {"oid": order.oid}, order)
        book = self.books[order.market.asset]
        return self._refused(order, book, CHECKS) or self._execute(order, book)

    def _refused(self, order: Order, book: Book, checks: Checks) -> dict[str, Any] | None:
        """The error entry of the first check that fails."""
        for status, check in checks:
            refusal = check(order, book)
            if refusal is not None:
                return self._reject(order, status, refusal)
        return None

    def _wait(self, order: Order, what: str, checks: Checks) -> dict[str, Any] | None:
        """Let an order wait for its parent or its trigger; returns its error entry if it may not."""
        refusal = self._refused(order, self.books[order.market.asset], checks)
        if refusal is not None:
            return refusal
        order.waits = what
        if what == "trigger":
            self.triggers.arm(order)
        order.account.seat(order)
        self._set_status(order, "open", order.lots)
        return None

    def _execute(self, order: Order, book: Book) -> dict[str, Any]:
        """Match what crosses, then rest or end."""
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
            self.triggers.on_filled(order)
        return self._answer(order)

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
            market = order.market
            if not market.is_spot:
                position = maker.account.position(book)
                if not maker.account.purse(market.dex).can_carry(position, maker.is_buy, maker.px_e8, lots):
                    self.cancel(maker, "marginCanceled")
                    continue
            if not order.filled_lots and order.trigger is None:
                self._set_status(order, "open", order.lots)
            self._trade(order, maker, lots, book)

    def _trade(self, taker: Order, maker: Order, lots: int, book: Book) -> None:
        market, px_e8 = book.market, maker.px_e8
        ntl_e8 = market.ntl_e8(px_e8, lots)
        maker.account.reserve(maker, book, -lots)
        book.reduce(maker, lots)
        taker.lots -= lots
        buyer, seller = (taker, maker) if taker.is_buy else (maker, taker)
        tid = _tid(buyer, seller)
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
        book.candles.add(self.block.time_ms, px_e8, lots)
        self.block.add_trade(trade)
        if not maker.lots:
            maker.account.unseat(maker)
            self._set_status(maker, "filled", 0)
            self.triggers.on_filled(maker)
        if not market.is_spot:
            for order in (taker, maker):
                self._follow(order.account, book, order.family)

    def _follow(self, account: Account, book: Book, by: Family | None) -> None:
        """What hangs on a position that has just changed."""
        if account.reduce_only:
            self._trim_reduce_only(account, book)
        if account.bound:
            self.triggers.follow_position(account, book, by)

    def _fill(self, order: Order, px_e8: int, lots: int, ntl_e8: int, crossed: bool, tid: int, book: Book) -> None:
        """Move the money of one side of a trade, and write its row."""
        account, market = order.account, order.market
        note = self._liquidation
        is_liquidated = note is not None and note[0] is account
        order.filled_lots += lots
        order.filled_ntl_e8 += ntl_e8
        account.volume_e8 += ntl_e8
        day = self.block.time_ms // DAY_MS
        account.fee_rates.volumes.add(day, market.is_spot, crossed, ntl_e8)
        rate_e8 = account.fee_rates.charged(day, market.is_spot, crossed)
        rate_e8 = rate_e8 * market.fee_percent // 100 if rate_e8 > 0 else rate_e8
        fee_token, builder_wei = market.quote, _builder_fee_e8(order, ntl_e8)
        if market.is_spot:
            start, kind, profit, fee_token, fee_wei = self._settle_spot(order, lots, ntl_e8, rate_e8)
            account.balance(market.quote.index).total_wei -= builder_wei
            fee, closed = text(fee_wei + builder_wei, fee_token.wei_decimals), text(profit, 8)
        else:
            is_free = is_liquidated or order.tif == "LiquidationMarket"
            fee_wei = 0 if is_free else perp_fee_e8(ntl_e8, rate_e8)
            builder_wei *= not is_free
            position = account.position(book)
            before = position.lots
            profit = account.purse(market.dex).settle(position, order.is_buy, px_e8, lots, fee_wei + builder_wei)
            start, kind = market.sz_text(before), _direction(before, position.lots, order.is_buy)
            if is_liquidated and note is not None:
                kind = f"Liquidated {'Cross' if note[1] else 'Isolated'} {'Long' if before > 0 else 'Short'}"
            fee, closed = text(fee_wei + builder_wei, 8), text(half_even(profit, 100), 6)
        account.pay_fee(fee_token.name, fee_wei + builder_wei)
        if order.builder is not None and builder_wei:
            order.builder[0].move("spot" if market.is_spot else market.dex, market.quote.index, builder_wei)
        self.fees_wei[fee_token.name] += fee_wei - self._pay_deployer(market, fee_wei)
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
        row["twapId"] = order.twap
        if builder_wei:
            row["builderFee"] = text(builder_wei, 8)
        if note is not None:
            row["liquidation"] = note[2]
        account.fills.append(row)
        self.block.add_fill(account, row)
        if order.twap is not None:
            account.twap_fills.append({"fill": row, "twapId": order.twap})
            self.block.add_twap_fill(account, account.twap_fills[-1])

    def _pay_deployer(self, market: Market, fee_wei: int) -> int:
        """A builder dex's deployer has a share of each fee."""
        if not market.dex or fee_wei <= 0:
            return 0
        deployer, (part, of) = self.deployers[market.dex]
        share_wei = fee_wei * part // of
        deployer.purse(market.dex).cash_e8 += share_wei
        return share_wei

    def book_settlement(self, account: Account, book: Book, lots: int, px_e8: int, paid_e8: int) -> None:
        """Tokens of an outcome become USDC; told as a fill."""
        market = book.market
        balance, start = account.balance(market.base.index), market.sz_text(lots)
        entry_e8 = balance.entry_ntl_e8
        balance.total_wei = balance.entry_ntl_e8 = 0
        account.balance(market.quote.index).total_wei += paid_e8
        self.block.touched.add(account.address)
        if account.is_house:
            return
        row = {
            "coin": market.coin,
            "px": market.px_text(px_e8),
            "sz": start,
            "side": "A",
            "time": self.block.time_ms,
            "startPosition": start,
            "dir": "Settlement",
            "closedPnl": text(paid_e8 - entry_e8, 8),
            "hash": NO_HASH,
            "oid": 0,
            "crossed": False,
            "fee": "0.0",
            "tid": 0,
            "feeToken": market.quote.name,
            "twapId": None,
        }
        account.fills.append(row)
        self.block.add_fill(account, row)

    def _settle_spot(self, order: Order, lots: int, ntl_e8: int, rate_e8: int) -> tuple[str, str, int, Token, int]:
        """Exchange base for quote. A buy pays its fee in the base token, a sale in the quote token."""
        account, token, paid_in = order.account, order.market.base, order.market.quote
        base, quote = account.balance(token.index), account.balance(paid_in.index)
        wei = order.market.base_wei(lots)
        start = text(base.total_wei, token.wei_decimals)
        if order.is_buy:
            fee = 0 if order.market.is_outcome else wei * rate_e8 // E8
            base.total_wei += wei - fee
            base.entry_ntl_e8 += ntl_e8
            quote.total_wei -= ntl_e8
            return start, "Buy", 0, token, fee
        fee = ntl_e8 * rate_e8 // E8
        entry = half_even(base.entry_ntl_e8 * wei, base.total_wei)
        base.total_wei -= wei
        base.entry_ntl_e8 -= entry
        quote.total_wei += ntl_e8 - fee
        return start, "Sell", ntl_e8 - entry, paid_in, fee

    def _liquidation_note(self, account: Account, position: PerpPosition, method: str) -> dict[str, Any]:
        mark = position.book.market.px_text(position.book.mark_e8)
        return {"liquidatedUser": account.address, "markPx": mark, "method": method}

    # -- resting, ending -------------------------------------------------------------------------------------------

    def _rest(self, order: Order, book: Book) -> None:
        if not order.filled_lots and order.trigger is None:
            self._set_status(order, "open", order.lots)
        book.add(order)
        order.account.seat(order)
        order.account.reserve(order, book, order.lots)
        if order.reduce_only:
            self._make_room(order, book)

    def _unrest(self, order: Order) -> None:
        if order.waits:
            self.triggers.disarm(order)
            order.account.unseat(order)
            return
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
        return _named(kind, entry, order)

    def transaction_hash(self) -> str:
        if self._hash is None:
            self._hash = "0x" + _digest(f"{self._seed}:{self._transactions}", 32).hex()
        return self._hash


def _named(kind: str, entry: dict[str, Any], order: Order) -> dict[str, Any]:
    """A status entry, which has the cloid if the order has one."""
    if order.cloid is not None:
        entry["cloid"] = order.cloid
    return {kind: entry}


def _builder_fee_e8(order: Order, ntl_e8: int) -> int:
    """Tenths of a basis point of the value, truncated to 6 decimals; none on spot buys, whose fee is in the base token."""
    if order.builder is None or (order.market.is_spot and order.is_buy):
        return 0
    return ntl_e8 * order.builder[1] // 100_000 // 100 * 100


def _tid(buyer: Order, seller: Order) -> int:
    """50 bits of both oids, as the venue's: alike for one pair of orders in all their trades."""
    return int.from_bytes(_digest(f"{buyer.oid}:{seller.oid}", 8), "big") >> 14


def _digest(what: str, size: int) -> bytes:
    return hashlib.blake2b(what.encode(), digest_size=size).digest()


def _direction(before: int, after: int, is_buy: bool) -> str:
    if before == 0 or (before > 0) == is_buy:
        return "Open Long" if is_buy else "Open Short"
    if after == 0 or (after > 0) == (before > 0):
        return "Close Short" if is_buy else "Close Long"
    return "Short > Long" if is_buy else "Long > Short"
