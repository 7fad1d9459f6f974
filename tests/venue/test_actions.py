"""Actions: every one of the protocol's reference is an entry; what is signed equals other implementations' work."""

from __future__ import annotations

import json
import random
import re

import msgpack
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from hlfast.errors import ConfigError
from hlfast.sim import verify
from hlfast.venues.hyperliquid import multi_sig, sign
from hlfast.venues.hyperliquid.actions import Actions
from hlfast.venues.hyperliquid.endpoints import ACTIONS
from hlfast.venues.hyperliquid.sign import Signer
from hlfast.venues.hyperliquid.user_signed import USER_SIGNED
from hlfast.venues.hyperliquid.wire import canonical, encode_action

from .action_examples import L1, USER, A, B

KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
NONCE = 1_790_000_000_123


def same(got, want):
    return int(got["r"], 16) == int(want["r"], 16) and int(got["s"], 16) == int(want["s"], 16) and got["v"] == want["v"]


class Sent:
    """Actions that go nowhere: what would be signed."""

    def __init__(self, assets=None):
        self.actions = Actions(self._send, (assets or {"BTC": 0, "ETH": 1, 0: 0, 1: 1, 5: 5, 10107: 10107}).__getitem__)
        self.action = None

    async def _send(self, entry, action, nonce):
        self.action = {**action, entry.nonce: NONCE} if entry.nonce else action
        return {"type": "default", "data": None}


@pytest.fixture
def sent():
    return Sent()


def test_every_action_of_the_reference_has_an_entry_and_an_example(shared):
    text = (shared / "reference" / "hyperliquid.md").read_text()
    section = text[text.index("## 2.4") : text.index("## 2.8")]
    named = set(re.findall(r'"type":"(\w+)"', section)) | set(re.findall(r"^\*\*(\w+)\*\*", section, re.M))
    for line in section.splitlines():
        if line.startswith("| `") or line.startswith("| (outer)"):
            named |= set(re.findall(r"`(\w+)`", line.split("|")[1]))
        elif (line.startswith("* `") and " + " in line) or line.startswith("* `finalizeEvm"):
            named |= set(re.findall(r"`(\w+)[`{]", line[:40]))
    named -= {"a", "b", "c", "f", "activate", "trimmed", "expiresAfter", "vaultAddress"}  # not types: fields, emphasis
    assert {name for name in named if name not in ACTIONS} <= {"type", "agentName", "classTransfer", "V"}
    assert len(named & ACTIONS.keys()) > 50
    assert {name for name, _ in L1} | {name for name, _ in USER} | {"multiSig"} == set(ACTIONS)


def shuffled(value, rng):
    """The same with keys in another order; `type` anywhere."""
    if isinstance(value, dict):
        items = list(value.items())
        rng.shuffle(items)
        return {k: shuffled(v, rng) for k, v in items}
    return [shuffled(v, rng) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "action"), L1, ids=[f"{n}-{i}" for i, (n, _) in enumerate(L1)])
def test_an_l1_action_is_hashed_as_msgpack_packs_it_in_the_reference_s_order_and_signed_as_eth_account_does(
    name, action
):
    """Behaviour 58. The examples' order is the reference's; msgpack and eth-account share no code with the signer."""
    ACTIONS[name].check(action)
    rng = random.Random(name)
    freed = {"keywordToValue"}  # a map that the venue does not order
    other = action if freed & set(re.findall(r"\w+", json.dumps(action))) else shuffled(action, rng)
    assert encode_action(other) == msgpack.packb(action)
    hashed = verify.keccak(msgpack.packb(action) + NONCE.to_bytes(8, "big") + b"\x00")
    data = {
        "domain": {"name": "Exchange", "version": "1", "chainId": 1337, "verifyingContract": "0x" + "0" * 40},
        "types": {
            "Agent": [{"name": "source", "type": "string"}, {"name": "connectionId", "type": "bytes32"}],
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
        },
        "primaryType": "Agent",
        "message": {"source": "b", "connectionId": hashed},
    }
    theirs = Account.from_key(KEY).sign_message(encode_typed_data(full_message=data))
    got = Signer(KEY).sign_l1_action(other, NONCE, is_mainnet=False)
    assert same(got, {"r": hex(theirs.r), "s": hex(theirs.s), "v": theirs.v})


@pytest.mark.parametrize(("name", "action"), USER, ids=[name for name, _ in USER])
@pytest.mark.parametrize("mainnet", [True, False])
def test_a_user_signed_action_is_signed_as_hand_made_eip712_says(name, action, mainnet):
    """Behaviour 56: the fields' types as the reference lists them, hashed by the exchange's own keccak."""
    action = {**action, "hyperliquidChain": "Mainnet" if mainnet else "Testnet"}
    ACTIONS[name].check(action)
    got = Signer(KEY).sign_user_action(action, is_mainnet=mainnet)
    primary, fields = USER_SIGNED[name]
    encoded = verify.keccak(f"HyperliquidTransaction:{primary}({','.join(f'{t} {n}' for n, t in fields)})".encode())
    for field, kind in fields:
        value = action[field]
        if kind == "string":
            encoded += verify.keccak(value.encode())
        elif kind == "bytes":
            encoded += verify.keccak(bytes.fromhex(value[2:]))
        elif kind == "address":
            encoded += bytes.fromhex(value[2:]).rjust(32, b"\0")
        else:
            encoded += int(value).to_bytes(32, "big")
    domain = verify._domain("HyperliquidSignTransaction", int(action["signatureChainId"], 16))
    digest = verify.keccak(b"\x19\x01" + domain + verify.keccak(encoded))
    assert verify.recover(digest, got) == Signer(KEY).address


def test_the_table_and_the_exchange_s_verifier_state_the_same_fields():
    """The verifier states its fields by itself, on purpose; here the two statements are compared."""
    for name, action in L1:
        if name in verify.L1_ACTIONS:
            read = verify.L1_ACTIONS[name](shuffled(action, random.Random(1)))
            assert msgpack.packb(read) == msgpack.packb(action), name
    for name, stated in verify.USER_ACTIONS.items():
        assert USER_SIGNED[name] == stated, name
    assert set(verify.L1_ACTIONS) <= set(ACTIONS)


def test_the_primary_types_and_fields_are_the_reference_s(shared):
    """Section 2.4: name, primary type and EIP-712 fields of each user-signed action."""
    text = (shared / "reference" / "hyperliquid.md").read_text()
    seen = 0
    for line in text[text.index("## 2.4") : text.index("## 2.5")].splitlines():
        found = re.match(r"\| `(\w+)` \| `(\w+)`[^|]*\| ([^|]+)\|", line)
        if found:
            fields = tuple(tuple(each.replace("*", "").split()) for each in found[3].split(", "))
            assert USER_SIGNED[found[1]] == (found[2], fields)
            seen += 1
    assert seen >= 17


# -- the official SDK ---------------------------------------------------------------------------------------------------
SDK = [
    (lambda x: x.schedule_cancel(5), lambda a: a.schedule_cancel(5)),
    (lambda x: x.schedule_cancel(None), lambda a: a.schedule_cancel()),
    (lambda x: x.update_leverage(7, "ETH", False), lambda a: a.update_leverage("ETH", 7, cross=False)),
    (lambda x: x.update_isolated_margin(1.5, "ETH"), lambda a: a.update_isolated_margin("ETH", 1_500_000)),
    (lambda x: x.set_referrer("ABC"), lambda a: a.set_referrer("ABC")),
    (lambda x: x.create_sub_account("desk"), lambda a: a.create_sub_account("desk")),
    (lambda x: x.usd_class_transfer(1.5, True), lambda a: a.usd_class_transfer("1.5", True)),
    (lambda x: x.send_asset(A, "", "spot", "USDC", 1.5), lambda a: a.send_asset(A, "", "spot", "USDC", 1.5)),
    (lambda x: x.sub_account_transfer(A, True, 10), lambda a: a.sub_account_transfer(A, True, 10)),
    (
        lambda x: x.sub_account_spot_transfer(A, False, "PURR:0xc1", 1.25),
        lambda a: a.sub_account_spot_transfer(A, False, "PURR:0xc1", 1.25),
    ),
    (lambda x: x.vault_usd_transfer(A, True, 10), lambda a: a.vault_transfer(A, True, 10)),
    (lambda x: x.usd_transfer(1.5, A), lambda a: a.usd_send(A, 1.5)),
    (lambda x: x.spot_transfer(1.5, A, "PURR:0xc1"), lambda a: a.spot_send(A, "PURR:0xc1", 1.5)),
    (lambda x: x.token_delegate(A, 10, False), lambda a: a.token_delegate(A, 10, False)),
    (lambda x: x.withdraw_from_bridge(1.5, A), lambda a: a.withdraw(A, 1.5)),
    (lambda x: x.approve_builder_fee(A, "0.001%"), lambda a: a.approve_builder_fee("0.001%", A)),
    (
        lambda x: x.convert_to_multi_sig_user([B, A], 1),
        lambda a: a.convert_to_multi_sig_user({"authorizedUsers": [B, A], "threshold": 1}),
    ),
    (lambda x: x.spot_deploy_enable_quote_token(3), lambda a: a.spot_deploy(enable_quote_token={"token": 3})),
    (
        lambda x: x.spot_deploy_freeze_user(3, A, True),
        lambda a: a.spot_deploy(freeze_user={"token": 3, "user": A, "freeze": True}),
    ),
    (
        lambda x: x.spot_deploy_genesis(3, "100", True),
        lambda a: a.spot_deploy(genesis={"token": 3, "maxSupply": "100", "noHyperliquidity": True}),
    ),
    (lambda x: x.spot_deploy_register_spot(3, 0), lambda a: a.spot_deploy(register_spot={"tokens": [3, 0]})),
    (
        lambda x: x.spot_deploy_set_deployer_trading_fee_share(3, "100%"),
        lambda a: a.spot_deploy(set_deployer_trading_fee_share={"token": 3, "share": "100%"}),
    ),
    (lambda x: x.c_signer_jail_self(), lambda a: a.c_signer_action(jail_self=True)),
    (lambda x: x.c_signer_unjail_self(), lambda a: a.c_signer_action(unjail_self=True)),
    (lambda x: x.c_validator_unregister(), lambda a: a.c_validator_action(unregister=True)),
    (lambda x: x.use_big_blocks(True), lambda a: a.evm_user_modify(True)),
    (lambda x: x.agent_enable_dex_abstraction(), lambda a: a.agent_enable_dex_abstraction()),
    (lambda x: x.agent_set_abstraction("u"), lambda a: a.agent_set_abstraction("u")),
    (lambda x: x.user_dex_abstraction(A, True), lambda a: a.user_dex_abstraction(A, True)),
    (lambda x: x.user_set_abstraction(A, "disabled"), lambda a: a.user_set_abstraction(A, "disabled")),
    (lambda x: x.noop(NONCE), lambda a: a.noop()),
    (lambda x: x.gossip_priority_bid(1, "1.2.3.4", 10), lambda a: a.gossip_priority_bid(1, "1.2.3.4", 10)),
]


@pytest.mark.parametrize(("theirs", "ours"), SDK)
@pytest.mark.parametrize("mainnet", [True, False])
async def test_an_action_and_its_signature_equal_the_official_sdk_s(sent, theirs, ours, mainnet, monkeypatch):
    exchange = pytest.importorskip("hyperliquid.exchange", reason="official SDK not installed")
    posted = []
    sdk = exchange.Exchange.__new__(exchange.Exchange)
    sdk.wallet, sdk.vault_address, sdk.account_address, sdk.expires_after = Account.from_key(KEY), None, None, None
    sdk.base_url = exchange.MAINNET_API_URL if mainnet else "http://other"
    sdk.info = type("Names", (), {"name_to_asset": staticmethod({"ETH": 1}.get)})
    sdk._post_action = lambda action, signature, nonce: posted.append((action, signature))
    monkeypatch.setattr(exchange, "get_timestamp_ms", lambda: NONCE)
    theirs(sdk)
    ((action, signature),) = posted
    await ours(sent.actions)
    mine = sent.action
    signer = Signer(KEY)
    if mine["type"] in USER_SIGNED:
        got = signer.sign_user_action(mine, is_mainnet=mainnet)
        extra = {k: v for k, v in action.items() if k not in mine}
        assert {**mine, **extra} == action and set(extra) <= {"signatureChainId", "hyperliquidChain"}
    else:
        got = signer.sign_l1_action(mine, NONCE, is_mainnet=mainnet)
        assert mine == action and list(mine) == list(action)
    assert same(got, signature)


def test_multi_sig_equals_the_published_vectors(shared):
    seen = 0
    for v in json.loads((shared / "fixtures" / "signing_vectors.json").read_text())["vectors"]:
        if v["kind"] != "multisig":
            continue
        given, expected = v["input"], v["expected"]
        signer, user, whole = Signer(given["private_keys"][0]), given["multiSigUser"], expected["wrapper_action"]
        action, types = given["action"], given.get("types")
        nonce = given.get("nonce") or action["time"]
        inner = {**action, "type": "usdSend"} if types else action
        member = multi_sig.sign_for_multi_sig(signer, inner, user, signer.address, nonce, is_mainnet=True)
        assert member == whole["signatures"][0]
        if types is None:
            fields = multi_sig.multi_sig_fields(action, user, signer.address, [member], is_mainnet=True)
            assert {"type": "multiSig", **fields} == whole
        hashed = sign.action_hash({k: w for k, w in whole.items() if k != "type"}, nonce)
        assert "0x" + hashed.hex() == v["derived"]["multiSigActionHash"]
        assert same(multi_sig.sign_outer(signer, whole, nonce, is_mainnet=True), expected["signature"])
        seen += 1
    assert seen == 2


def test_multi_sig_equals_the_official_sdk():
    sdk = pytest.importorskip("hyperliquid.utils.signing", reason="official SDK not installed")
    wallet, signer = Account.from_key(KEY), Signer(KEY)
    send = {
        "type": "usdSend",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "destination": B,
        "amount": "1",
        "time": NONCE,
    }
    order = dict(L1)["order"]
    l1 = sdk.sign_multi_sig_l1_action_payload(wallet, order, False, None, NONCE, None, A, wallet.address)
    assert multi_sig.sign_for_multi_sig(signer, order, A, wallet.address, NONCE, is_mainnet=False) == l1
    user = sdk.sign_multi_sig_user_signed_action_payload(
        wallet, send, False, sdk.USD_SEND_SIGN_TYPES, "HyperliquidTransaction:UsdSend", A, wallet.address.lower()
    )
    assert multi_sig.sign_for_multi_sig(signer, send, A, wallet.address, NONCE, is_mainnet=False) == user
    for action, signature in ((order, l1), (send, user)):
        whole = {
            "type": "multiSig",
            **multi_sig.multi_sig_fields(action, A, wallet.address, [signature], is_mainnet=False),
        }
        theirs = sdk.sign_multi_sig_action(wallet, whole, False, None, NONCE, None)
        assert multi_sig.sign_outer(signer, whole, NONCE, is_mainnet=False) == theirs


def test_a_signer_signs_for_a_multi_sig_user_only_what_it_signs_alone():
    """L127."""
    signer = Signer(KEY, allow=["noop", "multiSig"])
    assert multi_sig.sign_for_multi_sig(signer, {"type": "noop"}, A, B, 1, is_mainnet=False)
    with pytest.raises(ConfigError, match="nor for a multi-sig user"):
        multi_sig.sign_for_multi_sig(
            signer, {"type": "vaultDistribute", "vaultAddress": A, "usd": 0}, A, B, 1, is_mainnet=False
        )


# -- what is refused before anything is signed --------------------------------------------------------------------------
ORDER = {"a": 0, "b": True, "p": "100", "s": "1", "r": False, "t": {"limit": {"tif": "Gtc"}}}


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ({"type": "ordr"}, "did you mean 'order'"),
        ({}, "there is no action None"),
        ({"type": "updateLeverage", "asset": 0, "isCross": True}, "lacks 'leverage'"),
        ({"type": "updateLeverage", "asset": 0, "iscross": True, "leverage": 5}, "did you mean 'isCross'"),
        ({"type": "updateLeverage", "isCross": True, "asset": 0, "leverage": 5}, "asset, isCross, leverage: put them so"),
        ({"type": "updateLeverage", "asset": 99, "isCross": True, "leverage": 5}, "99"),
        ({"type": "updateLeverage", "asset": "BTC", "isCross": True, "leverage": 5}, "an asset id"),
        ({"type": "order", "orders": [{**ORDER, "p": "100.0"}], "grouping": "na"}, "'100' (no trailing zeros"),
        ({"type": "order", "orders": [{**ORDER, "p": 100.0}], "grouping": "na"}, "float_to_wire"),
        ({"type": "order", "orders": [{**ORDER, "t": {"limit": {"tif": "gtc"}}}], "grouping": "na"}, "did you mean 'Gtc'"),
        ({"type": "order", "orders": [{**ORDER, "t": {}}], "grouping": "na"}, "exactly one of limit, trigger"),
        ({"type": "order", "orders": [{**ORDER, "c": None}], "grouping": "na"}, "leave it out"),
        ({"type": "order", "orders": [dict(reversed(ORDER.items()))], "grouping": "na"}, "put them so"),
        ({"type": "order", "orders": [], "grouping": "na"}, "1 to 200"),
        ({"type": "cancel", "cancels": [{"a": 0, "o": 1}], "f": False}, "left out"),
        ({"type": "scheduleCancel", "time": None}, "leave it out"),
        ({"type": "subAccountTransfer", "subAccountUser": A.upper().replace("0X", "0x"), "isDeposit": True, "usd": 1}, "lower case"),
        ({"type": "usdSend", "destination": A, "amount": "1", "time": 5}, "leave it out"),
        ({"type": "userOutcome"}, "exactly one of"),
        ({"type": "CSignerAction", "jailSelf": True}, "null"),
    ],
)  # fmt: skip
async def test_a_malformed_action_is_named_and_nothing_is_sent(sent, action, says):
    with pytest.raises((ConfigError, KeyError), match=re.escape(says)):
        await sent.actions.send(action)
    assert sent.action is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda a: a.update_leverage("BTC", 0), "from 1"),
        (lambda a: a.update_leverage("BTC", levrage=5), "did you mean 'leverage'"),
        (lambda a: a.update_leverage("BTC"), "lacks 'leverage'"),
        (lambda a: a.order([{**ORDER, "size": 1}]), "no field 'size'"),
        (lambda a: a.order([{**ORDER, "p": float("nan")}]), "nan"),
        (lambda a: a.order([{**ORDER, "p": "1e400"}]), "1e30"),
        (lambda a: a.order([{**ORDER, "p": "-1"}]), "at least 0"),
        (lambda a: a.order([ORDER], "normalTPSL"), "did you mean 'normalTpsl'"),
        (lambda a: a.order([ORDER], builder={"b": A, "f": 1001}), "0 to 1000"),
        (lambda a: a.usd_send("bob", 1), "40 hex digits"),
        (lambda a: a.spot_deploy(), "exactly one of"),
        (lambda a: a.spot_deploy(enable_quote_token={"token": 1}, disable_quote_token={"token": 1}), "exactly one of"),
        (lambda a: a.convert_to_multi_sig_user({"authorizedUsers": [A], "threshold": 2}), "threshold"),
        (lambda a: a.create_vault("ab", "a description", 10**9), "3 to 50"),
        (lambda a: a.gossip_priority_bid(2, "1.2.3.4", 1), "0 to 1"),
    ],
)
async def test_a_wrong_argument_is_named_and_nothing_is_sent(sent, call, says):
    with pytest.raises((ConfigError, ValueError), match=re.escape(says)):
        await call(sent.actions)
    assert sent.action is None


async def test_arguments_become_what_the_venue_hashes(sent):
    a = sent.actions
    bracket = [
        {**ORDER, "a": "BTC", "p": 60000.0, "s": 0.01},
        {**ORDER, "b": False, "r": True, "t": {"trigger": {"tpsl": "tp", "triggerPx": 65000, "isMarket": True}}},
        {**ORDER, "b": False, "r": True, "t": {"trigger": {"tpsl": "sl", "triggerPx": "55000.50", "isMarket": False}}},
    ]
    await a.order(bracket, grouping="normalTpsl", builder={"f": 10, "b": A.upper().replace("0X", "0x")})
    assert list(sent.action) == ["type", "orders", "grouping", "builder"]
    assert sent.action["orders"][0]["p"] == "60000" and sent.action["orders"][0]["a"] == 0
    assert list(sent.action["orders"][1]["t"]["trigger"].items()) == [
        ("isMarket", True),
        ("triggerPx", "65000"),
        ("tpsl", "tp"),
    ]
    assert sent.action["orders"][2]["t"]["trigger"]["triggerPx"] == "55000.5"
    assert list(sent.action["builder"].items()) == [("b", A), ("f", 10)]
    assert canonical(sent.action) == sent.action
    await a.order([ORDER], grouping={"p": 80000})
    assert sent.action["grouping"] == {"p": 80000}
    await a.cancel([{"a": "ETH", "o": 7}], fast=True)
    assert sent.action == {"type": "cancel", "cancels": [{"a": 1, "o": 7}], "f": True}
    await a.cancel([{"a": "ETH", "o": 7}], fast=False)
    assert sent.action == {"type": "cancel", "cancels": [{"a": 1, "o": 7}]}
    await a.create_vault("a vault", "what it is for", 100_000_000)
    assert list(sent.action)[-1] == "nonce" and sent.action["nonce"] == NONCE
    await a.perp_deploy(set_funding_multipliers=[["x:B", "1.50"], ["x:A", 2]])
    assert sent.action == {"type": "perpDeploy", "setFundingMultipliers": [["x:A", "2"], ["x:B", "1.5"]]}
    await a.borrow_lend("supply", 0, None)
    assert sent.action["amount"] is None
