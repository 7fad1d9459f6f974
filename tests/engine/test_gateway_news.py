"""What the exchange says of orders, told on: rare news, each once and with the right code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hlfast.engine.gateway_text import RisingClock
from hlfast.types import OrderState

from . import contract_examples as examples

pytest.importorskip("zmq", reason="the gateway needs pyzmq")


def reports(desk: Any, cl_id: str) -> list[dict[str, Any]]:
    told = [json.loads(payload) for topic, payload in desk.frames if topic == b"exec.report"]
    return [one for one in told if one["cl_id"] == cl_id]


def kinds(desk: Any) -> list[str]:
    return [topic.decode().rpartition(".")[2] for topic, _ in desk.events]


def stop_order(desk: Any) -> Any:
    stop = (
        b'{"version":1,"cl_id":"s","action":"place","venue":"hyperliquid","product_type":"perpetual","details":{"symbol":'
        b'"BTC","side":"sell","order_type":"stop","stop_price":"80000","size":"0.01","reduce_only":true}}'
    )
    return desk.place(stop, 7)


def test_a_trigger_that_fires_is_an_update_and_no_report(scripted_desk):
    """Contract 5.4, 10."""
    desk = scripted_desk
    order = stop_order(desk)
    seen = len(desk.frames)
    desk.row(order, 7, OrderState.OPEN, "triggered", 1790358617999000000)
    assert kinds(desk) == ["update", "created", "update"] and len(desk.frames) == seen
    event = json.loads(desk.events[-1][1])
    assert (event["event_type"], event["data"]["order_state"]) == ("order_update", "OPEN")
    desk.row(order, 7, OrderState.OPEN, "open", 1790358617999000000)
    assert kinds(desk) == ["update", "created", "update"]


def test_a_refusal_at_the_trigger_ends_an_accepted_order_as_canceled(scripted_desk):
    """Contract 5.4: `*Rejected` on an accepted trigger order."""
    desk = scripted_desk
    order = stop_order(desk)
    desk.row(order, 7, OrderState.FAILED, "perpMarginRejected", 1790358617999000000)
    end = reports(desk, "s")[-1]
    assert (end["status"], end["reason_code"], end["raw_code"]) == (
        "canceled",
        "insufficient_balance",
        "perpMarginRejected",
    )


def test_an_invented_status_is_an_update_and_no_report(scripted_desk):
    """Contract 5.4, behaviour 127: counted, told as an event, asked about."""
    desk = scripted_desk
    order = desk.place(examples.PLACE, 9)
    seen = len(desk.frames)
    desk.row(order, 9, -1, "vaporised", 1790358617999000000)  # type: ignore[arg-type]
    assert kinds(desk)[-1] == "update" and len(desk.frames) == seen
    assert desk.connector.tracker.counters["unknown_status"] == 1
    assert order in desk.connector.tracker.orders_to_ask_about


def test_a_replace_that_loses_the_order_tells_both_with_the_same_code(scripted_desk):
    """Contract 6, replace: the old order gone, the new one refused."""
    desk = scripted_desk
    order = desk.place(examples.PLACE.replace(b"mm-42-17", b"mm-42-18"), 9)
    desk.send(examples.REPLACE)
    text = "Error placing new order during modify: Insufficient margin to place order. asset=0"
    desk.connector.tracker.modify_refused(order, text, True)
    answer = reports(desk, "replace_1790358631_3")[-1]
    assert (answer["status"], answer["reason_code"]) == ("rejected", "insufficient_balance")
    end = reports(desk, "mm-42-18")[-1]
    assert (end["status"], end["reason_code"], end["reason_text"]) == ("canceled", "insufficient_balance", text)


def test_a_refused_replace_leaves_the_order_as_it_was(scripted_desk):
    """Contract 6, replace: refused, the old order still live; a later end has its own reason."""
    desk = scripted_desk
    order = desk.place(examples.PLACE.replace(b"mm-42-17", b"mm-42-18"), 9)
    desk.send(examples.REPLACE)
    desk.connector.tracker.modify_refused(order, "Post only order would have immediately matched, bbo was 1@2. asset=0")
    answer = reports(desk, "replace_1790358631_3")[-1]
    assert (answer["status"], answer["reason_code"]) == ("rejected", "post_only_violation")
    assert [one["status"] for one in reports(desk, "mm-42-18")] == ["accepted"]
    desk.row(order, 9, OrderState.CANCELLED, "canceled", 1790358617999000000)
    assert reports(desk, "mm-42-18")[-1]["raw_code"] == "canceled"


def test_a_refused_child_alone_is_rejected_alone(scripted_desk):
    """Contract 2.6."""
    desk = scripted_desk
    desk.connector.quote("ETH", [("2081", "1")], [("2082", "1")])
    desk.at(1790358620001000000).send(examples.BRACKET)
    entry, tp, sl = desk.connector.sent
    desk.open(entry, 1)
    desk.open(sl, 2)
    desk.connector.tracker.reject(tp, "Invalid TP/SL price. asset=1")
    assert [reports(desk, cl_id)[-1]["status"] for cl_id in ("brk-7", "brk-7::tp", "brk-7::sl")] == [
        "accepted", "rejected", "accepted",
    ]  # fmt: skip
    assert reports(desk, "brk-7::tp")[-1]["reason_code"] == "price_out_of_bounds"


def test_a_clock_that_is_set_back_sets_nothing_back_on_its_socket(scripted_desk):
    """Contract 0: reports, fills and status leave by one socket and share one clock."""
    desk = scripted_desk
    order = desk.at(1790358618000000000).place(examples.PLACE, 9)
    desk.at(1790358610000000000).reports.tell_status("live", 1, 0, 0, 0)
    desk.row(order, 9, OrderState.CANCELLED, "canceled", 1790358617999000000)
    times = [json.loads(payload)["ts_ns"] for _, payload in desk.frames]
    assert len(times) == 3 and times == sorted(times)
    assert RisingClock()() == 1790358610000000000  # each socket's own
