"""The drop-in shows what the official SDK shows: names, signatures, defaults, annotations, bases, fields, constants."""

from __future__ import annotations

import importlib
import inspect
import typing
from types import ModuleType
from typing import Any

import pytest

MODULES = (
    "api",
    "exchange",
    "info",
    "websocket_manager",
    "utils.constants",
    "utils.error",
    "utils.signing",
    "utils.types",
)
SIMPLE = (str, int, float, bool, list, tuple, dict, frozenset, type(None))

ON_PURPOSE: set[str] = set()
"""Differences that are meant, as "module.name: what"; there is none."""


def public(module: ModuleType) -> dict[str, Any]:
    """What a module of the SDK shows, its private functions too: programs call some."""
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}


def hints(thing: Any, module: ModuleType) -> Any:
    """Resolved annotations without their modules' names; None where they cannot be resolved."""
    known: dict[str, Any] = {"LocalAccount": "LocalAccount"}
    try:
        found = typing.get_type_hints(thing, vars(module), known)
    except NameError:
        return None
    return {name: plain(hint) for name, hint in found.items()}


def plain(hint: Any) -> Any:
    text = repr(hint).replace("hlfast.compat.hyperliquid.", "hyperliquid.").replace("~", "")
    return "LocalAccount" if text.endswith("LocalAccount'>") or text.endswith("LocalAccount')") else text


def differences(theirs: Any, ours: Any, path: str, modules: tuple[ModuleType, ModuleType]) -> list[str]:
    """What `ours` does not have as `theirs` has it."""
    if isinstance(theirs, ModuleType):
        return [] if isinstance(ours, ModuleType) else [f"{path}: not a module"]
    if typing.is_typeddict(theirs):
        same = (plain(theirs.__annotations__), theirs.__total__, sorted(theirs.__required_keys__))
        mine = (plain(ours.__annotations__), ours.__total__, sorted(ours.__required_keys__))
        return [] if same == mine else [f"{path}: fields {same} are {mine}"]
    if inspect.isclass(theirs) and theirs.__module__.startswith("hyperliquid"):
        found = []
        if [base.__name__ for base in theirs.__bases__] != [base.__name__ for base in ours.__bases__]:
            found.append(f"{path}: bases")
        for name, value in vars(theirs).items():
            if name.startswith("__") and name != "__init__":
                continue
            if not hasattr(ours, name):
                found.append(f"{path}.{name}: missing")
                continue
            static = inspect.getattr_static(ours, name)
            if isinstance(value, staticmethod) != isinstance(static, staticmethod):
                found.append(f"{path}.{name}: static or not")
            found += differences(getattr(theirs, name), getattr(ours, name), f"{path}.{name}", modules)
        return found
    if inspect.isfunction(theirs):
        if not callable(ours):
            return [f"{path}: not callable"]
        shown = [
            [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()] for f in (theirs, ours)
        ]
        found = [] if shown[0] == shown[1] else [f"{path}: parameters {shown[0]} are {shown[1]}"]
        said = [hints(f, m) for f, m in zip((theirs, ours), modules, strict=True)]
        return found if None in said or said[0] == said[1] else [*found, f"{path}: annotations {said[0]} are {said[1]}"]
    if isinstance(theirs, SIMPLE):
        return [] if theirs == ours and type(theirs) is type(ours) else [f"{path}: {theirs!r} is {ours!r}"]
    if typing.get_origin(theirs) is not None:
        return [] if plain(theirs) == plain(ours) else [f"{path}: {plain(theirs)} is {plain(ours)}"]
    return []


@pytest.mark.parametrize("name", MODULES)
def test_every_name_signature_and_field_is_the_sdks(name, sdk, ours):
    """sdk_dropin 12.1: 0 differences."""
    theirs, mine = sdk(name), ours(name)
    found = []
    for shown, value in public(theirs).items():
        try:
            counterpart = getattr(mine, shown)
        except AttributeError:
            found.append(f"{name}.{shown}: missing")
            continue
        found += differences(value, counterpart, f"{name}.{shown}", (theirs, mine))
    assert set(found) - ON_PURPOSE == set()


def test_the_comparison_finds_what_is_planted(sdk):
    """The check above can fail."""
    api = sdk("api")
    assert differences(lambda a, b=1: a, lambda a, b=2: a, "f", (api, api)) != []
    assert differences(lambda a: a, lambda a, b=2: a, "f", (api, api)) != []
    assert differences(api.API, type("API", (), {}), "API", (api, api)) != []
    assert differences({"a": 1}, {"a": 2}, "c", (api, api)) != []
    types = sdk("utils.types")
    assert differences(types.L2Level, types.AssetInfo, "t", (api, api)) != []


def test_foreign_names_are_there_for_those_who_ask(ours):
    """sdk_dropin 2.2: a lazy name is the real thing; one that nobody has is an AttributeError that names it."""
    import eth_account

    assert ours("exchange").eth_account is eth_account
    assert ours("exchange").LocalAccount is type(eth_account.Account.create())
    assert ours("utils.signing").msgpack is importlib.import_module("msgpack")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ours("utils.signing").nothing  # noqa: B018


def test_types_are_marked_and_their_dependencies_declared():
    """S35: the package has py.typed, and what the drop-in imports is what the project declares."""
    import hlfast

    root = importlib.resources.files(hlfast)
    assert (root / "py.typed").is_file() or (root / "compat" / "py.typed").is_file()
    declared = importlib.import_module("pathlib").Path(__file__).resolve().parents[2] / "pyproject.toml"
    text = declared.read_text()
    for needed in ("msgpack", "eth-account", "orjson", "uvloop", "picows", "coincurve", "typing-extensions"):
        assert f'"{needed}' in text
