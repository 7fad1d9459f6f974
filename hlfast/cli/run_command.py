"""`hlfast run` (layer 5): strategies from files, live or over a recording. Only click is imported here."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from hlfast.cli.record_commands import SPEED

INTERRUPTED_EXIT = 130
Show = Callable[[Any], None]


@click.command("run", short_help="Run strategies: on a network, a local exchange, or over a recording.")
@click.argument("strategies", nargs=-1, required=True, metavar="[NAME=]FILE.py[:CLASS]...")
@click.option(
    "--network", default="simulator", show_default=True, help="simulator, testnet, mainnet, or http://127.0.0.1:PORT."
)
@click.option(
    "--key", metavar="KEY", help="env:NAME, a key file with mode 0600, or a keystore. The simulator needs none."
)
@click.option("--account", metavar="ADDRESS", help="The account to trade for, where the key is an agent's.")
@click.option("--params", type=click.Path(exists=True, dir_okay=False), metavar="FILE.toml", help="Parameters.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A parameter, over the file's. May be repeated."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="How long to trade. [default: until Ctrl-C, or the recording's end]",
)
@click.option(
    "--on-stop",
    type=click.Choice(("cancel", "leave")),
    default="cancel",
    show_default=True,
    help="Their orders, at the end.",
)
@click.option(
    "--stop-timeout", type=click.FloatRange(0), default=10.0, show_default=True, help="Seconds to wait for the cancels."
)
@click.option(
    "--journal", metavar="DIR", help="The journal's folder. [default: the account's own; on a local exchange none]"
)
@click.option("--no-journal", is_flag=True, help="Keep nothing: a restart knows no fills of this run.")
@click.option("--postgres", metavar="DSN", help="Let this database follow the journal: postgresql://..., or env:NAME.")
@click.option(
    "--replay", "files", multiple=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE",
    help="Over a recording (hlfast record), with paper orders. May be repeated.",
)  # fmt: skip
@click.option("--speed", type=SPEED, default="max", show_default=True, metavar="1|N|max", help="Of a replay.")
@click.option(
    "--latency-ms", type=click.FloatRange(0), default=0.0, show_default=True, help="Of a replay's paper orders."
)
@click.option("--spin", is_flag=True, help="Poll instead of sleeping: takes a whole core.")
@click.option("--cpu", type=click.IntRange(0), help="Run on this core (Linux).")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Of a local exchange started here.")
@click.option(
    "--block-ms",
    type=click.IntRange(0, 60_000),
    default=70,
    show_default=True,
    help="Of a local exchange started here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and nothing else.")
@click.option("--no-ui", is_flag=True, help="Print events as lines instead of the live view.")
@click.option("--describe", is_flag=True, help="Print the parameters of the strategies, and end.")
def run(
    strategies: tuple[str, ...],
    params: str | None,
    settings: tuple[str, ...],
    files: tuple[str, ...],
    no_journal: bool,
    spin: bool,
    cpu: int | None,
    as_json: bool,
    no_ui: bool,
    describe: bool,
    **given: Any,
) -> None:
    """Run strategies in one process, on one connector, each with positions, PnL and limits of its own.

    The same file runs everywhere. FILE.py holds one Strategy class, or :CLASS names it; shipped ones go by name:
    market_maker, momentum, lead_lag. NAME= lets one class run twice; it marks that one's orders. With the simulator
    network, where no local exchange runs, one is started for the run.

    At the end the strategies' sum is compared with the venue's account; what nobody's fills explain is listed.

    \b
    Exit codes: 0 well; 1 a difference or a failure; 2 wrong usage; 3 orders may still rest that were to be cancelled;
    130 Ctrl-C, 143 SIGTERM, after a stop in good order. A second signal cuts the stop short.

    \b
    Examples:
      hlfast run market_maker --seconds 30
      hlfast run my_strategy.py --network testnet --key env:HL_KEY --params my.toml
      hlfast run fast=my_strategy.py slow=my_strategy.py --set fast.size=0.002
      hlfast run my_strategy.py --replay data/x.gz --json
    """
    from hlfast.cli.strategy_files import make

    if describe:
        _describe(strategies)
        return
    if files and (spin or cpu is not None or given["network"] != "simulator" or given["journal"] or given["key"]):
        raise click.UsageError("--replay goes with no network, key, journal, --spin or --cpu: nothing is sent anywhere")
    if given["journal"] and no_journal:
        raise click.UsageError("--journal and --no-journal exclude each other; give one of them")
    if given["postgres"] and (no_journal or files or (not given["journal"] and _is_local(given["network"]))):
        raise click.UsageError("--postgres follows a journal, and this run keeps none; give --journal DIR")
    if not given["journal"]:
        given["journal"] = None if no_journal or _is_local(given["network"]) or files else ""

    mode = "json" if as_json else "lines" if no_ui or not sys.stdout.isatty() else "screen"
    show = functools.partial(_sum_up, out=sys.stdout, as_json=as_json)
    # What a strategy prints is no JSON, and must not cut through the view.
    prints_to: Any = sys.stderr if as_json else _ToLog() if mode == "screen" else sys.stdout
    with contextlib.redirect_stdout(prints_to):
        made = make(strategies, params, settings)
        code = _replay(made, files, given, show) if files else _live(made, given, spin, cpu, mode, show)
    sys.exit(code)


class _ToLog:
    """Printed lines join the events of the view."""

    def write(self, text: str) -> int:
        import logging

        for line in filter(None, text.splitlines()):
            logging.getLogger("hlfast.strategy.print").info("%s", line)
        return len(text)

    def flush(self) -> None: ...


def _is_local(network: str) -> bool:
    return network == "simulator" or network.startswith("http")


def _live(made: list[Any], given: dict[str, Any], spin: bool, cpu: int | None, mode: str, show: Show) -> int:
    import hlfast
    from hlfast.cli.run import RunOptions
    from hlfast.errors import OrdersLeft
    from hlfast.main_loop import ORDERS_LEFT_EXIT

    try:
        return hlfast.run(_run(made, RunOptions(**given), mode, show), spin=spin, cpu=cpu)
    except OrdersLeft as left:
        click.echo(f"hlfast: {left}", err=True)
        return ORDERS_LEFT_EXIT
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT


async def _run(made: list[Any], options: Any, mode: str, show: Show) -> int:
    from hlfast.cli.run import raise_end, run_live

    if mode == "screen":
        from hlfast.cli.demo_view import Screen

        screen = await Screen.open()
        try:
            result = await run_live(made, options, on_snapshot=screen.show)
        finally:
            await screen.close()
    elif mode == "lines":
        result = await run_live(made, options, on_event=_line)
    else:
        result = await run_live(made, options)
    show(result)
    raise_end(result)
    return 1 if result.differences else 0


def _replay(made: list[Any], files: tuple[str, ...], given: dict[str, Any], show: Show) -> int:
    from hlfast.cli.run import RunOptions, run_replay

    try:
        result = run_replay(made, files, RunOptions(**given))
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    show(result)
    return 1 if result.differences else 0


def _line(said: object) -> None:
    click.echo(said)
    sys.stdout.flush()


def _sum_up(result: Any, *, out: Any, as_json: bool) -> None:
    if as_json:
        import orjson

        click.echo(orjson.dumps(result.as_json(), option=orjson.OPT_INDENT_2).decode(), file=out)
        return
    from rich.console import Console

    from hlfast.cli.run_view import run_summary

    Console(file=out, width=None if out.isatty() else 120).print(run_summary(result))


def _describe(specs: tuple[str, ...]) -> None:
    from hlfast.cli.strategy_files import load
    from hlfast.engine.parameters import describe

    for spec in specs:
        found = load(spec)
        about = (sys.modules[found.kind.__module__].__doc__ or found.kind.__doc__ or "").strip().splitlines()
        click.echo(f"{found.label} ({found.kind.__name__})" + (f": {about[0]}" if about else ""))
        for name, kind, default, text in describe(found.kind):
            click.echo(f"  {f'{name} = {default}':<32} {kind}")
            if text:
                click.echo(f"      {text}")
