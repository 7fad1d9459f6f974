"""Signatures: what the official SDK signs is recovered; whatever differs by one byte recovers somebody else."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import eth_account
import pytest
from hyperliquid.utils import signing

from hlfast.sim.keys import FUNDED_ACCOUNTS
from hlfast.sim.shapes import Malformed
from hlfast.sim.verify import L1_ACTIONS, USER_ACTIONS, action_hash, agent_digest, recover, user_digest, verify

from .desk import ALICE, SUB_ACCOUNT, wire

ORDER = {"type": "order", "orders": [wire(0, "buy", "65000", "0.01")], "grouping": "na"}
NONCE = 1_785_000_000_123


def signed(action: dict[str, Any], /, **changes: Any) -> dict[str, Any]:
    """A body as the official SDK makes it; `changes` are to the envelope after signing."""
    vault, expires = changes.pop("sign_vault", None), changes.pop("sign_expires", None)
    wallet = eth_account.Account.from_key(ALICE.key)
    signature = signing.sign_l1_action(wallet, action, vault, NONCE, expires, changes.pop("mainnet", False))
    body = {"action": action, "nonce": NONCE, "signature": signature, "vaultAddress": vault, "expiresAfter": expires}
    return {**body, **changes}


def test_the_test_accounts_are_the_well_known_ones() -> None:
    assert [account.address for account in FUNDED_ACCOUNTS[:3]] == [
        "0x14791697260e4c9a71f18484c9f997b308e59325",
        "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
        "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    ]
    for account in FUNDED_ACCOUNTS:
        assert account.address == eth_account.Account.from_key(account.key).address.lower()


def test_a_known_order_has_the_published_hash_and_digest() -> None:
    """Every stage of a published worked example (testnet, no vault, no expiry)."""
    action = {"type": "order", "orders": [wire(0, "buy", "50000", "0.1")], "grouping": "na"}
    connection_id = action_hash(L1_ACTIONS["order"](action), 1640995200000, None, None)
    assert connection_id.hex() == "207b9fb52defb524f5a7f1c80f069ff8b58556b018532401de0e1342bcb13b40"
    assert agent_digest(connection_id, "b").hex() == "5242f54e0c01d3e7ef449f91b25c1a27802fdd221f7f24bc211da6bf7b847d8d"


@pytest.mark.parametrize("vault", [None, SUB_ACCOUNT])
@pytest.mark.parametrize("expires", [None, NONCE + 15_000])
def test_the_sdks_signature_names_its_signer(vault: str | None, expires: int | None) -> None:
    """Vault and expiry are in the hash: taking either away afterwards names somebody else."""
    body = signed(ORDER, sign_vault=vault, sign_expires=expires)
    found = verify(body)
    assert (found.signer, found.vault, found.expires_after) == (ALICE.address, vault, expires)
    if vault:
        assert verify({**body, "vaultAddress": None}).signer != ALICE.address
    if expires:
        assert verify({**body, "expiresAfter": expires + 1}).signer != ALICE.address


def test_random_actions_of_every_trading_kind_verify() -> None:
    draw = random.Random(3)
    for number in range(60):
        orders = [
            wire(
                draw.choice((0, 5, 10_107)),
                draw.choice(("buy", "sell")),
                signing.float_to_wire(round(draw.uniform(0.01, 99_999), draw.randint(0, 6))),
                signing.float_to_wire(round(draw.uniform(0.01, 9_999), draw.randint(0, 5))),
                draw.choice(("Gtc", "Ioc", "Alo")),
                reduce_only=draw.random() < 0.5,
                cloid=f"0x{draw.getrandbits(128):032x}" if draw.random() < 0.5 else None,
            )
            for _ in range(draw.choice((1, 2, 17)))
        ]
        oid = draw.choice((1, 2**32 - 1, 2**32, 556_696_349_186))
        trigger = {"trigger": {"isMarket": draw.random() < 0.5, "triggerPx": "3000", "tpsl": draw.choice(("tp", "sl"))}}
        stop = {**wire(1, "sell", "2900", "1", reduce_only=True), "t": trigger}
        builder = {"b": "0x" + "ab" * 20, "f": draw.randint(1, 100)}
        actions: list[dict[str, Any]] = [
            {"type": "order", "orders": [orders[0], stop], "grouping": "normalTpsl", "builder": builder},
            {"type": "order", "orders": orders[:1], "grouping": {"p": draw.randint(1, 80_000)}},
            {"type": "batchModify", "modifies": [{"oid": f"0x{oid:032x}", "order": orders[0]}], "a": True},
            {"type": "modify", "oid": oid, "order": orders[0]},
            {"type": "order", "orders": orders, "grouping": "na"},
            {"type": "cancel", "cancels": [{"a": 0, "o": oid}]},
            {"type": "cancelByCloid", "cancels": [{"asset": 1, "cloid": f"0x{draw.getrandbits(128):032x}"}]},
            {"type": "batchModify", "modifies": [{"oid": oid, "order": orders[0]}]},
            {"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": draw.randint(1, 50)},
            {"type": "scheduleCancel", "time": NONCE + number},
        ]
        for action in actions:
            assert verify(signed(action)).signer == ALICE.address


def test_a_wrong_byte_anywhere_names_an_address_that_changes_with_every_input() -> None:
    """The symptom that the venue shows for a bad signature: some other, ever changing address."""
    seen = {ALICE.address}
    for change in (
        {"p": "65001"},
        {"s": "0.011"},
        {"b": False},
        {"a": 1},
        {"r": True},
        {"t": {"limit": {"tif": "Alo"}}},
        {"c": "0x" + "1" * 32},
    ):
        body = signed(ORDER)
        body["action"] = copy.deepcopy(ORDER)
        body["action"]["orders"][0].update(change)
        signer = verify(body).signer
        assert signer is not None and signer not in seen
        seen.add(signer)
    assert verify(signed(ORDER, nonce=NONCE + 1)).signer not in seen


def test_the_order_of_json_keys_does_not_matter_but_the_order_that_was_hashed_does() -> None:
    body = signed(ORDER)
    shuffled = {"grouping": "na", "orders": [dict(reversed(ORDER["orders"][0].items()))], "type": "order"}
    assert verify({**body, "action": shuffled}).signer == ALICE.address
    assert verify(signed(shuffled)).signer != ALICE.address


def test_trailing_zeros_and_explicit_defaults_were_not_what_the_venue_hashes() -> None:
    """Reference 2.1: signed as "65000.0", with `f:false` or with an upper-case address, the signer is a stranger."""
    zeros = {"type": "order", "orders": [wire(0, "buy", "65000.0", "0.01")], "grouping": "na"}
    assert verify(signed(zeros)).signer != ALICE.address
    assert verify({**signed(ORDER), "action": zeros}).signer == ALICE.address, "the number is the same"
    cancel = {"type": "cancel", "cancels": [{"a": 0, "o": 5}]}
    assert verify(signed({**cancel, "f": True})).signer == ALICE.address
    assert verify(signed({**cancel, "f": False})).signer != ALICE.address
    upper = {**ORDER, "builder": {"b": "0x" + "AB" * 20, "f": 1}}
    assert verify(signed(upper)).signer != ALICE.address


def test_a_mainnet_signature_is_recognised_as_one() -> None:
    found = verify(signed(ORDER, mainnet=True))
    assert found.signer != ALICE.address
    assert found.as_mainnet() == ALICE.address


def test_unpadded_r_and_s_are_read_and_impossible_ones_recover_nobody() -> None:
    found = 0
    for nonce in range(NONCE, NONCE + 400):  # some r or s starts with a zero digit sooner or later
        signature = signing.sign_l1_action(eth_account.Account.from_key(ALICE.key), ORDER, None, nonce, None, False)
        if min(len(signature["r"]), len(signature["s"])) < 66:
            found += 1
            body = {"action": ORDER, "nonce": nonce, "signature": signature}
            assert verify(body).signer == ALICE.address
            if found == 2:
                break
    assert found == 2
    for bad in ({"r": "0x0", "s": "0x0"}, {"r": "0x" + "f" * 64}, {"v": 29}, {"v": 0}, {"r": "zz"}, {"s": "0x"}):
        signature = {**signed(ORDER)["signature"], **bad}
        assert verify(signed(ORDER, signature=signature)).signer is None


USER_SIGNED = {
    "usdClassTransfer": (signing.sign_usd_class_transfer_action, {"amount": "1.5", "toPerp": True, "nonce": NONCE}),
    "usdSend": (signing.sign_usd_transfer_action, {"destination": "0xABcd", "amount": "1", "time": NONCE}),
    "spotSend": (
        signing.sign_spot_transfer_action,
        {"destination": "0xabcd", "token": "PURR:0xc1", "amount": "1", "time": NONCE},
    ),
    "withdraw3": (
        signing.sign_withdraw_from_bridge_action,
        {"destination": "0xabcd", "amount": "1", "time": NONCE},
    ),
    "sendAsset": (
        signing.sign_send_asset_action,
        {
            "destination": "0xab",
            "sourceDex": "",
            "destinationDex": "spot",
            "token": "USDC",
            "amount": "1",
            "fromSubAccount": "",
            "nonce": NONCE,
        },
    ),
    "approveAgent": (signing.sign_agent, {"agentAddress": "0x" + "Ab" * 20, "agentName": "bot", "nonce": NONCE}),
    "approveBuilderFee": (
        signing.sign_approve_builder_fee,
        {"maxFeeRate": "0.001%", "builder": "0x" + "ab" * 20, "nonce": NONCE},
    ),
    "tokenDelegate": (
        signing.sign_token_delegate_action,
        {"validator": "0x" + "ab" * 20, "wei": 10, "isUndelegate": False, "nonce": NONCE},
    ),
}


@pytest.mark.parametrize("kind", USER_SIGNED)
@pytest.mark.parametrize("mainnet", [False, True])
def test_user_signed_actions_are_recovered_with_hand_made_eip712(kind: str, mainnet: bool) -> None:
    """The SDK signs through eth-account; here no eth-account takes part."""
    sign, fields = USER_SIGNED[kind]
    action = {"type": kind, **fields}
    signature = sign(eth_account.Account.from_key(ALICE.key), action, mainnet)
    found = verify({"action": action, "nonce": NONCE, "signature": signature})
    assert found.is_user_signed and found.signer == ALICE.address
    assert found.as_mainnet() == (ALICE.address if mainnet else None)
    other = {**action, next(iter(fields)): "0x" + "11" * 20}
    assert verify({"action": other, "nonce": NONCE, "signature": signature}).signer != ALICE.address


def test_an_unnamed_agent_is_signed_with_an_empty_name_that_the_body_leaves_out() -> None:
    action = {"type": "approveAgent", "agentAddress": "0x" + "ab" * 20, "agentName": "", "nonce": NONCE}
    signature = signing.sign_agent(eth_account.Account.from_key(ALICE.key), action, False)
    del action["agentName"]
    assert verify({"action": action, "nonce": NONCE, "signature": signature}).signer == ALICE.address


MALFORMED: list[Any] = [
    None,
    [],
    "text",
    {},
    {"action": ORDER, "nonce": NONCE},
    signed(ORDER, nonce="1"),
    signed(ORDER, nonce=-1),
    signed(ORDER, nonce=1.5),
    signed(ORDER, action={"type": "unheardOf"}),
    signed(ORDER, action=[]),
    signed(ORDER, action={**ORDER, "grouping": "some"}),
    signed(ORDER, action={**ORDER, "orders": {}}),
    signed(ORDER, action={**ORDER, "orders": [{**wire(0, "buy", "1", "1"), "p": 1}]}),
    signed(ORDER, action={**ORDER, "orders": [{**wire(0, "buy", "1", "1"), "t": {"limit": {"tif": "Fok"}}}]}),
    signed(ORDER, action={**ORDER, "orders": [{**wire(0, "buy", "1", "1"), "t": {}}]}),
    signed(ORDER, action={"type": "cancel", "cancels": [{"a": 0}]}),
    signed(ORDER, vaultAddress="0x12"),
    signed(ORDER, expiresAfter="soon"),
    signed(ORDER, signature={"r": 1, "s": 2, "v": 27}),
    signed(ORDER, action={"type": "usdSend", "signatureChainId": "66eee", "hyperliquidChain": "Testnet"}),
    signed(
        ORDER,
        action={
            "type": "usdClassTransfer",
            "signatureChainId": "0x66eee",
            "hyperliquidChain": "Moon",
            "amount": "1",
            "toPerp": True,
            "nonce": 1,
        },
    ),
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_what_does_not_have_the_shape_of_a_request_is_malformed(body: Any) -> None:
    with pytest.raises(Malformed):
        verify(body)


def test_every_published_vector_recovers_to_its_signer(shared: Path) -> None:
    """All recorded L1 and user-signed vectors of the kinds that this table knows, both networks.

    The few that hash a price as "2000.0" name a stranger here, as on the venue, which hashes "2000".
    """
    counted = 0
    for name in ("signing_vectors.json", "signing_vectors_derived.json"):
        for vector in json.loads((shared / "fixtures" / name).read_text())["vectors"]:
            kind, given, expected = vector["kind"], vector["input"], vector["expected"]
            if kind in ("l1_sign", "l1_recover"):
                if given["action"]["type"] not in L1_ACTIONS or "r" not in {**expected, **given.get("signature", {})}:
                    continue
                vault = given["vaultAddress"] and given["vaultAddress"].lower()
                canonical = L1_ACTIONS[given["action"]["type"]](given["action"])
                digest = agent_digest(
                    action_hash(canonical, given["nonce"], vault, given["expiresAfter"]),
                    "a" if given["network"] == "mainnet" else "b",
                )
                signature = given.get("signature", expected)
            elif kind in ("user_signed", "user_recover"):
                short = given["types"]["primaryType"].partition(":")[2]
                named = next((known for known, (primary, _) in USER_ACTIONS.items() if primary == short), None)
                if named is None:
                    continue
                digest = user_digest(named, given["message"])
                signature = given.get("signature", expected)
            else:
                continue
            wanted = expected.get("signer") or vector.get("derived", {}).get("signer")
            if wanted is None:
                wanted = eth_account.Account.from_key(given["private_key"]).address
            as_given = kind.startswith("user") or canonical == given["action"]
            assert (recover(digest, signature) == wanted.lower()) is as_given, vector["id"]
            counted += 1
    assert counted >= 40
