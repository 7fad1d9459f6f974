"""Balances of the standalone connectors: pushed, in the purse that the account's mode implies, spot and perpetual."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction
from hlfast.sim import info

D = Decimal
OPEN = PositionAction.OPEN


async def test_a_spot_fill_is_in_the_balances_long_before_the_audit(spot: Any, heard: Any, eventually: Any) -> None:
    """The venue pushes states; the audit, every 30 s, only compares."""
    assert spot.engine.settings.audit_interval >= 30
    told = heard(spot)
    before, usdc = spot.get_balance("HYPE"), spot.get_balance("USDC")
    order_id = spot.buy("HYPE-USDC", D(2), OrderType.LIMIT, D("20.1"))
    await eventually(lambda: "BuyOrderCompleted" in told.names(order_id))
    fee = told.of("OrderFilled")[0].trade_fee.flat_fees[0]
    assert fee.token == "HYPE"
    await eventually(lambda: spot.get_balance("HYPE") == before + 2 - fee.amount, 3)
    assert spot.get_balance("USDC") == usdc - D("40.2")
    assert {event.asset_name for event in told.of("BalanceEvent")} >= {"HYPE", "USDC"}


async def test_money_in_resting_orders_is_not_available(spot: Any, eventually: Any) -> None:
    free = spot.get_available_balance("USDC")
    spot.buy("HYPE-USDC", D(10), OrderType.LIMIT_MAKER, D(15))
    await eventually(lambda: spot.get_available_balance("USDC") == free - 150, 3)
    assert spot.get_balance("USDC") >= free
    assert all(result.success for result in await spot.cancel_all(5))
    await eventually(lambda: spot.get_available_balance("USDC") == free, 3)


async def test_margin_that_a_position_takes_is_not_available(perp: Any, heard: Any, eventually: Any) -> None:
    c = await perp()
    free = c.get_available_balance("USD")
    c.buy("BTC-USD", D("0.1"), OrderType.MARKET, position_action=OPEN)
    await eventually(lambda: c.get_available_balance("USD") < free - 100, 3)
    assert c.get_balance("USD") == D(c.engine.balances["perp"]["account_value"])


@pytest.mark.parametrize("mode", ["unifiedAccount", "portfolioMargin"])
async def test_a_joined_account_has_its_money_in_the_spot_balances(
    perp: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """L63: the perpetuals' own state means nothing there. Pushed states are read as the first one is."""
    monkeypatch.setitem(info.ANSWERS, "userAbstraction", lambda self, query: mode)
    c = await perp(1)
    row = next(
        one
        for one in (await c.engine.info.spot_clearinghouse_state(c.engine.account))["balances"]
        if one["coin"] == "USDC"
    )
    assert c.get_balance("USD") == D(row["total"]) > 0
    assert c.get_available_balance("USD") == D(row["total"]) - D(row["hold"])
    assert list(c.get_all_balances()) == list(c.available_balances) == ["USD"]
    assert c.get_balance("USD") != D(c.engine.balances["perp"]["account_value"])
    before = c.get_balance("USD")
    c.engine.buy("HYPE/USDC", 2, D("20.1"), tif="Ioc")
    await eventually(lambda: c.get_balance("USD") == before - D("40.2"), 3)
