"""The matching engine against a slow, plain second implementation: same fills, same resting book, for any input.

The model knows one market and no accounts' money: it keeps a list of resting orders in the order in which they came and
looks for the best one anew each time. What both must agree on is every fill (who, price, size), what rests in which
order, and each order's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.sim.execution import Ticket
from hlfast.sim.matching import Level

from .desk import ALICE, BOB, CAROL, Desk

ETH = 1
PEOPLE = (ALICE, BOB, CAROL)
TICK_E8 = 10**7
MIDDLE = 35_000
"""Prices are this many ticks of 0.1, and a few more or less; sizes are lots of 0.0001, large enough for the minimum."""


@dataclass
class Resting:
    number: int
    who: int
    is_buy: bool
    px: int
    left: int


class Model:
    """Price-time priority as one would explain it."""

    def __init__(self) -> None:
        self.resting: list[Resting] = []
        self.fills: list[tuple[int, int, int, int]] = []
        """(taker's number, maker's number, price, size)."""

    def place(self, number: int, who: int, is_buy: bool, px: int, size: int, tif: str) -> str:
        left = size
        if tif == "Alo" and self.best_against(is_buy, px) is not None:
            return "refused"
        while left:
            best = self.best_against(is_buy, px)
            if best is None:
                break
            if best.who == who:
                self.resting.remove(best)
                continue
            traded = min(left, best.left)
            self.fills.append((number, best.number, best.px, traded))
            left -= traded
            best.left -= traded
            if not best.left:
                self.resting.remove(best)
        if left and tif != "Ioc":
            self.resting.append(Resting(number, who, is_buy, px, left))
        return "filled" if left < size else ("refused" if tif == "Ioc" else "resting")

    def best_against(self, is_buy: bool, px: int) -> Resting | None:
        best = None
        for order in self.resting:
            if order.is_buy != is_buy and (order.px <= px if is_buy else order.px >= px):
                better = best is None or (order.px < best.px if is_buy else order.px > best.px)
                best = order if better else best
        return best

    def cancel(self, number: int) -> None:
        self.resting = [order for order in self.resting if order.number != number]

    def book(self, is_buy: bool) -> list[tuple[int, int, int]]:
        """(price, number, left), best first, oldest first at a price."""
        mine = [order for order in self.resting if order.is_buy == is_buy]
        return [(o.px, o.number, o.left) for o in sorted(mine, key=lambda o: -o.px if is_buy else o.px)]


PLACE = st.tuples(
    st.just("place"),
    st.integers(0, 2),
    st.booleans(),
    st.integers(MIDDLE - 4, MIDDLE + 4),
    st.integers(40, 400),
    st.sampled_from(("Gtc", "Gtc", "Alo", "Ioc")),
)
CANCEL = st.tuples(st.just("cancel"), st.integers(0, 30))
STEPS = st.lists(st.one_of(PLACE, PLACE, PLACE, CANCEL), max_size=60)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_fills_and_books_equal_the_plain_implementations(steps: list[tuple[Any, ...]]) -> None:
    """Given any sequence of orders and cancels of three accounts, then fills, answers and books are the model's."""
    desk, model = Desk(), Model()
    execution = desk.exchange.execution
    book = execution.books[ETH]
    desk.send()
    oids: list[int] = []
    for step in steps:
        if step[0] == "cancel":
            if step[1] < len(oids):
                number = step[1]
                model.cancel(number)
                order = next(
                    (a.open[oids[number]] for a in desk.exchange.accounts.values() if oids[number] in a.open), None
                )
                if order is not None:
                    execution.cancel(order)
        else:
            _, who, is_buy, px, size, tif = step
            expected = model.place(len(oids), who, is_buy, px, size, tif)
            account = desk.account(PEOPLE[who])
            answer = execution.place(account, Ticket(book.market, is_buy, px * TICK_E8, size, tif))
            oids.append(next(reversed(account.orders)))
            assert next(iter(answer)) == {"refused": "error"}.get(expected, expected)
        numbers = {oid: number for number, oid in enumerate(oids)}
        for is_buy in (True, False):
            ours = [
                (level.px_e8 // TICK_E8, numbers[oid], order.lots)
                for level in book.own(is_buy)
                for oid, order in level.orders.items()
            ]
            assert ours == model.book(is_buy)
    assert fills_of(desk, oids) == model.fills
    desk.send()  # asserts conservation of money, sizes and reserves


def fills_of(desk: Desk, oids: list[int]) -> list[tuple[int, int, int, int]]:
    """(taker, maker, price, size) of all trades, in their order, from the accounts' own rows."""
    numbers = {oid: number for number, oid in enumerate(oids)}
    rows = [row for who in PEOPLE for row in desk.account(who).fills]
    makers: dict[int, list[Any]] = {}
    for row in rows:
        if not row["crossed"]:
            makers.setdefault(row["tid"], []).append(row)
    found = []
    for row in (row for row in rows if row["crossed"]):
        other = makers[row["tid"]].pop(0)
        assert (other["px"], other["sz"], other["side"] != row["side"]) == (row["px"], row["sz"], True)
        px, lots = round(float(row["px"]) * 10), round(float(row["sz"]) * 10_000)
        found.append((numbers[row["oid"]], numbers[other["oid"]], px, lots))
    assert not any(makers.values()), "every maker's row has its taker's"
    return sorted(found, key=lambda fill: fill[0])


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, marks=st.lists(st.integers(3300, 3700), max_size=60))
def test_size_and_money_are_conserved_and_books_never_cross(steps: list[tuple[Any, ...]], marks: list[int]) -> None:
    """Given any orders, with leverage and marks that liquidate some, then sizes add up and nothing is crossed."""
    desk = Desk()
    for who in PEOPLE:
        desk.account(who).cash_e8 = 900 * 10**8
    book = desk.exchange.book("ETH")
    for at, step in enumerate(steps):
        if at < len(marks):
            desk.exchange.set_mark("ETH", marks[at])
        if step[0] == "place":
            _, who, is_buy, px, size, tif = step
            account = desk.account(PEOPLE[who])
            desk.exchange.execution.place(account, Ticket(book.market, is_buy, px * TICK_E8, size * 5, tif))
        desk.send()  # asserts conservation
        bid, ask = book.bids.best, book.asks.best
        assert bid is None or ask is None or bid.px_e8 < ask.px_e8
        for side in (book.bids, book.asks):
            for level in side:
                assert level.lots == sum(order.lots for order in level.orders.values()) > 0
                assert list(level.orders) == sorted(level.orders), "oldest first"
    for who in PEOPLE:
        for order in desk.account(who).orders.values():
            assert 0 <= order.filled_lots <= order.orig_lots
    bought = sum(order.filled_lots for who in PEOPLE for order in desk.account(who).orders.values() if order.is_buy)
    sold = sum(order.filled_lots for who in PEOPLE for order in desk.account(who).orders.values() if not order.is_buy)
    backstop = [a for a in desk.exchange.accounts.values() if a.is_house]
    taken = sum(p.lots for a in backstop for p in a.positions.values())
    assert bought - sold == -taken


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(st.tuples(PLACE, st.booleans()), max_size=50))
def test_reduce_only_orders_never_turn_a_position_and_never_exceed_it(steps: list[tuple[Any, bool]]) -> None:
    """Given any orders, half of them reduce-only, then what rests reduce-only closes, and together no more than all."""
    desk = Desk()
    book = desk.exchange.book("ETH")
    for (_, who, is_buy, px, size, tif), is_reduce_only in steps:
        account = desk.account(PEOPLE[who])
        before = account.position(book).lots
        ticket = Ticket(book.market, is_buy, px * TICK_E8, size, tif, is_reduce_only)
        desk.exchange.execution.place(account, ticket)
        if is_reduce_only:
            after = account.position(book).lots
            assert before * after >= 0 and abs(after) <= abs(before)
        desk.send()
        for person in PEOPLE:
            lots = desk.account(person).position(book).lots
            resting = desk.account(person).resting_reduce_only(book.market)
            assert all(order.is_buy == (lots < 0) for order in resting)
            assert sum(order.lots for order in resting) <= abs(lots)


def test_the_comparison_can_tell_a_wrong_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given an engine that forgets time priority, then its book is not the model's."""
    monkeypatch.setattr(Level, "first", property(lambda level: next(reversed(level.orders.values()))))
    model, desk = Model(), Desk()
    execution, market = desk.exchange.execution, desk.exchange.book("ETH").market
    for number, (is_buy, tif) in enumerate(((True, "Gtc"), (True, "Gtc"), (False, "Ioc"))):
        model.place(number, number, is_buy, MIDDLE, 100, tif)
        execution.place(desk.account(PEOPLE[number]), Ticket(market, is_buy, MIDDLE * TICK_E8, 100, tif))
    assert model.book(True) == [(MIDDLE, 1, 100)]
    assert list(desk.account(ALICE).open) and not desk.account(BOB).open, "the newer one was filled"
