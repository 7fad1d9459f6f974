"""The demo as a whole: a market maker on the local exchange over real sockets, and the audit at its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from hlfast import clock
from hlfast.cli import demo as demo_module
from hlfast.cli.demo import DemoOptions, DemoResult, run_demo
from hlfast.cli.demo_view import live_view, summary_view
from hlfast.cli.local_exchange import LocalExchange, network_at
from hlfast.errors import ConfigError, NotReady
from hlfast.sim import SimExchange

QUICK = DemoOptions(seconds=20.0)


def stop_when(condition: Callable[[dict[str, Any]], bool]) -> tuple[asyncio.Event, Callable[[dict[str, Any]], None]]:
    """A stop event, and a snapshot hook that sets it once `condition` holds."""
    stop = asyncio.Event()

    def on_snapshot(snapshot: dict[str, Any]) -> None:
        if condition(snapshot):
            stop.set()

    return stop, on_snapshot


def fills(snapshot: dict[str, Any]) -> int:
    count: int = snapshot["totals"]["fills"]
    return count


def shown(view: Any, width: int, height: int = 40) -> str:
    console = Console(record=True, width=width, height=height, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(view)
    return console.export_text()


async def test_a_run_agrees_with_the_exchange_and_its_figures_are_shown() -> None:
    """Issue 2, item 5: 0 differences, exit code 0; G7. The view and the summary show what the run came to."""
    # given
    last: dict[str, Any] = {}

    def is_enough(snapshot: dict[str, Any]) -> bool:
        if not last:
            logging.getLogger("hlfast.somewhere").warning("odd thing %d", 1)
        last.update(snapshot)
        return fills(snapshot) >= 12

    stop, on_snapshot = stop_when(is_enough)
    # when
    async with SimExchange(port=0) as exchange:
        result = await run_demo(QUICK, exchange, stop=stop, on_snapshot=on_snapshot)
        record = exchange.truth(result.account)
    # then
    assert result.differences == [] and result.exit_code == 0
    assert result.totals["fills"] == len(record["fills"]) >= 12
    assert result.totals["orders"] == len(record["orders"])
    assert not [order for order in record["orders"] if order["status"] == "open"]
    assert result.totals["fees"] == {"USDC": record["fees"]["USDC"].rstrip("0")}
    assert {p["coin"]: p["size"] for p in result.positions if p["size"] != "0"} == {
        coin: row["szi"] for coin, row in record["positions"].items()
    }
    assert result.totals["fallbacks"] == result.totals["unresolved"] == result.totals["reconnects"] == 0
    for stage in ("frame_book", "check", "encode", "sign", "write", "total", "ack"):
        figures = result.latency[stage]
        assert figures["count"] > 0 and 0 < figures["p50_ns"] <= figures["p99_ns"] <= figures["max_ns"]
    assert "warning: odd thing 1" in [said.text for said in result.events]  # and not across the screen
    # the same on the screen
    for width in (80, 100, 140):
        screen = shown(live_view(last, width), width)
        for expected in ("BTC", "ETH", "market ● LIVE", "account ● LIVE", "frame→book", "buy() in all", "spread"):
            assert expected in screen
        for book in last["books"]:
            assert book["bids"][0][0] in screen and book["asks"][0][0] in screen
    assert last["fills"][-1][1] in shown(live_view(last, 140), 140, 60)
    small = shown(live_view(last, 80, 24), 80, 24)
    assert last["fills"][-1][1] in small and "frame→book" in small, "80 x 24 shows what happened last too"
    summary = shown(summary_view(result), 100)
    assert f"all {result.totals['fills']} fills agree" in summary and "acknowledged" in summary


def drop_one_fill_frame(exchange: SimExchange) -> list[str]:
    """Lose one frame of new fills between the two; returns where it is put.

    Not in the first moments: a second after it is live the connector reads the venue's record once more, and heals that.
    """
    dropped: list[str] = []
    began = clock.monotonic_ns()

    def keep(user: str | None, channel: str, frame: str) -> bool:
        early = clock.monotonic_ns() - began < 2_000_000_000
        if channel != "userFills" or "isSnapshot" in frame or dropped or early:
            return True
        dropped.append(frame)
        return False

    exchange.frame_filter = keep
    return dropped


async def test_one_lost_fill_frame_makes_the_demo_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 2, item 5: a fill frame is dropped between the two just before the end → the differences, exit code 1."""
    # given
    monkeypatch.setattr(demo_module, "AUDIT_SECONDS", 0.3)
    async with SimExchange(port=0) as exchange:
        dropped = drop_one_fill_frame(exchange)
        stop, on_snapshot = stop_when(lambda snapshot: bool(dropped) and fills(snapshot) >= 1)
        # when
        result = await run_demo(QUICK, exchange, stop=stop, on_snapshot=on_snapshot)
        record = exchange.truth(result.account)
    # then
    assert len(dropped) == 1
    assert result.exit_code == 1
    kinds = {difference.kind for difference in result.differences}
    assert kinds >= {"cash", "fees", "fill"}
    lost = [difference for difference in result.differences if difference.kind == "fill"]
    assert len(lost) == len(record["fills"]) - result.totals["fills"] >= 1
    assert all(difference.ours == "missing" and difference.subject.split()[2] in dropped[0] for difference in lost)
    assert "missing" in shown(summary_view(result), 120)


@pytest.mark.long
async def test_a_lost_fill_is_found_where_there_is_time_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """L46: given the same loss and the time that an end waits for its fills, then the connector asks, and all agrees."""
    async with SimExchange(port=0) as exchange:
        dropped = drop_one_fill_frame(exchange)
        result = await run_demo(DemoOptions(seconds=8.0), exchange)
    assert len(dropped) == 1 and result.differences == []


@pytest.mark.parametrize("seconds", [2.0, pytest.param(5.0, marks=pytest.mark.long)])
async def test_an_outage_is_survived_and_told(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """C1, G13: sockets cut and connections refused in mid-run: it reconnects, resubscribes, goes on, says what happened."""
    # given
    monkeypatch.setattr(demo_module, "outage_start", lambda options: 1.0)
    before_and_after: list[int] = []

    def has_gone_on(snapshot: dict[str, Any]) -> bool:
        if snapshot["totals"]["reconnects"] < 2 or not snapshot["ready"]:
            return False
        if not any(text.startswith("recovered after") for _, text in snapshot["events"]):
            return False
        before_and_after.append(fills(snapshot))
        return before_and_after[-1] >= before_and_after[0] + 5

    stop, on_snapshot = stop_when(has_gone_on)
    # when
    async with SimExchange(port=0) as exchange:
        result = await run_demo(DemoOptions(seconds=40.0, outage=seconds), exchange, stop=stop, on_snapshot=on_snapshot)
    # then
    assert result.differences == []
    assert result.totals["reconnects"] == 2 and result.totals["unresolved"] == 0
    assert before_and_after[-1] >= before_and_after[0] + 5
    told = [said.text for said in result.events]
    for expected in ("OUTAGE", "market DOWN", "account DOWN", "recovered after"):
        assert any(text.startswith(expected) for text in told), expected
    down = next(i for i, text in enumerate(told) if text.startswith("account DOWN"))
    assert any(text.startswith("account LIVE") for text in told[down:])
    assert any(text.startswith("market LIVE") for text in told[down:])
    assert "account DOWN" in shown(summary_view(result), 120)


async def test_a_second_run_on_the_same_exchange_counts_its_own_fills_only() -> None:
    """Given an account with a past, when the demo uses a running exchange by its address, then 0 differences again."""
    async with SimExchange(port=0) as exchange:
        results: list[DemoResult] = []
        for _ in range(2):
            stop, on_snapshot = stop_when(lambda snapshot: fills(snapshot) >= 3)
            options = DemoOptions(seconds=20.0, exchange_url=exchange.http_url)
            results.append(await run_demo(options, stop=stop, on_snapshot=on_snapshot))
        made = len(exchange.truth(results[0].account)["fills"])
    assert [result.differences for result in results] == [[], []]
    assert made == sum(result.totals["fills"] for result in results)


async def test_an_exchange_that_dies_ends_the_run_with_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the exchange's process is killed in mid-run, then the run ends at once, says so, and does not call it well."""
    monkeypatch.setattr(demo_module, "AUDIT_SECONDS", 0.2)
    processes: list[LocalExchange] = []

    class Watched(LocalExchange):
        async def __aenter__(self) -> LocalExchange:
            processes.append(self)
            return await super().__aenter__()

    monkeypatch.setattr(demo_module, "LocalExchange", Watched)

    def kill_it(snapshot: dict[str, Any]) -> None:
        if fills(snapshot) >= 1:
            os.kill(processes[0].pid, signal.SIGKILL)

    result = await run_demo(DemoOptions(seconds=60.0), on_snapshot=kill_it)
    assert result.exit_code == 1 and result.seconds < 30
    assert "record" in {difference.kind for difference in result.differences}
    assert any("process ended with code -9" in said.text for said in result.events)


async def test_the_exchange_process_ends_with_its_block() -> None:
    """C7: whatever happens in the block, no process is left."""
    with pytest.raises(RuntimeError):
        async with LocalExchange(seed=1, block_ms=0) as exchange:
            pid = exchange.pid
            raise RuntimeError
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_an_exchange_that_cannot_start_says_why() -> None:
    exchange = LocalExchange(seed=1, block_ms=70)
    exchange.arguments += ["--host", "192.0.2.1"]
    with pytest.raises(NotReady, match="loopback only"):
        await exchange.__aenter__()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "https://127.0.0.1:8000", "http://127.0.0.1:8000/ws", ""])
def test_an_address_of_another_shape_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"http://127\.0\.0\.1:8000"):
        network_at(url)


def test_the_demo_trades_on_this_machine_only() -> None:
    """Secrets: the demo's key is public, and its orders are for a local exchange."""
    with pytest.raises(ConfigError):
        network_at("http://api.hyperliquid.xyz")
