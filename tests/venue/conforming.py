"""Compares a JSON value with the TypedDict that names it: what is missing, and what is of another kind."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

_hints: dict[type, dict[str, Any]] = {}


def misfits(value: Any, kind: Any) -> list[str]:
    return list(_misfits(value, kind, "answer"))


def _misfits(value: Any, kind: Any, where: str) -> Iterator[str]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return
    if origin in (typing.Union, types.UnionType):
        each = [list(_misfits(value, one, where)) for one in args]
        if all(each):
            yield from max(each, key=lambda found: (len(found) == 1) * -1)
    elif typing.is_typeddict(kind):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is not a {kind.__name__}"
            return
        hints = _hints.setdefault(kind, typing.get_type_hints(kind))
        yield from (f"{where}.{key} is missing" for key in kind.__required_keys__ - value.keys())
        for key in value.keys() & hints.keys():
            yield from _misfits(value[key], hints[key], f"{where}.{key}")
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: {value!r} is not a list"
            return
        for n, item in enumerate(value):
            yield from _misfits(item, args[0], f"{where}[{n}]")
    elif origin is tuple:
        if not isinstance(value, list) or len(value) != len(args):
            yield f"{where}: {value!r} is not a list of {len(args)}"
            return
        for n, (item, one) in enumerate(zip(value, args, strict=True)):
            yield from _misfits(item, one, f"{where}[{n}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is not an object"
            return
        for key, item in value.items():
            yield from _misfits(item, args[1], f"{where}.{key}")
    elif origin is typing.Literal:
        if value not in args:
            yield f"{where}: {value!r} is none of {args}"
    elif kind is type(None):
        if value is not None:
            yield f"{where}: {value!r} is not null"
    elif kind is float:
        if type(value) not in (int, float):
            yield f"{where}: {value!r} is not a number"
    elif type(value) is not kind:
        yield f"{where}: {value!r} is not a {kind.__name__}"
