"""`python -m hlfast.sim`: the local exchange in a process of its own, on uvloop, until SIGINT or SIGTERM.

    python -m hlfast.sim --port 8000 --block-ms 70 --seed 7 [--no-traders] [--state FILE] [--limits real] [--json]

Prints the address and the funded public test keys; with --json one line `{"event":"ready",...}` instead. `hlfast sim`
takes the same options and explains them at length.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import uvloop

from hlfast.errors import ConfigError
from hlfast.sim.process import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hlfast.sim", description="A local Hyperliquid exchange.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to bind")
    parser.add_argument("--allow-remote", action="store_true", help="let --host be any address")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any free one")
    parser.add_argument("--block-ms", type=int, default=70, help="time between blocks; 0 executes at once")
    parser.add_argument("--seed", type=int, default=7, help="of the background traders and the faults")
    parser.add_argument("--no-traders", action="store_true", help="leave the books empty")
    parser.add_argument("--pace", default="real", help="real, or virtual: blocks run by POST /sim/step only")
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast the real pace goes")
    parser.add_argument("--limits", default="off", help="per IP: off, real, or a factor of the real ones")
    parser.add_argument("--record", action="store_true", help="keep what was sent to whom for /sim/truth")
    parser.add_argument("--state", help="a file that carries the exchange over a restart")
    parser.add_argument("--log", action="store_true", help="print each request with its verdict, on standard error")
    parser.add_argument("--json", action="store_true", help="print one JSON line when ready")
    given = parser.parse_args()
    try:
        uvloop.run(
            serve(
                host=given.host,
                allow_remote=given.allow_remote,
                port=given.port,
                block_ms=given.block_ms,
                seed=given.seed,
                traders=not given.no_traders,
                pace=given.pace,
                speed=given.speed,
                limits=given.limits,
                record=given.record,
                state=given.state,
                log=partial(print, file=sys.stderr, flush=True) if given.log else None,
                log_requests=given.log,
                json=given.json,
                out=partial(print, flush=True),
            )
        )
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
