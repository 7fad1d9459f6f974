"""Frames in and out over a real socket: whole, in parts, broken; who closed; a sink that raises."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast import clock
from hlfast.errors import BuildMismatch
from hlfast.net import check_picows
from hlfast.net.listener import MAX_MESSAGE

PACKAGE_PARENT = Path(hlfast.__file__).parents[1]
"""Child processes start where the tested package lies: a tree that is not compiled would hide it."""


def connected(session_class: Any, until: Any, check: Any, **options: Any) -> Any:
    """A scenario: connect, run `check(session, peer)`, stop."""

    async def scenario(venue: Any) -> None:
        session = session_class(venue.url, **options)
        session.start()
        await until(lambda: session.is_open and venue.peers, "connected")
        await check(session, venue.peer)
        await session.stop()

    return scenario


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 300_000])
def test_a_message_of_any_size_arrives_whole_both_ways(run: Any, session_class: Any, until: Any, size: int) -> None:
    """The three forms of a frame's length, masked on the way out."""
    message = bytes(97 + n % 26 for n in range(size))

    async def check(session: Any, peer: Any) -> None:
        assert session.send(message)
        await until(lambda: message in peer.received)
        peer.text(message)
        await until(lambda: session.recorder.texts == [message])

    run(connected(session_class, until, check))


def test_a_frame_cut_at_every_byte_is_one_message(run: Any, session_class: Any, until: Any) -> None:
    """TCP cuts where it likes."""

    async def check(session: Any, peer: Any) -> None:
        message = b'{"channel":"trades","data":[]}'
        whole = bytes([0x81, len(message)]) + message
        for at in range(1, len(whole)):
            peer.raw(whole[:at])
            await peer._writer.drain()
            await asyncio.sleep(0.001)
            peer.raw(whole[at:])
            await until(lambda at=at: len(session.recorder.texts) == at)
        assert set(session.recorder.texts) == {message}

    run(connected(session_class, until, check))


def test_a_message_in_parts_is_put_together_around_control_frames(run: Any, session_class: Any, until: Any) -> None:
    """Fragmentation: first part, a ping, an empty part, the last part; then an ordinary frame."""

    async def check(session: Any, peer: Any) -> None:
        peer.frame(1, b"one ", fin=False)
        peer.frame(9, b"alive?")
        peer.frame(0, b"", fin=False)
        peer.frame(0, b"two", fin=True)
        peer.text(b"three")
        await until(lambda: len(session.recorder.texts) == 2 and peer.pongs)
        assert session.recorder.texts == [b"one two", b"three"]
        assert peer.pongs == [b"alive?"]

    run(connected(session_class, until, check))


def test_binary_messages_are_counted_and_not_delivered(run: Any, session_class: Any, until: Any) -> None:
    """Nobody here expects them: whole or in parts they reach no sink and break nothing."""

    async def check(session: Any, peer: Any) -> None:
        peer.frame(2, b"\x00\x01")
        peer.frame(2, b"\x00", fin=False)
        peer.frame(0, b"\x01")
        peer.text(b"after")
        await until(lambda: session.recorder.texts == [b"after"])
        assert session.listener.binary_frames == 2

    run(connected(session_class, until, check))


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([(3, b"x", True, 0)], "invalid opcode"),
        ([(0, b"x", True, 0)], "a continuation of no message"),
        ([(1, b"x", False, 0), (1, b"y", True, 0)], "inside an unfinished one"),
        ([(2, b"x", False, 0), (1, b"y", True, 0)], "inside an unfinished one"),
        ([(1, b"x", True, 4)], "a reserved bit is set"),
        ([(9, b"x", False, 0)], "fragmented control frame"),
        ([(1, b"x" * (9 << 20), False, 0), (0, b"x" * (8 << 20), True, 0)], "more than 16777216 bytes"),
    ],
    ids=["opcode", "continuation", "nested text", "text in binary", "reserved bit", "control in parts", "too big"],
)
def test_a_broken_frame_ends_the_connection_with_its_reason(
    run: Any, session_class: Any, until: Any, frames: list[tuple[int, bytes, bool, int]], told: str
) -> None:
    """Garbage frame: closed by us, with the reason, and replaced. L17: who closed is known."""

    async def check(session: Any, peer: Any) -> None:
        for opcode, payload, fin, rsv in frames:
            peer.frame(opcode, payload, fin=fin, rsv=rsv)
        await until(lambda: session.why_down)
        assert session.why_down[0].startswith("protocol error: ") and told in session.why_down[0]
        await until(lambda: session.connections == 2 and session.is_open)
        assert session.closes == {"protocol error": 1}
        assert not any(text.startswith(b"x") for text in session.recorder.texts)

    run(connected(session_class, until, check))


def test_bytes_that_are_no_frames_at_all_end_the_connection(run: Any, session_class: Any, until: Any) -> None:
    """Garbage: the connection is replaced and the next one works."""

    async def check(session: Any, peer: Any) -> None:
        peer.raw(bytes(range(255, -1, -1)) * 8)
        await until(lambda: session.connections == 2 and session.is_open)
        assert session.closes == {"protocol error": 1}

    run(connected(session_class, until, check))


def test_a_sink_that_raises_is_counted_and_the_feed_goes_on(
    run: Any, session_class: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """G12: an exception in a frame's handler closes nothing, in whole messages and in parts."""

    async def check(session: Any, peer: Any) -> None:
        peer.text(b"raise")
        peer.frame(1, b"ra", fin=False)
        peer.frame(0, b"ise")
        peer.text(b"after")
        await until(lambda: b"after" in session.recorder.texts)
        assert session.recorder.texts == [b"raise", b"raise", b"after"]
        assert session.sink_errors == 2 and session.listener.sink_errors == 2
        assert session.is_open and session.connections == 1

    run(connected(session_class, until, check))
    assert "the sink was told to raise" in caplog.text


def test_the_receive_time_is_the_clocks_and_never_steps_back(run: Any, session_class: Any, until: Any) -> None:
    """`recv_ns` is epoch ns of the anchored clock; inbound frames alone move `last_recv_ns` (L5)."""

    async def check(session: Any, peer: Any) -> None:
        before = clock.epoch_ns()
        for n in range(50):
            peer.text(str(n).encode())
        await until(lambda: len(session.recorder.times) == 50)
        times = session.recorder.times
        assert before < times[0] and times == sorted(times) and times[-1] <= clock.epoch_ns()
        last = session.listener.last_recv_ns
        assert last == times[-1]
        session.send(b"out")
        peer.frame(9, b"a WebSocket ping")
        await until(lambda: peer.pongs and b"out" in peer.received)
        assert session.listener.last_recv_ns == last

    run(connected(session_class, until, check, ping_interval=60.0))


def test_the_socket_does_not_delay_small_messages(run: Any, session_class: Any, until: Any) -> None:
    """TCP_NODELAY is on."""

    async def check(session: Any, peer: Any) -> None:
        sock = session.listener.transport.underlying_transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    run(connected(session_class, until, check))


def test_a_foreign_thread_cannot_write_to_the_socket(run: Any, session_class: Any, until: Any) -> None:
    """Architecture 8: it raises, and nothing is sent."""

    async def check(session: Any, peer: Any) -> None:
        raised: list[str] = []

        def foreign() -> None:
            try:
                session.send(b"from a thread")
            except RuntimeError as error:
                raised.append(str(error))

        thread = threading.Thread(target=foreign)
        thread.start()
        thread.join()
        session.send(b"from the loop")
        await until(lambda: b"from the loop" in peer.received)
        assert "call_soon_threadsafe" in raised[0] and b"from a thread" not in peer.received

    run(connected(session_class, until, check))


def test_the_largest_message_is_sixteen_mebibytes() -> None:
    """C6: memory is bounded."""
    assert MAX_MESSAGE == 16 * 1024 * 1024


@pytest.mark.parametrize("version", ["2.3.0", "2.2.9", "2.4.0", "2.10.1", "3.0.0", "1.9", ""])
def test_another_picows_is_a_build_mismatch(version: str) -> None:
    """L115: its class layouts differ: an ImportError that says what to install, never garbage in a struct."""
    with pytest.raises(BuildMismatch, match=r"picows>=2\.3\.1,<2\.4"):
        check_picows(version)


@pytest.mark.parametrize("version", ["2.3.1", "2.3.9", "2.3.12"])
def test_the_picows_that_it_was_built_for_is_accepted(version: str) -> None:
    check_picows(version)


def test_the_mismatch_comes_before_the_compiled_module_is_loaded() -> None:
    """The check runs ahead of the binding of picows' types."""
    code = (
        "import picows.version as v; v.__version__ = '2.4.0'\n"
        "try:\n    import hlfast.net.listener\n"
        "except ImportError as error:\n    print(type(error).__name__)\n"
        "import sys; print('hlfast.net.listener' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=PACKAGE_PARENT
    )
    assert done.stdout.split() == ["BuildMismatch", "False"]
