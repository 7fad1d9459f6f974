"""Who may sign what (local exchange, layer 5): nonces per signer, and agents.

Nonces: per signer the 100 highest are kept; a new one must be unused, above the smallest kept one once 100 are kept,
and within two days before and one day after the block's time (ms). It is consumed when the action is admitted, whatever
then becomes of the orders in it.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

KEPT_NONCES = 100
DAY_MS = 86_400_000
MAX_NAMED_AGENTS = 3
ZERO_ADDRESS = "0x" + "0" * 40


class Nonces:
    """The nonces of one signer."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._set: set[int] = set()

    def refusal(self, nonce: int, now_ms: int) -> str | None:
        """The venue's text if this nonce cannot be used now."""
        if nonce in self._set:
            return f"Invalid nonce: duplicate nonce {nonce}"
        floor = now_ms - 2 * DAY_MS
        if len(self._kept) == KEPT_NONCES:
            floor = max(floor, self._kept[0])
        if nonce <= floor:
            return f"Invalid nonce: nonce too low {nonce} < {floor}"
        if nonce >= now_ms + DAY_MS:
            return f"Invalid nonce: nonce too high {nonce} > {now_ms + DAY_MS}"
        return None

    def use(self, nonce: int) -> None:
        insort(self._kept, nonce)
        self._set.add(nonce)
        if len(self._kept) > KEPT_NONCES:
            self._set.discard(self._kept.pop(0))


@dataclass(frozen=True)
class Agent:
    """An API wallet: it signs L1 actions for its master and the master's sub-accounts."""

    address: str
    master: str
    name: str = ""
    valid_until_ms: int | None = None


class Agents:
    """Approved agents by address, one unnamed and three named ones a master."""

    def __init__(self, approved: dict[str, str]) -> None:
        self._by_address = {
            address.lower(): Agent(address.lower(), master.lower()) for address, master in approved.items()
        }
        self._ever = set(self._by_address)

    def get(self, address: str) -> Agent | None:
        return self._by_address.get(address)

    def of(self, master: str) -> list[Agent]:
        return [agent for agent in self._by_address.values() if agent.master == master]

    def approve(self, master: str, address: str, name: str, now_ms: int) -> str | None:
        """Approve, replace (same name) or remove (zero address) an agent. Returns the venue's text on a refusal."""
        name, _, valid = name.partition(" valid_until ")
        if len(name) > 16 or (valid and not (valid.isascii() and valid.isdigit())):
            return "Invalid agent name."
        valid_until = int(valid) if valid else None
        if valid_until is not None and not now_ms < valid_until <= now_ms + 180 * DAY_MS:
            return "Agent valid_until already expired."
        same = [agent for agent in self.of(master) if agent.name == name]
        if address != ZERO_ADDRESS:
            if address in self._ever:
                return "Extra agent already used."
            if name and not same and sum(1 for agent in self.of(master) if agent.name) >= MAX_NAMED_AGENTS:
                return f"Too many extra agents for cumulative volume traded. Current limit is {MAX_NAMED_AGENTS}"
        for agent in same:
            del self._by_address[agent.address]
        if address != ZERO_ADDRESS:
            self._ever.add(address)
            self._by_address[address] = Agent(address, master, name, valid_until)
        return None
