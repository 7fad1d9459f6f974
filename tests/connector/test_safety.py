"""Local limits, kill switch, dead man's switch, the audit, orders of others, and nonces that are burnt on purpose."""

from __future__ import annotations

import asyncio
import os
from decimal import Decimal

import orjson
import pytest

from hlfast import clock
from hlfast.config import SIMULATOR_TEST_KEY, Network, RiskLimits, Settings
from hlfast.core import events as ev
from hlfast.errors import ConfigError, OrderDenied
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.types import OrderParams, OrderState, TradeType
from hlfast.venues.hyperliquid.info import FILLS_PAGE, Info
from hlfast.venues.hyperliquid.nonce import NonceManager, nonce_manager_for
from hlfast.venues.hyperliquid.recovery import Recovery
from hlfast.venues.hyperliquid.sign import Signer
from hlfast.venues.hyperliquid.signer_lock import AHEAD_MS, SignerLock

S = OrderState


@pytest.mark.parametrize(
    ("limits", "args", "text"),
    [
        ({"max_order_value": 100}, ("BTC", "0.01", "50000"), "value 500 is above max_order_value 100"),
        ({"max_position_value": 100}, ("BTC", "0.0021", "50000"), "max_position_value 100"),
        ({"price_band_bps": 10}, ("BTC", "0.001", "60100"), "more than 10 bps through the best opposite price 60000"),
    ],
)
async def test_an_order_over_a_local_limit_is_refused_before_tracking(trader, eventually, limits, args, text):
    other = await trader(1)
    await other.sell("BTC", "0.001", "60000", tif="Alo").accepted()
    hl = await trader(0, settings=Settings(risk=RiskLimits(**limits)))
    await eventually(lambda: hl.book("BTC").best_ask == 60000)
    with pytest.raises(OrderDenied, match=text):
        hl.buy(*args)
    assert hl.orders == [] and hl.entry.checks.refused == 1
    assert await hl.buy("BTC", "0.0002", "50000").accepted()


async def test_the_position_limit_counts_what_is_held_what_rests_and_the_batch(trader, eventually):
    hl = await trader(0, settings=Settings(risk=RiskLimits(max_position_value=250)))
    assert await hl.buy("BTC", "0.002", "50000").accepted()
    with pytest.raises(OrderDenied, match="could be worth 300"):
        hl.buy("BTC", "0.004", "50000")
    with pytest.raises(OrderDenied, match=r"order 1 of 2: .*max_position_value"):
        hl.place([OrderParams("BTC", "0.002", "50000", TradeType.BUY)] * 2)
    assert await hl.sell("BTC", "0.004", "60000", tif="Alo").accepted(), "the other side has its own sum"


async def test_the_order_rate_is_limited(trader):
    hl = await trader(0, settings=Settings(risk=RiskLimits(max_orders_per_second=3)))
    orders = [hl.buy("BTC", "0.001", 40000 + i) for i in range(3)]
    with pytest.raises(OrderDenied, match="max_orders_per_second"):
        hl.buy("BTC", "0.001", "40010")
    assert all([await order.accepted() for order in orders])
    await asyncio.sleep(0.5)
    assert await hl.buy("BTC", "0.001", "40011").accepted()


async def test_the_kill_switch_cancels_all_and_refuses_all(trader, heard):
    hl = await trader()
    told = heard(hl, ev.ConnectorError)
    orders = [
        order
        for i in range(3)
        for order in hl.place(
            [OrderParams("BTC", "0.001", 40000 + 100 * i + k, TradeType.BUY, tif="Alo") for k in range(50)]
        )
    ]
    assert all([await order.accepted() for order in orders])
    assert hl.kill("test") == 150
    with pytest.raises(OrderDenied, match="kill switch is on"):
        hl.buy("BTC", "0.001", "40000")
    assert [await order.done() for order in orders] == [S.CANCELLED] * 150
    assert hl.entry.cancels_sent == 150 and told.events[0].code == "killed"
    hl.resume()
    assert await hl.buy("BTC", "0.001", "40000").accepted()


async def test_a_handler_that_raises_can_stop_trading(trader, eventually):
    hl = await trader(0, settings=Settings(on_handler_error="stop"))

    def broken(event):
        raise RuntimeError("strategy bug")

    hl.on(ev.OrderCreated, broken)
    order = hl.buy("BTC", "0.001", "40000")
    assert await order.done() is S.CANCELLED
    with pytest.raises(OrderDenied, match="strategy bug"):
        hl.buy("BTC", "0.001", "40000")


async def test_the_dead_mans_switch_is_moved_on_and_fires_when_the_loop_is_silent(trader, exchange, eventually):
    """C8."""
    hl = await trader()
    account = exchange.engine.accounts[hl.account]
    with pytest.raises(ConfigError, match="6 or more"):
        await hl.arm_dead_mans_switch(1)
    await hl.arm_dead_mans_switch(6)
    first = account.cancel_at_ms
    assert 4_000 < first - clock.wall_clock_ms() <= 6_000
    await eventually(lambda: account.cancel_at_ms > first)
    order = hl.buy("BTC", "0.001", "40000")
    assert await order.accepted()
    account.cancel_at_ms = clock.wall_clock_ms()
    assert await order.done() is S.CANCELLED and order.reason == "scheduledCancel"
    await hl.arm_dead_mans_switch(0)
    await eventually(lambda: account.cancel_at_ms is None)


async def test_an_order_in_flight_is_killed_by_its_nonce(trader, exchange, eventually):
    """L72: `cancel_inflight`: whichever reaches the venue first wins."""
    hl = await trader()
    submit, held = exchange.engine.submit, []

    def hold_orders(signed, reply):
        if signed.kind == "order":
            held.append((signed, reply))
        else:
            submit(signed, reply)

    exchange.engine.submit = hold_orders
    order = hl.buy("BTC", "0.001", "40000")
    await eventually(lambda: held)
    assert await hl.cancel_inflight(order) is True and order.state is S.FAILED
    exchange.engine.submit = submit
    submit(*held[0])
    await asyncio.sleep(0.1)
    assert not exchange.truth(hl.account)["orders"] and order.state is S.FAILED
    admitted = hl.buy("BTC", "0.001", "40000")
    assert await admitted.accepted()
    assert await hl.cancel_inflight(admitted) is False and await admitted.done() is S.CANCELLED
    assert await hl.cancel_inflight(admitted) is False


async def test_the_audit_finds_a_fill_that_no_stream_told_of(trader, exchange, heard, eventually):
    """G7, G10: booked once, marked as recovered, and said."""
    maker, hl = await trader(0), await trader(1)
    told = heard(hl, ev.OrderFilled, ev.ConnectorError)
    bid = hl.buy("BTC", "0.002", "50000")
    assert await bid.accepted()
    exchange.frame_filter = lambda user, channel, frame: not (user == hl.account and channel in ("userFills", "user"))
    assert await maker.sell("BTC", "0.001", "50000", tif="Ioc").done() is S.FILLED
    exchange.frame_filter = None
    await asyncio.sleep(0.05)
    assert bid.filled_amount == 0
    assert await hl.recovery.audit() == ["1 fills that no stream had told of"]
    assert bid.filled_amount == Decimal("0.001") and hl.positions["BTC"].signed_size == Decimal("0.001")
    (fill,) = told.of(ev.OrderFilled)
    assert fill.recovered and [e.code for e in told.of(ev.ConnectorError)] == ["fill_missed"]
    assert await hl.recovery.audit() == []
    assert hl.ledger["cash"] == Decimal(exchange.truth(hl.account)["cash"])


async def test_the_audit_finds_funding_that_no_stream_told_of(trader, exchange, heard, eventually):
    """Given a funding frame that is lost on a connection that lives, then cash agrees again after the audit, once."""
    hl, other = await trader(0), await trader(1)
    assert await other.sell("BTC", "0.01", "60000", tif="Alo").accepted()
    assert await hl.buy("BTC", "0.01", "60000", tif="Ioc").done() is S.FILLED
    told = heard(hl, ev.FundingPayment)
    exchange.change("set_oracle", "BTC", "60000")
    exchange.frame_filter = lambda user, channel, frame: channel != "user"
    exchange.engine.funding._next_hour_ms = exchange.engine.time_ms
    (paid,) = await eventually(lambda: exchange.truth(hl.account)["fundings"])
    await asyncio.sleep(0.1)
    assert Decimal(paid["delta"]["usdc"]) and hl.ledger["cash"] != Decimal(exchange.truth(hl.account)["cash"])
    for _ in range(2):
        await hl.recovery.audit()
        assert hl.ledger["cash"] == Decimal(exchange.truth(hl.account)["cash"])
        assert [event.amount for event in told.events] == [Decimal(paid["delta"]["usdc"])]


async def test_funding_of_more_than_one_answer_is_read_back(trader, exchange, eventually):
    """Given more payments than an answer holds (500, the oldest first), then a reconnect finds all, each once."""
    hl = await trader(0)
    rows = exchange.engine.accounts[hl.account].fundings
    for n in range(1_234):
        delta = {
            "type": "funding",
            "coin": "BTC",
            "usdc": "-0.01",
            "szi": "1.0",
            "fundingRate": "0.0",
            "nSamples": None,
        }
        rows.append(
            {"time": hl.recovery.baseline_ms + 1 + n // 2 * 2, "hash": "0x0", "delta": {**delta, "coin": f"C{n % 2}"}}
        )
    for _ in range(2):
        await exchange.cut()
        await eventually(lambda: not hl.is_connected)
        await hl.wait_ready(5)
        assert hl.ledger["funding"] == Decimal("-12.34")


async def test_the_audit_takes_over_a_position_that_differs_twice(trader, exchange, heard):
    maker, hl = await trader(0), await trader(1)
    told = heard(hl, ev.ConnectorError, ev.PositionUpdate)
    bid = maker.buy("BTC", "0.001", "50000")
    assert await bid.accepted()
    assert await hl.sell("BTC", "0.001", "50000", tif="Ioc").done() is S.FILLED
    hl.position_book.reset("BTC", 5, "0.5", "1")
    (text,) = await hl.recovery.audit()
    assert "the venue holds -0.001, the own fills make 0.5" in text
    assert hl.positions["BTC"].signed_size == Decimal("-0.001") and hl.positions["BTC"].entry_price == 50000
    assert [e.code for e in told.of(ev.ConnectorError)] == ["position_mismatch"]


@pytest.mark.parametrize("policy", ["adopt", "report", "cancel"])
async def test_orders_of_others_are_treated_as_the_setting_says(trader, exchange, eventually, policy):
    first = await trader(0)
    order = first.buy("BTC", "0.001", "40000")
    assert await order.accepted()
    codes = []
    second = await trader(0, settings=Settings(foreign_orders=policy), watch="")
    second.on(ev.ConnectorError, lambda e: codes.append(e.code))
    await second._account_session.stop()
    second._account_session.start()
    await second.wait_ready(5)
    if policy == "cancel":
        assert await order.done() is S.CANCELLED
    else:
        assert [o.cloid for o in second.tracker.external_orders] == [order.cloid] and order.state is S.OPEN
    assert codes.count("foreign_order") == (1 if policy == "report" else 0)


class Fills(Info):
    """An info service with its own fills, that pages as the venue does."""

    def __init__(self, rows):
        self.rows, self.asked = rows, 0

    async def user_fills_by_time(self, user, start_time, end_time=None):
        self.asked += 1
        return [row for row in self.rows if row["time"] >= start_time][:FILLS_PAGE]


class Owner:
    account = "0x" + "1" * 40

    def __init__(self, rows):
        self.info, self.told = Fills(rows), []

    def tell(self, code, text):
        self.told.append(code)


@pytest.mark.parametrize("per_ms", [1, 7, 500, 1999])
async def test_the_fills_pager_is_exact_across_page_edges(per_ms):
    """L60: thousands of fills, several in one millisecond at every page's edge: each once, in order."""
    rows = [{"coin": "BTC", "tid": n % 50, "oid": n, "time": 1000 + n // per_ms} for n in range(9_000)]
    owner = Owner(rows)
    seen = [row async for page in Recovery(owner).fill_pages(1000) for row in page]
    assert seen == rows and not owner.told


async def test_more_fills_in_one_millisecond_than_a_page_holds_are_said():
    rows = [{"coin": "BTC", "tid": n, "oid": n, "time": 1000} for n in range(FILLS_PAGE + 5)]
    rows.append({"coin": "BTC", "tid": 1, "oid": 1, "time": 1001})
    owner = Owner(rows)
    seen = [row async for page in Recovery(owner).fill_pages(1000) for row in page]
    assert len(seen) == FILLS_PAGE + 1 and seen[-1]["time"] == 1001 and owner.told == ["fills_unreachable"]


def test_a_second_process_with_the_same_signer_is_refused(tmp_path):
    """G15: the lock names the other process; connectors of one process share it; loopback takes none."""
    import subprocess
    import sys

    network = Network("https://api.example.com", "wss://api.example.com/ws", False, "example")
    signer = FUNDED_ACCOUNTS[0].address
    lock = SignerLock.take(network, signer, tmp_path)
    assert lock is SignerLock.take(network, signer, tmp_path)
    code = (
        "import sys, pathlib\n"
        "from hlfast.config import Network\n"
        "from hlfast.venues.hyperliquid.signer_lock import SignerLock\n"
        "n = Network('https://api.example.com', 'wss://api.example.com/ws', False, 'example')\n"
        f"SignerLock.take(n, {signer!r}, pathlib.Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": _where_hlfast_is()}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert ran.returncode and "another process (pid" in ran.stderr and SIMULATOR_TEST_KEY[2:] not in ran.stderr
    lock.release()
    lock.release()
    assert subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, check=False).returncode == 0
    assert SignerLock.take(Network("http://127.0.0.1:1", "ws://127.0.0.1:1/ws", False), signer, tmp_path) is None


def test_nonces_rise_over_a_restart_with_the_clock_set_back(tmp_path):
    """G15, L71."""
    network = Network("https://api.example.com", "wss://api.example.com/ws", False, "example")
    signer = "0x" + "ab" * 20
    lock = SignerLock.take(network, signer, tmp_path)
    given = [nonce_manager_for(signer).next() for _ in range(100)]
    lock.keep()
    lock.release()
    nonce_manager_for(signer).reset()  # a new process
    try:
        clock.set_virtual((given[-1] - 3_600_000) * 1_000_000)
        lock = SignerLock.take(network, signer, tmp_path)
        assert nonce_manager_for(signer).next() > given[-1]
        assert nonce_manager_for(signer).next() <= given[-1] + 2 * AHEAD_MS
        lock.release()
    finally:
        clock.set_virtual(None)
    assert isinstance(NonceManager("x").next(), int)


async def test_a_kill_without_a_connection_is_done_when_the_account_is_live_again(trader, exchange, eventually):
    hl = await trader()
    order = hl.buy("BTC", "0.001", "40000")
    await order.accepted()
    await hl._account_session.stop()
    assert hl.kill("while down") == 0
    hl._account_session.start()
    assert await order.done() is S.CANCELLED
    with pytest.raises(OrderDenied, match="kill switch"):
        hl.buy("BTC", "0.001", "40000")


def _where_hlfast_is() -> str:
    from pathlib import Path

    import hlfast

    return str(Path(hlfast.__file__).parents[1])


async def test_money_that_came_without_a_fill_is_booked_by_the_audit(trader, exchange, heard):
    """L58: given a deposit, a transfer between purses and one to another account, the audit finds them, and no difference."""
    hl, other = await trader(0), await trader(1, watch="")
    codes = heard(hl, ev.ConnectorError)
    exchange.faucet(hl.account, 250)
    for action in (
        {"type": "usdSend", "destination": other.account, "amount": "12.5"},
        {"type": "usdClassTransfer", "amount": "30", "toPerp": False},
    ):
        nonce = nonce_manager_for(hl.signer.address).next()
        signed = {**action, "time" if action["type"] == "usdSend" else "nonce": nonce}
        signed |= {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
        signature = Signer(FUNDED_ACCOUNTS[0].key).sign_user_action(signed, is_mainnet=False)
        body = {"action": signed, "nonce": nonce, "signature": signature}
        status, answer = await hl._http.post_json("/exchange", body)
        assert status == 200 and orjson.loads(answer)["status"] == "ok", answer
    await asyncio.sleep(0.1)
    assert await hl.recovery.audit() == [] and await other.recovery.audit() == []
    for connector in (hl, other):
        record = exchange.truth(connector.account)
        assert connector.ledger["cash"] == Decimal(record["cash"])
        assert connector.ledger["spot"].get("USDC", 0) == Decimal(record["spot"]["USDC"]["total"])
    assert not codes.of(ev.ConnectorError)


async def test_cash_that_nothing_explains_is_said_and_taken_over(trader, exchange, heard):
    """G13: a difference of cash that fills, funding and transfers do not explain is told once, and the venue's is taken."""
    hl = await trader(0)
    told = heard(hl, ev.ConnectorError)
    hl.own_ledger.book_transfer("", Decimal("0.01"))
    hl.own_ledger.book_transfer("USDC", Decimal(-1))
    found = await hl.recovery.audit()
    assert len(found) == 2 and any(text.startswith("cash: the venue says") for text in found)
    assert [e.code for e in told.of(ev.ConnectorError)] == ["cash_mismatch"] * 2
    assert await hl.recovery.audit() == []
    assert hl.ledger["cash"] == Decimal(exchange.truth(hl.account)["cash"])
