"""Faults on request (local exchange, layer 5): what can go wrong between a client and the venue, armed by tests.

    lost = exchange.faults.arm("lost_answer", channel="order")          # the next order is executed and not answered
    exchange.faults.arm("late", channel="userFills", probability=0.01, ms=30_000)
    exchange.faults.arm("http_502", channel="cancel", at="answer")      # executed, then answered by the gateway
    ...
    assert lost.hits == 1
    exchange.faults.assert_all_hit()

A message passes up to five points: `arrival` (a WebSocket message's bytes are there, and not read), `request` (read and
verified, not executed), `answer` (to a request, executed), `frame` (of a stream), `connect` (a WebSocket handshake);
`fills` and `block` are points of a block. Each fault has its points; the first armed one that fits takes the message and
either lets it go on or does not. To add a kind: a function and a line in KINDS.

What must hold: draws come from the exchange's seed and the fault's number alone, so a run repeats; a fault counts its
hits, and `assert_all_hit` fails for one that never hit. Delays are in ms of the exchange's time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from hlfast.errors import ConfigError
from hlfast.sim.links import Link
from hlfast.sim.pace import Pace

ARRIVAL, REQUEST, ANSWER, FRAME = "arrival", "request", "answer", "frame"
CONNECT, FILLS, BLOCK = "connect", "fills", "block"
OUT = (ANSWER, FRAME)
ANYWHERE = (REQUEST, ANSWER, FRAME, CONNECT)
HTML_502 = (
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
)
UPGRADING = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>"


class Control(Protocol):
    """What a fault can ask of the exchange as a whole."""

    pace: Pace

    def open_post_only(self, seconds: float) -> None: ...
    def start_drill(self, down_seconds: float, post_only_seconds: float) -> int: ...
    def skew_block(self, offset_ms: int) -> None: ...
    def look_at_bytes(self) -> None: ...


@dataclass
class Message:
    """One message at one point. `channel` is the stream's, or what was asked: order, cancel, orderStatus, ping."""

    point: str
    transport: str
    channel: str
    user: str | None
    link: Link
    text: Callable[[], str]
    proceed: Callable[[], object]
    replace: Callable[[str], object] = lambda text: None
    answer: Callable[[Any], object] = lambda value: None
    refuse: Callable[[int, str], object] | None = None
    half: Callable[[], object] = lambda: None
    """At `arrival`: lets the first half of the bytes through, and keeps the rest."""


Where: TypeAlias = str | Callable[[Message], bool]
Effect: TypeAlias = Callable[["Fault", Message, Control], None]


@dataclass(frozen=True)
class Kind:
    """One kind of fault: at which points and on which transports, what it takes with which defaults, what it does."""

    effect: Effect
    points: tuple[str, ...]
    doc: str
    transports: tuple[str, ...] = ("ws", "http")
    options: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = 1
    channel: str | None = None


class Fault:
    """One armed fault. `hits` says how often it struck; `disarm()` ends it; `await wait()` until it has struck."""

    def __init__(
        self,
        faults: Faults,
        number: int,
        kind: str,
        *,
        where: Where | None,
        times: int | None,
        probability: float | None,
        user: str | None,
        channel: str | None,
        after: int,
        at: str | None,
        options: dict[str, Any],
    ) -> None:
        self.number = number
        self.kind = kind
        self.where = where
        self.times = times
        self.probability = probability
        self.user = user
        self.channel = channel
        self.after = after
        self.options = options
        self.points = tuple(p for p in KINDS[kind].points if p != CONNECT) if at is None else (at,)
        self.random = random.Random(f"{faults.seed}:{number}:{kind}")
        self.seen = 0
        self.hits = 0
        self.links: set[Link] = set()
        self._faults = faults
        self._struck = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Fault {self.number} {self.kind} hits={self.hits}>"

    @property
    def is_armed(self) -> bool:
        return self in self._faults.armed

    def fits(self, message: Message) -> bool:
        if message.point not in self.points or (
            message.transport and message.transport not in KINDS[self.kind].transports
        ):
            return False
        if self.channel is not None and self.channel != message.channel:
            return False
        if self.user is not None and self.user != message.user:
            return False
        if self.kind.startswith("http_") and message.refuse is None:
            return False
        if self.where is None:
            return True
        return self.where in message.text() if isinstance(self.where, str) else self.where(message)

    def strikes(self) -> bool:
        """Whether this one, of those that fit, is hit."""
        self.seen += 1
        if self.seen <= self.after or (self.probability is not None and self.random.random() >= self.probability):
            return False
        self.hits += 1
        self._struck.set()
        if self.times is not None and self.hits >= self.times:
            self._faults.take_off(self)
        return True

    async def wait(self) -> None:
        """Until the next hit, or at once if there was one since the last wait."""
        await self._struck.wait()
        self._struck.clear()

    def disarm(self) -> None:
        """No further hits; connections that this fault made mute, deaf, lagging or unread recover if they still can."""
        self._faults.take_off(self)
        for link in self.links:
            recover(link)
        self.links.clear()

    def report(self) -> dict[str, Any]:
        where = self.where if self.where is None or isinstance(self.where, str) else "a predicate"
        return {
            "id": self.number,
            "kind": self.kind,
            "at": list(self.points),
            "where": where,
            "user": self.user,
            "channel": self.channel,
            "after": self.after,
            "times": self.times,
            "probability": self.probability,
            **self.options,
            "seen": self.seen,
            "hits": self.hits,
            "armed": self.is_armed,
        }


class Faults:
    """All faults of one exchange."""

    def __init__(self, seed: int, control: Control) -> None:
        self.seed = seed
        self.armed: list[Fault] = []
        self._all: list[Fault] = []
        self._control = control

    def arm(
        self,
        kind: str,
        *,
        where: Where | None = None,
        times: int | None = None,
        probability: float | None = None,
        user: str | None = None,
        channel: str | None = None,
        after: int = 0,
        at: str | None = None,
        **options: Any,
    ) -> Fault:
        """Arm one fault and return its handle.

        `where` is text that the message must contain, or a predicate of the `Message`; `channel` a stream's name or
        what was asked (an action's or a query's type, `ping`, `subscribe`); `after` lets that many go by first. It hits
        `times` times (by default once; until disarmed with `probability`, a share of those that fit). `at` narrows the
        points. Further options are the kind's (see KINDS). Raises ConfigError for what makes no sense.
        """
        found = KINDS.get(kind)
        if found is None:
            raise ConfigError(f"there is no fault {kind!r}; the kinds are {', '.join(sorted(KINDS))}")
        if at is not None and at not in found.points:
            raise ConfigError(f"{kind} can be armed at {' or '.join(found.points)}, got at={at!r}")
        unknown = options.keys() - found.options.keys()
        if unknown:
            takes = ", ".join(f"{name}={value!r}" for name, value in found.options.items()) or "no options"
            raise ConfigError(f"{kind} does not take {', '.join(sorted(unknown))}; it takes {takes}")
        if probability is not None and not 0 < probability <= 1:
            raise ConfigError(f"probability must be above 0 and at most 1, got {probability!r}")
        if (times is not None and times < 1) or after < 0:
            raise ConfigError(f"times must be >= 1 and after >= 0, got {times!r} and {after!r}")
        for name, value in options.items():
            wanted = found.options[name]
            if name == "end" and value not in ENDS:
                raise ConfigError(f"{kind}: end is {' or '.join(ENDS)}, got {value!r}")
            if isinstance(wanted, int | float) and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ConfigError(f"{kind}: {name} must be a number, got {value!r}")
        if times is None and probability is None:
            times = found.times
        fault = Fault(
            self,
            len(self._all) + 1,
            kind,
            where=where,
            times=times,
            probability=probability,
            user=user.lower() if user else None,
            channel=channel or found.channel,
            after=after,
            at=at,
            options={**found.options, **options},
        )
        self.armed.append(fault)
        self._all.append(fault)
        if ARRIVAL in fault.points:
            self._control.look_at_bytes()
        return fault

    def take_off(self, fault: Fault) -> None:
        if fault in self.armed:
            self.armed.remove(fault)

    def get(self, number: int) -> Fault | None:
        return self._all[number - 1] if 0 < number <= len(self._all) else None

    def clear(self) -> None:
        """Disarm all, and forget them."""
        for fault in self._all:
            fault.disarm()
        self._all.clear()

    def apply(self, message: Message) -> bool:
        """Whether a fault took this message over: then the caller does nothing more with it."""
        for fault in self.armed:
            if fault.fits(message) and fault.strikes():
                KINDS[fault.kind].effect(fault, message, self._control)
                return True
        return False

    def wants(self, kind: str) -> bool:
        return any(fault.kind == kind for fault in self.armed)

    def report(self) -> list[dict[str, Any]]:
        return [fault.report() for fault in self._all]

    def assert_all_hit(self) -> None:
        """Raise AssertionError that names each fault that never hit."""
        missed = [fault.report() for fault in self._all if not fault.hits]
        assert not missed, f"armed and never hit: {missed}"


def recover(link: Link) -> None:
    """End what can be ended: silence, deafness, lag, a stopped reader."""
    link.is_muted = link.is_deaf = False
    link.lag_blocks = 0
    link.resume_reading()


# -- what each kind does ---------------------------------------------------------------------------------------------


def lose(fault: Fault, message: Message, control: Control) -> None:
    pass


def late(fault: Fault, message: Message, control: Control) -> None:
    control.pace.call_later(fault.options["ms"], message.proceed)


def duplicate(fault: Fault, message: Message, control: Control) -> None:
    message.proceed()
    message.proceed()


def reorder(fault: Fault, message: Message, control: Control) -> None:
    message.link.swap(message.proceed)
    control.pace.call_later(fault.options["ms"], message.link.release)


def fill_before_ack(fault: Fault, message: Message, control: Control) -> None:
    message.proceed()


def mute(fault: Fault, message: Message, control: Control) -> None:
    message.link.is_muted = True
    if message.point == REQUEST:
        message.proceed()
    _for_a_while(fault, message, control)


def black_hole(fault: Fault, message: Message, control: Control) -> None:
    message.link.deafen()
    _for_a_while(fault, message, control)


def slow_reader(fault: Fault, message: Message, control: Control) -> None:
    message.proceed()
    message.link.stop_reading()
    _for_a_while(fault, message, control)


def lag(fault: Fault, message: Message, control: Control) -> None:
    message.link.lag_blocks = max(1, int(fault.options["blocks"]))
    message.proceed()
    _for_a_while(fault, message, control)


def _for_a_while(fault: Fault, message: Message, control: Control) -> None:
    """Until disarmed, or for `ms`."""
    link = message.link
    fault.links.add(link)
    if fault.options["ms"]:

        def over() -> None:
            fault.links.discard(link)
            recover(link)

        control.pace.call_later(fault.options["ms"], over)


def rst(fault: Fault, message: Message, control: Control) -> None:
    message.link.reset()


def fin(fault: Fault, message: Message, control: Control) -> None:
    message.link.finish()


def half_close(fault: Fault, message: Message, control: Control) -> None:
    message.link.half_close()
    if message.point == REQUEST:
        message.proceed()


def truncated(fault: Fault, message: Message, control: Control) -> None:
    text = message.text()
    message.replace(text[: len(text) // 2])


def torn(fault: Fault, message: Message, control: Control) -> None:
    message.link.tear(message.text().encode())
    end(fault, message, control)


def cut_short(fault: Fault, message: Message, control: Control) -> None:
    message.half()
    message.link.stop_reading()
    end(fault, message, control)


def end(fault: Fault, message: Message, control: Control) -> None:
    """Of a connection on which half a message has passed. After a black hole the rest comes, as TCP sends it again."""
    ENDS[fault.options["end"]](fault, message, control)


def silence(fault: Fault, message: Message, control: Control) -> None:
    message.link.is_muted = True
    _for_a_while(fault, message, control)


ENDS: dict[str, Effect] = {"rst": rst, "fin": fin, "black_hole": silence}


def garbage(fault: Fault, message: Message, control: Control) -> None:
    text, draw = fault.options["text"], fault.random
    if text is None:
        nonsense = "".join(chr(draw.randrange(32, 0x2FF)) for _ in range(draw.randrange(1, 200)))
        texts = ("", "null", "[]", "{}", '{"channel":7}', '{"channel":"orderUpdates","data":{}}', message.text() + "}")
        text = draw.choice((nonsense, *texts))
    message.replace(text)


def refuse(status: int, body: str) -> Effect:
    def effect(fault: Fault, message: Message, control: Control) -> None:
        assert message.refuse is not None
        message.refuse(status, body)

    return effect


def unknown_oid(fault: Fault, message: Message, control: Control) -> None:
    message.answer({"status": "unknownOid"})


def post_only(fault: Fault, message: Message, control: Control) -> None:
    control.open_post_only(fault.options["seconds"])
    message.proceed()


def drill(fault: Fault, message: Message, control: Control) -> None:
    message.proceed()
    control.start_drill(fault.options["down_seconds"], fault.options["post_only_seconds"])


def clock_skew(fault: Fault, message: Message, control: Control) -> None:
    control.skew_block(int(fault.options["ms"]))


KINDS: dict[str, Kind] = {
    "lost_answer": Kind(lose, (ANSWER,), "executed, and the answer never comes; the connection stays"),
    "lost_request": Kind(lose, (REQUEST,), "not executed, and no answer comes; the connection stays"),
    "lost_frame": Kind(lose, (FRAME,), "one frame of a stream is not sent", ("ws",)),
    "late": Kind(late, OUT, "an answer or a frame comes `ms` later, others overtake it", options={"ms": 1_000}),
    "late_request": Kind(late, (REQUEST,), "executed `ms` later, as if it had been on its way", options={"ms": 1_000}),
    "duplicate": Kind(duplicate, OUT, "an answer or a frame comes twice", ("ws",)),
    "reorder": Kind(
        reorder,
        OUT,
        "changes places with the next message on its connection (waits `ms` for one)",
        ("ws",),
        {"ms": 1_000},
    ),
    "fill_before_ack": Kind(
        fill_before_ack,
        (FILLS,),
        "an order's fills come before its rows in orderUpdates and before its answer",
        ("ws",),
    ),
    "mute": Kind(
        mute,
        ANYWHERE[:3],
        "nothing goes out on the connection any more (for `ms`); it still executes",
        ("ws",),
        {"ms": 0},
    ),
    "black_hole": Kind(
        black_hole, ANYWHERE, "takes everything, does nothing, says nothing (for `ms`)", options={"ms": 0}
    ),
    "slow_reader": Kind(
        slow_reader, (REQUEST,), "the exchange stops reading from the connection (for `ms`)", ("ws",), {"ms": 0}
    ),
    "rst": Kind(rst, ANYWHERE, "reset: before executing (request), instead of an answer or a frame"),
    "fin": Kind(fin, ANYWHERE, "closed without a close frame: before executing, instead of an answer or a frame"),
    "half_close": Kind(half_close, ANYWHERE[:3], "FIN from the exchange, which still reads and executes", ("ws",)),
    "truncated": Kind(truncated, OUT, "a whole frame whose text ends in the middle"),
    "torn": Kind(
        torn,
        OUT,
        "the stream ends in the middle of a frame or body, with `end`: fin, rst or black_hole (for `ms`)",
        options={"end": "fin", "ms": 0},
    ),
    "cut_short": Kind(
        cut_short,
        (ARRIVAL,),
        "half of a message arrives and is not executed; then `end`: rst, fin or black_hole (the rest after `ms`)",
        ("ws",),
        {"end": "rst", "ms": 0},
    ),
    "garbage": Kind(
        garbage, OUT, "something else instead of the message: `text`, or seeded nonsense", options={"text": None}
    ),
    "http_429": Kind(refuse(429, "null"), (REQUEST, ANSWER, CONNECT), "429 null; over WebSocket the post's error"),
    "http_500": Kind(refuse(500, "null"), (REQUEST, ANSWER, CONNECT), "500 null; not executed, unless at=answer"),
    "http_502": Kind(
        refuse(502, HTML_502), (REQUEST, ANSWER, CONNECT), "502 with HTML; not executed, unless at=answer"
    ),
    "http_503": Kind(
        refuse(503, UPGRADING), (REQUEST, ANSWER, CONNECT), "503 with HTML; not executed, unless at=answer"
    ),
    "unknown_oid": Kind(
        unknown_oid, (ANSWER,), "orderStatus says unknownOid of an order that is there", channel="orderStatus"
    ),
    "lag": Kind(
        lag,
        (REQUEST,),
        "answers on this connection come `blocks` blocks late, those to queries as of then (for `ms`); streams do not",
        options={"blocks": 3, "ms": 0},
        times=None,
    ),
    "post_only": Kind(post_only, (REQUEST,), "a post-only window of `seconds` opens", options={"seconds": 10.0}),
    "drill": Kind(
        drill,
        (REQUEST,),
        "an upgrade: sockets cut, 503 for `down_seconds`, then a post-only window",
        options={"down_seconds": 2.0, "post_only_seconds": 10.0},
    ),
    "clock_skew": Kind(clock_skew, (BLOCK,), "the time of blocks is off by `ms`", (), {"ms": 60_000}, None),
}
"""Every kind of fault."""
