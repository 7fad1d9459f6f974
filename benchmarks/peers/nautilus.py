"""nautilus_trader's own functions, where Python can call them: numbers onto an instrument's grid, and its order book.

Its Hyperliquid signing lies inside its Rust HTTP client, which has no address but the venue's: it cannot be called
or pointed at this machine, so it is in no table here. Its book is filled as its adapters in Python fill one: a
decoded frame becomes deltas, and they are applied.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from benchmarks.peers import module_of
from benchmarks.peers.plain import typed_decoder

DISTRIBUTION = "nautilus_trader"
NAME = "nautilus_trader"


def is_installed() -> bool:
    return module_of(DISTRIBUTION) is not None


@cache
def instrument(coin: str, sz_decimals: int, px_decimals: int) -> Any:
    """A perpetual with these decimals."""
    kinds: Any = import_module("nautilus_trader.model.instruments")
    identifiers: Any = import_module("nautilus_trader.model.identifiers")
    objects: Any = import_module("nautilus_trader.model.objects")
    currencies: Any = import_module("nautilus_trader.model.currencies")

    def step(decimals: int) -> str:
        return f"{10**-decimals:.{decimals}f}"

    return kinds.CryptoPerpetual(
        instrument_id=identifiers.InstrumentId.from_str(f"{coin}-USD-PERP.HYPERLIQUID"),
        raw_symbol=identifiers.Symbol(coin),
        base_currency=currencies.BTC,
        quote_currency=currencies.USDC,
        settlement_currency=currencies.USDC,
        is_inverse=False,
        price_precision=px_decimals,
        size_precision=sz_decimals,
        price_increment=objects.Price.from_str(step(px_decimals)),
        size_increment=objects.Quantity.from_str(step(sz_decimals)),
        ts_event=0,
        ts_init=0,
    )


def book_reader(decimals: dict[str, tuple[int, int]]) -> Callable[[bytes], Any] | None:
    """msgspec, deltas, `OrderBook.apply_deltas`. `decimals`: coin → (of sizes, of prices)."""
    decode = typed_decoder()
    if decode is None:
        return None
    data: Any = import_module("nautilus_trader.model.data")
    enums: Any = import_module("nautilus_trader.model.enums")
    objects: Any = import_module("nautilus_trader.model.objects")
    book_of: Any = module_of(DISTRIBUTION).OrderBook
    delta, order, price, quantity = data.OrderBookDelta, data.BookOrder, objects.Price, objects.Quantity
    sides, add = (enums.OrderSide.BUY, enums.OrderSide.SELL), enums.BookAction.ADD
    books: dict[str, Any] = {}

    def read(frame: bytes) -> Any:
        message = decode(frame).data
        sz_decimals, px_decimals = decimals[message.coin]
        known = books.get(message.coin)
        if known is None:
            identifier = instrument(message.coin, sz_decimals, px_decimals).id
            known = books[message.coin] = (identifier, book_of(identifier, enums.BookType.L2_MBP))
        identifier, book = known
        ns = message.time * 1_000_000
        deltas = [delta.clear(identifier, 0, ns, ns)]
        for side, rows in zip(sides, message.levels, strict=True):
            for level in rows:
                one = order(side, price(level.px, px_decimals), quantity(level.sz, sz_decimals), 0)
                deltas.append(delta(identifier, add, one, 0, 0, ns, ns))
        book.apply_deltas(data.OrderBookDeltas(identifier, deltas))
        return book

    return read


def levels(book: Any) -> list[list[tuple[float, float]]]:
    return [[(float(level.price), float(level.size())) for level in side] for side in (book.bids(), book.asks())]
