"""Recorded frames: files whose lines are a receive time in ns, a space, a raw frame (layer 1, cold).

    for recv_ns, frame in FrameFile("frames_20261125T011500.123Z.gz"): ...

Plain text, gzip, or a `.part` that its writer never finished. Damage never raises and never passes in silence: what can
be read is yielded in the file's order, and `report()` says what could not be. Times that step back are yielded as the
newest time so far (a clock never steps back), and counted.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hlfast.errors import ConfigError

CHUNK = 1 << 16
PIECE = 16
GZIP_MAGIC = b"\x1f\x8b"
GZIP = 31
EARLIEST_NS = 10**18  # 2001: a time in ms or µs is not one in ns


class FrameFile:
    """Iterate it, as often as wanted; each time the figures of `report()` start anew. Raises `ConfigError` if it cannot be opened."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._reset()

    def _reset(self) -> None:
        self.lines = self.frames = self.empty_lines = self.bad_lines = self.out_of_order = 0
        self.first_bad_line = self.first_out_of_order_line = 0
        self.largest_step_back_ns = 0
        self.first_ns = self.last_ns = 0
        self.cut_last_line = False
        self.damage = ""

    @property
    def is_clean(self) -> bool:
        return not (self.empty_lines or self.bad_lines or self.out_of_order or self.cut_last_line or self.damage)

    def report(self) -> dict[str, Any]:
        """What was read, and what is wrong with it; line numbers count from 1, 0 means none."""
        return {
            "file": str(self.path),
            "clean": self.is_clean,
            "lines": self.lines,
            "frames": self.frames,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "empty_lines": self.empty_lines,
            "bad_lines": self.bad_lines,
            "first_bad_line": self.first_bad_line,
            "cut_last_line": self.cut_last_line,
            "out_of_order": self.out_of_order,
            "first_out_of_order_line": self.first_out_of_order_line,
            "largest_step_back_ns": self.largest_step_back_ns,
            "damage": self.damage,
        }

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        self._reset()
        rest = b""
        for data in self._chunks():
            whole = (rest + data).split(b"\n")
            rest = whole.pop()
            for line in whole:
                yield from self._line(line, False)
        if rest:
            yield from self._line(rest, True)

    def _line(self, line: bytes, is_last: bool) -> Iterator[tuple[int, bytes]]:
        self.lines += 1
        if not line.strip():
            self.empty_lines += 1
            return
        stamp, _, frame = line.rstrip(b"\r").partition(b" ")
        if is_last and not _is_json(frame):
            self.cut_last_line = True
            return
        if (
            not stamp.isdigit()
            or len(stamp) > 19
            or int(stamp) < EARLIEST_NS
            or not (frame.startswith(b"{") and frame.endswith(b"}"))
        ):
            self.bad_lines += 1
            self.first_bad_line = self.first_bad_line or self.lines
            return
        recv_ns = int(stamp)
        if recv_ns < self.last_ns:
            self.out_of_order += 1
            self.first_out_of_order_line = self.first_out_of_order_line or self.lines
            self.largest_step_back_ns = max(self.largest_step_back_ns, self.last_ns - recv_ns)
        self.last_ns = max(self.last_ns, recv_ns)
        self.first_ns = self.first_ns or recv_ns
        self.frames += 1
        yield self.last_ns, frame

    # -- bytes ------------------------------------------------------------------------------------------------------
    def _chunks(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as source:
                start = source.read(CHUNK)
                if start[:2] == GZIP_MAGIC:
                    yield from self._unpacked(start, source)
                    return
                while start:
                    yield start
                    start = source.read(CHUNK)
        except OSError as error:
            if not self.lines:
                raise ConfigError(f"cannot read the recording {str(self.path)!r}: {error}") from None
            self.damage = f"reading failed after line {self.lines}: {error}"

    def _unpacked(self, data: bytes, source: Any) -> Iterator[bytes]:
        """All members of a gzip file, to the last byte that can be unpacked."""
        packer = zlib.decompressobj(GZIP)
        while data:
            before = packer.copy()
            try:
                out = packer.decompress(data)
            except zlib.error as error:
                yield from _salvage(before, data)
                self.damage = f"corrupt gzip data: {error}"
                return
            if out:
                yield out
            data = packer.unused_data or source.read(CHUNK)
            if packer.eof and data:
                if len(data) < 2:
                    data += source.read(CHUNK)
                if data[:2] != GZIP_MAGIC:
                    self.damage = "the gzip data is followed by something else"
                    return
                packer = zlib.decompressobj(GZIP)
        if not packer.eof:
            self.damage = "the gzip data ends too early: the recorder was killed, or the file was cut"


def _salvage(packer: Any, data: bytes) -> Iterator[bytes]:
    """What comes before the bad spot, which is somewhere in `data`."""
    for at in range(0, len(data), PIECE):
        try:
            yield packer.decompress(data[at : at + PIECE])
        except zlib.error:
            return


def _is_json(frame: bytes) -> bool:
    try:
        json.loads(frame)
    except ValueError:
        return False
    return True
