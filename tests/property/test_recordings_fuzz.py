"""Recordings of the venue, whole and mutated, through everything that reads them: nothing dropped, no crash, no wrong number."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import orjson
import pytest

from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError
from hlfast.types import StreamState
from hlfast.venues.hyperliquid.endpoints import SUBSCRIPTIONS
from hlfast.venues.hyperliquid.metadata import Metadata
from hlfast.venues.hyperliquid.scan import Router
from hlfast.venues.hyperliquid.streams import Streams, unpacked

from ..venue.conforming import misfits

BY_CHANNEL = {channel: entry for entry in SUBSCRIPTIONS.values() for channel in entry.channels}


class Session:
    """A socket that is never opened."""

    is_open = False
    state = StreamState.LIVE

    def set_state(self, state: Any, why: str) -> None: ...
    def note_pong(self) -> None: ...


class Desk:
    """Streams with a feed for every subscription that a frame may belong to, and all that they said."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.told: list[str] = []
        self.streams = Streams(
            lambda *_: Session(), "0x" + "0" * 40, str, lambda code, text: self.told.append(code), self.failed
        )

    def failed(self, fn: Any, error: BaseException) -> None:
        raise error

    def subscribe_for(self, frame: Any) -> None:
        entry = BY_CHANNEL.get(frame.get("channel"))
        data = frame.get("data")
        if entry is None:
            return
        row = data[0] if isinstance(data, list) and data else data
        found = row if isinstance(row, dict) else {}
        state = found.get("userState") if isinstance(found.get("userState"), dict) else {}
        given = {
            "coin": found.get("coin") or found.get("s") or "BTC",
            "interval": found.get("i", "1m"),
            "user": found.get("user") or state.get("user") or "0x" + "0" * 40,
        }
        try:
            self.streams.on(entry.name, self.events.append, **{k: v for k, v in given.items() if k in entry.body.names})
        except ConfigError:
            pass

    def feed(self, text: bytes) -> None:
        for line in self.streams._lines:
            line.feed(text, 1)


def frames(shared) -> list[tuple[dict[str, Any], bytes]]:
    found = []
    for path in sorted((shared / "fixtures" / "venue").glob("ws_*.jsonl")):
        for line in path.read_text().splitlines():
            row = orjson.loads(line)
            found.append((row, row["raw"].encode()))
    return found


def test_every_recorded_frame_is_delivered_whole(shared):
    """Nothing is dropped and unknown fields stay reachable: the event's data is the frame's own JSON."""
    seen = 0
    for row, text in frames(shared):
        frame = orjson.loads(text)
        entry = BY_CHANNEL.get(frame["channel"])
        if entry is None:
            continue
        desk = Desk()
        desk.subscribe_for(frame)
        desk.feed(text)
        if not row["recorded"]:
            continue
        (event,) = desk.events
        assert event.data == frame["data"] and event.name == entry.name
        assert not misfits(event.data, entry.row), row["id"]
        seen += 1
    assert seen > 45


def test_the_packed_contexts_are_unpacked_as_the_vector_says(shared):
    row = next(row for row, _ in frames(shared) if row["id"].startswith("ws_fastAssetCtxs"))
    data = orjson.loads(row["raw"])["data"]
    assert unpacked(data) == {
        "BTC": {"markPx": "97500.5"},
        "ETH": {"markPx": "3650.25"},
        "xyz:NVDA": {"markPx": "145.2"},
    }
    assert unpacked(data[:-4]) is None and unpacked("%%%") is None and unpacked(5) is None and unpacked("") is None


def mutated(text: bytes, rng: random.Random) -> bytes:
    """A recording with something wrong: a byte, a cut, a repeat, a value of another kind, a field that is gone or new."""
    how = rng.randrange(6)
    at = rng.randrange(len(text))
    if how == 0:
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
    if how == 1:
        return text[:at]
    if how == 2:
        return text[:at] + text[at : at + 20] + text[at:]
    try:
        tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            spots.append((node, key))
            if isinstance(child, (dict, list)):
                walk(child)

    walk(tree)
    node, key = rng.choice(spots)
    if how == 3:
        node[key] = rng.choice(
            [None, 5, -1, 1.5, True, "", "x", "1e5", "NaN", "-0.0", [], {}, "9" * 40, 2**63, [[]], {"coin": 5}]
        )
    elif how == 4:
        del node[key]
    elif isinstance(node, dict):
        node[rng.choice(["extra", "coin", "isSnapshot", "user"])] = rng.choice([None, 1, "x", [], {}])
    return orjson.dumps(tree)


def test_mutated_frames_crash_nothing_and_are_delivered_as_they_are_or_not_at_all(shared):
    """Whatever comes, an event's data is what orjson reads in the frame; a frame that is not JSON is counted and told."""
    rng = random.Random(41)
    delivered = 0
    for _, text in frames(shared):
        desk = Desk()
        desk.subscribe_for(orjson.loads(text))
        for _ in range(40):
            broken = mutated(text, rng)
            desk.events.clear()
            desk.feed(broken)
            try:
                frame = orjson.loads(broken)
            except orjson.JSONDecodeError:
                assert not desk.events
                continue
            data = frame.get("data") if isinstance(frame, dict) else None
            for event in desk.events:
                many = event.name == "candle" and isinstance(data, list)
                assert (
                    event.name == "fastAssetCtxs"
                    or event.data == data
                    or (many and event.data in data)
                    or event.name == "outcomeMetaUpdates"
                )
                delivered += 1
    assert delivered > 1000


def levels(data: Any) -> Any:
    """Both sides as (price, size), or None if they are not all plain decimals in the order of a book."""
    try:
        sides = [[(Decimal(row["px"]), Decimal(row["sz"])) for row in side] for side in data["levels"]]
    except Exception:
        return None
    return sides if len(sides) == 2 else None


def test_a_book_never_shows_a_number_that_no_frame_had(shared):
    """The hot scanner on mutated recordings: afterwards the book is stale, as it was, or exactly what orjson reads."""
    rng = random.Random(43)
    texts = [
        text for row, text in frames(shared) if row["recorded"] and b'"channel":"l2Book"' in text.replace(b" ", b"")
    ]
    right = 0
    for text in texts * 12:
        coin = orjson.loads(text)["data"]["coin"]
        rule = TradingRule(coin, asset=0, sz_decimals=5)
        router, book = Router(), OrderBook(coin, 5)
        router.add_instrument(rule, book, Bbo(coin, 5))
        router.feed(text, 1)
        for _ in range(4):
            before = shown(book)
            broken = mutated(text, rng)
            router.feed(broken, 2)
            if book.is_stale or shown(book) == before:
                continue
            read = levels(orjson.loads(broken)["data"])
            assert read is not None and shown(book) == read, broken[:200]
            right += 1
    assert right > 50


def shown(book: OrderBook) -> list[list[tuple[Decimal, Decimal]]]:
    return [book.get_top_bids(100), book.get_top_asks(100)]


def test_mutated_lists_of_instruments_name_the_right_market_or_none(shared):
    """G18: every rule that is read agrees with its own row; nothing raises."""
    folder = shared / "fixtures" / "venue"
    meta, spot = (folder / "meta.json").read_bytes(), (folder / "spot_meta.json").read_bytes()
    rng = random.Random(47)
    for _ in range(25):
        texts = mutated(meta, rng), mutated(spot, rng)
        try:
            perps, pairs = map(orjson.loads, texts)
        except orjson.JSONDecodeError:
            continue
        metadata = Metadata.from_json(perps, pairs)
        for coin, rule in metadata.rules.items():
            if rule.is_perpetual:
                assert perps["universe"][rule.asset]["name"] == coin
            else:
                assert any(
                    row["index"] == rule.asset - 10_000 and row["name"] == coin
                    for row in pairs["universe"]
                    if isinstance(row, dict) and "index" in row
                )


# -- every recording, through the scanners ---------------------------------------------------------------------------------


def everything(shared) -> list[tuple[str, bytes]]:
    """Every recorded frame; every recorded answer to an action or a query as the frame that would bring it."""
    folder = shared / "fixtures" / "venue"
    found = [(row["id"], text) for row, text in frames(shared)]
    for path in (folder / "exchange_responses.jsonl", *sorted(folder.glob("http_info_*.jsonl"))):
        kind = "action" if path.stem == "exchange_responses" else "info"
        for line in path.read_text().splitlines():
            row = orjson.loads(line)
            payload = row["response"]
            if kind == "info":
                payload = {"type": path.stem.removeprefix("http_info_"), "data": payload}
            frame = {"channel": "post", "data": {"id": 257, "response": {"type": kind, "payload": payload}}}
            found.append((row["id"], orjson.dumps(frame)))
            # What recovery reads over the same scanners: rows of fills and of orders.
            rows = row["response"]
            if path.stem.startswith("http_info_userFills") and isinstance(rows, list):
                data = {"user": "0x" + "0" * 40, "fills": rows[:20]}
                found.append((row["id"], orjson.dumps({"channel": "userFills", "data": data})))
            if path.stem == "http_info_historicalOrders" and isinstance(rows, list):
                found.append((row["id"], orjson.dumps({"channel": "orderUpdates", "data": rows[:20]})))
    for name, text in found[:]:
        data = orjson.loads(text).get("data")
        if name.startswith("ws_user-") and isinstance(data, dict) and "fills" in data:
            found.append((name, orjson.dumps({"channel": "userFills", "data": data})))
    return found


def numbers_in(node: Any, found: set[Decimal]) -> set[Decimal]:
    """Every number that a frame holds, as text or as JSON's own."""
    if isinstance(node, dict):
        for child in node.values():
            numbers_in(child, found)
    elif isinstance(node, list):
        for child in node:
            numbers_in(child, found)
    elif isinstance(node, (str, int, float)) and not isinstance(node, bool):
        try:
            found.add(abs(Decimal(node if isinstance(node, str) else repr(node))))
        except ArithmeticError:
            pass
    return found


class Listening:
    """A router that knows every coin, and everything that it hands on."""

    def __init__(self) -> None:
        self.router = Router()
        self.orders: list[Any] = []
        self.fills: list[Any] = []
        self.replies: list[Any] = []
        self.cold: list[Any] = []
        self.errors: list[str] = []
        self.raised: list[BaseException] = []
        self.rules: dict[str, TradingRule] = {}
        r = self.router
        r.order_sink = self.orders.append
        r.fill_sink = lambda fill, is_snapshot: self.fills.append(fill)
        r.post_sink = self.replies.append
        r.cold_sink = lambda channel, data, recv_ns: self.cold.append((channel, data))
        r.error_sink = lambda kind, detail, excerpt: self.errors.append(kind)
        r.on_handler_error = lambda fn, error: self.raised.append(error)
        r.rule_for = lambda coin: self.rules.setdefault(coin, TradingRule(coin, sz_decimals=4))

    def said(self) -> list[Any]:
        orders = [(u.coin, u.side, u.px_e8, u.oid, u.cloid, u.status, u.time_ms) for u in self.orders]
        fills = [
            (
                f.coin,
                f.is_buy,
                f.px_e8,
                f.size_text,
                f.lots,
                f.oid,
                f.cloid,
                f.tid,
                f.time_ms,
                f.fee_e8,
                f.fee_exact,
                f.fee_token,
            )
            for f in self.fills
        ]
        replies = [
            (p.id, p.kind, p.text, repr(p.data), [(s.kind, s.oid, s.cloid, s.total_sz, s.avg_px, s.error) for s in p.statuses])
            for p in self.replies
        ]  # fmt: skip
        return [orders, fills, replies, self.cold, self.errors]


def compare_mutated_recordings(shared, rounds: int, seed: int) -> dict[str, int]:
    """Each recording `rounds` times, each time changed: as it is and behind a blank, which no hot scanner takes."""
    rng, seen = random.Random(seed), dict.fromkeys(("read", "broken", "orders", "fills", "statuses"), 0)
    for name, text in everything(shared):
        for _ in range(rounds):
            broken = mutated(text, rng)
            scanned, parsed = Listening(), Listening()
            scanned.router.feed(broken, 1)
            parsed.router.feed(b" " + broken, 1)
            assert scanned.said() == parsed.said(), (name, broken[:300])
            assert not scanned.raised, (name, broken[:300], scanned.raised)
            try:
                frame = orjson.loads(broken)
            except orjson.JSONDecodeError:
                assert scanned.errors == ["malformed"] and not (scanned.orders or scanned.fills or scanned.replies)
                seen["broken"] += 1
                continue
            seen["read"] += 1
            held = numbers_in(frame, set())
            seen["orders"] += len(scanned.orders)
            seen["fills"] += len(scanned.fills)
            for record in (*scanned.orders, *scanned.fills):
                assert record.px_e8 == 0 or Decimal(abs(record.px_e8)).scaleb(-8) in held, (name, broken[:300])
                assert record.oid <= 0 or Decimal(record.oid) in held, (name, broken[:300])
            for fill in scanned.fills:
                size = Decimal(fill.size_text) if fill.size_text else Decimal(fill.lots).scaleb(-fill.sz_decimals)
                assert abs(size) in held, (name, broken[:300])
                assert fill.fee_e8 == 0 or Decimal(abs(fill.fee_e8)).scaleb(-8) in held or fill.fee_exact is not None
            for reply in scanned.replies:
                for status in reply.statuses:
                    assert not status.oid or Decimal(status.oid) in held, (name, broken[:300])
                    for amount in (status.total_sz, status.avg_px):
                        assert not amount or amount.encode() in broken, (name, broken[:300])
                    seen["statuses"] += 1
    return seen


@pytest.mark.parametrize("rounds", [12, pytest.param(400, marks=pytest.mark.long)])
def test_mutated_recordings_of_every_kind_read_as_plain_json_does_and_no_number_is_made_up(shared, rounds):
    """G19: all fixtures; nothing raises, and every price, id and amount that is handed on stands in the frame."""
    seen = compare_mutated_recordings(shared, rounds, seed=53)
    assert min(seen.values()) > 3 * rounds, seen
