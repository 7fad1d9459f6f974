"""Multi-sig users of the local exchange (layer 5): who may act for one, and how many must have signed.

`verify` recovers who signed what; here is decided whether that is enough. A multi-sig user does nothing by its own key or its
agents any more: each of its actions is a `multiSig` of a leader, who is an authorised user or the agent of one, with the
signatures of `threshold` different authorised users. Only the leader's nonces are used. `convertToMultiSigUser` with the
signers `null` turns the account back. The venue's texts for refusals are not known; these say plainly what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from hlfast.sim.account import Account
from hlfast.sim.refusals import DEFAULT, Refused
from hlfast.sim.shapes import Malformed, address, array, struct, uint
from hlfast.sim.verify import Signed

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

MAX_USERS = 10
_SIGNERS = struct(("authorizedUsers", array(address)), ("threshold", uint))


@dataclass(frozen=True)
class Signers:
    users: tuple[str, ...]
    threshold: int

    @property
    def row(self) -> dict[str, Any]:
        return {"authorizedUsers": list(self.users), "threshold": self.threshold}


def convert(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    try:
        wanted = orjson.loads(action["signers"])
        read = None if wanted is None else _SIGNERS(wanted)
    except (orjson.JSONDecodeError, Malformed):
        raise Refused("Invalid multi-sig signers.") from None
    if account.master is not None or account.leader is not None:
        raise Refused("Only a user can become a multi-sig user.")
    if read is None:
        account.signers = None
        return DEFAULT
    users = tuple(sorted(read["authorizedUsers"]))
    if not 1 <= len(users) <= MAX_USERS or len(set(users)) != len(users) or not 1 <= read["threshold"] <= len(users):
        raise Refused("Invalid multi-sig signers.")
    for user in users:
        if user == account.address or user not in exchange.accounts:
            raise Refused(f"User {user} cannot be an authorized user.")
    account.signers = Signers(users, read["threshold"])
    return DEFAULT


def user_of(exchange: Exchange, signed: Signed) -> Account:
    """The multi-sig user for whom a leader acts. Raises `Refused`."""
    claim = signed.multi_sig
    assert claim is not None
    leader = signed.signer
    if leader is None:
        raise Refused("Unable to recover signer.")
    agent = exchange.agents.get(leader)
    master = leader if agent is None else agent.master
    if leader != claim.outer_signer:
        raise Refused(f"User or API Wallet {leader} does not exist.")
    account = exchange.accounts.get(claim.user)
    if account is None or account.signers is None:
        raise Refused(f"User {claim.user} is not a multi-sig user.")
    authorized = account.signers.users
    if master not in authorized:
        raise Refused(f"User {master} is not an authorized user of {claim.user}.")
    unknown = next((member for member in claim.members if member not in authorized), None)
    if unknown is not None or None in claim.members:
        raise Refused(f"Multi-sig signature of {unknown}, who is not an authorized user of {claim.user}.")
    if len(set(claim.members)) != len(claim.members):
        raise Refused("Multi-sig signatures must be of different users.")
    if len(claim.members) < account.signers.threshold:
        raise Refused(f"Multi-sig threshold not met: {len(claim.members)} of {account.signers.threshold} signatures.")
    return account if signed.vault is None else exchange.controlled(account, signed.vault)
