"""Where requests go and how they are signed (layer 5): defaults, known and registered endpoints, routes to this machine.

`is_mainnet(url)` decides the source of every signature: true for the venue's main hosts in any spelling and for what
`register_endpoint` named so; false for all else, and for everything that is routed. So nothing that is signed for a
local exchange is valid on the main network.
"""

from __future__ import annotations

import logging
import os
from typing import Any
from urllib.parse import urlsplit

from hlfast.compat.hyperliquid.utils.constants import LOCAL_API_URL, MAINNET_API_URL
from hlfast.errors import ConfigError

log = logging.getLogger("hlfast.compat")

ROUTE_VARIABLE = "HLFAST_SDK_ROUTE"
MAINNET_HOSTS = ("api.hyperliquid.xyz", "api-ui.hyperliquid.xyz")
TESTNET_HOSTS = ("api.hyperliquid-testnet.xyz", "api-ui.hyperliquid-testnet.xyz")


class Defaults:
    """What `configure` sets. Seconds."""

    def __init__(self) -> None:
        self.timeout: Any = (5, 10)
        self.gap_fill, self.orders_over_ws, self.auto_cloid = True, False, False
        self.stale_after: float | None = None


defaults = Defaults()


def configure(
    *,
    timeout: Any = (5, 10),
    gap_fill: bool = True,
    orders_over_ws: bool = False,
    auto_cloid: bool = False,
    stale_after: float | None = None,
) -> None:
    """Set the process-wide defaults; what is not named goes back to its own.

    `timeout`: seconds for what was given none, as a number or (connect, read). `gap_fill`: ask for what was missed after
    a reconnect. `orders_over_ws`: send signed actions over a WebSocket. `auto_cloid`: give every order without a cloid
    one (this changes what is signed). `stale_after`: seconds without data after which a stream that should speak is
    asked for anew; None for 30.
    """
    from hlfast.compat.hyperliquid.transport import timeouts

    timeouts(timeout)
    if stale_after is not None and not stale_after > 0:
        raise ConfigError(f"stale_after is a number of seconds above 0, or None, got {stale_after!r}")
    defaults.timeout, defaults.gap_fill, defaults.orders_over_ws = timeout, gap_fill, orders_over_ws
    defaults.auto_cloid, defaults.stale_after = auto_cloid, stale_after


_registered: dict[tuple[str, str, int], tuple[bool, str | None]] = {}
_routes: dict[tuple[str, str, int], str] = {}
_told: set[tuple[str, str, int]] = set()
_signs: dict[str, bool] = {}  # base_url → is_mainnet; and its target: so that an order does not parse its URL again
_targets: dict[str, tuple[str, bool]] = {}
_read_environment = False


def _forget() -> None:
    _signs.clear()
    _targets.clear()


def _place(url: str) -> tuple[str, str, int]:
    """(scheme, host, port): what makes two spellings of an address the same. ("", "", 0) for what is no address."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        return scheme, (parts.hostname or "").rstrip("."), parts.port or {"https": 443, "http": 80}.get(scheme, 0)
    except (ValueError, AttributeError):
        return "", "", 0


def register_endpoint(base_url: str, *, is_mainnet: bool, ws_url: str | None = None) -> None:
    """Say how to sign for a private or proxied endpoint, and where its WebSocket is if not at `<base_url>/ws`."""
    place = _place(base_url)
    if place[0] not in ("http", "https") or not place[1]:
        raise ConfigError(f"an endpoint looks like https://host, got {base_url!r}")
    if ws_url is not None and urlsplit(ws_url).scheme not in ("ws", "wss"):
        raise ConfigError(f"a WebSocket address looks like wss://host/path, got {ws_url!r}")
    _registered[place] = (bool(is_mainnet), ws_url)
    _forget()


def route(base_url: str, to: str) -> None:
    """Send the traffic of `base_url` to a loopback address. It is signed as testnet from then on."""
    from hlfast.config import is_loopback

    if _place(to)[0] not in ("http", "https") or not is_loopback(to):
        raise ConfigError(
            f"a route leads to this machine (http://127.0.0.1:PORT), got {to!r}; nothing is sent elsewhere"
        )
    place = _place(base_url)
    if place[0] not in ("http", "https") or not place[1]:
        raise ConfigError(f"a route begins at an address such as {MAINNET_API_URL}, got {base_url!r}")
    _routes[place] = to.rstrip("/")
    _forget()


def route_from_text(text: str) -> None:
    """`FROM=TO`, as in the environment and on the command line; several with commas between."""
    for one in filter(None, (part.strip() for part in text.split(","))):
        origin, equals, to = one.partition("=")
        if not equals:
            raise ConfigError(f"a route is written FROM=TO, got {one!r}")
        route(origin.strip(), to.strip())


def clear_routes() -> None:
    """Forget every route, also that of the environment."""
    global _read_environment
    _read_environment = True
    _routes.clear()
    _forget()


def _route_of(base_url: str) -> str | None:
    global _read_environment
    if not _read_environment:
        _read_environment = True
        route_from_text(os.environ.get(ROUTE_VARIABLE, ""))
    return _routes.get(_place(base_url)) if _routes else None


def is_routed(base_url: str) -> bool:
    return _route_of(base_url) is not None


def target(base_url: str) -> str:
    """Where requests for `base_url` go: its route or itself, without slashes at the end."""
    known = _targets.get(base_url)
    return (known or _look(base_url))[0]


def is_local(base_url: str) -> bool:
    """Whether requests for `base_url` stay on this machine."""
    known = _targets.get(base_url)
    return (known or _look(base_url))[1]


def _look(base_url: str) -> tuple[str, bool]:
    from hlfast.config import is_loopback  # not before it is needed: it imports dataclasses and what they read

    where = _route_of(base_url) or base_url.rstrip("/")
    found = _targets[base_url] = where, is_loopback(where)
    return found


def socket_url(base_url: str) -> str:
    """The address of the WebSocket that belongs to `base_url`."""
    registered = _registered.get(_place(base_url))
    if registered is not None and registered[1] is not None and not is_routed(base_url):
        return registered[1]
    url = target(base_url)
    return "ws" + url[len("http") :] + "/ws"


def is_mainnet(base_url: str) -> bool:
    """Whether actions for `base_url` are signed for the main network."""
    known = _signs.get(base_url)
    if known is None:
        known = _signs[base_url] = _decide(base_url)
    return known


def _decide(base_url: str) -> bool:
    if is_routed(base_url):
        return False
    place = _place(base_url)
    if place in _registered:
        return _registered[place][0]
    if place[1] in MAINNET_HOSTS:
        return True
    official = place[1] in TESTNET_HOSTS or place == _place(LOCAL_API_URL)
    if not official and place not in _told:
        _told.add(place)
        log.warning(
            "%s is not one of the venue's own addresses: actions are signed for the test network; if it leads to the main "
            "network, say register_endpoint(%r, is_mainnet=True)",
            base_url,
            base_url,
        )
    return False
