"""The frame router: what each frame of the protocol says, read by hand-written scanners and by orjson alike."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hlfast.core.order_book import Bbo, OrderBook
from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError
from hlfast.types import OrderState
from hlfast.venues.hyperliquid.scan import BookHandler, Router

SZ_DECIMALS = {
    "BTC": 5,
    "ETH": 4,
    "HYPE": 2,
    "AVAX": 2,
    "kPEPE": 0,
    "xyz:NVDA": 3,
    "@107": 2,
    "@151": 4,
    "PURR/USDC": 0,
}
NOT_KNOWN = -(2**63)


class Seen:
    """A router with the instruments above, and everything that it hands on."""

    def __init__(self) -> None:
        self.router = Router()
        self.books: dict[str, OrderBook] = {}
        self.bbos: dict[str, Bbo] = {}
        self.orders: list[Any] = []
        self.fills: list[Any] = []
        self.trades: list[Any] = []
        self.replies: list[Any] = []
        self.cold: list[tuple[str, Any, int]] = []
        self.errors: list[tuple[str, str, bytes]] = []
        self.raised: list[tuple[Any, BaseException]] = []
        r = self.router
        for coin, decimals in SZ_DECIMALS.items():
            self.books[coin], self.bbos[coin] = OrderBook(coin, decimals), Bbo(coin, decimals)
            r.add_instrument(TradingRule(coin, sz_decimals=decimals), self.books[coin], self.bbos[coin])
            r.set_trade_handlers(coin, (self.trades.append,))
        r.order_sink = self.orders.append
        r.fill_sink = lambda fill, is_snapshot: self.fills.append((fill, is_snapshot))
        r.post_sink = self.replies.append
        r.cold_sink = lambda *said: self.cold.append(said)
        r.error_sink = lambda *said: self.errors.append(said)
        r.on_handler_error = lambda *said: self.raised.append(said)

    def feed(self, frame: str | bytes, recv_ns: int = 7) -> Seen:
        self.router.feed(frame.encode() if isinstance(frame, str) else frame, recv_ns)
        return self

    def __getitem__(self, counter: str) -> int:
        return self.router.counters[counter]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def scaled(text: str, decimals: int) -> int:
    value = Decimal(text).scaleb(decimals)
    assert value == int(value)
    return int(value)


# Section 5.4 of the protocol, as the venue sends them.
L2BOOK = (
    '{"channel":"l2Book","data":{"coin":"BTC","time":1790358575700,"levels":[[{"px":"83767.0","sz":"6.87634","n":45}],'
    '[{"px":"83768.0","sz":"0.30543","n":3}]]}}'
)
L2BOOK_FAST = (
    '{"channel":"l2Book","data":{"coin":"BTC","time":1790358576210,"levels":[[{"px":"83760.0","sz":"9.1","n":60}],'
    '[{"px":"83770.0","sz":"4.2","n":11}]],"spread":"1.0","fast":true}}'
)
BBO = (
    '{"channel":"bbo","data":{"coin":"BTC","time":1790358617881,"bbo":[{"px":"83757.0","sz":"22.61305","n":81},'
    '{"px":"83758.0","sz":"0.00016","n":1}]}}'
)
TRADES = (
    '{"channel":"trades","data":[{"coin":"BTC","side":"A","px":"83769.0","sz":"0.0048","time":1790358606027,'
    '"hash":"0xa7c8a1a1ff42f7b2a9420445311dcb0201b500879a4616844b914cf4be46d19d","tid":784469253141982,'
    '"users":["0xdfdac7220711df4e8c362db7d11eef2bd0c51188","0x1a2e6afa298b1cc50939b4b2b0b430e3c1ef3459"]}]}'
)
ORDERS = (
    '{"channel":"orderUpdates","data":[{"order":{"coin":"ETH","side":"B","limitPx":"2080.0","sz":"0.01",'
    '"oid":315452584853,"timestamp":1770524603232,"origSz":"0.01","cloid":"0x000300511b45504e0000010000000054"},'
    '"status":"open","statusTimestamp":1770524603232},{"order":{"coin":"ETH","side":"B","limitPx":"2080.0","sz":"0.0",'
    '"oid":315452584853,"timestamp":1770524603232,"origSz":"0.01","cloid":"0x000300511b45504e0000010000000054"},'
    '"status":"filled","statusTimestamp":1770524603232}]}'
)
REJECTED = (
    '{"channel":"orderUpdates","data":[{"order":{"coin":"ETH","side":"B","limitPx":"1500.0","sz":"0.0001",'
    '"oid":315435025155,"timestamp":1770522010049,"origSz":"0.0001","cloid":"0x0003005119ba40ba000001000000004d"},'
    '"status":"minTradeNtlRejected","statusTimestamp":1770522010049}]}'
)
FILL = (
    '{"coin":"ETH","px":"2067.2","sz":"0.01","side":"A","time":1770524192528,"startPosition":"0.01",'
    '"dir":"Close Long","closedPnl":"-0.13",'
    '"hash":"0x5b1955fc530a1a7e5c930434e47ff202074e00e1ee0d3950fee2014f120df468","oid":315449302232,"crossed":true,'
    '"fee":"0.00893","tid":343484124188045,"cloid":"0x000300511afb52d40000010000000073","feeToken":"USDC",'
    '"twapId":null}'
)
USER_FILLS = (
    '{"channel":"userFills","data":{"isSnapshot":true,"user":"0x61fb9e7583dc92cc76eb52f93d88addaa0f02265","fills":['
    '{"coin":"@151","px":"3483.6","sz":"0.0526","side":"A","time":1762961067165,"startPosition":"0.052626746",'
    '"dir":"Sell","closedPnl":"0.09994001","hash":"0x01","oid":231584579056,"crossed":true,"fee":"0.12827447",'
    '"tid":817974212080988,"feeToken":"USDC","twapId":null}]}}'
)
POST_ORDER = (
    '{"channel":"post","data":{"id":257,"response":{"type":"action","payload":{"status":"ok","response":'
    '{"type":"order","data":{"statuses":[{"resting":{"oid":88383}}]}}}}}}'
)
HOT = [L2BOOK, L2BOOK_FAST, BBO, TRADES, ORDERS, REJECTED, USER_FILLS, POST_ORDER]
COLD = [
    '{"channel":"allMids","data":{"mids":{"BTC":"83757.5","ETH":"2080.15","@107":"41.353"}}}',
    '{"channel":"candle","data":{"t":1790358600000,"T":1790358659999,"s":"BTC","i":"1m","o":"83765.0","c":"83765.0",'
    '"h":"83770.0","l":"83756.0","v":"0.3317","n":36}}',
    '{"channel":"activeAssetCtx","data":{"coin":"BTC","ctx":{"funding":"0.0000125","midPx":null}}}',
    '{"channel":"activeSpotAssetCtx","data":{"coin":"@107","ctx":{"prevDayPx":"40.1"}}}',
    '{"channel":"assetCtxs","data":{"dex":"","ctxs":[{"funding":"0.0000125"}]}}',
    '{"channel":"allDexsAssetCtxs","data":{"ctxs":[["",[]],["xyz",[]]]}}',
    '{"channel":"spotAssetCtxs","data":[{"coin":"PURR/USDC"}]}',
    '{"channel":"fastAssetCtxs","data":"q1ZyCnFWsqpWyk0syg6oULJSsjQ3NTDQM1Wq1VFyDfFAkTI2MzXQMwJLVVRWWfmFuTiiyBuamOoZKdXWAgA="}',
    '{"channel":"outcomeMetaUpdates","data":{"updates":[{"outcomeSettled":{"outcome":123}}]}}',
    '{"channel":"notification","data":{"notification":"Resting order filled: Bought 0.0063 ETH at $1907.6"}}',
    '{"channel":"user","data":{"fills":[' + FILL + "]}}",
    '{"channel":"user","data":{"funding":{"time":1770523200069,"coin":"BTC","usdc":"0.000021","szi":"0.00004",'
    '"fundingRate":"-0.0000079506","nSamples":null}}}',
    '{"channel":"user","data":{"nonUserCancel":[{"coin":"BTC","oid":59534922489}]}}',
    '{"channel":"userFundings","data":{"isSnapshot":true,"user":"0x61fb","fundings":[]}}',
    '{"channel":"userNonFundingLedgerUpdates","data":{"isSnapshot":true,"user":"0x61fb","nonFundingLedgerUpdates":[]}}',
    '{"channel":"userHistoricalOrders","data":{"isSnapshot":true,"user":"0x61fb","orderHistory":[]}}',
    '{"channel":"userTwapSliceFills","data":{"isSnapshot":true,"user":"0x61fb","twapSliceFills":[]}}',
    '{"channel":"userTwapHistory","data":{"isSnapshot":true,"user":"0x61fb","history":[]}}',
    '{"channel":"activeAssetData","data":{"user":"0x61fb","coin":"BTC"}}',
    '{"channel":"clearinghouseState","data":{"dex":"","user":"0x61fb","clearinghouseState":{}}}',
    '{"channel":"allDexsClearinghouseState","data":{"user":"0x61fb","clearinghouseStates":[]}}',
    '{"channel":"openOrders","data":{"dex":"","user":"0x61fb","orders":[]}}',
    '{"channel":"spotState","data":{"user":"0x61fb","spotState":{"balances":[]}}}',
    '{"channel":"twapStates","data":{"dex":"","user":"0x61fb","states":[]}}',
    '{"channel":"webData3","data":{"perpDexStates":[{"totalVaultEquity":"0.0"}]}}',
    '{"channel":"subscriptionResponse","data":{"method":"subscribe","subscription":{"type":"l2Book","coin":"BTC",'
    '"nSigFigs":null,"mantissa":null}}}',
    '{"channel":"pong"}',
    '{"channel":"error","data":"Already subscribed: {\\"type\\":\\"trades\\",\\"coin\\":\\"SOL\\"}"}',
]


# -- market data ------------------------------------------------------------------------------------------------------
def test_an_l2book_frame_fills_the_book_and_calls_its_handlers(seen: Seen):
    """Behaviour 33."""
    tops: list[tuple[int, int]] = []
    seen.router.set_book_handlers("BTC", (lambda book: tops.append((book.best_bid_e8, book.best_ask_e8)),))
    seen.feed(L2BOOK, 11)
    book = seen.books["BTC"]
    assert book.levels() == ([(8376700000000, 687634, 45)], [(8376800000000, 30543, 3)])
    assert (book.time_ms, book.recv_ns, book.epoch, book.is_stale) == (1790358575700, 11, 1, False)
    seen.feed(L2BOOK_FAST)
    assert book.levels() == ([(8376000000000, 910000, 60)], [(8377000000000, 420000, 11)])
    assert tops == [(8376700000000, 8376800000000), (8376000000000, 8377000000000)]
    assert (seen["fallbacks"], seen["channel_l2Book"], seen.errors) == (0, 2, [])


def test_a_bbo_frame_fills_the_view_and_a_null_side_is_empty(seen: Seen):
    """Behaviour 33."""
    called: list[Bbo] = []
    seen.router.set_bbo_handlers("BTC", (called.append,))
    bbo = seen.feed(BBO, 5).bbos["BTC"]
    assert (bbo.bid_px_e8, bbo.bid_lots, bbo.ask_px_e8, bbo.ask_lots) == (8375700000000, 2261305, 8375800000000, 16)
    assert (bbo.time_ms, bbo.recv_ns) == (1790358617881, 5)
    level = '{"px":"2.0","sz":"1.0","n":1}'
    for pair, want in (
        (f"[{level},null]", (200000000, 100000, 0, 0)),
        (f"[null,{level}]", (0, 0, 200000000, 100000)),
        ("[null,null]", (0, 0, 0, 0)),
    ):
        seen.feed('{"channel":"bbo","data":{"coin":"BTC","time":1790358617882,"bbo":' + pair + "}}")
        assert (bbo.bid_px_e8, bbo.bid_lots, bbo.ask_px_e8, bbo.ask_lots) == want
    assert called == [bbo] * 4 and seen["fallbacks"] == 0


def test_trades_are_made_for_those_who_listen_only(seen: Seen):
    """Behaviour 33."""
    (trade,) = seen.feed(TRADES, 9).trades
    assert (trade.coin, trade.side, trade.price, trade.amount) == ("BTC", "A", Decimal(83769), Decimal("0.0048"))
    assert (trade.tid, trade.time_ms, trade.recv_ns) == (784469253141982, 1790358606027, 9)
    assert trade.buyer == "0xdfdac7220711df4e8c362db7d11eef2bd0c51188"
    assert trade.seller == "0x1a2e6afa298b1cc50939b4b2b0b430e3c1ef3459"
    seen.router.set_trade_handlers("BTC", ())
    seen.feed(TRADES)
    assert len(seen.trades) == 1 and seen["channel_trades"] == 2 and seen["fallbacks"] == 0


def test_an_older_frame_is_dropped_and_counted_and_makes_nothing_stale(seen: Seen):
    """Behaviour 41."""
    called: list[Any] = []
    seen.router.set_book_handlers("BTC", (called.append,))
    seen.router.set_bbo_handlers("BTC", (called.append,))
    seen.feed(L2BOOK_FAST).feed(BBO)
    before = seen.books["BTC"].levels()
    seen.feed(L2BOOK).feed(BBO.replace("1790358617881", "1790358617880").replace("22.6", "1.6"))
    assert seen.books["BTC"].levels() == before and not seen.books["BTC"].is_stale
    assert seen.bbos["BTC"].bid_lots == 2261305
    assert (seen["older"], seen["malformed"], len(called), seen.errors) == (2, 0, 2, [])


def book_frame(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]], time_ms: int = 1790358576300, coin: str = "BTC"
) -> str:
    sides = [[{"px": px, "sz": sz, "n": 1} for px, sz in side] for side in (bids, asks)]
    data = {"coin": coin, "time": time_ms, "levels": sides}
    return json.dumps({"channel": "l2Book", "data": data}, separators=(",", ":"))


@pytest.mark.parametrize(
    "frame",
    [
        book_frame([("2", "1")], [("2", "1")]),
        book_frame([("1", "1"), ("2", "1")], [("3", "1")]),
        book_frame([("1", "1")], [("3", "1"), ("3", "1")]),
        book_frame([("1", "0.0")], [("3", "1")]),
        book_frame([("0.0", "1")], [("3", "1")]),
        book_frame([("1", "-1.0")], [("3", "1")]),
        book_frame([("1", "0.000001")], [("3", "1")]),
        book_frame([("1", "92233720368547758.08")], [("3", "1")]),
        book_frame([("1", "1e3")], [("3", "1")]),
        book_frame([("1.123456789", "1")], [("3", "1")]),
        book_frame([("1", "")], [("3", "1")]),
        L2BOOK_FAST.replace('"4.2"', "4.2"),
        L2BOOK.replace('"n":45', '"n":-45'),
        L2BOOK.replace('"n":45', '"n":4.5'),
        L2BOOK.replace("1790358575700", "-1"),
        L2BOOK.replace("1790358575700", "9223372036854775808"),
        L2BOOK.replace('"time":1790358575700,', ""),
        L2BOOK.replace('],[{"px"', ',{"px"'),
        '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":{}}}',
        '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[[],[],[]]}}',
        '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[[1],[]]}}',
        '{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[null,[]]}}',
    ],
)
@pytest.mark.parametrize("lead", ["", " "])
def test_a_book_that_cannot_be_right_is_refused_and_the_old_one_stays_stale(seen: Seen, frame: str, lead: str):
    """Behaviour 41; L14."""
    called: list[Any] = []
    seen.feed(L2BOOK).router.set_book_handlers("BTC", (called.append,))
    before = seen.books["BTC"].levels()
    frame = frame.replace('"time":1,', '"time":1790358576000,')
    seen.feed(lead + frame)
    book = seen.books["BTC"]
    assert book.levels() == before and book.is_stale and "malformed" in book.stale_reason
    assert called == [] and seen["malformed"] == 1
    ((kind, detail, excerpt),) = seen.errors
    assert kind == "malformed" and "BTC" in detail and excerpt == (lead + frame).encode()[:200]
    seen.feed(L2BOOK_FAST)
    assert not book.is_stale and len(called) == 1


@pytest.mark.parametrize("bids, asks", [(300, 300), (300, 0), (0, 300), (0, 0), (33, 1)])
@pytest.mark.parametrize("lead", ["", " "])
def test_books_of_any_depth_fit(seen: Seen, bids: int, asks: int, lead: str):
    frame = book_frame([(f"{1000 - i}", "1") for i in range(bids)], [(f"{1001 + i}", "2") for i in range(asks)])
    book = seen.feed(lead + frame).books["BTC"]
    assert book.depth_levels == (bids, asks) and not book.is_stale and book.epoch == 1
    assert [px for px, _, _ in book.levels()[0]] == [(1000 - i) * 10**8 for i in range(bids)]
    assert [px for px, _, _ in book.levels()[1]] == [(1001 + i) * 10**8 for i in range(asks)]
    assert seen["fallbacks"] == len(lead)


def test_a_book_too_long_to_be_plausible_is_malformed(seen: Seen):
    seen.feed(L2BOOK)
    frame = book_frame([(f"{200000 - i}", "1") for i in range(65_537)], [])
    for lead in ("", " "):
        seen.feed(lead + frame)
    assert seen.books["BTC"].depth_levels == (1, 1) and seen.books["BTC"].is_stale and seen["malformed"] == 2


@pytest.mark.parametrize(
    "pair", ["[]", "[null]", "[null,null,null]", "null", "[1,null]", '[{"px":"0.0","sz":"1.0","n":1},null]']
)
def test_a_bbo_that_cannot_be_right_is_refused_and_the_old_one_stays(seen: Seen, pair: str):
    seen.feed(BBO).feed('{"channel":"bbo","data":{"coin":"BTC","time":1790358617999,"bbo":' + pair + "}}")
    assert seen.bbos["BTC"].epoch == 1 and seen["malformed"] == 1 and len(seen.errors) == 1
    seen.feed(BBO.replace("83757.0", "83759.0"))
    assert seen.bbos["BTC"].epoch == 1 and seen["malformed"] == 2 and "crossed" in seen.errors[1][1]


def test_frames_of_a_coin_that_is_not_watched_are_counted_only(seen: Seen):
    seen.feed(L2BOOK).router.remove_instrument("BTC")
    seen.router.remove_instrument("BTC")
    for frame in (L2BOOK_FAST, BBO, TRADES):
        seen.feed(frame)
    assert (seen["unknown_coin"], seen["fallbacks"], seen.errors, seen.trades) == (3, 0, [], [])
    assert seen.books["BTC"].time_ms == 1790358575700 and not seen.books["BTC"].is_stale
    with pytest.raises(ConfigError, match="no instrument 'BTC'"):
        seen.router.set_book_handlers("BTC", ())


def test_many_coins_are_told_apart_by_their_bytes():
    router = Router()
    books = {}
    for i in range(600):
        coin = f"@{i}" if i % 2 else f"dex{i % 7}:COIN{i}"
        books[coin] = OrderBook(coin, 2)
        router.add_instrument(TradingRule(coin, sz_decimals=2), books[coin], Bbo(coin, 2))
    for i, coin in enumerate(books):
        router.feed(book_frame([(str(i + 1), "1")], [], coin=coin).encode(), 1)
    assert [book.best_bid for book in books.values()] == list(range(1, 601))
    for coin in list(books)[::2]:
        router.remove_instrument(coin)
    for coin in books:
        router.feed(book_frame([("9999", "1")], [], coin=coin).encode(), 1)
    assert [book.best_bid == 9999 for book in books.values()] == [False, True] * 300
    assert router.counters["unknown_coin"] == 300


def test_an_instrument_and_its_book_must_agree_on_lots():
    with pytest.raises(ConfigError, match="5 size decimals, its book 4"):
        Router().add_instrument(TradingRule("BTC", sz_decimals=5), OrderBook("BTC", 4), Bbo("BTC", 5))


# -- the account ------------------------------------------------------------------------------------------------------
def order_fields(update: Any) -> tuple[Any, ...]:
    names = "client_order_id cloid oid coin new_state status side px_e8 lots orig_lots time_ms recv_ns reason recovered"
    return tuple(getattr(update, name) for name in names.split())


def test_order_rows_become_updates_in_their_order(seen: Seen):
    """Behaviours 34 and 40."""
    seen.feed(ORDERS, 3).feed(REJECTED, 4)
    cloid = "0x000300511b45504e0000010000000054"
    t = 1770524603232
    assert [order_fields(u) for u in seen.orders] == [
        (None, cloid, 315452584853, "ETH", OrderState.OPEN, "open", "B", 208000000000, 100, 100, t, 3, "", False),
        (None, cloid, 315452584853, "ETH", OrderState.FILLED, "filled", "B", 208000000000, 0, 100, t, 3, "", False),
        (
            None, "0x0003005119ba40ba000001000000004d", 315435025155, "ETH", OrderState.FAILED, "minTradeNtlRejected",
            "B", 150000000000, 1, 1, 1770522010049, 4, "minTradeNtlRejected", False,
        ),
    ]  # fmt: skip
    assert seen["fallbacks"] == 0 and seen.errors == []


STATES = {
    "open": "OPEN", "filled": "FILLED", "canceled": "CANCELLED", "triggered": "OPEN", "rejected": "FAILED",
    "marginCanceled": "CANCELLED", "vaultWithdrawalCanceled": "CANCELLED", "openInterestCapCanceled": "CANCELLED",
    "selfTradeCanceled": "CANCELLED", "reduceOnlyCanceled": "CANCELLED", "siblingFilledCanceled": "CANCELLED",
    "delistedCanceled": "CANCELLED", "liquidatedCanceled": "CANCELLED", "outcomeSettledCanceled": "CANCELLED",
    "scheduledCancel": "CANCELLED", "internalCancel": "CANCELLED", "tickRejected": "FAILED",
    "minTradeNtlRejected": "FAILED", "perpMarginRejected": "FAILED", "reduceOnlyRejected": "FAILED",
    "badAloPxRejected": "FAILED", "iocCancelRejected": "FAILED", "badTriggerPxRejected": "FAILED",
    "marketOrderNoLiquidityRejected": "FAILED", "positionIncreaseAtOpenInterestCapRejected": "FAILED",
    "positionFlipAtOpenInterestCapRejected": "FAILED", "tooAggressiveAtOpenInterestCapRejected": "FAILED",
    "openInterestIncreaseRejected": "FAILED", "insufficientSpotBalanceRejected": "FAILED", "oracleRejected": "FAILED",
    "perpMaxPositionRejected": "FAILED", "tooManyOpenOrdersRejected": "FAILED",
    # Not in the exact table: the suffix decides.
    "perpMaxPositionCanceled": "CANCELLED", "outcomeSettledRejected": "FAILED", "someNewCancel": "CANCELLED",
}  # fmt: skip


@pytest.mark.parametrize("word", STATES)
@pytest.mark.parametrize("lead", ["", " "])
def test_every_status_word_has_its_state(seen: Seen, word: str, lead: str):
    """G19; D5."""
    (update,) = seen.feed(lead + REJECTED.replace("minTradeNtlRejected", word)).orders
    assert OrderState(update.new_state).name == STATES[word] and update.status == word
    assert update.reason == ("" if word in ("open", "triggered", "filled", "canceled") else word)
    assert seen["unknown_status"] == 0 and seen.errors == []


def test_an_unknown_status_is_handed_on_raw_and_the_rows_around_it_are_booked(seen: Seen):
    """G19; L20."""
    odd = ORDERS.replace('"status":"open"', '"status":"hip3CrossMarginSomething"')
    first, second = seen.feed(odd).orders
    assert (first.new_state, first.status, first.reason) == (-1, "hip3CrossMarginSomething", "")
    assert second.new_state == OrderState.FILLED
    ((kind, detail, _),) = seen.errors
    assert kind == "unknown_status" and "hip3CrossMarginSomething" in detail and "315452584853" in detail
    assert (seen["unknown_status"], seen["malformed"], seen["fallbacks"]) == (1, 0, 0)


def fill_fields(fill: Any) -> tuple[Any, ...]:
    names = (
        "coin tid oid cloid px_e8 lots size_text sz_decimals is_buy is_taker fee_e8 fee_exact fee_token closed_pnl_e8 "
        "start_lots direction time_ms recv_ns recovered"
    )
    return tuple(getattr(fill, name) for name in names.split())


def user_fills(*rows: str, snapshot: str = "") -> str:
    return '{"channel":"userFills","data":{' + snapshot + '"user":"0x61fb","fills":[' + ",".join(rows) + "]}}"


def test_fills_become_trade_updates_and_say_whether_they_are_a_snapshot(seen: Seen):
    """Behaviours 34 and 40."""
    seen.feed(USER_FILLS, 3).feed(user_fills(FILL), 4).feed(user_fills(FILL, snapshot='"isSnapshot":false,'), 4)
    assert [is_snapshot for _, is_snapshot in seen.fills] == [True, False, False]
    spot, perp, again = (fill_fields(fill) for fill, _ in seen.fills)
    assert spot == (
        "@151", 817974212080988, 231584579056, None, 348360000000, 526, "", 4, False, True, 12827447, None, "USDC",
        9994001, NOT_KNOWN, "Sell", 1762961067165, 3, False,
    )  # fmt: skip
    assert perp == again == (
        "ETH", 343484124188045, 315449302232, "0x000300511afb52d40000010000000073", 206720000000, 100, "", 4, False,
        True, 893000, None, "USDC", -13000000, 100, "Close Long", 1770524192528, 4, False,
    )  # fmt: skip
    assert seen["fallbacks"] == 0


@pytest.mark.parametrize("lead", ["", " "])
def test_what_is_odd_in_a_fill_does_not_lose_it(seen: Seen, lead: str):
    """G7; G19; L64."""
    rows = [
        FILL.replace('"sz":"0.01"', '"sz":"0.000012345678901"').replace("Close Long", "Spot Dust Conversion"),
        FILL.replace('"sz":"0.01"', '"sz":"92233720368547758070.5"'),
        FILL.replace('"fee":"0.00893"', '"fee":"-0.0000000123"'),
        FILL.replace('"fee":"0.00893"', '"fee":"99999999999999999999.5"'),
        FILL.replace('"cloid":"0x000300511afb52d40000010000000073",', ""),
        FILL.replace('"0x000300511afb52d40000010000000073"', "null"),
        FILL.replace("0x000300511afb52d40000010000000073", "0x000300511AFB52D40000010000000073"),
        FILL.replace('"ETH"', '"NEWCOIN"').replace('"sz":"0.01"', '"sz":"0.000000019"'),
        FILL.replace('"ETH"', '"NEWCOIN"'),
        FILL.replace("343484124188045", str(2**50)).replace("315449302232", str(2**63 - 1)),
        FILL.replace('"tid":343484124188045', '"tid":0'),
        FILL.replace('"fee":"0.00893"', '"fee":"0.00893","builderFee":"0.001"'),
        FILL.replace('"twapId":null', '"twapId":3156'),
        FILL.replace('"crossed":true', '"crossed":false'),
        FILL.replace('"side":"A"', '"side":"B"'),
        FILL.replace("Close Long", "Some New Thing > Other"),
    ]
    seen.feed(lead + user_fills(*rows))
    fills = [fill for fill, _ in seen.fills]
    assert len(fills) == len(rows) and seen["malformed"] == 0 and seen["fallbacks"] == len(lead)
    assert (fills[0].lots, fills[0].size_text, fills[0].direction) == (-1, "0.000012345678901", "Spot Dust Conversion")
    assert fills[0].amount == Decimal("0.000012345678901")
    assert (fills[1].lots, fills[1].amount) == (-1, Decimal("92233720368547758070.5"))
    assert (fills[2].fee_e8, fills[2].fee) == (0, Decimal("-0.0000000123"))
    assert fills[3].fee == Decimal("99999999999999999999.5")
    assert [fill.cloid for fill in fills[4:7]] == [None, None, "0x000300511afb52d40000010000000073"]
    assert (fills[7].coin, fills[7].sz_decimals, fills[7].lots) == ("NEWCOIN", 8, -1)
    assert fills[7].amount == Decimal("0.000000019")
    assert (fills[8].lots, fills[8].amount, fills[8].start_lots) == (1000000, Decimal("0.01"), 1000000)
    assert (fills[9].tid, fills[9].oid, fills[10].tid) == (2**50, 2**63 - 1, 0)
    assert fills[11].fee == Decimal("0.00893")
    assert (fills[13].is_taker, fills[14].is_buy, fills[15].direction) == (False, True, "Some New Thing > Other")
    assert seen["unknown_coin"] == 2


@pytest.mark.parametrize(
    "bad",
    [
        FILL.replace('"sz":"0.01"', '"sz":"abc"'),
        FILL.replace('"sz":"0.01"', '"sz":"-0.01"'),
        FILL.replace('"sz":"0.01"', '"sz":"99999999999999999999x"'),
        FILL.replace('"sz":"0.01"', '"sz":"99999999999999999999."'),
        FILL.replace('"sz":"0.01"', '"sz":""'),
        FILL.replace('"sz":"0.01"', '"sz":0.01'),
        FILL.replace('"px":"2067.2"', '"px":"-1"'),
        FILL.replace('"px":"2067.2",', ""),
        FILL.replace('"fee":"0.00893"', '"fee":"99999999999999999999.5.5"'),
        FILL.replace('"fee":"0.00893"', '"fee":0.00893'),
        FILL.replace('"side":"A"', '"side":"X"'),
        FILL.replace("315449302232", str(2**63)),
        FILL.replace("315449302232", "-1"),
        FILL.replace("343484124188045", '"343484124188045"'),
        FILL.replace('"coin":"ETH"', '"coin":null'),
        "null",
        "[]",
    ],
)
def test_a_fill_that_cannot_be_read_is_reported_and_its_neighbours_are_booked(seen: Seen, bad: str):
    """G7; L14."""
    seen.feed(user_fills(FILL, bad, FILL))
    assert len(seen.fills) == 2 and seen["malformed"] == 1 and seen["fallbacks"] == 1
    ((kind, detail, _),) = seen.errors
    assert kind == "malformed" and "1 of 3 rows" in detail


def test_a_fill_without_the_members_that_are_not_essential_is_booked(seen: Seen):
    seen.feed(user_fills('{"coin":"ETH","px":"1","sz":"2","side":"B","time":3,"oid":4,"tid":5}'))
    ((fill, _),) = seen.fills
    assert (fill.key, fill.fee, fill.fee_token) == (("ETH", 5, 4, 3), 0, "USDC")
    assert (fill.start_position, fill.is_taker) == (None, True)
    assert seen["malformed"] == 0 and seen["fallbacks"] == 1


def test_order_rows_with_odd_members_keep_what_can_be_read(seen: Seen):
    """G19, behaviour 128: a cloid that is null or missing, ids of 63 bits."""
    row = REJECTED[len('{"channel":"orderUpdates","data":[') : -2]
    frame = '{"channel":"orderUpdates","data":['
    rows = [
        row.replace('"cloid":"0x0003005119ba40ba000001000000004d"', '"cloid":null'),
        row.replace(',"cloid":"0x0003005119ba40ba000001000000004d"', ""),
        row.replace('004d"', '004d","reduceOnly":true'),
        row.replace('"sz":"0.0001"', '"sz":"0.00012"'),
        row.replace('"ETH"', '"NEWCOIN"'),
        row.replace("315435025155", str(2**63 - 1)),
    ]
    seen.feed(frame + ",".join(rows) + "]}")
    assert (seen["fallbacks"], seen["malformed"], seen["unknown_coin"]) == (0, 0, 1)
    assert [u.cloid is None for u in seen.orders] == [True, True, False, False, False, False]
    assert (seen.orders[3].lots, seen.orders[3].orig_lots) == (-1, 1)
    assert (seen.orders[4].coin, seen.orders[4].lots) == ("NEWCOIN", 10000)
    assert seen.orders[5].oid == 2**63 - 1
    bad = [row.replace("315435025155", str(2**63)), row.replace('"status":"minTradeNtlRejected",', ""), "1", "{}"]
    bare = '{"order":{"coin":"ETH","oid":5},"status":"canceled"}'
    seen.feed(frame + ",".join([*bad, bare]) + "]}")
    assert order_fields(seen.orders[6])[:11] == (
        None,
        None,
        5,
        "ETH",
        OrderState.CANCELLED,
        "canceled",
        "",
        0,
        -1,
        -1,
        0,
    )
    assert len(seen.orders) == 7 and seen["malformed"] == 1 and "4 of 5 rows" in seen.errors[0][1]


def test_rules_come_from_the_connector_where_no_market_data_is_watched():
    router, fills, asked = Router(), [], []

    def rule_for(coin: str) -> TradingRule | None:
        asked.append(coin)
        if coin == "BTC":
            raise RuntimeError("metadata is being loaded")
        return TradingRule("ETH", sz_decimals=4) if coin == "ETH" else None

    raised: list[Any] = []
    router.rule_for = rule_for
    router.fill_sink = lambda fill, is_snapshot: fills.append(fill)
    router.on_handler_error = lambda fn, error: raised.append((fn, str(error)))
    rows = [FILL, FILL.replace('"ETH"', '"BTC"'), FILL.replace('"ETH"', '"SOL"')]
    router.feed(user_fills(*rows).encode(), 1)
    assert asked == ["ETH", "BTC", "SOL"] and [fill.sz_decimals for fill in fills] == [4, 8, 8]
    assert router.counters["unknown_coin"] == 2 and raised == [(rule_for, "metadata is being loaded")]


# -- other channels ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("frame", COLD)
def test_cold_channels_are_handed_on_parsed(seen: Seen, frame: str):
    """Behaviour 34."""
    seen.feed(frame, 21)
    message = json.loads(frame)
    assert seen.cold == [(message["channel"], message.get("data"), 21)]
    assert seen.fills == [] and seen.orders == [], "fills are booked from userFills only"
    assert (seen.errors, seen["fallbacks"], seen[f"channel_{message['channel']}"]) == ([], 0, 1)


def test_the_greeting_is_ignored_and_counted(seen: Seen):
    seen.feed("Websocket connection established.")
    assert (seen["greetings"], seen["malformed"], seen.errors, seen.cold) == (1, 0, [], [])


def test_an_unknown_channel_is_reported_and_handed_on(seen: Seen):
    """G19; L14."""
    seen.feed('{"channel":"orderbookV9","data":{"mystery":[1]}}', 2)
    assert seen.cold == [("orderbookV9", {"mystery": [1]}, 2)]
    ((kind, detail, excerpt),) = seen.errors
    assert kind == "unknown_channel" and "orderbookV9" in detail and excerpt.startswith(b'{"channel":"orderbookV9"')
    assert (seen["unknown_channel"], seen["malformed"]) == (1, 0)
    assert seen.feed(L2BOOK).books["BTC"].epoch == 1


@pytest.mark.parametrize(
    "frame",
    [
        b"", b" ", b"null", b"[]", b"{}", b"1", b'"text"', b"<html>502</html>", b"\xff\xfe", b'{"channel":5}', b"[[[[",
        b'{"channel":"l2Book"}', b'{"channel":"l2Book","data":null}', b'{"channel":"l2Book","data":{"coin":5}}',
        b'{"channel":"bbo","data":[]}', b'{"channel":"trades","data":{}}', b'{"channel":"trades","data":[1]}',
        b'{"channel":"orderUpdates","data":"x"}', b'{"channel":"userFills","data":{"fills":null}}',
        b'{"channel":"post","data":{"id":-1}}', b'{"channel":"post","data":7}', b"[" * 5000,
        b'{"channel":"trades","data":[' + b"[" * 900 + b"]" * 900 + b"]}",
    ],
)  # fmt: skip
def test_what_is_no_message_of_the_venue_is_reported_once(seen: Seen, frame: bytes):
    """L14."""
    seen.feed(frame)
    assert seen["malformed"] == 1
    ((kind, detail, excerpt),) = seen.errors
    assert kind == "malformed" and detail and excerpt == frame[:200]
    assert seen.feed(L2BOOK).books["BTC"].epoch == 1


# -- handlers ---------------------------------------------------------------------------------------------------------
def boom(*_: object) -> None:
    raise RuntimeError("boom")


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_raising_handler_stops_neither_the_next_one_nor_the_feed(seen: Seen, position: int):
    """G12; L120; behaviour 37."""
    called: list[str] = []
    handlers: list[Any] = [lambda _, name=name: called.append(name) for name in "abc"]
    handlers[position] = boom
    for setter in (seen.router.set_book_handlers, seen.router.set_bbo_handlers, seen.router.set_trade_handlers):
        setter("BTC", handlers)
    left = "abc".replace("abc"[position], "")
    for frame in (L2BOOK, BBO, TRADES):
        called.clear()
        seen.feed(frame)
        assert "".join(called) == left
    assert [(fn, str(error)) for fn, error in seen.raised] == [(boom, "boom")] * 3
    assert seen["handler_errors"] == 3 and seen["malformed"] == 0 and seen.books["BTC"].epoch == 1


@pytest.mark.parametrize(
    "frame", [*HOT, *COLD[:1], '{"channel":"new","data":1}', "garbage", ORDERS.replace("open", "odd")]
)
@pytest.mark.parametrize("lead", ["", " "])
def test_raising_sinks_raise_nothing_out_of_the_router(seen: Seen, frame: str, lead: str):
    """G12; L120."""
    r = seen.router
    for name in ("order_sink", "fill_sink", "post_sink", "cold_sink", "error_sink", "on_handler_error", "rule_for"):
        setattr(r, name, boom)
    for setter in (r.set_book_handlers, r.set_bbo_handlers, r.set_trade_handlers):
        setter("BTC", (boom, boom))
    seen.feed(lead + frame)
    assert seen["handler_errors"] >= 2, "the call and the report of it"


def test_a_router_that_nobody_listens_to_reads_everything():
    router = Router()
    for frame in [*HOT, *COLD, "garbage", ORDERS.replace("open", "odd")]:
        router.feed(frame.encode(), 1)
        router.feed(b" " + frame.encode(), 1)
    assert router.counters["frames"] == 2 * (len(HOT) + len(COLD) + 2) and router.counters["handler_errors"] == 0


def test_an_interrupt_from_the_keyboard_is_not_swallowed(seen: Seen):
    def interrupted(book: OrderBook) -> None:
        raise KeyboardInterrupt

    seen.router.set_book_handlers("BTC", (interrupted,))
    with pytest.raises(KeyboardInterrupt):
        seen.feed(L2BOOK)


def test_a_handler_may_remove_its_own_instrument_and_feed_the_router_again(seen: Seen):
    def again(book: OrderBook) -> None:
        if book.time_ms == 1790358575700:
            seen.feed(L2BOOK_FAST)
        else:
            seen.router.remove_instrument("BTC")

    after: list[int] = []
    seen.router.set_book_handlers("BTC", (again, lambda book: after.append(book.time_ms)))
    seen.feed(L2BOOK)
    assert after == [1790358576210, 1790358576210], "the view shows the newest content"
    seen.feed(L2BOOK_FAST)
    assert seen["unknown_coin"] == 1 and seen["handler_errors"] == 0


class Derived(BookHandler):
    def __init__(self) -> None:
        self.tops: list[Decimal | None] = []

    def on_book(self, book: OrderBook) -> int:
        self.tops.append(book.best_bid)
        if len(self.tops) > 2:
            raise RuntimeError("enough")
        return 0


def test_a_book_handler_can_be_derived_in_python_and_called_as_a_function(seen: Seen):
    handler = Derived()
    seen.router.set_book_handlers("BTC", (handler,))
    seen.feed(L2BOOK)
    handler(seen.books["BTC"])
    assert handler.tops == [83767, 83767]
    seen.feed(L2BOOK_FAST)
    assert seen.raised[0][0] is handler and str(seen.raised[0][1]) == "enough"


COMPILED = """
from hlfast.core.order_book cimport OrderBook
from hlfast.venues.hyperliquid.scan cimport BookHandler

cdef class Top(BookHandler):
    cdef public long long bid, calls, fail_at
    cpdef int on_book(self, OrderBook book) except -1:
        self.calls += 1
        self.bid = book.bids[0].px_e8 if book.n_bids else 0
        if self.calls == self.fail_at:
            raise RuntimeError("compiled and failing")
        return 0
"""


def test_a_compiled_handler_is_called_through_c(seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """G12."""
    build = pytest.importorskip("Cython.Build", reason="needs Cython to compile a handler")
    pytest.importorskip("setuptools", reason="needs setuptools to compile a handler")
    from setuptools import Distribution, Extension

    import hlfast

    (tmp_path / "top_handler.pyx").write_text(COMPILED)
    root = str(Path(hlfast.__file__).resolve().parents[1])
    extension = Extension("top_handler", [str(tmp_path / "top_handler.pyx")], extra_compile_args=["-O0"])
    modules = build.cythonize([extension], include_path=[root], language_level=3, quiet=True, build_dir=str(tmp_path))
    command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(tmp_path)
    command.ensure_finalized()
    command.run()
    monkeypatch.syspath_prepend(str(tmp_path))
    import top_handler

    top = top_handler.Top()
    seen.router.set_book_handlers("BTC", (top, boom, top))
    seen.feed(L2BOOK)
    assert (top.bid, top.calls) == (8376700000000, 2) and seen["handler_errors"] == 1
    top.fail_at = 3
    seen.feed(L2BOOK_FAST)
    assert (top.bid, top.calls) == (8376000000000, 4) and str(seen.raised[1][1]) == "compiled and failing"
    top.fail_at = 0
    seen.router.set_book_handlers("BTC", (top,))
    assert allocated_by(seen.router, L2BOOK_FAST.encode(), 10_000) <= 2


def allocated_by(router: Router, frame: bytes, times: int) -> int:
    feed = router.feed
    for _ in range(200):
        feed(frame, 7)
    before = sys.getallocatedblocks()
    for _ in range(times):
        feed(frame, 7)
    return sys.getallocatedblocks() - before


@pytest.mark.parametrize("handlers", [(), (BookHandler(),)])
@pytest.mark.parametrize("frame", [L2BOOK, L2BOOK_FAST, BBO])
def test_no_python_object_is_kept_for_a_frame(seen: Seen, handlers: tuple[Any, ...], frame: str):
    seen.router.set_book_handlers("BTC", handlers)
    assert allocated_by(seen.router, frame.encode(), 10_000) <= 2
    assert seen["fallbacks"] == 0 and seen["handler_errors"] == 0


# -- recordings of the venue ------------------------------------------------------------------------------------------
HOT_FILES = ("l2Book", "bbo", "trades", "orderUpdates", "user")
ROW_KEYS = {
    "l2Book": ["coin", "time", "levels"],
    "bbo": ["coin", "time", "bbo"],
    "trades": ["coin", "side", "px", "sz", "time", "hash", "tid", "users"],
    "orderUpdates": ["order", "status", "statusTimestamp"],
}


def is_in_wire_order(raw: str, channel: str) -> bool:
    """Compact, and with the keys of the first row as the venue sends them now."""
    message = json.loads(raw)
    data = message["data"]
    rows = data if isinstance(data, list) else [data]
    return raw == json.dumps(message, separators=(",", ":")) and all(list(r)[:8] == ROW_KEYS[channel] for r in rows)


def recorded(shared: Path) -> list[dict[str, Any]]:
    entries = []
    for path in sorted((shared / "fixtures" / "venue").glob("ws_*.jsonl")):
        entries += [json.loads(line) for line in path.read_text().splitlines()]
    assert len(entries) > 50
    return entries


def check_against_plain_json(seen: Seen, message: dict[str, Any]) -> None:
    channel, data = message["channel"], message["data"]
    if channel == "l2Book":
        decimals = SZ_DECIMALS[data["coin"]]
        assert seen.books[data["coin"]].levels() == tuple(
            [(scaled(row["px"], 8), scaled(row["sz"], decimals), row["n"]) for row in side] for side in data["levels"]
        )
        assert seen.books[data["coin"]].time_ms == data["time"]
    elif channel == "bbo":
        bbo, (bid, ask) = seen.bbos[data["coin"]], data["bbo"]
        assert (bbo.bid_px, bbo.bid_size) == (Decimal(bid["px"]), Decimal(bid["sz"]))
        assert (bbo.ask_px, bbo.ask_size, bbo.time_ms) == (Decimal(ask["px"]), Decimal(ask["sz"]), data["time"])
    elif channel == "trades":
        assert [
            (t.coin, t.side, t.price, t.amount, t.time_ms, t.tid, [t.buyer, t.seller]) for t in seen.trades
        ] == [
            (r["coin"], r["side"], Decimal(r["px"]), Decimal(r["sz"]), r["time"], r["tid"], r.get("users", ["", ""]))
            for r in data
        ]  # fmt: skip
    elif channel == "orderUpdates":
        assert [(u.coin, u.side, u.px_e8, u.oid, u.cloid, u.status, u.time_ms) for u in seen.orders] == [
            (
                r["order"]["coin"], r["order"]["side"], scaled(r["order"]["limitPx"], 8), r["order"]["oid"],
                r["order"].get("cloid"), r["status"], r["statusTimestamp"],
            )
            for r in data
        ]  # fmt: skip
    elif channel not in ("post", "userFills"):
        assert seen.cold == [(channel, data, 7)]


def test_every_recorded_frame_equals_a_plain_reading(shared: Path):
    """Behaviours 33 and 34."""
    in_order = re_sorted = 0
    for entry in recorded(shared):
        seen = Seen().feed(entry["raw"])
        assert seen["frames"] == 1 and seen.raised == [], entry["id"]
        if not entry["recorded"]:
            continue
        message = json.loads(entry["raw"])
        assert seen.errors == [], entry["id"]
        check_against_plain_json(seen, message)
        if message["channel"] in ROW_KEYS:
            expected = is_in_wire_order(entry["raw"], message["channel"])
            assert seen["fallbacks"] == (0 if expected else 1), entry["id"]
            in_order, re_sorted = in_order + expected, re_sorted + (not expected)
    assert in_order >= 4 and re_sorted >= 35


def wire_order(message: dict[str, Any]) -> str:
    """The same message as the venue spells it today."""

    def put(row: dict[str, Any], *keys: str) -> dict[str, Any]:
        return {k: row[k] for k in keys if k in row}

    channel, data = message["channel"], message["data"]
    if channel == "l2Book":
        data = {
            "coin": data["coin"],
            "time": data["time"],
            "levels": [[put(row, "px", "sz", "n") for row in side] for side in data["levels"]],
        }
    elif channel == "trades":
        data = [put(row, *ROW_KEYS["trades"]) for row in data]
    return json.dumps({"channel": channel, "data": data}, separators=(",", ":"))


def test_re_sorted_recordings_put_back_in_order_need_no_fallback_and_read_the_same(shared: Path):
    for entry in recorded(shared):
        message = json.loads(entry["raw"])
        if not entry["recorded"] or message["channel"] not in ("l2Book", "trades", "bbo"):
            continue
        seen = Seen().feed(wire_order(message))
        check_against_plain_json(seen, message)
        assert (seen["fallbacks"], seen.errors) == (0, []), entry["id"]


def test_recorded_fills_equal_a_plain_reading(shared: Path):
    """Behaviour 34."""
    rows: list[dict[str, Any]] = []
    folder = shared / "fixtures" / "venue"
    for name in ("ws_user", "http_info_userFills", "http_info_userFillsByTime"):
        for line in (folder / f"{name}.jsonl").read_text().splitlines():
            entry = json.loads(line)
            body = entry["response"] if "response" in entry else json.loads(entry["raw"])["data"].get("fills", [])
            rows += [row for row in body if entry["recorded"]]
    assert len(rows) >= 5
    for row in rows:
        seen = Seen()
        decimals = SZ_DECIMALS.get(row["coin"], 8)
        seen.feed(user_fills(json.dumps(row, separators=(",", ":"))))
        ((fill, _),) = seen.fills
        assert fill.key == (row["coin"], row["tid"], row["oid"], row["time"]) and fill.cloid == row.get("cloid")
        assert (fill.price, fill.amount, fill.fee) == (Decimal(row["px"]), Decimal(row["sz"]), Decimal(row["fee"]))
        assert (fill.is_buy, fill.is_taker, fill.direction) == (row["side"] == "B", row["crossed"], row["dir"])
        assert (fill.fee_token, fill.closed_pnl) == (row.get("feeToken", "USDC"), Decimal(row["closedPnl"]))
        start = Decimal(row["startPosition"])
        assert fill.start_position == (start if start == round(start, decimals) else None)
