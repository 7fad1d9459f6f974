"""The three ways to switch, routes to this machine, and what importing costs and leaves alone."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path
from unittest.mock import patch

import pytest

import hlfast.compat.hyperliquid as hl
from hlfast.compat.hyperliquid import endpoints, switch
from hlfast.compat.hyperliquid.api import API
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.venues.hyperliquid.sign import Signer

from ..children import HOME, surroundings
from .calls import MAINNET, META, SPOT_META, TESTNET
from .far_end import FarEnd, answer

ROOT = Path(__file__).resolve().parents[2]
HIDE_THE_SDK = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hyperliquid":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""


def python(code: str, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(
        command,
        cwd=cwd or HOME,
        env=surroundings(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def run_program(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hlfast.compat.hyperliquid", *arguments]
    return subprocess.run(
        command,
        cwd=cwd or HOME,
        env=surroundings(**environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# -- install ------------------------------------------------------------------------------------------------------------
def test_after_install_the_sdks_names_are_the_drop_ins_modules(monkeypatch):
    """sdk_dropin 1: the same objects, so patches reach them; twice is once; uninstall puts back what was there."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "hyperliquid"}
    for name in before:
        monkeypatch.delitem(sys.modules, name)
    hl.install()
    hl.install()
    try:
        for part in switch.MODULES:
            assert sys.modules["hyperliquid" + part] is importlib.import_module("hlfast.compat.hyperliquid" + part)
        assert (
            importlib.import_module("hyperliquid.info").Info
            is importlib.import_module("hlfast.compat.hyperliquid.info").Info
        )
        with patch("hyperliquid.exchange.get_timestamp_ms", lambda: 5):
            exchange = importlib.import_module("hyperliquid.exchange").Exchange(
                Signer(FUNDED_ACCOUNTS[0].key), TESTNET, META, spot_meta=SPOT_META
            )
            assert exchange._next_nonce() == 5
    finally:
        hl.uninstall()
    hl.uninstall()
    assert not any(name.split(".")[0] == "hyperliquid" for name in sys.modules)


def test_install_after_the_real_one_was_imported_is_refused_unless_forced(sdk):
    """sdk_dropin 1."""
    real = sdk("info")
    with pytest.raises(RuntimeError, match=r"hyperliquid\.info.* is imported already"):
        hl.install()
    assert sys.modules["hyperliquid.info"] is real
    with pytest.warns(RuntimeWarning, match="replacing"):
        hl.install(force=True)
    assert sys.modules["hyperliquid.info"] is not real
    hl.uninstall()
    assert sys.modules["hyperliquid.info"] is real


def test_it_works_without_the_sdk_and_loads_nothing_that_is_slow():
    """sdk_dropin head, S36, L110: the SDK is hidden; eth_account, requests, websocket and msgpack are not loaded by importing,
    nor is the table of all queries, which takes as long as the rest together."""
    ran = python(
        HIDE_THE_SDK
        + """
import hlfast.compat.hyperliquid as hl
hl.install()
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils import constants, error, signing, types
from hyperliquid.utils.types import Any, Callable, Cloid, Dict, List, NotRequired, Option, Tuple, TypedDict, cast
loaded = {name.split(".")[0] for name in sys.modules}
print(sorted(loaded & {"eth_account", "requests", "websocket", "msgpack", "aiohttp", "uvloop", "picows"}))
print("hlfast.venues.hyperliquid.endpoints" in sys.modules)
from hlfast import Signer
e = Exchange(Signer("0x" + "01" * 32), constants.TESTNET_API_URL, {"universe": [{"name": "ETH", "szDecimals": 4}]},
             spot_meta={"universe": [], "tokens": []})
e.post = lambda path, payload=None: payload
print(e.order("ETH", True, 1, 1000, {"limit": {"tif": "Gtc"}})["action"]["orders"][0]["p"])
"""
    )
    assert ran.stdout.split("\n")[:3] == ["[]", "False", "1000"], ran.stderr


def test_no_distribution_of_ours_owns_the_sdks_name():
    """S15, L114: nothing of ours is called `hyperliquid` at the top, so both can be installed."""
    ran = python(
        """
        from setuptools import find_packages
        print(sorted({name.split(".")[0] for name in find_packages(include=["hlfast", "hlfast.*"])}))
        """,
        cwd=ROOT,
    )
    assert ran.stdout.strip() == "['hlfast']", ran.stderr
    assert not (ROOT / "hyperliquid").exists()


# -- programs -----------------------------------------------------------------------------------------------------------
PROGRAM = """
import sys
from hyperliquid.info import Info
from hyperliquid.utils import constants
import neighbour
if __name__ == "__main__":
    info = Info(constants.TESTNET_API_URL, skip_ws=True, meta={"universe": []}, spot_meta={"universe": [], "tokens": []})
    print(sys.argv, neighbour.NAME, Info.__module__, info.base_url, info.all_mids())
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "neighbour.py").write_text("NAME = 'beside'")
    (tmp_path / "bots" / "bot.py").write_text(PROGRAM)
    return tmp_path


def test_an_unchanged_program_runs_with_its_arguments_against_this_machine(program):
    """S12, sdk_dropin 1: `python -m hlfast.compat.hyperliquid [--route FROM=TO] bot.py --its --args`."""
    with FarEnd(answer({"ETH": "1"})) as far:
        route = f"{TESTNET}={far.url}"
        ran = run_program("--route", route, "bots/bot.py", "--its", "--args", cwd=program)
        expected = (
            f"['bots/bot.py', '--its', '--args'] beside hlfast.compat.hyperliquid.info {TESTNET} {{'ETH': '1'}}\n"
        )
        assert ran.stdout == expected, ran.stderr
        ran = run_program("bots/bot.py", cwd=program, HLFAST_SDK_ROUTE=route)
        assert ran.stdout.endswith("{'ETH': '1'}\n"), ran.stderr
        ran = run_program(f"--route={route}", "-m", "bot", "x", cwd=program / "bots")
        assert ran.stdout.endswith("{'ETH': '1'}\n") and "'x']" in ran.stdout, ran.stderr
    assert [r.path for r in far.requests] == ["/info"] * 3


def test_wrong_usage_is_told(program):
    """S12: what runs is a module that exists."""
    assert "usage:" in run_program(cwd=program).stderr
    assert "unknown option --rout" in run_program("--rout", "x", cwd=program).stderr
    assert (
        "leads to this machine"
        in run_program("--route", f"{MAINNET}=https://evil.example", "bots/bot.py", cwd=program).stderr
    )
    assert "usage:" in run_program("--help", cwd=program).stdout


def test_no_console_script_points_to_nothing():
    """S12, L114: every script of the project can be loaded."""
    lines = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]")[2].partition("[")[0]
    for line in filter(None, map(str.strip, lines.splitlines())):
        module, _, name = line.partition("=")[2].strip().strip('"').partition(":")
        assert callable(getattr(importlib.import_module(module), name)), line


# -- routes -------------------------------------------------------------------------------------------------------------
def test_routed_traffic_is_signed_for_the_test_network_and_keeps_its_name():
    """sdk_dropin 1: nothing signed for a simulator is valid on the main network."""
    with FarEnd(answer({"status": "ok"})) as far:
        hl.route(MAINNET, far.url)
        exchange_module = importlib.import_module("hlfast.compat.hyperliquid.exchange")
        exchange = exchange_module.Exchange(Signer(FUNDED_ACCOUNTS[0].key), meta=META, spot_meta=SPOT_META)
        exchange.cancel("ETH", 1)
    posted = far.requests[0].body
    signing = importlib.import_module("hlfast.compat.hyperliquid.utils.signing")
    signed = [
        signing.recover_agent_or_user_from_l1_action(
            posted["action"], posted["signature"], None, posted["nonce"], None, is_mainnet
        ).lower()
        for is_mainnet in (True, False)
    ]
    assert signed[0] != exchange.wallet.address == signed[1]
    assert exchange.base_url == MAINNET and endpoints.socket_url(MAINNET) == f"ws://127.0.0.1:{far.port}/ws"


def test_a_route_leads_to_this_machine_alone():
    """sdk_dropin 1."""
    for elsewhere in ("https://evil.example", "http://10.0.0.1", "127.0.0.1:8000", "http://127.0.0.1.evil.example"):
        with pytest.raises(ConfigError, match="this machine"):
            hl.route(TESTNET, elsewhere)
    with pytest.raises(ConfigError, match="FROM=TO"):
        endpoints.route_from_text("nonsense")
    hl.route(TESTNET, "http://localhost:9/")
    assert endpoints.target(TESTNET + "/") == "http://localhost:9" and endpoints.target(MAINNET) == MAINNET


# -- importing ----------------------------------------------------------------------------------------------------------
def test_importing_loads_a_fraction_of_what_the_original_loads(sdk):
    """S36: counted in modules, which no other process can slow down: less than a quarter; timed by the benchmark."""
    count = "import sys; before = len(sys.modules); {}; print(len(sys.modules) - before)"
    theirs = int(python(count.format("from hyperliquid.exchange import Exchange")).stdout)
    ours = int(python(count.format("from hlfast.compat.hyperliquid.exchange import Exchange")).stdout)
    assert ours * 4 < theirs, (ours, theirs)


# -- shadow -------------------------------------------------------------------------------------------------------------
def test_the_original_runs_beside_and_differences_are_told(sdk, ours, caplog):
    """sdk_dropin, shadow mode: agreement is silent, a planted difference is named and counted; the drop-in's result is used."""
    from eth_account import Account

    shadow, signing = ours("shadow"), ours("utils.signing")
    exchange = ours("exchange").Exchange(Account.from_key(FUNDED_ACCOUNTS[0].key), TESTNET, META, spot_meta=SPOT_META)
    exchange.post = lambda path, payload=None: payload
    assert shadow.enable() and shadow.enable()
    own = signing.action_hash
    try:
        shadow.calls.clear(), shadow.differences.clear()
        exchange.order("ETH", True, 1.5, 1000, {"limit": {"tif": "Gtc"}}, cloid=ours("utils.types").Cloid.from_int(3))
        exchange.usd_transfer(1.5, "0x" + "1" * 40)
        exchange.market_open("ETH", True, 1, px=1234.567)
        for odd in (float("nan"), -0.0, 1e-9):
            try:
                signing.float_to_wire(odd)
            except ValueError:
                pass
        told = shadow.report()
        assert told["differences"] == {} and {"sign_l1_action", "sign_usd_transfer_action", "Cloid"} <= set(
            told["calls"]
        )
        assert told["calls"]["_slippage_price"] == 1 and told["calls"]["order_request_to_order_wire"] == 2
        theirs = sdk("utils.signing")
        with patch.object(signing._Core, "keccak256", staticmethod(lambda data: b"\x01" * 32)):
            assert (
                signing.action_hash({"a": 1}, None, 1, None)
                == b"\x01" * 32
                != theirs.action_hash({"a": 1}, None, 1, None)
            )
        assert shadow.report()["differences"] == {"action_hash": 1}
        assert "shadow: action_hash" in caplog.text and FUNDED_ACCOUNTS[0].key[2:] not in caplog.text
    finally:
        shadow.disable()
        shadow.calls.clear(), shadow.differences.clear()
    assert signing.action_hash is not own


def test_the_environment_turns_the_shadow_on_also_after_install(sdk):
    """sdk_dropin, shadow mode: HLFAST_SHADOW=1; without the SDK a warning and no more."""
    code = """
        import hlfast.compat.hyperliquid as hl
        hl.install()
        from hyperliquid.utils import signing
        from hlfast.compat.hyperliquid import shadow
        signing.float_to_wire(1.5)
        print(signing.__name__, shadow.report())
    """
    ran = python(code, HLFAST_SHADOW="1")
    assert (
        ran.stdout == "hlfast.compat.hyperliquid.utils.signing {'calls': {'float_to_wire': 1}, 'differences': {}}\n"
    ), ran.stderr
    ran = python(HIDE_THE_SDK + textwrap.dedent(code), HLFAST_SHADOW="1")
    assert "{'calls': {}, 'differences': {}}" in ran.stdout and "cannot be imported" in ran.stderr


def test_an_api_of_the_original_and_ours_live_side_by_side(sdk):
    """S15."""
    assert sdk("api").API is not API and issubclass(sdk("info").Info, sdk("api").API)


SUBSCRIBER = """
import sys, threading
from hlfast.compat.hyperliquid.info import Info
empty = {"universe": []}
info = Info(sys.argv[1], meta=empty, spot_meta={**empty, "tokens": []})
frames = threading.Semaphore(0)
info.subscribe({"type": "allMids"}, lambda frame: frames.release())
def end():
    print(frames.acquire(timeout=20), flush=True)
    sys.stdin.readline()
    while frames.acquire(blocking=False):
        pass
    print(frames.acquire(timeout=20), flush=True)
    info.disconnect_websocket()
threading.Thread(target=end).start()
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_script_that_only_subscribes_lives_until_it_disconnects_and_then_ends_well(venue, host):
    """sdk_dropin 10.2, C1, C7: its main thread has ended; the manager's connects and comes back all the same.

    At the end nothing hangs or complains. A name has to be looked up, which the interpreter's own helpers refuse by then.
    """
    with subprocess.Popen(
        [sys.executable, "-c", SUBSCRIBER, venue.url.replace("127.0.0.1", host)],
        cwd=HOME,
        env=surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as ran:
        assert ran.stdin and ran.stdout and ran.stderr
        first = ran.stdout.readline()
        venue.run(venue.sim.cut())
        ran.stdin.write("cut\n")
        ran.stdin.flush()
        rest, said = ran.communicate(timeout=60)
    assert (ran.returncode, first, rest) == (0, "True\n", "True\n"), said
    assert "Traceback" not in said and "destroyed" not in said
