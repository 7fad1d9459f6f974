"""Hourly funding: premium samples, the venue's rate, who pays whom, and where the rows and events are."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from hlfast.sim import rows
from hlfast.sim.funding_rate import E10, hourly_e10, premium_e10
from hlfast.sim.info import Info
from hlfast.sim.truth import of_account

from .desk import ALICE, BOB, START_MS, Desk, Floor, wire

ETH, SOL = 1, 2
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        ("0", "0.0000125"),
        ("0.0001", "0.0000125"),
        ("0.0006", "0.0000125"),
        ("0.0011", "0.000075"),
        ("-0.0004", "0.0000125"),
        ("-0.0020", "-0.0001875"),
        ("0.9", "0.04"),
        ("-0.9", "-0.04"),
    ],
)
def test_the_hourly_rate_is_an_eighth_of_the_clamped_formula(premium: str, rate: str) -> None:
    """F = P + clamp(0.0001 - P, -0.0005, 0.0005), a bound of 4 % an hour. (Reference 7.2)"""
    assert hourly_e10(int(Decimal(premium) * E10)) == int(Decimal(rate) * E10)


def two_sided(desk: Desk, bid: str, ask: str) -> None:
    desk.order(BOB, ETH, "buy", bid, "100")
    desk.order(BOB, ETH, "sell", ask, "100")


def test_a_premium_is_how_far_the_impact_prices_are_beyond_the_oracle(desk: Desk) -> None:
    desk.exchange.set_oracle("ETH", 3500)
    two_sided(desk, "3507", "3510")
    book = desk.exchange.book("ETH")
    assert premium_e10(book) == 7 * E10 // 3500
    desk.exchange.set_oracle("ETH", 3520)
    assert premium_e10(book) == round(-10 * E10 / 3520)
    desk.exchange.set_oracle("ETH", "3508")
    assert premium_e10(book) == 0
    assert premium_e10(desk.exchange.book("SOL")) is None
    assert rows.perp_context(book)["oraclePx"] == "3508.0"


def to_the_hour(desk: Desk, hours: int = 1) -> None:
    """One block 70 ms after the next full hour (or a later one)."""
    desk.now_ms = (desk.now_ms // HOUR_MS + hours) * HOUR_MS
    desk.send()


def test_longs_pay_shorts_on_the_hour_and_everything_says_so(desk: Desk) -> None:
    """Given a premium of 0.2 %, then F / 8 of the position at the oracle price moves, row, event and totals agree."""
    desk.exchange.set_oracle("ETH", 3500)
    desk.order(BOB, ETH, "sell", "3500", "2")
    desk.order(ALICE, ETH, "buy", "3500", "2", "Ioc")
    two_sided(desk, "3507", "3508")
    to_the_hour(desk)
    rate = (Decimal("0.002") - Decimal("0.0005")) / 8
    paid = 2 * 3500 * rate
    cash = {who: desk.account(who).cash_e8 for who in (ALICE, BOB)}
    (row,) = Info(desk.exchange).answer({"type": "userFunding", "user": ALICE.address, "startTime": 0})
    assert row == {
        "time": desk.block.time_ms,
        "hash": "0x" + "0" * 64,
        "delta": {
            "type": "funding",
            "coin": "ETH",
            "usdc": f"-{paid.normalize()}",
            "szi": "2.0",
            "fundingRate": "0.0001875",
            "nSamples": None,
        },
    }
    (event,) = desk.block.fundings[BOB.address]
    assert (event["usdc"], event["szi"], event["coin"]) == (str(paid.normalize()), "-2.0", "ETH")
    assert list(event) == ["time", "coin", "usdc", "szi", "fundingRate", "nSamples"]
    assert rows.user_fundings(desk.account(BOB)) == [event]
    position = rows.clearinghouse_state(desk.account(ALICE), 0)["assetPositions"][0]["position"]
    assert position["cumFunding"] == dict.fromkeys(("allTime", "sinceOpen", "sinceChange"), str(paid.normalize()))
    to_the_hour(desk)
    assert desk.account(ALICE).cash_e8 == cash[ALICE] - int(paid * 10**8)
    assert desk.account(BOB).cash_e8 == cash[BOB] + int(paid * 10**8)
    history = Info(desk.exchange).answer({"type": "fundingHistory", "coin": "ETH", "startTime": START_MS})
    assert [(r["coin"], r["fundingRate"], r["premium"]) for r in history] == [("ETH", "0.0001875", "0.002")] * 2
    desk.order(ALICE, ETH, "sell", "3507", "1", "Ioc")
    position = rows.clearinghouse_state(desk.account(ALICE), 0)["assetPositions"][0]["position"]
    assert Decimal(position["cumFunding"]["sinceOpen"]) == 2 * paid and position["cumFunding"]["sinceChange"] == "0.0"


def test_isolated_positions_pay_from_their_own_margin(desk: Desk) -> None:
    desk.act(ALICE, {"type": "updateLeverage", "asset": ETH, "isCross": False, "leverage": 10})
    desk.order(BOB, ETH, "sell", "3500", "1")
    desk.order(ALICE, ETH, "buy", "3500", "1", "Ioc")
    raw, cash = desk.account(ALICE).positions[ETH].raw_e8, desk.account(ALICE).cash_e8
    to_the_hour(desk)
    assert desk.account(ALICE).positions[ETH].raw_e8 == raw - 43_750 * 100, "3500 * 0.0000125"
    assert desk.account(ALICE).cash_e8 == cash


def test_nothing_is_paid_between_hours_and_a_gap_pays_each_hour(desk: Desk) -> None:
    desk.order(BOB, SOL, "sell", "150", "100")
    desk.order(ALICE, SOL, "buy", "150", "100", "Ioc")
    desk.now_ms = START_MS - START_MS % HOUR_MS + HOUR_MS - 200
    desk.send()
    assert desk.account(ALICE).fundings == []
    to_the_hour(desk, 5)
    assert len(desk.account(ALICE).fundings) == 5


def test_predicted_rates_name_the_next_hour(desk: Desk) -> None:
    desk.send()
    predicted = dict(Info(desk.exchange).answer({"type": "predictedFundings"}))
    next_ms = START_MS - START_MS % HOUR_MS + HOUR_MS
    assert predicted["ETH"] == [["HlPerp", {"fundingRate": "0.0000125", "nextFundingTime": next_ms}]]
    assert "MATIC" not in predicted, "delisted"
    assert rows.perp_context(desk.exchange.book("ETH"))["funding"] == "0.0000125"


async def test_funding_and_liquidation_are_told_over_the_sockets(open_floor: Any) -> None:
    """userFundings: a snapshot, then rows; `user`: one frame a payment, and one for a liquidation. In virtual time."""
    floor: Floor = await open_floor(pace="virtual", block_ms=70, silent_close_seconds=1e6)
    exchange = floor.exchange
    alice, bob = await floor.connected(ALICE), await floor.connected(BOB)
    for client, order in (
        (bob, wire(ETH, "sell", "3500", "5000", "Gtc")),
        (alice, wire(ETH, "buy", "3500", "5000", "Ioc")),
    ):
        nonce = exchange.pace.now_ms()
        signed = client.sign({"type": "order", "orders": [order], "grouping": "na"}, nonce=nonce)
        await client.send({"method": "post", "id": 1, "request": {"type": "action", "payload": signed}})
        while exchange.engine.actions_seen < (1 if client is bob else 2):
            await exchange.step()
    await alice.subscribe("userFundings", user=alice.address)
    assert (await alice.until("userFundings"))["isSnapshot"] is True
    await alice.subscribe("userEvents", user=alice.address)
    await exchange.advance(HOUR_MS)
    event = await alice.until("user")
    assert (event["funding"]["coin"], event["funding"]["usdc"]) == ("ETH", "-218.75")
    fundings = [json.loads(frame) for frame in alice.frames if '"userFundings"' in frame]
    assert all("isSnapshot" not in frame["data"] for frame in fundings if frame["data"].get("fundings"))
    exchange.engine.set_mark("ETH", 3310)
    await exchange.step()
    heard: dict[str, Any] = {}
    while "liquidation" not in heard:
        heard |= await alice.until("user")
    assert heard["liquidation"]["liquidated_user"] == alice.address


def test_the_sum_of_payments_outlives_their_rows(desk: Desk) -> None:
    """History is bounded; what an account has paid in all is not."""
    desk.order(BOB, ETH, "sell", "3500", "2")
    desk.order(ALICE, ETH, "buy", "3500", "2", "Ioc")
    paid = Decimal(0)
    account = desk.account(ALICE)
    account.history = 8
    for _ in range(30):
        to_the_hour(desk)
        paid += Decimal(account.fundings[-1]["delta"]["usdc"])
        account.trim()
    told = of_account(desk.exchange, account)
    assert told["dropped"]["fundings"] > 0 and len(told["fundings"]) < 30
    assert Decimal(told["funding"]) == paid != 0
