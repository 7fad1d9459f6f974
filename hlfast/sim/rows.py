"""Rows as they appear on the wire (local exchange, layer 5): key order, optional keys and texts are the venue's.

`cloid` is absent from plain rows without one and null in frontend rows; `reduceOnly` is absent from `openOrders` rows
when false; every number that is money, price or size is a string with at least one decimal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hlfast.sim.account import Account, PerpPosition
from hlfast.sim.markets import TOKENS, USDC
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import E8, half_even, text

IMPACT_NTL_E8 = {"BTC": 20_000 * E8, "ETH": 20_000 * E8}
OTHER_IMPACT_NTL_E8 = 6_000 * E8


def order_row(order: Order, lots: int) -> dict[str, Any]:
    """The order of an `orderUpdates` or `openOrders` row, with `lots` left."""
    market = order.market
    row: dict[str, Any] = {
        "coin": market.coin,
        "side": order.side,
        "limitPx": market.px_text(order.px_e8),
        "sz": market.sz_text(lots),
        "oid": order.oid,
        "timestamp": order.time_ms,
        "origSz": market.sz_text(order.orig_lots),
    }
    if order.cloid is not None:
        row["cloid"] = order.cloid
    return row


def open_order_row(order: Order) -> dict[str, Any]:
    row = order_row(order, order.lots)
    if order.reduce_only:
        row["reduceOnly"] = True
    return row


def frontend_row(order: Order, lots: int) -> dict[str, Any]:
    market = order.market
    return {
        "coin": market.coin,
        "side": order.side,
        "limitPx": market.px_text(order.px_e8),
        "sz": market.sz_text(lots),
        "oid": order.oid,
        "timestamp": order.time_ms,
        "triggerCondition": "N/A",
        "isTrigger": False,
        "triggerPx": "0.0",
        "children": [],
        "isPositionTpsl": False,
        "reduceOnly": order.reduce_only,
        "orderType": "Market" if order.tif == "FrontendMarket" else "Limit",
        "origSz": market.sz_text(order.orig_lots),
        "tif": order.tif,
        "cloid": order.cloid,
    }


def status_row(order: Order) -> dict[str, Any]:
    """As of the last status change: `sz` does not follow partial fills (the venue's `orderStatus` is stale so)."""
    return {
        "order": frontend_row(order, order.status_lots),
        "status": order.status,
        "statusTimestamp": order.status_ms,
    }


def aggregated(fills: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fills in the order in which they happened, those of one order in one block merged (`aggregateByTime`).

    Sizes, fees and closed profits add up; the price is the average by size, at the finest of the merged prices' steps.
    """
    merged: list[dict[str, Any]] = []
    for fill in fills:
        last = merged[-1] if merged else None
        if last is None or (last["oid"], last["time"]) != (fill["oid"], fill["time"]):
            merged.append(dict(fill))
            continue
        value = Decimal(last["px"]) * Decimal(last["sz"]) + Decimal(fill["px"]) * Decimal(fill["sz"])
        for name in ("sz", "fee", "closedPnl"):
            last[name] = _plain(Decimal(last[name]) + Decimal(fill[name]))
        step = min(Decimal(last["px"]), Decimal(fill["px"]), key=lambda px: px.as_tuple().exponent)
        last["px"] = _plain((value / Decimal(last["sz"])).quantize(step))
    return merged


def _plain(number: Decimal) -> str:
    whole, _, fraction = f"{number:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def perp_context(book: Book) -> dict[str, Any]:
    """PerpAssetCtx. There is no funding and no outside oracle here: the oracle is the mark."""
    market, mid = book.market, book.mid_e8
    depth = IMPACT_NTL_E8.get(market.coin, OTHER_IMPACT_NTL_E8)
    impact = [book.average_px_e8(False, depth), book.average_px_e8(True, depth)]
    has_impact = mid is not None and None not in impact
    return {
        "funding": "0.0",
        "openInterest": market.sz_text(book.open_interest_lots),
        "prevDayPx": market.px_text(market.start_px_e8),
        "dayNtlVlm": text(book.day_ntl_e8, 8),
        "premium": "0.0" if has_impact else None,
        "oraclePx": market.px_text(book.mark_e8),
        "markPx": market.px_text(book.mark_e8),
        "midPx": None if mid is None else market.px_text(mid),
        "impactPxs": [market.px_text(px) for px in impact if px is not None] if has_impact else None,
        "dayBaseVlm": market.sz_text(book.day_lots),
    }


def spot_context(book: Book) -> dict[str, Any]:
    market, mid = book.market, book.mid_e8
    return {
        "prevDayPx": market.px_text(market.start_px_e8),
        "dayNtlVlm": text(book.day_ntl_e8, 8),
        "markPx": market.px_text(book.mark_e8),
        "midPx": None if mid is None else market.px_text(mid),
        "circulatingSupply": "1000000000.0",
        "coin": market.coin,
        "totalSupply": "1000000000.0",
        "dayBaseVlm": market.sz_text(book.day_lots),
    }


def l2_book(book: Book, time_ms: int, depth: int = 20, figures: int | None = None, mantissa: int = 1) -> dict[str, Any]:
    """An l2Book snapshot; `figures` (nSigFigs) puts levels together and adds the raw spread."""
    row: dict[str, Any] = {"coin": book.market.coin, "time": time_ms}
    if figures is None:
        row["levels"] = book.levels(depth)
        return row
    row["levels"] = book.rounded_levels(figures, mantissa, depth)
    bid, ask = book.bids.best, book.asks.best
    if bid is not None and ask is not None:
        row["spread"] = book.market.px_text(ask.px_e8 - bid.px_e8)
    return row


def clearinghouse_state(account: Account | None, time_ms: int) -> dict[str, Any]:
    """The perp account, all positions cross. None (an unknown user) reads as zeros, as on the venue."""
    positions = [] if account is None else [p for p in account.positions.values() if p.lots]
    value = 0 if account is None else account.value_e8
    summary = {
        "accountValue": text(value, 8),
        "totalNtlPos": text(sum(abs(p.value_e8) for p in positions), 8),
        "totalRawUsd": text(0 if account is None else account.cash_e8, 8),
        "totalMarginUsed": text(sum(p.margin_e8 for p in positions), 8),
    }
    return {
        "marginSummary": summary,
        "crossMarginSummary": dict(summary),
        "crossMaintenanceMarginUsed": text(sum(map(maintenance_e8, positions)), 8),
        "withdrawable": text(0 if account is None else account.withdrawable_e8, 8),
        "assetPositions": [{"type": "oneWay", "position": position_row(p, value, positions)} for p in positions],
        "time": time_ms,
    }


def maintenance_e8(position: PerpPosition) -> int:
    return abs(position.value_e8) // (2 * position.book.market.max_leverage)


def position_row(position: PerpPosition, value_e8: int, positions: list[PerpPosition]) -> dict[str, Any]:
    market = position.book.market
    lots, entry = abs(position.lots), position.entry_ntl_e8
    entry_px_e8 = entry * 10**market.sz_decimals // lots
    pnl = position.unrealized_pnl_e8
    return {
        "coin": market.coin,
        "szi": market.sz_text(position.lots),
        "leverage": {"type": "cross", "value": position.leverage},
        "entryPx": market.px_text(half_even(entry_px_e8, market.px_step_e8) * market.px_step_e8),
        "positionValue": text(abs(position.value_e8), 8),
        "unrealizedPnl": text(pnl, 8),
        "returnOnEquity": text(half_even(pnl * position.leverage * 10**10, entry), 10) if entry else "0.0",
        "liquidationPx": liquidation_px(position, value_e8, positions),
        "marginUsed": text(position.margin_e8, 8),
        "maxLeverage": market.max_leverage,
        "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
    }


def liquidation_px(position: PerpPosition, value_e8: int, positions: list[PerpPosition]) -> str | None:
    """price - side * marginAvailable / size / (1 - l * side), l = 1 / (2 * maxLeverage); null where there is none."""
    market, side = position.book.market, 1 if position.lots > 0 else -1
    available = value_e8 - sum(map(maintenance_e8, positions))
    twice = 2 * market.max_leverage
    distance = available * 10**market.sz_decimals * twice // (abs(position.lots) * (twice - side))
    px_e8 = position.book.mark_e8 - side * distance
    return market.px_text(px_e8) if px_e8 > 0 else None


def spot_state(account: Account | None) -> dict[str, Any]:
    rows = []
    for token in TOKENS:
        balance = None if account is None else account.spot.get(token.index)
        if balance is None or (not balance.total_wei and token is not USDC):
            continue
        rows.append(
            {
                "coin": token.name,
                "token": token.index,
                "total": text(balance.total_wei, token.wei_decimals),
                "hold": text(balance.hold_wei, token.wei_decimals),
                "entryNtl": text(balance.entry_ntl_e8, 8),
            }
        )
    return {"balances": rows}
