"""Who may act: unknown signers, mainnet signatures, agents, sub-accounts, expiry, nonces."""

from __future__ import annotations

import eth_account
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.sim.signers import DAY_MS, KEPT_NONCES, ZERO_ADDRESS, Nonces
from hlfast.sim.verify import verify

from .desk import AGENT, ALICE, BOB, START_MS, SUB_ACCOUNT, Desk, wire

NOOP = {"type": "noop"}
OK = {"status": "ok", "response": {"type": "default"}}
STRANGER = "0x" + "12" * 20


def refused(text: str) -> dict[str, str]:
    return {"status": "err", "response": text}


def test_an_unknown_signer_is_named(desk: Desk) -> None:
    answer = desk.send(desk.signed(STRANGER, NOOP))[0]
    assert answer == refused(f"User or API Wallet {STRANGER} does not exist.")


def test_a_signature_that_recovers_nobody(desk: Desk) -> None:
    assert desk.send(desk.signed(None, NOOP))[0] == refused("Unable to recover signer.")  # type: ignore[arg-type]


def test_a_mainnet_signature_is_refused_and_explained(desk: Desk) -> None:
    """Secrets, simulator part: source "a" is refused and explained, so nothing valid on mainnet is ever collected."""
    from hyperliquid.utils import signing

    wallet = eth_account.Account.from_key(ALICE.key)
    signature = signing.sign_l1_action(wallet, NOOP, None, START_MS, None, True)
    answer = desk.send(verify({"action": NOOP, "nonce": START_MS, "signature": signature}))[0]
    assert answer["status"] == "err"
    assert answer["response"].startswith(f"This is a mainnet signature of {ALICE.address}, sent to a local exchange.")
    move = {"type": "usdClassTransfer", "amount": "1", "toPerp": True, "nonce": START_MS}
    signature = signing.sign_usd_class_transfer_action(wallet, move, True)
    answer = desk.send(verify({"action": move, "nonce": START_MS, "signature": signature}))[0]
    assert "mainnet signature" in answer["response"]
    assert desk.account(ALICE).nonces == {}


def test_a_nonce_is_good_once(desk: Desk) -> None:
    """Life cycle L, G9: the second action with a nonce is a duplicate, whatever it is and whatever became of the first."""
    order = {"type": "order", "orders": [wire(1, "buy", "3000", "0.0001")], "grouping": "na"}
    assert desk.act(ALICE, order, nonce=START_MS)["response"]["data"]["statuses"][0]["error"]
    assert desk.act(ALICE, NOOP, nonce=START_MS) == refused(f"Invalid nonce: duplicate nonce {START_MS}")
    assert desk.act(BOB, NOOP, nonce=START_MS) == OK, "nonces belong to a signer"
    assert desk.account(ALICE).nonces == {ALICE.address: [START_MS]}


def test_in_one_block_the_noop_beats_the_taker_with_the_same_nonce(desk: Desk) -> None:
    desk.order(BOB, 1, "sell", "3500", "1")
    taker = {"type": "order", "orders": [wire(1, "buy", "3500", "1", "Ioc")], "grouping": "na"}
    answers = desk.send(
        desk.signed(ALICE.address, taker, nonce=START_MS), desk.signed(ALICE.address, NOOP, nonce=START_MS)
    )
    assert answers == [refused(f"Invalid nonce: duplicate nonce {START_MS}"), OK]


def test_nonces_may_come_in_any_order_above_the_floor(desk: Desk) -> None:
    """Given 100 newer nonces, then one at or below the smallest kept is too low, one above it is fine."""
    for nonce in range(START_MS + 100, START_MS, -1):
        assert desk.act(ALICE, NOOP, nonce=nonce) == OK
    low = desk.act(ALICE, NOOP, nonce=START_MS)
    assert low == refused(f"Invalid nonce: nonce too low {START_MS} < {START_MS + 1}")
    assert desk.act(ALICE, NOOP, nonce=START_MS + 200) == OK
    assert desk.act(ALICE, NOOP, nonce=START_MS + 1)["response"].startswith("Invalid nonce: nonce too low")


def test_a_nonce_stays_within_two_days_before_and_one_day_after(desk: Desk) -> None:
    now_ms = desk.now_ms + 70
    assert "too low" in desk.act(ALICE, NOOP, nonce=now_ms - 2 * DAY_MS)["response"]
    assert desk.act(ALICE, NOOP, nonce=now_ms - 2 * DAY_MS + 1000) == OK
    assert "too high" in desk.act(ALICE, NOOP, nonce=now_ms + DAY_MS + 1000)["response"]
    assert desk.act(ALICE, NOOP, nonce=now_ms + DAY_MS) == OK
    assert "too low" in desk.act(ALICE, NOOP, nonce=0)["response"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(START_MS - 300, START_MS + 300), max_size=400))
def test_the_nonce_rule_is_the_hundred_highest(nonces: list[int]) -> None:
    """Given any nonces, then a model that sorts everything accepted says the same yes or no."""
    kept, model = Nonces(), []
    for nonce in nonces:
        floor = model[-KEPT_NONCES] if len(model) >= KEPT_NONCES else 0
        good = nonce not in model[-KEPT_NONCES:] and nonce > floor
        assert (kept.refusal(nonce, START_MS) is None) is good
        if good:
            kept.use(nonce)
            model = sorted([*model, nonce])


def test_an_expired_action_is_refused_and_costs_five_times(desk: Desk) -> None:
    order = {"type": "order", "orders": [wire(1, "buy", "3000", "1")] * 2, "grouping": "na"}
    answer = desk.act(ALICE, order, nonce=START_MS, expires_after=desk.now_ms + 69)
    assert answer == refused("Action already expired")
    account = desk.account(ALICE)
    assert (account.requests_used, account.orders) == (10, {})
    assert desk.act(ALICE, order, nonce=START_MS, expires_after=desk.now_ms + 70)["status"] == "ok"
    assert account.requests_used == 12


def test_an_agent_trades_for_its_master_and_cannot_move_money() -> None:
    desk = Desk(agents={AGENT: ALICE.address})
    order = {"type": "order", "orders": [wire(1, "buy", "3000", "1")], "grouping": "na"}
    answer = desk.send(desk.signed(AGENT, order))[0]
    assert "resting" in answer["response"]["data"]["statuses"][0]
    assert len(desk.account(ALICE).open) == 1
    assert list(desk.account(ALICE).nonces) == [AGENT]
    move = {
        "type": "usdClassTransfer",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "amount": "1",
        "toPerp": True,
        "nonce": START_MS,
    }
    answer = desk.send(desk.signed(AGENT, move, nonce=START_MS))[0]
    assert answer == refused(f"Must deposit before performing actions. User: {AGENT}")


def test_a_sub_account_is_traded_for_by_its_master_and_its_masters_agent_only() -> None:
    """Behaviour 54, the exchange's side: given a vault, then its signer acts for it if it is the master's own."""
    desk = Desk(sub_accounts={SUB_ACCOUNT: ALICE.address}, agents={AGENT: ALICE.address})
    order = {"type": "order", "orders": [wire(1, "buy", "3000", "1")], "grouping": "na"}
    for signer in (ALICE.address, AGENT):
        assert desk.send(desk.signed(signer, order, vault=SUB_ACCOUNT))[0]["status"] == "ok"
    assert len(desk.exchange.accounts[SUB_ACCOUNT].open) == 2 and desk.account(ALICE).open == {}
    for vault in (SUB_ACCOUNT, STRANGER):
        answer = desk.send(desk.signed(BOB.address, order, vault=vault))[0]
        assert answer == refused(f"User or API Wallet {vault} does not exist.")
    assert desk.send(desk.signed(SUB_ACCOUNT, order))[0]["status"] == "err", "it has no key of its own"


def approve(desk: Desk, agent: str, name: str = "") -> str | None:
    """None if approved, else the refusal."""
    nonce = desk.now_ms + 1
    action = {
        "type": "approveAgent",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "agentAddress": agent,
        "agentName": name,
        "nonce": nonce,
    }
    answer = desk.act(ALICE, action, nonce=nonce)
    return None if answer == OK else answer["response"]


def test_agents_are_approved_replaced_and_removed(desk: Desk) -> None:
    first, second, third, fourth, fifth = ("0x" + digit * 40 for digit in "34567")
    assert approve(desk, first, "bot") is None
    assert desk.send(desk.signed(first, NOOP))[0] == OK
    assert approve(desk, second, "bot") is None, "the same name again replaces it"
    assert desk.send(desk.signed(first, NOOP))[0] == refused(f"User or API Wallet {first} does not exist.")
    assert approve(desk, first, "bot") == "Extra agent already used."
    assert approve(desk, BOB.address, "bot") == "Extra agent already used."
    assert approve(desk, third) is None
    assert [(agent.name, agent.address) for agent in desk.exchange.agents.of(ALICE.address)] == [
        ("bot", second),
        ("", third),
    ]
    assert approve(desk, fourth, "a") is None and approve(desk, fifth, "b") is None
    too_many = approve(desk, "0x" + "8" * 40, "c")
    assert too_many == "Too many extra agents for cumulative volume traded. Current limit is 3"
    assert approve(desk, ZERO_ADDRESS, "bot") is None
    assert desk.send(desk.signed(second, NOOP))[0] == refused(f"User or API Wallet {second} does not exist.")


def test_an_agents_name_may_carry_its_end(desk: Desk) -> None:
    valid = desk.now_ms + DAY_MS
    assert approve(desk, "0x" + "3" * 40, f"bot valid_until {valid}") is None
    (agent,) = desk.exchange.agents.of(ALICE.address)
    assert (agent.name, agent.valid_until_ms) == ("bot", valid)
    assert approve(desk, "0x" + "4" * 40, "old valid_until 5") == "Agent valid_until already expired."
    assert approve(desk, "0x" + "4" * 40, "x" * 17) == "Invalid agent name."
