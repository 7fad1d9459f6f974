"""A multi-sig user through hlfast: members sign, the leader sends, the exchange's own verifier judges."""

from __future__ import annotations

from typing import Any

import pytest

from hlfast.errors import VenueReject
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.venues.hyperliquid.multi_sig import sign_for_multi_sig
from hlfast.venues.hyperliquid.sign import Signer

USER, LEADER, MEMBER = FUNDED_ACCOUNTS[:3]
ORDER = {
    "type": "order",
    "orders": [{"a": 0, "b": True, "p": "60000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Gtc"}}}],
    "grouping": "na",
}


async def test_members_sign_and_the_leader_sends(trader: Any) -> None:
    """Given a user that hlfast turned into a multi-sig user, then L1 and user-signed actions with enough signatures are its
    own, a mode change among them (signed by its word, sent by its code), and one signature too few is refused."""
    user = await trader(0, watch="", allow=["convertToMultiSigUser"])
    signers = {"authorizedUsers": sorted([LEADER.address, MEMBER.address]), "threshold": 2}
    await user.actions.convert_to_multi_sig_user(signers)
    allowed = ["multiSig", "order", "usdSend", "userSetAbstraction", "convertToMultiSigUser"]
    leader = await trader(1, watch="", allow=allowed)
    assert await leader.info.user_to_multi_sig_signers(USER.address) == signers

    async def send(action: dict[str, Any], *keys: str, own: str = "") -> Any:
        nonce = leader.entry.nonces.next()
        if own:
            action = {**action, own: nonce}
        signatures = [
            sign_for_multi_sig(Signer(key), action, USER.address, leader.signer.address, nonce, is_mainnet=False)
            for key in keys
        ]
        return await leader.actions.send_multi_sig(USER.address, action, signatures, nonce)

    both = (LEADER.key, MEMBER.key)
    answer = await send(ORDER, *both)
    oid = answer["data"]["statuses"][0]["resting"]["oid"]
    assert [row["oid"] for row in await leader.info.open_orders(USER.address)] == [oid]
    with pytest.raises(VenueReject, match="threshold not met"):
        await send(ORDER, LEADER.key)
    await send({"type": "cancel", "cancels": [{"a": 0, "o": oid}]}, *both)
    chain = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
    usd_send = {"type": "usdSend", **chain, "destination": MEMBER.address, "amount": "5"}
    await send(usd_send, *both, own="time")
    assert (await leader.info.clearinghouse_state(USER.address))["withdrawable"] == "999995.0"
    mode = {"type": "userSetAbstraction", **chain, "user": USER.address, "abstraction": "unifiedAccount"}
    await send(mode, *both, own="nonce")
    assert await leader.info.user_abstraction(USER.address) == "unifiedAccount"
    with pytest.raises(VenueReject, match="is a multi-sig user"):
        await user.actions.noop()
    back = {"type": "convertToMultiSigUser", **chain, "signers": "null"}
    await send(back, *both, own="nonce")
    await user.actions.noop()
