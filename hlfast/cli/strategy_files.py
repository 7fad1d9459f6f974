"""Strategies from files (layer 5, cold): what `hlfast run` and `hlfast replay` are given, and their parameters.

    [NAME=]FILE.py[:CLASS]     its only Strategy class, or the one that is named
    [NAME=]market_maker        a shipped one (hlfast.engine.strategies), or any other module that can be imported, also from
                               the current folder: a compiled one, for example

NAME becomes the `order_prefix`, so that one class can run twice. In a TOML file what stands on top goes to every strategy of
the run, a table named like one of them (by NAME or class) to that one; `--set NAME.PARAMETER=VALUE` likewise.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2s
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any

from hlfast.engine.parameters import fields_of, read_settings, read_toml, read_values
from hlfast.engine.strategy import Strategy, prefix_of
from hlfast.errors import ConfigError, HlfastError

SHIPPED = ("market_maker", "momentum", "lead_lag")


@dataclass(frozen=True)
class Loaded:
    """A strategy's class, and the name that it was given; "" for its own."""

    name: str
    kind: type[Strategy]
    spec: str

    @property
    def label(self) -> str:
        """Its `order_prefix`, unless a parameter changes it."""
        own = fields_of(self.kind)["order_prefix"].default
        return self.name or (own if isinstance(own, str) and own else prefix_of(self.kind.__name__))


# -- classes ------------------------------------------------------------------------------------------------------------
def load(spec: str) -> Loaded:
    """The class that `spec` names. Its file is run as a module, as `import` would. Raises `ConfigError`."""
    name, where = "", spec
    if found := re.match(r"([A-Za-z0-9]+)=(.+)", spec):
        name, where = found[1], found[2]
    path, colon, wanted = where.rpartition(":")
    if not colon:
        path, wanted = where, ""
    module = _module(path, spec)
    return Loaded(name, _class_in(module, path, wanted), spec)


def _module(path: str, spec: str) -> ModuleType:
    if path in SHIPPED:
        return importlib.import_module(f"hlfast.engine.strategies.{path}")
    is_file = path.endswith((".py", *EXTENSION_SUFFIXES)) or os.sep in path
    if is_file and not Path(path).is_file():
        raise ConfigError(
            f"there is no file {path!r}; a strategy is given as FILE.py, FILE.py:CLASS or one of {', '.join(SHIPPED)}"
        )
    try:
        if is_file:
            return _from_file(Path(path).resolve())
        _look_in(Path.cwd())
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if not is_file and error.name == path.partition(".")[0]:
            raise ConfigError(
                f"a strategy is given as FILE.py, FILE.py:CLASS, or one of {', '.join(SHIPPED)}, got {spec!r}"
            ) from None
        raise ConfigError(f"{path} cannot be imported: {error}") from error
    except SyntaxError as error:
        raise ConfigError(f"{path} is no Python: line {error.lineno}: {error.msg}") from error
    except HlfastError:
        raise
    except Exception as error:
        raise ConfigError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error


def _from_file(path: Path) -> ModuleType:
    """A compiled module goes by its own name; a .py by one that hides no other module."""
    own = f"strategy_file_{path.stem}_{blake2s(str(path).encode(), digest_size=4).hexdigest()}"
    name = own if path.suffix == ".py" else path.name.partition(".")[0]
    known = sys.modules.get(name)
    if known is not None:
        if getattr(known, "__file__", "") != str(path):
            raise ConfigError(f"another module named {name!r} is imported already; give {path} another name")
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(
            f"{path} is neither Python nor a compiled module; a strategy is given as FILE.py or FILE.py:CLASS"
        )
    _look_in(path.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _look_in(folder: Path) -> None:
    """What lies in `folder` can be imported too, and hides nothing."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _class_in(module: ModuleType, path: str, wanted: str) -> type[Strategy]:
    if wanted:
        found = getattr(module, wanted, None)
        if not (isinstance(found, type) and issubclass(found, Strategy)):
            raise ConfigError(f"{path} has no Strategy named {wanted!r}{_there(module)}")
        return found
    own = _own_strategies(module)
    if len(own) != 1:
        raise ConfigError(f"{path} has {len(own)} Strategy classes; name one as {path}:CLASS{_there(module)}")
    return own[0]


def _own_strategies(module: ModuleType) -> list[type[Strategy]]:
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Strategy) and kind.__module__ == module.__name__
    ]


def _there(module: ModuleType) -> str:
    names = ", ".join(kind.__name__ for kind in _own_strategies(module))
    return f"; it has {names}" if names else ""


# -- instances ----------------------------------------------------------------------------------------------------------
def make(specs: Sequence[str], params: str | Path | None = None, settings: Iterable[str] = ()) -> list[Strategy]:
    """The strategies of a run, with parameters from a TOML file and, over these, `NAME=VALUE` texts. Raises `ConfigError`."""
    loaded = [load(spec) for spec in specs]
    from_file = _by_strategy(loaded, read_toml(params), str(params)) if params is not None else [{} for _ in loaded]
    from_text = _by_strategy(loaded, read_settings(settings), "--set")
    made = []
    for each, in_file, in_text in zip(loaded, from_file, from_text, strict=True):
        values = read_values(each.kind, in_file, str(params))
        _merge(values, read_values(each.kind, in_text, "--set", is_text=True), in_text)
        if each.name:
            values.setdefault("order_prefix", each.name)
        made.append(each.kind(**values))
    return made


def _merge(values: dict[str, Any], over: dict[str, Any], texts: Mapping[str, str]) -> None:
    """`over` wins; of a table only the parts that were given."""
    for name, value in over.items():
        given = [text.partition(".")[2] for text in texts if text.startswith(f"{name}.")]
        if given and name in values:
            parts = {part: getattr(values[name], part) for part in fields_of(type(value))}
            value = type(value)(**(parts | {part: getattr(value, part) for part in given}))
        values[name] = value


def _by_strategy(loaded: Sequence[Loaded], given: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """What goes to each: shared values, then its own."""
    shared: dict[str, Any] = {}
    own: list[dict[str, Any]] = [{} for _ in loaded]
    for name, value in given.items():
        head, dot, rest = name.partition(".")
        is_table = isinstance(value, Mapping)
        meant = [at for at, each in enumerate(loaded) if head in (each.label, each.kind.__name__)]
        if meant and (is_table or dot):
            for at in meant:
                own[at].update(value if is_table else {rest: value})
        elif (is_table or dot) and not any(head in fields_of(each.kind) for each in loaded):
            labels = ", ".join(each.label for each in loaded)
            raise ConfigError(f"{where}: {head!r} is neither a strategy of this run ({labels}) nor a parameter of one")
        else:
            shared[name] = value
    return [shared | mine for mine in own]
