"""The contract's example messages, byte for byte: each input gets its stated answer, each output is made as it stands there.

First with a connector without a venue, where clocks, numbers and ids are the examples' own; then the inputs once more
through ZeroMQ against the local exchange.
"""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import Any

import pytest

from hlfast import clock
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.updates import Trade, TradeUpdate
from hlfast.engine.gateway_market_data import MarketDataPublisher
from hlfast.engine.gateway_settings import Feed
from hlfast.types import OrderState

from . import contract_examples as examples
from .conftest import FakeConnector
from .scripted import Desk

pytest.importorskip("zmq", reason="the gateway needs pyzmq")

RUN = "1790300000000000000"
CREATED_NS = {"mm-42-17": 1790358617889000000, "mm-42-19": 1790358619050000000}


def test_the_examples_are_those_of_the_contract(shared):
    """The copies here and the document say the same."""
    document = shared / "reference" / "engine_contract.md"
    if not document.exists():
        pytest.skip(f"no contract at {document}")
    blocks = re.findall(r"```json\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.encode() for block in blocks for line in block.strip().split("\n")]
    assert tuple(lines) == examples.ALL


def resting(desk: Desk) -> InFlightOrder:
    """The first example order, at the exchange."""
    desk.connector.created.append(CREATED_NS["mm-42-17"])
    desk.streams[0].seq = 117
    desk.at(1790358617881000000).send(examples.PLACE)
    order = desk.connector.sent[-1]
    desk.at(1790358617990412345).open(order, 315452584853, 1790358617960000000)
    return order


def filled(desk: Desk, order: InFlightOrder) -> None:
    """Its first fill."""
    desk.at(1790358624100200300)
    desk.connector.tracker.process_trade_update(
        TradeUpdate(
            coin="BTC", tid=343484124188045, exchange_order_id=315452584853, cloid=order.cloid, price="83750",
            amount="0.005", sz_decimals=5, is_buy=True, is_taker=False, fee="0.062813", time_ms=1790358624050,
            recv_ns=1790358624100200300,
        )
    )  # fmt: skip


def test_a_place_is_accepted(scripted_desk):
    """Contract 2, 4, first example: input and answer."""
    desk = scripted_desk
    resting(desk)
    assert desk.frames == [[b"exec.report", examples.ACCEPTED]]


def test_unreadable_json_is_told_by_its_hash(scripted_desk):
    """Contract 4, second example; the hash is that of the frame."""
    desk = scripted_desk
    frame = b'{"version":1,"action":"place","details":{'.ljust(41) + b"%}}"
    desk.streams[0].seq = 118
    desk.at(1790358617990500000).send(frame)
    stated = json.loads(examples.BAD_JSON)["frame_sha256"].encode()
    assert desk.last == examples.BAD_JSON.replace(stated, hashlib.sha256(frame).hexdigest().encode())


def test_a_refusal_has_the_venues_words(scripted_desk):
    """Contract 4, third example; contract 10, second example."""
    desk = scripted_desk
    desk.connector.created.append(CREATED_NS["mm-42-19"])
    desk.streams[0].seq, desk.publisher.seq = 119, 396
    place = examples.PLACE.replace(b"mm-42-17", b"mm-42-19").replace(b'"83750"', b'"83758"').replace(b"0.012", b"0.01")
    desk.at(1790358619050000000).send(place.replace(b"1790358617881000000", b"1790358619040000000"))
    desk.at(1790358619100000000).connector.tracker.reject(
        desk.connector.sent[-1],
        "Post only order would have immediately matched, bbo was 83757@83758. asset=0",
        None,
        1790358619100000000,
    )
    assert desk.last == examples.REFUSED
    assert desk.events[-1] == [b"orders.hyperliquid.failed", examples.FAILED_EVENT]


def test_a_fill_is_told_once_as_report_and_event(scripted_desk):
    """Contract 7; contract 10, first example."""
    desk = scripted_desk
    order = resting(desk)
    desk.streams[1].seq, desk.publisher.seq = 56, 401
    filled(desk, order)
    assert desk.frames[-1] == [b"exec.fill", examples.FILL]
    assert desk.events[-1] == [b"orders.hyperliquid.partial_fill", examples.PARTIAL_FILL_EVENT]


def test_the_status_counts_what_was_told(scripted_desk):
    """Contract 9."""
    desk = scripted_desk
    desk.streams[0].seq, desk.streams[1].seq = 120, 57
    desk.at(1790358625000000000).reports.tell_status("live", 3, 0, 1, 0)
    assert desk.frames == [[b"exec.status", examples.STATUS]]


@pytest.mark.parametrize("spelling", ["CANCEL", "CANCEL_AT_DETAILS", "CANCEL_IN_TAGS"])
def test_a_cancel_is_answered_and_its_target_told(scripted_desk, spelling):
    """Contract 2.7, 4 (fourth example): three spellings, one of them with another venue's name, which is only advisory."""
    desk = scripted_desk
    order = resting(desk)
    filled(desk, order)
    message = getattr(examples, spelling)
    desk.streams[0].seq = 121
    desk.at(1790358629500000000).send(message)
    assert desk.connector.cancels == [order]
    desk.at(1790358630200000000).row(order, 315452584853, OrderState.CANCELLED, "canceled", 1790358630150000000)
    reports = [payload for topic, payload in desk.frames if topic == b"exec.report"][1:]
    assert examples.CANCELED in reports
    (answer,) = [json.loads(one) for one in reports if one != examples.CANCELED]
    asked = json.loads(message)
    assert (answer["cl_id"], answer["status"], answer["action"]) == (asked["cl_id"], "accepted", "cancel")
    assert answer["tags"] == {**asked.get("tags", {}), "venue": "hyperliquid"}
    desk.send(message)  # once more: answered, and the target is not told again
    again = json.loads(desk.last)
    assert (again["cl_id"], again["status"], again["raw_code"]) == (asked["cl_id"], "accepted", "already_done")


def test_a_replace_keeps_the_id(scripted_desk):
    """Contract 2.7, 4 (fifth example)."""
    desk = scripted_desk
    place = examples.PLACE.replace(b"mm-42-17", b"mm-42-18")
    order = desk.place(place, 315452584901)
    desk.send(examples.REPLACE)
    desk.streams[0].seq = 123
    desk.at(1790358631200000000).connector.tracker.modify_accepted(order, 315452584990, 1790358631200000000)
    reports = [payload for topic, payload in desk.frames if topic == b"exec.report"][1:]
    assert examples.REPLACED in reports
    (answer,) = [json.loads(one) for one in reports if one != examples.REPLACED]
    assert (answer["cl_id"], answer["status"], answer["action"]) == ("replace_1790358631_3", "accepted", "replace")
    assert answer["tags"]["source"] == "test_script"


def test_a_bracket_has_a_report_of_each_leg(scripted_desk):
    """Contract 2.6: the example."""
    desk = scripted_desk
    desk.connector.quote("ETH", [("2081", "1")], [("2082", "1")])
    desk.at(1790358620001000000).send(examples.BRACKET)
    entry, tp, sl = desk.connector.sent
    assert (entry.price, entry.amount, entry.tif, entry.is_buy) == (Decimal(2080), Decimal("0.5"), "Gtc", True)
    assert (tp.trigger_price, tp.price, tp.amount, tp.is_buy) == (Decimal(2120), Decimal(2119), Decimal("0.5"), False)
    assert sl.trigger_price == Decimal(2060) and tp.reduce_only and sl.reduce_only
    for at, order in enumerate((entry, tp, sl)):
        desk.open(order, 400 + at)
    told = [json.loads(payload) for _, payload in desk.frames]
    assert [(one["cl_id"], one["status"]) for one in told] == [
        ("brk-7", "accepted"), ("brk-7::tp", "accepted"), ("brk-7::sl", "accepted"),
    ]  # fmt: skip
    assert told[1]["tags"] == {"intent_id": "brk-7", "strategy": "swing", "role": "tp", "venue": "hyperliquid"}
    assert told[2]["tags"]["role"] == "sl" and told[1]["details"]["order_type"] == "stop_limit"


def test_a_resend_tells_the_same_bytes_again(scripted_desk):
    """Contract 2.8: the example."""
    desk = scripted_desk
    order = resting(desk)
    desk.streams[1].seq = 50
    for tid in range(1, 7):
        desk.connector.tracker.process_trade_update(
            TradeUpdate(
                coin="BTC", tid=tid, exchange_order_id=315452584853, cloid=order.cloid, price="83750", amount="0.001",
                sz_decimals=5, is_buy=True, is_taker=False, time_ms=1790358624050,
            )
        )  # fmt: skip
    fills = [payload for topic, payload in desk.frames if topic == b"exec.fill"]
    assert [json.loads(fill)["seq"] for fill in fills] == [51, 52, 53, 54, 55, 56]
    seen = len(desk.frames)
    desk.send(examples.RESEND)
    (_, answer), *again = desk.frames[seen:]
    assert (json.loads(answer)["cl_id"], json.loads(answer)["status"]) == ("rs-1", "accepted")
    assert again == [[b"exec.fill", fill[:-1] + b',"duplicate":true}'] for fill in fills]


# -- market data --------------------------------------------------------------------------------------------------------
BOOKS = (  # the table of contract 12
    ([("83757", "22.61305")], [("83758", "0.00016")]),
    ([("83757", "20.11305")], [("83758", "1.25")]),
    (
        [("83758", "0.5"), ("83757", "20.11305"), ("83756", "4.2")],
        [("83759", "3.75"), ("83760", "1.5"), ("83762", "0.8")],
    ),
)


class Market:
    def __init__(self, connector: FakeConnector, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.connector, self._patch = connector, monkeypatch
        self.trades: list[list[bytes]] = []
        self.books: list[list[bytes]] = []
        self.at(1790358600000000000)
        self.publisher = MarketDataPublisher(connector, self.trades.append, self.books.append, **options)
        self.publisher.start((Feed(("BTC-USDC-PERP",)),), lambda name: connector.rules["BTC"])

    def at(self, ns: int) -> None:
        self._patch.setattr(clock, "epoch_ns", lambda: ns)
        self._patch.setattr(clock, "wall_clock_ms", lambda: ns // 1_000_000)

    def book(self, bids: Any, asks: Any, exchange_ns: int = 0, receipt_ns: int = 0) -> None:
        book = self.connector.books["BTC"]
        self.at(receipt_ns)
        assert book.apply_snapshot(bids, asks, time_ms=exchange_ns // 1_000_000, recv_ns=receipt_ns)
        for handler in self.connector.handlers[("book", "BTC")]:
            handler(book)

    def trade(self, price: str, exchange_ns: int, receipt_ns: int, tid: int) -> None:
        self.at(receipt_ns)
        trade = Trade(
            coin="BTC", price=price, amount="0.0048", sz_decimals=5, is_buy=False, tid=tid,
            time_ms=exchange_ns // 1_000_000, recv_ns=receipt_ns,
        )  # fmt: skip
        for handler in self.connector.handlers[("trade", "BTC")]:
            handler(trade)


@pytest.fixture
async def market(monkeypatch: pytest.MonkeyPatch) -> Any:
    connector = FakeConnector()
    await connector.connect()
    return lambda **options: Market(connector, monkeypatch, **options)


def test_a_trade_with_its_features(market):
    """Contract 11.1, 12: the example is the third trade of a window."""
    made = market()
    for price, tid in (("83768", 1), ("83769", 2)):
        made.trade(price, 1790358606026000000, 1790358606060000000, tid)
    made.trade("83769", 1790358606027000000, 1790358606061000000, 784469253141982)
    made.trade("83769", 1790358606027000000, 1790358606061000000, 784469253141982)  # the venue repeats itself
    assert len(made.trades) == 3
    assert made.trades[-1] == [b"HYPERLIQUID-preprocessed_trades-BTC-USDC-PERP", examples.TRADE]


def test_a_book_with_its_features(market):
    """Contract 11.2, 12: the example is the third book of the table of order flow."""
    made = market()
    for at, (bids, asks) in enumerate(BOOKS):
        made.book(
            bids, asks, 1790358617981000000 - (2 - at) * 500_000_000, 1790358618020000000 - (2 - at) * 500_000_000
        )
    assert made.books[-1] == [b"HYPERLIQUID-preprocessed_book-BTC-USDC-PERP", examples.BOOK]


def test_a_delta_and_a_checkpoint(market):
    """Contract 11.3: both share one number per symbol."""
    made = market(deltas=True, checkpoint_every_ms=10_000_000)
    made.book(*BOOKS[2], 1790358617981000000, 1790358618020000000)
    (instrument,) = made.publisher._instruments
    instrument._seq["book_stream"] = 8
    bids, asks = [("83758", "0.75"), ("83757", "20.11305")], [("83759", "3.5"), ("83760", "1.5"), ("83762", "0.8")]
    made.book(bids, asks, 1790358618481000000, 1790358618520000000)
    assert made.books[-1] == [b"HYPERLIQUID-preprocessed_book_delta-BTC-USDC-PERP", examples.DELTA]
    made.book(bids, asks, 1790358618981000000, 1790358619000000000)  # no change, no message
    assert len(made.books) == 2
    instrument._checkpoint_ns -= 10_000_000_000_000_000
    made.publisher.tick()
    assert made.books[-1] == [b"HYPERLIQUID-preprocessed_book_ckpt-BTC-USDC-PERP", examples.CHECKPOINT]


# -- through ZeroMQ, against the local exchange -------------------------------------------------------------------------
def now_in(message: bytes) -> bytes:
    """The example with the sender's clock as it is now: it would be too old otherwise."""
    return re.sub(rb'"ts_ns":\d+', b'"ts_ns":%d' % clock.epoch_ns(), message)


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
async def test_every_example_request_gets_its_stated_answer(open_desk, transport):
    """Contract 15: the examples' bytes in, through ZeroMQ, on both transports."""
    from hlfast.engine.gateway_settings import GatewaySettings

    names = ("orders", "reports", "events", "trades", "books")
    endpoints = {} if transport == "ipc" else dict.fromkeys(names, "tcp://127.0.0.1:*")
    desk = await open_desk(GatewaySettings(transport=transport, endpoints=endpoints), answers_last=False)
    house = desk.exchange.engine.house
    house.set_book("BTC", bids=[("83757", "20")], asks=[("83758", "20")])
    house.set_book("ETH", bids=[("2081", "20")], asks=[("2082", "20")])
    book = desk.exchange.engine.book
    await desk.until(
        lambda: [float((book(coin).bbo()[1] or {"px": 0})["px"]) for coin in ("BTC", "ETH")] == [83758, 2082]
    )

    desk.send(now_in(examples.PLACE))
    accepted = await desk.report("mm-42-17")
    stated = json.loads(examples.ACCEPTED, parse_float=Decimal)
    same = ("version", "cl_id", "action", "status", "reason_code", "reason_text", "raw_code", "details", "tags")
    assert accepted["status"] == "accepted", accepted
    assert {key: accepted[key] for key in same} == {key: stated[key] for key in same}
    assert list(accepted) == [key for key in stated if key in accepted]

    place = examples.PLACE.replace(b"mm-42-17", b"mm-42-19").replace(b'"83750"', b'"83758"').replace(b"0.012", b"0.01")
    desk.send(now_in(place))
    refused = await desk.report("mm-42-19")
    stated = json.loads(examples.REFUSED)
    for key in ("action", "status", "reason_code", "raw_code", "tags"):
        assert refused[key] == stated[key]
    assert refused["reason_text"].replace(" @ ", "@") == stated["reason_text"]

    desk.send(now_in(examples.PLACE.replace(b"mm-42-17", b"mm-42-18")))
    before = (await desk.report("mm-42-18"))["exchange_order_id"]
    desk.send(examples.REPLACE)
    assert (await desk.report("replace_1790358631_3"))["status"] == "accepted"
    replaced = await desk.report("mm-42-18", 2)
    stated = json.loads(examples.REPLACED, parse_float=Decimal)
    assert replaced["status"] == "replaced" and replaced["details"] == stated["details"]
    assert replaced["reason_text"] == f"replaced {before}" and replaced["exchange_order_id"] != before

    house.take("BTC", "sell", "20.005")  # the example's fill: the best bids, and 0.005 of ours
    fill = (await desk.until(lambda: desk.fills("mm-42-17")))[0]
    stated = json.loads(examples.FILL, parse_float=Decimal)
    for key in (
        "symbol_or_pair",
        "side",
        "price",
        "size",
        "fee_currency",
        "liquidity",
        "leaves_size",
        "cum_size",
        "tags",
    ):
        assert fill[key] == stated[key]
    event = (await desk.until(lambda: desk.events("partial_fill", "mm-42-17")))[0]
    stated = json.loads(examples.PARTIAL_FILL_EVENT, parse_float=Decimal)
    assert list(event["data"]) == list(stated["data"]) and list(event["trade"]) == list(stated["trade"])

    desk.send(examples.CANCEL)
    assert (await desk.report("cx-1"))["status"] == "accepted"
    canceled = await desk.report("mm-42-17", 2)
    stated = json.loads(examples.CANCELED, parse_float=Decimal)
    assert {key: canceled[key] for key in ("status", "reason_code", "raw_code", "details", "tags")} == {
        key: stated[key] for key in ("status", "reason_code", "raw_code", "details", "tags")
    }
    for spelling in (examples.CANCEL_AT_DETAILS, examples.CANCEL_IN_TAGS):
        desk.send(now_in(spelling))
        answer = await desk.report(json.loads(spelling)["cl_id"])
        assert (answer["status"], answer["raw_code"]) == ("accepted", "already_done")

    desk.send(now_in(examples.BRACKET))
    for cl_id in ("brk-7", "brk-7::tp", "brk-7::sl"):
        assert (await desk.report(cl_id))["status"] == "accepted", cl_id
    desk.send(examples.RESEND)
    answer = await desk.report("rs-1")
    assert (answer["status"], answer["raw_code"]) == ("rejected", "bad_field")  # there are no 56 fills yet
