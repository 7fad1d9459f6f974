"""Journal: what was asked of the venue and what became of it, kept over restarts (layer 4, cold).

One way for every fact: the loop puts a record into the memory-mapped ring (`core.journal_ring`), a thread drains the ring
into SQLite, records and the number of the last of them in one transaction. So a killed process loses nothing that was
put, and nothing is there twice: the next start drains what is left. Not a promise about power loss.

    journal = Journal(journal_path("mainnet", account), network="mainnet", account=account, signer=signer.address)
    found = journal.recover()                      # live orders, fill identities, nonces of the runs before
    found.restore(tracker)
    journal.attach(tracker.bus)                    # before any other handler: what is told has been written
    journal.start()
    ...
    journal.stop()                                 # last of all

A PostgreSQL database can follow (`replicate`, docs/persistence.md): it is fed from the SQLite file and never waited for.

A drain that fails (disk full, database locked) sets a named state and `ring.blocked`; the order path refuses new orders,
never cancels, the ring keeps what comes, and the drain tries again until it succeeds. One process a journal.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from hlfast import clock
from hlfast.config import PostgresDsn, StateDirectory
from hlfast.core import crash_points
from hlfast.core.bus import EventBus
from hlfast.core.connector_base import ConnectorBase
from hlfast.core.events import FundingPayment, OrderEvent, PositionUpdate, Recovered, StreamStatus
from hlfast.core.journal_ring import BLOCKED, JournalRing
from hlfast.engine.equity import Sampler
from hlfast.engine.journal_history import read_history
from hlfast.engine.journal_schema import APPLICATION_ID, MIGRATIONS, NONCE, SCHEMA_VERSION, STATEMENTS, UNPACKED
from hlfast.engine.journal_state import JournalState, read_state
from hlfast.engine.postgres_follower import Follower, FollowerState
from hlfast.engine.strategy_books import PastFill, PastFunding
from hlfast.errors import ConfigError, NotReady

DATABASE, RING, LOCK = "journal.sqlite", "ring", "lock"
RECORDS_AT_ONCE = 128
"""Of one read: decoding them holds the interpreter lock for about 0.2 ms."""
BATCHES_AT_ONCE = 32
"""Of one transaction."""
BUSY_SECONDS = 2.0
"""How long the drain waits for another writer before it calls the database locked."""

CAUSES = (
    ("disk is full", "free space there"),
    ("locked", "another program holds the database; end it"),
    ("disk I/O", "the disk does not take writes; look at it"),
    ("readonly", "the file may not be written; give it back to its owner with mode 0600"),
    ("malformed", "the database is damaged; move the folder away, and the next start makes a new one"),
)

FOLLOWER_SECONDS = 3.0
"""How long the end of a run waits for PostgreSQL to get what is left. What it does not get, the next start sends."""
LAST_TRY_SECONDS = 1.0
"""The same, where the server was away last."""

Connect = Callable[[str], sqlite3.Connection]


class DrainState(Enum):
    """What the drain does. In all but RUNNING and NEW new orders are refused; cancels never are."""

    NEW = "NEW"
    RUNNING = "RUNNING"
    FULL = "FULL"
    FAILED = "FAILED"
    STOPPED = "STOPPED"

    def __str__(self) -> str:
        return self.name


def journal_path(network: str, account: str) -> Path:
    """Where the journal of an account is kept: below the state directory."""
    return StateDirectory().path / "journal" / network / account.lower()


def connect(path: str) -> sqlite3.Connection:
    """The drain's connection: write-ahead log, whole transactions by hand, no sync of each."""
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    return db


class Journal:
    """The journal in the folder `path`, which is made with mode 0700 if it is not there.

    Opening drains what a killed process left. Raises `ConfigError` if another process has it open (naming its pid), if
    it belongs to another account or a newer version; `NotReady` if the disk does not let it be opened.
    `on_state(state, reason)` is called in the drain's thread, from which nothing of a connector may be touched.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        network: str,
        account: str,
        signer: str | None = None,
        ring_records: int = 65_536,
        drain_ms: float = 20.0,
        retry_ms: float = 250.0,
        on_state: Callable[[DrainState, str], object] | None = None,
        connect: Connect = connect,
        postgres: str | PostgresDsn | None = None,
    ) -> None:
        self.path = Path(path)
        self.network, self.account, self.signer = network, account.lower(), (signer or account).lower()
        self.run = 0
        self.reason = ""
        self.failures = 0
        self._on_state = on_state
        self._connect = connect
        self._drain_s, self._retry_s = drain_ms / 1e3, retry_ms / 1e3
        self._state = DrainState.NEW
        self._told = DrainState.NEW
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection | None = None
        self._sampler: Sampler | None = None
        self.has_baseline = False
        """The account's state at the start is known: figures of the ledger mean something."""
        self.follower: Follower | None = None
        """What copies the journal into PostgreSQL; None unless `replicate` was called."""
        if postgres is not None:
            self.replicate(postgres)
        _make_private(self.path)
        self._lock = _lock(self.path / LOCK)
        try:
            self._open(ring_records)
        except (sqlite3.Error, OSError) as error:
            self._let_go()
            raise NotReady(f"the journal in {self.path} cannot be opened: {_explained(error)}") from error
        except BaseException:
            self._let_go()
            raise

    def __repr__(self) -> str:
        return f"<Journal {self.path} run={self.run} {self.state}{' ' + self.reason if self.reason else ''}>"

    # -- opening ----------------------------------------------------------------------------------------------------
    def _open(self, ring_records: int) -> None:
        database = self.path / DATABASE
        os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))  # what SQLite lays beside it gets the same mode
        self._db = self._connect(str(database))
        migrate(self._db)
        self._check_owner(self._db)
        journal_id, drained = self._db.execute("SELECT journal_id, drained FROM meta").fetchone()
        self.ring = JournalRing(self.path / RING, ring_records)
        if self.ring.journal_id not in (0, journal_id):
            if drained:
                raise ConfigError(
                    f"{self.path}: {RING} and {DATABASE} are not of the same journal; put back the file that was there, "
                    "or move both away"
                )
            journal_id = self.ring.journal_id  # the database was deleted, and the ring may still hold orders
            self._db.execute("UPDATE meta SET journal_id = ?", (journal_id,))
        self.ring.release(drained)
        self._db.execute("UPDATE meta SET drained = max(drained, ?)", (self.ring.tail - 1,))
        self._was_killed = bool(self.ring.used)
        self.run = self.ring.run_id
        before = self._db.execute("SELECT signer, strategies FROM runs WHERE run = ?", (self.run,)).fetchone()
        self._nonces_of = before["signer"] if before is not None else self.signer
        self._names = names_by_prefix(before["strategies"] if before is not None else None)
        while self._drain_batches():
            pass
        self.ring.resize(ring_records)
        last = self._db.execute("SELECT run, ended_ns FROM runs ORDER BY run DESC LIMIT 1").fetchone()
        self._was_killed = self._was_killed or (last is not None and last["ended_ns"] is None)
        self.run = max(self.run, last["run"] if last is not None else 0) + 1
        self._nonces_of = self.signer
        self._names = {}
        self._db.execute(
            "INSERT INTO runs (run, network, account, signer, pid, started_ns, version, rev) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            # The row counts as changed by the next record: whoever follows the journal has passed the last one.
            (
                self.run,
                self.network,
                self.account,
                self.signer,
                os.getpid(),
                clock.epoch_ns(),
                _version(),
                self.ring.head,
            ),
        )
        self.ring.begin_run(journal_id, self.run)

    def _check_owner(self, db: sqlite3.Connection) -> None:
        for network, account in db.execute("SELECT DISTINCT network, account FROM runs"):
            if (network, account) != (self.network, self.account):
                raise ConfigError(
                    f"the journal in {self.path} is of {account} on {network}, not of {self.account} on {self.network}; "
                    "each account has a folder of its own"
                )

    def _let_go(self) -> None:
        if hasattr(self, "ring"):
            self.ring.close()
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        os.close(self._lock)

    # -- life -------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the drain."""
        if self._state is not DrainState.NEW:
            raise ConfigError(f"this journal is {self._state}; open another one")
        self._set_state(DrainState.RUNNING, "")
        self._thread = threading.Thread(target=self._run, name="hlfast-journal", daemon=True)
        self._thread.start()
        if self._sampler is not None:
            self._sampler.start()
        if self.follower is not None:
            self.follower.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Drain all, and close. False if that failed: what is left stays in the ring for the next start.

        The last thing to do: what is put after it is not kept. Repeating it is harmless.
        """
        if self._state is DrainState.STOPPED:
            return True
        if self._sampler is not None:
            self._sampler.stop()
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():  # it hangs in a write to the disk: leave all to it, the ring is safe
                reason = f"the drain did not end within {timeout:g} s; the next start takes in what is left"
                self._set_state(DrainState.STOPPED, reason)
                self.ring.fail(reason)
                if self.follower is not None:
                    self.follower.stop(0.1)
                return False
        reason = self._last_drain()
        if self.follower is not None:
            is_away = self.follower.state is FollowerState.FAILED
            self.follower.stop(min(timeout, LAST_TRY_SECONDS if is_away else FOLLOWER_SECONDS))
        self._let_go()
        self._set_state(DrainState.STOPPED, reason)
        return not reason

    def _last_drain(self) -> str:
        """Why not all is in the database; empty if it is."""
        try:
            self._reopened()
            self.ring.put_note("ended", b"{}", clock.epoch_ns())
            while self._drain_batches():
                pass
        except Exception as error:
            return f"{self.ring.used} records stay in the ring for the next start: {_explained(error)}"
        return ""

    def __enter__(self) -> Journal:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # -- state ------------------------------------------------------------------------------------------------------
    @property
    def state(self) -> DrainState:
        if self._state is DrainState.RUNNING and BLOCKED[self.ring.blocked] == "FULL":
            return DrainState.FULL
        return self._state

    @property
    def status(self) -> dict[str, Any]:
        """State, reason and what waits, of the drain and of what follows; for health checks and metrics."""
        follower = self.follower
        status: dict[str, Any] = {
            "run": self.run,
            "state": str(self.state),
            "reason": self.reason or ("" if self._state is DrainState.STOPPED else self.ring.refusal),
            "undrained": self.ring.used + self.ring.waiting,
            "failures": self.failures,
            "postgres": None,
        }
        if follower is not None:
            status["postgres"] = {
                "state": str(follower.state),
                "reason": follower.reason,
                "lag": follower.lag,
                "rows": follower.rows,
                "failures": follower.failures,
            }
        return status

    def _set_state(self, state: DrainState, reason: str) -> None:
        self._state, self.reason = state, reason
        self._tell(state, reason)

    def _tell(self, state: DrainState, reason: str) -> None:
        if state is self._told:
            return
        self._told = state
        if self._on_state is not None:
            with suppress(Exception):  # the caller's error must not end the drain
                self._on_state(state, reason)

    # -- what is journalled -----------------------------------------------------------------------------------------
    def attach(self, bus: EventBus) -> Callable[[], None]:
        """Record what `bus` tells from now on; returns what ends that. Intents, cancels and modifies come from the order
        path by the ring's own methods."""
        ring = self.ring

        def on_position(event: PositionUpdate) -> None:
            ring.put_position(event.position, event.time_ms, event.recv_ns)

        def on_funding(event: FundingPayment) -> None:
            body = {"coin": event.coin, "amount": f"{event.amount:f}", "rate": event.rate, "time_ms": event.time_ms}
            ring.put_note("funding", orjson.dumps(body), event.recv_ns)

        def on_stream(event: StreamStatus) -> None:
            body = {"stream": event.stream, "state": event.state, "reason": event.reason[:4000]}
            ring.put_note("stream", orjson.dumps(body), event.recv_ns)

        def on_recovered(event: Recovered) -> None:
            ring.put_note("recovered", orjson.dumps(asdict(event)), event.recv_ns)

        removers = [
            bus.on(OrderEvent, ring.put_order_event),
            bus.on(PositionUpdate, on_position),
            bus.on(FundingPayment, on_funding),
            bus.on(StreamStatus, on_stream),
            bus.on(Recovered, on_recovered),
        ]

        def detach() -> None:
            while removers:
                removers.pop()()

        return detach

    def baseline(self, state: dict[str, Any]) -> None:
        """The account's state that the ledger starts from: cash, positions, balances. `Decimal` becomes text."""
        self.ring.put_note("baseline", orjson.dumps(state, default=str), clock.epoch_ns())
        self.has_baseline = True

    def strategies(self, strategies: Iterable[dict[str, Any]]) -> None:
        """Who trades in this run: `name`, `prefix` of its client order ids, `parameters`; kept with the run.

        To be said before they trade. From then on an order that names no strategy has that of its id's prefix.
        """
        body = orjson.dumps(list(strategies), default=str)
        self._names = names_by_prefix(body)
        self.ring.put_note("strategies", body, clock.epoch_ns())

    def equity(self, point: dict[str, Any]) -> None:
        """A point of the equity curve (`engine.equity`). Left out while the drain does not keep up."""
        if not self.ring.blocked:
            self.ring.put_note("equity", orjson.dumps(point), clock.epoch_ns())

    def latency(self, stages: dict[str, Any]) -> None:
        """The latencies of this run so far, by stage. Left out while the drain does not keep up."""
        if not self.ring.blocked:
            self.ring.put_note("latency", orjson.dumps(stages), clock.epoch_ns())

    def sample(self, connector: ConnectorBase, every_s: float | None) -> None:
        """Take points of `connector`'s equity every so many seconds from `start()` on; None: none."""
        self._sampler = None if every_s is None else Sampler(self, connector, every_s)

    def replicate(self, postgres: str | PostgresDsn) -> None:
        """Let this database follow from `start()` on. Raises `ConfigError` for an address that is none, or without the driver."""
        if self._state is not DrainState.NEW:
            raise ConfigError(f"this journal is {self._state}; say what follows it before it starts")
        self.follower = Follower(self.path / DATABASE, PostgresDsn(postgres))

    # -- draining ---------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        wait = self._drain_s
        while not self._stopping.wait(wait):
            try:
                if self._state is DrainState.FAILED:
                    self._reopened()
                self._drain_batches()
            except Exception as error:  # whatever it is: named, and tried again
                self.failures += 1
                reason = _explained(error)
                self.ring.fail(reason)
                self._set_state(DrainState.FAILED, reason)
                wait = self._retry_s
                continue
            wait = self._drain_s
            if self._state is DrainState.FAILED:
                self.ring.resume()
                self._set_state(DrainState.RUNNING, "")
            self._tell(self.state, self.ring.refusal)

    def _reopened(self) -> sqlite3.Connection:
        """A connection of which nothing is known to be broken."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        self._db = None
        self._db = self._connect(str(self.path / DATABASE))
        return self._db

    def _drain_batches(self) -> int:
        """Take what is in the ring into the tables, in one transaction; returns how many records that were."""
        db, ring, total, last = self._db, self.ring, 0, 0
        assert db is not None
        for _ in range(BATCHES_AT_ONCE):
            records = ring.read(RECORDS_AT_ONCE)
            if not records:
                break
            last = records[-1][0]
            db.execute("BEGIN IMMEDIATE")
            try:
                self._apply(db, records)
                db.execute("UPDATE meta SET drained = ?", (last,))
                crash_points.before_commit()
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after a full disk SQLite has rolled back by itself
                    db.execute("ROLLBACK")
                raise
            crash_points.after_commit()
            ring.release(last)
            total += len(records)
            if len(records) < RECORDS_AT_ONCE:
                break
        return total

    def _apply(self, db: sqlite3.Connection, records: list[tuple[int, str, dict[str, Any]]]) -> None:
        newest: dict[str, Any] | None = None
        for last, kind, fields in records:
            fields["id"], fields["run"] = last, self.run
            if kind == "order" and fields["strategy"] is None and self._names:
                fields["strategy"] = self._names.get(fields["client_order_id"].partition("-")[0])
            elif kind == "note" and fields["name"] == "strategies":  # of a run that was killed before it was drained
                self._names = names_by_prefix(fields["body"])
            if fields.get("nonce", 0) > (newest["nonce"] if newest else 0):
                newest = fields
        for kind, group in groupby(map(_row, records), key=lambda row: row[0]):
            rows = [fields for _, fields in group]
            for statement in STATEMENTS[kind]:
                db.executemany(statement, rows)
        if newest is not None:
            db.execute(NONCE, {"signer": self._nonces_of, "nonce": newest["nonce"], "recv_ns": newest["recv_ns"]})

    @property
    def died_ns(self) -> int:
        """When the run before this one was last heard of, if it did not come to its end; else 0."""
        if not self._was_killed:
            return 0
        with closing(connect(str(self.path / DATABASE))) as db:
            newest = db.execute("SELECT max(recv_ns) FROM order_events WHERE run < ?", (self.run,)).fetchone()[0]
        return int(newest or 0)

    def recover(self, *, fill_keys: int = 100_000, ended_s: int = 3_600, ended: int = 10_000) -> JournalState:
        """What the runs before have left: live orders, those that ended in the last `ended_s` seconds of the journal (at
        most `ended`), the identities of the last `fill_keys` fills."""
        with closing(connect(str(self.path / DATABASE))) as db:
            return read_state(
                db,
                fill_keys=fill_keys,
                ended_s=ended_s,
                ended=ended,
                was_killed=self._was_killed,
                torn=self.ring.torn,
            )

    def history(self) -> Iterator[PastFill | PastFunding]:
        """Every fill and funding payment of the runs before, oldest first: for `StrategyGroup.take_up`. Before `start`."""
        with closing(connect(str(self.path / DATABASE))) as db:
            yield from read_history(db)


def names_by_prefix(strategies: str | bytes | None) -> dict[str, str]:
    """Name of a strategy by the prefix of its client order ids, of what `runs.strategies` holds."""
    found = {}
    for strategy in orjson.loads(strategies or "[]"):
        if strategy.get("prefix") and strategy.get("name"):
            found[str(strategy["prefix"])] = str(strategy["name"])
    return found


def _row(record: tuple[int, str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """The statements' name and their parameters. A note goes by its own name, with what its body says."""
    _, kind, fields = record
    if kind != "note":
        return kind, fields
    name, body = fields["name"], fields["body"]
    return name, {**fields, **orjson.loads(body)} if name in UNPACKED else {**fields, "body": body.decode()}


def migrate(db: sqlite3.Connection, migrations: Iterable[str] = MIGRATIONS) -> None:
    """Bring the tables to the newest version. Raises `ConfigError` for a newer one, or another program's file."""
    steps = list(migrations)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    check_version(db, len(steps))
    for step, script in enumerate(steps[version:], version):
        db.executescript(
            f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {step + 1}; COMMIT"
        )
    db.execute("INSERT OR IGNORE INTO meta VALUES (1, ?, 0)", (secrets.randbits(62) + 1,))


def bring_up_to_date(path: Path) -> None:
    """Migrate the tables of the journal in `path` without opening it for a run. Raises `ConfigError` if a process has it."""
    lock = _lock(path / LOCK)
    try:
        with closing(connect(str(path / DATABASE))) as db:
            migrate(db)
    finally:
        os.close(lock)


def check_version(db: sqlite3.Connection, known: int = SCHEMA_VERSION) -> int:
    """The version of the tables. Raises `ConfigError` for a newer version than `known`, or another program's file."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    if version > known:
        raise ConfigError(
            f"the journal has schema version {version}, and this hlfast knows {known}; update hlfast, or give another folder"
        )
    if owner != APPLICATION_ID and (version or db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]):
        raise ConfigError("the database is another program's, not a journal of hlfast; give another folder")
    return int(version)


def _version() -> str:
    return str(sys.modules["hlfast"].__version__)


# -- the folder ---------------------------------------------------------------------------------------------------------
def _make_private(path: Path) -> None:
    """The folder and what is missing above it, for this user alone."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        raise ConfigError(f"a journal is a folder, and {path} is a file; give the folder's name")


def _lock(path: Path) -> int:
    """Hold the journal for this process. Raises `ConfigError` that names the process that has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(10):  # `is_held` of a reader takes it for a moment
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            threading.Event().wait(0.02)
    else:
        holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        who = "this process" if holder == str(os.getpid()) else f"process {holder}"
        raise ConfigError(
            f"the journal in {path.parent} is open in {who}; one process at a time: stop that one, or give another folder"
        )
    os.ftruncate(fd, 0)
    os.pwrite(fd, str(os.getpid()).encode(), 0)
    return fd


def is_held(path: Path) -> bool:
    """True if a process has the journal in `path` open."""
    try:
        with open(path / LOCK, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _explained(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    remedy = next((remedy for words, remedy in CAUSES if words in text), "")
    if isinstance(error, OSError) and not remedy:
        text = error.strerror or text
    return f"{text}; {remedy}" if remedy else text
