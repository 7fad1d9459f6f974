"""JournalReader: a journal's rows for whoever wants to look, from SQLite or PostgreSQL alike (layer 4, cold).

    with open_journal(postgres="env:HLFAST_POSTGRES", account="0x...") as journal:
        for fill in journal.select("fills", "coin = ?", ("BTC",)):
            print(fill["time_ms"], fill["px_e8"])

Rows are dicts with the columns of docs/journal.md; amounts are `Decimal` from both. Nothing is ever written: SQLite is
opened read-only, also while a connector writes; PostgreSQL is read in one read-only transaction, so that all rows are of
one moment. A journal of an older schema is brought up to date in memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from hlfast.config import PostgresDsn, StateDirectory
from hlfast.core.journal_ring import undrained
from hlfast.engine.journal import DATABASE, RING, check_version, is_held, migrate
from hlfast.engine.journal_schema import SCHEMA_VERSION
from hlfast.engine.postgres import check_version as check_postgres_version
from hlfast.engine.postgres import connect, explained, version_of
from hlfast.engine.postgres_schema import NUMERIC, SCHEMA
from hlfast.engine.postgres_schema import SCHEMA_VERSION as POSTGRES_VERSION
from hlfast.errors import ConfigError

Row = dict[str, Any]


class JournalReader(Protocol):
    """One journal, read."""

    name: str
    """Where it is, without secrets."""
    note: str
    """What should be known about what is missing; empty if nothing is."""
    is_older: bool
    """Its tables were made by an earlier version, and brought up to date in memory only."""

    def select(
        self, table: str, where: str = "", values: Sequence[Any] = (), *, order: str = "id", limit: int | None = None
    ) -> list[Row]:
        """Rows of `table` that `where` holds for (SQL, with ? for each of `values`), in `order`."""


@contextmanager
def open_journal(
    folder: str | Path | None = None,
    *,
    postgres: str | PostgresDsn | None = None,
    network: str | None = None,
    account: str | None = None,
) -> Iterator[JournalReader]:
    """The journal in `folder`, or the only one there is of this network and account; in PostgreSQL if an address is given,
    where `folder` is the number of a journal (`journal_id`).

    Raises `ConfigError` where there is none, which one is not clear, or it is of a newer version.
    """
    if postgres is not None:
        reader = _PostgresReader(PostgresDsn(postgres), folder, network, account)
        try:
            yield reader
        finally:
            reader.close()
        return
    path = Path(folder) if folder is not None else _find(network, account)
    database = path / DATABASE
    if not database.is_file():
        raise ConfigError(
            f"there is no journal in {path} (no {DATABASE}); give --journal DIR, or --network and --account"
        )
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
            version = check_version(db)
            if version == SCHEMA_VERSION:
                yield _SqliteReader(path, db)
                return
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as copied:
                db.backup(copied)
                migrate(copied)
                yield _SqliteReader(path, copied, is_older=True)
    except sqlite3.Error as error:
        raise ConfigError(
            f"the journal in {path} cannot be read: {error}; if it is locked, try again in a moment"
        ) from None


# -- SQLite -------------------------------------------------------------------------------------------------------------
class _SqliteReader:
    def __init__(self, path: Path, db: sqlite3.Connection, *, is_older: bool = False) -> None:
        self.name, self.is_older = str(path), is_older
        self._db = db
        db.row_factory = sqlite3.Row
        ring = path / RING
        left = undrained(ring) if ring.is_file() and not is_held(path) else 0
        self.note = (
            f"{left} records of a run that was killed are not in yet; its next start takes them in" if left else ""
        )

    def select(
        self, table: str, where: str = "", values: Sequence[Any] = (), *, order: str = "id", limit: int | None = None
    ) -> list[Row]:
        query = f"SELECT * FROM {table} WHERE {where or '1 = 1'} ORDER BY {order}"
        if limit is not None:
            query, values = f"{query} LIMIT ?", [*values, limit]
        amounts = [column for of, column in NUMERIC if of == table]
        rows = [dict(row) for row in self._db.execute(query, values)]
        for row in rows:
            for column in amounts:
                if row[column] is not None:
                    row[column] = Decimal(row[column])
        return rows


def _find(network: str | None, account: str | None) -> Path:
    root = StateDirectory().path / "journal"
    found = sorted(
        path.parent
        for path in root.glob("*/*/journal.sqlite")
        if network in (None, path.parts[-3]) and (account is None or account.lower() == path.parts[-2])
    )
    if len(found) == 1:
        return found[0]
    asked = " ".join(text for text in (network, account) if text)
    if not found:
        raise ConfigError(
            f"there is no journal{f' of {asked}' if asked else ''} below {root}; a connector keeps one when it is given "
            "journal=..., and --journal DIR names another place"
        )
    names = ", ".join(f"--network {path.parts[-2]} --account {path.parts[-1]}" for path in found)
    raise ConfigError(f"there are {len(found)} journals below {root}; say which: {names}")


# -- PostgreSQL ---------------------------------------------------------------------------------------------------------
class _PostgresReader:
    def __init__(self, dsn: PostgresDsn, journal: str | Path | None, network: str | None, account: str | None) -> None:
        self._dsn = dsn
        self._loop = asyncio.new_event_loop()
        self._db: Any = None
        try:
            self._journal_id = self._run(self._open(journal, network, account))
        except BaseException:
            self.close()
            raise

    def _run(self, awaitable: Any) -> Any:
        try:
            return self._loop.run_until_complete(awaitable)
        except (ConfigError, KeyboardInterrupt):
            raise
        except Exception as error:
            if isinstance(error, (OSError, asyncio.TimeoutError)) or type(error).__module__.startswith("asyncpg"):
                raise ConfigError(f"{self._dsn} cannot be read: {explained(error, self._dsn)}") from None
            raise

    def close(self) -> None:
        if self._db is not None:
            self._db.terminate()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _open(self, journal: str | Path | None, network: str | None, account: str | None) -> int:
        self._db = await connect(self._dsn)
        version = await version_of(self._db)
        check_postgres_version(version)
        if version < POSTGRES_VERSION:
            had = f"has version {version} of it" if version else "has none"
            raise ConfigError(
                f"{self._dsn} {had}: a connector with Settings(postgres=...) or `hlfast push` brings schema {SCHEMA} up to date"
            )
        await self._db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rows = await self._db.fetch(f"SELECT * FROM {SCHEMA}.journals ORDER BY updated_at")
        found = [
            row
            for row in rows
            if network in (None, row["network"])
            and (account is None or account.lower() == row["account"])
            and (journal is None or str(journal) == str(row["journal_id"]))
        ]
        if len(found) == 1:
            row = found[0]
            self.name = f"{self._dsn} journal {row['journal_id']}"
            self.note, self.is_older = "", False
            return int(row["journal_id"])
        known = ", ".join(
            f"--network {row['network']} --account {row['account']} --journal {row['journal_id']}"
            for row in found or rows
        )
        if not rows:
            raise ConfigError(f"there is no journal in {self._dsn} yet")
        raise ConfigError(
            f"there are {len(found)} journals like that in {self._dsn}; say which: {known}"
            if found
            else f"there is no such journal in {self._dsn}; there are: {known}"
        )

    def select(
        self, table: str, where: str = "", values: Sequence[Any] = (), *, order: str = "id", limit: int | None = None
    ) -> list[Row]:
        numbered, at = "", 1
        for letter in where:
            if letter == "?":
                at += 1
                numbered += f"${at}"
            else:
                numbered += letter
        query = f"SELECT * FROM {SCHEMA}.{table} WHERE journal_id = $1{f' AND ({numbered})' if where else ''} ORDER BY {order}"
        if limit is not None:
            query += f" LIMIT {int(limit)}"
        rows = self._run(self._db.fetch(query, self._journal_id, *values))
        return [{name: value for name, value in row.items() if name != "journal_id"} for row in rows]
