"""A second reading of the connector: each test is one defect, named after what must hold; the number is that of the report."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os

import pytest

import hlfast
from hlfast.config import Network, RiskLimits, Settings
from hlfast.core import events as ev
from hlfast.errors import ConfigError, HlfastError, NotReady, OrderDenied
from hlfast.types import OrderParams, OrderState, TradeType
from hlfast.venues.hyperliquid.limits import IP_WEIGHT_PER_MINUTE, Limits
from hlfast.venues.hyperliquid.signer_lock import SignerLock

from .conftest import QUICK

S = OrderState
BUY = TradeType.BUY


async def restart_account(hl):
    await hl._account_session.stop()
    hl._account_session.start()


@pytest.mark.parametrize("tifs", [("Alo", "Gtc"), ("Gtc", "Gtc")])
async def test_r1_a_batch_that_a_handler_cancels_is_not_called_cancelled_while_it_lives(
    trader, exchange, eventually, tifs
):
    """R1, G5, G8: cancel_all() from the handler of the first order's event: what is written, or about to be, does not end here."""
    hl = await trader()
    done = []

    def on_change(event):
        if not done:
            done.append(hl.cancel_all())

    hl.on(ev.OrderStateChanged, on_change)
    orders = hl.place([OrderParams("BTC", "0.001", 50000 - i, BUY, tif=tif) for i, tif in enumerate(tifs)])
    await asyncio.sleep(0.3)
    lives = {row["cloid"] for row in exchange.truth(hl.account)["orders"] if row["status"] == "open"}
    assert {o.cloid for o in orders if o.is_done} & lives == set(), orders


async def test_r2_a_batch_whose_first_action_fails_leaves_no_order_pending(trader):
    """R2, G1: an order that was tracked and never sent ends."""
    hl = await trader()

    batch = [OrderParams("BTC", "0.001", "50000", BUY, tif="Alo"), OrderParams("BTC", "0.001", "49000", BUY, tif="Gtc")]
    ended = []
    hl.on(ev.OrderFailed, lambda event: ended.append(event.order.price))
    hl.signer.close()
    with pytest.raises(ConfigError, match="signer is closed"):
        hl.place(batch)
    assert hl.orders == [] and sorted(ended) == [49000, 50000]


async def test_r3_a_kill_while_disconnected_cancels_once_the_connection_is_back(trader, exchange, eventually):
    """R3, C7: what could not be cancelled when the kill switch was thrown is cancelled on the return."""
    hl = await trader(settings=Settings(backoff_min=0.02, backoff_max=0.2, on_handler_error="stop"))
    order = hl.buy("BTC", "0.001", "40000")
    assert await order.accepted()

    def broken(event):
        if event.stream == "account" and event.state == "DOWN":
            raise RuntimeError("strategy bug")

    hl.on(ev.StreamStatus, broken)
    await exchange.cut(refuse_seconds=0.2)
    await eventually(lambda: not hl.is_connected)
    await eventually(lambda: hl.is_connected)
    assert hl.entry.checks.killed
    assert await asyncio.wait_for(order.done(), 3) is S.CANCELLED


async def test_r4_a_modify_passes_the_local_limits_and_the_kill_switch(trader):
    """R4: a modify places a new leg, so it is checked as an order is."""
    hl = await trader(0, settings=Settings(risk=RiskLimits(max_order_value=100, max_position_value=200)))
    order = hl.buy("BTC", "0.001", "50000")
    assert await order.accepted()
    with pytest.raises(OrderDenied):
        hl.modify(order, size="1")
    hl.entry.checks.kill("test")
    with pytest.raises(OrderDenied):
        hl.modify(order, price="49000")


@pytest.mark.parametrize("kind", ["lost_frame", "truncated"])
async def test_r5_a_lost_cancel_row_is_found_out(trader, exchange, eventually, kind):
    """R5, G19, L2: an end whose row never came, or came in a broken frame, is asked for."""
    hl = await trader(settings=Settings(backoff_min=0.02, backoff_max=0.2, hold_ms=500, audit_interval=0.5))
    order = hl.buy("BTC", "0.001", "40000")
    assert await order.accepted()
    await asyncio.sleep(1.3)
    lost = exchange.faults.arm(kind, channel="orderUpdates")
    hl.cancel(order)
    await eventually(lambda: lost.hits)
    await eventually(lambda: order.is_done, 6)


async def test_r6_an_odd_answer_does_not_end_the_synchronisation(trader, exchange, eventually):
    """R6, C1: `null` for an order's status is tried again, not the end of the task."""
    hl = await trader()
    order = hl.buy("BTC", "0.001", "40000")
    assert await order.accepted()
    ask, odd = hl.info._ask, []

    async def answer(payload):
        if payload["type"] == "frontendOpenOrders":
            return []
        if payload["type"] == "orderStatus" and not odd:
            odd.append(payload)
            return None
        return await ask(payload)

    hl.info._ask = answer
    await restart_account(hl)
    await eventually(lambda: odd)
    await eventually(lambda: hl.is_connected, 5)


async def test_r7_an_odd_answer_to_the_second_look_is_survived(trader, exchange, eventually, heard):
    """R7, G13: `Recovered` is told, and no task dies of it."""
    hl = await trader()
    await asyncio.sleep(1.2)
    told = heard(hl, ev.Recovered)
    ask, live = hl.info._ask, []

    async def answer(payload):
        if payload["type"] == "userFillsByTime" and hl.is_connected and not live:
            live.append(payload)
            return None
        return await ask(payload)

    hl.info._ask = answer
    await restart_account(hl)
    await eventually(lambda: live)
    await eventually(lambda: told.events, 5)


async def test_r8b_what_arrives_while_disconnecting_starts_nothing(exchange):
    """R8, C7: acknowledgements that come while tasks are ended start no synchronisation and open no session."""
    hl = hlfast.connect(exchange.network, settings=QUICK)
    await hl.initialize()

    async def slow(event):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)

    hl.on(ev.ConnectorError, slow)
    late = exchange.faults.arm("late", channel="subscriptionResponse", times=6, ms=60)
    await hl.connect()
    hl.tell("test", "a handler that takes its time")
    await asyncio.sleep(0.03)
    await hl.disconnect()
    assert late.hits
    left = [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("hlfast-")]
    await asyncio.sleep(1.2)
    assert not left and not hl.entry.live and hl._http._session is None, (left, hl._http._session)


async def test_r8c_no_handler_task_is_left_after_disconnect(exchange):
    """R8, C7: handlers of the last StreamStatus are ended too."""
    hl = hlfast.connect(exchange.network, settings=QUICK)
    await hl.__aenter__()

    async def slow(event):
        await asyncio.sleep(60)

    hl.on(ev.StreamStatus, slow)
    await hl.disconnect()
    await asyncio.sleep(0)
    assert not hl._tasks


@pytest.mark.parametrize("how", ["twice", "watch_unwatch", "unwatch_unacked"])
async def test_r10_ready_returns_after_watching(trader, exchange, eventually, how):
    """R10, C2, C3: nothing is waited for that will not come."""
    hl = await trader()
    if how == "twice":
        hl.watch("BTC")
    elif how == "watch_unwatch":
        hl.watch("ETH")
        hl.unwatch("ETH")
    else:
        exchange.frame_filter = lambda user, channel, frame: channel != "subscriptionResponse"
        hl.watch("ETH", trades=True)
        await asyncio.sleep(0.1)
        hl.unwatch("ETH")
        exchange.frame_filter = None
    await hl.wait_ready(4)


async def test_r11_an_outage_that_ends_many_orders_is_over_soon(trader, exchange, eventually):
    """R11, C5, G13: the ends of a hundred orders do not cost a hundred readings of fills."""
    hl = await trader()
    orders = [
        o
        for k in range(2)
        for o in hl.place([OrderParams("BTC", "0.001", 40000 + 100 * k + i, BUY, tif="Alo") for i in range(50)])
    ]
    assert all([await o.accepted() for o in orders])
    await hl._account_session.stop()
    account = exchange.engine.accounts[hl.account]
    for o in orders:
        exchange.engine.execution.cancel(account.open[o.exchange_order_id], "canceled")
    hl._account_session.start()
    await eventually(lambda: hl.is_connected, 20)
    await eventually(lambda: all(o.is_done for o in orders), 20)
    assert sum(hl.limits.spent_on.values()) < IP_WEIGHT_PER_MINUTE


async def test_r12_an_order_whose_nonce_fell_below_the_window_ends(trader, exchange, eventually):
    """R12, G9: too low a nonce says of the action what a duplicate says."""
    hl = await trader(settings=Settings(post_timeout_ms=1500, backoff_min=0.02, backoff_max=0.2))
    lost = exchange.faults.arm("lost_request", channel="order")
    order = hl.buy("BTC", "0.001", "40000", tif="Ioc", expires_after_ms=300)
    await eventually(lambda: lost.hits)
    for _ in range(12):
        await asyncio.gather(*[hl.actions.noop() for _ in range(10)])
    await eventually(lambda: order.is_done, 8)
    assert order.state in (S.FAILED, S.EXPIRED) and not exchange.engine.accounts[hl.account].open


async def test_r13_an_order_params_takes_no_silent_company(trader):
    """R13, G20: an option beside an OrderParams is refused, not dropped."""
    hl = await trader()
    with pytest.raises(ConfigError):
        hl.buy(OrderParams("BTC", "0.001", "50000", BUY), reduce_only=True, tif="Alo")


async def test_r14_housekeeping_goes_on_after_an_error(trader, eventually):
    """R14, C1: an OSError of the lock file ends neither timeouts nor audits."""
    hl = await trader()

    class FullDisk:
        def keep(self):
            raise OSError(28, "No space left on device")

        def release(self):
            pass

    hl._lock = FullDisk()
    await asyncio.sleep(0.3)
    assert not hl._housekeeping.done()


def test_r15_a_clock_set_back_holds_nothing_up_for_longer_than_a_minute():
    """R15, C5: an hour back is not an hour without orders, after a full minute."""
    limits, now = Limits(), 1_785_000_000_000
    for _ in range(1150):
        limits.spend("order", 1, now)
    back = now - 3_600_000
    with contextlib.suppress(NotReady):  # either begins anew or runs out
        limits.check_order(1, back)
    limits.weight.left(back)
    limits.messages.left(back)
    limits.check_order(1, back + 61_000)


async def test_r16_cancel_all_of_no_name_is_refused(trader):
    """R16: an empty name is not `all`."""
    hl = await trader()
    order = hl.buy("BTC", "0.001", "50000")
    assert await order.accepted()
    with pytest.raises(ConfigError):
        hl.cancel_all("")


async def test_r17_an_expiry_out_of_range_is_refused(trader):
    """R17: it would wrap round to `never`."""
    hl = await trader()
    with pytest.raises(HlfastError):
        hl.buy("BTC", "0.001", "50000", expires_after_ms=2**63 - 1)


async def test_r18_a_foreign_order_on_an_unknown_instrument_does_not_stop_the_start(trader, exchange, eventually):
    """R18, G18: foreign_orders='cancel' leaves out what it cannot name."""
    first = await trader(0)
    order = first.buy("SOL", "1", "20", rounding="passive")
    assert await order.accepted()
    hl = hlfast.connect(exchange.network, settings=Settings(foreign_orders="cancel"))
    await hl.initialize()
    hl.metadata.rules.pop("SOL")
    hl.entry.rules.pop("SOL")
    hl.metadata._by_pair.clear()
    await hl.connect()
    try:
        await hl.wait_ready(3)
    finally:
        await hl.disconnect()


async def test_r20_many_unresolved_orders_stay_within_the_venues_limits(trader, exchange, eventually):
    """R20, C5: the questions about a lost batch fit into the minute."""
    hl = await trader(settings=Settings(post_timeout_ms=200, backoff_min=0.02, backoff_max=0.2))
    exchange.faults.arm("lost_answer", channel="order", times=2)
    exchange.faults.arm("lost_frame", channel="orderUpdates", times=2)
    orders = hl.place([OrderParams("BTC", "0.001", 40000 + i, BUY, tif="Alo") for i in range(150)])
    await eventually(lambda: all(not o.unresolved and o.is_fillable for o in orders), 12)
    assert sum(hl.limits.spent_on.values()) < IP_WEIGHT_PER_MINUTE


async def test_r22_a_mid_sync_loss_keeps_the_count_of_the_gap(trader, exchange, eventually, heard):
    """R22, G13: the loss of the connection right after LIVE does not lose the count of what was missed."""
    maker, hl = await trader(0), await trader(1)
    await asyncio.sleep(1.1)
    bid = hl.buy("BTC", "0.002", "50000")
    assert await bid.accepted()
    told = heard(hl, ev.Recovered)
    await hl._account_session.stop()
    assert await maker.sell("BTC", "0.001", "50000", tif="Ioc").done() is S.FILLED
    hl._account_session.start()
    await eventually(lambda: hl.is_connected)
    await restart_account(hl)
    await eventually(lambda: hl.is_connected)
    await eventually(lambda: told.events)
    assert sum(e.fills for e in told.events) == 1


async def test_r23_waiters_that_gave_up_are_forgotten(trader):
    """R23: polling with `wait_for(order.done(), ...)` does not grow."""

    hl = await trader()
    order = hl.buy("BTC", "0.001", "50000")
    assert await order.accepted()
    before = len([o for o in gc.get_objects() if isinstance(o, asyncio.Future)])
    for _ in range(200):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(order.done(), 0.001)
    gc.collect()
    assert len([o for o in gc.get_objects() if isinstance(o, asyncio.Future)]) - before < 20


async def test_r25_a_new_cap_of_the_venue_is_taken_up(trader, exchange, eventually):
    """R25, C5: requests bought or earned elsewhere count."""
    hl = await trader(settings=Settings(audit_interval=0.3, enforce_budgets=True))
    hl.limits.set_address(10_000, 10_000)
    with pytest.raises(NotReady, match="used up"):
        hl.buy("BTC", "0.001", "50000")
    await asyncio.sleep(1.5)
    hl.buy("BTC", "0.001", "50000")


async def test_r27_odd_answers_of_the_venue_are_no_handler_errors(trader, exchange, eventually, heard):
    """R27: with on_handler_error='stop' a malformed answer of the venue does not stop trading."""
    hl = await trader(settings=Settings(on_handler_error="stop", audit_interval=0.3))
    ask = hl.info._ask

    async def answer(payload):
        if payload["type"] == "userFillsByTime":
            return None
        return await ask(payload)

    hl.info._ask = answer
    await asyncio.sleep(1.5)
    assert not hl.entry.checks.killed, hl.entry.checks.kill_reason


def test_r28_a_forked_process_does_not_share_the_lock(tmp_path):
    """R28, G15: a fork has a copy of the record of the lock, not the lock."""

    network = Network("https://api.example.com", "wss://api.example.com/ws", False, "example")
    lock = SignerLock.take(network, "0x" + "cd" * 20, tmp_path)
    child = os.fork()
    if child == 0:
        try:
            SignerLock.take(network, "0x" + "cd" * 20, tmp_path)
        except ConfigError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lock.release()


async def test_r29_the_kill_switch_gets_at_orders_that_its_cancel_overtook(trader, open_exchange):
    """R29: in one block the venue takes cancels before Gtc orders: buy() and then kill() must not leave the order resting."""
    hl = await trader(on=await open_exchange(block_ms=120))
    order = hl.buy("BTC", "0.001", "40000", tif="Gtc")
    hl.kill("test")
    assert await asyncio.wait_for(order.done(), 3) is S.CANCELLED
