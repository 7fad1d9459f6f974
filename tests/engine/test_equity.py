"""The equity curve: exact points from a connector's own figures, and no figure where a price is not known."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

import hlfast
from hlfast.core.position import Position
from hlfast.engine.equity import Sampler, equity_point
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS

from .conftest import QUICK, open_sim


def account(**held: Any) -> Any:
    """A connector that holds these positions: coin to (size, entry, middle price)."""

    def bbo(coin: str) -> Any:
        return SimpleNamespace(mid_price=held[coin][2])

    def book(coin: str) -> Any:
        raise ConfigError("not watched")

    positions = {coin: Position(coin, size=size, entry_price=entry) for coin, (size, entry, _) in held.items()}
    ledger = {"cash": Decimal("1000.01"), "fees": {"USDC": Decimal("0.5")}, "funding": Decimal("-0.1"), "spot": {}}
    return SimpleNamespace(bbo=bbo, book=book, positions=positions, ledger=ledger)


def test_a_point_values_every_position_exactly() -> None:
    point = equity_point(account(BTC=(Decimal("0.3"), 100, Decimal("110.1")), ETH=(Decimal(-2), 10, Decimal("10.05"))))
    assert Decimal(point["equity"]) == Decimal("1000.01") + Decimal("33.03") - Decimal("20.1")
    assert Decimal(point["unrealized"]) == Decimal("3.03") - Decimal("0.1")
    assert (point["cash"], point["fees"], point["funding"]) == ("1000.01", "0.5", "-0.1")
    assert orjson.loads(point["marks"]) == {"BTC": "110.1", "ETH": "10.05"} and point["unvalued"] == "[]"


def test_what_has_no_price_is_named_and_no_sum_pretends() -> None:
    """Given a position without a mark and a spot token, then equity is unknown, not wrong."""
    held = account(BTC=(Decimal(1), 100, None))
    held.ledger["spot"] = {"USDC": Decimal(5), "PURR": Decimal(7)}
    point = equity_point(held)
    assert point["equity"] is None and point["unrealized"] is None
    assert orjson.loads(point["unvalued"]) == ["BTC", "PURR"]
    held.positions.clear()
    assert Decimal(equity_point(held)["equity"]) == Decimal("1005.01"), "USDC on the spot side counts, PURR does not"


def test_an_interval_is_above_zero() -> None:
    with pytest.raises(ConfigError, match="every so many seconds, got 0"):
        Sampler(None, None, 0)  # type: ignore[arg-type]


async def test_a_connector_keeps_points_that_agree_with_the_exchange(tmp_path: Path) -> None:
    """Given trades, then the last point's equity is the account's value at the exchange's prices, to the last decimal."""
    exchange = await open_sim()
    settings = hlfast.Settings(backoff_min=QUICK.backoff_min, hold_ms=500, equity_interval=0.05)
    try:
        hl = hlfast.connect(exchange.network, key=FUNDED_ACCOUNTS[0].key, journal=tmp_path, settings=settings)
        async with hl:
            hl.watch("BTC")
            await hl.wait_ready(10)
            order = hl.buy("BTC", "0.01", "65010", tif="Ioc")
            await order.done()
            assert hl.positions["BTC"].signed_size == Decimal("0.01"), "booked before the order's end is told"
        truth = exchange.truth(hl.account)
    finally:
        await exchange.stop()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.row_factory = sqlite3.Row
        points = db.execute("SELECT * FROM equity ORDER BY id").fetchall()
        [latency] = db.execute("SELECT latency FROM runs").fetchone()
    last = points[-1]
    assert Decimal(last["cash"]) == Decimal(str(truth["cash"])), truth
    assert Decimal(last["equity"]) == Decimal(last["cash"]) + Decimal("0.01") * 65000 + Decimal(
        truth["spot"]["USDC"]["total"]
    )
    assert orjson.loads(last["marks"]) == {"BTC": "65000"} and Decimal(last["fees"]) > 0
    assert [p["recv_ns"] for p in points] == sorted({p["recv_ns"] for p in points})
    assert orjson.loads(latency)["ack"]["count"] >= 1
