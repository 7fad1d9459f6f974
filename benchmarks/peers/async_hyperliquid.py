"""async-hyperliquid's own functions, as its users call them; only the HTTP request itself is left out.

It depends on coincurve, so its default install is its best setting. It has no WebSocket client.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from benchmarks.peers import module_of
from benchmarks.peers.plain import Intent
from benchmarks.peers.sdk import wallet

DISTRIBUTION = "async-hyperliquid"
NAME = "async-hyperliquid"


def signing() -> Any:
    return module_of(DISTRIBUTION)


def float_to_wire() -> Callable[[float], str]:
    return signing().round_float  # type: ignore[no-any-return]


def signer(key: str) -> Callable[[dict[str, Any], int], dict[str, Any]]:
    """`sign(action, nonce)` for mainnet."""
    sign, of = signing().sign_action, wallet(key)
    return lambda action, nonce: sign(of, action, None, nonce, True)


def encoder() -> Callable[[Intent], tuple[bytes, bytes]]:
    """One order as it packs it for the hash, and as it writes it for the body."""
    module, packb = signing(), module_of("msgpack").packb
    request_of = _requests()

    def encode(intent: Intent) -> tuple[bytes, bytes]:
        action = module.orders_to_action([module.encode_order(request_of(intent))], "na", None)
        return packb(action), json.dumps(action).encode()

    return encode


def _requests() -> Callable[[Intent], dict[str, Any]]:
    """What its `place_order` makes of a caller's numbers before it encodes them."""
    rounding: Any = import_module("async_hyperliquid.utils.miscs")
    types: Any = import_module("async_hyperliquid.utils.types")
    tifs = {one.value: types.limit_order_type(one) for one in types.LimitTif}

    def request(intent: Intent) -> dict[str, Any]:
        return {
            "asset": intent.asset,
            "is_buy": intent.is_buy,
            "sz": rounding.round_float(intent.sz, intent.sz_decimals),
            "px": rounding.round_px(intent.px, 6 - intent.sz_decimals),
            "ro": False,
            "order_type": tifs[intent.tif],
            "cloid": types.Cloid.from_str(intent.cloid),
        }

    return request


class Orders:
    """Its `place_orders`, up to the body that aiohttp would send."""

    def __init__(self, key: str) -> None:
        module: Any = import_module("async_hyperliquid.exchange")

        class WithoutNetwork(module.ExchangeAPI):  # type: ignore[misc]
            async def post(self, payload: Any = None) -> bytes:
                return json.dumps(payload).encode()  # as aiohttp does with `json=`

        self._exchange = WithoutNetwork(wallet(key), None, module.MAINNET_API_URL)
        self._signing = signing()
        self._request_of = _requests()

    def request(self, intents: Sequence[Intent], nonce: int | None = None) -> bytes:
        """The body that places `intents`; with a nonce of its own clock, or with the one that is given."""
        if nonce is not None:
            own, self._exchange._next_nonce = self._exchange._next_nonce, lambda: nonce
            try:
                return self.request(intents)
            finally:
                self._exchange._next_nonce = own
        orders = [self._signing.encode_order(self._request_of(intent)) for intent in intents]
        posting = self._exchange.post_action(self._signing.orders_to_action(orders, "na", None))
        try:
            posting.send(None)  # it awaits nothing but `post`
        except StopIteration as done:
            body: bytes = done.value
            return body
        raise RuntimeError("async-hyperliquid waits for something else than its request")
