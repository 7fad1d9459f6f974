"""Signed actions over a WebSocket, where a program has asked for that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import hlfast.compat.hyperliquid as hl
from hlfast.compat.hyperliquid.exchange import Exchange
from hlfast.compat.hyperliquid.utils.error import ClientError, ServerError
from hlfast.compat.hyperliquid.utils.types import Cloid
from hlfast.errors import UnknownOutcome
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.venues.hyperliquid.sign import Signer

GTC = {"limit": {"tif": "Gtc"}}


@pytest.fixture
def trader(venue: Any) -> Exchange:
    made = Exchange(Signer(FUNDED_ACCOUNTS[0].key), venue.url)  # type: ignore[arg-type]
    hl.configure(orders_over_ws=True, timeout=(5, 2))
    return made


def test_answers_are_those_of_http_and_threads_get_their_own(venue, trader):
    """sdk_dropin 1: `configure(orders_over_ws=True)`."""
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda n: trader.order("ETH", True, 1, 3000 + n, GTC, cloid=Cloid.from_int(n + 1)), range(20))
        )
    assert [f["response"]["data"]["statuses"][0]["resting"]["cloid"] for f in found] == [
        Cloid.from_int(n + 1).to_raw() for n in range(20)
    ]
    assert trader.session._idle == {}  # no HTTP connection was made for them
    assert trader.cancel("ETH", 999)["response"]["data"]["statuses"][0]["error"]
    hl.configure()
    assert len(trader.info.open_orders(trader.wallet.address)) == 20


def test_refusals_and_broken_sockets_mean_what_they_mean_over_http(venue, trader):
    """L24, G14: a status becomes its error; a socket that breaks or is silent leaves the outcome unknown, nothing is sent twice."""
    trader.order("ETH", True, 1, 3000, GTC)
    venue.call(venue.sim.faults.arm, "http_429", channel="order")
    with pytest.raises(ClientError) as refused:
        trader.order("ETH", True, 1, 3000, GTC)
    assert refused.value.status_code == 429 and refused.value.retry_after_s is not None
    venue.call(venue.sim.faults.arm, "http_502", channel="order", at="answer")
    with pytest.raises(ServerError) as failed:
        trader.order("ETH", True, 1, 3001, GTC, cloid=Cloid.from_int(1))
    assert isinstance(failed.value, UnknownOutcome) and failed.value.cloids == (Cloid.from_int(1).to_raw(),)
    for fault, kind in (("rst", ConnectionError), ("lost_answer", TimeoutError)):
        venue.call(venue.sim.faults.arm, fault, channel="order", at="answer")
        with pytest.raises(kind) as lost:
            trader.order("ETH", True, 1, 3002, GTC, cloid=Cloid.from_int(2))
        assert isinstance(lost.value, UnknownOutcome) and lost.value.outcome == "unknown"  # type: ignore[attr-defined]
        assert lost.value.cloids == (Cloid.from_int(2).to_raw(),)  # type: ignore[attr-defined]
    assert trader.order("ETH", True, 1, 3003, GTC)["status"] == "ok"
    venue.call(venue.sim.faults.assert_all_hit)
    hl.configure()
    assert len(trader.info.open_orders(trader.wallet.address)) == 5


def test_without_a_connection_nothing_is_sent(trader, venue):
    """G14."""
    venue.stop()
    hl.configure(orders_over_ws=True, timeout=(0.3, 1))
    with pytest.raises(TimeoutError) as caught:
        trader.order("ETH", True, 1, 3000, GTC)
    assert caught.value.outcome == "not_sent" and not isinstance(caught.value, UnknownOutcome)  # type: ignore[attr-defined]
