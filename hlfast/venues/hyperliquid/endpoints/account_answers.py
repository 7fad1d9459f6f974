"""Shapes of what the venue answers about accounts (layer 1 of the venue); read as `answers`. Protocol, section 5.3."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from hlfast.venues.hyperliquid.endpoints.answers import Dec, Meta, PerpAssetCtx, SpotAssetCtx


class _OpenOrder(TypedDict):
    coin: str
    side: Literal["A", "B"]
    limitPx: Dec
    sz: Dec
    oid: int
    timestamp: int


class OpenOrder(_OpenOrder, total=False):
    origSz: Dec
    cloid: str | None
    reduceOnly: bool


class _FrontendOrder(TypedDict):
    coin: str
    side: Literal["A", "B"]
    limitPx: Dec
    sz: Dec
    oid: int
    timestamp: int
    triggerCondition: str
    isTrigger: bool
    triggerPx: Dec
    isPositionTpsl: bool
    reduceOnly: bool
    orderType: str
    origSz: Dec


class FrontendOrder(_FrontendOrder, total=False):
    children: list[FrontendOrder]
    tif: str | None
    cloid: str | None


class OrderRow(TypedDict):
    order: FrontendOrder
    status: str
    statusTimestamp: int


class _OrderStatus(TypedDict):
    status: Literal["order", "unknownOid"]


class OrderStatus(_OrderStatus, total=False):
    order: OrderRow


class _Liquidation(TypedDict):
    markPx: Dec
    method: str


class Liquidation(_Liquidation, total=False):
    liquidatedUser: str | None


class _UserFill(TypedDict):
    coin: str
    px: Dec
    sz: Dec
    side: Literal["A", "B"]
    time: int
    startPosition: Dec
    dir: str
    closedPnl: Dec
    hash: str
    oid: int
    crossed: bool
    fee: Dec
    tid: int


class UserFill(_UserFill, total=False):
    feeToken: str
    cloid: str | None
    twapId: int | None
    builderFee: Dec
    liquidation: Liquidation | None
    feeTrialEscrow: Dec


class TwapState(TypedDict):
    coin: str
    user: str
    side: Literal["A", "B"]
    sz: Dec
    executedSz: Dec
    executedNtl: Dec
    minutes: int
    reduceOnly: bool
    randomize: bool
    timestamp: int


class TwapSliceFill(TypedDict):
    fill: UserFill
    twapId: int


class _TwapStatus(TypedDict):
    status: str


class TwapStatus(_TwapStatus, total=False):
    description: str


class _TwapHistoryRow(TypedDict):
    time: int
    state: TwapState
    status: TwapStatus


class TwapHistoryRow(_TwapHistoryRow, total=False):
    twapId: int


class _Leverage(TypedDict):
    type: Literal["cross", "isolated"]
    value: int


class Leverage(_Leverage, total=False):
    rawUsd: Dec


class CumFunding(TypedDict):
    allTime: Dec
    sinceOpen: Dec
    sinceChange: Dec


class _PositionState(TypedDict):
    coin: str
    szi: Dec
    leverage: Leverage
    entryPx: Dec | None
    positionValue: Dec
    unrealizedPnl: Dec
    returnOnEquity: Dec
    liquidationPx: Dec | None
    marginUsed: Dec


class PositionState(_PositionState, total=False):
    maxLeverage: int
    cumFunding: CumFunding


class AssetPosition(TypedDict):
    type: str
    position: PositionState


class MarginSummary(TypedDict):
    accountValue: Dec
    totalNtlPos: Dec
    totalRawUsd: Dec
    totalMarginUsed: Dec


class _ClearinghouseState(TypedDict):
    marginSummary: MarginSummary
    crossMarginSummary: MarginSummary
    withdrawable: Dec
    assetPositions: list[AssetPosition]


class ClearinghouseState(_ClearinghouseState, total=False):
    crossMaintenanceMarginUsed: Dec
    time: int


class _SpotBalance(TypedDict):
    coin: str
    total: Dec
    hold: Dec


class SpotBalance(_SpotBalance, total=False):
    token: int
    entryNtl: Dec
    spotHold: Dec
    ltv: Dec
    borrowed: Dec
    supplied: Dec


class _SpotState(TypedDict):
    balances: list[SpotBalance]


class SpotState(_SpotState, total=False):
    portfolioMarginEnabled: bool
    portfolioMarginRatio: Dec
    evmEscrows: list[Any]
    tokenToPortfolioBorrowRatio: list[tuple[int, Dec]]
    tokenToPortfolioSupplyRatio: list[tuple[int, Dec]]
    tokenToAvailableAfterMaintenance: list[tuple[int, Dec]]


class LedgerRow(TypedDict):
    time: int
    hash: str
    delta: dict[str, Any]


class _RateLimit(TypedDict):
    cumVlm: Dec
    nRequestsUsed: int
    nRequestsCap: int


class RateLimit(_RateLimit, total=False):
    nRequestsSurplus: int


class ActiveAssetData(TypedDict):
    user: str
    coin: str
    leverage: Leverage
    maxTradeSzs: tuple[Dec, Dec]
    availableToTrade: tuple[Dec, Dec]
    markPx: Dec


class _UserFees(TypedDict):
    dailyUserVlm: list[dict[str, Any]]
    feeSchedule: dict[str, Any]
    userCrossRate: Dec
    userAddRate: Dec


class UserFees(_UserFees, total=False):
    userSpotCrossRate: Dec
    userSpotAddRate: Dec
    activeReferralDiscount: Dec
    trial: Any
    feeTrialEscrow: Dec
    feeTrialReward: Dec
    nextTrialAvailableTimestamp: int | None
    stakingLink: Any
    activeStakingDiscount: dict[str, Any] | None


class _UserRole(TypedDict):
    role: str


class UserRole(_UserRole, total=False):
    data: dict[str, str]


class ExtraAgent(TypedDict):
    name: str
    address: str
    validUntil: int | None


class _SubAccount(TypedDict):
    name: str
    subAccountUser: str
    master: str


class SubAccount(_SubAccount, total=False):
    clearinghouseState: ClearinghouseState
    spotState: SpotState
    dexToClearinghouseState: list[tuple[str, ClearinghouseState]]
    abstraction: str


class PortfolioPeriod(TypedDict):
    accountValueHistory: list[tuple[int, Dec]]
    pnlHistory: list[tuple[int, Dec]]
    vlm: Dec


class _Referral(TypedDict):
    referredBy: dict[str, Any] | None
    cumVlm: Dec
    unclaimedRewards: Dec
    claimedRewards: Dec
    referrerState: dict[str, Any] | None
    rewardHistory: list[Any]


class Referral(_Referral, total=False):
    builderRewards: Dec
    tokenToState: list[tuple[int, dict[str, Any]]]


class MultiSigSigners(TypedDict):
    authorizedUsers: list[str]
    threshold: int


class _VaultEquity(TypedDict):
    vaultAddress: str
    equity: Dec


class VaultEquity(_VaultEquity, total=False):
    lockedUntilTimestamp: int


class LeadingVault(TypedDict):
    address: str
    name: str


class Delegation(TypedDict):
    validator: str
    amount: Dec
    lockedUntilTimestamp: int


class DelegatorSummary(TypedDict):
    delegated: Dec
    undelegated: Dec
    totalPendingWithdrawal: Dec
    nPendingWithdrawals: int


class DelegatorReward(TypedDict):
    time: int
    source: str
    totalAmount: Dec


class BorrowLendUserState(TypedDict):
    tokenToState: list[tuple[int, dict[str, Any]]]
    health: str
    healthFactor: Any


class BorrowLendInterest(TypedDict):
    time: int
    token: str | int
    borrow: Dec
    supply: Dec


class PreTransferCheck(TypedDict):
    fee: Dec
    isSanctioned: bool
    userExists: bool
    userHasSentTx: bool


class LegalCheck(TypedDict):
    acceptedTerms: bool
    userAllowed: bool
    restrictions: str


class _WebData2(TypedDict):
    clearinghouseState: ClearinghouseState


class WebData2(_WebData2, total=False):
    user: str
    serverTime: int
    openOrders: list[FrontendOrder]
    spotState: SpotState
    meta: Meta
    assetCtxs: list[PerpAssetCtx]
    spotAssetCtxs: list[SpotAssetCtx]
    twapStates: list[tuple[int, TwapState]]
