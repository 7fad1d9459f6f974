"""Accounts and money of the local exchange: sub-accounts, sends, withdrawals, builders, referrers, vaults."""

from __future__ import annotations

import pytest

import hlfast
from hlfast.errors import ConfigError, VenueReject
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange
from hlfast.sim.actions import HANDLERS
from hlfast.sim.info import ANSWERS, Info
from hlfast.sim.numbers import E8
from hlfast.sim.verify import L1_ACTIONS, USER_ACTIONS
from hlfast.venues.hyperliquid.endpoints import QUERIES

from ..venue.conforming import misfits
from .desk import ALICE, BOB, CAROL, START_MS, Desk, Floor, wire

ETH = 1
PURR = "PURR:0xc1fb593aeffbeb02f85e0308e9956a90"


def ok(answer):
    assert answer["status"] == "ok", answer
    return answer["response"]


def refusal(answer):
    assert answer["status"] == "err", answer
    return answer["response"]


@pytest.fixture
def desk():
    return Desk()


def test_a_sub_account_is_made_named_fed_and_traded(desk):
    address = ok(desk.act(ALICE, {"type": "createSubAccount", "name": "one"}))["data"]
    ok(desk.act(ALICE, {"type": "subAccountModify", "subAccountUser": address, "name": "two"}))
    move = {"type": "subAccountTransfer", "subAccountUser": address, "isDeposit": True, "usd": 5_000 * 10**6}
    ok(desk.act(ALICE, move))
    assert desk.exchange.accounts[address].cash_e8 == 5_000 * E8
    order = {"type": "order", "orders": [wire(ETH, "buy", "3000", "1")], "grouping": "na"}
    assert "resting" in ok(desk.act(ALICE, order, vault=address))["data"]["statuses"][0]
    ok(desk.act(ALICE, {**move, "isDeposit": False, "usd": 10**6}))
    spot = {
        "type": "subAccountSpotTransfer",
        "subAccountUser": address,
        "isDeposit": True,
        "token": "USDC:0x6d1e7cde53ba9467b783cb7c530ce054",
        "amount": "7",
    }
    ok(desk.act(ALICE, spot))
    shown = Info(desk.exchange).answer({"type": "subAccounts", "user": ALICE.address})
    assert [(row["name"], row["subAccountUser"]) for row in shown] == [("two", address)]
    assert shown[0]["spotState"]["balances"][0]["total"] == "7.0"
    assert refusal(desk.act(BOB, move)) == f"Invalid sub-account transfer from {BOB.address} to {address}"
    rename = {"type": "subAccountModify", "subAccountUser": address, "name": "mine"}
    assert refusal(desk.act(BOB, rename)) == f"Sub-account {address} is not registered to {BOB.address}"
    assert "does not exist" in refusal(desk.act(BOB, order, vault=address))
    for _ in range(9):
        ok(desk.act(ALICE, {"type": "createSubAccount", "name": "more"}))
    assert refusal(desk.act(ALICE, {"type": "createSubAccount", "name": "more"})) == "Too many sub-accounts."


SEND = {
    "type": "sendAsset",
    "signatureChainId": "0x66eee",
    "hyperliquidChain": "Testnet",
    "destination": BOB.address,
    "fromSubAccount": "",
}


@pytest.mark.parametrize(
    ("source", "destination", "perp", "spot"),
    [("", "", (-5, 5), (0, 0)), ("", "spot", (-5, 0), (0, 5)), ("spot", "", (0, 5), (-5, 0)), ("spot", "spot", (0, 0), (-5, 5))],
)  # fmt: skip
def test_an_asset_is_sent_between_purses(desk, source, destination, perp, spot):
    alice, bob = desk.account(ALICE), desk.account(BOB)
    before = [alice.cash_e8, bob.cash_e8, alice.balance(0).total_wei, bob.balance(0).total_wei]
    request = desk.signed(
        ALICE.address,
        {**SEND, "sourceDex": source, "destinationDex": destination, "token": "USDC", "amount": "5", "nonce": 0},
    )
    request.action["nonce"] = request.nonce
    ok(desk.send(request)[0])
    after = [alice.cash_e8, bob.cash_e8, alice.balance(0).total_wei, bob.balance(0).total_wei]
    assert [(b - a) // E8 for a, b in zip(before, after, strict=True)] == [*perp, *spot]
    assert alice.ledger[-1]["delta"]["type"] == "send" and bob.ledger[-1]["delta"]["amount"] == "5.0"


def test_a_withdrawal_leaves_the_exchange_and_pays_its_fee(desk):
    """Conservation counts what left: the desk checks it after each block."""
    cash = desk.account(ALICE).cash_e8
    request = desk.signed(
        ALICE.address,
        {"type": "withdraw3", "hyperliquidChain": "Testnet", "destination": ALICE.address, "amount": "100", "time": 0},
    )
    request.action["time"] = request.nonce
    ok(desk.send(request)[0])
    assert cash - desk.account(ALICE).cash_e8 == 100 * E8
    row = desk.account(ALICE).ledger[-1]["delta"]
    assert (row["type"], row["usdc"], row["fee"]) == ("withdraw", "99.0", "1.0")
    poor = desk.signed(
        ALICE.address,
        {"type": "withdraw3", "hyperliquidChain": "Testnet", "destination": ALICE.address, "amount": "1", "time": 0},
    )
    poor.action["time"] = poor.nonce
    assert "Insufficient balance" in refusal(desk.send(poor)[0])


def approve(desk, who, rate):
    request = desk.signed(
        who.address,
        {
            "type": "approveBuilderFee",
            "hyperliquidChain": "Testnet",
            "maxFeeRate": rate,
            "builder": CAROL.address,
            "nonce": 0,
        },
    )
    request.action["nonce"] = request.nonce
    return desk.send(request)[0]


def test_a_builder_is_paid_what_was_approved_and_no_more(desk):
    order = {
        "type": "order",
        "orders": [wire(ETH, "buy", "3500", "1", "Ioc")],
        "grouping": "na",
        "builder": {"b": CAROL.address, "f": 10},
    }
    desk.order(BOB, ETH, "sell", "3500", "1")
    denied = [{"error": "Builder fee has not been approved"}]
    assert ok(desk.act(ALICE, order))["data"]["statuses"] == denied
    ok(approve(desk, ALICE, "0.009%"))
    assert ok(desk.act(ALICE, order))["data"]["statuses"] == denied
    ok(approve(desk, ALICE, "0.01%"))
    info = Info(desk.exchange)
    assert info.answer({"type": "maxBuilderFee", "user": ALICE.address, "builder": CAROL.address}) == 10
    carol, alice = desk.account(CAROL).cash_e8, desk.account(ALICE).value_e8
    assert "filled" in ok(desk.act(ALICE, order))["data"]["statuses"][0]
    fill = desk.account(ALICE).fills[-1]
    assert desk.account(CAROL).cash_e8 - carol == 35 * E8 // 100 and fill["builderFee"] == "0.35"
    assert fill["fee"] == "1.925"  # 3500 x 0.045 % and the builder's 0.35
    assert alice - desk.account(ALICE).value_e8 == 1_925 * E8 // 1000
    ok(approve(desk, ALICE, "0%"))
    assert info.answer({"type": "approvedBuilders", "user": ALICE.address}) == []
    assert refusal(approve(desk, ALICE, "2%")) == "Invalid builder fee rate."


def test_a_builder_that_is_not_known_here_is_paid_once_approved_and_none_is_asked_for_nothing(desk):
    """Clients approve their maker's address before their first order, and attach it with f 0 where the fee is switched off."""
    stranger = "0x" + "b1" * 20
    action = {"type": "order", "grouping": "na", "orders": [wire(ETH, "buy", "3500", "1", "Ioc")]}
    desk.order(BOB, ETH, "sell", "3500", "2")
    denied = [{"error": "Builder fee has not been approved"}]
    assert ok(desk.act(ALICE, {**action, "builder": {"b": stranger, "f": 10}}))["data"]["statuses"] == denied
    assert "filled" in ok(desk.act(ALICE, {**action, "builder": {"b": stranger, "f": 0}}))["data"]["statuses"][0]
    assert "builderFee" not in desk.account(ALICE).fills[-1]
    request = {"type": "approveBuilderFee", "maxFeeRate": "0.01%", "builder": "0x" + "B1" * 20, "nonce": 0}
    request = desk.signed(ALICE.address, {**request, "hyperliquidChain": "Testnet", "signatureChainId": "0x66eee"})
    request.action["nonce"] = request.nonce
    ok(desk.send(request)[0])
    assert "filled" in ok(desk.act(ALICE, {**action, "builder": {"b": stranger, "f": 10}}))["data"]["statuses"][0]
    assert desk.exchange.accounts[stranger].cash_e8 == 35 * E8 // 100


def test_a_builder_is_paid_on_spot_sales_only(desk):
    desk.exchange.grant(ALICE.address, 1, 1_000 * 10**5)
    ok(approve(desk, ALICE, "0.1%"))
    desk.order(BOB, 10_000, "buy", "0.2", "100")
    order = {
        "type": "order",
        "orders": [wire(10_000, "sell", "0.2", "100", "Ioc")],
        "grouping": "na",
        "builder": {"b": CAROL.address, "f": 100},
    }
    usdc = desk.account(CAROL).balance(0).total_wei
    ok(desk.act(ALICE, order))
    assert desk.account(CAROL).balance(0).total_wei - usdc == 2 * 10**6
    assert desk.account(ALICE).fills[-1]["builderFee"] == "0.02"


def test_a_referrer_is_registered_and_named(desk):
    assert refusal(desk.act(ALICE, {"type": "setReferrer", "code": "BOB"})) == "Referral code not registered"
    ok(desk.act(BOB, {"type": "registerReferrer", "code": "BOB"}))
    ok(desk.act(ALICE, {"type": "setReferrer", "code": "BOB"}))
    shown = Info(desk.exchange).answer({"type": "referral", "user": ALICE.address})
    assert shown["referredBy"] == {"referrer": BOB.address, "code": "BOB"}
    state = Info(desk.exchange).answer({"type": "referral", "user": BOB.address})["referrerState"]
    assert (state["stage"], state["data"]["code"], state["data"]["nReferrals"]) == ("ready", "BOB", 1)
    assert state["data"]["referralStates"][0]["user"] == ALICE.address
    assert refusal(desk.act(ALICE, {"type": "registerReferrer", "code": "BOB"})) == "Referral code already registered."


def test_a_vault_is_fed_traded_and_paid_out_by_shares(desk):
    create = desk.signed(
        ALICE.address,
        {
            "type": "createVault",
            "name": "vault",
            "description": "a vault to test",
            "initialUsd": 1_000 * 10**6,
            "nonce": 0,
        },
    )
    create.action["nonce"] = create.nonce
    greedy = desk.signed(ALICE.address, {**create.action, "initialUsd": 10**15, "nonce": 0})
    greedy.action["nonce"] = greedy.nonce
    assert refusal(desk.send(greedy)[0]) == "Insufficient balance to create vault"
    address = ok(desk.send(create)[0])["data"]
    vault = desk.exchange.vaults[address]
    deposit = {"type": "vaultTransfer", "vaultAddress": address, "isDeposit": True, "usd": 3_000 * 10**6}
    ok(desk.act(BOB, deposit))
    assert vault.equity_e8(BOB.address) == 3_000 * E8 and vault.equity_e8(ALICE.address) == 1_000 * E8
    # The vault makes 400: a quarter of it is the leader's.
    desk.order(CAROL, ETH, "sell", "3500", "1")
    order = {"type": "order", "orders": [wire(ETH, "buy", "3500", "1", "Ioc")], "grouping": "na"}
    assert "filled" in ok(desk.act(ALICE, order, vault=address))["data"]["statuses"][0]
    assert "does not exist" in refusal(desk.act(BOB, order, vault=address))
    desk.order(CAROL, ETH, "buy", "3900", "1")
    sell = {"type": "order", "orders": [wire(ETH, "sell", "3900", "1", "Ioc", reduce_only=True)], "grouping": "na"}
    ok(desk.act(ALICE, sell, vault=address))
    value = vault.account.value_e8
    assert 4_390 * E8 < value < 4_400 * E8
    assert vault.equity_e8(BOB.address) == value * 3 // 4
    info = Info(desk.exchange)
    assert info.answer({"type": "userRole", "user": address}) == {"role": "vault"}
    shown = info.answer({"type": "vaultDetails", "vaultAddress": address, "user": BOB.address})
    assert shown["leaderFraction"] == 0.25 and shown["followerState"]["user"] == BOB.address
    assert set(shown["followerState"]) == {
        "user", "vaultEquity", "pnl", "allTimePnl", "daysFollowing", "vaultEntryTime", "lockupUntil",
    }  # fmt: skip
    assert [span for span, _ in shown["portfolio"]][::4] == ["day", "perpDay"] and len(shown["portfolio"]) == 8
    (equity,) = info.answer({"type": "userVaultEquities", "user": BOB.address})
    assert equity["vaultAddress"] == address
    bob = desk.account(BOB).cash_e8
    ok(desk.act(BOB, {**deposit, "isDeposit": False, "usd": 1_000 * 10**6}))
    assert desk.account(BOB).cash_e8 - bob == 1_000 * E8
    too_much = {**deposit, "isDeposit": False, "usd": 9_000 * 10**6}
    assert "Insufficient balance" in refusal(desk.act(BOB, too_much))
    ok(
        desk.act(
            ALICE,
            {"type": "vaultModify", "vaultAddress": address, "allowDeposits": False, "alwaysCloseOnWithdraw": None},
        )
    )
    assert refusal(desk.act(BOB, deposit)) == "Vault is not accepting deposits."
    assert refusal(desk.act(BOB, {"type": "vaultDistribute", "vaultAddress": address, "usd": 0})).startswith(
        "Only leader can perform this vault action"
    )
    ok(desk.act(ALICE, {"type": "vaultDistribute", "vaultAddress": address, "usd": 0}))
    assert vault.account.cash_e8 == 0 and vault.is_closed and not vault.shares
    unknown = {**deposit, "vaultAddress": "0x" + "9" * 40}
    assert refusal(desk.act(BOB, unknown)) == "Vault not registered: 0x" + "9" * 40


def test_every_answer_has_the_shape_of_the_table(desk):
    """The exchange's own answers, held against the types that clients read them by."""
    desk.order(BOB, ETH, "sell", "3500", "1")
    desk.order(ALICE, ETH, "buy", "3500", "2")
    desk.act(ALICE, {"type": "createSubAccount", "name": "one"})
    ok(approve(desk, ALICE, "0.01%"))
    given = {
        "user": ALICE.address,
        "coin": "ETH",
        "startTime": 0,
        "oid": desk.account(ALICE).fills[-1]["oid"],
        "id": 25,
        "builder": CAROL.address,
        "vaultAddress": "0x" + "9" * 40,
        "tokenId": PURR.split(":")[1],
        "source": "",
        "dex": "demo",
        "interval": "1h",
        "outcome": 1,
    }
    desk.exchange.settle_outcome(1, 1)
    desk.exchange.grant(ALICE.address, 150, 100)
    chain = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet", "nonce": START_MS + 999}
    ok(desk.act(ALICE, {"type": "cDeposit", **chain, "wei": 100}, nonce=START_MS + 999))
    twap = {"a": ETH, "b": True, "s": "10", "r": False, "m": 5, "t": False}
    ok(desk.act(ALICE, {"type": "twapOrder", "twap": twap, "details": {"t": {"p": "1", "a": True}, "s": "9000"}}))
    info = Info(desk.exchange)
    for kind in ANSWERS:
        fields = {name: value for name, value in given.items() if name in QUERIES[kind].body.names}
        wrapped = QUERIES[kind].wrapped
        body = {"type": kind, **({wrapped: fields} if wrapped else fields)}
        assert not misfits(info.answer(body), QUERIES[kind].answer), kind
    assert len(ANSWERS) > 58


def test_every_handler_has_a_shape_that_the_verifier_states():
    assert set(HANDLERS) <= set(L1_ACTIONS) | set(USER_ACTIONS)


async def test_an_action_that_is_not_there_is_answered_as_an_unknown_type(floor: Floor) -> None:
    """As the venue answers a type that it does not know: 422, and no nonce is used."""
    client = floor.client()
    for action in ({"type": "claimRewards"}, {"type": "noSuchThing"}):
        async with client.session.post(f"{floor.exchange.http_url}/exchange", json=client.sign(action)) as answer:
            found = answer.status, await answer.text()
        assert found == (422, "Failed to deserialize the JSON body into the target type")
    assert not floor.exchange.engine.accounts[ALICE.address].nonces


async def test_the_client_s_account_actions_against_the_exchange():
    """Every hop is real: typed method, signature, socket, verifier, handler."""
    names = [
        "usdClassTransfer",
        "usdSend",
        "sendAsset",
        "withdraw3",
        "approveAgent",
        "approveBuilderFee",
        "createSubAccount",
        "subAccountTransfer",
        "createVault",
        "agentSendAsset",
    ]
    async with SimExchange(port=0, block_ms=10, traders=False) as exchange:
        async with hlfast.connect(exchange.network, key=FUNDED_ACCOUNTS[0].key, allow=names) as hl:
            a = hl.actions
            await a.usd_class_transfer("5.5", False)
            await a.usd_send(BOB.address, 7)
            await a.send_asset(BOB.address, "", "spot", "USDC", "2.5")
            await a.withdraw(ALICE.address, 50)
            await a.approve_builder_fee("0.01%", CAROL.address)
            await a.approve_agent("0x" + "77" * 20, "bot")
            sub = (await a.create_sub_account("desk"))["data"]
            await a.sub_account_transfer(sub, True, 10**8)
            await a.agent_send_asset(sub, "", "spot", "USDC", 1)
            vault = (await a.create_vault("a vault", "what it is for", 100 * 10**6))["data"]
            with pytest.raises(ConfigError, match="does not sign 'vaultDistribute'"):
                await a.vault_distribute(vault, 0)
            with pytest.raises(VenueReject):
                await a.usd_send(BOB.address, 10**9)
            assert [row["name"] for row in await hl.info.extra_agents(hl.account)] == ["bot"]
            assert (await hl.info.sub_accounts(hl.account))[0]["spotState"]["balances"][0]["total"] == "1.0"
            assert (await hl.info.vault_details(vault))["leader"] == hl.account
            hl.kill("test")
            with pytest.raises(hlfast.errors.OrderDenied, match="kill switch"):
                await a.order(
                    [{"a": "BTC", "b": True, "p": 50000, "s": "0.001", "r": False, "t": {"limit": {"tif": "Gtc"}}}]
                )
        exchange.engine.assert_conserved()
