"""The connector with a journal: what a restart takes up, what a kill -9 leaves, and what a blocked journal stops."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import hlfast
from hlfast.core import events as ev
from hlfast.errors import ConfigError, NotReady
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.types import OrderState

from .conftest import QUICK

S = OrderState

CHILD = """
import asyncio, random, sys
import hlfast
from hlfast.config import simulator

async def main(port, path, seed):
    rng = random.Random(seed)
    async with hlfast.connect(simulator(port), journal=path) as hl:
        hl.watch("BTC")
        await hl.wait_ready(10)
        print("ready", flush=True)
        while True:
            bbo = hl.bbo("BTC")
            if bbo.bid_px and bbo.ask_px and len(hl.orders) < 40:
                price = rng.choice((bbo.bid_px * 99 / 100, bbo.ask_px * 101 / 100, bbo.bid_px * 98 / 100))
                hl.buy("BTC", "0.001", price, tif="Gtc", rounding="passive")
            live = hl.get_open_orders()
            if live and rng.random() < 0.3:
                hl.cancel(rng.choice(live))
            await asyncio.sleep(0.002)

hlfast.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
"""


async def open_one(exchange, path, **options):
    hl = hlfast.connect(exchange.network, journal=path, settings=QUICK, **options)
    await hl.__aenter__()
    return hl


async def test_a_restart_takes_up_every_order_and_fill(exchange, trader, tmp_path, eventually):
    """G1, G7, G10: the same client ids, nothing doubled, what happened meanwhile told as recovered."""
    other = await trader(1)
    hl = await open_one(exchange, tmp_path)
    hit, rests, gone = (
        hl.buy("BTC", "0.003", price, client_order_id=f"mine-{price}") for price in (50000, 49000, 48000)
    )
    assert all([await order.accepted() for order in (hit, rests, gone)])
    assert await other.sell("BTC", "0.001", "50000", tif="Ioc").done() is S.FILLED
    await eventually(lambda: hit.filled_amount == Decimal("0.001"))
    await hl.disconnect()
    assert await other.sell("BTC", "0.001", "50000", tif="Ioc").done() is S.FILLED
    exchange.engine.execution.cancel(exchange.engine.accounts[hl.account].open[gone.exchange_order_id], "canceled")

    again = hlfast.connect(exchange.network, journal=tmp_path, settings=QUICK)
    told = []
    again.on(ev.OrderEvent, lambda e: told.append((type(e).__name__, e.client_order_id, e.recovered)))
    await again.__aenter__()
    try:
        taken = {order.client_order_id: order for order in again.orders}
        assert set(taken) == {"mine-50000", "mine-49000"} and not again.tracker.external_orders
        assert taken["mine-50000"].filled_amount == Decimal("0.002") and len(taken["mine-50000"].fills) == 2
        assert again.get_order("mine-48000").state is S.CANCELLED
        assert [entry for entry in told if entry[0] == "OrderFilled"] == [("OrderFilled", "mine-50000", True)]
        assert [entry for entry in told if entry[0] == "OrderCancelled"] == [("OrderCancelled", "mine-48000", True)]
        assert again.positions["BTC"].signed_size == Decimal("0.002"), "as the venue holds, no fill counted twice"
        assert again.cancel_all() == 2
        assert await taken["mine-49000"].done() is S.CANCELLED
        assert again.buy("BTC", "0.001", "40000").nonce > max(hit.nonce, rests.nonce)
    finally:
        await again.disconnect()
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        kept = database.execute("select count(*) from fills").fetchone()[0]
    assert kept == len(exchange.truth(hl.account)["fills"]) == 2


async def test_a_blocked_journal_stops_new_orders_and_not_cancels(exchange, tmp_path):
    """Issue 4, item 5: a named state; cancels still go out."""
    hl = await open_one(exchange, tmp_path)
    try:
        order = hl.buy("BTC", "0.001", "50000")
        assert await order.accepted()
        hl.journal.ring.fail("disk full")
        with pytest.raises(NotReady, match=r"no new orders: .*disk full"):
            hl.buy("BTC", "0.001", "50000")
        with pytest.raises(NotReady, match=r"disk full"):
            hl.modify(order, price="49000")
        assert not order.modify_pending
        assert hl.cancel(order) and await order.done() is S.CANCELLED
        hl.journal.ring.resume()
        assert await hl.buy("BTC", "0.001", "50000").accepted()
    finally:
        await hl.disconnect()


async def test_a_journal_is_given_before_connecting_and_to_one_process(exchange, tmp_path):
    hl = await open_one(exchange, tmp_path)
    try:
        with pytest.raises(ConfigError, match="before connect"):
            hl.use_journal(hl.journal)
        with pytest.raises(ConfigError, match="is open in this process"):
            hlfast.connect(exchange.network, journal=tmp_path)
    finally:
        await hl.disconnect()


@pytest.mark.parametrize("seed", [*range(4), *[pytest.param(n, marks=pytest.mark.long) for n in range(4, 60)]])
async def test_a_process_killed_at_any_moment_leaves_nothing_unknown(open_exchange, tmp_path, seed):
    """G1, G7, behaviour 130; kill -9 at a random moment: every live order is taken up as own, no fill lost or doubled."""
    exchange = await open_exchange(traders=True, seed=seed)
    account = FUNDED_ACCOUNTS[0].address
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        str(exchange.port),
        str(tmp_path / "journal"),
        str(seed),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(hlfast.__file__).parents[1])},
        stdout=asyncio.subprocess.PIPE,
    )
    assert (await asyncio.wait_for(child.stdout.readline(), 30)).strip() == b"ready"
    await asyncio.sleep(random.Random(seed).uniform(0.05, 0.8))
    child.send_signal(signal.SIGKILL)
    await child.wait()
    await asyncio.sleep(0.1)
    hl = await open_one(exchange, tmp_path / "journal")
    try:
        for _ in range(300):
            if not hl.tracker.orders_to_ask_about:
                break
            await asyncio.sleep(0.02)
        record = exchange.truth(account)
        resting = {row["cloid"] for row in record["orders"] if row["status"] == "open"}
        assert {order.cloid for order in hl.orders} == resting and resting
        assert not hl.tracker.external_orders and not hl.tracker.orders_to_ask_about
        for row in record["orders"]:
            order = hl.tracker.get_order_by_cloid(row["cloid"])
            assert order is not None and order.filled_amount == Decimal(row["filled"])
        held = hl.positions.get("BTC")
        assert (held.signed_size if held else 0) == Decimal(record["positions"].get("BTC", {}).get("szi", "0"))
    finally:
        await hl.disconnect()
    with sqlite3.connect(tmp_path / "journal" / "journal.sqlite") as database:
        keys = database.execute("select coin, tid, oid, time_ms from fills").fetchall()
    theirs = sorted((f["coin"], f["tid"], f["oid"], f["time"]) for f in record["fills"])
    assert sorted(keys) == theirs
