"""A run of strategies (layer 5): live on a network, or over a recording; then their figures beside the account's.

    result = await run_live(strategies, RunOptions(network="simulator", seconds=30))
    result = run_replay(strategies, ["data/x.gz"], RunOptions())

Live: connect, take up the journal, start all strategies in one group, wait for the time or a signal, stop them (cancel or
leave), compare their sum with the venue's account and, on a local exchange, the account with the exchange's own record.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import hlfast
from hlfast.cli.demo import audit
from hlfast.cli.demo_meter import Meter, Said
from hlfast.cli.local_exchange import ExchangeRecord, LocalExchange, network_at
from hlfast.config import Network
from hlfast.config import network as network_of
from hlfast.core import latency
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.engine.audit import Difference
from hlfast.engine.callback_digest import CallbackDigest
from hlfast.engine.health import LoopWatch, health
from hlfast.engine.journal import Journal, journal_path
from hlfast.engine.strategy import Strategy
from hlfast.engine.strategy_books import Holding
from hlfast.engine.strategy_group import StrategyGroup
from hlfast.errors import HlfastError, NotReady, OrdersLeft

SNAPSHOT_SECONDS = 0.2
STRATEGY_LOG = "hlfast.strategy"
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class RunOptions:
    """`seconds` None: until stopped (a recording's end). `journal`: a folder, "" for the account's own, None for none.
    `postgres`: what follows it, if anything does."""

    network: str | Network = "simulator"
    seconds: float | None = None
    on_stop: str = "cancel"
    stop_timeout: float = STOP_SECONDS
    key: str | None = None
    account: str | None = None
    journal: str | None = None
    postgres: str | None = None
    seed: int = 7
    block_ms: int = 70
    speed: float = 0.0
    latency_ms: float = 0.0


@dataclass
class RunResult:
    """What a run came to."""

    network: str
    account: str
    seconds: float
    ended_by: str
    strategies: dict[str, dict[str, Any]]
    holdings: list[Holding]
    totals: dict[str, Any]
    differences: list[Difference] = field(default_factory=list)
    orders_left: list[InFlightOrder] = field(default_factory=list)
    why_left: str = ""
    others_resting: list[str] = field(default_factory=list)
    """Client order ids of live orders that no strategy of the run placed: they are never touched."""
    interrupted: bool = False
    latency: dict[str, dict[str, int]] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    replay: dict[str, Any] | None = None
    events: list[Said] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The machine-readable summary; amounts are decimal text."""
        found = {
            "network": self.network,
            "account": self.account,
            "seconds": round(self.seconds, 3),
            "ended_by": self.ended_by,
            "strategies": plain(self.strategies),
            "holdings": [
                plain({
                    "coin": row.coin, "account": row.account, "strategies": row.strategies, "manual": row.manual,
                    "before": row.before, "unattributed": row.unattributed,
                })
                for row in self.holdings
            ],
            "differences": [
                {"kind": d.kind, "subject": d.subject, "ours": d.ours, "exchange": d.exchange} for d in self.differences
            ],
            "orders_left": [order.client_order_id for order in self.orders_left],
            "others_resting": self.others_resting,
            **self.totals,
        }  # fmt: skip
        if self.replay is not None:
            return found | {"replay": self.replay}
        return found | {"latency": self.latency, "health": self.health, "events": [str(said) for said in self.events]}


def plain(value: Any) -> Any:
    """Decimals as text, without trailing zeros."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, Decimal):
        text = f"{round(value, 12):f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
    return value


def coins_of(strategies: Sequence[Strategy]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(coin for strategy in strategies for coin in strategy.coins))


# -- live ---------------------------------------------------------------------------------------------------------------
async def run_live(
    strategies: Sequence[Strategy],
    options: RunOptions,
    *,
    on_event: Callable[[Said], object] | None = None,
    on_snapshot: Callable[[dict[str, Any]], object] | None = None,
) -> RunResult:
    """Until the time is up or this task is cancelled; a second cancel cuts the stop short. Then `interrupted` is set.

    Raises `ConfigError` or `NotReady` if the run cannot begin.
    """
    async with contextlib.AsyncExitStack() as stack:
        network, process = await _network(options, stack)
        connector = hlfast.connect(network, key=options.key, account=options.account)
        group = StrategyGroup(connector, strategies, on_stop=options.on_stop, stop_timeout=options.stop_timeout)
        if options.journal is not None:
            name, account = connector.network.name, connector.account
            path = Path(options.journal) if options.journal else journal_path(name, account)
            journal = Journal(
                path, network=name, account=account, signer=connector.signer.address, postgres=options.postgres
            )
            stack.callback(journal.stop)
            group.take_up(journal)
            connector.use_journal(journal)
        record, before = await _record(network, connector.account, stack)
        meter = Meter(connector, coins_of(strategies), on_event)
        stack.callback(meter.close)
        stack.enter_context(_heard(meter))
        watch = LoopWatch()
        stack.callback(watch.stop)
        if process is not None and options.network == "simulator":
            meter.say(f"no local exchange on port 8000: started one for this run at {network.http_url}")
        async with connector:
            meter.coins = tuple(connector.resolve(coin).coin for coin in meter.coins)
            await group.start()
            meter.say("running: " + ", ".join(f"{s.order_prefix} ({type(s).__name__})" for s in strategies))
            watch.start()
            background = _background(options, network, process, group, meter, watch, on_snapshot)
            ended_by, interrupted = await _until_ended(options.seconds, background.get("exchange"))
            meter.say(
                f"stopping ({ended_by}): "
                + ("orders are left" if options.on_stop == "leave" else "cancelling all orders")
            )
            left, why, again = await _stop(group, 0.0 if ended_by == "the exchange ended" else options.stop_timeout)
            for task in background.values():
                task.cancel()
            for failure in await asyncio.gather(*background.values(), return_exceptions=True):
                if isinstance(failure, Exception):
                    meter.say(f"{type(failure).__name__}: {failure}")
            interrupted = interrupted or again
            holdings, found = ([], []) if again else await _verify(group)
            if record is not None and not again and not found:
                found = await audit(connector, record, connector.account, before)
                if options.on_stop == "leave":
                    found = [difference for difference in found if difference.kind != "order"]
            positions = meter.positions()
            return RunResult(
                network=network.name,
                account=connector.account,
                seconds=meter.elapsed,
                ended_by=ended_by,
                strategies=_named(group),
                holdings=holdings,
                totals=meter.totals(positions),
                differences=found,
                orders_left=left,
                why_left=why,
                others_resting=_others(group),
                interrupted=interrupted,
                latency=latency.summary(),
                health=health(connector, watch),
                events=list(meter.events),
            )


class _ToMeter(logging.Handler):
    """What strategies log below a warning joins the events; warnings are there already."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(logging.INFO)
        self._meter = meter

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            self._meter.say(f"{record.name.rpartition('.')[2]}: {record.getMessage()}")


@contextlib.contextmanager
def _heard(meter: Meter) -> Iterator[None]:
    logger, handler = logging.getLogger(STRATEGY_LOG), _ToMeter(meter)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


async def _network(options: RunOptions, stack: contextlib.AsyncExitStack) -> tuple[Network, LocalExchange | None]:
    """Where to trade; with "simulator" and nobody there, an exchange of our own."""
    named = options.network
    network = (
        named if isinstance(named, Network) else network_at(named) if named.startswith("http") else network_of(named)
    )
    if network.name != "simulator" or not network.is_loopback or named != "simulator" or await _is_there(network):
        return network, None
    process = await stack.enter_async_context(LocalExchange(seed=options.seed, block_ms=options.block_ms))
    return network_at(process.http_url), process


async def _is_there(network: Network) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(network.http_url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except OSError:
        return False
    writer.close()
    return True


async def _record(
    network: Network, account: str, stack: contextlib.AsyncExitStack
) -> tuple[ExchangeRecord | None, dict[str, Any]]:
    """A local exchange's own record of the account, and what it was before; None where there is none to be had."""
    if not network.is_loopback:
        return None, {}
    record = await stack.enter_async_context(ExchangeRecord(network))
    try:
        return record, await record.truth(account)
    except NotReady:
        return None, {}


def _background(
    options: RunOptions,
    network: Network,
    process: LocalExchange | None,
    group: StrategyGroup,
    meter: Meter,
    watch: LoopWatch,
    on_snapshot: Callable[[dict[str, Any]], object] | None,
) -> dict[str, asyncio.Task[Any]]:
    tasks: dict[str, asyncio.Task[Any]] = {}
    if process is not None:
        tasks["exchange"] = asyncio.create_task(process.died())
    if on_snapshot is not None:
        title = "hlfast run  " + " ".join(s.order_prefix for s in group.strategies)
        head = {"title": title, "url": network.http_url, "seconds": options.seconds}

        async def show() -> None:
            while True:
                said = {"strategies": plain(group.figures()), "health": health(group.connector, watch)}
                on_snapshot(head | meter.snapshot() | said)
                await asyncio.sleep(SNAPSHOT_SECONDS)

        tasks["view"] = asyncio.create_task(show())
    return tasks


async def _until_ended(seconds: float | None, exchange: asyncio.Task[Any] | None) -> tuple[str, bool]:
    """What ended the run, and whether that was a signal."""
    waiting = [exchange] if exchange is not None else [asyncio.get_running_loop().create_future()]
    try:
        done, _ = await asyncio.wait(waiting, timeout=seconds)
    except asyncio.CancelledError:
        return "a signal", True
    return ("the exchange ended" if done else "the time is up"), False


async def _stop(group: StrategyGroup, timeout: float) -> tuple[list[InFlightOrder], str, bool]:
    """The orders that may still rest though they were to be cancelled, why, and whether a signal cut this short."""
    orders = [order for strategy in group.strategies for order in strategy.orders]
    is_left = group.runners[0].on_stop == "leave"
    try:
        return await group.stop(timeout), f"not ended {timeout:g} s after their cancel", False
    except asyncio.CancelledError:
        left = [] if is_left else [order for order in orders if not order.is_done]
        return left, "the wait for their ends was interrupted", True


async def _verify(group: StrategyGroup) -> tuple[list[Holding], list[Difference]]:
    """What each holds, and what of the account nobody's fills explain."""
    try:
        rows = await group.verify()
    except HlfastError as error:
        return [], [Difference("account", "of the venue", "not read", str(error))]
    return rows, [
        Difference("position", row.coin, f"{row.account - row.unattributed:f} by fills", f"{row.account:f}")
        for row in rows
        if row.unattributed
    ]


def _others(group: StrategyGroup) -> list[str]:
    books, connector = group.books, group.connector
    live = [*connector.orders, *connector.tracker.external_orders]
    return [o.client_order_id for o in live if books.owner(o.client_order_id, o.cloid) is books.manual]


def _named(group: StrategyGroup) -> dict[str, dict[str, Any]]:
    """Figures with the class of each strategy."""
    figures = group.figures()
    for strategy in group.strategies:
        figures[strategy.order_prefix] = {"class": type(strategy).__name__, **figures[strategy.order_prefix]}
    return figures


# -- over a recording ---------------------------------------------------------------------------------------------------
def run_replay(
    strategies: Sequence[Strategy],
    files: Sequence[str | Path],
    options: RunOptions,
    on_event: Callable[[Said], object] | None = None,
) -> RunResult:
    """The same over recorded frames, in their time, with paper orders; the same result each time."""
    from hlfast.venues.hyperliquid.replay import ReplayConnector

    connector = ReplayConnector(list(files), latency_ms=options.latency_ms)
    digest = CallbackDigest()

    async def work() -> RunResult:
        group = StrategyGroup(connector, strategies, on_stop=options.on_stop, stop_timeout=options.stop_timeout)
        meter = Meter(connector, (), on_event)
        try:
            async with connector:
                meter.coins = tuple(connector.resolve(coin).coin for coin in coins_of(strategies))
                for coin in connector.recorded_coins:
                    connector.watch(coin, trades=True)
                digest.attach(connector, connector.recorded_coins)
                await group.start()
                ended_by = "the recording ended"
                if options.seconds is None:
                    await connector.finished()
                else:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(connector.finished(), options.seconds)
                    ended_by = "the time is up"
                left = await group.stop()
                holdings, found = await _verify(group)
                positions = meter.positions()
                return RunResult(
                    network="replay",
                    account="paper",
                    seconds=meter.elapsed,
                    ended_by=ended_by,
                    strategies=_named(group),
                    holdings=holdings,
                    totals=meter.totals(positions),
                    differences=found,
                    orders_left=left,
                    why_left="of a paper account",
                    replay={**connector.report(), "callbacks": digest.count, "digest": digest.hexdigest()},
                )
        finally:
            meter.close()

    return connector.run(work(), options.speed)


def raise_end(result: RunResult) -> None:
    """As a run that was not asked for its result: `OrdersLeft`, or the cancellation that ended it."""
    if result.orders_left:
        raise OrdersLeft(result.orders_left, result.why_left)
    if result.interrupted:
        raise asyncio.CancelledError
