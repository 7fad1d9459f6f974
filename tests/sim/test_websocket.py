"""The WebSocket: exact envelopes, acknowledgements, errors, feeds, posts, cuts."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from typing import Any

import aiohttp
import pytest

from hlfast.sim import Caps

from .desk import ALICE, BOB, CAROL, Client, Floor, wire

ETH = 1
ORDER = {"type": "order", "orders": [wire(ETH, "buy", "3000", "1")], "grouping": "na"}
NO_BLOCK_MS = 600_000
"""So long that no block comes but the one that the test runs itself."""
UNPROCESSABLE = "422 Unprocessable Entity: Failed to deserialize the JSON body into the target type"


# -- greeting, errors ------------------------------------------------------------------------------------------------


async def test_the_first_frame_is_plain_text_and_ping_is_answered(floor: Floor) -> None:
    client = await floor.connected()
    assert await client.receive() == "Websocket connection established."
    await client.send({"method": "ping"})
    await client.receive()
    assert client.frames[-1] == '{"channel":"pong"}'


async def test_the_greeting_can_be_left_out(open_floor: Any) -> None:
    floor: Floor = await open_floor(greeting=False)
    client = await floor.connected()
    await client.send({"method": "ping"})
    assert await client.receive() == {"channel": "pong"}


GARBAGE = [
    "",
    "nonsense",
    "{",
    "[]",
    "null",
    "5",
    '{"method":"fly"}',
    '{"method":["ping"]}',
    '{"method":"subscribe"}',
    '{"method":"post","id":"1","request":{"type":"info","payload":{}}}',
    '{"method":"post","id":1}',
    '{"method":"post","id":-1,"request":{"type":"info","payload":{}}}',
    '{"method":"post","id":1,"request":{"type":"info"}}',
    '{"a":' * 2000,
]


async def test_a_frame_that_is_no_request_is_echoed_in_an_error_and_the_socket_lives(floor: Floor) -> None:
    """Bad input: garbage, truncated, unknown method: one error frame each, and the connection goes on."""
    client = await floor.connected()
    for frame in GARBAGE:
        await client.send(frame)
        assert await client.until("error") == f"Error parsing JSON into valid websocket request: {frame}"
    assert client.websocket is not None
    await client.websocket.send_bytes(b"\xff\x00")
    assert (await client.until("error")).startswith("Error parsing JSON into valid websocket request: ")
    await client.send({"method": "ping"})
    assert await client.until("pong") is None


BAD_SUBSCRIPTIONS: list[Any] = [
    {"type": "unheardOf"},
    {"type": "l2Book"},
    {"type": "l2Book", "coin": "NOPE"},
    {"type": "l2Book", "coin": "btc"},
    {"type": "l2Book", "coin": "BTC", "nSigFigs": 9},
    {"type": "l2Book", "coin": "BTC", "nSigFigs": 4, "mantissa": 2},
    {"type": "userFills", "user": "0x12"},
    {"type": "openOrders", "user": ALICE.address, "dex": "nowhere"},
    {"type": 5},
    [],
    None,
    "l2Book",
]


async def test_a_subscription_that_cannot_be_is_echoed_in_an_error(floor: Floor) -> None:
    client = await floor.connected()
    for subscription in BAD_SUBSCRIPTIONS:
        await client.send({"method": "subscribe", "subscription": subscription})
        echo = json.dumps(subscription, separators=(",", ":"))
        assert await client.until("error") == f"Invalid subscription {echo}"


async def test_subscribing_and_unsubscribing_twice(floor: Floor) -> None:
    client = await floor.connected()
    echo = '{"type":"trades","coin":"SOL"}'
    await client.subscribe("trades", coin="SOL")
    await client.send({"method": "subscribe", "subscription": {"type": "trades", "coin": "SOL"}})
    assert await client.until("error") == f"Already subscribed: {echo}"
    assert client.frames[-1] == json.dumps(
        {"channel": "error", "data": f"Already subscribed: {echo}"}, separators=(",", ":")
    )
    for expected in ("subscriptionResponse", "error"):
        await client.send({"method": "unsubscribe", "subscription": {"coin": "SOL", "type": "trades"}})
        data = await client.until(expected)
    assert data == f"Already unsubscribed: {echo}"
    assert json.loads(client.frames[-2])["data"]["method"] == "unsubscribe"


async def test_caps_on_users_and_channels_have_the_venues_texts(open_floor: Any) -> None:
    """L10: each documented text, on the socket that asked for too much."""
    floor: Floor = await open_floor(limits=Caps(subscriptions=12))
    client = await floor.connected()
    for number in range(10):
        await client.subscribe("orderUpdates", user=f"0x{number:040x}")
    await client.send({"method": "subscribe", "subscription": {"type": "userFills", "user": f"0x{77:040x}"}})
    assert await client.until("error") == "Cannot track more than 10 total users."
    await client.subscribe("userFills", user=f"0x{3:040x}")
    await client.subscribe("trades", coin="BTC")
    await client.send({"method": "subscribe", "subscription": {"type": "trades", "coin": "ETH"}})
    assert await client.until("error") == "Cannot subscribe to more than 12 channels."


# -- acknowledgements ------------------------------------------------------------------------------------------------

ACKS = [
    ({"coin": "BTC", "type": "l2Book"}, '{"type":"l2Book","coin":"BTC","nSigFigs":null,"mantissa":null}'),
    (
        {"type": "l2Book", "coin": "BTC", "fast": True},
        '{"type":"l2Book","coin":"BTC","nSigFigs":null,"mantissa":null,"fast":true}',
    ),
    (
        {"type": "l2Book", "coin": "BTC", "mantissa": 5, "nSigFigs": 5},
        '{"type":"l2Book","coin":"BTC","nSigFigs":5,"mantissa":5}',
    ),
    ({"type": "bbo", "coin": "BTC", "junk": 1}, '{"type":"bbo","coin":"BTC"}'),
    ({"type": "allMids"}, '{"type":"allMids"}'),
    (
        {"type": "userFills", "user": ALICE.address.upper().replace("0X", "0x")},
        f'{{"type":"userFills","user":"{ALICE.address}","aggregateByTime":false}}',
    ),
    ({"type": "orderUpdates", "user": ALICE.address}, f'{{"type":"orderUpdates","user":"{ALICE.address}"}}'),
    ({"type": "openOrders", "user": ALICE.address}, f'{{"type":"openOrders","user":"{ALICE.address}","dex":""}}'),
]


@pytest.mark.parametrize(("asked", "echo"), ACKS, ids=range(len(ACKS)))
async def test_an_acknowledgement_echoes_the_subscription_normalised(floor: Floor, asked: Any, echo: str) -> None:
    """Optional parameters appear filled in, addresses in lower case, unknown keys gone. The ack is the first frame."""
    client = await floor.connected()
    await client.receive()
    await client.send({"method": "subscribe", "subscription": asked})
    await client.receive()
    ack = '{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":' + echo + "}}"
    assert client.frames[-1] == ack


# -- market feeds ----------------------------------------------------------------------------------------------------


async def test_market_frames_have_the_venues_text(floor: Floor) -> None:
    """Wire order coin, time, levels and px, sz, n; compact JSON; "3500.0" for an integer."""
    client, other = await floor.connected(ALICE), await floor.connected(BOB)
    await client.place(wire(ETH, "buy", "3499.5", "1"), wire(ETH, "sell", "3500", "2"))
    for kind in ("l2Book", "bbo", "trades", "activeAssetCtx"):
        await other.subscribe(kind, coin="ETH")
    await other.subscribe("l2Book", coin="ETH", fast=True)
    await client.place(wire(ETH, "buy", "3499.5", "0.25"))
    bbo = await until_text(other, "bbo", '"1.25"')
    level = r'\{"px":"3499\.5","sz":"1\.25","n":2\}'
    ask = r'\{"px":"3500\.0","sz":"2\.0","n":1\}'
    assert re.fullmatch(
        r'\{"channel":"bbo","data":\{"coin":"ETH","time":\d{13},"bbo":\[' + level + "," + ask + r"\]\}\}", bbo
    )
    book = await until_text(other, "l2Book", '"1.25"', without="fast")
    assert re.fullmatch(
        r'\{"channel":"l2Book","data":\{"coin":"ETH","time":\d{13},"levels":\[\['
        + level
        + r"\],\["
        + ask
        + r"\]\]\}\}",
        book,
    )
    fast = await until_text(other, "l2Book", '"fast":true')
    assert fast.endswith(']],"fast":true}}')
    context = next(frame for frame in other.frames if frame.startswith('{"channel":"activeAssetCtx"'))
    assert json.loads(context)["data"]["ctx"]["midPx"] == "3499.75"


async def until_text(client: Client, channel: str, part: str, without: str = "\0") -> str:
    """The next frame on this channel with this text in it."""
    while True:
        await client.until(channel)
        if part in client.frames[-1] and without not in client.frames[-1]:
            return client.frames[-1]


async def test_trades_start_with_recent_ones_and_then_come_by_block(floor: Floor) -> None:
    alice, bob = await floor.connected(ALICE), await floor.connected(BOB)
    await alice.place(wire(ETH, "sell", "3500", "1"), wire(ETH, "sell", "3501", "1"))
    await bob.place(wire(ETH, "buy", "3500", "0.1", "Ioc"))
    watcher = await floor.connected(CAROL)
    await watcher.subscribe("trades", coin="ETH")
    (old,) = await watcher.until("trades")
    assert old["sz"] == "0.1"
    await bob.place(wire(ETH, "buy", "3501", "1.5", "Ioc"))
    trades = await watcher.until("trades")
    assert [(t["px"], t["sz"]) for t in trades] == [("3500.0", "0.9"), ("3501.0", "0.6")]
    assert list(trades[0]) == ["coin", "side", "px", "sz", "time", "hash", "tid", "users"]
    await alice.place(wire(ETH, "sell", "3500", "2"))
    for tenth in range(1, 11):
        await bob.place(wire(ETH, "buy", "3500", f"{tenth / 100}", "Ioc"))
    late = await floor.connected(CAROL)
    await late.subscribe("trades", coin="ETH")
    assert [float(t["sz"]) for t in await late.until("trades")] == [tenth / 100 for tenth in range(1, 11)]
    assert trades[0]["hash"] == trades[1]["hash"] and re.fullmatch(r"0x[0-9a-f]{64}", trades[0]["hash"])


async def test_bbo_speaks_only_when_it_changed(floor: Floor) -> None:
    client, watcher = await floor.connected(ALICE), await floor.connected(BOB)
    await watcher.subscribe("bbo", coin="ETH")
    assert (await watcher.until("bbo"))["bbo"] == [None, None]
    await client.place(wire(ETH, "buy", "3400", "1"))
    await client.place(wire(ETH, "buy", "3300", "1"))  # behind the best: no news
    await client.place(wire(ETH, "sell", "3500", "1"))
    assert (await watcher.until("bbo"))["bbo"] == [{"px": "3400.0", "sz": "1.0", "n": 1}, None]
    assert (await watcher.until("bbo"))["bbo"][1] == {"px": "3500.0", "sz": "1.0", "n": 1}


async def test_books_come_at_the_interval_that_was_asked_for(open_floor: Any) -> None:
    """Given every block, then consecutive block times; given 200 ms, then never less between two frames."""
    for interval, blocks in ((0, 10), (200, 10)):
        floor: Floor = await open_floor(book_interval_ms=interval, block_ms=blocks)
        client = await floor.connected()
        await client.subscribe("l2Book", coin="ETH")
        times = [(await client.until("l2Book"))["time"] for _ in range(4)]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert all(gap >= interval for gap in gaps)
        assert interval or min(gaps) < 150


async def test_all_mids_name_every_market(floor: Floor) -> None:
    client = await floor.connected()
    await client.subscribe("allMids")
    data = await client.until("allMids")
    assert set(data) == {"mids"} and data["mids"]["BTC"] == "65000.0"
    await client.subscribe("activeAssetCtx", coin="@107")
    assert (await client.until("activeSpotAssetCtx"))["ctx"]["coin"] == "@107"


# -- user feeds ------------------------------------------------------------------------------------------------------


async def test_user_frames_of_an_order_that_fills_at_once(floor: Floor) -> None:
    """Life cycle B: one orderUpdates frame with `open` and `filled`, the fill on `user` and `userFills`, answer last."""
    maker, taker = await floor.connected(ALICE), await floor.connected(BOB)
    await maker.place(wire(ETH, "sell", "3500", "1"))
    for kind in ("orderUpdates", "userEvents", "userFills"):
        await taker.subscribe(kind, user=taker.address)
    snapshot = await taker.until("userFills")
    assert snapshot == {"isSnapshot": True, "user": taker.address, "fills": []}
    assert list(snapshot) == ["isSnapshot", "user", "fills"]
    cloid = "0x" + "0b" * 16
    start = len(taker.frames)
    (status,) = await taker.place(wire(ETH, "buy", "3500", "0.01", "Ioc", cloid=cloid))
    updates, events, fills, answer = taker.frames[start:]
    oid = status["filled"]["oid"]
    row = (
        r'\{"order":\{"coin":"ETH","side":"B","limitPx":"3500\.0","sz":"%s","oid":%d,"timestamp":(\d+),'
        r'"origSz":"0\.01","cloid":"%s"\},"status":"%s","statusTimestamp":\1\}'
    )
    expected = (
        r'\{"channel":"orderUpdates","data":\['
        + row % (r"0\.01", oid, cloid, "open")
        + ","
        + (row % (r"0\.0", oid, cloid, "filled")).replace(r"(\d+)", r"\d+").replace(r"\1", r"\d+")
        + r"\]\}"
    )
    assert re.fullmatch(expected, updates), updates
    assert events.startswith('{"channel":"user","data":{"fills":[{"coin":"ETH","px":"3500.0","sz":"0.01","side":"B"')
    assert fills.startswith('{"channel":"userFills","data":{"user":"' + taker.address + '","fills":[{"coin":"ETH"')
    assert json.loads(events)["data"]["fills"] == json.loads(fills)["data"]["fills"]
    assert answer.startswith('{"channel":"post","data":{"id":1,"response":{"type":"action","payload":{"status":"ok"')


async def test_in_a_block_user_frames_come_before_market_frames(floor: Floor) -> None:
    client, maker = await floor.connected(ALICE), await floor.connected(BOB)
    await maker.place(wire(ETH, "sell", "3500", "1"))
    await client.subscribe("trades", coin="ETH")
    await client.subscribe("userFills", user=client.address)
    await client.until("userFills")
    start = len(client.frames)
    await client.place(wire(ETH, "buy", "3500", "1", "Ioc"))
    assert [json.loads(frame)["channel"] for frame in client.frames[start:]] == ["userFills", "trades", "post"]


async def test_answers_can_be_made_to_come_first(open_floor: Any) -> None:
    floor: Floor = await open_floor(answers_last=False)
    client = await floor.connected()
    await client.subscribe("orderUpdates", user=client.address)
    start = len(client.frames)
    await client.place(wire(ETH, "buy", "3000", "1"))
    await client.until("orderUpdates")
    assert [json.loads(frame)["channel"] for frame in client.frames[start:]] == ["post", "orderUpdates"]


async def test_a_rejected_order_has_a_row_and_the_fills_snapshot_is_oldest_first(floor: Floor) -> None:
    maker, taker = await floor.connected(ALICE), await floor.connected(BOB)
    await taker.subscribe("orderUpdates", user=taker.address)
    await taker.place(wire(ETH, "buy", "3000", "0.0001"))
    row = next(json.loads(frame)["data"][0] for frame in taker.frames if '"channel":"orderUpdates"' in frame)
    assert row["status"] == "minTradeNtlRejected" and list(row) == ["order", "status", "statusTimestamp"]
    await maker.place(wire(ETH, "sell", "3500", "1"))
    for _ in range(3):
        await taker.place(wire(ETH, "buy", "3500", "0.1", "Ioc"))
    await taker.subscribe("userFills", user=taker.address)
    fills = (await taker.until("userFills"))["fills"]
    assert [fill["oid"] for fill in fills] == sorted(fill["oid"] for fill in fills) and len(fills) == 3


async def test_self_trades_are_told_as_non_user_cancels(floor: Floor) -> None:
    client = await floor.connected()
    await client.subscribe("userEvents", user=client.address)
    (placed,) = await client.place(wire(ETH, "sell", "3500", "1"))
    await client.place(wire(ETH, "buy", "3500", "1", "Ioc"))
    text = next(frame for frame in client.frames if '"channel":"user"' in frame)
    oid = placed["resting"]["oid"]
    assert text == '{"channel":"user","data":{"nonUserCancel":[{"coin":"ETH","oid":' + str(oid) + "}]}}"


async def test_account_feeds_follow_each_change(floor: Floor) -> None:
    client = await floor.connected()
    for kind in ("openOrders", "clearinghouseState", "spotState"):
        await client.subscribe(kind, user=client.address)
    await client.place(wire(ETH, "buy", "3000", "1"))
    data = [json.loads(frame)["data"] for frame in client.frames if '"channel":"openOrders"' in frame]
    assert [list(frame) for frame in data] == [["dex", "user", "orders"]] * 2
    assert data[0]["orders"] == [] and data[1]["orders"][0]["limitPx"] == "3000.0"
    states = [json.loads(frame)["data"] for frame in client.frames if '"channel":"clearinghouseState"' in frame]
    assert list(states[-1]) == ["dex", "user", "clearinghouseState"]
    assert states[-1]["clearinghouseState"]["withdrawable"] == "999850.0"


async def test_the_fundings_feed_is_an_empty_snapshot(floor: Floor) -> None:
    client = await floor.connected()
    await client.subscribe("userFundings", user=client.address)
    assert await client.until("userFundings") == {"isSnapshot": True, "user": client.address, "fundings": []}


# -- posts -----------------------------------------------------------------------------------------------------------


async def test_posts_answer_with_their_id_and_the_venues_wrapping(floor: Floor) -> None:
    client = await floor.connected()
    await client.send(
        {
            "method": "post",
            "id": 2**53 + 1,
            "request": {"type": "info", "payload": {"type": "l2Book", "coin": "ETH", "nSigFigs": 5, "mantissa": None}},
        }
    )
    data = await client.until("post")
    assert (data["id"], data["response"]["type"], data["response"]["payload"]["type"]) == (2**53 + 1, "info", "l2Book")
    assert data["response"]["payload"]["data"]["levels"] == [[], []]
    oid = (await client.place(wire(ETH, "buy", "3000", "1")))[0]["resting"]["oid"]
    assert client.frames[-1] == (
        '{"channel":"post","data":{"id":1,"response":{"type":"action","payload":{"status":"ok","response":{"type":"order",'
        '"data":{"statuses":[{"resting":{"oid":' + str(oid) + "}}]}}}}}}"
    )


async def test_bad_posts_are_errors_with_their_id(floor: Floor) -> None:
    client = await floor.connected()
    for request in (
        {"type": "info", "payload": {"type": "unheardOf"}},
        {"type": "info", "payload": 5},
        {"type": "info", "payload": None},
        {"type": "action", "payload": {}},
        {"type": "action", "payload": [1]},
        {"type": "explorer", "payload": {"type": "blockDetails"}},
    ):
        await client.send({"method": "post", "id": 9, "request": request})
        assert await client.until("post") == {"id": 9, "response": {"type": "error", "payload": UNPROCESSABLE}}
    illegal = {"type": "l2Book", "coin": "ETH", "nSigFigs": 9}
    await client.send({"method": "post", "id": 9, "request": {"type": "info", "payload": illegal}})
    assert (await client.until("post"))["response"]["payload"] == "500 Internal Server Error: null"


async def test_a_hundred_posts_may_wait_for_a_block_and_no_more(open_floor: Any) -> None:
    floor: Floor = await open_floor(block_ms=NO_BLOCK_MS, limits="real")
    client = await floor.connected()
    for number in range(101):
        payload = client.sign({"type": "noop"})
        await client.send({"method": "post", "id": number, "request": {"type": "action", "payload": payload}})
    assert await client.until("error") == "too many pending post requests id=100"
    floor.exchange._run_block()
    assert [(await client.until("post"))["id"] for _ in range(100)] == list(range(100))
    await client.send({"method": "post", "id": 101, "request": {"type": "action", "payload": client.sign(ORDER)}})
    await client.send({"method": "ping"})
    assert await client.until("pong") is None, "there is room again: no error came before"
    assert not any("id=101" in frame for frame in client.frames)


# -- silence, filters, cuts ------------------------------------------------------------------------------------------


async def test_a_connection_to_which_nothing_is_sent_is_closed(open_floor: Any) -> None:
    """The venue's 60 s, scaled: the quiet socket ends with code 1000, the one that pings lives."""
    floor: Floor = await open_floor(silent_close_seconds=0.6)
    quiet, chatty = await floor.connected(), await floor.connected()
    await quiet.receive()
    await chatty.receive()
    assert quiet.websocket is not None
    ended = asyncio.ensure_future(quiet.websocket.receive())
    for _ in range(12):
        await asyncio.sleep(0.1)
        await chatty.send({"method": "ping"})
        assert await chatty.until("pong") is None
    message = await asyncio.wait_for(ended, 2)
    assert message.type is aiohttp.WSMsgType.CLOSE and message.data == 1000


async def test_a_frame_filter_loses_the_one_frame_that_it_is_told_to(floor: Floor) -> None:
    """L46. What the demo's test does: one userFills frame is dropped, and the truth still has the fill."""
    maker, taker = await floor.connected(ALICE), await floor.connected(BOB)
    await maker.place(wire(ETH, "sell", "3500", "1"))
    await taker.subscribe("userFills", user=taker.address)
    await taker.until("userFills")
    lost: list[tuple[str | None, str, str]] = []

    def keep(user: str | None, channel: str, frame: str) -> bool:
        if channel == "userFills" and not lost:
            lost.append((user, channel, frame))
            return False
        return True

    floor.exchange.frame_filter = keep
    await taker.place(wire(ETH, "buy", "3500", "0.1", "Ioc"))
    await taker.place(wire(ETH, "buy", "3500", "0.2", "Ioc"))
    frames = [json.loads(frame)["data"]["fills"] for frame in taker.frames if '"channel":"userFills"' in frame]
    assert [[fill["sz"] for fill in fills] for fills in frames] == [[], ["0.2"]]
    assert lost[0][0] == taker.address and '"sz":"0.1"' in lost[0][2]
    assert [fill["sz"] for fill in floor.exchange.truth(taker.address)["fills"]] == ["0.1", "0.2"]
    assert floor.exchange.truth()["counters"]["frames_dropped"] == 1


async def test_a_cut_resets_sockets_refuses_connections_and_ends_by_itself(floor: Floor) -> None:
    """Given two sockets, when cut for 0.8 s, then both are reset, connecting is refused, then everything is as before."""
    client, other = await floor.connected(ALICE), await floor.connected(BOB)
    (placed,) = await client.place(wire(ETH, "buy", "3000", "1"))
    await other.receive()
    port = floor.exchange.port
    assert await floor.exchange.cut(refuse_seconds=0.8) == 2
    for connection in (client, other):
        assert connection.websocket is not None
        message = await asyncio.wait_for(connection.websocket.receive(), 2)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR), "no close frame was sent"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    deadline = asyncio.get_running_loop().time() + 3
    while True:
        try:
            await client.connect()
            break
        except aiohttp.ClientError:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.03)
    assert floor.exchange.port == port
    (row,) = await client.info("openOrders", user=client.address)
    assert row["oid"] == placed["resting"]["oid"], "orders outlive the connection"
    await client.place(wire(ETH, "buy", "3000", "1"))
    assert floor.exchange.truth()["counters"]["cuts"] == 1


async def test_a_cut_in_flight_loses_the_answer_and_not_the_order(open_floor: Any) -> None:
    floor: Floor = await open_floor(block_ms=NO_BLOCK_MS)
    client = await floor.connected()
    await client.receive()
    await client.send({"method": "post", "id": 1, "request": {"type": "action", "payload": client.sign(ORDER)}})
    while not floor.exchange.engine._queue:
        await asyncio.sleep(0.005)
    await floor.exchange.cut()
    floor.exchange._run_block()
    await client.connect()
    orders = await client.info("openOrders", user=client.address)
    assert orders[0]["limitPx"] == "3000.0"


async def test_a_cut_while_the_last_one_ends_keeps_the_port(floor: Floor) -> None:
    """Given a cut that is just ending, a further one at any turn of the loop ends it too, and the port comes back."""
    for turns in range(6):
        await floor.exchange.cut(refuse_seconds=30)
        await floor.exchange.cut()
        for _ in range(turns):
            await asyncio.sleep(0)
        await floor.exchange.cut(refuse_seconds=0.02)
    await asyncio.sleep(0.1)
    client = await floor.connected()
    await client.send({"method": "ping"})
    assert await client.until("pong") is None


async def test_a_second_cut_takes_the_place_of_the_first_and_stop_ends_it(floor: Floor) -> None:
    await floor.exchange.cut(refuse_seconds=30)
    await floor.exchange.cut(refuse_seconds=0.05)
    for _ in range(100):
        try:
            await floor.client().info("meta")
            break
        except aiohttp.ClientError:
            await asyncio.sleep(0.02)
    else:
        pytest.fail("still refused 2 s after a cut of 0.05 s: the first one's 30 s went on")
    await floor.exchange.cut(refuse_seconds=30)
    await asyncio.wait_for(floor.exchange.stop(), 3)


@pytest.mark.parametrize("steps", range(8))
async def test_a_cut_while_the_listener_comes_back_does_not_lose_the_port(open_floor: Any, steps: int) -> None:
    """Given a second refusal at any step of the return from the first, then the exchange listens again after it."""
    floor: Floor = await open_floor()
    await floor.exchange.cut(refuse_seconds=1e-9)
    for _ in range(steps):
        await asyncio.sleep(0)
    await floor.exchange.cut(refuse_seconds=0.01)
    await asyncio.sleep(0.05)
    client = await floor.connected()
    await client.send({"method": "ping"})
    await client.until("pong")


async def test_dropped_connections_leave_no_listeners_behind(floor: Floor) -> None:
    for _ in range(5):
        client = await floor.connected()
        await client.subscribe("trades", coin="ETH")
        await client.subscribe("userFills", user=client.address)
        assert client.websocket is not None
        await client.websocket.close()
    hub = floor.exchange._hub
    for _ in range(100):
        if not hub.connections:
            break
        await asyncio.sleep(0.02)
    assert (hub.connections, hub._user_feeds, hub._market_feeds) == ({}, {}, {})
