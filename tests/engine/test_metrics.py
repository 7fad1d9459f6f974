"""Metrics as Prometheus reads them: the format by its own parser, the figures by the connector's, and who may ask."""

from __future__ import annotations

import asyncio
import urllib.request
from decimal import Decimal
from typing import Any

import pytest

import hlfast
from hlfast.engine.gateway_settings import GatewaySettings
from hlfast.engine.metrics import MetricsServer, family, gauge, of_connector
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS

from .conftest import QUICK, open_sim

KEY = FUNDED_ACCOUNTS[0].key


async def fetch(port: int, path: str = "/metrics") -> str:
    def get() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return answer.read().decode()

    return await asyncio.get_running_loop().run_in_executor(None, get)


async def raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def parsed(text: str) -> dict[str, list[Any]]:
    """Family → samples, by prometheus_client's own parser."""
    parser = pytest.importorskip("prometheus_client.parser", reason="needs prometheus-client")
    return {one.name: one.samples for one in parser.text_string_to_metric_families(text)}


def value(families: dict[str, list[Any]], name: str, **labels: str) -> float:
    base = name.removesuffix("_total") if name.endswith("_total") else name
    (found,) = [s.value for s in families[base] if s.name == name and s.labels == labels]
    return found


@pytest.fixture
async def exchange() -> Any:
    made = await open_sim()
    yield made
    await made.stop()


async def test_what_is_served_is_what_the_connector_knows(exchange, tmp_path):
    """Item by item: stages, rates, budgets, ages, connections, orders by state, position, PnL, journal."""
    async with hlfast.connect(
        exchange.network, key=KEY, settings=QUICK, journal=tmp_path / "j", metrics="127.0.0.1:0"
    ) as hl:
        (server,) = hl._services
        hl.watch("BTC", trades=True)
        await hl.wait_ready(10)
        resting = hl.buy("BTC", "0.001", "60000")
        taking = hl.buy("BTC", "0.01", "65010", tif="Ioc")
        assert await resting.accepted() and await taking.done()
        await asyncio.sleep(0.1)
        text = await fetch(server.port)
        found = parsed(text)
        info = found["hlfast_info"][0].labels
        assert (info["version"], info["network"], info["account"]) == (hlfast.__version__, hl.network.name, hl.account)
        assert value(found, "hlfast_ready") == 1
        for stream in ("market", "account"):
            assert value(found, "hlfast_stream_live", stream=stream) == 1
            assert value(found, "hlfast_connections_total", stream=stream) == 1
            assert 0 <= value(found, "hlfast_stream_age_seconds", stream=stream) < 60
        assert 0 <= value(found, "hlfast_book_age_seconds", coin="BTC") < 60
        assert value(found, "hlfast_orders", state="OPEN") == 1 and value(found, "hlfast_orders_unresolved") == 0
        assert value(found, "hlfast_position_size", coin="BTC") == 0.01
        assert value(found, "hlfast_position_entry_price", coin="BTC") == 65010
        assert value(found, "hlfast_fees", token="USDC") == float(hl.ledger["fees"]["USDC"])
        assert Decimal(text.split("\nhlfast_cash ")[1].split("\n")[0]) == hl.ledger["cash"]
        assert value(found, "hlfast_realized_pnl", coin="BTC") == 0
        assert value(found, "hlfast_budget_left", budget="ip_weight") < 1200
        assert value(found, "hlfast_budget_left", budget="messages") < 2000
        assert value(found, "hlfast_events_total", kind="tracker_fills") == 1
        assert value(found, "hlfast_events_total", kind="market_frames") > 0
        assert value(found, "hlfast_journal_state", state="RUNNING") == 1
        assert value(found, "hlfast_journal_state", state="FAILED") == 0
        stages = {s.labels["stage"]: s.value for s in found["hlfast_stage_seconds"] if s.name.endswith("_count")}
        assert stages["total"] >= 2 and set(stages) == set(hl.latency.stages())
        assert value(found, "process_resident_memory_bytes") > 1e6 and value(found, "hlfast_scrape_failures_total") == 0
        port = server.port
    with pytest.raises(OSError):
        await fetch(port)  # it ended with its connector


async def test_a_lost_stream_is_seen(exchange):
    """What an alarm is made of: not live, then one connection more."""
    async with hlfast.connect(exchange.network, key=KEY, settings=QUICK, metrics="127.0.0.1:0") as hl:
        (server,) = hl._services
        await exchange.cut()
        for _ in range(500):
            found = parsed(await server.text())
            if value(found, "hlfast_connections_total", stream="account") > 1 and value(found, "hlfast_ready"):
                break
            await asyncio.sleep(0.01)
        else:
            raise AssertionError("it did not come back")


async def test_a_gateway_serves_its_own_figures_too(open_desk):
    desk = await open_desk(GatewaySettings(metrics="127.0.0.1:0"))
    desk.send(b"{")
    desk.place("a")
    await desk.report("a")
    found = parsed(await fetch(desk.gateway.metrics.port))
    assert value(found, "hlfast_gateway_messages_total", topic="exec.report") == 2
    assert value(found, "hlfast_gateway_counts_total", kind="bad_messages") == 1
    assert value(found, "hlfast_gateway_live") == 1 and value(found, "hlfast_orders", state="OPEN") == 1


async def test_only_the_metrics_are_served_and_bad_requests_harm_nobody(exchange):
    """Bad input: other paths and methods, no HTTP, too much of it."""
    hl = hlfast.connect(exchange.network, key=KEY, settings=QUICK)
    server = MetricsServer("127.0.0.1:0", of_connector(hl))
    await server.start()
    try:
        assert (await raw(server.port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
        assert (await raw(server.port, b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405")
        assert await raw(server.port, b"x" * 20_000) == b""
        assert await raw(server.port, b"\xff\x00\r\n\r\n")
        head = await raw(server.port, b"HEAD /metrics HTTP/1.1\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200") and head.endswith(b"\r\n\r\n")
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(40)]
        for _, writer in silent:
            writer.close()
        while server._connections:
            await asyncio.sleep(0.01)
        assert "hlfast_ready 0" in await fetch(server.port, "/metrics?x=1")
    finally:
        await server.stop()


async def test_each_section_has_a_turn_of_the_loop_of_its_own():
    """A scrape is off the hot path: between two sections everything else has its turn."""
    turns: list[str] = []
    loop = asyncio.get_running_loop()

    def section(name: str) -> Any:
        def text() -> str:
            turns.append(name)
            loop.call_soon(turns.append, "frame")
            return gauge(f"s_{name}", "Text.", 1)

        return text

    server = MetricsServer("127.0.0.1:0", [section(name) for name in "abc"])
    await server.text()
    assert turns == ["a", "frame", "b", "frame", "c", "frame"]


async def test_a_section_that_fails_is_left_out_and_counted():
    def broken() -> str:
        raise RuntimeError("x")

    server = MetricsServer("127.0.0.1:0", [broken, lambda: gauge("fine", "Text.", 1)])
    found = parsed(await server.text())
    assert value(found, "fine") == 1 and value(found, "hlfast_scrape_failures_total") == 1


@pytest.mark.parametrize("address", ["0.0.0.0:9090", "10.0.0.1:9090", "[::]:9090"])
def test_beyond_loopback_only_by_name(address):
    """They tell positions and PnL."""
    with pytest.raises(ConfigError, match="other machines"):
        MetricsServer(address, [])
    assert MetricsServer(address, [], allow_remote=True).port == 9090


@pytest.mark.parametrize("address", ["", "9090", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_is_host_and_port(address):
    with pytest.raises(ConfigError, match="HOST:PORT"):
        MetricsServer(address, [])


async def test_a_taken_port_is_an_error_at_the_start():
    first = MetricsServer("127.0.0.1:0", [])
    await first.start()
    try:
        with pytest.raises(ConfigError, match="cannot be served"):
            await MetricsServer(f"127.0.0.1:{first.port}", []).start()
    finally:
        await first.stop()


def test_labels_and_numbers_are_exact():
    """Labels are escaped, decimals keep every digit, what is not known is left out."""
    labels = {"coin": 'a"b\\c\nd'}
    text = family("m", "gauge", "Text.", [(labels, Decimal("1E-7")), ({"coin": "x"}, None)])
    assert text.splitlines()[2:] == ['m{coin="a\\"b\\\\c\\nd"} 0.0000001']
    (sample,) = parsed(text)["m"]
    assert sample.labels == labels and sample.value == 1e-7
    assert family("m", "gauge", "Text.", [({}, None)]) == "" and gauge("m", "Text.", True).endswith("m 1\n")
