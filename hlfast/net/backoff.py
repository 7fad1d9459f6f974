"""How long to wait before the next attempt (layer 2, cold). Seconds.

    backoff = Backoff(0.25, 5.0)
    backoff.next()          # 0.25, then 0.5, 1, 2, 4, 5, 5, ... each less up to a quarter, by chance
    backoff.reset()         # start again at the minimum

The jitter keeps sockets that were cut together from coming back together; a delay never exceeds the maximum.
"""

from __future__ import annotations

import random

from hlfast.errors import ConfigError


class Backoff:
    """Delays that double from `minimum` to `maximum`, each shortened by a random share of at most `jitter`."""

    def __init__(self, minimum: float = 0.25, maximum: float = 5.0, *, jitter: float = 0.25, seed: int | None = None):
        if not 0 < minimum <= maximum or not 0 <= jitter < 1:
            raise ConfigError(
                f"a back-off needs 0 < minimum <= maximum and 0 <= jitter < 1, got {minimum}, {maximum}, {jitter}"
            )
        self.minimum, self.maximum, self.jitter = minimum, maximum, jitter
        self.attempts = 0
        self._random = random.Random(seed)
        self._delay = minimum

    def next(self) -> float:
        """Seconds to wait now; the following call gives twice as much, up to `maximum`."""
        delay = self._delay
        self._delay = min(2 * delay, self.maximum)
        self.attempts += 1
        return delay * (1 - self.jitter * self._random.random())

    def reset(self) -> None:
        """It worked: the next delay is the shortest one again."""
        self._delay = self.minimum
        self.attempts = 0
