"""Adapters (layer 4): a connector under the roles that a larger trading system knows. Thin: no logic of their own.

`market_stream` an order-book source over a shared market stream; `bridge` orders, by the caller's own ids; `router` several
venues by name; `integrated` a connector with its market adapter and an order-event publisher (docs/adapters.md).
"""

from hlfast.engine.adapters.bridge import BridgeAdapter, BridgeAnswer
from hlfast.engine.adapters.integrated import IntegratedConnector
from hlfast.engine.adapters.market_stream import MarketStream, MarketStreamAdapter, OrderBookMessage
from hlfast.engine.adapters.router import VenueRouter

__all__ = [
    "BridgeAdapter",
    "BridgeAnswer",
    "IntegratedConnector",
    "MarketStream",
    "MarketStreamAdapter",
    "OrderBookMessage",
    "VenueRouter",
]
