"""Structured logs: one JSON object a line, with order ids, without secrets, and never in the loop's way."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import hlfast
from hlfast import clock
from hlfast.engine import structured_log
from hlfast.errors import ConfigError
from hlfast.sim import FUNDED_ACCOUNTS

from .conftest import QUICK, Desk, Process, open_sim

KEY = "0x" + "5e" * 31 + "17"
log = logging.getLogger("hlfast.test")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_object_with_its_fields():
    stream = io.StringIO()
    with structured_log.to(stream):
        log.info("two\nlines %s", "and 'quotes\"", extra={"fields": {"cl_id": "a", "size": 1}})
        log.debug("not shown")
        logging.getLogger("other").warning("not ours")
    (line,) = lines(stream)
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "hlfast.test", "two\nlines and 'quotes\"")
    assert (line["cl_id"], line["size"]) == ("a", 1)
    assert abs(line["ts_ns"] - clock.epoch_ns()) < 60e9 and line["time"].endswith("Z")


def test_an_error_comes_with_where_it_was():
    stream = io.StringIO()
    with structured_log.to(stream):
        try:
            raise ValueError("why")
        except ValueError:
            log.exception("failed")
    (line,) = lines(stream)
    assert (
        line["level"] == "ERROR" and line["exception"].endswith("ValueError: why") and "Traceback" in line["exception"]
    )


@pytest.mark.parametrize("as_json", [True, False])
def test_what_has_the_form_of_a_key_is_not_written(as_json):
    """Must not 37: in the text, in a field, in an exception; a hash of 32 digits (a cloid) stays."""
    stream = io.StringIO()
    with structured_log.to(stream, as_json=as_json):
        log.warning("key %s and %s", KEY, KEY[2:].upper(), extra={"fields": {"cloid": "0x" + "1" * 32, "sig": KEY}})
        try:
            raise ValueError(f"bad key {KEY}")
        except ValueError:
            log.exception("failed")
    assert "5e5e5e" not in stream.getvalue().lower() and "0x" + "1" * 32 in stream.getvalue()


def test_off_again_everything_is_as_before():
    logger = logging.getLogger("hlfast")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with structured_log.to(io.StringIO(), level="debug"):
        assert logger.level == logging.DEBUG
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    with pytest.raises(ConfigError, match="DEBUG, INFO"), structured_log.to(io.StringIO(), level="loud"):
        pass


def test_a_stream_that_does_not_take_lines_costs_records_and_no_time():
    """The loop never waits for it: what does not fit is dropped, counted, and said."""
    import threading

    gate = threading.Event()

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            gate.wait(20)
            return super().write(text)

    stream = Slow()
    with structured_log.to(stream, queued=10) as made:
        for n in range(1_000):
            log.info("record %d", n)
        assert made.dropped >= 980
        gate.set()
    told = [line["message"] for line in lines(stream)]
    assert told[0] == "record 0" and any("records dropped" in message for message in told)


async def test_every_event_of_an_order_carries_its_ids():
    exchange = await open_sim()
    stream = io.StringIO()
    try:
        async with hlfast.connect(exchange.network, key=FUNDED_ACCOUNTS[0].key, settings=QUICK) as hl:
            with structured_log.to(stream), structured_log.orders_of(hl, lambda coid: "mine"):
                order = hl.buy("BTC", "0.01", "65010", tif="Ioc")
                await order.done()
                bad = hl.buy("BTC", "0.01", "66000", tif="Alo")
                await bad.done()
            await hl.buy("BTC", "0.01", "65010", tif="Ioc").done()  # not logged any more
    finally:
        await exchange.stop()
    told = [line for line in lines(stream) if line["logger"] == "hlfast.orders"]
    assert {line["client_order_id"] for line in told} == {order.client_order_id, bad.client_order_id}
    of = [line for line in told if line["client_order_id"] == order.client_order_id]
    assert [line["message"] for line in of if line["message"] != "OrderStateChanged"] == [
        "OrderCreated", "OrderFilled", "OrderCompleted",
    ]  # fmt: skip
    fill = next(line for line in of if line["message"] == "OrderFilled")
    assert (fill["cl_id"], fill["cloid"], fill["exchange_order_id"]) == ("mine", order.cloid, order.exchange_order_id)
    assert (fill["fill_price"], fill["fill_size"], fill["fee_token"]) == ("65010", "0.01", "USDC")
    assert any(line["message"] == "OrderFailed" and line["reason"].startswith("post_only_crossed: ") for line in told)


async def test_no_output_of_a_gateway_holds_the_key(tmp_path):
    """Must not 37: stdout, stderr at DEBUG, everything published, the metrics and the journal, all searched for the key."""
    pytest.importorskip("zmq", reason="the gateway needs pyzmq")
    import urllib.request

    key = FUNDED_ACCOUNTS[0].key
    exchange = await open_sim()
    gateway = Process(
        exchange, tmp_path, "--key", "env:HL_TEST_KEY", "--log", "json", "--log-level", "DEBUG", "--metrics", "127.0.0.1:0",
    )  # fmt: skip
    gateway.environment["HL_TEST_KEY"] = key
    with open(tmp_path / "stderr", "wb") as errors:
        gateway.stderr = errors
        desk = None
        try:
            await gateway.start()
            desk = await Desk(exchange, gateway).ready()
            desk.place("a", tags={"strategy": "s"})
            desk.place("b", price="66000", time_in_force="PO")
            desk.send(b"{ no json")
            await desk.report("a")
            await desk.report("b")
            await exchange.cut()
            await desk.until(lambda: any(s["state"] == "degraded" for s in desk.of("exec.status")))
            await desk.until(lambda: desk.of("exec.status")[-1]["state"] == "live")
            url = gateway.endpoints["metrics"]
            with urllib.request.urlopen(url, timeout=10) as answer:
                metrics = answer.read()
            await gateway.end(15)
            assert gateway.process.stdout is not None
            rest = await gateway.process.stdout.read()
        finally:
            await gateway.end()
            if desk is not None:
                desk.close()
            await exchange.stop()
    logged = (tmp_path / "stderr").read_bytes()
    told = [json.loads(line) for line in logged.splitlines()]
    assert {line.get("cl_id") for line in told} >= {"a", "b"} and any("account" in line["message"] for line in told)
    with closing(sqlite3.connect(tmp_path / "j" / "journal.sqlite")) as database:
        kept = "\n".join(database.iterdump()).encode()
    everything = b"\n".join([
        logged, rest, metrics, kept, json.dumps(gateway.endpoints).encode(), *(payload for _, payload in desk.raw),
        " ".join(gateway.command).encode(), *(path.read_bytes() for path in Path(tmp_path / "j").iterdir() if path.is_file()),
    ]).lower()  # fmt: skip
    assert len(everything) > 10_000
    assert key[2:].lower().encode() not in everything and bytes.fromhex(key[2:]) not in everything
