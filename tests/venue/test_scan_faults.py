"""Frames cut off at any byte, and frames with damaged bytes: the scanners and orjson agree, and nothing raises."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.scan import Router

LEVEL = '{"px":"%s","sz":"%s","n":%d}'
BIDS = ",".join(LEVEL % (f"{83767 - i}.0", f"{i + 1}.8763{i % 10}", i + 1) for i in range(5))
ASKS = ",".join(LEVEL % (f"{83768 + i}.0", f"0.{i + 1}0543", i + 3) for i in range(5))
ROW = (
    '{"order":{"coin":"ETH","side":"B","limitPx":"2080.0","sz":"0.01","oid":315452584853,"timestamp":1770524603232,'
    '"origSz":"0.01","cloid":"0x000300511b45504e0000010000000054"},"status":"%s","statusTimestamp":1770524603232}'
)
FILL = (
    '{"coin":"ETH","px":"2067.2","sz":"0.01","side":"A","time":1770524192528,"startPosition":"0.01","dir":"Long > Short",'
    '"closedPnl":"-0.13","hash":"0x5b19","oid":315449302232,"crossed":true,"fee":"0.00893","builderFee":"0.0001",'
    '"tid":343484124188045,"cloid":"0x000300511afb52d40000010000000073","feeToken":"USDC","twapId":null}'
)
TRADE = (
    '{"coin":"BTC","side":"A","px":"83769.0","sz":"0.0048","time":1790358606027,"hash":"0xa7c8","tid":784469253141982,'
    '"users":["0xdfdac722","0x1a2e6afa"]}'
)
BOOK = '{"channel":"l2Book","data":{"coin":"BTC","time":1790358575700,"levels":[[' + BIDS + "],[" + ASKS + "]]}}"
FRAMES = [
    BOOK,
    BOOK.replace("]]}}", ']],"spread":"1.0","fast":true}}'),
    '{"channel":"l2Book","data":{"levels":[[' + BIDS + "],[" + ASKS + ']],"time":1790358575700,"coin":"BTC"}}',
    '{ "channel": "l2Book", "data": { "coin": "BTC", "time": 1790358575700, "levels": [[' + BIDS + "], []] } }",
    '{"channel":"bbo","data":{"coin":"BTC","time":1790358617881,"bbo":['
    + LEVEL % ("83757.0", "22.61305", 81)
    + ",null]}}",
    '{"channel":"trades","data":[' + TRADE + "," + TRADE.replace('"A"', '"B"') + "]}",
    '{"channel":"orderUpdates","data":[' + ROW % "open" + "," + ROW % "filled" + "," + ROW % "oddWord" + "]}",
    '{"channel":"userFills","data":{"isSnapshot":true,"user":"0x61fb9e7583","fills":[' + FILL + "," + FILL + "]}}",
    '{"channel":"user","data":{"fills":[' + FILL + "]}}",
    '{"channel":"post","data":{"id":257,"response":{"type":"action","payload":{"status":"ok","response":{"type":"order",'
    '"data":{"statuses":[{"resting":{"oid":88383,"cloid":"0x0003"}},{"filled":{"totalSz":"0.02","avgPx":"1891.4",'
    '"oid":77747314}},{"error":"Order must have minimum value of $10. asset=1"},"success","waitingForFill"]}}}}}}',
    '{"channel":"post","data":{"id":258,"response":{"type":"action","payload":{"status":"ok","response":'
    '{"type":"default"}}}}}',
    '{"channel":"post","data":{"id":258,"response":{"type":"error","payload":"422 Unprocessable Entity"}}}',
    '{"channel":"post","data":{"id":259,"response":{"type":"info","payload":{"type":"userFills","data":['
    + FILL
    + "]}}}}",
    '{"channel":"post","data":{"id":259,"response":{"type":"info","payload":{"type":"openOrders","data":[]}}}}',
    '{"channel":"post","data":{"id":259,"response":{"type":"info","payload":{"type":"l2Book","data":null}}}}',
    '{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC"}}}',
    '{"channel":"pong"}',
    '{"channel":"newThing","data":[1,2.5e3,"\\u00e9"]}',
]


class Watched:
    """A router with two instruments, and everything that it hands on, as plain values."""

    def __init__(self) -> None:
        self.router, self.said = Router(), []
        self.books, self.bbos = [], []
        said = self.said.append
        for coin, decimals in (("BTC", 5), ("ETH", 4)):
            self.books.append(OrderBook(coin, decimals))
            self.bbos.append(Bbo(coin, decimals))
            self.router.add_instrument(TradingRule(coin, sz_decimals=decimals), self.books[-1], self.bbos[-1])
            self.router.set_trade_handlers(coin, (lambda t: said(("trade", *plain(t))),))
            self.router.set_book_handlers(coin, (lambda b: said(("book", b.coin, b.levels())),))
            self.router.set_bbo_handlers(coin, (lambda b: said(("bbo", *plain(b))),))
        r = self.router
        r.order_sink = lambda u: said(("order", *plain(u)))
        r.fill_sink = lambda f, is_snapshot: said(("fill", is_snapshot, *plain(f)))
        r.post_sink = lambda p: said(("reply", p.id, p.kind, p.text, p.data, [plain(s) for s in p.statuses]))
        r.cold_sink = lambda channel, data, recv_ns: said(("cold", channel, data))
        r.error_sink = lambda kind, detail, excerpt: said(("error", kind, detail))
        r.on_handler_error = lambda fn, error: pytest.fail(f"{fn} raised {error!r}")

    def state(self) -> list[Any]:
        books = [
            (b.levels(), b.time_ms, b.epoch, b.is_stale, b.stale_reason, b.older_count, b.bad_count) for b in self.books
        ]
        return [books, [plain(b) for b in self.bbos]]

    def counters(self) -> dict[str, int]:
        return {name: n for name, n in self.router.counters.items() if name != "fallbacks"}

    def errors(self) -> list[tuple[Any, ...]]:
        return [entry for entry in self.said if entry[0] == "error"]


def plain(record: Any) -> tuple[Any, ...]:
    """The plain attributes of a record, by name."""
    names = [n for n in dir(type(record)) if not n.startswith("_")]
    values = [getattr(record, n) for n in names]
    return tuple(v for v in values if isinstance(v, (int, str, bool)) or v is None)


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_cut_at_any_byte_is_reported_once_and_changes_nothing(frame: str):
    """L14; G19."""
    whole = frame.encode()
    is_book = "l2Book" in frame and "subscriptionResponse" not in frame
    good = BOOK.replace("1790358575700", "1790358575699").encode()
    for cut in range(len(whole)):
        w = Watched()
        w.router.feed(good, 1)
        before = w.state()
        w.said.clear()
        w.router.feed(whole[:cut], 2)
        assert [entry[:2] for entry in w.said] == [("error", "malformed")]
        assert w.router.counters["malformed"] == 1
        names_the_coin = is_book and b'"BTC"' in whole[:cut]
        assert w.books[0].is_stale is names_the_coin
        after = w.state()
        if names_the_coin:
            assert w.books[0].levels() == before[0][0][0] and "malformed" in w.books[0].stale_reason
            after[0][0] = before[0][0]
        assert after == before
        w.router.feed(BOOK.encode(), 3)
        assert not w.books[0].is_stale and w.books[0].time_ms == 1790358575700


@pytest.mark.parametrize("frame", FRAMES)
def test_bytes_behind_a_whole_frame_are_an_error_unless_they_are_blank(frame: str):
    for extra, errors in (("\n ", 0), ("}", 1), ("x", 1), (",", 1), ("\0", 1)):
        w = Watched()
        w.router.feed((frame + extra).encode(), 2)
        assert len([e for e in w.errors() if e[1] == "malformed"]) == errors


SPECIAL = b'"\\{}[],:0123456789.-+eE \t\n\0\x1f\x7f\x80\xc3\xffnulltruefalseBTCETHpxsz'


def mutated(rng: random.Random) -> bytes:
    """A sample with one to four changes: bytes replaced, removed, inserted, repeated, or taken from another sample."""
    text = bytearray(rng.choice(FRAMES).encode())
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not text:
            break
        at = rng.randrange(len(text))
        end = min(len(text), at + rng.choice((1, 1, 2, 8, 40)))
        kind = rng.randrange(6)
        if kind == 0:
            text[at] = rng.choice(SPECIAL)
        elif kind == 1:
            del text[at:end]
        elif kind == 2:
            text.insert(at, rng.choice(SPECIAL))
        elif kind == 3:
            text[at:at] = text[at:end]
        elif kind == 4:
            text[at] = rng.randrange(256)
        else:
            other = rng.choice(FRAMES).encode()
            start = rng.randrange(len(other))
            text[at:end] = other[start : start + (end - at)]
    return bytes(text)


def is_json(frame: bytes) -> bool:
    try:
        orjson.loads(frame)
    except orjson.JSONDecodeError:
        return False
    return True


def compare_scanner_and_orjson(seed: int, rounds: int) -> dict[str, int]:
    """Feed the same damaged frames as they are and behind a blank (which no scanner takes): all must be equal."""
    rng = random.Random(seed)
    scanned, parsed = Watched(), Watched()
    seen = {"valid": 0, "scanned": 0}
    for i in range(rounds):
        frame = mutated(rng)
        fallbacks = scanned.router.counters["fallbacks"] if i % 16 == 0 else -1
        scanned.router.feed(frame, 1)
        parsed.router.feed(b" " + frame, 1)
        assert scanned.said == parsed.said, frame
        assert scanned.state() == parsed.state(), frame
        valid = is_json(frame)
        seen["valid"] += valid
        if not valid:
            assert [entry[:2] for entry in scanned.said] == [("error", "malformed")], frame
        elif fallbacks >= 0:
            seen["scanned"] += scanned.router.counters["fallbacks"] == fallbacks
        scanned.said.clear()
        parsed.said.clear()
        if i % 64 == 0:
            assert scanned.counters() == parsed.counters(), frame
    assert scanned.counters() == parsed.counters()
    assert scanned.router.counters["fallbacks"] < parsed.router.counters["fallbacks"]
    return seen


def test_damaged_frames_read_the_same_through_scanner_and_orjson():
    """L14; G19."""
    seen = compare_scanner_and_orjson(seed=2026, rounds=20_000)
    assert seen["valid"] > 1000 and seen["scanned"] > 50


@pytest.mark.long
def test_many_damaged_frames_read_the_same_through_scanner_and_orjson():
    """L14; G19."""
    compare_scanner_and_orjson(seed=77, rounds=1_000_000)
