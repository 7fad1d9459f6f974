"""FundingInfo: prices and rate of the next funding, and what changes it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass
class FundingInfoUpdate:
    trading_pair: str
    index_price: Decimal | None = None
    mark_price: Decimal | None = None
    next_funding_utc_timestamp: int | None = None
    rate: Decimal | None = None


class FundingInfo:
    """`next_funding_utc_timestamp` is in seconds; `rate` is a fraction an interval, not a percentage."""

    def __init__(
        self,
        trading_pair: str,
        index_price: Decimal,
        mark_price: Decimal,
        next_funding_utc_timestamp: int,
        rate: Decimal,
    ) -> None:
        self._trading_pair = trading_pair
        self.index_price = index_price
        self.mark_price = mark_price
        self.next_funding_utc_timestamp = next_funding_utc_timestamp
        self.rate = rate

    @property
    def trading_pair(self) -> str:
        return self._trading_pair

    def update(self, info_update: FundingInfoUpdate) -> None:
        """Take what the update says; its None leaves a field as it is."""
        for name in ("index_price", "mark_price", "next_funding_utc_timestamp", "rate"):
            value = getattr(info_update, name)
            if value is not None:
                setattr(self, name, value)
