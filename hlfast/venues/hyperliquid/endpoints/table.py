"""How an endpoint is written down (layer 1 of the venue, cold): one typed method is the whole entry.

    @query(weight=2)
    async def l2_book(self, coin: Coin, n_sig_figs: Figures | None = None) -> L2Book | None:
        \"\"\"The book of a coin.\"\"\"

The decorator reads the signature: the name on the wire (`l2Book`), the fields in the venue's order with their kinds,
what may be left out. From the entry follow the client's method itself, the order in which an action is hashed, what the
local exchange takes, the request's weight, and `hlfast coverage`. Annotations are `Annotated[<Python type>, <kind>]`;
`At("x")` gives a field another name on the wire than its parameter's.
"""

import functools
import inspect
import types
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hlfast.errors import ConfigError
from hlfast.venues.hyperliquid.endpoints.kinds import AssetOf, Field, Kind, Struct, Text, Uint, Unit, near

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])
REQUIRED = inspect.Parameter.empty


class At(str):
    """A field's name on the wire, where it is not the parameter's in camelCase."""


@dataclass(frozen=True)
class Endpoint:
    """`name`: the venue's `type`. `method`: the client's name of it. `body`: its fields in order, `type` left out."""

    name: str
    method: str
    body: Struct
    doc: str
    parameters: dict[str, Field] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    answer: Any = None

    def bind(self, args: tuple[Any, ...], given: dict[str, Any], asset_of: AssetOf | None = None) -> dict[str, Any]:
        """Fields by wire name from a call's arguments. Raises `ConfigError` for an unknown, missing or unfit one."""
        if len(args) > len(self.parameters):
            raise ConfigError(
                f"{self.method}() takes {', '.join(self.parameters) or 'nothing'}; got {len(args)} values"
            )
        values: dict[str, Any] = dict(zip(self.parameters, args, strict=False))
        for name in given:
            if name not in self.parameters:
                raise ConfigError(f"{self.method}() has no argument {name!r}{near(name, self.parameters)}")
            if name in values:
                raise ConfigError(f"{self.method}() got {name!r} twice")
        values |= given
        fields = {}
        for parameter, entry in self.parameters.items():
            value = values.get(parameter, self.defaults.get(parameter, REQUIRED))
            if value is REQUIRED:
                raise ConfigError(f"{self.method}() lacks {parameter!r} ({entry.kind.says})")
            if value is None and entry.optional:
                continue
            read = entry.kind.read(value, f"{self.method}({parameter})", asset_of)
            if read is not None or not entry.optional or isinstance(entry.kind, Unit):
                fields[entry.name] = read
        return {name: fields[name] for name in self.body.names if name in fields}


@dataclass(frozen=True)
class Query(Endpoint):
    """An info request. `per_rows`: it weighs one more for each so many rows of its answer. `wrapped`: its fields stand in `req`."""

    weight: int = 20
    per_rows: int = 0
    wrapped: str = ""

    def payload(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"type": self.name, **({self.wrapped: fields} if self.wrapped else fields)}


@dataclass(frozen=True)
class Action(Endpoint):
    """A signed action. `primary`: the EIP-712 name of a user-signed one, "" for an L1 action. `nonce`: the field that
    repeats the envelope's nonce. `vault`: whether it may act for a vault or sub-account. `places`: it can open a position.
    `one_of`: it takes exactly one of its fields."""

    primary: str = ""
    nonce: str = ""
    vault: bool = False
    places: bool = False
    group: str = ""
    one_of: bool = False

    def check(self, action: dict[str, Any], asset_of: AssetOf | None = None) -> None:
        """Raise `ConfigError` unless `action` is exactly what is hashed and sent: every field there, known and in its place."""
        self.struct.read(action, self.name, asset_of, strict=True)
        self.check_one_of(action)

    def check_one_of(self, fields: dict[str, Any]) -> None:
        given = [name for name in fields if name != "type"]
        if self.one_of and len(given) != 1:
            raise ConfigError(
                f"{self.name} takes exactly one of {', '.join(self.body.names)}; got {', '.join(given) or 'none'}"
            )

    @property
    def struct(self) -> Struct:
        """The whole action: its fields in the order in which they are hashed, `type` first."""
        chain = [Field("signatureChainId?", Text()), Field("hyperliquidChain?", Text())] if self.primary else []
        tail = [Field(self.nonce, Uint())] if self.nonce else []
        return Struct(Field("type", Text()), *chain, *self.body.fields, *tail)

    @property
    def typed_fields(self) -> tuple[tuple[str, str], ...]:
        """(name, EIP-712 type) of each field that a user signature covers, in order."""
        own = tuple((each.name, each.kind.eip) for each in self.body.fields)
        return (("hyperliquidChain", "string"), *own, *(((self.nonce, "uint64"),) if self.nonce else ()))


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _field(name: str, annotation: Any, default: Any) -> Field:
    """Reads `Annotated[T, kind, At("x")]`, also inside `... | None`."""
    options = typing.get_args(annotation) if typing.get_origin(annotation) in (typing.Union, types.UnionType) else ()
    for each in (annotation, *options):
        marks: tuple[Any, ...] = getattr(each, "__metadata__", ())
        kind = next((mark for mark in marks if isinstance(mark, Kind)), None)
        if kind is not None:
            wire = next((str(mark) for mark in marks if isinstance(mark, At)), camel(name))
            return Field(wire, kind, optional=default is None)
    raise TypeError(f"parameter {name!r} names no kind: {annotation!r}")


def _entry(fn: Callable[..., Any], order: tuple[str, ...] = ()) -> dict[str, Any]:
    parameters = list(inspect.signature(fn).parameters.values())[1:]
    fields = {each.name: _field(each.name, each.annotation, each.default) for each in parameters}
    by_name = {each.name: each for each in fields.values()}
    return {
        "method": fn.__name__,
        "body": Struct(*(by_name[name] for name in order or by_name)),
        "doc": inspect.cleandoc(fn.__doc__ or ""),
        "parameters": fields,
        "defaults": {each.name: each.default for each in parameters if each.default is not REQUIRED},
        "answer": fn.__annotations__.get("return"),
    }


def query(name: str = "", *, weight: int = 20, per_rows: int = 0, wrapped: str = "") -> Callable[[F], F]:
    """An info request. The class of the method has `_query(entry, fields)`."""

    def bind(fn: F) -> F:
        entry = Query(name or camel(fn.__name__), **_entry(fn), weight=weight, per_rows=per_rows, wrapped=wrapped)

        @functools.wraps(fn)
        async def method(self: Any, *args: Any, **given: Any) -> Any:
            return await self._query(entry, entry.bind(args, given))

        method.entry = entry  # type: ignore[attr-defined]
        return typing.cast(F, method)

    return bind


def action(
    name: str = "",
    *,
    primary: str = "",
    nonce: str = "",
    vault: bool = False,
    places: bool = False,
    group: str = "",
    one_of: bool = False,
    order: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """A signed action. The class of the method has `_act(entry, fields)` and `_asset_of`. `order`: of its fields on the
    wire, where it is not that of the parameters."""

    def bind(fn: F) -> F:
        made = _entry(fn, order)
        entry = Action(
            name or camel(fn.__name__),
            **made,
            primary=primary,
            nonce=nonce or ("nonce" if primary else ""),
            vault=vault,
            places=places,
            group=group,
            one_of=one_of,
        )

        @functools.wraps(fn)
        async def method(self: Any, *args: Any, **given: Any) -> Any:
            fields = entry.bind(args, given, self._asset_of)
            entry.check_one_of(fields)
            return await self._act(entry, fields)

        method.entry = entry  # type: ignore[attr-defined]
        return typing.cast(F, method)

    return bind


def entries_of(*classes: type) -> dict[str, Any]:
    """Entries by the venue's name, from the methods of classes. Raises `TypeError` if two have the same name."""
    found: dict[str, Any] = {}
    for cls in classes:
        for method in vars(cls).values():
            entry = getattr(method, "entry", None)
            if entry is not None:
                if entry.name in found:
                    raise TypeError(f"two entries for {entry.name!r}")
                found[entry.name] = entry
    return found
