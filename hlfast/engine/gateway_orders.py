"""The gateway's order desk (layer 4): clients' requests become orders, cancels and modifies of a connector.

Each request is checked in the contract's order (shape, id, version, action, repeat, fields, venue, symbol, grid, age,
connection), and the first failure is its answer. What becomes of what was sent is told by `gateway_news`. Everything goes
through `core.connector_base`.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from hlfast import clock
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.trading_rule import TradingRule
from hlfast.engine import gateway_messages as read
from hlfast.engine.gateway_envelope import Envelope, Refused, envelope_of
from hlfast.engine.gateway_events import OrderEventPublisher
from hlfast.engine.gateway_grid import Grid
from hlfast.engine.gateway_memory import Ended, Memory, Record, Waiting
from hlfast.engine.gateway_news import OrderNews
from hlfast.engine.gateway_reasons import RETRIED
from hlfast.engine.gateway_reports import Reports
from hlfast.engine.gateway_symbols import SymbolTable
from hlfast.errors import ConfigError, HlfastError, NotReady, OrderDenied, RangeError
from hlfast.types import OrderParams, OrderType, TradeType, Trigger

log = logging.getLogger("hlfast")

CANCEL_AGAIN_NS = 1_000_000_000
_OWN_CLOID = re.compile(r"0x[0-9a-fA-F]{32}\Z")

_NOT_SENT: tuple[tuple[str, str], ...] = (
    # how our own refusals begin, and their gateway codes
    ("the venue answered 429", "too_many_requests"),
    ("the venue's request budget", "too_many_requests"),
    ("the venue's message budget", "too_many_requests"),
    ("the account's requests are used up", "too_many_requests"),
    ("no new orders:", "processing_error"),
    ("no modifies:", "processing_error"),
    ("instruments are not loaded", "catalogue_not_ready"),
)


@dataclass(frozen=True)
class DeskSettings:
    venues: tuple[str, ...] = ("hyperliquid",)
    """The venue's key, then its aliases."""
    max_order_age_ms: int = 5_000
    is_strict: bool = False


class OrderDesk:
    """One connector's orders for any number of clients. `on_message(frames, may_trade)` never raises."""

    def __init__(
        self,
        connector: ConnectorBase,
        reports: Reports,
        events: OrderEventPublisher,
        memory: Memory,
        settings: DeskSettings,
        later: Callable[[Callable[[], object]], object],
    ) -> None:
        self.connector, self.reports, self.events, self.memory = connector, reports, events, memory
        self.settings = settings
        self.news = OrderNews(connector, reports, events, memory, settings.venues[0], self.symbols)
        self._later = later
        self._table: SymbolTable | None = None
        self._table_of: Mapping[str, TradingRule] | None = None
        self.is_stopping = False
        self.bad_messages = 0
        self.unknown_params = 0
        self._actions: dict[str, Callable[[Envelope], object]] = {
            "place": self._place,
            "cancel": self._cancel,
            "replace": self._replace,
            "resend": self._resend,
        }

    # -- messages ---------------------------------------------------------------------------------------------------
    def on_message(self, frames: list[bytes], may_trade: bool = True) -> None:
        try:
            envelope, refused = envelope_of(frames)
        except Exception as error:  # whatever a message may do: it is answered
            log.exception("a message could not be looked at")
            envelope, refused = Envelope(), Refused("processing_error", f"internal error: {type(error).__name__}")
        try:
            if refused is None and not may_trade:
                refused = Refused("risk_violation", "this client key may read, not trade")
            if refused is None:
                assert envelope.action is not None
                self._actions[envelope.action](envelope)
                return
        except Refused as error:
            refused = error
        except Exception as error:
            log.exception("the request %s failed", envelope.cl_id)
            refused = Refused("processing_error", f"internal error: {type(error).__name__}")
        self.bad_messages += not envelope.is_readable
        sha = None if envelope.is_readable and envelope.cl_id else hashlib.sha256(b"".join(frames)).hexdigest()
        self.reports.refuse(envelope, refused, sha)

    # -- placing ----------------------------------------------------------------------------------------------------
    def _place(self, envelope: Envelope) -> None:
        known = self.memory.find(envelope.cl_id)
        if known is not None and not self._is_new_attempt(envelope, known):
            return
        is_retry = known is not None
        record = Record(envelope.cl_id, envelope.digest, self._tags(envelope))
        try:
            asked = read.read_place(envelope, clock.epoch_ns())
            self.unknown_params += asked.unknown_params
            rule, orders, records = self._prepare(asked, record, is_retry)
            self._check_age(asked.ts_ns, asked.ttl_ms)
            self._check_connection()
            if asked.kind == "market" and asked.price is None:
                self._check_book(rule.coin)
        except Refused as refused:
            told = self.reports.rejection(envelope, refused, record.tags)
            self.memory.keep(record, "rejected", refused.canonical, told)
            self.reports.stream.tell(told)
            return
        self._send(envelope, asked, orders, records)

    def _is_new_attempt(self, envelope: Envelope, known: Record | Ended) -> bool:
        """False if the message was answered here: it repeats an earlier one, or uses its id again."""
        is_same = known.digest == envelope.digest
        if known.state == "rejected" and (not is_same or known.canonical in RETRIED):
            return True
        last = known.last() if isinstance(known, Ended) else known.last
        if not is_same:
            refused = Refused("cl_id_reused", f"{envelope.cl_id} names another order, which is {known.state}")
            self.reports.stream.tell(self.reports.rejection(envelope, refused, self._tags(envelope)), "duplicate")
        if last is not None:
            self.reports.stream.tell(last, "duplicate")
        elif is_same and isinstance(known, Record):
            known.repeats += 1  # answered with the first answer
        return False

    def _tags(self, envelope: Envelope) -> dict[str, str]:
        return {**envelope.tags, "venue": envelope.tags.get("venue", self.settings.venues[0])}

    def _check_venue(self, venue: str) -> None:
        if venue not in self.settings.venues:
            raise Refused("unknown_venue", f"venue must be {' or '.join(self.settings.venues)}, got {venue!r}")

    def symbols(self) -> SymbolTable:
        """Raises `Refused` while the instruments are not loaded."""
        try:
            rules = self.connector.trading_rules
        except NotReady as error:
            raise Refused("catalogue_not_ready", str(error)) from None
        if self._table is None or rules is not self._table_of:
            self._table, self._table_of = SymbolTable(rules.values()), rules
        return self._table

    def _rule(self, symbol: str, product: str | None) -> TradingRule:
        if product is not None and product not in ("perpetual", "spot"):
            raise Refused("unsupported_product", f"product_type must be perpetual or spot, got {product!r}")
        try:
            return self.symbols().resolve(symbol, product)
        except ConfigError as error:
            raise Refused("unknown_symbol", str(error)) from None

    def _prepare(
        self, asked: read.Place, record: Record, is_retry: bool
    ) -> tuple[TradingRule, list[OrderParams], list[Record]]:
        """The order on the venue's grid, a bracket's children behind it, and a record of each."""
        self._check_venue(asked.venue)
        rule = self._rule(asked.symbol, asked.product)
        if asked.reduce_only and not rule.is_perpetual:
            raise Refused("invalid_reduce_only", "reduce_only is for perpetuals; spot has no positions")
        if asked.bracket is not None and not rule.is_perpetual:
            raise Refused("invalid_bracket", "brackets are for perpetuals")
        strict = self.settings.is_strict if asked.is_strict is None else asked.is_strict
        grid = Grid(rule, strict)
        size = grid.size(asked.size)
        price = None if asked.price is None else grid.price(asked.price, asked.is_buy)
        trigger = None
        if asked.stop_price is not None:
            stop = grid.trigger(asked.stop_price)
            trigger = Trigger(stop, is_market=asked.kind == "stop", kind=asked.trigger_kind)
            if price is None:
                price = grid.cap(stop, asked.is_buy)
        record.coid = self.connector.generate_client_order_id()
        record.type_given, record.tif_given = asked.type_given, asked.tif_given
        if _OWN_CLOID.match(record.cl_id) and not is_retry:
            record.cloid = record.cl_id.lower()
        kinds = {"market": OrderType.MARKET, "stop": OrderType.STOP_MARKET, "stop_limit": OrderType.STOP_LIMIT}
        order = OrderParams(
            rule.coin,
            size,
            price,
            side=TradeType.BUY if asked.is_buy else TradeType.SELL,
            tif=asked.tif if trigger is None else None,
            reduce_only=asked.reduce_only,
            trigger=trigger,
            client_order_id=record.coid,
            cloid=record.cloid,
            order_type=kinds.get(asked.kind),
        )
        record.is_adjusted = grid.is_adjusted
        orders, records = [order], [record]
        if asked.bracket is not None:
            for leg in asked.bracket.legs:
                made = self._child(asked, asked.bracket, leg, rule, strict, size, record)
                orders.append(made[0])
                records.append(made[1])
        return rule, orders, records

    def _child(
        self,
        asked: read.Place,
        bracket: read.Bracket,
        leg: read.Leg,
        rule: TradingRule,
        strict: bool,
        size: Decimal,
        parent: Record,
    ) -> tuple[OrderParams, Record]:
        grid, is_buy = Grid(rule, strict), not asked.is_buy
        cl_id = f"{parent.cl_id}::{leg.role}"
        if isinstance(self.memory.find(cl_id), Record) and cl_id in self.memory.live:
            raise Refused("cl_id_reused", f"{cl_id} names another order")
        stop = grid.trigger(leg.trigger)
        if leg.is_limit:
            price = grid.price(leg.limit if leg.limit is not None else leg.trigger, is_buy)
        else:
            price = grid.cap(stop, is_buy)
        record = Record(
            cl_id,
            parent.digest,
            {**parent.tags, "role": leg.role, "intent_id": parent.tags.get("intent_id", parent.cl_id)},
            coid=self.connector.generate_client_order_id(),
            type_given="stop_limit" if leg.is_limit else "stop",
            parent=parent.cl_id,
        )
        order = OrderParams(
            rule.coin,
            size if bracket.size is None else min(size, grid.size(bracket.size)),
            price,
            side=TradeType.BUY if is_buy else TradeType.SELL,
            reduce_only=bracket.reduce_only,
            trigger=Trigger(stop, is_market=not leg.is_limit, kind=leg.role),
            client_order_id=record.coid,
        )
        record.is_adjusted = grid.is_adjusted
        return order, record

    def _check_age(self, ts_ns: int, ttl_ms: int = 0) -> None:
        if not ts_ns:
            return
        age_ms = (clock.epoch_ns() - ts_ns) // 1_000_000
        if ttl_ms and age_ms >= ttl_ms:
            raise Refused("ttl_expired", f"the request is {age_ms} ms old; its ttl_ms is {ttl_ms}")
        if age_ms > self.settings.max_order_age_ms:
            raise Refused(
                "too_old", f"the request is {age_ms} ms old; max_order_age_ms is {self.settings.max_order_age_ms}"
            )

    def _check_connection(self) -> None:
        if self.is_stopping:
            raise Refused("not_connected", "the gateway is stopping")
        if not self.connector.is_connected:
            raise Refused("not_connected", "the account's stream is not live; nothing was sent")

    def _check_book(self, coin: str) -> None:
        """A market order needs a fair cap. A coin that nobody watches is watched from now on."""
        try:
            book = self.connector.book(coin)
        except HlfastError:
            self.connector.watch(coin, bbo=False)
            raise Refused("no_reference_price", f"no book of {coin} yet; it is being subscribed to") from None
        if book.is_stale or not book.epoch:
            raise Refused("no_reference_price", f"the book of {coin} is not fresh")

    def _send(self, envelope: Envelope, asked: read.Place, orders: list[OrderParams], records: list[Record]) -> None:
        if asked.ttl_ms:
            left = asked.ttl_ms - ((clock.epoch_ns() - asked.ts_ns) // 1_000_000 if asked.ts_ns else 0)
            if left <= 0:
                raise Refused("ttl_expired", f"its ttl_ms of {asked.ttl_ms} is over")
            orders = [order.replace(expires_after_ms=left) for order in orders]
        for record in records:
            self.memory.add(record)
        try:
            if asked.bracket is not None:
                self.connector.place(orders, grouping="normalTpsl" if asked.bracket.oco else "na")
            elif asked.is_buy:
                self.connector.buy(orders[0])
            else:
                self.connector.sell(orders[0])
        except Exception as error:
            if not isinstance(error, HlfastError):
                log.exception("placing %s failed", envelope.cl_id)
            refused = _not_sent(error, asked)
            for record in records:
                order = self.connector.get_order(record.coid)
                if order is not None and not order.is_done:
                    continue  # it may have left: what became of it is told when it is known
                if record.state == "pending":  # else its failure was told as an event already
                    own = Envelope(record.cl_id, "place")
                    told = self.reports.rejection(own, refused, record.tags)
                    self.news.answer(record, "rejected", refused.canonical, told)

    # -- cancelling -------------------------------------------------------------------------------------------------
    def _target(self, cl_id: str | None, oid: int | None) -> Record | Ended | None:
        if cl_id is not None and (found := self.memory.find(cl_id)) is not None:
            return found
        number = oid if oid is not None else int(cl_id) if cl_id and cl_id.isdigit() and len(cl_id) < 19 else None
        order = None if number is None else self.connector.tracker.get_order_by_exchange_id(number)
        return None if order is None else self.news.record_of(order)

    def _cancel(self, envelope: Envelope) -> None:
        asked = read.read_cancel(envelope, clock.epoch_ns())
        target = self._target(asked.target, asked.oid)
        if target is None:
            self._cancel_unknown(envelope, asked)
            return
        if target.state in ("rejected", "canceled"):
            self.reports.request_done(envelope, self._tags(envelope), "already_done", target.state)
        elif target.state == "filled" or not isinstance(target, Record):
            self.reports.request_done(envelope, self._tags(envelope), "already_filled", "filled")
        else:
            if self.is_stopping and not self.connector.is_connected:
                self._check_connection()
            waiting = Waiting(envelope.cl_id, self._tags(envelope), envelope.digest, clock.monotonic_ns())
            target.cancels.append(waiting)
            try:
                self._ask_cancel(target)
            except HlfastError as error:
                if waiting in target.cancels:
                    target.cancels.remove(waiting)
                    raise _refused_by(error, "cancel_rejected") from None

    def _ask_cancel(self, record: Record) -> None:
        order = record.order or self.connector.get_order(record.coid)
        if order is not None:
            self.connector.cancel(order)

    def _cancel_unknown(self, envelope: Envelope, asked: read.Cancel) -> None:
        """The tracker knows all that rests on the account, so what it does not know is not live."""
        self._check_venue(asked.venue)
        self._check_connection()
        name = asked.target if asked.target is not None else str(asked.oid)
        self.reports.request_done(envelope, self._tags(envelope), "unknown_order", f"no live order {name}")
        self.reports.unknown_order(name, self.settings.venues[0])

    def ask_again(self) -> None:
        """Cancels without an effect so far are repeated: they are safe to repeat."""
        now_ns = clock.monotonic_ns()
        for record in [one for one in self.memory.live.values() if one.cancels]:
            if now_ns - record.cancels[-1].asked_ns >= CANCEL_AGAIN_NS and self.connector.is_connected:
                record.cancels[-1].asked_ns = now_ns
                try:
                    self._ask_cancel(record)
                except HlfastError as error:
                    log.info("the cancel of %s waits: %s", record.cl_id, error)

    # -- replacing --------------------------------------------------------------------------------------------------
    def _replace(self, envelope: Envelope) -> None:
        told = self.memory.replaces.get(envelope.cl_id)
        if told is not None:
            digest, report = told
            if digest == envelope.digest:
                self.reports.stream.tell(report, "duplicate")
                return
            raise Refused("cl_id_reused", f"{envelope.cl_id} names another replace")
        asked = read.read_replace(envelope, clock.epoch_ns())
        target = self._target(asked.target, None)
        waiting = target.replace if isinstance(target, Record) else None
        if waiting is not None and waiting.cl_id == envelope.cl_id and waiting.digest == envelope.digest:
            return  # under way: its answer will come
        try:
            self._ask_replace(envelope, asked, target)
        except Refused as refused:
            told_now = self.reports.rejection(envelope, refused, self._tags(envelope))
            if refused.canonical not in RETRIED:
                self.memory.keep_replace(envelope.cl_id, envelope.digest, told_now)
            self.reports.stream.tell(told_now)

    def _ask_replace(self, envelope: Envelope, asked: read.Replace, target: Record | Ended | None) -> None:
        if target is None:
            self._check_venue(asked.venue)
        if not isinstance(target, Record) or target.is_ended:
            raise Refused("unknown_order", f"{asked.target} is not live")
        order = target.order or self.connector.get_order(target.coid)
        if order is None:
            raise Refused("unknown_order", f"{asked.target} is not live")
        rule = self.connector.resolve(order.coin)
        grid = Grid(rule, self.settings.is_strict)
        price = None if asked.price is None else grid.price(asked.price, order.is_buy)
        size = None if asked.size is None else grid.size(asked.size)
        if size is not None and size <= order.filled_amount:
            raise Refused("invalid_size", f"{order.filled_amount} of it is filled; a new total has to be larger")
        self._check_age(asked.ts_ns)
        self._check_connection()
        if target.replace is not None or order.modify_pending:
            raise Refused("modify_rejected", f"{asked.target} is being replaced already")
        if (price is None or price == order.price) and (size is None or size == order.amount):
            told = self.reports.request_report(
                envelope.cl_id, "replace", self._tags(envelope), "ok", "nothing to change"
            )
            self.memory.keep_replace(envelope.cl_id, envelope.digest, told)
            self.reports.stream.tell(told)
            return
        target.replace = Waiting(envelope.cl_id, self._tags(envelope), envelope.digest, clock.monotonic_ns())
        try:
            is_sent = self.connector.modify(order, price=price, size=size)
        except HlfastError as error:
            target.replace = None
            raise _refused_by(error, "modify_rejected") from None
        if not is_sent:
            target.replace = None
            raise Refused("modify_rejected", f"{asked.target} is {order.state}: it cannot be replaced now")

    # -- resending --------------------------------------------------------------------------------------------------
    def _resend(self, envelope: Envelope) -> None:
        asked = read.read_resend(envelope, clock.epoch_ns())
        stream = self.reports.stream if asked.topic == "exec.report" else self.reports.fills
        if not stream.has(asked.first, asked.last):
            raise Refused(
                "bad_field", f"{asked.topic} {asked.first} to {asked.last} are not all kept; newest is {stream.seq}"
            )
        messages = stream.messages(asked.first, asked.last)
        self.reports.request_done(envelope, self._tags(envelope), "ok", f"{len(messages)} messages")
        for start in range(0, len(messages), 500):
            chunk = messages[start : start + 500]
            self._later(lambda chunk=chunk: stream.again(chunk))  # type: ignore[misc]


def _refused_by(error: Exception, otherwise: str) -> Refused:
    text = str(error)
    if isinstance(error, NotReady):
        raw = next((raw for begins, raw in _NOT_SENT if text.startswith(begins)), "not_connected")
        return Refused("no_slot" if "wait for an answer" in text or "without an answer" in text else raw, text)
    if isinstance(error, RangeError):
        return Refused("parameter_error", text)
    if isinstance(error, OrderDenied):
        if text.startswith("the kill switch"):
            return Refused("kill_switch", text)
        if "is below the minimum" in text:
            return Refused("size_too_small", text)
        return Refused("risk_violation" if otherwise != "cancel_rejected" else otherwise, text)
    return Refused("parameter_error" if isinstance(error, ConfigError) else otherwise, text)


def _not_sent(error: Exception, asked: read.Place) -> Refused:
    """Why the connector did not take an order, as the gateway's code."""
    if isinstance(error, NotReady) and asked.kind == "market" and "book" in str(error):
        return Refused("no_reference_price", str(error))
    return _refused_by(error, "processing_error")
