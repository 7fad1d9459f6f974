"""Frames: the socket's bytes to books, best prices, trades, order rows and fills, through `Router.feed`.

Where somebody listens, every side calls the same Python callable once an item. Books are compared level by level.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from benchmarks import wire
from benchmarks.peers import books, ccxt, is_installed, module_of, nautilus, plain, sdk
from benchmarks.peers.floors import nothing
from benchmarks.registry import Arm, at_most, floor, kernel, ours, peer, times_faster, times_floor
from benchmarks.wire import BTC, ETH, HYPE, KPEPE, MARKETS, Feed, Market
from hlfast import clock
from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.core.updates import OrderUpdate, Trade, TradeUpdate
from hlfast.venues.hyperliquid.scan import Router

DECIMALS = {market.coin: market.sz_decimals for market in MARKETS}
POOL = 64


class Ear:
    """Hears everything, keeps the newest: more than any frame here says."""

    def __init__(self) -> None:
        self.heard: deque[Any] = deque(maxlen=8)

    def hear(self, said: Any) -> None:
        self.heard.append(said)

    def told(self) -> list[Any]:
        """What was said since this was last asked."""
        said = list(self.heard)
        self.heard.clear()
        return said


class Desk:
    """A router with every market, its books, and one ear for all else."""

    def __init__(self, *, hears_books: bool = False) -> None:
        self.router, self.ear = Router(), Ear()
        self.books = {market.coin: OrderBook(market.coin, market.sz_decimals) for market in MARKETS}
        self.bbos = {market.coin: Bbo(market.coin, market.sz_decimals) for market in MARKETS}
        rules = {market.coin: TradingRule(market.coin, sz_decimals=market.sz_decimals) for market in MARKETS}
        hear = self.ear.hear
        for coin, rule in rules.items():
            self.router.add_instrument(rule, self.books[coin], self.bbos[coin])
            self.router.set_bbo_handlers(coin, (hear,))
            self.router.set_trade_handlers(coin, (hear,))
            if hears_books:
                self.router.set_book_handlers(coin, (hear,))
        self.router.rule_for = rules.get
        self.router.order_sink = hear
        self.router.fill_sink = self._fill

    def _fill(self, fill: TradeUpdate, is_snapshot: bool) -> None:
        self.ear.heard.append(fill)

    def calls(self, frames: list[bytes]) -> list[tuple[bytes, int]]:
        """Arguments of `feed`: each frame, and when it was read."""
        return [(frame, clock.epoch_ns()) for frame in frames]


# -- the common form ----------------------------------------------------------------------------------------------------
def scaled(number: float | Decimal, decimals: int) -> int:
    steps: int = 10**decimals
    return round(number * steps)


def plain_levels(rows: Any, decimals: int) -> list[tuple[int, int]]:
    return [(scaled(px, 8), scaled(sz, decimals)) for px, sz in rows]


def our_levels(book: OrderBook) -> list[list[tuple[int, int]]]:
    """Both sides, and proof that the best prices can be read at once."""
    sides = [[(px, lots) for px, lots, _ in side] for side in book.levels()]
    assert (book.best_bid_e8, book.best_ask_e8) == (sides[0][0][0], sides[1][0][0])
    return sides


def of_ours(said: Any) -> Any:
    """What hlfast said, as a tuple of integers and text."""
    if isinstance(said, OrderBook):
        return (said.coin, *our_levels(said))
    if isinstance(said, Bbo):
        return (said.coin, said.bid_px_e8, said.bid_lots, said.ask_px_e8, said.ask_lots)
    if isinstance(said, Trade):
        return (said.coin, said.is_buy, said.px_e8, said.lots, said.tid, said.time_ms, said.buyer, said.seller)
    if isinstance(said, OrderUpdate):
        return (
            said.coin, said.side, said.px_e8, said.lots, said.orig_lots, said.oid, said.cloid, said.status, said.time_ms,
        )  # fmt: skip
    if isinstance(said, TradeUpdate):
        return (
            said.coin, said.is_buy, said.px_e8, said.lots, said.oid, said.tid, said.cloid, said.fee_e8, said.fee_token,
            said.closed_pnl_e8, said.is_taker, said.time_ms,
        )  # fmt: skip
    raise TypeError(f"hlfast said {said!r}")


def of_plain(said: Any) -> Any:
    """The same of a `plain.Reader`."""
    coin, decimals = said[0], DECIMALS[said[0]]
    if len(said) == 3:
        return (coin, plain_levels(said[1], decimals), plain_levels(said[2], decimals))
    if len(said) == 5:
        return (coin, scaled(said[1], 8), scaled(said[2], decimals), scaled(said[3], 8), scaled(said[4], decimals))
    if len(said) == 8:
        return (coin, said[1], scaled(said[2], 8), scaled(said[3], decimals), *said[4:])
    if len(said) == 9:
        return (coin, said[1], scaled(said[2], 8), scaled(said[3], decimals), scaled(said[4], decimals), *said[5:])
    return (
        coin, said[1], scaled(said[2], 8), scaled(said[3], decimals), *said[4:7], scaled(said[7], 8), said[8],
        scaled(said[9], 8), *said[10:],
    )  # fmt: skip


def of_sdk(message: Any) -> list[Any]:
    """The same of the official SDK's dict of text, row by row, by the plain reader."""
    ear = Ear()
    plain.Reader(lambda _: message, Decimal, ear.hear).feed(b"")
    return [of_plain(said) for said in ear.told()]


def json_libraries() -> list[tuple[str, Callable[[bytes], Any], Callable[[str], Any]]]:
    """(name, loads, number) of every way to read JSON that is installed."""
    ways: list[tuple[str, Callable[[bytes], Any], Callable[[str], Any]]] = [
        ("orjson, float", orjson.loads, float),
        ("json, Decimal", plain.by_json, Decimal),
    ]
    msgspec = module_of("msgspec")
    if msgspec is not None:
        ways.append(("msgspec, float", msgspec.json.decode, float))
    return ways


# -- books --------------------------------------------------------------------------------------------------------------
def book_arms(market: Market, levels: int) -> list[Arm]:
    frames = [Feed(seed).book(market, levels) for seed in range(POOL)]
    desk = Desk()
    book = desk.books[market.coin]
    arms = [ours(desk.router.feed, desk.calls(frames), read=lambda _: our_levels(book))]
    for name, loads, number in json_libraries():
        reader = plain.Reader(loads, number)

        def read(_: Any, reader: plain.Reader = reader) -> Any:
            return [plain_levels(side, market.sz_decimals) for side in reader.books[market.coin][1:]]

        arms.append(peer(name, reader.feed, [(frame,) for frame in frames], read=read))
    typed = plain.typed_book_reader()
    if typed is not None:

        def read_typed(sides: Any) -> Any:
            return [plain_levels([(level.px, level.sz) for level in side], market.sz_decimals) for side in sides]

        arms.append(peer("msgspec, typed", typed, [(frame,) for frame in frames], read=read_typed))
    arms += container_arms(market, frames)
    if sdk.is_installed():
        ear = Ear()
        theirs = sdk.Reader([market.coin], wire.USER, ear.hear)

        def read_sdk(_: Any) -> Any:
            (message,) = ear.told()
            sides = message["data"]["levels"]
            return [
                plain_levels([(Decimal(level["px"]), Decimal(level["sz"])) for level in side], market.sz_decimals)
                for side in sides
            ]

        arms.append(peer(f"{sdk.NAME}, text", theirs.feed, [(frame.decode(),) for frame in frames], read=read_sdk))
    if is_installed(ccxt.DISTRIBUTION):
        pro = ccxt.BookReader()

        def read_pro(_: Any) -> Any:
            book = pro.books[ccxt.symbol(market.coin)]
            return [plain_levels([row[:2] for row in book[side]], market.sz_decimals) for side in ("bids", "asks")]

        arms.append(peer(ccxt.PRO, pro.feed, [(frame.decode(),) for frame in frames], read=read_pro))
    return [*arms, floor("Python function, empty", nothing, [(frame,) for frame in frames])]


def container_arms(market: Market, frames: list[bytes]) -> list[Arm]:
    """Frames into the order books that come as wheels."""
    ways: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], Any]] | None] = {
        "msgspec + sortedcontainers": books.sorted_dicts(),
        "msgspec + order-book (C)": books.order_book(),
    }
    if nautilus.is_installed():
        read = nautilus.book_reader({market.coin: (market.sz_decimals, market.px_decimals)})
        ways[f"msgspec + {nautilus.NAME}"] = None if read is None else (read, nautilus.levels)
    arms = []
    for name, way in ways.items():
        if way is None:
            continue
        feed, levels_of = way

        def read_levels(book: Any, levels_of: Callable[[Any], Any] = levels_of) -> Any:
            return [plain_levels(side, market.sz_decimals) for side in levels_of(book)]

        arms.append(peer(name, feed, [(frame,) for frame in frames], read=read_levels))
    return arms


@kernel("book_20_btc", "l2Book 2×20, BTC → book", at_most(1_500), at_most(1_000), times_faster(10))
def book_20_btc() -> list[Arm]:
    return book_arms(BTC, 20)


@kernel("book_20_kpepe", "l2Book 2×20, kPEPE → book", at_most(1_500), at_most(1_000), times_faster(10))
def book_20_kpepe() -> list[Arm]:
    return book_arms(KPEPE, 20)


@kernel("book_5_btc", "l2Book 2×5, BTC → book", at_most(1_000), times_faster(10))
def book_5_btc() -> list[Arm]:
    return book_arms(BTC, 5)


@kernel("book_5_kpepe", "l2Book 2×5, kPEPE → book", at_most(1_000), times_faster(10))
def book_5_kpepe() -> list[Arm]:
    return book_arms(KPEPE, 5)


# -- everything that is heard -------------------------------------------------------------------------------------------
def heard_arms(frames: list[bytes], *, hears_books: bool = False) -> list[Arm]:
    """hlfast and all peers on the same frames, every item to a Python callable; every item is compared."""
    desk = Desk(hears_books=hears_books)
    arms = [ours(desk.router.feed, desk.calls(frames), read=lambda _: [of_ours(said) for said in desk.ear.told()])]
    for name, loads, number in json_libraries():
        ear = Ear()
        reader = plain.Reader(loads, number, ear.hear)

        def read_plain(_: Any, ear: Ear = ear) -> Any:
            return [of_plain(said) for said in ear.told()]

        arms.append(peer(name, reader.feed, [(frame,) for frame in frames], read=read_plain))
    if sdk.is_installed():
        told = Ear()
        theirs = sdk.Reader([market.coin for market in MARKETS], wire.USER, told.hear)
        arms.append(
            peer(
                f"{sdk.NAME}, text",
                theirs.feed,
                [(frame.decode(),) for frame in frames],
                read=lambda _: [row for message in told.told() for row in of_sdk(message)],
            )
        )
    return [*arms, floor("Python function, empty", nothing, [(frame,) for frame in frames])]


@kernel("bbo", "bbo → callback", at_most(400))
def bbo() -> list[Arm]:
    feed = Feed()
    return heard_arms([feed.bbo((BTC, ETH, HYPE, KPEPE)[at % 4]) for at in range(POOL)])


@kernel("trades", "trades, 3 rows → callback each")
def trades() -> list[Arm]:
    feed = Feed()
    return heard_arms([feed.trades((BTC, KPEPE)[at % 2], 3) for at in range(POOL)])


@kernel("order_updates", "orderUpdates, 2 rows → callback each")
def order_updates() -> list[Arm]:
    feed = Feed()
    return heard_arms([feed.order_updates((BTC, ETH)[at % 2]) for at in range(POOL)])


@kernel("user_fills", "userFills, 1 row → callback")
def user_fills() -> list[Arm]:
    feed = Feed()
    return heard_arms([feed.user_fills((BTC, ETH)[at % 2]) for at in range(POOL)])


@kernel("traffic", "mixed traffic of 20 coins, a frame (300,000/s = 3.33 µs)", at_most(1e9 / 300_000))
def traffic() -> list[Arm]:
    return heard_arms(list(Feed().traffic(500)), hears_books=True)


# -- answers to queries -------------------------------------------------------------------------------------------------
def answer_arms(kind: str, answers: list[Any]) -> list[Arm]:
    """`hl.info`'s answers off the socket: the frame's bytes to the value asked for. The floor is orjson on the same bytes."""
    envelope = '{"channel":"post","data":{"id":257,"response":{"type":"info","payload":{"type":"%s","data":%s}}}}'
    frames = [(envelope % (kind, orjson.dumps(answer).decode())).encode() for answer in answers]
    router, ear = Router(), Ear()
    router.post_sink = ear.hear
    calls = [(frame, 1) for frame in frames]
    arms = [ours(router.feed, calls, read=lambda _: ear.told()[-1].data)]
    for name, loads, _ in json_libraries():

        def theirs(frame: bytes, loads: Callable[[bytes], Any] = loads) -> Any:
            return loads(frame)["data"]["response"]["payload"]["data"]

        arms.append(peer(name.partition(",")[0], theirs, [(frame,) for frame in frames]))
    return [*arms, floor("orjson.loads", orjson.loads, [(frame,) for frame in frames])]


@kernel("answer_small", "answer of openOrders, one row, off the socket", times_floor(1.5))
def answer_small() -> list[Arm]:
    row = {"coin": "BTC", "side": "B", "limitPx": "65000.0", "sz": "0.001", "timestamp": 1_790_358_606_027}
    return answer_arms("openOrders", [[{**row, "oid": 88_000_000_000 + at}] for at in range(POOL)])


@kernel("answer_book", "answer of l2Book 2×20, off the socket", times_floor(1.5))
def answer_book() -> list[Arm]:
    return answer_arms("l2Book", [orjson.loads(Feed(seed).book(BTC, 20))["data"] for seed in range(POOL)])
