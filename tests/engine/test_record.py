"""What `hlfast record` keeps: every frame in its order, in lines; rotation, damage to the disk, bounded memory."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import re
import threading

import orjson
import pytest

import hlfast
from hlfast.core.frame_sink import FrameSink
from hlfast.errors import ConfigError
from hlfast.net import frame_writer
from hlfast.net.frame_tap import FrameTap
from hlfast.net.frame_writer import FrameWriter
from hlfast.sim import SimExchange
from hlfast.venues.hyperliquid.recorder import Recorder

NS = 1_795_569_900_000_000_000


class Heard(FrameSink):
    def __init__(self) -> None:
        self.frames = []

    def on_text(self, data, recv_ns):
        self.frames.append((recv_ns, data))


def written_lines(folder):
    lines = []
    for path in sorted(folder.glob("*.gz")):
        with gzip.open(path, "r") as file:
            lines += list(file)
    return lines


async def wait_for(condition, seconds=30.0):
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("did not come true in time")


def test_a_tap_passes_every_frame_on_and_keeps_it_as_a_line():
    heard = Heard()
    tap = FrameTap(heard)
    tap.feed(b'{"a":1}', NS)
    tap.feed(b'{"b":\n[2,\n3]}', NS + 1)
    tap.feed(b"Websocket connection established.", NS + 2)
    assert heard.frames == [
        (NS, b'{"a":1}'),
        (NS + 1, b'{"b":\n[2,\n3]}'),
        (NS + 2, b"Websocket connection established."),
    ]
    assert bytes(tap.take()) == b'%d {"a":1}\n%d {"b": [2, 3]}\n' % (NS, NS + 1)
    assert (tap.frames, tap.reflowed, tap.skipped, tap.dropped) == (2, 1, 1, 0)


def test_a_frame_whose_sink_raises_is_kept_all_the_same():
    class Raising(FrameSink):
        def on_text(self, data, recv_ns):
            raise RuntimeError("sink")

    tap = FrameTap(Raising())
    with pytest.raises(RuntimeError):
        tap.feed(b"{}", NS)
    assert bytes(tap.take()) == b"%d {}\n" % NS


def test_memory_is_bounded_and_what_is_beyond_is_counted():
    """C6: taken lines count as long as they are not safe."""
    heard = Heard()
    tap = FrameTap(heard, max_bytes=100)
    for n in range(10):
        tap.feed(b'{"n":%d}' % n, NS + n)  # 28 bytes a line
    assert (tap.frames, tap.dropped, tap.dropped_bytes) == (3, 7, 49)
    assert len(heard.frames) == 10
    tap.take()
    tap.feed(b'{"n":0}', NS)
    assert tap.dropped == 8 and tap.pending_bytes == 84
    tap.done()
    tap.feed(b'{"n":0}', NS)
    assert tap.dropped == 8 and tap.pending_bytes == 28


def test_files_rotate_by_size_are_named_by_utc_time_and_lose_no_line(tmp_path, monkeypatch):
    monkeypatch.setattr(frame_writer, "FLUSH_SECONDS", 0)  # else the packer holds back what the size would count
    tap = FrameTap()
    writer = FrameWriter(tap, tmp_path, prefix="x", rotate_mb=0.0001, rotate_minutes=0)
    writer.start()
    sent = []
    for n in range(200):
        frame = orjson.dumps({"n": n, "noise": os.urandom(64).hex()})
        tap.feed(frame, NS + n)
        sent.append(b"%d %s\n" % (NS + n, frame))
        if n % 40 == 39:
            threading.Event().wait(0.1)
    writer.stop()
    assert written_lines(tmp_path) == sent
    assert len(writer.files) > 1 and not list(tmp_path.glob("*.part"))
    assert all(re.fullmatch(r"x_\d{8}T\d{6}\.\d{3}Z\.gz", path.name) for path in tmp_path.iterdir())
    assert writer.state == "stopped" and writer.lost_at_end_bytes == 0


def test_a_full_disk_is_a_named_state_counts_drops_and_tears_no_file(tmp_path):
    """C6: half a write, then no space for a while; the stream goes on at the very byte."""
    full = threading.Event()

    def write(fd, data):
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data[: max(1, len(data) // 2)])

    tap = FrameTap(max_bytes=10_000)
    writer = FrameWriter(tap, tmp_path, rotate_minutes=0, write=write)
    full.set()
    writer.start()
    fed = 0
    for _ in range(1000):
        tap.feed(orjson.dumps({"n": fed, "noise": os.urandom(32).hex()}), NS + fed)
        fed += 1
        if writer.state == "disk full" and tap.dropped:
            break
        threading.Event().wait(0.02)
    said = writer.report()
    assert said["state"] == "disk full" and "No space left" in said["detail"] and said["dropped"] > 0
    full.clear()
    for _ in range(500):
        if tap.pending_bytes == 0:
            break
        threading.Event().wait(0.02)
    tap.feed(b'{"last":1}', NS + fed)
    writer.stop()
    lines = written_lines(tmp_path)
    assert len(lines) == tap.frames == fed + 1 - tap.dropped
    assert all(orjson.loads(line[20:]) for line in lines) and b'"last"' in lines[-1]


def test_a_disk_that_stays_full_loses_by_count_and_the_end_comes(tmp_path):
    def write(fd, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    tap = FrameTap()
    writer = FrameWriter(tap, tmp_path, write=write)
    writer.start()
    tap.feed(b'{"n":1}', NS)
    writer.stop()
    assert writer.state == "disk full" and writer.lost_at_end_bytes == 28 and writer.files == []
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]


def test_a_writer_that_trips_over_its_own_bug_says_so_and_lives(tmp_path):
    def write(fd, data):
        raise RuntimeError("no error of the disk")

    tap = FrameTap(max_bytes=100)
    writer = FrameWriter(tap, tmp_path, write=write)
    writer.start()
    for n in range(10):
        tap.feed(b'{"n":%d}' % n, NS + n)
    writer.stop()
    assert writer.state == "write failed" and "no error of the disk" in writer.detail
    assert tap.dropped == 7 and writer.lost_at_end_bytes > 0


def test_a_folder_that_cannot_be_made_is_a_plain_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot record into"):
        FrameWriter(FrameTap(), tmp_path / "file" / "sub").start()


async def test_a_recording_holds_the_frames_of_the_socket_and_its_session(tmp_path):
    """The line format of hftbacktest's converter: int(line[:19]), json(line[20:])."""
    async with SimExchange(port=0) as exchange:
        recorder = Recorder(exchange.network, ["BTC", "ETH"], tmp_path, trades=True)
        await recorder.start()
        await wait_for(lambda: recorder.tap.frames > 40)
        await recorder.stop()
    lines = written_lines(tmp_path)
    times = [int(line[:19]) for line in lines]
    frames = [orjson.loads(line[20:]) for line in lines]
    assert len(lines) == recorder.tap.frames and times == sorted(times)
    assert all(line[19:21] == b" {" and line.endswith(b"}\n") for line in lines)
    channels = {frame["channel"] for frame in frames}
    assert {"subscriptionResponse", "l2Book", "bbo", "trades"} <= channels
    (session,) = tmp_path.glob("*.session.json")
    said = orjson.loads(session.read_bytes())
    assert said["coins"] == ["BTC", "ETH"] and said["meta"]["universe"] and said["dropped"] == 0
    assert said["ended_ns"] > said["started_ns"] and len(said["files"]) == 1


async def test_a_recording_goes_on_after_a_lost_connection(tmp_path):
    """C1, C3."""
    async with SimExchange(port=0) as exchange:
        recorder = Recorder(exchange.network, ["BTC"], tmp_path)
        await recorder.start()
        await wait_for(lambda: recorder.tap.frames > 5)
        await exchange.cut()
        await wait_for(lambda: recorder.session.connections == 2)
        before = recorder.tap.frames
        await wait_for(lambda: recorder.tap.frames > before + 5)
        await recorder.stop()
    assert len(written_lines(tmp_path)) == recorder.tap.frames
    assert not [t for t in threading.enumerate() if t.name == "hlfast-frame-writer"]


async def test_an_unknown_coin_is_refused_before_anything_is_made(tmp_path):
    async with SimExchange(port=0) as exchange:
        with pytest.raises(ConfigError, match="BTCC"):
            await Recorder(exchange.network, ["BTCC"], tmp_path / "out").start()
    assert not (tmp_path / "out").exists()


async def test_a_running_connectors_socket_is_tapped(tmp_path):
    tap = FrameTap()
    async with SimExchange(port=0) as exchange:
        hl = hlfast.connect(exchange.network)
        hl.tap_market_data(tap)
        async with hl:
            hl.watch("BTC")
            await hl.wait_ready()
            await wait_for(lambda: b'"channel":"l2Book"' in bytes(tap.take()))
            assert hl.book("BTC").best_bid is not None
