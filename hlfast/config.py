"""Networks and settings (layer 0): frozen, explicit, never derived from the text of an address.

    from hlfast.config import Network, network
    network("simulator")                                             # http://127.0.0.1:8000
    Network(http_url="http://127.0.0.1:9000", ws_url="ws://127.0.0.1:9000/ws", is_mainnet=False)

`is_mainnet` alone decides how actions are signed (source "a" or "b"). Plain http:// and ws:// are accepted for
loopback only, unless `allow_insecure=True` is given by name.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from hlfast.errors import ConfigError

SIMULATOR_TEST_KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
"""A published test key: the local exchange funds it, and nobody should ever fund it anywhere else."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Network:
    """Where to connect, and which network's signatures to make."""

    http_url: str
    ws_url: str
    is_mainnet: bool
    name: str = "custom"
    allow_insecure: bool = False

    def __post_init__(self) -> None:
        for label, url, secure, plain in (
            ("http_url", self.http_url, "https", "http"),
            ("ws_url", self.ws_url, "wss", "ws"),
        ):
            parts = urlsplit(url)
            if parts.scheme not in (secure, plain) or not parts.hostname:
                raise ConfigError(f"{label} must look like {secure}://host/..., got {url!r}")
            if parts.scheme == plain and not is_loopback(url) and not self.allow_insecure:
                raise ConfigError(
                    f"{label} {url!r} is not encrypted and not on this machine; use {secure}://, "
                    "or say allow_insecure=True if you mean it"
                )

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.http_url) and is_loopback(self.ws_url)


def is_loopback(url: str) -> bool:
    """True if `url` names this machine (127.0.0.0/8, ::1 or localhost)."""
    host = urlsplit(url).hostname or ""
    return host in _LOOPBACK or (host.startswith("127.") and host.replace(".", "").isdigit())


MAINNET = Network("https://api.hyperliquid.xyz", "wss://api.hyperliquid.xyz/ws", True, "mainnet")
TESTNET = Network("https://api.hyperliquid-testnet.xyz", "wss://api.hyperliquid-testnet.xyz/ws", False, "testnet")
SIMULATOR = Network("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws", False, "simulator")

_NETWORKS = {n.name: n for n in (MAINNET, TESTNET, SIMULATOR)}


def shown(value: object) -> str:
    """A value for an error text; what could be a private key is not shown."""
    text = value if isinstance(value, str) else ""
    if re.search("[0-9a-fA-F]{64}", text):
        return "(64 hex digits: this may be a private key and is not shown; did you swap arguments?)"
    return repr(value)


def network(which: str | Network) -> Network:
    """A `Network` from its name ("mainnet", "testnet", "simulator") or the object itself."""
    if isinstance(which, Network):
        return which
    found = _NETWORKS.get(which)
    if found is None:
        raise ConfigError(
            f"unknown network {shown(which)}; give one of {', '.join(_NETWORKS)} or a hlfast.config.Network"
        )
    return found


def simulator(port: int) -> Network:
    """The local exchange on `port` of this machine."""
    return Network(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws", False, "simulator")


@dataclass(frozen=True)
class RiskLimits:
    """Local limits of orders, checked in integers before anything is tracked; 0 means none. Values are in quote units."""

    max_order_value: int = 0
    max_position_value: int = 0
    """Of one instrument: what is held, plus what rests on the same side, plus the new order, at its price."""
    max_open_orders: int = 1000
    max_orders_per_second: int = 0
    price_band_bps: int = 0
    """How far a limit price may go through the best opposite price of a watched book."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"{name} is a whole number from 0 up (0: no limit), got {value!r}")


class PostgresDsn:
    """Where a PostgreSQL database is: `postgresql://user@host:port/name?options`, or `env:NAME` for a variable that says so.

    `str` and `repr` show it without its password; `reveal()` alone gives all of it. A password is better kept in
    `~/.pgpass`, which is read where the address has none. Raises `ConfigError`, which never repeats what was given.
    """

    __slots__ = ("_text", "password")

    def __init__(self, text: str | PostgresDsn) -> None:
        if isinstance(text, PostgresDsn):
            text = text.reveal()
        if text.startswith("env:"):
            name, text = text[4:], os.environ.get(text[4:], "")
            if not text:
                raise ConfigError(f"the environment variable {name} is to name a PostgreSQL database and is not set")
        try:
            parts = urlsplit(text)
            host, options, self.password = parts.hostname, parse_qs(parts.query), parts.password
        except ValueError:
            raise ConfigError("the address of the PostgreSQL database cannot be read (it is not shown)") from None
        if parts.scheme not in ("postgresql", "postgres"):
            raise ConfigError("a PostgreSQL database is given as postgresql://user@host:port/name, or as env:NAME")
        host = options.get("host", [host])[-1]
        self.password = options.get("password", [self.password])[-1]
        if host and not host.startswith("/") and not is_loopback(f"//{host}") and "sslmode" not in options:
            raise ConfigError(
                f"the PostgreSQL server {host} is another machine: say how the connection is protected, ?sslmode=verify-full, "
                "or ?sslmode=disable if you mean it"
            )
        self._text = text

    def reveal(self) -> str:
        """The address with its password, for the driver."""
        return self._text

    def masked(self, text: str) -> str:
        """`text` without the password, however it is spelled."""
        if self.password:
            for word in {self.password, unquote(self.password), quote(self.password, safe="")}:
                text = text.replace(word, "***")
        return text

    def __str__(self) -> str:
        parts = urlsplit(self._text)
        user, at, place = parts.netloc.rpartition("@")
        user = f"{user.partition(':')[0]}:***" if ":" in user else user
        query = re.sub(r"(^|&)(password|sslpassword)=[^&]*", r"\1\2=***", parts.query)
        return f"{parts.scheme}://{user}{at}{place}{parts.path}{'?' if query else ''}{query}"

    def __repr__(self) -> str:
        return f"<PostgresDsn {self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresDsn) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> PostgresDsn:
        return self

    def __deepcopy__(self, memo: object) -> PostgresDsn:
        return self

    def __reduce__(self) -> str:
        raise TypeError("a PostgresDsn may hold a password and cannot be pickled; give its text to the other process")


@dataclass(frozen=True)
class Settings:
    """What a connector may be told; the defaults are those of the design's table."""

    ready_timeout: float = 30.0
    """Seconds that `async with connect(...)` waits until ready."""
    expires_after_ms: int | None = 15_000
    """Expiry of orders that do not rest (Ioc, market); None for none. Resting orders never carry one by default."""
    market_slippage_bps: int = 50
    """A market order's cap, from the best opposite price."""
    book_max_age_ms: int = 10_000
    """A watched book that is silent for so long is stale and asked for anew; market orders need one that is not."""
    hold_ms: int = 5_000
    """How long an end is held back for fills that are due."""
    post_timeout_ms: int = 5_000
    """After this an unanswered request makes its order unresolved. It is never a failure."""
    ping_interval: float = 15.0
    pong_timeout: float = 10.0
    backoff_min: float = 0.25
    backoff_max: float = 5.0
    audit_interval: float = 30.0
    """Seconds between comparisons of fills, positions and balances with the venue's own record."""
    enforce_budgets: bool | None = None
    """Refuse orders that would go beyond the venue's request budgets; None: on every network but loopback ones."""
    foreign_orders: str = "adopt"
    """Resting orders that were not placed here, found after a connection: "adopt" (watch them), "report" or "cancel"."""
    on_stop: str = "leave"
    """Own live orders when the connector is closed (also by Ctrl-C and SIGTERM): "leave" them, or "cancel" them and wait
    for their ends. If some may still rest after `stop_timeout` seconds, leaving `async with` raises `OrdersLeft`."""
    stop_timeout: float = 5.0
    on_handler_error: str = "report"
    """A handler that raised: "report" it as an event, or also "stop" (cancel everything and refuse new orders)."""
    risk: RiskLimits = field(default_factory=lambda: RiskLimits())
    """What every order is checked against before it is tracked."""
    batch_window_ms: float | None = None
    """Single orders that are placed within this window (0: one turn of the event loop; at most 100) leave as one action of
    up to 39, post-only ones apart. None: each is an action of its own, on the wire when `buy()` returns."""
    nonce_pool: int = 0
    """Nonces to keep prepared for the connector's own signer; 0: sign by RFC 6979. Read docs/prepared_nonces.md first."""
    dexs: tuple[str, ...] = ()
    """Builder dexs to load at the start; others are loaded when they are first needed, or by `load_dex`."""
    metadata_cache: bool | None = None
    """Keep the venue's lists of instruments under the user's cache directory, for a start at which it does not answer them;
    None: on every network but loopback ones."""
    client_order_id_prefix: str = "hl"
    fast_cancel: bool = True
    postgres: str | PostgresDsn | None = None
    """A PostgreSQL database that follows the journal (docs/persistence.md). Switches the journal on."""
    equity_interval: float | None = 10.0
    """Seconds between the journal's points of the equity curve; None: none are kept."""

    def __post_init__(self) -> None:
        if isinstance(self.postgres, str):
            object.__setattr__(self, "postgres", PostgresDsn(self.postgres))
        if self.equity_interval is not None and not self.equity_interval > 0:
            raise ConfigError(f"equity_interval is None (off) or a number of seconds, got {self.equity_interval!r}")
        for name, allowed in (
            ("foreign_orders", ("adopt", "report", "cancel")),
            ("on_handler_error", ("report", "stop")),
            ("on_stop", ("leave", "cancel")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if isinstance(self.dexs, str) or not all(isinstance(name, str) and name for name in self.dexs):
            raise ConfigError(f"dexs is a tuple of names of builder dexs, got {self.dexs!r}")
        window = self.batch_window_ms
        if window is not None and not 0 <= window <= 100:
            raise ConfigError(f"batch_window_ms is None (off) or 0 to 100, got {window!r}")


@dataclass(frozen=True)
class StateDirectory:
    """Where hlfast keeps what must survive a restart: `$HLFAST_STATE`, else the XDG state folder; mode 0700."""

    path: Path = field(default_factory=lambda: _state_path())

    def ensure(self) -> Path:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.path


@dataclass(frozen=True)
class CacheDirectory:
    """Where hlfast keeps what may be lost: `$HLFAST_CACHE`, else the XDG cache folder."""

    path: Path = field(default_factory=lambda: _cache_path())


def _cache_path() -> Path:
    named = os.environ.get("HLFAST_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hlfast"


def _state_path() -> Path:
    named = os.environ.get("HLFAST_STATE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "hlfast"
