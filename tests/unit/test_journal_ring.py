"""JournalRing: what was put comes back whole and once, whatever became of the process; what waits is never overwritten."""

import random
import struct
import threading
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.journal_ring import (
    BLOCKED,
    ENDS,
    EVENTS,
    JournalRing,
    restore_fill,
    restore_into,
    restore_order,
    undrained,
)
from hlfast.core.order_tracker import ClientOrderTracker
from hlfast.core.position import Position
from hlfast.core.updates import TradeUpdate
from hlfast.errors import ConfigError, RangeError, VenueReject
from hlfast.types import OrderState, OrderType, PositionAction, TradeType, Trigger

PAGE, RECORD, HEAD_AT, PAYLOAD = 4096, 512, 64, 488
S = OrderState


@pytest.fixture
def ring(tmp_path):
    ring = JournalRing(tmp_path / "ring", 16)
    yield ring
    ring.close()


def order(n=1, **fields) -> InFlightOrder:
    given = {"client_order_id": f"hl-{n}", "cloid": f"0x{n:032x}", "coin": "BTC", "trade_type": TradeType.BUY}
    return InFlightOrder(**{**given, "amount": 1, "price": 100, "sz_decimals": 3, **fields})


def fill(n=1, **fields) -> TradeUpdate:
    given = {"coin": "BTC", "tid": n, "exchange_order_id": 77, "price": 100, "amount": 1, "is_buy": True, "time_ms": n}
    return TradeUpdate(**{**given, **fields})


def drained(ring: JournalRing, at_once=7) -> list[tuple[str, dict]]:
    out = []
    while batch := ring.read(at_once):
        out += [(kind, fields) for _, kind, fields in batch]
        ring.release(batch[-1][0])
    return out


def nonces(records) -> list[int]:
    return [fields["nonce"] for _, fields in records]


def edit(path, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def record_at(number: int, capacity=16) -> int:
    return PAGE + (number & (capacity - 1)) * RECORD


def row_of(fields: dict, **more) -> dict:
    """The order's record as the journal's table has it when nothing has happened since."""
    since = {
        "state": "PENDING_CREATE",
        "created": 0,
        "ended": 0,
        "reason": "",
        "reject_code": None,
        "reject_text": None,
    }
    leg = {"leg_lots": None, "modify_px_e8": None, "modify_leg_lots": None}
    times = {"sent_ns": fields["recv_ns"], "updated_ns": fields["recv_ns"], "time_ms": 0}
    return {"strategy": None, **fields, **since, **leg, **times, **more}


# -- round trips --------------------------------------------------------------------------------------------------------
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
prices = st.decimals(min_value="0.00000001", max_value="92233720368", places=8)
whole = st.integers(-(2**62), 2**62)
triggers = st.one_of(st.none(), st.builds(Trigger, prices, st.booleans(), st.sampled_from(["sl", "tp"])))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_an_order_of_every_kind_comes_back_with_every_field(tmp_path_factory, data):
    """L42 and L67. `trigger` cannot be given to the constructor: see the next test."""
    o = InFlightOrder(
        client_order_id=data.draw(texts.filter(bool)),
        cloid=data.draw(st.one_of(st.none(), st.integers(1, 2**128 - 1).map(lambda n: f"0x{n:032x}"))),
        coin=data.draw(texts),
        trading_pair=data.draw(texts),
        trade_type=data.draw(st.sampled_from(list(TradeType))),
        amount=data.draw(st.decimals(min_value=0, max_value=10**12, places=3)),
        price=data.draw(st.one_of(st.none(), prices)),
        trigger_price=data.draw(st.one_of(st.none(), prices)),
        asset=data.draw(st.integers(-1, 2**31 - 1)),
        sz_decimals=data.draw(st.integers(3, 6)),
        tif=data.draw(st.sampled_from(["Gtc", "Ioc", "Alo", "FrontendMarket"])),
        reduce_only=data.draw(st.booleans()),
        order_type=data.draw(st.sampled_from(list(OrderType))),
        position_action=data.draw(st.sampled_from(list(PositionAction))),
        leverage=data.draw(st.integers(0, 1000)),
        creation_ns=data.draw(st.integers(0, 2**62)),
        strategy=data.draw(st.one_of(st.none(), texts)),
    )
    nonce, expires_ms, now_ns = (data.draw(st.integers(0, 2**62)) for _ in range(3))
    ring = JournalRing(tmp_path_factory.mktemp("ring") / "ring", 16)
    assert ring.put_intent(o, nonce, expires_ms, now_ns) == 1
    [(kind, fields)] = drained(ring)
    ring.close()
    back = restore_order(row_of(fields), [], [])
    names = (
        "client_order_id cloid coin trading_pair asset sz_decimals side amount price trigger_price px_e8 lots tif "
        "reduce_only order_type position_action leverage created_ns trigger is_external strategy"
    )
    assert kind == "order"
    for name in names.split():
        assert getattr(back, name) == getattr(o, name), name
    assert (back.nonce, back.expires_after_ms, back.sent_ns) == (nonce, expires_ms, now_ns)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_fill_comes_back_equal_with_dust_and_long_fees(tmp_path_factory, data):
    """L67: maker or taker, the exact fee, a size off the grid, an unknown start; and its identity (G7)."""
    f = TradeUpdate(
        coin=data.draw(texts),
        tid=data.draw(whole),
        exchange_order_id=data.draw(st.integers(1, 2**62)),
        cloid=data.draw(st.one_of(st.none(), texts)),
        price=data.draw(prices),
        amount=data.draw(st.decimals(min_value=0, max_value=10**6, places=10)),
        sz_decimals=data.draw(st.integers(0, 8)),
        is_buy=data.draw(st.booleans()),
        is_taker=data.draw(st.booleans()),
        fee=data.draw(st.decimals(min_value=-1000, max_value=1000, places=12)),
        fee_token=data.draw(texts),
        closed_pnl=data.draw(st.decimals(min_value=-(10**9), max_value=10**9, places=8)),
        start_position=data.draw(st.one_of(st.none(), st.integers(-(10**6), 10**6))),
        direction=data.draw(texts),
        time_ms=data.draw(st.integers(0, 2**62)),
        recv_ns=data.draw(st.integers(0, 2**62)),
        recovered=data.draw(st.booleans()),
    )
    ring = JournalRing(tmp_path_factory.mktemp("ring") / "ring", 16)
    ring.put_fill(f, "hl-1")
    [(_, fields)] = drained(ring)
    ring.close()
    back = restore_fill(fields)
    names = [name for name in dir(f) if not name.startswith("_") and not callable(getattr(f, name))]
    assert {name: getattr(back, name) for name in names} == {name: getattr(f, name) for name in names}
    assert fields["client_order_id"] == "hl-1" and len(names) > 20


def test_positions_notes_and_nonces_come_back(ring):
    """L67, in the order in which they were put."""
    p = Position("kPEPE", sz_decimals=0, size=3, side=None, entry_price="0.0123456789", realized_pnl="-1.5")
    ring.put_position(p, 5, 6)
    ring.put_note("stream", b'{"a": 1}', 7)
    ring.put_nonce(8, 9)
    assert drained(ring) == [
        ("position", {
            "coin": "kPEPE", "cost": "0.0370370367", "realized_pnl": "-1.5", "funding": "0", "lots": 3, "time_ms": 5,
            "recv_ns": 6, "sz_decimals": 0,
        }),
        ("note", {"name": "stream", "body": b'{"a": 1}', "recv_ns": 7}),
        ("nonce", {"nonce": 8, "recv_ns": 9}),
    ]  # fmt: skip


# -- the ring -----------------------------------------------------------------------------------------------------------
def test_records_go_round_many_times_with_numbers_that_never_repeat(ring):
    """Given a ring of 16, when 1,000 records go through it, then all come out in order, numbered from 1 on."""
    numbers, out = [], []
    for n in range(1000):
        assert ring.put_intent(order(), n, 0, 0) == 1
        if n % 11 == 10:
            batch = ring.read(100)
            numbers += [last for last, _, _ in batch]
            out += nonces((kind, fields) for _, kind, fields in batch)
            ring.release(batch[-1][0])
    out += nonces(drained(ring))
    assert out == list(range(1000))
    assert numbers == list(range(1, 991)) and ring.head == 1001 and ring.used == ring.torn == 0


@pytest.mark.parametrize("size", [0, PAYLOAD - 14, PAYLOAD - 13, PAYLOAD * 2, 5_000])
def test_a_long_message_takes_several_records_also_across_the_end_of_the_file(ring, size):
    body = bytes(random.Random(size).randbytes(size))
    for n in range(16):
        ring.put_note("a", body, n)
        assert drained(ring) == [("note", {"name": "a", "body": body, "recv_ns": n})]
    assert ring.torn == 0


def test_what_waits_is_never_overwritten_and_the_last_quarter_is_for_live_orders(ring):
    """Seed system, persistence: a full ring stops new orders, not cancels; nothing is lost or reordered."""
    put = 0
    while ring.put_intent(order(), put, 0, 0):
        put += 1
    assert put == 11 and BLOCKED[ring.blocked] == "FULL" and not ring.has_room(1)
    for n in range(put, put + 20):  # five fit, the rest waits in memory
        assert ring.put_cancel(order(), n, 0) == (n < 16)
    assert (ring.used, ring.waiting) == (16, 15) and ring.put_intent(order(), 99, 0, 0) == 0
    assert ring.put_modify(order(), 1, 1, 99, 0) == 0
    assert nonces(drained(ring)) == list(range(put + 20))
    assert ring.blocked == 0 and ring.waiting == 0 and ring.put_intent(order(), 1, 0, 0) == 1


def test_a_batch_is_promised_room_before_its_first_intent(ring):
    """Given room for 5 more orders, when 6 are asked for, then none is begun; 5 all get in, with the longest names."""
    assert ring.has_room(6) and not ring.has_room(7) and BLOCKED[ring.blocked] == "FULL"
    ring.put_cancel(order(), 0, 0)
    assert not ring.has_room(6) and ring.has_room(5) and ring.blocked == 0
    long = {"client_order_id": "\U0001f600" * 36, "coin": "\U0001f600" * 30, "trading_pair": "\U0001f600" * 30}
    assert [ring.put_intent(order(**long), n, 0, 0) for n in range(5)] == [1] * 5
    assert nonces(drained(ring)) == [0, *range(5)]


def test_a_drain_that_fails_stops_intents_and_modifies_but_nothing_else(ring):
    """A failed drain stops new orders, not cancels, in a named state."""
    ring.fail("the disk is full")
    assert ring.refusal == "the journal is FAILED: the disk is full"
    assert BLOCKED[ring.blocked] == "FAILED" and not ring.has_room(1)
    assert ring.put_intent(order(), 1, 0, 0) == ring.put_modify(order(), 1, 1, 1, 0) == 0
    assert ring.put_cancel(order(), 2, 0) == ring.put_fill(fill(), "hl-1") == ring.put_state(order(), 1, 2, 0, 0) == 1
    ring.resume()
    assert ring.blocked == 0 and ring.put_intent(order(), 3, 0, 0) == 1
    assert [kind for kind, _ in drained(ring)] == ["event", "fill", "event", "order"]


def test_a_text_that_cannot_be_kept_leaves_nothing_behind(ring):
    with pytest.raises(UnicodeEncodeError):
        ring.put_intent(order(client_order_id="\ud800"), 1, 0, 0)
    with pytest.raises(RangeError, match="a text of"):
        ring.put_intent(order(coin="x" * 200_000), 1, 0, 0)
    with pytest.raises(RangeError, match="ring of 16"):
        ring.put_note("a", b"x" * 20_000, 1)
    assert ring.used == 0 and ring.waiting == 0


def test_a_reason_of_the_venue_is_kept_to_4000_characters(tmp_path):
    ring, o = JournalRing(tmp_path / "ring", 256), order()
    tracker = ClientOrderTracker()
    tracker.bus.on(ev.OrderFailed, ring.put_order_event)
    tracker.start_tracking(o)
    tracker.reject(o, "x" * 5_000, VenueReject("code", "y" * 5_000))
    [(_, fields)] = drained(ring)
    assert (fields["reason"], fields["reject_text"], fields["reject_code"]) == ("x" * 4_000, "y" * 4_000, "code")


def test_puts_from_many_threads_are_whole_and_numbered_once(tmp_path):
    """Behaviour of one step under the interpreter lock: 8 threads × 500 records of three kinds."""
    ring = JournalRing(tmp_path / "ring", 4096 * 4)
    orders = [order(n) for n in range(8)]

    def put(n: int) -> None:
        for i in range(500):
            ring.put_intent(orders[n], n * 1000 + i, 0, 0)
            ring.put_cancel(orders[n], n * 1000 + i, 0)

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = drained(ring, 1000)
    assert ring.torn == 0 and len(records) == 8000
    for n in range(8):
        own = [(kind, f["nonce"]) for kind, f in records if f["client_order_id"] == f"hl-{n}"]
        assert own == [(kind, n * 1000 + i) for i in range(500) for kind in ("order", "event")]
    ring.close()


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "long", "read", "reopen", "fail"]), st.integers(1, 9)), max_size=60
    )
)
def test_the_ring_is_a_list_whatever_the_order_of_calls(tmp_path_factory, steps):
    """Put, drain and open again at random: what comes out is what went in, in order, once."""
    path = tmp_path_factory.mktemp("ring") / "ring"
    ring, put, out = JournalRing(path, 16), [], []

    def note(body: bytes) -> None:
        ring.put_note("n", body, len(put))
        put.append(body)

    for what, n in steps:
        if what == "put":
            for i in range(n):
                note(f"{len(put)}-{i}".encode())
        elif what == "long":
            note(bytes([n]) * 100 * n)
        elif what == "read":
            batch = ring.read(n)
            out += [fields["body"] for _, _, fields in batch]
            if batch:
                ring.release(batch[-1][0])
        elif what == "fail":
            ring.fail("") if n % 2 else ring.resume()
        elif ring.waiting == 0:  # what waits in memory does not survive: it is not in the file
            ring.close()
            ring = JournalRing(path, 16)
    out += [fields["body"] for _, fields in drained(ring)]
    assert out == put and ring.torn == 0
    ring.close()


# -- after a process died -----------------------------------------------------------------------------------------------
def test_what_was_put_is_there_when_the_file_is_opened_again(tmp_path):
    """G1: an intent is in the mapped file when the call returns; nobody flushed or closed it."""
    ring = JournalRing(tmp_path / "ring", 16)
    for n in range(5):
        ring.put_intent(order(n), n, 0, 0)
    assert undrained(tmp_path / "ring") == 5
    again = JournalRing(tmp_path / "ring", 16)
    assert nonces(drained(again)) == list(range(5)) and again.torn == 0


def test_a_record_that_the_page_does_not_count_yet_is_found(tmp_path):
    """Given a process that died between a record's number and the page's, then the record is there all the same."""
    ring = JournalRing(tmp_path / "ring", 16)
    for n in range(20):
        ring.put_intent(order(n), n, 0, 0)
        ring.release(n)
    ring.close()
    edit(tmp_path / "ring", HEAD_AT, struct.pack("<q", 20))
    again = JournalRing(tmp_path / "ring", 16)
    assert again.head == 21 and nonces(drained(again)) == [19] and again.torn == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda at: (at, bytes(8)),  # its number was not stored
        lambda at: (at + 100, b"\xff"),  # a byte of its payload
        lambda at: (at + 8, bytes(8)),  # its check
        lambda at: (at + 22, b"\xff\xff"),  # its size
        lambda at: (at, struct.pack("<q", 3 - 16)),  # the record of a lap ago
    ],
)
def test_a_torn_record_is_known_counted_once_and_left_out(tmp_path, damage):
    """After a power loss, for example: the records around it are read."""
    ring = JournalRing(tmp_path / "ring", 16)
    for n in range(1, 6):
        ring.put_intent(order(n), n, 0, 0)
    ring.close()
    edit(tmp_path / "ring", *damage(record_at(3)))
    again = JournalRing(tmp_path / "ring", 16)
    assert nonces((k, f) for _, k, f in again.read(9)) == [1, 2]  # up to the torn one; asked again without a release
    assert nonces(drained(again)) == [1, 2, 4, 5]
    assert again.torn == 1 and again.used == 0


def test_a_long_message_that_lost_a_part_is_torn_as_a_whole(tmp_path):
    ring = JournalRing(tmp_path / "ring", 16)
    ring.put_nonce(1, 0)
    ring.put_note("n", b"x" * 1200, 0)  # records 2 to 4
    ring.put_nonce(5, 0)
    ring.close()
    edit(tmp_path / "ring", record_at(3) + 100, b"?")
    again = JournalRing(tmp_path / "ring", 16)
    assert nonces(drained(again)) == [1, 5] and again.torn == 3


def test_a_long_message_is_not_there_before_its_first_part_is(tmp_path):
    """Given a process that died while it published a long message, then later records take its place."""
    ring = JournalRing(tmp_path / "ring", 16)
    ring.put_nonce(1, 0)
    ring.put_note("n", b"x" * 1200, 0)
    ring.close()
    edit(tmp_path / "ring", record_at(2), bytes(8))
    edit(tmp_path / "ring", HEAD_AT, struct.pack("<q", 2))
    again = JournalRing(tmp_path / "ring", 16)
    assert nonces(drained(again)) == [1]
    again.put_nonce(9, 0)
    assert nonces(drained(again)) == [9]


def test_a_file_that_is_behind_its_journal_goes_on_after_it(ring):
    """Given a ring that was deleted or put back from a copy, when the journal says what it has, then no number is used twice."""
    ring.put_nonce(1, 0)
    ring.release(1000)
    assert (ring.head, ring.used) == (1001, 0)
    ring.put_nonce(2, 0)
    assert [(last, f["nonce"]) for last, _, f in ring.read(9)] == [(1001, 2)]


def test_another_size_is_taken_when_the_ring_is_empty(tmp_path):
    ring = JournalRing(tmp_path / "ring", 16, journal_id=7)
    ring.begin_run(7, 3)
    ring.put_nonce(1, 0)
    with pytest.raises(ConfigError, match="1 records wait"):
        ring.resize(100)
    with pytest.raises(ConfigError, match="drain them first"):
        ring.begin_run(7, 4)
    ring.release(1)
    ring.resize(100)
    assert (ring.capacity, ring.head, ring.journal_id, ring.run_id) == (128, 2, 7, 3)
    ring.close()
    assert JournalRing(tmp_path / "ring", 16).capacity == 128
    assert (tmp_path / "ring").stat().st_mode & 0o777 == 0o600 and not (tmp_path / "ring.new").exists()


@pytest.mark.parametrize("content", [b"", b"x" * 5000, b"HLFRING\x02" + bytes(4088), b"HLFRING\x01" + bytes(4088)])
def test_a_file_that_is_no_ring_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "ring"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not a journal ring of this version"):
        JournalRing(path, 16)
    assert path.read_bytes() == content


@pytest.mark.parametrize("records", [0, 15, -1, 2**25])
def test_a_size_that_makes_no_sense_is_refused(tmp_path, records):
    with pytest.raises(ConfigError, match="16 to"):
        JournalRing(tmp_path / "ring", records)


def test_a_closed_ring_takes_nothing_and_says_so(ring):
    ring.close()
    ring.close()
    assert (
        BLOCKED[ring.blocked] == "CLOSED" and ring.put_intent(order(), 1, 0, 0) == ring.put_cancel(order(), 1, 0) == 0
    )
    for call in (lambda: ring.read(1), lambda: ring.release(1), lambda: ring.run_id, lambda: ring.resize(16)):
        with pytest.raises(ConfigError, match="closed"):
            call()


# -- events and restoring -----------------------------------------------------------------------------------------------
def test_every_event_about_an_order_has_a_record(tmp_path, Desk):
    """Seed system, persistence: acks, fills, ends, and what was asked in between."""
    ring = JournalRing(tmp_path / "ring", 256)
    desk = Desk()
    desk.tracker.bus.on(ev.OrderEvent, ring.put_order_event)
    t = desk.tracker
    a, b, c, d, e = (desk.order(tif="Gtc") for _ in range(5))
    desk.apply(a, "ack", desk.fill(a, 1, 1))
    for o, oid in ((b, 78), (c, 79)):
        t.acknowledge(o, oid, 1)
    t.request_modify(b, 1, 500)
    t.modify_refused(b, "no", False, 2)
    t.request_modify(b, 101 * 10**8, 500)
    t.modify_accepted(b, 80, 3)
    t.request_cancel(c)
    t.cancel_refused(c, "already gone", 4)
    desk.apply(c, desk.row(c, S.CANCELLED, left=1000, oid=79))
    t.reject(d, "no margin", VenueReject("margin", "Insufficient margin"))
    t.expire(e, "too late")
    records = drained(ring)
    told = [f.get("event", "fill") for _, f in records]
    assert set(told) == set(EVENTS) - {"cancel_sent", "modify_sent"} | {"fill"}
    assert sorted(event for event in told if event in ENDS) == sorted(ENDS)
    modified = next(f for _, f in records if f.get("event") == "modified")
    assert (modified["px_e8"], modified["lots"], modified["leg_lots"], modified["oid"]) == (101 * 10**8, 500, 500, 80)
    steps = [
        (f["old_state"], f["new_state"])
        for _, f in records
        if f.get("event") == "state" and f["client_order_id"] == "hl-1"
    ]
    assert steps == [("PENDING_CREATE", "PENDING_SUBMIT"), ("PENDING_SUBMIT", "OPEN"), ("OPEN", "FILLED")]
    ring.close()


def test_an_order_placed_elsewhere_is_described_with_its_news(tmp_path, Desk):
    """It has no intent here; its fills belong to it all the same."""
    ring = JournalRing(tmp_path / "ring", 256)
    tracker = Desk().tracker
    tracker.bus.on(ev.OrderEvent, ring.put_order_event)
    tracker.process_trade_update(fill(5, coin="ETH"))
    records = drained(ring)
    first, last = records[0], records[1:]
    assert first[0] == "order" and first[1]["is_external"] and first[1]["client_order_id"] == "external-77"
    assert {"fill", "event"} <= {kind for kind, _ in last}
    ring.close()


def test_a_trigger_order_comes_back_with_its_trigger(ring):
    """L42. Read back from a row, put and read once more: the same."""
    fields = {
        "client_order_id": "hl-1", "cloid": None, "coin": "BTC", "trading_pair": "BTC-USD", "tif": "Gtc", "trigger_kind": "tp",
        "nonce": 5, "expires_ms": 6, "recv_ns": 7, "created_ns": 8, "px_e8": 9, "lots": 10, "trigger_px_e8": 11 * 10**8,
        "trigger_is_market": 0, "asset": 3, "leverage": 4, "sz_decimals": 2, "side": "A", "reduce_only": 1, "is_external": 0,
        "order_type": "STOP_LIMIT", "position_action": "CLOSE", "strategy": "maker",
    }  # fmt: skip
    o = restore_order(row_of(fields), [], [])
    assert o.trigger == Trigger(Decimal(11), False, "tp") and o.trigger_price == 11
    ring.put_intent(o, 5, 6, 7)
    assert drained(ring) == [("order", fields)]


def fasthash(data: bytes, seed: int) -> int:
    """The check of a record, typed again from its description."""
    m, mask = 0x880355F21E6D1965, 2**64 - 1
    h = seed ^ (len(data) * m & mask)
    for at in range(0, len(data), 8):
        v = int.from_bytes(data[at : at + 8], "little")
        v = (v ^ v >> 23) * 0x2127599BF4325C37 & mask
        h = (h ^ v ^ v >> 47) * m & mask
    h = (h ^ h >> 23) * 0x2127599BF4325C37 & mask
    return h ^ h >> 47


def test_an_order_that_an_earlier_version_has_put_is_read_without_a_strategy(tmp_path):
    """Given a ring that was left undrained before an update, whose orders end one text earlier, then none is lost."""
    path = tmp_path / "ring"
    ring = JournalRing(path, 16)
    o = InFlightOrder(client_order_id="hl-1", coin="BTC", trade_type=TradeType.BUY, amount=1, price=2)
    ring.put_intent(o, 5, 6, 7)
    [(kind, fields)] = drained(ring)
    ring.put_intent(o, 5, 6, 7)
    number = ring.head - 1
    ring.close()
    data = bytearray(path.read_bytes())
    at = 4096 + 512 * (number & 15)
    size = int.from_bytes(data[at + 22 : at + 24], "little")
    assert data[at + 24 + size - 4 : at + 24 + size] == b"\xff" * 4, "no strategy: the last text"
    assert int.from_bytes(data[at + 8 : at + 16], "little") == fasthash(bytes(data[at + 16 : at + 24 + size]), number)
    data[at + 22 : at + 24] = (size - 4).to_bytes(2, "little")
    data[at + 8 : at + 16] = fasthash(bytes(data[at + 16 : at + 20 + size]), number).to_bytes(8, "little")
    path.write_bytes(data)
    ring = JournalRing(path, 16)
    assert drained(ring) == [(kind, fields)] and fields["strategy"] is None and ring.torn == 0
    ring.close()


@pytest.mark.parametrize(
    ("row", "state", "unresolved"),
    [
        ({}, S.PENDING_SUBMIT, True),  # an intent: its bytes may have left
        ({"state": "PENDING_SUBMIT"}, S.PENDING_SUBMIT, True),
        ({"state": "OPEN", "created": 1}, S.OPEN, False),
        ({"state": "PENDING_CANCEL", "created": 1}, S.PENDING_CANCEL, True),
        ({"state": "OPEN", "created": 1, "modify_px_e8": 5, "modify_leg_lots": 5}, S.OPEN, True),
        ({"state": "FILLED", "created": 1}, S.OPEN, False),  # its end was not told: it is to come again
        ({"state": "CANCELLED", "created": 0}, S.PENDING_SUBMIT, True),
        ({"state": "CANCELLED", "created": 1, "ended": 1}, S.CANCELLED, False),
    ],
)
def test_a_restored_order_is_in_a_state_from_which_its_end_can_still_be_told(row, state, unresolved):
    """G5 over a restart: one end, told once."""
    fields = {"client_order_id": "hl-1", "cloid": "0x1", "coin": "BTC", "trading_pair": "BTC", "tif": "Gtc", "asset": 0}
    numbers = {"px_e8": 1, "lots": 1000, "sz_decimals": 3, "side": "B", "nonce": 9, "expires_ms": 0, "created_ns": 1}
    more = {
        "reduce_only": 0,
        "is_external": 0,
        "order_type": "LIMIT",
        "position_action": "NIL",
        "leverage": 0,
        "recv_ns": 1,
    }
    trigger = {"trigger_px_e8": None, "trigger_kind": None, "trigger_is_market": None}
    o = restore_order(row_of({**fields, **numbers, **more, **trigger}, **row), [], [])
    tracker = ClientOrderTracker()
    told = []
    tracker.bus.on(ev.OrderEvent, told.append)
    restore_into(tracker, [o], [])
    assert (o.state, o.unresolved, tracker.get_order("hl-1") is o, told) == (state, unresolved, True, [])
    assert (o in tracker.orders_to_ask_about) == unresolved and (o in tracker.active_orders) == (not row.get("ended"))


def test_fills_of_earlier_runs_are_known_and_those_of_a_replaced_leg_find_their_order():
    """G7 and G16 over a restart: the chain of ids stays one order, and no fill is booked twice."""
    old, new = (
        fill(1, exchange_order_id=70, amount="0.2", sz_decimals=3),
        fill(2, exchange_order_id=71, amount="0.3", sz_decimals=3),
    )
    fields = {"client_order_id": "hl-1", "cloid": "0x1", "coin": "BTC", "trading_pair": "BTC", "tif": "Gtc", "asset": 0}
    numbers = {"px_e8": 1, "lots": 700, "sz_decimals": 3, "side": "B", "nonce": 9, "expires_ms": 0, "created_ns": 1}
    more = {
        "reduce_only": 0,
        "is_external": 0,
        "order_type": "LIMIT",
        "position_action": "NIL",
        "leverage": 0,
        "recv_ns": 1,
    }
    trigger = {"trigger_px_e8": None, "trigger_kind": None, "trigger_is_market": None}
    row = row_of({**fields, **numbers, **more, **trigger}, state="PARTIALLY_FILLED", created=1, leg_lots=600)
    o = restore_order(row, [old, new], [70, 71])
    tracker = ClientOrderTracker()
    restore_into(tracker, [o], [old.key, new.key])
    assert (o.amount, o.filled_amount, o.exchange_order_ids) == (Decimal("0.8"), Decimal("0.5"), (70, 71))
    assert not tracker.process_trade_update(old) and not tracker.process_trade_update(new)
    assert tracker.process_trade_update(
        fill(3, exchange_order_id=70, amount="0.1", sz_decimals=3)
    )  # late, of the old leg
    assert (o.amount, o.filled_amount) == (Decimal("0.9"), Decimal("0.6"))
    tracker.process_trade_update(fill(4, exchange_order_id=71, amount="0.3", sz_decimals=3))
    assert o.state is S.FILLED
