"""What the package consists of: every module built, typed, shipped and importable."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hlfast

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "hlfast"
INSTALLED = Path(hlfast.__file__).parent
SHIPPED = {".py", ".pyi", ".pxd", ".typed"}


def compiled_modules() -> list[str]:
    """The table of extensions in setup.py, read and not run."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MODULES":
            return ast.literal_eval(node.value)
    raise AssertionError("setup.py has no table MODULES")


def sources(suffixes: set[str]) -> set[str]:
    return {
        p.relative_to(TREE).as_posix() for p in TREE.rglob("*") if p.suffix in suffixes and "__pycache__" not in p.parts
    }


def test_the_table_of_extensions_and_the_sources_are_the_same():
    """Architecture 11: one table of extensions."""
    table = compiled_modules()
    assert len(set(table)) == len(table)
    assert {name.replace(".", "/") + ".pyx" for name in table} == {f"hlfast/{name}" for name in sources({".pyx"})}


def test_every_compiled_module_has_its_stub_beside_it():
    """Architecture 11."""
    assert {name.removesuffix(".pyx") for name in sources({".pyx"})} == {
        n.removesuffix(".pyi") for n in sources({".pyi"})
    }


def test_everything_compiled_is_there_and_built_the_same_way():
    """Issue, point 1: `hlfast.build_info()`."""
    assert set(compiled_modules()) == set(hlfast.build_info()["modules"])


def test_every_module_can_be_imported():
    names = [m.name for m in pkgutil.walk_packages(hlfast.__path__, "hlfast.") if not m.name.endswith("__main__")]
    assert len(names) > 40 and set(compiled_modules()) <= set(names)
    for name in names:
        importlib.import_module(name)


def test_every_public_name_is_there():
    for name in hlfast.__all__:
        assert getattr(hlfast, name) is not None
    assert set(hlfast.__all__) <= set(dir(hlfast))


def test_the_imported_package_holds_stubs_definitions_and_the_marker_of_types():
    """Architecture 11, L111: `py.typed`, `.pyi`, and the `.pxd` for those who cimport."""
    names = sources(SHIPPED)
    assert "py.typed" in names and "core/order_book.pxd" in names and "core/__init__.pxd" in names
    assert [n for n in names if not (INSTALLED / n).is_file()] == []
    assert [n for n in names if (INSTALLED / n).read_bytes() != (TREE / n).read_bytes()] == []


LISTING = """
import json
from setuptools import Distribution
dist = Distribution({"script_name": "setup.py"})
dist.parse_config_files()
build = dist.get_command_obj("build_py")
build.ensure_finalized()
names = [f"{package.replace('.', '/')}/{name}" for package, _, _, files in build.data_files for name in files]
print(json.dumps(names + [path for _, _, path in build.find_all_modules()]))
"""


def test_a_wheel_ships_every_source_that_an_installed_package_needs_and_no_generated_c():
    """Architecture 2.8 and 11."""
    pytest.importorskip("setuptools", reason="setuptools is not installed here: nothing to list a wheel's files with")
    ran = subprocess.run([sys.executable, "-c", LISTING], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = {Path(name).relative_to("hlfast").as_posix() for name in json.loads(ran.stdout.splitlines()[-1])}
    assert listed - {"README.md"} == sources(SHIPPED)


@pytest.mark.skipif(not (ROOT / "SECURITY.md").is_file(), reason="the tree's own files do not lie beside the tests")
def test_security_notes_say_that_nobody_asks_for_keys():
    """L126: keys are never asked for, one name is stated, and where to report is said."""
    text = " ".join((ROOT / "SECURITY.md").read_text().split())
    for words in ("never asks for your keys", "one project of this name", "security advisories"):
        assert words in text


STATE_IS_SET = re.compile(r"\.state_\s*=(?!=)")


def test_one_module_changes_the_state_of_orders():
    """L45: one state machine. Every other module asks the tracker; the ring reads back what it was told."""
    found = {name for name in sources({".pyx", ".pxd", ".py"}) if STATE_IS_SET.search((TREE / name).read_text())}
    assert found == {"core/in_flight_order.pyx", "core/order_tracker.pyx", "core/journal_ring.pyx"}


def test_the_command_of_the_package_exists():
    from hlfast.cli import main

    assert callable(main)
