"""Numbers at the edge: a float to the venue's text, a price and a size onto the grid."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import hlfast
from benchmarks.peers import async_hyperliquid, ccxt, is_installed, nautilus, plain, sdk
from benchmarks.peers.floors import nothing
from benchmarks.registry import Arm, at_most, floor, kernel, ours, peer, times_faster
from hlfast.config import SIMULATOR_TEST_KEY
from hlfast.core import latency
from hlfast.core.trading_rule import TradingRule

BTC = TradingRule("BTC", sz_decimals=5)
POOL = 200


def prices_on_grid() -> list[float]:
    random = Random(1)
    return [float(random.randint(60_000, 99_999)) for _ in range(POOL // 2)] + [
        random.randint(10_000, 99_999) / 10**5 for _ in range(POOL // 2)
    ]


def prices_of_a_model() -> list[float]:
    """A mid price times something: every digit of the float is used."""
    random = Random(2)
    return [random.randint(60_000, 98_000) * (1 + random.uniform(-0.01, 0.01)) for _ in range(POOL)]


def sizes_of_a_model() -> list[float]:
    random = Random(3)
    return [random.uniform(0.001, 9.0) for _ in range(POOL)]


def e8(price: float | Decimal) -> int:
    return round(price * 10**8)


def lots(size: float | Decimal) -> int:
    return round(size * 10**5)


def text_e8(price: object) -> int:
    return e8(Decimal(str(price)))


def text_lots(size: object) -> int:
    return lots(Decimal(str(size)))


@kernel("empty_call", "an empty call, as the floor of every call from Python")
def empty_call() -> list[Arm]:
    values = [(1.5,)] * POOL
    return [floor("Python function", nothing, values), floor("C function", callable, values)]


@kernel("float_to_wire", "float_to_wire(x)", at_most(80), times_faster(10))
def float_to_wire() -> list[Arm]:
    random = Random(4)
    values = [(price,) for price in prices_on_grid()] + [(random.randint(1, 9 * 10**7) / 10**5,) for _ in range(POOL)]
    arms = [ours(hlfast.float_to_wire, values), peer("plain Python", plain.float_to_wire, values)]
    if sdk.is_installed():
        arms.append(peer(sdk.NAME, sdk.signing().float_to_wire, values))
    if is_installed(async_hyperliquid.DISTRIBUTION):
        arms.append(peer(async_hyperliquid.NAME, async_hyperliquid.float_to_wire(), values))
    return [*arms, floor("Python function, empty", nothing, values)]


@kernel("price_on_grid", "price_e8(price that is on the grid)", at_most(120), times_faster(10))
def price_on_grid() -> list[Arm]:
    values = [(price,) for price in prices_on_grid()[: POOL // 2]]
    rounded = [(price, 5) for (price,) in values]
    return [
        ours(BTC.price_e8, values),
        peer("SDK's idiom, float", plain.round_price, rounded, read=e8),
        floor("Python function, empty", nothing, values),
    ]


@kernel("price_to_grid", "price_e8(price of a model, nearest)", at_most(120), times_faster(10))
def price_to_grid() -> list[Arm]:
    prices = prices_of_a_model()
    arms = [
        ours(BTC.price_e8, [(price, None, "nearest") for price in prices]),
        peer("SDK's idiom, float", plain.round_price, [(price, 5) for price in prices], read=e8),
    ]
    if is_installed(ccxt.DISTRIBUTION):
        own = ccxt.exchange(SIMULATOR_TEST_KEY)
        arms.append(
            peer(ccxt.NAME, own.price_to_precision, [(ccxt.symbol("BTC"), price) for price in prices], read=text_e8)
        )
    return [*arms, floor("Python function, empty", nothing, [(price,) for price in prices])]


@kernel("price_of_a_sum", "price_e8(sum of two floats, nearest)", at_most(120), times_faster(10))
def price_of_a_sum() -> list[Arm]:
    """61003.17 + 29.24 is 61032.409999999996: within a float's noise of a short price that is off the grid."""
    sums = [61_003.17 + 7.31 * at for at in range(POOL)]
    sums = [price for price in sums if abs(price % 1 - 0.5) > 1e-6]  # ties: away from zero here, to even with %.5g
    return [
        ours(BTC.price_e8, [(price, None, "nearest") for price in sums]),
        peer("SDK's idiom, float", plain.round_price, [(price, 5) for price in sums], read=e8),
        floor("Python function, empty", nothing, [(price,) for price in sums]),
    ]


@kernel("quantize_price", "quantize_price(price of a model, BUY) → Decimal", at_most(120), times_faster(10))
def quantize_price() -> list[Arm]:
    prices = prices_of_a_model()
    tick = Decimal(1)
    return [
        ours(BTC.quantize_price, [(price, "BUY") for price in prices]),
        peer("Decimal", plain.quantize_down, [(price, tick) for price in prices]),
        floor("Python function, empty", nothing, [(price,) for price in prices]),
    ]


@kernel("size_to_grid", "lots(size of a model, passive)", at_most(120), times_faster(10))
def size_to_grid() -> list[Arm]:
    sizes = sizes_of_a_model()
    step = Decimal("0.00001")
    arms = [
        ours(BTC.lots, [(size, "passive") for size in sizes]),
        peer("Decimal", plain.quantize_down, [(size, step) for size in sizes], read=lots),
    ]
    if nautilus.is_installed():
        make = nautilus.instrument("BTC", 5, 1).make_qty
        arms.append(peer(nautilus.NAME, make, [(size, True) for size in sizes], read=text_lots))
    return [*arms, floor("Python function, empty", nothing, [(size,) for size in sizes])]


@kernel("size_nearest", "lots(size of a model, nearest)", at_most(120), times_faster(10))
def size_nearest() -> list[Arm]:
    sizes = sizes_of_a_model()
    arms = [
        ours(BTC.lots, [(size, "nearest") for size in sizes]),
        peer("SDK's idiom, float", plain.round_size, [(size, 5) for size in sizes], read=lots),
    ]
    if nautilus.is_installed():
        make = nautilus.instrument("BTC", 5, 1).make_qty
        arms.append(peer(nautilus.NAME, make, [(size,) for size in sizes], read=text_lots))
    if is_installed(ccxt.DISTRIBUTION):
        own = ccxt.exchange(SIMULATOR_TEST_KEY)
        arms.append(
            peer(ccxt.NAME, own.amount_to_precision, [(ccxt.symbol("BTC"), size) for size in sizes], read=text_lots)
        )
    return [*arms, floor("Python function, empty", nothing, [(size,) for size in sizes])]


@kernel("record_stage", "recording a latency, from Python", at_most(60, net=True))
def record_stage() -> list[Arm]:
    values = [("sign", ns) for ns in range(1_000, 1_000 + 97 * POOL, 97)]
    return [ours(latency.record_stage, values), floor("Python function, empty", nothing, [(1.5,)] * POOL)]
