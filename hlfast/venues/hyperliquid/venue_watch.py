"""The venue's mode (layer 2, cold): post-only windows after upgrades, other special statuses, 5xx of its gateway (C9).

A sign of trouble (a refusal that names the window, a 5xx) sets the mode at once; from then on `exchangeStatus` is asked
for once a second until the venue is back to normal, which needs nobody's attention. In normal times nothing is asked but
once after each connection. Protocol, sections 5.2 and 9 (25).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hlfast.errors import HlfastError
from hlfast.types import VenueMode

PROBE_NS = 1_000_000_000


class VenueWatch:
    """`ask()` queries `exchangeStatus`; `on_change(mode, reason)` hears each change."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[dict[str, Any]]],
        on_change: Callable[[VenueMode, str], object],
        spawn: Callable[[Any], object],
    ) -> None:
        self.mode = VenueMode.NORMAL
        self.reason = ""
        self._ask, self._on_change, self._spawn = ask, on_change, spawn
        self._probed_ns = 0
        self._probing = False

    def note_post_only(self, text: str) -> None:
        """An order was refused because only post-only orders are taken."""
        self._set(VenueMode.POST_ONLY, text)

    def note_unavailable(self, reason: str) -> None:
        """The gateway answered 5xx."""
        self._set(VenueMode.UNAVAILABLE, reason)

    def tick(self, now_ns: int) -> None:
        """Probe while the mode is not normal, at most once a second. `now_ns`: monotonic."""
        if self.mode is VenueMode.NORMAL or self._probing or now_ns - self._probed_ns < PROBE_NS:
            return
        self._probed_ns = now_ns
        self._probing = True
        self._spawn(self.look())

    async def look(self) -> None:
        """Ask the venue once. No answer changes nothing: whoever asked has noted what stood in the way."""
        try:
            answer = await self._ask()
        except (HlfastError, asyncio.TimeoutError):
            return
        finally:
            self._probing = False
        special = answer.get("specialStatuses") if isinstance(answer, dict) else None
        if special is None:
            self._set(VenueMode.NORMAL, "the venue reports no special status")
        else:
            is_post_only = "post" in str(special).lower()
            self._set(VenueMode.POST_ONLY if is_post_only else VenueMode.RESTRICTED, str(special)[:200])

    def _set(self, mode: VenueMode, reason: str) -> None:
        if mode is self.mode:
            return
        self.mode, self.reason = mode, reason
        self._on_change(mode, reason)
