"""The venue's lists of instruments, kept current (layer 3, cold): what is loaded, the last good copy, and one more look.

    await hl.load_dex("xyz")            # a builder's perps: from then on "xyz:NVDA" resolves
    await hl.load_outcomes()            # "#1230" and its like
    rule = await hl.lookup("NEWCOIN")   # resolves; reads the lists again, once, for a name that is not known

A list that was read again takes the place of the old one only if it can be read, still has what it had, and gives no
known name another id: else the last good copy stays, and that is told. With a store, the last good copy is on disk too: a
start at which the venue does not answer goes on from there, says so with its age, and asks again until it answers; then the
venue's word counts, whatever the copy said. Unknown names cause at most one look a minute,
and none when the venue's budget is low.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from hlfast import clock
from hlfast.core.trading_rule import TradingRule
from hlfast.errors import ConfigError, HlfastError, NotReady, UnknownOutcome
from hlfast.venues.hyperliquid.limits import Limits
from hlfast.venues.hyperliquid.metadata import Metadata
from hlfast.venues.hyperliquid.metadata_store import MetadataStore, StoredLists, age_text

log = logging.getLogger("hlfast")

LOOK_AGAIN_NS = 60_000_000_000
MAX_ASKED_DEXS = 1000
SPARE_WEIGHT = 300
"""What must be left of the minute's weight for a look that nobody asked for by name."""

Ask = Callable[[dict[str, Any]], Awaitable[Any]]


class Markets:
    def __init__(
        self,
        ask: Ask,
        limits: Limits,
        tell: Callable[[str, str], object],
        adopt: Callable[[Metadata], object],
        store: MetadataStore | None = None,
    ) -> None:
        """`adopt` is called with each new list."""
        self._store = store
        self._kept: StoredLists | None = None
        self._ask, self._limits, self._tell, self._adopt = ask, limits, tell, adopt
        self._dexs: dict[str, tuple[int, Any]] = {}
        self._outcomes: Any = None
        self._looked_ns = 0
        self._asked_dexs: dict[str, int] = {}
        self._lock = asyncio.Lock()
        self.metadata: Metadata | None = None

    @property
    def dexs(self) -> list[str]:
        """Builder dexs that are loaded."""
        return list(self._dexs)

    @property
    def from_disk_ms(self) -> int | None:
        """When the lists in use were read, if they are a copy from disk that the venue has not confirmed; else None."""
        return None if self._kept is None else self._kept.saved_ms

    async def load_at_start(self) -> Metadata:
        """As `load`; where the venue does not answer, the copy on disk. Raises `NotReady` if there is none."""
        try:
            return await self.load()
        except (NotReady, UnknownOutcome) as error:
            kept = None if self._store is None else self._store.read()
            metadata = None if kept is None else Metadata.from_json(kept.meta, kept.spot_meta)
            if kept is None or metadata is None or not metadata.rules:
                raise
            self._kept, self.metadata = kept, metadata
            age = age_text(clock.wall_clock_ms() - kept.saved_ms)
            text = f"the venue does not answer its lists of instruments ({error}): using a copy from disk, {age} old"
            log.warning("%s", text)
            self._tell("metadata_from_disk", text)
            self._adopt(metadata)
            return metadata

    async def load(self) -> Metadata:
        """Read everything that is loaded anew. Raises `NotReady`; the last good copy stays then."""
        async with self._lock:
            return await self._load(dict(self._dexs), self._outcomes is not None)

    async def load_dex(self, name: str) -> list[TradingRule]:
        """A builder dex's perps. Raises `ConfigError` for a name that the venue does not list."""
        async with self._lock:
            if self._kept is not None and name in self._kept.dexs:
                return self._take_kept_dex(self._kept, name)
            listed = await self._ask({"type": "perpDexs"})
            places = _places(listed)
            if name not in places:
                raise ConfigError(
                    f"the venue has no dex {name!r}; it has {', '.join(places) or 'none beside the main one'}"
                )
            dexs = {**self._dexs, name: (places[name], None)}
            metadata = await self._load(dexs, self._outcomes is not None, places)
        return [rule for rule in metadata.rules.values() if rule.coin.startswith(name + ":")]

    def _take_kept_dex(self, kept: StoredLists, name: str) -> list[TradingRule]:
        """A dex from the copy on disk, which is all that there is for now."""
        self._dexs[name] = kept.dexs[name]
        metadata = self.metadata = Metadata.from_json(kept.meta, kept.spot_meta, self._dexs)
        self._adopt(metadata)
        return [rule for rule in metadata.rules.values() if rule.coin.startswith(name + ":")]

    async def load_outcomes(self) -> Metadata:
        async with self._lock:
            return await self._load(dict(self._dexs), True)

    async def _load(
        self, dexs: dict[str, tuple[int, Any]], outcomes: bool, places: dict[str, int] | None = None
    ) -> Metadata:
        names = list(dexs)
        wanted = [{"type": "meta"}, {"type": "spotMeta"}, *({"type": "meta", "dex": name} for name in names)]
        if outcomes:
            wanted.append({"type": "outcomeMeta"})
        if names and places is None:
            places = _places(await self._ask({"type": "perpDexs"}))
        found = await asyncio.gather(*(self._ask(each) for each in wanted))
        read = {name: ((places or {}).get(name, dexs[name][0]), found[2 + n]) for n, name in enumerate(names)}
        outcome_meta = found[-1] if outcomes else None
        metadata = Metadata.from_json(found[0], found[1], read, outcome_meta)
        self._looked_ns = clock.monotonic_ns()
        worse = self._why_worse(metadata)
        if worse and self._kept is not None and metadata.rules:
            text = f"{worse} (in the copy from disk): the venue's list is used"
            log.error("%s", text)
            self._tell("metadata_contradicted", text)
        elif worse:
            self._tell("metadata_refused", f"{worse}; the last good list stays")
            assert self.metadata is not None
            return self.metadata
        self._dexs, self._outcomes, self.metadata = read, outcome_meta, metadata
        self._kept = None
        self._adopt(metadata)
        if self._store is not None and not any("has no list" in line for line in metadata.skipped):
            lists = StoredLists(found[0], found[1], read, outcome_meta, clock.wall_clock_ms())
            await asyncio.to_thread(self._store.write, lists)
        return metadata

    def _why_worse(self, new: Metadata) -> str:
        """Why a new list must not take the old one's place, or ""."""
        old = self.metadata
        if old is None:
            return ""
        for coin, rule in old.rules.items():
            now = new.rules.get(coin)
            if now is None:
                return f"the venue's list has no readable {coin} any more"
            if (now.asset, now.sz_decimals) != (rule.asset, rule.sz_decimals):
                return f"the venue's list gives {coin} the id {now.asset} and {now.sz_decimals} decimals, it had {rule.asset} and {rule.sz_decimals}"
        return ""

    # -- names that are not known -----------------------------------------------------------------------------------
    async def lookup(self, name: str | int) -> TradingRule:
        """Resolve; for a name that is not known, read the lists once more first (a builder dex's too)."""
        dex = name.partition(":")[0] if isinstance(name, str) and ":" in name else ""
        try:
            return self._resolve(name)
        except ConfigError:
            if not (self.may_load(dex) or self.may_look()):
                raise
        try:
            await (self.load_dex(dex) if dex else self.load())
        except HlfastError as error:
            self._tell("metadata_stale", f"the lists could not be read again for {name!r}: {error}")
        return self._resolve(name)

    def may_load(self, dex: str) -> bool:
        """Whether an unknown name may cause a dex to be loaded now; if so, it counts as asked for, once a minute."""
        now_ns = clock.monotonic_ns()
        asked_ns = self._asked_dexs.get(dex, 0)
        if not dex or dex in self._dexs or (asked_ns and now_ns - asked_ns < LOOK_AGAIN_NS) or not self._has_budget():
            return False
        if len(self._asked_dexs) >= MAX_ASKED_DEXS:
            self._asked_dexs.clear()
        self._asked_dexs[dex] = now_ns
        return True

    def may_look(self) -> bool:
        """Whether an unknown name may cause a look now; if so, it counts as made."""
        now_ns = clock.monotonic_ns()
        if self._looked_ns and now_ns - self._looked_ns < LOOK_AGAIN_NS:
            return False
        if not self._has_budget():
            return False
        self._looked_ns = now_ns
        return True

    def _has_budget(self) -> bool:
        left: int = self._limits.weight.left(clock.monotonic_ns() // 1_000_000)
        return not self._limits.enforced or left >= SPARE_WEIGHT

    def _resolve(self, name: str | int) -> TradingRule:
        if self.metadata is None:
            raise NotReady("instruments are not loaded; use `async with connect(...)` or await initialize() first")
        return self.metadata.resolve(name)


def _places(listed: Any) -> dict[str, int]:
    """Dex → its place in `perpDexs`, whose first entry is the main one; a name that stands there twice is left out."""
    names = [row.get("name") if isinstance(row, dict) else None for row in listed] if isinstance(listed, list) else []
    return {
        name: place
        for place, name in enumerate(names)
        if place and isinstance(name, str) and name and names.count(name) == 1
    }
