"""PerpetualTrading: positions, funding, leverage and position mode of a perpetual connector."""

from __future__ import annotations

import asyncio
import copy

from hlfast.compat.hummingbot.connector.derivative.position import Position
from hlfast.compat.hummingbot.core.data_type.common import PositionMode, PositionSide
from hlfast.compat.hummingbot.core.data_type.funding_info import FundingInfo, FundingInfoUpdate
from hlfast.compat.hummingbot.logger import HummingbotLogger, logger_for


class PerpetualTrading:
    def __init__(self, trading_pairs: list[str]) -> None:
        self._trading_pairs = list(trading_pairs)
        self._account_positions: dict[str, Position] = {}
        self._position_mode = PositionMode.ONEWAY
        self._leverage: dict[str, int] = {}
        self._funding_info: dict[str, FundingInfo] = {}
        self._funding_info_stream: asyncio.Queue[FundingInfoUpdate] = asyncio.Queue()
        self._funding_info_updater_task: asyncio.Task[None] | None = None
        self.funding_payment_span = [0, 0]

    @classmethod
    def logger(cls) -> HummingbotLogger:
        return logger_for(PerpetualTrading)

    # -- positions --------------------------------------------------------------------------------------------------
    @property
    def account_positions(self) -> dict[str, Position]:
        return self._account_positions

    def position_key(
        self, trading_pair: str, side: PositionSide | None = None, mode: PositionMode | None = None
    ) -> str:
        """The pair; in HEDGE mode with the side's name behind it. `mode`: instead of the one that is set."""
        if (mode or self._position_mode) is PositionMode.HEDGE and side is not None:
            return f"{trading_pair}{side.name}"
        return trading_pair

    def set_position(self, pos_key: str, position: Position) -> None:
        self._account_positions[pos_key] = position

    def remove_position(self, post_key: str) -> Position | None:
        return self._account_positions.pop(post_key, None)

    def get_position(self, trading_pair: str, side: PositionSide | None = None) -> Position | None:
        return self._account_positions.get(self.position_key(trading_pair, side))

    @property
    def position_mode(self) -> PositionMode:
        return self._position_mode

    def set_position_mode(self, value: PositionMode) -> None:
        self._position_mode = value

    # -- leverage ---------------------------------------------------------------------------------------------------
    def get_leverage(self, trading_pair: str) -> int:
        return self._leverage.get(trading_pair, 1)

    def set_leverage(self, trading_pair: str, leverage: int = 1) -> None:
        self._leverage[trading_pair] = leverage

    # -- pairs and funding ------------------------------------------------------------------------------------------
    def add_trading_pair(self, trading_pair: str) -> None:
        if trading_pair not in self._trading_pairs:
            self._trading_pairs.append(trading_pair)

    def remove_trading_pair(self, trading_pair: str) -> None:
        if trading_pair in self._trading_pairs:
            self._trading_pairs.remove(trading_pair)
        self._funding_info.pop(trading_pair, None)
        self._leverage.pop(trading_pair, None)

    @property
    def funding_info(self) -> dict[str, FundingInfo]:
        return copy.deepcopy(self._funding_info)

    @property
    def funding_info_stream(self) -> asyncio.Queue[FundingInfoUpdate]:
        return self._funding_info_stream

    def initialize_funding_info(self, funding_info: FundingInfo) -> None:
        self._funding_info[funding_info.trading_pair] = funding_info

    def is_funding_info_initialized(self) -> bool:
        return all(pair in self._funding_info for pair in self._trading_pairs)

    def get_funding_info(self, trading_pair: str) -> FundingInfo:
        return self._funding_info[trading_pair]

    def current_funding_info(self, trading_pair: str) -> FundingInfo | None:
        """Ours: as `get_funding_info`, None where nothing has been heard yet."""
        return self._funding_info.get(trading_pair)

    def start(self) -> None:
        self._end_task()
        self._funding_info_updater_task = asyncio.get_event_loop().create_task(self._funding_info_updater())

    def stop(self) -> None:
        self._end_task()
        self._funding_info.clear()

    def _end_task(self) -> None:
        if self._funding_info_updater_task is not None:
            self._funding_info_updater_task.cancel()
            self._funding_info_updater_task = None

    async def _funding_info_updater(self) -> None:
        while True:
            try:
                update = await self._funding_info_stream.get()
                found = self._funding_info.get(update.trading_pair)
                if found is not None:
                    found.update(update)
            except asyncio.CancelledError:
                raise
            except Exception:
                self.logger().error("Unexpected error updating funding info.", exc_info=True)
                await asyncio.sleep(0.1)
