"""What the far end says: instruments, an empty account, and the venue's refusal of every order.

A refused order is over at once, so that nothing piles up on either side; the refusal is one of the venue's own texts.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.ccxt import universe
from benchmarks.wire import BLOCK_MS, BTC, KPEPE, MARKETS, Market

SIZES: dict[str, float] = {BTC.coin: 0.001, KPEPE.coin: 1_000.0}
"""What is bought on each tick."""

ASSETS = {market.coin: at for at, market in enumerate(MARKETS)}
SIZE_TEXTS = {BTC.coin: "0.001", KPEPE.coin: "1000"}
SHAPES: tuple[tuple[Market, int], ...] = ((BTC, 20), (KPEPE, 20), (BTC, 5), (KPEPE, 5))
"""The ticks, in turn: instrument and levels a side."""

REFUSAL = "Insufficient margin to place order. asset={asset}"

META = {"universe": universe()[0]["universe"], "marginTables": []}
SPOT_META = {
    "universe": [],
    "tokens": [{"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "tokenId": "0x" + "0" * 32, "isCanonical": True}],
}  # fmt: skip
MARGIN = {"accountValue": "1000.0", "totalNtlPos": "0.0", "totalRawUsd": "1000.0", "totalMarginUsed": "0.0"}
ACCOUNT = {
    "marginSummary": MARGIN,
    "crossMarginSummary": MARGIN,
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "1000.0",
    "assetPositions": [],
    "time": BLOCK_MS,
}

INFO: dict[str, Any] = {
    "meta": META,
    "spotMeta": SPOT_META,
    "metaAndAssetCtxs": universe(),
    "perpDexs": [None],
    "userRole": {"role": "user"},
    "userRateLimit": {"cumVlm": "1000000.0", "nRequestsUsed": 10, "nRequestsCap": 1_010_000, "nRequestsSurplus": 0},
    "clearinghouseState": ACCOUNT,
    "spotClearinghouseState": {"balances": []},
}
"""By the query's type; a list of nothing for every other."""


def info(query: dict[str, Any]) -> Any:
    return INFO.get(query.get("type", ""), [])


def refusal(action: dict[str, Any]) -> dict[str, Any]:
    """The venue's answer to an order action."""
    statuses = [{"error": REFUSAL.format(asset=order["a"])} for order in action.get("orders", [])]
    return {"status": "ok", "response": {"type": action["type"], "data": {"statuses": statuses}}}
