from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

from hlfast.core.frame_sink import FrameSink
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import OrderUpdate, Trade, TradeUpdate
from hlfast.types import OrderState

COUNTERS: tuple[str, ...]
COLD_CHANNELS: tuple[str, ...]
STATUS_WORDS: dict[OrderState, tuple[str, ...]]

class ItemKind(IntEnum):
    UNKNOWN = 0
    RESTING = 1
    FILLED = 2
    ERROR = 3
    SUCCESS = 4
    WAITING_FILL = 5
    WAITING_TRIGGER = 6

class BookHandler:
    def on_book(self, book: OrderBook) -> int: ...
    def __call__(self, book: OrderBook) -> None: ...

class ItemStatus:
    kind: int
    oid: int
    cloid: str | None
    total_sz: str
    avg_px: str
    error: str
    def __init__(
        self,
        kind: int,
        oid: int = 0,
        cloid: str | None = None,
        total_sz: str = "",
        avg_px: str = "",
        error: str = "",
    ) -> None: ...

class PostReply:
    id: int
    kind: str
    text: str
    statuses: list[ItemStatus]
    data: Any
    recv_ns: int
    def __init__(
        self,
        id: int,
        kind: str,
        text: str = "",
        statuses: Iterable[ItemStatus] = (),
        data: Any = None,
        recv_ns: int = 0,
    ) -> None: ...
    @staticmethod
    def from_http(id: int, status: int, body: bytes, recv_ns: int = 0) -> PostReply: ...

class Router(FrameSink):
    order_sink: Callable[[OrderUpdate], object] | None
    fill_sink: Callable[[TradeUpdate, bool], object] | None
    post_sink: Callable[[PostReply], object] | None
    cold_sink: Callable[[str, Any, int], object] | None
    error_sink: Callable[[str, str, bytes], object] | None
    on_handler_error: Callable[[Any, BaseException], object] | None
    rule_for: Callable[[str], TradingRule | None] | None
    def add_instrument(self, rule: TradingRule, book: OrderBook, bbo: Bbo) -> None: ...
    def remove_instrument(self, coin: str) -> None: ...
    def set_book_handlers(self, coin: str, handlers: Iterable[Callable[[OrderBook], object]]) -> None: ...
    def set_bbo_handlers(self, coin: str, handlers: Iterable[Callable[[Bbo], object]]) -> None: ...
    def set_trade_handlers(self, coin: str, handlers: Iterable[Callable[[Trade], object]]) -> None: ...
    def set_top(self, coin: str, top: TopOfBook, handlers: Iterable[Callable[[TopOfBook], object]] = ()) -> None: ...
    def tell_top(self, coin: str) -> None: ...
    @property
    def counters(self) -> dict[str, int]: ...
