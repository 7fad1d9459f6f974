"""The connector's life: start, loss of the connection, return, end; and what bad news from the venue does to it."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from decimal import Decimal

import pytest

import hlfast
from hlfast.config import MAINNET, SIMULATOR_TEST_KEY, TESTNET, Network, Settings
from hlfast.core import events as ev
from hlfast.errors import ConfigError, NotReady, UnknownOutcome
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.types import OrderState, VenueMode

S = OrderState
KEY = SIMULATOR_TEST_KEY


def test_constructing_starts_nothing_and_names_the_network():
    """Behaviours 59, 61 and 75; must not 18."""
    before = threading.active_count()
    test, main = hlfast.connect("testnet", key=KEY), hlfast.connect("mainnet", key=KEY)
    assert (test.domain, main.domain, main.name) == (
        "hyperliquid_perpetual_testnet",
        "hyperliquid_perpetual",
        "hyperliquid_perpetual",
    )
    assert test.generate_client_order_id() != test.generate_client_order_id()
    assert threading.active_count() == before and not test.is_connected and not test.ready
    with pytest.raises(NotReady, match="instruments are not loaded"):
        test.buy("BTC", 1, 1)
    del test, main
    gc.collect()


def test_no_address_of_the_test_network_points_to_the_main_one():
    """Behaviour 76; must not 6."""
    assert "testnet" in TESTNET.http_url and "testnet" in TESTNET.ws_url and not TESTNET.is_mainnet
    assert MAINNET.http_url != TESTNET.http_url and MAINNET.ws_url != TESTNET.ws_url
    connector = hlfast.connect("testnet", key=KEY)
    assert connector.entry.is_mainnet is False


@pytest.mark.parametrize(
    ("network", "options", "text"),
    [
        ("moon", {}, "mainnet, testnet, simulator"),
        ("mainnet", {}, "needs a key"),
        ("testnet", {"key": "0x14791697260e4c9a71f18484c9f997b308e59325"}, "looks like an address"),
        ("testnet", {"key": "0x1234"}, "32 bytes"),
        ("testnet", {"key": KEY, "vault": "0x12"}, "40 hex digits"),
        ("testnet", {"key": KEY, "account": "me"}, "40 hex digits"),
    ],
)
def test_wrong_settings_say_what_would_be_right(network, options, text):
    """Bad input: wrong key, an address given as key, an unknown network (L123)."""
    with pytest.raises(ConfigError, match=text) as caught:
        hlfast.connect(network, **options)
    assert KEY[2:] not in str(caught.value)


def test_plain_text_beyond_this_machine_is_refused():
    with pytest.raises(ConfigError, match="not encrypted"):
        Network("http://10.0.0.1:8000", "ws://10.0.0.1:8000/ws", False)


async def test_an_exchange_that_is_down_is_told_at_once():
    """Bad input: exchange down."""
    with pytest.raises(NotReady, match="hlfast sim"):
        async with hlfast.connect(Network("http://127.0.0.1:9", "ws://127.0.0.1:9/ws", False)):
            pass


async def test_initialize_connect_disconnect_and_again(exchange):
    """Behaviours 8 and 35: connected and ready follow each step; nothing is left running."""
    hl = hlfast.connect(exchange.network)
    await hl.initialize()
    assert hl.trading_rules["BTC"].sz_decimals == 5 and not hl.is_connected
    for _ in range(2):
        await hl.connect()
        await hl.wait_ready(5)
        assert hl.is_connected and hl.ready and hl.status["ready"]
        order = hl.buy("BTC", "0.001", "50000")
        assert await order.accepted()
        await hl.disconnect()
        assert not hl.is_connected and not hl.ready
        with pytest.raises(NotReady):
            hl.buy("BTC", "0.001", "50000")
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("hlfast-")]


async def test_a_connector_that_does_not_become_ready_says_why(exchange, monkeypatch):
    hl = hlfast.connect(exchange.network)
    exchange.frame_filter = lambda user, channel, frame: channel != "subscriptionResponse"
    await hl.initialize()
    await hl.connect()
    try:
        with pytest.raises(NotReady, match=r"not ready after 0.3 s.*account SUBSCRIBING"):
            await hl.wait_ready(0.3)
    finally:
        await hl.disconnect()


async def test_a_lost_acknowledgement_is_asked_for_again(exchange, heard):
    """C3, L2, behaviour 39: subscriptions are confirmed, else sent again."""
    lost = []

    def lose_the_first(user, channel, frame):
        if channel == "subscriptionResponse" and len(lost) < 4:
            lost.append(frame)
            return False
        return True

    exchange.frame_filter = lose_the_first
    async with hlfast.connect(exchange.network) as hl:
        hl.watch("BTC")
        await hl.wait_ready(8)
    assert len(lost) == 4


async def test_an_agent_given_as_the_account_is_named(open_exchange):
    """L19, L76: an agent has no orders of its own; the right address is said."""
    agent = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
    key = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
    master = FUNDED_ACCOUNTS[0].address
    exchange = await open_exchange(agents={agent: master})
    with pytest.raises(ConfigError, match=f"is an agent .* of {master}.*account="):
        async with hlfast.connect(exchange.network, key=key):
            pass
    async with hlfast.connect(exchange.network, key=key, account=master) as hl:
        order = hl.buy("BTC", "0.001", "50000")
        assert await order.accepted() and exchange.truth(master)["orders"][0]["cloid"] == order.cloid


async def test_cut_sockets_come_back_with_their_subscriptions_and_orders(trader, exchange, heard, eventually):
    """C1, C3, G13, G14, L1, L12, behaviours 42 and 78: down is told, nothing is queued, all is asked for again."""
    hl = await trader()
    told = heard(hl, ev.StreamStatus, ev.Recovered)
    resting = hl.buy("BTC", "0.001", "50000", tif="Alo")
    assert await resting.accepted()
    await exchange.cut(refuse_seconds=0.5)
    await eventually(lambda: not hl.is_connected)
    assert hl.book("BTC").is_stale and not hl.book("BTC").is_valid and not hl.ready
    with pytest.raises(NotReady, match="refused while the account's stream is not live"):
        hl.buy("BTC", "0.001", "49000")
    with pytest.raises(NotReady, match="nothing is queued"):
        hl.cancel(resting)
    await hl.wait_ready(5)
    assert hl.market.coins == ["BTC"] and hl.book("BTC").is_stale is False
    states = [e.state for e in told.events if isinstance(e, ev.StreamStatus) and e.stream == "account"]
    assert states[0] == "DOWN" and states[-3:] == ["SUBSCRIBING", "SYNCING", "LIVE"]
    (recovered,) = await eventually(lambda: told.of(ev.Recovered))
    assert recovered.gap_ns > 400_000_000 and recovered.consistent
    assert [row["status"] for row in exchange.truth(hl.account)["orders"]] == ["open"], "nothing was sent while down"
    assert hl.cancel(resting) and await resting.done() is S.CANCELLED


async def test_fills_and_cancels_during_an_outage_are_told_once(trader, exchange, heard, eventually):
    """L3, L6, G7, G10, behaviour 129: what happened while nobody listened is found by asking, once."""
    hl, other = await trader(0), await trader(1)
    hit = hl.buy("BTC", "0.003", "50000", tif="Gtc")
    gone = hl.buy("BTC", "0.001", "40000", tif="Gtc")
    assert await hit.accepted() and await gone.accepted()
    told = heard(hl)
    await hl._account_session.stop()
    sale = other.sell("BTC", "0.002", "50000", tif="Ioc")
    assert await sale.done() is S.FILLED
    exchange.engine.execution.cancel(exchange.engine.accounts[hl.account].open[gone.exchange_order_id], "canceled")
    hl._account_session.start()
    await eventually(lambda: gone.is_done and hit.filled_amount == Decimal("0.002"))
    assert await gone.done() is S.CANCELLED and hit.state is S.PARTIALLY_FILLED
    assert told.names(hit) == ["OrderFilled"] and told.names(gone) == ["OrderCancelled"]
    rest = other.sell("BTC", "0.001", "50000", tif="Ioc")
    assert await rest.done() is S.FILLED and await hit.done() is S.FILLED
    assert told.names(hit) == ["OrderFilled", "OrderFilled", "OrderCompleted"]
    assert hl.ledger["cash"] == Decimal(exchange.truth(hl.account)["cash"])
    assert hl.positions["BTC"].signed_size == Decimal("0.003")


async def test_an_order_whose_answer_is_lost_is_unresolved_and_then_settled(trader, exchange, heard, eventually):
    """G8, L24, behaviour 125: no failed event for an order that lives."""
    hl = await trader(settings=Settings(post_timeout_ms=150))
    told = heard(hl, ev.OrderEvent, ev.ConnectorError)
    exchange.frame_filter = lambda user, channel, frame: not (channel in ("post", "orderUpdates") and "oid" in frame)
    order = hl.buy("BTC", "0.001", "50000")
    await eventually(lambda: order.unresolved)
    assert order.state is S.PENDING_SUBMIT and not order.is_done
    exchange.frame_filter = None
    assert await order.accepted() and order.state is S.OPEN
    await eventually(lambda: not order.unresolved)
    assert [type(e).__name__ for e in told.of(ev.OrderCreated)] == ["OrderCreated"]
    assert next(e.code for e in told.of(ev.ConnectorError)) == "unknown_outcome"
    assert not told.of(ev.OrderFailed)


async def test_an_order_that_never_arrived_is_proven_absent(trader, exchange, heard, eventually):
    """G9, behaviour 125: its nonce is burnt, and only then it has failed; once."""
    hl = await trader(settings=Settings(post_timeout_ms=100))
    told = heard(hl)
    submit = exchange.engine.submit
    lost = []

    def lose_orders(signed, reply):
        if signed.kind == "order" and not lost:
            lost.append(signed)
            return
        submit(signed, reply)

    exchange.engine.submit = lose_orders
    order = hl.buy("BTC", "0.001", "50000")
    assert await asyncio.wait_for(order.done(), 5) is S.FAILED
    assert lost and "proven absent" in order.reason
    assert told.names(order) == ["OrderFailed"]
    assert not exchange.truth(hl.account)["orders"]
    exchange.engine.submit = submit
    exchange.engine.submit(lost[0], lambda answer: lost.append(answer))
    await eventually(lambda: len(lost) > 1)
    assert "duplicate nonce" in str(lost[1]), "the lost action can never execute"


async def test_a_cancel_right_after_its_order_goes_by_cloid(trader, open_exchange, heard, eventually):
    """Behaviour 126: the order needs no id of the venue to be cancelled, and others are not held up.

    In one block the venue takes post-only orders, then cancels, then others: a cancel overtakes a Gtc order.
    """
    slow = await open_exchange(block_ms=120)
    hl = await trader(on=slow)
    told = heard(hl)
    order, other = hl.buy("BTC", "0.001", "50000", tif="Alo"), hl.buy("BTC", "0.001", "49000", tif="Alo")
    assert order.exchange_order_id is None and hl.cancel(order) is True and order.state is S.PENDING_CANCEL
    assert await other.accepted() and await order.done() is S.CANCELLED
    overtaken = hl.buy("BTC", "0.001", "48000", tif="Gtc")
    assert hl.cancel(overtaken) is True
    await eventually(lambda: overtaken.state is S.OPEN)
    assert told.names(overtaken) in (["OrderCancelRejected", "OrderCreated"], ["OrderCreated", "OrderCancelRejected"])
    assert hl.cancel(overtaken) and await overtaken.done() is S.CANCELLED


async def test_orders_placed_elsewhere_are_seen_and_left_alone(trader, heard, eventually):
    """Architecture, section 7: external orders are tracked read-only; they count as nobody's own."""
    first = await trader(0)
    second = await trader(0, key=FUNDED_ACCOUNTS[0].key)
    told = heard(second)
    order = first.buy("BTC", "0.001", "50000")
    await order.accepted()
    (external,) = await eventually(lambda: second.tracker.external_orders)
    assert external.is_external and (external.cloid, external.amount) == (order.cloid, order.amount)
    assert external.price == 50000 and second.orders == [] and second.cancel_all() == 0
    assert told.names(external) == ["OrderCreated"]
    first.cancel(order)
    await order.done()
    await eventually(lambda: not second.tracker.external_orders)
    third = await trader(0, key=FUNDED_ACCOUNTS[0].key)
    assert third.tracker.external_orders == []


async def test_garbage_from_the_venue_is_reported_and_survived(trader, heard, eventually):
    """Bad input: garbage and truncated frames, unknown channels and statuses (G19, L14, behaviours 20 and 127)."""
    hl = await trader()
    told = heard(hl, ev.ConnectorError)
    order = hl.buy("BTC", "0.001", "50000")
    assert await order.accepted()
    row = (
        '{"channel":"orderUpdates","data":[{"order":{"coin":"BTC","side":"B","limitPx":"50000.0","sz":"0.001",'
        f'"oid":{order.exchange_order_id},"timestamp":1,"origSz":"0.001","cloid":"{order.cloid}"}},'
        '"status":"frozenByMoonlight","statusTimestamp":1}]}'
    )
    for frame in (
        b"\x00\xff garbage",
        b'{"channel":"l2Book","data":{"coin":"BTC","ti',
        b'{"channel":"newThing","data":1}',
        row.encode(),
    ):
        hl._account_router.feed(frame)
    codes = [e.code for e in told.events]
    assert codes.count("malformed") == 2 and "unknown_channel" in codes and "unknown_status" in codes
    assert order.state is S.OPEN and order.query_due, "left as it was, and asked about"
    await eventually(lambda: not order.query_due)
    assert hl.cancel(order) and await order.done() is S.CANCELLED


async def test_mark_oracle_and_funding_come_as_events_and_again_after_a_cut(exchange, trader, heard, eventually):
    """C3: the stream of a perp's context, each figure from its own field; a spot pair has none."""
    hl = await trader(0, watch="")
    told = heard(hl, ev.AssetContext)
    hl.watch("BTC", context=True)
    event = await eventually(lambda: told.events and told.events[-1])
    meta, contexts = await hl.info.request("metaAndAssetCtxs")
    context = contexts[[row["name"] for row in meta["universe"]].index("BTC")]
    figures = (event.mark_price, event.oracle_price, event.funding_rate, event.open_interest)
    assert [str(x) for x in figures] == [context[k] for k in ("markPx", "oraclePx", "funding", "openInterest")]
    await exchange.cut()
    told.events.clear()
    assert (await eventually(lambda: told.events))[0].coin == "BTC"
    with pytest.raises(ConfigError, match="spot pair"):
        hl.watch("@107", context=True)


async def test_handlers_that_raise_or_call_back_break_nothing(trader, heard, eventually):
    """G12, L120, behaviours 37 and 131: in each position, for hot and cold events."""
    maker, hl = await trader(0), await trader(1)
    seen, errors = [], []
    hl.on(ev.ConnectorError, errors.append)

    def bad(event):
        raise ValueError("mine")

    def calls_back(event):
        seen.append(hl.get_order(event.client_order_id))
        hl.cancel(event.order)

    async def slow(event):
        await asyncio.sleep(0)
        seen.append("slow")

    hl.on(ev.OrderCreated, bad)
    hl.on(ev.OrderCreated, calls_back)
    hl.on(ev.OrderCreated, slow)
    books = []
    hl.on_book("BTC", bad)
    hl.on_book("BTC", books.append)
    order = hl.buy("BTC", "0.001", "50000")
    assert await order.done() is S.CANCELLED
    await eventually(lambda: "slow" in seen)
    assert seen[0] is order
    maker.buy("BTC", "0.001", "40000")
    await eventually(lambda: books)
    assert {e.code for e in errors} == {"handler_error"} and "mine" in errors[0].text
    with pytest.raises(ConfigError, match="coroutine function"):
        hl.on_book("BTC", slow)


async def test_one_silent_book_turns_stale_alone_and_is_asked_for_again(trader, exchange, eventually):
    """C2, L4: the socket is healthy, the other books go on; within twice the limit, and back by itself."""
    hl = await trader(0, settings=Settings(book_max_age_ms=500, backoff_min=0.02, backoff_max=0.2))
    hl.watch("ETH")
    await hl.wait_ready(5)
    exchange.frame_filter = lambda user, channel, frame: not (channel == "l2Book" and '"coin":"ETH"' in frame)
    await eventually(lambda: hl.book("ETH").is_stale, 1.0)
    assert not hl.book("BTC").is_stale and not hl.ready and "ETH" in hl.status["why_not_ready"]
    assert hl.is_connected and hl.counters["silent_books"] == 1
    exchange.frame_filter = None
    await eventually(lambda: hl.ready)
    assert not hl.book("ETH").is_stale and hl.counters["market_connections"] == 1


async def test_watching_and_unwatching(trader, exchange, eventually):
    """Behaviours 36 and 104, L13: no duplicates, none left over, old callbacks silent, unknown names refused."""
    hl = await trader()
    hl.watch("BTC")
    hl.watch("ETH", trades=True)
    await hl.wait_ready(5)
    assert sorted(hl.market.coins) == ["BTC", "ETH"]
    old, new = [], []
    remove = hl.on_bbo("BTC", old.append)
    remove()
    remove()
    hl.on_bbo("BTC", new.append)
    hl.buy("BTC", "0.001", "50000")
    await eventually(lambda: new)
    assert not old and hl.bbo("BTC").bid_px == 50000
    hl.unwatch("ETH")
    hl.unwatch("ETH")
    with pytest.raises(ConfigError, match=r"watch\('ETH'\) first"):
        hl.book("ETH")
    with pytest.raises(ConfigError, match="BTC"):
        hl.watch("BTX")
    with pytest.raises(ConfigError, match="asks for nothing"):
        hl.watch("SOL", book=False, bbo=False)


async def test_trades_reach_their_handlers(trader, eventually):
    """Must not 32: every trade of an array."""
    maker, hl = await trader(0), await trader(1)
    seen = []
    hl.on_trade("BTC", lambda trade: seen.append((trade.px_e8 // 10**8, trade.amount, trade.side)))
    for price in (50000, 50001, 50002):
        await maker.sell("BTC", "0.001", price, tif="Alo").accepted()
    order = hl.buy("BTC", "0.003", "50002", tif="Ioc")
    assert await order.done() is S.FILLED
    await eventually(lambda: len(seen) == 3)
    assert sorted(seen) == [(price, Decimal("0.001"), "B") for price in (50000, 50001, 50002)]


async def test_spot_orders_book_tokens_and_fees(trader, open_exchange, eventually):
    """Behaviour 134: the fee of a spot buy is in the base token, that of a sell in the quote token."""
    busy = await open_exchange(traders=True)
    hl = await trader(on=busy, watch="PURR/USDC")
    bought = hl.buy("PURR/USDC", 100)
    assert await bought.done() is S.FILLED and set(bought.fees) == {"PURR"}
    sold = hl.sell("PURR/USDC", 60)
    assert await sold.done() is S.FILLED and set(sold.fees) == {"USDC"}
    record = busy.truth(hl.account)
    own = {token: amount for token, amount in hl.ledger["spot"].items() if amount}
    assert own == {token: Decimal(row["total"]) for token, row in record["spot"].items() if Decimal(row["total"])}
    assert hl.ledger["fees"] == {token: Decimal(fee) for token, fee in record["fees"].items() if Decimal(fee)}


async def test_a_query_without_an_answer_is_told_apart_from_a_failure(trader, exchange):
    hl = await trader(settings=Settings(post_timeout_ms=100))
    exchange.frame_filter = lambda user, channel, frame: channel != "post"
    with pytest.raises(UnknownOutcome, match="no answer within 100 ms"):
        await hl.info.all_mids()


async def test_two_connectors_of_one_key_never_share_a_nonce(trader, exchange):
    """G15, L70."""
    one, two = await trader(0), await trader(0)
    orders = [hl.buy("BTC", "0.001", 40000 + i) for i in range(30) for hl in (one, two)]
    assert len({o.nonce for o in orders}) == 60
    assert all([await o.accepted() for o in orders])


async def test_a_silent_market_and_an_idle_minute_cost_nothing(trader, exchange):
    """L95: no background request beyond the account's refresh."""
    hl = await trader()
    before = exchange.engine.actions_seen, dict(hl.limits.spent_on)
    await asyncio.sleep(0.5)
    assert (exchange.engine.actions_seen, dict(hl.limits.spent_on)) == before


def test_the_simulators_key_is_public_and_still_not_shown():
    connector = hlfast.connect("simulator")
    assert connector.signer.address == FUNDED_ACCOUNTS[0].address and KEY[2:] not in repr(connector)


async def test_an_upgrade_is_a_state_that_passes_by_itself(trader, exchange, eventually):
    """C9, L7, L38: given an upgrade (sockets cut, 503, then a post-only window), strategies see each mode, and it ends unattended."""
    hl = await trader()
    modes = []
    hl.on(ev.StreamStatus, lambda event: modes.append(event.state) if event.stream == "venue" else None)
    exchange.start_drill(0.7, 2.5)
    await eventually(lambda: hl.venue_mode is VenueMode.UNAVAILABLE)
    await eventually(lambda: hl.ready and hl.venue_mode is VenueMode.POST_ONLY, 10)
    refused = hl.buy("BTC", "0.001", "50000")
    assert not await refused.accepted() and refused.reject.code == "post_only_window"
    assert await hl.buy("BTC", "0.001", "50000", tif="Alo").accepted()
    before = hl.limits.spent_on["query exchangeStatus"]
    await eventually(lambda: hl.venue_mode is VenueMode.NORMAL, 10)
    assert modes == ["UNAVAILABLE", "POST_ONLY", "NORMAL"]
    assert hl.limits.spent_on["query exchangeStatus"] - before <= 2 * 5  # weight 2, once a second
    assert await hl.buy("BTC", "0.001", "50000").accepted()
    asked = hl.limits.spent_on["query exchangeStatus"]
    await asyncio.sleep(1.3)
    assert hl.limits.spent_on["query exchangeStatus"] == asked  # nothing is asked in normal times


async def test_a_refusal_that_names_the_window_opens_it_and_other_words_are_shown(trader, exchange, eventually):
    """C9: an order's refusal is news of the mode; a special status of another kind is RESTRICTED with the venue's words."""
    hl = await trader()
    exchange.open_post_only(1.0)
    assert not await hl.buy("BTC", "0.001", "50000").accepted()
    assert hl.venue_mode is VenueMode.POST_ONLY
    hl.venue._ask = _says("Maintenance at noon")
    await hl.venue.look()
    assert hl.venue_mode is VenueMode.RESTRICTED and hl.status["venue_mode"] == "RESTRICTED"
    assert hl.venue.reason == "Maintenance at noon"
    hl.venue._ask = _says(None)
    await eventually(lambda: hl.venue_mode is VenueMode.NORMAL, 3)


def _says(special):
    async def ask():
        return {"time": 1, "specialStatuses": special}

    return ask


async def test_a_conflated_handler_is_called_once_for_the_frames_at_hand(trader, exchange, eventually):
    """C6: given frames that came together, a conflated handler hears of the newest state once, the other one of each."""
    hl = await trader()
    each, conflated = [], []
    hl.on_bbo("BTC", lambda bbo: each.append(bbo.bid_px))
    remove = hl.on_bbo("BTC", lambda bbo: conflated.append(bbo.bid_px), conflate=True)
    frame = '{"channel":"bbo","data":{"coin":"BTC","time":%d,"bbo":[{"px":"%d.0","sz":"1.0","n":1},null]}}'
    start = 2_000_000_000_000
    for n in range(1000):
        hl._market_router.feed((frame % (start + n, 50_000 + n)).encode(), 1)
    assert len(each) == 1000 and conflated == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert conflated == [50_999]
    hl._market_router.feed((frame % (start + 2000, 7)).encode(), 1)
    await eventually(lambda: conflated[-1] == 7)
    remove()
    hl._market_router.feed((frame % (start + 3000, 8)).encode(), 1)
    await asyncio.sleep(0.02)
    assert conflated == [50_999, 7]


async def test_a_conflated_handler_that_raises_is_reported(trader, eventually):
    """G12."""
    hl = await trader()
    told = []
    hl.on(ev.ConnectorError, lambda event: told.append(event.text))

    def broken(book):
        raise RuntimeError("conflated")

    hl.on_book("BTC", broken, conflate=True)
    frame = (
        b'{"channel":"l2Book","data":{"coin":"BTC","time":2000000000000,"levels":[[{"px":"1.0","sz":"1.0","n":1}],[]]}}'
    )
    hl._market_router.feed(frame, 1)
    await eventually(lambda: told)
    assert "RuntimeError: conflated" in told[0]


async def test_sockets_send_at_once_and_the_order_path_is_warm(trader):
    """Nagle's delay is off on both sockets; signing and encoding ran before the first order, and nothing of it was sent."""
    hl = await trader()
    for session in (hl._market_session, hl._account_session):
        sock = session.listener.transport.underlying_transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert hl.entry.orders_sent == 0 and hl.orders == [] and hl.entry.in_flight == 0
    hl.entry.warm_up(3)
    assert await hl.buy("BTC", "0.001", "50000", tif="Alo").accepted()


async def test_a_handler_that_raises_on_every_frame_does_not_drown_the_log(trader, caplog):
    """G12: each failure is an event; the log has its traceback once, then the count at 2, 4, 8 ..."""
    hl = await trader()
    told = []
    hl.on(ev.ConnectorError, told.append)

    def broken(bbo):
        raise ValueError("each time")

    hl.on_bbo("BTC", broken)
    frame = '{"channel":"bbo","data":{"coin":"BTC","time":%d,"bbo":[{"px":"5.0","sz":"1.0","n":1},null]}}'
    for n in range(100):
        hl._market_router.feed((frame % (2_000_000_000_000 + n)).encode(), 1)
    errors = [record for record in caplog.records if "handler failed" in record.message]
    assert len(told) == 100 and len(errors) == 7
    assert errors[0].exc_info and not any(record.exc_info for record in errors[1:])
    assert "64 times by now" in errors[-1].message


async def test_a_cancel_that_is_late_is_not_told_as_refused(trader, heard, exchange, eventually):
    """G8: asked before the cancel is executed, the venue lists the order; that proves nothing yet."""
    hl = await trader(settings=Settings(post_timeout_ms=100, backoff_min=0.02, backoff_max=0.2, hold_ms=500))
    told = heard(hl)
    order = hl.buy("BTC", "0.002", "50000", tif="Alo")
    assert await order.accepted()
    submit, late = exchange.engine.submit, []
    exchange.engine.submit = lambda signed, reply: (
        late.append((signed, reply)) if signed.kind == "cancelByCloid" and not late else submit(signed, reply)
    )
    assert hl.cancel(order)
    await eventually(lambda: late and order.unresolved)
    await asyncio.sleep(0.4)  # it has been asked about
    assert order.state is OrderState.PENDING_CANCEL and "OrderCancelRejected" not in told.names(order)
    submit(*late[0])
    assert await order.done() is OrderState.CANCELLED
    assert told.names(order) == ["OrderCreated", "OrderCancelled"]


async def test_a_cancel_that_never_arrived_is_told_as_refused_after_some_looks(trader, heard, exchange, eventually):
    """G8: three looks over at least a second show the order live: the cancel is lost, and the order goes on."""
    hl = await trader(settings=Settings(post_timeout_ms=100, backoff_min=0.02, backoff_max=0.2, hold_ms=500))
    told = heard(hl)
    order = hl.buy("BTC", "0.002", "50000", tif="Alo")
    assert await order.accepted()
    exchange.faults.arm("lost_request", channel="cancelByCloid")
    assert hl.cancel(order)
    await eventually(lambda: order.state is OrderState.OPEN)
    assert not order.unresolved and told.names(order) == ["OrderCreated", "OrderCancelRejected"]
    assert hl.cancel(order) and await order.done() is OrderState.CANCELLED
