"""VenueRouter (layer 4): several venues by name, started, watched and stopped together.

router = VenueRouter()
router.register("hyperliquid", bridge)
await router.start_all()
router.get("hyperliquid").place_order(...)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

from hlfast.errors import ConfigError


class Venue(Protocol):
    """What a router asks of a venue: a `BridgeAdapter`, an `IntegratedConnector`, a connector itself."""

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...


_V = TypeVar("_V", bound=Venue)


class VenueRouter:
    """Names are compared without case."""

    def __init__(self) -> None:
        self._venues: dict[str, Venue] = {}

    def register(self, name: str, venue: _V) -> _V:
        """Raises `ConfigError` for an empty name, or one that is taken."""
        key = name.strip().lower()
        if not key or key in self._venues:
            raise ConfigError(
                f"a venue needs a name of its own, got {name!r}; taken: {', '.join(self._venues) or 'none'}"
            )
        self._venues[key] = venue
        return venue

    def get(self, name: str) -> Venue:
        """Raises `ConfigError` for a name that is not registered."""
        found = self._venues.get(name.strip().lower())
        if found is None:
            raise ConfigError(f"no venue {name!r}; there are {', '.join(self._venues) or 'none'}")
        return found

    def __iter__(self) -> Iterator[tuple[str, Venue]]:
        return iter(list(self._venues.items()))

    def __len__(self) -> int:
        return len(self._venues)

    def health(self) -> dict[str, bool]:
        """Name → connected."""
        return {name: venue.is_connected for name, venue in self}

    async def start_all(self) -> None:
        """Connect each, in the order of registration. If one cannot, those before it are disconnected, and it is raised."""
        for name, venue in self:
            try:
                await venue.connect()
            except BaseException:
                await self.stop_all(up_to=name)
                raise

    async def stop_all(self, *, up_to: str | None = None) -> None:
        """Disconnect each, the newest first; the first error is raised once all have been asked."""
        venues = list(self)
        if up_to is not None:
            venues = venues[: [name for name, _ in venues].index(up_to) + 1]
        errors: list[Exception] = []
        for _, venue in reversed(venues):
            try:
                await venue.disconnect()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
