"""The judge of the chaos run, the state machine and the fault matrix sees each lie that it is there to see."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest

from ..life import Life, Wish


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def life():
    """One order rests half filled, one is filled, one cancelled, one refused."""
    with Life() as life:
        life.place(Wish("buy", 3, "0.001", "Ioc"))
        life.wait(100)
        life.place(Wish("buy", 3, "0.001", "Alo"))
        life.place(Wish("sell", -1, "0.001"))
        life.wait(100)
        life.cancel(0)
        life.wait(100)
        life.place(Wish("buy", 0, "0.003"))
        life.wait(100)
        life.others_trade("sell", "0.001")
        life.wait(100)
        assert [o.state.name for o in life.judge.orders] == ["FILLED", "FAILED", "CANCELLED", "PARTIALLY_FILLED"]
        assert life.judge.at_once() == life.judge.settled() == []
        yield life


FILLED, REFUSED, CANCELLED, RESTING = range(4)

LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "cash": (lambda r: r.__setitem__("cash", "1"), "cash USDC: ours"),
    "fees": (lambda r: r["fees"].__setitem__("USDC", "1"), "fees USDC: ours"),
    "position": (lambda r: r["positions"].clear(), "positions: ours"),
    "a fill that is not booked": (lambda r: r["fills"].append({**r["fills"][0], "tid": 1}), "ours missing, exchange"),
    "a fill that is booked and not there": (lambda r: r["fills"].pop(), "exchange unknown"),
    "filled less": (lambda r: r["orders"][FILLED].__setitem__("filled", "0.0"), "filled 0.001, the exchange's 0.0"),
    "failed and lived": (lambda r: r["orders"][REFUSED].__setitem__("status", "canceled"), "called FAILED, but"),
    "cancelled and rests": (lambda r: r["orders"][CANCELLED].__setitem__("status", "open"), "it rests at the exchange"),
    "cancelled and never there": (lambda r: r["orders"].pop(CANCELLED), "the exchange never had it"),
    "rests under another id": (lambda r: r["orders"][RESTING].__setitem__("oid", 7), "rests as 7, known as"),
    "rests at another price": (lambda r: r["orders"][RESTING].__setitem__("px", "1.0"), "rests as 0.002 at 1.0"),
    "rests twice": (lambda r: r["orders"].append({**r["orders"][RESTING], "filled": "0"}), "rests 2 times"),
    "open and gone": (lambda r: r["orders"][RESTING].__setitem__("status", "canceled"), "not ended; the exchange has"),
}
AT_ONCE = ("a fill that is booked and not there", "filled less", "failed and lived", "cancelled and rests")


@pytest.mark.parametrize("lie", LIES)
def test_a_difference_from_the_exchanges_record_is_seen(life, monkeypatch, lie):
    """G2-G8: each thing that may differ; those that nothing excuses are seen at any moment."""
    change, words = LIES[lie]
    true = life.exchange.truth

    def record(user: str) -> dict[str, Any]:
        told = copy.deepcopy(true(user))
        change(told)
        return told

    monkeypatch.setattr(life.exchange, "truth", record)
    assert any(words in text for text in life.judge.settled()), life.judge.settled()
    assert bool(life.judge.at_once()) == (lie in AT_ONCE)
    monkeypatch.undo()


SEQUENCES = {
    "ended more than once": ["OrderCreated", "OrderCancelled", "OrderCompleted"],
    "created more than once": ["OrderCreated", "OrderCreated"],
    "told before it was created": ["OrderFilled", "OrderCreated"],
    "told after its end": ["OrderCreated", "OrderCancelled", "OrderModified"],
    "a fill after the end is late": ["OrderCreated", "OrderCancelled", "OrderFilled"],
}


@pytest.mark.parametrize("words", SEQUENCES)
def test_events_in_another_order_are_seen(life, monkeypatch, words):
    """G2, G3, G4, G5."""
    order = life.judge.orders[CANCELLED]
    monkeypatch.setitem(life.judge.told, order.client_order_id, SEQUENCES[words])
    assert any(words in text for text in life.judge.at_once())
    monkeypatch.undo()
