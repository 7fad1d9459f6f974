"""Request weights and budgets, counted here as the venue counts them (layer 2, hot).

* per IP: 1200 weight a minute over actions and queries; an action of n items weighs 1 + n // 40
* per address: one request an item; the venue's cap is 10,000 + the volume traded
* over sockets: 2000 messages a minute, 100 posts in flight

Orders are refused while what is kept for cancels would be touched; cancels are counted but never refused. Time comes in as `now_ms`, so that nothing here reads a clock. Constant time.
"""

from libc.stdint cimport int64_t
from libc.string cimport memset

from hlfast.errors import NotReady
from hlfast.venues.hyperliquid import endpoints

IP_WEIGHT_PER_MINUTE = 1200
MESSAGES_PER_MINUTE = 2000
POSTS_IN_FLIGHT = 100
MAX_ITEMS_PER_ACTION = 200

QUERY_WEIGHT = {name: entry.weight for name, entry in endpoints.QUERIES.items()}
"""A query that has no entry weighs 20."""

PER_ITEM = {name: entry.per_rows for name, entry in endpoints.QUERIES.items() if entry.per_rows}
"""Queries that weigh one more for each so many rows of their answer."""


def action_weight(items: int) -> int:
    """IP weight of an action with `items` orders, cancels or modifies."""
    return 1 + items // 40


def query_weight(kind: str, rows: int = 0) -> int:
    """IP weight of the query `kind` whose answer has `rows` rows."""
    weight = QUERY_WEIGHT.get(kind, 20)
    per = PER_ITEM.get(kind)
    return weight + rows // per if per else weight


cdef class Window:
    """A budget of `limit` units in any minute, kept in 60 one-second buckets."""

    def __init__(self, int64_t limit):
        self.limit = limit

    cdef int _advance(self, int64_t now_ms) except -1:
        cdef int64_t second = max(now_ms, 0) // 1000, step = second - self._second, at  # never below the first bucket
        if step == 0 or step == -1:
            return 0
        if step < 0 or step >= 60:  # a clock that was set back, or a minute without a word: begin anew
            self.used = 0
            memset(self._buckets, 0, sizeof(self._buckets))
            step = 0
        for at in range(self._second + 1, self._second + step + 1):
            self.used -= self._buckets[at % 60]
            self._buckets[at % 60] = 0
        self._second = second
        return 0

    cdef int take(self, int64_t units, int64_t now_ms) except -1:
        self._advance(now_ms)
        self._buckets[self._second % 60] += units
        self.used += units
        return 0

    cdef int64_t rest(self, int64_t now_ms) except? -1:
        self._advance(now_ms)
        return self.limit - self.used

    def add(self, int64_t units, int64_t now_ms):
        """Count `units` as used now."""
        self.take(units, now_ms)

    def left(self, int64_t now_ms):
        """What is left of the budget of the minute that ends now."""
        return self.rest(now_ms)


cdef class Limits:
    """What this process has used of the venue's budgets, and who spent it (`spent_on`).

    `enforced`: orders that would go beyond a budget are refused here; without, they are only counted. A 429 of the venue
    always silences.
    """

    def __init__(self, *, int64_t cancel_reserve=100, bint enforced=True):
        self.weight = Window(IP_WEIGHT_PER_MINUTE)
        self.messages = Window(MESSAGES_PER_MINUTE)
        self.cancel_reserve = cancel_reserve
        self.enforced = enforced
        self.spent_on = {}
        self._requests = Window(0)

    cpdef int check_order(self, int64_t items, int64_t now_ms) except -1:
        """Raise `NotReady` if an order action of `items` would use up what is kept for cancels."""
        cdef int64_t left = self.weight.rest(now_ms)
        self.check_query(now_ms)
        if not self.enforced:
            return 0
        if left - 1 - items // 40 < self.cancel_reserve:
            raise NotReady(
                f"the venue's request budget is nearly used up ({left} of {self.weight.limit} left this minute, "
                f"{self.cancel_reserve} kept for cancels); send fewer requests or batch them"
            )
        left = self.messages.rest(now_ms)
        if left <= self.cancel_reserve:
            raise NotReady(
                f"the venue's message budget is nearly used up ({left} of {self.messages.limit} left this minute, "
                f"{self.cancel_reserve} kept for cancels); send fewer messages or batch orders"
            )
        if self.address_cap and self.address_used + items > self.address_cap:
            raise NotReady(
                f"the account's requests are used up ({self.address_used} of {self.address_cap}: 10,000 and one for each USDC "
                "traded); trade, or buy more with reserveRequestWeight. Cancels still go out"
            )
        return 0

    cpdef int check_query(self, int64_t now_ms) except -1:
        """Raise `NotReady` while the venue has asked for silence with a 429. Cancels are not held back."""
        if self.blocked_until_ms - 60_000 <= now_ms < self.blocked_until_ms:  # longer than a minute: a clock set back
            raise NotReady(
                f"the venue answered 429 (too many requests); nothing but cancels is sent for another "
                f"{(self.blocked_until_ms - now_ms) / 1000:.1f} s"
            )
        return 0

    def note_429(self, int64_t now_ms):
        """The venue refused a request for its weight: silence for 2 s, doubling with each further one up to a minute."""
        if now_ms >= self.blocked_until_ms:
            self._silence_ms = min(max(2 * self._silence_ms, 2_000), 60_000) if now_ms - self.blocked_until_ms < 60_000 else 2_000
            self.blocked_until_ms = now_ms + self._silence_ms
        self.refusals += 1

    cpdef int spend(self, str what, int64_t weight, int64_t now_ms, int64_t items=0) except -1:
        """Count one message of `weight`; `items` counts against the address's budget."""
        self.weight.take(weight, now_ms)
        self.messages.take(1, now_ms)
        self.spent_on[what] = self.spent_on.get(what, 0) + weight
        if items:
            self.address_used += items
            self._requests.take(items, now_ms)
        return 0

    def set_address(self, int64_t used, int64_t cap):
        """What the venue says of the account's requests (`userRateLimit`)."""
        self.address_used = used
        self.address_cap = cap

    def trade(self, double quote):
        """The account traded so much: its cap grows by one request a USDC."""
        if self.address_cap:
            self._traded += quote
            self.address_cap += <int64_t>self._traded
            self._traded -= <int64_t>self._traded

    @property
    def cancel_cap(self):
        """Requests up to which cancels still go out: min(cap + 100,000, 2 x cap)."""
        return min(self.address_cap + 100_000, 2 * self.address_cap)

    def report(self, int64_t now_ms):
        """What is used and left, who spent it, and in how many minutes orders and cancels stop at the present rate."""
        self._requests._advance(now_ms)
        rate = self._requests.used

        def minutes(cap):
            return None if not rate or not self.address_cap else max(0.0, (cap - self.address_used) / rate)

        return {
            "weight_left": self.weight.rest(now_ms),
            "messages_left": self.messages.rest(now_ms),
            "address_used": self.address_used,
            "address_cap": self.address_cap,
            "requests_a_minute": rate,
            "orders_stop_in_minutes": minutes(self.address_cap),
            "cancels_stop_in_minutes": minutes(self.cancel_cap),
            "refused_with_429": self.refusals,
            "spent_on": dict(self.spent_on),
        }
