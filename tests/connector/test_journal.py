"""The connector with a journal: what a restart takes up, and what a blocked journal stops. Kill -9: test_kill.py."""

from __future__ import annotations

import sqlite3
from decimal import Decimal

import pytest

import hlfast
from hlfast.core import events as ev
from hlfast.errors import ConfigError, NotReady
from hlfast.types import OrderState

from .conftest import QUICK

S = OrderState


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
        assert "disk full" in hl.status["journal"]["reason"] and hl.status["journal"]["postgres"] is None
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
