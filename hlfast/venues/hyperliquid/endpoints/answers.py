"""Shapes of what the venue answers about markets (layer 1 of the venue): the JSON as it came, named for type checkers.

Nothing is converted: prices, sizes, rates and balances stay the venue's text, ids and times are ints, and keys that are
not written here are in the dict all the same. `tuple[...]` is a list of that length at run time. A class with a base of
the same name and `_` has its optional keys in the derived one. Protocol, sections 5.1 and 5.2; accounts are in
`account_answers`.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

Dec = str
"""A decimal as the venue spells it."""


class Level(TypedDict):
    px: Dec
    sz: Dec
    n: int


class _L2Book(TypedDict):
    coin: str
    time: int
    levels: tuple[list[Level], list[Level]]


class L2Book(_L2Book, total=False):
    spread: Dec
    fast: bool


class _RecentTrade(TypedDict):
    coin: str
    side: Literal["A", "B"]
    px: Dec
    sz: Dec
    time: int
    hash: str
    tid: int


class RecentTrade(_RecentTrade, total=False):
    users: tuple[str, str]


class Candle(TypedDict):
    t: int
    T: int
    s: str
    i: str
    o: Dec
    c: Dec
    h: Dec
    l: Dec  # noqa: E741
    v: Dec
    n: int


class MarginTier(TypedDict):
    lowerBound: Dec
    maxLeverage: int


class MarginTable(TypedDict):
    description: str
    marginTiers: list[MarginTier]


class _PerpAsset(TypedDict):
    name: str
    szDecimals: int
    maxLeverage: int


class PerpAsset(_PerpAsset, total=False):
    marginTableId: int
    onlyIsolated: bool
    isDelisted: bool
    marginMode: str
    growthMode: str
    lastGrowthModeChangeTime: str


class _Meta(TypedDict):
    universe: list[PerpAsset]


class Meta(_Meta, total=False):
    marginTables: list[tuple[int, MarginTable]]
    collateralToken: int


class _PerpAssetCtx(TypedDict):
    funding: Dec
    openInterest: Dec
    prevDayPx: Dec
    dayNtlVlm: Dec
    oraclePx: Dec
    markPx: Dec


class PerpAssetCtx(_PerpAssetCtx, total=False):
    premium: Dec | None
    midPx: Dec | None
    impactPxs: tuple[Dec, Dec] | None
    dayBaseVlm: Dec


class _SpotAssetCtx(TypedDict):
    coin: str
    prevDayPx: Dec
    dayNtlVlm: Dec
    markPx: Dec
    midPx: Dec | None
    circulatingSupply: Dec


class SpotAssetCtx(_SpotAssetCtx, total=False):
    totalSupply: Dec
    dayBaseVlm: Dec


class _PerpDex(TypedDict):
    name: str


class PerpDex(_PerpDex, total=False):
    fullName: str
    deployer: str
    oracleUpdater: str | None
    feeRecipient: str | None
    assetToStreamingOiCap: list[tuple[str, Dec]]
    subDeployers: list[tuple[str, list[str]]]
    deployerFeeScale: Dec
    lastDeployerFeeScaleChangeTime: str
    assetToFundingMultiplier: list[tuple[str, Dec]]
    assetToFundingInterestRate: list[tuple[str, Dec]]


class PerpDexLimits(TypedDict):
    totalOiCap: Dec
    oiSzCapPerPerp: Dec
    maxTransferNtl: Dec
    coinToOiCap: list[tuple[str, Dec]]


class PerpDexStatus(TypedDict):
    totalNetDeposit: Dec


class FundingRate(TypedDict):
    coin: str
    fundingRate: Dec
    premium: Dec
    time: int


class _PredictedFunding(TypedDict):
    fundingRate: Dec
    nextFundingTime: int


class PredictedFunding(_PredictedFunding, total=False):
    fundingIntervalHours: int


class SpotPair(TypedDict):
    name: str
    tokens: tuple[int, int]
    index: int
    isCanonical: bool


class _Token(TypedDict):
    name: str
    szDecimals: int
    weiDecimals: int
    index: int
    tokenId: str
    isCanonical: bool


class Token(_Token, total=False):
    evmContract: dict[str, Any] | None
    fullName: str | None
    deployerTradingFeeShare: Dec


class SpotMeta(TypedDict):
    universe: list[SpotPair]
    tokens: list[Token]


class _TokenDetails(TypedDict):
    name: str
    maxSupply: Dec
    totalSupply: Dec
    circulatingSupply: Dec
    szDecimals: int
    weiDecimals: int
    midPx: Dec
    markPx: Dec
    prevDayPx: Dec


class TokenDetails(_TokenDetails, total=False):
    genesis: dict[str, Any] | None
    deployer: str | None
    deployGas: Dec | None
    deployTime: str | None
    seededUsdc: Dec
    nonCirculatingUserBalances: list[tuple[str, Dec]]
    futureEmissions: Dec


class _SideSpec(TypedDict):
    name: str


class SideSpec(_SideSpec, total=False):
    token: int


class _Outcome(TypedDict):
    outcome: int
    name: str
    description: str
    sideSpecs: list[SideSpec]


class Outcome(_Outcome, total=False):
    quoteToken: str
    deployer: str
    deployerFeeScale: Dec


class Question(TypedDict):
    question: int
    name: str
    description: str
    fallbackOutcome: int | None
    namedOutcomes: list[int]
    settledNamedOutcomes: list[int]


class _OutcomeMeta(TypedDict):
    outcomes: list[Outcome]


class OutcomeMeta(_OutcomeMeta, total=False):
    questions: list[Question]


class _SettledOutcome(TypedDict):
    spec: Outcome
    settleFraction: Dec
    details: str


class SettledOutcome(_SettledOutcome, total=False):
    question: dict[str, Any]


class OutcomeTemplate(TypedDict):
    id: str
    role: dict[str, Any]
    name: str
    description: str
    keywords: list[tuple[str, str]]


class _PerpAnnotation(TypedDict):
    category: str
    description: str


class PerpAnnotation(_PerpAnnotation, total=False):
    displayName: str
    keywords: list[str]


class AuctionStatus(TypedDict):
    startTimeSeconds: int
    durationSeconds: int
    startGas: Dec
    currentGas: Dec | None
    endGas: Dec | None


class ExchangeStatus(TypedDict):
    time: int
    specialStatuses: Any


class UsdcRouting(TypedDict):
    depositRoute: str
    withdrawalRoute: str


class BorrowLendReserve(TypedDict):
    borrowYearlyRate: Dec
    supplyYearlyRate: Dec
    balance: Dec
    utilization: Dec
    oraclePx: Dec
    ltv: Dec
    totalSupplied: Dec
    totalBorrowed: Dec


class Liquidatable(TypedDict):
    user: str
    positionIndex: dict[str, Any]
    marginAvailable: list[float]


class ValidatorSummary(TypedDict):
    validator: str
    signer: str
    name: str
    description: str
    nRecentBlocks: int
    stake: int
    isJailed: bool
    unjailableAfter: int | None
    isActive: bool
    commission: Dec
    stats: list[tuple[str, dict[str, Any]]]


class ValidatorVote(TypedDict):
    expireTime: int
    action: dict[str, Any]
    votes: list[Any]
    quorumReached: bool


class VaultSummary(TypedDict):
    name: str
    vaultAddress: str
    leader: str
    tvl: Dec
    isClosed: bool
    relationship: dict[str, Any]
    createTimeMillis: int
