"""The official SDK's own functions, as its users call them; only the HTTP request itself is left out.

It picks coincurve where that is installed (its best setting). `natively(...)` is what its default install has: elliptic
curves in pure Python.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from benchmarks.peers import module_of
from benchmarks.peers.plain import Hear, Intent, round_price, round_size

NAME = "official SDK"
DEFAULT_INSTALL = "official SDK, default install"


def is_installed() -> bool:
    return module_of("hyperliquid-python-sdk") is not None


def signing() -> Any:
    """Its module of signing functions."""
    return module_of("hyperliquid-python-sdk")


@cache
def wallet(key: str) -> Any:
    """An eth-account wallet. Which library it signs with is looked up at each signature."""
    from eth_account import Account

    return Account.from_key(key)


def natively(call: Callable[..., Any]) -> Callable[..., Any]:
    """`call` as the SDK's default install has it: coincurve is not found."""

    def without_coincurve(*arguments: Any) -> Any:
        os.environ["ECC_BACKEND_CLASS"] = "eth_keys.backends.NativeECCBackend"
        try:
            return call(*arguments)
        finally:
            del os.environ["ECC_BACKEND_CLASS"]

    return without_coincurve


def signer(key: str) -> Callable[[dict[str, Any], int], dict[str, Any]]:
    """`sign(action, nonce)` for mainnet."""
    sign, of = signing().sign_l1_action, wallet(key)
    return lambda action, nonce: sign(of, action, None, nonce, None, True)


def encoder() -> Callable[[Intent], tuple[bytes, bytes]]:
    """One order as it packs it for the hash, and as it writes it for the body."""
    module, cloid, packb = (
        signing(),
        import_module("hyperliquid.utils.types").Cloid.from_str,
        module_of("msgpack").packb,
    )

    def encode(intent: Intent) -> tuple[bytes, bytes]:
        wire = module.order_request_to_order_wire(_order_request(intent, cloid), intent.asset)
        action = module.order_wires_to_order_action([wire])
        return packb(action), json.dumps(action).encode()

    return encode


def _order_request(intent: Intent, cloid: Callable[[str], Any]) -> dict[str, Any]:
    """What its users pass, rounded as its examples round."""
    return {
        "coin": intent.coin,
        "is_buy": intent.is_buy,
        "sz": round_size(intent.sz, intent.sz_decimals),
        "limit_px": round_price(intent.px, intent.sz_decimals),
        "order_type": {"limit": {"tif": intent.tif}},
        "reduce_only": False,
        "cloid": cloid(intent.cloid),
    }


class Reader:
    """Frames by its WebSocket manager, to one callback for every subscription: a dict of text."""

    def __init__(self, coins: Sequence[str], user: str, hear: Hear) -> None:
        module: Any = import_module("hyperliquid.websocket_manager")
        manager, subscription = module.WebsocketManager("http://127.0.0.1"), module.ActiveSubscription  # never started
        for coin in coins:
            for kind in ("l2Book", "bbo", "trades"):
                manager.active_subscriptions[f"{kind}:{coin.lower()}"].append(subscription(hear, 1))
        for identifier in ("orderUpdates", f"userFills:{user.lower()}"):
            manager.active_subscriptions[identifier].append(subscription(hear, 1))
        self._on_message = manager.on_message

    def feed(self, frame: str) -> None:
        """`frame` as its WebSocket library hands it over: text."""
        self._on_message(None, frame)


class Orders:
    """Its `Exchange.bulk_orders`, up to the body that it would send."""

    def __init__(self, key: str, universe: Sequence[tuple[str, int]]) -> None:
        exchange: Any = import_module("hyperliquid.exchange")

        class WithoutNetwork(exchange.Exchange):  # type: ignore[misc]
            def post(self, url_path: str, payload: Any = None) -> bytes:
                return json.dumps(payload, allow_nan=False).encode()

        self._module = exchange
        self._cloid = exchange.Cloid
        meta = {"universe": [{"name": name, "szDecimals": decimals} for name, decimals in universe]}
        self._exchange = WithoutNetwork(wallet(key), meta=meta, spot_meta={"universe": [], "tokens": []})

    def request(self, intents: Sequence[Intent], nonce: int | None = None) -> bytes:
        """The body that places `intents`; with a nonce of its own clock, or with the one that is given."""
        if nonce is not None:
            own, self._module.get_timestamp_ms = self._module.get_timestamp_ms, lambda: nonce
            try:
                return self.request(intents)
            finally:
                self._module.get_timestamp_ms = own
        requests = [_order_request(intent, self._cloid.from_str) for intent in intents]
        body: bytes = self._exchange.bulk_orders(requests)
        return body
