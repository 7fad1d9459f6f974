"""A trading day of the official SDK, unchanged but for its base_url: forty steps, each answer checked. Then on the drop-in.

The SDK runs in a thread against real sockets, with an exchange whose books are made by hand, so that each answer's
values are known: the house bids 3499 and asks 3501 for ETH, 64990 and 65010 for BTC, 5 of each.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import eth_account
import pytest
from hyperliquid.exchange import Exchange as SdkExchange
from hyperliquid.info import Info as SdkInfo
from hyperliquid.utils.types import Cloid

from hlfast.compat.hyperliquid.exchange import Exchange as OurExchange
from hlfast.compat.hyperliquid.info import Info as OurInfo
from hlfast.compat.hyperliquid.utils.types import Cloid as OurCloid
from hlfast.sim import SimExchange

from .desk import ALICE, BOB, Floor

GTC, ALO, IOC = ({"limit": {"tif": tif}} for tif in ("Gtc", "Alo", "Ioc"))
DEFAULT = {"status": "ok", "response": {"type": "default"}}
NEVER = "Order was never placed, already canceled, or filled. asset=1"


def statuses(answer: Any) -> list[Any]:
    assert answer["status"] == "ok", answer
    found: list[Any] = answer["response"]["data"]["statuses"]
    return found


def tpsl(px: float, kind: str, *, market: bool = True) -> dict[str, Any]:
    return {"trigger": {"triggerPx": px, "isMarket": market, "tpsl": kind}}


class Day:
    """One account's SDK, and what its callbacks have seen."""

    def __init__(self, exchange: SimExchange) -> None:
        self.sim = exchange
        self.wallet = eth_account.Account.from_key(ALICE.key)
        self.address = self.wallet.address
        self.info = SdkInfo(exchange.http_url)
        self.exchange = SdkExchange(self.wallet, exchange.http_url)
        self.seen: dict[str, queue.Queue[Any]] = {}
        self.steps = 0

    def step(self, check: bool) -> None:
        self.steps += 1
        assert check, f"step {self.steps}"

    def close(self) -> None:
        assert self.info.ws_manager is not None
        self.info.ws_manager.stop_event.set()
        self.info.ws_manager.ws.close()

    # -- the day ---------------------------------------------------------------------------------------------------

    def run(self) -> int:
        try:
            for part in (self.morning, self.orders, self.positions, self.brackets, self.risk, self.evening):
                part()
        finally:
            self.close()
        return self.steps

    def morning(self) -> None:
        """Look around and subscribe."""
        for kind, fields in (
            ("l2Book", {"coin": "ETH"}),
            ("bbo", {"coin": "ETH"}),
            ("trades", {"coin": "ETH"}),
            ("allMids", {}),
            ("orderUpdates", {"user": self.address}),
            ("userEvents", {"user": self.address}),
            ("userFills", {"user": self.address}),
            ("activeAssetCtx", {"coin": "ETH"}),
        ):
            self.seen[kind] = queue.Queue()
            self.info.subscribe({"type": kind, **fields}, self.seen[kind].put)
        self.step(self.seen["userFills"].get(timeout=5)["data"] == {
            "isSnapshot": True, "user": self.address.lower(), "fills": [],
        })  # fmt: skip
        self.step(Decimal(self.info.all_mids()["ETH"]) == 3500)
        book = self.info.l2_snapshot("ETH")
        self.step([side[0] for side in book["levels"]] == [
            {"px": "3499.0", "sz": "5.0", "n": 1}, {"px": "3501.0", "sz": "5.0", "n": 1},
        ])  # fmt: skip
        meta = self.info.meta()
        self.step([row["name"] for row in meta["universe"]][:3] == ["BTC", "ETH", "SOL"])
        self.step(self.info.spot_meta()["universe"][0]["name"] == "PURR/USDC")
        self.step(self.info.meta_and_asset_ctxs()[1][1]["midPx"] == "3500.0")
        state = self.info.user_state(self.address)
        self.step(state["marginSummary"]["accountValue"] == "1000000.0" and state["assetPositions"] == [])
        self.step(self.info.spot_user_state(self.address)["balances"][0]["total"] == "100000.0")

    def orders(self) -> None:
        """Rest, look, modify, cancel, in ones and in batches."""
        sdk, info, cloid = self.exchange, self.info, Cloid.from_int(1)
        (first,) = statuses(sdk.order("ETH", True, 1.5, 3400, GTC, cloid=cloid))
        oid = first["resting"]["oid"]
        self.step(first["resting"]["cloid"] == cloid.to_raw())
        (row,) = info.open_orders(self.address)
        self.step((row["oid"], row["side"], row["limitPx"], row["sz"]) == (oid, "B", "3400.0", "1.5"))
        status = info.query_order_by_cloid(self.address, cloid)
        self.step(status["order"]["status"] == "open" and status == info.query_order_by_oid(self.address, oid))
        batch = [
            {"coin": "ETH", "is_buy": True, "sz": 1.0, "limit_px": px, "order_type": kind, "reduce_only": False}
            for px, kind in ((3401, ALO), (3402, GTC), (3499.55, GTC), (3501, ALO), (3400, IOC))
        ]
        found = statuses(sdk.bulk_orders(batch))
        self.step([next(iter(entry)) for entry in found] == ["resting", "resting", "error", "error", "error"])
        self.step([entry["error"] for entry in found[2:]] == [
            "Price must be divisible by tick size. asset=1",
            "Post only order would have immediately matched, bbo was 3499 @ 3501. asset=1",
            "Order could not immediately match against any resting orders. asset=1",
        ])  # fmt: skip
        tiny = statuses(sdk.order("ETH", True, 0.001, 3400, GTC))
        self.step(tiny == [{"error": "Order must have minimum value of $10. asset=1"}])
        far = statuses(sdk.bulk_orders([batch[0], {**batch[0], "limit_px": 10}]))
        self.step(far == [{"error": "Order price cannot be more than 95% away from the reference price"}])
        (moved,) = statuses(sdk.modify_order(oid, "ETH", True, 2, 3410, GTC, cloid=cloid))
        self.step(moved["resting"]["oid"] > oid)
        self.step(info.query_order_by_oid(self.address, oid)["order"]["status"] == "canceled")
        many = sdk.bulk_modify_orders_new(
            [{"oid": entry["resting"]["oid"], "order": {**batch[0], "limit_px": 3390}} for entry in found[:2]]
        )
        self.step([next(iter(entry)) for entry in statuses(many)] == ["resting", "resting"])
        self.step(statuses(sdk.cancel_by_cloid("ETH", cloid)) == ["success"])
        self.step(statuses(sdk.cancel("ETH", oid)) == [{"error": NEVER}])
        oids = [entry["resting"]["oid"] for entry in statuses(many)]
        cancels = [{"coin": "ETH", "oid": each} for each in (oids[0], 5, oids[1])]
        self.step(statuses(sdk.bulk_cancel(cancels)) == ["success", {"error": NEVER}, "success"])
        cloids = [Cloid.from_int(number) for number in (8, 9)]
        for each in cloids:
            sdk.order("ETH", True, 1, 3300, ALO, cloid=each)
        by_cloid = sdk.bulk_cancel_by_cloid([{"coin": "ETH", "cloid": each} for each in cloids])
        self.step(statuses(by_cloid) == ["success", "success"] and info.open_orders(self.address) == [])

    def positions(self) -> None:
        """In and out at market; the numbers follow."""
        sdk, info = self.exchange, self.info
        (opened,) = statuses(sdk.market_open("ETH", True, 2))
        self.step((opened["filled"]["totalSz"], opened["filled"]["avgPx"]) == ("2.0", "3501.0"))
        position = info.user_state(self.address)["assetPositions"][0]["position"]
        self.step((position["szi"], position["entryPx"], position["leverage"]["value"]) == ("2.0", "3501.0", 20))
        fill = info.user_fills(self.address)[0]
        self.step(
            (fill["dir"], fill["fee"], fill["crossed"], fill["startPosition"]) == ("Open Long", "3.1509", True, "0.0")
        )
        self.step(info.user_fills_by_time(self.address, 0)[-1]["oid"] == opened["filled"]["oid"])
        (part,) = statuses(sdk.market_close("ETH", 0.5))
        self.step((part["filled"]["totalSz"], part["filled"]["avgPx"]) == ("0.5", "3499.0"))
        self.step(info.user_fills(self.address)[0]["closedPnl"] == "-1.0")
        (rest,) = statuses(sdk.market_close("ETH"))
        self.step(rest["filled"]["totalSz"] == "1.5")
        state = info.user_state(self.address)
        cash = Decimal(1_000_000) - 4 - Decimal("3.1509") - Decimal("0.787275") - Decimal("2.361825")
        self.step(state["assetPositions"] == [] and Decimal(state["marginSummary"]["totalRawUsd"]) == cash)
        (spot,) = statuses(sdk.order("PURR/USDC", True, 100, 0.21, IOC))
        self.step(spot["filled"]["totalSz"] == "100.0")
        balances = {row["coin"]: row["total"] for row in info.spot_user_state(self.address)["balances"]}
        self.step(balances == {"USDC": "99980.0", "PURR": "99.93"})

    def brackets(self) -> None:
        """TP/SL: a bracket that is cancelled, stops on a position, one that fires."""
        sdk, info = self.exchange, self.info
        leg = {"coin": "ETH", "is_buy": False, "sz": 1.0, "reduce_only": True}
        entry = {"coin": "ETH", "is_buy": True, "sz": 1.0, "limit_px": 3450, "order_type": GTC, "reduce_only": False}
        legs = [
            entry,
            {**leg, "limit_px": 3600, "order_type": tpsl(3600, "tp", market=False)},
            {**leg, "limit_px": 3300, "order_type": tpsl(3400, "sl")},
        ]
        parent, *children = statuses(sdk.bulk_orders(legs, grouping="normalTpsl"))
        self.step(children == ["waitingForFill", "waitingForFill"])
        rows = info.frontend_open_orders(self.address)
        self.step(sorted(len(row["children"]) for row in rows) == [0, 0, 2])
        self.step(statuses(sdk.cancel("ETH", parent["resting"]["oid"])) == ["success"])
        self.step(info.frontend_open_orders(self.address) == [])
        sdk.market_open("ETH", True, 1)
        (stop,) = statuses(sdk.order("ETH", False, 1, 3300, tpsl(3400, "sl"), reduce_only=True))
        (row,) = info.frontend_open_orders(self.address)
        self.step((row["orderType"], row["triggerCondition"], row["triggerPx"]) == (
            "Stop Market", "Price below 3400", "3400.0",
        ))  # fmt: skip
        wrong = statuses(sdk.order("ETH", False, 1, 3600, tpsl(3400, "tp"), reduce_only=True))
        self.step(wrong == [{"error": "Invalid TP/SL price. asset=1"}])
        self.sim.engine.set_mark("ETH", 3399)
        self.wait(lambda: info.user_state(self.address)["assetPositions"] == [])
        self.step(info.query_order_by_oid(self.address, stop["resting"]["oid"])["order"]["status"] == "filled")
        self.sim.engine.set_mark("ETH", 3500)

    def risk(self) -> None:
        """Leverage, isolated margin, transfers, the dead man's switch, agents, fees and limits."""
        sdk, info = self.exchange, self.info
        self.step(sdk.update_leverage(5, "ETH", is_cross=False) == DEFAULT)
        sdk.market_open("ETH", False, 1)
        position = info.user_state(self.address)["assetPositions"][0]["position"]
        self.step((position["leverage"]["type"], position["leverage"]["value"]) == ("isolated", 5))
        self.step(sdk.update_isolated_margin(100, "ETH") == DEFAULT)
        more = info.user_state(self.address)["assetPositions"][0]["position"]
        self.step(Decimal(more["marginUsed"]) - Decimal(position["marginUsed"]) == 100)
        self.step(sdk.update_leverage(5, "ETH")["response"] == "Cannot switch leverage type with open position.")
        sdk.market_close("ETH")
        self.step(sdk.update_leverage(20, "ETH") == DEFAULT)
        self.step(sdk.usd_class_transfer(50, False) == DEFAULT and sdk.usd_class_transfer(50, True) == DEFAULT)
        self.step(sdk.usd_transfer(1, BOB.address) == DEFAULT)
        self.step(info.user_non_funding_ledger_updates(self.address, 0)[-1]["delta"]["type"] == "internalTransfer")
        now_ms = self.sim.engine.time_ms
        self.step("too early" in sdk.schedule_cancel(now_ms + 1_000)["response"])
        self.step(sdk.schedule_cancel(now_ms + 60_000) == DEFAULT and sdk.schedule_cancel(None) == DEFAULT)
        answer, key = sdk.approve_agent("bot")
        agent = SdkExchange(eth_account.Account.from_key(key), self.sim.http_url, account_address=self.address)
        self.step(answer == DEFAULT and "resting" in statuses(agent.order("ETH", True, 1, 3300, GTC))[0])
        self.step([row["name"] for row in info.extra_agents(self.address)] == ["bot"])
        self.step(info.user_fees(self.address)["userCrossRate"] == "0.00045")
        limits = info.user_rate_limit(self.address)
        self.step(limits["nRequestsCap"] == 10_000 + int(Decimal(limits["cumVlm"])) and limits["nRequestsUsed"] > 30)
        self.step(info.user_funding_history(self.address, 0) == [])

    def evening(self) -> None:
        """What the day's feeds have said, and the record of it."""
        updates = [row for frame in self.drain("orderUpdates") for row in frame["data"]]
        kinds = {row["status"] for row in updates}
        self.step({"open", "filled", "canceled", "triggered", "badAloPxRejected", "badTriggerPxRejected"} <= kinds)
        fills = self.info.user_fills(self.address)
        heard = [fill for frame in self.drain("userFills") for fill in frame["data"]["fills"]]
        self.step([fill["tid"] for fill in heard] == [fill["tid"] for fill in reversed(fills)])
        events = [fill for frame in self.drain("userEvents") for fill in frame["data"].get("fills", ())]
        self.step(events == heard)
        printed = [trade["tid"] for frame in self.drain("trades") for trade in frame["data"]]
        self.step({fill["tid"] for fill in fills if fill["coin"] == "ETH"} <= set(printed))
        self.step(bool(self.drain("l2Book")) and bool(self.drain("bbo")) and bool(self.drain("allMids")))
        self.step(self.drain("activeAssetCtx")[0]["data"]["ctx"]["markPx"] == "3500.0")
        history = self.info.historical_orders(self.address)
        self.step(len(history) > 20 and history[0]["order"]["oid"] > history[-1]["order"]["oid"])

    def drain(self, kind: str) -> list[Any]:
        found = []
        while not self.seen[kind].empty():
            found.append(self.seen[kind].get())
        return found

    def wait(self, condition: Callable[[], bool]) -> None:
        for _ in range(200):
            if condition():
                return
        raise AssertionError("it never came true")


async def day_of(open_floor: Any) -> int:
    """Run the day on a floor with a house that makes the books. Returns the number of its steps."""
    floor: Floor = await open_floor(book_interval_ms=0)
    house = floor.exchange.engine.house
    for coin, bid, ask in (("ETH", 3499, 3501), ("BTC", 64_990, 65_010)):
        floor.exchange.engine.set_mark(coin, (bid + ask) // 2)
        for reach in range(4):  # deep enough for every step, always a fresh 5 at the touch
            house.rest(coin, "buy", bid - reach, 5)
            house.rest(coin, "sell", ask + reach, 5)
    house.rest("PURR/USDC", "sell", "0.2", 1000)
    while not floor.exchange.engine.book("PURR/USDC").asks:
        await asyncio.sleep(0.01)
    return await asyncio.to_thread(lambda: Day(floor.exchange).run())


async def test_a_day_of_the_official_sdk(open_floor: Any) -> None:
    """Issue 3: at least thirty steps, each answer checked for shape and value."""
    assert await day_of(open_floor) >= 60


async def test_the_same_day_on_the_drop_in(open_floor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """sdk_dropin 12.4: the same program on hlfast's modules of those names, step by step the same."""
    monkeypatch.setitem(globals(), "SdkExchange", OurExchange)
    monkeypatch.setitem(globals(), "SdkInfo", OurInfo)
    monkeypatch.setitem(globals(), "Cloid", OurCloid)
    assert await day_of(open_floor) >= 60
