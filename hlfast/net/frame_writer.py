"""FrameWriter: the thread that writes what a `FrameTap` keeps into rotated gzip files (layer 2, cold).

    writer = FrameWriter(tap, Path("data"), prefix="hyperliquid_mainnet", rotate_mb=256, rotate_minutes=60)
    writer.start() ... writer.stop()

A file is `PREFIX_20261125T011500.123Z.gz`, named by the UTC time of its opening; it carries `.part` at its end until it
is finished, synced and renamed in one step. Each `FLUSH_SECONDS` what came is flushed, so that a killed process leaves a
file that reads up to there. A disk that refuses to write is asked again, at the very byte, so a stream is never torn;
meanwhile the tap fills up and drops by count. `state` says so by name, `report()` with figures, the log at each change.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import zlib
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hlfast import clock
from hlfast.errors import ConfigError
from hlfast.net.frame_tap import FrameTap

log = logging.getLogger("hlfast.net")

LOOK_SECONDS = 0.05
FLUSH_SECONDS = 1.0
PART = ".part"
GZIP = 31  # zlib's window bits for a gzip header and trailer
LAST_TRIES = 20
"""So often a refusing disk is asked again after stop(), LOOK_SECONDS apart; then what is left counts as dropped."""

RECORDING, SLOW, DISK_FULL, WRITE_FAILED, STOPPED = (
    "recording",
    "writer too slow",
    "disk full",
    "write failed",
    "stopped",
)


class FrameWriter:
    """Owns the open file. `rotate_mb`: compressed size; `rotate_minutes`: age; 0 switches either off."""

    def __init__(
        self,
        tap: FrameTap,
        folder: Path,
        *,
        prefix: str = "frames",
        rotate_mb: float = 256.0,
        rotate_minutes: float = 60.0,
        level: int = 6,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        if rotate_mb < 0 or rotate_minutes < 0:
            raise ConfigError(f"rotation is above 0, or 0 for none, got {rotate_mb} MB, {rotate_minutes} minutes")
        self.tap, self.folder, self.prefix = tap, Path(folder), prefix
        self.state, self.detail = STOPPED, ""
        self.files: list[str] = []
        self.written_bytes = 0
        self.lost_at_end_bytes = 0
        self._rotate_bytes = int(rotate_mb * 1e6)
        self._rotate_ns = int(rotate_minutes * 60e9)
        self._level, self._write = level, write
        self._fd = -1
        self._path = Path()
        self._size = 0
        self._opened_ns = self._flushed_ns = 0
        self._unwritten = b""
        self._dropped_told = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Make the folder and start the thread. Raises `ConfigError` where nothing can be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK):
                raise PermissionError(errno.EACCES, "not writable")
        except OSError as error:
            raise ConfigError(f"cannot record into {str(self.folder)!r}: {error}") from None
        self._stopping.clear()
        self._set_state(RECORDING, "")
        self._thread = threading.Thread(target=self._run, name="hlfast-frame-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is pending, finish the file, end the thread. Call it when nothing feeds the tap any more."""
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None

    def report(self) -> dict[str, Any]:
        tap = self.tap
        return {
            "state": self.state,
            "detail": self.detail,
            "frames": tap.frames,
            "skipped": tap.skipped,
            "dropped": tap.dropped,
            "dropped_bytes": tap.dropped_bytes,
            "pending_bytes": tap.pending_bytes,
            "written_bytes": self.written_bytes,
            "lost_at_end_bytes": self.lost_at_end_bytes,
            "files": list(self.files),
            "open_file": self._path.name if self._fd >= 0 else "",
        }

    # -- the thread -------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self._step()
        pause = threading.Event()
        for _ in range(LAST_TRIES):
            if self._step() and self._finish():
                self._set_state(STOPPED, "")
                break
            pause.wait(LOOK_SECONDS)
        else:
            self.lost_at_end_bytes = self.tap.pending_bytes
            log.error("recording: %d bytes of lines could not be written: %s", self.lost_at_end_bytes, self.detail)
            if self._fd >= 0:
                os.close(self._fd)  # its .part stays, and reads up to here
                self._fd = -1

    def _step(self) -> bool:
        """One look at the tap. True: nothing is left that the disk has refused."""
        try:
            if self._unwritten and not self._push(b""):
                return False
            if self._fd < 0 and self.tap.pending_bytes:
                self._open()  # before anything is taken: what cannot be written stays in the tap
            lines = self.tap.take()
            if lines:
                if not self._push(self._packer.compress(lines)):
                    return False
            elif self._fd >= 0 and clock.real_monotonic_ns() - self._flushed_ns < FLUSH_SECONDS * 1e9:
                return self._rotate_if_due()
            if self._fd >= 0 and clock.real_monotonic_ns() - self._flushed_ns >= FLUSH_SECONDS * 1e9:
                self._flushed_ns = clock.real_monotonic_ns()
                if not self._push(self._packer.flush(zlib.Z_SYNC_FLUSH)):
                    return False
            self.tap.done()
            self._tell_drops()
            return self._rotate_if_due()
        except OSError as error:  # the file could not be opened, finished or renamed
            self._refused(error)
            return False
        except Exception as error:  # a thread that ends in silence would drop all that follows
            self._set_state(WRITE_FAILED, f"{type(error).__name__}: {error}")
            self._count_drops()
            return False

    def _rotate_if_due(self) -> bool:
        if self._fd < 0:
            return True
        old = self._rotate_ns and clock.real_monotonic_ns() - self._opened_ns >= self._rotate_ns
        return self._finish() if old or (self._rotate_bytes and self._size >= self._rotate_bytes) else True

    def _open(self) -> None:
        now_ms = clock.epoch_ns() // 1_000_000
        while True:  # two files of one millisecond: the later one takes the next
            stamp = datetime.fromtimestamp(now_ms // 1000, timezone.utc)
            name = f"{self.prefix}_{stamp:%Y%m%dT%H%M%S}.{now_ms % 1000:03d}Z.gz"
            path = self.folder / (name + PART)
            if not (self.folder / name).exists():
                with contextlib.suppress(FileExistsError):
                    self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
                    break
            now_ms += 1
        self._path, self._size = path, 0
        self._opened_ns = self._flushed_ns = clock.real_monotonic_ns()
        self._packer = zlib.compressobj(self._level, zlib.DEFLATED, GZIP)
        self._ended = False

    def _finish(self) -> bool:
        """End the gzip stream, sync, rename. False: the disk refused; call again."""
        if self._fd < 0:
            return True
        try:
            if not self._ended:
                self._ended = True
                self._unwritten += self._packer.flush(zlib.Z_FINISH)
            if not self._push(b""):
                return False
            os.fsync(self._fd)
            final = self._path.with_name(self._path.name[: -len(PART)])
            os.replace(self._path, final)
            os.close(self._fd)
            self._fd = -1
            self.files.append(str(final))
            self.tap.done()
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self._refused(error)
            return False
        return True

    def _push(self, data: bytes) -> bool:
        """Write all, or keep the rest for the next time. A write of a part is continued at the very byte."""
        self._unwritten += data
        try:
            while self._unwritten:
                count = self._write(self._fd, self._unwritten)
                self._unwritten = self._unwritten[count:]
                self._size += count
                self.written_bytes += count
        except OSError as error:
            self._refused(error)
            return False
        return True

    # -- what is told -----------------------------------------------------------------------------------------------
    def _refused(self, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        self._set_state(DISK_FULL if full else WRITE_FAILED, str(error))
        self._count_drops()

    def _tell_drops(self) -> None:
        """The disk takes what comes; frames that the tap dropped since the last look were too many for it."""
        dropped = self._count_drops()
        if self.state == RECORDING or dropped:
            self._set_state(SLOW if dropped else RECORDING, f"{self.tap.dropped} frames dropped" if dropped else "")
        else:
            self._set_state(RECORDING, "")

    def _count_drops(self) -> int:
        new = self.tap.dropped - self._dropped_told
        if new:
            self._dropped_told += new
            log.warning("recording: %d frames dropped, %d in all (%s)", new, self._dropped_told, self.state)
        return new

    def _set_state(self, state: str, detail: str) -> None:
        if state != self.state:
            trouble = state in (SLOW, DISK_FULL, WRITE_FAILED)
            log.log(logging.WARNING if trouble else logging.INFO, "recording: %s %s", state, detail)
        self.state, self.detail = state, detail
