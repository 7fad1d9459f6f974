"""Request weights and budgets, counted here as the venue counts them (layer 2, warm).

* per IP: 1200 weight a minute over actions and queries; an action of n items weighs 1 + n // 40
* per address: one request an item; the venue's cap is 10,000 + the volume traded
* over sockets: 2000 messages a minute, 100 posts in flight

Cancels are counted but never refused. Time comes in as `now_ms`, so that nothing here reads a clock. Constant time.
"""

from __future__ import annotations

from hlfast.errors import NotReady

IP_WEIGHT_PER_MINUTE = 1200
MESSAGES_PER_MINUTE = 2000
POSTS_IN_FLIGHT = 100
MAX_ITEMS_PER_ACTION = 200

QUERY_WEIGHT = {
    "l2Book": 2,
    "allMids": 2,
    "clearinghouseState": 2,
    "orderStatus": 2,
    "spotClearinghouseState": 2,
    "exchangeStatus": 2,
    "userRole": 60,
}
"""Every query that is not listed weighs 20."""

PER_ITEM = {
    "recentTrades": 20,
    "historicalOrders": 20,
    "userFills": 20,
    "userFillsByTime": 20,
    "fundingHistory": 20,
    "userFunding": 20,
    "userNonFundingLedgerUpdates": 20,
    "twapHistory": 20,
    "userTwapSliceFills": 20,
    "delegatorHistory": 20,
    "delegatorRewards": 20,
    "candleSnapshot": 60,
}
"""Queries that weigh one more for each so many rows of their answer."""


def action_weight(items: int) -> int:
    """IP weight of an action with `items` orders, cancels or modifies."""
    return 1 + items // 40


def query_weight(kind: str, rows: int = 0) -> int:
    """IP weight of the query `kind` whose answer has `rows` rows."""
    weight = QUERY_WEIGHT.get(kind, 20)
    per = PER_ITEM.get(kind)
    return weight + rows // per if per else weight


class Window:
    """A budget of `limit` units in any minute, kept in 60 one-second buckets."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buckets = [0] * 60
        self._second = 0
        self.used = 0

    def _advance(self, now_ms: int) -> None:
        second = now_ms // 1000
        step = second - self._second
        if step <= 0:
            return
        if step >= 60:
            self._buckets = [0] * 60
            self.used = 0
        else:
            for at in range(self._second + 1, second + 1):
                slot = at % 60
                self.used -= self._buckets[slot]
                self._buckets[slot] = 0
        self._second = second

    def add(self, units: int, now_ms: int) -> None:
        self._advance(now_ms)
        self._buckets[self._second % 60] += units
        self.used += units

    def left(self, now_ms: int) -> int:
        self._advance(now_ms)
        return self.limit - self.used


class Limits:
    """What this process has used of the venue's budgets, and who spent it (`spent_on`)."""

    def __init__(self, *, cancel_reserve: int = 100) -> None:
        self.weight = Window(IP_WEIGHT_PER_MINUTE)
        self.messages = Window(MESSAGES_PER_MINUTE)
        self.cancel_reserve = cancel_reserve
        self.spent_on: dict[str, int] = {}
        self.address_requests = 0

    def check_order(self, items: int, now_ms: int) -> None:
        """Raise `NotReady` if an order action of `items` would use up the weight that is kept for cancels."""
        left = self.weight.left(now_ms)
        if left - action_weight(items) < self.cancel_reserve:
            raise NotReady(
                f"the venue's request budget is nearly used up ({left} of {self.weight.limit} left this minute, "
                f"{self.cancel_reserve} kept for cancels); send fewer requests or batch them"
            )

    def spend(self, what: str, weight: int, now_ms: int, *, items: int = 0) -> None:
        """Count one message of `weight`; `items` counts against the address's budget."""
        self.weight.add(weight, now_ms)
        self.messages.add(1, now_ms)
        self.spent_on[what] = self.spent_on.get(what, 0) + weight
        self.address_requests += items
