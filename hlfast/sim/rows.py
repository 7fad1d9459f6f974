"""Rows as they appear on the wire (local exchange, layer 5): key order, optional keys and texts are the venue's.

`cloid` is absent from plain rows without one and null in frontend rows; `reduceOnly` is absent from `openOrders` rows
when false; every number that is money, price or size is a string with at least one decimal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hlfast.sim.account import Account
from hlfast.sim.candles import Candle
from hlfast.sim.funding_rate import impact_pxs, premium_e10
from hlfast.sim.markets import USD
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import POW10, half_even, short, text
from hlfast.sim.purse import PerpPosition

TPSL_NAMES = {"sl": "Stop", "tp": "Take Profit"}


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
    """With the trigger, and the children that still wait for this order's fill."""
    market, trigger, family = order.market, order.trigger, order.family
    children: list[Order] = []
    if family is not None and family.parent is order:
        children = [child for child in family.children if child.waits == "fill"]
    return {
        "coin": market.coin,
        "side": order.side,
        "limitPx": market.px_text(order.px_e8),
        "sz": market.sz_text(lots),
        "oid": order.oid,
        "timestamp": order.time_ms,
        "triggerCondition": trigger_condition(order),
        "isTrigger": trigger is not None,
        "triggerPx": "0.0" if trigger is None else market.px_text(trigger.px_e8),
        "children": [frontend_row(child, child.lots) for child in children],
        "isPositionTpsl": order.is_position_bound,
        "reduceOnly": order.reduce_only,
        "orderType": order_type(order),
        "origSz": market.sz_text(order.orig_lots),
        "tif": order.tif if trigger is None else None,
        "cloid": order.cloid,
    }


def order_type(order: Order) -> str:
    if order.twap is not None:
        return "Twap Slice"
    if order.trigger is None:
        return "Market" if order.tif in ("FrontendMarket", "LiquidationMarket") else "Limit"
    return f"{TPSL_NAMES[order.trigger.tpsl]} {'Market' if order.trigger.is_market else 'Limit'}"


def trigger_condition(order: Order) -> str:
    """`Price above 2200` until it fires, `Triggered` from then on."""
    trigger = order.trigger
    if trigger is None:
        return "N/A"
    if order.tif:
        return "Triggered"
    return f"Price {'above' if trigger.fires_above(order.is_buy) else 'below'} {short(trigger.px_e8, 8)}"


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
    """PerpAssetCtx; the oracle is the price outside, or the mark where there is none."""
    market, mid = book.market, book.mid_e8
    impact = impact_pxs(book)
    premium = premium_e10(book) if mid is not None else None
    return {
        "funding": text(book.funding_rate_e10, 10),
        "openInterest": market.sz_text(book.open_interest_lots),
        "prevDayPx": market.px_text(market.start_px_e8),
        "dayNtlVlm": text(book.day_ntl_e8, 8),
        "premium": None if premium is None else text(premium, 10),
        "oraclePx": market.px_text(book.oracle_e8),
        "markPx": market.px_text(book.mark_e8),
        "midPx": None if mid is None else market.px_text(mid),
        "impactPxs": None if premium is None else [market.px_text(px) for px in impact if px is not None],
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


def candle(book: Book, interval: str, found: Candle) -> dict[str, Any]:
    market = book.market
    return {
        "t": found.start_ms,
        "T": found.end_ms,
        "s": market.coin,
        "i": interval,
        "o": market.px_text(found.open_e8),
        "c": market.px_text(found.close_e8),
        "h": market.px_text(found.high_e8),
        "l": market.px_text(found.low_e8),
        "v": market.sz_text(found.lots),
        "n": found.trades,
    }


def clearinghouse_state(account: Account | None, time_ms: int, dex: str = "") -> dict[str, Any]:
    """The perp account in a dex. None (an unknown user) reads as zeros, as on the venue."""
    purse = None if account is None else account.purses.get(dex)
    positions = [] if purse is None else [p for p in purse.positions.values() if p.lots]
    cross = [position for position in positions if position.is_cross]
    value, cash = (0, 0) if purse is None else (purse.value_e8, purse.cash_e8)
    return {
        "marginSummary": margin_summary(value, cash, positions),
        "crossMarginSummary": margin_summary(value, cash, cross),
        "crossMaintenanceMarginUsed": text(sum(p.maintenance_e8 for p in cross), 8),
        "withdrawable": text(0 if purse is None else purse.withdrawable_e8, 8),
        "assetPositions": [{"type": "oneWay", "position": position_row(p, value, cross)} for p in positions],
        "time": time_ms,
    }


def margin_summary(value_e8: int, cash_e8: int, positions: list[PerpPosition]) -> dict[str, Any]:
    """`value_e8` and `cash_e8` are the cross account's; isolated positions come on top."""
    isolated = [position for position in positions if not position.is_cross]
    return {
        "accountValue": text(value_e8 + sum(p.equity_e8 for p in isolated), 8),
        "totalNtlPos": text(sum(abs(p.value_e8) for p in positions), 8),
        "totalRawUsd": text(cash_e8 + sum(p.raw_e8 for p in isolated), 8),
        "totalMarginUsed": text(sum(p.margin_e8 for p in positions), 8),
    }


def leverage_row(position: PerpPosition) -> dict[str, Any]:
    if position.is_cross:
        return {"type": "cross", "value": position.leverage}
    return {"type": "isolated", "value": position.leverage, "rawUsd": text(position.raw_e8, 8)}


def position_row(position: PerpPosition, value_e8: int, cross: list[PerpPosition]) -> dict[str, Any]:
    market = position.book.market
    lots, entry = abs(position.lots), position.entry_ntl_e8
    entry_px_e8 = entry * POW10[market.sz_decimals] // lots
    pnl = position.unrealized_pnl_e8
    paid = (position.funding_e8, position.funding_open_e8, position.funding_change_e8)
    return {
        "coin": market.coin,
        "szi": market.sz_text(position.lots),
        "leverage": leverage_row(position),
        "entryPx": market.px_text(half_even(entry_px_e8, market.px_step_e8) * market.px_step_e8),
        "positionValue": text(abs(position.value_e8), 8),
        "unrealizedPnl": text(pnl, 8),
        "returnOnEquity": text(half_even(pnl * position.leverage * 10**10, entry), 10) if entry else "0.0",
        "liquidationPx": liquidation_px(position, value_e8, cross),
        "marginUsed": text(position.margin_e8, 8),
        "maxLeverage": market.max_leverage,
        "cumFunding": dict(zip(("allTime", "sinceOpen", "sinceChange"), (text(e8, 8) for e8 in paid), strict=True)),
    }


def liquidation_px(position: PerpPosition, value_e8: int, cross: list[PerpPosition]) -> str | None:
    """price - side * marginAvailable / size / (1 - l * side), l = 1 / (2 * max leverage of its tier); null for none."""
    market, side = position.book.market, 1 if position.lots > 0 else -1
    if position.is_cross:
        available = value_e8 - sum(p.maintenance_e8 for p in cross)
    else:
        available = position.equity_e8 - position.maintenance_e8
    twice = market.maintenance_leverage(abs(position.value_e8))
    distance = available * POW10[market.sz_decimals] * twice // (abs(position.lots) * (twice - side))
    px_e8 = position.book.mark_e8 - side * distance
    return market.px_text(px_e8) if px_e8 > 0 else None


def active_asset_data(account: Account, book: Book) -> dict[str, Any]:
    """What the account could still trade in this market, [long, short]: free margin, and the position it can close."""
    market = book.market
    position = account.positions.get(market.asset) or PerpPosition(book)  # asking makes none
    free = max(0, account.purse(market.dex).spare_e8)
    to_trade = []
    for is_buy in (True, False):
        closes = position.lots and (position.lots > 0) != is_buy
        to_trade.append(free + (2 * abs(position.value_e8) // position.leverage if closes else 0))
    return {
        "user": account.address,
        "coin": market.coin,
        "leverage": leverage_row(position),
        "maxTradeSzs": [market.sz_text(market.lots_for(usd * position.leverage, book.mark_e8)) for usd in to_trade],
        "availableToTrade": [text(usd, 8) for usd in to_trade],
        "markPx": market.px_text(book.mark_e8),
    }


def user_fundings(account: Account) -> list[dict[str, Any]]:
    """As the `userFundings` feed shows them: flat, oldest first."""
    return [{"time": row["time"], **{k: v for k, v in row["delta"].items() if k != "type"}} for row in account.fundings]


def spot_state(account: Account | None) -> dict[str, Any]:
    rows = []
    for index, balance in [] if account is None else sorted(account.spot.items()):
        if not balance.total_wei and index != USD:
            continue
        decimals = balance.token.wei_decimals
        needed = (
            sum(p.required_e8 for p in account.joined_purses(balance.token)) if account and account.is_joined else 0
        )
        rows.append(
            {
                "coin": balance.token.name,
                **({} if balance.token.name.startswith("+") else {"token": index}),  # an outcome's has none
                "total": text(balance.total_wei, decimals),
                "hold": text(balance.hold_wei + needed, decimals),
                "entryNtl": text(balance.entry_ntl_e8, 8),
            }
        )
    state: dict[str, Any] = {"balances": rows}
    if account is not None and account.mode == "portfolioMargin":
        state["portfolioMarginEnabled"] = True
    return state
