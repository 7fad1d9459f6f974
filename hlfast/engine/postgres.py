"""PostgreSQL, as the journal uses it (layer 4, cold): the driver when it is needed, errors without secrets, migrations.

    async with connected(PostgresDsn("postgresql://trader@/trading?host=/run/postgresql")) as db:
        await migrate(db)

The driver is asyncpg, an extra (`pip install 'hlfast[postgres]'`), imported at the first use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

from hlfast.config import PostgresDsn
from hlfast.engine.postgres_schema import LOCK_KEY, MIGRATIONS, SCHEMA
from hlfast.errors import ConfigError, NotReady

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 30.0
"""After this the connection counts as lost. The server ends what is left of it by itself, see SERVER_SETTINGS."""

MIGRATION_SECONDS = 3600.0
"""Of one step: large tables take their time."""

SERVER_SETTINGS = {
    "application_name": "hlfast",
    "statement_timeout": "30000",
    "idle_in_transaction_session_timeout": "30000",
}
"""A transaction whose client is gone holds its journal's row at most so long."""


def load_asyncpg() -> Any:
    """The driver. Raises `ConfigError` that says how to get it."""
    try:
        return import_module("asyncpg")
    except ImportError:
        raise ConfigError("PostgreSQL needs asyncpg: pip install 'hlfast[postgres]'") from None


async def connect(dsn: PostgresDsn) -> Any:
    """An asyncpg connection. Raises `NotReady` where there is none, `ConfigError` for a database that cannot be used."""
    asyncpg = load_asyncpg()
    try:
        db = await asyncpg.connect(
            dsn.reveal(),
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings=SERVER_SETTINGS,
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError, asyncio.TimeoutError) as error:
        raise NotReady(f"no connection to {dsn}: {explained(error, dsn)}") from None
    if db.get_settings().server_encoding != "UTF8":
        encoding = db.get_settings().server_encoding
        db.terminate()
        raise ConfigError(f"{dsn} has the encoding {encoding}, which does not hold every text; make it with UTF8")
    return db


@asynccontextmanager
async def connected(dsn: PostgresDsn) -> AsyncIterator[Any]:
    """A connection that is closed at the end, whatever happened."""
    db = await connect(dsn)
    try:
        yield db
        with suppress(Exception):  # the server may be gone by now; all that mattered was confirmed
            await db.close(timeout=2)
    finally:
        with suppress(Exception):
            db.terminate()


def explained(error: BaseException, dsn: PostgresDsn) -> str:
    """What went wrong, on one line, never with the password."""
    if isinstance(error, asyncio.TimeoutError):
        text = "no answer in time"
    elif type(error).__name__ == "InternalClientError":  # the driver was cut off in mid-sentence
        text = "the connection was lost"
    else:
        text = str(error) or type(error).__name__
    return dsn.masked(" ".join(text.split()))


async def version_of(db: Any) -> int:
    """The version of the schema; 0 where there is none."""
    if await db.fetchval(f"SELECT to_regclass('{SCHEMA}.schema_version')") is None:
        return 0
    return int(await db.fetchval(f"SELECT version FROM {SCHEMA}.schema_version"))


def check_version(version: int, known: int = len(MIGRATIONS)) -> None:
    """Raises `ConfigError` for a newer version than `known`."""
    if version > known:
        raise ConfigError(
            f"the database's schema {SCHEMA} has version {version}, and this hlfast knows {known}; update hlfast, or give "
            "another database"
        )


async def migrate(db: Any, migrations: Sequence[str] = MIGRATIONS) -> int:
    """Bring the schema to the newest version, one process at a time; returns the version that was there.

    Forward only, all in one transaction. Raises `ConfigError` for a newer version.
    """
    version = await version_of(db)
    check_version(version, len(migrations))
    if version == len(migrations):
        return version
    # Of the session, not of the transaction: one that begins before it has the lock may not see what was made meanwhile.
    await db.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    try:
        return await _migrate(db, migrations)
    finally:
        if not db.is_closed():
            await db.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def _migrate(db: Any, migrations: Sequence[str]) -> int:
    async with db.transaction():
        version = await version_of(db)  # another process may have been quicker
        check_version(version, len(migrations))
        if version == 0:
            if await db.fetchval(f"SELECT to_regnamespace('{SCHEMA}')") is None:  # else an administrator has made it
                await db.execute(f"CREATE SCHEMA {SCHEMA}")
            await db.execute(f"CREATE TABLE {SCHEMA}.schema_version (version INTEGER NOT NULL)")
            await db.execute(f"INSERT INTO {SCHEMA}.schema_version VALUES (0)")
        await db.execute("SET LOCAL statement_timeout = 0")
        for script in migrations[version:]:
            await db.execute(script, timeout=MIGRATION_SECONDS)
        await db.execute(f"UPDATE {SCHEMA}.schema_version SET version = $1", len(migrations))
    return version
