"""`python -m hlfast.sim`: the local exchange in a process of its own, on uvloop, until SIGINT or SIGTERM.

    python -m hlfast.sim --port 8000 --block-ms 70 --seed 7 [--no-traders] [--json]

Prints the address and the funded public test keys; with --json one line `{"event":"ready",...}` instead.
"""

from __future__ import annotations

import argparse
import sys

import uvloop

from hlfast.errors import ConfigError
from hlfast.sim.server import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hlfast.sim", description="A local Hyperliquid exchange.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to bind")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one")
    parser.add_argument("--block-ms", type=int, default=70, help="time between blocks; 0 executes at once")
    parser.add_argument("--seed", type=int, default=7, help="of the background traders")
    parser.add_argument("--no-traders", action="store_true", help="leave the books empty")
    parser.add_argument("--json", action="store_true", help="print one JSON line when ready")
    given = parser.parse_args()
    try:
        uvloop.run(
            serve(
                host=given.host,
                port=given.port,
                block_ms=given.block_ms,
                seed=given.seed,
                traders=not given.no_traders,
                json=given.json,
                out=lambda line: print(line, flush=True),
            )
        )
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
