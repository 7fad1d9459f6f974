"""What each signed action does (local exchange, layer 5): one function an action, one table.

A handler takes (exchange, account, action in canonical form) and returns the `response` object of an `ok` envelope.
`Refused` becomes `{"status":"err","response":text}` for the whole action; `Invalid` is a pre-validation failure, which
the venue answers with one error for the whole batch. Texts are the venue's; where it has none for a case of ours (an
action that is not simulated yet), the text says plainly what is the matter.

To add an action: write its handler, add it to HANDLERS (its shape is already in verify.L1_ACTIONS or USER_ACTIONS).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hlfast.sim import account_actions as accounts
from hlfast.sim import modes, multi_sig, outcomes, staking, twaps, vaults
from hlfast.sim.account import Account
from hlfast.sim.execution import NEVER_PLACED, Ticket
from hlfast.sim.markets import BUILDER_ASSETS, SPOT_ASSETS, dollars
from hlfast.sim.matching import Book, Order, Trigger
from hlfast.sim.numbers import E8, scaled
from hlfast.sim.refusals import DEFAULT, Invalid, Refused
from hlfast.sim.signers import DAY_MS

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

MAX_ITEMS = 200
SCHEDULE_NOTICE_MS = 5_000
SCHEDULES_PER_DAY = 10
REQUEST_PRICE_E8 = 50_000
"""What reserving one request costs: 0.0005 USDC."""

FIRST, CANCELS, TAKERS = 0, 1, 2
"""The order inside a block: what sends no GTC or IOC, then cancels, then actions with at least one GTC or IOC."""


def items(action: dict[str, Any]) -> int:
    """How many orders, cancels or modifies an action holds: what it costs of the address budget."""
    for name in ("orders", "cancels", "modifies"):
        if name in action:
            return len(action[name])
    return 1


def rank(action: dict[str, Any]) -> int:
    """The class of an action inside a block. A modify counts as the kind of order that it places."""
    kind = action["type"]
    if kind in ("cancel", "cancelByCloid"):
        return CANCELS
    orders = action.get("orders") or [modify["order"] for modify in action.get("modifies", ())]
    if kind == "modify":
        orders = [action["order"]]
    resting = ("Alo",) if kind == "order" or "a" in action else ("Alo", "Gtc")
    tifs = [order["t"]["limit"]["tif"] for order in orders if "limit" in order["t"]]
    return FIRST if all(tif in resting for tif in tifs) else TAKERS


def _statuses(kind: str, statuses: list[Any]) -> dict[str, Any]:
    return {"type": kind, "data": {"statuses": statuses}}


# -- orders ----------------------------------------------------------------------------------------------------------


def read_order(exchange: Exchange, wire: dict[str, Any], grouping: Any = "na") -> Ticket:
    """The pre-validation of one order."""
    book = _book(exchange, wire["a"])
    market = book.market
    px_e8, lots = scaled(wire["p"], 8), scaled(wire["s"], market.sz_decimals)
    trigger = _read_trigger(wire)
    if px_e8 is None or px_e8 <= 0:
        raise Invalid("Order has invalid price.")
    if lots is None or lots < 0:
        raise Invalid("Order has invalid size.")
    if lots == 0 and not (trigger is not None and grouping == "positionTpsl"):
        raise Invalid("Order has zero size.")
    if book.is_halted:
        raise Invalid("Trading is halted.")
    if market.is_outcome and px_e8 >= E8:
        raise Invalid("Order has invalid price.")
    if market.is_spot and wire["r"]:
        raise Invalid("Reduce-only is invalid for spot trading.")
    if trigger is not None and not wire["r"] and not market.is_spot:
        raise Invalid("Trigger order is not reduce only.")
    tif = "" if trigger is not None else wire["t"]["limit"]["tif"]
    if tif == "LiquidationMarket":
        raise Invalid("Invalid TIF")
    if tif != "Alo" and exchange.time_ms < exchange.post_only_until_ms:
        raise Invalid("Only post-only orders allowed immediately after network upgrade")
    if not market.is_outcome and abs(px_e8 - book.mark_e8) * 100 > 95 * book.mark_e8:
        raise Invalid("Order price cannot be more than 95% away from the reference price")
    is_market = tif in ("Ioc", "FrontendMarket") if trigger is None else trigger.is_market
    largest_e8 = market.max_order_ntl_e8(is_market)
    if market.ntl_e8(px_e8, lots) > largest_e8:
        raise Invalid(f"Order value too large. Max is {dollars(largest_e8)}.")
    return Ticket(market, wire["b"], px_e8, lots, tif, wire["r"], wire.get("c"), trigger)


def _read_trigger(wire: dict[str, Any]) -> Trigger | None:
    given = wire["t"].get("trigger")
    if given is None:
        return None
    px_e8 = scaled(given["triggerPx"], 8)
    if px_e8 is None or px_e8 <= 0:
        raise Invalid("Order has invalid price.")
    return Trigger(px_e8, given["isMarket"], given["tpsl"])


def _check_group(grouping: str, tickets: list[Ticket]) -> None:
    """A bracket is a parent and one or two closing triggers; positionTpsl is one or two closing triggers."""
    triggers = tickets if grouping == "positionTpsl" else tickets[1:]
    parents = tickets[: len(tickets) - len(triggers)]
    is_shaped = 1 <= len(triggers) <= 2 and len({ticket.market.asset for ticket in tickets}) == 1
    if not is_shaped or any(t.trigger is None for t in triggers) or any(t.trigger is not None for t in parents):
        raise Invalid("Unexpected number of trigger orders")
    closes_by_buying = not parents[0].is_buy if parents else triggers[0].is_buy
    if any(ticket.is_buy != closes_by_buying for ticket in triggers):
        raise Invalid("Trigger order has unexpected side.")


def _with_builder(exchange: Exchange, account: Account, builder: dict[str, Any], tickets: list[Ticket]) -> list[Ticket]:
    """The fee that the master approved goes to the builder with each fill; none needs no approval."""
    if not builder["f"]:
        return tickets
    payer = account.master or account
    paid = exchange.accounts.get(builder["b"])
    if paid is None or builder["f"] > payer.builders.get(builder["b"], 0):
        raise Invalid("Builder fee has not been approved")
    return [replace(ticket, builder=(paid, builder["f"])) for ticket in tickets]


def order(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    wires, grouping = action["orders"], action["grouping"]
    try:
        if not wires:
            raise Invalid("Orders are empty.")
        tickets = [read_order(exchange, wire, grouping) for wire in wires]
        if len({(ticket.market.is_spot, ticket.market.is_outcome) for ticket in tickets}) > 1:
            raise Invalid("Order action has different asset classes")
        if "builder" in action:
            tickets = _with_builder(exchange, account, action["builder"], tickets)
        if grouping in ("normalTpsl", "positionTpsl"):
            _check_group(grouping, tickets)
    except Invalid as refusal:
        return _statuses("order", [{"error": str(refusal)}])
    if grouping == "normalTpsl":
        return _statuses("order", exchange.execution.place_bracket(account, tickets))
    if grouping == "positionTpsl":
        return _statuses("order", exchange.execution.place_position_tpsl(account, tickets))
    if grouping != "na":
        return _statuses("order", _place_with_priority(exchange, account, tickets, grouping["p"]))
    return _statuses("order", [_place(exchange, account, ticket) for ticket in tickets])


def _place_with_priority(exchange: Exchange, account: Account, tickets: list[Ticket], rate: int) -> list[Any]:
    """All IOC, which pay on what is filled, or all ALO that are not reduce-only, which pay on what rests. Burnt at once."""
    tifs = {ticket.tif for ticket in tickets}
    if (
        not (tifs <= {"Ioc"} or (tifs == {"Alo"} and not any(ticket.reduce_only for ticket in tickets)))
        or rate > 10**8
        or any(ticket.market.is_outcome for ticket in tickets)
    ):
        return [{"error": "Invalid TIF"}]
    most = sum(exchange.staking.fee_wei(t.market.ntl_e8(t.px_e8, t.lots), rate) for t in tickets)
    if exchange.staking.of(account.address).undelegated_wei < most:
        return [{"error": "Insufficient delegatable balance for priority order"}] * len(tickets)
    statuses = []
    for ticket in tickets:
        entry = _place(exchange, account, ticket)
        statuses.append(entry)
        if "error" not in entry:
            order = account.orders[next(iter(entry.values()))["oid"]]
            paid_e8 = order.filled_ntl_e8 if ticket.tif == "Ioc" else ticket.market.ntl_e8(ticket.px_e8, ticket.lots)
            exchange.staking.burn(account, exchange.staking.fee_wei(paid_e8, rate))
    return statuses


def _place(exchange: Exchange, account: Account, ticket: Ticket) -> dict[str, Any]:
    modes.draw_for_dex(exchange, account, ticket)
    return exchange.execution.place(account, ticket)


def cancel(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    found = ((account.open.get(item["o"]), item["a"]) for item in action["cancels"])
    return _cancel_all(exchange, found, action.get("f", False))


def cancel_by_cloid(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    found = ((_live(account, item["cloid"]), item["asset"]) for item in action["cancels"])
    return _cancel_all(exchange, found, action.get("f", False))


def _cancel_all(exchange: Exchange, found: Iterable[tuple[Order | None, int]], is_fast: bool) -> dict[str, Any]:
    """A fast cancel of an order that waits for its trigger is refused."""
    statuses: list[Any] = []
    for resting, asset in found:
        if resting is None or resting.market.asset != asset or (is_fast and resting.waits):
            statuses.append({"error": f"{NEVER_PLACED} asset={asset}"})
        else:
            exchange.execution.cancel(resting)
            statuses.append("success")
    return _statuses("cancel", statuses)


def _live(account: Account, which: int | str) -> Order | None:
    """The open order of this oid or cloid."""
    if isinstance(which, int):
        return account.open.get(which)
    named = account.named(which)
    return None if named is None else account.open.get(named.oid)


def _replace(exchange: Exchange, account: Account, which: int | str, ticket: Ticket, always: bool) -> dict[str, Any]:
    """Cancel one order and place another; returns the new one's status entry."""
    old = _live(account, which)
    if not always:
        book = exchange.execution.books[ticket.market.asset]
        crosses = book.touch(ticket.is_buy, ticket.px_e8) is not None
        moved = old is not None and old.market is not ticket.market
        if moved or ticket.trigger is not None or ticket.tif not in ("Alo", "Gtc") or (ticket.tif == "Gtc" and crosses):
            return {"error": "Attempted to modify to invalid new order"}
        if old is None:
            return {"error": "Cannot modify canceled or filled order"}
        ticket = replace(ticket, tif="Alo")
    if old is not None:
        exchange.execution.cancel(old)
    entry = _place(exchange, account, ticket)
    if "error" in entry and old is not None:
        return {"error": f"Error placing new order during modify: {entry['error']}"}
    return entry


def modify(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    try:
        ticket = read_order(exchange, action["order"])
    except Invalid as refusal:
        raise Refused(str(refusal)) from None
    entry = _replace(exchange, account, action["oid"], ticket, "a" in action)
    if "error" in entry:
        raise Refused(entry["error"])
    return DEFAULT


def batch_modify(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    modifies = action["modifies"]
    try:
        tickets = [read_order(exchange, item["order"]) for item in modifies]
    except Invalid as refusal:
        return _statuses("order", [{"error": str(refusal)}])
    return _statuses(
        "order",
        [
            _replace(exchange, account, item["oid"], ticket, "a" in action)
            for item, ticket in zip(modifies, tickets, strict=True)
        ],
    )


def schedule_cancel(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    at_ms, now_ms = action.get("time"), exchange.time_ms
    if at_ms is None:
        account.cancel_at_ms = None
        return DEFAULT
    if at_ms < now_ms + SCHEDULE_NOTICE_MS:
        raise Refused("Scheduled cancel time too early, must be at least 5 seconds from now.")
    needed_e8 = exchange.schedule_cancel_volume_e8
    if account.volume_e8 < needed_e8:
        raise Refused(
            "Cannot set scheduled cancel time until enough volume traded. "
            f"Required: {dollars(needed_e8)}. Traded: {dollars(account.volume_e8)}."
        )
    if account.scheduled_cancels.get(now_ms // DAY_MS, 0) >= SCHEDULES_PER_DAY:
        raise Refused(f"Too many scheduled cancels triggered for the day. Limit is {SCHEDULES_PER_DAY}.")
    account.cancel_at_ms = at_ms
    return DEFAULT


def noop(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    return DEFAULT


# -- leverage and margin -------------------------------------------------------------------------------------


def update_leverage(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    book, is_cross = _book(exchange, action["asset"]), action["isCross"]
    if book.market.is_spot:
        raise Refused("Spot has no leverage.")
    if not 1 <= action["leverage"] <= book.market.max_leverage:
        raise Refused("Invalid leverage value")
    if is_cross and book.market.margin_mode:
        raise Refused("Cross margin is not allowed for this asset.")
    position = account.position(book)
    if position.lots and position.is_cross != is_cross:
        raise Refused("Cannot switch leverage type with open position.")
    before = position.leverage, position.is_cross
    position.leverage, position.is_cross = action["leverage"], is_cross
    is_lower = position.leverage < before[0]
    purse = account.purse(book.market.dex)
    lacks_margin = is_lower and not is_cross and position.lots and position.equity_e8 < position.initial_e8
    if lacks_margin or ((is_lower or before[1] != is_cross) and purse.spare_e8 < 0):
        position.leverage, position.is_cross = before
        kind, remedy = ("Cross", "deposit more collateral") if is_cross else ("Isolated", "add margin to the position")
        raise Refused(
            f"{kind} position does not have sufficient margin available to decrease leverage. "
            f"To decrease leverage, {remedy}."
        )
    return DEFAULT


def update_isolated_margin(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """`ntli` is in 1e-6 USDC; negative takes out, and must leave the initial margin and 10 % of the position."""
    book, more_e8 = _book(exchange, action["asset"]), action["ntli"] * 100
    position = account.position(book)
    if more_e8 == 0:
        raise Refused("Update to isolated margin cannot be zero.")
    if position.lots == 0:
        raise Refused("Cannot update margin for empty position.")
    if position.is_cross:
        raise Refused("Position does not use isolated margin.")
    purse = account.purse(book.market.dex)
    if more_e8 > 0 and purse.withdrawable_e8 < more_e8:
        raise Refused("Account does not have sufficient margin available for increase.")
    if more_e8 < 0:
        if book.market.margin_mode == "strictIsolated":
            raise Refused("Cannot remove isolated margin for this asset. To remove margin, reduce the position.")
        if position.equity_e8 + more_e8 < max(position.initial_e8, abs(position.value_e8) // 10):
            raise Refused("Position does not have sufficient margin for reduction.")
    purse.cash_e8 -= more_e8
    position.raw_e8 += more_e8
    account.join(purse)
    exchange.execution.block.touched.add(account.address)
    return DEFAULT


def top_up_isolated_only_margin(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """Add what an isolated position lacks to the margin of this leverage; nothing is taken out."""
    book, leverage_e8 = _book(exchange, action["asset"]), scaled(action["leverage"], 8)
    position = account.position(book)
    if position.lots == 0:
        raise Refused("Cannot update margin for empty position.")
    if position.is_cross:
        raise Refused("Position does not use isolated margin.")
    if not leverage_e8 or leverage_e8 < E8 or leverage_e8 > book.market.max_leverage * E8:
        raise Refused("Invalid leverage value")
    more_e8 = -(-abs(position.value_e8) * E8 // leverage_e8) - position.equity_e8
    if more_e8 <= 0:
        raise Refused("Update to isolated margin cannot be zero.")
    purse = account.purse(book.market.dex)
    if purse.withdrawable_e8 < more_e8:
        raise Refused("Account does not have sufficient margin available for increase.")
    purse.cash_e8 -= more_e8
    position.raw_e8 += more_e8
    account.join(purse)
    exchange.execution.block.touched.add(account.address)
    return DEFAULT


def reserve_request_weight(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """Buy requests beyond the address budget, for oneself or another account; the price goes to the fee box."""
    receiver = account if "destination" not in action else exchange.accounts.get(action["destination"])
    if receiver is None:
        raise Refused(f"User or API Wallet {action['destination']} does not exist.")
    price_e8 = action["weight"] * REQUEST_PRICE_E8
    if account.withdrawable_e8 < price_e8:
        raise Refused("Insufficient balance for withdrawal.")
    account.cash_e8 -= price_e8
    exchange.execution.fees_wei["USDC"] += price_e8
    receiver.requests_reserved += action["weight"]
    return DEFAULT


def _book(exchange: Exchange, asset: int) -> Book:
    book = exchange.execution.books.get(asset)
    if book is None:
        raise Refused(
            "Invalid spot" if SPOT_ASSETS <= asset < BUILDER_ASSETS else f"Invalid asset {asset}: not in this universe."
        )
    return book


HANDLERS: dict[str, Callable[[Exchange, Account, dict[str, Any]], dict[str, Any]]] = {
    "order": order,
    "cancel": cancel,
    "cancelByCloid": cancel_by_cloid,
    "modify": modify,
    "batchModify": batch_modify,
    "scheduleCancel": schedule_cancel,
    "twapOrder": twaps.twap_order,
    "twapCancel": twaps.twap_cancel,
    "userOutcome": outcomes.user_outcome,
    "noop": noop,
    "updateLeverage": update_leverage,
    "updateIsolatedMargin": update_isolated_margin,
    "topUpIsolatedOnlyMargin": top_up_isolated_only_margin,
    "reserveRequestWeight": reserve_request_weight,
    "usdClassTransfer": accounts.usd_class_transfer,
    "usdSend": accounts.usd_send,
    "spotSend": accounts.spot_send,
    "sendAsset": accounts.send_asset,
    "agentSendAsset": accounts.agent_send_asset,
    "withdraw3": accounts.withdraw,
    "approveAgent": accounts.approve_agent,
    "approveBuilderFee": accounts.approve_builder_fee,
    "createSubAccount": accounts.create_sub_account,
    "subAccountModify": accounts.sub_account_modify,
    "subAccountTransfer": accounts.sub_account_transfer,
    "subAccountSpotTransfer": accounts.sub_account_spot_transfer,
    "registerReferrer": accounts.register_referrer,
    "setReferrer": accounts.set_referrer,
    "setDisplayName": accounts.set_display_name,
    "cDeposit": staking.deposit,
    "cWithdraw": staking.withdraw,
    "tokenDelegate": staking.delegate,
    "convertToMultiSigUser": multi_sig.convert,
    "userSetAbstraction": modes.user_set_abstraction,
    "agentSetAbstraction": modes.agent_set_abstraction,
    "userPortfolioMargin": modes.user_portfolio_margin,
    "userDexAbstraction": modes.user_dex_abstraction,
    "agentEnableDexAbstraction": modes.agent_enable_dex_abstraction,
    "createVault": vaults.create_vault,
    "vaultModify": vaults.vault_modify,
    "vaultTransfer": vaults.vault_transfer,
    "vaultDistribute": vaults.vault_distribute,
}
