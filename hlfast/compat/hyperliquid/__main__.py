"""Run a program that was written for the official SDK on hlfast, unchanged (layer 5).

python -m hlfast.compat.hyperliquid [--route FROM=TO] bot.py --its --args
python -m hlfast.compat.hyperliquid [--route FROM=TO] -m package.module --its --args
"""

from __future__ import annotations

import os
import runpy
import sys

from hlfast.compat.hyperliquid import endpoints, switch
from hlfast.errors import ConfigError

USAGE = (
    "usage: python -m hlfast.compat.hyperliquid [--route FROM=TO] (SCRIPT.py | -m MODULE) [ARGUMENT ...]\n\n"
    "Runs a program that imports the official SDK's `hyperliquid` on hlfast instead.\n"
    "  --route FROM=TO   send the traffic of FROM (an official URL) to TO, a local exchange on this machine\n"
)


def main(arguments: list[str]) -> None:
    rest = list(arguments)
    while rest and rest[0].startswith("--"):
        option, equals, value = rest.pop(0).partition("=")
        if option in ("--help",):
            print(USAGE)
            return
        if option != "--route":
            raise SystemExit(f"{USAGE}\nunknown option {option}; the program's own options follow its name")
        if not equals:
            value = rest.pop(0) if rest else ""
        try:
            endpoints.route_from_text(value)
        except ConfigError as error:
            raise SystemExit(f"--route: {error}") from None
    if not rest or rest == ["-m"] or rest[0] == "-h":
        raise SystemExit(USAGE)
    switch.install()
    if rest[0] == "-m":
        sys.argv = rest[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = rest
        sys.path[0] = os.path.dirname(os.path.abspath(rest[0]))
        runpy.run_path(rest[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
