"""Builder dexs, outcomes, and the lists that are read again: a name finds the right market or none, whatever the venue lists."""

from __future__ import annotations

import copy

import orjson
import pytest

import hlfast
from hlfast import clock
from hlfast.errors import ConfigError, NotReady
from hlfast.sim import SimExchange
from hlfast.venues.hyperliquid.limits import Limits
from hlfast.venues.hyperliquid.markets import LOOK_AGAIN_NS, Markets
from hlfast.venues.hyperliquid.metadata import Metadata

from .test_metadata import META, SPOT

XYZ = {
    "universe": [
        {"name": "xyz:NVDA", "szDecimals": 3, "maxLeverage": 10, "marginMode": "noCross"},
        {"name": "abc:TSLA", "szDecimals": 3, "maxLeverage": 10},
        {"name": "xyz:TSLA", "szDecimals": 2, "maxLeverage": 10},
    ],
    "collateralToken": 268,
}
OUTCOMES = {
    "outcomes": [
        {"outcome": 123, "name": "Rain", "description": "", "sideSpecs": [{"name": "Yes"}, {"name": "No"}], "quoteToken": "USDC"},
        {"outcome": 7, "name": "A", "description": "", "sideSpecs": [{"name": "Yes"}, {"name": "No"}]},
        {"outcome": 7, "name": "B", "description": "", "sideSpecs": [{"name": "Yes"}, {"name": "No"}]},
        {"outcome": 8, "name": "C", "description": "", "sideSpecs": [{"name": "Yes"}]},
    ]
}  # fmt: skip
DEXS = [None, {"name": "abc"}, {"name": "xyz"}, {"name": "twin"}, {"name": "twin"}]


class Venue:
    """Lists that a test may change, and what was asked."""

    def __init__(self):
        self.lists = {
            "meta": copy.deepcopy(META),
            "spotMeta": SPOT,
            "perpDexs": DEXS,
            "outcomeMeta": OUTCOMES,
            "xyz": XYZ,
        }
        self.asked, self.told, self.adopted = [], [], []
        self.limits = Limits()
        self.markets = Markets(self.ask, self.limits, lambda code, text: self.told.append(code), self.adopted.append)

    async def ask(self, payload):
        self.asked.append(payload.get("dex") or payload["type"])
        found = self.lists[self.asked[-1]]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def venue():
    clock.set_virtual(1_800_000_000 * 10**9)
    yield Venue()
    clock.set_virtual(None)


def later(ns=LOOK_AGAIN_NS + 1):
    clock.set_virtual(clock.epoch_ns() + ns)


async def test_a_builder_dex_is_loaded_on_demand_with_ids_of_its_place(venue):
    await venue.markets.load()
    with pytest.raises(ConfigError, match=r"dex 'xyz' is not loaded .* await load_dex\('xyz'\)"):
        venue.markets.metadata.resolve("xyz:NVDA")
    with pytest.raises(ConfigError, match="position 2 of the builder dex at place 2, which is not loaded"):
        venue.markets.metadata.resolve(120_002)
    rule = await venue.markets.lookup("xyz:NVDA")
    assert (rule.asset, rule.sz_decimals, rule.only_isolated, rule.collateral) == (120_000, 3, True, "USDT0")
    assert venue.markets.metadata.resolve(120_002).coin == "xyz:TSLA"
    assert any("abc:TSLA" in line and "not one of dex 'xyz'" in line for line in venue.markets.metadata.skipped)
    assert "abc:TSLA" not in venue.markets.metadata.rules, "a name of another dex at this id is nobody's"
    for name in ("nope", "twin"):
        with pytest.raises(ConfigError, match="has no dex"):
            await venue.markets.load_dex(name)


async def test_outcomes_have_names_and_ids_and_no_grid(venue):
    await venue.markets.load()
    with pytest.raises(ConfigError, match="none are loaded"):
        venue.markets.metadata.asset_of("#1230")
    metadata = await venue.markets.load_outcomes()
    assert metadata.asset_of("#1231") == 100_001_231 == metadata.asset_of(100_001_231)
    assert metadata.outcomes["#1230"].name == "Rain: Yes"
    assert set(metadata.outcomes) == {"#1230", "#1231"} and len([s for s in metadata.skipped if "outcome" in s]) == 2
    with pytest.raises(ConfigError, match="no grid"):
        metadata.resolve("#1230")
    with pytest.raises(ConfigError, match="unknown outcome '#70'"):
        metadata.asset_of("#70")
    assert metadata.asset_of("BTC") == 0 and metadata.asset_of(10107) == 10107


def test_duplicates_are_shown():
    metadata = Metadata.from_json(
        META, {**SPOT, "universe": [*SPOT["universe"], {"name": "@300", "tokens": [150, 0], "index": 300}]}
    )
    assert {pair: [rule.asset for rule in rules] for pair, rules in metadata.duplicates.items()} == {
        "HYPE/USDC": [10107, 10300]
    }
    with pytest.raises(ConfigError, match="stands for 2 instruments"):
        metadata.resolve("HYPE/USDC")


async def test_an_unknown_name_causes_one_look_and_not_another_within_a_minute(venue):
    await venue.markets.load()
    venue.lists["meta"]["universe"].append({"name": "NEW", "szDecimals": 1, "maxLeverage": 5})
    with pytest.raises(ConfigError, match="unknown instrument 'NEW'"):
        await venue.markets.lookup("NEW")
    assert venue.asked.count("meta") == 1, "the lists are fresh"
    later()
    assert (await venue.markets.lookup("NEW")).asset == 4
    for _ in range(5):
        with pytest.raises(ConfigError, match="did you mean NEW"):
            await venue.markets.lookup("new")
    assert venue.asked.count("meta") == 2


async def test_no_look_is_made_when_the_budget_is_low(venue):
    await venue.markets.load()
    later()
    venue.limits.spend("test", 1000, clock.monotonic_ns() // 1_000_000)
    with pytest.raises(ConfigError):
        await venue.markets.lookup("NEW")
    assert venue.asked.count("meta") == 1


@pytest.mark.parametrize(
    "broken",
    [
        NotReady("no answer"),
        {},
        {"universe": []},
        {"universe": [META["universe"][1], META["universe"][0], *META["universe"][2:]]},
        {"universe": [{**META["universe"][0], "szDecimals": 4}, *META["universe"][1:]]},
    ],
    ids=["no answer", "not a list", "empty", "ids moved", "other decimals"],
)
async def test_the_last_good_list_stays_when_a_new_one_is_worse(venue, broken):
    """G18: no name ever changes the market that it stands for."""
    good = await venue.markets.load()
    venue.lists["meta"] = broken
    later()
    with pytest.raises(ConfigError):
        await venue.markets.lookup("NEW")
    assert venue.markets.metadata is good and len(venue.adopted) == 1
    assert venue.told in (["metadata_stale"], ["metadata_refused"])
    assert (await venue.markets.lookup("BTC")).asset == 0


async def test_every_recorded_dex_reads_with_its_place(shared):
    """The recorded list of dexs and the contexts of one give each name its id once."""
    folder = shared / "fixtures" / "venue"
    dexs = orjson.loads((folder / "perp_dexs_mainnet_2025-12.json").read_bytes())
    place = [row and row["name"] for row in dexs].index("xyz")
    for line in (folder / "http_info_metaAndAssetCtxs.jsonl").read_text().splitlines():
        row = orjson.loads(line)
        meta = row["response"][0]
        if meta["universe"][0]["name"].startswith("xyz:"):
            metadata = Metadata.from_json(META, SPOT, {"xyz": (place, meta)})
            names = [each["name"] for each in meta["universe"]]
            assert [metadata.rules[name].asset for name in names] == [
                100_000 + place * 10_000 + n for n in range(len(names))
            ]
            return
    pytest.fail("no recording of dex xyz")


async def test_the_connector_refuses_to_trade_where_the_account_is_not_known_and_names_the_way():
    async with SimExchange(port=0, block_ms=10, traders=False) as exchange, hlfast.connect(exchange.network) as hl:
        with pytest.raises(ConfigError, match="has no dex 'xyz'"):
            await hl.load_dex("xyz")
        assert (await hl.load_outcomes())["#10"].asset == 100_000_010
        assert (await hl.lookup("BTC")).asset == 0
        hl._adopt_metadata(Metadata.from_json(META, SPOT, {"xyz": (2, XYZ)}))
        with pytest.raises(NotReady, match=r"state in dex 'xyz' has not been read yet; await load_dex\('xyz'\)"):
            hl.buy("xyz:NVDA", "1", "100")
        cash = hl.own_ledger.cash
        row = {
            "coin": "xyz:NVDA",
            "px": "100.0",
            "sz": "1.0",
            "side": "B",
            "time": clock.wall_clock_ms() + 1000,
            "startPosition": "0.0",
            "dir": "Open Long",
            "closedPnl": "0.0",
            "hash": "0x0",
            "oid": 1,
            "crossed": True,
            "fee": "0.1",
            "tid": 5,
            "feeToken": "USDC",
        }
        hl.feed_account(orjson.dumps({"channel": "userFills", "data": {"user": hl.account, "fills": [row]}}))
        assert hl.own_ledger.cash == cash, "a builder dex has cash of its own"
        assert "xyz:NVDA" not in hl.positions, "what the dex's first state says will contain it"
        assert await hl.recovery.audit() == []
