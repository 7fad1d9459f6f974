"""A gateway's order desk without sockets and venue: clock, numbers and ids are what a test says; the test plays the exchange."""

from __future__ import annotations

from typing import Any

import pytest

from hlfast import clock
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import OrderUpdate
from hlfast.engine.gateway_events import OrderEventPublisher
from hlfast.engine.gateway_memory import Memory
from hlfast.engine.gateway_orders import DeskSettings, OrderDesk
from hlfast.engine.gateway_reports import Reports
from hlfast.engine.gateway_text import RisingClock, Stream
from hlfast.types import OrderState, OrderType

from .conftest import FakeConnector

RUN = "1790300000000000000"


class Scripted(FakeConnector):
    """Orders are made at the times of the examples; modifies are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.created: list[int] = []
        self._count = 0

    def generate_client_order_id(self) -> str:
        self._count += 1
        return f"hl-{self._count}"

    def _submit(self, coin: Any, side: Any, size: Any, price: Any, kw: dict[str, Any]) -> InFlightOrder:
        params = coin
        order = InFlightOrder(
            client_order_id=params.client_order_id,
            coin=params.coin,
            trade_type=side,
            amount=params.size,
            price=params.price,
            cloid="0x" + f"{len(self.sent):032x}",
            sz_decimals=self.rules[params.coin].sz_decimals,
            tif=params.tif or "Gtc",
            order_type=OrderType.LIMIT_MAKER if params.tif == "Alo" else params.order_type or OrderType.LIMIT,
            trigger_price=params.trigger.price if params.trigger else None,
            reduce_only=params.reduce_only,
            creation_ns=self.created.pop() if self.created else None,
        )
        self.tracker.start_tracking(order)
        self.sent.append(order)
        self.tracker.mark_submitted(order)
        return order

    def modify(self, order: Any, *, price: Any = None, size: Any = None, rounding: str = "refuse") -> bool:
        rule = self.rules[order.coin]
        px = order.px_e8 if price is None else rule.price_e8(price)
        return self.tracker.request_modify(order, px, order.lots if size is None else rule.lots(size))


class Desk:
    """An order desk whose clock, numbers and run are the examples'."""

    def __init__(self, connector: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connector, self._patch = connector, monkeypatch
        self.frames: list[list[bytes]] = []
        now = RisingClock()
        topics = ("exec.report", "exec.fill", "exec.status")
        self.streams = [Stream(topic, RUN, self.frames.append, now=now) for topic in topics]
        self.events: list[list[bytes]] = []

        class Socket:
            def send_multipart(_, frames: list[bytes], flags: int = 0) -> None:
                self.events.append(frames)

        self.publisher = OrderEventPublisher(object(), "", "orders.hyperliquid", socket=Socket())
        self.reports = Reports(*self.streams, "hyperliquid")
        self.at(1790358617881000000)
        self.desk = OrderDesk(
            connector, self.reports, self.publisher, Memory(), DeskSettings(), lambda fn: fn()  # type: ignore[arg-type]
        )  # fmt: skip
        self.desk.news.attach()

    def at(self, ns: int) -> Desk:
        self._patch.setattr(clock, "epoch_ns", lambda: ns)
        self._patch.setattr(clock, "wall_clock_ms", lambda: ns // 1_000_000)
        return self

    def send(self, message: bytes) -> None:
        self.desk.on_message([message])

    @property
    def last(self) -> bytes:
        return self.frames[-1][1]

    def place(self, message: bytes, oid: int, venue_ts_ns: int = 0) -> InFlightOrder:
        self.send(message)
        order = self.connector.sent[-1]
        self.open(order, oid, venue_ts_ns)
        return order

    def open(self, order: InFlightOrder, oid: int, venue_ts_ns: int = 0) -> None:
        self.row(order, oid, OrderState.OPEN, "open", venue_ts_ns)

    def row(self, order: InFlightOrder, oid: int, state: OrderState, status: str, venue_ts_ns: int) -> None:
        self.connector.tracker.process_order_update(
            OrderUpdate(
                client_order_id=order.client_order_id, exchange_order_id=oid, coin=order.coin, new_state=state,
                status=status, time_ms=venue_ts_ns // 1_000_000, recv_ns=clock.epoch_ns(),
                reason=status if state is OrderState.FAILED else "",
            )
        )  # fmt: skip
