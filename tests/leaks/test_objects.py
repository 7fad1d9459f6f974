"""Every compiled object, made and dropped 100,000 times (1,000,000 with --long): memory stays where it was.

Blocks of Python's allocator and, with glibc, bytes of C's are compared; both tell a leak of a few bytes an object. A
type that is not in the table fails the last test.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast import Settings, Signer
from hlfast.config import SIMULATOR_TEST_KEY, RiskLimits
from hlfast.core.bus import EventBus
from hlfast.core.checks import PreTradeChecks
from hlfast.core.events import OrderEvent, PositionUpdate
from hlfast.core.features import BookFeatures, RollingWindow, TradeFeatures
from hlfast.core.frame_sink import FrameSink
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.journal_ring import JournalRing
from hlfast.core.l4_book import L4Book, QueuePosition
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.order_ids import ClientOrderIds, Cloids
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import Position, PositionBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import OrderUpdate, Trade, TradeUpdate
from hlfast.net.frame_tap import FrameTap
from hlfast.net.listener import Listener
from hlfast.types import OrderParams, OrderState, TradeType
from hlfast.venues.hyperliquid.l4_scan import L4Router
from hlfast.venues.hyperliquid.limits import Limits, Window
from hlfast.venues.hyperliquid.nonce import NonceManager
from hlfast.venues.hyperliquid.order_entry import OrderEntry
from hlfast.venues.hyperliquid.scan import BookHandler, ItemStatus, PostReply, Router

from .memory import growth
from .test_frames import bbo, book, own_row, trades

TIMES = 100_000
BLOCKS_LEFT, BYTES_LEFT = 64, 64 * 1024
CLOID = "0x285ad26a251f390c83d065af51e3f8d9"
RULE = TradingRule("BTC", sz_decimals=5)
LEVELS = OrderBook("BTC", 5)
LEVELS.apply_snapshot([("59999", "1"), ("59998", "2")], [("60001", "1"), ("60002", "2")], time_ms=1, recv_ns=1)


def order(**fields: Any) -> InFlightOrder:
    given = {"client_order_id": "hl-1", "cloid": CLOID, "coin": "BTC", "trade_type": TradeType.BUY, "amount": "0.5"}
    return InFlightOrder(**{**given, "price": "60000", "sz_decimals": 5, **fields})


def row(state: OrderState, status: str, **fields: Any) -> OrderUpdate:
    given = {"cloid": CLOID, "exchange_order_id": 77, "coin": "BTC", "side": "B", "px_e8": 60_000 * 10**8}
    return OrderUpdate(**{**given, "new_state": state, "status": status, "lots": 50_000, "orig_lots": 50_000, **fields})


def fill(amount: str = "0.1", **fields: Any) -> TradeUpdate:
    given = {"coin": "BTC", "tid": 5, "exchange_order_id": 77, "cloid": CLOID, "price": "60000", "fee": "0.9"}
    return TradeUpdate(**{**given, "amount": amount, "sz_decimals": 5, "is_buy": True, "time_ms": 11, **fields})


# -- what is made --------------------------------------------------------------------------------------------------------
def a_book() -> None:
    made = OrderBook("BTC", 5)
    made.apply_snapshot([("50000.5", "0.25"), ("50000", 1)], [("50001", 2)])
    made.levels()


def a_bus() -> None:
    bus = EventBus()
    heard = bus.on(PositionUpdate, bool)
    bus.emit(PositionUpdate(coin="BTC", position=None, recv_ns=1))
    heard()


def a_router() -> None:
    router = Router()
    router.add_instrument(RULE, OrderBook("BTC", 5), Bbo("BTC", 5))
    router.set_book_handlers("BTC", (BookHandler(),))
    router.set_bbo_handlers("BTC", (bool,))
    router.feed(BOOK, 1)
    router.feed(BBO, 1)


BOOK, BBO, TRADES, OWN_ROW = book(1, 5), bbo(1), trades(1), own_row(1)
ANSWER = (
    b'{"channel":"post","data":{"id":257,"response":{"type":"action","payload":{"status":"ok","response":{"type":"order",'
    b'"data":{"statuses":[{"resting":{"oid":88383}},{"error":"no"}]}}}}}}'
)
READER = Router()
READER.add_instrument(RULE, OrderBook("BTC", 5), Bbo("BTC", 5))
READER.set_trade_handlers("BTC", (bool,))
READER.rule_for = {"BTC": RULE}.get
READER.order_sink = READER.post_sink = bool


def records_from_frames() -> None:
    READER.feed(TRADES, 1)
    READER.feed(OWN_ROW, 1)
    READER.feed(ANSWER, 1)


def a_position() -> None:
    made = Position("BTC", sz_decimals=5, size="0.5", entry_price="60000")
    made.snapshot()


def a_position_book() -> None:
    made = PositionBook(EventBus())
    made.start("BTC", 5, "0.5", "60000")
    made.book(fill())


def an_order() -> None:
    made = order()
    repr(made)


def a_tracker() -> list[type]:
    """Orders that end in every way; returns the classes of the events that were told."""
    heard: list[type] = []
    bus = EventBus()
    bus.on(OrderEvent, lambda event: heard.append(type(event)))
    tracker = ClientOrderTracker(bus)

    numbers = itertools.count(1)

    def live() -> InFlightOrder:
        n = next(numbers)
        one = order(client_order_id=f"hl-{n}", cloid=f"0x{n:032x}")
        tracker.start_tracking(one)
        tracker.mark_submitted(one, nonce=n)
        return one

    def accepted() -> InFlightOrder:
        one = live()
        tracker.process_order_update(row(OrderState.OPEN, "open", cloid=one.cloid, exchange_order_id=one.nonce))
        return one

    one = accepted()
    tracker.request_cancel(one)
    tracker.cancel_refused(one, "too late")
    tracker.request_modify(one, 60_001 * 10**8, 50_000)
    tracker.modify_refused(one, "no")
    tracker.request_modify(one, 60_001 * 10**8, 50_000)
    tracker.modify_accepted(one, 78)
    one = accepted()
    tracker.process_trade_update(fill("0.5", cloid=one.cloid, exchange_order_id=one.nonce))
    tracker.process_order_update(row(OrderState.FILLED, "filled", lots=0, cloid=one.cloid, exchange_order_id=one.nonce))
    one = accepted()
    tracker.process_order_update(row(OrderState.CANCELLED, "canceled", cloid=one.cloid, exchange_order_id=one.nonce))
    tracker.reject(live(), "refused")
    tracker.expire(live(), "too late")
    return heard


def _entry() -> Callable[[], None]:
    signer, nonces, limits, settings = Signer(SIMULATOR_TEST_KEY), NonceManager("0x1"), Limits(), Settings()
    positions = PositionBook(EventBus())

    def make() -> None:
        OrderEntry(
            signer=signer, nonces=nonces, tracker=ClientOrderTracker(), limits=limits, settings=settings, is_mainnet=False,
            resolve={"BTC": RULE}.__getitem__, book_of=lambda coin: None, positions=positions,
        )  # fmt: skip

    return make


def a_signer() -> None:
    made = Signer(SIMULATOR_TEST_KEY)
    made.close()


def ids() -> None:
    ClientOrderIds().next()
    Cloids().next()


def a_signer_with_a_pool() -> None:
    made = Signer(SIMULATOR_TEST_KEY, nonce_pool=4)
    made.sign_l1_action({"type": "noop"}, 1)
    made.close()


def features() -> None:
    window = RollingWindow(4)
    for n in range(6):
        window.add(n, n, 1)
    BookFeatures("BTC", 5, samples=4).update(LEVELS)
    TradeFeatures("BTC", 5, samples=4).advance(1)


def a_top() -> None:
    made = TopOfBook("BTC", 5)
    made.apply_book(LEVELS)
    made.levels(3)


def a_tap() -> None:
    made = FrameTap(FrameSink(), 100)
    for n in range(5):
        made.feed(b'{"channel":"pong"}', n)
    made.take()
    made.done()


def an_l4_book() -> None:
    made = L4Book("BTC", 5)
    made.begin_snapshot()
    made.insert(1, True, "60000", "0.5", user="0x" + "1" * 40, cloid="0x" + "2" * 32)
    made.insert(2, True, "60000", "0.5")
    made.end_block(7, 1_000)
    made.position(2)
    L4Router(RULE)


TABLE: dict[str, tuple[Callable[[], object], int]] = {
    # what is made, and how many times fewer than the others: a tracker has five orders' whole lives
    "OrderBook": (a_book, 1),
    "Bbo": (lambda: Bbo("BTC", 5), 1),
    "TradingRule": (lambda: TradingRule("BTC", sz_decimals=5), 1),
    "OrderParams": (lambda: OrderParams("BTC", "0.1", "50000").replace(size=1), 1),
    "EventBus": (a_bus, 1),
    "PreTradeChecks": (lambda: PreTradeChecks(RiskLimits()), 1),
    "FrameSink": (FrameSink, 1),
    "FrameTap": (a_tap, 1),
    "TopOfBook": (a_top, 5),
    "features of books and trades": (features, 5),
    "L4Book": (an_l4_book, 10),
    "BookHandler": (BookHandler, 1),
    "Router": (a_router, 1),
    "OrderUpdate": (lambda: row(OrderState.OPEN, "open"), 1),
    "TradeUpdate": (fill, 1),
    "records from frames": (records_from_frames, 1),
    "InFlightOrder": (an_order, 1),
    "Position": (a_position, 1),
    "PositionBook": (a_position_book, 1),
    "ids": (ids, 1),
    "Window": (lambda: Window(1200), 1),
    "Limits": (Limits, 1),
    "NonceManager": (lambda: NonceManager("0x1").next(), 1),
    "Listener": (lambda: Listener(FrameSink(), on_open=bool, on_closed=bool), 1),
    "OrderEntry": (_entry(), 1),
    "ClientOrderTracker": (a_tracker, 10),
    "Signer": (a_signer, 1),
    "NoncePool": (a_signer_with_a_pool, 1_000),
}

COVERS = {
    "records from frames": {Trade, OrderUpdate, PostReply, ItemStatus},
    "ids": {ClientOrderIds, Cloids},
    "features of books and trades": {RollingWindow, BookFeatures, TradeFeatures},
    "L4Book": {L4Book, QueuePosition, L4Router},
    "JournalRing": {JournalRing},
    "OrderEntry": {OrderEntry, PreTradeChecks},
}

INSIDE = {
    "_Texts": "a part of JournalRing",
    "_Wake": "a part of ClientOrderTracker, made for a waiter",
    "Resting": "a part of ClientOrderTracker",
    "_Request": "a part of OrderEntry, made for a request on a socket",
    "_Instrument": "a part of Router",
}


@pytest.mark.parametrize("name", TABLE)
def test_a_hundred_thousand_made_and_dropped_leave_nothing(name: str):
    work, slower = TABLE[name]
    left = growth(work, TIMES // slower)
    assert left.blocks <= BLOCKS_LEFT
    assert left.c_bytes <= BYTES_LEFT


@pytest.mark.long
@pytest.mark.parametrize("name", TABLE)
def test_a_million_made_and_dropped_leave_nothing(name: str):
    work, slower = TABLE[name]
    left = growth(work, 10 * TIMES // slower)
    assert left.blocks <= BLOCKS_LEFT
    assert left.c_bytes <= BYTES_LEFT
    assert left.rss <= 4 * 2**20


@pytest.mark.parametrize("times", [300, pytest.param(3_000, marks=pytest.mark.long)])
def test_journal_rings_opened_and_closed_leave_nothing(tmp_path: Path, times: int):
    numbers = itertools.count()

    def a_ring() -> None:
        path = tmp_path / f"ring-{next(numbers)}"
        JournalRing(path, 1_024).close()
        path.unlink()

    left = growth(a_ring, times)
    assert left.blocks <= BLOCKS_LEFT
    assert left.c_bytes <= BYTES_LEFT


def test_the_measure_sees_a_few_bytes_an_object():
    """The counter-test: what is kept is found out."""
    kept: list[Any] = []
    left = growth(lambda: kept.append(Bbo("BTC", 5)), 10_000)
    assert left.blocks >= 10_000 or left.c_bytes >= 10_000 * 64


def test_every_compiled_type_is_among_them():
    """A new compiled class has to be added to the table, or to the parts of another."""
    made = {cls for covered in COVERS.values() for cls in covered} | set(a_tracker()) | {OrderEvent, InFlightOrder}
    names = {cls.__name__ for cls in made} | TABLE.keys() | INSIDE.keys()
    compiled = {cls.__name__ for module in hlfast.build_info()["modules"] for cls in extension_types(module)}
    assert compiled - names == set()


def extension_types(module: str) -> list[type]:
    """The classes that are not made by Python's `class` statement."""
    heap = 1 << 9
    found = vars(importlib.import_module(module)).values()
    return [cls for cls in found if isinstance(cls, type) and cls.__module__ == module and not cls.__flags__ & heap]
