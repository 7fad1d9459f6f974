"""PaperMatcher: orders that no venue ever sees, filled against somebody else's book (layer 1, cold).

The rule, all of it:

* On arrival an order takes what the book displays, from the touch to its limit, each level at its price (taker).
  `Alo` that would take is refused; what `Ioc` leaves is cancelled; the rest of `Gtc` and `Alo` rests.
* A resting order fills at its own price (maker) when the opposite touch reaches it, up to the displayed size there. The
  size that one frame displays is shared by the resting orders, best price first, then oldest.
* Public trades fill nothing. The book does not notice paper orders: no queue, no impact, and what was taken is displayed
  again by the next frame. This flatters whoever takes large sizes, and ignores fills that a queue would have given.
* `reduce_only` fills up to the position and is then cancelled. There is no margin, no funding and no liquidation.

What happens is told through the tracker, as a venue's news would be. Lots and prices are scaled integers.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hlfast import clock
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.types import OrderState

Levels = list[tuple[int, int]]


class PaperMatcher:
    """Resting orders by coin. `held_lots(coin)`: the signed position; fees in basis points of the value."""

    def __init__(
        self,
        tracker: ClientOrderTracker,
        held_lots: Callable[[str], int],
        *,
        taker_fee_bps: Decimal = Decimal("4.5"),
        maker_fee_bps: Decimal = Decimal("1.5"),
    ) -> None:
        self.fills = 0
        self._tracker, self._held_lots = tracker, held_lots
        self._taker_fee, self._maker_fee = taker_fee_bps / 10_000, maker_fee_bps / 10_000
        self._resting: dict[str, list[InFlightOrder]] = {}
        self._ids = 0

    def arrive(self, order: InFlightOrder, book: OrderBook, bbo: Bbo) -> None:
        """`order` has reached the matcher: acknowledged, refused or filled."""
        opposite = displayed(book, bbo, not order.is_buy)
        reach = _within(opposite, order.px_e8, order.is_buy)
        if order.tif == "Alo" and reach:
            self._tracker.reject(order, "paper: badAloPxRejected: it would have taken")
            return
        if order.tif == "Ioc" and not reach:
            self._tracker.reject(order, "paper: iocCancelRejected: nothing to take within its limit")
            return
        self._ids += 1
        self._tracker.acknowledge(order, self._ids)
        self._take(order, reach, None)
        if order.is_done:
            return
        if order.tif == "Ioc":
            self._end(order, "iocCancel: the displayed size within its limit was taken")
        elif not self._spent(order):
            self._rest(order)

    def cancel(self, order: InFlightOrder) -> None:
        """A request to cancel has arrived."""
        if order.is_done:
            return
        self._leave(order)
        self._end(order, "canceled")

    def change(self, order: InFlightOrder, px_e8: int, book: OrderBook, bbo: Bbo) -> None:
        """A request to modify has arrived: a new oid, at the end of the line; it may take at once."""
        if order.is_done:
            return
        self._leave(order)
        reach = _within(displayed(book, bbo, not order.is_buy), px_e8, order.is_buy)
        if order.tif == "Alo" and reach:
            self._tracker.modify_refused(order, "paper: badAloPxRejected: it would have taken")
            self._rest(order)
            return
        self._ids += 1
        self._tracker.modify_accepted(order, self._ids)
        self._take(order, reach, None)
        if not order.is_done and not self._spent(order):
            self._rest(order)

    def on_market(self, book: OrderBook, bbo: Bbo) -> None:
        """A frame changed the book or the best prices of a coin: fill what rests within reach."""
        resting = self._resting.get(book.coin)
        if not resting:
            return
        for is_buy in (True, False):
            side = [order for order in resting if order.is_buy is is_buy]
            if not side:
                continue
            left = [list(level) for level in displayed(book, bbo, not is_buy)]
            for order in sorted(side, key=lambda o: -o.px_e8 if o.is_buy else o.px_e8):  # stable: then oldest
                reach = _within([(px, lots) for px, lots in left], order.px_e8, is_buy)
                if not reach:
                    break
                taken = self._take(order, reach, order.px_e8)
                for level in left:
                    used = min(level[1], taken)
                    level[1] -= used
                    taken -= used
                if order.is_done or self._spent(order):
                    self._leave(order)

    # -- one order --------------------------------------------------------------------------------------------------
    def _take(self, order: InFlightOrder, reach: Levels, own_px_e8: int | None) -> int:
        """Fill from `reach`, each level at its price, or all at `own_px_e8` as a maker. Returns the lots filled."""
        taken = 0
        wanted = order.remaining_lots
        if order.reduce_only:
            wanted = min(wanted, self._reducible(order))
        for px_e8, lots in reach:
            size = min(lots, wanted - taken)
            if size <= 0:
                break
            taken += size
            if own_px_e8 is None:
                self._fill(order, px_e8, size, True)
        if own_px_e8 is not None and taken:
            self._fill(order, own_px_e8, taken, False)
        return taken

    def _fill(self, order: InFlightOrder, px_e8: int, lots: int, is_taker: bool) -> None:
        self.fills += 1
        price, size = Decimal(px_e8).scaleb(-8).normalize(), Decimal(lots).scaleb(-order.sz_decimals)
        fee = price * size * (self._taker_fee if is_taker else self._maker_fee)
        now_ns = clock.epoch_ns()
        self._tracker.process_trade_update(
            TradeUpdate(
                coin=order.coin,
                tid=self.fills,
                exchange_order_id=order.exchange_order_id,
                cloid=order.cloid,
                price=price,
                amount=size,
                sz_decimals=order.sz_decimals,
                is_buy=order.is_buy,
                is_taker=is_taker,
                fee=fee.quantize(Decimal("0.000001")),
                time_ms=now_ns // 1_000_000,
                recv_ns=now_ns,
            )
        )

    def _reducible(self, order: InFlightOrder) -> int:
        held = self._held_lots(order.coin)
        return max(0, -held if order.is_buy else held)

    def _spent(self, order: InFlightOrder) -> bool:
        """A reduce-only order without anything to reduce is cancelled."""
        if order.reduce_only and not self._reducible(order):
            self._end(order, "reduceOnlyCanceled")
        return order.is_done

    def _end(self, order: InFlightOrder, reason: str) -> None:
        now_ns = clock.epoch_ns()
        self._tracker.process_order_update(
            OrderUpdate(
                client_order_id=order.client_order_id,
                new_state=OrderState.CANCELLED,
                status="canceled",
                reason=f"paper: {reason}",
                time_ms=now_ns // 1_000_000,
                recv_ns=now_ns,
            )
        )

    def _rest(self, order: InFlightOrder) -> None:
        self._resting.setdefault(order.coin, []).append(order)

    def _leave(self, order: InFlightOrder) -> None:
        resting = self._resting.get(order.coin, [])
        if order in resting:
            self._resting[order.coin] = [other for other in resting if other is not order]


def displayed(book: OrderBook, bbo: Bbo, bids: bool) -> Levels:
    """One side as (price, lots), best first: the book's levels, under the best price where the bbo is newer. A stale book
    displays nothing."""
    if book.is_stale:
        return []
    levels = [(px, lots) for px, lots, _ in book.levels()[0 if bids else 1]]
    if bbo.recv_ns <= book.recv_ns:
        return levels
    px, lots = (bbo.bid_px_e8, bbo.bid_lots) if bids else (bbo.ask_px_e8, bbo.ask_lots)
    if not px:
        return []
    return [(px, lots), *(level for level in levels if (level[0] < px if bids else level[0] > px))]


def _within(levels: Levels, px_e8: int, is_buy: bool) -> Levels:
    return [(px, lots) for px, lots in levels if lots > 0 and (px <= px_e8 if is_buy else px >= px_e8)]
