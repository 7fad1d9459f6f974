"""Frame router and scanners of Hyperliquid (layer 2, hot): from the socket's bytes to books, trades, rows and answers.

One `Router` reads one connection. The frames that matter for speed (l2Book, bbo, trades, orderUpdates, userFills, and
answers to order and cancel actions) have a hand-written scanner for the venue's own spelling: compact, its key order,
no escapes. Whatever surprises a scanner goes to orjson and ends in the same functions, so the result is the same; the
counter `fallbacks` says how often. A scanner changes nothing that anybody can see before it has read its whole frame.

Prices are int64 scaled by 1e8, sizes int64 in lots of 10**-szDecimals; `recv_ns` is epoch nanoseconds. What must hold:
nothing is read at or beyond the frame's end; `on_frame` does not raise (but for KeyboardInterrupt and SystemExit); an
l2Book frame makes no Python object. Protocol: sections 1.3, 3.11, 5.1 and 5.4.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport INT64_MIN, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from hlfast.clock cimport now_ns
from hlfast.core.crash_points cimport BEFORE_PARSE, armed, reached_before_parse
from hlfast.core.fixed cimport NUM_MALFORMED, NUM_OK, NUM_RANGE, parse_scaled
from hlfast.core.frame_sink cimport FrameSink
from hlfast.core.latency cimport enter_frame, frame_done
from hlfast.core.order_book cimport BOOK_BAD, BOOK_OLDER, Bbo, Level, OrderBook
from hlfast.core.top_of_book cimport TopOfBook
from hlfast.core.trading_rule cimport TradingRule
from hlfast.core.updates cimport OrderUpdate, Trade, make_order_update, make_trade, make_trade_update
from hlfast.venues.hyperliquid.json_cursor cimport (
    FillRow, OrderRow, Text, TradeRow, after_row, fill_of, int_of, level_of, literal, order_of, read_int, read_text,
    scan_bool, scan_cloid, scan_fill, scan_level, scan_order, scan_trade, text_of, trade_of,
)

from decimal import Decimal
from enum import IntEnum

import orjson

from hlfast.errors import ConfigError
from hlfast.types import OrderState

cdef enum:               # what a scanner says about a frame
    DONE = 0             # read and acted upon
    SURPRISE = 1         # not as the venue spells it: orjson decides, and the fallback is counted
    COLD = 2             # a kind that orjson reads by design

cdef enum:               # places in Router._count, and of their names in COUNTERS
    FRAMES, FALLBACKS, MALFORMED, UNKNOWN_CHANNEL, UNKNOWN_STATUS, UNKNOWN_COIN, UNKNOWN_REPLY, OLDER, HANDLER_ERRORS
    GREETINGS, L2BOOK, BBO, TRADES, ORDER_UPDATES, USER_FILLS, POST

COUNTERS = (
    "frames", "fallbacks", "malformed", "unknown_channel", "unknown_status", "unknown_coin", "unknown_reply", "older",
    "handler_errors", "greetings", "channel_l2Book", "channel_bbo", "channel_trades", "channel_orderUpdates",
    "channel_userFills", "channel_post",
)

COLD_CHANNELS = (
    "subscriptionResponse", "pong", "error", "user", "allMids", "candle", "activeAssetCtx", "activeSpotAssetCtx",
    "assetCtxs", "spotAssetCtxs", "allDexsAssetCtxs", "fastAssetCtxs", "outcomeMetaUpdates", "notification",
    "userFundings", "userNonFundingLedgerUpdates", "userHistoricalOrders", "userTwapSliceFills", "userTwapHistory",
    "activeAssetData", "clearinghouseState", "allDexsClearinghouseState", "openOrders", "spotState", "twapStates",
    "webData2", "webData3",
)

cdef bytes GREETING = b"Websocket connection established."
cdef object _loads = orjson.loads
cdef object _D = Decimal
cdef int64_t NOT_KNOWN = INT64_MIN
cdef Py_ssize_t EXCERPT = 200
cdef int MOST_LEVELS = 65536             # a side; the venue sends 20
cdef int UNKNOWN_COIN_DECIMALS = 8

cdef int OPEN = OrderState.OPEN, FILLED = OrderState.FILLED
cdef int CANCELLED = OrderState.CANCELLED, FAILED = OrderState.FAILED

# Every status word of the protocol (section 3.11) and the state that it means.
STATUS_WORDS = {
    OrderState.OPEN: ("open", "triggered"),
    OrderState.FILLED: ("filled",),
    OrderState.CANCELLED: (
        "canceled", "marginCanceled", "vaultWithdrawalCanceled", "openInterestCapCanceled", "selfTradeCanceled",
        "reduceOnlyCanceled", "siblingFilledCanceled", "delistedCanceled", "liquidatedCanceled",
        "outcomeSettledCanceled", "scheduledCancel", "internalCancel",
    ),
    OrderState.FAILED: (
        "rejected", "tickRejected", "minTradeNtlRejected", "perpMarginRejected", "reduceOnlyRejected",
        "badAloPxRejected", "iocCancelRejected", "badTriggerPxRejected", "marketOrderNoLiquidityRejected",
        "positionIncreaseAtOpenInterestCapRejected", "positionFlipAtOpenInterestCapRejected",
        "tooAggressiveAtOpenInterestCapRejected", "openInterestIncreaseRejected", "insufficientSpotBalanceRejected",
        "oracleRejected", "perpMaxPositionRejected", "tooManyOpenOrdersRejected",
    ),
}
cdef dict _STATE_OF = {word: int(state) for state, words in STATUS_WORDS.items() for word in words}


class ItemKind(IntEnum):
    """What the venue says about one order or cancel of an action."""

    UNKNOWN = ITEM_UNKNOWN
    RESTING = ITEM_RESTING
    FILLED = ITEM_FILLED
    ERROR = ITEM_ERROR
    SUCCESS = ITEM_SUCCESS
    WAITING_FILL = ITEM_WAITING_FILL
    WAITING_TRIGGER = ITEM_WAITING_TRIGGER


cdef int _state_of(str status) except -2:
    """The `OrderState` of a status word: the exact table, then the suffix rule, else -1."""
    state = _STATE_OF.get(status)
    if state is not None:
        return state
    if status.endswith("Rejected"):
        return FAILED
    if status.endswith("Canceled") or status.endswith("Cancel"):
        return CANCELLED
    return -1


# -- pieces of text ---------------------------------------------------------------------------------------------------
cdef inline str _str(Text* t):
    return "" if t.p == NULL else PyUnicode_DecodeUTF8(t.p, t.n, NULL)


cdef inline bint _is(Text* t, const char* word, Py_ssize_t n) noexcept nogil:
    return t.p != NULL and t.n == n and memcmp(t.p, word, n) == 0


cdef inline int _number(Text* t, int decimals, int64_t* out) noexcept nogil:
    """`parse_scaled` of a text that may be absent. NUM_OFF_GRID and NUM_RANGE mean that `Decimal` can read it."""
    cdef int status
    cdef Py_ssize_t i, points = 0
    if t.p == NULL:
        return NUM_MALFORMED
    status = parse_scaled(t.p, t.n, decimals, out)
    if status == NUM_RANGE:                 # said before the rest of the text was looked at
        for i in range(1, t.n):
            points += t.p[i] == b"."
            if not (b"0" <= t.p[i] <= b"9" or t.p[i] == b".") or points > 1 or t.p[t.n - 1] == b".":
                return NUM_MALFORMED
    return status


cdef object _cloid(Text* t):
    cdef Py_ssize_t i
    if t.p == NULL or t.n == 0:
        return None
    for i in range(t.n):
        if b"A" <= t.p[i] <= b"F":
            return _str(t).lower()
    return _str(t)


cdef object _json(object value):
    """`value` as JSON text, cut to what a message can hold."""
    try:
        return orjson.dumps(value).decode()[:EXCERPT]
    except TypeError:
        return "(nested too deeply to show)"


# -- answers ----------------------------------------------------------------------------------------------------------
cdef class BookHandler:
    """A compiled book handler: derive in Cython and override `on_book`, which a frame calls without making an object.

    The book is a view, valid until `on_book` returns. An instance is also a plain callable that does the same.
    """

    cpdef int on_book(self, OrderBook book) except -1:
        """Called after each applied l2Book frame. Returns 0; an exception is reported and the next handler runs."""
        return 0

    def __call__(self, OrderBook book):
        """`on_book`, as a plain callable."""
        self.on_book(book)


cdef class ItemStatus:
    """What an answer says about one order or cancel. `kind` is an `ItemKind`; only that kind's fields are set."""

    def __init__(self, kind, int64_t oid=0, cloid=None, str total_sz="", str avg_px="", str error=""):
        self.kind = ItemKind(kind)
        self.oid = oid
        self.cloid = cloid
        self.total_sz = total_sz
        self.avg_px = avg_px
        self.error = error

    def __repr__(self):
        return f"<ItemStatus {ItemKind(self.kind).name} oid={self.oid} {self.total_sz or self.error}>"


cdef ItemStatus _item(int kind, str error="", int64_t oid=0, object cloid=None, str total_sz="", str avg_px=""):
    cdef ItemStatus item = ItemStatus.__new__(ItemStatus)
    item.kind = kind
    item.oid = oid
    item.cloid = cloid
    item.total_sz = total_sz
    item.avg_px = avg_px
    item.error = error
    return item


cdef dict _BARE_ITEMS = {
    "success": ITEM_SUCCESS, "waitingForFill": ITEM_WAITING_FILL, "waitingForTrigger": ITEM_WAITING_TRIGGER,
}


cdef ItemStatus _item_of(object entry):
    """One entry of `statuses`; a shape that is not known is UNKNOWN with its JSON, never an exception (L32)."""
    cdef Text cloid
    cdef int64_t oid = 0
    if type(entry) is str and entry in _BARE_ITEMS:
        return _item(_BARE_ITEMS[entry])
    if type(entry) is dict and len(entry) == 1:
        ((word, body),) = entry.items()
        if word == "error" and type(body) is str:
            return _item(ITEM_ERROR, body)
        if type(body) is dict and int_of(body.get("oid"), &oid):
            text_of(body.get("cloid"), &cloid)
            if word == "resting":
                return _item(ITEM_RESTING, "", oid, _cloid(&cloid))
            total, average = body.get("totalSz"), body.get("avgPx")
            if word == "filled" and type(total) is str and type(average) is str:
                return _item(ITEM_FILLED, "", oid, _cloid(&cloid), total, average)
    return _item(ITEM_UNKNOWN, _json(entry))


cdef class PostReply:
    """The venue's answer to one request.

    `kind`: "order", "cancel", "default" or another response type of the venue; "err": the whole action was refused,
    `text` says why; "error": the request did not get through, `text` is the code and the words of the transport;
    "info": `data` is the value asked for; "unknown": a shape that is not known, from which nothing follows. `statuses`
    has what is said of each item, whatever the kind (one error may stand for a whole batch); `data` has an answer that
    is neither text nor statuses.
    """

    def __init__(self, int64_t id, str kind, str text="", statuses=(), data=None, int64_t recv_ns=0):
        self.id = id
        self.kind = kind
        self.text = text
        self.statuses = list(statuses)
        self.data = data
        self.recv_ns = recv_ns

    @staticmethod
    def from_http(int64_t id, int status, body, int64_t recv_ns=0):
        """The answer of POST /exchange: HTTP code `status` and the bytes of `body`. Never raises for what they hold."""
        cdef bytes raw = bytes(body)
        if status != 200:
            return _reply(id, "error", f"{status} {raw[:EXCERPT].decode('utf-8', 'replace')}", recv_ns)
        try:
            return _answer(id, _loads(raw), recv_ns)
        except ValueError:
            return _reply(id, "unknown", raw[:EXCERPT].decode("utf-8", "replace"), recv_ns)

    def __repr__(self):
        return f"<PostReply {self.id} {self.kind} {self.text or self.statuses}>"


cdef PostReply _reply(int64_t id, str kind, str text, int64_t recv_ns):
    cdef PostReply reply = PostReply.__new__(PostReply)
    reply.id = id
    reply.kind = kind
    reply.text = text
    reply.statuses = []
    reply.recv_ns = recv_ns
    return reply


cdef PostReply _answer(int64_t id, object payload, int64_t recv_ns):
    """An answer from the body of /exchange: {"status", "response"}."""
    cdef PostReply reply
    response = payload.get("response") if type(payload) is dict else None
    status = payload.get("status") if type(payload) is dict else None
    if status == "err":
        if type(response) is dict and len(response) <= 2:
            response = response.get("data", response.get("error", response))
        return _reply(id, "err", response if type(response) is str else _json(response), recv_ns)
    if status != "ok" or type(response) is not dict:
        reply = _reply(id, "unknown", _json(payload), recv_ns)
        reply.data = payload
        return reply
    kind, data = response.get("type"), response.get("data")
    statuses = data.get("statuses") if type(data) is dict else None
    if type(kind) is not str or kind in ("", "err", "error", "info", "unknown"):
        reply = _reply(id, "unknown", _json(payload), recv_ns)
    elif kind in ("order", "cancel") and type(statuses) is not list:
        reply = _reply(id, "unknown", _json(payload), recv_ns)
    else:
        reply = _reply(id, kind, "", recv_ns)
    if type(statuses) is list:
        reply.statuses = [_item_of(entry) for entry in statuses]
    else:
        reply.data = data
    return reply


cdef PostReply _post_reply(int64_t id, object response, int64_t recv_ns):
    """An answer from the `response` of a post frame: {"type", "payload"}."""
    cdef PostReply reply
    kind = response.get("type") if type(response) is dict else None
    payload = response.get("payload") if type(response) is dict else None
    if kind == "action":
        return _answer(id, payload, recv_ns)
    if kind == "error":
        return _reply(id, "error", payload if type(payload) is str else _json(payload), recv_ns)
    if kind == "info" and type(payload) is dict and "data" in payload:
        reply = _reply(id, "info", "", recv_ns)
        reply.data = payload["data"]
        return reply
    reply = _reply(id, "unknown", _json(response), recv_ns)
    reply.data = response
    return reply


cdef const char* _scan_side(const char* p, const char* end, OrderBook book, bint is_ask, int* count) except? NULL:
    """The levels of one side, behind its opening bracket, into the book's back array."""
    cdef Level* levels = book.back_asks if is_ask else book.back_bids
    cdef int n = 0, capacity = min(book.capacity, MOST_LEVELS), sz_decimals = book.sz_decimals
    cdef bint last = False
    count[0] = 0
    if p == NULL or p >= end:
        return NULL
    if p[0] == b"]":
        return p + 1
    while not last:
        if n == capacity:
            if not _has_room(book, n + 1):
                return NULL
            capacity = min(book.capacity, MOST_LEVELS)
            levels = book.back_asks if is_ask else book.back_bids
        p = after_row(scan_level(p, end, sz_decimals, &levels[n]), end, &last)
        if p == NULL:
            return NULL
        n += 1
    count[0] = n
    return p


cdef const char* _scan_item(const char* p, const char* end, list out) except? NULL:
    """One entry of the `statuses` of an answer, appended to `out`."""
    cdef Text cloid, total, average, error
    cdef int64_t oid
    cdef const char* q = literal(p, end, b'{"resting":{"oid":')
    if q != NULL:
        p = literal(scan_cloid(read_int(q, end, &oid), end, &cloid), end, b"}}")
        if p != NULL:
            out.append(_item(ITEM_RESTING, "", oid, _cloid(&cloid)))
        return p
    q = literal(p, end, b'{"filled":{"totalSz":"')
    if q != NULL:
        p = read_text(literal(read_text(q, end, &total), end, b',"avgPx":"'), end, &average)
        p = read_int(literal(p, end, b',"oid":'), end, &oid)
        p = literal(scan_cloid(p, end, &cloid), end, b"}}")
        if p != NULL:
            out.append(_item(ITEM_FILLED, "", oid, _cloid(&cloid), _str(&total), _str(&average)))
        return p
    q = literal(p, end, b'{"error":"')
    if q != NULL:
        p = literal(read_text(q, end, &error), end, b"}")
        if p != NULL:
            out.append(_item(ITEM_ERROR, _str(&error)))
        return p
    p = read_text(literal(p, end, b'"'), end, &error)
    if p != NULL:
        kind = _BARE_ITEMS.get(_str(&error))
        if kind is None:
            return NULL
        out.append(_item(kind))
    return p


cdef bint _has_room(OrderBook book, Py_ssize_t levels) except -1:
    """Make room for so many levels a side; False if that many are not plausible."""
    if levels > MOST_LEVELS:
        return False
    book.reserve(<int>levels)
    return True


cdef class _Instrument:
    """What the router holds about one coin of its market data."""


cdef class Router(FrameSink):
    """Reads every frame of one connection and hands on what it says. All attributes are callables or None.

    `order_sink(OrderUpdate)`, `fill_sink(TradeUpdate, is_snapshot)`, `post_sink(PostReply)`,
    `cold_sink(channel, data, recv_ns)` for every other channel, known or not, with `data` as orjson reads it;
    `error_sink(kind, detail, excerpt)` with kind "malformed", "unknown_channel", "unknown_status" or "unknown_reply";
    `on_handler_error(fn, error)` when one of these or a handler raised; `rule_for(coin)` gives the `TradingRule` of a
    coin in the account's frames, or None.
    """

    def __cinit__(self):
        self._instruments = {}
        self._cold_counts = dict.fromkeys(COLD_CHANNELS, 0)
        memset(self._count, 0, sizeof(self._count))
        self._rebuild()

    def __dealloc__(self):
        free(self._slots)

    # -- instruments --------------------------------------------------------------------------------------------------
    def add_instrument(self, TradingRule rule not None, OrderBook book not None, Bbo bbo not None):
        """Fill `book` and `bbo` from the frames of `rule.coin`. Replaces an earlier entry, with its handlers."""
        cdef _Instrument market = _Instrument.__new__(_Instrument)
        if book.sz_decimals != rule.sz_decimals or bbo.sz_decimals != rule.sz_decimals:
            raise ConfigError(
                f"{rule.coin} has {rule.sz_decimals} size decimals, its book {book.sz_decimals} and its bbo "
                f"{bbo.sz_decimals}; make both with the rule's sz_decimals"
            )
        market.name = rule.coin.encode()
        market.rule = rule
        market.book = book
        market.bbo = bbo
        market.book_handlers = market.bbo_handlers = market.trade_handlers = market.top_handlers = ()
        self._instruments[rule.coin] = market
        self._rebuild()

    def remove_instrument(self, str coin not None):
        """Forget `coin`; its further frames are counted as `unknown_coin`. Nothing happens if it is not there."""
        if self._instruments.pop(coin, None) is not None:
            self._rebuild()

    def set_book_handlers(self, str coin not None, handlers):
        """Call these, in order, with the `OrderBook` after each applied l2Book frame (a `BookHandler` through C)."""
        self._market(coin).book_handlers = tuple(handlers)

    def set_bbo_handlers(self, str coin not None, handlers):
        """Call these, in order, with the `Bbo` after each applied bbo frame."""
        self._market(coin).bbo_handlers = tuple(handlers)

    def set_trade_handlers(self, str coin not None, handlers):
        """Call these, in order, with each `Trade`."""
        self._market(coin).trade_handlers = tuple(handlers)

    def set_top(self, str coin not None, TopOfBook top not None, handlers=()):
        """Merge the coin's l2Book, bbo and trades into `top`, and call these, in order, when its best prices or sizes changed."""
        cdef _Instrument market = self._market(coin)
        market.top = top
        market.top_handlers = tuple(handlers)

    def tell_top(self, str coin not None):
        """Call the handlers of the coin's top: something else than a frame of this router changed it."""
        self._tell_top(self._market(coin))

    cdef _Instrument _market(self, str coin):
        found = self._instruments.get(coin)
        if found is None:
            raise ConfigError(f"the router has no instrument {coin!r}; call add_instrument first")
        return found

    @property
    def counters(self):
        """How often each thing happened: `COUNTERS`, and `channel_<name>` for each cold channel seen."""
        counts = {name: self._count[i] for i, name in enumerate(COUNTERS)}
        for channel, frames in self._cold_counts.items():
            if frames:
                counts[f"channel_{channel}"] = frames
        return counts

    cdef int _rebuild(self) except -1:
        """The table of coins by their bytes: open addressing, at most half full."""
        cdef uint64_t size = 8, at
        cdef Slot* slots
        cdef _Instrument market
        while size < 2 * <uint64_t>len(self._instruments):
            size *= 2
        slots = <Slot*>calloc(size, sizeof(Slot))
        if slots == NULL:
            raise MemoryError()
        for market in self._instruments.values():
            at = _hash(PyBytes_AS_STRING(market.name), PyBytes_GET_SIZE(market.name)) & (size - 1)
            while slots[at].instrument != NULL:
                at = (at + 1) & (size - 1)
            slots[at].instrument = <void*>market
            slots[at].name = PyBytes_AS_STRING(market.name)
            slots[at].n = PyBytes_GET_SIZE(market.name)
        free(self._slots)
        self._slots = slots
        self._mask = size - 1
        return 0

    cdef _Instrument _find(self, Text* coin):
        cdef uint64_t at = _hash(coin.p, coin.n) & self._mask
        while self._slots[at].instrument != NULL:
            if self._slots[at].n == coin.n and memcmp(self._slots[at].name, coin.p, coin.n) == 0:
                return <_Instrument>self._slots[at].instrument
            at = (at + 1) & self._mask
        return None

    cdef TradingRule _rule(self, Text* coin):
        """The rule of a coin in the account's frames, or None (counted)."""
        cdef _Instrument market = self._find(coin)
        if market is not None:
            return market.rule
        found = self._call(self.rule_for, (_str(coin),))
        if isinstance(found, TradingRule):
            return found
        self._count[UNKNOWN_COIN] += 1
        return None

    # -- the frame ----------------------------------------------------------------------------------------------------
    cdef int on_frame(self, const char* data, Py_ssize_t size, int64_t recv_ns) except -1:
        cdef Frame frame
        cdef int outcome
        cdef int64_t unknown_coins = self._count[UNKNOWN_COIN], before
        frame.start = data
        frame.end = data + size
        frame.recv_ns = recv_ns
        self._count[FRAMES] += 1
        before = enter_frame(recv_ns)
        try:
            outcome = self._scan(&frame)
            if outcome != DONE:
                self._count[UNKNOWN_COIN] = unknown_coins      # rows read before the surprise are read again
                self._parse(&frame, outcome == SURPRISE)
        except (KeyboardInterrupt, SystemExit):
            enter_frame(before)
            raise
        except BaseException as error:
            self._malformed(f"reading the frame failed with {type(error).__name__}: {error}; it was skipped", &frame)
        enter_frame(before)
        return 0

    cdef int _scan(self, Frame* f) except -1:
        cdef const char* p = literal(f.start, f.end, b'{"channel":"')
        cdef const char* q
        if p == NULL:
            return SURPRISE
        q = literal(p, f.end, b'l2Book","data":{"coin":"')
        if q != NULL:
            return self._scan_book(q, f)
        q = literal(p, f.end, b'bbo","data":{"coin":"')
        if q != NULL:
            return self._scan_bbo(q, f)
        q = literal(p, f.end, b'trades","data":[')
        if q != NULL:
            return self._scan_trades(q, f)
        q = literal(p, f.end, b'orderUpdates","data":[')
        if q != NULL:
            return self._scan_orders(q, f)
        q = literal(p, f.end, b'userFills","data":{')
        if q != NULL:
            return self._scan_fills(q, f)
        q = literal(p, f.end, b'post","data":{"id":')
        if q != NULL:
            return self._scan_post(q, f)
        return SURPRISE

    cdef int _scan_book(self, const char* p, Frame* f) except -1:
        cdef Text coin, spread
        cdef int64_t time_ms = 0
        cdef int bids, asks
        cdef bint fast
        cdef const char* q
        cdef _Instrument market
        p = read_text(p, f.end, &coin)
        if p == NULL:
            return SURPRISE
        market = self._find(&coin)
        if market is None:
            return COLD
        p = read_int(literal(p, f.end, b',"time":'), f.end, &time_ms)
        p = _scan_side(literal(p, f.end, b',"levels":[['), f.end, market.book, False, &bids)
        p = _scan_side(literal(p, f.end, b",["), f.end, market.book, True, &asks)
        p = literal(p, f.end, b"]")
        q = literal(p, f.end, b',"spread":"')
        if q != NULL:
            p = read_text(q, f.end, &spread)
        q = literal(p, f.end, b',"fast":')
        if q != NULL:
            p = scan_bool(q, f.end, &fast)
        if literal(p, f.end, b"}}") != f.end:
            return SURPRISE
        self._count[L2BOOK] += 1
        return self._commit_book(market, bids, asks, time_ms, f)

    cdef int _scan_bbo(self, const char* p, Frame* f) except -1:
        cdef Text coin
        cdef Level level
        cdef int64_t time_ms = 0
        cdef int64_t[4] best
        cdef int side
        cdef const char* q
        cdef _Instrument market
        p = read_text(p, f.end, &coin)
        if p == NULL:
            return SURPRISE
        market = self._find(&coin)
        if market is None:
            return COLD
        p = read_int(literal(p, f.end, b',"time":'), f.end, &time_ms)
        p = literal(p, f.end, b',"bbo":[')
        for side in range(2):
            best[2 * side] = best[2 * side + 1] = 0
            q = literal(p, f.end, b"null")
            if q != NULL:
                p = q
            else:
                p = scan_level(p, f.end, market.rule.sz_decimals, &level)
                if p == NULL or level.px_e8 <= 0 or level.lots <= 0:
                    return SURPRISE
                best[2 * side] = level.px_e8
                best[2 * side + 1] = level.lots
            if side == 0:
                p = literal(p, f.end, b",")
        if literal(p, f.end, b"]}}") != f.end:
            return SURPRISE
        self._count[BBO] += 1
        return self._commit_bbo(market, best, time_ms, f)

    cdef int _scan_trades(self, const char* p, Frame* f) except -1:
        cdef TradeRow row
        cdef bint last = False
        cdef list trades = []
        while not last:
            p = after_row(scan_trade(p, f.end, &row), f.end, &last)
            if p == NULL or not self._take_trade(&row, f, trades):
                return SURPRISE
        if literal(p, f.end, b"}") != f.end:
            return SURPRISE
        self._count[TRADES] += 1
        return self._deliver_trades(trades)

    cdef int _scan_orders(self, const char* p, Frame* f) except -1:
        cdef OrderRow row
        cdef bint last = False
        cdef list updates = []
        while not last:
            p = after_row(scan_order(p, f.end, &row), f.end, &last)
            if p == NULL or not self._take_order(&row, f, updates):
                return SURPRISE
        if literal(p, f.end, b"}") != f.end:
            return SURPRISE
        self._count[ORDER_UPDATES] += 1
        return self._deliver_orders(updates, f)

    cdef int _scan_fills(self, const char* p, Frame* f) except -1:
        cdef FillRow row
        cdef Text user
        cdef bint last = False, is_snapshot = False
        cdef list fills = []
        cdef const char* q = literal(p, f.end, b'"isSnapshot":')
        if q != NULL:
            p = literal(scan_bool(q, f.end, &is_snapshot), f.end, b",")
        p = read_text(literal(p, f.end, b'"user":"'), f.end, &user)
        p = literal(p, f.end, b',"fills":[')
        q = literal(p, f.end, b"]")
        if q != NULL:
            p = q
            last = True
        while not last:
            p = after_row(scan_fill(p, f.end, &row), f.end, &last)
            if p == NULL or not self._take_fill(&row, f, fills):
                return SURPRISE
        if literal(p, f.end, b"}}") != f.end:
            return SURPRISE
        self._count[USER_FILLS] += 1
        return self._deliver_fills(fills, is_snapshot)

    cdef int _scan_post(self, const char* p, Frame* f) except -1:
        cdef PostReply reply
        cdef int64_t id
        cdef bint last = False
        cdef const char* q
        if armed == BEFORE_PARSE:
            reached_before_parse(f.start, f.end - f.start)
        p = literal(read_int(p, f.end, &id), f.end, b',"response":{"type":"')
        q = literal(p, f.end, b'info","payload":{"type":"')
        if q != NULL:
            return self._scan_answer(id, q, f)
        if literal(p, f.end, b'info"') != NULL or literal(p, f.end, b'error"') != NULL:
            return COLD
        p = literal(p, f.end, b'action","payload":{"status":"')
        if literal(p, f.end, b'err"') != NULL:
            return COLD
        p = literal(p, f.end, b'ok","response":{"type":"')
        if p == NULL:
            return SURPRISE
        if literal(p, f.end, b'default"}}}}}') == f.end:
            self._count[POST] += 1
            return self._deliver_reply(_reply(id, "default", "", f.recv_ns), f)
        q = literal(p, f.end, b'order","data":{"statuses":[')
        if q != NULL:
            reply = _reply(id, "order", "", f.recv_ns)
        else:
            q = literal(p, f.end, b'cancel","data":{"statuses":[')
            if q == NULL:
                return COLD
            reply = _reply(id, "cancel", "", f.recv_ns)
        p = q
        while not last:
            p = after_row(_scan_item(p, f.end, reply.statuses), f.end, &last)
            if p == NULL:
                return SURPRISE
        if literal(p, f.end, b"}}}}}}") != f.end:
            return SURPRISE
        self._count[POST] += 1
        return self._deliver_reply(reply, f)

    cdef int _scan_answer(self, int64_t id, const char* p, Frame* f) except -1:
        """An answer to a query: orjson reads what was asked for, and not the envelope around it.

        The envelope must be the venue's to the byte: then the frame is JSON if and only if the part inside is.
        """
        cdef PostReply reply
        cdef const char* start = p
        while p < f.end and (b"a" <= p[0] <= b"z" or b"A" <= p[0] <= b"Z" or b"0" <= p[0] <= b"9"):
            p += 1
        if p == start:
            return COLD
        p = literal(p, f.end, b'","data":')
        if p == NULL or f.end - p < 5 or literal(f.end - 4, f.end, b"}}}}") == NULL:
            return COLD
        try:
            data = _loads(p[:f.end - 4 - p])
        except ValueError:
            return COLD     # orjson decides about the whole, and says what is wrong
        reply = _reply(id, "info", "", f.recv_ns)
        reply.data = data
        self._count[POST] += 1
        return self._deliver_reply(reply, f)

    # -- what scanner and orjson have in common: a row of slices becomes news -----------------------------------------
    cdef int _commit_book(self, _Instrument market, int bids, int asks, int64_t time_ms, Frame* f) except -1:
        cdef int status = market.book.commit_snapshot(bids, asks, time_ms, f.recv_ns)
        cdef int64_t applied_ns, called_ns = -1
        cdef tuple handlers
        if status == BOOK_OLDER:
            self._count[OLDER] += 1
            return DONE
        if status == BOOK_BAD:
            return self._malformed_book(market, "levels are crossed, out of order or not positive", f)
        handlers = market.book_handlers
        applied_ns = now_ns()
        if handlers or market.top is not None:
            if market.top is not None and market.top.take_book(market.book):
                self._tell_top(market)
            for fn in handlers:
                self._call_view(fn, market.book)
            called_ns = now_ns() - applied_ns
        if f.recv_ns > 0:
            frame_done(f.recv_ns, applied_ns - f.recv_ns, called_ns)
        return DONE

    cdef int _commit_bbo(self, _Instrument market, int64_t* level, int64_t time_ms, Frame* f) except -1:
        cdef int status = market.bbo.set_bbo(level[0], level[1], level[2], level[3], time_ms, f.recv_ns)
        if status == BOOK_OLDER:
            self._count[OLDER] += 1
        elif status == BOOK_BAD:
            self._malformed(f"bbo {market.rule.coin}: crossed; the last good one stays", f)
        else:
            if market.top is not None and market.top.take_bbo(market.bbo):
                self._tell_top(market)
            for fn in market.bbo_handlers:
                self._call_view(fn, market.bbo)
        return DONE

    cdef bint _take_trade(self, TradeRow* row, Frame* f, list out) except -1:
        """Append the trade if somebody listens; False if the row cannot be read."""
        cdef _Instrument market = self._find(&row.coin)
        cdef int64_t px = 0, lots = 0
        if market is None:
            self._count[UNKNOWN_COIN] += 1
            return True
        if not (_is(&row.side, b"B", 1) or _is(&row.side, b"A", 1)) or _number(&row.px, 8, &px) != NUM_OK:
            return False
        if _number(&row.sz, market.rule.sz_decimals, &lots) != NUM_OK or px < 0 or lots < 0:
            return False
        if market.trade_handlers or market.top is not None:
            out.append(make_trade(
                market.rule.coin, px, lots, market.rule.sz_decimals, row.side.p[0] == b"B", row.tid, row.time_ms,
                f.recv_ns, _str(&row.buyer), _str(&row.seller),
            ))
        return True

    cdef bint _take_order(self, OrderRow* row, Frame* f, list out) except -1:
        """Append the news of one status row. Only coin, oid and status are essential; the rest may be not known."""
        cdef TradingRule rule = self._rule(&row.coin)
        cdef int sz_decimals = UNKNOWN_COIN_DECIMALS if rule is None else rule.sz_decimals
        cdef int64_t px = 0, lots = 0, orig_lots = 0
        cdef int state
        cdef str status = _str(&row.status), reason = "", side = ""
        if _number(&row.px, 8, &px) != NUM_OK or px < 0:
            px = 0
        if _number(&row.sz, sz_decimals, &lots) != NUM_OK or lots < 0:
            lots = -1
        if _number(&row.orig_sz, sz_decimals, &orig_lots) != NUM_OK or orig_lots < 0:
            orig_lots = -1
        if _is(&row.side, b"B", 1):
            side = "B"
        elif _is(&row.side, b"A", 1):
            side = "A"
        state = _state_of(status)
        if state == FAILED or (state == CANCELLED and status != "canceled"):
            reason = status
        out.append(make_order_update(
            None, _cloid(&row.cloid), row.oid, _str(&row.coin) if rule is None else rule.coin, state, status, side, px,
            lots, orig_lots, row.time_ms, f.recv_ns, reason, False,
        ))
        return True

    cdef bint _take_fill(self, FillRow* row, Frame* f, list out) except -1:
        """Append the fill; False if px, sz, side or a given fee cannot be read. The rest is text, or not known."""
        cdef TradingRule rule
        cdef int sz_decimals, status
        cdef int64_t px = 0, lots = 0, start = 0, fee = 0, pnl = 0
        cdef str size_text = ""
        fee_exact = None
        if not (_is(&row.side, b"B", 1) or _is(&row.side, b"A", 1)) or _number(&row.px, 8, &px) != NUM_OK or px < 0:
            return False
        if row.fee.p != NULL:
            status = _number(&row.fee, 8, &fee)
            if status == NUM_MALFORMED:
                return False
            if status != NUM_OK:
                fee = 0
                fee_exact = _D(_str(&row.fee))
        rule = self._rule(&row.coin)
        sz_decimals = UNKNOWN_COIN_DECIMALS if rule is None else rule.sz_decimals
        status = _number(&row.sz, sz_decimals, &lots)
        if status == NUM_MALFORMED or (lots < 0 if status == NUM_OK else row.sz.p[0] == b"-"):
            return False
        if status != NUM_OK:                                # dust: kept exactly, as text
            lots = -1
            size_text = _str(&row.sz)
        if _number(&row.start, sz_decimals, &start) != NUM_OK:
            start = NOT_KNOWN
        if _number(&row.pnl, 8, &pnl) != NUM_OK:
            pnl = 0
        out.append(make_trade_update(
            _str(&row.coin) if rule is None else rule.coin, row.tid, row.oid, _cloid(&row.cloid), px, lots, size_text,
            sz_decimals, row.side.p[0] == b"B", row.crossed, fee, fee_exact, _str(&row.fee_token) or "USDC", pnl,
            start, _str(&row.direction), row.time_ms, f.recv_ns, False,
        ))
        return True

    cdef int _deliver_trades(self, list trades) except -1:
        cdef Trade trade
        cdef _Instrument market
        for trade in trades:
            market = self._instruments.get(trade.coin)
            if market is not None:
                if market.top is not None and market.top.take_trade(
                    trade.px_e8, trade.lots, trade.is_buy, trade.tid, trade.time_ms, trade.recv_ns
                ):
                    self._tell_top(market)
                for fn in market.trade_handlers:
                    self._call(fn, (trade,))
        return DONE

    cdef int _deliver_orders(self, list updates, Frame* f) except -1:
        cdef OrderUpdate update
        for update in updates:
            if update.new_state < 0:
                self._count[UNKNOWN_STATUS] += 1
                self._report(
                    "unknown_status",
                    f"order {update.oid} of {update.coin} has the status {update.status!r}, which is neither known nor "
                    "ends in Rejected, Canceled or Cancel; it was handed on and changes no state",
                    f,
                )
            self._call(self.order_sink, (update,))
        return DONE

    cdef int _deliver_fills(self, list fills, bint is_snapshot) except -1:
        for fill in fills:
            self._call(self.fill_sink, (fill, is_snapshot))
        return DONE

    cdef int _deliver_reply(self, PostReply reply, Frame* f) except -1:
        cdef ItemStatus item
        cdef bint unknown = reply.kind == "unknown"
        for item in reply.statuses:
            unknown = unknown or item.kind == ITEM_UNKNOWN
        if unknown:
            self._count[UNKNOWN_REPLY] += 1
            self._report(
                "unknown_reply",
                f"the answer to request {reply.id} has no shape that is known; nothing follows from it: ask for the "
                "outcome", f,
            )
        self._call(self.post_sink, (reply,))
        return DONE

    # -- orjson -------------------------------------------------------------------------------------------------------
    cdef int _parse(self, Frame* f, bint is_fallback) except -1:
        cdef bytes raw = f.start[:f.end - f.start]
        cdef int which
        if raw == GREETING:
            self._count[GREETINGS] += 1
            return DONE
        try:
            message = _loads(raw)
        except ValueError:
            return self._not_json(f)
        channel = message.get("channel") if type(message) is dict else None
        if type(channel) is not str:
            return self._malformed('not a message of the venue: expected an object with a text "channel"', f)
        data = message.get("data")
        if channel in self._cold_counts:
            self._cold_counts[channel] += 1
        elif channel in _HOT:
            which = _HOT[channel]
            self._count[which] += 1
            self._count[FALLBACKS] += is_fallback
            if which == L2BOOK:
                return self._parse_book(data, f)
            if which == BBO:
                return self._parse_bbo(data, f)
            if which == TRADES:
                return self._parse_trades(data, f)
            if which == ORDER_UPDATES:
                return self._parse_orders(data, f)
            if which == USER_FILLS:
                return self._parse_fills(data, f)
            return self._parse_post(data, f)
        else:
            self._count[UNKNOWN_CHANNEL] += 1
            self._report("unknown_channel", f"a frame of unknown channel {channel[:EXCERPT]!r}; handed on as it is", f)
        self._call(self.cold_sink, (channel, data, f.recv_ns))
        return DONE

    cdef int _parse_book(self, object data, Frame* f) except -1:
        cdef _Instrument market
        cdef int64_t time_ms = 0
        cdef int counts[2]
        cdef int side, n
        cdef Level* levels
        coin = data.get("coin") if type(data) is dict else None
        if type(coin) is not str:
            return self._malformed("l2Book: expected an object with coin, time and levels", f)
        market = self._instruments.get(coin)
        if market is None:
            self._count[UNKNOWN_COIN] += 1
            return DONE
        sides = data.get("levels")
        if not int_of(data.get("time"), &time_ms) or type(sides) is not list or len(sides) != 2:
            return self._malformed_book(market, "expected a time in ms and two sides of levels", f)
        for side in range(2):
            if type(sides[side]) is not list or not _has_room(market.book, len(sides[side])):
                return self._malformed_book(market, "a side is no list, or too long for a book", f)
            levels = market.book.back_asks if side else market.book.back_bids
            n = 0
            for entry in sides[side]:
                if not level_of(entry, market.rule.sz_decimals, &levels[n]):
                    return self._malformed_book(market, f"{_json(entry)} is no level on the instrument's grid", f)
                n += 1
            counts[side] = n
        return self._commit_book(market, counts[0], counts[1], time_ms, f)

    cdef int _parse_bbo(self, object data, Frame* f) except -1:
        cdef _Instrument market
        cdef int64_t time_ms = 0
        cdef int64_t[4] best
        cdef int side
        cdef Level level
        coin = data.get("coin") if type(data) is dict else None
        if type(coin) is not str:
            return self._malformed("bbo: expected an object with coin, time and bbo", f)
        market = self._instruments.get(coin)
        if market is None:
            self._count[UNKNOWN_COIN] += 1
            return DONE
        sides = data.get("bbo")
        if not int_of(data.get("time"), &time_ms) or type(sides) is not list or len(sides) != 2:
            return self._malformed(f"bbo {coin}: expected a time in ms and two levels or nulls", f)
        for side in range(2):
            best[2 * side] = best[2 * side + 1] = 0
            if sides[side] is None:
                continue
            if not level_of(sides[side], market.rule.sz_decimals, &level) or level.px_e8 <= 0 or level.lots <= 0:
                return self._malformed(f"bbo {coin}: {_json(sides[side])} is no level on the instrument's grid", f)
            best[2 * side] = level.px_e8
            best[2 * side + 1] = level.lots
        return self._commit_bbo(market, best, time_ms, f)

    cdef int _parse_trades(self, object data, Frame* f) except -1:
        cdef TradeRow row
        cdef list trades = [], bad = []
        if type(data) is not list:
            return self._malformed("trades: expected a list of trades", f)
        for entry in data:
            if not (trade_of(entry, &row) and self._take_trade(&row, f, trades)):
                bad.append(entry)
        self._deliver_trades(trades)
        return self._bad_rows("trades", bad, len(data), f)

    cdef int _parse_orders(self, object data, Frame* f) except -1:
        cdef OrderRow row
        cdef list updates = [], bad = []
        if type(data) is not list:
            return self._malformed("orderUpdates: expected a list of rows", f)
        for entry in data:
            if not (order_of(entry, &row) and self._take_order(&row, f, updates)):
                bad.append(entry)
        self._deliver_orders(updates, f)
        return self._bad_rows("orderUpdates", bad, len(data), f)

    cdef int _parse_fills(self, object data, Frame* f) except -1:
        cdef FillRow row
        cdef list fills = [], bad = []
        rows = data.get("fills") if type(data) is dict else None
        if type(rows) is not list:
            return self._malformed("userFills: expected an object with a list of fills", f)
        for entry in rows:
            if not (fill_of(entry, &row) and self._take_fill(&row, f, fills)):
                bad.append(entry)
        self._deliver_fills(fills, data.get("isSnapshot") is True)
        return self._bad_rows("userFills", bad, len(rows), f)

    cdef int _parse_post(self, object data, Frame* f) except -1:
        cdef int64_t id
        if type(data) is not dict or not int_of(data.get("id"), &id):
            return self._malformed("post: expected an object with a whole number id", f)
        return self._deliver_reply(_post_reply(id, data.get("response"), f.recv_ns), f)

    # -- what went wrong ----------------------------------------------------------------------------------------------
    cdef int _malformed(self, str detail, Frame* f) except -1:
        self._count[MALFORMED] += 1
        return self._report("malformed", detail, f)

    cdef int _malformed_book(self, _Instrument market, str detail, Frame* f) except -1:
        market.book.set_stale(f"a malformed frame: {detail}")
        return self._malformed(
            f"l2Book {market.rule.coin}: {detail}; the book keeps its content and is stale until the next good frame", f
        )

    cdef int _not_json(self, Frame* f) except -1:
        """Cut off or garbage. If it still shows which book it was for, that book missed an update."""
        cdef bytes raw = f.start[:f.end - f.start]
        cdef _Instrument market = None
        if _member(raw, b'"channel"') == b"l2Book":
            market = self._instruments.get(_member(raw, b'"coin"').decode("utf-8", "replace"))
        if market is not None:
            return self._malformed_book(market, "not JSON (cut off?)", f)
        return self._malformed("not JSON (cut off?)", f)

    cdef int _bad_rows(self, str channel, list bad, Py_ssize_t total, Frame* f) except -1:
        if bad:
            self._malformed(
                f"{channel}: {len(bad)} of {total} rows cannot be read and were skipped, the first of them "
                f"{_json(bad[0])}; ask the venue for its record", f,
            )
        return DONE

    cdef int _report(self, str kind, str detail, Frame* f) except -1:
        cdef Py_ssize_t n = f.end - f.start
        self._call(self.error_sink, (kind, detail, f.start[:n if n < EXCERPT else EXCERPT]))
        return DONE

    cdef object _call(self, object fn, tuple arguments):
        """What `fn` returns; None if there is none or it raised (G12)."""
        if fn is None:
            return None
        try:
            return fn(*arguments)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._failed(fn, error)
        return None

    cdef int _call_view(self, object fn, object view) except -1:
        """The same without a tuple, and without any object for a compiled handler."""
        try:
            if isinstance(fn, BookHandler):
                (<BookHandler>fn).on_book(view)
            else:
                fn(view)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._failed(fn, error)
        return 0

    cdef int _tell_top(self, _Instrument market) except -1:
        for fn in market.top_handlers:
            self._call_view(fn, market.top)
        return 0

    cdef int _failed(self, object fn, object error) except -1:
        """A callable raised: count it, report it, and go on."""
        self._count[HANDLER_ERRORS] += 1
        if self.on_handler_error is not None:
            try:
                self.on_handler_error(fn, error)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException:
                self._count[HANDLER_ERRORS] += 1
        return 0


cdef dict _HOT = {
    "l2Book": L2BOOK, "bbo": BBO, "trades": TRADES, "orderUpdates": ORDER_UPDATES, "userFills": USER_FILLS,
    "post": POST,
}


cdef bytes _member(bytes raw, bytes key):
    """The first text behind `key` in what is no whole JSON; empty if there is none."""
    cdef Py_ssize_t at = raw.find(key)
    cdef list pieces = raw[at + len(key):].split(b'"', 2) if at >= 0 else []
    return pieces[1] if len(pieces) == 3 and pieces[0].strip() == b":" else b""


cdef inline uint64_t _hash(const char* p, Py_ssize_t n) noexcept nogil:
    """FNV-1a; coins are short, and the venue chooses them, not a sender."""
    cdef uint64_t h = <uint64_t>0xCBF29CE484222325
    cdef Py_ssize_t i
    for i in range(n):
        h = (h ^ <unsigned char>p[i]) * <uint64_t>0x100000001B3
    return h ^ (h >> 32)
