"""Every subscription of the venue as events (layer 3, cold): `hl.streams.on(name, fn, **parameters)`.

    stop = hl.streams.on("clearinghouseState", lambda event: print(event.data["clearinghouseState"]["withdrawable"]))
    hl.streams.on("l2Book", on_book, coin="BTC", fast=True)
    hl.streams.on("candle", on_candle, coin="BTC", interval="1m")

Apart from `watch`: these have sockets of their own, opened when they are first needed, and are read by orjson. `data` is the
venue's JSON, named by the entry's `row` in `endpoints.SUBSCRIPTIONS`; only `fastAssetCtxs` is unpacked. Frames name their
coin or user at best: two subscriptions whose frames could not be told apart are put on different sockets (the venue allows
ten). After a reconnect all are sent again. `ages()` tells how old each one's last frame is.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from hlfast import clock
from hlfast.core.frame_sink import FrameSink
from hlfast.errors import ConfigError, NotReady
from hlfast.net.session import WebSocketSession
from hlfast.types import StreamState
from hlfast.venues.hyperliquid.endpoints import SUBSCRIPTIONS
from hlfast.venues.hyperliquid.endpoints.kinds import near
from hlfast.venues.hyperliquid.endpoints.subscriptions import Subscription

RETRY_NS = 2_000_000_000
MAX_LINES = 6
"""Sockets beside the two of the connector: the venue allows ten for an IP."""
MAX_UNPACKED = 32 * 1024 * 1024

_BY_CHANNEL = {channel: entry for entry in SUBSCRIPTIONS.values() for channel in entry.channels}
Key = tuple[Any, ...]


@dataclass(frozen=True)
class StreamEvent:
    """One frame of a subscription. `data`: the venue's JSON. `recv_ns`: when it was read, as all receive times."""

    name: str
    parameters: dict[str, Any]
    data: Any
    is_snapshot: bool
    recv_ns: int


Handler = Callable[[StreamEvent], object]


class _Feed:
    __slots__ = ("confirmed", "entry", "frames", "handlers", "key", "recv_ns", "refused", "sent_ns", "subscription")

    def __init__(self, entry: Subscription, subscription: dict[str, Any], key: Key) -> None:
        self.entry, self.subscription, self.key = entry, subscription, key
        self.handlers: tuple[Handler, ...] = ()
        self.confirmed = False
        self.refused = ""
        self.frames = self.recv_ns = self.sent_ns = 0


class _Line(FrameSink):
    """One socket and the subscriptions on it, by channel and by what their frames name."""

    def __init__(self, streams: Streams, make: Callable[..., WebSocketSession], number: int) -> None:
        self.streams = streams
        self.feeds: dict[tuple[str, Key], _Feed] = {}
        self.session = make(f"streams-{number}", self, self.on_connected)

    def on_text(self, data: bytes, recv_ns: int) -> None:
        self.streams.on_frame(self, data, recv_ns)

    def on_connected(self) -> None:
        for feed in self.feeds.values():
            feed.confirmed = False
            self.send("subscribe", feed)
        self.check_live()

    def send(self, method: str, feed: _Feed) -> None:
        if self.session.is_open:
            feed.sent_ns = clock.epoch_ns()
            self.session.send(orjson.dumps({"method": method, "subscription": feed.subscription}))

    def check_live(self) -> None:
        waiting = [feed for feed in self.feeds.values() if not (feed.confirmed or feed.refused)]
        if not waiting and self.session.state in (StreamState.SUBSCRIBING, StreamState.SYNCING):
            self.session.set_state(StreamState.LIVE, "subscribed")


class Streams:
    """The subscriptions that were asked for, and their sockets."""

    def __init__(
        self,
        make_session: Callable[..., WebSocketSession],
        account: str,
        wire_coin: Callable[[str], str],
        tell: Callable[[str, str], object],
        on_handler_error: Callable[[Any, BaseException], object],
    ) -> None:
        self._make, self._account, self._wire_coin = make_session, account, wire_coin
        self._tell, self._on_handler_error = tell, on_handler_error
        self._lines: list[_Line] = []
        self._running = False
        self.counters = {"frames": 0, "unmatched": 0, "unreadable": 0}

    # -- what callers ask for ---------------------------------------------------------------------------------------
    def on(self, name: str, fn: Handler, **parameters: Any) -> Callable[[], None]:
        """Subscribe, and call `fn(event)` for each frame; returns what ends it. `user` is the connector's account unless given.

        Raises `ConfigError` for a name or parameter that the venue does not have, `NotReady` when it would need more
        sockets than the venue allows. `fn` is a plain function; an exception in it is told and ends nothing.
        """
        entry = SUBSCRIPTIONS.get(name)
        if entry is None:
            raise ConfigError(f"there is no subscription {name!r}{near(name, SUBSCRIPTIONS)}")
        if inspect.iscoroutinefunction(fn) or not callable(fn):
            raise ConfigError(f"a handler of {name} is a plain function that is called inside the frame, got {fn!r}")
        if "user" in entry.body.names:
            parameters.setdefault("user", self._account)
        if isinstance(parameters.get("coin"), str):
            parameters["coin"] = self._wire_coin(parameters["coin"])
        feed = self._feed(entry, entry.subscription(parameters))
        feed.handlers = (*feed.handlers, fn)

        def stop() -> None:
            left = list(feed.handlers)
            if fn in left:
                left.remove(fn)
                feed.handlers = tuple(left)
                if not left:
                    self._drop(feed)

        return stop

    def ages(self) -> list[dict[str, Any]]:
        """Of each subscription: `name`, its `subscription`, `frames`, `age_ms` of the last one (None before it), `is_stale`
        (longer silent than its cadence allows), and the venue's words if it `refused`."""
        now_ns = clock.epoch_ns()
        found = []
        for line in self._lines:
            for feed in line.feeds.values():
                age_ns = now_ns - feed.recv_ns if feed.recv_ns else None
                limit_ns = int(feed.entry.every * 1e9)
                silent_ns = now_ns - (feed.recv_ns or feed.sent_ns)
                found.append(
                    {
                        "name": feed.entry.name,
                        "subscription": dict(feed.subscription),
                        "frames": feed.frames,
                        "age_ms": None if age_ns is None else age_ns // 1_000_000,
                        "is_stale": not line.session.is_open or bool(limit_ns and silent_ns > limit_ns),
                        "refused": feed.refused,
                    }
                )
        return found

    # -- life -------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        self._running = True
        for line in self._lines:
            line.session.start()

    async def stop(self) -> None:
        self._running = False
        for line in self._lines:
            await line.session.stop()

    def tick(self, now_ns: int) -> None:
        """Ask again for what has neither been acknowledged nor sent anything."""
        for line in self._lines:
            if line.session.is_open:
                for feed in list(line.feeds.values()):
                    if not (feed.confirmed or feed.refused) and now_ns - feed.sent_ns > RETRY_NS:
                        line.send("subscribe", feed)

    # -- sockets ----------------------------------------------------------------------------------------------------
    def _feed(self, entry: Subscription, subscription: dict[str, Any]) -> _Feed:
        """The feed of a subscription: the one that is there, or a new one on a line where its frames are unmistakable."""
        place = entry.name, _wanted_key(entry, subscription)
        for line in self._lines:
            there = line.feeds.get(place)
            if there is not None and there.subscription == subscription:
                return there
        line = next((each for each in self._lines if place not in each.feeds), None) or self._new_line()
        feed = line.feeds[place] = _Feed(entry, subscription, place[1])
        line.send("subscribe", feed)
        if line.session.state is StreamState.LIVE:
            line.session.set_state(StreamState.SUBSCRIBING, f"subscribing to {entry.name}")
        return feed

    def _new_line(self) -> _Line:
        if len(self._lines) >= MAX_LINES:
            raise NotReady(
                f"{MAX_LINES} sockets are in use for streams whose frames cannot be told apart; end one of those first"
            )
        line = _Line(self, self._make, len(self._lines))
        self._lines.append(line)
        if self._running:
            line.session.start()
        return line

    def _drop(self, feed: _Feed) -> None:
        for line in self._lines:
            if line.feeds.get((feed.entry.name, feed.key)) is feed:
                del line.feeds[(feed.entry.name, feed.key)]
                line.send("unsubscribe", feed)
                line.check_live()

    # -- frames -----------------------------------------------------------------------------------------------------
    def on_frame(self, line: _Line, text: bytes, recv_ns: int) -> None:
        self.counters["frames"] += 1
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            if not text.startswith(b"Websocket connection"):
                self._unreadable("a frame that is not JSON")
            return
        channel = frame.get("channel") if isinstance(frame, dict) else None
        if not isinstance(channel, str):
            self._unreadable("a frame without a channel")
            return
        data = frame.get("data")
        if channel == "pong":
            line.session.note_pong()
        elif channel == "subscriptionResponse":
            self._on_ack(line, data)
        elif channel == "error":
            self._on_error(line, str(data))
        elif channel in _BY_CHANNEL:
            self._on_data(line, _BY_CHANNEL[channel], data, recv_ns)

    def _on_data(self, line: _Line, entry: Subscription, data: Any, recv_ns: int) -> None:
        if entry.name == "fastAssetCtxs":
            data = unpacked(data)
            if data is None:
                self._unreadable("fastAssetCtxs that are not base64 of DEFLATE of JSON")
                return
        elif entry.name == "outcomeMetaUpdates" and isinstance(data, list):
            data = {"updates": data}
        for each in data if entry.name == "candle" and isinstance(data, list) else (data,):
            feed = line.feeds.get((entry.name, _found_key(entry, each)))
            if feed is None:
                self.counters["unmatched"] += 1
                continue
            feed.frames += 1
            feed.recv_ns = recv_ns or clock.epoch_ns()
            if not feed.confirmed:
                feed.confirmed = True
                line.check_live()
            is_snapshot = isinstance(each, dict) and each.get("isSnapshot") is True
            event = StreamEvent(entry.name, dict(feed.subscription), each, is_snapshot, feed.recv_ns)
            for fn in feed.handlers:
                try:
                    fn(event)
                except Exception as error:
                    self._on_handler_error(fn, error)

    def _on_ack(self, line: _Line, data: Any) -> None:
        subscription = data.get("subscription") if isinstance(data, dict) else None
        if isinstance(subscription, dict) and data.get("method") == "subscribe":
            feed = self._named(line, subscription)
            if feed is not None:
                feed.confirmed = True
                line.check_live()

    def _on_error(self, line: _Line, text: str) -> None:
        start = text.find("{")
        try:
            about = orjson.loads(text[start:]) if start >= 0 else None
        except orjson.JSONDecodeError:
            about = None
        about = about.get("subscription", about) if isinstance(about, dict) else None
        feed = self._named(line, about) if isinstance(about, dict) else None
        if feed is not None and text.startswith("Already subscribed"):
            feed.confirmed = True
        else:
            if feed is not None and text.startswith("Invalid subscription"):
                feed.refused = text
            self._tell("venue_error", text)
        line.check_live()

    def _named(self, line: _Line, echo: dict[str, Any]) -> _Feed | None:
        """The feed whose subscription the venue echoes: normalised, so with more keys than were sent."""
        for feed in line.feeds.values():
            if all(echo.get(name) == value for name, value in feed.subscription.items() if value is not False):
                return feed
        return None

    def _unreadable(self, what: str) -> None:
        self.counters["unreadable"] += 1
        self._tell("stream_unreadable", what)


def _wanted_key(entry: Subscription, subscription: dict[str, Any]) -> Key:
    """What frames of this subscription will name: by the paths of `entry.key`."""
    names = {"s": "coin", "i": "interval", "0.coin": "coin", "userState.user": "user"}
    return tuple(subscription.get(names.get(path, path), "") for path in entry.key)


def _found_key(entry: Subscription, data: Any) -> Key:
    key = []
    for path in entry.key:
        value = data
        for step in path.split("."):
            if isinstance(value, list):
                value = value[int(step)] if step.isdigit() and len(value) > int(step) else ""
            else:
                value = value.get(step, "") if isinstance(value, dict) else ""
        text = value if isinstance(value, str) else ""
        key.append(text.lower() if path.endswith("user") else text)
    return tuple(key)


def unpacked(data: Any) -> dict[str, Any] | None:
    """`fastAssetCtxs`: the JSON inside base64 of raw DEFLATE; None for what is not that, or too large."""
    if not isinstance(data, str):
        return None
    try:
        stream = zlib.decompressobj(-15)
        text = stream.decompress(base64.b64decode(data, validate=True), MAX_UNPACKED)
        found = orjson.loads(text) if stream.eof else None
    except (binascii.Error, ValueError, zlib.error):
        return None
    return found if isinstance(found, dict) else None
