"""Soak: thousands of frames and twenty orders a second, with faults, for as long as wanted; memory must not grow.

    python -m tests.soak --minutes 30 --seed 7            from the project's root

The exchange runs in a process of its own and sends some 5,000 frames a second; this process trades as `tests/chaos.py`
does, with its faults and its judge: after each round every order, fill, cash, fees, funding and positions are the
exchange's to the last decimal, realised PnL within 1e-6 a fill. Funding is paid once a round. Before the start the
connector is as after weeks: the windows that it keeps (ended orders, identities of fills) are full, or they would grow
for an hour and hide a leak. Resident memory is read every ten seconds; its slope is that of the least-squares line after the
first fifth of the time. Exit code 1 for a difference or an unhandled error. Linux: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import subprocess
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .chaos import COINS, QUICK, ROOT, Chaos, Report  # isort: skip  (first: it finds the package)

import orjson

import hlfast
from hlfast import clock
from hlfast.config import Network, simulator
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.journal_ring import restore_into
from hlfast.core.ledger import FILL_KEYS_KEPT
from hlfast.core.updates import TradeUpdate
from hlfast.net.session import ConnectionBudget
from hlfast.sim import SimExchange
from hlfast.sim.universe import BUILT_IN
from hlfast.types import TradeType
from hlfast.venues.hyperliquid.connector import HyperliquidConnector
from hlfast.venues.hyperliquid.reject_texts import venue_reject

from .memory import resident_mb, slope

QUIET_COINS = [f"Q{n}" for n in range(75)]
"""Markets without traders, whose books are sent on each block."""
ENDED_ORDERS = 10_000
KEPT = 500
"""Orders and fills that the exchange keeps; a round has fewer."""
WARM_UP = 0.2


# -- the exchange, in a process of its own --------------------------------------------------------------------------------
async def serve(seed: int) -> None:
    """Answers one line of JSON by one: ["arm", kind, options], ["hits", n], ["disarm", n], ["truth", user], ["fund"]."""
    quiet = [{"name": coin, "szDecimals": 2, "maxLeverage": 20, "marginTableId": 20} for coin in QUIET_COINS]
    universe = {**BUILT_IN.meta, "universe": [*BUILT_IN.meta["universe"], *quiet]}
    options = {"universe": universe, "history": KEPT}
    async with SimExchange(port=0, block_ms=10, seed=seed, book_interval_ms=0, engine=options) as exchange:
        for coin in QUIET_COINS:
            levels = [[str(100 - n), "1"] for n in range(1, 11)], [[str(100 + n), "1"] for n in range(1, 11)]
            exchange.change("set_book", coin, *levels)
        reader = asyncio.StreamReader(limit=2**26)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        answer: Any = exchange.port
        while True:
            sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
            sys.stdout.buffer.flush()
            line = await reader.readline()
            if not line:
                return
            what, *rest = orjson.loads(line)
            if what == "arm":
                answer = exchange.faults.arm(rest[0], **rest[1]).number
            elif what == "hits":
                answer = exchange.faults.get(rest[0]).hits  # type: ignore[union-attr]
            elif what == "disarm":
                answer = exchange.faults.get(rest[0]).disarm()  # type: ignore[union-attr]
            elif what == "fund":
                answer = exchange.engine.funding._next_hour_ms = exchange.engine.time_ms
            else:
                exchange.faults.clear()
                answer = {**exchange.truth(rest[0]), "faults": None}


class FarExchange:
    """What `Chaos` needs of an exchange, of one in another process."""

    def __init__(self, seed: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak", "--exchange", "--seed", str(seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.network: Network = simulator(int(self._answer()))
        self.faults = self

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answer(self) -> Any:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise RuntimeError(f"the exchange's process ended with {self._process.wait()}")
        return orjson.loads(line)

    def ask(self, *what: Any) -> Any:
        self._process.stdin.write(orjson.dumps(what) + b"\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return self._answer()

    def arm(self, kind: str, **options: Any) -> FarFault:
        return FarFault(self, kind, self.ask("arm", kind, options))

    def truth(self, user: str) -> Any:
        return self.ask("truth", user)


@dataclass
class FarFault:
    exchange: FarExchange
    kind: str
    number: int

    @property
    def hits(self) -> int:
        return int(self.exchange.ask("hits", self.number))

    def disarm(self) -> None:
        self.exchange.ask("disarm", self.number)


# -- what is measured -------------------------------------------------------------------------------------------------------
@dataclass
class SoakReport(Report):
    frames_a_second: float = 0.0
    orders_a_second: float = 0.0
    fundings: int = 0
    funding: str = "0"
    fees: str = "0"
    rss_mb: float = 0.0
    rss_grown_mb: float = 0.0
    """Since the end of the warm-up."""
    rss_mb_an_hour: float = 0.0
    unhandled: list[str] = field(default_factory=list)


class Unhandled(logging.Handler):
    """Errors that only the log saw: asyncio's own, and whatever was logged as an error."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(
            f"{record.name}: {record.getMessage()} {record.exc_info[1]!r}" if record.exc_info else record.getMessage()
        )


class Soak(Chaos):
    report: SoakReport

    def __init__(self, seed: int, *, round_seconds: float = 8.0) -> None:
        super().__init__(seed, round_seconds=round_seconds, pause=(0.01, 0.06))
        self.report = SoakReport(seed)
        self._samples: list[tuple[float, float]] = []

    async def run(self, seconds: float, progress: Any = None) -> SoakReport:
        report, unhandled = self.report, Unhandled(self.report.unhandled)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: report.unhandled.append(str(context)))
        logging.getLogger().addHandler(unhandled)
        exchange = FarExchange(report.seed)
        try:
            hl = hlfast.connect(exchange.network, settings=QUICK)
            # The venue's 30 connections a minute are ten times as many here, as the faults are.
            hl._budget = hl._market_session._budget = hl._account_session._budget = ConnectionBudget(300)
            fill_windows(hl)
            async with hl:
                for coin in (*COINS, *QUIET_COINS):
                    hl.watch(coin)
                sampling = asyncio.create_task(self._sample(seconds))
                await self.trade(hl, exchange, seconds, progress)
                sampling.cancel()
                frames = hl.counters["market_frames"] + hl.counters["account_frames"]
                figures = hl.ledger
                report.unhandled += [f"{hl.bus.handler_errors} handlers raised"] if hl.bus.handler_errors else []
            report.frames_a_second = round(frames / report.seconds, 1)
            report.orders_a_second = round(report.orders / report.seconds, 1)
            report.funding, report.fees = str(figures["funding"]), str(figures["fees"].get("USDC", 0))
            report.rss_mb = round(resident_mb(), 1)
            report.rss_grown_mb = round(report.rss_mb - self._samples[0][1], 1) if self._samples else 0.0
            report.rss_mb_an_hour = round(slope(self._samples) * 3600, 2)
        finally:
            logging.getLogger().removeHandler(unhandled)
            exchange.close()
        return report

    async def _sample(self, seconds: float) -> None:
        began = clock.monotonic_ns()
        while True:
            await asyncio.sleep(min(10.0, seconds / 60))
            at = (clock.monotonic_ns() - began) / 1e9
            if at > WARM_UP * seconds:
                self._samples.append((at, resident_mb()))

    async def _settle(self, hl: HyperliquidConnector) -> None:
        await super()._settle(hl)
        await hl.recovery.audit()

    async def _round(self, hl: HyperliquidConnector, exchange: Any) -> None:
        exchange.ask("fund")
        self.report.fundings += 1
        await super()._round(hl, exchange)

    def figures(self, hl: HyperliquidConnector) -> dict[str, Any]:
        figures = super().figures(hl)
        return {**figures, "fill_keys": [key for key in figures["fill_keys"] if key[0] != OLD]}


OLD = "OLD"


def fill_windows(hl: HyperliquidConnector) -> None:
    """Ended orders, filled and refused ones, and identities of fills: as many as are ever kept, and none of them in the sums."""
    tracker, book = hl.tracker, hl.tracker.book
    tracker.book = None
    for n in range(1, ENDED_ORDERS + 1):
        order = InFlightOrder(
            client_order_id=f"old-{n}",
            cloid=f"0x{n:032x}",
            coin=OLD,
            trade_type=TradeType.BUY,
            amount=1,
            price=100,
            sz_decimals=2,
        )
        tracker.start_tracking(order)
        tracker.mark_submitted(order, n)
        if n % 3 == 0:
            text = f"Post only order would have immediately matched, bbo was {n}@{n + 1}. asset=0"
            tracker.reject(order, text, venue_reject(text), n)
            continue
        tracker.acknowledge(order, n)
        tracker.process_trade_update(
            TradeUpdate(
                coin=OLD,
                exchange_order_id=n,
                cloid=order.cloid,
                sz_decimals=2,
                price=Decimal("100.5"),
                amount=1,
                is_buy=True,
                tid=n,
                time_ms=n,
                fee=Decimal("0.1"),
                direction="Open Long",
            )
        )
    tracker.book = book
    keys = [(OLD, 10**14 + n, 10**11 + n, 1_700_000_000_000 + n) for n in range(FILL_KEYS_KEPT)]
    restore_into(tracker, [], keys)
    hl.own_ledger.fill_keys.extend((coin, tid + 0, oid + 0, ms + 0) for coin, tid, oid, ms in keys)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="of faults, orders and the exchange (default 1)")
    parser.add_argument("--exchange", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.exchange:
        hlfast.run(serve(options.seed))
        return 0
    logging.getLogger("hlfast").addHandler(logging.NullHandler())

    def progress(done: float, report: Report) -> None:
        print(
            f"{done:4.0%}  {resident_mb():6.1f} MB  orders {report.orders}  fills {report.fills}  "
            f"hits {sum(report.hits.values())}  differences {len(report.differences)}",
            file=sys.stderr,
            flush=True,
        )
        for text in report.differences[said[0] :]:
            print(f"      {text}", file=sys.stderr, flush=True)
        said[0] = len(report.differences)

    said = [0]
    report = hlfast.run(Soak(options.seed).run(options.minutes * 60, progress))
    print(json.dumps({k: v for k, v in report.as_json().items() if k not in ("faults", "hits")}, indent=1))
    print("never hit:", [kind for kind in report.faults if not report.hits[kind]])
    return 1 if report.differences or report.unhandled else 0


if __name__ == "__main__":
    sys.exit(main())
