"""HTTP for the drop-in (layer 5): a session with the face of `requests.Session` that its users touch, on `http.client`.

    session.headers["X-Mine"] = "1"; session.proxies["https"] = "http://proxy:3128"
    response = session.post(url, json={...}, timeout=(5, 10))       # .status_code .text .content .headers .json()

Synchronous and safe from many threads: each request has a connection to itself, taken from those that are idle. One that
was idle for long, or that its peer has closed, is renewed before use. A request that still meets a dead connection is
sent once more on a fresh one, with identical bytes; no other request is ever repeated. Redirects are not followed.
TLS is verified, always beyond this machine. The connection classes are looked up at each connection, so that recorders
that replace them see every request.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hlfast.clock import monotonic_ns
from hlfast.compat.hyperliquid import transport
from hlfast.compat.hyperliquid.endpoints import defaults
from hlfast.errors import ConfigError

if TYPE_CHECKING:
    import http.client
    import ssl

log = logging.getLogger("hlfast.compat")

IDLE_SECONDS = 50.0
"""A connection that has been idle for longer is renewed: the venue's are known to die unnoticed after some minutes."""

_compact = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_told_plain: set[str] = set()
_contexts: dict[Any, ssl.SSLContext] = {}


class _Writer:
    """Bound by the first body: the compiled check and orjson, which the import need not wait for."""

    is_exact: Callable[[object], bool]
    dumps: Callable[[Any], bytes]
    is_loaded = False

    @classmethod
    def load(cls) -> None:
        import orjson

        from hlfast.venues.hyperliquid.wire import is_exact

        cls.is_exact, cls.dumps = staticmethod(is_exact), staticmethod(orjson.dumps)
        cls.is_loaded = True


def body_of(payload: Any) -> bytes:
    """`payload` as JSON, keys in their order. Raises `ValueError` for NaN and infinities."""
    if not _Writer.is_loaded:
        _Writer.load()
    if _Writer.is_exact(payload):
        try:
            return _Writer.dumps(payload)
        except (TypeError, ValueError):  # text that is not UTF-8
            pass
    return _compact.encode(payload).encode()


class Headers(Mapping[str, str]):
    """The headers of an answer, found in any spelling; shown and compared as those of `requests` are."""

    def __init__(self, lines: Iterable[tuple[str, str]]) -> None:
        self._lines: dict[str, tuple[str, str]] = {}
        for name, value in lines:
            _, before = self._lines.get(name.lower(), (name, ""))
            self._lines[name.lower()] = name, f"{before}, {value}" if before else value

    def __getitem__(self, name: str) -> str:
        return self._lines[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._lines.values())

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return {key: value for key, (_, value) in self._lines.items()} == {
            str(name).lower(): value for name, value in other.items()
        }

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self._lines.values()))


class Response:
    """An answer, with the names of `requests.Response` that programs use."""

    def __init__(self, url: str, status_code: int, reason: str, headers: Any, content: bytes, resent: bool) -> None:
        self.url, self.status_code, self.reason, self._headers, self.content = (
            url,
            status_code,
            reason,
            headers,
            content,
        )
        self.resent = resent
        self.encoding = "utf-8"

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"

    @property
    def headers(self) -> Headers:
        return Headers(self._headers.items())

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The parsed body. Raises `ValueError`."""
        return json.loads(self.content)


@lru_cache(maxsize=256)
def _parts(url: str) -> tuple[str, str, str, str]:
    """(scheme, host and port, host, path with query)"""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, parts.netloc, parts.hostname or "", path


class _Idle:
    __slots__ = ("connection", "since_ns")

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.since_ns = monotonic_ns()


class Session:
    """See the module. `verify`: True, or the path of a file with certificates; False for this machine alone."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {
            "User-Agent": "hlfast",
            "Accept-Encoding": "gzip, deflate",
            "Accept": "*/*",
            "Connection": "keep-alive",
        }
        self.proxies: dict[str, str] = {}
        self.verify: Any = True
        self.trust_env = True
        self._idle: dict[Any, list[_Idle]] = {}
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._heads: dict[Any, bytes] = {}
        self._proxies: dict[tuple[str, str], str | None] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections. A later request opens a new one."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for kept in idle.values():
            for one in kept:
                one.connection.close()

    def post(self, url: str, data: Any = None, json: Any = None, *, timeout: Any = None, **options: Any) -> Response:
        """POST `json` (or the bytes or text `data`) and return the answer, whatever its status.

        `headers=` adds to the session's; `timeout=` as in `requests`, None for the configured default. Raises what
        `transport` describes.
        """
        extra = options.pop("headers", None)
        if options:
            raise ConfigError(
                f"this session does not take {', '.join(sorted(options))}; assign a requests.Session to .session for more"
            )
        body = body_of(json) if data is None else data.encode() if isinstance(data, str) else bytes(data)
        limits = transport.timeouts(defaults.timeout if timeout is None else timeout)
        return self._send(url, body, {**self.headers, **extra} if extra else self.headers, limits, "/exchange" in url)

    # -- one request ------------------------------------------------------------------------------------------------
    def _send(self, url: str, body: bytes, headers: Any, limits: Any, is_action: bool) -> Response:
        scheme, netloc, host, path = _parts(url)
        where = (scheme, netloc, self._proxy(scheme, host), self.verify)
        connection, is_reused = self._take(where, url, limits, is_action)
        resent = False
        while True:
            try:
                response = self._exchange(connection, where, url, path, body, headers, limits, resent)
            except _Dead as dead:
                connection.close()
                if is_reused and not resent and not dead.had_answer and not dead.is_timeout:
                    resent = True
                    self._drop_idle(where)
                    try:
                        connection, _ = self._take(where, url, limits, is_action)
                    except transport.TransportError as failure:
                        raise self._failed(
                            url, f"the connection was dead, and {failure}", True, is_action, False
                        ) from None
                    continue
                raise self._failed(url, dead.why, True, is_action, dead.is_timeout) from dead.__cause__
            return response

    def _exchange(
        self, connection: Any, where: Any, url: str, path: str, body: bytes, headers: Any, limits: Any, resent: bool
    ) -> Response:
        import http.client

        began = False
        try:
            if type(connection) in _PLAIN and where[2] is None:
                head = self._head(connection, path, headers)
                connection.sock.settimeout(limits[1])
                connection.sock.sendall(head + b"%d\r\n\r\n" % len(body) + body)
                answer = http.client.HTTPResponse(connection.sock, method="POST")
                answer.begin()
            else:
                target = path if where[0] == "https" or where[2] is None else url
                connection.request("POST", target, body=body, headers=_lines(headers))
                answer = connection.getresponse()
            began = True
            content = _decoded(answer.read(), answer.headers.get("Content-Encoding"))
        except (OSError, http.client.HTTPException) as error:
            raise _Dead(error, began) from error
        if getattr(answer, "will_close", False) or not getattr(connection, "sock", None):
            connection.close()
        else:
            self._idle.setdefault(where, []).append(_Idle(connection))
        return Response(url, answer.status, answer.reason, answer.headers, content, resent)

    def _head(self, connection: Any, path: str, headers: Any) -> bytes:
        """The request's head up to the length of its body, made once for the same headers."""
        key = (connection.host, connection.port, connection.default_port, path, *headers.items())
        made = self._heads.get(key)
        if made is None:
            host = f"[{connection.host}]" if ":" in connection.host else connection.host
            port = "" if connection.port == connection.default_port else f":{connection.port}"
            lines = _lines({"Host": host + port, **headers})
            for name, value in lines.items():
                if any(c in name + value for c in "\r\n"):
                    raise ConfigError(f"a header has no line breaks, and {name!r} has one")
            text = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            if len(self._heads) > 64:
                self._heads.clear()
            made = self._heads[key] = text.encode("latin-1") + b"Content-Length: "
        return made

    def _failed(
        self, url: str, why: str, was_sent: bool, is_action: bool, is_timeout: bool
    ) -> transport.TransportError:
        if is_action and was_sent:
            why += "; it may have been executed: ask by cloid or open orders before you repeat it"
        return transport.error(f"{url}: {why}", was_sent=was_sent, is_action=is_action, is_timeout=is_timeout)

    # -- connections ------------------------------------------------------------------------------------------------
    def _take(self, where: Any, url: str, limits: Any, is_action: bool) -> tuple[Any, bool]:
        """A connection that nobody else uses, and whether it was used before."""
        if self._pid != os.getpid():  # after a fork the sockets are the parent's
            self._pid, self._idle = os.getpid(), {}
        kept = self._idle.get(where)
        while kept:
            try:
                idle = kept.pop()
            except IndexError:
                break
            is_fresh = monotonic_ns() - idle.since_ns < IDLE_SECONDS * 1e9
            if is_fresh and type(idle.connection) is _current(where) and not _is_closed(idle.connection):
                return idle.connection, True
            idle.connection.close()
        return self._connect(where, url, limits, is_action), False

    def _drop_idle(self, where: Any) -> None:
        for idle in self._idle.pop(where, ()):
            idle.connection.close()

    def _connect(self, where: Any, url: str, limits: Any, is_action: bool) -> Any:
        import http.client
        import socket

        from hlfast.config import is_loopback

        scheme, netloc, proxy, verify = where
        parts = urlsplit(f"{scheme}://{netloc}")
        host, port = parts.hostname or "", parts.port
        if scheme not in ("http", "https") or not host:
            raise ConfigError(f"an address looks like https://host, got {url!r}")
        if scheme == "http" and not is_loopback(url) and netloc not in _told_plain:
            _told_plain.add(netloc)
            log.warning(
                "%s is not encrypted and not on this machine: anyone on the way can read and change what is sent", url
            )
        made: Any
        try:
            if proxy is None:
                if scheme == "https":
                    made = http.client.HTTPSConnection(host, port, timeout=limits[0], context=_context(verify, url))
                else:
                    made = http.client.HTTPConnection(host, port, timeout=limits[0])
            else:
                via = urlsplit(proxy)
                if via.scheme not in ("http", "") or not via.hostname:
                    raise ConfigError(
                        f"a proxy looks like http://host:port, got one with {via.scheme}://; "
                        "for other kinds assign a requests.Session to .session"
                    )
                login = {}
                if via.username is not None:
                    from base64 import b64encode

                    pair = f"{unquote(via.username)}:{unquote(via.password or '')}"
                    login = {"Proxy-Authorization": "Basic " + b64encode(pair.encode()).decode()}
                if scheme == "https":
                    made = http.client.HTTPSConnection(
                        via.hostname, via.port or 80, timeout=limits[0], context=_context(verify, url)
                    )
                    made.set_tunnel(host, port or 443, login)
                else:
                    made = http.client.HTTPConnection(via.hostname, via.port or 80, timeout=limits[0])
            _PLAIN.update(
                cls
                for cls in (http.client.HTTPConnection, http.client.HTTPSConnection)
                if cls.__module__ == "http.client" and getattr(cls.request, "__module__", "") == "http.client"
            )
            if type(made) not in _PLAIN:
                return made  # a recorder's: it decides whether there is a connection at all
            made.connect()
        except TimeoutError as error:
            text = f"cannot reach {netloc}: no connection within {limits[0]:g} s; nothing was sent"
            raise self._failed(url, text, False, is_action, True) from error
        except (OSError, http.client.HTTPException) as error:
            remedy = "is it running?" if is_loopback(url) else "check the network and the address"
            text = f"cannot reach {netloc}: {error}; nothing was sent; {remedy}"
            raise self._failed(url, text, False, is_action, False) from error
        try:
            made.sock.settimeout(limits[1])
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, AttributeError):
            pass  # no socket of this system: then without
        return made

    def _proxy(self, scheme: str, host: str) -> str | None:
        """The proxy for a host: the session's, else the environment's, as `requests` reads them."""
        proxies = self.proxies
        found = (
            proxies.get(f"{scheme}://{host}")
            or proxies.get(scheme)
            or proxies.get(f"all://{host}")
            or proxies.get("all")
            if proxies
            else None
        )
        if found or not self.trust_env:
            return found or None
        key = (scheme, host)
        if key not in self._proxies:
            from urllib.request import getproxies, proxy_bypass

            from hlfast.config import is_loopback

            known = getproxies()
            skip = proxy_bypass(host) or is_loopback(f"{scheme}://{host}")
            self._proxies[key] = None if skip else known.get(scheme) or known.get("all")
        return self._proxies[key]


_PLAIN: set[type] = set()
"""The standard library's own connection classes, once seen unchanged: their requests are written in one piece."""


def _current(where: Any) -> type:
    import http.client

    return http.client.HTTPSConnection if where[0] == "https" else http.client.HTTPConnection


def _lines(headers: Any) -> dict[str, str]:
    """Headers by their last spelling; None leaves one out."""
    chosen = {"content-type": ("Content-Type", "application/json")}
    for name, value in headers.items():
        chosen[name.lower()] = (name, value)
    return {name: str(value) for name, value in chosen.values() if value is not None}


class _Dead(Exception):
    """The connection ended before the answer was whole."""

    def __init__(self, error: BaseException, had_answer: bool) -> None:
        super().__init__(str(error))
        self.is_timeout = isinstance(error, TimeoutError)
        self.had_answer = had_answer or type(error).__name__ in ("BadStatusLine", "LineTooLong", "UnknownProtocol")
        named = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.why = "no answer in time" if self.is_timeout else f"the connection ended without a whole answer ({named})"


def _is_closed(connection: Any) -> bool:
    """True if the peer has hung up, or said something that nobody asked for."""
    sock = getattr(connection, "sock", None)
    if sock is None:
        return True
    try:
        import select

        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        return bool(waiting.poll(0))
    except (OSError, TypeError, ValueError, AttributeError):
        return False  # a recorder's socket


def _context(verify: Any, url: str) -> ssl.SSLContext:
    import ssl

    from hlfast.config import is_loopback

    if verify is False:
        if not is_loopback(url):
            raise ConfigError("verify=False is for this machine alone: whoever stands between could change your orders")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    source = verify if isinstance(verify, str) else None
    source = source or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    found = _contexts.get(source)
    if found is None:
        folder = source if source and os.path.isdir(source) else None
        found = ssl.create_default_context(cafile=None if folder else source, capath=folder)
        _contexts[source] = found
    return found


def _decoded(content: bytes, encoding: str | None) -> bytes:
    import zlib

    if not encoding or not content:
        return content
    kind = encoding.lower().strip()
    try:
        if kind in ("gzip", "x-gzip"):
            return zlib.decompress(content, 31)
        if kind == "deflate":
            try:
                return zlib.decompress(content)
            except zlib.error:
                return zlib.decompress(content, -15)
    except zlib.error as error:
        raise OSError(f"the body is not {kind}: {error}") from error
    return content
