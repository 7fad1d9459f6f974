"""A PostgreSQL database that follows the journal: row for row the same, whatever dies, and never in an order's way.

The server is a real one that the tests start (tests/postgres_server.py). Where it is not installed they are skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import logging
import os
import pickle
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hlfast
from hlfast import clock
from hlfast.config import PostgresDsn
from hlfast.core import events as ev
from hlfast.engine import postgres_schema
from hlfast.engine.journal import DATABASE, Journal, bring_up_to_date
from hlfast.engine.journal_schema import MIGRATIONS as JOURNAL_MIGRATIONS
from hlfast.engine.postgres import connected, migrate, version_of
from hlfast.engine.postgres_follower import Follower, FollowerState
from hlfast.engine.postgres_schema import LOCK_KEY, MIGRATIONS, NUL_SIGN, NUMERIC, SCHEMA_VERSION, TABLES
from hlfast.errors import ConfigError, NotReady
from hlfast.sim import FUNDED_ACCOUNTS, SimExchange

from ..chaos import COINS, Chaos
from ..chaos import QUICK as CHAOTIC
from ..children import HOME, surroundings
from ..postgres_server import PostgresServer, programs
from .conftest import Desk, Process, open_sim
from .test_journal import Trader, as_version_1, wait_until
from .test_journal import opened as opened_small

if programs() is None:
    pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)", allow_module_level=True)
pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install 'hlfast[postgres]'")

PROMPT = {"poll_s": 0.01, "backoff_s": (0.02, 0.05)}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    folder = Path(tempfile.mkdtemp(prefix="hlpg", dir="/tmp"))  # a socket's path is short
    try:
        running = PostgresServer(folder)
        running.start()
        try:
            yield running
        finally:
            running.discard()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def dsn(server: PostgresServer) -> PostgresDsn:
    if not server.is_up:
        server.start()
    return PostgresDsn(server.dsn())


def opened(path: Path, **more: Any) -> Journal:
    return opened_small(path, **{"ring_records": 8192, **more})


def followed(path: Path, dsn: PostgresDsn, **more: Any) -> Journal:
    """An open journal whose follower is prompt."""
    journal = opened(path, **more)
    journal.follower = Follower(path / DATABASE, dsn, **PROMPT)  # type: ignore[arg-type]
    return journal


async def _there(dsn: PostgresDsn, path: Path | None) -> dict[str, list[tuple[Any, ...]]]:
    async with connected(dsn) as db:
        which = None
        if path is not None:
            with contextlib.closing(sqlite3.connect(path / DATABASE)) as local:
                [which] = local.execute("SELECT journal_id FROM meta").fetchone()
        found = {}
        for table in TABLES:
            names = [row["column_name"] for row in await db.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'hlfast' AND table_name = $1",
                table,
            )]  # fmt: skip
            names = sorted(name for name in names if name != "journal_id")
            rows = await db.fetch(
                f"SELECT {', '.join(names)} FROM hlfast.{table} WHERE $1::bigint IS NULL OR journal_id = $1", which
            )
            found[table] = sorted((tuple(row.values()) for row in rows), key=_order)
        return found


def _order(row: tuple[Any, ...]) -> str:
    return repr([value for value in row if not isinstance(value, Decimal)])  # -0 and 0 are the same number


def there(dsn: PostgresDsn, path: Path | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Every row in PostgreSQL of the journal in `path` (or of all), columns in the order of their names."""
    return asyncio.run(_there(dsn, path))


def here(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the journal, as PostgreSQL has to have it: amounts as numbers."""
    found = {}
    with contextlib.closing(sqlite3.connect(path / DATABASE)) as db:
        for table in TABLES:
            names = sorted(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
            rows = []
            for row in db.execute(f"SELECT {', '.join(names)} FROM {table}"):
                rows.append(tuple(
                    Decimal(value) if (table, name) in NUMERIC and value is not None
                    else value.replace("\0", NUL_SIGN) if isinstance(value, str) else value
                    for name, value in zip(names, row, strict=True)
                ))  # fmt: skip
            found[table] = sorted(rows, key=_order)
    return found


def same(dsn: PostgresDsn, path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Assert that PostgreSQL has exactly the journal's rows; returns them."""
    mine, theirs = here(path), there(dsn, path)
    for table in TABLES:
        assert theirs[table] == mine[table], table
    return mine


def trade(trader: Trader, first: int, count: int) -> None:
    """Orders with fills, ends, cancels and everything else that makes rows."""
    bus = trader.tracker.bus
    for n in range(first, first + count):
        order = trader.rest(n, amount=2, strategy=("maker", "taker", None)[n % 3])
        trader.fill(order, n, "0.5", price=f"{100 + n % 7}.5", fee=f"0.{n:012d}1")
        if n % 3 == 0:
            trader.fill(order, n, "1.5", time_ms=n + 1)
        elif n % 3 == 1:
            trader.cancel(order)
            trader.gone(order, 1500)
        else:
            trader.modify(order, 101, 500)
        if n % 10 == 0:
            bus.emit(ev.FundingPayment("BTC", Decimal(n) / 7, "0.0000125", 1000 + n, 1))
            trader.journal.equity({
                "strategy": None, "equity": f"{n}.000000000000000000001", "cash": "1", "unrealized": None, "realized": "-0.1",
                "fees": "0", "funding": "0", "marks": '{"BTC":"1"}', "unvalued": "[]",
            })  # fmt: skip


# -- following ----------------------------------------------------------------------------------------------------------
def test_every_row_of_the_journal_is_there_and_equal(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Seed system, persistence, second back end: all tables, every column, exact."""
    journal = followed(tmp_path, dsn)
    trader = Trader(journal)
    journal.strategies([{"name": "maker", "prefix": "mk", "parameters": {"size": "1"}}])
    journal.start()
    journal.baseline({"cash": Decimal("1000.50")})
    trade(trader, 1, 60)
    trader.tracker.bus.emit(ev.StreamStatus("account", "DOWN", "cut\0off ünïcode 🙂", 2))
    assert journal.follower is not None
    follower = journal.follower
    wait_until(lambda: follower.state is FollowerState.FOLLOWING and follower.lag == 0)
    assert journal.stop() and follower.state is FollowerState.STOPPED
    rows = same(dsn, tmp_path)
    assert {table: bool(found) for table, found in rows.items()} == dict.fromkeys(TABLES, True)
    assert len(rows["orders"]) == 60 and len(rows["fills"]) == 80 and follower.rows >= 200
    assert journal.status["postgres"] == {
        "state": "STOPPED", "reason": "", "lag": 0, "rows": follower.rows, "failures": 0,
    }  # fmt: skip


def test_rows_are_updated_as_their_orders_change(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Given an order that was copied while it rested, when it is filled and the account's position moves, then so do the rows."""
    journal = followed(tmp_path, dsn)
    trader = Trader(journal)
    journal.start()
    order = trader.rest(1)
    follower = journal.follower
    assert follower is not None

    def state() -> Any:
        found = there(dsn, tmp_path)["orders"] if follower.state is FollowerState.FOLLOWING else []
        return found and "OPEN" in found[0] and "OPEN"

    wait_until(lambda: bool(state()))
    trader.fill(order, 1)
    journal.stop()
    assert "FILLED" in there(dsn, tmp_path)["orders"][0]
    same(dsn, tmp_path)


def test_a_database_that_comes_later_gets_everything_from_the_start(tmp_path: Path, dsn: PostgresDsn) -> None:
    """No queue: a journal of two runs that never heard of PostgreSQL is copied whole, in many batches."""
    for first in (1, 101):
        journal = opened(tmp_path)
        trade(Trader(journal), first, 100)
        journal.stop()
    follower = Follower(tmp_path / DATABASE, dsn, records_at_once=50)
    assert asyncio.run(follower.once()) == sum(map(len, same(dsn, tmp_path).values()))
    assert asyncio.run(Follower(tmp_path / DATABASE, dsn).once()) == 0


def test_a_journal_of_version_1_is_copied_after_its_migration(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Older tables have nothing to be followed by: that is told, and `hlfast push` brings them up to date."""
    journal = opened(tmp_path)
    trade(Trader(journal), 1, 30)
    journal.stop()
    as_version_1(tmp_path)
    with pytest.raises(ConfigError, match="has schema version 1, and 2 is needed"):
        asyncio.run(Follower(tmp_path / DATABASE, dsn).once())
    bring_up_to_date(tmp_path)
    assert asyncio.run(Follower(tmp_path / DATABASE, dsn, records_at_once=7).once()) > 100
    same(dsn, tmp_path)
    journal = followed(tmp_path, dsn)
    with pytest.raises(ConfigError, match="is open in this process"):
        bring_up_to_date(tmp_path)
    journal.start()
    journal.stop()
    same(dsn, tmp_path)


async def test_two_connectors_share_one_database(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Two accounts that trade with each other: each journal's rows are its own, and what one bought the other has sold."""
    async with SimExchange(port=0, block_ms=5, traders=False, book_interval_ms=0) as exchange:
        hls = [
            hlfast.connect(
                exchange.network,
                key=FUNDED_ACCOUNTS[n].key,
                journal=tmp_path / str(n),
                settings=replace(CHAOTIC, postgres=dsn),
            )
            for n in (0, 1)
        ]
        async with hls[0] as buyer, hls[1] as seller:
            for n in range(30):
                rests = buyer.buy("BTC", "0.002", str(60000 + n), tif="Alo")
                assert await rests.accepted()
                await seller.sell("BTC", "0.002" if n % 3 else "0.001", str(60000 + n), tif="Ioc").done()
                if not rests.is_done:
                    buyer.cancel(rests)
                await rests.done()
    loop = asyncio.get_running_loop()
    for n in (0, 1):
        await loop.run_in_executor(None, same, dsn, tmp_path / str(n))
    async with connected(dsn) as db:
        rows = await db.fetch(
            "SELECT account, side, count(*), sum(size), sum(size * price) FROM hlfast.fill_list GROUP BY 1, 2"
        )
        tids = await db.fetchval("SELECT count(DISTINCT tid) FROM hlfast.fills")
    found = {row["account"]: tuple(row.values())[1:] for row in rows}
    bought, sold = found[buyer.account], found[seller.account]
    assert (
        bought == ("buy", 30, Decimal("0.050"), sold[3]) and sold[:3] == ("sell", 30, Decimal("0.050")) and tids == 30
    )


def test_two_journals_share_one_database_with_the_same_names(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Same ids, same fills, at the same time: each journal has its rows and no other's."""
    journals = [followed(tmp_path / name, dsn, account=account) for name, account in (("a", "0xA1"), ("b", "0xB2"))]
    traders = [Trader(journal) for journal in journals]
    for journal in journals:
        journal.start()
    for first in range(1, 100, 10):
        for trader in traders:
            trade(trader, first, 10 if trader is traders[0] else 7)
    for journal in journals:
        assert journal.stop() and journal.follower is not None and journal.follower.lag == 0
    a, b = (same(dsn, tmp_path / name) for name in "ab")
    assert (len(a["orders"]), len(b["orders"])) == (100, 70)
    assert len(there(dsn)["orders"]) == 170


def test_two_that_copy_one_journal_do_not_disturb_each_other(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Given the trading process's own follower and `hlfast push --follow` beside it, then rows are written once."""
    journal = followed(tmp_path, dsn)
    others = [Follower(tmp_path / DATABASE, dsn, records_at_once=n, **PROMPT) for n in (3, 40)]  # type: ignore[arg-type]
    trader = Trader(journal)
    trade(trader, 1, 20)
    journal.start()
    for other in others:
        other.start()
    for first in range(21, 200, 20):
        trade(trader, first, 20)
        threading.Event().wait(0.05)
    assert journal.stop() and [other.stop(20) for other in others] == [True, True]
    same(dsn, tmp_path)
    assert all(other.failures == 0 for other in others)


def test_a_database_that_was_set_back_is_brought_up_to_date_again(tmp_path: Path, dsn: PostgresDsn) -> None:
    """As after restoring a backup: what is above its own number is sent again, changed rows too."""
    journal = opened(tmp_path)
    trade(Trader(journal), 1, 50)
    journal.stop()
    asyncio.run(Follower(tmp_path / DATABASE, dsn).once())

    async def set_back() -> None:
        async with connected(dsn) as db:
            await db.execute("UPDATE hlfast.journals SET drained = 100")
            await db.execute("DELETE FROM hlfast.fills WHERE id > 100")
            await db.execute("DELETE FROM hlfast.order_events WHERE id > 150")
            await db.execute("UPDATE hlfast.orders SET state = 'OPEN', rev = 100 WHERE rev > 100")

    asyncio.run(set_back())
    asyncio.run(Follower(tmp_path / DATABASE, dsn).once())
    same(dsn, tmp_path)


# -- a server that goes away --------------------------------------------------------------------------------------------
def test_a_server_that_is_away_stops_no_order_and_misses_nothing(tmp_path: Path, server: PostgresServer) -> None:
    """Given no server at the start, then trading goes on, the state and the lag say so, and once it is there it gets all."""
    target = PostgresDsn(server.dsn())
    server.stop()
    journal = followed(tmp_path, target)
    follower = journal.follower
    assert follower is not None
    journal.start()
    trade(Trader(journal), 1, 50)
    wait_until(lambda: follower.state is FollowerState.FAILED and follower.lag > 100)
    assert "no connection to postgresql://trader@/" in follower.reason and journal.ring.refusal == ""
    assert journal.status["state"] == "RUNNING" and journal.status["postgres"]["lag"] == follower.lag
    server.start()
    wait_until(lambda: follower.state is FollowerState.FOLLOWING and follower.lag == 0, 30)
    journal.stop()
    same(target, tmp_path)


def test_a_run_that_ends_without_its_server_says_how_much_is_missing_and_the_next_start_sends_it(
    tmp_path: Path, server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    target = PostgresDsn(server.dsn())
    server.stop()
    journal = followed(tmp_path, target)
    journal.start()
    trade(Trader(journal), 1, 20)
    with caplog.at_level(logging.WARNING, "hlfast.journal"):
        began = clock.monotonic_ns()
        assert journal.stop(), "the journal itself is whole"
    assert clock.monotonic_ns() - began < 5e9 and journal.follower is not None and journal.follower.lag > 50
    assert f"{journal.follower.lag} records are not in PostgreSQL yet; the next start sends them" in caplog.text
    server.start()
    followed(tmp_path, target).stop()  # never started: nothing is sent
    again = followed(tmp_path, target)
    again.start()
    again.stop()
    same(target, tmp_path)


def test_a_server_that_is_back_at_the_end_gets_what_is_left(
    tmp_path: Path, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a pause before the next try that is longer than the run, then the end tries once more."""
    monkeypatch.setattr("hlfast.engine.journal.LAST_TRY_SECONDS", 20.0)  # a loaded machine takes its time
    target = PostgresDsn(server.dsn())
    server.stop()
    journal = opened(tmp_path)
    journal.follower = follower = Follower(tmp_path / DATABASE, target, poll_s=0.01, backoff_s=(600.0,))
    journal.start()
    trade(Trader(journal), 1, 20)
    wait_until(lambda: follower.state is FollowerState.FAILED)
    server.start()
    wait_until(lambda: journal.ring.used == 0)
    journal.stop()
    assert follower.lag == 0 and follower.failures == 1
    same(target, tmp_path)


def test_a_server_killed_again_and_again_in_mid_run_loses_and_doubles_nothing(
    tmp_path: Path, server: PostgresServer
) -> None:
    """G7, second back end: kill -9 of every process of the server while batches are on their way, six times."""
    target = PostgresDsn(server.dsn())
    rng = random.Random(5)
    journal = followed(tmp_path, target)
    follower = journal.follower
    assert follower is not None
    follower._records_at_once = 40
    trader = Trader(journal)
    journal.start()
    done = threading.Event()

    def trade_on() -> None:
        n = 1
        while not done.is_set():
            if journal.ring.has_room(64):
                trade(trader, n, 5)
                n += 5
            threading.Event().wait(0.002)

    thread = threading.Thread(target=trade_on)
    thread.start()
    try:
        for kill in range(6):
            before = follower.rows
            wait_until(lambda before=before: follower.rows > before, 30)  # type: ignore[misc]
            threading.Event().wait(rng.uniform(0, 0.05))
            print(f"seed 5, kill {kill}")
            server.kill()
            wait_until(lambda: follower.state is FollowerState.FAILED, 30)
            server.start()
    finally:
        done.set()
        thread.join()
    wait_until(lambda: follower.state is FollowerState.FOLLOWING and follower.lag == 0, 60)
    assert journal.stop() and follower.failures >= 6 and journal.failures == 0
    rows = same(target, tmp_path)
    assert len(rows["orders"]) > 100 and follower.state is FollowerState.STOPPED


def test_a_commit_whose_answer_was_lost_is_not_made_twice(
    tmp_path: Path, dsn: PostgresDsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a connection that dies between the server's commit and its answer, then the next one goes on after that batch."""
    journal = opened(tmp_path)
    trade(Trader(journal), 1, 30)
    journal.stop()
    follower = Follower(tmp_path / DATABASE, dsn, records_at_once=40, **PROMPT)  # type: ignore[arg-type]
    sends = follower._send
    lost = []

    async def send(server: Any, db: sqlite3.Connection, journal_id: int) -> int:
        before = follower.copied
        moved = await sends(server, db, journal_id)
        if moved and len(lost) < 3:
            lost.append(before)
            follower.copied = before  # as if the answer had never come
            if len(lost) % 2:
                server.terminate()
                raise ConnectionResetError("cut")
        return moved

    monkeypatch.setattr(follower, "_send", send)
    follower.start()
    wait_until(lambda: follower.state is FollowerState.FOLLOWING and follower.lag == 0)
    assert follower.stop() and len(lost) == 3 and follower.failures == 2
    same(dsn, tmp_path)


def test_a_connection_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, server: PostgresServer, dsn: PostgresDsn
) -> None:
    """Given another transaction that holds the journal's row, then stop() returns in its time and says what is missing."""
    journal = followed(tmp_path, dsn)
    journal.start()
    trade(Trader(journal), 1, 5)
    follower = journal.follower
    assert follower is not None
    wait_until(lambda: follower.state is FollowerState.FOLLOWING and follower.lag == 0)

    async def with_the_row_held() -> None:
        async with connected(dsn) as other, other.transaction():
            await other.execute("SELECT * FROM hlfast.journals FOR UPDATE")
            trade(Trader(journal), 100, 5)
            began = clock.monotonic_ns()
            await asyncio.get_running_loop().run_in_executor(None, journal.stop)
            assert clock.monotonic_ns() - began < 8e9 and follower.lag > 0

    asyncio.run(with_the_row_held())
    again = followed(tmp_path, dsn)
    again.start()
    again.stop()
    same(dsn, tmp_path)


# -- a process that dies ------------------------------------------------------------------------------------------------
FOLLOWED_UNTIL_KILLED = """
import sys
from hlfast.config import PostgresDsn
from hlfast.engine.postgres_follower import Follower
follower = Follower(sys.argv[1], PostgresDsn(sys.argv[2]), records_at_once=8, poll_s=0.001)
follower.start()
print("started", flush=True)
follower.wait(600)
"""


def test_a_follower_killed_at_any_moment_loses_and_doubles_nothing(tmp_path: Path, dsn: PostgresDsn) -> None:
    """kill -9 of the process that copies, 12 times, each time further on; then one that may finish."""
    journal = opened(tmp_path)
    trade(Trader(journal), 1, 400)
    journal.stop()
    rng = random.Random(3)
    for kill in range(12):
        print(f"seed 3, kill {kill}")
        command = [sys.executable, "-c", FOLLOWED_UNTIL_KILLED, str(tmp_path / DATABASE), dsn.reveal()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HOME, env=surroundings()) as child:
            assert child.stdout is not None and child.stdout.readline() == b"started\n"
            threading.Event().wait(rng.uniform(0.02, 0.25))
            child.kill()
    done = sum(map(len, there(dsn, tmp_path).values()))
    left = asyncio.run(Follower(tmp_path / DATABASE, dsn).once())
    rows = same(dsn, tmp_path)
    assert 0 < done < sum(map(len, rows.values())) + 1 and left >= 0


# -- schema -------------------------------------------------------------------------------------------------------------
def test_the_schema_has_the_journals_columns(tmp_path: Path, dsn: PostgresDsn) -> None:
    """The same logical schema: table for table, column for column; and no column is a float."""

    async def look() -> None:
        async with connected(dsn) as db:
            await migrate(db)
            assert await migrate(db) == SCHEMA_VERSION
            kinds = await db.fetch(
                "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'hlfast'"
            )
        found = {(row["table_name"], row["column_name"]): row["data_type"] for row in kinds}
        assert not {kind for kind in found.values() if kind in ("real", "double precision")}
        names = {"INTEGER": "bigint", "TEXT": "text"}
        with contextlib.closing(sqlite3.connect(":memory:")) as local:
            for script in JOURNAL_MIGRATIONS:
                local.executescript(script)
            for table in TABLES:
                columns = {row[1]: row[2] for row in local.execute(f"PRAGMA table_info({table})")}
                assert {c for t, c in found if t == table} == {*columns, "journal_id"}, table
                for column, kind in columns.items():
                    expected = "numeric" if (table, column) in NUMERIC else names[kind]
                    assert found[table, column] == expected, (table, column)

    asyncio.run(look())


def test_an_older_schema_is_brought_up_to_date_and_a_newer_one_refused(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Forward only, all or nothing: with rows in it, by steps that this test makes up."""
    journal = opened(tmp_path)
    trade(Trader(journal), 1, 10)
    journal.stop()
    asyncio.run(Follower(tmp_path / DATABASE, dsn).once())
    before = there(dsn, tmp_path)
    newer = (
        *MIGRATIONS,
        "ALTER TABLE hlfast.runs ADD COLUMN host TEXT NOT NULL DEFAULT 'h'",
        "CREATE TABLE hlfast.more (a INT)",
    )

    async def look() -> None:
        async with connected(dsn) as db:
            with pytest.raises(Exception, match="already exists"):
                await migrate(db, (*MIGRATIONS, "CREATE TABLE hlfast.half (a INT)", "CREATE TABLE hlfast.runs (b INT)"))
            assert await version_of(db) == SCHEMA_VERSION, "all of it or nothing"
            assert await db.fetchval("SELECT to_regclass('hlfast.half')") is None
            assert await migrate(db, newer) == SCHEMA_VERSION
            assert await version_of(db) == SCHEMA_VERSION + 2
            assert await db.fetchval("SELECT host FROM hlfast.runs") == "h"
            assert await migrate(db, newer) == SCHEMA_VERSION + 2
            with pytest.raises(
                ConfigError, match=f"schema hlfast has version {SCHEMA_VERSION + 2}, and this hlfast knows"
            ):
                await migrate(db)

    asyncio.run(look())
    after = there(dsn, tmp_path)
    assert {t: len(r) for t, r in after.items()} == {t: len(r) for t, r in before.items()}
    again = followed(tmp_path, dsn)
    again.start()
    follower = again.follower
    assert follower is not None
    wait_until(lambda: follower.state is FollowerState.FAILED)
    assert "update hlfast, or give another database" in follower.reason and again.ring.refusal == ""
    again.stop()


def test_migrations_of_several_processes_wait_for_each_other(dsn: PostgresDsn) -> None:
    """Eight at once make one schema; while somebody else holds the lock, nobody makes anything."""

    async def one() -> int:
        async with connected(dsn) as db:
            return await migrate(db)

    async def look() -> None:
        async with connected(dsn) as holder:
            async with holder.transaction():
                await holder.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
                tasks = [asyncio.create_task(one()) for _ in range(8)]
                await asyncio.sleep(0.3)
                assert not any(task.done() for task in tasks) and await version_of(holder) == 0
            assert sorted(await asyncio.gather(*tasks)) == [0] + [SCHEMA_VERSION] * 7
            assert await version_of(holder) == SCHEMA_VERSION

    asyncio.run(look())


def test_what_an_administrator_has_to_allow_is_little(server: PostgresServer, dsn: PostgresDsn, tmp_path: Path) -> None:
    """A role that may not make schemas works in one that was made for it; without, the reason is told."""
    name = dsn.reveal().split("/")[3].split("?")[0]
    server.sql("CREATE ROLE plain LOGIN", name)
    plain = PostgresDsn(dsn.reveal().replace("trader@", "plain@"))
    journal = opened(tmp_path)
    trade(Trader(journal), 1, 3)
    journal.stop()
    with pytest.raises(Exception, match="permission denied for database"):
        asyncio.run(Follower(tmp_path / DATABASE, plain).once())
    server.sql("CREATE SCHEMA hlfast AUTHORIZATION plain", name)
    assert asyncio.run(Follower(tmp_path / DATABASE, plain).once()) > 0
    same(plain, tmp_path)


def test_a_database_that_cannot_hold_every_text_is_refused(server: PostgresServer, dsn: PostgresDsn) -> None:
    server.sql("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")

    async def look() -> None:
        async with connected(PostgresDsn(server.dsn("latin", create=False))):
            raise AssertionError("it was taken")

    with pytest.raises(ConfigError, match=r"has the encoding LATIN1.*make it with UTF8"):
        asyncio.run(look())


def test_the_views_show_exact_numbers(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Prices, sizes and fees as NUMERIC, to the last digit, also off the lot grid and with long fees."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    order = trader.rest(1, amount="92233720368547.758", price="0.00000001", strategy="maker")
    trader.fill(order, 1, "0.001", price="92233720368.54775807", fee="0.000000000000000000000001")
    trader.fill(order, 2, "0.00000000001", fee="-0.1", is_buy=True)
    journal.stop()
    asyncio.run(Follower(tmp_path / DATABASE, dsn).once())

    async def look() -> None:
        async with connected(dsn) as db:
            [row] = await db.fetch("SELECT * FROM hlfast.order_list")
            assert (row["price"], row["size"], row["side"]) == (
                Decimal("0.00000001"),
                Decimal("92233720368547.758"),
                "buy",
            )
            assert (row["strategy"], row["account"]) == ("maker", "0xab")
            first, second = await db.fetch("SELECT * FROM hlfast.fill_list ORDER BY tid")
            assert (first["price"], first["size"]) == (Decimal("92233720368.54775807"), Decimal("0.001"))
            assert first["fee"] == Decimal("0.000000000000000000000001") and second["fee"] == Decimal("-0.1")
            assert second["size"] == Decimal("0.00000000001")

    asyncio.run(look())


# -- another journal than the one that was copied ------------------------------------------------------------------------
def test_an_old_copy_of_the_folder_that_was_put_back_is_not_mixed_in(tmp_path: Path, dsn: PostgresDsn) -> None:
    """Given two continuations of one journal, then the second is refused, in a named state, and the first is left alone."""
    one, other = tmp_path / "one", tmp_path / "other"
    journal = followed(one, dsn)
    journal.start()
    trade(Trader(journal), 1, 5)
    journal.stop()
    shutil.copytree(one, other)
    journal = followed(one, dsn)
    journal.start()
    trade(Trader(journal), 100, 5)
    journal.stop()
    before = there(dsn)
    stale = followed(other, dsn)
    trade(Trader(stale), 200, 50)  # it goes beyond the number at which the first one is
    stale.start()
    follower = stale.follower
    assert follower is not None
    wait_until(lambda: follower.state is FollowerState.FAILED)
    assert "another continuation of the journal" in follower.reason
    stale.stop()
    assert there(dsn) == before


# -- values -------------------------------------------------------------------------------------------------------------
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
big = st.integers(-(2**63), 2**63 - 1)
amounts = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=24, min_value=-(10**30), max_value=10**30),
    st.sampled_from(
        [Decimal(10) ** 300, Decimal(1).scaleb(-300), Decimal("-0.00"), Decimal("1E+5"), Decimal(2**63) + 1]
    ),
)


@pytest.fixture(scope="module")
def fuzzed(server: PostgresServer) -> Iterator[tuple[PostgresDsn, Path]]:
    if not server.is_up:
        server.start()
    with tempfile.TemporaryDirectory() as folder:
        yield PostgresDsn(server.dsn()), Path(folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_value_arrives_as_it_was(fuzzed: tuple[PostgresDsn, Path], data: st.DataObject) -> None:
    """Any 64-bit number, any text (a NUL is shown by its sign), any decimal to its last digit; None stays None."""
    dsn, folder = fuzzed
    path = Path(tempfile.mkdtemp(dir=folder))
    journal = opened(path)
    journal.stop()
    some = lambda values: st.one_of(st.none(), values)  # noqa: E731
    with contextlib.closing(sqlite3.connect(path / DATABASE, isolation_level=None)) as db:
        [last] = db.execute("SELECT drained FROM meta").fetchone()
        for table, follow in TABLES.items():
            columns = db.execute(f"PRAGMA table_info({table})").fetchall()
            for n in range(data.draw(st.integers(1, 3))):
                row: dict[str, Any] = {}
                for _, name, kind, required, _, key in columns:
                    kind_of = big if kind == "INTEGER" else texts
                    required = required or name in ("network", "account")
                    if (table, name) in NUMERIC:
                        kind_of = amounts.map(lambda value: f"{value:f}")
                    row[name] = data.draw(kind_of if required or key else some(kind_of))
                last += 1
                row[follow.by] = last
                if table == "runs":
                    row["run"] = 2 + n
                names = ", ".join(row)
                db.execute(
                    f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values())
                )
        db.execute("UPDATE meta SET drained = ?", (last,))
    asyncio.run(Follower(path / DATABASE, dsn).once())
    same(dsn, path)


# -- the whole way ------------------------------------------------------------------------------------------------------
async def test_journal_postgres_and_exchange_agree_after_a_run_with_faults(
    tmp_path: Path, server: PostgresServer, dsn: PostgresDsn
) -> None:
    """Given cut, mute and torn connections, lost and doubled frames (tests/chaos.py), and a database that is killed and comes
    back in mid-run, then SQLite, PostgreSQL and the exchange's record are equal: every fill, cash and fees to the last decimal."""
    await agree_after(6.0, 1, tmp_path, server, dsn)


@pytest.mark.long
async def test_they_agree_after_five_minutes_with_faults(
    tmp_path: Path, server: PostgresServer, dsn: PostgresDsn
) -> None:
    """As above, in full: the database dies every half minute."""
    await agree_after(300.0, 10, tmp_path, server, dsn)


async def agree_after(seconds: float, deaths: int, tmp_path: Path, server: PostgresServer, dsn: PostgresDsn) -> None:
    options = replace(CHAOTIC, postgres=dsn, equity_interval=0.2)
    loop = asyncio.get_running_loop()
    chaos = Chaos(23, round_seconds=3.0)

    async def database_dies() -> None:
        for _ in range(deaths):
            await asyncio.sleep(seconds / deaths / 4)
            await loop.run_in_executor(None, server.kill)
            await asyncio.sleep(seconds / deaths / 4)
            await loop.run_in_executor(None, server.start)
            await asyncio.sleep(seconds / deaths / 4)

    async with SimExchange(port=0, block_ms=20, seed=23, book_interval_ms=100, engine={"history": 10**6}) as exchange:
        hl = hlfast.connect(exchange.network, key=FUNDED_ACCOUNTS[0].key, journal=tmp_path, settings=options)
        async with hl:
            for coin in COINS:
                hl.watch(coin)
            dies = asyncio.create_task(database_dies())
            await chaos.trade(hl, exchange, seconds)
            await dies
            while hl.journal.status["postgres"]["lag"]:  # it may take its time to be back
                await asyncio.sleep(0.05)
        exchange.faults.clear()
        truth = exchange.truth(hl.account)
    assert not chaos.report.differences and sum(chaos.report.hits.values()) > 5
    assert hl.journal is not None and hl.journal.status["postgres"]["failures"] > 0
    assert hl.journal.status["postgres"]["lag"] == 0 and not any(truth["dropped"].values())
    rows = await loop.run_in_executor(None, same, dsn, tmp_path)
    async with connected(dsn) as db:
        found = await db.fetch("SELECT coin, tid, oid, time_ms FROM hlfast.fills")
        fees = await db.fetch("SELECT fee_token, sum(fee) FROM hlfast.fill_list GROUP BY 1")
        cash = await db.fetchval("SELECT cash FROM hlfast.equity ORDER BY id DESC LIMIT 1")
        moved = await db.fetchval(
            "SELECT sum(CASE side WHEN 'buy' THEN -1 ELSE 1 END * price * size) FROM hlfast.fill_list"
        )
        placed = await db.fetch("SELECT cloid FROM hlfast.orders WHERE created = 1")
    keys = {(fill["coin"], fill["tid"], fill["oid"], fill["time"]) for fill in truth["fills"]}
    assert {tuple(row.values()) for row in found} == keys and len(found) == len(truth["fills"]) > 10
    assert len(rows["fills"]) == len(found)
    assert dict(map(tuple, fees)) == {
        token: Decimal(amount) for token, amount in truth["fees"].items() if Decimal(amount)
    }
    assert cash == Decimal(truth["cash"])
    assert moved == sum(
        (1 if fill["side"] == "A" else -1) * Decimal(fill["px"]) * Decimal(fill["sz"]) for fill in truth["fills"]
    )
    assert {row["cloid"] for row in placed} == {
        order["cloid"] for order in truth["orders"] if not order["status"].endswith("Rejected")
    }


async def test_a_gateway_killed_in_mid_run_and_its_successor_have_every_row_there(
    tmp_path: Path, dsn: PostgresDsn
) -> None:
    """`hlfast gateway --postgres`: two processes one after the other, the first killed; what both did is in the database."""
    pytest.importorskip("zmq", reason="the gateway needs pyzmq")
    exchange = await open_sim()
    loop = asyncio.get_running_loop()
    try:
        for life, end in enumerate((signal.SIGKILL, signal.SIGINT)):
            gateway = Process(exchange, tmp_path, "--postgres", dsn.reveal())
            await gateway.start()
            desk = await Desk(exchange, gateway).ready()
            try:
                for n in range(5):
                    desk.place(f"c-{life}-{n}", price="65010" if n % 2 else "60000")
                for n in range(5):
                    await desk.report(f"c-{life}-{n}")
            finally:
                desk.close()
                await gateway.end(end)
        truth = exchange.truth(FUNDED_ACCOUNTS[0].address)
    finally:
        await exchange.stop()
    rows = await loop.run_in_executor(None, same, dsn, tmp_path / "j")
    assert len(rows["orders"]) == 10 == len(truth["orders"]) and len(rows["runs"]) == 2
    assert len(rows["fills"]) == len(truth["fills"]) == 4


def test_connections_leave_nothing_open(tmp_path: Path, dsn: PostgresDsn) -> None:
    """No descriptor, task or thread is left of 50 connections, of which every other one was refused."""
    journal = opened(tmp_path)
    trade(Trader(journal), 1, 3)
    journal.stop()
    nowhere = PostgresDsn(dsn.reveal().replace("host=", "host=/nowhere"))

    def both() -> None:
        asyncio.run(Follower(tmp_path / DATABASE, dsn).once())
        with pytest.raises(NotReady):
            asyncio.run(Follower(tmp_path / DATABASE, nowhere).once())

    both()
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    threads = threading.active_count()
    for _ in range(25):
        both()
    gc.collect()
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert (after, threading.active_count()) == (before, threads)


# -- switching it on, and secrets -----------------------------------------------------------------------------------------
CANARY = "c4n4ry-p%40ss"


def test_the_password_is_shown_nowhere(
    tmp_path: Path, server: PostgresServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Secrets: repr, str, errors, logs, tracebacks, pickles, the journal's files, command lines of the server's view."""
    name = server.dsn().split("/")[3].split("?")[0]
    given_texts = [
        f"postgresql://trader:{CANARY}@/{name}?host={server.folder}/none",
        f"postgresql://nobody_here:{CANARY}@127.0.0.1:1/{name}",
        f"postgresql://trader@/{name}?host={server.folder}/none&password={CANARY}",
    ]
    shown: list[str] = []
    for text in given_texts:
        dsn = PostgresDsn(text)
        kept = hlfast.Settings(postgres=text)
        shown += [repr(dsn), str(dsn), f"{dsn}", repr(kept), str(vars(kept)), repr(copy.deepcopy(kept))]
        with pytest.raises(TypeError, match="cannot be pickled") as refused:
            pickle.dumps(kept)
        shown.append(str(refused.value))
        folder = tmp_path / str(len(shown))
        journal = followed(folder, dsn)
        shown += [repr(journal), repr(journal.follower), str(journal.status)]
        with caplog.at_level(logging.DEBUG):
            journal.start()
            follower = journal.follower
            assert follower is not None
            wait_until(lambda follower=follower: follower.state is FollowerState.FAILED)  # type: ignore[misc]
            shown += [repr(follower), follower.reason, str(journal.status)]
            journal.stop()
        try:
            asyncio.run(Follower(folder / DATABASE, dsn).once())
        except NotReady as error:
            shown += [str(error), "".join(traceback.format_exception(error)), repr(error.__context__)]
        shown += [file.read_bytes().decode("latin-1") for file in folder.iterdir()]
    for bad in (
        f"mysql://u:{CANARY}@h/d",
        f"postgresql://u:{CANARY}@db.example/d",
        f"postgresql://u:{CANARY}@[::bad/d",
    ):
        with pytest.raises(ConfigError) as refused_dsn:
            PostgresDsn(bad)
        shown += ["".join(traceback.format_exception(refused_dsn.value))]
    shown += [caplog.text, *capfd.readouterr()]
    for text in shown:
        assert "c4n4ry" not in text, text
    assert "***" in "".join(shown)


def test_a_plain_connection_to_another_machine_has_to_be_meant() -> None:
    with pytest.raises(ConfigError, match=r"another machine.*sslmode=verify-full"):
        PostgresDsn("postgresql://trader@db.example:5432/trading")
    assert str(PostgresDsn("postgresql://t:x@db.example/d?sslmode=verify-full")) == (
        "postgresql://t:***@db.example/d?sslmode=verify-full"
    )
    PostgresDsn("postgresql://trader@/trading?host=/run/postgresql")
    PostgresDsn("postgres://trader@127.0.0.1/trading")


def test_an_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADES_AT", "postgresql://u:pw@localhost/d")
    assert hlfast.Settings(postgres="env:TRADES_AT").postgres == PostgresDsn("postgresql://u:pw@localhost/d")
    with pytest.raises(ConfigError, match="variable NOT_SET_HERE is to name a PostgreSQL database and is not set"):
        PostgresDsn("env:NOT_SET_HERE")


def test_without_the_driver_it_is_said_before_anything_is_traded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"PostgreSQL needs asyncpg: pip install 'hlfast\[postgres\]'"):
        opened(tmp_path, postgres="postgresql://u@localhost/d")
    opened(tmp_path).stop()


def test_settings_switch_the_journal_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLFAST_STATE", str(tmp_path))
    chosen = hlfast.Settings(postgres="postgresql://u@localhost/d")
    with pytest.raises(ConfigError, match="journal=False switches that off"):
        hlfast.connect("simulator", settings=chosen, journal=False)
    hl = hlfast.connect("simulator", settings=chosen)
    assert hl.journal is not None and hl.journal.status["postgres"]["state"] == "NEW"
    hl.journal.stop()
    assert os.listdir(tmp_path / "journal" / "simulator") == [hl.account]


def test_a_released_migration_is_not_changed() -> None:
    """A database that was made with it would have other tables than one that is made today. Add another step instead."""
    import hashlib

    assert [hashlib.sha256(text.encode()).hexdigest()[:12] for text in (postgres_schema.VERSION_1,)] == ["681f9bd37b94"]
