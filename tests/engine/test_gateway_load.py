"""The gateway under load: one budget for all clients, random frames through ZeroMQ, many instruments to one reader."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hlfast.engine.gateway_reasons import CANONICAL, STATUSES

from ..children import HOME, surroundings
from .conftest import QUICK, open_sim
from .test_gateway_messages import REFUSED

HERE = Path(__file__).parent


async def test_two_processes_share_one_budget(open_desk):
    """L94: the gateway is the single owner of the address's budget: two busy clients, and not one 429 of the venue."""
    exchange = await open_sim(limits="real")
    try:
        desk = await open_desk(exchange=exchange, connector_settings=replace(QUICK, enforce_budgets=True))
        senders = []
        for n in range(2):
            at = desk.gateway.endpoints
            senders.append(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    str(HERE / "gateway_sender.py"),
                    at["orders"],
                    at["reports"],
                    "700",
                    str(40_000 + n),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env=surroundings(),
                    cwd=HOME,
                )
            )
        for sender in senders:
            assert sender.stdout is not None and (await sender.stdout.readline()).strip() == b"ready"
        for sender in senders:
            assert sender.stdin is not None
            sender.stdin.write(b"go\n")
        for sender in senders:
            assert sender.stdout is not None
            told = json.loads(await asyncio.wait_for(sender.stdout.readline(), 90))
            assert told == {"unanswered": 0}
            await sender.wait()
        desk.pump()
        reasons: dict[str, int] = {}
        for report in desk.reports():
            reasons[report["reason_code"]] = reasons.get(report["reason_code"], 0) + 1
        assert sum(reasons.values()) == 1_400 and set(reasons) == {"ok", "rate_limited"}, reasons
        assert 900 < reasons["ok"] <= 1_100  # what is kept for cancels was left
        record = exchange.truth(desk.gateway.connector.account)
        assert not sum(record["counters"]["refused"].values()), record["counters"]["refused"]
        assert desk.gateway.connector.limits.refusals == 0
    finally:
        await exchange.stop()


def frames_of(rng: random.Random) -> list[bytes]:
    """A message as nobody should send it: noise, a piece of a good one with bytes changed, or several frames."""
    kind = rng.random()
    if kind < 0.1:
        return [rng.randbytes(rng.randrange(200))]
    good = json.dumps(rng.choice([message for message, _ in REFUSED if isinstance(message, dict)])).encode()
    if kind < 0.15:
        return [good] * rng.randrange(2, 4)
    if kind < 0.155:
        return [good + b" " * 70_000]
    frame = bytearray(good)
    for _ in range(rng.randrange(5)):
        frame[rng.randrange(len(frame))] = rng.randrange(256)
    if kind < 0.5:
        del frame[rng.randrange(1, len(frame) + 1) :]
    return [bytes(frame)]


@pytest.mark.parametrize("frames", [3_000, pytest.param(100_000, marks=pytest.mark.long)])
async def test_random_frames_through_the_socket_have_as_many_answers(open_desk, frames):
    """Contract 15: n frames in, n reports out, each with a canonical reason; nothing is placed twice, and it still trades."""
    desk = await open_desk()
    rng = random.Random(11)
    reports: list[dict[str, Any]] = []

    def answers() -> int:
        reports.extend(message for topic, message in desk.heard if topic == "exec.report")
        desk.heard.clear()
        desk.raw.clear()
        return sum("action" in report or report["status"] == "rejected" for report in reports)  # others are of targets

    for sent in range(500, frames + 1, 500):
        for _ in range(500):
            desk.push.send_multipart(frames_of(rng))
        await desk.until(lambda wanted=sent: answers() >= wanted, 60)
    for report in reports:
        assert report["status"] in STATUSES and report["reason_code"] in CANONICAL
        assert report["raw_code"] != "processing_error", report
    desk.place("after-all-this")
    assert (await desk.report("after-all-this"))["status"] == "accepted"
