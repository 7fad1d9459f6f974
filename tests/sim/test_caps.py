"""Open-interest caps and the distance from the oracle: the venue's words and statuses, and what is still allowed."""

from __future__ import annotations

from typing import Any

import pytest

from hlfast.sim.info import Info
from hlfast.venues.hyperliquid.reject_texts import venue_reject

from .desk import ALICE, BOB, CAROL, Desk

ETH = 1
CAPPED = f"Order would increase open interest while open interest is capped asset={ETH}"
AGGRESSIVE = f"Order rejected due to price more aggressive than oracle while at open interest cap asset={ETH}"


@pytest.fixture
def desk() -> Desk:
    """10 ETH are open at 3500 between Alice (long) and Bob (short), and the cap is 30,000 USDC; Carol offers and bids."""
    desk = Desk()
    desk.exchange.set_mark("ETH", 3500)
    desk.order(BOB, ETH, "sell", "3500", "10")
    desk.order(ALICE, ETH, "buy", "3500", "10", "Ioc")
    desk.order(CAROL, ETH, "sell", "3510", "5")
    desk.order(CAROL, ETH, "buy", "3490", "5")
    desk.exchange.set_open_interest_cap("ETH", 30_000)
    return desk


def status(desk: Desk, who: Any = ALICE) -> str:
    return desk.rows(who)[-1][0]


def test_nothing_opens_at_the_cap_but_everything_closes(desk: Desk) -> None:
    """Given a market at its cap, then an order that opens or adds is refused, one that closes trades, and a passive one may
    rest; once there is room again, all is as ever."""
    assert Info(desk.exchange).answer({"type": "perpsAtOpenInterestCap"}) == ["ETH"]
    assert desk.order(ALICE, ETH, "buy", "3510", "1") == {"error": CAPPED}
    assert status(desk) == "positionIncreaseAtOpenInterestCapRejected"
    assert desk.order(CAROL, ETH, "buy", "3505", "1") == {"error": AGGRESSIVE}
    assert status(desk, CAROL) == "tooAggressiveAtOpenInterestCapRejected"
    assert "resting" in desk.order(CAROL, ETH, "buy", "3480", "1"), "passive: it may wait"
    assert desk.order(ALICE, ETH, "sell", "3490", "12", "Ioc") == {"error": CAPPED}
    assert status(desk) == "positionFlipAtOpenInterestCapRejected"
    assert "filled" in desk.order(ALICE, ETH, "sell", "3490", "4", "Ioc")
    assert "filled" in desk.order(BOB, ETH, "buy", "3510", "4", "Ioc")
    assert Info(desk.exchange).answer({"type": "perpsAtOpenInterestCap"}) == []
    assert "filled" in desk.order(ALICE, ETH, "buy", "3510", "1", "Ioc")


def test_a_price_far_from_the_oracle_is_refused(desk: Desk) -> None:
    desk.exchange.set_open_interest_cap("ETH", None)
    desk.exchange.set_oracle("ETH", 3500)
    desk.exchange.set_oracle_band("ETH", 5)
    assert desk.order(ALICE, ETH, "buy", "3300", "1") == {"error": f"Price too far from oracle asset={ETH}"}
    assert status(desk) == "oracleRejected"
    assert "resting" in desk.order(ALICE, ETH, "buy", "3325", "1")
    desk.exchange.set_oracle_band("ETH", None)
    assert "resting" in desk.order(ALICE, ETH, "buy", "3300", "1")


@pytest.mark.parametrize("text", [CAPPED, AGGRESSIVE, f"Price too far from oracle asset={ETH}"])
def test_the_client_knows_each_text(text: str) -> None:
    """L128: a code and a remedy for each."""
    found = venue_reject(text)
    assert found.code != "unknown" and found.remedy
