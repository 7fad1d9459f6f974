"""The drop-in's WebSockets: subscriptions that survive, callbacks that keep their thread, what a drop missed.

S14: the official SDK has no test of its WebSocket; these run over real sockets, against a far end that misbehaves and
against the local exchange.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hlfast.compat.hyperliquid as hl
from hlfast.compat.hyperliquid import gaps, sockets
from hlfast.compat.hyperliquid.exchange import Exchange
from hlfast.compat.hyperliquid.info import Info
from hlfast.compat.hyperliquid.sockets import Stream
from hlfast.compat.hyperliquid.websocket_manager import (
    ActiveSubscription,
    WebsocketManager,
    subscription_to_identifier,
    ws_msg_to_identifier,
)
from hlfast.net.session import ConnectionBudget
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.venues.hyperliquid.sign import Signer

from .calls import META, SPOT_META
from .ws_end import WsEnd

ALICE, BOB = (account.address for account in FUNDED_ACCOUNTS[:2])
GTC = {"limit": {"tif": "Gtc"}}
BBO = {"type": "bbo", "coin": "ETH"}


def bbo(coin: str = "ETH", n: int = 1) -> Any:
    level = {"px": "1", "sz": "1", "n": n}
    return {"channel": "bbo", "data": {"coin": coin, "time": n, "bbo": [level, level]}}


def update(oid: int, status: str = "open") -> Any:
    order = {"coin": "ETH", "side": "B", "limitPx": "1", "sz": "1", "oid": oid, "timestamp": 1, "origSz": "1"}
    return {"channel": "orderUpdates", "data": [{"order": order, "status": status, "statusTimestamp": 5}]}


@pytest.fixture(autouse=True)
def _unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue's 30 new connections a minute hold for the whole process: these tests make more."""
    monkeypatch.setattr(sockets.reader(), "budget", ConnectionBudget(per_minute=10_000))


@pytest.fixture
def far() -> Iterator[WsEnd]:
    with WsEnd() as end:
        yield end


@pytest.fixture
def manage() -> Iterator[Callable[..., Any]]:
    """`manage(url)`: a started manager; all are stopped with the test."""
    running: list[Any] = []

    def start(url: str, cls: Any = WebsocketManager) -> Any:
        running.append(cls(url))
        running[-1].start()
        return running[-1]

    yield start
    for manager in running:
        manager.stop()
        manager.join(20)
        assert not manager.is_alive()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches that bite within tests' patience."""
    monkeypatch.setattr(sockets, "ACK_SECONDS", 0.2)
    monkeypatch.setattr(sockets, "WATCH_SECONDS", 0.05)


def heard(manager: Any, subscription: Any) -> queue.Queue[Any]:
    box: queue.Queue[Any] = queue.Queue()
    manager.subscribe(subscription, box.put)
    return box


def subscribed(far: WsEnd, count: int, connections: int = 1) -> Callable[[], bool]:
    """Whether the open connections have asked for `count` streams in all."""
    return lambda: (
        len(far.open_peers()) == connections and sum(len(far.subscriptions(p)) for p in far.open_peers()) == count
    )


# -- staying up -----------------------------------------------------------------------------------------------------------
def test_a_dropped_connection_comes_back_with_every_callback_and_id(far, manage, eventually):
    """S2, L1, C1: the original's thread ends and its subscribers get silence."""
    manager = manage(far.url)
    states: list[str] = []
    manager.on_status(lambda state, reason: states.append(state))
    box, ids = heard(manager, BBO), []
    ids.append(manager.subscribe({"type": "trades", "coin": "ETH"}, print))
    for n in range(3):
        eventually(subscribed(far, 2))
        far.push(bbo(n=n))
        assert box.get(timeout=20) == bbo(n=n)
        far.cut()
        eventually(lambda n=n: not far.open_peers() or len(far.peers) > n + 1)
    eventually(subscribed(far, 2))
    assert manager.is_alive() and manager.ws_ready and manager.unsubscribe({"type": "trades", "coin": "ETH"}, ids[0])
    assert states.count("DOWN") >= 3 and box.empty()


def test_early_subscriptions_are_sent_once_a_connection(far, manage, eventually):
    """S9, L13: the original's queue of early ones is never emptied: a second opening sends them twice."""
    manager = WebsocketManager(far.url)
    box: queue.Queue[Any] = queue.Queue()
    assert [manager.subscribe({"type": "bbo", "coin": c}, box.put) for c in ("ETH", "BTC")] == [1, 2]
    assert len(manager.queued_subscriptions) == 2 and not manager.ws_ready and manager.subscription_id_counter == 2
    with pytest.raises(NotImplementedError, match="Can't unsubscribe before websocket connected"):
        manager.unsubscribe({"type": "bbo", "coin": "ETH"}, 1)
    manager.start()
    try:
        for connection in range(3):
            eventually(lambda c=connection: len(far.peers) > c and len(far.subscriptions(c)) == 2)
            far.push(bbo())
            assert box.get(timeout=20) == bbo()
            assert manager.queued_subscriptions == []
            assert far.subscriptions(connection) == [{"type": "bbo", "coin": "ETH"}, {"type": "bbo", "coin": "BTC"}]
            far.cut()
    finally:
        manager.stop()
        manager.join(20)


def test_pings_are_sent_in_time_and_a_mute_peer_is_replaced(monkeypatch, manage, eventually):
    """S19, L21, C2: within 20 s (the original: 50); a pong that does not come ends the connection."""
    assert sockets.PING_SECONDS <= 20
    monkeypatch.setattr(sockets, "PING_SECONDS", 0.05)
    monkeypatch.setattr(sockets, "PONG_SECONDS", 0.3)
    with WsEnd() as far:
        manager = manage(far.url)
        heard(manager, BBO)
        eventually(lambda: far.peers and len([m for m in far.peers[0].messages if m["method"] == "ping"]) > 10)
        assert len(far.peers) == 1
        far.pongs = False
        eventually(lambda: len(far.peers) > 1)
        far.pongs = True
        eventually(lambda: far.open_peers() and far.subscriptions(far.open_peers()[0]) == [BBO])


def test_a_stream_that_should_speak_and_does_not_is_asked_for_anew_then_its_connection_is_replaced(
    far, manage, quick, eventually
):
    """S19, L4, C2: each l2Book, mids and context stream by its own age; a silent bbo is not stale."""
    hl.configure(stale_after=0.5)
    manager = manage(far.url)
    told: list[str] = []
    manager.on_status(lambda state, reason: told.append(f"{state} {reason}"))
    box = heard(manager, {"type": "l2Book", "coin": "ETH"})
    heard(manager, BBO)
    eventually(subscribed(far, 2))
    far.push({"channel": "l2Book", "data": {"coin": "ETH", "levels": [[], []], "time": 1}})
    assert box.get(timeout=20)
    eventually(lambda: len(far.subscriptions(0)) == 3)
    assert far.subscriptions(0, "unsubscribe") == [{"type": "l2Book", "coin": "ETH"}]
    eventually(lambda: len(far.peers) > 1)
    assert any(t.startswith("STALE l2Book:eth") for t in told) and not any("bbo" in t for t in told)


def test_a_subscription_without_an_answer_is_sent_again(manage, quick, eventually):
    """S3, C3: until it is acknowledged or brings data."""
    with WsEnd(acks=False) as far:
        manager = manage(far.url)
        box = heard(manager, BBO)
        eventually(lambda: far.peers and len(far.subscriptions(0)) >= 3)
        far.push(bbo())
        box.get(timeout=20)
        eventually(lambda: all(stream.confirmed for stream in manager._streams.values()))
        count = len(far.subscriptions(0))
        time.sleep(0.6)
        assert len(far.subscriptions(0)) == count


def test_stopping_is_final_also_from_a_callback_and_leaves_no_socket(far, manage, eventually):
    """C7, L13: idempotent; no reconnect afterwards; the script may end."""
    manager = manage(far.url)
    manager.subscribe(BBO, lambda frame: manager.stop())
    eventually(subscribed(far, 1))
    assert manager.ws.sock.connected and manager.ws.keep_running and not manager.daemon
    far.push(bbo())
    manager.join(20)
    manager.stop()
    assert not manager.is_alive() and not manager.ping_sender.is_alive() and not manager.ws.keep_running
    eventually(lambda: not far.open_peers())
    time.sleep(0.5)
    assert len(far.peers) == 1 and not manager.ws.sock.connected
    with pytest.raises(ConnectionError, match="nothing was sent"):
        manager.ws.send("{}")


def test_the_first_frame_may_be_plain_text_and_strange_ones_do_no_harm(far, manage, eventually, capsys, caplog):
    """S4, L14, G19: no output; one WARNING a channel, counted; the loop lives."""
    manager = manage(far.url)
    box = heard(manager, BBO)
    eventually(subscribed(far, 1))
    for _ in range(3):
        far.push({"channel": "strange", "data": 1}, {"channel": "trades", "data": [{"coin": "SOL"}]}, bbo("SOL"))
    odd = (
        "not json",
        "[1]",
        '{"no":"channel"}',
        {"channel": "l2Book", "data": None},
        {"channel": "trades", "data": []},
    )
    far.push(*odd, {"channel": "bbo", "data": {"coin": 5}}, bbo())
    assert box.get(timeout=20) == bbo()
    assert manager.unexpected["strange"] == 3 and manager.unexpected["bbo"] == 4
    warned = [r for r in caplog.records if "are not delivered" in r.getMessage()]
    assert len([r for r in warned if "'strange'" in r.getMessage()]) == 1
    assert capsys.readouterr().out == "" and {r.name.split(".")[0] for r in caplog.records} == {"hlfast"}


def test_error_frames_reach_their_subscription_the_log_and_who_listens(far, manage, quick, eventually, caplog):
    """S3, L10, C4: the original drops them at DEBUG."""
    far.acks = False
    manager = manage(far.url)
    told: list[Any] = []
    manager.on_error_frame(lambda text, subscription: told.append((text, subscription)))
    heard(manager, BBO)
    eventually(lambda: far.peers and far.subscriptions(0))
    text = 'Invalid subscription {"type":"bbo","coin":"ETH"}'
    far.push({"channel": "error", "data": text})
    eventually(lambda: told)
    far.push({"channel": "error", "data": "Cannot track more than 10 total users."})
    eventually(lambda: len(told) == 2)
    assert told == [(text, BBO), ("Cannot track more than 10 total users.", None)]
    assert [r.levelname for r in caplog.records if "the venue says" in r.getMessage()] == ["WARNING", "WARNING"]
    count = len(far.subscriptions(0))
    time.sleep(0.5)
    assert len(far.subscriptions(0)) == count  # what was refused is not asked for again


# -- callbacks ------------------------------------------------------------------------------------------------------------
def test_callbacks_run_on_the_managers_thread_in_order_and_a_blocking_one_stops_no_pings(
    monkeypatch, far, manage, eventually
):
    """S20: reading and pings go on elsewhere; the original's reader is the callback's thread."""
    monkeypatch.setattr(sockets, "PING_SECONDS", 0.05)
    manager = manage(far.url)
    seen: list[Any] = []
    go_on = threading.Event()

    def callback(frame: Any) -> None:
        seen.append((threading.current_thread() is manager, frame["data"]["time"]))
        assert go_on.wait(20)

    manager.subscribe(BBO, callback)
    eventually(subscribed(far, 1))
    far.push(*(bbo(n=n) for n in range(50)))
    eventually(lambda: seen)
    pings = len(far.peers[0].messages)
    eventually(lambda: len(far.peers[0].messages) > pings + 3)
    assert len(far.peers) == 1 and len(seen) == 1
    go_on.set()
    eventually(lambda: len(seen) == 50)
    assert seen == [(True, n) for n in range(50)]


def test_market_data_is_thinned_out_behind_a_slow_callback_and_orders_never(monkeypatch, far, manage, eventually):
    """C6: the backlog is bounded; the newest frame of each stream stays; every order update is delivered, in order."""
    monkeypatch.setattr(sockets, "MAX_BACKLOG", 50)
    manager = manage(far.url)
    go_on, seen = threading.Event(), []
    manager.subscribe(
        {"type": "orderUpdates", "user": ALICE}, lambda f: (go_on.wait(20), seen.append(f["data"][0]["order"]["oid"]))
    )
    eth, btc = heard(manager, BBO), heard(manager, {"type": "bbo", "coin": "BTC"})
    eventually(subscribed(far, 3))
    far.push(update(0))
    for n in range(1, 101):
        far.push(update(n), *(bbo(coin, n) for coin in ("ETH", "BTC") for _ in range(5)))
    eventually(lambda: manager.ws.left_out > 0)
    assert manager._queue.qsize() < 300
    go_on.set()
    eventually(lambda: len(seen) == 101)
    assert seen == list(range(101))
    for box in (eth, btc):
        times = []
        eventually(lambda box=box, times=times: times.append(box.get(timeout=20)["data"]["time"]) or times[-1] == 100)
        assert len(times) < 500 and times == sorted(times)


def test_a_callback_that_raises_stops_neither_the_next_one_nor_the_stream(far, manage, eventually, caplog):
    """S21, L120, G12."""
    manager = manage(far.url)

    def broken(frame: Any) -> None:
        raise ValueError("mine")

    manager.subscribe(BBO, broken)
    box = heard(manager, BBO)
    eventually(subscribed(far, 1))
    far.push(bbo(n=1), bbo(n=2))
    assert [box.get(timeout=20)["data"]["time"] for _ in range(2)] == [1, 2]
    eventually(lambda: manager.callback_errors == 2)
    assert "the next one runs" in caplog.text


def test_a_second_callback_shares_the_stream_and_nothing_is_sent_for_nothing(far, manage, eventually):
    """S22, C7: the original subscribes twice and unsubscribes for ids that it does not know."""
    manager = manage(far.url)
    eventually(lambda: manager.ws_ready)
    boxes: list[queue.Queue[Any]] = [queue.Queue(), queue.Queue()]
    ids = [manager.subscribe(dict(BBO), box.put) for box in boxes]
    eventually(subscribed(far, 1))
    far.push(bbo())
    first, second = (box.get(timeout=20) for box in boxes)
    assert first == bbo() and first is second
    assert manager.active_subscriptions["bbo:eth"] == [
        ActiveSubscription(b.put, i) for b, i in zip(boxes, ids, strict=True)
    ]
    assert not manager.unsubscribe(BBO, 99) and not manager.unsubscribe({"type": "bbo", "coin": "BTC"}, ids[0])
    assert manager.unsubscribe(BBO, ids[0]) and not manager.unsubscribe(BBO, ids[0])
    far.push(bbo(n=2))
    assert boxes[1].get(timeout=20) and boxes[0].empty()
    assert [m["method"] for m in far.peers[0].messages if m["method"] != "ping"] == ["subscribe"]
    assert manager.unsubscribe(BBO, ids[1])
    eventually(lambda: far.subscriptions(0, "unsubscribe") == [BBO])
    again = heard(manager, BBO)
    eventually(lambda: len(far.subscriptions(0)) == 2)
    far.push(bbo(n=3))
    assert again.get(timeout=20) == bbo(n=3) and boxes[1].empty()


def test_a_callback_ends_another_of_the_same_frame(far, manage, eventually):
    """C7: a callback lives as long as its subscription."""
    manager = manage(far.url)
    eventually(lambda: manager.ws_ready)
    ids: list[int] = []
    seen: list[int] = []
    ids.append(manager.subscribe(BBO, lambda frame: seen.append(1) or manager.unsubscribe(BBO, ids[1])))
    ids.append(manager.subscribe(BBO, lambda frame: seen.append(2)))
    far.push(bbo())
    far.push(bbo())
    eventually(lambda: len(seen) >= 2)
    assert seen == [1, 1]


def test_frames_by_hand_and_methods_of_a_subclass(far, manage, eventually):
    """sdk_dropin 10.1: `on_message(None, text)` dispatches; overriding methods see every frame and every opening."""
    plain = WebsocketManager(far.url)
    seen: list[Any] = []
    plain.active_subscriptions["allMids"].append(ActiveSubscription(seen.append, 1))
    plain.on_message(None, '{"channel":"allMids","data":{"mids":{"ETH":"1"}}}')
    plain.on_message(None, "Websocket connection established.")
    assert seen == [{"channel": "allMids", "data": {"mids": {"ETH": "1"}}}] and plain.name

    class Mine(WebsocketManager):
        frames: list[str] = []
        openings = 0

        def on_message(self, _ws: Any, message: Any) -> None:
            self.frames.append(message)
            super().on_message(_ws, message)

        def on_open(self, _ws: Any) -> None:
            self.openings += 1
            super().on_open(_ws)

    manager = manage(far.url, Mine)
    box = heard(manager, BBO)
    eventually(subscribed(far, 1))
    far.push(bbo())
    assert box.get(timeout=20) == bbo()
    assert manager.frames[0] == "Websocket connection established." and manager.openings == 1
    assert {"subscriptionResponse", "bbo"} <= {f.split('"')[3] for f in manager.frames[1:]}
    far.cut()
    eventually(lambda: manager.openings == 2)


# -- which frame belongs to whom ------------------------------------------------------------------------------------------
def test_several_users_of_a_stream_that_names_none_are_kept_apart(far, manage, eventually):
    """S8, L19: the same user shares the stream, another one gets a connection; the original raises."""
    manager = manage(far.url)
    alice, again, bob = (
        heard(manager, {"type": "orderUpdates", "user": u}) for u in (ALICE, ALICE.upper().replace("X", "x"), BOB)
    )
    eventually(subscribed(far, 2, connections=2))
    of_alice, of_bob = sorted(far.open_peers(), key=lambda p: far.subscriptions(p)[0]["user"].lower() != ALICE.lower())
    far.push(update(1), to=of_alice)
    far.push(update(2), to=of_bob)
    for box, oid in ((alice, 1), (again, 1), (bob, 2)):
        assert box.get(timeout=20)["data"][0]["order"]["oid"] == oid and box.empty()
    far.cut()
    eventually(subscribed(far, 2, connections=2))


def test_books_of_one_coin_with_different_rounding_are_kept_apart(far, manage, eventually):
    """S24: their frames say only the coin; the original delivers both to both."""
    manager = manage(far.url)
    exact = heard(manager, {"type": "l2Book", "coin": "ETH"})
    rounded = heard(manager, {"type": "l2Book", "coin": "ETH", "nSigFigs": 3})
    unset = heard(manager, {"type": "l2Book", "coin": "ETH", "nSigFigs": None})
    eventually(subscribed(far, 2, connections=2))
    for peer in far.open_peers():
        figures = far.subscriptions(peer)[0].get("nSigFigs") or 0
        far.push({"channel": "l2Book", "data": {"coin": "ETH", "levels": [[], []], "time": figures}}, to=peer)
    for box, figures in ((exact, 0), (unset, 0), (rounded, 3)):
        assert box.get(timeout=20)["data"]["time"] == figures and box.empty()


DOCUMENTED: list[tuple[dict[str, Any], Any]] = [
    ({"type": "allMids"}, {"mids": {}}),
    ({"type": "l2Book", "coin": "BTC"}, {"coin": "BTC", "time": 1, "levels": [[], []]}),
    ({"type": "bbo", "coin": "BTC"}, {"coin": "BTC", "time": 1, "bbo": [None, None]}),
    ({"type": "trades", "coin": "BTC"}, [{"coin": "BTC"}]),
    ({"type": "candle", "coin": "BTC", "interval": "1M"}, {"s": "BTC", "i": "1M"}),
    ({"type": "activeAssetCtx", "coin": "BTC"}, {"coin": "BTC", "ctx": {}}),
    ({"type": "activeAssetCtx", "coin": "@107"}, {"channel": "activeSpotAssetCtx", "data": {"coin": "@107", "ctx": {}}}),
    ({"type": "assetCtxs"}, {"dex": "", "ctxs": []}),
    ({"type": "spotAssetCtxs"}, [{"coin": "PURR/USDC"}]),
    ({"type": "allDexsAssetCtxs"}, {"ctxs": []}),
    ({"type": "fastAssetCtxs"}, "q1ZyCnE="),
    ({"type": "outcomeMetaUpdates"}, {"updates": []}),
    ({"type": "notification", "user": ALICE}, {"notification": "x"}),
    ({"type": "orderUpdates", "user": ALICE}, []),
    ({"type": "userEvents", "user": ALICE}, {"channel": "user", "data": {"fills": []}}),
    ({"type": "userFills", "user": ALICE}, {"user": ALICE, "fills": []}),
    ({"type": "userFundings", "user": ALICE}, {"user": ALICE, "fundings": []}),
    ({"type": "userNonFundingLedgerUpdates", "user": ALICE}, {"user": ALICE, "nonFundingLedgerUpdates": []}),
    ({"type": "userHistoricalOrders", "user": ALICE}, {"user": ALICE, "orderHistory": []}),
    ({"type": "userTwapSliceFills", "user": ALICE}, {"user": ALICE, "twapSliceFills": []}),
    ({"type": "userTwapHistory", "user": ALICE}, {"user": ALICE, "history": []}),
    ({"type": "activeAssetData", "user": ALICE, "coin": "BTC"}, {"user": ALICE, "coin": "BTC"}),
    ({"type": "clearinghouseState", "user": ALICE, "dex": "x"}, {"dex": "x", "user": ALICE, "clearinghouseState": {}}),
    ({"type": "allDexsClearinghouseState", "user": ALICE}, {"user": ALICE, "clearinghouseStates": []}),
    ({"type": "openOrders", "user": ALICE}, {"dex": "", "user": ALICE, "orders": []}),
    ({"type": "spotState", "user": ALICE}, {"user": ALICE, "spotState": {}}),
    ({"type": "twapStates", "user": ALICE}, {"dex": "", "user": ALICE, "states": []}),
    ({"type": "webData2", "user": ALICE}, {"user": ALICE}),
    ({"type": "webData3", "user": ALICE}, {"userState": {"user": ALICE}}),
]  # fmt: skip


def test_every_documented_stream_is_delivered_to_its_own_subscriber(far, manage, eventually):
    """S23, protocol 5.4: the original knows 13 types, and takes the others without ever delivering."""
    manager = manage(far.url)
    boxes = [heard(manager, subscription) for subscription, _ in DOCUMENTED]
    eventually(subscribed(far, len(DOCUMENTED)))
    for subscription, data in DOCUMENTED:
        frame = (
            data if isinstance(data, dict) and "channel" in data else {"channel": subscription["type"], "data": data}
        )
        far.push(frame)
    for (subscription, data), box in zip(DOCUMENTED, boxes, strict=True):
        expected = (
            data if isinstance(data, dict) and "channel" in data else {"channel": subscription["type"], "data": data}
        )
        assert box.get(timeout=20) == expected, subscription
        assert box.empty(), subscription
    assert manager.unexpected == {}


def test_identifiers_are_the_sdks(sdk):
    """sdk_dropin 10.1: for its 13 types and their frames."""
    theirs = sdk("websocket_manager")
    known = {
        "allMids", "l2Book", "trades", "userEvents", "userFills", "candle", "orderUpdates", "userFundings",
        "userNonFundingLedgerUpdates", "webData2", "bbo", "activeAssetCtx", "activeAssetData",
    }  # fmt: skip
    compared = 0
    for subscription, data in DOCUMENTED:
        if subscription["type"] in known:
            frame = (
                data
                if isinstance(data, dict) and "channel" in data
                else {"channel": subscription["type"], "data": data}
            )
            expected = theirs.subscription_to_identifier(subscription)
            assert subscription_to_identifier(subscription) == expected  # type: ignore[arg-type]
            assert ws_msg_to_identifier(frame) == theirs.ws_msg_to_identifier(frame)
            compared += 1
    assert compared == 14 and ws_msg_to_identifier({"channel": "pong"}) == "pong"
    assert ws_msg_to_identifier({"channel": "trades", "data": []}) is None


# -- with the local exchange ------------------------------------------------------------------------------------------------
def info_of(venue: Any) -> Info:
    return Info(venue.url)


def trader(venue: Any, account: int) -> Exchange:
    return Exchange(Signer(FUNDED_ACCOUNTS[account].key), venue.url)  # type: ignore[arg-type]


def test_subscribing_leaves_the_callers_dict_alone(venue):
    """S10, L119: the original writes the wire name into it."""
    info = info_of(venue)
    try:
        wanted = {"type": "l2Book", "coin": "PURR/USDC"}
        box: queue.Queue[Any] = queue.Queue()
        info.name_to_coin["MINE"] = "PURR/USDC"
        wanted["coin"] = "MINE"
        number = info.subscribe(wanted, box.put)  # type: ignore[arg-type]
        assert box.get(timeout=20)["data"]["coin"] == "PURR/USDC" and wanted["coin"] == "MINE"
        assert info.unsubscribe(wanted, number) and wanted == {"type": "l2Book", "coin": "MINE"}  # type: ignore[arg-type]
    finally:
        info.disconnect_websocket()


@pytest.mark.parametrize("is_overridden", [False, True])
def test_what_happened_while_the_connection_was_down_is_told_once_and_in_order(venue, eventually, is_overridden):
    """sdk_dropin 10.2, L3, L6, G13: fills and order changes of an outage, from the venue's record, before live ones."""
    info, alice, bob = info_of(venue), trader(venue, 0), trader(venue, 1)
    manager = info.ws_manager
    assert manager is not None
    if is_overridden:
        own = manager.on_message
        manager.on_message = lambda ws, message: own(ws, message)  # type: ignore[method-assign]
    fills: list[Any] = []
    changes: list[Any] = []
    states: list[str] = []
    manager.on_status(lambda state, reason: states.append(state))
    try:
        info.subscribe({"type": "userEvents", "user": ALICE}, lambda f: fills.extend(f["data"].get("fills", ())))
        info.subscribe(
            {"type": "orderUpdates", "user": ALICE},
            lambda f: changes.extend((r["order"]["oid"], r["status"], r["order"].get("cloid")) for r in f["data"]),
        )
        eventually(lambda: all(s.confirmed for s in manager._streams.values()) and len(manager._streams) == 2)

        def trade(px: int) -> int:
            placed = alice.order("ETH", True, 1, px, GTC)["response"]["data"]["statuses"][0]["resting"]["oid"]
            bob.order("ETH", False, 0.5, px, {"limit": {"tif": "Ioc"}})
            alice.cancel("ETH", placed)
            return int(placed)

        before = trade(3000)
        eventually(lambda: len(fills) == 1 and len(changes) == 2)
        venue.run(venue.sim.cut(0.8))
        eventually(lambda: not manager.ws.sock.connected)
        during = [trade(3001), trade(3002)]
        eventually(lambda: states.count("GAP_FILLED") == 2)
        after = trade(3003)
        eventually(lambda: len(fills) == 4 and len(changes) >= 6)
        oids = [before, *during, after]
        assert [f["oid"] for f in fills] == oids
        truth = [f["tid"] for f in reversed(info.user_fills(ALICE))]
        assert [f["tid"] for f in fills] == truth
        last = [(oid, status) for oid, status, _ in changes if status == "canceled"]
        assert last == [(oid, "canceled") for oid in oids] and len(changes) == len(set(changes))
    finally:
        info.disconnect_websocket()


def test_without_gap_fill_nothing_is_asked(venue, eventually):
    """sdk_dropin 1: `configure(gap_fill=False)`."""
    hl.configure(gap_fill=False)
    info, alice = info_of(venue), trader(venue, 0)
    manager = info.ws_manager
    assert manager is not None
    states: list[str] = []
    manager.on_status(lambda state, reason: states.append(state))
    changes: list[Any] = []
    try:
        info.subscribe({"type": "orderUpdates", "user": ALICE}, lambda f: changes.extend(f["data"]))
        eventually(lambda: all(s.confirmed for s in manager._streams.values()))
        alice.order("ETH", True, 1, 2999, GTC)
        venue.run(venue.sim.cut(0.5))
        eventually(lambda: not manager.ws.sock.connected)
        alice.order("ETH", True, 1, 3000, GTC)
        eventually(lambda: manager.ws.sock.connected and all(s.confirmed for s in manager._streams.values()))
        alice.order("ETH", True, 1, 3001, GTC)
        eventually(lambda: len(changes) > 1)
        assert [row["order"]["limitPx"] for row in changes] == ["2999.0", "3001.0"] and "GAP_FILLED" not in states
    finally:
        info.disconnect_websocket()


def drops(venue: Any, eventually: Any, times: int) -> None:
    """Trade while the sockets are cut `times` times: nothing lost, nothing twice, ids valid, no subscription doubled."""
    info, alice, bob = info_of(venue), trader(venue, 0), trader(venue, 1)
    manager = info.ws_manager
    assert manager is not None
    fills: list[Any] = []
    seen: dict[str, int] = {}
    errors: list[Any] = []
    manager.on_error_frame(lambda text, subscription: errors.append(text))

    def count(frame: Any) -> None:
        seen[frame["channel"]] = seen.get(frame["channel"], 0) + 1

    try:
        ids = {}
        for coin in ("BTC", "ETH", "SOL"):
            for kind in ("l2Book", "bbo", "trades"):
                ids[kind, coin] = info.subscribe({"type": kind, "coin": coin}, count)  # type: ignore[misc, arg-type]
        info.subscribe({"type": "allMids"}, count)
        info.subscribe({"type": "userFills", "user": ALICE}, count)
        info.subscribe({"type": "orderUpdates", "user": ALICE}, count)
        info.subscribe({"type": "userEvents", "user": ALICE}, lambda f: fills.extend(f["data"].get("fills", ())))
        assert len(manager._streams) == 13
        for _ in range(times):
            eventually(lambda: all(s.confirmed for s in manager._streams.values()))
            opened = manager.ws._session.connections
            over = threading.Event()

            def trade(over: threading.Event = over) -> None:
                while not over.wait(0.01):
                    alice.order("ETH", True, 0.1, 3000, GTC)
                    bob.order("ETH", False, 0.1, 3000, {"limit": {"tif": "Ioc"}})

            load = threading.Thread(target=trade)
            load.start()
            time.sleep(0.15)
            venue.run(venue.sim.cut(0.1))
            eventually(lambda opened=opened: manager.ws._session.connections > opened)
            over.set()
            load.join(20)
        eventually(lambda: all(s.confirmed for s in manager._streams.values()))
        rows = page = info.user_fills_by_time(ALICE, 0)
        while len(page) == 2_000:
            page = info.user_fills_by_time(ALICE, page[-1]["time"])
            rows = rows + page
        truth = list(dict.fromkeys(f["tid"] for f in rows))
        assert len(truth) > times
        eventually(lambda: len(fills) >= len(truth))
        assert [f["tid"] for f in fills] == truth and errors == []
        assert all(info.unsubscribe({"type": k, "coin": c}, n) for (k, c), n in ids.items())  # type: ignore[misc, arg-type]
        assert seen["allMids"] and seen["l2Book"] and seen["orderUpdates"]
    finally:
        info.disconnect_websocket()


def test_drops_under_load_lose_no_fill_and_double_no_subscription(venue, eventually):
    """S14, sdk_dropin 12.5, L1, L8: 13 subscriptions over real sockets, cut in mid-trade; the original tests none of that."""
    drops(venue, eventually, 3)


@pytest.mark.long
def test_many_drops_under_load_lose_no_fill(venue, eventually):
    """sdk_dropin 12.5."""
    drops(venue, eventually, 20)


def test_nothing_of_a_frame_is_formatted_for_a_log_that_nobody_reads(far, manage, eventually, monkeypatch):
    """S5: frames make no log record at all, at whatever level."""
    root = logging.getLogger()
    records: list[Any] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = records.append  # type: ignore[method-assign]
    root.addHandler(handler)
    monkeypatch.setattr(root, "level", logging.DEBUG)
    try:
        manager = manage(far.url)
        box = heard(manager, BBO)
        eventually(subscribed(far, 1))
        before = len(records)
        for n in range(50):
            far.push(bbo(n=n))
        for _ in range(50):
            box.get(timeout=20)
        assert [r.getMessage() for r in records[before:] if "bbo" in r.getMessage() or r.name == "root"] == []
    finally:
        root.removeHandler(handler)


def test_the_offline_metadata_is_enough_for_a_manager(far):
    """sdk_dropin 4.1: with `skip_ws=False` the thread starts; `Info` needs no request for given metadata."""
    info = Info(far.url, meta=META, spot_meta=SPOT_META)  # type: ignore[arg-type]
    assert info.ws_manager is not None and info.ws_manager.is_alive()
    info.disconnect_websocket()
    info.ws_manager.join(20)
    assert not info.ws_manager.is_alive()


def test_an_address_that_is_none_ends_the_thread_with_an_error(caplog):
    """C7: nobody waits for ever for a connection that cannot be."""
    manager = WebsocketManager("ftp://nowhere")
    manager.start()
    manager.join(20)
    assert not manager.is_alive() and "there can be no WebSocket" in caplog.text
    manager.stop()


def test_a_gap_with_more_fills_than_one_answer_holds_is_read_to_its_end(monkeypatch):
    """sdk_dropin 10.2, L6: the venue answers the oldest 2,000; the rest is asked for until there is no more."""
    monkeypatch.setattr(gaps, "PAGE", 5)
    record = [{"coin": "ETH", "time": 1000 + n // 2, "tid": n, "oid": 1} for n in range(17)]
    asked: list[int] = []

    def ask(query: Any) -> Any:
        asked.append(query["startTime"])
        return [row for row in record if row["time"] >= query["startTime"]][:5]

    stream = Stream("k", "userEvents", {"type": "userEvents", "user": ALICE}, None)  # type: ignore[arg-type]
    stream.since_ms = 1000
    frame = gaps.missed(stream, ask, lambda seconds: False)
    assert frame == {"channel": "user", "data": {"fills": record}} and asked == sorted(set(asked))
    assert gaps.missed(stream, ask, lambda seconds: False) is None
    assert gaps.note(stream, frame) is None  # told again by a live frame: dropped
