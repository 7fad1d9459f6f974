"""Fills as frames, beside a sum of integers: 5 % come twice, 5 % in another order, 1 % half a minute late, snapshots again.

The connector is whole but for its sockets: frames go into the account's router as they come off the wire, and from there
through the dedupe to orders, position, ledger and events. Time is virtual: 100 fills a second.
"""

from __future__ import annotations

import heapq
import logging
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

import hlfast
from hlfast.core import events as ev
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.core.ledger import FILL_KEYS_KEPT
from hlfast.types import TradeType
from hlfast.venues.hyperliquid.connector import HyperliquidConnector
from hlfast.venues.hyperliquid.metadata import Metadata

from ..memory import resident_mb

COINS = {"BTC": 5, "ETH": 4, "kPEPE": 0}
SPOT_META = {
    "tokens": [{"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "isCanonical": True}],
    "universe": [],
}
FILLS_OF_AN_ORDER = 20
MS_BETWEEN_FILLS = 10
LATE_MS = 30_000
SNAPSHOT_EVERY = 5_000
SNAPSHOT_ROWS = 2_000
START_MS = 1_790_000_000_000


@dataclass
class Sum:
    """The same figures by integers: sizes and prices by 1e8, so cash by 1e16."""

    fills: int = 0
    lots: Counter[str] = field(default_factory=Counter)
    cash_e16: int = 0
    fees_e10: int = 0

    def add(self, coin: str, is_buy: bool, lots: int, px_e8: int, fee_e10: int) -> None:
        signed = lots if is_buy else -lots
        self.fills += 1
        self.lots[coin] += signed
        self.cash_e16 -= signed * 10 ** (8 - COINS[coin]) * px_e8
        self.cash_e16 -= fee_e10 * 10**6
        self.fees_e10 += fee_e10


def text(value: int, decimals: int) -> str:
    return f"{Decimal(value).scaleb(-decimals):f}"


def connector() -> HyperliquidConnector:
    """As after a start, with nothing at the other end."""
    hl = hlfast.connect("simulator")
    universe = [{"name": coin, "szDecimals": decimals, "maxLeverage": 40} for coin, decimals in COINS.items()]
    hl.metadata = Metadata.from_json({"universe": universe, "marginTables": []}, SPOT_META)
    hl.own_ledger.start(Decimal(0), {}, {})
    hl.stream.release()
    return hl


def orders_and_fills(hl: HyperliquidConnector, rng: random.Random, count: int, total: Sum) -> Iterator[str]:
    """Rows of userFills. Each order is tracked before its first fill and is for exactly the sum of its fills."""
    for n in range(count // FILLS_OF_AN_ORDER):
        coin, is_buy = rng.choice(list(COINS)), rng.random() < 0.5
        sizes = [rng.randint(1, 10**6) for _ in range(FILLS_OF_AN_ORDER)]
        oid, decimals = 10**11 + n, COINS[coin]
        order = InFlightOrder(
            client_order_id=f"o-{n}",
            cloid=f"0x{n + 1:032x}",
            coin=coin,
            trade_type=TradeType.BUY if is_buy else TradeType.SELL,
            amount=Decimal(sum(sizes)).scaleb(-decimals),
            price=100_000,
            sz_decimals=decimals,
        )
        hl.tracker.start_tracking(order)
        hl.tracker.mark_submitted(order, n + 1)
        hl.tracker.acknowledge(order, oid)
        for i, lots in enumerate(sizes):
            px_e8 = rng.randint(1, 10**5) * 10 ** rng.choice((0, 4, 8))
            fee_e10 = rng.choice((rng.randint(-(10**9), 10**12), rng.randint(-(10**7), 10**10) * 100))
            total.add(coin, is_buy, lots, px_e8, fee_e10)
            tid = n * FILLS_OF_AN_ORDER + i
            ms = START_MS + tid * MS_BETWEEN_FILLS
            yield (
                f'{{"coin":"{coin}","px":"{text(px_e8, 8)}","sz":"{text(lots, decimals)}","side":"{"B" if is_buy else "A"}",'
                f'"time":{ms},"startPosition":"0.0","dir":"Open Long","closedPnl":"0.0","hash":"0x00","oid":{oid},'
                f'"crossed":true,"fee":"{text(fee_e10, 10)}","tid":{tid},"cloid":"{order.cloid}","feeToken":"USDC","twapId":null}}'
            )


def disturbed(rows: Iterator[str], rng: random.Random, seen: Counter[str]) -> Iterator[tuple[int, str]]:
    """(virtual time, row): doubled, moved by up to 50 places, or LATE_MS late."""
    waiting: list[tuple[int, int, str]] = []
    now = n = 0
    for row in rows:
        now += MS_BETWEEN_FILLS
        draw, at = rng.random(), now
        if draw < 0.01:
            seen["late"] += 1
            at += LATE_MS
        elif draw < 0.06:
            seen["reordered"] += 1
            at += rng.randint(1, 50) * MS_BETWEEN_FILLS
        heapq.heappush(waiting, (at, n := n + 1, row))
        if rng.random() < 0.05:
            seen["doubled"] += 1
            heapq.heappush(waiting, (at + rng.choice((0, 10, 700, 20_000)), n := n + 1, row))
        while waiting and waiting[0][0] <= now:
            yield now, heapq.heappop(waiting)[2]
    while waiting:
        at, _, row = heapq.heappop(waiting)
        yield at, row


def frames(rows: Iterator[tuple[int, str]], rng: random.Random, seen: Counter[str]) -> Iterator[tuple[int, bytes]]:
    """One to ten rows a frame; now and then the newest SNAPSHOT_ROWS once more, as after a reconnect."""
    newest: deque[str] = deque(maxlen=SNAPSHOT_ROWS)
    held: list[str] = []
    size, due, ms = 1, SNAPSHOT_EVERY, 0

    def frame(some: list[str], snapshot: str = "") -> bytes:
        return f'{{"channel":"userFills","data":{{{snapshot}"user":"0x00","fills":[{",".join(some)}]}}}}'.encode()

    for ms, row in rows:
        held.append(row)
        newest.append(row)
        if len(held) >= size:
            yield ms, frame(held)
            due -= len(held)
            held, size = [], rng.randint(1, 10)
        if due <= 0:
            due = SNAPSHOT_EVERY
            seen["snapshots"] += 1
            seen["rows of snapshots"] += len(newest)
            yield ms, frame(list(newest), '"isSnapshot":true,')
    if held:
        yield ms, frame(held)


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_fills_in_any_order_and_number_sum_exactly(count: int) -> None:
    """G3, G5, G7, L51, the row of fills: 0 lost, 0 doubled; position, cash and fees to the last decimal; memory bounded."""
    rng, seen, total, hl = random.Random(count), Counter(), Sum(), connector()
    told: Counter[str] = Counter()
    ends: Counter[bool] = Counter()

    def on_filled(event: ev.OrderFilled) -> None:
        told["filled"] += 1

    def on_completed(event: ev.OrderCompleted) -> None:
        order = event.order
        ends[
            len(order.fills) == FILLS_OF_AN_ORDER and order.filled_amount == order.amount and not event.incomplete
        ] += 1

    hl.on(ev.OrderFilled, on_filled)
    hl.on(ev.OrderCompleted, on_completed)
    logging.disable(logging.CRITICAL)
    steady_mb = 0.0
    for n, (ms, frame) in enumerate(frames(disturbed(orders_and_fills(hl, rng, count, total), rng, seen), rng, seen)):
        now_ns = (START_MS + ms) * 1_000_000
        hl._account_router.feed(frame, now_ns)
        if n % 100 == 0:
            hl.tracker.tick(now_ns)
        if not steady_mb and told["filled"] > 3 * FILL_KEYS_KEPT:  # every window is full
            steady_mb = resident_mb()
    logging.disable(logging.NOTSET)
    counters, figures = hl.counters, hl.ledger
    grown = f", {resident_mb() - steady_mb:.1f} MB more than after {3 * FILL_KEYS_KEPT} fills" if steady_mb else ""
    print(f"{total.fills} fills, {dict(seen)}, repeated {counters['tracker_fills_repeated']}{grown}")

    assert total.fills == count == counters["tracker_fills"] == told["filled"] == figures["fills"]
    assert counters["tracker_fills_repeated"] == seen["doubled"] + seen["rows of snapshots"]
    assert ends == {True: count // FILLS_OF_AN_ORDER} and hl.tracker.active_order_count == 0
    assert {c: p.signed_size for c, p in hl.positions.items()} == {
        c: Decimal(lots).scaleb(-COINS[c]) for c, lots in total.lots.items()
    }
    assert figures["positions"] == {c: Decimal(n).scaleb(-COINS[c]) for c, n in total.lots.items() if n}
    assert figures["fees"] == {"USDC": Decimal(total.fees_e10).scaleb(-10)}
    assert figures["cash"] == Decimal(total.cash_e16).scaleb(-16)
    assert counters["tracker_anomalies"] == counters["scan_errors"] == counters["account_fallbacks"] == 0
    assert hl.bus.handler_errors == 0
    for kind, share in (("doubled", 0.05), ("reordered", 0.05), ("late", 0.01)):
        assert abs(seen[kind] / count - share) < share / 5, "each disturbance has to have happened"
    assert len(figures["fill_keys"]) == min(count, FILL_KEYS_KEPT) and seen["snapshots"] > 2
    if steady_mb:
        assert resident_mb() - steady_mb < 30
