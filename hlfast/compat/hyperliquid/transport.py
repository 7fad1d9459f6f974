"""Trouble with the transport (layer 5, cold): what is raised when no answer came, and how long one is waited for.

These are no `utils.error.Error`: that means that the venue said no. They are `hlfast.errors`, the built-in
`ConnectionError` or `TimeoutError`, and, once a program has imported `requests`, the class of it that its `except`
clauses name. After the first byte of a signed action the outcome is unknown: the error is an `UnknownOutcome` with the
action's `nonce` and `cloids`. `outcome` is "not_sent" or "unknown"; None for a query, which changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from functools import cache
from typing import Any, cast

from hlfast.errors import ConfigError, NotReady, UnknownOutcome

NOT_SENT, UNKNOWN = "not_sent", "unknown"


class TransportError(NotReady):
    """No answer. `nonce` and `cloids` name the action that was being sent, if it was one."""

    outcome: str | None = None
    nonce: int | None = None
    cloids: tuple[str, ...] = ()


class LostAction(TransportError, UnknownOutcome):
    """A signed action whose answer did not come: it may have been executed. Ask by cloid; do not send it anew."""

    outcome = UNKNOWN


@cache
def _class(is_lost: bool, is_timeout: bool, like: Any) -> type[TransportError]:
    bases: tuple[type, ...] = (LostAction if is_lost else TransportError,)
    kind = TimeoutError if is_timeout else ConnectionError
    if like is not None:
        bases += (like,)
    if like is None or not issubclass(like, kind):
        bases += (kind,)
    name = ("LostAction" if is_lost else "Not") + ("TimedOut" if is_timeout else "Connected")
    return type(name, bases, {"__module__": __name__})


def error(text: str, *, was_sent: bool, is_action: bool, is_timeout: bool) -> TransportError:
    """The exception for a request without an answer. `was_sent`: its first byte has been written."""
    theirs = sys.modules.get("requests.exceptions")
    like: type[Exception] | None = None
    if theirs is not None:
        name = ("ReadTimeout" if was_sent else "ConnectTimeout") if is_timeout else "ConnectionError"
        like = getattr(theirs, name, None)
    made: TransportError = _class(is_action and was_sent, is_timeout, cast(Hashable, like))(text)
    if is_action and not was_sent:
        made.outcome = NOT_SENT
    return made


def cloids_of(action: Any) -> tuple[str, ...]:
    """Every cloid that an action names."""
    found: list[str] = []
    try:
        for order in action.get("orders", ()):
            found += [order["c"]] if order.get("c") else []
        for modify in action.get("modifies", ()):
            order = modify["order"]
            found += [name for name in (modify["oid"], order.get("c")) if isinstance(name, str)]
        found += [cancel["cloid"] for cancel in action.get("cancels", ()) if "cloid" in cancel]
    except (AttributeError, TypeError, KeyError):
        pass
    return tuple(dict.fromkeys(found))


def timeouts(given: Any) -> tuple[float | None, float | None]:
    """(connect, read) in seconds from a number or a pair, as `requests` takes them. Raises `ConfigError` (a `ValueError`)."""
    pair = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
    if len(pair) != 2:
        raise ConfigError(f"a timeout is seconds, or a pair (connect, read), got {given!r}")
    for one in pair:
        if one is not None and (isinstance(one, bool) or not isinstance(one, (int, float)) or not one > 0):
            raise ConfigError(f"a timeout is a number of seconds above 0, or a pair (connect, read), got {given!r}")
    return pair[0], pair[1]
