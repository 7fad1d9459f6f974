"""Parameters of strategies: typed dataclass fields, from TOML or the command line, checked (layer 4, cold).

    @dataclass(kw_only=True, eq=False)
    class Joiner(Strategy):
        size: Number = parameter("0.001", unit="BTC", above=0)
        side: Literal["buy", "sell"] = "buy"

    build(Joiner, {"size": Decimal("0.002")}, "joiner.toml")       # values as TOML has them
    build(Joiner, {"size": "0.002", "limits.max_order_value": "500"}, "--set", is_text=True)

Every error says what was given, what is expected, and what to do. A number in a file stays exact (`Decimal`).
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import math
import sys
import textwrap
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from hlfast.config import shown
from hlfast.errors import ConfigError
from hlfast.types import Number

T = TypeVar("T")
SPEC = "hlfast"
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Spec:
    """What `parameter` says of a field beside its type."""

    unit: str = ""
    at_least: Number | None = None
    above: Number | None = None
    at_most: Number | None = None


def parameter(
    default: Any = dataclasses.MISSING,
    *,
    unit: str = "",
    at_least: Number | None = None,
    above: Number | None = None,
    at_most: Number | None = None,
) -> Any:
    """A dataclass field with a unit and bounds; its value is checked when a strategy is made, from wherever it comes."""
    spec = Spec(unit, at_least, above, at_most)
    return dataclasses.field(default=default, metadata={SPEC: spec})


# -- reading ------------------------------------------------------------------------------------------------------------
def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file, numbers with a fraction as `Decimal`. Raises `ConfigError` with line and column."""
    tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        text = Path(path).read_text(encoding="utf-8")
        return dict(tomllib.loads(text, parse_float=Decimal))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}; give a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}; a line is NAME = VALUE, text in quotes") from None


def read_settings(given: typing.Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` texts of the command line. Raises `ConfigError`."""
    found: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise ConfigError(f"--set takes NAME=VALUE, got {text!r}; for example --set quote_value=500")
        found[name.strip()] = value.strip()
    return found


# -- making -------------------------------------------------------------------------------------------------------------
def fields_of(made: type) -> dict[str, dataclasses.Field[Any]]:
    """The parameters of a dataclass by name."""
    return {f.name: f for f in dataclasses.fields(made) if f.init}


def build(made: type[T], values: Mapping[str, Any], where: str, *, is_text: bool = False) -> T:
    """An instance of the dataclass `made`. `where` the values are from, for errors; `is_text`: all are texts to be read, and
    "table.name" means a field of a nested one. Raises `ConfigError`."""
    return made(**read_values(made, values, where, is_text=is_text))


def read_values(made: type, values: Mapping[str, Any], where: str, *, is_text: bool = False) -> dict[str, Any]:
    """The arguments for `made`, each of its field's type."""
    known = fields_of(made)
    nested: dict[str, dict[str, Any]] = {}
    read: dict[str, Any] = {}
    for name, value in values.items():
        head, dot, rest = name.partition(".")
        if head not in known:
            raise ConfigError(f"{where}: {made.__name__} has no parameter {head!r}; {_near(head, known)}")
        if dot and is_text:
            nested.setdefault(head, {})[rest] = value
            continue
        read[head] = _read(value, type_of(made, head), known[head], f"{where}: {made.__name__}.{head}", is_text)
    for head, inner in nested.items():
        kind = type_of(made, head)
        if not dataclasses.is_dataclass(kind):
            raise ConfigError(f"{where}: {made.__name__}.{head} has no parts, got {head}.{next(iter(inner))}")
        kind = typing.cast(type, kind)
        read[head] = build(kind, inner, f"{where}: {made.__name__}.{head}", is_text=True)
    return read


def check(made: Any) -> None:
    """Check every field of an instance that was declared with `parameter`. Raises `ConfigError`."""
    kind = type(made)
    for name, found in fields_of(kind).items():
        if SPEC in found.metadata:
            value = _read(getattr(made, name), type_of(kind, name), found, f"{kind.__name__}.{name}", False)
            setattr(made, name, value)


def type_of(made: type, name: str) -> Any:
    """The type of a field; `Any` where it cannot be known here."""
    owner = next((c for c in made.__mro__ if name in vars(c).get("__annotations__", {})), None)
    if owner is None:
        return Any
    hint = vars(owner)["__annotations__"][name]
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, {"typing": typing, **vars(sys.modules[owner.__module__])}, dict(vars(owner)))
    except Exception:  # a name that is there for type checkers only
        return Any


def describe(made: type) -> list[tuple[str, str, str, str]]:
    """(name, type, default, the text under it in the source) of each parameter."""
    rows, texts = [], _texts(made)
    for name, found in fields_of(made).items():
        default = found.default
        if found.default_factory is not dataclasses.MISSING:
            default = found.default_factory()
        shown_default = "" if default is dataclasses.MISSING else str(default)
        kind = _expected(type_of(made, name), found.metadata.get(SPEC, Spec()))
        rows.append((name, kind, shown_default, texts.get(name, "")))
    return rows


def _texts(made: type) -> dict[str, str]:
    """The text that stands under each field of a class and its bases, where there is a source to read."""
    found: dict[str, str] = {}
    for kind in reversed(made.__mro__):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        except (OSError, TypeError, SyntaxError):
            continue
        body = getattr(tree, "body", [])
        for line, below in itertools.pairwise(body):
            if (
                isinstance(line, ast.AnnAssign)
                and isinstance(line.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
                and isinstance(below.value.value, str)
            ):
                found[line.target.id] = " ".join(below.value.value.split())
    return found


# -- one value ----------------------------------------------------------------------------------------------------------
class _Wrong(Exception):
    pass


def _read(value: Any, hint: Any, found: dataclasses.Field[Any], where: str, is_text: bool) -> Any:
    spec: Spec = found.metadata.get(SPEC, Spec())
    try:
        read = _typed(value, hint, is_text, where)
        _bounded(read, spec)
        return read
    except _Wrong:
        hide = shown(value) if isinstance(value, str) else repr(value)
        wanted = _expected(hint, spec)
        how = (
            f"{found.name}={_sample(found, hint)}" if is_text else f"{found.name} = {_sample(found, hint, quoted=True)}"
        )
        raise ConfigError(f"{where}: got {hide}, expected {wanted}; give for example {how}") from None


def _typed(value: Any, hint: Any, is_text: bool, where: str) -> Any:
    """`value` as a `hint`. Raises `_Wrong`, or `ConfigError` for something inside of it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if hint == Number:
        number = _number(value)
        if number is None:
            raise _Wrong
        return value.strip() if isinstance(value, str) else value
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, parts, is_text, where)
    if origin is typing.Literal:
        for choice in parts:
            if value == choice or (is_text and str(choice) == value):
                return choice
        raise _Wrong
    if origin is tuple or hint is tuple:
        items = [item.strip() for item in value.split(",") if item.strip()] if is_text else value
        if isinstance(items, str) or not isinstance(items, list | tuple):
            raise _Wrong
        if not parts or (len(parts) == 2 and parts[1] is ...):
            return tuple(_typed(item, parts[0] if parts else Any, is_text, where) for item in items)
        if len(items) != len(parts):
            raise _Wrong
        return tuple(_typed(item, part, is_text, where) for item, part in zip(items, parts, strict=True))
    if isinstance(hint, type):
        return _plain(value, hint, is_text, where)
    return value


def _one_of(value: Any, parts: tuple[Any, ...], is_text: bool, where: str) -> Any:
    if type(None) in parts and (value is None or (is_text and value.lower() == "none")):
        return None
    for part in parts:
        if part is not type(None):
            try:
                return _typed(value, part, is_text, where)
            except _Wrong:
                continue
    raise _Wrong


def _plain(value: Any, hint: type, is_text: bool, where: str) -> Any:
    if hint is bool:
        if is_text and value.lower() in TRUE + FALSE:
            return value.lower() in TRUE
        if isinstance(value, bool):
            return value
    elif hint is int:
        if is_text:
            digits = value.removeprefix("-").replace("_", "")
            if digits.isascii() and digits.isdigit():
                return int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            return value
    elif hint in (float, Decimal):
        number = _number(value) if is_text or not isinstance(value, str) else None
        if number is not None:
            return float(number) if hint is float else number
    elif hint is str:
        if isinstance(value, str):
            return value
    elif issubclass(hint, Enum):
        if isinstance(value, hint):
            return value
        for member in hint:
            if isinstance(value, str) and value.upper() == member.name.upper():
                return member
    elif dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            return value
        if isinstance(value, Mapping):
            return build(hint, value, where)
    elif isinstance(value, hint):
        return value
    raise _Wrong


def _number(value: Any) -> Decimal | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if math.isfinite(number) else None


def _bounded(value: Any, spec: Spec) -> None:
    if spec.at_least is None and spec.above is None and spec.at_most is None:
        return
    number = _number(value)
    if number is None:
        if value is None:
            return
        raise _Wrong
    if (
        (spec.at_least is not None and number < Decimal(str(spec.at_least)))
        or (spec.above is not None and number <= Decimal(str(spec.above)))
        or (spec.at_most is not None and number > Decimal(str(spec.at_most)))
    ):
        raise _Wrong


def _expected(hint: Any, spec: Spec) -> str:
    bounds = [
        f"{words} {bound}"
        for words, bound in (("of at least", spec.at_least), ("above", spec.above), ("of at most", spec.at_most))
        if bound is not None
    ]
    unit = f" ({spec.unit})" if spec.unit else ""
    return f"{_named(hint)}{unit}" + (" " + " and ".join(bounds) if bounds else "")


NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    str: "text",
    type(None): "none",
}


def _named(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint == Number:
        return "a number"
    if origin is typing.Literal:
        return "one of " + ", ".join(str(part) for part in parts)
    if origin is tuple:
        return "a list of " + _named(parts[0]) + "s" if len(parts) == 2 and parts[1] is ... else f"{len(parts)} values"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_named(part) for part in parts)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(member.name for member in hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return "a table of " + ", ".join(fields_of(hint))
    return NAMES.get(hint, getattr(hint, "__name__", str(hint)))


def _sample(found: dataclasses.Field[Any], hint: Any, *, quoted: bool = False) -> str:
    """The default, as it would be written."""
    default = found.default
    if default is dataclasses.MISSING or default in ("", ()):
        default = ("BTC", "ETH") if typing.get_origin(hint) is tuple else "..."
    if isinstance(default, tuple):
        return "[" + ", ".join(f'"{item}"' for item in default) + "]" if quoted else ",".join(map(str, default))
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, str) and quoted:
        return default if _number(default) is not None else f'"{default}"'
    return str(default.name if isinstance(default, Enum) else default)


def _near(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"its parameters are {', '.join(known)}"
