"""Signatures against published vectors, the official SDK and eth-account; and the key that is never shown."""

import copy
import json
import pickle
import random
import sys
import threading
import time
import traceback

import msgpack
import pytest
from Crypto.Hash import keccak
from hypothesis import given
from hypothesis import strategies as st

from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid import sign
from hlfast.venues.hyperliquid.sign import Signer
from hlfast.venues.hyperliquid.wire import canonical, encode_action

KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
ADDRESS = "0x14791697260e4c9a71f18484c9f997b308e59325"
ORDER = {
    "type": "order",
    "orders": [{"a": 1, "b": True, "p": "100", "s": "100", "r": False, "t": {"limit": {"tif": "Gtc"}}}],
    "grouping": "na",
}


def same(got, want):
    return int(got["r"], 16) == int(want["r"], 16) and int(got["s"], 16) == int(want["s"], 16) and got["v"] == want["v"]


@given(st.binary(max_size=700))
def test_keccak_equals_an_independent_one(data):
    assert sign.keccak256(data) == keccak.new(digest_bits=256, data=data).digest()


@pytest.mark.parametrize("size", [0, 1, 134, 135, 136, 137, 271, 272, 273, 4096])
def test_keccak_at_the_edges_of_its_blocks(size):
    data = bytes(i % 251 for i in range(size))
    assert sign.keccak256(data) == keccak.new(digest_bits=256, data=data).digest()


def test_published_facts_of_the_protocol():
    """Behaviour 55: vectors that are plain facts, so that this stands without other files."""
    signer = Signer(KEY)
    assert signer.address == ADDRESS
    assert sign.DOMAIN_SEPARATOR.hex() == "d79297fcdf2ffcd4ae223d01edaa2ba214ff8f401d7c9300d995d17c82aa4040"
    got = signer.sign_l1_action({"type": "dummy", "num": 100000000000}, 0)
    assert got == {
        "r": "0x53749d5b30552aeb2fca34b530185976545bb22d0b3ce6f62e31be961a59298",
        "s": "0x755c40ba9bf05223521753995abb2f73ab3229be8ec921f350cb447e384d8ed8",
        "v": 27,
    }
    got = signer.sign_l1_action(ORDER, 0)
    assert got["r"] == "0xd65369825a9df5d80099e513cce430311d7d26ddf477f5b3a33d2806b100d78e" and got["v"] == 28
    base = {**ORDER, "orders": [{**ORDER["orders"][0], "a": 0, "p": "30000", "s": "0.1"}]}
    nonce = 1234567890
    assert sign.action_hash(base, nonce).hex() == "25367e0dba84351148288c2233cd6130ed6cec5967ded0c0b7334f36f957cc90"
    vault = "0x1234567890123456789012345678901234567890"
    want = "214e2ea3270981b6fd18174216691e69f56872663139d396b10ded319cb4bb1e"
    assert sign.action_hash(base, nonce, vault).hex() == want
    want = "c30b002ba3775e4c31c43c1dfd3291dfc85c6ae06c6b9f393991de86cad5fac7"
    assert sign.action_hash(base, nonce, None, nonce).hex() == want


def vectors(shared, *kinds):
    for name in ("signing_vectors.json", "signing_vectors_derived.json"):
        for vector in json.loads((shared / "fixtures" / name).read_text())["vectors"]:
            if vector["kind"] in kinds:
                yield vector


def test_every_l1_vector(shared):
    """Behaviours 54, 55 and 56: both networks, with and without vault and expiry."""
    seen = 0
    for v in vectors(shared, "l1_sign"):
        i = v["input"]
        extra = {"vault_address": i.get("vaultAddress"), "expires_after": i.get("expiresAfter")}
        got = Signer(i["private_key"]).sign_l1_action(
            i["action"], i["nonce"], is_mainnet=i["network"] == "mainnet", **extra
        )
        assert same(got, v["expected"]), v["id"]
        packed = v["expected"].get("msgpack_hex") or (v.get("derived") or {}).get("msgpack_hex")
        if packed:
            assert encode_action(i["action"]).hex() == packed, v["id"]
        seen += 1
    assert seen >= 40


def test_every_hash_and_stage_vector(shared):
    seen = 0
    for v in vectors(shared, "l1_hash", "l1_stages", "l1_recover"):
        i, known = v["input"], {**(v.get("derived") or {}), **v["expected"]}
        if "action_hash" in known:
            got = sign.action_hash(i["action"], i["nonce"], i.get("vaultAddress"), i.get("expiresAfter"))
            assert "0x" + got.hex() == known["action_hash"], v["id"]
            if "eip712_digest" in known:
                assert "0x" + sign.agent_digest(got, i["network"] == "mainnet").hex() == known["eip712_digest"], v["id"]
            seen += 1
    assert seen >= 10
    for v in vectors(shared, "address"):
        assert Signer(v["input"]["private_key"]).address == v["expected"]["address"].lower()


def test_every_user_signed_vector(shared):
    """Behaviour 56."""
    from hlfast.venues.hyperliquid.user_signed import USER_SIGNED

    by_suffix = {suffix: kind for kind, (suffix, _) in USER_SIGNED.items()}
    seen = 0
    for v in vectors(shared, "user_signed"):
        i = v["input"]
        kind = by_suffix[i["types"]["primaryType"].split(":")[1]]
        hashed = [field["name"] for field in i["types"]["fields"]]
        if hashed != [name for name, _ in USER_SIGNED[kind][1]]:
            continue  # fields of a multi-sig payload
        action = {**i["message"], "type": kind}
        if "domain" in i:
            action["signatureChainId"] = hex(i["domain"]["chainId"])
        got = Signer(i["private_key"]).sign_user_action(action, is_mainnet=action["hyperliquidChain"] == "Mainnet")
        assert same(got, v["expected"]), v["id"]
        seen += 1
    assert seen >= 14


def random_actions(rng, count):
    for _ in range(count):
        orders = []
        for _ in range(rng.choice([1, 1, 1, 2, 16])):
            kind = rng.choice(
                [
                    {"limit": {"tif": rng.choice(["Gtc", "Ioc", "Alo"])}},
                    {
                        "trigger": {
                            "isMarket": rng.random() < 0.5,
                            "triggerPx": str(rng.randint(1, 99999)),
                            "tpsl": "sl",
                        }
                    },
                ]
            )
            order = {
                "a": rng.choice([0, 5, 127, 128, 10107, 110000, 100000010]),
                "b": rng.random() < 0.5,
                "p": f"{rng.randint(1, 99999)}",
                "s": f"0.{rng.randint(1, 99999):05d}".rstrip("0"),
                "r": rng.random() < 0.5,
                "t": kind,
            }
            if rng.random() < 0.5:
                order["c"] = f"0x{rng.getrandbits(128):032x}"
            orders.append(order)
        yield rng.choice(
            [
                {"type": "order", "orders": orders, "grouping": rng.choice(["na", "normalTpsl"])},
                {
                    "type": "cancel",
                    "cancels": [{"a": o["a"], "o": rng.getrandbits(rng.choice([20, 32, 40]))} for o in orders],
                },
                {
                    "type": "cancelByCloid",
                    "cancels": [{"asset": o["a"], "cloid": o.get("c", "0x" + "1" * 32)} for o in orders],
                },
            ]
        )


def test_ten_thousand_random_actions_hash_and_sign_as_the_official_sdk():
    """Signatures equal the official SDK's. RFC 6979 makes the signature a function of the digest and the key."""
    sdk = pytest.importorskip("hyperliquid.utils.signing", reason="official SDK not installed")
    from coincurve import PrivateKey

    rng = random.Random(11)
    signer, secret = Signer(KEY), PrivateKey(bytes.fromhex(KEY[2:]))
    for n, action in enumerate(random_actions(rng, 10_000)):
        nonce = 1_700_000_000_000 + n
        vault = rng.choice([None, "0x1719884eb866cb12b2287399b15f7db5e7d775ea"])
        expires = rng.choice([None, nonce + 15_000])
        mainnet = rng.random() < 0.5
        theirs = sdk.action_hash(action, vault, nonce, expires)
        assert sign.action_hash(action, nonce, vault, expires) == theirs
        got = signer.sign_l1_action(action, nonce, vault_address=vault, expires_after=expires, is_mainnet=mainnet)
        raw = secret.sign_recoverable(sign.agent_digest(theirs, mainnet), hasher=None)
        want = {
            "r": hex(int.from_bytes(raw[:32], "big")),
            "s": hex(int.from_bytes(raw[32:64], "big")),
            "v": 27 + raw[64],
        }
        assert got == want
        if n % 50 == 0:
            from eth_account import Account

            assert got == sdk.sign_l1_action(Account.from_key(KEY), action, vault, nonce, expires, mainnet)


@given(st.randoms(use_true_random=False))
def test_keys_in_another_order_give_the_same_hash(rng):
    """Behaviour 58."""
    action = next(random_actions(rng, 1))

    def shuffled(value):
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            return {k: shuffled(v) for k, v in items}
        return [shuffled(v) for v in value] if isinstance(value, list) else value

    other = shuffled(action)
    before = copy.deepcopy(other)
    assert sign.action_hash(other, 1) == sign.action_hash(action, 1)
    assert list(other) == list(before) and other == before, "the caller's dict is left alone"
    assert msgpack.unpackb(encode_action(other)) == action and list(canonical(other)) == list(action)


def order_action(row=None, *, top=None, without=()):
    """An order action with `row`'s fields changed in its one order, and `top`'s in the action itself."""
    order = {"a": 1, "b": True, "p": "100", "s": "0.5", "r": False, "t": {"limit": {"tif": "Alo"}}, **(row or {})}
    for name in without:
        del order[name]
    return {"type": "order", "orders": [order], "grouping": "na", **(top or {})}


class Text(str):
    pass


@pytest.mark.parametrize(
    "action",
    [
        *(order_action({"a": number}) for number in (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1, 2**63, -1)),
        *(order_action({"p": "1" * size}) for size in (0, 1, 31, 32, 255, 256, 900, 2_000)),
        *(order_action({"b": value}) for value in (1, 0, None, "true", Text("x"))),
        *(order_action({"p": value}) for value in (100, None, True, Text("100"), "é", "100\0")),
        *(order_action({"c": value}) for value in ("0x" + "1" * 32, None, "")),
        *(order_action({"t": value}) for value in ({}, None, {"limit": {}}, {"limit": None}, {"limit": {"tif": "Ioc", "x": 1}},
            {"limit": {"tif": "Gtc"}, "trigger": {"isMarket": True, "triggerPx": "1", "tpsl": "tp"}}, {"other": {"tif": "Gtc"}},
            {"trigger": {"isMarket": False, "triggerPx": "9.5", "tpsl": "sl"}}, {"trigger": {"tpsl": "sl", "isMarket": 1, "triggerPx": 1}})),
        order_action({"x": 1}), order_action({"x": 1}, without=["r"]), *(order_action(without=[name]) for name in "abprst"),
        order_action(top={"builder": {"b": "0x" + "2" * 40, "f": 10}}), order_action(top={"grouping": "positionTpsl"}),
        order_action(top={"orders": []}), order_action(top={"orders": None}), order_action(top={"orders": ({},)}),
        order_action(top={"orders": [None]}), *(order_action(top={"orders": order_action()["orders"] * n}) for n in (2, 15, 16, 40)),
        order_action(top={"type": "cancel"}), order_action(top={"type": Text("order")}), {"orders": [], "type": "order", "x": 1},
    ],
)  # fmt: skip
def test_an_order_action_is_packed_in_one_pass_as_it_is_in_general(action):
    """What the short way does not know goes the general way: always the bytes that the hash of the action is made of."""
    from coincurve import PrivateKey

    raw = PrivateKey(bytes.fromhex(KEY[2:])).sign_recoverable(
        sign.agent_digest(sign.action_hash(action, 7), True), hasher=None
    )
    want = {"r": hex(int.from_bytes(raw[:32], "big")), "s": hex(int.from_bytes(raw[32:64], "big")), "v": 27 + raw[64]}
    assert Signer(KEY).sign_l1_action(action, 7) == want


def test_what_cannot_be_packed_raises_the_same_both_ways():
    for action in (
        order_action({"p": 1.5}),
        order_action({"p": "\ud800"}),
        order_action({"a": 2**64}),
        order_action({"s": object()}),
    ):
        with pytest.raises(Exception) as general:
            encode_action(action)
        with pytest.raises(general.type):
            Signer(KEY).sign_l1_action(action, 7)


def test_hex_leaves_leading_zeros_out_as_the_official_sdk_does():
    """The published vector's r has 63 digits; here r and s of fewer digits, found by trying."""
    signer, short = Signer(KEY), set()
    for nonce in range(3_000):
        signature = signer.sign_l1_action(ORDER, nonce)
        for name in ("r", "s"):
            assert signature[name] == hex(int(signature[name], 16))
            short.add(len(signature[name]))
    assert {66, 65, 64} <= short


def test_a_float_in_an_action_is_refused_with_the_way_out():
    with pytest.raises(ConfigError, match="float_to_wire"):
        encode_action({"type": "order", "orders": [{"a": 0, "p": 1.5}], "grouping": "na"})


@pytest.mark.parametrize(
    ("key", "says"),
    [(ADDRESS, "looks like an address"), ("0x12", "32 bytes"), ("zz" * 32, "64 hex digits"), (b"1" * 31, "32 bytes"),
     ("00" * 32, "group order"), ("ff" * 32, "group order"), (12, "hex text or 32 bytes"), ("", "64 hex digits")],
)  # fmt: skip
def test_wrong_keys_are_named_and_never_echoed(key, says):
    """Behaviour 52; L123."""
    with pytest.raises(ConfigError, match=says) as caught:
        Signer(key)
    shown = "".join(traceback.format_exception(caught.value.with_traceback(None)))
    if isinstance(key, str) and len(key) > 10:
        assert key not in shown and key[2:] not in shown


def test_the_key_is_in_no_text_and_cannot_leave():
    """Behaviour 53; L122: a canary key is in no repr, error or pickle."""
    canary = "c0ffee" + "5a" * 29
    signer = Signer(canary, allow=["order"])
    texts = [repr(signer), str(signer), f"{signer!r}", str(dir(signer))]
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled or copied") as caught:
            attempt(signer)
        texts.append("".join(traceback.format_exception(caught.value)))
    with pytest.raises(ConfigError, match="does not sign 'usdSend'") as refused:
        signer.sign_user_action({"type": "usdSend"})
    texts.append(str(refused.value))
    signer.close()
    with pytest.raises(ConfigError, match="closed") as closed:
        signer.sign_l1_action(ORDER, 1)
    texts.append(str(closed.value))
    assert not any(canary in text or "5a5a5a5a" in text for text in texts)


def test_an_allow_list_refuses_what_it_does_not_name():
    """L127."""
    signer = Signer(KEY, allow=["order", "cancel"])
    assert signer.sign_l1_action(ORDER, 1)["v"] in (27, 28)
    with pytest.raises(ConfigError, match="allow="):
        signer.sign_l1_action({"type": "vaultTransfer"}, 1)


def test_user_actions_name_what_is_missing():
    signer = Signer(KEY)
    with pytest.raises(ConfigError, match="missing: destination, amount, time"):
        signer.sign_user_action({"type": "usdSend"})
    with pytest.raises(ConfigError, match="not a user-signed action"):
        signer.sign_user_action(ORDER)
    with pytest.raises(ConfigError, match="must agree"):
        signer.sign_user_action({"type": "usdSend", "hyperliquidChain": "Testnet"})


def test_the_allow_list_looks_into_what_a_multi_sig_account_signs():
    """L127: an action inside a list is held to the list of what may be signed, too."""
    signer = Signer(KEY, allow=["order"])
    parts = ["0x" + "1" * 40, "0x" + "2" * 40]
    with pytest.raises(ConfigError, match="does not sign 'usdSend'"):
        signer.sign_l1_action([*parts, {"type": "usdSend", "amount": "1"}], 1)
    with pytest.raises(ConfigError, match="does not sign None"):
        signer.sign_l1_action([], 1)
    assert signer.sign_l1_action([*parts, {"type": "order", "orders": [], "grouping": "na"}], 1)["v"] in (27, 28)


def test_a_digest_is_signed_as_it_is_and_the_allow_list_holds():
    """The digest of an L1 action gives the signature of the action; a closed list refuses what it cannot name."""
    action = {"type": "noop"}
    digest = sign.agent_digest(sign.action_hash(action, 5), True)
    assert Signer(KEY).sign_hash(digest) == Signer(KEY).sign_l1_action(action, 5)
    careful = Signer(KEY, allow=["noop"])
    assert careful.sign_hash(digest, "noop") == Signer(KEY).sign_hash(digest)
    for kind in (None, "usdSend"):
        with pytest.raises(ConfigError, match="does not sign"):
            careful.sign_hash(digest, kind)
    with pytest.raises(ConfigError, match="32 bytes"):
        careful.sign_hash(b"short", "noop")
    careful.close()
    with pytest.raises(ConfigError, match="closed"):
        careful.sign_hash(digest, "noop")


def test_another_thread_runs_while_a_signature_is_made():
    """L79: signing is compiled and releases the interpreter, which else would not be given up once in this test."""
    signer, stop, turns = Signer(KEY), threading.Event(), []

    def other() -> None:
        while not stop.is_set():
            turns.append(1)
            time.sleep(0)

    before = sys.getswitchinterval()
    thread = threading.Thread(target=other, daemon=True)
    thread.start()
    try:
        sys.setswitchinterval(1000.0)
        seen = len(turns)
        for _ in range(2000):
            sign.keccak256(bytes(200))
        assert len(turns) == seen, "nothing but a release gives the other thread its turn"
        for nonce in range(2000):
            signer.sign_l1_action(ORDER, nonce)
            if len(turns) > seen + 3:
                break
        assert len(turns) > seen
    finally:
        sys.setswitchinterval(before)
        stop.set()
        thread.join()
