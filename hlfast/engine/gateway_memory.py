"""What a gateway remembers of its clients' ids (layer 4): over retransmissions, and with a journal over restarts.

Live orders always; ended ones for at least 24 hours and 1,000,000 entries, compressed. Every fact goes into the journal's
ring as a note before it is acted upon or told: "order" (the id, its connector id, the content's digest and tags) before
anything is sent, "report" with each answer. `load` reads them back in order.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from hlfast import clock
from hlfast.core.in_flight_order import InFlightOrder
from hlfast.engine.gateway_text import Told

ENDED_ENTRIES = 1_000_000
ENDED_NS = 86_400_000_000_000
NOTE = "gateway"


class Ring(Protocol):
    def put_note(self, name: str, body: bytes, now_ns: int) -> int: ...


@dataclass
class Waiting:
    """A cancel or replace request that waits for what becomes of its target."""

    cl_id: str
    tags: dict[str, str]
    digest: bytes
    asked_ns: int


@dataclass
class Record:
    """One order of a client. `state`: "pending", "accepted", "rejected", "canceled" or "filled"."""

    cl_id: str
    digest: bytes
    tags: dict[str, str]
    coid: str = ""
    cloid: str | None = None
    type_given: str = ""
    tif_given: str = ""
    is_adjusted: bool = False
    is_external: bool = False
    state: str = "pending"
    canonical: str = ""
    last: Told | None = None
    order: InFlightOrder | None = None
    cum_lots: int = 0
    parent: str = ""
    lost: str = ""
    """The venue's words, where a replace took the order away and put nothing in its place."""
    was_throttled: bool = False
    is_announced: bool = False
    """Accepted was told in this run."""
    repeats: int = 0
    """Retransmissions that came before the first answer."""
    cancels: list[Waiting] = field(default_factory=list)
    replace: Waiting | None = None

    @property
    def is_ended(self) -> bool:
        return self.state in ("rejected", "canceled", "filled")

    def note(self) -> dict[str, Any]:
        return {
            "note": "order",
            "cl_id": self.cl_id,
            "coid": self.coid,
            "cloid": self.cloid,
            "digest": self.digest.hex(),
            "tags": self.tags,
            "type": self.type_given,
            "tif": self.tif_given,
            "adjusted": self.is_adjusted,
            "parent": self.parent,
        }


@dataclass
class Ended:
    """What is left of an order: enough to answer a repeat of it."""

    digest: bytes
    state: str
    canonical: str
    at_ns: int
    report: bytes

    def last(self) -> Told | None:
        return Told.unpack(orjson.loads(zlib.decompress(self.report))) if self.report else None


class Memory:
    """`ring`: the journal's, or None to remember in this process only."""

    def __init__(self, ring: Ring | None = None, *, entries: int = ENDED_ENTRIES, keep_ns: int = ENDED_NS) -> None:
        self._ring = ring
        self._entries, self._keep_ns = entries, keep_ns
        self.live: dict[str, Record] = {}
        self.by_coid: dict[str, Record] = {}
        self.ended: OrderedDict[str, Ended] = OrderedDict()
        self.replaces: OrderedDict[str, tuple[bytes, Told]] = OrderedDict()
        self._lingering: OrderedDict[str, Record] = OrderedDict()

    def find(self, cl_id: str) -> Record | Ended | None:
        return self.live.get(cl_id) or self._lingering.get(cl_id) or self.ended.get(cl_id)

    def record_of(self, coid: str) -> Record | None:
        return self.by_coid.get(coid)

    def add(self, record: Record) -> None:
        """Before anything of it is sent."""
        old = self._lingering.pop(record.cl_id, None) or self.live.get(record.cl_id)
        if old is not None and self.by_coid.get(old.coid) is old:
            del self.by_coid[old.coid]
        self.ended.pop(record.cl_id, None)
        self.live[record.cl_id] = record
        if record.coid:
            self.by_coid[record.coid] = record
        if not record.is_external:
            self._put(record.note())

    def keep(self, record: Record, state: str, canonical: str, report: Told | None) -> None:
        """A new state and the report of it; to be called before the report is told."""
        record.state, record.canonical = state, canonical
        if report is not None:
            record.last = report
        if not record.is_external:
            self._put({
                "note": "report", "cl_id": record.cl_id, "coid": record.coid, "state": state, "canonical": canonical,
                "digest": record.digest.hex(), "report": report.pack() if report is not None else None,
            })  # fmt: skip
        if record.is_ended:
            self._end(record)

    def keep_replace(self, cl_id: str, digest: bytes, report: Told) -> None:
        self.replaces[cl_id] = (digest, report)
        if len(self.replaces) > self._entries // 10:
            self.replaces.popitem(last=False)
        self._put({"note": "replace", "cl_id": cl_id, "digest": digest.hex(), "report": report.pack()})

    def _end(self, record: Record) -> None:
        """Its news may still come (late fills): the record lingers among the last ended ones, then only its answer stays."""
        self.live.pop(record.cl_id, None)
        self.ended.pop(record.cl_id, None)
        old = self._lingering.pop(record.cl_id, None)
        if old is not None and old is not record and self.by_coid.get(old.coid) is old:
            del self.by_coid[old.coid]
        self._lingering[record.cl_id] = record
        if len(self._lingering) > 10_000:
            self._shrink(self._lingering.popitem(last=False)[1])

    def _shrink(self, record: Record) -> None:
        if self.by_coid.get(record.coid) is record:
            del self.by_coid[record.coid]
        report = b"" if record.last is None else zlib.compress(orjson.dumps(record.last.pack()), 1)
        now_ns = clock.epoch_ns()
        self.ended[record.cl_id] = Ended(record.digest, record.state, record.canonical, now_ns, report)
        while len(self.ended) > self._entries:
            oldest = next(iter(self.ended.values()))
            if now_ns - oldest.at_ns < self._keep_ns:
                break
            self.ended.popitem(last=False)

    def _put(self, fact: dict[str, Any]) -> None:
        if self._ring is not None:
            self._ring.put_note(NOTE, orjson.dumps(fact), clock.epoch_ns())

    # -- a restart --------------------------------------------------------------------------------------------------
    def load(self, facts: Iterable[dict[str, Any]]) -> None:
        """Take up what earlier runs have noted, oldest first. Nothing is noted again."""
        ring, self._ring = self._ring, None
        try:
            for fact in facts:
                self._take(fact)
        finally:
            self._ring = ring
        for record in [*self.live.values(), *self._lingering.values()]:
            record.is_announced = False

    def _take(self, fact: dict[str, Any]) -> None:
        digest = bytes.fromhex(fact["digest"])
        if fact["note"] == "replace":
            self.keep_replace(fact["cl_id"], digest, Told.unpack(fact["report"]))
        elif fact["note"] == "order":
            self.add(
                Record(
                    cl_id=fact["cl_id"],
                    digest=digest,
                    tags=fact["tags"],
                    coid=fact["coid"],
                    cloid=fact["cloid"],
                    type_given=fact["type"],
                    tif_given=fact["tif"],
                    is_adjusted=fact["adjusted"],
                    parent=fact["parent"],
                )
            )
        else:
            record = self.live.get(fact["cl_id"]) or self._lingering.get(fact["cl_id"])
            if record is None or record.coid != fact["coid"]:
                record = Record(cl_id=fact["cl_id"], digest=digest, tags={}, coid=fact["coid"])
                self.add(record)
            report = None if fact["report"] is None else Told.unpack(fact["report"])
            self.keep(record, fact["state"], fact["canonical"], report)


def read_facts(database: Path, since_ns: int) -> Iterator[dict[str, Any]]:
    """The notes in a journal's database, of orders that are live or were heard of after `since_ns`."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT body, recv_ns FROM stream_events WHERE event = 'Gateway' ORDER BY id")
        old: dict[str, list[dict[str, Any]]] = {}
        for body, recv_ns in rows:
            fact = orjson.loads(body)
            if recv_ns >= since_ns:
                yield from old.pop(fact["cl_id"], [])
                yield fact
            elif fact["note"] == "order":
                old[fact["cl_id"]] = [fact]
            elif fact.get("state") in ("rejected", "canceled", "filled") or fact["note"] == "replace":
                old.pop(fact["cl_id"], None)
            else:
                old.setdefault(fact["cl_id"], []).append(fact)
        for facts in old.values():
            yield from facts
