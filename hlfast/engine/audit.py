"""The audit of an account: our figures beside the exchange's own record (layer 4, cold, pure).

`figures` is `ConnectorBase.ledger`: cash, fees, fills and positions by own fills alone. `truth` and `before` are the
local exchange's record of the account (`GET /sim/truth?user=...`), now and when the ledger, with all its purses, started. The two sides
share nothing but the fills that went over the wire, so every fill that was lost, doubled or invented shows. Amounts
are compared as exact decimals: there is no tolerance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
Record = Mapping[str, Any]
Key = tuple[str, int, int, int]


@dataclass(frozen=True)
class Difference:
    """`kind`: cash, purse, position, balance, fees, fill or order. `ours` and `exchange` are what each side has, as text."""

    kind: str
    subject: str
    ours: str
    exchange: str

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: ours {self.ours}, exchange {self.exchange}"


def differences(figures: Record, truth: Record, before: Record | None = None) -> list[Difference]:
    """Every difference, none if both sides agree. Without `before` the account's record was empty when ours started."""
    before = before or {}
    purses = figures.get("purses", {})
    return [
        *_amounts("cash", {"USDC": figures["cash"]}, {"USDC": truth["cash"]}),
        *_amounts("purse", purses, {place: truth["dex_cash"].get(place, ZERO) for place in purses}),
        *_amounts("position", figures["positions"], _positions(truth, purses)),
        *_amounts("balance", figures["spot"], {token: row["total"] for token, row in truth["spot"].items()}),
        *_amounts("fees", figures["fees"], _minus(truth["fees"], before.get("fees", {}))),
        *_fills(figures["fill_keys"], truth["fills"], before.get("fills", ()), _since(figures, truth)),
        *_resting(truth["orders"], before.get("orders", ())),
    ]


def _positions(truth: Record, purses: Mapping[str, Any]) -> dict[str, Any]:
    """Without those in dexs that ours has not taken up."""
    return {
        coin: row["szi"]
        for coin, row in truth["positions"].items()
        if ":" not in coin or coin.partition(":")[0] in purses
    }


def _amounts(kind: str, ours: Mapping[str, Any], exchange: Mapping[str, Any]) -> Iterator[Difference]:
    """Amounts by name; one that is absent counts as zero."""
    for name in sorted({*ours, *exchange}):
        a, b = Decimal(ours.get(name, ZERO)), Decimal(exchange.get(name, ZERO))
        if a != b:
            yield Difference(kind, name, f"{a:f}", f"{b:f}")


def _minus(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Decimal]:
    return {token: Decimal(amount) - Decimal(before.get(token, ZERO)) for token, amount in now.items()}


def _since(figures: Record, truth: Record) -> int:
    """Both sides keep the newest fills only: those up to this time (ms) are left to the sums. -1 if all are there."""
    ours, rows = figures["fill_keys"], truth["fills"]
    return max(
        ours[0][3] if ours and figures.get("fills", 0) > len(ours) else -1,
        rows[0]["time"] if rows and truth.get("dropped", {}).get("fills") else -1,
    )


def _fills(
    ours: Iterable[Key], rows: Iterable[Record], rows_before: Iterable[Record], since_ms: int
) -> Iterator[Difference]:
    booked = Counter(key for key in ours if key[3] > since_ms)
    made = {_key(row): row for row in rows if row["time"] > since_ms}
    old = {_key(row) for row in rows_before}
    for key, row in made.items():
        if key not in booked and key not in old:
            yield Difference("fill", _name(key), "missing", f"{row['side']} {row['sz']} at {row['px']}")
    for key, times in booked.items():
        if key not in made:
            yield Difference("fill", _name(key), "booked", "unknown")
        elif times > 1:
            yield Difference("fill", _name(key), f"booked {times} times", "once")


def _resting(orders: Iterable[Record], orders_before: Iterable[Record]) -> Iterator[Difference]:
    """After a strategy's end nothing of it may rest. Orders that rested before are somebody else's."""
    old = {row["oid"] for row in orders_before}
    for row in orders:
        if row["status"] == "open" and row["oid"] not in old:
            text = f"{row['side']} {row['sz']} at {row['px']}"
            yield Difference("order", f"{row['coin']} oid {row['oid']}", "ended", f"resting: {text}")


def _key(row: Record) -> Key:
    return row["coin"], row["tid"], row["oid"], row["time"]


def _name(key: Key) -> str:
    coin, tid, oid, time_ms = key
    return f"{coin} tid {tid} oid {oid} at {time_ms}"
