"""The official SDK's own tests and example programs, unchanged, against `hlfast.compat.hyperliquid`.

    python -m tests.compat.run_upstream PATH                  # PATH: a checkout of hyperliquid-python-sdk
    python -m tests.compat.run_upstream PATH --only basic_order --show

Its tests run after `install()`; they need pytest-recording. Each example runs twice, on fresh local exchanges with one seed:
on the installed SDK, and on hlfast. Compared: exit code, requests in their order (without nonces and signatures), who
signed each action, and the output with ids and times masked. Exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__" and not any((ROOT / "hlfast" / f"_build{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
    # `python -m` puts this folder first on the path, where a tree that is not compiled would hide the installed package
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

from hlfast.sim import FUNDED_ACCOUNTS
from hlfast.sim.markets import PERPS, SPOT_ASSETS, SPOTS, TOKENS, Market, Token
from hlfast.sim.universe import Universe

from ..children import surroundings
from .conftest import Venue

STREAMING = {"basic_ws": 8.0, "basic_adding": 18.0}
"""Examples that run until they are stopped, and after how many seconds that is."""

OUTSIDE = {
    "evm_erc20": "the chain's EVM, no part of the SDK",
    "evm_block_indexer": "files of a node",
    "parse_token_delegate_from_replica_cmds": "files of a node",
}
BOOKS = (("BTC", "64990", "65010"), ("ETH", "3499", "3501"), ("PURR/USDC", "0.19", "0.21"))
NO_PROGRAMS = {"example_utils"}

TESTS = """
import sys
import hlfast.compat.hyperliquid as hl
hl.install()
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "--rootdir", sys.argv[1], "-o", "addopts=", "--record-mode=none",
                      sys.argv[1] + "/tests"]))
"""

PROGRAM = """
import json, runpy, sys

side, url, log, script = sys.argv[1:5]
TESTNET, MAINNET = "https://api.hyperliquid-testnet.xyz", "https://api.hyperliquid.xyz"
if side == "hlfast":
    import hlfast.compat.hyperliquid as hl
    hl.install()
    hl.route(TESTNET, url)
    hl.route(MAINNET, url)
from hyperliquid.api import API
from hyperliquid.info import Info
from hyperliquid.utils import constants, signing
if side == "sdk":
    constants.TESTNET_API_URL = url
    if script.endswith("basic_staking.py"):  # elsewhere the main URL is compared with, to choose a signature
        constants.MAINNET_API_URL = url
said = open(log, "w", buffering=1)

def tell(what, value):
    said.write(what + " " + json.dumps(value, default=str) + "\\n")

def signer(action, signature, body, nonce):
    try:
        if "signatureChainId" in action or action["type"] == "multiSig":
            return "user"
        return signing.recover_agent_or_user_from_l1_action(
            action, signature, body.get("vaultAddress"), nonce, body.get("expiresAfter"), False)
    except Exception as error:
        return repr(error)

own_post, own_subscribe = API.post, Info.subscribe

def post(self, path, payload=None):
    body = json.loads(json.dumps(payload or {}))
    signature, nonce = body.pop("signature", None), body.pop("nonce", None)
    if signature:
        tell("signer", signer(body["action"], signature, body, nonce))
        for timed in ("time", "nonce"):
            body["action"].pop(timed, None)
    tell(path, body)
    return own_post(self, path, payload)

def subscribe(self, subscription, callback):
    tell("subscribe", subscription)
    return own_subscribe(self, subscription, callback)

API.post, Info.subscribe = post, subscribe
sys.argv = [script]
sys.path.insert(0, script.rpartition("/")[0])
runpy.run_path(script, run_name="__main__")
"""


def markets() -> Universe:
    """The built-in markets, and those that the examples name: OP, KORILA (@8), and a pair of index 1."""
    korila = Token("KORILA", 8, 2, 8, "0x" + "8" * 32)
    other = Token("TEST", 1043, 1, 6, "0x" + "43" * 16)
    return Universe(
        (*TOKENS, korila, other),
        (*PERPS, Market("OP", len(PERPS), 1, 2, max_leverage=10)),
        (*SPOTS, Market("@8", SPOT_ASSETS + 8, 2, 12, base=korila), Market("@1", SPOT_ASSETS + 1, 1, 3, base=other)),
    )


KNOWN = {account.address.lower() for account in FUNDED_ACCOUNTS}


def masked(text: str, url: str) -> list[str]:
    """Lines with this run's own figures taken out: URLs, hashes and drawn keys (numbered as they appear), times and long ids."""
    for official in ("https://api.hyperliquid-testnet.xyz", "https://api.hyperliquid.xyz", url):
        text = text.replace(official, "URL").replace(official.split(".", 1)[-1], "URL")
    numbers: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        value = found.group().lower()
        return value if value in KNOWN else numbers.setdefault(value, f"HEX{len(numbers)}")

    text = re.sub(r"0x[0-9a-fA-F]{32,}", named, text)
    text = re.sub(r'"v": 2[78]', '"v": N', text)  # inner signatures of multi-sig: they sign the time
    return [re.sub(r"(?<![0-9a-fA-Fx])\d{11,}(?![0-9a-fA-F])", "N", line) for line in text.splitlines()]


def run_program(side: str, examples: Path, name: str) -> dict[str, Any]:
    """One example on a fresh local exchange: exit code, what it asked for, what it printed, how it ended."""
    venue = Venue(seed=7, engine={"universe": markets()})
    for coin, bid, ask in BOOKS:
        venue.call(venue.sim.change, "set_book", coin, [(bid, "50")], [(ask, "50")])
    log = examples / f"{name}.{side}.log"
    command = [sys.executable, "-u", "-c", PROGRAM, side, venue.url, str(log), str(examples / f"{name}.py")]
    process = subprocess.Popen(
        command, cwd=examples, env=surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = process.communicate(timeout=STREAMING.get(name, 120))
        code: int | str = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        code = "stopped"
    finally:
        venue.stop()
    asked = masked(log.read_text() if log.is_file() else "", venue.url)
    last = [_ending(err)] if code not in (0, "stopped") else []
    said = masked(out, venue.url)
    if name in STREAMING:  # how often each frame comes is a matter of moments
        channels = sorted(set(re.findall(r"'channel': '(\w+)'", out)))
        asked = sorted({line for line in asked if not line.startswith("/info")})
        return {"code": [code], "asked": asked, "said": channels, "ended": last}
    return {"code": [code], "asked": asked, "said": said, "ended": last}


def _ending(err: str) -> str:
    """The last line of a traceback: whose module the error is of, and what S11 mends, left out."""
    last = (err.strip().splitlines() or [""])[-1].removeprefix("hlfast.compat.")
    found = re.match(r"hyperliquid\.utils\.error\.ClientError: \(\d+, None, '[^']*'", last)
    return found.group() if found else last


def config(folder: Path) -> None:
    keys = [
        {"comment": "", "secret_key": account.key, "account_address": _checksummed(account.key)}
        for account in FUNDED_ACCOUNTS[1:3]
    ]
    own = {"keystore_path": "", "secret_key": FUNDED_ACCOUNTS[0].key, "account_address": ""}
    (folder / "config.json").write_text(json.dumps({**own, "multi_sig": {"authorized_users": keys}}))


def _checksummed(key: str) -> str:
    from eth_account import Account

    return str(Account.from_key(key).address)


def run_examples(checkout: Path, only: str | None, show: bool) -> int:
    """How many examples differ."""
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        examples = Path(scratch) / "examples"
        shutil.copytree(checkout / "examples", examples)
        config(examples)
        for path in sorted(examples.glob("*.py")):
            name = path.stem
            if name in NO_PROGRAMS or (only and name != only):
                continue
            if name in OUTSIDE:
                print(f"{name:45} not run: {OUTSIDE[name]}")
                continue
            theirs, ours = (run_program(side, examples, name) for side in ("sdk", "hlfast"))
            differ = [what for what in theirs if theirs[what] != ours[what]]
            bad += bool(differ)
            actions = sum(line.startswith("/exchange") for line in ours["asked"])
            counts = f"{len(ours['asked'])} asked, {actions} actions, {len(ours['said'])} lines"
            ending = (ours["ended"] or [f"exit {ours['code'][0]}"])[0]
            print(f"{name:45} {'DIFFERS in ' + ', '.join(differ) if differ else 'equal':8} {counts}; {ending[:90]}")
            for what in differ:
                shown = difflib.unified_diff(theirs[what], ours[what], "sdk", "hlfast", lineterm="", n=1)
                print("\n".join(f"    {line}"[:400] for line in shown))
            if show:
                print(json.dumps(ours, indent=1))
    return bad


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--only", help="one example, without its .py")
    parser.add_argument("--show", action="store_true", help="print what each example asked for and printed")
    options = parser.parse_args(arguments)
    checkout = options.checkout.resolve()
    failed = 0
    if not options.only:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", TESTS, str(checkout)], env=surroundings(), cwd=checkout
        )
        failed += done.returncode != 0
    return 1 if run_examples(checkout, options.only, options.show) or failed else 0


if __name__ == "__main__":
    sys.exit(main())
