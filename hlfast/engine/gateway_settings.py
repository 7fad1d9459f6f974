"""A gateway's settings (layer 4): every key that is accepted is honoured, and any other one is an error at the start.

    GatewaySettings.from_json({"transport": "tcp", "zmq": {"port": 5556}, "feeds": [{"exchange": "hyperliquid", "symbols": ["BTC"]}]})

Keys may be nested or dotted ("zmq.port").
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hlfast.engine.gateway_sockets import Curve
from hlfast.errors import ConfigError


@dataclass(frozen=True)
class Feed:
    """Instruments whose market data is published, spelled as they are to appear in topics."""

    symbols: tuple[str, ...]
    enable_trades: bool = True
    enable_orderbook: bool = True
    snapshots_only: bool = False
    snapshot_interval: float = 0.0
    """Seconds between books; 0: every one."""


@dataclass(frozen=True)
class GatewaySettings:
    transport: str = "ipc"
    directory: str = ""
    """Of the ipc sockets; empty: the user's runtime folder."""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 5556
    """Of trades; books have the next one. The other ports are the contract's unless their endpoint is set."""
    market_data: bool = True
    window_size: int = 20
    depth_levels: int = 10
    ofi: str = "cks"
    deltas: bool = False
    checkpoint_every_ms: int = 1_000
    with_snapshots: bool = False
    feeds: tuple[Feed, ...] = ()
    events_prefix: str = "orders.hyperliquid"
    venue_aliases: tuple[str, ...] = ()
    max_order_age_ms: int = 5_000
    market_slippage_bps: int = 50
    quantize: str = "adjust"
    journal: bool = True
    stale_ms: int = 30_000
    reconnect_delay_ms: int = 250
    metrics: str = ""
    """HOST:PORT to serve them to Prometheus; empty: nowhere."""
    metrics_remote: bool = False
    """Beyond loopback too."""
    curve: Curve | None = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("transport", ("ipc", "tcp")),
            ("quantize", ("adjust", "strict")),
            ("ofi", ("cks", "size_delta")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        for name, low in (
            ("window_size", 1),
            ("depth_levels", 1),
            ("checkpoint_every_ms", 1),
            ("max_order_age_ms", 1),
            ("market_slippage_bps", 0),
            ("stale_ms", 1_000),
            ("reconnect_delay_ms", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ConfigError(f"{name} is a whole number from {low} up, got {value!r}")

    @classmethod
    def from_json(cls, given: Any) -> GatewaySettings:
        """Raises `ConfigError` that names the key."""
        if not isinstance(given, dict):
            raise ConfigError("the settings are a JSON object")
        flat = _flatten(given, "")
        found: dict[str, Any] = {}
        curve: dict[str, Any] = {}
        endpoints: dict[str, str] = {}
        delays: set[int] = set()
        known = {one.name for one in fields(cls)}
        for key, value in flat.items():
            if key == "feeds":
                found["feeds"] = tuple(_feed(one, at, delays) for at, one in enumerate(_typed(key, value, list)))
            elif key.endswith(".endpoint") and key[: -len(".endpoint")] in (
                "orders",
                "reports",
                "trades",
                "books",
                "events",
            ):
                endpoints[key[: -len(".endpoint")]] = _typed(key, value, str)
            elif key in ("curve.secret_key_file", "curve.clients"):
                curve[key] = value
            elif key == "venue_aliases":
                found[key] = tuple(str(one).lower() for one in _typed(key, value, list))
            elif key in _KEYS:
                name, kind = _KEYS[key]
                assert name in known, name
                found[name] = _typed(key, value, kind)
            else:
                raise ConfigError(f"unknown setting {key!r}; known ones are {', '.join(sorted(_KEYS))}, feeds, curve.*")
        if len(delays) > 1:
            raise ConfigError("feeds[].reconnect_delay_ms: all feeds share one connection; give one value")
        if delays:
            found["reconnect_delay_ms"] = delays.pop()
        if curve:
            found["curve"] = _curve(curve)
        return cls(endpoints=endpoints, **found)


_KEYS: dict[str, tuple[str, type]] = {
    "transport": ("transport", str),
    "directory": ("directory", str),
    "zmq.enabled": ("market_data", bool),
    "zmq.host": ("host", str),
    "zmq.port": ("port", int),
    "zmq.window_size": ("window_size", int),
    "zmq.depth_levels": ("depth_levels", int),
    "zmq.ofi": ("ofi", str),
    "zmq.deltas.enabled": ("deltas", bool),
    "zmq.deltas.checkpoint_every_ms": ("checkpoint_every_ms", int),
    "zmq.deltas.with_snapshots": ("with_snapshots", bool),
    "events.prefix": ("events_prefix", str),
    "max_order_age_ms": ("max_order_age_ms", int),
    "market_slippage_bps": ("market_slippage_bps", int),
    "quantize": ("quantize", str),
    "journal": ("journal", bool),
    "stale_ms": ("stale_ms", int),
    "metrics": ("metrics", str),
    "metrics_remote": ("metrics_remote", bool),
}


def _flatten(given: dict[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name != "curve.clients":
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _typed(key: str, value: Any, kind: type) -> Any:
    if key == "journal" and value in ("on", "off"):
        return value == "on"
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"{key} must be of type {kind.__name__}, got {value!r}")
    return value


def _feed(given: Any, at: int, delays: set[int]) -> Feed:
    if not isinstance(given, dict):
        raise ConfigError(f"feeds[{at}] is an object, got {given!r}")
    found: dict[str, Any] = {}
    for key, value in given.items():
        where = f"feeds[{at}].{key}"
        if key == "exchange":
            if str(value).lower() != "hyperliquid":
                raise ConfigError(f"{where} is hyperliquid, got {value!r}")
        elif key == "symbols":
            found[key] = tuple(str(one) for one in _typed(where, value, list))
        elif key in ("enable_trades", "enable_orderbook", "snapshots_only"):
            found[key] = _typed(where, value, bool)
        elif key == "snapshot_interval":
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 86_400:
                raise ConfigError(f"{where} is a number of seconds, got {value!r}")
            found[key] = float(value)
        elif key == "reconnect_attempts":
            if value != 0:
                raise ConfigError(f"{where} is 0: a connection is tried for ever")
        elif key == "reconnect_delay_ms":
            delays.add(_typed(where, value, int))
        else:
            raise ConfigError(f"unknown setting {where!r}")
    if not found.get("symbols"):
        raise ConfigError(f"feeds[{at}].symbols names no instrument")
    return Feed(**found)


def _curve(given: dict[str, Any]) -> Curve:
    path = given.get("curve.secret_key_file")
    if not isinstance(path, str):
        raise ConfigError("curve.secret_key_file names the file with the gateway's secret key (Z85, mode 0600)")
    clients = given.get("curve.clients", {})
    if not isinstance(clients, dict) or not all(isinstance(one, list) for one in clients.values()):
        raise ConfigError(
            'curve.clients maps each client\'s public key to its rights, for example {"<key>": ["trade"]}'
        )
    return Curve(read_secret(Path(path)), {key: tuple(map(str, rights)) for key, rights in clients.items()})


def read_secret(path: Path) -> str:
    """A key file's content. Raises `ConfigError` if others may read it; the content is never shown."""
    try:
        with open(path, encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(200).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key file {path} cannot be read: {type(error).__name__}") from None
    if mode & 0o077:
        raise ConfigError(f"the key file {path} can be read by others (mode {mode:o}); chmod 600 it")
    if len(text) != 40:
        raise ConfigError(f"the key file {path} must hold one CURVE key, 40 characters of Z85")
    return text
