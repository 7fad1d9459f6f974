"""A canary key that trades and meets every error: it is searched for in all that comes out, as text, bytes and numbers."""

from __future__ import annotations

import asyncio
import base64
import copy
import gc
import io
import logging
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coincurve
import pytest

import hlfast
from hlfast.config import Settings
from hlfast.core import events as ev
from hlfast.engine.journal import DATABASE, RING
from hlfast.errors import HlfastError
from hlfast.sim.verify import address_of

CANARY = "5ca1ab1e0ddba11c0ffee0ddba11c0ffee5ca1ab1edeadbeefc0ffee0ddba115"
RAW = bytes.fromhex(CANARY)
PASSWORD = "canary password 8172"
NEEDLES = [
    *(CANARY[n : n + 12] for n in range(0, len(CANARY) - 12, 4)),
    base64.b64encode(RAW).decode()[:24],
    str(int(CANARY, 16))[:24],
    repr(RAW)[2:30],
    str(list(RAW))[1:30],
    PASSWORD,
]
QUICK = Settings(
    backoff_min=0.01, backoff_max=0.1, post_timeout_ms=200, hold_ms=300, ping_interval=0.3, pong_timeout=0.5
)
ADDRESS = address_of(coincurve.PublicKey.from_valid_secret(RAW))


def assert_no_canary(text: str | bytes, where: str) -> None:
    if isinstance(text, bytes):
        assert RAW not in text and RAW[::-1] not in text, where
        text = text.decode("latin-1")
    lower = text.lower()
    assert not [needle for needle in NEEDLES if needle.lower() in lower], where


@pytest.mark.parametrize("shown", [CANARY.upper(), f"x{CANARY[20:40]}x", RAW, str(RAW), str(int(CANARY, 16)), PASSWORD])
def test_the_search_finds_the_key_in_each_spelling(shown: str | bytes) -> None:
    with pytest.raises(AssertionError):
        assert_no_canary(shown, "here")


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that any logger says, down to DEBUG, with its tracebacks."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s %(args)r"))
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def with_locals(error: BaseException) -> str:
    """As an error reporter shows it: every chained error, and the local variables of every frame of the package."""
    shown = []
    seen: BaseException | None = error
    while seen is not None:
        told = traceback.TracebackException(type(seen), seen, seen.__traceback__, capture_locals=True)
        frames = [frame for frame in told.stack if "/hlfast/" in frame.filename]
        shown += [str(seen), repr(seen), *(f"{frame.filename} {frame.name} {frame.locals}" for frame in frames)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(shown)


async def every_error(hl: Any, exchange: Any, errors: list[BaseException]) -> None:
    """Orders that succeed, are refused here, refused there, lost, unanswered; sockets that end; answers that are garbage."""

    async def attempt(what: Callable[[], Any]) -> None:
        try:
            found = what()
            if asyncio.iscoroutine(found):
                await asyncio.wait_for(found, 5)
        except (HlfastError, asyncio.TimeoutError, TypeError, ValueError, KeyError) as error:
            errors.append(error)

    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert await order.accepted()
    wrong: list[Callable[[], Any]] = [
        lambda: hl.buy("BTC", "0.001", "50000.123456"),
        lambda: hl.buy("NOPE", 1, 1),
        lambda: hl.buy("BTC", "x", 1),
        lambda: hl.buy("BTC", "0.001", "50000", tif="Never"),
        lambda: hl.buy("BTC", "0.001", "50000", cloid=order.cloid),
        lambda: hl.modify(order, size="0.00000001"),
        lambda: hl.sell("BTC", "900", "60000"),
        lambda: hl.actions.send({"type": "usdSend", "amount": "1"}),
        lambda: hl.actions.send({"type": "noSuchAction"}),
        lambda: hl.actions.update_leverage("BTC", 10_000),
        lambda: hl.info.request("noSuchQuery"),
        lambda: hl.signer.sign_user_action({"type": "usdSend"}),
        lambda: hl.signer.sign_l1_action({"type": "order", "orders": object()}, 1),
        lambda: hl.signer.sign_l1_action(None, "x"),
        lambda: pickle.dumps(hl.signer),
        lambda: copy.deepcopy(hl.signer),
        lambda: pickle.dumps(hl),
        lambda: copy.deepcopy(hl.entry),
    ]
    for what in wrong:
        await attempt(what)
    for kind, options in (
        ("lost_answer", {"channel": "order"}),
        ("lost_request", {"channel": "order"}),
        ("garbage", {}),
        ("truncated", {}),
        ("torn", {}),
        ("rst", {}),
        ("http_500", {"channel": "order"}),
        ("http_502", {"channel": "order"}),
        ("http_429", {"channel": "order"}),
    ):
        exchange.faults.arm(kind, **options)
        await attempt(lambda: hl.buy("BTC", "0.001", "50001", tif="Gtc").accepted())
        await attempt(lambda: hl.recovery.audit())
        exchange.faults.clear()
        await attempt(lambda: hl.wait_ready(5))
    await exchange.cut(refuse_seconds=0.1)
    await asyncio.sleep(0.05)
    await attempt(lambda: hl.buy("BTC", "0.001", "50000"))
    await attempt(lambda: hl.cancel(order))
    await attempt(lambda: hl.wait_ready(5))
    hl.kill("the end of the test")
    await attempt(lambda: hl.buy("BTC", "0.001", "50000"))
    await attempt(lambda: hl.wait_ready(5))


async def test_a_key_that_meets_every_error_is_in_nothing_that_comes_out(
    open_exchange: Any, tmp_path: Path, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """L122, secrets: 0 hits in logs, reprs, errors with their locals, events, pickles, journal, wire and output."""
    lines: list[str] = []
    exchange = await open_exchange(accounts=[ADDRESS], log=lines.append, log_requests=True, record=True)
    key = tmp_path / "agent.key"
    key.write_text(CANARY)
    key.chmod(0o600)
    asyncio.get_running_loop().set_debug(True)
    errors: list[BaseException] = []
    events: list[Any] = []
    wire: list[str] = []
    take = exchange._requests.on_frame
    exchange._requests.on_frame = lambda link, text: (wire.append(repr(text)), take(link, text))[1]
    hl = hlfast.connect(exchange.network, key=str(key), settings=QUICK, journal=tmp_path / "journal")

    def raises(event: Any) -> None:
        if isinstance(event, ev.OrderCreated):
            raise RuntimeError(f"a handler fails with {event!r} {hl!r} {hl.signer!r}")
        events.append(event)

    for kind in (ev.OrderEvent, ev.ConnectorError, ev.StreamStatus, ev.Recovered, ev.BalanceUpdate):
        hl.on(kind, raises)
    try:
        async with hl:
            assert hl.account == ADDRESS and hl.signer.address == ADDRESS
            hl.watch("BTC")
            await hl.wait_ready(5)
            await every_error(hl, exchange, errors)
            things = [hl, hl.signer, hl.entry, hl.tracker, hl.settings, hl.network, hl.status, hl.counters, hl.journal]
            things += [*hl.tracker.active_orders, *asyncio.all_tasks(), hl._account_session, hl.entry.nonces, hl.bus]
            for thing in things:
                for text in (repr(thing), str(thing), f"{thing}", str(getattr(thing, "__dict__", ""))):
                    assert_no_canary(text, f"repr of {type(thing).__name__}")
            for order in hl.tracker.active_orders:
                assert_no_canary(
                    repr({name: getattr(order, name) for name in dir(order) if name[0] != "_"}), "an order"
                )
    finally:
        asyncio.get_running_loop().set_debug(False)
    assert len(errors) > 15 and len(events) > 15
    for error in errors:
        assert_no_canary(with_locals(error), f"{type(error).__name__}: {error}")
    for event in events:
        assert_no_canary(repr(event) + str(event), type(event).__name__)
    log = logged.getvalue()
    assert "a handler fails with" in log and "hlfast" in log
    assert_no_canary(log, "the log")
    assert_no_canary("\n".join(lines), "the exchange's log")
    assert_no_canary(str(exchange.truth()), "the exchange's record")
    assert wire and '"order"' in "".join(wire), "what the connector has sent"
    assert_no_canary("".join(wire), "the wire")
    out = capfd.readouterr()
    assert_no_canary(out.out + out.err, "standard output and error")
    kept = [path for path in (tmp_path / "journal").rglob("*") if path.is_file()]
    assert {path.name for path in kept} >= {DATABASE, RING}
    for path in kept:
        assert_no_canary(path.read_bytes(), path.name)


@pytest.mark.parametrize(
    "key", [CANARY[:-1], f"0x{CANARY}0", f"{CANARY[:60]}zzzz", RAW[:-1], [CANARY], {"key": CANARY}]
)
def test_a_mistyped_key_is_not_in_what_connect_says(key: Any, logged: io.StringIO) -> None:
    """L123, secrets: it is nearly the key; with the connector's frames as an error reporter shows them."""
    with pytest.raises(HlfastError) as caught:
        hlfast.connect("testnet", key=key)
    assert_no_canary(str(caught.value) + repr(caught.value) + logged.getvalue(), "the error")
    assert caught.value.__cause__ is None and caught.value.__context__ is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--seconds", "2", "--no-such-option"],
        ["orders", "{journal}"],
        ["fills", "{journal}"],
        ["orders", "{missing}"],
        ["sim", "--port", "999999"],
        ["build"],
        ["no-such-command"],
    ],
)
def test_the_command_line_shows_no_key_of_its_environment(arguments: list[str], tmp_path: Path) -> None:
    """Secrets: a key in the environment or in a file beside is in no command's output."""
    (tmp_path / "journal").mkdir()
    given = [a.format(journal=tmp_path / "journal", missing=tmp_path / "missing") for a in arguments]
    root = str(Path(hlfast.__file__).parents[1])
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {root!r}); from hlfast.cli import main; main()",
            *given,
        ],
        env={"PATH": "/usr/bin:/bin", "HL_KEY": CANARY, "HLFAST_KEYSTORE_PASSWORD": PASSWORD, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout or done.stderr
    assert_no_canary(done.stdout + done.stderr, " ".join(arguments))


def test_a_closed_signer_has_no_key_left_in_its_memory() -> None:
    """Secrets: `close` wipes; what Python objects can be reached from it hold none either."""
    signer = hlfast.Signer(RAW)
    signer.sign_l1_action({"type": "noop"}, 1)
    for held in gc.get_referents(signer):
        assert_no_canary(repr(held), "what a signer refers to")
    signer.close()
    with pytest.raises(HlfastError, match="closed"):
        signer.sign_l1_action({"type": "noop"}, 1)
