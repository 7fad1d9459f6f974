"""The drop-in's `Info`: what a constructor asks for, odd metadata, names that are listed later, every query's body."""

from __future__ import annotations

import copy
import logging
import threading
from typing import Any

import pytest

from hlfast.compat.hyperliquid import info as module
from hlfast.compat.hyperliquid.info import Info
from hlfast.compat.hyperliquid.utils.types import Cloid

from .calls import META, SPOT_META
from .far_end import FarEnd, answer, hang_up

DEXS = [None, {"name": "one"}, None, {"name": "test"}]
QUERIES: dict[str, tuple[Any, ...]] = {
    "user_state": ("0xA", "dex"),
    "spot_user_state": ("0xA",),
    "open_orders": ("0xA",),
    "frontend_open_orders": ("0xA", "dex"),
    "all_mids": ("dex",),
    "user_fills": ("0xA",),
    "user_fills_by_time": ("0xA", 1, None, True),
    "meta": (),
    "meta_and_asset_ctxs": (),
    "perp_dexs": (),
    "spot_meta": (),
    "spot_meta_and_asset_ctxs": (),
    "funding_history": ("ETH", 1),
    "user_funding_history": ("0xA", 1, 2),
    "l2_snapshot": ("KORILA/USDC",),
    "candles_snapshot": ("ETH", "1m", 1, 2),
    "user_fees": ("0xA",),
    "user_staking_summary": ("0xA",),
    "user_staking_delegations": ("0xA",),
    "user_staking_rewards": ("0xA",),
    "delegator_history": ("0xA",),
    "query_order_by_oid": ("0xA", 5),
    "query_referral_state": ("0xA",),
    "query_sub_accounts": ("0xA",),
    "query_user_to_multi_sig_signers": ("0xA",),
    "query_perp_deploy_auction_status": (),
    "query_spot_deploy_auction_status": ("0xA",),
    "query_user_dex_abstraction_state": ("0xA",),
    "query_user_abstraction_state": ("0xA",),
    "historical_orders": ("0xA",),
    "user_non_funding_ledger_updates": ("0xA", 1),
    "portfolio": ("0xA",),
    "user_twap_slice_fills": ("0xA",),
    "user_vault_equities": ("0xA",),
    "user_role": ("0xA",),
    "user_rate_limit": ("0xA",),
    "extra_agents": ("0xA",),
}


def by_type(**answers: Any) -> Any:
    """A venue that answers each type of query with what is given."""
    return lambda sock, request: answer(answers.get(request.body["type"]))(sock, request)


def types(far: FarEnd) -> list[Any]:
    return [(r.body["type"], r.body["dex"]) if "dex" in r.body else r.body["type"] for r in far.requests]


def offline(**options: Any) -> Info:
    return Info("http://127.0.0.1:1", skip_ws=True, meta=META, spot_meta=SPOT_META, **options)  # type: ignore[arg-type]


# -- queries ------------------------------------------------------------------------------------------------------------
def bodies(made: Any) -> dict[str, Any]:
    """Method → what it posts, keys in order."""
    found: dict[str, Any] = {}
    made.post = lambda path, payload: (path, list(payload.items()))
    for name, arguments in QUERIES.items():
        found[name] = getattr(made, name)(*arguments)
    found["funding_history with an end"] = made.funding_history("BTC", 1, 2)
    found["user_funding_history without an end"] = made.user_funding_history("0xA", 1)
    return found


def test_every_query_posts_what_the_sdk_posts(sdk):
    """sdk_dropin 4.2: 37 of them, and what they post by default."""
    theirs = sdk("info").Info("http://127.0.0.1:1", True, META, SPOT_META)
    assert bodies(offline()) == bodies(theirs)
    cloid = Cloid.from_int(1)
    asked = offline()
    asked.post = lambda path, payload: payload  # type: ignore[method-assign]
    assert asked.query_order_by_cloid("0xA", cloid)["oid"] == cloid.to_raw()


def test_names_resolve_as_in_the_sdk(sdk):
    """sdk_dropin 4.1: the three dicts, the same keys and values in the same order."""
    theirs = sdk("info").Info("http://127.0.0.1:1", True, META, SPOT_META)
    mine = offline()
    for name in ("coin_to_asset", "name_to_coin", "asset_to_sz_decimals"):
        assert list(getattr(mine, name).items()) == list(getattr(theirs, name).items()), name
    assert mine.name_to_asset("KORILA/USDC") == 10_008 and mine.name_to_coin["KORILA/USDC"] == "@8"


# -- the constructor ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, ["spotMeta", ("meta", "")]),
        ({"spot_meta": SPOT_META}, [("meta", "")]),
        ({"meta": META}, ["spotMeta"]),
        ({"perp_dexs": ["", "test"]}, ["spotMeta", "perpDexs", ("meta", ""), ("meta", "test")]),
        ({"perp_dexs": ["test"], "spot_meta": SPOT_META}, ["perpDexs", ("meta", "test")]),
    ],
)
def test_the_constructor_asks_for_what_it_needs_and_no_more(options, asked):
    """sdk_dropin 4.1: which requests, in which order; nothing is shared between instances."""
    with FarEnd(by_type(spotMeta=SPOT_META, meta=META, perpDexs=DEXS)) as far:
        for _ in range(2):
            made = Info(far.url, True, **options)
    assert types(far) == asked * 2
    if "perp_dexs" in options:  # the third of the raw list, where None stands for the main dex
        assert made.coin_to_asset["ETH"] == 130_001


def test_a_constructor_that_fails_leaves_nothing_running():
    """S16, L118: the metadata cannot be had; the original hangs on a thread that it has started before."""
    before = set(threading.enumerate())
    for broken in (hang_up, answer(0, 500, text="null"), answer({})):
        with FarEnd(broken) as far, pytest.raises(Exception):  # noqa: B017
            Info(far.url)
    with pytest.raises(KeyError), FarEnd(by_type(spotMeta=SPOT_META, perpDexs=DEXS)) as far:
        Info(far.url, perp_dexs=["nowhere"])
    left = {t for t in threading.enumerate() if t not in before and not t.daemon}
    assert left == set()


def test_markets_that_do_not_parse_are_left_out_with_a_warning_each(caplog):
    """S17, G18: a pair whose token is missing, a null dex, a perp without decimals: the rest loads."""
    spot: Any = copy.deepcopy(SPOT_META)
    spot["universe"].insert(0, {"tokens": [1, 99], "name": "@99", "index": 99})
    spot["universe"].append({"name": "@100"})
    spot["tokens"].append(None)
    meta: Any = {"universe": [{"name": "BTC"}, None, {"name": "ETH", "szDecimals": 4}]}
    with FarEnd(by_type(spotMeta=spot, meta=meta, perpDexs=DEXS)) as far:
        made = Info(far.url, True, perp_dexs=["", "test"])
    assert made.coin_to_asset == {"PURR/USDC": 10_000, "@8": 10_008, "ETH": 130_002}
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 7 and "'@99'" in caplog.text


# -- names that are not known -------------------------------------------------------------------------------------------
def test_a_market_that_was_listed_later_is_found_by_one_new_query(monkeypatch):
    """S18, L103: one refresh on a miss, at most one in ten seconds, then the KeyError."""
    listed = {"universe": [*META["universe"], {"name": "NEW", "szDecimals": 1}]}
    answers = {"spotMeta": SPOT_META, "meta": META}
    with FarEnd(lambda sock, request: answer(answers[request.body["type"]])(sock, request)) as far:
        made = Info(far.url, True)
        answers["meta"] = listed
        assert made.name_to_asset("NEW") == 4 and types(far) == ["spotMeta", ("meta", ""), ("meta", "")]
        for _ in range(3):
            with pytest.raises(KeyError, match="NEWER"):
                made.l2_snapshot("NEWER")
        assert len(far.requests) == 3
        monkeypatch.setattr(module, "REFRESH_SECONDS", 0)
        with pytest.raises(KeyError, match="A/B"):
            made.funding_history("A/B", 1)
        assert types(far)[3:] == ["spotMeta"]
        with pytest.raises(KeyError):
            made.name_to_asset("unknown:DEX")  # a dex that was not asked for at the start
        assert len(far.requests) == 4


def test_metadata_of_the_callers_own_is_never_replaced(monkeypatch):
    """sdk_dropin 4.1."""
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0)
    made = offline()
    made.post = lambda *_: pytest.fail("asked the venue")  # type: ignore[method-assign]
    for name in ("NEW", "NEW/USDC", "test:NEW"):
        with pytest.raises(KeyError):
            made.name_to_asset(name)
    made.name_to_coin["MINE"], made.coin_to_asset["ETH"] = "ETH", 77
    assert made.name_to_asset("MINE") == 77  # plain dicts, read at each call


# -- without a WebSocket ------------------------------------------------------------------------------------------------
def test_without_a_websocket_subscribing_says_so(caplog):
    """sdk_dropin 4.3: KeyError before anything else, then RuntimeError; the caller's dict is left alone."""
    caplog.set_level(logging.DEBUG)
    made = offline()
    wanted = {"type": "l2Book", "coin": "KORILA/USDC"}
    for call in (lambda: made.subscribe(wanted, print), lambda: made.unsubscribe(wanted, 1), made.disconnect_websocket):
        with pytest.raises(RuntimeError, match="since skip_ws was used"):
            call()
    assert wanted == {"type": "l2Book", "coin": "KORILA/USDC"}
    with pytest.raises(KeyError, match="NONE"):
        made.subscribe({"type": "bbo", "coin": "NONE"}, print)
