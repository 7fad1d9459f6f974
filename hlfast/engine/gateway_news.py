"""What the exchange says of orders, told on (layer 4): a connector's events become reports, fills and order events.

An order that was sent is answered on evidence only: accepted when the venue has confirmed it, rejected when it is proven
that it is not live and never will be. What is not known is not told as a report; the connector asks until it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlfast import clock
from hlfast.core import events as ev
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.fixed import to_scaled
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import TradeUpdate
from hlfast.engine.gateway_envelope import Envelope, Refused
from hlfast.engine.gateway_events import OrderEventPublisher
from hlfast.engine.gateway_memory import Memory, Record
from hlfast.engine.gateway_reasons import end_of, refusal_of, words_of
from hlfast.engine.gateway_reports import Reports, details_of
from hlfast.engine.gateway_symbols import SymbolTable

TOLD_AGAIN_NS = 60_000_000_000
"""After a run that was killed: fills that it heard of in its last minute are told again. Consumers know them by their key."""
NEVER_LIVE = "Order was never placed, already canceled, or filled"
_ENTRY_LOST = "Error placing new order during modify"


class OrderNews:
    """Tells of one connector's orders. `symbols()`: the names of instruments; `venue`: the key in tags."""

    def __init__(
        self,
        connector: ConnectorBase,
        reports: Reports,
        events: OrderEventPublisher,
        memory: Memory,
        venue: str,
        symbols: Callable[[], SymbolTable],
    ) -> None:
        self.connector, self.reports, self.events, self.memory = connector, reports, events, memory
        self._venue, self._symbols = venue, symbols
        self._removers: list[Callable[[], None]] = []
        self._started_ms = clock.wall_clock_ms()
        self._started_ns = clock.epoch_ns()

    def attach(self, died_ns: int = 0) -> None:
        """From now on. What an earlier run knew of its clients' orders goes on where it was. `died_ns`: when that was killed."""
        self._take_up(died_ns - TOLD_AGAIN_NS if died_ns else self._started_ns)
        on = self.connector.on
        self._removers = [
            on(ev.OrderCreated, self._on_created),
            on(ev.OrderStateChanged, self._on_state),
            on(ev.OrderFilled, self._on_fill),
            on(ev.OrderCompleted, self._on_completed),
            on(ev.OrderCancelled, self._on_cancelled),
            on(ev.OrderFailed, self._on_failed),
            on(ev.OrderExpired, self._on_failed),
            on(ev.OrderCancelRejected, self._on_cancel_rejected),
            on(ev.OrderModified, self._on_modified),
            on(ev.OrderModifyRejected, self._on_modify_rejected),
            on(ev.ConnectorError, self._on_error),
        ]

    def detach(self) -> None:
        while self._removers:
            self._removers.pop()()

    def _take_up(self, since_ns: int) -> None:
        """Fills that an earlier run wrote down from `since_ns` on are told again: it may have died before a client heard of them."""
        found = []
        for record in self.memory.by_coid.values():
            order = self.connector.get_order(record.coid)
            if order is None:
                continue
            record.order, record.cum_lots = order, order.filled_lots
            lots = 0
            for fill in order.fills:
                lots += _lots(fill, order.sz_decimals)
                if since_ns <= fill.recv_ns < self._started_ns:
                    found.append((fill.recv_ns, record, order, fill, lots))
        for _, record, order, fill, lots in sorted(found, key=lambda one: one[0]):
            if not order.is_done:
                self._introduce(record, order)
            self.reports.fill(record, order, fill, self._name(order), ("recovered",), lots)

    def _introduce(self, record: Record, order: InFlightOrder) -> None:
        """An order of an earlier run is told as accepted before any other news of it."""
        if order.was_created and not record.is_announced:
            self._accept(record, order, "resting", 0, "recovered")

    def record_of(self, order: InFlightOrder) -> Record:
        """The client's record of an order; one that was placed elsewhere is known by the venue's id."""
        record = self.memory.record_of(order.client_order_id)
        if record is None:
            name = str(order.exchange_order_id or order.client_order_id)
            record = Record(
                name,
                b"",
                {"execution_type": "external", "venue": self._venue},
                coid=order.client_order_id,
                is_external=True,
                state="accepted" if order.was_created else "pending",
            )
            self.memory.add(record)
        if record.order is None:
            record.order = order
        return record

    def announce(self) -> None:
        """After a start: every live order is told once, and what earlier runs left without an answer gets it."""
        tracker = self.connector.tracker
        for order in [*self.connector.orders, *tracker.external_orders]:
            record = self.record_of(order)
            record.cum_lots = max(record.cum_lots, order.filled_lots)
            if not record.is_ended:
                self._introduce(record, order)
        for record in list(self.memory.live.values()):
            order_found = record.order or self.connector.get_order(record.coid)
            if order_found is None:
                refused = Refused("transport_error", "not sent: the gateway ended before the order left")
                told = self.reports.rejection(Envelope(record.cl_id, "place"), refused, record.tags)
                self.answer(record, "rejected", refused.canonical, told, "recovered")
            elif order_found.is_done:
                self._catch_up(record, order_found)

    def _catch_up(self, record: Record, order: InFlightOrder) -> None:
        """An order that ended in an earlier run, whose end was not told."""
        record.order, record.cum_lots = order, order.filled_lots
        state = str(order.state)
        if state in ("FILLED", "CANCELLED"):
            self._introduce(record, order)
        if state == "FILLED":
            self._finish_filled(record)
        elif state == "CANCELLED":
            canonical, raw = end_of(order.reason)
            self._cancelled(record, order, canonical, raw, order.reason, order.end_time_ms, "recovered")
        else:
            canonical, raw = ("expired", "ttl_expired") if state == "EXPIRED" else refusal_of(order.reason)
            self._refused(record, order, canonical, raw, order.reason, order.end_time_ms, "recovered")

    def answer(self, record: Record, state: str, canonical: str, told: Any, *flags: str) -> None:
        first = record.state == "pending"
        self.memory.keep(record, state, canonical, told)
        if record.is_adjusted and state == "accepted":
            flags = (*flags, "adjusted")
        self.reports.stream.tell(told, *flags)
        if first and record.repeats:
            record.repeats = 0
            self.reports.stream.tell(told, "duplicate")

    def _accept(self, record: Record, order: InFlightOrder, word: str, time_ms: int, *flags: str) -> None:
        record.is_announced = True
        told = self.reports.order_report(
            record,
            order,
            "accepted",
            "ok",
            word,
            word,
            time_ms,
            "place",
            details_of(record, order, self._name(order), 2),
        )
        self.answer(record, "accepted", "ok", told, *flags)

    def _name(self, order: InFlightOrder) -> str:
        return self._symbols().canonical(order.coin)

    @staticmethod
    def _flags(event: Any) -> tuple[str, ...]:
        return ("recovered",) if event.recovered else ()

    def _on_created(self, event: ev.OrderCreated) -> None:
        order = event.order
        record = self.record_of(order)
        if not record.is_announced:
            word = "filled" if order.tif in ("Ioc", "FrontendMarket") else "resting"
            if order.trigger_px_e8:
                word = "waitingForTrigger"
            self._accept(record, order, word, event.time_ms, *self._flags(event))
        self.events.created(order, record.cl_id, self._name(order))

    def _on_state(self, event: ev.OrderStateChanged) -> None:
        """Sent, a cancel sent, or fired by its trigger: what no other event tells."""
        word = str(event.new_state)
        if word in ("PENDING_SUBMIT", "PENDING_CANCEL") or event.old_state == event.new_state:
            record = self.record_of(event.order)
            self.events.update(event.order, record.cl_id, self._name(event.order))

    def _on_fill(self, event: ev.OrderFilled) -> None:
        order, fill = event.order, event.fill
        record = self.record_of(order)
        self._introduce(record, order)
        record.cum_lots += _lots(fill, order.sz_decimals)
        is_recovered = event.recovered or fill.time_ms < self._started_ms
        flags = (*(("recovered",) if is_recovered else ()), *(("late",) if event.is_late else ()))
        self.reports.fill(record, order, fill, self._name(order), flags)
        self.events.fill(order, fill, record.cl_id, self._name(order), record.cum_lots, event.is_partial)

    def _finish_filled(self, record: Record) -> None:
        self.memory.keep(record, "filled", "ok", None)
        self._answer_cancels(record, "already_filled", "filled")
        self._answer_replace(record, ("venue_reject", "unknown_order"), "the order was filled")

    def _on_completed(self, event: ev.OrderCompleted) -> None:
        self._finish_filled(self.record_of(event.order))

    def _on_cancelled(self, event: ev.OrderCancelled) -> None:
        record = self.record_of(event.order)
        self._introduce(record, event.order)
        text = event.reason or record.lost
        canonical, raw = end_of(text)
        self._cancelled(record, event.order, canonical, raw, text, event.time_ms, *self._flags(event))

    def _cancelled(
        self, record: Record, order: InFlightOrder, canonical: str, raw: str, text: str, time_ms: int, *flags: str
    ) -> None:
        text = text or "canceled"
        told = self.reports.order_report(
            record,
            order,
            "canceled",
            canonical,
            text,
            raw,
            time_ms,
            None,
            details_of(record, order, self._name(order), 1),
        )
        self.answer(record, "canceled", canonical, told, *flags)
        self.events.cancelled(order, record.cl_id, self._name(order), text)
        self._answer_cancels(record, "canceled", "canceled")
        self._answer_replace(record, (canonical if canonical != "ok" else "venue_reject", "unknown_order"), text)

    def _on_failed(self, event: ev.OrderFailed | ev.OrderExpired) -> None:
        record, order = self.record_of(event.order), event.order
        if isinstance(event, ev.OrderExpired):
            canonical, raw, text = "expired", "ttl_expired", event.reason
        else:
            text = event.reject.text if event.reject is not None else event.reason
            canonical, raw = refusal_of(text)
            text = words_of(text)
            if raw == "transport_error" and record.was_throttled:
                canonical, raw = "rate_limited", "too_many_requests"
        self._refused(record, order, canonical, raw, text, event.time_ms, *self._flags(event))

    def _refused(
        self, record: Record, order: InFlightOrder, canonical: str, raw: str, text: str, time_ms: int, *flags: str
    ) -> None:
        if record.state == "accepted":  # a trigger order that the venue refused when it fired
            self._cancelled(record, order, canonical, raw, text, time_ms, *flags)
            return
        told = self.reports.order_report(record, order, "rejected", canonical, text, raw, time_ms, "place", None)
        self.answer(record, "rejected", canonical, told, *flags)
        self.events.failed(order, record.cl_id, self._name(order), f"{canonical}: {text}")
        self._answer_cancels(record, "already_done", "rejected")
        self._answer_replace(record, ("venue_reject", "unknown_order"), text)

    def _answer_replace(self, record: Record, code: tuple[str, str] | None, text: str) -> None:
        waiting, record.replace = record.replace, None
        if waiting is None:
            return
        if code is None:
            told = self.reports.request_report(waiting.cl_id, "replace", waiting.tags, "ok", text)
        else:
            refused = Refused(code[1], text, code[0])
            told = self.reports.rejection(Envelope(waiting.cl_id, "replace"), refused, waiting.tags)
        self.memory.keep_replace(waiting.cl_id, waiting.digest, told)
        self.reports.stream.tell(told)

    def _answer_cancels(self, record: Record, raw: str, text: str) -> None:
        waiting, record.cancels = record.cancels, []
        for one in waiting:
            self.reports.stream.tell(self.reports.request_report(one.cl_id, "cancel", one.tags, raw, text))

    def _on_cancel_rejected(self, event: ev.OrderCancelRejected) -> None:
        """Not live there: the connector asks what became of it. Any other refusal is the answer."""
        record = self.record_of(event.order)
        if event.reason.startswith(NEVER_LIVE) or "no known outcome" in event.reason:
            return
        canonical, raw = refusal_of(event.reason)
        raw = "cancel_rejected" if raw == "exchange_rejected" else raw
        waiting, record.cancels = record.cancels, []
        for one in waiting:
            refused = Refused(raw, event.reason, canonical)
            self.reports.stream.tell(self.reports.rejection(Envelope(one.cl_id, "cancel"), refused, one.tags))

    def _on_modified(self, event: ev.OrderModified) -> None:
        record, order = self.record_of(event.order), event.order
        self._introduce(record, order)
        text = f"replaced {order.exchange_order_ids[-2]}" if len(order.exchange_order_ids) > 1 else "replaced"
        told = self.reports.order_report(
            record, order, "replaced", "ok", text, "replaced", event.time_ms, None,
            details_of(record, order, self._name(order), 0),
        )  # fmt: skip
        self.answer(record, "accepted", "ok", told, *self._flags(event))
        self.events.update(order, record.cl_id, self._name(order))
        self._answer_replace(record, None, "replaced")

    def _on_modify_rejected(self, event: ev.OrderModifyRejected) -> None:
        record = self.record_of(event.order)
        canonical, raw = refusal_of(event.reason)
        if event.reason.startswith(_ENTRY_LOST):  # the venue took the old order away: its end comes with the same code
            record.lost = event.reason
        self._answer_replace(
            record, (canonical, "modify_rejected" if raw == "exchange_rejected" else raw), event.reason
        )

    def _on_error(self, event: ev.ConnectorError) -> None:
        """Orders whose outcome or state is not known are told as events, not as reports."""
        if event.code == "unknown_status":
            order = self.connector.get_order(event.text.split(" ", 1)[0])
            if order is not None:
                self.events.update(order, self.record_of(order).cl_id, self._name(order))
            return
        if event.code not in ("unknown_outcome", "unreadable_answer"):
            return
        for order in self.connector.tracker.orders_to_ask_about:
            if order.unresolved and order.client_order_id in event.text:
                record = self.record_of(order)
                record.was_throttled = record.was_throttled or "429" in event.text
                self.events.update(order, record.cl_id, self._name(order))


def _lots(fill: TradeUpdate, sz_decimals: int) -> int:
    return fill.lots if fill.sz_decimals == sz_decimals else to_scaled(fill.amount, sz_decimals)
