"""Agreement with the venue after a connection (layer 3, cold): read its record, and turn the difference into news.

The venue's answers are fed through the same scanners, tracker and dedupe as its streams: an order or a fill that is
already known changes nothing. What an order without a known outcome came to is asked by cloid, never assumed.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from hlfast import clock
from hlfast.core import events as ev
from hlfast.errors import VenueReject
from hlfast.types import OrderState

if TYPE_CHECKING:
    from hlfast.core.in_flight_order import InFlightOrder
    from hlfast.venues.hyperliquid.connector import HyperliquidConnector

OVERLAP_MS = 5_000
"""Fills are asked for from this long before the last known one: answers may lag the streams by some blocks."""


async def synchronise(hl: HyperliquidConnector) -> None:
    """Read account state, fills and open orders; settle every live order. The stream's news are held back meanwhile."""
    await read_account(hl)
    since = max(hl.baseline_ms, hl.last_fill_ms - OVERLAP_MS)
    fills, rows = await asyncio.gather(
        hl.info.user_fills_by_time(hl.account, since), hl.info.frontend_open_orders(hl.account)
    )
    _feed_fills(hl, fills)
    _feed_rows(hl, [_as_row(row, "open", row["timestamp"]) for row in rows])
    resting = {row.get("cloid") for row in rows} | {row["oid"] for row in rows}
    for order in [*hl.orders, *hl.tracker.external_orders]:
        if order.cloid in resting or order.exchange_order_id in resting:
            hl.tracker.resolve(order)
        else:
            await ask_about(hl, order)


async def read_account(hl: HyperliquidConnector) -> None:
    """Positions and balances. The first reading starts the ledger and the positions; later ones only refresh."""
    perp, spot = await asyncio.gather(
        hl.info.clearinghouse_state(hl.account), hl.info.spot_clearinghouse_state(hl.account)
    )
    if not hl.own_ledger.started:
        positions: dict[str, Decimal] = {}
        for entry in perp["assetPositions"]:
            position = entry["position"]
            size = Decimal(position["szi"])
            positions[position["coin"]] = size
            rule = hl.rule_for(position["coin"])
            if size and rule is not None:
                hl.position_book.start(rule.coin, rule.sz_decimals, size, Decimal(position["entryPx"] or "0"))
        hl.own_ledger.start(
            Decimal(perp["marginSummary"]["totalRawUsd"]),
            positions,
            {row["coin"]: Decimal(row["total"]) for row in spot["balances"]},
        )
        hl.baseline_ms = int(perp["time"])
    balances: dict[str, Any] = {row["coin"]: {"total": row["total"], "hold": row["hold"]} for row in spot["balances"]}
    balances["perp"] = {
        "account_value": perp["marginSummary"]["accountValue"],
        "withdrawable": perp["withdrawable"],
    }
    changed = balances != hl.balances
    hl.set_balances(balances)
    if changed:
        hl.bus.emit(
            ev.BalanceUpdate(
                asset="USDC",
                available=Decimal(perp["withdrawable"]),
                total=Decimal(perp["marginSummary"]["accountValue"]),
                time_ms=int(perp["time"]),
                recv_ns=clock.epoch_ns(),
            )
        )


async def ask_about(hl: HyperliquidConnector, order: InFlightOrder) -> None:
    """Ask the venue for one order, and apply what it says.

    One "unknown" proves nothing (G9). An order that was sent and never acknowledged has its nonce burnt by a `noop`:
    if the venue takes the noop, the order can never execute; if it calls the nonce a duplicate, the order's action was
    admitted, and only a refusal before its record explains that there is none. Either way three answers over at least
    a second end the question.
    """
    handle = order.cloid or order.exchange_order_id
    if handle is None:
        hl.tracker.resolve(order)
        return
    answer = await hl.info.order_status(hl.account, handle)
    if answer.get("status") == "order":
        found = answer["order"]
        await _fills_of(hl, order)
        with hl.stream.passing():
            _feed_rows(hl, [_as_row(found["order"], found["status"], found["statusTimestamp"])])
        if found["status"] in ("open", "triggered") and order.state is OrderState.PENDING_CANCEL and order.unresolved:
            hl.tracker.cancel_refused(order, "the venue shows the order live after the cancel had no known outcome")
        if found["status"] == "open" and order.modify_pending and found["order"]["oid"] == order.exchange_order_id:
            hl.tracker.modify_refused(
                order, "the venue shows the order as it was after the modify had no known outcome"
            )
        hl.tracker.resolve(order)
        return
    times = hl.tracker.process_order_not_found(order.client_order_id, await _is_burnt(hl, order))
    if times == 1:
        hl.bus.emit(
            ev.ConnectorError(
                code="order_not_found",
                text=f"the venue does not know {order.client_order_id} (cloid {order.cloid}) yet; still asking",
                recv_ns=clock.epoch_ns(),
            )
        )


async def _is_burnt(hl: HyperliquidConnector, order: InFlightOrder) -> bool:
    """True if nothing that was sent for the order can execute any more."""
    if not order.nonce or order.is_external:
        return True  # never sent from here: the venue's word is all there is
    if order.nonce in hl.burnt_nonces:
        return True
    try:
        await hl.entry.act({"type": "noop"}, order.nonce)
    except VenueReject as refused:
        if refused.code != "nonce_duplicate":
            return False
    hl.burnt_nonces.add(order.nonce)
    return True


async def _fills_of(hl: HyperliquidConnector, order: InFlightOrder) -> None:
    """Fills since the order was made, through the same dedupe as the stream's."""
    since = max(hl.baseline_ms, order.created_ns // 1_000_000 - OVERLAP_MS)
    _feed_fills(hl, await hl.info.user_fills_by_time(hl.account, since))


def _feed_fills(hl: HyperliquidConnector, fills: list[dict[str, Any]]) -> None:
    if fills:
        frame = {"channel": "userFills", "data": {"isSnapshot": True, "user": hl.account, "fills": fills}}
        with hl.stream.passing():
            hl.feed_account(orjson.dumps(frame))


def _feed_rows(hl: HyperliquidConnector, rows: list[dict[str, Any]]) -> None:
    if rows:
        with hl.stream.passing():
            hl.feed_account(orjson.dumps({"channel": "orderUpdates", "data": rows}))


def _as_row(order: dict[str, Any], status: str, time_ms: int) -> dict[str, Any]:
    row = {k: order[k] for k in ("coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz")}
    if order.get("cloid"):
        row["cloid"] = order["cloid"]
    return {"order": row, "status": status, "statusTimestamp": time_ms}
