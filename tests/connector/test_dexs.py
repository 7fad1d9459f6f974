"""Builder dexs through the connector: traded by name, audited and recovered by dex, and where the account's money lies."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

import hlfast
from hlfast.core import events as ev
from hlfast.engine.audit import differences
from hlfast.errors import ConfigError, NotReady
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.sim.dexs import DEXS, Dex
from hlfast.sim.markets import TOKENS, Token
from hlfast.sim.universe import Universe
from hlfast.types import OrderState

from .conftest import QUICK

GOLD = "demo:GOLD"
USDH = Token("USDH", 360, 2, 8, "0x" + "5d" * 16)
FARM = Dex("farm", 2, "Farm goods", USDH, [("CORN", 1, 450, 2, 10, "")], fee_scale_percent=50)
TWO_DEXS = Universe(tokens=(*TOKENS, USDH), dexs=(*DEXS, FARM))
IN_DEMO = dataclasses.replace(QUICK, dexs=("demo",))


@pytest.fixture
async def gold(exchange: Any) -> Any:
    """A book of GOLD at 2399 and 2401."""
    exchange.change("set_mark", GOLD, "2400")
    exchange.change("rest", GOLD, "buy", "2399", "50")
    exchange.change("rest", GOLD, "sell", "2401", "50")
    return exchange


def agrees(hl: Any, exchange: Any, before: Any) -> bool:
    return differences(hl.ledger, exchange.truth(hl.account), before) == []


async def test_a_dex_is_traded_by_name_from_order_to_audit(gold: Any, trader: Any, heard: Any, eventually: Any) -> None:
    """Given a dex that is loaded, then an order there lives as any other, its position, cash and fees are the dex's own, and
    the audit agrees to the last decimal."""
    hl = await trader(0, watch="")
    before = gold.truth(hl.account)
    with pytest.raises(ConfigError, match="is not loaded"):
        hl.resolve(GOLD)
    rules = await hl.load_dex("demo")
    assert [(rule.coin, rule.asset) for rule in rules] == [(GOLD, 110_000), ("demo:OIL", 110_001)]
    events = heard(hl, ev.OrderEvent, ev.PositionUpdate)
    hl.watch(GOLD, trades=True)
    await hl.wait_ready(5)
    cash = hl.own_ledger.cash
    order = hl.buy(GOLD, "2")
    assert await order.done() is OrderState.FILLED
    resting = hl.sell(GOLD, "1", "2500", tif="Alo")
    assert await resting.accepted()
    assert hl.modify(resting, price="2450")
    await eventually(lambda: resting.price == 2450)
    assert hl.positions[GOLD].signed_size == 2
    assert hl.own_ledger.cash == cash, "the main dex's cash is not touched"
    assert hl.ledger["purses"]["demo"] == 100_000 - 4_802 - order.fees["USDC"] and order.fees["USDC"] == Decimal(
        "4.3218"
    )
    assert [type(event).__name__ for event in events.events].count("PositionUpdate") == 1
    assert await hl.recovery.audit() == []
    hl.cancel(resting)
    await resting.done()
    assert agrees(hl, gold, before)
    closing = hl.sell(GOLD, "2", reduce_only=True)
    assert await closing.done() is OrderState.FILLED and hl.positions[GOLD].is_flat
    assert agrees(hl, gold, before) and await hl.recovery.audit() == []


async def test_an_unknown_dexs_name_loads_it_for_the_next_try(gold: Any, trader: Any, eventually: Any) -> None:
    """Lazy: nobody pays for a dex that is not asked for; the first order there is refused and says what happens."""
    hl = await trader(0)
    with pytest.raises(ConfigError, match="being read again: try once more"):
        hl.buy(GOLD, "1", "2000")
    await eventually(lambda: "demo" in hl.dex_accounts.started)
    order = hl.buy(GOLD, "1", "2000", tif="Alo")
    assert await order.accepted() and hl.status["dexs"] == ["demo"]


async def test_what_was_there_before_and_what_a_gap_hid_is_found_by_dex(
    gold: Any, trader: Any, eventually: Any
) -> None:
    """G13: given a position and an order in a dex from before, and a fill there during an outage, then after the reconnect
    all is as the exchange says."""
    first = await trader(0, watch="", settings=IN_DEMO)
    first.watch(GOLD)
    await first.wait_ready(5)
    await first.buy(GOLD, "3").done()
    hl = await trader(0, watch="", settings=IN_DEMO)
    before = gold.truth(hl.account)
    assert hl.positions[GOLD].signed_size == 3 and hl.ledger["purses"]["demo"] == Decimal(before["dex_cash"]["demo"])
    order = hl.sell(GOLD, "2", "2450")
    assert await order.accepted()
    await gold.cut(0.3)
    await eventually(lambda: not hl.is_connected)
    with pytest.raises(NotReady):
        hl.buy(GOLD, "1", "2000")
    gold.change("rest", GOLD, "buy", "2450", "2")
    assert await order.done() is OrderState.FILLED
    await eventually(lambda: hl.is_connected)
    assert hl.positions[GOLD].signed_size == 1 and agrees(hl, gold, before)


async def test_a_wrong_position_or_cash_in_a_dex_is_told_and_mended(gold: Any, trader: Any, heard: Any) -> None:
    """G17: the audit compares each dex with the venue's own state of it."""
    hl = await trader(0, settings=IN_DEMO)
    errors = heard(hl, ev.ConnectorError)
    hl.own_ledger.purses["demo"] += 7
    hl.position_book.reset(GOLD, 3, "5", "2400")
    found = await hl.recovery.audit()
    assert any("dex demo: the venue says 100000" in line for line in found)
    assert any(line.startswith(f"{GOLD}: the venue holds 0") for line in found)
    assert {error.code for error in errors.events} == {"position_mismatch", "cash_mismatch"}
    assert hl.positions[GOLD].is_flat and hl.ledger["purses"]["demo"] == 100_000
    assert await hl.recovery.audit() == []


async def test_funding_and_transfers_of_a_dex_are_booked_to_it(
    open_exchange: Any, trader: Any, eventually: Any
) -> None:
    """Given money sent between purses, then after the audit's look each purse's own figure agrees; nothing is a loss."""
    exchange = await open_exchange()
    hl = await trader(0, on=exchange, settings=IN_DEMO, allow=["sendAsset", "agentEnableDexAbstraction"])
    await hl.actions.send_asset(hl.account, "", "demo", "USDC", "2500", "")
    await hl.actions.send_asset(hl.account, "demo", "spot", "USDC", "1000", "")
    assert await hl.recovery.audit() == []
    assert (hl.ledger["purses"]["demo"], hl.ledger["cash"]) == (101_500, 997_500)
    await hl.actions.agent_enable_dex_abstraction()
    exchange.change("set_mark", GOLD, "2400")
    order = hl.buy(GOLD, "900", "2400")
    assert await order.accepted(), "the margin it lacked came from the main dex"
    assert await hl.recovery.audit() == [] and hl.ledger["purses"]["demo"] > 101_500
    assert (await hl.info.user_abstraction(hl.account)) == "dexAbstraction"


async def test_totals_and_free_money_by_dex_and_collateral(open_exchange: Any, trader: Any) -> None:
    """L63, L106: given a standard account, then each place and its collateral is told, what is locked in one dex is not
    missing in the total, and fees are in `feeToken`."""
    exchange = await open_exchange(engine={"universe": TWO_DEXS})
    exchange.change("set_mark", "farm:CORN", "4.5")
    exchange.change("rest", "farm:CORN", "sell", "4.5", "2000")
    hl = await trader(0, on=exchange, settings=dataclasses.replace(QUICK, dexs=("demo", "farm")))
    assert hl.account_mode == "disabled"
    order = hl.buy("farm:CORN", "2000", "4.5")
    assert await order.done() is OrderState.FILLED and list(order.fees) == ["USDH"]
    await hl.recovery.audit()
    held = {(each.place, each.token): (each.total, each.free) for each in hl.purses}
    fee = order.fees["USDH"]
    assert held["", "USDC"] == (1_000_000, 1_000_000) and held["spot", "USDC"] == (100_000, 100_000)
    assert held["demo", "USDC"] == (100_000, 100_000)
    assert held["farm", "USDH"] == (100_000 - fee, 100_000 - fee - 900), "a tenth of 9000 is margin"
    assert (hl.totals["USDC"].total, hl.totals["USDH"].free) == (1_200_000, 99_100 - fee)
    lazy = await trader(1, on=exchange)
    assert {each.place for each in lazy.purses} == {"", "spot"}
    assert {each.place for each in await lazy.all_purses()} == {"", "spot", "demo", "farm"}


@pytest.mark.parametrize("abstraction", ["unifiedAccount", "portfolioMargin"])
async def test_joined_accounts_are_read_where_their_money_is(open_exchange: Any, trader: Any, abstraction: str) -> None:
    """L63: given a unified or a portfolio account, then its money is what the spot state says, total and free, positions are
    audited as ever, and a change of the mode is no loss."""
    exchange = await open_exchange(engine={"universe": TWO_DEXS})
    exchange.change("set_mark", GOLD, "2400")
    exchange.change("rest", GOLD, "sell", "2400", "900")
    hl = await trader(0, on=exchange, settings=IN_DEMO, allow=["userSetAbstraction"])
    told: list[Any] = []
    hl.on(ev.BalanceUpdate, told.append)
    await hl.actions.user_set_abstraction(hl.account, abstraction)
    assert await hl.recovery.audit() == [], "the purses that were joined are not lost"
    assert hl.account_mode == abstraction and {each.place for each in hl.purses} == {"joined"}
    assert (hl.totals["USDC"].total, hl.totals["USDC"].free) == (1_200_000, 1_200_000)
    assert hl.totals["USDH"].total == 100_000
    order = hl.buy(GOLD, "900", "2400")
    assert await order.done() is OrderState.FILLED, "beyond what the dex alone would carry"
    assert await hl.recovery.audit() == []
    fee = order.fees["USDC"]
    assert (hl.totals["USDC"].total, hl.totals["USDC"].free) == (1_200_000 - fee, 1_092_000 - fee)
    assert hl.positions[GOLD].signed_size == 900
    assert (told[-1].asset, told[-1].total, told[-1].available) == ("USDC", 1_200_000 - fee, 1_092_000 - fee)
    again = await trader(0, on=exchange, settings=IN_DEMO)
    assert again.account_mode == abstraction and again.positions[GOLD].signed_size == 900
    assert await again.recovery.audit() == []


async def test_orders_that_an_earlier_run_left_in_a_dex_load_it(gold: Any, tmp_path: Any) -> None:
    """G17: given a journal with an order in a dex, then a new run loads that dex by itself and takes the order up."""

    async def run() -> Any:
        journal = tmp_path / "journal.sqlite"
        hl = hlfast.connect(gold.network, key=FUNDED_ACCOUNTS[0].key, settings=QUICK, journal=journal)
        await hl.__aenter__()
        return hl

    hl = await run()
    await hl.load_dex("demo")
    order = hl.buy(GOLD, "1", "2000", tif="Alo")
    assert await order.accepted()
    await hl.disconnect()
    hl = await run()
    try:
        (taken_up,) = hl.orders
        assert taken_up.coin == GOLD and hl.status["dexs"] == ["demo"]
        hl.cancel(taken_up)
        assert await taken_up.done() is OrderState.CANCELLED
    finally:
        await hl.disconnect()


async def test_what_happens_while_a_dex_is_being_read_is_booked_once(gold: Any, trader: Any, eventually: Any) -> None:
    """Given a fill in a dex between the request of its first state and the answer, then it is counted exactly once."""
    hl = await trader(0)
    other = await trader(0, settings=IN_DEMO)
    gold.faults.arm("late", channel="clearinghouseState", ms=300, times=1)
    loading = hl.spawn(hl.load_dex("demo"))
    for _ in range(20):
        other.buy(GOLD, "0.5", "2401", tif="Ioc")
        await eventually(lambda: not other.orders)
    await loading
    await eventually(lambda: hl.positions[GOLD].signed_size == 10)
    assert hl.ledger["purses"]["demo"] == Decimal(gold.truth(hl.account)["dex_cash"]["demo"])
    assert await hl.recovery.audit() == []


FORTY = Universe(
    dexs=[Dex(f"d{place}", place, f"Dex {place}", TOKENS[0], [("X", 2, 10, 0, 5, "")]) for place in range(1, 41)]
)


async def test_forty_dexs_cost_nobody_anything_and_the_last_one_trades(
    open_exchange: Any, trader: Any, monkeypatch: Any
) -> None:
    """L104, L105: given a venue with forty dexs, then a start asks no more than at one without any, a dex that is wanted costs
    its own lists and states alone, and the fortieth trades under its id."""
    asked: list[str] = []

    def count(exchange: Any) -> None:
        answer = exchange._info.answer

        def counting(body: Any) -> Any:
            asked.append(f"{body['type']} {body.get('dex', '')}".strip())
            return answer(body)

        monkeypatch.setattr(exchange._info, "answer", counting)

    async def start(exchange: Any, **options: Any) -> Any:
        count(exchange)
        asked.clear()
        return await trader(0, on=exchange, watch="", **options)

    await start(await open_exchange(engine={"universe": Universe()}))
    without = sorted(asked)
    exchange = await open_exchange(engine={"universe": FORTY})
    hl = await start(exchange)
    assert sorted(asked) == without
    asked.clear()
    (rule,) = await hl.load_dex("d40")
    assert rule.asset == 100_000 + 40 * 10_000
    assert {each for each in asked if each.endswith("d40")} == {
        "meta d40",
        "clearinghouseState d40",
        "frontendOpenOrders d40",
    }
    assert len(asked) <= 7 and not any(" d1" in each for each in asked)
    exchange.change("set_mark", "d40:X", "10")
    exchange.change("rest", "d40:X", "sell", "10", "100")
    order = hl.buy("d40:X", "50", "10")
    assert await order.done() is OrderState.FILLED and exchange.truth(hl.account)["positions"] == {
        "d40:X": {"szi": "50.0", "entryNtl": "500.0", "leverage": 5}
    }
    assert await hl.recovery.audit() == []


async def test_funding_in_a_dex_is_paid_from_its_purse(open_exchange: Any, trader: Any, eventually: Any) -> None:
    """G17: given an hour of made time with a position in a dex, then its purse paid, the main dex's did not, and all agrees."""
    exchange = await open_exchange(speed=2000.0)
    for kind, *arguments in (
        ("set_mark", GOLD, "2400"),
        ("set_oracle", GOLD, "2390"),
        ("rest", GOLD, "buy", "2399", "50"),
        ("rest", GOLD, "sell", "2401", "50"),
    ):
        exchange.change(kind, *arguments)
    hl = await trader(0, on=exchange, watch="", settings=IN_DEMO)
    before = exchange.truth(hl.account)
    order = hl.buy(GOLD, "10", "2401", expires_after_ms=0)
    assert await order.done() is OrderState.FILLED
    await eventually(lambda: hl.ledger["funding"] < 0, 20)
    assert hl.positions[GOLD].funding == hl.ledger["funding"] and hl.ledger["cash"] == 1_000_000
    await eventually(lambda: agrees(hl, exchange, before))


async def test_a_dex_that_is_gone_does_not_stop_the_start(gold: Any, tmp_path: Any, monkeypatch: Any) -> None:
    """Given a journal with an order in a dex that the venue lists no more, then the run starts, says so, and asks about the order
    by its id; a dex that the settings name must be there."""
    journal = tmp_path / "journal.sqlite"
    key = FUNDED_ACCOUNTS[0].key
    async with hlfast.connect(gold.network, key=key, settings=QUICK, journal=journal) as hl:
        await hl.load_dex("demo")
        assert await hl.buy(GOLD, "1", "2000", tif="Alo").accepted()
    answer = gold._info.answer
    monkeypatch.setattr(gold._info, "answer", lambda body: [None] if body["type"] == "perpDexs" else answer(body))
    told: list[str] = []
    hl = hlfast.connect(gold.network, key=key, settings=QUICK, journal=journal)
    hl.on(ev.ConnectorError, lambda event: told.append(event.code))
    async with hl:
        assert told[0] == "dex_gone"
        (order,) = hl.orders
        assert order.is_fillable
        hl.cancel(order)
        assert await order.done() is OrderState.CANCELLED
    with pytest.raises(ConfigError, match="has no dex"):
        async with hlfast.connect(gold.network, key=key, settings=IN_DEMO):
            pass
