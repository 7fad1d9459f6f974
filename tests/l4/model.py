"""A plain order-by-order book, and a stream of blocks in which orders come, change and go: the truth beside `L4Book`.

Whole prices and sizes; a queue is a list, an order a dict. `Stream.block()` changes the model and returns what a node
would say of it: the statuses of new orders, and the diffs in their order.
"""

from __future__ import annotations

import random
from typing import Any

USERS = [f"0x{n:040x}" for n in range(1, 40)]
TIME_OF_HEIGHT_0 = 1_751_427_259_657
BLOCK_MS = 70


def time_of(height: int) -> int:
    return TIME_OF_HEIGHT_0 + height * BLOCK_MS


class PlainL4:
    def __init__(self) -> None:
        self.orders: dict[int, dict[str, Any]] = {}
        self.queues: dict[tuple[bool, int], list[int]] = {}

    def insert(self, order: dict[str, Any], before: int | None = None) -> None:
        queue = self.queues.setdefault((order["is_buy"], order["px"]), [])
        queue.insert(queue.index(before) if before is not None else len(queue), order["oid"])
        self.orders[order["oid"]] = order

    def remove(self, oid: int) -> dict[str, Any]:
        order = self.orders.pop(oid)
        at = order["is_buy"], order["px"]
        self.queues[at].remove(oid)
        if not self.queues[at]:
            del self.queues[at]
        return order

    def levels(self, is_buy: bool) -> list[tuple[int, int, int]]:
        """(price, size, orders), best first."""
        prices = sorted((px for side, px in self.queues if side == is_buy), reverse=is_buy)
        queues = [(px, self.queues[is_buy, px]) for px in prices]
        return [(px, sum(self.orders[oid]["sz"] for oid in queue), len(queue)) for px, queue in queues]

    def ahead(self, oid: int) -> tuple[int, int]:
        """(orders, size) before an order in its queue."""
        order = self.orders[oid]
        queue = self.queues[order["is_buy"], order["px"]]
        before = queue[: queue.index(oid)]
        return len(before), sum(self.orders[other]["sz"] for other in before)


class Stream:
    """Blocks of random changes. `live`: about how many orders rest; `width`: over how many prices a side."""

    def __init__(self, seed: int, *, live: int = 400, width: int = 40) -> None:
        self.chance = random.Random(seed)
        self.model = PlainL4()
        self.height = 650_000_000
        self.middle = 50_000
        self.live, self.width = live, width
        self.next_oid = 1
        self._oids: list[int] = []
        self._place: dict[int, int] = {}
        while len(self.model.orders) < live:
            self._new(self._order())

    def _order(self) -> dict[str, Any]:
        chance = self.chance
        is_buy = chance.random() < 0.5
        depth = min(int(chance.expovariate(4 / self.width)) + 1, self.width)
        order = {
            "oid": self.next_oid,
            "is_buy": is_buy,
            "px": self.middle - depth if is_buy else self.middle + depth,
            "sz": chance.randint(1, 500),
            "user": chance.choice(USERS),
            "cloid": f"0x{chance.getrandbits(128):032x}" if chance.random() < 0.4 else None,
            "time": time_of(self.height),
        }
        self.next_oid += chance.randint(1, 5)
        return order

    def _new(self, order: dict[str, Any], before: int | None = None) -> None:
        self.model.insert(order, before)
        self._place[order["oid"]] = len(self._oids)
        self._oids.append(order["oid"])

    def _gone(self, oid: int) -> dict[str, Any]:
        at, last = self._place.pop(oid), self._oids.pop()
        if last != oid:
            self._oids[at], self._place[last] = last, at
        return self.model.remove(oid)

    def block(self, diffs: int = 20) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The next block: (orders that came, diffs). A diff is {"oid", "px", "user", "kind", ...}."""
        self.height += 1
        chance, came, rows = self.chance, [], []
        if chance.random() < 0.02:
            self._move(rows)
        for _ in range(diffs):
            surplus = len(self.model.orders) - self.live
            what = chance.random() + max(min(surplus / max(self.live, 1), 0.3), -0.3)
            if what < 0.42 or len(self._oids) < 4:
                order, before = self._order(), None
                queue = self.model.queues.get((order["is_buy"], order["px"]))
                if queue and chance.random() < 0.15:
                    before = chance.choice(queue)
                self._new(order, before)
                came.append(dict(order))
                rows.append({**order, "kind": "new", "before": before})
            elif what < 0.62:
                order = self.model.orders[chance.choice(self._oids)]
                was, order["sz"] = order["sz"], chance.randint(1, order["sz"])
                rows.append({**order, "kind": "update", "was": was})
            else:
                rows.append({**self._gone(chance.choice(self._oids)), "kind": "remove"})
        return came, rows

    def _move(self, rows: list[dict[str, Any]]) -> None:
        """The price moves by one: what would cross is taken away."""
        self.middle += self.chance.choice((-1, 1))
        for is_buy in (True, False):
            for oid in list(self.model.queues.get((is_buy, self.middle), ())):
                rows.append({**self._gone(oid), "kind": "remove"})


def apply(book: Any, rows: list[dict[str, Any]]) -> None:
    """A block's diffs to an `L4Book`, through its methods."""
    for row in rows:
        if row["kind"] == "new":
            book.insert(
                row["oid"], row["is_buy"], row["px"], row["sz"], user=row["user"], cloid=row["cloid"],
                time_ms=row["time"], before=row["before"],
            )  # fmt: skip
        elif row["kind"] == "update":
            book.resize(row["oid"], row["sz"], row["was"])
        else:
            book.remove(row["oid"])


def load(book: Any, stream: Stream) -> None:
    """All that rests, as a snapshot."""
    book.begin_snapshot()
    for queue in stream.model.queues.values():
        for oid in queue:
            order = stream.model.orders[oid]
            book.insert(
                oid, order["is_buy"], order["px"], order["sz"], user=order["user"], cloid=order["cloid"],
                time_ms=order["time"],
            )  # fmt: skip
    assert book.end_block(stream.height, time_of(stream.height), 1)


def assert_equal(book: Any, model: PlainL4, *, queues: int = 0, chance: random.Random | None = None) -> None:
    """Every level, and the whole queue, owner and position of some orders (`queues` of them; 0: all)."""
    assert len(book) == len(model.orders)
    scaled = [[(px * 10**8, sz, n) for px, sz, n in model.levels(is_buy)] for is_buy in (True, False)]
    assert list(book.raw_levels(1 << 30)) == scaled
    oids = list(model.orders)
    if queues:
        oids = (chance or random.Random(1)).sample(oids, min(queues, len(oids)))
    for oid in oids:
        order, place = model.orders[oid], book.position(oid)
        assert (place.orders_ahead, place.lots_ahead) == model.ahead(oid)
        assert (place.is_buy, place.px_e8, place.lots) == (order["is_buy"], order["px"] * 10**8, order["sz"])
        assert (place.user, place.cloid, place.time_ms) == (order["user"], order["cloid"], order["time"])
