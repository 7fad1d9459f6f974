"""The judge: what a connector believes and tells of its orders, compared with the local exchange's own record.

    judge = Judge(hl, exchange)
    order = judge.own(hl.buy("BTC", "0.001", "50000"))
    judge.at_once()       # what must hold at any moment, whatever is under way: a list of differences
    judge.settled()       # what must hold once all doubts are settled: everything, to the last decimal

Both return sentences, none if all is well. Every event is checked in its place: created before filled, fills before the
end, one end, nothing after it but late fills (G2-G5).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.engine.audit import differences
from hlfast.types import OrderState
from hlfast.venues.hyperliquid.connector import HyperliquidConnector

S = OrderState
ENDS = {
    "OrderCompleted": S.FILLED,
    "OrderCancelled": S.CANCELLED,
    "OrderFailed": S.FAILED,
    "OrderExpired": S.EXPIRED,
}
NEVER_LIVED = (S.FAILED, S.EXPIRED)
RESTING = ("open", "triggered")
PNL_OFF_A_FILL = Decimal("0.000001")
Leg = dict[str, Any]


class Judge:
    """One connector's orders against one exchange's record. `own` what is to be judged; `forget` what has been."""

    def __init__(self, hl: HyperliquidConnector, exchange: Any, figures: Callable[..., Any] | None = None) -> None:
        self._hl, self._exchange = hl, exchange
        self._figures = figures or (lambda hl: hl.ledger)
        self._closed_pnl = Decimal(0)
        self._known_fills: set[tuple[Any, ...]] = set()
        self.pnl_off_a_fill = 0.0
        self.orders: list[InFlightOrder] = []
        self.told: dict[str, list[str]] = {}
        """By client order id: the names of its events, "late" after a fill that came after the end."""
        self.recovered = 0
        hl.on(ev.OrderEvent, self._hear)

    def own(self, order: InFlightOrder) -> InFlightOrder:
        self.orders.append(order)
        return order

    def own_all(self, orders: Iterable[InFlightOrder]) -> None:
        self.orders.extend(orders)

    def forget(self) -> None:
        self.orders.clear()
        self.told.clear()

    def _hear(self, event: Any) -> None:
        if isinstance(event, ev.OrderStateChanged) or event.order.is_external:
            return
        told = self.told.setdefault(event.client_order_id, [])
        told.append(type(event).__name__)
        if isinstance(event, ev.OrderFilled) and event.is_late:
            told.append("late")
        self.recovered += event.recovered

    # -- at any moment ----------------------------------------------------------------------------------------------
    def at_once(self) -> list[str]:
        """What no fault and no delay excuses."""
        record = self._exchange.truth(self._hl.account)
        legs = _legs(record)
        found = []
        doubts = {order.client_order_id for order in self._hl.tracker.orders_to_ask_about}
        for order in self.orders:
            text = self._at_once(order, legs.get(order.cloid or "", []), order.client_order_id in doubts)
            if text:
                found.append(f"{order!r}: {text}")
        ours, theirs = Counter(self._hl.ledger["fill_keys"]), Counter(_fills(record))
        if ours - theirs:
            found.append(f"booked what the exchange has not filled, or twice: {ours - theirs}")
        return found

    def _at_once(self, order: InFlightOrder, legs: list[Leg], is_doubted: bool) -> str:
        if order.state in NEVER_LIVED and (lived := _lived(legs)):
            return f"called {order.state.name}, but the exchange has had it: {[leg['status'] for leg in lived]}"
        if order.filled_amount > _filled(legs):
            return f"filled {order.filled_amount}, the exchange's {_filled(legs)}"
        told = self.told.get(order.client_order_id, [])
        ended = any(name in ENDS for name in told)
        if ended and not is_doubted and any(leg["status"] in RESTING for leg in legs):
            return "its end was told, nobody asks about it, and it rests at the exchange"
        return _sequence(told)

    # -- when all is settled ----------------------------------------------------------------------------------------
    def unsettled(self) -> list[str]:
        """What the connector itself is not sure of yet."""
        hl = self._hl
        if not hl.is_connected:
            return [f"not connected: {hl!r}"]
        names = {order.client_order_id for order in hl.tracker.orders_to_ask_about}
        return [
            repr(order)
            for order in self.orders
            if order.unresolved
            or order.modify_pending
            or order.client_order_id in names
            or order.state in (S.PENDING_CREATE, S.PENDING_SUBMIT, S.PENDING_CANCEL)
            or (order.is_done and not any(name in ENDS for name in self.told.get(order.client_order_id, ())))
        ]

    def settled(self) -> list[str]:
        """Orders, events, fills, cash, fees and positions: nothing is under way any more, so all must agree."""
        found = []
        record = self._exchange.truth(self._hl.account)
        figures = self._figures(self._hl)
        # Orders that rest are looked at one by one below.
        found += [str(one) for one in differences(figures, record) if one.kind != "order"]
        funding = Decimal(record["funding"])
        if figures["funding"] != funding:
            found.append(f"funding: ours {figures['funding']}, the exchange's {funding}")
        found += self._pnl(figures, record)
        theirs = {coin: Decimal(p["szi"]) for coin, p in record["positions"].items()}
        ours = {coin: p.signed_size for coin, p in self._hl.positions.items() if not p.is_flat}
        if ours != theirs:
            found.append(f"positions: ours {ours}, the exchange's {theirs}")
        legs = _legs(record)
        for order in self.orders:
            text = self._settled(order, legs.pop(order.cloid or "", []))
            if text:
                found.append(f"{order!r}: {text}")
        return found

    def _pnl(self, figures: dict[str, Any], record: dict[str, Any]) -> list[str]:
        """Of a fill the venue tells its closed PnL; the sums may differ by its rounding of the average entry."""
        for row, key in zip(record["fills"], _fills(record), strict=True):
            if key not in self._known_fills:
                self._closed_pnl += Decimal(row["closedPnl"])
        self._known_fills = set(_fills(record))  # the exchange keeps the newest fills only, and so do we
        off = abs(figures["realized_pnl"] - self._closed_pnl)
        self.pnl_off_a_fill = float(off / max(1, figures["fills"]))
        if off <= figures["fills"] * PNL_OFF_A_FILL:
            return []
        return [f"realised PnL: ours {figures['realized_pnl']}, the exchange's {self._closed_pnl}"]

    def _settled(self, order: InFlightOrder, legs: list[Leg]) -> str:
        """What is wrong with the connector's idea of an order, "" if nothing."""
        lived = _lived(legs)
        statuses = [leg["status"] for leg in legs]
        resting = [leg for leg in legs if leg["status"] in RESTING]
        if len(resting) > 1:
            return f"rests {len(resting)} times at the exchange: {statuses}"
        if order.filled_amount != _filled(legs):
            return f"filled {order.filled_amount}, the exchange's {_filled(legs)}"
        if order.state in NEVER_LIVED and lived:
            return f"called {order.state.name}, but the exchange had it: {statuses}"
        if order.state not in NEVER_LIVED and not lived:
            return f"called {order.state.name}, but the exchange never had it"
        told = self.told.get(order.client_order_id, [])
        ends = [name for name in told if name in ENDS]
        if not order.is_done:
            if not resting:
                return f"not ended; the exchange has {statuses}"
            if ends:
                return f"ends told: {ends}, and it lives"
            return _resting(order, resting[0]) or _sequence(told)
        if resting:
            return f"ended, but it rests at the exchange: {statuses}"
        if order.state is S.FILLED and _filled(legs) != order.amount:
            return f"called filled at {_filled(legs)} of {order.amount}"
        if [ENDS[name] for name in ends] != [order.state]:
            return f"ends told: {ends}"
        return _sequence(told)


def _resting(order: InFlightOrder, leg: Leg) -> str:
    """A live order against the leg that rests."""
    if order.exchange_order_id != leg["oid"]:
        return f"rests as {leg['oid']}, known as {order.exchange_order_id}"
    left = Decimal(leg["sz"]) - Decimal(leg["filled"])
    if order.price != Decimal(leg["px"]) or order.remaining_amount != left:
        return f"known as {order.remaining_amount} at {order.price}, rests as {left} at {leg['px']}"
    return ""


def _sequence(told: list[str]) -> str:
    """Created before filled and before all other news of a living order; one end; nothing after it but late fills."""
    ends = [at for at, name in enumerate(told) if name in ENDS]
    if len(ends) > 1:
        return f"ended more than once: {told}"
    if told.count("OrderCreated") > 1:
        return f"created more than once: {told}"
    created = told.index("OrderCreated") if "OrderCreated" in told else len(told)
    if any(name in ("OrderFilled", "OrderModified", "OrderCompleted") for name in told[:created]):
        return f"told before it was created: {told}"
    after = told[ends[0] + 1 :] if ends else []
    if any(name in ("OrderCreated", "OrderModified") for name in after):
        return f"told after its end: {told}"
    if after.count("OrderFilled") != after.count("late") or (ends and "late" in told[: ends[0]]):
        return f"a fill after the end is late, and no other: {told}"
    return ""


def _legs(record: dict[str, Any]) -> dict[str, list[Leg]]:
    """The exchange's orders by cloid: a modified order has several."""
    legs: dict[str, list[Leg]] = {}
    for row in record["orders"]:
        legs.setdefault(row["cloid"], []).append(row)
    return legs


def _lived(legs: list[Leg]) -> list[Leg]:
    return [leg for leg in legs if not leg["status"].endswith("Rejected")]


def _filled(legs: list[Leg]) -> Decimal:
    return sum((Decimal(leg["filled"]) for leg in legs), Decimal(0))


def _fills(record: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(f["coin"], f["tid"], f["oid"], f["time"]) for f in record["fills"]]
