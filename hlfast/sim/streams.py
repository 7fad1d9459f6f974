"""The WebSocket feeds of the local exchange (layer 5): subscriptions, their acknowledgements, and frames.

A *feed* is one normalised subscription with everybody who listens to it. After each block `Hub.publish` asks every feed
for its frame: rows of the block for one user or coin, or a snapshot when its time has come. To add a feed: a class with
`first` and `on_block`, and a line in FEEDS.

Frames of one block go out in a fixed order: user feeds first, then market feeds, in order of subscription; answers to
actions come after them (`server`). Every frame passes `Hub.frame_filter`, with which tests lose one.
"""

from __future__ import annotations

import asyncio
import socket
import struct as binary
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson
from aiohttp import web

from hlfast import clock
from hlfast.sim import rows
from hlfast.sim.block import Block
from hlfast.sim.exchange import Exchange
from hlfast.sim.info import BOOK, DEX, USER, BadQuery, Info, book_rounding
from hlfast.sim.shapes import Kind, Malformed, boolean, string, struct, true_only

FrameFilter: TypeAlias = Callable[[str | None, str, str], bool]

GREETING = "Websocket connection established."
MAX_SUBSCRIPTIONS = 1000
MAX_USERS = 10
MAX_BACKLOG = 100_000
"""A client that reads so slowly that this many frames wait for it is cut off."""
FULL_DEPTH, FAST_DEPTH = 20, 5
RECENT_TRADES = 10
CONTEXT_INTERVAL_MS = 1_000


def dumps(value: Any) -> str:
    """Compact JSON, keys in the order in which they were put."""
    return orjson.dumps(value).decode()


class Connection:
    """One WebSocket: frames go into a queue and a task writes them, so that nobody waits for a slow reader."""

    def __init__(self, socket_: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.feeds: dict[str, Feed] = {}
        self.pending_posts = 0
        self.last_sent_ns = clock.monotonic_ns()
        self._socket = socket_
        self._transport = transport
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()

    def write(self, frame: str) -> None:
        self._waiting.append(frame)
        self._wake.set()
        self.last_sent_ns = clock.monotonic_ns()
        if len(self._waiting) > MAX_BACKLOG:
            self.abort()

    async def write_all(self) -> None:
        """Runs as long as the connection."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._socket.send_str(self._waiting.popleft())

    async def close(self, reason: bytes) -> None:
        await self._socket.close(code=1000, message=reason)

    def abort(self) -> None:
        """Reset the TCP connection: no close frame, what waits is lost, the peer sees ECONNRESET."""
        if self._transport is None or self._transport.is_closing():
            return
        raw = self._transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, binary.pack("ii", 1, 0))
        self._transport.abort()


class Feed:
    """One normalised subscription. `user` is set for user feeds."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        self.hub = hub
        self.exchange = hub.exchange
        self.subscription = subscription
        self.channel: str = subscription["type"]
        self.user: str | None = subscription.get("user")
        self.coin: str = subscription.get("coin", "")
        self.listeners: list[Connection] = []
        self.interval_ms = CONTEXT_INTERVAL_MS
        self._last_ms = self.exchange.time_ms

    def first(self) -> Any:
        """The data of the frame that follows the acknowledgement; None for none."""
        return None

    def on_block(self, block: Block) -> Any:
        """The data of this block's frame; None for none."""
        raise TypeError(f"{type(self).__name__} says nothing on a block")

    def is_due(self, block: Block) -> bool:
        """Whether `interval_ms` has passed since this said so last, or since the first listener came."""
        if block.time_ms < self._last_ms + self.interval_ms:
            return False
        self._last_ms = block.time_ms
        return True


class L2BookFeed(Feed):
    """A whole snapshot on a block at least `book_interval_ms` after the one before, changed or not."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self.interval_ms = hub.book_interval_ms

    def first(self) -> Any:
        book = self.exchange.execution.by_coin[self.coin]
        fast = self.subscription.get("fast", False)
        figures, mantissa = book_rounding(self.subscription)
        data = rows.l2_book(book, self.exchange.time_ms, FAST_DEPTH if fast else FULL_DEPTH, figures, mantissa)
        return {**data, "fast": True} if fast else data

    def on_block(self, block: Block) -> Any:
        return self.first() if self.is_due(block) else None


class BboFeed(Feed):
    """Only when the best bid or ask, a size or a count has changed on a block."""

    _version = -1
    _bbo: Any = None

    def first(self) -> Any:
        book = self.exchange.execution.by_coin[self.coin]
        self._version, self._bbo = book.version, book.bbo()
        return {"coin": self.coin, "time": self.exchange.time_ms, "bbo": self._bbo}

    def on_block(self, block: Block) -> Any:
        book = self.exchange.execution.by_coin[self.coin]
        if book.version == self._version:
            return None
        before = self._bbo
        data = self.first()
        return None if self._bbo == before else data


class TradesFeed(Feed):
    def first(self) -> Any:
        return list(self.exchange.execution.by_coin[self.coin].trades)[-RECENT_TRADES:] or None

    def on_block(self, block: Block) -> Any:
        return block.trades.get(self.coin)


class AllMidsFeed(Feed):
    def first(self) -> Any:
        return {"mids": self.hub.info.all_mids({})}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.is_due(block) else None


class AssetContextFeed(Feed):
    """Spot coins speak on a channel of their own."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self._book = self.exchange.execution.by_coin[self.coin]
        if self._book.market.is_spot:
            self.channel = "activeSpotAssetCtx"

    def first(self) -> Any:
        context = rows.spot_context if self._book.market.is_spot else rows.perp_context
        return {"coin": self.coin, "ctx": context(self._book)}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.is_due(block) else None


class OrderUpdatesFeed(Feed):
    """All rows of a block in one frame; it does not name its user, and there is no snapshot."""

    def on_block(self, block: Block) -> Any:
        return block.order_rows.get(self.user or "")


class UserEventsFeed(Feed):
    """Channel `user`: fills, or cancels that the user did not ask for; it does not name its user."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self.channel = "user"

    def on_block(self, block: Block) -> Any:
        user = self.user or ""
        return Several(
            {name: found[user]}
            for name, found in (("fills", block.fills), ("nonUserCancel", block.non_user_cancels))
            if user in found
        )


class UserFillsFeed(Feed):
    """The snapshot is oldest first and says isSnapshot; later frames leave that key out."""

    def first(self) -> Any:
        account = self.exchange.accounts.get(self.user or "")
        return {"isSnapshot": True, "user": self.user, "fills": self._shown(account.fills if account else [])[-2000:]}

    def on_block(self, block: Block) -> Any:
        fills = block.fills.get(self.user or "")
        return None if fills is None else {"user": self.user, "fills": self._shown(fills)}

    def _shown(self, fills: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return rows.aggregated(fills) if self.subscription["aggregateByTime"] else fills


class UserFundingsFeed(Feed):
    """There is no funding here yet: an empty snapshot, and nothing after it."""

    def first(self) -> Any:
        return {"isSnapshot": True, "user": self.user, "fundings": []}

    def on_block(self, block: Block) -> Any:
        return None


class OpenOrdersFeed(Feed):
    def first(self) -> Any:
        return {"dex": "", "user": self.user, "orders": self.hub.info.frontend_open_orders(self.subscription)}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.user in block.touched else None


class ClearinghouseStateFeed(Feed):
    """Full state, periodically and on blocks that changed something."""

    def first(self) -> Any:
        state = self.hub.info.clearinghouse_state(self.subscription)
        return {"dex": "", "user": self.user, "clearinghouseState": state}

    def on_block(self, block: Block) -> Any:
        due = self.is_due(block)
        return self.first() if due or self.user in block.touched else None


class SpotStateFeed(Feed):
    def first(self) -> Any:
        return {"user": self.user, "spotState": self.hub.info.spot_clearinghouse_state(self.subscription)}

    def on_block(self, block: Block) -> Any:
        return self.first() if self.user in block.touched else None


class Several(list[Any]):
    """Data of more than one frame."""


def _subscription(*fields: tuple[str, Kind]) -> Kind:
    return struct(("type", string), *fields)


def _l2_book(subscription: Any) -> dict[str, Any]:
    """Optional parameters appear in the acknowledgement, as null; `fast` only if it was asked for."""
    read = _subscription(*BOOK, ("fast?", true_only))(subscription)
    book_rounding(read)
    normalised = {"type": read["type"], "coin": read["coin"], "nSigFigs": None, "mantissa": None}
    return {**normalised, **read}


def _user_fills(subscription: Any) -> dict[str, Any]:
    read = _subscription(USER, ("aggregateByTime?", boolean))(subscription)
    return {"type": read["type"], "user": read["user"], "aggregateByTime": read.get("aggregateByTime", False)}


def _with_dex(subscription: Any) -> dict[str, Any]:
    return {**_subscription(USER, DEX)(subscription), "dex": ""}


_COIN = _subscription(("coin", string))
_USER = _subscription(USER)

FEEDS: dict[str, tuple[type[Feed], Kind]] = {
    "l2Book": (L2BookFeed, _l2_book),
    "bbo": (BboFeed, _COIN),
    "trades": (TradesFeed, _COIN),
    "allMids": (AllMidsFeed, _subscription(DEX)),
    "activeAssetCtx": (AssetContextFeed, _COIN),
    "orderUpdates": (OrderUpdatesFeed, _USER),
    "userEvents": (UserEventsFeed, _USER),
    "userFills": (UserFillsFeed, _user_fills),
    "userFundings": (UserFundingsFeed, _USER),
    "openOrders": (OpenOrdersFeed, _with_dex),
    "clearinghouseState": (ClearinghouseStateFeed, _with_dex),
    "spotState": (SpotStateFeed, _USER),
}


class Hub:
    """All connections and feeds."""

    def __init__(self, exchange: Exchange, info: Info, book_interval_ms: int) -> None:
        self.exchange = exchange
        self.info = info
        self.book_interval_ms = book_interval_ms
        self.connections: set[Connection] = set()
        self.frame_filter: FrameFilter | None = None
        self.counters = {"connections": 0, "frames": 0, "frames_dropped": 0}
        self._user_feeds: dict[str, Feed] = {}
        self._market_feeds: dict[str, Feed] = {}

    def send(self, connection: Connection, channel: str, data: Any, user: str | None = None) -> None:
        """One frame to one connection."""
        body = {"channel": channel} if data is None else {"channel": channel, "data": data}
        self._send_text(connection, channel, dumps(body), user)

    def _send_text(self, connection: Connection, channel: str, frame: str, user: str | None) -> None:
        if self.frame_filter is not None and not self.frame_filter(user, channel, frame):
            self.counters["frames_dropped"] += 1
            return
        self.counters["frames"] += 1
        connection.write(frame)

    def publish(self, block: Block) -> None:
        """The frames of one block, to everybody who listens."""
        for feeds in (self._user_feeds, self._market_feeds):
            for feed in feeds.values():
                data = feed.on_block(block)
                if data is None:
                    continue
                for item in data if isinstance(data, Several) else (data,):
                    frame = dumps({"channel": feed.channel, "data": item})
                    for connection in feed.listeners:
                        self._send_text(connection, feed.channel, frame, feed.user)

    # -- subscriptions ---------------------------------------------------------------------------------------------

    def subscribe(self, connection: Connection, wanted: Any) -> None:
        """Acknowledge, then send the snapshot; or say on `error` why not."""
        subscription = self._read(connection, wanted)
        if subscription is None:
            return
        key = dumps(subscription)
        if key in connection.feeds:
            self.send(connection, "error", f"Already subscribed: {key}")
            return
        if len(connection.feeds) >= MAX_SUBSCRIPTIONS:
            self.send(connection, "error", f"Cannot subscribe to more than {MAX_SUBSCRIPTIONS} channels.")
            return
        user = subscription.get("user")
        users = {feed.user for feed in self._user_feeds.values()}
        if user is not None and user not in users and len(users) >= MAX_USERS:
            self.send(connection, "error", f"Cannot track more than {MAX_USERS} total users.")
            return
        feeds = self._market_feeds if user is None else self._user_feeds
        feed = feeds.get(key)
        if feed is None:
            feed = feeds[key] = FEEDS[subscription["type"]][0](self, subscription)
        feed.listeners.append(connection)
        connection.feeds[key] = feed
        self._acknowledge(connection, "subscribe", subscription)
        first = feed.first()
        if first is not None:
            self.send(connection, feed.channel, first, user)

    def unsubscribe(self, connection: Connection, wanted: Any) -> None:
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

    def drop(self, connection: Connection) -> None:
        """The connection is gone, and its subscriptions with it."""
        self.connections.discard(connection)
        for key, feed in connection.feeds.items():
            self._leave(connection, key, feed)
        connection.feeds.clear()

    def _leave(self, connection: Connection, key: str, feed: Feed) -> None:
        feed.listeners.remove(connection)
        if not feed.listeners:
            del (self._market_feeds if feed.user is None else self._user_feeds)[key]

    def _acknowledge(self, connection: Connection, method: str, subscription: dict[str, Any]) -> None:
        self.send(connection, "subscriptionResponse", {"method": method, "subscription": subscription})

    def _read(self, connection: Connection, wanted: Any) -> dict[str, Any] | None:
        """The normalised subscription; None, and an error frame, if there is no such feed or coin."""
        kind = wanted.get("type") if type(wanted) is dict else None
        try:
            if type(kind) is not str or kind not in FEEDS:
                raise Malformed(f"unknown subscription type {kind!r}")
            subscription: dict[str, Any] = FEEDS[kind][1](wanted)
            if "coin" in subscription and subscription["coin"] not in self.exchange.execution.by_coin:
                raise Malformed(f"unknown coin {subscription['coin']!r}")
            return subscription
        except (Malformed, BadQuery):
            self.send(connection, "error", f"Invalid subscription {dumps(wanted)}")
            return None
