"""Inputs of the engine, kept (local exchange, layer 5): `--state FILE`, and copies that run some blocks behind.

The engine is a function of its options and its inputs, so its inputs are its state: one entry an input, in order:

    ["block", now_ms, traders_act, [request, ...]]      ["faucet", address, usdc]      ["set_mark", coin, px]      ...

`StateFile` appends each entry as one line `crc32 json` and replays the file at start. Entries of a block are written
after it ran and before anybody hears of it: what a client was told is in the file, even after kill -9 (not after a
loss of power: nothing is synced). A torn last line is cut off; damage before it is a ConfigError. One process a file.
Replaying takes what running the blocks took (under 1 ms a block with traders), so every SNAPSHOT_BLOCKS blocks the file
is replaced, in one step, by one that begins with a snapshot.

`Follower` is a second engine, `blocks` behind the first: what another server of the venue would still answer.
"""

from __future__ import annotations

import base64
import copy
import fcntl
import os
import zlib
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from hlfast import __version__
from hlfast.errors import ConfigError
from hlfast.sim.exchange import Exchange
from hlfast.sim.fees import FeeTerms
from hlfast.sim.house import Levels, Number
from hlfast.sim.info import Info
from hlfast.sim.snapshot import freeze, thaw
from hlfast.sim.verify import verify

FORMAT = 2
SNAPSHOT_BLOCKS = 5_000
Entry: TypeAlias = tuple[Any, ...]


def ignore(answer: dict[str, Any]) -> None:
    pass


def _block(engine: Exchange, now_ms: int, traders_act: bool, requests: list[Any]) -> None:
    """Requests are `Signed`, or bodies that were accepted before."""
    for request in requests:
        engine.submit(verify(request) if isinstance(request, dict) else request, ignore)
    engine.run_block(now_ms, traders_act=traders_act)


def _post_only(engine: Exchange, until_ms: int) -> None:
    engine.post_only_until_ms = until_ms


def _fee_terms(engine: Exchange, address: str, terms: dict[str, Any]) -> None:
    engine.set_fee_terms(address, FeeTerms(**terms))


def _rest(engine: Exchange, coin: str, side: str, px: Number, sz: Number) -> None:
    engine.house.rest(coin, side, px, sz)


def _take(engine: Exchange, coin: str, side: str, sz: Number, px: Number | None = None) -> None:
    engine.house.take(coin, side, sz, px)


def _clear(engine: Exchange, coin: str) -> None:
    engine.house.clear(coin)


def _set_book(engine: Exchange, coin: str, bids: Levels, asks: Levels) -> None:
    engine.house.set_book(coin, bids=bids, asks=asks)


CHANGES: dict[str, Callable[..., object]] = {
    "faucet": Exchange.faucet,
    "grant": Exchange.grant,
    "set_fee_terms": _fee_terms,
    "set_mark": Exchange.set_mark,
    "set_oracle": Exchange.set_oracle,
    "set_open_interest_cap": Exchange.set_open_interest_cap,
    "settle_outcome": Exchange.settle_outcome,
    "set_oracle_band": Exchange.set_oracle_band,
    "rest": _rest,
    "take": _take,
    "clear": _clear,
    "set_book": _set_book,
    "post_only": _post_only,
}
"""What `SimExchange.change` can do to an engine between blocks; arguments are text, numbers, lists and objects."""
INPUTS: dict[str, Callable[..., object]] = {"block": _block, **CHANGES}
"""How each kind of entry is applied."""


def apply(engine: Exchange, entry: Entry) -> None:
    INPUTS[entry[0]](engine, *entry[1:])


class StateFile:
    """The inputs of one exchange on disk."""

    def __init__(self, path: str | os.PathLike[str], options: dict[str, Any]) -> None:
        """Open or create. Raises ConfigError for a file of another exchange, in use, or damaged."""
        self.path = Path(path)
        self.entries: list[Entry] = []
        self.cut_bytes = 0
        self._blocks = 0
        try:
            self._header = orjson.loads(orjson.dumps({"format": FORMAT, "hlfast": __version__, "options": options}))
        except TypeError as error:
            raise ConfigError(
                f"with a state file every option must be plain (text, numbers, lists, paths as text): {error}"
            ) from None
        self._file = self._open(self.path)
        try:
            self._read()
        except BaseException:
            os.close(self._file)
            raise

    def _open(self, path: Path, flags: int = 0) -> int:
        """Opened for appending, and ours alone."""
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot open the state file {path}: {error.strerror}; give another path") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise ConfigError(
                f"the state file {path} is in use by another exchange; stop that one or give another path"
            ) from None
        return file

    def _read(self) -> None:
        header = self._header
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        read: list[Any] = []
        for number, line in enumerate(lines, 1):
            body = line[9:]
            if line[:8] != b"%08x" % zlib.crc32(body):
                if number < len(lines):
                    raise ConfigError(
                        f"the state file {self.path} is damaged in line {number}; move it away to start anew"
                    )
                whole -= len(line) + 1  # torn: its beginning never reached the disk
                break
            read.append(orjson.loads(body))
        self.cut_bytes = len(data) - whole
        if self.cut_bytes:
            os.ftruncate(self._file, whole)
        if not read:
            self._write(header)
        elif read[0] != header:
            raise ConfigError(
                f"the state file {self.path} belongs to an exchange with other options, or of another version: it has {read[0]}, "
                f"this one would have {header}; start with the same options or give another path"
            )
        self.entries = [tuple(entry) for entry in read[1:]]

    def append(self, entry: Entry) -> None:
        self._write(entry)
        self._blocks += entry[0] == "block"

    def _write(self, value: Any) -> None:
        body = orjson.dumps(value)
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        written = os.write(self._file, line)
        while written < len(line):
            written += os.write(self._file, line[written:])

    def restore(self, engine: Exchange) -> Exchange:
        """What the file says, from a new engine on. Raises ConfigError for a snapshot that cannot be read."""
        entries, self.entries = self.entries, []
        if entries and entries[0][0] == "snapshot":
            try:
                engine = thaw(base64.b64decode(entries.pop(0)[1]), engine.universe)
            except ValueError as error:
                raise ConfigError(
                    f"the state file {self.path} is damaged: {error}; move it away to start anew"
                ) from None
        for entry in entries:
            apply(engine, entry)
            self._blocks += entry[0] == "block"
        return engine

    def compact(self, engine: Exchange) -> None:
        """Between blocks: once enough of them have passed, begin the file anew with a snapshot."""
        if self._blocks < SNAPSHOT_BLOCKS:
            return
        self._blocks = 0
        beside = self.path.with_name(self.path.name + ".new")
        old, self._file = self._file, self._open(beside, os.O_TRUNC)
        self._write(self._header)
        self._write(("snapshot", base64.b64encode(freeze(engine)).decode()))
        os.replace(beside, self.path)
        os.close(old)

    @property
    def is_closed(self) -> bool:
        return self._file < 0

    def close(self) -> None:
        if not self.is_closed:
            os.close(self._file)
            self._file = -1


class Follower:
    """A copy of an engine as it is now; `feed` it each input, and it applies them `blocks` blocks later."""

    def __init__(self, engine: Exchange, blocks: int) -> None:
        queue, engine._queue = engine._queue, []
        try:
            self.engine = copy.deepcopy(engine)
        finally:
            engine._queue = queue
        self.info = Info(self.engine)
        self._blocks = blocks
        self._due: deque[Entry] = deque()
        self._behind = 0

    def feed(self, entry: Entry) -> None:
        self._due.append(entry)
        self._behind += entry[0] == "block"
        while self._behind > self._blocks:
            entry = self._due.popleft()
            self._behind -= entry[0] == "block"
            apply(self.engine, entry)


class Followers:
    """Followers of one engine, by how many blocks they are behind; each exists from its first use on."""

    def __init__(self, engine: Exchange) -> None:
        self._engine = engine
        self._followers: dict[int, Follower] = {}

    def __bool__(self) -> bool:
        return bool(self._followers)

    def info(self, blocks: int) -> Info:
        """What answers as of so many blocks ago (at first as of now, until that many have passed)."""
        follower = self._followers.get(blocks)
        if follower is None:
            follower = self._followers[blocks] = Follower(self._engine, blocks)
        return follower.info

    def feed(self, entry: Entry, needed: Collection[int]) -> None:
        """Pass on an input; those that nobody needs any more end here."""
        self._followers = {blocks: each for blocks, each in self._followers.items() if blocks in needed}
        for follower in self._followers.values():
            follower.feed(entry)
