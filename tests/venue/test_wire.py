"""Orders and cancels as the hot path writes them, against msgpack, JSON and the official SDK's field order."""

import json
import random

import msgpack
import pytest

from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.wire import (
    canonical,
    encode_action,
    encode_cancels,
    encode_modifies,
    encode_orders,
    is_cloid,
    is_exact,
)

CLOID = "0x00112233445566778899aabbccddeeff"


def text(value, decimals):
    digits = f"{value:0{decimals + 1}d}"
    whole, part = (digits[:-decimals], digits[-decimals:].rstrip("0")) if decimals else (digits, "")
    return f"{whole}.{part}" if part else whole


def as_dict(row):
    asset, is_buy, px, lots, decimals, reduce_only, tif, cloid, trigger = row
    if trigger:
        kind = {"trigger": {"isMarket": trigger[1], "triggerPx": text(trigger[0], 8), "tpsl": trigger[2]}}
    else:
        kind = {"limit": {"tif": tif}}
    order = {"a": asset, "b": is_buy, "p": text(px, 8), "s": text(lots, decimals), "r": reduce_only, "t": kind}
    return {**order, "c": cloid} if cloid else order


def random_row(rng):
    return (
        rng.choice([0, 5, 127, 128, 255, 256, 65535, 65536, 10107, 110000, 100000010]),
        rng.random() < 0.5,
        rng.choice([rng.randint(1, 10**7), rng.randint(10**8, 10**13), 9 * 10**18]),
        rng.randint(1, 10 ** rng.randint(1, 18)),
        rng.randint(0, 8),
        rng.random() < 0.5,
        rng.choice(["Gtc", "Ioc", "Alo", "FrontendMarket"]),
        f"0x{rng.getrandbits(127) + 1:032x}" if rng.random() < 0.6 else None,
        (rng.randint(1, 10**13), rng.random() < 0.5, rng.choice(["tp", "sl"])) if rng.random() < 0.2 else None,
    )


def test_random_orders_equal_msgpack_and_json_of_the_plain_action():
    """G20; the writers of the hot path and the general encoder give the same bytes."""
    rng = random.Random(5)
    for count in [1, 2, 15, 16, 17, 200, *([1] * 2000), *([3] * 200)]:
        rows = [random_row(rng) for _ in range(count)]
        action = {"type": "order", "orders": [as_dict(row) for row in rows], "grouping": "na"}
        packed, written = encode_orders(rows)
        assert packed == msgpack.packb(action) == encode_action(action)
        assert json.loads(written) == action
        assert written == json.dumps(action, separators=(",", ":")).encode()


@pytest.mark.parametrize("fast", [False, True])
def test_cancels_equal_msgpack_and_json(fast):
    rng = random.Random(6)
    for count in (1, 2, 15, 16, 200):
        oids = [
            (rng.choice([0, 128, 10107, 110000]), rng.choice([1, 2**32 - 1, 2**32, 556696349186])) for _ in range(count)
        ]
        cloids = [(asset, f"0x{rng.getrandbits(127) + 1:032x}") for asset, _ in oids]
        by_oid = {"type": "cancel", "cancels": [{"a": a, "o": o} for a, o in oids]}
        by_cloid = {"type": "cancelByCloid", "cancels": [{"asset": a, "cloid": c} for a, c in cloids]}
        for given, action in ((oids, by_oid), (cloids, by_cloid)):
            if fast:
                action["f"] = True
            packed, written = encode_cancels(given, fast=fast)
            assert packed == msgpack.packb(action) == encode_action(action)
            assert written == json.dumps(action, separators=(",", ":")).encode()


def test_modifies_equal_msgpack_and_json():
    rng = random.Random(7)
    for count in [1, 2, 15, 16, 100, *([1] * 300)]:
        rows = [(f"0x{rng.getrandbits(127) + 1:032x}", random_row(rng)) for _ in range(count)]
        action = {"type": "batchModify", "modifies": [{"oid": cloid, "order": as_dict(row)} for cloid, row in rows]}
        packed, written = encode_modifies(rows)
        assert packed == msgpack.packb(action) == encode_action(action)
        assert written == json.dumps(action, separators=(",", ":")).encode()


def test_the_published_worked_example():
    """Protocol, section 2.8: every byte of the action."""
    packed, _ = encode_orders([(0, True, 50000 * 10**8, 1, 1, False, "Gtc", None, None)])
    assert packed.hex() == (
        "83a474797065a56f72646572a66f72646572739186a16100a162c3a170a53530303030a173a3302e31a172c2"
        "a17481a56c696d697481a3746966a3477463a867726f7570696e67a26e61"
    )


@pytest.mark.parametrize("cloid", ["", "0x12", "0x" + "0" * 32, "0x" + "G" * 32, "0x" + "A" * 32, CLOID[2:], 5, None])
def test_a_malformed_cloid_is_refused(cloid):
    """Behaviour 67."""
    assert not is_cloid(cloid)
    if cloid is not None:
        with pytest.raises(ConfigError, match="32 lower-case hex digits"):
            encode_orders([(0, True, 1, 1, 1, False, "Gtc", cloid, None)])


def test_an_unknown_tif_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="Gtc, Ioc, Alo"):
        encode_orders([(0, True, 1, 1, 1, False, "Fok", None, None)])


def test_empty_actions_are_refused():
    with pytest.raises(ConfigError, match="got 0"):
        encode_orders([])
    with pytest.raises(ConfigError, match="got 0"):
        encode_cancels([])
    with pytest.raises(ConfigError, match="got 0"):
        encode_modifies([])


def test_an_action_of_an_unknown_type_keeps_its_order():
    action = {"type": "somethingNew", "b": 1, "a": 2}
    assert list(canonical(action)) == ["type", "b", "a"]


def test_only_what_every_json_writer_writes_alike_is_exact():
    """Floats, other types, numbers beyond 64 bits, keys that are no text and depths without end are not."""
    assert is_exact({"a": [1, "x", None, True, (2,), {}], "b": -(2**63)})
    deep: list[object] = []
    for _ in range(1000):
        deep = [deep]
    for value in (1.5, float("nan"), 2**63, {1: 2}, {"a": [1.0]}, b"x", object(), deep):
        assert not is_exact(value)
