"""The best that a careful Python programmer assembles from wheels, and the idioms that other connectors use.

orjson or msgspec for frames, msgpack and coincurve for orders, the fastest keccak that is installed. No checks beyond
what the work needs: nothing is slowed down here to look bad.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import coincurve
import orjson

from benchmarks.peers import module_of

packb: Callable[[Any], bytes] = module_of("msgpack").packb


# -- numbers ------------------------------------------------------------------------------------------------------------
def float_to_wire(x: float) -> str:
    """The official SDK's function without `Decimal`."""
    text = f"{x:.8f}"
    if abs(float(text) - x) >= 1e-12:
        raise ValueError("float_to_wire causes rounding", x)
    text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def round_price(px: float, sz_decimals: int) -> float:
    """The official SDK's idiom for a perpetual's price: five significant figures, then the decimals that are allowed."""
    return round(float(f"{px:.5g}"), 6 - sz_decimals)


def round_size(sz: float, sz_decimals: int) -> float:
    """The official SDK's idiom for a size."""
    return round(sz, sz_decimals)


def quantize_down(number: float, step: Decimal) -> Decimal:
    """Hummingbot's idiom, for price and size alike."""
    return (Decimal(repr(number)) // step) * step


# -- frames -------------------------------------------------------------------------------------------------------------
Hear = Callable[[Any], object]
Book = tuple[str, list[tuple[Any, Any]], list[tuple[Any, Any]]]


class Reader:
    """Frames by a JSON library: books as (coin, bids, asks) of (price, size), everything else as a tuple for `hear`."""

    def __init__(self, loads: Callable[[bytes], Any], number: Callable[[str], Any], hear: Hear | None = None) -> None:
        self.books: dict[str, Book] = {}
        self._loads, self._number, self._hear = loads, number, hear
        self._channels = {
            "l2Book": self._book,
            "bbo": self._bbo,
            "trades": self._trades,
            "orderUpdates": self._orders,
            "userFills": self._fills,
        }

    def feed(self, frame: bytes) -> None:
        message = self._loads(frame)
        self._channels[message["channel"]](message["data"])

    def _book(self, data: Any) -> None:
        number = self._number
        bids, asks = data["levels"]
        self.books[data["coin"]] = book = (
            data["coin"],
            [(number(level["px"]), number(level["sz"])) for level in bids],
            [(number(level["px"]), number(level["sz"])) for level in asks],
        )
        if self._hear is not None:
            self._hear(book)

    def _bbo(self, data: Any) -> None:
        number = self._number
        bid, ask = data["bbo"]
        assert self._hear is not None
        self._hear(
            (
                data["coin"],
                number(bid["px"]) if bid else None,
                number(bid["sz"]) if bid else None,
                number(ask["px"]) if ask else None,
                number(ask["sz"]) if ask else None,
            )
        )

    def _trades(self, data: Any) -> None:
        number, hear = self._number, self._hear
        assert hear is not None
        for row in data:
            buyer, seller = row["users"]
            hear(
                (
                    row["coin"], row["side"] == "B", number(row["px"]), number(row["sz"]), row["tid"], row["time"],
                    buyer, seller,
                )
            )  # fmt: skip

    def _orders(self, data: Any) -> None:
        number, hear = self._number, self._hear
        assert hear is not None
        for row in data:
            order = row["order"]
            hear(
                (
                    order["coin"], order["side"], number(order["limitPx"]), number(order["sz"]),
                    number(order["origSz"]), order["oid"], order.get("cloid"), row["status"], row["statusTimestamp"],
                )
            )  # fmt: skip

    def _fills(self, data: Any) -> None:
        number, hear = self._number, self._hear
        assert hear is not None
        for row in data["fills"]:
            hear(
                (
                    row["coin"], row["side"] == "B", number(row["px"]), number(row["sz"]), row["oid"], row["tid"],
                    row.get("cloid"), number(row["fee"]), row["feeToken"], number(row["closedPnl"]), row["crossed"],
                    row["time"],
                )
            )  # fmt: skip


def typed_decoder() -> Callable[[bytes], Any] | None:
    """msgspec with types: bytes → a message whose `data` has `coin`, `time` and two `levels` of float `px` and `sz`."""
    msgspec = module_of("msgspec")
    if msgspec is None:
        return None
    level = msgspec.defstruct("level", [("px", float), ("sz", float), ("n", int)], gc=False)
    sides = tuple[list[level], list[level]]  # type: ignore[valid-type]
    data = msgspec.defstruct("data", [("coin", str), ("time", int), ("levels", sides)])
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(
        msgspec.defstruct("message", [("data", data)]), strict=False
    ).decode
    return decode


def typed_book_reader() -> Callable[[bytes], tuple[Any, Any]] | None:
    """msgspec with types: bytes → (bids, asks) of objects with float `px` and `sz`. None if msgspec is missing."""
    decode = typed_decoder()
    if decode is None:
        return None
    books: dict[str, tuple[Any, Any]] = {}

    def read(frame: bytes) -> tuple[Any, Any]:
        message = decode(frame).data
        books[message.coin] = message.levels
        return message.levels  # type: ignore[no-any-return]

    return read


# -- orders -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Intent:
    """What a strategy wants: the numbers as it holds them."""

    coin: str
    asset: int
    is_buy: bool
    px: float
    sz: float
    tif: str
    cloid: str
    sz_decimals: int


def order_wire(intent: Intent) -> dict[str, Any]:
    return {
        "a": intent.asset,
        "b": intent.is_buy,
        "p": float_to_wire(round_price(intent.px, intent.sz_decimals)),
        "s": float_to_wire(round_size(intent.sz, intent.sz_decimals)),
        "r": False,
        "t": {"limit": {"tif": intent.tif}},
        "c": intent.cloid,
    }


def order_action(intents: Sequence[Intent]) -> dict[str, Any]:
    return {"type": "order", "orders": [order_wire(intent) for intent in intents], "grouping": "na"}


def keccak() -> Callable[[bytes], bytes]:
    """The fastest keccak that is installed."""
    sha3 = module_of("safe-pysha3")
    return by_pycryptodome() if sha3 is None else lambda data: sha3.keccak_256(data).digest()


def by_pycryptodome() -> Callable[[bytes], bytes]:
    new = module_of("pycryptodome").new
    return lambda data: new(digest_bits=256, data=data).digest()


class OrderSigner:
    """L1 signatures from msgpack, the fastest keccak at hand and coincurve's Python API; constants are made once."""

    def __init__(self, key: bytes, hash_of: Callable[[bytes], bytes], *, is_mainnet: bool = True) -> None:
        self._key = coincurve.PrivateKey(key)
        self._hash = hash_of
        domain = hash_of(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
        domain += hash_of(b"Exchange") + hash_of(b"1") + (1337).to_bytes(32, "big") + bytes(32)
        self._envelope = b"\x19\x01" + hash_of(domain)
        self._agent = hash_of(b"Agent(string source,bytes32 connectionId)") + hash_of(b"a" if is_mainnet else b"b")

    def sign(self, action: dict[str, Any], nonce: int) -> dict[str, Any]:
        packed = packb(action) + nonce.to_bytes(8, "big") + b"\x00"
        digest = self._hash(self._envelope + self._hash(self._agent + self._hash(packed)))
        signature = self._key.sign_recoverable(digest, hasher=None)
        return {
            "r": hex(int.from_bytes(signature[:32], "big")),
            "s": hex(int.from_bytes(signature[32:64], "big")),
            "v": 27 + signature[64],
        }

    def request(self, intents: Sequence[Intent], nonce: int) -> bytes:
        """The WebSocket request that places `intents`."""
        action = order_action(intents)
        payload = {
            "action": action,
            "nonce": nonce,
            "signature": self.sign(action, nonce),
            "vaultAddress": None,
            "expiresAfter": None,
        }
        return orjson.dumps({"method": "post", "id": 1, "request": {"type": "action", "payload": payload}})


def by_json(frame: bytes) -> Any:
    return json.loads(frame)


# -- events -------------------------------------------------------------------------------------------------------------
class Dispatcher:
    """Handlers by class, each isolated from the others."""

    def __init__(self) -> None:
        self._handlers: dict[type, list[Callable[[Any], object]]] = {}
        self.errors = 0

    def on(self, kind: type, handler: Callable[[Any], object]) -> None:
        self._handlers.setdefault(kind, []).append(handler)

    def emit(self, event: object) -> None:
        for handler in self._handlers.get(type(event), ()):
            try:
                handler(event)
            except Exception:
                self.errors += 1
