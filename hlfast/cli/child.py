"""Processes of our own (layer 5): they import the same hlfast as this one, whatever the current directory holds.

`python -m` looks into the current directory first; in a source checkout that is a tree without compiled modules.
"""

from __future__ import annotations

import sys
from pathlib import Path

import hlfast

ROOT = str(Path(hlfast.__file__).resolve().parents[1])


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line for `python -m MODULE ARGUMENTS`."""
    code = f"import runpy, sys; sys.path.insert(0, {ROOT!r}); runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", code, *arguments]
