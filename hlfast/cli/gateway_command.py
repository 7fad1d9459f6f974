"""`hlfast gateway` (layer 5): the ZeroMQ gateway in this process, until Ctrl-C. Only click is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hlfast.errors import ConfigError


@click.command(short_help="Serve strategies in other processes over ZeroMQ.")
@click.option(
    "--network", default="simulator", show_default=True, help="mainnet, testnet, simulator, or http://127.0.0.1:PORT."
)
@click.option(
    "--key", metavar="KEY", help="env:NAME, a key file with mode 0600, or a keystore. The simulator needs none."
)
@click.option("--account", metavar="ADDRESS", help="The account to trade for, where the key is an agent's.")
@click.option(
    "--settings", "settings_file", type=click.Path(exists=True, dir_okay=False), help="A JSON file (docs/gateway.md)."
)
@click.option("--transport", type=click.Choice(("ipc", "tcp")), help="Instead of the settings'.")
@click.option("--directory", metavar="DIR", help="Of the ipc sockets, instead of the settings'.")
@click.option(
    "--symbol", "symbols", multiple=True, help="Publish trades and books of this instrument too. May be repeated."
)
@click.option("--journal", "journal_folder", metavar="DIR", help="The journal's folder. [default: the account's own]")
@click.option("--postgres", metavar="DSN", help="Let this database follow the journal: postgresql://..., or env:NAME.")
@click.option("--no-journal", is_flag=True, help="Forget everything at the end: a restart knows no ids.")
@click.option("--metrics", metavar="HOST:PORT", help="Serve metrics to Prometheus, for example at 127.0.0.1:9090.")
@click.option("--metrics-remote", is_flag=True, help="Allow --metrics beyond this machine: it tells positions and PnL.")
@click.option(
    "--log",
    "log_format",
    type=click.Choice(("off", "text", "json")),
    default="off",
    show_default=True,
    help="To stderr: every event of an order with its ids, connections, errors. Never a secret.",
)
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line when ready, nothing else.")
@click.option(
    "--new-key",
    type=click.Path(dir_okay=False),
    help="Write a new CURVE secret key to this file, print its public key, and end.",
)
def gateway(*, new_key: str | None, **given: Any) -> None:
    """Serve strategies in other processes, in any language, over ZeroMQ until Ctrl-C.

    This process alone holds the key. Clients send orders as JSON and hear reports, fills, order events and market data;
    every message is answered. Sockets lie in a folder of mode 0700 unless told otherwise. Needs: pip install 'hlfast[zmq]'

    \b
    Examples:
      hlfast gateway                                 on the local exchange (hlfast sim)
      hlfast gateway --transport tcp --symbol BTC    on the usual loopback ports, with BTC's market data
      hlfast gateway --network mainnet --key env:HL_KEY --settings desk.json
      hlfast gateway --new-key gateway.key           a CURVE key, for tcp beyond this machine
    """
    if new_key is not None:
        click.echo(write_key(Path(new_key)))
        return
    import hlfast

    hlfast.run(gateway_command(**given))


def write_key(path: Path) -> str:
    """Make a pair of CURVE keys; the secret one goes into a new file of mode 0600. Returns the public one."""
    import os

    from hlfast.engine.gateway_sockets import load_zmq

    public, secret = load_zmq().curve_keypair()
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} is there already; a key is never overwritten") from None
    with open(fd, "wb") as file:
        file.write(secret + b"\n")
    return str(public.decode())


async def gateway_command(
    *,
    network: str,
    key: str | None,
    account: str | None,
    settings_file: str | None,
    transport: str | None,
    directory: str | None,
    symbols: tuple[str, ...],
    journal_folder: str | None,
    postgres: str | None,
    no_journal: bool,
    metrics: str | None,
    metrics_remote: bool,
    log_format: str,
    log_level: str,
    as_json: bool,
) -> None:
    """Run until SIGINT or SIGTERM. Raises `ConfigError` and `NotReady`."""
    import asyncio
    import contextlib
    import sys
    from dataclasses import replace

    import orjson

    import hlfast
    from hlfast.cli.local_exchange import network_at
    from hlfast.engine import structured_log
    from hlfast.engine.gateway import Gateway
    from hlfast.engine.gateway_settings import Feed, GatewaySettings
    from hlfast.engine.journal import Journal, journal_path

    settings = GatewaySettings()
    if settings_file is not None:
        try:
            settings = GatewaySettings.from_json(orjson.loads(Path(settings_file).read_bytes()))
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"{settings_file} is not JSON: {error}") from None
    if transport is not None:
        settings = replace(settings, transport=transport)
    if directory is not None:
        settings = replace(settings, directory=directory)
    if metrics is not None:
        settings = replace(settings, metrics=metrics, metrics_remote=metrics_remote)
    if symbols:
        settings = replace(settings, feeds=(*settings.feeds, Feed(symbols)))
    if postgres is not None and (no_journal or not settings.journal):
        raise ConfigError("--postgres follows the journal, and the journal is off; leave one of the two out")
    where = network_at(network) if network.startswith("http") else network
    connector = hlfast.connect(
        where,
        key=key,
        account=account,
        settings=hlfast.Settings(
            market_slippage_bps=settings.market_slippage_bps,
            backoff_min=settings.reconnect_delay_ms / 1e3,
            backoff_max=max(5.0, settings.reconnect_delay_ms / 1e3),
            ping_interval=settings.stale_ms / 2_000,
            pong_timeout=settings.stale_ms / 2_000,
        ),
    )
    journal = None
    if settings.journal and not no_journal:
        name = connector.network.name
        path = Path(journal_folder) if journal_folder else journal_path(name, connector.account)
        signer = connector.signer.address
        journal = Journal(path, network=name, account=connector.account, signer=signer, postgres=postgres)
        connector.use_journal(journal)
    try:
        with contextlib.ExitStack() as logs:
            gateway = Gateway(connector, settings, journal=journal, version=hlfast.__version__)
            if log_format != "off":
                logs.enter_context(structured_log.to(sys.stderr, level=log_level, as_json=log_format == "json"))
                logs.enter_context(structured_log.orders_of(connector, gateway.client_id_of))
            async with gateway as running:
                if as_json:
                    ready = {"ready": True, "account": connector.account, "run_id": running.run_id, **running.endpoints}
                    if running.metrics is not None:
                        ready["metrics"] = f"http://{running.metrics.host}:{running.metrics.port}/metrics"
                    click.echo(orjson.dumps(ready).decode())
                else:
                    lines = "\n".join(f"  {socket:<8} {at}" for socket, at in running.endpoints.items())
                    click.echo(f"Gateway for {connector.account} on {connector.network.name}. Ctrl-C ends it.\n{lines}")
                await asyncio.Event().wait()
    finally:
        if journal is not None:
            journal.stop()
