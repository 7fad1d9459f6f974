"""Position: what is held of one pair."""

from __future__ import annotations

from decimal import Decimal

from hlfast.compat.hummingbot.core.data_type.common import PositionSide


class Position:
    """Read-only but for `update_position`. A short has a negative amount."""

    def __init__(
        self,
        trading_pair: str,
        position_side: PositionSide,
        unrealized_pnl: Decimal,
        entry_price: Decimal,
        amount: Decimal,
        leverage: Decimal,
    ) -> None:
        self._trading_pair = trading_pair
        self._position_side = position_side
        self._unrealized_pnl = unrealized_pnl
        self._entry_price = entry_price
        self._amount = amount
        self._leverage = leverage

    def __repr__(self) -> str:
        return (
            f"Position(trading_pair={self._trading_pair}, position_side={self._position_side}, "
            f"unrealized_pnl={self._unrealized_pnl}, entry_price={self._entry_price}, amount={self._amount}, "
            f"leverage={self._leverage})"
        )

    @property
    def trading_pair(self) -> str:
        return self._trading_pair

    @property
    def position_side(self) -> PositionSide:
        return self._position_side

    @property
    def unrealized_pnl(self) -> Decimal:
        return self._unrealized_pnl

    @property
    def entry_price(self) -> Decimal:
        return self._entry_price

    @property
    def amount(self) -> Decimal:
        return self._amount

    @property
    def leverage(self) -> Decimal:
        return self._leverage

    def update_position(
        self,
        position_side: PositionSide | None = None,
        unrealized_pnl: Decimal | None = None,
        entry_price: Decimal | None = None,
        amount: Decimal | None = None,
        leverage: Decimal | None = None,
    ) -> None:
        """Take what is given; None leaves a field as it is."""
        if position_side is not None:
            self._position_side = position_side
        if unrealized_pnl is not None:
            self._unrealized_pnl = unrealized_pnl
        if entry_price is not None:
            self._entry_price = entry_price
        if amount is not None:
            self._amount = amount
        if leverage is not None:
            self._leverage = leverage
