"""The demo (layer 5): a market maker on a local exchange over real sockets, and an audit of what it holds.

    result = await run_demo(DemoOptions(seconds=30))
    print(result.as_json(), result.exit_code)

It starts the exchange in a process of its own (or uses one that is given), connects, quotes until the time is up or
`stop` is set, cancels everything, and compares the connector's figures (own fills alone) with the exchange's record,
read over HTTP. Any difference in cash, position, fees, fills or resting orders makes the exit code 1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import hlfast
from hlfast import clock
from hlfast.cli.demo_meter import Meter, Said
from hlfast.cli.local_exchange import ExchangeRecord, LocalExchange, network_at
from hlfast.core import latency
from hlfast.core.connector_base import ConnectorBase
from hlfast.engine.audit import Difference, differences
from hlfast.engine.runtime import StrategyRunner
from hlfast.engine.strategies.market_maker import MarketMaker
from hlfast.errors import NotReady

if TYPE_CHECKING:
    from hlfast.sim import SimExchange

AUDIT_SECONDS = 3.0
"""How long the two sides may take to agree: news may be on their way."""
STOP_SECONDS = 10.0
SNAPSHOT_SECONDS = 0.2
FIRST_SECONDS = 3.0
"""An outage begins no earlier than this, and leaves as much time after it."""


@dataclass(frozen=True)
class DemoOptions:
    """`seconds` None: until stopped. `outage` seconds without any connection in mid-run; 0 for none."""

    seconds: float | None = 30.0
    seed: int = 7
    block_ms: int = 70
    exchange_url: str | None = None
    outage: float = 0.0
    coins: tuple[str, ...] = ("BTC", "ETH")


@dataclass(frozen=True)
class DemoResult:
    """What a run came to. Money and sizes are decimal text, latencies nanoseconds."""

    seconds: float
    stopped_at: float
    seed: int | None
    account: str
    totals: dict[str, Any]
    positions: list[dict[str, Any]]
    latency: dict[str, dict[str, int]]
    differences: list[Difference]
    events: list[Said] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return 1 if self.differences else 0

    def as_json(self) -> dict[str, Any]:
        """The machine-readable summary."""
        return {
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "account": self.account,
            **self.totals,
            "positions": self.positions,
            "differences": [
                {"kind": d.kind, "subject": d.subject, "ours": d.ours, "exchange": d.exchange} for d in self.differences
            ],
            "latency": self.latency,
            "events": [str(said) for said in self.events],
        }


async def run_demo(
    options: DemoOptions,
    exchange: SimExchange | None = None,
    *,
    stop: asyncio.Event | None = None,
    on_event: Callable[[Said], object] | None = None,
    on_snapshot: Callable[[dict[str, Any]], object] | None = None,
) -> DemoResult:
    """One run. `exchange`: a running one in this process, for tests. `on_snapshot` gets the live view's figures.

    Raises `NotReady` or `ConfigError` if the exchange cannot be started or reached.
    """
    stop = stop or asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        process: LocalExchange | None = None
        if exchange is not None:
            network = exchange.network
        elif options.exchange_url is not None:
            network = network_at(options.exchange_url)
        else:
            process = await stack.enter_async_context(LocalExchange(seed=options.seed, block_ms=options.block_ms))
            network = network_at(process.http_url)
        record = await stack.enter_async_context(ExchangeRecord(network))
        connector = hlfast.connect(network)
        before = await record.truth(connector.account)
        meter = Meter(connector, options.coins, on_event)
        stack.callback(meter.close)
        await stack.enter_async_context(connector)
        runner = StrategyRunner(connector, MarketMaker(coins=options.coins))
        background: list[asyncio.Task[None]] = []
        try:
            if process is not None:
                background.append(asyncio.create_task(_watch_process(process, meter, stop)))
            await runner.start()
            if options.outage:
                background.append(asyncio.create_task(_outage(options, record, meter)))
            if on_snapshot is not None:
                background.append(asyncio.create_task(_show(options, network.http_url, meter, on_snapshot)))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), options.seconds)
        finally:
            stopped_at = meter.elapsed
            meter.say("stopping: cancelling all quotes")
            exchange_gone = process is not None and background[0].done()
            unended = await runner.stop(0.0 if exchange_gone else STOP_SECONDS)
            for task in background:
                task.cancel()
            for failure in await asyncio.gather(*background, return_exceptions=True):
                if isinstance(failure, Exception):
                    meter.say(f"{type(failure).__name__}: {failure}")
        found = [Difference("order", o.client_order_id, f"{o.state.name} when the time was up", "?") for o in unended]
        found += await audit(connector, record, connector.account, before)
        positions = meter.positions()
        return DemoResult(
            seconds=meter.elapsed,
            stopped_at=stopped_at,
            seed=options.seed if process is not None else None,
            account=connector.account,
            totals=meter.totals(positions),
            positions=positions,
            latency=latency.summary(),
            differences=found,
            events=list(meter.events),
        )


async def audit(
    connector: ConnectorBase, record: ExchangeRecord, account: str, before: dict[str, Any]
) -> list[Difference]:
    """What differs once the two sides had `AUDIT_SECONDS` to agree."""
    deadline_ns = clock.monotonic_ns() + int(AUDIT_SECONDS * 1e9)
    while True:
        try:
            found = differences(connector.ledger, await record.truth(account), before)
        except NotReady as error:
            found = [Difference("record", "of the exchange", "not read", str(error))]
        if not found or clock.monotonic_ns() > deadline_ns:
            return found
        await asyncio.sleep(0.1)


def outage_start(options: DemoOptions) -> float:
    """Seconds into the run at which the outage begins: in the middle, or after 10 s of a run without an end."""
    return 10.0 if options.seconds is None else (options.seconds - options.outage) / 2


async def _outage(options: DemoOptions, record: ExchangeRecord, meter: Meter) -> None:
    await asyncio.sleep(outage_start(options))
    meter.say(f"OUTAGE: all sockets are cut, connections refused for {options.outage:g} s")
    try:
        await record.cut(options.outage)
    except NotReady as error:
        meter.say(f"the outage could not be made: {error}")


async def _watch_process(process: LocalExchange, meter: Meter, stop: asyncio.Event) -> None:
    meter.say(await process.died())
    stop.set()


async def _show(options: DemoOptions, url: str, meter: Meter, on_snapshot: Callable[[dict[str, Any]], object]) -> None:
    head = {"url": url, "seed": options.seed, "seconds": options.seconds}
    while True:
        on_snapshot(head | meter.snapshot())
        await asyncio.sleep(SNAPSHOT_SECONDS)
