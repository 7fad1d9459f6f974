"""Chaos: a connector trades while the local exchange breaks everything, and must still know the truth to the last decimal.

    python -m tests.chaos --seconds 120 --seed 7            from the project's root
    python -m tests.chaos --seconds 3600 --virtual          an hour of it in the minutes that its work takes

Rounds of a few seconds: random orders, batches, cancels and modifies, while faults of every kind are armed one after the
other. At the end of a round the faults stop, everything is cancelled, and what the connector believes (each order's end,
every fill, cash, fees, positions) is compared with the exchange's own record. Each order's events are checked against
the order in which they must come (G2-G5). Prints the faults by kind with their hits, and every difference; exit code 1
if there is one. The same seed gives the same faults and wishes; what meets what depends on time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if not any((ROOT / "hlfast" / f"_build{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
    # `python -m` puts this folder first on the path, where a tree that is not compiled would hide the installed package
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

import hlfast
from hlfast import clock
from hlfast.config import Settings
from hlfast.errors import HlfastError, NotReady
from hlfast.sim import SimExchange
from hlfast.types import OrderParams, TradeType
from hlfast.venues.hyperliquid.connector import HyperliquidConnector

from .judge import Judge
from .virtual_time import VirtualTime

COINS = ("BTC", "ETH")
SIZES = {"BTC": "0.0007", "ETH": "0.012", "demo:GOLD": "0.017"}
SETTLE_SECONDS = 75.0
"""The venue allows 30 new connections a minute: where faults have used them up, the next one waits for its place."""

# What is armed, with which options: a kind of `hlfast.sim.faults`, and a word that tells several of one kind apart.
FAULTS: dict[str, dict[str, Any]] = {
    "lost_answer": {"channel": "order"},
    "lost_request": {"channel": "order"},
    "lost_frame": {},
    "late": {"ms": 300},
    "late_request": {"ms": 200},
    "duplicate": {"times": 5},
    "reorder": {"times": 5, "ms": 200},
    "fill_before_ack": {"times": 3},
    "mute": {"ms": 1500},
    "black_hole": {"ms": 1500},
    "slow_reader": {"ms": 500},
    "rst": {},
    "fin": {},
    "half_close": {},
    "truncated": {},
    "torn": {},
    "torn rst": {"end": "rst"},
    "cut_short": {"channel": "order"},
    "cut_short fin": {"channel": "batchModify", "end": "fin"},
    "cut_short later": {"channel": "order", "end": "black_hole", "ms": 300},
    "garbage": {},
    "http_500": {"channel": "order"},
    "http_502": {"channel": "cancelByCloid"},
    "http_503": {"channel": "orderStatus"},
    "unknown_oid": {"times": 3},
    "lag": {"ms": 1000, "blocks": 3},
    "post_only": {"seconds": 0.5},
    "drill": {"down_seconds": 0.3, "post_only_seconds": 0.3},
}
QUICK = Settings(
    post_timeout_ms=400,
    hold_ms=1500,
    backoff_min=0.02,
    backoff_max=0.3,
    ping_interval=0.4,
    pong_timeout=0.6,
    audit_interval=2.0,
)


@dataclass
class Report:
    seed: int
    seconds: float = 0.0
    rounds: int = 0
    orders: int = 0
    fills: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    refused_locally: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    reconnects: int = 0
    recovered: int = 0
    pnl_off_a_fill: float = 0.0
    unresolved_ms: list[float] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        slow = sorted(self.unresolved_ms)
        return {
            **{k: v for k, v in vars(self).items() if k != "unresolved_ms"},
            "unresolved": len(slow),
            "settled_ms_p50": slow[len(slow) // 2] if slow else 0,
            "settled_ms_max": slow[-1] if slow else 0,
        }


class Chaos:
    """`pause`: seconds between two wishes, at least and at most."""

    def __init__(
        self,
        seed: int,
        *,
        round_seconds: float = 4.0,
        pause: tuple[float, float] = (0.002, 0.03),
        coins: tuple[str, ...] = COINS,
    ) -> None:
        self._coins = coins
        self.rng = random.Random(seed)
        self.report = Report(seed)
        self.round_seconds, self.pause = round_seconds, pause
        self.judge: Judge

    async def run(self, seconds: float, progress: Any = None) -> Report:
        async with (
            SimExchange(port=0, block_ms=20, seed=self.report.seed, book_interval_ms=100) as exchange,
            hlfast.connect(exchange.network, settings=QUICK) as hl,
        ):
            for name in {coin.partition(":")[0] for coin in self._coins if ":" in coin}:
                await hl.load_dex(name)
            for coin in self._coins:
                hl.watch(coin)
            await self.trade(hl, exchange, seconds, progress)
        return self.report

    async def trade(self, hl: HyperliquidConnector, exchange: Any, seconds: float, progress: Any = None) -> None:
        """Round after round, until `seconds` have passed."""
        began = clock.monotonic_ns()
        self.judge = Judge(hl, exchange, self.figures)
        await hl.wait_ready(10)
        while (elapsed := (clock.monotonic_ns() - began) / 1e9) < seconds:
            await self._round(hl, exchange)
            if progress is not None:
                progress(min(1.0, elapsed / seconds), self.report)
        self.report.reconnects = hl.counters["account_connections"] - 1
        self.report.recovered = self.judge.recovered
        self.report.pnl_off_a_fill = self.judge.pnl_off_a_fill
        self.report.seconds = round((clock.monotonic_ns() - began) / 1e9, 1)

    # -- one round --------------------------------------------------------------------------------------------------
    async def _round(self, hl: HyperliquidConnector, exchange: Any) -> None:
        ends_at = clock.monotonic_ns() + int(self.round_seconds * 1e9)
        armed = []
        fault_at = 0
        while clock.monotonic_ns() < ends_at:
            if clock.monotonic_ns() > fault_at:
                kind = self.rng.choice(list(FAULTS))
                options = {**FAULTS[kind], "after": self.rng.randint(0, 10)}
                armed.append((kind, exchange.faults.arm(kind.split()[0], user=None, **options)))
                self.report.faults[kind] += 1
                fault_at = clock.monotonic_ns() + self.rng.randint(150, 500) * 1_000_000
            with contextlib.suppress(NotReady):
                self._act(hl)
            await asyncio.sleep(self.rng.uniform(*self.pause))
        for kind, fault in armed:
            self.report.hits[kind] += fault.hits
            fault.disarm()
        await self._settle(hl)
        self.report.differences += self.judge.settled()
        self.report.rounds += 1
        self.report.orders += len(self.judge.orders)
        self.report.fills = self.figures(hl)["fills"]
        self.report.ends.update(order.state.name for order in self.judge.orders)
        self.judge.forget()

    def figures(self, hl: HyperliquidConnector) -> dict[str, Any]:
        """What the judge compares with the exchange's record."""
        return hl.ledger

    def _act(self, hl: HyperliquidConnector) -> None:
        rng = self.rng
        what = rng.choices(("order", "batch", "cancel", "modify", "cancel_all"), (10, 2, 6, 3, 0.2))[0]
        live = hl.orders
        try:
            if what == "order":
                params = self._wish(hl)
                self.judge.own(hl.buy(params) if params.side is TradeType.BUY else hl.sell(params))
            elif what == "batch":
                self.judge.own_all(hl.place([self._wish(hl) for _ in range(rng.randint(2, 5))]))
            elif what == "cancel" and live:
                hl.cancel(rng.choice(live))
            elif what == "modify" and live:
                order = rng.choice(live)
                hl.modify(order, price=order.price * Decimal(rng.choice(("0.999", "1.001"))), rounding="passive")
            elif what == "cancel_all":
                hl.cancel_all()
        except NotReady:
            raise
        except HlfastError:
            self.report.refused_locally += 1

    def _wish(self, hl: HyperliquidConnector) -> OrderParams:
        rng = self.rng
        coin = rng.choice(self._coins)
        side = rng.choice((TradeType.BUY, TradeType.SELL))
        bbo = hl.bbo(coin)
        near = bbo.bid_px if side is TradeType.BUY else bbo.ask_px
        if near is None:
            raise NotReady(f"{coin}: no price")
        away = Decimal(rng.choice(("0", "0.0005", "0.002", "-0.0005")))  # of the price; below 0 it takes
        price = near * (1 - away) if side is TradeType.BUY else near * (1 + away)
        tif = rng.choice(("Alo", "Gtc", "Gtc", "Ioc"))
        size = Decimal(SIZES[coin]) * rng.choice((1, 2, 7))
        return OrderParams(coin, size, price, side, tif=tif, rounding="passive")

    async def _settle(self, hl: HyperliquidConnector) -> None:
        """Faults are off: everything must come to an end by itself."""
        began = clock.monotonic_ns()
        deadline = began + int(SETTLE_SECONDS * 1e9)
        waiting = {o.client_order_id for o in self.judge.orders if o.unresolved}
        while clock.monotonic_ns() < deadline:
            with contextlib.suppress(NotReady):
                if hl.is_connected:
                    hl.entry.cancel_many([o for o in hl.orders if o.is_fillable])
            await asyncio.sleep(0.1)
            for order in self.judge.orders:
                if order.client_order_id in waiting and not order.unresolved:
                    waiting.discard(order.client_order_id)
                    self.report.unresolved_ms.append((clock.monotonic_ns() - began) / 1e6)
            if hl.is_connected and not hl.orders and not hl.tracker.orders_to_ask_about:
                break
        else:
            left = [repr(order) for order in hl.orders] + [repr(o) for o in hl.tracker.orders_to_ask_about]
            self.report.differences.append(f"not settled after {SETTLE_SECONDS} s: connected={hl.is_connected} {left}")
        with contextlib.suppress(HlfastError):
            await hl.recovery.audit()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of faults, orders and the exchange (default 1)")
    parser.add_argument("--virtual", action="store_true", help="in made time (tests/virtual_time.py)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)

    def progress(done: float, report: Report) -> None:
        print(
            f"\r{done:4.0%}  orders {report.orders}  fills {report.fills}  hits {sum(report.hits.values())}  "
            f"differences {len(report.differences)}",
            end="",
            file=sys.stderr,
            flush=True,
        )

    work = Chaos(options.seed).run(options.seconds, progress)
    if options.virtual:
        with VirtualTime(options.seed) as time:
            report = time.run(work)
    else:
        report = hlfast.run(work)
    print(file=sys.stderr)
    if options.json:
        print(json.dumps(report.as_json(), indent=1))
    else:
        figures = report.as_json()
        for kind in FAULTS:
            print(f"  {kind:16} armed {report.faults[kind]:4}  hit {report.hits[kind]:5}")
        for name in (
            "seconds",
            "rounds",
            "orders",
            "fills",
            "reconnects",
            "recovered",
            "pnl_off_a_fill",
            "unresolved",
            "settled_ms_p50",
            "settled_ms_max",
        ):
            print(f"{name:16} {figures[name]}")
        print(f"{'ends':16} {dict(report.ends)}")
        print(f"{'differences':16} {len(report.differences)}")
        for text in report.differences[:50]:
            print(f"  {text}")
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
