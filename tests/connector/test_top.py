"""hl.top(): the merged top of book of a running connector."""

from __future__ import annotations

import asyncio

import pytest

from hlfast.errors import ConfigError


async def until(condition, seconds=10.0):
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not come about")


async def test_the_top_follows_the_market_and_tells_its_handlers(exchange, trader):
    # Given a connector that merges BTC, and hears it,
    hl = await trader(0)
    heard = []
    top = hl.top("BTC")
    assert hl.top("BTC") is top
    remove = hl.on_top("BTC", lambda view: heard.append((view.best_bid, view.best_bid_size)))
    # when orders come to rest and are hit,
    bid = hl.buy("BTC", "0.01", "50000", tif="Alo")
    ask = hl.sell("BTC", "0.01", "60000", tif="Alo")
    await bid.accepted()
    await ask.accepted()
    await until(lambda: (top.best_bid, top.best_ask) == (50000, 60000))
    other = await trader(1)
    taker = other.sell("BTC", "0.004", "50000", tif="Ioc")
    await taker.done()
    # then the view has it, says how old each part is, and the handler heard it.
    await until(lambda: str(top.best_bid_size) == "0.006")
    assert top.mid == 55000 and top.is_valid
    assert top.ages["bbo"] > 0 and top.times_ms["trades"]
    assert heard[-1] == (top.best_bid, top.best_bid_size)
    remove()
    hl.cancel(bid)
    await bid.done()
    await until(lambda: top.best_bid is None)
    assert heard[-1][0] == 50000
    with pytest.raises(ConfigError, match="not watched"):
        hl.top("ETH")


async def test_after_a_cut_the_top_is_stale_until_it_is_fresh(exchange, trader):
    """C2: what was missed is not shown as if it were known."""
    # Given a view that is valid,
    hl = await trader(0)
    top = hl.top("BTC")
    bid, ask = hl.buy("BTC", "0.01", "50000", tif="Alo"), hl.sell("BTC", "0.01", "60000", tif="Alo")
    await asyncio.gather(bid.accepted(), ask.accepted())
    await until(lambda: top.is_valid)
    # when the market's socket breaks,
    hl._market_session.listener.abort("cut by the test")
    await until(lambda: top.is_stale)
    assert not top.is_valid
    # then it is valid again with the first fresh frame.
    await until(lambda: top.is_valid)
    assert (top.best_bid, top.best_ask) == (50000, 60000)
