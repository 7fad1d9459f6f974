"""How an action ends without an error of its own (local exchange, layer 5): the plain answer, and the two refusals."""

from __future__ import annotations

from typing import Any

DEFAULT: dict[str, Any] = {"type": "default"}


class Refused(Exception):
    """The whole action is refused with this text."""


class Invalid(Exception):
    """Pre-validation failed: one error for the whole batch, and nothing was placed."""
