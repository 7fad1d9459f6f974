"""What really happened on the local exchange (layer 5): its own record, for tests and the demo to compare with.

    truth(exchange)                  # everybody but the background traders
    truth(exchange, "0x1479...")     # one account; an unknown one reads as zeros

All amounts are exact decimal text; cash is cross and isolated together (`dex_cash`: of builder dexs). `fills` are the full rows in the order in which
they happened, `fees` are by token. History is bounded: `dropped` says how many old rows of each kind are gone.
With a record (`SimExchange(record=True)`) each order has its `states`, [status, ms] in order, and `sent` holds the last
frames that were written: when (block time and number), on which connection, to whom, on which channel, and the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hlfast.sim import rows
from hlfast.sim.account import Account
from hlfast.sim.exchange import Exchange
from hlfast.sim.matching import Order
from hlfast.sim.numbers import text
from hlfast.sim.staking import Stake

if TYPE_CHECKING:
    from hlfast.sim.streams import Written

States = Mapping[int, list[tuple[str, int]]]


def truth(
    exchange: Exchange, user: str | None = None, states: States | None = None, sent: Iterable[Written] | None = None
) -> dict[str, Any]:
    """The exchange's record of one account or of all. `states` are by oid; `sent` is what was written."""
    execution, decimals = exchange.execution, exchange.universe.wei_decimals
    counters = {"blocks": exchange.block_number, "actions": exchange.actions_seen, **execution.counters}
    head: dict[str, Any] = {"block": exchange.block_number, "time": exchange.time_ms, "counters": counters}
    address = None if user is None else user.lower()
    if sent is not None:
        head["sent"] = [of_written(each) for each in sent if address is None or each[3] == address]
    else:
        states = None
    if address is not None:
        account = exchange.accounts.get(address) or Account(address, tokens=exchange.universe.tokens)
        return {**head, "user": account.address, **of_account(exchange, account, states)}
    return {
        **head,
        "users": {a.address: of_account(exchange, a, states) for a in exchange.accounts.values() if not a.is_house},
        "house": {a.address: of_account(exchange, a) for a in exchange.accounts.values() if a.is_house},
        "fees": {name: text(wei, decimals[name]) for name, wei in execution.fees_wei.items()},
    }


def of_written(written: Written) -> dict[str, Any]:
    time_ms, block, link, user, channel, frame = written
    return {
        "time": time_ms,
        "block": block,
        "to": link,
        "user": user,
        "channel": channel,
        "text": frame.decode(errors="replace"),
    }


def of_account(exchange: Exchange, account: Account, states: States | None = None) -> dict[str, Any]:
    decimals = exchange.universe.wei_decimals
    return {
        "orders": [of_order(order, states) for order in account.orders.values()],
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
        "cash": text(account.raw_usd_e8, 8),
        "dex_cash": {name: text(purse.raw_usd_e8, 8) for name, purse in account.purses.items() if name},
        "spot": {row["coin"]: row for row in rows.spot_state(account)["balances"]},
        "staked": exchange.staking.amount(exchange.staking.stakes.get(account.address, Stake()).total_wei),
        "fees": {name: text(wei, decimals[name]) for name, wei in account.fees_wei.items()},
        "volume": text(account.volume_e8, 8),
        "funding": text(account.funding_e8, 8),
        "fundings": list(account.fundings),
        "nonces": {signer: list(nonces) for signer, nonces in account.nonces.items()},
        "dropped": dict(account.dropped),
    }


def of_order(order: Order, states: States | None = None) -> dict[str, Any]:
    market = order.market
    row: dict[str, Any] = {
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
    if order.trigger is not None:
        row["trigger"] = {
            "px": market.px_text(order.trigger.px_e8),
            "tpsl": order.trigger.tpsl,
            "isMarket": order.trigger.is_market,
        }
    if states is not None:
        row["states"] = [list(each) for each in states.get(order.oid, ())]
    return row
