"""The frames of an order-book server into the book: equal to a plain model, held while waiting, stale at the first gap."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.l4_scan import L4Router

from .frames import COIN, l2book, order_json, snapshot, status_json, updates
from .model import USERS, Stream, assert_equal, time_of


class Desk:
    """A stream, and a router that reads it; `gaps` has the reasons that it gave up."""

    def __init__(self, seed: int = 1, **options: Any) -> None:
        self.stream = Stream(seed, **options)
        self.router = L4Router(TradingRule(COIN, sz_decimals=0))
        self.gaps: list[str] = []
        self.blocks: list[int] = []
        self.errors: list[Any] = []
        self.router.gap_sink = self.gaps.append
        self.router.block_handlers = (lambda book: self.blocks.append(book.height),)
        self.router.error_sink = lambda *said: self.errors.append(said)
        self.router.on_handler_error = lambda *said: self.errors.append(said)

    @property
    def book(self) -> Any:
        return self.router.l4

    def __getitem__(self, counter: str) -> int:
        return self.router.l4_counters[counter]

    def feed(self, *frames: bytes) -> None:
        for frame in frames:
            self.router.feed(frame, 7)

    def start(self) -> Desk:
        self.feed(snapshot(self.stream))
        return self

    def next(self, diffs: int = 20) -> bytes:
        came, rows = self.stream.block(diffs)
        return updates(self.stream.height, came, rows)


def spaced(frame: bytes) -> bytes:
    """The same, as no server spells it: orjson reads it."""
    return json.dumps(json.loads(frame), separators=(", ", ": ")).encode()


@pytest.mark.parametrize(("spell", "fallbacks"), [(bytes, 0), (spaced, 151)], ids=["scanner", "orjson"])
def test_blocks_are_applied_and_equal_the_model(spell: Any, fallbacks: int) -> None:
    # Given a snapshot, when blocks follow it,
    desk = Desk(3)
    desk.feed(spell(snapshot(desk.stream)))
    assert desk.blocks == [desk.stream.height] and not desk.book.is_stale
    for _ in range(150):
        desk.feed(spell(desk.next()))
        # then after each the book is the model's: levels, queues, owners, positions.
        assert_equal(desk.book, desk.stream.model, queues=30, chance=desk.stream.chance)
    assert_equal(desk.book, desk.stream.model)
    assert desk.book.self_check() == "" and (desk.gaps, desk.errors) == ([], [])
    assert desk.book.height == desk.stream.height and desk.book.time_ms == time_of(desk.stream.height)
    assert desk.router.counters["fallbacks"] == fallbacks


def test_the_protocols_own_example():
    """Section 8.3, with an address and a status that does not rest."""
    router = L4Router(TradingRule("BTC", sz_decimals=5))
    user = "0xAbCdEf" + "12" * 17
    order = (
        '"coin":"BTC","side":"B","limitPx":"106217.0","sz":"0.001","oid":%d,"timestamp":1751427250000,'
        '"triggerCondition":"N/A","isTrigger":false,"triggerPx":"0.0","isPositionTpsl":false,"reduceOnly":false,'
        '"orderType":"Limit","tif":"Alo","cloid":null}'
    )
    head = '{"channel":"l4Book","data":{'
    router.feed(
        f'{head}"Snapshot":{{"coin":"BTC","time":1751427259657,"height":650000000,"levels":[[{{"user":"{user}",{order % 1}],[]]}}}}}}'.encode()
    )
    router.feed(
        (
            f'{head}"Updates":{{"time":1751427259727,"height":650000001,"order_statuses":[{{"time":"2025-07-02T03:34:19.727",'
            f'"user":"{user}","status":"open","order":{{"user":null,{order % 2}}}],"book_diffs":[{{"user":"{user}","oid":2,'
            '"px":"106217.0","coin":"BTC","raw_book_diff":{"new":{"sz":"0.001"}}}]}}}'
        ).encode()
    )
    assert router.counters["fallbacks"] == 0 and router.l4.queue(True, 106217) == [1, 2]
    second = router.l4.position(2)
    assert (second.time_ms, second.user, second.lots_ahead) == (1751427259727, user.lower(), 100)
    assert [place.oid for place in router.l4.positions_of_user(user)] == [2, 1]


def made(oid: int, px: int = 49_000, sz: int = 5, **more: Any) -> dict[str, Any]:
    return {"oid": oid, "is_buy": True, "px": px, "sz": sz, "user": USERS[0], "cloid": None, "time": time_of(0), **more}


def new(order: dict[str, Any], before: int | None = None) -> dict[str, Any]:
    return {**order, "kind": "new", "before": before}


def test_a_status_makes_an_order_rest_only_if_it_says_so():
    """Section 8.4: open and neither a trigger nor Ioc, or a trigger that fired."""
    desk = Desk().start()
    height = desk.stream.height
    order = made(10**6)
    for at, extra in enumerate(
        (
            status_json(order, "canceled"),
            status_json(order, tif="Ioc"),
            status_json(order, is_trigger=True),
            status_json(order, "triggered"),
        )
    ):
        desk.start()
        desk.feed(updates(height + 1, [], [new(order)], (extra,)))
        assert len(desk.gaps) == at + 1 and "no status says what it is" in desk.gaps[-1]
        assert desk.book.is_stale
    desk.start()
    desk.feed(updates(height + 1, [], [new(order)], (status_json(order, "triggered", is_trigger=True),)))
    assert desk.book.queue(True, 49_000) == [10**6] and len(desk.gaps) == 4


def test_the_size_is_the_diffs_and_the_place_is_insert_before():
    # Given two orders at a price, when one that was partly filled on arrival comes in front of the second,
    desk = Desk().start()
    height = desk.stream.height
    first, second, third = made(10**6), made(10**6 + 1), made(10**6 + 2, sz=50)
    desk.feed(updates(height + 1, [first, second], [new(first), new(second)]))
    desk.feed(updates(height + 2, [third], [{**new(third, before=second["oid"]), "sz": 20}]))
    # then it stands there, with what the diff says is left.
    assert desk.book.queue(True, 49_000) == [10**6, 10**6 + 2, 10**6 + 1]
    assert desk.book.position(10**6 + 2).lots == 20 and desk.gaps == []


def test_trigger_orders_of_a_snapshot_do_not_rest():
    desk = Desk(live=4)
    frame = json.loads(snapshot(desk.stream))
    frame["data"]["Snapshot"]["levels"][0].append(order_json(made(77), user=USERS[0], is_trigger=True))
    desk.feed(json.dumps(frame, separators=(",", ":")).encode())
    assert desk.book.position(77) is None and len(desk.book) == 4 and desk.gaps == []


# -- what goes wrong ----------------------------------------------------------------------------------------------------
def test_a_missing_block_makes_it_stale_until_a_snapshot_and_what_came_meanwhile_is_replayed():
    # Given a book in step, when a block is missing,
    desk = Desk(5).start()
    desk.feed(desk.next())
    desk.next()
    late = desk.next()
    desk.feed(late)
    # then it is stale and says why, once, whatever follows;
    assert desk.book.is_stale and desk.router.is_waiting and len(desk.gaps) == 1 and "is missing" in desk.gaps[0]
    fresh = snapshot(desk.stream)
    after = [desk.next() for _ in range(3)]
    desk.feed(*after)
    assert len(desk.gaps) == 1 and desk["gaps"] == 1
    # and with a snapshot the blocks behind it follow, those before it are left out.
    desk.feed(fresh)
    assert not desk.book.is_stale and desk.book.height == desk.stream.height
    assert_equal(desk.book, desk.stream.model)
    assert desk["held"] == 4 and desk["duplicates"] == 1


def test_a_snapshot_that_the_held_blocks_do_not_follow_asks_for_another():
    desk = Desk(6)
    old = snapshot(desk.stream)
    desk.next()
    desk.feed(desk.next(), old)
    assert desk.book.is_stale and desk["gaps"] == 1
    desk.start()
    assert not desk.book.is_stale
    assert_equal(desk.book, desk.stream.model)


def test_a_height_that_is_wrong_costs_one_snapshot_and_not_every_one():
    # Given a block of a height that will not come for years, when snapshots follow,
    desk = Desk(6).start()
    came, rows = desk.stream.block()
    desk.feed(updates(desk.stream.height * 10, came, rows))
    desk.start()
    desk.start()
    # then the second one is good: the block is not held for ever.
    assert not desk.book.is_stale and desk["gaps"] == 2
    desk.feed(desk.next())
    assert_equal(desk.book, desk.stream.model)


def test_a_repeated_block_changes_nothing():
    desk = Desk(7).start()
    block = desk.next()
    desk.feed(block, block)
    assert desk["duplicates"] == 1 and not desk.book.is_stale
    assert_equal(desk.book, desk.stream.model)


def test_blocks_in_the_wrong_order_are_a_gap():
    desk = Desk(8).start()
    first, second = desk.next(), desk.next()
    desk.feed(second, first)
    assert desk.book.is_stale and desk["gaps"] == 1


def test_a_server_that_leaves_out_quiet_heights_can_be_read():
    """`every_height=False`: then only what does not fit shows a gap."""
    desk = Desk(9).start()
    desk.router.every_height = False
    for _ in range(5):
        desk.stream.height += 3
        desk.feed(desk.next())
    assert_equal(desk.book, desk.stream.model)
    assert desk.gaps == []


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{**made(99_999_999), "kind": "remove"}], "does not rest"),
        ([{**made(99_999_999), "kind": "update", "was": 1}], "does not rest"),
        ([new(made(10**6), before=99_999_999)], "should stand before"),
        ([new(made(10**6)), new(made(10**6))], "rests already"),
        ([new(made(10**6)), {**made(10**6), "kind": "update", "was": 4}], "another price or former size"),
        ([new(made(10**6)), {**made(10**6, px=48_999), "kind": "remove"}], "another price or former size"),
        ([new(made(10**6, sz=0))], "not above 0"),
        ([new(made(10**6, px=60_000))], "crossed"),
    ],
)
def test_a_change_that_does_not_fit_makes_it_stale(rows: list[Any], why: str) -> None:
    desk = Desk().start()
    desk.feed(updates(desk.stream.height + 1, [made(10**6)], rows))
    assert len(desk.gaps) == 1 and why in desk.gaps[0] and desk.book.is_stale and desk["diverged"] == 1


def test_every_cut_of_a_block_makes_it_stale_and_none_is_taken_for_a_whole_one():
    desk = Desk(11, live=20)
    block = desk.next(4)
    whole = Desk(11, live=20).start()
    whole_snapshot = snapshot(whole.stream)
    for size in range(len(b'{"channel":"l4Book"'), len(block)):
        whole.feed(whole_snapshot)
        assert not whole.book.is_stale
        whole.feed(block[:size])
        assert whole.book.is_stale, block[:size]
    whole.feed(whole_snapshot, block)
    assert_equal(whole.book, desk.stream.model)


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        {"Updates": {"height": 1}},
        {"Updates": {"time": 1, "height": 650_000_001, "order_statuses": [], "book_diffs": [7]}},
        {"Updates": {"time": 1, "height": 650_000_001, "order_statuses": [None, {"order": 3}], "book_diffs": [{}]}},
        {"Snapshot": {"coin": COIN, "time": 1, "height": 1}},
        {"Snapshot": {"coin": COIN, "time": 1, "height": 1, "levels": [[1], []]}},
        {"Snapshot": {"coin": COIN, "time": 1, "height": 1, "levels": [7, []]}},
    ],
)
def test_what_cannot_be_read_makes_it_stale(data: Any) -> None:
    """G19: nothing raises, and nothing is guessed."""
    desk = Desk().start()
    desk.feed(json.dumps({"channel": "l4Book", "data": data}).encode())
    assert desk.book.is_stale and len(desk.gaps) == 1 and desk.errors
    desk.start()
    assert not desk.book.is_stale


def test_unknown_fields_and_unreadable_statuses_of_others_do_not_disturb():
    """G19: a status that lets no order rest may look as it likes."""
    desk = Desk(12).start()
    came, rows = desk.stream.block()
    frame = json.loads(updates(desk.stream.height, came, rows))
    block = frame["data"]["Updates"]
    block["order_statuses"].insert(0, {"status": "strangeRejected", "order": {"coin": COIN, "sz": None}})
    for row in (*block["order_statuses"], *block["book_diffs"]):
        row["new_field"] = {"a": [1]}
    desk.feed(json.dumps(frame).encode())
    assert_equal(desk.book, desk.stream.model)
    assert desk.gaps == []


def test_the_rows_of_other_coins_are_left_out():
    desk = Desk(13).start()
    came, rows = desk.stream.block()
    frame = json.loads(updates(desk.stream.height, came, rows))
    block = frame["data"]["Updates"]
    other = json.loads(json.dumps(block["book_diffs"]).replace('"BTC"', '"ETH"'))
    statuses = json.loads(json.dumps(block["order_statuses"]).replace('"BTC"', '"ETH"'))
    block["book_diffs"] = [*other, *block["book_diffs"]]
    block["order_statuses"] = [*statuses, *block["order_statuses"]]
    desk.feed(json.dumps(frame, separators=(",", ":")).encode())
    assert_equal(desk.book, desk.stream.model)
    assert desk.router.counters["fallbacks"] == 0


# -- beside the aggregated book -----------------------------------------------------------------------------------------
def test_an_l2_book_of_the_same_block_is_compared_whichever_comes_first():
    desk = Desk(14).start()
    for at in range(10):
        frames = [desk.next(), l2book(desk.stream)]
        desk.feed(*(frames if at % 2 else reversed(frames)))
    assert desk["l2_compared"] == 10 and desk["l2_different"] == 0 and desk.gaps == []
    # One of another block says nothing.
    old = l2book(desk.stream)
    desk.feed(desk.next(), old)
    assert desk["l2_compared"] == 10


def test_an_l2_book_that_differs_makes_it_stale_and_says_where():
    desk = Desk(15).start()
    block = desk.next()
    wrong = json.loads(l2book(desk.stream))
    wrong["data"]["levels"][1][2]["sz"] = "1.0"
    desk.feed(block, json.dumps(wrong, separators=(",", ":")).encode())
    assert desk.book.is_stale and desk["l2_different"] == 1
    assert "differs from its l2Book: ask level" in desk.gaps[0]


# -- length -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("total", "live", "a_block"),
    [(100_000, 2_000, 100), pytest.param(1_000_000, 20_000, 200, marks=pytest.mark.long)],
)
def test_a_long_stream_equals_the_model_after_every_batch(total: int, live: int, a_block: int) -> None:
    """10^5 diffs, 10^6 with --long; all levels after each block, whole queues of some."""
    desk = Desk(21, live=live, width=300).start()
    blocks = 0
    while desk["diffs"] < total:
        desk.feed(desk.next(a_block))
        blocks += 1
        model = desk.stream.model
        assert len(desk.book) == len(model.orders) and not desk.book.is_stale
        levels = [[(px * 10**8, sz, n) for px, sz, n in model.levels(is_buy)] for is_buy in (True, False)]
        assert list(desk.book.raw_levels(1 << 30)) == levels
        if blocks % 50 == 0:
            assert_equal(desk.book, model, queues=200, chance=desk.stream.chance)
    assert_equal(desk.book, desk.stream.model)
    assert desk.book.self_check() == "" and desk.gaps == [] and desk.router.counters["fallbacks"] == 0


def test_spoiled_blocks_mean_the_same_to_the_scanner_and_to_orjson() -> None:
    # Given two books in step, when a block has one to three bytes changed, inserted or left out,
    chance = random.Random(31)
    scanned, parsed = Desk(31, live=12), Desk(31, live=12)
    start, good = snapshot(scanned.stream), scanned.next(6)
    taken = refused = 0
    for _ in range(4_000):
        scanned.router.expect_snapshot("the next round")
        parsed.router.expect_snapshot("the next round")
        scanned.feed(start)
        parsed.feed(start)
        block = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(30, len(block))
            block[at : at + chance.randint(0, 1)] = bytes([chance.choice(b'0123456789ab"{}[],:.nulBA-e \\')])
        scanned.feed(bytes(block))
        try:
            same = spaced(bytes(block))
        except ValueError:
            # then it is refused if it is no JSON any more,
            assert scanned.book.is_stale
            refused += 1
            continue
        # and else it means to both what it says.
        parsed.feed(same)
        assert scanned.book.is_stale == parsed.book.is_stale, bytes(block)
        if not scanned.book.is_stale:
            taken += 1
            assert scanned.book.raw_levels(100) == parsed.book.raw_levels(100), bytes(block)
            assert [
                (place.oid, place.cloid, place.time_ms, place.orders_ahead)
                for user in USERS
                for place in scanned.book.positions_of_user(user)
            ] == [
                (place.oid, place.cloid, place.time_ms, place.orders_ahead)
                for user in USERS
                for place in parsed.book.positions_of_user(user)
            ], bytes(block)
        assert scanned.book.self_check() == ""
    assert taken > 200 and refused > 1_000
