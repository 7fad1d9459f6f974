"""How a connector ends: orders left or cancelled as configured, signals, and what the exit code says."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast.config import Settings
from hlfast.core import events as ev
from hlfast.errors import ConfigError, OrdersLeft
from hlfast.types import OrderParams, OrderState, TradeType

CANCELS = Settings(backoff_min=0.02, backoff_max=0.2, hold_ms=500, on_stop="cancel")

PROGRAM = """
import asyncio, sys
import hlfast
from hlfast.config import Settings, simulator

async def main():
    settings = Settings(on_stop=sys.argv[2], stop_timeout=float(sys.argv[3]))
    async with hlfast.connect(simulator(int(sys.argv[1])), settings=settings) as hl:
        orders = [hl.buy("BTC", "0.001", price, tif="Alo") for price in (50000, 50001, 50002)]
        for order in orders:
            await order.accepted()
        print("resting", flush=True)
        await asyncio.sleep(60)

hlfast.run(main())
"""


def resting(exchange: Any, account: str) -> int:
    return sum(row["status"] == "open" for row in exchange.truth(account)["orders"])


async def test_leaving_cancels_what_rests_where_that_is_configured(trader, exchange):
    """C7: given on_stop="cancel", when the connector is closed, every order has its end first, and nothing rests."""
    hl = await trader(settings=CANCELS)
    orders = hl.place([OrderParams("BTC", "0.001", 50_000 + n, TradeType.BUY, tif="Alo") for n in range(100)])
    assert await orders[-1].accepted()
    again = []
    hl.on(ev.OrderCancelled, lambda event: again.append(hl.buy("BTC", "0.001", "50000", tif="Alo")))
    await hl.disconnect()
    assert {order.state for order in orders} == {OrderState.CANCELLED}
    assert resting(exchange, hl.account) == 0
    assert not again  # a handler that quotes again is refused while the connector closes


async def test_leaving_leaves_what_rests_by_default(trader, exchange):
    """C7: without the setting, orders stay at the venue."""
    hl = await trader()
    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert await order.accepted()
    await hl.disconnect()
    assert resting(exchange, hl.account) == 1


async def test_orders_that_cannot_be_cancelled_are_named(trader, exchange):
    """C7: given a venue that hears nothing any more, when the connector is closed, it says which orders may still rest, and is closed."""
    hl = await trader(settings=Settings(on_stop="cancel", stop_timeout=0.3))
    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert await order.accepted()
    exchange.faults.arm("lost_request", channel="cancelByCloid", times=100)
    with pytest.raises(OrdersLeft, match=order.client_order_id) as caught:
        await hl.disconnect()
    assert caught.value.orders == [order]
    assert not hl.is_connected and resting(exchange, hl.account) == 1
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("hlfast")] == []


async def test_an_interrupted_wait_still_closes_everything(trader, exchange):
    """C7: a second signal cuts the waiting short, and the orders are named."""
    hl = await trader(settings=Settings(on_stop="cancel", stop_timeout=30))
    order = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert await order.accepted()
    exchange.faults.arm("lost_request", channel="cancelByCloid", times=100)
    closing = asyncio.ensure_future(hl.disconnect())
    await asyncio.sleep(0.1)
    closing.cancel()
    with pytest.raises(OrdersLeft, match="interrupted"):
        await closing
    assert not hl.is_connected


async def test_a_kill_switch_stays_on_over_the_end(trader):
    hl = await trader(settings=CANCELS)
    hl.kill("enough")
    await hl.disconnect()
    assert hl.entry.checks.killed and hl.entry.checks.kill_reason == "enough"


def test_a_wrong_setting_is_named():
    with pytest.raises(ConfigError, match="on_stop is one of leave, cancel, got 'flatten'"):
        Settings(on_stop="flatten")


@pytest.mark.parametrize(
    ("number", "policy", "deaf", "code", "left"),
    [
        (signal.SIGTERM, "cancel", False, 143, 0),
        (signal.SIGINT, "cancel", False, 130, 0),
        (signal.SIGTERM, "leave", False, 143, 3),
        (signal.SIGINT, "leave", False, 130, 3),
        (signal.SIGTERM, "cancel", True, 3, 3),
        (signal.SIGINT, "cancel", True, 3, 3),
    ],
)
async def test_a_signal_ends_the_process_as_configured_and_the_exit_code_says_which(
    exchange, number, policy, deaf, code, left
):
    """C7: Ctrl-C and SIGTERM cancel or leave; 130 and 143 are ends in good order, 3 says that orders may still rest."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(exchange.port), policy, "0.5" if deaf else "10"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(hlfast.__file__).resolve().parents[1],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert program.stdout is not None
    assert await asyncio.to_thread(program.stdout.readline) == "resting\n"
    if deaf:
        exchange.faults.arm("lost_request", channel="cancelByCloid", times=1000)
    program.send_signal(number)
    _, errors = await asyncio.to_thread(program.communicate, None, 30)
    if code == 130 and program.returncode == -signal.SIGINT:
        program.returncode = 130  # what a shell makes of it: Python ends by the signal itself
    assert program.returncode == code, errors
    account = hlfast.Signer(hlfast.config.SIMULATOR_TEST_KEY).address
    assert resting(exchange, account) == left
    if deaf:
        assert "3 orders may still rest at the venue" in errors and "Traceback" not in errors
