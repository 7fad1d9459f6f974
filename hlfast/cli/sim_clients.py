"""How to point each client at the local exchange (layer 5, cold): whole programs, printed by `hlfast sim`, to be copied as they are.

    for name, program in programs("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws", account): ...

Each places one order that rests far from the market. The clients must sign for the test network: the official SDK does so for
every address but the main network's, ccxt in its sandbox mode, the TypeScript SDK with `isTestnet`.
"""

from __future__ import annotations

from collections.abc import Mapping

from hlfast.config import SIMULATOR

HLFAST = """\
import hlfast

async def main():
    async with hlfast.connect({network}) as hl:
        order = hl.buy("ETH", "0.1", "3000")
        print(await order.accepted(), order)

hlfast.run(main())
"""

SDK = """\
import eth_account
from hyperliquid.exchange import Exchange   # or, on hlfast: from hlfast.compat.hyperliquid.exchange import Exchange

sdk = Exchange(eth_account.Account.from_key("{key}"), "{url}")
print(sdk.order("ETH", True, 0.1, 3000, {{"limit": {{"tif": "Gtc"}}}}))
"""

CCXT = """\
import ccxt   # ccxt.pro too

x = ccxt.hyperliquid({{"walletAddress": "{address}", "privateKey": "{key}"}})
x.set_sandbox_mode(True)
x.urls["api"] = {{"public": "{url}", "private": "{url}", "ws": {{"public": "{ws_url}"}}}}
print(x.create_order("ETH/USDC:USDC", "limit", "buy", 0.1, 3000)["info"])
"""

TYPESCRIPT = """\
import {{ ExchangeClient, HttpTransport, WebSocketTransport }} from "@nktkas/hyperliquid";
import {{ SymbolConverter }} from "@nktkas/hyperliquid/utils";
import {{ privateKeyToAccount }} from "viem/accounts";

const transport = new HttpTransport({{ isTestnet: true, apiUrl: "{url}" }});
// or: new WebSocketTransport({{ isTestnet: true, url: "{ws_url}" }})
const client = new ExchangeClient({{ wallet: privateKeyToAccount("{key}"), transport }});
const eth = (await SymbolConverter.create({{ transport }})).getAssetId("ETH");
const order = {{ a: eth, b: true, p: "3000", s: "0.1", r: false, t: {{ limit: {{ tif: "Gtc" }} }} }};
console.log(JSON.stringify(await client.order({{ orders: [order], grouping: "na" }})));
"""

UNCHANGED = "python -m hlfast.compat.hyperliquid --route https://api.hyperliquid-testnet.xyz={url} bot.py"

PROGRAMS = (
    ("hlfast", HLFAST),
    ("The official Python SDK", SDK),
    ("ccxt", CCXT),
    ("The TypeScript SDK (npm install @nktkas/hyperliquid viem)", TYPESCRIPT),
)


def programs(url: str, ws_url: str, account: Mapping[str, str]) -> list[tuple[str, str]]:
    """(whose, program) for each client; `account` is a funded one, with `address` and `key`."""
    network = '"simulator"' if url == SIMULATOR.http_url else f"hlfast.Network({url!r}, {ws_url!r}, False)"
    given = {"url": url, "ws_url": ws_url, "network": network, "address": account["address"], "key": account["key"]}
    return [(name, program.format(**given)) for name, program in PROGRAMS]


def shown(url: str, ws_url: str, account: Mapping[str, str]) -> str:
    """All of them under their headings."""
    parts = [f"-- {name}\n{program}" for name, program in programs(url, ws_url, account)]
    parts.insert(2, f"-- A program for the official SDK, unchanged, on hlfast\n{UNCHANGED.format(url=url)}\n")
    return "\n".join(parts)
