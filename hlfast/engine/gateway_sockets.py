"""The gateway's ZeroMQ sockets (layer 4): where they are bound, who may reach them, and how they are read and written.

`ipc` (default): files in one folder of mode 0700, so the user is the allow-list. `tcp`: the contract's loopback ports.
A bind beyond loopback is refused without CURVE and an allow-list of client keys. With CURVE every connection is proven
to belong to a listed key, and a key has rights: "trade" (orders are taken) or "read" (orders are answered with a
rejection). pyzmq is imported when a gateway is made, never before.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hlfast.config import StateDirectory, is_loopback
from hlfast.errors import ConfigError

NAMES = ("orders", "reports", "trades", "books", "events")
PORTS = {"orders": 5601, "reports": 5602, "trades": 5556, "books": 5557, "events": 5603}
HIGH_WATER = {"orders": 10_000, "reports": 100_000, "trades": 10_000, "books": 10_000, "events": 100_000}
RESERVED_PORT = 5562
RIGHTS = ("trade", "read")
RECEIVE_MAX = 1 << 20
"""Bytes of a message above which ZeroMQ itself cuts the connection; between 64 KiB and this it is answered."""
LINGER_MS = 1_000
AT_ONCE = 100
"""Orders read in one turn of the loop, so that the venue's frames are not kept waiting."""
IPC_PATH_MAX = 100
ZAP = "inproc://zeromq.zap.01"


def load_zmq() -> Any:
    """pyzmq, or `ConfigError` that says how to get it."""
    try:
        import zmq
    except ImportError as error:
        raise ConfigError(
            "the gateway needs pyzmq, which is an extra: pip install 'hlfast[zmq]' (or pip install pyzmq)"
        ) from error
    return zmq


@dataclass(frozen=True)
class Curve:
    """Encryption and the allow-list. `secret_key`: Z85 text of the gateway; `clients`: public key → its rights."""

    secret_key: str = field(repr=False)
    clients: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for key, rights in self.clients.items():
            if len(key) != 40:
                raise ConfigError(f"a client's public key is 40 characters of Z85, got {len(key)} of them")
            if not rights or not set(rights) <= set(RIGHTS):
                raise ConfigError(f"rights of a client are of {', '.join(RIGHTS)}, got {rights!r}")


def default_directory(name: str) -> Path:
    """Where the `ipc` sockets of a gateway lie: in the user's runtime folder, else in the state directory."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (Path(runtime) / "hlfast" if runtime else StateDirectory().path / "gateway") / name


def endpoints_of(transport: str, directory: Path, given: Mapping[str, str], host: str, port: int) -> dict[str, str]:
    """Socket → endpoint. `given` overrides single ones; `host` and `port` (of trades) are for tcp."""
    if transport not in ("ipc", "tcp"):
        raise ConfigError(f"transport is ipc or tcp, got {transport!r}")
    ports = {**PORTS, "trades": port, "books": port + 1}
    found = {}
    for name in NAMES:
        plain = f"ipc://{directory / name}" if transport == "ipc" else f"tcp://{host}:{ports[name]}"
        found[name] = given.get(name) or plain
    taken = [one for one in found.values() if not one.endswith(":0") and not one.endswith(":*")]
    if len(set(taken)) != len(taken):
        raise ConfigError(f"two sockets have the same endpoint: {', '.join(sorted(taken))}")
    return found


def check_endpoint(endpoint: str, curve: Curve | None) -> None:
    """Raises `ConfigError` for what must not be bound."""
    parts = urlsplit(endpoint)
    if parts.scheme == "ipc":
        path = endpoint[len("ipc://") :]
        if len(path.encode()) > IPC_PATH_MAX:
            raise ConfigError(f"the path {path} is too long for a socket (at most {IPC_PATH_MAX} bytes); set directory")
        return
    if parts.scheme == "inproc":
        return
    if parts.scheme != "tcp":
        raise ConfigError(f"an endpoint is ipc://path or tcp://host:port, got {endpoint!r}")
    if endpoint.endswith(f":{RESERVED_PORT}"):
        raise ConfigError(f"port {RESERVED_PORT} is reserved; use another one")
    if not is_loopback(endpoint) and (curve is None or not curve.clients):
        raise ConfigError(
            f"{endpoint} can be reached from other machines: that needs CURVE and an allow-list of client keys "
            "(settings curve.secret_key_file and curve.clients), or bind to 127.0.0.1"
        )


class Sockets:
    """All five, bound. `on_message(frames, may_trade)` is called for every message of the order socket."""

    def __init__(self, endpoints: Mapping[str, str], curve: Curve | None = None) -> None:
        self._zmq = zmq = load_zmq()
        for endpoint in endpoints.values():
            check_endpoint(endpoint, curve)
        self._curve = curve
        self._locks: list[int] = []
        self._stopped = False
        self._reading: Any = None
        self._zap: Any = None
        self.unknown_clients = 0
        self.context = zmq.Context()
        self.sockets: dict[str, Any] = {}
        self.endpoints: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        try:
            for folder in {Path(e[len("ipc://") :]).parent for e in endpoints.values() if e.startswith("ipc://")}:
                self._locks.append(private_folder(folder))
            if curve is not None:
                self._serve_zap()
            for name in NAMES:
                self._bind(name, endpoints[name])
        except BaseException:
            self.abandon()
            raise

    def _bind(self, name: str, endpoint: str) -> None:
        zmq = self._zmq
        socket = self.context.socket(zmq.PULL if name == "orders" else zmq.PUB)
        self.sockets[name] = socket
        socket.linger = 0
        socket.set_hwm(HIGH_WATER[name])
        socket.ipv6 = "[" in endpoint
        if name == "orders":
            socket.setsockopt(zmq.MAXMSGSIZE, RECEIVE_MAX)
        if self._curve is not None:
            socket.curve_server = True
            socket.curve_secretkey = self._curve.secret_key.encode()
            socket.zap_domain = name.encode()
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise ConfigError(
                f"{name}: {endpoint} cannot be bound: {error}; is another gateway running there?"
            ) from None
        self.endpoints[name] = socket.getsockopt_string(zmq.LAST_ENDPOINT)

    # -- reading ----------------------------------------------------------------------------------------------------
    def read(self, on_message: Callable[[list[bytes], bool], object]) -> None:
        """From now on, until `stop_reading`."""
        self._reading = on_message
        self._loop.add_reader(self.sockets["orders"].fileno(), self._on_orders)
        self._loop.call_soon(self._on_orders)  # the descriptor tells of changes only

    def _on_orders(self) -> None:
        if self._reading is not None and self.drain(AT_ONCE) == AT_ONCE:
            self._loop.call_soon(self._on_orders)

    def drain(self, limit: int) -> int:
        """Hand over what is there, up to `limit` messages; returns how many."""
        zmq, socket, count = self._zmq, self.sockets["orders"], 0
        while count < limit:
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK, copy=self._curve is None)
            except zmq.Again:
                break
            count += 1
            may_trade = True
            if self._curve is not None:
                try:
                    user = frames[-1].get("User-Id")
                except zmq.ZMQError:
                    user = ""
                may_trade = "trade" in self._curve.clients.get(user, ())
                frames = [frame.bytes for frame in frames]
            self._reading(frames, may_trade)
        return count

    def stop_reading(self) -> None:
        """Hand over what has been received, then take nothing more."""
        if self._reading is None:
            return
        self._loop.remove_reader(self.sockets["orders"].fileno())
        with suppress(self._zmq.ZMQError):
            self.sockets["orders"].unbind(self.endpoints["orders"])
        while self.drain(AT_ONCE):
            pass
        self._reading = None

    # -- clients ----------------------------------------------------------------------------------------------------
    def _serve_zap(self) -> None:
        from zmq.utils import z85

        self._z85 = z85.encode
        self._zap = self.context.socket(self._zmq.REP)
        self._zap.linger = 0
        self._zap.bind(ZAP)
        self._loop.add_reader(self._zap.fileno(), self._on_zap)

    def _on_zap(self) -> None:
        zmq, zap = self._zmq, self._zap
        while zap is not None and zap.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            version, request, _, _, _, mechanism, *credentials = zap.recv_multipart()
            assert self._curve is not None
            user = self._z85(credentials[0]).decode() if mechanism == b"CURVE" and credentials else ""
            known = user in self._curve.clients
            self.unknown_clients += not known
            status, text = (b"200", b"OK") if known else (b"400", b"this key is not on the gateway's list of clients")
            zap.send_multipart([version, request, status, text, user.encode() if known else b"", b""])

    # -- the end ----------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """What is on its way to readers gets a second to leave. Blocks for as long; call it in a thread."""
        self._end(LINGER_MS)

    def detach(self) -> None:
        """No callbacks of the loop any more; to be called in the loop's thread before `close`."""
        self.stop_reading()
        if self._zap is not None:
            self._loop.remove_reader(self._zap.fileno())

    def abandon(self) -> None:
        if self._zap is not None:
            self._loop.remove_reader(self._zap.fileno())
        self._end(0)

    def _end(self, linger_ms: int) -> None:
        if self._stopped:
            return
        self._stopped = True
        for socket in self.sockets.values():
            socket.close(linger_ms)
        if self._zap is not None:
            self._zap.close(0)
        self.context.term()
        for fd in self._locks:
            os.close(fd)


def private_folder(path: Path) -> int:
    """Make the folder for this user alone and hold it for this process; returns the lock. Raises `ConfigError`."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    found = path.stat()
    if not path.is_dir() or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{path} must be a folder of this user with mode 0700: whoever can enter it can trade")
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise ConfigError(f"another gateway has its sockets in {path}; give this one another directory") from None
    return fd
