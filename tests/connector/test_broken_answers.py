"""Recovery on broken answers: whatever the venue's queries bring, nothing dies, and the truth is found when they are whole again."""

from __future__ import annotations

import asyncio
import copy
import random
from decimal import Decimal
from typing import Any

import pytest

from hlfast.sim import FUNDED_ACCOUNTS, SimExchange

from .conftest import Heard, Open

OTHER_KINDS = [None, {}, [], "", "x", 0, -1, 1.5, True, [None], [[]], [{}], {"status": "order", "order": None}]


def broken(answer: Any, rng: random.Random) -> Any:
    """The answer with a value of no kind that it may have, without one of its parts, or something else altogether.

    Another number in the place of a number is not among it: nobody can tell that from what happened.
    """
    if rng.random() < 0.3 or not isinstance(answer, (dict, list)) or not answer:
        return rng.choice(OTHER_KINDS)
    changed = copy.deepcopy(answer)
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            spots.append((node, key))
            if isinstance(child, (dict, list)):
                walk(child)

    walk(changed)
    node, key = rng.choice(spots)
    if rng.random() < 0.4:
        del node[key]
    else:
        node[key] = rng.choice([None, "x", [], {}, [[]], {"coin": None}])
    return changed


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(n, marks=pytest.mark.long) for n in range(4, 40))])
async def test_broken_answers_end_nothing_and_the_record_is_agreed_once_they_are_whole(
    exchange: SimExchange, trader: Open, seed: int
) -> None:
    """G12, G13, G19: given queries whose answers are damaged through six outages, then the connector lives, its orders are
    what the exchange has, and its position and fills are too."""
    rng = random.Random(seed)
    hl = await trader(0)
    heard = Heard(hl)
    exchange.engine.house.rest("BTC", "sell", 65_010, 5)
    resting = [hl.buy("BTC", "0.01", str(60_000 + n)) for n in range(7)]
    for order in resting:
        assert await order.accepted()
    bought = hl.buy("BTC", "0.5", "65010", tif="Gtc")
    await asyncio.wait_for(bought.done(), 5)
    whole, is_broken, asked = hl.info._ask, True, 0

    async def ask(payload: dict[str, Any]) -> Any:
        nonlocal asked
        answer = await whole(payload)
        if not is_broken or rng.random() < 0.5:
            return answer
        asked += 1
        return broken(answer, rng)

    hl.info._ask = ask
    for n in range(6):
        await exchange.cut(0.05)
        if n < 2:  # gone while nobody listens
            exchange.engine.house.take("BTC", "sell", "0.01", None)
        await asyncio.sleep(0.3)
    is_broken = False
    await exchange.cut(0.05)
    await asyncio.sleep(0.2)
    await hl.wait_ready(10)
    for _ in range(500):
        truth = exchange.truth(FUNDED_ACCOUNTS[0].address)
        status = {row["cloid"]: row["status"] for row in truth["orders"]}
        agreed = all((status[order.cloid] == "open") is not order.is_done for order in resting)
        szi = truth["positions"].get("BTC", {}).get("szi", "0")
        if agreed and hl.positions["BTC"].size == Decimal(szi):
            break
        await asyncio.sleep(0.02)
    assert asked > 3
    assert agreed and hl.positions["BTC"].size == Decimal(szi)
    for order in (*resting, bought):
        row = next(row for row in truth["orders"] if row["cloid"] == order.cloid)
        assert order.filled_amount == Decimal(row["filled"]), row
        ends = [
            name
            for name in heard.names(order)
            if name in ("OrderCompleted", "OrderCancelled", "OrderFailed", "OrderExpired")
        ]
        assert len(ends) == order.is_done, ends
    assert hl.tracker.counters["fills"] == len(truth["fills"])
