"""Multi-sig users, judged by the exchange: signatures of the official SDK and of hlfast, thresholds, leaders, and the way back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hyperliquid.utils import signing

from hlfast.sim.explain import explain
from hlfast.sim.verify import verify

from .desk import AGENT, AGENT_KEY, ALICE, BOB, CAROL, DAVE, Client, Floor, wire

USER, LEADER = ALICE, BOB
MEMBERS = (BOB, CAROL)


@pytest.fixture
async def floor(open_floor: Any) -> Floor:
    """Alice is a multi-sig user of Bob, Carol and Dave, two of whom must sign."""
    made: Floor = await open_floor(agents={AGENT: BOB.address})
    answer = await convert(made.client(ALICE), [BOB, CAROL, DAVE], 2)
    assert answer == {"status": "ok", "response": {"type": "default"}}
    return made


async def convert(client: Client, members: list[Any], threshold: int) -> Any:
    """As the official SDK converts a user."""
    client._nonce += 1
    signers = {"authorizedUsers": sorted(member.address for member in members), "threshold": threshold}
    action = {"type": "convertToMultiSigUser", "signers": json.dumps(signers), "nonce": client._nonce}
    signature = signing.sign_convert_to_multi_sig_user_action(client.wallet, action, False)
    return await client.http("/exchange", {"action": action, "nonce": client._nonce, "signature": signature})


def l1(
    leader: Client, members: list[Client], action: dict[str, Any], nonce: int, vault: str | None = None
) -> list[Any]:
    return [
        signing.sign_multi_sig_l1_action_payload(
            member.wallet, action, False, vault, nonce, None, USER.address, leader.address
        )
        for member in members
    ]


def send(
    leader: Client, action: dict[str, Any], signatures: list[Any], nonce: int, vault: str | None = None
) -> dict[str, Any]:
    """The whole request, as the SDK's `Exchange.multi_sig` makes it."""
    outer = {
        "type": "multiSig",
        "signatureChainId": "0x66eee",
        "signatures": signatures,
        "payload": {"multiSigUser": USER.address, "outerSigner": leader.address, "action": action},
    }
    signature = signing.sign_multi_sig_action(leader.wallet, outer, False, vault, nonce, None)
    return {"action": outer, "nonce": nonce, "signature": signature, "vaultAddress": vault, "expiresAfter": None}


def order(cloid: str | None = None) -> dict[str, Any]:
    return {"type": "order", "orders": [wire(0, "buy", "60000", "0.01", cloid=cloid)], "grouping": "na"}


async def test_an_order_with_enough_signatures_is_the_users(floor: Floor) -> None:
    """Given two of three signatures, then the order is Alice's; only the leader's nonces are used."""
    leader, carol = floor.client(LEADER), floor.client(CAROL)
    nonce = leader._nonce + 1
    body = send(leader, order(), l1(leader, [leader, carol], order(), nonce), nonce)
    answer = await leader.http("/exchange", body)
    assert "resting" in answer["response"]["data"]["statuses"][0]
    (resting,) = await leader.info("openOrders", user=USER.address)
    assert resting["coin"] == "BTC"
    again = await leader.http("/exchange", body)
    assert again["response"] == f"Invalid nonce: duplicate nonce {nonce}"
    assert floor.exchange.truth(USER.address)["nonces"].get(CAROL.address) is None
    signers = {"authorizedUsers": sorted(m.address for m in (BOB, CAROL, DAVE)), "threshold": 2}
    assert await leader.info("userToMultiSigSigners", user=USER.address) == signers
    assert await leader.info("userToMultiSigSigners", user=BOB.address) is None


async def test_the_user_and_its_agents_do_nothing_alone_any_more(floor: Floor) -> None:
    answer = await floor.client(ALICE).exchange_action({"type": "noop"})
    assert answer["status"] == "err" and "is a multi-sig user" in answer["response"]


async def test_a_user_signed_action_moves_money(floor: Floor) -> None:
    """Given usdSend signed with the multi-sig user and the leader in its typed data, then the money moves once."""
    leader, dave = floor.client(LEADER), floor.client(DAVE)
    nonce = leader._nonce + 1
    action = {
        "type": "usdSend",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "destination": CAROL.address,
        "amount": "250",
        "time": nonce,
    }
    signatures = [
        signing.sign_multi_sig_user_signed_action_payload(
            member.wallet,
            action,
            False,
            signing.USD_SEND_SIGN_TYPES,
            "HyperliquidTransaction:UsdSend",
            USER.address,
            leader.address,
        )
        for member in (leader, dave)
    ]
    assert (await leader.http("/exchange", send(leader, action, signatures, nonce)))["status"] == "ok"
    assert floor.exchange.truth(USER.address)["cash"] == "999750.0"
    wrong = {**action, "time": nonce + 7}
    refused = await leader.http("/exchange", send(leader, wrong, signatures, nonce + 1))
    assert refused["status"] == "err"


async def test_an_agent_of_an_authorised_user_may_lead(floor: Floor) -> None:
    agent = Client(floor.exchange, floor.session, AGENT_KEY)
    nonce = agent._nonce + 1
    signatures = l1(agent, [floor.client(CAROL), floor.client(DAVE)], order(), nonce)
    answer = await agent.http("/exchange", send(agent, order(), signatures, nonce))
    assert "resting" in answer["response"]["data"]["statuses"][0]


async def test_what_is_not_enough_is_refused_and_does_nothing(floor: Floor) -> None:
    """Given too few, doubled, foreign or altered signatures, a leader who is nobody, or a user who is no multi-sig user, then
    nothing happens to the account."""
    leader, carol = floor.client(LEADER), floor.client(CAROL)
    stranger = Client(floor.exchange, floor.session, "0x" + "77" * 32)
    nonce = leader._nonce + 1
    good = l1(leader, [leader, carol], order(), nonce)

    async def refused(body: dict[str, Any]) -> str:
        answer = await leader.http("/exchange", body)
        assert answer["status"] == "err", answer
        return answer["response"]

    assert "threshold not met: 1 of 2" in await refused(send(leader, order(), good[:1], nonce))
    assert "of different users" in await refused(send(leader, order(), [good[0], good[0]], nonce))
    foreign = l1(leader, [leader, stranger], order(), nonce)
    assert f"signature of {stranger.address}" in await refused(send(leader, order(), foreign, nonce))
    assert "not an authorized user" in await refused(send(leader, {"type": "noop"}, good, nonce)), "signed for an order"
    later = l1(leader, [leader, carol], order(), nonce + 5)
    assert "not an authorized user" in await refused(send(leader, order(), later, nonce)), "signed for another nonce"
    nobody = l1(stranger, [leader, carol], order(), nonce)
    assert "not an authorized user" in await refused(send(stranger, order(), nobody, nonce))
    posing = send(leader, order(), good, nonce)
    posing["signature"] = stranger.sign(order(), nonce=nonce)["signature"]
    assert "does not exist" in await refused(posing), "the outer signature is somebody else's"
    forged = send(leader, order(), good, nonce)
    forged["action"] = copy.deepcopy(forged["action"])
    forged["action"]["payload"]["action"]["orders"][0]["s"] = "5"
    assert "does not exist" in await refused(forged), "the outer hash covers the inner action"
    plain = send(leader, order(), good, nonce)
    plain["action"]["payload"]["multiSigUser"] = DAVE.address
    assert (await refused(plain)).startswith("User or API Wallet"), "the outer hash covers the user"
    assert await leader.info("openOrders", user=USER.address) == []
    assert floor.exchange.truth(USER.address)["orders"] == []


async def test_the_way_back_needs_the_signatures_too(floor: Floor) -> None:
    leader, carol = floor.client(LEADER), floor.client(CAROL)
    nonce = leader._nonce + 1
    action = {
        "type": "convertToMultiSigUser",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "signers": "null",
        "nonce": nonce,
    }
    signatures = [
        signing.sign_multi_sig_user_signed_action_payload(
            member.wallet,
            action,
            False,
            signing.CONVERT_TO_MULTI_SIG_USER_SIGN_TYPES,
            "HyperliquidTransaction:ConvertToMultiSigUser",
            USER.address,
            leader.address,
        )
        for member in (leader, carol)
    ]
    assert (await leader.http("/exchange", send(leader, action, signatures, nonce)))["status"] == "ok"
    assert (await floor.client(ALICE).exchange_action({"type": "noop"}))["status"] == "ok"


@pytest.mark.parametrize("members,threshold", [([], 0), ([BOB], 2), ([BOB], 0), ([ALICE], 1), ([BOB, BOB], 1)])
async def test_signers_that_make_no_sense_are_refused(open_floor: Any, members: list[Any], threshold: int) -> None:
    floor = await open_floor()
    assert (await convert(floor.client(ALICE), members, threshold))["status"] == "err"


def test_the_explanation_names_the_members(desk: Any) -> None:
    leader = Client(None, None, BOB.key)  # type: ignore[arg-type]
    body = send(leader, order(), l1(leader, [leader], order(), 5), 5)
    told = explain(body, lambda address: address == BOB.address)
    assert (told["members"], told["multiSigUser"]) == ([BOB.address], ALICE.address)
    assert told["cause"].startswith("the signature is right")
    body["nonce"] = 6
    assert "over the hash of" in explain(body, lambda address: False)["cause"]
    assert verify(body).as_mainnet() is None
