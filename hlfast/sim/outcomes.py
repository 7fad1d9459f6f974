"""Outcome markets (HIP-4) of the local exchange (layer 5): sides that trade between 0 and 1, split, merged, negated, settled.

An outcome has two sides; each is a token (`+<10 x outcome + side>`) and a market (`#<the same>`, asset 100000000 + the same)
against USDC. `splitOutcome` makes one of each side of a USDC, `mergeOutcome` the reverse. Of a question's outcomes exactly one
comes true: `mergeQuestion` takes a Yes of each for a USDC, and `negateOutcome` turns a No of one into a Yes of all others.
`settle` pays each side its share, and ends orders as `outcomeSettledCanceled`. Buying is free of fees, selling pays the spot
rate, settling nothing.

Chosen where the protocol does not say: 4 decimals of price and 2 of size; sides have books of their own; splitting and its
like leave no row in the ledger. USDC in complete sets is out of circulation until it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hlfast.sim.account import Account
from hlfast.sim.block import Block
from hlfast.sim.markets import OUTCOME_ASSETS, USD, USDC, Market, Token
from hlfast.sim.numbers import E8, scaled, text
from hlfast.sim.refusals import DEFAULT, Refused

if TYPE_CHECKING:
    from hlfast.sim.exchange import Exchange

TOKEN_INDEX = 1_000_000_000
"""Outcome tokens have no index at the venue; here they have one from here on, which nobody is told."""
SZ_DECIMALS, PX_DECIMALS = 2, 4
LOT_WEI = 10 ** (8 - SZ_DECIMALS)


@dataclass(frozen=True)
class Outcome:
    """`question`: of which it is an answer; the one that comes true if no named one does is the fallback."""

    number: int
    name: str
    description: str = ""
    sides: tuple[str, str] = ("Yes", "No")
    question: int | None = None
    is_fallback: bool = False

    def encoded(self, side: int) -> int:
        return 10 * self.number + side

    def token(self, side: int) -> Token:
        number = self.encoded(side)
        return Token(f"+{number}", TOKEN_INDEX + number, SZ_DECIMALS, 8, "")

    @property
    def row(self) -> dict[str, Any]:
        """As `outcomeMeta` lists it."""
        return {
            "outcome": self.number,
            "name": self.name,
            "description": self.description,
            "sideSpecs": [{"name": side} for side in self.sides],
            "quoteToken": USDC.name,
        }


def markets_of(outcomes: Iterable[Outcome]) -> list[Market]:
    return [
        Market(
            f"#{each.encoded(side)}",
            OUTCOME_ASSETS + each.encoded(side),
            SZ_DECIMALS,
            5,
            1,
            base=each.token(side),
            px_decimals=PX_DECIMALS,
        )
        for each in outcomes
        for side in (0, 1)
    ]


class Outcomes:
    """The outcomes of one exchange, and how those ended that have ended."""

    def __init__(self, exchange: Exchange, outcomes: Iterable[Outcome]) -> None:
        self._exchange = exchange
        self.by_number = {each.number: each for each in outcomes}
        self.settled: dict[int, tuple[int, str]] = {}
        """Outcome → (share of the first side by 1e8, details)."""
        self._due: list[tuple[int, int, str]] = []

    def settle(self, number: int, share_e8: int, details: str) -> None:
        """At the beginning of the next block."""
        self._due.append((number, share_e8, details))

    def on_block(self, block: Block) -> None:
        due, self._due = self._due, []
        for number, share_e8, details in due:
            if number in self.by_number and number not in self.settled:
                self.settled[number] = share_e8, details
                self._pay(self.by_number[number], share_e8, block)
                block.outcome_updates.append({"outcomeSettled": {"outcome": number}})

    def _pay(self, outcome: Outcome, share_e8: int, block: Block) -> None:
        exchange = self._exchange
        for side, px_e8 in ((0, share_e8), (1, E8 - share_e8)):
            book = exchange.execution.by_coin[f"#{outcome.encoded(side)}"]
            book.is_halted = True
            index = book.market.base.index
            for account in list(exchange.accounts.values()):
                for order in [order for order in account.open.values() if order.market is book.market]:
                    exchange.execution.cancel(order, "outcomeSettledCanceled")
                balance = account.spot.get(index)
                if balance is None or not balance.total_wei:
                    continue
                wei, paid_e8 = balance.total_wei, balance.total_wei * px_e8 // E8
                exchange.count(book.market.base.name, -wei)
                exchange.count(USDC.name, paid_e8)
                exchange.execution.book_settlement(account, book, wei // LOT_WEI, px_e8, paid_e8)

    # -- what a user may do with sets ------------------------------------------------------------------------------
    def live(self, number: int) -> Outcome:
        found = self.by_number.get(number)
        if found is None or number in self.settled:
            raise Refused(f"Outcome {number} is not active.")
        return found

    def of_question(self, question: int) -> list[Outcome]:
        found = [each for each in self.by_number.values() if each.question == question]
        if not found or any(each.number in self.settled for each in found):
            raise Refused(f"Question {question} is not active.")
        return found


def user_outcome(exchange: Exchange, account: Account, action: dict[str, Any]) -> dict[str, Any]:
    ((what, wanted),) = ((name, value) for name, value in action.items() if name != "type")
    outcomes = exchange.outcomes
    if what == "splitOutcome":
        outcome = outcomes.live(wanted["outcome"])
        wei = _wei(wanted["amount"], account.free_wei(USD))
        _exchange_tokens(exchange, account, wei, [USDC], [outcome.token(0), outcome.token(1)])
    elif what == "mergeOutcome":
        outcome = outcomes.live(wanted["outcome"])
        sides = [outcome.token(0), outcome.token(1)]
        wei = _wei(wanted["amount"], min(account.free_wei(token.index) for token in sides))
        _exchange_tokens(exchange, account, wei, sides, [USDC])
    elif what == "mergeQuestion":
        answers = [each.token(0) for each in outcomes.of_question(wanted["question"])]
        wei = _wei(wanted["amount"], min(account.free_wei(token.index) for token in answers))
        _exchange_tokens(exchange, account, wei, answers, [USDC])
    else:
        answers_of = outcomes.of_question(wanted["question"])
        outcome = next((each for each in answers_of if each.number == wanted["outcome"]), None)  # type: ignore[assignment]
        if outcome is None:
            raise Refused(f"Outcome {wanted['outcome']} is no answer to question {wanted['question']}.")
        wei = _wei(wanted["amount"], account.free_wei(outcome.token(1).index))
        others = [each.token(0) for each in answers_of if each is not outcome]
        _exchange_tokens(exchange, account, wei, [outcome.token(1)], others)
    return DEFAULT


def _wei(amount: str | None, most: int) -> int:
    """An amount on the lot grid; None is all that there is."""
    wei = most - most % LOT_WEI if amount is None else scaled(amount, 8)
    if wei is None or wei <= 0 or wei % LOT_WEI:
        raise Refused("Invalid send")
    return wei


def _exchange_tokens(exchange: Exchange, account: Account, wei: int, given: list[Token], got: list[Token]) -> None:
    if any(account.free_wei(token.index) < wei for token in given):
        raise Refused("Insufficient balance for token transfer.")
    for token, signed in (*((token, -wei) for token in given), *((token, wei) for token in got)):
        account.balance(token.index).total_wei += signed
        exchange.count(token.name, signed)
    exchange.execution.block.touched.add(account.address)


# -- queries ---------------------------------------------------------------------------------------------------------


def meta(exchange: Exchange) -> dict[str, Any]:
    outcomes = exchange.outcomes
    live = [each for each in outcomes.by_number.values() if each.number not in outcomes.settled]
    questions = sorted({each.question for each in live if each.question is not None})
    return {"outcomes": [each.row for each in live], "questions": [_question(exchange, number) for number in questions]}


def _question(exchange: Exchange, number: int) -> dict[str, Any]:
    answers = [each for each in exchange.outcomes.by_number.values() if each.question == number]
    named = [each.number for each in answers if not each.is_fallback]
    return {
        "question": number,
        "name": f"Question {number}",
        "description": "",
        "fallbackOutcome": next((each.number for each in answers if each.is_fallback), None),
        "namedOutcomes": named,
        "settledNamedOutcomes": [each for each in named if each in exchange.outcomes.settled],
    }


def settled(exchange: Exchange, number: int) -> dict[str, Any] | None:
    found = exchange.outcomes.settled.get(number)
    if found is None:
        return None
    return {
        "spec": exchange.outcomes.by_number[number].row,
        "settleFraction": text(found[0], 8),
        "details": found[1],
    }


OUTCOMES = (
    Outcome(1, "Coin", "class:demonstration|comes up heads"),
    Outcome(10, "Other", question=1, is_fallback=True),
    Outcome(11, "Red", question=1),
    Outcome(12, "Blue", question=1),
)
