"""The last good lists of instruments on disk (layer 2, cold): for a start at which the venue does not answer them.

One file a network under the user's cache directory, replaced in one step each time the venue's lists were read well. It
holds the venue's own answers, when they were read, and from which address: a file of another address, of another format or
that is damaged is as none. It is a cache: losing it costs nothing but that help.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hlfast.config import CacheDirectory, Network

FORMAT = 1
log = logging.getLogger("hlfast")


@dataclass(frozen=True)
class StoredLists:
    """The venue's answers to `meta` and `spotMeta`, those of builder dexs with their place, of `outcomeMeta`, and when."""

    meta: Any
    spot_meta: Any
    dexs: dict[str, tuple[int, Any]]
    outcome_meta: Any
    saved_ms: int


class MetadataStore:
    def __init__(self, network: Network, directory: Path | None = None) -> None:
        self._url = network.http_url
        digest = hashlib.sha256(self._url.encode()).hexdigest()[:12]
        self.path = (directory or CacheDirectory().path / "metadata") / f"{network.name}-{digest}.json"

    def write(self, lists: StoredLists) -> None:
        """Replace the file. Says in the log why it could not be written, and raises nothing."""
        body = {
            "format": FORMAT,
            "url": self._url,
            "saved_ms": lists.saved_ms,
            "meta": lists.meta,
            "spotMeta": lists.spot_meta,
            "dexs": lists.dexs,
            "outcomeMeta": lists.outcome_meta,
        }
        beside = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, beside = tempfile.mkstemp(dir=self.path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(body))
            os.replace(beside, self.path)
        except OSError as error:
            log.warning("the lists of instruments could not be kept in %s: %s", self.path, error.strerror or error)
            with contextlib.suppress(OSError):
                os.unlink(beside)

    def read(self) -> StoredLists | None:
        """What was kept; None for a file that is not there or not usable."""
        try:
            body = orjson.loads(self.path.read_bytes())
            if body["format"] != FORMAT or body["url"] != self._url:
                return None
            dexs = {str(name): (int(place), meta) for name, (place, meta) in body["dexs"].items()}
            return StoredLists(body["meta"], body["spotMeta"], dexs, body["outcomeMeta"], int(body["saved_ms"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("the kept lists of instruments in %s are not usable: %s", self.path, type(error).__name__)
            return None


def age_text(ms: int) -> str:
    """An age in words: "45 s", "12 min", "3 h", "2 days"."""
    for size, word in ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min")):
        if ms >= 2 * size:
            return f"{ms // size} {word}"
    return f"{max(0, ms) // 1000} s"
