"""Instruments from the venue's lists: equal to a plain reading of the JSON, and right or absent where a row is broken."""

from __future__ import annotations

import copy
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlfast.errors import ConfigError
from hlfast.types import TradeType
from hlfast.venues.hyperliquid.metadata import Metadata

META = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 56},
        {"name": "MATIC", "szDecimals": 1, "maxLeverage": 20, "marginTableId": 20, "isDelisted": True},
        {"name": "kPEPE", "szDecimals": 0, "maxLeverage": 10, "onlyIsolated": True, "marginMode": "strictIsolated"},
        {"name": "HYPE", "szDecimals": 2, "maxLeverage": 10},
    ],
    "collateralToken": 0,
}
SPOT = {
    "tokens": [
        {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0},
        {"name": "PURR", "szDecimals": 0, "weiDecimals": 5, "index": 1},
        {"name": "HYPE", "szDecimals": 2, "weiDecimals": 8, "index": 150},
        {"name": "USDT0", "szDecimals": 2, "weiDecimals": 8, "index": 268},
    ],
    "universe": [
        {"name": "PURR/USDC", "tokens": [1, 0], "index": 0, "isCanonical": True},
        {"name": "@107", "tokens": [150, 0], "index": 107, "isCanonical": False},
        {"name": "@206", "tokens": [150, 268], "index": 206, "isCanonical": False},
    ],
}


@pytest.fixture
def metadata() -> Metadata:
    return Metadata.from_json(META, SPOT)


def test_ids_are_raw_positions_for_perps_and_the_index_field_for_spot(metadata: Metadata) -> None:
    """L108: delisted rows keep their place; number first, filter after."""
    assert metadata.skipped == []
    assert {coin: rule.asset for coin, rule in metadata.rules.items()} == {
        "BTC": 0,
        "MATIC": 1,
        "kPEPE": 2,
        "HYPE": 3,
        "PURR/USDC": 10000,
        "@107": 10107,
        "@206": 10206,
    }
    assert metadata.rules["MATIC"].is_delisted and not metadata.rules["BTC"].is_delisted


def test_a_rule_carries_what_its_row_says(metadata: Metadata) -> None:
    """Behaviour 10: size decimals, price decimals (6 or 8 minus them), leverage, margin mode, settlement, minimum."""
    btc, pepe, hype = metadata.rules["BTC"], metadata.rules["kPEPE"], metadata.rules["@206"]
    assert (btc.sz_decimals, btc.price_decimals, btc.max_leverage, btc.is_perpetual) == (5, 1, 40, True)
    assert (pepe.sz_decimals, pepe.price_decimals, pepe.only_isolated) == (0, 6, True)
    assert (hype.sz_decimals, hype.price_decimals, hype.is_perpetual, hype.max_leverage) == (2, 6, False, 1)
    assert (btc.collateral, hype.collateral) == ("USDC", "USDT0")
    assert (btc.trading_pair, hype.trading_pair) == ("BTC-USD", "HYPE/USDT0")
    assert {str(rule.min_notional) for rule in metadata.rules.values()} == {"10"}


@pytest.mark.parametrize(
    ("name", "coin"),
    [
        ("BTC", "BTC"),
        ("BTC-USD", "BTC"),
        (0, "BTC"),
        ("0", "BTC"),
        ("HYPE", "HYPE"),
        ("@107", "@107"),
        ("HYPE/USDC", "@107"),
        ("HYPE/USDT0", "@206"),
        (10107, "@107"),
        ("10107", "@107"),
        ("PURR/USDC", "PURR/USDC"),
        ("10000", "PURR/USDC"),
    ],
)
def test_every_way_to_name_an_instrument_leads_to_it(metadata: Metadata, name: str | int, coin: str) -> None:
    """L107: wire name, human name and id, each both ways."""
    rule = metadata.resolve(name)
    assert rule.coin == coin
    assert metadata.resolve(rule.trading_pair) is metadata.resolve(rule.asset) is metadata.by_asset(rule.asset) is rule


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("btc", "did you mean BTC"),
        ("KPEPE", "did you mean kPEPE"),
        ("hype/usdc", "did you mean HYPE/USDC"),
        ("PURR", "did you mean PURR/USDC"),
        ("HYPE-USDC", "did you mean HYPE/USDC"),
        ("BTCC", "did you mean BTC"),
        ("@108", "unknown instrument '@108'"),
        ("qwertz", "see trading_rules"),
        ("", "unknown instrument ''"),
        (4, "no instrument has the asset id 4"),
        ("10001", "no instrument has the asset id 10001"),
        (-1, "no instrument has the asset id -1"),
        (True, "got bool"),
        (1.0, "got float"),
        (None, "got NoneType"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(metadata: Metadata, name: Any, told: str) -> None:
    """L101, L107: never another market; the error says what may be meant."""
    with pytest.raises(ConfigError) as refused:
        metadata.resolve(name)
    assert told in str(refused.value)


def test_a_human_name_that_stands_for_several_pairs_is_refused_and_lists_them() -> None:
    """L107: token names are not unique."""
    spot = copy.deepcopy(SPOT)
    spot["tokens"].append({"name": "HYPE", "szDecimals": 0, "index": 999})
    spot["universe"].append({"name": "@300", "tokens": [999, 0], "index": 300})
    metadata = Metadata.from_json(META, spot)
    assert metadata.skipped == []
    with pytest.raises(ConfigError, match=r"stands for 2 instruments: @107 \(asset 10107\), @300 \(asset 10300\)"):
        metadata.resolve("HYPE/USDC")
    assert (metadata.resolve("@107").sz_decimals, metadata.resolve("@300").sz_decimals) == (2, 0)


def test_digits_that_are_a_name_and_another_ones_id_are_refused() -> None:
    """L101: a market called "1" and asset 1 are two things."""
    meta = {"universe": [{"name": "1", "szDecimals": 2}, {"name": "BTC", "szDecimals": 5}]}
    metadata = Metadata.from_json(meta, SPOT)
    with pytest.raises(ConfigError, match="give the id as an int"):
        metadata.resolve("1")
    assert metadata.resolve(1).coin == "BTC"


def test_tokens_of_a_spot_pair_and_of_nothing_else(metadata: Metadata) -> None:
    assert metadata.tokens_of("@107") == ("HYPE", "USDC")
    assert metadata.tokens_of("PURR/USDC") == ("PURR", "USDC")
    for coin in ("BTC", "HYPE/USDC", "@9"):
        with pytest.raises(ConfigError, match="not the wire name of a spot pair"):
            metadata.tokens_of(coin)


# -- broken rows --------------------------------------------------------------------------------------------------------
BROKEN = [None, True, -1, 1.5, 10**30, "", " ", "x", "5", [], [0], {}, "\x00", "a" * 100]
FIELDS = [
    *[
        ("perp", "universe", row, key)
        for row in range(4)
        for key in ("name", "szDecimals", "maxLeverage", "isDelisted")
    ],
    ("perp", "universe", 2, "onlyIsolated"),
    ("perp", "universe", 2, "marginMode"),
    *[("spot", "universe", row, key) for row in range(3) for key in ("name", "tokens", "index")],
    *[("spot", "tokens", row, key) for row in range(4) for key in ("name", "szDecimals", "index")],
]


@pytest.mark.parametrize(("side", "table", "row", "key"), FIELDS)
def test_each_field_of_each_row_broken_in_turn_is_skipped_and_never_another_market(
    metadata: Metadata, side: str, table: str, row: int, key: str
) -> None:
    """L102, G18: what is left is as before, field for field; what is gone is reported; nothing raises."""
    for broken in BROKEN:
        meta, spot = copy.deepcopy(META), copy.deepcopy(SPOT)
        ({"perp": meta, "spot": spot}[side])[table][row][key] = broken
        found = Metadata.from_json(meta, spot)
        for coin, rule in found.rules.items():
            before = metadata.rules.get(coin)
            if before is None:
                assert key == "name", f"{coin} appeared out of a broken {key}"
                continue
            assert rule.asset == before.asset
            if key in ("szDecimals", "name") and (side, rule.is_perpetual) != ("perp", True):
                assert rule.sz_decimals == before.sz_decimals
        assert len(found.rules) == len(metadata.rules) or found.skipped
        for line in found.skipped:
            assert isinstance(line, str) and len(line) < 400


@pytest.mark.parametrize(
    "broken", [None, [], {}, "x", 3, {"universe": None}, {"universe": {}}, {"universe": [None, 1]}]
)
def test_an_answer_that_is_no_list_of_instruments_stops_nothing(broken: Any) -> None:
    """G18: reported, and the other half stands."""
    found = Metadata.from_json(broken, SPOT)
    assert set(found.rules) == {"PURR/USDC", "@107", "@206"}
    assert found.skipped or broken == {}
    found = Metadata.from_json(META, broken)
    assert set(found.rules) == {"BTC", "MATIC", "kPEPE", "HYPE"}
    assert found.skipped
    assert Metadata.from_json(broken, broken).rules == {}


def test_two_rows_with_one_name_or_id_are_both_left_out() -> None:
    """L101: which of them is meant cannot be known."""
    meta, spot = copy.deepcopy(META), copy.deepcopy(SPOT)
    meta["universe"][3]["name"] = "BTC"
    spot["universe"][2].update(index=107, name="HYPE/USDT0")
    found = Metadata.from_json(meta, spot)
    assert set(found.rules) == {"MATIC", "kPEPE", "PURR/USDC"}
    assert len(found.skipped) == 4 and all("same name or id" in line for line in found.skipped)
    with pytest.raises(ConfigError, match="'BTC' was left out"):
        found.resolve("BTC")
    with pytest.raises(ConfigError, match="no instrument has the asset id 10107"):
        found.resolve(10107)


def test_two_tokens_with_one_number_take_their_pairs_with_them() -> None:
    """L102: the pair's size decimals would be one of two."""
    spot = copy.deepcopy(SPOT)
    spot["tokens"].append({"name": "FAKE", "szDecimals": 7, "index": 150})
    found = Metadata.from_json(META, spot)
    assert set(found.rules) == {"BTC", "MATIC", "kPEPE", "HYPE", "PURR/USDC"}
    assert any("FAKE" in line for line in found.skipped)


@pytest.mark.parametrize("name", ["@5", "PURR/USDC", "#10", "xyz:NVDA", "+3"])
def test_a_perp_with_another_kind_of_name_is_left_out(name: str) -> None:
    """L101: its id would be another market's."""
    found = Metadata.from_json({"universe": [{"name": name, "szDecimals": 2, "maxLeverage": 5}]}, SPOT)
    assert all(not rule.is_perpetual for rule in found.rules.values())
    assert found.skipped


@pytest.mark.parametrize("name", ["@106", "HYPE/USDT0", "HYPE", "BTC/USDC", "@0107"])
def test_a_spot_name_that_agrees_neither_with_its_index_nor_its_tokens_is_left_out(name: str) -> None:
    """G18: name and id are checked against each other."""
    spot = copy.deepcopy(SPOT)
    spot["universe"][1]["name"] = name
    found = Metadata.from_json(META, spot)
    assert 10107 not in {rule.asset for rule in found.rules.values()}
    assert "agrees neither" in found.skipped[0]


def test_other_collateral_is_named_and_an_unknown_one_is_told() -> None:
    """L106: the settlement token is the dex's own."""
    assert Metadata.from_json({**META, "collateralToken": 268}, SPOT).rules["BTC"].collateral == "USDT0"
    for broken in (7, "0", True, 1.0, [0]):
        found = Metadata.from_json({**META, "collateralToken": broken}, SPOT)
        assert found.rules["BTC"].collateral == "unknown" and "collateralToken" in found.skipped[0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
odd_rows = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["BTC", "@1", "@2", "A/B", "B/A"]) | json_values,
        "szDecimals": st.integers(-1, 9) | json_values,
        "maxLeverage": st.integers(0, 50) | json_values,
        "index": st.integers(-1, 3) | json_values,
        "tokens": st.lists(st.integers(0, 3), max_size=3) | json_values,
        "isDelisted": st.booleans() | json_values,
    },
)
odd_tables = st.lists(odd_rows | json_values, max_size=6) | json_values


@settings(max_examples=300, deadline=None)
@given(perps=odd_tables, pairs=odd_tables, tokens=odd_tables, collateral=json_values)
def test_whatever_the_lists_contain_an_instrument_is_right_or_absent(
    perps: Any, pairs: Any, tokens: Any, collateral: Any
) -> None:
    """L101, L102, G18: no input raises; each rule's id is its row's; each row is a rule or a report."""
    found = Metadata.from_json(
        {"universe": perps, "collateralToken": collateral}, {"universe": pairs, "tokens": tokens}
    )
    for coin, rule in found.rules.items():
        assert found.resolve(rule.asset) is rule
        if rule.is_perpetual:
            assert perps[rule.asset]["name"] == coin
            assert perps[rule.asset]["szDecimals"] == rule.sz_decimals
        else:
            rows = [row for row in pairs if isinstance(row, dict) and row.get("index") == rule.asset - 10_000]
            assert coin in [row.get("name") for row in rows]
            base = [t for t in tokens if isinstance(t, dict) and t.get("name") == found.tokens_of(coin)[0]]
            assert rule.sz_decimals in [token.get("szDecimals") for token in base]
    rows = sum(len(table) for table in (perps, pairs) if isinstance(table, list))
    assert len(found.rules) + len(found.skipped) >= rows


# -- the recorded universes ---------------------------------------------------------------------------------------------
UNIVERSES = [
    ("meta.json", "spot_meta.json", 422),
    ("meta_testnet_2025-08.json", "spot_meta_testnet_2025-08.json", 1283),
    ("meta_testnet_2025-08_2.json", "spot_meta_testnet_2025-08.json", 1284),
]


@pytest.mark.parametrize(("perps", "pairs", "count"), UNIVERSES)
def test_the_recorded_universes_read_like_plain_json(shared: Path, perps: str, pairs: str, count: int) -> None:
    """Real input: every row a rule, none skipped, each equal to what its row says; every name leads back to it."""
    folder = shared / "fixtures" / "venue"
    meta, spot = json.loads((folder / perps).read_text()), json.loads((folder / pairs).read_text())
    found = Metadata.from_json(meta, spot)
    assert found.skipped == [] and len(found.rules) == count
    for position, row in enumerate(meta["universe"]):
        rule = found.resolve(row["name"])
        assert (rule.asset, rule.sz_decimals, rule.max_leverage) == (position, row["szDecimals"], row["maxLeverage"])
        assert rule.is_delisted is row.get("isDelisted", False)
        assert rule.only_isolated is row.get("onlyIsolated", False)
        assert rule.is_perpetual and rule.price_decimals == 6 - row["szDecimals"]
        assert found.resolve(position) is rule
    names = {token["index"]: token for token in spot["tokens"]}
    for row in spot["universe"]:
        base, quote = (names[number] for number in row["tokens"])
        rule = found.resolve(f"{base['name']}/{quote['name']}")
        assert (rule.coin, rule.asset, rule.sz_decimals) == (row["name"], 10_000 + row["index"], base["szDecimals"])
        assert found.resolve(row["name"]) is found.resolve(rule.asset) is rule
        assert found.tokens_of(rule.coin) == (base["name"], quote["name"])
        assert not rule.is_perpetual and rule.price_decimals == 8 - base["szDecimals"]


def fits(price: Decimal, decimals: int) -> bool:
    """The protocol's price rule on decimal text: an integer, or five figures and so many decimals."""
    _, digits, exponent = price.normalize().as_tuple()
    return price > 0 and (exponent >= 0 or (len(digits) <= 5 and -exponent <= decimals))


@pytest.mark.parametrize(("perps", "pairs", "count"), UNIVERSES)
def test_rounded_prices_are_valid_on_every_recorded_instrument(
    shared: Path, perps: str, pairs: str, count: int
) -> None:
    """L83, L84, G20: 0 invalid, none worse for the sender, and a valid price stays as it is (104337 does)."""
    folder, rng = shared / "fixtures" / "venue", random.Random(84)
    found = Metadata.from_json(json.loads((folder / perps).read_text()), json.loads((folder / pairs).read_text()))
    for rule in found.rules.values():
        decimals = (6 if rule.is_perpetual else 8) - rule.sz_decimals
        assert rule.quantize_price(104337) == 104337
        for _ in range(40):
            asked = Decimal(rng.randint(10**8, 10**9)).scaleb(-rng.randint(3, 8 + max(0, decimals - 4)))
            if asked < Decimal(1).scaleb(4 - decimals):
                continue
            low, high = rule.quantize_price(asked, TradeType.BUY), rule.quantize_price(asked, TradeType.SELL)
            assert fits(low, decimals) and fits(high, decimals) and low <= asked <= high
            assert (low == high == asked) is fits(asked, decimals)
    assert len(found.rules) == count


def test_rules_come_from_the_rows_alone(shared: Path) -> None:
    """L85: prices, open interest and funding of a recorded answer, shuffled among the markets, change no rule."""
    line = (shared / "fixtures" / "venue" / "http_info_metaAndAssetCtxs.jsonl").read_text().splitlines()[0]
    meta, contexts = json.loads(line)["response"]

    def rules(ctxs: list[Any]) -> list[tuple[Any, ...]]:
        rows = [{**ctx, **row} for row, ctx in zip(meta["universe"], ctxs, strict=True)]
        found = Metadata.from_json({**meta, "universe": rows}, {"universe": [], "tokens": []})
        return [
            (r.coin, r.asset, r.sz_decimals, r.tick_size, r.step_size, r.min_size, r.min_notional, r.max_leverage)
            for r in found.rules.values()
        ]

    plain = rules([{} for _ in contexts])
    assert plain
    for seed in range(5):
        assert rules(random.Random(seed).sample(contexts, len(contexts))) == plain


@pytest.mark.parametrize("name", ["meta", "metaAndAssetCtxs", "allPerpMetas"])
def test_recorded_small_universes_are_read_or_their_rows_told(shared: Path, name: str) -> None:
    """Real input: rows of builder dexs are left out by name; every other row is a rule."""
    path = shared / "fixtures" / "venue" / f"http_info_{name}.jsonl"
    for line in path.read_text().splitlines():
        answer = json.loads(line)["response"]
        for meta in answer if name == "allPerpMetas" else [answer if name == "meta" else answer[0]]:
            found = Metadata.from_json(meta, {"universe": [], "tokens": []})
            for position, row in enumerate(meta["universe"]):
                if ":" in row["name"]:
                    assert any(repr(row["name"]) in text for text in found.skipped)
                else:
                    assert found.resolve(row["name"]).asset == position


@pytest.mark.parametrize("name", ["spotMeta", "spotMetaAndAssetCtxs"])
def test_recorded_small_spot_lists_are_read_or_their_rows_told(shared: Path, name: str) -> None:
    """Real input: a pair whose token is missing from the list is left out by name; every other row is a rule."""
    path = shared / "fixtures" / "venue" / f"http_info_{name}.jsonl"
    for line in path.read_text().splitlines():
        answer = json.loads(line)["response"]
        spot = answer if name == "spotMeta" else answer[0]
        found = Metadata.from_json({"universe": []}, spot)
        listed = {token["index"] for token in spot["tokens"]}
        for row in spot["universe"]:
            if set(row["tokens"]) <= listed and row["name"].startswith("@"):
                assert found.resolve(row["name"]).asset == 10_000 + row["index"]
        assert len(found.rules) + len(found.skipped) >= len(spot["universe"])
