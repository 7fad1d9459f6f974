"""The drop-in beside the official SDK on random calls: what is signed and posted, hashes, numbers, exceptions."""

from __future__ import annotations

import copy
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from hlfast.sim import FUNDED_ACCOUNTS

from .calls import CALLS, LIKELY, MAINNET, TESTNET, exchange_of, outcome

VAULT = "0x" + "3c" * 20
WITH_VAULT_DIFFERENT = {  # S29: the SDK posts a vault that it has not signed
    "set_referrer", "create_sub_account", "sub_account_transfer", "sub_account_spot_transfer", "vault_usd_transfer",
    "use_big_blocks", "multi_sig", "usd_transfer", "spot_transfer", "withdraw_from_bridge", "token_delegate", "approve_agent",
    "approve_builder_fee", "convert_to_multi_sig_user", "user_dex_abstraction", "user_set_abstraction",
}  # fmt: skip
USER_SIGNED = {
    "usd_transfer", "spot_transfer", "withdraw_from_bridge", "usd_class_transfer", "send_asset", "token_delegate",
    "approve_agent", "approve_builder_fee", "convert_to_multi_sig_user", "user_dex_abstraction", "user_set_abstraction",
}  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


def without_vault(posted: Any) -> Any:
    return [[path, [(k, v) for k, v in body if k != "vaultAddress"]] for path, body in posted]


def compared(sdk: Any, ours: Any, calls: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Make `calls` random calls on both sides. Returns how often each method was compared."""
    from eth_account import Account

    rng, clock, made = random.Random(seed), Clock(), Counter[str]()
    wallet = Account.from_key(FUNDED_ACCOUNTS[0].key)
    theirs, mine = sdk("exchange"), ours("exchange")
    for module in (theirs, mine):
        monkeypatch.setattr(module, "get_timestamp_ms", clock)
        # an agent's key is drawn: both sides draw the same
        monkeypatch.setattr(module.secrets, "token_hex", lambda n: f"{clock.ms:0{2 * n}x}")
    pairs = [
        (exchange_of(theirs, wallet, url, vault), exchange_of(mine, wallet, url, vault))
        for url in (MAINNET, TESTNET)
        for vault in (None, VAULT)
    ]
    names = list(CALLS)
    for _ in range(calls):
        clock.ms += rng.randint(1, 1000)
        pair = rng.choice(pairs)
        name = rng.choice(LIKELY) if rng.random() < 0.5 else rng.choice(names)
        expiry = rng.choice((None, None, clock.ms + 5000)) if name not in USER_SIGNED else None
        state, results = rng.getstate(), []
        for exchange, types in zip(pair, (sdk("utils.types"), ours("utils.types")), strict=True):
            rng.setstate(state)
            args, named = CALLS[name](rng, types)
            exchange.set_expires_after(expiry)
            results.append(outcome(exchange, name, args, named))
        if pair[0].vault_address and (
            name in WITH_VAULT_DIFFERENT or name.startswith(("spot_deploy", "perp_deploy", "c_"))
        ):
            results = [(result, without_vault(posted)) for result, posted in results]
        assert results[0] == results[1], (name, args, named)
        made[name] += 1
    return made


def test_random_calls_sign_and_post_the_same(sdk, ours, monkeypatch):
    """sdk_dropin 12.2, L67: r, s, v and body of every method, both networks, vault and expiry on and off."""
    made = compared(sdk, ours, 1_500, 1, monkeypatch)
    assert set(made) == set(CALLS)


@pytest.mark.long
def test_a_hundred_thousand_random_calls_sign_and_post_the_same(sdk, ours, monkeypatch):
    """sdk_dropin 12.2."""
    made = compared(sdk, ours, 100_000, 2, monkeypatch)
    assert sum(made.values()) == 100_000


def test_every_signed_method_is_among_the_calls(sdk):
    """A method that the comparison does not know would not be compared."""
    exchange = sdk("exchange").Exchange
    not_signed = {"set_expires_after", "post", "spot_deploy_token_action_inner", "c_signer_inner"}
    methods = {name for name in dir(exchange) if not name.startswith("_") and callable(getattr(exchange, name))}
    assert methods - not_signed - set(CALLS) == set()


def result_of(call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception as error:
        return type(error), repr(error.args)


def numbers(rng: random.Random) -> Any:
    return rng.choice(
        (
            lambda: rng.uniform(-1e6, 1e6),
            lambda: round(rng.uniform(0, 1e6), rng.randint(0, 9)),
            lambda: rng.randint(-(2**50), 2**50),
            lambda: rng.uniform(-1, 1) * 10 ** rng.randint(-14, 25),
            lambda: rng.randint(0, 2**53) / 1e8,
            lambda: rng.randint(0, 10**6) / 1e3 + rng.choice((1e-12, -1e-12, 9e-13, 5e-9)),
            lambda: rng.choice((0.0, 1e15, 1e16, 1e22, 1e300, 0.1 + 0.2, True, 1e-8, 1.1e-8, 999999999999.99999)),
        )
    )()


def test_numbers_go_to_the_wire_as_the_sdk_writes_them(sdk, ours):
    """sdk_dropin 12.2: `float_to_wire` and the scaled integers, with their exceptions."""
    theirs, mine, rng = sdk("utils.signing"), ours("utils.signing"), random.Random(3)
    for _ in range(20_000):
        x = numbers(rng)
        if theirs.float_to_wire(0.0) and not (isinstance(x, float) and x == 0 and str(x) == "-0.0"):
            expected = result_of(theirs.float_to_wire, x)
            assert result_of(mine.float_to_wire, x) == ("0" if expected == "-0" else expected), x
        for name in ("float_to_int_for_hashing", "float_to_usd_int"):
            assert result_of(getattr(mine, name), x) == result_of(getattr(theirs, name), x), (name, x)


def structure(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randint(0, 8 if depth < 3 else 5)
    if kind == 0:
        return rng.choice((True, False, None))
    if kind == 1:
        return rng.choice((rng.randint(-(2**63), 2**64 - 1), rng.randint(-200, 70_000)))
    if kind == 2:
        return rng.uniform(-10, 10)
    if kind == 3:
        return rng.randbytes(rng.choice((0, 5, 40, 300)))
    if kind <= 5:
        return "".join(rng.choice("aß€😀0x") for _ in range(rng.choice((0, 3, 31, 32, 70, 300))))
    if kind == 6:
        return [structure(rng, depth + 1) for _ in range(rng.choice((0, 2, 15, 16, 20)))]
    if kind == 7:
        return tuple(structure(rng, depth + 1) for _ in range(3))
    return {f"k{i}": structure(rng, depth + 1) for i in range(rng.choice((0, 1, 5, 16)))}


ODD = (
    ({"a": 1}, "0x12", 1, None),
    ({"a": 1}, "zz", 1, None),
    ({"a": 1}, VAULT[2:], 1, None),
    ({"a": 1}, None, -1, None),
    ({"a": 1}, None, "1", None),
    ({"a": 1}, None, 2**64, None),
    ({"a": 1}, None, 1, -1),
    ({"a": Decimal(1)}, None, 1, None),
    ({"a": 2**64}, None, 1, None),
    ({"a": object}, None, 1, None),
)


def test_hashes_are_the_sdks_for_any_structure_and_so_are_their_errors(sdk, ours):
    """sdk_dropin 6, 12.2: the packer keeps the order of keys and packs as msgpack does."""
    theirs, mine, rng = sdk("utils.signing").action_hash, ours("utils.signing").action_hash, random.Random(4)
    for _ in range(3_000):
        call = structure(rng), rng.choice((None, VAULT)), rng.getrandbits(41), rng.choice((None, rng.getrandbits(41)))
        assert mine(*call) == theirs(*call), call
    for call in ODD:
        assert result_of(mine, *call) == result_of(theirs, *call), call


USER_KINDS = (
    "usd_transfer_action", "spot_transfer_action", "withdraw_from_bridge_action", "usd_class_transfer_action",
    "send_asset_action", "user_dex_abstraction_action", "user_set_abstraction_action", "convert_to_multi_sig_user_action",
    "agent", "approve_builder_fee", "token_delegate_action",
)  # fmt: skip


def user_action(rng: random.Random) -> dict[str, Any]:
    """Fields for any user-signed action, some of a type that has to be converted or refused."""
    somebody = f"0x{rng.getrandbits(160):040x}"
    made: dict[str, Any] = {
        "destination": somebody, "amount": "1.5", "time": rng.getrandbits(41), "nonce": rng.getrandbits(41), "token": "X:0x1",
        "toPerp": rng.random() < 0.5, "sourceDex": "", "destinationDex": "spot", "fromSubAccount": "", "user": somebody,
        "enabled": True, "abstraction": "u", "signers": '{"a": 1}', "agentAddress": somebody, "agentName": "näme",
        "maxFeeRate": "0.1%", "builder": somebody, "validator": somebody, "wei": rng.getrandbits(60), "isUndelegate": False,
    }  # fmt: skip
    if rng.random() < 0.3:
        name = rng.choice(list(made))
        made[name] = rng.choice((None, -1, "", "0x12", 2**70, 1.5, b"x", "False", "0xABCDEF" + "0" * 34, [1], 7))
    if rng.random() < 0.05:
        del made[rng.choice(list(made))]
    return made


def test_user_signed_actions_sign_and_recover_as_there(sdk, ours):
    """sdk_dropin 12.2: every `sign_*` function, in place what is in place there, exceptions by type and arguments."""
    from eth_account import Account

    theirs, mine, rng = sdk("utils.signing"), ours("utils.signing"), random.Random(5)
    wallet = Account.from_key(FUNDED_ACCOUNTS[1].key)
    refused = 0
    for _ in range(600):
        action, name, is_mainnet = user_action(rng), f"sign_{rng.choice(USER_KINDS)}", rng.random() < 0.5
        both = []
        for module in (theirs, mine):
            given = copy.deepcopy(action)
            both.append((result_of(getattr(module, name), wallet, given, is_mainnet), list(given.items())))
        assert both[0] == both[1], (name, action)
        refused += not isinstance(both[0][0], dict)
        if isinstance(both[0][0], dict) and name == "sign_usd_transfer_action":
            fields, primary = theirs.USD_SEND_SIGN_TYPES, "HyperliquidTransaction:UsdSend"
            signed = dict(both[0][1])
            found = [
                m.recover_user_from_user_signed_action(dict(signed), both[0][0], fields, primary, is_mainnet)
                for m in (theirs, mine)
            ]
            assert found == [wallet.address] * 2
    assert 10 < refused < 400


def test_multi_sig_signs_as_there(sdk, ours):
    """sdk_dropin 6: payloads of each authorised user, and the outer envelope."""
    from eth_account import Account

    wallet, user, outer = Account.from_key(FUNDED_ACCOUNTS[2].key), "0x" + "AB" * 20, "0x" + "cd" * 20
    both = []
    for m in (sdk("utils.signing"), ours("utils.signing")):
        order = {"type": "order", "orders": [], "grouping": "na"}
        send = {"type": "usdSend", "destination": user, "amount": "1", "time": 5, "signatureChainId": "0x66eee"}
        both.append(
            (
                m.sign_multi_sig_l1_action_payload(wallet, order, True, None, 5, 9, user, outer),
                m.sign_multi_sig_user_signed_action_payload(
                    wallet, send, False, m.USD_SEND_SIGN_TYPES, "HyperliquidTransaction:UsdSend", user, outer
                ),
                m.sign_multi_sig_action(wallet, {"type": "multiSig", "payload": {"a": 1}}, True, VAULT, 5, None),
                m.add_multi_sig_types([{"name": "x", "type": "string"}]),
                m.add_multi_sig_fields(send, user, outer),
            )
        )
    assert both[0] == both[1]


def test_who_signed_is_recovered_from_unpadded_and_wrong_signatures(sdk, ours):
    """sdk_dropin 6: checksummed addresses; what cannot be recovered raises as there."""
    from eth_account import Account

    theirs, mine, rng = sdk("utils.signing"), ours("utils.signing"), random.Random(6)
    wallet, short = Account.from_key(FUNDED_ACCOUNTS[3].key), 0
    for nonce in range(300):
        action = {"type": "noop", "x": nonce}
        signature = mine.sign_l1_action(wallet, action, None, nonce, None, True)
        short += min(len(signature["r"]), len(signature["s"])) < 66
        if nonce % 10 == 0:
            signature = {**signature, "v": rng.choice((27, 28, 0, 1, 29))}
        if nonce % 11 == 0:
            signature = {**signature, "r": rng.choice(("0x0", "0x1", "0x" + "f" * 64))}
        call = action, signature, None, nonce, None, True
        expected = result_of(theirs.recover_agent_or_user_from_l1_action, *call)
        assert result_of(mine.recover_agent_or_user_from_l1_action, *call) == expected
    assert short > 0


def test_a_wallet_of_ones_own_signs_itself(sdk, ours):
    """sdk_dropin 5.1: subclasses and foreign wallets are asked, never bypassed; the result is the same."""
    from eth_account import Account
    from eth_account.signers.local import LocalAccount

    plain = Account.from_key(FUNDED_ACCOUNTS[0].key)
    asked = []

    class Own(LocalAccount):
        def sign_message(self, message: Any) -> Any:
            asked.append(message)
            return super().sign_message(message)

    class Remote:
        address = plain.address

        def sign_message(self, message: Any) -> Any:
            asked.append(message)
            return plain.sign_message(message)

    replaced = Account.from_key(FUNDED_ACCOUNTS[0].key)
    replaced.__dict__["sign_message"] = lambda message: asked.append(message) or plain.sign_message(message)
    action = {"type": "noop"}
    expected = sdk("utils.signing").sign_l1_action(plain, action, None, 1, None, False)
    sign = ours("utils.signing").sign_l1_action
    for number, wallet in enumerate((Own(plain._key_obj, plain._publicapi), Remote(), replaced), 1):
        assert sign(wallet, action, None, 1, None, False) == expected
        assert len(asked) == number and asked[-1].version == b"\x01" and len(asked[-1].header) == 32
    import hlfast

    assert sign(hlfast.Signer(FUNDED_ACCOUNTS[0].key), action, None, 1, None, False) == expected
    assert sign(plain, action, None, 1, None, False) == expected and len(asked) == 3


def test_a_name_that_a_program_rebinds_changes_what_is_done(ours, monkeypatch):
    """sdk_dropin 2.2: functions are looked up in their module at each call."""
    from eth_account import Account

    wallet, module = Account.from_key(FUNDED_ACCOUNTS[0].key), ours("exchange")
    exchange = exchange_of(module, wallet, TESTNET, None)
    monkeypatch.setattr(module, "sign_l1_action", lambda *_: "signed elsewhere")
    monkeypatch.setattr(module, "order_request_to_order_wire", lambda order, asset: {"a": asset, "mine": True})
    exchange.order("ETH", True, 1, 1, {})
    body = exchange.posted[0][1]
    assert body["signature"] == "signed elsewhere" and body["action"]["orders"] == [{"a": 1, "mine": True}]
    signing = ours("utils.signing")
    monkeypatch.setattr(signing, "sign_inner", lambda wallet, data: data["message"]["source"])
    assert signing.sign_l1_action(wallet, {"type": "noop"}, None, 1, None, True) == "a"
