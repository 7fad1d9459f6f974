"""HTTP requests to the venue (layer 2, cold): one warm session, finite times, nothing sent twice. Seconds.

    http = HttpClient("https://api.hyperliquid.xyz")
    status, body = await http.post_json("/info", {"type": "meta"})
    await http.close()

The session is opened by the first request, in its event loop, and aiohttp is imported then. Redirects are not followed:
a request goes to the host that was named, or nowhere. TLS is verified; plain http:// is for loopback, unless
`allow_insecure=True`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from hlfast.config import is_loopback
from hlfast.errors import ConfigError, NotReady, UnknownOutcome

if TYPE_CHECKING:
    import aiohttp

KEEPALIVE_SECONDS = 60.0
"""Idle connections are dropped after this: the venue's are known to die unnoticed after some minutes."""


class HttpClient:
    """POSTs JSON to paths under `base_url`. `timeout` limits a whole request, `connect_timeout` its connection."""

    def __init__(
        self,
        base_url: str,
        *,
        allow_insecure: bool = False,
        timeout: float = 10.0,
        connect_timeout: float = 3.0,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"an HTTP address looks like https://host, got {base_url!r}")
        if parts.scheme == "http" and not is_loopback(base_url) and not allow_insecure:
            raise ConfigError(
                f"{base_url!r} is not encrypted and not on this machine; use https://, "
                "or say allow_insecure=True if you mean it"
            )
        self.base_url = base_url.rstrip("/")
        self.timeout, self.connect_timeout = timeout, connect_timeout
        self._session: aiohttp.ClientSession | None = None

    async def post_json(self, path: str, payload: Any) -> tuple[int, bytes]:
        """Send `payload` (bytes go as they are), and return the status and the body, whatever the status is.

        Raises `NotReady` if no connection could be made: nothing was sent. Raises `UnknownOutcome` if the request
        may have been received and no answer came. Never tries again.
        """
        import aiohttp

        session = self._session
        if session is None or session.closed:
            session = self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=self.connect_timeout),
                connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_SECONDS),
                headers={"Content-Type": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        url = self.base_url + path
        body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        try:
            async with session.post(url, data=body, allow_redirects=False) as answer:
                return answer.status, await answer.read()
        except aiohttp.ClientConnectorError as error:
            raise NotReady(self._unreachable(url, str(error))) from None
        except asyncio.TimeoutError as error:
            if type(error).__name__ == "ConnectionTimeoutError":  # aiohttp has it since 3.10
                raise NotReady(self._unreachable(url, f"no connection within {self.connect_timeout:g} s")) from error
            raise UnknownOutcome(
                f"no answer from {url} within {self.timeout:g} s; the request may have been received: ask before repeating"
            ) from error
        except aiohttp.ClientError as error:
            raise UnknownOutcome(
                f"{url}: {type(error).__name__}: {error}; the request may have been received: ask before repeating"
            ) from error

    def _unreachable(self, url: str, why: str) -> str:
        remedy = (
            "is the local exchange running? Start one with `hlfast sim`, or give the port that it listens on"
            if is_loopback(url)
            else "check the network and the address, and try again"
        )
        return f"cannot reach {url}: {why}; {remedy}"

    async def close(self) -> None:
        """Close the session and its connections. A later request opens a new one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
