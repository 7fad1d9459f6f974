from collections.abc import Callable, Sequence
from typing import Any

from hlfast.config import Settings
from hlfast.core.checks import PreTradeChecks
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.journal_ring import JournalRing
from hlfast.core.order_book import OrderBook
from hlfast.core.order_ids import ClientOrderIds, Cloids
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import PositionBook
from hlfast.core.trading_rule import TradingRule
from hlfast.net.listener import Listener
from hlfast.types import Number, OrderParams, OrderType, PositionAction, Trigger
from hlfast.venues.hyperliquid.limits import MAX_ITEMS_PER_ACTION as MAX_ITEMS_PER_ACTION
from hlfast.venues.hyperliquid.limits import POSTS_IN_FLIGHT as POSTS_IN_FLIGHT
from hlfast.venues.hyperliquid.limits import Limits
from hlfast.venues.hyperliquid.nonce import NonceManager
from hlfast.venues.hyperliquid.order_batcher import Action, OrderBatcher
from hlfast.venues.hyperliquid.scan import PostReply
from hlfast.venues.hyperliquid.sign import Signer
from hlfast.venues.hyperliquid.wire import TIFS as TIFS

MAX_EXPIRY_MS: int
ROW_DUE_NS: int
LATE_ANSWER_NS: int

class OrderEntry:
    signer: Signer
    nonces: NonceManager
    tracker: ClientOrderTracker
    limits: Limits
    checks: PreTradeChecks
    settings: Settings
    ring: JournalRing | None
    is_mainnet: bool
    vault: str | None
    ids: ClientOrderIds
    cloids: Cloids
    rules: dict[str, TradingRule]
    live: bool
    not_live_reason: str
    on_post_only: Callable[[str], object] | None
    @property
    def batcher(self) -> OrderBatcher | None: ...
    def send(self, actions: list[Action]) -> None: ...
    orders_sent: int
    cancels_sent: int
    unresolved_count: int
    stray_answers: int
    def __init__(
        self,
        *,
        signer: Signer,
        nonces: NonceManager,
        tracker: ClientOrderTracker,
        limits: Limits,
        settings: Settings,
        is_mainnet: bool,
        vault: str | None = None,
        resolve: Callable[[str], TradingRule],
        book_of: Callable[[str], OrderBook | None],
        positions: PositionBook,
    ) -> None: ...
    def attach(self, listener: Listener) -> None: ...
    def go_live(self) -> None: ...
    def warm_up(self, times: int = 50) -> None: ...
    def connection_lost(self, reason: str) -> None: ...
    def on_reply(self, reply: PostReply) -> None: ...
    def tick(self, now: int) -> None: ...
    @property
    def in_flight(self) -> int: ...
    def submit(
        self,
        coin: str | OrderParams,
        is_buy: bool,
        size: Number | None = None,
        price: Number | None = None,
        *,
        tif: str | None = None,
        reduce_only: bool = False,
        trigger: Trigger | None = None,
        rounding: str = "refuse",
        client_order_id: str | None = None,
        cloid: str | None = None,
        order_type: OrderType | None = None,
        position_action: PositionAction = ...,
        expires_after_ms: int | None = None,
    ) -> InFlightOrder: ...
    def place(self, orders: Sequence[OrderParams], grouping: str | None = None) -> list[InFlightOrder]: ...
    def modify(
        self,
        given: InFlightOrder | str | int,
        *,
        price: Number | None = None,
        size: Number | None = None,
        rounding: str = "refuse",
    ) -> bool: ...
    def cancel(self, given: InFlightOrder | str | int) -> bool: ...
    def order_of(self, given: InFlightOrder | str | int) -> InFlightOrder | None: ...
    def cancel_many(self, orders: Sequence[InFlightOrder]) -> int: ...
    def cancel_all(self, coin: str | None = None) -> int: ...
    async def call(self, request_body: dict[str, Any], what: str) -> PostReply: ...
    async def ask(self, payload: dict[str, Any]) -> Any: ...
    async def act(self, action: dict[str, Any], nonce: int | None = None) -> dict[str, Any]: ...
