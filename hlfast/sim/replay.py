"""Recorded books as the market (local exchange, layer 5): l2Book frames that the house quotes again.

    Exchange(replay="frames.jsonl", flow="none")

One frame a line: the frame itself (`{"channel":"l2Book","data":{...}}`), or an object whose `raw` is its text; other
channels are passed over. The first frame belongs to the first block, later ones come as much later as they did then
(by the venue's `time`). Each replaces the house's quotes of its coin, one order a level, so a user's order that the
recorded book crosses is filled. Trades are not replayed: what is taken at the touch shows as the next frame's book.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from hlfast.errors import ConfigError

if TYPE_CHECKING:
    from hlfast.sim.house import House


class Replay:
    def __init__(self, source: str | Path | Iterable[str]) -> None:
        lines = Path(source).read_text().splitlines() if isinstance(source, (str, Path)) else source
        self.frames = sorted((frame for line in lines for frame in _frames(line)), key=lambda frame: int(frame["time"]))
        if not self.frames:
            raise ConfigError("no l2Book frame to replay: expected one JSON frame a line")
        self._at = 0
        self._offset_ms: int | None = None

    @property
    def is_over(self) -> bool:
        return self._at == len(self.frames)

    def on_block(self, now_ms: int, house: House) -> None:
        if self._offset_ms is None:
            self._offset_ms = now_ms - int(self.frames[0]["time"])
        due: dict[str, dict[str, Any]] = {}
        while not self.is_over and int(self.frames[self._at]["time"]) + self._offset_ms <= now_ms:
            frame = self.frames[self._at]
            due[frame["coin"]] = frame  # of several that are due, the newest
            self._at += 1
        for coin, frame in due.items():
            if coin in house.coins:
                bids, asks = ([(level["px"], level["sz"]) for level in side] for side in frame["levels"])
                house.set_book(coin, bids=bids, asks=asks)


def _frames(line: str) -> list[dict[str, Any]]:
    if not line.strip():
        return []
    try:
        frame = orjson.loads(line)
        if isinstance(frame, dict) and "raw" in frame:
            frame = orjson.loads(frame["raw"])
    except ValueError as error:
        raise ConfigError(f"not a line of JSON in the recording: {line[:80]!r}") from error
    if not isinstance(frame, dict) or frame.get("channel") != "l2Book" or "levels" not in frame.get("data", {}):
        return []
    return [frame["data"]]
