"""What comes in (local exchange, layer 5): frames and bodies become calls; a call is verified, weighed, run, answered.

    frame or body -> Call -> verify -> weight -> fault "request" -> exchange -> fault "answer" -> link, log

`Requests.on_frame` takes a WebSocket message, `Requests.call` an HTTP body. Whatever comes is answered as the venue
does or refused: a shape that does not fit is 422, a query that makes no sense 500 `null`, and so is what nobody foresaw
(it is logged with its traceback; the client never sees one).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from hlfast.sim.actions import HANDLERS
from hlfast.sim.explain import describe, verdict
from hlfast.sim.faults import ANSWER, REQUEST, Faults, Message
from hlfast.sim.info import BadQuery, Info
from hlfast.sim.links import PHRASES, Link
from hlfast.sim.shapes import Malformed, string, struct, uint
from hlfast.sim.streams import Hub
from hlfast.sim.verify import Signed, verify
from hlfast.sim.weights import Limits, weight_of_action, weight_of_query

UNFIT = "Failed to deserialize the JSON body into the target type"
ACTION, INFO, METHOD = "action", "info", "method"
MAX_ECHO = 64 * 1024
"""A bad frame is echoed in its error up to this many characters."""
_POST = struct(("id", uint), ("request", struct(("type", string), ("payload", lambda value: value))))
_log = logging.getLogger("hlfast.sim")

Submit = Callable[[Signed, Any, "Call"], None]


class Call:
    """One request and where its answer goes. As a callable it takes the envelope of an executed action."""

    __slots__ = ("_requests", "body", "channel", "kind", "link", "post_id", "signed", "user")

    def __init__(self, requests: Requests, link: Link, kind: str, channel: str, post_id: int | None = None) -> None:
        self._requests = requests
        self.link = link
        self.kind = kind
        self.channel = channel
        self.post_id = post_id
        self.user: str | None = None
        self.signed: Signed | None = None
        self.body: Any = None

    def __call__(self, envelope: dict[str, Any]) -> None:
        self.link.pending_posts -= self.post_id is not None
        self.answer(envelope)

    def answer(self, value: Any) -> None:
        """Send this value, unless a fault takes it over."""
        requests = self._requests
        if requests.log is not None:
            requests.log_call(self, verdict(value) if self.kind == ACTION else "ok")
        frame = self._frame(value)
        send = partial(self._send, frame)
        if requests.faults.armed and requests.faults.apply(self._message(ANSWER, frame, send)):
            return
        if self.link.lag_blocks and self.kind == ACTION:
            requests.after_blocks(self.link.lag_blocks, send)
        else:
            send()

    def refuse(self, status: int, body: str) -> None:
        """An HTTP status, or the error of a post that says the same."""
        if self._requests.log is not None:
            self._requests.log_call(self, f"{status} {PHRASES[status]}")
        if self.post_id is None:
            self.link.refuse(status, body)
        else:
            self._send(self._envelope("error", f"{status} {PHRASES[status]}: {body}"))

    def reaches(self, execute: Callable[[], object]) -> None:
        """The way to the exchange: `execute` runs unless a fault takes the request over."""
        faults = self._requests.faults
        if not (faults.armed and faults.apply(self._message(REQUEST, b"", execute))):
            execute()

    def _frame(self, value: Any) -> bytes:
        if self.post_id is None:
            return orjson.dumps(value)
        return self._envelope(self.kind, value if self.kind == ACTION else {"type": self.channel, "data": value})

    def _envelope(self, kind: str, payload: Any) -> bytes:
        data = {"id": self.post_id, "response": {"type": kind, "payload": payload}}
        return orjson.dumps({"channel": "post", "data": data})

    def _send(self, frame: bytes) -> None:
        self._requests.hub.write(self.link, "post", frame, self.user)

    def _message(self, point: str, frame: bytes, proceed: Callable[[], object]) -> Message:
        return Message(
            point,
            self.link.transport,
            self.channel,
            self.user,
            self.link,
            text=frame.decode if frame else self._request_text,
            proceed=proceed,
            replace=lambda text: self._send(text.encode()),
            answer=lambda value: self._send(self._frame(value)),
            refuse=None if self.kind == METHOD else self.refuse,
        )

    def _request_text(self) -> str:
        return "" if self.signed is None else orjson.dumps(self.signed.action).decode()


class Requests:
    """Everything that clients ask for."""

    def __init__(
        self,
        hub: Hub,
        faults: Faults,
        limits: Limits,
        submit: Submit,
        info_of: Callable[[Link], Info],
        acting: Callable[[Signed], str | None],
        explain: Callable[[Any], dict[str, Any]],
        log: Callable[[str], None] | None,
    ) -> None:
        """`submit` queues a verified action; `info_of` is what answers queries on a link; `acting` for whom it acts."""
        self.hub = hub
        self.faults = faults
        self.log = log
        self._limits = limits
        self._submit = submit
        self._info_of = info_of
        self._acting = acting
        self._explain = explain
        self._later: dict[int, list[Callable[[], object]]] = {}

    def after_blocks(self, blocks: int, send: Callable[[], object]) -> None:
        """`send` runs when this many further blocks are out."""
        self._later.setdefault(self.hub.exchange.block_number + blocks, []).append(send)

    def block_is_out(self, number: int) -> None:
        """What has waited for this block goes out."""
        for send in self._later.pop(number, ()):
            send()

    # -- WebSocket -------------------------------------------------------------------------------------------------

    def on_frame(self, link: Link, frame: str) -> None:
        """One message of a client."""
        if link.is_deaf:
            return
        try:
            message = orjson.loads(frame)
        except ValueError:
            message = None
        method = message.get("method") if type(message) is dict else None
        if method == "post" and is_post(message):
            self._on_post(link, message["id"], message["request"])
        elif method == "ping" or (method in ("subscribe", "unsubscribe") and "subscription" in message):
            call = Call(self, link, METHOD, method)
            wanted = message.get("subscription")
            user = wanted.get("user") if type(wanted) is dict else None
            call.user = user.lower() if type(user) is str else None
            call.reaches(partial(self._run_method, call, wanted))
        else:
            self.hub.send(link, "error", f"Error parsing JSON into valid websocket request: {frame[:MAX_ECHO]}")

    def _run_method(self, call: Call, wanted: Any) -> None:
        if call.channel == "ping":
            self.hub.send(call.link, "pong", None)
            return
        try:
            (self.hub.subscribe if call.channel == "subscribe" else self.hub.unsubscribe)(call.link, wanted)
        except Exception:
            _log.exception("a subscription that nobody foresaw: %s", wanted)
            self.hub.send(call.link, "error", f"Invalid subscription {orjson.dumps(wanted).decode()}")

    def _on_post(self, link: Link, post_id: int, request: dict[str, Any]) -> None:
        kind, payload = request["type"], request["payload"]
        if kind == ACTION:
            in_flight = sum(other.pending_posts for other in self.hub.connections if other.ip == link.ip)
            if in_flight >= self._limits.caps.posts_in_flight:
                self.hub.send(link, "error", f"too many pending post requests id={post_id}")
                return
        self.call(link, kind, payload, post_id)

    def about(self, frame: str) -> tuple[str, str | None]:
        """What a message asks for, and for whom, before it is read: ("", None) if it makes no sense."""
        try:
            message = orjson.loads(frame)
            if message["method"] != "post":
                return message["method"], None
            kind, payload = message["request"]["type"], message["request"]["payload"]
            user = self._acting(verify(payload)) if kind == ACTION else payload.get("user")
            return name_of(kind, payload), user and user.lower()
        except (ValueError, KeyError, TypeError, AttributeError, Malformed):
            return "", None

    # -- calls -----------------------------------------------------------------------------------------------------

    def call(self, link: Link, kind: str, body: Any, post_id: int | None = None) -> None:
        """One query or signed action, by either transport."""
        call = Call(self, link, kind, name_of(kind, body), post_id)
        try:
            if not self._limits.has_weight(link.ip):
                call.refuse(429, "null")
            elif kind == ACTION:
                self._action(call, body)
            elif kind == INFO:
                self._query(call, body)
            else:
                raise Malformed(f"unknown request type {kind!r}")
        except Malformed:
            call.refuse(422, UNFIT)
        except BadQuery:
            call.refuse(500, "null")
        except Exception:
            _log.exception("a request that nobody foresaw: %s", call.channel)
            call.refuse(500, "null")

    def _action(self, call: Call, body: Any) -> None:
        signed = verify(body)
        if signed.kind not in HANDLERS:
            raise Malformed(f"unknown action type {signed.kind!r}")
        call.signed = signed
        call.body = body
        if self.faults.armed or self.log is not None or self.hub.record is not None:
            call.user = self._acting(signed)
        self._limits.spend(call.link.ip, weight_of_action(signed.action))
        call.reaches(partial(self._execute, call, signed, body))

    def _execute(self, call: Call, signed: Signed, body: Any) -> None:
        call.link.pending_posts += call.post_id is not None
        self._submit(signed, body, call)

    def _query(self, call: Call, body: Any) -> None:
        if type(body) is dict and type(body.get("user")) is str:
            call.user = body["user"].lower()
        call.reaches(partial(self._look_up, call, body))

    def _look_up(self, call: Call, body: Any) -> None:
        try:
            value = self._info_of(call.link).answer(body)
        except Malformed:
            call.refuse(422, UNFIT)
        except BadQuery:
            call.refuse(500, "null")
        else:
            self._limits.spend(call.link.ip, weight_of_query(call.channel, value))
            call.answer(value)

    # -- the log ---------------------------------------------------------------------------------------------------

    def log_call(self, call: Call, outcome: str) -> None:
        """One line a request; for a signature that names nobody known, the likely cause below it."""
        assert self.log is not None
        what = call.channel if call.signed is None else describe(call.signed.action)
        self.log(f"{call.link} {call.user or '-'} {what} -> {outcome}")
        if call.signed is not None and ("does not exist." in outcome or "recover signer" in outcome):
            self.log(f"    {self._explain(call.body)['cause']}")


def name_of(kind: str, body: Any) -> str:
    """The type of an action or a query; empty if it has none."""
    inner = body.get("action") if kind == ACTION and type(body) is dict else body
    name = inner.get("type") if type(inner) is dict else None
    return name if type(name) is str else ""


def is_post(message: dict[str, Any]) -> bool:
    try:
        _POST(message)
    except Malformed:
        return False
    return True
