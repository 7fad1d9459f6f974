"""OrderEntry (layer 3, hot): from the caller's words to signed bytes in the socket, in one call stack.

    numbers to integers and onto the grid -> local checks -> tracked -> msgpack and JSON side by side -> signed -> written

Nothing is awaited and nothing runs between "tracked" and "sent". The id of a request packs a slot and its generation,
so that an answer finds its order without a table of futures. An answer is applied by its meaning: a refusal of this
order ends it; trouble on the way leaves it unresolved, and it is asked about, never signed or sent again (G8, G14).

Prices are int64 scaled by 1e8, sizes int64 in lots. One event loop owns an OrderEntry.
"""

from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from hlfast.clock cimport mono_ns, mono_of, now_ns, wall_ms
from hlfast.core cimport latency
from hlfast.core.crash_points cimport AFTER_RING, AFTER_WRITE, MID_WRITE, armed, at, reached_mid_write
from hlfast.core.fixed cimport int128
from hlfast.core.checks cimport PreTradeChecks
from hlfast.core.in_flight_order cimport InFlightOrder, is_finished, make_order
from hlfast.core.order_book cimport OrderBook
from hlfast.core.order_ids cimport ClientOrderIds, Cloids
from hlfast.core.order_tracker cimport ClientOrderTracker
from hlfast.core.position cimport PositionBook
from hlfast.core.trading_rule cimport ROUND_REFUSE, TradingRule, rounding_mode
from hlfast.net.listener cimport Listener
from hlfast.order_params cimport OrderParams
from hlfast.venues.hyperliquid.limits cimport Limits
from hlfast.venues.hyperliquid.nonce cimport NonceManager
from hlfast.venues.hyperliquid.scan cimport (
    ITEM_ERROR, ITEM_FILLED, ITEM_RESTING, ITEM_SUCCESS, ITEM_WAITING_FILL, ITEM_WAITING_TRIGGER, ItemStatus, PostReply,
)
from hlfast.venues.hyperliquid.sign cimport Signer
from hlfast.venues.hyperliquid.wire cimport (
    ORDER_JSON_MAX, ORDER_PACKED_MAX, WireBuffer, WireOrder, add_cancel, add_modify, add_order, begin_cancels,
    begin_modifies, begin_orders, end_cancels, end_linked_orders, end_modifies, end_orders, put_digits, put_hex, copy_cloid,
    tif_code,
)

import asyncio
from collections import deque

import orjson

from hlfast.core.events import ConnectorError
from hlfast.core.fixed import to_scaled
from hlfast.errors import ConfigError, NotReady, OrderDenied, RangeError, UnknownOutcome
from hlfast.types import OrderType, PositionAction, TradeType, Trigger
from hlfast.venues.hyperliquid.limits import MAX_ITEMS_PER_ACTION, POSTS_IN_FLIGHT, action_weight, query_weight
from hlfast.venues.hyperliquid.order_batcher import OrderBatcher
from hlfast.venues.hyperliquid.reject_texts import venue_reject
from hlfast.venues.hyperliquid.wire import TIFS, is_cloid

cdef enum:
    HEADROOM = 64            # picows writes its frame header in front of the text
    MAX_ITEMS = 200          # of one action: the venue's limit
    TAIL = 512               # nonce, signature, vault and expiry
    SLOTS = 4096             # requests that may be under way; the venue allows 100
    CANCELS_PER_ACTION = 39  # the most for one unit of weight

cdef enum:
    R_ORDERS = 1
    R_CANCELS = 2
    R_MODIFY = 3
    R_CALL = 4               # a query or another action: somebody awaits a future

cdef dict _TIF_NAMES = {"gtc": "Gtc", "alo": "Alo", "ioc": "Ioc", "frontendmarket": "FrontendMarket"}
cdef str _GTC = "Gtc"
cdef str _ALO = "Alo"
cdef str _IOC = "Ioc"
cdef str _FRONTEND_MARKET = "FrontendMarket"
cdef object _LIMIT = OrderType.LIMIT
cdef object _MARKET = OrderType.MARKET
cdef object _MAKER = OrderType.LIMIT_MAKER
cdef object _STOP_LIMIT = OrderType.STOP_LIMIT
cdef object _STOP_MARKET = OrderType.STOP_MARKET
cdef object _BUY = TradeType.BUY  # an enum's member is found by a slow path of Python's each time
cdef object _NIL = PositionAction.NIL
cdef object _CLOSE = PositionAction.CLOSE
cdef object _OPEN = PositionAction.OPEN

MAX_EXPIRY_MS = 86_400_000

ROW_DUE_NS = 1_000_000_000
"""A cancel that the venue confirmed should have its row by then."""

LATE_ANSWER_NS = 60_000_000_000
"""An answer is still taken so long after its request."""


cdef inline bint _takes(str tif) noexcept:
    """An order that does not rest. `tif` is one of the interned words of `_TIF_NAMES`."""
    return tif is _IOC or tif is _FRONTEND_MARKET


cdef inline int64_t _budget_ms() noexcept nogil:
    """Budgets are kept on the clock that never steps back."""
    return mono_ns() // 1000000


cdef int _descriptor(Listener listener) except -1:
    return listener.transport.underlying_transport.get_extra_info("socket").fileno()


cdef class _Request:
    """One request that waits for its answer."""


cdef class OrderEntry:
    """Places and cancels orders of one account over one socket.

    `settings`: `hlfast.config.Settings`. `resolve(name) -> TradingRule`, `book_of(coin) -> OrderBook | None`,
    `positions`: the account's `PositionBook`.
    """

    def __cinit__(self, *args, **kwargs):
        self._json = <unsigned char*>malloc(HEADROOM + TAIL + MAX_ITEMS * ORDER_JSON_MAX)
        self._packed = <unsigned char*>malloc(TAIL + MAX_ITEMS * ORDER_PACKED_MAX)
        if self._json == NULL or self._packed == NULL:
            raise MemoryError()

    def __init__(
        self, *, Signer signer, NonceManager nonces, ClientOrderTracker tracker, Limits limits, settings, bint is_mainnet,
        vault=None, resolve, book_of, positions,
    ):
        self.signer = signer
        self.nonces = nonces
        self.tracker = tracker
        self.limits = limits
        self.settings = settings
        self.is_mainnet = is_mainnet
        self.vault = vault
        self._vault = None if vault is None else bytes.fromhex(vault[2:])
        if self._vault is not None and len(self._vault) != 20:
            raise ConfigError(f"a vault address is 0x and 40 hex digits, got {vault!r}")
        self.ids = ClientOrderIds(settings.client_order_id_prefix)
        self.cloids = Cloids()
        self.rules = {}
        self._resolve = resolve
        self._book_of = book_of
        self._positions = positions
        self.not_live_reason = "not connected"
        self._slots = [None] * SLOTS
        self._free = list(range(SLOTS - 1, -1, -1))
        self._pending = {}
        self._confirmed = deque()
        self._expiry_ms = settings.expires_after_ms or 0
        self._timeout_ns = settings.post_timeout_ms * 1_000_000
        self.checks = PreTradeChecks(settings.risk)
        self._fast_cancel = settings.fast_cancel
        self.batcher = None
        if settings.batch_window_ms is not None:
            self.batcher = OrderBatcher(settings.batch_window_ms, self.send, tracker.reject)

    def __dealloc__(self):
        free(self._json)
        free(self._packed)

    # -- the connection ---------------------------------------------------------------------------------------------
    def attach(self, Listener listener not None):
        """A connection is there: cancels and queries may go out. Orders wait for `go_live()`."""
        self._listener = listener

    def go_live(self):
        """The account agrees with the venue: orders may go out."""
        self.live = True

    def warm_up(self, int times=50):
        """Encode and sign an order that is never sent, so that the first real one finds code and tables in the caches."""
        cdef WireBuffer w
        cdef WireOrder o
        cdef InFlightOrder order
        cdef int i
        if not self.rules or (self.signer.allow is not None and "order" not in self.signer.allow):
            return
        rule = <TradingRule>next(iter(self.rules.values()))
        order = make_order(
            "warm-up", "0x" + 32 * "1", rule.coin, rule.trading_pair, rule.asset, rule.sz_decimals, True, 100000000, 1, "Alo", False,
            _LIMIT, _NIL, 0)
        for i in range(times):
            self._begin(&w, 0)
            begin_orders(&w, 1)
            self._wire_order(&o, order, order.px_e8, order.lots, order.tif)
            add_order(&w, &o)
            end_orders(&w)
            if self.signer.pool is None:  # prepared nonces are for orders that are sent
                self._sign_and_close(&w, 1, -1)  # at a time that no venue takes any more
        memset(self._json, 0, HEADROOM + TAIL + ORDER_JSON_MAX)

    def connection_lost(self, str reason):
        """Nothing goes out any more; what was under way has no known outcome."""
        self._listener = None
        self.live = False
        self.not_live_reason = reason
        if self.batcher is not None:
            self.batcher.discard(f"the connection was lost ({reason})")
        for request in list(self._pending.values()):
            self._forget(request, f"the connection was lost ({reason})")

    cdef int _check_live(self) except -1:
        self._check_thread()
        if not self.live or self._listener is None or not self._listener._open:
            raise NotReady(
                f"orders are refused while the account's stream is not live ({self.not_live_reason}); "
                "wait for StreamStatus LIVE, or `await wait_ready()`"
            )
        return 0

    cdef int _check_thread(self) except -1:
        """The buffers and the socket belong to the loop's thread: a foreign one is refused before anything is touched."""
        if self._listener is not None and self._listener._thread != PyThread_get_thread_ident():
            raise ConfigError("orders are sent from the event loop's thread; from another one use loop.call_soon_threadsafe(...)")
        return 0

    cdef int _check_open(self) except -1:
        self._check_thread()
        if self._listener is None or not self._listener._open:
            raise NotReady(f"there is no connection to the venue ({self.not_live_reason}); nothing was sent and nothing is queued")
        return 0

    # -- requests and answers ---------------------------------------------------------------------------------------
    cdef _Request _open_request(self, int kind, tuple orders, object future, str what, int64_t now):
        cdef _Request request = _Request.__new__(_Request)
        cdef int slot
        if not self._free:
            raise NotReady(f"{SLOTS} requests are under way without an answer; the venue does not answer")
        slot = self._free.pop()
        self._generation += 1
        request.kind = kind
        request.orders = orders
        request.future = future
        request.what = what
        request.sent_ns = now
        request.generation = self._generation * SLOTS + slot
        self._slots[slot] = request
        self._pending[request.generation] = request
        return request

    cdef int _close_request(self, _Request request) except -1:
        self._slots[request.generation % SLOTS] = None
        self._free.append(request.generation % SLOTS)
        self._pending.pop(request.generation, None)
        return 0

    def _forget(self, _Request request, str why):
        """No answer will come: orders are unresolved, callers are told."""
        self._close_request(request)
        if not request.timed_out:
            self._without_answer(request, why)

    def _without_answer(self, _Request request, str why):
        if request.kind == R_CALL:
            if not request.future.done():
                request.future.set_exception(
                    UnknownOutcome(f"{request.what}: {why}; whether the venue executed it is not known: ask before sending again")
                )
            return
        for order in request.orders:
            self.tracker.mark_unresolved(order)
            self.unresolved_count += 1
        self.tracker.bus.emit(ConnectorError(
            code="unknown_outcome", recv_ns=now_ns(),
            text=f"{request.what} of {', '.join(o.client_order_id for o in request.orders)}: {why}; asking the venue"))

    def on_reply(self, PostReply reply not None):
        """Apply the venue's answer."""
        cdef _Request request
        cdef int64_t id_ = reply.id
        if id_ < 0:
            return
        request = self._slots[id_ % SLOTS]
        if request is None or request.generation != id_:
            self.stray_answers += 1
            return
        latency.record(latency.ACK, mono_ns() - request.sent_ns)
        if reply.kind == "error" and reply.text.startswith("429"):
            self.limits.note_429(_budget_ms())
        self._close_request(request)
        if request.kind == R_CALL:
            if not request.future.done():
                request.future.set_result(reply)
        elif request.kind == R_ORDERS:
            self._on_orders(request, reply)
        elif request.kind == R_MODIFY:
            self._on_modify(request, reply)
        else:
            self._on_cancels(request, reply)

    cdef int _on_orders(self, _Request request, PostReply reply) except -1:
        cdef ItemStatus item
        cdef InFlightOrder order
        cdef Py_ssize_t n = len(request.orders), i
        if reply.kind == "err" and not reply.statuses:
            reject = self._refusal(reply.text)
            for order in request.orders:
                if reject.code == "expired":
                    self.tracker.expire(order, reply.text, reply.recv_ns)
                else:
                    self.tracker.reject(order, reply.text, reject, reply.recv_ns)
            return 0
        if reply.kind == "error" or not reply.statuses:
            self._without_answer(request, f"the venue answered {reply.text or reply.kind!r}")
            return 0
        for i in range(n):
            order = request.orders[i]
            if i < len(reply.statuses):
                item = reply.statuses[i]
            elif len(reply.statuses) == 1 and (<ItemStatus>reply.statuses[0]).kind == ITEM_ERROR:
                item = reply.statuses[0]  # one error for the whole batch (G17)
            else:
                self._unreadable(order, "the answer has fewer items than the batch", reply)
                continue
            if item.kind == ITEM_RESTING:
                self.tracker.acknowledge(order, item.oid if item.oid else None, reply.recv_ns)
            elif item.kind == ITEM_FILLED:
                try:
                    total = to_scaled(item.total_sz, order.sz_decimals)
                except RangeError:
                    self._unreadable(order, f"filled {item.total_sz!r}", reply)
                    continue
                self.tracker.note_due(order, total, item.oid if item.oid else None, reply.recv_ns)
            elif item.kind == ITEM_ERROR:
                self.tracker.reject(order, item.error, self._refusal(item.error), reply.recv_ns)
            elif item.kind == ITEM_WAITING_FILL or item.kind == ITEM_WAITING_TRIGGER:
                self.tracker.acknowledge(order, None, reply.recv_ns)
            else:
                self._unreadable(order, item.error, reply)
        return 0

    cdef object _refusal(self, str text):
        reject = venue_reject(text)
        if reject.code == "post_only_window" and self.on_post_only is not None:
            self.on_post_only(text)
        return reject

    def _unreadable(self, order, str what, PostReply reply):
        self.tracker.mark_unresolved(order)
        self.tracker.bus.emit(ConnectorError(
            code="unreadable_answer", recv_ns=reply.recv_ns, text=f"{order.client_order_id}: {what}; asking the venue"))

    cdef int _on_cancels(self, _Request request, PostReply reply) except -1:
        """A success only confirms the request; the end itself comes as a row."""
        cdef ItemStatus item
        cdef Py_ssize_t n = len(request.orders), i
        if reply.kind == "error" or (reply.kind != "err" and not reply.statuses):
            self._without_answer(request, f"the venue answered {reply.text or reply.kind!r}")
            return 0
        for i in range(n):
            order = request.orders[i]
            if not reply.statuses:
                self.tracker.cancel_refused(order, reply.text, reply.recv_ns)
                continue
            if i < len(reply.statuses):
                item = reply.statuses[i]
            elif len(reply.statuses) == 1 and (<ItemStatus>reply.statuses[0]).kind == ITEM_ERROR:
                item = reply.statuses[0]
            else:
                self._unreadable(order, "the answer has fewer items than the batch of cancels", reply)
                continue
            if item.kind == ITEM_ERROR:
                self.tracker.cancel_refused(order, item.error, reply.recv_ns)
            elif item.kind == ITEM_SUCCESS:
                self._confirmed.append((mono_ns(), order))
            else:
                self._unreadable(order, item.error, reply)
        return 0

    cdef int _on_modify(self, _Request request, PostReply reply) except -1:
        cdef ItemStatus item
        cdef InFlightOrder order = request.orders[0]
        cdef bint is_newest = request.nonce == order.modify_nonce  # a refusal of an earlier one says nothing of it
        if not is_newest and (reply.kind != "order" or (len(reply.statuses) == 1 and (<ItemStatus>reply.statuses[0]).kind == ITEM_ERROR)):
            return 0
        if reply.kind == "err" and not reply.statuses:
            self.tracker.modify_refused(order, reply.text, venue_reject(reply.text).code == "modify_lost", reply.recv_ns)
            return 0
        if reply.kind == "error" or len(reply.statuses) != 1:
            self._without_answer(request, f"the venue answered {reply.text or reply.kind!r}")
            return 0
        item = reply.statuses[0]
        if item.kind == ITEM_RESTING or item.kind == ITEM_FILLED:
            self.tracker.modify_accepted(order, item.oid, reply.recv_ns)
        elif item.kind == ITEM_ERROR:
            self.tracker.modify_refused(order, item.error, venue_reject(item.error).code == "modify_lost", reply.recv_ns)
        else:
            self._unreadable(order, item.error, reply)
        return 0

    def tick(self, int64_t now):
        """Give up waiting for answers that are overdue. A late one is still taken."""
        cdef _Request request
        cdef int64_t mono = mono_ns()
        while self._confirmed and mono - self._confirmed[0][0] > ROW_DUE_NS:
            order = self._confirmed.popleft()[1]
            if not order.is_done:  # cancelled by the venue's word, and its row has not come
                self.tracker.ask_about(order)
        if not self._pending:
            return
        for held in list(self._pending.values()):
            request = held
            age = mono - request.sent_ns
            if age > LATE_ANSWER_NS:
                self._close_request(request)
            if age > self._timeout_ns and not request.timed_out:
                request.timed_out = True
                self._without_answer(request, f"no answer within {self._timeout_ns // 1_000_000} ms")

    @property
    def in_flight(self):
        """Requests that wait for an answer."""
        return len(self._pending)

    # -- placing ----------------------------------------------------------------------------------------------------
    def submit(
        self, coin, bint is_buy, size=None, price=None, *, tif=None, bint reduce_only=False, trigger=None, rounding="refuse",
        client_order_id=None, cloid=None, order_type=None, position_action=_NIL, expires_after_ms=None,
    ):
        """One order: checked, tracked, signed and written when this returns. Raises before anything is tracked."""
        cdef int64_t started = now_ns(), expires
        cdef InFlightOrder order
        if isinstance(coin, OrderParams):
            if (
                size is not None or price is not None or tif is not None or reduce_only or trigger is not None
                or rounding != "refuse" or client_order_id is not None or cloid is not None or order_type is not None
                or position_action is not _NIL or expires_after_ms is not None
            ):
                raise ConfigError("an OrderParams carries every field itself; pass it alone")
            order = self._from_params(started, <OrderParams>coin, is_buy)
            expires_after_ms = (<OrderParams>coin).expires_after_ms
        else:
            order = self._prepare(
                started, coin, is_buy, size, price, tif, reduce_only, trigger, rounding, client_order_id, cloid, order_type, position_action)
        expires = self._expiry(order, expires_after_ms)
        self._check_live()
        self._check_room(1, started)
        self._check_risk(order, 0, 0)
        self.tracker.start(order)
        if self.batcher is not None:
            self.batcher.add(order, expires)
            return order
        group = (order,)
        self._tell_written([(group, self._write_orders(group, expires, started, now_ns()), expires)])
        return order

    def place(self, orders, grouping=None):
        """Several orders, all checked before any is tracked; an error names the index.

        One action with one signature; where post-only orders stand beside others they go ahead in an action of their
        own, because one Gtc or Ioc would cost the whole action its priority (protocol, section 3.9). With a `grouping`
        they stay together: "na", or "normalTpsl" for an entry and its closing triggers.
        """
        cdef int64_t started = now_ns(), checked, earliest
        cdef InFlightOrder order
        cdef OrderParams params
        cdef list given = list(orders), prepared = [], expiries = [], resting = [], others = []
        cdef dict ahead = {}  # what the batch itself adds to each side of each instrument
        cdef Py_ssize_t n = len(given), i
        cdef bint named = False
        if n == 0:
            raise ConfigError("place() takes at least one OrderParams, got none")
        if grouping is not None and grouping != "na" and grouping != "normalTpsl":
            raise ConfigError(f"grouping is None, 'na' or 'normalTpsl', got {grouping!r}")
        if n > MAX_ITEMS_PER_ACTION:
            raise OrderDenied(f"an action has at most {MAX_ITEMS_PER_ACTION} orders, got {n}; split them")
        for i in range(n):
            try:
                if not isinstance(given[i], OrderParams):
                    raise ConfigError(f"expected an OrderParams, got {type(given[i]).__name__}")
                params = <OrderParams>given[i]
                if params.side is None:
                    raise ConfigError("side is needed: TradeType.BUY or TradeType.SELL")
                order = self._from_params(started, params, params.side is _BUY)
                expiries.append(self._expiry(order, params.expires_after_ms))
                prepared.append(order)
                if order.tif is _ALO and grouping is None:
                    resting.append(i)
                else:
                    others.append(i)
                named = named or params.client_order_id is not None or params.cloid is not None
            except (ConfigError, OrderDenied, NotReady) as error:
                raise type(error)(f"order {i} of {n}: {error}") from None
        if named:  # names of ours differ by themselves
            if len({(<InFlightOrder>o).client_order_id for o in prepared}) != n:
                raise ConfigError("two orders of one batch have the same client_order_id")
            if len({(<InFlightOrder>o).cloid for o in prepared}) != n:
                raise ConfigError("two orders of one batch have the same cloid")
        self._check_live()
        self._check_room(<int>n, started)
        for i in range(n):
            order = prepared[i]
            try:
                if self.checks.counts_positions:
                    side = (order.coin, order.is_buy)
                    lots = ahead.get(side, 0)
                    self._check_risk(order, i, lots)
                    ahead[side] = lots + order.lots
                else:
                    self._check_risk(order, i, 0)
            except OrderDenied as error:
                raise OrderDenied(f"order {i} of {n}: {error}") from None
        for order in prepared:
            self.tracker.start(order)
        checked = now_ns()
        waiting = []
        for indices in (resting, others):
            if indices:
                # One expiry an action: the earliest, and none if an order of it is to rest without one.
                earliest = min([expiries[at] for at in indices])
                waiting.append((tuple([prepared[at] for at in indices]), earliest))
        self._linked = grouping == "normalTpsl"
        try:
            self._send_actions(waiting, started, checked)
        finally:
            self._linked = False
        return prepared

    def send(self, list actions):
        """Tracked orders, as (tuple of orders, expiry in ms or 0) for each action: signed and written when this returns."""
        cdef int64_t now = now_ns()
        self._check_live()
        self._send_actions(actions, now, now)

    cdef int _send_actions(self, list waiting, int64_t started, int64_t checked) except -1:
        """All actions are written before anything is told of one: a handler that cancels must not end what is about to leave."""
        cdef list written = []
        waiting = list(waiting)
        try:
            while waiting:
                group, expires = waiting[0]
                written.append((group, self._write_orders(group, expires, started, checked), expires))
                del waiting[0]
                started = checked = now_ns()  # a second action is timed by itself
        except BaseException as error:
            for group, expires in waiting:
                for order in group:
                    if not is_finished((<InFlightOrder>order).state_):
                        self.tracker.reject(order, f"not sent: {error}")
            raise
        finally:
            self._tell_written(written)
        return 0

    cdef int _check_room(self, int n, int64_t now) except -1:
        self.signer._check_allowed("order")
        if len(self._pending) >= POSTS_IN_FLIGHT - 10:
            raise NotReady(f"{len(self._pending)} requests wait for an answer (the venue allows {POSTS_IN_FLIGHT}); wait, or batch orders")
        if self.ring is not None and not self.ring.takes(n):
            raise NotReady(f"no new orders: {self.ring.refusal}")
        self.limits.check_order(n, mono_of(now) // 1000000)
        return 0

    cdef int _check_risk(self, InFlightOrder order, int64_t ahead, int64_t ahead_lots) except -1:
        """The local limits. `ahead`: orders of the same batch that are not tracked yet, `ahead_lots`: on the same side."""
        cdef int64_t held = 0, resting = 0
        cdef object book = None
        if self.checks.counts_positions:
            held = self._positions.lots_of(order.coin)
            resting = self.tracker.resting_lots(order.coin, order.is_buy) + ahead_lots
        if self.checks.bounds_prices:
            book = self._book_of(order.coin)
        return self.checks.check(order, held, resting, <int64_t>len(self.tracker._active) + ahead, book)

    cdef int _check_changed(self, InFlightOrder order, int64_t px, int64_t leg) except -1:
        """The local limits for a modify: as for an order of the new leg, in place of what rests now."""
        cdef InFlightOrder leg_order = make_order(
            order.client_order_id, order.cloid, order.coin, order.trading_pair, order.asset, order.sz_decimals, order.is_buy, px, leg,
            order.tif, order.reduce_only, order.order_type, order.position_action, order.created_ns)
        return self.checks.check(
            leg_order, self._positions.lots_of(order.coin),
            self.tracker.resting_lots(order.coin, order.is_buy) - order.remaining_lots, 0, self._book_of(order.coin))

    cdef InFlightOrder _from_params(self, int64_t now, OrderParams p, bint is_buy):
        side = p.side
        if side is not None and (side is _BUY) != is_buy:
            raise ConfigError(f"the OrderParams say side {side}, the call says {'BUY' if is_buy else 'SELL'}")
        return self._prepare(
            now, p.coin, is_buy, p.size, p.price, p.tif, p.reduce_only, p.trigger, p.rounding, p.client_order_id, p.cloid,
            p.order_type, p.position_action)

    cdef TradingRule _rule(self, object coin):
        rule = self.rules.get(coin) if isinstance(coin, str) else None
        if rule is None:
            if not isinstance(coin, str) or not coin:
                raise ConfigError(f"which instrument? got {coin!r}; give its name, such as 'BTC'")
            rule = self._resolve(coin)
        return <TradingRule>rule

    cdef InFlightOrder _prepare(
        self, int64_t now, object coin, bint is_buy, object size, object price, object tif, bint reduce_only, object trigger,
        object rounding, object client_order_id, object cloid, object order_type, object position_action,
    ):
        """Check everything that can be known here, and make the order. Nothing is tracked. `now`: epoch ns."""
        cdef TradingRule rule = self._rule(coin)
        cdef int mode = ROUND_REFUSE
        cdef int64_t px = 0, lots, trigger_px = 0
        cdef InFlightOrder order
        cdef str error
        if not rule.trades():
            raise OrderDenied(f"{rule.coin} is delisted: it does not trade any more")
        if size is None:
            raise ConfigError(f"{rule.coin}: size is needed")
        if rounding != "refuse":
            mode = rounding_mode(rounding)

        # what kind of order it is
        if tif is not None and tif is not _GTC and tif is not _ALO and tif is not _IOC:
            known = _TIF_NAMES.get(tif.lower()) if isinstance(tif, str) else None
            if known is None:
                raise ConfigError(f"tif must be one of {', '.join(TIFS)}, got {tif!r}")
            tif = known
        if order_type is None:
            if trigger is not None:
                order_type = _STOP_MARKET if trigger.is_market else _STOP_LIMIT
            elif price is None:
                order_type = _MARKET
            else:
                order_type = _MAKER if tif == "Alo" else _LIMIT
        if order_type is _LIMIT or order_type is _MAKER:
            if price is None:
                raise ConfigError(f"{rule.coin}: a {order_type} order needs a price")
            if order_type is _MAKER:
                if tif is not None and tif != "Alo":
                    raise ConfigError(f"{rule.coin}: a LIMIT_MAKER order is Alo, got tif={tif!r}")
                tif = "Alo"
        if order_type is _MARKET:
            if tif is not None and tif != "Ioc" and tif != "FrontendMarket":
                raise ConfigError(f"{rule.coin}: a market order is Ioc, got tif={tif!r}; give a price for a limit order")
            tif = "Ioc" if tif is None else tif
        if order_type is _STOP_LIMIT or order_type is _STOP_MARKET:
            if not isinstance(trigger, Trigger):
                raise ConfigError(f"{rule.coin}: a {order_type} order needs trigger=Trigger(price), got {trigger!r}")
            if trigger.kind not in ("sl", "tp"):
                raise ConfigError(f"{rule.coin}: a trigger's kind is 'sl' or 'tp', got {trigger.kind!r}")
            if price is None:
                raise ConfigError(f"{rule.coin}: a {order_type} order needs a price: the limit that holds once it fires")
            trigger_px = rule.price_to_e8(trigger.price, is_buy, mode)
        elif trigger is not None:
            raise ConfigError(f"{rule.coin}: a {order_type} order has no trigger, got {trigger!r}")
        if tif is None:
            tif = "Gtc"
        if position_action is _CLOSE:
            reduce_only = True
        elif position_action is _OPEN and reduce_only:
            raise ConfigError(f"{rule.coin}: position_action OPEN contradicts reduce_only=True")
        if reduce_only and not rule.is_perpetual:
            raise OrderDenied(f"{rule.coin}: reduce-only is for perpetuals; spot has no positions")

        # its numbers
        lots = rule.size_to_lots(size, mode)
        if price is None:
            px = self._market_cap(rule, is_buy)
        else:
            px = rule.price_to_e8(price, is_buy, mode)
        # Of a taking order the venue tests the value at the first price it matches: a sell's limit says nothing of that.
        takes = _takes(tif)
        error = rule.check_limits(px, lots, reduce_only or (takes and not is_buy))
        if error:
            raise OrderDenied(f"{rule.coin}: {error}")

        # its names
        if cloid is None:
            cloid = self.cloids.take()
        elif not is_cloid(cloid):
            raise ConfigError(f"a cloid is 0x and 32 lower-case hex digits (128 bits, not all zero), got {cloid!r}")
        elif cloid in self.tracker._by_cloid:
            raise ConfigError(f"cloid {cloid} is in use already; every order needs its own")
        if client_order_id is None:
            client_order_id = self.ids.take(now)
        elif not isinstance(client_order_id, str) or not 0 < len(client_order_id) <= 36:
            raise ConfigError(f"a client_order_id is text of 1 to 36 characters, got {client_order_id!r}")
        elif client_order_id in self.tracker._by_id:
            raise ConfigError(f"client_order_id {client_order_id!r} is in use already; every order needs its own")
        order = make_order(
            client_order_id, cloid, rule.coin, rule.trading_pair, rule.asset, rule.sz_decimals, is_buy, px, lots, tif,
            reduce_only, order_type, position_action, now)
        order.trigger_px_e8 = trigger_px
        order.trigger = trigger
        return order

    cdef int64_t _market_cap(self, TradingRule rule, bint is_buy) except -1:
        """The limit of a market order: the best opposite price and the setting's slippage. Refused without a fresh book."""
        cdef OrderBook book
        cdef int64_t best, cap
        cdef int bps = self.settings.market_slippage_bps
        found = self._book_of(rule.coin)
        if found is None:
            raise NotReady(f"{rule.coin}: a market order needs its book to know a fair cap; watch({rule.coin!r}) first, or give a price")
        book = found
        if book.is_stale or not book.epoch or now_ns() - book.recv_ns > <int64_t>self.settings.book_max_age_ms * 1000000:
            raise NotReady(f"{rule.coin}: the book is stale ({book.stale_reason or 'too old'}); a market order has no fair cap now")
        if (book.n_asks if is_buy else book.n_bids) == 0:
            raise NotReady(f"{rule.coin}: the book has no {'asks' if is_buy else 'bids'}; a market order would find nothing")
        best = book.asks[0].px_e8 if is_buy else book.bids[0].px_e8
        cap = <int64_t>(<int128>best * bps // 10000)
        if is_buy:
            cap = rule.price_floor(best + cap)
            return cap if cap >= best else best
        cap = rule.price_ceil(best - cap)
        return cap if 0 < cap <= best else best

    cdef int64_t _expiry(self, InFlightOrder order, object expires_after_ms) except -1:
        """When the venue is to refuse it, in ms since the epoch; 0 for never."""
        cdef int64_t after
        if expires_after_ms is None:
            after = self._expiry_ms if _takes(order.tif) else 0
        else:
            after = expires_after_ms
            if not 0 <= after <= MAX_EXPIRY_MS:
                raise ConfigError(f"expires_after_ms is a number of ms from now up to a day, 0 for none, got {expires_after_ms!r}")
        return wall_ms() + after if after else 0

    cdef int64_t _write_orders(self, tuple orders, int64_t expires, int64_t started, int64_t checked) except -1:
        """Encode, sign and write tracked orders as one action; returns its nonce, 0 if the connection was gone.

        `started`, `checked`: epoch ns of the call and of the end of its checks.
        """
        cdef WireBuffer w
        cdef WireOrder o
        cdef InFlightOrder order
        cdef _Request request = None
        cdef int64_t nonce, encoded, signed, done
        cdef int written
        try:
            request = self._open_request(R_ORDERS, orders, None, "placing", mono_of(checked))
            nonce = self.nonces.take()
            if self.ring is not None:
                for order in orders:
                    if not self.ring.put_intent(order, nonce, expires, checked):
                        raise NotReady(self.ring.refusal)
            self._begin(&w, request.generation)
            begin_orders(&w, <int>len(orders))
            for order in orders:
                self._wire_order(&o, order, order.px_e8, order.lots, order.tif)
                add_order(&w, &o)
            if self._linked:
                self._linked = False  # before anybody is told of it: a handler may place orders of its own
                end_linked_orders(&w)
            else:
                end_orders(&w)
            encoded = now_ns()
            self._sign_and_close(&w, nonce, expires if expires else -1)
            signed = now_ns()
            written = self._write(&w)
        except Exception as error:
            # Nothing has left: a definite local failure.
            if request is not None:
                self._close_request(request)
            for order in orders:
                if not is_finished(order.state_):
                    self.tracker.reject(order, f"not sent: {error}")
            raise
        if written != 1:
            self._close_request(request)
            return 0
        done = now_ns()
        latency.order_sent(done, checked - started, encoded - checked, signed - encoded, done - signed, done - started)
        self.limits.spend("order", action_weight(len(orders)), mono_of(done) // 1000000, len(orders))
        self.orders_sent += len(orders)
        return nonce

    cdef int _write(self, WireBuffer* w) except -1:
        """Hand a signed action to the socket, as `Listener.write`: orders, modifies and cancels leave here and nowhere else."""
        cdef int written
        at(AFTER_RING)
        if armed == MID_WRITE:
            reached_mid_write(_descriptor(self._listener), w.json, w.json_size)
        written = self._listener.write(w.json, w.json_size)
        at(AFTER_WRITE)
        return written

    cdef int _tell_written(self, list written) except -1:
        """What was written, as (orders, nonce, expiry), is PENDING_SUBMIT; what found no connection (nonce 0) has failed."""
        cdef bint lost = False
        for group, nonce, expires in written:
            lost = lost or not nonce
        if not lost:
            return self.tracker.submitted(written, now_ns())
        self.tracker.submitted([action for action in written if action[1]], now_ns())
        for group, nonce, expires in written:
            if not nonce:
                for order in group:
                    self.tracker.reject(order, "not sent: the connection was gone")
        return 0

    cdef int _wire_order(self, WireOrder* o, InFlightOrder order, int64_t px_e8, int64_t lots, object tif) except -1:
        o.asset = <uint32_t>order.asset
        o.is_buy = order.is_buy
        o.reduce_only = order.reduce_only
        o.tif = tif_code(tif)
        o.sz_decimals = order.sz_decimals
        o.px_e8 = px_e8
        o.lots = lots
        o.trigger_px_e8 = order.trigger_px_e8
        if order.trigger_px_e8:
            o.trigger_is_market = order.trigger.is_market
            o.trigger_is_tp = order.trigger.kind == "tp"
        o.has_cloid = True
        return copy_cloid(order.cloid, o.cloid)

    # -- modifying --------------------------------------------------------------------------------------------------
    def modify(self, given, *, price=None, size=None, rounding="refuse"):
        """Ask for another price or total size of a resting order. False if it is unknown, ended, or being changed.

        `size` is the new total, filled part included. The venue cancels the order and places a new one under the same
        cloid: time priority is lost, and the new one must rest (it is sent as Alo unless the order is a Gtc; the venue
        takes a Gtc that does not match at once). Raises as `submit` does, before anything is sent.
        """
        cdef InFlightOrder order = self._order_of(given)
        cdef TradingRule rule
        cdef int64_t px, lots, leg, nonce
        cdef int mode = ROUND_REFUSE
        cdef _Request request
        cdef WireBuffer w
        cdef WireOrder o
        cdef str error
        if price is None and size is None:
            raise ConfigError("modify needs a new price or a new size")
        if order is None or not order.is_fillable or order.modify_pending:
            return False
        if order.is_external:
            raise OrderDenied(f"{order.client_order_id} was placed elsewhere; it is watched here and not changed")
        if rounding != "refuse":
            mode = rounding_mode(rounding)
        rule = self._rule(order.coin)
        px = order.px_e8 if price is None else rule.price_to_e8(price, order.is_buy, mode)
        lots = order.lots if size is None else rule.size_to_lots(size, mode)
        leg = lots - order.filled_lots
        if leg <= 0:
            raise OrderDenied(f"{order.client_order_id}: {order.filled_amount} of it is filled already; a new total has to be larger, or cancel it")
        if px == order.px_e8 and lots == order.lots:
            return False
        error = rule.check_limits(px, leg, order.reduce_only)
        if error:
            raise OrderDenied(f"{rule.coin}: {error}")
        self._check_live()
        self._check_changed(order, px, leg)
        self.signer._check_allowed("batchModify")
        self.limits.check_order(1, _budget_ms())
        request = self._open_request(R_MODIFY, (order,), None, "modifying", mono_ns())
        try:
            nonce = request.nonce = self.nonces.take()
            if self.ring is not None and not self.ring.put_modify(order, px, leg, nonce, now_ns()):
                raise NotReady(f"no modifies: {self.ring.refusal}")
            self._begin(&w, request.generation)
            begin_modifies(&w, 1)
            self._wire_order(&o, order, px, leg, order.tif)
            add_modify(&w, o.cloid, &o)
            end_modifies(&w)
            self._sign_and_close(&w, nonce, -1)
            written = self._write(&w)
        except Exception:
            self._close_request(request)
            raise
        if written != 1:
            self._close_request(request)
            raise NotReady("the connection was gone before the modify was sent; nothing was sent and nothing is queued")
        self.limits.spend("modify", 1, _budget_ms(), 1)
        return bool(self.tracker.request_modify(order, px, leg, nonce))

    # -- cancelling -------------------------------------------------------------------------------------------------
    cdef InFlightOrder _order_of(self, object given):
        if isinstance(given, InFlightOrder):
            return <InFlightOrder>given
        if isinstance(given, int) and not isinstance(given, bool):
            return <InFlightOrder>self.tracker.get_order_by_exchange_id(given)
        found = self.tracker._by_id.get(given)
        return <InFlightOrder>(self.tracker.get_order_by_cloid(given) if found is None else found)

    def order_of(self, given):
        """The order that is meant by itself, its client order id, its cloid (text) or the venue's id (int); None if unknown."""
        return self._order_of(given)

    def cancel(self, given):
        """Ask for the cancel of an order, named as for `order_of`. False if it is unknown or has ended."""
        cdef InFlightOrder order = self._order_of(given)
        if order is None or is_finished(order.state_):
            return False
        self._check_open()
        self._flush_batch()
        return self._send_cancels((order,)) == 1

    def cancel_all(self, coin=None):
        """Ask for the cancel of every own live order (of `coin`); returns how many were asked for."""
        return self.cancel_many([o for o in self.tracker.active_orders if coin is None or o.coin == coin])

    def cancel_many(self, orders):
        """Ask for the cancel of `orders`, as few actions as the venue's weights make sensible; returns how many were asked for."""
        cdef int n = 0
        live = [o for o in orders if not (<InFlightOrder>o).is_done]
        if not live:
            return 0
        self._check_open()
        self._flush_batch()
        for group in ([o for o in live if o.cloid is not None], [o for o in live if o.cloid is None]):
            for start in range(0, len(group), CANCELS_PER_ACTION):
                n += self._send_cancels(tuple(group[start : start + CANCELS_PER_ACTION]))
        return n

    cdef int _flush_batch(self) except -1:
        """What waits in the micro-batcher leaves ahead of a cancel, which may be for one of it."""
        if self.batcher is not None:
            self.batcher.flush()
        return 0

    cdef int _send_cancels(self, tuple orders) except -1:
        """Returns how many cancels were handed to the socket. All of `orders` have a cloid, or it is one without."""
        cdef WireBuffer w
        cdef InFlightOrder order
        cdef _Request request
        cdef char cloid[34]
        cdef bint by_cloid = (<InFlightOrder>orders[0]).cloid is not None
        cdef bint fast = self._fast_cancel and all([(<InFlightOrder>o).trigger_px_e8 == 0 for o in orders])
        cdef int written
        self.signer._check_allowed("cancelByCloid" if by_cloid else "cancel")
        request = self._open_request(R_CANCELS, orders, None, "cancelling", mono_ns())
        try:
            self._begin(&w, request.generation)
            begin_cancels(&w, <int>len(orders), by_cloid, fast)
            for order in orders:
                asset = order.asset if order.asset >= 0 else self._rule(order.coin).asset
                if by_cloid:
                    copy_cloid(order.cloid, cloid)
                    add_cancel(&w, asset, 0, cloid)
                elif order.oid:
                    add_cancel(&w, asset, <uint64_t>order.oid, NULL)
                else:
                    raise OrderDenied(f"{order.client_order_id} has neither a cloid nor an id of the venue: it cannot be named to the venue")
            end_cancels(&w, fast)
            nonce = self.nonces.take()
            if self.ring is not None:
                for order in orders:
                    self.ring.put_cancel(order, nonce, now_ns())
            self._sign_and_close(&w, nonce, -1)
            written = self._write(&w)
        except Exception:
            self._close_request(request)
            raise
        if written != 1:
            self._close_request(request)
            raise NotReady("the connection was gone before the cancel was sent; nothing was sent and nothing is queued")
        self.limits.spend("cancel", action_weight(len(orders)), _budget_ms(), len(orders))
        self.cancels_sent += len(orders)
        for order in orders:
            self.tracker.request_cancel(order)
        return <int>len(orders)

    # -- the envelope -----------------------------------------------------------------------------------------------
    cdef int _begin(self, WireBuffer* w, int64_t id_) noexcept nogil:
        cdef Py_ssize_t n
        w.packed = self._packed
        w.packed_size = 0
        w.json = self._json + HEADROOM
        memcpy(w.json, b'{"method":"post","id":', 22)
        n = put_digits(w.json, 22, <uint64_t>id_)
        memcpy(w.json + n, b',"request":{"type":"action","payload":{"action":', 48)
        w.json_size = n + 48
        w.items = 0
        return 0

    cdef int _sign_and_close(self, WireBuffer* w, int64_t nonce, int64_t expires) except -1:
        """Sign what `packed` holds, and end the envelope. `expires`: ms since the epoch, -1 for none."""
        cdef Py_ssize_t n = w.json_size
        cdef unsigned char* j = w.json
        cdef const unsigned char* vault = NULL
        if self._vault is not None:
            vault = <const unsigned char*><char*>self._vault
        memcpy(j + n, b',"nonce":', 9)
        n = put_digits(j, n + 9, <uint64_t>nonce)
        memcpy(j + n, b',"signature":', 13)
        n += 13
        n += self.signer.write_signature(
            w.packed, w.packed_size, <uint64_t>nonce, vault, expires, self.is_mainnet, j + n)
        if vault != NULL:
            memcpy(j + n, b',"vaultAddress":"0x', 19)
            n = put_hex(j, n + 19, vault, 20)
            memcpy(j + n, b'","expiresAfter":', 17)
            n += 17
        else:
            memcpy(j + n, b',"vaultAddress":null,"expiresAfter":', 36)
            n += 36
        if expires >= 0:
            n = put_digits(j, n, <uint64_t>expires)
        else:
            memcpy(j + n, b"null", 4)
            n += 4
        memcpy(j + n, b"}}}", 3)
        w.json_size = n + 3
        return 0

    # -- queries and other actions ----------------------------------------------------------------------------------
    async def ask(self, payload):
        """A query over the socket: its value. Raises `NotReady` without a connection, `UnknownOutcome` without an answer."""
        kind = payload.get("type")
        self.limits.check_query(_budget_ms())
        reply = await self.call({"type": "info", "payload": payload}, f"the query {kind!r}")
        rows = len(reply.data) if isinstance(reply.data, list) else 0
        self.limits.spend(f"query {kind}", query_weight(kind, rows), _budget_ms())
        if reply.kind != "info":
            raise NotReady(f"the venue did not answer the query {kind!r}: {reply.text or reply.kind}")
        return reply.data

    async def act(self, action, nonce=None):
        """Any L1 action: signed, sent, and the venue's answer. Raises `VenueReject`, `NotReady` or `UnknownOutcome`.

        `nonce`: only for a `noop` that is to burn the nonce of an action whose fate is unknown.
        """
        kind = action.get("type")
        if nonce is None:
            nonce = self.nonces.take()
            if self.ring is not None:
                self.ring.put_nonce(nonce, now_ns())
        elif kind != "noop":
            raise ConfigError(f"a nonce of your own is for noop alone, got it for {kind!r}; leave it out")
        signature = self.signer.sign_l1_action(action, nonce, vault_address=self.vault, is_mainnet=self.is_mainnet)
        payload = {
            "action": action, "nonce": nonce, "signature": signature, "vaultAddress": self.vault, "expiresAfter": None,
        }
        reply = await self.call({"type": "action", "payload": payload}, f"the action {kind!r}")
        self.limits.spend(f"action {kind}", 1, _budget_ms(), 1)
        if reply.kind == "err":
            raise venue_reject(reply.text)
        if reply.kind in ("error", "unknown"):
            raise UnknownOutcome(f"the venue answered {reply.text!r} to {kind!r}; whether it was executed is not known")
        return {"type": reply.kind, "data": reply.data}

    async def call(self, request_body, what):
        """Post a request and wait for the venue's answer, a `PostReply`: a query, or an action that is signed already.

        `what` names it in errors. Raises `NotReady` if nothing was sent, `UnknownOutcome` if no answer came.
        """
        cdef _Request request
        self._check_open()
        future = asyncio.get_running_loop().create_future()
        request = self._open_request(R_CALL, (), future, what, mono_ns())
        try:
            message = orjson.dumps({"method": "post", "id": request.generation, "request": request_body})
            sent = self._listener.send(message)
        except BaseException:
            self._close_request(request)
            raise
        if not sent:
            self._close_request(request)
            raise NotReady(f"{what} was not sent: the connection is gone")
        try:
            return await future
        finally:
            if future.cancelled() and request.generation in self._pending:
                self._close_request(request)
