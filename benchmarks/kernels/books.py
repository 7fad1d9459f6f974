"""What is made of books: the merged top, features, and the order-by-order book of an own node, beside plain Python.

The peers do the same work with orjson, floats, lists and dicts, as one would write it without a compiler; their results
are compared with ours after every frame. Frames and blocks go on in time, so each round gets new ones (not timed).
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from random import Random
from statistics import fmean, pstdev
from typing import Any

import orjson

from benchmarks.registry import Arm, at_most, kernel, ours, peer, times_faster
from benchmarks.wire import BLOCK_MS, BTC, Feed, number
from hlfast.core.features import BookFeatures
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.top_of_book import TopOfBook
from hlfast.core.trading_rule import TradingRule
from hlfast.venues.hyperliquid.l4_scan import L4Router
from hlfast.venues.hyperliquid.scan import Router

LEVELS = 5
RULE = TradingRule("BTC", sz_decimals=BTC.sz_decimals)

Sides = tuple[list[tuple[int, int]], list[tuple[int, int]]]


# -- the merged top -----------------------------------------------------------------------------------------------------
class Ticks:
    """A deep book, then seven bbos, and again, each a block later."""

    def __init__(self) -> None:
        self._feed, self._made = Feed(11), 0

    def take(self, n: int) -> list[tuple[bytes]]:
        frames = []
        for _ in range(n):
            frame = self._feed.bbo(BTC) if self._made % 8 else self._feed.book(BTC, 20)
            self._made += 1
            frames.append((frame.replace(b"%d" % BLOCK_MS, b"%d" % (BLOCK_MS + 70 * self._made)),))
        return frames


class PlainTop:
    """Both sides as lists, best first; a bbo drops what it passed and takes the first place."""

    def __init__(self) -> None:
        self.bids: list[tuple[float, float]] = []
        self.asks: list[tuple[float, float]] = []

    def feed(self, frame: bytes) -> None:
        message = orjson.loads(frame)
        data = message["data"]
        if message["channel"] == "l2Book":
            bids, asks = data["levels"]
            self.bids = [(float(level["px"]), float(level["sz"])) for level in bids]
            self.asks = [(float(level["px"]), float(level["sz"])) for level in asks]
            return
        bid, ask = data["bbo"]
        px, at = float(bid["px"]), 0
        while at < len(self.bids) and self.bids[at][0] >= px:
            at += 1
        self.bids[:at] = [(px, float(bid["sz"]))]
        px, at = float(ask["px"]), 0
        while at < len(self.asks) and self.asks[at][0] <= px:
            at += 1
        self.asks[:at] = [(px, float(ask["sz"]))]

    def read(self, _: Any) -> Sides:
        bids, asks = (
            [(round(px * 1e8), round(sz * 1e5)) for px, sz in side[:LEVELS]] for side in (self.bids, self.asks)
        )
        return bids, asks


@kernel("top", "bbo or l2Book (7:1) → merged top", at_most(500), times_faster(10))
def top() -> list[Arm]:
    router, view = Router(), TopOfBook("BTC", BTC.sz_decimals)
    router.add_instrument(RULE, OrderBook("BTC", BTC.sz_decimals), Bbo("BTC", BTC.sz_decimals))
    router.set_top("BTC", view)

    def read(_: Any) -> Sides:
        bids, asks = ([(px, lots) for px, lots, _ in side] for side in view.raw_levels(LEVELS))
        return bids, asks

    plain = PlainTop()
    return [
        ours(router.feed, fresh=Ticks().take, read=read),
        peer("orjson, float, lists", plain.feed, fresh=Ticks().take, read=plain.read),
    ]


# -- features -----------------------------------------------------------------------------------------------------------
class PlainFeatures:
    """The same features of books as lists of floats, with windows of 20."""

    def __init__(self) -> None:
        self.before: Any = None
        self.mids: deque[float] = deque(maxlen=20)
        self.flow: deque[float] = deque(maxlen=20)

    def step(self, bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> tuple[float, ...]:
        (b, qb), (a, qa) = bids[0], asks[0]
        self.mids.append((a + b) / 2)
        if self.before is not None:
            b0, qb0, a0, qa0 = self.before
            self.flow.append((b >= b0) * qb - (b <= b0) * qb0 - (a <= a0) * qa + (a >= a0) * qa0)
        self.before = b, qb, a, qa
        bid_size, ask_size = sum(q for _, q in bids[:10]), sum(q for _, q in asks[:10])
        return (
            (b * qa + a * qb) / (qa + qb),
            (bid_size - ask_size) / (bid_size + ask_size),
            sum(p * q for p, q in bids[:10]),
            fmean(self.flow) if self.flow else 0.0,
            pstdev(self.mids),
        )


def seven_decimals(found: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{float(value) + 0.0:.7f}" for value in found)


@kernel("features", "book 2×20 → microprice, imbalance, depth, OFI, volatility read", at_most(1_500), times_faster(10))
def features() -> list[Arm]:
    books, lists = [], []
    for seed in range(64):
        levels = orjson.loads(Feed(seed).book(BTC, 20))["data"]["levels"]
        sides = [[(float(level["px"]), float(level["sz"])) for level in side] for side in levels]
        book = OrderBook("BTC", BTC.sz_decimals)
        book.apply_snapshot(*sides, time_ms=BLOCK_MS)
        books.append((book,))
        lists.append(tuple(sides))
    kept, plain = BookFeatures("BTC", BTC.sz_decimals), PlainFeatures()

    def step(book: OrderBook) -> tuple[Any, ...]:
        kept.update(book)
        return kept.microprice, kept.imbalance_n, kept.bid_depth_n, kept.ofi_rolling, kept.volatility_mid

    return [ours(step, books, read=seven_decimals), peer("lists of floats", plain.step, lists, read=seven_decimals)]


# -- order by order -----------------------------------------------------------------------------------------------------
LIVE = 5_000
DIFFS = 20


class Blocks:
    """A snapshot of `LIVE` orders, and blocks of `DIFFS` changes each: 9 orders come, 3 shrink, 8 or more go."""

    def __init__(self) -> None:
        self._random = Random(5)
        self._orders: dict[int, tuple[bool, str, int]] = {}
        self._oids: list[int] = []
        self._oid, self.height = 1_000_000, 650_000_000
        rows: list[list[Any]] = [[], []]
        for _ in range(LIVE):
            order = self._came()
            rows[order["side"] == "A"].append({**order, "user": self._user()})
        content = {"coin": "BTC", "time": BLOCK_MS, "height": self.height, "levels": rows}
        self.snapshot = orjson.dumps({"channel": "l4Book", "data": {"Snapshot": content}})

    def _user(self) -> str:
        return f"0x{self._random.randint(1, 300):040x}"

    def _came(self) -> dict[str, Any]:
        random = self._random
        self._oid += random.randint(1, 9)
        is_buy, depth = random.random() < 0.5, int(random.expovariate(0.02)) + 1
        px, lots = BTC.px(BTC.mid - depth if is_buy else BTC.mid + depth), random.randint(2, 200_000)
        self._orders[self._oid] = is_buy, px, lots
        self._oids.append(self._oid)
        return {
            "user": None, "coin": "BTC", "side": "B" if is_buy else "A", "limitPx": px, "sz": number(lots, 5),
            "oid": self._oid, "timestamp": BLOCK_MS, "triggerCondition": "N/A", "isTrigger": False, "triggerPx": "0.0",
            "isPositionTpsl": False, "reduceOnly": False, "orderType": "Limit", "tif": "Alo",
            "cloid": f"0x{random.getrandbits(128):032x}" if random.random() < 0.5 else None,
        }  # fmt: skip

    def _block(self) -> bytes:
        random = self._random
        self.height += 1
        statuses, diffs = [], []

        def say(oid: int, what: Any) -> None:
            diffs.append(
                {"user": self._user(), "oid": oid, "px": self._orders[oid][1], "coin": "BTC", "raw_book_diff": what}
            )

        for _ in range(9):
            order = self._came()
            statuses.append({"time": "2026-09-25T17:49:35.700", "user": self._user(), "status": "open", "order": order})
            say(order["oid"], {"new": {"sz": order["sz"]}})
        for oid in random.sample(self._oids, 3):
            is_buy, px, lots = self._orders[oid]
            left = random.randint(1, lots)
            say(oid, {"update": {"origSz": number(lots, 5), "newSz": number(left, 5)}})
            self._orders[oid] = is_buy, px, left
        while len(diffs) < DIFFS or len(self._oids) > LIVE + 20:
            at = random.randrange(len(self._oids))
            oid, self._oids[at] = self._oids[at], self._oids[-1]
            self._oids.pop()
            say(oid, "remove")
            del self._orders[oid]
        block = {"time": BLOCK_MS, "height": self.height, "order_statuses": statuses, "book_diffs": diffs}
        return orjson.dumps({"channel": "l4Book", "data": {"Updates": block}})

    def take(self, n: int) -> list[tuple[bytes]]:
        return [(self._block(),) for _ in range(n)]


class PlainL4:
    """Orders in a dict, queues as dicts by price, prices in sorted lists; checks of heights as ours has them."""

    def __init__(self, snapshot: bytes) -> None:
        content = orjson.loads(snapshot)["data"]["Snapshot"]
        self.orders: dict[int, list[Any]] = {}
        self.queues: dict[tuple[str, float], dict[int, None]] = {}
        self.prices: dict[str, list[float]] = {"A": [], "B": []}
        self.height = content["height"]
        for side in content["levels"]:
            for order in side:
                self._rest(order, float(order["sz"]), order["user"])

    def _rest(self, order: Any, size: float, user: str) -> None:
        side, px = order["side"], float(order["limitPx"])
        self.orders[order["oid"]] = [side, px, size, user, order["cloid"], order["timestamp"]]
        queue = self.queues.get((side, px))
        if queue is None:
            queue = self.queues[side, px] = {}
            insort(self.prices[side], px)
        queue[order["oid"]] = None

    def feed(self, frame: bytes) -> None:
        block = orjson.loads(frame)["data"]["Updates"]
        assert block["height"] == self.height + 1
        self.height += 1
        rests = {
            row["order"]["oid"]: row
            for row in block["order_statuses"]
            if row["status"] == "open" and not row["order"]["isTrigger"] and row["order"]["tif"] != "Ioc"
        }
        for diff in block["book_diffs"]:
            oid, what = diff["oid"], diff["raw_book_diff"]
            if what == "remove":
                side, px, *_ = self.orders.pop(oid)
                queue = self.queues[side, px]
                del queue[oid]
                if not queue:
                    del self.queues[side, px]
                    self.prices[side].remove(px)
            elif "new" in what:
                row = rests[oid]
                self._rest(row["order"], float(what["new"]["sz"]), row["user"])
            else:
                assert self.orders[oid][2] == float(what["update"]["origSz"])
                self.orders[oid][2] = float(what["update"]["newSz"])

    def read(self, _: Any) -> Any:
        def levels(side: str, prices: list[float]) -> list[tuple[int, int, int]]:
            queues = [(px, self.queues[side, px]) for px in prices]
            return [(round(px * 1e8), sum(round(self.orders[o][2] * 1e5) for o in q), len(q)) for px, q in queues]

        bids, asks = self.prices["B"], self.prices["A"]
        return len(self.orders), levels("B", bids[: -LEVELS - 1 : -1]), levels("A", asks[:LEVELS])


@kernel("l4_block", f"l4Book block of {DIFFS} diffs → order-by-order book", at_most(20_000), times_faster(5))
def l4_block() -> list[Arm]:
    blocks, theirs = Blocks(), Blocks()
    router = L4Router(RULE)
    router.feed(blocks.snapshot)

    def read(_: Any) -> Any:
        assert not router.l4.is_stale
        return len(router.l4), *router.l4.raw_levels(LEVELS)

    plain = PlainL4(theirs.snapshot)
    return [
        ours(router.feed, fresh=blocks.take, read=read),
        peer("orjson, float, dicts", plain.feed, fresh=theirs.take, read=plain.read),
    ]
