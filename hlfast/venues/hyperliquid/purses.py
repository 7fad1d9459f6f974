"""Where an account's money lies, and in which mode (layer 2, cold): one `Purse` a place and token, and totals a token.

    purses_of("disabled", perp, spot, {"xyz": state}, {"": "USDC", "xyz": "USDH"})

A standard account has spot balances, and cash in the main dex and in each builder dex, which stand alone: what one lacks,
the others do not give. A joined account (unified, portfolio) has one balance a token, which the spot state tells; its perp
states say nothing about money (protocol, section 9, 29). Money that is locked in a dex is not lost: `totals` counts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

JOINED_MODES = ("unifiedAccount", "portfolioMargin")
SPOT, JOINED = "spot", "joined"
ZERO = Decimal(0)


@dataclass(frozen=True)
class Purse:
    """`place`: "" the main dex, a builder dex's name, "spot", or "joined" for a joined account's balance; in totals "all".

    `total` is what it is worth, positions at mark included (in a joined account as the venue's spot state says); `free` what
    may be withdrawn or spent now.
    """

    place: str
    token: str
    total: Decimal
    free: Decimal


def purses_of(
    mode: str, perp: Any, spot: Any, dexs: Mapping[str, Any], collaterals: Mapping[str, str]
) -> tuple[Purse, ...]:
    """From the venue's states. `collaterals`: each dex's token, "" for the main one."""
    is_joined = mode in JOINED_MODES
    place = JOINED if is_joined else SPOT
    found = [
        Purse(place, row["coin"], Decimal(row["total"]), Decimal(row["total"]) - Decimal(row["hold"]))
        for row in spot["balances"]
    ]
    for dex, state in {} if is_joined else {"": perp, **dexs}.items():
        worth, free = state["marginSummary"]["accountValue"], state["withdrawable"]
        found.append(Purse(dex, collaterals.get(dex, "unknown"), Decimal(worth), Decimal(free)))
    return tuple(found)


def totals(purses: Iterable[Purse]) -> dict[str, Purse]:
    """By token, over all places."""
    found: dict[str, Purse] = {}
    for each in purses:
        before = found.get(each.token)
        total, free = (ZERO, ZERO) if before is None else (before.total, before.free)
        found[each.token] = Purse("all", each.token, total + each.total, free + each.free)
    return found
