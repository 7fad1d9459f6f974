"""What moves money without a fill (layer 2, cold): a row of `userNonFundingLedgerUpdates` as amounts of an account.

Protocol, section 5.3. `flows(delta, account)` gives the signed change of each purse: `PERP` for the perpetuals' cash of
the main dex, `dex_purse(name)` for that of a builder dex, a token's name for its spot balance. A kind that is not in the table, or one without money in these
purses, gives nothing: what it moved then shows as a difference in the audit, and is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

PERP = "perp"
_DEX = "dex "
Delta = Mapping[str, Any]
Flows = dict[str, Decimal]


def dex_purse(name: str) -> str:
    """The purse of a builder dex."""
    return _DEX + name


def as_ledger(purse: str) -> tuple[str, str]:
    """(token, place) of a purse, as the ledger names it: ("", "") the main dex's cash, ("", dex) a builder dex's."""
    if purse.startswith(_DEX):
        return "", purse[len(_DEX) :]
    return ("", "") if purse in (PERP, "") else (purse, "")


def flows(delta: Delta, account: str) -> Flows:
    """Purse → signed amount. Raises nothing for a kind that is not known: it has no flows."""
    read = _KINDS.get(str(delta.get("type")))
    found: Flows = {}
    for purse, amount in read(delta, account.lower()) if read is not None else ():
        if purse is not None and amount:
            found[purse] = found.get(purse, Decimal(0)) + amount
    return found


_Moves = list[tuple[str | None, Decimal]]


def _amount(delta: Delta, name: str) -> Decimal:
    return Decimal(str(delta.get(name) or 0))


def _party(delta: Delta, account: str) -> tuple[bool, bool]:
    """Whether the account sends, whether it receives."""
    return str(delta.get("user", "")).lower() == account, str(delta.get("destination", "")).lower() == account


def _between_purses(delta: Delta, account: str) -> _Moves:
    usdc = _amount(delta, "usdc") * (1 if delta.get("toPerp") else -1)
    return [(PERP, usdc), ("USDC", -usdc)]


def _usdc_between_accounts(delta: Delta, account: str) -> _Moves:
    sends, receives = _party(delta, account)
    return [
        (PERP, -(_amount(delta, "usdc") + _amount(delta, "fee")) * sends),
        (PERP, _amount(delta, "usdc") * receives),
    ]


def _tokens_between_accounts(delta: Delta, account: str) -> _Moves:
    sends, receives = _party(delta, account)
    token = str(delta.get("token"))
    return [
        (token, (_amount(delta, "amount") * (int(receives) - int(sends)))),
        (str(delta.get("feeToken") or "USDC"), -_amount(delta, "fee") * sends),
    ]


def _send(delta: Delta, account: str) -> _Moves:
    """From a dex, or spot, of one account to one of another (or of the same): "" is the main dex of perpetuals."""
    sends, receives = _party(delta, account)
    token = str(delta.get("token"))

    def purse(dex: Any) -> str:
        return {"": PERP, "spot": token}.get(str(dex)) or dex_purse(str(dex))

    return [
        (purse(delta.get("sourceDex")), -_amount(delta, "amount") * sends),
        (purse(delta.get("destinationDex")), _amount(delta, "amount") * receives),
        (str(delta.get("feeToken") or "USDC"), -_amount(delta, "fee") * sends),
    ]


def _drawn_for_dex(delta: Delta, account: str) -> _Moves:
    """Dex abstraction: from the main dex into a builder dex with the same collateral."""
    amount = _amount(delta, "amount")
    return [(PERP, -amount), (dex_purse(str(delta.get("dex"))), amount)]


_KINDS: dict[str, Callable[[Delta, str], _Moves]] = {
    "deposit": lambda d, account: [(PERP, _amount(d, "usdc"))],
    "withdraw": lambda d, account: [(PERP, -(_amount(d, "usdc") + _amount(d, "fee")))],
    "accountClassTransfer": _between_purses,
    "internalTransfer": _usdc_between_accounts,
    "subAccountTransfer": _usdc_between_accounts,
    "spotTransfer": _tokens_between_accounts,
    "activateDexAbstraction": _drawn_for_dex,
    "send": _send,
    "vaultCreate": lambda d, account: [(PERP, -(_amount(d, "usdc") + _amount(d, "fee")))],
    "vaultDeposit": lambda d, account: [(PERP, -_amount(d, "usdc"))],
    "vaultDistribution": lambda d, account: [(PERP, _amount(d, "usdc"))],
    "vaultLeaderCommission": lambda d, account: [(PERP, _amount(d, "usdc"))],
    "vaultWithdraw": lambda d, account: [
        (PERP, _amount(d, "netWithdrawnUsd") * (str(d.get("user", "")).lower() == account))
    ],
    "rewardsClaim": lambda d, account: [(str(d.get("token", "USDC")), _amount(d, "amount"))],
    "spotGenesis": lambda d, account: [(str(d.get("token")), _amount(d, "amount"))],
    "cStakingTransfer": lambda d, account: [
        (str(d.get("token")), _amount(d, "amount") * (-1 if d.get("isDeposit") else 1))
    ],
}
