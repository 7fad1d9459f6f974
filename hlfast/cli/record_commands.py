"""`hlfast record` and `hlfast replay` (layer 5): market data into files, and out of them through the same handlers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import click

PROGRESS_SECONDS = 1.0
TICKS = 10


@click.command(short_help="Record market data into files.")
@click.argument("coins", nargs=-1, required=True, metavar="COIN...")
@click.option("--network", default="simulator", show_default=True, help="simulator, testnet or mainnet.")
@click.option(
    "--exchange", "exchange_url", metavar="URL", help="A local exchange elsewhere, for example http://127.0.0.1:3001."
)
@click.option("--out", default=".", show_default=True, type=click.Path(file_okay=False), help="Folder for the files.")
@click.option(
    "--rotate-mb", type=click.FloatRange(0), default=256.0, show_default=True, help="Compressed size of a file; 0: any."
)
@click.option(
    "--rotate-minutes", type=click.FloatRange(0), default=60.0, show_default=True, help="Age of a file; 0: any."
)
@click.option("--trades", is_flag=True, help="Public trades too, beside l2Book and bbo.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="End by itself. [default: Ctrl-C ends it]")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON at the end, and nothing else.")
def record(
    coins: tuple[str, ...], network: str, exchange_url: str | None, seconds: float | None, as_json: bool, **given: Any
) -> None:
    """Record the market data of COINs until Ctrl-C: raw frames with their receive times, gzip, rotated.

    A line is the receive time in ns, a space, the frame as it came: what hftbacktest's converter for Hyperliquid reads.
    That converter does not tell coins apart: record one coin a process for it.
    Files carry .part until they are finished. The exit code is 1 if a frame was dropped or could not be written.

    \b
    Examples:
      hlfast record BTC ETH --network mainnet --trades --out data
      hlfast record BTC --seconds 30            from a local exchange (`hlfast sim`)
      hlfast replay data/*.gz
    """
    import orjson

    import hlfast
    from hlfast.cli.local_exchange import network_at
    from hlfast.venues.hyperliquid.recorder import Recorder

    recorder = Recorder(network_at(exchange_url) if exchange_url else network, coins, **given)
    hlfast.run(_record(recorder, seconds, not as_json))
    said = recorder.report()
    if as_json:
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo(_progress(said))
        for name in said["files"]:
            click.echo(name)
    if said["dropped"] or said["state"] != "stopped":
        raise click.ClickException(
            f"the recording is incomplete: {said['dropped']} frames dropped, {said['lost_at_end_bytes']} bytes not written ({said['state']})"
        )


async def _record(recorder: Any, seconds: float | None, shows: bool) -> None:
    await recorder.start()
    try:
        left = seconds
        rounds = 0
        while left is None or left > 0:
            pause = PROGRESS_SECONDS / TICKS if left is None else min(left, PROGRESS_SECONDS / TICKS)
            await asyncio.sleep(pause)
            recorder.tick()
            rounds += 1
            left = None if left is None else left - pause
            if shows and rounds % TICKS == 0 and sys.stderr.isatty():
                click.echo("\r\x1b[K" + _progress(recorder.report()), nl=False, err=True)
    except asyncio.CancelledError:
        pass  # Ctrl-C: what has come is finished in good order
    finally:
        if shows and sys.stderr.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)
        await recorder.stop()


def _progress(said: dict[str, Any]) -> str:
    text = f"{said['state']}: {said['frames']} frames, {said['written_bytes'] / 1e6:.2f} MB in {len(said['files'])} finished files"
    text += f", stream {said['stream']}, {said['connections']} connections"
    return text + (f", {said['dropped']} FRAMES DROPPED" if said["dropped"] else "")


class Speed(click.ParamType):  # type: ignore[type-arg]
    name = "speed"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if value == "max":
            return 0.0
        with contextlib.suppress(ValueError):
            if 0 < float(value) < 1e9:
                return float(value)
        self.fail(f"{value!r} is neither a number above 0 nor max", param, ctx)


SPEED = Speed()


@click.command(short_help="Play recorded market data through the handlers.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option(
    "--speed",
    type=SPEED,
    default="max",
    show_default=True,
    metavar="1|N|max",
    help="Recorded time, N times as fast, or no waiting.",
)
@click.option("--strategy", metavar="FILE.py:CLASS", help="Run this strategy, with paper orders.")
@click.option(
    "--latency-ms",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Until a paper order or cancel arrives.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else.")
def replay(files: tuple[str, ...], speed: float, strategy: str | None, latency_ms: float, as_json: bool) -> None:
    """Play recorded FILEs through the books and handlers of the live connector, in the recording's own time.

    The digest is over every callback: equal digests are equal runs, whatever the speed. Orders of a strategy are PAPER:
    they take what the book displays within their limit, and a resting one fills when the touch reaches it; nothing
    is sent anywhere. Damaged files are played as far as they go, and the damage is listed.

    \b
    Examples:
      hlfast replay data/*.gz
      hlfast replay data/*.gz --strategy examples/my_strategy.py:Bidder
      hlfast replay data/*.gz --speed 10
    """
    import orjson

    from hlfast.cli.strategy_files import load
    from hlfast.engine.callback_digest import CallbackDigest
    from hlfast.venues.hyperliquid.replay import ReplayConnector

    made = load(strategy).kind() if strategy is not None else None
    connector = ReplayConnector(list(files), latency_ms=latency_ms)
    digest = CallbackDigest()
    with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):  # what a strategy prints is no JSON
        connector.run(_replay(connector, made, digest), speed)
    said = {**connector.report(), "callbacks": digest.count, "digest": digest.hexdigest()}
    if as_json:
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
        return
    for file in said["files"]:
        click.echo(f"{file['file']}: {file['frames']} frames" + ("" if file["clean"] else "; " + _faults(file)))
    span = (said["last_ns"] - said["first_ns"]) / 1e9
    click.echo(
        f"{said['frames']} frames over {span:.3f} s; callbacks: "
        + ", ".join(f"{k} {n}" for k, n in digest.count.items())
    )
    click.echo(f"instruments: {said['instruments']}")
    for name in ("gaps", "unreadable_frames", "handler_errors", "dropped_by_recorder"):
        if said[name]:
            click.echo(f"{name.replace('_', ' ')}: {said[name]}")
    if made is not None:
        click.echo(
            f"PAPER: {said['paper_fills']} fills, cash {said['cash']}, positions {said['positions']}, fees {said['fees']}"
        )
    click.echo(f"digest {said['digest']}")


async def _replay(connector: Any, strategy: Any, digest: Any) -> None:
    from hlfast.engine import StrategyRunner

    async with connector:
        coins = connector.recorded_coins
        for coin in coins:
            connector.watch(coin, trades=True)
        digest.attach(connector, coins)
        if strategy is None:
            await connector.finished()
            return
        async with StrategyRunner(connector, strategy):
            await connector.finished()


def _faults(file: dict[str, Any]) -> str:
    said = [
        f"{file['empty_lines']} empty lines" if file["empty_lines"] else "",
        f"{file['bad_lines']} unreadable lines (first: {file['first_bad_line']})" if file["bad_lines"] else "",
        "the last line is cut" if file["cut_last_line"] else "",
        f"{file['out_of_order']} lines out of time order (first: {file['first_out_of_order_line']}, "
        f"by up to {file['largest_step_back_ns'] / 1e6:.3f} ms)" if file["out_of_order"] else "",
        file["damage"],
    ]  # fmt: skip
    return "; ".join(filter(None, said))
