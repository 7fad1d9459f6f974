"""What is traded, from recorded metadata or built in; books by hand, by recording and by each kind of flow; history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hlfast.errors import ConfigError
from hlfast.sim import Exchange
from hlfast.sim.execution import Ticket
from hlfast.sim.fees import FeeTerms
from hlfast.sim.info import Info
from hlfast.sim.truth import truth
from hlfast.sim.universe import Universe

from .desk import ALICE, BOB, START_MS, Desk, wire

ETH = 1


def run(exchange: Exchange, blocks: int, start: int = 0) -> None:
    for number in range(start, start + blocks):
        exchange.run_block(START_MS + number * 70)


# -- universes -------------------------------------------------------------------------------------------------------

RECORDED = ("meta.json", "meta_testnet_2025-08.json", "meta_testnet_2025-08_2.json", "spot_meta.json",
            "spot_meta_testnet_2025-08.json")  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_universes_load_as_they_are(shared: Path, name: str) -> None:
    """Given a whole recorded body, then it is answered again, every row has its asset id, and a market of it trades."""
    path = shared / "fixtures" / "venue" / name
    body = json.loads(path.read_bytes())
    desk = Desk(universe=path)
    answer = Info(desk.exchange).answer({"type": "spotMeta" if "tokens" in body else "meta"})
    assert answer == body
    books = desk.exchange.execution.books
    for at, row in enumerate(body["universe"]):
        market = books[10_000 + row["index"] if "tokens" in body else at].market
        assert market.coin == row["name"] and market.is_on_grid(market.start_px_e8)
        assert market.is_delisted or not row.get("isDelisted")
    market = next(book.market for book in books.values() if not book.market.is_delisted)
    desk.exchange.house.rest(market.coin, "sell", market.px_text(market.start_px_e8), 10**6)
    desk.send()
    lots = 2 * market.lots_for(10 * 10**8, market.start_px_e8) + 2
    sz = market.sz_text(lots).removesuffix(".0")
    order = wire(market.asset, "buy", market.px_text(market.start_px_e8).removesuffix(".0"), sz, "Ioc")
    assert "filled" in desk.orders(ALICE, order)[0]


def test_delisted_rows_are_halted_and_keep_their_place(shared: Path) -> None:
    path = shared / "fixtures" / "venue" / "meta.json"
    desk = Desk(universe=path)
    delisted = next(book.market for book in desk.exchange.execution.books.values() if book.market.is_delisted)
    assert desk.orders(ALICE, wire(delisted.asset, "buy", "1", "100")) == [{"error": "Trading is halted."}]


def test_contexts_give_start_prices_and_the_background_trades_what_it_knows(shared: Path) -> None:
    """Given a recorded pair of universe and contexts, then markets start at their marks, and books fill."""
    lines = (shared / "fixtures" / "venue" / "http_info_metaAndAssetCtxs.jsonl").read_text().splitlines()
    pair = next(entry["response"] for entry in map(json.loads, lines) if entry["recorded"])
    exchange = Exchange(universe=[pair, shared / "fixtures" / "venue" / "spot_meta.json"])
    run(exchange, 30)
    exchange.assert_conserved()
    btc = exchange.book("BTC")
    assert btc.market.start_px_e8 == int(float(pair[1][0]["markPx"])) * 10**8
    assert len(btc.bids) > 10 and len(exchange.book("@107").asks) > 10
    assert len(Info(exchange).answer({"type": "metaAndAssetCtxs"})[1]) == len(pair[1])
    other = Universe.load({"universe": [{"szDecimals": 1, "name": "NEW", "maxLeverage": 5, "marginTableId": 5}]})
    unknown = Exchange(universe=other)
    run(unknown, 30)
    assert unknown.book("NEW").market.start_px_e8 == 10 * 10**8 and len(unknown.book("NEW").bids) > 10


def test_what_is_no_universe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mids.json").write_text('{"BTC":"1.0"}')
    with pytest.raises(ConfigError, match="is no universe: expected the whole reply body"):
        Exchange(universe=tmp_path / "mids.json")
    for options, text in (({"flow": "wild"}, "flow must be one of"), ({"history": 0}, "history >= 1")):
        with pytest.raises(ConfigError, match=text):
            Exchange(**options)


# -- flows -----------------------------------------------------------------------------------------------------------


def test_each_kind_of_flow_does_what_its_name_says() -> None:
    """Makers quote and nobody takes; takers hit what users quote; a trend goes further than noise; none is silence."""
    makers, takers, none = (Exchange(flow=flow) for flow in ("makers", "takers", "none"))
    for exchange in (makers, takers, none):
        desk_order(exchange, "BTC", "buy", 64_999)
        desk_order(exchange, "BTC", "sell", 65_001)
        run(exchange, 100)
        exchange.assert_conserved()
    assert makers.execution.counters["trades"] == 0 and len(makers.book("ETH").bids) > 10
    assert takers.accounts[ALICE.address].fills and len(takers.book("ETH").bids) == 0
    assert none.traders is None and none.execution.counters["orders"] == 2
    far = {}
    for flow in ("noise", "trend"):
        exchange = Exchange(flow=flow)
        run(exchange, 600)
        exchange.assert_conserved()
        far[flow] = [
            abs(exchange.book(coin).mark_e8 / exchange.book(coin).market.start_px_e8 - 1) for coin in ("BTC", "ETH")
        ]
    assert max(far["trend"]) > 0.015 > min(far["noise"])


def desk_order(exchange: Exchange, coin: str, side: str, px: int) -> None:
    market = exchange.book(coin).market
    exchange.execution.place(exchange.accounts[ALICE.address], Ticket(market, side == "buy", px * 10**8, 100))


def test_the_mark_is_the_median_of_outside_and_inside_prices_every_three_seconds() -> None:
    """With an outside price: median of it with the averaged basis, the inside of the book, and the outside price."""
    desk = Desk(mark_ms=3000)
    desk.exchange.set_oracle("ETH", 3500)
    desk.send()
    desk.order(ALICE, ETH, "buy", "3510", "1")
    desk.order(BOB, ETH, "sell", "3520", "1")
    book = desk.exchange.book("ETH")
    assert book.mark_e8 == 3500 * 10**8
    desk.now_ms += 3000
    desk.send()
    assert book.mark_e8 == 3510 * 10**8, "outside 3500, inside median(3510, 3520, 3500), basis 3515: the middle one"
    desk.exchange.set_mark("ETH", "3333.3")
    assert book.mark_e8 == 3333_30000000
    desk.exchange.set_mark("ETH", None)
    desk.now_ms += 3000
    desk.send()
    assert book.mark_e8 == 3510 * 10**8
    for wrong in ("x", 0, -5, "0.000000001"):
        with pytest.raises(ConfigError, match="a price must be"):
            desk.exchange.set_mark("ETH", wrong)
    with pytest.raises(ConfigError, match="no coin 'NOPE'"):
        desk.exchange.set_mark("NOPE", 1)


# -- books by hand and by recording ----------------------------------------------------------------------------------


def test_the_house_makes_books_by_hand(desk: Desk) -> None:
    house = desk.exchange.house
    house.rest("ETH", "buy", "3499", "2")
    house.rest("ETH", "sell", 3501, 3)
    assert desk.book(ETH) == [[], []], "from the next block on"
    desk.order(ALICE, ETH, "buy", "3499", "1")
    assert desk.book(ETH) == [[("3499.0", "3.0", 2)], [("3501.0", "3.0", 1)]]
    house.take("ETH", "sell", "2.5")
    desk.send()
    assert [fill["sz"] for fill in desk.account(ALICE).fills] == ["0.5"], "the house's 2 came first"
    house.set_book("ETH", bids=[("3490", "1"), ("3490.01", "1")], asks=[])
    desk.send()
    assert desk.book(ETH)[1] == [] and ("3490.0", "1.0", 1) in desk.book(ETH)[0] and house.off_grid == 1
    house.clear("ETH")
    house.rest("PURR/USDC", "sell", "0.21", 1000)
    desk.send()
    assert desk.book(10_000)[1] == [("0.21", "1000.0", 1)]
    with pytest.raises(ConfigError, match="not on the grid"):
        house.rest("ETH", "buy", "3499.01", "1")
    with pytest.raises(ConfigError, match='side must be "buy" or "sell"'):
        house.rest("ETH", "B", "3499", "1")


def frame(time_ms: int, bid: str, ask: str, coin: str = "ETH") -> str:
    levels = [[{"px": bid, "sz": "2.0", "n": 3}], [{"px": ask, "sz": "1.5", "n": 1}]]
    return json.dumps({"channel": "l2Book", "data": {"coin": coin, "time": time_ms, "levels": levels}})


def test_a_recording_is_the_market() -> None:
    """Given frames 1 s apart, then the book follows them in block time, and a quote that the market crosses is filled."""
    lines = [frame(5_000, "3499.0", "3501.0"), json.dumps({"raw": frame(6_000, "3489.0", "3491.0")}), ""]
    desk = Desk(replay=[*lines, '{"channel":"pong"}', frame(6_000, "1.0", "2.0", "ELSE")])
    desk.send()
    assert desk.book(ETH) == [[("3499.0", "2.0", 1)], [("3501.0", "1.5", 1)]]
    desk.order(ALICE, ETH, "buy", "3495", "1", "Alo")
    desk.now_ms += 1_000
    desk.send()
    assert desk.rows(ALICE) == [("filled", "0.0")]
    assert desk.book(ETH) == [[("3489.0", "2.0", 1)], [("3491.0", "0.5", 1)]]
    with pytest.raises(ConfigError, match="no l2Book frame"):
        Exchange(replay=["{}"])


def test_recorded_frames_of_the_venue_replay(shared: Path) -> None:
    exchange = Exchange(replay=shared / "fixtures" / "venue" / "ws_l2Book.jsonl", flow="none")
    run(exchange, 5)
    exchange.assert_conserved()
    assert any(len(book.bids) for book in exchange.execution.books.values())


# -- money from nowhere, and bounded history -------------------------------------------------------------------------


def test_money_given_at_any_time_is_counted(desk: Desk) -> None:
    desk.send()
    stranger = "0x" + "77" * 20
    desk.exchange.faucet(stranger, 500)
    desk.exchange.grant(stranger, 1, 10**9)
    desk.exchange.open_account("0x" + "78" * 20, 10, 20)
    desk.exchange.set_fee_terms(stranger, FeeTerms(tier=1))
    desk.send()
    assert desk.exchange.accounts[stranger].cash_e8 == 500 * 10**8


def test_history_is_bounded_and_says_what_it_dropped() -> None:
    """Given 600 orders and 300 fills at a limit of 100, then the newest stay with every open one, and counts tell."""
    desk = Desk(history=100)
    first = desk.order(ALICE, ETH, "buy", "3000", "1", cloid="0x" + "1" * 32)["resting"]["oid"]
    for number in range(300):
        desk.order(BOB, ETH, "sell", "3500", "0.01")
        desk.order(ALICE, ETH, "buy", "3500", "0.01", "Ioc", cloid=f"0x{number:032x}")
    account = desk.account(ALICE)
    desk.exchange.accounts[ALICE.address].trim()
    assert len(account.orders) == 100 and first in account.orders and len(account.fills) == 100
    assert account.dropped["orders"] == 201 and account.dropped["fills"] == 200
    assert set(account.by_cloid) == {"0x" + "1" * 32, *(f"0x{n:032x}" for n in range(201, 300))}
    assert len(account.nonces[ALICE.address]) <= 113
    record = truth(desk.exchange, ALICE.address)
    assert len(record["fills"]) == 100


def test_memory_of_the_engine_is_flat_over_an_hour_of_flow() -> None:
    """Counted, not measured: with a bound of 50, an account that trades all the time keeps what it kept before."""
    exchange = Exchange(history=50, flow="takers")
    kept = []
    for part in range(3):
        for number in range(part * 1000, part * 1000 + 1000):
            if number % 5 == 0:
                desk_order(exchange, "BTC", "buy", 64_000)
                desk_order(exchange, "BTC", "sell", 66_000)
            for order in list(exchange.accounts[ALICE.address].open.values()):
                if number % 50 == 0:
                    exchange.execution.cancel(order)
            exchange.run_block(START_MS + number * 70)
        account = exchange.accounts[ALICE.address]
        account.trim()
        kept.append((len(account.orders) <= 50 + len(account.open), len(account.fills) <= 50))
    assert kept == [(True, True)] * 3 and account.dropped["orders"] > 100


def test_a_cloid_given_twice_still_finds_the_order_that_lives(desk: Desk) -> None:
    cloid = "0x" + "c1" * 16
    desk.order(ALICE, ETH, "buy", "3000", "1", cloid=cloid)
    desk.order(ALICE, ETH, "buy", "3000", "0.0001", cloid=cloid)
    status: Any = Info(desk.exchange).answer({"type": "orderStatus", "user": ALICE.address, "oid": cloid})
    assert status["order"]["status"] == "open"
    answer = desk.act(ALICE, {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": cloid}]})
    assert answer["response"]["data"]["statuses"] == ["success"]
