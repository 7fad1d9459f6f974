"""Pairs of builder dexs: `DEMO:GOLD-USD` from the rules to the fill, the position and the funding info."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from hlfast.compat.hummingbot.core.data_type.common import OrderType, PositionAction, PositionSide
from hlfast.errors import ConfigError
from hlfast.sim import SimExchange

GOLD = "DEMO:GOLD-USD"
OPEN, CLOSE = PositionAction.OPEN, PositionAction.CLOSE


@pytest.fixture
def gold(exchange: SimExchange) -> SimExchange:
    exchange.change("set_mark", "demo:GOLD", "2400")
    exchange.change("set_book", "demo:GOLD", [("2399", "50")], [("2401", "50")])
    return exchange


async def test_a_pair_of_a_builder_dex_trades_as_any_other(
    gold: SimExchange, perp: Callable[..., Any], heard: Any, eventually: Any
) -> None:
    """Contract, sections 9 and 10: upper-case pair, own order book, order to fill, position, leverage, closed again."""
    connector = await perp(0, pairs=("BTC-USD", GOLD))
    told = heard(connector)
    assert connector.get_price(GOLD, True) == 2401 and GOLD in await connector.all_trading_pairs()
    assert await connector.exchange_symbol_associated_to_pair(GOLD) == "demo:GOLD"
    assert connector.get_funding_info(GOLD).trading_pair == GOLD
    order_id = connector.buy(GOLD, D("2"), OrderType.MARKET, position_action=OPEN)
    await eventually(lambda: told.of("BuyOrderCompleted"))
    assert told.names(order_id) == ["BuyOrderCreated", "OrderFilled", "BuyOrderCompleted"]
    position = connector.account_positions[GOLD]
    assert (position.position_side, position.amount) == (PositionSide.LONG, D(2))
    connector.sell(GOLD, D("2"), OrderType.MARKET, position_action=CLOSE)
    await eventually(lambda: told.of("SellOrderCompleted") and GOLD not in connector.account_positions)
    assert await connector.engine.recovery.audit() == []
    assert {fill.trading_pair for fill in told.of("OrderFilled")} == {GOLD}
    assert len(gold.truth(connector.engine.account)["fills"]) == 2


async def test_a_pair_of_a_builder_dex_is_added_later(
    gold: SimExchange, perp: Callable[..., Any], eventually: Any
) -> None:
    connector = await perp(0)
    assert GOLD not in connector.trading_rules
    assert await connector.add_trading_pair(GOLD)
    assert connector.get_price(GOLD, False) == 2399
    order_id = connector.buy(GOLD, D("1"), OrderType.LIMIT_MAKER, D("2300"), position_action=OPEN)
    await eventually(lambda: connector.in_flight_orders[order_id].is_open)
    connector.cancel(GOLD, order_id)
    await eventually(lambda: order_id not in connector.in_flight_orders)


async def test_a_dex_or_a_coin_that_is_not_there_is_named(gold: SimExchange, perp: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="'nope'"):
        await perp(0, pairs=("NOPE:GOLD-USD",))
    with pytest.raises(ConfigError, match=r"has no trading pair 'DEMO:SILVER-USD'.*DEMO:GOLD-USD"):
        await perp(1, pairs=("DEMO:SILVER-USD",))


async def test_without_the_flag_the_pairs_are_refused_with_the_reason(
    gold: SimExchange, perp: Callable[..., Any]
) -> None:
    with pytest.raises(ConfigError, match="enable_hip3_markets"):
        await perp(0, pairs=(GOLD,), enable_hip3_markets=False)
