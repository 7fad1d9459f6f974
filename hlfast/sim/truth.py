"""What really happened on the local exchange (layer 5): its own record, for tests and the demo to compare with.

    truth(exchange)                  # everybody but the background traders
    truth(exchange, "0x1479...")     # one account; an unknown one reads as zeros

All amounts are exact decimal text. `fills` are the full rows in the order in which they happened, `fees` are by token.
"""

from __future__ import annotations

from typing import Any

from hlfast.sim import rows
from hlfast.sim.account import Account
from hlfast.sim.exchange import Exchange
from hlfast.sim.markets import TOKENS
from hlfast.sim.matching import Order
from hlfast.sim.numbers import text

_WEI_DECIMALS = {token.name: token.wei_decimals for token in TOKENS}


def truth(exchange: Exchange, user: str | None = None) -> dict[str, Any]:
    """The exchange's record of one account or of all."""
    execution = exchange.execution
    counters = {"blocks": exchange.block_number, "actions": exchange.actions_seen, **execution.counters}
    head = {"block": exchange.block_number, "time": exchange.time_ms, "counters": counters}
    if user is not None:
        account = exchange.accounts.get(user.lower()) or Account(user.lower())
        return {**head, "user": account.address, **of_account(account)}
    return {
        **head,
        "users": {a.address: of_account(a) for a in exchange.accounts.values() if not a.is_house},
        "house": {a.address: of_account(a) for a in exchange.accounts.values() if a.is_house},
        "fees": {name: text(wei, _WEI_DECIMALS[name]) for name, wei in execution.fees_wei.items()},
    }


def of_account(account: Account) -> dict[str, Any]:
    return {
        "orders": [of_order(order) for order in account.orders.values()],
        "fills": list(account.fills),
        "positions": {
            p.book.market.coin: {
                "szi": p.book.market.sz_text(p.lots),
                "entryNtl": text(p.entry_ntl_e8, 8),
                "leverage": p.leverage,
            }
            for p in account.positions.values()
            if p.lots
        },
        "cash": text(account.cash_e8, 8),
        "spot": {row["coin"]: row for row in rows.spot_state(account)["balances"]},
        "fees": {name: text(wei, _WEI_DECIMALS[name]) for name, wei in account.fees_wei.items()},
        "volume": text(account.volume_e8, 8),
        "nonces": {signer: list(nonces) for signer, nonces in account.nonces.items()},
    }


def of_order(order: Order) -> dict[str, Any]:
    market = order.market
    return {
        "oid": order.oid,
        "cloid": order.cloid,
        "coin": market.coin,
        "side": order.side,
        "px": market.px_text(order.px_e8),
        "sz": market.sz_text(order.orig_lots),
        "filled": market.sz_text(order.filled_lots),
        "tif": order.tif,
        "reduceOnly": order.reduce_only,
        "status": order.status,
        "timestamp": order.time_ms,
        "statusTimestamp": order.status_ms,
    }
