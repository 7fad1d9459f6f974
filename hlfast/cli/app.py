"""The commands (layer 5). Only click is imported here; each command imports what it needs when it runs.

Exit codes: 0 well, 1 a difference or a failure (one line on standard error), 2 wrong usage; `run` has more of its own.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from hlfast import __version__
from hlfast.cli.coverage_command import coverage
from hlfast.cli.doctor_command import doctor
from hlfast.cli.gateway_command import gateway
from hlfast.cli.journal_commands import fills, orders
from hlfast.cli.record_commands import record, replay
from hlfast.cli.report_command import push, report
from hlfast.cli.run_command import run as run_strategies
from hlfast.cli.sim_command import sim
from hlfast.errors import ConfigError, HlfastError

HELP = """hlfast: a compiled, dependable Hyperliquid connector with its own local exchange.

\b
Two minutes:
  hlfast demo --seconds 30   a market maker on a local exchange, checked to the last cent
  hlfast run my_strategy.py  a strategy of yours: on a local exchange, a network, or over a recording
  hlfast sim                 the local exchange alone, to trade on with your own code:
\b
  import hlfast
  async def main():
      async with hlfast.connect("simulator") as hl:
          order = hl.buy("BTC", "0.001", "60000")
          print(await order.accepted(), order)
  hlfast.run(main())

No account and no key is needed for either: everything stays on this machine. `hlfast COMMAND --help` tells more.
"""


class _Commands(click.Group):
    """Errors of the library become one line on standard error and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HlfastError as error:
            raise click.ClickException(str(error)) from None


@click.group(
    cls=_Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="hlfast")
def cli() -> None:
    pass


@cli.command()
@click.option(
    "--seconds", type=click.FloatRange(1), help="How long to trade. [default: until Ctrl-C, or 30 without a terminal]"
)
@click.option(
    "--seed", type=click.IntRange(0), default=7, show_default=True, help="Of the exchange's background traders."
)
@click.option(
    "--block-ms",
    type=click.IntRange(0, 60_000),
    default=70,
    show_default=True,
    help="Length of a block; 0: orders execute at once.",
)
@click.option(
    "--exchange", "exchange_url", metavar="URL", help="Use a running local exchange, for example http://127.0.0.1:8000."
)
@click.option(
    "--outage",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="In mid-run, cut all sockets and refuse new ones for so long.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and nothing else.")
@click.option("--no-ui", is_flag=True, help="Print events as lines instead of the live view.")
def demo(
    seconds: float | None,
    seed: int,
    block_ms: int,
    exchange_url: str | None,
    outage: float,
    as_json: bool,
    no_ui: bool,
) -> None:
    """Run a market maker on a local exchange, and check what it holds.

    Starts the exchange in its own process, connects over sockets, and quotes BTC and ETH on both sides. At the end
    everything is cancelled, and the connector's figures (from its own fills alone) are compared with the exchange's
    record: cash, positions, fees, every fill. Any difference is listed, and the exit code is 1.

    \b
    Examples:
      hlfast demo                               live view, until Ctrl-C
      hlfast demo --seconds 30 --json --no-ui   for scripts
      hlfast demo --seconds 30 --outage 5       the connection is lost in mid-run
    """
    from hlfast.cli.demo import FIRST_SECONDS, DemoOptions
    from hlfast.cli.local_exchange import network_at

    interactive = sys.stdout.isatty()
    if seconds is None and (as_json or not interactive):
        seconds = 30.0
    if outage and seconds is not None and seconds < outage + 2 * FIRST_SECONDS:
        raise click.UsageError(
            f"an outage of {outage:g} s needs --seconds {outage + 2 * FIRST_SECONDS:g} or more, got {seconds:g}"
        )
    if exchange_url is not None:
        try:
            network_at(exchange_url)
        except ConfigError as error:
            raise click.BadParameter(str(error), param_hint="--exchange") from None
    options = DemoOptions(seconds=seconds, seed=seed, block_ms=block_ms, exchange_url=exchange_url, outage=outage)

    import hlfast
    from hlfast.cli.demo_command import Mode, demo_command

    mode: Mode = "json" if as_json else "lines" if no_ui or not interactive else "screen"
    sys.exit(hlfast.run(demo_command(options, mode)))


@cli.command(short_help="Show how this installation was built.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def build(as_json: bool) -> None:
    """Show how this installation was built: versions, compiler, switches, compiled modules."""
    import orjson

    import hlfast

    info = hlfast.build_info()
    if as_json:
        click.echo(orjson.dumps(info, option=orjson.OPT_INDENT_2).decode())
        return
    for name, value in info.items():
        if isinstance(value, list):
            click.echo(f"{name:<10} {len(value)}")
            for item in value:
                click.echo(f"{'':<10} {item}")
        else:
            click.echo(f"{name:<10} {value}")


cli.add_command(coverage)
cli.add_command(doctor)
cli.add_command(gateway)
cli.add_command(orders)
cli.add_command(fills)
cli.add_command(report)
cli.add_command(push)
cli.add_command(record)
cli.add_command(replay)
cli.add_command(run_strategies)
cli.add_command(sim)


def run() -> None:
    cli(prog_name="hlfast")
