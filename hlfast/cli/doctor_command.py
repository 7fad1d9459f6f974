"""`hlfast doctor` (layer 5): looks at build, machine, network, key and account before money is at stake.

Exit code 1 if something would keep orders from working. Only click is imported here; the rest when the command runs.
"""

from __future__ import annotations

from typing import Any

import click

MARKS = {"good": ("✓", "green"), "warning": ("!", "yellow"), "bad": ("✗", "red")}


@click.command(short_help="Check build, network, clock, key and account.")
@click.option(
    "--network",
    "name",
    default="simulator",
    show_default=True,
    metavar="NAME",
    help="mainnet, testnet, simulator, or the URL of a local exchange.",
)
@click.option(
    "--key",
    metavar="KEY",
    help="env:NAME, a file with mode 0600, or a keystore. Never the key itself: others see a command line.",
)
@click.option("--account", metavar="ADDRESS", help="The account that an agent's key trades for.")
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
def doctor(name: str, key: str | None, account: str | None, as_json: bool) -> None:
    """Look at everything that an order needs, and change nothing.

    \b
    build and machine    a release build, cores, the folder of journals and nonces
    venue                HTTP and WebSocket round trips, TLS, the clock against the venue's, its mode
    key                  whose it is: an agent (and until when) or a master key, which could withdraw
    account              value, positions, orders, and what is left of the address's request budget

    \b
    Examples:
      hlfast doctor                                            the local exchange on port 8000
      hlfast doctor --network testnet --key env:MY_AGENT_KEY --account 0x...
      hlfast doctor --network mainnet --account 0x... --json   without a key
    """
    from dataclasses import asdict

    import orjson

    import hlfast
    from hlfast.cli.doctor import BAD, Finding, examine
    from hlfast.cli.local_exchange import network_at
    from hlfast.config import network as network_of

    network = network_at(name) if "://" in name else network_of(name)
    if key is not None and _is_bare_key(key):
        raise click.UsageError(
            "a key on the command line is seen by every process of this machine: use env:NAME or a file with mode 0600"
        )
    area = ""

    def tell(finding: Finding) -> None:
        nonlocal area
        if finding.area != area:
            area = finding.area
            click.secho(area, bold=True)
        mark, colour = MARKS[finding.status]
        click.echo(f"  {click.style(mark, fg=colour)} {finding.what:<12} {finding.seen}")
        if finding.advice:
            click.echo(f"    {'':<12} → {finding.advice}")

    found: list[Any] = hlfast.run(examine(network, key=key, account=account, tell=None if as_json else tell))
    bad = sum(finding.status == BAD for finding in found)
    if as_json:
        click.echo(orjson.dumps({"network": network.name, "bad": bad, "findings": [asdict(one) for one in found]}))
    elif bad:
        click.secho(f"{bad} of {len(found)} would keep orders from working", fg="red", bold=True)
    if bad:
        raise SystemExit(1)


def _is_bare_key(key: str) -> bool:
    digits = key.strip().removeprefix("0x").removeprefix("0X")
    return len(digits) == 64 and all(digit in "0123456789abcdefABCDEF" for digit in digits)
