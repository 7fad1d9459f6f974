"""The fault matrix: at which moment of a request which fault strikes, and how soon the connector knows the truth.

    python -m tests.fault_matrix --repeat 20           prints hits and the time to resolve, cell by cell
    python -m tests.fault_matrix --virtual --json      in made time, as tests/connector/test_fault_matrix.py runs it

Moments x faults x actions. Each cell arms its faults, does the action once, and goes on until the connector is sure of
every order; then all must agree with the exchange's record (tests/judge.py): no false reject, no order twice. A cell
whose fault did not hit has failed. `resolved` counts from when the link was back: the fault over (a 429's with the
silence that it asks for), and a connection open. Cells that cannot be are in `IMPOSSIBLE`, each with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import logging
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .chaos import QUICK  # puts the path right where the tested package is another than this tree's

# isort: split
import hlfast
from hlfast import clock
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.errors import NotReady
from hlfast.sim import SimExchange
from hlfast.sim.faults import Fault, Message
from hlfast.types import OrderParams, TradeType
from hlfast.venues.hyperliquid.connector import HyperliquidConnector

from .judge import Judge
from .virtual_time import VirtualTime

MOMENTS = ("before write", "mid-write", "before ack, not executed", "before ack, executed", "before parse")
FAULTS = ("RST", "FIN", "black hole", "HTTP 500", "HTTP 502", "HTTP 429", "garbage", "truncated")
ACTIONS = {"order": "order", "batch": "order", "modify": "batchModify", "cancel": "cancelByCloid"}
"""What is done, and what the exchange calls the request."""

SETTINGS = dataclasses.replace(QUICK, audit_interval=600.0)
"""Short times, and no audit: what is found must be found by what the request itself left behind."""
HOLE_MS = 600
OVER_MS = {"black hole": HOLE_MS, "HTTP 429": 2_000}
"""When a fault is over, if not at once: after a 429 the venue has silence, by our own limits."""
HIT_S = 2.0
"""A fault that has not hit by then does not."""
BOUND_S = 75.0
"""Never settled: the venue's limit of connections a minute is no excuse any more."""
COIN, MID = "BTC", 50_000
NONSENSE = "\x02 not JSON at all {]"

Arm = tuple[str, dict[str, Any]]
"""A kind of fault and its options; channel "action" stands for the request's name."""

ACTION, PING = {"channel": "action"}, {"channel": "ping"}
HOLE = {"ms": HOLE_MS}
CELLS: dict[tuple[str, str], tuple[Arm, ...]] = {
    # The connection is gone or spoilt, and the connector does not know it yet: a ping has set it off.
    ("before write", "RST"): (("rst", {**PING, "at": "request"}),),
    ("before write", "FIN"): (("fin", {**PING, "at": "request"}),),
    ("before write", "black hole"): (("black_hole", {**PING, **HOLE, "at": "request"}),),
    ("before write", "garbage"): (("garbage", {"channel": "pong", "text": NONSENSE}),),
    ("before write", "truncated"): (("truncated", {"channel": "pong"}),),
    # Half of the frame is at the exchange.
    ("mid-write", "RST"): (("cut_short", {**ACTION, "end": "rst"}),),
    ("mid-write", "FIN"): (("cut_short", {**ACTION, "end": "fin"}),),
    ("mid-write", "black hole"): (("cut_short", {**ACTION, **HOLE, "end": "black_hole"}),),
    # The request is there, and lost.
    ("before ack, not executed", "RST"): (("rst", {**ACTION, "at": "request"}),),
    ("before ack, not executed", "FIN"): (("fin", {**ACTION, "at": "request"}),),
    ("before ack, not executed", "black hole"): (("black_hole", {**ACTION, **HOLE, "at": "request"}),),
    ("before ack, not executed", "HTTP 500"): (("http_500", {**ACTION, "at": "request"}),),
    ("before ack, not executed", "HTTP 502"): (("http_502", {**ACTION, "at": "request"}),),
    ("before ack, not executed", "HTTP 429"): (("http_429", {**ACTION, "at": "request"}),),
    ("before ack, not executed", "garbage"): (
        ("lost_request", ACTION),
        ("garbage", {"channel": "pong", "text": NONSENSE}),
    ),
    ("before ack, not executed", "truncated"): (("lost_request", ACTION), ("truncated", {"channel": "pong"})),
    # The request is executed, and nothing says so; garbage and truncated: its rows are spoilt, ahead of the ack.
    ("before ack, executed", "RST"): (("rst", {**ACTION, "at": "answer"}),),
    ("before ack, executed", "FIN"): (("fin", {**ACTION, "at": "answer"}),),
    ("before ack, executed", "black hole"): (("black_hole", {**ACTION, **HOLE, "at": "answer"}),),
    ("before ack, executed", "HTTP 500"): (("http_500", {**ACTION, "at": "answer"}),),
    ("before ack, executed", "HTTP 502"): (("http_502", {**ACTION, "at": "answer"}),),
    ("before ack, executed", "HTTP 429"): (("http_429", {**ACTION, "at": "answer"}),),
    ("before ack, executed", "garbage"): (("garbage", {"channel": "orderUpdates", "text": NONSENSE}),),
    ("before ack, executed", "truncated"): (("truncated", {"channel": "orderUpdates"}),),
    # The ack itself is at the connector, and cannot be read: half of it, or spoilt.
    ("before parse", "RST"): (("torn", {**ACTION, "at": "answer", "end": "rst"}),),
    ("before parse", "FIN"): (("torn", {**ACTION, "at": "answer", "end": "fin"}),),
    ("before parse", "black hole"): (("torn", {**ACTION, **HOLE, "at": "answer", "end": "black_hole"}),),
    ("before parse", "garbage"): (("garbage", {**ACTION, "at": "answer", "text": NONSENSE}),),
    ("before parse", "truncated"): (("truncated", {**ACTION, "at": "answer"}),),
}
_NO_REQUEST = "a status answers a request, and none has been made yet"
_NO_ID = "a post that is not there whole has no id that a status could be given for"
_TOO_LATE = "the ack is on its way: a status in its place would be another ack, which is the row before"
_OTHER_WAY = "what the exchange says while the request is on its way is not about it: the cell before the write"
IMPOSSIBLE: dict[tuple[str, str], str] = {
    **{("before write", f"HTTP {code}"): _NO_REQUEST for code in (500, 502, 429)},
    **{("mid-write", f"HTTP {code}"): _NO_ID for code in (500, 502, 429)},
    **{("mid-write", spoilt): _OTHER_WAY for spoilt in ("garbage", "truncated")},
    **{("before parse", f"HTTP {code}"): _TOO_LATE for code in (500, 502, 429)},
}


@dataclass
class Outcome:
    """One cell, run once. `hits` are those of the fault that hit least."""

    moment: str
    fault: str
    action: str
    hits: int = 0
    resolved_ms: float = 0.0
    refused: str = ""
    differences: list[str] = field(default_factory=list)


def cells() -> Iterator[tuple[str, str, str]]:
    """Every cell that can be, in the order of the table."""
    for moment in MOMENTS:
        for fault in FAULTS:
            if (moment, fault) in CELLS:
                for action in ACTIONS:
                    yield moment, fault, action


async def run_cell(moment: str, fault: str, action: str, seed: int = 0) -> Outcome:
    """Arm, act, and see how it ends. `seed` moves the moment within a block; with an odd one acks come before rows."""
    outcome = Outcome(moment, fault, action)
    rng = random.Random(f"{moment}:{fault}:{action}:{seed}")
    exchange = SimExchange(
        port=0, block_ms=20, seed=seed, traders=False, book_interval_ms=200, answers_last=seed % 2 == 0
    )
    async with exchange:
        exchange.change("set_mark", COIN, MID)
        exchange.change("set_book", COIN, [(MID - 30, "1")], [(MID + 30, "1")])
        hl = hlfast.connect(exchange.network, settings=SETTINGS)
        async with hl:
            judge = Judge(hl, exchange)
            hl.watch(COIN)
            await hl.wait_ready(5)
            resting = [] if action in ("order", "batch") else [judge.own(hl.buy(COIN, "0.002", MID - 50, tif="Alo"))]
            for order in resting:
                assert await order.accepted()
            await asyncio.sleep(rng.uniform(0.0, 0.02))
            await _strike(outcome, hl, exchange, judge, resting)
            await _until_settled(outcome, hl, judge)
            await asyncio.sleep(1.0)  # what was on its way arrives, and must change nothing
            outcome.differences += judge.at_once() + judge.unsettled() + judge.settled()
            outcome.differences += _twice(exchange.truth(hl.account), allowed=2 if action == "modify" else 1)
        exchange.engine.assert_conserved()
    return outcome


async def _strike(
    outcome: Outcome, hl: HyperliquidConnector, exchange: SimExchange, judge: Judge, resting: list[InFlightOrder]
) -> None:
    """Arm the cell's faults on the account's connection, and do the action."""
    session = hl._account_session
    ours = session.listener.transport.underlying_transport.get_extra_info("sockname")

    def on_the_accounts_link(message: Message) -> bool:
        transport = getattr(message.link, "_transport", None)
        return transport is not None and transport.get_extra_info("peername")[:2] == ours[:2]

    armed: list[Fault] = []
    for kind, options in CELLS[outcome.moment, outcome.fault]:
        if options.get("channel") == "action":
            options = {**options, "channel": ACTIONS[outcome.action]}
        armed.append(exchange.faults.arm(kind, where=on_the_accounts_link, **options))
    is_early = outcome.moment == "before write"
    if is_early:
        session.send(b'{"method":"ping"}')
        await armed[0].wait()
    try:
        _act(outcome.action, hl, judge, resting)
    except NotReady as refused:
        outcome.refused = str(refused)  # it knew before it wrote: nothing was sent
    for fault in armed:
        if not is_early and fault.channel == "pong":
            session.send(b'{"method":"ping"}')
        if not is_early:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(fault.wait(), HIT_S)
    outcome.hits = min(fault.hits for fault in armed)


def _act(action: str, hl: HyperliquidConnector, judge: Judge, resting: list[InFlightOrder]) -> None:
    if action == "order":
        judge.own(hl.sell(COIN, "0.002", MID + 50, tif="Gtc"))
    elif action == "batch":  # two that trade or rest, one of which the venue may refuse, and one that takes
        wishes = (("0.001", MID - 50, "Alo"), ("0.001", MID + 40, "Alo"), ("0.001", MID + 30, "Ioc"))
        judge.own_all(hl.place([OrderParams(COIN, sz, px, TradeType.BUY, tif=tif) for sz, px, tif in wishes]))
    elif action == "modify":
        assert hl.modify(resting[0], price=MID - 40, size="0.003")
    else:
        assert hl.cancel(resting[0])


async def _until_settled(outcome: Outcome, hl: HyperliquidConnector, judge: Judge) -> None:
    struck_ns = clock.monotonic_ns()
    over_ns = struck_ns + OVER_MS.get(outcome.fault, 0) * 1_000_000
    left: list[str] = []
    back_ns = struck_ns
    was_open = True
    while True:
        now_ns = clock.monotonic_ns()
        is_open = hl._account_session.is_open
        if is_open and not was_open:
            back_ns = now_ns
        was_open = is_open
        # A connection that has ended is noticed at the loop's next turn; a silent one, when it is over.
        if now_ns > struck_ns and is_open and now_ns >= over_ns and not (left := judge.unsettled()):
            break
        if now_ns - struck_ns > BOUND_S * 1e9:
            outcome.differences.append(f"not settled after {BOUND_S} s: {left}")
            break
        await asyncio.sleep(0.002)
    outcome.resolved_ms = max(0.0, (now_ns - max(back_ns, over_ns)) / 1e6)


def _twice(record: dict[str, Any], allowed: int) -> list[str]:
    """Orders that the exchange has got more often than they were sent."""
    legs: dict[str, int] = {}
    for row in record["orders"]:
        legs[row["cloid"]] = legs.get(row["cloid"], 0) + 1
    return [f"cloid {cloid} was placed {n} times" for cloid, n in legs.items() if n > allowed]


def run_cell_in_made_time(moment: str, fault: str, action: str, seed: int = 0) -> Outcome:
    with VirtualTime(seed) as time:
        return time.run(run_cell(moment, fault, action, seed))


# -- the command -------------------------------------------------------------------------------------------------------


def share(values: list[float], percent: int) -> float:
    """The value below which so many percent of `values` are, by rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


def row(outcomes: list[Outcome]) -> dict[str, Any]:
    times = [outcome.resolved_ms for outcome in outcomes]
    return {
        "runs": len(outcomes),
        "hits": sum(outcome.hits for outcome in outcomes),
        "missed": sum(not outcome.hits for outcome in outcomes),
        "refused_before_writing": sum(bool(outcome.refused) for outcome in outcomes),
        "resolved_ms_p50": round(share(times, 50), 1),
        "resolved_ms_p99": round(share(times, 99), 1),
        "resolved_ms_max": round(max(times, default=0.0), 1),
        "differences": [f"{o.action}: {text}" for o in outcomes for text in o.differences],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault_matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="runs of each cell (default 3)")
    parser.add_argument("--virtual", action="store_true", help="in made time (tests/virtual_time.py)")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    outcomes: list[Outcome] = []
    wanted = [(cell, seed) for cell in cells() for seed in range(options.repeat)]
    for done, (cell, seed) in enumerate(wanted, 1):
        outcomes.append(run_cell_in_made_time(*cell, seed) if options.virtual else hlfast.run(run_cell(*cell, seed)))
        print(f"\r{done} of {len(wanted)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    table = {
        (moment, fault): row([o for o in outcomes if (o.moment, o.fault) == (moment, fault)]) for moment, fault in CELLS
    }
    whole = row(outcomes)
    if options.json:
        rows = [{"moment": m, "fault": f, **figures} for (m, f), figures in table.items()]
        gaps = [{"moment": m, "fault": f, "reason": reason} for (m, f), reason in IMPOSSIBLE.items()]
        print(json.dumps({"rows": rows, "impossible": gaps, "all": whole}, indent=1))
    else:
        print_table(table, whole)
    return 1 if whole["differences"] or whole["missed"] else 0


def print_table(table: dict[tuple[str, str], dict[str, Any]], whole: dict[str, Any]) -> None:
    head = f"{'moment':26} {'fault':11} {'runs':>5} {'hits':>5} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'wrong':>6}"
    print(head)
    for moment in MOMENTS:
        for fault in FAULTS:
            figures = table.get((moment, fault))
            if figures is None:
                print(f"{moment:26} {fault:11} cannot be: {IMPOSSIBLE[moment, fault]}")
            else:
                print(f"{moment:26} {fault:11} {line(figures)}")
    print(f"{'all':38} {line(whole)}")
    for text in whole["differences"][:50]:
        print(f"  {text}")


def line(figures: dict[str, Any]) -> str:
    times = " ".join(f"{figures[f'resolved_ms_{name}']:8.1f}" for name in ("p50", "p99", "max"))
    return f"{figures['runs']:5} {figures['hits']:5} {times} {len(figures['differences']):6}"


if __name__ == "__main__":
    sys.exit(main())
