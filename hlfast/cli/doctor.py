"""What `hlfast doctor` looks at (layer 5, cold): this build, this machine, the way to the venue, the key, the account.

    findings = await examine(network, key=..., account=...)          # a list of `Finding`, worst ones not first

Nothing is signed and nothing is changed: every question to the venue is a query, some 90 of the minute's 1200 weight. A
check that cannot be made is a finding too. Keys are never shown; what is told of one is its address.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

import hlfast
from hlfast import clock
from hlfast.config import Network, StateDirectory
from hlfast.core.frame_sink import FrameSink
from hlfast.errors import ConfigError, HlfastError, UnknownOutcome
from hlfast.net.http import HttpClient
from hlfast.net.session import WebSocketSession
from hlfast.venues.hyperliquid.info import Info
from hlfast.venues.hyperliquid.keys import load_key

GOOD, WARNING, BAD = "good", "warning", "bad"

ROUND_TRIPS = 5
PATIENCE_SECONDS = 10.0
CLOCK_WARNING_MS, CLOCK_BAD_MS = 1_000, 10_000
"""Orders that take expire after 15 s by default: a clock that is off by much of that lets them expire at once, or late."""
AGENT_SOON_MS = 7 * 86_400_000
FEW_REQUESTS = 1_000


@dataclass(frozen=True)
class Finding:
    """`status`: good, warning or bad. `advice`: what to do about it; empty where all is well."""

    area: str
    what: str
    status: str
    seen: str
    advice: str = ""


async def examine(
    network: Network,
    *,
    key: str | None = None,
    account: str | None = None,
    tell: Callable[[Finding], object] | None = None,
) -> list[Finding]:
    """Everything that can be looked at. `key`: as for `hlfast.connect`; `account`: whom an agent's key trades for.

    `tell` hears each finding when it is made.
    """
    found: list[Finding] = []

    def add(finding: Finding) -> None:
        found.append(finding)
        if tell is not None:
            tell(finding)

    for finding in (build(), machine(), state_folder()):
        add(finding)
    http = HttpClient(network.http_url, allow_insecure=network.allow_insecure)
    try:
        info = Info(_asker(http))
        reachable = False
        async for finding in way(network, info):
            reachable = reachable or (finding.what == "HTTP" and finding.status is not BAD)
            add(finding)
        if key is None and account is None:
            if not network.is_loopback:
                add(
                    Finding(
                        "key",
                        "key",
                        WARNING,
                        "none given",
                        "give --key (and --account for an agent's) to have it looked at",
                    )
                )
            return found
        async for finding in identity(info if reachable else None, key, account):
            add(finding)
    finally:
        await http.close()
    return found


def _asker(http: HttpClient) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    async def ask(payload: dict[str, Any]) -> Any:
        status, body = await http.post_json("/info", payload)
        if status != 200:
            raise UnknownOutcome(
                f"the venue answered {payload['type']!r} with status {status}: {body[:100].decode(errors='replace')}"
            )
        try:
            return orjson.loads(body)
        except ValueError:
            raise UnknownOutcome(f"the venue's answer to {payload['type']!r} is not JSON") from None

    return ask


# -- here ----------------------------------------------------------------------------------------------------------------
def build() -> Finding:
    """A build with checks on is several times slower."""
    about = hlfast.build_info()
    switches = [name for name in ("debug", "trace", "sanitize") if about[name]]
    seen = f"hlfast {about['version']}, {len(about['modules'])} compiled modules, CPython {about['python']}, {about['compiler']}"
    if switches:
        return Finding(
            "here", "build", WARNING, f"{seen}; built with {', '.join(switches)}", "trade with a release build: pip install without HLFAST_DEBUG"
        )  # fmt: skip
    return Finding("here", "build", GOOD, seen)


def machine() -> Finding:
    """Cores that this process may use: a spinning loop wants one of its own."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    seen = f"{cores} cores, load {os.getloadavg()[0]:.1f}"
    if cores < 2:
        return Finding("here", "machine", WARNING, seen, "run(spin=True) takes a whole core: leave it off here")
    if os.getloadavg()[0] > cores:
        return Finding("here", "machine", WARNING, seen, "more work than cores: latencies will have long tails")
    return Finding("here", "machine", GOOD, seen)


def state_folder() -> Finding:
    """Journals, nonces and the locks of signers live there."""
    path = StateDirectory().path
    if not path.exists():
        return Finding("here", "state folder", GOOD, f"{path}: not there yet, made on first use")
    mode = stat.S_IMODE(path.stat().st_mode)
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        return Finding(
            "here", "state folder", BAD, f"{path} cannot be written to", "name another one with HLFAST_STATE"
        )
    if mode & 0o077:
        return Finding(
            "here", "state folder", WARNING, f"{path} is open to others (mode {mode:04o})", f"run: chmod 700 {path}"
        )
    return Finding("here", "state folder", GOOD, str(path))


# -- the way to the venue ------------------------------------------------------------------------------------------------
async def way(network: Network, info: Info) -> AsyncIterator[Finding]:
    """HTTP, the clock against the venue's, its mode, and the WebSocket."""
    trips: list[tuple[int, int]] = []
    status: dict[str, Any] = {}
    try:
        await info.exchange_status()  # opens the connection
        for _ in range(ROUND_TRIPS):
            began, wall_ms = clock.monotonic_ns(), clock.wall_clock_ms()
            status = dict(await info.exchange_status())
            took = clock.monotonic_ns() - began
            trips.append((took, wall_ms + took // 2_000_000 - int(status["time"])))
    except (HlfastError, KeyError, TypeError, ValueError) as error:
        yield Finding("venue", "HTTP", BAD, _words(error), "check the network, proxies and the address")
        return
    yield Finding("venue", "HTTP", GOOD, f"{network.http_url}: {_ms(sorted(trips)[len(trips) // 2][0])} there and back")
    offset = min(trips)[1]
    seen = f"{abs(offset)} ms {'ahead of' if offset > 0 else 'behind'} the venue's"
    if abs(offset) > CLOCK_WARNING_MS:
        grade = BAD if abs(offset) > CLOCK_BAD_MS else WARNING
        yield Finding("venue", "clock", grade, seen, "set the clock by NTP: nonces and expiries are times")
    else:
        yield Finding("venue", "clock", GOOD, seen)
    special = status.get("specialStatuses")
    if special is None:
        yield Finding("venue", "mode", GOOD, "normal")
    else:
        yield Finding("venue", "mode", WARNING, str(special)[:100], "the venue does not take every order at the moment")
    yield await _web_socket(network)


class _Pongs(FrameSink):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[int] = asyncio.Queue()

    def on_text(self, data: bytes, recv_ns: int) -> None:
        if b'"pong"' in data:
            self.heard.put_nowait(clock.monotonic_ns())


async def _web_socket(network: Network) -> Finding:
    pongs, connected = _Pongs(), asyncio.Event()
    session = WebSocketSession(network.ws_url, pongs, on_connected=connected.set, allow_insecure=network.allow_insecure)
    session.start()
    try:
        await asyncio.wait_for(connected.wait(), PATIENCE_SECONDS)
        trips = []
        for _ in range(ROUND_TRIPS):
            began = clock.monotonic_ns()
            if session.listener is None or not session.listener.send(b'{"method":"ping"}'):
                return Finding("venue", "WebSocket", BAD, "lost at once", "check proxies and firewalls")
            trips.append(await asyncio.wait_for(pongs.heard.get(), PATIENCE_SECONDS) - began)
    except asyncio.TimeoutError:
        why = "; ".join(session.closes) or "no answer"
        return Finding("venue", "WebSocket", BAD, f"{network.ws_url}: {why}", "check proxies and firewalls")
    finally:
        await session.stop()
    return Finding(
        "venue", "WebSocket", GOOD, f"{network.ws_url}: {_ms(sorted(trips)[len(trips) // 2])} there and back"
    )


# -- the key and the account ---------------------------------------------------------------------------------------------
async def identity(info: Info | None, key: str | None, account: str | None) -> AsyncIterator[Finding]:
    """Whose key it is, how long it may trade, and what the account may still send. `info` None: the venue is out of reach."""
    signer = None
    if key is not None:
        try:
            signer = hlfast.Signer(load_key(key)).address.lower()
        except ConfigError as error:
            yield Finding("key", "key", BAD, str(error))
            return
        yield Finding("key", "key", GOOD, f"readable; it signs as {signer}")
    wanted = None if account is None else account.lower()
    if info is None:
        yield Finding("key", "role", WARNING, "the venue cannot be asked", "")
        return
    try:
        if signer is not None:
            role = dict(await info.user_role(signer))
            master = await _master_of(info, role)
            for finding in _role(role, master, signer, wanted):
                yield finding
            if role.get("role") == "agent" and master is not None:
                yield _agent(await info.extra_agents(master), signer)
            wanted = wanted or master or signer
        if wanted is not None:
            async for finding in _account(info, wanted):
                yield finding
    except (HlfastError, KeyError, TypeError, ValueError, AttributeError) as error:
        yield Finding("account", "answers", BAD, _words(error), "the venue's answer was not understood; try again")


async def _master_of(info: Info, role: dict[str, Any]) -> str | None:
    return str(role["data"]["user"]).lower() if role.get("role") == "agent" else None


def _role(role: dict[str, Any], master: str | None, signer: str, wanted: str | None) -> list[Finding]:
    kind = role.get("role")
    if kind == "missing":
        return [
            Finding(
                "key", "role", BAD, "the venue knows neither an account nor an agent of this address",
                "approve the agent for this network (testnet and mainnet are apart), or deposit first",
            )
        ]  # fmt: skip
    if kind == "agent":
        told = [
            Finding(
                "key",
                "role",
                GOOD,
                f"an agent of {master}: it can trade and cannot withdraw, but can lose all by trading",
            )
        ]
        if wanted is None:
            told.append(
                Finding(
                    "key",
                    "account",
                    WARNING,
                    "not given",
                    f"connect with account={master!r}: an agent has no orders of its own",
                )
            )
        elif wanted == signer:
            told.append(
                Finding("key", "account", BAD, "it is the agent's own address", f"connect with account={master!r}")
            )
        elif wanted != master:
            told.append(
                Finding(
                    "key",
                    "account",
                    WARNING,
                    f"{wanted} is not the agent's master",
                    f"right only for a vault or sub-account of {master}",
                )
            )
        return told
    told = [
        Finding(
            "key", "role", WARNING, f"the key of a {kind} account itself: it can withdraw everything",
            "approve an agent and trade with its key (`hl.actions.approve_agent`)",
        )
    ]  # fmt: skip
    if wanted is not None and wanted != signer:
        told.append(
            Finding(
                "key",
                "account",
                WARNING,
                f"{wanted} is another account",
                "right only for a vault or sub-account of this one: vault=...",
            )
        )
    return told


def _agent(agents: Any, signer: str) -> Finding:
    for agent in agents:
        if str(agent["address"]).lower() != signer:
            continue
        until = agent.get("validUntil")
        if until is None:
            return Finding("key", "expiry", GOOD, f"agent {agent['name']!r}, no end named")
        left_ms = int(until) - clock.wall_clock_ms()
        seen = f"agent {agent['name']!r}, {left_ms / 86_400_000:.1f} days left"
        if left_ms <= 0:
            return Finding("key", "expiry", BAD, f"agent {agent['name']!r} has expired", "approve it anew")
        if left_ms < AGENT_SOON_MS:
            return Finding(
                "key", "expiry", WARNING, seen, "approve it anew before it ends: orders are refused from then on"
            )
        return Finding("key", "expiry", GOOD, seen)
    return Finding(
        "key",
        "expiry",
        WARNING,
        "an agent without a name: the venue does not tell when it ends",
        "named agents show their end",
    )


async def _account(info: Info, account: str) -> AsyncIterator[Finding]:
    state = await info.clearinghouse_state(account)
    orders = await info.open_orders(account)
    value = str(state["marginSummary"]["accountValue"])
    held = len(state["assetPositions"])
    seen = f"{account}: perp value {value}, {held} positions, {len(orders)} orders at rest"
    yield Finding(
        "account",
        "state",
        GOOD if float(value) or held else WARNING,
        seen,
        "" if float(value) or held else "no perp collateral here",
    )
    budget = await info.user_rate_limit(account)
    used, cap = int(budget["nRequestsUsed"]), int(budget["nRequestsCap"])
    left = cap - used
    seen = f"{left:,} of {cap:,} requests left"
    if left < FEW_REQUESTS:
        yield Finding(
            "account",
            "budget",
            WARNING,
            seen,
            "each dollar traded adds one; batches of up to 39 count as one action's weight, yet as 39 here",
        )
    else:
        yield Finding("account", "budget", GOOD, seen)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, HlfastError) else f"{type(error).__name__}: {error}"


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.1f} ms"
