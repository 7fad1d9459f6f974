"""The command line (layer 5): `hlfast demo | sim | gateway | orders | fills | report | push | build`. Imports nothing before it is called."""

from __future__ import annotations


def main() -> None:
    """The console script `hlfast`."""
    from hlfast.cli.app import run

    run()
