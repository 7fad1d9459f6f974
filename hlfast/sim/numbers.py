"""Exact decimal text and scaled integers (local exchange, layer 5).

The exchange holds every amount as an integer: prices and USDC by 1e8 (`_e8`), sizes in lots of 10^-szDecimals
(`_lots`), token amounts in 10^-weiDecimals (`_wei`). The wire speaks decimal text. No float takes part in money.

Output text always has a fraction ("83757.0"), as the venue prints it; input text is canonical (no trailing zeros).
This shares no code with hlfast's own number kernels: the exchange is the other side of the test.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache

from hlfast.errors import ConfigError

E8 = 10**8
POW10: tuple[int, ...] = tuple(10**n for n in range(41))


@lru_cache(maxsize=1 << 16)
def text(value: int, decimals: int) -> str:
    """`value` * 10^-decimals as the venue prints it: at least one decimal, no zeros beyond it."""
    digits = str(abs(value)).rjust(decimals + 1, "0")
    split = len(digits) - decimals
    fraction = digits[split:].rstrip("0") or "0"
    return f"{'-' if value < 0 else ''}{digits[:split]}.{fraction}"


def short(value: int, decimals: int) -> str:
    """Like `text`, but an integer has no fraction: the way the venue writes numbers inside its sentences."""
    return text(value, decimals).removesuffix(".0")


def scaled(number: str, decimals: int) -> int | None:
    """Canonical decimal text times 10^decimals; None if it has more decimals than that."""
    whole, _, fraction = number.partition(".")
    if len(fraction) > decimals:
        return None
    return int(whole + fraction.ljust(decimals, "0"))


def price_e8(px: str | int | Decimal) -> int:
    """A price that a person gives, by 1e8. Raises ConfigError if it is not above 0 or finer than that."""
    try:
        value = Decimal(px).scaleb(8) if not isinstance(px, float) else None
    except InvalidOperation:
        value = None
    if value is None or not value.is_finite() or value <= 0 or value != int(value):
        raise ConfigError(
            f'a price must be text, int or Decimal above 0 with at most 8 decimals, got {px!r}; say "65000.5"'
        )
    return int(value)


def half_even(numerator: int, denominator: int) -> int:
    """The quotient rounded half to even; `denominator` > 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient & 1):
        quotient += 1
    return quotient
