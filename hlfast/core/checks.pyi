from collections.abc import Callable

from hlfast.config import RiskLimits
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.order_book import OrderBook

class PreTradeChecks:
    killed: bool
    kill_reason: str
    refused: int
    gate: Callable[[InFlightOrder], object] | None
    def __init__(self, limits: RiskLimits) -> None: ...
    def kill(self, reason: str) -> None: ...
    def resume(self) -> None: ...
    def allow(
        self,
        order: InFlightOrder,
        position_lots: int,
        resting_lots: int,
        open_orders: int,
        book: OrderBook | None = None,
    ) -> None: ...
