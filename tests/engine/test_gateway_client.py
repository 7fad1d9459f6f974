"""GatewayClient: what it missed, what it may send again, and a gateway that starts anew."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hlfast.engine.gateway_client import GatewayClient
from hlfast.errors import NotReady

zmq = pytest.importorskip("zmq", reason="the gateway needs pyzmq")


class FarEnd:
    """A gateway's two sockets, and its status as long as `counts` is not None."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.pull, self.pub = self.context.socket(zmq.PULL), self.context.socket(zmq.PUB)
        self.orders = f"tcp://127.0.0.1:{self.pull.bind_to_random_port('tcp://127.0.0.1')}"
        self.reports = f"tcp://127.0.0.1:{self.pub.bind_to_random_port('tcp://127.0.0.1')}"
        self.run_id, self.counts = "1", (0, 0)
        self._lock, self._ends = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self._thread.start()

    def _beat(self) -> None:
        while not self._ends.wait(0.02):
            self.say("exec.status", report_seq=self.counts[0], fill_seq=self.counts[1], state="live")

    def say(self, topic: str, **message: Any) -> None:
        with self._lock:
            self.pub.send_multipart([topic.encode(), json.dumps({"run_id": self.run_id, **message}).encode()])

    def asked(self) -> list[dict[str, Any]]:
        found = []
        while self.pull.poll(200):
            found.append(json.loads(self.pull.recv()))
        return found

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self.context.destroy(0)


@pytest.fixture
def far() -> Iterator[FarEnd]:
    made = FarEnd()
    yield made
    made.close()


def drain(client: GatewayClient) -> None:
    list(client.messages(0.3))


def test_a_gap_and_a_lost_end_are_seen_and_asked_for_in_one_request_each(far):
    """Contract 1, 2.8, 9: by the numbers, and by what the status counts."""
    far.counts = (40, 7)  # history: it was before this client
    with GatewayClient(far.orders, far.reports, timeout=10) as client:
        assert not any(client.missed.values())
        for seq in (41, 43, 46):
            far.say("exec.report", cl_id="x", seq=seq, status="accepted")
        drain(client)
        assert client.missed["exec.report"] == {42, 44, 45}
        far.counts = (48, 9)
        drain(client)
        assert client.missed["exec.report"] == {42, 44, 45, 47, 48} and client.missed["exec.fill"] == {8, 9}
        assert len(client.resend_missed()) == 4
        wanted = [
            (one["details"]["topic"], one["details"]["from_seq"], one["details"]["to_seq"]) for one in far.asked()
        ]
        assert wanted == [
            ("exec.report", 42, 42),
            ("exec.report", 44, 45),
            ("exec.report", 47, 48),
            ("exec.fill", 8, 9),
        ]
        for seq in (42, 44, 45, 47, 48):
            far.say("exec.report", cl_id="x", seq=seq, status="accepted", duplicate=True)
        drain(client)
        assert not client.missed["exec.report"]


def test_of_another_start_of_the_gateway_everything_is_ours_to_hear(far):
    """Contract 4.1: `run_id` has changed; what it told before we heard it again was missed."""
    far.counts = (5, 5)
    with GatewayClient(far.orders, far.reports, timeout=10) as client:
        far.run_id, far.counts = "2", (3, 1)
        drain(client)
        assert client.run_id == "2"
        assert client.missed["exec.report"] == {1, 2, 3} and client.missed["exec.fill"] == {1}


class NobodyThere:
    """The order socket without a connection."""

    def send(self, message: bytes, flags: int) -> None:
        raise zmq.Again


def test_what_could_not_be_sent_is_not_sent_later(far):
    """`NotReady` says that nothing was sent: so it is nothing to send again either."""
    with GatewayClient(far.orders, far.reports, timeout=10) as client:
        sent = client.place("BTC", "buy", "1", "1")
        assert client.unanswered == [sent] and len(far.asked()) == 1
        socket, client._orders = client._orders, NobodyThere()
        with pytest.raises(NotReady, match="nothing was sent"):
            client.place("BTC", "buy", "1", "1", cl_id="lost")
        assert client.unanswered == [sent]
        with pytest.raises(KeyError):
            client.send_again("lost")
        client._orders = socket
