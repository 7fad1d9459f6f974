"""The gateway when things go wrong: lost answers, cut connections, a killed process, slow readers, a full restart."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from hlfast import clock
from hlfast.sim import FUNDED_ACCOUNTS


def statuses(desk: Any, cl_id: str) -> list[str]:
    return [r["status"] for r in desk.reports(cl_id) if not r.get("duplicate")]


def all_orders(exchange: Any) -> list[dict[str, Any]]:
    """Every order that the exchange ever had of the account, by its own record."""
    return exchange.truth(FUNDED_ACCOUNTS[0].address)["orders"]


async def test_a_lost_answer_is_no_rejection(open_desk):
    """Contract 3 (G8, G9): the order is unresolved, told as an event, asked about, and then accepted."""
    desk = await open_desk()
    desk.exchange.faults.arm("lost_answer", channel="order")
    desk.exchange.faults.arm("lost_frame", channel="orderUpdates")
    desk.place("quiet")
    desk.place("quiet")  # repeated while nothing is known: not sent again, answered with the first answer
    await desk.until(lambda: any(e["data"].get("unresolved") for e in desk.events("update", "quiet")))
    assert (await desk.report("quiet", 2))["duplicate"] is True
    assert statuses(desk, "quiet") == ["accepted"] and len(desk.open_orders()) == 1


async def test_a_lost_request_is_rejected_once_it_is_proven_absent(open_desk):
    """Contract 3 (G9): `network_error`, and the same message is then a new attempt."""
    desk = await open_desk()
    desk.exchange.faults.arm("lost_request", channel="order")
    desk.place("lost")
    report = await desk.report("lost")
    assert (report["status"], report["reason_code"]) == ("rejected", "network_error")
    assert desk.open_orders() == []
    desk.place("lost")
    assert (await desk.report("lost", 2))["status"] == "accepted"
    assert len(desk.open_orders()) == 1


async def test_a_lost_cancel_is_repeated_until_it_is_known(open_desk):
    """Contract 6: a cancel is safe to repeat."""
    desk = await open_desk()
    desk.place("c")
    await desk.report("c")
    desk.exchange.faults.arm("lost_request", channel="cancelByCloid", times=2)
    desk.cancel("x", "c")
    assert (await desk.report("x"))["status"] == "accepted"
    assert statuses(desk, "c") == ["accepted", "canceled"] and desk.open_orders() == []


@pytest.mark.parametrize("kind", ["lost_request", "lost_answer"])
async def test_a_replace_without_an_answer_is_answered_by_what_the_venue_shows(open_desk, kind):
    """Contract 6 (G9): done if it took effect, `network_error` if it is proven that it never will."""
    desk = await open_desk()
    desk.place("r")
    await desk.report("r")
    desk.exchange.faults.arm(kind, channel="batchModify")
    desk.replace("x", "r", new_price="61000")
    report = await desk.report("x")
    (resting,) = desk.open_orders()
    if kind == "lost_request":
        assert (report["status"], report["reason_code"]) == ("rejected", "network_error")
        assert resting.px_e8 == 60000 * 10**8 and len(desk.reports("r")) == 1
    else:
        assert report["status"] == "accepted" and resting.px_e8 == 61000 * 10**8
        assert (await desk.report("r", 2))["status"] == "replaced"


async def test_a_cut_connection_loses_no_fill_and_tells_no_lie(open_desk):
    """Contract 7 (G11): fills of the outage follow it, marked; meanwhile orders are refused, never queued."""
    desk = await open_desk()
    for n in range(3):
        desk.place(f"o{n}", price=f"6400{n}", size="0.01")
    for n in range(3):
        await desk.report(f"o{n}")
    await desk.exchange.cut(1.0)
    desk.exchange.engine.house.take("BTC", "sell", "1.03")
    await desk.until(lambda: not desk.gateway.connector.is_connected)
    desk.place("now")
    assert (await desk.report("now"))["reason_code"] == "network_error"
    await desk.until(lambda: any(s["state"] == "degraded" for s in desk.of("exec.status")))
    await desk.until(lambda: all(desk.fills(f"o{n}") for n in range(3)))
    assert all(desk.fills(f"o{n}")[0]["recovered"] for n in range(3))
    await desk.until(lambda: desk.of("exec.status")[-1]["state"] == "live")
    theirs = sorted(str(fill["tid"]) for fill in desk.exchange.truth(FUNDED_ACCOUNTS[0].address)["fills"])
    assert theirs == sorted(fill["exec_id"] for fill in desk.fills())
    assert all(statuses(desk, f"o{n}") == ["accepted"] for n in range(3))


@pytest.mark.parametrize("kind", ["lost_answer", "lost_request", "lost_frame"])
async def test_a_cut_at_any_point_leaves_one_order_and_one_answer(open_desk, kind):
    """Contract 15: between send and answer, never two live orders, never a false rejection."""
    desk = await open_desk()
    channel = "orderUpdates" if kind == "lost_frame" else "order"
    for n in range(6):
        desk.exchange.faults.arm(kind, channel=channel)
        desk.place(f"k{n}", price=f"{60000 + n}")
        await asyncio.sleep(0.003 * n)
        await desk.exchange.cut(0.1)
        await desk.until(lambda: desk.gateway.connector.is_connected)
    for n in range(6):
        status = (await desk.report(f"k{n}"))["status"]
        live = [order for order in desk.open_orders() if order.px_e8 == (60000 + n) * 10**8]
        assert len(live) == (status == "accepted"), (n, status)
        assert len(statuses(desk, f"k{n}")) == 1


async def test_a_restart_knows_its_orders_and_their_clients_words(open_desk, tmp_path):
    """Contract 8, restart (G12): from the journal: accepted and recovered, tags kept, repeats answered, fills go on."""
    first = await open_desk(journal=tmp_path / "j")
    first.place("live", size="0.01", price="64000", tags={"strategy": "s"})
    first.place("gone")
    first.place("bad", time_in_force="FOK")
    oid = (await first.report("live"))["exchange_order_id"]
    await first.report("gone")
    first.cancel("c", "gone")
    await first.report("gone", 2)
    await first.report("bad")
    await first.gateway.stop()
    first.exchange.engine.house.take("BTC", "sell", "1.004")
    await asyncio.sleep(0.1)

    second = await open_desk(exchange=first.exchange, journal=tmp_path / "j")
    desk = second.gateway.desk
    assert desk is not None
    seen = desk.reports.stream.messages(1, desk.reports.stream.seq)
    told = [json.loads(message) for message in seen]
    (live,) = [report for report in told if report["cl_id"] == "live"]
    assert live["status"] == "accepted" and live["recovered"] is True and live["exchange_order_id"] == oid
    assert live["tags"]["strategy"] == "s"
    (fill,) = [json.loads(m) for m in desk.reports.fills.messages(1, desk.reports.fills.seq)]
    assert fill["cl_id"] == "live" and fill["recovered"] is True and fill["leaves_size"] == 0.006
    second.place("live", size="0.01", price="64000")
    assert (await second.report("live"))["duplicate"] is True
    second.place("gone")
    again = await second.report("gone")
    assert again["status"] == "canceled" and again["duplicate"] is True and again["run_id"] == second.gateway.run_id
    second.place("bad", time_in_force="FOK")
    assert (await second.report("bad"))["duplicate"] is True
    second.replace("r", "live", new_price="63000")
    assert (await second.report("r"))["status"] == "accepted"
    assert len(second.open_orders()) == 1


async def test_what_a_killed_gateway_may_not_have_told_is_told_by_the_next(open_process):
    """Contract 7, G10: a fill that was written down and died on its way to the client; sizes go on where they were."""
    exchange, gateway, desk = await open_process()
    desk.place("a", size="0.01", price="64991", time_in_force="PO")
    await desk.report("a")
    exchange.engine.house.take("BTC", "sell", "0.004")
    first = (await desk.until(lambda: desk.fills("a")))[0]
    desk.heard.clear()  # as if it had never come
    await gateway.end()
    exchange.engine.house.take("BTC", "sell", "0.003")
    await asyncio.sleep(0.1)
    await gateway.start()
    await desk.quiet(1.5)
    desk.send(
        {"version": 1, "cl_id": "rs", "action": "resend", "details": {"topic": "exec.fill", "from_seq": 1, "to_seq": 2}}
    )
    await desk.report("rs")
    fills = {fill["exec_id"]: fill for fill in await desk.until(lambda: len(desk.fills("a")) >= 2 and desk.fills("a"))}
    told = [(f["exec_id"] == first["exec_id"], str(f["size"]), str(f["cum_size"]), str(f["leaves_size"]), f["recovered"])
            for f in sorted(fills.values(), key=lambda f: f["cum_size"])]  # fmt: skip
    assert told == [(True, "0.004", "0.004", "0.006", True), (False, "0.003", "0.007", "0.003", True)]
    key = lambda f: (f["exec_id"], f["exchange_order_id"], f["venue_ts_ns"])  # noqa: E731
    assert key(fills[first["exec_id"]]) == key(first)  # what consumers tell repeats by


class Load:
    """Orders that must arrive in time or never, each at a price of its own, and cancels of older ones."""

    TTL_MS = 1_500

    def __init__(self, desk: Any, seed: int) -> None:
        self.desk, self.rng = desk, random.Random(seed)
        self.wishes: dict[str, dict[str, Any]] = {}
        self.cancels: dict[str, dict[str, Any]] = {}

    def place(self) -> None:
        number = len(self.wishes)
        details = {
            "symbol": "BTC", "side": "buy", "order_type": "limit", "time_in_force": "PO", "size": "0.001",
            "price": str(40_000 + number), "params": {"ttl_ms": self.TTL_MS},
        }  # fmt: skip
        self.wishes[f"w{number}"] = {
            "version": 1, "cl_id": f"w{number}", "action": "place", "venue": "hyperliquid", "product_type": "perpetual",
            "ts_ns": clock.epoch_ns(), "details": details, "tags": {"n": str(number)},
        }  # fmt: skip
        self.desk.send(self.wishes[f"w{number}"])

    def cancel(self, cl_id: str) -> None:
        request = f"c{len(self.cancels)}"
        self.cancels[request] = {
            "version": 1, "cl_id": request, "action": "cancel", "venue": "hyperliquid",
            "details": {"cancel": {"cl_id_to_cancel": cl_id}},
        }  # fmt: skip
        self.desk.send(self.cancels[request])

    async def run(self, seconds: float) -> None:
        """As fast as a busy strategy, some of it cancels of what is older than the last hundred orders."""
        ends_ns = clock.monotonic_ns() + int(seconds * 1e9)
        while clock.monotonic_ns() < ends_ns:
            for _ in range(3):
                self.place()
                old = len(self.wishes) - 100 - len(self.cancels)
                if old > 0:
                    self.cancel(f"w{len(self.cancels)}")
            self.desk.pump()
            await asyncio.sleep(0.004)

    async def until_answered(self) -> None:
        """What was lost with a process has no answer: its sender asks again, with the same words and the same time."""
        for _ in range(120):
            self.desk.pump()
            answered = {report["cl_id"] for report in self.desk.reports()}
            missing = [one for cl_id, one in {**self.wishes, **self.cancels}.items() if cl_id not in answered]
            if not missing:
                return
            for message in missing[:500]:
                self.desk.send(message)
            await self.desk.quiet(0.5)
        raise AssertionError(f"{len(missing)} requests were never answered, {missing[0]} for one")

    def assert_no_lie(self, exchange: Any) -> dict[str, int]:
        """No order twice, none after its deadline, each accepted one there, each rejected one not; by how they went."""
        placed: dict[int, list[dict[str, Any]]] = {}
        for order in all_orders(exchange):
            placed.setdefault(int(float(order["px"])), []).append(order)
        reports: dict[str, list[dict[str, Any]]] = {}
        for report in self.desk.reports():
            reports.setdefault(report["cl_id"], []).append(report)
        verdicts: dict[str, int] = {}
        for cl_id, wish in self.wishes.items():
            orders, told = placed.pop(int(wish["details"]["price"]), []), reports[cl_id]
            last = told[-1]
            was_accepted = any(  # the first word may have died with the process
                report["status"] in ("accepted", "canceled") and report["raw_code"] != "unknown_order"
                for report in told
            )
            verdict = (
                "accepted" if was_accepted else last["raw_code"] if last["status"] == "canceled" else last["status"]
            )
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            assert len(orders) == was_accepted, (cl_id, told, orders)
            for order in orders:
                assert order["timestamp"] <= wish["ts_ns"] / 1e6 + self.TTL_MS, (cl_id, order)
            assert verdict == "unknown_order" or last["tags"]["n"] == cl_id[1:]
            if last["status"] == "rejected":
                assert not was_accepted and last["reason_code"] in ("expired", "network_error", "rate_limited"), last
        assert not placed
        return verdicts


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.long)])
async def test_killed_and_restarted_under_load_nothing_is_executed_twice_or_late_and_all_is_answered(
    open_process, kills
):
    """Contract 8, 15, behaviour 130: every id has one order at the venue if it was accepted, and none if it was rejected."""
    exchange, gateway, desk = await open_process()
    load = Load(desk, 5)
    for kill in range(kills):
        await load.run(load.rng.uniform(0.05, 0.35))
        await gateway.end()
        for _ in range(5):  # nobody is there: these wait in the strategy's socket
            load.place()
        await asyncio.sleep(2.0 if kill == 1 else load.rng.choice((0, 0, 0.3)))  # beyond the deadlines, or not
        await gateway.start()
        await desk.quiet(0.2)
    await load.until_answered()
    await desk.quiet(0.5)
    verdicts = load.assert_no_lie(exchange)
    print(f"\n{kills} kills: {len(load.wishes)} orders {verdicts}, {len(load.cancels)} cancels, all answered")
    assert verdicts["accepted"] > 20 * kills and verdicts.get("rejected", 0) > 0, verdicts


async def test_what_waited_while_no_gateway_was_there_is_too_old_later(open_process):
    """Contract 3: orders of an outage are not executed after it; cancels are never aged out."""
    exchange, gateway, desk = await open_process({"max_order_age_ms": 400})
    desk.place("rest", ts_ns=clock.epoch_ns())
    await desk.report("rest")
    await gateway.end()
    desk.place("stale", ts_ns=clock.epoch_ns())
    desk.send({"version": 1, "cl_id": "c", "action": "cancel", "venue": "hyperliquid", "ts_ns": clock.epoch_ns(),
               "details": {"cancel": {"cl_id_to_cancel": "rest"}}})  # fmt: skip
    await asyncio.sleep(0.6)
    await gateway.start()
    report = await desk.report("stale") if desk.reports("stale") else None
    for _ in range(40):
        if report or desk.reports("stale"):
            break
        desk.place("stale", ts_ns=clock.epoch_ns() - 1_000_000_000)  # its first answer may have had no subscriber yet
        await desk.quiet(0.25)
    assert {r["raw_code"] for r in desk.reports("stale")} == {"too_old"}
    await desk.until(lambda: not exchange.engine.accounts[FUNDED_ACCOUNTS[0].address].open)
    assert len(all_orders(exchange)) == 1


async def test_sigterm_ends_it_in_good_order(open_process):
    """Contract 1, shutdown: what was read is answered, the last status says stopping, the exit code is the signal's."""
    _, gateway, desk = await open_process()
    desk.place("last")
    await desk.report("last")
    code = await gateway.end(signal.SIGTERM)
    await desk.until(lambda: any(s["state"] == "stopping" for s in desk.of("exec.status")))
    assert code in (143, -signal.SIGTERM)


async def test_a_slow_reader_costs_bounded_memory(open_desk):
    """Contract 1: what a reader does not take is dropped inside ZeroMQ and can be seen by its numbers."""
    import zmq

    desk = await open_desk()
    desk.sub.disconnect(desk.gateway.endpoints["books"])
    context = zmq.Context()
    slow = context.socket(zmq.SUB)
    try:
        slow.set_hwm(10)
        slow.subscribe(b"")
        slow.connect(desk.gateway.endpoints["books"])
        await desk.quiet(0.3)
        send = desk.gateway._sender("books")
        frames = [b"HYPERLIQUID-preprocessed_book-BTC", b"x" * 4_000]
        for _ in range(15_000):  # fill what the sockets hold: the contract's 10,000 messages
            send(frames)
        before = resident_kb()
        for _ in range(60_000):
            send(frames)
        grown_kb = resident_kb() - before
        assert grown_kb < 60_000, grown_kb  # 60,000 of them would be 240 MB
        desk.place("served")
        assert (await desk.report("served"))["status"] == "accepted"
    finally:
        slow.close(0)
        context.term()


def resident_kb() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("reads /proc")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
