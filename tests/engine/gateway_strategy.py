"""A strategy in a process of its own: it trades through a gateway and keeps a book from what the gateway tells it.

    python gateway_strategy.py '{"endpoints": {...}, "seed": 7, "coins": ["BTC"]}'

It says "ready", trades until a line comes on stdin, cancels what it has, asks for what it missed, and prints its book as
one JSON line. Used by `test_gateway_day.py`.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
from decimal import Decimal
from typing import Any

import zmq

from hlfast.engine.gateway_client import GatewayClient
from hlfast.errors import NotReady

SIZES = {"BTC": "0.0007", "ETH": "0.012"}
END_SECONDS = 90.0


class Book:
    """Position, cash, fees and fills, each fill once by the contract's key."""

    def __init__(self) -> None:
        self.fills: set[tuple[str, str, int]] = set()
        self.positions: dict[str, Decimal] = {}
        self.cash = Decimal(0)
        self.fees: dict[str, Decimal] = {}
        self.repeats = 0

    def add(self, fill: dict[str, Any]) -> None:
        key = (fill["exec_id"], fill["exchange_order_id"], fill["venue_ts_ns"])
        if key in self.fills:
            self.repeats += 1
            return
        self.fills.add(key)
        coin = fill["symbol_or_pair"].split("-")[0]
        size = fill["size"] if fill["side"] == "buy" else -fill["size"]
        self.positions[coin] = self.positions.get(coin, Decimal(0)) + size
        self.cash -= size * fill["price"] + fill["fee_amount"]
        token = fill["fee_currency"]
        self.fees[token] = self.fees.get(token, Decimal(0)) + fill["fee_amount"]


class Strategy:
    def __init__(self, given: dict[str, Any]) -> None:
        self.rng = random.Random(given["seed"])
        self.coins = given["coins"]
        at = given["endpoints"]
        self.client = GatewayClient(at["orders"], at["reports"], timeout=30.0)
        self.context = zmq.Context()
        self.market = self.context.socket(zmq.SUB)
        self.market.subscribe(b"HYPERLIQUID-preprocessed_book-")
        self.market.subscribe(b"HYPERLIQUID-preprocessed_trades-")
        self.market.connect(at["books"])
        self.market.connect(at["trades"])
        self.book = Book()
        self.tops: dict[str, tuple[Decimal, Decimal]] = {}
        self.orders: dict[str, str] = {}
        """Client's id → "sent", "live" or how it ended."""
        self.cancels: dict[str, str] = {}
        """Request → its target."""
        self.told: dict[str, list[list[Any]]] = {}
        """Client's id → what was said of it, for whoever has to find out why something disagrees."""
        self.market_messages = self.market_gaps = self.requests = 0
        self._market_seq: dict[bytes, int] = {}

    # -- what is heard ----------------------------------------------------------------------------------------------
    def hear(self, seconds: float) -> None:
        while self.market.poll(0):
            topic, payload = self.market.recv_multipart()
            message = json.loads(payload, parse_float=Decimal)
            last = self._market_seq.get(topic)
            self.market_gaps += last is not None and message["seq"] != last + 1
            self._market_seq[topic] = message["seq"]
            self.market_messages += 1
            if b"_book-" in topic and message["best_bid_price"] and message["best_ask_price"]:
                self.tops[message["symbol"]] = (message["best_bid_price"], message["best_ask_price"])
        for topic, message in self.client.messages(seconds):
            if "cl_id" in message:
                said = [
                    topic,
                    *map(message.get, ("status", "reason_code", "raw_code", "exchange_order_id", "leaves_size")),
                ]
                self.told.setdefault(message["cl_id"], []).append(said)
            if topic == "exec.fill":
                self.book.add(message)
                if message.get("leaves_size") == 0:
                    self.orders[message["cl_id"]] = "filled"
            elif topic == "exec.report" and message["cl_id"] in self.orders:
                self._report(message)
            elif topic == "exec.report" and message["cl_id"] in self.cancels:
                self._cancel_answer(message)

    def _report(self, report: dict[str, Any]) -> None:
        """A place that was refused for a passing reason and is sent again is a new attempt (contract 8): its acceptance comes
        after that refusal, which may be heard late, as a repeat, from the messages that were missed."""
        cl_id, status = report["cl_id"], report["status"]
        if status == "canceled" or (status == "rejected" and self.orders[cl_id] == "sent"):
            self.orders[cl_id] = status
        elif status != "rejected" and self.orders[cl_id] in ("sent", "rejected"):
            self.orders[cl_id] = "live"

    def _cancel_answer(self, report: dict[str, Any]) -> None:
        """An end whose own report died with a gateway is known by what its cancel is answered with."""
        ends = {"already_done": "canceled", "already_filled": "filled"}
        if report.get("raw_code") in ends and self.orders[self.cancels[report["cl_id"]]] == "live":
            self.orders[self.cancels[report["cl_id"]]] = ends[report["raw_code"]]

    def cancel(self, cl_id: str) -> None:
        self.cancels[self.client.cancel(cl_id)] = cl_id

    # -- what is wanted ---------------------------------------------------------------------------------------------
    def act(self) -> None:
        rng = self.rng
        live = [cl_id for cl_id, state in self.orders.items() if state == "live"]
        what = rng.choices(("place", "cancel", "replace", "market"), (10, 6, 2, 1))[0]
        coin = rng.choice(self.coins)
        try:
            if what in ("place", "market") and coin in self.tops:
                self._place(coin, what)
            elif what == "cancel" and live:
                self.cancel(rng.choice(live))
                self.requests += 1
            elif what == "replace" and live and coin in self.tops:
                bid, _ = self.tops[coin]
                self.client.replace(rng.choice(live), price=str(int(bid * Decimal("0.999"))))
                self.requests += 1
        except NotReady:
            time.sleep(0.05)

    def _place(self, coin: str, what: str) -> None:
        rng = self.rng
        bid, ask = self.tops[coin]
        side = rng.choice(("buy", "sell"))
        away = Decimal(rng.choice(("0", "0.0005", "0.002", "-0.0005")))
        price = bid * (1 - away) if side == "buy" else ask * (1 + away)
        size = str(Decimal(SIZES[coin]) * rng.choice((1, 2, 7)))
        more: dict[str, Any] = {"params": {"ttl_ms": 3_000}, "tags": {"strategy": "day"}}
        if what == "market":
            cl_id = self.client.place(coin, side, size, **more)
        else:
            cl_id = self.client.place(
                coin, side, size, f"{price:.6f}", time_in_force=rng.choice(("PO", "GTC", "GTC", "IOC")), **more
            )
        self.requests += 1
        self.orders[cl_id] = "sent"

    def run(self) -> None:
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            self.hear(self.rng.uniform(0.002, 0.02))
            self.act()

    def end(self) -> dict[str, Any]:
        """Nothing of ours is left: each request answered, each order ended, each message heard."""
        deadline = time.monotonic() + END_SECONDS
        asked_at = 0.0
        while time.monotonic() < deadline:
            self.hear(0.05)
            left = [cl_id for cl_id, state in self.orders.items() if state in ("sent", "live")]
            missed = sum(map(len, self.client.missed.values()))
            if not left and not missed and not self.client.unanswered:
                break
            if time.monotonic() - asked_at < 1.0:
                continue
            asked_at = time.monotonic()
            try:
                self.client.resend_missed()
                for cl_id in self.client.unanswered:
                    self.client.send_again(cl_id)
                for cl_id in left:
                    if self.orders[cl_id] == "live":
                        self.cancel(cl_id)
            except NotReady:
                continue
        self.hear(1.5)
        states: dict[str, int] = {}
        for state in self.orders.values():
            states[state] = states.get(state, 0) + 1
        return {
            "fills": sorted(self.book.fills),
            "positions": {coin: str(size) for coin, size in self.book.positions.items() if size},
            "cash": str(self.book.cash),
            "fees": {token: str(fee) for token, fee in self.book.fees.items()},
            "orders": states,
            "told": {cl_id: [self.orders[cl_id], *self.told.get(cl_id, ())] for cl_id in self.orders},
            "unanswered": self.client.unanswered,
            "repeats": self.book.repeats,
            "missed": sum(map(len, self.client.missed.values())),
            "requests": self.requests,
            "market_messages": self.market_messages,
            "market_gaps": self.market_gaps,
        }


if __name__ == "__main__":
    strategy = Strategy(json.loads(sys.argv[1]))
    strategy.run()
    print(json.dumps(strategy.end(), default=str), flush=True)
    strategy.client.close()
    strategy.context.destroy(0)
