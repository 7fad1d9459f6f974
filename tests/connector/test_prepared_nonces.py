"""`Settings(nonce_pool=N)`: the connector's own signer signs orders with prepared nonces, from connect() to disconnect()."""

from __future__ import annotations

import asyncio

import pytest

import hlfast
from hlfast import Signer
from hlfast.config import SIMULATOR_TEST_KEY, Settings
from hlfast.core import events as ev
from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid import nonce_pool

POOLED = Settings(backoff_min=0.02, backoff_max=0.2, hold_ms=500, nonce_pool=64)


async def test_orders_are_signed_with_prepared_nonces_and_the_exchange_takes_them(trader):
    # Given a connector with a pool, which is full when it is ready,
    hl = await trader(settings=POOLED)
    pool = hl.signer.pool
    assert (pool.state, pool.size, pool.left) == ("on", 64, 64)
    # when it places orders and cancels them,
    orders = [hl.buy("BTC", 0.01, 20_000.0 + 10 * n, tif="Alo") for n in range(20)]
    for order in orders:
        assert await order.accepted()
    assert hl.cancel_all() == 20
    for order in orders:
        await order.done()
    # then the exchange has recovered the right signer from each signature, and so has the pool.
    assert pool.used >= 21 and not pool.mismatches and sum(pool.fallbacks.values()) == 0
    counters = hl.counters
    assert (counters["prepared_nonces_used"], counters["prepared_nonces_fallback_empty"]) == (pool.used, 0)
    # And with the connection the preparing ends.
    await hl.disconnect()
    assert (pool.state, pool.left, pool.verified) == ("off: stopped", 0, pool.used)


async def test_a_connector_that_connects_again_prepares_again(exchange):
    hl = hlfast.connect(exchange.network, settings=POOLED)
    for used in (1, 2):
        await hl.connect()
        await hl.wait_ready(5)
        assert hl.signer.pool.left == 64
        await hl.entry.act({"type": "noop"})
        await hl.disconnect()
        assert hl.signer.pool.used == used


async def test_a_signer_brings_its_own_pool_which_the_connector_leaves_running(trader):
    signer = Signer(SIMULATOR_TEST_KEY, nonce_pool=16)
    hl = await trader(key=signer)
    order = hl.buy("BTC", 0.01, 20_000.0, tif="Alo")
    assert await order.accepted()
    await hl.disconnect()
    assert (signer.pool.state, signer.pool.used) == ("on", 1)
    signer.close()


def test_a_pool_for_a_signer_that_is_given_is_refused():
    with pytest.raises(ConfigError, match="a signer has its own"):
        hlfast.connect("simulator", key=Signer(SIMULATOR_TEST_KEY), settings=Settings(nonce_pool=8))
    plain = hlfast.connect("simulator")
    assert plain.signer.pool is None and "prepared_nonces_used" not in plain.counters, "off by default"


@pytest.mark.skipif(not hlfast.build_info()["debug"], reason="injected in a build with HLFAST_DEBUG=1")
async def test_a_mismatch_is_told_as_an_event_and_trading_goes_on(trader):
    hl = await trader(settings=POOLED)
    told: list[ev.ConnectorError] = []
    hl.on(ev.ConnectorError, told.append)
    nonce_pool._debug_inject(hl.signer.pool, "wrong_signature")
    first = hl.buy("BTC", 0.01, 20_000.0, tif="Alo")
    for _ in range(1_000):
        if told:
            break
        await asyncio.sleep(0.005)
    assert [error.code for error in told] == ["prepared_nonces_off"]
    second = hl.buy("BTC", 0.01, 20_010.0, tif="Alo")
    assert await first.accepted() and await second.accepted()
    assert hl.signer.pool.fallbacks["mismatch"] >= 1
