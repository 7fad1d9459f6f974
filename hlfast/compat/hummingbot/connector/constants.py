"""Numbers that Hummingbot's connectors share."""

from decimal import Decimal

NaN = float("nan")
s_decimal_NaN = Decimal("NaN")
s_decimal_0 = Decimal(0)

SECOND = 1
MINUTE = 60
TWELVE_HOURS = MINUTE * 60 * 12
DAY = TWELVE_HOURS * 2
