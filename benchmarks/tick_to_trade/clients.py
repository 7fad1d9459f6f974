"""The traders, each a process of its own: `python -m benchmarks.tick_to_trade.clients NAME WS_URL HTTP_URL`.

A trader connects, listens to its instruments, prints "ready", trades on each tick until a line comes on stdin, prints what
it knows about itself as JSON, and ends. Price: the best bid, as a number of whatever kind the library hands out. Every
trader collects its garbage once when it is ready and freezes what is left (`gc.freeze`), as a trading process would.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import ssl
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import picows
import uvloop

import hlfast
from benchmarks.kernels.signing import KEY
from benchmarks.peers import async_hyperliquid, ccxt, plain, sdk
from benchmarks.tick_to_trade.answers import ASSETS, META, SIZES, SPOT_META
from benchmarks.tick_to_trade.exchange import ECHO
from benchmarks.wire import MARKETS
from hlfast import Network, Settings
from hlfast.clock import wall_clock_ms
from hlfast.config import SIMULATOR_TEST_KEY
from hlfast.core import latency
from hlfast.core.order_book import OrderBook

COINS = tuple(SIZES)
DECIMALS = {market.coin: market.sz_decimals for market in MARKETS}
POOL = 8_192
"""Prepared nonces: more than one turn uses."""
ORDER_BYTES = 440
"""About what a signed order takes as a WebSocket request."""


class Line:
    """The way to the harness. `ready()` returns when the trading is over."""

    def __init__(self, ws_url: str, http_url: str) -> None:
        self.ws_url, self.http_url = ws_url, http_url

    def ready(self) -> None:
        gc.collect()
        gc.freeze()
        print("ready", flush=True)
        sys.stdin.readline()

    async def trading(self) -> None:
        gc.collect()
        gc.freeze()
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

    def tls(self) -> ssl.SSLContext | None:
        """Verified, by the authority that SSL_CERT_FILE names."""
        return ssl.create_default_context() if self.ws_url.startswith("wss:") else None


class Cloids:
    """One after the other."""

    def __init__(self) -> None:
        self._last = wall_clock_ms() << 32

    def next(self) -> str:
        self._last += 1
        return f"0x{self._last:032x}"


def subscriptions() -> list[bytes]:
    return [b'{"method":"subscribe","subscription":{"type":"l2Book","coin":"%s"}}' % coin.encode() for coin in COINS]


# -- hlfast -------------------------------------------------------------------------------------------------------------
async def by_hlfast(line: Line, *, prepared: bool = False) -> dict[str, Any]:
    network = Network(line.http_url, line.ws_url, is_mainnet=False)
    more: dict[str, Any] = {"nonce_pool": POOL} if prepared else {}
    hl = hlfast.connect(network, key=SIMULATOR_TEST_KEY, settings=Settings(**more))
    async with hl:
        for coin in COINS:
            hl.watch(coin, bbo=False)
        await hl.wait_ready(10)
        await asyncio.sleep(1.5)  # the second look after a connection is over; prepared nonces are there

        def trade(book: OrderBook) -> None:
            coin = book.coin
            hl.buy(coin, SIZES[coin], book.best_bid, tif="Alo")

        for coin in COINS:
            hl.on_book(coin, trade)
        latency.reset()
        await line.trading()
        return {"stages": latency.summary(), "counters": hl.counters}


# -- wheels, put together by hand ---------------------------------------------------------------------------------------
class Hands(picows.WSListener):
    """picows, msgspec with types, pysha3, coincurve, orjson: no checks, no tracking, no answers read."""

    def __init__(self) -> None:
        decode = plain.typed_decoder()
        if decode is None:
            raise RuntimeError("msgspec is not installed")
        self._decode = decode
        self._signer = plain.OrderSigner(KEY, plain.keccak(), is_mainnet=False)
        self._cloids = Cloids()
        self._nonce = 0
        self.armed = False

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        for one in subscriptions():
            transport.send(picows.WSMsgType.TEXT, one)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if not self.armed or frame.msg_type != picows.WSMsgType.TEXT:
            return
        body = frame.get_payload_as_bytes()
        if not body.startswith(b'{"channel":"l2Book"'):
            return
        data = self._decode(body).data
        coin, best_bid = data.coin, data.levels[0][0].px
        self._nonce = max(self._nonce + 1, wall_clock_ms())
        wanted = plain.Intent(
            coin, ASSETS[coin], True, best_bid, SIZES[coin], "Alo", self._cloids.next(), DECIMALS[coin]
        )
        transport.send(picows.WSMsgType.TEXT, self._signer.request((wanted,), self._nonce))


async def by_hand(line: Line) -> dict[str, Any]:
    transport, listener = await picows.ws_connect(Hands, line.ws_url, ssl_context=line.tls())
    await asyncio.sleep(0.3)
    listener.armed = True  # type: ignore[attr-defined]
    await line.trading()
    transport.disconnect()
    return {}


class Echo(picows.WSListener):
    """The floor: as many bytes as an order has, for every book."""

    def __init__(self) -> None:
        self._answer = ECHO.ljust(ORDER_BYTES - 1) + b"}"

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        for one in subscriptions():
            transport.send(picows.WSMsgType.TEXT, one)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        transport.send(picows.WSMsgType.TEXT, self._answer)


async def by_echo(line: Line, fast_tls: bool | None = None) -> dict[str, Any]:
    """`fast_tls=False`: uvloop's TLS instead of aiofastnet's, which picows takes where it is installed."""
    transport, _ = await picows.ws_connect(Echo, line.ws_url, ssl_context=line.tls(), use_aiofastnet=fast_tls)
    await line.trading()
    transport.disconnect()
    return {}


# -- libraries ----------------------------------------------------------------------------------------------------------
def by_sdk(line: Line) -> dict[str, Any]:
    """Its WebSocket manager's thread calls back, its `Exchange.order` posts."""
    exchanges: Any = import_module("hyperliquid.exchange")
    manager: Any = import_module("hyperliquid.websocket_manager").WebsocketManager(
        "http" + line.ws_url.removeprefix("ws").removesuffix("/ws")
    )
    exchange = exchanges.Exchange(sdk.wallet(SIMULATOR_TEST_KEY), line.http_url, meta=META, spot_meta=SPOT_META)
    cloid, cloids = exchanges.Cloid.from_str, Cloids()
    armed = False

    def trade(message: Any) -> None:
        if armed:
            data = message["data"]
            coin, best_bid = data["coin"], float(data["levels"][0][0]["px"])
            tif = {"limit": {"tif": "Alo"}}
            exchange.order(coin, True, SIZES[coin], best_bid, tif, cloid=cloid(cloids.next()))

    for coin in COINS:
        manager.subscribe({"type": "l2Book", "coin": coin}, trade)
    manager.daemon = True
    manager.ping_sender.daemon = True
    manager.start()
    exchange.post("/info", {"type": "meta"})  # opens the connection that is kept alive
    while not manager.ws_ready:
        manager.join(0.01)
    manager.join(0.3)  # the first books have come
    armed = True
    line.ready()
    return {}


async def by_async_hyperliquid(line: Line) -> dict[str, Any]:
    """Its `place_typed_order`; books come by aiohttp and orjson, as it has no WebSocket client of its own."""
    import orjson

    library: Any = import_module("async_hyperliquid")
    types: Any = import_module("async_hyperliquid.utils.types")
    client = library.AsyncHyperliquid(sdk.wallet(SIMULATOR_TEST_KEY).address, SIMULATOR_TEST_KEY, is_mainnet=False)
    for part in (client.info, client.exchange):
        part.base_url = line.http_url
        part._request_url = f"{line.http_url}/{part.endpoint.value}"
    client._init_perp_meta(META, 0)
    client._metas_initialized = True
    alo, cloids = types.limit_order_type(types.LimitTif.ALO), Cloids()
    await client.info.get_perp_meta()  # opens the connection that is kept alive
    loop = asyncio.get_running_loop()
    async with client.session.ws_connect(line.ws_url, compress=0) as socket:
        for one in subscriptions():
            await socket.send_str(one.decode())
        armed = False

        async def trade() -> None:
            async for message in socket:
                said = orjson.loads(message.data)
                if armed and said["channel"] == "l2Book":
                    coin, best_bid = said["data"]["coin"], float(said["data"]["levels"][0][0]["px"])
                    cloid = types.Cloid.from_str(cloids.next())
                    await client.place_typed_order(coin, True, SIZES[coin], best_bid, order_type=alo, cloid=cloid)

        trading = loop.create_task(trade())
        await asyncio.sleep(0.3)
        armed = True
        await line.trading()
        trading.cancel()
    await client.close()
    return {}


async def by_ccxt_pro(line: Line) -> dict[str, Any]:
    """`watch_order_book` and `create_order_ws`, without its throttle, which would hold every order back for 50 ms."""
    pro: Any = import_module("ccxt.pro")
    options: dict[str, Any] = {
        "privateKey": SIMULATOR_TEST_KEY,
        "walletAddress": "0x" + "0" * 40,
        "enableRateLimit": False,
    }
    if authority := os.environ.get("SSL_CERT_FILE"):
        options["cafile"] = authority
    exchange = pro.hyperliquid(options)
    exchange.set_markets(ccxt.exchange(SIMULATOR_TEST_KEY).markets)
    exchange.options["sandboxMode"] = True
    exchange.urls["api"]["ws"]["public"] = line.ws_url
    exchange.urls["api"]["public"] = exchange.urls["api"]["private"] = line.http_url
    refused = import_module("ccxt").BaseError
    cloids = Cloids()

    async def trade(coin: str) -> None:
        symbol, size = ccxt.symbol(coin), SIZES[coin]
        first = True
        while True:
            book = await exchange.watch_order_book(symbol)
            if first:  # what comes with the subscription
                first = False
                continue
            more = {"timeInForce": "Alo", "clientOrderId": cloids.next()}
            try:
                await exchange.create_order_ws(symbol, "limit", "buy", size, book["bids"][0][0], more)
            except refused:
                pass  # the far end refuses every order

    tasks = [asyncio.get_running_loop().create_task(trade(coin)) for coin in COINS]
    await asyncio.sleep(1.0)
    await line.trading()
    for task in tasks:
        task.cancel()
    await exchange.close()
    return {}


Trader = Callable[[Line], dict[str, Any]]


def on_uvloop(main: Callable[[Line], Any]) -> Trader:
    def trade(line: Line) -> dict[str, Any]:
        uvloop.install()
        return asyncio.run(main(line))  # type: ignore[no-any-return]

    return trade


def on_hlfast(main: Callable[..., Any], *, spin: bool = False, **more: Any) -> Trader:
    return lambda line: hlfast.run(main(line, **more), spin=spin)


TRADERS: dict[str, Trader] = {
    "hlfast": on_hlfast(by_hlfast),
    "hlfast-prepared": on_hlfast(by_hlfast, prepared=True),
    "hlfast-spin": on_hlfast(by_hlfast, spin=True),
    "hlfast-spin-prepared": on_hlfast(by_hlfast, spin=True, prepared=True),
    "hand": on_uvloop(by_hand),
    "echo": on_uvloop(by_echo),
    "echo-uvloop-tls": on_uvloop(lambda line: by_echo(line, False)),
    "echo-spin": on_hlfast(by_echo, spin=True),
    "sdk": by_sdk,
    "sdk-default": by_sdk,
    async_hyperliquid.NAME: on_uvloop(by_async_hyperliquid),
    ccxt.PRO: on_uvloop(by_ccxt_pro),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tick_to_trade.clients")
    parser.add_argument("name", choices=TRADERS)
    parser.add_argument("ws_url")
    parser.add_argument("http_url")
    given = parser.parse_args()
    told = TRADERS[given.name](Line(given.ws_url, given.http_url))
    print(json.dumps(told), flush=True)
    os._exit(0)  # some libraries leave threads behind that would keep the process


if __name__ == "__main__":
    main()
