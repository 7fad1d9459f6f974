"""The official SDK's own example programs, unchanged, on the local exchange: once on the SDK, once on the drop-in.

Neither they nor the SDK's repository are part of this project: HLFAST_SDK_EXAMPLES names the folder `examples` of a checkout.
docs/local_exchange.md says which run, and why any does not. The SDK reads the exchange's address from its module
`constants`, which is set before the program starts; the drop-in is given routes. The recorded testnet universe is traded,
since the programs name tokens of it, and the prices are those that they were written for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hlfast.sim import FUNDED_ACCOUNTS, SimExchange

from ..children import surroundings

ALICE, BOB, CAROL = FUNDED_ACCOUNTS[:3]
ENDLESS_SECONDS = 6.0
ENDLESS = {"basic_adding", "basic_ws"}
NEEDS_NO_EXCHANGE = {"evm_block_indexer", "evm_erc20", "parse_token_delegate_from_replica_cmds"}
"""Programs about files of a node or about the EVM's own endpoint."""

STARTER = """
import os, runpy, sys
from hyperliquid.utils import constants
constants.TESTNET_API_URL = sys.argv[1]
constants.MAINNET_API_URL = sys.argv[1].replace("127.0.0.1", "localhost")
sys.path.insert(0, os.path.dirname(sys.argv[2]))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs beside a config of their own."""
    named = os.environ.get("HLFAST_SDK_EXAMPLES")
    if not named or not (Path(named) / "example_utils.py").is_file():
        pytest.skip("HLFAST_SDK_EXAMPLES does not name the examples folder of the official SDK's repository")
    folder = tmp_path_factory.mktemp("sdk") / "examples"
    shutil.copytree(named, folder)
    signers = [
        {"comment": each.name, "secret_key": each.key, "account_address": checksummed(each)} for each in (BOB, CAROL)
    ]
    config = {"keystore_path": "", "secret_key": ALICE.key, "account_address": ""}
    (folder / "config.json").write_text(json.dumps({**config, "multi_sig": {"authorized_users": signers}}))
    (folder / "on_the_sdk.py").write_text(STARTER)
    return folder


def checksummed(account: Any) -> str:
    import eth_account

    return str(eth_account.Account.from_key(account.key).address)


def programs() -> list[str]:
    named = os.environ.get("HLFAST_SDK_EXAMPLES", "")
    found = sorted(path.stem for path in Path(named).glob("*.py")) if named else []
    return [name for name in found if name != "example_utils" and name not in NEEDS_NO_EXCHANGE] or ["none"]


async def outcome(folder: Path, shared: Path, name: str, on_the_sdk: bool) -> tuple[int | None, str, dict[str, Any]]:
    """How the program ends, what it prints, and what the exchange then has on record."""
    venue = shared / "fixtures" / "venue"
    universe = [str(venue / f"{each}_testnet_2025-08.json") for each in ("meta", "spot_meta")]
    engine = {"universe": universe}
    async with SimExchange(port=0, block_ms=10, traders=False, engine=engine) as exchange:
        for coin, mark, reach in (("ETH", 3000, 1), ("PURR/USDC", "0.6", None)):
            exchange.engine.set_mark(coin, str(mark))
            if reach is not None:
                exchange.engine.house.rest(coin, "buy", mark - reach, 5)
                exchange.engine.house.rest(coin, "sell", mark + reach, 5)
        for token in exchange.engine.universe.tokens.values():
            if token.name in ("PURR", "HYPE"):
                exchange.engine.grant(ALICE.address, token.index, 100 * 10**token.wei_decimals)
        url = exchange.http_url
        command = ["on_the_sdk.py", url, str(folder / f"{name}.py")]
        if not on_the_sdk:
            routes = [f"https://{host}={url}" for host in ("api.hyperliquid-testnet.xyz", "api.hyperliquid.xyz")]
            command = ["-m", "hlfast.compat.hyperliquid", *(word for route in routes for word in ("--route", route))]
            command.append(str(folder / f"{name}.py"))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-u",
            *command,
            cwd=folder,
            env=surroundings(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        talk = asyncio.ensure_future(process.communicate())
        if name in ENDLESS:
            await asyncio.sleep(ENDLESS_SECONDS)
            process.kill()
        text, _ = await asyncio.wait_for(talk, 60)
        code = None if name in ENDLESS else process.returncode
        return code, text.decode(), exchange.truth(ALICE.address)


def masked(text: str) -> list[str]:
    """What does not depend on when it ran: no ids, times, keys; of a traceback only the kind of error."""
    if "Traceback" in text:
        head, _, trace = text.partition("Traceback")
        last = trace.strip().splitlines()[-1].split(":")[0].split(".")[-1]
        return [*masked(head), last]
    text = re.sub(r"0x[0-9a-fA-F]{40,}", "HEX", text)
    return [re.sub(r"\d{9,}", "N", line) for line in text.splitlines()]


@pytest.mark.parametrize("name", programs())
async def test_an_example_of_the_sdk_does_the_same_on_the_sdk_and_on_the_drop_in(
    name: str, examples: Path, shared: Path, record_property: Any
) -> None:
    """Exit code, output and the exchange's record; HLFAST_SDK_REPORT=FILE keeps what each printed."""
    theirs, ours = [await outcome(examples, shared, name, on_the_sdk) for on_the_sdk in (True, False)]
    if report := os.environ.get("HLFAST_SDK_REPORT"):
        with open(report, "a") as file:
            for way, (code, text, _) in (("sdk", theirs), ("drop-in", ours)):
                file.write(f"== {name} {way} {code}\n" + "\n".join(text.splitlines()[-12:]) + "\n")
    if name in ENDLESS:
        assert "Traceback" not in theirs[1] + ours[1]
        for _, text, truth in (theirs, ours):
            if name == "basic_adding":
                assert len(truth["orders"]) >= 2, text
            else:
                heard = set(re.findall(r"'channel': '(\w+)'", text))
                assert heard >= {"allMids", "l2Book", "bbo", "userFills", "activeAssetCtx", "activeAssetData"}, text
        return
    assert masked(ours[1]) == masked(theirs[1])
    assert ours[0] == theirs[0]
    for kind in ("orders", "fills"):
        assert len(ours[2][kind]) == len(theirs[2][kind])
    assert (ours[2]["cash"], ours[2]["positions"]) == (theirs[2]["cash"], theirs[2]["positions"])


def test_the_sdk_s_own_tests_pass_on_the_drop_in() -> None:
    """Its signing tests and its recorded answers, with the drop-in's modules in the place of its own."""
    named = os.environ.get("HLFAST_SDK_EXAMPLES")
    tests = Path(named).parent / "tests" if named else None
    if tests is None or not tests.is_dir():
        pytest.skip("HLFAST_SDK_EXAMPLES does not name the examples folder of the official SDK's repository")
    if importlib.util.find_spec("pytest_recording") is None:
        pytest.skip("pytest-recording is not installed")
    program = (
        "import sys, pytest, hlfast.compat.hyperliquid as hl\n"
        "hl.install()\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '--import-mode=importlib', '--block-network',"
        " '--record-mode=none', '-o', 'addopts=', 'signing_test.py', 'info_test.py']))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tests,
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0 and "passed" in ran.stdout, ran.stdout + ran.stderr
