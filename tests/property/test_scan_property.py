"""Generated frames through the router equal a plain reading of their JSON, written apart from it with `Decimal`."""

from __future__ import annotations

import json
import random
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.core.fixed import to_scaled
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.errors import RangeError
from hlfast.venues.hyperliquid.scan import Router

SZ_DECIMALS = {"BTC": 5, "kPEPE": 0, "@107": 2, "xyz:NVDA": 3}
COINS = [*SZ_DECIMALS, "NEWCOIN", "Ünicode"]
STATUSES = {"open": 2, "triggered": 2, "filled": 4, "canceled": 6, "marginCanceled": 6, "scheduledCancel": 6,
            "badAloPxRejected": 7, "rejected": 7, "neverSeenRejected": 7, "neverSeenCancel": 6, "odd": -1}  # fmt: skip
NO_REASON = {"open", "triggered", "filled", "canceled", "odd"}
LARGEST = 2**63 - 1


# -- the plain reading ------------------------------------------------------------------------------------------------
def number(text: Any, decimals: int) -> int | Decimal | None:
    """A scaled int; the exact Decimal where that is off the grid or too large; None where it is no plain number."""
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text, re.ASCII):
        return None
    value = Decimal(text).scaleb(decimals)
    return int(value) if value == int(value) and abs(value) <= LARGEST else Decimal(text)


def on_grid(text: Any, decimals: int) -> int | None:
    value = number(text, decimals)
    return value if isinstance(value, int) else None


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def lower(cloid: Any) -> str | None:
    return cloid.lower() if isinstance(cloid, str) and cloid else None


class Reading:
    """What a frame means, kept as the books and the news that it leads to."""

    def __init__(self) -> None:
        self.books = {coin: {"levels": ([], []), "time": 0, "stale": False, "epoch": 0} for coin in SZ_DECIMALS}
        self.bbos = dict.fromkeys(SZ_DECIMALS, (0, 0, 0, 0, 0))
        self.news: list[tuple[Any, ...]] = []

    def read(self, frame: str) -> None:
        message = json.loads(frame)
        getattr(self, message["channel"])(message["data"])

    def level(self, row: Any, coin: str) -> tuple[int, int, int] | None:
        px, sz = on_grid(row["px"], 8), on_grid(row["sz"], SZ_DECIMALS[coin])
        return (px, sz, row["n"]) if px is not None and sz is not None and is_count(row["n"]) else None

    def l2Book(self, data: dict[str, Any]) -> None:
        coin = data["coin"]
        if coin not in self.books:
            return
        book = self.books[coin]
        sides = [[self.level(row, coin) for row in side] for side in data["levels"]]
        good = is_count(data["time"]) and None not in sides[0] + sides[1]
        if good and data["time"] < book["time"]:
            return
        prices = [[px for px, _, _ in side] for side in sides] if good else []
        good = good and all(px > 0 and lots > 0 for side in sides for px, lots, _ in side)
        good = good and prices[0] == sorted(set(prices[0]), reverse=True) and prices[1] == sorted(set(prices[1]))
        if not good or (prices[0] and prices[1] and prices[0][0] >= prices[1][0]):
            book["stale"] = True
            self.news.append(("error", "malformed"))
            return
        book.update(levels=tuple(sides), time=data["time"], stale=False, epoch=book["epoch"] + 1)
        self.news.append(("book", coin))

    def bbo(self, data: dict[str, Any]) -> None:
        coin = data["coin"]
        if coin not in self.bbos:
            return
        levels = [self.level(row, coin) if row else (0, 0, 0) for row in data["bbo"]]
        good = is_count(data["time"]) and None not in levels
        good = good and all(lv[0] > 0 and lv[1] > 0 for lv, row in zip(levels, data["bbo"], strict=True) if row)
        if good and data["time"] < self.bbos[coin][4]:
            return
        bid, ask = levels
        if not good or (bid[0] and ask[0] and bid[0] >= ask[0]):
            self.news.append(("error", "malformed"))
            return
        self.bbos[coin] = (bid[0], bid[1], ask[0], ask[1], data["time"])
        self.news.append(("bbo", coin))

    def trades(self, data: list[dict[str, Any]]) -> None:
        bad = False
        for row in data:
            if row["coin"] not in SZ_DECIMALS:
                bad = bad or not (is_count(row["time"]) and is_count(row["tid"]))
                continue
            px, lots = on_grid(row["px"], 8), on_grid(row["sz"], SZ_DECIMALS[row["coin"]])
            known = is_count(row["time"]) and is_count(row["tid"]) and row["side"] in ("A", "B")
            if not known or px is None or lots is None or px < 0 or lots < 0:
                bad = True
            else:
                self.news.append(
                    ("trade", row["coin"], px, lots, row["side"] == "B", row["tid"], row["time"], *row["users"])
                )
        if bad:
            self.news.append(("error", "malformed"))

    def orderUpdates(self, data: list[dict[str, Any]]) -> None:
        bad = False
        for row in data:
            order, status = row["order"], row["status"]
            if not is_count(order["oid"]):
                bad = True
                continue
            decimals = SZ_DECIMALS.get(order["coin"], 8)
            px, lots, orig = (
                on_grid(order["limitPx"], 8),
                on_grid(order["sz"], decimals),
                on_grid(order["origSz"], decimals),
            )
            if STATUSES[status] < 0:
                self.news.append(("error", "unknown_status"))
            self.news.append((
                "order", order["coin"], order["oid"], lower(order.get("cloid")), STATUSES[status], status,
                order["side"] if order["side"] in ("A", "B") else "", px if px is not None and px >= 0 else 0,
                lots if lots is not None and lots >= 0 else -1, orig if orig is not None and orig >= 0 else -1,
                row["statusTimestamp"] if is_count(row["statusTimestamp"]) else 0, "" if status in NO_REASON else status,
            ))  # fmt: skip
        if bad:
            self.news.append(("error", "malformed"))

    def userFills(self, data: dict[str, Any]) -> None:
        bad = False
        for row in data["fills"]:
            decimals = SZ_DECIMALS.get(row["coin"], 8)
            px, size, fee = on_grid(row["px"], 8), number(row["sz"], decimals), number(row["fee"], 8)
            known = all(is_count(row[k]) for k in ("time", "tid", "oid")) and row["side"] in ("A", "B")
            if not known or px is None or px < 0 or size is None or size < 0 or fee is None:
                bad = True
            else:
                start, pnl = on_grid(row["startPosition"], decimals), on_grid(row["closedPnl"], 8)
                self.news.append((
                    "fill", data.get("isSnapshot") is True, row["coin"], row["tid"], row["oid"], lower(row.get("cloid")),
                    px, size if isinstance(size, int) else row["sz"], decimals, row["side"] == "B", row["crossed"],
                    fee if isinstance(fee, int) else Decimal(row["fee"]), row["feeToken"], pnl if pnl is not None else 0,
                    start if start is not None else -(2**63), row["dir"], row["time"],
                ))  # fmt: skip
        if bad:
            self.news.append(("error", "malformed"))


class Routed:
    """The same from the router."""

    def __init__(self) -> None:
        self.router, self.news = Router(), []
        self.books: dict[str, OrderBook] = {}
        self.bbos: dict[str, Bbo] = {}
        said, r = self.news.append, self.router
        for coin, decimals in SZ_DECIMALS.items():
            self.books[coin], self.bbos[coin] = OrderBook(coin, decimals), Bbo(coin, decimals)
            r.add_instrument(TradingRule(coin, sz_decimals=decimals), self.books[coin], self.bbos[coin])
            r.set_book_handlers(coin, (lambda book: said(("book", book.coin)),))
            r.set_bbo_handlers(coin, (lambda bbo: said(("bbo", bbo.coin)),))
            r.set_trade_handlers(coin, (self.on_trade,))
        r.order_sink, r.fill_sink = self.on_order, self.on_fill
        r.error_sink = lambda kind, detail, excerpt: said(("error", kind))
        r.on_handler_error = lambda fn, error: pytest.fail(f"{fn} raised {error!r}")

    def on_trade(self, t: Any) -> None:
        self.news.append(("trade", t.coin, t.px_e8, t.lots, t.is_buy, t.tid, t.time_ms, t.buyer, t.seller))

    def on_order(self, u: Any) -> None:
        self.news.append((
            "order", u.coin, u.oid, u.cloid, u.new_state, u.status, u.side, u.px_e8, u.lots, u.orig_lots, u.time_ms, u.reason,
        ))  # fmt: skip

    def on_fill(self, f: Any, is_snapshot: bool) -> None:
        self.news.append((
            "fill", is_snapshot, f.coin, f.tid, f.oid, f.cloid, f.px_e8, f.size_text if f.lots < 0 else f.lots, f.sz_decimals,
            f.is_buy, f.is_taker, f.fee_e8 if f.fee_exact is None else f.fee_exact, f.fee_token, f.closed_pnl_e8,
            f.start_lots, f.direction, f.time_ms,
        ))  # fmt: skip

    def state(self) -> tuple[Any, ...]:
        books = {
            coin: {"levels": b.levels(), "time": b.time_ms, "stale": b.is_stale, "epoch": b.epoch}
            for coin, b in self.books.items()
        }
        return books, {
            coin: (b.bid_px_e8, b.bid_lots, b.ask_px_e8, b.ask_lots, b.time_ms) for coin, b in self.bbos.items()
        }


# -- frames -----------------------------------------------------------------------------------------------------------
ODD_NUMBERS = ["", "-", ".5", "5.", "1e3", "+1", "-0.0", "-1.5", "0", "00.5", "1.123456789", "92233720368.54775807",
               "92233720368.54775808", "9223372036854775807", "9223372036854775808", "9" * 30, "9" * 30 + "x", "١", " 1"]  # fmt: skip
ODD_COUNTS = [0, LARGEST, LARGEST + 1, -1, 2**64, 1.5, "7", None, True]


class Frames:
    """Random frames: mostly what the venue sends, in its spelling; now and then an odd value or another spelling."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.oddness = 0.0
        self.now = 1_770_000_000_000

    def decimal(self, decimals: int, digits: int = 5) -> str:
        rng = self.rng
        if rng.random() < self.oddness:
            return rng.choice(ODD_NUMBERS)
        whole = rng.randrange(10 ** rng.randrange(1, digits + 1))
        places = rng.randrange(1, max(1, decimals) + 1)
        fraction = f"{rng.randrange(10**places):0{places}d}" if decimals else "0"
        return f"{whole}.{fraction}"

    def count(self, most: int) -> Any:
        return self.rng.choice(ODD_COUNTS) if self.rng.random() < self.oddness else self.rng.randrange(most)

    def time(self) -> Any:
        """Mostly rising. Never the largest count: every later frame would be older."""
        if self.rng.random() < self.oddness:
            return self.rng.choice([t for t in ODD_COUNTS if t != LARGEST])
        self.now += self.rng.choice((0, 5, 70, 500))
        return self.now - self.rng.choice((0, 0, 0, 0, 0, 900))

    def coin(self) -> str:
        return self.rng.choice(COINS[: 6 if self.rng.random() < 0.1 else 4])

    def cloid(self) -> dict[str, Any]:
        rng = self.rng
        kinds = [
            {},
            {"cloid": None},
            {"cloid": f"0x{rng.randrange(2**128):032x}"},
            {"cloid": f"0x{rng.randrange(2**128):032X}"},
        ]
        return rng.choice(kinds)

    def side_of_book(self, coin: str, best: int, step: int, n: int) -> list[dict[str, Any]]:
        decimals = SZ_DECIMALS.get(coin, 8)
        rows, tick = [], best
        for _ in range(n):
            whole, part = divmod(tick, 10)
            size = self.decimal(decimals, 8)
            if not self.oddness and not size.strip("0."):
                size = "1.0"
            rows.append({"px": f"{whole}.{part}", "sz": size, "n": self.count(100)})
            tick += step * self.rng.randrange(0 if self.rng.random() < self.oddness else 1, 4)
        return rows

    def l2Book(self) -> dict[str, Any]:
        rng, coin = self.rng, self.coin()
        mid = rng.randrange(1000, 900_000)
        depth = rng.choice((0, 1, 5, 20, 20, 40))
        gap = -3 if rng.random() < self.oddness else 1
        levels = [
            self.side_of_book(coin, mid, -1, depth),
            self.side_of_book(coin, mid + gap, 1, rng.choice((0, depth, depth))),
        ]
        data = {"coin": coin, "time": self.time(), "levels": levels}
        return data | rng.choice([{}, {}, {"spread": "1.0"}, {"fast": True}, {"spread": "0.1", "fast": False}])

    def bbo(self) -> dict[str, Any]:
        rng, coin = self.rng, self.coin()
        mid = rng.randrange(1000, 900_000)
        bid, ask = self.side_of_book(coin, mid, -1, 1), self.side_of_book(coin, mid + rng.choice((1, 1, 1, 0)), 1, 1)
        return {
            "coin": coin,
            "time": self.time(),
            "bbo": [rng.choice([*bid, *bid, None]), rng.choice([*ask, *ask, None])],
        }

    def trades(self) -> list[dict[str, Any]]:
        rng, rows = self.rng, []
        for _ in range(rng.randrange(1, 5)):
            coin = self.coin()
            rows.append({
                "coin": coin, "side": rng.choice("AB"), "px": self.decimal(2, 6), "sz": self.decimal(SZ_DECIMALS.get(coin, 8)),
                "time": self.count(10**13), "hash": "0xa7", "tid": self.count(2**50), "users": ["0x1", "0x2"],
            })  # fmt: skip
        return rows

    def orderUpdates(self) -> list[dict[str, Any]]:
        rng, rows = self.rng, []
        for _ in range(rng.randrange(1, 5)):
            coin = self.coin()
            decimals = SZ_DECIMALS.get(coin, 8)
            order = {
                "coin": coin, "side": rng.choice("AB"), "limitPx": self.decimal(2, 6), "sz": self.decimal(decimals),
                "oid": self.count(2**40), "timestamp": 1770524603232, "origSz": self.decimal(decimals), **self.cloid(),
            }  # fmt: skip
            rows.append({"order": order, "status": rng.choice(list(STATUSES)), "statusTimestamp": self.count(10**13)})
        return rows

    def userFills(self) -> dict[str, Any]:
        rng, rows = self.rng, []
        for _ in range(rng.randrange(0, 4)):
            coin = self.coin()
            decimals = SZ_DECIMALS.get(coin, 8)
            rows.append({
                "coin": coin, "px": self.decimal(2, 6), "sz": self.decimal(decimals + rng.choice((0, 0, 3))),
                "side": rng.choice("AB"), "time": self.count(10**13),
                "startPosition": rng.choice(("", "-")) + self.decimal(decimals + rng.choice((0, 0, 3))),
                "dir": rng.choice(["Open Long", "Long > Short", "Spot Dust Conversion", "Zukünftig"]),
                "closedPnl": rng.choice(("", "-")) + self.decimal(6), "hash": "0x5b", "oid": self.count(2**40),
                "crossed": rng.random() < 0.5, "fee": rng.choice(("", "-")) + self.decimal(rng.choice((6, 8, 11)), 3),
                **rng.choice([{}, {}, {"builderFee": "0.001"}]), "tid": self.count(2**50), **self.cloid(),
                "feeToken": rng.choice(["USDC", "HYPE"]), **rng.choice([{"twapId": None}, {"twapId": 7}, {}]),
            })  # fmt: skip
        return {**rng.choice([{}, {"isSnapshot": True}, {"isSnapshot": False}]), "user": "0x61fb", "fills": rows}

    def next(self) -> tuple[str, bool]:
        """A frame, and whether it is spelled as the venue spells it, without an odd value."""
        rng = self.rng
        self.oddness = rng.choice((0.0, 0.0, 0.0, 0.02, 0.2))
        channel = rng.choice(["l2Book", "l2Book", "bbo", "trades", "orderUpdates", "userFills"])
        message = {"channel": channel, "data": getattr(self, channel)()}
        spelling = rng.choice(["venue"] * 6 + ["shuffled", "blanks", "escaped"])
        if spelling == "shuffled":
            return json.dumps(shuffled(message, rng), separators=(",", ":"), ensure_ascii=False), False
        if spelling == "blanks":
            return json.dumps(message, indent=rng.choice((None, 1)), ensure_ascii=False), False
        frame = json.dumps(message, separators=(",", ":"), ensure_ascii=spelling == "escaped")
        return frame, self.oddness == 0.0 and frame.isascii() and "\\" not in frame


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        rng.shuffle(keys)
        return {k: shuffled(value[k], rng) for k in keys}
    return [shuffled(v, rng) for v in value] if isinstance(value, list) else value


def compare(rng: random.Random, rounds: int) -> tuple[int, int, int]:
    """Feed frames to a router, to one behind a blank (orjson reads all of it), and to the plain reading."""
    frames, plain, scanned, parsed = Frames(rng), Reading(), Routed(), Routed()
    clean = 0
    for _ in range(rounds):
        frame, is_clean = frames.next()
        before = scanned.router.counters["fallbacks"] if is_clean else 0
        plain.read(frame)
        scanned.router.feed(frame.encode(), 1)
        parsed.router.feed(b" " + frame.encode(), 1)
        assert scanned.news == plain.news, frame
        assert parsed.news == plain.news, frame
        assert scanned.state() == parsed.state() == (plain.books, plain.bbos), frame
        if is_clean:
            clean += 1
            assert scanned.router.counters["fallbacks"] == before, frame
        for side in (plain, scanned, parsed):
            side.news.clear()
    applied = sum(book["epoch"] for book in plain.books.values())
    return clean, scanned.router.counters["fallbacks"], applied


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_generated_frames_equal_a_plain_reading(seed: int):
    """G19; behaviours 33 and 34."""
    compare(random.Random(seed), 20)


def test_twenty_thousand_frames_equal_a_plain_reading():
    """G19; behaviours 33 and 34."""
    clean, fallbacks, applied = compare(random.Random(20260101), 20_000)
    assert clean > 5_000 and fallbacks > 3_000 and applied > 3_000


@pytest.mark.long
def test_a_million_frames_equal_a_plain_reading():
    """G19."""
    for seed in range(50):
        compare(random.Random(seed), 20_000)


plain_numbers = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", fullmatch=True) | st.text("0123456789.-", max_size=24)


@settings(max_examples=500, deadline=None)
@given(plain_numbers, plain_numbers, st.sampled_from(sorted(SZ_DECIMALS)))
def test_prices_and_sizes_agree_with_the_number_kernel(px: str, sz: str, coin: str):
    """G20."""
    try:
        want = (to_scaled(px, 8), to_scaled(sz, SZ_DECIMALS[coin]))
        fine = all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) for text in (px, sz)) and min(want) > 0
    except RangeError:
        fine = False
    routed = Routed()
    frame = '{"channel":"bbo","data":{"coin":"%s","time":1,"bbo":[{"px":"%s","sz":"%s","n":1},null]}}'
    routed.router.feed((frame % (coin, px, sz)).encode(), 1)
    bbo = routed.bbos[coin]
    if fine:
        assert (bbo.bid_px_e8, bbo.bid_lots) == want and routed.router.counters["fallbacks"] == 0
    else:
        assert bbo.epoch == 0 and routed.news == [("error", "malformed")]
