"""The journal: a restart finds what was, a killed process loses and doubles nothing, a full disk stops new orders only."""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

import hlfast
from hlfast import clock
from hlfast.config import SIMULATOR_TEST_KEY
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.journal_ring import undrained
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import PositionBook
from hlfast.core.updates import OrderUpdate, TradeUpdate
from hlfast.engine import journal_schema
from hlfast.engine.journal import (
    DATABASE,
    LOCK,
    RING,
    DrainState,
    Journal,
    JournalState,
    connect,
    journal_path,
    migrate,
)
from hlfast.errors import ConfigError, NotReady, VenueReject
from hlfast.types import OrderState, TradeType

NEWEST = journal_schema.SCHEMA_VERSION
ROOT = Path(__file__).resolve().parents[2]
S = OrderState

PACKAGE_PARENT = Path(hlfast.__file__).parents[1]
"""Child processes start here: the current folder may hold a tree of hlfast without compiled modules."""


def opened(path: Path, **more: Any) -> Journal:
    given = {
        "network": "simulator",
        "account": "0xAB",
        "signer": "0xCD",
        "ring_records": 1024,
        "drain_ms": 2,
        "retry_ms": 5,
    }
    return Journal(path, **{**given, **more})


class Trader:
    """A tracker whose facts go into a journal, and the venue's news about its orders."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.tracker = ClientOrderTracker()
        self.positions = PositionBook(self.tracker.bus)
        self.tracker.book = self.positions.book
        journal.attach(self.tracker.bus)

    def send(self, n: int, **fields: Any) -> InFlightOrder:
        given = {"client_order_id": f"o-{n}", "cloid": f"0x{n:032x}", "coin": "BTC", "trade_type": TradeType.BUY}
        order = InFlightOrder(**{**given, "amount": 1, "price": 100, "sz_decimals": 3, **fields})
        self.tracker.start_tracking(order)
        assert self.journal.ring.put_intent(order, 1000 + n, 0, clock.epoch_ns())
        self.tracker.mark_submitted(order, 1000 + n)
        return order

    def rest(self, n: int, **fields: Any) -> InFlightOrder:
        order = self.send(n, **fields)
        self.tracker.acknowledge(order, 10_000 + n)
        return order

    def fill(self, order: InFlightOrder, tid: int, amount: Any = 1, **fields: Any) -> bool:
        given = {
            "coin": order.coin,
            "exchange_order_id": order.exchange_order_id,
            "cloid": order.cloid,
            "sz_decimals": 3,
        }
        more = {"price": order.price, "is_buy": True, "time_ms": tid, "fee": "0.0123456789", "direction": "Open Long"}
        return self.tracker.process_trade_update(
            TradeUpdate(**{**given, **more, "tid": tid, "amount": amount, **fields})
        )

    def cancel(self, order: InFlightOrder) -> None:
        self.journal.ring.put_cancel(order, 5000, clock.epoch_ns())
        self.tracker.request_cancel(order)

    def gone(self, order: InFlightOrder, left: int, time_ms: int = 50) -> None:
        self.tracker.process_order_update(
            OrderUpdate(
                cloid=order.cloid,
                exchange_order_id=order.exchange_order_id,
                coin=order.coin,
                new_state=S.CANCELLED,
                status="canceled",
                side="B",
                lots=left,
                orig_lots=1000,
                time_ms=time_ms,
            )
        )

    def modify(self, order: InFlightOrder, price: int, leg_lots: int) -> None:
        self.journal.ring.put_modify(order, price * 10**8, leg_lots, 6000, clock.epoch_ns())
        self.tracker.request_modify(order, price * 10**8, leg_lots, 6000)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path / DATABASE)) as db:
        return db.execute(query).fetchall()


def wait_until(what: Callable[[], bool], seconds: float = 10.0) -> None:
    end = clock.monotonic_ns() + int(seconds * 1e9)
    while not what():
        assert clock.monotonic_ns() < end, "waited in vain"
        threading.Event().wait(0.002)


FIELDS = (
    "client_order_id cloid coin trading_pair asset sz_decimals side price amount lots tif reduce_only order_type nonce "
    "exchange_order_id exchange_order_ids filled_amount average_fill_price quote_amount fees was_created reason "
    "created_ns modify_pending is_external"
)


def facts(order: InFlightOrder) -> dict[str, Any]:
    """All that is known of an order."""
    known = {name: getattr(order, name) for name in FIELDS.split()}
    return {**known, "state": order.state, "fills": [f.key for f in order.fills]}


@pytest.fixture
def copied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A folder as it would lie there had its process been killed at this moment."""
    return lambda folder: Path(shutil.copytree(folder, tmp_path_factory.mktemp("copy") / "journal"))


# -- a restart ----------------------------------------------------------------------------------------------------------
def test_a_restart_reproduces_the_tracker(tmp_path: Path) -> None:
    """Seed system, persistence; L65 and L67: every order with its state, ids, fills and fees."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    journal.start()
    resting, partly, cancelling, filled, cancelled, refused, changed, changing, sent = orders = [
        trader.rest(1),
        trader.rest(2),
        trader.rest(3, tif="Alo"),
        trader.rest(4),
        trader.rest(5),
        trader.send(6),
        trader.rest(7),
        trader.rest(8),
        trader.send(9, tif="Ioc"),
    ]
    trader.fill(partly, 1, "0.4")
    trader.cancel(cancelling)
    trader.fill(filled, 2, "0.5")
    trader.fill(filled, 3, "0.5", price="99.5", fee="-0.1")
    trader.cancel(cancelled)
    trader.gone(cancelled, 1000)
    trader.tracker.reject(refused, "no margin", VenueReject("margin", "Insufficient margin to place order."))
    trader.fill(changed, 4, "0.2")
    trader.modify(changed, 101, 500)
    trader.tracker.modify_accepted(changed, 20_007)
    trader.fill(changed, 5, "0.1", exchange_order_id=10_007)  # late, of the leg that was replaced
    trader.fill(changed, 6, "0.3")
    trader.modify(changing, 102, 700)
    assert journal.stop()

    found = opened(tmp_path).recover()
    tracker = ClientOrderTracker()
    found.restore(tracker)
    assert not found.was_killed and found.torn == 0
    live = [o for o in orders if not o.is_done]
    assert [o.client_order_id for o in found.orders] == [o.client_order_id for o in live]
    for order in orders:
        assert facts(tracker.get_order(order.client_order_id)) == facts(order)
        assert tracker.get_order_by_cloid(order.cloid).client_order_id == order.client_order_id
        for oid in order.exchange_order_ids:
            assert tracker.get_order_by_exchange_id(oid).client_order_id == order.client_order_id
    assert tracker.get_order("o-8").modify_nonce == 6000  # what its recovery burns
    asked = {o.client_order_id for o in tracker.orders_to_ask_about}
    assert asked == {o.client_order_id for o in (cancelling, changing, sent)}
    assert str(tracker.get_order("o-6").reject) == "margin: Insufficient margin to place order."
    assert found.last_fill_ms == 6 and found.nonces == {"0xcd": 6000}
    assert found.fill_keys == [f.key for _, f in sorted((f.tid, f) for o in orders for f in o.fills)]
    assert resting.state is S.OPEN and changed.amount == Decimal("0.8")


def test_no_fill_is_booked_twice_over_restarts(tmp_path: Path) -> None:
    """G7 and L51: 5 restarts, each seeing every fill so far again, and each some new ones."""
    seen = 0
    for run in range(5):
        journal = opened(tmp_path)
        trader = Trader(journal)
        journal.recover().restore(trader.tracker)
        journal.start()
        order = trader.tracker.get_order("o-1") or trader.rest(1, amount=1000, sz_decimals=0)
        news = [trader.fill(order, tid, sz_decimals=0) for tid in range(1, (run + 1) * 20 + 1)]
        assert news == [False] * seen + [True] * 20
        seen += 20
        assert order.filled_amount == seen
        journal.stop()
    assert rows(tmp_path, "SELECT count(*), sum(lots) FROM fills") == [(100, 100)]


def test_a_fill_that_the_venue_tells_again_is_not_kept_twice_even_if_it_is_booked_twice(tmp_path: Path) -> None:
    """G7: the key of the table is the fill's identity; the same tid of another order or time is another fill."""
    journal = opened(tmp_path)
    a, b = Trader(journal), Trader(journal)
    order = a.rest(1, amount=10)
    for trader in (a, b):
        trader.fill(order, 7, time_ms=1)
        trader.fill(order, 7, time_ms=2)
    journal.stop()
    assert rows(tmp_path, "SELECT tid, time_ms FROM fills ORDER BY id") == [(7, 1), (7, 2)]


def test_an_end_that_was_not_told_is_told_after_the_restart_once(tmp_path: Path) -> None:
    """G3 and G5: killed between the venue's word `filled` and its fill, the order completes with it."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    order = trader.rest(1)
    trader.tracker.process_order_update(
        OrderUpdate(
            cloid=order.cloid,
            exchange_order_id=10_001,
            coin="BTC",
            new_state=S.FILLED,
            status="filled",
            side="B",
            lots=0,
        )
    )
    assert order.state is S.FILLED
    journal.stop()
    again = Trader(opened(tmp_path))
    again.journal.recover().restore(again.tracker)
    told: list[str] = []
    again.tracker.bus.on(ev.OrderEvent, lambda event: told.append(type(event).__name__))
    order = again.tracker.get_order("o-1")
    assert order.state is S.OPEN and told == []
    again.fill(order, 1)
    again.fill(order, 1)
    assert told == ["OrderFilled", "OrderStateChanged", "OrderCompleted"]
    again.journal.stop()


def test_an_order_that_ended_shortly_before_still_takes_a_late_fill(tmp_path: Path) -> None:
    """G10 over a restart: it is not mistaken for an order that was placed elsewhere."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    order = trader.rest(1)
    trader.cancel(order)
    trader.gone(order, 1000, time_ms=50)
    journal.stop()
    again = Trader(opened(tmp_path))
    again.journal.recover().restore(again.tracker)
    assert again.fill(order, 3, "0.1")
    assert again.tracker.get_order("o-1").filled_amount == Decimal("0.1") and again.tracker.counters["external"] == 0
    again.journal.stop()


def test_recent_orders_are_bounded_by_age_and_number(tmp_path: Path) -> None:
    clock.set_virtual(10**18)
    try:
        journal = opened(tmp_path)
        trader = Trader(journal)
        for n in range(10):
            clock.set_virtual(10**18 + n * 10**12)  # 1,000 s apart
            trader.tracker.reject(trader.send(n), "no", recv_ns=clock.epoch_ns())
        journal.stop()
        journal = opened(tmp_path)
        names = [o.client_order_id for o in journal.recover(ended_s=3_600).ended]
        assert names == ["o-6", "o-7", "o-8", "o-9"]
        assert [o.client_order_id for o in journal.recover(ended=2).ended] == ["o-8", "o-9"]
        journal.stop()
    finally:
        clock.set_virtual(None)


def test_nonces_go_on_after_the_last_one_of_each_signer(tmp_path: Path, copied: Callable[[Path], Path]) -> None:
    """G15: also for a run that was killed, whose signer was another; L71."""
    journal = opened(tmp_path, signer="0xEE")
    journal.ring.put_nonce(70, 1)
    journal.stop()
    journal = opened(tmp_path, signer="0xCD")
    journal.ring.put_nonce(90, 1)
    journal.ring.put_nonce(80, 1)
    copy = shutil.copytree(
        tmp_path, tmp_path.parent / "killed"
    )  # as it would lie there had the process been killed now
    again = opened(copy, signer="0xFF")
    assert again.recover().nonces == {"0xee": 70, "0xcd": 90} and again.recover().was_killed
    again.stop()
    journal.stop()


def test_positions_funding_streams_and_the_baseline_are_kept(tmp_path: Path) -> None:
    """Every outcome, fill, position. A position can also be rebuilt from the fills alone (L65)."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    journal.start()
    journal.baseline({"cash": Decimal("1000.50"), "positions": {"BTC": Decimal(0)}})
    trader.fill(trader.rest(1, amount=3, price=100), 1, 3)
    sell = trader.rest(2, trade_type=TradeType.SELL, price=130)
    trader.fill(sell, 2, 1, is_buy=False)
    bus = trader.tracker.bus
    for _ in range(2):  # told twice: a payment is one of its instant
        bus.emit(ev.FundingPayment("BTC", Decimal("-0.000000000001"), "0.0000125", 777, 1))
    bus.emit(ev.StreamStatus("account", "DOWN", "the connection was cut", 2))
    bus.emit(ev.Recovered(10**9, 3, 1, True, "all", 3))
    journal.stop()
    found = (again := opened(tmp_path)).recover()
    position = found.positions["BTC"]
    assert (position.size, position.entry_price, position.realized_pnl) == (2, 100, 30)
    lots = sum(f.amount if f.is_buy else -f.amount for o in (*found.orders, *found.ended) for f in o.fills)
    assert lots == position.size
    assert found.baseline == {"cash": "1000.50", "positions": {"BTC": "0"}}
    assert rows(tmp_path, "SELECT coin, time_ms, amount, rate FROM funding") == [
        ("BTC", 777, "-0.000000000001", "0.0000125")
    ]
    (down, body), (recovered, detail) = rows(tmp_path, "SELECT event, body FROM stream_events ORDER BY id")
    assert (down, orjson.loads(body)["reason"]) == ("StreamStatus", "the connection was cut")
    assert (recovered, orjson.loads(detail)["fills"]) == ("Recovered", 3)
    again.stop()


def test_orders_placed_elsewhere_are_kept_once_and_found(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    trader = Trader(journal)
    row = OrderUpdate(
        exchange_order_id=55,
        coin="ETH",
        new_state=S.OPEN,
        status="open",
        side="A",
        px_e8=10**8,
        lots=5 * 10**8,
        orig_lots=5 * 10**8,
    )
    trader.tracker.process_order_update(row)
    trader.tracker.process_trade_update(
        TradeUpdate(coin="ETH", tid=1, exchange_order_id=55, price=1, amount=1, is_buy=False)
    )
    journal.stop()
    assert rows(tmp_path, "SELECT client_order_id, is_external, ended FROM orders") == [("external-55", 1, 0)]
    again = Trader(opened(tmp_path))
    again.journal.recover().restore(again.tracker)
    [order] = again.tracker.external_orders
    assert order.exchange_order_id == 55 and len(order.fills) == 1 and again.tracker.active_orders == []
    again.journal.stop()


def test_what_is_told_has_been_written_before_other_handlers_hear_it(tmp_path: Path) -> None:
    """Given a handler that was registered after the journal, then it finds the event in the ring."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    heads: list[tuple[int, int]] = []
    before = journal.ring.head
    trader.tracker.bus.on(ev.OrderFilled, lambda _: heads.append((before, journal.ring.head)))
    order = trader.rest(1)
    before = journal.ring.head
    trader.fill(order, 1, "0.5")
    assert len(heads) == 1 and heads[0][1] == before + 1
    detach = journal.attach(trader.tracker.bus)
    detach()
    detach()
    journal.stop()


# -- opening ------------------------------------------------------------------------------------------------------------
def test_the_folder_and_its_files_are_the_users_alone(tmp_path: Path) -> None:
    """Architecture, defaults: state directory 0700."""
    folder = tmp_path / "state" / "journal" / "simulator" / "0xab"
    before = os.umask(0)
    try:
        journal = opened(folder)
        journal.ring.put_nonce(1, 1)
        journal.start()
        wait_until(lambda: journal.ring.used == 0)
        names = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    finally:
        os.umask(before)
    assert names.keys() >= {DATABASE, RING, LOCK, f"{DATABASE}-wal"} and set(names.values()) == {0o600}
    for path in (folder, *folder.parents):
        if path == tmp_path:
            break
        assert path.stat().st_mode & 0o777 == 0o700
    journal.stop()


def test_the_path_of_an_account_lies_below_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HLFAST_STATE", str(tmp_path))
    assert journal_path("mainnet", "0xAB") == tmp_path / "journal" / "mainnet" / "0xab"


def test_one_process_a_journal(tmp_path: Path) -> None:
    """The second is refused and told who has it; after a kill -9 of the first it may."""
    code = (
        f"import sys; sys.path.insert(0, {str(PACKAGE_PARENT)!r})\n"
        "from hlfast.engine.journal import Journal\n"
        f"j = Journal({str(tmp_path)!r}, network='simulator', account='0xAB', ring_records=64)\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PACKAGE_PARENT
    ) as child:
        try:
            assert child.stdout is not None and child.stdout.readline() == "open\n"
            with pytest.raises(ConfigError, match=f"open in process {child.pid};"):
                opened(tmp_path)
        finally:
            child.kill()
    journal = opened(tmp_path)
    with pytest.raises(ConfigError, match="open in this process"):
        opened(tmp_path)
    journal.stop()
    opened(tmp_path).stop()


def test_a_journal_belongs_to_one_account(tmp_path: Path) -> None:
    opened(tmp_path).stop()
    for more in ({"account": "0xBEEF"}, {"network": "mainnet"}):
        with pytest.raises(ConfigError, match="each account has a folder of its own"):
            opened(tmp_path, **more)
    opened(tmp_path).stop()  # and the refusal has let go of it


def test_a_newer_version_and_other_databases_are_refused_and_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).stop()
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute(f"PRAGMA user_version = {NEWEST + 1}")
    with pytest.raises(
        ConfigError, match=f"schema version {NEWEST + 1}, and this hlfast knows {NEWEST}; update hlfast"
    ):
        opened(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with contextlib.closing(sqlite3.connect(other / DATABASE)) as db:
        db.execute("CREATE TABLE cats (name TEXT)")
    with pytest.raises(ConfigError, match="another program's"):
        opened(other)
    assert rows(other, "SELECT name FROM sqlite_master") == [("cats",)]


def test_migrations_run_in_order_and_once(tmp_path: Path) -> None:
    """From nothing to the newest, again (no change), and on to a version that this test makes up."""
    path = str(tmp_path / DATABASE)
    with contextlib.closing(connect(path)) as db:
        migrate(db)
        tables = db.execute("SELECT sql FROM sqlite_master").fetchall()
        first = tuple(db.execute("SELECT * FROM meta").fetchone())
        migrate(db)
        assert db.execute("SELECT sql FROM sqlite_master").fetchall() == tables
        migrate(db, [*journal_schema.MIGRATIONS, "ALTER TABLE runs ADD COLUMN host TEXT"])
        assert db.execute("PRAGMA user_version").fetchone()[0] == NEWEST + 1
        assert "host" in [row["name"] for row in db.execute("PRAGMA table_info(runs)")]
        assert tuple(db.execute("SELECT * FROM meta").fetchone()) == first
        with pytest.raises(ConfigError, match=f"schema version {NEWEST + 1}"):
            migrate(db)
        broken = [*journal_schema.MIGRATIONS, "", "CREATE TABLE half (a); CREATE TABLE runs (again)"]
        with pytest.raises(sqlite3.Error):
            migrate(db, broken)
    with contextlib.closing(connect(path)) as db:  # all of a step or nothing
        assert db.execute("PRAGMA user_version").fetchone()[0] == NEWEST + 1
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone()[0] == 0


def as_version_1(folder: Path) -> dict[str, tuple[str, list[tuple[Any, ...]]]]:
    """Make the journal's tables as the first version made them; returns each one's columns and rows."""
    tables = ("runs", "orders", "order_events", "fills", "positions", "funding", "nonces", "stream_events", "meta")
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as db:
        with contextlib.closing(connect(str(folder / "old.sqlite"))) as old:
            migrate(old, journal_schema.MIGRATIONS[:1])
        db.execute(f"ATTACH '{folder / 'old.sqlite'}' AS old")
        db.execute("DELETE FROM old.meta")
        columns = {t: ", ".join(row[1] for row in db.execute(f"PRAGMA old.table_info({t})")) for t in tables}
        for table in tables:
            db.execute(f"INSERT INTO old.{table} SELECT {columns[table]} FROM {table}")
        db.commit()
        found = {t: (columns[t], db.execute(f"SELECT * FROM old.{t}").fetchall()) for t in tables}
    for path in folder.glob("journal.sqlite*"):
        path.unlink()
    (folder / "old.sqlite").rename(folder / DATABASE)
    return found


def test_a_journal_of_version_1_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Given tables as the first version made them, then nothing is changed in them, and every row is there to be followed."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    trader.fill(trader.rest(1, amount=5), 1)
    trader.tracker.bus.emit(ev.FundingPayment("BTC", Decimal("1.5"), "0.1", 777, 1))
    journal.stop()
    [(drained,)] = rows(tmp_path, "SELECT drained FROM meta")
    before = as_version_1(tmp_path)
    assert rows(tmp_path, "PRAGMA user_version") == [(1,)]
    again = opened(tmp_path)
    try:
        for table, (columns, then) in before.items():
            assert rows(tmp_path, f"SELECT {columns} FROM {table}")[: len(then)] == then, table
        for table in ("orders", "positions", "funding", "runs"):
            revisions = rows(tmp_path, f"SELECT rev FROM {table}")
            assert revisions and all(rev > 0 for (rev,) in revisions), table
        assert rows(tmp_path, "SELECT max(rev) FROM orders")[0][0] <= drained
        assert [o.client_order_id for o in again.recover().orders] == ["o-1"]
    finally:
        again.stop()


def test_what_changes_a_row_is_its_revision(tmp_path: Path) -> None:
    """Orders, positions and runs carry the number of the record that changed them last; fills carry their order's strategy."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    first, second = trader.rest(1, strategy="maker"), trader.rest(2)
    trader.fill(first, 1)
    trader.fill(second, 2, "0.5")
    last = journal.ring.head - 1
    journal.strategies([{"name": "maker", "prefix": "mk", "parameters": {"size": Decimal("0.1")}}])
    journal.stop()
    [(one, name), (two, none)] = rows(tmp_path, "SELECT rev, strategy FROM orders ORDER BY id")
    assert 0 < one < two <= last and (name, none) == ("maker", None)
    assert rows(tmp_path, "SELECT strategy FROM fills ORDER BY id") == [("maker",), (None,)]
    [(rev, ended, strategies, version)] = rows(tmp_path, "SELECT rev, ended_ns > 0, strategies, version FROM runs")
    assert rev > last and ended and version == hlfast.__version__
    assert orjson.loads(strategies) == [{"name": "maker", "prefix": "mk", "parameters": {"size": "0.1"}}]
    assert rows(tmp_path, "SELECT drained FROM meta") == [(rev,)]


def test_an_order_that_names_no_strategy_has_that_of_its_ids_prefix(
    tmp_path: Path, copied: Callable[[Path], Path]
) -> None:
    """Also where the process is killed before anything was drained, and not in the runs after it."""
    journal = opened(tmp_path)
    journal.strategies([{"name": "maker", "prefix": "mk"}, {"name": "nobody"}])
    trader = Trader(journal)
    trader.fill(trader.rest(1, client_order_id="mk-1"), 1)
    trader.rest(2, client_order_id="mk-2", strategy="own")
    trader.rest(3, client_order_id="hl-3")
    copy = copied(tmp_path)
    journal.stop()
    again = opened(copy)
    Trader(again).rest(4, client_order_id="mk-4")
    again.stop()
    for path, more in ((tmp_path, []), (copy, [None])):
        assert [name for (name,) in rows(path, "SELECT strategy FROM orders ORDER BY id")] == [
            "maker",
            "own",
            None,
            *more,
        ]
        assert rows(path, "SELECT strategy FROM fills") == [("maker",)]


def test_every_table_and_column_is_described(tmp_path: Path) -> None:
    """The schema is documented and versioned."""
    text = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
    assert f"version {journal_schema.SCHEMA_VERSION}" in text
    with contextlib.closing(connect(str(tmp_path / DATABASE))) as db:
        migrate(db)
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            section = re.search(rf"^### `{table}`\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
            assert section is not None, table
            for column in db.execute(f"PRAGMA table_info({table})"):
                assert f"`{column['name']}`" in section[1], f"{table}.{column['name']}"


def test_a_file_in_the_folders_place_and_a_folder_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="give the folder's name"):
        opened(tmp_path / "file")

    def full(path: str) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(NotReady, match="cannot be opened: database or disk is full; free space there"):
        opened(tmp_path / "a", connect=full)
    opened(tmp_path / "a").stop()


def test_what_is_done_in_the_wrong_order_is_told(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with journal:
        with pytest.raises(ConfigError, match="this journal is RUNNING"):
            journal.start()
        assert journal.state is DrainState.RUNNING and journal.ring.refusal == ""
    assert journal.state is DrainState.STOPPED and journal.stop()
    assert journal.ring.refusal == "the journal is CLOSED; open it again"


# -- the ring and the database, put back apart --------------------------------------------------------------------------
def test_records_that_are_in_the_database_already_are_not_taken_in_again(tmp_path: Path) -> None:
    """Given a process killed between the commit and the release, then the next start skips what is in."""
    journal = opened(tmp_path)
    trader = Trader(journal)
    trader.fill(trader.rest(1, amount=5), 1)
    before = (tmp_path / RING).read_bytes()  # nothing of it released
    journal.stop()
    told = rows(tmp_path, "SELECT * FROM order_events")
    (tmp_path / RING).write_bytes(before)
    again = opened(tmp_path)
    again.ring.put_nonce(1, 1)
    again.stop()
    assert rows(tmp_path, "SELECT * FROM order_events") == told and len(told) > 3
    assert rows(tmp_path, "SELECT drained FROM meta") == [(again.ring.head - 1,)]


def test_a_deleted_database_is_made_again_from_what_the_ring_holds(
    tmp_path: Path, copied: Callable[[Path], Path]
) -> None:
    journal = opened(tmp_path)
    Trader(journal).rest(1)
    copy = copied(tmp_path)
    journal.stop()
    for path in copy.glob("journal.sqlite*"):
        path.unlink()
    again = opened(copy)
    assert [o.client_order_id for o in again.recover().orders] == ["o-1"]
    again.stop()
    opened(copy).stop()


def test_a_deleted_ring_is_made_again_and_its_numbers_go_on(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    Trader(journal).rest(1)
    journal.stop()
    (tmp_path / RING).unlink()
    again = opened(tmp_path)
    trader = Trader(again)
    trader.rest(2)
    again.stop()
    assert rows(tmp_path, "SELECT client_order_id FROM orders ORDER BY id") == [("o-1",), ("o-2",)]


def test_the_ring_of_another_journal_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        journal = opened(tmp_path / name)
        journal.ring.put_nonce(1, 1)
        journal.stop()
    shutil.copy(tmp_path / "a" / RING, tmp_path / "b" / RING)
    with pytest.raises(ConfigError, match="not of the same journal"):
        opened(tmp_path / "b")


def test_another_size_of_the_ring_is_taken_at_the_next_start(tmp_path: Path, copied: Callable[[Path], Path]) -> None:
    journal = opened(tmp_path, ring_records=64)
    Trader(journal).rest(1)
    copy = copied(tmp_path)  # with records in it
    journal.stop()
    again = opened(copy, ring_records=200)
    assert again.ring.capacity == 256 and len(again.recover().orders) == 1
    again.stop()


def test_a_torn_record_is_reported(tmp_path: Path, copied: Callable[[Path], Path]) -> None:
    journal = opened(tmp_path)
    for n in range(3):
        journal.ring.put_nonce(n + 1, 1)
    at = 4096 + 512 * ((journal.ring.head - 2) & (journal.ring.capacity - 1))
    copy = copied(tmp_path)
    journal.stop()
    with open(copy / RING, "r+b") as file:
        file.seek(at + 30)
        file.write(b"\xff")
    again = opened(copy)
    found = again.recover()
    assert found.torn == 1 and found.nonces == {"0xcd": 3} and found.was_killed
    again.stop()


# -- a disk that is full, a database that is locked ---------------------------------------------------------------------
class Disk:
    """Makes the drain's connections; `fill()` lets the database grow no more, as on a full disk."""

    def __init__(self) -> None:
        self.is_full = False
        self.db: sqlite3.Connection | None = None

    def connect(self, path: str) -> sqlite3.Connection:
        self.db = connect(path)
        self.db.execute("PRAGMA busy_timeout = 20")
        self.limit()
        return self.db

    def limit(self) -> None:
        assert self.db is not None
        pages = self.db.execute("PRAGMA page_count").fetchone()[0] if self.is_full else 1_000_000
        self.db.execute(f"PRAGMA max_page_count = {pages}")

    def fill(self) -> None:
        self.is_full = True
        self.limit()

    def free(self) -> None:
        self.is_full = False  # the drain comes with a new connection


@pytest.fixture
def told() -> list[tuple[DrainState, str]]:
    return []


def test_a_full_disk_stops_new_orders_in_a_named_state_and_nothing_is_lost(
    tmp_path: Path, told: list[tuple[DrainState, str]]
) -> None:
    """Seed system, persistence: new orders are refused, cancels, fills and ends go on; then all of it is found."""
    disk = Disk()
    journal = opened(tmp_path, connect=disk.connect, on_state=lambda state, why: told.append((state, why)))
    trader = Trader(journal)
    orders = [trader.rest(n, amount=1000) for n in range(20)]
    journal.start()
    wait_until(lambda: journal.ring.used == 0)
    disk.fill()
    tid = 0
    while journal.state is not DrainState.FAILED:
        tid += 1
        trader.fill(orders[tid % 20], tid, direction="x" * 200)
        threading.Event().wait(0.0002)
    assert "disk is full; free space there" in journal.reason
    assert "the journal is FAILED: database or disk is full" in journal.ring.refusal
    assert not journal.ring.has_room(1) and journal.ring.put_intent(orders[0], 1, 0, 0) == 0
    for n in range(tid + 1, tid + 2_000):  # more than the ring holds
        trader.fill(orders[n % 20], n)
    for order in orders:
        trader.cancel(order)
        trader.gone(order, 1_000_000 - order.filled_amount * 1000)
    assert journal.ring.used == journal.ring.capacity and journal.ring.waiting > 0
    fills = sum(len(o.fills) for o in orders)
    disk.free()
    wait_until(lambda: journal.state is DrainState.RUNNING and journal.ring.used == journal.ring.waiting == 0)
    assert journal.ring.has_room(1) and journal.ring.refusal == ""
    assert journal.stop()
    assert [state for state, _ in told if state is not DrainState.FULL] == [
        DrainState.RUNNING, DrainState.FAILED, DrainState.RUNNING, DrainState.STOPPED,
    ]  # fmt: skip
    assert rows(tmp_path, "SELECT count(*) FROM fills") == [(fills,)]
    found = (again := opened(tmp_path)).recover()
    assert [facts(o) for o in sorted(found.ended, key=lambda o: o.created_ns)] == [facts(o) for o in orders]
    again.stop()


def test_a_locked_database_is_named_and_passes(tmp_path: Path, told: list[tuple[DrainState, str]]) -> None:
    disk = Disk()
    journal = opened(tmp_path, connect=disk.connect, on_state=lambda state, why: told.append((state, why)))
    trader = Trader(journal)
    journal.start()
    with contextlib.closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        trader.rest(1)
        wait_until(lambda: journal.state is DrainState.FAILED)
        assert "locked; another program holds the database" in journal.reason and journal.failures > 0
        other.execute("ROLLBACK")
    wait_until(lambda: journal.state is DrainState.RUNNING and journal.ring.used == 0)
    trader.rest(2)
    assert journal.stop() and DrainState.FAILED in [state for state, _ in told]
    assert rows(tmp_path, "SELECT client_order_id FROM orders") == [("o-1",), ("o-2",)]


def test_a_drain_that_falls_behind_is_full_not_failed_and_goes_on(tmp_path: Path) -> None:
    journal = opened(tmp_path, ring_records=64)
    trader = Trader(journal)
    n = 0
    while journal.ring.has_room(1):
        n += 1
        trader.send(n)
    assert journal.ring.refusal.startswith("the journal is FULL: ")
    journal.start()
    assert journal.state in (DrainState.FULL, DrainState.RUNNING)
    wait_until(lambda: journal.state is DrainState.RUNNING and journal.ring.has_room(1))
    assert journal.failures == 0 and journal.stop()
    assert rows(tmp_path, "SELECT count(*) FROM orders") == [(n,)]


def test_what_could_not_be_drained_at_the_stop_is_drained_by_the_next_start(tmp_path: Path) -> None:
    disk = Disk()
    journal = opened(tmp_path, connect=disk.connect)
    trader = Trader(journal)
    disk.fill()
    for n in range(60):
        trader.send(n)
    assert not journal.stop() and "records stay in the ring for the next start" in journal.reason
    again = opened(tmp_path)
    assert len(again.recover().orders) == 60 and again.recover().was_killed
    again.stop()


def test_an_error_of_the_one_who_is_told_does_not_end_the_drain(tmp_path: Path) -> None:
    def raises(state: DrainState, why: str) -> None:
        raise RuntimeError("not the drain's fault")

    journal = opened(tmp_path, on_state=raises)
    journal.start()
    Trader(journal).rest(1)
    wait_until(lambda: journal.ring.used == 0)
    assert journal.stop()


# -- secrets ------------------------------------------------------------------------------------------------------------
def test_no_key_gets_into_any_file(tmp_path: Path) -> None:
    """Secrets: a canary key that signs is searched for in all that the journal writes, as text and as bytes."""
    from hlfast.venues.hyperliquid.sign import Signer

    signer = Signer(SIMULATOR_TEST_KEY)
    journal = opened(tmp_path, account=signer.address, signer=signer.address)
    trader = Trader(journal)
    journal.start()
    order = trader.rest(1)
    signed = signer.sign_l1_action({"type": "order", "orders": [], "grouping": "na"}, 1001)
    trader.fill(order, 1, "0.5")
    trader.tracker.bus.emit(ev.StreamStatus("account", "DOWN", repr(signer), 1))
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    journal.stop()
    files += [path.read_bytes() for path in tmp_path.iterdir()]
    key = SIMULATOR_TEST_KEY[2:]
    for needle in (
        key.encode(),
        bytes.fromhex(key),
        signed["r"][2:].encode(),
        bytes.fromhex(signed["r"][2:].zfill(64)),
    ):
        assert not any(needle in content for content in files)
    assert any(signer.address.lower().encode() in content for content in files)


# -- kill -9 ------------------------------------------------------------------------------------------------------------
# Forks one trader after another: each opens the journal, finds what is there, and trades at full speed until it is killed.
# What it has put is counted in a shared page, which survives it as the ring does.
TRADERS = f"""
import mmap, os, struct, sys
sys.path[:0] = [{str(PACKAGE_PARENT)!r}, {str(Path(__file__).parent)!r}]
from test_journal import live_until_killed
for line in sys.stdin:
    folder, page, first = line.split()
    pid = os.fork()
    if pid == 0:
        live_until_killed(folder, page, int(first))
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("dead", flush=True)
"""
LIVE_EVERY = 25


def live_until_killed(folder: str, page: str, first: int) -> None:
    """Orders `first`, `first` + 1, ...: one in 25 stays open, the others are filled. Counts what has been put."""
    with open(page, "r+b") as file:
        counts = mmap.mmap(file.fileno(), 4096)
    journal = opened(Path(folder), ring_records=512)
    trader = Trader(journal)
    journal.recover().restore(trader.tracker)
    journal.start()
    n = first
    while True:
        while not journal.ring.has_room(8):
            threading.Event().wait(0.0005)
        order = trader.send(n)
        struct.pack_into("<q", counts, 0, n)
        trader.tracker.acknowledge(order, 10_000 + n)
        if n % LIVE_EVERY:
            trader.fill(order, n)
            struct.pack_into("<q", counts, 8, n)
        n += 1


@pytest.fixture(scope="module")
def traders() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", TRADERS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        cwd=PACKAGE_PARENT,
    ) as process:
        yield process
        process.kill()


class Expected:
    """What has to be in one journal, by what its traders have counted."""

    def __init__(self) -> None:
        self.orders = 0
        self.fills: set[int] = set()
        self.cut: set[int] = set()
        """Orders at which a trader was killed: they may lack their fill or their end."""

    def check(self, folder: Path, found: JournalState, put: int, put_fill: int) -> None:
        """All that was put, each once, and at most one record beyond it that was under way."""
        first, put = self.orders + 1, max(put, self.orders)
        [(orders, names, nonces, newest)] = rows(
            folder, "SELECT count(*), count(DISTINCT client_order_id), count(DISTINCT nonce), max(nonce) FROM orders"
        )
        assert orders == names == nonces and orders in (put, put + 1), (orders, names, nonces, put)
        assert newest == (1000 + orders if orders else None) and found.nonces.get("0xcd") == newest
        self.orders = orders
        self.cut.add(orders)
        self.fills |= {n for n in range(first, put_fill + 1) if n % LIVE_EVERY}
        tids = [tid for (tid,) in rows(folder, "SELECT tid FROM fills")]
        assert len(tids) == len(set(tids)) == len(found.fill_keys)
        assert set(tids) - self.fills <= self.cut and self.fills <= set(tids)
        self.fills = set(tids)
        live = [int(o.client_order_id[2:]) for o in found.orders]
        resting = set(range(LIVE_EVERY, orders + 1, LIVE_EVERY))
        assert len(live) == len(set(live)) and resting <= set(live) and set(live) - resting <= self.cut
        assert found.torn == 0


def killed_at_random(tmp_path: Path, traders: subprocess.Popen[str], kills: int, seed: int) -> None:
    rng = random.Random(seed)
    assert traders.stdin is not None and traders.stdout is not None
    page, folder, expected = tmp_path / "page", tmp_path, Expected()
    left_behind = 0
    for kill in range(kills):
        if kill % 10 == 0:  # a new journal now and then, so that its creation is hit too
            folder, expected = tmp_path / str(kill), Expected()
        print(f"seed {seed}, kill {kill}")
        page.write_bytes(bytes(4096))
        traders.stdin.write(f"{folder} {page} {expected.orders + 1}\n")
        pid = int(traders.stdout.readline())
        if kill % 3:  # else it may be hit while it opens the journal; a loaded machine would never get beyond that
            wait_until(lambda: page.read_bytes()[:8] != bytes(8), 60)
        threading.Event().wait(rng.expovariate(1 / 0.04))
        os.kill(pid, signal.SIGKILL)
        assert traders.stdout.readline() == "dead\n"
        left_behind += (folder / RING).exists() and undrained(folder / RING) > 0
        journal = opened(folder, ring_records=512)
        expected.check(folder, journal.recover(), *struct.unpack_from("<2q", page.read_bytes()))
        journal.stop()
    assert left_behind > kills // 5, (
        f"only {left_behind} of {kills} kills left records in the ring: too little was shown"
    )


def test_a_process_killed_at_any_moment_loses_and_doubles_nothing(
    tmp_path: Path, traders: subprocess.Popen[str]
) -> None:
    """G1 and G7, the row kill -9: every order and fill that was put is found, each once."""
    killed_at_random(tmp_path, traders, 30, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_a_process_killed_at_1000_random_moments(tmp_path: Path, traders: subprocess.Popen[str], seed: int) -> None:
    """G1 and G7, the row kill -9 in full."""
    killed_at_random(tmp_path, traders, 100, seed=100 + seed)
