"""Whether an order may be taken (local exchange, layer 5): one function a rule, and tables of which rules apply when.

A check gets the order and its book and returns the venue's text without its " asset=N", or None. The first one in a
table that fails names the status of the order's row. To add a rule: a function, and a line in the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from hlfast.sim.markets import MIN_NTL_E8
from hlfast.sim.matching import Book, Order
from hlfast.sim.numbers import E8, short

CAPPED = "Order would increase open interest while open interest is capped"
OPEN_ORDERS = 1000
"""So many open orders anybody may have; more come with volume, and from here on no reduce-only and no triggers."""
MOST_OPEN_ORDERS = 5000
VOLUME_PER_ORDER_E8 = 5_000_000 * E8


def _off_tick(order: Order, book: Book) -> str | None:
    return None if order.market.is_on_grid(order.px_e8) else "Price must be divisible by tick size."


def _not_reducing(order: Order, book: Book) -> str | None:
    if not order.reduce_only:
        return None
    lots = order.account.position(book).lots
    return "Reduce only order would increase position." if lots == 0 or (lots > 0) == order.is_buy else None


def _too_small(order: Order, book: Book) -> str | None:
    """Closing the whole position is exempt. An order that trades at once counts at the price that it meets first."""
    level = None if order.rests else book.touch(order.is_buy, order.px_e8)
    px_e8 = order.px_e8 if level is None else level.px_e8
    if order.market.ntl_e8(px_e8, order.lots) >= MIN_NTL_E8:
        return None
    if not order.market.is_spot:
        lots = order.account.position(book).lots
        closes = lots and (lots > 0) != order.is_buy
        if closes and (order.lots == abs(lots) or (order.reduce_only and order.lots > abs(lots))):
            return None
    return order.market.minimum_text


def _too_many_open(order: Order, book: Book) -> str | None:
    count = len(order.account.open)
    if count < OPEN_ORDERS:
        return None
    is_barred = order.reduce_only or order.trigger is not None
    most = min(MOST_OPEN_ORDERS, OPEN_ORDERS + order.account.volume_e8 // VOLUME_PER_ORDER_E8)
    return "Too many open orders" if is_barred or (order.rests and count >= most) else None


def _post_only_crosses(order: Order, book: Book) -> str | None:
    if order.tif != "Alo" or book.touch(order.is_buy, order.px_e8) is None:
        return None
    bid, ask = (short(level.px_e8, 8) if level else "0" for level in (book.bids.best, book.asks.best))
    return f"Post only order would have immediately matched, bbo was {bid} @ {ask}."


def _market_without_book(order: Order, book: Book) -> str | None:
    if order.tif == "FrontendMarket" and not book.opposite(order.is_buy):
        return "No liquidity available for market order."
    return None


def _too_far_from_oracle(order: Order, book: Book) -> str | None:
    percent = book.oracle_band_percent
    if percent is None or abs(order.px_e8 - book.oracle_e8) * 100 <= percent * book.oracle_e8:
        return None
    return "Price too far from oracle"


def _change(order: Order, book: Book) -> tuple[int, int]:
    """The position before the order and after all of it."""
    lots = order.account.position(book).lots
    return lots, lots + (order.lots if order.is_buy else -order.lots)


def _opens_at_cap(order: Order, book: Book) -> bool:
    if order.market.is_spot or order.reduce_only or order.account.is_house or not book.is_at_cap:
        return False
    before, after = _change(order, book)
    return abs(after) > abs(before) or (before > 0) != (after > 0 or not after)


def _increases_at_cap(order: Order, book: Book) -> str | None:
    """What would open and trades now; what would rest may wait for room, unless it is more aggressive than the oracle."""
    if not _opens_at_cap(order, book) or book.touch(order.is_buy, order.px_e8) is None:
        return None
    before, after = _change(order, book)
    return CAPPED if not before or (before > 0) == (after > 0) else None


def _flips_at_cap(order: Order, book: Book) -> str | None:
    if not _opens_at_cap(order, book) or book.touch(order.is_buy, order.px_e8) is None:
        return None
    return CAPPED


def _too_aggressive_at_cap(order: Order, book: Book) -> str | None:
    oracle = book.oracle_e8
    if not _opens_at_cap(order, book) or (order.px_e8 <= oracle if order.is_buy else order.px_e8 >= oracle):
        return None
    return "Order rejected due to price more aggressive than oracle while at open interest cap"


def _without_margin(order: Order, book: Book) -> str | None:
    """At the limit price, or at mark for a sale below it, which trades at better prices than its limit."""
    if order.market.is_spot or order.reduce_only or order.account.is_house:
        return None
    px_e8 = order.px_e8 if order.is_buy else max(order.px_e8, book.mark_e8)
    ntl_e8 = order.market.ntl_e8(px_e8, order.lots)
    purse = order.account.purse(order.market.dex)
    affordable = purse.can_open(order.account.position(book), order.is_buy, ntl_e8)
    return None if affordable else "Insufficient margin to place order."


def _beyond_tier(order: Order, book: Book) -> str | None:
    if order.market.is_spot or order.reduce_only or len(order.market.tiers) == 1:
        return None
    position = order.account.position(book)
    most_e8 = order.market.max_position_e8(position.leverage)
    if most_e8 is None:
        return None
    then = position.lots + (order.lots if order.is_buy else -order.lots)
    if abs(then) <= abs(position.lots) or order.market.ntl_e8(book.mark_e8, abs(then)) <= most_e8:
        return None
    return "Order would cause position to exceed margin tier limit at current leverage"


def _without_balance(order: Order, book: Book) -> str | None:
    if not order.market.is_spot:
        return None
    market = order.market
    if order.is_buy:
        covered = order.account.free_wei(market.quote.index) >= market.ntl_e8(order.px_e8, order.lots)
    else:
        covered = order.account.free_wei(market.base.index) >= market.base_wei(order.lots)
    return None if covered else "Insufficient spot balance"


def _trigger_off_tick(order: Order, book: Book) -> str | None:
    assert order.trigger is not None
    on_grid = order.market.is_on_grid(order.trigger.px_e8)
    return None if on_grid else "Price must be divisible by tick size."


def _too_small_to_wait(order: Order, book: Book) -> str | None:
    """An order bound to a position counts when it fires."""
    return None if order.is_position_bound and not order.lots else _too_small(order, book)


def _already_met(order: Order, book: Book) -> str | None:
    assert order.trigger is not None
    return "Invalid TP/SL price." if order.trigger.is_met(order.is_buy, book.mark_e8) else None


Checks: TypeAlias = "tuple[tuple[str, Callable[[Order, Book], str | None]], ...]"

CHECKS: Checks = (
    ("tickRejected", _off_tick),
    ("reduceOnlyRejected", _not_reducing),
    ("minTradeNtlRejected", _too_small),
    ("tooManyOpenOrdersRejected", _too_many_open),
    ("oracleRejected", _too_far_from_oracle),
    ("badAloPxRejected", _post_only_crosses),
    ("marketOrderNoLiquidityRejected", _market_without_book),
    ("positionIncreaseAtOpenInterestCapRejected", _increases_at_cap),
    ("positionFlipAtOpenInterestCapRejected", _flips_at_cap),
    ("tooAggressiveAtOpenInterestCapRejected", _too_aggressive_at_cap),
    ("perpMaxPositionRejected", _beyond_tier),
    ("perpMarginRejected", _without_margin),
    ("insufficientSpotBalanceRejected", _without_balance),
)
WAITING_CHECKS: Checks = (
    ("tickRejected", _off_tick),
    ("tickRejected", _trigger_off_tick),
    ("minTradeNtlRejected", _too_small_to_wait),
    ("tooManyOpenOrdersRejected", _too_many_open),
    ("badTriggerPxRejected", _already_met),
)
"""Of an order that waits for a trigger; the rest is told when it fires."""
POSITION_CHECKS: Checks = (("reduceOnlyRejected", _not_reducing), *WAITING_CHECKS)
"""Of an order bound to a position."""
CHILD_CHECKS: Checks = WAITING_CHECKS[:-1]
"""Of a child that waits for its parent: the mark may be beyond its price by then, or not."""
SLICE_CHECKS: Checks = tuple(
    check for check in CHECKS if check[1] in (_not_reducing, _beyond_tier, _without_margin, _without_balance)
)
"""Of a slice of a TWAP, which may be smaller than an order."""
FIRED_CHECKS: Checks = tuple(check for check in CHECKS if check[0] != "tooManyOpenOrdersRejected")
