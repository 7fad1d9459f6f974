"""`python -m benchmarks.guard`: instructions of each kernel, against the baseline of this compiler and Python.

Exit codes: 0 nothing got slower, or there is nothing to compare with (no baseline of this combination, no valgrind: it
says so); 1 a kernel needs over 5 % more instructions; 2 wrong usage, an unfit build, or a run that failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import ROOT, machine

TOLERANCE = 0.05
FOLDER = Path(__file__).parent / "baseline"


def combination(build: dict[str, Any]) -> str:
    """What a baseline belongs to: compiler, Python, processor family."""
    compiler = "-".join(str(build["compiler"]).split()[:2])
    return f"{compiler}_cpython-{platform.python_version()}_{platform.machine()}"


def made_with(build: dict[str, Any]) -> dict[str, str]:
    """What else decides over the instructions: an interpreter that was built otherwise, another Cython."""
    flags = " ".join(str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS", "OPT"))
    return {
        "cython": str(build["cython"]),
        "interpreter": f"{sys.version} {hashlib.sha256(flags.encode()).hexdigest()[:12]}",
    }


MARKER = """
__attribute__((noinline)) void hlfast_guarded(void (*loop)(void)) { loop(); __asm__ volatile(""); }
__attribute__((noinline)) void enter(void (*loop)(void)) { hlfast_guarded(loop); __asm__ volatile(""); }
"""
"""A function of a name that callgrind knows. It cannot tell what ctypes calls itself: `enter` lies between."""


def marker(folder: str) -> str:
    """The compiled marker. Raises `RuntimeError` where there is no C compiler."""
    source, made = Path(folder, "marker.c"), f"{folder}/marker.so"
    source.write_text(MARKER)
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    try:
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", made, str(source)], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise RuntimeError(f"no C compiler {compiler!r}: {error}") from None
    if done.returncode:
        raise RuntimeError(done.stderr)
    return made


def count() -> dict[str, float]:
    """Instructions a call of every kernel, less what an empty one costs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=hlfast_guarded",
            "--dump-after=hlfast_guarded", f"--callgrind-out-file={folder}/out",
            sys.executable, "-m", "benchmarks.guard.loops", marker(folder),
        ]  # fmt: skip
        surroundings = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2_000:])
        kernels = json.loads(done.stdout)
        totals = [instructions(Path(f"{folder}/out.{at}")) for at in range(1, len(kernels) + 1)]
    per_call = {one["name"]: total / one["calls"] for one, total in zip(kernels, totals, strict=True)}
    empty = per_call.pop("nothing")
    return {name: round(value - empty, 1) for name, value in per_call.items()}


def instructions(dump: Path) -> int:
    """The sum of one of callgrind's files."""
    for line in dump.read_text().splitlines():
        if line.startswith(("totals:", "summary:")):
            return int(line.split()[1])
    raise RuntimeError(f"{dump.name} has no sum: {dump.read_text()[:200]!r}")


def compare(found: dict[str, float], baseline: dict[str, float]) -> list[str]:
    """Print a line for each kernel; returns those that are over the tolerance, with what to do about it."""
    slower = []
    for name, value in found.items():
        before = baseline.get(name)
        change = f"{value / before - 1:+.1%}" if before else "new"
        print(f"{name:34} {value:12,.1f} {before if before is not None else '':>12} {change:>8}")
        if before and value > before * (1 + TOLERANCE):
            slower.append(f"{name}: {change}")
    slower += [f"{name}: gone" for name in baseline if name not in found]
    return slower


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description="Instructions against a baseline.")
    parser.add_argument("--renew", action="store_true", help="write the baseline of this compiler and Python")
    given = parser.parse_args(arguments)
    build = machine.build_info()
    unfit = machine.unfit_build(build)
    if unfit:
        print(f"error: {unfit}", file=sys.stderr)
        return 2
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (apt-get install valgrind)")
        return 0
    try:
        found = count()
    except RuntimeError as error:
        print(f"error: the counted run failed: {error}", file=sys.stderr)
        return 2
    name, made = combination(build), made_with(build)
    path = FOLDER / f"{name}.json"
    if given.renew:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(json.dumps({"made_with": made, "instructions": found}, indent=1) + "\n")
        print(f"wrote {path.relative_to(ROOT)}")
        compare(found, {})
        return 0
    kept = json.loads(path.read_text()) if path.exists() else {"made_with": {}, "instructions": {}}
    differs = [what for what, value in kept["made_with"].items() if made[what] != value]
    if not path.exists() or differs:
        compare(found, kept["instructions"])
        why = f"its {' and '.join(differs)} differ" if differs else "there is none"
        print(f"not compared: no baseline of {name} ({why}); `python -m benchmarks.guard --renew` writes one")
        return 0
    slower = compare(found, kept["instructions"])
    for one in slower:
        print(f"error: {one} (tolerance {TOLERANCE:.0%}); a change that is meant needs --renew", file=sys.stderr)
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
