"""ClientOrderTracker: every order of an account, and the only place that changes one (layer 1, hot).

Orders are found in constant time by client id, cloid and every id that the venue gave them, while they live and for a
while after. News come as `OrderUpdate` and `TradeUpdate`; the transition table (in_flight_order) decides what applies.
A fill is booked once, by identity. Created comes before filled, fills before the end, and there is one end: where the
venue's word for the end is ahead of its fills, the end is held back, bounded by `hold_ms`, and marked incomplete if
they do not come (guarantees G1-G7; seed system, section 2).

May be called from any thread. Events are emitted after the lock is released, in the order in which they arose.
"""

from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
    PyThread_get_thread_ident, PyThread_release_lock, PyThread_type_lock,
)
from libc.stdint cimport int64_t

from hlfast.clock cimport now_ns as _now_ns
from hlfast.core.bus cimport EventBus
from hlfast.core.events cimport (
    OrderCancelled, OrderCancelRejected, OrderCompleted, OrderCreated, OrderEvent, OrderExpired, OrderFailed,
    OrderFilled, OrderModified, OrderModifyRejected, OrderStateChanged, order_event,
)
from hlfast.core.in_flight_order cimport (
    ALLOWED, ANOMALY, LATE, S_CANCELLED, S_EXPIRED, S_FAILED, S_FILLED, S_OPEN, S_PARTIALLY_FILLED, S_PENDING_CANCEL,
    S_PENDING_CREATE, S_PENDING_SUBMIT, InFlightOrder, is_finished, lots_in, make_order, verdict,
)
from hlfast.core.updates cimport OrderUpdate, TradeUpdate

from collections import deque

from hlfast.core.events import ConnectorError
from hlfast.errors import ConfigError
from hlfast.types import EventType, OrderState, OrderType, PositionAction

cdef tuple _STATES = tuple(OrderState)
cdef int FILL_KEYS_KEPT = 100_000  # ten times what the venue can be asked for

_EVENT_TYPES = {
    OrderCreated: EventType.ORDER_CREATED,
    OrderStateChanged: EventType.ORDER_UPDATE,
    OrderCompleted: EventType.ORDER_COMPLETED,
    OrderCancelled: EventType.ORDER_CANCELLED,
    OrderFailed: EventType.ORDER_FAILED,
    OrderExpired: EventType.ORDER_EXPIRED,
    OrderModified: EventType.ORDER_MODIFIED,
}


cdef class _Wake:
    """A waiter to be told, in its place among the events."""
    cdef object future
    cdef object value


cdef class Resting:
    """Sums of what own live orders of one instrument may still take."""


cdef bint _takes_at_once(InFlightOrder o) except -1:
    return o.tif == "Ioc" or o.tif == "FrontendMarket"


cdef class ClientOrderTracker:
    """`bus`: where events go (its own if None). `hold_ms`: how long an end waits for fills that are due.

    Ended orders are found until `max_finished` later ones have ended or `retention_s` have passed.
    """

    def __cinit__(self, *args, **kwargs):
        self._lock = PyThread_allocate_lock()
        if self._lock == NULL:
            raise MemoryError()

    def __init__(self, EventBus bus=None, *, hold_ms=5_000, max_finished=10_000, retention_s=3_600):
        self.bus = EventBus() if bus is None else bus
        self._by_id = {}
        self._by_oid = {}
        self._by_cloid = {}
        self._active = {}
        self._external = {}
        self._finished = deque()
        self._held = {}
        self._due = {}
        self._resting = {}
        self._queue = []
        self._fill_keys = set()
        self._fill_order = deque()
        self._auto_cleanup = True
        self._hold_ns = hold_ms * 1_000_000
        self._retention_ns = retention_s * 1_000_000_000
        self._max_finished = max_finished

    def __dealloc__(self):
        if self._lock != NULL:
            PyThread_free_lock(self._lock)

    def __repr__(self):
        return f"<ClientOrderTracker active={len(self._active)} finished={len(self._finished)}>"

    # A lock that its own thread may take again: a finaliser that runs inside may call back.
    cdef int _enter(self) except -1:
        cdef long me = <long>PyThread_get_thread_ident()
        if self._owner == me:
            self._depth += 1
            return 0
        if not PyThread_acquire_lock(self._lock, NOWAIT_LOCK):
            with nogil:
                PyThread_acquire_lock(self._lock, WAIT_LOCK)
        self._owner = me
        self._depth = 1
        return 0

    cdef int _leave(self) except -1:
        self._depth -= 1
        if self._depth == 0:
            self._owner = 0
            PyThread_release_lock(self._lock)
        return 0

    cdef bint _wants(self, object cls) except -1:
        return self._callback is not None or self.bus.wants(cls)

    cdef int _emit(self, list out) except -1:
        """Queue what arose; to be called before the lock is released."""
        if out:
            self._queue.extend(out)
        return 0

    cdef int _drain(self) except -1:
        """Tell what is queued, in the order in which it arose. One caller tells at a time: news from a handler, or
        from another thread, are told by the one that is at it, after what came before them."""
        cdef list batch = []
        cdef Py_ssize_t told = 0
        if not self._queue or self._draining:
            return 0
        self._enter()
        if self._draining:
            return self._leave()
        self._draining = True
        self._leave()
        try:
            while True:
                self._enter()
                batch, self._queue = self._queue, []
                if not batch:
                    self._draining = False
                self._leave()
                if not batch:
                    return 0
                told = 0
                for event in batch:
                    told += 1
                    self._tell(event)
        except BaseException:  # an interrupt, not an error of a handler: what is not told yet stays queued
            self._enter()
            self._queue = batch[told:] + self._queue
            self._draining = False
            self._leave()
            raise

    cdef int _tell(self, object event) except -1:
        cdef OrderFilled filled
        if isinstance(event, _Wake):
            try:
                if self.waker is not None:
                    self.waker((<_Wake>event).future, (<_Wake>event).value)
            except Exception as error:  # for example a loop that has been closed
                self.bus.handler_errors += 1
                self.bus._report(self.waker, error)
            return 0
        self.bus.emit_event(event)
        if self._callback is None or not isinstance(event, OrderEvent):
            return 0
        fill = None
        kind = _EVENT_TYPES.get(type(event))
        if isinstance(event, OrderFilled):
            filled = event
            fill = filled.fill
            kind = EventType.ORDER_PARTIALLY_FILLED if filled.is_partial else EventType.ORDER_FILLED
        if kind is not None:
            try:
                self._callback(kind, (<OrderEvent>event).order.snapshot(), fill)
            except Exception as error:
                self.bus.handler_errors += 1
                self.bus._report(self._callback, error)
        return 0

    # -- finding ----------------------------------------------------------------------------------------------------
    cdef InFlightOrder _find(self, object client_order_id, object cloid, int64_t oid):
        found = None
        if client_order_id is not None:
            found = self._by_id.get(client_order_id)
        if found is None and cloid is not None:
            found = self._by_cloid.get(cloid)
        if found is None and oid:
            found = self._by_oid.get(oid)
        return <InFlightOrder>found

    def get_order(self, client_order_id):
        """The order with this client id, active or finished; None if there is none."""
        return self._by_id.get(client_order_id)

    def get_order_by_exchange_id(self, oid):
        """The order that has or had this id of the venue, or None."""
        return self._by_oid.get(oid)

    def get_order_by_cloid(self, cloid):
        return self._by_cloid.get(cloid)

    @property
    def active_orders(self):
        """Own orders that have not ended, a new list."""
        return [order for order in self._active.values() if not (<InFlightOrder>order).is_done]

    @property
    def external_orders(self):
        """Live orders that were placed elsewhere on the same account, a new list."""
        return list(self._external.values())

    @property
    def all_fillable_orders(self):
        """Own orders that are known to rest, by client id, a new dict."""
        return {o.client_order_id: o for o in list(self._active.values()) if o.is_fillable}

    @property
    def all_fillable_orders_by_exchange_id(self):
        return {o.exchange_order_id: o for o in list(self._active.values()) if o.is_fillable and o.exchange_order_id}

    @property
    def active_order_count(self):
        """Own orders whose state is not a final one."""
        return sum(1 for order in list(self._active.values()) if not (<InFlightOrder>order).is_done)

    @property
    def counters(self):
        """What was ignored, repeated or odd since the start."""
        return {
            "late": self._late,
            "anomalies": self._anomalies,
            "fills": self._fills,
            "fills_repeated": self._fills_repeated,
            "fills_late": self._fills_late,
            "external": self._external_seen,
            "unknown_status": self._unknown_status,
            "incomplete_ends": self._incomplete_ends,
        }

    @property
    def orders_to_ask_about(self):
        """Orders whose truth only the venue can tell: unresolved ones, odd ones, ends without all their fills."""
        return list(self._due.values())

    cdef int _ask(self, InFlightOrder o) except -1:
        o.query_due = True
        self._due[o.client_order_id] = o
        return 0

    # -- tracking ---------------------------------------------------------------------------------------------------
    cdef int start(self, InFlightOrder o) except -1:
        self._enter()
        try:
            if self._by_id.setdefault(o.client_order_id, o) is not o:
                raise ConfigError(f"client order id {o.client_order_id!r} is tracked already; every order needs its own")
            if o.cloid is not None and self._by_cloid.setdefault(o.cloid, o) is not o:
                del self._by_id[o.client_order_id]
                raise ConfigError(f"cloid {o.cloid} is tracked already; every order needs its own")
            if o.oid:
                self._by_oid[o.oid] = o
            o.home = self
            if o.is_external:
                self._external[o.client_order_id] = o
            else:
                self._active[o.client_order_id] = o
                self._count_in(o)
        finally:
            self._leave()
        return 0

    def start_tracking(self, InFlightOrder order not None):
        """Track `order`; to be called before anything of it is sent. A known client id or cloid raises `ConfigError`."""
        self.start(order)

    def stop_tracking(self, client_order_id):
        """Move the order to the finished ones, where it is still found. Repeating it is harmless."""
        self._enter()
        try:
            order = self._by_id.get(client_order_id)
            if order is not None:
                self._finish(order)
        finally:
            self._leave()

    cdef int _finish(self, InFlightOrder o) except -1:
        self._active.pop(o.client_order_id, None)
        self._external.pop(o.client_order_id, None)
        if not o.is_stored:
            o.is_stored = True
            self._finished.append(o)
            if len(self._finished) > self._max_finished:
                self._drop(self._finished.popleft())
        return 0

    cdef int _drop(self, InFlightOrder o) except -1:
        """Forget a finished order."""
        self._held.pop(o.client_order_id, None)
        self._due.pop(o.client_order_id, None)
        if self._by_id.get(o.client_order_id) is o:
            del self._by_id[o.client_order_id]
        if o.cloid is not None and self._by_cloid.get(o.cloid) is o:
            del self._by_cloid[o.cloid]
        for oid in o.exchange_order_ids:
            if self._by_oid.get(oid) is o:
                del self._by_oid[oid]
        return 0

    def set_auto_cleanup(self, bint on):
        """On (default): an order moves to the finished ones at its end. Off: when `stop_tracking` is called."""
        self._auto_cleanup = on

    def set_event_callback(self, fn):
        """`fn(EventType, copy of the order, fill or None)` for every event of every order; None removes it."""
        if fn is not None and not callable(fn):
            raise ConfigError(f"the event callback must be callable or None, got {type(fn).__name__}")
        self._callback = fn

    cdef int _count_in(self, InFlightOrder o) except -1:
        """Bring the sums in line with what the order may still take."""
        cdef Resting sums
        cdef int64_t now, change
        if o.is_external:
            return 0
        now = 0 if is_finished(o.state_) or o.lots <= o.filled_lots else o.lots - o.filled_lots
        change = now - o.counted_lots
        if change == 0:
            return 0
        o.counted_lots = now
        sums = <Resting>self._resting.get(o.coin)
        if sums is None:
            sums = self._resting[o.coin] = Resting.__new__(Resting)
        if o.is_buy:
            sums.buy_lots += change
        else:
            sums.sell_lots += change
        return 0

    cdef int64_t resting_lots(self, str coin, bint is_buy) except -1:
        cdef Resting sums = <Resting>self._resting.get(coin)
        if sums is None:
            return 0
        return sums.buy_lots if is_buy else sums.sell_lots

    def resting_amount(self, str coin, bint is_buy):
        """What own live orders of one side may still take, in lots."""
        return self.resting_lots(coin, is_buy)

    # -- changing a state -------------------------------------------------------------------------------------------
    cdef int _bind_oid(self, InFlightOrder o, int64_t oid) except -1:
        """Make the order findable by an id of the venue. A newer id than the order's replaces it (modify)."""
        if oid <= 0 or self._by_oid.get(oid) is o:
            return 0
        self._by_oid[oid] = o
        o.add_oid(oid)
        return 0

    cdef InFlightOrder _adopt(self, str name, str coin, bint is_buy, int64_t px_e8, int64_t lots, int sz_decimals, object cloid, int64_t oid, int64_t recv_ns):
        """An order that was placed elsewhere on the account: known from now on, and never changed by us."""
        cdef InFlightOrder o = make_order(
            f"external-{name}", cloid, coin, coin, -1, sz_decimals, is_buy, px_e8, lots if lots > 0 else 0, "", False,
            OrderType.LIMIT, PositionAction.NIL, recv_ns)
        o.is_external = True
        o.state_ = S_PENDING_SUBMIT
        if oid:
            o.add_oid(oid)
        self._external_seen += 1
        self.start(o)
        return o

    cdef int _decimals(self, str coin) except -1:
        try:
            return 8 if self.decimals_of is None else self.decimals_of(coin)
        except Exception as error:
            self.bus.handler_errors += 1
            self.bus._report(self.decimals_of, error)
            return 8

    cdef int _set_state(self, InFlightOrder o, int to, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1:
        cdef OrderStateChanged event
        cdef int old = o.state_
        o.state_ = to
        self._count_in(o)
        o.updated_ns = recv_ns
        if time_ms > o.time_ms:
            o.time_ms = time_ms
        if is_finished(to):
            o.end_time_ms = time_ms
        if self._wants(OrderStateChanged):
            event = order_event(OrderStateChanged, o, time_ms, recv_ns, recovered)
            event.old_state = _STATES[old]
            event.new_state = _STATES[to]
            out.append(event)
        return 0

    cdef int _create(self, InFlightOrder o, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1:
        if o.was_created:
            return 0
        o.was_created = True
        if self._wants(OrderCreated):
            out.append(order_event(OrderCreated, o, time_ms, recv_ns, recovered))
        if o.waiters is not None:
            self._wake(o, out)
        return 0

    cdef int _anomaly(self, InFlightOrder o, str text, int64_t recv_ns, list out) except -1:
        self._anomalies += 1
        self._ask(o)
        out.append(ConnectorError(code="order_anomaly", text=f"{o.client_order_id} ({o.coin}): {text}", recv_ns=recv_ns))
        return 0

    cdef int _apply(
        self, InFlightOrder o, int to, int64_t time_ms, int64_t recv_ns, str reason, bint recovered,
        int64_t row_lots, int64_t row_orig_lots, object reject, bint from_row, list out,
    ) except -1:
        cdef int v = verdict(o.state_, to)
        cdef int64_t expected
        if to == S_OPEN or to == S_PARTIALLY_FILLED:
            if o.reduce_only and from_row and 0 < row_lots < o.lots and not o.filled_lots and not is_finished(o.state_):
                o.effective_lots = row_lots  # the venue shrank it to the position
                if o.held >= 0:
                    o.held_lots = row_lots
            if o.state_ == S_PENDING_CANCEL:
                v = LATE  # only a refused cancel leads back, but the order is there
                self._create(o, time_ms, recv_ns, recovered, out)
                self._back_from_cancel(o, time_ms, recv_ns, recovered, out)
            elif is_finished(o.state_):
                if v == LATE and time_ms > o.end_time_ms > 0:
                    v = ANOMALY
                elif v == ANOMALY and o.state_ == S_FAILED and to == S_OPEN and 0 < time_ms <= o.end_time_ms:
                    v = LATE
        elif to == S_FAILED and not from_row and o.was_created and not is_finished(o.state_):
            v = ANOMALY  # an order that the venue had is refused by a row about it only
        elif to == S_FILLED and o.state_ == S_CANCELLED and (o.reason == "ioc_remainder" or o.reason == "reduced"):
            v = LATE  # the venue's last word of an order of which it filled what it could
        if v == LATE:
            self._late += 1
            if to == S_FAILED and o.state_ == S_FAILED and not from_row and reject is not None:
                o.reject, o.reason = reject, reason  # the answer says more than the row that was ahead of it
            return 0
        if v == ANOMALY:
            return self._anomaly(o, f"the venue says {_STATES[to].name} of an order that is {_STATES[o.state_].name}; asking again", recv_ns, out)

        if to == S_FILLED and o.lots > 0 and o.filled_lots < o.lots:
            # The word is ahead of the fills.
            o.unresolved = False
            self._create(o, time_ms, recv_ns, recovered, out)
            if _takes_at_once(o) or o.reduce_only:
                # It may mean less than the amount: the state waits until that is known.
                if o.state_ == S_PENDING_SUBMIT or o.state_ == S_PENDING_CREATE:
                    self._set_state(o, S_OPEN, time_ms, recv_ns, recovered, out)
                self._hold(o, S_FILLED, o.lots if o.effective_lots < 0 else o.effective_lots, recv_ns)
                if o.filled_lots >= o.held_lots:
                    self._release(o, False, time_ms, recv_ns, recovered, out)
                return 0
            self._set_state(o, S_FILLED, time_ms, recv_ns, recovered, out)
            return self._hold(o, S_FILLED, o.lots, recv_ns)

        if to == S_OPEN or to == S_FILLED or to == S_PARTIALLY_FILLED or (to == S_CANCELLED and o.state_ != S_PENDING_CREATE):
            self._create(o, time_ms, recv_ns, recovered, out)
        if reason:
            o.reason = reason
        if reject is not None:
            o.reject = reject
        if to != S_PENDING_SUBMIT and to != S_PENDING_CANCEL:
            o.unresolved = False
        self._set_state(o, to, time_ms, recv_ns, recovered, out)
        if not is_finished(to):
            return 0
        if to == S_CANCELLED and row_lots >= 0:
            # What was filled by then, by the venue's own row. Rows of a modified order count its newest leg only.
            expected = -1
            if o.lots > 0 and o.oids is not None and len(o.oids) > 1:
                expected = o.lots - row_lots
            elif row_orig_lots >= 0 and not o.reduce_only:
                expected = row_orig_lots - row_lots
            if expected > o.filled_lots:
                return self._hold(o, S_CANCELLED, expected, recv_ns)
        return self._end(o, False, time_ms, recv_ns, recovered, out)

    cdef int _back_from_cancel(self, InFlightOrder o, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1:
        """The cancel was refused, and the order is known to be there: it rests."""
        if o.cancel_refused and o.was_created and o.state_ == S_PENDING_CANCEL:
            o.cancel_refused = False
            self._set_state(o, S_PARTIALLY_FILLED if o.filled_lots else S_OPEN, time_ms, recv_ns, recovered, out)
        return 0

    cdef int _modified(self, InFlightOrder o, int64_t oid, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1:
        """The pending modify took effect: the order rests under a new id, with a new price and size."""
        cdef OrderModified event
        cdef int64_t old_px = o.px_e8, old_lots = o.lots
        o.modify_pending = o.modify_doubted = False
        o.leg_cancelled = False
        self._bind_oid(o, oid)
        o.px_e8 = o.new_px_e8
        o.leg_lots = o.new_leg_lots
        o.leg_filled = 0
        o.lots = o.filled_lots + o.leg_lots
        self._count_in(o)
        o.updated_ns = recv_ns
        if self._wants(OrderModified):
            event = order_event(OrderModified, o, time_ms, recv_ns, recovered)
            event.old_px_e8 = old_px
            event.old_lots = old_lots
            out.append(event)
        return 0

    cdef int _hold(self, InFlightOrder o, int end, int64_t lots, int64_t recv_ns) except -1:
        if o.held < 0:  # a repeated word does not make the wait longer
            o.held_until_ns = recv_ns + self._hold_ns
        o.held = end
        o.held_lots = lots
        self._held[o.client_order_id] = o
        return 0

    cdef int _release(self, InFlightOrder o, bint incomplete, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1:
        """The fills that the end waited for are in, or the wait is over."""
        cdef int end = o.held
        o.held = -1
        self._held.pop(o.client_order_id, None)
        if not is_finished(o.state_):
            # An Ioc or reduce-only order: full, or what could be filled of it.
            if o.filled_lots >= o.lots or o.effective_lots == o.lots:
                self._set_state(o, S_FILLED, time_ms, recv_ns, recovered, out)
            else:
                if not o.reason:
                    o.reason = "ioc_remainder" if _takes_at_once(o) else "reduced"
                self._set_state(o, S_CANCELLED, time_ms, recv_ns, recovered, out)
        if incomplete:
            self._incomplete_ends += 1
            self._ask(o)
        return self._end(o, incomplete, time_ms, recv_ns, recovered, out)

    cdef int _end(self, InFlightOrder o, bint incomplete, int64_t time_ms, int64_t recv_ns, bint recovered, list out) except -1:
        """Tell the order's one end."""
        cdef OrderCompleted completed
        cdef OrderCancelled cancelled
        cdef OrderFailed failed
        cdef OrderExpired expired
        if o.end_emitted:
            return 0
        o.end_emitted = True
        o.unresolved = False
        o.modify_pending = o.modify_doubted = False
        if o.held >= 0:
            o.held = -1
            self._held.pop(o.client_order_id, None)
        if o.state_ == S_FILLED:
            if self._wants(OrderCompleted):
                completed = order_event(OrderCompleted, o, time_ms, recv_ns, recovered)
                completed.incomplete = incomplete
                out.append(completed)
        elif o.state_ == S_CANCELLED:
            if self._wants(OrderCancelled):
                cancelled = order_event(OrderCancelled, o, time_ms, recv_ns, recovered)
                cancelled.reason = o.reason
                cancelled.incomplete = incomplete
                out.append(cancelled)
        elif o.state_ == S_FAILED:
            if self._wants(OrderFailed):
                failed = order_event(OrderFailed, o, time_ms, recv_ns, recovered)
                failed.reason = o.reason
                failed.reject = o.reject
                out.append(failed)
        elif self._wants(OrderExpired):
            expired = order_event(OrderExpired, o, time_ms, recv_ns, recovered)
            expired.reason = o.reason
            out.append(expired)
        if o.waiters is not None:
            self._wake(o, out)
        if self._auto_cleanup:
            self._finish(o)
        return 0

    # -- news -------------------------------------------------------------------------------------------------------
    def process_order_update(self, OrderUpdate update not None, reject=None):
        """Apply news of an order; returns the order. One that is not known is adopted as external if a row told of it.

        `reject`: the `VenueReject` that a row of a refused order stands for.
        """
        cdef InFlightOrder o
        cdef list out = []
        cdef int before
        cdef int64_t recv_ns = update.recv_ns if update.recv_ns else _now_ns()
        self._enter()
        try:
            o = self._find(update.client_order_id, update.cloid, update.oid)
            if o is None:
                if not update.status or not update.side or not (update.oid or update.cloid):
                    return None
                o = self._adopt(
                    f"{update.oid if update.oid else update.cloid}", update.coin, update.side == "B", update.px_e8, update.orig_lots,
                    self._decimals(update.coin), update.cloid, update.oid, recv_ns)
            o.not_found = 0
            if update.new_state == S_FAILED and o.oid and update.oid and update.oid != o.oid and o.was_created:
                self._late += 1  # a new leg that the venue refused: the answer to the modify tells what that means
                return o
            if update.oid:
                if is_finished(o.state_):
                    pass  # it ended; a leg that comes up later is told as an anomaly below
                elif update.oid > o.oid > 0 and update.new_state == S_OPEN and update.px_e8 > 0 and update.orig_lots > 0:
                    # A new leg under the order's cloid: its modify, or one sent by somebody else with the same key.
                    o.new_px_e8, o.new_leg_lots = update.px_e8, update.orig_lots
                    self._modified(o, update.oid, update.time_ms, recv_ns, update.recovered, out)
                elif o.modify_pending and update.oid > o.oid and update.new_state != S_FAILED:
                    self._modified(o, update.oid, update.time_ms, recv_ns, update.recovered, out)
                self._bind_oid(o, update.oid)
                if o.waiters is not None:
                    self._wake(o, out)
            if o.modify_pending and update.oid == o.oid and update.new_state == S_CANCELLED:
                # The cancel of the leg that the modify replaces, or the end of the order: its outcome will tell.
                o.leg_cancelled = True
                o.leg_cancel_ms = update.time_ms
                o.leg_cancel_lots, o.leg_cancel_orig = update.lots, update.orig_lots
            elif update.new_state < 0 or update.new_state > S_EXPIRED:
                self._unknown_status += 1
                self._ask(o)
                o.updated_ns = recv_ns
                out.append(ConnectorError(
                    code="unknown_status", recv_ns=recv_ns,
                    text=f"{o.client_order_id} ({o.coin}): the venue's status {update.status!r} is not known here; state left as {o.state.name}"))
            elif update.oid and update.oid != o.oid and is_finished(update.new_state):
                self._late += 1  # the end of a leg that a modify replaced
            else:
                before = o.state_
                self._apply(
                    o, update.new_state, update.time_ms, recv_ns, update.reason, update.recovered, update.lots,
                    update.orig_lots, reject, bool(update.status), out)
                if update.status == "triggered" and o.state_ == before and not is_finished(before):
                    self._set_state(o, before, update.time_ms, recv_ns, update.recovered, out)  # told: it fired
            self._emit(out)
        finally:
            self._leave()
        self._drain()
        return o

    def process_trade_update(self, TradeUpdate fill not None):
        """Book a fill. True if it is new; False if it was booked before, which changes nothing."""
        cdef InFlightOrder o
        cdef OrderFilled event
        cdef list out = []
        cdef int64_t recv_ns = fill.recv_ns if fill.recv_ns else _now_ns()
        cdef bint full, late
        cdef int64_t lots
        cdef int v
        self._enter()
        try:
            key = (fill.coin, fill.tid, fill.oid, fill.time_ms)
            if key in self._fill_keys:
                self._fills_repeated += 1
                return False
            o = self._find(None, fill.cloid, fill.oid)
            if o is None:
                name = f"{fill.oid}" if fill.oid else fill.cloid if fill.cloid is not None else f"{fill.coin}-{fill.tid}-{fill.time_ms}"
                o = self._adopt(name, fill.coin, fill.is_buy, 0, 0, fill.sz_decimals, fill.cloid, fill.oid, recv_ns)
            lots = lots_in(fill, o.sz_decimals)
            if o.modify_pending and fill.oid > o.oid and not is_finished(o.state_):
                self._modified(o, fill.oid, fill.time_ms, recv_ns, fill.recovered, out)
            self._fill_keys.add(key)
            self._fill_order.append(key)
            if len(self._fill_order) > FILL_KEYS_KEPT:
                self._fill_keys.discard(self._fill_order.popleft())
            self._fills += 1
            if fill.oid:
                self._bind_oid(o, fill.oid)
            late = o.end_emitted
            o.not_found = 0
            o.add_fill(fill, lots)
            if o.leg_lots and lots > 0:
                if fill.oid == o.oid:
                    o.leg_filled += lots
                else:
                    o.lots += lots  # of a leg that a modify replaced: the newest leg's size stands beside it
            self._count_in(o)
            if o.state_ != S_PENDING_CANCEL:
                o.unresolved = False
            full = 0 < o.lots <= o.filled_lots
            if not late:
                self._create(o, fill.time_ms, recv_ns, fill.recovered, out)
            else:
                self._fills_late += 1
            if self._wants(OrderFilled):
                event = order_event(OrderFilled, o, fill.time_ms, recv_ns, fill.recovered)
                event.fill = fill
                event.is_partial = not full
                event.is_late = late
                out.append(event)
            if self.book is not None:
                event_of_position = self._book(fill)
                if event_of_position is not None:
                    out.append(event_of_position)
            if o.lots > 0 and o.filled_lots > o.lots:
                self._anomaly(o, f"filled {o.filled_amount} of {o.amount}: more than was ordered", recv_ns, out)
            if late:
                v = verdict(o.state_, S_FILLED if full else S_PARTIALLY_FILLED)
                if v == ANOMALY or (not full and fill.time_ms > o.end_time_ms > 0):
                    self._anomaly(o, f"{o.filled_amount} of {o.amount} is filled, yet it ended as {o.state.name}", recv_ns, out)
            elif o.held >= 0:
                if full and o.state_ == S_CANCELLED:
                    self._anomaly(o, "all of it is filled, yet the venue calls it cancelled", recv_ns, out)
                if o.filled_lots >= o.held_lots or full:
                    self._release(o, False, fill.time_ms, recv_ns, fill.recovered, out)
                elif o.state_ == S_OPEN or o.state_ == S_PENDING_SUBMIT:
                    self._set_state(o, S_PARTIALLY_FILLED, fill.time_ms, recv_ns, fill.recovered, out)
            elif full:
                self._set_state(o, S_FILLED, fill.time_ms, recv_ns, fill.recovered, out)
                self._end(o, False, fill.time_ms, recv_ns, fill.recovered, out)
            elif 0 <= o.effective_lots <= o.filled_lots:
                o.reason = "ioc_remainder" if _takes_at_once(o) else "reduced"
                self._set_state(o, S_CANCELLED, fill.time_ms, recv_ns, fill.recovered, out)
                self._end(o, False, fill.time_ms, recv_ns, fill.recovered, out)
            elif o.state_ == S_PENDING_CANCEL:
                self._back_from_cancel(o, fill.time_ms, recv_ns, fill.recovered, out)
            else:
                if o.state_ != S_PARTIALLY_FILLED:
                    self._set_state(o, S_PARTIALLY_FILLED, fill.time_ms, recv_ns, fill.recovered, out)
                o.updated_ns = recv_ns
            self._emit(out)
        finally:
            self._leave()
        self._drain()
        return True

    cdef object _book(self, TradeUpdate fill):
        """Positions and cash move with the fill, before anybody is told of it."""
        try:
            return self.book(fill)
        except Exception as error:
            self.bus.handler_errors += 1
            self.bus._report(self.book, error)
            return None

    # -- what the sender knows --------------------------------------------------------------------------------------
    cdef int submitted(self, list actions, int64_t now_ns) except -1:
        """Their bytes have left. All change their state before anybody is told of one.

        `actions`: (tuple of orders, nonce, expiry in ms or 0) each.
        """
        cdef list out = []
        cdef InFlightOrder o
        cdef int64_t nonce, expires
        self._enter()
        try:
            for orders, nonce, expires in actions:
                for o in <tuple>orders:
                    o.nonce = nonce
                    o.expires_after_ms = expires
                    if o.state_ == S_PENDING_CREATE:
                        self._set_state(o, S_PENDING_SUBMIT, 0, now_ns, False, out)
                    o.sent_ns = now_ns
            self._emit(out)
        finally:
            self._leave()
        self._drain()
        return 0

    def mark_submitted(self, InFlightOrder order not None, nonce=0, expires_after_ms=0):
        """Its bytes are about to leave: PENDING_CREATE → PENDING_SUBMIT."""
        self.submitted([((order,), nonce, expires_after_ms)], _now_ns())

    def reject(self, InFlightOrder order not None, str reason, reject=None, recv_ns=None):
        """A definite refusal: the venue's answer about this order, or a local one before sending. Never a transport error."""
        self._state_by_answer(order, S_FAILED, reason, reject, recv_ns)

    def expire(self, InFlightOrder order not None, str reason, recv_ns=None):
        """The venue answered that the action's time had passed."""
        self._state_by_answer(order, S_EXPIRED, reason, None, recv_ns)

    def _state_by_answer(self, InFlightOrder order, int state, str reason, reject, recv_ns):
        cdef list out = []
        cdef int64_t when = _now_ns() if recv_ns is None else recv_ns
        self._enter()
        try:
            self._apply(order, state, 0, when, reason, False, -1, -1, reject, False, out)
            self._emit(out)
        finally:
            self._leave()
        self._drain()

    def acknowledge(self, InFlightOrder order not None, oid=None, recv_ns=None):
        """The venue answered that it has the order."""
        cdef list out = []
        cdef int64_t when = _now_ns() if recv_ns is None else recv_ns
        self._enter()
        try:
            order.not_found = 0
            if oid is not None:
                self._bind_oid(order, oid)
                if order.waiters is not None:
                    self._wake(order, out)
            if order.state_ != S_PENDING_CANCEL:
                order.unresolved = False
            self._apply(order, S_OPEN, 0, when, "", False, -1, -1, None, False, out)
            self._emit(out)
        finally:
            self._leave()
        self._drain()

    def note_due(self, InFlightOrder order not None, int64_t total_lots, oid=None, recv_ns=None):
        """The venue answered `filled` with `total_lots`. For an Ioc that is all that will be; else only a hint."""
        cdef list out = []
        cdef int64_t when = _now_ns() if recv_ns is None else recv_ns
        self.acknowledge(order, oid, when)
        if not _takes_at_once(order) or total_lots <= 0:
            return
        self._enter()
        try:
            if order.end_emitted or is_finished(order.state_):
                self._late += 1
            else:
                order.effective_lots = total_lots
                self._hold(order, S_FILLED, total_lots, when)
                if order.filled_lots >= total_lots:
                    self._release(order, False, order.time_ms, when, False, out)
            self._emit(out)
        finally:
            self._leave()
        self._drain()

    def mark_unresolved(self, InFlightOrder order not None):
        """Something was sent for it and its result is not known. Its state stays, and the venue is to be asked."""
        self._enter()
        try:
            if not order.end_emitted:
                order.unresolved = True
                order.modify_doubted = order.modify_pending
                self._ask(order)
        finally:
            self._leave()

    def ask_about(self, InFlightOrder order not None):
        """Put the order among those that the venue is to be asked about."""
        self._enter()
        try:
            self._ask(order)
        finally:
            self._leave()

    def resolve(self, InFlightOrder order not None):
        """The venue has been asked, and what it said has been applied."""
        cdef list out = []
        self._enter()
        try:
            order.unresolved = False
            order.query_due = False
            if order.modify_doubted and order.leg_cancelled:
                # The venue has been asked and shows no newer leg: the cancel was the order's end.
                order.modify_pending = order.modify_doubted = False
                order.leg_cancelled = False
                self._apply(
                    order, S_CANCELLED, order.leg_cancel_ms, _now_ns(), "", True, order.leg_cancel_lots, order.leg_cancel_orig,
                    None, True, out)
                self._emit(out)
            self._due.pop(order.client_order_id, None)
        finally:
            self._leave()
        self._drain()

    def request_cancel(self, InFlightOrder order not None, recv_ns=None):
        """A cancel is about to leave: → PENDING_CANCEL. False if the order has ended."""
        cdef list out = []
        cdef int64_t when = _now_ns() if recv_ns is None else recv_ns
        self._enter()
        try:
            if is_finished(order.state_):
                return False
            order.cancel_refused = False
            if order.state_ == S_PENDING_CREATE:  # never sent: it ends here
                self._apply(order, S_CANCELLED, 0, when, "cancelled before it was sent", False, -1, -1, None, False, out)
            elif order.state_ != S_PENDING_CANCEL:
                self._set_state(order, S_PENDING_CANCEL, 0, when, False, out)
            self._emit(out)
        finally:
            self._leave()
        self._drain()
        return True

    def cancel_refused(self, InFlightOrder order not None, str reason, recv_ns=None):
        """The venue refused the cancel. The order rests again if it ever did, and the venue is to be asked."""
        cdef list out = []
        cdef OrderCancelRejected event
        cdef int64_t when = _now_ns() if recv_ns is None else recv_ns
        self._enter()
        try:
            if order.state_ == S_PENDING_CANCEL:
                order.cancel_refused = True
                self._back_from_cancel(order, 0, when, False, out)
            if not order.end_emitted:
                self._ask(order)
            if self._wants(OrderCancelRejected):
                event = order_event(OrderCancelRejected, order, 0, when, False)
                event.reason = reason
                out.append(event)
            self._emit(out)
        finally:
            self._leave()
        self._drain()

    def request_modify(self, InFlightOrder order not None, int64_t px_e8, int64_t leg_lots, int64_t nonce=0):
        """A modify is about to leave, into a leg of `leg_lots` at `px_e8`. False if the order does not rest."""
        self._enter()
        try:
            if not order.is_fillable or order.modify_pending:
                return False
            order.modify_pending = True
            order.modify_doubted = False
            order.modify_nonce = nonce
            order.leg_cancelled = False
            order.new_px_e8 = px_e8
            order.new_leg_lots = leg_lots
        finally:
            self._leave()
        return True

    def modify_accepted(self, InFlightOrder order not None, oid, recv_ns=None):
        """The venue answered that the order rests (or traded) under the new id `oid`."""
        cdef list out = []
        cdef int64_t when = _now_ns() if recv_ns is None else recv_ns
        self._enter()
        try:
            if order.modify_pending and not order.end_emitted and oid > order.oid:
                self._modified(order, oid, 0, when, False, out)
            else:
                self._bind_oid(order, oid)  # a row or a fill was ahead of the answer
            if not order.modify_pending:  # else the answer is to an earlier modify
                order.unresolved = False
            self._emit(out)
        finally:
            self._leave()
        self._drain()

    def modify_refused(self, InFlightOrder order not None, str reason, bint old_is_gone=False, recv_ns=None):
        """The venue refused the modify. `old_is_gone`: it cancelled the order and could not place the new one."""
        cdef list out = []
        cdef OrderModifyRejected event
        cdef int64_t when = _now_ns() if recv_ns is None else recv_ns
        self._enter()
        try:
            gone = order.leg_cancelled or old_is_gone
            if not order.leg_cancelled:
                order.leg_cancel_ms, order.leg_cancel_lots, order.leg_cancel_orig = 0, -1, -1
            order.modify_pending = order.modify_doubted = False
            order.leg_cancelled = False
            if not order.end_emitted:
                self._ask(order)
            if self._wants(OrderModifyRejected):
                event = order_event(OrderModifyRejected, order, 0, when, False)
                event.reason = reason
                out.append(event)
            if gone:
                self._apply(
                    order, S_CANCELLED, order.leg_cancel_ms, when, "", False, order.leg_cancel_lots, order.leg_cancel_orig, None,
                    True, out)
            self._emit(out)
        finally:
            self._leave()
        self._drain()

    def process_order_not_found(self, client_order_id, bint absence_proven=False, bint nonce_burnt=False):
        """The venue answered that it does not know the order; returns how many such answers came in a row.

        One answer proves nothing. With `absence_proven` (its nonce is used up or its expiry has passed) three answers
        over at least a second end it: FAILED if it was never acknowledged, else CANCELLED. With `nonce_burnt` (the venue
        took another action with its nonce, so it has not had this one and never will) one does.
        """
        cdef InFlightOrder o
        cdef list out = []
        cdef int64_t now = _now_ns()
        self._enter()
        try:
            o = <InFlightOrder>self._by_id.get(client_order_id)
            if o is None or o.end_emitted:
                return 0
            if o.not_found == 0:
                o.not_found_since_ns = now
            o.not_found += 1
            if (nonce_burnt and not o.was_created) or (
                absence_proven and o.not_found >= 3 and now - o.not_found_since_ns >= 1_000_000_000
            ):
                self._apply(
                    o, S_CANCELLED if o.was_created else S_FAILED, 0, now, "proven absent: the venue does not have it", True,
                    -1, -1, None, True, out)
            count = o.not_found
            self._emit(out)
        finally:
            self._leave()
        self._drain()
        return count

    def tick(self, int64_t now_ns):
        """Release ends whose wait is over, and forget finished orders whose time has passed. Call a few times a second."""
        cdef list out = []
        cdef InFlightOrder o
        if not self._held and not self._finished:
            return
        self._enter()
        try:
            for order in list(self._held.values()):
                o = order
                if now_ns >= o.held_until_ns:
                    self._release(o, True, o.time_ms, now_ns, False, out)
            while self._finished:
                o = self._finished[0]
                if now_ns - o.updated_ns < self._retention_ns:
                    break
                self._drop(self._finished.popleft())
            self._emit(out)
        finally:
            self._leave()
        self._drain()

    # -- waiting ----------------------------------------------------------------------------------------------------
    cdef int _wake(self, InFlightOrder o, list out) except -1:
        """Put every waiter whose answer is known among the events."""
        cdef _Wake wake
        cdef list left = []
        for what, future in o.waiters:
            value = _answer(o, what)
            if value is None:
                left.append((what, future))
                continue
            wake = _Wake.__new__(_Wake)
            wake.future = future
            wake.value = None if value is _NONE else value
            out.append(wake)
        o.waiters = left if left else None
        return 0

    def wait_for(self, InFlightOrder order not None, str what):
        """A future of "accepted", "done" or "oid". Made by the connector's event loop."""
        cdef list out = []
        if self.waiter_factory is None:
            raise ConfigError("nothing can be waited for before connect(): there is no event loop yet")
        future = self.waiter_factory()
        self._enter()
        try:
            # Those that gave up waiting are forgotten here: nobody tells when they do.
            order.waiters = [] if order.waiters is None else [w for w in order.waiters if not w[1].done()]
            order.waiters.append((what, future))
            self._wake(order, out)
            self._emit(out)
        finally:
            self._leave()
        self._drain()
        return future

    def release_waiters(self):
        """Nothing more will be heard: cancel every future that waits for an order."""
        for order in [*self._active.values(), *self._external.values()]:
            waiters, (<InFlightOrder>order).waiters = (<InFlightOrder>order).waiters, None
            for _, future in waiters or ():
                future.cancel()

    async def wait_for_exchange_order_id(self, client_order_id, timeout=5.0):
        """The venue's id of the order; None if it ends without one, is not known, or `timeout` seconds pass."""
        order = self._by_id.get(client_order_id)
        if order is None:
            return None
        future = self.wait_for(order, "oid")
        timer = self.timer_factory(timeout, lambda: self.waker(future, None)) if self.timer_factory is not None else None
        try:
            return await future
        finally:
            if timer is not None:
                timer.cancel()


cdef object _NONE = object()


cdef object _answer(InFlightOrder o, str what):
    """What a waiter is told, None while it is not known, _NONE for the answer None."""
    if what == "oid":
        if o.oid:
            return o.oid
        return _NONE if is_finished(o.state_) else None
    if what == "accepted":
        if o.was_created:
            return True
        return False if o.end_emitted else None
    return _STATES[o.state_] if o.end_emitted else None
