"""The TypeScript SDK, unchanged, against the local exchange: every call that it offers, its answers against its own types.

npm installs it, and Node 22 where the machine's is older, into a temporary folder; typescript.mjs then runs there once. Each
answer must fit the SDK's type of that name, turned into a JSON schema in which nothing may be missing, more or of another
kind; what it says happened must be what the exchange has on record.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hlfast.sim import FUNDED_ACCOUNTS, SimExchange
from hlfast.sim.supported import SUPPORTED

from .conftest import make_books

ALICE, BOB = FUNDED_ACCOUNTS[:2]
KINDS = {"info": "info requests", "exchange": "actions", "subscription": "subscriptions"}
NAMES = {
    "cSignerAction": "CSignerAction",
    "cValidatorAction": "CValidatorAction",
    "activeSpotAssetCtx": "activeAssetCtx",
}
NULLS = {"vaultDetails"}
"""Null for an unknown one, as on the venue; the SDK's type of this version does not know it."""

pytestmark = pytest.mark.long


def is_supported(kind: str, name: str) -> bool:
    return NAMES.get(name, name) in SUPPORTED[KINDS[kind]]


@pytest.fixture(scope="module")
def day(node_folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The program's report and the exchange's record afterwards."""

    shutil.copy(Path(__file__).with_name("typescript.mjs"), node_folder)

    async def run() -> tuple[dict[str, Any], dict[str, Any]]:
        async with SimExchange(port=0, block_ms=10, traders=False, book_interval_ms=50) as exchange:
            await make_books(exchange)
            accounts = [{"address": each.address, "key": each.key} for each in FUNDED_ACCOUNTS[:4]]
            given = {"http": exchange.http_url, "ws": exchange.ws_url, "accounts": accounts}
            process = await asyncio.create_subprocess_exec(
                str(node_folder / "node_modules" / ".bin" / "node"),
                "typescript.mjs",
                json.dumps(given),
                cwd=node_folder,
                stderr=asyncio.subprocess.PIPE,
            )
            _, errors = await asyncio.wait_for(process.communicate(), 300)
            assert process.returncode == 0, errors.decode()
            exchange.engine.assert_conserved()
            return json.loads((node_folder / "report.json").read_text()), exchange.truth()

    return asyncio.run(run())


def test_every_answer_that_the_exchange_gives_fits_the_sdk_s_types(day: Any) -> None:
    """What is supported succeeds and fits, over HTTP and over the socket; the rest is answered as an unknown type."""
    report, _ = day
    assert report["untried"] == ["exchange convertToMultiSigUser"], "a call that this test does not try"
    checked = 0
    for row in report["results"]:
        what = f"{row['client']} {row['name']} {row.get('note')}: {row.get('error')} {row['misfits']}"
        if row["kind"] == "utils":
            continue
        if not is_supported(row["kind"], row["name"]):
            assert not row["ok"] and "422" in row["error"], what
        elif row["note"] == "refused" or (row["note"] == "beyond" and not row["ok"]):
            assert row["refused"], what
        elif row["name"] == "perpDexLimits" and not row["ok"]:
            assert "500" in row["error"], what  # it is asked about a dex that is not there
        elif row["value"] is None and row["name"] in NULLS:
            assert row["ok"], what
        else:
            assert row["ok"] and not row["misfits"], what
            checked += 1
    assert checked > 150


def test_every_event_that_the_exchange_sends_fits_the_sdk_s_types(day: Any) -> None:
    report, _ = day
    for name, row in report["events"].items():
        what = f"{name}: {row['error']} {row['misfits']}"
        if not is_supported("subscription", name):
            assert not row["ok"] and "Invalid subscription" in row["error"], what
        else:
            assert row["ok"] and not row["misfits"], what
            assert row["count"] or name in ("notification", "outcomeMetaUpdates"), what


def test_what_the_sdk_was_told_is_what_happened(day: Any) -> None:
    """Orders, fills, sub-account, vault and balances: the exchange's record, and both of its streams of fills."""
    report, truth = day
    users = truth["users"]
    alice = users[ALICE.address]
    orders = {row["oid"]: row for row in alice["orders"]}
    placed = [
        row for row in report["results"] if row["name"] == "order" and row["client"].startswith("alice") and row["ok"]
    ]
    for row in placed:
        wire, entry = row["params"]["orders"][0], row["value"]["response"]["data"]["statuses"][0]
        if not isinstance(entry, dict):
            continue
        (kind,) = entry
        order = orders[entry[kind]["oid"]]
        assert Decimal(order["px"]) == Decimal(wire["p"]) and Decimal(order["sz"]) == Decimal(wire["s"])
        assert order["side"] == ("B" if wire["b"] else "A") and order["cloid"] == wire.get("c")
        if kind == "filled":
            assert entry[kind]["totalSz"] == order["filled"] and order["status"] == "filled"
    told = [fill for event in report["events"]["userFills"]["data"] for fill in event["fills"]]
    assert told == alice["fills"] and len(told) >= 3
    events = [fill for event in report["events"]["userEvents"]["data"] for fill in event.get("fills", ())]
    assert events == told
    updates = [row for event in report["events"]["orderUpdates"]["data"] for row in event]
    last = {row["order"]["oid"]: row["status"] for row in updates}
    assert all(orders[oid]["status"] == status for oid, status in last.items()) and len(last) > 8
    (state,) = (
        row["value"] for row in report["results"] if row["name"] == "spotClearinghouseState" and row["client"] == "info"
        and not row["note"]
    )  # fmt: skip
    assert {row["coin"]: row for row in state["balances"]} == alice["spot"]
    sub, vault = users[report["sub"]], users[report["vault"]]
    assert sub["cash"] == "999.0" and sub["spot"]["PURR"]["total"] == "10.0" and len(sub["orders"]) == 1
    assert vault["cash"] == "230.0"  # 200 and 50 in, 20 paid out
    assert users[BOB.address]["spot"]["USDC"]["total"] == "100007.0"
