"""The drop-in beside the official SDK: one order from the call to its bytes, frames to a callback, and the import.

An order ends with the request's body (the SDK) or the whole request in the hands of a socket (the drop-in, which does
more by then). Frames come over a real socket from a process of its own (`python -m benchmarks.pipeline.sdk_dropin COUNT
CHANNEL`), as fast as they are taken; a frame's time is that between the first and the last callback, by their number.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import orjson

from benchmarks import ROOT
from benchmarks.kernels.signing import intents
from benchmarks.measure import frozen, same, summarise, timed
from benchmarks.peers import sdk
from benchmarks.peers.plain import Intent
from benchmarks.pipeline.footprint import start_up
from benchmarks.registry import Effort, Measured, Mismatch, Role, pipeline, times_faster
from benchmarks.wire import BTC, Feed
from hlfast import clock
from hlfast.config import SIMULATOR_TEST_KEY

OURS = "hlfast.compat.hyperliquid"
THEIRS = "hyperliquid"
META = {"universe": [{"name": "BTC", "szDecimals": 5}]}
NO_SPOT: dict[str, Any] = {"universe": [], "tokens": []}


# -- orders -------------------------------------------------------------------------------------------------------------
class Written(BaseException):
    """The request is in the hands of the socket: nothing after that is timed."""


class _Socket:
    """A connection's socket that keeps what it is given, and ends the call there."""

    def __init__(self) -> None:
        self.near, self._far = socket.socketpair()
        self.fileno = self.near.fileno
        self.data = b""

    def settimeout(self, seconds: float | None) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        self.data = data
        raise Written


class Orders:
    """`Exchange.order` of either library, up to its bytes."""

    def __init__(self, package: str) -> None:
        self.module = import_module(f"{package}.exchange")
        self.cloid = import_module(f"{package}.utils.types").Cloid.from_str
        self.body = b""
        url = "http://127.0.0.1:1"
        self.exchange = self.module.Exchange(sdk.wallet(SIMULATOR_TEST_KEY), url, meta=META, spot_meta=NO_SPOT)
        if package == OURS:
            from hlfast.compat.hyperliquid import session

            self._socket = _Socket()
            connection = http.client.HTTPConnection("127.0.0.1", 1)
            connection.sock = self._socket  # type: ignore[assignment]
            session._PLAIN.add(http.client.HTTPConnection)
            where = ("http", "127.0.0.1:1", None, True)
            self.again = lambda: self.exchange.session._idle.update({where: [session._Idle(connection)]})
        else:
            self.again = lambda: None
            self.exchange.post = self._post  # its HTTP library is left out

    def _post(self, url_path: str, payload: Any = None) -> None:
        self.body = json.dumps(payload, allow_nan=False).encode()
        raise Written

    def place(self, one: Intent) -> None:
        with contextlib.suppress(Written):
            self.exchange.order(
                one.coin,
                one.is_buy,
                float(one.sz),
                float(one.px),
                {"limit": {"tif": one.tif}},
                cloid=self.cloid(one.cloid),
            )

    def placed(self, one: Intent, nonce: int) -> Any:
        """The body of an order with that nonce."""
        own, self.module.get_timestamp_ms = self.module.get_timestamp_ms, lambda: nonce
        try:
            self.again()
            self.place(one)
        finally:
            self.module.get_timestamp_ms = own
        return orjson.loads(self.body or self._socket.data.partition(b"\r\n\r\n")[2])


@pipeline("dropin_order", "the drop-in: Exchange.order() → bytes for the socket", times_faster(8))
def dropin_order(effort: Effort) -> list[Measured]:
    orders, pool = {"hlfast": Orders(OURS)}, intents(200)
    if sdk.is_installed():
        orders[sdk.NAME] = Orders(THEIRS)
        for at, one in enumerate(pool[:20]):
            bodies = {who: side.placed(one, 1_790_000_000_000 + at) for who, side in orders.items()}
            same("dropin_order", sdk.NAME, [bodies[sdk.NAME]], "hlfast", [bodies["hlfast"]])
    taken: dict[str, list[int]] = {who: [] for who in orders}
    with frozen():
        for at in range(effort.orders):
            for who, side in orders.items():
                if who == "hlfast" or at % 4 == 0:
                    side.again()
                    taken[who].append(timed(side.place, pool[at % len(pool)])[0])
    roles = {"hlfast": Role.HLFAST}
    return [summarise(who, roles.get(who, Role.PEER), times) for who, times in taken.items()]


# -- frames -------------------------------------------------------------------------------------------------------------
BLOB = 500


def frames(kind: str) -> list[bytes]:
    feed = Feed(3)
    return [feed.bbo(BTC) if kind == "bbo" else feed.book(BTC, 5 if kind == "l2Book-5" else 20) for _ in range(BLOB)]


def flood(count: int, kind: str) -> None:
    """Serve one client: upgrade, wait for its subscription, then frames without a pause. Prints the port."""
    blob = b"".join(
        (b"\x81" + (bytes([len(f)]) if len(f) < 126 else b"\x7e" + struct.pack(">H", len(f)))) + f for f in frames(kind)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    client, _ = listener.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(65536)
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
    client.sendall(upgrade % accept)
    client.recv(65536)
    with contextlib.suppress(OSError):
        for _ in range(count // BLOB):
            client.sendall(blob)
        client.recv(65536)
        while client.recv(65536):
            pass


def listen(package: str, kind: str, count: int) -> float:
    """Nanoseconds a frame, through a subscription of one library."""
    command = [sys.executable, "-m", "benchmarks.pipeline.sdk_dropin", str(count), kind]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        manager = import_module(f"{package}.websocket_manager").WebsocketManager(f"http://127.0.0.1:{port}")
        heard, first_ns, last_ns, done = 0, 0, 0, threading.Event()

        def callback(frame: Any) -> None:
            nonlocal heard, first_ns, last_ns
            heard += 1
            if heard == 1:
                first_ns = clock.monotonic_ns()
            elif heard == count:
                last_ns = clock.monotonic_ns()
                done.set()

        channel = kind.partition("-")[0]
        manager.subscribe({"type": channel, "coin": "BTC"}, callback)
        if package == OURS:
            manager.ws.backlog_limit = count  # all of them are to be called back, however far behind
        manager.start()
        is_done = done.wait(60)
        manager.stop_event.set()
        manager.ws.close()
        server.terminate()
    if not is_done:
        raise Mismatch(f"{package} heard {heard} of {count} frames")
    return (last_ns - first_ns) / (count - 1)


def measured_frames(kind: str, effort: Effort) -> list[Measured]:
    scale = max(1, effort.orders // 500)
    sides = [("hlfast", OURS, Role.HLFAST, 20_000 * scale)]
    if sdk.is_installed():
        sides.append((sdk.NAME, THEIRS, Role.PEER, 2_500 * scale))
    rows = []
    for who, package, role, count in sides:
        times = sorted(listen(package, kind, count) for _ in range(3))
        rows.append(Measured(who, role, times[1], count=count))
    return rows


@pipeline("dropin_bbo", "the drop-in: a bbo frame from the socket to a callback, at full speed", times_faster(20))
def dropin_bbo(effort: Effort) -> list[Measured]:
    return measured_frames("bbo", effort)


@pipeline(
    "dropin_book_5", "the drop-in: an l2Book frame of 2×5 levels, from the socket to a callback", times_faster(20)
)
def dropin_book_5(effort: Effort) -> list[Measured]:
    return measured_frames("l2Book-5", effort)


@pipeline(
    "dropin_book_20", "the drop-in: an l2Book frame of 2×20 levels, from the socket to a callback", times_faster(20)
)
def dropin_book_20(effort: Effort) -> list[Measured]:
    return measured_frames("l2Book-20", effort)


# -- import -------------------------------------------------------------------------------------------------------------
@pipeline("dropin_import", "the drop-in: import of Exchange, over a bare interpreter", times_faster(4))
def dropin_import(effort: Effort) -> list[Measured]:
    bare = start_up("pass", effort.starts)
    sides: Sequence[tuple[str, str, Role]] = [("hlfast", OURS, Role.HLFAST)]
    if sdk.is_installed():
        sides = [*sides, (sdk.NAME, THEIRS, Role.PEER)]
    rows = [
        Measured(
            who, role, start_up(f"from {package}.exchange import Exchange", effort.starts) - bare, count=effort.starts
        )
        for who, package, role in sides
    ]
    own = start_up("import hlfast", effort.starts) - bare
    return [*rows, Measured("over `import hlfast`", Role.STAGE, rows[0].value - own, count=effort.starts)]


if __name__ == "__main__":
    flood(int(sys.argv[1]), sys.argv[2])
