"""`WebsocketManager`: subscriptions and their callbacks, on a thread of its own (layer 5).

    manager = WebsocketManager("https://api.hyperliquid.xyz"); manager.start()
    number = manager.subscribe({"type": "bbo", "coin": "BTC"}, print)

Callbacks run on this thread, one frame at a time, in the order of arrival, and may block. Differs from the official SDK:
it comes back by itself after a drop, with every callback and id; subscriptions are confirmed; a second callback shares
the stream of the first; users of streams that do not name them have a connection each; a callback that raises is logged
and the next one runs. `on_status` and `on_error_frame` hear what happens to the connection.
"""

import json
import logging
import threading
from collections import defaultdict
from queue import SimpleQueue

from hlfast.clock import epoch_ns
from hlfast.compat.hyperliquid import endpoints, foreign, gaps, live_prices
from hlfast.compat.hyperliquid.sockets import Connection, Stream, reader
from hlfast.compat.hyperliquid.streams import CONTROL, READERS, WITHOUT_USER, identifier_of, key_of
from hlfast.compat.hyperliquid.utils.types import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Subscription,
    Tuple,
    WsMsg,
    cast,
)

__getattr__ = foreign.names(__name__, websocket="websocket")

ActiveSubscription = NamedTuple("ActiveSubscription", [("callback", Callable[[Any], None]), ("subscription_id", int)])

GREETING = "Websocket connection established."
_log = logging.getLogger("hlfast.compat")


def subscription_to_identifier(subscription: Subscription) -> str:
    """The name of the stream that a subscription asks for: "allMids", "l2Book:btc", "userFills:0x..."."""
    return identifier_of(cast(Any, subscription))


def ws_msg_to_identifier(ws_msg: WsMsg) -> Optional[str]:
    """The name of the stream that a frame belongs to; "pong" for a pong, None for what belongs to none."""
    channel: str = ws_msg["channel"]
    reader = READERS.get(channel)
    if reader is not None:
        return reader(cast(Any, ws_msg)["data"])
    return None if channel in CONTROL else channel


class WebsocketManager(threading.Thread):
    """`base_url` as for `Info`. `start()` connects; `stop()` is final."""

    def __init__(self, base_url):
        # type: (str) -> None
        super().__init__()
        import orjson  # not before a program wants a WebSocket

        self.base_url = base_url
        self._loads = orjson.loads
        self.subscription_id_counter = 0
        self.ws_ready = False
        self.queued_subscriptions: List[Tuple[Subscription, ActiveSubscription]] = []
        self.active_subscriptions: Dict[str, List[ActiveSubscription]] = defaultdict(list)
        self.stop_event = threading.Event()
        self.ping_sender = threading.Thread(target=self.send_ping, daemon=True)
        self.latest: Dict[str, Any] = {}
        self.unexpected: Dict[str, int] = {}
        self.callback_errors = 0
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._streams: Dict[str, Stream] = {}
        self._of_id: Dict[int, Stream] = {}
        self._shared: Dict[str, int] = {}  # identifier → streams of that name, where there are several
        self._changing = threading.RLock()
        self._listeners: Dict[str, List[Callable[..., Any]]] = {"status": [], "error": []}
        self.ws = Connection(endpoints.socket_url(base_url), self._queue, self.latest, 0)
        self.ws.serve = self._serve
        self._connections = [self.ws]
        live_prices.register(self)

    # -- life -------------------------------------------------------------------------------------------------------
    def start(self):
        # type: () -> None
        """Connect, on a thread of its own.

        The reading thread is made here, on the caller's: a script that only subscribes has ended its main thread by the
        time this one runs, and Python then refuses some of what the loop's imports need.
        """
        reader()
        super().start()

    def run(self):
        # type: () -> None
        self.ping_sender.start()
        self.ws.run_forever()

    def send_ping(self):
        # type: () -> None
        """Wait for the end. The reading thread sends the pings, every 15 s, and watches their answers."""
        self.stop_event.wait()

    def stop(self):
        # type: () -> None
        """Close every connection, for good. May be called more than once, and from a callback."""
        self.stop_event.set()
        with self._changing:
            connections = list(self._connections)
        for connection in reversed(connections):
            connection.close()
        if self.ping_sender.is_alive() and threading.current_thread() is not self.ping_sender:
            self.ping_sender.join(1.0)

    def on_status(self, fn):
        # type: (Callable[[str, str], Any]) -> None
        """Call `fn(state, reason)`, on this thread, with CONNECTING, SUBSCRIBING, DOWN, STALE, GAP_FILLED, GAP_NOT_FILLED."""
        self._listeners["status"].append(fn)

    def on_error_frame(self, fn):
        # type: (Callable[[str, Optional[Dict[str, Any]]], Any]) -> None
        """Call `fn(text, subscription)`, on this thread, with each `error` frame; None if it concerns no subscription."""
        self._listeners["error"].append(fn)

    def _serve(self):
        # type: () -> None
        """Connect and call callbacks until `stop`. This is the thread's work."""
        with self._changing:
            for connection in self._connections:
                connection.start()
        take, is_over, dispatch = self._queue.get, self.stop_event.is_set, self._dispatch
        while not is_over():
            item = take()
            if item is None:
                break
            connection, what, recv_ns = item
            try:
                if type(what) is bytes:
                    if self._is_plain():
                        dispatch(connection, what, recv_ns)
                    else:
                        self.on_message(connection, what.decode())
                else:
                    self._on_event(connection, what)
            except Exception:
                self.callback_errors += 1
                _log.exception("a frame could not be handled; the stream goes on")
        self.ws.keep_running = False

    def _is_plain(self):
        # type: () -> bool
        """True if nobody has put a method in the place of `on_message`."""
        return type(self).on_message is _on_message and "on_message" not in self.__dict__

    def _on_event(self, connection, event):
        # type: (Connection, Any) -> None
        kind = event[0]
        if kind == "open":
            if connection is self.ws:
                self.on_open(connection)
        elif kind == "status":
            self._tell("status", event[1], event[2])
        elif kind == "error":
            text = "(a signed request; not shown)" if '"signature"' in event[1] else event[1]
            _log.warning("the venue says: %s", text[:500])
            self._tell("error", text, event[2])
        else:
            self._fill_gap(connection, event[1])

    def _tell(self, which, *arguments):
        # type: (str, Any) -> None
        for fn in list(self._listeners[which]):
            try:
                fn(*arguments)
            except Exception:
                self.callback_errors += 1
                _log.exception("a listener for %s raised", which)

    # -- frames -----------------------------------------------------------------------------------------------------
    def on_message(self, _ws, message):
        # type: (Any, Any) -> None
        """Dispatch one frame's text. May be called by hand, with None for `_ws`."""
        self._dispatch(_ws if isinstance(_ws, Connection) else None, message, epoch_ns())

    def on_open(self, _ws):
        # type: (Any) -> None
        """The connection is up; what was subscribed before becomes active."""
        with self._changing:
            self.ws_ready = True
            queued, self.queued_subscriptions = self.queued_subscriptions, []
            for subscription, active in queued:
                self._activate(subscription_to_identifier(subscription), active)

    def _dispatch(self, connection, message, recv_ns):
        # type: (Optional[Connection], Any, int) -> None
        try:
            frame = self._loads(message)
        except ValueError:
            frame = self._read_oddly(message)
            if frame is None:
                return
        try:
            identifier = ws_msg_to_identifier(frame)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            self._unexpected(frame, f"a shape that is not known ({type(error).__name__}: {error})")
            return
        if identifier is None or identifier == "pong":
            return
        active = self.active_subscriptions.get(identifier)
        if not active:
            self._unexpected(frame, "no subscription")
            return
        self.latest[identifier] = (connection, message, recv_ns)
        if connection is not None:
            if identifier in self._shared:
                active = [one for one in active if self._is_on(one, connection)]
            if identifier in WITHOUT_USER:
                for stream in list(connection.streams.values()):
                    if stream.identifier == identifier:
                        frame = gaps.note(stream, frame)
                        if frame is None:
                            return
        if len(active) > 1:
            self._call(identifier, active, frame)
            return
        for one in active:
            try:
                one.callback(frame)
            except Exception:
                self._callback_raised(identifier)

    def _callback_raised(self, identifier):
        # type: (str) -> None
        self.callback_errors += 1
        _log.exception("a callback of %s raised; the next one runs", identifier)

    def _call(self, identifier, active, frame):
        # type: (str, List[ActiveSubscription], Any) -> None
        for one in active:
            if one is not active[0] and one not in self.active_subscriptions[identifier]:
                continue  # an earlier callback has ended it
            try:
                one.callback(frame)
            except Exception:
                self._callback_raised(identifier)

    def _is_on(self, one, connection):
        # type: (ActiveSubscription, Connection) -> bool
        stream = self._of_id.get(one.subscription_id)
        return stream is None or stream.connection is connection

    def _read_oddly(self, message):
        # type: (Any) -> Any
        """A frame that is JSON to Python alone; None for the greeting, and for what is no JSON."""
        text = message.decode("utf-8", "replace") if isinstance(message, bytes) else message
        if text == GREETING:
            return None
        try:
            return json.loads(text)
        except ValueError:
            self._unexpected({"channel": "(not JSON)"}, "not JSON")
            return None

    def _unexpected(self, frame, why):
        # type: (Any, str) -> None
        channel = str(frame.get("channel")) if isinstance(frame, dict) else "(no channel)"
        if channel in CONTROL:
            return
        count = self.unexpected.get(channel, 0)
        self.unexpected[channel] = count + 1
        if not count:
            _log.warning("frames of the channel %r are not delivered: %s", channel, why)

    def _fill_gap(self, connection, stream):
        # type: (Connection, Stream) -> None
        from hlfast.compat.hyperliquid.api import API

        api = API(self.base_url)
        try:
            frame = gaps.missed(stream, lambda query: api.post("/info", query), self.stop_event.wait)
        except Exception as error:
            _log.warning("what %s missed while it was down could not be asked for: %s", stream.identifier, error)
            self._tell("status", "GAP_NOT_FILLED", f"{stream.identifier}: {error}")
            return
        finally:
            api.session.close()
        self._tell("status", "GAP_FILLED", stream.identifier)
        if frame is None:
            return
        if self._is_plain():
            active = [a for a in self.active_subscriptions.get(stream.identifier, ()) if self._is_on(a, connection)]
            self._call(stream.identifier, active, frame)
        else:
            stream.seen.clear()  # this one goes the way of every frame
            self.on_message(connection, json.dumps(frame, separators=(",", ":")))

    # -- subscriptions ----------------------------------------------------------------------------------------------
    def subscribe(
        self, subscription: Subscription, callback: Callable[[Any], None], subscription_id: Optional[int] = None
    ) -> int:
        """Call `callback(frame)` with every frame of the stream. Returns an id for `unsubscribe`."""
        named = cast(Dict[str, Any], dict(subscription))
        identifier = subscription_to_identifier(cast(Subscription, named))
        key = key_of(named)
        with self._changing:
            if subscription_id is None:
                self.subscription_id_counter += 1
                subscription_id = self.subscription_id_counter
            active = ActiveSubscription(callback, subscription_id)
            stream = self._streams.get(key)
            if stream is None:
                stream = self._add_stream(key, identifier, named)
            stream.ids.append(subscription_id)
            self._of_id[subscription_id] = stream
            if self.ws_ready:
                self._activate(identifier, active)
            else:
                self.queued_subscriptions.append((cast(Subscription, named), active))
            stream.connection.want()
        return subscription_id

    def _activate(self, identifier, active):
        # type: (str, ActiveSubscription) -> None
        self.active_subscriptions[identifier] = [*self.active_subscriptions[identifier], active]

    def _add_stream(self, key, identifier, subscription):
        # type: (str, str, Dict[str, Any]) -> Stream
        """A stream on the first connection that has none of this name."""
        for connection in self._connections:
            if all(stream.identifier != identifier for stream in connection.streams.values()):
                break
        else:
            connection = Connection(self.ws.url, self._queue, self.latest, len(self._connections))
            self._connections.append(connection)
            if self.ws.keep_running:
                connection.start()
        stream = Stream(key, identifier, subscription, connection)
        self._streams[key] = connection.streams[key] = stream
        same = sum(one.identifier == identifier for one in self._streams.values())
        if same > 1:
            self._shared[identifier] = same
        return stream

    def unsubscribe(self, subscription: Subscription, subscription_id: int) -> bool:
        """End one callback. True if the id was active; the venue is told with the stream's last one."""
        if not self.ws_ready:
            raise NotImplementedError("Can't unsubscribe before websocket connected")
        identifier = subscription_to_identifier(subscription)
        with self._changing:
            before = self.active_subscriptions[identifier]
            after = [one for one in before if one.subscription_id != subscription_id]
            self.active_subscriptions[identifier] = after
            stream = self._of_id.get(subscription_id)
            if len(after) == len(before) or stream is None:
                return len(after) != len(before)
            del self._of_id[subscription_id]
            stream.ids.remove(subscription_id)
            if not stream.ids:
                del self._streams[stream.key]
                del stream.connection.streams[stream.key]
                if sum(one.identifier == identifier for one in self._streams.values()) <= 1:
                    self._shared.pop(identifier, None)
                stream.connection.leave(stream)
        return True


_on_message = WebsocketManager.on_message
