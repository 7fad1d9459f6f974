"""Vaults of the local exchange (layer 5): an account that a leader trades for everybody who deposited.

A deposit buys shares at the vault's present value, a withdrawal sells them; value is that of the vault's cross account.
The leader acts for it with `vaultAddress`. No lock-up, no commission, no share that the leader must keep: the venue has
them, and a client's code is the same. Amounts are 1e-6 USDC in actions and 1e-8 here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from hlfast.sim.account import Account
from hlfast.sim.fees import DAY_MS
from hlfast.sim.numbers import text
from hlfast.sim.refusals import DEFAULT, Refused

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

SPANS = ("day", "week", "month", "allTime", "perpDay", "perpWeek", "perpMonth", "perpAllTime")


class Vault:
    def __init__(self, account: Account, leader: Account, name: str, description: str) -> None:
        self.account, self.leader = account, leader
        self.name, self.description = name, description
        self.shares: dict[str, int] = {}
        self.entered_ms: dict[str, int] = {}
        self.allows_deposits = True
        self.closes_on_withdraw = False
        self.is_closed = False

    @property
    def total(self) -> int:
        return sum(self.shares.values())

    def equity_e8(self, user: str) -> int:
        """What a depositor's shares are worth at mark."""
        total = self.total
        return self.shares.get(user, 0) * max(0, self.account.value_e8) // total if total else 0

    def issue(self, user: str, usd_e8: int, time_ms: int) -> None:
        value_e8, total = self.account.value_e8, self.total
        if user not in self.shares:
            self.entered_ms[user] = time_ms
        self.shares[user] = self.shares.get(user, 0) + (usd_e8 * total // value_e8 if total else usd_e8)
        self.account.cash_e8 += usd_e8

    def redeem(self, user: str, usd_e8: int) -> None:
        """Take out so much of a depositor's equity."""
        equity_e8 = self.equity_e8(user)
        sold = -(-self.shares[user] * usd_e8 // equity_e8)
        self.shares[user] -= sold
        if not self.shares[user] or usd_e8 == equity_e8:
            del self.shares[user]
        self.account.cash_e8 -= usd_e8


def new_address(exchange: Exchange, owner: Account, what: str) -> str:
    """An address that nobody has: of the owner, and how many accounts there are."""
    seed = f"{what}:{owner.address}:{len(exchange.accounts)}".encode()
    return "0x" + hashlib.sha256(seed).hexdigest()[:40]


def create_vault(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    usd_e8 = action["initialUsd"] * 100
    if usd_e8 < 100 * 10**8:
        raise Refused("Initial deposit must be at least 100 USDC.")
    if account.withdrawable_e8 < usd_e8:
        raise Refused("Insufficient balance to create vault")
    address = new_address(exchange, account, "vault")
    held = exchange.open_account(address, 0, 0)
    held.leader = account
    vault = exchange.vaults[address] = Vault(held, account, action["name"], action["description"])
    account.cash_e8 -= usd_e8
    vault.issue(account.address, usd_e8, exchange.time_ms)
    exchange.add_ledger_row(account, {"type": "vaultCreate", "vault": address, "usdc": text(usd_e8, 8), "fee": "0.0"})
    return {"type": "createVault", "data": address}


def _vault(exchange: Exchange, action: dict[str, Any]) -> Vault:
    vault = exchange.vaults.get(action["vaultAddress"])
    if vault is None:
        raise Refused(f"Vault not registered: {action['vaultAddress']}")
    return vault


def _led(exchange: Exchange, account: Account, action: dict[str, Any]) -> Vault:
    vault = _vault(exchange, action)
    if vault.leader is not account:
        raise Refused("Only leader can perform this vault action")
    return vault


def vault_modify(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    vault = _led(exchange, account, action)
    if action["allowDeposits"] is not None:
        vault.allows_deposits = action["allowDeposits"]
    if action["alwaysCloseOnWithdraw"] is not None:
        vault.closes_on_withdraw = action["alwaysCloseOnWithdraw"]
    return DEFAULT


def vault_transfer(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    vault, usd_e8 = _vault(exchange, action), action["usd"] * 100
    if not usd_e8:
        raise Refused("Invalid send")
    if action["isDeposit"]:
        if vault.is_closed or not (vault.allows_deposits or vault.leader is account):
            raise Refused("Vault is not accepting deposits.")
        if account.withdrawable_e8 < usd_e8 or (vault.total and vault.account.value_e8 <= 0):
            raise Refused("Insufficient balance for withdrawal.")
        account.cash_e8 -= usd_e8
        vault.issue(account.address, usd_e8, exchange.time_ms)
        delta = {"type": "vaultDeposit", "vault": vault.account.address, "usdc": text(usd_e8, 8)}
        exchange.add_ledger_row(account, delta)
    else:
        _pay_out(exchange, vault, account, usd_e8)
    return DEFAULT


def _pay_out(exchange: Exchange, vault: Vault, account: Account, usd_e8: int) -> None:
    if usd_e8 > vault.equity_e8(account.address) or usd_e8 > vault.account.withdrawable_e8:
        raise Refused("Insufficient balance for withdrawal.")
    vault.redeem(account.address, usd_e8)
    account.cash_e8 += usd_e8
    amount = text(usd_e8, 8)
    exchange.add_ledger_row(
        account,
        {
            "type": "vaultWithdraw",
            "vault": vault.account.address,
            "user": account.address,
            "requestedUsd": amount,
            "commission": "0.0",
            "closingCost": "0.0",
            "basis": amount,
            "netWithdrawnUsd": amount,
        },
    )


def vault_distribute(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    """Pay so much to all by their shares; 0 pays everything and closes the vault, which must have no position."""
    vault, usd_e8 = _led(exchange, account, action), action["usd"] * 100
    closes = usd_e8 == 0
    if closes:
        if vault.account.open or any(position.lots for position in vault.account.positions.values()):
            raise Refused("Vault has open orders or positions.")
        usd_e8 = vault.account.cash_e8
    if usd_e8 > vault.account.withdrawable_e8:
        raise Refused("Insufficient balance for withdrawal.")
    total, left_e8 = vault.total, usd_e8
    holders = list(vault.shares.items())
    for at, (address, shares) in enumerate(holders):
        part_e8 = left_e8 if at == len(holders) - 1 else usd_e8 * shares // total
        left_e8 -= part_e8
        holder = exchange.accounts[address]
        vault.account.cash_e8 -= part_e8
        holder.cash_e8 += part_e8
        delta = {"type": "vaultDistribution", "vault": vault.account.address, "usdc": text(part_e8, 8)}
        exchange.add_ledger_row(holder, delta)
    if closes:
        vault.is_closed = True
        vault.shares.clear()
    return DEFAULT


def details(exchange: Exchange, query: dict[str, Any]) -> dict[str, Any] | None:
    """`vaultDetails`, as far as it is known here: no history of values is kept, and no profit by depositor."""
    vault = exchange.vaults.get(query["vaultAddress"])
    if vault is None:
        return None
    followers = [
        {
            "user": user,
            "vaultEquity": text(vault.equity_e8(user), 8),
            "pnl": "0.0",
            "allTimePnl": "0.0",
            "daysFollowing": (exchange.time_ms - vault.entered_ms[user]) // DAY_MS,
            "vaultEntryTime": vault.entered_ms[user],
            "lockupUntil": vault.entered_ms[user],
        }
        for user in vault.shares
    ]
    return {
        "name": vault.name,
        "vaultAddress": vault.account.address,
        "leader": vault.leader.address,
        "description": vault.description,
        "portfolio": [[span, {"accountValueHistory": [], "pnlHistory": [], "vlm": "0.0"}] for span in SPANS],
        "apr": 0.0,
        "followerState": next((row for row in followers if row["user"] == query.get("user")), None),
        "leaderFraction": vault.shares.get(vault.leader.address, 0) / (vault.total or 1),
        "leaderCommission": 0.0,
        "followers": followers,
        "maxDistributable": vault.account.withdrawable_e8 / 1e8,
        "maxWithdrawable": min(vault.account.withdrawable_e8, vault.equity_e8(query.get("user", ""))) / 1e8,
        "isClosed": vault.is_closed,
        "relationship": {"type": "normal"},
        "allowDeposits": vault.allows_deposits,
        "alwaysCloseOnWithdraw": vault.closes_on_withdraw,
    }
