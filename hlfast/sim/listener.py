"""The exchange's listening socket (local exchange, layer 5): bind it, refuse connections for a while, come back.

What must hold: while it refuses, the port stays ours (bound and not listening), so that nobody else can take it.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable

from hlfast.errors import ConfigError

BACKLOG = 256


class Listener:
    """One port. `open` binds, `serve` accepts, `refuse` stops accepting for some seconds of the wall's time."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._factory: Callable[[], asyncio.BaseProtocol] | None = None
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None
        self._reopening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Bind; `port` is the real one from here on. Raises ConfigError."""
        self._kept = bind(self.host, self.port)
        self.port = self._kept.getsockname()[1]

    async def serve(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        """Accept from now on."""
        self._factory = factory
        await self._listen()

    async def _listen(self) -> None:
        sock, self._kept = self._kept, None
        assert sock is not None and self._factory is not None
        # In two steps: cancelled while it starts to serve, asyncio forgets a server that listens on for ever.
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._factory, sock=sock, backlog=BACKLOG, start_serving=False)
        await self._server.start_serving()

    async def refuse(self, seconds: float) -> None:
        """No new connections for so long; open ones stay. It comes back by itself, and a further call starts anew."""
        was_refusing = self._kept is not None
        await self._end_refusal()
        if seconds > 0 or was_refusing:
            self._stop_listening()
            self._kept = await self._keep_port()
            self._reopening = asyncio.create_task(self._reopen(seconds))

    async def close(self) -> None:
        await self._end_refusal()
        self._stop_listening()

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _keep_port(self) -> socket.socket:
        for _ in range(50):
            try:
                return bind(self.host, self.port)
            except ConfigError:
                await asyncio.sleep(0.01)
        return bind(self.host, self.port)

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _end_refusal(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.gather(self._reopening, return_exceptions=True)
            self._reopening = None
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def loopback_host(host: str) -> str:
    """The loopback address that `host` names. Raises ConfigError for any other."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ConfigError(f"the local exchange binds loopback only (127.0.0.1, ::1 or localhost), got {host!r}")
    return str(address)


def bind(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ConfigError if the port is taken or not allowed."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
        return sock
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is in use by another process; "
                "stop that one, or choose another port (0 takes any free one)"
            ) from None
        raise ConfigError(f"cannot bind port {port} on {host}: {error.strerror}; choose another port") from None
