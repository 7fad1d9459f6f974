"""What the drop-in's `Exchange` does better than the official SDK's, and what it refuses."""

from __future__ import annotations

import copy
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import hlfast.compat.hyperliquid as hl
from hlfast import clock
from hlfast.compat.hyperliquid import exchange as module
from hlfast.compat.hyperliquid import live_prices
from hlfast.compat.hyperliquid.exchange import Exchange
from hlfast.compat.hyperliquid.utils import signing
from hlfast.compat.hyperliquid.utils.types import Cloid
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.venues.hyperliquid.nonce import nonce_manager_for
from hlfast.venues.hyperliquid.sign import Signer

from ..children import HOME, surroundings
from .calls import CALLS, MAINNET, META, SPOT_META, TESTNET, exchange_of

KEY = FUNDED_ACCOUNTS[0].key
VAULT = "0x" + "3c" * 20
GTC = {"limit": {"tif": "Gtc"}}


def captured(base_url: str = TESTNET, vault: str | None = None, key: str = KEY) -> Any:
    return exchange_of(module, Signer(key), base_url, vault)


def body(exchange: Any) -> Any:
    return exchange.posted[-1][1]


def source_of(exchange: Any) -> str:
    """ "Mainnet" or "Testnet": for which network the last action was signed."""
    posted = body(exchange)
    action, signature, nonce = posted["action"], posted["signature"], posted["nonce"]
    for name, is_mainnet in (("Mainnet", True), ("Testnet", False)):
        found = signing.recover_agent_or_user_from_l1_action(
            action, signature, posted["vaultAddress"], nonce, posted["expiresAfter"], is_mainnet
        )
        if found.lower() == exchange.wallet.address.lower():
            return name
    return "neither"


# -- nonces -------------------------------------------------------------------------------------------------------------
def test_two_threads_with_ten_thousand_orders_have_no_nonce_in_common():
    """S6, L69, G15: unique and rising for one signer over threads and instances."""
    exchanges = [captured(MAINNET), captured(TESTNET)]
    taken: list[list[int]] = [[], []]

    def place(n: int) -> None:
        for _ in range(10_000):
            taken[n].append(exchanges[n]._next_nonce())

    threads = [threading.Thread(target=place, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken[0]) | set(taken[1])) == 20_000
    assert all(nonces == sorted(nonces) for nonces in taken)


def test_actions_of_one_millisecond_have_nonces_of_their_own(monkeypatch):
    """S6: the clock stands still, the nonces do not; the clock is the one that a program has put there."""
    monkeypatch.setattr(module, "get_timestamp_ms", lambda: 1_700_000_000_000)
    exchange = captured()
    for _ in range(3):
        exchange.cancel("ETH", 1)
    assert [posted["nonce"] for _, posted in exchange.posted] == [1_700_000_000_000 + n for n in range(3)]
    assert signing.get_timestamp_ms() > 1_700_000_001_000  # programs make deadlines of it: it stays the plain clock


def test_the_connector_of_this_process_draws_from_the_same_counter():
    """S6, L70."""
    exchange, connector = captured(), nonce_manager_for(FUNDED_ACCOUNTS[0].address)
    taken = [n() for _ in range(50) for n in (exchange._next_nonce, connector.next)]
    assert taken == sorted(set(taken))


SECOND = """
import sys
from hlfast.compat.hyperliquid import exchange as module
from hlfast.venues.hyperliquid.sign import Signer
e = module.Exchange(Signer(sys.argv[1]), meta={"universe": []}, spot_meta={"universe": [], "tokens": []})
print("ready", flush=True)
input()
print(*[e._next_nonce() for _ in range(3000)])
sys.stdin.read()
"""


def test_a_second_process_with_the_key_is_warned_about_and_shares_the_counter(caplog):
    """S6, G15: not refused, because a script beside a bot is normal use; no nonce is taken twice."""
    key = FUNDED_ACCOUNTS[4].key
    exchange = captured(MAINNET, key=key)
    exchange._next_nonce()
    with subprocess.Popen(
        [sys.executable, "-c", SECOND, key],
        cwd=HOME,
        env=surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin and other.stdout and other.stderr
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        mine = [exchange._next_nonce() for _ in range(3000)]
        theirs = [int(n) for n in other.stdout.readline().split()]
        mine += [exchange._next_nonce() for _ in range(10)]
        other.stdin.close()
        said = other.stderr.read()
    assert len(theirs) == 3000 and not set(mine) & set(theirs)
    assert "also signs with the key of" in said and caplog.text.count("also signs with the key of") == 1
    assert str(os.getpid()) in said and key[2:] not in said + caplog.text


# -- which network ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "url",
    [
        MAINNET,
        MAINNET + "/",
        "https://API.Hyperliquid.xyz",
        "https://api.hyperliquid.xyz:443",
        "HTTPS://api.hyperliquid.xyz.",
    ],
)
def test_the_main_network_is_recognised_in_any_spelling(url):
    """S13, L78: the original signs these for the test network, without a word."""
    exchange = captured(url)
    exchange.cancel("ETH", 1)
    assert source_of(exchange) == "Mainnet" and exchange.base_url == url


def test_another_host_signs_as_testnet_with_one_warning_until_it_is_registered(caplog):
    """S13, L78: never as mainnet unless told."""
    url = "https://node.example/hyperliquid"
    for _ in range(2):
        exchange = captured(url)
        exchange.cancel("ETH", 1)
        assert source_of(exchange) == "Testnet"
    assert [r.levelname for r in caplog.records] == ["WARNING"] and "register_endpoint" in caplog.text
    hl.register_endpoint(url, is_mainnet=True, ws_url="wss://node.example/stream")
    exchange.cancel("ETH", 1)
    assert source_of(exchange) == "Mainnet"
    assert hl.endpoints.socket_url(url) == "wss://node.example/stream"
    for official in (TESTNET, TESTNET + "/", "http://localhost:3001"):
        other = captured(official)
        other.cancel("ETH", 1)
        assert source_of(other) == "Testnet"
    assert len(caplog.records) == 1


# -- prices -------------------------------------------------------------------------------------------------------------
class Stream:
    """A WebSocket manager's newest frames."""

    def __init__(self, base_url: str, **frames: Any) -> None:
        self.base_url = base_url
        self.latest = frames
        live_prices.register(self)


def test_a_fresh_price_of_an_own_stream_saves_the_query(ours):
    """S7, L96: a bbo frame of the last second; an old one, another endpoint's or a one-sided one does not."""
    exchange = captured()
    asked: list[str] = []
    mids = exchange.info.post
    exchange.info.post = lambda path, payload: asked.append(payload["type"]) or mids(path, payload)
    frame = b'{"channel":"bbo","data":{"coin":"ETH","time":1,"bbo":[{"px":"3000","sz":"1","n":1},{"px":"3010","sz":"1","n":1}]}}'
    one_sided = b'{"channel":"bbo","data":{"coin":"ETH","time":1,"bbo":[{"px":"3000","sz":"1","n":1},null]}}'
    rounded = b'{"channel":"l2Book","data":{"coin":"ETH","spread":"1","levels":[[{"px":"1"}],[{"px":"2"}]]}}'
    now = clock.epoch_ns()
    for kept in (
        Stream(TESTNET, **{"bbo:eth": (None, frame, now - 2_000_000_000)}),
        Stream(MAINNET, **{"bbo:eth": (None, frame, now)}),
        Stream(TESTNET, **{"bbo:eth": (None, one_sided, now), "l2Book:eth": (None, rounded, now)}),
    ):
        exchange.market_open("ETH", True, 1)
        assert asked == ["allMids"] and body(exchange)["action"]["orders"][0]["p"] == "3675.2", kept
        asked.clear()
    kept = Stream(TESTNET + "/", **{"bbo:eth": (None, frame, clock.epoch_ns())})
    exchange.market_open("ETH", True, 1)
    assert asked == [] and body(exchange)["action"]["orders"][0]["p"] == "3155.2"
    kept.latest = {"allMids": (None, b'{"channel":"allMids","data":{"mids":{"ETH":"2000"}}}', clock.epoch_ns())}
    exchange.market_close("ETH")  # where one stands is always asked for
    assert asked == ["clearinghouseState"] and body(exchange)["action"]["orders"][0]["p"] == "2100"


def test_market_prices_of_builder_dexs_are_on_the_perps_grid():
    """S28: asset ids from 110000 up are perps, with 6 decimals; the original takes 8."""
    exchange = captured()
    exchange.info.set_perp_meta({"universe": [{"name": "test:ABC", "szDecimals": 3}]}, 110_000)
    assert exchange._slippage_price("test:ABC", True, 0.0, 0.01234567) == 0.012
    assert exchange._slippage_price("@8", True, 0.0, 0.01234567) == 0.012346


def test_a_closed_position_is_none_and_a_short_is_bought_back():
    """sdk_dropin 5.3."""
    exchange = captured()
    assert exchange.market_close("BTC") is None and exchange.posted == []
    exchange.market_close("ETH")
    (wire,) = body(exchange)["action"]["orders"]
    assert (wire["b"], wire["s"], wire["r"], wire["t"]) == (True, "1.5", True, {"limit": {"tif": "Ioc"}})


def test_an_id_that_cannot_belong_to_the_name_is_not_signed():
    """G18, L101: a perp's name with a spot's or a builder dex's id, and the other way round."""
    exchange = captured()
    for coin, asset in (("ETH", 10_001), ("ETH", 110_001), ("@8", 8), ("ETH", -1)):
        exchange.info.coin_to_asset[coin] = asset
        with pytest.raises(ValueError, match="nothing was signed"):
            exchange.order(coin, True, 1, 1, GTC)
    assert exchange.posted == []


def test_an_unknown_name_is_a_key_error_and_nothing_is_posted():
    """sdk_dropin 4.1, 5.2: names resolve before anything is signed."""
    exchange = captured()
    good = {"coin": "ETH", "is_buy": True, "sz": 1, "limit_px": 1, "order_type": GTC, "reduce_only": False}
    with pytest.raises(KeyError, match="NONE"):
        exchange.bulk_orders([good, {**good, "coin": "NONE"}])
    for call in (exchange.cancel, exchange.cancel_by_cloid):
        with pytest.raises(KeyError):
            call("NONE", Cloid.from_int(1))
    assert exchange.posted == []


# -- numbers ------------------------------------------------------------------------------------------------------------
def test_numbers_that_are_none_are_refused_and_exact_ones_are_taken():
    """S25, L88: NaN and infinities raise, -0.0 is "0", Decimal and text are read exactly."""
    for bad in (float("nan"), float("inf"), float("-inf"), Decimal("NaN"), "x"):
        with pytest.raises(ValueError, match="finite numbers") as caught:
            signing.float_to_wire(bad)  # type: ignore[arg-type]
        assert type(caught.value) is ValueError
    assert signing.float_to_wire(-0.0) == "0"
    exact: list[tuple[Any, str]] = [
        (Decimal("0.10"), "0.1"),
        ("1.50", "1.5"),
        (2**60, str(2**60)),
        (Decimal("1E+3"), "1000"),
    ]
    for given, text in exact:
        assert signing.float_to_wire(given) == text
    with pytest.raises(ValueError, match="causes rounding"):
        signing.float_to_wire(Decimal("0.123456789"))  # type: ignore[arg-type]
    assert signing.float_to_usd_int(Decimal("1.000001")) == 1_000_001  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="causes rounding"):
        signing.float_to_usd_int("0.0000001")  # type: ignore[arg-type]
    exchange = captured()
    exchange.order("ETH", True, Decimal("0.1"), "1000.5", GTC)
    assert {k: body(exchange)["action"]["orders"][0][k] for k in "ps"} == {"p": "1000.5", "s": "0.1"}


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.00001, "0.00001"), (1e16, "10000000000000000"), (2, "2"), (1.23, "1.23"), (Decimal("1E+3"), "1000")],
)
def test_amounts_are_written_without_exponents(amount, text):
    """S26: the original sends 1e-05."""
    exchange = captured()
    exchange.usd_transfer(amount, VAULT)
    assert body(exchange)["action"]["amount"] == text
    exchange.sub_account_spot_transfer(VAULT, True, "T", amount)
    assert body(exchange)["action"]["amount"] == text
    exchange.vault_address = VAULT
    exchange.usd_class_transfer(amount, True)
    assert body(exchange)["action"]["amount"] == f"{text} subaccount:{VAULT}"
    with pytest.raises(ValueError, match="finite"):
        exchange.usd_transfer(float("nan"), VAULT)


def test_what_the_caller_gave_is_left_as_it_was():
    """S27, L119: the original writes into the builder's dict."""
    exchange = captured()
    builder = {"b": "0xABCDEF" + "0" * 34, "f": 1}
    order = {"coin": "ETH", "is_buy": True, "sz": 1, "limit_px": 1, "order_type": GTC, "reduce_only": False}
    given = copy.deepcopy((builder, order))
    exchange.bulk_orders([order], builder)
    assert (builder, order) == given and body(exchange)["action"]["builder"]["b"] == "0xabcdef" + "0" * 34
    inner = {"type": "userSetAbstraction", "abstraction": "disabled"}
    exchange.multi_sig(VAULT, inner, [], 5)
    assert inner["abstraction"] == "disabled"


# -- vaults and expiries ------------------------------------------------------------------------------------------------
NONE = [name for name in CALLS if name.startswith(("spot_deploy", "perp_deploy", "c_"))] + [
    "set_referrer", "create_sub_account", "sub_account_transfer", "sub_account_spot_transfer", "vault_usd_transfer", "use_big_blocks",
]  # fmt: skip


def signer_of(posted: Any) -> str:
    return signing.recover_agent_or_user_from_l1_action(
        posted["action"], posted["signature"], posted["vaultAddress"], posted["nonce"], posted["expiresAfter"], False
    ).lower()


@pytest.mark.parametrize("name", NONE)
def test_what_is_hashed_without_a_vault_is_posted_without_one(name):
    """S29: whoever recovers the signer from the posted body finds it; the original's body names a stranger."""
    import random

    from hlfast.compat.hyperliquid.utils import types

    exchange = captured(vault=VAULT)
    args, named = CALLS[name](random.Random(1), types)
    getattr(exchange, name)(*args, **named)
    assert body(exchange)["vaultAddress"] is None and signer_of(body(exchange)) == exchange.wallet.address
    exchange.cancel("ETH", 1)
    assert body(exchange)["vaultAddress"] == VAULT and signer_of(body(exchange)) == exchange.wallet.address


def test_multi_sig_posts_the_vault_that_it_hashed():
    """S29: the parameter's, not the instance's."""
    exchange = captured(vault=VAULT)
    other = "0x" + "4d" * 20
    for given in (None, other):
        exchange.multi_sig(VAULT, {"type": "noop"}, [], 5, given)
        posted = body(exchange)
        assert posted["vaultAddress"] == given
        untagged = {k: v for k, v in posted["action"].items() if k != "type"}
        envelope = {
            "multiSigActionHash": signing.action_hash(untagged, given, 5, None), "nonce": 5, "signatureChainId": "0x66eee",
        }  # fmt: skip
        found = signing.recover_user_from_user_signed_action(
            envelope,
            posted["signature"],
            signing.MULTI_SIG_ENVELOPE_SIGN_TYPES,
            "HyperliquidTransaction:SendMultiSig",
            False,
        )
        assert found.lower() == exchange.wallet.address
    exchange.usd_transfer(1, VAULT)
    assert body(exchange)["vaultAddress"] is None


@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.usd_transfer(1, VAULT),
        lambda e: e.approve_agent(),
        lambda e: e.send_asset(VAULT, "", "spot", "USDC", 1),
        lambda e: e.token_delegate(VAULT, 1, False),
    ],
)
def test_a_user_signed_action_with_an_expiry_is_refused_here(call: Callable[[Any], Any]):
    """S30: the original posts it, and the venue refuses."""
    exchange = captured()
    exchange.set_expires_after(1_900_000_000_000)
    with pytest.raises(ValueError, match=r"set_expires_after\(None\)"):
        call(exchange)
    assert exchange.posted == []
    exchange.set_expires_after(None)
    call(exchange)
    assert body(exchange)["expiresAfter"] is None


# -- cloids and the rest ------------------------------------------------------------------------------------------------
def test_cloids_compare_by_value_and_have_hex_digits_only():
    """S31: the original compares by identity and takes any 32 characters."""
    one = Cloid.from_str("0x" + "ab" * 16)
    assert one == Cloid("0x" + "AB" * 16) and len({one, Cloid("0x" + "ab" * 16)}) == 1 and one != "0x" + "ab" * 16
    assert Cloid.from_int(10).to_raw() == f"0x{10:032x}" == str(Cloid.from_int(10)) == repr(Cloid.from_int(10))
    for bad, says in (("ab" * 17, "not a hex string"), ("0xab", "not 16 bytes"), ("0x" + "g" * 32, "not a hex string")):
        with pytest.raises(TypeError, match=says):
            Cloid(bad)

    class Mine:
        def to_raw(self) -> str:
            return "0x" + "cd" * 16

    exchange = captured()
    exchange.modify_order(Mine(), "ETH", True, 1, 1, GTC, cloid=Mine())  # type: ignore[arg-type]
    (modify,) = body(exchange)["action"]["modifies"]
    assert modify["oid"] == modify["order"]["c"] == "0x" + "cd" * 16


def test_signing_is_compiled():
    """S34: neither eth-account's signing nor a pure-Python curve takes part, for a wallet of eth-account's own."""
    from eth_account import Account
    from eth_keys.backends import NativeECCBackend

    wallet = Account.from_key(KEY)
    calls = []
    own = NativeECCBackend.ecdsa_sign
    try:
        NativeECCBackend.ecdsa_sign = lambda *a: calls.append(a) or own(*a)
        os.environ["ECC_BACKEND_CLASS"] = "eth_keys.backends.NativeECCBackend"
        exchange = exchange_of(module, wallet, TESTNET, None)
        exchange.order("ETH", True, 1, 1, GTC)
        exchange.usd_transfer(1, VAULT)
    finally:
        del os.environ["ECC_BACKEND_CLASS"]
        NativeECCBackend.ecdsa_sign = own
    assert calls == [] and signer_of(exchange.posted[0][1]) == wallet.address.lower()


def test_orders_get_cloids_if_that_is_asked_for():
    """sdk_dropin 1: `configure(auto_cloid=True)`; off, as it changes what is signed."""
    exchange = captured()
    exchange.order("ETH", True, 1, 1, GTC)
    assert "c" not in body(exchange)["action"]["orders"][0]
    hl.configure(auto_cloid=True)
    exchange.order("ETH", True, 1, 1, GTC)
    exchange.order("ETH", True, 1, 1, GTC, cloid=Cloid.from_int(5))
    named = [posted["action"]["orders"][0]["c"] for _, posted in exchange.posted[1:]]
    assert named[1] == Cloid.from_int(5).to_raw() and Cloid(named[0])
    with pytest.raises(ValueError, match="stale_after"):
        hl.configure(stale_after=0)


def test_an_agents_key_is_returned_whatever_the_answer(caplog):
    """sdk_dropin 5.2: 64 digits of the system's randomness, for a name or none; never logged."""
    caplog.set_level(logging.DEBUG)
    exchange = captured()
    for name in (None, "bot"):
        answer, key = exchange.approve_agent(name)
        action = body(exchange)["action"]
        assert answer == {"status": "ok"} and len(key) == 66 and ("agentName" in action) == (name is not None)
        assert action["agentAddress"].lower() == Signer(key).address != action["agentAddress"]
        assert key[2:] not in caplog.text


def test_a_signer_with_an_allow_list_signs_nothing_else():
    """L127: `hlfast.Signer(..., allow=[...])` holds in the drop-in too."""
    careful = Exchange(Signer(KEY, allow=["order"]), TESTNET, meta=META, spot_meta=SPOT_META)  # type: ignore[arg-type]
    careful.post = lambda path, payload=None: payload  # type: ignore[method-assign]
    assert careful.order("ETH", True, 1, 1, GTC)["action"]["type"] == "order"
    for call in (lambda: careful.usd_transfer(1, VAULT), lambda: careful.cancel("ETH", 1)):
        with pytest.raises(ValueError, match="does not sign"):
            call()
