"""Who listens to what (local exchange, layer 5): subscriptions, their acknowledgements, and frames.

After each block `Hub.publish` asks every feed (`feeds`) for its frame: rows of the block for one user or coin, or a
snapshot when its time has come.

Frames of one block go out in a fixed order: user feeds first, then market feeds, in order of subscription; answers to
actions come after them (`server`). Every frame passes the armed faults, then `Hub.frame_filter`, with which tests lose
one. `Hub.record` keeps the last ones that were really written: to whom, on what, when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeAlias

import orjson

from hlfast.sim.block import Block
from hlfast.sim.exchange import Exchange
from hlfast.sim.faults import FRAME, Faults, Message
from hlfast.sim.feeds import FEEDS, Feed, Several, normalised
from hlfast.sim.info import BadQuery, Info
from hlfast.sim.links import Link
from hlfast.sim.shapes import Malformed
from hlfast.sim.weights import Caps

FrameFilter: TypeAlias = Callable[[str | None, str, str], bool]

GREETING = b"Websocket connection established."


Written: TypeAlias = "tuple[int, int, str, str | None, str, bytes]"
"""Block time, block number, connection, user, channel, frame."""


def dumps(value: Any) -> str:
    """Compact JSON, keys in the order in which they were put."""
    return orjson.dumps(value).decode()


class Held:
    """What one IP listens to: how many subscriptions, and how many of each user."""

    __slots__ = ("subscriptions", "users")

    def __init__(self) -> None:
        self.subscriptions = 0
        self.users: dict[str, int] = {}


class Hub:
    """All connections and feeds."""

    def __init__(
        self, exchange: Exchange, info: Info, book_interval_ms: int, faults: Faults, caps: Caps, record: int
    ) -> None:
        """`record` is how many written frames are kept; 0 for none."""
        self.exchange = exchange
        self.info = info
        self.book_interval_ms = book_interval_ms
        self.connections: dict[Link, None] = {}
        self.frame_filter: FrameFilter | None = None
        self.record: deque[Written] | None = deque(maxlen=record) if record else None
        self.counters = {"connections": 0, "frames": 0, "frames_dropped": 0}
        self._faults = faults
        self._caps = caps
        self._user_feeds: dict[str, Feed] = {}
        self._market_feeds: dict[str, Feed] = {}
        self._held: dict[str, Held] = {}

    def add(self, link: Link) -> None:
        """A new connection."""
        self.connections[link] = None
        self.counters["connections"] += 1

    def send(self, link: Link, channel: str, data: Any, user: str | None = None) -> None:
        """One frame of a stream, or about one, to one connection."""
        body = {"channel": channel} if data is None else {"channel": channel, "data": data}
        self._send_frame(link, channel, orjson.dumps(body), user)

    def _send_frame(self, link: Link, channel: str, frame: bytes, user: str | None) -> None:
        if self._faults.armed:
            proceed = partial(self.write, link, channel, frame, user)

            def replace(text: str) -> None:
                self.write(link, channel, text.encode(), user)

            if self._faults.apply(Message(FRAME, link.transport, channel, user, link, frame.decode, proceed, replace)):
                return
        self.write(link, channel, frame, user)

    def write(self, link: Link, channel: str, frame: bytes, user: str | None) -> None:
        """Send as it is: what no fault took."""
        if self.frame_filter is not None and not self.frame_filter(user, channel, frame.decode()):
            self.counters["frames_dropped"] += 1
            return
        if link.write(frame):
            self.counters["frames"] += 1
            if self.record is not None:
                self.record.append((self.exchange.time_ms, self.exchange.block_number, str(link), user, channel, frame))

    def publish(self, block: Block, fills_first: Collection[str] = ()) -> None:
        """The frames of one block, to everybody who listens. The users in `fills_first` hear of their fills first."""
        user_feeds = list(self._user_feeds.values())
        if fills_first:
            user_feeds.sort(key=lambda feed: not (feed.user in fills_first and feed.channel in ("userFills", "user")))
        for feed in (*user_feeds, *self._market_feeds.values()):
            data = feed.on_block(block)
            if data is None:
                continue
            for item in data if isinstance(data, Several) else (data,):
                frame = orjson.dumps({"channel": feed.channel, "data": item})
                for link in list(feed.listeners):
                    self._send_frame(link, feed.channel, frame, feed.user)

    # -- subscriptions ---------------------------------------------------------------------------------------------

    def subscribe(self, connection: Link, wanted: Any) -> None:
        """Acknowledge, then send the snapshot; or say on `error` why not."""
        subscription = self._read(connection, wanted)
        if subscription is None:
            return
        key = dumps(subscription)
        if key in connection.feeds:
            self.send(connection, "error", f"Already subscribed: {key}")
            return
        held = self._held.setdefault(connection.ip, Held())
        if held.subscriptions >= self._caps.subscriptions:
            self.send(connection, "error", f"Cannot subscribe to more than {self._caps.subscriptions} channels.")
            return
        user = subscription.get("user")
        if user is not None and user not in held.users and len(held.users) >= self._caps.users:
            self.send(connection, "error", f"Cannot track more than {self._caps.users} total users.")
            return
        feeds = self._market_feeds if user is None else self._user_feeds
        feed = feeds.get(key)
        if feed is None:
            try:
                feed = feeds[key] = FEEDS[subscription["type"]](self, subscription)
            except BadQuery:
                self.send(connection, "error", f"Invalid subscription {dumps(wanted)}")
                return
        feed.listeners[connection] = None
        connection.feeds[key] = feed
        held.subscriptions += 1
        if user is not None:
            held.users[user] = held.users.get(user, 0) + 1
        self._acknowledge(connection, "subscribe", subscription)
        first = feed.first()
        if first is not None:
            self.send(connection, feed.channel, first, user)

    def unsubscribe(self, connection: Link, wanted: Any) -> None:
        subscription = self._read(connection, wanted)
        if subscription is None:
            return
        key = dumps(subscription)
        feed = connection.feeds.pop(key, None)
        if feed is None:
            self.send(connection, "error", f"Already unsubscribed: {key}")
            return
        self._leave(connection, key, feed)
        self._acknowledge(connection, "unsubscribe", subscription)

    def drop(self, connection: Link) -> None:
        """The connection is gone, and its subscriptions with it."""
        self.connections.pop(connection, None)
        for key, feed in connection.feeds.items():
            self._leave(connection, key, feed)
        connection.feeds.clear()

    def _leave(self, connection: Link, key: str, feed: Feed) -> None:
        del feed.listeners[connection]
        held = self._held[connection.ip]
        held.subscriptions -= 1
        if feed.user is not None:
            held.users[feed.user] -= 1
            if not held.users[feed.user]:
                del held.users[feed.user]
        if not feed.listeners:
            del (self._market_feeds if feed.user is None else self._user_feeds)[key]

    def _acknowledge(self, connection: Link, method: str, subscription: dict[str, Any]) -> None:
        self.send(connection, "subscriptionResponse", {"method": method, "subscription": subscription})

    def _read(self, connection: Link, wanted: Any) -> dict[str, Any] | None:
        """The normalised subscription; None, and an error frame, if there is no such feed or coin."""
        kind = wanted.get("type") if type(wanted) is dict else None
        try:
            if type(kind) is not str or kind not in FEEDS:
                raise Malformed(f"unknown subscription type {kind!r}")
            subscription = normalised(kind, wanted)
            self.info.known_dex(subscription)
            if "coin" in subscription and subscription["coin"] not in self.exchange.execution.by_coin:
                raise Malformed(f"unknown coin {subscription['coin']!r}")
            return subscription
        except (Malformed, BadQuery):
            self.send(connection, "error", f"Invalid subscription {dumps(wanted)}")
            return None
