"""HTTP as the venue speaks it, to the official SDK and to raw clients; and truth against info."""

from __future__ import annotations

import asyncio
import json
import queue
from pathlib import Path
from typing import Any

import aiohttp
import eth_account
import pytest
from hyperliquid.exchange import Exchange as SdkExchange
from hyperliquid.info import Info as SdkInfo
from hyperliquid.utils.types import Cloid

from .desk import ALICE, BOB, SUB_ACCOUNT, Floor, wire

UNFIT = "Failed to deserialize the JSON body into the target type"
ETH = 1


async def raw(floor: Floor, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, str, str]:
    """(status, content type, text)."""
    url, headers = floor.exchange.http_url + path, {"Content-Type": content_type}
    async with floor.session.post(url, data=body, headers=headers) as response:
        return response.status, response.content_type, await response.text()


# -- the official SDK ------------------------------------------------------------------------------------------------


def trade_with_the_sdk(url: str) -> dict[str, Any]:
    """What the SDK's own examples do, in order; returns the answers."""
    wallet = eth_account.Account.from_key(ALICE.key)
    info, exchange = SdkInfo(url, skip_ws=True), SdkExchange(wallet, url)
    cloid = Cloid.from_int(7)
    seen: dict[str, Any] = {}
    seen["order"] = exchange.order("ETH", True, 0.2, 3000.5, {"limit": {"tif": "Gtc"}}, cloid=cloid)
    oid = seen["order"]["response"]["data"]["statuses"][0]["resting"]["oid"]
    seen["open"] = info.open_orders(wallet.address)
    seen["by_oid"] = info.query_order_by_oid(wallet.address, oid)
    seen["by_cloid"] = info.query_order_by_cloid(wallet.address, cloid)
    seen["modify"] = exchange.modify_order(oid, "ETH", True, 0.3, 3001.0, {"limit": {"tif": "Gtc"}}, cloid=cloid)
    seen["cancel"] = exchange.cancel_by_cloid("ETH", cloid)
    seen["cancel_again"] = exchange.cancel("ETH", oid)
    seen["market_open"] = exchange.market_open("BTC", True, 0.01)
    seen["state"] = info.user_state(wallet.address)
    seen["market_close"] = exchange.market_close("BTC")
    seen["spot"] = exchange.order("PURR/USDC", True, 200, 0.25, {"limit": {"tif": "Ioc"}})
    seen["leverage"] = exchange.update_leverage(10, "ETH")
    seen["to_spot"] = exchange.usd_class_transfer(12.5, False)
    seen["to_perp"] = exchange.usd_class_transfer(12.5, True)
    seen["schedule"] = exchange.schedule_cancel(None)
    _, agent_key = exchange.approve_agent("bot")
    by_agent = SdkExchange(agent_key_wallet(agent_key), url, account_address=wallet.address)
    seen["agent_order"] = by_agent.order("ETH", True, 0.2, 3000, {"limit": {"tif": "Alo"}})
    seen["agents"] = info.extra_agents(wallet.address)
    seen["fills"] = info.user_fills(wallet.address)
    seen["fees"] = info.user_fees(wallet.address)
    seen["role"] = info.user_role(wallet.address)
    seen["l2"] = info.l2_snapshot("ETH")
    seen["mids"] = info.all_mids()
    return seen


def agent_key_wallet(key: str) -> Any:
    return eth_account.Account.from_key(key)


async def test_the_official_sdk_places_queries_modifies_and_cancels(open_floor: Any) -> None:
    """Given the SDK with nothing changed but its base_url, then its order, query, cancel and transfer paths all work."""
    floor: Floor = await open_floor(traders=True)
    seen = await asyncio.to_thread(trade_with_the_sdk, floor.exchange.http_url)
    oid = seen["order"]["response"]["data"]["statuses"][0]["resting"]["oid"]
    cloid = "0x00000000000000000000000000000007"
    assert seen["order"]["response"]["data"]["statuses"][0]["resting"]["cloid"] == cloid
    (row,) = seen["open"]
    assert list(row) == ["coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz", "cloid"]
    assert (row["coin"], row["limitPx"], row["sz"], row["oid"]) == ("ETH", "3000.5", "0.2", oid)
    assert seen["by_oid"] == seen["by_cloid"] and seen["by_oid"]["order"]["status"] == "open"
    assert seen["modify"]["response"]["data"]["statuses"][0]["resting"]["oid"] > oid
    assert seen["cancel"]["response"]["data"]["statuses"] == ["success"]
    assert "never placed" in seen["cancel_again"]["response"]["data"]["statuses"][0]["error"]
    assert seen["market_open"]["response"]["data"]["statuses"][0]["filled"]["totalSz"] == "0.01"
    assert seen["state"]["assetPositions"][0]["position"]["szi"] == "0.01"
    assert seen["market_close"]["response"]["data"]["statuses"][0]["filled"]["totalSz"] == "0.01"
    assert seen["spot"]["response"]["data"]["statuses"][0]["filled"]["totalSz"] == "200.0"
    for name in ("leverage", "to_spot", "to_perp", "schedule"):
        assert seen[name] == {"status": "ok", "response": {"type": "default"}}, name
    assert "resting" in seen["agent_order"]["response"]["data"]["statuses"][0]
    assert [agent["name"] for agent in seen["agents"]] == ["bot"]
    assert [fill["coin"] for fill in seen["fills"]] == ["PURR/USDC", "BTC", "BTC"], "newest first"
    assert (seen["fees"]["userCrossRate"], seen["fees"]["userAddRate"]) == ("0.00045", "0.00015")
    assert seen["role"] == {"role": "user"}
    assert len(seen["l2"]["levels"][0]) == 20
    assert {coin for coin in seen["mids"] if coin[0] != "#"} == {
        "BTC",
        "ETH",
        "SOL",
        "MATIC",
        "HYPE",
        "kPEPE",
        "PURR/USDC",
        "@107",
    }


def listen_with_the_sdk(url: str) -> dict[str, Any]:
    """The SDK's own WebSocket thread: one frame of each of its callbacks."""
    wallet = eth_account.Account.from_key(BOB.key)
    info, exchange = SdkInfo(url), SdkExchange(wallet, url)
    seen: dict[str, queue.Queue[Any]] = {}
    try:
        for kind, fields in (
            ("l2Book", {"coin": "ETH"}),
            ("bbo", {"coin": "ETH"}),
            ("trades", {"coin": "ETH"}),
            ("allMids", {}),
            ("orderUpdates", {"user": wallet.address}),
            ("userEvents", {"user": wallet.address}),
            ("userFills", {"user": wallet.address}),
            ("activeAssetCtx", {"coin": "ETH"}),
        ):
            seen[kind] = queue.Queue()
            info.subscribe({"type": kind, **fields}, seen[kind].put)
        seen["allMids"].get(timeout=5)
        exchange.market_open("ETH", True, 0.1)
        return {kind: frames.get(timeout=5) for kind, frames in seen.items()}
    finally:
        assert info.ws_manager is not None
        info.ws_manager.stop_event.set()
        info.ws_manager.ws.close()


async def test_the_official_sdk_listens(open_floor: Any) -> None:
    """Given the SDK's WebSocket manager, which reads the plain first frame too, then each of its feeds arrives."""
    floor: Floor = await open_floor(traders=True)
    seen = await asyncio.to_thread(listen_with_the_sdk, floor.exchange.http_url)
    assert {kind: frame["channel"] for kind, frame in seen.items()} == {
        **{kind: kind for kind in seen},
        "userEvents": "user",
    }


# -- envelopes and bad input -----------------------------------------------------------------------------------------


async def test_a_response_is_compact_json_with_the_venues_envelope(floor: Floor) -> None:
    client = floor.client()
    body = client.sign({"type": "order", "orders": [wire(ETH, "buy", "3000", "1")], "grouping": "na"})
    status, content_type, text = await raw(floor, "/exchange", json.dumps(body).encode())
    oid = json.loads(text)["response"]["data"]["statuses"][0]["resting"]["oid"]
    assert (status, content_type) == (200, "application/json")
    assert (
        text == '{"status":"ok","response":{"type":"order","data":{"statuses":[{"resting":{"oid":' + str(oid) + "}}]}}}"
    )


async def test_a_wrong_byte_is_answered_with_a_changing_address(floor: Floor) -> None:
    """Given the same signature under three different orders, then three different strangers "do not exist"."""
    client, strangers = floor.client(), set()
    for px in ("3001", "3002", "3003"):
        body = client.sign({"type": "order", "orders": [wire(ETH, "buy", "3000", "1")], "grouping": "na"})
        body["action"]["orders"][0]["p"] = px
        answer = await client.http("/exchange", body)
        assert answer["status"] == "err"
        assert answer["response"].startswith("User or API Wallet 0x") and answer["response"].endswith(
            " does not exist."
        )
        strangers.add(answer["response"])
    assert len(strangers) == 3 and not any(client.address in text for text in strangers)
    assert floor.exchange.engine.accounts[client.address].orders == {}


BAD_INFO: list[tuple[bytes, int, str]] = [
    (b"{", 400, "Failed to parse the request body as JSON"),
    (b"\xff\xfe", 400, "Failed to parse the request body as JSON"),
    (b"null", 422, UNFIT),
    (b"[]", 422, UNFIT),
    (b'{"type":"unheardOf"}', 422, UNFIT),
    (b'{"type":5}', 422, UNFIT),
    (b'{"type":["meta"]}', 422, UNFIT),
    (b'{"type":"l2Book"}', 422, UNFIT),
    (b'{"type":"l2Book","coin":5}', 422, UNFIT),
    (b'{"type":"openOrders","user":"0x12"}', 422, UNFIT),
    (b'{"type":"orderStatus","user":"0x14791697260e4c9a71f18484c9f997b308e59325","oid":"0x1"}', 422, UNFIT),
    (b'{"type":"userFillsByTime","user":"0x14791697260e4c9a71f18484c9f997b308e59325"}', 422, UNFIT),
    (
        b'{"type":"userFillsByTime","user":"0x14791697260e4c9a71f18484c9f997b308e59325","startTime":0,'
        b'"aggregateByTime":null}',
        422,
        UNFIT,
    ),
    (b'{"type":"l2Book","coin":"ETH","nSigFigs":6}', 500, "null"),
    (b'{"type":"l2Book","coin":"ETH","nSigFigs":4,"mantissa":2}', 500, "null"),
    (b'{"type":"l2Book","coin":"ETH","nSigFigs":5,"mantissa":3}', 500, "null"),
    (b'{"type":"meta","dex":"nowhere"}', 500, "null"),
]


@pytest.mark.parametrize(("body", "status", "text"), BAD_INFO, ids=range(len(BAD_INFO)))
async def test_bad_queries_get_the_venues_status_and_plain_text(
    floor: Floor, body: bytes, status: int, text: str
) -> None:
    assert await raw(floor, "/info", body) == (status, "text/plain", text)


async def test_bad_actions_get_plain_text_and_wrong_content_types_415(floor: Floor) -> None:
    assert await raw(floor, "/exchange", b"nonsense") == (
        400,
        "text/plain",
        "Failed to parse the request body as JSON",
    )
    assert await raw(floor, "/exchange", b"{}") == (422, "text/plain", UNFIT)
    assert (await raw(floor, "/info", b'{"type":"meta"}', "text/plain"))[0] == 415
    assert (await raw(floor, "/nowhere", b"{}"))[0] == 404
    assert (await floor.client().info("meta"))["collateralToken"] == 0, "and it goes on"


async def test_unknown_coins_users_and_orders_are_no_errors(floor: Floor) -> None:
    client, nobody = floor.client(), "0x" + "77" * 20
    assert await client.info("l2Book", coin="NOPE") is None
    assert await client.info("orderStatus", user=nobody, oid=5) == {"status": "unknownOid"}
    assert await client.info("openOrders", user=nobody) == []
    assert await client.info("userFills", user=nobody) == []
    assert await client.info("userRole", user=nobody) == {"role": "missing"}
    assert await client.info("subAccounts", user=nobody) is None
    state = await client.info("clearinghouseState", user=nobody)
    assert state["marginSummary"]["accountValue"] == "0.0" and state["assetPositions"] == []
    assert (await client.info("spotClearinghouseState", user=nobody)) == {"balances": []}


def shape(value: Any) -> Any:
    """Keys and kinds of a JSON value; a list by its first element."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def test_recorded_answers_have_the_same_keys_as_ours(open_floor: Any, shared: Path) -> None:
    """L66. Given recordings of the venue, then ours have no key that they lack and none less, in the same kinds."""
    floor: Floor = await open_floor(traders=True)
    client, other = await floor.connected(ALICE), await floor.connected(BOB)
    await client.place(wire(ETH, "buy", "3000", "1"))
    await other.place(wire(ETH, "buy", "3600", "1", "Ioc"))
    folder = shared / "fixtures" / "venue"

    def recorded(kind: str, wanted: str) -> list[Any]:
        lines = (folder / f"http_info_{kind}.jsonl").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [entry["response"] for entry in entries if entry["recorded"] and wanted in json.dumps(entry["response"])]

    state = await client.info("clearinghouseState", user=other.address)
    venue = recorded("clearinghouseState", '"cumFunding"')[0]
    assert set(state) == set(venue) and set(state["marginSummary"]) == set(venue["marginSummary"])
    ours, theirs = (s["assetPositions"][0]["position"] for s in (state, venue))
    assert set(ours) == set(theirs)
    fill = (await client.info("userFills", user=other.address))[0]
    theirs = [row for rows in recorded("userFills", '"twapId"') for row in rows]
    assert all(set(fill) >= set(row) - {"cloid", "builderFee", "feeTrialEscrow"} for row in theirs[:20])
    (status,) = recorded("orderStatus", '"tif"')
    order = await client.info("orderStatus", user=other.address, oid=fill["oid"])
    assert shape(order) == shape(status)
    assert list(order["order"]["order"]) == list(status["order"]["order"]), "and in the same order"
    book = await client.info("l2Book", coin="ETH")
    theirs = next(row for row in recorded("l2Book", '"levels"') if next(iter(row)) == "coin")
    assert shape(book) == shape({k: v for k, v in theirs.items() if k != "spread"})
    contexts = (await client.info("metaAndAssetCtxs"))[1][0]
    assert set(contexts) == set(recorded("metaAndAssetCtxs", '"impactPxs"')[0][1][0])
    spot = (await client.info("spotMetaAndAssetCtxs"))[1][0]
    assert set(spot) == set(recorded("spotMetaAndAssetCtxs", '"circulatingSupply"')[0][1][0])


async def test_queries_about_orders_and_fills(floor: Floor) -> None:
    """orderStatus is stale on partial fills, history is newest first, fills by time oldest first with both bounds in."""
    alice, bob = await floor.connected(ALICE), await floor.connected(BOB)
    (placed,) = await alice.place(wire(ETH, "sell", "3500", "1", "Alo"))
    oid, times = placed["resting"]["oid"], []
    for _ in range(3):
        await bob.place(wire(ETH, "buy", "3500", "0.1", "Ioc"))
        times.append(floor.exchange.engine.time_ms)
        await asyncio.sleep(0.03)
    status = await alice.info("orderStatus", user=alice.address, oid=oid)
    assert (status["order"]["order"]["sz"], status["order"]["status"]) == ("1.0", "open")
    assert (await alice.info("openOrders", user=alice.address))[0]["sz"] == "0.7"
    assert (await alice.info("frontendOpenOrders", user=alice.address))[0]["sz"] == "0.7"
    history = await bob.info("historicalOrders", user=bob.address)
    assert [row["status"] for row in history] == ["filled"] * 3
    assert history[0]["order"]["oid"] > history[2]["order"]["oid"]
    fills = await bob.info("userFillsByTime", user=bob.address, startTime=0)
    assert [fill["time"] for fill in fills] == sorted(fill["time"] for fill in fills) and len(fills) == 3
    newest = await bob.info("userFills", user=bob.address)
    assert newest == fills[::-1]
    assert await bob.info("userFillsByTime", user=bob.address, startTime=0, reversed=True) == newest
    middle = fills[1]["time"]
    assert await bob.info("userFillsByTime", user=bob.address, startTime=middle, endTime=middle) == [fills[1]]
    limits = await bob.info("userRateLimit", user=bob.address)
    assert limits == {"cumVlm": "1050.0", "nRequestsUsed": 3, "nRequestsCap": 11050, "nRequestsSurplus": 0}
    trades = await bob.info("recentTrades", coin="ETH")
    assert [trade["tid"] for trade in trades] == [fill["tid"] for fill in newest]
    assert trades[0]["users"] == [bob.address, alice.address]


async def test_roles_sub_accounts_and_the_small_queries(open_floor: Any) -> None:
    floor: Floor = await open_floor(sub_accounts={SUB_ACCOUNT: ALICE.address}, agents={"0x" + "a" * 40: ALICE.address})
    client = floor.client()
    assert await client.info("userRole", user=SUB_ACCOUNT) == {
        "role": "subAccount",
        "data": {"master": client.address},
    }
    assert (await client.info("userRole", user="0x" + "A" * 40))["data"] == {"user": client.address}
    (sub,) = await client.info("subAccounts", user=client.address)
    assert sub["subAccountUser"] == SUB_ACCOUNT
    main, demo = await client.info("perpDexs")
    assert main is None and demo["name"] == "demo"
    assert (await client.info("exchangeStatus"))["specialStatuses"] is None
    assert await client.info("userFunding", user=client.address, startTime=0) == []
    assert (await client.info("allPerpMetas"))[0] == await client.info("meta")
    assert (await client.info("marginTable", id=40))["marginTiers"][0]["maxLeverage"] == 40
    assert (await client.info("maxMarketOrderNtls"))[0] == [25, "30000000.0"]
    answer = await client.exchange_action({"type": "noop"}, vault=SUB_ACCOUNT)
    assert answer == {"status": "ok", "response": {"type": "default"}}


def leaves(value: Any) -> Any:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


async def test_every_amount_is_text_with_a_fraction_and_no_number_is_a_float(open_floor: Any) -> None:
    """Oddities 1 and 2 of the reference."""
    floor: Floor = await open_floor(traders=True)
    client = await floor.connected()
    await client.place(wire(ETH, "buy", "3600", "1", "Ioc"))
    for kind in ("meta", "spotMeta", "metaAndAssetCtxs", "spotMetaAndAssetCtxs", "allMids", "exchangeStatus"):
        assert not any(isinstance(leaf, float) for leaf in leaves(await client.info(kind)))
    for kind in ("clearinghouseState", "spotClearinghouseState", "userFills", "historicalOrders", "userFees"):
        answer = await client.info(kind, user=client.address)
        assert not any(isinstance(leaf, float) for leaf in leaves(answer))
        numeric = [leaf for leaf in leaves(answer) if isinstance(leaf, str) and leaf.lstrip("-")[:1].isdigit()]
        assert all("." in leaf for leaf in numeric if not leaf.startswith("0x") and leaf[4:5] != "-"), numeric


# -- truth -----------------------------------------------------------------------------------------------------------


async def test_truth_and_info_agree(open_floor: Any) -> None:
    """Given trading against the background, then the exchange's record over HTTP equals what /info says, to the digit."""
    floor: Floor = await open_floor(traders=True)
    client = await floor.connected()
    for side, px in (("buy", "3600"), ("sell", "3400"), ("buy", "3600")):
        await client.place(wire(ETH, side, px, "0.5", "Ioc"), wire(0, side, "65900", "0.01", "Alo"))
        await client.place(wire(ETH, side, "3400" if side == "buy" else "3600", "0.3"))
    async with floor.session.get(f"{floor.exchange.http_url}/sim/truth", params={"user": client.address}) as response:
        record = await response.json()
    assert record["fills"] == (await client.info("userFills", user=client.address))[::-1]
    state = await client.info("clearinghouseState", user=client.address)
    assert record["cash"] == state["marginSummary"]["totalRawUsd"]
    assert {coin: p["szi"] for coin, p in record["positions"].items()} == {
        entry["position"]["coin"]: entry["position"]["szi"] for entry in state["assetPositions"]
    }
    balances = (await client.info("spotClearinghouseState", user=client.address))["balances"]
    assert record["spot"] == {row["coin"]: row for row in balances}
    for order in record["orders"]:
        status = await client.info("orderStatus", user=client.address, oid=order["oid"])
        assert status["order"]["status"] == order["status"]
    assert len(record["nonces"][client.address]) == 6
    fee = sum(float(fill["fee"]) for fill in record["fills"])
    assert abs(float(record["fees"]["USDC"]) - fee) < 1e-9
    whole = floor.exchange.truth()
    assert whole["users"][client.address]["fills"] == record["fills"]
    assert whole["counters"]["actions"] == 6 and len(whole["house"]) == 5


async def test_truth_of_an_unknown_account_is_empty_and_accounts_are_listed_with_their_keys(floor: Floor) -> None:
    record = floor.exchange.truth("0x" + "77" * 20)
    assert (record["orders"], record["fills"], record["cash"]) == ([], [], "0.0")
    async with floor.session.get(f"{floor.exchange.http_url}/sim/accounts") as response:
        accounts = await response.json()
    assert {account["address"] for account in accounts} >= {ALICE.address, BOB.address}
    for account in accounts:
        assert eth_account.Account.from_key(account["key"]).address.lower() == account["address"]
        state = await floor.client().info("clearinghouseState", user=account["address"])
        assert state["withdrawable"] == "1000000.0"


async def test_with_block_ms_0_an_action_is_a_block_of_its_own(open_floor: Any) -> None:
    floor: Floor = await open_floor(block_ms=0)
    client = floor.client()
    before = floor.exchange.engine.block_number
    for _ in range(5):
        await client.exchange_action({"type": "noop"})
    assert floor.exchange.engine.block_number >= before + 5


async def test_requests_that_wait_when_the_exchange_stops_end_at_once(open_floor: Any) -> None:
    floor: Floor = await open_floor(block_ms=60_000)
    client = floor.client()
    waiting = asyncio.create_task(client.exchange_action({"type": "noop"}))
    while not floor.exchange.engine._queue:
        await asyncio.sleep(0.005)
    await asyncio.wait_for(floor.exchange.stop(), 3)
    with pytest.raises((aiohttp.ClientError, AssertionError)):
        await asyncio.wait_for(waiting, 3)
