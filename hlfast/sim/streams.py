"""The WebSocket feeds of the local exchange (layer 5): subscriptions, their acknowledgements, and frames.

A *feed* is one normalised subscription with everybody who listens to it. After each block `Hub.publish` asks every feed
for its frame: rows of the block for one user or coin, or a snapshot when its time has come. To add a feed: a class with
`first` and `on_block`, and a line in FEEDS.

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

from hlfast.sim import rows
from hlfast.sim.block import Block
from hlfast.sim.exchange import Exchange
from hlfast.sim.faults import FRAME, Faults, Message
from hlfast.sim.info import BadQuery, Info, book_rounding
from hlfast.sim.links import Link
from hlfast.sim.shapes import Kind, Malformed, address, boolean, string, struct, true_only, uint
from hlfast.sim.weights import Caps

FrameFilter: TypeAlias = Callable[[str | None, str, str], bool]

GREETING = b"Websocket connection established."
FULL_DEPTH, FAST_DEPTH = 20, 5
RECENT_TRADES = 10
CONTEXT_INTERVAL_MS = 1_000


Written: TypeAlias = "tuple[int, int, str, str | None, str, bytes]"
"""Block time, block number, connection, user, channel, frame."""


def dumps(value: Any) -> str:
    """Compact JSON, keys in the order in which they were put."""
    return orjson.dumps(value).decode()


class Feed:
    """One normalised subscription. `user` is set for user feeds."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        self.hub = hub
        self.exchange = hub.exchange
        self.subscription = subscription
        self.channel: str = subscription["type"]
        self.user: str | None = subscription.get("user")
        self.coin: str = subscription.get("coin", "")
        self.listeners: dict[Link, None] = {}
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
    """Channel `user`: fills, cancels that the user did not ask for, funding, liquidations; it does not name its user."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self.channel = "user"

    def on_block(self, block: Block) -> Any:
        user = self.user or ""
        events: list[dict[str, Any]] = [
            {name: found[user]}
            for name, found in (("fills", block.fills), ("nonUserCancel", block.non_user_cancels))
            if user in found
        ]
        for name, by_user in (("funding", block.fundings), ("liquidation", block.liquidations)):
            events.extend({name: row} for row in by_user.get(user, ()))
        return Several(events)


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
    def first(self) -> Any:
        account = self.exchange.accounts.get(self.user or "")
        fundings = [] if account is None else rows.user_fundings(account)
        return {"isSnapshot": True, "user": self.user, "fundings": fundings}

    def on_block(self, block: Block) -> Any:
        fundings = block.fundings.get(self.user or "")
        return None if fundings is None else {"user": self.user, "fundings": fundings}


class ActiveAssetDataFeed(Feed):
    """Leverage and room to trade of one user in one perp: periodically, and on blocks that changed something."""

    def __init__(self, hub: Hub, subscription: dict[str, Any]) -> None:
        super().__init__(hub, subscription)
        self.first()  # raises `BadQuery` for a spot pair

    def first(self) -> Any:
        return self.hub.info.active_asset_data(self.subscription)

    def on_block(self, block: Block) -> Any:
        due = self.is_due(block)
        return self.first() if due or self.user in block.touched else None


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


def _main_dex(value: Any) -> str:
    """Only the main dex exists here."""
    if string(value):
        raise BadQuery(f"no dex {value!r}")
    return ""


DEX = ("dex?", _main_dex)
USER = ("user", address)
BOOK = (("coin", string), ("nSigFigs?", uint), ("mantissa?", uint))


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
    "activeAssetData": (ActiveAssetDataFeed, _subscription(USER, ("coin", string))),
}


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
                feed = feeds[key] = FEEDS[subscription["type"]][0](self, subscription)
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
            subscription: dict[str, Any] = FEEDS[kind][1](wanted)
            if "coin" in subscription and subscription["coin"] not in self.exchange.execution.by_coin:
                raise Malformed(f"unknown coin {subscription['coin']!r}")
            return subscription
        except (Malformed, BadQuery):
            self.send(connection, "error", f"Invalid subscription {dumps(wanted)}")
            return None
