"""Funding's formulas (local exchange, layer 5): impact prices, premium samples and the hourly rate.

Rates and premiums are integers by 1e10; prices `_e8`. `funding` keeps the hours and moves the money.
"""

from __future__ import annotations

from hlfast.sim.matching import Book
from hlfast.sim.numbers import E8, half_even

E10 = 10**10
INTEREST_E10 = E10 // 10_000
CLAMP_E10 = 5 * E10 // 10_000
MOST_E10 = 4 * E10 // 100
IMPACT_NTL_E8 = {"BTC": 20_000 * E8, "ETH": 20_000 * E8}
OTHER_IMPACT_NTL_E8 = 6_000 * E8


def impact_pxs(book: Book) -> tuple[int | None, int | None]:
    """What selling and buying the market's impact value would fetch and cost on average."""
    depth = IMPACT_NTL_E8.get(book.market.coin, OTHER_IMPACT_NTL_E8)
    return book.average_px_e8(False, depth), book.average_px_e8(True, depth)


def premium_e10(book: Book) -> int | None:
    """None on a book that is too thin for both sides."""
    bid, ask = impact_pxs(book)
    if bid is None or ask is None:
        return None
    oracle = book.oracle_e8
    if book.market.dex:  # a builder dex's: the middle of the impact prices, without a dead zone between them
        return half_even((bid + ask - 2 * oracle) * E10, 2 * oracle)
    return half_even((max(bid - oracle, 0) - max(oracle - ask, 0)) * E10, oracle)


def hourly_e10(premium: int) -> int:
    """The hourly rate for an average premium."""
    rate = premium + max(-CLAMP_E10, min(CLAMP_E10, INTEREST_E10 - premium))
    return max(-MOST_E10, min(MOST_E10, half_even(rate, 8)))
