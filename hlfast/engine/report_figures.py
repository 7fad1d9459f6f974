"""What a journal's rows add up to, for `hlfast report` (layer 4, cold): exact sums, and nothing where nothing is known.

    with open_journal(...) as journal:
        report = figures(journal, since_ns=0)
    report["totals"]["net"]              # Decimal: closed profit, less fees, plus funding

Two ways to count profit, each where it is right. The account's is the venue's own (`closedPnl` of each fill); a
strategy's is by its own fills at average cost from a flat start, because the venue nets all that trades on an account.
Fees in another token than USDC are valued at the price of their fill where the token is what was bought; others are
named in `unvalued_fees` and not in any sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

import orjson

from hlfast.core.fixed import EXACT, scaled_to_decimal
from hlfast.engine.equity import CASH_TOKEN
from hlfast.engine.journal import names_by_prefix
from hlfast.engine.journal_reader import JournalReader, Row

ZERO = Decimal(0)
QUOTIENT = Context(prec=18)
"""Shares and averages have no end; this is what is kept of them."""
REASONS_SHOWN = 10
PERCENTILES = (50, 90, 99)


@dataclass
class Fill:
    """A fill in numbers. `pnl` is the venue's, without the fee; `fee` is in USDC, None if it cannot be valued."""

    time_ms: int
    coin: str
    is_buy: bool
    is_maker: bool
    price: Decimal
    size: Decimal
    value: Decimal
    fee: Decimal | None
    fee_token: str
    fee_amount: Decimal
    pnl: Decimal
    start: Decimal | None
    """The position before it, as the venue said."""
    strategy: str | None
    order_id: int | None

    @property
    def net(self) -> Decimal:
        return EXACT.subtract(self.pnl, self.fee or ZERO)

    @property
    def signed(self) -> Decimal:
        return self.size if self.is_buy else self.size.copy_negate()


@dataclass
class Holding:
    """Position and profit by own fills at average cost."""

    size: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO

    def book(self, fill: Fill) -> Decimal:
        """Returns the profit that the fill has closed."""
        signed, closed = fill.signed, ZERO
        if self.size and (self.size > 0) != (signed > 0):
            part = min(abs(signed), abs(self.size))
            cost = EXACT.divide(EXACT.multiply(self.cost, part), abs(self.size))
            earned = EXACT.multiply(part, fill.price)
            closed = EXACT.subtract(earned, cost) if self.size > 0 else EXACT.subtract(cost, earned)
            self.cost = ZERO if part == abs(self.size) else EXACT.subtract(self.cost, cost)
            opened = EXACT.subtract(abs(signed), part)
        else:
            opened = abs(signed)
        self.cost = EXACT.add(self.cost, EXACT.multiply(opened, fill.price))
        self.size = EXACT.add(self.size, signed)
        self.realized = EXACT.add(self.realized, closed)
        return closed

    def open_profit(self, mark: Decimal) -> Decimal:
        worth = EXACT.multiply(abs(self.size), mark)
        return EXACT.subtract(worth, self.cost) if self.size > 0 else EXACT.subtract(self.cost, worth)


@dataclass
class Tally:
    """Sums of one coin, one strategy, or everything."""

    fills: int = 0
    volume: Decimal = ZERO
    maker_volume: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    bought_value: Decimal = ZERO
    sold_value: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    orders: int = 0
    orders_filled: int = 0
    orders_partly: int = 0
    orders_refused: int = 0
    ordered_value: Decimal = ZERO
    filled_value: Decimal = ZERO
    """Of the same orders at the same prices as `ordered_value`: those that the venue took."""

    def add_fill(self, fill: Fill, pnl: Decimal) -> None:
        self.fills += 1
        self.volume = EXACT.add(self.volume, fill.value)
        if fill.is_maker:
            self.maker_volume = EXACT.add(self.maker_volume, fill.value)
        if fill.is_buy:
            self.bought, self.bought_value = EXACT.add(self.bought, fill.size), EXACT.add(self.bought_value, fill.value)
        else:
            self.sold, self.sold_value = EXACT.add(self.sold, fill.size), EXACT.add(self.sold_value, fill.value)
        self.realized = EXACT.add(self.realized, pnl)
        self.fees = EXACT.add(self.fees, fill.fee or ZERO)

    def add_order(self, row: Row, filled: Decimal) -> None:
        self.orders += 1
        size, price = scaled_to_decimal(row["lots"] or 0, row["sz_decimals"]), scaled_to_decimal(row["px_e8"] or 0, 8)
        if row["state"] == "FAILED":  # the venue never had it
            self.orders_refused += 1
            return
        self.ordered_value = EXACT.add(self.ordered_value, EXACT.multiply(size, price))
        self.filled_value = EXACT.add(self.filled_value, EXACT.multiply(min(filled, size), price))
        if filled and row["state"] == "FILLED":
            self.orders_filled += 1
        elif filled:
            self.orders_partly += 1

    def as_dict(self) -> dict[str, Any]:
        return {
            "orders": self.orders,
            "orders_filled": self.orders_filled,
            "orders_partly": self.orders_partly,
            "orders_refused": self.orders_refused,
            "fill_ratio": _share(self.filled_value, self.ordered_value),
            "fills": self.fills,
            "volume": self.volume,
            "maker_share": _share(self.maker_volume, self.volume),
            "average_buy": _share(self.bought_value, self.bought),
            "average_sell": _share(self.sold_value, self.sold),
            "realized": self.realized,
            "fees": self.fees,
            "funding": self.funding,
            "net": EXACT.add(EXACT.subtract(self.realized, self.fees), self.funding),
        }


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    return QUOTIENT.divide(part, whole) if whole else None


def figures(journal: JournalReader, *, since_ns: int = 0, coin: str | None = None) -> dict[str, Any]:
    """Everything that the report shows, of what happened at `since_ns` (epoch) or later; of one `coin`, or of all.

    Sums are `Decimal`, times epoch ns, shares 0 to 1 or None where there is nothing to divide by.
    """
    where, values = ("coin = ?", [coin]) if coin is not None else ("", [])
    since_ms = since_ns // 1_000_000
    runs = journal.select("runs", order="run")
    every_order = journal.select("orders", where, values)
    orders = [row for row in every_order if not row["is_external"] and (row["created_ns"] or 0) >= since_ns]
    every = sorted(map(_fill, journal.select("fills", where, values)), key=lambda fill: fill.time_ms)
    fills = [fill for fill in every if fill.time_ms >= since_ms]
    funding = [row for row in journal.select("funding", where, values, order="time_ms") if row["time_ms"] >= since_ms]
    equity = journal.select("equity", "recv_ns >= ? AND strategy IS NULL", [since_ns])
    marks = [(row["recv_ns"], orjson.loads(row["marks"]), row["run"]) for row in equity]

    filled: dict[int, Decimal] = {}
    for fill in every:
        if fill.order_id is not None:
            filled[fill.order_id] = EXACT.add(filled.get(fill.order_id, ZERO), fill.size)
    prefixes = _prefixes(runs)
    total = Tally()
    by_coin: dict[str, Tally] = {}
    by_strategy: dict[str, Tally] = {}
    for row in orders:
        got = filled.get(row["id"], ZERO)
        for tally in (
            total,
            by_coin.setdefault(row["coin"], Tally()),
            by_strategy.setdefault(_strategy(row, prefixes), Tally()),
        ):
            tally.add_order(row, got)
    names = {row["id"]: _strategy(row, prefixes) for row in every_order}
    holdings: dict[tuple[str, str], Holding] = {}
    for fill in every:
        strategy = fill.strategy or names.get(fill.order_id or 0, "")
        closed = holdings.setdefault((strategy, fill.coin), Holding()).book(fill)
        if fill.time_ms >= since_ms:
            total.add_fill(fill, fill.pnl)
            by_coin.setdefault(fill.coin, Tally()).add_fill(fill, fill.pnl)
            by_strategy.setdefault(strategy, Tally()).add_fill(fill, closed)
    for row in funding:
        for tally in (total, by_coin.setdefault(row["coin"], Tally())):
            tally.funding = EXACT.add(tally.funding, Decimal(row["amount"]))

    last = {fill.coin: fill.price for fill in every}
    last.update({name: Decimal(text) for _, known, _ in marks for name, text in known.items()})
    positions = {row["coin"]: row for row in journal.select("positions", where, values, order="coin")}
    times = [fill.time_ms * 1_000_000 for fill in fills] + [row["created_ns"] for row in orders]
    times += [row["recv_ns"] for row in equity]
    return {
        "journal": journal.name,
        "note": journal.note,
        "coin": coin,
        "since_ns": since_ns,
        "from_ns": min(times, default=None),
        "to_ns": max([*times, *(row["updated_ns"] for row in orders)], default=None),
        "totals": {**total.as_dict(), "max_drawdown": _drawdown(equity)},
        "unvalued_fees": _unvalued(fills),
        "coins": [
            {
                "coin": name,
                **tally.as_dict(),
                "position": _position(positions.get(name)),
                "last_price": last.get(name),
            }
            for name, tally in sorted(by_coin.items(), key=lambda item: -item[1].volume)
        ],
        "strategies": [
            {"strategy": name, **tally.as_dict(), **_open(name, holdings, last)}
            for name, tally in sorted(by_strategy.items(), key=lambda item: -item[1].volume)
        ],
        "states": dict(Counter(row["state"] for row in orders).most_common()),
        "reasons": _reasons(orders),
        "latency": {
            "journal_ms": _measured(journal, since_ns, {row["id"]: row["sent_ns"] for row in orders}),
            "stages_ns": _stages(runs),
        },
        "streams": _streams(journal, since_ns),
        "runs": [_run(row, prefixes, orders, every) for row in runs if (row["ended_ns"] or since_ns) >= since_ns],
        "curves": {
            "profit": _curve(fills, funding),
            "equity": [(row["recv_ns"], row["equity"], row["run"]) for row in equity if row["equity"] is not None],
            "fees": _fee_curve(fills),
            "coins": {name: _coin_curve(name, fills, marks) for name in by_coin if by_coin[name].fills},
        },
    }


# -- rows in numbers ----------------------------------------------------------------------------------------------------
def _fill(row: Row) -> Fill:
    price = scaled_to_decimal(row["px_e8"], 8)
    size = scaled_to_decimal(row["lots"], row["sz_decimals"]) if row["lots"] >= 0 else Decimal(row["size_text"])
    amount = Decimal(row["fee_text"]) if row["fee_text"] is not None else scaled_to_decimal(row["fee_e8"], 8)
    is_buy, coin, token = row["side"] == "B", row["coin"], row["fee_token"]
    fee: Decimal | None = amount
    if token != CASH_TOKEN and amount:
        # Spot: a buy is charged in what was bought.
        fee = EXACT.multiply(amount, price) if is_buy and ("/" in coin or coin.startswith("@")) else None
    return Fill(
        time_ms=row["time_ms"],
        coin=coin,
        is_buy=is_buy,
        is_maker=not row["crossed"],
        price=price,
        size=size,
        value=EXACT.multiply(price, size),
        fee=fee,
        fee_token=token,
        fee_amount=amount,
        pnl=scaled_to_decimal(row["closed_pnl_e8"], 8),
        start=None if row["start_lots"] is None else scaled_to_decimal(row["start_lots"], row["sz_decimals"]),
        strategy=row["strategy"],
        order_id=row["order_id"],
    )


def _prefixes(runs: Iterable[Row]) -> dict[str, str]:
    """Strategy by the prefix of its client order ids, as the runs have said."""
    found: dict[str, str] = {}
    for run in runs:
        found.update(names_by_prefix(run["strategies"]))
    return found


def _strategy(row: Row, prefixes: dict[str, str]) -> str:
    """Whose order it is: what it carries, else by its id; empty if nobody has said."""
    return row["strategy"] or prefixes.get(row["client_order_id"].partition("-")[0], "")


def _position(row: Row | None) -> Decimal | None:
    return None if row is None else scaled_to_decimal(row["lots"], row["sz_decimals"])


def _open(strategy: str, holdings: dict[tuple[str, str], Holding], last: dict[str, Decimal]) -> dict[str, Any]:
    held = {coin: own for (name, coin), own in holdings.items() if name == strategy and own.size}
    return {
        "positions": {coin: own.size for coin, own in held.items()},
        "open": sum((own.open_profit(last[coin]) for coin, own in held.items()), ZERO),
    }


def _unvalued(fills: Iterable[Fill]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for fill in fills:
        if fill.fee is None:
            found[fill.fee_token] = EXACT.add(found.get(fill.fee_token, ZERO), fill.fee_amount)
    return found


def _reasons(orders: Iterable[Row]) -> list[dict[str, Any]]:
    found = Counter(
        (row["reject_code"] or "", row["reject_text"] or row["reason"]) for row in orders if row["state"] == "FAILED"
    )
    return [{"code": code, "text": text, "orders": n} for (code, text), n in found.most_common(REASONS_SHOWN)]


def _run(row: Row, prefixes: dict[str, str], orders: list[Row], fills: list[Fill]) -> dict[str, Any]:
    mine = [order["id"] for order in orders if order["run"] == row["run"]]
    known = set(mine)
    return {
        "run": row["run"],
        "network": row["network"],
        "account": row["account"],
        "signer": row["signer"],
        "version": row["version"],
        "started_ns": row["started_ns"],
        "ended_ns": row["ended_ns"],
        "strategies": orjson.loads(row["strategies"] or "[]"),
        "orders": len(mine),
        "fills": sum(fill.order_id in known for fill in fills),
    }


# -- latency and streams ------------------------------------------------------------------------------------------------
def _measured(journal: JournalReader, since_ns: int, sent: dict[int, int]) -> dict[str, dict[str, Any]]:
    """From the journal's own times: until the venue's first word about an order, and from a cancel to the order's end."""
    events = journal.select(
        "order_events",
        "recv_ns >= ? AND recovered = 0 AND event IN ('created', 'failed', 'cancel_sent', 'cancelled')",
        [since_ns],
    )
    placed: dict[int, int] = {}
    cancelled: dict[int, int] = {}
    asked: dict[int, int] = {}
    for event in events:
        order = event["order_id"]
        if order not in sent:
            continue
        if event["event"] in ("created", "failed"):
            placed.setdefault(order, event["recv_ns"] - sent[order])
        elif event["event"] == "cancel_sent":
            asked.setdefault(order, event["recv_ns"])
        elif event["event"] == "cancelled" and order in asked:
            cancelled.setdefault(order, event["recv_ns"] - asked[order])
    return {
        name: _percentiles(list(found.values()))
        for name, found in (("order to the venue's answer", placed), ("cancel to the end", cancelled))
        if found
    }


def _percentiles(values: list[int]) -> dict[str, Any]:
    values.sort()
    at = {f"p{p}": round(values[min(len(values) - 1, len(values) * p // 100)] / 1e6, 3) for p in PERCENTILES}
    return {"count": len(values), **at, "max": round(values[-1] / 1e6, 3)}


def _stages(runs: Iterable[Row]) -> dict[str, Any]:
    """Of the newest run that has recorded some: stages that were passed."""
    for row in reversed(list(runs)):
        stages = orjson.loads(row["latency"] or "{}")
        passed = {name: stage for name, stage in stages.items() if stage.get("count")}
        if passed:
            return {"run": row["run"], "stages": passed}
    return {}


def _streams(journal: JournalReader, since_ns: int) -> dict[str, Any]:
    down: Counter[str] = Counter()
    recovered = missed = 0
    for row in journal.select("stream_events", "recv_ns >= ? AND event IN ('StreamStatus', 'Recovered')", [since_ns]):
        body = orjson.loads(row["body"])
        if row["event"] == "Recovered":
            recovered, missed = recovered + 1, missed + int(body.get("fills") or 0)
        elif body.get("state") == "DOWN" and body.get("reason") != "stopped":
            down[str(body.get("stream"))] += 1
    return {"down": dict(down), "recovered": recovered, "fills_found_after_gaps": missed}


# -- curves -------------------------------------------------------------------------------------------------------------
def _curve(fills: list[Fill], funding: list[Row]) -> list[tuple[int, Decimal]]:
    """(epoch ns, closed profit less fees plus funding so far)."""
    steps = [(fill.time_ms, fill.net) for fill in fills] + [(row["time_ms"], Decimal(row["amount"])) for row in funding]
    curve, so_far = [], ZERO
    for time_ms, step in sorted(steps, key=lambda item: item[0]):
        so_far = EXACT.add(so_far, step)
        curve.append((time_ms * 1_000_000, so_far))
    return curve


def _fee_curve(fills: list[Fill]) -> list[tuple[int, Decimal]]:
    curve, so_far = [], ZERO
    for fill in fills:
        so_far = EXACT.add(so_far, fill.fee or ZERO)
        curve.append((fill.time_ms * 1_000_000, so_far))
    return curve


def _coin_curve(coin: str, fills: list[Fill], marks: list[tuple[int, dict[str, str], int]]) -> dict[str, Any]:
    own = [fill for fill in fills if fill.coin == coin]
    held = own[0].start or ZERO
    position = [(own[0].time_ms * 1_000_000, held)]
    for fill in own:
        held = EXACT.add(held, fill.signed)
        position.append((fill.time_ms * 1_000_000, held))
    return {
        "fills": [(fill.time_ms * 1_000_000, fill.price, fill.size, fill.is_buy, fill.is_maker) for fill in own],
        "prices": [(ns, Decimal(known[coin]), run) for ns, known, run in marks if coin in known],
        "position": position,
    }


def _drawdown(equity: Iterable[Row]) -> Decimal | None:
    """The deepest fall of the account's value from a height before it; None without two points."""
    values = [row["equity"] for row in equity if row["equity"] is not None]
    if len(values) < 2:
        return None
    highest, deepest = values[0], ZERO
    for value in values:
        highest = max(highest, value)
        deepest = max(deepest, EXACT.subtract(highest, value))
    return Decimal(deepest)
