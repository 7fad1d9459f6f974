"""OrderBookMessage: a snapshot, diff or trade as a source tells it; ordered, and usable as a key."""

from __future__ import annotations

from enum import Enum
from functools import total_ordering
from typing import Any, NamedTuple

from hlfast.compat.hummingbot.core.data_type.order_book_row import OrderBookRow


class OrderBookMessageType(Enum):
    SNAPSHOT = 1
    DIFF = 2
    TRADE = 3


class _Message(NamedTuple):
    type: OrderBookMessageType
    content: dict[str, Any]
    timestamp: float | None


@total_ordering
class OrderBookMessage(_Message):
    """Equal iff same type and id. Books are ordered by id, trades by id, else by time, a book before a trade on a tie.

    Ids are the very objects in the content (a venue's may be text). `timestamp`: seconds, or None; no time is before any.
    """

    __slots__ = ()

    def __new__(
        cls,
        message_type: OrderBookMessageType,
        content: dict[str, Any],
        timestamp: float | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> OrderBookMessage:
        return super().__new__(cls, message_type, content, timestamp)

    @property
    def _is_trade(self) -> bool:
        return self.type is OrderBookMessageType.TRADE

    @property
    def update_id(self) -> Any:
        return -1 if self._is_trade else self.content["update_id"]

    @property
    def first_update_id(self) -> Any:
        if self.type is not OrderBookMessageType.DIFF:
            return -1
        first = self.content.get("first_update_id")
        return self.update_id if first is None else first

    @property
    def trade_id(self) -> Any:
        return self.content["trade_id"] if self._is_trade else -1

    @property
    def trading_pair(self) -> str:
        return str(self.content["trading_pair"])

    @property
    def bids(self) -> list[OrderBookRow]:
        return self._rows("bids")

    @property
    def asks(self) -> list[OrderBookRow]:
        return self._rows("asks")

    def _rows(self, side: str) -> list[OrderBookRow]:
        return [OrderBookRow(float(price), float(amount), self.update_id) for price, amount, *_ in self.content[side]]

    @property
    def has_update_id(self) -> bool:
        return not self._is_trade

    @property
    def has_trade_id(self) -> bool:
        return self._is_trade

    @property
    def _id(self) -> Any:
        return self.trade_id if self._is_trade else self.update_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrderBookMessage) and (self.type, self._id) == (other.type, other._id)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.type, self._id))

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, OrderBookMessage):
            return NotImplemented
        if self == other:
            return False
        if self._is_trade is other._is_trade and self._id != other._id:
            return bool(self._id < other._id)
        if self.timestamp != other.timestamp:
            return self.timestamp is None or (other.timestamp is not None and self.timestamp < other.timestamp)
        if self._is_trade is not other._is_trade:
            return not self._is_trade
        return self.type.value < other.type.value  # a snapshot before the diff of the same id

    def __gt__(self, other: object) -> bool:
        if not isinstance(other, OrderBookMessage):
            return NotImplemented
        return other < self

    def __le__(self, other: object) -> bool:
        return not self > other

    def __ge__(self, other: object) -> bool:
        return not self < other
