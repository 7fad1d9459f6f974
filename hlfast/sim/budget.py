"""How many actions an address may send (local exchange, layer 5): the venue's address budget.

10,000 requests and one more for each USDC traded in the account's life; an action costs as many as it has orders,
cancels or modifies. Cancels have a larger cap, so that a spent account can still leave. When all is spent, one request
passes every 10 s; a refused one costs nothing and does not start the 10 s anew. `scale` multiplies the 10,000 (and the
cancels' 100,000), so that a test can spend a budget; None counts without refusing.
"""

from __future__ import annotations

from hlfast.errors import ConfigError
from hlfast.sim.account import Account
from hlfast.sim.numbers import E8

FREE_REQUESTS = 10_000
CANCEL_EXTRA = 100_000
DRIP_MS = 10_000
STALE_COST = 5
"""An action that expired costs this many times its requests."""


class AddressBudget:
    def __init__(self, limits: str | float) -> None:
        """`limits` is "off", "real", or a factor."""
        named: dict[str | float, float | None] = {"off": None, "real": 1.0}
        scale = named.get(limits, limits)
        if scale is not None and (isinstance(scale, str) or not scale > 0):
            raise ConfigError(f'address_limits must be "off", "real" or a factor above 0, got {limits!r}')
        self._free = FREE_REQUESTS if scale is None else max(1, round(FREE_REQUESTS * scale))
        self._extra = CANCEL_EXTRA if scale is None else max(1, round(CANCEL_EXTRA * scale))
        self._is_enforced = scale is not None

    def cap(self, account: Account) -> int:
        return self._free + account.volume_e8 // E8

    def refusal(self, account: Account, cost: int, is_cancel: bool, now_ms: int) -> str | None:
        """The venue's text if this action is one too many. Lets one through every 10 s."""
        if not self._is_enforced:
            return None
        cap = most = self.cap(account)
        if is_cancel:
            most = min(cap + self._extra, 2 * cap)
        used = account.requests_used - account.requests_reserved
        if used + cost <= most:
            return None
        if cost == 1 and now_ms >= account.dripped_ms + DRIP_MS:
            account.dripped_ms = now_ms
            return None
        cents = account.volume_e8 // 10**6
        return (
            f"Too many cumulative requests sent ({used + cost} > {most}) for cumulative volume traded "
            f"${cents // 100}.{cents % 100:02d}. Place taker orders to free up 1 request per USDC traded."
        )
