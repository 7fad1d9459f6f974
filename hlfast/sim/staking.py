"""Staking on the local exchange (layer 5): HYPE from spot into the staking balance, to validators, and back.

`cDeposit` is at once; `tokenDelegate` moves between the undelegated balance and a validator, whose delegation is locked for
a day after each addition; `cWithdraw` takes a week. Once a UTC day each delegation grows by its reward, at a fixed rate
(the venue's depends on how much everybody stakes): that is new HYPE, counted as such. A priority fee (`grouping: {"p": n}`)
burns undelegated HYPE; it buys no place in a queue here. There are two validators, which do nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hlfast.sim.account import Account
from hlfast.sim.markets import Token
from hlfast.sim.numbers import POW10, text
from hlfast.sim.refusals import DEFAULT, Refused
from hlfast.sim.signers import DAY_MS

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

TOKEN = "HYPE"
LOCK_MS = DAY_MS
WITHDRAWAL_MS = 7 * DAY_MS
REWARD_PPM = 23_700
"""Of a delegation, a year: 2.37 %."""
VALIDATORS = tuple(
    ("0x" + hashlib.sha256(name.encode()).hexdigest()[:40], name) for name in ("Local validator 1", "Local validator 2")
)


@dataclass
class Stake:
    """What one account has staked. Amounts are wei."""

    undelegated_wei: int = 0
    delegations: dict[str, list[int]] = field(default_factory=dict)
    """Validator → [amount, locked until (ms)]."""
    withdrawals: list[tuple[int, int]] = field(default_factory=list)
    """(when it is paid out, amount), oldest first."""
    history: list[dict[str, Any]] = field(default_factory=list)
    rewards: list[dict[str, Any]] = field(default_factory=list)

    @property
    def delegated_wei(self) -> int:
        return sum(amount for amount, _ in self.delegations.values())

    @property
    def pending_wei(self) -> int:
        return sum(amount for _, amount in self.withdrawals)

    @property
    def total_wei(self) -> int:
        return self.undelegated_wei + self.delegated_wei + self.pending_wei


class Staking:
    """All stakes, and what time does to them."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.token: Token | None = next((t for t in exchange.universe.tokens.values() if t.name == TOKEN), None)
        self.stakes: dict[str, Stake] = {}
        self._day = 0

    def of(self, address: str) -> Stake:
        return self.stakes.setdefault(address, Stake())

    @property
    def total_wei(self) -> int:
        return sum(stake.total_wei for stake in self.stakes.values())

    def amount(self, wei: int) -> str:
        return text(wei, self.token.wei_decimals if self.token else 8)

    def required_token(self) -> Token:
        if self.token is None:
            raise Refused("Nothing can be staked in this universe: it has no HYPE.")
        return self.token

    def note(self, stake: Stake, delta: dict[str, Any]) -> None:
        tx = self._exchange.execution.transaction_hash()
        stake.history.append({"time": self._exchange.time_ms, "hash": tx, "delta": delta})

    def on_block(self, now_ms: int) -> None:
        """Pay out withdrawals that are due, and the day's rewards."""
        if not self.stakes:
            self._day = now_ms // DAY_MS
            return
        for address, stake in self.stakes.items():
            while stake.withdrawals and stake.withdrawals[0][0] <= now_ms:
                self._pay_out(self._exchange.accounts[address], stake, stake.withdrawals.pop(0)[1])
        days, self._day = now_ms // DAY_MS - self._day, now_ms // DAY_MS
        for stake in self.stakes.values() if days else ():
            self._reward(stake, days, now_ms)

    def _pay_out(self, account: Account, stake: Stake, wei: int) -> None:
        token = self.required_token()
        self._exchange.execution.begin_transaction()
        account.balance(token.index).total_wei += wei
        amount = self.amount(wei)
        self.note(stake, {"withdrawal": {"amount": amount, "phase": "finalized"}})
        transfer = {"type": "cStakingTransfer", "token": token.name, "amount": amount, "isDeposit": False}
        self._exchange.add_ledger_row(account, transfer)

    def _reward(self, stake: Stake, days: int, now_ms: int) -> None:
        total = 0
        for delegation in stake.delegations.values():
            reward = delegation[0] * REWARD_PPM * days // (365 * 1_000_000)
            delegation[0] += reward
            total += reward
        if total:
            self._exchange.count(TOKEN, total)
            row = {"time": now_ms, "source": "delegation", "totalAmount": self.amount(total)}
            stake.rewards.append(row)

    # -- priority fees -----------------------------------------------------------------------------------------------
    def fee_wei(self, ntl_e8: int, rate: int) -> int:
        """A priority fee of `rate` / 1e8 of a value, in HYPE at mark."""
        token = self.required_token()
        worth_e8 = self._exchange.usdc_value_e8(token, POW10[token.wei_decimals])
        return -(-ntl_e8 * rate * POW10[token.wei_decimals] // (10**8 * worth_e8))

    def burn(self, account: Account, wei: int) -> None:
        self.of(account.address).undelegated_wei -= wei
        self._exchange.count(TOKEN, -wei)


# -- actions ---------------------------------------------------------------------------------------------------------


def deposit(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    staking, wei = exchange.staking, action["wei"]
    token, stake = staking.required_token(), staking.of(account.address)
    if not wei:
        raise Refused("Invalid send")
    if account.free_wei(token.index) < wei:
        raise Refused("Insufficient balance for token transfer.")
    account.balance(token.index).total_wei -= wei
    stake.undelegated_wei += wei
    amount = staking.amount(wei)
    staking.note(stake, {"cDeposit": {"amount": amount}})
    transfer = {"type": "cStakingTransfer", "token": token.name, "amount": amount, "isDeposit": True}
    exchange.add_ledger_row(account, transfer)
    return DEFAULT


def withdraw(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    staking, wei = exchange.staking, action["wei"]
    staking.required_token()
    stake = staking.of(account.address)
    if not wei or stake.undelegated_wei < wei:
        raise Refused("Insufficient undelegated staking balance.")
    stake.undelegated_wei -= wei
    stake.withdrawals.append((exchange.time_ms + WITHDRAWAL_MS, wei))
    staking.note(stake, {"withdrawal": {"amount": staking.amount(wei), "phase": "initiated"}})
    return DEFAULT


def delegate(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    staking, wei, validator = exchange.staking, action["wei"], action["validator"].lower()
    staking.required_token()
    if validator not in dict(VALIDATORS):
        raise Refused(f"Unknown validator {validator}")
    stake = staking.of(account.address)
    if action["isUndelegate"]:
        held, locked_ms = stake.delegations.get(validator, (0, 0))
        if not wei or held < wei:
            raise Refused("Insufficient delegated staking balance.")
        if exchange.time_ms < locked_ms:
            raise Refused(f"Delegation is locked until {locked_ms}.")
        stake.undelegated_wei += wei
        stake.delegations[validator][0] -= wei
        if not stake.delegations[validator][0]:
            del stake.delegations[validator]
    else:
        if not wei or stake.undelegated_wei < wei:
            raise Refused("Insufficient undelegated staking balance.")
        stake.undelegated_wei -= wei
        delegation = stake.delegations.setdefault(validator, [0, 0])
        delegation[0] += wei
        delegation[1] = exchange.time_ms + LOCK_MS
    row = {"validator": validator, "amount": staking.amount(wei), "isUndelegate": action["isUndelegate"]}
    staking.note(stake, {"delegate": row})
    return DEFAULT


# -- queries ---------------------------------------------------------------------------------------------------------


def delegations(exchange: Exchange, user: str) -> list[dict[str, Any]]:
    stake = exchange.staking.stakes.get(user, Stake())
    return [
        {"validator": validator, "amount": exchange.staking.amount(wei), "lockedUntilTimestamp": locked_ms}
        for validator, (wei, locked_ms) in stake.delegations.items()
    ]


def summary(exchange: Exchange, user: str) -> dict[str, Any]:
    stake, amount = exchange.staking.stakes.get(user, Stake()), exchange.staking.amount
    return {
        "delegated": amount(stake.delegated_wei),
        "undelegated": amount(stake.undelegated_wei),
        "totalPendingWithdrawal": amount(stake.pending_wei),
        "nPendingWithdrawals": len(stake.withdrawals),
    }


def validators(exchange: Exchange) -> list[dict[str, Any]]:
    """As `validatorSummaries`: `stake` is a number."""
    found = []
    for address, name in VALIDATORS:
        stake = sum(s.delegations[address][0] for s in exchange.staking.stakes.values() if address in s.delegations)
        stats = {"uptimeFraction": "1.0", "predictedApr": text(REWARD_PPM, 6), "nSamples": 1}
        found.append(
            {
                "validator": address,
                "signer": address,
                "name": name,
                "description": "",
                "nRecentBlocks": exchange.block_number,
                "stake": stake,
                "isJailed": False,
                "unjailableAfter": None,
                "isActive": True,
                "commission": "0.0",
                "stats": [[period, stats] for period in ("day", "week", "month")],
            }
        )
    return found
