"""Follower: a PostgreSQL database that follows a journal, row by row (layer 4, cold; a thread and an event loop of its own).

The journal's SQLite file is the truth; what is in PostgreSQL is a copy of its rows up to a record, whose number
(`journals.drained`) is written in the same transaction as the rows. So a batch whose answer was lost is either in, and
the number says so, or is not, and is read again: nothing is lost and nothing is there twice. What has to be sent is
read from the journal's tables by that number, so no queue grows while the server is away, and a database that is made
anew is filled from the start.

    follower = Follower(folder / "journal.sqlite", PostgresDsn("env:HLFAST_POSTGRES"))
    follower.start()
    ...
    follower.state, follower.lag        # FOLLOWING, 0
    follower.stop(3.0)                  # sends what is left, if the server is there

Nothing here can stop or slow an order: a server that is away is a state, a reason and a growing `lag`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from enum import Enum
from pathlib import Path
from typing import Any

from hlfast.config import PostgresDsn
from hlfast.engine.journal_schema import SCHEMA_VERSION
from hlfast.engine.postgres import connected, explained, load_asyncpg, migrate
from hlfast.engine.postgres_schema import NUL_SIGN, SCHEMA, TABLES, upsert
from hlfast.errors import ConfigError

log = logging.getLogger("hlfast.journal")

RECORDS_AT_ONCE = 128
"""Of one transaction, as many as the journal's drain takes: reading and encoding them holds the interpreter lock for
about a millisecond, which the trading loop may have to wait for."""
POLL_SECONDS = 0.1
BACKOFF_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)


class FollowerState(Enum):
    """What the follower does. None of these touches orders."""

    NEW = "NEW"
    CONNECTING = "CONNECTING"
    FOLLOWING = "FOLLOWING"
    FAILED = "FAILED"
    """The server is away, or refuses; tried again until it works. `reason` says why."""
    STOPPED = "STOPPED"

    def __str__(self) -> str:
        return self.name


class Follower:
    """Copies the journal in the SQLite file `database` into PostgreSQL until it is stopped.

    Raises `ConfigError` at once where the driver is missing. `on_state(state, reason)` is called in its thread.
    """

    def __init__(
        self,
        database: str | Path,
        dsn: PostgresDsn,
        *,
        on_state: Callable[[FollowerState, str], object] | None = None,
        records_at_once: int = RECORDS_AT_ONCE,
        poll_s: float = POLL_SECONDS,
        backoff_s: tuple[float, ...] = BACKOFF_SECONDS,
    ) -> None:
        load_asyncpg()
        self.dsn = dsn
        self.state = FollowerState.NEW
        self.reason = ""
        self.failures = 0
        self.drained = 0
        """The last record of the journal."""
        self.copied = 0
        """The last record that is known to be in PostgreSQL."""
        self.rows = 0
        """Rows that were sent by this object and confirmed."""
        self._database = Path(database)
        self._on_state = on_state
        self._records_at_once, self._poll_s, self._backoff_s = records_at_once, poll_s, backoff_s
        self._columns: dict[str, dict[str, str]] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        """Waited for instead of joining: a join that Ctrl-C interrupts may take the thread for ended."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Follower {self.dsn} {self.state} lag={self.lag}{' ' + self.reason if self.reason else ''}>"

    @property
    def lag(self) -> int:
        """Records of the journal that are not known to be in PostgreSQL."""
        return max(0, self.drained - self.copied)

    # -- life -------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start following, in a thread."""
        if self._thread is not None:
            raise ConfigError("this follower was started before; make a new one")
        self._thread = threading.Thread(target=self._run, name="hlfast-postgres", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread is not None and not self._ended.is_set()

    def wait(self, timeout: float) -> None:
        """Until it has ended, or `timeout` seconds."""
        if self._thread is not None:
            self._ended.wait(timeout)

    def stop(self, timeout: float = 3.0) -> bool:
        """Send what is left within `timeout` seconds if the server is there, and end. False: `lag` records are not in."""
        self._stopping.set()
        if self._thread is not None and not self._ended.wait(timeout):
            loop, task = self._loop, self._task
            if loop is not None and task is not None:
                with suppress(RuntimeError):  # it has just ended
                    loop.call_soon_threadsafe(task.cancel)
            self._ended.wait(2.0)
        with suppress(sqlite3.Error, OSError), closing(self._opened()) as db:
            self.drained = int(db.execute("SELECT drained FROM meta").fetchone()[0])
        if self.state is not FollowerState.STOPPED:
            reason = self.reason
            if self.lag:
                reason = f"{self.lag} records are not in PostgreSQL yet; the next start sends them" + (
                    f" ({reason})" if reason else ""
                )
                log.warning("postgres: %s", reason)
            self._set_state(FollowerState.STOPPED, reason if self.lag else "")
        return not self.lag

    def _set_state(self, state: FollowerState, reason: str = "") -> None:
        if (state, reason) == (self.state, self.reason):
            return
        if state is FollowerState.FAILED and self.state is not state:
            log.warning("postgres: %s; the journal keeps everything, and it is tried again", reason)
        elif state is FollowerState.FOLLOWING and self.failures:
            log.warning("postgres: following again")
        self.state, self.reason = state, reason
        if self._on_state is not None:
            with suppress(Exception):  # the caller's error must not end the follower
                self._on_state(state, reason)

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            await self._follow()

        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(main())
        finally:
            self._ended.set()

    # -- following --------------------------------------------------------------------------------------------------
    async def _follow(self) -> None:
        attempt = 0
        while True:
            is_last = self._stopping.is_set()
            if self.state is FollowerState.NEW:
                self._set_state(FollowerState.CONNECTING)
            try:
                await self._one_connection()
                return
            except asyncio.CancelledError:
                raise
            except Exception as error:  # whatever it is: named, and tried again
                if self.state is FollowerState.FOLLOWING:
                    attempt = 0
                self.failures += 1
                self._set_state(FollowerState.FAILED, explained(error, self.dsn))
            wait = self._backoff_s[min(attempt, len(self._backoff_s) - 1)]
            attempt += 1
            while wait > 0 and not self._stopping.is_set():
                await asyncio.sleep(min(wait, self._poll_s))
                wait -= self._poll_s
                self._look()
            if is_last:
                return

    def _look(self) -> None:
        """How far the journal is, while the server is away."""
        with suppress(sqlite3.Error), closing(self._opened()) as db:
            self.drained = int(db.execute("SELECT drained FROM meta").fetchone()[0])

    async def _one_connection(self) -> None:
        """Until it is lost, or everything is in and the follower is to stop."""
        async with connected(self.dsn) as server:
            await migrate(server)
            with closing(self._opened()) as db:
                journal_id = await self._take_up(server, db)
                while True:
                    ending = self._stopping.is_set()  # before reading: what was there by then is sent
                    if await self._send(server, db, journal_id):
                        continue
                    self._set_state(FollowerState.FOLLOWING)
                    if ending:
                        return
                    if server.is_closed():
                        raise ConnectionError("the server closed the connection")
                    await asyncio.sleep(self._poll_s)

    async def once(self) -> int:
        """Send everything that is there now, on the running loop, without a thread; returns the number of rows.

        Raises `NotReady` and `ConfigError`.
        """
        before = self.rows
        async with connected(self.dsn) as server:
            await migrate(server)
            with closing(self._opened()) as db:
                journal_id = await self._take_up(server, db)
                while await self._send(server, db, journal_id):
                    pass
        return self.rows - before

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=2.0
        )

    async def _take_up(self, server: Any, db: sqlite3.Connection) -> int:
        """Where to go on. Raises `ConfigError` where the journal is not the one that was copied."""
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise ConfigError(
                f"{self._database} has schema version {version}, and {SCHEMA_VERSION} is needed: start its connector once, "
                "or `hlfast push` while none has it open"
            )
        self._columns = {
            table: {name: kind for _, name, kind, *_ in db.execute(f"PRAGMA table_info({table})")} for table in TABLES
        }
        journal_id, self.drained = db.execute("SELECT journal_id, drained FROM meta").fetchone()
        local = db.execute("SELECT run, network, account, started_ns FROM runs ORDER BY run DESC").fetchall()
        if not local:
            raise ConfigError(f"{self._database} has no run yet")
        await server.execute(
            f"INSERT INTO {SCHEMA}.journals (journal_id, network, account) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            journal_id, _text(local[0][1]), _text(local[0][2]),
        )  # fmt: skip
        row = await server.fetchrow(f"SELECT drained FROM {SCHEMA}.journals WHERE journal_id = $1", journal_id)
        self.copied = int(row["drained"])
        there = dict(await server.fetch(f"SELECT run, started_ns FROM {SCHEMA}.runs WHERE journal_id = $1", journal_id))
        forked = [run for run, _, _, started in local if there.get(run, started) != started]
        if self.copied > self.drained or forked:
            raise ConfigError(
                f"PostgreSQL holds another continuation of the journal {journal_id} than {self._database}: an old copy of the "
                "folder was put back, or two copies are in use. Nothing is mixed: move the folder away and start a new "
                f"journal, or delete this one there (DELETE by journal_id from the tables of schema {SCHEMA})"
            )
        return int(journal_id)

    async def _send(self, server: Any, db: sqlite3.Connection, journal_id: int) -> int:
        """One batch in one transaction; returns how many records it went on by."""
        after = self.copied
        db.execute("BEGIN")  # one view of all tables
        try:
            self.drained = int(db.execute("SELECT drained FROM meta").fetchone()[0])
            last = min(self.drained, after + self._records_at_once)
            if last <= after:
                return 0
            batch = {
                table: db.execute(
                    f"SELECT {', '.join(self._columns[table])} FROM {table} "
                    f"WHERE {followed.by} > ? AND {followed.by} <= ? ORDER BY {followed.by}",
                    (after, last),
                ).fetchall()
                for table, followed in TABLES.items()
            }
        finally:
            db.execute("COMMIT")
        sent = 0
        async with server.transaction():
            there = await server.fetchval(
                f"SELECT drained FROM {SCHEMA}.journals WHERE journal_id = $1 FOR UPDATE", journal_id
            )
            if there != after:  # an earlier connection's commit has come through after all
                self.copied = int(there or 0)
                return max(1, self.copied - after)
            for table, rows in batch.items():
                if rows:
                    sent += len(rows)
                    await server.execute(upsert(table, self._columns[table]), journal_id, *_columnwise(rows))
            await server.execute(
                f"UPDATE {SCHEMA}.journals SET drained = $2, updated_at = now() WHERE journal_id = $1", journal_id, last
            )
        self.copied = last
        self.rows += sent
        return last - after


def _columnwise(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    """One list a column, every text as PostgreSQL can hold it."""
    return [
        [_text(value) if isinstance(value, str) else value for value in column] for column in zip(*rows, strict=True)
    ]


def _text(value: str) -> str:
    return value.replace("\0", NUL_SIGN) if "\0" in value else value
