"""Orders on the wire: msgpack and JSON, keccak, the L1 signature. The same bytes and the same signature on every side."""

from __future__ import annotations

from importlib import import_module
from random import Random
from typing import Any

import orjson
from coincurve import PrivateKey, PublicKey

from benchmarks.peers import async_hyperliquid, ccxt, is_installed, module_of, plain, sdk
from benchmarks.peers.floors import BARE_SIGN, bare_sign, nothing
from benchmarks.peers.plain import Intent
from benchmarks.registry import Arm, Mismatch, at_most, floor, kernel, ours, peer, times_floor
from benchmarks.wire import BLOCK_MS, Feed
from hlfast import Signer
from hlfast.config import SIMULATOR_TEST_KEY
from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.sign import action_hash, agent_digest, keccak256
from hlfast.venues.hyperliquid.wire import encode_orders

KEY = bytes.fromhex(SIMULATOR_TEST_KEY[2:])
RULE = TradingRule("BTC", sz_decimals=5)


def intents(count: int, seed: int = 5) -> list[Intent]:
    """Orders for BTC on its grid, post-only, each with a cloid."""
    random, feed = Random(seed), Feed(seed)
    return [
        Intent("BTC", 0, bool(at % 2), float(random.randint(60_000, 99_999)), random.randint(100, 99_999) / 1e5, "Alo", feed.cloid(), 5)
        for at in range(count)
    ]  # fmt: skip


def encode(wanted: Intent) -> tuple[bytes, bytes]:
    """(msgpack, JSON) by hlfast's writers, from the strategy's numbers."""
    return encode_orders(
        [
            (
                wanted.asset, wanted.is_buy, RULE.price_e8(wanted.px), RULE.lots(wanted.sz), 5, False, wanted.tif,
                wanted.cloid,
            )
        ]
    )  # fmt: skip


def encode_plainly(wanted: Intent) -> tuple[bytes, bytes]:
    action = plain.order_action([wanted])
    return plain.packb(action), orjson.dumps(action)


@kernel("encode_order", "one order: numbers → msgpack and JSON")
def encode_order() -> list[Arm]:
    wanted = [(one,) for one in intents(32)]

    def read(result: tuple[bytes, bytes]) -> Any:
        return result[0], orjson.loads(result[1])

    arms = [ours(encode, wanted, read=read), peer("msgpack + orjson", encode_plainly, wanted, read=read)]
    if sdk.is_installed():
        arms.append(peer(sdk.NAME, sdk.encoder(), wanted, read=read))
    if is_installed(async_hyperliquid.DISTRIBUTION):
        arms.append(peer(async_hyperliquid.NAME, async_hyperliquid.encoder(), wanted, read=read))
    if is_installed(ccxt.DISTRIBUTION):
        arms.append(peer(ccxt.NAME, ccxt.encoder(SIMULATOR_TEST_KEY), wanted, read=read))
    return [*arms, floor("Python function, empty", nothing, wanted)]


@kernel("keccak", "keccak256 of an order's msgpack (180 B)")
def keccak() -> list[Arm]:
    packed = [(encode(one)[0] + bytes(9),) for one in intents(32)]
    arms = [ours(keccak256, packed), peer("pycryptodome", plain.by_pycryptodome(), packed)]
    if module_of("safe-pysha3") is not None:
        arms.append(peer("safe-pysha3", plain.keccak(), packed))
    if module_of("eth-account") is not None:
        arms.append(peer("eth-utils", import_module("eth_utils").keccak, packed))
    return [*arms, floor("Python function, empty", nothing, packed)]


def numbers(signature: dict[str, Any]) -> tuple[int, int, int]:
    """(r, s, v): some write leading zeros, some do not."""
    return int(signature["r"], 16), int(signature["s"], 16), signature["v"]


@kernel("sign_order", "L1 signature of one order: dict → r, s, v", times_floor(1.15), times_floor(1.3))
def sign_order() -> list[Arm]:
    actions = [(plain.order_action([one]), BLOCK_MS + at) for at, one in enumerate(intents(8))]
    digests = [(agent_digest(action_hash(action, nonce), True),) for action, nonce in actions]
    signers = {"msgpack + keccak + coincurve": plain.OrderSigner(KEY, plain.keccak()).sign}
    if sdk.is_installed():
        signers[sdk.NAME] = sdk.signer(SIMULATOR_TEST_KEY)
        signers[sdk.DEFAULT_INSTALL] = sdk.natively(sdk.signer(SIMULATOR_TEST_KEY))
    if is_installed(async_hyperliquid.DISTRIBUTION):
        signers[async_hyperliquid.NAME] = async_hyperliquid.signer(SIMULATOR_TEST_KEY)
    if is_installed(ccxt.DISTRIBUTION):
        signers[ccxt.NAME] = ccxt.signer(SIMULATOR_TEST_KEY)
        signers[ccxt.WITHOUT_COINCURVE] = ccxt.without_coincurve(ccxt.signer(SIMULATOR_TEST_KEY))
    return [
        ours(Signer(KEY).sign_l1_action, actions, read=numbers),
        *(peer(who, sign, actions, read=numbers) for who, sign in signers.items()),
        floor(BARE_SIGN, bare_sign(KEY), digests),
    ]


@kernel("sign_prepared", "the same with prepared nonces: dict → r, s, v", at_most(2_500, who="hlfast"))
def sign_prepared() -> list[Arm]:
    """Every signature has another nonce, so that what is compared is the key that each recovers to."""
    actions = [(plain.order_action([one]), BLOCK_MS + at) for at, one in enumerate(intents(8))]
    digests = [agent_digest(action_hash(action, nonce), True) for action, nonce in actions]
    own = PrivateKey(KEY).public_key.format()
    signer = Signer(KEY, nonce_pool=1024)
    pool = signer.pool
    assert pool is not None

    def prepared(count: int) -> list[tuple[Any, int]]:
        if not pool.wait_full(10):
            raise Mismatch(f"nonces are not prepared: {pool}")
        return [actions[at % len(actions)] for at in range(count)]

    def all_from_the_pool() -> None:
        if any(pool.fallbacks.values()):
            raise Mismatch(f"not every signature was made with a prepared nonce: {pool.fallbacks}")

    def is_by_the_key(signature: dict[str, Any]) -> bool:
        raw = b"".join(int(signature[name], 16).to_bytes(32, "big") for name in ("r", "s")) + bytes(
            [signature["v"] - 27]
        )
        return any(PublicKey.from_signature_and_message(raw, one, hasher=None).format() == own for one in digests)

    return [
        ours(signer.sign_l1_action, fresh=prepared, clean=all_from_the_pool, read=is_by_the_key, expected=True),
        ours(Signer(KEY).sign_l1_action, (actions * 3)[:20], "hlfast, RFC 6979", read=is_by_the_key),
        floor(BARE_SIGN, bare_sign(KEY), [(one,) for one in digests]),
    ]
