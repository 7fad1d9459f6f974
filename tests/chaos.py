"""Chaos: a connector trades while the local exchange breaks everything, and must still know the truth to the last decimal.

    python -m tests.chaos --seconds 120 --seed 7            from the project's root

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
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.engine.audit import differences
from hlfast.errors import HlfastError, NotReady
from hlfast.sim import SimExchange
from hlfast.types import OrderParams, OrderState, TradeType
from hlfast.venues.hyperliquid.connector import HyperliquidConnector

S = OrderState
COINS = ("BTC", "ETH")
SIZES = {"BTC": "0.0007", "ETH": "0.012"}
SETTLE_SECONDS = 20.0
PNL_OFF_A_FILL = Decimal("0.000001")

# What is armed, how often in a round, with which options.
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
    "garbage": {},
    "http_500": {"channel": "order"},
    "http_502": {"channel": "cancel"},
    "http_503": {"channel": "orderStatus"},
    "unknown_oid": {"times": 3},
    "lag": {"ms": 1000, "blocks": 3},
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

    def __init__(self, seed: int, *, round_seconds: float = 4.0, pause: tuple[float, float] = (0.002, 0.03)) -> None:
        self.rng = random.Random(seed)
        self.report = Report(seed)
        self.round_seconds, self.pause = round_seconds, pause
        self.orders: list[InFlightOrder] = []
        self.history: dict[str, list[str]] = {}
        self._known_fills: set[tuple[Any, ...]] = set()
        self._closed_pnl = Decimal(0)

    async def run(self, seconds: float, progress: Any = None) -> Report:
        async with (
            SimExchange(port=0, block_ms=20, seed=self.report.seed, book_interval_ms=100) as exchange,
            hlfast.connect(exchange.network, settings=QUICK) as hl,
        ):
            for coin in COINS:
                hl.watch(coin)
            await self.trade(hl, exchange, seconds, progress)
        return self.report

    async def trade(self, hl: HyperliquidConnector, exchange: Any, seconds: float, progress: Any = None) -> None:
        """Round after round, until `seconds` have passed."""
        began = clock.monotonic_ns()
        hl.on(ev.OrderEvent, self._on_event)
        await hl.wait_ready(10)
        while (elapsed := (clock.monotonic_ns() - began) / 1e9) < seconds:
            await self._round(hl, exchange)
            if progress is not None:
                progress(min(1.0, elapsed / seconds), self.report)
        self.report.reconnects = hl.counters["account_connections"] - 1
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
                armed.append(exchange.faults.arm(kind, user=None, **options))
                self.report.faults[kind] += 1
                fault_at = clock.monotonic_ns() + self.rng.randint(150, 500) * 1_000_000
            with contextlib.suppress(NotReady):
                self._act(hl)
            await asyncio.sleep(self.rng.uniform(*self.pause))
        for fault in armed:
            self.report.hits[fault.kind] += fault.hits
            fault.disarm()
        await self._settle(hl)
        self._compare(hl, exchange)
        self.report.rounds += 1

    def _act(self, hl: HyperliquidConnector) -> None:
        rng = self.rng
        what = rng.choices(("order", "batch", "cancel", "modify", "cancel_all"), (10, 2, 6, 3, 0.2))[0]
        live = hl.orders
        try:
            if what == "order":
                params = self._wish(hl)
                self.orders.append(hl.buy(params) if params.side is TradeType.BUY else hl.sell(params))
            elif what == "batch":
                self.orders.extend(hl.place([self._wish(hl) for _ in range(rng.randint(2, 5))]))
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
        coin = rng.choice(COINS)
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
        waiting = {o.client_order_id for o in self.orders if o.unresolved}
        while clock.monotonic_ns() < deadline:
            with contextlib.suppress(NotReady):
                if hl.is_connected:
                    hl.entry.cancel_many([o for o in hl.orders if o.is_fillable])
            await asyncio.sleep(0.1)
            for order in self.orders:
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

    # -- the truth --------------------------------------------------------------------------------------------------
    def _compare(self, hl: HyperliquidConnector, exchange: Any) -> None:
        found = self.report.differences
        record, figures = exchange.truth(hl.account), self._figures(hl)
        found.extend(map(str, differences(figures, record)))
        funding = sum((Decimal(row["delta"]["usdc"]) for row in record["fundings"]), Decimal(0))
        if figures["funding"] != funding:
            found.append(f"funding: ours {figures['funding']}, the exchange's {funding}")
        theirs = {coin: Decimal(p["szi"]) for coin, p in record["positions"].items()}
        ours = {coin: p.signed_size for coin, p in hl.positions.items() if not p.is_flat}
        if ours != theirs:
            found.append(f"positions: ours {ours}, the exchange's {theirs}")
        self._compare_pnl(figures, record)
        legs: dict[str, list[dict[str, Any]]] = {}
        for row in record["orders"]:
            legs.setdefault(row["cloid"], []).append(row)
        for order in self.orders:
            text = self._judge(order, legs.get(order.cloid or "", []))
            if text:
                found.append(f"{order!r}: {text}")
            self.report.ends[order.state.name] += 1
        self.report.orders += len(self.orders)
        self.report.fills = figures["fills"]
        self.orders.clear()
        self.history.clear()

    def _figures(self, hl: HyperliquidConnector) -> dict[str, Any]:
        return hl.ledger

    def _compare_pnl(self, figures: dict[str, Any], record: dict[str, Any]) -> None:
        """Of a fill the venue tells its closed PnL; the sums may differ by its rounding of the average entry."""
        for row in record["fills"]:
            key = row["coin"], row["tid"], row["oid"], row["time"]
            if key not in self._known_fills:
                self._closed_pnl += Decimal(row["closedPnl"])
        self._known_fills = {(row["coin"], row["tid"], row["oid"], row["time"]) for row in record["fills"]}
        off = abs(figures["realized_pnl"] - self._closed_pnl)
        self.report.pnl_off_a_fill = float(off / max(1, figures["fills"]))
        if off > figures["fills"] * PNL_OFF_A_FILL:
            self.report.differences.append(
                f"realised PnL: ours {figures['realized_pnl']}, the exchange's {self._closed_pnl}"
            )

    def _judge(self, order: InFlightOrder, legs: list[dict[str, Any]]) -> str:
        """What is wrong with the connector's idea of an order, "" if nothing."""
        filled = sum((Decimal(leg["filled"]) for leg in legs), Decimal(0))
        lived = [leg for leg in legs if not leg["status"].endswith("Rejected")]
        if not order.is_done:
            return f"not ended; the exchange has {[leg['status'] for leg in legs]}"
        if order.filled_amount != filled:
            return f"filled {order.filled_amount}, the exchange's {filled}"
        if order.state is S.FAILED and lived:
            return f"called failed, but the exchange had it: {[leg['status'] for leg in lived]}"
        if order.state is not S.FAILED and not lived and order.state is not S.EXPIRED:
            return f"called {order.state.name}, but the exchange never had it"
        if any(leg["status"] == "open" for leg in legs):
            return "ended, but it rests at the exchange"
        if order.state is S.FILLED and filled != order.amount:
            return f"called filled at {filled} of {order.amount}"
        told = self.history.get(order.client_order_id, [])
        ends = [name for name in told if name in ("OrderCompleted", "OrderCancelled", "OrderFailed", "OrderExpired")]
        if len(ends) != 1:
            return f"ends told: {ends}"
        if "OrderFilled" in told and told.index("OrderCreated") > told.index("OrderFilled"):
            return f"filled before created: {told}"
        if told and told[-1] != ends[0] and not any(name == "late" for name in told):
            after = told[told.index(ends[0]) + 1 :]
            if any(name in ("OrderCreated", "OrderModified") for name in after):
                return f"told after its end: {told}"
        return ""

    def _on_event(self, event: Any) -> None:
        if isinstance(event, ev.OrderStateChanged) or event.order.is_external:
            return
        told = self.history.setdefault(event.client_order_id, [])
        told.append(type(event).__name__)
        if isinstance(event, ev.OrderFilled) and event.is_late:
            told.append("late")
        self.report.recovered += event.recovered


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="of faults, orders and the exchange (default 1)")
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

    report = hlfast.run(Chaos(options.seed).run(options.seconds, progress))
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
