"""A module of somebody else's, compiled against the package that is installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

import hlfast

BUILD = """
import sys
from Cython.Build import cythonize
from setuptools import Extension, setup
extension = Extension(sys.argv[2], [sys.argv[2] + ".pyx"], extra_compile_args=["-O0"])
setup(
    script_args=["-q", "build_ext", "--inplace"],
    ext_modules=cythonize([extension], include_path=[sys.argv[1]], language_level=3, quiet=True),
)
"""


def build(name: str, source: str, folder: Path) -> ModuleType:
    """The Cython module `name` of `source`, made in `folder`. Skips where there is nothing to make it with."""
    for needed in ("Cython", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed here: nothing to compile a downstream module with")
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"no C compiler {compiler!r} here")
    (folder / f"{name}.pyx").write_text(source)
    (folder / "build.py").write_text(BUILD)
    parent = str(Path(hlfast.__file__).parents[1])
    command = [sys.executable, "build.py", parent, name]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    [built] = [p for p in folder.iterdir() if p.name.endswith(sysconfig.get_config_var("EXT_SUFFIX"))]
    spec = importlib.util.spec_from_file_location(name, built)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
