"""What the gateway says of orders (layer 4): `exec.report`, `exec.fill` and `exec.status`, numbered before they are sent.

A report is made once (`Told`), kept by the memory, and told through its stream, which gives it clock, run and number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from hlfast.core.fixed import scaled_to_decimal
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import TradeUpdate
from hlfast.engine.gateway_envelope import Envelope, Refused
from hlfast.engine.gateway_memory import Record
from hlfast.engine.gateway_text import Stream, Told, average, number, price, size, told

_TIFS = {"Gtc": "GTC", "Alo": "PO", "Ioc": "IOC", "FrontendMarket": "IOC"}
MS_NS = 1_000_000


def details_of(record: Record, order: InFlightOrder, symbol: str, detail: int) -> dict[str, Any]:
    """As now in force, by the fills told so far. `detail`: 2 with the order's kind, 1 with the average price."""
    decimals, cum = order.sz_decimals, record.cum_lots
    found: dict[str, Any] = {"symbol": symbol, "side": "buy" if order.is_buy else "sell"}
    if detail == 2:
        kind = record.type_given or {"LIMIT_MAKER": "limit"}.get(str(order.order_type), str(order.order_type).lower())
        found["order_type"] = kind
        if not order.trigger_px_e8 and order.tif:
            found["time_in_force"] = record.tif_given or _TIFS.get(order.tif, order.tif)
    if order.px_e8:
        found["price"] = price(order.px_e8)
    found["size"] = size(order.lots, decimals)
    if order.trigger_px_e8:
        found["stop_price"] = price(order.trigger_px_e8)
    if order.reduce_only:
        found["reduce_only"] = True
    found["filled_size"] = size(cum, decimals)
    if cum and detail == 1 and order.average_fill_price is not None:
        found["avg_price"] = average(order.average_fill_price)
    found["remaining_size"] = size(max(order.lots - cum, 0), decimals)
    return found


class Reports:
    """`stream`: exec.report, `fills`: exec.fill, `status`: exec.status; `venue`: the key in answers without an order."""

    def __init__(self, stream: Stream, fills: Stream, status: Stream, venue: str) -> None:
        self.stream, self.fills, self.status = stream, fills, status
        self.venue = venue

    # -- answers to requests ----------------------------------------------------------------------------------------
    def rejection(self, envelope: Envelope, refused: Refused, tags: dict[str, str]) -> Told:
        head: dict[str, Any] = {"version": 1, "cl_id": envelope.cl_id}
        if envelope.action is not None:
            head["action"] = envelope.action
        head |= {
            "status": "rejected",
            "reason_code": refused.canonical,
            "reason_text": refused.text,
            "raw_code": refused.raw,
        }
        return told(head, 0, {"tags": tags})

    def refuse(self, envelope: Envelope, refused: Refused, sha256: str | None) -> None:
        """Answer a message that became no order. `sha256`: of its frame, where the id may not be readable."""
        tags = {**envelope.tags, "venue": envelope.tags.get("venue", self.venue)}
        report = self.rejection(envelope, refused, tags)
        if sha256 is not None:
            report = Told(report.head + f',"frame_sha256":"{sha256}"'.encode(), 0, report.tail)
        self.stream.tell(report)

    def request_report(self, cl_id: str, action: str | None, tags: dict[str, str], raw: str, text: str) -> Told:
        head: dict[str, Any] = {"version": 1, "cl_id": cl_id}
        if action is not None:
            head["action"] = action
        head |= {"status": "accepted", "reason_code": "ok", "reason_text": text, "raw_code": raw}
        return told(head, 0, {"tags": tags})

    def request_done(self, envelope: Envelope, tags: dict[str, str], raw: str, text: str) -> None:
        self.stream.tell(self.request_report(envelope.cl_id, envelope.action, tags, raw, text))

    def unknown_order(self, cl_id: str, venue: str) -> None:
        """So that a client can clear an id that nobody knows."""
        head = {
            "version": 1,
            "cl_id": cl_id,
            "status": "canceled",
            "reason_code": "ok",
            "reason_text": "neither the gateway nor the venue knows it",
            "raw_code": "unknown_order",
        }
        self.stream.tell(told(head, 0, {"tags": {"venue": venue}}))

    # -- about orders -----------------------------------------------------------------------------------------------
    def order_report(
        self,
        record: Record,
        order: InFlightOrder,
        status: str,
        canonical: str,
        text: str,
        raw: str,
        time_ms: int,
        action: str | None,
        details: dict[str, Any] | None,
    ) -> Told:
        head: dict[str, Any] = {"version": 1, "cl_id": record.cl_id}
        if action is not None and not record.is_external:
            head["action"] = action
        head["status"] = status
        if order.exchange_order_id:
            head["exchange_order_id"] = str(order.exchange_order_id)
        head |= {"reason_code": canonical, "reason_text": text, "raw_code": raw}
        tail: dict[str, Any] = {} if details is None else {"details": details}
        tail["tags"] = record.tags
        return told(head, time_ms * MS_NS, tail)

    def fill(
        self,
        record: Record,
        order: InFlightOrder,
        fill: TradeUpdate,
        symbol: str,
        flags: Sequence[str] = (),
        cum_lots: int | None = None,
    ) -> None:
        """`cum_lots`: filled with this fill; None: all that has been told."""
        cum_lots = record.cum_lots if cum_lots is None else cum_lots
        decimals, stream = order.sz_decimals, self.fills
        body: dict[str, Any] = {"version": 1, "cl_id": record.cl_id}
        if fill.exchange_order_id:
            body["exchange_order_id"] = str(fill.exchange_order_id)
        body |= {
            "exec_id": str(fill.tid),
            "symbol_or_pair": symbol,
            "side": "buy" if fill.is_buy else "sell",
            "price": price(fill.px_e8),
            "size": number(fill.amount),
            "fee_currency": fill.fee_token,
            "fee_amount": number(fill.fee),
            "liquidity": "taker" if fill.is_taker else "maker",
            "ts_ns": stream.now(),
            "venue_ts_ns": fill.time_ms * MS_NS,
        }
        if not record.is_external:
            body["leaves_size"] = size(max(order.lots - cum_lots, 0), decimals)
            body["cum_size"] = number(scaled_to_decimal(cum_lots, decimals))
        body |= {"run_id": stream.run_id, "seq": stream.next_seq(), "tags": _fill_tags(record)}
        message = orjson.dumps(body | dict.fromkeys(flags, True))
        stream.publish(message)

    def tell_status(self, state: str, open_orders: int, unresolved: int, bad_messages: int, dropped: int) -> None:
        status = self.status
        body = {
            "version": 1,
            "ts_ns": status.now(),
            "run_id": status.run_id,
            "state": state,
            "report_seq": self.stream.seq,
            "fill_seq": self.fills.seq,
            "open_orders": open_orders,
            "unresolved_orders": unresolved,
            "dropped": dropped,
            "bad_messages": bad_messages,
        }
        status.publish(orjson.dumps(body))


def _fill_tags(record: Record) -> dict[str, str]:
    """The order's tags, and what they leave open. Tags set by the strategy win."""
    if record.is_external:
        return record.tags
    tags = {key: value for key, value in record.tags.items() if key != "venue"}
    base, _, role = record.cl_id.rpartition("::")
    is_child = bool(base) and role in ("tp", "sl")
    tags.setdefault("intent_id", base if is_child else record.cl_id)
    tags.setdefault("role", role if is_child else "entry")
    tags.setdefault("execution_type", "live")
    tags["venue"] = record.tags["venue"]
    return tags
