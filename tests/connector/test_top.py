"""hl.top(): the merged top of book of a running connector."""

from __future__ import annotations

import asyncio

import pytest

from hlfast.core.features import BookFeatures, TradeFeatures
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


async def test_a_view_asked_for_late_starts_with_what_is_known(exchange, trader):
    # Given a book and a bbo that came before anybody asked, when the view is made,
    hl = await trader(0)
    bid, ask = hl.buy("BTC", "0.01", "50000", tif="Alo"), hl.sell("BTC", "0.02", "60000", tif="Alo")
    await asyncio.gather(bid.accepted(), ask.accepted())
    await until(lambda: hl.bbo("BTC").ask_px == 60000 and hl.bbo("BTC").bid_px == 50000)
    # then it has them at once.
    top = hl.top("BTC")
    assert (top.best_bid, top.best_ask) == (50000, 60000) and top.is_valid


async def test_features_are_handlers(exchange, trader):
    # Given features of books and of trades, registered as they are,
    hl = await trader(0)
    books, trades = BookFeatures("BTC", 5), TradeFeatures("BTC", 5)
    hl.on_book("BTC", books)
    hl.on_trade("BTC", trades)
    # when the market moves,
    bid, ask = hl.buy("BTC", "0.03", "50000", tif="Alo"), hl.sell("BTC", "0.01", "60000", tif="Alo")
    await asyncio.gather(bid.accepted(), ask.accepted())
    other = await trader(1)
    await other.sell("BTC", "0.01", "50000", tif="Ioc").done()
    # then they have its figures.
    await until(lambda: books.imbalance_lvl1 is not None and trades.epoch and books.bid_depth_n == 1000)
    assert books.midpoint == 55000 and books.microprice == pytest.approx(50000 + 10000 * 2 / 3)
    assert books.ofi_rolling < 0 and trades.vwap == 50000 and str(trades.volume) == "0.01"
