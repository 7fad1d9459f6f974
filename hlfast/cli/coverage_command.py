"""`hlfast coverage` (layer 5): every request, action and subscription of the protocol, and who implements it.

The rows come from the tables that do the work: the client's endpoints, and the exchange's handlers. What is missing
has its reason here, in words; a test fails for one that has none.
"""

from __future__ import annotations

from typing import Any

import click

EXPLORER = "the explorer's own host, not the API's"
ELSEWHERE = {
    ("info request", "blockDetails"): EXPLORER,
    ("info request", "txDetails"): EXPLORER,
    ("info request", "userDetails"): EXPLORER,
    ("subscription", "explorerBlock"): EXPLORER,
    ("subscription", "explorerTxs"): EXPLORER,
    ("info request", "fileSnapshot"): "of an own node, which writes to its disk",
}
"""Of the protocol, but not of the connection that the client has."""

NO_LENDING = "no lending here"
NO_DEPLOY = "the universe is fixed at start: --universe"
UI = "the web page's bundle"
NO_HISTORY = "no such history is kept"

NOT_SIMULATED_GROUPS = {
    "staking": "no links between staking and trading accounts here",
    "deployers": NO_DEPLOY,
    "validators": "no validators here",
    "lending": NO_LENDING,
}
NOT_SIMULATED = {
    "sendToEvmWithData": "no EVM here",
    "evmUserModify": "no EVM here",
    "claimRewards": "no rewards here",
    "spotUser": "no dust conversion here",
    "gossipPriorityBid": "no gossip network here",
    "gossipPriorityAuctionStatus": "no gossip network here",
    "gossipRootIps": "no gossip network here",
    "alignedQuoteTokenInfo": "no aligned quote tokens here",
    "perpAnnotation": "no annotations here",
    "perpDeployAuctionStatus": NO_DEPLOY,
    "spotPairDeployAuctionStatus": NO_DEPLOY,
    "spotDeployState": NO_DEPLOY,
    "usdcRouting": "no bridge here",
    "allBorrowLendReserveStates": NO_LENDING,
    "borrowLendReserveState": NO_LENDING,
    "borrowLendUserState": NO_LENDING,
    "userBorrowLendInterest": NO_LENDING,
    "liquidatable": "liquidations happen in the same block",
    "validatorL1Votes": "the validators here do not vote",
    "portfolio": NO_HISTORY,
    "webData2": UI,
    "webData3": UI,
    "notification": UI,
    "legalCheck": "nobody is checked here",
    "isVip": "nobody is checked here",
    "fastAssetCtxs": "activeAssetCtx says it coin by coin",
}


def rows() -> list[dict[str, Any]]:
    """One for each: `kind`, `name`, `client` (the method, or None), `exchange` (bool), `reason` ("" if nothing is missing)."""
    from hlfast.sim.supported import SUPPORTED
    from hlfast.venues.hyperliquid.endpoints import ACTIONS, QUERIES, SUBSCRIPTIONS

    found: list[dict[str, Any]] = []
    for kind, table, place in (
        ("info request", QUERIES, "info"),
        ("action", ACTIONS, "actions"),
        ("subscription", SUBSCRIPTIONS, "streams"),
    ):
        for name, entry in table.items():
            method = getattr(entry, "method", None)
            client = f"{place}.{method}" if method else f"streams.on({name!r})"
            simulated = name in SUPPORTED[f"{kind}s"]
            group = getattr(entry, "group", "")
            why = "" if simulated else NOT_SIMULATED.get(name) or NOT_SIMULATED_GROUPS.get(group, "")
            found.append({"kind": kind, "name": name, "client": client, "exchange": simulated, "reason": why})
    for (kind, name), why in ELSEWHERE.items():
        found.append({"kind": kind, "name": name, "client": None, "exchange": False, "reason": why})
    return found


@click.command(short_help="Show what of the venue's protocol is implemented.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--missing", is_flag=True, help="Only what the client or the local exchange lacks.")
def coverage(as_json: bool, missing: bool) -> None:
    """Show every info request, exchange action and WebSocket subscription of the venue: the client's name of it, whether
    the local exchange answers it, and why not.

    \b
    Examples:
      hlfast coverage --missing
      hlfast coverage --json
    """
    found = rows()
    shown = [row for row in found if not missing or not (row["client"] and row["exchange"])]
    if as_json:
        import orjson

        click.echo(orjson.dumps({"rows": shown, "totals": totals(found)}, option=orjson.OPT_INDENT_2).decode())
        return
    for kind in ("info request", "action", "subscription"):
        total = totals(found)[kind]
        click.echo(f"{kind}s: {total['of']}; client {total['client']}, local exchange {total['exchange']}")
        for row in shown:
            if row["kind"] == kind:
                client, exchange = row["client"] or "-", "exchange" if row["exchange"] else "-"
                click.echo(f"  {row['name']:<32} {client:<46} {exchange:<9} {row['reason']}".rstrip())


def totals(found: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    return {
        kind: {
            "of": sum(row["kind"] == kind for row in found),
            "client": sum(row["kind"] == kind and row["client"] is not None for row in found),
            "exchange": sum(row["kind"] == kind and row["exchange"] for row in found),
        }
        for kind in ("info request", "action", "subscription")
    }
