"""`hl.streams`: every subscription as events, told apart, asked for again, with an age; against the local exchange."""

from __future__ import annotations

import asyncio

import pytest

from hlfast.errors import ConfigError, NotReady
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.sim.supported import SUPPORTED
from hlfast.venues.hyperliquid.endpoints import SUBSCRIPTIONS

from ..venue.conforming import misfits

PARAMETERS = {"coin": "BTC", "interval": "1m"}


def wanted(name):
    return {key: value for key, value in PARAMETERS.items() if key in SUBSCRIPTIONS[name].body.names}


SILENT = ("orderUpdates", "userEvents", "trades", "candle", "outcomeMetaUpdates")
"""What says nothing before something happens."""


async def test_every_subscription_that_the_exchange_has_comes_as_its_type(trader, exchange, eventually):
    """Each frame has the shape of its entry, names its subscription, and a snapshot says that it is one."""
    hl, other = await trader(0), await trader(1)
    seen = {}
    for name in SUPPORTED["subscriptions"]:
        hl.streams.on(name, lambda event: seen.setdefault(event.name, []).append(event), **wanted(name))
    await eventually(lambda: all(row["frames"] or row["name"] in SILENT for row in hl.streams.ages()))
    exchange.change("settle_outcome", 1, "1")
    other.sell("BTC", "0.01", "50000")
    order = hl.buy("BTC", "0.01", "50000", tif="Ioc")
    await order.done()
    await eventually(lambda: set(seen) == set(SUPPORTED["subscriptions"]))
    for name, events in seen.items():
        for event in events:
            assert not misfits(event.data, SUBSCRIPTIONS[name].row), name
            assert event.recv_ns > 0 and event.parameters["type"] == name
    assert seen["userFills"][0].is_snapshot and not seen["userFills"][-1].is_snapshot
    assert seen["userHistoricalOrders"][-1].data["orderHistory"][-1]["status"] == "filled"
    assert not [row for row in hl.streams.ages() if row["is_stale"] or row["refused"]]
    assert hl.streams.counters["unmatched"] == hl.streams.counters["unreadable"] == 0


async def test_forms_of_one_book_are_told_apart_by_sockets_of_their_own(exchange, trader, eventually):
    """Protocol, section 5.4: frames of two forms name the same coin, so they come over different connections."""
    hl, other = await trader(0), await trader(1)
    for px in range(49_000, 49_030):
        other.buy("BTC", "0.01", str(px))
    fast, whole, coarse = [], [], []
    hl.streams.on("l2Book", fast.append, coin="BTC", fast=True)
    hl.streams.on("l2Book", whole.append, coin="BTC")
    hl.streams.on("l2Book", coarse.append, coin="BTC-USD", nSigFigs=2)
    await eventually(
        lambda: fast and whole and coarse and len(whole[-1].data["levels"][0]) == 20 and coarse[-1].data["levels"][0]
    )
    assert {len(event.data["levels"][0]) for event in fast} <= {0, 1, 2, 3, 4, 5} and all(
        event.data["fast"] for event in fast
    )
    assert all("fast" not in event.data for event in (*whole, *coarse))
    assert len(coarse[-1].data["levels"][0]) == 1
    assert len(hl.streams._lines) == 3


async def test_streams_come_back_after_the_connection_was_lost(exchange, trader, eventually):
    """G6: what was subscribed is subscribed again."""
    hl = await trader(0)
    mids = []
    hl.streams.on("allMids", mids.append)
    await eventually(lambda: mids)
    await exchange.cut()
    await eventually(lambda: hl.streams._lines[0].session.connections >= 2)
    before = len(mids)
    await eventually(lambda: len(mids) > before)


async def test_one_feed_serves_several_handlers_and_ends_with_the_last(trader, eventually):
    """G12: a handler that raises ends nothing."""
    hl = await trader(0)
    one, two = [], []

    def broken(event):
        raise RuntimeError("a bug of the caller")

    hl.streams.on("allMids", broken)
    stop_one = hl.streams.on("allMids", one.append)
    stop_two = hl.streams.on("allMids", two.append)
    await eventually(lambda: one and two)
    assert len(hl.streams.ages()) == 1
    stop_one()
    stop_one()
    seen = len(one)
    await eventually(lambda: len(two) > seen + 1)
    assert len(one) == seen
    stop_two()
    assert len(hl.streams.ages()) == 1, "the raising handler still listens"


async def test_what_the_venue_does_not_have_is_refused_by_name(trader, eventually):
    hl = await trader(0)
    for name, parameters, says in (
        ("l2book", {"coin": "BTC"}, "did you mean 'l2Book'"),
        ("l2Book", {}, "lacks 'coin'"),
        ("l2Book", {"coin": "BTC", "nSigFig": 5}, "did you mean 'nSigFigs'"),
        ("candle", {"coin": "BTC", "interval": "1H"}, "did you mean '1h'"),
    ):
        with pytest.raises(ConfigError, match=says):
            hl.streams.on(name, print, **parameters)

    async def coroutine(event):
        pass

    with pytest.raises(ConfigError, match="plain function"):
        hl.streams.on("allMids", coroutine)
    hl.streams.on("bbo", print, coin="NOPE")
    await eventually(lambda: any("Invalid subscription" in row["refused"] for row in hl.streams.ages()))


async def test_more_look_alikes_than_sockets_are_refused(trader):
    hl = await trader(0)
    for account in range(6):
        hl.streams.on(
            "orderUpdates", print, user=FUNDED_ACCOUNTS[account % len(FUNDED_ACCOUNTS)].address[:-1] + str(account)
        )
    with pytest.raises(NotReady, match="6 sockets"):
        hl.streams.on("orderUpdates", print, user="0x" + "77" * 20)
    await asyncio.sleep(0)
