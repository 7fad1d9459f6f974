"""What a field of a request may hold (layer 1 of the venue, cold): the vocabulary that every endpoint is described in.

    ORDER = Struct(("a", ASSET), ("b", BOOL), ("p", DEC), ("c?", CLOID))
    ORDER.read({"a": 0, "b": True, "p": 65000.0}, "order", None)   # {"a": 0, "b": True, "p": "65000"}

A kind reads a caller's value into the form that is hashed and sent, or raises `ConfigError` that says where it stood,
what was given and what fits. Fields of a `Struct` stand in the venue's order; `?` marks one that may be left out, and a
value of None leaves it out. `read(..., strict=True)` takes a whole action as it is: a field in another place, or a number
that would have to be rewritten, is an error instead of being put right. No network, no state.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

from hlfast.core.fixed import float_to_wire
from hlfast.errors import ConfigError

AssetOf = Callable[[Any], int]
"""A market's name or id → its checked asset id."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_DEC = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


def unfit(where: str, value: object, expected: str) -> ConfigError:
    shown = repr(value)
    return ConfigError(f"{where} must be {expected}, got {shown if len(shown) <= 80 else shown[:77] + '...'}")


def near(name: object, known: Iterable[str]) -> str:
    """ ", did you mean ...?" for a name that is close to a known one, else the known ones."""
    names = list(known)
    found = difflib.get_close_matches(str(name).casefold(), [each.casefold() for each in names], 1, 0.6)
    for each in names:
        if found and each.casefold() == found[0]:
            return f"; did you mean {each!r}?"
    return f"; it has {', '.join(names)}" if names else "; it has no fields"


class Kind:
    """One kind of value. `says` describes it in errors; `eip` is its type in readable signatures, "" if it has none."""

    says = "a value"
    eip = ""

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> Any:
        return value


class Text(Kind):
    eip = "string"

    def __init__(self, low: int = 0, high: int = 10_000) -> None:
        self.low, self.high = low, high
        self.says = "text" if (low, high) == (0, 10_000) else f"text of {low} to {high} characters"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> str:
        if not isinstance(value, str) or not self.low <= len(value) <= self.high:
            raise unfit(where, value, self.says)
        return value


class Dec(Kind):
    """A decimal, sent as text without trailing zeros; given as text, int, float or Decimal. `low` is its least value."""

    eip = "string"

    def __init__(self, low: str = "0", places: int = 8) -> None:
        self.low, self.places = Decimal(low), places
        self.says = f"a decimal of at least {low} with at most {places} places"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> str:
        if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
            raise unfit(where, value, self.says)
        if isinstance(value, float):
            if strict:
                raise unfit(where, value, f"decimal text, not a float: use float_to_wire({value!r})")
            return self.read(float_to_wire(value), where)
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise unfit(where, value, self.says) from None
        if not number.is_finite() or number < self.low or len(number.as_tuple().digits) > 60:
            raise unfit(where, value, self.says)
        if abs(number) >= Decimal(10) ** 30:
            raise unfit(where, value, "a number below 1e30")
        text = format(number, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        text = "0" if text in ("-0", "") else text
        if len(text.partition(".")[2]) > self.places:
            raise unfit(where, value, self.says)
        if strict and value != text:
            raise unfit(where, value, f"the decimal text {text!r} (no trailing zeros, no exponent)")
        return text


class Uint(Kind):
    def __init__(self, low: int = 0, high: int = (1 << 64) - 1, bits: int = 64) -> None:
        self.low, self.high = low, min(high, (1 << bits) - 1)
        self.eip = f"uint{bits}"
        self.says = f"a whole number from {self.low} to {self.high}"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise unfit(where, value, self.says)
        return value


class Int(Kind):
    says = "a whole number of 64 bits"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> int:
        if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
            raise unfit(where, value, self.says)
        return value


class Asset(Uint):
    """An asset id; where markets are known, also a market's name, and an id is checked against them."""

    def __init__(self) -> None:
        super().__init__(bits=32)
        self.says = "a market's name or its asset id"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> int:
        if strict and type(value) is not int:
            raise unfit(where, value, "an asset id: resolve(name).asset")
        if asset_of is not None and (isinstance(value, str) or type(value) is int):
            return asset_of(value)
        return super().read(value, where)


class Bool(Kind):
    says, eip = "True or False", "bool"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> bool:
        if type(value) is not bool:
            raise unfit(where, value, self.says)
        return value


class Flag(Bool):
    """Sent only when True: an explicit False would change the hash."""

    says = "True, or left out"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> Any:
        if strict and value is not True:
            raise unfit(where, value, self.says)
        return True if super().read(value, where) else None


class Address(Kind):
    """`as_text`: hashed as text in a readable signature, not as 20 bytes. Always sent in lower case."""

    says = "an address: 0x and 40 hex digits"

    def __init__(self, as_text: bool = False) -> None:
        self.eip = "string" if as_text else "address"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> str:
        if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
            raise unfit(where, value, self.says)
        if strict and value != value.lower():
            raise unfit(where, value, "an address in lower case: it is hashed as text")
        return value.lower()


class Hex(Kind):
    """Bytes as hex text; `size` bytes, or any number."""

    def __init__(self, size: int = 0, eip: str = "") -> None:
        self.size, self.eip = size, eip
        self.says = f"0x and {2 * size} hex digits" if size else "0x and pairs of hex digits"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> str:
        if not isinstance(value, str) or not _HEX.fullmatch(value) or (self.size and len(value) != 2 + 2 * self.size):
            raise unfit(where, value, self.says)
        return value.lower()


class Choice(Kind):
    eip = "string"

    def __init__(self, *values: str) -> None:
        self.values = values
        self.says = "one of " + ", ".join(map(repr, values))

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> str:
        if value not in self.values or not isinstance(value, str):
            raise ConfigError(f"{unfit(where, value, self.says)}{near(value, self.values)}")
        return value


class Null(Kind):
    """None stays, and is sent as null."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.says = kind.says + ", or None"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> Any:
        return None if value is None else self.kind.read(value, where, asset_of, strict)


class Unit(Kind):
    """A variant without content: given as True, sent as null."""

    says = "True"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> Any:
        if value is not (None if strict else True):
            raise unfit(where, value, "null" if strict else self.says)
        return None


class Either(Kind):
    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.says = " or ".join(kind.says for kind in kinds)

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> Any:
        errors = []
        for kind in self.kinds:
            try:
                return kind.read(value, where, asset_of, strict)
            except ConfigError as error:
                errors.append(error)
        told = [
            error
            for error, kind in zip(errors, self.kinds, strict=True)
            if isinstance(kind, Struct) == isinstance(value, dict)
        ]
        raise told[0] if told else unfit(where, value, self.says)


class List(Kind):
    """`in_order`: the venue hashes the rows in ascending order of their text, so they are put so."""

    def __init__(self, kind: Kind, low: int = 0, high: int = 65_535, in_order: bool = False) -> None:
        self.kind, self.low, self.high, self.in_order = kind, low, high, in_order
        self.says = f"a list of {low} to {high} of: {kind.says}"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> list[Any]:
        if not isinstance(value, (list, tuple)) or not self.low <= len(value) <= self.high:
            raise unfit(where, value, self.says)
        rows = [self.kind.read(row, f"{where}[{n}]", asset_of, strict) for n, row in enumerate(value)]
        if self.in_order:
            ordered = sorted(rows)
            if strict and ordered != rows:
                raise ConfigError(f"{where} must be in ascending order: the venue hashes it so")
            return ordered
        return rows


class Row(Kind):
    """A fixed sequence, for example a pair [coin, price]."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.says = "[" + ", ".join(kind.says for kind in kinds) + "]"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> list[Any]:
        if not isinstance(value, (list, tuple)) or len(value) != len(self.kinds):
            raise unfit(where, value, self.says)
        return [
            kind.read(item, f"{where}[{n}]", asset_of, strict)
            for n, (kind, item) in enumerate(zip(self.kinds, value, strict=True))
        ]


class Field:
    """One field: its name on the wire, its kind, and whether it may be left out."""

    __slots__ = ("kind", "name", "optional")

    def __init__(self, name: str, kind: Kind, optional: bool = False) -> None:
        self.name, self.kind, self.optional = name.rstrip("?"), kind, optional or name.endswith("?")

    def __repr__(self) -> str:
        return f"{self.name}{'?' if self.optional else ''}"


class Struct(Kind):
    """An object with its fields in the venue's order. `one_of`: exactly one of its fields is there."""

    def __init__(self, *fields: "Field | tuple[str, Kind]", one_of: bool = False) -> None:
        self.fields = tuple(each if isinstance(each, Field) else Field(*each) for each in fields)
        self.one_of = one_of
        self.names = tuple(field.name for field in self.fields)
        inner = (" | " if one_of else ", ").join(map(repr, self.fields))
        self.says = "{" + inner + "}"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise unfit(where, value, f"an object {self.says}")
        for name in value:
            if name not in self.names:
                raise ConfigError(f"{where} has no field {name!r}{near(name, self.names)}")
        if self.one_of and len(value) != 1:
            raise ConfigError(f"{where} takes exactly one of {', '.join(self.names)}, got {', '.join(value) or 'none'}")
        out: dict[str, Any] = {}
        for field in self.fields:
            if isinstance(field.kind, Unit) and field.name in value:
                out[field.name] = field.kind.read(value[field.name], f"{where}.{field.name}", asset_of, strict)
                continue
            if field.name not in value or (value[field.name] is None and field.optional):
                if field.name in value and strict:
                    raise ConfigError(f"{where}.{field.name} is None; leave it out: a null would be hashed")
                if not field.optional and not self.one_of:
                    raise ConfigError(f"{where} lacks {field.name!r} ({field.kind.says}); its fields are {self.says}")
                continue
            read = field.kind.read(value[field.name], f"{where}.{field.name}", asset_of, strict)
            if read is not None or not field.optional:
                out[field.name] = read
        if strict and list(out) != list(value):
            raise ConfigError(
                f"the fields of {where} stand as {', '.join(value)}; the venue hashes them as {', '.join(out)}: put them so"
            )
        return out


class Map(Kind):
    """An object of text keys that the venue does not fix."""

    says = "an object"

    def read(self, value: Any, where: str, asset_of: AssetOf | None = None, strict: bool = False) -> dict[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise unfit(where, value, self.says)
        return dict(value)


TEXT, DEC, UINT, INT, BOOL, FLAG, ASSET = Text(), Dec(), Uint(), Int(), Bool(), Flag(), Asset()
U32 = Uint(bits=32)
ADDRESS, ADDRESS_TEXT, CLOID = Address(), Address(as_text=True), Hex(16)
COIN = Text(1, 64)
