"""Prices and sizes over every recorded instrument: 0 invalid on the wire, 0 silently changed, and none refused that is valid.

The judge is plain `Decimal` arithmetic, then the local exchange's own reading of the text (it shares no code with the
kernels): text, int, float or Decimal → TradingRule → encode_orders → JSON and msgpack → both judges.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest

from hlfast.core.trading_rule import TradingRule
from hlfast.errors import HlfastError
from hlfast.sim.numbers import scaled
from hlfast.sim.shapes import dec
from hlfast.sim.universe import Universe
from hlfast.types import TradeType
from hlfast.venues.hyperliquid.metadata import Metadata
from hlfast.venues.hyperliquid.wire import encode_orders

NOISE = Decimal("1e-12")
"""A float this near to a valid number stands for it, as in the official SDK."""
ONE = Decimal(1)
LARGEST = Decimal(9 * 10**18)
"""In units of the grid; beyond it a number does not fit, and is refused."""
NONSENSE = [
    "",
    "x",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "1e",
    "0x10",
    "1,5",
    " ",
    float("nan"),
    float("inf"),
    None,
    True,
    [],
    {},
    b"1",
]


def universes(shared: Path) -> list[tuple[Metadata, Universe]]:
    """Every recorded list of instruments, as the client reads it and as the exchange does."""
    folder = shared / "fixtures" / "venue"

    def body(name: str) -> Any:
        return json.loads((folder / name).read_text())

    def answers(name: str) -> list[Any]:
        return [json.loads(line) for line in (folder / f"http_info_{name}.jsonl").read_text().splitlines()]

    found = []
    for perps, pairs in (
        ("meta.json", "spot_meta.json"),
        ("meta_testnet_2025-08.json", "spot_meta_testnet_2025-08.json"),
        ("meta_testnet_2025-08_2.json", "spot_meta_testnet_2025-08.json"),
    ):
        found.append((Metadata.from_json(body(perps), body(pairs)), Universe.load([body(perps), body(pairs)])))
    by_dex = {row["request"].get("dex"): row["response"] for row in answers("metaAndAssetCtxs")}
    main, spot = by_dex[""], answers("spotMetaAndAssetCtxs")[0]["response"]
    dexs = {"xyz": (1, by_dex["xyz"][0])}
    found.append((Metadata.from_json(main[0], spot[0], dexs), Universe.load([main, spot])))
    return found


def tick(price: Decimal, decimals: int) -> Decimal:
    """The protocol's rule: five figures and so many decimals, or a whole number."""
    return min(ONE, max(ONE.scaleb(price.adjusted() - 4), ONE.scaleb(-decimals)))


def neighbours(number: Decimal, step: Decimal) -> tuple[Decimal, Decimal]:
    below = number // step * step
    return below, below if below == number else below + step


def spelled(rng: random.Random, number: Decimal) -> Any:
    """The number as a caller might give it; a float may be another number, which is then what was asked for."""
    how = rng.randrange(5)
    if how == 0:
        return number
    if how == 1:
        return float(number)
    if how == 2:
        return f"{number:f}" + ("0" * rng.randrange(3) if "." in f"{number:f}" else "")
    if how == 3:
        return f"{number:E}" if rng.random() < 0.5 else f"{number:f}"
    return int(number) if number == number.to_integral_value() else number


def drawn(rng: random.Random, step_at: Any) -> Decimal:
    """Any magnitude; on the grid, a hair beside it, halfway between, with too many digits, or a sum of floats."""
    number = Decimal(rng.randint(1, 10 ** rng.randint(1, 12))).scaleb(-rng.randint(0, 8))
    how, step = rng.randrange(6), step_at(number)
    on_grid = max(step, number // step * step)
    if how == 0:
        return number
    if how == 1:
        return on_grid
    if how == 2:
        return on_grid + step * rng.choice([Decimal("1e-9"), Decimal("0.5"), Decimal("0.499999999"), Decimal("-1e-9")])
    if how == 3:
        return number + Decimal(rng.randint(1, 10**9)).scaleb(-rng.randint(9, 17))
    if how == 4:
        return abs(Decimal(repr(float(on_grid) * 1.1 + 0.1 + 0.2))) or ONE
    return on_grid + step


def asked(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


class Judge:
    """One rule's prices and sizes against plain arithmetic; counts what it saw."""

    def __init__(self, rule: TradingRule, seen: Counter[str]) -> None:
        self.rule, self.seen = rule, seen
        self.decimals = (6 if rule.is_perpetual else 8) - rule.sz_decimals
        self.step = ONE.scaleb(-rule.sz_decimals)

    def price_step(self, price: Decimal) -> Decimal:
        return tick(price, self.decimals)

    def price(self, value: Any, how: str, side: TradeType | None) -> int | None:
        return self._judged(
            "price", value, how, side, lambda: self.rule.price_e8(value, side, how), 8, self.price_step(asked(value))
        )

    def size(self, value: Any, how: str) -> int | None:
        side = TradeType.BUY if how == "passive" else None  # a size rounded for the sender is never larger
        return self._judged(
            "size", value, how, side, lambda: self.rule.lots(value, how), self.rule.sz_decimals, self.step
        )

    def _judged(
        self, what: str, value: Any, how: str, side: TradeType | None, ask: Any, decimals: int, step: Decimal
    ) -> int | None:
        exact = asked(value)
        low, high = neighbours(exact, step)
        noise = NOISE if isinstance(value, float) else Decimal(0)
        label = f"{self.rule.coin} {what} {value!r} {how} {side}"
        try:
            got = ask()
        except HlfastError as error:
            assert isinstance(error, ValueError), label
            # Refused: it was not valid, it rounds to nothing, or it is beyond 64 bits.
            assert (
                (how == "refuse" and low != exact)
                or high.scaleb(decimals) > LARGEST
                or (low == 0 and exact - low <= high - exact)
                or (low == 0 and side is TradeType.BUY)
            ), f"{label}: {error}"
            self.seen[f"{what} refused"] += 1
            return None
        number = Decimal(got).scaleb(-decimals)
        assert number in (low, high) or min(abs(number - low), abs(number - high)) <= noise, f"{label}: {number}"
        if abs(number - exact) <= noise:
            self.seen[f"{what} as it was"] += 1
        else:
            assert how != "refuse", f"{label}: silently {number}"
            self.seen[f"{what} rounded"] += 1
            if how == "nearest":
                assert abs(number - exact) <= min(exact - low, high - exact) + noise, f"{label}: {number}"
            elif side is TradeType.BUY:
                assert number == low, f"{label}: {number}"
            else:
                assert number == high, f"{label}: {number}"
        return got


def judged_on_the_wire(rows: list[tuple[Any, ...]]) -> None:
    """The bytes that would be signed and sent: canonical text, and the number that was meant."""
    packed, written = encode_orders(rows)
    orders = orjson.loads(written)["orders"]
    assert msgpack.unpackb(packed)["orders"] == orders
    for (_, _, px_e8, lots, decimals, *_), order in zip(rows, orders, strict=True):
        price, size = order["p"], order["s"]
        assert dec(price) == price and dec(size) == size, order
        assert scaled(price, 8) == px_e8 and scaled(size, decimals) == lots, order


@pytest.mark.parametrize("count", [40_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_random_prices_and_sizes_of_every_recorded_instrument(shared: Path, count: int) -> None:
    """G20: given any number, then the wire has exactly it, or the nearest or safe valid one where asked for, or nothing."""
    rng, seen = random.Random(20), Counter[str]()
    judges = [
        (Judge(rule, seen), {market.asset: market for market in universe.markets})
        for metadata, universe in universes(shared)
        for rule in metadata.rules.values()
    ]
    assert len(judges) > 3_000 and any(":" in judge.rule.coin for judge, _ in judges)
    rows: list[tuple[Any, ...]] = []

    def batches() -> Iterator[int]:
        for _ in range(count // (2 * len(judges)) + 1):
            yield from rng.sample(range(len(judges)), len(judges))

    with localcontext() as context:
        context.prec = 60
        for place in batches():
            judge, markets = judges[place]
            how = rng.choice(("refuse", "passive", "nearest"))
            side = rng.choice((TradeType.BUY, TradeType.SELL))
            px = judge.price(spelled(rng, drawn(rng, judge.price_step)), how, side if how == "passive" else None)
            lots = judge.size(spelled(rng, drawn(rng, lambda _, step=judge.step: step)), how)
            seen["values"] += 2
            if px is None or not lots:
                continue
            rule = judge.rule
            rows.append((rule.asset, True, px, lots, rule.sz_decimals, False, "Gtc", None, None))
            market = markets.get(rule.asset)
            assert market is None or market.is_on_grid(px), (rule.coin, px)
            if len(rows) == 50:
                judged_on_the_wire(rows)
                rows.clear()
    assert seen["values"] >= count
    for what in ("price", "size"):
        assert min(seen[f"{what} {end}"] for end in ("refused", "as it was", "rounded")) > count / 40, seen


def test_what_is_no_number_or_none_that_can_be_traded_raises(shared: Path) -> None:
    """G20: nonsense, zero, negatives and what no integer here can hold are refused in every mode, with a typed error."""
    metadata, _ = universes(shared)[0]
    for coin in ("BTC", "kPEPE", "PURR/USDC"):
        rule = metadata.rules[coin]
        for how in ("refuse", "passive", "nearest"):
            for value in (*NONSENSE, 0, "0", "-0", -0.0, "-1", -5, "1e30", 10**40, "9" * 400, 1e300):
                side = TradeType.BUY if how == "passive" else None
                for ask, more in ((rule.price_e8, (side, how)), (rule.lots, (how,))):
                    with pytest.raises((ValueError, TypeError)):
                        ask(value, *more)
