"""Which frames belong to which subscription (layer 5): identifiers, as the official SDK makes them, for every stream.

An identifier names a stream: "l2Book:btc", "userFills:0x...". Two subscriptions with one identifier that are not the
same (another user of a stream whose frames do not name the user, another rounding of a book) cannot share a connection:
`key_of` tells them apart, and `WebsocketManager` gives each its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# What an identifier has after its type, from the subscription. Types that are not listed have nothing.
_FIELDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("l2Book", "trades", "bbo", "activeAssetCtx"), ("coin",)),
    "candle": ("coin", "interval"),
    "activeAssetData": ("coin", "user"),
    **dict.fromkeys(
        (
            "userFills",
            "userFundings",
            "userNonFundingLedgerUpdates",
            "webData2",
            "webData3",
            "userHistoricalOrders",
            "userTwapSliceFills",
            "userTwapHistory",
            "allDexsClearinghouseState",
            "spotState",
        ),
        ("user",),
    ),
    **dict.fromkeys(("clearinghouseState", "openOrders", "twapStates"), ("user", "dex?")),
    "assetCtxs": ("dex?",),
}
_EXACT = {"interval"}  # the one field whose capitals count: "1m" is a minute, "1M" a month


def identifier_of(subscription: Mapping[str, Any]) -> str:
    """The identifier of a subscription. Raises `KeyError` for one that lacks a field."""
    kind: str = subscription["type"]
    fields = _FIELDS.get(kind)
    if fields is None:
        return kind
    parts = []
    for field in fields:
        value = (subscription.get("dex") or "") if field == "dex?" else subscription[field]
        parts.append(value if field in _EXACT else value.lower())
    return f"{kind}:{','.join(parts)}"


def _by(kind: str, *fields: str) -> Callable[[Any], str]:
    if fields == ("coin",) or fields == ("user",):
        prefix, (field,) = f"{kind}:", fields
        return lambda data: prefix + data[field].lower()
    return lambda data: f"{kind}:{','.join((data.get(field) or '').lower() for field in fields)}"


def _candle(data: Any) -> str | None:
    row = data if isinstance(data, dict) else data[0] if data else None
    return None if row is None else f"candle:{row['s'].lower()},{row['i']}"


READERS: dict[str, Callable[[Any], str | None]] = {  # channel → identifier from its data
    **{
        kind: _by(kind, *(field.rstrip("?") for field in fields))
        for kind, fields in _FIELDS.items()
        if kind not in ("candle", "trades", "webData3")
    },
    "activeSpotAssetCtx": _by("activeAssetCtx", "coin"),
    "trades": lambda data: f"trades:{data[0]['coin'].lower()}" if data else None,
    "candle": _candle,
    "webData3": lambda data: f"webData3:{data['userState']['user'].lower()}",
    "user": lambda data: "userEvents",
}
CONTROL = frozenset(("subscriptionResponse", "error", "post"))


def key_of(subscription: Mapping[str, Any]) -> str:
    """The same text for subscriptions that ask for the same: unset options left out, addresses in lower case."""
    import orjson

    said = {
        name: value.lower() if name == "user" and isinstance(value, str) else value
        for name, value in subscription.items()
        if value is not None and value is not False and not (name == "dex" and value == "")
    }
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()


def echoes(subscription: Mapping[str, Any], echo: Any) -> bool:
    """True if `echo`, which the venue has put into its own form, is `subscription`: all that was said is in it."""
    if not isinstance(echo, dict):
        return False
    for name, value in subscription.items():
        there = echo.get(name)
        if isinstance(value, str) and isinstance(there, str):
            if value.lower() != there.lower():
                return False
        elif value not in (None, False) and value != there:
            return False
    return all(
        value in (None, False, "") or subscription.get(name) not in (None, False, "") for name, value in echo.items()
    )


# -- what may be thrown together when a callback is slow --------------------------------------------------------------------
LATEST_COUNTS = frozenset(
    (
        "l2Book",
        "bbo",
        "allMids",
        "activeAssetCtx",
        "activeSpotAssetCtx",
        "assetCtxs",
        "spotAssetCtxs",
        "allDexsAssetCtxs",
    )
)
"""Streams whose newest frame says all that the older ones said."""
CADENCE = frozenset(("l2Book", "allMids", "activeAssetCtx"))
"""Streams that speak without being spoken to: their silence is a sign."""
WITHOUT_USER = {"userEvents": "user", "orderUpdates": "orderUpdates"}
"""Streams that the venue does not repeat after a reconnect, and their channels."""
