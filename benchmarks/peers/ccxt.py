"""ccxt's own functions, and ccxt.pro's for frames, as its users call them; only the network is left out.

Its wheel depends on coincurve, orjson and uvloop, so its default install is its best setting. "Without coincurve" is what
it has on a platform or Python for which its requirements leave coincurve out (Python 3.14, musl on some processors).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import orjson

from benchmarks.peers import module_of
from benchmarks.peers.plain import Intent
from benchmarks.wire import MARKETS, Market

DISTRIBUTION = "ccxt"
NAME, PRO = "ccxt", "ccxt.pro"
WITHOUT_COINCURVE = "ccxt, without coincurve"


def symbol(coin: str) -> str:
    """Its name of a perpetual."""
    return f"{coin.upper()}/USDC:USDC"


def universe(markets: Sequence[Market] = MARKETS) -> list[Any]:
    """The venue's `metaAndAssetCtxs`, which ccxt reads its markets from."""
    rows = [
        {"name": one.coin, "szDecimals": one.sz_decimals, "maxLeverage": 20, "marginTableId": 20} for one in markets
    ]
    contexts = [
        {
            "funding": "0.0000125", "openInterest": "1000.0", "prevDayPx": one.px(one.mid), "dayNtlVlm": "1000000.0",
            "premium": "0.0", "oraclePx": one.px(one.mid), "markPx": one.px(one.mid), "midPx": one.px(one.mid),
            "impactPxs": [one.px(one.mid), one.px(one.mid + 1)], "dayBaseVlm": "1000.0",
        }
        for one in markets
    ]  # fmt: skip
    return [{"universe": rows}, contexts]


@cache
def exchange(key: str) -> Any:
    """Its synchronous exchange with the markets of `universe()` loaded."""
    made = module_of(DISTRIBUTION).hyperliquid({"privateKey": key, "walletAddress": "0x" + "0" * 40})
    made.options["fetchMarkets"] = {"types": ["swap"]}
    made.publicPostInfo = lambda request: universe()
    made.set_markets(made.fetch_swap_markets())
    return made


def encoder(key: str) -> Callable[[Intent], tuple[bytes, bytes]]:
    """One order as it packs it for the hash, and as it writes it for the body."""
    own = exchange(key)

    def encode(intent: Intent) -> tuple[bytes, bytes]:
        order = own.create_order_request(*_arguments(intent))
        action = {"type": "order", "orders": [order], "grouping": "na"}
        return own.packb(action), orjson.dumps(action)

    return encode


def _arguments(intent: Intent) -> tuple[Any, ...]:
    side = "buy" if intent.is_buy else "sell"
    more = {"timeInForce": intent.tif, "clientOrderId": intent.cloid}
    return symbol(intent.coin), "limit", side, repr(intent.sz), repr(intent.px), more


def signer(key: str) -> Callable[[dict[str, Any], int], dict[str, Any]]:
    """`sign(action, nonce)` for mainnet."""
    return exchange(key).sign_l1_action  # type: ignore[no-any-return]


def without_coincurve(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` while coincurve cannot be imported: ccxt then signs with the `cryptography` package."""

    def hidden(*arguments: Any) -> Any:
        kept = sys.modules.get("coincurve")
        sys.modules["coincurve"] = None  # type: ignore[assignment]
        try:
            return call(*arguments)
        finally:
            if kept is None:
                del sys.modules["coincurve"]
            else:
                sys.modules["coincurve"] = kept

    return hidden


class Orders:
    """Its `create_orders`, up to the body that it would send."""

    def __init__(self, key: str) -> None:
        self._exchange = exchange(key)

    def request(self, intents: Sequence[Intent], nonce: int | None = None) -> bytes:
        """The body that places `intents`; with a nonce of its own clock, or with the one that is given."""
        own = self._exchange
        if nonce is not None:
            own.incrementing_nonce = lambda: nonce
            try:
                return self.request(intents)
            finally:
                del own.incrementing_nonce
        wanted = []
        for intent in intents:
            name, kind, side, amount, price, more = _arguments(intent)
            wanted.append(
                {"symbol": name, "type": kind, "side": side, "amount": amount, "price": price, "params": more}
            )
        return orjson.dumps(own.create_orders_request(wanted))


class BookReader:
    """ccxt.pro: a frame's text to its order book. `read(text)` is what its WebSocket client calls for a message."""

    def __init__(self) -> None:
        pro: Any = import_module("ccxt.pro")
        client: Any = import_module("ccxt.async_support.base.ws.client")
        self._exchange = pro.hyperliquid()
        self._exchange.set_markets(exchange("0x" + "1" * 64).markets)

        class Unconnected(client.Client):  # type: ignore[misc]
            """Its client without a socket; nobody waits for a message."""

            def __init__(self) -> None:
                self.verbose, self.decompressBinary, self.futures = False, False, {}
                self.messageQueue, self.rejections, self.subscriptions = {}, {}, {}

        self._client = Unconnected()
        self._client.on_message_callback = self._exchange.handle_message
        self._read = self._client.handle_text_or_binary_message
        self.books = self._exchange.orderbooks

    def feed(self, text: str) -> Any:
        self._read(text)
        return None
