"""Shapes of `data` of WebSocket frames (layer 1 of the venue); read as `answers`. Protocol, section 5.4."""

from __future__ import annotations

from typing import Any, TypedDict

from hlfast.venues.hyperliquid.endpoints.account_answers import (
    ClearinghouseState,
    FrontendOrder,
    LedgerRow,
    OpenOrder,
    OrderRow,
    SpotState,
    TwapHistoryRow,
    TwapSliceFill,
    TwapState,
    UserFill,
)
from hlfast.venues.hyperliquid.endpoints.answers import Dec, Level, PerpAssetCtx, SpotAssetCtx


class _AllMids(TypedDict):
    mids: dict[str, Dec]


class AllMids(_AllMids, total=False):
    dex: str


class Bbo(TypedDict):
    coin: str
    time: int
    bbo: tuple[Level | None, Level | None]


class ActiveAssetCtx(TypedDict):
    coin: str
    ctx: PerpAssetCtx | SpotAssetCtx


class AssetCtxs(TypedDict):
    dex: str
    ctxs: list[PerpAssetCtx]


class AllDexsAssetCtxs(TypedDict):
    ctxs: list[tuple[str, list[PerpAssetCtx]]]


FastAssetCtxs = dict[str, dict[str, Any]]


class OutcomeMetaUpdates(TypedDict):
    updates: list[dict[str, Any]]


class Notification(TypedDict):
    notification: str


class OrderUpdateRow(TypedDict):
    order: OpenOrder
    status: str
    statusTimestamp: int


class FundingRow(TypedDict):
    time: int
    coin: str
    usdc: Dec
    szi: Dec
    fundingRate: Dec


class UserEvents(TypedDict, total=False):
    fills: list[UserFill]
    funding: FundingRow
    liquidation: dict[str, Any]
    nonUserCancel: list[dict[str, Any]]
    twapHistory: list[TwapHistoryRow]
    twapSliceFills: list[TwapSliceFill]


class _OfUser(TypedDict):
    user: str


class _Snap(_OfUser, total=False):
    isSnapshot: bool


class UserFills(_Snap):
    fills: list[UserFill]


class UserFundings(_Snap):
    fundings: list[FundingRow]


class LedgerUpdates(_Snap):
    nonFundingLedgerUpdates: list[LedgerRow]


class HistoricalOrders(_Snap):
    orderHistory: list[OrderRow]


class TwapSliceFills(_Snap):
    twapSliceFills: list[TwapSliceFill]


class TwapHistory(_Snap):
    history: list[TwapHistoryRow]


class _OfDex(_OfUser, total=False):
    dex: str


class ClearinghouseStates(_OfDex):
    clearinghouseState: ClearinghouseState


class AllDexsClearinghouseStates(_OfUser):
    clearinghouseStates: list[tuple[str, ClearinghouseState]]


class OpenOrders(_OfDex):
    orders: list[FrontendOrder]


class SpotStates(_OfUser):
    spotState: SpotState


class TwapStates(_OfDex):
    states: list[tuple[int, TwapState]]


class WebData3(TypedDict):
    userState: dict[str, Any]
    perpDexStates: list[dict[str, Any]]
