"""How the gateway writes (layer 4): JSON whose numbers are exact, on one clock that never steps back.

Prices, sizes and fees are JSON numbers with at least one fraction digit and no exponent. A report is kept in two
halves, so that it can be told again under another number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson

from hlfast import clock
from hlfast.core.fixed import e8_to_text, scaled_to_text

KEPT = 100_000
"""Messages of a topic that can be asked for again."""


def plain(text: str) -> str:
    """Decimal text without superfluous zeros, and with a fraction."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def number(value: Decimal) -> orjson.Fragment:
    return orjson.Fragment(plain(f"{value:f}"))


def price(value_e8: int) -> orjson.Fragment:
    return orjson.Fragment(plain(e8_to_text(value_e8)))


def size(lots: int, sz_decimals: int) -> orjson.Fragment:
    return orjson.Fragment(plain(scaled_to_text(lots, sz_decimals)))


def average(value: Decimal) -> orjson.Fragment:
    """An average has no exact decimal value in general: twelve fraction digits."""
    return orjson.Fragment(plain(f"{value:.12f}"))


@dataclass(frozen=True)
class Told:
    """A report without its clock and number: `head` ends and `tail` begins where they stand."""

    head: bytes
    venue_ts_ns: int
    tail: bytes

    def pack(self) -> list[Any]:
        return [self.head.decode(), self.venue_ts_ns, self.tail.decode()]

    @classmethod
    def unpack(cls, row: list[Any]) -> Told:
        return cls(row[0].encode(), row[1], row[2].encode())


def told(head: dict[str, Any], venue_ts_ns: int, tail: dict[str, Any]) -> Told:
    return Told(orjson.dumps(head)[:-1], venue_ts_ns, orjson.dumps(tail)[1:])


def flagged(message: bytes, flag: str) -> bytes:
    """The message with one more key that is true. Flags stand behind the tags, the last object of a message."""
    word = f',"{flag}":true'.encode()
    return message if word in message[message.rfind(b"}", 0, -1) :] else message[:-1] + word + b"}"


class RisingClock:
    """Epoch nanoseconds that never decrease: one for all that leaves by one socket."""

    def __init__(self) -> None:
        self._newest_ns = 0

    def __call__(self) -> int:
        self._newest_ns = max(self._newest_ns, clock.epoch_ns())
        return self._newest_ns


class Stream:
    """One numbered topic: clock, run, numbers, and the last messages. `now`: the clock of its socket."""

    def __init__(
        self, topic: str, run_id: str, send: Any, kept: int = KEPT, *, now: Callable[[], int] | None = None
    ) -> None:
        self.topic = topic.encode()
        self.run_id = run_id
        self.seq = 0
        self.now = now or RisingClock()
        self._send = send
        self._kept: deque[bytes] = deque(maxlen=kept)

    def publish(self, message: bytes) -> None:
        self._kept.append(message)
        self._send([self.topic, message])

    def tell(self, what: Told, *flags: str) -> bytes:
        """Number the report and publish it."""
        self.seq += 1
        venue = f',"venue_ts_ns":{what.venue_ts_ns}' if what.venue_ts_ns else ""
        middle = f',"ts_ns":{self.now()}{venue},"run_id":"{self.run_id}","seq":{self.seq},'
        message = what.head + middle.encode() + what.tail
        for flag in flags:
            message = flagged(message, flag)
        self.publish(message)
        return message

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def has(self, first: int, last: int) -> bool:
        """All of these numbers are kept."""
        return self.seq - len(self._kept) < first <= last <= self.seq

    def messages(self, first: int, last: int) -> list[bytes]:
        """As they were published, to be handed to `again`."""
        oldest = self.seq - len(self._kept) + 1
        return list(islice(self._kept, first - oldest, last + 1 - oldest))

    def again(self, messages: list[bytes]) -> None:
        for message in messages:
            self._send([self.topic, flagged(message, "duplicate")])
