"""`hlfast report` and `hlfast push` (layer 5): a trading report from a journal; a journal's rows into PostgreSQL.

Only click is imported here; the rest when a command runs.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from hlfast.cli.journal_commands import opened, since_ns
from hlfast.errors import ConfigError


@click.command(short_help="Make a trading report from a journal.")
@click.option("--journal", "folder", metavar="DIR", help="The journal's folder; in PostgreSQL its number.")
@click.option("--postgres", metavar="DSN", help="Read from PostgreSQL: postgresql://user@host/name, or env:NAME.")
@click.option("--network", metavar="NAME", help="mainnet, testnet or simulator. [default: whichever has one]")
@click.option("--account", metavar="ADDRESS", help="[default: the only one that has a journal]")
@click.option("--coin", metavar="NAME", help="Of this instrument only, exactly as the venue spells it.")
@click.option("--since", metavar="WHEN", help="30m, 12h, 7d; 2026-01-31 or 2026-01-31T12:00 (UTC); or ms since 1970.")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="The page. [default: hlfast-report.html, unless --json]",
)
@click.option("--title", default="Trading report", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print every figure as JSON; sums are exact decimal text.")
def report(
    folder: str | None,
    postgres: str | None,
    network: str | None,
    account: str | None,
    coin: str | None,
    since: str | None,
    out: str | None,
    title: str,
    as_json: bool,
) -> None:
    """Make a trading report from a journal: one HTML file with pictures, nothing loaded from anywhere.

    Profit over time and the account's value, every fill on its price, fees and funding, how much of what was ordered
    was filled and why orders failed, maker share, latencies, by coin and by strategy, and the runs. A connector keeps
    what it needs when it is given journal=...; the report can be made while it trades.

    \b
    Examples:
      hlfast report                                  of the only journal here, into hlfast-report.html
      hlfast report --since 7d --coin BTC --out btc.html
      hlfast report --postgres env:HLFAST_POSTGRES --account 0x... --out desk.html
      hlfast report --json | jq .totals.net
    """
    from hlfast.engine.report_figures import figures
    from hlfast.engine.report_page import page, rounded

    with opened(folder, postgres, network, account) as journal:
        found = figures(journal, since_ns=since_ns(since) if since is not None else 0, coin=coin)
    if as_json:
        import orjson

        click.echo(orjson.dumps(found, default=_as_text, option=orjson.OPT_INDENT_2).decode())
        if out is None:
            return
    path = Path(out or "hlfast-report.html")
    try:
        path.write_text(page(found, title), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {path}: {error.strerror}; give another --out FILE"
        ) from None
    total = found["totals"]
    if not total["orders"] and not total["fills"]:
        click.echo(f"{path}: there is no order and no fill to report", err=as_json)
        return
    click.echo(
        f"{path}: {total['fills']:,} fills of {total['orders']:,} orders, net {rounded(total['net'])} USDC", err=as_json
    )


def _as_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(type(value).__name__)


@click.command(short_help="Copy a journal into PostgreSQL.")
@click.option("--journal", "folder", required=True, metavar="DIR", help="The journal's folder.")
@click.option("--postgres", required=True, metavar="DSN", help="postgresql://user@host/name, or env:NAME.")
@click.option("--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
def push(folder: str, postgres: str, follow: bool) -> None:
    """Copy what a journal has and PostgreSQL has not; repeating it is harmless.

    For journals of runs without Settings(postgres=...), and for a process of its own beside a trading one (--follow),
    which then does nothing for the copy. Needs: pip install 'hlfast[postgres]'

    \b
    Examples:
      hlfast push --journal DIR --postgres postgresql://trader@/trading?host=/run/postgresql
      hlfast push --journal DIR --postgres env:HLFAST_POSTGRES --follow
    """
    import asyncio

    from hlfast.config import PostgresDsn
    from hlfast.engine.journal import DATABASE, bring_up_to_date
    from hlfast.engine.journal_reader import open_journal
    from hlfast.engine.postgres_follower import Follower

    dsn = PostgresDsn(postgres)
    with open_journal(folder) as journal:
        note, is_older = journal.note, journal.is_older
    if is_older:
        bring_up_to_date(Path(folder))
    follower = Follower(Path(folder) / DATABASE, dsn, records_at_once=2048)
    if not follow:
        try:
            rows = asyncio.run(follower.once())
        except Exception as error:
            if isinstance(error, ConfigError) or not type(error).__module__.startswith("asyncpg"):
                raise
            from hlfast.engine.postgres import explained

            raise ConfigError(f"{dsn}: {explained(error, dsn)}") from None
        click.echo(f"{rows:,} rows are new in {dsn}; the journal is there up to record {follower.copied:,}")
        if note:
            click.echo(f"note: {note}", err=True)
        return
    follower.start()
    try:
        click.echo(f"following {folder} into {dsn}. Ctrl-C ends it.")
        while follower.is_running:
            follower.wait(3600.0)
    except KeyboardInterrupt:
        pass
    if not follower.stop(30.0):  # nobody waits for this process but its user
        raise ConfigError(follower.reason)
