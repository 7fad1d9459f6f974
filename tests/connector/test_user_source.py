"""The account's stream on its own: its life cycle, and that it neither needs nor disturbs the market data."""

from __future__ import annotations

import hlfast
from hlfast.core import events as ev


async def test_connected_follows_the_account_streams_life_cycle(exchange, heard):
    """Behaviour 38, G13: down, connecting, subscribing, syncing, live; and the same again after the end."""
    connector = hlfast.connect(exchange.network)
    told = heard(connector, ev.StreamStatus)

    def steps() -> list[str]:
        states = [e.state for e in told.events if e.stream == "account"]
        told.events.clear()
        return states

    await connector.initialize()
    assert not connector.is_connected and steps() == []
    for _ in range(2):
        await connector.connect()
        await connector.wait_ready(5)
        assert connector.is_connected and steps() == ["CONNECTING", "SUBSCRIBING", "SYNCING", "LIVE"]
        await connector.disconnect()
        assert not connector.is_connected and steps() == ["DOWN"]


async def test_the_account_stream_is_live_without_any_market(exchange, trader, heard):
    """Behaviour 38: market data and account data have separate connections and life cycles."""
    connector = await trader(watch="")
    assert connector.is_connected and connector.ready and connector.market.coins == []
    assert await connector.buy("BTC", "0.001", "50000", tif="Gtc").accepted()
