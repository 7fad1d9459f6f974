"""Structured logs (layer 4, cold): one JSON object a line, with order ids and without secrets, written by a thread.

    with structured_log.to(sys.stderr, level="INFO"), structured_log.orders_of(connector): ...
    hlfast gateway --log json

Every record of hlfast's loggers, and on request every event of an order, as {"ts_ns", "time", "level", "logger", "message",
...}. The loop only puts a record into a bounded queue; what does not fit is dropped and counted. Whatever has the form of
a private key or of half a signature (64 hex digits) is not written.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, TextIO

import orjson

from hlfast import clock
from hlfast.core import events as ev
from hlfast.core.connector_base import ConnectorBase
from hlfast.errors import ConfigError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
QUEUED = 10_000
SECRET = re.compile(r"(?<![0-9a-fA-F])(?:0x)?[0-9a-fA-F]{64}(?![0-9a-fA-F])")
REDACTED = "[64 hex digits, not shown]"

orders = logging.getLogger("hlfast.orders")


def without_secrets(text: str) -> str:
    return SECRET.sub(REDACTED, text)


class JsonFormatter(logging.Formatter):
    """A record as one line. `extra={"fields": {...}}` become keys of their own; Decimals become text."""

    def format(self, record: logging.LogRecord) -> str:
        ts_ns = getattr(record, "ts_ns", None) or clock.epoch_ns()
        moment = datetime.fromtimestamp(ts_ns // 1_000_000_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        line: dict[str, Any] = {
            "ts_ns": ts_ns,
            "time": f"{moment}.{ts_ns % 1_000_000_000 // 1_000:06d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return without_secrets(orjson.dumps(line, default=str).decode())


class TextFormatter(JsonFormatter):
    """The same for people: time, level, message, then the fields as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        line = orjson.loads(super().format(record))
        beside = {"ts_ns", "time", "level", "logger", "message", "exception"}
        fields = " ".join(f"{key}={value}" for key, value in line.items() if key not in beside)
        text = f"{line['time']} {line['level']:<7} {line['message']}{' ' if fields else ''}{fields}"
        return f"{text}\n{line['exception']}" if "exception" in line else text


class _Queued(logging.handlers.QueueHandler):
    """Never waits: what does not fit is dropped and counted."""

    def __init__(self, records: queue.Queue[Any]) -> None:
        super().__init__(records)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.ts_ns = clock.epoch_ns()
        record.msg, record.args = (
            record.getMessage(),
            None,
        )  # what it names may have changed once the thread comes to it
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class Log:
    """What `to` gives: `dropped` records so far."""

    def __init__(self, handler: _Queued) -> None:
        self._handler = handler

    @property
    def dropped(self) -> int:
        return self._handler.dropped


@contextmanager
def to(stream: TextIO, *, level: str = "INFO", as_json: bool = True, queued: int = QUEUED) -> Iterator[Log]:
    """Write hlfast's records from `level` up to `stream` until the end of the block, and all that is queued then.

    Raises `ConfigError` for an unknown level.
    """
    if level.upper() not in LEVELS:
        raise ConfigError(f"a log level is one of {', '.join(LEVELS)}, got {level!r}")
    writer = logging.StreamHandler(stream)
    writer.setFormatter(JsonFormatter() if as_json else TextFormatter())
    records: queue.Queue[Any] = queue.Queue(queued)
    handler = _Queued(records)
    thread = logging.handlers.QueueListener(records, writer)
    logger = logging.getLogger("hlfast")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
    thread.start()
    try:
        yield Log(handler)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
        while True:  # the end's mark needs a place in the queue
            try:
                thread.stop()
                break
            except queue.Full:
                continue
        if handler.dropped:
            line = logging.LogRecord(
                "hlfast", logging.WARNING, "", 0, f"{handler.dropped} log records dropped", None, None
            )
            writer.handle(line)


@contextmanager
def orders_of(connector: ConnectorBase, names: Callable[[str], str | None] = lambda coid: None) -> Iterator[None]:
    """Log every event of the connector's orders. `names(client order id)`: a client's own id for it, as a gateway has."""

    def hear(event: ev.OrderEvent) -> None:
        if orders.isEnabledFor(logging.INFO):
            orders.info(type(event).__name__, extra={"fields": _fields(event, names)})

    remove = connector.on(ev.OrderEvent, hear)
    try:
        yield
    finally:
        remove()


def _fields(event: ev.OrderEvent, names: Callable[[str], str | None]) -> dict[str, Any]:
    order = event.order
    found: dict[str, Any] = {"client_order_id": order.client_order_id}
    cl_id = names(order.client_order_id)
    if cl_id is not None:
        found["cl_id"] = cl_id
    found |= {"cloid": order.cloid, "exchange_order_id": order.exchange_order_id, "coin": order.coin}
    found |= {"side": "buy" if order.is_buy else "sell", "price": order.price, "size": order.amount}
    found |= {"filled": order.filled_amount, "state": str(order.state), "unresolved": order.unresolved or None}
    if isinstance(event, ev.OrderFilled):
        fill = event.fill
        found |= {"trade_id": str(fill.tid), "fill_price": fill.price, "fill_size": fill.amount}
        found |= {"fee": fill.fee, "fee_token": fill.fee_token, "late": event.is_late or None}
    reject = getattr(event, "reject", None)
    reason = getattr(event, "reason", "") if reject is None else f"{reject.code}: {reject.text}"
    found |= {"reason": reason or None, "recovered": event.recovered or None}
    return {key: value for key, value in found.items() if value is not None}
