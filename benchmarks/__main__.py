"""`python -m benchmarks`: compare the results, time them, print one table.

Exit codes: 0 all compared equal and timed, 1 a result differs from a peer's, 2 wrong usage or a build that is not fit
to be timed. A target that is missed is shown, and is no error: the machine decides too.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import machine, peers, plot
from benchmarks.registry import FULL, QUICK, Benchmark, Effort, Mismatch, benchmarks
from benchmarks.report import Outcome, as_json, markdown, print_table
from hlfast.clock import monotonic_ns


def chosen(only: list[str] | None) -> list[Benchmark]:
    """The benchmarks that were asked for, by name or area. Raises `ValueError` for a name that is neither."""
    table = benchmarks()
    wanted = [name for names in only or [] for name in names.split(",") if name]
    areas = {benchmark.area for benchmark in table.values()}
    for name in wanted:
        if name not in table and name not in areas:
            raise ValueError(f"there is no benchmark {name!r}; there are {', '.join([*sorted(areas), *table])}")
    return [one for one in table.values() if not wanted or one.name in wanted or one.area in wanted]


def run(benchmark: Benchmark, effort: Effort) -> Outcome:
    try:
        return Outcome(benchmark, benchmark.measure(effort))
    except Mismatch as mismatch:
        return Outcome(benchmark, [], str(mismatch))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="hlfast beside its peers.")
    parser.add_argument("--quick", action="store_true", help="under a minute; the figures are rougher")
    parser.add_argument("--only", action="append", metavar="NAME", help="a benchmark or an area; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw the figures there, as PNG (needs matplotlib)")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown instead")
    parser.add_argument("--debug-ok", action="store_true", help="run a debug build all the same")
    given = parser.parse_args(arguments)
    try:
        todo = chosen(given.only)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.list:
        for benchmark in todo:
            print(f"{benchmark.name:24} {benchmark.area:10} {benchmark.what}")
        return 0
    if given.plot and not plot.is_possible():
        print("error: --plot needs matplotlib: pip install '.[plot]'", file=sys.stderr)
        return 2
    build = machine.build_info()
    unfit = machine.unfit_build(build)
    if unfit and not given.debug_ok:
        print(f"error: {unfit}", file=sys.stderr)
        return 2

    here, versions = machine.describe(), peers.versions()
    print(f"{here['processor']}, {here['cores']} cores, load {here['load']} · {here['system']}")
    print(f"{here['python']} · {here['date']}")
    print("hlfast " + ", ".join(f"{name} {value}" for name, value in build.items() if name != "modules"))
    print("peers: " + ", ".join(f"{name} {version}" for name, version in versions.items() if version))
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        print(f"missing, and so not compared: {', '.join(missing)} (pip install '.[bench]')")

    outcomes = []
    began = monotonic_ns()
    for at, benchmark in enumerate(todo, 1):
        if sys.stderr.isatty():
            seconds = (monotonic_ns() - began) / 1e9
            print(f"\r\033[K{at}/{len(todo)} {seconds:.0f} s  {benchmark.what} …", end="", file=sys.stderr, flush=True)
        outcomes.append(run(benchmark, QUICK if given.quick else FULL))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    mismatches = [outcome.mismatch for outcome in outcomes if outcome.mismatch]
    figures = {
        "machine": here,
        "build": build,
        "peers": versions,
        "quick": given.quick,
        "benchmarks": [as_json(outcome) for outcome in outcomes],
    }
    print()
    if given.markdown:
        print(markdown(figures))
    else:
        print_table(outcomes)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    if given.plot:
        for path in plot.draw(figures, given.plot):
            print(path)
    for mismatch in mismatches:
        print(f"error: {mismatch}", file=sys.stderr)
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
