"""A program in the style of the official SDK's examples, unchanged, on the local exchange: once on the SDK, once on hlfast.

It prints what it gets and what it has asked for; ids, times and keys are masked. The SDK has no route, so it is given the
local address; the drop-in is given the official one and routed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hlfast.sim import FUNDED_ACCOUNTS

from ..children import surroundings
from .calls import TESTNET

PROGRAM = """
import json
import sys

import eth_account
from eth_account.signers.local import LocalAccount

from hyperliquid.api import API
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils import constants, signing
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.signing import OrderRequest, get_timestamp_ms
from hyperliquid.utils.types import Cloid, Dict, List

own_post = API.post

def post(self, path, payload=None):
    body = dict(payload)
    signature, nonce = body.pop("signature", None), body.pop("nonce", None)
    if signature and not {"time", "nonce"} & set(body["action"]):
        signer = signing.recover_agent_or_user_from_l1_action(
            body["action"], signature, body["vaultAddress"], nonce, body["expiresAfter"], False)
        print("signed by", signer)
    print(path, json.dumps(body))
    return own_post(self, path, payload)

API.post = post
constants.TESTNET_API_URL = sys.argv[1]
account: LocalAccount = eth_account.Account.from_key(sys.argv[2])
info = Info(constants.TESTNET_API_URL, skip_ws=True)
exchange = Exchange(account, constants.TESTNET_API_URL, account_address=account.address)
print(info.user_state(account.address)["marginSummary"])
result = exchange.order("ETH", True, 0.2, 1100, {"limit": {"tif": "Gtc"}}, cloid=Cloid.from_int(1))
print(result)
oid = result["response"]["data"]["statuses"][0]["resting"]["oid"]
print(info.query_order_by_oid(account.address, oid)["status"], info.query_order_by_cloid(account.address, Cloid.from_int(1))["status"])
print(exchange.modify_order(oid, "ETH", True, 0.1, 1105, {"limit": {"tif": "Gtc"}}, cloid=Cloid.from_int(2)))
print(exchange.cancel_by_cloid("ETH", Cloid.from_int(2)), exchange.cancel("ETH", oid))
orders: List[OrderRequest] = [
    {"coin": c, "is_buy": True, "sz": 1, "limit_px": p, "order_type": {"limit": {"tif": "Alo"}}, "reduce_only": False}
    for c, p in (("BTC", 30_000), ("PURR/USDC", 0.1))
]
print(exchange.bulk_orders(orders))
for order in info.open_orders(account.address):
    print(exchange.cancel(order["coin"], order["oid"]))
print(exchange.order("ETH", False, 1, 2000, {"trigger": {"triggerPx": 2001.5, "isMarket": True, "tpsl": "sl"}}, reduce_only=True))
print(exchange.update_leverage(21, "ETH"), exchange.update_leverage(5, "ETH", False), exchange.market_close("ETH"))
print(exchange.schedule_cancel(get_timestamp_ms() + 10_000), exchange.schedule_cancel(None))
print(exchange.usd_class_transfer(1.23, False), exchange.usd_transfer(1, "0x" + "0" * 40), exchange.set_referrer.__name__)
answer, key = exchange.approve_agent("agent")
agent = Exchange(eth_account.Account.from_key(key), constants.TESTNET_API_URL, account_address=account.address)
print(answer, agent.order("ETH", True, 0.2, 1000, {"limit": {"tif": "Gtc"}}))
exchange.set_expires_after(get_timestamp_ms() - 10)
print(exchange.order("ETH", True, 0.2, 1000, {"limit": {"tif": "Gtc"}}))
try:
    info.post("/info", {"type": "nonsense"})
except ClientError as error:
    print(error.status_code, error.error_message)
print(info.all_mids()["ETH"], len(info.l2_snapshot("ETH")["levels"]))
"""


def masked(text: str, url: str) -> list[str]:
    text = text.replace(url, "URL").replace(TESTNET, "URL")
    text = re.sub(r"0x[0-9a-fA-F]{40,}", "HEX", text)
    return [re.sub(r"\d{11,}", "N", line) for line in text.splitlines()]


def run(command: list[str], venue: Any, cwd: Path) -> tuple[int, list[str], str]:
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=surroundings(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return ran.returncode, masked(ran.stdout, venue.url), ran.stderr


def test_an_unchanged_program_does_the_same_on_the_sdk_and_on_hlfast(sdk, open_venue, tmp_path):
    """sdk_dropin 12.4: exit code, requests in their order, who signed each action, and the output."""
    (tmp_path / "program.py").write_text(PROGRAM)
    key = FUNDED_ACCOUNTS[0].key
    first, second = open_venue(), open_venue()
    theirs = run(["program.py", first.url, key], first, tmp_path)
    route = f"{TESTNET}={second.url}"
    ours = run(["-m", "hlfast.compat.hyperliquid", "--route", route, "program.py", TESTNET, key], second, tmp_path)
    assert theirs[0] == 0, theirs[2]
    assert ours[:2] == theirs[:2], ours[2]
    assert sum(line.startswith("signed by") for line in ours[1]) > 10 and len(ours[1]) > 50
