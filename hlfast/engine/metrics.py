"""Metrics for Prometheus (layer 4, cold): what a connector knows of itself, as text, served on a loopback port.

    async with hlfast.connect("mainnet", key="env:HL_KEY", metrics="127.0.0.1:9090") as hl: ...
    hlfast gateway --metrics 127.0.0.1:9090          then: curl http://127.0.0.1:9090/metrics

Nothing is counted for it on the way of a frame or an order: a scrape reads what is there anyway, one section in each turn
of the loop, so that no frame waits for more than one section. The list of metrics is in docs/metrics.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from hlfast import clock
from hlfast.config import is_loopback
from hlfast.core import latency
from hlfast.core.connector_base import ConnectorBase
from hlfast.errors import ConfigError
from hlfast.types import OrderState

log = logging.getLogger("hlfast")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_MAX, REQUEST_SECONDS = 8_192, 5.0
CONNECTIONS_MAX = 16
Sample = tuple[Mapping[str, str], Any]
Section = Callable[[], str]


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    """One metric with its samples, as (labels, value); None values are left out, and a metric without any."""
    lines = []
    for labels, value in samples:
        if value is None:
            continue
        inside = ",".join(f'{key}="{_escaped(str(one))}"' for key, one in labels.items())
        shown = (
            str(int(value)) if isinstance(value, bool) else f"{value:f}" if hasattr(value, "as_tuple") else str(value)
        )
        lines.append(f"{name}{{{inside}}} {shown}" if inside else f"{name} {shown}")
    return "\n".join([f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines, ""]) if lines else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def gauge(name: str, text: str, value: Any) -> str:
    return family(name, "gauge", text, [({}, value)])


def of_connector(connector: ConnectorBase, journal: Any = None, *, version: str = "") -> list[Section]:
    """The sections of one connector. `journal`: its `hlfast.engine.journal.Journal`, if it has one."""
    return [
        latency.prometheus,
        lambda: _streams(connector, version),
        lambda: _budgets(connector),
        lambda: _orders(connector),
        lambda: _account(connector),
        lambda: _counters(connector),
        *([lambda: _journal(journal)] if journal is not None else []),
        _process,
    ]


def _streams(connector: ConnectorBase, version: str) -> str:
    status = connector.status
    states = {"market": status.get("market"), "account": status.get("account_stream")}
    ages = status.get("stream_age_ms", {})
    counters = connector.counters
    return "".join([
        family("hlfast_info", "gauge", "What runs; the value is always 1.",
               [({"version": version, "network": status.get("network", ""), "account": status.get("account", "")}, 1)]),
        gauge("hlfast_ready", "Connected, reconciled, and market data fresh: 1 or 0.", connector.ready),
        family("hlfast_stream_live", "gauge", "The stream is live: 1 or 0.",
               [({"stream": name}, state == "LIVE") for name, state in states.items() if state is not None]),
        family("hlfast_stream_age_seconds", "gauge", "Time since the stream's last frame, pongs included.",
               [({"stream": name}, age / 1e3) for name, age in ages.items() if age is not None]),
        family("hlfast_connections_total", "counter", "Connections made; all but the first are reconnects.",
               [({"stream": name}, counters.get(f"{name}_connections")) for name in states]),
        family("hlfast_book_age_seconds", "gauge", "Time since the book's last frame.", _book_ages(connector, status)),
    ])  # fmt: skip


def _book_ages(connector: ConnectorBase, status: Mapping[str, Any]) -> Iterator[Sample]:
    for coin in status.get("watched", ()):
        age_ns = connector.book(coin).age_ns
        if age_ns is not None:
            yield {"coin": coin}, age_ns / 1e9


def _budgets(connector: ConnectorBase) -> str:
    limits = connector.status.get("limits")
    if not limits:
        return ""
    cap = limits["address_cap"]
    left = {
        "ip_weight": limits["weight_left"],
        "messages": limits["messages_left"],
        "address_requests": cap - limits["address_used"] if cap else None,
    }
    return "".join([
        family("hlfast_budget_left", "gauge", "What is left of the venue's request budgets.",
               [({"budget": name}, value) for name, value in left.items()]),
        family("hlfast_weight_spent_total", "counter", "IP weight spent, by what it was spent on.",
               [({"on": name}, value) for name, value in limits["spent_on"].items()]),
        family("hlfast_refused_429_total", "counter", "Requests that the venue answered with 429.",
               [({}, limits["refused_with_429"])]),
    ])  # fmt: skip


def _orders(connector: ConnectorBase) -> str:
    states = dict.fromkeys((str(state) for state in OrderState if not state.is_done), 0)
    unresolved = 0
    for order in connector.orders:
        states[str(order.state)] = states.get(str(order.state), 0) + 1
        unresolved += order.unresolved
    return "".join([
        family("hlfast_orders", "gauge", "Own orders that have not ended, by state.",
               [({"state": state}, count) for state, count in states.items()]),
        gauge("hlfast_orders_unresolved", "Orders of which it is not known whether the venue has them.", unresolved),
    ])  # fmt: skip


def _account(connector: ConnectorBase) -> str:
    sums = connector.sums
    held = {coin: position for coin, position in connector.positions.items() if not position.is_flat}
    return "".join([
        family("hlfast_position_size", "gauge", "Signed size held, in base units.",
               [({"coin": coin}, position.signed_size) for coin, position in held.items()]),
        family("hlfast_position_entry_price", "gauge", "Average entry price.",
               [({"coin": coin}, position.entry_price) for coin, position in held.items()]),
        family("hlfast_unrealized_pnl", "gauge", "At the mark price, in quote units; where a mark is known.",
               [({"coin": coin}, p.unrealized_pnl) for coin, p in held.items() if p.mark_price is not None]),
        family("hlfast_realized_pnl", "gauge", "By own fills since the start, before fees and funding.",
               [({"coin": coin}, position.realized_pnl) for coin, position in connector.positions.items()]),
        family("hlfast_fees", "gauge", "Fees paid by own fills since the start; negative: rebates.",
               [({"token": token}, amount) for token, amount in sums.get("fees", {}).items()]),
        gauge("hlfast_funding", "Funding received since the start; negative: paid.", sums.get("funding")),
        gauge("hlfast_cash", "Cash of the perpetuals' account, by own fills.", sums.get("cash")),
    ])  # fmt: skip


def _counters(connector: ConnectorBase) -> str:
    return family(
        "hlfast_events_total",
        "counter",
        "What the connector has counted: frames by channel, fills, and everything odd.",
        [({"kind": name}, value) for name, value in connector.counters.items()],
    )


def _journal(journal: Any) -> str:
    states = ("NEW", "RUNNING", "FULL", "FAILED", "STOPPED")
    return "".join([
        family("hlfast_journal_state", "gauge", "1 for the state that the journal's drain is in; orders are taken in RUNNING.",
               [({"state": state}, int(state == str(journal.state))) for state in states]),
        gauge("hlfast_journal_waiting", "Records in the ring that the database does not have yet.", journal.ring.used),
        family("hlfast_journal_failures_total", "counter", "Writes that failed and were tried again.", [({}, journal.failures)]),
    ])  # fmt: skip


def _process() -> str:
    """This process, by the names that every exporter uses; empty where the system has no /proc."""
    import os
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    found = family("process_cpu_seconds_total", "counter", "CPU time, user and system.",
                   [({}, round(used.ru_utime + used.ru_stime, 6))])  # fmt: skip
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        resident = pages * os.sysconf("SC_PAGE_SIZE")
        found += gauge("process_resident_memory_bytes", "Resident memory.", resident)
        found += gauge("process_open_fds", "Open file descriptors.", len(os.listdir("/proc/self/fd")))
    return found


class MetricsServer:
    """Serves `sections` at `/metrics` on `address` ("127.0.0.1:9090"; port 0 for any: `port` tells which).

    Beyond loopback only with `allow_remote`: whoever can ask is told positions and PnL. Raises `ConfigError`.
    """

    def __init__(self, address: str, sections: Iterable[Section], *, allow_remote: bool = False) -> None:
        parts = urlsplit(f"//{address}")
        try:
            port = parts.port
        except ValueError:
            port = None
        if not parts.hostname or port is None:
            raise ConfigError(f"metrics are served at HOST:PORT, for example 127.0.0.1:9090, got {address!r}")
        if not allow_remote and not is_loopback(f"http://{address}"):
            raise ConfigError(
                f"metrics at {address} could be read from other machines, and they tell positions and PnL; bind to 127.0.0.1, "
                "or allow it by name (allow_remote=True, --metrics-remote)"
            )
        self.host, self.port = parts.hostname, port
        self.sections = list(sections)
        self.scrapes = 0
        self.failures = 0
        self._seconds = 0.0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises `ConfigError` if the port is taken."""
        if self._server is not None:
            return
        try:
            self._server = await asyncio.start_server(self._serve, self.host, self.port, limit=REQUEST_MAX)
        except OSError as error:
            raise ConfigError(
                f"metrics cannot be served at {self.host}:{self.port}: {error.strerror or error}"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("metrics: http://%s:%d/metrics", self.host, self.port)

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in list(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=1.0)

    async def text(self) -> str:
        """All sections, one in each turn of the loop. One that fails is left out, logged, and counted."""
        started_ns, found = clock.monotonic_ns(), []
        for section in self.sections:
            try:
                found.append(section())
            except Exception:
                self.failures += 1
                log.exception("a section of the metrics failed")
            await asyncio.sleep(0)
        self.scrapes += 1
        found.append(family("hlfast_scrapes_total", "counter", "Scrapes before this one.", [({}, self.scrapes - 1)]))
        found.append(
            family("hlfast_scrape_failures_total", "counter", "Sections that could not be read.", [({}, self.failures)])
        )
        found.append(
            gauge("hlfast_scrape_seconds", "How long the scrape before this one took.", round(self._seconds, 6))
        )
        self._seconds = (clock.monotonic_ns() - started_ns) / 1e9
        return "".join(found)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= CONNECTIONS_MAX:
            writer.close()
            return
        self._connections.add(task)
        try:
            await asyncio.wait_for(self._answer(reader, writer), REQUEST_SECONDS)
        except (
            asyncio.TimeoutError,
            asyncio.LimitOverrunError,
            asyncio.IncompleteReadError,
            ConnectionError,
            ValueError,
        ):
            pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        status, body = "200 OK", b""
        if method not in (b"GET", b"HEAD"):
            status, body = "405 Method Not Allowed", b"GET /metrics\n"
        elif path != b"/metrics":
            status, body = "404 Not Found", b"metrics are at /metrics\n"
        else:
            body = (await self.text()).encode()
        answer = (
            f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        writer.write(answer.encode() + (b"" if method == b"HEAD" else body))
        await writer.drain()
