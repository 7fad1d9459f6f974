"""Recorder: the market data of some coins into files, as the venue sent it (layer 3, cold).

    recorder = Recorder("mainnet", ["BTC", "ETH"], "data", trades=True)
    await recorder.start() ... recorder.report() ... await recorder.stop()

A socket of its own, without key or account, and the connector's own `MarketData`: subscriptions are confirmed or asked for
again, silent books too, and it reconnects for ever. Every frame of the socket is kept in its order (acknowledgements and
pongs as well). `NAME.session.json` beside the files holds the instruments of that day, what was asked for, and what is
missing: without it a replay would have to guess how many decimals a size has.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson

from hlfast import clock
from hlfast.config import Network
from hlfast.config import network as network_of
from hlfast.errors import ConfigError, NotReady, UnknownOutcome
from hlfast.net.frame_tap import FrameTap
from hlfast.net.frame_writer import FrameWriter
from hlfast.net.http import HttpClient
from hlfast.net.session import WebSocketSession
from hlfast.types import StreamState
from hlfast.venues.hyperliquid.market_data import MarketData
from hlfast.venues.hyperliquid.metadata import Metadata
from hlfast.venues.hyperliquid.scan import Router

log = logging.getLogger("hlfast")

SESSION_SUFFIX = ".session.json"


class Recorder:
    """`max_pending_mb`: memory for frames that are not on the disk yet. The constructor starts nothing."""

    def __init__(
        self,
        network: str | Network,
        coins: Sequence[str],
        out: str | Path,
        *,
        trades: bool = False,
        rotate_mb: float = 256.0,
        rotate_minutes: float = 60.0,
        max_pending_mb: float = 64.0,
    ) -> None:
        if not coins:
            raise ConfigError("nothing to record: name at least one coin")
        self.network = network_of(network)
        self.coins, self.folder = list(coins), Path(out)
        self.kinds = {"l2Book", "bbo"} | ({"trades"} if trades else set())
        self.router = Router()
        self.router.cold_sink = self._on_cold
        self.router.error_sink = self._on_unreadable
        self.errors: dict[str, int] = {}
        self.tap = FrameTap(None, int(max_pending_mb * 1e6))
        prefix = f"hyperliquid_{self.network.name}"
        self.writer = FrameWriter(
            self.tap, self.folder, prefix=prefix, rotate_mb=rotate_mb, rotate_minutes=rotate_minutes
        )
        self.market = MarketData(self.router, self._on_live)
        self.session = WebSocketSession(
            self.network.ws_url,
            self.router,
            name="recorder",
            on_connected=self.market.on_connected,
            on_state=self._on_state,
            allow_insecure=self.network.allow_insecure,
        )
        self.session.add_tap(self.tap)
        self.market.session = self.session
        self._instruments: dict[str, Any] = {}
        self._started_ns = 0
        self._session_file: Path | None = None

    async def start(self) -> None:
        """Read the instruments, then record. Raises `ConfigError` for an unknown coin or a folder that cannot be written,
        `NotReady` where the venue does not answer."""
        http = HttpClient(self.network.http_url, allow_insecure=self.network.allow_insecure)
        try:
            self._instruments = {kind: await _query(http, kind) for kind in ("meta", "spotMeta")}
        finally:
            await http.close()
        metadata = Metadata.from_json(self._instruments["meta"], self._instruments["spotMeta"])
        rules = [metadata.resolve(coin) for coin in self.coins]
        self.coins = [rule.coin for rule in rules]
        self.writer.start()
        self._started_ns = clock.epoch_ns()
        stamp = datetime.fromtimestamp(self._started_ns // 10**9, timezone.utc)
        millis = self._started_ns // 10**6 % 1000
        self._session_file = self.folder / f"{self.writer.prefix}_{stamp:%Y%m%dT%H%M%S}.{millis:03d}Z{SESSION_SUFFIX}"
        try:
            self._save_session(0)
        except OSError as error:
            self.writer.stop()
            raise ConfigError(f"cannot record into {str(self.folder)!r}: {error}") from None
        for rule in rules:
            self.market.watch(rule, self.kinds)
        self.session.start()

    async def stop(self) -> None:
        """Close the socket, then write and finish what is pending. What could not be written is in `report()`."""
        await self.session.stop()
        self.writer.stop()
        try:
            self._save_session(clock.epoch_ns())
        except OSError as error:
            log.error("recording: the session file could not be written: %s", error)

    def tick(self) -> None:
        """Call it a few times a second: unconfirmed subscriptions and silent books are asked for again."""
        self.market.tick(clock.epoch_ns())

    def report(self) -> dict[str, Any]:
        return {
            "network": self.network.name,
            "coins": self.coins,
            "kinds": sorted(self.kinds),
            "stream": str(self.session.state),
            "connections": self.session.connections,
            "closes": dict(self.session.closes),
            "venue_errors": dict(self.errors),
            **self.writer.report(),
        }

    def _save_session(self, ended_ns: int) -> None:
        assert self._session_file is not None
        said = self.report()
        said["files"] = [Path(name).name for name in said["files"]]
        text = orjson.dumps({"started_ns": self._started_ns, "ended_ns": ended_ns, **said, **self._instruments})
        part = self._session_file.with_name(self._session_file.name + ".part")
        part.write_bytes(text)
        os.replace(part, self._session_file)

    # -- what the socket says ---------------------------------------------------------------------------------------
    def _on_live(self) -> None:
        if self.session.state is StreamState.SUBSCRIBING:
            self.session.set_state(StreamState.LIVE, "subscribed")

    def _on_state(self, state: StreamState, reason: str) -> None:
        if state in (StreamState.DOWN, StreamState.CONNECTING):
            self.market.mark_stale(reason)

    def _on_cold(self, channel: str, data: Any, recv_ns: int) -> None:
        if channel == "subscriptionResponse":
            self.market.on_subscription_response(data)
        elif channel == "pong":
            self.session.note_pong()
        elif channel == "error":
            self.market.on_error(str(data))
            self._count(str(data).partition(":")[0][:60])

    def _on_unreadable(self, kind: str, detail: str, excerpt: bytes) -> None:
        self._count(kind)

    def _count(self, what: str) -> None:
        if what not in self.errors:
            log.warning("recording: %s", what)
        if what in self.errors or len(self.errors) < 100:
            self.errors[what] = self.errors.get(what, 0) + 1


async def _query(http: HttpClient, kind: str) -> Any:
    try:
        status, body = await http.post_json("/info", {"type": kind})
        if status == 200:
            return orjson.loads(body)
    except (UnknownOutcome, orjson.JSONDecodeError) as error:
        raise NotReady(f"the query {kind!r} was not answered: {error}") from error
    raise NotReady(f"the venue answered {status} to the query {kind!r}: {body[:200]!r}")
