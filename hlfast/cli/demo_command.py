"""`hlfast demo` in a terminal (layer 5): signals, the live view or lines, and the summary at the end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Literal

import click

from hlfast.cli.demo import DemoOptions, DemoResult, run_demo

Mode = Literal["screen", "lines", "json"]


async def demo_command(options: DemoOptions, mode: Mode) -> int:
    """Run, show, sum up; returns the exit code. The first signal ends the run in good order, the second at once."""
    stop = asyncio.Event()
    with _ended_by_signals(stop):
        if mode == "screen":
            from hlfast.cli.demo_view import Screen

            screen = await Screen.open()
            try:
                result = await run_demo(options, stop=stop, on_snapshot=screen.show)
            finally:
                await screen.close()
        elif mode == "lines":
            result = await run_demo(options, stop=stop, on_event=click.echo)
        else:
            result = await run_demo(options, stop=stop)
    _sum_up(result, mode)
    return result.exit_code


def _sum_up(result: DemoResult, mode: Mode) -> None:
    if mode == "json":
        import orjson

        click.echo(orjson.dumps(result.as_json(), option=orjson.OPT_INDENT_2).decode())
        return
    from rich.console import Console

    from hlfast.cli.demo_view import summary_view

    # Without a terminal lines must not be folded at 80 columns.
    Console(width=None if sys.stdout.isatty() else 120).print(summary_view(result, with_events=mode == "screen"))


@contextlib.contextmanager
def _ended_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
