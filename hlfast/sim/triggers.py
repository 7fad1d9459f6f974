"""Orders that wait (local exchange, layer 5): stops and take profits on the mark price, and their families.

An order with a trigger is open without being in the book and holds nothing. `Family` joins a parent with its children
(`normalTpsl`: they wait for its whole fill, then for their triggers, and end with it), or the orders of one
`positionTpsl`; children are each other's siblings: once one is filled, the others end as `siblingFilledCanceled`.

Chosen where the venue's rule is not measured: a child whose parent fills in part as an IOC is armed; a take profit that
rests as a limit order ends its siblings when it is filled in whole; reduce-only is checked when an order fires, except
that `positionTpsl` needs a position to begin with and ends with it (`reduceOnlyCanceled`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hlfast.sim.account import Account
from hlfast.sim.matching import Book, Order

if TYPE_CHECKING:
    from hlfast.sim.execution import Execution


class Family:
    """`parent` is None for the orders of one positionTpsl."""

    def __init__(self, parent: Order | None, children: list[Order]) -> None:
        self.parent = parent
        self.children = children
        for order in (*children, *(() if parent is None else (parent,))):
            order.family = self


class Triggers:
    """All orders that wait, by market and oid."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._armed: dict[int, dict[int, Order]] = {}

    def __len__(self) -> int:
        return sum(len(armed) for armed in self._armed.values())

    def arm(self, order: Order) -> None:
        """From now on the mark may fire it."""
        order.waits = "trigger"
        self._armed.setdefault(order.market.asset, {})[order.oid] = order

    def disarm(self, order: Order) -> None:
        armed = self._armed.get(order.market.asset)
        if armed is not None and armed.pop(order.oid, None) is not None and not armed:
            del self._armed[order.market.asset]
        order.waits = ""

    def fire(self) -> None:
        """Execute every order whose mark has come, oldest first; one that ends another is asked before it."""
        for asset, armed in list(self._armed.items()):
            book = self._execution.books[asset]
            hits = [o for o in armed.values() if o.trigger and o.trigger.is_met(o.is_buy, book.mark_e8)]
            for order in sorted(hits, key=lambda order: order.oid):
                if order.waits:
                    self._execution.fire(order)

    # -- families --------------------------------------------------------------------------------------------------

    def on_filled(self, order: Order) -> None:
        """A parent wakes its children, a child ends its siblings."""
        family = order.family
        if family is None:
            return
        if order is family.parent:
            for child in family.children:
                if child.waits == "fill":
                    self.arm(child)
            return
        for sibling in family.children:
            if sibling is not order and sibling.oid in sibling.account.open:
                self._execution.cancel(sibling, "siblingFilledCanceled")

    def on_ended(self, order: Order, status: str) -> None:
        """A parent that ends otherwise takes its waiting children with it; one out of margin after a part fill not."""
        family = order.family
        if family is None or order is not family.parent:
            return
        is_kept = status == "marginCanceled" and order.filled_lots > 0
        for child in family.children:
            if child.waits == "fill":
                if is_kept:
                    self.arm(child)
                else:
                    self._execution.cancel(child, status)

    def follow_position(self, account: Account, book: Book, by: Family | None) -> None:
        """Orders bound to a position end when it closes or turns; `by` is the family of the order that did it."""
        lots = account.position(book).lots
        for order in list(account.bound.values()):
            if order.market is book.market and order.waits and (lots == 0 or order.is_buy == (lots > 0)):
                is_sibling = by is not None and order.family is by
                self._execution.cancel(order, "siblingFilledCanceled" if is_sibling else "reduceOnlyCanceled")
