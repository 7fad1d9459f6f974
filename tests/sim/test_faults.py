"""Faults on request: each kind does what its line in the table says, to whom it was armed for, and counts its hits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from hlfast import clock
from hlfast.errors import ConfigError
from hlfast.sim import SimExchange
from hlfast.sim.faults import CONNECT, KINDS

from .desk import ALICE, BOB, Client, Floor, wire

ETH = 1
QUIET_S = 0.15
"""Long enough for an answer to have come, with blocks of 10 ms."""

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = b"\x81\x91" + bytes(4) + b'{"method":"ping"}'
"""As a client's frame, masked with zeros."""


def resting(px: str = "3000") -> dict[str, Any]:
    return {"type": "order", "orders": [wire(ETH, "buy", px, "1")], "grouping": "na"}


async def send_post(client: Client, post_id: int, action: dict[str, Any], **envelope: Any) -> None:
    request = {"type": "action", "payload": client.sign(action, **envelope)}
    await client.send({"method": "post", "id": post_id, "request": request})


async def send_info(client: Client, post_id: int, kind: str, **query: Any) -> None:
    request = {"type": "info", "payload": {"type": kind, **query}}
    await client.send({"method": "post", "id": post_id, "request": request})


async def is_quiet(client: Client) -> bool:
    """Whether nothing comes for a while."""
    assert client.websocket is not None
    try:
        await asyncio.wait_for(asyncio.shield(waiting := asyncio.ensure_future(client.websocket.receive())), QUIET_S)
    except asyncio.TimeoutError:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return True
    return False


async def ended(client: Client) -> aiohttp.WSMsgType:
    """How the connection ended."""
    assert client.websocket is not None
    while True:
        message = await asyncio.wait_for(client.websocket.receive(), 3)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return message.type


def orders(floor: Floor, client: Client) -> list[Any]:
    return floor.exchange.truth(client.address)["orders"]


async def until(check: Any) -> None:
    for _ in range(300):
        if check():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 3 s")


async def greeted(floor: Floor, who: Any = ALICE) -> Client:
    client = await floor.connected(who)
    await client.receive()
    return client


# -- lost, late, twice, out of order -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "is_executed"), [("lost_answer", True), ("lost_request", False)])
@pytest.mark.parametrize("transport", ["ws", "http"])
async def test_what_is_lost_is_never_answered(floor: Floor, kind: str, is_executed: bool, transport: str) -> None:
    """L24, L26. Silence does not tell whether the order was executed; the truth does."""
    client = await greeted(floor)
    fault = floor.exchange.faults.arm(kind, channel="order", user=client.address.upper().replace("0X", "0x"))
    if transport == "ws":
        await send_post(client, 1, resting())
        assert await is_quiet(client)
    else:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.exchange_action(resting()), QUIET_S)
    assert fault.hits == 1 and not fault.is_armed
    assert len(orders(floor, client)) == int(is_executed)
    answer = await (client.post(resting()) if transport == "ws" else client.exchange_action(resting()))
    assert answer["status"] == "ok", "the next one is answered, on the same connection"


async def test_a_lost_frame_is_only_that_frame(floor: Floor) -> None:
    client = await greeted(floor)
    await client.subscribe("orderUpdates", user=client.address)
    floor.exchange.faults.arm("lost_frame", channel="orderUpdates")
    oids = [(await client.place(wire(ETH, "buy", px, "1")))[0]["resting"]["oid"] for px in ("3000", "2999")]
    heard = [json.loads(frame)["data"] for frame in client.frames if '"channel":"orderUpdates"' in frame]
    assert [row["order"]["oid"] for rows in heard for row in rows] == oids[1:]


async def test_a_late_answer_is_overtaken(floor: Floor) -> None:
    client = await greeted(floor)
    floor.exchange.faults.arm("late", channel="order", ms=100)
    await send_post(client, 1, resting())
    await send_post(client, 2, resting("2999"))
    assert [(await client.until("post"))["id"] for _ in range(2)] == [2, 1]


async def test_a_late_request_is_executed_later(floor: Floor) -> None:
    client = await greeted(floor)
    floor.exchange.faults.arm("late_request", channel="order", where='"p":"3000"', ms=100)
    await send_post(client, 1, resting())
    await send_post(client, 2, resting("2999"))
    answers = [await client.until("post") for _ in range(2)]
    assert [answer["id"] for answer in answers] == [2, 1]
    assert [row["px"] for row in orders(floor, client)] == ["2999.0", "3000.0"]


async def test_a_duplicate_comes_twice_in_the_same_bytes(floor: Floor) -> None:
    client = await greeted(floor)
    await client.subscribe("userFills", user=client.address)
    await client.until("userFills")
    floor.exchange.faults.arm("duplicate", channel="order")
    await send_post(client, 7, resting())
    await client.until("post")
    await client.until("post")
    assert client.frames[-1] == client.frames[-2] and '"id":7' in client.frames[-1]
    assert len(orders(floor, client)) == 1


async def test_a_reordered_frame_changes_places_with_the_next(floor: Floor) -> None:
    client = await greeted(floor)
    await client.subscribe("orderUpdates", user=client.address)
    floor.exchange.faults.arm("reorder", channel="orderUpdates")
    await send_post(client, 1, resting())
    assert [(await client.receive())["channel"] for _ in range(2)] == ["post", "orderUpdates"]
    floor.exchange.faults.arm("reorder", channel="pong", ms=50)
    await client.send({"method": "ping"})
    assert await client.until("pong") is None, "with nothing behind it, it comes alone"


async def test_fills_before_the_ack_and_before_the_rows(open_floor: Any) -> None:
    """L47. Given answers that come first, then the armed order's fills come before its rows, and its answer last."""
    floor: Floor = await open_floor(answers_last=False)
    maker, taker = await greeted(floor, BOB), await greeted(floor, ALICE)
    await maker.place(wire(ETH, "sell", "3500", "1"))
    for kind in ("orderUpdates", "userFills"):
        await taker.subscribe(kind, user=taker.address)
    await taker.until("userFills")
    fault = floor.exchange.faults.arm("fill_before_ack", user=taker.address)
    await send_post(taker, 1, resting("2000"))
    assert (await taker.receive())["channel"] == "post" and not fault.hits, "an order without a fill is no hit"
    assert (await taker.receive())["channel"] == "orderUpdates"
    action = {"type": "order", "orders": [wire(ETH, "buy", "3500", "0.1", "Ioc")], "grouping": "na"}
    for expected in (["userFills", "orderUpdates", "post"], ["post", "orderUpdates", "userFills"]):
        await send_post(taker, 2, action)
        assert [(await taker.receive())["channel"] for _ in range(3)] == expected
    assert fault.hits == 1


# -- connections that are not what they seem ---------------------------------------------------------------------------


async def test_a_mute_socket_still_executes_and_can_recover(floor: Floor) -> None:
    """L2, C2. A connected but mute socket."""
    client = await greeted(floor)
    fault = floor.exchange.faults.arm("mute", channel="ping")
    await client.send({"method": "ping"})
    await send_post(client, 1, resting())
    assert await is_quiet(client) and len(orders(floor, client)) == 1
    fault.disarm()
    await client.send({"method": "ping"})
    assert await client.until("pong") is None


async def test_a_black_hole_takes_everything_and_does_nothing_for_as_long_as_asked(floor: Floor) -> None:
    client = await greeted(floor)
    floor.exchange.faults.arm("black_hole", channel="ping", ms=300)
    await client.send({"method": "ping"})
    await send_post(client, 1, resting())
    assert await is_quiet(client) and not orders(floor, client)
    await asyncio.sleep(0.3)
    await client.send({"method": "ping"})
    assert await client.until("pong") is None


@pytest.mark.parametrize(("at", "is_executed"), [("request", False), ("answer", True)])
@pytest.mark.parametrize("kind", ["rst", "fin", "torn"])
async def test_a_connection_ends_without_a_close_frame(floor: Floor, kind: str, at: str, is_executed: bool) -> None:
    if at not in KINDS[kind].points:
        at = "answer"
        is_executed = True
    client, other = await greeted(floor), await greeted(floor, BOB)
    floor.exchange.faults.arm(kind, channel="order", at=at, user=client.address)
    await send_post(client, 1, resting())
    assert await ended(client) in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert len(orders(floor, client)) == int(is_executed)
    await other.place(wire(ETH, "buy", "2000", "1"))
    floor.exchange.faults.arm(kind, channel="order", at=at)
    with pytest.raises(aiohttp.ClientError):
        await client.exchange_action(resting())
    assert len(orders(floor, client)) == 2 * int(is_executed)


async def test_a_half_closed_connection_still_executes(floor: Floor) -> None:
    """FIN from the exchange, while it reads on: seen by a raw socket, which may still write."""
    client = floor.client()
    reader, writer = await asyncio.open_connection("127.0.0.1", floor.exchange.port)
    writer.write(UPGRADE)
    await reader.readuntil(b"established.")
    floor.exchange.faults.arm("half_close", channel="ping")

    def send(message: Any) -> None:
        text = json.dumps(message).encode()
        writer.write(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text)

    writer.write(PING)
    assert await asyncio.wait_for(reader.read(), 3) == b"", "end of file"
    payload = client.sign(resting())
    send({"method": "post", "id": 1, "request": {"type": "action", "payload": payload}})
    await until(lambda: orders(floor, client))
    writer.close()


async def test_a_torn_frame_promises_more_than_comes(floor: Floor) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", floor.exchange.port)
    writer.write(UPGRADE)
    await reader.readuntil(b"established.")
    floor.exchange.faults.arm("torn", channel="pong")
    writer.write(PING)
    assert await asyncio.wait_for(reader.read(), 3) == b'\x81\x12{"channel'
    writer.close()


async def test_a_torn_frame_may_end_with_a_reset_or_with_silence(floor: Floor) -> None:
    client = await greeted(floor)
    fault = floor.exchange.faults.arm("torn", channel="pong", end="black_hole", ms=100)
    await client.send({"method": "ping"})
    assert await is_quiet(client) and fault.hits == 1
    reader, writer = await asyncio.open_connection("127.0.0.1", floor.exchange.port)
    writer.write(UPGRADE)
    await reader.readuntil(b"established.")
    floor.exchange.faults.arm("torn", channel="pong", end="rst")
    writer.write(PING)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 3)
    writer.close()


@pytest.mark.parametrize("end", ["rst", "fin"])
async def test_a_request_that_is_cut_short_is_not_executed(floor: Floor, end: str) -> None:
    """Mid-write: half of the frame is there, and then the connection ends."""
    client, other = await greeted(floor), await greeted(floor, BOB)
    fault = floor.exchange.faults.arm("cut_short", channel="order", user=client.address, end=end)
    await other.place(wire(ETH, "buy", "2000", "1"))
    await client.send({"method": "ping"})
    assert await client.until("pong") is None and not fault.hits, "the ping is another message, the order another's"
    await send_post(client, 1, resting())
    assert await ended(client) in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    await asyncio.sleep(0.05)
    assert fault.hits == 1 and not orders(floor, client)


async def test_the_rest_of_a_request_that_is_cut_short_by_a_black_hole_comes_later(floor: Floor) -> None:
    """As TCP sends it again: until then nothing is executed and nothing said, and what was sent behind it waits too."""
    client = await greeted(floor)
    floor.exchange.faults.arm("cut_short", channel="order", end="black_hole", ms=250)
    await send_post(client, 1, resting())
    await client.send({"method": "ping"})
    assert await is_quiet(client) and not orders(floor, client)
    assert await client.until("pong") is None
    assert (await client.until("post"))["id"] == 1 and len(orders(floor, client)) == 1


async def test_a_fault_that_takes_bytes_hits_connections_that_are_made_later(floor: Floor) -> None:
    fault = floor.exchange.faults.arm("cut_short", channel="orderStatus", user=ALICE.address)
    client = await greeted(floor)
    await client.send("no JSON")
    assert "Error parsing" in await client.until("error")
    await send_info(client, 1, "orderStatus", user=client.address, oid=1)
    assert await ended(client) in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert fault.hits == 1


async def test_truncated_and_garbage_are_whole_frames_with_another_text(floor: Floor) -> None:
    client = await greeted(floor)
    faults = floor.exchange.faults
    faults.arm("truncated", channel="pong")
    faults.arm("garbage", channel="pong", text="\x01{]")
    for expected in ('{"channel', "\x01{]", '{"channel":"pong"}'):
        await client.send({"method": "ping"})
        await client.receive()
        assert client.frames[-1] == expected
    faults.arm("garbage", channel="openOrders")
    async with floor.session.post(
        floor.exchange.http_url + "/info", json={"type": "openOrders", "user": client.address}
    ) as response:
        assert await response.text() != "[]"


async def test_a_slow_reader_reads_later(floor: Floor) -> None:
    """The exchange stops reading: bytes pile up, and nothing is lost once it reads again."""
    client = await greeted(floor)
    fault = floor.exchange.faults.arm("slow_reader", channel="ping", ms=0)
    await client.send({"method": "ping"})
    assert await client.until("pong") is None
    for number in range(50):
        await send_post(client, number, {"type": "noop"})
    assert await is_quiet(client)
    fault.disarm()
    assert [(await client.until("post"))["id"] for _ in range(50)] == list(range(50))


# -- HTTP statuses -----------------------------------------------------------------------------------------------------

STATUSES = [
    ("http_429", 429, "null"),
    ("http_500", 500, "null"),
    ("http_502", 502, "<html>"),
    ("http_503", 503, "<html>"),
]


@pytest.mark.parametrize(("at", "is_executed"), [(None, False), ("answer", True)])
@pytest.mark.parametrize(("kind", "status", "body"), STATUSES)
async def test_statuses_over_both_transports(
    floor: Floor, kind: str, status: int, body: str, at: str | None, is_executed: bool
) -> None:
    """L24. 5xx and 429 say nothing about the order: executed or not, the answer is the same."""
    client = await greeted(floor)
    floor.exchange.faults.arm(kind, channel="order", at=at, times=2)
    await send_post(client, 1, resting())
    response = (await client.until("post"))["response"]
    assert response["type"] == "error" and response["payload"].startswith(f"{status} ") and body in response["payload"]
    payload = client.sign(resting())
    async with floor.session.post(floor.exchange.http_url + "/exchange", json=payload) as answer:
        assert answer.status == status and (await answer.text()).startswith(body)
    assert len(orders(floor, client)) == 2 * int(is_executed)


async def test_a_handshake_can_be_refused_reset_or_swallowed(floor: Floor) -> None:
    faults = floor.exchange.faults
    faults.arm("http_502", at="connect")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await floor.connected()
    assert refused.value.status == 502
    faults.arm("rst", at="connect", times=2)  # the client tries once more on a connection that it had kept
    with pytest.raises(aiohttp.ClientError):
        await floor.connected()
    faults.arm("black_hole", at="connect")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(floor.connected(), QUIET_S)
    assert await (await floor.connected()).receive() == "Websocket connection established."
    faults.assert_all_hit()


# -- answers that are not true (any more) ------------------------------------------------------------------------------


async def test_unknown_oid_flaps(floor: Floor) -> None:
    """L28. An order that is there is denied, shown, denied: by count and by what went before."""
    client = await greeted(floor)
    (placed,) = await client.place(wire(ETH, "buy", "3000", "1"))
    oid = placed["resting"]["oid"]
    floor.exchange.faults.arm("unknown_oid")
    floor.exchange.faults.arm("unknown_oid", after=1)
    seen = [(await client.info("orderStatus", user=client.address, oid=oid))["status"] for _ in range(4)]
    assert seen == ["unknownOid", "order", "unknownOid", "order"]
    floor.exchange.faults.arm("unknown_oid")
    await send_info(client, 3, "orderStatus", user=client.address, oid=oid)
    payload = (await client.until("post"))["response"]["payload"]
    assert payload == {"type": "orderStatus", "data": {"status": "unknownOid"}}


async def test_answers_lag_the_streams_by_blocks_on_one_connection(open_floor: Any) -> None:
    """L28. One connection hears of an order on its stream, and its queries do not know it for 3 blocks more."""
    floor: Floor = await open_floor(pace="virtual")
    exchange = floor.exchange
    slow, quick = exchange.attach(), exchange.attach()
    signer = floor.client()
    signer._nonce = exchange.pace.now_ms()
    exchange.faults.arm("lag", where=lambda message: message.link is slow, blocks=3, times=1)
    question = {"type": "info", "payload": {"type": "openOrders", "user": signer.address}}

    def count(pipe: Any) -> int:
        pipe.send({"method": "post", "id": 1, "request": question})
        return len(json.loads(pipe.frames[-1])["data"]["response"]["payload"]["data"])

    slow.send({"method": "subscribe", "subscription": {"type": "orderUpdates", "user": signer.address}})
    assert (count(slow), count(quick)) == (0, 0)
    quick.send({"method": "post", "id": 2, "request": {"type": "action", "payload": signer.sign(resting())}})
    seen = []
    for _ in range(5):
        await exchange.step()
        heard = any('"channel":"orderUpdates"' in frame for frame in slow.frames)
        seen.append((heard, count(slow), count(quick)))
    assert seen == [(True, 0, 1)] * 3 + [(True, 1, 1)] * 2

    slow.send({"method": "post", "id": 9, "request": {"type": "action", "payload": signer.sign(resting())}})
    answered = []
    for _ in range(5):
        await exchange.step()
        answered.append((len([f for f in slow.frames if "orderUpdates" in f]), any('"id":9' in f for f in slow.frames)))
    assert answered == [(3, False)] * 3 + [(3, True)] * 2, "the answer to an action comes as late"


async def test_a_black_hole_does_not_answer_ping_frames_either(floor: Floor) -> None:
    client = await greeted(floor)
    assert client.websocket is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", floor.exchange.port)
    writer.write(UPGRADE)
    await reader.readuntil(b"established.")
    writer.write(b"\x89\x82" + bytes(4) + b"hi")
    assert await asyncio.wait_for(reader.readexactly(4), 3) == b"\x8a\x02hi"
    floor.exchange.faults.arm("black_hole", channel="ping")
    writer.write(PING + b"\x89\x82" + bytes(4) + b"hi")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read(1), QUIET_S)
    writer.close()


async def test_a_skewed_clock_makes_nonces_old_and_expiries_pass(floor: Floor) -> None:
    """Reference 2.5. Block time, not the client's, decides about nonces and expiresAfter."""
    client = await greeted(floor)
    now_ms = clock.wall_clock_ms()
    assert (await client.post(resting(), expires_after=now_ms + 30_000))["status"] == "ok"
    fault = floor.exchange.faults.arm("clock_skew", ms=60_000)
    await fault.wait()
    refused = await client.post(resting(), expires_after=now_ms + 30_000)
    assert refused == {"status": "err", "response": "Action already expired"}
    floor.exchange.faults.arm("clock_skew", ms=1)
    fault.disarm()
    fault = floor.exchange.faults.arm("clock_skew", ms=3 * 86_400_000)
    floor.exchange.faults.armed.reverse()
    await fault.wait()
    assert "nonce too low" in (await client.post(resting()))["response"]


# -- upgrades ----------------------------------------------------------------------------------------------------------


async def test_a_post_only_window_opens_with_the_request_that_it_waits_for(floor: Floor) -> None:
    client = await greeted(floor)
    floor.exchange.faults.arm("post_only", channel="ping", seconds=0.4)
    await client.send({"method": "ping"})
    await client.until("pong")
    (refused,) = await client.place(wire(ETH, "buy", "3000", "1"))
    assert refused["error"].startswith("Only post-only orders allowed immediately after network upgrade")
    (placed,) = await client.place(wire(ETH, "buy", "3000", "1", "Alo"))
    assert "resting" in placed
    assert (await client.info("exchangeStatus"))["specialStatuses"] is not None
    await asyncio.sleep(0.45)
    (placed,) = await client.place(wire(ETH, "buy", "3000", "1"))
    assert "resting" in placed and (await client.info("exchangeStatus"))["specialStatuses"] is None


async def test_the_upgrade_drill(floor: Floor) -> None:
    """L7, L38, C9. Sockets cut, 503 for a while without blocks, then post-only, then as before."""
    client = await greeted(floor)
    await client.place(wire(ETH, "buy", "3000", "1"))
    assert await floor.exchange.drill(0.3, 0.4) == 1
    block = floor.exchange.engine.block_number
    assert await ended(client) in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    async with floor.session.post(floor.exchange.http_url + "/info", json={"type": "meta"}) as response:
        assert response.status == 503 and "<html>" in await response.text()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.connect()
    await asyncio.sleep(0.1)
    assert floor.exchange.engine.block_number == block
    await asyncio.sleep(0.25)
    await client.connect()
    (refused,) = await client.place(wire(ETH, "buy", "3000", "1"))
    assert "Only post-only" in refused["error"]
    await asyncio.sleep(0.45)
    assert "resting" in (await client.place(wire(ETH, "buy", "3000", "1")))[0]
    assert len(await client.info("openOrders", user=client.address)) == 2


# -- arming, counting, reporting ---------------------------------------------------------------------------------------


async def test_draws_repeat_with_the_seed_and_differ_without(open_floor: Any) -> None:
    """Reproducible by seed: the same pings are lost in two runs with one seed."""

    async def lost(seed: int) -> list[int]:
        exchange = (await open_floor(seed=seed, block_ms=600_000)).exchange
        exchange.faults.arm("lost_frame", channel="pong", probability=0.5, after=3)
        pipe = exchange.attach()
        found = []
        for number in range(40):
            before = len(pipe.frames)
            pipe.send({"method": "ping"})
            if len(pipe.frames) == before:
                found.append(number)
        return found

    first, again, other = await lost(7), await lost(7), await lost(8)
    assert first == again != other
    assert min(first) >= 3 and 5 < len(first) < 32


async def test_a_run_in_which_an_armed_fault_never_hit_can_be_told_to_fail(floor: Floor) -> None:
    client = await greeted(floor)
    faults = floor.exchange.faults
    faults.assert_all_hit()
    hit, missed = faults.arm("lost_frame", channel="pong"), faults.arm("lost_frame", channel="l2Book", user=None)
    await client.send({"method": "ping"})
    await asyncio.wait_for(hit.wait(), 3)
    with pytest.raises(AssertionError, match=r"never hit.*l2Book"):
        faults.assert_all_hit()
    assert [row["hits"] for row in faults.report()] == [1, 0] and missed.is_armed
    assert floor.exchange.truth()["faults"] == faults.report()
    faults.clear()
    faults.assert_all_hit()


BAD_ARMS: list[tuple[str, dict[str, Any], str]] = [
    ("fly", {}, "the kinds are"),
    ("late", {"at": "request"}, "can be armed at answer or frame"),
    ("late", {"seconds": 3}, "it takes ms=1000"),
    ("rst", {"ms": 3}, "it takes no options"),
    ("late", {"ms": "soon"}, "ms must be a number"),
    ("rst", {"probability": 1.5}, "probability must be"),
    ("rst", {"times": 0}, "times must be"),
    ("torn", {"end": "soon"}, "end is rst or fin or black_hole"),
]


@pytest.mark.parametrize(("kind", "arguments", "words"), BAD_ARMS)
def test_what_cannot_be_armed_is_told_with_what_can(kind: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        SimExchange(port=0, traders=False).faults.arm(kind, **arguments)


def test_every_kind_says_what_it_does_and_can_be_armed_with_its_defaults() -> None:
    faults = SimExchange(port=0, traders=False).faults
    for name, kind in KINDS.items():
        assert kind.doc and kind.points
        fault = faults.arm(name)
        assert CONNECT not in fault.points and fault.report()["hits"] == 0


async def test_faults_are_armed_and_read_over_http(floor: Floor) -> None:
    url, session = floor.exchange.http_url + "/sim/faults", floor.session
    client = await greeted(floor)
    async with session.post(url, json={"kind": "late", "channel": "pong", "ms": 1, "times": 2}) as response:
        armed = await response.json()
        assert armed["id"] == 1 and armed["armed"] and armed["ms"] == 1
    await client.send({"method": "ping"})
    await client.until("pong")
    async with session.get(url) as response:
        (row,) = await response.json()
        assert (row["hits"], row["armed"], row["kind"]) == (1, True, "late")
    async with session.delete(url, params={"id": 1}) as response:
        assert (await response.json())["armed"] is False
    async with session.delete(url, params={"id": 9}) as response:
        assert response.status == 422
    for bad in ([], {"kind": 5}, {"kind": "fly"}, {"kind": "late", "times": "x"}, {"kind": "late", "where": 5},
                {"kind": "late", "kinds": 1}, {"kind": "late", "times": True}):  # fmt: skip
        async with session.post(url, json=bad) as response:
            assert response.status == 422 and "Traceback" not in await response.text(), bad
    async with session.delete(url) as response:
        assert len(await response.json()) == 1
    async with session.get(url) as response:
        assert await response.json() == []
