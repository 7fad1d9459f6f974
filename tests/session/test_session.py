"""One WebSocket that stays up, against a server that does its worst: every way to end, and what follows it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hlfast import clock
from hlfast.core.frame_sink import FrameSink
from hlfast.errors import ConfigError
from hlfast.net.backoff import Backoff
from hlfast.net.session import ConnectionBudget, WebSocketSession
from hlfast.types import StreamState

SUBSCRIBE = b'{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}'


def test_it_connects_subscribes_and_keeps_itself_alive(run: Any, session_class: Any, until: Any) -> None:
    """Behaviour 133: pings keep a quiet connection, and their answers are noted."""

    async def scenario(venue: Any) -> None:
        session = session_class(
            venue.url, ping_interval=0.05, pong_timeout=0.5, on_connected=lambda: session.send(SUBSCRIBE)
        )
        assert (session.state, session.is_open, session.listener) == (StreamState.DOWN, False, None)
        session.start()
        session.start()
        await until(lambda: venue.peers and len(venue.peer.received) > 5)
        assert venue.peer.received[0] == SUBSCRIBE
        assert set(venue.peer.received[1:]) == {b'{"method":"ping"}'}
        session.set_state(StreamState.LIVE, "subscribed")
        assert session.states == ["CONNECTING", "SUBSCRIBING", "LIVE"]
        assert (session.connections, venue.accepted, session.closes) == (1, 1, {})
        await session.stop()

    run(scenario)


def test_every_word_of_a_session_is_in_a_log_of_ours(run: Any, session_class: Any, until: Any, caplog: Any) -> None:
    """S5, L17: also those of the WebSocket library, which would come from loggers that nobody has heard of."""
    caplog.set_level("DEBUG")

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url)
        session.start()
        await until(lambda: venue.peers)
        await session.stop()

    run(scenario)
    names = {record.name for record in caplog.records if record.name != "asyncio"}
    assert names and all(name.startswith("hlfast.") for name in names)


# -- who closed, and why ------------------------------------------------------------------------------------------------
def by_server_close(session: Any, venue: Any) -> None:
    venue.peer.frame(8, b"\x03\xe9restart")


def by_fin(session: Any, venue: Any) -> None:
    venue.peer.hang_up()


def by_reset(session: Any, venue: Any) -> None:
    venue.peer.reset()


def by_abort(session: Any, venue: Any) -> None:
    session.listener.abort("budget: given up by the owner")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (by_server_close, "server closed: code 1001 'restart'"),
        (by_fin, "connection lost: it ended without a CLOSE frame (code 1006)"),
        (by_reset, "connection lost: it ended without a CLOSE frame (code 1006)"),
        (by_abort, "budget: given up by the owner"),
    ],
)
def test_every_end_has_its_reason_and_is_followed_by_a_new_connection(
    run: Any, session_class: Any, until: Any, end: Any, reason: str
) -> None:
    """L17, L1: who closed and why is told and counted, and the session reconnects and subscribes by itself."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, on_connected=lambda: session.send(SUBSCRIBE))
        session.start()
        await until(lambda: session.is_open and venue.peers and SUBSCRIBE in venue.peer.received)
        first = venue.peer
        end(session, venue)
        await until(lambda: len(venue.peers) == 2 and SUBSCRIBE in venue.peer.received)
        assert session.why_down == [reason]
        assert session.closes == {reason.partition(":")[0]: 1}
        assert session.states == ["CONNECTING", "SUBSCRIBING", "DOWN", "CONNECTING", "SUBSCRIBING"]
        assert first.close_code == (1000 if end is by_server_close else None)
        await session.stop()

    run(scenario)


def test_a_close_frame_is_answered(run: Any, session_class: Any, until: Any) -> None:
    """RFC 6455, 5.5.1: the server's CLOSE gets one back before the socket closes."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url)
        session.start()
        await until(lambda: session.is_open and venue.peers)
        first = venue.peer
        first.frame(8, b"\x03\xe8")
        await until(lambda: first.ended)
        assert first.close_code == 1000
        await session.stop()

    run(scenario)


def test_a_write_after_a_reset_marks_the_connection_down(run: Any, session_class: Any, until: Any) -> None:
    """L15: broken pipe. What was handed to a live transport counts as sent (its outcome is not known), and the
    connection is replaced."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url)
        session.start()
        await until(lambda: session.is_open and venue.peers)
        venue.peer.reset()
        assert session.send(b"handed over before anybody knew")
        for _ in range(5):
            session.send(b"x" * 100_000)
        await until(lambda: session.connections == 2 and session.is_open)
        assert session.closes == {"connection lost": 1}
        await session.stop()

    run(scenario)


# -- liveness -----------------------------------------------------------------------------------------------------------
def silent(venue: Any, session: Any) -> None:
    """Nothing more comes."""


def talks(venue: Any, session: Any) -> None:
    venue.peer.text(b"data, but no pong")


def pings(venue: Any, session: Any) -> None:
    venue.peer.frame(9, b"a proxy's ping")


def listens(venue: Any, session: Any) -> None:
    session.send(b"the client goes on sending")


@pytest.mark.parametrize("meanwhile", [silent, talks, pings, listens])
def test_a_connection_without_pongs_is_replaced(run: Any, session_class: Any, until: Any, meanwhile: Any) -> None:
    """L5, L21, C2: neither own sends, nor WebSocket pings, nor data stand in for a pong that is due."""

    async def scenario(venue: Any) -> None:
        venue.answer_pings = False
        session = session_class(venue.url, ping_interval=0.1, pong_timeout=0.1)
        session.start()
        await until(lambda: session.is_open and venue.peers)
        began = clock.epoch_ns()
        while session.connections == 1:
            if session.is_open:
                meanwhile(venue, session)
            await asyncio.sleep(0.01)
            assert clock.epoch_ns() - began < 10e9, "a dead connection was not found"
        assert session.why_down[0] == "no pong: 0.1 s after a ping"
        venue.answer_pings = True
        await until(lambda: session.is_open and venue.accepted >= 2)
        await session.stop()

    run(scenario)


def test_a_stream_without_any_frame_is_stalled(run: Any, session_class: Any, until: Any) -> None:
    """C2: the watch on inbound frames has a limit of its own."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, ping_interval=30.0, pong_timeout=30.0, stall_timeout=0.1)
        session.start()
        await until(lambda: session.connections == 2)
        assert session.why_down[0] == "stalled: no frame for 0.1 s"
        await session.stop()

    run(scenario)


def test_a_loop_that_stood_still_does_not_blame_the_peer(run: Any, session_class: Any, until: Any) -> None:
    """C2: after our own standstill, frames that lie unread in the kernel get their chance first."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, ping_interval=0.1, pong_timeout=0.1)
        session.start()
        await until(lambda: session.is_open and venue.peers and b'{"method":"ping"}' in venue.peer.received)
        for n in (0, 1, 2, 5):  # at different moments between a ping and its pong
            time.sleep(0.3)
            for _ in range(n):
                await asyncio.sleep(0)
        assert (session.connections, session.closes) == (1, {})
        await session.stop()

    run(scenario)


# -- back-off and budget ------------------------------------------------------------------------------------------------
class Naps:
    """Takes the place of asyncio.sleep: keeps what was asked for, and waits for almost nothing."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0.001)


def doubles(asked: list[float], minimum: float, maximum: float) -> bool:
    whole = [min(minimum * 2**n, maximum) for n in range(len(asked))]
    return all(0.75 * most < delay <= most for delay, most in zip(asked, whole, strict=True))


def test_refused_connections_are_tried_for_ever_with_delays_that_double(
    run: Any, session_class: Any, until: Any
) -> None:
    """Behaviour 78, C1: doubling with jitter up to the cap; once the venue listens again, the session is up."""

    async def scenario(venue: Any) -> None:
        venue.stop_listening()
        naps = Naps()
        session = session_class(
            venue.url, backoff=Backoff(0.25, 5.0), sleep=naps, connection_budget=ConnectionBudget(1000)
        )
        session.start()
        await until(lambda: len(naps.asked) >= 12)
        assert doubles(naps.asked[:12], 0.25, 5.0)
        assert set(session.why_down) == {f"refused: nothing listens at {venue.url}"}
        assert session.closes["refused"] >= 12 and session.connections == 0
        await venue.listen()
        await until(lambda: session.is_open)
        await session.stop()

    run(scenario)


def test_a_connection_that_is_cut_again_and_again_backs_off_and_resubscribes_each_time(
    run: Any, session_class: Any, until: Any
) -> None:
    """Behaviour 78: cut n times, delays double up to the cap, and all subscriptions return."""

    async def scenario(venue: Any) -> None:
        naps = Naps()
        session = session_class(
            venue.url,
            backoff=Backoff(0.25, 5.0),
            sleep=naps,
            stable_after=60.0,
            connection_budget=ConnectionBudget(1000),
            on_connected=lambda: [session.send(SUBSCRIBE), session.send(SUBSCRIBE.replace(b"BTC", b"ETH"))],
        )
        session.start()
        for n in range(1, 9):
            await until(lambda n=n: len(venue.peers) == n and len(venue.peer.received) >= 2)
            assert venue.peer.received[:2] == [SUBSCRIBE, SUBSCRIBE.replace(b"BTC", b"ETH")]
            venue.peer.reset()
        await until(lambda: len(naps.asked) >= 8)
        assert doubles(naps.asked[:8], 0.25, 5.0)
        await session.stop()

    run(scenario)


def test_a_connection_that_lasted_starts_the_back_off_anew(run: Any, session_class: Any, until: Any) -> None:
    """L1: a venue that drops a healthy connection now and then is back at once."""

    async def scenario(venue: Any) -> None:
        naps = Naps()
        session = session_class(
            venue.url,
            backoff=Backoff(0.25, 5.0),
            sleep=naps,
            stable_after=0.0,
            connection_budget=ConnectionBudget(1000),
        )
        session.start()
        for n in range(1, 7):
            await until(lambda n=n: len(venue.peers) == n and session.is_open)
            venue.peer.hang_up()
            await until(lambda n=n: len(naps.asked) == n)
        assert max(naps.asked) <= 0.25
        await session.stop()

    run(scenario)


def test_all_sockets_together_stay_within_the_budget(run: Any, session_class: Any, until: Any) -> None:
    """L8, C1: the server counts. Over the limit, a session waits, says so, and then connects; none fails."""

    async def scenario(venue: Any) -> None:
        accepted: list[int] = []
        venue.on_peer = lambda peer: (accepted.append(clock.epoch_ns()), peer.reset())
        budget = ConnectionBudget(4, window=0.4)
        sessions = [session_class(venue.url, backoff=Backoff(0.001, 0.002), connection_budget=budget) for _ in range(3)]
        for session in sessions:
            session.start()
        await until(lambda: len(accepted) >= 12)
        for session in sessions:
            await session.stop()
        for first, fifth in zip(accepted, accepted[4:], strict=False):
            assert fifth - first > 0.3e9, "more than 4 connections in a window"
        assert any("connection budget used up" in why for s in sessions for _, why in s.history)
        assert min(s.connections for s in sessions) >= 1

    run(scenario)


async def test_the_budget_waits_for_exactly_the_rest_of_the_minute() -> None:
    """C1: 30 in a minute, the 31st when the first has left it."""
    asked: list[float] = []
    now = 1_700_000_000_000_000_000

    async def sleep(seconds: float) -> None:
        nonlocal now
        asked.append(seconds)
        now += int(seconds * 1e9)
        clock.set_virtual(now)

    budget = ConnectionBudget(30, max_open=100, sleep=sleep)
    try:
        clock.set_virtual(now)
        for _ in range(30):
            await budget.acquire()
        assert asked == [] and budget.wait_seconds() == 60.0
        now += 20_000_000_000
        clock.set_virtual(now)
        await budget.acquire()
        assert asked == [40.0]
        await budget.acquire()
        assert asked == [40.0], "the others of the first second have left the minute too"
    finally:
        clock.set_virtual(None)


async def test_no_more_than_the_allowed_number_is_open_at_once_and_a_cancelled_waiter_takes_no_place() -> None:
    """C1: 10 open. A place is given back by `release`, not by somebody who gave up waiting."""
    budget = ConnectionBudget(1000, max_open=2)
    await budget.acquire()
    await budget.acquire()
    impatient, patient = (asyncio.ensure_future(budget.acquire()) for _ in range(2))
    await asyncio.sleep(0.01)
    assert not impatient.done() and not patient.done()
    impatient.cancel()
    budget.release()
    await asyncio.wait_for(patient, 5)
    with pytest.raises(ConfigError, match="at least one"):
        ConnectionBudget(0)


# -- attempts that come to nothing --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("upgrade", "reason"),
    [
        ("silent", "timed out: no connection to {url} within 0.2 s"),
        ("hang up", "no connection: {url}: hung up during the upgrade"),
        ("refuse", "upgrade refused: {url}"),
    ],
)
def test_an_upgrade_that_fails_is_told_and_tried_again(
    run: Any, session_class: Any, until: Any, upgrade: str, reason: str
) -> None:
    """C1: an attempt has a limit, leaves no socket behind, and is followed by the next one."""

    async def scenario(venue: Any) -> None:
        venue.upgrade = upgrade
        session = session_class(venue.url, connect_timeout=0.2)
        session.start()
        await until(lambda: venue.accepted >= 3)
        assert session.connections == 0 and not session.is_open
        assert session.why_down[0].startswith(reason.format(url=venue.url))
        venue.upgrade = "accept"
        await until(lambda: session.is_open)
        await session.stop()

    run(scenario)


def test_a_name_that_does_not_resolve_is_told(run: Any, session_class: Any, until: Any) -> None:
    """The reason names the address."""

    async def scenario(venue: Any) -> None:
        session = session_class("wss://no-such-host.invalid/ws")
        session.start()
        await until(lambda: session.why_down)
        assert session.why_down[0].startswith("no connection: wss://no-such-host.invalid/ws: ")
        await session.stop()

    run(scenario)


@pytest.mark.parametrize("upgrade", ["silent", "accept"])
def test_stop_during_an_attempt_leaves_nothing(run: Any, session_class: Any, until: Any, upgrade: str) -> None:
    """C7: cancelled between the TCP connection and the upgrade (picows itself would leave its socket open there)."""

    async def scenario(venue: Any) -> None:
        venue.upgrade = upgrade
        for turn in range(20):
            session = session_class(venue.url, connect_timeout=30.0)
            session.start()
            for _ in range(turn):
                await asyncio.sleep(0)
            if upgrade == "silent":
                await until(lambda turn=turn: venue.accepted > turn)
            await session.stop()
            assert session.state is StreamState.DOWN and session.listener is None
            assert set(session.why_down) <= {"stopped"} and set(session.closes) <= {"stopped"}

    run(scenario)


def test_a_peer_that_resets_at_once_does_not_spoil_the_next_connection(
    run: Any, session_class: Any, until: Any
) -> None:
    """C1: a reset that is there before the upgrade is sent leaves no descriptor registered for its successor."""

    async def scenario(venue: Any) -> None:
        venue.upgrade = "reset"
        session = session_class(venue.url, connect_timeout=2.0, connection_budget=ConnectionBudget(1000))
        session.start()
        await until(lambda: venue.accepted >= 20)
        venue.upgrade = "accept"
        await until(lambda: session.is_open)
        assert all("Connection reset" in why or "hung up" in why for why in session.why_down), session.why_down
        await session.stop()

    run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="fills a listen queue in Linux's way")
def test_an_address_that_does_not_answer_at_all_times_out_and_can_be_stopped(
    run: Any, session_class: Any, until: Any
) -> None:
    """C1, C7: TCP itself gets no answer (a full listen queue drops the SYN)."""

    async def scenario(venue: Any) -> None:
        deaf = socket.socket()
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(deaf.getsockname())
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}/ws"
        session = session_class(url, connect_timeout=0.2)
        session.start()
        await until(lambda: session.why_down)
        assert session.why_down[0] == f"timed out: no connection to {url} within 0.2 s"
        await session.stop()
        for sock in (deaf, *fillers):
            sock.close()

    run(scenario)


# -- stop ---------------------------------------------------------------------------------------------------------------
def test_stop_under_traffic_is_final_and_start_works_again(run: Any, session_class: Any, until: Any) -> None:
    """Behaviour 132, C7, L13: an orderly CLOSE, no task, no socket, no reconnect; then it can be started anew."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, ping_interval=0.02)
        for turn in range(1, 4):
            session.start()
            await until(lambda turn=turn: session.is_open and len(venue.peers) == turn)
            peer = venue.peer
            for n in range(500):
                peer.text(b"x" * (n * 10))
                session.send(b"y" * n)
            await asyncio.gather(session.stop(), session.stop())
            assert (session.state, session.is_open, session.listener) == (StreamState.DOWN, False, None)
            assert not session.send(b"too late")
            await until(lambda peer=peer: peer.ended)
            assert peer.close_code == 1000 and peer.received[-1] != b"too late"
            await asyncio.sleep(0.1)
            assert venue.accepted == turn
        assert session.closes == {"stopped": 3} and session.why_down == ["stopped"] * 3

    run(scenario)


def test_stop_while_waiting_for_the_next_attempt_ends_the_waiting(run: Any, session_class: Any, until: Any) -> None:
    """L13: closing is final in the back-off too."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, backoff=Backoff(60.0, 60.0))
        session.start()
        await until(lambda: session.is_open and venue.peers)
        venue.peer.reset()
        await until(lambda: session.state is StreamState.DOWN)
        await session.stop()
        assert venue.accepted == 1

    run(scenario)


def test_a_peer_that_does_not_read_cannot_hold_up_the_stop(run: Any, session_class: Any, until: Any) -> None:
    """C7: the goodbye is bounded; then the connection is dropped with what it still had to send."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url)
        venue.on_peer = lambda peer: peer._writer.transport.pause_reading()
        session.start()
        await until(lambda: session.is_open)
        for _ in range(200):
            session.send(b"z" * 100_000)
        await session.stop()
        assert session.listener is None and session.closes == {"stopped": 1}

    run(scenario)


def test_nothing_is_queued_while_there_is_no_connection(run: Any, session_class: Any, until: Any) -> None:
    """L12, G14: what could not be sent while down is not sent by a later connection."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, on_connected=lambda: session.send(SUBSCRIBE))
        assert not session.send(b"before the start")
        session.start()
        await until(lambda: session.is_open and venue.peers)
        venue.peer.frame(8, b"\x03\xe8")
        await until(lambda: not session.is_open)
        assert not session.send(b"while down")
        await until(lambda: session.is_open and len(venue.peers) == 2 and SUBSCRIBE in venue.peer.received)
        assert session.send(b"after")
        await until(lambda: b"after" in venue.peer.received)
        sent = {message for peer in venue.peers for message in peer.received}
        assert sent == {SUBSCRIBE, b'{"method":"ping"}', b"after"}
        await session.stop()

    run(scenario)


# -- hooks --------------------------------------------------------------------------------------------------------------
def test_a_hook_for_states_that_raises_changes_nothing(
    run: Any, session_class: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G12: caught and logged; the session goes its way."""

    async def scenario(venue: Any) -> None:
        def on_state(state: StreamState, reason: str) -> None:
            raise KeyError(f"the hook fell over {state}")

        session = session_class(venue.url, on_state=on_state)
        session.start()
        await until(lambda: session.is_open and venue.peers)
        venue.peer.reset()
        await until(lambda: session.connections == 2 and session.is_open)
        await session.stop()

    run(scenario)
    assert "the hook fell over DOWN" in caplog.text


def test_a_hook_for_connections_that_raises_costs_that_connection(run: Any, session_class: Any, until: Any) -> None:
    """G12: not subscribed is not connected, so it is tried again, with the reason."""

    async def scenario(venue: Any) -> None:
        def on_connected() -> None:
            if session.connections < 3:
                raise RuntimeError("nothing to subscribe to")

        session = session_class(venue.url, on_connected=on_connected)
        session.start()
        await until(lambda: session.connections == 3 and session.is_open)
        assert session.why_down == ["hook failed: RuntimeError: nothing to subscribe to"] * 2
        await session.stop()

    run(scenario)


def test_a_late_caller_cannot_declare_a_lost_connection_live(run: Any, session_class: Any, until: Any) -> None:
    """An answer that arrives after the end of its connection changes no state."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, backoff=Backoff(60.0, 60.0))
        session.start()
        await until(lambda: session.is_open and venue.peers)
        session.set_state(StreamState.SYNCING, "reading")
        venue.peer.reset()
        await until(lambda: session.state is StreamState.DOWN)
        session.set_state(StreamState.LIVE, "synchronised, too late")
        assert session.states[-2:] == ["SYNCING", "DOWN"] and session.state is StreamState.DOWN
        await session.stop()

    run(scenario)


# -- where it may connect to --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", ["ws://example.com/ws", "ws://10.0.0.1/ws", "ws://127.0.0.1.example.com/ws"])
def test_plain_text_is_for_this_machine_unless_switched_on_by_name(url: str) -> None:
    """Secrets: plain ws:// beyond loopback only with allow_insecure=True."""
    with pytest.raises(ConfigError, match="allow_insecure=True"):
        WebSocketSession(url, FrameSink())
    assert WebSocketSession(url, FrameSink(), allow_insecure=True).state is StreamState.DOWN


@pytest.mark.parametrize("url", ["http://127.0.0.1/ws", "127.0.0.1:8000", ""])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="wss://host/path"):
        WebSocketSession(url, FrameSink())


def test_an_ssl_context_that_does_not_verify_is_refused() -> None:
    """Secrets: TLS is verified, always."""
    lax = ssl.create_default_context()
    lax.check_hostname = False
    with pytest.raises(ConfigError, match="always verified"):
        WebSocketSession("wss://example.com/ws", FrameSink(), ssl_context=lax)
    lax.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigError, match="always verified"):
        WebSocketSession("wss://example.com/ws", FrameSink(), ssl_context=lax)
    with pytest.raises(ConfigError, match="intervals are above 0"):
        WebSocketSession("wss://example.com/ws", FrameSink(), ping_interval=0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "crt.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(crt)),
        ],
        check=True,
        capture_output=True,
    )
    return crt, key


def tls_server(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_a_certificate_that_nobody_vouches_for_is_refused(
    run: Any, session_class: Any, until: Any, certificate: tuple[Path, Path]
) -> None:
    """Secrets: no connection, the reason says why, and no socket is left."""

    async def scenario(venue: Any) -> None:
        session = session_class(f"wss://localhost:{venue.port}/ws")
        session.start()
        await until(lambda: session.why_down)
        assert session.why_down[0].startswith("TLS failed: ") and "certificate" in session.why_down[0]
        assert session.connections == 0
        await session.stop()

    run(scenario, tls_server(certificate))


def test_a_certificate_of_another_host_is_refused(
    run: Any, session_class: Any, until: Any, certificate: tuple[Path, Path]
) -> None:
    """Secrets: trusted, but made out to localhost and not to 127.0.0.1."""

    async def scenario(venue: Any) -> None:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        session = session_class(f"wss://127.0.0.1:{venue.port}/ws", ssl_context=trusting)
        session.start()
        await until(lambda: session.why_down)
        assert session.why_down[0].startswith("TLS failed: ")
        await session.stop()

    run(scenario, tls_server(certificate))


def test_over_tls_messages_go_both_ways_and_stop_is_clean(
    run: Any, session_class: Any, until: Any, certificate: tuple[Path, Path]
) -> None:
    """wss, verified: sizes around the frame's and the record's limits, a cut, a reconnect, an orderly end."""

    async def scenario(venue: Any) -> None:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        session = session_class(f"wss://localhost:{venue.port}/ws", ssl_context=trusting)
        session.start()
        await until(lambda: session.is_open and venue.peers)
        for size in (0, 125, 126, 16_384, 70_000):
            message = b"m" * size
            session.send(message)
            venue.peer.text(message)
            await until(lambda message=message: message in venue.peer.received and message in session.recorder.texts)
        venue.peer.reset()
        await until(lambda: session.connections == 2 and session.is_open)
        await session.stop()

    run(scenario, tls_server(certificate))
