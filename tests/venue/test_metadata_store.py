"""The last good lists of instruments on disk: used when the venue does not answer at the start, said, and given up for its word."""

from __future__ import annotations

import asyncio
import copy
import subprocess
import sys
from typing import Any

import orjson
import pytest

import hlfast
from hlfast import clock
from hlfast.config import Network, Settings, simulator
from hlfast.core import events as ev
from hlfast.errors import ConfigError, NotReady
from hlfast.sim import SimExchange
from hlfast.venues.hyperliquid import connector as connector_module
from hlfast.venues.hyperliquid.limits import Limits
from hlfast.venues.hyperliquid.markets import Markets
from hlfast.venues.hyperliquid.metadata_store import MetadataStore, age_text

from ..children import surroundings
from .test_markets import XYZ, Venue
from .test_metadata import META

SIMULATOR = simulator(8000)
KEPT = Settings(metadata_cache=True, backoff_min=0.02, backoff_max=0.2)


@pytest.fixture
def cache(tmp_path: Any, monkeypatch: Any) -> Any:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "HLFAST_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".cache" / "hlfast" / "metadata"


class Start:
    """One run against lists that a test may change or withhold."""

    def __init__(self, lists: dict[str, Any], network: Network = SIMULATOR) -> None:
        self.venue, self.told = Venue(), []
        self.venue.lists |= lists
        self.store = MetadataStore(network)
        self.adopted: list[Any] = []
        self.markets = Markets(
            self.venue.ask, Limits(), lambda code, text: self.told.append((code, text)), self.adopted.append, self.store
        )


DOWN = {"meta": NotReady("HTTP 503")}


async def test_a_start_without_the_venues_lists_goes_on_from_disk_and_says_so(cache: Any) -> None:
    """G18: given a run that read the lists and another to which the venue does not answer, then the names are known from the
    copy, which is told with its age, until the venue answers."""
    first = Start({"xyz": XYZ})
    await first.markets.load_at_start()
    await first.markets.load_dex("xyz")
    assert [path.parent for path in cache.iterdir()] == [cache] and first.markets.from_disk_ms is None
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in cache.iterdir())
    clock.set_virtual(clock.epoch_ns() + 3 * 3_600_000_000_000)
    try:
        second = Start(DOWN)
        metadata = await second.markets.load_at_start()
        assert metadata.resolve("BTC").asset == 0 and "xyz:NVDA" not in metadata.rules, "only what is asked for"
        ((code, text),) = second.told
        assert code == "metadata_from_disk" and "3 h old" in text and "HTTP 503" in text
        assert [rule.coin for rule in await second.markets.load_dex("xyz")] == ["xyz:NVDA", "xyz:TSLA"]
        with pytest.raises(NotReady):
            await second.markets.load()
        assert second.markets.from_disk_ms is not None
        second.venue.lists["meta"], second.venue.lists["xyz"] = META, XYZ
        await second.markets.load()
        assert second.markets.from_disk_ms is None and second.markets.metadata.resolve("xyz:NVDA").asset == 120_000
    finally:
        clock.set_virtual(None)


async def test_the_venues_word_counts_against_the_copy(cache: Any) -> None:
    """G18, L101: given a copy that gives BTC another id than the venue does now, then once the venue answers its id is the one
    that is used, and that is told. A live list never yields so to another live one."""
    await Start({}).markets.load_at_start()
    moved = copy.deepcopy(META)
    moved["universe"][0], moved["universe"][1] = moved["universe"][1], moved["universe"][0]
    run = Start(DOWN)
    await run.markets.load_at_start()
    assert run.markets.metadata.resolve("BTC").asset == 0
    run.venue.lists["meta"] = moved
    await run.markets.load()
    assert run.markets.metadata.resolve("BTC").asset == 1 and run.adopted[-1] is run.markets.metadata
    assert [code for code, _ in run.told] == ["metadata_from_disk", "metadata_contradicted"]
    run.venue.lists["meta"] = META
    await run.markets.load()
    assert run.markets.metadata.resolve("BTC").asset == 1 and run.told[-1][0] == "metadata_refused"


@pytest.mark.parametrize("answer", [{}, {"universe": []}, {"universe": "none"}])
async def test_an_unreadable_answer_does_not_push_the_copy_out(cache: Any, answer: Any) -> None:
    await Start({}).markets.load_at_start()
    run = Start(DOWN)
    await run.markets.load_at_start()
    run.venue.lists["meta"] = answer
    run.venue.lists["spotMeta"] = {}
    await run.markets.load()
    assert run.markets.from_disk_ms is not None and run.markets.metadata.resolve("BTC").asset == 0
    assert run.told[-1][0] == "metadata_refused"


@pytest.mark.parametrize("damage", ["missing", "torn", "other address", "other format", "not lists"])
async def test_a_copy_that_is_not_usable_is_as_none(cache: Any, damage: str) -> None:
    await Start({}).markets.load_at_start()
    (path,) = cache.iterdir()
    body = orjson.loads(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        change = {
            "other address": {"url": "https://x"},
            "other format": {"format": 2},
            "not lists": {"meta": 5, "spotMeta": 5},
        }
        path.write_bytes(orjson.dumps({**body, **change[damage]}))
    run = Start(DOWN)
    with pytest.raises(NotReady):
        await run.markets.load_at_start()
    assert run.adopted == []


async def test_a_cache_that_cannot_be_written_stops_nothing(cache: Any) -> None:
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where the folder should be")
    assert (await Start({}).markets.load_at_start()).resolve("BTC").asset == 0


def test_networks_have_files_of_their_own_and_ages_are_words(cache: Any) -> None:
    assert MetadataStore(SIMULATOR).path != MetadataStore(simulator(8001)).path
    assert [age_text(ms) for ms in (-5, 45_000, 7_200_000, 7_199_999, 3 * 86_400_000)] == [
        "0 s",
        "45 s",
        "2 h",
        "119 min",
        "3 days",
    ]


async def test_the_connector_trades_on_from_the_copy_until_the_venue_answers(cache: Any, monkeypatch: Any) -> None:
    """G18: given an exchange that answers everything but its lists, then a connector starts, trades, and takes the venue's own
    lists as soon as they come."""
    monkeypatch.setattr(connector_module, "METADATA_AGAIN_NS", 100_000_000)
    async with SimExchange(port=0, block_ms=10, traders=False) as exchange:
        async with hlfast.connect(exchange.network, settings=KEPT):
            assert len(list(cache.iterdir())) == 1
        fault = exchange.faults.arm("http_503", channel="meta", times=1_000_000)
        with pytest.raises(NotReady):
            async with hlfast.connect(exchange.network):  # loopback: no copy unless asked for
                pass
        told: list[str] = []
        hl = hlfast.connect(exchange.network, settings=KEPT)
        hl.on(ev.ConnectorError, lambda event: told.append(event.code))
        async with hl:
            assert hl.status["metadata_from_disk_ms"] and "metadata_from_disk" in told
            order = hl.buy("BTC", "0.001", "60000", tif="Alo")
            assert await order.accepted()
            fault.disarm()
            for _ in range(300):
                if "metadata_confirmed" in told:
                    break
                await asyncio.sleep(0.02)
            assert told[-1] == "metadata_confirmed" and hl.status["metadata_from_disk_ms"] is None
            hl.cancel(order)
            await order.done()


async def test_a_child_keeps_its_copy_under_its_own_home(tmp_path: Any) -> None:
    """The cache respects HOME, and XDG_CACHE_HOME over it."""
    program = (
        "import hlfast, sys\n"
        "from hlfast.venues.hyperliquid.metadata_store import MetadataStore\n"
        "from hlfast.config import MAINNET\n"
        "print(MetadataStore(MAINNET).path)"
    )
    home = surroundings(HOME=str(tmp_path))
    for name in ("XDG_CACHE_HOME", "HLFAST_CACHE"):
        home.pop(name, None)
    for more, folder in (({}, tmp_path / ".cache"), ({"XDG_CACHE_HOME": str(tmp_path / "x")}, tmp_path / "x")):
        run = subprocess.run(
            [sys.executable, "-c", program],
            env={**home, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.startswith(str(folder / "hlfast" / "metadata" / "mainnet-"))


def test_a_setting_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="dexs is a tuple"):
        Settings(dexs="demo")  # type: ignore[arg-type]


async def test_an_agents_address_is_found_out_before_the_account_goes_live(cache: Any) -> None:
    """L76: given a start from disk at which the role could not be asked either, then it is asked before LIVE, once, and an
    agent's address never goes live."""
    agent = "0x" + "a9" * 20
    master = "0x14791697260e4c9a71f18484c9f997b308e59325"
    async with SimExchange(port=0, block_ms=10, traders=False, agents={agent: master}) as exchange:
        async with hlfast.connect(exchange.network, settings=KEPT):
            pass
        faults = [exchange.faults.arm("http_503", channel=channel, times=1) for channel in ("meta", "userRole")]
        told: list[tuple[str, str]] = []
        hl = hlfast.connect(exchange.network, settings=KEPT, account=agent)
        hl.on(ev.ConnectorError, lambda event: told.append((event.code, event.text)))
        await hl.initialize()
        await hl.connect()
        try:
            with pytest.raises(NotReady):
                await hl.wait_ready(1.0)
            refused = [text for code, text in told if code == "account_refused"]
            assert len(refused) == 1 and f"pass account='{master}'" in refused[0] and faults
        finally:
            await hl.disconnect()
