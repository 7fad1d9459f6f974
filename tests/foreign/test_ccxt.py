"""ccxt and ccxt.pro, unchanged, against the local exchange: what they say is compared with the exchange's own record.

Only their public options are used: `walletAddress`, `privateKey`, `urls` and the sandbox mode, in which they sign for the
test network. A client's first private call approves a builder's fee and a referrer, as it does on the venue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from hlfast.sim import FUNDED_ACCOUNTS, SimExchange
from hlfast.sim.supported import SUPPORTED

ALICE, BOB = FUNDED_ACCOUNTS[:2]
BTC, ETH, PURR = "BTC/USDC:USDC", "ETH/USDC:USDC", "PURR/USDC"
CLOID = "0x" + "c1" * 16

pytestmark = pytest.mark.long


def pointed_at(exchange: SimExchange, client: Any) -> Any:
    """The client, with the exchange's address in the place of the venue's."""
    client.set_sandbox_mode(True)
    client.urls["api"] = {
        "public": exchange.http_url,
        "private": exchange.http_url,
        "ws": {"public": exchange.ws_url},
    }
    return client


@pytest.fixture
async def pro(exchange: SimExchange) -> AsyncIterator[Any]:
    """ccxt.pro as ALICE, with the markets loaded."""
    ccxt = pytest.importorskip("ccxt.pro", reason="ccxt is not installed (pip install '.[foreign]')")
    client = pointed_at(exchange, ccxt.hyperliquid({"walletAddress": ALICE.address, "privateKey": ALICE.key}))
    try:
        await client.load_markets()
        yield client
    finally:
        await client.close()


def record(exchange: SimExchange, who: Any = ALICE) -> dict[str, Any]:
    found: dict[str, Any] = exchange.truth(who.address)
    return found


def recorded_order(exchange: SimExchange, oid: Any) -> dict[str, Any]:
    (order,) = (row for row in record(exchange)["orders"] if str(row["oid"]) == str(oid))
    return order


def frames(exchange: SimExchange, channel: str | None = None) -> list[dict[str, Any]]:
    """What the exchange has written to its sockets, on one channel or on all."""
    return [row for row in exchange.truth()["sent"] if channel in (None, row["channel"])]


async def soon(awaited: Any) -> Any:
    return await asyncio.wait_for(awaited, 10)


async def test_ccxt_loads_the_markets_with_the_exchange_s_grids(exchange: SimExchange, pro: Any) -> None:
    """Ids, precisions and leverage of every market are those of the exchange's universe."""
    universe = exchange.engine.universe
    by_id = {market["baseName"]: market for market in pro.markets.values() if market["swap"]}
    for asset, row in enumerate(universe.meta["universe"]):
        market = by_id[row["name"]]
        assert int(market["baseId"]) == asset and market["limits"]["leverage"]["max"] == row["maxLeverage"]
        assert Decimal(str(market["precision"]["amount"])) == Decimal(1).scaleb(-row["szDecimals"])
        assert market["active"] is not row.get("isDelisted", False)
    spot = pro.market(PURR)
    assert spot["spot"] and spot["baseId"] == "10000" and spot["precision"]["amount"] == 1
    assert (pro.market(ETH)["precision"]["price"], pro.market(BTC)["precision"]["price"]) == (0.1, 1)
    currencies = await pro.fetch_currencies()
    assert set(currencies) >= {token["name"] for token in universe.spot_meta["tokens"]}
    status = await pro.fetch_status()
    assert status["status"] == "ok" and await pro.fetch_time() >= status["updated"]


async def test_ccxt_reads_the_market_as_it_is(exchange: SimExchange, pro: Any) -> None:
    book = await pro.fetch_order_book(ETH)
    assert book["bids"][:2] == [[3499, 5], [3498, 5]] and book["asks"][:2] == [[3501, 5], [3502, 5]]
    spot = await pro.fetch_order_book(PURR)
    assert (spot["bids"], spot["asks"]) == ([[0.19, 1000]], [[0.2, 1000]])
    ticker = await pro.fetch_ticker(ETH)
    assert (ticker["last"], ticker["info"]["markPx"]) == (3500, "3500.0")
    tickers = await pro.fetch_tickers([ETH, BTC])
    assert {symbol: row["last"] for symbol, row in tickers.items()} == {ETH: 3500, BTC: 65_000}
    rates = await pro.fetch_funding_rates([ETH])
    assert rates[ETH]["markPrice"] == 3500 and Decimal(rates[ETH]["info"]["oraclePx"]) == 3500
    assert (await pro.fetch_open_interest(ETH))["openInterestAmount"] == 0


async def test_ccxt_orders_edits_and_cancels(exchange: SimExchange, pro: Any) -> None:
    """Each step is what the exchange has on record; the client's own parsing of it agrees."""
    placed = await pro.create_order(ETH, "limit", "buy", 1.5, 3400, {"clientOrderId": CLOID})
    order = recorded_order(exchange, placed["id"])
    assert (order["coin"], order["side"], order["px"], order["sz"], order["status"]) == (
        "ETH", "B", "3400.0", "1.5", "open",
    )  # fmt: skip
    assert order["cloid"] == CLOID == placed["clientOrderId"]
    (resting,) = await pro.fetch_open_orders(ETH)
    assert (resting["id"], resting["price"], resting["remaining"], resting["side"]) == (placed["id"], 3400, 1.5, "buy")
    assert (await pro.fetch_order(CLOID, ETH))["id"] == placed["id"]

    edited = await pro.edit_order(placed["id"], ETH, "limit", "buy", 2, 3410, {"clientOrderId": CLOID})
    assert recorded_order(exchange, placed["id"])["status"] == "canceled"
    assert recorded_order(exchange, edited["id"])["sz"] == "2.0"
    found = await pro.fetch_order(edited["id"], ETH)
    assert (found["status"], found["price"], found["amount"]) == ("open", 3410, 2)

    await pro.cancel_order(edited["id"], ETH)
    assert recorded_order(exchange, edited["id"])["status"] == "canceled"
    assert (await pro.fetch_order(edited["id"], ETH))["status"] == "canceled"
    pair = [
        {"symbol": ETH, "type": "limit", "side": "buy", "amount": 1, "price": price, "params": {"postOnly": True}}
        for price in (3300, 3310)
    ]
    both = await pro.create_orders(pair)
    await pro.cancel_orders([each["id"] for each in both], ETH)
    assert await pro.fetch_open_orders() == []
    canceled = await pro.fetch_canceled_orders(ETH)
    assert {row["id"] for row in canceled} == {str(row["oid"]) for row in record(exchange)["orders"]}


async def test_ccxt_names_the_exchange_s_refusals(exchange: SimExchange, pro: Any) -> None:
    """The texts are the venue's own, which it maps to its classes."""
    from ccxt.base import errors

    with pytest.raises(errors.OrderNotFound):
        await pro.cancel_order("5", ETH)
    with pytest.raises(errors.OrderNotFound):
        await pro.fetch_order("5", ETH)
    with pytest.raises(errors.InvalidOrder, match="minimum value"):
        await pro.create_order(ETH, "limit", "buy", 0.001, 3400)
    with pytest.raises(errors.InvalidOrder, match="could not immediately match"):
        await pro.create_order(ETH, "limit", "buy", 1, 3300, {"timeInForce": "Ioc"})
    with pytest.raises(errors.InsufficientFunds):
        await pro.create_order(ETH, "limit", "buy", 50_000, 3400)
    with pytest.raises(errors.InvalidOrder, match="Post only"):
        await pro.create_order(ETH, "limit", "buy", 1, 3501, {"postOnly": True})
    assert record(exchange)["fills"] == [] and await pro.fetch_open_orders() == []


async def test_ccxt_trades_and_its_numbers_are_the_exchange_s(exchange: SimExchange, pro: Any) -> None:
    """Market orders, positions, own trades, fees and balance agree with the record to the last decimal."""
    await pro.set_leverage(10, ETH)
    opened = await pro.create_order(ETH, "market", "buy", 2, 3501)
    assert (opened["filled"], opened["average"]) == (2, 3501)
    (position,) = await pro.fetch_positions([ETH])
    assert (position["contracts"], position["side"], position["entryPrice"], position["leverage"]) == (
        2, "long", 3501, 10,
    )  # fmt: skip
    assert record(exchange)["positions"]["ETH"] == {"szi": "2.0", "entryNtl": "7002.0", "leverage": 10}
    await pro.create_order(ETH, "market", "sell", 0.5, 3499, {"reduceOnly": True})
    await pro.create_order(PURR, "limit", "buy", 100, 0.2)

    mine, truth = await pro.fetch_my_trades(), record(exchange)
    assert [trade["id"] for trade in mine] == [str(fill["tid"]) for fill in truth["fills"]]
    for trade, fill in zip(mine, truth["fills"], strict=True):
        assert Decimal(str(trade["price"])) == Decimal(fill["px"]) and Decimal(str(trade["amount"])) == Decimal(
            fill["sz"]
        )
        assert trade["order"] == str(fill["oid"]) and trade["side"] == {"B": "buy", "A": "sell"}[fill["side"]]
        assert trade["takerOrMaker"] == "taker"
    fees = sum(Decimal(fill["fee"]) for fill in truth["fills"] if fill["feeToken"] == "USDC")
    # Its opening fill pays 4.5 bps and the builder's 1; its own sum counts the builder's share once more.
    assert fees == Decimal(truth["fees"]["USDC"]) and truth["fills"][0]["builderFee"] == "0.7002"

    balance = await pro.fetch_balance()
    equity = Decimal(1_000_000) - fees - 1 - Decimal("1.5")  # sold 0.5 two lower; the rest is 1 under its entry
    assert Decimal(str(balance["total"]["USDC"])) == equity
    spot = await pro.fetch_balance({"type": "spot"})
    assert {coin: Decimal(str(amount)) for coin, amount in spot["total"].items()} == {
        coin: Decimal(row["total"]) for coin, row in truth["spot"].items()
    }
    closed = await pro.fetch_closed_orders(ETH)
    assert [row["status"] for row in closed] == ["closed", "closed"] and {row["filled"] for row in closed} == {2, 0.5}
    printed = await pro.fetch_trades(ETH)
    assert {trade["id"] for trade in mine if trade["symbol"] == ETH} <= {trade["id"] for trade in printed}


async def test_ccxt_moves_money_and_asks_about_it(exchange: SimExchange, pro: Any) -> None:
    """User-signed actions of its own writing pass the exchange's verifier."""
    await pro.transfer("USDC", 10, "spot", "swap")
    assert record(exchange)["cash"] == "1000010.0" and record(exchange)["spot"]["USDC"]["total"] == "99990.0"
    await pro.withdraw("USDC", 11, BOB.address)
    assert record(exchange)["cash"] == "999999.0"
    made = await pro.create_sub_account("second")
    assert made["response"]["data"] in exchange.truth()["users"]
    (withdrawal,) = await pro.fetch_withdrawals("USDC")
    assert (withdrawal["amount"], withdrawal["fee"]["cost"]) == (10, 1)
    fee = await pro.fetch_trading_fee(ETH)
    assert (fee["maker"], fee["taker"]) == (0.00015, 0.00045)
    assert (await pro.cancel_all_orders_after(10_000))["status"] == "ok"


async def test_ccxt_pro_hears_every_order_and_fill(exchange: SimExchange, pro: Any) -> None:
    """What it is told over its one socket is what the exchange has on record."""
    heard: dict[str, list[Any]] = {"orders": [], "trades": []}

    async def listen(name: str, watch: Any) -> None:
        while True:
            heard[name] += [dict(row) for row in await watch()]

    pro.newUpdates = True
    listeners = [
        asyncio.ensure_future(listen("orders", pro.watch_orders)),
        asyncio.ensure_future(listen("trades", pro.watch_my_trades)),
    ]
    try:
        while len(frames(exchange, "subscriptionResponse")) < 2:
            await asyncio.sleep(0.01)
        placed = await soon(pro.create_order_ws(ETH, "limit", "buy", 1, 3400))
        edited = await soon(pro.edit_order_ws(placed["id"], ETH, "limit", "buy", 2, 3410))
        await soon(pro.cancel_order_ws(edited["id"], ETH))
        await soon(pro.create_order_ws(ETH, "market", "buy", 6, 3501))
        truth = record(exchange)
        for _ in range(500):
            if len(heard["trades"]) >= len(truth["fills"]) and any(
                row["status"] == "closed" for row in heard["orders"]
            ):
                break
            await asyncio.sleep(0.01)
    finally:
        for listener in listeners:
            listener.cancel()
    told = [(row["id"], row["status"]) for row in heard["orders"]]
    last = str(truth["fills"][-1]["oid"])
    assert told == [
        (placed["id"], "open"), (placed["id"], "canceled"), (edited["id"], "open"), (edited["id"], "canceled"),
        (last, "closed"),
    ]  # fmt: skip
    assert [row["id"] for row in heard["trades"]] == [str(fill["tid"]) for fill in truth["fills"]]
    assert sum(row["amount"] for row in heard["trades"]) == 6 and {row["price"] for row in heard["trades"]} == {
        3501,
        3502,
    }


async def test_ccxt_pro_watches_the_market(exchange: SimExchange, pro: Any) -> None:
    """Book, trades, ticker, mids, balance and positions; a second watch waits for the next change."""
    book = await soon(pro.watch_order_book(ETH))
    assert book["bids"][0][:2] == [3499, 5] and book["asks"][0][:2] == [3501, 5] and len(book["bids"]) == 4
    exchange.engine.house.rest("ETH", "buy", 3500, 1)
    while book["bids"][0][0] != 3500:
        book = await soon(pro.watch_order_book(ETH))
    assert book["bids"][0][:2] == [3500, 1]
    spot = await soon(pro.watch_order_book(PURR))
    assert spot["asks"] == [[0.2, 1000]]
    ticker = await soon(pro.watch_ticker(ETH))
    assert Decimal(ticker["info"]["oraclePx"]) == 3500 and ticker["last"] == 3500.5
    assert (await soon(pro.watch_ticker(PURR)))["last"] == 0.195
    mids = await soon(pro.watch_tickers())
    assert mids[BTC]["last"] == 65_000
    trades = asyncio.ensure_future(pro.watch_trades(ETH))
    await asyncio.sleep(0.1)
    await pro.create_order(ETH, "market", "buy", 1, 3501)
    fill = record(exchange)["fills"][-1]
    (trade,) = await soon(trades)
    assert (trade["id"], trade["price"], trade["side"]) == (str(fill["tid"]), 3501, "buy")
    balance = await soon(pro.watch_balance())
    assert Decimal(str(balance["total"]["USDC"])) == Decimal(1_000_000) - 1 - Decimal(fill["fee"])
    (position,) = await soon(pro.watch_positions([ETH]))
    assert (position["contracts"], position["entryPrice"]) == (1, 3501)
    for stop in (
        pro.un_watch_ticker(PURR),
        pro.un_watch_order_book(ETH), pro.un_watch_ticker(ETH), pro.un_watch_trades(ETH), pro.un_watch_tickers(),
        pro.un_watch_positions(),
    ):  # fmt: skip
        assert await soon(stop)
    before = len(frames(exchange))
    await asyncio.sleep(0.3)
    later = frames(exchange)[before:]
    assert later and all(row["channel"] == "l2Book" and '"coin":"PURR/USDC"' in row["text"] for row in later)


async def test_ccxt_candles(exchange: SimExchange, pro: Any) -> None:
    """Candles of own making, or the answer to an unknown type while the exchange has none."""
    from ccxt.base import errors

    if "candleSnapshot" not in SUPPORTED["info requests"]:
        with pytest.raises(errors.ExchangeError, match="422"):
            await pro.fetch_ohlcv(ETH, "1m", limit=5)
    else:
        await pro.create_order(ETH, "market", "buy", 1, 3501)
        candles = await pro.fetch_ohlcv(ETH, "1m", limit=5)
        assert candles[-1][1:5] == [3501, 3501, 3501, 3501] and sum(row[5] for row in candles) == 1
    if "candle" not in SUPPORTED["subscriptions"]:
        with pytest.raises(errors.ExchangeError, match="Invalid subscription"):
            await soon(pro.watch_ohlcv(ETH, "1m"))
    else:
        watched = asyncio.ensure_future(pro.watch_ohlcv(ETH, "1m"))
        await asyncio.sleep(0.1)
        await pro.create_order(ETH, "market", "buy", 1, 3501)
        assert (await soon(watched))[-1][4] == 3501


async def test_ccxt_without_async(exchange: SimExchange) -> None:
    """The synchronous client does the same round."""
    ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed (pip install '.[foreign]')")
    client = pointed_at(exchange, ccxt.hyperliquid({"walletAddress": BOB.address, "privateKey": BOB.key}))

    def day() -> Any:
        client.load_markets()
        placed = client.create_order(BTC, "limit", "buy", 0.01, 60_000)
        client.edit_order(placed["id"], BTC, "limit", "buy", 0.02, 60_010)
        (resting,) = client.fetch_open_orders(BTC)
        client.cancel_order(resting["id"], BTC)
        client.create_order(BTC, "market", "sell", 0.01, 64_990)
        return client.fetch_positions([BTC]), client.fetch_my_trades(BTC), client.fetch_balance()

    (position,), (trade,), balance = await asyncio.to_thread(day)
    truth = record(exchange, BOB)
    assert truth["positions"]["BTC"]["szi"] == "-0.01" and (position["side"], position["contracts"]) == ("short", 0.01)
    assert trade["id"] == str(truth["fills"][0]["tid"])
    assert Decimal(str(balance["total"]["USDC"])) == 1_000_000 - Decimal("0.1") - Decimal(truth["fills"][0]["fee"])
