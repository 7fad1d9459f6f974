"""TWAPs: slices in block time, catching up, triggers and stops, what is refused, and what streams and queries say."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hlfast.sim.info import Info
from hlfast.sim.rows import frontend_row
from hlfast.sim.snapshot import freeze, thaw

from .desk import ALICE, BOB, SUB_ACCOUNT, Desk, wire

ETH, PURR = 1, 10_000


@pytest.fixture
def desk() -> Desk:
    """ETH at 3500, with 1000 for sale at 3501 and as many bids at 3499."""
    desk = Desk(sub_accounts={SUB_ACCOUNT: ALICE.address})
    desk.exchange.set_mark("ETH", 3500)
    desk.orders(BOB, wire(ETH, "sell", "3501", "100"), wire(ETH, "buy", "3499", "100"))
    return desk


def twap(
    desk: Desk,
    sz: str = "10",
    minutes: int = 5,
    *,
    is_buy: bool = True,
    details: Any = None,
    asset: int = ETH,
    **fields: Any,
) -> Any:
    wanted = {"a": asset, "b": is_buy, "s": sz, "r": fields.get("r", False), "m": minutes, "t": fields.get("t", False)}
    action = {"type": "twapOrder", "twap": wanted, **({"details": details} if details else {})}
    answer = desk.act(fields.get("who", ALICE), action, **({"vault": fields["vault"]} if "vault" in fields else {}))
    assert answer["status"] == "ok" and answer["response"]["type"] == "twapOrder"
    status = answer["response"]["data"]["status"]
    return status["running"]["twapId"] if "running" in status else status["error"]


def later(desk: Desk, ms: int) -> None:
    desk.now_ms += ms
    desk.send()


def history(desk: Desk, who: Any = ALICE) -> list[tuple[str, str]]:
    return [(row["status"]["status"], row["state"]["executedSz"]) for row in desk.account(who).twap_history]


def test_a_twap_trades_an_even_share_every_half_minute(desk: Desk) -> None:
    """Given 10 ETH over 5 minutes, then ten slices of 1, the first at once, each with zero hash and the TWAP's id."""
    number = twap(desk)
    assert history(desk) == [("activated", "0.0")]
    for done in range(1, 11):
        fills = desk.account(ALICE).fills
        assert [fill["sz"] for fill in fills] == ["1.0"] * done
        assert fills[-1]["hash"] == "0x" + "0" * 64 and fills[-1]["twapId"] == number and fills[-1]["crossed"]
        later(desk, 29_000 - 140)
        assert len(desk.account(ALICE).fills) == done, "not before its time"
        later(desk, 1_000)
    assert history(desk) == [("activated", "0.0"), ("finished", "10.0")]
    assert desk.account(ALICE).positions[ETH].lots == 10 * 10**4
    state = desk.account(ALICE).twap_history[-1]["state"]
    assert (state["executedNtl"], state["minutes"], state["side"]) == ("35010.0", 5, "B")
    order = list(desk.account(ALICE).orders.values())[-1]
    assert frontend_row(order, 0)["orderType"] == "Twap Slice"


def test_a_slice_without_liquidity_is_caught_up_by_up_to_three_shares(desk: Desk) -> None:
    """Given an empty side for four slices, then each later one takes three shares until nothing is behind; a price further
    than 3 % away is no liquidity."""
    (oid,) = [order.oid for order in desk.account(BOB).open.values() if not order.is_buy]
    desk.cancel(BOB, ETH, oid)
    desk.order(BOB, ETH, "sell", "4000", "100")
    twap(desk)
    for _ in range(3):
        later(desk, 30_000)
    assert desk.account(ALICE).fills == []
    desk.order(BOB, ETH, "sell", "3520", "100")
    sizes = []
    for _ in range(6):
        later(desk, 30_000)
        sizes.append(desk.account(ALICE).fills[-1]["sz"])
    assert sizes == ["3.0", "3.0", "1.0", "1.0", "1.0", "1.0"]
    assert history(desk)[-1] == ("finished", "10.0")


def test_random_slices_add_up_to_the_whole(desk: Desk) -> None:
    twap(desk, "20", 10, t=True)
    for _ in range(20):
        later(desk, 30_000)
    sizes = [float(fill["sz"]) for fill in desk.account(ALICE).fills]
    assert abs(sum(sizes) - 20) < 0.4 and len(set(sizes)) > 10 and all(0.6 < size < 3.1 for size in sizes)


def test_small_twaps_have_fewer_slices(desk: Desk) -> None:
    """Given 105 USDC over 30 minutes, then ten slices of at least 10 USDC, three minutes apart."""
    twap(desk, "0.03", 30)
    later(desk, 170_000)
    assert len(desk.account(ALICE).fills) == 1
    later(desk, 10_000)
    assert len(desk.account(ALICE).fills) == 2 and desk.account(ALICE).fills[-1]["sz"] == "0.003"


def test_a_cancelled_twap_trades_no_more(desk: Desk) -> None:
    number = twap(desk)

    def cancel(t: int, asset: int = ETH, who: Any = ALICE) -> Any:
        return desk.act(who, {"type": "twapCancel", "a": asset, "t": t})["response"]["data"]["status"]

    gone = {"error": "TWAP was never placed, already canceled, or filled."}
    assert cancel(number, 0) == gone and cancel(number + 1) == gone and cancel(number, who=BOB) == gone
    assert cancel(number) == "success" and cancel(number) == gone
    later(desk, 60_000)
    assert len(desk.account(ALICE).fills) == 1 and history(desk)[-1] == ("terminated", "1.0")


def test_a_trigger_starts_it_and_a_stop_ends_it(desk: Desk) -> None:
    """Given a start above 3510 and a stop at 3530, then nothing happens before, slices between, and nothing after."""
    twap(desk, details={"t": {"p": "3510", "a": True}, "s": "3530"})
    later(desk, 60_000)
    assert history(desk) == [("waitingForTrigger", "0.0")] and desk.account(ALICE).fills == []
    assert desk.exchange.twaps.of(ALICE.address, "")[0].state["trigger"] == {"px": "3510.0", "above": True}
    desk.exchange.set_mark("ETH", 3511)
    later(desk, 100)
    assert history(desk)[-1] == ("activated", "0.0") and len(desk.account(ALICE).fills) == 1
    desk.exchange.set_mark("ETH", 3530)
    later(desk, 30_000)
    assert history(desk)[-1] == ("stopped", "1.0") and not desk.exchange.twaps.active


REFUSED = [
    ({"minutes": 1}, "Invalid TWAP duration: 1 min(s)"),
    ({"minutes": 20_000}, "Invalid TWAP duration: 20000 min(s)"),
    ({"sz": "0.02"}, "TWAP order value too small. Min is $100."),
    ({"sz": "0"}, "Order has zero size."),
    ({"sz": "0.00001"}, "Order has invalid size."),
    ({"r": True}, "Reduce-only TWAP order would increase position."),
    ({"asset": PURR, "sz": "1000", "r": True}, "Reduce-only is invalid for spot trading."),
    ({"asset": 3, "sz": "1000"}, "Trading is halted."),
]


@pytest.mark.parametrize("wanted,why", REFUSED)
def test_what_cannot_be_is_refused_in_an_ok_envelope(desk: Desk, wanted: dict[str, Any], why: str) -> None:
    assert twap(desk, **wanted) == why


def test_too_many_and_unknown_assets_are_refused(desk: Desk) -> None:
    for _ in range(50):
        assert isinstance(twap(desk, "1", 60), int)
    assert twap(desk, "1", 60) == "Exceeded max number of active TWAP orders."
    wanted = {"a": 77, "b": True, "s": "1", "r": False, "m": 5, "t": False}
    assert desk.act(ALICE, {"type": "twapOrder", "twap": wanted})["status"] == "err"


def test_a_slice_that_is_refused_ends_it_with_the_reason(desk: Desk) -> None:
    """Given an account without the margin, then the TWAP errs with the words that an order would get."""
    twap(desk, "100000", 5)
    row = desk.account(ALICE).twap_history[-1]
    assert row["status"] == {"status": "error", "description": "Insufficient margin to place order."}
    assert not desk.exchange.twaps.active


def test_reduce_only_slices_stop_at_the_position(desk: Desk) -> None:
    desk.order(ALICE, ETH, "buy", "3501", "2", "Ioc")
    twap(desk, "10", 5, is_buy=False, r=True)
    for _ in range(3):
        later(desk, 30_000)
    assert desk.account(ALICE).positions[ETH].lots == 0
    row = desk.account(ALICE).twap_history[-1]
    assert row["status"]["description"] == "Reduce only order would increase position."


def test_a_sub_accounts_twap_and_a_spot_one(desk: Desk) -> None:
    twap(desk, "10", 5, vault=SUB_ACCOUNT)
    assert len(desk.exchange.accounts[SUB_ACCOUNT].fills) == 1
    desk.exchange.grant(BOB.address, 1, 1000 * 10**5)
    desk.order(BOB, PURR, "sell", "0.2", "1000")
    twap(desk, "1000", 5, asset=PURR)
    assert desk.account(ALICE).fills[-1]["coin"] == "PURR/USDC"


def test_streams_and_queries_tell_of_it(desk: Desk) -> None:
    """Given one slice, then history, slice fills and states say the same, by query and by block."""
    number = twap(desk)
    info = Info(desk.exchange)
    user = {"user": ALICE.address}
    (fill,) = info.answer({"type": "userTwapSliceFills", **user})
    assert fill == {"fill": desk.account(ALICE).fills[-1], "twapId": number}
    assert info.answer({"type": "userTwapSliceFillsByTime", **user, "startTime": 0}) == [fill]
    assert info.answer({"type": "userTwapSliceFillsByTime", **user, "startTime": desk.now_ms + 1}) == []
    (row,) = info.answer({"type": "twapHistory", **user})
    assert row["time"] == desk.now_ms // 1000 and row["status"] == {"status": "activated"}
    assert desk.block.twap_rows[ALICE.address] == [row] and desk.block.twap_fills[ALICE.address] == [fill]


def test_a_running_twap_survives_a_snapshot(desk: Desk) -> None:
    """Given an exchange that is frozen in mid-TWAP, then the thawed one goes on with the same slices."""
    twap(desk, "10", 5, t=True)
    later(desk, 30_000)
    other = thaw(freeze(desk.exchange), desk.exchange.universe)
    follower = copy.deepcopy(desk.exchange)
    for engine in (desk.exchange, other, follower):
        for step in range(1, 9):
            engine.run_block(desk.now_ms + step * 30_000)
        engine.assert_conserved()
    assert other.accounts[ALICE.address].fills == desk.account(ALICE).fills
    assert follower.accounts[ALICE.address].fills == desk.account(ALICE).fills
