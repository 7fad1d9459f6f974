"""The exception tree (layer 0). Three families: the caller's fault, the venue's verdict, our own state.

    HlfastError
      ConfigError        a setting, key or name that cannot be used
      OrderDenied        refused locally, before anything was tracked or sent
        RangeError       a number off the grid or out of range (also a ValueError)
      NotReady           the connection or account stream needed for this is not live
      VenueReject        the venue said no: code, text, cause, remedy
      OrdersLeft         closed, and orders that should have been cancelled may still rest
      UnknownOutcome     something was sent and its result is not known (never a failure)
      ProtocolError      the venue sent something that cannot be read
      BuildMismatch      compiled against another layout than the one installed (also an ImportError)

Messages say what was given, what was expected and what to do; they never contain a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class HlfastError(Exception):
    """Base of every error that hlfast raises."""


class ConfigError(HlfastError, ValueError):
    """A setting, key, network or name that cannot be used."""


class OrderDenied(HlfastError):
    """Refused locally: nothing was tracked and nothing was sent."""


class RangeError(OrderDenied, ValueError):
    """A number that is off the instrument's grid, out of range or not a number."""


class NotReady(HlfastError):
    """What the call needs (a live account stream, a connection, metadata) is not there at the moment."""


class VenueReject(HlfastError):
    """The venue's definite refusal.

    Attributes: `code` (ours, stable), `text` (the venue's own words), `cause` and `remedy` (one sentence each).
    """

    def __init__(self, code: str, text: str, cause: str = "", remedy: str = "") -> None:
        self.code, self.text, self.cause, self.remedy = code, text, cause, remedy
        parts = [f"{code}: {text}"]
        if cause:
            parts.append(f"cause: {cause}")
        if remedy:
            parts.append(f"remedy: {remedy}")
        super().__init__("; ".join(parts))


class OrdersLeft(HlfastError):
    """The connector is closed, and orders that it should have cancelled may still rest at the venue: `orders`."""

    def __init__(self, orders: Sequence[Any], why: str) -> None:
        self.orders = list(orders)
        names = ", ".join(order.client_order_id for order in self.orders[:10])
        more = f" and {len(self.orders) - 10} more" if len(self.orders) > 10 else ""
        super().__init__(
            f"{len(self.orders)} orders may still rest at the venue ({why}): {names}{more}; look at the venue, or cancel them "
            "from a new connection (Settings(foreign_orders='cancel') does, without a journal)"
        )


class UnknownOutcome(HlfastError):
    """Sent, and the result is not known. Ask the venue; do not send again."""


class ProtocolError(HlfastError):
    """A message from the venue that does not have a known shape."""


class BuildMismatch(HlfastError, ImportError):
    """A compiled module was built against another version of a library than the one installed."""
