"""How the exchange reads what the table of endpoints describes (local exchange, layer 5): one reader for each entry's fields.

    reader(QUERIES["l2Book"].body)({"type": "l2Book", "coin": "BTC", "junk": 1}) == {"coin": "BTC"}

Only shapes: a client's limits (text lengths, ranges) are the client's, and what the exchange makes of a value is its own
matter. Apart from `shapes`, because the verifier of signatures reads actions by its own statement of them.
"""

from __future__ import annotations

from typing import Any

from hlfast.sim.shapes import (
    Kind,
    Malformed,
    address,
    array,
    boolean,
    cloid,
    dec,
    either,
    integer,
    literal,
    nullable,
    string,
    struct,
    true_only,
    uint,
)
from hlfast.venues.hyperliquid.endpoints import kinds as table


def fixed(*kinds: Kind) -> Kind:
    """A list of one length, one kind for each place."""

    def read(value: Any) -> list[Any]:
        if type(value) is not list or len(value) != len(kinds):
            raise Malformed(f"not a list of {len(kinds)}: {value!r}")
        return [kind(item) for kind, item in zip(kinds, value, strict=True)]

    return read


def reader(kind: table.Kind) -> Kind:
    """How the exchange reads what the table of endpoints describes: the shape, not the client's limits."""
    match kind:
        case table.Struct():
            return _lenient_struct(kind)
        case table.List():
            return array(reader(kind.kind))
        case table.Row():
            return fixed(*map(reader, kind.kinds))
        case table.Either():
            return either(*map(reader, kind.kinds))
        case table.Null():
            return nullable(reader(kind.kind))
        case table.Hex(size=16):
            return cloid
        case table.Choice():
            return literal(*kind.values)
    return _READERS.get(type(kind), lambda value: value)


def _lenient_struct(kind: table.Struct) -> Kind:
    read_fields = struct(*((field.name + "?" * field.optional, reader(field.kind)) for field in kind.fields))
    flags = [field.name for field in kind.fields if field.optional and type(field.kind) is table.Bool]

    def read(value: Any) -> dict[str, Any]:
        canonical: dict[str, Any] = read_fields(value)
        for name in flags:  # absent is well, null is not: the venue answers 422
            if name in value:
                boolean(value[name])
        return canonical

    return read


_READERS: dict[type[table.Kind], Kind] = {
    table.Text: string,
    table.Dec: dec,
    table.Uint: uint,
    table.Asset: uint,
    table.Int: integer,
    table.Bool: boolean,
    table.Flag: true_only,
    table.Address: address,
    table.Hex: string,
}
