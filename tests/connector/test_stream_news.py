"""Subscriptions and news: what is asked for, what confirms it, what a gap has cost, and that nothing waits for a tick."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from hlfast import clock
from hlfast.core import events as ev
from hlfast.errors import NotReady, RangeError
from hlfast.types import OrderParams, OrderState, StreamState, TradeType, Trigger
from hlfast.venues.hyperliquid.market_data import MarketData
from hlfast.venues.hyperliquid.scan import Router
from hlfast.venues.hyperliquid.user_stream import KINDS, UserStream

from ..life import Life, Wish

S = OrderState
DOCUMENTED = {"l2Book", "bbo", "trades", "orderUpdates", "userFills", "userEvents"}
"""Of the protocol's section 5.4, those that the connector reads."""


def test_ten_minutes_without_an_exchange_refuse_every_call_at_once_and_end_by_themselves():
    """L9: the state is named each time, no call waits, and the trying never ends."""
    with Life() as life:
        order = life.place(Wish("buy", -9, "0.003"))
        life.wait(100)
        life.cut(refuse_seconds=600)

        async def all_refused() -> None:
            started = clock.epoch_ns()  # made time: it stands still unless somebody waits
            for call in (
                lambda: life.hl.buy("BTC", "0.001", "49000"),
                lambda: life.hl.sell("BTC", "0.001", "51000"),
                lambda: life.hl.place([OrderParams("BTC", "0.001", "49000", TradeType.BUY)]),
                lambda: life.hl.modify(order, price="49000"),
                lambda: life.hl.cancel(order),
                life.hl.cancel_all,
            ):
                with pytest.raises(NotReady, match=r"not live \(|no connection to the venue \("):
                    call()
            assert clock.epoch_ns() == started

        for _ in range(10):
            life.wait(58_000)
            life.time.run(all_refused())
            assert life.hl.status["account_stream"] in ("DOWN", "CONNECTING") and not life.hl.ready
        life.wait(60_000)
        assert life.hl.ready and order.state is S.OPEN


class Wire:
    """A session that is open and goes nowhere."""

    is_open, state = True, StreamState.SUBSCRIBING

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: bytes) -> None:
        self.sent.append(orjson.loads(message))


ADDRESS = "0x14791697260E4c9A71f18484C9f997B308e59325"


@pytest.mark.parametrize("spelled", [ADDRESS, ADDRESS.lower(), ADDRESS.upper().replace("X", "x")])
def test_an_acknowledgement_matches_in_any_case_and_with_more_members_than_were_sent(spelled):
    """L11: the venue fills in defaults as null, and writes addresses its own way; another account's is none of ours."""
    stream = UserStream(ADDRESS, lambda update: None, lambda fill, is_snapshot: None)
    stream.session, done = Wire(), []
    stream.on_connected(lambda: done.append(True))
    for kind in KINDS:
        other = {"type": kind, "user": ADDRESS[:-1] + "9"}
        stream.on_subscription_response({"method": "subscribe", "subscription": other})
    assert not done
    for kind in KINDS:
        assert not done
        echoed = {"aggregateByTime": None, "type": kind, "user": spelled, "dex": None}
        stream.on_subscription_response({"method": "subscribe", "subscription": echoed})
    assert done == [True]


async def test_a_books_acknowledgement_with_defaults_filled_in_is_its_own(trader):
    """L11: nSigFigs, mantissa and fast come back as null though nobody sent them."""
    hl, live = await trader(), []
    market = MarketData(Router(), lambda: live.append(True))
    market.session = Wire()
    market.watch(hl.resolve("BTC"), {"l2Book"})
    market.check_live()
    assert not live
    for coin in ("ETH", "BTC"):
        echoed = {"type": "l2Book", "coin": coin, "nSigFigs": None, "mantissa": None, "fast": None}
        market.on_subscription_response({"method": "subscribe", "subscription": echoed})
        assert bool(live) is (coin == "BTC")


async def test_what_is_watched_later_gets_every_stream_and_its_funding(trader, exchange, eventually):
    """L22: book, best prices, trades and funding of a pair that was added while the connector ran."""
    hl, other = await trader(0), await trader(1, watch="ETH")
    hl.watch("ETH", trades=True)
    await hl.wait_ready(5)
    books, bests, trades, fundings = [], [], [], []
    hl.on_book("ETH", lambda book: books.append(book.best_ask))
    hl.on_bbo("ETH", lambda bbo: bests.append(bbo.ask_px))
    hl.on_trade("ETH", trades.append)
    hl.on(ev.FundingPayment, fundings.append)
    assert await other.sell("ETH", "0.1", "3500", tif="Alo").accepted()
    await eventually(lambda: 3500 in books and 3500 in bests)
    assert await hl.buy("ETH", "0.1", "3500", tif="Ioc").done() is S.FILLED
    await eventually(lambda: trades)
    assert (trades[-1].coin, trades[-1].price, trades[-1].amount) == ("ETH", 3500, Decimal("0.1"))
    exchange.change("set_oracle", "ETH", "3400")
    exchange.engine.funding._next_hour_ms = exchange.engine.time_ms
    (paid,) = await eventually(lambda: fundings)
    (row,) = exchange.truth(hl.account)["fundings"]
    assert (paid.coin, paid.amount, paid.time_ms) == ("ETH", Decimal(row["delta"]["usdc"]), row["time"])
    assert paid.amount and Decimal(paid.rate) == Decimal(row["delta"]["fundingRate"])


async def test_only_documented_streams_are_asked_for(trader, exchange):
    """L23: nothing undocumented is subscribed to by itself, whatever is watched."""
    asked: list[Any] = []
    inner = exchange._requests.on_frame

    def on_frame(link, frame):
        message = orjson.loads(frame)
        if message["method"] == "subscribe":
            asked.append(message["subscription"])
        return inner(link, frame)

    exchange._requests.on_frame = on_frame
    hl = await trader()
    hl.watch("ETH", trades=True)
    hl.watch("PURR/USDC", trades=True)
    await hl.wait_ready(5)
    assert {each["type"] for each in asked} == DOCUMENTED
    assert {key for each in asked for key in each} == {"type", "coin", "user"}


def test_what_recovered_says_is_what_the_exchange_recorded():
    """L68, G13: how long, how many fills, how many orders changed, and that both agree."""
    with Life() as life:
        told: list[ev.Recovered] = []
        life.hl.on(ev.Recovered, told.append)
        hit = life.place(Wish("buy", 2, "0.01", tif="Alo"))
        gone = life.place(Wish("buy", -9, "0.003", tif="Alo"))
        life.place(Wish("sell", -9, "0.003", tif="Alo"))
        life.wait(1_500)
        before = len(life.exchange.truth(life.hl.account)["fills"])
        life.cut(refuse_seconds=1)
        for size in ("0.002", "0.003"):
            life.others_trade("sell", size)
            life.wait(50)
        account = life.exchange.engine.accounts[life.hl.account]
        life.exchange.engine.execution.cancel(account.open[gone.exchange_order_id], "canceled")
        life.wait(4_000)
        record = life.exchange.truth(life.hl.account)
        missed = len(record["fills"]) - before
        assert missed == len(hit.fills) == 2 and gone.state is S.CANCELLED
        (recovered,) = told
        assert (recovered.fills, recovered.orders, recovered.consistent) == (missed, 1, True)
        assert 1_000 <= recovered.gap_ns / 1e6 <= 1_400, "what the exchange refused, and a step of the back-off"


def test_a_callback_comes_in_the_moment_of_its_frame():
    """L100: made time stands still between the exchange's write and the handler, so there is no tick in between."""
    with Life() as life:
        sent: dict[str, int] = {}
        heard: dict[str, int] = {}

        def note(user, channel, frame):
            sent[channel] = clock.epoch_ns()
            return True

        life.hl.on(ev.OrderCreated, lambda event: heard.setdefault("created", clock.epoch_ns()))
        life.hl.on(ev.OrderFilled, lambda event: heard.setdefault("filled", clock.epoch_ns()))
        life.hl.on(ev.OrderCompleted, lambda event: heard.setdefault("completed", clock.epoch_ns()))
        life.hl.on_book("BTC", lambda book: heard.__setitem__("book", clock.epoch_ns()))
        life.wait(30)  # out of step with every timer
        life.exchange.frame_filter = note
        life.place(Wish("buy", 2, "0.002", tif="Alo"))
        life.wait(70)
        created = sent["orderUpdates"]
        assert abs(heard["created"] - created) < 1_000_000
        life.others_trade("sell", "0.002")
        life.wait(70)
        assert sent["userFills"] > created
        assert abs(heard["filled"] - sent["userFills"]) < 1_000_000
        assert abs(heard["completed"] - sent["userFills"]) < 1_000_000
        life.wait(900)
        assert abs(heard["book"] - sent["l2Book"]) < 1_000_000
        life.exchange.frame_filter = None


async def test_a_funding_frame_is_read_field_by_field(trader, heard):
    """L55, L56: every value of the frame is another one; times are in the unit that their name says."""
    hl = await trader()
    told = heard(hl, ev.FundingPayment)
    time_ms = hl.recovery.baseline_ms + 3_600_000
    frame = {
        "channel": "user",
        "data": {
            "funding": {
                "time": time_ms,
                "coin": "ETH",
                "usdc": "-3.625417",
                "szi": "49.1477",
                "fundingRate": "0.0000417",
            }
        },
    }
    before = clock.epoch_ns()
    hl._account_router.feed(orjson.dumps(frame), before)
    (paid,) = told.events
    assert (paid.coin, paid.amount, paid.rate, paid.time_ms) == ("ETH", Decimal("-3.625417"), "0.0000417", time_ms)
    assert before <= paid.recv_ns <= clock.epoch_ns()
    assert 10**12 < paid.time_ms < 10**13 and 10**18 < paid.recv_ns < 10**19, "milliseconds and nanoseconds of this age"
    assert hl.ledger["funding"] == Decimal("-3.625417")


async def test_every_price_field_takes_the_same_way(trader):
    """L89: limit, trigger and modify accept, refuse and round alike."""
    hl = await trader()
    resting = hl.sell("BTC", "0.001", "60000", tif="Alo")
    assert await resting.accepted()
    for text in ("65000.5", "100000.5", "65000.00000001", "nan", "0", "-5"):
        refusals = []
        for call in (
            lambda text=text: hl.sell("BTC", "0.001", text),
            lambda text=text: hl.sell("BTC", "0.001", "40000", trigger=Trigger(text)),
            lambda text=text: hl.place([OrderParams("BTC", "0.001", text, TradeType.SELL)]),
            lambda text=text: hl.modify(resting, price=text),
        ):
            with pytest.raises(RangeError) as refused:
                call()
            refusals.append(str(refused.value).removeprefix("order 0 of 1: "))
        assert len(set(refusals)) == 1, refusals
    up = hl.sell("BTC", "0.001", "65000.5", rounding="passive")
    stop = hl.sell("BTC", "0.001", "40000", trigger=Trigger("45000.5"), rounding="passive", reduce_only=True)
    assert up.price == 65001 and stop.trigger_px_e8 == 45001 * 10**8
