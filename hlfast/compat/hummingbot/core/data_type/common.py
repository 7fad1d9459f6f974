"""Hummingbot's enums with its values, and its three small dictionaries. Identity and `repr` are part of the contract."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class OrderType(Enum):
    MARKET = 1
    LIMIT = 2
    LIMIT_MAKER = 3
    AMM_SWAP = 4
    AMM_ADD = 5
    AMM_REMOVE = 6

    def is_limit_type(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.LIMIT_MAKER)


class OpenOrder(NamedTuple):
    client_order_id: str
    trading_pair: str
    price: Decimal
    amount: Decimal
    executed_amount: Decimal
    status: str
    order_type: OrderType
    is_buy: bool
    time: int
    exchange_order_id: str


class PositionAction(Enum):
    OPEN = "OPEN"
    CLOSE = "CLOSE"
    NIL = "NIL"


class PositionSide(Enum):
    LONG = "LONG"
    SHORT = "SHORT"
    BOTH = "BOTH"


class PositionMode(Enum):
    HEDGE = "HEDGE"
    ONEWAY = "ONEWAY"


class PriceType(Enum):
    MidPrice = 1
    BestBid = 2
    BestAsk = 3
    LastTrade = 4
    LastOwnTrade = 5
    InventoryCost = 6
    Custom = 7


class TradeType(Enum):
    BUY = 1
    SELL = 2
    RANGE = 3


class LPType(Enum):
    ADD = 1
    REMOVE = 2
    COLLECT = 3


class GroupedSetDict(dict[K, set[V]], Generic[K, V]):
    """A dictionary of sets; a key without members is not there."""

    def add_or_update(self, key: K, *members: V) -> GroupedSetDict[K, V]:
        self.setdefault(key, set()).update(members)
        return self

    def remove(self, key: K, member: V) -> GroupedSetDict[K, V]:
        if key in self:
            self[key].discard(member)
            if not self[key]:
                del self[key]
        return self


MarketDict = GroupedSetDict[str, str]


class LazyDict(dict[K, V], Generic[K, V]):
    """A dictionary that makes a missing value from its key."""

    def __init__(self, default_value_factory: Callable[[K], V] | None = None) -> None:
        super().__init__()
        self.default_value_factory = default_value_factory

    def __missing__(self, key: K) -> V:
        if self.default_value_factory is None:
            raise KeyError(key)
        value = self[key] = self.default_value_factory(key)
        return value

    def get(self, key: K, *default: Any) -> Any:
        """As `self[key]`, `KeyError` included, unless a default is given."""
        if default and key not in self and self.default_value_factory is None:
            return default[0]
        return self[key]

    def get_or_add(self, key: K, value_factory: Callable[[], V]) -> V:
        if key not in self:
            self[key] = value_factory()
        return self[key]
