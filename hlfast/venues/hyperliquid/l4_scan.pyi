from collections.abc import Callable

from hlfast.core.l4_book import L4Book
from hlfast.core.order_book import OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.scan import Router

class L4Router(Router):
    l4: L4Book
    l2: OrderBook
    rule: TradingRule
    gap_sink: Callable[[str], object] | None
    snapshot_sink: Callable[[], object] | None
    block_handlers: tuple[Callable[[L4Book], object], ...]
    every_height: bool
    l2_depth: int
    is_waiting: bool
    l4_counters: dict[str, int]
    def __init__(self, rule: TradingRule) -> None: ...
    def expect_snapshot(self, reason: str) -> None: ...
