"""Staking: HYPE to validators and back, locks, rewards, the week of a withdrawal, priority fees; nothing is made or lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hyperliquid.utils import signing

from hlfast.sim.info import Info
from hlfast.sim.snapshot import freeze, thaw
from hlfast.sim.staking import VALIDATORS

from .desk import ALICE, BOB, Desk, Floor, wire

HYPE, WEI = 150, 10**8
DAY_MS = 86_400_000
FIRST, SECOND = (address for address, _ in VALIDATORS)
DEFAULT = {"status": "ok", "response": {"type": "default"}}


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.exchange.set_mark("@107", 40)
    desk.exchange.grant(ALICE.address, HYPE, 1_000 * WEI)
    return desk


def act(desk: Desk, kind: str, **fields: Any) -> Any:
    nonce = next(desk._nonces)
    action = {"type": kind, "signatureChainId": "0x66eee", "hyperliquidChain": "Testnet", **fields, "nonce": nonce}
    return desk.act(ALICE, action, nonce=nonce)


def delegate(desk: Desk, amount: int, validator: str = FIRST, *, back: bool = False) -> Any:
    return act(desk, "tokenDelegate", validator=validator, wei=amount * WEI, isUndelegate=back)


def summary(desk: Desk) -> tuple[str, str, str, int]:
    found = Info(desk.exchange).answer({"type": "delegatorSummary", "user": ALICE.address})
    return tuple(found.values())  # type: ignore[return-value]


def later(desk: Desk, ms: int) -> None:
    desk.now_ms += ms
    desk.send()


def test_from_spot_to_a_validator_and_back(desk: Desk) -> None:
    """Given 600 HYPE in staking of which 400 are delegated, then a day's lock holds, and a withdrawal takes a week."""
    assert act(desk, "cDeposit", wei=600 * WEI) == DEFAULT
    assert desk.account(ALICE).balance(HYPE).total_wei == 400 * WEI
    assert delegate(desk, 300) == DEFAULT and delegate(desk, 100, SECOND) == DEFAULT
    assert summary(desk) == ("400.0", "200.0", "0.0", 0)
    rows = Info(desk.exchange).answer({"type": "delegations", "user": ALICE.address})
    assert [(row["validator"], row["amount"]) for row in rows] == [(FIRST, "300.0"), (SECOND, "100.0")]
    assert "locked until" in delegate(desk, 50, back=True)["response"]
    later(desk, rows[1]["lockedUntilTimestamp"] - desk.now_ms)
    assert delegate(desk, 100, SECOND, back=True) == DEFAULT
    assert act(desk, "cWithdraw", wei=300 * WEI) == DEFAULT
    assert summary(desk)[1:] == ("0.0", "300.0", 1)
    later(desk, 7 * DAY_MS - 1000)
    assert desk.account(ALICE).balance(HYPE).total_wei == 400 * WEI
    later(desk, 2000)
    assert desk.account(ALICE).balance(HYPE).total_wei == 700 * WEI and summary(desk)[3] == 0
    history = Info(desk.exchange).answer({"type": "delegatorHistory", "user": ALICE.address})
    assert [next(iter(row["delta"])) for row in history] == [
        "withdrawal", "withdrawal", "delegate", "delegate", "delegate", "cDeposit",
    ]  # fmt: skip
    assert [row["delta"]["withdrawal"]["phase"] for row in history[:2]] == ["finalized", "initiated"]
    ledger = [(row["delta"]["amount"], row["delta"]["isDeposit"]) for row in desk.account(ALICE).ledger]
    assert ledger == [("600.0", True), ("300.0", False)]


def test_delegations_earn_and_the_earnings_are_counted_as_new(desk: Desk) -> None:
    """Given 365 days, then about 2.37 % more is delegated, told day by day, and the supply grew by exactly that."""
    act(desk, "cDeposit", wei=1_000 * WEI)
    delegate(desk, 1_000)
    supply = desk.exchange._supply_wei["HYPE"]
    for _ in range(365):
        later(desk, DAY_MS)
    rewards = Info(desk.exchange).answer({"type": "delegatorRewards", "user": ALICE.address})
    assert len(rewards) == 365 and rewards[0]["time"] > rewards[-1]["time"] and rewards[0]["source"] == "delegation"
    earned = sum(Decimal(row["totalAmount"]) for row in rewards)
    assert Decimal("23.7") < earned < 24 and summary(desk)[0] == f"{1000 + earned}"
    assert desk.exchange._supply_wei["HYPE"] - supply == earned * WEI
    (first, second) = Info(desk.exchange).answer({"type": "validatorSummaries"})
    assert (first["validator"], first["stake"]) == (FIRST, int((1000 + earned) * WEI)) and second["stake"] == 0


REFUSED = [
    (("cDeposit", {"wei": 2_000 * WEI}), "Insufficient balance for token transfer."),
    (("cDeposit", {"wei": 0}), "Invalid send"),
    (("cWithdraw", {"wei": 1}), "Insufficient undelegated staking balance."),
    (
        ("tokenDelegate", {"validator": FIRST, "wei": 1, "isUndelegate": False}),
        "Insufficient undelegated staking balance.",
    ),
    (
        ("tokenDelegate", {"validator": FIRST, "wei": 1, "isUndelegate": True}),
        "Insufficient delegated staking balance.",
    ),
    (
        ("tokenDelegate", {"validator": "0x" + "00" * 20, "wei": 1, "isUndelegate": False}),
        "Unknown validator 0x" + "00" * 20,
    ),
]


@pytest.mark.parametrize("wanted,why", REFUSED)
def test_what_is_not_there_cannot_be_moved(desk: Desk, wanted: tuple[str, dict[str, Any]], why: str) -> None:
    kind, fields = wanted
    assert act(desk, kind, **fields) == {"status": "err", "response": why}


def test_a_priority_fee_burns_undelegated_hype(desk: Desk) -> None:
    """Given 8 bp of 3500 USDC at 40 USDC a HYPE, then 0.07 HYPE are burnt, on what is filled or rests; without them it is
    refused in the venue's words."""
    desk.exchange.set_mark("ETH", 3500)
    order = {"type": "order", "orders": [wire(1, "buy", "3500", "1", "Alo")], "grouping": {"p": 80_000}}
    lacking = desk.act(ALICE, order)["response"]["data"]["statuses"]
    assert lacking == [{"error": "Insufficient delegatable balance for priority order"}]
    act(desk, "cDeposit", wei=10 * WEI)
    assert "resting" in desk.act(ALICE, order)["response"]["data"]["statuses"][0]
    assert summary(desk)[1] == "9.93"
    desk.order(BOB, 1, "sell", "3501", "0.5")
    taker = {**order, "orders": [wire(1, "buy", "3501", "1", "Ioc")]}
    assert desk.act(ALICE, taker)["response"]["data"]["statuses"][0]["filled"]["totalSz"] == "0.5"
    assert summary(desk)[1] == "9.89499", "on the half that was filled"
    mixed = {**order, "orders": [wire(1, "buy", "3400", "1", "Alo"), wire(1, "buy", "3501", "1", "Ioc")]}
    assert desk.act(ALICE, mixed)["response"]["data"]["statuses"] == [{"error": "Invalid TIF"}]


def test_a_stake_survives_a_snapshot(desk: Desk) -> None:
    act(desk, "cDeposit", wei=600 * WEI)
    delegate(desk, 300)
    act(desk, "cWithdraw", wei=100 * WEI)
    later(desk, 100)
    other = thaw(freeze(desk.exchange), desk.exchange.universe)
    for engine in (desk.exchange, other):
        engine.run_block(desk.now_ms + 8 * DAY_MS)
        engine.assert_conserved()
    assert other.staking.stakes == desk.exchange.staking.stakes


async def test_signatures_of_the_sdk_and_of_plain_typed_data_are_taken(open_floor: Any) -> None:
    """Given tokenDelegate signed by the official SDK, and cDeposit and cWithdraw (which it lacks) by eth-account over the
    reference's typed data, then the exchange takes them as Alice's."""
    floor: Floor = await open_floor()
    floor.exchange.change("grant", ALICE.address, HYPE, 10 * WEI)
    alice = floor.client(ALICE)

    async def send(kind: str, primary: str, fields: list[tuple[str, str]], values: dict[str, Any]) -> Any:
        alice._nonce += 1
        chain = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
        action = {"type": kind, **chain, **values, "nonce": alice._nonce}
        types = [("hyperliquidChain", "string"), *fields, ("nonce", "uint64")]
        domain = {
            "name": "HyperliquidSignTransaction",
            "version": "1",
            "chainId": 0x66EEE,
            "verifyingContract": "0x" + "0" * 40,
        }
        typed = {
            "domain": domain,
            "primaryType": f"HyperliquidTransaction:{primary}",
            "types": {
                f"HyperliquidTransaction:{primary}": [{"name": name, "type": kind} for name, kind in types],
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
            },
            "message": {name: action[name] for name, _ in types},
        }
        signed = alice.wallet.sign_message(encode_typed_data(full_message=typed))
        signature = {"r": hex(signed.r), "s": hex(signed.s), "v": signed.v}
        return await alice.http("/exchange", {"action": action, "nonce": alice._nonce, "signature": signature})

    assert await send("cDeposit", "CDeposit", [("wei", "uint64")], {"wei": 9 * WEI}) == DEFAULT
    alice._nonce += 1
    action = {"type": "tokenDelegate", "validator": FIRST, "wei": 4 * WEI, "isUndelegate": False, "nonce": alice._nonce}
    signature = signing.sign_token_delegate_action(alice.wallet, action, False)
    assert await alice.http("/exchange", {"action": action, "nonce": alice._nonce, "signature": signature}) == DEFAULT
    assert await send("cWithdraw", "CWithdraw", [("wei", "uint64")], {"wei": 2 * WEI}) == DEFAULT
    found = await alice.info("delegatorSummary", user=ALICE.address)
    assert (found["delegated"], found["undelegated"], found["totalPendingWithdrawal"]) == ("4.0", "3.0", "2.0")
