"""The shapes that requests must have (local exchange, layer 5): a small vocabulary of readers, as serde would have it.

A *kind* is a function that takes a parsed JSON value and returns its canonical form, or raises `Malformed`:

    ORDER = struct(("a", uint), ("b", boolean), ("p", dec), ("c?", cloid))
    ORDER({"p": "1.50", "a": 0, "b": True, "junk": 1}) == {"a": 0, "b": True, "p": "1.5"}

`struct` puts fields in its own order, drops unknown ones and drops optional ones (named with `?`) that are missing,
null or ABSENT. That canonical form is what the exchange hashes: a client that signed another field order, a trailing
zero or an explicit default has signed something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

Kind: TypeAlias = Callable[[Any], Any]

_DECIMAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_CLOID = re.compile(r"0x[0-9a-fA-F]{32}")


class Malformed(Exception):
    """The JSON is valid but does not have the shape of a request: HTTP 422."""


class Absent:
    """What a kind returns for a value that the venue would leave out of the hash."""


ABSENT = Absent()


def uint(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise Malformed(f"not an unsigned integer: {value!r}")
    return value


def integer(value: Any) -> int:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise Malformed(f"not an integer: {value!r}")
    return value


def boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Malformed(f"not a boolean: {value!r}")
    return value


def true_only(value: Any) -> bool | Absent:
    """A flag that is hashed only when set."""
    return True if boolean(value) else ABSENT


def string(value: Any) -> str:
    if type(value) is not str:
        raise Malformed(f"not a string: {value!r}")
    return value


def dec(value: Any) -> str:
    """A decimal string, normalised: "065.50" and "65.5" are one number, "-0" is "0"."""
    if not _DECIMAL.fullmatch(string(value)):
        raise Malformed(f"not a decimal: {value!r}")
    sign, digits = ("-", value[1:]) if value[0] == "-" else ("", value)
    whole, _, fraction = digits.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return number if number == "0" else sign + number


def address(value: Any) -> str:
    if not _ADDRESS.fullmatch(string(value)):
        raise Malformed(f"not an address: {value!r}")
    return str(value).lower()


def cloid(value: Any) -> str:
    if not _CLOID.fullmatch(string(value)):
        raise Malformed(f"not a client order id: {value!r}")
    return str(value).lower()


def literal(*values: str) -> Kind:
    def read(value: Any) -> str:
        if string(value) not in values:
            raise Malformed(f"unknown variant {value!r}, expected one of {values}")
        return str(value)

    return read


def nullable(kind: Kind) -> Kind:
    """Null stays null (and is hashed as such)."""
    return lambda value: None if value is None else kind(value)


def either(*kinds: Kind) -> Kind:
    def read(value: Any) -> Any:
        for kind in kinds:
            try:
                return kind(value)
            except Malformed:
                continue
        raise Malformed(f"no variant fits {value!r}")

    return read


def array(kind: Kind) -> Kind:
    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Malformed(f"not an array: {value!r}")
        return [kind(item) for item in value]

    return read


def struct(*fields: tuple[str, Kind]) -> Kind:
    table = [(name.rstrip("?"), name.endswith("?"), kind) for name, kind in fields]

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Malformed(f"not an object: {value!r}")
        canonical: dict[str, Any] = {}
        for name, optional, kind in table:
            if optional and value.get(name) is None:
                continue
            if name not in value:
                raise Malformed(f"missing field {name!r}")
            field = kind(value[name])
            if field is not ABSENT:
                canonical[name] = field
        return canonical

    return read


def one_more(kind: Kind) -> Kind:
    """An object with its `type` and exactly one field beside it."""

    def read(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = kind(value)
        if len(found) != 2:
            raise Malformed(f"not one variant: {value!r}")
        return found

    return read


def variant(**kinds: Kind) -> Kind:
    """An object with exactly one key, which names the variant."""

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict or len(value) != 1:
            raise Malformed(f"not one variant: {value!r}")
        ((name, inner),) = value.items()
        if name not in kinds:
            raise Malformed(f"unknown variant {name!r}")
        return {name: kinds[name](inner)}

    return read
