"""GatewayClient (layer 4): a small client of the gateway for Python programs, and a pattern for other languages.

    with GatewayClient.in_directory("/run/user/1000/hlfast/0xabc") as gateway:
        cl_id = gateway.place("BTC", "buy", "0.001", "60000", time_in_force="PO")
        print(gateway.answer(cl_id, timeout=5))             # the exec.report about it
        gateway.cancel(cl_id)

Blocking, for one thread. Needs pyzmq and nothing else of hlfast. Subscriptions are in place when the constructor has
returned (`is_up`: the gateway's status was heard). A request that was not answered may be sent again with the same id
(`send_again`): the gateway never executes it twice.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from hlfast import clock
from hlfast.engine.gateway_sockets import load_zmq
from hlfast.errors import NotReady

SILENCE_NS = 3_000_000_000
"""No message for so long: the gateway is gone."""
TOPICS = ("exec.report", "exec.fill", "exec.status")


class GatewayClient:
    """`orders`, `reports`: the gateway's endpoints. With CURVE: its `server_key`, and this client's own pair of keys.

    `missed[topic]`: the numbers of messages that did not come, also of another start of the gateway (`resend_missed` asks for
    them).
    """

    def __init__(
        self,
        orders: str,
        reports: str,
        *,
        server_key: str | None = None,
        public_key: str | None = None,
        secret_key: str | None = None,
        venue: str = "hyperliquid",
        prefix: str = "py",
        timeout: float = 5.0,
    ) -> None:
        self._zmq = zmq = load_zmq()
        self._context = zmq.Context()
        self._orders, self._reports = self._context.socket(zmq.PUSH), self._context.socket(zmq.SUB)
        for socket in (self._orders, self._reports):
            socket.linger = 0
            if server_key is not None:
                socket.curve_serverkey = server_key.encode()
                socket.curve_publickey = (public_key or "").encode()
                socket.curve_secretkey = (secret_key or "").encode()
        self._orders.setsockopt(zmq.IMMEDIATE, 1)  # nothing queues up for a gateway that is not there
        self.venue = venue
        self._ids = (f"{prefix}-{os.getpid()}-{clock.epoch_ns()}-{number}" for number in itertools.count(1))
        self._sent: dict[str, dict[str, Any]] = {}
        self._kept: deque[tuple[str, dict[str, Any]]] = deque()
        self._seq: dict[str, int] = {}
        self.run_id = ""
        self.status: dict[str, Any] | None = None
        self.missed: dict[str, set[int]] = {topic: set() for topic in TOPICS}
        self._heard_ns = 0
        for topic in TOPICS:
            self._reports.subscribe(topic)
        self._reports.connect(reports)
        self._orders.connect(orders)
        self._wait_for_status(timeout)

    @classmethod
    def in_directory(cls, directory: str | Path, **options: Any) -> GatewayClient:
        """Of a gateway with `ipc` sockets in `directory`."""
        return cls(f"ipc://{directory}/orders", f"ipc://{directory}/reports", **options)

    def _wait_for_status(self, timeout: float) -> None:
        deadline_ns = clock.monotonic_ns() + int(timeout * 1e9)
        while self.status is None:
            left = (deadline_ns - clock.monotonic_ns()) / 1e9
            if left <= 0:
                self.close()
                raise NotReady(
                    f"no gateway was heard within {timeout:g} s: is it running, are the endpoints right, and (with CURVE) is "
                    "this client's public key on its list?"
                )
            found = self._receive(left)
            if found is not None:
                self._kept.append(found)

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._orders.close(1_000)
        self._reports.close(0)
        self._context.term()

    @property
    def is_up(self) -> bool:
        return clock.monotonic_ns() - self._heard_ns < SILENCE_NS

    # -- requests ---------------------------------------------------------------------------------------------------
    def send(self, message: Mapping[str, Any]) -> str:
        """Any ExecutionOrder; `version`, `cl_id`, `ts_ns` are filled in. Returns its cl_id. Raises `NotReady`."""
        body = {"version": 1, "cl_id": next(self._ids), "ts_ns": clock.epoch_ns(), **message}
        self._push(body)  # where this raises, nothing was sent, and nothing of it may be sent again
        self._sent[body["cl_id"]] = body
        return str(body["cl_id"])

    def _push(self, body: Mapping[str, Any]) -> None:
        try:
            self._orders.send(json.dumps(body).encode(), self._zmq.NOBLOCK)
        except self._zmq.Again:
            raise NotReady("there is no connection to the gateway; nothing was sent") from None

    def place(
        self,
        symbol: str,
        side: str,
        size: str | int | Decimal,
        price: str | int | Decimal | None = None,
        *,
        order_type: str | None = None,
        time_in_force: str | None = None,
        stop_price: str | int | Decimal | None = None,
        reduce_only: bool = False,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        cl_id: str | None = None,
        product_type: str | None = "perpetual",
    ) -> str:
        """Numbers travel as text, exact. Without a price it is a market order."""
        details: dict[str, Any] = {
            "symbol": symbol,
            "side": side,
            "order_type": order_type or ("market" if price is None else "limit"),
            "size": str(size),
        }
        if price is not None:
            details["price"] = str(price)
        if time_in_force is not None:
            details["time_in_force"] = time_in_force
        if stop_price is not None:
            details["stop_price"] = str(stop_price)
        if reduce_only:
            details["reduce_only"] = True
        if params:
            details["params"] = dict(params)
        message = {"action": "place", "venue": self.venue, "details": details, **({"cl_id": cl_id} if cl_id else {})}
        if product_type is not None:
            message["product_type"] = product_type
        if tags:
            message["tags"] = dict(tags)
        return self.send(message)

    def cancel(self, cl_id: str) -> str:
        """Returns the id of the request."""
        return self.send({"action": "cancel", "venue": self.venue, "details": {"cancel": {"cl_id_to_cancel": cl_id}}})

    def replace(self, cl_id: str, *, price: str | Decimal | None = None, size: str | Decimal | None = None) -> str:
        new = {"cl_id_to_replace": cl_id}
        if price is not None:
            new["new_price"] = str(price)
        if size is not None:
            new["new_size"] = str(size)
        return self.send({"action": "replace", "venue": self.venue, "details": {"replace": new}})

    def resend(self, topic: str, first: int, last: int) -> str:
        return self.send({"action": "resend", "details": {"topic": topic, "from_seq": first, "to_seq": last}})

    def resend_missed(self) -> list[str]:
        """Ask for all that was missed, in as few requests as there are gaps; returns their ids. Repeats carry `duplicate`."""
        asked = []
        for topic, missed in self.missed.items():
            numbers = sorted(missed)
            for at, first in enumerate(numbers):
                if at and numbers[at - 1] == first - 1:
                    continue
                last = first
                while last + 1 in missed:
                    last += 1
                asked.append(self.resend(topic, first, last))
        return asked

    def send_again(self, cl_id: str) -> None:
        """The same request once more, as it was: for one that nothing was heard of."""
        self._push(self._sent[cl_id])

    @property
    def unanswered(self) -> list[str]:
        """Requests without a report so far."""
        return list(self._sent)

    # -- what is heard ----------------------------------------------------------------------------------------------
    def _receive(self, timeout: float) -> tuple[str, dict[str, Any]] | None:
        if not self._reports.poll(max(0, int(timeout * 1e3))):
            return None
        topic_bytes, payload = self._reports.recv_multipart()
        topic, message = topic_bytes.decode(), json.loads(payload, parse_float=Decimal)
        self._heard_ns = clock.monotonic_ns()
        if (
            message["run_id"] != self.run_id
        ):  # another start of the gateway: its numbers begin anew, all of them ours to hear
            self._seq = dict.fromkeys(TOPICS, 0) if self.run_id else {}
            self.run_id = message["run_id"]
            for missed in self.missed.values():
                missed.clear()
        if topic == "exec.status":
            self.status = message
            for counted, key in (("exec.report", "report_seq"), ("exec.fill", "fill_seq")):
                told = message[key]
                self.missed[counted].update(range(self._seq.setdefault(counted, told) + 1, told + 1))
                self._seq[counted] = max(told, self._seq[counted])
        else:
            self._count(topic, message["seq"])
            if topic == "exec.report":
                self._sent.pop(message["cl_id"], None)
        return topic, message

    def _count(self, topic: str, seq: int) -> None:
        last = self._seq.get(topic, seq - 1)
        self.missed[topic].update(range(last + 1, seq))
        self.missed[topic].discard(seq)
        self._seq[topic] = max(last, seq)

    def messages(self, timeout: float) -> Iterator[tuple[str, dict[str, Any]]]:
        """(topic, message) of all that comes within `timeout` seconds, what was kept for later first."""
        deadline_ns = clock.monotonic_ns() + int(timeout * 1e9)
        while True:
            if self._kept:
                yield self._kept.popleft()
                continue
            found = self._receive((deadline_ns - clock.monotonic_ns()) / 1e9)
            if found is not None:
                yield found
            elif clock.monotonic_ns() >= deadline_ns:
                return

    def answer(self, cl_id: str, timeout: float = 5.0) -> dict[str, Any]:
        """The next report with this id; everything else is kept for `messages`. Raises `NotReady` after `timeout`."""
        for at, (topic, message) in enumerate(self._kept):
            if topic == "exec.report" and message["cl_id"] == cl_id:
                del self._kept[at]
                return message
        deadline_ns = clock.monotonic_ns() + int(timeout * 1e9)
        while (left := (deadline_ns - clock.monotonic_ns()) / 1e9) > 0:
            found = self._receive(left)
            if found is None:
                continue
            if found[0] == "exec.report" and found[1]["cl_id"] == cl_id:
                return found[1]
            self._kept.append(found)
        raise NotReady(f"no report about {cl_id} within {timeout:g} s; it may be sent again with the same id")
