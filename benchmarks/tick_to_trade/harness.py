"""Runs the traders in turn against the far end, and makes the rows: plain and TLS apart.

Each trader has its turn in every round, so that a machine that changes changes for all. A trader whose library is not
installed is left out. An order that is not what was meant is a mismatch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.measure import summarise
from benchmarks.peers import async_hyperliquid, ccxt, is_installed, sdk
from benchmarks.pipeline.live import HOME
from benchmarks.registry import QUICK, Effort, Measured, Mismatch, Role, Target, pipeline, times_faster
from benchmarks.tick_to_trade import authority
from benchmarks.tick_to_trade.answers import SHAPES

PAUSE_MS = 2.0
WARM_UP = 50
FLOOR, FLOOR_SPINNING = "bare picows echo", "bare picows echo, spinning"
FLOOR_UVLOOP_TLS = "bare picows echo, uvloop's TLS instead of aiofastnet's"
HLFAST, PREPARED = "hlfast", "hlfast, prepared nonces"
SPINNING, BOTH = "hlfast, spinning", "hlfast, spinning, prepared nonces"
NATIVELY = {"ECC_BACKEND_CLASS": "eth_keys.backends.NativeECCBackend", "ETH_HASH_BACKEND": "pycryptodome"}
"""What eth-keys and eth-hash choose by themselves where coincurve and pysha3 are not installed."""


@dataclass(frozen=True)
class Entrant:
    """A trader's name in `clients`, how its row is called, and how many of the ticks of the fast ones it gets."""

    trader: str
    who: str
    role: Role
    share: float = 1.0
    environment: dict[str, str] = field(default_factory=dict)


def entrants(*, tls: bool) -> list[Entrant]:
    """Those that can run here."""
    found = [Entrant("echo", FLOOR, Role.FLOOR), Entrant("hlfast", HLFAST, Role.HLFAST)]
    found.append(Entrant("hlfast-prepared", PREPARED, Role.HLFAST))
    found.append(Entrant("hlfast-spin", SPINNING, Role.HLFAST))
    found.append(Entrant("echo-spin", FLOOR_SPINNING, Role.FLOOR))
    found.append(Entrant("hlfast-spin-prepared", BOTH, Role.HLFAST))
    if tls:
        found.append(Entrant("echo-uvloop-tls", FLOOR_UVLOOP_TLS, Role.FLOOR))
    if is_installed("msgspec"):
        found.append(Entrant("hand", "msgspec + pysha3 + coincurve + picows + uvloop", Role.PEER))
    if is_installed(async_hyperliquid.DISTRIBUTION):
        found.append(Entrant(async_hyperliquid.NAME, f"{async_hyperliquid.NAME}, books by aiohttp + orjson", Role.PEER))
    if sdk.is_installed():
        found.append(Entrant("sdk", sdk.NAME, Role.PEER))
        found.append(Entrant("sdk-default", sdk.DEFAULT_INSTALL, Role.PEER, 0.2, NATIVELY))
    if is_installed(ccxt.DISTRIBUTION):
        found.append(Entrant(ccxt.PRO, ccxt.PRO, Role.PEER, 0.5))
    return found


class Child:
    """A process that is spoken to by lines."""

    def __init__(self, module: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.name = " ".join([module.rpartition(".")[2], *arguments[:1]])
        paths = [str(HOME), str(ROOT), os.environ.get("PYTHONPATH", "")]
        surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **(environment or {})}
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=surroundings, text=True,
        )  # fmt: skip

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        """The next line. Raises with what the process complained of if there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, complaint = self._process.communicate()
            raise RuntimeError(f"{self.name} ended: {complaint.strip()[-1_500:]}")
        return line.strip()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@contextmanager
def far_end(*, tls: bool) -> Iterator[tuple[Child, str, str, dict[str, str]]]:
    """(the exchange, its two addresses, what a client's environment needs to trust it)."""
    with ExitStack() as stack:
        if not tls:
            child = stack.enter_context(Child("benchmarks.tick_to_trade.exchange"))
            ports = json.loads(child.hear())
            yield child, f"ws://127.0.0.1:{ports['ws']}/ws", f"http://127.0.0.1:{ports['http']}", {}
            return
        made = authority.make(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        child = stack.enter_context(Child("benchmarks.tick_to_trade.exchange", "--tls", str(made.chain), str(made.key)))
        ports = json.loads(child.hear())
        trusted = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE")
        host = authority.HOST
        yield (
            child,
            f"wss://{host}:{ports['ws']}/ws",
            f"https://{host}:{ports['http']}",
            dict.fromkeys(trusted, str(made.authority)),
        )


def block(
    exchange: Child, addresses: tuple[str, str], entrant: Entrant, ticks: int, trust: dict[str, str]
) -> tuple[list[int], Any]:
    """(samples, what the trader told) of one turn."""
    with Child(
        "benchmarks.tick_to_trade.clients", entrant.trader, *addresses, environment={**trust, **entrant.environment}
    ) as trader:
        if trader.hear() != "ready":
            raise RuntimeError(f"{entrant.who} did not get ready")
        exchange.say(f"go {ticks + WARM_UP} {PAUSE_MS}")
        told = json.loads(exchange.hear())
        if told["wrong"]:
            raise Mismatch(f"tick to trade: {entrant.who}: {told['wrong']}")
        trader.say("end")
        return told["samples"][WARM_UP:], json.loads(trader.hear())


def measure(effort: Effort, *, tls: bool) -> list[Measured]:
    """A row for every entrant, hlfast's stages, and its ticks by their shape."""
    samples: dict[str, list[int]] = {}
    told: dict[str, Any] = {}
    everyone = entrants(tls=tls)
    if tls and effort is QUICK:  # starting a library takes longer than its ticks: the plain run has them all
        everyone = [one for one in everyone if one.role is not Role.PEER or one.trader == "hand"]
    with far_end(tls=tls) as (exchange, ws_url, http_url, trust):
        for _ in range(effort.tick_rounds):
            for entrant in everyone:
                ticks = max(20, round(effort.ticks * entrant.share / effort.tick_rounds))
                new, told[entrant.who] = block(exchange, (ws_url, http_url), entrant, ticks, trust)
                samples.setdefault(entrant.who, []).extend(new)
        exchange.say("end")
    rows = [summarise(entrant.who, entrant.role, samples[entrant.who]) for entrant in everyone]
    return [*rows, *by_shape(samples[HLFAST]), *stages(told[HLFAST]["stages"])]


def by_shape(samples: list[int]) -> list[Measured]:
    """hlfast's ticks, apart by instrument and depth. A block begins with the shape that follows its warm-up."""
    shapes: dict[str, list[int]] = {}
    for at, took in enumerate(samples):
        market, levels = SHAPES[(at + WARM_UP) % len(SHAPES)]
        shapes.setdefault(f"{market.coin}, 2×{levels}", []).append(took)
    return [summarise(f"hlfast, {shape}", Role.STAGE, taken) for shape, taken in shapes.items()]


STAGES = {
    "frame_book": "frame → book",
    "book_callback": "book → callback done (order included)",
    "check": "check",
    "encode": "encode",
    "sign": "sign",
    "write": "write",
    "total": "buy() in all",
}


def stages(summary: dict[str, dict[str, int]]) -> list[Measured]:
    """The connector's own record of the last block (bucket bounds, up to 6 % high)."""
    keys = {"p50": "p50_ns", "p90": "p90_ns", "p99": "p99_ns", "p99.9": "p999_ns", "max": "max_ns"}
    return [
        Measured(
            text,
            Role.STAGE,
            float(summary[name]["p50_ns"]),
            percentiles={quantile: float(summary[name][key]) for quantile, key in keys.items()},
            count=summary[name]["count"],
        )
        for name, text in STAGES.items()
    ]


# -- targets ------------------------------------------------------------------------------------------------------------
def over_echo(plus: float, who: str) -> Target:
    """At most so many nanoseconds over the bare echo's median."""

    def limit(rows: Any) -> float | None:
        return next((row.value + plus for row in rows if row.who == FLOOR), None)

    return Target(f"{who} ≤ echo + {plus / 1e3:g} µs", limit, who)


def half_of_sleeping(who: str, than: str) -> Target:
    def limit(rows: Any) -> float | None:
        return next((row.value / 2 for row in rows if row.who == than), None)

    return Target(f"{who} ≤ ½ of {than}", limit, who)


TARGETS = (
    over_echo(30_000, HLFAST),
    over_echo(12_000, PREPARED),
    half_of_sleeping(SPINNING, HLFAST),
    times_faster(1, who=HLFAST),
)


@pipeline("tick_to_trade_plain", "tick to trade over loopback, plain", *TARGETS, area="tick_to_trade")
def tick_to_trade_plain(effort: Effort) -> list[Measured]:
    return measure(effort, tls=False)


@pipeline("tick_to_trade_tls", "tick to trade over loopback, TLS, verified", *TARGETS, area="tick_to_trade")
def tick_to_trade_tls(effort: Effort) -> list[Measured]:
    return measure(effort, tls=True)
